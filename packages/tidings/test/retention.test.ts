// retention and prune, on event logs on disk.
import * as FileBackend from "@tidings/backend-fs/FileBackend"
import { Backend } from "@tidings/core/Backend"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { TestClock } from "effect/testing"
import { mkdtempSync, readFileSync, readdirSync, rmSync, statSync, symlinkSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { backend } from "../src/internal/cli/tidings.ts"
import { memory, run, write } from "./harness.ts"

const directoryOfTest = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "tidings-retention-"))),
  (made) => Effect.sync(() => rmSync(made, { recursive: true, force: true }))
)

/** A log of one event in each of four segments. */
const world = Effect.gen(function* () {
  const directory = join(yield* directoryOfTest, "log")
  const layer = FileBackend.layer({ directory, segmentSize: 1, console: false, retention: { maxBytes: "none" } })
  yield* TestClock.setTime(Date.UTC(2026, 0, 1))
  yield* Effect.provide(
    Effect.gen(function* () {
      const store = yield* Backend
      for (let seq = 1; seq <= 4; seq++) yield* store.write([write(seq, { at: `2026-01-01T00:00:0${seq}Z` })])
    }),
    layer
  )
  const tidings = (...args: ReadonlyArray<string>) => run(backend, [...args, "--directory", directory])
  return { directory, tidings, segments: () => readdirSync(directory).filter((file) => file.endsWith(".ndjson")) }
})

describe("retention", () => {
  it.effect("tells of a directory that is a link to nowhere, as every verb that reads does", () =>
    Effect.gen(function* () {
      const link = join(yield* directoryOfTest, "link")
      symlinkSync(join(link, "..", "nowhere"), link)
      for (const verb of [["retention"], ["list"]]) {
        const { code, err } = yield* run(backend, [...verb, "--directory", link])
        assert.notStrictEqual(code, 0)
        assert.match(err.join("\n"), /link is a symbolic link to .*nowhere, which does not exist/)
      }
    })
  )

  it.effect("shows the limits of the log, and sets those that are named", () =>
    Effect.gen(function* () {
      const { tidings } = yield* world
      const shown = yield* tidings("retention")
      assert.deepStrictEqual(shown.out.slice(0, 3), ["max age:     90d", "max size:    none", "max events:  100000000"])
      assert.match(shown.out[3]!, /^now: {9}\d.* in 4 segments$/)
      const largest = yield* tidings(
        "retention",
        "--max-age",
        "100000d",
        "--max-size",
        "8191TiB",
        "--max-events",
        "9007199254740991"
      )
      assert.deepStrictEqual(largest.out.slice(0, 3), [
        "max age:     100000d",
        "max size:    8191 TiB",
        "max events:  9007199254740991"
      ])
      assert.deepStrictEqual(shown.err, [])
      const set = yield* tidings("retention", "--max-age", "36h", "--max-size", "1.5GiB", "--max-events", "none")
      assert.deepStrictEqual(set.err, ["applied by the process that records next, or now by tidings prune"])
      assert.deepStrictEqual(set.out.slice(0, 3), ["max age:     36h", "max size:    1.5 GiB", "max events:  none"])
      const { out } = yield* tidings("retention", "-o", "json")
      assert.deepStrictEqual(JSON.parse(out.join("\n")), {
        maxAgeSeconds: 129_600,
        maxBytes: 1.5 * 1024 ** 3,
        maxEvents: null,
        removed: null
      })
    })
  )

  it.effect("takes ages and sizes with a fraction, in each of the units that the reference names", () =>
    Effect.gen(function* () {
      const { tidings } = yield* world
      const reference = readFileSync(new URL("../../../docs/reference/command.md", import.meta.url), "utf8")
      const named = /^Ages are numbers of .*?A number alone is\s+refused/ms.exec(reference)![0]
      const written = [...named.matchAll(/`([\d.]+[A-Za-z]+)`/g)].map(([, one]) => one!)
      assert.isTrue(["1.5d", "1.5GB"].every((one) => written.includes(one)))
      for (const one of [...written.filter((one) => one !== "8192TiB"), "2.5w", "1.5h", "0.5m", "1.5s"]) {
        const flag = /[a-z]$/.test(one) ? "--max-age" : "--max-size"
        assert.strictEqual((yield* tidings("retention", flag, one)).code, 0, one)
      }
      const sizes = [...named.matchAll(/`([KMGT]i?B)`/g)].map(([, unit]) => unit!)
      assert.lengthOf(new Set(sizes), 8)
      for (const unit of sizes) assert.strictEqual((yield* tidings("retention", "--max-size", `1.5${unit}`)).code, 0)
      yield* tidings("retention", "--max-age", "1.5d")
      assert.strictEqual((yield* tidings("retention")).out[0], "max age:     36h")
    })
  )

  it.effect("refuses what is no limit, and says what would be one", () =>
    Effect.gen(function* () {
      const { tidings } = yield* world
      for (const [flag, value, words] of [
        ["--max-age", "long", "an age such as 90d"],
        ["--max-size", "10XB", "a size with its unit such as 10GiB"],
        ["--max-size", "50", "a size with its unit such as 10GiB"],
        ["--max-events", "-1", '--max-events is "-1", expected a whole number, or none'],
        ["--max-events", "1.5", "expected a whole number, or none"],
        ["--max-events", "9007199254740992", "expected a whole number up to 9007199254740991, or none"],
        ["--max-size", "8192TiB", "expected a size of less than 8192TiB, or none"],
        ["--max-age", "15000w", "expected an age of at most 100000d (273 years), or none"],
        ["--max-age", "0d", "would keep nothing: give an age such as 90d, 12h or 30m, or none for no limit"],
        ["--max-size", "0GiB", "would keep nothing"],
        ["--max-events", "0", "would keep nothing"]
      ] as const) {
        const { code, err } = yield* tidings("retention", `${flag}=${value}`)
        assert.strictEqual(code, 2)
        assert.include(err.join("\n"), words)
      }
    })
  )

  it.effect("shows the size that its limit is compared with, which prune shows too: with side files", () =>
    Effect.gen(function* () {
      const { directory, segments, tidings } = yield* world
      for (const file of segments()) {
        const rest = 1024 - statSync(join(directory, file)).size
        writeFileSync(join(directory, file.replace(".ndjson", ".index")), "x".repeat(rest))
      }
      assert.strictEqual((yield* tidings("retention")).out[3], "now:         4 KiB in 4 segments")
      yield* tidings("retention", "--max-size", "3KiB")
      assert.match((yield* tidings("prune", "--dry-run")).err.join("\n"), /^would remove 1 segment \(1 KiB\)/m)
    })
  )

  it.effect("is for event logs only, and creates none", () =>
    Effect.gen(function* () {
      const { layer } = yield* memory()
      for (const verb of ["retention", "prune"]) {
        const { code, err } = yield* run(layer, [verb])
        assert.strictEqual(code, 1)
        assert.include(err.join("\n"), `${verb} is for an event log, and this is a store of mode memory`)
        const directory = join(yield* directoryOfTest, "none")
        const absent = yield* run(backend, [verb, "--directory", directory])
        assert.include(absent.err.join("\n"), `there is no event log in ${directory} yet`)
      }
    })
  )
})

