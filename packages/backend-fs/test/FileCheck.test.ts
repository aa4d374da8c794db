import { assert, describe, it } from "@effect/vitest"
import type { Check } from "@tidings/core/BackendCheck"
import { ConfigProvider, Effect } from "effect"
import { TestClock } from "effect/testing"
import * as fs from "node:fs"
import * as path from "node:path"
import * as FileCheck from "../src/FileCheck.ts"
import * as access from "../src/internal/access.ts"
import { Disk, node } from "../src/internal/disk.ts"
import { open } from "./openLog.ts"
import { occurrences, run as runJournal } from "./openJournal.ts"
import * as TestDirectory from "./TestDirectory.ts"
import { again, at, first } from "./writes.ts"

const states = (checks: ReadonlyArray<Check>) => Object.fromEntries(checks.map(({ name, state }) => [name, state]))

const named = (checks: ReadonlyArray<Check>, name: string): Check => {
  const found = checks.filter((check) => check.name === name)
  assert.strictEqual(found.length, 1, `${name} in ${checks.map((check) => check.name).join(", ")}`)
  return found[0]!
}

/** A log with two events, and the clock at the time of the second. */
const log = Effect.gen(function* () {
  const directory = path.join(yield* TestDirectory.make, "log")
  yield* Effect.scoped(
    Effect.gen(function* () {
      const { backend } = yield* open({ directory })
      yield* backend.write([first(1), first(2)])
      yield* backend.write([again(first(2), 3)])
    })
  )
  yield* TestClock.setTime(Math.ceil(at(3) / 1_000) + 90_000)
  return directory
})

