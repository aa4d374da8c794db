import { assert, describe, it } from "@effect/vitest"
import * as Backend from "@tidings/core/Backend"
import * as Target from "@tidings/core/Target"
import type * as ApiServer from "@tidings/testing-k8s/ApiServer"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import { TestClock } from "effect/testing"
import * as KubernetesBackend from "@tidings/backend-k8s/KubernetesBackend"
import { answer } from "../../../packages/backend-k8s/test/answers.ts"
import { type InterceptedServer, makeServer, refused, reset } from "./InterceptedServer.ts"
import { bump, write } from "../../../packages/backend-k8s/test/writes.ts"

const make = Effect.fnUntraced(function* (options?: KubernetesBackend.Options) {
  const cluster = yield* makeServer
  const backend = yield* KubernetesBackend.make(options).pipe(Effect.provide(cluster.layer))
  return { cluster, backend }
})

/** What one write came to. */
const one = (backend: Backend.Service, ...given: Parameters<typeof write>) =>
  Effect.map(backend.write([write(...given)]), ([outcome]) =>
    outcome?._tag === "Settled" ? outcome.how : outcome?._tag === "Retry" ? outcome.error.reason._tag : outcome?._tag
  )

const eventRequests = (cluster: InterceptedServer) => cluster.requests.filter(({ path }) => path.includes("/events"))

/** Another cluster takes the place of the one that was there, or that one as it was, and the connections break. */
const replace = (cluster: InterceptedServer, etcd: "empty" | ApiServer.Backup = "empty") =>
  cluster.double.startApiServer({ etcd, rolesAfter: 0 })

