import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { execFileSync, spawnSync } from "node:child_process"
import { appendFileSync, chmodSync, chownSync, existsSync, mkdirSync, readdirSync, statSync } from "node:fs"
import * as path from "node:path"
import { nodeOfRepository } from "./nodeOfRepository.ts"
import * as TestDirectory from "./TestDirectory.ts"

const HOST = 4_001
const SIDECAR = 4_002
const GROUP = 5_000
const OTHER_GROUP = 5_001

const fixture = path.join(import.meta.dirname, "fixtures", "otherUser.ts")

const runAs = (
  user: number,
  group: number,
  what: "emit" | "list" | "append" | "doctor",
  where: string,
  umask = "022"
): string => {
  const { stderr, stdout } = spawnSync(
    nodeOfRepository,
    [
      "--conditions=@tidings/source",
      "--disable-warning=ExperimentalWarning",
      fixture,
      what,
      where,
      String(user),
      String(group),
      umask
    ],
    { encoding: "utf8" }
  )
  assert.notStrictEqual(stdout, "", stderr)
  return stdout
}

/** What kubelet does to a volume with `fsGroup`, at each mount. */
const mountWithGroup = (volume: string): void => {
  execFileSync("chgrp", ["-R", String(GROUP), volume])
  execFileSync("find", [volume, "-type", "d", "-exec", "chmod", "g+rwxs", "{}", "+"])
  execFileSync("find", [volume, "-type", "f", "-exec", "chmod", "ug+rw", "{}", "+"])
}

const modeOf = (file: string): string => (statSync(file).mode & 0o7777).toString(8)

/** A volume of root, in a directory that every user may enter. */
const volume = Effect.map(TestDirectory.make, (parent) => {
  chmodSync(parent, 0o755)
  const volume = path.join(parent, "volume")
  mkdirSync(volume)
  chownSync(volume, 0, GROUP)
  chmodSync(volume, 0o2775)
  return volume
})

const isRoot = process.getuid?.() === 0
if (!isRoot) {
  console.error(
    "*** NOT TESTED WITH OTHER USERS: only root can start processes of other users (run the tests as root) ***"
  )
  if (process.env["CI"] !== undefined) throw new Error("CI has to run the tests of volumes as root")
}

