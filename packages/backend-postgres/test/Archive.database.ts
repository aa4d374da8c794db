import { assert, describe, it } from "@effect/vitest"
import * as FileBackend from "@tidings/backend-fs/FileBackend"
import { Archive, ArchiveStore, PostgresBackend } from "@tidings/backend-postgres"
import * as Backend from "@tidings/core/Backend"
import * as Target from "@tidings/core/Target"
import * as PgClient from "@effect/sql-pg/PgClient"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Metric from "effect/Metric"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import * as schemas from "../src/internal/schema.ts"
import { cluster, eventually, follow, memory, openArchive, replica, statesIn } from "./archives.ts"
import * as proxies from "./proxy.ts"
import { clientLayer, schema, url } from "./testDatabase.ts"
import { again, first, range } from "./writes.ts"

const statement = <A extends object = Record<string, unknown>>(text: string, at = url) =>
  PgClient.PgClient.pipe(
    Effect.flatMap((sql) => sql.unsafe<A>(text)),
    Effect.provide(clientLayer(at))
  )

const isLive = ({ phase }: Archive.SourceStatus): boolean => phase === "live"

/** How often each state is stored, by series and number. */
const doubled = (name: string) =>
  statement(
    `select origin, seq, up_to, epoch from ${name}.states group by origin, seq, up_to, epoch, cluster having count(*) > 1`
  )

const positionsOf = (name: string) =>
  Effect.map(
    statement<{ n: bigint; head: bigint }>(
      `select (select count(*) from ${name}.states) + (select count(*) from ${name}.gaps) as n, position as head from ${name}.store`
    ),
    (rows) => ({ count: Number(rows[0]!.n), head: Number(rows[0]!.head) })
  )

