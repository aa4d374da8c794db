/**
 * Follows the states of a store by their positions, which are dense and in the order of commits: no position is left out.
 */
import type { BackendError } from "@tidings/core/BackendError"
import * as BackendErrors from "@tidings/core/BackendError"
import type * as Backend from "@tidings/core/Backend"
import * as EventQuery from "@tidings/core/EventQuery"
import * as Position from "@tidings/core/Position"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import * as Stream from "effect/Stream"
import type { Database, Opened } from "./database.ts"
import * as coverage from "./coverage.ts"
import { conditionOf } from "./filtering.ts"
import type { Listener } from "./listening.ts"
import { eventOf, type Head, mismatch, scopeOf } from "./querying.ts"

/** How many states are read at once: what a watch has in memory at the most. */
const PAGE = 500

/** How long a watch that runs goes on through failures that may pass, before it fails itself. */
const PATIENCE_MILLIS = 60_000
const PAUSE_MILLIS = 250

interface Row {
  readonly position: bigint
  readonly day: string
  readonly event: string
}

/** What no replica of an archive could have; it takes a position of its own. */
interface GapRow {
  readonly position: bigint
  readonly source: string
  readonly name: string | null
  readonly since: bigint
  readonly until: bigint
  readonly reason: string
}

interface Place {
  readonly position: bigint
  /** The day of the row at the position, from which on partitions are read. */
  readonly day: string
}

const BEGINNING: Place = { position: 0n, day: "-infinity" }

const readPosition = (text: string): Result.Result<bigint, BackendError> =>
  /^\d{1,18}$/.test(text)
    ? Result.succeed(BigInt(text))
    : Result.fail(mismatch("its position is not a number; start over"))

const headOf = (database: Database, { sql }: Opened) =>
  Effect.map(
    sql<Head>`select position, forgotten, forgotten_last from ${database.table("store")}`,
    (rows): Head => rows[0] ?? { position: 0n, forgotten: 0n, forgotten_last: null }
  )

/** One watch: what it reads for its filter. */
class Watching {
  readonly database: Database
  readonly opened: Opened
  readonly filter: EventQuery.EventFilter
  readonly matches: ReturnType<typeof EventQuery.matcher>
  readonly scope: Position.Scope
  readonly cursorAt: (position: string) => EventQuery.Cursor
  /** The archived stores that the filter is about; undefined for all. */
  readonly stores: ReadonlySet<string> | undefined

  constructor(
    database: Database,
    opened: Opened,
    given: EventQuery.EventFilter,
    { filter, stores }: { readonly filter: EventQuery.EventFilter; readonly stores: ReadonlySet<string> | undefined }
  ) {
    this.database = database
    this.opened = opened
    this.filter = filter
    this.stores = stores
    this.matches = EventQuery.matcher(filter)
    this.scope = scopeOf(opened, given)
    this.cursorAt = Position.cursorEncoder(this.scope)
  }

  live(position: bigint): EventQuery.WatchItem {
    return { _tag: "Live", cursor: this.cursorAt(String(position)) }
  }

  private gap(from: bigint, upTo: bigint, last: bigint | null): EventQuery.WatchItem {
    return {
      _tag: "Gap",
      store: this.opened.id,
      ...(last === null ? undefined : { to: Number(last) }),
      reason: `states ${from} to ${upTo} are no longer kept`,
      cursor: this.cursorAt(String(upTo))
    }
  }

  /** The gaps of archived stores between two positions, both included, in their order. */
  private gapsOf(from: bigint, upTo: bigint) {
    return this.opened.sql<GapRow>`
      select g.position, g.store as source, s.name, g.since, g.until, g.reason
      from ${this.database.table("gaps")} g left join ${this.database.table("sources")} s on s.key = g.source
      where g.position >= ${from}::bigint and g.position <= ${upTo}::bigint order by g.position`
  }

  /** What a gap of an archived store is to this watch: an item, unless it asks for other stores. */
  private told({ name, position, reason, since, source, until }: GapRow): ReadonlyArray<EventQuery.WatchItem> {
    if (this.stores !== undefined && !this.stores.has(source)) return []
    return [
      {
        _tag: "Gap",
        store: source,
        ...(name === null ? undefined : { name }),
        from: Number(since),
        to: Number(until),
        reason,
        cursor: this.cursorAt(String(position))
      }
    ]
  }

