import { assert, describe, it } from "@effect/vitest"
import * as PgClient from "@effect/sql-pg/PgClient"
import { PostgresBackend } from "@tidings/backend-postgres"
import type { BackendError } from "@tidings/core/BackendError"
import type { Write } from "@tidings/core/Event"
import type { EventFilter, WatchItem } from "@tidings/core/EventQuery"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Queue from "effect/Queue"
import * as Stream from "effect/Stream"
import { conditionOf } from "../src/internal/filtering.ts"
import { createHash } from "node:crypto"
import * as proxies from "./proxy.ts"
import { clientLayer, open, type Opened, schema, url } from "./testDatabase.ts"
import { again, first, range } from "./writes.ts"

const statement = <A extends object = Record<string, unknown>>(text: string, at = url) =>
  PgClient.PgClient.pipe(
    Effect.flatMap((sql) => sql.unsafe<A>(text)),
    Effect.provide(clientLayer(at))
  )

const seqsOf = (items: ReadonlyArray<WatchItem>): ReadonlyArray<number> =>
  items.flatMap((item) => (item._tag === "Event" ? [item.event.id.seq] : []))

/** What a watch yields up to a number of events. */
const take = ({ backend }: Opened, from: Parameters<Opened["backend"]["watch"]>[1], events: number) =>
  backend.watch({}, from).pipe(
    Stream.filter(({ _tag }) => _tag === "Event"),
    Stream.take(events),
    Stream.runCollect,
    Effect.timeout("20 seconds")
  )

const tagOf = (error: BackendError) => error.reason._tag

/** The URL of the database for another role. */
const urlOf = (name: string): string => {
  const other = new URL(url)
  other.username = name
  other.password = "secret"
  return other.href
}

/** A role that may do nothing yet. */
const role = (name: string) =>
  Effect.acquireRelease(statement(`create role ${name} login password 'secret'`), () =>
    Effect.ignore(Effect.andThen(statement(`drop owned by ${name}`), statement(`drop role ${name}`)))
  )

describe("the tables of a store", () => {
  it.live("eight programs that start at once make them once, and have one store", () =>
    Effect.gen(function* () {
      const name = yield* schema
      const targets = yield* Effect.forEach(
        Array.from({ length: 8 }),
        () => Effect.flatMap(open({ schema: name }), ({ backend }) => backend.target),
        { concurrency: 8 }
      )
      assert.strictEqual(new Set(targets.map(({ id }) => id)).size, 1)
    })
  )

  it.live("are made in a schema that is there by its owner, who may make no schema", () =>
    Effect.gen(function* () {
      const name = yield* schema
      yield* role(`${name}_owner`)
      yield* statement(`create schema ${name} authorization ${name}_owner`)
      const { backend } = yield* open({ url: urlOf(`${name}_owner`), schema: name })
      assert.deepStrictEqual(yield* backend.write([first(1)]), [{ _tag: "Settled", how: "created" }])
    })
  )

  it.live("those of a newer program are left alone", () =>
    Effect.gen(function* () {
      const name = yield* schema
      yield* (yield* open({ schema: name })).backend.target
      yield* statement(`update ${name}.store set version = 1000`)
      const { backend } = yield* open({ schema: name })
      const error = yield* Effect.flip(backend.query({}))
      assert.strictEqual(tagOf(error), "Unavailable")
      assert.include(error.message, "has tables of version 1000")
    })
  )

  it.live("a program that is to make none says what is missing, and uses them once they are there", () =>
    Effect.gen(function* () {
      const name = yield* schema
      const { backend } = yield* open({ schema: name, migrate: false })
      assert.include((yield* Effect.flip(backend.write([first(1)]))).message, `in its schema ${name}`)
      yield* (yield* open({ schema: name })).backend.target
      assert.deepStrictEqual(yield* backend.write([first(1)]), [{ _tag: "Settled", how: "created" }])
    })
  )

  it.live("a store that is replaced while a program runs is not written to", () =>
    Effect.gen(function* () {
      const name = yield* schema
      const { backend } = yield* open({ schema: name })
      yield* backend.write([first(1)])
      yield* statement(`drop schema ${name} cascade`)
      const errors = [yield* Effect.flip(backend.write([first(2)])), yield* Effect.flip(backend.write([first(2)]))]
      assert.strictEqual(tagOf(errors[1]!), "TargetMismatch")
      const other = yield* open({ schema: name })
      assert.strictEqual((yield* other.backend.query({})).totalCount, 0)
    })
  )

  it.live("what is written on the next day is in a partition of its own, and a watch goes on there", () =>
    Effect.gen(function* () {
      const name = yield* schema
      const opened = yield* open({ schema: name })
      const watched = yield* Effect.forkChild(take(opened, "beginning", 4))
      yield* opened.backend.write(range(1, 2))
      // As if the clock of the server had been a day ahead, and was put back.
      yield* statement(`update ${name}.store set day = day + 1`)
      yield* statement(`select ${name}.add_partition(day) from ${name}.store`)
      yield* opened.backend.write([first(3), again(first(1))])
      assert.deepStrictEqual(seqsOf(yield* Fiber.join(watched)), [1, 2, 3, 1])
      const days = yield* statement<{ n: bigint }>(`select count(distinct day) as n from ${name}.states`)
      assert.strictEqual(days[0]!.n, 2n)
      assert.deepStrictEqual(
        (yield* opened.backend.query({})).events.map(({ count, id }) => [id.seq, count]),
        [
          [1, 2],
          [3, 1],
          [2, 1]
        ]
      )
    })
  )
})

