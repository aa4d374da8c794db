import { assert, describe, it } from "@effect/vitest"
import * as Backend from "@tidings/core/Backend"
import { BackendError, Throttled, Unauthorized } from "@tidings/core/BackendError"
import * as Clock from "effect/Clock"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as TestClock from "effect/testing/TestClock"
import { created, refused, retry } from "./support/scripted.ts"
import {
  always,
  type Call,
  draft,
  draftIn,
  each,
  namesOf,
  namespaceOf,
  off,
  rejecting,
  scripted,
  settle,
  start,
  statusOf
} from "./support/journalRecorder.ts"

// ---------------------------------------------------------------------------
// what failures mean, and who goes next
// ---------------------------------------------------------------------------

const unauthorized = new BackendError({ reason: new Unauthorized({ detail: "the token has expired" }) })

const countOf = (calls: ReadonlyArray<Call>, name: string) =>
  namesOf(calls)
    .flat()
    .filter((one) => one === name).length

/** Waits until the next call has just happened. */
const nextCall = (calls: ReadonlyArray<Call>) =>
  Effect.gen(function* () {
    const before = calls.length
    while (calls.length === before) yield* TestClock.adjust("100 millis")
  })

describe("an unavailable backend", () => {
  it.effect("gets everything at once when it is available again, after any failure and any backoff", () =>
    Effect.gen(function* () {
      for (const answer of [always, rejecting(() => true)]) {
        let away = true
        const { backend, calls } = yield* scripted((batch, call) =>
          away ? Effect.fail(unauthorized) : answer(batch, call)
        )
        const { recorder } = yield* start({ backend, sink: { ...off, concurrency: 2 } })
        for (let n = 0; n < 8; n++) yield* recorder.record(draftIn(`namespace-${n}`, `pod-${n}`))
        yield* TestClock.adjust("1 hour")
        // Each of them has been told to wait for minutes.
        away = false
        yield* recorder.record(draft("fresh"))
        const before = calls.length
        while (calls.length === before) yield* TestClock.adjust("1 second")
        yield* settle
        assert.deepInclude(yield* statusOf(recorder), { pending: 0, state: "up" })
        assert.isAtMost(calls.length - before, 3)
      }
    })
  )

  it.effect("is probed with different namespaces, so that one failing namespace does not look like an outage", () =>
    Effect.gen(function* () {
      const { backend, calls } = yield* scripted((batch) =>
        batch.some((write) => namespaceOf(write) === "sick") ? Effect.fail(refused) : Effect.succeed(created(batch))
      )
      const { recorder } = yield* start({ backend, sink: { ...off, concurrency: 2, batch: 3 } })
      for (let n = 0; n < 20; n++) yield* recorder.record(draftIn("sick", `sick-${n}`))
      yield* recorder.record(draftIn("well", "well"))
      yield* TestClock.adjust("3 seconds")
      assert.strictEqual((yield* statusOf(recorder)).settled, 1)
      assert.isAtMost(
        calls.findIndex(({ batch }) => batch.some((write) => namespaceOf(write) === "well")),
        3
      )
    })
  )

  it.effect("is available with the first write that succeeds, also one that began before the outage", () =>
    Effect.gen(function* () {
      let away = true
      const { backend } = yield* scripted((batch) => {
        const answer = Effect.suspend(() => (away ? Effect.fail(refused) : Effect.succeed(created(batch))))
        const { name } = batch[0]!.event.involvedObject
        if (name === "late") return Effect.delay(answer, "19 seconds")
        return name === "later" ? Effect.delay(Effect.succeed(created(batch)), "19100 millis") : answer
      })
      const { recorder } = yield* start({ backend, sink: { ...off, concurrency: 3, batch: 1 } })
      for (const name of ["late", "later", "a", "b", "c"]) yield* recorder.record(draft(name))
      yield* TestClock.adjust("19 seconds")
      away = false
      assert.strictEqual((yield* statusOf(recorder)).settled, 0)
      yield* TestClock.adjust("100 millis")
      // All but the one that takes its time again.
      assert.strictEqual((yield* statusOf(recorder)).settled, 4)
    })
  )

  it.effect(
    "is probed at least every 30 seconds where an operator must do something, also with one event pending",
    () =>
      Effect.gen(function* () {
        const { backend, calls } = yield* scripted(() => Effect.fail(unauthorized))
        const { recorder } = yield* start({ backend, sink: off })
        yield* recorder.record(draft("a"))
        yield* TestClock.adjust("1 hour")
        const before = calls.length
        yield* TestClock.adjust("1 hour")
        const asked = calls.slice(before).map(({ at }) => at)
        assert.isTrue(asked.length >= 120 && asked.length <= 241, String(asked.length))
        for (const [index, at] of asked.entries()) if (index > 0) assert.isAtMost(at - asked[index - 1]!, 30)
      })
  )

  it.effect("does not reset the backoff of series that failed before the outage", () =>
    Effect.gen(function* () {
      let away = false
      const { backend, calls } = yield* scripted((batch) =>
        away
          ? Effect.fail(refused)
          : Effect.succeed(
              batch.map(({ event }) => (event.involvedObject.name === "bad" ? retry(unauthorized) : Backend.created))
            )
      )
      const { recorder } = yield* start({ backend, sink: { ...off, concurrency: 2 } })
      yield* recorder.record(draft("bad"))
      yield* TestClock.adjust("1 second")
      yield* recorder.record(draft("well"))
      yield* TestClock.adjust("1 hour")
      const before = calls.length
      away = true
      for (let n = 0; n < 4; n++) yield* recorder.record(draft(`pod-${n}`))
      yield* TestClock.adjust("5 minutes")
      away = false
      while ((yield* statusOf(recorder)).settled < 5) yield* TestClock.adjust("1 second")
      yield* TestClock.adjust("5 seconds")
      // Alone, so that it holds up nobody.
      const after = namesOf(calls.slice(before)).filter((names) => names.includes("bad"))
      assert.isTrue(
        after.every((names) => names.length === 1),
        String(after)
      )
    })
  )

  it.effect("is retried at once, and then after short delays, when the recorder closes", () =>
    Effect.gen(function* () {
      const { backend, calls } = yield* scripted(() => Effect.fail(unauthorized))
      const { close, recorder } = yield* start({ backend, sink: { ...off, concurrency: 1 } })
      yield* recorder.record(draft("a"))
      yield* TestClock.adjust("1 hour")
      yield* nextCall(calls)
      const before = calls.length
      const closing = yield* Effect.forkChild(close, { startImmediately: true })
      yield* settle
      assert.strictEqual(calls.length, before + 1)
      yield* TestClock.adjust("10 seconds")
      // Every quarter to half of a second.
      assert.isAbove(calls.length, before + 18)
      yield* Fiber.join(closing)
    })
  )
})