describe("an archive", () => {
  it.live("copies what there is and what comes, and goes on where it was", () =>
    Effect.gen(function* () {
      const name = yield* schema
      const source = yield* memory
      yield* source.write(range(1, 3))
      const { backend, store } = yield* openArchive({ schema: name })
      const one = yield* replica("one", { east: source }, { schema: name })
      yield* eventually(backend.query({}), ({ totalCount }) => totalCount === 3)
      yield* source.write([again(first(1)), first(4)])
      yield* eventually(backend.query({}), ({ totalCount }) => totalCount === 4)
      assert.strictEqual((yield* eventually(one.status, isLive)).written, 5)
      const target = yield* source.target
      const page = yield* backend.query({ limit: 1 })
      assert.deepStrictEqual(page.events[0]!.cluster, { id: target.id, name: "east" })
      assert.strictEqual(page.coverage.length, 1)
      assert.deepInclude(page.coverage[0]!, { store: target.id, until: "now", gaps: [] })

      yield* one.end
      assert.isNumber((yield* backend.query({})).coverage[0]!.until)
      yield* source.write([again(again(first(1))), first(5)])
      const two = yield* replica("one", { east: source }, { schema: name })
      yield* eventually(backend.query({}), ({ totalCount }) => totalCount === 5)
      yield* eventually(two.status, isLive)
      const [stored] = yield* store.stores
      assert.deepStrictEqual(stored!.coverage.gaps, [])
      assert.deepInclude(stored!.replicas[0]!, { name: "one", isLive: true, states: 7 })
      assert.deepStrictEqual(yield* positionsOf(name), { count: 7, head: 7 })
    })
  )

  it.live("copies an event log, with the events of other clusters that were imported into it", () =>
    Effect.gen(function* () {
      const name = yield* schema
      const directory = yield* Effect.acquireRelease(
        Effect.sync(() => mkdtempSync(join(tmpdir(), "tidings-archive-"))),
        (directory) => Effect.sync(() => rmSync(directory, { recursive: true, force: true }))
      )
      const log = Context.get(yield* Layer.build(FileBackend.layer({ directory })), Backend.Backend)
      const foreign = { ...first(2), id: { origin: "uid-2", seq: 0 }, upTo: 812, cluster: { id: "c-1", name: "west" } }
      yield* log.write([first(1), foreign])
      const { backend } = yield* openArchive({ schema: name })
      const one = yield* replica("one", { log }, { schema: name })
      yield* eventually(one.status, isLive)
      yield* log.write([again(first(1))])
      yield* eventually(backend.query({}), ({ events }) => events.some(({ count }) => count === 2))
      assert.deepStrictEqual(
        (yield* backend.query({ cluster: "west" })).events.map(({ id }) => id),
        [{ origin: "uid-2", seq: 0 }]
      )
      assert.deepStrictEqual(
        (yield* backend.query({ cluster: "log" })).events.map(({ id }) => id.seq),
        [1]
      )
      // The log may have events of any cluster, so its gaps matter to all of them.
      assert.strictEqual((yield* backend.query({ cluster: "west" })).coverage.length, 1)
    })
  )

  it.live("says of an event log that it is complete since the log is, and not since it was copied", () =>
    Effect.gen(function* () {
      const name = yield* schema
      const directory = yield* Effect.acquireRelease(
        Effect.sync(() => mkdtempSync(join(tmpdir(), "tidings-archive-"))),
        (directory) => Effect.sync(() => rmSync(directory, { recursive: true, force: true }))
      )
      const log = Context.get(yield* Layer.build(FileBackend.layer({ directory })), Backend.Backend)
      yield* log.write([first(1)])
      const since = (yield* log.query({ limit: 0 })).coverage[0]!.since as number
      yield* Effect.sleep("300 millis")
      const begun = Date.now() * 1_000
      const { backend } = yield* openArchive({ schema: name })
      const one = yield* replica("one", { log }, { schema: name })
      yield* eventually(one.status, isLive)
      const coverage = yield* eventually(
        Effect.map(backend.query({}), (page) => page.coverage[0]!),
        ({ until }) => until === "now"
      )
      assert.isBelow(since, begun)
      assert.deepInclude(coverage, { since, gaps: [] })
      yield* one.end
      const { until } = (yield* backend.query({})).coverage[0]!
      assert.isAtLeast(until as number, begun)
    })
  )

  it.live("two processes with one name are told so, and one that is started again is not", () =>
    Effect.gen(function* () {
      const name = yield* schema
      const target = Target.make("uid-1")
      const committing = Effect.fnUntraced(function* () {
        const { store } = yield* openArchive({ schema: name })
        const { key } = yield* store.open({ target, replica: "host" })
        return Effect.map(
          store.commit({
            key,
            replica: "host",
            epoch: 0,
            rows: [],
            isMixed: false,
            isLive: true,
            tell: false,
            isFirst: false
          }),
          ({ isShared }) => isShared
        )
      })
      const one = yield* committing()
      for (let n = 0; n < 5; n++) assert.isFalse(yield* one)
      const two = yield* committing()
      // The first one ends now: it commits once more.
      assert.deepStrictEqual(
        [yield* two, yield* one, yield* two, yield* two, yield* two],
        [false, false, false, false, false]
      )
      const told: Array<boolean | undefined> = []
      for (let n = 0; n < 4; n++) told.push(yield* one, yield* two)
      // The first one has seen a commit of the other before.
      assert.deepStrictEqual(told, [false, false, true, false, true, true, true, true])
    })
  )

  it.live("two replicas store each state once, and one that dies leaves no second out", () =>
    Effect.gen(function* () {
      const name = yield* schema
      const { backend: source, put } = yield* cluster
      const { backend, store } = yield* openArchive({ schema: name })
      const items = yield* follow(backend)
      const one = yield* replica("one", { east: source }, { schema: name, batchSize: 7 })
      const two = yield* replica("two", { east: source }, { schema: name, batchSize: 11 })
      for (const each of [one, two]) yield* eventually(each.status, isLive)
      for (let round = 0; round < 30; round++) {
        for (let n = 0; n < 5; n++) yield* put(`event-${round}-${n}`)
        yield* put(`event-${round}-0`, 2)
        yield* Effect.sleep("10 millis")
        if (round === 15) yield* one.end
      }
      yield* eventually(backend.query({ limit: 0 }), ({ totalCount }) => totalCount === 150)
      yield* eventually(
        Effect.sync(() => statesIn(items)),
        (states) => states.length >= 180
      )
      assert.strictEqual(new Set(statesIn(items)).size, 180)
      assert.strictEqual(statesIn(items).length, 180)
      assert.deepStrictEqual(yield* doubled(name), [])
      assert.deepStrictEqual(yield* positionsOf(name), { count: 180, head: 180 })
      const [stored] = yield* eventually(store.stores, ([one]) => one!.replicas[1]!.isLive)
      assert.deepStrictEqual(stored!.coverage.gaps, [])
      assert.deepStrictEqual(
        stored!.replicas.map(({ isLive, name }) => [name, isLive]),
        [
          ["one", false],
          ["two", true]
        ]
      )
    })
  )

  it.live("a replica with another name goes on where the last one was", () =>
    Effect.gen(function* () {
      const name = yield* schema
      const source = yield* memory
      const { store } = yield* openArchive({ schema: name })
      yield* source.write(range(1, 5))
      const one = yield* replica("pod-a", { east: source }, { schema: name })
      yield* eventually(one.status, isLive)
      yield* one.end
      yield* source.write(range(6, 9))
      const two = yield* replica("pod-b", { east: source }, { schema: name })
      const status = yield* eventually(two.status, ({ phase, written }) => phase === "live" && written === 4)
      assert.strictEqual(status.present, 0)
      assert.deepStrictEqual((yield* store.stores)[0]!.coverage.gaps, [])
    })
  )

  it.live("clusters are told apart by id and by name, in queries, in watches and in coverage", () =>
    Effect.gen(function* () {
      const name = yield* schema
      const [east, west] = [yield* memory, yield* memory]
      const { backend } = yield* openArchive({ schema: name })
      // The same identity in two clusters is two events.
      yield* east.write(range(1, 3))
      yield* west.write(range(3, 4))
      const ids = { east: (yield* east.target).id, west: (yield* west.target).id }
      const watched = yield* follow(backend, { cluster: "west" })
      yield* replica("one", { east, west }, { schema: name })
      yield* eventually(backend.query({}), ({ totalCount }) => totalCount === 5)
      for (const wanted of ["west", ids.west]) {
        const page = yield* backend.query({ cluster: wanted })
        assert.deepStrictEqual(page.events.map(({ id }) => id.seq).sort(), [3, 4])
        assert.deepStrictEqual(
          page.coverage.map(({ store }) => store),
          [ids.west]
        )
      }
      assert.strictEqual((yield* backend.query({ cluster: ["east", ids.west] })).totalCount, 5)
      assert.strictEqual((yield* backend.query({ cluster: "north" })).totalCount, 0)
      // What is asked beside the cluster changes nothing about what is known of it.
      assert.strictEqual((yield* backend.query({ reason: "Nothing" })).coverage.length, 2)
      yield* east.write([first(7)])
      yield* west.write([first(8)])
      yield* eventually(
        Effect.sync(() => statesIn(watched)),
        (states) => states.length === 3
      )
      assert.isTrue(watched.every((item) => item._tag !== "Event" || item.event.cluster?.id === ids.west))
    })
  )

  it.live("events that programs write to the same database themselves have a coverage of their own", () =>
    Effect.gen(function* () {
      const name = yield* schema
      const source = yield* memory
      yield* source.write([first(1)])
      const { backend } = yield* openArchive({ schema: name })
      const one = yield* replica("one", { east: source }, { schema: name })
      yield* eventually(one.status, isLive)
      yield* backend.write([first(2)])
      const own = (yield* backend.target).id
      const { coverage } = yield* backend.query({})
      assert.deepStrictEqual(
        coverage.map(({ store }) => store),
        [own, (yield* source.target).id]
      )
    })
  )

  it.live("metrics and the status of a replica say what it does", () =>
    Effect.gen(function* () {
      const name = yield* schema
      const source = yield* memory
      yield* source.write(range(1, 3))
      const store = `metrics-${name}`
      const one = yield* replica("one", { [store]: source }, { schema: name })
      const status = yield* eventually(one.status, isLive)
      assert.deepInclude(status, { name: store, store: (yield* source.target).id, written: 3, present: 0, gaps: 0 })
      const written = Metric.withAttributes(Archive.states, { store, how: "written" })
      assert.strictEqual((yield* Metric.value(written)).count, 3)
    })
  )
})

