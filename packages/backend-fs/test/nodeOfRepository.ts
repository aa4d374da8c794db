import { createRequire } from "node:module"
import * as path from "node:path"

/** The repository's own Node, whatever runs the tests. */
export const nodeOfRepository = path.join(
  path.dirname(createRequire(import.meta.url).resolve("node/package.json")),
  "bin",
  "node"
)
