/**
 * For which time what is stored is complete: of each store that is archived what its replicas covered, and of the database
 * itself what retention left.
 */
import type { BackendError } from "@tidings/core/BackendError"
import * as EventQuery from "@tidings/core/EventQuery"
import * as Effect from "effect/Effect"
import type { SqlError } from "effect/sql/SqlError"
import type { Fragment } from "effect/sql/Statement"
import type { ArchivedStore, Span } from "../ArchiveStore.ts"
import type { Database, Opened } from "./database.ts"
import * as spans from "./spans.ts"

/** After so long without a word a replica counts as gone. */
export const GONE_SECONDS = 60

interface ArchivedSpan {
  readonly since: number | null
  readonly until: number | null
  readonly why: string | null
}

/** A store that is archived, with the names of the columns. */
interface Archived {
  readonly id: string
  readonly name: string | null
  readonly aliases: ReadonlyArray<string>
  readonly place: string | null
  readonly epoch: number
  readonly mixed: boolean
  readonly spans: ReadonlyArray<ArchivedSpan>
  readonly replicas: ReadonlyArray<
    ArchivedSpan & {
      readonly replica: string
      readonly live: boolean
      readonly gone: boolean
      readonly seen: number
      readonly problem: string | null
      readonly states: number
    }
  >
}

export interface Answer {
  /** Whether there are events that were written to the database itself, and copied from nowhere. */
  readonly own: boolean
  readonly stores: ReadonlyArray<Archived>
}

/** Everything that coverage needs, as JSON in one text, for the statement that answers a query: both are of one moment. */
export const archived = ({ table }: Pick<Database, "table">, { sql }: Pick<Opened, "sql">): Fragment => sql`(
  select json_build_object(
    'own', exists (select from ${table("current")} where cluster = ''),
    'stores', coalesce((
      select json_agg(json_build_object(
        'id', a.id, 'name', a.name, 'aliases', a.aliases, 'place', a.place, 'epoch', a.epoch, 'mixed', a.mixed,
        'spans', coalesce((
          select json_agg(json_build_object('since', p.since, 'until', p.until, 'why', p.why))
          from ${table("spans")} p where p.source = a.key), '[]'),
        'replicas', coalesce((
          select json_agg(json_build_object(
            'replica', r.replica, 'since', r.since, 'until', r.until, 'why', r.why, 'live', r.live, 'problem', r.problem,
            'states', r.states, 'gone', r.seen < now() - ${GONE_SECONDS}::double precision * interval '1 second',
            'seen', floor(extract(epoch from r.seen) * 1000000)) order by r.replica)
          from ${table("replicas")} r where r.source = a.key), '[]')
      ) order by a.name, a.id)
      from ${table("sources")} a), '[]'))::text)`

export const parse = (text: string): Answer => JSON.parse(text) as Answer

const spanOf = ({ since, until, why }: ArchivedSpan): Span | undefined =>
  since === null || until === null ? undefined : { since, until, ...(why === null ? undefined : { why }) }

const spansOf = (store: Archived): ReadonlyArray<Span> =>
  [...store.spans, ...store.replicas].flatMap((span) => spanOf(span) ?? [])

/** What retention has removed is told as the time since when everything is there. */
const ofStore = (store: Archived, forgottenLast: number | undefined): EventQuery.Coverage => {
  const covered = spans.covered(spansOf(store))
  if (covered === undefined)
    return { store: store.id, name: store.name ?? store.id, since: "unknown", until: "unknown", gaps: [] }
  const since = forgottenLast === undefined ? covered.since : Math.max(covered.since, forgottenLast + 1)
  const isNow = store.replicas.some(({ gone, live, since }) => live && !gone && since !== null)
  return {
    store: store.id,
    name: store.name ?? store.id,
    since,
    until: isNow ? "now" : covered.until,
    gaps: covered.holes
      .filter(({ to }) => to > since)
      .map(({ from, reason, to }) => ({ store: store.id, from: Math.max(from, since), to, reason }))
  }
}

