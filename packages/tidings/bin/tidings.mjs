#!/usr/bin/env node
import module from "node:module"

// An import of node:fs reads all its exports, some of which load what most starts do without. An older Node has no such function.
const load = process.getBuiltinModule ?? module.createRequire(import.meta.url)
const fs = load("node:fs")
const { join } = load("node:path")
const { fileURLToPath } = load("node:url")
const { existsSync, readdirSync, statSync } = fs

const dist = fileURLToPath(new URL("../dist/", import.meta.url))
const bundle = join(dist, "tidings.cjs")
const root = fileURLToPath(new URL("../../../", import.meta.url))
const builder = join(root, "tools", "bundle.ts")
const inCheckout = existsSync(builder)

const fail = (message) => {
  process.stderr.write(`error: ${message}\n`)
  process.exit(1)
}

// What only some starts need is imported there: node:child_process alone takes longer than all of this file.

/** The repository brings a Node of its own, whatever the machine has. */
const runWith = async (node) => {
  const { spawn } = await import("node:child_process")
  const { constants } = await import("node:os")
  const child = spawn(node, [fileURLToPath(import.meta.url), ...process.argv.slice(2)], { stdio: "inherit" })
  // A terminal sends its signals to both; the child decides what they mean.
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) process.on(signal, () => child.kill(signal))
  child.on("error", (error) => fail(`cannot run ${node}: ${error.message}`))
  child.on("exit", (code, signal) => process.exit(code ?? 128 + (constants.signals[signal] ?? 0)))
}

/** A checkout has no build step: the bundle follows the sources. */
const isStale = () => {
  const built = existsSync(bundle) ? statSync(bundle).mtimeMs : 0
  return readdirSync(join(root, "packages")).some((name) => {
    const sources = join(root, "packages", name, "src")
    return (
      existsSync(sources) &&
      readdirSync(sources, { recursive: true, withFileTypes: true }).some(
        (entry) => entry.isFile() && statSync(join(entry.parentPath, entry.name)).mtimeMs > built
      )
    )
  })
}

/**
 * Where what V8 compiles is kept: a directory of this user alone, because it is code. Others may create one of the same name in
 * the directory for temporary files, and then it is not used.
 */
const codeDirectory = () => {
  const { NODE_COMPILE_CACHE, NODE_DISABLE_COMPILE_CACHE } = process.env
  // Others have caches of their own, and for them the bundle is a module like any other.
  if (NODE_DISABLE_COMPILE_CACHE || process.versions.bun || process.versions.deno) return undefined
  const user = process.getuid?.()
  const directory = join(NODE_COMPILE_CACHE || load("node:os").tmpdir(), `tidings-code-${user ?? "cache"}`)
  try {
    if (!existsSync(directory)) fs.mkdirSync(directory, { recursive: true, mode: 0o700 })
    const { mode, uid } = fs.lstatSync(directory)
    const isOurs = (mode & fs.constants.S_IFMT) === fs.constants.S_IFDIR && (mode & 0o022) === 0 && uid === user
    // Windows has neither, and a directory for temporary files for each user.
    return isOurs || user === undefined ? directory : undefined
  } catch {
    return undefined
  }
}

const MONTH_MILLIS = 30 * 24 * 60 * 60 * 1_000

/**
 * Runs the bundle with what V8 has compiled of it in an earlier run of the same verb. Node's own compile cache is made before a
 * file runs, and has only the functions that V8 expects to be called.
 */
const runCompiled = (directory) => {
  const { Script } = load("node:vm")
  const { crc32 } = load("node:zlib")
  const native = module.createRequire(import.meta.url)
  const verb = /^[a-z]+$/.exec(process.argv[2] ?? "")?.[0] ?? "none"
  const chunks = new Map()
  const compiled = []

  // What was compiled of another source, or was damaged on the disk, must not get to V8.
  const seal = (code, stamp) => {
    const sum = Buffer.alloc(4)
    sum.writeUInt32LE(crc32(stamp, crc32(code)))
    return Buffer.concat([code, sum])
  }
  const read = (file, stamp) => {
    if (!existsSync(file)) return undefined
    const bytes = fs.readFileSync(file)
    const code = bytes.subarray(0, -4)
    return bytes.length > 4 && crc32(stamp, crc32(code)) === bytes.readUInt32LE(code.length) ? code : undefined
  }

  const keep = () => {
    try {
      for (const { file, script, stamp } of compiled.splice(0)) {
        const draft = `${file}.${process.pid}`
        fs.writeFileSync(draft, seal(script.createCachedData(), stamp), { mode: 0o600 })
        fs.renameSync(draft, file)
      }
      // Those of installations that are gone.
      for (const name of readdirSync(directory)) {
        const file = join(directory, name)
        if (Date.now() - statSync(file).mtimeMs > MONTH_MILLIS) fs.rmSync(file)
      }
    } catch {
      // The next run compiles again.
    }
  }

  const requireChunk = (id) => {
    if (!id.startsWith("./")) return native(id)
    const known = chunks.get(id)
    if (known !== undefined) return known.exports
    // Without a prototype, because V8 would otherwise make a hidden class for each of hundreds of exports.
    const chunk = { exports: Object.create(null) }
    chunks.set(id, chunk)
    const filename = join(dist, id)
    // Its code is in ASCII, only its licences may not be, and its last line tells what is in it.
    const source = fs.readFileSync(filename, "latin1")
    const stamp = source.slice(source.lastIndexOf("\n", source.length - 2))
    // The next version of the same installation takes its place.
    const place = crc32(filename.replace(/-[\w-]{8}\.cjs$/, "")).toString(16)
    const file = join(directory, `${process.version}-${process.arch}-${verb}-${place}`)
    const cachedData = read(file, stamp)
    const script = new Script(`(function(exports,require,module,__filename,__dirname){${source}})`, {
      filename,
      cachedData
    })
    if (cachedData === undefined || script.cachedDataRejected) compiled.push({ file, script, stamp })
    script.runInThisContext()(chunk.exports, requireChunk, chunk, filename, dist)
    return chunk.exports
  }

  // A verb that does not exist must not be kept, and one that goes on for days is not kept at its end alone.
  process.on("exit", (code) => code === 0 && compiled.length > 0 && keep())
  setTimeout(keep, 10_000).unref()
  requireChunk("./tidings.cjs")
}

const [major, minor] = process.versions.node.split(".").map(Number)
if (major < 22 || (major === 22 && minor < 19)) {
  const node = join(root, "node_modules", ".bin", "node")
  if (inCheckout && existsSync(node)) await runWith(node)
  else fail(`tidings needs Node 22.19 or later, this is ${process.versions.node}: install a newer one`)
} else {
  if (inCheckout && isStale()) {
    const { spawnSync } = await import("node:child_process")
    const built = spawnSync(process.execPath, [builder], {
      cwd: root,
      encoding: "utf8",
      env: { ...process.env, NO_COLOR: "1" }
    })
    if (built.status !== 0) fail(`the command cannot be built from its sources:\n${built.stderr}`)
  }
  const directory = codeDirectory()
  if (directory === undefined) module.createRequire(import.meta.url)(bundle)
  else runCompiled(directory)
}
