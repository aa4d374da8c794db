import { assert, describe, it } from "@effect/vitest"
import type { Write } from "@tidings/core/Event"
import * as EventJson from "@tidings/core/EventJson"
import * as Arbitrary from "effect/Arbitrary"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as fs from "node:fs"
import * as path from "node:path"
import * as KubernetesEvent from "../src/KubernetesEvent.ts"
import { body, bump, origin, write } from "./writes.ts"

type Json = { [key: string]: any }

/** What the server makes of an object: seconds without fractions, absent what is empty, and its own fields. */
const stored = (object: unknown, version = "7"): Json => {
  const copy: Json = JSON.parse(JSON.stringify(object))
  return { ...copy, metadata: { ...copy["metadata"], uid: "the-uid", resourceVersion: version } }
}

const read = (object: unknown) => Result.getOrThrow(KubernetesEvent.fromResource(object))

const merged = (target: Json, patch: Json): Json => {
  const result: Json = { ...target }
  for (const [key, value] of Object.entries(patch)) {
    if (value === null) delete result[key]
    else if (typeof value === "object" && !Array.isArray(value)) result[key] = merged(result[key] ?? {}, value)
    else result[key] = value
  }
  return result
}

const bytes = (text: string) => Buffer.byteLength(text)

describe("the object of a write", () => {
  it("has the fields that kubectl reads, and the ones that the newer API requires", () => {
    const resource = KubernetesEvent.toResource(write(7, { upTo: 9, count: 3, last: 1_700_000_060_999_999 }))
    assert.deepStrictEqual(resource, {
      apiVersion: "v1",
      kind: "Event",
      metadata: {
        name: "web.0123456789abcdef.7",
        namespace: "default",
        annotations: {
          "tidings.dev/series": `${origin}.7`,
          "tidings.dev/seq": "9",
          "tidings.dev/times": "2023-11-14T22:13:20.123456Z/2023-11-14T22:14:20.999999Z"
        }
      },
      involvedObject: { apiVersion: "v1", kind: "ConfigMap", name: "web", namespace: "default", uid: "uid-of-web" },
      reason: "Started",
      message: "it was started",
      type: "Normal",
      action: "Start",
      reportingComponent: "example.dev/controller",
      reportingInstance: "example-0",
      eventTime: "2023-11-14T22:13:20.123456Z",
      firstTimestamp: "2023-11-14T22:13:20Z",
      lastTimestamp: "2023-11-14T22:14:20Z",
      count: 3,
      source: { component: "example" }
    })
  })

  it("goes to default where its object is cluster-scoped, and leaves the object's namespace empty", () => {
    const resource = KubernetesEvent.toResource(write(1, {}, { involvedObject: { kind: "Node", name: "worker-1" } }))
    assert.strictEqual(resource.metadata.namespace, "default")
    assert.isFalse("namespace" in resource.involvedObject)
  })

  it("has a name that both APIs take, whatever the object is called", () => {
    for (const name of ["UPPER.x", "a b", "system:node", "ä.1", ".a", "x".repeat(254), "..", "a/b"]) {
      const resource = KubernetesEvent.toResource(write(1, {}, { involvedObject: { kind: "X", name, namespace: "n" } }))
      assert.match(resource.metadata.name, /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/)
      assert.isAtMost(resource.metadata.name.length, 253)
      assert.strictEqual(resource.involvedObject.name, name)
    }
  })

  it("keeps the limits in bytes, cut between code points and marked", () => {
    const resource = KubernetesEvent.toResource(
      write(
        1,
        {},
        {
          message: "ä".repeat(600),
          reason: "R".repeat(200),
          action: "😀".repeat(40),
          reportingInstance: "i".repeat(129)
        }
      )
    )
    assert.strictEqual(resource.message, `${"ä".repeat(510)}…`)
    assert.strictEqual(resource.reason, `${"R".repeat(125)}…`)
    assert.strictEqual(resource.action, `${"😀".repeat(31)}…`)
    assert.strictEqual(bytes(resource.reportingInstance), 128)
    assert.strictEqual(KubernetesEvent.toResource(write(1, {}, { message: "ä".repeat(512) })).message, "ä".repeat(512))
  })

  it("goes without eventTime where the checks that come with it would refuse it", () => {
    for (const event of [
      { reportingController: "Not a qualified name" },
      { reportingController: "a/b/c" },
      { reportingController: "" },
      { reportingInstance: "" },
      { action: "" }
    ]) {
      const resource = KubernetesEvent.toResource(write(1, {}, event))
      assert.isFalse("eventTime" in resource, JSON.stringify(event))
      assert.strictEqual(resource.firstTimestamp, "2023-11-14T22:13:20Z")
    }
    assert.isTrue(
      "eventTime" in KubernetesEvent.toResource(write(1, {}, { reportingController: "example.dev/A_b.c-d" }))
    )
  })

  it("takes a uid and an apiVersion that were looked up, unless the event names its own", () => {
    const options = { uid: "found", apiVersion: "v1" }
    const without = write(1, {}, { involvedObject: { kind: "ConfigMap", name: "web", namespace: "default" } })
    assert.deepStrictEqual(KubernetesEvent.toResource(without, options).involvedObject, {
      kind: "ConfigMap",
      name: "web",
      namespace: "default",
      apiVersion: "v1",
      uid: "found"
    })
    assert.strictEqual(KubernetesEvent.toResource(write(1), options).involvedObject.uid, "uid-of-web")
  })

  it("leaves out labels that Kubernetes does not take, and keeps all of them in an annotation", () => {
    const labels = { "app.dev/ok": "yes", "bad key": "x", "long": "v".repeat(64), "empty": "" }
    const resource = KubernetesEvent.toResource(write(1, {}, { labels }))
    assert.deepStrictEqual(resource.metadata.labels, { "app.dev/ok": "yes", "empty": "" })
    assert.deepStrictEqual(read(stored(resource)).event.event.labels, labels)
    assert.isFalse(
      "tidings.dev/labels" in KubernetesEvent.toResource(write(1, {}, { labels: { a: "b" } })).metadata.annotations
    )
  })

  it("does without data and labels' annotation for a server that finds it too large", () => {
    const resource = KubernetesEvent.toResource(write(1, {}, { labels: { "bad key": "x" } }), { withoutData: true })
    assert.deepStrictEqual(Object.keys(resource.metadata.annotations).sort(), [
      "tidings.dev/data-cut",
      "tidings.dev/seq",
      "tidings.dev/series"
    ])
    assert.strictEqual(resource.metadata.annotations["tidings.dev/data-cut"], "*")
    assert.deepStrictEqual(read(stored(resource)).event.event.data, {})
  })
})