describe("the event log", () => {
  it.effect("all checks of a healthy log are ok, and nothing in it is changed", () =>
    Effect.gen(function* () {
      const directory = yield* log
      const before = fs.readdirSync(directory).map((file) => fs.statSync(path.join(directory, file)).mtimeMs)
      const checks = yield* FileCheck.run({ directory })
      assert.deepStrictEqual(states(checks), {
        directory: "ok",
        permissions: "ok",
        disk: "ok",
        identity: "ok",
        segments: "ok",
        retention: "ok",
        "lost segments": "ok",
        "other files": "ok",
        events: "ok",
        "damaged lines": "ok",
        clock: "ok"
      })
      assert.isTrue(checks.every(({ advice }) => advice === undefined))
      assert.deepStrictEqual(named(checks, "directory").facts, { directory, exists: true })
      assert.match(named(checks, "permissions").found, /^mode 700, of this user$/)
      assert.match(named(checks, "identity").found, /^[0-9a-f]{32}$/)
      assert.match(named(checks, "segments").found, /^1 file, 1\.\d KiB; the newest is events-00000001-/)
      assert.deepStrictEqual(named(checks, "events").found, "2 events, the newest 1m 30s old")
      assert.deepStrictEqual(named(checks, "events").facts!["events"], 2)
      assert.isAbove(Number(named(checks, "disk").facts!["freeBytes"]), 0)
      // In the units of the limits, which retention and prune print.
      assert.match(named(checks, "disk").found, /^[\d.]+ [KMGT]iB free$/)
      const after = fs.readdirSync(directory).map((file) => fs.statSync(path.join(directory, file)).mtimeMs)
      assert.deepStrictEqual(after, before)
    })
  )

  it.effect("the checks use the directory that the backend uses", () =>
    Effect.gen(function* () {
      const directory = yield* log
      const checks = yield* Effect.provideService(
        FileCheck.run(),
        ConfigProvider.ConfigProvider,
        ConfigProvider.fromUnknown({ TIDINGS_DIRECTORY: directory })
      )
      assert.strictEqual(named(checks, "directory").found, directory)
    })
  )

  it.effect("a missing log is reported as created by the first recorder, if the user may create it", () =>
    Effect.gen(function* () {
      const parent = yield* TestDirectory.make
      const absent = yield* FileCheck.run({ directory: path.join(parent, "a", "b") })
      assert.deepStrictEqual(states(absent), { directory: "note" })
      assert.isFalse(fs.existsSync(path.join(parent, "a")))
      // A directory in which no log has begun is none either, and stays as it is.
      fs.chmodSync(parent, 0o700)
      const empty = yield* FileCheck.run({ directory: parent })
      assert.deepStrictEqual(states(empty), { directory: "ok", permissions: "ok", disk: "ok", identity: "note" })
      assert.deepStrictEqual(fs.readdirSync(parent), [])
      // The administrator may write everywhere.
      fs.chmodSync(parent, 0o500)
      const mayMake = process.geteuid?.() === 0
      const refused = yield* FileCheck.run({ directory: path.join(parent, "log") })
      assert.deepStrictEqual(states(refused), { directory: mayMake ? "note" : "broken" })
    })
  )

  it.effect("a symbolic link that leads nowhere is broken, because no writer creates what it leads to", () =>
    Effect.gen(function* () {
      const parent = yield* TestDirectory.make
      const link = path.join(parent, "link")
      fs.symlinkSync("volume", link)
      for (const directory of [link, path.join(link, "log")]) {
        const checks = yield* FileCheck.run({ directory })
        assert.deepStrictEqual(states(checks), { directory: "broken" })
        assert.include(checks[0]!.found, `${link} is a symbolic link to volume, which does not exist`)
        const refused = yield* Effect.flip(Effect.scoped(open({ directory })))
        assert.match(
          refused.message,
          /link is a symbolic link to volume, which does not exist: create that directory, /
        )
      }
    })
  )

  it.effect("a directory that is a file or below one is broken", () =>
    Effect.gen(function* () {
      const parent = yield* TestDirectory.make
      const file = path.join(parent, "file")
      fs.writeFileSync(file, "")
      for (const directory of [file, path.join(file, "log")]) {
        const checks = yield* FileCheck.run({ directory })
        assert.deepStrictEqual(states(checks), { directory: "broken" }, directory)
        assert.include(checks[0]!.found, `${file} is a file where a directory should be`)
        assert.isDefined(checks[0]!.advice)
      }
    })
  )

  it.effect(
    "a directory is broken where everybody may write, noted where others may read, and ok where a group shares it",
    () =>
      Effect.gen(function* () {
        const directory = yield* log
        for (const [mode, state] of [
          [0o777, "broken"],
          [0o702, "broken"],
          [0o720, "note"],
          [0o2770, "ok"],
          [0o2775, "note"],
          [0o755, "note"],
          [0o710, "note"],
          [0o700, "ok"]
        ] as const) {
          fs.chmodSync(directory, mode)
          const checks = yield* FileCheck.run({ directory })
          const check = named(checks, "permissions")
          assert.strictEqual(check.state, state, mode.toString(8))
          assert.strictEqual(check.facts!["mode"], mode.toString(8))
          assert.strictEqual(check.advice?.includes("chmod") ?? false, state !== "ok")
          // Of a log that may not be used nothing more is said.
          assert.strictEqual(checks.length, state === "broken" ? 3 : 11)
        }
        const ofStranger: Disk = {
          ...node,
          user: 4_711,
          groups: [],
          status: (path) => {
            const status = node.status(path)
            return status === undefined ? undefined : { ...status, owner: 4_712 }
          }
        }
        const checks = yield* Effect.provideService(FileCheck.run({ directory }), Disk, ofStranger)
        assert.strictEqual(named(checks, "permissions").state, "broken")
        assert.include(named(checks, "permissions").advice!, "4711")
      })
  )

  it.effect("a directory that this user may not use is told with what helps: another mode, or another owner", () =>
    Effect.gen(function* () {
      // The system lets no user into what is not there.
      const directory = path.join(yield* log, "closed")
      const checkedAs = (user: number) =>
        Effect.map(
          Effect.provideService(FileCheck.run({ directory }), Disk, {
            ...node,
            user,
            groups: [],
            status: (file) => node.status(file === directory ? path.dirname(directory) : file)
          }),
          (checks) => named(checks, "permissions")
        )
      const own = yield* checkedAs(node.user!)
      assert.deepStrictEqual([own.state, own.advice?.startsWith("chmod u+rwx ")], ["broken", true])
      if (node.user !== 0) return
      const others = yield* checkedAs(4_711)
      assert.strictEqual(others.state, "broken")
      assert.match(others.advice!, /^this process runs as user 4711: run as user 0, chown -R 4711 /)
    })
  )

  it.effect(
    "a log that this user may only read is told as such and read, unless the user is meant to record in it",
    () =>
      Effect.gen(function* () {
        const directory = yield* log
        fs.chmodSync(directory, 0o755)
        const { W_OK } = fs.constants
        const checksAs = Effect.fnUntraced(function* (
          { group = 4_713, owner }: { readonly owner: number; readonly group?: number },
          deny: (file: string, mode: number) => string | undefined
        ) {
          const checks = yield* Effect.provideService(FileCheck.run({ directory }), Disk, {
            ...node,
            user: 4_711,
            groups: [4_713],
            status: (file) => {
              const status = node.status(file)
              return status === undefined ? undefined : { ...status, owner, group }
            }
          }).pipe(Effect.provideService(access.Ask, deny))
          return [named(checks, "permissions"), checks.some(({ name }) => name === "events")] as const
        })
        const isWrite = (mode: number) => (mode & W_OK) !== 0
        const onlyRead = (_: string, mode: number) => (isWrite(mode) ? "EACCES" : undefined)
        const readOnlyFileSystem = (_: string, mode: number) => (isWrite(mode) ? "EROFS" : undefined)
        const notes = [
          [{ owner: 0 }, onlyRead, /^nothing to do to read it; to record: run as user 0, chown -R 4711 /],
          [{ owner: 4_712 }, onlyRead, /^nothing to do to read it; to record: .* belongs to user 4712/],
          [{ owner: 0 }, readOnlyFileSystem, /^nothing to do to read it; to record: mount its file system writable, /],
          [
            { owner: 4_711 },
            readOnlyFileSystem,
            /^nothing to do to read it; to record: mount its file system writable, /
          ]
        ] as const
        for (const [whose, deny, advice] of notes) {
          const [check, isRead] = yield* checksAs(whose, deny)
          assert.deepStrictEqual([check.state, check.facts!["mayRecord"], isRead], ["note", false, true])
          assert.match(check.found, /^mode 755, of .*user.*; this user may read the log, and not record in it$/)
          assert.match(check.advice!, advice)
        }
        const isFile = (file: string) => file.endsWith(".ndjson")
        const broken = [
          // An own log, a directory that is open for writing, files that cannot be read, and a stranger's.
          [{ owner: 4_711 }, onlyRead, /^chmod u\+rwx /, true],
          [
            { owner: 0 },
            (file: string, mode: number) => (isFile(file) ? onlyRead(file, mode) : undefined),
            /^chmod g\+rw /,
            true
          ],
          [
            { owner: 0 },
            (file: string, mode: number) => (isFile(file) ? "EACCES" : onlyRead(file, mode)),
            /^this process runs as/,
            false
          ],
          [{ owner: 4_712 }, (file: string) => (isFile(file) ? "EACCES" : undefined), /belongs to user 4712/, false],
          [{ owner: 4_712, group: 1 }, onlyRead, /belongs to user 4712/, false]
        ] as const
        for (const [whose, deny, advice, mayRead] of broken) {
          const [check, isRead] = yield* checksAs(whose, deny)
          assert.deepStrictEqual([check.state, isRead], ["broken", mayRead])
          assert.match(check.advice!, advice)
        }
      })
  )

  it.effect("the limits of the log are told, and that it has none is noted", () =>
    Effect.gen(function* () {
      const directory = yield* log
      assert.match(
        named(yield* FileCheck.run({ directory }), "retention").found,
        /^events are kept for 90 days, up to /
      )
      const file = path.join(directory, ".meta.json")
      const { retention: _, ...meta } = JSON.parse(fs.readFileSync(file, "utf8")) as Record<string, unknown>
      fs.writeFileSync(file, JSON.stringify(meta))
      const retention = named(yield* FileCheck.run({ directory }), "retention")
      assert.deepStrictEqual(
        [retention.state, retention.found],
        ["note", "events are kept without limit; nothing was removed yet"]
      )
      assert.include(retention.advice, "tidings retention --max-age")
    })
  )

  it.effect("what stands in the place of a segment is told, with advice", () =>
    Effect.gen(function* () {
      const directory = yield* log
      fs.mkdirSync(path.join(directory, "events-00000002-20260101.ndjson"))
      fs.symlinkSync("/nowhere", path.join(directory, "events-00000003-20260101.ndjson"))
      fs.writeFileSync(path.join(directory, "exported.ndjson"), "")
      const other = named(yield* FileCheck.run({ directory }), "other files")
      assert.strictEqual(other.state, "note")
      assert.strictEqual(other.advice, `move them out of ${directory}`)
      assert.sameMembers(other.facts!["passedOver"] as Array<string>, [
        "events-00000002-20260101.ndjson",
        "events-00000003-20260101.ndjson",
        "exported.ndjson"
      ])
    })
  )

  it.effect("segments that are gone, empty or cut are told, and neither damaged lines nor retention twice", () =>
    Effect.gen(function* () {
      const directory = path.join(yield* TestDirectory.make, "log")
      yield* Effect.scoped(
        Effect.gen(function* () {
          const { backend, log } = yield* open({ directory, segmentSize: 1 })
          for (let seq = 1; seq <= 8; seq++) yield* backend.write([first(seq)])
          yield* log.setRetention({ maxEvents: 6 })
          yield* log.prune()
        })
      )
      const [third, fourth, fifth] = fs.readdirSync(directory).filter((file) => file.endsWith(".ndjson"))
      fs.appendFileSync(path.join(directory, fifth!), "{torn\n")
      const whole = yield* FileCheck.run({ directory })
      assert.deepStrictEqual(
        [named(whole, "lost segments").state, named(whole, "lost segments").found, named(whole, "damaged lines").state],
        ["ok", "none", "note"]
      )
      fs.truncateSync(path.join(directory, third!))
      fs.rmSync(path.join(directory, fourth!))
      const lost = named(yield* FileCheck.run({ directory }), "lost segments")
      assert.deepStrictEqual(
        [lost.state, lost.found, lost.facts],
        ["note", `${third} is empty: its lines are gone; segment 4 of the log is gone`, { gaps: 2 }]
      )
      assert.include(lost.advice, "restore")
    })
  )

  it.effect("damaged lines are counted, and the other checks go on", () =>
    Effect.gen(function* () {
      const directory = yield* log
      const segment = path.join(
        directory,
        fs.readdirSync(directory).find((file) => file.endsWith(".ndjson"))!
      )
      fs.appendFileSync(segment, "{torn\nnonsense\n")
      const checks = yield* FileCheck.run({ directory })
      const damaged = named(checks, "damaged lines")
      assert.deepStrictEqual([damaged.state, damaged.facts!["lines"]], ["note", 2])
      assert.isDefined(damaged.advice)
      assert.strictEqual(named(checks, "events").facts!["events"], 2)
    })
  )

  it.effect("a log without its identity is broken, with advice", () =>
    Effect.gen(function* () {
      const directory = yield* log
      fs.writeFileSync(path.join(directory, ".meta.json"), "nonsense")
      const checks = yield* FileCheck.run({ directory })
      assert.strictEqual(named(checks, "identity").state, "broken")
      assert.include(named(checks, "identity").found, "restore it")
      fs.rmSync(path.join(directory, ".meta.json"))
      const without = named(yield* FileCheck.run({ directory }), "identity")
      assert.strictEqual(without.state, "broken")
      assert.match(without.found, /\.meta\.json is missing beside the segments of an event log: restore it/)
    })
  )

  it.effect("an event from the future is reported by the clock check", () =>
    Effect.gen(function* () {
      const directory = yield* log
      yield* TestClock.setTime(at(3) / 1_000 - 1_000)
      assert.strictEqual(named(yield* FileCheck.run({ directory }), "clock").state, "ok")
      yield* TestClock.setTime(at(3) / 1_000 - 60_000)
      const clock = named(yield* FileCheck.run({ directory }), "clock")
      assert.deepStrictEqual([clock.state, clock.facts], ["note", { aheadSeconds: 60 }])
      assert.include(clock.found, "1m ahead")
    })
  )
})

