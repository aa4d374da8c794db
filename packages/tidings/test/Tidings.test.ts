import { assert, describe, it } from "@effect/vitest"
import { Backend } from "@tidings/core/Backend"
import * as ApiServer from "@tidings/testing-k8s/ApiServer"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { parse as load } from "yaml"
import * as BackendChoice from "tidings/BackendChoice"
import * as Tidings from "tidings/Tidings"

const folder = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "tidings-choice-"))),
  (path) => Effect.sync(() => rmSync(path, { recursive: true, force: true }))
)

/** What is chosen in an environment, and the lines that say so. */
const choose = (environment: Record<string, string>, options?: BackendChoice.Options) =>
  Effect.gen(function* () {
    const lines: Array<string> = []
    const capture = Logger.make<unknown, void>(({ message }) => void lines.push(String(message)))
    const mode = yield* Effect.map(Backend, ({ mode }) => mode).pipe(
      Effect.provide(BackendChoice.layer(options)),
      Effect.provide(
        Layer.merge(Logger.layer([capture]), ConfigProvider.layer(ConfigProvider.fromUnknown(environment)))
      )
    )
    return { mode, lines }
  })

const kubeconfigTo = (server: string) =>
  JSON.stringify({
    apiVersion: "v1",
    kind: "Config",
    clusters: [{ name: "test", cluster: { server } }],
    users: [{ name: "test", user: { token: "x" } }],
    contexts: [{ name: "test", context: { cluster: "test", user: "test" } }],
    "current-context": "test"
  })

describe("BackendChoice", () => {
  it.live("takes the event log where no cluster is configured, and says so in one line", () =>
    Effect.gen(function* () {
      const home = yield* folder
      const directory = join(home, "log")
      const { lines, mode } = yield* choose({ HOME: home, TIDINGS_DIRECTORY: directory })
      assert.strictEqual(mode, "filesystem")
      assert.deepStrictEqual(lines.slice(0, 1), [
        `Events go to the log in ${directory}, because no cluster is configured`
      ])
      // And, once in the life of a log, how long it keeps them.
      assert.match(lines.slice(1).join("\n"), /^A new event log in .* keeps events for 90 days, up to [^\n]*$/)
      assert.isTrue(existsSync(directory))
    })
  )

  it.live("takes the event log where the cluster does not answer, and says why", () =>
    Effect.gen(function* () {
      const home = yield* folder
      const kubeconfig = join(home, "config")
      writeFileSync(kubeconfig, kubeconfigTo("https://127.0.0.1:1"))
      const { lines, mode } = yield* choose({
        HOME: home,
        TIDINGS_DIRECTORY: join(home, "log"),
        KUBECONFIG: kubeconfig
      })
      assert.strictEqual(mode, "filesystem")
      assert.strictEqual(lines.length, 2)
      assert.include(lines[0]!, "does not answer")
    })
  )

  it.live("is forced by the environment", () =>
    Effect.gen(function* () {
      const home = yield* folder
      const kubeconfig = join(home, "config")
      writeFileSync(kubeconfig, kubeconfigTo("https://127.0.0.1:1"))
      const environment = { HOME: home, KUBECONFIG: kubeconfig, TIDINGS_DIRECTORY: join(home, "log") }
      assert.strictEqual((yield* choose({ ...environment, TIDINGS_BACKEND: "kubernetes" })).mode, "kubernetes")
      assert.strictEqual((yield* choose({ ...environment, TIDINGS_BACKEND: "filesystem" })).mode, "filesystem")
      assert.strictEqual((yield* choose({ ...environment, TIDINGS_BACKEND: "memory" })).mode, "memory")
      const wrong = yield* Effect.flip(choose({ ...environment, TIDINGS_BACKEND: "etcd" }))
      assert.include(wrong.message, "TIDINGS_BACKEND")
    })
  )
})

