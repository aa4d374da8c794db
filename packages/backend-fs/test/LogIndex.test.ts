import { assert, describe, it } from "@effect/vitest"
import type { FileBackend } from "@tidings/backend-fs"
import * as EventJson from "@tidings/core/EventJson"
import type { EventFilter } from "@tidings/core/EventQuery"
import * as Arbitraries from "@tidings/testing/Arbitraries"
import { Arbitrary, Effect, Schema } from "effect"
import * as TestClock from "effect/testing/TestClock"
import {
  appendFileSync,
  cpSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync
} from "node:fs"
import * as path from "node:path"
import { crc32 } from "node:zlib"
import { type Disk, node } from "../src/internal/disk.ts"
import * as Block from "../src/internal/log/index/block.ts"
import { bytesOf } from "../src/internal/log/bytes.ts"
import { Dictionaries, Rows } from "../src/internal/log/index/rows.ts"
import { SliceLines } from "../src/internal/log/index/sliceChecksums.ts"
import { MostBehind } from "../src/internal/log/index/indexer.ts"
import { TemporaryDirectory } from "../src/internal/log/index/sideFiles.ts"
import { Step } from "../src/internal/log/index/segmentBuilder.ts"
import * as LogLine from "../src/internal/log/line.ts"
import { answerOf } from "./LogModel.ts"
import { counting, eventually, type Log, newestOf, open, segmentsOf, withoutChecksums } from "./openLog.ts"
import * as TestDirectory from "./TestDirectory.ts"
import { again, first, origin, seqsOf } from "./writes.ts"

const STEP = 8_192

/** `npm test` takes one of this many bytes of those that `npm run test:slow` takes. */
const SPARSE = process.env["TIDINGS_TESTS"] === "slow" ? 1 : 5

/** Opens a log with small blocks. */
const openSmall = (directory: string, disk: Disk = node) => Effect.provideService(open({ directory }, disk), Step, STEP)

const segment = (directory: string, number: number, text: string): string => {
  const file = path.join(directory, `events-${String(number).padStart(8, "0")}-20260101.ndjson`)
  writeFileSync(file, text, { mode: 0o600 })
  return file
}

const indexesOf = (directory: string): Array<string> =>
  readdirSync(directory)
    .filter((file) => file.endsWith(".index"))
    .sort()

const line = (seq: number, from: string = origin): string => LogLine.encode(LogLine.eventOf(first(seq, {}, from)))

/** Lines of series of which some are counted again. */
const linesOf = (from: number, to: number): string => {
  let text = ""
  for (let seq = from; seq <= to; seq++) {
    text += line(seq)
    if (seq % 7 === 0) text += LogLine.encode(LogLine.eventOf(again(first(seq - 3), seq)))
  }
  return text
}

const whole = (maximum: number) => Arbitrary.schema(Schema.Int.check(Schema.isBetween({ minimum: 0, maximum })))

/** The rows of some lines, with the texts of their dictionaries in place of the numbers. */
const rowsOf = (text: string, format: LogLine.Format, isStrict: boolean) => {
  const bytes = Buffer.from(text)
  const rows = new Rows(new Dictionaries([0, 0, 0, 0, 0, 0]))
  let damaged = 0
  rows.addLines(bytes, bytes.length, 5_000, format, isStrict, (lost) => {
    damaged += lost
  })
  const entries = rows.dictionaries.all.map((one) => one.entries(false))
  const column = (number: number) => [...rows.columns[number]!.subarray(0, rows.count)]
  const told = (number: number, dictionary: number) => column(number).map((id) => entries[dictionary]![id - 1] ?? id)
  return {
    damaged,
    flags: rows.flags,
    reason: told(Block.COLUMN.reason, Block.DICTIONARY.reason),
    source: told(Block.COLUMN.source, Block.DICTIONARY.source).map((entry) => JSON.parse(String(entry)) as unknown),
    object: told(Block.COLUMN.object, Block.DICTIONARY.object).map((entry) => JSON.parse(String(entry)) as unknown),
    namespace: told(Block.COLUMN.namespace, Block.DICTIONARY.namespace),
    context: told(Block.COLUMN.context, Block.DICTIONARY.context),
    origin: told(Block.COLUMN.origin, Block.DICTIONARY.origin),
    name: column(Block.COLUMN.name),
    last: column(Block.COLUMN.last),
    seq: column(Block.COLUMN.seq),
    upTo: column(Block.COLUMN.upTo),
    start: column(Block.COLUMN.start)
  }
}

