import { assert, describe, it } from "@effect/vitest"
import * as EventJson from "@tidings/core/EventJson"
import { Clock, Effect, References, Result } from "effect"
import { spawnSync } from "node:child_process"
import { appendFileSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs"
import * as path from "node:path"
import { node, type Disk } from "../src/internal/disk.ts"
import { fill, type Filled, readOnly } from "./limits.ts"
import { nodeOfRepository } from "./nodeOfRepository.ts"
import { bytesOf, line, newestOf, noted, open, run, segmentsOf } from "./openLog.ts"
import * as TestDirectory from "./TestDirectory.ts"
import { first, seqsOf } from "./writes.ts"

const fault = (code: string): Error => Object.assign(new Error(`${code}: on purpose`), { code })

/** A disk that takes only so many bytes of lines, and says why not more; `Infinity` takes all. */
const limited = (code: string) => {
  const state = { room: Number.POSITIVE_INFINITY }
  const disk: Disk = {
    ...node,
    append: (file, from, offset, length) => {
      const fits = Math.min(length, state.room)
      if (fits === 0) throw fault(code)
      const written = node.append(file, from, offset, fits)
      state.room -= written
      return written
    }
  }
  return { disk, state }
}

const hows = (outcomes: ReadonlyArray<{ readonly _tag: string; readonly how?: string }>) =>
  outcomes.map(({ _tag, how }) => how ?? _tag)

/** What is in the log, line by line: seqs of events, and how many bytes the others have. */
const raw = (directory: string): Array<number | string> =>
  bytesOf(directory)
    .toString()
    .split("\n")
    .map((text) =>
      Result.match(EventJson.decode(text), { onFailure: () => `${text.length} bytes`, onSuccess: ({ id }) => id.seq })
    )

const silent = Effect.provideService(References.MinimumLogLevel, "Error")

describe("partial writes", () => {
  const batch = [first(2), first(3), first(4)]
  const whole = Buffer.byteLength(line(2) + line(3) + line(4))

  it.effect("a partial write is completed by complete lines, wherever it was cut", () =>
    Effect.gen(function* () {
      for (let room = 1; room < whole; room += room < 10 ? 1 : 41) {
        const directory = yield* TestDirectory.make
        const cut = limited("ENOSPC")
        const disk: Disk = {
          ...cut.disk,
          append: (...parameters) => {
            const written = cut.disk.append(...parameters)
            // Room again at once, as when another process deletes something.
            if (cut.state.room === 0) cut.state.room = Number.POSITIVE_INFINITY
            return written
          }
        }
        const { backend, log } = yield* open({ directory }, disk)
        yield* backend.write([first(1)])
        yield* noted(directory)
        cut.state.room = room
        assert.deepStrictEqual(hows(yield* backend.write(batch)), ["created", "created", "created"], String(room))
        yield* backend.write([first(5)])
        assert.deepStrictEqual(seqsOf((yield* backend.query({})).events), [5, 4, 3, 2, 1], String(room))
        assert.isAtMost((yield* log.status).damaged.lines, 1)
        const lines = raw(directory).filter((one) => typeof one === "number")
        assert.deepStrictEqual(lines, [1, 2, 3, 4, 5], String(room))
      }
    }).pipe(silent)
  )

  it.effect("a write that fails after a part answers for each line whether it is stored", () =>
    Effect.gen(function* () {
      for (let room = 0; room < whole; room += room < 5 ? 1 : 37) {
        const directory = yield* TestDirectory.make
        const { disk, state } = limited("ENOSPC")
        const { backend } = yield* open({ directory }, disk)
        yield* backend.write([first(1)])
        yield* noted(directory)
        state.room = room
        const stored = [line(2), line(3), line(4)].filter((_, index, all) => {
          const end = all.slice(0, index + 1).join("")
          return Buffer.byteLength(end) <= room
        }).length
        const result = yield* Effect.result(backend.write(batch))
        if (stored === 0) {
          assert.strictEqual(Result.isFailure(result) ? result.failure.reason._tag : "stored", "Full", String(room))
        } else {
          const outcomes = Result.getOrThrow(result)
          assert.deepStrictEqual(
            hows(outcomes),
            batch.map((_, index) => (index < stored ? "created" : "Retry"))
          )
        }
        assert.strictEqual((yield* Effect.flip(backend.write([first(5)]))).reason._tag, "Full")
        state.room = Number.POSITIVE_INFINITY
        assert.deepStrictEqual(
          hows(yield* backend.write([...batch, first(5)])),
          [2, 3, 4].map((seq) => (seq - 2 < stored ? "present" : "created")).concat("created")
        )
        assert.deepStrictEqual(seqsOf((yield* backend.query({})).events), [5, 4, 3, 2, 1])
        const lines = raw(directory).filter((one) => typeof one === "number")
        assert.deepStrictEqual(lines, [1, 2, 3, 4, 5])
      }
    }).pipe(silent)
  )

  it.effect("a partial write keeps what another process appended after it", () =>
    Effect.gen(function* () {
      const directory = yield* TestDirectory.make
      const { disk, state } = limited("ENOSPC")
      const { backend } = yield* open(
        { directory },
        {
          ...disk,
          append: (...parameters) => {
            const written = disk.append(...parameters)
            if (state.room === 0) appendFileSync(newestOf(directory), line(50))
            return written
          }
        }
      )
      yield* backend.write([first(1)])
      yield* noted(directory)
      state.room = 100
      yield* Effect.flip(backend.write([first(2)]))
      state.room = Number.POSITIVE_INFINITY
      yield* backend.write([first(2)])
      assert.deepStrictEqual(seqsOf((yield* backend.query({})).events), [50, 2, 1])
    }).pipe(silent)
  )

  it.effect("after a failed write the segment is treated as ending in a partial line", () =>
    Effect.gen(function* () {
      const directory = yield* TestDirectory.make
      let failing = false
      const { backend } = yield* open(
        { directory },
        {
          ...node,
          append: (file, from, offset, length) => {
            if (!failing) return node.append(file, from, offset, length)
            node.append(file, from, offset, 50)
            throw fault("EIO")
          }
        }
      )
      yield* backend.write([first(1)])
      yield* noted(directory)
      failing = true
      assert.strictEqual((yield* Effect.flip(backend.write([first(2)]))).reason._tag, "Transient")
      failing = false
      yield* backend.write([first(2)])
      assert.deepStrictEqual(raw(directory), [1, "50 bytes", 2, "0 bytes"])
    }).pipe(silent)
  )

  it.effect("a write of which only parts are ever written ends as a full disk", () =>
    Effect.gen(function* () {
      const directory = yield* TestDirectory.make
      let cutting = false
      const { backend } = yield* open(
        { directory },
        { ...node, append: (file, from, offset, length) => node.append(file, from, offset, cutting ? 1 : length) }
      )
      yield* backend.write([first(1)])
      yield* noted(directory)
      cutting = true
      assert.strictEqual((yield* Effect.flip(backend.write([first(2)]))).reason._tag, "Full")
      cutting = false
      yield* backend.write([first(2)])
      assert.deepStrictEqual(seqsOf((yield* backend.query({})).events), [2, 1])
    }).pipe(silent)
  )
})

describe("failing disk operations", () => {
  const meanings = [
    ["ENOSPC", "Full", /the disk of .* is full: free some space/],
    ["EDQUOT", "Full", /the disk quota of this user is used up/],
    ["EFBIG", "Full", /the maximum file size of this process: raise the limit \(ulimit -f\)/],
    ["EACCES", "Unauthorized", /is not accessible to the user of this process: grant that user read/],
    ["EPERM", "Unauthorized", /is not accessible to the user of this process/],
    ["EROFS", "Unavailable", /read-only file system: mount it writable/],
    ["ELOOP", "Unavailable", /a symbolic link, which the log never follows/],
    ["EISDIR", "Unavailable", /a directory where a file of the log should be/],
    ["EMFILE", "Transient", /too many files are open/],
    ["EIO", "Transient", /input\/output error/],
    ["ESTALE", "Unavailable", /ESTALE: on purpose/]
  ] as const

  for (const [code, tag, words] of meanings) {
    it.effect(`${code} is ${tag} for a write, a query and the layer, until the disk works again`, () =>
      Effect.gen(function* () {
        const directory = yield* TestDirectory.make
        let failing = false
        const failingWhen =
          <Parameters extends ReadonlyArray<unknown>, A>(use: (...parameters: Parameters) => A) =>
          (...parameters: Parameters): A => {
            if (failing) throw fault(code)
            return use(...parameters)
          }
        const disk: Disk = {
          ...node,
          append: failingWhen(node.append),
          openToRead: failingWhen(node.openToRead),
          list: failingWhen(node.list)
        }
        const { backend } = yield* open({ directory }, disk)
        yield* backend.write([first(1)])
        failing = true
        const errors = [
          yield* Effect.flip(backend.write([first(2)])),
          yield* Effect.flip(backend.write([first(2), first(3)])),
          yield* Effect.flip(backend.query({})),
          yield* Effect.flip(Effect.scoped(open({ directory }, disk)))
        ]
        for (const error of errors) {
          assert.strictEqual(error.reason._tag, tag)
          assert.match(error.message, words)
        }
        failing = false
        yield* backend.write([first(2)])
        assert.deepStrictEqual(seqsOf((yield* backend.query({})).events), [2, 1])
      }).pipe(silent)
    )
  }

  it.effect("a disk that fails while a log is created fails the layer, and leaves no part of it", () =>
    Effect.gen(function* () {
      const refusals: ReadonlyArray<Partial<Disk>> = [
        { append: () => 0 },
        {
          append: () => {
            throw fault("ENOSPC")
          }
        },
        {
          sync: () => {
            throw fault("EIO")
          }
        },
        {
          create: () => {
            throw fault("EROFS")
          }
        },
        {
          link: () => {
            throw fault("EACCES")
          }
        }
      ]
      for (const refusal of refusals) {
        const directory = yield* TestDirectory.make
        const error = yield* Effect.flip(Effect.scoped(open({ directory }, { ...node, ...refusal })))
        assert.strictEqual(error._tag, "BackendError")
        assert.deepStrictEqual(readdirSync(directory), [])
        yield* run(directory, ({ backend }) => backend.target)
      }
    })
  )

  it.effect("a log works on a disk without hard links or without syncing directories", () =>
    Effect.gen(function* () {
      for (const code of ["EPERM", "ENOTSUP"]) {
        const directory = yield* TestDirectory.make
        const disk: Disk = {
          ...node,
          link: () => {
            throw fault(code)
          },
          openDirectory: () => {
            throw fault("EISDIR")
          },
          linkSymbolic: () => {
            throw fault("EPERM")
          }
        }
        const { backend } = yield* open({ directory }, disk)
        yield* backend.write([first(1)])
        assert.deepStrictEqual(yield* backend.target, yield* run(directory, ({ backend }) => backend.target))
        assert.deepStrictEqual(readdirSync(directory).sort(), [".meta.json", ".meta.lock", ...segmentsOf(directory)])
      }
    })
  )

  it.effect("a defect of the program is not reported as a failure of the disk", () =>
    Effect.gen(function* () {
      const directory = yield* TestDirectory.make
      let broken = false
      const { backend } = yield* open(
        { directory },
        {
          ...node,
          append: (...parameters) => {
            if (broken) throw new TypeError("a mistake")
            return node.append(...parameters)
          }
        }
      )
      yield* backend.write([first(1)])
      broken = true
      for (const seqs of [[2], [3, 4]]) {
        const write = (seq: number) => Effect.exit(backend.write([first(seq)]))
        for (const exit of yield* Effect.forEach(seqs, write, { concurrency: "unbounded" })) {
          assert.isTrue(exit._tag === "Failure" && exit.cause.reasons.every(({ _tag }) => _tag === "Die"))
        }
      }
    })
  )
})

describe("a writer beside other writers", () => {
  it.effect("a writer begins a segment only when no other process has", () =>
    Effect.gen(function* () {
      const directory = yield* TestDirectory.make
      let raced = 0
      const { backend } = yield* open(
        { directory },
        {
          ...node,
          create: (file, permissions) => {
            if (file.endsWith(".ndjson") && raced++ === 0) writeFileSync(file, line(7), { mode: 0o600 })
            return node.create(file, permissions)
          }
        }
      )
      assert.deepStrictEqual(hows(yield* backend.write([first(1), first(7)])), ["created", "present"])
      assert.strictEqual(segmentsOf(directory).length, 1)
      assert.deepStrictEqual(seqsOf((yield* backend.query({})).events), [7, 1])
    })
  )

  it.effect("a writer uses the identity that another process gave the log first", () =>
    Effect.gen(function* () {
      const directory = yield* TestDirectory.make
      const { backend } = yield* open(
        { directory },
        {
          ...node,
          link: (existing, file) => {
            writeFileSync(file, JSON.stringify({ format: 1, id: "quicker", createdAt: "2026-01-01T00:00:00.000000Z" }))
            node.link(existing, file)
          }
        }
      )
      assert.strictEqual((yield* backend.target).id, "quicker")
      assert.deepStrictEqual(readdirSync(directory), [".meta.json"])
    })
  )

  it.effect("a line that is still being written is not treated as partial", () =>
    Effect.gen(function* () {
      const directory = yield* TestDirectory.make
      yield* run(directory, ({ backend }) => backend.write([first(1)]))
      appendFileSync(newestOf(directory), line(2).slice(0, 100))
      const { backend } = yield* open(
        { directory },
        {
          ...node,
          // The other process is through with its line by the time that nobody writes.
          settle: () => appendFileSync(newestOf(directory), line(2).slice(100))
        }
      )
      yield* backend.write([first(3)])
      assert.deepStrictEqual(raw(directory), [1, 2, 3, "0 bytes"])
    })
  )

  /** A clock that a disk can move on while it is used. */
  const movable = () => {
    const state = { nanoseconds: 1_000_000_000n }
    const clock: Clock.Clock = {
      currentTimeMillisUnsafe: () => 0,
      currentTimeMillis: Effect.succeed(0),
      currentTimeNanosUnsafe: () => 0n,
      currentTimeNanos: Effect.succeed(0n),
      monotonicTimeNanosUnsafe: () => state.nanoseconds,
      monotonicTimeNanos: Effect.sync(() => state.nanoseconds),
      sleep: () => Effect.never
    }
    return { state, clock }
  }

  /** Writes, and is held up for a while between writing and answering, while something happens. */
  const heldUp = (directory: string, meanwhile: () => void) =>
    Effect.gen(function* () {
      const { clock, state } = movable()
      let held = false
      const { backend } = yield* open(
        { directory },
        {
          ...node,
          append: (...parameters) => {
            const written = node.append(...parameters)
            if (held) {
              held = false
              state.nanoseconds += 200_000_000n
              meanwhile()
            }
            return written
          }
        }
      ).pipe(Effect.provideService(Clock.Clock, clock))
      yield* backend.write([first(1)])
      yield* noted(directory)
      held = true
      return { backend, result: yield* Effect.result(backend.write([first(2)])) }
    })

  it.effect("a writer that was held up while a newer segment was begun writes to that one too", () =>
    Effect.gen(function* () {
      const directory = yield* TestDirectory.make
      const newer = path.join(directory, "events-00000002-20990101.ndjson")
      const { backend, result } = yield* heldUp(directory, () => writeFileSync(newer, line(50), { mode: 0o600 }))
      assert.deepStrictEqual(hows(Result.getOrThrow(result)), ["created"])
      assert.strictEqual(readFileSync(newer, "utf8"), line(50) + line(2))
      assert.deepStrictEqual(seqsOf((yield* backend.query({})).events), [50, 2, 1])
    })
  )

  it.effect("a writer that was held up while the log was removed answers that the outcome is unknown", () =>
    Effect.gen(function* () {
      const directory = path.join(yield* TestDirectory.make, "log")
      const { backend, result } = yield* heldUp(directory, () => rmSync(directory, { recursive: true }))
      const error = Result.isFailure(result) ? result.failure : undefined
      assert.deepInclude(error?.reason, { _tag: "Transient", applied: "unknown" })
      assert.deepStrictEqual(hows(yield* backend.write([first(2)])), ["created"])
      assert.deepStrictEqual(seqsOf((yield* backend.query({})).events), [2])
    })
  )

  it.effect("a writer fails when the segments change each time it opens them", () =>
    Effect.gen(function* () {
      const directory = yield* TestDirectory.make
      let number = 1
      const { backend } = yield* open(
        { directory },
        {
          ...node,
          openToAppend: (file) => {
            const opened = node.openToAppend(file)
            renameSync(file, path.join(directory, `events-0000000${number}-2099010${number++}.ndjson`))
            return opened
          },
          list: (of) =>
            [...node.list(of), "events-00099999-20990101.ndjson"].filter((_, index, all) => all.length > index)
        }
      )
      const error = yield* Effect.flip(backend.write([first(1)]))
      assert.include(["Transient", "Unavailable"], error.reason._tag)
    })
  )
})

// ---------------------------------------------------------------------------
// real limits
// ---------------------------------------------------------------------------

const fixture = path.join(import.meta.dirname, "fixtures", "limited.ts")
const command = [nodeOfRepository, "--conditions=@tidings/source", "--disable-warning=ExperimentalWarning", fixture]

/** What a process with limits printed; absent when this machine cannot give a process these limits. */
const limitedBy = (means: ReadonlyArray<string>, ...parameters: ReadonlyArray<string>): unknown => {
  const [program, ...rest] = means as [string, ...Array<string>]
  if (spawnSync(program, [...rest, "true"]).status !== 0) return undefined
  const { stderr, stdout } = spawnSync(program, [...rest, ...command, ...parameters], { encoding: "utf8" })
  assert.notStrictEqual(stdout, "", stderr)
  return JSON.parse(stdout)
}

/** A shell in a mount namespace of its own, which ends with it: nothing is mounted for anybody else. */
const mounting = (mounts: string): ReadonlyArray<string> => [
  "unshare",
  "--map-root-user",
  "--mount",
  "sh",
  "-c",
  `${mounts} && exec "$@"`,
  "sh"
]

describe("a log on a limited disk", () => {
  it.effect(
    "a log on a full disk is not damaged, and is written to again when there is room",
    () =>
      Effect.gen(function* () {
        const parent = yield* TestDirectory.make
        const directory = path.join(parent, "log")
        let filled = limitedBy(mounting(`mount -t tmpfs -o size=1m tidings ${parent}`), "full", directory) as
          | Filled
          | undefined
        if (filled === undefined) {
          const { disk, state } = limited("ENOSPC")
          const { backend } = yield* open({ directory }, disk)
          state.room = 600_000
          filled = yield* fill(backend, () => {
            state.room = Number.POSITIVE_INFINITY
          })
        }
        assert.strictEqual(filled.tag, "Full")
        assert.match(filled.message, /is full: free some space, or choose another directory \(TIDINGS_DIRECTORY\)/)
        assert.isAbove(filled.stored.length, 100)
        assert.deepStrictEqual(filled.found, filled.stored)
      }).pipe(silent),
    30_000
  )

  it.effect(
    "a log with a limit on file sizes is not damaged",
    () =>
      Effect.gen(function* () {
        const directory = path.join(yield* TestDirectory.make, "log")
        // The limit is in the middle of a line. A line that only lacks its line end would be found once there is one.
        let filled = limitedBy(["prlimit", "--fsize=500100"], "limited", directory) as Filled | undefined
        if (filled === undefined) {
          const { disk, state } = limited("EFBIG")
          const { backend } = yield* open({ directory }, disk)
          state.room = 500_100
          filled = yield* fill(backend)
        }
        assert.strictEqual(filled.tag, "Full")
        assert.match(filled.message, /raise the limit \(ulimit -f\)/)
        assert.isAbove(filled.stored.length, 100)
        assert.deepStrictEqual(filled.found, filled.stored)
        // A process without the limit goes on in the same segment.
        yield* run(directory, ({ backend }) =>
          Effect.gen(function* () {
            yield* backend.write([first(90_000)])
            assert.strictEqual((yield* backend.query({ limit: 1 })).totalCount, filled.stored.length + 1)
          })
        )
        assert.strictEqual(segmentsOf(directory).length, 1)
        assert.include(bytesOf(directory).toString(), `\n${line(90_000)}`)
      }).pipe(silent),
    30_000
  )

  it.effect(
    "a read-only log can be read, and a write fails with advice",
    () =>
      Effect.gen(function* () {
        const directory = yield* TestDirectory.make
        yield* run(directory, ({ backend }) => backend.write([first(1), first(2)]))
        const before = readdirSync(directory)
        const mounts = `mount --bind ${directory} ${directory} && mount -o remount,ro,bind ${directory}`
        let answer = limitedBy(mounting(mounts), "read-only", directory)
        if (answer === undefined) {
          const refuse = () => {
            throw fault("EROFS")
          }
          const { backend } = yield* open(
            { directory },
            { ...node, openToAppend: refuse, create: refuse, append: refuse }
          )
          answer = yield* readOnly(backend)
        }
        const { message, ...rest } = answer as { readonly message: string }
        assert.deepStrictEqual(rest, { found: 2, refused: true, tag: "Unavailable" })
        assert.match(message, /is on a read-only file system: mount it writable, or choose another directory/)
        assert.deepStrictEqual(readdirSync(directory), before)
      }),
    30_000
  )

  it.effect("a log that may not be read fails the layer with advice", () =>
    Effect.gen(function* () {
      const parent = yield* TestDirectory.make
      const directory = path.join(parent, "log")
      mkdirSync(directory, { mode: 0o000 })
      const isRoot = process.getuid?.() === 0
      const disk: Disk = isRoot
        ? {
            ...node,
            openToRead: () => {
              throw fault("EACCES")
            }
          }
        : node
      const error = yield* Effect.flip(Effect.scoped(open({ directory }, disk)))
      assert.strictEqual(error.reason._tag, "Unauthorized")
      assert.match(error.message, /grant that user read and write permission, or choose another directory/)
    })
  )

  it.effect("a directory of another user fails the layer with advice", () =>
    Effect.gen(function* () {
      const directory = yield* TestDirectory.make
      const disk: Disk = {
        ...node,
        user: 4_001,
        groups: [],
        status: (path) => {
          const status = node.status(path)
          return status === undefined ? undefined : { ...status, owner: 4_002 }
        }
      }
      const error = yield* Effect.flip(Effect.scoped(open({ directory }, disk)))
      assert.strictEqual(error.reason._tag, "Unauthorized")
      assert.match(error.message, /belongs to user \d+, and this process runs as user \d+: .* run as its owner/)
    })
  )
})
