import { assert, describe, it } from "@effect/vitest"
import { present, updated } from "@tidings/core/Backend"
import type { BackendError } from "@tidings/core/BackendError"
import { Effect, References, type Scope } from "effect"
import { spawnSync } from "node:child_process"
import {
  closeSync,
  existsSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
  writeSync
} from "node:fs"
import * as path from "node:path"
import { promisify } from "node:util"
import * as zlib from "node:zlib"
import type * as FileBackend from "../src/FileBackend.ts"
import { type Disk, node } from "../src/internal/disk.ts"
import * as Frames from "../src/internal/log/compression/frames.ts"
import * as SegmentDisk from "../src/internal/log/compression/segmentDisk.ts"
import { aged, compressedOf, leftOf, openAged } from "./compressing.ts"
import { line, segmentsOf, watch, withoutChecksums } from "./openLog.ts"
import * as TestDirectory from "./TestDirectory.ts"
import { again, first, seqsOf } from "./writes.ts"

const silent = Effect.provideService(References.MinimumLogLevel, "None")

const zstdCompress = promisify(zlib.zstdCompress)

const small = { segmentSize: 5_000 }

/** A log of so many events in small segments, and its plain files. */
const filled = (directory: string, count: number) =>
  Effect.gen(function* () {
    const log = yield* openAged({ directory, ...small })
    for (let seq = 1; seq <= count; seq++) yield* log.backend.write([first(seq)])
    return {
      ...log,
      plain: new Map(segmentsOf(directory).map((file) => [file, readFileSync(path.join(directory, file))]))
    }
  })

const all = (count: number): Array<number> => Array.from({ length: count }, (_, index) => count - index)

