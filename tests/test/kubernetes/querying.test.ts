import { assert, describe, it } from "@effect/vitest"
import type * as Backend from "@tidings/core/Backend"
import type { EventQuery, PageToken } from "@tidings/core/EventQuery"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Stream from "effect/Stream"
import { TestClock } from "effect/testing"
import * as KubernetesBackend from "@tidings/backend-k8s/KubernetesBackend"
import * as selection from "../../../packages/backend-k8s/src/internal/selection.ts"
import { failure } from "../../../packages/backend-k8s/test/answers.ts"
import { type InterceptedServer, makeServer, reset } from "./InterceptedServer.ts"
import { write } from "../../../packages/backend-k8s/test/writes.ts"

const make = Effect.fnUntraced(function* (options?: KubernetesBackend.Options) {
  const cluster = yield* makeServer
  const backend = yield* KubernetesBackend.make({ pageSize: 3, ...options }).pipe(Effect.provide(cluster.layer))
  return { cluster, backend }
})

const SECOND = 1_000_000

/** `count` series, each a second later than the one before. */
const fill = (backend: Backend.Service, count: number) =>
  Effect.forEach(
    Array.from({ length: count }, (_, index) => write(index + 1, { last: 1_700_000_000_000_000 + index * SECOND })),
    (one) => backend.write([one])
  )

const seqs = (events: ReadonlyArray<{ readonly id: { readonly seq: number } }>) => events.map(({ id }) => id.seq)

const lists = (cluster: InterceptedServer) =>
  cluster.requests.filter(({ method, path }) => method === "GET" && path.includes("events"))

