/**
 * Copies one store into an archive: reads what changes, commits it with the position that it came from, and begins anew from
 * there after every failure.
 *
 * Two fibers share a queue that is bounded in items and in bytes: one reads, and waits where the queue is full, so that the store
 * that is read holds the backlog. The other takes what is there, so batches are as large as the database is slow.
 */
import * as BackendErrors from "@tidings/core/BackendError"
import type { BackendError } from "@tidings/core/BackendError"
import type { ClusterRef, Event } from "@tidings/core/Event"
import * as EventJson from "@tidings/core/EventJson"
import type { Coverage, Cursor, WatchItem } from "@tidings/core/EventQuery"
import type * as EventReader from "@tidings/core/EventReader"
import * as Timestamp from "@tidings/core/Timestamp"
import type { Micros } from "@tidings/core/Timestamp"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Queue from "effect/Queue"
import * as Semaphore from "effect/Semaphore"
import * as Stream from "effect/Stream"
import type { ArchiveStore, Committed, Opening, Row, Span } from "../ArchiveStore.ts"
import * as metrics from "./archiveMetrics.ts"

export interface Settings {
  readonly replica: string
  /** The most states in a commit. */
  readonly batchSize: number
  /** After so long without anything from a store its watch is begun anew. */
  readonly silenceMillis: number
}

export interface Source {
  readonly name?: string | undefined
  readonly reader: EventReader.Service
}

/** What a replica knows of itself, for those who ask. */
export interface Progress {
  name: string | undefined
  store: string | undefined
  phase: "starting" | "copying" | "live" | "failing"
  problem: string | undefined
  failingSince: Micros | undefined
  until: Micros | undefined
  /** When the oldest item that is not committed was read. */
  waitingSince: Micros | undefined
  written: number
  present: number
  gaps: number
  restarts: number
  /** When something was heard from the store, or a watch was begun that was to say something. */
  heardAt: Micros | undefined
  /** Whether the store counts as not answering: until something is heard from it, also where the watch is begun anew. */
  isUnheard: boolean
  /** Whether it was said that another process has the name of this replica. */
  isShared: boolean
  /** How many were written at the last beats, newest first. */
  readonly rates: Array<number>
}

export const begin = (name: string | undefined): Progress => ({
  name,
  store: undefined,
  phase: "starting",
  problem: undefined,
  failingSince: undefined,
  until: undefined,
  waitingSince: undefined,
  written: 0,
  present: 0,
  gaps: 0,
  restarts: 0,
  heardAt: undefined,
  isUnheard: false,
  isShared: false,
  rates: []
})

/** How often a replica says that it is there. */
export const BEAT_MILLIS = 10_000

/** When the first beat comes: sooner than the others, because it may find that there is nothing to catch up with. */
const FIRST_BEAT_MILLIS = 2_000

/** How long a store has to be silent after its watch was resumed to have nothing to catch up with. */
const QUIET_MILLIS = 1_500

/** Beats whose rates are kept: the one that is not over, and those of the last minute. */
const MOST_RATES = 7

const FIRST_PAUSE_MILLIS = 250
const LONGEST_PAUSE_MILLIS = 30_000

/**
 * How long a store with `copy` may say nothing before it counts as not answering: a cluster says something at the end of each
 * watch, which is over after 45 seconds at the most.
 */
const UNHEARD_MILLIS = 75_000

/** How long a commit may take before the database counts as not answering. */
const UNANSWERED_MILLIS = 60_000

/** How often both are checked. */
const GUARD_MILLIS = 5_000

/** How long a replica that ends waits for the database to note it. */
const LEAVING = "2 seconds"

/** What is read and not committed: at most so many items, and so many KiB as lines. */
const MOST_ITEMS = 2_000
const MOST_KIBIBYTES = 8_192

const PUT_BACK = "the store was put back to an earlier state, as a cluster whose etcd was restored"

