import { afterAll, assert, describe, it } from "@effect/vitest"
import * as Backend from "@tidings/core/Backend"
import type { Write } from "@tidings/core/Event"
import * as EventId from "@tidings/core/EventId"
import type { ObjectReference } from "@tidings/core/ObjectReference"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as KubernetesBackend from "@tidings/backend-k8s/KubernetesBackend"
import * as KubernetesConnection from "@tidings/backend-k8s/KubernetesConnection"
import { body } from "../../packages/backend-k8s/test/writes.ts"
import * as TestCluster from "./TestCluster.ts"

const cluster = await TestCluster.start()
afterAll(() => cluster[Symbol.asyncDispose]())
const [, namespace, otherNamespace] = cluster.namespaces

const origin = await Effect.runPromise(EventId.makeOrigin)
let seq = 0

const series = (involvedObject: ObjectReference): Write => {
  const at = Date.now() * 1_000
  seq++
  const event = body({ involvedObject, data: {}, reason: `Tried${seq}` })
  return { id: { origin, seq }, upTo: seq, count: 1, first: at, last: at, event }
}

const grown = (one: Write, by: number): Write => ({
  ...one,
  upTo: one.upTo + by,
  count: one.count + by,
  last: one.last + by * 1_000
})

const settle = (one: Write) =>
  Effect.map(
    Backend.Backend.use((backend) => backend.write([one])),
    ([outcome]) => assert.strictEqual(outcome!._tag, "Settled", JSON.stringify(outcome))
  )

const configMaps = (within: string) => `/api/v1/namespaces/${within}/configmaps`

const make = (name: string, within = namespace) =>
  Effect.promise(async () => {
    const response = await cluster.request({
      method: "POST",
      path: configMaps(within),
      body: JSON.stringify({ apiVersion: "v1", kind: "ConfigMap", metadata: { name } })
    })
    assert.strictEqual(response.status, 201)
    return (JSON.parse(response.body!) as { readonly metadata: { readonly uid: string } }).metadata.uid
  })

const remove = (name: string) =>
  Effect.promise(() => cluster.request({ method: "DELETE", path: `${configMaps(namespace)}/${name}` }))

interface Stored {
  readonly metadata: { readonly annotations?: object }
  readonly count: number
  readonly reason: string
  readonly involvedObject: ObjectReference
}

const stored = (reason: string, within = namespace) =>
  Effect.promise(async () => {
    const path = `/api/v1/namespaces/${within}/events?fieldSelector=reason%3D${reason}`
    const { body: text } = await cluster.request({ method: "GET", path })
    return (JSON.parse(text!) as { readonly items: ReadonlyArray<Stored> }).items
  })

const kubectl = (...args: ReadonlyArray<string>) =>
  Effect.promise(async () => (cluster.own === undefined ? undefined : (await cluster.own.kubectl(args)).stdout))

describe("an object that is deleted and made anew under its name", () => {
  it.live(
    "has its new uid in what is recorded within ten seconds, and an event of its own",
    () =>
      Effect.gen(function* () {
        const first = yield* make("anew")
        const one = series({ kind: "ConfigMap", name: "anew", namespace })
        yield* settle(one)
        yield* settle(grown(one, 1))
        yield* remove("anew")
        const second = yield* make("anew")
        yield* Effect.sleep("9 seconds")
        yield* settle(grown(one, 4))
        yield* settle(grown(one, 4))
        yield* settle(grown(one, 5))
        const events = yield* stored(one.event.reason)
        const counts = Object.fromEntries(events.map(({ count, involvedObject }) => [involvedObject.uid, count]))
        assert.deepStrictEqual(counts, { [first]: 2, [second]: 4 })
        const described = yield* kubectl("-n", namespace, "describe", "configmap", "anew")
        if (described !== undefined) {
          assert.match(described, new RegExp(`${one.event.reason}\\s+\\d+s \\(x4 over`))
          assert.lengthOf(
            described.split("\n").filter((line) => line.includes(one.event.reason)),
            1
          )
        }
      }).pipe(Effect.provide(cluster.layer("user"))),
    30_000
  )
})

describe("the apiVersion of an involved object", () => {
  it.live("is filled in also where the uid is given, so that kubectl events --for finds the event", () =>
    Effect.gen(function* () {
      const uid = yield* make("given")
      const one = series({ kind: "ConfigMap", name: "given", namespace, uid })
      yield* settle(one)
      const [event] = yield* stored(one.event.reason)
      assert.deepInclude(event!.involvedObject, { apiVersion: "v1", uid })
      const shown = yield* kubectl("-n", namespace, "events", "--for", "configmap/given")
      if (shown !== undefined) assert.include(shown, one.event.reason)
    }).pipe(Effect.provide(cluster.layer("user")))
  )
})

