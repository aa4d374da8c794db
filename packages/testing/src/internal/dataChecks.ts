import { type EventBody, namespaceOf, type Write } from "@tidings/core/Event"
import type { Json } from "@tidings/core/EventData"
import * as Arbitrary from "effect/Arbitrary"
import * as Effect from "effect/Effect"
import * as Arbitraries from "../Arbitraries.ts"
import {
  check,
  type CheckDefinition,
  create,
  ensure,
  ensureEvent,
  ensureEvents,
  ensureQuery,
  ensureSame,
  ensureWatch,
  eventsOf,
  keyOf,
  propertyCheck,
  query,
  settle,
  update,
  watch,
  watchLive,
  type World
} from "./contractWorld.ts"

const encoder = new TextEncoder()

const texts: ReadonlyArray<string> = [
  "plain",
  "",
  " around ",
  "ünïcödé, 漢字かな, 👩‍👩‍👧‍👦, e\u0301",
  "\"quoted\" and 'quoted', back\\slash, /slash",
  "first\nsecond\r\nthird\ttabulator",
  "\u001b[31mred\u001b[0m \u001b]0;title\u0007 \u009b31m",
  "\u0000\u0001\u007f\u0080",
  "\u2028 and \u2029, \ufeff, \u202eright to left",
  "{{.Name}} {{ if .Error }}x{{ end }} ${HOME} %s",
  "</script>&amp;<!--",
  "null",
  "-1e9",
  "1m30.5s",
  '{"json":[1]}',
  "__proto__",
  "very long ".repeat(400)
]

const nested: Json = JSON.parse(
  `{"a":{"b":{"c":{"d":[1,[2,[3,[{"e":null}]]]]}}},"":"empty key","__proto__":{"polluted":true},"constructor":"c","a.b/c":"d","ключ":"🎉","line\\nbreak":"\\u0000"}`
) as Json

const values: Readonly<Record<string, ReadonlyArray<Json>>> = {
  operation: texts,
  serviceClass: texts,
  arguments: [
    {},
    { replicas: 3, ratio: 0.1, negative: -1.5, large: 1e300, tiny: 5e-324, safe: Number.MAX_SAFE_INTEGER },
    { yes: true, no: false, nothing: null, list: [1, "two", false, null, [], {}], text: "x" },
    nested,
    Object.fromEntries(texts.map((text) => [text.slice(0, 40), text]))
  ],
  error: texts,
  duration: [
    0,
    1,
    999,
    1_000,
    1_500_000,
    90_500_000_000,
    3_600_000_000_000,
    -1,
    -90_500_000_000,
    Number.MAX_SAFE_INTEGER
  ],
  stepCount: [0, 1, -1, 1_000_000, Number.MAX_SAFE_INTEGER, Number.MIN_SAFE_INTEGER],
  stepId: texts,
  stepTool: texts,
  conditionResult: texts,
  executionId: texts,
  toolNames: [
    [],
    ["one"],
    ["a, b", "", "a, b"],
    texts.slice(0, -1),
    Array.from({ length: 100 }, (_, index) => `tool-${index}`)
  ],
  allowFailure: [true, false]
}

/** Writes each of the events and compares it with what a query and a watch give back. */
const roundTrip = (world: World, bodies: ReadonlyArray<(write: Write) => Partial<EventBody>>) =>
  Effect.gen(function* () {
    const batch = yield* create(
      world,
      ...bodies.map((body) => {
        const write = world.series()
        return { ...write, event: { ...write.event, ...body(write) } }
      })
    )
    const page = yield* query(world, world.only)
    const byKey = new Map(page.events.map((event) => [keyOf(event), event]))
    for (const write of batch) yield* ensureEvent(write, byKey.get(keyOf(write)))
    const watcher = yield* watch(world, world.only, "beginning")
    const { seen } = yield* watcher.untilLive
    const watched = new Map(eventsOf(seen).map((event) => [keyOf(event), event]))
    for (const write of batch) yield* ensureEvent(write, watched.get(keyOf(write)))
  })

const fieldChecks: ReadonlyArray<CheckDefinition> = Object.entries(values).map(([field, all]) =>
  check(`data.${field} comes back as it was`, (world) =>
    roundTrip(
      world,
      all.map((value) => () => ({ data: { [field]: value } }))
    )
  )
)

