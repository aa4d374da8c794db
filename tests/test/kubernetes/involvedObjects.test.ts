import { assert, describe, it } from "@effect/vitest"
import type { ObjectReference } from "@tidings/core/ObjectReference"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Logger from "effect/Logger"
import * as Scope from "effect/Scope"
import { TestClock } from "effect/testing"
import * as KubernetesBackend from "@tidings/backend-k8s/KubernetesBackend"
import { answer, failure } from "../../../packages/backend-k8s/test/answers.ts"
import { makeServer, refused } from "./InterceptedServer.ts"
import { write } from "../../../packages/backend-k8s/test/writes.ts"

const resourceList = (...resources: ReadonlyArray<readonly [kind: string, name: string, namespaced: boolean]>) =>
  answer(200, {
    kind: "APIResourceList",
    resources: resources.map(([kind, name, namespaced]) => ({ kind, name, namespaced }))
  })

const groups = (...items: ReadonlyArray<readonly [group: string, version: string, kind: string, resource: string]>) =>
  answer(200, {
    kind: "APIGroupDiscoveryList",
    apiVersion: "apidiscovery.k8s.io/v2",
    items: items.map(([name, version, kind, resource]) => ({
      metadata: name === "" ? {} : { name },
      versions: [
        { version, resources: [{ resource, responseKind: { group: name, version, kind }, scope: "Namespaced" }] }
      ]
    }))
  })

/** A cluster with these objects, by their paths. */
const make = Effect.fnUntraced(function* (options?: KubernetesBackend.Options) {
  const cluster = yield* makeServer
  const objects = new Map<string, string>()
  const asked: Array<string> = []
  cluster.before = ({ method, path }) => {
    if (method !== "GET") return undefined
    asked.push(path)
    if (path === "/api/v1")
      return resourceList(["Pod", "pods", true], ["Pod", "pods/log", true], ["Node", "nodes", false])
    if (path === "/apis/shop.dev/v1") return resourceList(["Order", "orders", true])
    if (path === "/api") return groups(["", "v1", "Pod", "pods"])
    if (path === "/apis") {
      return groups(
        ["shop.dev", "v1", "Order", "orders"],
        ["a.dev", "v1", "Twice", "twices"],
        ["b.dev", "v1", "Twice", "twices"]
      )
    }
    const uid = objects.get(path)
    return uid === undefined
      ? failure(404, "NotFound", "not found")
      : answer(200, { metadata: { name: path.slice(path.lastIndexOf("/") + 1), uid } })
  }
  const backend = yield* KubernetesBackend.make(options).pipe(Effect.provide(cluster.layer))
  let seq = 0
  const referenceOf = (involvedObject: ObjectReference) =>
    Effect.map(backend.write([write(++seq, {}, { involvedObject })]), ([outcome]) => {
      assert.strictEqual(outcome!._tag, "Settled")
      return cluster.objects.at(-1)!["involvedObject"] as ObjectReference
    })
  return { cluster, objects, asked, backend, referenceOf }
})

const pod: ObjectReference = { apiVersion: "v1", kind: "Pod", name: "web", namespace: "default" }
const podPath = "/api/v1/namespaces/default/pods/web"

