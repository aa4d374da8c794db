// bin/tidings.mjs as users run it: processes, pipes, signals, files.
import * as FileBackend from "@tidings/backend-fs/FileBackend"
import * as Backend from "@tidings/core/Backend"
import * as ApiServer from "@tidings/testing-k8s/ApiServer"
import { afterAll, assert, beforeAll, describe, it, vi } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Scope from "effect/Scope"
import { spawn, type ChildProcess } from "node:child_process"
import { once } from "node:events"
import { mkdtempSync } from "node:fs"
import { chmod, cp, mkdir, mkdtemp, readdir, readFile, rm, stat, symlink, utimes, writeFile } from "node:fs/promises"
import { tmpdir, userInfo } from "node:os"
import { join } from "node:path"
import { pathToFileURL } from "node:url"
import { stripVTControlCharacters } from "node:util"
import { write } from "./harness.ts"

const own = join(import.meta.dirname, "..")

/** The package as it is installed: no sources are beside it that it could be older than. */
const installed = mkdtempSync(join(tmpdir(), "tidings-installed-"))
const bin = join(installed, "bin", "tidings.mjs")

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
    if (name.endsWith(".cjs")) await cp(join(own, "dist", name), join(installed, "dist", name))
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

  it("is compressed, and read as before", () =>
    inDirectory(async (cwd) => {
      const directory = join(cwd, ".tidings")
      const layer = FileBackend.layer({ directory, segmentSize: 1, console: false })
      const writes = Backend.Backend.use((store) =>
        Effect.forEach([1, 2, 3], (seq) => store.write([write(seq, { at: `2026-01-01T00:00:0${seq}Z` })]))
      )
      await Effect.runPromise(Effect.provide(writes, layer))
      const listed = await run(["list", "-ondjson"], { cwd })
      // A segment is left alone for a moment after the next one was begun.
      await vi.waitFor(
        async () => {
          const { code, err } = await run(["compress", "--before", "0s"], { cwd })
          assert.strictEqual(code, 0, err)
          const compressed = (await readdir(directory)).filter((file) => file.endsWith(".zst"))
          assert.lengthOf(compressed, 2, err)
        },
        { timeout: 20_000, interval: 300 }
      )
      assert.deepStrictEqual(ids((await run(["list", "-ondjson"], { cwd })).out), ids(listed.out))
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

describe("filters", () => {
  it("are read with what they load, from the installed package", () =>
    inDirectory(async (cwd) => {
      for (const [object, message] of [
        ["Workflow/a", "connection refused"],
        ["MCPServer/b", "Connection reset"],
        ["MCPServer/a", "ready"]
      ] as const) {
        await run(["emit", object, "NightlyRan", message], { cwd })
      }
      const pairs = await run(["list", "Workflow/a,MCPServer/b", "-o", "ndjson"], { cwd })
      assert.deepStrictEqual([ids(pairs.out).length, pairs.err], [2, ""])
      const found = await run(["list", "--grep", "connection re(fused|set)", "-o", "ndjson"], { cwd })
      assert.deepStrictEqual([ids(found.out).length, found.err], [2, "looked through 3 events, 2 match\n"])
      const exact = await run(["list", "--grep", "(?-i)connection re", "-o", "ndjson"], { cwd })
      assert.deepStrictEqual([ids(exact.out).length, exact.err], [1, "looked through 3 events, 1 matches\n"])
      const missed = await run(["list", "--reason", "NightlyRn"], { cwd })
      assert.deepStrictEqual(missed, { code: 0, out: "", err: "no reason NightlyRn here; NightlyRan has 3 events\n" })
      const wrong = await run(["list", "--grep", "("], { cwd })
      assert.deepStrictEqual([wrong.code, wrong.out], [2, ""])
    }))
})

describe("wait", () => {
  it("ends a script's waiting with 0, with 124, or by a signal", () =>
    inDirectory(async (cwd) => {
      const waiting = start(["wait", "Workflow/deploy", "--reason", "Done", "-o", "ndjson"], { cwd })
      const ended = collect(waiting)
      await vi.waitUntil(async () => (await readdir(cwd)).includes(".tidings"), { timeout: 10_000 })
      await run(["emit", "Workflow/deploy", "Begun", "it began"], { cwd })
      await run(["emit", "Workflow/deploy", "Done", "it is done"], { cwd })
      const { code, err, out } = await ended
      assert.deepStrictEqual([code, err, ids(out).length], [0, "", 1])
      const late = await shell("tidings wait Workflow/deploy --reason Failed --timeout 100ms || echo code $?", { cwd })
      assert.deepStrictEqual([late.out, late.err], ["code 124\n", "error: no such event came within 100ms\n"])
      const before = await shell("tidings wait Workflow/deploy --reason Done --since 1h && echo there", { cwd })
      assert.match(before.out, /Done +Workflow\/deploy +it is done\nthere\n$/)
      const stopped = start(["wait", "Workflow/deploy", "--timeout", "none"], { cwd })
      const stop = collect(stopped)
      await new Promise((resolve) => setTimeout(resolve, 500))
      stopped.kill("SIGINT")
      assert.strictEqual((await stop).code, 130)
    }))
})

describe("top and story", () => {
  it("count and tell what is in the log, and end with their reader", () =>
    inDirectory(async (cwd) => {
      await run(["emit", "Workflow/deploy", "Begun", "it began"], { cwd })
      await run(["emit", "Workflow/deploy", "Failed", "it failed", "--type", "Warning"], { cwd })
      const counted = await run(["top", "--by", "object", "-o", "json"], { cwd })
      assert.deepStrictEqual([counted.code, counted.err, JSON.parse(counted.out).groups[0].count], [0, "", 2])
      const told = await run(["story", "workflow/deploy", "-o", "json"], { cwd })
      const { phases, state } = JSON.parse(told.out)
      assert.deepStrictEqual([told.code, told.err, state, phases.length], [0, "", "failing", 2])
      const watching = start(["top", "--watch"], { cwd })
      const ended = collect(watching)
      await until(watching, /Failed/)
      const again = until(watching, /Again/)
      await run(["emit", "Workflow/deploy", "Again", "it began again"], { cwd })
      await again
      watching.kill("SIGINT")
      assert.strictEqual((await ended).code, 130)
    }))
})

describe("a terminal", () => {
  /** Runs a line in a pseudo-terminal of so many columns, which shows stdout and stderr as one. */
  const inTerminal = (line: string, columns: number, cwd: string, env: How["env"] = {}): ChildProcess =>
    spawn(
      "script",
      [
        "-qec",
        `stty cols ${columns} rows 24; tidings() { "${process.execPath}" "${bin}" "$@"; }; ${line}`,
        "/dev/null"
      ],
      {
        cwd,
        env: { PATH: process.env["PATH"], HOME: cwd, TZ: "UTC", SHELL: "/bin/bash", TERM: "xterm-256color", ...env }
      }
    )
  const shown = (out: string): ReadonlyArray<string> => stripVTControlCharacters(out).split(/\r*\n/)
  const record = async (cwd: string): Promise<void> => {
    const message = "Die Verbindung zu 日本語日本語日本語 wurde vom Gegenüber zurückgesetzt; ".repeat(4)
    await run(["emit", "Workflow/a-rather-long-name-of-a-workflow", "ConnectionWasResetByPeer", message], { cwd })
    await run(["emit", "MCPServer/b", "Failed", "it failed", "--type", "Warning"], { cwd })
  }

  it("shows no line that is wider than it is, on stdout and on stderr", () =>
    inDirectory(async (cwd) => {
      await record(cwd)
      for (const columns of [60, 80, 200]) {
        for (const [line, expected] of [
          ["tidings list", /MCPS/],
          ["tidings list --utc --limit 1", /1 of 2 events, the newest/],
          ["tidings list --reason ConnectionWasResetByPer", /no reason ConnectionWasResetByPer here/],
          ["tidings list --sort-by '.a[' --lmit 3", /error: unknown flag --lmit/],
          ["tidings wait --timeout 0s --reason Never", /there is no such event since the start/],
          ["tidings top", /OVER/],
          ["tidings story mcpserver/b", /nothing yet/],
          ["tidings doctor", /event log in/],
          ["tidings list --help", /custom-columns/]
        ] as const) {
          const { out } = await collect(inTerminal(line, columns, cwd))
          const lines = shown(out)
          assert.match(lines.join(" ").replaceAll(/\s+/g, " "), expected, line)
          // Each character of these texts that is not of two columns is of one.
          const width = (text: string): number => [...text].length + (text.match(/[日本語]/g)?.length ?? 0)
          assert.isAtMost(Math.max(...lines.map(width)), columns, out)
        }
      }
    }))

  it("has colours, unless NO_COLOR is set", () =>
    inDirectory(async (cwd) => {
      await record(cwd)
      const coloured = await collect(inTerminal("tidings list --utc", 80, cwd))
      assert.include(coloured.out, "\u001b[33m")
      const plain = await collect(inTerminal("tidings list --utc", 80, cwd, { NO_COLOR: "1" }))
      assert.notInclude(plain.out, "\u001b[")
      assert.deepStrictEqual(shown(plain.out), shown(coloured.out))
    }))

  it("shows how far the side files are that a first list has to make, and nothing of it stays", () =>
    inDirectory(async (cwd) => {
      const directory = join(cwd, ".tidings")
      const all = Array.from({ length: 400_000 }, (_, index) => write(index + 1, { at: "2026-01-01T00:00:00Z" }))
      const batches = Array.from({ length: 400 }, (_, index) => all.slice(1_000 * index, 1_000 * (index + 1)))
      const writes = Backend.Backend.use((store) =>
        Effect.forEach(batches, (batch) => store.write(batch), { discard: true })
      )
      await Effect.runPromise(Effect.provide(writes, FileBackend.layer({ directory, console: false })))
      const withoutSideFiles = async (): Promise<void> => {
        for (const file of await readdir(directory)) if (file.endsWith(".index")) await rm(join(directory, file))
      }
      await withoutSideFiles()
      const { code, out } = await collect(inTerminal("tidings list --limit 1", 80, cwd))
      assert.strictEqual(code, 0)
      const [before, first, ...later] = out.split("\r\u001b[2K")
      assert.strictEqual(before, "")
      for (const line of [first, ...later.slice(0, -1)]) {
        assert.match(line!, /^indexing the event log: [\d.]+ MiB of [\d.]+ MiB$/)
      }
      assert.match(stripVTControlCharacters(later.at(-1)!), /^NAMESPACE/)
      await withoutSideFiles()
      assert.notInclude((await run(["list", "--limit", "1"], { cwd })).err, "indexing")
      await withoutSideFiles()
      assert.include((await collect(inTerminal("tidings doctor", 80, cwd))).out, "\u001b[2Kindexing the event log: ")

      await withoutSideFiles()
      const exporting = inTerminal("tidings export --file events.ndjson", 80, cwd)
      const ended = collect(exporting)
      await until(exporting, /indexing/)
      exporting.stdin!.write("\u0003")
      assert.isTrue((await ended).out.endsWith("\r\u001b[2K0 events exported\r\n"))
    }))

  it("ends a follow with ctrl-c, and a list with its reader", () =>
    inDirectory(async (cwd) => {
      await record(cwd)
      const following = inTerminal("tidings follow", 80, cwd)
      const ended = collect(following)
      await until(following, /it failed/)
      following.stdin!.write("\u0003")
      assert.strictEqual((await ended).code, 130)
      const { out } = await collect(inTerminal("tidings list --reverse | head -1; echo code $?", 80, cwd))
      assert.match(out, /NAMESPACE.*\r\ncode 0\r\n$/)
    }))

  it("may be resized while a follow runs", () =>
    inDirectory(async (cwd) => {
      await record(cwd)
      // The shell resizes the terminal, and the kernel tells the command of it.
      const following = inTerminal("(sleep 2; stty cols 60 < /dev/tty) & tidings follow", 120, cwd)
      const ended = collect(following)
      await until(following, /it failed/)
      await new Promise((resolve) => setTimeout(resolve, 3_000))
      const later = until(following, /after/)
      await run(["emit", "Workflow/later", "Later", `after ${"x".repeat(200)}`], { cwd })
      await later
      following.stdin!.write("\u0003")
      const lines = shown((await ended).out)
      assert.isAtMost(lines.find((line) => line.includes("after"))!.length, 60)
      assert.isAbove(Math.max(...lines.map((line) => line.length)), 60)
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
      // Lines without checksums, as the first release wrote them.
      const { checksum: _, id, metadata, ...rest } = JSON.parse(event!)
      const many = Array.from({ length: 3_001 }, (_, index) => {
        const seq = index + 1
        return JSON.stringify({
          ...rest,
          metadata: { ...metadata, name: `deploy.x.${seq}` },
          id: id.replace(/1$/, seq),
          upTo: seq
        })
      })
      await writeFile(log, [...many, ""].join("\n"))
      // Nor did it note what segments begin with, so that this one is not taken for a replaced one.
      const meta = join(cwd, ".tidings", ".meta.json")
      const { begun: _begun, ...first } = JSON.parse(await readFile(meta, "utf8"))
      await writeFile(meta, JSON.stringify(first))

      const head = await shell("tidings list --limit all -o ndjson | head -1", { cwd })
      assert.deepStrictEqual([head.code, head.err], [0, ""])
      assert.strictEqual(ids(head.out).length, 1)
      const json = await shell("tidings list --limit all -o json | head -c 10", { cwd })
      assert.deepStrictEqual(json, { code: 0, out: '{\n  "apiVe', err: "" })
      const silent = await shell("tidings list --limit all 2>&1 >/dev/full", { cwd })
      assert.strictEqual(silent.code, 1)
      assert.match(silent.out, /^error: cannot write the output: /)
    }))

  it("feed emit with 10,000 lines, all of which are recorded, also where the reader of the ids has left", () =>
    inDirectory(async (cwd) => {
      const lines = Array.from({ length: 10_000 }, (_, index) =>
        index === 4_999
          ? "no JSON"
          : JSON.stringify({
              involvedObject: "Workflow/deploy",
              reason: "WorkflowExecuted",
              message: `message ${index}`
            })
      )
      await writeFile(join(cwd, "drafts.ndjson"), `${lines.join("\n")}\n`)
      const { code, err, out } = await shell("tidings emit - < drafts.ndjson | head -1", { cwd })
      assert.strictEqual(code, 1)
      assert.match(out, /^[0-9a-f]{32}\.1\n$/)
      assert.match(
        err,
        /^stdin: line 5000: it is not JSON: .*\n9999 events recorded\nerror: 1 line was not recorded; the others are\n$/
      )
      const listed = JSON.parse((await run(["list", "-o", "json", "--limit", "1"], { cwd })).out)
      assert.strictEqual(listed.total, 9_999)
      assert.strictEqual(listed.items[0].message, "message 9999")
    }))

  it("end a follow whose reader has left, also where nothing happens any more", () =>
    inDirectory(async (cwd) => {
      await run(["emit", "Workflow/deploy", "WorkflowExecuted", "first"], { cwd })
      assert.deepStrictEqual(await shell("tidings follow --no-headers -o name | head -1 | wc -l", { cwd }), {
        code: 0,
        out: "1\n",
        err: ""
      })
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

describe("a cursor file", () => {
  it("lets runs go on where the last one ended, however it ended", () =>
    inDirectory(async (cwd) => {
      const emit = (message: string) => run(["emit", "Workflow/deploy", "WorkflowExecuted", message], { cwd })
      const messages = (out: string): ReadonlyArray<string> =>
        out
          .split("\n")
          .filter((line) => line !== "")
          .map((line) => JSON.parse(line).message)
      const how = ["-o", "ndjson", "--cursor-file", "cursor.txt"]
      await emit("first")
      assert.deepStrictEqual(messages((await run(["list", ...how], { cwd })).out), ["first"])
      await emit("second")
      const following = start(["follow", ...how], { cwd })
      const ended = collect(following)
      await until(following, /second/)
      const third = until(following, /third/)
      await emit("third")
      await third
      following.kill("SIGINT")
      const { code, out } = await ended
      assert.deepStrictEqual([code, messages(out)], [130, ["second", "third"]])
      await emit("fourth")
      assert.deepStrictEqual(messages((await run(["list", ...how], { cwd })).out), ["fourth"])
      // What is taken is on disk a second later, also where nothing can be done at the end.
      await emit("fifth")
      const killed = start(["follow", ...how], { cwd })
      const gone = collect(killed)
      const fifth = until(killed, /fifth/)
      const before = await readFile(join(cwd, "cursor.txt"), "utf8")
      await fifth
      while ((await readFile(join(cwd, "cursor.txt"), "utf8")) === before) {
        await new Promise((resolve) => setTimeout(resolve, 50))
      }
      killed.kill("SIGKILL")
      await gone
      assert.deepStrictEqual(await run(["list", ...how], { cwd }), {
        code: 0,
        out: "",
        err: "no events after this cursor\n"
      })
      assert.deepStrictEqual((await readdir(cwd)).sort(), [".tidings", "cursor.txt"])
    }))

  it("keeps its cursor where the output could not be taken", () =>
    inDirectory(async (cwd) => {
      await run(["emit", "Workflow/deploy", "WorkflowExecuted"], { cwd })
      const full = await shell("tidings list --cursor-file cursor.txt > /dev/full", { cwd })
      assert.strictEqual(full.code, 1)
      assert.deepStrictEqual(await readdir(cwd), [".tidings"])
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
  it("needs no file that speaks to a cluster or a database where none is used", () =>
    inDirectory(async (cwd) => {
      await mkdir(join(cwd, "bin"))
      await cp(bin, join(cwd, "bin", "tidings.mjs"))
      for (const name of await readdir(join(installed, "dist"))) {
        if (!/^tidings-(?:kubernetes|postgres|mcp)/.test(name)) {
          await cp(join(installed, "dist", name), join(cwd, "dist", name))
        }
      }
      const copy = join(cwd, "bin", "tidings.mjs")
      assert.strictEqual((await run(["emit", "Workflow/deploy", "WorkflowExecuted"], { cwd, bin: copy })).code, 0)
      for (const output of ["table", "wide", "json", "ndjson", "yaml"]) {
        assert.strictEqual((await run(["list", "-o", output], { cwd, bin: copy })).code, 0)
      }
      const manifest = JSON.parse(await readFile(join(own, "package.json"), "utf8"))
      assert.strictEqual((await run(["--version"], { cwd, bin: copy })).out, `tidings ${manifest.version}\n`)
      for (const name of await readdir(join(installed, "dist"))) {
        if (name.startsWith("tidings-mcp")) await cp(join(installed, "dist", name), join(cwd, "dist", name))
      }
      const serving = start(["mcp"], { cwd, bin: copy })
      const served = collect(serving)
      serving.stdin!.end()
      assert.deepStrictEqual(await served, { code: 0, out: "", err: "" })
      await symlink(copy, join(cwd, "kubectl-tidings"))
      const plugin = await run(["list", "--lmit"], { cwd, bin: join(cwd, "kubectl-tidings") })
      assert.match(plugin.err, /usage: kubectl tidings list /)
    }))

  it("loads nothing at a start that the verb does not use", () =>
    inDirectory(async (cwd) => {
      const preload = join(cwd, "preload.mjs")
      await writeFile(
        preload,
        `const loaded = []
        Intl.Segmenter = class extends Intl.Segmenter {
          constructor(...all) {
            super(...all)
            loaded.push("Intl.Segmenter")
          }
        }
        process.on("exit", () => {
          loaded.push(...process.moduleLoadList)
          process.stderr.write("loaded " + JSON.stringify(loaded))
        })`
      )
      const watched = { cwd, env: { NODE_OPTIONS: `--import=${pathToFileURL(preload).href}` } }
      const loadedBy = async (...args: ReadonlyArray<string>): Promise<ReadonlyArray<string>> => {
        const { code, err } = await run(args, watched)
        assert.strictEqual(code, 0)
        return JSON.parse(err.slice(err.indexOf("loaded ") + "loaded ".length))
      }
      assert.include(
        await loadedBy("emit", "Workflow/deploy", "WorkflowExecuted"),
        "NativeModule internal/crypto/webcrypto"
      )
      // What speaks to a database needs tls.
      const crypto = ["internal/crypto/webcrypto", "internal/crypto/keys"]
      const modules = [...crypto, "fs/promises", "tty", "tls", "internal/blocklist"]
      const avoided = new Set(["Intl.Segmenter", ...modules.map((name) => `NativeModule ${name}`)])
      assert.deepStrictEqual(
        (await loadedBy("list")).filter((name) => avoided.has(name)),
        []
      )
      // Nor are other verbs and a library for YAML read with it.
      const start = await readFile(join(installed, "dist", "tidings.cjs"), "utf8")
      for (const text of ["Explain what a reason means", "Compress the segments", "yaml-1.1"]) {
        assert.notInclude(start, text)
      }
    }))

  it("keeps what is compiled of a verb where no other user may write, and does without what was damaged", () =>
    inDirectory(async (cwd) => {
      const how: How = { cwd, env: { NODE_COMPILE_CACHE: cwd, TIDINGS_DIRECTORY: join(cwd, "log") } }
      const { uid, username } = userInfo()
      const directory = join(cwd, `tidings-code-${uid === -1 ? "cache" : uid}`)
      const kept = async () =>
        Promise.all(
          (await readdir(directory)).map(async (name) => ({ name, at: (await stat(join(directory, name))).mtimeMs }))
        )
      assert.strictEqual((await run(["emit", "Workflow/deploy", "WorkflowExecuted"], how)).code, 0)
      await rm(directory, { recursive: true })

      const listed = await run(["list", "-ondjson"], how)
      assert.strictEqual(listed.code, 0)
      assert.strictEqual((await stat(directory)).mode & 0o777, 0o700, username)
      const first = await kept()
      assert.match(first.map(({ name }) => name).join(), /^v[\d.]+-\w+-list-[0-9a-f]+$/)
      assert.deepStrictEqual(await run(["list", "-ondjson"], how), listed)
      assert.deepStrictEqual(await kept(), first)
      assert.strictEqual((await run(["lst"], how)).code, 2)
      assert.deepStrictEqual(await kept(), first)

      const file = join(directory, first[0]!.name)
      const bytes = await readFile(file)
      bytes[bytes.length >> 1]! ^= 0xff
      await writeFile(file, bytes)
      assert.deepStrictEqual(await run(["list", "-ondjson"], how), listed)
      assert.notDeepEqual(await readFile(file), bytes)

      // Another version, of as many characters.
      const copy = join(cwd, "copy")
      await cp(installed, copy, { recursive: true })
      const other = { ...how, bin: join(copy, "bin", "tidings.mjs") }
      const version = async () => (await run(["list", "--version"], other)).out
      const before = await version()
      const start = join(copy, "dist", "tidings.cjs")
      const [, number] = /^tidings (\S+)\n$/.exec(before)!
      const changed = (await readFile(start, "latin1")).replaceAll(`\`${number}\``, `\`${"9".repeat(number!.length)}\``)
      await writeFile(
        start,
        changed.replace(/\n\/\/\w+\n$/, (stamp) => stamp.replace(/\w/g, "0")),
        "latin1"
      )
      assert.strictEqual(await version(), before.replace(number!, "9".repeat(number!.length)))

      for (const name of await readdir(directory)) if (name !== first[0]!.name) await rm(join(directory, name))
      for (const [mode, env] of [
        [0o700, { NODE_DISABLE_COMPILE_CACHE: "1" }],
        [0o777, {}]
      ] as const) {
        await rm(file, { force: true })
        await chmod(directory, mode)
        assert.deepStrictEqual(await run(["list", "-ondjson"], { ...how, env: { ...how.env, ...env } }), listed)
        assert.deepStrictEqual(await readdir(directory), [])
      }
    }))

  it("asks a database, and serves agents, without what only archives need", () =>
    inDirectory(async (cwd) => {
      await mkdir(join(cwd, "bin"))
      const copy = join(cwd, "bin", "tidings.mjs")
      await cp(bin, copy)
      const take = async (without: RegExp): Promise<void> => {
        await rm(join(cwd, "dist"), { recursive: true, force: true })
        for (const name of await readdir(join(installed, "dist"))) {
          if (!without.test(name)) await cp(join(installed, "dist", name), join(cwd, "dist", name))
        }
      }
      await take(/^tidings-(?:archive|http|mcp|kubernetes)/)
      const preload = join(cwd, "preload.mjs")
      await writeFile(
        preload,
        `process.on("exit", () => process.stderr.write("loaded " + process.moduleLoadList.join("; ") + ";"))`
      )
      const asked = await run(["list", "--database", "postgres://127.0.0.1:1/events?sslmode=disable"], {
        cwd,
        bin: copy,
        env: { NODE_OPTIONS: `--import=${pathToFileURL(preload).href}` }
      })
      assert.match(asked.err, /ECONNREFUSED/)
      for (const name of ["http", "tls", "internal/deps/undici/undici"]) {
        assert.notInclude(asked.err, `NativeModule ${name};`)
      }
      await take(/^tidings-(?:archive|postgres|kubernetes)/)
      const server = start(["mcp"], { cwd, bin: copy })
      server.stdin!.end()
      const served = await collect(server)
      assert.deepStrictEqual([served.code, served.out], [0, ""], served.err)
    }))

  it("makes every verb that a command line may be about", () =>
    inDirectory(async (cwd) => {
      const { out } = await run(["--help"], { cwd })
      const verbs = [...out.matchAll(/^ {2}(\w+) {2,}/gm)].map(([, verb]) => verb!)
      assert.includeMembers(verbs, ["list", "follow", "get", "emit", "explain", "template", "doctor", "parked", "mcp"])
      for (const verb of verbs) {
        const first = await run([verb, "--help"], { cwd })
        const after = await run(["--color", "never", verb, "--help"], { cwd })
        assert.deepStrictEqual(first, after)
        assert.match(first.out, new RegExp(`Usage: .*tidings ${verb}`))
      }
      const script = await run(["list", "--completions", "bash"], { cwd })
      assert.deepStrictEqual(script, await run(["--completions", "bash"], { cwd }))
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
      const bundle = join(package_, "dist", "tidings.cjs")
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

describe("import", () => {
  /** As `kubectl get events -o json` prints it. */
  const eventOf = (n: number): string =>
    JSON.stringify(
      {
        apiVersion: "v1",
        count: 1,
        firstTimestamp: "2026-11-28T10:00:00Z",
        involvedObject: { apiVersion: "v1", kind: "Pod", name: `web-${n}`, namespace: "default", uid: `pod-${n}` },
        kind: "Event",
        lastTimestamp: "2026-11-28T11:00:00Z",
        message: `Back-off restarting failed container ${n}`,
        metadata: { name: `web-${n}.1`, namespace: "default", resourceVersion: String(n + 1), uid: `uid-${n}` },
        reason: "BackOff",
        reportingComponent: "",
        reportingInstance: "",
        source: { component: "kubelet" },
        type: "Warning"
      },
      undefined,
      4
    )

  it(
    "takes a hundred thousand events in 96 MB of heap, and exports them in as much",
    { timeout: 300_000 },
    async () => {
      const home = await mkdtemp(join(tmpdir(), "tidings-import-"))
      const how: How = { cwd: home, env: { TIDINGS_BACKEND: "filesystem", NODE_OPTIONS: "--max-old-space-size=96" } }
      const child = start(["import"], how)
      const ran = collect(child)
      const { stdin } = child
      assert.isNotNull(stdin)
      stdin.write('{\n    "apiVersion": "v1",\n    "items": [\n')
      for (let from = 0; from < 100_000; from += 1_000) {
        const items = Array.from({ length: 1_000 }, (_, index) => eventOf(from + index))
        if (!stdin.write(`${from === 0 ? "" : ",\n"}${items.join(",\n")}`)) await once(stdin, "drain")
      }
      stdin.end('\n    ],\n    "kind": "List"\n}\n')
      const { code, err } = await ran
      assert.deepStrictEqual([code, err.trimEnd().split("\n").at(-1)], [0, "100000 events imported"])
      const exported = await shell("tidings export | wc -l", how)
      assert.deepStrictEqual([exported.code, exported.out.trim()], [0, "100000"])
      await rm(home, { recursive: true, force: true })
    }
  )
})