/** Leaves out gaps that are outside of the time range of the query. */
const within = (coverage: EventQuery.Coverage, { since, until }: EventQuery.EventFilter): EventQuery.Coverage => ({
  ...coverage,
  gaps: coverage.gaps.filter(
    ({ from, to }) =>
      (since === undefined || to === undefined || to >= since) &&
      (until === undefined || from === undefined || from <= until)
  )
})

const isAsked = (store: Archived, filter: EventQuery.EventFilter): boolean => {
  if (filter.cluster === undefined || store.mixed) return true
  const wanted = EventQuery.valuesOf(filter.cluster)
  return [store.id, ...store.aliases, ...(store.name === null ? [] : [store.name])].some((name) =>
    wanted.includes(name)
  )
}

/** The coverage of an answer: of the archived stores that it is about, and of the database where anything was written to it. */
export const of = (
  { created, id }: Opened,
  { forgotten_last }: { readonly forgotten_last: bigint | null },
  { own, stores }: Answer,
  filter: EventQuery.EventFilter
): ReadonlyArray<EventQuery.Coverage> => {
  const last = forgotten_last === null ? undefined : Number(forgotten_last)
  const asked = stores.filter((store) => isAsked(store, filter)).map((store) => within(ofStore(store, last), filter))
  if (asked.length > 0 && (!own || filter.cluster !== undefined)) return asked
  return [
    { store: id, since: last === undefined ? created : Math.max(created, last + 1), until: "now", gaps: [] },
    ...asked
  ]
}

/**
 * A filter in which each cluster that is archived stands under the id that its events have, by whichever name it is called; and
 * which of the stores it is about, undefined for all of them.
 */
export const clustersOf = (
  { table }: Pick<Database, "table">,
  { sql }: Opened,
  filter: EventQuery.EventFilter
): Effect.Effect<
  { readonly filter: EventQuery.EventFilter; readonly stores: ReadonlySet<string> | undefined },
  SqlError | BackendError
> => {
  if (filter.cluster === undefined) return Effect.succeed({ filter, stores: undefined })
  const wanted = EventQuery.valuesOf(filter.cluster)
  return Effect.map(
    sql<{ id: string; named: boolean }>`
      select id, (id = any(${wanted}::text[]) or name = any(${wanted}::text[]) or aliases && ${wanted}::text[]) is true as named
      from ${table("sources")}
      where mixed or id = any(${wanted}::text[]) or name = any(${wanted}::text[]) or aliases && ${wanted}::text[]`,
    (rows) => ({
      filter: { ...filter, cluster: [...wanted, ...rows.flatMap(({ id, named }) => (named ? [id] : []))] },
      stores: new Set(rows.map(({ id }) => id))
    })
  )
}

/** A store that is archived, and the directory where it is an event log. */
export type PlacedStore = ArchivedStore & { readonly place?: string }

/** The stores that are archived here, and who archives them. */
export const storesOf = (database: Database): Effect.Effect<ReadonlyArray<PlacedStore>, BackendError> =>
  database.run((opened) =>
    Effect.map(
      opened.sql<{ archived: string; forgotten_last: bigint | null }>`
        select ${archived(database, opened)} as archived, forgotten_last from ${database.table("store")}`,
      (rows) => {
        const { archived, forgotten_last } = rows[0]!
        return parse(archived).stores.map((store) => ({
          cluster: { id: store.id, ...(store.name === null ? undefined : { name: store.name }) },
          ...(store.place === null ? undefined : { place: store.place }),
          epoch: store.epoch,
          coverage: ofStore(store, forgotten_last === null ? undefined : Number(forgotten_last)),
          replicas: store.replicas.map(({ gone, live, problem, replica, seen, states, until }) => ({
            name: replica,
            isLive: live && !gone,
            seen,
            states,
            ...(until === null ? undefined : { until }),
            ...(problem === null ? undefined : { problem })
          }))
        }))
      }
    )
  )
