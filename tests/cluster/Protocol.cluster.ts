import { afterAll, assert, describe, it } from "@effect/vitest"
import * as Backend from "@tidings/core/Backend"
import type { EventBody, Write } from "@tidings/core/Event"
import * as EventId from "@tidings/core/EventId"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as References from "effect/References"
import type { KubernetesRequest } from "@tidings/backend-k8s/KubernetesConnection"
import * as KubernetesBackend from "@tidings/backend-k8s/KubernetesBackend"
import * as KubernetesConnection from "@tidings/backend-k8s/KubernetesConnection"
import * as KubernetesEvent from "@tidings/backend-k8s/KubernetesEvent"
import { body } from "../../packages/backend-k8s/test/writes.ts"
import * as TestCluster from "./TestCluster.ts"

const cluster = await TestCluster.start()
afterAll(() => cluster[Symbol.asyncDispose]())
const [, namespace, otherNamespace] = cluster.namespaces

const origin = await Effect.runPromise(EventId.makeOrigin)
let seq = 0
const now = () => Date.now() * 1_000

const series = (event: Partial<EventBody> = {}, over: Partial<Write> = {}): Write => {
  const at = now()
  seq++
  return {
    id: { origin, seq },
    upTo: seq,
    count: 1,
    first: at + 123,
    last: at + 456,
    event: body({
      involvedObject: { apiVersion: "v1", kind: "ConfigMap", name: "web", namespace },
      data: {},
      ...event
    }),
    ...over
  }
}

const grown = (one: Write, by: number): Write => ({
  ...one,
  upTo: one.upTo + by,
  count: one.count + by,
  last: one.last + by * 1_000_000
})

const write = (...writes: ReadonlyArray<Write>) => Backend.Backend.use((backend) => backend.write(writes))
const writeOne = (one: Write) => Effect.map(write(one), ([outcome]) => outcome!)

const as = (user: TestCluster.User, options?: KubernetesBackend.LayerOptions) =>
  Effect.provide(Layer.merge(cluster.layer(user, options), Layer.succeed(References.MinimumLogLevel, "Error")))

const admin = (method: KubernetesRequest["method"], path: string, content?: unknown) =>
  Effect.promise(() =>
    cluster.request({ method, path, ...(content === undefined ? undefined : { body: JSON.stringify(content) }) })
  )

const pathOf = (one: Write) =>
  `/api/v1/namespaces/${KubernetesEvent.namespaceOf(one.event.involvedObject)}/events/${KubernetesEvent.nameOf(one)}`

const stored = (one: Write) => Effect.map(admin("GET", pathOf(one)), ({ body }) => JSON.parse(body ?? "null"))

const makeNamespace = (name: string) =>
  admin("POST", "/api/v1/namespaces", { apiVersion: "v1", kind: "Namespace", metadata: { name } })

