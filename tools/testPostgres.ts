// `npm run test:postgres`: what only a real PostgreSQL server can show. It runs on fresh servers, of version 18, which it
// installs from npm, and of version 15 where the system has it, or on the server of $TIDINGS_TEST_DATABASE, a URL. Closes with
// `N passed, M failed`.
import { rmSync } from "node:fs"
import { install, installed, makeDirectory, type Programs, Server } from "./postgres/server.ts"
import { vitest } from "./vitest.ts"

let passed = 0
let failed = 0

/** The command is tested on the first server only: what differs between versions is below it. */
const PROJECTS = ["@tidings/backend-postgres", "tidings"]
let isFirst = true

/** Runs the tests on a server. Without `programs` those that start and stop a server of their own are left out, as `include` says. */
const test = (name: string, database: string, programs?: Programs): void => {
  console.log(`\n--- ${name} ---`)
  const projects = isFirst ? PROJECTS : PROJECTS.slice(0, 1)
  isFirst = false
  const counts = vitest(
    [...projects.map((name) => `--project=${name}`), "--maxWorkers=2", "--passWithNoTests", ...process.argv.slice(2)],
    {
      TIDINGS_TESTS: programs === undefined ? "database" : "postgres",
      TIDINGS_TEST_DATABASE: database,
      TIDINGS_TEST_POSTGRES: programs?.bin
    }
  )
  passed += counts.passed
  failed += counts.failed
}

const given = process.env["TIDINGS_TEST_DATABASE"]
if (given !== undefined && given !== "") test("the server of TIDINGS_TEST_DATABASE", given)
else {
  const directory = makeDirectory()
  try {
    const found: Array<Programs> = []
    try {
      found.push(install(directory))
    } catch (error) {
      const why = error instanceof Error ? error.message.split("\n")[0] : String(error)
      console.error(`\n*** NO TEST RAN ON POSTGRESQL 18: ${why} ***`)
      if (process.env["CI"] !== undefined) failed++
    }
    const ofSystem = installed(15)
    if (ofSystem !== undefined) found.push(ofSystem)
    if (found.length === 0) {
      console.error(
        "\n*** THE TESTS OF POSTGRESQL DID NOT RUN: there is no server, and TIDINGS_TEST_DATABASE names none ***"
      )
    }
    for (const programs of found) {
      const server = await Server.make(programs.bin, directory)
      try {
        test(`PostgreSQL ${programs.version}`, server.url(), programs)
      } finally {
        await server.remove()
      }
    }
  } catch (error) {
    failed++
    console.error(error instanceof Error ? error.message : error)
  } finally {
    rmSync(directory, { recursive: true, force: true })
  }
}
console.log(`\n${passed} passed, ${failed} failed`)
process.exitCode = failed === 0 ? 0 : 1