describe("writing", () => {
  it.live("positions are dense and in the order of commits, whatever many writers do at once", () =>
    Effect.gen(function* () {
      const name = yield* schema
      const writers = yield* Effect.forEach(Array.from({ length: 4 }), () => open({ schema: name }))
      const reader = yield* open({ schema: name })
      const total = 4 * 12 * 25
      const watched = yield* Effect.forkChild(take(reader, "beginning", total))
      yield* Effect.forEach(
        writers,
        ({ backend }, writer) =>
          Effect.forEach(Array.from({ length: 12 }), (_, batch) =>
            backend.write(range(1, 25).map(({ id }) => first(writer * 10_000 + batch * 100 + id.seq)))
          ),
        { concurrency: 4 }
      )
      const seqs = seqsOf(yield* Fiber.join(watched))
      assert.strictEqual(new Set(seqs).size, total)
      const rows = yield* statement<{ n: bigint; least: bigint; most: bigint }>(
        `select count(distinct position) as n, min(position) as least, max(position) as most from ${name}.states`
      )
      assert.deepStrictEqual(rows[0], { n: BigInt(total), least: 1n, most: BigInt(total) })
      const stored = yield* statement<{ seq: bigint }>(`select seq from ${name}.states order by position`)
      assert.deepStrictEqual(
        seqs,
        stored.map(({ seq }) => Number(seq))
      )
    })
  )

  it.live("a batch of thousands is written, and written once when it is repeated", () =>
    Effect.gen(function* () {
      const { backend, database } = yield* open({ schema: yield* schema })
      const batch = range(1, 2_500)
      assert.isTrue((yield* backend.write(batch)).every((one) => one._tag === "Settled" && one.how === "created"))
      assert.isTrue((yield* backend.write(batch)).every((one) => one._tag === "Settled" && one.how === "present"))
      assert.strictEqual((yield* database.status).position, 2_500)
      assert.strictEqual((yield* backend.query({ limit: 1 })).totalCount, 2_500)
    })
  )

  it.live("a series that stands twice in a batch is stored in its last state", () =>
    Effect.gen(function* () {
      const { backend } = yield* open({ schema: yield* schema })
      const outcomes = yield* backend.write([first(1), again(first(1)), first(2)])
      assert.deepStrictEqual(
        outcomes.map((one) => one._tag === "Settled" && one.how),
        ["created", "updated", "created"]
      )
      assert.deepStrictEqual(
        (yield* backend.query({})).events.map(({ count }) => count),
        [2, 1]
      )
    })
  )

  it.live("texts that no index and no column can hold come back as they were, and are found", () =>
    Effect.gen(function* () {
      const { backend } = yield* open({ schema: yield* schema })
      // Of 9,000 characters that cannot be compressed, because the server would compress them to fit.
      const parts = Array.from({ length: 140 }, (_, part) => createHash("sha256").update(`${part}`).digest("hex"))
      const long = (end: string) => `${parts.join("")}${end}`
      const odd = (seq: number, name: string): Write =>
        first(seq, {
          involvedObject: { kind: "Order\0", name, namespace: long("namespace") },
          reason: long("reason"),
          source: { component: long("source") },
          message: "a NUL \0, half a pair \ud800 and \u0001",
          labels: { [long("key")]: long("value"), "\u0001": "\0" }
        })
      const [a, b] = [odd(1, long("a")), odd(2, long("b"))]
      yield* backend.write([a, b])
      const found = yield* backend.query({ resourceName: long("a"), resourceType: "Order\0", reason: long("reason") })
      assert.deepStrictEqual(
        found.events.map(({ event }) => event),
        [a.event]
      )
      assert.strictEqual(
        (yield* backend.query({ labels: { [long("key")]: long("value"), "\u0001": "\0" } })).totalCount,
        2
      )
      assert.strictEqual((yield* backend.query({ match: "A NUL" })).totalCount, 2)
      assert.strictEqual((yield* backend.query({ resourceName: long("c") })).totalCount, 0)
    })
  )

  it.live("an event that is too large is rejected, and the others of its batch are stored", () =>
    Effect.gen(function* () {
      const { backend } = yield* open({ schema: yield* schema })
      const large = first(2, { data: { arguments: { text: "x".repeat(1_100_000) } } })
      const outcomes = yield* backend.write([first(1), large, first(3)])
      assert.deepStrictEqual(
        outcomes.map(({ _tag }) => _tag),
        ["Settled", "Rejected", "Settled"]
      )
      assert.strictEqual((yield* backend.query({})).totalCount, 2)
    })
  )
})

