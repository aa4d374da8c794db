// `npm run bench [-- NAME …] [-- --json]`: measures side by side with what a user would have instead, and prints ratios.
import { type Group, table } from "./Measurement.ts"

const suites: Readonly<Record<string, () => Promise<{ readonly run: () => Promise<ReadonlyArray<Group>> }>>> = {
  templates: () => import("./templates.ts"),
  record: () => import("./record.ts"),
  log: () => import("./log.ts"),
  recorder: () => import("./recorder.ts"),
  fairness: () => import("./fairness.ts"),
  start: () => import("./start.ts"),
  types: () => import("./types.ts"),
  kubernetes: () => import("./kubernetes.ts")
}

/** What runs without a name: a minute or two. The others take longer, or need a cluster, and are asked for by name. */
const SHORT = ["templates", "record", "log", "start"]

const json = process.argv.includes("--json")
const names = process.argv.slice(2).filter((argument) => !argument.startsWith("--"))
const unknown = names.filter((name) => !(name in suites))
if (unknown.length > 0) {
  console.error(`There is no benchmark ${unknown.join(", ")}; there are: ${Object.keys(suites).join(", ")}`)
  process.exit(2)
}

const all: Record<string, ReadonlyArray<Group>> = {}
let missed = 0
for (const name of names.length > 0 ? names : SHORT) {
  const groups = await (await suites[name]!()).run()
  all[name] = groups
  for (const group of groups) {
    missed += group.rows.filter(({ met }) => met === false).length
    if (!json) console.log(`${table(group)}\n`)
  }
}
if (json) console.log(JSON.stringify({ node: process.version, suites: all }, null, 2))
else console.log(missed === 0 ? "Every bar is met." : `${missed} bars are missed.`)
process.exitCode = missed === 0 ? 0 : 1
