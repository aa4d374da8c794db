import * as FileBackend from "@tidings/backend-fs/FileBackend"
import * as Backend from "@tidings/core/Backend"
import { assert, describe, it } from "@effect/vitest"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import { TestClock } from "effect/testing"
import { mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { backend } from "../src/internal/cli/tidings.ts"
import * as words from "../src/internal/cli/words.ts"
import { moment, run } from "./harness.ts"

/** A log of several segments that are complete, and the command beside it. */
const worldOf = Effect.fnUntraced(function* (segmentSize: number, message: string) {
  const directory = yield* Effect.acquireRelease(
    Effect.sync(() => mkdtempSync(join(tmpdir(), "tidings-compress-"))),
    (made) => Effect.sync(() => rmSync(made, { recursive: true, force: true }))
  )
  yield* TestClock.setTime(Date.now() + 3_600_000)
  const event = {
    involvedObject: { kind: "Workflow", name: "deploy", namespace: "default" },
    reason: "WorkflowExecuted",
    type: "Normal",
    action: "WorkflowExecuted",
    message,
    data: {},
    source: { component: "example" },
    reportingController: "example",
    reportingInstance: "example-0"
  } as const
  const write = Effect.gen(function* () {
    const { write } = yield* Backend.Backend
    for (let seq = 1; seq <= 20; seq++) {
      yield* write([{ id: { origin: "0".repeat(32), seq }, upTo: seq, count: 1, first: seq, last: seq, event }])
    }
  })
  yield* Effect.provide(write, FileBackend.layer({ directory, console: false, segmentSize }))
  const tidings = (...argv: ReadonlyArray<string>) =>
    Effect.provideService(
      run(backend, [...argv, "--directory", directory]),
      ConfigProvider.ConfigProvider,
      ConfigProvider.fromUnknown({})
    )
  return { directory, tidings }
})

const world = worldOf(3_000, "Workflow deploy completed")

describe("compress", () => {
  it.effect("compresses all segments but the newest, and everything is listed as before", () =>
    Effect.gen(function* () {
      const { directory, tidings } = yield* world
      const listed = yield* tidings("list", "-o", "ndjson")
      const early = yield* tidings("compress", "--before", "2h")
      assert.deepStrictEqual(early, { code: 0, out: [], err: [`there is no segment to compress in ${directory}`] })
      const { code, err, out } = yield* tidings("compress")
      const files = readdirSync(directory).filter((file) => file.endsWith(".zst"))
      assert.strictEqual(code, 0)
      assert.isAbove(files.length, 1)
      assert.deepStrictEqual(
        out.slice(1).map((line) => line.split(/ +/)[0]),
        files.sort()
      )
      assert.match(out[0]!, /^FILE +BYTES +BEFORE$/)
      assert.match(err.join(), new RegExp(`^${files.length} segments are compressed, to \\d+% of the size$`))
      assert.deepStrictEqual(yield* tidings("list", "-o", "ndjson"), listed)
    })
  )

  it.effect("prints what it did as JSON, and doctor shows it", () =>
    Effect.gen(function* () {
      const { directory, tidings } = yield* world
      const { out } = yield* tidings("compress", "-o", "json")
      const report = JSON.parse(out.join("\n")) as {
        readonly directory: string
        readonly segments: ReadonlyArray<FileBackend.CompressedSegment>
      }
      assert.strictEqual(report.directory, directory)
      for (const { bytes, file, uncompressedBytes } of report.segments) {
        assert.match(file, /^events-\d{8}-\d{8}\.ndjson\.zst$/)
        assert.isBelow(bytes, uncompressedBytes)
      }
      const doctor = (yield* tidings("doctor")).out.find((line) => line.includes("segments"))
      assert.include(doctor!, `${report.segments.length} of them compressed with`)
    })
  )

  it.effect("shows with --dry-run what it would compress, and changes nothing", () =>
    Effect.gen(function* () {
      const { directory, tidings } = yield* world
      const before = readdirSync(directory)
      const { code, err, out } = yield* tidings("compress", "--dry-run")
      const segments = before.filter((file) => file.endsWith(".ndjson")).slice(0, -1)
      assert.strictEqual(code, 0)
      assert.isAbove(segments.length, 1)
      assert.deepStrictEqual(
        out.map((line) => line.split(/ +/)),
        [["FILE", "BYTES"], ...segments.map((file) => [file, String(statSync(join(directory, file)).size)])]
      )
      assert.match(
        err.join(),
        new RegExp(`^would compress ${segments.length} segments \\(.+\\); without --dry-run they are compressed$`)
      )
      const json = JSON.parse((yield* tidings("compress", "--dry-run", "-o", "json")).out.join("\n")) as {
        readonly dryRun: boolean
        readonly segments: ReadonlyArray<{ readonly file: string }>
      }
      assert.isTrue(json.dryRun)
      assert.deepStrictEqual(
        json.segments.map(({ file }) => file),
        segments
      )
      const early = yield* tidings("compress", "--dry-run", "--before", "2h")
      assert.deepStrictEqual(early, { code: 0, out: [], err: [`there is no segment to compress in ${directory}`] })
      assert.deepStrictEqual(
        readdirSync(directory).filter((file) => !file.endsWith(".index")),
        before.filter((file) => !file.endsWith(".index"))
      )
      const { out: done } = yield* tidings("compress")
      assert.strictEqual(done.length, segments.length + 1)
    })
  )

  it.effect("says at a terminal how far it is, within a segment too", () =>
    Effect.gen(function* () {
      const { tidings } = yield* worldOf(3_000_000, "message ".repeat(25_000))
      const shown: Array<string> = []
      const fiber = yield* Effect.forkChild(
        tidings("compress").pipe(
          Effect.provideService(words.Attended, () => true),
          Effect.provideService(words.Overwrite, (text) => void shown.push(text))
        )
      )
      while (fiber.pollUnsafe() === undefined) {
        yield* TestClock.adjust("300 millis")
        yield* moment
      }
      const { err } = yield* Fiber.join(fiber)
      assert.deepStrictEqual(err, ["1 segment is compressed, to 1% of the size"])
      const told = shown.filter((text) => /compressing segments: [\d.]+ [KM]iB of [\d.]+ MiB$/.test(text))
      assert.isAtLeast(new Set(told).size, 3, shown.join("\n"))
      assert.notInclude(shown.at(-1)!, "compressing")
    })
  )

  it.effect("says which lock it is that is no lock", () =>
    Effect.gen(function* () {
      const { directory, tidings } = yield* world
      writeFileSync(join(directory, ".compress.lock"), "not empty")
      const { code, err } = yield* tidings("compress")
      assert.strictEqual(code, 4)
      assert.include(
        err.join(" "),
        "the lock of the compression of an event log is an empty file, and this one is not: move it away"
      )
    })
  )

  it.effect("says of another store that it is no event log", () =>
    Effect.gen(function* () {
      const { code, err } = yield* run(Backend.layerMemory(), ["compress"])
      assert.strictEqual(code, 1)
      assert.match(err.join(" "), /compress is for an event log, and this is a store of mode memory/)
    })
  )
})
