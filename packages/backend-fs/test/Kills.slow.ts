import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Fiber, References, Scope } from "effect"
import * as path from "node:path"
import { open, watch } from "./openLog.ts"
import * as TestDirectory from "./TestDirectory.ts"
import { type Writer, writer } from "./writerProcess.ts"

/** With `npm run test:kills`; a part of it in `npm run test:slow`. */
const isWhole = process.env["TIDINGS_WHOLE"] === "yes"

const WRITERS = 8
/** Of each writer. */
const EVENTS = isWhole ? 100_000 : 12_000
const KILLS = isWhole ? 60 : 16
const SEGMENT_SIZE = isWhole ? 8_000_000 : 1_000_000
const BATCH = 20

/** Identities of a process: a place, and how many were there before. */
const originOf = (place: number, life: number): string => `${place}${String(life).padStart(3, "0")}`.padEnd(32, "0")

const answered = (one: Writer): number => Number(one.said().findLast((line) => /^\d+$/.test(line)) ?? 0)

describe("processes that are killed while segments are begun and followed", () => {
  it.live(
    "whoever follows sees each answered event once, whatever process was killed during its write",
    () =>
      Effect.gen(function* () {
        const directory = path.join(yield* TestDirectory.make, "log")
        const { backend, log } = yield* open({ directory })
        const follower = yield* watch(backend, "beginning")
        const stored = new Map<string, number>()
        let left = KILLS

        /** Starts one process after the other in a place, until one has stored all of its events. */
        const inPlace = (place: number, life = 0): Effect.Effect<void> =>
          Effect.gen(function* () {
            const scope = yield* Scope.make()
            const origin = originOf(place, life)
            const one = yield* Effect.provideService(
              writer(directory, origin, EVENTS, BATCH, 40, 0, SEGMENT_SIZE + 10_000 * place),
              Scope.Scope,
              scope
            )
            yield* one.saidAtLeast(1)
            one.go()
            yield* one.saidAtLeast(3)
            const isKilled = left > 0
            if (isKilled) {
              left -= 1
              yield* Effect.sleep((37 * (place + 3 * life)) % 120)
              one.process.kill("SIGKILL")
            }
            const code = yield* one.ended
            stored.set(origin, answered(one))
            yield* Scope.close(scope, Exit.void)
            if (isKilled) return yield* inPlace(place, life + 1)
            assert.strictEqual(code, 0)
            assert.isAtLeast(answered(one), EVENTS)
          })

        const running = yield* Effect.forkChild(
          Effect.forEach(
            Array.from({ length: WRITERS }, (_, place) => place),
            (place) => inPlace(place),
            { concurrency: "unbounded", discard: true }
          )
        )
        const followed = new Map<string, number>()
        const take = Effect.gen(function* () {
          const item = yield* follower.next
          if (item._tag === "Gap") assert.fail(item.reason)
          if (item._tag === "Live") return
          const { origin, seq } = item.event.id
          assert.strictEqual(seq, (followed.get(origin) ?? 0) + 1, `${origin}: an event is missing, or shown twice`)
          followed.set(origin, seq)
        })
        const seen = () => [...followed.values()].reduce((sum, seq) => sum + seq, 0)
        const untilSeen = Effect.gen(function* () {
          yield* Fiber.join(running)
          const { totalCount } = yield* backend.query({ limit: 0 })
          for (let turns = 0; turns < 600 && seen() < totalCount; turns++) yield* Effect.sleep(50)
          return totalCount
        })
        const total = yield* Effect.raceFirst(Effect.forever(take), untilSeen)
        assert.strictEqual(seen(), total)
        for (const [origin, seq] of stored) {
          // The last batch of a process that was killed may be there, in whole or in part, without an answer.
          const found = followed.get(origin) ?? 0
          assert.isAtLeast(found, seq, origin)
          assert.isAtMost(found, seq + BATCH, origin)
        }
        assert.strictEqual(stored.size, WRITERS + KILLS)
        const { damaged, segments } = yield* log.status
        assert.isAtMost(damaged.lines, KILLS)
        assert.isAbove(segments.length, 8)
      }).pipe(Effect.scoped, Effect.provideService(References.MinimumLogLevel, "Error")),
    isWhole ? 1_800_000 : 300_000
  )
})
