// A host's own logic, tested with in-memory layers, a clock that the test turns, properties, and a store that answers badly.
import { spawnSync } from "node:child_process"
import { fileURLToPath } from "node:url"

const folder = fileURLToPath(new URL(".", import.meta.url))
const vitest = fileURLToPath(new URL("../../node_modules/vitest/vitest.mjs", import.meta.url))
const { status } = spawnSync(process.execPath, [vitest, "run", "--root", folder, "--reporter=verbose"], {
  stdio: "inherit"
})
process.exitCode = status ?? 1
