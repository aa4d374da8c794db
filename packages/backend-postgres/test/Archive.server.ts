import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import { server } from "./ownServer.ts"
import { cluster, eventually, follow, openArchive, replica, statesIn } from "./archives.ts"

describe("an archive whose server goes away", () => {
  it.live("begins while it is away, and copies what there is when it is there", () =>
    Effect.gen(function* () {
      const one = yield* server
      const { backend: source, put } = yield* cluster
      yield* put("a")
      yield* Effect.promise(() => one.stop())
      const archiver = yield* replica("one", { production: source }, { url: one.url() })
      const failing = yield* eventually(archiver.status, ({ phase }) => phase === "failing")
      assert.isDefined(failing.failingSince)
      yield* Effect.promise(() => one.start())
      yield* eventually(archiver.status, ({ phase, written }) => phase === "live" && written === 1)
      assert.isUndefined((yield* archiver.status).problem)
    })
  )

  for (const how of ["fast", "kill"] as const) {
    it.live(
      `has every state once when it is ${how === "fast" ? "restarted" : "killed"} again and again under two replicas`,
      () =>
        Effect.gen(function* () {
          const one = yield* server
          const { backend: source, put } = yield* cluster
          const { backend, database, store } = yield* openArchive({ url: one.url() })
          const items = yield* follow(backend)
          const replicas = [
            yield* replica("one", { production: source }, { url: one.url(), batchSize: 7 }),
            yield* replica("two", { production: source }, { url: one.url(), batchSize: 50 })
          ]
          for (const each of replicas) yield* eventually(each.status, ({ phase }) => phase === "live")
          for (let round = 0; round < 3; round++) {
            for (let n = 0; n < 40; n++) {
              yield* put(`event-${round}-${n}`)
              if (n % 4 === 0) yield* put(`event-${round}-${n}`, 2)
              yield* Effect.sleep("5 millis")
              if (n === 20) yield* Effect.promise(() => one.stop(how))
            }
            // What a killed server leaves behind ends by itself, before which no other one starts.
            yield* Effect.retry(
              Effect.tryPromise(() => one.start()),
              Schedule.spaced("200 millis")
            )
          }
          yield* eventually(
            Effect.sync(() => statesIn(items)),
            (states) => states.length >= 150
          )
          assert.strictEqual(new Set(statesIn(items)).size, 150)
          assert.strictEqual(statesIn(items).length, 150)
          assert.strictEqual((yield* backend.query({ limit: 0 })).totalCount, 120)
          assert.strictEqual((yield* database.status).position, 150)
          assert.deepStrictEqual((yield* store.stores)[0]!.coverage.gaps, [])
        })
    )
  }
})