describe("what an archive survives", () => {
  for (const where of ["before", "after"] as const) {
    it.live(`a connection that is cut ${where} the server has COMMIT: each state is stored once`, () =>
      Effect.gen(function* () {
        const name = yield* schema
        const source = yield* memory
        const { backend } = yield* openArchive({ schema: name })
        const proxy = yield* proxies.open(url)
        yield* replica("one", { east: source }, { schema: name, url: proxy.url, batchSize: 5 })
        for (let round = 0; round < 12; round++) {
          yield* source.write(range(round * 3 + 1, round * 3 + 3))
          if (round % 3 === 0) proxy.cutAtCommit = where
          yield* Effect.sleep("100 millis")
        }
        yield* eventually(backend.query({ limit: 0 }), ({ totalCount }) => totalCount === 36)
        assert.isAbove(proxy.cuts, 1)
        assert.deepStrictEqual(yield* doubled(name), [])
        const { count, head } = yield* positionsOf(name)
        assert.deepStrictEqual([count, head], [36, 36])
      })
    )
  }

  it.live("all of its connections being ended, again and again", () =>
    Effect.gen(function* () {
      const name = yield* schema
      const source = yield* memory
      const { backend } = yield* openArchive({ schema: name })
      const through = new URL(url)
      through.searchParams.set("application_name", name)
      yield* replica("one", { east: source }, { schema: name, url: through.href, batchSize: 5 })
      for (let round = 0; round < 20; round++) {
        yield* source.write(range(round * 3 + 1, round * 3 + 3))
        yield* statement(`select pg_terminate_backend(pid) from pg_stat_activity where application_name = '${name}'`)
        yield* Effect.sleep("30 millis")
      }
      yield* eventually(backend.query({ limit: 0 }), ({ totalCount }) => totalCount === 60)
      assert.deepStrictEqual(yield* positionsOf(name), { count: 60, head: 60 })
    })
  )

  it.live("a database that it may only read is said, and nothing is lost when it may write", () =>
    Effect.gen(function* () {
      const name = yield* schema
      const role = `${name}_archiver`
      yield* Effect.acquireRelease(statement(`create role ${role} login password 'secret'`), () =>
        Effect.ignore(Effect.andThen(statement(`drop owned by ${role}`), statement(`drop role ${role}`)))
      )
      const source = yield* memory
      yield* source.write(range(1, 3))
      const { backend } = yield* openArchive({ schema: name })
      yield* backend.target
      for (const one of PostgresBackend.grants(role, "reader", { schema: name })) yield* statement(one)
      const as = new URL(url)
      as.username = role
      as.password = "secret"
      const one = yield* replica("one", { east: source }, { schema: name, url: as.href })
      const failing = yield* eventually(one.status, ({ phase }) => phase === "failing")
      assert.include(failing.problem, "permission denied")
      for (const one of PostgresBackend.grants(role, "archiver", { schema: name })) yield* statement(one)
      yield* eventually(one.status, isLive)
      yield* source.write([again(first(1))])
      yield* eventually(backend.query({}), ({ events }) => events.some(({ count }) => count === 2))
      assert.strictEqual((yield* backend.query({})).totalCount, 3)
    })
  )
})

