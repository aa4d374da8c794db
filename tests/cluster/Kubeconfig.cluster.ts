/**
 * Kubeconfigs and credentials beside kubectl: the same file, and the same outcome. What docs/reference/kubeconfig.md says
 * of each field is tried here.
 */
import { afterAll, assert, describe, it } from "@effect/vitest"
import * as client from "@kubernetes/client-node"
import * as fs from "node:fs"
import * as path from "node:path"
import { selfSigned } from "../../packages/backend-k8s/test/certificates.ts"
import {
  type Entry,
  Folder,
  kubeconfig,
  kubectlVersion,
  ourVersion,
  proxyTo,
  recording,
  run,
  type Seen,
  version,
  whoAmI
} from "./besideKubectl.ts"
import * as TestCluster from "./TestCluster.ts"

const cluster = await TestCluster.start()
afterAll(() => cluster[Symbol.asyncDispose]())
const own = cluster.own
if (own === undefined) throw new Error("kubeconfigs are compared on a cluster of our own, whose tokens are known")
const { kubectl } = own.tools

const API = "client.authentication.k8s.io/v1"
const base64 = (text: string): string => Buffer.from(text).toString("base64")
const real = {
  server: own.server,
  "certificate-authority-data": fs.readFileSync(own.certificateAuthority).toString("base64")
}
const token = (user: string): string => own.tokens[user]!
const credential = (status: Record<string, unknown>, apiVersion = API): string =>
  JSON.stringify({ apiVersion, kind: "ExecCredential", status })
const script = (folder: Folder, name: string, text: string): string => folder.file(name, `#!/bin/sh\n${text}\n`, 0o755)
const exec = (command: string, more: Record<string, unknown> = {}) => ({
  exec: { apiVersion: API, interactiveMode: "Never", command, ...more }
})

/** Both are the same user to the API server, who is this one. */
const sameUser = async (folder: Folder, KUBECONFIG: string, username: string): Promise<unknown> => {
  const both = await whoAmI(kubectl, folder.at, KUBECONFIG)
  assert.deepStrictEqual(both.ours, both.kubectl)
  assert.strictEqual((both.ours as { readonly username?: string }).username, username)
  return both.ours
}

interface Asking {
  readonly server?: Parameters<typeof recording>[0]
  readonly prepare?: (folder: Folder) => Entry
  readonly address?: (url: string) => string
}

/** kubectl and we ask a server of ours for its version, with the same kubeconfig. */
const bothAsk = async (entry: Entry, { address = String, prepare, server: kind }: Asking) => {
  using folder = new Folder()
  using server = await recording(kind)
  const more = prepare?.(folder) ?? {}
  const file = folder.file(
    "config",
    kubeconfig({
      cluster: { ...server.cluster, server: address(server.url), ...entry.cluster, ...more.cluster },
      user: { ...entry.user, ...more.user }
    })
  )
  return { ...(await version(kubectl, folder.at, file)), seen: server.seen }
}

/** What a server of ours saw of kubectl, having seen the same of us. */
const sameRequest = async (entry: Entry, asking: Asking = {}): Promise<Seen> => {
  const both = await bothAsk(entry, asking)
  assert.strictEqual(both.kubectl.code, 0, both.kubectl.stderr)
  assert.isUndefined(both.ours.error)
  const [kubectls, ...others] = both.seen
  assert.isAtLeast(others.length, 1)
  for (const other of others) assert.deepStrictEqual(other, kubectls)
  return kubectls!
}

/** Neither asks the server anything. */
const bothRefuse = async (
  entry: Entry,
  asking: Asking = {}
): Promise<{ readonly kubectl: string; readonly ours: string }> => {
  const both = await bothAsk(entry, asking)
  assert.notStrictEqual(both.kubectl.code, 0)
  assert.isDefined(both.ours.error)
  assert.deepStrictEqual(both.seen, [])
  return { kubectl: both.kubectl.stderr, ours: both.ours.error }
}

const headerOf = ({ headers }: Seen, name: string): ReadonlyArray<string> =>
  headers.filter(([one]) => one === name).map(([, value]) => value)

