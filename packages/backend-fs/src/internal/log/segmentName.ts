/**
 * The name of a segment, `events-00000042-20261122.ndjson`: its number, and the date (UTC) on which it was created.
 *
 * @internal
 */
export interface SegmentName {
  readonly number: number
  /** `00000042-20261122`: how cursors name it. */
  readonly key: string
  readonly file: string
}

const FILE = /^events-((\d{8,15})-\d{8})\.ndjson$/
const KEY = /^(\d{8,15})-\d{8}$/

const ofKey = (key: string, digits: string): SegmentName => ({
  number: Number(digits),
  key,
  file: `events-${key}.ndjson`
})

/** @internal */
export const make = (number: number, date: string): SegmentName => {
  const digits = String(number).padStart(8, "0")
  return ofKey(`${digits}-${date}`, digits)
}

/**
 * The segment that a file is; absent when the file is none.
 *
 * @internal
 */
export const parse = (file: string): SegmentName | undefined => {
  const match = FILE.exec(file)
  return match === null ? undefined : ofKey(match[1]!, match[2]!)
}

/**
 * Whether there is a segment among the files of a directory.
 *
 * @internal
 */
export const areIn = (files: ReadonlyArray<string>): boolean => files.some((file) => FILE.test(file))

/** @internal */
export const parseKey = (key: string): SegmentName | undefined => {
  const match = KEY.exec(key)
  return match === null ? undefined : ofKey(key, match[1]!)
}

/**
 * Oldest first. Two processes that create a segment on either side of midnight give it one number and two dates.
 *
 * @internal
 */
export const order = (a: SegmentName, b: SegmentName): number =>
  a.number - b.number || (a.key < b.key ? -1 : a.key > b.key ? 1 : 0)

/**
 * What is missing between a segment and the first gap after it, in words. Segments are numbered without gaps, so a number
 * that is missing is a segment that was deleted. `names` is in order.
 *
 * @internal
 */
export const missingAfter = (
  segment: SegmentName | undefined,
  names: ReadonlyArray<SegmentName>
): string | undefined => {
  let number = segment?.number ?? 0
  for (const name of names) {
    if (segment !== undefined && order(name, segment) <= 0) continue
    const missing = missingBetween(number, name.number)
    if (missing !== undefined) return missing
    number = Math.max(number, name.number)
  }
  return undefined
}

/**
 * The segments that are missing between two numbers, in words; absent where none are.
 *
 * @internal
 */
export const missingBetween = (number: number, next: number): string | undefined => {
  if (next <= number + 1) return undefined
  return next === number + 2
    ? `segment ${number + 1} of the log is gone`
    : `segments ${number + 1} to ${next - 1} of the log are gone`
}
