import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Result from "effect/Result"
import * as Stream from "effect/Stream"
import type * as Backend from "../Backend.ts"
import { BackendError, CursorMismatch } from "../BackendError.ts"
import type { Event, Write } from "../Event.ts"
import * as EventId from "../EventId.ts"
import * as EventQuery from "../EventQuery.ts"
import * as Position from "../Position.ts"

/** @internal */
export const DEFAULT_CAPACITY = 10_000

const created: Backend.Outcome = { _tag: "Settled", how: "created" }
const updated: Backend.Outcome = { _tag: "Settled", how: "updated" }
const present: Backend.Outcome = { _tag: "Settled", how: "present" }

interface Entry {
  readonly event: Event
  /** Which change this was, counted from 1. */
  readonly position: number
}

/**
 * Series in order of change: a Map keeps insertion order, and a series that changes is taken out and put in again.
 * Beside it stand the same entries as a list, so that a watcher finds its place by bisection instead of walking the
 * whole Map at every change; places that were superseded are skipped, and squeezed out when they are the larger part.
 */
class Store {
  private readonly byId = new Map<string, Entry>()
  private changes: Array<Entry> = []
  private start = 0
  position = 0
  evictedUpTo = 0
  readonly capacity: number

  constructor(capacity: number) {
    this.capacity = capacity
  }

  get size(): number {
    return this.byId.size
  }

  private isCurrent(entry: Entry): boolean {
    return this.byId.get(keyOf(entry.event.id)) === entry
  }

  write(write: Write): Backend.Outcome {
    const key = keyOf(write.id)
    const existing = this.byId.get(key)
    if (existing !== undefined) {
      if (existing.event.upTo >= write.upTo) return present
      this.byId.delete(key)
    }
    const entry: Entry = {
      event: {
        id: write.id,
        upTo: write.upTo,
        count: write.count,
        first: write.first,
        last: write.last,
        event: write.event,
        name: existing?.event.name ?? EventId.objectName(write.id, write.event.involvedObject.name)
      },
      position: ++this.position
    }
    this.byId.set(key, entry)
    this.changes.push(entry)
    if (this.byId.size > this.capacity) this.evict()
    if (this.changes.length - this.start > 2 * this.byId.size + 64) this.squeeze()
    return existing === undefined ? created : updated
  }

  private evict(): void {
    const oldest = this.byId.entries().next().value
    if (oldest === undefined) return
    this.byId.delete(oldest[0])
    this.evictedUpTo = oldest[1].position
    while (this.start < this.changes.length && !this.isCurrent(this.changes[this.start]!)) this.start++
    if (this.start > 1_024 && this.start * 2 > this.changes.length) {
      this.changes = this.changes.slice(this.start)
      this.start = 0
    }
  }

  private squeeze(): void {
    this.changes = [...this.byId.values()]
    this.start = 0
  }

  /** The entries whose last change came after `position`, in order of change, at the most `max` places of them. */
  after(position: number, max: number): { readonly entries: ReadonlyArray<Entry>; readonly reached: number } {
    let low = this.start
    let high = this.changes.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if (this.changes[middle]!.position <= position) low = middle + 1
      else high = middle
    }
    const end = Math.min(this.changes.length, low + max)
    const entries: Array<Entry> = []
    for (let index = low; index < end; index++) {
      const entry = this.changes[index]!
      if (this.isCurrent(entry)) entries.push(entry)
    }
    return { entries, reached: end > low ? this.changes[end - 1]!.position : position }
  }

  entries(): IterableIterator<Entry> {
    return this.byId.values()
  }
}

const keyOf = (id: EventId.EventId): string => `${id.seq} ${id.origin}`

const newestFirst = (a: Entry, b: Entry): number => b.event.last - a.event.last || b.position - a.position

const PAGE_OF_WATCH = 256

const readPosition = (text: string): Result.Result<number, BackendError> => {
  const position = Number(text)
  return Number.isSafeInteger(position) && position >= 0
    ? Result.succeed(position)
    : Result.fail(new BackendError({ reason: new CursorMismatch({ detail: "its position is no number; begin anew" }) }))
}