describe("an archive of a cluster", () => {
  it.live("has every state of every event, as the cluster has it", () =>
    Effect.gen(function* () {
      const name = yield* schema
      const { backend: source, put, server } = yield* cluster
      for (let n = 0; n < 120; n++) yield* put(`before-${n}`)
      const { backend } = yield* openArchive({ schema: name })
      const one = yield* replica("one", { production: source }, { schema: name })
      yield* eventually(one.status, isLive)
      for (let count = 2; count <= 20; count++) yield* put("before-7", count)
      yield* source.write([first(1)])
      yield* eventually(backend.query({ limit: 0 }), ({ totalCount }) => totalCount === 121)
      const page = yield* backend.query({ name: "before-7" })
      const stored = (yield* server.events).find(({ metadata }) => metadata.name === "before-7")!
      const [event] = page.events
      assert.deepInclude(event!, {
        count: 20,
        name: "before-7",
        uid: stored.metadata.uid!,
        upTo: Number(stored.metadata["resourceVersion"]),
        resourceVersion: String(stored.metadata["resourceVersion"]),
        id: { origin: stored.metadata.uid!, seq: 0 }
      })
      assert.deepStrictEqual(event!.cluster, { id: (yield* source.target).id, name: "production" })
      const counts = yield* statement<{ n: bigint }>(
        `select count(*) as n from ${name}.states where origin = '${event!.uid}'`
      )
      assert.strictEqual(counts[0]!.n, 20n)
    })
  )

  it.live("history that expired while it was away is a gap in coverage, in the table and in watches", () =>
    Effect.gen(function* () {
      const name = yield* schema
      const { backend: source, put, server } = yield* cluster
      yield* put("a")
      const { backend } = yield* openArchive({ schema: name })
      const one = yield* replica("one", { production: source }, { schema: name })
      yield* eventually(one.status, isLive)
      yield* one.end
      const watched = yield* follow(backend)
      const other = yield* follow(backend, { cluster: "elsewhere" })
      const left = Date.now() * 1_000
      yield* put("a", 2)
      yield* put("a", 3)
      yield* put("b")
      yield* server.compact
      const two = yield* replica("one", { production: source }, { schema: name })
      yield* eventually(two.status, isLive)
      const { coverage, totalCount } = yield* eventually(
        backend.query({}),
        ({ coverage }) => coverage[0]!.gaps.length > 0
      )
      assert.strictEqual(totalCount, 2)
      const [gap] = coverage[0]!.gaps
      assert.strictEqual(gap!.store, (yield* source.target).id)
      assert.isAtMost(gap!.from!, left)
      assert.isAtLeast(gap!.to!, left)
      assert.include(gap!.reason, "no longer has the changes")
      yield* eventually(
        Effect.sync(() => watched),
        (items) => items.some(({ _tag }) => _tag === "Gap")
      )
      assert.deepStrictEqual(statesIn(watched).length, 2)
      const told = watched.find((item) => item._tag === "Gap")!
      assert.deepInclude(told, { ...gap! })
      assert.isFalse(other.some(({ _tag }) => _tag === "Gap"))
      const { count, head } = yield* positionsOf(name)
      assert.strictEqual(count, head)
      // A filter of another time has no use for the gap; one of a reason has.
      assert.deepStrictEqual((yield* backend.query({ until: gap!.from! - 1 })).coverage[0]!.gaps, [])
      assert.strictEqual((yield* backend.query({ reason: "Nothing" })).coverage[0]!.gaps.length, 1)
      // One who begins with the archive later is told too.
      const later = yield* follow(backend, { cluster: "production" })
      assert.deepStrictEqual(statesIn(later), [])
    })
  )

  it.live("history that expired for one replica is no gap while another one has it", () =>
    Effect.gen(function* () {
      const name = yield* schema
      const { backend: source, put, server } = yield* cluster
      yield* put("a")
      const { backend, store } = yield* openArchive({ schema: name })
      const one = yield* replica("one", { production: source }, { schema: name })
      yield* eventually(one.status, isLive)
      const two = yield* replica("two", { production: source }, { schema: name })
      yield* eventually(two.status, isLive)
      yield* one.end
      yield* put("a", 2)
      yield* put("a", 3)
      yield* eventually(backend.query({}), ({ events }) => events[0]?.count === 3)
      yield* server.compact
      const again = yield* replica("one", { production: source }, { schema: name })
      yield* eventually(again.status, isLive)
      yield* put("b")
      yield* eventually(backend.query({}), ({ totalCount }) => totalCount === 2)
      assert.deepStrictEqual((yield* store.stores)[0]!.coverage.gaps, [])
      assert.deepStrictEqual(yield* doubled(name), [])
    })
  )

  it.live("an etcd that was restored begins an epoch: a gap, and no state is taken for one that is stored", () =>
    Effect.gen(function* () {
      const name = yield* schema
      const { backend: source, put, server } = yield* cluster
      yield* put("a")
      yield* put("b")
      const { backend, store } = yield* openArchive({ schema: name })
      const replicas = [
        yield* replica("one", { production: source }, { schema: name }),
        yield* replica("two", { production: source }, { schema: name })
      ]
      for (const one of replicas) yield* eventually(one.status, isLive)
      const backup = yield* server.backup
      yield* put("a", 2)
      yield* put("a", 3)
      yield* eventually(backend.query({}), ({ events }) => events.some(({ count }) => count === 3))
      yield* server.startApiServer({ etcd: backup, rolesAfter: 0 })
      // The same number as the state with a count of 2 had, of the same event.
      yield* put("a", 12)
      const [stored] = yield* eventually(store.stores, ([one]) => one!.epoch === 1 && one!.coverage.gaps.length === 1)
      assert.include(stored!.coverage.gaps[0]!.reason, "put back")
      yield* eventually(backend.query({}), ({ events }) => events.some(({ count }) => count === 12))
      for (const one of replicas) yield* eventually(one.status, isLive)
      const counts = yield* statement<{ count: number; epoch: number }>(
        `select (event::json ->> 'count')::int as count, epoch from ${name}.states order by position`
      )
      // What the backup had is not stored twice.
      assert.sameDeepMembers(counts as Array<unknown>, [
        { count: 1, epoch: 0 },
        { count: 1, epoch: 0 },
        { count: 2, epoch: 0 },
        { count: 3, epoch: 0 },
        { count: 12, epoch: 1 }
      ])
      yield* put("b", 2)
      yield* eventually(backend.query({}), ({ events }) => events.every(({ count }) => count > 1))
      assert.deepStrictEqual((yield* store.stores)[0]!.coverage.gaps.length, 1)
    })
  )
})

