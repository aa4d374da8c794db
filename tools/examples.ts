// Runs every example that ends by itself, and the tests of those that have some.
import { spawnSync } from "node:child_process"
import { existsSync, mkdtempSync, readdirSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"

/** What an example has to print, beside what it asserts itself. */
const expected: Readonly<Record<string, ReadonlyArray<RegExp>>> = {
  // What the agent was answered over HTTP, and over stdio.
  "mcp-supervisor": [
    /^By object and reason:\n(?:.+\n)*.* Warning +MCPServerHealthCheckFailed +default\/MCPServer\/everything .*ping/m,
    /^\d+ of \d+ events, newest first\..*\n(?:.+\n)*.* Warning +MCPServerHealthCheckFailed +default\/MCPServer\/everything .*ping/m
  ]
}

let passed = 0
let failed = 0
const playground = mkdtempSync(join(tmpdir(), "tidings-examples-"))
for (const name of readdirSync("examples")) {
  const main = join("examples", name, "main.ts")
  // The cluster examples start an API server; the cluster tests run them.
  if (!existsSync(main) || name === "cluster") continue
  console.log(`--- example ${name}`)
  const run = spawnSync(process.execPath, ["--conditions=@tidings/source", main], {
    encoding: "utf8",
    timeout: 120_000,
    env: { ...process.env, TIDINGS_DIRECTORY: join(playground, name) }
  })
  const missing = (expected[name] ?? []).filter((text) => !text.test(run.stdout))
  if (run.status === 0 && missing.length === 0) passed++
  else {
    failed++
    console.error(`${run.stdout}\n${run.stderr}\nexample ${name} ended with ${run.status ?? run.signal}`)
    for (const text of missing) console.error(`it did not print ${text}`)
  }
}
rmSync(playground, { recursive: true, force: true })
console.log(`\n${passed} passed, ${failed} failed`)
process.exitCode = failed === 0 ? 0 : 1