describe("a writer who may only create and patch", () => {
  it.live("creates, repeats, raises the count, and meets what an earlier process wrote", () =>
    Effect.gen(function* () {
      const one = series()
      const first = Effect.gen(function* () {
        assert.deepStrictEqual(yield* writeOne(one), Backend.created)
        assert.deepStrictEqual(yield* writeOne(one), Backend.present)
        assert.deepStrictEqual(yield* writeOne(grown(one, 4)), Backend.updated)
        assert.deepStrictEqual(yield* writeOne(grown(one, 4)), Backend.present)
        assert.deepStrictEqual(yield* writeOne(one), Backend.present)
      })
      yield* first.pipe(as("writer"))
      const second = Effect.gen(function* () {
        assert.deepStrictEqual(yield* writeOne(grown(one, 2)), Backend.present)
        assert.deepStrictEqual(yield* writeOne(grown(one, 6)), Backend.updated)
        assert.deepStrictEqual(yield* writeOne(grown(one, 7)), Backend.updated)
      })
      yield* second.pipe(as("writer"))
      assert.strictEqual((yield* stored(one)).count, 8)
    })
  )

  it.live("creates again what was deleted, with the whole count", () =>
    Effect.gen(function* () {
      const one = series()
      yield* writeOne(one)
      yield* admin("DELETE", pathOf(one))
      assert.deepStrictEqual(yield* writeOne(grown(one, 2)), Backend.created)
      assert.strictEqual((yield* stored(one)).count, 3)
    }).pipe(as("writer"))
  )

  it.live("succeeds when another client edits the same event", () =>
    Effect.gen(function* () {
      const one = series()
      yield* writeOne(one)
      const { metadata } = yield* stored(one)
      const edited = yield* admin("PUT", pathOf(one), {
        ...(yield* stored(one)),
        metadata: { ...metadata, labels: { edited: "yes" } }
      })
      assert.strictEqual(edited.status, 200)
      assert.deepStrictEqual(yield* writeOne(grown(one, 1)), Backend.updated)
      const after = yield* stored(one)
      assert.strictEqual(after.count, 2)
      assert.deepStrictEqual(after.metadata.labels, { edited: "yes" })
    }).pipe(as("writer"))
  )

  it.live("writes about what is cluster-scoped into default", () =>
    Effect.gen(function* () {
      const one = series({ involvedObject: { apiVersion: "v1", kind: "Node", name: "worker-1" } })
      assert.deepStrictEqual(yield* writeOne(one), Backend.created)
      const { involvedObject, metadata } = yield* stored(one)
      assert.strictEqual(metadata.namespace, "default")
      assert.notProperty(involvedObject, "namespace")
    }).pipe(as("writer"))
  )

  it.live("writes about objects with any name, and events at and beyond every limit", () =>
    Effect.gen(function* () {
      const of = (name: string) => ({ apiVersion: "v1", kind: "ConfigMap", name, namespace })
      const events: ReadonlyArray<Partial<EventBody>> = [
        ...["UPPER.x", "a b", "system:node", "ä.1", ".a", "x".repeat(254), "..", "a/b", "%2e"].map((name) => ({
          involvedObject: of(name)
        })),
        { message: "ä".repeat(512) },
        { message: "ä".repeat(600) },
        { message: "" },
        { reason: "R".repeat(200), action: "A".repeat(200), reportingInstance: "i".repeat(200) },
        { action: "" },
        { reportingController: "Not a qualified name!" },
        { reportingController: "" },
        { reportingInstance: "" },
        { labels: { "bad key!": "x", "ok": "v".repeat(64) } },
        { data: { error: "e".repeat(2_000_000), arguments: { log: "ü".repeat(100_000) } } },
        { related: { kind: "Pod", name: "p", namespace: otherNamespace } }
      ]
      for (const event of events) {
        const one = series(event)
        assert.deepStrictEqual(yield* writeOne(one), Backend.created, JSON.stringify(event).slice(0, 100))
        assert.deepStrictEqual(yield* writeOne(grown(one, 1)), Backend.updated, JSON.stringify(event).slice(0, 100))
      }
    }).pipe(as("writer"))
  )

  it.live("raises the count of an event that no longer passes the checks of eventTime", () =>
    Effect.gen(function* () {
      const one = series()
      yield* writeOne(one)
      assert.isString((yield* stored(one)).eventTime)
      const odd = grown({ ...one, event: { ...one.event, reportingController: "Not a name!", action: "" } }, 1)
      assert.deepStrictEqual(yield* writeOne(odd), Backend.updated)
      assert.isNull((yield* stored(one)).eventTime)
      assert.deepStrictEqual(yield* writeOne(grown(one, 2)), Backend.updated)
      assert.isString((yield* stored(one)).eventTime)
    }).pipe(as("writer"))
  )

  it.live("is told to wait for a namespace that is not there, and goes on when it is", () =>
    Effect.gen(function* () {
      const name = `late-${seq}`
      const one = series({ involvedObject: { kind: "X", name: "x", namespace: name } })
      const outcome = yield* writeOne(one)
      assert.isTrue(outcome._tag === "Retry" && outcome.parkAfter === "1 minute")
      yield* makeNamespace(name)
      assert.deepStrictEqual(yield* writeOne(one), Backend.created)
      yield* admin("DELETE", `/api/v1/namespaces/${name}`)
    }).pipe(as("writer"))
  )

  it.live("cannot create in a namespace that is being deleted, and still raises counts there", () =>
    Effect.gen(function* () {
      const name = `ending-${seq}`
      yield* makeNamespace(name)
      const object = { kind: "X", name: "x", namespace: name }
      const old = series({ involvedObject: object })
      yield* writeOne(old)
      // Something in it keeps the namespace from going, also where a controller empties it.
      yield* admin("POST", `/api/v1/namespaces/${name}/configmaps`, {
        apiVersion: "v1",
        kind: "ConfigMap",
        metadata: { name: "held", finalizers: ["tidings.dev/test"] }
      })
      yield* admin("DELETE", `/api/v1/namespaces/${name}`)
      const outcome = yield* writeOne(series({ involvedObject: object }))
      assert.isTrue(
        outcome._tag === "Rejected" && outcome.reason.startsWith("namespace-terminating:"),
        JSON.stringify(outcome)
      )
      if (cluster.own !== undefined) assert.deepStrictEqual(yield* writeOne(grown(old, 1)), Backend.updated)
      yield* Effect.promise(() =>
        cluster.request({
          method: "PATCH",
          path: `/api/v1/namespaces/${name}/configmaps/held`,
          contentType: "application/merge-patch+json",
          body: '{"metadata":{"finalizers":null}}'
        })
      )
    }).pipe(as("writer"))
  )

  it.live("does not change an event of another writer", () =>
    Effect.gen(function* () {
      const one = series()
      const made = yield* admin("POST", `/api/v1/namespaces/${namespace}/events`, {
        metadata: { name: KubernetesEvent.nameOf(one) },
        involvedObject: one.event.involvedObject
      })
      assert.strictEqual(made.status, 201)
      const outcome = yield* writeOne(grown(one, 1))
      assert.isTrue(outcome._tag === "Rejected" && outcome.reason.startsWith("name-taken:"))
    }).pipe(as("writer"))
  )

  it.live("reads the same identity of the cluster each time", () =>
    Effect.gen(function* () {
      const target = Backend.Backend.use((backend) => backend.target)
      const first = yield* target.pipe(as("writer"))
      assert.deepStrictEqual(yield* target.pipe(as("writer")), first)
      assert.match(first.id, cluster.own === undefined ? /./ : /^server-[0-9a-f]{32}$/)
      // The name that the first release gave to it.
      assert.match(first.aliases.at(-1)!, /^authority-[0-9a-f]{32}$/)
    })
  )
})

