/**
 * Beside oxlint, which looks at each file by itself, this holds how files depend on each other: imports form no circle,
 * packages depend on each other in one direction and by what they export, and what must run anywhere names nothing of Node.
 *
 *   node tools/boundaries.ts [DIRECTORY]     the repository unless given
 */
import { resolve } from "node:path"
import { circles, type Import, read, type Source } from "./imports.ts"

/** Beside `effect`, what the sources of each package may import: packages of this repository, and libraries. */
const packages: Readonly<
  Record<string, { readonly packages: ReadonlyArray<string>; readonly libraries: ReadonlyArray<string> }>
> = {
  templates: { packages: [], libraries: [] },
  core: { packages: ["templates"], libraries: [] },
  "backend-fs": { packages: ["core", "templates"], libraries: ["node:"] },
  "backend-k8s": {
    packages: ["core", "templates"],
    libraries: ["@kubernetes/client-node", "js-yaml", "undici", "node:"]
  },
  "backend-postgres": { packages: ["core", "templates"], libraries: ["@effect/sql-pg", "node:"] },
  testing: { packages: ["core", "templates"], libraries: ["@effect/vitest", "vitest", "node:"] },
  "testing-k8s": { packages: ["backend-k8s"], libraries: ["node:"] },
  mcp: { packages: ["core", "templates"], libraries: [] },
  tidings: {
    packages: ["core", "templates", "backend-fs", "backend-k8s", "backend-postgres", "mcp"],
    libraries: ["@effect/platform-node", "yaml", "fast-string-width", "re2js", "node:"]
  }
}

/**
 * Outside of the packages' sources, what each part of the repository may import by path beside itself. What packages export
 * all of them may import by name.
 */
