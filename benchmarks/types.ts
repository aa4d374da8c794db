/**
 * What the compiler pays for checking a catalogue: 300 reasons of 10 kinds and one call of each, against the same texts in
 * a constant that is never checked.
 */
import { execFileSync } from "node:child_process"
import { mkdirSync, rmSync, writeFileSync } from "node:fs"
import { resolve } from "node:path"
import { compare, type Group, median } from "./Measurement.ts"

const ROUNDS = 7
const KINDS = 10
const REASONS = 30

const FIELDS = ["orderId", "podCount", "took", "region", "error", "attempt"] as const

/** Messages as people write them: two fields, one of them or both behind an if, now and then a comparison. */
const message = (number: number): string => {
  const field = FIELDS[number % 4]!
  const name = `${field.charAt(0).toUpperCase()}${field.slice(1)}`.replace(/Id$/, "ID")
  switch (number % 4) {
    case 0:
      return `Step ${number} of {{.Name}} in {{.Namespace}}: {{.${name}}}{{if .Error}}: {{.Error}}{{end}}`
    case 1:
      return `{{.Name}} has {{.PodCount}} pods{{if .Took}} after {{.Took}}{{end}} (${number})`
    case 2:
      return `{{.Name}} ended{{if and .Error (gt .Attempt 1)}} in attempt {{.Attempt}}: {{.Error}}{{else}} well{{end}} (${number})`
    default:
      return `{{.Name}}{{if eq .Region "eu"}} (Europe){{else if .Region}} ({{.Region}}){{end}} was changed ${number} times`
  }
}

const data = (number: number): string => ["{ orderId: 'a' }", "{ podCount: 3 }", "{}", "{}"][number % 4]!

const kinds = (): string =>
  Array.from({ length: KINDS }, (_, kind) => {
    const reasons = Array.from({ length: REASONS }, (_, reason) => {
      const number = kind * REASONS + reason
      return `      Thing${kind}Reason${reason}: { meaning: "m", message: ${JSON.stringify(message(number))} }`
    })
    return `  Thing${kind}: {
    apiVersion: "example.com/v1",
    fields: { orderId: "text", podCount: "count", took: "duration", region: "text", error: "text", attempt: "count" },
    reasons: {\n${reasons.join(",\n")}\n    }
  }`
  }).join(",\n")

const calls = (call: (kind: number, reason: string, data: string) => string): string =>
  Array.from({ length: KINDS * REASONS }, (_, number) => {
    const kind = Math.trunc(number / REASONS)
    return call(kind, `Thing${kind}Reason${number % REASONS}`, data(number))
  }).join("\n")

const IMPORTS = `import * as EventCatalogue from "@tidings/core/EventCatalogue"\n`

const UNCHECKED = "300 texts and calls, unchecked"
const CHECKED = "300 reasons and calls, checked"

const programs = (): Readonly<Record<string, string>> => ({
  [UNCHECKED]: `${IMPORTS}export type Field = EventCatalogue.Field
export const kinds = {\n${kinds()}\n} as const
declare const record: (object: object, reason: string, data?: object) => void
const object = { metadata: { name: "a" } }
${calls((_, reason, given) => `record(object, "${reason}", ${given})`)}
`,
  [CHECKED]: `${IMPORTS}
export class Things extends EventCatalogue.Service<Things>()("bench/Things", {\n${kinds()}\n}) {}
declare const things: Things["Service"]
const object = { metadata: { name: "a" } }
${calls((kind, reason, given) => `things.thing${kind}Event(object, "${reason}", ${given})`)}
`
})

interface Cost {
  readonly seconds: number
  readonly instantiations: number
}

const compile = (folder: string): Cost => {
  // With one thread, so that each type is counted once.
  const args = [resolve("node_modules/typescript/bin/tsc"), "-p", folder, "--extendedDiagnostics", "--singleThreaded"]
  const shown = execFileSync(process.execPath, args, { encoding: "utf8" })
  const read = (name: string): number => Number(new RegExp(`^${name}:\\s+([\\d.]+)`, "m").exec(shown)?.[1])
  return { seconds: read("Total time"), instantiations: read("Instantiations") }
}

/** Beside this file, so that packages are found. */
const write = (name: string, program: string): string => {
  const folder = resolve("benchmarks", `.types-${name}`)
  mkdirSync(folder, { recursive: true })
  writeFileSync(resolve(folder, "program.ts"), program)
  const compilerOptions = {
    composite: false,
    incremental: false,
    declarationMap: false,
    noEmit: true,
    rootDir: "../.."
  }
  const config = { extends: "../../tsconfig.base.json", include: ["program.ts"], compilerOptions }
  writeFileSync(resolve(folder, "tsconfig.json"), JSON.stringify(config))
  return folder
}

export const run = async (): Promise<ReadonlyArray<Group>> => {
  const folders = Object.entries(programs()).map(
    ([name, program], index) => [name, write(`${index}`, program)] as const
  )
  try {
    const costs = new Map<string, Array<Cost>>(folders.map(([name]) => [name, []]))
    for (let round = -1; round < ROUNDS; round++) {
      for (const [name, folder] of folders) {
        const cost = compile(folder)
        if (round >= 0) costs.get(name)!.push(cost)
      }
    }
    const of = (read: (cost: Cost) => number): ReadonlyMap<string, number> =>
      new Map([...costs].map(([name, list]) => [name, median(list.map(read))]))
    return [
      {
        title: "Compile a catalogue (the whole run of tsc, with Effect)",
        rows: compare(
          of(({ seconds }) => seconds * 1000),
          UNCHECKED,
          {},
          "ms"
        )
      },
      {
        // The same on every machine, so it can have a bar: 1.2 times what the first release had.
        title: "Compile a catalogue (instantiations of types, in thousands)",
        rows: compare(
          of(({ instantiations }) => instantiations / 1000),
          UNCHECKED,
          { [CHECKED]: { atMost: 18 } },
          ""
        )
      }
    ]
  } finally {
    for (const [, folder] of folders) rmSync(folder, { recursive: true, force: true })
  }
}
