import { defineConfig, mergeConfig } from "vitest/config"
import { shared } from "../../vitest.shared.ts"

// `npm run test:postgres` runs what needs a PostgreSQL server.
const isOnDatabase = ["postgres", "database"].includes(process.env["TIDINGS_TESTS"] ?? "")
const include = isOnDatabase ? ["test/**/*.database.ts"] : shared.test!.include!

const config = mergeConfig(shared, defineConfig({ test: { name: "tidings" } }))

export default { ...config, test: { ...config.test, include } }