type Message =
  | {
      readonly _tag: "Row"
      readonly row: Row
      readonly cursor: Cursor
      readonly at: Micros
      readonly size: number
      readonly isMixed: boolean
    }
  | { readonly _tag: "Live"; readonly cursor: Cursor; readonly at: Micros }
  | { readonly _tag: "Gap"; readonly gap: WatchItem & { readonly _tag: "Gap" }; readonly at: Micros }
  | { readonly _tag: "Beat" }
  | { readonly _tag: "Ended"; readonly exit: Exit.Exit<void, BackendError> }

/** Why an attempt ended. */
type End =
  | { readonly _tag: "Failed"; readonly problem: string }
  /** The position is none of the store any more. */
  | { readonly _tag: "PutBack" }
  /** Another replica has begun a new epoch, or has copied everything before this one. */
  | { readonly _tag: "Overtaken" }
  | { readonly _tag: "Silent" }

/** What a replica has committed, and will commit next. */
interface State {
  cursor: Cursor | undefined
  span: Span | undefined
  /** Up to when everything is copied that was there at the cursor. */
  until: Micros | undefined
  /**
   * Where the next span begins, and why not earlier; there is none until everything before is copied. Absent: where the first
   * item was read, because by then the store has said which moment it shows.
   */
  since: Micros | undefined
  why: string | undefined
  isLive: boolean
  /** Whether there may be a gap that is not told. */
  tell: boolean
}

const pauseOf = (failures: number): number =>
  Math.min(LONGEST_PAUSE_MILLIS, FIRST_PAUSE_MILLIS * 2 ** Math.min(10, failures))

/** Since when a store is complete, by what it says itself; undefined where it does not know. */
const sinceOf = (coverage: ReadonlyArray<Coverage>): Micros | undefined => {
  const times: Array<Micros> = []
  for (const { gaps, since } of coverage) {
    if (since === "unknown") return undefined
    times.push(since)
    // What an archive has of its own are its gaps alone: those of the store lie before it.
    for (const { to } of gaps) {
      if (to === undefined) return undefined
      times.push(to)
    }
  }
  return times.length === 0 ? undefined : Math.max(...times)
}

/** The event as the archive has it: in its cluster, and without the object, of which the line has all that is kept. */
const rowOf = (event: Event, cluster: ClusterRef): Row => {
  const { object: _, ...kept } = event
  return { event: { ...kept, cluster }, line: EventJson.encode({ ...event, cluster }) }
}

/** One attempt: from the position in the database to the end of the watch. */
class Attempt {
  readonly store: ArchiveStore["Service"]
  readonly source: Source
  readonly settings: Settings
  readonly progress: Progress
  readonly clock: Clock.Clock
  readonly opening: Opening
  readonly startedAt: Micros
  readonly state: State
  readonly queue: Queue.Queue<Message>
  readonly budget = Semaphore.makeUnsafe(MOST_KIBIBYTES)
  /** The names of the store: an event of another cluster keeps that. */
  readonly names: ReadonlySet<string>
  /** Whether a copy from the beginning is not complete yet. */
  isBeginning: boolean
  lastItemAt: Micros
  /** When the commit began whose answer is not there. */
  committingSince: Micros | undefined
  isBeating = false
  hasItem = false

  constructor(options: {
    readonly store: ArchiveStore["Service"]
    readonly source: Source
    readonly settings: Settings
    readonly progress: Progress
    readonly clock: Clock.Clock
    readonly opening: Opening
    readonly names: ReadonlySet<string>
    readonly queue: Queue.Queue<Message>
    readonly startedAt: Micros
  }) {
    const { opening, startedAt } = options
    this.store = options.store
    this.source = options.source
    this.settings = options.settings
    this.progress = options.progress
    this.clock = options.clock
    this.names = options.names
    this.queue = options.queue
    this.opening = opening
    this.lastItemAt = startedAt
    this.startedAt = startedAt
    const isResumed = opening.cursor !== undefined
    // A copy in the order of change goes on where it was, and is no more complete for it.
    this.isBeginning = opening.until === undefined
    this.state = {
      cursor: opening.cursor,
      span: isResumed ? opening.span : undefined,
      until: isResumed ? opening.until : undefined,
      since: isResumed ? opening.until : undefined,
      why: opening.until === undefined && opening.epoch > 0 ? PUT_BACK : undefined,
      isLive: false,
      tell: true
    }
  }