describe("rows of lines", () => {
  it.effect.prop(
    "the parts of a line with a checksum say what decoding it says",
    { events: Arbitrary.array(Arbitraries.event, { minLength: 1, maxLength: 4 }) },
    ({ events }) =>
      Effect.sync(() => {
        const text = events.map(LogLine.encode).join("")
        const { damaged, ...rows } = rowsOf(text, "checked", false)
        assert.strictEqual(damaged, 0)
        assert.deepStrictEqual(
          rows.seq,
          events.map(({ id }) => id.seq)
        )
        const { damaged: _, ...strict } = rowsOf(text, "checked", true)
        assert.deepStrictEqual(rows, strict)
      }),
    { arbitrary: { runs: 300, size: 20 } }
  )

  it.effect.prop(
    "lines of the first release give the same rows",
    { events: Arbitrary.array(Arbitraries.event, { minLength: 1, maxLength: 3 }) },
    ({ events }) =>
      Effect.sync(() => {
        const plain = rowsOf(events.map((event) => `${EventJson.encode(event)}\n`).join(""), "plain", false)
        const { start: _, ...checked } = rowsOf(events.map(LogLine.encode).join(""), "checked", false)
        const { start: __, ...rest } = plain
        assert.deepStrictEqual(rest, checked)
      }),
    { arbitrary: { runs: 100, size: 20 } }
  )

  it.effect.prop(
    "the checksums of many lines are right together when each is right, and not when one bit is another",
    {
      events: Arbitrary.array(Arbitraries.event, { minLength: 1, maxLength: 6 }),
      before: whole(0xffffffff),
      at: whole(1_000_000),
      bit: whole(7)
    },
    ({ at, before, bit, events }) =>
      Effect.sync(() => {
        const bytes = Buffer.from(events.map(LogLine.encode).join(""))
        const lines = new SliceLines()
        // Few bytes are checked line by line.
        const many = Buffer.from("\n".repeat(65_536))
        lines.find(bytesOf(many), many.length, 0, 0)
        const find = () => lines.find(bytesOf(bytes), bytes.length, before, crc32(bytes, before))
        const isShort = events.every((event) => Buffer.from(LogLine.encode(event)).length < 8_192)
        assert.strictEqual(find(), isShort)
        assert.strictEqual(lines.count, events.length)
        assert.strictEqual(lines.ends[lines.count - 1], bytes.length - 1)
        bytes[at % bytes.length]! ^= 1 << bit
        assert.isFalse(find())
      }),
    { arbitrary: { runs: 300, size: 20 } }
  )

  it("a damaged line among good ones costs no other", () => {
    const lines = Array.from({ length: 12 }, (_, index) => line(index + 1))
    const changed = lines.map((one, index) => (index === 5 ? one.replace('"type":"', '"typo":"') : one))
    const { damaged, seq } = rowsOf(changed.join(""), "checked", false)
    assert.strictEqual(damaged, lines[5]!.length - 1)
    assert.deepStrictEqual(seq, [1, 2, 3, 4, 5, 7, 8, 9, 10, 11, 12])
  })

  it("a line of another program with a right checksum and no object is no row", () => {
    const valid = line(1)
    const other = JSON.stringify({ ...JSON.parse(valid), involvedObject: {}, checksum: undefined })
    const checksum = crc32(other).toString(16).padStart(8, "0")
    const foreign = `${other.slice(0, 46)},"checksum":"${checksum}"${other.slice(46)}\n`
    const { damaged, seq } = rowsOf(valid + foreign + line(2), "checked", false)
    assert.isAbove(damaged, 0)
    assert.deepStrictEqual(seq, [1, 2])
  })

  it("a line of which any byte was changed has no row", () => {
    const whole = line(1)
    const bytes = Buffer.from(whole)
    for (let at = 0; at < bytes.length - 1; at++) {
      const changed = Buffer.from(bytes)
      changed[at]! ^= 1
      const { damaged, seq } = rowsOf(changed.toString("latin1"), "checked", false)
      assert.deepStrictEqual(seq, [], String(at))
      assert.isAbove(damaged, 0)
    }
  })
})

