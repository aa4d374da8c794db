/**
 * Checks whether events can be recorded and read in a directory, and says what to do where they cannot. `tidings doctor` prints it.
 *
 * @since 0.1.0
 */
import * as Backend from "@tidings/core/Backend"
import type { Check } from "@tidings/core/BackendCheck"
import type { BackendError } from "@tidings/core/BackendError"
import type { EventPage } from "@tidings/core/EventQuery"
import * as Timestamp from "@tidings/core/Timestamp"
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as fs from "node:fs"
import * as path from "node:path"
import * as FileBackend from "./FileBackend.ts"
import * as access from "./internal/access.ts"
import { Disk } from "./internal/disk.ts"
import { whatIsDamaged } from "./internal/log/coverage.ts"
import * as Limits from "./internal/log/limits.ts"
import * as LogMeta from "./internal/log/logMeta.ts"
import * as SegmentName from "./internal/log/segmentName.ts"
import * as JournalView from "./JournalView.ts"

// ---------------------------------------------------------------------------
// words
// ---------------------------------------------------------------------------

const many = (n: number, one: string): string => `${n} ${n === 1 ? one : `${one}s`}`

const lengthOf = (micros: number): string => {
  const seconds = Math.round(micros / 1_000_000)
  return seconds === 0 ? "0s" : Duration.format(Duration.seconds(seconds))
}

// ---------------------------------------------------------------------------
// the directory
// ---------------------------------------------------------------------------

type Ask = (file: string, mode: number) => string | undefined

const { R_OK, W_OK, X_OK } = fs.constants

const elsewhere = "or choose another directory (TIDINGS_DIRECTORY)"

const absentCheck = (disk: Disk, ask: Ask, directory: string): Check => {
  const lost = access.lostLink(disk, directory)
  if (lost !== undefined) {
    return {
      name: "directory",
      state: "broken",
      found: lost,
      advice: `create that directory, correct the link, ${elsewhere}`,
      facts: { directory, exists: false }
    }
  }
  const { path: parent, status } = access.nearestAncestor(disk, directory)
  if (status !== undefined && status.kind !== "directory") {
    return {
      name: "directory",
      state: "broken",
      found: `${directory} cannot be there: ${parent} is a file where a directory should be`,
      advice: `move it away, ${elsewhere}`,
      facts: { directory, exists: false }
    }
  }
  return ask(parent, W_OK | X_OK) === undefined
    ? {
        name: "directory",
        state: "note",
        found: `${directory} does not exist yet`,
        advice: "nothing to do: the first writer creates it",
        facts: { directory, exists: false }
      }
    : {
        name: "directory",
        state: "broken",
        found: `${directory} does not exist, and this user may not create it in ${parent}`,
        advice: `create it as a user who may, give it to this user, ${elsewhere}`,
        facts: { directory, exists: false }
      }
}

/** A segment that this process may not use in a mode. */
const closedTo = (disk: Disk, ask: Ask, directory: string, mode: number): string | undefined =>
  disk
    .list(directory)
    .filter((file) => SegmentName.ofStored(file) !== undefined)
    .map((file) => path.join(directory, file))
    .find((file) => disk.status(file)?.kind === "file" && ask(file, mode) !== undefined)

const mayReadLog = (disk: Disk, ask: Ask, directory: string): boolean =>
  disk.user === undefined ||
  (ask(directory, R_OK | X_OK) === undefined &&
    access.problemOf(disk, directory, disk.status(directory)!, "read", "log") === undefined &&
    closedTo(disk, ask, directory, R_OK) === undefined)

/**
 * A log that this user can read and not write is no fault where it belongs to another user or its file system is mounted read-only:
 * that is how readers are set up. It is a fault where the user owns the log, or may write to its directory and not to one of its files,
 * because such a user is expected to record events.
 */
