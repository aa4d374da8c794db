/**
 * The small interface that a store of events implements.
 *
 * To support a store (a database, a message bus), implement these five members, run the contract suite of
 * `@tidings/testing` on them, and get the recorder, the policies, the command and the MCP tool for it.
 *
 * @since 0.1.0
 */
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Effectable from "effect/Effectable"
import type * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Result from "effect/Result"
import * as Stream from "effect/Stream"
import { BackendError, CursorMismatch } from "./BackendError.ts"
import { type Event, namespaceOf, type Write } from "./Event.ts"
import * as EventId from "./EventId.ts"
import * as EventQuery from "./EventQuery.ts"
import * as EventReader from "./EventReader.ts"
import type { EventFilter, EventPage, WatchFrom, WatchItem } from "./EventQuery.ts"
import { fairly } from "./internal/fairness.ts"
import { type Entry, Store } from "./internal/memoryStore.ts"
import { Notifier } from "./internal/notifier.ts"
import * as Position from "./Position.ts"
import * as Target from "./Target.ts"
import * as Timestamp from "./Timestamp.ts"
import type { Micros } from "./Timestamp.ts"

// ---------------------------------------------------------------------------
// outcomes
// ---------------------------------------------------------------------------

/**
 * What became of one write.
 *
 * - `Settled`: it is stored; `present` means that it already was, with this `upTo` or a later one
 * - `Retry`: not this time; `parkAfter` bounds how long repeating makes sense, counted from its first failure
 * - `Rejected`: it will never be taken
 * - `Dropped`: a policy left it out on purpose
 *
 * @category models
 * @since 0.1.0
 */
export type Outcome =
  | { readonly _tag: "Settled"; readonly how: "created" | "updated" | "present" }
  | { readonly _tag: "Retry"; readonly error: BackendError; readonly parkAfter?: Duration.Input }
  | { readonly _tag: "Rejected"; readonly reason: string }
  | { readonly _tag: "Dropped"; readonly reason: string }

/**
 * The outcome of a write that made a new object.
 *
 * @category constructors
 * @since 0.1.0
 */
export const created: Outcome = { _tag: "Settled", how: "created" }

/**
 * The outcome of a write that raised a count.
 *
 * @category constructors
 * @since 0.1.0
 */
export const updated: Outcome = { _tag: "Settled", how: "updated" }

/**
 * The outcome of a write that the store already had.
 *
 * @category constructors
 * @since 0.1.0
 */
export const present: Outcome = { _tag: "Settled", how: "present" }

// ---------------------------------------------------------------------------
// service
// ---------------------------------------------------------------------------

/**
 * A store of events.
 *
 * **Writing.** `write` answers in the order of its batch, in which a series stands at most once; a missing answer counts
 * as `Retry`. Who knows the outcome of one item answers with outcomes and does not fail; a failure means that nothing is
 * known of any of them. Repeating is always safe: a write whose `upTo` is not beyond what is stored is `present`.
 *
 * **Reading.** The half that it shares with `EventReader`.
 *
 * @category services
 * @since 0.1.0
 */
export class Backend extends Context.Service<
  Backend,
  EventReader.Service & {
    readonly write: (batch: ReadonlyArray<Write>) => Effect.Effect<ReadonlyArray<Outcome>, BackendError>
  }
>()("@tidings/core/Backend") {}

/**
 * The shape of a backend, for those who implement one.
 *
 * @category models
 * @since 0.1.0
 */
export type Service = Backend["Service"]

/**
 * A write of a store that merges by itself what several callers write at a time, as the event log does.
 *
 * **When to use**
 *
 * For backends only. `write` may return any effect; where it returns one of this class, a recorder waits for the answer without a
 * fiber for each event, which costs as much as a fast write, and `Policy.batch` passes it on, since it has nothing to merge.
 *
 * **Details**
 *
 * It is an effect like any other, so a policy that maps it, or a caller that runs it, need not know of it. `join` brings the
 * write to the store for a caller, whose dispatcher says when the next turn of the event loop is, and calls `answer` once: at
 * once or later, with a result, or with an effect that the caller has to run first. What it returns is called where the caller
 * does not wait any more: if it was not stored until then, it will not be. `join` must not throw.
 *
 * **Example** (A store that writes at the end of the turn)
 *
 * ```ts
 * import * as Backend from "@tidings/core/Backend"
 * import type { Write } from "@tidings/core/Event"
 * import * as Effect from "effect/Effect"
 * import type * as Fiber from "effect/Fiber"
 * import assert from "node:assert/strict"
 *
 * let merged = new Map<CollectedWrite, () => void>()
 *
 * class CollectedWrite extends Backend.MergedWrite {
 *   readonly batch: ReadonlyArray<Write>
 *
 *   constructor(batch: ReadonlyArray<Write>) {
 *     super()
 *     this.batch = batch
 *   }
 *
 *   override join(caller: Fiber.Fiber<unknown, unknown>, answer: Parameters<Backend.MergedWrite["join"]>[1]) {
 *     if (merged.size === 0) {
 *       caller.currentDispatcher.scheduleTask(() => {
 *         const callers = merged
 *         merged = new Map()
 *         for (const settle of callers.values()) settle()
 *       }, 0)
 *     }
 *     merged.set(this, () => answer(Effect.succeed(this.batch.map(() => Backend.created))))
 *     return () => void merged.delete(this)
 *   }
 * }
 *
 * const writes = [new CollectedWrite([]), new CollectedWrite([])]
 * assert.deepEqual(await Effect.runPromise(Effect.all(writes, { concurrency: 2 })), [[], []])
 * ```
 *
 * @category models
 * @since 0.2.0
 */
