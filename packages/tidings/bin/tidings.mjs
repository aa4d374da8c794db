#!/usr/bin/env node
import module from "node:module"

// An import of node:fs reads all its exports, some of which load what most starts do without. An older Node has no such function.
const load = process.getBuiltinModule ?? module.createRequire(import.meta.url)
const { existsSync, readdirSync, statSync } = load("node:fs")
const { join } = load("node:path")
const { fileURLToPath } = load("node:url")

const bundle = fileURLToPath(new URL("../dist/tidings.mjs", import.meta.url))
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
  module.enableCompileCache?.()
  await import("../dist/tidings.mjs")
}
