import type { Write } from "@tidings/core/Event"
import type { EventFilter } from "@tidings/core/EventQuery"
import type { World } from "./contractWorld.ts"

/** @internal */
export interface Stock {
  /** In the order in which they are written, which is not that of their times. */
  readonly a: Write
  readonly b: Write
  readonly c: Write
  readonly d: Write
  readonly e: Write
  readonly f: Write
  readonly g: Write
}

/** @internal */
export const stockKeys = ["d", "a", "g", "c", "b", "f", "e"] as const satisfies ReadonlyArray<keyof Stock>

/**
 * Series that differ from each other in one or two fields each, with values that are parts of one another.
 *
 * @internal
 */
export const makeStock = (world: World): Stock => {
  const normal = { reason: "Step", type: "Normal" } as const
  const failed = { reason: "StepFailed", type: "Warning" } as const
  const other = { source: { component: `${world.source}-2`, host: "host-1" } }
  const labelled = (labels: Readonly<Record<string, string>>) => ({ labels })
  const g = world.series({
    name: "deploy",
    namespace: 0,
    at: 5,
    body: { ...normal, ...labelled({ team: "payments" }) }
  })
  const saying = (message: string) => ({ message })
  return {
    a: world.series({
      name: "deploy",
      namespace: 0,
      at: 10,
      body: { ...normal, ...labelled({ team: "payments", "example.com/tier": "1" }) }
    }),
    b: world.series({
      name: "deploy",
      namespace: 1,
      at: 20,
      body: {
        ...failed,
        ...labelled({ team: "payments" }),
        ...saying(`Connection refused: "10.0.0.7" at 100% (50_50)`)
      }
    }),
    c: world.series({
      kind: "Order",
      name: "deploy",
      namespace: 0,
      at: 30,
      body: { ...normal, ...other, ...labelled({ team: "orders" }), ...saying("connection of Größe.* is open") }
    }),
    d: world.series({
      name: "deploy-deploy",
      namespace: 2,
      at: 40,
      body: { ...failed, ...other, ...saying("connection refused, twice") }
    }),
    e: world.series({ kind: "Node", name: "node", at: 50, body: { ...failed, reason: "Step" } }),
    f: world.series({
      name: "build",
      namespace: 1,
      at: 60,
      body: { ...normal, reason: "StepFailed", ...saying("moved to ΟΔΟΣ 12, İzmir") }
    }),
    // Began before all others and was last seen after them.
    g: world.again(g, 70)
  }
}

/** @internal */
export interface FilterCase {
  readonly name: string
  readonly filter: (world: World) => EventFilter
  /** Newest first by last seen. */
  readonly expected: ReadonlyArray<keyof Stock>
}