describe("compressed segments", () => {
  it.effect(
    "a program that syncs what it writes reads other files right after it has looked at compressed segments",
    () =>
      Effect.gen(function* () {
        for (const durability of ["interval", "disk"] as const) {
          const directory = yield* TestDirectory.make
          const { log } = yield* filled(directory, 30)
          yield* log.compress("0 seconds")
          const syncing = yield* openAged({ directory, ...small, durability })
          yield* syncing.backend.write([first(31)])
          assert.strictEqual(
            (yield* syncing.log.status).segments.length,
            segmentsOf(directory).length + compressedOf(directory).length
          )
          assert.deepStrictEqual(seqsOf((yield* syncing.backend.query({})).events), all(31))
        }
      })
  )

  it.effect("how far it is, within a segment too, is told to whoever compresses", () =>
    Effect.gen(function* () {
      const directory = yield* TestDirectory.make
      const { plain } = yield* filled(directory, 30)
      const told: Array<FileBackend.Progress> = []
      const onProgress = (progress: FileBackend.Progress) => Effect.sync(() => void told.push(progress))
      const { log } = yield* openAged({ directory, ...small, onProgress }, aged, 1_000)
      const compressed = yield* log.compress("0 seconds")
      const sizes = [...plain.values()].map(({ length }) => length).slice(0, -1)
      const totalBytes = sizes.reduce((sum, size) => sum + size, 0)
      assert.lengthOf(compressed, sizes.length)
      assert.isTrue(told.every(({ task, ...progress }) => task === "compress" && progress.totalBytes === totalBytes))
      const steps = told.map(({ bytes }) => bytes)
      assert.deepStrictEqual(
        steps,
        steps.toSorted((a, b) => a - b)
      )
      assert.strictEqual(steps.at(-1), totalBytes)
      let start = 0
      for (const size of sizes) {
        const within = steps.filter((bytes) => bytes > start && bytes < start + size)
        assert.isAtLeast(within.length, Math.floor(size / 1_000))
        start += size
      }
    })
  )

  it.effect("all but the newest segment are compressed, and the log reads as before", () =>
    Effect.gen(function* () {
      const directory = yield* TestDirectory.make
      const { backend, log, plain } = yield* filled(directory, 60)
      const before = yield* backend.query({})
      const done = yield* log.compress("0 seconds")
      const files = [...plain.keys()]
      assert.isAbove(files.length, 4)
      assert.deepStrictEqual(segmentsOf(directory), files.slice(-1))
      assert.deepStrictEqual(
        compressedOf(directory),
        files.slice(0, -1).map((file) => `${file}.zst`)
      )
      assert.deepStrictEqual(leftOf(directory), [])
      assert.deepStrictEqual(
        done,
        files.slice(0, -1).map((file) => ({
          file: `${file}.zst`,
          bytes: statSync(path.join(directory, `${file}.zst`)).size,
          uncompressedBytes: plain.get(file)!.length
        }))
      )
      assert.deepStrictEqual((yield* log.status).segments.slice(0, -1), [...done])
      assert.deepStrictEqual(yield* backend.query({}), before)
      const other = yield* openAged({ directory, ...small })
      assert.deepStrictEqual((yield* other.backend.query({})).events, before.events)
      assert.deepStrictEqual(yield* log.compress("0 seconds"), [])
    })
  )

  it.effect("zstd reads a compressed segment as one file with the bytes of the plain one", () =>
    Effect.gen(function* () {
      const directory = yield* TestDirectory.make
      const { log, plain } = yield* filled(directory, 40)
      yield* log.compress("0 seconds")
      for (const file of compressedOf(directory)) {
        const bytes = readFileSync(path.join(directory, file))
        const expected = plain.get(file.slice(0, -4))!
        // `zstd` itself, where it is installed.
        const { error, stdout } = spawnSync("zstd", ["-dc", path.join(directory, file)])
        assert.isTrue(error === undefined ? expected.equals(stdout) : "code" in error && error.code === "ENOENT")
        const footer = bytes.subarray(-9)
        assert.strictEqual(footer.readUInt32LE(5), 0x8f92eab1)
        // The description of the format: the sizes of the entries add up to the file and to its content.
        const count = footer.readUInt32LE(0)
        const table = bytes.subarray(-9 - 8 * count, -9)
        let at = 0
        const parts: Array<Buffer> = []
        for (let index = 0; index < count; index++) {
          const compressed = table.readUInt32LE(8 * index)
          const size = table.readUInt32LE(8 * index + 4)
          if (size > 0) {
            parts.push(zlib.zstdDecompressSync(bytes.subarray(at, at + compressed)))
            assert.strictEqual(parts.at(-1)!.length, size)
            assert.strictEqual(parts.at(-1)!.at(-1), 0x0a)
            assert.isAtMost(size, 2_000)
          }
          at += compressed
        }
        assert.isAbove(parts.length, 1)
        assert.strictEqual(at, bytes.length - 9 - 8 * count - 8)
        assert.isTrue(Buffer.concat(parts).equals(expected))
      }
    })
  )

  it.effect("bytes at any place of a compressed segment are those of the plain one", () =>
    Effect.gen(function* () {
      const directory = yield* TestDirectory.make
      const { log, plain } = yield* filled(directory, 40)
      yield* log.compress("0 seconds")
      const disk = SegmentDisk.make(node)
      for (const [file, bytes] of [...plain].slice(0, -1)) {
        const opened = disk.openToRead(path.join(directory, file))
        assert.strictEqual(disk.statusOf(opened).size, bytes.length)
        assert.strictEqual(disk.status(path.join(directory, file))?.size, bytes.length)
        for (let from = 0; from <= bytes.length; from += 97) {
          for (const length of [0, 1, 500, 1_999, 2_000, 2_001, bytes.length + 10]) {
            const into = Buffer.alloc(length + 3, 1)
            const found = disk.read(opened, into, 3, length, from)
            assert.strictEqual(found, Math.min(length, bytes.length - from))
            assert.isTrue(into.subarray(3, 3 + found).equals(bytes.subarray(from, from + found)))
          }
        }
        disk.close(opened)
      }
    })
  )

  it.effect("cursors, pages and watches go on across a compression", () =>
    Effect.gen(function* () {
      const directory = yield* TestDirectory.make
      const { backend, log } = yield* filled(directory, 60)
      const page = yield* backend.query({ limit: 20 })
      const watcher = yield* watch(backend, "beginning")
      assert.deepStrictEqual(yield* watcher.take(10), all(10).reverse())
      const tenth = yield* watcher.next
      yield* log.compress("0 seconds")
      const rest = yield* backend.query({ limit: 40, page: page.next! })
      assert.deepStrictEqual(seqsOf(rest.events), all(40))
      assert.deepStrictEqual(yield* watcher.take(50), [...all(60).reverse().slice(11), "Live"])
      const resumed = yield* watch(backend, tenth.cursor)
      assert.deepStrictEqual(yield* resumed.take(50), [...all(60).reverse().slice(11), "Live"])
      yield* backend.write([first(61)])
      assert.deepStrictEqual(yield* watcher.take(1), [61])
      assert.deepStrictEqual(yield* resumed.take(1), [61])
    }).pipe(Effect.scoped)
  )

  it.effect("side files that were made before a compression are used after it", () =>
    Effect.gen(function* () {
      const directory = yield* TestDirectory.make
      const { backend, log } = yield* filled(directory, 60)
      yield* backend.query({})
      const indexes = () =>
        readdirSync(directory)
          .filter((file) => file.endsWith(".index"))
          .map((file) => `${file} ${statSync(path.join(directory, file)).ino}`)
      const before = indexes()
      yield* log.compress("0 seconds")
      const other = yield* openAged({ directory, ...small })
      assert.strictEqual((yield* other.backend.query({})).totalCount, 60)
      assert.deepStrictEqual(indexes(), before)
    })
  )

  it.effect("a series that is counted up after its segment was compressed stays one event", () =>
    Effect.gen(function* () {
      const directory = yield* TestDirectory.make
      const { backend, log } = yield* filled(directory, 40)
      yield* log.compress("0 seconds")
      const other = yield* openAged({ directory, ...small })
      assert.deepStrictEqual(yield* other.backend.write([first(3), again(first(5), 41)]), [present, updated])
      const { events, totalCount } = yield* backend.query({})
      assert.strictEqual(totalCount, 40)
      assert.strictEqual(events.find(({ id }) => id.seq === 5)?.count, 2)
    })
  )

  it.effect("segments of the first release are compressed, beside those with checksums and plain ones", () =>
    Effect.gen(function* () {
      const directory = yield* TestDirectory.make
      yield* Effect.scoped(filled(directory, 20))
      for (const file of segmentsOf(directory)) {
        const place = path.join(directory, file)
        writeFileSync(place, withoutChecksums(readFileSync(place, "utf8")))
      }
      const meta = path.join(directory, ".meta.json")
      writeFileSync(meta, JSON.stringify({ ...JSON.parse(readFileSync(meta, "utf8")), format: 1 }))
      const { backend, log } = yield* openAged({ directory, ...small })
      for (let seq = 21; seq <= 40; seq++) yield* backend.write([first(seq)])
      yield* log.compress("0 seconds")
      for (let seq = 41; seq <= 60; seq++) yield* backend.write([first(seq)])
      assert.isAbove(segmentsOf(directory).length, 1)
      assert.deepStrictEqual(seqsOf((yield* backend.query({})).events), all(60))
      const other = yield* openAged({ directory, ...small })
      assert.deepStrictEqual(seqsOf((yield* other.backend.query({})).events), all(60))
      assert.strictEqual((yield* other.log.status).damaged.lines, 0)
    })
  )

  it.effect("the first release refuses a log of which it would not see the compressed segments", () =>
    Effect.gen(function* () {
      const directory = yield* TestDirectory.make
      yield* Effect.scoped(filled(directory, 20))
      const meta = path.join(directory, ".meta.json")
      const format = (): unknown => JSON.parse(readFileSync(meta, "utf8")).format
      writeFileSync(meta, JSON.stringify({ ...JSON.parse(readFileSync(meta, "utf8")), format: 1 }))
      const { log } = yield* openAged({ directory, ...small })
      assert.strictEqual(format(), 1)
      yield* log.compress("0 seconds")
      assert.strictEqual(format(), 2)
    })
  )

  it.effect("retention removes compressed segments, and counts their events", () =>
    Effect.gen(function* () {
      const directory = yield* TestDirectory.make
      const { backend, log } = yield* openAged({ directory, segmentSize: 50_000 }, aged, 50_000)
      yield* backend.write(Array.from({ length: 70 }, (_, index) => first(index + 1)))
      for (let seq = 71; seq <= 600; seq++) yield* backend.write([first(seq)])
      yield* log.compress("0 seconds")
      const files = compressedOf(directory)
      const onDisk = readdirSync(directory).reduce((sum, file) => sum + statSync(path.join(directory, file)).size, 0)
      // As lines they are more than this limit has at least, and on disk less.
      const maxEvents = 400
      assert.isBelow(onDisk, 250 * maxEvents)
      yield* log.setRetention({ maxEvents, maxAge: "none", maxBytes: "none" })
      const { segments } = yield* log.prune()
      assert.isAbove(segments.length, 0)
      assert.deepStrictEqual(compressedOf(directory), files.slice(segments.length))
      const { events, totalCount } = yield* backend.query({})
      assert.deepStrictEqual(seqsOf(events), all(600).slice(0, totalCount))
      assert.isAtMost(totalCount, maxEvents)
      assert.isAbove(totalCount, maxEvents - 100)
    })
  )

  it.effect("what is no duration is refused with what would be right", () =>
    Effect.gen(function* () {
      const directory = yield* TestDirectory.make
      const { log } = yield* openAged({ directory })
      const soon = "soon" as never
      const refused = {
        sealedFor: log.compress(soon),
        compressAfter: openAged({ directory, compressAfter: soon }),
        syncInterval: openAged({ directory, syncInterval: soon })
      }
      for (const [name, use] of Object.entries(refused)) {
        const error = yield* Effect.flip(Effect.asVoid<unknown, BackendError, Scope.Scope>(use))
        assert.match(
          error.reason.detail ?? "",
          new RegExp(`^${name} is "soon", which is no duration: give milliseconds`)
        )
      }
    })
  )

  it.effect("where all later segments are gone, nothing is appended to a compressed one", () =>
    Effect.gen(function* () {
      const directory = yield* TestDirectory.make
      const count = yield* Effect.scoped(
        Effect.gen(function* () {
          const { log } = yield* filled(directory, 20)
          yield* log.compress("0 seconds")
          return compressedOf(directory).length
        })
      )
      rmSync(path.join(directory, segmentsOf(directory)[0]!))
      const { backend } = yield* openAged({ directory, ...small })
      yield* backend.write([first(100)])
      assert.strictEqual(compressedOf(directory).length, count)
      assert.strictEqual(segmentsOf(directory).length, 1)
      assert.strictEqual((yield* backend.query({ limit: 1 })).events[0]?.id.seq, 100)
    }).pipe(silent)
  )

  it.live(
    "a layer compresses in the background where it is asked to, and not otherwise",
    () =>
      Effect.gen(function* () {
        const directory = yield* TestDirectory.make
        yield* Effect.scoped(filled(directory, 20))
        yield* Effect.scoped(Effect.andThen(openAged({ directory, ...small }), Effect.sleep("1 second")))
        assert.deepStrictEqual(compressedOf(directory), [])
        yield* openAged({ directory, ...small, compressAfter: "0 seconds" })
        const count = segmentsOf(directory).length - 1
        while (compressedOf(directory).length < count || leftOf(directory).length > 0) yield* Effect.sleep("10 millis")
        assert.strictEqual(segmentsOf(directory).length, 1)
      }).pipe(Effect.provideService(References.MinimumLogLevel, "None")),
    { timeout: 20_000 }
  )

  it.effect("segments that were sealed later than asked for stay plain", () =>
    Effect.gen(function* () {
      const directory = yield* TestDirectory.make
      const { log } = yield* filled(directory, 20)
      assert.deepStrictEqual(yield* log.compress("2 hours"), [])
      assert.isAbove((yield* log.compress("30 minutes")).length, 0)
    })
  )
})

