import { Contract } from "@tidings/testing"
import * as Effect from "effect/Effect"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import * as SqliteBackend from "../SqliteBackend.ts"

const folder = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "tidings-sqlite-"))),
  (path) => Effect.sync(() => rmSync(path, { recursive: true, force: true }))
)

Contract.suite("SQLite", SqliteBackend.layer(":memory:"), {
  other: SqliteBackend.layer(":memory:"),
  reopenable: Effect.map(folder, (path) => SqliteBackend.layer(join(path, "events.db")))
})
