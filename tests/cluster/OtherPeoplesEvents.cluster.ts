/**
 * Events that others wrote and objects that others made: kubectl and the command get the same input, and what they say is
 * compared.
 */
import { afterAll, assert, describe, it } from "@effect/vitest"
import * as Backend from "@tidings/core/Backend"
import type { Write } from "@tidings/core/Event"
import * as EventId from "@tidings/core/EventId"
import type { EventQuery } from "@tidings/core/EventQuery"
import type { ObjectReference } from "@tidings/core/ObjectReference"
import * as Effect from "effect/Effect"
import { spawn } from "node:child_process"
import { join } from "node:path"
import { load } from "js-yaml"
import * as Cluster from "../../tools/cluster/Cluster.ts"
import * as KubernetesBackend from "@tidings/backend-k8s/KubernetesBackend"
import * as KubernetesConnection from "@tidings/backend-k8s/KubernetesConnection"
import * as KubernetesKinds from "@tidings/backend-k8s/KubernetesKinds"
import { body } from "../../packages/backend-k8s/test/writes.ts"

const cluster = await Cluster.start({ users: [{ name: "role" }, { name: "getter" }, { name: "near" }] })
afterAll(() => cluster.stop())

interface Ran {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

const BIN = join(import.meta.dirname, "../../packages/tidings/bin/tidings.mjs")

const tidings = (...args: ReadonlyArray<string>): Promise<Ran> =>
  new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [BIN, ...args], {
      env: { ...process.env, ...cluster.environment, TIDINGS_BACKEND: "kubernetes" },
      stdio: ["ignore", "pipe", "pipe"]
    })
    const out: Array<Buffer> = []
    const err: Array<Buffer> = []
    child.stdout.on("data", (chunk: Buffer) => out.push(chunk))
    child.stderr.on("data", (chunk: Buffer) => err.push(chunk))
    child.once("error", reject)
    child.once("close", (code) =>
      resolve({ code, stdout: Buffer.concat(out).toString(), stderr: Buffer.concat(err).toString() })
    )
  })

const kubectl = async (args: ReadonlyArray<string>, user?: string): Promise<string> => {
  const ran = await cluster.kubectl(args, { user })
  assert.strictEqual(ran.code, 0, `kubectl ${args.join(" ")}: ${ran.stderr}`)
  return ran.stdout
}

const create = async (object: object): Promise<void> => {
  const ran = await cluster.kubectl(["create", "-f", "-"], { input: JSON.stringify(object) })
  assert.strictEqual(ran.code, 0, ran.stderr)
}

const seconds = (ago: number): string => new Date(Date.now() - ago * 1_000).toISOString().replace(/\.\d+Z/, "Z")

const event = (name: string, namespace: string, involvedObject: object, more: object = {}) => ({
  apiVersion: "v1",
  kind: "Event",
  metadata: { name, namespace },
  involvedObject,
  reason: "Tried",
  message: `message of ${name}`,
  type: "Normal",
  source: { component: "kubelet", host: "node-a" },
  firstTimestamp: seconds(3_600),
  lastTimestamp: seconds(1_800),
  count: 1,
  ...more
})

const modern = {
  eventTime: "2026-11-28T00:00:00.000001Z",
  action: "Try",
  reportingComponent: "example.dev/controller",
  reportingInstance: "controller-0"
}

const role = (name: string, namespace: string, verbs: ReadonlyArray<string>) => [
  {
    apiVersion: "rbac.authorization.k8s.io/v1",
    kind: "Role",
    metadata: { name, namespace },
    rules: [{ apiGroups: [""], resources: ["events"], verbs }]
  },
  {
    apiVersion: "rbac.authorization.k8s.io/v1",
    kind: "RoleBinding",
    metadata: { name, namespace },
    roleRef: { apiGroup: "rbac.authorization.k8s.io", kind: "Role", name },
    subjects: [{ apiGroup: "rbac.authorization.k8s.io", kind: "User", name }]
  }
]

const definition = (plural: string, kind: string, scope: string, shortNames: ReadonlyArray<string>) => ({
  apiVersion: "apiextensions.k8s.io/v1",
  kind: "CustomResourceDefinition",
  metadata: { name: `${plural}.configuration.example.dev` },
  spec: {
    group: "configuration.example.dev",
    scope,
    names: { plural, singular: kind.toLowerCase(), kind, shortNames },
    versions: [{ name: "v1", served: true, storage: true, schema: { openAPIV3Schema: { type: "object" } } }]
  }
})