describe("writes beside a compression", () => {
  /** Compresses while `before` is called once with the path, before a call of the disk for a segment. */
  const during = (
    call: "rename" | "unlink" | "link",
    matches: (path: string) => boolean,
    before: (path: string) => void
  ): Disk => {
    let isDone = false
    const hook = (path: string) => {
      if (isDone || !matches(path)) return
      isDone = true
      before(path)
    }
    return {
      ...aged,
      rename: (from, to) => {
        if (call === "rename") hook(from)
        aged.rename(from, to)
      },
      unlink: (path) => {
        if (call === "unlink") hook(path)
        aged.unlink(path)
      },
      link: (from, to) => {
        if (call === "link") hook(to)
        aged.link(from, to)
      }
    }
  }

  const isPlain = (file: string): boolean => /\/events-00000001-\d+\.ndjson$/.test(file)

  it.effect("a line that comes in while its segment is compressed is found", () =>
    Effect.gen(function* () {
      const directory = yield* TestDirectory.make
      yield* Effect.scoped(filled(directory, 20))
      const late = openSync(path.join(directory, segmentsOf(directory)[0]!), "a")
      // The plain file is renamed when the compressed one is complete.
      const disk = during("rename", isPlain, () => void writeSync(late, line(99)))
      const { backend, log } = yield* openAged({ directory, ...small }, disk)
      yield* log.compress("0 seconds")
      closeSync(late)
      assert.isTrue(existsSync(path.join(directory, segmentsOf(directory)[0]!)))
      assert.match(segmentsOf(directory)[0]!, /^events-00000001/)
      assert.deepStrictEqual(leftOf(directory), [])
      assert.include(seqsOf((yield* backend.query({})).events), 99)
      yield* log.compress("0 seconds")
      assert.strictEqual(segmentsOf(directory).length, 1)
      assert.include(seqsOf((yield* backend.query({})).events), 99)
    })
  )

  it.effect("an append to a segment that was compressed a moment ago is repeated in the newest one", () =>
    Effect.gen(function* () {
      const directory = yield* TestDirectory.make
      let isHeldUp = false
      const other = yield* openAged({ directory, ...small })
      const disk: Disk = {
        ...aged,
        append: (file, from, offset, length) => {
          if (isHeldUp) {
            isHeldUp = false
            // The process was stopped here for long: the segment was sealed and compressed.
            const [only] = segmentsOf(directory)
            const place = path.join(directory, only!)
            const number = Number(only!.slice(7, 15)) + 1
            writeFileSync(path.join(directory, only!.replace(/\d{8}/, String(number).padStart(8, "0"))), line(50))
            const bytes = readFileSync(place)
            const { identity, made, modified } = node.status(place)!
            const frame = Frames.compress(bytes)
            const sizes = [{ compressed: frame.length, bytes: bytes.length }]
            const trailer = Frames.trailer(sizes, { bytes: bytes.length, identity, made, modified })
            writeFileSync(`${place}.zst`, Buffer.concat([frame, trailer]))
            rmSync(place)
          }
          return aged.append(file, from, offset, length)
        }
      }
      const { backend } = yield* openAged({ directory, ...small }, disk)
      yield* backend.write([first(1)])
      isHeldUp = true
      yield* backend.write([first(2)])
      assert.strictEqual(compressedOf(directory).length, 1)
      assert.deepStrictEqual(seqsOf((yield* other.backend.query({})).events).sort(), [1, 2, 50])
    })
  )

  it.effect("a segment that retention removes while it is compressed stays removed", () =>
    Effect.gen(function* () {
      const directory = yield* TestDirectory.make
      yield* Effect.scoped(filled(directory, 20))
      const disk = during("rename", isPlain, (file) => rmSync(file))
      const { log } = yield* openAged({ directory, ...small }, disk)
      yield* log.compress("0 seconds")
      assert.isFalse(
        [...compressedOf(directory), ...segmentsOf(directory)].some((file) => file.startsWith("events-00000001"))
      )
      assert.deepStrictEqual(leftOf(directory), [])
    })
  )

  it.effect("several layers that compress at once make each segment once", () =>
    Effect.gen(function* () {
      const directory = yield* TestDirectory.make
      yield* Effect.scoped(filled(directory, 60))
      const logs = yield* Effect.all(Array.from({ length: 3 }, () => openAged({ directory, ...small })))
      const sealed = segmentsOf(directory).length - 1
      const done = yield* Effect.all(
        logs.map(({ log }) => log.compress("0 seconds")),
        { concurrency: "unbounded" }
      )
      assert.strictEqual(done.flat().length, sealed)
      assert.deepStrictEqual(seqsOf((yield* logs[0]!.backend.query({})).events), all(60))
    })
  )
})

