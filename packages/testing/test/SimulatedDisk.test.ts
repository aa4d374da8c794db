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
  it("has files, names, links and directories, as a disk does", () => {
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
        const orders = new Set(Array.from({ length: 50 }, () => disk.list("/data/a").join(" ")))
        assert.isAbove(orders.size, 5)
        for (const order of orders) assert.strictEqual(order.split(" ").sort().join(" "), "b log newest second")
        disk.rename("/data/a/second", "/data/a/b/moved")
        disk.unlink("/data/a/log")
        assert.deepStrictEqual(disk.list("/data/a").toSorted(), ["b", "newest"])
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

  it("keeps what was synced through a power cut, and any part of the rest", () => {
    const seen: Record<string, number> = { torn: 0, hole: 0, forgotten: 0, whole: 0 }
    const holes = new Set<number>()
    for (let seed = 1; seed <= 300; seed++) {
      const rest = "x".repeat(10_000)
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
      for (const what of Object.keys(seen)) seen[what]! += counts[`disk.${what}`] ?? 0
      if (counts["disk.forgotten"] === 1) assert.strictEqual(value, "synced ")
      if (counts["disk.whole"] === 1) assert.strictEqual(value, `synced ${rest}`)
      // Between holes stand whole sectors.
      for (const [{ length }] of value.slice(7).matchAll(/(?<=\0)x+(?=\0)/g)) {
        const size = [4_096, 512, 64].find((size) => length % size === 0)
        assert.isDefined(size)
        holes.add(size)
      }
    }
    for (const [what, n] of Object.entries(seen)) assert.isAbove(n, 5, what)
    assert.deepStrictEqual([...holes].sort(), [4_096, 512, 64])
  })

  it("may lose a truncation that was not synced", () => {
    const found = new Set<string>()
    for (let seed = 1; seed <= 100; seed++) {
      const { value } = inWorld(seed, (simulation) =>
        Effect.gen(function* () {
          const { machine } = yield* machineWith(simulation, (disk) => {
            const file = disk.create("/data/log", 0o600)
            append(disk, file, "12345678")
            disk.sync(file)
            disk.sync(disk.openDirectory("/data"))
            disk.truncate(file, 4)
            append(disk, file, "ab")
          })
          machine.cutPower()
          return textOf(machine.contentOf("/data/log")).replaceAll("\0", "-")
        })
      )
      found.add(value)
    }
    assert.includeMembers([...found], ["12345678", "1234", "1234ab", "1234ab78", "1234a", "1234--"])
    for (const one of found) assert.match(one, /^1234(?:[5a-]?[6b-]?(?:78)?)$/)
  })

  it("loses the contents of a directory whose name is lost", () => {
    const found = new Set<string>()
    let unreachable = 0
    for (let seed = 1; seed <= 40; seed++) {
      const { counts, value } = inWorld(seed, (simulation) =>
        Effect.gen(function* () {
          const { machine } = yield* machineWith(simulation, (disk) => {
            disk.makeDirectory("/data/a/b", 0o700)
            disk.create("/data/a/b/log", 0o600)
            disk.sync(disk.openDirectory("/data/a/b"))
          })
          machine.cutPower()
          return machine.paths().slice(2).join(" ")
        })
      )
      found.add(value)
      unreachable += counts["disk.unreachable"] ?? 0
    }
    assert.deepStrictEqual([...found].sort(), ["", "/data/a", "/data/a /data/a/b /data/a/b/log"])
    assert.isAbove(unreachable, 5)
  })

  it("may lose names whose directory was not synced, but never half of a rename", () => {
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
    const lengths = new Set<number>()
    for (let seed = 1; seed <= 20; seed++) {
      const { value } = inWorld(seed, (simulation) => failedSync(simulation, lengths))
      assert.strictEqual(value, "\0\0\0\0kept")
    }
    // A loss of power finds its length or not, and never its bytes.
    assert.deepStrictEqual([...lengths].sort(), [0, 4])
  })

  const failedSync = (simulation: Simulation.Simulation, lengths: Set<number>) =>
    Effect.gen(function* () {
      const lost = yield* machineWith(
        simulation,
        (disk, machine) => {
          const file = disk.create("/data/other", 0o600)
          disk.sync(disk.openDirectory("/data"))
          append(disk, file, "lost")
          machine.plan({ faults: [{ call: "sync", nth: 1 }] })
          assert.strictEqual(
            codeOf(() => disk.sync(file)),
            "EIO"
          )
        },
        { name: "other" }
      )
      lost.machine.cutPower()
      assert.match(textOf(lost.machine.contentOf("/data/other")), /^\0*$/)
      lengths.add(lost.machine.contentOf("/data/other").length)
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

  it("writes what still fits when it is full, then fails with ENOSPC", () => {
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

  it("carries out a sync that is not waited for while the process continues", () => {
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

  it("makes durable with a sync all changes before it, and perhaps later ones", () => {
    const found = new Set<string>()
    for (let seed = 1; seed <= 100; seed++) {
      const { value } = inWorld(seed, (simulation) =>
        Effect.gen(function* () {
          const { machine } = yield* machineWith(simulation, (disk) => {
            const file = disk.create("/data/log", 0o600)
            append(disk, file, "before ")
            disk.syncLater(file, () => {})
            append(disk, file, "since")
            const directory = disk.openDirectory("/data")
            disk.syncLater(directory, () => {})
            disk.create("/data/since", 0o600)
          })
          machine.cutPower()
          return `${textOf(machine.contentOf("/data/log")).replaceAll("\0", "-")} ${machine.paths().length}`
        })
      )
      found.add(value)
    }
    for (const one of found) assert.match(one, /^before /)
    assert.includeMembers([...found], ["before since 3", "before since 4", "before  3", "before  4"])
  })

  it("carries out nothing after a power cut that was requested before it", () => {
    for (let seed = 1; seed <= 20; seed++) {
      inWorld(seed, (simulation) =>
        Effect.gen(function* () {
          const machine = SimulatedDisk.make(simulation, { latency: "1 minute" })
          machine.makeDirectory("/data")
          const host = simulation.process("host")
          const program = (use: (disk: SimulatedDisk.Disk) => void) =>
            Effect.andThen(
              Effect.sync(() => use(machine.diskOf(host))),
              Effect.never
            )
          yield* host.start(
            program((disk) => {
              const file = disk.create("/data/log", 0o600)
              disk.sync(disk.openDirectory("/data"))
              disk.syncLater(file, () => {})
            })
          )
          yield* Effect.sleep("1 millis")
          machine.cutPower()
          yield* host.start(program((disk) => void append(disk, disk.openToAppend("/data/log"), "later")))
          yield* Effect.sleep("1 hour")
          assert.strictEqual(simulation.counts["disk.synced"], 1)
        })
      )
    }
  })

  it("fails every call of a process that is dead", () => {
    inWorld(1, (simulation) =>
      Effect.gen(function* () {
        let old: SimulatedDisk.Disk | undefined
        const { host, machine } = yield* machineWith(simulation, (disk) => {
          old = disk
          assert.isDefined(disk.lock("/data/lock", 0o600))
          assert.isUndefined(disk.lock("/data/lock", 0o600))
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
              const lock = disk.lock("/data/lock", 0o600)
              assert.isDefined(lock)
              lock.release()
              assert.isDefined(disk.lock("/data/lock", 0o600))
            }),
            Effect.never
          )
        )
        yield* Effect.sleep("1 second")
        assert.isTrue(host.alive)
      })
    )
  })

  it("may keep a part of a write in which the process dies", () => {
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

  it("fails calls and ends the process exactly where it was planned", () => {
    const { counts } = inWorld(1, (simulation) =>
      machineWith(simulation, (disk, machine) => {
        const log = disk.create("/data/log", 0o600)
        machine.plan({
          faults: [
            { call: "append", nth: 2, times: 2, code: "ENOSPC", path: "log" },
            { call: "rename", nth: 1 }
          ]
        })
        const other = disk.create("/data/other", 0o600)
        assert.strictEqual(append(disk, other, "1"), 1)
        assert.strictEqual(append(disk, log, "1"), 1)
        assert.strictEqual(append(disk, other, "1"), 1)
        const codes = Array.from({ length: 3 }, () => codeOf(() => append(disk, log, "1")))
        assert.deepStrictEqual(codes, ["ENOSPC", "ENOSPC", "no failure"])
        assert.strictEqual(
          codeOf(() => disk.rename("/data/other", "/data/moved")),
          "EIO"
        )
        disk.rename("/data/other", "/data/moved")
        disk.read(log, new Uint8Array(1), 0, 1, 0)
        assert.strictEqual(machine.calls(), 9)
        machine.plan({})
        assert.strictEqual(machine.calls(), 0)
      })
    )
    assert.deepInclude(counts, { "disk.append.ENOSPC": 2, "disk.appendFailed": 2, "disk.rename.EIO": 1 })
    assert.notProperty(counts, "disk.died")
  })

  it("can end the process at each call that changes or syncs something", () => {
    /** What was done before it died, and what is left. */
    const states: Array<string> = []
    for (let dieAt = 1; states.at(-1)?.startsWith("done") !== true; dieAt++) {
      const did: Array<string> = []
      const { value } = inWorld(dieAt, (simulation) =>
        Effect.gen(function* () {
          const { host, machine } = yield* machineWith(simulation, (disk, machine) => {
            machine.plan({ dieAt })
            const step = <A>(what: string, use: () => A): A => {
              const result = use()
              did.push(what)
              return result
            }
            const file = step("create", () => disk.create("/data/log", 0o600))
            step("append", () => append(disk, file, "1"))
            step("sync", () => disk.sync(file))
            step("truncate", () => disk.truncate(file, 0))
            step("syncLater", () => disk.syncLater(file, () => did.push("done")))
          })
          assert.strictEqual(host.alive, did.includes("done"))
          return machine.paths().length
        })
      )
      states.push(`${did.at(-1) ?? "nothing"}, ${value} paths`)
    }
    assert.deepStrictEqual(states, [
      "nothing, 2 paths",
      "create, 3 paths",
      "append, 3 paths",
      "sync, 3 paths",
      "truncate, 3 paths",
      "syncLater, 3 paths",
      "done, 3 paths"
    ])
  })

  it("can flip one bit of a file", () => {
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

  it("tells watchers of a directory about its changes", () => {
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

  it("keeps open files and locks when their directory is removed or renamed", () => {
    const { counts } = inWorld(1, (simulation) =>
      Effect.gen(function* () {
        const { machine } = yield* machineWith(simulation, (disk, machine) => {
          disk.makeDirectory("/data/a", 0o700)
          const file = disk.create("/data/a/log", 0o600)
          const { identity } = disk.statusOf(file)
          const lock = disk.lock("/data/a/lock", 0o600)
          assert.isDefined(lock)
          append(disk, file, "one")
          machine.renameTree("/data/a", "/data/b")
          assert.isUndefined(disk.status("/data/a"))
          assert.isFalse(disk.leadsTo("/data/a/log", identity))
          assert.isTrue(disk.leadsTo("/data/b/log", identity))
          assert.isFalse(disk.isUnlinked(file))
          append(disk, file, "two")
          assert.strictEqual(textOf(machine.contentOf("/data/b/log")), "onetwo")
          assert.isUndefined(disk.lock("/data/b/lock", 0o600))
          // A lock that is deleted keeps nobody out.
          machine.removeTree("/data/b/lock")
          assert.isDefined(disk.lock("/data/b/lock", 0o600))
          machine.removeTree("/data/b")
          assert.isTrue(disk.isUnlinked(file))
          append(disk, file, "three")
          assert.deepStrictEqual(machine.paths(), ["/", "/data"])
          assert.strictEqual(
            codeOf(() => disk.create("/data/b/log", 0o600)),
            "ENOENT"
          )
        })
        machine.cutPower()
        assert.deepStrictEqual(machine.paths(), ["/", "/data"])
      })
    )
    assert.include(counts, { "disk.treeMoved": 1, "disk.treeRemoved": 2 })
  })
})
