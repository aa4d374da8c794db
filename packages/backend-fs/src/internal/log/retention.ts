/**
 * Removes the oldest segments of a log that is beyond its limits.
 *
 * - The limits are stored in the `.meta.json` of the log, and writers apply them; a process has no limits of its own.
 * - Whole segments, from the front, never the newest. What is removed is noted before it is, so that readers can say what is gone.
 *   Where the disk is too full for the note, what is to be removed makes room for it: side files first, then the oldest segment. A
 *   reader that comes in between says that this one is missing, and not why.
 * - An age counts where the clock and the newest event agree on it. A step of more than two days is believed only when it has held
 *   for a day: until then nothing is removed that the time before the step would not remove.
 */
import type { BackendError } from "@tidings/core/BackendError"
import type { Micros } from "@tidings/core/Timestamp"
import * as Timestamp from "@tidings/core/Timestamp"
import type * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import { unlessCode } from "../diskError.ts"
import type { LogDirectory } from "./directory.ts"
import * as Limits from "./limits.ts"
import { makingRoom } from "./makingRoom.ts"
import type { LogMeta, Removed } from "./logMeta.ts"
import type { OnProgress } from "./progress.ts"
import * as SegmentFacts from "./segmentFacts.ts"
import * as SegmentName from "./segmentName.ts"

const HOUR = 3_600_000_000
/** A step of the clock above this is believed later. Where a log is used each day, there is none without a reason. */
const LARGEST_STEP = 48 * HOUR
/** How long a step has to hold. */
const HELD = 24 * HOUR
/** How often the time is noted. */
const NOTED = 12 * HOUR

/** A line is not shorter, in bytes: a log of fewer bytes than so many for each event is not counted. */
const SHORTEST_LINE = 250

/**
 * A segment that is beyond a limit.
 *
 * @internal
 */
export interface Expired {
  readonly name: SegmentName.SegmentName
  /** With its side files. */
  readonly bytes: number
  readonly lines: number
  /** When its newest event was last seen; absent where no line has a time. */
  readonly until: Micros | undefined
  /** Which limit it is beyond, in words. */
  readonly why: string
}

/** @internal */
export interface Plan {
  /** Oldest first. */
  readonly expired: ReadonlyArray<Expired>
  /** The time up to which ages are counted, in words, where it is not now; or the event from the future that keeps old segments. */
  readonly doubt: string | undefined
  /** Which limit the newest segment is beyond by itself, in words; absent where it is not. */
  readonly stays: string | undefined
  /** What is to be noted of the time. */
  readonly time: LogMeta["time"]
}

interface Sized {
  readonly name: SegmentName.SegmentName
  /** On disk, with its side files. */
  readonly bytes: number
  /** Of its lines: more where it is compressed. */
  readonly lineBytes: number
}

const sizesOf = (directory: LogDirectory): ReadonlyArray<Sized> => {
  const names = directory.segments()
  if (names.length === 0) return []
  /** All files of each segment. */
  const found = new Map<string, Array<string>>()
  for (const file of directory.files.list(directory.path)) {
    const key = /^events-(\d{8,15}-\d{8})\./.exec(file)?.[1]
    if (key !== undefined) found.set(key, [...(found.get(key) ?? []), file])
  }
  return names.map((name) => {
    const files = found.get(name.key) ?? []
    const bytes = files.reduce((sum, file) => sum + (directory.files.status(directory.pathOf(file))?.size ?? 0), 0)
    const lineBytes = directory.disk.status(directory.pathOf(name.file))?.size ?? 0
    return { name, bytes, lineBytes }
  })
}

/**
 * What the limit of the size is compared with: all segments with their side files, in bytes.
 *
 * @internal
 */
export const sizeOf = (directory: LogDirectory): number =>
  sizesOf(directory).reduce((sum, segment) => sum + segment.bytes, 0)