describe("BackendChoice with a login", () => {
  /** A cluster whose credentials come from a plugin: a shell script. */
  const withPlugin = Effect.fnUntraced(function* (script: string) {
    const server = yield* ApiServer.make()
    const home = yield* folder
    const kubeconfig = join(home, "config")
    const plugin = join(home, "plugin.sh")
    const own = JSON.parse(JSON.stringify(load(server.kubeconfig))) as {
      readonly clusters: ReadonlyArray<unknown>
      readonly users: ReadonlyArray<{ readonly name: string; readonly user: { readonly token: string } }>
    }
    const credential = JSON.stringify({
      apiVersion: "client.authentication.k8s.io/v1",
      kind: "ExecCredential",
      status: { token: own.users.find(({ name }) => name === "admin")!.user.token }
    })
    writeFileSync(plugin, `#!/bin/sh\n${script.replace("CREDENTIAL", `echo '${credential}'`)}\n`, { mode: 0o755 })
    const exec = { apiVersion: "client.authentication.k8s.io/v1", command: "./plugin.sh", interactiveMode: "Never" }
    writeFileSync(
      kubeconfig,
      JSON.stringify({
        clusters: own.clusters,
        users: [{ name: "u", user: { exec } }],
        contexts: [{ name: "x", context: { cluster: "tidings", user: "u" } }],
        "current-context": "x"
      })
    )
    const environment = { HOME: home, KUBECONFIG: kubeconfig, TIDINGS_DIRECTORY: join(home, "log") }
    return { home, server, environment }
  })

  it.live("takes the cluster however long a person takes, and writes nothing to disk", () =>
    Effect.gen(function* () {
      const { environment } = yield* withPlugin("sleep 1.5; CREDENTIAL")
      const { mode } = yield* choose(environment, { patience: "300 millis" })
      assert.strictEqual(mode, "kubernetes")
      assert.isFalse(existsSync(environment.TIDINGS_DIRECTORY))
    }).pipe(Effect.scoped)
  )

  it.live("takes the event log where the server does not answer after a login, whose time does not count", () =>
    Effect.gen(function* () {
      const { environment, server } = yield* withPlugin("sleep 1; CREDENTIAL")
      yield* server.pauseApiServer
      const begun = Date.now()
      const { lines, mode } = yield* choose(environment, { patience: "700 millis" })
      assert.strictEqual(mode, "filesystem")
      assert.include(lines[0]!, "no answer within 700ms")
      assert.isAtLeast(Date.now() - begun, 1_600)
    }).pipe(Effect.scoped)
  )

  it.live("takes the cluster where a login fails or does not end, and writes nothing to disk", () =>
    Effect.gen(function* () {
      for (const script of ["exit 1", "sleep 60; CREDENTIAL"]) {
        const { environment } = yield* withPlugin(script)
        const { mode } = yield* choose(environment, { patience: "200 millis", loginTimeout: "600 millis" })
        assert.strictEqual(mode, "kubernetes")
        assert.isFalse(existsSync(environment.TIDINGS_DIRECTORY))
      }
    }).pipe(Effect.scoped)
  )
})

describe("BackendChoice in a pod", () => {
  const pod = { KUBERNETES_SERVICE_HOST: "127.0.0.1", KUBERNETES_SERVICE_PORT: "1" }

  it.live("takes the cluster, whether it answers or not, and writes nothing to disk", () =>
    Effect.gen(function* () {
      const home = yield* folder
      const kubeconfig = join(home, "config")
      writeFileSync(kubeconfig, kubeconfigTo("https://127.0.0.1:1"))
      const environment = { ...pod, HOME: home, KUBECONFIG: kubeconfig, TIDINGS_DIRECTORY: join(home, "log") }
      assert.strictEqual((yield* choose(environment)).mode, "kubernetes")
      assert.isFalse(existsSync(environment.TIDINGS_DIRECTORY))
      assert.strictEqual((yield* choose({ ...environment, TIDINGS_BACKEND: "filesystem" })).mode, "filesystem")
    })
  )

  it.live("fails where no cluster is configured, and says how to choose", () =>
    Effect.gen(function* () {
      const home = yield* folder
      const environment = { ...pod, HOME: home, TIDINGS_DIRECTORY: join(home, "log") }
      const error = yield* Effect.flip(choose(environment))
      assert.include(error.message, "TIDINGS_BACKEND=filesystem")
      assert.isFalse(existsSync(environment.TIDINGS_DIRECTORY))
    })
  )
})

