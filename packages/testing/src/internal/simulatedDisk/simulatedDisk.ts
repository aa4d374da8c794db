import * as Duration from "effect/Duration"
import type { Process, Simulation } from "../../Simulation.ts"
import type { Call, Disk, Faults, FileStatus, Options, PlannedFault, SimulatedDisk } from "./model.ts"

/** What is written reaches the disk by sectors, in any order. Smaller ones than real ones tear more often. */
const SECTORS = [64, 512, 4_096]
const USER = 1_000
const MAXIMUM_LINKS_FOLLOWED = 8

interface Node {
  readonly id: number
  readonly kind: "file" | "directory" | "link"
  readonly permissions: number
  readonly made: number
  readonly target: string
  /** What a process sees. */
  bytes: Uint8Array
  size: number
  /** What a loss of power leaves for sure. */
  durable: Uint8Array
  /** Written and not synced, the oldest first. */
  dirty: Array<{ readonly from: number; readonly to: number; readonly at: number }>
  /** Truncated and not synced, the oldest first. */
  cuts: Array<{ readonly size: number; readonly at: number }>
}

/** What happens to names in one go, in one directory. */
interface NameChange {
  readonly directory: string
  readonly names: ReadonlyArray<{ readonly path: string; readonly node: Node | undefined }>
  readonly at: number
}

/** Which share of the faults a call goes by. */
const SHARES: { readonly [K in Call]: "append" | "sync" | "read" | "names" | undefined } = {
  append: "append",
  create: "names",
  link: "names",
  linkSymbolic: "names",
  makeDirectory: "names",
  read: "read",
  rename: "names",
  sync: "sync",
  syncLater: "sync",
  truncate: undefined,
  unlink: "names"
}

const failure = (code: string, path: string): Error => Object.assign(new Error(`${code}: ${path}`), { code })

const parentOf = (path: string): string => path.slice(0, Math.max(1, path.lastIndexOf("/")))

const tidy = (path: string): string => (path.length > 1 && path.endsWith("/") ? path.slice(0, -1) : path)

/** The same bytes, and zeros after them; never fewer. */
const extended = (bytes: Uint8Array, size: number): Uint8Array => {
  const larger = new Uint8Array(Math.max(bytes.length, size))
  larger.set(bytes)
  return larger
}