describe("files", () => {
  it("without entries are passed over, wherever in the list", async () => {
    using folder = new Folder()
    const good = folder.file("good", kubeconfig({ cluster: real, user: { token: token("user") } }))
    for (const [index, text] of ["", "# nothing yet\n", "---\n", "null\n", "{}\n"].entries()) {
      const empty = folder.file(`empty-${index}`, text)
      await sameUser(folder, [empty, good].join(path.delimiter), "user")
      await sameUser(folder, [good, path.join(folder.at, "missing"), empty].join(path.delimiter), "user")
    }
  })

  it("are merged by name: the first that has an entry or a current-context counts", async () => {
    using folder = new Folder()
    const entry = (name: string, user: string, current?: string): string =>
      JSON.stringify({
        clusters: [{ name: "c", cluster: real }],
        users: [{ name, user: { token: token(user) } }],
        contexts: [{ name, context: { cluster: "c", user: name } }],
        ...(current === undefined ? undefined : { "current-context": current })
      })
    const files = [
      folder.file("1", entry("one", "reader")),
      folder.file("2", entry("two", "writer", "one")),
      folder.file("3", entry("one", "nobody", "two"))
    ]
    await sameUser(folder, files.join(path.delimiter), "reader")
    await sameUser(folder, files.slice(1).join(path.delimiter), "nobody")
  })

  const good = kubeconfig({ cluster: real, user: { token: token("user") } })
  const yaml = `current-context: x
clusters: [{name: c, cluster: {server: "${real.server}", certificate-authority-data: ${real["certificate-authority-data"]}, disable-compression: yes}}]
users: [{name: u, user: {token: "${token("user")}"}}]
contexts: [{name: x, context: {cluster: c, user: u}}]
`
  it("are YAML 1.1: words for true, the last of two equal keys, the first document", async () => {
    using folder = new Folder()
    await sameUser(folder, folder.file("words", yaml), "user")
    await sameUser(folder, folder.file("keys", `current-context: y\n${yaml}`), "user")
    await sameUser(folder, folder.file("documents", `---\n${yaml}---\nother: things\n`), "user")
  })

  const malformed: ReadonlyArray<readonly [string, string]> = [
    ["text", "hello\n"],
    ["a list", "[]\n"],
    ["YAML that does not end", "clusters: [\n"],
    ["another kind", "apiVersion: v1\nkind: Pod\n"],
    ["another version", "apiVersion: v2\nkind: Config\n"],
    ["a token that is a number", yaml.replace(/token: "[^"]*"/, "token: 123")],
    ["a namespace that is a word for true", yaml.replace("user: u}", "user: u, namespace: y}")],
    ["a word for true in quotes", yaml.replace("disable-compression: yes", 'disable-compression: "yes"')],
    ["data that is not base64", yaml.replace(/data: [A-Za-z0-9+/=]*/, 'data: "%"')],
    ["one name twice", yaml.replace("users: [", "users: [{name: u, user: {}}, ")]
  ]
  for (const [what, text] of malformed) {
    it(`with ${what} are refused, also beside a good one`, async () => {
      using folder = new Folder()
      const bad = folder.file("bad", text)
      for (const list of [bad, [folder.file("good", good), bad].join(path.delimiter)]) {
        const both = await whoAmI(kubectl, folder.at, list)
        assert.include(String(both.kubectl), "error loading config file")
        assert.include(String(both.ours), `the kubeconfig ${bad} cannot be read`)
      }
    })
  }

  it("that are directories are refused", async () => {
    using folder = new Folder()
    const both = await whoAmI(kubectl, folder.at, [folder.file("good", good), folder.at].join(path.delimiter))
    assert.include(String(both.kubectl), "is a directory")
    assert.include(String(both.ours), "EISDIR")
  })

  it("and programs that a kubeconfig names are meant relative to it, from every directory", async () => {
    using folder = new Folder()
    folder.file("some/token", token("reader"))
    fs.copyFileSync(own.certificateAuthority, path.join(folder.at, "some/ca.crt"))
    const files = folder.file(
      "some/config",
      kubeconfig({
        cluster: { server: real.server, "certificate-authority": "ca.crt" },
        user: { tokenFile: "./token" }
      })
    )
    await sameUser(folder, files, "reader")
    script(folder, "some/bin/login", `echo '${credential({ token: token("writer") })}'`)
    for (const command of ["./bin/login", "bin/login", "../some/bin/login"]) {
      const program = folder.file("some/exec", kubeconfig({ cluster: real, user: exec(command) }))
      await sameUser(folder, program, "writer")
    }
    // A bare name is looked for in the PATH, and not beside the kubeconfig.
    script(folder, "some/tidings-login", `echo '${credential({ token: token("writer") })}'`)
    const bare = folder.file("some/bare", kubeconfig({ cluster: real, user: exec("tidings-login") }))
    const both = await whoAmI(kubectl, folder.at, bare)
    assert.include(String(both.kubectl), "executable tidings-login not found")
    assert.include(String(both.ours), "tidings-login: it was not found")
  })
})

describe("clusters", () => {
  it("may have a path, a query that does not count, and no scheme, which means no TLS", async () => {
    const withPath = await sameRequest({ user: { token: "t" } }, { address: (url) => `${url}/base/?x=y#z` })
    assert.strictEqual(withPath.url, "/base/version")
    const withoutScheme = await sameRequest(
      { user: { token: "t" } },
      { server: { plain: true }, address: (url) => url.replace("http://", "") }
    )
    assert.deepStrictEqual(headerOf(withoutScheme, "authorization"), [])
  })

  it("have their certificates checked by tls-server-name, which the server is told too", async () => {
    const named = await sameRequest(
      { cluster: { "tls-server-name": "k8s.example" }, user: { token: "t" } },
      { server: { name: "k8s.example" } }
    )
    assert.strictEqual(named.serverName, "k8s.example")
    const unnamed = await bothRefuse({ user: { token: "t" } }, { server: { name: "k8s.example" } })
    assert.include(unnamed.ours, "tls-server-name")
  })

  it("are not verified with insecure-skip-tls-verify, and credentials are sent", async () => {
    const skip = { "certificate-authority-data": undefined, "insecure-skip-tls-verify": true }
    const seen = await sameRequest({ cluster: skip, user: { token: "t" } }, { server: { name: "k8s.example" } })
    assert.deepStrictEqual(headerOf(seen, "authorization"), ["Bearer t"])
    await bothRefuse({ cluster: { "insecure-skip-tls-verify": true }, user: { token: "t" } })
  })

  it("with an authority that is no certificate, given twice, or not there are refused", async () => {
    await bothRefuse({ cluster: { "certificate-authority-data": base64("hello") }, user: { token: "t" } })
    await bothRefuse({ cluster: { "certificate-authority": own.certificateAuthority }, user: { token: "t" } })
    const missing = { "certificate-authority-data": undefined, "certificate-authority": "/nowhere/ca.crt" }
    assert.include((await bothRefuse({ cluster: missing, user: { token: "t" } })).ours, "/nowhere/ca.crt")
  })

  it("are asked for compressed answers, unless disable-compression says no, and those are read", async () => {
    assert.deepStrictEqual(headerOf(await sameRequest({ user: { token: "t" } }), "accept-encoding"), ["gzip"])
    const disabled = await sameRequest({ cluster: { "disable-compression": true }, user: { token: "t" } })
    assert.deepStrictEqual(headerOf(disabled, "accept-encoding"), [])
    // The API server compresses what is 128 KiB and more.
    using folder = new Folder()
    const file = folder.file("config", kubeconfig({ cluster: real, user: { token: token("admin") } }))
    await own.apply({
      apiVersion: "v1",
      kind: "ConfigMap",
      metadata: { name: "large", namespace: "default" },
      data: { text: "ä".repeat(100_000) }
    })
    const env = { PATH: process.env["PATH"] ?? "", HOME: folder.at, KUBECONFIG: file }
    const raw = await run(kubectl, ["get", "--raw", "/api/v1/namespaces/default/configmaps"], { cwd: "/", env })
    const ours = await cluster.request({ method: "GET", path: "/api/v1/namespaces/default/configmaps" })
    assert.strictEqual(ours.headers["content-encoding"], "gzip")
    assert.isTrue(ours.body === raw.stdout, "the same text, to the last byte")
  })

  for (const kind of ["http", "socks5"] as const) {
    it(`are reached through the proxy-url, here one of ${kind}, also on this machine`, async () => {
      using folder = new Folder()
      using server = await recording({ name: "k8s.example" })
      using proxy = await proxyTo(kind, server.port)
      const file = folder.file(
        "config",
        kubeconfig({
          cluster: { ...server.cluster, server: "https://k8s.example:6443", "proxy-url": proxy.url },
          user: { token: "t" }
        })
      )
      const both = await version(kubectl, folder.at, file, { NO_PROXY: "*" })
      assert.strictEqual(both.kubectl.code, 0, both.kubectl.stderr)
      assert.isUndefined(both.ours.error)
      assert.deepStrictEqual(proxy.asked, ["k8s.example:6443", "k8s.example:6443"])
      assert.deepStrictEqual(server.seen[1], server.seen[0])
    })
  }

  it("with a proxy-url of another kind are refused", async () => {
    for (const url of ["ftp://127.0.0.1:1", "socks5h://127.0.0.1:1", "127.0.0.1:1"]) {
      const both = await bothRefuse({ cluster: { "proxy-url": url } })
      assert.include(both.kubectl, "proxy-url")
      assert.include(both.ours, "proxy")
    }
  })
})

describe("users", () => {
  it("are told by client certificates, as data and as files", async () => {
    const { cert, key } = selfSigned("somebody")
    const data = { "client-certificate-data": base64(cert), "client-key-data": base64(key) }
    assert.strictEqual((await sameRequest({ user: data })).certificate, "somebody")
    const files = await sameRequest(
      {},
      {
        prepare: (folder) => {
          folder.file("c.crt", cert)
          folder.file("c.key", key)
          return { user: { "client-certificate": "c.crt", "client-key": "c.key" } }
        }
      }
    )
    assert.strictEqual(files.certificate, "somebody")
    await bothRefuse({ user: { "client-certificate-data": base64(cert) } })
    await bothRefuse({ user: { ...data, "client-certificate": "c.crt" } })
    await bothRefuse({ user: { ...data, "client-key": "c.key" } })
  })

  it("are told by a name and a password, and not by a token too", async () => {
    const seen = await sameRequest({ user: { username: "me", password: "pä:ß" } })
    assert.deepStrictEqual(headerOf(seen, "authorization"), [`Basic ${base64("me:pä:ß")}`])
    await bothRefuse({ user: { username: "me", password: "p", token: "t" } })
  })

  it("are told by a token, by that of a file before it, and by that beside a file that cannot be read", async () => {
    const tokenFile = (text: string | undefined, beside?: string) =>
      sameRequest(
        { user: beside === undefined ? {} : { token: beside } },
        {
          prepare: (folder) => {
            if (text !== undefined) folder.file("token", text)
            return { user: { tokenFile: "token" } }
          }
        }
      ).then((seen) => headerOf(seen, "authorization"))
    assert.deepStrictEqual(headerOf(await sameRequest({ user: { token: "t" } }), "authorization"), ["Bearer t"])
    assert.deepStrictEqual(await tokenFile("of-file\n"), ["Bearer of-file"])
    assert.deepStrictEqual(await tokenFile("of-file\n", "beside"), ["Bearer of-file"])
    assert.deepStrictEqual(await tokenFile(undefined, "beside"), ["Bearer beside"])
    assert.deepStrictEqual(await tokenFile("\n", "beside"), ["Bearer beside"])
    assert.include((await bothRefuse({ user: { tokenFile: "/nowhere/token" } })).ours, "/nowhere/token")
  })

  it("that have no credentials are asked for some by kubectl, which no API server takes, and are anonymous with us", async () => {
    using folder = new Folder()
    for (const context of [{}, { user: undefined }]) {
      const file = folder.file("config", kubeconfig({ cluster: real, user: {}, context }))
      const both = await whoAmI(kubectl, folder.at, file)
      assert.include(String(both.kubectl), "EOF")
      assert.include(String(both.ours), "system:anonymous")
    }
  })

  it("send no credentials without TLS, start no plugin, and say whom they impersonate", async () => {
    using folder = new Folder()
    const plugin = script(folder, "login", `touch ${folder.at}/started; echo '${credential({ token: "t" })}'`)
    for (const user of [
      { token: "t" },
      { tokenFile: "/nowhere/token" },
      { username: "me", password: "p" },
      exec(plugin)
    ]) {
      const seen = await sameRequest({ user: { as: "somebody", ...user } }, { server: { plain: true } })
      assert.deepStrictEqual(headerOf(seen, "authorization"), [])
      assert.deepStrictEqual(headerOf(seen, "impersonate-user"), ["somebody"])
    }
    assert.isFalse(fs.existsSync(path.join(folder.at, "started")))
  })

  const impersonated = {
    as: "jürgen",
    "as-uid": "0815",
    "as-groups": ["a, b", "größe", "c"],
    "as-user-extra": { "example.com/why": ["one", "two, three"], "Upper Case": ["x"], none: [] }
  }

  it("impersonate with user, uid, groups and extra, as the same headers", async () => {
    const seen = await sameRequest({ user: { token: "t", ...impersonated } })
    assert.lengthOf(headerOf(seen, "impersonate-group"), 3)
    assert.lengthOf(headerOf(seen, "impersonate-extra-example.com%2fwhy"), 2)
  })

  it("are the impersonated user to the API server", async () => {
    using folder = new Folder()
    const file = folder.file("config", kubeconfig({ cluster: real, user: { token: token("admin"), ...impersonated } }))
    const user = await sameUser(folder, file, "jürgen")
    assert.deepInclude(user, { uid: "0815", groups: ["a, b", "größe", "c", "system:authenticated"] })
    assert.deepInclude((user as { readonly extra: unknown }).extra, { "example.com/why": ["one", "two, three"] })
  })

  it("that impersonate nobody have no uid, groups or extra to impersonate with", async () => {
    for (const user of [{ "as-uid": "u" }, { "as-groups": ["g"] }, { "as-user-extra": { a: ["b"] } }]) {
      const both = await bothRefuse({ user })
      assert.include(both.kubectl, "without impersonating a user")
      assert.include(both.ours, "without as")
    }
  })

  it("of an auth-provider oidc send its token while it is good; the providers that are gone are refused", async () => {
    const part = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString("base64url")
    const claims = { iss: "https://issuer.example", exp: Math.floor(Date.now() / 1_000) + 3_600 }
    const idToken = `${part({ alg: "RS256" })}.${part(claims)}.${part("signature")}`
    const config = { "idp-issuer-url": claims.iss, "client-id": "id", "id-token": idToken, "refresh-token": "r" }
    const seen = await sameRequest({ user: { "auth-provider": { name: "oidc", config } } })
    assert.deepStrictEqual(headerOf(seen, "authorization"), [`Bearer ${idToken}`])
    for (const name of ["gcp", "azure", "tidings"]) await bothRefuse({ user: { "auth-provider": { name } } })
  })
})

describe("credential plugins", () => {
  const writingInfo = (folder: Folder, apiVersion: string) =>
    script(
      folder,
      "login",
      `printf '%s' "$KUBERNETES_EXEC_INFO" > ${folder.at}/info; printf '%s' "$OWN $*" > ${folder.at}/own
       echo '${credential({ token: "t" }, apiVersion)}'`
    )

  /** What the plugin is told, by kubectl and by us. */
  const sameInfo = async (
    cluster: Record<string, unknown>,
    more: Record<string, unknown>,
    apiVersion = API
  ): Promise<Record<string, unknown>> => {
    using folder = new Folder()
    using server = await recording()
    const plugin = writingInfo(folder, apiVersion)
    const env = [{ name: "OWN", value: "own" }]
    const user = { exec: { apiVersion, interactiveMode: "Never", command: plugin, args: ["a b", "c"], env, ...more } }
    const file = folder.file("config", kubeconfig({ cluster: { ...server.cluster, ...cluster }, user }))
    const told = (): unknown => {
      const info: unknown = JSON.parse(fs.readFileSync(path.join(folder.at, "info"), "utf8"))
      assert.strictEqual(fs.readFileSync(path.join(folder.at, "own"), "utf8"), "own a b c")
      fs.rmSync(path.join(folder.at, "info"))
      fs.rmSync(path.join(folder.at, "own"))
      return info
    }
    // Neither reaches a server through the proxies that are named here; the plugin runs before.
    await kubectlVersion(kubectl, folder.at, file)
    const kubectls = told()
    await ourVersion(folder.at, file)
    assert.deepStrictEqual(told(), kubectls)
    return (kubectls as { readonly spec: Record<string, unknown> }).spec
  }

  it("get the same input in both versions: whether they are interactive, and nothing else", async () => {
    for (const apiVersion of [API, "client.authentication.k8s.io/v1beta1"]) {
      assert.deepStrictEqual(await sameInfo({}, {}, apiVersion), { interactive: false })
    }
    // Before v1 a plugin need not say whether it needs a person.
    await sameInfo({}, { interactiveMode: undefined }, "client.authentication.k8s.io/v1beta1")
  })

  it("get the whole cluster with provideClusterInfo", async () => {
    const extensions = [
      { name: "client.authentication.k8s.io/exec", extension: { audience: "me", list: [1, { a: null }] } },
      { name: "other", extension: { a: 1 } }
    ]
    for (const apiVersion of [API, "client.authentication.k8s.io/v1beta1"]) {
      await sameInfo({}, { provideClusterInfo: true }, apiVersion)
      const { cluster: told } = await sameInfo(
        {
          "tls-server-name": "k8s.example",
          "proxy-url": "http://127.0.0.1:1",
          "disable-compression": true,
          extensions
        },
        { provideClusterInfo: true },
        apiVersion
      )
      assert.hasAllKeys(told as object, [
        "server",
        "tls-server-name",
        "certificate-authority-data",
        "proxy-url",
        "disable-compression",
        "config"
      ])
    }
    const skip = { "certificate-authority-data": undefined, "insecure-skip-tls-verify": true }
    const { cluster: told } = await sameInfo(skip, { provideClusterInfo: true })
    assert.strictEqual((told as Record<string, unknown>)["insecure-skip-tls-verify"], true)
    const file = { "certificate-authority-data": undefined, "certificate-authority": own.certificateAuthority }
    const { cluster: ofFile } = await sameInfo(file, { provideClusterInfo: true })
    assert.isString((ofFile as Record<string, unknown>)["certificate-authority-data"])
  })

  it("give a token, or a client certificate, in JSON and in YAML", async () => {
    using folder = new Folder()
    const { cert, key } = selfSigned("somebody")
    const printing = (name: string, text: string) => script(folder, name, `cat "${folder.file(`${name}.out`, text)}"`)
    const yaml = `apiVersion: ${API}\nkind: ExecCredential\nstatus: {token: t}\n`
    for (const text of [credential({ token: "t", expirationTimestamp: "2099-01-01T00:00:00+02:00" }), yaml]) {
      const seen = await sameRequest({ user: exec(printing("token", text)) })
      assert.deepStrictEqual(headerOf(seen, "authorization"), ["Bearer t"])
    }
    const certificate = credential({ clientCertificateData: cert, clientKeyData: key })
    const seen = await sameRequest({ user: exec(printing("certificate", certificate)) })
    assert.strictEqual(seen.certificate, "somebody")
  })

  it("that print something else are refused", async () => {
    using folder = new Folder()
    const outputs = [
      "",
      "hello",
      JSON.stringify({ kind: "ExecCredential", status: { token: "t" } }),
      JSON.stringify({ apiVersion: API, kind: "ExecCredential" }),
      credential({}),
      credential({ clientCertificateData: "c" }),
      credential({ token: 5 }),
      credential({ token: "t", expirationTimestamp: "tomorrow" }),
      credential({ token: "t" }, "client.authentication.k8s.io/v1beta1")
    ]
    for (const [index, text] of outputs.entries()) {
      await bothRefuse({ user: exec(script(folder, "login", `cat "${folder.file(`out-${index}`, text)}"`)) })
    }
  })

  it("are not started for users with other credentials", async () => {
    using folder = new Folder()
    const plugin = script(folder, "login", `touch ${folder.at}/started; exit 1`)
    const { cert, key } = selfSigned("somebody")
    for (const user of [
      { token: "t" },
      { username: "me", password: "p" },
      { "client-certificate-data": base64(cert), "client-key-data": base64(key) }
    ]) {
      await sameRequest({ user: { ...user, ...exec(plugin) } })
    }
    assert.isFalse(fs.existsSync(path.join(folder.at, "started")))
  })

  it("that are not configured as they must be are refused before they are started", async () => {
    using folder = new Folder()
    const plugin = script(folder, "login", `touch ${folder.at}/started; echo '${credential({ token: "t" })}'`)
    for (const more of [
      { command: undefined },
      { apiVersion: undefined },
      { apiVersion: "client.authentication.k8s.io/v1alpha1" },
      { interactiveMode: undefined },
      { interactiveMode: "Sometimes" },
      { interactiveMode: "Always" },
      { env: [{ value: "x" }] }
    ]) {
      await bothRefuse({ user: exec(plugin, more) })
    }
    await bothRefuse({ user: { ...exec(plugin), "auth-provider": { name: "oidc" } } })
    assert.isFalse(fs.existsSync(path.join(folder.at, "started")))
  })

  it("that are not installed are named with their installHint", async () => {
    const hint = { installHint: "get it from \u001b[1mexample.com" }
    const shown = "get it from U+001B[1mexample.com"
    const both = await bothRefuse({ user: exec("tidings-no-such-plugin", hint) })
    assert.include(both.kubectl, shown)
    assert.include(both.ours, shown)
    // With a path, kubectl keeps the hint to itself.
    const byPath = await bothRefuse({ user: exec("./no/such/plugin", hint) })
    assert.include(byPath.kubectl, "no such file or directory")
    assert.include(byPath.ours, shown)
  })

  /** A host in a process of its own, as kubectl is. */
  const host = (folder: Folder, KUBECONFIG: string) => ({
    command: process.execPath,
    args: ["--conditions=@tidings/source", path.join(import.meta.dirname, "whoAmI.ts")],
    options: { cwd: "/", env: { PATH: process.env["PATH"] ?? "", HOME: folder.at, KUBECONFIG } }
  })

  it("speak to the terminal while they run: their standard error is that of the host", async () => {
    using folder = new Folder()
    const sentence = "To sign in, open https://login.example/device and enter the code ABCD-EFGH"
    const plugin = script(
      folder,
      "login",
      `echo "${sentence}" >&2; sleep 1.5; echo '${credential({ token: token("user") })}'`
    )
    const file = folder.file("config", kubeconfig({ cluster: real, user: exec(plugin) }))
    const { args, command, options } = host(folder, file)
    const ran = [
      await run(kubectl, ["auth", "whoami", "-o", "json"], options),
      await run(command, args, options)
    ] as const
    for (const { code, saidBeforeEnd, stderr, stdout } of ran) {
      assert.strictEqual(code, 0, stderr)
      assert.strictEqual(stderr, `${sentence}\n`)
      assert.isAtLeast(saidBeforeEnd, 1_400)
      assert.strictEqual(JSON.parse(stdout).status.userInfo.username, "user")
    }
  })

  it("have the standard input where it is a terminal and they ask for it", async () => {
    using folder = new Folder()
    const plugin = script(
      folder,
      "login",
      `printf '%s' "$KUBERNETES_EXEC_INFO" > ${folder.at}/info; read -r answer; printf '%s' "$answer" > ${folder.at}/answer
       echo '${credential({ token: token("user") })}'`
    )
    for (const [interactiveMode, isAsked] of [
      ["Always", true],
      ["IfAvailable", true],
      ["Never", false]
    ] as const) {
      const config = kubeconfig({ cluster: real, user: exec(plugin, { interactiveMode }) })
      const { args, command, options } = host(folder, folder.file("config", config))
      for (const line of [
        [kubectl, "auth", "whoami"],
        [command, ...args]
      ]) {
        // script(1) of util-linux gives a terminal, in which this is typed.
        const quoted = line.map((word) => `'${word}'`).join(" ")
        await run("sh", ["-c", `(sleep 0.3; echo typed; sleep 3) | script -qec "${quoted}" /dev/null`], options)
        const info = JSON.parse(fs.readFileSync(path.join(folder.at, "info"), "utf8"))
        assert.deepStrictEqual(info.spec, { interactive: isAsked })
        assert.strictEqual(fs.readFileSync(path.join(folder.at, "answer"), "utf8"), isAsked ? "typed" : "")
        fs.rmSync(path.join(folder.at, "info"))
        fs.rmSync(path.join(folder.at, "answer"))
      }
    }
  })
})

describe("a KubeConfig that the host has loaded", () => {
  it("is taken as it is, with its current context or with another one, and stays as it is", async () => {
    using folder = new Folder()
    const kubeConfig = new client.KubeConfig()
    kubeConfig.loadFromFile(own.kubeconfig)
    const current = kubeConfig.getCurrentContext()
    for (const context of [undefined, "reader"]) {
      const file = folder.file("config", kubeconfig({ cluster: real, user: { token: token(context ?? current) } }))
      const kubectls = await whoAmI(kubectl, folder.at, file)
      // What the environment says is not looked at.
      const ours = await whoAmI(kubectl, folder.at, "/nowhere", { kubeConfig, context })
      assert.deepStrictEqual(ours.ours, kubectls.kubectl)
      assert.strictEqual((ours.ours as { readonly username: string }).username, context ?? current)
    }
    assert.strictEqual(kubeConfig.getCurrentContext(), current)
  })
})