describe("a query", () => {
  it.effect("reads page by page, newest first, and counts all", () =>
    Effect.gen(function* () {
      const { backend, cluster } = yield* make()
      yield* fill(backend, 8)
      const page = yield* backend.query({ limit: 3 })
      assert.deepStrictEqual(seqs(page.events), [8, 7, 6])
      assert.strictEqual(page.totalCount, 8)
      assert.strictEqual(lists(cluster).length, 3)
      const second = yield* backend.query({ limit: 3, page: page.next! })
      assert.deepStrictEqual(seqs(second.events), [5, 4, 3])
      const third = yield* backend.query({ limit: 3, page: second.next! })
      assert.deepStrictEqual(seqs(third.events), [2, 1])
      assert.isUndefined(third.next)
      assert.strictEqual(third.totalCount, 8)
    })
  )

  it.effect("and a watch whose connection breaks say nothing of writing", () =>
    Effect.gen(function* () {
      const { backend, cluster } = yield* make()
      cluster.before = () => reset
      for (const reading of [backend.query({}), Stream.runDrain(backend.watch({}, "beginning"))]) {
        const fiber = yield* Effect.forkChild(Effect.flip(reading))
        yield* TestClock.adjust("1 minute")
        assert.strictEqual((yield* Fiber.join(fiber)).message, "temporary failure: read ECONNRESET")
      }
    })
  )

  it.effect("starts again when the list expires between pages, and misses nothing", () =>
    Effect.gen(function* () {
      const { backend, cluster } = yield* make()
      yield* fill(backend, 8)
      let pages = 0
      cluster.after = (request, response) => {
        if (request.method === "GET" && ++pages === 2) {
          // Between two pages a change, and history is gone.
          cluster.remove("web.0123456789abcdef.1")
          cluster.compact()
        }
        return response
      }
      const page = yield* backend.query({})
      assert.deepStrictEqual(seqs(page.events), [8, 7, 6, 5, 4, 3, 2])
      assert.strictEqual(page.totalCount, 7)
    })
  )

  it.effect("lists without pages when lists keep expiring", () =>
    Effect.gen(function* () {
      const { backend, cluster } = yield* make()
      yield* fill(backend, 8)
      cluster.before = ({ path }) => (path.includes("continue=") ? failure(410, "Expired", "too old") : undefined)
      assert.strictEqual((yield* backend.query({})).totalCount, 8)
      assert.isFalse(lists(cluster).at(-1)!.path.includes("limit="))
      cluster.before = ({ method, path }) =>
        method === "GET" && path.includes("events") ? failure(410, "Expired", "too old") : undefined
      const error = yield* Effect.flip(backend.query({}))
      assert.strictEqual(error.reason._tag, "Transient")
    })
  )

  it.effect("sends the selectable part of its filter to the server, and applies the rest itself", () =>
    Effect.gen(function* () {
      const { backend, cluster } = yield* make()
      yield* fill(backend, 4)
      const query: EventQuery = {
        resourceType: "ConfigMap",
        resourceName: "web",
        namespace: "default",
        objectNamespace: "default",
        apiGroup: "",
        eventType: "Normal",
        reason: "Started",
        source: "example",
        since: 1_700_000_000_000_000 + SECOND,
        until: 1_700_000_000_000_000 + 2 * SECOND
      }
      assert.deepStrictEqual(seqs((yield* backend.query(query)).events), [3, 2])
      const path = decodeURIComponent(lists(cluster)[0]!.path)
      assert.include(path, "/api/v1/namespaces/default/events?")
      assert.include(
        path,
        "fieldSelector=involvedObject.kind=ConfigMap,involvedObject.name=web,involvedObject.namespace=default,reason=Started,source=example,type=Normal"
      )
      assert.strictEqual((yield* backend.query({ ...query, eventType: "Warning" })).totalCount, 0)
    })
  )

  describe("for one event by its name", () => {
    const name = "web.0123456789abcdef.2"
    const forbidden = failure(403, "Forbidden", "events is forbidden")

    it.effect("is one request for that object, whether it is there or not", () =>
      Effect.gen(function* () {
        const { backend, cluster } = yield* make()
        yield* fill(backend, 8)
        const page = yield* backend.query({ name, namespace: "default" })
        assert.deepStrictEqual(seqs(page.events), [2])
        assert.strictEqual(page.totalCount, 1)
        const missing = yield* backend.query({ name: "node-a.17", namespace: "default", limit: 1 })
        assert.deepStrictEqual([missing.events, missing.totalCount, missing.next], [[], 0, undefined])
        assert.deepStrictEqual(
          lists(cluster).map(({ path }) => path),
          [`/api/v1/namespaces/default/events/${name}`, "/api/v1/namespaces/default/events/node-a.17"]
        )
        // All else that is asked for holds too.
        assert.strictEqual((yield* backend.query({ name, namespace: "default", reason: "Other" })).totalCount, 0)
      })
    )

    it.effect("is one list of those of that name in all namespaces", () =>
      Effect.gen(function* () {
        const { backend, cluster } = yield* make()
        yield* fill(backend, 8)
        assert.deepStrictEqual(seqs((yield* backend.query({ name })).events), [2])
        assert.deepStrictEqual(
          lists(cluster).map(({ path }) => decodeURIComponent(path)),
          [`/api/v1/events?fieldSelector=metadata.name=${name}&limit=3`]
        )
      })
    )

    it.effect("lists where get is forbidden and list is allowed, else names the missing permission", () =>
      Effect.gen(function* () {
        const { backend, cluster } = yield* make()
        yield* fill(backend, 8)
        cluster.before = ({ method, path }) => (method === "GET" && path.endsWith(name) ? forbidden : undefined)
        assert.deepStrictEqual(seqs((yield* backend.query({ name, namespace: "default" })).events), [2])
        cluster.before = ({ method, path }) => (method === "GET" && path.includes("events") ? forbidden : undefined)
        const error = yield* Effect.flip(backend.query({ name, namespace: "default" }))
        assert.strictEqual(error.reason._tag, "Unauthorized")
        assert.match(error.message, /\bget\b/)
      })
    )

    it.effect("never puts text into a path that would lead to another resource", () =>
      Effect.gen(function* () {
        const { backend, cluster } = yield* make()
        for (const odd of ["../secrets", "a/b", "..", "a%2fb", ""]) {
          assert.strictEqual((yield* backend.query({ name: odd, namespace: "default" })).totalCount, 0, odd)
        }
        for (const { path } of lists(cluster)) assert.match(path, /^\/api\/v1\/namespaces\/default\/events\?/)
      })
    )

    it.effect("fails where a gateway answers in place of the server", () =>
      Effect.gen(function* () {
        const { backend, cluster } = yield* make()
        const page = { status: 404, headers: { "content-type": "text/html" }, body: "<html>not here</html>" }
        cluster.before = ({ path }) => (path.endsWith(name) ? page : undefined)
        const error = yield* Effect.flip(backend.query({ name, namespace: "default" }))
        assert.strictEqual(error.reason._tag, "Transient")
        cluster.before = ({ path }) => (path.endsWith(name) ? { ...page, status: 200 } : undefined)
        assert.strictEqual((yield* Effect.flip(backend.query({ name, namespace: "default" }))).reason._tag, "Transient")
      })
    )
  })

  it.effect("searches the namespace of the event, whatever the namespace of its object", () =>
    Effect.gen(function* () {
      const { backend, cluster } = yield* make()
      cluster.put("node-a.17", { involvedObject: { kind: "Node", name: "node-a" }, type: "Normal", reason: "Up" })
      // Only with an eventTime may it be there.
      const recorded = {
        eventTime: "2026-01-01T00:00:00.000000Z",
        reportingComponent: "node-controller",
        reportingInstance: "node-controller-0",
        action: "Start",
        reason: "Up"
      }
      cluster.put(
        "node-a.18",
        { involvedObject: { kind: "Node", name: "node-a" }, type: "Normal", ...recorded },
        "kube-system"
      )
      const names = (query: EventQuery) =>
        Effect.map(backend.query(query), ({ events }) => events.map(({ name }) => name))
      assert.deepStrictEqual(yield* names({ namespace: "default", resourceType: "Node" }), ["node-a.17"])
      assert.deepStrictEqual(yield* names({ namespace: "kube-system" }), ["node-a.18"])
      assert.lengthOf(yield* names({ objectNamespace: "" }), 2)
      assert.deepStrictEqual(yield* names({ objectNamespace: "default" }), [])
      assert.lengthOf(yield* names({ apiGroup: "" }), 2)
      assert.deepStrictEqual(yield* names({ namespace: "No namespace/at all" }), [])
    })
  )

  it.effect("returns an event that exists in two namespaces once, with the higher count", () =>
    Effect.gen(function* () {
      const { backend, cluster } = yield* make()
      yield* fill(backend, 2)
      const original = cluster.object("web.0123456789abcdef.1")!
      cluster.put(
        "web.0123456789abcdef.1",
        {
          ...original,
          metadata: {
            ...original["metadata"],
            annotations: { ...original["metadata"].annotations, "tidings.dev/seq": "9" }
          }
        },
        "other"
      )
      const page = yield* backend.query({})
      assert.isUndefined((yield* backend.query({ limit: 2 })).next)
      assert.strictEqual(page.totalCount, 2)
      assert.deepStrictEqual(page.events.map(({ upTo }) => upTo).sort(), [2, 9])
    })
  )

  it.effect("returns events of every writer", () =>
    Effect.gen(function* () {
      const { backend, cluster } = yield* make()
      yield* fill(backend, 1)
      cluster.put("foreign", {
        involvedObject: { kind: "Pod", name: "p" },
        reason: "Pulled",
        type: "Normal",
        lastTimestamp: "2026-01-01T00:00:00Z"
      })
      const page = yield* backend.query({})
      assert.deepStrictEqual(
        page.events.map(({ event }) => event.reason),
        ["Pulled", "Started"]
      )
      assert.strictEqual(page.events[0]!.id.origin, "uid-of-foreign")
    })
  )

  it.effect("refuses page tokens of other queries and malformed positions", () =>
    Effect.gen(function* () {
      const { backend } = yield* make()
      yield* fill(backend, 4)
      const { cursor, next } = yield* backend.query({ limit: 1 })
      for (const query of [
        { limit: 1, page: next!, reason: "Started" },
        { limit: 1, page: "nonsense" as PageToken },
        { limit: 1, page: cursor as string as PageToken }
      ]) {
        assert.strictEqual((yield* Effect.flip(backend.query(query))).reason._tag, "CursorMismatch")
      }
    })
  )

  it.effect("fails with the missing permission when it is refused, and as transient when the response breaks off", () =>
    Effect.gen(function* () {
      const { backend, cluster } = yield* make()
      cluster.before = ({ path }) =>
        path.includes("events") ? failure(403, "Forbidden", 'User "u" cannot list') : undefined
      const refusal = yield* Effect.flip(backend.query({ namespace: "shop" }))
      assert.strictEqual(refusal.reason._tag, "Unauthorized")
      assert.include(refusal.message, 'verbs: ["list", "watch"]} to a Role in namespace shop')
      cluster.before = () => ({ status: 200, headers: {}, body: undefined })
      assert.strictEqual((yield* Effect.flip(backend.query({}))).reason._tag, "Transient")
    })
  )
})