  private items(rows: ReadonlyArray<Row>, isMatching: boolean) {
    return Effect.gen({ self: this }, function* () {
      const items: Array<EventQuery.WatchItem> = []
      for (const { event: line, position } of rows) {
        const read = eventOf(line)
        if (Result.isFailure(read)) return yield* Effect.fail(read.failure)
        const event = read.success
        if (isMatching || this.matches(event)) {
          items.push({ _tag: "Event", event, cursor: this.cursorAt(String(position)) })
        }
      }
      return items
    })
  }

  /** The current states between two positions, in the order of change; those that change meanwhile come later. */
  snapshot(after: bigint, upTo: bigint) {
    const { database, filter } = this
    return database.run(({ sql }) =>
      Effect.gen({ self: this }, function* () {
        const rows = yield* sql<Row>`
          select c.position, c.day::text as day, s.event
          from ${database.table("current")} c
          join ${database.table("states")} s on s.position = c.position and s.day = c.day
          where ${conditionOf(sql, filter)} and c.position > ${after}::bigint and c.position <= ${upTo}::bigint
          order by c.position limit ${PAGE}`
        const isLast = rows.length < PAGE
        const reached = isLast ? upTo : rows.at(-1)!.position
        const items: Array<EventQuery.WatchItem> = []
        let next = 0
        for (const gap of yield* this.gapsOf(after + 1n, reached)) {
          let end = next
          while (end < rows.length && rows[end]!.position < gap.position) end++
          items.push(...(yield* this.items(rows.slice(next, end), true)), ...this.told(gap))
          next = end
        }
        items.push(...(yield* this.items(next === 0 ? rows : rows.slice(next), true)))
        return { items, reached: isLast ? undefined : reached }
      })
    )
  }

  /** Where the snapshot of the last `n` begins. */
  lastOf(n: number, upTo: bigint) {
    const { database, filter } = this
    return database.run(({ sql }) =>
      Effect.map(
        sql<{ position: bigint }>`
          select c.position from ${database.table("current")} c
          where ${conditionOf(sql, filter)} and c.position <= ${upTo}::bigint
          order by c.position desc limit ${BigInt(Math.min(n, Number.MAX_SAFE_INTEGER))}::bigint`,
        (rows) => (rows.length === 0 ? upTo : rows.at(-1)!.position - 1n)
      )
    )
  }

  /**
   * Positions without a state: gaps of archived stores that were told, and what retention or a hand removed. `isWhole`: there
   * is a state after them, so that none of them will get one; otherwise only those that follow one another are gaps for certain.
   */
  private hole(after: bigint, upTo: bigint, head: Head, isWhole: boolean) {
    return Effect.gen({ self: this }, function* () {
      const items: Array<EventQuery.WatchItem> = []
      const gaps = yield* this.gapsOf(after + 1n, upTo)
      let end = after
      const remove = (to: bigint): void => {
        if (to <= end) return
        items.push(this.gap(end + 1n, to, to <= head.forgotten ? head.forgotten_last : null))
        end = to
      }
      remove(head.forgotten < upTo ? head.forgotten : upTo)
      for (const gap of gaps) {
        if (gap.position <= end) continue
        if (isWhole) remove(gap.position - 1n)
        if (gap.position !== end + 1n) break
        items.push(...this.told(gap))
        end = gap.position
      }
      if (isWhole) remove(upTo)
      return { items, upTo: end }
    })
  }