const deployment = {
  apiVersion: "apps/v1",
  kind: "Deployment",
  metadata: { name: "web", namespace: "default" },
  spec: {
    selector: { matchLabels: { app: "web" } },
    template: { metadata: { labels: { app: "web" } }, spec: { containers: [{ name: "web", image: "web" }] } }
  }
}

await cluster.apply([
  { apiVersion: "v1", kind: "Namespace", metadata: { name: "team-a" } },
  definition("clusterplugins", "ClusterPlugin", "Cluster", ["cpl"]),
  definition("gadgets", "Gadget", "Namespaced", ["gd"]),
  deployment,
  { apiVersion: "v1", kind: "Node", metadata: { name: "node-a" } },
  ...role("role", "default", ["get", "list", "watch"]),
  ...role("getter", "default", ["get"]),
  ...role("near", "team-a", ["get", "list", "watch"])
])
for (const plural of ["clusterplugins", "gadgets"]) {
  await kubectl(["wait", "--for=condition=Established", `crd/${plural}.configuration.example.dev`])
}
const example = (kind: string, name: string, namespace?: string) => ({
  apiVersion: "configuration.example.dev/v1",
  kind,
  metadata: { name, ...(namespace === undefined ? undefined : { namespace }) }
})
await create(example("ClusterPlugin", "prom"))
await create(example("Gadget", "lamp", "default"))

const node = { apiVersion: "v1", kind: "Node", name: "node-a", uid: "node-a" }
const pod = { apiVersion: "v1", kind: "Pod", name: "p", namespace: "default", fieldPath: "spec.containers{web}" }
for (const one of [
  event("node-a.17", "default", node),
  event("node-a.18", "kube-system", node, { ...modern, reason: "TriedThere" }),
  event("role.17", "default", { apiVersion: "rbac.authorization.k8s.io/v1", kind: "ClusterRole", name: "admin" }),
  event("plugin.17", "default", { apiVersion: "configuration.example.dev/v1", kind: "ClusterPlugin", name: "prom" }),
  event("lamp.17", "default", {
    apiVersion: "configuration.example.dev/v1",
    kind: "Gadget",
    name: "lamp",
    namespace: "default"
  }),
  event("web.17", "default", { apiVersion: "apps/v1", kind: "Deployment", name: "web", namespace: "default" }),
  // Of an object in another namespace, which takes an eventTime.
  event("far.17", "default", { apiVersion: "v1", kind: "Pod", name: "far", namespace: "team-a" }, modern),
  event("typeerr.17", "default", pod, {
    type: "Error",
    message: "Readiness probe failed: statuscode 503\n",
    source: { component: "my-operator" },
    reportingInstance: "my-operator-0",
    count: 3
  }),
  {
    apiVersion: "events.k8s.io/v1",
    kind: "Event",
    metadata: { name: "series.17", namespace: "default" },
    regarding: pod,
    eventTime: new Date(Date.now() - 3_600_000).toISOString().replace("Z", "000Z"),
    series: { count: 7, lastObservedTime: new Date(Date.now() - 600_000).toISOString().replace("Z", "000Z") },
    action: "Try",
    reason: "Tried",
    note: "a series",
    type: "Warning",
    reportingController: "example.dev/scheduler",
    reportingInstance: "scheduler-0"
  }
]) {
  await create(one)
}

/** The names of the events, as kubectl and as the command print them. */
const namesOf = (stdout: string): ReadonlyArray<string> =>
  stdout
    .split("\n")
    .filter((line) => line.startsWith("event/"))
    .map((line) => line.slice("event/".length))

const listed = async (...args: ReadonlyArray<string>): Promise<ReadonlyArray<string>> => {
  const { code, stderr, stdout } = await tidings("list", "-ondjson", ...args)
  assert.strictEqual(code, 0, stderr)
  return stdout
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => (JSON.parse(line) as { readonly metadata: { readonly name: string } }).metadata.name)
}

/** What `kubectl events` shows, by reason, type, object and message, each blank-separated column but the first. */
const rowsOf = (table: string): ReadonlyArray<string> =>
  table
    .split("\n")
    .slice(1)
    .filter((line) => line !== "")
    .map((line) => line.split(/ {2,}/).slice(1).join(" | "))
    .sort()