/** When the newest event of the log was last seen, as far as the ends of its newest segments tell. */
const newestEvent = (directory: LogDirectory, segments: ReadonlyArray<Sized>): Micros | undefined => {
  for (const { name } of segments.slice(-8).reverse()) {
    const segment = directory.openSegment(name, "read")
    if (segment === undefined) continue
    try {
      const time = SegmentFacts.lastTime(directory, segment)
      if (time !== undefined) return time
    } finally {
      directory.disk.close(segment.opened)
    }
  }
  return undefined
}

interface Now {
  /** The time that ages are counted from; absent where nothing is known to be old. */
  readonly now: Micros | undefined
  /** What is to be noted of the time. */
  readonly time: LogMeta["time"]
  readonly doubt?: string
}

/** `agreed` is what the clock and the newest event agree on. */
const timeNow = (meta: LogMeta, clock: Micros, agreed: Micros): Now => {
  const believed = meta.time?.believed ?? meta.created ?? agreed
  const doubted = meta.time?.doubted
  const step = agreed - believed
  if (step <= LARGEST_STEP) {
    const isNoted = doubted === undefined && step < NOTED && believed - clock < NOTED
    return { now: agreed, time: isNoted ? meta.time : { believed: agreed } }
  }
  if (doubted !== undefined && agreed - doubted >= HELD) return { now: agreed, time: { believed: agreed } }
  return {
    now: believed,
    time: { believed, doubted: Math.min(agreed, doubted ?? agreed) },
    doubt:
      `the time went on by ${Limits.age(Math.floor(step / 1_000_000 / 86_400) * 86_400)} at once, to ${Timestamp.format(agreed)}: ` +
      `for a day ages are counted up to ${Timestamp.format(believed)}, so that a wrong clock removes nothing`
  }
}

/**
 * What is beyond the limits now. Reads segments only where they may be removed, or have to be counted.
 *
 * @internal
 */
export const plan = (
  directory: LogDirectory,
  clock: Clock.Clock,
  onProgress: OnProgress = () => Effect.void
): Effect.Effect<Plan, BackendError> =>
  Effect.gen(function* () {
    const meta = yield* directory.attempt(() => directory.logMeta())
    const segments = yield* directory.attempt(() => sizesOf(directory))
    const newest = yield* directory.attempt(() => newestEvent(directory, segments))
    const { maxAgeSeconds, maxBytes, maxEvents } = meta.limits
    const current = Timestamp.now(clock)
    // Without an event that agrees with the clock, nothing is known to be old.
    const { doubt, now, time }: Now =
      newest === undefined || maxAgeSeconds === undefined
        ? { now: undefined, time: meta.time }
        : timeNow(meta, current, Math.min(current, newest))
    const cutoff =
      maxAgeSeconds === undefined || now === undefined ? Number.NEGATIVE_INFINITY : now - maxAgeSeconds * 1_000_000
    const expired: Array<Expired> = []
    let ahead: string | undefined

    let bytes = segments.reduce((sum, segment) => sum + segment.bytes, 0)
    const lineBytes = segments.reduce((sum, segment) => sum + segment.lineBytes, 0)
    let read = 0
    const facts = new Map<string, SegmentFacts.SegmentFacts>()
    const factsOf = (name: SegmentName.SegmentName) =>
      Effect.gen(function* () {
        const known = facts.get(name.key)
        if (known !== undefined) return known
        const readBefore = read
        const found = yield* SegmentFacts.read(directory, name, (bytes) => {
          read = readBefore + bytes
          return onProgress({ task: "retention", bytes: read, totalBytes: lineBytes })
        })
        if (found !== undefined) facts.set(name.key, found)
        return found
      })
    let events = Number.NEGATIVE_INFINITY
    if (maxEvents !== undefined && lineBytes > maxEvents * SHORTEST_LINE) {
      events = 0
      for (const { name } of segments) events += (yield* factsOf(name))?.lines ?? 0
    }
    /** How much the log has that is too much, in words. */
    const excess = (): string | undefined => {
      if (maxBytes !== undefined && bytes > maxBytes) return `more than ${Limits.size(maxBytes)}`
      return maxEvents !== undefined && events > maxEvents ? `more than ${Limits.count(maxEvents)}` : undefined
    }
    for (const segment of segments.slice(0, -1)) {
      const { name } = segment
      const more = excess()
      let why = more === undefined ? undefined : `the log had ${more}`
      if (why === undefined && maxAgeSeconds !== undefined) {
        // One in which no line has a time is as old as the day on which it was begun.
        const first = yield* directory.attempt(() => directory.firstTimeOf(name))
        const mayBe = (first ?? Number.NEGATIVE_INFINITY) < cutoff
        const last = mayBe ? (yield* factsOf(name))?.until : first
        const until = mayBe ? (last ?? SegmentName.endOfDay(name)) : Number.POSITIVE_INFINITY
        if (until < cutoff) why = `older than ${Limits.age(maxAgeSeconds)}`
        else if (last !== undefined && last - current > LARGEST_STEP) {
          ahead =
            `${name.file} has an event from ${Timestamp.format(last)}, ahead of the clock: for their age neither this segment nor ` +
            `a later one is removed until ${Limits.age(maxAgeSeconds)} after that time`
        }
      }
      if (why === undefined) break
      const found = yield* factsOf(name)
      const lines = found?.lines ?? 0
      expired.push({ name, bytes: segment.bytes, lines, until: found?.until, why })
      bytes -= segment.bytes
      events -= lines
    }
    const stays = expired.length >= segments.length - 1 ? excess() : undefined
    if (read > 0) yield* onProgress({ task: "retention", bytes: lineBytes, totalBytes: lineBytes })
    return { expired, doubt: doubt ?? ahead, stays, time }
  })