export abstract class MergedWrite extends Effectable.Class<ReadonlyArray<Outcome>, BackendError> {
  abstract join(
    caller: Fiber.Fiber<unknown, unknown>,
    answer: (answer: Effect.Effect<ReadonlyArray<Outcome>, BackendError>) => void
  ): (() => void) | undefined

  override asEffect(): Effect.Effect<ReadonlyArray<Outcome>, BackendError> {
    return Effect.withFiber((caller) =>
      Effect.callback((resume) => {
        const leave = this.join(caller, resume)
        return leave === undefined ? undefined : Effect.sync(leave)
      })
    )
  }
}

export type {
  /**
   * Which kind of store.
   *
   * @category models
   * @since 0.1.0
   */
  Mode
} from "./EventReader.ts"

/**
 * The reader of a backend: for programs that only show events.
 *
 * @category layers
 * @since 0.2.0
 */
export const layerReader: Layer.Layer<EventReader.EventReader, never, Backend> = Layer.effect(
  EventReader.EventReader,
  Effect.gen(function* () {
    const backend = yield* Backend
    const { copy, mode, target } = backend
    const reader: EventReader.EventReader["Service"] = {
      mode,
      target,
      query: fairly(yield* Clock.Clock, (query: EventQuery.EventQuery) => backend.query(query)),
      watch: (filter, from) => backend.watch(filter, from)
    }
    return copy === undefined ? reader : { ...reader, copy }
  })
)

// ---------------------------------------------------------------------------
// in memory
// ---------------------------------------------------------------------------

const DEFAULT_CAPACITY = 10_000

const SETTLED = { created, updated, present }

const eventOf = ({ write }: Entry): Event => {
  const { cluster, count, event, first, id, last, upTo } = write
  const name = EventId.objectName(id, event.involvedObject.name)
  const namespace = namespaceOf(write)
  return cluster === undefined
    ? { id, upTo, count, first, last, event, name, namespace }
    : { id, upTo, count, first, last, event, name, namespace, cluster }
}

const newestFirst = (a: Entry, b: Entry): number => b.write.last - a.write.last || b.position - a.position

const PAGE_OF_WATCH = 256

const mismatch = (detail: string) => new BackendError({ reason: new CursorMismatch({ detail }) })

const readPosition = (text: string): Result.Result<number, BackendError> => {
  const position = /^\d{1,16}$/.test(text) ? Number(text) : Number.NaN
  return Number.isSafeInteger(position)
    ? Result.succeed(position)
    : Result.fail(mismatch("its position is not a number; start over"))
}

interface PagePosition {
  readonly last: number
  readonly position: number
}

const readPagePosition = (text: string): Result.Result<PagePosition, BackendError> => {
  const match = /^(-?\d{1,16}) (\d{1,16})$/.exec(text)
  return match === null
    ? Result.fail(mismatch("its position is not a time and a number; start with the first page"))
    : Result.succeed({ last: Number(match[1]), position: Number(match[2]) })
}