const comparable = (object: any): unknown => {
  const { cluster: _, data: __, id: ___, upTo: ____, ...rest } = object
  return rest
}

describe("the events of a namespace", () => {
  it("are those that kubectl lists in it, for an administrator and with a Role", async () => {
    for (const namespace of ["default", "kube-system", "team-a"]) {
      const theirs = namesOf(await kubectl(["get", "events", "-n", namespace, "-o", "name"]))
      assert.sameMembers([...(await listed("-n", namespace))], [...theirs], namespace)
    }
    const theirs = namesOf(await kubectl(["get", "events", "-n", "default", "-o", "name"], "role"))
    assert.isAbove(theirs.length, 6)
    assert.sameMembers([...(await listed("-n", "default", "--context", "role"))], [...theirs])
    assert.sameMembers([...(await listed("-A"))], [...namesOf(await kubectl(["get", "events", "-A", "-o", "name"]))])
  })

  it("are shown with the same ages, counts, types, objects and messages", async () => {
    const theirs = await kubectl(["events", "-n", "default"])
    // kubectl has a letter before the count.
    const ours = (await tidings("list", "-n", "default")).stdout.replaceAll("(×", "(x")
    assert.deepStrictEqual(rowsOf(ours), rowsOf(theirs))
    const lastSeenOf = (table: string, reason: string): string => {
      const line = table.split("\n").find((one) => one.includes(reason))!
      return line.split(/ {2,}/)[0]!
    }
    // A minute may end between the two.
    const minutes = (text: string) => Array.from(text.matchAll(/(\d+)m/g), ([, digits]) => Number(digits))
    for (const [text, pattern] of [
      ["statuscode 503", /^\d+m \(x3 over \d+m\)$/],
      ["a series", /^\d+m(?:\d+s)? \(x7 over \d+m\)$/]
    ] as const) {
      const [mine, his] = [lastSeenOf(ours, text), lastSeenOf(theirs, text)]
      assert.match(mine, pattern)
      assert.match(his, pattern)
      for (const [index, value] of minutes(his).entries()) assert.approximately(minutes(mine)[index]!, value, 1)
    }
  })

  it("have the sub-object, source and name of kubectl get -o wide", async () => {
    const theirs = (await kubectl(["get", "events", "-n", "default", "-o", "wide"])).split("\n")
    const ours = (await tidings("list", "-n", "default", "-o", "wide")).stdout.split("\n")
    for (const [name, parts] of [
      ["typeerr.17", ["spec.containers{web}", "my-operator, my-operator-0"]],
      ["series.17", ["spec.containers{web}", "example.dev/scheduler, scheduler-0"]],
      ["node-a.17", ["kubelet, node-a"]],
      // The one half is the source's, the other one the reporter's, as kubectl has it.
      ["far.17", ["kubelet, node-a"]]
    ] as const) {
      for (const [whose, lines] of [
        ["kubectl", theirs],
        ["tidings", ours]
      ] as const) {
        const line = lines.find((one) => one.split(/\s+/).includes(name))
        assert.isDefined(line, `${whose}: ${name}`)
        for (const part of parts) assert.include(line, part, whose)
      }
    }
  })
})