/** @internal */
export const filterCases: ReadonlyArray<FilterCase> = [
  { name: "resourceType", filter: () => ({ resourceType: "Workflow" }), expected: ["g", "f", "d", "b", "a"] },
  {
    name: "resourceName",
    filter: (world) => ({ resourceName: world.nameOf("deploy") }),
    expected: ["g", "c", "b", "a"]
  },
  {
    // Not the first one, which may be that of events about cluster-scoped objects too.
    name: "namespace",
    filter: (world) => ({ namespace: world.context.namespaces[1] }),
    expected: ["f", "b"]
  },
  {
    name: "objectNamespace",
    filter: (world) => ({ objectNamespace: world.context.namespaces[0] }),
    expected: ["g", "c", "a"]
  },
  { name: "objectNamespace, of objects that are in none", filter: () => ({ objectNamespace: "" }), expected: ["e"] },
  { name: "apiGroup", filter: () => ({ apiGroup: "shop.example.com" }), expected: ["c"] },
  { name: "apiGroup, the core group", filter: () => ({ apiGroup: "" }), expected: ["e"] },
  { name: "eventType", filter: () => ({ eventType: "Warning" }), expected: ["e", "d", "b"] },
  { name: "reason", filter: () => ({ reason: "Step" }), expected: ["g", "e", "c", "a"] },
  { name: "source", filter: (world) => ({ source: world.source }), expected: ["g", "f", "e", "b", "a"] },
  { name: "since, inclusive", filter: (world) => ({ since: world.at(30) }), expected: ["g", "f", "e", "d", "c"] },
  { name: "until, inclusive", filter: (world) => ({ until: world.at(30) }), expected: ["c", "b", "a"] },
  {
    name: "since just after and until just before",
    filter: (world) => ({ since: world.at(21), until: world.at(49) }),
    expected: ["d", "c"]
  },
  {
    name: "since and until at the same time",
    filter: (world) => ({ since: world.at(70), until: world.at(70) }),
    expected: ["g"]
  },
  { name: "resourceType, of a set", filter: () => ({ resourceType: ["Order", "Node"] }), expected: ["e", "c"] },
  {
    name: "resourceName, of a set",
    filter: (world) => ({ resourceName: [world.nameOf("node"), world.nameOf("build")] }),
    expected: ["f", "e"]
  },
  {
    name: "object, by kind and name together",
    filter: (world) => ({ object: { kind: "Workflow", name: world.nameOf("deploy") } }),
    expected: ["g", "b", "a"]
  },
  {
    name: "object, of a set of pairs",
    filter: (world) => ({
      object: [
        { kind: "Order", name: world.nameOf("deploy") },
        { kind: "Workflow", name: world.nameOf("build") }
      ]
    }),
    expected: ["f", "c"]
  },
  {
    name: "object, with its API group",
    filter: (world) => ({
      object: [
        { kind: "Order", name: world.nameOf("deploy"), apiGroup: "shop.example.com" },
        { kind: "Workflow", name: world.nameOf("build"), apiGroup: "shop.example.com" }
      ]
    }),
    expected: ["c"]
  },
  {
    name: "namespace, of a set",
    filter: (world) => ({ namespace: [world.context.namespaces[2], world.context.namespaces[1]] }),
    expected: ["f", "d", "b"]
  },
  {
    name: "objectNamespace, of a set with objects that are in none",
    filter: (world) => ({ objectNamespace: ["", world.context.namespaces[2]] }),
    expected: ["e", "d"]
  },
  { name: "apiGroup, of a set", filter: () => ({ apiGroup: ["", "shop.example.com"] }), expected: ["e", "c"] },
  {
    name: "eventType, of a set",
    filter: () => ({ eventType: ["Warning", "Error"] }),
    expected: ["e", "d", "b"]
  },
  {
    name: "reason, of a set",
    filter: () => ({ reason: ["StepFailed", "Other", "StepFailed"] }),
    expected: ["f", "d", "b"]
  },
  {
    name: "source, of a set",
    filter: (world) => ({ source: [`${world.source}-2`, world.source] }),
    expected: ["g", "f", "e", "d", "c", "b", "a"]
  },
  {
    name: "a set of one value",
    filter: (world) => ({ namespace: [world.context.namespaces[1]], reason: ["StepFailed", "StepFailed"] }),
    expected: ["f", "b"]
  },
  { name: "labels", filter: () => ({ labels: { team: "payments" } }), expected: ["g", "b", "a"] },
  {
    name: "labels, all of several",
    filter: () => ({ labels: { "example.com/tier": "1", team: "payments" } }),
    expected: ["a"]
  },
  { name: "match", filter: () => ({ match: "refused" }), expected: ["d", "b"] },
  {
    name: "match, upper and lower case being the same",
    filter: () => ({ match: "CONNECTION REFUSED" }),
    expected: ["d", "b"]
  },
  {
    name: "match, of characters that patterns use",
    filter: () => ({ match: `"10.0.0.7" at 100% (50_50)` }),
    expected: ["b"]
  },
  { name: "match, of letters outside ASCII", filter: () => ({ match: "grÖße.*" }), expected: ["c"] },
  { name: "match, of a letter with two small forms", filter: () => ({ match: "Οδοσ" }), expected: ["f"] },
  { name: "match, of a letter with a small form of two", filter: () => ({ match: "izmir" }), expected: ["f"] },
  {
    name: "sets of several fields together",
    filter: (world) => ({
      resourceType: ["Workflow", "Order"],
      namespace: [world.context.namespaces[0], world.context.namespaces[1]],
      reason: ["Step", "StepFailed"],
      labels: { team: "payments" },
      match: "s"
    }),
    expected: ["g", "b", "a"]
  },
  {
    name: "two fields together",
    filter: (world) => ({ resourceType: "Workflow", namespace: world.context.namespaces[1] }),
    expected: ["f", "b"]
  },
  {
    name: "all fields together",
    filter: (world) => ({
      resourceType: "Workflow",
      resourceName: world.nameOf("deploy"),
      namespace: world.context.namespaces[0],
      objectNamespace: world.context.namespaces[0],
      apiGroup: "muster.giantswarm.io",
      eventType: "Normal",
      reason: "Step",
      source: world.source,
      object: { kind: "Workflow", name: world.nameOf("deploy") },
      labels: { team: "payments" },
      match: "step",
      since: world.at(10),
      until: world.at(69)
    }),
    expected: ["a"]
  }
]

