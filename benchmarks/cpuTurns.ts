/** The CPU of whole processes: of commands that run in turns. */
import { spawnSync } from "node:child_process"
import { writeFileSync } from "node:fs"
import { join } from "node:path"
import { median } from "./Measurement.ts"

const ROUNDS = 11

/** Tells what a process has used at its end, on a descriptor of its own. */
const TELL_CPU = `process.on("exit", () => {
  const { system, user } = process.cpuUsage()
  require("node:fs").writeSync(3, String((system + user) / 1_000))
})`

/** What each command costs in milliseconds of CPU, of user and system, which other processes of the machine change least. */
export const cpuTurns = (
  contenders: Readonly<Record<string, ReadonlyArray<string>>>,
  env: NodeJS.ProcessEnv,
  folder: string
): ReadonlyMap<string, number> => {
  const preload = join(folder, "tell-cpu.cjs")
  writeFileSync(preload, TELL_CPU)
  const costs = new Map<string, Array<number>>(Object.keys(contenders).map((name) => [name, []]))
  for (let round = -1; round < ROUNDS; round++) {
    for (const [name, args] of Object.entries(contenders)) {
      const { output, status, stderr } = spawnSync(process.execPath, ["--require", preload, ...args], {
        env,
        encoding: "utf8",
        stdio: ["ignore", "ignore", "pipe", "pipe"]
      })
      if (status !== 0) throw new Error(`${args.join(" ")} ended with ${status}: ${stderr}`)
      if (round >= 0) costs.get(name)!.push(Number(output[3]))
    }
  }
  return new Map([...costs].map(([name, list]) => [name, median(list)]))
}
