/**
 * The backend on the API server double of `@tidings/testing-k8s`, over real sockets: the contract, and each fault that it
 * plays.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Backend from "@tidings/core/Backend"
import type * as BackendError from "@tidings/core/BackendError"
import type { Write } from "@tidings/core/Event"
import type { WatchFrom, WatchItem } from "@tidings/core/EventQuery"
import * as ApiServer from "@tidings/testing-k8s/ApiServer"
import * as Contract from "@tidings/testing/Contract"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as References from "effect/References"
import * as Stream from "effect/Stream"
import { TestClock } from "effect/testing"
import * as fs from "node:fs"
import * as path from "node:path"
import { setTimeout as sleep } from "node:timers/promises"
import * as KubernetesBackend from "@tidings/backend-k8s/KubernetesBackend"
import { bump, write } from "../../../packages/backend-k8s/test/writes.ts"

const namespaces = ["team-a", "team-b"]

/** `npm run test:slow` goes through more seeds. */
const isSlow = process.env["TIDINGS_TESTS"] === "slow"

const on = (server: ApiServer.ApiServer["Service"], options?: KubernetesBackend.LayerOptions) =>
  KubernetesBackend.layer({ kubeconfig: server.kubeconfigFile, context: "user", ...options })

/** A server of its own each time it is built. */
const layer = Layer.unwrap(ApiServer.ApiServer.useSync((server) => on(server))).pipe(
  Layer.provide(ApiServer.layer({ namespaces }))
)

Contract.suite("the Kubernetes backend on the double", layer, {
  other: layer,
  reopenable: Effect.map(Layer.build(ApiServer.layer({ namespaces })), (context) =>
    on(Context.get(context, ApiServer.ApiServer))
  )
})

// ---------------------------------------------------------------------------
// faults of writes
// ---------------------------------------------------------------------------

const quiet = Layer.succeed(References.MinimumLogLevel, "None")

const setUp = Effect.fnUntraced(function* (options?: KubernetesBackend.LayerOptions, server?: ApiServer.Options) {
  const double = yield* ApiServer.make({ namespaces, ...server })
  const context = yield* Layer.build(on(double, options))
  return { double, backend: Context.get(context, Backend.Backend) }
})

const countsOf = (double: ApiServer.ApiServer["Service"]) =>
  Effect.map(double.events, (events) => events.map((event) => event["count"]))

const show = (outcome: Backend.Outcome | undefined): string => {
  if (outcome === undefined) return "nothing"
  if (outcome._tag === "Settled") return outcome.how
  if (outcome._tag === "Retry") return showError(outcome.error)
  return `${outcome._tag} ${outcome.reason.split(":")[0]}`
}

const showError = ({ reason }: BackendError.BackendError): string => {
  if (reason._tag === "Transient") return `Transient ${reason.applied}`
  if (reason._tag === "Throttled") {
    return `Throttled ${reason.scope}${reason.retryAfter === undefined ? "" : ` ${Duration.format(reason.retryAfter)}`}`
  }
  return reason._tag
}

/** Repeats a write until it is settled, as a recorder does. */
const settle = (backend: Backend.Service, one: Write): Effect.Effect<string, BackendError.BackendError> =>
  Effect.flatMap(backend.write([one]), ([outcome]) =>
    outcome?._tag === "Retry" ? Effect.andThen(Effect.sleep(20), settle(backend, one)) : Effect.succeed(show(outcome))
  )