describe("the events of an object", () => {
  it.each([
    ["node/node-a", "default"],
    ["nodes/node-a", "default"],
    ["no/node-a", "kube-system"],
    ["clusterrole/admin", "default"],
    ["clusterrole.rbac.authorization.k8s.io/admin", "default"],
    ["clusterplugin/prom", "default"],
    ["clusterplugins.configuration.example.dev/prom", "default"],
    ["clusterplugin.v1.configuration.example.dev/prom", "default"],
    ["cpl/prom", "default"],
    ["gd/lamp", "default"],
    ["gadget.configuration.example.dev/lamp", "default"],
    ["deployment.apps/web", "default"],
    ["deployments.apps/web", "default"],
    ["deployment.v1.apps/web", "default"],
    ["deploy/web", "default"],
    ["pods/far", "default"],
    ["pod/far", "team-a"]
  ])("%s in %s are those that kubectl events --for shows", async (object, namespace) => {
    const theirs = rowsOf(await kubectl(["events", "-n", namespace, "--for", object]))
    const { code, stderr, stdout } = await tidings("list", "-n", namespace, "--for", object)
    assert.strictEqual(code, 0, stderr)
    assert.deepStrictEqual(rowsOf(stdout), theirs)
    assert.lengthOf(theirs, object === "pod/far" ? 0 : 1)
  })

  it("are found by what kubectl get -o name prints", async () => {
    for (const [kind, name] of [
      ["deployments", "web.17"],
      ["clusterplugins", "plugin.17"],
      ["gadgets", "lamp.17"],
      ["nodes", "node-a.17"]
    ] as const) {
      const printed = (await kubectl(["get", kind, "-o", "name"])).trim()
      assert.include([...(await listed("--for", printed, "-n", "default"))], name, printed)
    }
  })

  it("that is cluster-scoped are found with a Role, as kubectl finds them", async () => {
    const theirs = rowsOf(await kubectl(["events", "-n", "default", "--for", "node/node-a"], "role"))
    assert.lengthOf(theirs, 1)
    assert.deepStrictEqual(await listed("--for", "node/node-a", "-n", "default", "--context", "role"), ["node-a.17"])
    // Without -n kubectl looks in the namespace of the context; where it is allowed, we look everywhere.
    assert.deepStrictEqual(await listed("--for", "node/node-a", "--context", "role"), ["node-a.17"])
    assert.sameMembers([...(await listed("--for", "node/node-a"))], ["node-a.17", "node-a.18"])
    const elsewhere = await tidings("list", "--for", "node/node-a", "-n", "team-a", "--context", "near")
    assert.deepStrictEqual([elsewhere.code, elsewhere.stdout], [0, ""])
    assert.include(
      (await cluster.kubectl(["events", "-n", "team-a", "--for", "node/node-a"], { user: "near" })).stderr,
      "No events"
    )
  })

  it("are filtered by its API group", async () => {
    assert.deepStrictEqual(await listed("-A", "--api-group", "apps"), ["web.17"])
    assert.sameMembers([...(await listed("-A", "--api-group", "configuration.example.dev"))], ["plugin.17", "lamp.17"])
    assert.includeMembers([...(await listed("-n", "default", "--api-group", ""))], ["node-a.17", "far.17"])
    assert.deepStrictEqual(await listed("-A", "--object-namespace", "team-a"), ["far.17"])
  })
})

describe("a type that is neither Normal nor Warning", () => {
  it("is what kubectl selects and shows", async () => {
    for (const type of ["Error", "Normal", "Warning"]) {
      const theirs = namesOf(await kubectl(["get", "events", "-A", "-o", "name", `--field-selector=type=${type}`]))
      assert.sameMembers([...(await listed("-A", "--type", type))], [...theirs], type)
    }
    assert.strictEqual(await kubectl(["get", "event", "typeerr.17", "-o", "jsonpath={.type}"]), "Error")
  })
})

describe("one event", () => {
  it("is in JSON and YAML the object that kubectl prints", async () => {
    for (const [name, namespace] of [
      ["node-a.17", "default"],
      ["node-a.18", "kube-system"],
      ["typeerr.17", "default"],
      ["series.17", "default"],
      ["far.17", "default"]
    ] as const) {
      const theirs = JSON.parse(await kubectl(["get", "event", name, "-n", namespace, "-o", "json"]))
      for (const where of [["-n", namespace], ["-A"]]) {
        const asJson = await tidings("get", name, ...where, "-o", "json")
        assert.deepStrictEqual(comparable(JSON.parse(asJson.stdout)), theirs, `${name} ${where.join(" ")}`)
      }
      const asYaml = await tidings("get", name, "-n", namespace, "-o", "yaml")
      assert.deepStrictEqual(comparable(load(asYaml.stdout)), theirs)
      for (const field of ["namespace", "creationTimestamp", "uid", "resourceVersion"]) {
        assert.isString(theirs.metadata[field], field)
      }
    }
    const byName = (items: ReadonlyArray<any>) => Object.fromEntries(items.map((one) => [one.metadata.name, one]))
    const theirs = byName(JSON.parse(await kubectl(["get", "events", "-n", "default", "-o", "json"])).items)
    const ours = byName(JSON.parse((await tidings("list", "-n", "default", "-o", "json")).stdout).items.map(comparable))
    assert.deepStrictEqual(ours, theirs)
  })

  it("is found with the right get alone, and is missing where kubectl says so", async () => {
    await kubectl(["get", "event", "node-a.17", "-n", "default"], "getter")
    const found = await tidings("get", "node-a.17", "-n", "default", "--context", "getter", "-o", "json")
    assert.strictEqual(JSON.parse(found.stdout).metadata.name, "node-a.17")
    const theirs = await cluster.kubectl(["get", "event", "nothing.17", "-n", "default"], { user: "getter" })
    const ours = await tidings("get", "nothing.17", "-n", "default", "--context", "getter")
    assert.deepStrictEqual([theirs.code, ours.code], [1, 1])
    assert.include(ours.stderr, 'there is no event "nothing.17" in namespace default')
  })
})

