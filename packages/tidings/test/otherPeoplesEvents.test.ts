// Events and objects that others made: what kubectl finds is found, by the names and with the rights that people have.
import * as KubernetesCheck from "@tidings/backend-k8s/KubernetesCheck"
import * as ApiServer from "@tidings/testing-k8s/ApiServer"
import { assert, beforeAll, describe, it } from "@effect/vitest"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Effect from "effect/Effect"
import { TestClock, TestConsole } from "effect/testing"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import { backend } from "../src/internal/cli/tidings.ts"
import { memory, type Ran, run, write } from "./harness.ts"

// To load what speaks to a cluster takes seconds where others are busy too, and is no part of what a test waits for.
beforeAll(() => Effect.runPromise(KubernetesCheck.run({ kubeconfig: "/nowhere" })), 60_000)

const plugin: ApiServer.KubernetesObject = {
  apiVersion: "apiextensions.k8s.io/v1",
  kind: "CustomResourceDefinition",
  metadata: { name: "clusterplugins.configuration.example.dev" },
  spec: {
    group: "configuration.example.dev",
    scope: "Cluster",
    names: { plural: "clusterplugins", singular: "clusterplugin", kind: "ClusterPlugin", shortNames: ["cpl"] },
    versions: [{ name: "v1", served: true, storage: true, schema: { openAPIV3Schema: { type: "object" } } }]
  }
}

const prom: ApiServer.KubernetesObject = {
  apiVersion: "configuration.example.dev/v1",
  kind: "ClusterPlugin",
  metadata: { name: "prom" }
}

const nodeEvent: ApiServer.KubernetesObject = {
  apiVersion: "v1",
  kind: "Event",
  metadata: { name: "node-a.17", namespace: "default" },
  involvedObject: { kind: "Node", name: "node-a", uid: "node-a" },
  reason: "NodeNotReady",
  message: "m",
  type: "Normal",
  source: { component: "kubelet", host: "node-a" },
  firstTimestamp: "2026-11-28T00:00:00Z",
  lastTimestamp: "2026-11-28T00:00:00Z",
  count: 1
}

const typeError: ApiServer.KubernetesObject = {
  apiVersion: "v1",
  kind: "Event",
  metadata: { name: "typeerr.17", namespace: "default" },
  involvedObject: { apiVersion: "v1", kind: "Pod", name: "p", namespace: "default", fieldPath: "spec.containers{web}" },
  type: "Error",
  reason: "Failed",
  message: "Readiness probe failed: statuscode 503\n",
  source: { component: "my-operator" },
  reportingInstance: "my-operator-0",
  firstTimestamp: "2026-08-22T09:30:00Z",
  lastTimestamp: "2026-08-22T10:00:00Z",
  count: 3
}

const rule = (namespace: string, ...verbs: ReadonlyArray<string>) => ({
  apiGroups: [""],
  resources: ["events"],
  verbs,
  namespaces: [namespace]
})

const world = (namespace = "default") =>
  Effect.gen(function* () {
    const server = yield* ApiServer.make({
      namespaces: ["team-a"],
      objects: [plugin, prom, nodeEvent, typeError],
      users: [
        { name: "admin", groups: ["system:masters"] },
        { name: "role", rules: [rule("default", "get", "list", "watch")] },
        { name: "getter", rules: [rule("default", "get")] },
        { name: "lister", rules: [rule("default", "list")] }
      ]
    })
    const home = yield* Effect.acquireRelease(
      Effect.sync(() => fs.mkdtempSync(path.join(os.tmpdir(), "tidings-others-"))),
      (made) => Effect.sync(() => fs.rmSync(made, { recursive: true, force: true }))
    )
    const kubeconfig = path.join(home, "kubeconfig")
    const placed = server.kubeconfig.replaceAll(
      "\n    cluster: tidings\n",
      `\n    cluster: tidings\n    namespace: ${namespace}\n`
    )
    fs.writeFileSync(kubeconfig, placed)
    const tidings = (argv: ReadonlyArray<string>) =>
      run(backend, argv).pipe(
        Effect.provideService(
          ConfigProvider.ConfigProvider,
          ConfigProvider.fromUnknown({ HOME: home, TIDINGS_DIRECTORY: path.join(home, "log"), KUBECONFIG: kubeconfig })
        ),
        Effect.provide(TestConsole.layer)
      )
    /** Requests for events that came meanwhile. */
    const asked = (self: Effect.Effect<Ran>) =>
      Effect.gen(function* () {
        const before = (yield* server.requests).length
        const result = yield* self
        const requests = (yield* server.requests).slice(before)
        return [result, requests.filter(({ path }) => path.includes("/events")).map(({ verb }) => verb)] as const
      })
    return { server, tidings, asked }
  })