describe("a write that meets", () => {
  const rows: ReadonlyArray<readonly [string, ApiServer.Fault, string, string]> = [
    ["a reset before it is done", ApiServer.reset(), "Transient unknown", "created"],
    ["a reset after it is done", ApiServer.reset({ applied: true }), "Transient unknown", "present"],
    ["a close before it is done", ApiServer.close(), "Transient unknown", "created"],
    ["a close after it is done", ApiServer.close({ applied: true }), "Transient unknown", "present"],
    ["a timeout of etcd", ApiServer.timeout({ after: "50 millis" }), "Transient unknown", "created"],
    [
      "a timeout of the request",
      ApiServer.timeout({ after: "50 millis", by: "request" }),
      "Transient unknown",
      "created"
    ],
    ["etcd going away before", ApiServer.etcdUnavailable(), "Transient unknown", "created"],
    ["etcd going away after", ApiServer.etcdUnavailable({ applied: true }), "Transient unknown", "present"],
    ["an object too large for etcd", ApiServer.etcdTooLarge, "created", "present"],
    ["a body too large for the server", ApiServer.entityTooLarge, "created", "present"],
    ["no service", ApiServer.serviceUnavailable, "Transient unknown", "created"],
    ["priority and fairness", ApiServer.tooManyRequests({ retryAfter: 3 }), "Throttled backend 3s", "created"],
    ["EventRateLimit", ApiServer.eventRateLimited, "Throttled namespace", "created"],
    ["a server that has not loaded its roles", ApiServer.forbidden, "Unauthorized", "created"],
    ["a namespace that is being deleted", ApiServer.namespaceTerminating, "Rejected namespace-terminating", "created"],
    ["a token that is refused once", ApiServer.unauthorized, "created", "present"],
    ["an answer that breaks off", ApiServer.truncate(40), "Transient unknown", "present"],
    ["an answer that comes slowly", ApiServer.slow({ bytes: 200, every: "2 millis" }), "created", "present"]
  ]
  for (const [name, fault, first, second] of rows) {
    it.live(`${name}: ${first}, and repeated ${second}; then its count grows`, () =>
      Effect.gen(function* () {
        const { backend, double } = yield* setUp()
        const one = write(1)
        yield* double.inject(fault, { resource: "events" })
        assert.strictEqual(show((yield* backend.write([one]))[0]), first)
        assert.strictEqual((yield* double.injected)[fault._tag], 1)
        assert.strictEqual(show((yield* backend.write([one]))[0]), second)
        assert.strictEqual(show((yield* backend.write([bump(one, 4)]))[0]), "updated")
        assert.deepStrictEqual(yield* countsOf(double), [5])
      }).pipe(Effect.provide(quiet))
    )
    it.live(`${name}, on a patch: counts once`, () =>
      Effect.gen(function* () {
        const { backend, double } = yield* setUp()
        const one = write(1)
        yield* settle(backend, one)
        yield* double.inject(fault, { resource: "events" })
        yield* settle(backend, bump(one, 2))
        yield* settle(backend, bump(one, 3))
        assert.deepStrictEqual(yield* countsOf(double), [4])
      }).pipe(Effect.provide(quiet))
    )
  }

  it.effect.each([
    [false, "created"],
    [true, "present"]
  ] as const)(
    "silence, done (%s): Transient unknown after the time of a request, and repeated %s",
    ([applied, second]) =>
      Effect.gen(function* () {
        const { backend, double } = yield* setUp()
        const one = write(1)
        yield* double.inject(ApiServer.hang({ applied }), { resource: "events" })
        const fiber = yield* Effect.forkChild(backend.write([one]))
        yield* whenever(Effect.map(double.injected, ({ Hang }) => Hang === 1))
        yield* TestClock.adjust("29 seconds")
        assert.isUndefined(fiber.pollUnsafe())
        yield* TestClock.adjust("1 second")
        assert.strictEqual(show((yield* Fiber.join(fiber))[0]), "Transient unknown")
        assert.strictEqual(show((yield* backend.write([one]))[0]), second)
        assert.strictEqual(show((yield* backend.write([bump(one, 4)]))[0]), "updated")
        assert.deepStrictEqual(yield* countsOf(double), [5])
      }).pipe(Effect.provide(quiet))
  )

  it.live("a timeout, and is carried out long after: changes nothing any more", () =>
    Effect.gen(function* () {
      const { backend, double } = yield* setUp()
      const one = write(1)
      yield* settle(backend, one)
      yield* double.inject(ApiServer.timeout({ after: "20 millis", lateBy: "150 millis" }), { verb: "patch" })
      assert.strictEqual(show((yield* backend.write([bump(one, 1)]))[0]), "Transient unknown")
      assert.strictEqual(yield* settle(backend, bump(one, 6)), "updated")
      yield* Effect.sleep("300 millis")
      assert.deepStrictEqual(yield* countsOf(double), [7])
    }).pipe(Effect.provide(quiet))
  )

  it.live("a token that was rotated reads the new one", () =>
    Effect.gen(function* () {
      const double = yield* ApiServer.make()
      const directory = path.dirname(double.kubeconfigFile)
      const tokenFile = path.join(directory, "rotating-token")
      const kubeconfig = path.join(directory, "rotating")
      fs.writeFileSync(tokenFile, yield* double.token("user"))
      fs.writeFileSync(
        kubeconfig,
        JSON.stringify({
          "current-context": "c",
          clusters: [
            { name: "c", cluster: { server: double.url, "certificate-authority": double.certificateAuthorityFile } }
          ],
          users: [{ name: "u", user: { tokenFile } }],
          contexts: [{ name: "c", context: { cluster: "c", user: "u" } }]
        })
      )
      const context = yield* Layer.build(KubernetesBackend.layer({ kubeconfig }))
      const backend = Context.get(context, Backend.Backend)
      assert.strictEqual(show((yield* backend.write([write(1)]))[0]), "created")
      fs.writeFileSync(tokenFile, yield* double.rotateToken("user"))
      const outcomes = yield* backend.write(Array.from({ length: 20 }, (_, index) => write(index + 2)))
      assert.deepStrictEqual([...new Set(outcomes.map(show))], ["created"])
    }).pipe(Effect.provide(quiet))
  )

  it.live("a client certificate is known by it", () =>
    Effect.gen(function* () {
      const { backend } = yield* setUp({ context: "certificate" })
      // Nobody gave this user any rights: known, and refused.
      assert.strictEqual(show((yield* backend.write([write(1)]))[0]), "Unauthorized")
    }).pipe(Effect.provide(quiet))
  )
})