if (cluster.own !== undefined) {
  describe("a user who may not", () => {
    it.live("write, or read, gets an error with the missing permission", () =>
      Effect.gen(function* () {
        const outcome = yield* writeOne(series()).pipe(as("nobody"))
        assert.isTrue(outcome._tag === "Retry" && outcome.error.reason._tag === "Unauthorized")
        assert.include(JSON.stringify(outcome), "create")
        const query = Backend.Backend.use((backend) => Effect.flip(backend.query({ namespace })))
        const error = yield* query.pipe(as("writer"))
        assert.strictEqual(error.reason._tag, "Unauthorized")
        assert.include(error.message, 'verbs: ["list", "watch"]')
        assert.include(error.message, "User writer")
      })
    )

    it.live("be authenticated, because the token is invalid, gets an error that says so", () =>
      Effect.gen(function* () {
        const config = JSON.stringify({
          "current-context": "c",
          clusters: [
            {
              name: "c",
              cluster: { server: cluster.own!.server, "certificate-authority": cluster.own!.certificateAuthority }
            }
          ],
          users: [{ name: "u", user: { token: "nonsense" } }],
          contexts: [{ name: "c", context: { cluster: "c", user: "u" } }]
        })
        const fs = yield* Effect.promise(() => import("node:fs/promises"))
        const file = `${cluster.own!.directory}/unknown-user`
        yield* Effect.promise(() => fs.writeFile(file, config))
        const outcome = yield* writeOne(series()).pipe(Effect.provide(KubernetesBackend.layer({ kubeconfig: file })))
        assert.isTrue(outcome._tag === "Retry" && outcome.error.reason._tag === "Unauthorized")
        assert.include(outcome._tag === "Retry" ? outcome.error.message : "", "does not accept the credentials")
      })
    )
  })
}

