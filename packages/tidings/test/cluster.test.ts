// The command on a cluster: which store is meant, where in it, and what is said when it does not work.
import * as KubernetesCheck from "@tidings/backend-k8s/KubernetesCheck"
import type { Check } from "@tidings/core/BackendCheck"
import * as ApiServer from "@tidings/testing-k8s/ApiServer"
import { assert, beforeAll, describe, it } from "@effect/vitest"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import type * as Scope from "effect/Scope"
import { TestConsole } from "effect/testing"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import { backend } from "../src/internal/cli/tidings.ts"
import { Attended } from "../src/internal/cli/words.ts"
import { type Ran, run } from "./harness.ts"

// To load what speaks to a cluster takes seconds where others are busy too, and is no part of what a test waits for.
beforeAll(() => Effect.runPromise(KubernetesCheck.run({ kubeconfig: "/nowhere" })), 60_000)

type Environment = Readonly<Record<string, string>>

interface World {
  readonly server: ApiServer.ApiServer["Service"]
  readonly home: string
  /** The event log that nobody names. */
  readonly log: string
  /** Runs the command where the cluster is configured, unless the environment says otherwise. */
  readonly tidings: (argv: ReadonlyArray<string>, environment?: Environment, attended?: boolean) => Effect.Effect<Ran>
}

const folder = Effect.acquireRelease(
  Effect.sync(() => fs.mkdtempSync(path.join(os.tmpdir(), "tidings-command-"))),
  (made) => Effect.sync(() => fs.rmSync(made, { recursive: true, force: true }))
)

/** The kubeconfig of the server, with a namespace of its own for each context. */
const withNamespace = (kubeconfig: string, namespace: string): string =>
  kubeconfig.replaceAll("\n    cluster: tidings\n", `\n    cluster: tidings\n    namespace: ${namespace}\n`)

const world = (
  options?: ApiServer.Options & { readonly namespace?: string }
): Effect.Effect<World, ApiServer.ApiServerError, Scope.Scope> =>
  Effect.gen(function* () {
    const server = yield* ApiServer.make({ namespaces: ["team-a", "team-b"], ...options })
    const home = yield* folder
    const log = path.join(home, "log")
    const kubeconfig = path.join(home, "kubeconfig")
    fs.writeFileSync(kubeconfig, withNamespace(server.kubeconfig, options?.namespace ?? "team-a"))
    return {
      server,
      home,
      log,
      tidings: (argv, environment, attended = false) =>
        run(backend, argv).pipe(
          Effect.provideService(Attended, () => attended),
          Effect.provideService(
            ConfigProvider.ConfigProvider,
            ConfigProvider.fromUnknown({ HOME: home, TIDINGS_DIRECTORY: log, KUBECONFIG: kubeconfig, ...environment })
          ),
          Effect.provide(TestConsole.layer)
        )
    }
  })

/** The names of the objects that a list shows. */
const names = ({ out }: Ran): ReadonlyArray<string> =>
  out.filter((line) => line.startsWith("{")).map((line) => JSON.parse(line).involvedObject.name)

const LIST = ["list", "-ondjson"]
const emit = (name: string, ...more: ReadonlyArray<string>) => ["emit", `Workflow/${name}`, "WorkflowExecuted", ...more]

