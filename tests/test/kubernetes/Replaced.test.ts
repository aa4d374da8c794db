/**
 * A cluster that is replaced by another one at its address, or set back to an earlier state, while a process uses it: on
 * the API server double, over real sockets.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Backend from "@tidings/core/Backend"
import type { WatchItem } from "@tidings/core/EventQuery"
import * as Journal from "@tidings/core/Journal"
import * as Policy from "@tidings/core/Policy"
import * as Recorder from "@tidings/core/Recorder"
import * as Templates from "@tidings/core/Templates"
import * as ApiServer from "@tidings/testing-k8s/ApiServer"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as References from "effect/References"
import * as Stream from "effect/Stream"
import { setTimeout as sleep } from "node:timers/promises"
import * as KubernetesBackend from "@tidings/backend-k8s/KubernetesBackend"
import { bump, write } from "../../../packages/backend-k8s/test/writes.ts"

const quiet = Layer.succeed(References.MinimumLogLevel, "None")

const draft = (name: string): Recorder.EventDraft => ({
  involvedObject: { apiVersion: "v1", kind: "ConfigMap", name, namespace: "default", uid: `uid-of-${name}` },
  reason: "Started",
  action: "Start",
  message: `${name} was started`
})

const until = (condition: Effect.Effect<boolean>): Effect.Effect<void> =>
  Effect.flatMap(condition, (holds) =>
    holds
      ? Effect.void
      : Effect.andThen(
          Effect.promise(() => sleep(10)),
          until(condition)
        )
  )

const ofUser = (server: ApiServer.ApiServer["Service"], context = "user") =>
  KubernetesBackend.layer({ kubeconfig: server.kubeconfigFile, context })

type Make = (
  backend: Layer.Layer<Backend.Backend, unknown>
) => Layer.Layer<Recorder.Recorder, unknown, Templates.Templates | Journal.Journal>

const withJournal: Make = (backend) =>
  Layer.provide(Recorder.layer({ component: "host", reportingInstance: "host-0" }), backend)

const start = (server: ApiServer.ApiServer["Service"], make: Make = withJournal, context?: string) =>
  Effect.map(
    Layer.build(
      make(ofUser(server, context)).pipe(Layer.provide(Layer.mergeAll(Templates.layer, Journal.layerMemory())))
    ),
    (built) => Context.get(built, Recorder.Recorder)
  )

const storedIn = (server: ApiServer.ApiServer["Service"]) =>
  Effect.map(server.events, (events) =>
    events.map((event) => `${(event["involvedObject"] as { name: string }).name} ×${String(event["count"])}`).sort()
  )

const sinkOf = (recorder: Recorder.Recorder["Service"]) =>
  Effect.map(recorder.status, ({ sinks }) => Object.values(sinks)[0]!)

/** As long as an API server takes at least: what was connected to the old one learns that it is gone. */
const replaceBy = (server: ApiServer.ApiServer["Service"], etcd: "empty" | ApiServer.Backup) =>
  Effect.gen(function* () {
    yield* server.killApiServer
    yield* Effect.promise(() => sleep(50))
    yield* server.startApiServer({ etcd, rolesAfter: 0 })
  })

const isBlocked = (recorder: Recorder.Recorder["Service"]) =>
  Effect.map(sinkOf(recorder), ({ state }) => state === "blocked")

