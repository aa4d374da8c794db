// follow that ends, list --watch, and cursor files.
import * as Backend from "@tidings/core/Backend"
import * as Timestamp from "@tidings/core/Timestamp"
import { assert, describe, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import { TestClock, TestConsole } from "effect/testing"
import { chmod, mkdtemp, readdir, readFile, rm, stat, symlink, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Left, Taken } from "../src/internal/cli/outputReader.ts"
import { eventually, memory, run, write } from "./harness.ts"

const now = Timestamp.parse("2026-08-22T10:30:00Z")!

const stored = Effect.gen(function* () {
  yield* TestClock.setTime(now / 1_000)
  const { service } = yield* memory()
  yield* service.write([
    write(1, { at: "2026-08-22T10:00:00Z" }),
    write(2, { at: "2026-08-22T10:10:00Z", type: "Warning" }),
    write(3, { at: "2026-08-22T10:20:00Z" })
  ])
  return { service, layer: Layer.succeed(Backend.Backend, service) }
})

const messages = (out: ReadonlyArray<string>): ReadonlyArray<number> =>
  out.flatMap((line) => {
    const found = /"message":"message (\d+)"/.exec(line)?.[1]
    return found === undefined ? [] : [Number(found)]
  })

const shown = Effect.map(TestConsole.logLines, (lines) => messages(lines.flatMap((text) => String(text).split("\n"))))

const running = Effect.fnUntraced(function* (backend: Backend.Service, ...argv: ReadonlyArray<string>) {
  const fiber = yield* Effect.forkScoped(run(Layer.succeed(Backend.Backend, backend), [...argv, "-o", "ndjson"]), {
    startImmediately: true
  })
  const until = (count: number) =>
    eventually(
      `${count} events`,
      Effect.map(shown, ({ length }) => length >= count)
    )
  return { fiber, until }
})

/** A follow whose reader leaves when all is shown. */
const left = Effect.fnUntraced(function* (backend: Backend.Service, ...argv: ReadonlyArray<string>) {
  const leaving = yield* Deferred.make<void>()
  const { fiber, until } = yield* Effect.provideService(
    running(backend, "follow", ...argv),
    Left,
    Deferred.await(leaving)
  )
  yield* until(3)
  yield* Deferred.succeed(leaving, undefined)
  return yield* Fiber.join(fiber)
})

const inFolder = <A, E, R>(use: (folder: string) => Effect.Effect<A, E, R>) =>
  Effect.acquireUseRelease(
    Effect.promise(() => mkdtemp(join(tmpdir(), "tidings-cursor-"))),
    use,
    (folder) => Effect.promise(() => rm(folder, { recursive: true, force: true }))
  )

const contentOf = (file: string) => Effect.promise(() => readFile(file, "utf8"))

describe("follow --until", () => {
  it.effect("ends at once where the time is over, after what is stored until then", () =>
    Effect.gen(function* () {
      const { layer } = yield* stored
      const ran = yield* run(layer, ["follow", "--until", "2026-08-22T10:15:00Z", "-ondjson"])
      assert.deepStrictEqual([ran.code, messages(ran.out), ran.err], [0, [1, 2], []])
      const none = yield* run(layer, ["follow", "--until", "2026-08-21T10:15:00Z"])
      assert.deepStrictEqual([none.code, none.out, none.err], [0, [], ["no events until then"]])
    })
  )

  it.effect("ends when the time has come, and shows what was last seen before it and arrives a moment later", () =>
    Effect.gen(function* () {
      const { service } = yield* stored
      const { fiber, until } = yield* running(service, "follow", "--until", "+10m", "--limit", "1")
      yield* until(1)
      yield* TestClock.adjust("9 minutes")
      yield* service.write([write(4, { at: "2026-08-22T10:39:00Z" })])
      yield* until(2)
      yield* TestClock.adjust("1 minute")
      assert.isUndefined(fiber.pollUnsafe())
      yield* service.write([write(5, { at: "2026-08-22T10:39:59Z" }), write(6, { at: "2026-08-22T10:40:01Z" })])
      yield* until(3)
      yield* TestClock.adjust("1 second")
      const { code } = yield* Fiber.join(fiber)
      assert.strictEqual(code, 0)
      assert.deepStrictEqual(yield* shown, [3, 4, 5])
    })
  )

  it.effect("prints a cursor after which a filter with other times goes on", () =>
    Effect.gen(function* () {
      const { layer, service } = yield* stored
      const first = yield* run(layer, ["follow", "--since", "25m", "--until", "now", "--show-cursor", "-ondjson"])
      assert.deepStrictEqual(messages(first.out), [2, 3])
      const cursor = first.err.find((line) => line.startsWith("cursor: "))!.slice("cursor: ".length)
      yield* service.write([write(4, { at: "2026-08-22T10:30:00Z" })])
      const second = yield* run(layer, ["list", "--after", cursor, "-ondjson"])
      assert.deepStrictEqual(messages(second.out), [4])
    })
  )
})

describe("follow", () => {
  it.effect("ends when the reader of its output has left", () =>
    Effect.gen(function* () {
      const { service } = yield* stored
      const ran = yield* left(service)
      assert.deepStrictEqual([ran.code, messages(ran.out), ran.err], [0, [1, 2, 3], []])
    })
  )
})

describe("list --watch", () => {
  it.effect("shows what follow shows", () =>
    Effect.gen(function* () {
      const { layer, service } = yield* stored
      const { fiber, until } = yield* running(service, "list", "-w", "--type", "Warning")
      yield* until(1)
      yield* service.write([
        write(4, { at: "2026-08-22T10:31:00Z" }),
        write(5, { at: "2026-08-22T10:31:00Z", type: "Warning" })
      ])
      yield* until(2)
      assert.deepStrictEqual(yield* shown, [2, 5])
      assert.isUndefined(fiber.pollUnsafe())
      yield* Fiber.interrupt(fiber)
      const ended = yield* run(layer, ["list", "--watch", "--until", "2026-08-22T10:15:00Z"])
      assert.deepStrictEqual(ended, yield* run(layer, ["follow", "--until", "2026-08-22T10:15:00Z"]))
    })
  )

  it.effect.each([
    [["--reverse"], "--watch prints events as they arrive: leave out --reverse"],
    [["--sort-by", ".count"], "--watch prints events as they arrive: leave out --sort-by"]
  ] as const)("refuses %j", ([argv, expected]) =>
    Effect.gen(function* () {
      const { layer } = yield* stored
      const ran = yield* run(layer, ["list", "--watch", ...argv])
      assert.deepStrictEqual([ran.code, ran.err[0]], [2, `error: ${expected}`])
    })
  )
})

describe("--cursor-file", () => {
  it.effect("shows in each run of list what came since the last one", () =>
    inFolder((folder) =>
      Effect.gen(function* () {
        const { layer, service } = yield* stored
        const file = join(folder, "cursor")
        const next = (...argv: ReadonlyArray<string>) =>
          Effect.map(run(layer, ["list", "-ondjson", "--cursor-file", file, ...argv]), ({ code, out }) => {
            assert.strictEqual(code, 0)
            return messages(out)
          })
        // Times and --limit are those of the run, and no part of the filter.
        assert.deepStrictEqual(yield* next("--since", "1h", "--limit", "2"), [2, 3])
        assert.match(yield* contentOf(file), /^\S+\n$/)
        assert.deepStrictEqual(yield* next(), [])
        yield* service.write([4, 5, 6].map((seq) => write(seq, { at: "2026-08-22T10:30:00Z" })))
        assert.deepStrictEqual(yield* next("--limit", "1"), [4, 5, 6])
        assert.deepStrictEqual(yield* next(), [])
        assert.deepStrictEqual(yield* Effect.promise(() => readdir(folder)), ["cursor"])
      })
    )
  )

  it.effect("is written while follow runs, and at its end", () =>
    inFolder((folder) =>
      Effect.gen(function* () {
        const { layer, service } = yield* stored
        const file = join(folder, "cursor")
        const { fiber, until } = yield* running(service, "follow", "--cursor-file", file, "--since", "1h")
        yield* until(3)
        // Soon, because until then a run that is killed leaves nothing to go on after.
        yield* TestClock.adjust("100 millis")
        yield* eventually(
          "a cursor",
          Effect.map(
            Effect.promise(() => readdir(folder)),
            (names) => names.includes("cursor")
          )
        )
        const first = yield* contentOf(file)
        yield* service.write([write(4, { at: "2026-08-22T10:31:00Z" })])
        yield* until(4)
        yield* TestClock.adjust("1 second")
        yield* eventually(
          "another cursor",
          Effect.map(contentOf(file), (content) => content !== first)
        )
        yield* Fiber.interrupt(fiber)
        assert.notStrictEqual(yield* contentOf(file), first)
        const rest = yield* run(layer, ["follow", "--cursor-file", file, "--until", "now", "-ondjson"])
        assert.deepStrictEqual([rest.code, messages(rest.out)], [0, []])
      })
    )
  )

  it.effect("is not written where the output was not taken, or its reader has left", () =>
    inFolder((folder) =>
      Effect.gen(function* () {
        const { layer, service } = yield* stored
        const file = join(folder, "cursor")
        for (const verb of ["list", "follow"]) {
          yield* run(layer, [verb, "--cursor-file", file, "--until", "now"]).pipe(
            Effect.provideService(Taken, Effect.succeed(false))
          )
        }
        yield* left(service, "--cursor-file", file)
        assert.deepStrictEqual(yield* Effect.promise(() => readdir(folder)), [])
      })
    )
  )

  it.effect("keeps the permissions of its file, and a link to it", () =>
    inFolder((folder) =>
      Effect.gen(function* () {
        const { layer } = yield* stored
        const file = join(folder, "cursor")
        yield* Effect.promise(async () => {
          await writeFile(join(folder, "elsewhere"), "")
          await chmod(join(folder, "elsewhere"), 0o600)
          await symlink("elsewhere", file)
        })
        assert.strictEqual((yield* run(layer, ["list", "--cursor-file", file])).code, 0)
        const { mode } = yield* Effect.promise(() => stat(file))
        assert.strictEqual(mode & 0o777, 0o600)
        assert.deepStrictEqual(yield* Effect.promise(() => readdir(folder)), ["cursor", "elsewhere"])
        assert.match(yield* contentOf(join(folder, "elsewhere")), /^\S+\n$/)
      })
    )
  )

  it.effect("is refused where it cannot be one, and says what would be right", () =>
    inFolder((folder) =>
      Effect.gen(function* () {
        const { layer } = yield* stored
        const file = join(folder, "cursor")
        const said = (...argv: ReadonlyArray<string>) =>
          Effect.map(run(layer, ["list", ...argv]), ({ code, err }) => [code, ...err])
        const quoted = (path: string) => JSON.stringify(path)
        assert.deepStrictEqual(yield* said("--cursor-file", "/dev/null"), [
          1,
          `error: cannot read the cursor file "/dev/null": it is no regular file`
        ])
        assert.deepStrictEqual(yield* said("--cursor-file", folder), [
          1,
          `error: cannot read the cursor file ${quoted(folder)}: it is no regular file`
        ])
        const [, ...both] = yield* said("--cursor-file", file, "--after", "x")
        assert.strictEqual(both[0], "error: --after and --cursor-file both say where to go on: leave one out")
        assert.strictEqual((yield* said("--cursor-file", ""))[1], "error: --cursor-file is empty: leave it out")
        const missing = join(folder, "no", "cursor")
        const [code, why] = yield* said("--cursor-file", missing, "-oname")
        assert.strictEqual(code, 1)
        assert.match(
          String(why),
          /^error: cannot write the cursor file ".*cursor": there is no directory .*no: make it$/
        )
        // Nothing is shown that the next run would show again, and what would run on for hours ends at once.
        for (const argv of [
          ["list", "-oname"],
          ["follow", "-oname"]
        ]) {
          const { code, out } = yield* run(layer, [...argv, "--cursor-file", missing])
          assert.deepStrictEqual([code, out], [1, []])
        }
        yield* run(layer, ["list", "--cursor-file", file])
        assert.deepStrictEqual(yield* said("--cursor-file", file, "--type", "Warning"), [
          1,
          `error: the cursor in ${quoted(file)} is not one of this store and this filter: the cursor was made with another filter; this one is: eventType=Warning`,
          "use a file for each filter; to start over, remove it"
        ])
        yield* Effect.promise(() => writeFile(file, "x".repeat(100_000)))
        const [, long] = yield* said("--cursor-file", file)
        assert.strictEqual(
          long,
          `error: cannot read the cursor file ${quoted(file)}: it is longer than 65536 bytes, so it holds no cursor`
        )
      })
    )
  )
})
