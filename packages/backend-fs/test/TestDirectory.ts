import { Effect } from "effect"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import * as path from "node:path"

/** A new directory that is removed with its scope. */
export const make = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(path.join(tmpdir(), "tidings-log-"))),
  (directory) => Effect.sync(() => rmSync(directory, { recursive: true, force: true }))
)