if (isRoot) {
  describe("a volume with fsGroup", () => {
    it.effect("a log at the root of a volume works before and after the next mount", () =>
      Effect.gen(function* () {
        const directory = yield* volume
        assert.strictEqual(runAs(HOST, GROUP, "emit", directory), "written")
        mountWithGroup(directory)
        assert.strictEqual(runAs(HOST, GROUP, "emit", directory), "written")
        assert.strictEqual(runAs(HOST, GROUP, "list", directory), "read 2")
      })
    )

    for (const umask of ["022", "002", "077"]) {
      it.effect(`a log and a journal work in directories of a volume with a umask of ${umask}`, () =>
        Effect.gen(function* () {
          const root = yield* volume
          const log = path.join(root, "tidings", "log")
          const journal = path.join(root, "tidings", "journal")
          for (let mount = 1; mount <= 3; mount++) {
            assert.strictEqual(runAs(HOST, GROUP, "emit", log, umask), "written")
            assert.strictEqual(runAs(HOST, GROUP, "append", journal, umask), `accepted ${mount}`)
            mountWithGroup(root)
          }
          assert.strictEqual(runAs(HOST, GROUP, "list", log), "read 3")
        })
      )
    }

    it.effect("another user of the group continues a log, also after a partial line", () =>
      Effect.gen(function* () {
        const directory = yield* volume
        assert.strictEqual(runAs(HOST, GROUP, "emit", directory, "002"), "written")
        const segment = readdirSync(directory).find((file) => file.endsWith(".ndjson"))
        appendFileSync(path.join(directory, segment!), '{"lastTimestamp":"2026')
        assert.strictEqual(runAs(SIDECAR, GROUP, "emit", directory), "written")
        assert.strictEqual(runAs(HOST, GROUP, "list", directory), "read 2")
      })
    )

    it.effect("the check reports a file that this user may not write to, as recording does", () =>
      Effect.gen(function* () {
        const directory = yield* volume
        assert.strictEqual(runAs(HOST, GROUP, "emit", directory, "022"), "written")
        assert.match(runAs(SIDECAR, GROUP, "emit", directory), /^refused: .*is not accessible/)
        assert.match(
          runAs(SIDECAR, GROUP, "doctor", directory),
          /^permissions broken .*\.ndjson is not accessible.*chmod g\+rw/
        )
        assert.match(runAs(HOST, GROUP, "doctor", directory), /^permissions (?:ok|note) /)
      })
    )

    it.effect("a sidecar of the same group can read a log that it cannot write to", () =>
      Effect.gen(function* () {
        const log = path.join(yield* volume, "log")
        runAs(HOST, GROUP, "emit", log)
        assert.strictEqual(modeOf(log), "2750")
        assert.strictEqual(runAs(SIDECAR, GROUP, "list", log), "read 1")
        assert.match(runAs(SIDECAR, GROUP, "emit", log), /^refused: .*belongs to user 4001.*may only read it/)
        assert.match(runAs(SIDECAR, OTHER_GROUP, "list", log), /^refused: /)
        assert.match(runAs(SIDECAR, GROUP, "doctor", log), /^permissions note /)
        assert.match(runAs(SIDECAR, OTHER_GROUP, "doctor", log), /^permissions broken .*belongs to user 4001/)
      })
    )
  })

  describe("a directory of a user", () => {
    it.effect("the directory of a user is read by root, and written by its owner alone", () =>
      Effect.gen(function* () {
        const parent = path.dirname(yield* volume)
        const home = path.join(parent, "home")
        mkdirSync(home)
        chownSync(home, HOST, HOST)
        const log = path.join(home, "log")
        assert.strictEqual(runAs(HOST, HOST, "emit", log), "written")
        assert.strictEqual(modeOf(log), "700")
        assert.strictEqual(runAs(0, 0, "list", log), "read 1")
        assert.match(runAs(0, 0, "emit", log), /may only read it/)
        assert.match(runAs(SIDECAR, SIDECAR, "list", log), /^refused: /)
      })
    )

    it.effect("doctor reads a log that another user may only read, and says that it may not be recorded to", () =>
      Effect.gen(function* () {
        const log = path.join(path.dirname(yield* volume), "log")
        assert.strictEqual(runAs(0, 0, "emit", log), "written")
        assert.match(runAs(SIDECAR, SIDECAR, "doctor", log), /^permissions broken .*chown -R 4002 .*; undefined$/)
        const files = readdirSync(log).map((file) => path.join(log, file))
        for (const file of [log, ...files]) chmodSync(file, 0o755)
        assert.strictEqual(runAs(SIDECAR, SIDECAR, "list", log), "read 1")
        assert.match(
          runAs(SIDECAR, SIDECAR, "doctor", log),
          /^permissions note .*; this user may read the log, and not record in it: nothing to do to read it; to record: run as user 0, .*; 1 event, the newest/
        )
        const segment = files.find((file) => file.endsWith(".ndjson"))!
        chmodSync(segment, 0o600)
        assert.match(runAs(SIDECAR, SIDECAR, "list", log), /^refused: /)
        assert.match(runAs(SIDECAR, SIDECAR, "doctor", log), /^permissions broken .*; undefined$/)
      })
    )

    it.effect("doctor reads a log that its owner may only read, and says what makes it writable", () =>
      Effect.gen(function* () {
        const home = path.join(path.dirname(yield* volume), "home")
        mkdirSync(home)
        chownSync(home, HOST, HOST)
        const log = path.join(home, "log")
        assert.strictEqual(runAs(HOST, HOST, "emit", log), "written")
        chmodSync(log, 0o500)
        assert.match(
          runAs(HOST, HOST, "doctor", log),
          /^permissions broken .*; this user may read the log, and not record in it: chmod u\+rwx .*; 1 event, the newest/
        )
      })
    )

    it.effect("a directory that everybody may write to is not used, and nothing is created in it", () =>
      Effect.gen(function* () {
        const directory = yield* volume
        chmodSync(directory, 0o777)
        assert.match(runAs(HOST, GROUP, "emit", directory), /writable by everybody \(mode 777\).*chmod o-w/)
        assert.match(runAs(HOST, GROUP, "append", directory), /writable by everybody \(mode 777\).*chmod o-w/)
        assert.isFalse(existsSync(path.join(directory, ".meta.json")))
      })
    )
  })
}