describe("a stuck namespace", () => {
  it.effect("is retried less often, gets everything at once when it works, and does not affect another one", () =>
    Effect.gen(function* () {
      const stuck = new Set(["sick", "ill"])
      const { backend, calls } = yield* scripted(
        each((write) => (stuck.has(namespaceOf(write)!) ? retry(refused) : Backend.created))
      )
      const { recorder } = yield* start({ backend, sink: { ...off, concurrency: 2 } })
      for (let n = 0; n < 4; n++) {
        yield* recorder.record(draftIn("sick", `sick-${n}`))
        yield* recorder.record(draftIn("ill", `ill-${n}`))
      }
      yield* TestClock.adjust("1 second")
      yield* recorder.record(draft("well"))
      yield* TestClock.adjust("1 hour")
      // Though the last write of another one got through.
      assert.strictEqual((yield* statusOf(recorder)).state, "degraded")
      const before = calls.length
      yield* TestClock.adjust("1 hour")
      // In each namespace one finds out whether it works again, and the others are asked more rarely.
      assert.isAtMost(calls.length - before, 2 * (241 + 3 * 25))

      stuck.delete("sick")
      const since = calls.length
      while ((yield* statusOf(recorder)).settled === 1) yield* TestClock.adjust("1 second")
      yield* settle
      assert.deepInclude(yield* statusOf(recorder), { settled: 5, pending: 4 })
      const ill = namesOf(calls.slice(since)).filter((names) => names.some((name) => name.startsWith("ill")))
      assert.isTrue(
        ill.every((names) => names.length === 1),
        String(ill)
      )
    })
  )

  it.effect("is no longer stuck after a success: when it fails again, that may be an outage", () =>
    Effect.gen(function* () {
      let failing = true
      let underWay = 0
      let most = 0
      const { backend } = yield* scripted((batch) =>
        Effect.suspend(() => {
          most = Math.max(most, ++underWay)
          return Effect.andThen(
            Effect.sleep("1 second"),
            Effect.suspend(() => {
              underWay--
              return Effect.succeed(
                batch.map((write) => (failing && namespaceOf(write) === "sick" ? retry(refused) : Backend.created))
              )
            })
          )
        })
      )
      const { recorder } = yield* start({ backend, sink: { ...off, concurrency: 4, batch: 1 } })
      yield* recorder.record(draftIn("sick", "sick"))
      yield* TestClock.adjust("3 seconds")
      yield* recorder.record(draft("well"))
      yield* TestClock.adjust("1 minute")
      failing = false
      yield* TestClock.adjust("10 minutes")
      assert.deepInclude(yield* statusOf(recorder), { settled: 2, state: "up" })
      failing = true
      for (let n = 0; n < 12; n++) yield* recorder.record(draftIn("sick", `sick-${n}`))
      yield* TestClock.adjust("1 minute")
      most = 0
      yield* TestClock.adjust("10 minutes")
      assert.strictEqual(most, 1)
    })
  )
})

