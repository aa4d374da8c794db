/**
 * What the newest segments begin with, noted in `.meta.json`, so that it is found out when one is cut to nothing or another file
 * takes its place (as `logrotate` does with `copytruncate` and `create`) and writers go on in it: then it is not empty, and looks
 * like any other segment.
 *
 * A writer notes it before it answers its first write to a segment, so no event is answered that could be lost without a trace.
 *
 * @internal
 */
import * as Timestamp from "@tidings/core/Timestamp"
import type { BackendError } from "@tidings/core/BackendError"
import type * as Clock from "effect/Clock"
import type * as Effect from "effect/Effect"
import type { LogDirectory, OpenSegment } from "./directory.ts"
import type { Meta } from "../storeDirectory.ts"
import type { LogMeta, Lost } from "./logMeta.ts"
import * as LogPosition from "./position.ts"
import * as SegmentName from "./segmentName.ts"

/** Bytes at the start of a segment that are noted: most of its first line. */
const NOTED = 256

/** Segments that are noted. Writers may still write to one before the newest, and then it is not empty where it was cut. */
const MOST_NOTED = 4

/** How often a writer waits for the lock of `.meta.json`, a tenth of a second each time, before it answers without a note. */
const MOST_WAITS = 10

/** Most losses that are noted one by one; of more, the two oldest become one. */
const MOST_LOSSES = 32

const wordsOf = (from: number, upTo: number): string =>
  `lines of ${SegmentName.range(from, upTo)} of the log are gone: ${from === upTo ? "it was" : "they were"} cut or replaced`

/** What a segment begins with now; absent where it does not exist, or is empty: that is found out without a note. */
const markOf = (directory: LogDirectory, name: SegmentName.SegmentName): LogPosition.LogPosition | undefined => {
  const segment = directory.openSegment(name, "read")
  if (segment === undefined) return undefined
  try {
    const { size } = directory.disk.statusOf(segment.opened)
    return size === 0 ? undefined : LogPosition.at(directory.disk, segment, Math.min(NOTED, size))
  } finally {
    directory.disk.close(segment.opened)
  }
}

/**
 * Whether an empty segment never had lines, because its writer was stopped after it created the file. A segment that had lines has a
 * note of its beginning, or of its loss, as the segments before and after it have.
 *
 * @internal
 */
export const isUnused = (
  { begun, sealedUpTo }: LogMeta,
  { key, number }: SegmentName.SegmentName,
  isNewest: boolean
): boolean => {
  if (number === sealedUpTo) return true
  const noted = begun.flatMap(({ segment }) => segment ?? [])
  return (
    noted.some((one) => one.number < number) &&
    (isNewest || noted.some((one) => one.number > number)) &&
    noted.every((one) => one.key !== key)
  )
}

/** Whether a segment begins differently than noted. */
const isChanged = (directory: LogDirectory, mark: LogPosition.LogPosition): boolean => {
  const segment = mark.segment === undefined ? undefined : directory.openSegment(mark.segment, "read")
  if (segment === undefined) return false
  try {
    const { disk } = directory
    return (
      disk.statusOf(segment.opened).size > 0 && LogPosition.checkAt(disk, segment.opened, mark.offset) !== mark.check
    )
  } finally {
    directory.disk.close(segment.opened)
  }
}

const changedOf = (directory: LogDirectory, { begun }: LogMeta): ReadonlyArray<SegmentName.SegmentName> =>
  begun.flatMap((mark) => (mark.segment !== undefined && isChanged(directory, mark) ? [mark.segment] : []))

const lossOf = ({ number }: SegmentName.SegmentName, clock: Clock.Clock): Lost => ({
  from: number,
  upTo: number,
  at: Timestamp.now(clock)
})

const withLoss = (losses: ReadonlyArray<Lost>, loss: Lost): ReadonlyArray<Lost> => {
  const all = [...losses.filter(({ from, upTo }) => from !== loss.from || upTo !== loss.upTo), loss]
  const [oldest, next, ...rest] = all
  return all.length <= MOST_LOSSES || oldest === undefined || next === undefined
    ? all
    : [{ from: Math.min(oldest.from, next.from), upTo: Math.max(oldest.upTo, next.upTo), at: next.at }, ...rest]
}

/** Notes what a segment begins with, and which of those that were noted before were changed since; `isCut` says that this one was. */
const noteIn = (
  directory: LogDirectory,
  clock: Clock.Clock,
  {
    fields,
    isCut = false,
    name
  }: { readonly fields: Meta; readonly name: SegmentName.SegmentName; readonly isCut?: boolean }
): void => {
  const meta = directory.logMeta()
  const changed = changedOf(directory, meta)
  const lost = isCut && !changed.some(({ key }) => key === name.key) ? [...changed, name] : changed
  const kept = meta.begun.filter(({ segment }) => segment?.key !== name.key && !changed.includes(segment!))
  const marks = [...changed.filter(({ key }) => key !== name.key), name].flatMap((name) => {
    const mark = markOf(directory, name)
    return mark === undefined ? [] : [mark]
  })
  const begun = [...kept, ...marks].sort((a, b) => SegmentName.order(a.segment!, b.segment!)).slice(-MOST_NOTED)
  directory.change(fields, {
    begun,
    ...(lost.length === 0
      ? undefined
      : { lost: lost.reduce((lost, name) => withLoss(lost, lossOf(name, clock)), meta.lost) })
  })
}

