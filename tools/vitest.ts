import { spawnSync } from "node:child_process"
import { mkdtempSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join, relative } from "node:path"

interface Report {
  readonly numPassedTests: number
  readonly numFailedTests: number
  readonly testResults: ReadonlyArray<{
    readonly name: string
    readonly status: string
    readonly message: string
    readonly assertionResults: ReadonlyArray<{
      readonly fullName: string
      readonly status: string
      readonly failureMessages: ReadonlyArray<string>
    }>
  }>
}

export interface Counts {
  readonly passed: number
  readonly failed: number
}

const say = (file: string, test: string, message: string | undefined): void => {
  const lines = (message ?? "").split("\n").filter((line) => line.trim() !== "")
  console.log(`FAILED ${relative(process.cwd(), file)}${test}: ${lines.slice(0, 3).join(" | ").slice(0, 600)}`)
}

/**
 * Runs vitest in this process's standard output and counts its tests. Each failed test is said again afterwards, in one line
 * that begins with `FAILED `, so that the end of a long output names it.
 */
export const vitest = (args: ReadonlyArray<string>, env: NodeJS.ProcessEnv = {}): Counts => {
  const scratch = mkdtempSync(join(tmpdir(), "tidings-tests-"))
  const file = join(scratch, "report.json")
  const reporters = args.some((argument) => argument.startsWith("--reporter")) ? [] : ["--reporter=default"]
  const { status } = spawnSync(
    process.execPath,
    ["node_modules/vitest/vitest.mjs", "run", ...reporters, "--reporter=json", `--outputFile.json=${file}`, ...args],
    { stdio: "inherit", env: { ...process.env, ...env } }
  )
  let passed = 0
  let failed = 0
  try {
    const report = JSON.parse(readFileSync(file, "utf8")) as Report
    passed = report.numPassedTests
    failed = report.numFailedTests
    for (const { assertionResults, message, name, status } of report.testResults) {
      for (const test of assertionResults) {
        if (test.status === "failed") say(name, ` > ${test.fullName}`, test.failureMessages[0])
      }
      // A file that could not be loaded has failed as well, though no test of it ran.
      if (status === "failed" && assertionResults.length === 0) {
        failed++
        say(name, "", message)
      }
    }
  } catch {
    failed++
  }
  rmSync(scratch, { recursive: true, force: true })
  if (status !== 0 && failed === 0) {
    failed++
    console.log(`FAILED vitest ended with status ${status}, though no test failed`)
  }
  return { passed, failed }
}
