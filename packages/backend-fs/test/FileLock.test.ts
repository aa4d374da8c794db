import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { spawnSync } from "node:child_process"
import { chmodSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from "node:fs"
import * as path from "node:path"
import { vi } from "vitest"
import { type Disk, node } from "../src/internal/disk.ts"
import * as fileLock from "../src/internal/fileLock.ts"
import { nodeOfRepository } from "./nodeOfRepository.ts"
import * as openJournal from "./openJournal.ts"
import * as TestDirectory from "./TestDirectory.ts"

const { occurrence, run } = openJournal

const reasonOf = <A, E extends { readonly reason: { readonly _tag: string; readonly detail: string } }>(
  effect: Effect.Effect<A, E>
) => Effect.map(Effect.flip(effect), ({ reason }) => [reason._tag, reason.detail] as const)

/** The codes that SQLite answers where the system refuses a lock, as it does where `fcntl` fails with these errors. */
const refusals = [
  ["ENOLCK", 5, "does not support locks (ENOLCK)"],
  ["ENOSYS", 3850, "refuses locks"],
  ["EOPNOTSUPP", 3850, "refuses locks"],
  ["EPERM", 3, "refuses locks"]
] as const

/** Runs with a `node:sqlite` whose files cannot be locked. */
const withoutLocks = <A, E>(result: number, use: Effect.Effect<A, E>): Effect.Effect<A, E> =>
  Effect.acquireUseRelease(
    Effect.sync(() => {
      const sqlite = process.getBuiltinModule("node:sqlite")
      const refuse = (): never => {
        throw Object.assign(new Error("what SQLite says"), { code: "ERR_SQLITE_ERROR", errcode: result })
      }
      class Refusing extends sqlite.DatabaseSync {
        override readonly exec = refuse
      }
      const builtin = process.getBuiltinModule.bind(process)
      return vi
        .spyOn(process, "getBuiltinModule")
        .mockImplementation((id: string) =>
          id === "node:sqlite" ? { ...sqlite, DatabaseSync: Refusing } : builtin(id)
        )
    }),
    () => use,
    (spy) => Effect.sync(() => spy.mockRestore())
  )

describe("the lock of a journal", () => {
  for (const [code, result, says] of refusals) {
    it.effect(`a file system that answers a lock with ${code} is not taken for another owner`, () =>
      Effect.gen(function* () {
        const directory = path.join(yield* TestDirectory.make, "journal")
        yield* run({ directory }, (journal) => journal.append([occurrence(1)]), node)
        for (const where of [directory, path.join(directory, "new")]) {
          const [tag, detail] = yield* reasonOf(
            withoutLocks(
              result,
              run({ directory: where }, () => Effect.void, node)
            )
          )
          assert.strictEqual(tag, "JournalFailed")
          assert.include(detail, `the file system of ${path.join(where, "lock")} ${says}`)
          assert.notInclude(detail, "in use")
          assert.notInclude(detail, "what SQLite says")
        }
      })
    )
  }

  for (const mode of [0o444, 0o000]) {
    it.effect(
      `a lock file with mode ${mode.toString(8).padStart(3, "0")} is refused, because a process that cannot write it locks out nobody`,
      () =>
        Effect.gen(function* () {
          const parent = yield* TestDirectory.make
          chmodSync(parent, 0o755)
          const lock = path.join(parent, "lock")
          writeFileSync(lock, "")
          chmodSync(lock, mode)
          const source = path.join(import.meta.dirname, "..", "src", "internal", "fileLock.ts")
          // Root may write every file.
          const script = `
            const { acquire } = await import(${JSON.stringify(source)})
            if (process.getuid?.() === 0) process.setuid(65534)
            try {
              console.log(acquire(${JSON.stringify(lock)}, 0o600) === undefined ? "locked" : "taken")
            } catch ({ code, path }) {
              console.log(code, path)
            }`
          const { stderr, stdout } = spawnSync(
            nodeOfRepository,
            [
              "--conditions=@tidings/source",
              "--disable-warning=ExperimentalWarning",
              "--input-type=module",
              "--eval",
              script
            ],
            { encoding: "utf8" }
          )
          assert.strictEqual(stderr, "")
          assert.strictEqual(stdout, `EACCES ${lock}\n`)
        }),
      30_000
    )
  }

  it.effect("taking the lock leaves its file empty, and a mode of its own", () =>
    Effect.gen(function* () {
      const lock = path.join(yield* TestDirectory.make, "lock")
      for (let times = 0; times < 2; times++) {
        const held = fileLock.acquire(lock, 0o660)!
        assert.isUndefined(fileLock.acquire(lock, 0o660))
        assert.isTrue(fileLock.isLocked(lock))
        held.release()
        assert.isFalse(fileLock.isLocked(lock))
        assert.strictEqual(readFileSync(lock, "utf8"), "")
        assert.strictEqual(statSync(lock).mode & 0o777, 0o660)
      }
    })
  )

  for (const [name, change] of [
    ["deleted", (lock: string) => rmSync(lock)],
    [
      "replaced",
      (lock: string) => {
        renameSync(lock, `${lock}.away`)
        writeFileSync(lock, "")
      }
    ]
  ] as const) {
    it.live(`a lock that is ${name} while it is taken is taken anew, so that it excludes a second owner`, () =>
      Effect.gen(function* () {
        const directory = path.join(yield* TestDirectory.make, "journal")
        yield* run({ directory }, () => Effect.void, node)
        let times = 0
        const disk: Disk = {
          ...node,
          lock: (file, permissions) => {
            const held = node.lock(file, permissions)
            if (++times === 1) change(file)
            return held
          }
        }
        const owner = yield* openJournal.open({ directory }, disk)
        const [tag] = yield* reasonOf(run({ directory }, () => Effect.void, node))
        assert.strictEqual(tag, "JournalLocked")
        yield* owner.append([occurrence(1)])
      })
    )
  }

  it.live("a lock that is replaced each time it is taken fails the journal, and names the file", () =>
    Effect.gen(function* () {
      const directory = path.join(yield* TestDirectory.make, "journal")
      const disk: Disk = {
        ...node,
        lock: (file, permissions) => {
          const one = node.lock(file, permissions)
          rmSync(file)
          return one
        }
      }
      const [tag, detail] = yield* reasonOf(run({ directory }, () => Effect.void, disk))
      assert.strictEqual(tag, "JournalFailed")
      assert.include(detail, path.join(directory, "lock"))
      assert.include(detail, "deleted or replaced again and again")
    })
  )
})