const makeMemory = (id: string, capacity: number, begunAt: Micros): Service => {
  const store = new Store(capacity)
  const written = new Notifier()
  const target = Target.make(id)
  const scopeOf = (filter: EventFilter): Position.Scope => ({ mode: "memory", target, filter })
  const coverage = (): ReadonlyArray<EventQuery.Coverage> => [
    { store: id, since: Math.max(begunAt, store.evictedLast + 1), until: "now", gaps: [] }
  ]
  const evicted = (told: string): EventQuery.Gap => ({
    store: id,
    to: store.evictedLast,
    reason: `${told}changes up to number ${store.evictedUpTo} are no longer kept in memory`
  })

  const write = (batch: ReadonlyArray<Write>): Effect.Effect<ReadonlyArray<Outcome>> =>
    Effect.sync(() => {
      const outcomes: Array<Outcome> = []
      for (const one of batch) outcomes.push(SETTLED[store.write(one)])
      written.notify()
      return outcomes
    })

  const query = (query: EventQuery.EventQuery): Effect.Effect<EventPage, BackendError> =>
    Effect.suspend(() => {
      const filter = EventQuery.filterOf(query)
      const scope = scopeOf(filter)
      const matches = EventQuery.matcher(filter)
      const matching: Array<Entry> = []
      for (const entry of store.entries()) if (matches(entry.write)) matching.push(entry)
      matching.sort(newestFirst)
      let from = 0
      if (query.page !== undefined) {
        const decoded = Result.flatMap(Position.decodePageToken(scope, query.page), readPagePosition)
        if (Result.isFailure(decoded)) return Effect.fail(decoded.failure)
        const { last, position } = decoded.success
        from = matching.findIndex(
          ({ position: at, write }) => write.last < last || (write.last === last && at < position)
        )
        if (from === -1) from = matching.length
      }
      const end =
        query.limit === undefined ? matching.length : Math.min(matching.length, from + Math.max(0, query.limit))
      const events = matching.slice(from, end)
      const oldest = events.at(-1)
      const page = {
        events: events.map(eventOf),
        totalCount: matching.length,
        cursor: Position.cursorEncoder(scope)(String(store.position)),
        coverage: coverage()
      }
      return Effect.succeed(
        end < matching.length && oldest !== undefined
          ? { ...page, next: Position.pageTokenEncoder(scope)(`${oldest.write.last} ${oldest.position}`) }
          : page
      )
    })

  const watch = (filter: EventFilter, from: WatchFrom): Stream.Stream<WatchItem, BackendError> =>
    Stream.unwrap(
      Effect.suspend(() => {
        const scope = scopeOf(filter)
        const cursorAt = Position.cursorEncoder(scope)
        const itemOf = (entry: Entry): WatchItem => ({
          _tag: "Event",
          event: eventOf(entry),
          cursor: cursorAt(String(entry.position))
        })
        const matches = EventQuery.matcher(filter)
        const itemsOf = (entries: ReadonlyArray<Entry>): Array<WatchItem> =>
          entries.filter(({ write }) => matches(write)).map(itemOf)

        // Built by assignment: a store may hold more series than one call takes arguments.
        let snapshot: Array<WatchItem> = []
        let position = store.position
        if (from === "now") {
          // nothing to show
        } else if (from === "beginning") {
          snapshot = itemsOf(store.entries())
        } else if (typeof from === "string") {
          const decoded = Result.flatMap(Position.decodeCursor(scope, from), readPosition)
          if (Result.isFailure(decoded)) return Effect.fail(decoded.failure)
          if (decoded.success > store.position) {
            return Effect.fail(mismatch("it is ahead of this store; start over"))
          }
          snapshot = itemsOf(store.after(decoded.success, Number.POSITIVE_INFINITY).entries)
          if (decoded.success < store.evictedUpTo) {
            snapshot.unshift({
              _tag: "Gap",
              ...evicted(""),
              cursor: cursorAt(String(store.evictedUpTo))
            })
          }
        } else if (from.last > 0) {
          snapshot = itemsOf(store.entries()).slice(-from.last)
        }
        snapshot.push({ _tag: "Live", cursor: cursorAt(String(position)) })

        const changed = written.until(() => position !== store.position)
        const next: Effect.Effect<Array<WatchItem>> = Effect.suspend(() => {
          if (position === store.position) return Effect.andThen(changed, next)
          const items: Array<WatchItem> = []
          if (position < store.evictedUpTo) {
            // Not reading for longer than the store remembers is a gap like any other.
            items.push({
              _tag: "Gap",
              ...evicted("this reader fell behind: "),
              cursor: cursorAt(String(store.evictedUpTo))
            })
            position = store.evictedUpTo
          }
          const { entries, reached } = store.after(position, PAGE_OF_WATCH)
          position = reached
          items.push(...itemsOf(entries))
          return items.length === 0 ? next : Effect.succeed(items)
        })

        return Effect.succeed(
          Stream.concat(Stream.fromIterable(snapshot), Stream.flattenIterable(Stream.fromEffectRepeat(next)))
        )
      })
    )

  return { mode: "memory", target: Effect.succeed(target), write, query, watch }
}

/**
 * A backend in the memory of this process, for tests and short-lived programs.
 *
 * Keeps the series that changed last, 10,000 of them unless `capacity` says otherwise. What is evicted is gone: a watch
 * that resumes from before it yields a `Gap`.
 *
 * **Example**
 *
 * ```ts
 * import * as Backend from "@tidings/core/Backend"
 * import * as Effect from "effect/Effect"
 * import assert from "node:assert/strict"
 *
 * const page = await Effect.runPromise(
 *   Backend.Backend.use((backend) => backend.query({})).pipe(Effect.provide(Backend.layerMemory()))
 * )
 * assert.equal(page.totalCount, 0)
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const layerMemory = (options?: { readonly capacity?: number | undefined }): Layer.Layer<Backend> =>
  Layer.effect(
    Backend,
    Effect.gen(function* () {
      const clock = yield* Clock.Clock
      const id = yield* EventId.makeOrigin
      return makeMemory(id, Math.max(1, options?.capacity ?? DEFAULT_CAPACITY), Timestamp.now(clock))
    })
  )