describe("the store that the command uses", () => {
  it.live("is the cluster that is configured and answers, else the event log, and nothing is printed about it", () =>
    Effect.gen(function* () {
      const { server, tidings } = yield* world()
      const recorded = yield* tidings(emit("in-cluster"))
      assert.deepStrictEqual([recorded.code, recorded.err], [0, []])
      assert.strictEqual((yield* server.events).length, 1)
      const none = { KUBECONFIG: "" }
      assert.deepStrictEqual((yield* tidings(emit("in-log"), none)).err, [])
      assert.deepStrictEqual([yield* tidings(LIST), yield* tidings(LIST, none)].map(names), [
        ["in-cluster"],
        ["in-log"]
      ])
      assert.strictEqual((yield* server.events).length, 1)
    }).pipe(Effect.scoped)
  )

  it.live("is printed at a terminal where another store may have been meant", () =>
    Effect.gen(function* () {
      const { log, tidings } = yield* world()
      yield* tidings(emit("in-cluster"))
      assert.deepStrictEqual((yield* tidings(LIST, {}, true)).err, [])
      yield* tidings(emit("in-log"), { KUBECONFIG: "" })
      assert.deepStrictEqual((yield* tidings(LIST, {}, true)).err, [
        `note: this is the cluster of context admin; the event log in ${log} is shown by --backend filesystem`
      ])
      assert.deepStrictEqual((yield* tidings(LIST, {}, false)).err, [])
      // Who asked for it knows.
      for (const asked of [
        ["--backend", "kubernetes"],
        ["--context", "admin"]
      ]) {
        assert.deepStrictEqual((yield* tidings([...LIST, ...asked], {}, true)).err, [])
      }
      assert.deepStrictEqual((yield* tidings(LIST, { TIDINGS_BACKEND: "kubernetes" }, true)).err, [])
    }).pipe(Effect.scoped)
  )

  it.live("is the event log where the cluster does not answer, which is said, for reading and for recording", () =>
    Effect.gen(function* () {
      const { log, server, tidings } = yield* world()
      yield* server.killApiServer
      for (const argv of [emit("in-log"), LIST]) {
        const ran = yield* tidings(argv)
        assert.strictEqual(ran.code, 0)
        assert.strictEqual(ran.err.length, 1)
        assert.match(ran.err[0]!, /^note: the cluster of .*kubeconfig does not answer \(.*ECONNREFUSED.*\), so this is/)
        assert.include(ran.err[0]!, log)
        assert.include(ran.err[0]!, "--backend filesystem")
      }
      yield* server.startApiServer({ rolesAfter: 0 })
      assert.deepStrictEqual(yield* server.events, [])
    }).pipe(Effect.scoped)
  )

  it.live("is the event log where no kubeconfig chooses a cluster, and an error where one cannot be used", () =>
    Effect.gen(function* () {
      const { home, log, server, tidings } = yield* world()
      const file = path.join(home, "another")
      const ran = (text: string | undefined) => {
        if (text === undefined) fs.rmSync(file, { force: true })
        else fs.writeFileSync(file, text, { mode: 0o600 })
        return tidings(LIST, { KUBECONFIG: file })
      }
      for (const text of [undefined, "", "# nothing\n", "null\n", "{}", JSON.stringify({ contexts: [] })]) {
        const { code, err } = yield* ran(text)
        assert.strictEqual(code, 0, text)
        assert.match(err[0]!, /^note: no cluster is chosen: .*another .*, so this is the event log in /, text)
      }
      for (const text of ["{", "[]", JSON.stringify({ "current-context": "gone" }), JSON.stringify({ kind: "Pod" })]) {
        const { code, err, out } = yield* ran(text)
        assert.deepStrictEqual([code, out], [4, []], text)
        assert.match(err[0]!, /^error: .*another/, text)
      }
      assert.isFalse(fs.existsSync(log))
      assert.strictEqual((yield* server.connections).opened, 0)
    }).pipe(Effect.scoped)
  )

  it.live("is the cluster where one is asked for, and no other one in its place", () =>
    Effect.gen(function* () {
      const { home, log, server, tidings } = yield* world()
      yield* server.killApiServer
      const asked: ReadonlyArray<readonly [ReadonlyArray<string>, Environment]> = [
        [["--context", "user"], {}],
        [["--kubeconfig", path.join(home, "kubeconfig")], { KUBECONFIG: "" }],
        [["--backend", "kubernetes"], {}],
        [["--backend=KUBERNETES"], { TIDINGS_BACKEND: "filesystem" }],
        [[], { TIDINGS_BACKEND: "kubernetes" }]
      ]
      for (const [index, [flags, environment]] of asked.entries()) {
        for (const argv of index === 0 ? [LIST, ["follow"], ["get", "x"], emit("nowhere")] : [["follow"]]) {
          const ran = yield* tidings([...argv, ...flags], environment)
          assert.strictEqual(ran.code, 4, argv.join(" "))
          assert.deepStrictEqual(ran.out, [])
          assert.include(ran.err[0]!, "ECONNREFUSED")
          assert.notInclude(ran.err[0]!, "nothing was written")
        }
      }
      assert.isFalse(fs.existsSync(log))
      const unconfigured = yield* tidings([...LIST, "--backend", "kubernetes"], { KUBECONFIG: "" })
      assert.strictEqual(unconfigured.code, 4)
      assert.include(unconfigured.err[0]!, "no cluster is configured")
    }).pipe(Effect.scoped)
  )

  it.live("is the event log where a flag asks for it, without a request to the cluster", () =>
    Effect.gen(function* () {
      const { home, server, tidings } = yield* world()
      const other = path.join(home, "other")
      yield* tidings([...emit("one"), "--backend", "filesystem"])
      yield* tidings(emit("two"), { TIDINGS_BACKEND: "filesystem" })
      yield* tidings([...emit("three"), "--directory", other])
      yield* tidings([...emit("four"), "--directory", other], { TIDINGS_BACKEND: "kubernetes" })
      assert.deepStrictEqual(names(yield* tidings([...LIST, "--backend", "filesystem"])), ["one", "two"])
      assert.deepStrictEqual(names(yield* tidings([...LIST, "--directory", other])), ["three", "four"])
      assert.strictEqual((yield* server.connections).opened, 0)
    }).pipe(Effect.scoped)
  )

  it.live("is refused where flags contradict each other, or where it cannot be read", () =>
    Effect.gen(function* () {
      const { tidings } = yield* world()
      const contradictions: ReadonlyArray<readonly [ReadonlyArray<string>, string]> = [
        [
          ["--directory", "x", "--context", "y"],
          "--directory names an event log and --context a cluster: leave one out"
        ],
        [
          ["--directory", "x", "--kubeconfig", "y"],
          "--directory names an event log and --kubeconfig a cluster: leave one out"
        ],
        [
          ["--directory", "x", "--backend", "kubernetes"],
          "--directory names an event log, and --backend kubernetes is a cluster: leave one out"
        ],
        [
          ["--context", "x", "--backend", "filesystem"],
          "--context names a cluster, and --backend filesystem is the event log: leave one out"
        ],
        [["--context", ""], "--context is empty: leave it out"],
        [["--directory", ""], "--directory is empty: leave it out"],
        [["--backend", "etcd"], `--backend is "etcd", expected one of auto, kubernetes, filesystem, postgres`]
      ]
      for (const [flags, said] of contradictions) {
        for (const argv of [LIST, emit("x"), ["doctor"]]) {
          const ran = yield* tidings([...argv, ...flags])
          assert.deepStrictEqual([ran.code, ran.out, ran.err[0]], [2, [], `error: ${said}`])
        }
      }
      const memory = yield* tidings(LIST, { TIDINGS_BACKEND: "memory" })
      assert.strictEqual(memory.code, 4)
      assert.include(memory.err[0]!, "--backend kubernetes")
      const unknown = yield* tidings(LIST, { TIDINGS_BACKEND: "etcd" })
      assert.strictEqual(unknown.code, 1)
      assert.deepStrictEqual(unknown.err, [
        'error: the environment variable TIDINGS_BACKEND is none of "auto" | "kubernetes" | "filesystem" | "postgres" | "memory"'
      ])
    }).pipe(Effect.scoped)
  )
})