describe("an answer of success that is no list of events", () => {
  const list = (more: object): string =>
    JSON.stringify({ kind: "EventList", apiVersion: "v1", metadata: { resourceVersion: "7" }, items: [], ...more })
  const strange: ReadonlyArray<readonly [name: string, body: string]> = [
    ["a page of HTML", "<!doctype html><title>Sign in</title>"],
    ["nothing", ""],
    ["null", "null"],
    ["an array", "[]"],
    ["an empty object", "{}"],
    ["a Status", JSON.stringify({ kind: "Status", apiVersion: "v1", status: "Success", code: 200 })],
    ["a list of another kind", list({ kind: "PodList" })],
    ["a list of another version", list({ apiVersion: "events.k8s.io/v1" })],
    ["a list without items", list({ items: undefined })],
    ["a list whose items are none", list({ items: {} })],
    ["a list without a resourceVersion", list({ metadata: {} })],
    ["a list with an empty resourceVersion", list({ metadata: { resourceVersion: "" } })],
    ["a list with an item that is no event", list({ items: [{}] })],
    ["half a list", list({}).slice(0, -10)]
  ]
  for (const [name, body] of strange) {
    it.effect(`(${name}) is never taken for no events, and what answered is said`, () =>
      Effect.gen(function* () {
        const { backend, cluster } = yield* make()
        yield* fill(backend, 8)
        for (const isStrange of [() => true, (path: string) => path.includes("continue=")]) {
          cluster.before = ({ method, path }) =>
            method === "GET" && path.includes("events") && isStrange(path)
              ? { status: 200, headers: { "content-type": "text/html" }, body }
              : undefined
          const error = yield* Effect.flip(backend.query({}))
          assert.strictEqual(error.reason._tag, "Transient")
          assert.include(error.message, "HTTP 200 text/html")
        }
      })
    )
  }

  it.effect("differs from an empty list, which Go may write as null", () =>
    Effect.gen(function* () {
      const { backend, cluster } = yield* make()
      cluster.before = () => ({ status: 200, headers: {}, body: list({ items: null }) })
      assert.deepInclude(yield* backend.query({}), { events: [], totalCount: 0 })
    })
  )

  for (const status of [301, 302, 307, 308, 403, 404, 410]) {
    it.effect(`(${status} with a page) says nothing of rights, of the API, or of history`, () =>
      Effect.gen(function* () {
        const { backend, cluster } = yield* make()
        cluster.before = () => ({ status, headers: { location: "https://login" }, body: "<html>Moved</html>" })
        const error = yield* Effect.flip(backend.query({}))
        assert.strictEqual(error.reason._tag, "Transient")
        assert.include(error.message, `HTTP ${status} to https://login`)
      })
    )
  }
})

describe("the part of a filter for the server", () => {
  it("escapes what would end a value", () => {
    assert.strictEqual(
      selection.fieldSelectorOf({ resourceName: "a,b=c\\d", reason: "" }),
      "involvedObject.name=a\\,b\\=c\\\\d,reason="
    )
  })

  it("never leaves the collection, whatever the namespace is called", () => {
    for (const namespace of ["..", "../nodes", "a/b", "", "A"]) {
      assert.deepStrictEqual(selection.collectionOf({ namespace }), {
        path: "/api/v1/namespaces/default/events",
        namespace: "default"
      })
    }
    assert.strictEqual(selection.collectionOf({}).path, "/api/v1/events")
  })
})