describe("failures", () => {
  it.live(
    "a connection that is ended in mid-transaction has written nothing, and the next write has one of its own",
    () =>
      Effect.gen(function* () {
        const name = yield* schema
        const { backend } = yield* open({ schema: name })
        yield* backend.write([first(1)])
        yield* Effect.gen(function* () {
          const sql = yield* PgClient.PgClient
          const blocked = yield* sql.withTransaction(
            Effect.gen(function* () {
              yield* sql.unsafe(`select from ${name}.store for update`)
              const fiber = yield* Effect.forkChild(Effect.flip(backend.write([first(2)])))
              // Until it waits for the lock; by another connection, because a transaction sees the activity of one moment.
              let waiting: ReadonlyArray<{ readonly pid: number }> = []
              while (waiting.length === 0) {
                waiting = yield* statement<{ pid: number }>(
                  `select pid from pg_stat_activity where wait_event_type = 'Lock' and query like '%from ${name}.store for update%'`
                )
              }
              yield* statement(`select pg_terminate_backend(${waiting[0]!.pid})`)
              return yield* Fiber.join(fiber)
            })
          )
          assert.deepInclude(blocked.reason, { _tag: "Transient", applied: "no" })
        }).pipe(Effect.provide(clientLayer()))
        assert.deepStrictEqual(yield* backend.write([first(2)]), [{ _tag: "Settled", how: "created" }])
      })
  )

  for (const where of ["after", "before"] as const) {
    it.live(
      `a connection that is cut ${where} the server has COMMIT leaves it open, and repeating writes it once`,
      () =>
        Effect.gen(function* () {
          const proxy = yield* proxies.open(url)
          const { backend, database } = yield* open({ url: proxy.url, schema: yield* schema })
          yield* backend.write([first(1)])
          proxy.cutAtCommit = where
          const error = yield* Effect.flip(backend.write(range(2, 6)))
          assert.strictEqual(proxy.cuts, 1)
          assert.deepInclude(error.reason, { _tag: "Transient", applied: "unknown" })
          const how = where === "after" ? "present" : "created"
          assert.deepStrictEqual(
            yield* backend.write(range(2, 6)),
            range(2, 6).map(() => ({ _tag: "Settled", how }))
          )
          assert.strictEqual((yield* database.status).position, 6)
          assert.strictEqual((yield* backend.query({})).totalCount, 6)
        })
    )
  }

  it.live("a read-only database is read, and a write says that it is read-only", () =>
    Effect.gen(function* () {
      const name = yield* schema
      yield* (yield* open({ schema: name })).backend.write([first(1)])
      const readOnly = `${url}${url.includes("?") ? "&" : "?"}options=-c%20default_transaction_read_only%3Don`
      const opened = yield* open({ url: readOnly, schema: name })
      assert.strictEqual((yield* opened.backend.query({})).totalCount, 1)
      assert.deepStrictEqual(seqsOf(yield* take(opened, "beginning", 1)), [1])
      const error = yield* Effect.flip(opened.backend.write([first(2)]))
      assert.strictEqual(tagOf(error), "Unavailable")
      assert.include(error.message, "read-only")
      const other = yield* open({ url: readOnly, schema: `${name.slice(0, 20)}_new` })
      assert.include((yield* Effect.flip(other.backend.query({}))).message, "may not make them")
    })
  )

  it.live("a full disk is Full, and nothing of the batch is stored", () =>
    Effect.gen(function* () {
      const name = yield* schema
      const { backend } = yield* open({ schema: name })
      yield* backend.write([first(1)])
      yield* statement(
        `create function ${name}.fill() returns trigger language plpgsql as $$ begin
           if new.seq = 3 then raise exception using errcode = 'disk_full', message = 'could not extend file: No space left on device'; end if;
           return new;
         end $$`
      )
      yield* statement(
        `create trigger fill before insert on ${name}.current for each row execute function ${name}.fill()`
      )
      const error = yield* Effect.flip(backend.write(range(2, 4)))
      assert.strictEqual(tagOf(error), "Full")
      yield* statement(`drop trigger fill on ${name}.current`)
      assert.strictEqual((yield* backend.query({})).totalCount, 1)
      yield* backend.write(range(2, 4))
      assert.deepStrictEqual(seqsOf(yield* take({ backend } as Opened, "beginning", 4)), [1, 2, 3, 4])
    })
  )

  it.live("a database, a server and a role that are not there are told, and no password with them", () =>
    Effect.gen(function* () {
      const at = (change: (url: URL) => void) => {
        const other = new URL(url)
        change(other)
        return other.href
      }
      const cases: ReadonlyArray<readonly [tag: string, url: string]> = [
        // A server asks for the password first.
        ["Unavailable", at((one) => (one.pathname = "/no_such_database"))],
        ["Transient", at((one) => ((one.port = "1"), (one.password = "never-to-be-seen")))],
        ["Unauthorized", at((one) => ((one.username = "no_such_role"), (one.password = "never-to-be-seen")))]
      ]
      const passwords = ["never-to-be-seen", new URL(url).password].filter((one) => one !== "")
      for (const [tag, url] of cases) {
        const { backend } = yield* open({ url, schema: yield* schema })
        const error = yield* Effect.flip(backend.write([first(1)]))
        assert.strictEqual(tagOf(error), tag, error.message)
        const told = JSON.stringify([error, error.message, error.stack, error.cause])
        for (const password of passwords) assert.notInclude(told, password)
      }
    })
  )
})

