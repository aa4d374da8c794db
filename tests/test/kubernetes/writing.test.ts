import { assert, describe, it } from "@effect/vitest"
import * as Backend from "@tidings/core/Backend"
import type { Write } from "@tidings/core/Event"
import * as Arbitrary from "effect/Arbitrary"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as Schema from "effect/Schema"
import * as TestClock from "effect/testing/TestClock"
import * as KubernetesBackend from "@tidings/backend-k8s/KubernetesBackend"
import * as KubernetesConnection from "@tidings/backend-k8s/KubernetesConnection"
import type { KubernetesRequest } from "@tidings/backend-k8s/KubernetesHttp"
import * as ApiServer from "@tidings/testing-k8s/ApiServer"
import { answer, failure } from "../../../packages/backend-k8s/test/answers.ts"
import { type InterceptedServer, makeServer, refused, reset, serverWith } from "./InterceptedServer.ts"
import { bump, write } from "../../../packages/backend-k8s/test/writes.ts"

const backend = (cluster: InterceptedServer, options?: KubernetesBackend.Options) =>
  KubernetesBackend.make(options).pipe(Effect.provide(cluster.layer))

const settle = (service: Backend.Service, one: Write) => Effect.map(service.write([one]), ([outcome]) => outcome!)

const verbs = (cluster: InterceptedServer) =>
  cluster.requests.map(({ body, method }) => (method === "PATCH" && body === "{}" ? "READ" : method))

const counts = (cluster: InterceptedServer) =>
  cluster.objects.map((object) => [object["metadata"].name.split(".").at(-1), object["count"]])

const isCreate = ({ method }: KubernetesRequest) => method === "POST"
const isBump = ({ body, method }: KubernetesRequest) => method === "PATCH" && body !== "{}"
const isRead = ({ body, method }: KubernetesRequest) => method === "PATCH" && body === "{}"

/** True the first `times` times. */
const times = (count: number) => {
  let left = count
  return () => left-- > 0
}

