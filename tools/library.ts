/**
 * Makes the JavaScript of a package, from its sources: one module for each public one, over a few that have all the code.
 *
 * A host waits half a millisecond for every module that it loads, mostly because Node looks up every import of a module of
 * Effect, and the core has more than a hundred modules. What is imported dynamically, and what belongs to other packages, stays
 * apart. It is for packages whose public modules are used together: a host that imports one of them loads what all of them
 * import. The compiler emits only the declarations.
 */
import { readdir, readFile, rm, writeFile } from "node:fs/promises"
import { join, relative } from "node:path"
import { fileURLToPath } from "node:url"
import { parseSync, Visitor } from "oxc-parser"
import { rolldown, RolldownMagicString, type Plugin } from "rolldown"

/**
 * In one module, bundlers of hosts leave out only what they know to be without effects. Our modules only define things
 * (`sideEffects` of each package says so), so every call that a definition makes is marked.
 */
const markPure = (code: string, id: string): { readonly code: RolldownMagicString } => {
  const places = new Set<number>()
  let depth = 0
  const enter = (): void => void depth++
  const leave = (): void => void depth--
  const mark = ({ start }: { readonly start: number }): void => {
    if (depth === 0) places.add(start)
  }
  new Visitor({
    FunctionDeclaration: enter,
    "FunctionDeclaration:exit": leave,
    FunctionExpression: enter,
    "FunctionExpression:exit": leave,
    ArrowFunctionExpression: enter,
    "ArrowFunctionExpression:exit": leave,
    // What a statement does is the reason that it is there.
    ExpressionStatement: enter,
    "ExpressionStatement:exit": leave,
    CallExpression: mark,
    NewExpression: mark
  }).visit(parseSync(id, code).program)
  const marked = new RolldownMagicString(code)
  for (const place of places) marked.appendLeft(place, "/*#__PURE__*/ ")
  return { code: marked }
}

const pure: Plugin = { name: "pure", transform: { filter: { id: /\.ts$/ }, handler: markPure } }

/** The index only names the modules: as it is, a bundler of a host takes no more of them than it needs. */
const indexOf = (source: string): string => source.replace(/\/\*\*[^]*?\*\/\n/g, "").replaceAll(/\.ts"$/gm, '.js"')

const removeOld = async (dist: string, current: ReadonlySet<string>): Promise<void> => {
  for (const name of await readdir(dist, { recursive: true })) {
    if (/\.js(?:\.map)?$/.test(name) && !current.has(name)) await rm(join(dist, name))
  }
}

/** Builds the package in a directory, and answers the files that it has now. */
const build = async (directory: string): Promise<ReadonlySet<string>> => {
  const source = join(directory, "src")
  const dist = join(directory, "dist")
  const modules = (await readdir(source)).filter((name) => /(?<!\.d)\.ts$/.test(name) && name !== "index.ts")
  const package_ = await rolldown({
    input: Object.fromEntries(modules.map((name) => [name.slice(0, -".ts".length), join(source, name)])),
    external: /^[^./\0]/,
    platform: "neutral",
    plugins: [pure],
    transform: { target: "es2024" },
    onLog: (level, log, report) => report(level === "warn" ? "error" : level, log)
  })
  try {
    const { output } = await package_.write({
      dir: dist,
      format: "esm",
      entryFileNames: "[name].js",
      chunkFileNames: "internal/[name].js",
      codeSplitting: { groups: [{ name: "modules", tags: ["$initial"] }] },
      // Bundlers of hosts need to know what may be left out, and readers have the sources.
      comments: { annotation: true, jsdoc: false, legal: true },
      minifyInternalExports: false,
      sourcemap: true,
      sourcemapExcludeSources: true
    })
    await writeFile(join(dist, "index.js"), indexOf(await readFile(join(source, "index.ts"), "utf8")))
    const current = new Set([...output.map(({ fileName }) => fileName), "index.js"])
    await removeOld(dist, current)
    return current
  } finally {
    await package_.close()
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  try {
    const files = await build(process.cwd())
    console.log(`${relative(join(import.meta.dirname, ".."), process.cwd())}: ${files.size} modules`)
  } catch (error) {
    console.error(error instanceof Error ? error.message : error)
    process.exitCode = 1
  }
}
