/**
 * A backend over a store of its own: one table of SQLite, with `node:sqlite`. Everything else (recorder, policies,
 * queries, the command) comes with the interface.
 */
import { Backend, created, present, type Outcome, type Service, updated } from "@tidings/core/Backend"
import { BackendError, CursorMismatch, Full, Transient, Unavailable } from "@tidings/core/BackendError"
import { type Event, namespaceOf, type Write } from "@tidings/core/Event"
import * as EventId from "@tidings/core/EventId"
import * as EventJson from "@tidings/core/EventJson"
import * as EventQuery from "@tidings/core/EventQuery"
import { groupOf } from "@tidings/core/ObjectReference"
import * as Position from "@tidings/core/Position"
import * as Target from "@tidings/core/Target"
import * as Timestamp from "@tidings/core/Timestamp"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Result from "effect/Result"
import * as Stream from "effect/Stream"
import { DatabaseSync, type SQLInputValue } from "node:sqlite"

const SCHEMA = `
  CREATE TABLE IF NOT EXISTS store (id TEXT NOT NULL, begun INTEGER NOT NULL);
  CREATE TABLE IF NOT EXISTS events (
    id TEXT PRIMARY KEY, up_to INTEGER NOT NULL, change INTEGER NOT NULL UNIQUE, last INTEGER NOT NULL,
    kind TEXT, name TEXT, namespace TEXT, type TEXT, reason TEXT, source TEXT,
    api_group TEXT, object_namespace TEXT, event_name TEXT,
    event TEXT NOT NULL
  ) WITHOUT ROWID;
  CREATE INDEX IF NOT EXISTS by_last ON events (last DESC, change DESC);
  PRAGMA busy_timeout = 2000;
  PRAGMA journal_mode = WAL;
`

/** How soon a watch sees what another process wrote. */
const POLL = "100 millis"

interface Row {
  readonly change: number
  readonly last: number
  readonly event: string
}

const errorOf = (cause: unknown): BackendError => {
  const code = (cause as { readonly errcode?: number }).errcode ?? 0
  const detail = cause instanceof Error ? cause.message : String(cause)
  switch (code & 0xff) {
    case 5: // SQLITE_BUSY: rolled back, so nothing was written
      return new BackendError({ reason: new Transient({ applied: "no", detail }), cause })
    case 13: // SQLITE_FULL
      return new BackendError({ reason: new Full({ detail }), cause })
    default:
      return new BackendError({ reason: new Unavailable({ detail }), cause })
  }
}

const attempt = <A>(run: () => A): Effect.Effect<A, BackendError> => Effect.try({ try: run, catch: errorOf })

/** `?` is a set as a JSON array: one statement for any number of values. */
const isAmong = (column: string): string => `${column} IN (SELECT value FROM json_each(?))`

const isObject = `EXISTS (SELECT 1 FROM json_each(?) AS wanted
  WHERE wanted.value->>'kind' = kind AND wanted.value->>'name' = name
    AND coalesce(wanted.value->>'apiGroup', api_group) = api_group)`

const isOfCluster = `EXISTS (SELECT 1 FROM json_each(?) AS wanted
  WHERE wanted.value IN (event->>'$.cluster.id', event->>'$.cluster.name'))`

const hasLabels = `NOT EXISTS (SELECT 1 FROM json_each(?) AS wanted WHERE NOT EXISTS (
  SELECT 1 FROM json_each(event, '$.metadata.labels') AS found WHERE found.key = wanted.key AND found.value = wanted.value))`

const setOf = <A>(wanted: EventQuery.OneOrMore<A> | undefined): string | undefined =>
  wanted === undefined ? undefined : JSON.stringify(EventQuery.valuesOf(wanted))