describe("one write after another", () => {
  it.effect("is one request each: create, then patches that name the version", () =>
    Effect.gen(function* () {
      const cluster = yield* makeServer
      const service = yield* backend(cluster)
      const first = write(1)
      assert.deepStrictEqual(yield* settle(service, first), Backend.created)
      assert.deepStrictEqual(yield* settle(service, bump(first)), Backend.updated)
      assert.deepStrictEqual(yield* settle(service, bump(first, 5)), Backend.updated)
      assert.deepStrictEqual(verbs(cluster), ["POST", "PATCH", "PATCH"])
      assert.strictEqual(cluster.requests[1]!.contentType, "application/merge-patch+json")
      assert.match(cluster.requests[1]!.path, /^\/api\/v1\/namespaces\/default\/events\/web\.0123456789abcdef\.1\?/)
      assert.deepStrictEqual(counts(cluster), [["1", 6]])
    })
  )

  it.effect("is answered with present when it is repeated, or older than what is stored", () =>
    Effect.gen(function* () {
      const cluster = yield* makeServer
      const service = yield* backend(cluster)
      const first = write(1)
      const second = bump(first, 3)
      yield* settle(service, first)
      assert.deepStrictEqual(yield* settle(service, first), Backend.present)
      yield* settle(service, second)
      assert.deepStrictEqual(yield* settle(service, second), Backend.present)
      assert.deepStrictEqual(yield* settle(service, first), Backend.present)
      assert.deepStrictEqual(counts(cluster), [["1", 4]])
    })
  )

  it.effect("continues the count that an earlier process wrote", () =>
    Effect.gen(function* () {
      const cluster = yield* makeServer
      const first = write(1)
      yield* settle(yield* backend(cluster), bump(first, 3))
      const service = yield* backend(cluster)
      assert.deepStrictEqual(yield* settle(service, first), Backend.present)
      assert.deepStrictEqual(yield* settle(service, bump(first, 2)), Backend.present)
      assert.deepStrictEqual(yield* settle(service, bump(first, 9)), Backend.updated)
      assert.deepStrictEqual(counts(cluster), [["1", 10]])
      // Only the object itself says whose it is.
      assert.deepStrictEqual(verbs(cluster), ["POST", "POST", "READ", "READ", "PATCH"])
    })
  )

  it.effect("creates again what expired or was deleted, with the whole count", () =>
    Effect.gen(function* () {
      const cluster = yield* makeServer
      const service = yield* backend(cluster)
      const first = write(1)
      yield* settle(service, first)
      cluster.remove("web.0123456789abcdef.1")
      assert.deepStrictEqual(yield* settle(service, bump(first, 4)), Backend.created)
      assert.deepStrictEqual(counts(cluster), [["1", 5]])
      cluster.remove("web.0123456789abcdef.1")
      assert.deepStrictEqual(yield* settle(service, bump(first, 4)), Backend.created)
      assert.deepStrictEqual(verbs(cluster), ["POST", "PATCH", "POST", "READ", "POST"])
    })
  )

  it.effect("succeeds when another client changes the same object meanwhile", () =>
    Effect.gen(function* () {
      const cluster = yield* makeServer
      const service = yield* backend(cluster)
      const first = write(1)
      yield* settle(service, first)
      cluster.put("web.0123456789abcdef.1", { ...cluster.object("web.0123456789abcdef.1"), note: "edited" })
      assert.deepStrictEqual(yield* settle(service, bump(first)), Backend.updated)
      assert.deepStrictEqual(verbs(cluster), ["POST", "PATCH", "READ", "PATCH"])
    })
  )

  it.effect("is answered with Retry when another client never stops changing the object", () =>
    Effect.gen(function* () {
      const cluster = yield* makeServer
      const service = yield* backend(cluster)
      const first = write(1)
      yield* settle(service, first)
      cluster.before = (request) =>
        isBump(request) ? failure(409, "Conflict", "modified", { kind: "events" }) : undefined
      const outcome = yield* settle(service, bump(first))
      assert.strictEqual(outcome._tag, "Retry")
      assert.isBelow(cluster.requests.length, 20)
    })
  )

  it.effect("never changes an object of another writer", () =>
    Effect.gen(function* () {
      const cluster = yield* makeServer
      const service = yield* backend(cluster)
      cluster.put("web.0123456789abcdef.1", { kind: "Event", apiVersion: "v1", count: 1 })
      const outcome = yield* settle(service, bump(write(1)))
      assert.isTrue(outcome._tag === "Rejected" && outcome.reason.startsWith("name-taken:"))
      assert.deepStrictEqual(counts(cluster), [["1", 1]])
    })
  )
})

