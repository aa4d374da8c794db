/**
 * `npm run bench -- postgres`: what the archive and the queries of `@tidings/backend-postgres` cost, beside the plainest SQL that
 * does the same into and from the same tables. Starts a PostgreSQL server of its own.
 *
 * `--events` is how many rows there are for queries, 5,000,000 unless given; `--only` one of the parts.
 */
import * as PgClient from "@effect/sql-pg/PgClient"
import * as ArchiveStore from "@tidings/backend-postgres/ArchiveStore"
import * as PostgresBackend from "@tidings/backend-postgres/PostgresBackend"
import { Backend } from "@tidings/core/Backend"
import type { BackendError } from "@tidings/core/BackendError"
import type { Event } from "@tidings/core/Event"
import * as EventJson from "@tidings/core/EventJson"
import type { Cursor, EventFilter } from "@tidings/core/EventQuery"
import * as Target from "@tidings/core/Target"
import * as Timestamp from "@tidings/core/Timestamp"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Queue from "effect/Queue"
import * as Redacted from "effect/Redacted"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { rmSync } from "node:fs"
import { install, installed, makeDirectory, Server } from "../tools/postgres/server.ts"
import { compare, type Group, median } from "./Measurement.ts"
import * as feeding from "./postgres/feeding.ts"
import { fill } from "./postgres/filling.ts"
import * as listing from "./postgres/listing.ts"

export const PARTS = ["archiving", "feeding", "reading"] as const

export interface Options {
  readonly events: number
  readonly only?: (typeof PARTS)[number] | undefined
}

const BATCH = 1_000
const KINDS = ["Pod", "Node", "Job", "Deployment"]

/** The state of an event with a number, as an archive of a cluster has it. */
const event = (n: number): Event => ({
  id: { origin: `5f0c9a3e-8a55-4a57-9b1c-${n.toString(16).padStart(12, "0")}`, seq: 0 },
  upTo: n,
  count: 1,
  first: 1_790_000_000_000_000 + n,
  last: 1_790_000_000_000_000 + n,
  name: `web-${n % 500}.${n.toString(16)}`,
  namespace: `team-${n % 40}`,
  uid: `5f0c9a3e-8a55-4a57-9b1c-${n.toString(16).padStart(12, "0")}`,
  resourceVersion: String(n),
  cluster: { id: "8a0c1f5e-0000-4000-8000-000000000001", name: "production" },
  event: {
    involvedObject: { apiVersion: "v1", kind: KINDS[n % 4]!, name: `web-${n % 500}`, namespace: `team-${n % 40}` },
    reason: `Reason${n % 20}`,
    type: n % 5 === 0 ? "Warning" : "Normal",
    action: "Scheduling",
    message: `Back-off restarting failed container app in pod web-${n % 500}_team-${n % 40}(${n})`,
    data: {},
    source: { component: "kubelet", host: `node-${n % 100}` },
    reportingController: "kubelet",
    reportingInstance: `node-${n % 100}`
  }
})

/** The line of a state, with the names of what differs between states in braces. */
const template = (): string => {
  const n = 54_321
  const { event: written } = event(n)
  const { name, kind } = written.involvedObject
  const places: ReadonlyArray<readonly [string, string]> = [
    [`(${n})`, "({n})"],
    [`"${n}"`, '"{n}"'],
    [`:${n},`, ":{n},"],
    [event(n).uid!.slice(-12), "{hex}"],
    [`.${n.toString(16)}"`, '.{nhex}"'],
    [Timestamp.format(event(n).last), "{time}"],
    [name, "web-{object}"],
    [event(n).namespace!, "team-{team}"],
    [written.source.host!, "node-{node}"],
    [`"${written.reason}"`, '"Reason{reason}"'],
    [`"kind":"${kind}"`, '"kind":"{kind}"'],
    [`"type":"${written.type}"`, '"type":"{type}"']
  ]
  return places.reduce((line, [text, place]) => line.replaceAll(text, place), EventJson.encode(event(n)))
}

const rowsOf = (from: number): ReadonlyArray<ArchiveStore.Row> =>
  Array.from({ length: BATCH }, (_, index) => {
    const one = event(from + index)
    return { event: one, line: EventJson.encode(one) }
  })