/**
 * Filters that match nothing of the stock, though something in it looks like them.
 *
 * @internal
 */
export const nearMisses: ReadonlyArray<{ readonly name: string; readonly filter: (world: World) => EventFilter }> = [
  { name: "a kind in small letters", filter: () => ({ resourceType: "workflow" }) },
  { name: "the beginning of a kind", filter: () => ({ resourceType: "Work" }) },
  { name: "the beginning of a name", filter: () => ({ resourceName: "deploy" }) },
  { name: "a name in capitals", filter: (world) => ({ resourceName: world.nameOf("deploy").toUpperCase() }) },
  { name: "a pattern", filter: () => ({ resourceName: "*" }) },
  {
    name: "two names with a comma",
    filter: (world) => ({ resourceName: `${world.nameOf("deploy")},${world.nameOf("build")}` })
  },
  { name: "a name with an operator", filter: (world) => ({ resourceName: `${world.nameOf("deploy")}=x` }) },
  { name: "the beginning of a reason", filter: () => ({ reason: "Ste" }) },
  { name: "a reason in small letters", filter: () => ({ reason: "step" }) },
  { name: "the beginning of a source", filter: (world) => ({ source: world.source.slice(0, -1) }) },
  { name: "the host of a source", filter: () => ({ source: "host-1" }) },
  { name: "the reporting controller", filter: () => ({ source: "tidings.dev/contract" }) },
  { name: "a namespace that has nothing", filter: () => ({ namespace: "nobody-is-here" }) },
  { name: "a namespace that cannot be one", filter: () => ({ namespace: "Nobody is/here" }) },
  { name: "a namespace of objects that has none", filter: () => ({ objectNamespace: "nobody-is-here" }) },
  {
    name: "the namespace of an event of which the object is in none",
    filter: () => ({ objectNamespace: "default", resourceType: "Node" })
  },
  { name: "the beginning of a group", filter: () => ({ apiGroup: "shop" }) },
  { name: "a version in place of a group", filter: () => ({ apiGroup: "v1" }) },
  { name: "a group with its version", filter: () => ({ apiGroup: "shop.example.com/v1" }) },
  { name: "a type in small letters", filter: () => ({ eventType: "normal" }) },
  { name: "a type that no event has", filter: () => ({ eventType: "Error" }) },
  { name: "a cluster that is another one", filter: () => ({ cluster: "no-such-cluster" }) },
  {
    name: "the kind of one object and the name of another",
    filter: (world) => ({ object: { kind: "Node", name: world.nameOf("deploy") } })
  },
  { name: "another value of a label", filter: () => ({ labels: { team: "payment" } }) },
  { name: "a label that no event has", filter: () => ({ labels: { team: "payments", tier: "1" } }) },
  { name: "a label that no event can have", filter: () => ({ labels: { "no label/at all": "" } }) },
  { name: "a pattern in place of a message", filter: () => ({ match: "connection.*refused" }) },
  { name: "a pattern of a database in place of a message", filter: () => ({ match: "connection%refused" }) },
  { name: "any character of a database in place of one", filter: () => ({ match: "connection_refused" }) },
  { name: "words of a message in another order", filter: () => ({ match: "refused connection" }) },
  { name: "an empty set of kinds", filter: () => ({ resourceType: [] }) },
  { name: "an empty set of names", filter: () => ({ resourceName: [] }) },
  { name: "an empty set of objects", filter: () => ({ object: [] }) },
  { name: "an empty set of namespaces", filter: () => ({ namespace: [] }) },
  { name: "an empty set of groups", filter: () => ({ apiGroup: [] }) },
  { name: "an empty set of types", filter: () => ({ eventType: [] }) },
  { name: "an empty set of reasons", filter: () => ({ reason: [] }) },
  { name: "an empty set of sources", filter: () => ({ source: [] }) },
  { name: "an empty set of identities", filter: () => ({ id: [] }) },
  { name: "the name of the object in place of the event's", filter: (world) => ({ name: world.nameOf("deploy") }) },
  { name: "a part of an identity", filter: (world) => ({ id: world.origin }) },
  {
    name: "the fields of two events",
    filter: (world) => ({ resourceName: world.nameOf("build"), eventType: "Warning" })
  },
  { name: "a time after all", filter: (world) => ({ since: world.at(71), source: world.source }) },
  { name: "a time before all", filter: (world) => ({ until: world.at(9), source: world.source }) },
  { name: "a time that ends before it begins", filter: (world) => ({ since: world.at(60), until: world.at(20) }) }
]
