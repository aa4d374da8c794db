// `npm test`: the tests of all packages in one run, then one line that sums them up. With `--slow`, as `npm run test:slow` has
// it, those that take whole processes, compilers and large data.
import { spawnSync } from "node:child_process"
import { mkdtempSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"

interface Report {
  readonly numPassedTests: number
  readonly numFailedTests: number
  readonly testResults: ReadonlyArray<{
    readonly name: string
    readonly status: string
    readonly assertionResults: ReadonlyArray<unknown>
  }>
}

const OWN = new Set(["--verbose", "--slow"])
const isSlow = process.argv.includes("--slow")

const scratch = mkdtempSync(join(tmpdir(), "tidings-test-"))
const file = join(scratch, "report.json")
const run = spawnSync(
  process.execPath,
  [
    "node_modules/vitest/vitest.mjs",
    "run",
    ...(process.argv.includes("--verbose") ? ["--reporter=verbose"] : ["--reporter=default"]),
    "--reporter=json",
    `--outputFile.json=${file}`,
    // Many tests wait for processes, sockets and files; left alone, vitest uses one worker less than there are cores.
    "--maxWorkers=2",
    ...process.argv.slice(2).filter((argument) => !OWN.has(argument))
  ],
  { stdio: "inherit", env: { ...process.env, TIDINGS_TESTS: isSlow ? "slow" : "" } }
)
let passed = 0
let failed = 0
try {
  const report = JSON.parse(readFileSync(file, "utf8")) as Report
  passed = report.numPassedTests
  failed = report.numFailedTests
  // A file that could not be loaded has failed as well, though no test of it ran.
  for (const one of report.testResults) if (one.status === "failed" && one.assertionResults.length === 0) failed++
} catch {
  failed++
}
rmSync(scratch, { recursive: true, force: true })
if (run.status !== 0 && failed === 0) failed++
console.log(`\n${passed} passed, ${failed} failed`)
process.exitCode = failed === 0 ? 0 : 1