if (cluster.own !== undefined) {
  const kubectl = (...args: ReadonlyArray<string>) =>
    Effect.map(
      Effect.promise(() => cluster.own!.kubectl(args)),
      ({ code, stderr, stdout }) => {
        assert.strictEqual(code, 0, stderr)
        return stdout
      }
    )
  const minutesAgo = (minutes: number) => now() - minutes * 60_000_000

  describe("what kubectl shows", () => {
    it.live("of an object appears in describe, events --for and get events, with age, count and source", () =>
      Effect.gen(function* () {
        yield* admin("POST", `/api/v1/namespaces/${namespace}/configmaps`, { metadata: { name: "seen" } })
        const involvedObject = { apiVersion: "v1", kind: "ConfigMap", name: "seen", namespace }
        const single = series(
          { involvedObject, reason: "Single", message: "it happened once" },
          { first: minutesAgo(5), last: minutesAgo(5) }
        )
        const repeated = series(
          { involvedObject, reason: "Repeated", message: "it happens" },
          { first: minutesAgo(5), last: minutesAgo(5) }
        )
        yield* write(single, repeated)
        yield* writeOne({ ...grown(repeated, 6), last: minutesAgo(1) })

        const described = yield* kubectl("-n", namespace, "describe", "configmap", "seen")
        assert.match(described, /Normal\s+Single\s+5m\d*s?\s+example\s+it happened once/)
        assert.match(described, /Normal\s+Repeated\s+6\ds \(x7 over 5m\d*s?\)\s+example\s+it happens/)
        assert.isBelow(described.indexOf("Single"), described.indexOf("Repeated"))
        const events = yield* kubectl("-n", namespace, "events", "--for", "configmap/seen")
        assert.match(events, /6\ds \(x7 over 5m\d*s?\)\s+Normal\s+Repeated\s+ConfigMap\/seen\s+it happens/)
        assert.match(events, /5m\d*s?\s+Normal\s+Single\s+ConfigMap\/seen\s+it happened once/)
        const got = yield* kubectl("-n", namespace, "get", "events", "-o", "wide")
        assert.match(
          got,
          /6\ds\s+Normal\s+Repeated\s+configmap\/seen\s+example, example-0\s+it happens\s+5m\d*s?\s+7\s/
        )
      }).pipe(as("user"))
    )

    it.live("of a node, which has no namespace", () =>
      Effect.gen(function* () {
        yield* admin("POST", "/api/v1/nodes", { metadata: { name: "seen-node" } })
        yield* writeOne(
          series({ involvedObject: { apiVersion: "v1", kind: "Node", name: "seen-node" }, reason: "Rebooted" })
        )
        assert.match(yield* kubectl("describe", "node", "seen-node"), /Normal\s+Rebooted\s+\ds\s+example/)
      }).pipe(as("user"))
    )

    it.live("of an object that does not exist appears in get events", () =>
      Effect.gen(function* () {
        const involvedObject = { apiVersion: "example.dev/v1", kind: "ServiceInstance", name: "ghost", namespace }
        yield* writeOne(series({ involvedObject, reason: "Stopped" }))
        assert.match(yield* kubectl("-n", namespace, "get", "events"), /Stopped\s+serviceinstance\/ghost/)
      }).pipe(as("user"))
    )
  })
}