describe("answers that are lost", () => {
  it.effect("of a create lead to the same object when it is repeated", () =>
    Effect.gen(function* () {
      const cluster = yield* makeServer
      const service = yield* backend(cluster)
      const lost = times(1)
      cluster.after = (request, response) => (isCreate(request) && lost() ? reset : response)
      const outcome = yield* settle(service, write(1))
      assert.isTrue(
        outcome._tag === "Retry" &&
          outcome.error.reason._tag === "Transient" &&
          outcome.error.reason.applied === "unknown"
      )
      assert.deepStrictEqual(yield* settle(service, write(1)), Backend.present)
      assert.deepStrictEqual(counts(cluster), [["1", 1]])
    })
  )

  it.effect("of a patch count once when it is repeated", () =>
    Effect.gen(function* () {
      const cluster = yield* makeServer
      const service = yield* backend(cluster)
      const first = write(1)
      yield* settle(service, first)
      const lost = times(1)
      cluster.after = (request, response) => (isBump(request) && lost() ? reset : response)
      assert.strictEqual((yield* settle(service, bump(first)))._tag, "Retry")
      assert.deepStrictEqual(yield* settle(service, bump(first)), Backend.present)
      assert.deepStrictEqual(yield* settle(service, bump(first, 2)), Backend.updated)
      assert.deepStrictEqual(counts(cluster), [["1", 3]])
    })
  )

  it.effect("in the middle, after the status line: unknown, and repeated it is the same object", () =>
    Effect.gen(function* () {
      const cluster = yield* makeServer
      const service = yield* backend(cluster)
      const first = write(1)
      cluster.after = (_, response) => ({ ...response, body: undefined })
      const outcome = yield* settle(service, first)
      assert.isTrue(outcome._tag === "Retry" && outcome.error.reason._tag === "Transient")
      cluster.after = (_, response) => response
      assert.deepStrictEqual(yield* settle(service, first), Backend.present)
      assert.deepStrictEqual(yield* settle(service, bump(first)), Backend.updated)
      assert.deepStrictEqual(counts(cluster), [["1", 2]])
    })
  )

  /** What gateways, proxies and login pages answer with a status of success, or lead elsewhere with. */
  const strange: ReadonlyArray<readonly [name: string, status: number, body: string]> = [
    ["a page of HTML", 200, "<!doctype html><title>Sign in</title>"],
    ["an empty body", 201, ""],
    ["no JSON", 201, "OK"],
    ["null", 200, "null"],
    ["a list", 200, "[]"],
    ["an empty object", 200, "{}"],
    [
      "another kind",
      201,
      JSON.stringify({ kind: "Pod", apiVersion: "v1", metadata: { name: "x", resourceVersion: "1" } })
    ],
    [
      "another event",
      201,
      JSON.stringify({ kind: "Event", apiVersion: "v1", metadata: { name: "other", resourceVersion: "1" } })
    ],
    ["a Status", 200, JSON.stringify({ kind: "Status", apiVersion: "v1", status: "Success" })],
    ["half an event", 201, '{"kind":"Event","apiVersion":"v1","metadata":{"name":"web.0123456789ab'],
    ["a redirect", 302, ""],
    ["a permanent redirect", 308, "<html>moved</html>"]
  ]
  for (const [name, status, body] of strange) {
    it.effect(`and are none of an API server (${status} with ${name}): unknown, repeated, and said once`, () =>
      Effect.gen(function* () {
        const lines: Array<string> = []
        const logger = Logger.make<unknown, void>(({ message }) => void lines.push(String(message)))
        const cluster = yield* makeServer
        const service = yield* backend(cluster)
        const first = write(1)
        cluster.before = () => ({ status, headers: { "content-type": "text/html" }, body })
        for (const one of [first, first, bump(first)]) {
          const outcome = yield* settle(service, one).pipe(Effect.provide(Logger.layer([logger])))
          assert.isTrue(
            outcome._tag === "Retry" &&
              outcome.error.reason._tag === "Transient" &&
              outcome.error.reason.applied === "unknown",
            JSON.stringify(outcome)
          )
        }
        assert.lengthOf(lines, 1)
        assert.include(lines[0], `HTTP ${status} text/html`)
        cluster.before = () => undefined
        assert.deepStrictEqual(yield* settle(service, first), Backend.created)
        cluster.before = () => ({ status, headers: {}, body })
        assert.strictEqual((yield* settle(service, bump(first)))._tag, "Retry")
        cluster.before = () => undefined
        assert.deepStrictEqual(yield* settle(service, bump(first)), Backend.updated)
        assert.deepStrictEqual(counts(cluster), [["1", 2]])
      })
    )
  }

  it.effect("of a create where patching is not allowed: the right is missing, and nothing is taken for present", () =>
    Effect.gen(function* () {
      const cluster = yield* makeServer
      yield* settle(yield* backend(cluster), write(1))
      const service = yield* backend(cluster)
      cluster.before = (request) =>
        request.method === "PATCH"
          ? failure(403, "Forbidden", 'User "u" cannot patch resource "events"', { kind: "events" })
          : undefined
      const outcome = yield* settle(service, write(1))
      assert.isTrue(outcome._tag === "Retry" && outcome.error.reason._tag === "Unauthorized")
    })
  )

  it.effect("of a create whose annotations were stripped: its count cannot grow, and that is what is said", () =>
    Effect.gen(function* () {
      const cluster = yield* makeServer
      const first = write(1)
      yield* settle(yield* backend(cluster), first)
      const name = "web.0123456789abcdef.1"
      const stored = cluster.object(name)!
      cluster.put(name, { ...stored, metadata: { ...(stored["metadata"] as object), annotations: {} } })
      // What is there already has its count, and that is enough for a repetition.
      const lines: Array<string> = []
      const logger = Logger.make<unknown, void>(({ message }) => void lines.push(String(message)))
      const again = yield* backend(cluster)
      for (let n = 0; n < 2; n++) {
        const repeated = yield* settle(again, first).pipe(Effect.provide(Logger.layer([logger])))
        assert.deepStrictEqual(repeated, Backend.present)
      }
      assert.lengthOf(lines, 1)
      assert.include(lines[0], "removed")
      const outcome = yield* settle(yield* backend(cluster), bump(first))
      assert.isTrue(
        outcome._tag === "Rejected" && outcome.reason.startsWith("annotations-stripped:"),
        JSON.stringify(outcome)
      )
    })
  )
})