describe("a process that writes to a cluster", () => {
  it.effect("asks once for the identity of the cluster, and not again while no connection breaks", () =>
    Effect.gen(function* () {
      const { backend, cluster } = yield* make()
      for (let n = 1; n <= 20; n++) yield* one(backend, n)
      yield* backend.write(Array.from({ length: 100 }, (_, index) => write(100 + index)))
      assert.strictEqual(cluster.targetsAsked, 1)
    })
  )

  it.effect("does not ask again for its first write when it has just been told", () =>
    Effect.gen(function* () {
      const { backend, cluster } = yield* make()
      yield* backend.target
      yield* one(backend, 1)
      assert.strictEqual(cluster.targetsAsked, 1)
    })
  )

  it.effect("asks once after each break, however many writes wait for the answer", () =>
    Effect.gen(function* () {
      const { backend, cluster } = yield* make()
      yield* one(backend, 1)
      for (let n = 1; n <= 3; n++) {
        cluster.breaks++
        cluster.delay = Effect.sleep(10)
        const batch = Array.from({ length: 50 }, (_, index) => write(n * 100 + index))
        const fiber = yield* Effect.forkChild(backend.write(batch), { startImmediately: true })
        yield* TestClock.adjust("1 second")
        assert.isTrue((yield* Fiber.join(fiber)).every(({ _tag }) => _tag === "Settled"))
        assert.strictEqual(cluster.targetsAsked, n + 1)
      }
    })
  )

  it.effect("sends no write to another cluster, and names both clusters in the error", () =>
    Effect.gen(function* () {
      const { backend, cluster } = yield* make()
      const known = write(1)
      yield* backend.write([known])
      const own = (yield* cluster.service.target).id
      yield* replace(cluster)
      const another = (yield* cluster.service.target).id
      const sent = cluster.requests.length
      const outcomes = yield* backend.write([bump(known, 5), ...Array.from({ length: 99 }, (_, n) => write(100 + n))])
      assert.lengthOf(outcomes, 100)
      for (const outcome of outcomes) {
        assert.isTrue(outcome._tag === "Retry" && outcome.error.reason._tag === "TargetMismatch")
        if (outcome._tag !== "Retry" || outcome.error.reason._tag !== "TargetMismatch") continue
        const { expected, found } = outcome.error.reason
        assert.deepStrictEqual([expected, found], [own, another])
        assert.include(outcome.error.message, `${another} instead of ${own}`)
      }
      assert.strictEqual(cluster.requests.length, sent)
      assert.strictEqual((yield* backend.target).id, another)
    })
  )

  it.effect("continues when its own cluster is back", () =>
    Effect.gen(function* () {
      const { backend, cluster } = yield* make()
      const own = yield* cluster.double.backup
      yield* one(backend, 1)
      yield* replace(cluster)
      assert.strictEqual(yield* one(backend, 2), "TargetMismatch")
      yield* replace(cluster, own)
      assert.strictEqual(yield* one(backend, 2), "created")
    })
  )

  it.effect("notices it in the middle of a write of several requests", () =>
    Effect.gen(function* () {
      const { backend, cluster } = yield* make()
      const first = write(1)
      yield* backend.write([first])
      // The count has grown elsewhere: it is read, and meanwhile the server is replaced.
      cluster.put("web.0123456789abcdef.1", { ...cluster.object("web.0123456789abcdef.1") })
      cluster.after = (request, response) => {
        if (request.body === "{}") Effect.runSync(replace(cluster))
        return response
      }
      const sent = cluster.requests.length
      const [outcome] = yield* backend.write([bump(first)])
      assert.isTrue(outcome?._tag === "Retry" && outcome.error.reason._tag === "TargetMismatch")
      assert.deepStrictEqual(
        cluster.requests.slice(sent).map(({ body, method }) => (body === "{}" ? "READ" : method)),
        ["PATCH", "READ"]
      )
    })
  )

  it.effect("is held to the cluster that was told before its first write, also when that is replaced before it", () =>
    Effect.gen(function* () {
      const { backend, cluster } = yield* make()
      yield* backend.target
      yield* replace(cluster)
      assert.strictEqual(yield* one(backend, 1), "TargetMismatch")
      assert.deepStrictEqual(eventRequests(cluster), [])
    })
  )

  it.effect(
    "is held to the last one that was told before its first write: an address may have been wrong at first",
    () =>
      Effect.gen(function* () {
        const { backend, cluster } = yield* make()
        const own = yield* cluster.double.backup
        yield* replace(cluster)
        yield* backend.target
        yield* replace(cluster, own)
        yield* backend.target
        assert.strictEqual(yield* one(backend, 1), "created")
        yield* replace(cluster)
        yield* backend.target
        assert.strictEqual(yield* one(backend, 2), "TargetMismatch")
      })
  )

  it.effect("writes nothing while it cannot be told which cluster answers, and has written nothing then", () =>
    Effect.gen(function* () {
      const { backend, cluster } = yield* make()
      yield* one(backend, 1)
      const sent = cluster.requests.length
      for (const error of [reset, refused]) {
        cluster.breaks++
        cluster.targetFails = error
        const [outcome] = yield* backend.write([write(2)])
        assert.isTrue(outcome?._tag === "Retry" && outcome.error.reason._tag === "Transient")
        if (outcome?._tag === "Retry" && outcome.error.reason._tag === "Transient") {
          assert.strictEqual(outcome.error.reason.applied, "no")
        }
      }
      assert.strictEqual(cluster.requests.length, sent)
      cluster.targetFails = undefined
      assert.strictEqual(yield* one(backend, 2), "created")
    })
  )

  it.effect("still gets the identity when the caller that asked first is interrupted", () =>
    Effect.gen(function* () {
      const { backend, cluster } = yield* make()
      yield* one(backend, 1)
      cluster.breaks++
      cluster.targetDelay = Effect.sleep(1_000)
      const first = yield* Effect.forkChild(one(backend, 2), { startImmediately: true })
      const second = yield* Effect.forkChild(one(backend, 3), { startImmediately: true })
      yield* Effect.yieldNow
      yield* Fiber.interrupt(first)
      yield* TestClock.adjust("2 seconds")
      assert.strictEqual(yield* Fiber.join(second), "created")
      assert.strictEqual(cluster.targetsAsked, 2)
    })
  )
})