  now(): Micros {
    return Timestamp.now(this.clock)
  }

  // -------------------------------------------------------------------------
  // reading
  // -------------------------------------------------------------------------

  private heard(at: Micros): void {
    this.lastItemAt = at
    this.progress.heardAt = at
  }

  private read(item: WatchItem): Effect.Effect<unknown> {
    const at = this.now()
    this.heard(at)
    this.progress.isUnheard = false
    this.progress.waitingSince ??= at
    switch (item._tag) {
      case "Live":
        return Queue.offer(this.queue, { _tag: "Live", cursor: item.cursor, at })
      case "Gap":
        return Queue.offer(this.queue, { _tag: "Gap", gap: item, at })
      case "Event": {
        const { event } = item
        const { cluster } = this.opening
        const isMixed = event.cluster !== undefined && !this.names.has(event.cluster.id)
        const name = cluster.name ?? event.cluster?.name
        const row = rowOf(
          event,
          isMixed ? event.cluster : name === undefined ? { id: cluster.id } : { id: cluster.id, name }
        )
        const size = Math.min(MOST_KIBIBYTES, Math.ceil(row.line.length / 1_024))
        return Effect.andThen(
          this.budget.take(size),
          Queue.offer(this.queue, { _tag: "Row", row, cursor: item.cursor, at, size, isMixed })
        )
      }
    }
  }

  get reading(): Effect.Effect<void> {
    const { reader } = this.source
    const from = this.state.cursor ?? "beginning"
    const items = reader.copy === undefined ? reader.watch({}, from) : reader.copy({}, from)
    // Who waits for room in the queue has not waited for the store.
    const heard = Effect.sync(() => this.heard(this.now()))
    return Stream.runForEach(items, (item) => Effect.andThen(this.read(item), heard)).pipe(
      Effect.exit,
      Effect.flatMap((exit) => Queue.offer(this.queue, { _tag: "Ended", exit })),
      Effect.asVoid
    )
  }

  get beating(): Effect.Effect<never> {
    const beat = Effect.suspend(() => {
      if (this.isBeating) return Effect.void
      this.isBeating = true
      return Queue.offer(this.queue, { _tag: "Beat" })
    })
    return Effect.andThen(
      Effect.andThen(Effect.sleep(FIRST_BEAT_MILLIS), beat),
      Effect.forever(Effect.andThen(Effect.sleep(BEAT_MILLIS), beat))
    )
  }

  /** Finds out that the store or the database hangs: neither fails then, and probes are to be told all the same. */
  get guarding(): Effect.Effect<never> {
    const seconds = (since: Micros): number => Math.round((this.now() - since) / 1_000_000)
    const look = Effect.suspend(() => {
      const { committingSince, progress } = this
      const { heardAt = this.startedAt } = progress
      let problem: string | undefined
      if (committingSince !== undefined && seconds(committingSince) * 1_000 >= UNANSWERED_MILLIS) {
        problem = `the database has not answered for ${seconds(committingSince)} seconds`
      } else if (
        this.source.reader.copy !== undefined &&
        Queue.sizeUnsafe(this.queue) === 0 &&
        committingSince === undefined &&
        seconds(heardAt) * 1_000 >= UNHEARD_MILLIS
      ) {
        progress.isUnheard = true
        problem = `nothing was heard from it for ${seconds(heardAt)} seconds`
      }
      if (problem === undefined || progress.phase === "failing") return Effect.void
      failed(progress, this.now(), problem)
      return Effect.logWarning(`${progress.name ?? progress.store} is not copied now: ${problem}`)
    })
    return Effect.forever(Effect.andThen(Effect.sleep(GUARD_MILLIS), look))
  }

