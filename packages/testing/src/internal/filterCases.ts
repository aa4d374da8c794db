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
  const g = world.series({ name: "deploy", namespace: 0, at: 5, body: normal })
  return {
    a: world.series({ name: "deploy", namespace: 0, at: 10, body: normal }),
    b: world.series({ name: "deploy", namespace: 1, at: 20, body: failed }),
    c: world.series({ kind: "Order", name: "deploy", namespace: 0, at: 30, body: { ...normal, ...other } }),
    d: world.series({ name: "deploy-deploy", namespace: 2, at: 40, body: { ...failed, ...other } }),
    e: world.series({ kind: "Node", name: "node", at: 50, body: { ...failed, reason: "Step" } }),
    f: world.series({ name: "build", namespace: 1, at: 60, body: { ...normal, reason: "StepFailed" } }),
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