describe("rights", () => {
  it.live("a reader reads and follows, and cannot write", () =>
    Effect.gen(function* () {
      const name = yield* schema
      const owner = yield* open({ schema: name })
      yield* owner.backend.write(range(1, 3))
      const reader = `${name}_reader`
      yield* role(reader)
      const stranger = yield* open({ url: urlOf(reader), schema: name })
      assert.strictEqual(tagOf(yield* Effect.flip(stranger.backend.query({}))), "Unauthorized")
      for (const one of PostgresBackend.grants(reader, "reader", { schema: name })) yield* statement(one)

      const opened = yield* open({ url: urlOf(reader), schema: name })
      assert.strictEqual((yield* opened.backend.query({ match: "version" })).totalCount, 3)
      const watched = yield* Effect.forkChild(take(opened, "beginning", 4))
      yield* Effect.sleep("300 millis")
      yield* owner.backend.write([first(4)])
      assert.deepStrictEqual(seqsOf(yield* Fiber.join(watched)), [1, 2, 3, 4])
      assert.strictEqual(tagOf(yield* Effect.flip(opened.backend.write([first(5)]))), "Unauthorized")
      const events = yield* statement<{ last_seen: Date; message: string }>(
        `select last_seen, message from ${name}.events where reason = 'RolloutStarted' order by last_seen`,
        urlOf(reader)
      )
      assert.strictEqual(events.length, 4)
      assert.strictEqual(events[0]!.message, "Version 1 is rolled out")
      assert.strictEqual(events[0]!.last_seen.getTime(), 1_790_000_000_000)
    })
  )

  it.live("a writer writes, also on a new day, and cannot change what is written or remove it", () =>
    Effect.gen(function* () {
      const name = yield* schema
      const owner = yield* open({ schema: name })
      yield* owner.backend.target
      const writer = `${name}_writer`
      yield* role(writer)
      for (const one of PostgresBackend.grants(writer, "writer", { schema: name })) yield* statement(one)
      const opened = yield* open({ url: urlOf(writer), schema: name })
      yield* opened.backend.write(range(1, 2))
      yield* statement(`update ${name}.store set day = day - 1`)
      yield* statement(
        `drop table ${name}.states_${new Date(Date.now() + 86_400_000).toISOString().slice(0, 10).replaceAll("-", "")}`
      ).pipe(Effect.ignore)
      yield* opened.backend.write([again(first(1)), first(3)])
      assert.strictEqual((yield* opened.backend.query({})).totalCount, 3)
      for (const refused of [
        `update ${name}.states set event = ''`,
        `delete from ${name}.states`,
        `delete from ${name}.current`,
        `update ${name}.store set forgotten = 100`,
        `drop table ${name}.states`
      ]) {
        const error = yield* Effect.flip(statement(refused, urlOf(writer)))
        assert.include(
          ["AuthorizationError", "SqlSyntaxError"],
          (error as { reason: { _tag: string } }).reason._tag,
          refused
        )
      }
      yield* statement(`select ${name}.add_partition('2020-01-01')`)
      yield* statement(`update ${name}.states set day = '2020-01-01'`)
      assert.strictEqual(tagOf(yield* Effect.flip(opened.database.prune("1 day"))), "Unauthorized")
    })
  )
})

