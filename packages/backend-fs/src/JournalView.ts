/**
 * Reads a file journal from outside the process that owns it: what waits and what is parked, also while a host runs on it. Asks that
 * host to retry or drop what is parked. `tidings parked` and `tidings doctor` show it.
 *
 * Reading changes nothing in the journal. Requests go into files of their own.
 *
 * @since 0.1.0
 */
import { Correlator } from "@tidings/core/Correlator"
import type { Json } from "@tidings/core/EventData"
import * as EventId from "@tidings/core/EventId"
import type { Checkpoint, JournalError, Parked, ParkedRequest } from "@tidings/core/Journal"
import * as Effect from "effect/Effect"
import * as path from "node:path"
import { Disk } from "./internal/disk.ts"
import { codeOf } from "./internal/diskError.ts"
import { isLocked } from "./internal/fileLock.ts"
import { DirectoryEntries } from "./internal/journal/directoryEntries.ts"
import { Damaged, errorOf } from "./internal/journal/errors.ts"
import * as fileNames from "./internal/journal/fileNames.ts"
import { entryIn, linesOf } from "./internal/journal/lines.ts"
import { ownerOf } from "./internal/journal/ownership.ts"
import * as parkedRequests from "./internal/journal/parkedRequests.ts"
import { loadCheckpoint, readParked } from "./internal/journal/sinkFiles.ts"
import { withNamedFailures } from "./internal/namedFailures.ts"

// ---------------------------------------------------------------------------
// models
// ---------------------------------------------------------------------------

/**
 * A parked event.
 *
 * @category models
 * @since 0.1.0
 */
export interface ParkedEvent extends Parked {
  /** Whether the host is retrying it; it stays parked until it is delivered. */
  readonly isRetried: boolean
}

/**
 * One sink of the host, as of its last checkpoint.
 *
 * @category models
 * @since 0.1.0
 */
export interface Sink {
  readonly name: string
  /** Its files in the directory, without what comes after the last dot. */
  readonly file: string
  /** What it writes to: the UID of a cluster, the id of a log. Absent until it has reached it once. */
  readonly target?: string | undefined
  /** How many occurrences are accepted and not settled, dropped or parked. */
  readonly pending: number
  readonly parked: ReadonlyArray<ParkedEvent>
  /** Requests that the host has not read yet. */
  readonly requests: ReadonlyArray<ParkedRequest>
  /** Why its checkpoint cannot be read; `target` and `pending` are not known then. */
  readonly damage?: string | undefined
}

/**
 * A journal.
 *
 * @category models
 * @since 0.1.0
 */
export interface JournalView {
  /** An absolute path. */
  readonly directory: string
  /** The process that has it open, in words; absent when none has. */
  readonly owner?: string | undefined
  /** The last seq that is accepted. */
  readonly head: number
  /** Size of the segments. */
  readonly bytes: number
  readonly sinks: ReadonlyArray<Sink>
}

// ---------------------------------------------------------------------------
// reading
// ---------------------------------------------------------------------------

/** How often a journal is read whose owner removed a segment between its listing and its reading. */
const MOST_TRIES = 8

const headIn = (
  disk: Disk,
  entries: DirectoryEntries,
  files: ReadonlyArray<string>
): { readonly head: number; readonly bytes: number } => {
  let bytes = 0
  let newest: { readonly path: string; readonly first: number; readonly size: number } | undefined
  for (const file of files) {
    const name = fileNames.parseSegment(file)
    if (name === undefined) continue
    const path = entries.pathOf(file)
    const size = disk.status(path)?.size ?? 0
    bytes += size
    if (newest === undefined || name.first > newest.first) newest = { path, first: name.first, size }
  }
  if (newest === undefined) return { head: 0, bytes }
  let head = newest.first - 1
  if (newest.size > 0) {
    for (const line of linesOf(disk, newest.path, 0, newest.size)) {
      const entry = line.ended ? entryIn(line.bytes) : undefined
      // A batch is accepted when its last entry is there.
      if (entry !== undefined && entry.seq === entry.last) head = entry.last
    }
  }
  return { head, bytes }
}

const heldIn = (correlator: unknown): number => {
  try {
    return Correlator.restore(correlator as Json).held
  } catch {
    // The state of another version of the recorder: how much it holds is not known.
    return 0
  }
}

const listOf = (value: unknown): ReadonlyArray<unknown> => (Array.isArray(value) ? value : [])
const fieldOf = (value: unknown, field: string): unknown =>
  typeof value === "object" && value !== null ? Object.entries(value).find(([key]) => key === field)?.[1] : undefined
const countOf = (value: unknown): number => (typeof value === "number" ? value : 0)

/** The parts of a recorder's checkpoint: its outbox, the occurrences that its correlator holds, and what it counts as parked. */
const stateOf = ({ state }: Checkpoint) => ({
  waiting:
    listOf(fieldOf(state, "outbox")).reduce((sum: number, one) => sum + countOf(listOf(one)[1]), 0) +
    heldIn(fieldOf(state, "correlator")),
  parked: new Set(listOf(fieldOf(state, "parked")).map((one) => `${String(listOf(one)[0])}.${String(listOf(one)[1])}`))
})