describe("segments without a meta file", () => {
  it.effect("are not called an absent log by what reads them", () =>
    Effect.gen(function* () {
      const { directory, tidings } = yield* world
      rmSync(join(directory, ".meta.json"))
      for (const verb of ["list", "export", "retention", "compress"]) {
        const { code, err } = yield* tidings(verb)
        assert.strictEqual(code, 4, verb)
        assert.match(err.join("\n"), /\.meta\.json is missing beside the segments of an event log: restore it/)
      }
    })
  )
})

describe("prune", () => {
  it.effect("says which limit the newest segment is beyond by itself, because it always stays", () =>
    Effect.gen(function* () {
      const { segments, tidings } = yield* world
      yield* tidings("retention", "--max-size", "1B")
      assert.match((yield* tidings("prune")).err[1]!, /^removed 3 segments /)
      for (const args of [["prune", "--dry-run"], ["prune"]]) {
        const { err } = yield* tidings(...args)
        assert.match(err[0]!, /^note: the newest segment alone has more than 1 byte.*, and always stays/)
        assert.match(err[1]!, /^nothing can be removed from the event log in /)
      }
      assert.lengthOf(segments(), 1)
    })
  )

  it.effect("shows with --dry-run what it then removes", () =>
    Effect.gen(function* () {
      const { segments, tidings } = yield* world
      assert.include((yield* tidings("prune")).err.join("\n"), "nothing is beyond the limits of the event log in")
      yield* tidings("retention", "--max-events", "2")
      const before = segments()
      const ofDatabase = yield* tidings("prune", "--max-age", "30d")
      assert.strictEqual(ofDatabase.code, 2)
      assert.include(ofDatabase.err.join("\n"), "--max-age is about a database")
      const dry = yield* tidings("prune", "--dry-run")
      assert.deepStrictEqual(segments(), before)
      assert.match(dry.err[0]!, /^would remove 2 segments \([\d.]+ \w+\); without --dry-run they are removed$/)
      const done = yield* tidings("prune")
      assert.deepStrictEqual(done.out, dry.out)
      assert.match(
        done.out[0]!,
        /^events-00000001-20260101\.ndjson {2}.* 1 line, until .*: the log had more than 2 events$/
      )
      assert.match(done.err[0]!, /^removed 2 segments \([\d.]+ \w+\)$/)
      assert.strictEqual(segments().length, 2)
      assert.match(
        (yield* tidings("retention")).out.at(-1)!,
        /^removed: {5}events up to .*: the log had more than 2 events$/
      )
    })
  )
})