describe("writes under faults by chance", () => {
  for (const seed of isSlow ? [1, 2, 3] : [1]) {
    it.live(
      `end with one object per series and exact counts (seed ${seed})`,
      () =>
        Effect.gen(function* () {
          const { backend, double } = yield* setUp({}, { seed })
          const faults: ReadonlyArray<ApiServer.Fault> = [
            ApiServer.reset({ applied: true }),
            ApiServer.reset(),
            ApiServer.close({ applied: true }),
            ApiServer.timeout({ after: "5 millis", lateBy: "60 millis" }),
            ApiServer.etcdUnavailable({ applied: true }),
            ApiServer.serviceUnavailable,
            ApiServer.tooManyRequests(),
            ApiServer.eventRateLimited,
            ApiServer.forbidden,
            ApiServer.unauthorized,
            ApiServer.truncate(30)
          ]
          yield* double.chaos({ faults: faults.map((fault) => ({ fault, rate: 0.04, match: { resource: "events" } })) })
          const series = Array.from({ length: 25 }, (_, index) => write(index * 10 + 1))
          const deliver = Effect.forEach([0, 1, 3, 7], (by) =>
            Effect.forEach(series, (one) => settle(backend, by === 0 ? one : bump(one, by)), { concurrency: 8 })
          )
          const outcomes = yield* Effect.all([deliver, deliver], { concurrency: "unbounded" })
          assert.isFalse(outcomes.flat(2).some((outcome) => outcome.startsWith("Rejected")))
          yield* double.heal
          yield* Effect.sleep("200 millis")
          assert.deepStrictEqual(
            yield* countsOf(double),
            series.map(() => 8)
          )
          const met = Object.values(yield* double.injected).filter((count) => count > 0).length
          assert.isAtLeast(met, 8)
        }).pipe(Effect.provide(quiet)),
      60_000
    )
  }
})

// ---------------------------------------------------------------------------
// faults of watches
// ---------------------------------------------------------------------------

interface Watching {
  readonly items: Array<WatchItem>
  readonly shown: () => ReadonlyArray<string>
}

const watch = Effect.fnUntraced(function* (backend: Backend.Service, from: WatchFrom) {
  const items: Array<WatchItem> = []
  yield* Effect.forkScoped(
    Stream.runForEach(backend.watch({}, from), (item) =>
      Effect.sync(() => {
        items.push(item)
      })
    )
  )
  return {
    items,
    shown: () => items.map((item) => (item._tag === "Event" ? `${item.event.id.seq}:${item.event.count}` : item._tag))
  } satisfies Watching
})

/** Waits in real time, also where the clock of the test stands still: answers come over real sockets. */
const whenever = (condition: Effect.Effect<boolean>): Effect.Effect<void> =>
  Effect.flatMap(condition, (isSo) =>
    isSo
      ? Effect.void
      : Effect.andThen(
          Effect.promise(() => sleep(5)),
          whenever(condition)
        )
  )

const until = (condition: () => boolean): Effect.Effect<void> =>
  Effect.suspend(() =>
    condition()
      ? Effect.void
      : Effect.andThen(
          Effect.promise(() => sleep(5)),
          until(condition)
        )
  )