  // -------------------------------------------------------------------------
  // committing
  // -------------------------------------------------------------------------

  private cover(until: Micros): void {
    const { span } = this.state
    if (span === undefined) return
    if (until > span.until) this.state.span = { ...span, until }
    this.state.until = Math.max(until, span.until)
  }

  /**
   * Since when the store itself is complete: what it had at the beginning is copied, so the archive is so too. Asked when it is
   * copied, because meanwhile the store may have removed what is old. One with `copy` forgets by itself, and cannot say it.
   */
  private get known(): Effect.Effect<Micros | undefined, BackendError> {
    const { copy, query } = this.source.reader
    if (copy !== undefined || this.state.span !== undefined || this.state.why !== undefined || !this.isBeginning) {
      return Effect.undefined
    }
    return Effect.catch(
      Effect.map(query({ limit: 0 }), ({ coverage }) => sinceOf(coverage)),
      (error) => (BackendErrors.isTemporary(error) ? Effect.fail(error) : Effect.undefined)
    )
  }

  /** From here on everything is complete; `known`: so it is since then already. */
  private complete(at: Micros, known?: Micros): void {
    const { why } = this.state
    const since = Math.min(this.state.since ?? at, known ?? Number.POSITIVE_INFINITY)
    this.state.span ??= { since, until: since, ...(why === undefined ? undefined : { why }) }
    this.cover(since)
  }

  /** Repeats a commit until it is known to be there: until then nothing that comes later is committed. */
  private commit(rows: ReadonlyArray<Row>, isMixed: boolean, ended?: Span): Effect.Effect<Committed, BackendError> {
    const { cursor, isLive, span, tell, until } = this.state
    const { epoch, key } = this.opening
    const once = this.store.commit({
      key,
      replica: this.settings.replica,
      epoch,
      rows,
      isMixed,
      cursor,
      span,
      until,
      ended,
      isLive,
      tell: tell && span !== undefined,
      isFirst: this.isBeginning && span !== undefined
    })
    const attempt = (failures: number): Effect.Effect<Committed, BackendError> =>
      Effect.catch(once, (error) => {
        this.committingSince = undefined
        // The store that this was opened in is gone: nothing of it is good in another one.
        if (error.reason._tag === "TargetMismatch") return Effect.fail(error)
        failed(this.progress, this.now(), error.message)
        return Effect.andThen(
          failures === 0
            ? Effect.logWarning(`the archive cannot be written and waits, nothing is lost: ${error.message}`)
            : Effect.void,
          Effect.andThen(
            Effect.sleep(pauseOf(failures)),
            Effect.suspend(() => {
              this.committingSince = this.now()
              return attempt(failures + 1)
            })
          )
        )
      })
    this.committingSince = this.now()
    return Effect.tap(attempt(0), (committed) => this.committed(rows.length, committed))
  }

  private committed(rows: number, { gaps, isPending, isShared, written }: Committed): Effect.Effect<void> {
    const { progress, state } = this
    this.committingSince = undefined
    if (state.span !== undefined) {
      state.tell = isPending
      this.isBeginning = false
    }
    // That the database answers says nothing about the store.
    if (!progress.isUnheard) {
      progress.problem = undefined
      progress.failingSince = undefined
      progress.phase = state.isLive ? "live" : "copying"
    }
    progress.until = state.span?.until ?? progress.until
    progress.written += written
    progress.present += rows - written
    progress.gaps += gaps
    progress.rates[0] = (progress.rates[0] ?? 0) + written
    const counted = metrics.committed(progress, { written, present: rows - written, gaps })
    if (isShared !== true || progress.isShared) return counted
    progress.isShared = true
    return Effect.andThen(
      counted,
      Effect.logWarning(
        `another process archives ${progress.name ?? progress.store} into the same database as the replica ` +
          `${JSON.stringify(this.settings.replica)}: nothing is lost, but give each a name of its own (--replica), so that ` +
          "what one of them covered is not taken for what the other did"
      )
    )
  }

