import * as Duration from "effect/Duration"
import type { Disk, Faults, FileStatus, SimulatedDisk } from "../SimulatedDisk.ts"
import type { Process, Simulation } from "../Simulation.ts"

/** What is written reaches the disk by sectors, in any order. Smaller ones than real ones tear more often. */
const SECTOR = 64
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
  /** Written and not synced. */
  dirty: Array<readonly [from: number, to: number]>
}

/** What happens to names in one go, in one directory. */
type NameChange = ReadonlyArray<{ readonly path: string; readonly node: Node | undefined }>

const failure = (code: string, path: string): Error => Object.assign(new Error(`${code}: ${path}`), { code })

const parentOf = (path: string): string => path.slice(0, Math.max(1, path.lastIndexOf("/")))

const tidy = (path: string): string => (path.length > 1 && path.endsWith("/") ? path.slice(0, -1) : path)

/** @internal */
export const make = (
  simulation: Simulation,
  options: {
    readonly name?: string | undefined
    readonly faults?: Faults | undefined
    readonly capacity?: number | undefined
    readonly latency?: Duration.Input | undefined
  }
): SimulatedDisk => {
  const name = options.name ?? "disk"
  const dice = simulation.dice.fork(name)
  const latency = Duration.toMillis(options.latency ?? "5 millis")
  let faults: Faults = options.faults ?? {}
  let capacity = options.capacity ?? Number.POSITIVE_INFINITY
  let nextId = 1
  let descriptors = 2
  const processes = new Set<Process>()
  const locks = new Map<string, () => boolean>()
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
    dirty: []
  })

  const names = new Map<string, Node>([["/", newNode("directory", 0o755)]])
  const durableNames = new Map(names)
  /** Changes of names that no sync of their directory has made durable, in order. */
  let unsynced: Array<NameChange> = []

  const applyNames = (to: Map<string, Node>, change: NameChange): void => {
    for (const { node, path } of change) {
      if (node === undefined) to.delete(path)
      else to.set(path, node)
    }
  }

  const directoryOf = (change: NameChange): string => parentOf(change[0]!.path)

  const changeNames = (change: NameChange): void => {
    applyNames(names, change)
    unsynced.push(change)
    hasChanged(directoryOf(change))
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
    node.dirty.push([node.size, size])
    node.size = size
  }

  const keep = (node: Node): void => {
    node.durable = node.bytes.slice(0, node.size)
    node.dirty = []
  }

  /** What the next sync will not keep either, because the system takes it for kept. */
  const loseDirty = (node: Node): void => {
    const durable = new Uint8Array(node.size)
    durable.set(node.durable.subarray(0, node.size))
    node.durable = durable
    node.dirty = []
  }

  const afterPowerCut = (node: Node): void => {
    if (node.dirty.length > 0) {
      const before = node.durable
      const whole = node.bytes.subarray(0, node.size)
      const how = dice.integer(0, 3)
      let after = before
      if (how === 1) after = whole.slice()
      else if (how === 2) {
        // All of it, up to somewhere.
        const end = dice.integer(Math.min(before.length, node.size), node.size)
        after = whole.slice(0, end)
        if (end < node.size) count("torn")
      } else if (how === 3) {
        // The length, and some of the sectors: the others were never written.
        const pieces = new Uint8Array(Math.max(before.length, node.size))
        pieces.set(before.subarray(0, pieces.length))
        for (const [from, to] of node.dirty) {
          for (let sector = Math.floor(from / SECTOR); sector * SECTOR < to; sector++) {
            if (dice.chance(0.5)) count("hole")
            else
              pieces.set(whole.subarray(sector * SECTOR, Math.min(node.size, (sector + 1) * SECTOR)), sector * SECTOR)
          }
        }
        after = pieces
      }
      if (how === 0) count("forgotten")
      node.durable = after.slice()
    }
    node.bytes = node.durable.slice()
    node.size = node.durable.length
    node.dirty = []
  }

  const cutPower = (): void => {
    simulation.trace(`${name}: the power goes`)
    for (const process of processes) process.killUnsafe()
    processes.clear()
    const survives = dice.integer(0, unsynced.length)
    if (survives < unsynced.length) count("namesLost")
    for (const change of unsynced.slice(0, survives)) applyNames(durableNames, change)
    unsynced = []
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
    const die = (path: string): never => {
      count("died")
      process.killUnsafe()
      throw failure("ESRCH", path)
    }
    /** Every call that changes something is one in which the process may die, or that may fail. */
    const changing = (path: string, fault: "names" | undefined): void => {
      alive(path)
      if (dice.chance(faults.death ?? 0)) die(path)
      if (fault !== undefined && dice.chance(faults[fault] ?? 0)) {
        count(`${fault}Failed`)
        throw failure("EIO", path)
      }
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
    const statusOf = (node: Node): FileStatus => {
      let links = 0
      for (const other of names.values()) if (other === node) links++
      return {
        kind: node.kind,
        size: node.size,
        identity: `${name}:${node.id}`,
        links,
        owner: USER,
        permissions: node.permissions,
        made: node.made
      }
    }
    const sync = ({ node, path }: { readonly node: Node; readonly path: string }): Error | undefined => {
      const fails = dice.chance(faults.sync ?? 0)
      if (fails) count("syncFailed")
      else count("synced")
      if (node.kind === "directory") {
        if (!fails) {
          for (const change of unsynced) if (directoryOf(change) === path) applyNames(durableNames, change)
          unsynced = unsynced.filter((change) => directoryOf(change) !== path)
        }
      } else if (fails) loseDirty(node)
      else keep(node)
      return fails ? failure("EIO", path) : undefined
    }

    return {
      user: USER,
      openToRead: (path) => openAs(path, "file"),
      openToAppend: (path) => openAs(path, "file"),
      openDirectory: (path) => openAs(path, "directory"),
      create: (given, permissions) => {
        const path = tidy(given)
        changing(path, "names")
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
        if (dice.chance(faults.read ?? 0)) {
          count("readFailed")
          throw failure("EIO", path)
        }
        const end = Math.min(node.size, position + length)
        if (end <= position) return 0
        into.set(node.bytes.subarray(position, end), offset)
        return end - position
      },
      append: (descriptor, from, offset, length) => {
        const { node, path } = of(descriptor)
        const bytes = from.subarray(offset, offset + length)
        if (dice.chance(faults.death ?? 0)) {
          // A process may be killed in the middle of a write.
          write(node, bytes.subarray(0, dice.integer(0, bytes.length)))
          die(path)
        }
        if (dice.chance(faults.append ?? 0)) {
          count("appendFailed")
          throw failure("EIO", path)
        }
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
        changing(found.path, undefined)
        const failed = sync(found)
        if (failed !== undefined) throw failed
      },
      syncLater: (descriptor, done) => {
        const found = of(descriptor)
        changing(found.path, undefined)
        simulation.after(dice.next() * latency, () => {
          // The system carries it out, or has not begun to, when its process dies.
          if (!living() && dice.chance(0.5)) return
          const failed = sync(found)
          if (living()) done(failed)
        })
      },
      truncate: (descriptor, size) => {
        const { node, path } = of(descriptor)
        changing(path, undefined)
        if (size > node.size) throw failure("EINVAL", path)
        node.size = size
        node.dirty = node.dirty.filter(([from]) => from < size).map(([from, to]) => [from, Math.min(to, size)])
        if (node.durable.length > size) node.dirty.push([size, size])
      },
      lock: (path) => {
        alive(path)
        if (locks.get(path)?.() === true) return undefined
        let released = false
        const holds = () => !released && living()
        locks.set(path, holds)
        if (!names.has(path)) changeNames([{ path, node: newNode("file", 0o600) }])
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
      list: (given) => {
        alive(given)
        const directory = follow(given)
        if (names.get(directory)?.kind !== "directory") throw failure("ENOENT", given)
        const prefix = directory === "/" ? "/" : `${directory}/`
        return [...names.keys()]
          .filter((path) => path !== directory && path.startsWith(prefix) && !path.slice(prefix.length).includes("/"))
          .map((path) => path.slice(prefix.length))
          .sort()
      },
      makeDirectory: (given, permissions) => {
        changing(given, "names")
        let path = ""
        for (const part of tidy(given).split("/").slice(1)) {
          path = `${path}/${part}`
          const there = names.get(path)
          if (there === undefined) changeNames([{ path, node: newNode("directory", permissions) }])
          else if (there.kind !== "directory") throw failure("ENOTDIR", path)
        }
      },
      link: (existing, path) => {
        changing(path, "names")
        const node = find(existing)
        nameFree(path)
        changeNames([{ path, node: node }])
      },
      linkSymbolic: (target, path) => {
        changing(path, "names")
        nameFree(path)
        changeNames([{ path, node: newNode("link", 0o777, target) }])
      },
      readLink: (path) => {
        alive(path)
        const node = names.get(tidy(path))
        return node?.kind === "link" ? node.target : undefined
      },
      rename: (from, to) => {
        changing(from, "names")
        const node = names.get(from)
        if (node === undefined) throw failure("ENOENT", from)
        changeNames([
          { path: to, node },
          { path: from, node: undefined }
        ])
      },
      unlink: (path) => {
        changing(path, "names")
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

  return {
    diskOf,
    setFaults: (given) => {
      faults = given
    },
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
    paths: () => [...names.keys()].sort(),
    contentOf: (path) => {
      const node = names.get(path)
      if (node === undefined) throw failure("ENOENT", path)
      return node.bytes.slice(0, node.size)
    },
    used
  }
}
