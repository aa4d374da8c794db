import * as EventJson from "@tidings/core/EventJson"
import { assert, describe, it } from "@effect/vitest"
import { Effect, References, Result } from "effect"
import { TestClock } from "effect/testing"
import {
  appendFileSync,
  existsSync,
  mkdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync
} from "node:fs"
import * as path from "node:path"
import { node, type Disk } from "../src/internal/disk.ts"
import { bytesOf, line, newestOf, noted, open, run, segmentsOf, watch } from "./openLog.ts"
import * as TestDirectory from "./TestDirectory.ts"
import { first, seqsOf } from "./writes.ts"

const silent = Effect.provideService(References.MinimumLogLevel, "Error")

const query = (directory: string) => run(directory, ({ backend }) => backend.query({}))

const meta = (directory: string): Record<string, unknown> =>
  JSON.parse(readFileSync(path.join(directory, ".meta.json"), "utf8")) as Record<string, unknown>

/** The seqs of the lines that a reader of lines finds in a file, and how many it cannot read. */
const linesOf = (text: string): { readonly seqs: Array<number>; readonly others: number } => {
  const seqs: Array<number> = []
  let others = 0
  for (const one of text.split("\n")) {
    if (one === "") continue
    const event = EventJson.decode(one)
    if (Result.isSuccess(event)) seqs.push(event.success.id.seq)
    else others++
  }
  return { seqs, others }
}

