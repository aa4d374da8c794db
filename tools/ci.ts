// Runs every check in turn, goes on after a failure, says at the end what ran, and closes with one line:
// `N passed, M failed`, summed over all. A check that counts its own cases adds those, any other one counts as one.
import { spawn } from "node:child_process"

interface Check {
  readonly name: string
  readonly command: ReadonlyArray<string>
}

const node = (...args: ReadonlyArray<string>) => [process.execPath, "--conditions=@tidings/source", ...args]
const npx = (...args: ReadonlyArray<string>) => ["npx", "--no-install", ...args]

const checks: ReadonlyArray<Check> = [
  { name: "tests", command: ["npm", "test"] },
  { name: "slow tests", command: ["npm", "run", "test:slow"] },
  { name: "types", command: npx("tsc", "-b") },
  { name: "lint", command: ["npm", "run", "lint"] },
  { name: "documentation", command: node("tools/docs.ts") },
  { name: "examples", command: node("tools/examples.ts") },
  { name: "unused code and dependencies", command: npx("knip") },
  { name: "packages", command: ["npm", "run", "lint:package"] },
  { name: "hosts", command: ["npm", "run", "test:hosts"] },
  { name: "official clients of the Model Context Protocol", command: ["npm", "run", "test:mcp"] },
  { name: "tests on PostgreSQL", command: ["npm", "run", "test:postgres"] },
  { name: "cluster tests", command: ["npm", "run", "test:cluster"] }
]

const run = (command: ReadonlyArray<string>) =>
  new Promise<{ readonly code: number; readonly tail: string; readonly failures: ReadonlyArray<string> }>((done) => {
    const child = spawn(command[0]!, command.slice(1), {
      stdio: ["ignore", "pipe", "pipe"],
      // The shells that the tests of completion need are installed where this machine may do so.
      env: { ...process.env, TIDINGS_INSTALL_SHELLS: "yes" }
    })
    let tail = ""
    const failures: Array<string> = []
    const pass = (stream: NodeJS.WriteStream) => {
      let line = ""
      return (chunk: Buffer) => {
        stream.write(chunk)
        tail = (tail + String(chunk)).slice(-4_000)
        const lines = (line + String(chunk)).split("\n")
        line = lines.pop()!
        failures.push(...lines.filter((one) => one.startsWith("FAILED ")))
      }
    }
    child.stdout.on("data", pass(process.stdout))
    child.stderr.on("data", pass(process.stderr))
    child.on("error", (error) => done({ code: 1, tail: error.message, failures }))
    child.on("close", (code) => done({ code: code ?? 1, tail, failures }))
  })

let passed = 0
let failed = 0
const summary: Array<string> = []
for (const { command, name } of checks) {
  console.log(`\n=== ${name} ===`)
  const begun = performance.now()
  const { code, failures, tail } = await run(command)
  const seconds = ((performance.now() - begun) / 1_000).toFixed(0)
  const counted = [...tail.matchAll(/^(\d+) passed, (\d+) failed$/gm)].at(-1)
  const ofCheck =
    counted === undefined ? [code === 0 ? 1 : 0, code === 0 ? 0 : 1] : [Number(counted[1]), Number(counted[2])]
  // Ended badly though no case failed: that is a failure too.
  if (code !== 0 && ofCheck[1] === 0) ofCheck[1] = 1
  passed += ofCheck[0]!
  failed += ofCheck[1]!
  // What failed is said again at the end, because the output of all checks has tens of thousands of lines.
  summary.push(...failures.slice(0, 20).map((line) => `       ${line}`))
  summary.push(
    `${ofCheck[1] === 0 ? "ok    " : "FAILED"} ${name}: ${ofCheck[0]} passed, ${ofCheck[1]} failed (${seconds} s)`
  )
}
console.log(`\n${summary.join("\n")}\n\n${passed} passed, ${failed} failed`)
process.exitCode = failed === 0 ? 0 : 1