describe("a cluster of which more or less is known later", () => {
  const uid = Target.make("uid", { aliases: ["account", "server", "authority"] })
  const account = Target.make("account", { aliases: ["server", "authority"] })
  const server = Target.make("server", { aliases: ["authority"], isUncertain: true })

  const follow = Effect.fnUntraced(function* (...found: ReadonlyArray<Target.Target>) {
    const { backend, cluster } = yield* make()
    const outcomes: Array<string | undefined> = []
    for (const [index, target] of found.entries()) {
      cluster.found = target
      cluster.breaks++
      outcomes.push(yield* one(backend, index + 1))
    }
    return outcomes
  })

  it.effect("is the same one when a better name is learned, or a certain one is left", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(
        yield* follow(server, account, uid, account, uid),
        Array.from({ length: 5 }, () => "created")
      )
    })
  )

  it.effect(
    "is not taken for one of which only the place is known: who may not write elsewhere waits for a right",
    () =>
      Effect.gen(function* () {
        assert.deepStrictEqual(yield* follow(uid, server, uid), ["created", "Unauthorized", "created"])
        assert.deepStrictEqual(yield* follow(account, server, account), ["created", "Unauthorized", "created"])
        // Also when more was learned only after the first write.
        assert.deepStrictEqual(yield* follow(server, uid, server), ["created", "created", "Unauthorized"])
      })
  )

  it.effect("is another one when a better name says so, whatever the weaker ones say", () =>
    Effect.gen(function* () {
      const other = Target.make("uid-2", { aliases: ["account-2", "server", "authority"] })
      assert.deepStrictEqual(yield* follow(uid, other, uid), ["created", "TargetMismatch", "created"])
      assert.deepStrictEqual(yield* follow(account, other), ["created", "TargetMismatch"])
    })
  )
})

describe("what is remembered of involved objects", () => {
  it.effect("is forgotten when another cluster answers, and not looked up there", () =>
    Effect.gen(function* () {
      const { backend, cluster } = yield* make()
      const own = yield* cluster.double.backup
      let uid = "uid-1"
      let lookups = 0
      cluster.before = ({ method, path }) => {
        if (method !== "GET" || !path.includes("configmaps")) {
          return path === "/api/v1"
            ? answer(200, {
                kind: "APIResourceList",
                resources: [{ kind: "ConfigMap", name: "configmaps", namespaced: true }]
              })
            : undefined
        }
        lookups++
        return answer(200, { metadata: { name: "web", uid } })
      }
      const about = { involvedObject: { apiVersion: "v1", kind: "ConfigMap", name: "web", namespace: "default" } }
      const uidOf = (seq: number) =>
        cluster.object(`web.0123456789abcdef.${seq}`)?.["involvedObject"].uid as string | undefined
      yield* one(backend, 1, {}, about)
      yield* one(backend, 2, {}, about)
      assert.deepStrictEqual([uidOf(1), uidOf(2), lookups], ["uid-1", "uid-1", 1])
      yield* replace(cluster)
      assert.strictEqual(yield* one(backend, 3, {}, about), "TargetMismatch")
      assert.strictEqual(lookups, 1)
      uid = "uid-2"
      yield* replace(cluster, own)
      assert.strictEqual(yield* one(backend, 3, {}, about), "created")
      assert.deepStrictEqual([uidOf(3), lookups], ["uid-2", 2])
    })
  )
})

describe("a query", () => {
  it.effect("gives cursors of the cluster that answers, also after it was replaced", () =>
    Effect.gen(function* () {
      const { backend, cluster } = yield* make()
      const before = yield* backend.query({ limit: 1 })
      yield* backend.query({ limit: 1 })
      assert.strictEqual(cluster.targetsAsked, 1)
      yield* replace(cluster)
      const after = yield* backend.query({ limit: 1 })
      assert.strictEqual(cluster.targetsAsked, 2)
      assert.notStrictEqual(after.cursor, before.cursor)
    })
  )
})

describe("a cluster that is set back to an earlier state", () => {
  it.effect(
    "is written what was counted meanwhile: what it forgot is made anew, and what it set back grows again",
    () =>
      Effect.gen(function* () {
        const { backend, cluster } = yield* make()
        const [kept, lost] = [write(1), write(2)]
        yield* backend.write([bump(kept, 2)])
        const saved = yield* cluster.double.backup
        yield* backend.write([bump(kept, 5)])
        yield* backend.write([bump(lost, 3)])
        yield* replace(cluster, saved)
        const states = [bump(kept, 6), bump(lost, 4)]
        assert.deepStrictEqual(yield* backend.write(states), [Backend.updated, Backend.created])
        assert.deepStrictEqual(yield* backend.write(states), [Backend.present, Backend.present])
        assert.deepStrictEqual(
          cluster.objects.map((object) => object["count"] as number),
          [7, 5]
        )
      })
  )
})
