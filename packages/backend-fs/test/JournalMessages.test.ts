import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { existsSync, mkdirSync, readdirSync, renameSync, rmSync, symlinkSync, unlinkSync } from "node:fs"
import * as path from "node:path"
import * as JournalView from "../src/JournalView.ts"
import { type Disk, Disk as DiskService, node } from "../src/internal/disk.ts"
import * as openJournal from "./openJournal.ts"
import * as TestDirectory from "./TestDirectory.ts"
import { first } from "./writes.ts"

const { occurrence, occurrences, readAll, run, segmentsOf } = openJournal

/** What a host does with a journal, from its start to its end. */
const useAll = (journal: openJournal.Service) =>
  Effect.gen(function* () {
    yield* journal.restore("default")
    yield* journal.append([occurrence(1)])
    yield* journal.parked("default")
    yield* journal.requests("default")
    yield* readAll(journal, "default")
    yield* journal.park("default", first(1), 1, "refused")
    yield* journal.checkpoint("default", { upTo: 0, state: null })
  })

/** A journal with all files that a journal can have. */
const makeJournal = Effect.gen(function* () {
  const directory = path.join(yield* TestDirectory.make, "journal")
  for (let times = 0; times < 2; times++) yield* run({ directory }, useAll)
  yield* request(directory)
  return directory
})

/** Asks for a parked event; the next owner takes the file of the request away. */
const request = (directory: string) =>
  Effect.gen(function* () {
    const view = (yield* JournalView.read(directory))!
    yield* JournalView.request(view, view.sinks[0]!, { action: "retry", series: [first(1).id] })
  })

const detailOf = <A, E extends { readonly reason: { readonly detail: string } }>(effect: Effect.Effect<A, E>) =>
  Effect.map(Effect.flip(effect), ({ reason }) => reason.detail)

/** That a message names a file in the directory, and that no advice in it is about the directory or about a log. */
const assertNames = (detail: string, directory: string, file: string): void => {
  assert.include(detail, path.join(directory, file))
  assert.notInclude(detail, `${directory} `, file)
  assert.notInclude(detail, `${directory}:`, file)
  assert.notInclude(detail, "another directory", file)
  assert.notInclude(detail, "TIDINGS_DIRECTORY", file)
  assert.notMatch(detail, /\b(?:of|which) the log\b|event log|database/, file)
}

/** The files whose place may be taken, and which are created anew where they are missing. */
const replaceable = new Set(["owner", "reserve"])

describe("messages about a journal", () => {
  for (const [name, put, says] of [
    ["directory", (place: string) => mkdirSync(place), /directory where a file of the journal|not: move it/],
    [
      "symbolic link",
      (place: string) => symlinkSync(`${place}.elsewhere`, place),
      /symbolic link, which the journal never follows|not: move it/
    ]
  ] as const) {
    it.live(`a ${name} in the place of any file of a journal is named, and its directory is not`, () =>
      Effect.gen(function* () {
        const directory = yield* makeJournal
        const files = readdirSync(directory)
        assert.includeMembers(files, [".meta.json", "lock", "sink-default.checkpoint", "sink-default.parked"])
        assert.isAtLeast(segmentsOf(directory).length, 2)
        for (const file of files) {
          if (replaceable.has(file)) continue
          const place = path.join(directory, file)
          if (!existsSync(place)) yield* request(directory)
          renameSync(place, `${place}.elsewhere`)
          put(place)
          const detail = yield* detailOf(run({ directory }, useAll, node))
          assertNames(detail, directory, file)
          assert.match(detail, says, file)
          // Requests are moved before they are read.
          for (const one of [place, `${place}.new`]) rmSync(one, { recursive: true, force: true })
          renameSync(`${place}.elsewhere`, place)
        }
        yield* run({ directory }, useAll, node)
      })
    )
  }

  for (const operation of ["append", "sync", "syncLater", "truncate", "read", "statusOf"] as const) {
    it.effect(`an operation on an open file of a journal that fails names the file (${operation})`, () =>
      Effect.gen(function* () {
        const directory = yield* makeJournal
        // The newest file of entries ends in an append that was not finished.
        const newest = segmentsOf(directory).at(-1)!
        const opened = node.openToAppend(path.join(directory, newest))
        node.append(opened, Buffer.from("half a li"), 0, 9)
        node.close(opened)
        const fail = () => Object.assign(new Error("EFBIG: file too large"), { code: "EFBIG" })
        const failing: Disk = {
          ...node,
          [operation]: (file: number, done: unknown) => {
            // Of a directory the name is right.
            if (operation === "sync" && node.statusOf(file).kind === "directory") return node.sync(file)
            if (operation !== "syncLater") throw fail()
            ;(done as (cause: unknown) => void)(fail())
          }
        }
        const detail = yield* detailOf(run({ directory }, useAll, failing))
        assert.match(
          detail,
          /[/\\]journal[/\\](?:entries-|sink-|\.meta\.json)\S* has reached the maximum file size/,
          operation
        )
      })
    )
  }

  it.effect("the view of a journal names the file that cannot be read", () =>
    Effect.gen(function* () {
      const directory = yield* makeJournal
      const failing: Disk = {
        ...node,
        read: () => {
          throw Object.assign(new Error("EIO: i/o error"), { code: "EIO" })
        }
      }
      const detail = yield* detailOf(Effect.provideService(JournalView.read(directory), DiskService, failing))
      assert.match(detail, /[/\\]journal[/\\]entries-\S* reports an input\/output error/)
    })
  )

  it.effect("a journal whose identity is damaged says what is lost where it is removed", () =>
    Effect.gen(function* () {
      const directory = path.join(yield* TestDirectory.make, "journal")
      yield* run({ directory }, (journal) => journal.append(occurrences(1, 3)))
      const meta = path.join(directory, ".meta.json")
      unlinkSync(meta)
      const opened = node.create(meta, 0o600)
      node.append(opened, Buffer.from("no JSON"), 0, 7)
      node.close(opened)
      const detail = yield* detailOf(run({ directory }, () => Effect.void))
      assertNames(detail, directory, ".meta.json")
      assert.include(detail, "restore it from a copy; or remove it")
      assert.notInclude(detail, "cursors")
      unlinkSync(meta)
      assert.lengthOf((yield* run({ directory }, (journal) => readAll(journal))).entries, 3)
    })
  )
})