  /** What came after a place, up to a page of it. A position that is not there is told as a gap. */
  after(place: Place) {
    const { database } = this
    return database.run((opened) =>
      Effect.gen({ self: this }, function* () {
        const { sql } = opened
        const rows = yield* sql<Row>`
          select position, day::text as day, event from ${database.table("states")}
          where position > ${place.position}::bigint and day >= ${place.day}::date
          order by position limit ${PAGE}`
        const first = rows[0]?.position
        const items: Array<EventQuery.WatchItem> = []
        if (first !== place.position + 1n) {
          const head = yield* headOf(database, opened)
          if (head.position < place.position) {
            return yield* Effect.fail(mismatch("it is ahead of this store, which may have been put back; start over"))
          }
          // What is committed is there: without a row it is a gap that was told, or what was removed.
          const upTo = first === undefined ? head.position : first - 1n
          if (upTo > place.position) {
            const hole = yield* this.hole(place.position, upTo, head, first !== undefined)
            items.push(...hole.items)
            if (first === undefined) return { items, reached: { position: hole.upTo, day: place.day } }
          }
        }
        let expected = first
        const dense: Array<Row> = []
        for (const row of rows) {
          // The next read begins after a hole, and tells it.
          if (row.position !== expected) break
          dense.push(row)
          expected++
        }
        items.push(...(yield* this.items(dense, false)))
        const last = dense.at(-1)
        return { items, reached: last === undefined ? place : { position: last.position, day: last.day } }
      })
    )
  }
}

/** Reads again after failures that may pass, until `PATIENCE_MILLIS` after the first of them, however long each takes. */
export const patiently = <A>(read: Effect.Effect<A, BackendError>): Effect.Effect<A, BackendError> =>
  Effect.clockWith((clock) => {
    let end = Number.POSITIVE_INFINITY
    const attempt: Effect.Effect<A, BackendError> = Effect.catch(read, (error) => {
      const now = clock.currentTimeMillisUnsafe()
      end = Math.min(end, now + PATIENCE_MILLIS)
      return BackendErrors.isTemporary(error) && now < end
        ? Effect.andThen(
            Effect.sleep(PAUSE_MILLIS),
            Effect.suspend(() => attempt)
          )
        : Effect.fail(error)
    })
    return attempt
  })

export const make =
  (database: Database, listener: Listener): Backend.Service["watch"] =>
  (filter, from) =>
    Stream.unwrap(
      Effect.gen(function* () {
        const opened = yield* database.open
        yield* listener.begin
        const clusters = yield* database.run((opened) => coverage.clustersOf(database, opened, filter))
        const watching = new Watching(database, opened, filter, clusters)
        const head = yield* database.run((opened) => headOf(database, opened))
        const live = Stream.succeed(watching.live(head.position))

        /** What is stored after a place, up to the head as it was when the watch began; then `Live`, then what follows. */
        const follow = (begin: Place, isResumed: boolean) => {
          let place = begin
          let isLive = !isResumed
          const next: Effect.Effect<Array<EventQuery.WatchItem>, BackendError> = Effect.gen(function* () {
            if (!isLive && place.position >= head.position) {
              isLive = true
              return [watching.live(place.position)]
            }
            while (true) {
              const signal = listener.signal()
              const { items, reached } = yield* patiently(watching.after(place))
              const isSame = reached.position === place.position
              place = reached
              if (!isLive && (isSame || place.position >= head.position)) {
                isLive = true
                items.push(watching.live(place.position))
              }
              if (items.length > 0) return items
              if (isSame) yield* listener.wait(signal)
            }
          })
          return Stream.flattenIterable(Stream.fromEffectRepeat(next))
        }
        const snapshot = (begin: bigint) =>
          Stream.flattenIterable(
            Stream.paginate(begin, (after: bigint) =>
              Effect.map(
                watching.snapshot(after, head.position),
                ({ items, reached }) => [[items], reached === undefined ? Option.none() : Option.some(reached)] as const
              )
            )
          )
        const tail = Stream.suspend(() => follow({ position: head.position, day: BEGINNING.day }, false))

        if (from === "now") return Stream.concat(live, tail)
        if (from === "beginning") return Stream.concat(Stream.concat(snapshot(0n), live), tail)
        if (typeof from === "string") {
          const position = yield* Effect.fromResult(
            Result.flatMap(Position.decodeCursor(watching.scope, from), readPosition)
          )
          if (position > head.position) return yield* Effect.fail(mismatch("it is ahead of this store; start over"))
          return Stream.suspend(() => follow({ position, day: BEGINNING.day }, true))
        }
        if (!(from.last > 0)) return Stream.concat(live, tail)
        const begin = yield* watching.lastOf(Math.ceil(from.last), head.position)
        return Stream.concat(Stream.concat(snapshot(begin), live), tail)
      })
    )
