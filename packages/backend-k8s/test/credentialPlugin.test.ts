import { assert, describe, it } from "@effect/vitest"
import { spawn } from "node:child_process"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import { setTimeout as sleep } from "node:timers/promises"
import { afterEach } from "vitest"
import * as credentialPlugin from "../src/internal/credentialPlugin.ts"
import type { Cluster, Plugin } from "../src/internal/kubeconfigFile.ts"
import * as processTree from "../src/internal/processTree.ts"

const made: Array<string> = []
afterEach(() => {
  for (const directory of made.splice(0)) fs.rmSync(directory, { recursive: true, force: true })
})

const directory = (): string => {
  const at = fs.mkdtempSync(path.join(os.tmpdir(), "tidings-plugin-"))
  made.push(at)
  return at
}

const API = "client.authentication.k8s.io/v1"

const cluster: Cluster = {
  name: "c",
  server: "https://k8s.example",
  tlsServerName: undefined,
  insecureSkipTlsVerify: false,
  certificateAuthority: undefined,
  certificateAuthorityData: undefined,
  proxyUrl: undefined,
  disableCompression: false,
  pluginConfig: undefined
}

const credential = (status: Record<string, unknown>): string =>
  JSON.stringify({ apiVersion: API, kind: "ExecCredential", status })

const script = (at: string, text: string): string => {
  const file = path.join(at, "plugin.sh")
  fs.writeFileSync(file, `#!/bin/sh\n${text}\n`, { mode: 0o755 })
  return file
}

const plugin = (command: string, more: Partial<Plugin> = {}): Plugin => ({
  command,
  args: [],
  env: [],
  apiVersion: API,
  installHint: undefined,
  provideClusterInfo: false,
  interactiveMode: "Never",
  ...more
})

const open = (one: Plugin, timeoutMillis = 10_000, interactive = true) =>
  credentialPlugin.open(one, cluster, undefined, { interactive, timeoutMillis })

/** What is given, or what is wrong. */
const ask = async (one: Plugin, timeoutMillis?: number, interactive?: boolean): Promise<unknown> => {
  const opened = open(one, timeoutMillis, interactive)
  try {
    return await opened.get(Date.now)
  } catch (error) {
    return (error as Error).message
  } finally {
    opened.close()
  }
}

const isThere = (pid: number): boolean => {
  try {
    // A child that has ended and that nobody has asked about is there for the system only.
    const state = fs.readFileSync(`/proc/${pid}/stat`, "utf8")
    return state.slice(state.lastIndexOf(")") + 2)[0] !== "Z"
  } catch {
    return false
  }
}

const eventually = async (condition: () => boolean): Promise<void> => {
  for (let waited = 0; !condition(); waited += 10) {
    assert.isBelow(waited, 20_000, "it did not come to pass")
    await sleep(10)
  }
}

const pidsIn = (file: string): ReadonlyArray<number> =>
  fs.existsSync(file) ? fs.readFileSync(file, "utf8").trim().split("\n").map(Number) : []

describe("what a plugin prints", () => {
  it("is a token, a client certificate, or both, with the time until which they are good", async () => {
    const at = directory()
    const given = (status: Record<string, unknown>) => ask(plugin(script(at, `echo '${credential(status)}'`)))
    assert.deepStrictEqual(await given({ token: "t", expirationTimestamp: "2030-01-02T03:04:05Z" }), {
      token: "t",
      certificate: undefined,
      expiresAt: Date.UTC(2030, 0, 2, 3, 4, 5)
    })
    assert.deepStrictEqual(await given({ clientCertificateData: "c", clientKeyData: "k" }), {
      token: undefined,
      certificate: { cert: "c", key: "k" },
      expiresAt: undefined
    })
  })

  it("may be YAML", async () => {
    const at = directory()
    const yaml = `apiVersion: ${API}\nkind: ExecCredential\nstatus:\n  token: t`
    assert.include(await ask(plugin(script(at, `cat <<'E'\n${yaml}\nE`))), { token: "t" })
  })

  const wrong: ReadonlyArray<readonly [string, string]> = [
    ["secret-text", "it printed no ExecCredential"],
    ["", "it printed no ExecCredential"],
    ["{", "it printed no ExecCredential"],
    [JSON.stringify({ kind: "ExecCredential", status: { token: "t" } }), "of undefined, and not of"],
    [credential({}).replace("/v1", "/v1beta1"), "of client.authentication.k8s.io/v1beta1, and not of"],
    [JSON.stringify({ apiVersion: API, kind: "ExecCredential" }), "without a status"],
    [credential({}), "neither a token nor a client certificate"],
    [credential({ clientKeyData: "secret-text" }), "a client key without a certificate"],
    [credential({ clientCertificateData: "c" }), "a client certificate without a key"],
    [credential({ token: 5 }), "status.token is not text"],
    [credential({ token: "secret-text", expirationTimestamp: "tomorrow" }), "is not an RFC 3339 time"]
  ]
  for (const [output, expected] of wrong) {
    it(`is refused without being shown: ${output.slice(0, 60)} is "${expected}"`, async () => {
      const message = String(await ask(plugin(script(directory(), `printf '%s' '${output}'`))))
      assert.include(message, expected)
      assert.notInclude(message, "secret-text")
    })
  }
})