describe("events of other writers", () => {
  it.live("of both APIs are found, counted and shown beside ours", () =>
    Effect.gen(function* () {
      const name = `foreign-${seq}`
      const common = { metadata: { namespace: otherNamespace } }
      const regarding = { apiVersion: "v1", kind: "Pod", name, namespace: otherNamespace }
      const responses = [
        yield* admin("POST", `/api/v1/namespaces/${otherNamespace}/events`, {
          ...common,
          metadata: { name: `${name}.a` },
          involvedObject: regarding,
          reason: "BackOff",
          message: "core",
          type: "Warning",
          count: 7,
          source: { component: "kubelet", host: "worker-1" },
          firstTimestamp: "2026-01-01T10:00:00Z",
          lastTimestamp: "2026-01-01T10:05:00Z"
        }),
        yield* admin("POST", `/apis/events.k8s.io/v1/namespaces/${otherNamespace}/events`, {
          metadata: { name: `${name}.b` },
          regarding,
          reason: "Scheduled",
          action: "Binding",
          note: "newer",
          type: "Normal",
          eventTime: "2026-01-01T10:00:00.123456Z",
          series: { count: 9, lastObservedTime: "2026-01-01T10:06:40.000007Z" },
          reportingController: "default-scheduler",
          reportingInstance: "default-scheduler-0"
        })
      ]
      assert.deepStrictEqual(
        responses.map(({ status }) => status),
        [201, 201]
      )
      const page = yield* Backend.Backend.use((backend) =>
        backend.query({ resourceName: name, namespace: otherNamespace })
      )
      assert.deepStrictEqual(
        page.events.map(({ count, event, id }) => [
          event.reason,
          event.message,
          event.type,
          count,
          event.source.component,
          id.seq
        ]),
        [
          ["Scheduled", "newer", "Normal", 9, "default-scheduler", 0],
          ["BackOff", "core", "Warning", 7, "kubelet", 0]
        ]
      )
      assert.strictEqual(page.events[0]!.last, Date.UTC(2026, 0, 1, 10, 6, 40) * 1_000 + 7)
      const bySource = yield* Backend.Backend.use((backend) =>
        backend.query({ resourceName: name, namespace: otherNamespace, source: "default-scheduler" })
      )
      assert.strictEqual(bySource.totalCount, 1)
    }).pipe(as("user"))
  )

  it.live("are paged through with ours, by pages of the server that are smaller than the answer", () =>
    Effect.gen(function* () {
      const involvedObject = { apiVersion: "v1", kind: "ConfigMap", name: `paged-${seq}`, namespace }
      const all = Array.from({ length: 25 }, (_, index) =>
        series({ involvedObject }, { last: now() + index * 1_000_000 })
      )
      yield* write(...all)
      const filter = { resourceName: involvedObject.name, namespace }
      const backend = yield* Backend.Backend
      const seqs: Array<number> = []
      let page = yield* backend.query({ ...filter, limit: 7 })
      for (;;) {
        assert.strictEqual(page.totalCount, 25)
        seqs.push(...page.events.map(({ id }) => id.seq))
        if (page.next === undefined) break
        page = yield* backend.query({ ...filter, limit: 7, page: page.next })
      }
      assert.deepStrictEqual(seqs, all.map(({ id }) => id.seq).reverse())
    }).pipe(as("user", { pageSize: 4 }))
  )
})

it.live("a writer creates 200 events over two connections", () =>
  Effect.gen(function* () {
    const connection = yield* KubernetesConnection.make({ ...cluster.connectionOptions("user"), connections: 2 })
    const backend = yield* KubernetesBackend.make().pipe(
      Effect.provideService(KubernetesConnection.KubernetesConnection, connection)
    )
    const outcomes = yield* backend.write(Array.from({ length: 200 }, () => series()))
    assert.isTrue(outcomes.every((outcome) => outcome === Backend.created))
  })
)