describe("what the object says already", () => {
  const back = (one: Write) => {
    const resource = KubernetesEvent.toResource(one)
    const stored = { ...resource, metadata: { ...resource.metadata, resourceVersion: "1", uid: "u" } }
    return {
      resource,
      event: Result.getOrThrow(KubernetesEvent.fromResource(JSON.parse(JSON.stringify(stored)))).event
    }
  }

  it("is not repeated in annotations, and comes back all the same", () => {
    for (const namespace of ["default", undefined]) {
      const involvedObject =
        namespace === undefined ? { kind: "Node", name: "n" } : { kind: "Pod", name: "n", namespace }
      const data = namespace === undefined ? { name: "n" } : { name: "n", namespace }
      const one = write(1, {}, { involvedObject, data })
      const { event, resource } = back(one)
      assert.deepStrictEqual(Object.keys(resource.metadata.annotations).sort(), [
        "tidings.dev/seq",
        "tidings.dev/series"
      ])
      assert.deepInclude(event, { first: one.first, last: one.last })
      assert.deepStrictEqual(event.event.data, data)
    }
  })

  it("is there where the object says something else", () => {
    for (const data of [{ name: "other" }, {}, { name: "web" }, { name: "web", namespace: "default", stepId: "a" }]) {
      assert.deepStrictEqual(back(write(1, {}, { data })).event.event.data, data)
    }
    const later = bump(write(1), 3)
    assert.deepInclude(back(later).event, { first: later.first, last: later.last })
  })
})