describe("the tables of an archive", () => {
  it.live("are added to those of the first version, with what is stored, and its readers still read", () =>
    Effect.gen(function* () {
      const name = yield* schema
      const role = `${name}_reader`
      yield* Effect.acquireRelease(statement(`create role ${role} login password 'secret'`), () =>
        Effect.ignore(Effect.andThen(statement(`drop owned by ${role}`), statement(`drop role ${role}`)))
      )
      yield* statement(`create schema ${name}`)
      for (const one of schemas.migrations[0]!(name)) yield* statement(one)
      yield* statement(`insert into ${name}.store values (true, 'store-1', 1, 0, 0, current_date, 0, null)`)
      yield* statement(`select ${name}.add_partition(day)::text from ${name}.store`)
      yield* statement(`grant usage on schema ${name} to ${role}`)
      yield* statement(`grant select on ${name}.store, ${name}.states, ${name}.current, ${name}.events to ${role}`)
      const { backend } = yield* openArchive({ schema: name })
      assert.strictEqual((yield* backend.target).id, "store-1")
      assert.deepStrictEqual(yield* backend.write([first(1)]), [Backend.created])
      const as = new URL(url)
      as.username = role
      as.password = "secret"
      const reader = yield* openArchive({ schema: name, url: as.href, migrate: false })
      const page = yield* reader.backend.query({ cluster: "any" })
      assert.strictEqual(page.totalCount, 0)
      assert.strictEqual((yield* reader.backend.query({})).totalCount, 1)
      const read = Context.get(reader.context, ArchiveStore.ArchiveStore)
      assert.deepStrictEqual(yield* read.stores, [])
    })
  )
})