describe("a failure with Throttled", () => {
  const throttled = (scope: "backend" | "series", retryAfter?: Duration.Input) =>
    new BackendError({
      reason: new Throttled({
        scope,
        detail: "too many requests",
        ...(retryAfter === undefined ? undefined : { retryAfter: Duration.fromInputUnsafe(retryAfter) })
      })
    })

  it.effect("and a retryAfter is not counted as a failure: the delay does not grow", () =>
    Effect.gen(function* () {
      const { backend, calls } = yield* scripted(each(() => retry(throttled("series", "2 seconds"))))
      const { recorder } = yield* start({ backend, sink: { ...off, concurrency: 100 } })
      yield* recorder.record(draft("a"))
      yield* TestClock.adjust("1 minute")
      assert.lengthOf(calls, 31)
    })
  )

  it.effect("and a retryAfter of almost zero is retried with the usual delay", () =>
    Effect.gen(function* () {
      const { backend, calls } = yield* scripted(each(() => retry(throttled("series", "1 millis"))))
      const { recorder } = yield* start({ backend, sink: { ...off, concurrency: 100 } })
      yield* recorder.record(draft("a"))
      yield* TestClock.adjust("10 seconds")
      assert.isAtMost(calls.length, 41)
    })
  )

  it.effect("is waited for also where its namespace works again", () =>
    Effect.gen(function* () {
      let sick = true
      const { backend, calls } = yield* scripted(
        each(({ event }) => {
          const { name } = event.involvedObject
          if (name.startsWith("busy")) return retry(throttled("series"))
          return sick && name === "sick" ? retry(refused) : Backend.created
        })
      )
      const { recorder } = yield* start({ backend, sink: off })
      yield* recorder.record(draft("sick"))
      yield* settle
      for (let n = 0; n < 8; n++) yield* recorder.record(draft(`busy-${n}`))
      yield* TestClock.adjust("1 second")
      yield* recorder.record(draftIn("well", "well"))
      yield* TestClock.adjust("1 hour")
      sick = false
      while ((yield* statusOf(recorder)).settled === 1) {
        calls.length = 0
        yield* TestClock.adjust("1 second")
      }
      // Some may have been due by themselves.
      assert.isAtMost(calls.length, 5)
    })
  )

  /** A token bucket of a server, as EventRateLimit has them. */
  const bucket = (perSecond: number, burst: number) => {
    let tokens = burst
    let filledAt = 0
    return (now: number): boolean => {
      tokens = Math.min(burst, tokens + (now - filledAt) * perSecond)
      filledAt = now
      if (tokens < 1) return false
      tokens--
      return true
    }
  }

  for (const scope of ["namespace", "object"] as const) {
    it.effect(`for a ${scope} limits its writes to the rate of the server, and no others`, () =>
      Effect.gen(function* () {
        const clock = yield* Clock.Clock
        const limit = new BackendError({ reason: new Throttled({ scope, detail: "limit reached" }) })
        const allows = bucket(10, 20)
        let tries = 0
        const { backend } = yield* scripted((batch) =>
          Effect.delay(
            Effect.sync(() =>
              batch.map(({ event }) => {
                if (event.involvedObject.namespace !== "busy") return Backend.created
                tries++
                return allows(clock.currentTimeMillisUnsafe() / 1_000) ? Backend.created : retry(limit)
              })
            ),
            "5 millis"
          )
        )
        const { recorder } = yield* start({ backend, sink: off })
        const count = 200
        for (let n = 0; n < count; n++) {
          yield* recorder.record(
            scope === "namespace"
              ? draftIn("busy", `busy-${n}`)
              : draft("busy", { involvedObject: { kind: "Pod", name: "busy", namespace: "busy" }, message: `m ${n}` })
          )
        }
        yield* TestClock.adjust("1 second")
        // What is of others is there at once.
        for (let n = 0; n < 100; n++) yield* recorder.record(draftIn("well", `well-${n}`))
        const before = (yield* statusOf(recorder)).settled
        yield* TestClock.adjust("100 millis")
        assert.isAtLeast((yield* statusOf(recorder)).settled - before, 100)
        // The limit itself takes 18 seconds.
        yield* TestClock.adjust("21400 millis")
        assert.deepInclude(yield* statusOf(recorder), { settled: count + 100, pending: 0, parked: 0 })
        assert.isAtMost(tries, 3 * count)
      })
    )
  }

  it.effect("for a namespace is retried at least every 30 seconds, however long it lasts", () =>
    Effect.gen(function* () {
      const limit = new BackendError({ reason: new Throttled({ scope: "namespace", detail: "limit reached" }) })
      let closed = true
      const { backend, calls } = yield* scripted(each(() => (closed ? retry(limit) : Backend.created)))
      const { recorder } = yield* start({ backend, sink: off })
      for (let n = 0; n < 50; n++) yield* recorder.record(draftIn("busy", `busy-${n}`))
      yield* TestClock.adjust("1 hour")
      const before = calls.length
      yield* TestClock.adjust("1 hour")
      assert.isAtMost(calls.length - before, 121)
      closed = false
      yield* TestClock.adjust("31 seconds")
      assert.deepInclude(yield* statusOf(recorder), { settled: 50, pending: 0 })
    })
  )

  it.effect("for the whole sink is not shortened by a later one", () =>
    Effect.gen(function* () {
      const { backend, calls } = yield* scripted((batch, call) => {
        if (call === 1) return Effect.delay(Effect.fail(throttled("backend", "5 seconds")), "1 second")
        return call === 2 ? Effect.fail(throttled("backend", "1 minute")) : Effect.succeed(created(batch))
      })
      const { recorder } = yield* start({ backend, sink: { ...off, batch: 1 } })
      yield* recorder.record(draft("a"))
      yield* recorder.record(draft("b"))
      yield* TestClock.adjust("59 seconds")
      assert.lengthOf(calls, 2)
      yield* TestClock.adjust("2 seconds")
      assert.lengthOf(calls, 4)
    })
  )

  it.effect("keeps to the concurrency of the sink when retries and fresh series are written together", () =>
    Effect.gen(function* () {
      const { backend, calls } = yield* scripted((_, call) =>
        call <= 2 ? Effect.fail(throttled("backend")) : Effect.never
      )
      const { recorder } = yield* start({ backend, sink: { ...off, concurrency: 4, batch: 3 } })
      yield* recorder.record(draft("a"))
      yield* recorder.record(draft("b"))
      yield* settle
      for (let n = 0; n < 12; n++) yield* recorder.record(draft(`pod-${n}`))
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(namesOf(calls), [
        ["a"],
        ["b"],
        ["a"],
        ["b"],
        ["pod-0", "pod-1", "pod-2"],
        ["pod-3", "pod-4", "pod-5"]
      ])
    })
  )

  it.effect("leaves the remaining slots to batches of fresh series", () =>
    Effect.gen(function* () {
      const { backend, calls } = yield* scripted((_, call) =>
        call === 1 ? Effect.fail(throttled("backend")) : Effect.never
      )
      const { recorder } = yield* start({ backend, sink: { ...off, concurrency: 4, batch: 8 } })
      yield* recorder.record(draft("a"))
      yield* settle
      for (let n = 0; n < 12; n++) yield* recorder.record(draft(`pod-${n}`))
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(
        namesOf(calls.slice(1)).map((names) => names.length),
        [1, 4, 4, 4]
      )
    })
  )
})