describe("the data annotation", () => {
  const annotation = (data: Json) => KubernetesEvent.toResource(write(1, {}, { data })).metadata.annotations

  it("holds durations as text, and an empty object when there is no data", () => {
    assert.strictEqual(annotation({ duration: 90_500_000_000 })["tidings.dev/data"], '{"duration":"1m30.5s"}')
    assert.strictEqual(annotation({})["tidings.dev/data"], "{}")
  })

  it("cuts the longest texts first and says which", () => {
    const data = {
      error: "e".repeat(70_000),
      operation: "o".repeat(2_000),
      arguments: { log: "l".repeat(30_000), id: 7 }
    }
    const { "tidings.dev/data": json, "tidings.dev/data-cut": cut } = annotation(data)
    assert.isAtMost(bytes(json!), KubernetesEvent.limits.data)
    assert.strictEqual(cut, "error")
    const kept = JSON.parse(json!)
    assert.strictEqual(bytes(kept.error), KubernetesEvent.limits.dataText)
    assert.isTrue(kept.error.endsWith("…"))
    assert.deepStrictEqual(kept.arguments, data.arguments)
  })

  it("leaves out what cannot be cut, largest first, and keeps the rest", () => {
    const data = {
      toolNames: Array.from({ length: 5_000 }, (_, index) => `tool-${index}`),
      arguments: { table: Array.from({ length: 20_000 }, (_, index) => index), id: 7 },
      stepId: "build"
    }
    const { "tidings.dev/data": json, "tidings.dev/data-cut": cut } = annotation(data)
    assert.isAtMost(bytes(json!), KubernetesEvent.limits.data)
    assert.strictEqual(cut, "arguments.table")
    assert.deepStrictEqual(JSON.parse(json!), { toolNames: data.toolNames, arguments: { id: 7 }, stepId: "build" })
  })

  it("counts bytes, not characters", () => {
    const { "tidings.dev/data": json, "tidings.dev/data-cut": cut } = annotation({
      error: "ä".repeat(40_000),
      stepId: "s"
    })
    assert.strictEqual(cut, "error")
    assert.strictEqual(JSON.parse(json!).error, `${"ä".repeat(510)}…`)
  })

  it.prop(
    "always fits and always reads back as data",
    {
      sizes: Arbitrary.array(Arbitrary.schema(Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 50_000 }))), {
        maxLength: 12
      })
    },
    ({ sizes }) => {
      const entries = Object.fromEntries(
        sizes.map((size, index) => [`key-${index}`, index % 2 === 0 ? "x".repeat(size) : [size]])
      )
      const data = { error: "e".repeat(sizes[0] ?? 0), arguments: entries, many: sizes }
      const all = annotation(data)
      assert.isAtMost(bytes(all["tidings.dev/data"] ?? ""), KubernetesEvent.limits.data)
      assert.isTrue(Result.isSuccess(EventJson.dataFromObject(JSON.parse(all["tidings.dev/data"] ?? "{}"))))
      const isWhole = bytes(JSON.stringify(data)) <= KubernetesEvent.limits.data
      assert.strictEqual("tidings.dev/data-cut" in all, !isWhole)
    },
    { arbitrary: { runs: 60, size: 12 } }
  )
})

