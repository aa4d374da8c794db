import { assert, describe, it } from "@effect/vitest"
import * as EventId from "@tidings/core/EventId"
import { Effect, Exit, Scope } from "effect"
import { mkdirSync, readdirSync, renameSync, rmSync, unlinkSync } from "node:fs"
import * as path from "node:path"
import * as openJournal from "./openJournal.ts"
import * as openLog from "./openLog.ts"
import { node } from "../src/internal/disk.ts"
import * as TestDirectory from "./TestDirectory.ts"
import { first } from "./writes.ts"

const { occurrence, occurrences, readAll, seqsOf } = openJournal

/** What happens to the directory of a journal while its owner runs; another one may be in its place afterwards. */
const disasters: ReadonlyArray<readonly [name: string, happens: (directory: string) => void]> = [
  ["deleted", (directory) => rmSync(directory, { recursive: true })],
  ["moved", (directory) => renameSync(directory, `${directory}-moved`)],
  [
    "replaced by an empty one",
    (directory) => {
      renameSync(directory, `${directory}-moved`)
      mkdirSync(directory, { mode: 0o700 })
    }
  ],
  ["robbed of its lock", (directory) => unlinkSync(path.join(directory, "lock"))]
]

describe("a journal whose directory is", () => {
  for (const durability of ["process", "disk"] as const) {
    for (const [name, happens] of disasters) {
      it.live(`${name}, ${durability}: accepts nothing more, says why, and gives out what it still knows`, () =>
        Effect.gen(function* () {
          const directory = path.join(yield* TestDirectory.make, "journal")
          const journal = yield* openJournal.open({ directory, durability, segmentSize: 1_000_000 }, node)
          yield* journal.restore("a")
          yield* journal.append(occurrences(1, 5))
          happens(directory)
          for (let n = 0; n < 3; n++) {
            const error = yield* Effect.flip(journal.append([occurrence(6 + n)]))
            assert.strictEqual(error.reason._tag, "JournalFailed")
            assert.include(error.message, `${directory} is no longer the directory of the journal`)
          }
          assert.strictEqual(yield* journal.head, 5)
          // A sink can deliver what is in memory.
          assert.deepStrictEqual(seqsOf(yield* readAll(journal)), [1, 2, 3, 4, 5])
          const checkpoint = yield* Effect.flip(journal.checkpoint("a", { upTo: 5, state: null }))
          assert.strictEqual(checkpoint.reason._tag, "JournalFailed")
          for (const change of [
            journal.park("a", first(1), 1, "gone"),
            journal.unpark("a", [first(1).id]),
            journal.parked("a"),
            journal.requests("a")
          ]) {
            assert.strictEqual((yield* Effect.flip(change)).reason._tag, "JournalFailed")
          }
        })
      )
    }

    it.live(`moved, and another one begun in its place, ${durability}: neither writes into the other`, () =>
      Effect.gen(function* () {
        const directory = path.join(yield* TestDirectory.make, "journal")
        const moved = `${directory}-moved`
        const scope = yield* Scope.make()
        // A new segment for each append: they are made by their path.
        const options = { directory, durability, segmentSize: 1 }
        const owner = yield* Scope.provide(openJournal.open(options, node), scope)
        const ids = [...(yield* owner.append([occurrence(1)]))]
        renameSync(directory, moved)
        const other = yield* openJournal.open(options, node)
        ids.push(...(yield* other.append([occurrence(2)])))
        const before = readdirSync(directory).sort()
        yield* Effect.flip(owner.append([occurrence(3)]))
        assert.deepStrictEqual(readdirSync(directory).sort(), before)
        ids.push(...(yield* other.append([occurrence(4)])))
        yield* Scope.close(scope, Exit.void)
        assert.lengthOf(new Set(ids.map(EventId.format)), 3)
        assert.deepStrictEqual(seqsOf(yield* readAll(other)), [1, 2])
        const back = yield* openJournal.open({ ...options, directory: moved }, node)
        assert.deepStrictEqual(seqsOf(yield* readAll(back)), [1])
      })
    )

    it.live(
      `robbed of its lock, and taken by another owner, ${durability}: the first one stops, and no identity is given twice`,
      () =>
        Effect.gen(function* () {
          const directory = path.join(yield* TestDirectory.make, "journal")
          const options = { directory, durability, segmentSize: 1_000_000 }
          const owner = yield* openJournal.open(options, node)
          const ids = [...(yield* owner.append(occurrences(1, 3)))]
          unlinkSync(path.join(directory, "lock"))
          const second = yield* openJournal.open(options, node)
          yield* Effect.flip(owner.append([occurrence(4)]))
          ids.push(...(yield* second.append(occurrences(4, 6))))
          yield* Effect.flip(owner.append([occurrence(7)]))
          assert.lengthOf(new Set(ids.map(EventId.format)), 6)
          assert.deepStrictEqual(seqsOf(yield* readAll(second)), [1, 2, 3, 4, 5, 6])
        })
    )
  }

  it.live("moved and put back goes on where it was", () =>
    Effect.gen(function* () {
      const directory = path.join(yield* TestDirectory.make, "journal")
      const journal = yield* openJournal.open({ directory, durability: "process" }, node)
      yield* journal.append([occurrence(1)])
      renameSync(directory, `${directory}-moved`)
      yield* Effect.flip(journal.append([occurrence(2)]))
      renameSync(`${directory}-moved`, directory)
      const [id] = yield* journal.append([occurrence(3)])
      assert.strictEqual(id!.seq, 2)
      yield* journal.restore("a")
      const { entries } = yield* readAll(journal)
      assert.deepStrictEqual(
        entries.map(({ occurrence }) => occurrence.message),
        [occurrence(1).message, occurrence(3).message]
      )
    })
  )

  it.live("in use is refused with a message that invites nobody to delete the lock", () =>
    Effect.gen(function* () {
      const directory = path.join(yield* TestDirectory.make, "journal")
      yield* openJournal.open({ directory }, node)
      const error = yield* Effect.flip(openJournal.open({ directory }, node))
      assert.strictEqual(error.reason._tag, "JournalLocked")
      assert.include(error.message, "deleting the file does not free it")
    })
  )
})

describe("an event log that is deleted under a running host", () => {
  it.live("has every event that was answered after the deletion, also within its first milliseconds", () =>
    Effect.gen(function* () {
      for (let round = 0; round < 5; round++) {
        const directory = path.join(yield* TestDirectory.make, "log")
        const { backend } = yield* openLog.open({ directory })
        for (let seq = 1; seq <= 50; seq++) yield* backend.write([first(seq)])
        rmSync(directory, { recursive: true })
        const answered: Array<number> = []
        for (let seq = 51; seq <= 150; seq++) {
          const [outcome] = yield* backend
            .write([first(seq)])
            .pipe(Effect.catch(() => Effect.succeed([{ _tag: "Retry" } as const])))
          if (outcome!._tag === "Settled") answered.push(seq)
        }
        const { events } = yield* backend.query({})
        const there = new Set(events.map(({ id }) => id.seq))
        assert.deepStrictEqual(
          answered.filter((seq) => !there.has(seq)),
          []
        )
        assert.isAbove(answered.length, 90)
      }
    })
  )
})
