// `npm run test:cluster`: what only a real API server can show. It runs on a fresh one, built by Go, or on that of
// $KUBECONFIG where TIDINGS_TEST_CLUSTER=kubeconfig says so.
import { spawnSync } from "node:child_process"
import * as Cluster from "./cluster/Cluster.ts"
import { vitest } from "./vitest.ts"

const theirs = process.env["TIDINGS_TEST_CLUSTER"] === "kubeconfig"
let passed = 0
let failed = 0

const missing = async (): Promise<string | undefined> => {
  if (theirs)
    return process.env["KUBECONFIG"] === undefined ? "TIDINGS_TEST_CLUSTER=kubeconfig needs KUBECONFIG" : undefined
  try {
    await Cluster.build({ progress: (line) => console.error(line) })
    return undefined
  } catch (error) {
    return error instanceof Error ? error.message : String(error)
  }
}

const why = await missing()
if (why !== undefined) {
  console.error(`\n*** THE CLUSTER TESTS DID NOT RUN: ${why.split("\n")[0]} ***`)
  if (process.env["CI"] !== undefined) failed++
} else {
  const counts = vitest(["--root", "tests", "--config", "vitest.cluster.config.ts", ...process.argv.slice(2)])
  passed += counts.passed
  failed += counts.failed

  const example = spawnSync(process.execPath, ["--conditions=@tidings/source", "examples/cluster/main.ts"], {
    encoding: "utf8",
    stdio: ["ignore", "pipe", "inherit"]
  })
  console.log(example.stdout)
  const counted = /^(\d+) passed, (\d+) failed$/m.exec(example.stdout)
  passed += Number(counted?.[1] ?? 0)
  failed += counted === null ? 1 : Number(counted[2])
}
console.log(`\n${passed} passed, ${failed} failed`)
process.exitCode = failed === 0 ? 0 : 1