const whereOf = (
  filter: EventQuery.EventFilter
): { readonly sql: string; readonly values: ReadonlyArray<SQLInputValue> } => {
  const conditions: ReadonlyArray<readonly [string, SQLInputValue | undefined]> = [
    [isAmong("kind"), setOf(filter.resourceType)],
    [isAmong("name"), setOf(filter.resourceName)],
    [isObject, setOf(filter.object)],
    [isAmong("namespace"), setOf(filter.namespace)],
    [isAmong("type"), setOf(filter.eventType)],
    [isAmong("reason"), setOf(filter.reason)],
    [isAmong("source"), setOf(filter.source)],
    [isAmong("api_group"), setOf(filter.apiGroup)],
    [isAmong("object_namespace"), setOf(filter.objectNamespace)],
    [isAmong("event_name"), setOf(filter.name)],
    [isAmong("id"), setOf(filter.id)],
    [isOfCluster, setOf(filter.cluster)],
    [hasLabels, filter.labels === undefined ? undefined : JSON.stringify(filter.labels)],
    ["is_in_message(?, event->>'message')", filter.match],
    ["last >= ?", filter.since],
    ["last <= ?", filter.until]
  ]
  const given = conditions.filter(([, value]) => value !== undefined)
  return {
    sql: ["1", ...given.map(([sql]) => sql)].join(" AND "),
    values: given.map(([, value]) => value!)
  }
}

const numbers =
  (count: number) =>
  (text: string): Result.Result<ReadonlyArray<number>, BackendError> => {
    const parts = text.split(" ")
    return parts.length === count && parts.every((part) => /^-?\d{1,16}$/.test(part))
      ? Result.succeed(parts.map(Number))
      : Result.fail(new BackendError({ reason: new CursorMismatch({ detail: "it holds no position of a database" }) }))
  }

const eventOf = ({ event }: Row): Event => Result.getOrThrow(EventJson.decode(event))

/** The number of the last change. */
const lastChangeOf = (database: DatabaseSync) => (): number =>
  (database.prepare("SELECT coalesce(max(change), 0) AS n FROM events").get() as { readonly n: number }).n

const writerOf = (database: DatabaseSync): Service["write"] => {
  const find = database.prepare("SELECT up_to FROM events WHERE id = ?")
  const put = database.prepare(
    `INSERT INTO events VALUES (?, ?, (SELECT coalesce(max(change), 0) + 1 FROM events), ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
     ON CONFLICT (id) DO UPDATE SET
       up_to = excluded.up_to, change = excluded.change, last = excluded.last, type = excluded.type, event = excluded.event`
  )
  const writeOne = (write: Write): Outcome => {
    const id = EventId.format(write.id)
    const known = find.get(id) as { readonly up_to: number } | undefined
    if (known !== undefined && known.up_to >= write.upTo) return present
    const { involvedObject, reason, source, type } = write.event
    const namespace = namespaceOf(write)
    const event = { ...write, name: EventId.objectName(write.id, involvedObject.name), namespace }
    const { kind, name } = involvedObject
    put.run(
      id,
      write.upTo,
      write.last,
      kind,
      name,
      namespace,
      type,
      reason,
      source.component,
      groupOf(involvedObject),
      involvedObject.namespace ?? "",
      event.name,
      EventJson.encode(event)
    )
    return known === undefined ? created : updated
  }

  return (batch) =>
    attempt(() => {
      // One transaction: all of the batch or nothing, so a failure means that nothing was written.
      database.exec("BEGIN IMMEDIATE")
      try {
        const outcomes = batch.map(writeOne)
        database.exec("COMMIT")
        return outcomes
      } catch (error) {
        database.exec("ROLLBACK")
        throw error
      }
    })
}

const watcherOf =
  (
    database: DatabaseSync,
    scopeOf: (filter: EventQuery.EventFilter) => Position.Scope,
    lastChange: () => number
  ): Service["watch"] =>
  (filter, from) =>
    Stream.unwrap(
      Effect.gen(function* () {
        const cursorAt = Position.cursorEncoder(scopeOf(filter))
        const { sql, values } = whereOf(filter)
        const since = database.prepare(
          `SELECT change, last, event FROM events WHERE ${sql} AND change > ? ORDER BY change LIMIT 500`
        )
        const itemOf = (row: Row): EventQuery.WatchItem => ({
          _tag: "Event",
          event: eventOf(row),
          cursor: cursorAt(String(row.change))
        })
        const head = yield* attempt(lastChange)
        let position = from === "beginning" ? 0 : head
        if (typeof from === "string" && from !== "beginning" && from !== "now") {
          const [change] = yield* Effect.fromResult(
            Result.flatMap(Position.decodeCursor(scopeOf(filter), from), numbers(1))
          )
          if (change! < 0 || change! > head) {
            const detail = "it lies in the future of this database: it is of a later copy of it"
            return yield* new BackendError({ reason: new CursorMismatch({ detail }) })
          }
          position = change!
        } else if (typeof from === "object") {
          const first = yield* attempt(
            () =>
              database
                .prepare(`SELECT change FROM events WHERE ${sql} ORDER BY change DESC LIMIT 1 OFFSET ?`)
                .get(...values, from.last) as { readonly change: number } | undefined
          )
          position = from.last === 0 ? head : (first?.change ?? 0)
        }
        let live = false
        // Everything up to the head at the start is the snapshot; `Live` follows it, then what changes.
        const next: Effect.Effect<ReadonlyArray<EventQuery.WatchItem>, BackendError> = Effect.suspend(() =>
          Effect.flatMap(
            attempt(() => since.all(...values, position) as unknown as ReadonlyArray<Row>),
            (rows) => {
              const shown = live ? rows : rows.filter(({ change }) => change <= head)
              const items = shown.map(itemOf)
              position = shown.at(-1)?.change ?? position
              if (!live && shown.length < 500) {
                live = true
                position = Math.max(position, head)
                return Effect.succeed([...items, { _tag: "Live", cursor: cursorAt(String(position)) }])
              }
              return items.length > 0 ? Effect.succeed(items) : Effect.andThen(Effect.sleep(POLL), next)
            }
          )
        )
        return Stream.flattenIterable(Stream.fromEffectRepeat(next))
      })
    )