describe("a compression that is stopped", () => {
  it.effect(
    "at any call of the disk, it loses nothing, and the next one brings it to its end",
    () =>
      Effect.gen(function* () {
        for (let calls = 0, isStopped = true; isStopped; calls++) {
          const directory = yield* TestDirectory.make
          yield* Effect.scoped(filled(directory, 20))
          let left = calls
          isStopped = false
          const stop =
            <A extends Array<any>, B>(call: (...args: A) => B) =>
            (...args: A): B => {
              if (left-- <= 0) {
                isStopped = true
                throw Object.assign(new Error("killed"), { code: "EIO" })
              }
              return call(...args)
            }
          const killed: Disk = {
            ...aged,
            create: stop(node.create),
            append: stop(node.append),
            setModified: stop(node.setModified),
            sync: stop(node.sync),
            rename: stop(node.rename),
            link: stop(node.link),
            unlink: stop(node.unlink)
          }
          yield* Effect.scoped(
            Effect.gen(function* () {
              const { log } = yield* openAged({ directory, ...small }, killed)
              yield* Effect.exit(log.compress("0 seconds"))
            })
          )
          const reader = yield* openAged({ directory, ...small })
          assert.deepStrictEqual(seqsOf((yield* reader.backend.query({})).events), all(20), `after ${calls} calls`)
          yield* reader.log.compress("0 seconds")
          assert.strictEqual(segmentsOf(directory).length, 1)
          assert.deepStrictEqual(leftOf(directory), [])
          const other = yield* openAged({ directory, ...small })
          assert.deepStrictEqual(seqsOf((yield* other.backend.query({})).events), all(20))
        }
      }).pipe(silent),
    { timeout: 120_000 }
  )

  it.effect(
    "when its process is killed, a line that came in at the last moment is read and watched before the next one",
    () =>
      Effect.gen(function* () {
        const directory = yield* TestDirectory.make
        yield* Effect.scoped(filled(directory, 20))
        const watcher = yield* watch((yield* openAged({ directory, ...small })).backend, "beginning")
        while ((yield* watcher.next)._tag !== "Live");
        const late = openSync(path.join(directory, segmentsOf(directory)[0]!), "a")
        let isKilled = false
        const stop =
          <A extends Array<any>, B>(call: (...args: A) => B) =>
          (...args: A): B => {
            if (isKilled) throw Object.assign(new Error("killed"), { code: "EIO" })
            return call(...args)
          }
        const killed: Disk = {
          ...aged,
          // It has looked at the size of the plain file, and a writer that has it open comes before the new name.
          rename: stop((from, to) => {
            if (to.endsWith(".compressed")) {
              writeSync(late, line(99))
              isKilled = true
            }
            aged.rename(from, to)
          }),
          link: stop(aged.link),
          unlink: stop(aged.unlink)
        }
        yield* Effect.scoped(
          Effect.flatMap(openAged({ directory, ...small }, killed), ({ log }) => Effect.exit(log.compress("0 seconds")))
        )
        closeSync(late)
        assert.strictEqual(leftOf(directory).filter((file) => file.endsWith(".compressed")).length, 1)
        const reader = yield* openAged({ directory, ...small })
        assert.include(seqsOf((yield* reader.backend.query({})).events), 99)
        const other = yield* watch(reader.backend, "beginning")
        assert.include(yield* other.take(22), 99)
        yield* reader.log.compress("0 seconds")
        yield* reader.log.compress("0 seconds")
        assert.deepStrictEqual(leftOf(directory), [])
        assert.strictEqual(segmentsOf(directory).length, 1)
        const { events } = yield* reader.backend.query({})
        assert.deepStrictEqual(
          seqsOf(events).toSorted((a, b) => a - b),
          [...all(20).toSorted((a, b) => a - b), 99]
        )
      }).pipe(silent)
  )

  it.effect("a plain file that was hidden is put back where the compressed one lacks its last line", () =>
    Effect.gen(function* () {
      const directory = yield* TestDirectory.make
      const { backend, log, plain } = yield* filled(directory, 20)
      yield* log.compress("0 seconds")
      const [file, bytes] = [...plain][0]!
      writeFileSync(path.join(directory, `.${file}.compressed`), Buffer.concat([bytes, Buffer.from(line(99))]))
      yield* log.compress("0 seconds")
      assert.deepStrictEqual(leftOf(directory), [])
      assert.include(seqsOf((yield* backend.query({})).events), 99)
      assert.strictEqual(segmentsOf(directory).length, 1)
    })
  )
})

