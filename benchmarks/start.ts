/**
 * What a user waits for: the start of the command, and the import of the library.
 */
import { spawnSync } from "node:child_process"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join, resolve } from "node:path"
import { compare, type Group, median } from "./Measurement.ts"

const ROUNDS = 11

const timeOf = (args: ReadonlyArray<string>, env: NodeJS.ProcessEnv): number => {
  const begun = process.hrtime.bigint()
  const { status, stderr } = spawnSync(process.execPath, args, { env, encoding: "utf8" })
  if (status !== 0) throw new Error(`${args.join(" ")} ended with ${status}: ${stderr}`)
  return Number(process.hrtime.bigint() - begun) / 1_000_000
}

const turns = (
  contenders: Readonly<Record<string, ReadonlyArray<string>>>,
  env: NodeJS.ProcessEnv
): ReadonlyMap<string, number> => {
  const times = new Map<string, Array<number>>(Object.keys(contenders).map((name) => [name, []]))
  for (let round = -1; round < ROUNDS; round++) {
    for (const [name, args] of Object.entries(contenders)) {
      const time = timeOf(args, env)
      if (round >= 0) times.get(name)!.push(time)
    }
  }
  return new Map([...times].map(([name, list]) => [name, median(list)]))
}

/** The modules of Effect that the core itself imports, and no line of its own. */
const EFFECT_MODULES = [
  "Cause",
  "Clock",
  "Context",
  "Data",
  "DateTime",
  "Deferred",
  "Duration",
  "Effect",
  "Exit",
  "Fiber",
  "Layer",
  "Metric",
  "Option",
  "Random",
  "Result",
  "Scope",
  "Semaphore",
  "Stream",
  "crypto/SecureRandom",
  "encoding/Base64Url",
  "encoding/Hex"
]

export const run = async (): Promise<ReadonlyArray<Group>> => {
  const folder = mkdtempSync(join(tmpdir(), "tidings-bench-"))
  try {
    const command = resolve("packages/tidings/bin/tidings.mjs")
    const env = { ...process.env, TIDINGS_DIRECTORY: join(folder, "log"), NODE_OPTIONS: "" }
    timeOf([command, "emit", "Workflow/bench", "WorkflowExecuted"], env)
    const starts = turns(
      { "node -e 0": ["-e", "0"], "tidings --version": [command, "--version"], "tidings list": [command, "list"] },
      env
    )
    const rows = compare(starts, "node -e 0", {}, "ms").map((row) =>
      row.ratio === undefined ? row : { ...row, bar: "under 150 ms", met: row.cost < 150 }
    )

    const script = (name: string, imports: ReadonlyArray<string>): string => {
      const file = resolve("benchmarks", `.${name}.mjs`)
      writeFileSync(file, imports.map((one) => `import "${one}"`).join("\n"))
      return file
    }
    const bare = script(
      "effect",
      EFFECT_MODULES.map((one) => `effect/${one}`)
    )
    const core = script("core", ["@tidings/core"])
    try {
      const built = spawnSync("npx", ["--no-install", "turbo", "run", "build", "--filter=@tidings/core"], {
        encoding: "utf8"
      })
      if (built.status !== 0) throw new Error(`the core could not be built: ${built.stdout}${built.stderr}`)
      const imports = turns(
        { "the same modules of Effect": [bare], "@tidings/core": [core] },
        { ...process.env, NODE_OPTIONS: "" }
      )
      return [
        { title: "Start the command", rows },
        {
          title: "Import the library",
          rows: compare(imports, "the same modules of Effect", { "@tidings/core": { atMost: 1.2 } }, "ms")
        }
      ]
    } finally {
      rmSync(bare, { force: true })
      rmSync(core, { force: true })
    }
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}