/** A webhook that removes the annotations of everything. */
const withoutAnnotations = (object: ApiServer.KubernetesObject): ApiServer.KubernetesObject => ({
  ...object,
  metadata: { ...object.metadata, annotations: {} }
})

it.effect("annotations that are removed at once are said once for a namespace, and counts grow all the same", () =>
  Effect.gen(function* () {
    const lines: Array<string> = []
    const logger = Logger.make<unknown, void>(({ message }) => void lines.push(String(message)))
    const cluster = yield* serverWith({ webhook: withoutAnnotations })
    const service = yield* backend(cluster)
    yield* Effect.gen(function* () {
      for (const seq of [1, 2, 3]) {
        assert.deepStrictEqual(yield* settle(service, write(seq)), Backend.created)
        assert.deepStrictEqual(yield* settle(service, bump(write(seq), 4)), Backend.updated)
      }
    }).pipe(Effect.provide(Logger.layer([logger])))
    assert.deepStrictEqual(counts(cluster), [
      ["1", 5],
      ["2", 5],
      ["3", 5]
    ])
    assert.lengthOf(lines, 1)
    assert.include(lines[0], "namespace default are removed")
  })
)

describe("an object that is deleted and made anew under its name", () => {
  const about = (uid: string | undefined, seq: number, upTo: number): Write => {
    const one = bump(write(seq), upTo - seq)
    return uid === undefined
      ? one
      : { ...one, event: { ...one.event, involvedObject: { ...one.event.involvedObject, uid } } }
  }

  it.effect("has an event of its own for what happens to it, and the earlier one keeps its count", () =>
    Effect.gen(function* () {
      const cluster = yield* makeServer
      const service = yield* backend(cluster)
      yield* settle(service, about("uid-1", 1, 4))
      assert.deepStrictEqual(yield* settle(service, about("uid-2", 1, 6)), Backend.created)
      assert.deepStrictEqual(yield* settle(service, about("uid-2", 1, 6)), Backend.present)
      assert.deepStrictEqual(yield* settle(service, about("uid-2", 1, 9)), Backend.updated)
      // And once more.
      assert.deepStrictEqual(yield* settle(service, about("uid-3", 1, 10)), Backend.created)
      const seen = cluster.objects.map(({ count, involvedObject }) => [
        (involvedObject as { readonly uid?: string }).uid,
        count
      ])
      assert.deepStrictEqual(seen, [
        ["uid-1", 4],
        ["uid-2", 5],
        ["uid-3", 1]
      ])
      // A new process that repeats it meets the same objects.
      const later = yield* backend(cluster)
      assert.deepStrictEqual(yield* settle(later, about("uid-3", 1, 10)), Backend.present)
      assert.deepStrictEqual(yield* settle(later, about("uid-3", 1, 12)), Backend.updated)
      assert.strictEqual(cluster.objects.length, 3)
      assert.deepStrictEqual(
        cluster.objects.map(({ count }) => count),
        [4, 5, 3]
      )
    })
  )

  it.effect("counts nothing twice when a request for the earlier one is still on its way", () =>
    Effect.gen(function* () {
      const cluster = yield* makeServer
      const service = yield* backend(cluster)
      yield* settle(service, about("uid-1", 1, 4))
      const late: Array<KubernetesRequest> = []
      cluster.before = (request) => {
        if (!isBump(request) || late.length > 0) return undefined
        late.push(request)
        return failure(504, "Timeout", "late")
      }
      assert.strictEqual((yield* settle(service, about("uid-1", 1, 6)))._tag, "Retry")
      assert.deepStrictEqual(yield* settle(service, about("uid-2", 1, 7)), Backend.created)
      assert.strictEqual((yield* cluster.service.request(late[0]!)).status, 409)
      assert.deepStrictEqual(
        cluster.objects.map(({ count }) => count),
        [4, 3]
      )
    })
  )

  it.effect("repeatedly has one event for each, at constant cost, and a new process finds the last of them", () =>
    Effect.gen(function* () {
      const cluster = yield* makeServer
      const service = yield* backend(cluster)
      const times = 30
      for (let n = 1; n <= times; n++) {
        const before = cluster.requests.length
        assert.deepStrictEqual(yield* settle(service, about(`uid-${n}`, 1, 2 * n - 1)), Backend.created)
        assert.deepStrictEqual(yield* settle(service, about(`uid-${n}`, 1, 2 * n)), Backend.updated)
        // The end of the one before, the new one, and its count.
        assert.isAtMost(cluster.requests.length - before, 3)
      }
      const all = () =>
        cluster.objects.map(({ count, involvedObject }) => [(involvedObject as { readonly uid?: string }).uid, count])
      const expected = Array.from({ length: times }, (_, index) => [`uid-${index + 1}`, 2])
      assert.deepStrictEqual(all(), expected)
      const later = yield* backend(cluster)
      assert.deepStrictEqual(yield* settle(later, about(`uid-${times}`, 1, 2 * times)), Backend.present)
      assert.deepStrictEqual(yield* settle(later, about(`uid-${times}`, 1, 2 * times + 5)), Backend.updated)
      assert.deepStrictEqual(all(), [...expected.slice(0, -1), [`uid-${times}`, 7]])
      // What an earlier event has counted is present, whichever came after it.
      assert.deepStrictEqual(yield* settle(service, about("uid-1", 1, 2)), Backend.present)
      assert.strictEqual(cluster.objects.length, times)
    })
  )

  it.effect("is not confused with the earlier one by a process that has not looked it up since", () =>
    Effect.gen(function* () {
      const cluster = yield* makeServer
      let uid = "uid-1"
      cluster.before = ({ method, path }) => {
        if (method !== "GET") return undefined
        return path === "/api/v1"
          ? answer(200, { kind: "APIResourceList", resources: [{ kind: "Pod", name: "pods", namespaced: true }] })
          : answer(200, { metadata: { name: "web", uid } })
      }
      const [first, second] = [yield* backend(cluster), yield* backend(cluster)]
      const pod = { apiVersion: "v1", kind: "Pod", name: "web", namespace: "default" }
      const upTo = (n: number): Write => ({ ...bump(write(1, {}, { involvedObject: pod }), n - 1) })
      yield* settle(first, upTo(2))
      yield* TestClock.adjust("5 seconds")
      // This one remembers the uid for longer.
      yield* settle(second, upTo(2))
      uid = "uid-2"
      yield* TestClock.adjust("5 seconds")
      assert.deepStrictEqual(yield* settle(first, upTo(3)), Backend.created)
      assert.deepStrictEqual(yield* settle(second, upTo(5)), Backend.updated)
      assert.deepStrictEqual(yield* settle(first, upTo(6)), Backend.updated)
      assert.deepStrictEqual(
        cluster.objects.map(({ count, involvedObject }) => [(involvedObject as { readonly uid?: string }).uid, count]),
        [
          ["uid-1", 2],
          ["uid-2", 4]
        ]
      )
    })
  )

  it.effect("writes that arrive late change nothing", () =>
    Effect.gen(function* () {
      const cluster = yield* makeServer
      const service = yield* backend(cluster)
      const first = write(1)
      const late: Array<KubernetesRequest> = []
      yield* settle(service, first)
      // The server answers "too late", and does it after all, once everything else is done.
      cluster.before = (request) => {
        if (!isBump(request) || late.length > 0) return undefined
        late.push(request)
        return failure(504, "Timeout", "late")
      }
      assert.strictEqual((yield* settle(service, bump(first, 1)))._tag, "Retry")
      assert.deepStrictEqual(yield* settle(service, bump(first, 5)), Backend.updated)
      const answered = yield* cluster.service.request(late[0]!)
      assert.strictEqual(answered.status, 409)
      assert.deepStrictEqual(counts(cluster), [["1", 6]])
    })
  )
})