describe("indexes", () => {
  it.live("every field of a filter is found by one, and the newest of a value too", () =>
    Effect.gen(function* () {
      const name = yield* schema
      const { backend } = yield* open({ schema: name })
      const various = range(1, 2_000).map((one): Write => {
        const of = (what: string) => `${what}-${one.id.seq % 500}`
        return {
          ...one,
          id: { origin: of("origin"), seq: one.id.seq },
          cluster: { id: of("cluster"), name: of("name") },
          namespace: of("namespace"),
          event: {
            ...one.event,
            involvedObject: {
              apiVersion: `${of("group")}/v1`,
              kind: of("Kind"),
              name: of("object"),
              namespace: of("objects")
            },
            reason: of("Reason"),
            type: of("Type"),
            source: { component: of("source") },
            labels: { team: of("team") }
          }
        }
      })
      yield* backend.write(various)
      yield* statement(`analyze ${name}.current`)
      const filters: ReadonlyArray<EventFilter> = [
        { resourceType: "Kind-7" },
        { resourceName: "object-7" },
        { object: { kind: "Kind-7", name: "object-7" } },
        { namespace: "namespace-7" },
        { objectNamespace: "objects-7" },
        { apiGroup: "group-7" },
        { cluster: "cluster-7" },
        { cluster: "name-7" },
        { eventType: "Type-7" },
        { reason: "Reason-7" },
        { source: "source-7" },
        { labels: { team: "team-7" } },
        { since: 1_790_000_000_001_990 },
        { until: 1_790_000_000_000_010 },
        { name: "object-7.0000000000000000.7" },
        { id: "origin-7.7" },
        { reason: ["Reason-7", "Reason-8"], namespace: "namespace-7", match: "version" }
      ]
      yield* Effect.gen(function* () {
        const sql = yield* PgClient.PgClient
        for (const filter of filters) {
          const plan = yield* sql<{ "QUERY PLAN": string }>`
            explain select count(*) from ${sql.literal(name)}.current c where ${conditionOf(sql, filter)}`
          const text = plan.map((line) => line["QUERY PLAN"]).join("\n")
          assert.include(text, "Index", JSON.stringify(filter))
          assert.notInclude(text, "Seq Scan", JSON.stringify(filter))
        }
        for (const filter of [{}, { reason: "Reason-7" }, { namespace: "namespace-7" }]) {
          const plan = yield* sql<{ "QUERY PLAN": string }>`
            explain select c.position from ${sql.literal(name)}.current c where ${conditionOf(sql, filter)}
            order by c.last desc, c.position desc limit 2`
          const text = plan.map((line) => line["QUERY PLAN"]).join("\n")
          assert.include(text, "Index Only Scan Backward", JSON.stringify(filter))
        }
      }).pipe(Effect.provide(clientLayer()))
    })
  )
})

