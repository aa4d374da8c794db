// `npm run example NAME`: runs examples/NAME/main.ts; without a name it lists them.
import { spawnSync } from "node:child_process"
import { existsSync, readdirSync, readFileSync } from "node:fs"
import { join } from "node:path"

const [name, ...rest] = process.argv.slice(2)
const examples = readdirSync("examples").filter((one) => existsSync(join("examples", one, "main.ts")))

if (name === undefined || !examples.includes(name)) {
  console.error(name === undefined ? "Say which example: npm run example NAME" : `There is no example "${name}".`)
  for (const one of examples) {
    const purpose = /^\/\/ (.*)$/m.exec(readFileSync(join("examples", one, "main.ts"), "utf8"))?.[1] ?? ""
    console.error(`  ${one.padEnd(18)} ${purpose}`)
  }
  process.exitCode = name === undefined ? 0 : 2
} else {
  const run = spawnSync(
    process.execPath,
    ["--conditions=@tidings/source", join("examples", name, "main.ts"), ...rest],
    {
      stdio: "inherit"
    }
  )
  process.exitCode = run.status ?? 1
}
