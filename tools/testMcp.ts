// `npm run test:mcp`: installs the official clients, conformance suite and inspector of the Model Context Protocol, in the
// versions of tests/mcp/package-lock.json, in a folder outside of this repository, and lets them ask `tidings mcp` over stdio
// and over HTTP: what they get, what a hundred of them cost the server, and whether they get each of 10,000 events. Closes with
// `N passed, M failed`.
import { spawn, spawnSync, type ChildProcess } from "node:child_process"
import { once } from "node:events"
import { cpSync, mkdirSync, mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join, resolve } from "node:path"

const root = resolve(import.meta.dirname, "..")
const command = join(root, "packages", "tidings", "bin", "tidings.mjs")
const TOKEN = "a-token-of-the-test"

let passed = 0
let failed = 0
const count = (ok: boolean, name: string, why = ""): void => {
  if (ok) passed++
  else failed++
  console.log(ok ? `ok      ${name}` : `FAILED  ${name}\n${why}`)
}

interface Ran {
  readonly status: number | string | null
  readonly stdout: string
  readonly stderr: string
}

/** Nothing of this repository's settings, and no log but that of the test. */
const envOf = (home: string): NodeJS.ProcessEnv => {
  const { NODE_OPTIONS: _o, TIDINGS_BACKEND: _b, TIDINGS_DIRECTORY: _d, TIDINGS_TOKEN: _t, ...env } = process.env
  return { ...env, HOME: home }
}

const run = (home: string, timeout: number, ...args: ReadonlyArray<string>): Promise<Ran> =>
  new Promise((done) => {
    const child = spawn(process.execPath, args, {
      cwd: home,
      env: envOf(home),
      stdio: ["ignore", "pipe", "pipe"],
      timeout
    })
    let stdout = ""
    let stderr = ""
    child.stdout.on("data", (chunk) => (stdout += String(chunk)))
    child.stderr.on("data", (chunk) => (stderr += String(chunk)))
    child.on("error", (error) => done({ status: 1, stdout, stderr: error.message }))
    child.on("close", (code, signal) => done({ status: code ?? signal, stdout, stderr }))
  })

