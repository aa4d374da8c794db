/**
 * Makes the command few files, from the sources, with everything they import: `packages/tidings/dist/tidings.cjs`, and
 * beside it chunks that this one loads where they are needed (`GROUPS`), such as what speaks to a cluster where a cluster is
 * meant.
 *
 * As separate modules it would take four times as long to start. As one file it would take a third longer: what speaks
 * to a cluster is twice as large as all the rest, and has to be loaded even where it is not used.
 */
import { createHash } from "node:crypto"
import { mkdir, readdir, readFile, rename, rm, utimes, writeFile } from "node:fs/promises"
import { join, relative, sep } from "node:path"
import { fileURLToPath } from "node:url"
import { rolldown, type OutputChunk, type Plugin } from "rolldown"

const root = join(import.meta.dirname, "..")
const tidings = join(root, "packages", "tidings")

const dist = join(tidings, "dist")

const FILE = "tidings.cjs"
export const file = join(dist, FILE)

/** What is loaded together beside a start. Of several groups that a module is of, that of the highest priority counts. */
const GROUPS = [
  // What emit uses, and agents and imports too: it must lead to none of theirs.
  {
    name: "record",
    test: /[\\/]internal[\\/]cli[\\/](?:emitting|emittingLines|drafting|draftLines|importItems)\.ts$/,
    priority: 2
  },
  { name: "kubernetes", test: /[\\/]packages[\\/]backend-k8s[\\/]/, priority: 1 },
  {
    name: "archive",
    test: /[\\/]internal[\\/]cli[\\/]archiving\.ts$|[\\/]backend-postgres[\\/]src[\\/](?:Archive|internal[\\/](?:copying|archiveMetrics))\.ts$|[\\/]effect[\\/]dist[\\/]observability[\\/]/,
    priority: 1
  },
  {
    name: "postgres",
    test: /[\\/]packages[\\/]backend-postgres[\\/]src[\\/](?!(?:Archive|internal[\\/](?:copying|archiveMetrics))\.ts$)|[\\/]node_modules[\\/](?:@effect[\\/]sql-pg|effect[\\/]dist[\\/]sql)[\\/]/,
    priority: 2
  },
  // What speaks to a database and what serves agents both use, and what serves agents and what archives: without these
  // the one would load the other at every start.
  { name: "pool", test: /[\\/]node_modules[\\/]effect[\\/]dist[\\/]Pool\.js$/, priority: 3 },
  { name: "http", test: /[\\/]node_modules[\\/]effect[\\/]dist[\\/](?:http|socket)[\\/]/, priority: 2 },
  { name: "mcp", test: /[\\/]internal[\\/]cli[\\/]mcpServer\.ts$/, priority: 1 },
  { name: "mcp-http", test: /[\\/]internal[\\/]cli[\\/]mcpHttp\.ts$/, priority: 1 },
  { name: "import", test: /[\\/]internal[\\/]cli[\\/]import(?:ing|edEvent)\.ts$/, priority: 1 },
  {
    name: "patterns",
    test: /[\\/]node_modules[\\/]re2js[\\/]|[\\/]internal[\\/]cli[\\/]patterns\.ts$/,
    priority: 1
  },
  {
    name: "views",
    test: /[\\/]internal[\\/]cli[\\/](?:nearMisses|waiting|tops|sparkline|stories|owners|shaping|jsonPath)\.ts$/,
    priority: 1
  },
  { name: "yaml", test: /[\\/]node_modules[\\/]yaml[\\/]|[\\/]internal[\\/]cli[\\/]yaml\.ts$/, priority: 2 },
  // What only an auth-provider of the kubeconfig needs.
  { name: "kubernetes-client", test: /[\\/]node_modules[\\/]@kubernetes[\\/]/, priority: 1 },
  // What one verb or another needs, as soon as it is clear that it is the one.
  { name: "verbs", priority: 0 }
]

const CHUNK = new RegExp(`^tidings-(?:${GROUPS.map(({ name }) => name).join("|")})-.*\\.cjs$`)

const DEFINITIONS =
  /^node:|[\\/]packages[\\/][\w-]+[\\/]src[\\/]|[\\/]node_modules[\\/](?:effect|@effect[\\/][\w-]+|@kubernetes[\\/]client-node)[\\/]dist[\\/]/

const BROKEN = new Set(["IMPORT_IS_UNDEFINED", "MISSING_EXPORT", "UNRESOLVED_IMPORT"])

/** What a start may do without: loading each takes between a twentieth and a tenth of what Node itself needs to start. */
const LAZY = new Set(["node:crypto", "node:fs/promises", "node:net", "node:tls", "node:tty", "node:zlib"])
/** Their classes of which instances are made and nothing else is used. */
const CONSTRUCTED = new Set(["BlockList", "X509Certificate"])
/** What every start uses. An import of it would read all its exports, some of which load further modules when they are read. */
const NEEDED = new Set(["node:buffer", "node:fs", "node:module", "node:os", "node:path", "node:stream", "node:url"])