describe("side files", () => {
  const text = linesOf(1, 60)

  it.effect("a query of a large log leaves a side file behind, with the permissions of a segment", () =>
    Effect.gen(function* () {
      const directory = yield* TestDirectory.make
      const { backend } = yield* openSmall(directory)
      segment(directory, 1, linesOf(1, 40))
      segment(directory, 2, linesOf(41, 80))
      yield* backend.query({ limit: 1 })
      assert.deepStrictEqual(indexesOf(directory), ["events-00000001-20260101.index", "events-00000002-20260101.index"])
      assert.strictEqual(statSync(path.join(directory, indexesOf(directory)[0]!)).mode & 0o777, 0o600)
      assert.deepStrictEqual(
        readdirSync(directory).filter((file) => file.startsWith(".events")),
        []
      )
    })
  )

  it.effect("a query leaves a block of few lines where the segment is short, and of more where it is long", () =>
    Effect.gen(function* () {
      const directory = yield* TestDirectory.make
      const few = line(1)
      const file = segment(directory, 1, few)
      const ask = Effect.scoped(
        Effect.flatMap(Effect.provideService(open({ directory }), Step, 64 * few.length), ({ backend }) =>
          backend.query({ limit: 1 })
        )
      )
      const size = () => indexesOf(directory).map((name) => statSync(path.join(directory, name)).size)[0] ?? 0
      yield* ask
      const short = size()
      assert.isAbove(short, 0)
      appendFileSync(file, linesOf(2, 4_000))
      yield* ask
      const long = size()
      assert.isAbove(long, short)
      appendFileSync(file, line(4_001))
      assert.strictEqual((yield* ask).totalCount, 4_001)
      assert.strictEqual(size(), long)
      appendFileSync(file, linesOf(4_002, 4_010))
      assert.strictEqual((yield* ask).totalCount, 4_010)
      assert.isAbove(size(), long)
    })
  )

  it.effect("with a side file, a query reads only the lines that it shows", () =>
    Effect.gen(function* () {
      const directory = yield* TestDirectory.make
      const file = segment(directory, 1, text)
      const { backend } = yield* openSmall(directory)
      yield* backend.query({ limit: 1 })
      let read = 0
      const names = new Map<number, string>()
      const disk: Disk = {
        ...node,
        openToRead: (path) => {
          const opened = node.openToRead(path)
          names.set(opened, path)
          return opened
        },
        read: (opened, into, offset, length, position) => {
          const found = node.read(opened, into, offset, length, position)
          if (names.get(opened) === file) read += found
          return found
        }
      }
      const again = yield* openSmall(directory, disk)
      const page = yield* again.backend.query({ limit: 2, reason: "WorkflowStepCompleted" })
      assert.strictEqual(page.totalCount, 60)
      assert.isBelow(read, STEP)
    })
  )

  it.effect(
    "a side file with any byte changed is made again, and no answer is wrong",
    () =>
      Effect.gen(function* () {
        const directory = yield* TestDirectory.make
        segment(directory, 1, text)
        const { backend } = yield* openSmall(directory)
        const good = yield* backend.query({})
        const file = path.join(directory, indexesOf(directory)[0]!)
        const bytes = readFileSync(file)
        // Each byte of the headers and the ends, and some of the rest.
        for (let at = 0; at < bytes.length; at += at % 997 < 420 ? 3 * SPARSE : 31 * SPARSE) {
          const damaged = Buffer.from(bytes)
          damaged[at]! ^= 1 << (at & 7)
          writeFileSync(file, damaged)
          const other = yield* openSmall(directory)
          for (const filter of [{}, { reason: "WorkflowStepCompleted" }, { id: `${origin}.7` }]) {
            const page = yield* other.backend.query(filter)
            const expected = "id" in filter ? good.events.filter(({ id }) => id.seq === 7) : good.events
            assert.deepStrictEqual(page.events, expected, String(at))
            assert.strictEqual(page.totalCount, expected.length, String(at))
          }
        }
      }).pipe(Effect.scoped),
    60_000
  )

  it.effect("a side file cut at any length is made again", () =>
    Effect.gen(function* () {
      const directory = yield* TestDirectory.make
      segment(directory, 1, text)
      const { backend } = yield* openSmall(directory)
      const good = yield* backend.query({})
      const file = path.join(directory, indexesOf(directory)[0]!)
      const bytes = readFileSync(file)
      for (let length = 0; length < bytes.length; length += 101) {
        writeFileSync(file, bytes.subarray(0, length))
        const other = yield* openSmall(directory)
        assert.deepStrictEqual((yield* other.backend.query({})).events, good.events, String(length))
      }
    }).pipe(Effect.scoped)
  )

  it.effect("a link, a directory or a file of another program in place of a side file does no harm", () =>
    Effect.gen(function* () {
      const directory = yield* TestDirectory.make
      segment(directory, 1, text)
      const file = path.join(directory, "events-00000001-20260101.index")
      const ways: ReadonlyArray<() => void> = [() => mkdirSync(file), () => writeFileSync(file, "notes of somebody\n")]
      for (const place of ways) {
        rmSync(file, { recursive: true, force: true })
        place()
        const { backend } = yield* openSmall(directory)
        assert.strictEqual((yield* backend.query({ limit: 1 })).totalCount, 60)
        assert.strictEqual((yield* backend.query({ limit: 1 })).totalCount, 60)
      }
    })
  )

  it.effect("two processes that index one log at once agree with it", () =>
    Effect.gen(function* () {
      const directory = yield* TestDirectory.make
      yield* openSmall(directory)
      for (let round = 1; round <= 20; round++) {
        const file = segment(directory, 1, linesOf(1, 20 * round))
        const logs = yield* Effect.all([openSmall(directory), openSmall(directory), openSmall(directory)])
        const pages = yield* Effect.all(
          logs.map(({ backend }) => backend.query({})),
          { concurrency: "unbounded" }
        )
        for (const { events } of pages) assert.deepStrictEqual(events, answerOf(directory, {}))
        appendFileSync(file, linesOf(20 * round + 1, 20 * round + 15))
        const after = yield* Effect.all(
          logs.map(({ backend }) => backend.query({})),
          { concurrency: "unbounded" }
        )
        for (const { events } of after) assert.deepStrictEqual(events, answerOf(directory, {}))
      }
    })
  )

  it.effect("a side file of a segment that was edited without another size is made again", () =>
    Effect.gen(function* () {
      const directory = yield* TestDirectory.make
      const file = segment(directory, 1, text)
      segment(directory, 2, linesOf(61, 90))
      yield* Effect.flatMap(openSmall(directory), ({ backend }) => backend.query({}))
      const edited = text.replace(line(5), line(5, "e".repeat(32)))
      assert.strictEqual(edited.length, text.length)
      writeFileSync(file, edited)
      utimesSync(file, 1, 1)
      const { backend } = yield* openSmall(directory)
      const { events } = yield* backend.query({})
      assert.deepStrictEqual(events, answerOf(directory, {}))
      assert.isTrue(events.some(({ id }) => id.origin === "e".repeat(32)))
    })
  )

  /** Three segments, of which the later ones count series of the earlier ones again. */
  const threeSegments = (directory: string): ReadonlyArray<string> => {
    const againOf = (from: number, to: number, upTo: number): string => {
      let text = ""
      for (let seq = from; seq <= to; seq++) text += LogLine.encode(LogLine.eventOf(again(first(seq), upTo + seq)))
      return text
    }
    return [
      segment(directory, 1, linesOf(1, 60)),
      segment(directory, 2, againOf(20, 40, 100) + linesOf(161, 190)),
      segment(directory, 3, againOf(10, 30, 200) + linesOf(291, 320))
    ]
  }

  let changed = 1

  /** Flips a bit of the line of a series, so that the rows after it have other numbers. */
  const damage = (file: string, seq: number): void => {
    const text = readFileSync(file, "latin1")
    const at = text.indexOf(line(seq))
    assert.notStrictEqual(at, -1)
    writeFileSync(file, `${text.slice(0, at + 100)}~${text.slice(at + 101)}`, "latin1")
    utimesSync(file, changed, changed++)
  }

  const agree = ({ backend }: Log, directory: string, filter: EventFilter = {}) =>
    Effect.gen(function* () {
      const page = yield* backend.query(filter)
      assert.deepStrictEqual(page.events, answerOf(directory, filter))
      assert.strictEqual(page.totalCount, page.events.length)
      assert.strictEqual((yield* backend.query({ ...filter, limit: 0 })).totalCount, page.events.length)
    })

  it.effect(
    "programs that have read a line which is changed then, and others, agree with the log, whichever side files are gone",
    () =>
      Effect.gen(function* () {
        for (const gone of [[], [0], [1], [0, 1]]) {
          for (const [at, isNewFirst] of [
            [0, false],
            [0, true],
            [1, false],
            [1, true]
          ] as const) {
            const directory = yield* TestDirectory.make
            const files = threeSegments(directory)
            const [one, two] = [yield* openSmall(directory), yield* openSmall(directory)]
            yield* agree(one, directory)
            yield* agree(two, directory)
            for (const index of gone) rmSync(files[index]!.replace(/ndjson$/, "index"))
            damage(files[at]!, at === 0 ? 5 : 165)
            appendFileSync(files[2]!, linesOf(321, 340))
            if (isNewFirst) yield* agree(yield* openSmall(directory), directory)
            yield* agree(one, directory)
            yield* agree(yield* openSmall(directory), directory)
            yield* agree(two, directory, { reason: "WorkflowStepCompleted" })
            yield* agree(two, directory)
            yield* agree(yield* openSmall(directory), directory)
          }
        }
      })
  )

  it.effect("programs of which one has read that a line is no event use the side files that it makes", () =>
    Effect.gen(function* () {
      const directory = yield* TestDirectory.make
      const files = threeSegments(directory)
      // Its checksum is right, so that only decoding it tells.
      const broken = withoutChecksums(line(5)).replace('"count":1,', '"count":0,').trimEnd()
      const checksum = crc32(broken).toString(16).padStart(8, "0")
      const checked = `${broken.slice(0, 47)}"checksum":"${checksum}",${broken.slice(47)}\n`
      writeFileSync(files[0]!, readFileSync(files[0]!, "utf8").replace(line(5), checked))
      const [one, two] = [yield* openSmall(directory), yield* openSmall(directory)]
      for (const { backend } of [one, two]) yield* backend.query({ limit: 1 })
      yield* agree(one, directory)
      const identities = () => indexesOf(directory).map((file) => statSync(path.join(directory, file)).ino)
      const before = identities()
      for (let round = 0; round < 3; round++) {
        assert.strictEqual((yield* two.backend.query({ limit: 1 })).totalCount, answerOf(directory, {}).length)
        yield* agree(one, directory)
      }
      yield* agree(two, directory)
      yield* agree(yield* openSmall(directory), directory)
      assert.deepStrictEqual(identities(), before)
    })
  )

  it.effect("a segment that was changed before the next one was begun is compared with all that is indexed of it", () =>
    Effect.gen(function* () {
      for (const isRunning of [true, false]) {
        const directory = yield* TestDirectory.make
        const file = segment(directory, 1, text)
        const before = yield* openSmall(directory)
        yield* agree(before, directory)
        damage(file, 5)
        // As an append beside it would leave it.
        appendFileSync(file, line(61))
        segment(directory, 2, linesOf(62, 90))
        const log = isRunning ? before : yield* openSmall(directory)
        assert.strictEqual((yield* log.backend.query({ limit: 0 })).totalCount, answerOf(directory, {}).length)
        yield* agree(log, directory)
      }
    })
  )

  it.effect("a side file that was lost is made again alone, also where older segments were removed", () =>
    Effect.gen(function* () {
      for (const lost of [0, 1, 2]) {
        const directory = yield* TestDirectory.make
        segment(directory, 1, linesOf(401, 440))
        const [, second, third] = threeSegments(directory)
        const fourth = segment(directory, 4, linesOf(341, 370))
        yield* Effect.scoped(Effect.flatMap(openSmall(directory), (log) => agree(log, directory)))
        rmSync(path.join(directory, segmentsOf(directory)[0]!))
        const indexes = [second!, third!, fourth].map((file) => file.replace(/ndjson$/, "index"))
        const identities = () => indexes.map((file) => statSync(file).ino)
        const before = identities()
        rmSync(indexes[lost]!)
        yield* agree(yield* openSmall(directory), directory)
        const after = identities()
        for (const [at, identity] of before.entries())
          if (at !== lost) assert.strictEqual(after[at], identity, `${lost}`)
      }
    })
  )

  it.effect("a program that starts reads nothing of complete segments", () =>
    Effect.gen(function* () {
      const directory = yield* TestDirectory.make
      for (let number = 1; number <= 20; number++) {
        segment(directory, number, linesOf(60 * number, 60 * number + 30))
      }
      yield* Effect.scoped(Effect.flatMap(openSmall(directory), (log) => agree(log, directory)))
      const opened: Array<string> = []
      const disk: Disk = {
        ...node,
        openToRead: (file) => {
          opened.push(path.basename(file))
          return node.openToRead(file)
        }
      }
      const { backend } = yield* openSmall(directory, disk)
      assert.strictEqual((yield* backend.query({ limit: 0 })).totalCount, answerOf(directory, {}).length)
      const newest = path.basename(newestOf(directory))
      assert.deepStrictEqual(
        opened.filter((file) => file.endsWith(".ndjson") && file !== newest),
        []
      )
    })
  )

  it.effect("a copy of a log uses the side files that were copied with it", () =>
    Effect.gen(function* () {
      const parent = yield* TestDirectory.make
      const directory = path.join(parent, "log")
      const { backend } = yield* openSmall(directory)
      segment(directory, 1, text)
      segment(directory, 2, linesOf(61, 90))
      const good = yield* backend.query({})
      const copy = path.join(parent, "copy")
      cpSync(directory, copy, { recursive: true, preserveTimestamps: false })
      const files = () => indexesOf(copy).map((file) => statSync(path.join(copy, file)).ino)
      const before = files()
      const other = yield* openSmall(copy)
      assert.deepStrictEqual((yield* other.backend.query({})).events, good.events)
      assert.deepStrictEqual(files(), before)
      // All bytes are compared once, which is noted.
      let read = 0
      const disk: Disk = {
        ...node,
        read: (...parameters) => {
          const found = node.read(...parameters)
          read += found
          return found
        }
      }
      const third = yield* openSmall(copy, disk)
      assert.deepStrictEqual((yield* third.backend.query({ limit: 1 })).totalCount, good.totalCount)
      assert.isBelow(read, statSync(path.join(copy, segmentsOf(copy)[0]!)).size)
    })
  )

  it.effect("a reader that may not write keeps side files of its own, and removes them", () =>
    Effect.gen(function* () {
      const directory = yield* TestDirectory.make
      yield* openSmall(directory)
      segment(directory, 1, text)
      segment(directory, 2, linesOf(61, 90))
      const before = readdirSync(directory)
      const refuse = () => {
        throw Object.assign(new Error("EROFS: on purpose"), { code: "EROFS" })
      }
      const temporary = yield* TestDirectory.make
      yield* Effect.scoped(
        Effect.gen(function* () {
          const { backend } = yield* openSmall(directory, {
            ...node,
            openToAppend: refuse,
            create: refuse,
            append: refuse
          })
          assert.deepStrictEqual((yield* backend.query({})).events, answerOf(directory, {}))
          const [own] = readdirSync(temporary)
          assert.strictEqual(readdirSync(path.join(temporary, own!)).length, 2)
          assert.strictEqual(statSync(path.join(temporary, own!)).mode & 0o777, 0o700)
          appendFileSync(newestOf(directory), linesOf(91, 130))
          assert.deepStrictEqual((yield* backend.query({})).events, answerOf(directory, {}))
        })
      ).pipe(Effect.provideService(TemporaryDirectory, temporary))
      assert.deepStrictEqual(readdirSync(temporary), [])
      assert.deepStrictEqual(readdirSync(directory), before)
    })
  )

  it.effect("a log is read where there is no room for side files anywhere", () =>
    Effect.gen(function* () {
      const directory = yield* TestDirectory.make
      yield* openSmall(directory)
      segment(directory, 1, text)
      const full = () => {
        throw Object.assign(new Error("ENOSPC: on purpose"), { code: "ENOSPC" })
      }
      const { backend } = yield* openSmall(directory, { ...node, create: full, append: full }).pipe(
        Effect.provideService(TemporaryDirectory, path.join(directory, "nowhere"))
      )
      assert.deepStrictEqual((yield* backend.query({})).events, answerOf(directory, {}))
      appendFileSync(newestOf(directory), linesOf(61, 100))
      assert.deepStrictEqual((yield* backend.query({})).events, answerOf(directory, {}))
    })
  )

  it.effect(
    "how far it is is told to whoever opened the log, until all is indexed, and only while there is something to do",
    () =>
      Effect.gen(function* () {
        const directory = yield* TestDirectory.make
        yield* openSmall(directory)
        for (let number = 1; number <= 3; number++) segment(directory, number, linesOf(100 * number, 100 * number + 80))
        const told: Array<FileBackend.Progress> = []
        const { backend } = yield* Effect.provideService(
          open({ directory, onProgress: (progress) => Effect.sync(() => void told.push(progress)) }),
          Step,
          STEP
        )
        yield* backend.query({ limit: 1 })
        const totalBytes = segmentsOf(directory).reduce(
          (sum, file) => sum + statSync(path.join(directory, file)).size,
          0
        )
        assert.isAbove(told.length, totalBytes / STEP / 4)
        assert.deepStrictEqual(
          [...new Set(told.map(({ task, totalBytes }) => `${task} ${totalBytes}`))],
          [`index ${totalBytes}`]
        )
        const bytes = told.map((progress) => progress.bytes)
        assert.deepStrictEqual(
          bytes,
          bytes.toSorted((a, b) => a - b)
        )
        assert.strictEqual(bytes.at(-1), totalBytes)
        told.length = 0
        yield* backend.query({ limit: 1 })
        assert.deepStrictEqual(told, [])
      })
  )

  it.live("a writer indexes what it appends, in the background and when it closes", () =>
    Effect.gen(function* () {
      const directory = path.join(yield* TestDirectory.make, "log")
      yield* Effect.scoped(
        Effect.gen(function* () {
          const { backend } = yield* openSmall(directory)
          for (let seq = 1; seq <= 40; seq++) yield* backend.write([first(seq)])
          yield* eventually(() => indexesOf(directory).length === 1)
        })
      )
      const size = statSync(path.join(directory, indexesOf(directory)[0]!)).size
      assert.isAbove(size, 0)
      const log = counting()
      const { backend } = yield* openSmall(directory, log.disk)
      assert.deepStrictEqual(seqsOf((yield* backend.query({ limit: 2 })).events), [40, 39])
    })
  )

  it.effect(
    "a writer that writes faster than it indexes in the background leaves a bounded part without an index",
    () =>
      Effect.gen(function* () {
        const directory = path.join(yield* TestDirectory.make, "log")
        const behind = 262_144
        const { backend } = yield* Effect.provideService(openSmall(directory), MostBehind, behind)
        for (let seq = 1; seq <= 5_000; seq += 100) {
          yield* backend.write(Array.from({ length: 100 }, (_, offset) => first(seq + offset)))
        }
        for (let milliseconds = 0; milliseconds < 1_000; milliseconds++) yield* TestClock.adjust("1 millis")
        let missing = 0
        const reader = yield* Effect.provideService(
          open({ directory, onProgress: ({ totalBytes }) => Effect.sync(() => (missing = totalBytes)) }),
          Step,
          STEP
        )
        yield* reader.backend.query({ limit: 1 })
        assert.isAbove(statSync(newestOf(directory)).size, 8 * behind)
        assert.isBelow(missing, behind + STEP)
      })
  )

  const refused = () => {
    throw Object.assign(new Error("EROFS: on purpose"), { code: "EROFS" })
  }

  for (const [who, disk] of [
    ["and noted", node],
    ["also by who cannot note it", { ...node, create: refused, append: refused, lock: refused }]
  ] as const) {
    it.effect(`lines that are gone from the end of a complete segment are told, ${who}`, () =>
      Effect.gen(function* () {
        const directory = yield* TestDirectory.make
        yield* openSmall(directory)
        const file = segment(directory, 1, linesOf(1, 90))
        segment(directory, 2, linesOf(91, 180))
        const gaps = (disk: Disk) =>
          Effect.flatMap(openSmall(directory, disk), ({ backend }) =>
            Effect.map(backend.query({ limit: 1 }), ({ coverage }) => coverage[0]!.gaps.map(({ reason }) => reason))
          )
        assert.deepStrictEqual(yield* gaps(node), [])
        assert.lengthOf(indexesOf(directory), 2)
        const text = readFileSync(file, "utf8")
        writeFileSync(file, text.slice(0, text.slice(0, -1).lastIndexOf("\n") + 1))
        const told = yield* gaps(disk)
        assert.lengthOf(told, 1)
        assert.match(told[0]!, /^lines of segment 1 of the log are gone: it was cut or replaced; found at \d{4}-/)
        assert.lengthOf(yield* gaps(disk), 1)
      })
    )
  }

  it.effect("lines that come to a complete segment late are no loss", () =>
    Effect.gen(function* () {
      const directory = yield* TestDirectory.make
      yield* openSmall(directory)
      const file = segment(directory, 1, linesOf(1, 90))
      segment(directory, 2, linesOf(91, 180))
      const gaps = Effect.flatMap(openSmall(directory), ({ backend }) =>
        Effect.map(backend.query({ limit: 1 }), ({ coverage }) => coverage[0]!.gaps)
      )
      yield* gaps
      appendFileSync(file, line(200))
      assert.deepStrictEqual(yield* gaps, [])
    })
  )
})
