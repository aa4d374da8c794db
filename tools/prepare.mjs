// Runs after every install: notes for which lock file the dependencies are installed (`with-node.mjs` asks), and builds
// the command. What fails here is made up for at the first use of the command.
import { createHash } from "node:crypto"
import { readFileSync, writeFileSync } from "node:fs"
import { dirname, join } from "node:path"
import { fileURLToPath } from "node:url"

const root = dirname(dirname(fileURLToPath(import.meta.url)))
const lock = createHash("sha256")
  .update(readFileSync(join(root, "package-lock.json")))
  .digest("hex")
writeFileSync(join(root, "node_modules", ".tidings-installed"), lock)

try {
  const { bundle } = await import("./bundle.ts")
  await bundle()
} catch (error) {
  const [first] = String(error instanceof Error ? error.message : error).split("\n")
  console.error(`the command tidings is built at its first use (now: ${first})`)
}