describe("series that have failed before", () => {
  it.effect("take at most half of the slots, those with the fewest failures first", () =>
    Effect.gen(function* () {
      let underWay = 0
      let most = 0
      let flaky = true
      const failed = new Set<string>()
      const { backend, calls } = yield* scripted((batch) =>
        Effect.suspend(() => {
          const [first] = batch
          if (namespaceOf(first!) !== "sick") {
            return Effect.succeed(
              batch.map(({ event }) =>
                flaky && event.involvedObject.name === "flaky" ? retry(refused) : Backend.created
              )
            )
          }
          if (!failed.has(first!.event.involvedObject.name)) {
            for (const { event } of batch) failed.add(event.involvedObject.name)
            return Effect.succeed(batch.map(() => retry(refused)))
          }
          most = Math.max(most, ++underWay)
          return Effect.onExit(Effect.never, () => Effect.sync(() => underWay--))
        })
      )
      const { recorder } = yield* start({
        backend,
        sink: { ...off, concurrency: 4, writeTimeout: "20 seconds", capacity: 64 }
      })
      yield* recorder.record(draftIn("sick", "sick"))
      yield* TestClock.adjust("1 second")
      yield* recorder.record(draft("well"))
      yield* settle
      for (let n = 0; n < 6; n++) yield* recorder.record(draftIn("sick", `sick-${n}`))
      yield* settle
      for (let n = 0; n < 60; n++) {
        yield* recorder.record(draft(`well-${n}`))
        yield* settle
        assert.strictEqual((yield* statusOf(recorder)).settled, n + 2)
        yield* TestClock.adjust("2 seconds")
      }
      assert.strictEqual(most, 2)
      // Both places for it are taken, and others wait for one that have failed more often.
      yield* recorder.record(draft("flaky"))
      yield* settle
      flaky = false
      yield* TestClock.adjust("21 seconds")
      assert.strictEqual(countOf(calls, "flaky"), 2)
    })
  )

  it.effect("alternate with fresh series where there is only one slot", () =>
    Effect.gen(function* () {
      const order: Array<string> = []
      let failing = true
      const { backend } = yield* scripted((batch) =>
        Effect.suspend(() => {
          const namespace = namespaceOf(batch[0]!)!
          order.push(namespace)
          return Effect.delay(
            Effect.succeed(batch.map(() => (failing && namespace === "sick" ? retry(refused) : Backend.created))),
            "1 second"
          )
        })
      )
      const { recorder } = yield* start({ backend, sink: { ...off, concurrency: 1, batch: 1 } })
      yield* recorder.record(draftIn("sick", "sick"))
      yield* TestClock.adjust("2 seconds")
      yield* recorder.record(draft("well"))
      yield* TestClock.adjust("2 seconds")
      for (let n = 0; n < 8; n++) yield* recorder.record(draftIn("sick", `sick-${n}`))
      for (let n = 0; n < 40; n++) yield* recorder.record(draft(`well-${n}`))
      yield* TestClock.adjust("20 seconds")
      order.length = 0
      yield* TestClock.adjust("20 seconds")
      const sick = order.filter((namespace) => namespace === "sick").length
      assert.isTrue(sick >= 7 && sick <= 11, order.join(" "))
      const twice = order.some((namespace, index) => namespace === "sick" && order[index + 1] === "sick")
      assert.isFalse(twice, order.join(" "))
      // Where nothing fresh comes, it has the place alone.
      yield* TestClock.adjust("2 minutes")
      assert.deepInclude(yield* statusOf(recorder), { settled: 41, pending: 9 })
      failing = false
      yield* TestClock.adjust("6 minutes")
      assert.deepInclude(yield* statusOf(recorder), { settled: 50, pending: 0 })
    })
  )

  it.effect("are written like fresh ones after a success, also with what arrived meanwhile", () =>
    Effect.gen(function* () {
      let failing = true
      const { backend, calls } = yield* scripted((batch) =>
        Effect.delay(
          Effect.suspend(() =>
            Effect.succeed(
              batch.map(({ event }): Backend.Outcome =>
                failing && event.involvedObject.name === "a"
                  ? { _tag: "Retry", error: refused, parkAfter: "60 seconds" }
                  : Backend.created
              )
            )
          ),
          "1 second"
        )
      )
      const { recorder } = yield* start({ backend, sink: { concurrency: 1, batch: 8 } })
      yield* recorder.record(draft("a"))
      yield* TestClock.adjust("40 seconds")
      assert.strictEqual((yield* statusOf(recorder)).state, "degraded")
      failing = false
      yield* nextCall(calls)
      yield* recorder.record(draft("a"))
      yield* recorder.record(draft("b"))
      yield* TestClock.adjust("1 second")
      // Together with another one, as what never failed.
      assert.deepStrictEqual(namesOf(calls.slice(-1)).flat().sort(), ["a", "b"])
      assert.strictEqual((yield* statusOf(recorder)).state, "up")
      failing = true
      yield* TestClock.adjust("40 seconds")
      // Its patience begins anew, and so does what is told.
      assert.deepInclude(yield* statusOf(recorder), { state: "degraded", parked: 0, pending: 1 })
    })
  )

  it.effect("are not settled before their first occurrence is", () =>
    Effect.gen(function* () {
      const gate = yield* Deferred.make<void>()
      const { backend } = yield* scripted((_, call) =>
        call === 1 ? Effect.andThen(Deferred.await(gate), Effect.fail(refused)) : Effect.never
      )
      const { recorder } = yield* start({ backend })
      yield* recorder.record(draft("a"))
      yield* TestClock.adjust("5 seconds")
      const flushing = yield* Effect.forkChild(recorder.flush("20 seconds"), { startImmediately: true })
      yield* recorder.record(draft("a"))
      yield* settle
      yield* Deferred.succeed(gate, undefined)
      yield* TestClock.adjust("5 seconds")
      assert.isUndefined(flushing.pollUnsafe())
      assert.strictEqual(Duration.toSeconds((yield* statusOf(recorder)).oldestAge), 10)
      yield* TestClock.adjust("15 seconds")
      assert.deepStrictEqual(yield* Fiber.join(flushing), { complete: false, waiting: 0, pending: { first: 2 } })
    })
  )
})
