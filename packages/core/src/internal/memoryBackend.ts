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
import * as Target from "../Target.ts"

/** @internal */
export const DEFAULT_CAPACITY = 10_000

const created: Backend.Outcome = { _tag: "Settled", how: "created" }
const updated: Backend.Outcome = { _tag: "Settled", how: "updated" }
const present: Backend.Outcome = { _tag: "Settled", how: "present" }

/** What is written stands here as it came; the event is made of it when somebody reads, which is much more seldom. */
interface Entry {
  readonly write: Write
  /** Which change this was, counted from 1. */
  readonly position: number
  /** Whether the series has changed since, or was evicted. */
  superseded: boolean
}

/**
 * Series in order of change: a list to which a series is added again at each change, so that a watcher finds its place by
 * bisection. Places that were superseded are skipped, and squeezed out when they are the larger part.
 *
 * @internal
 */
export class Store {
  /** By origin, then by seq: two look-ups of what is there cost less than making one key of both. */
  private readonly byOrigin = new Map<string, Map<number, Entry>>()
  private changes: Array<Entry> = []
  private start = 0
  size = 0
  position = 0
  evictedUpTo = 0
  readonly capacity: number

  constructor(capacity: number) {
    this.capacity = capacity
  }

  /** How many places the list holds, superseded ones among them: what bounds the memory beside the series themselves. */
  get places(): number {
    return this.changes.length
  }

  write(write: Write): Backend.Outcome {
    const { origin, seq } = write.id
    let bySeq = this.byOrigin.get(origin)
    if (bySeq === undefined) {
      bySeq = new Map()
      this.byOrigin.set(origin, bySeq)
    }
    const existing = bySeq.get(seq)
    if (existing === undefined) this.size++
    else {
      if (existing.write.upTo >= write.upTo) return present
      existing.superseded = true
    }
    const entry: Entry = { write, position: ++this.position, superseded: false }
    bySeq.set(seq, entry)
    this.changes.push(entry)
    if (this.size > this.capacity) this.evict()
    if (this.changes.length - this.start > 2 * this.size + 64) this.squeeze()
    return existing === undefined ? created : updated
  }

  private evict(): void {
    while (this.changes[this.start]!.superseded) this.start++
    const oldest = this.changes[this.start]!
    oldest.superseded = true
    this.start++
    this.size--
    this.evictedUpTo = oldest.position
    const { origin, seq } = oldest.write.id
    const bySeq = this.byOrigin.get(origin)!
    bySeq.delete(seq)
    if (bySeq.size === 0) this.byOrigin.delete(origin)
    if (this.start > 1_024 && this.start * 2 > this.changes.length) {
      this.changes = this.changes.slice(this.start)
      this.start = 0
    }
  }

  private squeeze(): void {
    this.changes = this.entries()
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
      if (!entry.superseded) entries.push(entry)
    }
    return { entries, reached: end > low ? this.changes[end - 1]!.position : position }
  }

  /** All entries, in order of change. */
  entries(): Array<Entry> {
    const entries: Array<Entry> = []
    for (let index = this.start; index < this.changes.length; index++) {
      const entry = this.changes[index]!
      if (!entry.superseded) entries.push(entry)
    }
    return entries
  }
}

const eventOf = ({ write: { count, event, first, id, last, upTo } }: Entry): Event => ({
  id,
  upTo,
  count,
  first,
  last,
  event,
  name: EventId.objectName(id, event.involvedObject.name)
})

const newestFirst = (a: Entry, b: Entry): number => b.write.last - a.write.last || b.position - a.position

const PAGE_OF_WATCH = 256

const mismatch = (detail: string) => new BackendError({ reason: new CursorMismatch({ detail }) })

const readPosition = (text: string): Result.Result<number, BackendError> => {
  const position = /^\d{1,16}$/.test(text) ? Number(text) : Number.NaN
  return Number.isSafeInteger(position)
    ? Result.succeed(position)
    : Result.fail(mismatch("its position is no number; begin anew"))
}

interface PagePosition {
  readonly last: number
  readonly position: number
}

const readPagePosition = (text: string): Result.Result<PagePosition, BackendError> => {
  const match = /^(-?\d{1,16}) (\d{1,16})$/.exec(text)
  return match === null
    ? Result.fail(mismatch("its position is not a time and a number; begin with the first page"))
    : Result.succeed({ last: Number(match[1]), position: Number(match[2]) })
}

/** @internal */
export const make = (id: string, capacity: number): Backend.Service => {
  const store = new Store(capacity)
  const waiting = new Set<() => void>()
  const target = Target.make(id)
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
      for (const entry of store.entries()) if (EventQuery.matches(filter, entry.write)) matching.push(entry)
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
        cursor: Position.cursorEncoder(scope)(String(store.position))
      }
      return Effect.succeed(
        end < matching.length && oldest !== undefined
          ? { ...page, next: Position.pageTokenEncoder(scope)(`${oldest.write.last} ${oldest.position}`) }
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
          event: eventOf(entry),
          cursor: cursorAt(String(entry.position))
        })
        const itemsOf = (entries: ReadonlyArray<Entry>): Array<EventQuery.WatchItem> =>
          entries.filter(({ write }) => EventQuery.matches(filter, write)).map(itemOf)

        // Built by assignment: a store may hold more series than one call takes arguments.
        let snapshot: Array<EventQuery.WatchItem> = []
        let position = store.position
        if (from === "now") {
          // nothing to show
        } else if (from === "beginning") {
          snapshot = itemsOf(store.entries())
        } else if (typeof from === "string") {
          const decoded = Result.flatMap(Position.decodeCursor(scope, from), readPosition)
          if (Result.isFailure(decoded)) return Effect.fail(decoded.failure)
          if (decoded.success > store.position) {
            return Effect.fail(mismatch("it lies in the future of this store; begin anew"))
          }
          snapshot = itemsOf(store.after(decoded.success, Number.POSITIVE_INFINITY).entries)
          if (decoded.success < store.evictedUpTo) {
            snapshot.unshift({
              _tag: "Gap",
              reason: `changes up to number ${store.evictedUpTo} are no longer kept in memory`,
              cursor: cursorAt(String(store.evictedUpTo))
            })
          }
        } else if (from.last > 0) {
          snapshot = itemsOf(store.entries()).slice(-from.last)
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
          Stream.concat(Stream.fromIterable(snapshot), Stream.flattenIterable(Stream.fromEffectRepeat(next)))
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