const names = ({ out }: Ran): ReadonlyArray<string> =>
  out.filter((line) => line.startsWith("{")).map((line) => JSON.parse(line).metadata.name)

describe("an event about a cluster-scoped object", () => {
  it.live("is found in its own namespace, by its object and by its name, with a Role for that namespace", () =>
    Effect.gen(function* () {
      const { tidings } = yield* world()
      for (const context of ["admin", "role"]) {
        const as = (...argv: ReadonlyArray<string>) => tidings([...argv, "-ondjson", "--context", context])
        assert.include(names(yield* as("list", "-n", "default")), "node-a.17", context)
        assert.include(names(yield* as("list")), "node-a.17", context)
        for (const object of ["node/node-a", "no/node-a", "nodes/node-a", "Node/node-a", "node"]) {
          assert.deepStrictEqual(names(yield* as("list", "--for", object)), ["node-a.17"], `${context}: ${object}`)
        }
        assert.deepStrictEqual(names(yield* as("get", "node-a.17")), ["node-a.17"], context)
        assert.deepStrictEqual(names(yield* as("list", "--object-namespace", "", "-n", "default")), ["node-a.17"])
        assert.deepStrictEqual(names(yield* as("list", "--object-namespace", "default")), ["typeerr.17"])
      }
      const nearer = yield* tidings(["list", "--for", "node/node-a", "-ondjson", "--context", "role"])
      assert.deepStrictEqual(nearer.err, [
        "note: not allowed to list events in all namespaces; showing those in namespace default"
      ])
    }).pipe(Effect.scoped)
  )

  it.live("is hinted at where another namespace is listed and all namespaces may not be", () =>
    Effect.gen(function* () {
      const { tidings } = yield* world("team-a")
      assert.deepStrictEqual(names(yield* tidings(["list", "node/node-a", "-ondjson"])), ["node-a.17"])
      const elsewhere = yield* tidings(["list", "node/node-a", "-n", "team-a"])
      assert.deepStrictEqual(elsewhere.err, [
        "no events match in namespace team-a; events about a Node are usually in namespace default: tidings list -n default"
      ])
    }).pipe(Effect.scoped)
  )

  it.live("can be followed from a cursor of all namespaces or of one", () =>
    Effect.gen(function* () {
      const { server, tidings } = yield* world()
      const cursorOf = ({ err }: Ran) => /cursor: (\S+)/.exec(err.join("\n"))![1]!
      const everywhere = cursorOf(yield* tidings(["list", "node", "--show-cursor"]))
      const here = cursorOf(yield* tidings(["list", "node", "-n", "default", "--show-cursor"]))
      yield* server.put({ ...nodeEvent, metadata: { name: "node-a.18", namespace: "default" } })
      for (const cursor of [everywhere, here]) {
        const since = yield* tidings(["list", "node", "--after", cursor, "-ondjson"])
        assert.deepStrictEqual([names(since), since.err], [["node-a.18"], []])
      }
    }).pipe(Effect.scoped)
  )

  it.live("is recorded without a namespace of the object where discovery says that its kind is cluster-scoped", () =>
    Effect.gen(function* () {
      const { server, tidings } = yield* world("team-a")
      const emits = [
        ["ClusterPlugin/prom"],
        ["clusterplugin/prom"],
        ["clusterplugins.configuration.example.dev/prom"],
        ["clusterplugin.v1.configuration.example.dev/prom"],
        ["cpl/prom"],
        ["ClusterPlugin/prom", "-n", "team-a"]
      ]
      for (const [object, ...more] of emits) {
        const ran = yield* tidings(["emit", object!, "ApplyFailed", "m", "--type", "Warning", ...more])
        assert.strictEqual(ran.code, 0, ran.err.join("\n"))
      }
      const recorded = (yield* server.events).filter(({ reason }) => reason === "ApplyFailed")
      const { uid } = recorded[0]!["involvedObject"] as { readonly uid?: string }
      assert.isString(uid)
      assert.lengthOf(recorded, emits.length)
      for (const { involvedObject, metadata } of recorded) {
        assert.deepStrictEqual(involvedObject, {
          apiVersion: "configuration.example.dev/v1",
          kind: "ClusterPlugin",
          name: "prom",
          uid
        })
        assert.strictEqual(metadata.namespace, "default")
      }
      for (const object of [
        "clusterplugins/prom",
        "cpl.configuration/prom",
        "ClusterPlugin.configuration.example.dev/prom"
      ]) {
        const listed = yield* tidings(["list", object, "-ondjson"])
        assert.lengthOf(names(listed), emits.length, object)
      }
      assert.lengthOf(names(yield* tidings(["list", "cpl.apps/prom", "-A", "-ondjson"])), 0)
    }).pipe(Effect.scoped)
  )
})

