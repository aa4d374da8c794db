// `npm run test:soak [-- --events N]`: a million events through a file journal in a process that may use 64 MB, with
// outages, a quota that is reached, and restarts. Memory stays flat, the books are exact, and a start takes as long as
// ever. Events with large data leave nothing behind.
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { largeData } from "./largeData.ts"
import { soak } from "./soak.ts"
import { startUp } from "./startUp.ts"

const EVENTS = 1_000_000

const index = process.argv.indexOf("--events")
const events = index === -1 ? EVENTS : Number(process.argv[index + 1])

let passed = 0
let failed = 0
const check = (what: string, holds: boolean): void => {
  if (holds) passed++
  else failed++
  console.log(`${holds ? "ok    " : "FAILED"} ${what}`)
}

const scratch = mkdtempSync(join(tmpdir(), "tidings-soak-"))
try {
  // Before the million: a heap full of it would be in the times.
  await startUp({ directory: join(scratch, "start"), check })
  await largeData({ directory: join(scratch, "large"), check })
  await soak({ directory: join(scratch, "soak"), events, check, progress: (line) => console.error(line) })
} finally {
  rmSync(scratch, { recursive: true, force: true })
}
console.log(`${passed} passed, ${failed} failed`)
process.exitCode = failed === 0 ? 0 : 1