describe("an event about a kind that is cluster-scoped", () => {
  it("is found by kubectl describe and kubectl events, however it was recorded", async () => {
    const wayOf = ["ClusterPlugin/prom", "clusterplugin.configuration.example.dev/prom", "cpl/prom"]
    for (const object of wayOf) {
      const ran = await tidings("emit", object, "ApplyFailed", `m of ${object}`, "--type", "Warning")
      assert.strictEqual(ran.code, 0, ran.stderr)
    }
    const inNamespace = await tidings("emit", "ClusterPlugin/prom", "ApplyFailed", "m of -n", "-n", "team-a")
    assert.match(inNamespace.stderr, /^note: a ClusterPlugin is cluster-scoped/)
    await tidings("emit", "node/node-a", "NodeTried", "m of node")
    for (const args of [
      ["describe", "clusterplugin", "prom"],
      ["events", "-n", "default", "--for", "clusterplugin/prom"]
    ]) {
      const shown = await kubectl(args)
      for (const object of [...wayOf, "-n"]) assert.include(shown, `m of ${object}`, args.join(" "))
    }
    assert.include(await kubectl(["describe", "node", "node-a"]), "m of node")
    assert.lengthOf(await listed("clusterplugins", "--reason", "ApplyFailed"), 4)
    // A namespaced kind keeps its namespace.
    await tidings("emit", "gd/lamp", "ApplyFailed", "m of lamp")
    assert.include(await kubectl(["describe", "gadget", "lamp", "-n", "default"]), "m of lamp")
  })

  it("is in the namespace that the option names, where the API server takes it", async () => {
    const origin = await Effect.runPromise(EventId.makeOrigin)
    const at = Date.now() * 1_000
    const involvedObject: ObjectReference = { apiVersion: "v1", kind: "Node", name: "node-a" }
    const write: Write = {
      id: { origin, seq: 1 },
      upTo: 1,
      count: 1,
      first: at,
      last: at,
      event: body({ involvedObject, data: {}, reason: "Optional" })
    }
    const writeIn = (clusterScopedNamespace: "default" | "kube-system") =>
      Effect.runPromise(
        Backend.Backend.use((backend) => backend.write([write])).pipe(
          Effect.provide(KubernetesBackend.layer({ kubeconfig: cluster.kubeconfig, clusterScopedNamespace }))
        )
      )
    assert.deepStrictEqual(await writeIn("kube-system"), [Backend.created])
    assert.include(await kubectl(["get", "events", "-n", "kube-system"]), "Optional")
    assert.notInclude(await kubectl(["get", "events", "-n", "default"]), "Optional")
    assert.include(await kubectl(["describe", "node", "node-a"]), "Optional")
    const elsewhere = await writeIn("kube-public" as "default")
    assert.strictEqual(elsewhere[0]?._tag, "Rejected")
    assert.include(JSON.stringify(elsewhere), "does not match event.namespace")
  })
})

describe("objects with unusual names", () => {
  it("are recorded, listed by kubectl, and come back as they were", async () => {
    for (const name of ["io.github.acme/search", "Weather (staging)", "50% off", "Ünï 漢字"]) {
      const ran = await tidings("emit", `MCPServer/${name}`, "MCPServerStarted", "-n", "default")
      assert.strictEqual(ran.code, 0, ran.stderr)
      const theirs = await kubectl(["get", "events", "-n", "default", `--field-selector=involvedObject.name=${name}`])
      assert.include(theirs, `mcpserver/${name}`)
      const { stdout } = await tidings("list", "-n", "default", "--for", `mcpserver/${name}`, "-ondjson")
      const { involvedObject, message, metadata } = JSON.parse(stdout)
      assert.strictEqual(involvedObject.name, name)
      assert.include(message, name)
      await kubectl(["get", "event", metadata.name, "-n", "default"])
    }
  })
})