describe("a cluster", () => {
  it.live("gets events about cluster-scoped objects in the namespace that a flag names", () =>
    Effect.gen(function* () {
      const { server, tidings } = yield* world()
      const flag = "--cluster-scoped-namespace"
      const ran = yield* tidings(["emit", "node/worker", "NodeReady", flag, "kube-system"])
      assert.strictEqual(ran.code, 0)
      yield* tidings(["emit", "node/other", "NodeReady", flag, "default"])
      assert.sameMembers(
        (yield* server.events).map(({ metadata }) => metadata.namespace),
        ["kube-system", "default"]
      )
      const refused = yield* tidings(["emit", "node/worker", "NodeReady", flag, "team-a"])
      assert.strictEqual(refused.code, 2)
      const log = yield* tidings(["list", "--backend", "filesystem", flag, "default"])
      assert.strictEqual(log.code, 2)
      assert.include(log.err[0], "--cluster-scoped-namespace is about a cluster")
    }).pipe(Effect.scoped)
  )

  it.live("is read and written in the namespace of the context, as kubectl does", () =>
    Effect.gen(function* () {
      const { server, tidings } = yield* world()
      yield* tidings(emit("near"))
      yield* tidings(emit("far", "-n", "team-b"))
      yield* tidings(["emit", "node/worker", "NodeReady"])
      assert.sameDeepMembers(
        (yield* server.events).map(({ involvedObject, metadata }) => [
          metadata.namespace,
          (involvedObject as { readonly namespace?: string }).namespace
        ]),
        [
          ["team-a", "team-a"],
          ["team-b", "team-b"],
          ["default", undefined]
        ]
      )
      assert.deepStrictEqual(names(yield* tidings(LIST)), ["near"])
      assert.deepStrictEqual(names(yield* tidings([...LIST, "-n", "team-b"])), ["far"])
      assert.deepStrictEqual(names(yield* tidings([...LIST, "-A"])), ["near", "far", "worker"])
      assert.deepStrictEqual(names(yield* tidings([...LIST, "--for", "no/worker"])), ["worker"])
      assert.deepStrictEqual(names(yield* tidings([...LIST, "-n", "default"])), ["worker"])
      const empty = yield* tidings([...LIST, "-n", "kube-public"])
      assert.deepStrictEqual(empty.err, ["no events in namespace kube-public; in all namespaces: tidings list -A"])
    }).pipe(Effect.scoped)
  )

  it.live("needs no rights beyond the namespace, also where there is nothing in it", () =>
    Effect.gen(function* () {
      const rule = { apiGroups: [""], resources: ["events"], verbs: ["list", "watch"], namespaces: ["team-a"] }
      const { server, tidings } = yield* world({ users: [{ name: "near", rules: [rule] }] })
      const context = ["--context", "near"]
      const nothing = yield* tidings([...LIST, ...context, "--reason", "Never"])
      assert.deepStrictEqual(nothing, {
        code: 0,
        out: [],
        err: ["no events in namespace team-a; in all namespaces: tidings list -A"]
      })
      const everywhere = yield* tidings([...LIST, ...context, "-A"])
      assert.strictEqual(everywhere.code, 4)
      assert.match(everywhere.err[0]!, /^error: not allowed: .*at the cluster scope$/)
      assert.match(everywhere.err[1]!, /^to allow it, add the rule .* to a ClusterRole and bind it to User near$/)
      assert.isFalse(
        (yield* server.requests).some(
          ({ path, user, verb }) => user === "near" && verb !== "list" && path.includes("/events")
        )
      )
    }).pipe(Effect.scoped)
  )

  it.live("fails once, with the missing permission, for a user who may not record", () =>
    Effect.gen(function* () {
      const { tidings } = yield* world()
      const ran = yield* tidings([...emit("x"), "--context", "nobody"])
      assert.strictEqual(ran.code, 4)
      assert.deepStrictEqual(ran.out, [])
      assert.strictEqual(ran.err.length, 2)
      assert.match(ran.err[0]!, /^error: the event was not recorded: not allowed: HTTP 403: .*"nobody" cannot create/)
      assert.strictEqual(
        ran.err[1],
        'to allow it, add the rule {apiGroups: [""], resources: ["events"], verbs: ["create", "patch"]} to a Role in ' +
          "namespace team-a and bind it to User nobody"
      )
    }).pipe(Effect.scoped)
  )

  it.live("has the event once its id is printed, even when the first response was lost", () =>
    Effect.gen(function* () {
      const { server, tidings } = yield* world()
      const faults: ReadonlyArray<ApiServer.Fault> = [
        ApiServer.reset({ applied: true }),
        ApiServer.reset({ applied: false }),
        ApiServer.tooManyRequests()
      ]
      for (const [index, fault] of faults.entries()) {
        yield* server.inject(fault, { verb: "create", resource: "events" })
        const ran = yield* tidings([...emit(`run-${index}`), "--context", "user"])
        assert.deepStrictEqual([ran.code, ran.err], [0, []], fault._tag)
        const events = yield* server.events
        assert.strictEqual(events.length, index + 1)
        assert.isTrue(events.some(({ metadata }) => ran.out[0]!.startsWith(metadata.name!.split(".")[1]!)))
      }
      assert.strictEqual(yield* server.remaining, 0)
    }).pipe(Effect.scoped)
  )

  it.live("can be followed across an outage without repeated events", () =>
    Effect.gen(function* () {
      const { home, server, tidings } = yield* world()
      yield* tidings(emit("before"))
      yield* Effect.gen(function* () {
        const shown = Effect.map(TestConsole.logLines, (lines) =>
          lines
            .flatMap((line) => String(line).split("\n"))
            .filter((line) => line.startsWith("{"))
            .map((line): string => JSON.parse(line).involvedObject.name)
        )
        const until = (name: string): Effect.Effect<void> =>
          Effect.flatMap(shown, (all) =>
            all.includes(name) ? Effect.void : Effect.andThen(Effect.sleep(10), until(name))
          )
        const following = yield* Effect.forkChild(run(backend, ["follow", "-ondjson", "--backend", "kubernetes"]))
        yield* until("before")
        yield* tidings(emit("live"))
        yield* until("live")
        yield* server.killApiServer
        yield* server.startApiServer({ rolesAfter: 0 })
        yield* tidings(emit("after"))
        yield* until("after")
        yield* Fiber.interrupt(following)
        assert.deepStrictEqual(yield* shown, ["before", "live", "after"])
      }).pipe(
        Effect.provideService(
          ConfigProvider.ConfigProvider,
          ConfigProvider.fromUnknown({ KUBECONFIG: path.join(home, "kubeconfig") })
        ),
        Effect.provide(TestConsole.layer)
      )
    }).pipe(Effect.scoped)
  )
})