describe("a journal", () => {
  it.effect("a journal is checked where there is one", () =>
    Effect.gen(function* () {
      const directory = path.join(yield* TestDirectory.make, "journal")
      assert.deepStrictEqual(yield* FileCheck.runJournal(directory), [])
      const owned = yield* runJournal(
        { directory },
        (journal) =>
          Effect.gen(function* () {
            yield* journal.append(occurrences(1, 5))
            yield* journal.checkpoint("a", { upTo: 5, target: "uid", state: null })
            yield* journal.checkpoint("b", { upTo: 2, state: null })
            yield* journal.park("c", first(1), 2, "too large")
            yield* journal.checkpoint("c", { upTo: 5, target: "uid", state: null })
            return yield* FileCheck.runJournal(directory)
          }),
        node
      )
      assert.deepStrictEqual(states(owned), { journal: "ok", "sink a": "ok", "sink b": "ok", "sink c": "note" })
      assert.include(named(owned, "journal").found, "uses it")
      assert.deepInclude(named(owned, "sink b").facts!, { pending: 3, target: null })
      assert.deepInclude(named(owned, "sink c").facts!, { parked: 2, parkedSeries: 1 })
      const free = yield* FileCheck.runJournal(directory)
      assert.include(named(free, "journal").found, "no host uses it")
      assert.deepStrictEqual(states(free), { journal: "ok", "sink a": "ok", "sink b": "note", "sink c": "note" })
      fs.writeFileSync(path.join(directory, "sink-a.checkpoint"), "nonsense")
      assert.strictEqual(named(yield* FileCheck.runJournal(directory), "sink a").state, "broken")
    })
  )
})
