import * as Simulation from "@tidings/testing/Simulation"
import { delivery, product } from "/work/main/packages/testing/test/fixtures/delivery.ts"
import * as Exit from "effect/Exit"
import * as Cause from "effect/Cause"
const n = Number(process.argv[2] ?? 200)
const from = Number(process.argv[3] ?? 1)
const counts: Record<string, number> = {}
const fails = new Map<string, Array<number>>()
let steps = 0
const t0 = process.cpuUsage()
for (let seed = from; seed < from + n; seed++) {
  const run = Simulation.run({ seed, maximumSteps: 200_000 }, delivery(product))
  steps += run.steps
  for (const [k, v] of Object.entries(run.counts)) counts[k] = (counts[k] ?? 0) + v
  if (Exit.isFailure(run.exit)) {
    const text = Cause.pretty(run.exit.cause).split("\n")[0]!.replace(/[0-9]+/g, "#")
    fails.set(text, [...(fails.get(text) ?? []), seed])
    if (process.argv[4]) { console.log(run.trace.slice(-Number(process.argv[4])).join("\n")); console.log(Cause.pretty(run.exit.cause)) }
  }
}
const cpu = process.cpuUsage(t0)
console.log(((cpu.user + cpu.system) / 1000 / n).toFixed(2), "ms/seed", Math.round(steps / n), "steps/seed")
console.log(counts)
for (const [text, seeds] of [...fails].sort((a, b) => b[1].length - a[1].length)) console.log(seeds.length, text, seeds.slice(0, 5).join(","))