const permissionCheck = (disk: Disk, ask: Ask, directory: string, mayRead: boolean): Check => {
  const status = disk.status(directory)!
  const { owner, permissions } = status
  const found = `mode ${access.octal(permissions)}, ${owner === disk.user ? "of this user" : `of user ${owner}`}`
  const facts = { mode: access.octal(permissions), owner, user: disk.user ?? null }
  const common = { name: "permissions", found, facts }
  if (disk.user === undefined) return { ...common, state: "ok", found: "this system has no file permissions to check" }
  const readOnly = (toRecord: string): Check => ({
    ...common,
    state: "note",
    found: `${found}; this user may read the log, and not record in it`,
    advice: `nothing to do to read it; to record: ${toRecord}`,
    facts: { ...facts, mayRecord: false }
  })
  const problem = access.problemOf(disk, directory, status, "write", "log")
  if (problem !== undefined) return mayRead ? readOnly(problem) : { ...common, state: "broken", advice: problem }
  const denied = ask(directory, R_OK | W_OK | X_OK)
  if (denied !== undefined) {
    const asOwner = `run as user ${owner}, chown -R ${disk.user} ${directory}, ${elsewhere}`
    if (mayRead && denied === "EROFS") return readOnly(`mount its file system writable, ${elsewhere}`)
    if (owner === disk.user) {
      const read = mayRead ? "; this user may read the log, and not record in it" : ""
      return {
        ...common,
        found: `${found}${read}`,
        state: "broken",
        advice: `chmod u+rwx ${directory}; or mount its file system writable`
      }
    }
    return mayRead
      ? readOnly(asOwner)
      : { ...common, state: "broken", advice: `this process runs as user ${disk.user}: ${asOwner}` }
  }
  const unusable = closedTo(disk, ask, directory, R_OK | W_OK)
  if (unusable !== undefined) {
    return {
      ...common,
      state: "broken",
      found: `${found}; ${path.basename(unusable)} is not accessible to this user`,
      advice: `chmod g+rw ${unusable}, and let its writers run with a umask of 002; ${elsewhere}`
    }
  }
  // A setgid directory is shared with its group on purpose.
  const ofOthers = permissions & (access.isShared(status) ? 0o007 : 0o077)
  return ofOthers === 0
    ? { ...common, state: "ok" }
    : {
        ...common,
        state: "note",
        advice: `other users can see or change the log: chmod go-rwx ${directory} unless that is meant`
      }
}

const NOTED_BYTES = 100_000_000
const BROKEN_BYTES = 1_000_000

const spaceCheck = (directory: string): Check | undefined => {
  try {
    const { bavail, bsize } = fs.statfsSync(directory)
    const free = bavail * bsize
    const common = { name: "disk", found: `${Limits.size(free)} free`, facts: { freeBytes: free } }
    if (free >= NOTED_BYTES) return { ...common, state: "ok" }
    return { ...common, state: free < BROKEN_BYTES ? "broken" : "note", advice: `free some space, ${elsewhere}` }
  } catch {
    // The file system does not tell; recording on a full disk fails.
    return undefined
  }
}

// ---------------------------------------------------------------------------
// the log
// ---------------------------------------------------------------------------

const segmentsCheck = ({ segments }: FileBackend.Status): Check => {
  const bytes = segments.reduce((sum, segment) => sum + segment.bytes, 0)
  const newest = segments.at(-1)
  const compressed = segments.filter(({ uncompressedBytes }) => uncompressedBytes !== undefined)
  const lines = compressed.reduce((sum, { uncompressedBytes }) => sum + (uncompressedBytes ?? 0), 0)
  const ofThem =
    compressed.length === 0 ? "" : `, ${compressed.length} of them compressed with ${Limits.size(lines)} of lines`
  return {
    name: "segments",
    state: "ok",
    found:
      newest === undefined
        ? "none yet"
        : `${many(segments.length, "file")}, ${Limits.size(bytes)}${ofThem}; the newest is ${newest.file}`,
    facts: { segments: segments.length, bytes, compressedSegments: compressed.length }
  }
}

const retentionCheck = ({ removed, retention }: FileBackend.Status): Check => {
  const isLimited = !Limits.isSame(retention, {})
  return {
    name: "retention",
    state: isLimited ? "ok" : "note",
    found:
      `events are kept ${Limits.words(retention)}` +
      (removed === undefined ? "; nothing was removed yet" : `; ${LogMeta.whatWasRemoved(removed)}`),
    ...(isLimited
      ? undefined
      : { advice: "the log can fill its disk; set limits with: tidings retention --max-age 90d --max-size 10GiB" }),
    facts: {
      maxAgeSeconds: retention.maxAgeSeconds ?? null,
      maxBytes: retention.maxBytes ?? null,
      maxEvents: retention.maxEvents ?? null,
      removedUntil: removed === undefined ? null : Timestamp.format(removed.until)
    }
  }
}