/**
 * What stands for a module of Node: functions of a lazy one load it when they are called, objects such as `constants` when a field
 * is read, and what is not used is left out.
 */
const standIn = (id: string): string => {
  const load = "const load = () => (loaded ??= process.getBuiltinModule(id))"
  const found = (process.getBuiltinModule(id) ?? {}) as Readonly<Record<string, unknown>>
  const names = Object.keys(found).filter((name) => /^[a-z]\w*$/i.test(name))
  const isObject = (name: string) => LAZY.has(id) && typeof found[name] === "object" && found[name] !== null
  return [
    "const field = (value, name) => (typeof value[name] === 'function' ? value[name].bind(value) : value[name])",
    `const id = ${JSON.stringify(id)}`,
    "let loaded",
    load,
    ...names.map((name) =>
      // To read it loads what only listing a directory through Effect needs.
      (id === "node:fs" && name === "promises") || isObject(name)
        ? `export const ${name} = /*#__PURE__*/ new Proxy({}, { get: (_, key) => field(load().${name}, key) })`
        : LAZY.has(id) && (/^[a-z]/.test(name) || CONSTRUCTED.has(name))
          ? `export const ${name} = function (...all) { return new.target ? new (load().${name})(...all) : load().${name}(...all) }`
          : `export const ${name} = /*#__PURE__*/ (() => load().${name})()`
    ),
    "export default /*#__PURE__*/ load()"
  ].join("\n")
}

const nodeModules: Plugin = {
  name: "node-modules",
  resolveId: (id, importer = "") =>
    // What speaks to a cluster uses much of them, and is not part of a start. Of node:tls it uses a class.
    (LAZY.has(id) || NEEDED.has(id)) &&
    (id === "node:tls" ? /[\\/](?:backend-postgres|sql-pg)[\\/]/ : /\/packages\/|\/node_modules\/@?effect\//).test(
      importer
    )
      ? { id: `\0${id}`, moduleSideEffects: false }
      : undefined,
  load: (id) => (id.startsWith("\0node:") ? standIn(id.slice(1)) : undefined)
}

