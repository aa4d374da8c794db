// `npm run test:mcp`: installs the official clients, conformance suite and inspector of the Model Context Protocol, in the
// versions of tests/mcp/package-lock.json, in a folder outside of this repository, and lets them ask `tidings mcp` over stdio
// and over HTTP. Closes with `N passed, M failed`.
import { spawn, spawnSync, type ChildProcess } from "node:child_process"
import { once } from "node:events"
import { cpSync, mkdirSync, mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join, resolve } from "node:path"

const root = resolve(import.meta.dirname, "..")
const command = join(root, "packages", "tidings", "bin", "tidings.mjs")
const TOKEN = "a-token-of-the-test"
const REVISIONS = ["2025-11-25", "2026-07-28"]

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
  for (const file of ["package.json", "package-lock.json", "clients.mjs"]) {
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

const serve = async (home: string, ...args: ReadonlyArray<string>): Promise<Server> => {
  const child = spawn(process.execPath, [command, "mcp", "--http", "0", "--backend", "filesystem", ...args], {
    cwd: home,
    env: envOf(home),
    stdio: ["ignore", "ignore", "pipe"]
  })
  const url = await new Promise<string>((begun, reject) => {
    let said = ""
    child.stderr.on("data", (chunk) => {
      said += String(chunk)
      const match = /serving at (http:\S+\/mcp);/.exec(said)
      if (match !== null) begun(match[1]!)
    })
    child.once("close", () => reject(new Error(`the server ended: ${said}`)))
  })
  return { url, child }
}

const end = async ({ child }: Server): Promise<void> => {
  const closed = once(child, "close")
  child.kill("SIGTERM")
  await closed
}

const clients = async (folder: string, home: string): Promise<void> => {
  const server = await serve(home, "--token", TOKEN)
  try {
    const script = join(folder, "clients.mjs")
    const { status, stderr, stdout } = await run(home, 600_000, script, command, home, server.url, TOKEN)
    for (const part of stdout.split(/^(?=ok {6}|FAILED {2})/m)) {
      const [line = "", ...why] = part.trimEnd().split("\n")
      if (line.startsWith("ok ") || line.startsWith("FAILED "))
        count(line.startsWith("ok "), line.slice(8), why.join("\n"))
    }
    count(status === 0, "the official clients asked to the end", `ended with ${status}\n${stderr}`)
  } finally {
    await end(server)
  }
}

const conformance = async (folder: string, home: string): Promise<void> => {
  const suite = join(folder, "node_modules", "@modelcontextprotocol", "conformance", "dist", "index.js")
  for (const revision of REVISIONS) {
    const server = await serve(home, "--no-token")
    try {
      const expected = join(root, "tests", "mcp", `expected-${revision}.yaml`)
      const args = ["server", "--url", server.url, "--suite", "all", "--spec-version", revision]
      const { status, stderr, stdout } = await run(home, 300_000, suite, ...args, "--expected-failures", expected)
      const summary = stdout.slice(Math.max(0, stdout.indexOf("=== SUMMARY ===")))
      const baseline = new Set([...summary.matchAll(/^ {2}~ (\S+)/gm)].map(([, scenario]) => scenario))
      // A scenario that ran no check, or is expected to fail, has shown nothing.
      const scenarios = [...summary.matchAll(/^✓ (\S+): [1-9]\d* passed, 0 failed/gm)]
        .map(([, scenario]) => scenario!)
        .filter((scenario) => !baseline.has(scenario))
      const name = `tidings mcp conforms to ${revision}, where it has what the suite asks for`
      // A suite that found nothing to run has shown nothing.
      count(status === 0 && scenarios.length > 5, name, `ended with ${status}\n${summary}${stderr}`)
      for (const scenario of scenarios) count(true, `conformance ${revision}: ${scenario}`)
    } finally {
      await end(server)
    }
  }
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
} catch (error) {
  failed++
  console.error(error instanceof Error ? error.message : error)
} finally {
  if (process.argv.includes("--keep")) console.log(`kept ${folder}`)
  else rmSync(folder, { recursive: true, force: true })
}
console.log(`\n${passed} passed, ${failed} failed`)
process.exitCode = failed === 0 ? 0 : 1