describe("damage of compressed segments", () => {
  it.effect(
    "where any byte is changed, the lines of one frame are lost at most, and counted",
    () =>
      Effect.gen(function* () {
        const source = yield* TestDirectory.make
        const { log } = yield* filled(source, 40)
        yield* log.compress("0 seconds")
        const file = compressedOf(source)[0]!
        const good = readFileSync(path.join(source, file))
        const frame = 2_000
        for (let at = 0; at < good.length; at += 7) {
          const bytes = Buffer.from(good)
          bytes[at] = bytes[at]! ^ (1 + ((at * 37) % 255))
          writeFileSync(path.join(source, file), bytes)
          const reader = yield* openAged({ directory: source, ...small, create: false })
          const { events } = yield* reader.backend.query({})
          const seqs = seqsOf(events)
          assert.isAtLeast(seqs.length, 40 - 4, `byte ${at}`)
          assert.deepStrictEqual(
            seqs,
            all(40).filter((seq) => seqs.includes(seq))
          )
          const { damaged } = yield* reader.log.status
          if (seqs.length < 40) {
            assert.isAtLeast(damaged.lines, 1)
            assert.isAtMost(damaged.bytes, frame)
            assert.isAtLeast(damaged.bytes, (40 - seqs.length) * 400)
          }
        }
      }).pipe(Effect.scoped, silent),
    { timeout: 120_000 }
  )

  it.effect("where any bit is changed, all frames but one are found", () =>
    Effect.gen(function* () {
      const directory = yield* TestDirectory.make
      const { log } = yield* filled(directory, 20)
      yield* log.compress("0 seconds")
      const good = readFileSync(path.join(directory, compressedOf(directory)[0]!))
      const layoutOf = (bytes: Buffer): Frames.Layout => {
        const layout = Frames.read(bytes.length, (from, length) => bytes.subarray(from, from + length))
        assert(typeof layout !== "string")
        return layout
      }
      const contents = (bytes: Buffer, { lengths, offsets, starts }: Frames.Layout): Array<string> =>
        starts.map((start, index) =>
          Frames.decompress(
            bytes.subarray(start, start + lengths[index]!),
            offsets[index + 1]! - offsets[index]!
          ).toString("latin1")
        )
      const expected = contents(good, layoutOf(good))
      for (let bit = 0; bit < 8 * good.length; bit += 3) {
        const bytes = Buffer.from(good)
        bytes[bit >> 3] = bytes[bit >> 3]! ^ (1 << (bit & 7))
        const found = contents(bytes, layoutOf(bytes))
        const missing = expected.filter((one) => !found.includes(one))
        assert.isAtMost(missing.length, 1, `bit ${bit}`)
      }
    })
  )

  it.effect("where the file is cut anywhere, what is before is read", () =>
    Effect.gen(function* () {
      const directory = yield* TestDirectory.make
      const { log, plain } = yield* filled(directory, 40)
      yield* log.compress("0 seconds")
      const file = compressedOf(directory)[0]!
      const good = readFileSync(path.join(directory, file))
      const bytes = [...plain.values()][0]!
      const layout = Frames.read(good.length, (from, length) => good.subarray(from, from + length))
      assert(typeof layout !== "string")
      for (let size = 0; size <= good.length; size++) {
        const cut = good.subarray(0, size)
        const found = Frames.read(size, (from, length) => cut.subarray(from, from + length))
        assert(typeof found !== "string")
        const whole = layout.starts.filter((start, index) => start + layout.lengths[index]! <= size).length
        assert.deepStrictEqual(found.offsets.slice(0, whole + 1), layout.offsets.slice(0, whole + 1))
        for (let index = 0; index < whole; index++) {
          const at = found.starts[index]!
          const content = Frames.decompress(
            cut.subarray(at, at + found.lengths[index]!),
            found.offsets[index + 1]! - found.offsets[index]!
          )
          assert.isTrue(content.equals(bytes.subarray(found.offsets[index], found.offsets[index + 1])))
        }
      }
    })
  )

  it.effect("what is no compressed segment is passed over and told, and stops neither writing nor reading", () =>
    Effect.gen(function* () {
      const directory = yield* TestDirectory.make
      yield* Effect.scoped(filled(directory, 3))
      const named = (number: number) => `events-0000000${number}-20260101.ndjson.zst`
      symlinkSync("/etc/passwd", path.join(directory, named(6)))
      writeFileSync(path.join(directory, named(7)), zlib.zstdCompressSync(Buffer.alloc(9_000_000, "x")))
      writeFileSync(path.join(directory, "events-1.ndjson.zst"), "")
      const { backend, log } = yield* openAged({ directory, ...small })
      yield* backend.write([first(4)])
      assert.deepStrictEqual(seqsOf((yield* backend.query({})).events), [4, 3, 2, 1])
      const { passedOver } = yield* log.status
      assert.deepStrictEqual(passedOver.map(({ file }) => file).sort(), [
        named(6).slice(0, -4),
        named(7).slice(0, -4),
        "events-1.ndjson.zst"
      ])
      assert.match(passedOver.find(({ file }) => file.includes("00000007"))!.reason, /more than 8 MiB, unpack it/)
    }).pipe(silent)
  )

  it.effect("a segment that zstd itself compressed is read", () =>
    Effect.gen(function* () {
      const directory = yield* TestDirectory.make
      yield* Effect.scoped(filled(directory, 20))
      for (const [index, file] of segmentsOf(directory).slice(0, 2).entries()) {
        const place = path.join(directory, file)
        const bytes = readFileSync(place)
        // A file tells its size; a pipe does not.
        const frame = index === 0 ? zlib.zstdCompressSync(bytes) : yield* Effect.promise(() => zstdCompress(bytes))
        assert.strictEqual(frame[4]! >> 5 === 0, index === 1)
        writeFileSync(`${place}.zst`, frame)
        rmSync(place)
      }
      const { backend } = yield* openAged({ directory, ...small })
      assert.deepStrictEqual(seqsOf((yield* backend.query({})).events), all(20))
    })
  )
})