describe("events about many objects that were not asked for before", () => {
  const count = 400

  it.live(
    "cost at most 1.2 requests each where the objects may be listed, and all have their uid",
    () =>
      Effect.gen(function* () {
        const uids = new Map<string, string>()
        yield* Effect.forEach(
          Array.from({ length: count }, (_, index) => `many-${index}`),
          (name) => Effect.map(make(name, otherNamespace), (uid) => uids.set(name, uid)),
          { concurrency: 16 }
        )
        const asked: Array<string> = []
        const counted = Layer.effect(
          KubernetesConnection.KubernetesConnection,
          Effect.map(KubernetesConnection.make(cluster.connectionOptions("admin")), (connection) =>
            KubernetesConnection.KubernetesConnection.of({
              ...connection,
              request: (request) => {
                asked.push(`${request.method} ${request.path}`)
                return connection.request(request)
              }
            })
          )
        )
        const writes = Array.from({ length: count }, (_, index) => ({
          ...series({ kind: "ConfigMap", name: `many-${index}`, namespace: otherNamespace })
        })).map((one) => ({ ...one, event: { ...one.event, reason: "Many" } }))
        yield* Effect.gen(function* () {
          const backend = yield* Backend.Backend
          for (let from = 0; from < count; from += 64) {
            const outcomes = yield* backend.write(writes.slice(from, from + 64))
            assert.isTrue(outcomes.every(({ _tag }) => _tag === "Settled"))
          }
        }).pipe(Effect.provide(Layer.provide(KubernetesBackend.layerConnection(), counted)))
        assert.isAtMost(asked.length, 1.2 * count, asked.filter((one) => one.startsWith("GET")).join("\n"))
        const events = yield* stored("Many", otherNamespace)
        assert.lengthOf(events, count)
        for (const { involvedObject } of events) {
          assert.strictEqual(involvedObject.apiVersion, "v1")
          assert.strictEqual(involvedObject.uid, uids.get(involvedObject.name))
        }
      }),
    60_000
  )
})

if (cluster.own !== undefined) {
  const { apply } = cluster.own

  describe("a policy that removes our annotations", () => {
    it.live("is reported as such, and stored events are not written again", () =>
      Effect.gen(function* () {
        const apiVersion = "admissionregistration.k8s.io/v1"
        yield* Effect.promise(() =>
          apply([
            {
              apiVersion,
              kind: "MutatingAdmissionPolicy",
              metadata: { name: "strips" },
              spec: {
                failurePolicy: "Fail",
                reinvocationPolicy: "Never",
                matchConstraints: {
                  resourceRules: [
                    { apiGroups: [""], apiVersions: ["v1"], resources: ["events"], operations: ["CREATE", "UPDATE"] }
                  ]
                },
                matchConditions: [{ name: "has", expression: "has(object.metadata.annotations)" }],
                mutations: [
                  {
                    patchType: "JSONPatch",
                    jsonPatch: { expression: "[JSONPatch{op: 'remove', path: '/metadata/annotations'}]" }
                  }
                ]
              }
            },
            {
              apiVersion,
              kind: "MutatingAdmissionPolicyBinding",
              metadata: { name: "strips" },
              spec: { policyName: "strips" }
            }
          ])
        )
        const isStripped = Effect.gen(function* () {
          const one = series({ apiVersion: "v1", kind: "ConfigMap", name: "stripped", namespace })
          yield* settle(one)
          const [event] = yield* stored(one.event.reason)
          return event!.metadata.annotations
        })
        while ((yield* isStripped) !== undefined) yield* Effect.sleep("200 millis")

        const one = series({ apiVersion: "v1", kind: "ConfigMap", name: "stripped", namespace })
        yield* settle(one)
        yield* settle(grown(one, 2))
        const later = Context.get(yield* Layer.build(cluster.layer("user")), Backend.Backend)
        assert.deepStrictEqual(yield* later.write([grown(one, 2)]), [Backend.present])
        const [outcome] = yield* later.write([grown(one, 3)])
        assert.isTrue(outcome!._tag === "Rejected" && outcome!.reason.startsWith("annotations-stripped:"))
        const events = yield* stored(one.event.reason)
        assert.deepStrictEqual(
          events.map(({ count }) => count),
          [3]
        )
      }).pipe(Effect.provide(cluster.layer("user")))
    )
  })
}
