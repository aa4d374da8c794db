/** The imports among the sources of a repository, also those of types alone, and the circles that they form. */
import { globSync, readFileSync } from "node:fs"
import { join, posix } from "node:path"
import { parseSync, Visitor } from "oxc-parser"

/** An import, a re-export, an `import()`, a type `import("…").T`, an `import x = require()` or a `require()`. */
export interface Import {
  readonly specifier: string
  /** From 1. */
  readonly line: number
  /** The file of the repository that it leads to; absent where it leads to a library. */
  readonly target: string | undefined
}

/** A source file. Paths begin at the root of the repository. */
export interface Source {
  readonly file: string
  readonly text: string
  readonly imports: ReadonlyArray<Import>
}

/** `@tidings/core/Event` is `packages/core/src/Event.ts`, and `tidings/Cli` is `packages/tidings/src/Cli.ts`. */
const byName = /^(?:@tidings\/([a-z0-9-]+)|(tidings))(?:\/(.+))?$/

const resolve = (file: string, specifier: string): string | undefined => {
  if (specifier.startsWith(".")) return posix.join(posix.dirname(file), specifier)
  const named = byName.exec(specifier)
  if (named === null) return undefined
  const module = named[3] ?? "index"
  return module === "package.json" ? undefined : `packages/${named[1] ?? named[2]}/src/${module}.ts`
}

const lineOf = (text: string, offset: number): number => text.slice(0, offset).split("\n").length

const specifiersOf = (
  file: string,
  text: string
): ReadonlyArray<{ readonly specifier: string; readonly at: number }> => {
  const parsed = parseSync(file, text)
  const { dynamicImports, staticExports, staticImports } = parsed.module
  const found = staticImports.map(({ moduleRequest }) => ({ specifier: moduleRequest.value, at: moduleRequest.start }))
  for (const { entries } of staticExports) {
    const from = entries.find(({ moduleRequest }) => moduleRequest !== null)?.moduleRequest
    if (from !== undefined && from !== null) found.push({ specifier: from.value, at: from.start })
  }
  for (const { moduleRequest } of dynamicImports) {
    // What is computed has no quotes, and leads nowhere that can be known.
    const literal = /^(["'`])(.*)\1$/.exec(text.slice(moduleRequest.start, moduleRequest.end))
    if (literal !== null) found.push({ specifier: literal[2]!, at: moduleRequest.start })
  }
  if (/\b(?:import|require)\s*\(/.test(text)) {
    new Visitor({
      TSImportType: ({ source }) => void found.push({ specifier: source.value, at: source.start }),
      TSExternalModuleReference: ({ expression }) =>
        void found.push({ specifier: expression.value, at: expression.start }),
      CallExpression: ({ arguments: [first], callee }) => {
        if (callee.type !== "Identifier" || callee.name !== "require") return
        if (first?.type === "Literal" && typeof first.value === "string") {
          found.push({ specifier: first.value, at: first.start })
        }
      }
    }).visit(parsed.program)
  }
  return found
}

/** A source file with this text. */
export const parse = (file: string, text: string): Source => ({
  file,
  text,
  imports: specifiersOf(file, text).map(({ at, specifier }) => ({
    specifier,
    line: lineOf(text, at),
    target: resolve(file, specifier)
  }))
})

/** Reads the sources below a directory that match a pattern. */
export const read = (root: string, pattern: string): ReadonlyArray<Source> =>
  globSync(pattern, { cwd: root, exclude: ["**/node_modules/**", "**/dist/**", "**/*.d.ts"] })
    .map((path) => path.replaceAll("\\", "/"))
    .sort()
    .map((file) => parse(file, readFileSync(join(root, file), "utf8")))

/** The files of the shortest way from one to another by imports, both included; absent where there is none. */
const shortestWay = (
  graph: ReadonlyMap<string, ReadonlyArray<string>>,
  from: string,
  to: string
): ReadonlyArray<string> | undefined => {
  const cameFrom = new Map<string, string>()
  const queue = [from]
  for (const file of queue) {
    for (const next of graph.get(file) ?? []) {
      if (cameFrom.has(next)) continue
      cameFrom.set(next, file)
      if (next !== to) {
        queue.push(next)
        continue
      }
      const way = [to]
      for (let at = file; at !== from; at = cameFrom.get(at)!) way.unshift(at)
      return [from, ...way]
    }
  }
  return undefined
}

/**
 * The shortest circle through each file that is in one, without those that share a file with a circle before them: each is
 * the list of its files, and the last of them imports the first.
 */
export const circles = (sources: ReadonlyArray<Source>): ReadonlyArray<ReadonlyArray<string>> => {
  const graph = new Map(sources.map(({ file, imports }) => [file, imports.flatMap(({ target }) => target ?? [])]))
  const known = new Set<string>()
  const found: Array<ReadonlyArray<string>> = []
  for (const file of graph.keys()) {
    if (known.has(file)) continue
    const circle = shortestWay(graph, file, file)?.slice(1)
    if (circle === undefined) continue
    for (const member of circle) known.add(member)
    found.push([file, ...circle.slice(0, -1)])
  }
  return found
}