describe("rotation", () => {
  it.effect("the next segment is begun when the newest one has its size, and events.log follows", () =>
    Effect.gen(function* () {
      const directory = yield* TestDirectory.make
      const segmentSize = 3 * Buffer.byteLength(line(1))
      const { backend, log } = yield* open({ directory, segmentSize })
      for (let seq = 1; seq <= 7; seq++) {
        yield* backend.write([first(seq)])
        assert.strictEqual(readlinkSync(path.join(directory, "events.log")), segmentsOf(directory).at(-1))
      }
      assert.deepStrictEqual(
        segmentsOf(directory).map((file) => linesOf(readFileSync(path.join(directory, file), "utf8")).seqs),
        [[1, 2, 3], [4, 5, 6], [7]]
      )
      assert.strictEqual((yield* log.status).segments.length, 3)
      assert.deepStrictEqual(seqsOf((yield* backend.query({})).events), [7, 6, 5, 4, 3, 2, 1])
    })
  )

  it.effect("another writer's lines count towards the size", () =>
    Effect.gen(function* () {
      const directory = yield* TestDirectory.make
      const { backend } = yield* open({ directory, segmentSize: 4 * Buffer.byteLength(line(1)) })
      yield* backend.write([first(1)])
      appendFileSync(newestOf(directory), line(2) + line(3) + line(4))
      yield* backend.write([first(5)])
      assert.strictEqual(segmentsOf(directory).length, 2)
    })
  )

  it.effect("the first event of a day (UTC) begins the next segment", () =>
    Effect.gen(function* () {
      const directory = yield* TestDirectory.make
      const { backend } = yield* open({ directory })
      yield* TestClock.setTime(Date.UTC(2026, 10, 28, 23, 59, 59, 999))
      yield* backend.write([first(1)])
      yield* TestClock.adjust("1 millis")
      yield* backend.write([first(2)])
      yield* backend.write([first(3)])
      assert.deepStrictEqual(segmentsOf(directory), [
        "events-00000001-20261128.ndjson",
        "events-00000002-20261129.ndjson"
      ])
      // A clock that was set back begins none.
      yield* TestClock.setTime(Date.UTC(2026, 10, 27))
      yield* backend.write([first(4)])
      assert.strictEqual(segmentsOf(directory).length, 2)
    })
  )

  it.effect("of two writers that notice at once, one begins the segment and both use it", () =>
    Effect.gen(function* () {
      const directory = yield* TestDirectory.make
      const segmentSize = Buffer.byteLength(line(1))
      const one = yield* open({ directory, segmentSize })
      const other = yield* open({ directory, segmentSize })
      yield* one.backend.write([first(1)])
      yield* Effect.all([one.backend.write([first(2)]), other.backend.write([first(3)])], { concurrency: 2 })
      const { seqs } = linesOf(bytesOf(directory).toString())
      assert.deepStrictEqual(seqs.toSorted(), [1, 2, 3])
      assert.deepStrictEqual(
        segmentsOf(directory).map((file) => file.slice(0, 15)),
        ["events-00000001", "events-00000002", "events-00000003"].slice(0, segmentsOf(directory).length)
      )
    })
  )

  it.effect("a watch follows through rotations without a gap", () =>
    Effect.gen(function* () {
      const directory = yield* TestDirectory.make
      const { backend } = yield* open({ directory, segmentSize: 1 })
      const watcher = yield* watch(backend, "beginning")
      assert.deepStrictEqual(yield* watcher.take(1), ["Live"])
      for (let seq = 1; seq <= 5; seq++) {
        yield* backend.write([first(seq)])
        for (let steps = 0; steps < 4; steps++) yield* TestClock.adjust("250 millis")
        assert.deepStrictEqual(yield* watcher.take(1), [seq])
      }
      assert.strictEqual(segmentsOf(directory).length, 5)
    })
  )

  it.live("a query, a watch and another writer go on while segments are begun faster than they are settled", () =>
    Effect.gen(function* () {
      const directory = yield* TestDirectory.make
      const { backend } = yield* open({ directory, segmentSize: 1 })
      yield* backend.write([first(1), first(2)])
      let answered = 2
      yield* Effect.forkChild(
        Effect.forever(
          Effect.gen(function* () {
            yield* Effect.sleep(5)
            yield* backend.write([first(answered + 1)])
            answered += 1
          })
        )
      )
      while (answered < 5) yield* Effect.sleep(5)
      const before = answered
      const { coverage, events } = yield* query(directory)
      assert.includeMembers(
        seqsOf(events),
        Array.from({ length: before }, (_, index) => index + 1)
      )
      assert.deepStrictEqual(coverage[0]!.gaps, [])
      const watcher = yield* watch((yield* open({ directory })).backend, "beginning")
      for (let next = 1; next < before + 50; next++) {
        const item = yield* watcher.next
        if (item._tag === "Live") next--
        else assert.strictEqual(item._tag === "Event" ? item.event.id.seq : item.reason, next)
      }
      const other = first(1, {}, "f".repeat(32))
      assert.deepStrictEqual(yield* run(directory, ({ backend }) => backend.write([other])), [
        { _tag: "Settled", how: "created" }
      ])
    })
  )

  /**
   * A disk that tells the size of the first segment, once there is a second one, as it was before another writer appended a line
   * to it: the process has no turn for longer than readers wait until a segment is complete.
   */
  const stalling = (directory: string, late: string): Disk => {
    let isOver = false
    const afterStall = <Status extends { readonly identity: string }>(status: Status): Status => {
      const [one, two] = segmentsOf(directory)
      if (isOver || two === undefined) return status
      const file = path.join(directory, one!)
      if (node.status(file)?.identity !== status.identity) return status
      isOver = true
      appendFileSync(file, late)
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 300)
      return status
    }
    return {
      ...node,
      statusOf: (file) => afterStall(node.statusOf(file)),
      status: (file) => {
        const status = node.status(file)
        return status === undefined ? undefined : afterStall(status)
      }
    }
  }

  it.live("a watch that has no turn after it asked how long a segment is shows what was written to it meanwhile", () =>
    Effect.gen(function* () {
      const directory = yield* TestDirectory.make
      const { backend } = yield* open({ directory, segmentSize: 1 })
      yield* backend.write([first(1)])
      const watcher = yield* watch((yield* open({ directory }, stalling(directory, line(3)))).backend, "beginning")
      assert.deepStrictEqual(yield* watcher.take(2), [1, "Live"])
      yield* backend.write([first(2)])
      assert.sameMembers([...(yield* watcher.take(2))], [2, 3])
    })
  )

  it.live("a query that has no turn after it asked how long a segment is finds what was written to it meanwhile", () =>
    Effect.gen(function* () {
      const directory = yield* TestDirectory.make
      const { backend } = yield* open({ directory, segmentSize: 1 })
      yield* backend.write([first(1)])
      const reader = yield* open({ directory }, stalling(directory, line(3)))
      yield* backend.write([first(2)])
      assert.sameMembers(seqsOf((yield* reader.backend.query({})).events), [1, 2, 3])
    })
  )

  it.live(
    "where too many files are open to begin the next segment (EMFILE), a write fails, and is stored when it is repeated",
    () =>
      Effect.gen(function* () {
        const directory = yield* TestDirectory.make
        let isFull = false
        const failing =
          <Parameters extends ReadonlyArray<unknown>, A>(use: (...parameters: Parameters) => A) =>
          (...parameters: Parameters): A => {
            if (isFull) throw Object.assign(new Error("EMFILE: on purpose"), { code: "EMFILE" })
            return use(...parameters)
          }
        const disk: Disk = {
          ...node,
          create: failing(node.create),
          openToAppend: failing(node.openToAppend),
          openToRead: failing(node.openToRead),
          openDirectory: failing(node.openDirectory),
          list: failing(node.list)
        }
        const { backend } = yield* open({ directory, segmentSize: 1 }, disk)
        const watcher = yield* watch((yield* open({ directory })).backend, "beginning")
        assert.deepStrictEqual(yield* watcher.take(1), ["Live"])
        for (let seq = 1; seq <= 20; seq++) {
          isFull = seq > 1
          const write = backend.write([first(seq)])
          if (isFull) {
            const { message, reason } = yield* Effect.flip(write)
            assert.strictEqual(reason._tag, "Transient")
            assert.include(message, "too many files are open")
          }
          isFull = false
          assert.strictEqual((yield* write)[0]!._tag, "Settled")
          assert.deepStrictEqual(yield* watcher.take(1), [seq])
        }
        assert.strictEqual(segmentsOf(directory).length, 20)
        const { coverage, totalCount } = yield* query(directory)
        assert.strictEqual(totalCount, 20)
        assert.deepStrictEqual(coverage[0]!.gaps, [])
      }).pipe(silent)
  )

  it.effect("a missing events.log is restored by the next writer, and one that leads to a later segment is kept", () =>
    Effect.gen(function* () {
      const directory = yield* TestDirectory.make
      const link = path.join(directory, "events.log")
      yield* run(directory, ({ backend }) => backend.write([first(1)]))
      const [segment] = segmentsOf(directory)
      rmSync(link)
      yield* run(directory, ({ backend }) => backend.write([first(2)]))
      assert.strictEqual(readlinkSync(link), segment)
      rmSync(link)
      symlinkSync("somewhere", link)
      yield* run(directory, ({ backend }) => backend.write([first(3)]))
      assert.strictEqual(readlinkSync(link), segment)
    })
  )

  it.effect("a segment whose number is the highest is written to, and its number is used for the next day", () =>
    Effect.gen(function* () {
      const directory = yield* TestDirectory.make
      writeFileSync(path.join(directory, "events-999999999999-20260101.ndjson"), line(9))
      const { backend } = yield* open({ directory, segmentSize: 1 })
      yield* TestClock.setTime(Date.UTC(2026, 0, 1))
      yield* backend.write([first(1)])
      yield* TestClock.setTime(Date.UTC(2026, 0, 2))
      yield* backend.write([first(2)])
      yield* backend.write([first(3)])
      rmSync(newestOf(directory))
      yield* backend.write([first(4)])
      assert.deepStrictEqual(segmentsOf(directory), [
        "events-999999999999-20260101.ndjson",
        "events-999999999999-20260102.ndjson"
      ])
      assert.deepStrictEqual(seqsOf((yield* backend.query({})).events), [9, 4, 1])
    })
  )

  it.effect("after a segment of the highest number of fifteen digits was removed, what is written is read", () =>
    Effect.gen(function* () {
      const directory = yield* TestDirectory.make
      const highest = path.join(directory, "events-999999999999999-20990101.ndjson")
      const { backend } = yield* open({ directory })
      yield* backend.write([first(1)])
      writeFileSync(highest, "")
      yield* TestClock.adjust("30 millis")
      yield* backend.write([first(2)])
      rmSync(highest)
      yield* TestClock.adjust("30 millis")
      yield* backend.write([first(3)])
      assert.deepStrictEqual(seqsOf((yield* backend.query({})).events), [3, 2, 1])
      assert.deepStrictEqual(seqsOf((yield* query(directory)).events), [3, 2, 1])
    }).pipe(silent)
  )
})