const sinkIn = (disk: Disk, entries: DirectoryEntries, file: string, head: number): Sink => {
  const about = { name: fileNames.sinkOf(file), file }
  const requests = parkedRequests.read(disk, entries.pathOf(fileNames.requestsFile(file)))
  const all = [...readParked(disk, entries.pathOf(fileNames.parkedFile(file))).values()]
  let checkpoint: Checkpoint | undefined
  try {
    checkpoint = loadCheckpoint(disk, entries, file)
  } catch (cause) {
    if (!(cause instanceof Damaged)) throw cause
    return {
      ...about,
      pending: 0,
      parked: all.map((one) => ({ ...one, isRetried: false })),
      requests,
      damage: cause.message
    }
  }
  const { parked, waiting } = checkpoint === undefined ? { parked: new Set(), waiting: 0 } : stateOf(checkpoint)
  const upTo = checkpoint?.upTo ?? head
  // Entries after the checkpoint that are parked do not wait.
  const parkedSince = all.reduce(
    (sum, { occurrences, write }) =>
      write.upTo > upTo && !parked.has(EventId.format(write.id)) ? sum + occurrences : sum,
    0
  )
  const changedAt = (disk.status(entries.pathOf(fileNames.checkpointFile(file)))?.made ?? 0) * 1_000
  return {
    ...about,
    target: checkpoint?.target,
    pending: Math.max(0, head - upTo - parkedSince) + waiting,
    // What was parked after the checkpoint is not in its state.
    parked: all.map((one) => ({
      ...one,
      isRetried: one.write.upTo <= upTo && one.at < changedAt && !parked.has(EventId.format(one.write.id))
    })),
    requests
  }
}

const ownerIn = (disk: Disk, entries: DirectoryEntries): string | undefined => {
  const lock = entries.pathOf(fileNames.LOCK)
  return disk.status(lock) !== undefined && isLocked(lock) ? ownerOf(disk, entries) : undefined
}

const attempt = <A>(directory: string, use: () => A): Effect.Effect<A, JournalError> =>
  Effect.try({ try: use, catch: (cause) => errorOf(cause, directory) })

/**
 * Reads the journal in a directory; `undefined` when there is none.
 *
 * It does not show what a running host has done since its last checkpoint, which is at most some seconds ago.
 *
 * **Example**
 *
 * ```ts
 * import * as JournalView from "@tidings/backend-fs/JournalView"
 * import * as Effect from "effect/Effect"
 * import assert from "node:assert/strict"
 *
 * assert.equal(await Effect.runPromise(JournalView.read("/nowhere/journal")), undefined)
 * ```
 *
 * @category reading
 * @since 0.1.0
 */
export const read = (directory: string): Effect.Effect<JournalView | undefined, JournalError> =>
  Effect.gen(function* () {
    const disk = withNamedFailures(yield* Disk)
    const absolute = path.resolve(directory)
    const entries = new DirectoryEntries(disk, absolute)
    const readOnce = (): JournalView | undefined => {
      if (disk.status(absolute)?.kind !== "directory") return undefined
      const files = disk.list(absolute)
      if (!files.includes(fileNames.LOCK)) return undefined
      const { bytes, head } = headIn(disk, entries, files)
      const sinks = fileNames.sinksIn(files.toSorted()).map((file) => sinkIn(disk, entries, file, head))
      return { directory: absolute, owner: ownerIn(disk, entries), head, bytes, sinks }
    }
    return yield* attempt(absolute, () => {
      for (let tries = 1; ; tries++) {
        try {
          return readOnce()
        } catch (cause) {
          if (codeOf(cause) !== "ENOENT" || tries === MOST_TRIES) throw cause
        }
      }
    })
  })

// ---------------------------------------------------------------------------
// asking
// ---------------------------------------------------------------------------

/** Number of series on one line: a line is one write. */
const SERIES_PER_LINE = 1_000

/**
 * Asks the host to retry parked events, or to drop them. A running host reads the request within seconds; without one, the next
 * host reads it when it starts.
 *
 * @category asking
 * @since 0.1.0
 */
export const request = (
  { directory }: JournalView,
  { file }: Sink,
  { action, series }: ParkedRequest
): Effect.Effect<void, JournalError> =>
  Effect.gen(function* () {
    const disk = withNamedFailures(yield* Disk)
    yield* attempt(directory, () => {
      const owner = disk.status(directory)?.owner ?? 0
      for (let from = 0; from < series.length; from += SERIES_PER_LINE) {
        const some = series.slice(from, from + SERIES_PER_LINE)
        parkedRequests.add(disk, path.join(directory, fileNames.requestsFile(file)), owner, { action, series: some })
      }
    })
  })