describe("objects that a server does not take", () => {
  it.effect("because they are too large are sent once more without data, then rejected", () =>
    Effect.gen(function* () {
      const cluster = yield* makeServer
      const service = yield* backend(cluster)
      cluster.before = ({ body }) =>
        body?.includes('tidings.dev/data":"') === true ? failure(413, "RequestEntityTooLarge", "too large") : undefined
      assert.deepStrictEqual(yield* settle(service, write(1)), Backend.created)
      assert.deepStrictEqual(yield* settle(service, bump(write(1))), Backend.updated)
      cluster.before = () => failure(500, "", "etcdserver: request is too large")
      const outcome = yield* settle(service, write(2))
      assert.isTrue(outcome._tag === "Rejected" && outcome.reason.startsWith("too-large:"))
    })
  )

  it.effect("because they are invalid are sent once more without eventTime, then rejected", () =>
    Effect.gen(function* () {
      const cluster = yield* makeServer
      const service = yield* backend(cluster)
      cluster.before = ({ body }) =>
        body?.includes('"eventTime":"') === true ? failure(422, "Invalid", "Event is invalid") : undefined
      assert.deepStrictEqual(yield* settle(service, write(1)), Backend.created)
      assert.deepStrictEqual(yield* settle(service, bump(write(1))), Backend.updated)
      cluster.before = () => failure(422, "Invalid", "Event is invalid")
      const outcome = yield* settle(service, write(2))
      assert.isTrue(outcome._tag === "Rejected" && outcome.reason.startsWith("invalid:"))
    })
  )

  it.effect("because their namespace is invalid are rejected without a request", () =>
    Effect.gen(function* () {
      const cluster = yield* makeServer
      const service = yield* backend(cluster)
      for (const namespace of ["..", ".", "a/b", "Shop", "a b", "x".repeat(64), "%2e%2e"]) {
        const outcome = yield* settle(
          service,
          write(1, {}, { involvedObject: { kind: "X", name: "x", namespace, uid: "u" } })
        )
        assert.isTrue(outcome._tag === "Rejected" && outcome.reason.startsWith("bad-namespace:"), namespace)
      }
      assert.deepStrictEqual(cluster.requests, [])
    })
  )
})

