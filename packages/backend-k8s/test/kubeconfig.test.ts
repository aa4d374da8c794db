import { assert, describe, it } from "@effect/vitest"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Effect from "effect/Effect"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import * as kubeconfig from "../src/internal/kubeconfig.ts"
import * as KubernetesConnection from "../src/KubernetesConnection.ts"

const directory = Effect.acquireRelease(
  Effect.sync(() => fs.mkdtempSync(path.join(os.tmpdir(), "tidings-kubeconfig-"))),
  (directory) => Effect.sync(() => fs.rmSync(directory, { recursive: true, force: true }))
)

const file = (at: string, name: string, text: string): string => {
  const full = path.join(at, name)
  fs.mkdirSync(path.dirname(full), { recursive: true })
  fs.writeFileSync(full, text)
  return full
}

const withEnvironment =
  (env: Record<string, string>) =>
  <A, E, R>(effect: Effect.Effect<A, E, R>) =>
    Effect.provideService(effect, ConfigProvider.ConfigProvider, ConfigProvider.fromEnv({ env }))

const simple = (name: string, current = true) => `
apiVersion: v1
kind: Config
${current ? `current-context: ${name}` : ""}
clusters: [{ name: ${name}, cluster: { server: "https://${name}.example:6443" } }]
users: [{ name: ${name}, user: { token: token-of-${name} } }]
contexts: [{ name: ${name}, context: { cluster: ${name}, user: ${name}, namespace: ns-of-${name} } }]
`

const load = (options: KubernetesConnection.Options) =>
  Effect.flatMap(kubeconfig.find(options), (source) => kubeconfig.load(source!, options.context))

describe("finding the configuration", () => {
  it.effect("the option comes before KUBECONFIG, that before ~/.kube/config, that before the service account", () =>
    Effect.gen(function* () {
      const at = yield* directory
      const option = file(at, "option", simple("option"))
      const named = file(at, "named", simple("named"))
      file(at, "home/.kube/config", simple("home"))
      const account = path.join(at, "account")
      file(account, "token", "secret\n")
      const env = { KUBERNETES_SERVICE_HOST: "10.0.0.1", KUBERNETES_SERVICE_PORT: "6443" }
      const home = path.join(at, "home")
      const found = (options: KubernetesConnection.Options, more: Record<string, string>) =>
        withEnvironment({ ...env, ...more })(
          KubernetesConnection.configured({ serviceAccountDirectory: account, ...options })
        )
      assert.strictEqual(yield* found({ kubeconfig: option }, { HOME: home, KUBECONFIG: named }), option)
      assert.strictEqual(yield* found({}, { HOME: home, KUBECONFIG: named }), named)
      assert.strictEqual(yield* found({}, { HOME: home, KUBECONFIG: "" }), path.join(home, ".kube/config"))
      assert.strictEqual(yield* found({}, { HOME: at }), `the service account in ${account}`)
      assert.isUndefined(
        yield* withEnvironment({ HOME: at })(KubernetesConnection.configured({ serviceAccountDirectory: account }))
      )
      assert.isUndefined(yield* found({ serviceAccountDirectory: at }, { HOME: at }))
    })
  )

  it.effect("without any, the connection says where it looked", () =>
    Effect.gen(function* () {
      const at = yield* directory
      const error = yield* Effect.flip(
        withEnvironment({ HOME: at })(KubernetesConnection.make({ serviceAccountDirectory: at }))
      )
      assert.strictEqual(error.reason._tag, "Unavailable")
      assert.include(error.message, "KUBECONFIG is not set")
    })
  )
})