/** The plainest loop into the tables of a schema: `unnest`, one statement for each batch, nothing looked up. */
const bareInsert = (
  sql: PgClient.PgClient,
  schema: string,
  rows: ReadonlyArray<ArchiveStore.Row>,
  position: number
) => {
  const column = <A>(of: (event: Event) => A) => rows.map(({ event }) => of(event))
  const table = (name: string) => sql.literal(`${schema}.${name}`)
  return sql.withTransaction(
    Effect.gen(function* () {
      yield* sql`
        insert into ${table("states")} (position, day, cluster, origin, seq, up_to, event)
        select ${BigInt(position)}::bigint + n, (now() at time zone 'utc')::date, cluster, origin, 0, up_to, event
        from unnest(${column(({ cluster }) => cluster!.id)}::text[], ${column(({ id }) => id.origin)}::text[],
          ${column(({ upTo }) => BigInt(upTo))}::bigint[], ${rows.map(({ line }) => line)}::text[])
          with ordinality as s(cluster, origin, up_to, event, n)`
      yield* sql`
        insert into ${table("current")} (cluster, cluster_name, origin, seq, up_to, position, day, last, kind, object_name,
          object_namespace, api_group, namespace, name, reason, type, source, message)
        select cluster, 'production', origin, 0, up_to, ${BigInt(position)}::bigint + n, (now() at time zone 'utc')::date, last,
          kind, object_name, namespace, '', namespace, name, reason, type, 'kubelet', message
        from unnest(${column(({ cluster }) => cluster!.id)}::text[], ${column(({ id }) => id.origin)}::text[],
          ${column(({ upTo }) => BigInt(upTo))}::bigint[], ${column(({ last }) => BigInt(last))}::bigint[],
          ${column((one) => one.event.involvedObject.kind)}::text[], ${column((one) => one.event.involvedObject.name)}::text[],
          ${column((one) => one.namespace!)}::text[], ${column(({ name }) => name)}::text[],
          ${column((one) => one.event.reason)}::text[], ${column((one) => one.event.type)}::text[],
          ${column((one) => one.event.message.toLowerCase())}::text[])
          with ordinality as s(cluster, origin, up_to, last, kind, object_name, namespace, name, reason, type, message, n)`
    })
  )
}

const millisOf = <A, E>(effect: Effect.Effect<A, E>): Effect.Effect<number, E> =>
  Effect.gen(function* () {
    const startedAt = performance.now()
    yield* effect
    return performance.now() - startedAt
  })

const open = (url: string, schema: string) =>
  Effect.map(Layer.build(PostgresBackend.layer({ url, schema })), (context) => ({
    backend: Context.get(context, Backend),
    store: Context.get(context, ArchiveStore.ArchiveStore)
  }))

const client = (url: string) =>
  Effect.map(Layer.build(PgClient.layer({ url: Redacted.make(url), prepare: false })), (context) =>
    Context.get(context, PgClient.PgClient)
  )

/** One replica that commits, and what it has committed so far. */
const replicaOf = (store: ArchiveStore.ArchiveStore["Service"]) =>
  Effect.map(
    store.open({ target: Target.make(event(0).cluster!.id), name: "production", replica: "one" }),
    ({ key }) => {
      let round = 0
      return (rows: ReadonlyArray<ArchiveStore.Row>) =>
        Effect.suspend(() => {
          const span = { since: 1, until: ++round }
          return store.commit({
            key,
            replica: "one",
            epoch: 0,
            rows,
            isMixed: false,
            cursor: String(round) as Cursor,
            span,
            until: span.until,
            isLive: true,
            tell: false,
            isFirst: false
          })
        })
    }
  )

const ROUNDS = 40
const BARE = "unnest, one in flight"
const COMMITS = "commits of a replica"

