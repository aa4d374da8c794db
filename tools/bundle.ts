/**
 * Makes the command one file: `packages/tidings/dist/tidings.mjs`, from the sources, with everything it imports.
 *
 * As separate modules it would take four times as long to start.
 */
import { mkdir, readFile, rename, rm, utimes, writeFile } from "node:fs/promises"
import { dirname, join, relative, sep } from "node:path"
import { fileURLToPath } from "node:url"
import { rolldown, type Plugin } from "rolldown"

const root = join(import.meta.dirname, "..")
const tidings = join(root, "packages", "tidings")

export const file = join(tidings, "dist", "tidings.mjs")

const BROKEN = new Set(["IMPORT_IS_UNDEFINED", "MISSING_EXPORT", "UNRESOLVED_IMPORT"])

/**
 * `node:crypto` takes as long to load as a tenth of a start, and hardly any run calls it: its functions stand in for it
 * and load it when they are called. One that is missing here is an import without an export, which ends the build.
 */
const lazyCrypto: Plugin = {
  name: "lazy-crypto",
  resolveId: (id) => (id === "node:crypto" ? "\0lazy-crypto" : undefined),
  load: (id) =>
    id === "\0lazy-crypto"
      ? ["createHash", "randomBytes", "randomUUID"]
          .map((name) => `export const ${name} = (...all) => process.getBuiltinModule("node:crypto").${name}(...all)`)
          .join("\n")
      : undefined
}

/** The directory of the package that a module belongs to, for modules of others. */
const packageOf = (id: string): string | undefined => {
  const parts = relative(root, id).split(sep)
  const at = parts.lastIndexOf("node_modules")
  if (at === -1) return undefined
  const depth = parts[at + 1]!.startsWith("@") ? 3 : 2
  return join(root, ...parts.slice(0, at + depth))
}

/** The licences of what is inside, which go where the code goes. */
const notices = async (packages: ReadonlySet<string>): Promise<string> => {
  const texts = await Promise.all(
    [...packages].sort().map(async (directory) => {
      const manifest = JSON.parse(await readFile(join(directory, "package.json"), "utf8")) as {
        readonly name: string
        readonly version: string
        readonly license: string
      }
      const candidates = ["LICENSE", "LICENSE.md", "LICENSE.txt", "license", "LICENCE"].map((name) =>
        join(directory, name)
      )
      let text = ""
      for (const candidate of candidates) text ||= await readFile(candidate, "utf8").catch(() => "")
      return `${manifest.name} ${manifest.version} (${manifest.license})\n\n${text.trim()}`
    })
  )
  return `/*! This file contains:\n\n${texts.join("\n\n----\n\n").replaceAll("*/", "* /")}\n*/\n`
}

/**
 * Code in ASCII alone, which V8 reads and keeps at half the cost. What is not ASCII stands in texts and patterns, where an
 * escape means the same, unless it has a backslash before it already.
 */
const toAscii = (code: string): string => {
  if (/\\[^\0-\x7f]/.test(code))
    throw new Error("a character that is not ASCII has a backslash before it: escape it in the source")
  return code.replace(/[^\0-\x7f]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`)
}

/** Builds the bundle; whoever runs the old one meanwhile is not disturbed. */
export const bundle = async (): Promise<{ readonly bytes: number }> => {
  const started = new Date()
  const { version } = JSON.parse(await readFile(join(tidings, "package.json"), "utf8")) as { readonly version: string }
  const build = await rolldown({
    input: join(tidings, "src", "internal", "cli", "main.ts"),
    platform: "node",
    plugins: [lazyCrypto],
    resolve: {
      conditionNames: ["@tidings/source", "node", "import", "module", "default"],
      // The build for browsers is the same code as modules, of which only what is used gets in.
      alias: { yaml: join(root, "node_modules", "yaml", "browser", "dist", "index.js") }
    },
    transform: { define: { TIDINGS_VERSION: JSON.stringify(version) } },
    onLog: (level, log, report) => {
      // A bundle could be made all the same, and would fail where it is used.
      if (BROKEN.has(log.code ?? "")) throw new Error(log.message)
      if (level === "warn") report("warn", log)
    }
  })
  try {
    const { output } = await build.generate({ format: "esm", minify: true, codeSplitting: false, comments: false })
    const [chunk, ...others] = output
    if (others.length > 0)
      throw new Error(`expected one file, got ${output.map(({ fileName }) => fileName).join(", ")}`)
    const packages = new Set(chunk.moduleIds.flatMap((id) => packageOf(id) ?? []))
    const code = `${toAscii(chunk.code.trimEnd())}\n${await notices(packages)}`
    await mkdir(dirname(file), { recursive: true })
    const draft = `${file}.${process.pid}`
    await writeFile(draft, code)
    // What was edited while this ran counts as newer.
    await utimes(draft, started, started)
    await rename(draft, file).catch(async (error: unknown) => {
      await rm(draft, { force: true })
      throw error
    })
    return { bytes: Buffer.byteLength(code) }
  } finally {
    await build.close()
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  try {
    const { bytes } = await bundle()
    console.log(`${relative(process.cwd(), file)}: ${Math.round(bytes / 1_000)} kB`)
  } catch (error) {
    console.error(error instanceof Error ? error.message : error)
    process.exitCode = 1
  }
}