describe("a watch that meets", () => {
  const rows: ReadonlyArray<readonly [string, ApiServer.Fault, number, boolean]> = [
    ["a reset at once", ApiServer.watchCut(), 1, false],
    ["a reset after three events", ApiServer.watchCut({ afterEvents: 3 }), 1, false],
    ["a close after three events", ApiServer.watchCut({ afterEvents: 3, how: "close" }), 1, false],
    ["its end after three events, again and again", ApiServer.watchCut({ afterEvents: 3, how: "end" }), 3, false],
    ["an empty answer once", ApiServer.watchEmpty, 1, false],
    ["empty answers", ApiServer.watchEmpty, 3, false],
    ["history that is gone, in the stream", ApiServer.watchExpired(), 1, true],
    ["history that is gone, when it connects", ApiServer.watchExpired({ where: "connect" }), 1, true],
    ["a refusal of a server that has just started", ApiServer.forbidden, 2, false],
    ["a token that is refused", ApiServer.unauthorized, 1, false],
    ["priority and fairness", ApiServer.tooManyRequests(), 2, false],
    ["no service", ApiServer.serviceUnavailable, 2, false]
  ]
  for (const [name, fault, times, isGap] of rows) {
    it.live(
      `${name} loses and repeats nothing`,
      () =>
        Effect.gen(function* () {
          const { backend, double } = yield* setUp()
          yield* double.inject(fault, { verb: "watch", times })
          const watching = yield* watch(backend, "now")
          yield* until(() => watching.items.length > 0)
          for (let seq = 1; seq <= 10; seq++) {
            yield* settle(backend, write(seq))
            yield* Effect.sleep(20)
          }
          // A list shows each event as it is by then, not as it was on the way there.
          yield* until(() => watching.shown().includes("10:1"))
          yield* settle(backend, bump(write(3)))
          yield* until(() => watching.shown().includes("3:2"))
          const expected = Array.from({ length: 10 }, (_, index) => `${index + 1}:1`)
          assert.deepStrictEqual(
            watching.shown().filter((item) => item !== "Gap"),
            ["Live", ...expected, "3:2"]
          )
          assert.strictEqual(watching.shown().includes("Gap"), isGap)
          assert.strictEqual((yield* double.injected)[fault._tag], times)
        }).pipe(Effect.provide(quiet)),
      30_000
    )
  }

  it.effect("silence finds out within 45 seconds", () =>
    Effect.gen(function* () {
      const { backend, double } = yield* setUp()
      yield* double.inject(ApiServer.watchSilence({ afterEvents: 1 }), { verb: "watch" })
      const watching = yield* watch(backend, "now")
      yield* until(() => watching.items.length > 0)
      yield* backend.write([write(1)])
      yield* until(() => watching.items.length === 2)
      yield* backend.write([write(2)])
      yield* TestClock.adjust("45 seconds")
      yield* until(() => watching.items.length === 3)
      assert.deepStrictEqual(watching.shown(), ["Live", "1:1", "2:1"])
    }).pipe(Effect.provide(quiet))
  )

  it.live("a server that is killed, paused and started again loses and repeats nothing", () =>
    Effect.gen(function* () {
      const { backend, double } = yield* setUp()
      const watching = yield* watch(backend, "now")
      yield* until(() => watching.items.length > 0)
      yield* settle(backend, write(1))
      yield* double.killApiServer
      yield* Effect.sleep(100)
      yield* double.startApiServer()
      yield* settle(backend, write(2))
      yield* double.stopApiServer({ grace: "50 millis" })
      yield* Effect.sleep(100)
      yield* double.startApiServer()
      yield* settle(backend, write(3))
      yield* double.pauseApiServer
      yield* Effect.forkScoped(Effect.delay(double.resumeApiServer, "500 millis"))
      yield* settle(backend, write(4))
      yield* until(() => watching.shown().includes("4:1"))
      assert.deepStrictEqual(watching.shown(), ["Live", "1:1", "2:1", "3:1", "4:1"])
    }).pipe(Effect.provide(quiet))
  )

  it.live("history that is gone when it resumes says so", () =>
    Effect.gen(function* () {
      const { backend, double } = yield* setUp()
      yield* backend.write([write(1)])
      const page = yield* backend.query({})
      yield* backend.write([write(2), write(3)])
      yield* double.remove({
        apiVersion: "v1",
        kind: "Event",
        metadata: { name: "web.0123456789abcdef.2", namespace: "default" }
      })
      yield* double.compact
      const watching = yield* watch(backend, page.cursor)
      yield* until(() => watching.shown().includes("Live"))
      assert.deepStrictEqual(watching.shown(), ["Gap", "3:1", "Live"])
    }).pipe(Effect.provide(quiet))
  )
})