const archiving = (url: string) =>
  Effect.gen(function* () {
    const sql = yield* client(url)
    const commit = yield* replicaOf((yield* open(url, "ours")).store)
    yield* (yield* open(url, "bare")).backend.target
    let ours = 0
    let bare = 0
    // In turns, so that both meet the same machine.
    for (let round = 0; round < ROUNDS; round++) {
      const rows = rowsOf(round * BATCH + 1)
      bare += yield* millisOf(bareInsert(sql, "bare", rows, round * BATCH))
      ours += yield* millisOf(commit(rows))
    }
    const perRow = (millis: number) => (millis * 1e6) / (ROUNDS * BATCH)
    const costs = new Map([
      [BARE, perRow(bare)],
      [COMMITS, perRow(ours)]
    ])
    const group: Group = {
      title: `archiving one cluster: ${ROUNDS * BATCH} states, ${BATCH} in each commit, into the same indexed tables`,
      rows: compare(costs, BARE, { [COMMITS]: { atLeast: 0.7 } })
    }
    return [group]
  })

/** How long each query is measured; those that take long are asked twelve times. */
const QUERY_MILLIS = 2_000

const FOLLOWED = 300

const QUERIES: ReadonlyArray<readonly [name: string, filter: EventFilter, condition: string]> = [
  ["newest 50", {}, "true"],
  ["newest 50 of a namespace", { namespace: "team-7" }, "c.namespace = 'team-7'"],
  [
    "newest 50 of a kind and name",
    { resourceType: "Pod", resourceName: "web-8" },
    "c.kind = 'Pod' and c.object_name = 'web-8'"
  ],
  ["newest 50 of a cluster, by its name", { cluster: "production" }, "c.cluster_name = 'production'"],
  [
    "newest 50 with a text since a time",
    { match: "pod web-8_", since: 1_790_000_000_900_000 },
    "c.last >= 1790000000900000 and strpos(c.message, 'pod web-8_') > 0"
  ],
  [
    "newest 50 warnings of a namespace",
    { eventType: "Warning", namespace: "team-5" },
    "c.type = 'Warning' and c.namespace = 'team-5'"
  ],
  [
    "newest 50 warnings of a reason",
    { eventType: "Warning", reason: "Reason5" },
    "c.type = 'Warning' and c.reason = 'Reason5'"
  ]
]

/** The best that is known by hand: one statement for the page and the total, and the lines parsed. */
const byHand = (sql: PgClient.PgClient, condition: string) =>
  Effect.map(
    sql.unsafe<{ total: bigint; event: string }>(`
      with page as (
        select c.position, c.day, c.last from ours.current c where ${condition} order by c.last desc, c.position desc limit 50
      )
      select (select count(*) from ours.current c where ${condition}) as total, s.event
      from page p join ours.states s on s.position = p.position and s.day = p.day order by p.last desc`),
    (rows) => rows.map(({ event }): unknown => JSON.parse(event))
  )

/** Queries beside the best that is known by hand. */
const querying = (sql: PgClient.PgClient, backend: Backend["Service"], events: number) =>
  Effect.gen(function* () {
    const groups: Array<Group> = []
    for (const [name, filter, condition] of QUERIES) {
      const ours: Array<number> = []
      const hand: Array<number> = []
      const until = performance.now() + QUERY_MILLIS
      while (ours.length < 12 || (ours.length < 200 && performance.now() < until)) {
        hand.push(yield* millisOf(byHand(sql, condition)))
        ours.push(yield* millisOf(backend.query({ ...filter, limit: 50 })))
      }
      // The first ones read what is not in memory yet.
      const costs = new Map([
        ["SQL by hand", median(hand.slice(2))],
        ["query", median(ours.slice(2))]
      ])
      groups.push({
        title: `${name} of ${events}, with the exact total`,
        rows: compare(costs, "SQL by hand", { query: { atMost: 1.5 } }, "ms")
      })
    }
    return groups
  })

/**
 * How long a commit of one state takes to arrive at a watch of another program, which is told by a notification; beside the
 * notification itself, at a connection that does nothing else: what of it is the machine's.
 */