const make = (file: string) =>
  Effect.gen(function* () {
    const database = yield* Effect.acquireRelease(
      attempt(() => {
        const opened = new DatabaseSync(file)
        opened.exec(SCHEMA)
        opened.function("is_in_message", (text, message) =>
          Number(EventQuery.isInMessage(String(text), String(message)))
        )
        return opened
      }),
      (opened) => Effect.sync(() => opened.close())
    )
    const origin = yield* EventId.makeOrigin
    const now = Timestamp.now(yield* Clock.Clock)
    const store = yield* attempt(() => {
      database.exec("BEGIN IMMEDIATE")
      const known = database.prepare("SELECT id, begun FROM store").get() as
        | { readonly id: string; readonly begun: number }
        | undefined
      if (known === undefined) database.prepare("INSERT INTO store VALUES (?, ?)").run(origin, now)
      database.exec("COMMIT")
      return known ?? { id: origin, begun: now }
    })
    const target = Target.make(store.id)
    // Nothing is ever deleted here, so history is complete since the store was made.
    const coverage: ReadonlyArray<EventQuery.Coverage> = [
      { store: store.id, since: store.begun, until: "now", gaps: [] }
    ]
    const scopeOf = (filter: EventQuery.EventFilter): Position.Scope => ({ mode: "sqlite", target, filter })

    const lastChange = lastChangeOf(database)

    const query: Service["query"] = (query) =>
      Effect.gen(function* () {
        const filter = EventQuery.filterOf(query)
        const scope = scopeOf(filter)
        const { sql, values } = whereOf(filter)
        const after =
          query.page === undefined
            ? undefined
            : yield* Effect.fromResult(Result.flatMap(Position.decodePageToken(scope, query.page), numbers(2)))
        return yield* attempt(() => {
          const total = database.prepare(`SELECT count(*) AS n FROM events WHERE ${sql}`).get(...values) as {
            readonly n: number
          }
          const limit = query.limit ?? -1
          const rows = database
            .prepare(
              `SELECT change, last, event FROM events WHERE ${sql} ${after === undefined ? "" : "AND (last, change) < (?, ?)"}
               ORDER BY last DESC, change DESC LIMIT ?`
            )
            .all(...values, ...(after ?? []), limit < 0 ? -1 : limit + 1) as unknown as ReadonlyArray<Row>
          const shown = limit < 0 ? rows : rows.slice(0, limit)
          const oldest = shown.at(-1)
          const page = {
            events: shown.map(eventOf),
            totalCount: total.n,
            cursor: Position.cursorEncoder(scope)(String(lastChange())),
            coverage
          }
          return rows.length > shown.length && oldest !== undefined
            ? { ...page, next: Position.pageTokenEncoder(scope)(`${oldest.last} ${oldest.change}`) }
            : page
        })
      })

    return Backend.of({
      mode: "sqlite",
      target: Effect.succeed(target),
      write: writerOf(database),
      query,
      watch: watcherOf(database, scopeOf, lastChange)
    })
  })

/** The backend over a database file; `:memory:` for one that ends with the layer. */
export const layer = (file: string): Layer.Layer<Backend, BackendError> => Layer.effect(Backend, make(file))