describe("the uid of an involved object", () => {
  it.effect("is looked up by the plural of its kind, once", () =>
    Effect.gen(function* () {
      const { asked, objects, referenceOf } = yield* make()
      objects.set(podPath, "pod-uid")
      objects.set("/apis/shop.dev/v1/namespaces/default/orders/4711", "order-uid")
      objects.set("/api/v1/nodes/worker-1", "node-uid")
      assert.strictEqual((yield* referenceOf(pod)).uid, "pod-uid")
      assert.strictEqual((yield* referenceOf(pod)).uid, "pod-uid")
      const order = { apiVersion: "shop.dev/v1", kind: "Order", name: "4711", namespace: "default" }
      assert.strictEqual((yield* referenceOf(order)).uid, "order-uid")
      assert.strictEqual((yield* referenceOf({ apiVersion: "v1", kind: "Node", name: "worker-1" })).uid, "node-uid")
      assert.deepStrictEqual(asked, [
        "/api/v1",
        podPath,
        "/apis/shop.dev/v1",
        "/apis/shop.dev/v1/namespaces/default/orders/4711",
        "/api/v1/nodes/worker-1"
      ])
    })
  )

  it.effect("is the caller's where there is one, and not looked up where that is switched off", () =>
    Effect.gen(function* () {
      const one = yield* make()
      assert.strictEqual((yield* one.referenceOf({ ...pod, uid: "given" })).uid, "given")
      const two = yield* make({ uidWait: 0 })
      assert.isUndefined((yield* two.referenceOf(pod)).uid)
      assert.deepStrictEqual([...one.asked, ...two.asked], [])
    })
  )

  it.effect("comes with the apiVersion for a kind that only one group has", () =>
    Effect.gen(function* () {
      const { objects, referenceOf } = yield* make()
      objects.set(podPath, "pod-uid")
      objects.set("/apis/shop.dev/v1/namespaces/default/orders/4711", "order-uid")
      objects.set("/apis/a.dev/v1/namespaces/default/twices/x", "twice-uid")
      const bare = (kind: string, name: string) => referenceOf({ kind, name, namespace: "default" })
      assert.deepInclude(yield* bare("Pod", "web"), { apiVersion: "v1", uid: "pod-uid" })
      assert.deepInclude(yield* bare("Order", "4711"), { apiVersion: "shop.dev/v1", uid: "order-uid" })
      assert.isUndefined((yield* bare("Twice", "x")).uid)
      assert.isUndefined((yield* bare("Twice", "x")).apiVersion)
    })
  )

  it.effect("is left out for what is no resource, what is not there, and names that lead elsewhere", () =>
    Effect.gen(function* () {
      const { asked, referenceOf } = yield* make()
      const none: ReadonlyArray<ObjectReference> = [
        { ...pod, kind: "ServiceInstance" },
        { ...pod, name: "gone" },
        { ...pod, apiVersion: "nowhere.dev/v1" },
        { ...pod, apiVersion: "../../api" },
        { ...pod, apiVersion: "v1/../.." },
        { ...pod, name: ".." },
        { ...pod, name: "../secrets/x" },
        { ...pod, name: "a%2fb" },
        { apiVersion: "v1", kind: "Pod", name: "web" },
        { apiVersion: "v1", kind: "Node", name: "worker-1", namespace: "default" }
      ]
      for (const reference of none) assert.isUndefined((yield* referenceOf(reference)).uid, JSON.stringify(reference))
      assert.deepStrictEqual(asked, ["/api/v1", "/api/v1/namespaces/default/pods/gone", "/apis/nowhere.dev/v1"])
    })
  )

  it.effect("is cached for a while, its absence too, and kept for an object that was just deleted", () =>
    Effect.gen(function* () {
      const { asked, objects, referenceOf } = yield* make()
      assert.isUndefined((yield* referenceOf(pod)).uid)
      assert.isUndefined((yield* referenceOf(pod)).uid)
      assert.strictEqual(asked.length, 2)
      objects.set(podPath, "first")
      yield* TestClock.adjust("11 seconds")
      assert.strictEqual((yield* referenceOf(pod)).uid, "first")
      objects.set(podPath, "second")
      yield* TestClock.adjust("7 seconds")
      assert.strictEqual((yield* referenceOf(pod)).uid, "first")
      // An object that was made anew under its name is known within ten seconds.
      yield* TestClock.adjust("3 seconds")
      assert.strictEqual((yield* referenceOf(pod)).uid, "second")
      objects.delete(podPath)
      yield* TestClock.adjust("61 seconds")
      assert.strictEqual((yield* referenceOf(pod)).uid, "second")
    })
  )

  it.effect("of a kind that is defined later is found then", () =>
    Effect.gen(function* () {
      const { cluster, objects, referenceOf } = yield* make()
      const late = { apiVersion: "late.dev/v1", kind: "Late", name: "x", namespace: "default" }
      assert.isUndefined((yield* referenceOf(late)).uid)
      const { before } = cluster
      cluster.before = (request) =>
        request.path === "/apis/late.dev/v1" ? resourceList(["Late", "lates", true]) : before(request)
      objects.set("/apis/late.dev/v1/namespaces/default/lates/x", "late-uid")
      assert.isUndefined((yield* referenceOf(late)).uid)
      yield* TestClock.adjust("61 seconds")
      assert.strictEqual((yield* referenceOf(late)).uid, "late-uid")
    })
  )

  it.effect("is waited for with a timeout, and a late result serves the next event", () =>
    Effect.gen(function* () {
      const { cluster, objects, referenceOf } = yield* make({ uidWait: "2 seconds" })
      objects.set(podPath, "pod-uid")
      // Each of the two look-ups takes five seconds; the write itself takes as long again.
      cluster.delay = Effect.sleep("5 seconds")
      const fiber = yield* Effect.forkChild(referenceOf(pod), { startImmediately: true })
      yield* TestClock.adjust("6 seconds")
      assert.isUndefined(fiber.pollUnsafe())
      yield* TestClock.adjust("1 second")
      assert.isUndefined((yield* Fiber.join(fiber)).uid)
      yield* TestClock.adjust("5 seconds")
      cluster.delay = Effect.void
      assert.strictEqual((yield* referenceOf(pod)).uid, "pod-uid")
    })
  )

  it.effect("ends with the backend, and the write that waits for it gets an outcome", () =>
    Effect.gen(function* () {
      const scope = yield* Scope.make()
      const { backend, cluster } = yield* Scope.provide(make({ uidWait: "1 minute" }), scope)
      cluster.delay = Effect.sleep("10 seconds")
      const fiber = yield* Effect.forkChild(backend.write([write(1, {}, { involvedObject: pod })]), {
        startImmediately: true
      })
      yield* TestClock.adjust("5 seconds")
      assert.isUndefined(fiber.pollUnsafe())
      yield* Scope.close(scope, Exit.void)
      // The request of the write itself.
      yield* TestClock.adjust("10 seconds")
      const [outcome] = yield* Fiber.join(fiber)
      assert.strictEqual(outcome!._tag, "Settled")
    })
  )

  it.effect("is asked for once by many writes at the same time", () =>
    Effect.gen(function* () {
      const { asked, backend, cluster, objects } = yield* make()
      objects.set(podPath, "pod-uid")
      cluster.delay = Effect.yieldNow
      yield* backend.write(Array.from({ length: 50 }, (_, index) => write(index + 1, {}, { involvedObject: pod })))
      assert.deepStrictEqual(asked, ["/api/v1", podPath])
      assert.isTrue(cluster.objects.every((object) => object["involvedObject"].uid === "pod-uid"))
    })
  )

  it.effect("that may not be read is left out, said once per kind with the rule to add, and not asked for again", () =>
    Effect.gen(function* () {
      const lines: Array<string> = []
      const logger = Logger.make(({ message }) => {
        lines.push(String(message))
      })
      yield* Effect.gen(function* () {
        const { asked, cluster, referenceOf } = yield* make()
        const { before } = cluster
        cluster.before = (request) =>
          request.path.includes("/pods/")
            ? (asked.push(request.path), failure(403, "Forbidden", 'User "u" cannot get resource "pods"'))
            : before(request)
        for (const name of ["a", "b", "c"]) assert.isUndefined((yield* referenceOf({ ...pod, name })).uid)
        assert.isUndefined((yield* referenceOf({ ...pod, namespace: "other" })).uid)
        assert.strictEqual(asked.filter((path) => path.includes("/pods/")).length, 2)
        yield* TestClock.adjust("301 seconds")
        assert.isUndefined((yield* referenceOf({ ...pod, name: "d" })).uid)
        assert.strictEqual(asked.filter((path) => path.includes("/pods/")).length, 3)
      }).pipe(Effect.provide(Logger.layer([logger])))
      assert.strictEqual(lines.length, 1)
      assert.include(lines[0], 'resources: ["pods"], verbs: ["get"]}')
    })
  )

  it.effect("is not looked up where it is given, and the apiVersion of a known kind is filled in", () =>
    Effect.gen(function* () {
      const { asked, referenceOf } = yield* make()
      for (const name of ["4711", "4712"]) {
        const order = yield* referenceOf({ kind: "Order", name, namespace: "default", uid: `uid-${name}` })
        assert.deepInclude(order, { apiVersion: "shop.dev/v1", uid: `uid-${name}` })
      }
      assert.deepStrictEqual(asked, ["/api", "/apis"])
      const unknown = yield* referenceOf({ kind: "Nothing", name: "x", namespace: "default", uid: "u" })
      assert.notProperty(unknown, "apiVersion")
    })
  )

  it.effect(
    "of an object that is not there is left out, and the apiVersion of its kind is filled in all the same",
    () =>
      Effect.gen(function* () {
        const { referenceOf } = yield* make()
        const gone = yield* referenceOf({ kind: "Order", name: "gone", namespace: "default" })
        assert.strictEqual(gone.apiVersion, "shop.dev/v1")
        assert.notProperty(gone, "uid")
      })
  )

  it.effect("of many objects of one kind is read from a list, with at most 1.2 requests for each", () =>
    Effect.gen(function* () {
      const { asked, backend, cluster, objects } = yield* make({ uidWait: "10 seconds" })
      const { before } = cluster
      const count = 1_000
      const places = "/api/v1/namespaces/default/pods"
      for (let n = 0; n < count; n++) objects.set(`${places}/pod-${n}`, `uid-${n}`)
      cluster.before = (request) => {
        const page = /^\/api\/v1\/namespaces\/default\/pods\?limit=500(?:&continue=(\d+))?$/.exec(request.path)
        if (page === null) return before(request)
        asked.push(request.path)
        const from = Number(page[1] ?? 0)
        const items = Array.from({ length: 500 }, (_, index) => ({
          metadata: { name: `pod-${from + index}`, uid: `uid-${from + index}` }
        }))
        return answer(200, {
          kind: "PartialObjectMetadataList",
          apiVersion: "meta.k8s.io/v1",
          metadata: from + 500 < count ? { continue: String(from + 500) } : {},
          items
        })
      }
      for (let from = 0; from < count; from += 50) {
        const outcomes = yield* backend.write(
          Array.from({ length: 50 }, (_, index) =>
            write(from + index + 1, {}, { involvedObject: { ...pod, name: `pod-${from + index}` } })
          )
        )
        assert.isTrue(outcomes.every(({ _tag }) => _tag === "Settled"))
      }
      assert.isAtMost(asked.length, 0.2 * count)
      const uids = cluster.objects.map(({ involvedObject }) => (involvedObject as ObjectReference).uid)
      assert.strictEqual(new Set(uids).size, count)
      assert.isFalse(uids.includes(undefined))
    })
  )

  const noLists: ReadonlyArray<readonly [name: string, response: ReturnType<typeof answer>]> = [
    ["no list is allowed", failure(403, "Forbidden", "cannot list")],
    ["a page of a gateway comes for it", answer(200, "<html>")],
    [
      "the list is none",
      answer(200, { kind: "PartialObjectMetadataList", apiVersion: "meta.k8s.io/v1", metadata: {} })
    ],
    ["the list is of another kind", answer(200, { kind: "PodList", apiVersion: "v1", metadata: {}, items: [] })],
    ["the list expires", failure(410, "Expired", "too old")]
  ]
  it.effect.each(noLists)("is looked up one by one where %s", ([, response]) =>
    Effect.gen(function* () {
      const { backend, cluster, objects } = yield* make({ uidWait: "10 seconds" })
      const { before } = cluster
      for (let n = 0; n < 20; n++) objects.set(`/api/v1/namespaces/default/pods/pod-${n}`, `uid-${n}`)
      cluster.before = (request) => (request.path.includes("?limit=") ? response : before(request))
      yield* backend.write(
        Array.from({ length: 20 }, (_, n) => write(n + 1, {}, { involvedObject: { ...pod, name: `pod-${n}` } }))
      )
      const uids = cluster.objects.map(({ involvedObject }) => (involvedObject as ObjectReference).uid)
      assert.isFalse(uids.includes(undefined))
    })
  )

  it.effect("is not taken to be none because of what a gateway answers for a list of kinds", () =>
    Effect.gen(function* () {
      const { asked, cluster, objects, referenceOf } = yield* make()
      const { before } = cluster
      objects.set(podPath, "pod-uid")
      for (const response of [
        answer(404, "<html>"),
        answer(200, "<html>"),
        answer(200, { kind: "APIResourceList" }),
        answer(200, { kind: "APIResourceList", resources: {} })
      ]) {
        cluster.before = (request) => (request.path === "/api/v1" ? response : before(request))
        assert.isUndefined((yield* referenceOf(pod)).uid)
        assert.isEmpty(asked)
        // What a server says that has no such kind counts for longer.
        yield* TestClock.adjust("6 seconds")
      }
      cluster.before = before
      assert.strictEqual((yield* referenceOf(pod)).uid, "pod-uid")
    })
  )

  it.effect("never fails a write, whatever the server says", () =>
    Effect.gen(function* () {
      const { cluster, referenceOf } = yield* make()
      for (const [index, response] of [
        refused,
        failure(500, "", "etcd"),
        answer(200, "<html>"),
        answer(200, "null"),
        answer(429, "")
      ].entries()) {
        cluster.before = ({ method }) => (method === "GET" ? response : undefined)
        assert.isUndefined((yield* referenceOf({ ...pod, name: `p-${index}` })).uid)
      }
    })
  )
})