describe("logs of the first release", () => {
  const old = { format: 1, id: "0123456789abcdef0123456789abcdef", createdAt: "2026-01-01T00:00:00.000000Z" }

  const make = Effect.map(TestDirectory.make, (directory) => {
    writeFileSync(path.join(directory, ".meta.json"), JSON.stringify(old))
    writeFileSync(path.join(directory, "events-00000001-20260101.ndjson"), line(1))
    writeFileSync(path.join(directory, "events-00000002-20260102.ndjson"), line(2))
    return directory
  })

  it.effect(
    "reading changes nothing; the first write begins a segment, and the first release refuses the log from then on",
    () =>
      Effect.gen(function* () {
        const directory = yield* make
        yield* run(directory, ({ backend }) =>
          Effect.gen(function* () {
            assert.deepStrictEqual(seqsOf((yield* backend.query({})).events), [2, 1])
            assert.strictEqual((yield* backend.target).id, old.id)
            assert.deepStrictEqual(meta(directory), old)
            yield* backend.write([first(3)])
          })
        )
        yield* run(directory, ({ backend }) => backend.write([first(4)]))
        const { begun, ...others } = meta(directory)
        assert.deepStrictEqual(others, { ...old, format: 2, sealedUpTo: 2 })
        assert.match(String(begun), /^00000003-19700101:256:/)
        assert.deepStrictEqual(segmentsOf(directory), [
          "events-00000001-20260101.ndjson",
          "events-00000002-20260102.ndjson",
          "events-00000003-19700101.ndjson"
        ])
        assert.strictEqual(readFileSync(path.join(directory, "events-00000002-20260102.ndjson"), "utf8"), line(2))
        assert.strictEqual(readFileSync(newestOf(directory), "utf8"), line(3) + line(4))
        const { coverage, events } = yield* query(directory)
        assert.deepStrictEqual(seqsOf(events), [4, 3, 2, 1])
        assert.deepStrictEqual(coverage[0]?.gaps, [])
        assert.strictEqual(coverage[0]?.since, Date.UTC(2026, 0, 1) * 1_000)
      })
  )

  it.effect("a writer that is stopped between the new format and the next segment leaves nothing to append to", () =>
    Effect.gen(function* () {
      const directory = yield* make
      const stopped: Disk = {
        ...node,
        create: (file, permissions) => {
          if (file.endsWith(".ndjson")) throw Object.assign(new Error("stopped"), { code: "EIO" })
          return node.create(file, permissions)
        }
      }
      yield* Effect.scoped(
        Effect.flatMap(open({ directory }, stopped), ({ backend }) => Effect.flip(backend.write([first(3)])))
      )
      assert.strictEqual(meta(directory)["format"], 2)
      yield* run(directory, ({ backend }) => backend.write([first(3)]))
      assert.strictEqual(readFileSync(path.join(directory, "events-00000002-20260102.ndjson"), "utf8"), line(2))
      assert.deepStrictEqual(seqsOf((yield* query(directory)).events), [3, 2, 1])
    })
  )
})