describe("reading the configuration", () => {
  it.effect("merges files as kubectl does: what comes first counts, and files that are missing are passed over", () =>
    Effect.gen(function* () {
      const at = yield* directory
      const first = file(at, "first", simple("one", false))
      const second = file(at, "second", simple("two"))
      const third = file(at, "third", simple("one").replace("one.example", "other.example"))
      const list = [first, path.join(at, "missing"), second, third].join(path.delimiter)
      const loaded = yield* load({ kubeconfig: list })
      assert.strictEqual(loaded.context, "two")
      assert.strictEqual(loaded.namespace, "ns-of-two")
      const one = yield* load({ kubeconfig: list, context: "one" })
      assert.strictEqual(one.cluster.server, "https://one.example:6443")
    })
  )

  it.effect("says what is wrong and what there is", () =>
    Effect.gen(function* () {
      const at = yield* directory
      const message = (text: string, context?: string) =>
        Effect.map(Effect.flip(load({ kubeconfig: file(at, "config", text), context })), (error) => {
          assert.strictEqual(error.reason._tag, "Unavailable")
          return error.message
        })
      assert.include(yield* message(simple("a"), "b"), 'no context "b"; there are: a')
      assert.include(yield* message(simple("a", false)), "no current-context; name one of: a")
      assert.include(yield* message(simple("a").replace("cluster: a,", "cluster: z,")), 'names cluster "z"')
      assert.include(yield* message(simple("a").replace("user: a,", "user: z,")), 'names user "z"')
      assert.include(yield* message(simple("a").replace("https://a.example:6443", "a server")), "is no address")
      assert.include(yield* message("clusters: [\n"), "cannot be read")
      const missing = yield* Effect.flip(load({ kubeconfig: path.join(at, "nowhere") }))
      assert.include(missing.message, "nowhere cannot be read")
    })
  )

  it.effect("takes a context without a user, and a server without TLS", () =>
    Effect.gen(function* () {
      const at = yield* directory
      const config = file(at, "config", simple("a").replace("user: a,", "").replace("https:", "http:"))
      const loaded = yield* load({ kubeconfig: config })
      assert.isTrue(loaded.cluster.skipTLSVerify)
      yield* Effect.promise(() => loaded.kubeConfig.applyToHTTPSOptions({}))
    })
  )

  it.effect("knows token files, relative to the file that names them", () =>
    Effect.gen(function* () {
      const at = yield* directory
      const config = file(at, "config", simple("a").replace("token: token-of-a", "tokenFile: sub/token"))
      assert.strictEqual((yield* load({ kubeconfig: config })).tokenFile, path.join(at, "sub/token"))
      assert.isUndefined((yield* load({ kubeconfig: file(at, "other", simple("a")) })).tokenFile)
    })
  )

  it.effect("tells a credential plugin what it is run for", () =>
    Effect.gen(function* () {
      const at = yield* directory
      const config = file(
        at,
        "config",
        simple("a").replace(
          "token: token-of-a",
          "exec: { apiVersion: client.authentication.k8s.io/v1, command: my-plugin, provideClusterInfo: true, env: [{ name: A, value: b }] }"
        )
      )
      const loaded = yield* load({ kubeconfig: config })
      assert.strictEqual(loaded.plugin, "my-plugin")
      const { env } = loaded.kubeConfig.getCurrentUser()!.exec
      assert.deepStrictEqual(env[0], { name: "A", value: "b" })
      assert.strictEqual(env[1].name, "KUBERNETES_EXEC_INFO")
      assert.deepStrictEqual(JSON.parse(env[1].value), {
        apiVersion: "client.authentication.k8s.io/v1",
        kind: "ExecCredential",
        spec: { interactive: false, cluster: { server: "https://a.example:6443" } }
      })
    })
  )

  it.effect("reads the service account of a pod", () =>
    Effect.gen(function* () {
      const at = yield* directory
      file(at, "token", "secret\n")
      file(at, "namespace", "shop")
      const certificate = file(at, "ca.crt", "certificate")
      const loaded = yield* withEnvironment({
        HOME: "/nowhere",
        KUBERNETES_SERVICE_HOST: "fd00::1",
        KUBERNETES_SERVICE_PORT: "443"
      })(load({ serviceAccountDirectory: at }))
      assert.strictEqual(loaded.cluster.server, "https://[fd00::1]:443")
      assert.strictEqual(loaded.cluster.caFile, certificate)
      assert.strictEqual(loaded.tokenFile, path.join(at, "token"))
      assert.strictEqual(loaded.namespace, "shop")
    })
  )
})