/** @internal */
export const dataChecks: ReadonlyArray<CheckDefinition> = [
  check("data.name comes back as it was", (world) =>
    roundTrip(world, [({ event }) => ({ data: { name: event.involvedObject.name } })])
  ),

  check("data.namespace comes back as it was", (world) =>
    roundTrip(world, [({ event }) => ({ data: { namespace: event.involvedObject.namespace! } })])
  ),

  ...fieldChecks,

  check("data comes back with all fields at once, with fields of a host's own, and with none", (world) =>
    roundTrip(world, [
      ({ event }) => ({
        data: {
          name: event.involvedObject.name,
          namespace: event.involvedObject.namespace!,
          operation: "deploy",
          serviceClass: "postgres",
          arguments: { replicas: 3 },
          error: "connection refused",
          duration: 90_500_000_000,
          stepCount: 4,
          stepId: "build",
          stepTool: "docker_build",
          conditionResult: "false",
          executionId: "5f2c",
          toolNames: ["list", "get"],
          allowFailure: true
        }
      }),
      () => ({ data: { ticket: { number: 7, tags: ["urgent"] }, carrier: "post", weight: 1.5, fragile: false } }),
      () => ({ data: {} })
    ])
  ),

  check("a reference comes back with uid and fieldPath, and without them", (world) =>
    roundTrip(world, [
      ({ event }) => ({
        involvedObject: {
          ...event.involvedObject,
          uid: "0b6b6ed3-6a2b-4f3c-9d55-3f1a8f6f8a11",
          fieldPath: "spec.steps{build}"
        }
      }),
      ({ event: { involvedObject } }) => ({
        involvedObject: { kind: involvedObject.kind, name: involvedObject.name, namespace: involvedObject.namespace! }
      })
    ])
  ),

  check("a related object comes back", (world) =>
    roundTrip(world, [
      () => ({
        related: {
          apiVersion: "shop.example.com/v1",
          kind: "Order",
          name: world.nameOf("order"),
          namespace: world.context.namespaces[1],
          uid: "0b6b6ed3-6a2b-4f3c-9d55-3f1a8f6f8a12",
          fieldPath: "spec.items"
        }
      }),
      () => ({ related: { apiVersion: "v1", kind: "Node", name: world.nameOf("node") } })
    ])
  ),

  check("labels come back", (world) =>
    roundTrip(world, [
      () => ({ labels: { app: "shop" } }),
      () => ({
        labels: {
          "app.kubernetes.io/name": "shop",
          "example.com/Owner_1.x": "A_b-c.9",
          empty: "",
          constructor: "c",
          long: "x".repeat(63)
        }
      })
    ])
  ),

  check("source, reporting controller and reporting instance come back", (world) =>
    roundTrip(world, [
      () => ({ source: { component: world.source, host: "node-7.example.com" } }),
      () => ({ reportingController: "example.com/Controller_1.x", reportingInstance: "controller-7f9c-5xkzq" }),
      () => ({ reportingController: "controller", reportingInstance: "x".repeat(128) })
    ])
  ),

  check("reason, type, action and message come back, also at their longest", (world) =>
    roundTrip(world, [
      () => ({ reason: "X", type: "Warning", action: "A", message: "m" }),
      () => ({ reason: `L${"o".repeat(126)}g`, action: `L${"o".repeat(126)}g`, message: "x".repeat(1_024) }),
      () => ({ message: "ü".repeat(512) }),
      () => ({ message: "🎉".repeat(256) }),
      () => ({ message: "  \"quoted\" back\\slash 'single' `tick` <b>&amp; {{.Name}} $(id) %s 漢字 e\u0301  " }),
      () => ({ message: "[31mred[0m, -o yaml, --- and # and \\n and \\u001b" })
    ])
  ),

  check("times come back as exactly as the store is said to keep them", (world) =>
    Effect.gen(function* () {
      const batch = yield* create(world, ...[0, 1, 2, 999, 1_000, 1_001].map((tick) => world.series({ at: tick })))
      yield* ensureQuery(world, world.only, [...batch].reverse(), "the store")
      const [later] = yield* update(world, world.again(batch[0]!, 123_457))
      yield* ensureQuery(
        world,
        { ...world.only, since: later.last, until: later.last },
        [later],
        "the store at that time"
      )
    })
  ),

  check("an event about a cluster-scoped object is in a namespace of its own, and its object in none", (world) =>
    Effect.gen(function* () {
      const node = world.series({ kind: "Node", name: "node" })
      const other = world.series({ namespace: 0 })
      yield* create(world, node, other)
      const byName = { ...world.only, resourceType: "Node", resourceName: world.nameOf("node") }
      const page = yield* ensureQuery(world, byName, [node], "the query by kind and name")
      const found = page.events.find(world.isMine)!
      const { namespace } = found.event.involvedObject
      yield* ensure(namespace === undefined, () => `the node came back in the namespace ${namespace}`)
      const own = namespaceOf(found)
      yield* ensureQuery(world, { ...byName, namespace: own }, [node], `the query by its own namespace ${own}`)
      for (const namespace of world.context.namespaces) {
        const filter = { ...world.only, namespace, resourceType: "Node" }
        yield* ensureQuery(world, filter, namespace === own ? [node] : [], `the query by namespace ${namespace}`)
        const objects = { ...world.only, objectNamespace: namespace }
        const expected = namespace === world.context.namespaces[0] ? [other] : []
        yield* ensureQuery(world, objects, expected, `the query by the namespace ${namespace} of the object`)
      }
      for (const filter of [byName, { ...byName, namespace: own }]) {
        yield* ensureWatch(world, filter, "beginning", [node], "the watch by kind and name")
      }
      const watcher = yield* watchLive(world, { ...byName, namespace: own })
      const [later] = yield* update(world, world.again(node))
      yield* ensureEvents([later], eventsOf(yield* watcher.until(later)), "the watch by kind and name, later")
    })
  ),

  check("names of objects come back as people have them", (world) =>
    Effect.gen(function* () {
      const names = [
        "io.github.acme/search",
        "Weather (staging)",
        "50% off",
        "a:b",
        "system:node",
        "Ünï 漢字",
        "a, b=c"
      ]
      const batch = yield* create(
        world,
        ...names.map((name) => {
          const write = world.series()
          const involvedObject = { ...write.event.involvedObject, name: `${name} ${world.nameOf("x")}` }
          return { ...write, event: { ...write.event, involvedObject, data: { name: involvedObject.name } } }
        })
      )
      for (const one of batch) {
        const filter = { ...world.only, resourceName: one.event.involvedObject.name }
        const page = yield* ensureQuery(world, filter, [one], `the query by the name ${one.event.involvedObject.name}`)
        const { name } = page.events.find(world.isMine)!
        yield* ensure(
          /^[a-z0-9](?:[-a-z0-9.]*[a-z0-9])?$/.test(name) && name.length <= 253,
          () => `the event about ${one.event.involvedObject.name} is called ${name}, which no API server takes`
        )
        yield* update(world, world.again(one))
      }
    })
  ),

  check("a type that other writers made up is kept and filtered as what it is", (world) =>
    Effect.gen(function* () {
      const types = ["Error", "normal", "Ünï, x=y"]
      const batch = yield* create(world, ...types.map((type) => world.series({ body: { type } })))
      for (const one of batch) {
        const filter = { ...world.only, eventType: one.event.type }
        yield* ensureQuery(world, filter, [one], `the query by the type ${one.event.type}`)
        yield* ensureWatch(world, filter, "beginning", [one], `the watch by the type ${one.event.type}`)
      }
      yield* ensureQuery(world, { ...world.only, eventType: "Normal" }, [], "the query by the type Normal")
    })
  ),

  check("an event that was in another namespace than its object's is there again when it is copied", (world) =>
    Effect.gen(function* () {
      const [objectNamespace, namespace] = world.context.namespaces
      const one = { ...world.series({ namespace: 0 }), namespace }
      yield* create(world, one)
      const page = yield* ensureQuery(world, { ...world.only, namespace }, [one], "the query by its own namespace")
      yield* ensureSame(namespace, page.events.find(world.isMine)!.namespace, "its own namespace")
      const [later] = yield* update(world, world.again(one))
      yield* ensureQuery(world, { ...world.only, objectNamespace, namespace }, [later], "the query by both namespaces")
      const usual = { ...world.only, namespace: objectNamespace }
      yield* ensureQuery(world, usual, [], "the query by the namespace of the object")
    })
  ),

  check("the cluster of an event that is copied comes back, unless the store is a cluster itself", (world) =>
    Effect.gen(function* () {
      const own = world.series()
      const cluster = { id: `cluster-${world.origin}`, name: "production" }
      const copied = { ...world.series(), cluster }
      const nameless = { ...world.series(), cluster: { id: cluster.id } }
      yield* create(world, own, copied, nameless)
      const { events } = yield* query(world, world.only)
      const clusterOf = (write: Write) => events.find((event) => keyOf(event) === keyOf(write))?.cluster
      const isCluster = clusterOf(own) !== undefined
      yield* ensureSame(isCluster ? clusterOf(own) : cluster, clusterOf(copied), "the cluster of a copied event")
      if (isCluster) {
        const { id, name } = clusterOf(own)!
        for (const one of [id, [id, "another"], ...(name === undefined ? [] : [name])]) {
          const found = yield* query(world, { ...world.only, cluster: one })
          yield* ensureSame(events.length, found.totalCount, `totalCount with the cluster ${JSON.stringify(one)}`)
        }
      } else {
        yield* ensureSame(nameless.cluster, clusterOf(nameless), "a cluster without a name")
        const both = [nameless, copied]
        yield* ensureQuery(world, { ...world.only, cluster: cluster.id }, both, "the query by the id of a cluster")
        yield* ensureQuery(world, { ...world.only, cluster: "production" }, [copied], "the query by its name")
        yield* ensureQuery(world, { ...world.only, cluster: ["production", "other"] }, [copied], "the query by names")
      }
    })
  ),

  check("events of other writers enter under their uid, with their own count", (world) =>
    Effect.gen(function* () {
      const uidOf = (digit: string) =>
        `${digit}${world.origin.slice(1, 8)}-${world.origin.slice(8, 12)}-4000-8000-${world.origin.slice(12, 24)}`
      const [first, second] = ["1", "2"].map((digit, index) => {
        const origin = uidOf(digit)
        world.alsoMine.add(origin)
        return { ...world.series({ name: "foreign" }), id: { origin, seq: 0 }, upTo: 184_467_440_737 + index, count: 7 }
      }) as [Write, Write]
      yield* settle(world, [first, second], ["created", "created"])
      yield* settle(world, [first], ["present"])
      const later = { ...first, upTo: first.upTo + 1_000, count: 9, last: world.at(9_000) }
      yield* settle(world, [later, second], ["updated", "present"])
      yield* ensureQuery(world, world.only, [later, second], "the store")
    })
  ),

  propertyCheck(
    "events of any content come back as they were",
    ({ maximumData }) =>
      Arbitrary.filter(
        Arbitraries.write,
        ({ event }) => encoder.encode(JSON.stringify(event.data)).length <= maximumData
      ),
    (world, written) =>
      Effect.gen(function* () {
        const own = world.series({ kind: written.event.involvedObject.kind as "Workflow" | "Order" | "Node" })
        const { involvedObject } = own.event
        const { name, namespace, ...data } = written.event.data
        const one: Write = {
          ...own,
          upTo: own.id.seq + (written.upTo - written.id.seq),
          count: written.count,
          first: world.at(0),
          last: world.at(written.last - written.first),
          event: {
            ...written.event,
            involvedObject: {
              ...involvedObject,
              ...(written.event.involvedObject.uid === undefined
                ? undefined
                : { uid: written.event.involvedObject.uid })
            },
            source: { ...written.event.source, component: world.source },
            data: {
              ...data,
              ...(name === undefined ? undefined : { name: involvedObject.name }),
              ...(namespace === undefined || involvedObject.namespace === undefined
                ? undefined
                : { namespace: involvedObject.namespace })
            }
          }
        }
        yield* create(world, one)
        yield* ensureQuery(world, world.only, [one], "the store")
      })
  )
]