/**
 * Notes what the newest segment begins with, and which of those that were noted before were changed since.
 *
 * @internal
 */
export const note = (directory: LogDirectory, clock: Clock.Clock): Effect.Effect<void, BackendError> =>
  directory.attempt(() => {
    const newest = directory.segments().at(-1)
    if (newest === undefined) return
    const isNoted = (meta: LogMeta): boolean =>
      meta.begun.some(({ segment }) => segment?.key === newest.key) && changedOf(directory, meta).length === 0
    if (isNoted(directory.logMeta()) || markOf(directory, newest) === undefined) return
    directory.locked((fields) => {
      if (!isNoted(directory.logMeta())) noteIn(directory, clock, { fields, name: newest })
    })
  })

/**
 * Whether it is noted what an open segment begins with.
 *
 * @internal
 */
export const isNoted = (directory: LogDirectory, { begun }: LogMeta, { name, opened }: OpenSegment): boolean =>
  begun.some(
    ({ check, offset, segment }) =>
      segment?.key === name.key && LogPosition.checkAt(directory.disk, opened, offset) === check
  )

/**
 * Notes what an open segment begins with, to which this process has just written. False where the segment was cut or replaced
 * meanwhile, so that what was written may be in none. What cannot be noted (on a full disk, without the right to, or while another
 * process keeps the lock) is no reason to refuse the write; it is tried again beside the next one, and that says why it failed.
 *
 * @internal
 */
export const noteOpen = (
  directory: LogDirectory,
  clock: Clock.Clock,
  segment: OpenSegment,
  isCut: boolean
): boolean => {
  const { name, status } = segment
  const isThere = (): boolean => directory.files.status(directory.pathOf(name.file))?.identity === status.identity
  let isKept: boolean | undefined
  try {
    for (let waits = 0; isKept === undefined && waits < MOST_WAITS; waits++) {
      isKept = directory.locked((fields) => {
        if (!isThere()) return true
        if (isCut || !isNoted(directory, directory.logMeta(), segment))
          noteIn(directory, clock, { fields, name, isCut })
        return directory.logMeta().begun.some((mark) => mark.segment?.key === name.key)
      })
      // Another process may have noted it meanwhile; or there is no log any more.
      if (isKept === undefined && !isCut && (!isThere() || isNoted(directory, directory.logMeta(), segment))) break
    }
  } catch {
    isKept = false
  }
  if (!isThere() || directory.disk.statusOf(segment.opened).size === 0) return false
  return isKept !== true || isNoted(directory, directory.logMeta(), segment)
}

/**
 * Notes that a segment is lost of which it is noted what it began with, and which is empty now: a writer is about to write to it, and
 * may begin it with the same line.
 *
 * @internal
 */
export const noteCut = (directory: LogDirectory, clock: Clock.Clock, name: SegmentName.SegmentName): void => {
  try {
    directory.locked((fields) => {
      const { begun, lost } = directory.logMeta()
      const others = begun.filter(({ segment }) => segment?.key !== name.key)
      if (others.length === begun.length || directory.files.status(directory.pathOf(name.file))?.size !== 0) return
      directory.change(fields, { begun: others, lost: withLoss(lost, lossOf(name, clock)) })
    })
  } catch {
    // It is found out as well by what the segment begins with then.
  }
}

/**
 * Notes that lines are gone from the end of a complete segment: its side file was made of more. Where it cannot be noted, this process
 * tells it all the same.
 *
 * @internal
 */
export const noteShorter = (directory: LogDirectory, clock: Clock.Clock, name: SegmentName.SegmentName): void => {
  const loss = lossOf(name, clock)
  if (isIn(lossesOf(directory, directory.logMeta()), loss)) return
  let isNoted: boolean | undefined
  try {
    isNoted = directory.locked((fields) => {
      const { lost } = directory.logMeta()
      if (!isIn(lost, loss)) directory.change(fields, { lost: withLoss(lost, loss) })
      return true
    })
  } catch {
    isNoted = false
  }
  if (isNoted !== true) directory.unnoted.push({ ...loss, log: directory.readIdentity() })
}

const isIn = (losses: ReadonlyArray<Lost>, { from, upTo }: Lost): boolean =>
  losses.some((one) => one.from <= from && upTo <= one.upTo)

/** What is noted, and what could not be noted of this log. */
const lossesOf = (directory: LogDirectory, { lost }: LogMeta): ReadonlyArray<Lost> =>
  directory.unnoted.length === 0
    ? lost
    : [...lost, ...directory.unnoted.filter((one) => one.log === directory.readIdentity() && !isIn(lost, one))]

/**
 * Of which segments after a number lines are gone, because they were cut or replaced, in words: those that are noted, and those that
 * are not noted yet.
 *
 * @internal
 */
export const whatWasLost = (
  directory: LogDirectory,
  meta: LogMeta,
  after = 0,
  upTo = Infinity
): ReadonlyArray<string> => {
  const from = Math.max(after, meta.removed?.upTo ?? 0)
  return [
    ...lossesOf(directory, meta)
      .filter((lost) => lost.upTo > from && lost.from <= upTo)
      .map(({ at, from, upTo }) => `${wordsOf(from, upTo)}; found at ${Timestamp.format(at)}`),
    ...changedOf(directory, meta)
      .filter(({ number }) => number > from && number <= upTo)
      .map(({ number }) => wordsOf(number, number))
  ]
}
