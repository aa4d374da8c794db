/**
 * The client-go programs that Tidings is measured against.
 */
import { spawnSync } from "node:child_process"
import { createHash } from "node:crypto"
import { existsSync, mkdirSync, readFileSync, renameSync } from "node:fs"
import { homedir } from "node:os"
import { join, resolve } from "node:path"

/** A client-go peer, by the name of its folder, built once for its sources. */
export const buildPeer = (name: "client-go" | "informer" = "client-go"): string => {
  const peerFolder = resolve("benchmarks/torture", name)
  const hash = createHash("sha256")
  for (const file of ["go.mod", "go.sum", "main.go"]) hash.update(readFileSync(join(peerFolder, file)))
  const folder = join(process.env["XDG_CACHE_HOME"] ?? join(homedir(), ".cache"), "tidings", "torture")
  const binary = join(folder, `${name}-${hash.digest("hex").slice(0, 16)}`)
  if (!existsSync(binary)) {
    console.error(`building the peer ${name} (a minute or two, once) …`)
    mkdirSync(folder, { recursive: true })
    const built = spawnSync("go", ["build", "-trimpath", "-o", `${binary}.new`, "."], {
      cwd: peerFolder,
      stdio: ["ignore", 2, 2]
    })
    if (built.status !== 0) throw new Error(`the peer ${name} could not be built (it needs Go)`)
    renameSync(`${binary}.new`, binary)
  }
  return binary
}
