// `npm run test:crash [-- --kills N] [-- --seed N]`: hosts with a file journal, killed at random moments.
import { doubles } from "./doubles.ts"
import { run } from "./harness.ts"

/** Of the whole run; `npm test` does with fewer. */
const KILLS = 200

const numberAfter = (name: string, otherwise: number): number => {
  const index = process.argv.indexOf(name)
  return index === -1 ? otherwise : Number(process.argv[index + 1])
}

const kills = numberAfter("--kills", KILLS)
const seed = numberAfter("--seed", (Date.now() & 0xffff) + 1)
const begun = performance.now()
const report = await run({ kills, seed, target: doubles, progress: (line) => console.error(line) })
for (const [what, n] of Object.entries(report.found).sort()) console.log(`${String(n).padStart(6)} ${what}`)
for (const problem of report.problems) console.error(problem)
const seconds = ((performance.now() - begun) / 1_000).toFixed(0)
console.log(
  `${report.kills} kills, ${report.accepted} events accepted, ${report.delivered} delivered, seed ${report.seed}, ${seconds} s`
)
console.log(`${report.problems.length === 0 ? kills : 0} passed, ${report.problems.length} failed`)
process.exitCode = report.problems.length === 0 ? 0 : 1