  /** Commits what the queue has; says why where the attempt is over. */
  private take(messages: ReadonlyArray<Message>): Effect.Effect<End | undefined, BackendError> {
    const { state } = this
    return Effect.gen({ self: this }, function* () {
      let rows: Array<Row> = []
      let size = 0
      let isMixed = false
      let isChanged = false
      let end: End | undefined
      const flush = (ended?: Span) =>
        Effect.gen({ self: this }, function* () {
          const { isOvertaken } = yield* this.commit(rows, isMixed, ended)
          yield* this.budget.release(size)
          rows = []
          size = 0
          isMixed = false
          isChanged = false
          if (isOvertaken) end ??= { _tag: "Overtaken" }
        })
      for (const message of messages) {
        if (end !== undefined) break
        if ("at" in message) state.since ??= message.at
        switch (message._tag) {
          case "Row": {
            rows.push(message.row)
            size += message.size
            isMixed ||= message.isMixed
            isChanged = true
            // A copy that is not complete begins anew: of its pages none is before the others.
            if (this.source.reader.copy === undefined || state.cursor !== undefined) state.cursor = message.cursor
            // Items come in the order of change, so what was there when this one happened is read.
            this.cover(Math.min(message.at, message.row.event.last))
            break
          }
          case "Live": {
            state.cursor = message.cursor
            const wasLive = state.isLive
            state.isLive = true
            this.complete(message.at, yield* this.known)
            // The first one says less than that nothing is missing: what a store has read for it is of the time when the watch
            // began, and where history is gone, only the watch that follows finds that out.
            if (wasLive) this.cover(message.at)
            else if (this.source.reader.copy === undefined) this.cover(this.startedAt)
            isChanged = true
            break
          }
          case "Gap": {
            const { gap } = message
            const { span } = state
            const until = span === undefined ? 0 : Math.min(span.until, gap.from ?? span.until)
            if (span !== undefined) state.until = until
            state.cursor = gap.cursor
            state.span = undefined
            state.why = gap.reason
            state.since = Math.max(gap.to ?? message.at, gap.from ?? 0)
            state.tell = true
            // One that copies what is left says when it is through with it.
            if (this.source.reader.copy === undefined) this.complete(message.at)
            else state.isLive = false
            yield* flush(span === undefined || until < span.since ? undefined : { ...span, until })
            break
          }
          case "Beat": {
            this.isBeating = false
            this.progress.rates.unshift(0)
            this.progress.rates.length = Math.min(this.progress.rates.length, MOST_RATES)
            isChanged = true
            // What waits in the queue was read: then the database is slow, and not the store silent.
            const quiet = Queue.sizeUnsafe(this.queue) === 0 ? (this.now() - this.lastItemAt) / 1_000 : 0
            // Of a store that says nothing after its watch was resumed, there is nothing to catch up with.
            if (state.span !== undefined && quiet >= QUIET_MILLIS) state.isLive = true
            if (this.progress.isUnheard) state.isLive = false
            if (quiet > this.settings.silenceMillis) end = { _tag: "Silent" }
            break
          }
          case "Ended": {
            end = endOf(message.exit, this.hasItem || this.opening.cursor !== undefined)
            break
          }
        }
        if (message._tag !== "Beat" && message._tag !== "Ended") this.hasItem = true
      }
      if (isChanged && end?._tag !== "Overtaken") yield* flush()
      // What is left in the queue was read after what is committed now.
      const last = messages.findLast((message) => "at" in message)
      if (Queue.sizeUnsafe(this.queue) === 0) this.progress.waitingSince = undefined
      else if (last !== undefined) this.progress.waitingSince = last.at
      return end
    })
  }

  get committing(): Effect.Effect<End, BackendError> {
    return Effect.gen({ self: this }, function* () {
      while (true) {
        const end = yield* this.take(yield* Queue.takeBetween(this.queue, 1, this.settings.batchSize))
        if (end !== undefined) return end
      }
    })
  }
}

