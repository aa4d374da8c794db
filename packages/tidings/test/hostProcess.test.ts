// Hosts of the promise API as processes: they end when what they do is over, and say nothing on stdout.
import { assert, describe, it } from "@effect/vitest"
import * as ApiServer from "@tidings/testing/ApiServer"
import * as Effect from "effect/Effect"
import { spawn } from "node:child_process"
import { once } from "node:events"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"

const fixtures = join(import.meta.dirname, "fixtures")

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
const run = (home: string, file: string, ...args: ReadonlyArray<string>) =>
  Effect.promise(async (): Promise<Ran> => {
    const child = spawn(process.execPath, ["--conditions=@tidings/source", join(fixtures, file), ...args], {
      cwd: home,
      env: { PATH: process.env["PATH"], HOME: home },
      timeout: 15_000,
      killSignal: "SIGKILL"
    })
    let out = ""
    let err = ""
    child.stdout.on("data", (chunk) => (out += String(chunk)))
    child.stderr.on("data", (chunk) => (err += String(chunk)))
    const [code, signal] = (await once(child, "close")) as [number | null, string | null]
    return { code: code ?? signal, out, err }
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
          const ran = yield* run(home, "watchingHost.ts", backend, end, join(home, "log"))
          assert.deepStrictEqual({ code: ran.code, out: ran.out }, { code: 0, out: "ended\n" }, ran.err)
          assert.include(ran.err, "because that is what was asked for")
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
        const ran = yield* run(home, "watchingHost.ts", "kubernetes", end, path, "closed")
        assert.deepStrictEqual({ code: ran.code, out: ran.out }, { code: 0, out: "ended\n" }, ran.err)
      }).pipe(Effect.provide(ApiServer.layer()))
    )
  }

  it.live("ends by itself when it is closed while its cluster does not answer", () =>
    Effect.gen(function* () {
      const home = yield* folder
      const path = kubeconfig(home, { server: "https://127.0.0.1:1" }, {})
      const ran = yield* run(home, "watchingHost.ts", "kubernetes", "close", path)
      assert.deepStrictEqual({ code: ran.code, out: ran.out }, { code: 0, out: "ended\n" }, ran.err)
    })
  )
})