const latestOf = (times: ReadonlyArray<Micros | undefined>): Micros | undefined =>
  times.reduce((latest, time) => (time === undefined || time < (latest ?? time) ? latest : time), undefined)

/**
 * Removes what a plan says, in one process at a time; answers what it removed.
 *
 * @internal
 */
export const apply = (
  directory: LogDirectory,
  clock: Clock.Clock,
  { expired, time }: Plan
): Effect.Effect<ReadonlyArray<Expired>, BackendError> =>
  directory.attempt(() => {
    const before = directory.logMeta()
    const isTimeNoted = before.time?.believed === time?.believed && before.time?.doubted === time?.doubted
    if (expired.length === 0 && isTimeNoted) return []
    const done = directory.locked((meta) => {
      const present = new Set(directory.segments().map(({ key }) => key))
      const removed = expired.filter(({ name }) => present.has(name.key))
      const last = removed.at(-1)
      if (last === undefined) {
        directory.change(meta, { time })
        return []
      }
      const note: Removed = {
        upTo: Math.max(last.name.number, before.removed?.upTo ?? 0),
        until: latestOf([...removed.map(({ until }) => until), before.removed?.until]) ?? before.created ?? 0,
        at: Timestamp.now(clock),
        why: [...new Set(removed.map(({ why }) => why))].join(", and ")
      }
      const files = directory.files.list(directory.path)
      const remove = (file: string) => unlessCode(["ENOENT"], () => directory.files.unlink(directory.pathOf(file)))
      const filesOf = ({ name }: Expired) => [
        name.file,
        ...files.filter((file) => file !== name.file && file.startsWith(`events-${name.key}.`))
      ]
      const sideFiles = removed.flatMap(filesOf).filter(SegmentName.isSideFile)
      makingRoom([...sideFiles, ...filesOf(removed[0]!)], remove, () => directory.change(meta, { time, removed: note }))
      for (const file of removed.flatMap(filesOf)) remove(file)
      return removed
    })
    return done ?? []
  })
