import * as FileJournal from "@tidings/backend-fs/FileJournal"
import * as JournalContract from "@tidings/testing/JournalContract"
import { Effect, Layer } from "effect"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"

const temporary = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "tidings-journal-"))),
  (directory) => Effect.sync(() => rmSync(directory, { recursive: true, force: true }))
)
for (const durability of ["process", "disk"] as const) {
  const fresh = (options?: Partial<FileJournal.Options>) =>
    Layer.unwrap(Effect.map(temporary, (directory) => FileJournal.layer({ directory, durability, ...options })))
  const small = { quota: 8_000, segmentSize: 1_000 }
  JournalContract.suite(`the file journal (${durability})`, fresh(), {
    reopenable: Effect.map(temporary, (directory) => FileJournal.layer({ directory, durability })),
    small: {
      events: 60,
      fail: fresh({ ...small, onFull: "fail" }),
      block: fresh({ ...small, onFull: "block" }),
      dropOldest: fresh({ ...small, onFull: "dropOldest" })
    }
  })
}
