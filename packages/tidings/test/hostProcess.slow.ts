// Hosts of the promise API as processes: they end when what they do is over, and say nothing on stdout.
import { assert, describe, it } from "@effect/vitest"
import * as ApiServer from "@tidings/testing-k8s/ApiServer"
import * as Effect from "effect/Effect"
import { spawn } from "node:child_process"
import { once } from "node:events"
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { stripTypeScriptTypes } from "node:module"
import { tmpdir } from "node:os"
import { join } from "node:path"

const root = join(import.meta.dirname, "..", "..", "..")
const host = join(import.meta.dirname, "fixtures", "watchingHost.ts")

const folder = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "tidings-host-"))),
  (path) => Effect.sync(() => rmSync(path, { recursive: true, force: true }))
)

interface Ran {
  readonly code: number | string | null
  readonly out: string
  readonly err: string
}

/** A process that does not end by itself is killed after a while, and its code is the signal. */
const run = (
  home: string,
  file: string,
  { args = [], signal }: { readonly args?: ReadonlyArray<string>; readonly signal?: NodeJS.Signals }
) =>
  Effect.promise(async (): Promise<Ran> => {
    const child = spawn(process.execPath, ["--conditions=@tidings/source", file, ...args], {
      cwd: home,
      env: { PATH: process.env["PATH"], HOME: home },
      timeout: 15_000,
      killSignal: "SIGKILL"
    })
    let out = ""
    let err = ""
    let isSent = false
    child.stdout.on("data", (chunk) => {
      out += String(chunk)
      if (isSent || signal === undefined || !out.includes("ready")) return
      isSent = true
      child.kill(signal)
    })
    child.stderr.on("data", (chunk) => (err += String(chunk)))
    const [code, endedBy] = (await once(child, "close")) as [number | null, string | null]
    return { code: code ?? endedBy, out, err }
  })

const kubeconfig = (home: string, cluster: object, user: object): string => {
  const path = join(home, "config")
  const contexts = [{ name: "test", context: { cluster: "test", user: "test" } }]
  writeFileSync(
    path,
    JSON.stringify({
      clusters: [{ name: "test", cluster }],
      users: [{ name: "test", user }],
      contexts,
      "current-context": "test"
    })
  )
  return path
}

describe("a host that watches", () => {
  for (const backend of ["memory", "filesystem"]) {
    for (const end of ["break", "signal", "close", "return"]) {
      it.live(`ends by itself when its watch of ${backend} has ended by ${end}`, () =>
        Effect.gen(function* () {
          const home = yield* folder
          const ran = yield* run(home, host, { args: [backend, end, join(home, "log")] })
          assert.deepStrictEqual({ code: ran.code, out: ran.out }, { code: 0, out: "ended\n" }, ran.err)
          assert.include(ran.err, "as configured")
        })
      )
    }
  }

  for (const end of ["break", "signal", "close", "return"]) {
    it.live(`ends by itself when its watch of a cluster has ended by ${end} and it is closed`, () =>
      Effect.gen(function* () {
        const home = yield* folder
        const server = yield* ApiServer.ApiServer
        const token = yield* server.token("user")
        const authority = Buffer.from(server.certificateAuthority).toString("base64")
        const path = kubeconfig(home, { server: server.url, "certificate-authority-data": authority }, { token })
        const ran = yield* run(home, host, { args: ["kubernetes", end, path, "closed"] })
        assert.deepStrictEqual({ code: ran.code, out: ran.out }, { code: 0, out: "ended\n" }, ran.err)
      }).pipe(Effect.provide(ApiServer.layer()))
    )
  }

  it.live("ends by itself when it is closed while its cluster does not answer", () =>
    Effect.gen(function* () {
      const home = yield* folder
      const path = kubeconfig(home, { server: "https://127.0.0.1:1" }, {})
      const ran = yield* run(home, host, { args: ["kubernetes", "close", path] })
      assert.deepStrictEqual({ code: ran.code, out: ran.out }, { code: 0, out: "ended\n" }, ran.err)
    })
  )
})

/** The blocks of a guide, as programs: where the packages of this repository are found from. */
const programsOf = (guide: string): ReadonlyArray<string> =>
  [...readFileSync(join(root, "docs", "guides", guide), "utf8").matchAll(/^```ts check\n(.*?)^```$/gms)].map(
    ([, code]) => code!
  )

describe("the lines of the guide about a graceful end", () => {
  const place = Effect.acquireRelease(
    Effect.sync(() => {
      mkdirSync(join(root, "node_modules", ".cache"), { recursive: true })
      return mkdtempSync(join(root, "node_modules", ".cache", "tidings-guide-"))
    }),
    (path) => Effect.sync(() => rmSync(path, { recursive: true, force: true }))
  )

  for (const [index, name, events] of [
    [0, "with Effect", 1],
    [1, "without Effect", 500]
  ] as const) {
    for (const [signal, code] of [
      ["SIGTERM", 143],
      ["SIGHUP", 129],
      ["SIGINT", 130]
    ] as const) {
      it.live(`keep what a host ${name} has recorded when it is ended by ${signal}`, () =>
        Effect.gen(function* () {
          const home = yield* folder
          const program = join(yield* place, "main.mjs")
          writeFileSync(program, stripTypeScriptTypes(programsOf("graceful-end.md")[index]!))
          const ran = yield* run(home, program, { signal })
          assert.strictEqual(ran.code, index === 0 ? code : signal, ran.err)
          const lines = readFileSync(join(home, ".tidings", "events.log"), "utf8")
            .trim()
            .split("\n")
          assert.strictEqual(lines.length, events)
        })
      )
    }
  }

  it("are the ones with which the Effect examples run", () => {
    const [guide] = programsOf("graceful-end.md")
    const example = readFileSync(join(root, "examples", "gracefulEnd.ts"), "utf8")
    const lines = guide!.slice(guide!.indexOf("const codes")).trim().split("\n")
    for (const line of lines) assert.include(example, line.trim())
  })
})