describe("create", () => {
  it("gives a host without Effect every operation as a promise", async () => {
    const directory = mkdtempSync(join(tmpdir(), "tidings-create-"))
    try {
      {
        await using tidings = await Tidings.create({
          backend: "filesystem",
          directory,
          console: false,
          component: "host"
        })
        assert.isFalse(tidings.isKubernetesMode)
        await tidings.createEvent({ kind: "Deployment", name: "web" }, "RolloutStarted", "version 2", "Normal")
        await tidings.createEventForCRD("Workflow", "deploy", "default", "Custom", "by hand", "Warning")
        await tidings.createEventWithData({ kind: "Workflow", name: "deploy" }, "WorkflowStepFailed", { stepId: "s1" })
        await tidings.generator.mcpServerEvent({ metadata: { name: "search" } }, "MCPServerStarted")
        await tidings.generator.emit({ metadata: { name: "search" } }, "MCPServerStopped")
        const status = await tidings.status()
        assert.strictEqual(status.accepted, 5)
        assert.deepStrictEqual(await tidings.flush("1 second"), { complete: true, waiting: 0, pending: { default: 0 } })
        const refused = await tidings
          .createEvent({ kind: "Pod", name: "" }, "", "x", "Normal")
          .catch((error: Error) => error)
        assert.strictEqual((refused as { readonly _tag?: string })._tag, "InvalidEvent")
      }
      await using again = await Tidings.create({ backend: "filesystem", directory, console: false })
      const { totalCount } = await again.queryEvents()
      assert.strictEqual(totalCount, 5)
      const seen: Array<string> = []
      for await (const item of again.watchEvents({ eventType: "Warning" }, "beginning")) {
        if (item._tag !== "Event") break
        seen.push(item.event.event.reason)
      }
      assert.deepStrictEqual(seen, ["Custom", "WorkflowStepFailed"])
    } finally {
      rmSync(directory, { recursive: true, force: true })
    }
  })

  const tagOf = (call: Promise<unknown>): Promise<string | undefined> =>
    call.then(
      () => "resolved",
      (error: { readonly _tag?: string; readonly reason?: { readonly _tag: string } }) =>
        error.reason === undefined ? error._tag : `${error._tag}: ${error.reason._tag}`
    )

  it("answers each call in flight at close with the outcome of its event", async () => {
    const home = mkdtempSync(join(tmpdir(), "tidings-create-"))
    const kubeconfig = join(home, "config")
    writeFileSync(kubeconfig, kubeconfigTo("https://127.0.0.1:1"))
    const journal = join(home, "journal")
    const open = () =>
      Tidings.create({ backend: "kubernetes", kubeconfig, journal, component: "host", drainTimeout: "1 second" })
    try {
      const tidings = await open()
      const record = (name: string) => tidings.createEvent({ kind: "Pod", name }, "Started", "it runs", "Normal")
      const calls = Array.from({ length: 20 }, (_, n) => tagOf(record(`pod-${n}`)))
      const closing = tidings.close()
      calls.push(tagOf(record("late")))
      const answers = await Promise.all(calls)
      await closing
      assert.deepStrictEqual(new Set(answers.slice(0, 20)), new Set(["resolved"]))
      assert.strictEqual(answers[20], "RecorderError: Closed")
      const again = await open()
      assert.strictEqual((await again.status()).sinks["default"]?.recovered, 20)
      await again.close()
    } finally {
      rmSync(home, { recursive: true, force: true })
    }
  })

  it("refuses calls after close with typed errors, and ends watches", async () => {
    const tidings = await Tidings.create({ backend: "memory" })
    const following = (async () => {
      for await (const item of tidings.watchEvents({}, "now")) assert.strictEqual(item._tag, "Live")
      return "ended"
    })()
    await new Promise((resolve) => setTimeout(resolve, 0))
    await tidings.close()
    await tidings.close()
    assert.strictEqual(await following, "ended")
    const record = tidings.generator.emit({ metadata: { name: "search" } }, "MCPServerStopped")
    assert.strictEqual(await tagOf(record), "RecorderError: Closed")
    assert.strictEqual(await tagOf(tidings.queryEvents()), "BackendError: Unavailable")
    assert.strictEqual(await tagOf(tidings.flush("1 second")), "resolved")
    assert.strictEqual(await tagOf(tidings.flush(-1)), "InvalidTimeout")
    assert.strictEqual(await tagOf(tidings.status()), "resolved")
  })

  it("rejects invalid input with a typed error, and never throws synchronously", async () => {
    await using tidings = await Tidings.create({ backend: "memory" })
    const throwing = new Proxy(
      {},
      {
        get: () => {
          throw new Error("nothing can be read")
        }
      }
    )
    const reference = { kind: "Pod", name: "web" }
    for (const [index, found] of [undefined, null, Symbol("s"), throwing, 7n].entries()) {
      const thing = found as never
      for (const call of [
        () => tidings.createEvent(thing, "Started", "it runs", "Normal"),
        () => tidings.createEvent(reference, thing, "it runs", "Normal"),
        () => tidings.createEventForCRD(thing, "a", "default", "Started", "it runs", "Normal"),
        () => tidings.createEventWithData(thing, "Started", {}),
        () => tidings.createEventWithData(reference, thing, {}),
        () => tidings.generator.emit(thing, "MCPServerStopped"),
        () => tidings.generator.workflowEvent(thing, "WorkflowStepFailed", { stepId: "a", error: "b" }),
        () => tidings.generator.crdEvent(thing, "a", "default", "WorkflowStepFailed", thing)
      ]) {
        assert.strictEqual(await tagOf(call()), "InvalidEvent")
      }
      assert.strictEqual(await tagOf(tidings.queryEvents({ limit: thing ?? -1 })), "InvalidQuery")
      // A BigInt is a number of nanoseconds.
      if (index < 4) assert.strictEqual(await tagOf(tidings.flush(thing)), "InvalidTimeout")
    }
  })

  it("says of what is no reference what was given, and how a reference is written", async () => {
    await using tidings = await Tidings.create({ backend: "memory", component: "test", logger: false })
    const told = async (given: unknown): Promise<string> => {
      try {
        await tidings.createEvent(given as never, "Started", "it runs", "Normal")
        return "accepted"
      } catch (error) {
        return (error as Error).message.replace("the event was not recorded: ", "")
      }
    }
    assert.strictEqual(
      await told({ kind: "Deployment", metadata: { name: "web" } }),
      'involvedObject.metadata is {"name":"web"}, expected name and namespace beside kind, as a reference has them: {"kind":"Deployment","name":"web"}'
    )
    assert.strictEqual(
      await told("Deployment/web"),
      'involvedObject is "Deployment/web", expected an object with kind and name'
    )
    assert.match(
      await told([{ kind: "Deployment", name: "web" }]),
      /^involvedObject is \[.*\], expected an object with/
    )
  })

  it("rejects with a typed error when a store cannot be opened, and leaves nothing open", async () => {
    const error = await Tidings.create({ backend: "filesystem", directory: "/dev/null/log" }).catch(
      (error: Error) => error
    )
    assert.strictEqual((error as { readonly _tag?: string })._tag, "BackendError")
  })
})