describe("get", () => {
  it.live("asks for one event by its name, once, with the right that kubectl needs", () =>
    Effect.gen(function* () {
      const { asked, tidings } = yield* world()
      const named = yield* asked(tidings(["get", "node-a.17", "-ondjson"]))
      assert.deepStrictEqual([names(named[0]), named[1]], [["node-a.17"], ["get"]])
      const all = yield* asked(tidings(["get", "node-a.17", "-A", "-ondjson"]))
      assert.deepStrictEqual([names(all[0]), all[1]], [["node-a.17"], ["list"]])
      const missing = yield* asked(tidings(["get", "nothing.17"]))
      assert.deepStrictEqual([missing[0].code, missing[1]], [1, ["get"]])
      const getter = yield* asked(tidings(["get", "node-a.17", "-ondjson", "--context", "getter"]))
      assert.deepStrictEqual([names(getter[0]), getter[1]], [["node-a.17"], ["get"]])
      assert.strictEqual((yield* tidings(["get", "nothing.17", "--context", "getter"])).code, 1)
      const lister = yield* tidings(["get", "node-a.17", "-ondjson", "--context", "lister"])
      assert.deepStrictEqual(names(lister), ["node-a.17"])
    }).pipe(Effect.scoped)
  )

  it.live("finds what emit printed, with two requests", () =>
    Effect.gen(function* () {
      const { asked, tidings } = yield* world()
      const { out } = yield* tidings(["emit", "Workflow/deploy", "WorkflowExecuted"])
      const [found, requests] = yield* asked(tidings(["get", out[0]!, "-ondjson"]))
      assert.strictEqual(JSON.parse(found.out[0]!).id, out[0])
      assert.deepStrictEqual(requests, ["get", "list"])
    }).pipe(Effect.scoped)
  )

  it.effect("says when events of one name are in several namespaces", () =>
    Effect.gen(function* () {
      const { layer, service } = yield* memory()
      const one = write(1, { at: "2026-08-22T07:30:00Z" })
      yield* service.write([
        one,
        { ...one, id: { ...one.id, origin: "0123456789abcdefffffffffffffffff" }, namespace: "team-a" }
      ])
      const { name } = (yield* service.query({})).events[0]!
      const ran = yield* run(layer, ["get", name, "-ondjson"])
      assert.match(ran.err[0]!, /^note: events of this name are in several namespaces/)
      const chosen = yield* run(layer, ["get", name, "-ondjson", "-n", "team-a"])
      assert.strictEqual(JSON.parse(chosen.out[0]!).metadata.namespace, "team-a")
      assert.deepStrictEqual(chosen.err, [""].slice(1))
    })
  )
})

describe("what other writers wrote", () => {
  it.live(
    "is printed as the object that the cluster has, managed fields aside, with data, id, upTo and its cluster",
    () =>
      Effect.gen(function* () {
        const { server, tidings } = yield* world()
        yield* tidings(["emit", "Workflow/deploy", "WorkflowExecuted"])
        for (const object of yield* server.events) {
          const { name } = object.metadata as { readonly name: string }
          const { out } = yield* tidings(["get", name, "-o", "json"])
          const { cluster, data, id, upTo, ...printed } = JSON.parse(out.join("\n"))
          const { managedFields: _, ...metadata } = object.metadata as Record<string, unknown>
          assert.deepStrictEqual(printed, { ...object, metadata })
          assert.deepStrictEqual([typeof data, typeof id, typeof upTo], ["object", "string", "number"])
          assert.deepStrictEqual(Object.keys(cluster), ["id", "name"])
          const list = yield* tidings(["list", "-o", "json"])
          const item = JSON.parse(list.out.join("\n")).items.find((one: any) => one.metadata.name === name)
          assert.deepStrictEqual(item, { ...printed, cluster, data, id, upTo })
        }
      }).pipe(Effect.scoped)
  )

  it.live("has the type that it has, is filtered by it, and shows no line end after its message", () =>
    Effect.gen(function* () {
      const { tidings } = yield* world()
      assert.deepStrictEqual(names(yield* tidings(["list", "-ondjson", "--type", "Error"])), ["typeerr.17"])
      assert.deepStrictEqual(names(yield* tidings(["list", "-ondjson", "--type", "normal"])), ["node-a.17"])
      const { out } = yield* tidings(["list", "pod", "-o", "wide"])
      assert.match(
        out[1]!,
        /  Error  Failed  Pod\/p +spec\.containers\{web\}  my-operator, my-operator-0  typeerr\.17  Readiness probe failed: statuscode 503$/
      )
      const card = yield* tidings(["get", "typeerr.17"])
      assert.include(card.out, "Message:     Readiness probe failed: statuscode 503")
    }).pipe(Effect.scoped)
  )

  it.effect("was seen over the time from its first occurrence until now, as kubectl counts", () =>
    Effect.gen(function* () {
      yield* TestClock.setTime(Date.parse("2026-08-22T10:30:00Z"))
      const { layer, service } = yield* memory()
      yield* service.write([write(1, { at: "2026-08-22T10:00:00Z", first: "2026-08-22T09:30:00Z", count: 3 })])
      assert.match((yield* run(layer, ["list"])).out[1]!, /^default    30m \(×3 over 60m\)  /)
    })
  )
})

