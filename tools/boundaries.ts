// `npm run lint` keeps each file in order; this keeps the packages apart: imports go one way, and what must run anywhere
// names nothing of Node.
import { globSync, readFileSync } from "node:fs"

/** What each package's sources may import, beside `effect` and themselves. */
const allowed: Readonly<Record<string, ReadonlyArray<string>>> = {
  templates: [],
  core: ["@tidings/templates"],
  "backend-fs": ["@tidings/core", "@tidings/templates", "node:"],
  "backend-k8s": ["@tidings/core", "@tidings/templates", "@kubernetes/client-node", "js-yaml", "undici", "node:"],
  testing: ["@tidings/core", "@tidings/templates", "@effect/vitest", "vitest", "node:"],
  "testing-k8s": ["@tidings/backend-k8s", "node:"],
  tidings: [
    "@tidings/core",
    "@tidings/templates",
    "@tidings/backend-fs",
    "@tidings/backend-k8s",
    "@effect/platform-node",
    "yaml",
    "fast-string-width",
    "node:"
  ]
}

/** Time, chance and the world come from services. */
const ambient =
  /\b(?:Date\.now\(|new Date\(\)|Math\.random\(|crypto\.randomUUID|setTimeout\(|setInterval\(|setImmediate\(|process\.)/

/**
 * Lines of a doc comment that do not begin as one: an edit of many files at once that hit an example, and that no compiler
 * and no formatter sees.
 */
const pastedInto = (file: string, lines: ReadonlyArray<string>): ReadonlyArray<string> => {
  const found: Array<string> = []
  let isComment = false
  for (const [index, line] of lines.entries()) {
    if (isComment && !/^\s*\*/.test(line)) found.push(`${file}:${index + 1}: code in a comment: ${line.trim()}`)
    if (/^\s*\/\*\*/.test(line)) isComment = true
    if (line.includes("*/")) isComment = false
  }
  return found
}

const problems: Array<string> = []
let files = 0
for (const [name, imports] of Object.entries(allowed)) {
  for (const file of globSync(`packages/${name}/src/**/*.ts`)) {
    files++
    const lines = readFileSync(file, "utf8").split("\n")
    problems.push(...pastedInto(file, lines))
    for (const [index, line] of lines.entries()) {
      if (/^\s*(?:\*|\/\/)/.test(line)) continue
      for (const [, specifier] of line.matchAll(/(?:\bfrom |\bimport\(|^import )"([^"]+)"/g)) {
        const target = specifier!
        if (target.startsWith(".") || target === "effect" || target.startsWith("effect/")) continue
        const own = name === "tidings" ? "tidings" : `@tidings/${name}`
        if ([own, ...imports].some((one) => target === one || target.startsWith(one.endsWith(":") ? one : `${one}/`)))
          continue
        problems.push(`${file}:${index + 1}: ${name} must not import ${target}`)
      }
      if ((name === "core" || name === "templates") && ambient.test(line)) {
        problems.push(`${file}:${index + 1}: time, chance and the world come from services: ${line.trim()}`)
      }
      if ((name === "core" || name === "templates") && /from "effect\/Schema"/.test(line)) {
        problems.push(`${file}:${index + 1}: effect/Schema doubles the time of the import`)
      }
    }
  }
}
for (const problem of problems) console.error(problem)
console.log(`${files} files, ${problems.length} problems`)
process.exitCode = problems.length === 0 ? 0 : 1