describe("a recorder whose cluster is replaced by another one at the same address", () => {
  for (const [how, replace] of [
    ["while it has nothing to do", (server: ApiServer.ApiServer["Service"]) => replaceBy(server, "empty")],
    [
      "while it delivers",
      (server: ApiServer.ApiServer["Service"], recorder: Recorder.Recorder["Service"]) =>
        Effect.gen(function* () {
          yield* server.killApiServer
          for (let n = 0; n < 20; n++) yield* recorder.record(draft(`during-${n}`))
          yield* replaceBy(server, "empty")
        })
    ]
  ] as const) {
    it.live(`${how}: delivers nothing there, loses nothing, and goes on when its own is back`, () =>
      Effect.gen(function* () {
        const server = yield* ApiServer.make()
        const recorder = yield* start(server)
        for (let n = 0; n < 5; n++) yield* recorder.recordSettled(draft("before"))
        const backup = yield* server.backup
        yield* replace(server, recorder)
        for (let n = 0; n < 20; n++) yield* recorder.record(draft(`after-${n}`))
        for (let n = 0; n < 5; n++) yield* recorder.record(draft("before"))
        yield* until(isBlocked(recorder))
        yield* Effect.promise(() => sleep(300))
        assert.deepStrictEqual(yield* storedIn(server), [])
        const blocked = yield* sinkOf(recorder)
        assert.strictEqual(blocked.settled, 5)
        assert.strictEqual(blocked.parked, 0)
        assert.deepStrictEqual(blocked.dropped, {})
        assert.match(blocked.lastError ?? "", /[-0-9a-f]{36} instead of [-0-9a-f]{36}|belongs to [-0-9a-f]{36}/)

        yield* replaceBy(server, backup)
        assert.isTrue((yield* recorder.flush("40 seconds")).complete)
        const events = yield* storedIn(server)
        assert.include(events, "before ×10")
        assert.lengthOf(events, how === "while it delivers" ? 41 : 21)
        assert.strictEqual((yield* sinkOf(recorder)).state, "up")
      }).pipe(Effect.provide(quiet))
    )
  }

  it.live("refuses to write through policies as well", () =>
    Effect.gen(function* () {
      const server = yield* ApiServer.make()
      const recorder = yield* start(server, (backend) => withJournal(backend.pipe(Policy.retry(), Policy.batch())))
      yield* recorder.recordSettled(draft("before"))
      yield* replaceBy(server, "empty")
      yield* recorder.record(draft("after"))
      yield* until(isBlocked(recorder))
      assert.deepStrictEqual(yield* storedIn(server), [])
    }).pipe(Effect.provide(quiet))
  )

  it.live("answers each event with TargetMismatch where it has no journal", () =>
    Effect.gen(function* () {
      const server = yield* ApiServer.make()
      const recorder = yield* start(server, (backend) =>
        Layer.provide(Recorder.layerDirect({ component: "host", reportingInstance: "host-0" }), backend)
      )
      yield* recorder.record(draft("before"))
      yield* replaceBy(server, "empty")
      const error = yield* Effect.flip(recorder.record(draft("after")))
      assert.isTrue(error._tag === "RecorderError" && error.reason._tag === "BackendError")
      assert.include(error.message, "another cluster")
      assert.deepStrictEqual(yield* storedIn(server), [])
    }).pipe(Effect.provide(quiet))
  )

  it.live("notices it by the uid of its service account where it may not read kube-system", () =>
    Effect.gen(function* () {
      const name = "system:serviceaccount:default:host"
      const rules = [{ apiGroups: [""], resources: ["events"], verbs: ["create", "patch"] }]
      const server = yield* ApiServer.make({ users: [{ name, rules }] })
      const recorder = yield* start(server, withJournal, name)
      yield* recorder.recordSettled(draft("before"))
      const backup = yield* server.backup
      yield* replaceBy(server, "empty")
      yield* recorder.record(draft("after"))
      yield* until(isBlocked(recorder))
      assert.deepStrictEqual(yield* storedIn(server), [])
      assert.match((yield* sinkOf(recorder)).lastError ?? "", /account-[-0-9a-f]{36}/)
      yield* replaceBy(server, backup)
      assert.isTrue((yield* recorder.flush("40 seconds")).complete)
      assert.deepStrictEqual(yield* storedIn(server), ["after ×1", "before ×1"])
    }).pipe(Effect.provide(quiet))
  )

  it.live("cannot notice it as another user who may not read kube-system, and delivers to the new cluster", () =>
    Effect.gen(function* () {
      const server = yield* ApiServer.make()
      const recorder = yield* start(server, withJournal, "writer")
      yield* recorder.recordSettled(draft("before"))
      yield* replaceBy(server, "empty")
      yield* recorder.recordSettled(draft("after"))
      assert.deepStrictEqual(yield* storedIn(server), ["after ×1"])
    }).pipe(Effect.provide(quiet))
  )
})

describe("a cluster that is set back to a backup, with its uid and older resource versions", () => {
  const open = (server: ApiServer.ApiServer["Service"]) =>
    Effect.map(Layer.build(ofUser(server)), (built) => Context.get(built, Backend.Backend))

  it.live("takes what was counted meanwhile: counts are exact, and what it lost is made anew", () =>
    Effect.gen(function* () {
      const server = yield* ApiServer.make()
      const backend = yield* open(server)
      const [kept, lost] = [write(1), write(2)]
      yield* backend.write([bump(kept, 2)])
      const backup = yield* server.backup
      yield* backend.write([bump(kept, 5)])
      yield* backend.write([bump(lost, 3)])
      yield* replaceBy(server, backup)
      const states = [bump(kept, 6), bump(lost, 4)]
      assert.deepStrictEqual(yield* backend.write(states), [Backend.updated, Backend.created])
      assert.deepStrictEqual(yield* backend.write(states), [Backend.present, Backend.present])
      assert.deepStrictEqual(yield* storedIn(server), ["web ×5", "web ×7"])
    }).pipe(Effect.provide(quiet))
  )

  it.live("ends a watch with the reason instead of leaving it in silence, and refuses its cursor", () =>
    Effect.gen(function* () {
      const server = yield* ApiServer.make()
      const backend = yield* open(server)
      const backup = yield* server.backup
      const items: Array<WatchItem> = []
      const watching = yield* Effect.forkScoped(
        Stream.runForEach(backend.watch({}, "beginning"), (item) => Effect.sync(() => void items.push(item)))
      )
      yield* until(Effect.sync(() => items.length === 1))
      for (let n = 1; n <= 5; n++) yield* backend.write([write(n)])
      yield* until(Effect.sync(() => items.filter(({ _tag }) => _tag === "Event").length === 5))
      yield* replaceBy(server, backup)
      const error = yield* Effect.flip(Fiber.join(watching))
      assert.strictEqual(error.reason._tag, "CursorMismatch")
      assert.include(error.message, "restored to an earlier state")
      const refused = yield* Effect.flip(Stream.runHead(backend.watch({}, items.at(-1)!.cursor)))
      assert.strictEqual(refused.reason._tag, "CursorMismatch")
      // And one that was given before the backup goes on.
      const [live] = items
      assert.strictEqual(live?._tag, "Live")
      yield* backend.write([write(6)])
      const after = yield* Stream.runCollect(Stream.take(backend.watch({}, live!.cursor), 2))
      assert.deepStrictEqual(
        [...after].map((item) => (item._tag === "Event" ? item.event.id.seq : item._tag)),
        [6, "Live"]
      )
    }).pipe(Effect.provide(quiet))
  )
})