/** What modules of others do when they are loaded or first used, that a start of the command can do without. */
const SPARED: ReadonlyArray<{
  /** Its path below node_modules. */
  readonly module: string
  readonly found: RegExp
  readonly instead: (...groups: ReadonlyArray<string>) => string
}> = [
  {
    // It takes as long to make as a third of what Node itself needs to start, and only help measures texts with it: it is made
    // when the first is measured.
    module: "effect/dist/cli/CliOutput.js",
    found: /const (\w+) = (?:\/\*#__PURE__\*\/)?(new Intl\.Segmenter\([^)]*\))/,
    instead: (name, make) =>
      `let segmenterOnce\nconst ${name} = { segment: (text) => (segmenterOnce ??= ${make}).segment(text) }`
  },
  // To read a pattern with classes of Unicode takes V8 up to a millisecond. These are for texts that are not in ASCII: they are made
  // when the first is measured.
  {
    module: "effect/dist/cli/CliOutput.js",
    found: /const zeroWidthCodePoints = (\/.*\/gu);/,
    instead: (pattern) =>
      `const zeroWidthCodePoints = { [Symbol.replace]: (text, by) => text.replace(${pattern}, by) };`
  },
  {
    module: "effect/dist/cli/CliOutput.js",
    found: /const emojiPresentation = (\/.*\/u);/,
    instead: (pattern) => `const emojiPresentation = { test: (text) => ${pattern}.test(text) };`
  },
  {
    module: "fast-string-truncated-width/dist/index.js",
    found:
      /const CJKT_WIDE_RE = (.*);([^]*)const EMOJI_RE = (.*);([^]*)const MODIFIER_RE = (.*);([^]*)\/\* CONSTANTS \*\//,
    instead: (wide, tab, emoji, latin, modifier, rest) =>
      `let CJKT_WIDE_RE, EMOJI_RE, MODIFIER_RE;${tab}${latin}${rest}` +
      `CJKT_WIDE_RE ??= ${wide}; EMOJI_RE ??= ${emoji}; MODIFIER_RE ??= ${modifier};`
  },
  // These two ask whether stack traces name the functions of Effect, which they do on Node. To find out, V8 compiles the whole
  // bundle a second time, because it keeps the positions in the code only of what was in a stack trace.
  {
    module: "effect/dist/Utils.js",
    found: /error\.stack\?\.includes\(InternalTypeId\) === true/,
    instead: () => "true"
  },
  {
    module: "effect/dist/internal/effect.js",
    found: /error\.stack\?\.includes\("\[as " \+ marker \+ "\]"\) === true/,
    instead: () => "true"
  },
  // To ask whether stdin is a terminal opens it. The command asks its user nothing.
  {
    module: "effect/dist/cli/TerminalCapabilities.js",
    found: /process\?\.stdin\?\.isTTY === true/,
    instead: () => "false"
  }
]

const spare: Plugin = {
  name: "spare",
  transform: {
    filter: { id: /[\\/]node_modules[\\/](?:effect|fast-string-truncated-width)[\\/]dist[\\/]/ },
    handler: (code, id) => {
      const path = id.slice(id.lastIndexOf(`${sep}node_modules${sep}`) + `${sep}node_modules${sep}`.length)
      const spared = SPARED.filter(({ module }) => module === path.replaceAll(sep, "/"))
      return spared.reduce((before, { found, instead, module }) => {
        if (!found.test(before)) throw new Error(`${module} has no ${found.source} any more: look at SPARED`)
        return before.replace(found, (_, ...groups: ReadonlyArray<string>) => instead(...groups))
      }, code)
    }
  }
}

/**
 * `Cli.make` has all verbs at once, for hosts that hang the command into a larger one. The command itself loads the verb that it is
 * asked for, and would load all of them at every start by this import alone.
 */
const withoutMake: Plugin = {
  name: "without-make",
  resolveId: (id, importer = "") =>
    id.endsWith("/verbs.ts") && importer.endsWith(`${sep}src${sep}Cli.ts`) ? "\0without-make" : undefined,
  load: (id) => (id === "\0without-make" ? "export const all = undefined" : undefined)
}

/** The command asks its user nothing (`unused` of `Cli.ts`), and would load at every start how a terminal asks. */
const withoutQuestions: Plugin = {
  name: "without-questions",
  resolveId: (id, importer = "") =>
    /[\\/](?:Prompt|wizard)\.js$/.test(id) && /[\\/]effect[\\/]dist[\\/]cli[\\/]/.test(importer)
      ? "\0without-questions"
      : undefined,
  // What is imported of them; a name that is missing here fails the build.
  load: (id) =>
    id === "\0without-questions"
      ? "export let Theme, Toggle, isPrompt, renderCompletion, renderIntroduction, renderQuit, run"
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
    plugins: [nodeModules, spare, withoutMake, withoutQuestions],
    resolve: {
      conditionNames: ["@tidings/source", "node", "import", "module", "default"],
      // The build for browsers is the same code as modules, of which only what is used gets in.
      alias: {
        yaml: join(root, "node_modules", "yaml", "browser", "dist", "index.js"),
        // Its configuration alone is wanted, and nothing of the client for every kind of object, which is a hundred times as large.
        "@kubernetes/client-node": join(root, "node_modules", "@kubernetes", "client-node", "dist", "config.js")
      }
    },
    // These modules only define things: a file is not loaded where nothing of it is used. What those of the Kubernetes client begin
    // with is for a Node of before 20.
    treeshake: { moduleSideEffects: (id) => !DEFINITIONS.test(id), propertyReadSideEffects: false },
    transform: { define: { TIDINGS_VERSION: JSON.stringify(version), "import.meta.env": "undefined" } },
    onLog: (level, log, report) => {
      // A bundle could be made all the same, and would fail where it is used.
      if (BROKEN.has(log.code ?? "")) throw new Error(log.message)
      // Here a dynamic import may well lead to what is loaded already.
      if (level === "warn" && log.code !== "INEFFECTIVE_DYNAMIC_IMPORT") report("warn", log)
    }
  })
  try {
    const { output } = await build.generate({
      // Scripts, because only of those V8 can be asked what it has compiled after they have run.
      format: "cjs",
      dynamicImportInCjs: false,
      strict: true,
      minify: true,
      comments: false,
      entryFileNames: FILE,
      chunkFileNames: "tidings-[name]-[hash].cjs",
      codeSplitting: {
        groups: [{ name: "start", tags: ["$initial"], priority: 3 }, ...GROUPS]
      }
    })
    const chunks = output.filter((one) => one.type === "chunk")
    const names = new Set(chunks.map(({ fileName }) => fileName))
    if (chunks.length !== output.length || ![...names].every((name) => name === FILE || CHUNK.test(name))) {
      throw new Error(`expected ${FILE} and chunks of the groups, got ${[...names].join(", ")}`)
    }
    await mkdir(dist, { recursive: true })
    const before = await readFile(file, "utf8").catch(() => "")
    const bytes: Record<string, number> = {}
    // The command last, because it names the other one.
    for (const chunk of chunks.toSorted((a, b) => Number(a.isEntry) - Number(b.isEntry))) {
      const text = `${toAscii(chunk.code.trimEnd())}\n${await notices(packagesIn(chunk))}`
      // What was compiled of it is kept under this name.
      const code = `${text}//${createHash("sha256").update(text).digest("hex").slice(0, 32)}\n`
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