const endOf = (exit: Exit.Exit<void, BackendError>, hasPosition: boolean): End => {
  if (Exit.isSuccess(exit)) return { _tag: "Failed", problem: "the watch ended" }
  const error = Exit.findErrorOption(exit)
  if (error._tag === "None") return { _tag: "Failed", problem: String(exit.cause) }
  return error.value.reason._tag === "CursorMismatch" && hasPosition
    ? { _tag: "PutBack" }
    : { _tag: "Failed", problem: error.value.message }
}

const failed = (progress: Progress, now: Micros, problem: string): void => {
  progress.phase = "failing"
  progress.failingSince ??= now
  progress.problem = problem
}

/** Copies a store for as long as it runs. */
export const run = (
  store: ArchiveStore["Service"],
  source: Source,
  settings: Settings,
  progress: Progress
): Effect.Effect<never> =>
  Effect.gen(function* () {
    const clock = yield* Clock.Clock
    let failures = 0
    let key: number | undefined
    const leave = (problem?: string) =>
      Effect.suspend(() =>
        key === undefined
          ? Effect.void
          : Effect.ignore(Effect.timeoutOption(store.leave({ key, replica: settings.replica, problem }), LEAVING))
      )

    const attempt = Effect.scoped(
      Effect.gen(function* () {
        const target = yield* source.reader.target
        progress.store ??= target.id
        const startedAt = Timestamp.now(clock)
        const opening = yield* store.open({ target, name: source.name, replica: settings.replica })
        key = opening.key
        progress.store = opening.cluster.id
        progress.name = opening.cluster.name ?? progress.name
        const queue = yield* Queue.bounded<Message>(MOST_ITEMS)
        const one = new Attempt({
          store,
          source,
          settings,
          progress,
          clock,
          opening,
          queue,
          startedAt,
          names: new Set([opening.cluster.id, target.id, ...target.aliases])
        })
        progress.heardAt ??= startedAt
        if (!progress.isUnheard) progress.phase = "copying"
        yield* Effect.forkScoped(one.reading)
        yield* Effect.forkScoped(one.beating)
        yield* Effect.forkScoped(one.guarding)
        const end = yield* one.committing
        if (one.state.isLive) failures = 0
        if (end._tag === "PutBack") {
          yield* Effect.logWarning(
            `${source.name ?? opening.cluster.id}: ${PUT_BACK}; what it has now is copied from the beginning`
          )
          yield* store.newEpoch({
            key: opening.key,
            replica: settings.replica,
            epoch: opening.epoch,
            ended: one.state.span
          })
        }
        return end
      })
    )

    const copy = Effect.gen(function* () {
      while (true) {
        const exit = yield* Effect.exit(attempt)
        progress.restarts++
        progress.waitingSince = undefined
        let problem: string | undefined
        // A watch that is begun anew because it was silent has said nothing for as long.
        if (Exit.isFailure(exit) || exit.value._tag !== "Silent") progress.heardAt = undefined
        if (Exit.isSuccess(exit)) {
          const end = exit.value
          yield* metrics.restarted(progress, end._tag)
          if (end._tag === "Silent") {
            yield* Effect.logDebug(
              `${progress.name ?? progress.store}: the watch was silent and begins anew from where it was`
            )
          }
          if (end._tag !== "Failed") continue
          problem = end.problem
        } else {
          const error = Exit.findErrorOption(exit)
          problem = error._tag === "Some" ? error.value.message : String(exit.cause)
        }
        if (progress.failingSince === undefined) {
          yield* Effect.logWarning(`${progress.name ?? progress.store ?? "a store"} is not copied now: ${problem}`)
        }
        failed(progress, Timestamp.now(clock), problem)
        yield* leave(problem)
        yield* Effect.sleep(pauseOf(failures++))
      }
    })
    return yield* Effect.onInterrupt(copy, () => leave())
  })