const reach: Readonly<Record<string, ReadonlyArray<RegExp>>> = {
  test: [/^tools\//],
  tools: [],
  benchmarks: [/^tools\//],
  examples: [/^tools\//],
  tests: [/^tools\//, /^packages\/[^/]+\/test\//]
}

/** What is shared though it is not exported, or is a fixture of a package: who imports, and what. Each is still in use. */
const sharedByPath: ReadonlySet<string> = new Set([
  "benchmarks/kubernetes/server.ts -> packages/testing-k8s/src/internal/certificates.ts",
  "benchmarks/start.ts -> packages/backend-k8s/test/certificates.ts",
  "packages/testing/test/MemoryBackend.test.ts -> packages/core/src/internal/memoryStore.ts",
  "tests/crash/host.ts -> packages/backend-fs/src/internal/disk.ts",
  "tests/test/DiskDelivery.test.ts -> packages/backend-fs/src/internal/disk.ts",
  "tests/test/DiskDelivery.test.ts -> packages/backend-fs/src/internal/journal/fileJournal.ts",
  "tests/test/kubernetes/querying.test.ts -> packages/backend-k8s/src/internal/selection.ts"
])

/** Time, randomness and the environment come from services. */
const ambient =
  /\b(?:Date\.now\(|new Date\(\)|Math\.random\(|crypto\.randomUUID|setTimeout\(|setInterval\(|setImmediate\(|process\.)/

/** `packages/core/src/`, `packages/core/`, `tools/`: where a file is at home. */
const homeOf = (file: string): string => /^packages\/[^/]+\/src\/|^packages\/[^/]+\/|^[^/]+\//.exec(file)?.[0] ?? ""

const isLibrary = (specifier: string, library: string): boolean =>
  specifier === library || specifier.startsWith(library.endsWith(":") ? library : `${library}/`)

/** Why the sources of a package must not have an import; absent where they may. */
const refusedInPackage = (name: string, file: string, { specifier, target }: Import): string | undefined => {
  const rule = packages[name]
  if (rule === undefined) return `the package ${name} is not in the table of tools/boundaries.ts`
  if (target === undefined) {
    if (["effect", ...rule.libraries].some((library) => isLibrary(specifier, library))) return undefined
    return `${name} must not import ${specifier}`
  }
  if (homeOf(target) === `packages/${name}/src/`) return undefined
  if (specifier.startsWith(".")) return `${name} must not reach outside of its sources: ${specifier}`
  if (file.startsWith("packages/core/src/internal/sink/")) return `a module of sink/ must stay in core: ${specifier}`
  const other = target.split("/")[1]!
  return rule.packages.includes(other) ? undefined : `${name} must not import ${specifier}`
}

/** The same for tests, tools, benchmarks and examples. */
const refusedOutside = (file: string, { specifier, target }: Import): string | undefined => {
  if (target === undefined || !specifier.startsWith(".")) return undefined
  const home = homeOf(file)
  // What is at the root is configuration.
  if (target.startsWith(home) || !target.includes("/")) return undefined
  const part = home.startsWith("packages/") ? "test" : home.slice(0, -1)
  if (reach[part]!.some((pattern) => pattern.test(target))) return undefined
  return `${part} must not import ${target} by its path`
}

const importsOf = (source: Source, used: Set<string>): ReadonlyArray<string> =>
  source.imports.flatMap((one) => {
    const { file } = source
    const pair = `${file} -> ${one.target}`
    if (sharedByPath.has(pair)) {
      used.add(pair)
      return []
    }
    const name = /^packages\/([^/]+)\/src\//.exec(file)?.[1]
    const isInternal =
      one.target !== undefined &&
      one.target.includes("/src/internal/") &&
      one.target.split("/")[1] !== /^packages\/([^/]+)\//.exec(file)?.[1]
    const why = isInternal
      ? `${one.target} is internal to its package`
      : name === undefined
        ? refusedOutside(file, one)
        : refusedInPackage(name, file, one)
    return why === undefined ? [] : [`${file}:${one.line}: ${why}`]
  })

/**
 * Lines of a doc comment that do not begin as one: an edit of many files at once that hit an example, and that no compiler
 * and no formatter sees.
 */
const pastedInto = ({ file, text }: Source): ReadonlyArray<string> => {
  const found: Array<string> = []
  let isComment = false
  for (const [index, line] of text.split("\n").entries()) {
    if (isComment && !/^\s*\*/.test(line)) found.push(`${file}:${index + 1}: code in a comment: ${line.trim()}`)
    if (/^\s*\/\*\*/.test(line)) isComment = true
    if (line.includes("*/")) isComment = false
  }
  return found
}

/** Uses of the clock, of randomness and of the environment that no service stands between. */
const ambientIn = ({ file, imports, text }: Source): ReadonlyArray<string> => {
  const found: Array<string> = []
  for (const [index, line] of text.split("\n").entries()) {
    if (/^\s*(?:\*|\/\/)/.test(line) || !ambient.test(line)) continue
    found.push(`${file}:${index + 1}: time, randomness and the environment come from services: ${line.trim()}`)
  }
  for (const { line, specifier } of imports) {
    if (specifier === "effect/Schema") found.push(`${file}:${line}: effect/Schema doubles the time of the import`)
  }
  return found
}

/** Reads the sources of the repository at a directory. */
export const readSources = (root: string): ReadonlyArray<Source> =>
  read(root, "{packages/*/{src,test},tools,benchmarks,examples,tests}/**/*.{ts,mts,cts,mjs}")

/**
 * Everything that must not be, as `file:line: why`: first imports in a wrong direction, of which circles are often a
 * consequence, then circles, then the rest.
 */
export const problemsOf = (sources: ReadonlyArray<Source>): ReadonlyArray<string> => {
  const used = new Set<string>()
  const problems = sources.flatMap((source) => importsOf(source, used))
  for (const circle of circles(sources)) problems.push(`imports in a circle: ${[...circle, circle[0]].join(" -> ")}`)
  for (const source of sources) {
    if (/^packages\/[^/]+\/src\//.test(source.file)) problems.push(...pastedInto(source))
    if (/^packages\/(?:core|templates)\/src\//.test(source.file)) problems.push(...ambientIn(source))
  }
  for (const pair of sharedByPath) {
    if (!used.has(pair)) problems.push(`tools/boundaries.ts: this exception is not needed any more: ${pair}`)
  }
  return problems
}

if (import.meta.main) {
  const sources = readSources(resolve(process.argv[2] ?? "."))
  const problems = problemsOf(sources)
  for (const problem of problems) console.error(problem)
  console.log(`${sources.length} files, ${problems.length} problems`)
  process.exitCode = problems.length === 0 ? 0 : 1
}
