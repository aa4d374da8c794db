import { assert, describe, it } from "@effect/vitest"
import { Backend } from "@tidings/core/Backend"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
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
      assert.deepStrictEqual(lines, [`Events go to the log in ${directory}, because no cluster is configured`])
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
      assert.strictEqual(lines.length, 1)
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

describe("create", () => {
  it("gives a host without Effect the whole of it as promises", async () => {
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

  it("rejects with the typed error of what cannot be opened, and leaves nothing behind", async () => {
    const error = await Tidings.create({ backend: "filesystem", directory: "/dev/null/log" }).catch(
      (error: Error) => error
    )
    assert.strictEqual((error as { readonly _tag?: string })._tag, "BackendError")
  })
})