/** @internal */
export const make = (target: string, capacity: number): Backend.Service => {
  const store = new Store(capacity)
  const waiting = new Set<() => void>()
  const scopeOf = (filter: EventQuery.EventFilter): Position.Scope => ({ mode: "memory", target, filter })

  const write = (batch: ReadonlyArray<Write>): Effect.Effect<ReadonlyArray<Backend.Outcome>> =>
    Effect.sync(() => {
      const outcomes: Array<Backend.Outcome> = []
      for (const one of batch) outcomes.push(store.write(one))
      if (waiting.size > 0) {
        const woken = [...waiting]
        waiting.clear()
        for (const wake of woken) wake()
      }
      return outcomes
    })

  const query = (query: EventQuery.EventQuery): Effect.Effect<EventQuery.EventPage, BackendError> =>
    Effect.suspend(() => {
      const filter = EventQuery.filterOf(query)
      const scope = scopeOf(filter)
      const matching: Array<Entry> = []
      for (const entry of store.entries()) if (EventQuery.matches(filter, entry.event)) matching.push(entry)
      matching.sort(newestFirst)
      let from = 0
      if (query.page !== undefined) {
        const decoded = Position.decodePageToken(scope, query.page)
        if (Result.isFailure(decoded)) return Effect.fail(decoded.failure)
        const [last, position] = decoded.success.split(" ").map(Number) as [number, number]
        from = matching.findIndex(({ event, position: at }) => event.last < last || (event.last === last && at < position))
        if (from === -1) from = matching.length
      }
      const end = query.limit === undefined ? matching.length : Math.min(matching.length, from + Math.max(0, query.limit))
      const events = matching.slice(from, end)
      const oldest = events.at(-1)
      const page = {
        events: events.map(({ event }) => event),
        totalCount: matching.length,
        cursor: Position.cursorEncoder(scope)(String(store.position))
      }
      return Effect.succeed(
        end < matching.length && oldest !== undefined
          ? { ...page, next: Position.pageTokenEncoder(scope)(`${oldest.event.last} ${oldest.position}`) }
          : page
      )
    })

  const watch = (
    filter: EventQuery.EventFilter,
    from: EventQuery.WatchFrom
  ): Stream.Stream<EventQuery.WatchItem, BackendError> =>
    Stream.unwrap(
      Effect.suspend(() => {
        const scope = scopeOf(filter)
        const cursorAt = Position.cursorEncoder(scope)
        const itemOf = (entry: Entry): EventQuery.WatchItem => ({
          _tag: "Event",
          event: entry.event,
          cursor: cursorAt(String(entry.position))
        })
        const itemsOf = (entries: ReadonlyArray<Entry>): Array<EventQuery.WatchItem> =>
          entries.filter(({ event }) => EventQuery.matches(filter, event)).map(itemOf)

        const snapshot: Array<EventQuery.WatchItem> = []
        let position = store.position
        if (from === "now") {
          // nothing to show
        } else if (from === "beginning") {
          snapshot.push(...itemsOf([...store.entries()]))
        } else if (typeof from === "string") {
          const decoded = Result.flatMap(Position.decodeCursor(scope, from), readPosition)
          if (Result.isFailure(decoded)) return Effect.fail(decoded.failure)
          if (decoded.success > store.position) {
            return Effect.fail(
              new BackendError({ reason: new CursorMismatch({ detail: "it lies in the future of this store; begin anew" }) })
            )
          }
          if (decoded.success < store.evictedUpTo) {
            snapshot.push({
              _tag: "Gap",
              reason: `changes up to number ${store.evictedUpTo} are no longer kept in memory`,
              cursor: cursorAt(String(store.evictedUpTo))
            })
          }
          snapshot.push(...itemsOf(store.after(decoded.success, Number.POSITIVE_INFINITY).entries))
        } else if (from.last > 0) {
          snapshot.push(...itemsOf([...store.entries()]).slice(-from.last))
        }
        snapshot.push({ _tag: "Live", cursor: cursorAt(String(position)) })

        // Looks again when it registers: a write between the look and the wait must not be slept through.
        const changed = Effect.callback<void>((resume) => {
          if (position !== store.position) return resume(Effect.void)
          const wake = () => resume(Effect.void)
          waiting.add(wake)
          return Effect.sync(() => waiting.delete(wake))
        })
        const next: Effect.Effect<Array<EventQuery.WatchItem>> = Effect.suspend(() => {
          if (position === store.position) return Effect.andThen(changed, next)
          const items: Array<EventQuery.WatchItem> = []
          if (position < store.evictedUpTo) {
            // Not reading for longer than the store remembers is a gap like any other.
            items.push({
              _tag: "Gap",
              reason: `this reader fell behind: changes up to number ${store.evictedUpTo} are no longer kept in memory`,
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
          Stream.concat(
            Stream.fromIterable(snapshot),
            Stream.flattenIterable(Stream.fromEffectRepeat(next))
          )
        )
      })
    )

  return { mode: "memory", target: Effect.succeed(target), write, query, watch }
}

/** @internal */
export const layer = <Self>(
  service: Context.Service<Self, Backend.Service>,
  options?: { readonly capacity?: number | undefined }
): Layer.Layer<Self> =>
  Layer.effect(
    service,
    Effect.map(EventId.makeOrigin, (target) => make(target, Math.max(1, options?.capacity ?? DEFAULT_CAPACITY)))
  )
