import { defineConfig, mergeConfig } from "vitest/config"
import { isSlow, shared } from "../../vitest.shared.ts"

// `npm run test:postgres` runs what needs a server: on any server those of `*.database.ts`, and those of `*.server.ts`, which
// start, stop and kill one, where it has the programs.
const include =
  process.env["TIDINGS_TESTS"] === "postgres"
    ? ["test/**/*.database.ts", "test/**/*.server.ts"]
    : process.env["TIDINGS_TESTS"] === "database"
      ? ["test/**/*.database.ts"]
      : isSlow
        ? ["test/Archive.simulation.test.ts"]
        : shared.test!.include!

const config = mergeConfig(
  shared,
  defineConfig({ test: { name: "@tidings/backend-postgres", testTimeout: 60_000, hookTimeout: 60_000 } })
)

export default { ...config, test: { ...config.test, include } }