describe("a plugin that fails", () => {
  it("is named with its exit code and what it said, without codes for a terminal", async () => {
    const message = await ask(plugin(script(directory(), "printf 'log in \\033[1mfirst\\n' >&2; exit 3")))
    assert.strictEqual(message, "it failed with exit code 3: log in U+001B[1mfirst")
  })

  it("because it is not there is named with the hint how to install it", async () => {
    const hint = { installHint: "install it with\n  brew \u001b[1minstall x" }
    for (const command of ["tidings-no-such-plugin", "/nowhere/plugin"]) {
      assert.strictEqual(
        await ask(plugin(command, hint)),
        "it was not found\n\ninstall it with\n  brew U+001B[1minstall x"
      )
    }
    const notExecutable = path.join(directory(), "plugin")
    fs.writeFileSync(notExecutable, "#!/bin/sh\n")
    assert.strictEqual(await ask(plugin(notExecutable)), "it was not found")
  })

  it("is not found in the PATH that its own environment names, nor in the current directory", async () => {
    const at = directory()
    fs.renameSync(script(at, `echo '${credential({ token: "t" })}'`), path.join(at, "tidings-plugin"))
    const named = plugin("tidings-plugin", { env: [{ name: "PATH", value: at }] })
    const before = process.env["PATH"]
    assert.strictEqual(await ask(named), "it was not found")
    try {
      process.env["PATH"] = `.${path.delimiter}${path.relative(process.cwd(), at)}`
      assert.strictEqual(await ask(plugin("tidings-plugin")), "it was not found")
      process.env["PATH"] = `${at}${path.delimiter}${before}`
      assert.include(await ask(plugin("tidings-plugin")), { token: "t" })
    } finally {
      process.env["PATH"] = before
    }
  })

  it("that needs a person is not started where there is none", async () => {
    const at = directory()
    const always = plugin(script(at, `touch ${at}/started`), { interactiveMode: "Always" })
    assert.strictEqual(await ask(always), "it needs input from a person, and standard input is not a terminal")
    assert.isFalse(fs.existsSync(path.join(at, "started")))
  })

  it("is not started again for five seconds, however many ask: each start may open a window", async () => {
    const at = directory()
    const opened = open(plugin(script(at, `echo x >> ${at}/runs; exit 1`)))
    let now = 0
    const failed = () =>
      opened
        .get(() => now)
        .then(
          () => assert.fail(),
          (error: Error) => error.message
        )
    const runs = () => fs.readFileSync(path.join(at, "runs"), "utf8").trim().split("\n").length
    await Promise.all([failed(), failed(), failed()])
    now = 4_999
    await failed()
    assert.strictEqual(runs(), 1)
    now = 5_000
    await failed()
    assert.strictEqual(runs(), 2)
    opened.close()
  })
})

