import { assert, describe, it } from "@effect/vitest"
import * as SimulatedDisk from "@tidings/testing/SimulatedDisk"
import * as Simulation from "@tidings/testing/Simulation"
import { Cause, Effect, Exit } from "effect"

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text)
const textOf = (content: Uint8Array): string => new TextDecoder().decode(content)

const inWorld = <A, E>(
  seed: number,
  scenario: (simulation: Simulation.Simulation) => Effect.Effect<A, E>
): { readonly value: A; readonly counts: Readonly<Record<string, number>> } => {
  const run = Simulation.run({ seed }, scenario)
  if (Exit.isFailure(run.exit)) throw new Error(Cause.pretty(run.exit.cause))
  return { value: run.exit.value, counts: run.counts }
}

const append = (disk: SimulatedDisk.Disk, file: number, text: string): number => {
  const content = bytes(text)
  return disk.append(file, content, 0, content.length)
}

const codeOf = (use: () => unknown): unknown => {
  try {
    use()
    return "no failure"
  } catch (cause) {
    return cause instanceof Error && "code" in cause ? cause.code : cause
  }
}

/** A machine with a host that has done something with its disk and lives on. */
const machineWith = (
  simulation: Simulation.Simulation,
  use: (disk: SimulatedDisk.Disk, machine: SimulatedDisk.SimulatedDisk) => void,
  options?: Parameters<typeof SimulatedDisk.make>[1]
) =>
  Effect.gen(function* () {
    const machine = SimulatedDisk.make(simulation, options)
    machine.makeDirectory("/data")
    const host = simulation.process("host")
    let failure: unknown
    yield* host.start(
      Effect.andThen(
        Effect.sync(() => {
          try {
            use(machine.diskOf(host), machine)
          } catch (error) {
            failure = error
          }
        }),
        Effect.never
      )
    )
    yield* Effect.sleep("1 second")
    if (failure !== undefined && host.alive) throw failure as Error
    return { machine, host }
  })