describe("reading what was written here", () => {
  const roundTrip = (one: Write) => read(stored(KubernetesEvent.toResource(one)))

  it("gives back every field, times to the microsecond", () => {
    const one = write(
      7,
      { upTo: 12, count: 4, last: 1_700_000_010_654_321 },
      {
        related: { apiVersion: "v1", kind: "Node", name: "worker-1", fieldPath: "spec" },
        labels: { team: "a" },
        source: { component: "example", host: "worker-1" },
        type: "Warning",
        data: { duration: 1_500_000_000, arguments: { a: [1, null, { b: "ü" }] }, allowFailure: false }
      }
    )
    const { event, namespace, own, resourceVersion } = roundTrip(one)
    const { name, namespace: itsOwn, object, resourceVersion: version, uid, ...rest } = event
    assert.deepStrictEqual(rest, { ...one })
    assert.deepStrictEqual([itsOwn, version, object?.["metadata"] !== undefined], ["default", "7", true])
    assert.strictEqual(name, "web.0123456789abcdef.7")
    assert.strictEqual(uid, "the-uid")
    assert.strictEqual(namespace, "default")
    assert.strictEqual(resourceVersion, "7")
    assert.isTrue(own)
  })

  it("gives back a type that others made up, without the eventTime for which the API server would refuse it", () => {
    const one = write(1, {}, { type: "Error" })
    assert.isUndefined(KubernetesEvent.toResource(one).eventTime)
    assert.strictEqual(roundTrip(one).event.event.type, "Error")
  })

  it("stands in the namespace of its object, or in that of cluster-scoped objects, or in its own", () => {
    const node = write(1, {}, { involvedObject: { apiVersion: "v1", kind: "Node", name: "worker-1" } })
    const within = (one: Write, options?: KubernetesEvent.ShapeOptions) =>
      KubernetesEvent.toResource(one, options).metadata.namespace
    assert.strictEqual(within(node), "default")
    assert.strictEqual(within(node, { clusterScopedNamespace: "kube-system" }), "kube-system")
    assert.strictEqual(
      within({ ...node, namespace: "kube-public" }, { clusterScopedNamespace: "kube-system" }),
      "kube-public"
    )
    assert.notProperty(KubernetesEvent.toResource(node).involvedObject, "namespace")
    const pod = write(1, {}, { involvedObject: { kind: "Pod", name: "web", namespace: "team-a" } })
    assert.strictEqual(within(pod, { clusterScopedNamespace: "kube-system" }), "team-a")
  })

  it("gives back counts beyond 32 bits, and events of other writers that were copied in", () => {
    assert.strictEqual(roundTrip(write(1, { count: 5_000_000_000 })).event.count, 5_000_000_000)
    assert.strictEqual(KubernetesEvent.toResource(write(1, { count: 5_000_000_000 })).count, 2_147_483_647)
    const foreign = { ...write(1), id: { origin: "9354c615-b63a-425e-917e-3e33cbde5da9", seq: 0 }, upTo: 4711 }
    assert.deepStrictEqual(roundTrip(foreign).event.id, foreign.id)
    assert.strictEqual(roundTrip(foreign).event.upTo, 4711)
  })

  it("gives back empty labels, empty actions and controllers that are no names", () => {
    const { event } = roundTrip(write(1, {}, { labels: {}, action: "", reportingController: "My Controller!" }))
    assert.deepStrictEqual(event.event.labels, {})
    assert.strictEqual(event.event.action, "")
    assert.strictEqual(event.event.reportingController, "My Controller!")
  })

  it("believes the fields where another tool changed them", () => {
    const object = stored(KubernetesEvent.toResource(write(1)))
    object["lastTimestamp"] = "2023-11-14T22:20:00Z"
    assert.strictEqual(read(object).event.last, 1_700_000_400_000_000)
    assert.strictEqual(read(object).event.first, 1_700_000_000_123_456)
  })

  it("survives annotations that somebody broke", () => {
    const object = stored(KubernetesEvent.toResource(write(1)))
    Object.assign(object["metadata"].annotations, {
      "tidings.dev/data": "{not json",
      "tidings.dev/times": "yesterday",
      "tidings.dev/labels": "[1]"
    })
    const { event } = read(object)
    assert.deepStrictEqual(event.event.data, {})
    assert.strictEqual(event.first, 1_700_000_000_123_456)
    object["metadata"].annotations["tidings.dev/seq"] = "many"
    assert.isFalse(read(object).own)
  })

  it("keeps annotations of others apart from its own", () => {
    const object = stored(KubernetesEvent.toResource(write(1)))
    object["metadata"].annotations["team"] = "a"
    assert.deepStrictEqual(read(object).event.annotations, { team: "a" })
  })
})