describe("doctor", () => {
  interface Report {
    readonly healthy: boolean
    readonly checks: ReadonlyArray<Check>
  }

  const report = ({ out }: Ran): Report => JSON.parse(out.join("\n"))
  const states = (ran: Ran) => Object.fromEntries(report(ran).checks.map(({ name, state }) => [name, state]))

  it.live("checks the chosen cluster in the chosen namespace", () =>
    Effect.gen(function* () {
      const { server, tidings } = yield* world()
      const healthy = yield* tidings(["doctor", "-o", "json"])
      assert.deepStrictEqual([healthy.code, healthy.err], [0, []])
      assert.isTrue(report(healthy).healthy)
      assert.deepStrictEqual(report(healthy).checks[0], {
        name: "store",
        state: "ok",
        found: "the cluster, because it is configured",
        facts: { mode: "kubernetes" }
      })
      const asked = yield* tidings(["doctor", "-ojson", "--context", "writer", "-n", "team-b"])
      assert.include(report(asked).checks[0]!.found, "it was chosen explicitly")
      assert.strictEqual(
        report(asked).checks.find(({ name }) => name === "create events")!.found,
        "allowed in namespace team-b"
      )
      const before = yield* server.resourceVersion
      const broken = yield* tidings(["doctor", "--context", "nobody", "-A"])
      assert.strictEqual(broken.code, 1)
      assert.deepStrictEqual(broken.err, ["error: 4 of 13 checks are broken"])
      const at = broken.out.findIndex((line) => /^broken {2}create events +not allowed in all namespaces/.test(line))
      assert.notStrictEqual(at, -1, broken.out.join("\n"))
      assert.match(broken.out[at + 1]!, /^ +to allow it, add the rule .* to a ClusterRole and bind it to User nobody$/)
      assert.strictEqual(yield* server.resourceVersion, before)
    }).pipe(Effect.scoped)
  )

  it.live("fails for a cluster that does not answer", () =>
    Effect.gen(function* () {
      const { log, server, tidings } = yield* world()
      yield* server.killApiServer
      const asked = yield* tidings(["doctor", "-ojson", "--backend", "kubernetes"])
      assert.strictEqual(asked.code, 1)
      assert.deepStrictEqual(states(asked), { store: "ok", configuration: "ok", reachable: "broken" })
      const fallen = yield* tidings(["doctor", "-ojson"])
      assert.strictEqual(fallen.code, 1)
      assert.deepStrictEqual(states(fallen), { store: "broken", directory: "note" })
      assert.include(report(fallen).checks[0]!.found, "ECONNREFUSED")
      assert.include(report(fallen).checks[0]!.advice!, "--backend kubernetes")
      assert.isFalse(fs.existsSync(log))
      const unconfigured = yield* tidings(["doctor", "-ojson", "--backend", "kubernetes"], { KUBECONFIG: "" })
      assert.deepStrictEqual(states(unconfigured), { store: "ok", configuration: "broken" })
      const memory = yield* tidings(["doctor", "-ojson"], { TIDINGS_BACKEND: "memory" })
      assert.deepStrictEqual([memory.code, states(memory)], [1, { store: "broken" }])
    }).pipe(Effect.scoped)
  )

  it.live("checks the event log where that is chosen", () =>
    Effect.gen(function* () {
      const { log, server, tidings } = yield* world()
      const none = { KUBECONFIG: "" }
      const absent = yield* tidings(["doctor", "-ojson"], none)
      assert.deepStrictEqual([absent.code, states(absent)], [0, { store: "ok", directory: "note" }])
      assert.isFalse(fs.existsSync(log))
      yield* tidings(emit("one"), none)
      const there = yield* tidings(["doctor", "-o", "yaml"], none)
      assert.deepStrictEqual([there.code, there.err], [0, []])
      assert.include(there.out, "healthy: true")
      assert.isTrue(
        there.out.some((line) => line.includes(`the event log in ${log}, because no cluster is configured`))
      )
      fs.chmodSync(log, 0o777)
      const open = yield* tidings(["doctor"], { ...none, TIDINGS_BACKEND: "filesystem" })
      assert.strictEqual(open.code, 1)
      assert.isTrue(
        open.out.some((line) => /^broken {2}permissions +mode 777/.test(line)),
        open.out.join("\n")
      )
      assert.isTrue(open.out.some((line) => line.includes(`chmod o-w ${log}`)))
      assert.strictEqual((yield* server.connections).opened, 0)
    }).pipe(Effect.scoped)
  )
})