describe("the kinds of the cluster", () => {
  it.each([
    "deploy",
    "Deployments",
    "deployment.apps",
    "cpl",
    "gadgets.v1.configuration.example.dev",
    "no",
    "ns",
    "gadget.conf",
    "deployment.v1.apps"
  ])("%s is what kubectl takes it for", async (name) => {
    const kind = await Effect.runPromise(
      KubernetesKinds.find(name).pipe(Effect.provide(KubernetesConnection.layer({ kubeconfig: cluster.kubeconfig })))
    )
    const theirs = await kubectl(["get", name, "-A", "-o", "jsonpath={.items[0].apiVersion} {.items[0].kind}"])
    assert.strictEqual(`${kind?.apiVersion} ${kind?.kind}`, theirs)
    const scoped = await kubectl(["get", name, "-A", "-o", "jsonpath={.items[0].metadata.namespace}"])
    assert.strictEqual(kind?.namespaced, scoped !== "")
  })

  it("exclude kinds that no cluster has", async () => {
    const find = (name: string) =>
      Effect.runPromise(
        KubernetesKinds.find(name).pipe(Effect.provide(KubernetesConnection.layer({ kubeconfig: cluster.kubeconfig })))
      )
    assert.isUndefined(await find("nothing"))
    assert.isUndefined(await find("deployment.v9.apps"))
    assert.isUndefined(await find("deployment.batch"))
  })
})

describe("a filter with sets and labels", () => {
  const backendOf = (context: string) =>
    KubernetesBackend.layer({ kubeconfig: cluster.kubeconfig, context, uidWait: 0 })

  const namesFound = (context: string, query: EventQuery) =>
    Effect.runPromise(
      Backend.Backend.use((backend) => backend.query(query)).pipe(Effect.provide(backendOf(context)))
    ).then(({ events, incomplete, totalCount }) => ({
      names: events.map(({ name }) => name).sort(),
      totalCount,
      incomplete: incomplete?.map(({ reason }) => reason)
    }))

  it("finds in several namespaces what kubectl lists in each, and says which may not be read", async () => {
    const inEach = await Promise.all(
      ["default", "kube-system"].map((namespace) => kubectl(["get", "events", "-n", namespace, "-o", "name"]))
    )
    const theirs = inEach.flatMap(namesOf).sort()
    const ours = await namesFound("admin", { namespace: ["kube-system", "default"] })
    assert.deepStrictEqual(ours, { names: theirs, totalCount: theirs.length, incomplete: undefined })

    const half = await namesFound("near", { namespace: ["team-a", "default"] })
    assert.strictEqual(half.totalCount, half.names.length)
    assert.strictEqual(half.incomplete?.length, 1)
    assert.include(half.incomplete![0], "default")
  })

  it("finds by labels what kubectl finds by a selector", async () => {
    await create({
      ...event("label.17", "default", pod),
      metadata: { name: "label.17", namespace: "default", labels: { team: "a", "example.com/tier": "" } }
    })
    await create({
      ...event("label.18", "default", pod),
      metadata: { name: "label.18", namespace: "default", labels: { team: "b" } }
    })
    for (const labels of [
      { team: "a" },
      { "example.com/tier": "" },
      { team: "a", "example.com/tier": "" },
      { team: "b", "example.com/tier": "" }
    ]) {
      const selector = Object.entries(labels)
        .map(([key, value]) => `${key}=${value}`)
        .join(",")
      const theirs = namesOf(await kubectl(["get", "events", "-n", "default", "-l", selector, "-o", "name"]))
      assert.deepStrictEqual(
        (await namesFound("admin", { namespace: "default", labels })).names,
        [...theirs].sort(),
        selector
      )
    }
  })

  it("finds by types what kubectl events finds by types", async () => {
    for (const types of ["Warning", "Normal,Warning"]) {
      const theirs = rowsOf(await kubectl(["events", "-n", "default", "--types", types]))
      assert.strictEqual(
        (await listed("-n", "default", "--limit", "all", "--types", types)).length,
        theirs.length,
        types
      )
    }
  })
})