describe("a patch", () => {
  const patched = (from: Write, to: Write) =>
    read(merged(stored(KubernetesEvent.toResource(from)), KubernetesEvent.toPatch(to, "7") as Json))

  it("brings the object to the state of the write, whatever it held before", () => {
    const first = write(
      1,
      {},
      {
        related: { apiVersion: "v1", kind: "Node", name: "a", namespace: "x", uid: "u", fieldPath: "p" },
        data: { error: "e".repeat(100_000) },
        source: { component: "a", host: "h" },
        labels: { a: "1" }
      }
    )
    const second: Write = {
      ...bump(first, 3),
      event: body({
        message: "another",
        reason: "Other",
        action: "Do",
        type: "Warning",
        data: {},
        related: { kind: "Pod", name: "b" },
        labels: { a: "1", b: "2" }
      })
    }
    const { name: _, namespace: _1, object: _2, resourceVersion: _3, uid: __, ...event } = patched(first, second).event
    assert.deepStrictEqual(event, { ...second })
    const third: Write = {
      ...bump(second),
      event: body({ reportingController: "no name!", labels: { a: "1", b: "2" } })
    }
    assert.deepStrictEqual(patched(second, third).event.event, third.event)
    assert.notProperty(
      merged(stored(KubernetesEvent.toResource(second)), KubernetesEvent.toPatch(third, "7") as Json),
      "eventTime"
    )
  })

  it("names the version that it was made for", () => {
    assert.strictEqual((KubernetesEvent.toPatch(write(1), "42") as Json)["metadata"].resourceVersion, "42")
  })

  it("keeps a uid that an earlier write knew", () => {
    const known = write(1)
    const unknown = bump(write(1, {}, { involvedObject: { kind: "ConfigMap", name: "web", namespace: "default" } }))
    assert.strictEqual(patched(known, unknown).event.event.involvedObject.uid, "uid-of-web")
    assert.strictEqual(patched(known, unknown).event.event.involvedObject.apiVersion, "v1")
  })
})