describe("writes beside others", () => {
  /** A disk on which something happens just before or after the next append of lines. */
  const around = () => {
    const hooks: { before?: (() => void) | undefined; after?: (() => void) | undefined } = {}
    const disk: Disk = {
      ...node,
      append: (...parameters) => {
        const { after, before } = hooks
        hooks.before = undefined
        hooks.after = undefined
        before?.()
        const written = node.append(...parameters)
        after?.()
        return written
      }
    }
    return { disk, hooks }
  }

  it.effect("a line that is answered never shares its line with what another process left in part", () =>
    Effect.gen(function* () {
      const torn = line(50).slice(0, 100)
      // Before the look at the end of the segment, and after it, just before the write.
      for (const when of ["idle", "racing"] as const) {
        for (const batch of [[first(2)], [first(2), first(3)]]) {
          const directory = yield* TestDirectory.make
          const { disk, hooks } = around()
          const { backend } = yield* open({ directory }, disk)
          yield* backend.write([first(1)])
          yield* noted(directory)
          const tear = () => appendFileSync(newestOf(directory), torn)
          if (when === "idle") tear()
          else hooks.before = tear
          for (const outcome of yield* backend.write(batch)) assert.strictEqual(outcome._tag, "Settled")
          const { others, seqs } = linesOf(readFileSync(newestOf(directory), "utf8"))
          assert.includeMembers(seqs, [1, ...batch.map(({ id }) => id.seq)], when)
          assert.strictEqual(others, 1)
          assert.strictEqual((yield* backend.query({})).totalCount, 1 + batch.length)
        }
      }
    }).pipe(silent)
  )

  it.effect("lines of other processes beside those that are written are no reason to write again", () =>
    Effect.gen(function* () {
      const directory = yield* TestDirectory.make
      const { disk, hooks } = around()
      const { backend } = yield* open({ directory }, disk)
      yield* backend.write([first(1)])
      yield* noted(directory)
      hooks.before = () => appendFileSync(newestOf(directory), line(50))
      hooks.after = () => appendFileSync(newestOf(directory), line(51))
      yield* backend.write([first(2)])
      assert.deepStrictEqual(linesOf(readFileSync(newestOf(directory), "utf8")), { seqs: [1, 50, 2, 51], others: 0 })
    })
  )

  const vanish: ReadonlyArray<readonly [how: string, change: (directory: string) => void]> = [
    ["deleted", (directory) => rmSync(newestOf(directory))],
    ["renamed", (directory) => renameSync(newestOf(directory), path.join(directory, "events.old"))],
    [
      "replaced",
      (directory) => {
        const file = newestOf(directory)
        renameSync(file, path.join(directory, "events.old"))
        writeFileSync(file, "", { mode: 0o600 })
      }
    ],
    ["cut to nothing", (directory) => writeFileSync(newestOf(directory), "")]
  ]
  for (const [how, change] of vanish) {
    it.effect(`a write to a segment that was ${how} a moment before, or meanwhile, is found in the log`, () =>
      Effect.gen(function* () {
        for (const when of ["idle", "before", "after"] as const) {
          const directory = yield* TestDirectory.make
          const { disk, hooks } = around()
          const { backend } = yield* open({ directory }, disk)
          yield* backend.write([first(1)])
          yield* noted(directory)
          if (when === "idle") change(directory)
          else hooks[when] = () => change(directory)
          assert.deepStrictEqual(yield* backend.write([first(2)]), [{ _tag: "Settled", how: "created" }], when)
          assert.deepStrictEqual(seqsOf((yield* backend.query({})).events), [2], when)
          assert.deepStrictEqual(seqsOf((yield* query(directory)).events), [2], when)
        }
      }).pipe(silent)
    )
  }

  for (const how of ["deleted", "renamed", "replaced"] as const) {
    it.effect(`a write into a directory that was ${how} a moment before is in the log that is begun there`, () =>
      Effect.gen(function* () {
        const parent = yield* TestDirectory.make
        const directory = path.join(parent, "log")
        const { backend } = yield* open({ directory })
        yield* backend.write([first(1)])
        if (how === "deleted") rmSync(directory, { recursive: true })
        else renameSync(directory, path.join(parent, "away"))
        if (how === "replaced") mkdirSync(directory, { mode: 0o700 })
        const write = Effect.retry(backend.write([first(2)]), {
          while: ({ reason }) => reason._tag === "Transient" && reason.applied === "unknown",
          times: 3
        })
        assert.deepStrictEqual(yield* write, [{ _tag: "Settled", how: "created" }])
        assert.deepStrictEqual(seqsOf((yield* query(directory)).events), [2])
        assert.isTrue(existsSync(path.join(directory, "events.log")))
      }).pipe(silent)
    )
  }
})

describe("a log of very many segments", () => {
  it.live("its directory is listed once while nothing in it changes", () =>
    Effect.gen(function* () {
      const directory = yield* TestDirectory.make
      yield* run(directory, ({ backend }) => backend.write([first(1)]))
      let listed = 0
      const disk: Disk = {
        ...node,
        list: (of) => {
          listed++
          return node.list(of)
        }
      }
      const { backend } = yield* open({ directory }, disk)
      yield* backend.write([first(2)])
      yield* Effect.sleep("2600 millis")
      yield* backend.write([first(3)])
      const before = listed
      for (let seq = 4; seq < 10; seq++) {
        yield* Effect.sleep("25 millis")
        yield* backend.write([first(seq)])
      }
      assert.strictEqual(listed, before)
      // A change is seen at once.
      writeFileSync(path.join(directory, "events-00000002-20990101.ndjson"), "", { mode: 0o600 })
      yield* Effect.sleep("25 millis")
      yield* backend.write([first(10)])
      assert.strictEqual(readFileSync(newestOf(directory), "utf8"), line(10))
    })
  )
})