describe("watching", () => {
  it.live("without notifications, as behind a pooler, a watch yields everything all the same", () =>
    Effect.gen(function* () {
      const name = yield* schema
      const proxy = yield* proxies.open(url)
      proxy.swallow = true
      const writer = yield* open({ schema: name })
      const opened = yield* open({ url: proxy.url, schema: name })
      yield* writer.backend.write([first(1)])
      const watched = yield* Effect.forkChild(take(opened, "beginning", 6))
      // By then it is known that none arrive.
      yield* Effect.sleep("2500 millis")
      for (const seq of [2, 3, 4, 5, 6]) {
        yield* Effect.sleep("200 millis")
        yield* writer.backend.write([first(seq)])
      }
      const written = performance.now()
      assert.deepStrictEqual(seqsOf(yield* Fiber.join(watched)), [1, 2, 3, 4, 5, 6])
      // Where it is taken for granted that notifications arrive, it would take five seconds.
      assert.isBelow(performance.now() - written, 3_000)
    })
  )

  it.live("with notifications, what another program writes comes at once", () =>
    Effect.gen(function* () {
      const name = yield* schema
      const writer = yield* open({ schema: name })
      const reader = yield* open({ schema: name })
      const items = yield* Queue.unbounded<WatchItem>()
      yield* Effect.forkScoped(Stream.runForEach(reader.backend.watch({}, "now"), (item) => Queue.offer(items, item)))
      // Live, and the time it takes to find out that notifications arrive.
      yield* Queue.take(items)
      yield* Effect.sleep("1 second")
      const delays: Array<number> = []
      for (const one of range(1, 20)) {
        const begun = performance.now()
        yield* writer.backend.write([one])
        yield* Queue.take(items)
        delays.push(performance.now() - begun)
      }
      delays.sort((a, b) => a - b)
      // Asking four times a second would take 125 milliseconds on the average.
      assert.isBelow(delays[10]!, 100)
    })
  )

  it.live("a watch goes on when all connections are ended, and yields each state once", () =>
    Effect.gen(function* () {
      const name = yield* schema
      const writer = yield* open({ schema: name })
      const reader = yield* open({
        url: `${url}${url.includes("?") ? "&" : "?"}application_name=${name}`,
        schema: name
      })
      const watched = yield* Effect.forkChild(take(reader, "beginning", 40))
      for (let round = 0; round < 4; round++) {
        yield* writer.backend.write(range(round * 10 + 1, round * 10 + 10))
        yield* Effect.sleep("150 millis")
        yield* statement(`select pg_terminate_backend(pid) from pg_stat_activity where application_name = '${name}'`)
      }
      assert.deepStrictEqual(
        seqsOf(yield* Fiber.join(watched)),
        range(1, 40).map(({ id }) => id.seq)
      )
    })
  )
})

describe("retention", () => {
  it.live(
    "drops the partitions of earlier days, counts and coverage follow, and a cursor from before yields a gap",
    () =>
      Effect.gen(function* () {
        const name = yield* schema
        const opened = yield* open({ schema: name })
        const { backend, database } = opened
        yield* backend.write(range(1, 10))
        yield* statement(`select ${name}.add_partition('2020-01-01')`)
        yield* statement(`update ${name}.states set day = '2020-01-01'`)
        yield* statement(`update ${name}.current set day = '2020-01-01'`)
        const early = yield* backend.watch({}, { last: 8 }).pipe(Stream.take(1), Stream.runCollect)
        assert.deepStrictEqual(seqsOf(early), [3])
        yield* backend.write([again(first(2)), first(11), first(12)])

        assert.deepStrictEqual(yield* database.prune("30 days"), { partitions: ["states_20200101"], states: 10 })
        const page = yield* backend.query({})
        assert.deepStrictEqual(
          page.events.map(({ id }) => id.seq),
          [2, 12, 11]
        )
        assert.strictEqual(page.totalCount, 3)
        assert.isAtLeast(page.coverage[0]!.since as number, first(10).last + 1)
        const items = yield* backend.watch({}, early[0]!.cursor).pipe(Stream.take(5), Stream.runCollect)
        assert.deepStrictEqual(
          items.map(({ _tag }) => _tag),
          ["Gap", "Event", "Event", "Event", "Live"]
        )
        assert.deepInclude(items[0], { to: first(10).last, reason: "states 4 to 10 are no longer kept" })
        assert.deepStrictEqual(seqsOf(items), [2, 11, 12])
        const after = yield* backend.watch({}, items[0]!.cursor).pipe(Stream.take(4), Stream.runCollect)
        assert.deepStrictEqual(seqsOf(after), [2, 11, 12])
        assert.deepStrictEqual((yield* database.status).forgotten, 10)
        assert.deepStrictEqual(yield* database.prune("30 days"), { partitions: [], states: 0 })
      })
  )

  it.live("less than a day is refused", () =>
    Effect.gen(function* () {
      const { database } = yield* open({ schema: yield* schema })
      assert.include((yield* Effect.flip(database.prune("1 hour"))).message, "at least a day")
    })
  )
})