describe("objects named with API groups, plural kinds or unusual characters", () => {
  const five = Effect.gen(function* () {
    const { layer, service } = yield* memory()
    const emit = (...argv: ReadonlyArray<string>) => run(layer, ["emit", ...argv])
    for (const [object, reason] of [
      ["Deployment/web", "RolloutStarted"],
      ["Workflow/deploy", "WorkflowExecuted"],
      ["MCPServer/io.github.acme/search", "MCPServerStarted"],
      ["MCPServer/Weather (staging)", "MCPServerStarted"],
      ["ServiceClass/db", "ServiceClassCreated"]
    ] as const) {
      assert.strictEqual((yield* emit(object, reason)).code, 0, object)
    }
    const listed = (...argv: ReadonlyArray<string>) =>
      Effect.map(run(layer, ["list", "-ondjson", ...argv]), ({ out }) =>
        out.filter((line) => line !== "").map((line) => JSON.parse(line).involvedObject.name)
      )
    return { emit, listed, service }
  })

  it.effect.each<readonly [string, string]>([
    ["deployment.apps/web", "web"],
    ["deployments.apps/web", "web"],
    ["deployment.v1.apps/web", "web"],
    ["deploy.apps/web", "web"],
    ["Deployment.apps", "web"],
    ["workflow.muster.giantswarm.io/deploy", "deploy"],
    ["workflows.muster.giantswarm.io/deploy", "deploy"],
    ["workflows/deploy", "deploy"],
    ["serviceclasses", "db"],
    ["MCPServer/io.github.acme/search", "io.github.acme/search"],
    ["mcpservers/Weather (staging)", "Weather (staging)"]
  ])("%s is found", ([object, name]) =>
    Effect.gen(function* () {
      const { listed } = yield* five
      assert.deepStrictEqual(yield* listed("--for", object), [name])
      assert.deepStrictEqual(yield* listed(object), [name])
    })
  )

  it.effect.each(["deployment.extensions/web", "workflow.apps/deploy", "deployments.app/web"])(
    "%s is another kind",
    (object) =>
      Effect.gen(function* () {
        const { listed } = yield* five
        assert.deepStrictEqual(yield* listed("--for", object), [])
      })
  )

  it.effect("API groups are a filter, also the empty name of the core group", () =>
    Effect.gen(function* () {
      const { emit, listed } = yield* five
      yield* emit("pod/web-0", "Pulled", "m")
      assert.deepStrictEqual(yield* listed("--api-group", "apps"), ["web"])
      assert.deepStrictEqual(yield* listed("--api-group", ""), ["web-0"])
      assert.deepStrictEqual(yield* listed("deploy", "--api-group", "apps"), ["web"])
      assert.deepStrictEqual(yield* listed("pods./web-0"), ["web-0"])
    })
  )

  it.effect("are recorded with the apiVersion of the kind", () =>
    Effect.gen(function* () {
      const { emit, service } = yield* five
      for (const [object, apiVersion] of [
        ["deployment.apps/a", "apps/v1"],
        ["deployments.v1.apps/a", "apps/v1"],
        ["Gadget.v1beta2.example.com/a", "example.com/v1beta2"],
        ["workflow.muster.giantswarm.io/a", "muster.giantswarm.io/v1alpha1"]
      ] as const) {
        const reason = object.startsWith("workflow") ? "WorkflowExecuted" : "Tried"
        const { code, err, out } = yield* emit(object, reason, "m")
        assert.strictEqual(code, 0, err.join("\n"))
        const [event] = (yield* service.query({ id: out[0]! })).events
        assert.strictEqual(event!.event.involvedObject.apiVersion, apiVersion, object)
      }
    })
  )
})