/** @internal */
export const make = (simulation: Simulation, options: Options): SimulatedDisk => {
  const name = options.name ?? "disk"
  const dice = simulation.dice.fork(name)
  const latency = Duration.toMillis(options.latency ?? "5 millis")
  let faults: Faults = options.faults ?? {}
  let capacity = options.capacity ?? Number.POSITIVE_INFINITY
  let nextId = 1
  let descriptors = 2
  /** Of changes, so that a sync knows what came before it. */
  let moment = 0
  /** How often the power went. */
  let outages = 0
  let calls = 0
  let dieAt = Number.POSITIVE_INFINITY
  let planned: ReadonlyArray<{ readonly fault: PlannedFault; seen: number }> = []
  const processes = new Set<Process>()
  /** By the id of the file: who holds it, whatever it is called. */
  const locks = new Map<number, () => boolean>()
  const watchers = new Set<{ readonly directory: string; readonly changed: () => void }>()

  const count = (what: string) => simulation.count(`${name}.${what}`)

  const newNode = (kind: Node["kind"], permissions: number, target = ""): Node => ({
    id: nextId++,
    kind,
    permissions,
    made: Math.floor(simulation.now() / 1_000),
    target,
    bytes: new Uint8Array(0),
    size: 0,
    durable: new Uint8Array(0),
    dirty: [],
    cuts: []
  })

  const names = new Map<string, Node>([["/", newNode("directory", 0o755)]])
  const durableNames = new Map(names)
  /** Changes of names that no sync of their directory has made durable, in order. */
  let unsynced: Array<NameChange> = []

  const applyNames = (to: Map<string, Node>, change: NameChange): void => {
    for (const { node, path } of change.names) {
      if (node === undefined) to.delete(path)
      else to.set(path, node)
    }
  }

  /** The first of the names tells the directory. */
  const changeNames = (changed: NameChange["names"]): void => {
    const change: NameChange = { directory: parentOf(changed[0]!.path), names: changed, at: ++moment }
    applyNames(names, change)
    unsynced.push(change)
    hasChanged(change.directory)
  }

  const hasChanged = (directory: string): void => {
    for (const watcher of watchers) if (watcher.directory === directory) simulation.soon(watcher.changed)
  }

  const used = (): number => {
    let bytes = 0
    for (const node of new Set(names.values())) bytes += node.size
    return bytes
  }

  // -------------------------------------------------------------------------
  // contents
  // -------------------------------------------------------------------------

  const write = (node: Node, bytes: Uint8Array): void => {
    const size = node.size + bytes.length
    if (size > node.bytes.length) {
      const larger = new Uint8Array(2 * size)
      larger.set(node.bytes.subarray(0, node.size))
      node.bytes = larger
    }
    node.bytes.set(bytes, node.size)
    node.dirty.push({ from: node.size, to: size, at: ++moment })
    node.size = size
  }

  const truncate = (node: Node, size: number): void => {
    node.size = size
    node.dirty = node.dirty
      .filter(({ from }) => from < size)
      .map(({ at, from, to }) => ({ from, to: Math.min(to, size), at }))
    node.cuts.push({ size, at: ++moment })
  }

  /** What is durable, after some of the cuts. */
  const cutBy = (node: Node, cuts: Node["cuts"]): Uint8Array =>
    node.durable.slice(0, Math.min(node.durable.length, ...cuts.map(({ size }) => size)))

  /**
   * Makes durable what was changed up to a moment. When that fails, the system takes it for durable all the same, and the
   * next sync passes it over.
   */
  const settle = (node: Node, upTo: number, fails: boolean): void => {
    const covered = node.dirty.filter(({ at }) => at <= upTo)
    const later = node.dirty.filter(({ at }) => at > upTo)
    const end = later.length === 0 ? node.size : Math.max(0, ...covered.map(({ to }) => to))
    node.dirty = later
    if (fails) {
      // The length is kept elsewhere than the bytes, and may have got there.
      if (dice.chance(0.5)) node.durable = extended(node.durable, end)
      return
    }
    const base = cutBy(
      node,
      node.cuts.filter(({ at }) => at <= upTo)
    )
    node.durable = extended(base, end)
    for (const { from, to } of covered) node.durable.set(node.bytes.subarray(from, to), from)
    node.cuts = node.cuts.filter(({ at }) => at > upTo)
  }

  const afterPowerCut = (node: Node): void => {
    const before = cutBy(node, node.cuts.slice(0, dice.integer(0, node.cuts.length)))
    let after = before
    if (node.dirty.length > 0) {
      const how = dice.integer(0, 3)
      if (how === 0) count("forgotten")
      else if (how === 1) {
        // The length, and some of the sectors: the others were never written.
        after = extended(before, node.size)
        const size = dice.pick(SECTORS)
        const sectors = new Set<number>()
        for (const { from, to } of node.dirty) {
          for (let at = from - (from % size); at < to; at += size) sectors.add(at)
        }
        for (const at of sectors) {
          if (dice.chance(0.5)) count("hole")
          else after.set(node.bytes.subarray(at, Math.min(node.size, at + size)), at)
        }
      } else {
        // All of it, up to somewhere.
        const end = how === 2 ? node.size : dice.integer(Math.min(before.length, node.size), node.size)
        after = extended(before, end)
        for (const { from, to } of node.dirty) {
          if (from < end) after.set(node.bytes.subarray(from, Math.min(to, end)), from)
        }
        count(end < node.size ? "torn" : "whole")
      }
    }
    node.durable = after
    node.bytes = after.slice()
    node.size = after.length
    node.dirty = []
    node.cuts = []
  }

  const cutPower = (): void => {
    simulation.trace(`${name}: the power goes`)
    outages++
    for (const process of processes) process.killUnsafe()
    const survives = dice.integer(0, unsynced.length)
    if (survives < unsynced.length) count("namesLost")
    for (const change of unsynced.slice(0, survives)) applyNames(durableNames, change)
    unsynced = []
    // Nothing leads to what was in a directory that is lost.
    for (const path of [...durableNames.keys()].sort()) {
      if (durableNames.get(parentOf(path))?.kind === "directory") continue
      durableNames.delete(path)
      count("unreachable")
    }
    names.clear()
    for (const [path, node] of durableNames) names.set(path, node)
    for (const node of new Set(names.values())) afterPowerCut(node)
  }

  // -------------------------------------------------------------------------
  // the disk of one life
  // -------------------------------------------------------------------------

  const diskOf = (process: Process): Disk => {
    const { life } = process
    const living = () => process.alive && process.life === life
    processes.add(process)
    const opened = new Map<number, { readonly node: Node; readonly path: string }>()

    const alive = (path: string): void => {
      if (!living()) throw failure("ESRCH", path)
    }
    const end = (): void => {
      count("died")
      process.killUnsafe()
    }
    const die = (path: string): never => {
      end()
      throw failure("ESRCH", path)
    }
    /** Whether the process dies in this call. */
    const isLast = (): boolean => ++calls === dieAt || dice.chance(faults.death ?? 0)
    const plannedCode = (call: Call, path: string): string | undefined => {
      let code: string | undefined
      for (const one of planned) {
        const { fault } = one
        if (fault.call !== call || (fault.path !== undefined && !path.includes(fault.path))) continue
        one.seen++
        if (one.seen >= fault.nth && one.seen < fault.nth + (fault.times ?? 1)) code ??= fault.code ?? "EIO"
      }
      return code
    }
    const failureOf = (call: Call, path: string): Error | undefined => {
      const share = SHARES[call]
      const byChance = share !== undefined && dice.chance(faults[share] ?? 0) ? "EIO" : undefined
      const code = plannedCode(call, path) ?? byChance
      if (code === undefined) return undefined
      count(`${share ?? call}Failed`)
      count(`${call}.${code}`)
      return failure(code, path)
    }
    const mayFail = (call: Call, path: string): void => {
      const failed = failureOf(call, path)
      if (failed !== undefined) throw failed
    }
    /** Every call that changes something is one in which the process may die, and that may fail. */
    const changing = (call: Call, path: string): void => {
      alive(path)
      if (isLast()) die(path)
      mayFail(call, path)
    }
    const follow = (given: string): string => {
      let path = tidy(given)
      for (let followed = 0; followed < MAXIMUM_LINKS_FOLLOWED; followed++) {
        const node = names.get(path)
        if (node?.kind !== "link") return path
        path = node.target.startsWith("/") ? node.target : `${parentOf(path)}/${node.target}`
      }
      throw failure("ELOOP", given)
    }
    const find = (path: string): Node => {
      const node = names.get(follow(path))
      if (node === undefined) throw failure("ENOENT", path)
      return node
    }
    const openAs = (path: string, kind: "file" | "directory"): number => {
      alive(path)
      const node = find(path)
      if (node.kind !== kind) throw failure(kind === "file" ? "EISDIR" : "ENOTDIR", path)
      const descriptor = ++descriptors
      opened.set(descriptor, { node, path: follow(path) })
      return descriptor
    }
    const of = (descriptor: number) => {
      const found = opened.get(descriptor)
      alive(found?.path ?? String(descriptor))
      if (found === undefined) throw failure("EBADF", String(descriptor))
      return found
    }
    const nameFree = (path: string): void => {
      if (names.has(path)) throw failure("EEXIST", path)
      if (names.get(parentOf(path))?.kind !== "directory") throw failure("ENOENT", parentOf(path))
    }
    const identityOf = (node: Node): string => `${name}:${node.id}`
    const statusOf = (node: Node): FileStatus => {
      let links = 0
      for (const other of names.values()) if (other === node) links++
      return {
        kind: node.kind,
        size: node.size,
        identity: identityOf(node),
        links,
        owner: USER,
        group: USER,
        permissions: node.permissions,
        made: node.made
      }
    }
    const sync = (
      { node, path }: { readonly node: Node; readonly path: string },
      call: "sync" | "syncLater",
      upTo: number
    ): Error | undefined => {
      const failed = failureOf(call, path)
      if (failed === undefined) count("synced")
      if (node.kind !== "directory") settle(node, upTo, failed !== undefined)
      else if (failed === undefined) {
        const isCovered = ({ at, directory }: NameChange) => directory === path && at <= upTo
        for (const change of unsynced) if (isCovered(change)) applyNames(durableNames, change)
        unsynced = unsynced.filter((change) => !isCovered(change))
      }
      return failed
    }

    return {
      user: USER,
      groups: [USER],
      isInPod: false,
      openToRead: (path) => openAs(path, "file"),
      openToAppend: (path) => openAs(path, "file"),
      openDirectory: (path) => openAs(path, "directory"),
      create: (given, permissions) => {
        const path = tidy(given)
        changing("create", path)
        nameFree(path)
        changeNames([{ path, node: newNode("file", permissions) }])
        return openAs(path, "file")
      },
      close: (descriptor) => {
        of(descriptor)
        opened.delete(descriptor)
      },
      read: (descriptor, into, offset, length, position) => {
        const { node, path } = of(descriptor)
        mayFail("read", path)
        const end = Math.min(node.size, position + length)
        if (end <= position) return 0
        into.set(node.bytes.subarray(position, end), offset)
        return end - position
      },
      append: (descriptor, from, offset, length) => {
        const { node, path } = of(descriptor)
        const bytes = from.subarray(offset, offset + length)
        if (isLast()) {
          // A process may be killed in the middle of a write.
          write(node, bytes.subarray(0, dice.integer(0, bytes.length)))
          die(path)
        }
        mayFail("append", path)
        const room = capacity - used()
        if (room <= 0 && length > 0) {
          count("full")
          throw failure("ENOSPC", path)
        }
        let taken = Math.min(length, room)
        if (taken > 1 && dice.chance(faults.shortWrite ?? 0)) taken = dice.integer(1, taken - 1)
        if (taken < length) count("shortWrite")
        write(node, bytes.subarray(0, taken))
        hasChanged(parentOf(path))
        return taken
      },
      sync: (descriptor) => {
        const found = of(descriptor)
        if (isLast()) die(found.path)
        const failed = sync(found, "sync", moment)
        if (failed !== undefined) throw failed
      },
      syncLater: (descriptor, done) => {
        const found = of(descriptor)
        if (isLast()) die(found.path)
        const asked = moment
        const outage = outages
        simulation.after(dice.next() * latency, () => {
          if (outage !== outages) return
          // Of a process that is dead, the system carries it out, or has not begun to.
          if (!living() && dice.chance(0.5)) return
          if (living() && isLast()) return end()
          // What was changed since it was asked for is none of its business, and is often swept along.
          const failed = sync(found, "syncLater", dice.chance(0.5) ? moment : asked)
          if (living()) done(failed)
        })
      },
      truncate: (descriptor, size) => {
        const { node, path } = of(descriptor)
        changing("truncate", path)
        if (size > node.size) throw failure("EINVAL", path)
        truncate(node, size)
        hasChanged(parentOf(path))
      },
      lock: (path) => {
        alive(path)
        if (!names.has(path)) changeNames([{ path, node: newNode("file", 0o600) }])
        const { id } = names.get(path)!
        if (locks.get(id)?.() === true) return undefined
        let released = false
        const holds = () => !released && living()
        locks.set(id, holds)
        return {
          release: () => {
            released = true
          }
        }
      },
      settle: (descriptor) => {
        of(descriptor)
      },
      statusOf: (descriptor) => statusOf(of(descriptor).node),
      status: (path) => {
        alive(path)
        const node = names.get(follow(path))
        return node === undefined ? undefined : statusOf(node)
      },
      exists: (path) => {
        alive(path)
        return names.has(follow(path))
      },
      leadsTo: (path, identity) => {
        alive(path)
        const node = names.get(follow(path))
        return node !== undefined && identityOf(node) === identity
      },
      isUnlinked: (descriptor) => {
        const { node } = of(descriptor)
        for (const other of names.values()) if (other === node) return false
        return true
      },
      list: (given) => {
        alive(given)
        const directory = follow(given)
        if (names.get(directory)?.kind !== "directory") throw failure("ENOENT", given)
        const prefix = directory === "/" ? "/" : `${directory}/`
        const found = [...names.keys()]
          .filter((path) => path !== directory && path.startsWith(prefix) && !path.slice(prefix.length).includes("/"))
          .map((path) => path.slice(prefix.length))
        for (let left = found.length; left > 1; left--) found.push(...found.splice(dice.integer(0, left - 1), 1))
        return found
      },
      makeDirectory: (given, permissions) => {
        changing("makeDirectory", given)
        let path = ""
        for (const part of tidy(given).split("/").slice(1)) {
          path = `${path}/${part}`
          const there = names.get(path)
          if (there === undefined) changeNames([{ path, node: newNode("directory", permissions) }])
          else if (there.kind !== "directory") throw failure("ENOTDIR", path)
        }
      },
      link: (existing, path) => {
        changing("link", path)
        const node = find(existing)
        nameFree(path)
        changeNames([{ path, node }])
      },
      linkSymbolic: (target, path) => {
        changing("linkSymbolic", path)
        nameFree(path)
        changeNames([{ path, node: newNode("link", 0o777, target) }])
      },
      readLink: (path) => {
        alive(path)
        const node = names.get(tidy(path))
        return node?.kind === "link" ? node.target : undefined
      },
      rename: (from, to) => {
        changing("rename", from)
        const node = names.get(from)
        if (node === undefined) throw failure("ENOENT", from)
        changeNames([
          { path: to, node },
          { path: from, node: undefined }
        ])
      },
      unlink: (path) => {
        changing("unlink", path)
        if (!names.has(path)) throw failure("ENOENT", path)
        changeNames([{ path, node: undefined }])
      },
      watch: (directory, changed) => {
        alive(directory)
        const watcher = { directory: follow(directory), changed: () => living() && changed() }
        watchers.add(watcher)
        return { close: () => void watchers.delete(watcher) }
      }
    }
  }

  /** What somebody else does to a directory, durable at once; files that are open stay open. */
  const moveTree = (given: string, to: string | undefined): void => {
    const from = tidy(given)
    for (const path of [...names.keys()]) {
      if (path !== from && !path.startsWith(`${from}/`)) continue
      const node = names.get(path)!
      for (const known of [names, durableNames]) {
        known.delete(path)
        if (to !== undefined) known.set(`${tidy(to)}${path.slice(from.length)}`, node)
      }
    }
    unsynced = unsynced.filter(({ directory }) => directory !== from && !directory.startsWith(`${from}/`))
    count(to === undefined ? "treeRemoved" : "treeMoved")
    simulation.trace(`${name}: ${from} is ${to === undefined ? "removed" : `moved to ${to}`}`)
  }

  return {
    diskOf,
    setFaults: (given) => {
      faults = given
    },
    plan: (plan) => {
      calls = 0
      dieAt = plan.dieAt ?? Number.POSITIVE_INFINITY
      planned = (plan.faults ?? []).map((fault) => ({ fault, seen: 0 }))
    },
    calls: () => calls,
    setCapacity: (bytes) => {
      capacity = bytes
    },
    cutPower,
    rot: (path) => {
      const node = names.get(path)
      if (node === undefined || node.size === 0) return false
      const at = dice.integer(0, node.size - 1)
      const bit = 1 << dice.integer(0, 7)
      node.bytes[at]! ^= bit
      if (at < node.durable.length) node.durable[at]! ^= bit
      count("rotten")
      simulation.trace(`${name}: a bit of ${path} decays`)
      return true
    },
    makeDirectory: (given) => {
      let path = ""
      for (const part of tidy(given).split("/").slice(1)) {
        path = `${path}/${part}`
        if (names.has(path)) continue
        const node = newNode("directory", 0o700)
        names.set(path, node)
        durableNames.set(path, node)
      }
    },
    removeTree: (given) => moveTree(given, undefined),
    renameTree: moveTree,
    paths: () => [...names.keys()].sort(),
    contentOf: (path) => {
      const node = names.get(path)
      if (node === undefined) throw failure("ENOENT", path)
      return node.bytes.slice(0, node.size)
    },
    used
  }
}
