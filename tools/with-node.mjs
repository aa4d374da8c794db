#!/usr/bin/env node
// Runs a program of this repository: installs what it needs when that has not been done for this lock file, then starts
// it with the Node that the dependencies bring. Plain JavaScript without dependencies, because any Node may run it.
import { spawn, spawnSync } from "node:child_process"
import { createHash } from "node:crypto"
import { existsSync, readFileSync } from "node:fs"
import { constants } from "node:os"
import { dirname, join } from "node:path"
import { fileURLToPath } from "node:url"

const root = dirname(dirname(fileURLToPath(import.meta.url)))
const node = join(root, "node_modules", "node", "bin", process.platform === "win32" ? "node.exe" : "node")
const stamp = join(root, "node_modules", ".tidings-installed")

const isInstalled = () => {
  if (!existsSync(node) || !existsSync(stamp)) return false
  const lock = createHash("sha256")
    .update(readFileSync(join(root, "package-lock.json")))
    .digest("hex")
  return readFileSync(stamp, "utf8") === lock
}

if (!isInstalled()) {
  process.stderr.write("Installing the dependencies (once, about half a minute) …\n")
  // Through npm's own script where npm started us, so that the very same npm is used.
  const npm = process.env.npm_execpath
  const [command, args] = npm?.endsWith(".js") ? [process.execPath, [npm]] : ["npm", []]
  const installed = spawnSync(command, [...args, "ci", "--no-audit", "--no-fund"], {
    cwd: root,
    stdio: ["ignore", 2, 2],
    shell: process.platform === "win32" && command === "npm"
  })
  if (installed.status !== 0) {
    process.stderr.write("The installation failed: npm said why above. Mend that, then run the same command again.\n")
    process.exit(installed.status ?? 1)
  }
  if (!isInstalled()) {
    process.stderr.write("The installation left no Node behind: run `npm ci` without --ignore-scripts.\n")
    process.exit(1)
  }
}

const child = spawn(node, ["--conditions=@tidings/source", ...process.argv.slice(2)], {
  cwd: root,
  stdio: "inherit",
  env: {
    ...process.env,
    PATH: [dirname(node), join(root, "node_modules", ".bin"), process.env.PATH].join(
      process.platform === "win32" ? ";" : ":"
    ),
    TURBO_TELEMETRY_DISABLED: "1"
  }
})
// The terminal signals the whole group; a signal sent to this process alone is passed on.
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) process.on(signal, () => child.kill(signal))
child.on("exit", (code, signal) => process.exit(signal === null ? code : 128 + constants.signals[signal]))