describe("a batch", () => {
  const many = (count: number) => Array.from({ length: count }, (_, index) => write(index + 1))

  it.effect("is answered in order, with a limited number of concurrent requests", () =>
    Effect.gen(function* () {
      const cluster = yield* makeServer
      const service = yield* backend(cluster, { concurrency: 5 })
      cluster.delay = Effect.yieldNow
      cluster.before = (request) => (isCreate(request) && /\.[59]"/.test(request.body ?? "") ? reset : undefined)
      const outcomes = yield* service.write(many(12))
      assert.deepStrictEqual(
        outcomes.map((outcome) => outcome._tag === "Settled"),
        [true, true, true, true, false, true, true, true, false, true, true, true]
      )
      assert.strictEqual(cluster.mostInFlight, 5)
    })
  )

  it.effect("shares the limit with other batches, and is 16 unless said otherwise", () =>
    Effect.gen(function* () {
      const cluster = yield* makeServer
      const service = yield* backend(cluster)
      cluster.delay = Effect.yieldNow
      yield* Effect.all([service.write(many(40)), service.write(many(80).slice(40))], { concurrency: "unbounded" })
      assert.strictEqual(cluster.mostInFlight, 16)
      assert.strictEqual(cluster.objects.length, 80)
    })
  )

  it.effect("is answered with Retry as a whole when the server is unreachable", () =>
    Effect.gen(function* () {
      const cluster = yield* makeServer
      const service = yield* backend(cluster, { concurrency: 4 })
      cluster.delay = Effect.yieldNow
      cluster.before = () => refused
      const outcomes = yield* service.write(many(1_000))
      assert.strictEqual(outcomes.length, 1_000)
      assert.isTrue(outcomes.every((outcome) => outcome._tag === "Retry"))
      assert.isBelow(cluster.requests.length, 10)
    })
  )

  it.effect(
    "that the server throttles as a whole waits as a whole, and where one namespace is throttled the others go on",
    () =>
      Effect.gen(function* () {
        const cluster = yield* makeServer
        const service = yield* backend(cluster, { concurrency: 2 })
        cluster.delay = Effect.yieldNow
        cluster.before = () => failure(429, "TooManyRequests", "later", {}, { "retry-after": "7" })
        yield* service.write(many(100))
        assert.isBelow(cluster.requests.length, 6)
        cluster.requests.length = 0
        cluster.before = ({ path }) =>
          path.includes("/namespaces/default/")
            ? failure(429, "TooManyRequests", "limit reached on type Namespace for key default")
            : undefined
        const elsewhere = Array.from({ length: 50 }, (_, index) =>
          write(1_000 + index, {}, { involvedObject: { kind: "Pod", name: "web", namespace: "team", uid: "u" } })
        )
        const batch = many(50).flatMap((one, index) => [one, elsewhere[index]!])
        const outcomes = yield* service.write(batch)
        assert.deepStrictEqual([...new Set(outcomes.map((outcome, index) => `${index % 2} ${outcome._tag}`))].sort(), [
          "0 Retry",
          "1 Settled"
        ])
        // Of the throttled namespace, only what was under way when it was found out.
        const throttled = cluster.requests.filter(({ path }) => path.includes("/namespaces/default/"))
        assert.isAtMost(throttled.length, 2)
      })
  )

  it.effect("of one series, written twice at once, is written in order", () =>
    Effect.gen(function* () {
      const cluster = yield* makeServer
      const service = yield* backend(cluster)
      const gate = yield* Deferred.make<void>()
      cluster.delay = Deferred.await(gate)
      const first = write(1)
      const fiber = yield* Effect.forkChild(
        Effect.all([settle(service, first), settle(service, bump(first, 1)), settle(service, bump(first, 2))], {
          concurrency: "unbounded"
        }),
        { startImmediately: true }
      )
      yield* Effect.yieldNow
      assert.strictEqual(cluster.mostInFlight, 1)
      yield* Deferred.succeed(gate, undefined)
      assert.deepStrictEqual(yield* Fiber.join(fiber), [Backend.created, Backend.updated, Backend.updated])
      assert.deepStrictEqual(verbs(cluster), ["POST", "PATCH", "PATCH"])
      assert.strictEqual(cluster.mostInFlight, 1)
    })
  )

  it.effect("that is interrupted leaves nothing locked", () =>
    Effect.gen(function* () {
      const cluster = yield* makeServer
      const service = yield* backend(cluster, { concurrency: 1 })
      cluster.delay = Effect.never
      const fibers = yield* Effect.forEach([write(1), bump(write(1)), write(2)], (one) =>
        Effect.forkChild(settle(service, one), { startImmediately: true })
      )
      yield* Fiber.interruptAll(fibers)
      cluster.delay = Effect.void
      assert.deepStrictEqual(yield* service.write([write(1), write(2)]), [Backend.created, Backend.created])
    })
  )
})

it.effect("of more series than are cached still raises the count of each", () =>
  Effect.gen(function* () {
    const cluster = yield* makeServer
    const service = yield* backend(cluster, { knownSeries: 3, concurrency: 1 })
    const all = Array.from({ length: 10 }, (_, index) => write(index + 1))
    yield* service.write(all)
    cluster.requests.length = 0
    assert.deepStrictEqual(
      yield* service.write(all.map((one) => bump(one))),
      all.map(() => Backend.updated)
    )
    // Those that were written last take one request, the forgotten ones three.
    assert.isBelow(verbs(cluster).filter((verb) => verb === "POST").length, 11)
    assert.isTrue(cluster.objects.every(({ count }) => count === 2))
  })
)

it.effect("that is refused logs the missing permission once", () =>
  Effect.gen(function* () {
    const lines: Array<string> = []
    const logger = Logger.make(({ message }) => {
      lines.push(String(message))
    })
    const cluster = yield* makeServer
    cluster.before = () => failure(403, "Forbidden", 'User "writer" cannot create resource "events"')
    yield* Effect.gen(function* () {
      const service = yield* backend(cluster)
      for (let round = 0; round < 5; round++) yield* service.write([write(1), write(2)])
    }).pipe(Effect.provide(Logger.layer([logger])))
    assert.strictEqual(lines.length, 1)
    assert.include(lines[0], 'verbs: ["create", "patch"]')
  })
)

describe("two deliverers of the same entries, with answers lost and refusals at random", () => {
  const fault = Schema.Literals(["none", "lost", "refused", "late"])
  it.effect.prop(
    "end with one object per series and exact counts",
    { faults: Arbitrary.array(Arbitrary.schema(fault), { minLength: 10, maxLength: 60 }) },
    ({ faults }) =>
      Effect.gen(function* () {
        const cluster = yield* makeServer
        const late: Array<KubernetesRequest> = []
        let index = 0
        // Faults without end would only show that nothing is ever given up.
        const next = () => (index < 200 ? faults[index++ % faults.length] : "none")
        cluster.delay = Effect.yieldNow
        cluster.before = (request) => {
          if (late.includes(request)) return undefined
          const found = next()
          if (found === "refused") return refused
          if (found !== "late") return undefined
          late.push(request)
          return failure(504, "Timeout", "late")
        }
        cluster.after = (_, response) => (next() === "lost" ? reset : response)
        const series = Array.from({ length: 5 }, (_, number) => write(number * 10 + 1))
        const deliver = Effect.gen(function* () {
          const service = yield* backend(cluster, { concurrency: 3 })
          for (let by = 0; by < 4; by++) {
            let left: ReadonlyArray<Write> = series.map((one) => (by === 0 ? one : bump(one, by)))
            for (let round = 0; round < 200 && left.length > 0; round++) {
              const outcomes = yield* service.write(left)
              left = left.filter((_, place) => outcomes[place]!._tag !== "Settled")
              // Now and then what was given up long ago arrives.
              const zombie = late.shift()
              if (zombie !== undefined) yield* Effect.ignore(cluster.service.request(zombie))
            }
            assert.deepStrictEqual(left, [])
          }
        })
        yield* Effect.all([deliver, deliver], { concurrency: "unbounded" })
        for (const zombie of late) yield* Effect.ignore(cluster.service.request(zombie))
        assert.strictEqual(cluster.objects.length, 5)
        assert.deepStrictEqual([...new Set(cluster.objects.map(({ count }) => count))], [4])
        // The count of an object never went down on the way.
        const last = new Map<string, number>()
        for (const { object } of yield* cluster.changes) {
          assert.isAtLeast(object["count"], last.get(object["metadata"].name) ?? 0)
          last.set(object["metadata"].name, object["count"])
        }
        assert.deepStrictEqual([...last.values()], [4, 4, 4, 4, 4])
      }),
    { arbitrary: { runs: 80, size: 60 }, timeout: 30_000 }
  )
})

it.effect("reads with an empty patch, so that no verb but create and patch is needed", () =>
  Effect.gen(function* () {
    const cluster = yield* makeServer
    cluster.before = (request) => (isRead(request) ? answer(503, "later") : undefined)
    const service = yield* backend(cluster)
    const first = write(1)
    yield* settle(service, first)
    assert.strictEqual((yield* settle(yield* backend(cluster), bump(first)))._tag, "Retry")
    assert.isTrue(cluster.requests.every(({ method }) => method === "POST" || method === "PATCH"))
  })
)

it.effect("the layer over a connection is a backend of mode kubernetes", () =>
  Effect.gen(function* () {
    const service = yield* Backend.Backend
    assert.strictEqual(service.mode, "kubernetes")
    const { target } = yield* KubernetesConnection.KubernetesConnection
    assert.deepStrictEqual(yield* service.target, yield* target)
  }).pipe(Effect.provide(Layer.provideMerge(KubernetesBackend.layerConnection(), ApiServer.layerConnection())))
)
