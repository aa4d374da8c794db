import type { Write } from "@tidings/core/Event"
import * as EventId from "@tidings/core/EventId"
import * as EventQuery from "@tidings/core/EventQuery"
import { assert, describe, it } from "@effect/vitest"

const id = { origin: "0123456789abcdef0123456789abcdef", seq: 36 }

const about = (involvedObject: Write["event"]["involvedObject"], more?: Partial<Write>): Write => ({
  id,
  upTo: 36,
  count: 1,
  first: 0,
  last: 0,
  event: {
    involvedObject,
    reason: "NodeNotReady",
    type: "Error",
    action: "NodeNotReady",
    message: "m",
    data: {},
    source: { component: "kubelet" },
    reportingController: "kubelet",
    reportingInstance: "node-a"
  },
  ...more
})

const node = about({ apiVersion: "v1", kind: "Node", name: "node-a" })
const web = about({ apiVersion: "apps/v1", kind: "Deployment", name: "web", namespace: "team-a" })
const inCluster = about({ kind: "Node", name: "node-a" }, { cluster: { id: "uid-1", name: "production" } })
const labelled: Write = {
  ...web,
  event: { ...web.event, labels: { team: "payments", tier: "1" }, message: "Connection refused (50%)" }
}
const elsewhere = about({ kind: "Node", name: "node-a" }, { namespace: "kube-system" })

describe("a filter", () => {
  it.each([
    ["namespace means that of the event, which of a cluster-scoped object is default", node, { namespace: "default" }],
    ["namespace means that of the event, which else is its object's", web, { namespace: "team-a" }],
    ["namespace means that of the event, wherever its object is", elsewhere, { namespace: "kube-system" }],
    ["objectNamespace means that of the object", web, { objectNamespace: "team-a" }],
    ["an empty objectNamespace means objects that are in none", node, { objectNamespace: "" }],
    ["apiGroup means that of the object", web, { apiGroup: "apps" }],
    ["an empty apiGroup means the core group", node, { apiGroup: "" }],
    ["an empty apiGroup means an unknown one too", elsewhere, { apiGroup: "" }],
    ["eventType is exact, whatever the type is", node, { eventType: "Error" }],
    ["name means that of the event object", web, { name: "web.0123456789abcdef.10" }],
    ["id means the identity", web, { id: EventId.format(id) }],
    ["a set matches any of its values", web, { namespace: ["team-b", "team-a"], apiGroup: ["", "apps"] }],
    [
      "object means kind and name together",
      web,
      {
        object: [
          { kind: "Node", name: "web" },
          { kind: "Deployment", name: "web" }
        ]
      }
    ],
    ["object may name the group", web, { object: { kind: "Deployment", name: "web", apiGroup: "apps" } }],
    ["cluster means its id", inCluster, { cluster: "uid-1" }],
    ["cluster means its name", inCluster, { cluster: ["other", "production"] }],
    ["labels must all be equal", labelled, { labels: { team: "payments", tier: "1" } }],
    ["no labels ask for nothing", web, { labels: {} }],
    ["match is a part of the message, whatever the case", labelled, { match: "REFUSED (50%)" }]
  ] satisfies ReadonlyArray<readonly [string, Write, EventQuery.EventFilter]>)("by %s", (_, event, filter) => {
    assert.isTrue(EventQuery.matches(filter, event))
  })

  it.each([
    ["the namespace of another event", node, { namespace: "kube-system" }],
    ["the namespace that an event would have if it had none of its own", elsewhere, { namespace: "default" }],
    ["an empty objectNamespace of a namespaced object", web, { objectNamespace: "" }],
    ["the namespace of an event about an object that is in none", node, { objectNamespace: "default" }],
    ["the beginning of a group", web, { apiGroup: "app" }],
    ["a version in place of a group", node, { apiGroup: "v1" }],
    ["the core group of an object of another one", web, { apiGroup: "" }],
    ["Normal of a type that somebody made up", node, { eventType: "Normal" }],
    ["the name of the object in place of the event's", web, { name: "web" }],
    ["another identity of the same origin", web, { id: EventId.format({ ...id, seq: 3 }) }],
    ["an empty set", web, { namespace: [] }],
    [
      "the kind of one object and the name of another",
      web,
      {
        object: [
          { kind: "Node", name: "web" },
          { kind: "Deployment", name: "node-a" }
        ]
      }
    ],
    ["an object of another group", web, { object: { kind: "Deployment", name: "web", apiGroup: "" } }],
    ["a cluster where the event names none", web, { cluster: "uid-1" }],
    ["a part of the name of a cluster", inCluster, { cluster: "prod" }],
    ["a label of which the value is another", labelled, { labels: { team: "payments", tier: "2" } }],
    ["a label that every object inherits", labelled, { labels: { toString: "1" } }],
    ["a pattern in place of a text", labelled, { match: "refused.*" }]
  ] satisfies ReadonlyArray<readonly [string, Write, EventQuery.EventFilter]>)(
    "does not match by %s",
    (_, event, filter) => {
      assert.isFalse(EventQuery.matches(filter, event))
    }
  )

  it("matches by the name that a store gave, where it gave another one", () => {
    assert.isTrue(EventQuery.matches({ name: "node-a.17" }, { ...node, name: "node-a.17" }))
    assert.isFalse(EventQuery.matches({ name: "node-a.0123456789abcdef.10" }, { ...node, name: "node-a.17" }))
  })
})

describe("the values of a field of a filter", () => {
  it("are a list, also where there is one", () => {
    assert.deepStrictEqual(EventQuery.valuesOf("a"), ["a"])
    assert.deepStrictEqual(EventQuery.valuesOf(["a", "b"]), ["a", "b"])
  })

  it("are one where the set has only one", () => {
    assert.strictEqual(EventQuery.onlyOf("a"), "a")
    assert.strictEqual(EventQuery.onlyOf(["a", "a"]), "a")
    assert.isUndefined(EventQuery.onlyOf(["a", "b"]))
    assert.isUndefined(EventQuery.onlyOf([]))
    assert.isUndefined(EventQuery.onlyOf<string>(undefined))
  })

  it("match nothing where a set is empty or the time ends before it begins", () => {
    assert.isTrue(EventQuery.isNothing({ reason: "a", object: [] }))
    assert.isTrue(EventQuery.isNothing({ since: 2, until: 1 }))
    assert.isFalse(EventQuery.isNothing({ since: 1, until: 1, reason: ["a"], labels: {} }))
    assert.isFalse(EventQuery.isNothing({}))
  })
})
