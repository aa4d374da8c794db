// What an archive that runs says, as time goes by.
import type * as Archive from "@tidings/backend-postgres/Archive"
import type { ArchivedStore } from "@tidings/backend-postgres/ArchiveStore"
import type { Gap } from "@tidings/core/EventQuery"
import * as Timestamp from "@tidings/core/Timestamp"
import { assert, describe, it } from "@effect/vitest"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import { TestClock, TestConsole } from "effect/testing"
import { narrate } from "../src/internal/cli/archiving.ts"
import { Attended, Overwrite } from "../src/internal/cli/words.ts"

const source: Archive.SourceStatus = {
  name: "production",
  store: "uid-1",
  phase: "live",
  lag: Duration.zero,
  rate: 11.6,
  written: 1_234,
  present: 0,
  gaps: 0,
  restarts: 0
}

const gap: Gap = {
  store: "uid-1",
  from: Timestamp.parse("2026-11-29T02:10:00Z")!,
  to: Timestamp.parse("2026-11-29T02:14:00Z")!,
  reason: "the cluster no longer has the changes"
}

/** An archive whose status a test changes; `lines` are those of stderr, `overwritten` those of the terminal. */
const running = Effect.fnUntraced(function* (isAttended: boolean) {
  const state: { source: Archive.SourceStatus; gaps: ReadonlyArray<Gap> } = { source, gaps: [] }
  const overwritten: Array<string> = []
  const stores = Effect.sync((): ReadonlyArray<ArchivedStore> => [
    {
      cluster: { id: "uid-1", name: "production" },
      epoch: 0,
      coverage: { store: "uid-1", name: "production", since: 0, until: "now", gaps: state.gaps },
      replicas: []
    }
  ])
  const status = Effect.sync(() => ({ replica: "a", sources: [state.source] }))
  const fiber = yield* Effect.forkChild(
    narrate(status, stores).pipe(
      Effect.scoped,
      Effect.provideService(Attended, () => isAttended),
      Effect.provideService(Overwrite, (text) => void overwritten.push(text))
    )
  )
  yield* TestClock.adjust("1 millis")
  return { state, overwritten, lines: TestConsole.errorLines, end: Fiber.interrupt(fiber) }
})

describe("an archive that runs", () => {
  it.effect("says once a minute how far it is, where there is no terminal", () =>
    Effect.gen(function* () {
      const { end, lines, state } = yield* running(false)
      yield* TestClock.adjust("59 seconds")
      assert.deepStrictEqual(yield* lines, [])
      yield* TestClock.adjust("1 seconds")
      assert.deepStrictEqual(yield* lines, ["production live, 1234 states, 12/s"])
      state.source = { ...source, phase: "copying", written: 1, rate: 0, gaps: 1, lag: Duration.seconds(90) }
      yield* TestClock.adjust("60 seconds")
      assert.deepStrictEqual((yield* lines).slice(1), ["production copying, 1 state, 0/s, 90s behind, 1 gap"])
      yield* end
    })
  )

  it.effect("writes one line over and over at a terminal, and clears it for other words and at the end", () =>
    Effect.gen(function* () {
      const { end, lines, overwritten, state } = yield* running(true)
      yield* TestClock.adjust("1 seconds")
      assert.include(overwritten.at(-1)!, "production live, 1234 states, 12/s")
      assert.deepStrictEqual(yield* lines, [])
      state.source = { ...source, phase: "failing", problem: "ECONNREFUSED" }
      yield* TestClock.adjust("1 seconds")
      state.source = source
      yield* TestClock.adjust("250 millis")
      assert.deepStrictEqual(yield* lines, ["-- production is copied again --"])
      yield* TestClock.adjust("1 seconds")
      yield* end
      assert.strictEqual(overwritten.at(-1), "\r\u001b[2K")
    })
  )

  it.effect("says each gap once, when it is told, with its times and why", () =>
    Effect.gen(function* () {
      const { end, lines, state } = yield* running(false)
      state.gaps = [gap]
      state.source = { ...source, gaps: 1 }
      yield* TestClock.adjust("1 seconds")
      const told = [
        "-- gap of production from 2026-11-29T02:10:00Z to 2026-11-29T02:14:00Z: the cluster no longer has the changes --"
      ]
      assert.deepStrictEqual(yield* lines, told)
      yield* TestClock.adjust("10 seconds")
      assert.deepStrictEqual(yield* lines, told)
      state.gaps = [gap, { ...gap, to: gap.to! + 60_000_000 }]
      state.source = { ...source, gaps: 2 }
      yield* TestClock.adjust("1 seconds")
      assert.strictEqual((yield* lines).length, 2)
      yield* end
    })
  )
})