describe("the simulated disk", () => {
  it("is a disk: files, names, links and directories", () => {
    inWorld(1, (simulation) =>
      machineWith(simulation, (disk) => {
        disk.makeDirectory("/data/a/b", 0o700)
        const file = disk.create("/data/a/log", 0o600)
        append(disk, file, "hello ")
        append(disk, file, "world")
        const into = new Uint8Array(8)
        assert.strictEqual(disk.read(file, into, 1, 5, 6), 5)
        assert.strictEqual(textOf(into.subarray(1, 6)), "world")
        assert.strictEqual(disk.read(file, into, 0, 5, 11), 0)
        disk.truncate(file, 5)
        assert.deepInclude(disk.statusOf(file), { kind: "file", size: 5, links: 1, permissions: 0o600 })
        disk.link("/data/a/log", "/data/a/second")
        disk.linkSymbolic("log", "/data/a/newest")
        assert.strictEqual(disk.readLink("/data/a/newest"), "log")
        assert.strictEqual(disk.readLink("/data/a/log"), undefined)
        assert.deepInclude(disk.status("/data/a/newest"), { size: 5, links: 2 })
        assert.deepStrictEqual(disk.list("/data/a"), ["b", "log", "newest", "second"])
        disk.rename("/data/a/second", "/data/a/b/moved")
        disk.unlink("/data/a/log")
        assert.deepStrictEqual(disk.list("/data/a"), ["b", "newest"])
        assert.strictEqual(disk.status("/data/a/newest"), undefined)
        // What is open stays, whatever becomes of its name.
        assert.strictEqual(disk.statusOf(file).links, 1)
        disk.close(file)
        assert.deepStrictEqual(
          [
            codeOf(() => disk.openToRead("/data/none")),
            codeOf(() => disk.create("/data/a/b/moved", 0o600)),
            codeOf(() => disk.openToRead("/data/a")),
            codeOf(() => disk.openDirectory("/data/a/b/moved")),
            codeOf(() => disk.statusOf(file)),
            codeOf(() => disk.create("/none/file", 0o600))
          ],
          ["ENOENT", "EEXIST", "EISDIR", "ENOTDIR", "EBADF", "ENOENT"]
        )
      })
    )
  })

  it("keeps everything when a process is killed", () => {
    const { value } = inWorld(1, (simulation) =>
      Effect.gen(function* () {
        const { host, machine } = yield* machineWith(simulation, (disk) => {
          append(disk, disk.create("/data/log", 0o600), "written")
        })
        yield* host.kill
        return textOf(machine.contentOf("/data/log"))
      })
    )
    assert.strictEqual(value, "written")
  })

  it("keeps what was synced when the power goes, and of the rest what it will", () => {
    const seen = { torn: 0, hole: 0, forgotten: 0, whole: 0 }
    for (let seed = 1; seed <= 200; seed++) {
      const rest = "x".repeat(300)
      const { counts, value } = inWorld(seed, (simulation) =>
        Effect.gen(function* () {
          const { host, machine } = yield* machineWith(simulation, (disk) => {
            const file = disk.create("/data/log", 0o600)
            append(disk, file, "synced ")
            disk.sync(file)
            disk.sync(disk.openDirectory("/data"))
            append(disk, file, rest)
          })
          machine.cutPower()
          assert.isFalse(host.alive)
          return textOf(machine.contentOf("/data/log"))
        })
      )
      assert.isTrue(value.startsWith("synced "), value)
      assert.match(value.slice(7), /^[x\0]*$/)
      assert.isAtMost(value.length, 7 + rest.length)
      seen.torn += counts["disk.torn"] ?? 0
      seen.hole += counts["disk.hole"] ?? 0
      seen.forgotten += counts["disk.forgotten"] ?? 0
      if (value === `synced ${rest}`) seen.whole++
    }
    for (const [what, n] of Object.entries(seen)) assert.isAbove(n, 5, what)
  })

  it("loses names whose directory was not synced, and never half of a rename", () => {
    const states = new Set<string>()
    for (let seed = 1; seed <= 100; seed++) {
      const { value } = inWorld(seed, (simulation) =>
        Effect.gen(function* () {
          const { machine } = yield* machineWith(simulation, (disk) => {
            disk.create("/data/kept", 0o600)
            disk.sync(disk.openDirectory("/data"))
            disk.create("/data/new", 0o600)
            disk.rename("/data/kept", "/data/renamed")
            disk.unlink("/data/renamed")
          })
          machine.cutPower()
          return machine.paths().join(" ")
        })
      )
      states.add(value)
    }
    assert.deepStrictEqual([...states].sort(), [
      "/ /data /data/kept",
      "/ /data /data/kept /data/new",
      "/ /data /data/new",
      "/ /data /data/new /data/renamed"
    ])
  })

  it("loses what a failed sync should have kept, though the next one succeeds", () => {
    const { value } = inWorld(3, (simulation) =>
      Effect.gen(function* () {
        const { machine } = yield* machineWith(simulation, (disk, machine) => {
          const file = disk.create("/data/log", 0o600)
          disk.sync(disk.openDirectory("/data"))
          append(disk, file, "lost")
          machine.setFaults({ sync: 1 })
          assert.strictEqual(
            codeOf(() => disk.sync(file)),
            "EIO"
          )
          machine.setFaults({})
          disk.sync(file)
          append(disk, file, "kept")
          disk.sync(file)
        })
        machine.cutPower()
        return textOf(machine.contentOf("/data/log"))
      })
    )
    assert.strictEqual(value.slice(4), "kept")
  })

  it("fills up, and takes what still fits", () => {
    const { counts } = inWorld(1, (simulation) =>
      machineWith(
        simulation,
        (disk, machine) => {
          const file = disk.create("/data/log", 0o600)
          assert.strictEqual(append(disk, file, "12345678"), 8)
          assert.strictEqual(append(disk, file, "12345678"), 2)
          assert.strictEqual(
            codeOf(() => append(disk, file, "1")),
            "ENOSPC"
          )
          disk.truncate(file, 4)
          assert.strictEqual(append(disk, file, "12345678"), 6)
          machine.setCapacity(100)
          assert.strictEqual(append(disk, file, "12345678"), 8)
        },
        { capacity: 10 }
      )
    )
    assert.deepInclude(counts, { "disk.full": 1, "disk.shortWrite": 2 })
  })

  it("syncs while the process goes on", () => {
    const { value } = inWorld(1, (simulation) =>
      Effect.gen(function* () {
        const done: Array<unknown> = []
        const { machine } = yield* machineWith(simulation, (disk) => {
          const file = disk.create("/data/log", 0o600)
          disk.sync(disk.openDirectory("/data"))
          append(disk, file, "later")
          disk.syncLater(file, (cause) => done.push(cause))
          assert.deepStrictEqual(done, [])
        })
        machine.cutPower()
        return { done, content: textOf(machine.contentOf("/data/log")) }
      })
    )
    assert.deepStrictEqual(value, { done: [undefined], content: "later" })
  })

  it("is no longer there for a process that is dead", () => {
    inWorld(1, (simulation) =>
      Effect.gen(function* () {
        let old: SimulatedDisk.Disk | undefined
        const { host, machine } = yield* machineWith(simulation, (disk) => {
          old = disk
          assert.isDefined(disk.lock("/data/lock"))
          assert.isUndefined(disk.lock("/data/lock"))
        })
        yield* host.kill
        for (const use of [
          () => old!.list("/data"),
          () => old!.create("/data/log", 0o600),
          () => old!.status("/data"),
          () => old!.unlink("/data/lock")
        ]) {
          assert.strictEqual(codeOf(use), "ESRCH")
        }
        yield* host.start(
          Effect.andThen(
            Effect.sync(() => {
              const disk = machine.diskOf(host)
              // The lock has ended with the process that held it.
              const lock = disk.lock("/data/lock")
              assert.isDefined(lock)
              lock.release()
              assert.isDefined(disk.lock("/data/lock"))
            }),
            Effect.never
          )
        )
        yield* Effect.sleep("1 second")
        assert.isTrue(host.alive)
      })
    )
  })

  it("dies with the process in the middle of a write", () => {
    const lengths = new Set<number>()
    for (let seed = 1; seed <= 50; seed++) {
      inWorld(seed, (simulation) =>
        Effect.gen(function* () {
          const { host, machine } = yield* machineWith(simulation, (disk, machine) => {
            const file = disk.create("/data/log", 0o600)
            machine.setFaults({ death: 1 })
            append(disk, file, "12345")
          })
          assert.isFalse(host.alive)
          lengths.add(machine.contentOf("/data/log").length)
        })
      )
    }
    assert.isAbove(lengths.size, 3)
  })

  it("decays by a bit", () => {
    inWorld(1, (simulation) =>
      Effect.gen(function* () {
        const { machine } = yield* machineWith(simulation, (disk) => {
          append(disk, disk.create("/data/log", 0o600), "12345")
          disk.create("/data/empty", 0o600)
        })
        assert.isTrue(machine.rot("/data/log"))
        assert.isFalse(machine.rot("/data/empty"))
        assert.notStrictEqual(textOf(machine.contentOf("/data/log")), "12345")
        assert.strictEqual(machine.contentOf("/data/log").length, 5)
      })
    )
  })

  it("tells who watches", () => {
    const { value } = inWorld(1, (simulation) =>
      Effect.gen(function* () {
        let changes = 0
        yield* machineWith(simulation, (disk) => {
          const watch = disk.watch(
            "/data",
            () => changes++,
            () => {}
          )
          const file = disk.create("/data/log", 0o600)
          append(disk, file, "12345")
          disk.makeDirectory("/elsewhere", 0o700)
          void watch
        })
        return changes
      })
    )
    assert.strictEqual(value, 2)
  })
})