/** What is gone, apart from what retention removed and from damaged lines, of which other checks tell. */
const lossCheck = ({ coverage }: EventPage, { damaged, removed }: FileBackend.Status): Check => {
  const told = new Set([whatIsDamaged(damaged), ...(removed === undefined ? [] : [LogMeta.whatWasRemoved(removed)])])
  const lost = coverage.flatMap(({ gaps }) => gaps).flatMap(({ reason }) => (told.has(reason) ? [] : [reason]))
  return {
    name: "lost segments",
    state: lost.length === 0 ? "ok" : "note",
    found: lost.length === 0 ? "none" : lost.join("; "),
    ...(lost.length === 0
      ? undefined
      : { advice: "restore the files from a copy, with their names; otherwise their events stay missing" }),
    facts: { gaps: lost.length }
  }
}

const passedOverCheck = ({ directory, passedOver }: FileBackend.Status): Check => ({
  name: "other files",
  state: passedOver.length === 0 ? "ok" : "note",
  found:
    passedOver.length === 0
      ? "none in the place of a segment"
      : `not read: ${passedOver.map(({ file, reason }) => `${file} (${reason})`).join(", ")}`,
  ...(passedOver.length === 0 ? undefined : { advice: `move them out of ${directory}` }),
  facts: { passedOver: passedOver.map(({ file }) => file) }
})

const eventsCheck = ({ events, totalCount }: EventPage, now: number): Check => ({
  name: "events",
  state: "ok",
  found:
    events[0] === undefined
      ? "none yet"
      : `${many(totalCount, "event")}, the newest ${lengthOf(Math.max(0, now - events[0].last))} old`,
  facts: { events: totalCount, newest: events[0] === undefined ? null : Timestamp.format(events[0].last) }
})

const damageCheck = ({ damaged: { bytes, lines } }: FileBackend.Status): Check => ({
  name: "damaged lines",
  state: lines === 0 ? "ok" : "note",
  found: lines === 0 ? "none" : `${lines} (${Limits.size(bytes)}), which readers skip`,
  ...(lines === 0
    ? undefined
    : {
        advice: "nothing to do: a writer was stopped in the middle of a line, the disk was full, or a file was edited"
      }),
  facts: { lines, bytes }
})

/** Clocks of machines that share a directory may differ by this much. */
const AHEAD_MICROS = 2_000_000

const clockCheck = ({ events }: EventPage, now: number): Check => {
  const ahead = (events[0]?.last ?? now) - now
  const facts = { aheadSeconds: Math.max(0, Math.round(ahead / 1_000_000)) }
  return ahead < AHEAD_MICROS
    ? { name: "clock", state: "ok", found: "no event is from the future", facts }
    : {
        name: "clock",
        state: "note",
        found: `the newest event is from ${lengthOf(ahead)} ahead of now`,
        advice: "set the clocks of this machine and of those that record by the same source (NTP)",
        facts
      }
}

const logChecks = (
  directory: string,
  onProgress: FileBackend.Options["onProgress"]
): Effect.Effect<ReadonlyArray<Check>, BackendError> =>
  Effect.gen(function* () {
    const backend = yield* Backend.Backend
    const log = yield* FileBackend.EventLog
    const now = Timestamp.now(yield* Clock.Clock)
    const { id } = yield* backend.target
    // A query reads the whole log, and so finds all damage.
    const page = yield* backend.query({ limit: 1 })
    const status = yield* log.status
    return [
      { name: "identity", state: "ok", found: id, facts: { id } },
      segmentsCheck(status),
      retentionCheck(status),
      lossCheck(page, status),
      passedOverCheck(status),
      eventsCheck(page, now),
      damageCheck(status),
      clockCheck(page, now)
    ] satisfies ReadonlyArray<Check>
  }).pipe(Effect.provide(FileBackend.layer({ directory, create: false, console: false, onProgress })))

/**
 * Checks the event log in a directory: whether it exists, who may use it, how much it holds, what of it is damaged, and whether
 * clocks agree. It reads the whole log and changes no event; side files that are missing are made. It does not fail: problems are
 * results.
 *
 * **Example**
 *
 * ```ts
 * import * as FileCheck from "@tidings/backend-fs/FileCheck"
 * import * as Effect from "effect/Effect"
 * import assert from "node:assert/strict"
 *
 * const [directory] = await Effect.runPromise(FileCheck.run({ directory: "/dev/null/log" }))
 * assert.equal(directory?.state, "broken")
 * ```
 *
 * @category checks
 * @since 0.1.0
 */
