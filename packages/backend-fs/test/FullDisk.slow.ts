import { assert, describe, it } from "@effect/vitest"
import { Effect, References, type Scope } from "effect"
import { spawnSync } from "node:child_process"
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import * as path from "node:path"
import * as LogLine from "../src/internal/log/line.ts"
import { open, run, segmentsOf } from "./openLog.ts"
import * as TestDirectory from "./TestDirectory.ts"
import { start, startWithin, type Writer } from "./writerProcess.ts"

const DISK = 3_000_000
const BALLAST = 2_000_000
const SEGMENT = 60_000
const WRITERS = 3
/** Files that a process may have open: a few more than it needs. */
const FILES = 256

/** Batches after which a writer is sure to be going on. */
const SOME = 8

const mounts = (directory: string): boolean =>
  spawnSync("mount", ["-t", "tmpfs", "-o", `size=${DISK}`, "tidings", directory], { stdio: "ignore" }).status === 0

/** A file system of a few megabytes; undefined where this machine allows no mount. */
const smallDisk = Effect.gen(function* () {
  const volume = path.join(yield* TestDirectory.make, "volume")
  mkdirSync(volume)
  const isMounted = yield* Effect.acquireRelease(
    Effect.sync(() => mounts(volume)),
    (isMounted) => Effect.sync(() => isMounted && spawnSync("umount", ["--lazy", volume], { stdio: "ignore" }))
  )
  return isMounted ? volume : undefined
})

const canMount = process.getuid?.() === 0 && spawnSync("unshare", ["--mount", "true"]).status === 0
if (!canMount) {
  console.error("*** NOT TESTED ON A FULL FILE SYSTEM: this machine allows no mount (run the tests as root) ***")
  if (process.env["CI"] !== undefined) throw new Error("CI has to run the tests of full disks as root")
}

const originOf = (index: number): string => String(index).padStart(32, "0")

const batchesOf = ({ said }: Writer): ReadonlyArray<readonly [from: number, to: number]> =>
  said().flatMap((line) => {
    const match = /^(\d+) (\d+) \d+$/.exec(line)
    return match === null ? [] : [[Number(match[1]), Number(match[2])] as const]
  })

const errorsOf = ({ said }: Writer): ReadonlyArray<string> => said().filter((line) => line.startsWith("error "))

const answeredOf = (writers: ReadonlyArray<Writer>): ReadonlyArray<string> =>
  writers.flatMap((one, index) =>
    batchesOf(one).flatMap(([from, to]) =>
      Array.from({ length: to - from + 1 }, (_, number) => `${originOf(index)} ${from + number}`)
    )
  )

const query = (directory: string) =>
  run(directory, ({ backend }) =>
    Effect.map(backend.query({}), ({ coverage, events }) => ({
      found: events.map(({ id }) => `${id.origin} ${id.seq}`),
      gaps: coverage[0]!.gaps.map(({ reason }) => reason)
    }))
  )

/** Writers that go on whatever happens, and a watch. */
const processes = (directory: string, isCramped = false) =>
  Effect.gen(function* () {
    // What is beyond the limits would be removed, and a small file system has small ones.
    const retention = { maxAge: "none", maxBytes: "none", maxEvents: "none" } as const
    yield* Effect.scoped(open({ directory, retention }))
    const writers: Array<Writer> = []
    for (let index = 0; index < WRITERS; index++) {
      const parameters = [directory, originOf(index), 8, 2, SEGMENT + 1_000 * index] as const
      writers.push(
        yield* isCramped
          ? startWithin(FILES, "patientWriter.ts", ...parameters, "cramped")
          : start("patientWriter.ts", ...parameters)
      )
    }
    const watcher = yield* start("watcher.ts", directory)
    yield* watcher.saidThat(() => watcher.said().includes("Live"))
    return { writers, watcher }
  })

/** Waits until each writer has stored more. */
const goOn = (writers: ReadonlyArray<Writer>): Effect.Effect<void> =>
  Effect.suspend(() => {
    const before = writers.map((one) => batchesOf(one).length)
    return Effect.forEach(writers, (one, index) => one.saidThat(() => batchesOf(one).length >= before[index]! + SOME), {
      discard: true
    })
  })

/** What was answered is in the log and was shown once, and no line has a piece of another one in it. */
const account = (
  directory: string,
  { watcher, writers }: { readonly writers: ReadonlyArray<Writer>; readonly watcher: Writer }
): Effect.Effect<void, unknown, Scope.Scope> =>
  Effect.gen(function* () {
    for (const one of writers) {
      one.process.stdin!.end()
      assert.strictEqual(yield* one.ended, 0)
    }
    const answered = answeredOf(writers)
    const { found, gaps } = yield* query(directory)
    assert.deepStrictEqual(found.toSorted(), answered.toSorted())
    // Pieces that did not fit are on lines of their own, are counted, and nothing else is missing.
    assert.deepStrictEqual(
      gaps.filter((reason) => !/^\d+ damaged lines? w(?:as|ere) skipped/.test(reason)),
      []
    )
    for (const file of segmentsOf(directory)) {
      for (const line of readFileSync(path.join(directory, file), "utf8").split("\n")) {
        assert.isAtMost(line.split(LogLine.BEGINNING).length, 2, line)
      }
    }
    yield* watcher.saidThat(() => answered.every((event) => watcher.said().includes(event)))
    const shown = watcher.said().filter((line) => /^\d+ \d+$/.test(line))
    assert.deepStrictEqual(shown.toSorted(), answered.toSorted())
    assert.deepStrictEqual(
      watcher.said().filter((line) => line.startsWith("Gap ")),
      []
    )
  })

const silent = Effect.provideService(References.MinimumLogLevel, "None")

describe("a log that several processes write to, watch and read", () => {
  if (canMount) {
    it.live(
      "on a full disk loses nothing that was answered, can be read and watched, and is written to again when there is room",
      () =>
        Effect.gen(function* () {
          const volume = (yield* smallDisk)!
          const ballast = path.join(volume, "ballast")
          writeFileSync(ballast, Buffer.alloc(BALLAST))
          const directory = path.join(volume, "log")
          const all = yield* processes(directory)
          for (const one of all.writers) yield* one.saidThat(() => errorsOf(one).length >= SOME)
          // Nothing that could be answered while the disk is full is hidden by that.
          const before = answeredOf(all.writers)
          const { found } = yield* query(directory)
          const isFound = new Set(found)
          assert.deepStrictEqual(
            before.filter((event) => !isFound.has(event)),
            []
          )
          yield* all.watcher.saidThat(() => before.every((event) => all.watcher.said().includes(event)))
          rmSync(ballast)
          yield* goOn(all.writers)
          yield* account(directory, all)
          for (const error of all.writers.flatMap(errorsOf)) {
            assert.match(error, /^error Full .* is full: free some space, or choose another directory/)
          }
        }).pipe(silent),
      300_000
    )
  }

  it.live(
    "where each of them has too many files open again and again (EMFILE) loses nothing, and goes on when it can open files",
    () =>
      Effect.gen(function* () {
        const directory = path.join(yield* TestDirectory.make, "log")
        const all = yield* processes(directory, true)
        for (const one of all.writers) yield* one.saidThat(() => errorsOf(one).length >= 3)
        yield* goOn(all.writers)
        yield* account(directory, all)
        for (const error of all.writers.flatMap(errorsOf)) {
          assert.match(error, /^error (?:Transient|Unavailable) .*too many files are open/)
        }
      }).pipe(silent),
    300_000
  )
})
