// `npm run bench [-- NAME …] [--json]`: measures side by side with what a user would have instead, and prints ratios.
import { parseArgs } from "node:util"
import { type Group, table } from "./Measurement.ts"

const { positionals: names, values } = parseArgs({
  allowPositionals: true,
  options: {
    json: { type: "boolean", default: false },
    // Of the suites `log` and `postgres`.
    baseline: { type: "string" },
    events: { type: "string" },
    large: { type: "string", default: "20000000" },
    logs: { type: "string" },
    only: { type: "string" }
  }
})

/** The part that is measured alone, if one is asked for. */
const onlyOf = <Part extends string>(parts: ReadonlyArray<Part>): Part | undefined => {
  const only = parts.find((part) => part === values.only)
  if (only === values.only) return only
  console.error(`There is no part ${values.only} that is measured alone; there are: ${parts.join(", ")}`)
  process.exit(2)
}

const suites: Readonly<Record<string, () => Promise<{ readonly run: () => Promise<ReadonlyArray<Group>> }>>> = {
  templates: () => import("./templates.ts"),
  record: () => import("./record.ts"),
  log: async () => {
    const { PARTS, run } = await import("./log.ts")
    const options = {
      baseline: values.baseline,
      events: Number(values.events ?? 1_000_000),
      large: Number(values.large),
      logs: values.logs,
      only: onlyOf(PARTS)
    }
    return { run: () => run(options) }
  },
  postgres: async () => {
    const { PARTS, run } = await import("./postgres.ts")
    return { run: () => run({ events: Number(values.events ?? 5_000_000), only: onlyOf(PARTS) }) }
  },
  recorder: () => import("./recorder.ts"),
  fairness: () => import("./fairness.ts"),
  start: async () => {
    const { run } = await import("./start.ts")
    return { run: () => run(names.includes("start")) }
  },
  mcp: () => import("./mcp.ts"),
  types: () => import("./types.ts"),
  kubernetes: () => import("./kubernetes.ts")
}

/** What runs without a name: a minute or two. The others take longer, or need a cluster, and are asked for by name. */
const SHORT = ["templates", "record", "start", "mcp"]

const { json } = values
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