describe("reading what others wrote", () => {
  const foreign = (object: Json) =>
    read({
      ...object,
      metadata: {
        name: "e.1",
        namespace: "shop",
        uid: "u-1",
        resourceVersion: "815",
        creationTimestamp: "2026-01-01T00:00:00Z",
        ...object["metadata"]
      }
    })

  it("a core/v1 event of client-go", () => {
    const {
      event: { object, ...event },
      own
    } = foreign({
      involvedObject: {
        kind: "Pod",
        name: "web",
        namespace: "shop",
        uid: "p",
        apiVersion: "v1",
        resourceVersion: "3",
        fieldPath: "spec.containers{a}"
      },
      reason: "BackOff",
      message: "Back-off restarting failed container",
      source: { component: "kubelet", host: "worker-1" },
      firstTimestamp: "2026-01-01T10:00:00Z",
      lastTimestamp: "2026-01-01T10:05:00Z",
      count: 7,
      type: "Warning",
      eventTime: null,
      reportingComponent: "",
      reportingInstance: ""
    })
    assert.isFalse(own)
    assert.deepStrictEqual(event, {
      id: { origin: "u-1", seq: 0 },
      upTo: 815,
      count: 7,
      first: Date.UTC(2026, 0, 1, 10) * 1_000,
      last: Date.UTC(2026, 0, 1, 10, 5) * 1_000,
      event: {
        involvedObject: {
          apiVersion: "v1",
          kind: "Pod",
          name: "web",
          namespace: "shop",
          uid: "p",
          fieldPath: "spec.containers{a}"
        },
        reason: "BackOff",
        type: "Warning",
        action: "BackOff",
        message: "Back-off restarting failed container",
        data: {},
        source: { component: "kubelet", host: "worker-1" },
        reportingController: "kubelet",
        reportingInstance: "worker-1"
      },
      name: "e.1",
      namespace: "shop",
      uid: "u-1",
      creationTimestamp: Date.UTC(2026, 0, 1) * 1_000,
      resourceVersion: "815"
    })
    assert.deepInclude(object, { reason: "BackOff", lastTimestamp: "2026-01-01T10:05:00Z", eventTime: null })
  })

  it("the object is kept whole, its managed fields aside", () => {
    const object = {
      involvedObject: { kind: "Node", name: "node-a", resourceVersion: "3" },
      series: { count: 9, lastObservedTime: "2026-01-01T10:06:40.000007Z" },
      metadata: {
        name: "node-a.17",
        namespace: "kube-system",
        uid: "u-2",
        resourceVersion: "5",
        generateName: "node-a.",
        managedFields: [{ manager: "kubelet" }]
      }
    }
    const { event } = Result.getOrThrow(KubernetesEvent.fromResource(object))
    const { managedFields: _, ...metadata } = object.metadata
    // An item of a list does not say what it is.
    assert.deepStrictEqual(event.object, { apiVersion: "v1", kind: "Event", ...object, metadata })
    assert.strictEqual(event.namespace, "kube-system")
    assert.isUndefined(event.event.involvedObject.namespace)
  })

  it("an events.k8s.io/v1 event, single and with a series", () => {
    const object = {
      involvedObject: { kind: "Pod", name: "web", namespace: "shop" },
      reason: "Scheduled",
      message: "assigned",
      source: {},
      firstTimestamp: null,
      lastTimestamp: null,
      type: "Normal",
      eventTime: "2026-01-01T10:00:00.123456Z",
      action: "Binding",
      reportingComponent: "default-scheduler",
      reportingInstance: "default-scheduler-0"
    }
    const single = foreign(object).event
    assert.strictEqual(single.first, Date.UTC(2026, 0, 1, 10) * 1_000 + 123_456)
    assert.strictEqual(single.last, single.first)
    assert.strictEqual(single.count, 1)
    assert.deepStrictEqual(single.event.source, { component: "default-scheduler" })
    const series = foreign({ ...object, series: { count: 9, lastObservedTime: "2026-01-01T10:06:40.000007Z" } }).event
    assert.strictEqual(series.count, 9)
    assert.strictEqual(series.last, Date.UTC(2026, 0, 1, 10, 6, 40) * 1_000 + 7)
  })

  it("an event with next to nothing in it", () => {
    const { event } = foreign({ type: "Weird" })
    assert.strictEqual(event.event.type, "Weird")
    assert.strictEqual(foreign({}).event.event.type, "")
    assert.strictEqual(event.event.reason, "Unknown")
    assert.strictEqual(event.first, Date.UTC(2026, 0, 1) * 1_000)
    assert.strictEqual(event.count, 1)
    assert.strictEqual(foreign({ count: -1 }).event.count, 1)
    // What programs in Go write for a time that is not set.
    const unset = foreign({ lastTimestamp: "0001-01-01T00:00:00Z", eventTime: "0001-01-01T00:00:00.000000Z" }).event
    assert.deepStrictEqual([unset.first, unset.last], [event.first, event.first])
    assert.deepStrictEqual(event.event.involvedObject, { kind: "", name: "" })
  })

  it("says what is no event", () => {
    for (const value of [null, 7, [], {}, { metadata: { name: "a" } }]) {
      assert.isTrue(Result.isFailure(KubernetesEvent.fromResource(value)))
    }
  })
})

it("versions are numbers where they are numbers", () => {
  assert.strictEqual(KubernetesEvent.versionNumber("815"), 815)
  assert.strictEqual(KubernetesEvent.versionNumber("x1"), 0)
  assert.strictEqual(KubernetesEvent.versionNumber(""), 0)
})

it("every annotation is in the table of the documentation, and no other one", () => {
  const text = fs.readFileSync(path.join(import.meta.dirname, "../../../docs/kubernetes.md"), "utf8")
  const documented = Array.from(text.matchAll(/^\| `(tidings\.dev\/[\w-]+)`/gm), ([, name]) => name)
  assert.sameMembers(documented, Object.values(KubernetesEvent.annotations))
})