describe("a plugin that hangs", () => {
  /** Writes its number and that of what it starts; neither listens to SIGTERM where told so. */
  const hanging = (at: string, before = ""): string =>
    script(
      at,
      `${before}echo $$ >> ${at}/pids; sh -c '${before}echo $$ >> ${at}/pids; sleep 333; true' & wait; sleep 333`
    )

  for (const [how, before] of [
    ["", ""],
    [", though it does not listen", 'trap "" TERM; ']
  ] as const) {
    it(`is ended with its children after its time${how}`, async () => {
      const at = directory()
      assert.match(String(await ask(plugin(hanging(at, before)), 500)), /gave no credentials within .* and was stopped/)
      const pids = pidsIn(path.join(at, "pids"))
      assert.lengthOf(pids, 2)
      await eventually(() => !pids.some(isThere))
    })
  }

  it("is ended when nobody uses it any more", async () => {
    const at = directory()
    const one = plugin(hanging(at))
    const [first, second] = [open(one), open(one)]
    const answer = first.get(Date.now).then(
      () => assert.fail(),
      (error: Error) => error.message
    )
    await eventually(() => pidsIn(path.join(at, "pids")).length === 2)
    first.close()
    first.close()
    await sleep(100)
    const pids = pidsIn(path.join(at, "pids"))
    assert.isTrue(pids.every(isThere))
    assert.isTrue(second.isRunning())
    second.close()
    assert.strictEqual(await answer, "no request waits for it any more")
    await eventually(() => !pids.some(isThere))
  })

  it("is ended with its children when the process ends first", async () => {
    const at = directory()
    const one = plugin(hanging(at))
    const source = path.join(import.meta.dirname, "../src/internal/credentialPlugin.ts")
    const program = `
      import { open } from ${JSON.stringify(source)}
      import { existsSync, readFileSync } from "node:fs"
      const file = ${JSON.stringify(path.join(at, "pids"))}
      const opened = open(${JSON.stringify(one)}, {}, undefined, { interactive: true, timeoutMillis: 60000 })
      opened.get(Date.now).catch(() => {})
      setInterval(() => {
        if (existsSync(file) && readFileSync(file, "utf8").trim().split("\\n").length === 2) process.exit(7)
      }, 20)`
    const host = spawn(process.execPath, ["--input-type=module", "-e", program], { stdio: "inherit" })
    assert.strictEqual(await new Promise((resolve) => host.on("exit", resolve)), 7)
    const pids = pidsIn(path.join(at, "pids"))
    assert.lengthOf(pids, 2)
    await eventually(() => !pids.some(isThere))
  })

  it("that leaves a program behind with its output open does not hang with it, and leaves that alone", async () => {
    const at = directory()
    const one = plugin(script(at, `sleep 333 & echo $! > ${at}/pids; echo '${credential({ token: "t" })}'`))
    const begun = Date.now()
    assert.include(await ask(one), { token: "t" })
    assert.isBelow(Date.now() - begun, 8_000)
    const [left] = pidsIn(path.join(at, "pids"))
    assert.isTrue(isThere(left!))
    await processTree.end(left!)
    await eventually(() => !isThere(left!))
  })
})

describe("a plugin that is shared", () => {
  it("is started once at a time, by whichever connection, and again when its answer is refused or over", async () => {
    const at = directory()
    const text = `echo x >> ${at}/runs; n=$(wc -l < ${at}/runs | tr -d ' '); sleep 0.1
      echo '{"apiVersion":"${API}","kind":"ExecCredential","status":{"token":"'$n'","expirationTimestamp":"1970-01-01T00:00:10Z"}}'`
    const one = plugin(script(at, text))
    const [first, second] = [open(one), open(one)]
    let now = 0
    const clock = () => now
    const answers = await Promise.all([1, 2, 3, 4].flatMap(() => [first.get(clock), second.get(clock)]))
    assert.deepStrictEqual(new Set(answers.map(({ token }) => token)), new Set(["1"]))
    now = 10_000
    assert.strictEqual((await second.get(clock)).token, "1")
    first.forget(answers[0]!)
    const renewed = await first.get(clock)
    assert.strictEqual(renewed.token, "2")
    // Who was refused with the one before finds that it was renewed.
    second.forget(answers[0]!)
    assert.strictEqual((await second.get(clock)).token, "2")
    now = 10_001
    assert.strictEqual((await second.get(clock)).token, "3")
    first.close()
    second.close()
    const again = open(one)
    assert.strictEqual((await again.get(clock)).token, "4")
    again.close()
  })
})
