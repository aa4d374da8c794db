// Runs every example that ends by itself, and the tests of those that have some.
import { spawnSync } from "node:child_process"
import { existsSync, mkdtempSync, readdirSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"

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
  if (run.status === 0) passed++
  else {
    failed++
    console.error(`${run.stdout}\n${run.stderr}\nexample ${name} ended with ${run.status ?? run.signal}`)
  }
}
rmSync(playground, { recursive: true, force: true })
console.log(`\n${passed} passed, ${failed} failed`)
process.exitCode = failed === 0 ? 0 : 1
