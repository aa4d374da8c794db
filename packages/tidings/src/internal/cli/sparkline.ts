/**
 * How often something happened over time, as a line of bars.
 *
 * @internal
 */
import type { Micros } from "@tidings/core/Timestamp"

/** So many buckets are kept for each course at the most: more than are drawn, so that a bar is never far from its time. */
const MOST = 256
const SECOND = 1_000_000

const BARS = ["▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"]

/**
 * What all courses share: the width of a bucket, which grows with the time that is covered.
 *
 * @internal
 */
export interface Scale {
  /** Earlier times are left out. */
  readonly since: Micros | undefined
  width: number
  from: number
  to: number
  readonly courses: Array<Course>
}

/** Occurrences in the buckets of a scale. @internal */
export interface Course {
  readonly scale: Scale
  counts: Map<number, number>
}

/** @internal */
export const scale = (since: Micros | undefined): Scale => ({
  since,
  width: SECOND,
  from: Number.POSITIVE_INFINITY,
  to: Number.NEGATIVE_INFINITY,
  courses: []
})

/** @internal */
export const course = (scale: Scale): Course => {
  const made: Course = { scale, counts: new Map() }
  scale.courses.push(made)
  return made
}

const widen = (scale: Scale, from: Micros, to: Micros): void => {
  scale.from = Math.min(scale.from, from)
  scale.to = Math.max(scale.to, to)
  while ((scale.to - scale.from) / scale.width > MOST) {
    scale.width *= 2
    for (const one of scale.courses) {
      const merged = new Map<number, number>()
      for (const [bucket, count] of one.counts) {
        const half = Math.floor(bucket / 2)
        merged.set(half, (merged.get(half) ?? 0) + count)
      }
      one.counts = merged
    }
  }
}

/**
 * Adds occurrences of which the times of the first and the last are known: those between are spread evenly.
 *
 * @internal
 */
export const add = (course: Course, first: Micros, last: Micros, count: number): void => {
  const { scale } = course
  const begin = Math.min(first, last)
  const from = scale.since === undefined ? begin : Math.max(begin, scale.since)
  if (from > last) return
  widen(scale, from, last)
  const { counts } = course
  const { width } = scale
  const put = (bucket: number, more: number): void => {
    counts.set(bucket, (counts.get(bucket) ?? 0) + more)
  }
  const [low, high] = [Math.floor(from / width), Math.floor(last / width)]
  // What was before the window is not in it, and the last is.
  const inside = last === begin ? count : Math.max(1, (count * (last - from)) / (last - begin))
  if (count === 1 || low === high) return put(high, inside)
  for (let bucket = low; bucket <= high; bucket++) {
    const overlap = Math.min(last, (bucket + 1) * width) - Math.max(from, bucket * width)
    put(bucket, (inside * overlap) / (last - from))
  }
}

/**
 * The occurrences in so many equal parts of a time.
 *
 * @internal
 */
export const sample = (
  { counts, scale: { width } }: Course,
  from: Micros,
  to: Micros,
  parts: number
): Array<number> => {
  const sums = Array.from({ length: parts }, () => 0)
  for (const [bucket, count] of counts) {
    const middle = (bucket + 0.5) * width
    const part = Math.floor(((middle - from) / (to - from)) * parts)
    sums[Math.max(0, Math.min(parts - 1, part))]! += count
  }
  return sums
}

/**
 * A bar for each part of a time, as high as the occurrences in it compared to the part with the most; a blank where there are none.
 *
 * @internal
 */
export const draw = (course: Course, from: Micros, to: Micros, parts: number): string => {
  const sums = sample(course, from, to, parts)
  const most = Math.max(...sums)
  return sums
    .map((sum) => (sum <= 0 ? " " : BARS[Math.min(BARS.length - 1, Math.floor((sum / most) * BARS.length))]))
    .join("")
}