const install = (folder: string): void => {
  for (const file of ["package.json", "package-lock.json", "clients.mjs", "scale.mjs"]) {
    cpSync(join(root, "tests", "mcp", file), join(folder, file))
  }
  const script = process.env["npm_execpath"]
  const [npm, first] = script?.endsWith(".js") ? [process.execPath, [script]] : ["npm", []]
  // Nothing of theirs has to be built, so no script of theirs is run. package.json replaces an optional dependency of vite for
  // Windows, which the inspector brings and the registry does not have: npm ci refuses a lock file without it.
  const args = [...first, "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
  const ran = spawnSync(npm, args, { cwd: folder, encoding: "utf8" })
  if (ran.status !== 0) throw new Error(`npm ci: ${ran.stderr || ran.error?.message}`)
}

interface Server {
  readonly url: string
  readonly child: ChildProcess
}

/** A program that says where it is serving. */
const listen = async (home: string, ...program: ReadonlyArray<string>): Promise<Server> => {
  const child = spawn(process.execPath, program, {
    cwd: home,
    env: envOf(home),
    stdio: ["ignore", "ignore", "pipe"]
  })
  const url = await new Promise<string>((begun, reject) => {
    let said = ""
    child.stderr.on("data", (chunk) => {
      said += String(chunk)
      const match = /serving at (http:\S+\/mcp)[;\s]/.exec(said)
      if (match !== null) begun(match[1]!)
    })
    child.once("close", () => reject(new Error(`the server ended: ${said}`)))
  })
  return { url, child }
}

const serve = (home: string, ...args: ReadonlyArray<string>): Promise<Server> =>
  listen(home, command, "mcp", "--http", "0", "--backend", "filesystem", ...args)

const end = async ({ child }: Server): Promise<void> => {
  const closed = once(child, "close")
  child.kill("SIGTERM")
  await closed
}

/** Counts the checks that a script printed, and whether it came to its end. */
const countAll = ({ status, stderr, stdout }: Ran, end: string): void => {
  for (const part of stdout.split(/^(?=ok {6}|FAILED {2})/m)) {
    const [line = "", ...why] = part.trimEnd().split("\n")
    if (line.startsWith("ok ") || line.startsWith("FAILED "))
      count(line.startsWith("ok "), line.slice(8), why.join("\n"))
  }
  count(status === 0, end, `ended with ${status}\n${stderr}`)
}

const clients = async (folder: string, home: string): Promise<void> => {
  const server = await serve(home, "--token", TOKEN)
  try {
    const script = join(folder, "clients.mjs")
    countAll(
      await run(home, 600_000, script, command, home, server.url, TOKEN),
      "the official clients asked to the end"
    )
  } finally {
    await end(server)
  }
}

/**
 * Runs the suite, and tells which scenarios passed without a warning, and which ran no check.
 *
 * Its list of failures holds those with a warning, its summary does not; a failure that is expected and does not come is one.
 */
const suite = async (folder: string, home: string, url: string, revision: string) => {
  const script = join(folder, "node_modules", "@modelcontextprotocol", "conformance", "dist", "index.js")
  const expected = join(root, "tests", "mcp", `expected-${revision}.yaml`)
  const args = ["--url", url, "--suite", "all", "--spec-version", revision, "--expected-failures", expected]
  const { status, stderr, stdout } = await run(home, 300_000, script, "server", ...args)
  const summary = stdout.slice(Math.max(0, stdout.indexOf("=== SUMMARY ===")))
  const failing = new Set([...summary.matchAll(/^ {2}[~✗] (\S+)/gm)].map(([, scenario]) => scenario!))
  const unfailing = [...summary.matchAll(/^✓ (\S+): (\d+) passed, 0 failed/gm)].filter(
    ([, name]) => !failing.has(name!)
  )
  const names = (isIdle: boolean) =>
    unfailing.filter(([, , checks]) => (checks === "0") === isIdle).map(([, name]) => name!)
  return { status, summary: summary + stderr, passing: names(false), idle: names(true) }
}

/** A server of this package that also has what the suite asks for: everything passes but what is expected to fail. */
const fixtureServer = async (folder: string, home: string, revision: string): Promise<void> => {
  const server = await listen(home, "--conditions=@tidings/source", join(root, "tests", "mcp", "fixtureServer.ts"))
  try {
    const found = await suite(folder, home, server.url, revision)
    const name = `a server with the suite's fixtures conforms to ${revision}`
    // A suite that found nothing to run has shown nothing, nor has a scenario that ran no check.
    const isRun = found.passing.length > 25 && found.idle.length === 0
    count(found.status === 0 && isRun, name, `ended with ${found.status}\n${found.summary}`)
    for (const scenario of found.passing) count(true, `conformance ${revision}: ${scenario}`)
  } finally {
    await end(server)
  }
}

/** The scenarios that need none of the suite's fixtures. */
const WITHOUT_FIXTURES: Readonly<Record<string, ReadonlyArray<string>>> = {
  "2025-11-25": [
    "server-initialize",
    "server-session-lifecycle",
    "logging-set-level",
    "ping",
    "tools-list",
    "server-sse-multiple-streams",
    "resources-list",
    "prompts-list",
    "dns-rebinding-protection"
  ],
  "2026-07-28": [
    "tools-list",
    "server-sse-multiple-streams",
    "resources-list",
    "sep-2164-resource-not-found",
    "prompts-list",
    "dns-rebinding-protection",
    "caching",
    "http-header-validation",
    "input-required-result-unsupported-methods"
  ]
}

const conformance = async (folder: string, home: string): Promise<void> => {
  for (const [revision, scenarios] of Object.entries(WITHOUT_FIXTURES)) {
    await fixtureServer(folder, home, revision)
    const server = await serve(home, "--no-token")
    try {
      const { passing, summary } = await suite(folder, home, server.url, revision)
      for (const scenario of scenarios) {
        count(passing.includes(scenario), `conformance ${revision}: ${scenario}, of tidings mcp`, summary)
      }
    } finally {
      await end(server)
    }
  }
}

/** Many clients, and many events, at a server of its own: of the program that is given. */
const scale = async (folder: string, ...program: ReadonlyArray<string>): Promise<void> => {
  const home = join(folder, "scale")
  mkdirSync(home)
  const [writer, readings] = ["writeEvents.ts", "readings.mjs"].map((file) => join(root, "tests", "mcp", file))
  const script = join(folder, "scale.mjs")
  countAll(
    await run(home, 600_000, script, home, writer!, readings!, ...program),
    "many clients and many events were measured to the end"
  )
}

const inspector = async (folder: string, home: string): Promise<void> => {
  const script = join(
    folder,
    "node_modules",
    "@modelcontextprotocol",
    "inspector",
    "clients",
    "launcher",
    "build",
    "index.js"
  )
  const server = await serve(home, "--token", TOKEN)
  try {
    const targets = {
      stdio: [process.execPath, command, "mcp"],
      http: [server.url, "--transport", "http", "--header", `Authorization: Bearer ${TOKEN}`]
    }
    const call = ["--method", "tools/call", "--tool-name", "events", "--tool-arg", "resourceType=Workflow"]
    for (const [over, target] of Object.entries(targets)) {
      const listed = await run(home, 60_000, script, "--cli", ...target, "--method", "tools/list")
      const names = /"name": "events"[^]*"name": "event_summary"/
      const isListed = listed.status === 0 && names.test(listed.stdout)
      count(isListed, `the inspector lists the tools over ${over}`, listed.stdout + listed.stderr)
      const called = await run(home, 60_000, script, "--cli", ...target, ...call)
      const isCalled = called.status === 0 && called.stdout.includes("WorkflowExecuted")
      count(isCalled, `the inspector calls events over ${over}`, called.stdout + called.stderr)
    }
  } finally {
    await end(server)
  }
}

const folder = mkdtempSync(join(tmpdir(), "tidings-mcp-"))
try {
  console.log(`installing the official clients, conformance suite and inspector in ${folder}`)
  install(folder)
  const home = join(folder, "home")
  mkdirSync(home)
  const emitted = await run(
    home,
    120_000,
    command,
    "emit",
    "Workflow/deploy",
    "WorkflowExecuted",
    "--namespace",
    "default",
    "--backend",
    "filesystem"
  )
  if (emitted.status !== 0) throw new Error(`no event could be recorded: ${emitted.stderr}`)
  await clients(folder, home)
  await conformance(folder, home)
  await inspector(folder, home)
  await scale(folder, command, "mcp")
} catch (error) {
  failed++
  console.error(error instanceof Error ? error.message : error)
} finally {
  if (process.argv.includes("--keep")) console.log(`kept ${folder}`)
  else rmSync(folder, { recursive: true, force: true })
}
console.log(`\n${passed} passed, ${failed} failed`)
process.exitCode = failed === 0 ? 0 : 1
