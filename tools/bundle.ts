/**
 * Makes the command few files, from the sources, with everything they import: `packages/tidings/dist/tidings.mjs`, and
 * beside it what speaks to a cluster, which the first one loads where a cluster is meant, what renews the logins of old
 * kubeconfigs, which that one loads where there is one, and what serves agents, which `tidings mcp` loads.
 *
 * As separate modules it would take four times as long to start. As one file it would take a third longer: what speaks
 * to a cluster is twice as large as all the rest, and has to be loaded even where it is not used.
 */
import { mkdir, readdir, readFile, rename, rm, utimes, writeFile } from "node:fs/promises"
import { join, relative, sep } from "node:path"
import { fileURLToPath } from "node:url"
import { rolldown, type OutputChunk, type Plugin } from "rolldown"

const root = join(import.meta.dirname, "..")
const tidings = join(root, "packages", "tidings")

const dist = join(tidings, "dist")

const FILE = "tidings.mjs"
const CHUNK = /^tidings-(?:kubernetes|mcp)-.*\.mjs$/

export const file = join(dist, FILE)

const BROKEN = new Set(["IMPORT_IS_UNDEFINED", "MISSING_EXPORT", "UNRESOLVED_IMPORT"])

/**
 * `node:crypto` takes as long to load as a tenth of a start, and hardly any run calls it: its functions stand in for it
 * and load it when they are called. One that is missing here is an import without an export, which ends the build.
 */
const lazyCrypto: Plugin = {
  name: "lazy-crypto",
  resolveId: (id, importer = "") =>
    // What speaks to a cluster calls most of them, and is not part of a start.
    id === "node:crypto" && /\/packages\/|\/node_modules\/@?effect\//.test(importer) ? "\0lazy-crypto" : undefined,
  load: (id) =>
    id === "\0lazy-crypto"
      ? ["createHash", "randomBytes", "randomUUID"]
          .map((name) => `export const ${name} = (...all) => process.getBuiltinModule("node:crypto").${name}(...all)`)
          .concat(
            `export const X509Certificate = function (...all) { return new (process.getBuiltinModule("node:crypto").X509Certificate)(...all) }`
          )
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

/** Who runs the command that was there before may come for what it names: that stays until the next time. */
const removeOldChunks = async (current: ReadonlySet<string>, before: string): Promise<void> => {
  for (const name of await readdir(dist)) {
    if (CHUNK.test(name) && !current.has(name) && !before.includes(name)) await rm(join(dist, name), { force: true })
  }
}

const packagesIn = ({ moduleIds }: OutputChunk): ReadonlySet<string> =>
  new Set(moduleIds.flatMap((id) => packageOf(id) ?? []))

/** Builds the bundle; processes that run the old one are not affected. */
export const bundle = async (): Promise<{ readonly bytes: Readonly<Record<string, number>> }> => {
  const started = new Date()
  const { version } = JSON.parse(await readFile(join(tidings, "package.json"), "utf8")) as { readonly version: string }
  const build = await rolldown({
    input: join(tidings, "src", "internal", "cli", "main.ts"),
    platform: "node",
    plugins: [lazyCrypto],
    resolve: {
      conditionNames: ["@tidings/source", "node", "import", "module", "default"],
      // The build for browsers is the same code as modules, of which only what is used gets in.
      alias: {
        yaml: join(root, "node_modules", "yaml", "browser", "dist", "index.js"),
        // Its configuration alone is wanted, and nothing of the client for every kind of object, which is a hundred times as large.
        "@kubernetes/client-node": join(root, "node_modules", "@kubernetes", "client-node", "dist", "config.js")
      }
    },
    // Its modules only define things; what they begin with is for a Node of before 20.
    treeshake: { moduleSideEffects: (id) => !id.includes(`${sep}@kubernetes${sep}client-node${sep}dist${sep}`) },
    transform: { define: { TIDINGS_VERSION: JSON.stringify(version) } },
    onLog: (level, log, report) => {
      // A bundle could be made all the same, and would fail where it is used.
      if (BROKEN.has(log.code ?? "")) throw new Error(log.message)
      // Here a dynamic import may well lead to what is loaded already.
      if (level === "warn" && log.code !== "INEFFECTIVE_DYNAMIC_IMPORT") report("warn", log)
    }
  })
  try {
    const { output } = await build.generate({
      format: "esm",
      minify: true,
      comments: false,
      entryFileNames: FILE,
      chunkFileNames: "tidings-[name]-[hash].mjs",
      codeSplitting: {
        groups: [
          { name: "start", tags: ["$initial"], priority: 2 },
          { name: "kubernetes", test: /[\\/]packages[\\/]backend-k8s[\\/]/, priority: 1 },
          { name: "mcp", test: /[\\/]internal[\\/]cli[\\/]mcpServer\.ts$/, priority: 1 },
          { name: "mcp-http", test: /[\\/]internal[\\/]cli[\\/]mcpHttp\.ts$/, priority: 1 },
          // What only an auth-provider of the kubeconfig needs.
          { name: "kubernetes-client", priority: 0 }
        ]
      }
    })
    const chunks = output.filter((one) => one.type === "chunk")
    const names = new Set(chunks.map(({ fileName }) => fileName))
    if (chunks.length !== output.length || ![...names].every((name) => name === FILE || CHUNK.test(name))) {
      throw new Error(
        `expected the command, what speaks to a cluster and what serves agents, got ${[...names].join(", ")}`
      )
    }
    await mkdir(dist, { recursive: true })
    const before = await readFile(file, "utf8").catch(() => "")
    const bytes: Record<string, number> = {}
    // The command last, because it names the other one.
    for (const chunk of chunks.toSorted((a, b) => Number(a.isEntry) - Number(b.isEntry))) {
      const code = `${toAscii(chunk.code.trimEnd())}\n${await notices(packagesIn(chunk))}`
      const path = join(dist, chunk.fileName)
      const draft = `${path}.${process.pid}`
      await writeFile(draft, code)
      // What was edited while this ran counts as newer.
      if (chunk.isEntry) await utimes(draft, started, started)
      await rename(draft, path).catch(async (error: unknown) => {
        await rm(draft, { force: true })
        throw error
      })
      bytes[chunk.fileName] = Buffer.byteLength(code)
    }
    await removeOldChunks(names, before)
    return { bytes }
  } finally {
    await build.close()
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  try {
    const { bytes } = await bundle()
    for (const [name, size] of Object.entries(bytes)) {
      console.log(`${relative(process.cwd(), join(dist, name))}: ${Math.round(size / 1_000)} kB`)
    }
  } catch (error) {
    console.error(error instanceof Error ? error.message : error)
    process.exitCode = 1
  }
}