export const run = (options?: {
  /** `FileBackend.directory` unless given. */
  readonly directory?: string | undefined
  /** Is told how far it is with the side files that are missing, as by `FileBackend.layer`. */
  readonly onProgress?: FileBackend.Options["onProgress"]
}): Effect.Effect<ReadonlyArray<Check>> =>
  Effect.gen(function* () {
    const disk = yield* Disk
    const ask = yield* access.Ask
    const found = yield* Effect.result(
      options?.directory === undefined ? FileBackend.directory : Effect.succeed(path.resolve(options.directory))
    )
    if (Result.isFailure(found)) {
      const check: Check = { name: "directory", state: "broken", found: found.failure.message }
      return [check]
    }
    const directory = found.success
    const status = yield* Effect.result(Effect.try({ try: () => disk.status(directory), catch: (cause) => cause }))
    if (Result.isFailure(status) || (status.success !== undefined && status.success.kind !== "directory")) {
      const check: Check = {
        name: "directory",
        state: "broken",
        found: Result.isFailure(status)
          ? `${directory} cannot be examined: ${String(status.failure)}`
          : `${directory} is a file where a directory should be`,
        advice: `move away what is in its place, ${elsewhere}`,
        facts: { directory, exists: false }
      }
      return [check]
    }
    if (status.success === undefined) return [absentCheck(disk, ask, directory)]
    const isThere: Check = { name: "directory", state: "ok", found: directory, facts: { directory, exists: true } }
    const mayRead = mayReadLog(disk, ask, directory)
    const permissions = permissionCheck(disk, ask, directory, mayRead)
    const space = spaceCheck(directory)
    const checks = [isThere, permissions, ...(space === undefined ? [] : [space])]
    // What is broken may only be that nothing can be recorded.
    if (!mayRead) return checks
    return yield* Effect.match(logChecks(directory, options?.onProgress), {
      onFailure: ({ reason }): ReadonlyArray<Check> => [
        ...checks,
        disk.list(directory).includes(".meta.json") || SegmentName.areIn(disk.list(directory))
          ? { name: "identity", state: "broken", found: reason.detail }
          : {
              name: "identity",
              state: "note",
              found: "no event log here yet",
              advice: "nothing to do: the first writer creates it"
            }
      ],
      onSuccess: (log): ReadonlyArray<Check> => [...checks, ...log]
    })
  })

// ---------------------------------------------------------------------------
// the journal
// ---------------------------------------------------------------------------

const sinkCheck = (sink: JournalView.Sink, owner: string | undefined): Check => {
  const { damage, name, parked, pending, requests, target } = sink
  const occurrences = parked.reduce((sum, one) => sum + one.occurrences, 0)
  const common = {
    name: `sink ${name}`,
    facts: { sink: name, target: target ?? null, pending, parked: occurrences, parkedSeries: parked.length }
  }
  if (damage !== undefined) return { ...common, state: "broken", found: damage }
  const waiting = pending === 0 ? "nothing is pending" : `${many(pending, "occurrence")} wait`
  const aside =
    parked.length === 0 ? "nothing is parked" : `${many(occurrences, "occurrence")} of ${parked.length} series parked`
  const asked = requests.length === 0 ? "" : "; requested retries and drops are pending"
  const found = `${waiting}, ${aside}${asked}${target === undefined ? "; it has not reached its backend yet" : ""}`
  if (parked.length > 0) {
    return { ...common, state: "note", found, advice: "see why, and retry or drop them, with: tidings parked" }
  }
  return pending > 0 && owner === undefined
    ? { ...common, state: "note", found, advice: "they are delivered when the next host starts on this journal" }
    : { ...common, state: "ok", found }
}

/**
 * Checks a recorder's journal: who has it open, and what waits and is parked for each of its sinks. No checks where there is no
 * journal. It changes nothing, and can be used while a host runs on the journal.
 *
 * @category checks
 * @since 0.1.0
 */
export const runJournal = (directory: string): Effect.Effect<ReadonlyArray<Check>> =>
  Effect.match(JournalView.read(directory), {
    onFailure: ({ message }): ReadonlyArray<Check> => [{ name: "journal", state: "broken", found: message }],
    onSuccess: (view): ReadonlyArray<Check> => {
      if (view === undefined) return []
      const who = view.owner === undefined ? "no host uses it" : `${view.owner} uses it`
      return [
        {
          name: "journal",
          state: "ok",
          found: `${view.directory}, ${Limits.size(view.bytes)}; ${who}`,
          facts: { directory: view.directory, bytes: view.bytes, owner: view.owner ?? null }
        },
        ...view.sinks.map((sink) => sinkCheck(sink, view.owner))
      ]
    }
  })
