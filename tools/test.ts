// `npm test`: the tests of all packages in one run, then one line that sums them up. With `--slow`, as `npm run test:slow` has
// it, those that take whole processes, compilers and large data; with `--whole` campaigns have their whole size.
import { vitest } from "./vitest.ts"

const OWN = new Set(["--verbose", "--slow", "--whole"])
const isSlow = process.argv.includes("--slow")
const isWhole = process.argv.includes("--whole")

const { failed, passed } = vitest(
  [
    ...(process.argv.includes("--verbose") ? ["--reporter=verbose"] : []),
    // Many tests wait for processes, sockets and files: three workers keep two cores busy. Left alone, vitest uses one.
    "--maxWorkers=3",
    // Loading Effect and the packages anew for each file takes a sixth of the time; no test leaves anything for the next file.
    "--no-isolate",
    ...process.argv.slice(2).filter((argument) => !OWN.has(argument))
  ],
  { TIDINGS_TESTS: isSlow ? "slow" : "", TIDINGS_WHOLE: isWhole ? "yes" : "" }
)
console.log(`\n${passed} passed, ${failed} failed`)
process.exitCode = failed === 0 ? 0 : 1