const following = (
  url: string,
  sql: PgClient.PgClient,
  commit: (rows: ReadonlyArray<ArchiveStore.Row>) => Effect.Effect<unknown, BackendError>,
  events: number
) =>
  Effect.gen(function* () {
    const arrivals = new Map<number, number>()
    const notified = new Map<number, number>()
    const commits = new Map<number, number>()
    const follower = (yield* open(url, "ours")).backend
    const { cursor } = yield* follower.query({ limit: 0 })
    yield* Effect.forkScoped(
      Stream.runForEach(follower.watch({}, cursor), (item) =>
        Effect.sync(() => {
          if (item._tag === "Event") arrivals.set(item.event.upTo, performance.now())
        })
      )
    )
    const notifications = yield* sql.listen(`tidings_${(yield* follower.target).id}`)
    yield* Effect.forkScoped(
      Effect.forever(
        Effect.map(Queue.take(notifications), ({ payload }) => void notified.set(Number(payload), performance.now()))
      )
    )
    yield* Effect.sleep("3 seconds")
    for (let n = events + 1; n <= events + FOLLOWED; n++) {
      const one = event(n)
      yield* commit([{ event: one, line: EventJson.encode(one) }])
      commits.set(n, performance.now())
      yield* Effect.sleep("10 millis")
    }
    yield* Effect.sleep("1 second")
    // Each may be there before the answer to the commit is. One that never came counts as a second.
    const delays = (of: ReadonlyMap<number, number>) =>
      [...commits].map(([n, at]) => Math.max(0, (of.get(n) ?? at + 1_000) - at)).sort((one, other) => one - other)
    const p99Of = (sorted: ReadonlyArray<number>) => sorted[Math.floor(sorted.length * 0.99)]!
    const items = delays(arrivals)
    const p99 = p99Of(items)
    const group: Group = {
      title: `following: from a commit to the item, ${FOLLOWED} times`,
      rows: [
        { name: "the notification alone, p99", cost: p99Of(delays(notified)), unit: "ms" },
        { name: "the item, median", cost: median(items), unit: "ms" },
        { name: "the item, p99", cost: p99, unit: "ms", bar: "at most 30 ms", met: p99 <= 30 }
      ]
    }
    return group
  })

const reading = (url: string, events: number) =>
  Effect.gen(function* () {
    const sql = yield* client(url)
    const { backend, store } = yield* open(url, "ours")
    const commit = yield* replicaOf(store)
    yield* commit(rowsOf(1))
    yield* fill(sql, "ours", { cluster: event(0).cluster!.id, kinds: KINDS, line: template() }, BATCH + 1, events)
    yield* sql`vacuum analyze ours.current, ours.states`
    const [made] = yield* sql<{ event: string }>`
      select event from ours.states where position = ${BigInt(events)}::bigint`
    if (made?.event !== EventJson.encode(event(events))) {
      throw new Error(`the last line is not that of the last event: ${made?.event}`)
    }
    return [
      ...(yield* querying(sql, backend, events)),
      listing.run(`${url}&schema=ours`, events),
      yield* following(url, sql, commit, events)
    ]
  })

export const run = async ({ events, only }: Options): Promise<ReadonlyArray<Group>> => {
  const directory = makeDirectory()
  const server = await Server.make((installed(15) ?? install(directory)).bin, directory)
  try {
    const groups: Array<Group> = []
    const part = <E>(name: (typeof PARTS)[number], effect: Effect.Effect<ReadonlyArray<Group>, E, Scope.Scope>) =>
      only === undefined || only === name
        ? Effect.runPromise(Effect.scoped(effect)).then((more) => void groups.push(...more))
        : Promise.resolve()
    await part("archiving", archiving(server.url()))
    await part(
      "feeding",
      Effect.gen(function* () {
        const url = `${server.url()}&schema=fed`
        const sql = yield* client(server.url())
        const count = Effect.map(
          sql<{ states: bigint }>`select coalesce(sum(states), 0)::bigint as states from fed.replicas`,
          (rows) => Number(rows[0]!.states)
        )
        return [yield* Effect.promise(() => feeding.run(url, () => Effect.runPromise(count)))]
      })
    )
    // On a server that has nothing else in its memory.
    await Effect.runPromise(
      Effect.scoped(Effect.flatMap(client(server.url()), (sql) => sql`drop schema if exists ours, bare, fed cascade`))
    )
    await part("reading", reading(server.url(), events))
    return groups
  } finally {
    await server.remove()
    rmSync(directory, { recursive: true, force: true })
  }
}
