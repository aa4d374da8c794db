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
      assert.strictEqual(one.server, "https://one.example:6443")
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
      assert.include(yield* message(simple("a").replace("https://a.example:6443", "a server")), "is not the address")
      assert.include(yield* message("clusters: [\n"), "cannot be read")
      const missing = yield* Effect.flip(load({ kubeconfig: path.join(at, "nowhere") }))
      assert.include(missing.message, "nowhere cannot be read")
    })
  )

  it.effect("takes a context without a user, and a server without TLS or without a scheme", () =>
    Effect.gen(function* () {
      const at = yield* directory
      const anonymous = simple("a").replace("user: a,", "")
      const serverOf = (server: string) =>
        Effect.map(
          load({ kubeconfig: file(at, "config", anonymous.replace("https://a.example:6443", server)) }),
          (loaded) => [loaded.server, loaded.isSecure]
        )
      assert.deepStrictEqual(yield* serverOf("http://a:8001"), ["http://a:8001", false])
      assert.deepStrictEqual(yield* serverOf("a:8001"), ["http://a:8001", false])
      assert.deepStrictEqual(yield* serverOf("a.example"), ["http://a.example", false])
      assert.deepStrictEqual(yield* serverOf("HTTPS://a:1/base?x=y#z"), ["HTTPS://a:1/base", true])
    })
  )

  it.effect("takes files without entries: empty, of comments, and ones with a mark of a document", () =>
    Effect.gen(function* () {
      const at = yield* directory
      const good = file(at, "good", simple("a"))
      for (const [index, text] of [
        "",
        "# nothing yet\n",
        "---\n",
        " \n\n",
        "null\n",
        "{}\n",
        "kind: Config\n"
      ].entries()) {
        const empty = file(at, `empty-${index}`, text)
        for (const list of [
          [empty, good],
          [good, empty]
        ]) {
          const loaded = yield* load({ kubeconfig: list.join(path.delimiter) })
          assert.strictEqual(loaded.server, "https://a.example:6443")
        }
        const error = yield* Effect.flip(load({ kubeconfig: empty }))
        assert.include(error.message, "has no contexts")
      }
    })
  )

  it.effect("refuses what kubectl refuses, names its place, and shows nothing of the file", () =>
    Effect.gen(function* () {
      const at = yield* directory
      const cases: ReadonlyArray<readonly [string, string]> = [
        [
          simple("a").replace("token: token-of-a", "token: 12345"),
          "users[0].user.token must be text in quotes, and is a number"
        ],
        [
          simple("a").replace("namespace: ns-of-a", "namespace: y"),
          "contexts[0].context.namespace must be text in quotes"
        ],
        [
          simple("a").replace("cluster: { server", 'cluster: { insecure-skip-tls-verify: "yes", server'),
          "clusters[0].cluster.insecure-skip-tls-verify must be true or false, and is a string"
        ],
        [
          simple("a").replace("cluster: { server", 'cluster: { certificate-authority-data: "a%", server'),
          "clusters[0].cluster.certificate-authority-data is not base64"
        ],
        [simple("a").replace(/users: .*/, "users: [{ name: u }, { name: u }]"), 'users has the name "u" twice'],
        [simple("a").replace(/users: .*/, "users: { u: {} }"), "users must be a list, and is a map"],
        ["- a\n", "the file must be a map, and is a list"],
        ["kind: Pod\napiVersion: v1\n", "not a kubeconfig, but apiVersion v1, kind Pod"],
        ["kind: Config\napiVersion: v2\n", "not a kubeconfig, but apiVersion v2, kind Config"],
        ["token: secret-text\n  a: [\n", "line 2"]
      ]
      for (const [text, expected] of cases) {
        const error = yield* Effect.flip(load({ kubeconfig: file(at, "config", text) }))
        assert.strictEqual(error.reason._tag, "Unavailable")
        assert.include(error.message, expected)
        assert.notInclude(error.message, "secret-text")
      }
      const directoryNamed = yield* Effect.flip(
        load({ kubeconfig: [at, file(at, "good", simple("a"))].join(path.delimiter) })
      )
      assert.include(directoryNamed.message, "EISDIR")
    })
  )

  it.effect("reads the words and numbers of YAML 1.1, the last of two equal keys, and the first document", () =>
    Effect.gen(function* () {
      const at = yield* directory
      const text = simple("a").replace("cluster: { server", "cluster: { disable-compression: yes, server")
      const loaded = yield* load({
        kubeconfig: file(at, "config", `${text}current-context: b\ncurrent-context: a\n---\nx: y\n`)
      })
      assert.isTrue(loaded.disableCompression)
      assert.strictEqual(loaded.context, "a")
    })
  )

  it.effect("refuses settings that exclude each other, all of them at once", () =>
    Effect.gen(function* () {
      const at = yield* directory
      const problem = (cluster: Record<string, unknown>, user: Record<string, unknown>) =>
        Effect.map(
          Effect.flip(
            load({
              kubeconfig: file(
                at,
                "config",
                JSON.stringify({
                  "current-context": "x",
                  clusters: [{ name: "c", cluster: { server: "https://a", ...cluster } }],
                  users: [{ name: "u", user }],
                  contexts: [{ name: "x", context: { cluster: "c", user: "u" } }]
                })
              )
            })
          ),
          ({ message }) => message
        )
      const v1 = { apiVersion: "client.authentication.k8s.io/v1", command: "p", interactiveMode: "Never" }
      const cases: ReadonlyArray<readonly [Record<string, unknown>, Record<string, unknown>, string]> = [
        [{ server: "" }, {}, 'cluster "c" has no server'],
        [{ server: "ftp://a" }, {}, "is not the address"],
        [{ "certificate-authority": "f", "certificate-authority-data": "aGk=" }, {}, "both certificate-authority and"],
        [{ "certificate-authority": "f", "insecure-skip-tls-verify": true }, {}, "insecure-skip-tls-verify too"],
        [{ "proxy-url": "socks5h://me:secret@x" }, {}, "the proxy socks5h://x of cluster"],
        [{ "proxy-url": "127.0.0.1:1" }, {}, "cannot be used"],
        [{}, { token: "t", username: "n" }, "both a token and a name with a password"],
        [{}, { "client-certificate": "f" }, "without client-key"],
        [{}, { "client-certificate": "f", "client-certificate-data": "aGk=", "client-key": "f" }, "leave one out"],
        [{}, { "client-certificate": "f", "client-key": "f", "client-key-data": "aGk=" }, "leave one out"],
        [{}, { "as-groups": ["g"] }, "without as"],
        [{}, { "as-uid": "u" }, "without as"],
        [{}, { "as-user-extra": { a: ["b"] } }, "without as"],
        [{}, { exec: v1, "auth-provider": { name: "oidc" } }, "both exec and auth-provider"],
        [{}, { exec: { ...v1, command: "" } }, 'exec of user "u" has no command'],
        [{}, { exec: { ...v1, apiVersion: "" } }, "has no apiVersion"],
        [{}, { exec: { ...v1, apiVersion: "client.authentication.k8s.io/v1alpha1" } }, "v1alpha1"],
        [{}, { exec: { ...v1, interactiveMode: undefined } }, "has no interactiveMode"],
        [{}, { exec: { ...v1, interactiveMode: "Sometimes" } }, 'the interactiveMode "Sometimes"'],
        [{}, { exec: { ...v1, env: [{ value: "x" }] } }, "a variable without a name"]
      ]
      for (const [cluster, user, expected] of cases) {
        const message = yield* problem(cluster, user)
        assert.include(message, expected)
        assert.notInclude(message, "secret")
      }
      const both = yield* problem({ server: "" }, { "as-uid": "u" })
      assert.include(both, "has no server")
      assert.include(both, "without as")
    })
  )

  it.effect(
    "takes files and programs relative to the file that names them, and bare names of programs as they are",
    () =>
      Effect.gen(function* () {
        const at = yield* directory
        const exec = (command: string) =>
          `exec: { apiVersion: client.authentication.k8s.io/v1, interactiveMode: Never, command: ${command} }`
        const userOf = (user: string) =>
          Effect.map(
            load({ kubeconfig: file(at, "sub/config", simple("a").replace("token: token-of-a", user)) }),
            ({ identity }) => (identity._tag === "User" ? identity.user : assert.fail())
          )
        const files = yield* userOf("tokenFile: t/token, client-certificate: ../c.crt, client-key: /k.key")
        assert.strictEqual(files.tokenFile, path.join(at, "sub/t/token"))
        assert.strictEqual(files.clientCertificate, path.join(at, "c.crt"))
        assert.strictEqual(files.clientKey, "/k.key")
        assert.strictEqual((yield* userOf(exec("./bin/p"))).plugin?.command, path.join(at, "sub/bin/p"))
        assert.strictEqual((yield* userOf(exec("bin/p"))).plugin?.command, path.join(at, "sub/bin/p"))
        assert.strictEqual((yield* userOf(exec("p"))).plugin?.command, "p")
        // A link leads to what lies beside the link.
        fs.mkdirSync(path.join(at, "elsewhere"))
        fs.symlinkSync(path.join(at, "sub/config"), path.join(at, "elsewhere/config"))
        yield* userOf("tokenFile: token")
        const { identity } = yield* load({ kubeconfig: path.join(at, "elsewhere/config") })
        assert.strictEqual(identity._tag === "User" ? identity.user.tokenFile : "", path.join(at, "elsewhere/token"))
      })
  )

  it.effect("reads the service account of a pod", () =>
    Effect.gen(function* () {
      const at = yield* directory
      file(at, "token", "secret\n")
      file(at, "namespace", "shop")
      const certificate = file(at, "ca.crt", "certificate")
      const pod = {
        HOME: "/nowhere",
        KUBERNETES_SERVICE_HOST: "fd00::1",
        KUBERNETES_SERVICE_PORT: "443"
      }
      const inPod = (more: Record<string, string> = {}) =>
        withEnvironment({ ...pod, ...more })(load({ serviceAccountDirectory: at }))
      const loaded = yield* inPod()
      assert.strictEqual(loaded.server, "https://[fd00::1]:443")
      assert.strictEqual(loaded.namespace, "shop")
      assert.isTrue(loaded.isSecure)
      assert.strictEqual(loaded.identity._tag, "User")
      if (loaded.identity._tag !== "User") return
      assert.strictEqual(loaded.identity.cluster.certificateAuthority, certificate)
      assert.strictEqual(loaded.identity.user.tokenFile, path.join(at, "token"))
      assert.strictEqual((yield* inPod({ POD_NAMESPACE: "given" })).namespace, "given")
    })
  )

  it.effect("reads the service account of a pod where the files of KUBECONFIG are missing or name no context", () =>
    Effect.gen(function* () {
      const at = yield* directory
      const account = path.join(at, "account")
      file(account, "token", "secret\n")
      file(account, "namespace", "shop")
      const inPod = (KUBECONFIG: string) =>
        withEnvironment({ HOME: at, KUBECONFIG, KUBERNETES_SERVICE_HOST: "10.0.0.1", KUBERNETES_SERVICE_PORT: "443" })(
          load({ serviceAccountDirectory: account })
        )
      for (const KUBECONFIG of [
        path.join(at, "missing"),
        file(at, "empty", ""),
        file(at, "unset", simple("a", false))
      ]) {
        const loaded = yield* inPod(KUBECONFIG)
        assert.strictEqual(loaded.server, "https://10.0.0.1:443")
        assert.strictEqual(kubeconfig.describe(loaded.source), `the service account in ${account}`)
      }
      // A context without a namespace means that of the pod, as kubectl has it.
      const named = yield* inPod(file(at, "named", simple("a").replace(", namespace: ns-of-a", "")))
      assert.deepStrictEqual([named.server, named.namespace], ["https://a.example:6443", "shop"])
    })
  )
})
