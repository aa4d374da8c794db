// bin/tidings.mjs as users run it: processes, pipes, signals, files.
import * as ApiServer from "@tidings/testing-k8s/ApiServer"
import { afterAll, assert, beforeAll, describe, it, vi } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Scope from "effect/Scope"
import { spawn, type ChildProcess } from "node:child_process"
import { once } from "node:events"
import { mkdtempSync } from "node:fs"
import { cp, mkdir, mkdtemp, readdir, readFile, rm, symlink, utimes, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"

const own = join(import.meta.dirname, "..")

/** The package as it is installed: no sources are beside it that it could be older than. */
const installed = mkdtempSync(join(tmpdir(), "tidings-installed-"))
const bin = join(installed, "bin", "tidings.mjs")

// Each test runs several processes, and each of them waits for its turn where others are busy too.
vi.setConfig({ testTimeout: 30_000 })

interface Ran {
  readonly code: number | null
  readonly out: string
  readonly err: string
}

interface How {
  readonly cwd: string
  readonly env?: { readonly [name: string]: string | undefined } | undefined
  readonly bin?: string | undefined
}

const start = (args: ReadonlyArray<string>, how: How): ChildProcess =>
  spawn(process.execPath, [how.bin ?? bin, ...args], {
    cwd: how.cwd,
    env: { PATH: process.env["PATH"], HOME: how.cwd, TZ: "UTC", ...how.env }
  })

const collect = (child: ChildProcess): Promise<Ran> => {
  let out = ""
  let err = ""
  child.stdout?.on("data", (chunk: Buffer) => (out += chunk.toString()))
  child.stderr?.on("data", (chunk: Buffer) => (err += chunk.toString()))
  return once(child, "close").then(([code]) => ({ code: code as number | null, out, err }))
}

const run = (args: ReadonlyArray<string>, how: How): Promise<Ran> => collect(start(args, how))

/** What a shell makes of a line, with `tidings` in it. */
const shell = (line: string, how: How): Promise<Ran> =>
  collect(
    spawn("bash", ["-c", `set -o pipefail; tidings() { "${process.execPath}" "${how.bin ?? bin}" "$@"; }; ${line}`], {
      cwd: how.cwd,
      env: { PATH: process.env["PATH"], HOME: how.cwd, TZ: "UTC", ...how.env }
    })
  )

/** Resolves when a child has printed something. */
const until = (child: ChildProcess, expected: RegExp): Promise<string> =>
  new Promise((resolve, reject) => {
    let seen = ""
    const look = (chunk: Buffer) => {
      seen += chunk.toString()
      if (expected.test(seen)) resolve(seen)
    }
    child.stdout!.on("data", look)
    child.stderr!.on("data", look)
    child.on("close", () => reject(new Error(`ended without ${String(expected)}:\n${seen}`)))
  })

const inDirectory = async (use: (cwd: string) => Promise<void>): Promise<void> => {
  const cwd = await mkdtemp(join(tmpdir(), "tidings-command-"))
  try {
    await use(cwd)
  } finally {
    await rm(cwd, { recursive: true, force: true })
  }
}

const ids = (out: string): ReadonlyArray<string> =>
  out
    .split("\n")
    .filter((line) => line.startsWith("{"))
    .map((line) => JSON.parse(line).id as string)

// The first run after a change of the sources builds the bundle.
beforeAll(async () => {
  const { code, err } = await run(["--version"], { cwd: tmpdir(), bin: join(own, "bin", "tidings.mjs") })
  assert.strictEqual(code, 0, err)
  await cp(join(own, "bin"), join(installed, "bin"), { recursive: true })
  await mkdir(join(installed, "dist"))
  for (const name of await readdir(join(own, "dist"))) {
    if (name.endsWith(".mjs")) await cp(join(own, "dist", name), join(installed, "dist", name))
  }
}, 60_000)

afterAll(() => rm(installed, { recursive: true, force: true }))

describe("the event log", () => {
  it("is .tidings here, or where the environment or the flag says", () =>
    inDirectory(async (cwd) => {
      const emitted = await run(["emit", "Workflow/here", "WorkflowExecuted"], { cwd })
      assert.match(emitted.out, /^[0-9a-f]{32}\.\d+\n$/)
      assert.deepStrictEqual([emitted.code, emitted.err], [0, ""])
      assert.match(await readFile(join(cwd, ".tidings", "events.log"), "utf8"), /"name":"here"/)

      const env = { TIDINGS_DIRECTORY: join(cwd, "environment") }
      await run(["emit", "Workflow/there", "WorkflowExecuted"], { cwd, env })
      await run(["--directory", "flag", "emit", "Workflow/flagged", "WorkflowExecuted"], { cwd, env })

      const names = async (args: ReadonlyArray<string>, how: How) =>
        (await run(["list", "-ondjson", ...args], how)).out
          .split("\n")
          .filter((line) => line !== "")
          .map((line) => JSON.parse(line).involvedObject.name)
      assert.deepStrictEqual(await names([], { cwd }), ["here"])
      assert.deepStrictEqual(await names([], { cwd, env }), ["there"])
      assert.deepStrictEqual(await names(["--directory=flag"], { cwd, env }), ["flagged"])
    }))

  it("is created by verbs that record or follow, and not by those that only read", () =>
    inDirectory(async (cwd) => {
      const listed = await run(["list"], { cwd })
      assert.deepStrictEqual(listed, {
        code: 0,
        out: "",
        err: `there is no event log in ${join(cwd, ".tidings")} yet; record one with: tidings emit Workflow/deploy WorkflowExecuted\n`
      })
      const json = JSON.parse((await run(["list", "-ojson", "--directory", "elsewhere"], { cwd })).out)
      assert.deepStrictEqual(json, { apiVersion: "v1", kind: "EventList", metadata: {}, total: 0, items: [] })
      const got = await run(["get", "x"], { cwd })
      assert.strictEqual(got.code, 4)
      assert.match(got.err, /^error: there is no event log in /)
      assert.match(got.err, /\nrecord an event first, .*--directory\n$/)
      assert.strictEqual((await run(["list", "--after", "x"], { cwd })).code, 4)
      assert.deepStrictEqual(await readdir(cwd), [])
      // A directory without a log in it is no log either, and stays as it is.
      assert.strictEqual((await run(["--directory", cwd, "list"], { cwd })).code, 0)
      assert.deepStrictEqual(await readdir(cwd), [])

      const following = start(["follow"], { cwd })
      const ended = collect(following)
      const shown = until(following, /WorkflowExecuted/)
      await until(following, /no events yet; waiting/)
      await run(["emit", "Workflow/deploy", "WorkflowExecuted"], { cwd })
      await shown
      following.kill("SIGTERM")
      assert.strictEqual((await ended).code, 143)
    }))

  it("keeps what the command recorded, and nothing is printed on stderr", () =>
    inDirectory(async (cwd) => {
      const { out } = await run(
        ["emit", "Workflow/deploy", "WorkflowStepFailed", "--data", "stepId=build", "--data", "duration=1m30s"],
        { cwd }
      )
      const got = await run(["get", out.trim(), "-ojson"], { cwd })
      assert.strictEqual(got.err, "")
      const event = JSON.parse(got.out)
      assert.strictEqual(event.id, out.trim())
      assert.deepStrictEqual([event.data.stepId, event.data.duration], ["build", "1m30s"])
      assert.strictEqual((await run(["get", event.metadata.name], { cwd })).code, 0)
    }))
})

describe("exit codes", () => {
  it("tell a wrong command line, a failure and an unusable backend apart, without a stack", () =>
    inDirectory(async (cwd) => {
      await writeFile(join(cwd, "file"), "")
      await run(["emit", "Workflow/deploy", "WorkflowExecuted"], { cwd })
      const cases: ReadonlyArray<readonly [ReadonlyArray<string>, number]> = [
        [["list", "--since", "5"], 2],
        [["lst"], 2],
        [["emit", "Workflow/deploy", ""], 2],
        [["get", "nothing"], 1],
        [["template", "check", "{{"], 1],
        [["template", "test", "missing.jsonl"], 1],
        [["list", "--after", "no-cursor"], 1],
        [["--directory", "file", "list"], 4],
        [["--directory", "file", "emit", "Workflow/deploy", "WorkflowExecuted"], 4]
      ]
      const ran = await Promise.all(cases.map(([args]) => run(args, { cwd })))
      for (const [index, { code, err, out }] of ran.entries()) {
        const about = cases[index]![0].join(" ")
        assert.strictEqual(code, cases[index]![1], `${about}: ${err}`)
        assert.strictEqual(out, "", about)
        assert.match(err, /^error: /, about)
        assert.isFalse(/\n\s+at /.test(err), err)
      }
    }))
})

describe("pipes", () => {
  it("may be closed early without an error", () =>
    inDirectory(async (cwd) => {
      const line = (await run(["emit", "Workflow/deploy", "WorkflowExecuted"], { cwd })).out
      assert.match(line, /\.1\n$/)
      // More than a pipe holds, so that the reader leaves in the middle of it.
      const log = join(cwd, ".tidings", "events.log")
      const [event] = (await readFile(log, "utf8")).split("\n")
      const many = Array.from({ length: 3_000 }, (_, index) => {
        const { id, metadata, ...rest } = JSON.parse(event!)
        const seq = index + 2
        return JSON.stringify({
          ...rest,
          metadata: { ...metadata, name: `deploy.x.${seq}` },
          id: id.replace(/1$/, seq),
          upTo: seq
        })
      })
      await writeFile(log, [event, ...many, ""].join("\n"))

      const head = await shell("tidings list --limit all -o ndjson | head -1", { cwd })
      assert.deepStrictEqual([head.code, head.err], [0, ""])
      assert.strictEqual(ids(head.out).length, 1)
      const json = await shell("tidings list --limit all -o json | head -c 10", { cwd })
      assert.deepStrictEqual(json, { code: 0, out: '{\n  "apiVe', err: "" })
      const silent = await shell("tidings list --limit all 2>&1 >/dev/full", { cwd })
      assert.strictEqual(silent.code, 1)
      assert.match(silent.out, /^error: cannot write the output: /)
    }))

  it("end a follow whose reader has left, at the next event", () =>
    inDirectory(async (cwd) => {
      await run(["emit", "Workflow/deploy", "WorkflowExecuted", "first"], { cwd })
      const piped = shell("tidings follow | head -2", { cwd })
      const emitting = (async () => {
        // Whenever head has left, some emit comes after that.
        for (;;) {
          const emitted = run(["emit", "Workflow/deploy", "WorkflowExecuted", "again"], { cwd })
          if ((await Promise.race([piped.then(() => "ended"), emitted])) === "ended") return emitted
        }
      })()
      const { code, err, out } = await piped
      await emitting
      assert.deepStrictEqual([code, err], [0, ""])
      assert.match(out, /^NAMESPACE .*\n.*first\n$/)
    }))

  it("get no colour, unless a flag asks for it", () =>
    inDirectory(async (cwd) => {
      await run(["emit", "Workflow/deploy", "WorkflowExecutionFailed"], { cwd })
      const coloured = async (args: ReadonlyArray<string>, env: How["env"]) =>
        (await run(["list", ...args], { cwd, env })).out.includes("\u001b[")
      assert.isFalse(await coloured([], {}))
      assert.isTrue(await coloured([], { FORCE_COLOR: "1" }))
      assert.isFalse(await coloured([], { FORCE_COLOR: "1", NO_COLOR: "1" }))
      assert.isTrue(await coloured(["--color", "always"], { NO_COLOR: "1" }))
      assert.isFalse(await coloured(["--color", "never"], { FORCE_COLOR: "1" }))
    }))
})

describe("follow", () => {
  it("shows what other processes record, until a signal ends it", () =>
    inDirectory(async (cwd) => {
      await run(["emit", "Workflow/deploy", "WorkflowExecuted", "before"], { cwd })
      const following = start(["follow", "-o", "ndjson"], { cwd })
      const ended = collect(following)
      await until(following, /"message":"before"/)
      const shown = until(following, /"message":"after"/)
      const { out: id } = await run(["emit", "Workflow/deploy", "WorkflowExecuted", "after"], { cwd })
      await shown
      following.kill("SIGINT")
      const { code, err, out } = await ended
      assert.deepStrictEqual([code, err], [130, ""])
      assert.deepStrictEqual(ids(out).at(-1), id.trim())
      assert.strictEqual(ids(out).length, 2)
    }))

  it.each([
    ["SIGINT", 130],
    ["SIGTERM", 143],
    ["SIGHUP", 129]
  ] as const)("exits after %s with %d", (signal, expected) =>
    inDirectory(async (cwd) => {
      const following = start(["follow"], { cwd })
      const ended = collect(following)
      await until(following, /no events yet; waiting/)
      following.kill(signal)
      const { code, err, out } = await ended
      assert.deepStrictEqual([code, out, err], [expected, "", "no events yet; waiting\n"])
    })
  )

  it("goes on after a cursor that an earlier process printed", () =>
    inDirectory(async (cwd) => {
      const emit = async (message: string) =>
        (await run(["emit", "Workflow/deploy", "WorkflowExecuted", message], { cwd })).out.trim()
      await emit("one")
      const { cursor } = JSON.parse((await run(["list", "-o", "json", "--since", "1h"], { cwd })).out)
      const two = await emit("two")
      const three = await emit("three")
      const following = start(["follow", "--after", cursor, "-o", "ndjson", "--show-cursor"], { cwd })
      const ended = collect(following)
      await until(following, /"message":"three"/)
      following.kill("SIGTERM")
      const { err, out } = await ended
      assert.deepStrictEqual(ids(out), [two, three])
      const next = /^cursor: (\S+)$/m.exec(err)![1]!
      const four = await emit("four")
      const listed = await run(["list", "--after", next, "-ondjson"], { cwd })
      assert.deepStrictEqual(ids(listed.out), [four])
    }))
})

describe("parked", () => {
  const host = (directory: string, ...names: ReadonlyArray<string>): ChildProcess =>
    spawn(
      process.execPath,
      [
        "--conditions=@tidings/source",
        "--disable-warning=ExperimentalWarning",
        join(import.meta.dirname, "fixtures", "parkingHost.ts"),
        directory,
        ...names
      ],
      { env: { PATH: process.env["PATH"] } }
    )

  it("lets a running host deliver events, and a host that starts later drop them", () =>
    inDirectory(async (cwd) => {
      const where = ["--journal", join(cwd, "journal")]
      const first = host(cwd, "one", "two")
      const firstEnded = collect(first)
      let running = first
      try {
        await until(first, /ready/)
        const listed = await run(["parked", ...where, "-ondjson"], { cwd })
        assert.strictEqual(listed.code, 0, listed.err)
        const [one, two] = ids(listed.out) as [string, string]
        assert.match(listed.out, /"why":"invalid: 422 the name of the namespace"/)

        await writeFile(join(cwd, "mended"), "")
        const done = until(first, /log: An operator asked the sink "default" to retry parked events: 1 occurrence/)
        const asked = await run(["parked", "retry", one, ...where], { cwd })
        assert.deepStrictEqual([asked.code, asked.out], [0, `${one}\n`])
        assert.include(asked.err, `asked process ${first.pid} on `)
        await done
        // Delivered within moments, and seen by whoever reads the log.
        const log = ["--directory", join(cwd, "log")]
        for (let shown = ""; !shown.includes(one);) shown = (await run(["list", "-ondjson", ...log], { cwd })).out

        first.kill("SIGKILL")
        await firstEnded
        const later = await run(["parked", "drop", two, ...where], { cwd })
        assert.deepStrictEqual([later.code, later.out], [0, `${two}\n`])
        assert.match(later.err, /^no host uses .* now: the next one will be asked to drop 1 event .* when it starts\n$/)
        const looked = await run(["doctor", ...log], { cwd })
        assert.strictEqual(looked.code, 0)

        running = host(cwd)
        await until(running, /log: An operator asked the sink "default" to drop parked events: 1 occurrence/)
        assert.deepStrictEqual((await run(["parked", ...where], { cwd })).out, "")
        assert.deepStrictEqual(ids((await run(["list", "-ondjson", ...log], { cwd })).out), [one])
      } finally {
        first.kill("SIGKILL")
        running.kill("SIGKILL")
      }
    }))
})

describe("the bundle", () => {
  it("needs no other file where no cluster is used", () =>
    inDirectory(async (cwd) => {
      await mkdir(join(cwd, "bin"))
      await cp(bin, join(cwd, "bin", "tidings.mjs"))
      await cp(join(installed, "dist", "tidings.mjs"), join(cwd, "dist", "tidings.mjs"))
      const copy = join(cwd, "bin", "tidings.mjs")
      assert.strictEqual((await run(["emit", "Workflow/deploy", "WorkflowExecuted"], { cwd, bin: copy })).code, 0)
      for (const output of ["table", "wide", "json", "ndjson", "yaml"]) {
        assert.strictEqual((await run(["list", "-o", output], { cwd, bin: copy })).code, 0)
      }
      const manifest = JSON.parse(await readFile(join(own, "package.json"), "utf8"))
      assert.strictEqual((await run(["--version"], { cwd, bin: copy })).out, `tidings ${manifest.version}\n`)
      await symlink(copy, join(cwd, "kubectl-tidings"))
      const plugin = await run(["list", "--lmit"], { cwd, bin: join(cwd, "kubectl-tidings") })
      assert.match(plugin.err, /usage: kubectl tidings list /)
    }))

  it("talks to a cluster with the one file beside it, also as a kubectl plugin", () =>
    inDirectory(async (cwd) => {
      await symlink(bin, join(cwd, "kubectl-tidings"))
      const plugin = join(cwd, "kubectl-tidings")
      const scope = await Effect.runPromise(Scope.make())
      try {
        const server = await Effect.runPromise(Effect.provideService(ApiServer.make(), Scope.Scope, scope))
        const how = { cwd, bin: plugin, env: { KUBECONFIG: server.kubeconfigFile } }
        const emitted = await run(["emit", "Workflow/deploy", "WorkflowExecuted", "--context", "user"], how)
        assert.deepStrictEqual([emitted.code, emitted.err], [0, ""])
        const following = start(["follow", "-ondjson"], how)
        const ended = collect(following)
        assert.include(await until(following, /WorkflowExecuted/), emitted.out.trim())
        following.kill("SIGTERM")
        assert.strictEqual((await ended).code, 143)
        const listed = await run(["list", "-ondjson", "--for", "workflow/deploy"], how)
        assert.deepStrictEqual([listed.code, listed.err, ids(listed.out)], [0, "", [emitted.out.trim()]])
        const refused = await run(["list", "--context", "nobody"], how)
        assert.strictEqual(refused.code, 4)
        assert.match(refused.err, /^error: not allowed: .*\nto allow it, add the rule .*\n$/)
        const looked = await run(["doctor", "--context", "user"], how)
        assert.deepStrictEqual([looked.code, looked.err], [0, ""])
        await Effect.runPromise(server.killApiServer)
        const away = await run(["emit", "Workflow/deploy", "WorkflowExecuted", "--context", "user"], how)
        assert.deepStrictEqual([away.code, away.out], [4, ""])
        assert.match(away.err, /^error: the event was not recorded: .*ECONNREFUSED/)
        assert.isFalse((await readdir(cwd)).includes(".tidings"))
      } finally {
        await Effect.runPromise(Scope.close(scope, Exit.void))
      }
    }))

  it("is rebuilt in a checkout whose sources are newer", () =>
    inDirectory(async (cwd) => {
      const package_ = join(cwd, "packages", "tidings")
      await mkdir(join(cwd, "tools"))
      await mkdir(join(package_, "bin"), { recursive: true })
      await mkdir(join(package_, "src", "internal"), { recursive: true })
      await mkdir(join(package_, "dist"))
      const copy = join(package_, "bin", "tidings.mjs")
      await cp(bin, copy)
      const source = join(package_, "src", "internal", "main.ts")
      const bundle = join(package_, "dist", "tidings.mjs")
      const builder = (body: string) => writeFile(join(cwd, "tools", "bundle.ts"), body)
      await builder(
        `import { writeFileSync } from "node:fs"\nwriteFileSync(${JSON.stringify(bundle)}, "console.log('new')")\n`
      )
      await writeFile(source, "")
      assert.strictEqual((await run([], { cwd, bin: copy })).out, "new\n")

      await writeFile(bundle, "console.log('as it is')")
      await utimes(source, new Date(0), new Date(0))
      assert.strictEqual((await run([], { cwd, bin: copy })).out, "as it is\n")

      await builder("throw new Error('a mistake')")
      await utimes(source, new Date(Date.now() + 60_000), new Date(Date.now() + 60_000))
      const failed = await run([], { cwd, bin: copy })
      assert.strictEqual(failed.code, 1)
      assert.match(failed.err, /^error: the command cannot be built from its sources:\n/)
      assert.strictEqual(failed.out, "")
    }))
})
