import { assert, describe, it } from "@effect/vitest"
import * as PgClient from "@effect/sql-pg/PgClient"
import type { WatchItem } from "@tidings/core/EventQuery"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Schedule from "effect/Schedule"
import * as Stream from "effect/Stream"
import { server } from "./ownServer.ts"
import { authority, serverCertificate, serverKey } from "./fixtures/certificates.ts"
import { clientLayer, open } from "./testDatabase.ts"
import { first, range } from "./writes.ts"

const seqsOf = (items: ReadonlyArray<WatchItem>): ReadonlyArray<number> =>
  items.flatMap((item) => (item._tag === "Event" ? [item.event.id.seq] : []))

describe("a connection", () => {
  it.live("is protected as sslmode says, and one that cannot be trusted is not made", () =>
    Effect.gen(function* () {
      const one = yield* server
      const root = one.put("authority.pem", authority)
      yield* Effect.promise(async () => {
        await one.stop()
        await one.start([
          "ssl=on",
          `ssl_cert_file=${one.put("server.pem", serverCertificate)}`,
          `ssl_key_file=${one.put("server.key", serverKey)}`
        ])
      })
      const at = (host: string, parameters: string) =>
        `postgres://postgres:secret@${host}:${one.port}/postgres?${parameters}`
      const target = (host: string, parameters: string) =>
        Effect.flatMap(open({ url: at(host, parameters) }), ({ backend }) => backend.target)
      // Whether those who are connected to the server have TLS.
      const isProtected = Effect.map(
        Effect.flatMap(PgClient.PgClient, (sql) =>
          sql.unsafe<{ ssl: boolean }>(
            "select ssl from pg_stat_ssl join pg_stat_activity using (pid) where application_name = 'tidings'"
          )
        ),
        (rows) => rows.map(({ ssl }) => ssl)
      ).pipe(Effect.provide(clientLayer(at("127.0.0.1", "sslmode=disable"))))
      const within = (parameters: string) => Effect.scoped(Effect.andThen(target("127.0.0.1", parameters), isProtected))

      for (const parameters of ["", "sslmode=require", `sslmode=verify-full&sslrootcert=${root}`]) {
        assert.deepStrictEqual(yield* within(parameters), [true], parameters)
        // A connection that was closed is gone a moment later.
        while ((yield* isProtected).length > 0) yield* Effect.sleep("20 millis")
      }
      assert.deepStrictEqual(yield* within("sslmode=disable"), [false])
      // The certificate does not have this name.
      yield* target("localhost", `sslmode=verify-ca&sslrootcert=${root}`)
      for (const [host, parameters, told] of [
        ["localhost", `sslmode=verify-full&sslrootcert=${root}`, "localhost"],
        ["127.0.0.1", "sslmode=verify-ca", "certificate"]
      ] as const) {
        const error = yield* Effect.flip(target(host, parameters))
        assert.strictEqual(error.reason._tag, "Unavailable", error.message)
        assert.include(error.message, told)
      }
    })
  )

  it.live("that has to be protected is not made to a server without TLS, and none with a wrong password", () =>
    Effect.gen(function* () {
      const one = yield* server
      const error = (url: string) => Effect.flip(Effect.flatMap(open({ url }), ({ backend }) => backend.target))
      const plain = yield* error(one.url().replace("sslmode=disable", "sslmode=require"))
      assert.strictEqual(plain.reason._tag, "Unavailable", plain.message)
      const refused = yield* error(one.url().replace("secret", "never-to-be-seen"))
      assert.strictEqual(refused.reason._tag, "Unauthorized", refused.message)
      assert.notInclude(JSON.stringify([refused, refused.message, refused.stack]), "never-to-be-seen")
    })
  )
})

describe("a server that goes away", () => {
  it.live("a program starts while it is away, and goes on when it is there", () =>
    Effect.gen(function* () {
      const one = yield* server
      yield* Effect.promise(() => one.stop())
      const { backend } = yield* open({ url: one.url() })
      const error = yield* Effect.flip(backend.write([first(1)]))
      assert.deepInclude(error.reason, { _tag: "Transient", applied: "no" })
      yield* Effect.promise(() => one.start())
      assert.deepStrictEqual(yield* backend.write([first(1)]), [{ _tag: "Settled", how: "created" }])
    })
  )

  for (const how of ["fast", "kill"] as const) {
    it.live(
      `nothing is lost or stored twice when it is ${how === "fast" ? "restarted" : "killed"} again and again`,
      () =>
        Effect.gen(function* () {
          const one = yield* server
          const writer = yield* open({ url: one.url() })
          const reader = yield* open({ url: one.url() })
          yield* writer.backend.target
          const total = 60
          const isLive = yield* Deferred.make<void>()
          const watched = yield* reader.backend.watch({}, "beginning").pipe(
            Stream.tap(({ _tag }) => (_tag === "Live" ? Deferred.succeed(isLive, undefined) : Effect.void)),
            Stream.filter(({ _tag }) => _tag === "Event"),
            Stream.take(total * 5),
            Stream.runCollect,
            Effect.forkChild
          )
          // One that runs goes on; one that cannot even begin says so.
          yield* Deferred.await(isLive)
          const writing = yield* Effect.forEach(
            Array.from({ length: total }, (_, batch) => range(batch * 5 + 1, batch * 5 + 5)),
            (batch) =>
              writer.backend.write(batch).pipe(
                Effect.retry({
                  while: ({ reason }) => reason._tag === "Transient",
                  schedule: Schedule.spaced("30 millis")
                }),
                Effect.andThen(Effect.sleep("20 millis"))
              )
          ).pipe(Effect.forkChild)
          for (let round = 0; round < 3; round++) {
            yield* Effect.sleep("200 millis")
            yield* Effect.promise(() => one.stop(how))
            // What a killed server leaves behind ends by itself, before which no other one starts.
            yield* Effect.retry(
              Effect.tryPromise(() => one.start()),
              Schedule.spaced("200 millis")
            )
          }
          yield* Fiber.join(writing)
          assert.deepStrictEqual(
            seqsOf(yield* Effect.timeout(Fiber.join(watched), "20 seconds")),
            range(1, total * 5).map(({ id }) => id.seq)
          )
          assert.strictEqual((yield* reader.backend.query({ limit: 1 })).totalCount, total * 5)
          assert.strictEqual((yield* reader.database.status).position, total * 5)
        })
    )
  }
})
