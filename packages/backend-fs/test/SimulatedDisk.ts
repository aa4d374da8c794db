import type { Disk, FileStatus } from "../src/internal/disk.ts"

/** Numbers that a seed fixes. */
export const diceOf = (seed: number) => {
  let state = (Math.imul(seed, 0x9e3779b1) ^ 0x5bd1e995) >>> 0
  const next = (): number => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296
  }
  /** A whole number from 0, below this. */
  const below = (n: number): number => Math.floor(next() * n)
  return { next, below, chance: (p: number): boolean => next() < p }
}

export type Dice = ReturnType<typeof diceOf>

/** What every call of a disk throws whose process is dead. */
export class Dead extends Error {}

const failure = (code: string): Error => Object.assign(new Error(`${code}: simulated`), { code })

/** Writes reach the disk by sectors, in any order. */
const SECTORS = [64, 512, 4_096]

interface File {
  readonly id: number
  readonly kind: "file" | "directory" | "link"
  readonly permissions: number
  links: number
  /** What a process sees. */
  bytes: Buffer
  size: number
  /** What a loss of power leaves for sure. */
  durable: Buffer
  /** What was written and not synced, as ranges. */
  dirty: Array<readonly [from: number, to: number]>
}

type Name = "append" | "sync" | "syncLater" | "truncate" | "create" | "rename" | "unlink" | "read"

/** A call that goes wrong: which of its kind, counted from the moment it is planned, and how. */
export interface Fault {
  readonly call: Name
  /** From 1. */
  readonly nth: number
  readonly code: string
  /** Only for files with this in their path. */
  readonly path?: string
  /** How many further ones fail as well. */
  readonly more?: number
}

/**
 * A disk in memory for one directory. It forgets what was not synced, in part and in pieces, when the power goes, and
 * dies with its process at any call.
 */
export class SimulatedDisk {
  private readonly dice: Dice
  private files = new Map<number, File>()
  private names = new Map<string, number>()
  private durableNames = new Map<string, number>()
  private namesSince: Array<(names: Map<string, number>) => void> = []
  private nextId = 1
  private life = 0
  private readonly locks = new Set<string>()
  private planned: Array<{ readonly fault: Fault; seen: number }> = []
  /** Calls that change something or wait for it, in this life: the places where it may die. */
  calls = 0
  private dieAt = Number.POSITIVE_INFINITY
  private onDeath: () => void = () => {}
  /** How many bytes it holds. */
  capacity = Number.POSITIVE_INFINITY
  /** What happened, by what it was. */
  readonly counts = new Map<string, number>()
  readonly opened = new Map<number, { readonly file: File; readonly path: string }>()

  constructor(seed: number) {
    this.dice = diceOf(seed)
  }

  private count(what: string): void {
    this.counts.set(what, (this.counts.get(what) ?? 0) + 1)
  }

  // -------------------------------------------------------------------------
  // lives
  // -------------------------------------------------------------------------

  /** The next process dies right before its call of this number does anything, or, if that writes, in the middle. */
  plan(options: {
    readonly dieAt?: number
    readonly onDeath?: () => void
    readonly faults?: ReadonlyArray<Fault>
  }): void {
    this.dieAt = options.dieAt ?? Number.POSITIVE_INFINITY
    this.onDeath = options.onDeath ?? (() => {})
    this.planned = (options.faults ?? []).map((fault) => ({ fault, seen: 0 }))
    this.calls = 0
  }

  /** Ends the process; the system and its caches stay. */
  kill(): void {
    this.life++
    this.locks.clear()
    this.opened.clear()
    this.dieAt = Number.POSITIVE_INFINITY
    this.planned = []
  }

  /** Ends the machine. Of what was not synced, some reaches the disk. */
  cutPower(): void {
    this.kill()
    const { dice } = this
    const kept = dice.below(this.namesSince.length + 1)
    if (kept < this.namesSince.length) this.count("names lost")
    for (const change of this.namesSince.slice(0, kept)) change(this.durableNames)
    this.namesSince = []
    this.names = new Map(this.durableNames)
    const files = new Map<number, File>()
    for (const id of this.names.values()) {
      const file = this.files.get(id)!
      if (!files.has(id)) {
        file.links = 0
        this.afterPowerCut(file)
      }
      file.links++
      files.set(id, file)
    }
    this.files = files
  }

  private afterPowerCut(file: File): void {
    const { dice } = this
    const before = file.durable
    let after = before
    if (file.dirty.length > 0) {
      const size = Math.max(before.length, file.size)
      const how = dice.below(4)
      const sector = SECTORS[dice.below(SECTORS.length)]!
      if (how === 0) this.count("nothing of it kept")
      else if (how === 1) {
        // The length is kept, and of the rest some sectors: the others were never written.
        after = Buffer.alloc(size)
        before.copy(after)
        const sectors = new Set<number>()
        for (const [from, to] of file.dirty) {
          for (let at = from - (from % sector); at < to; at += sector) sectors.add(at)
        }
        for (const at of sectors) {
          if (dice.chance(0.5)) file.bytes.copy(after, at, at, Math.min(file.size, at + sector))
          else this.count("holes")
        }
      } else {
        // All of it, up to somewhere.
        const end = how === 2 ? file.size : before.length + dice.below(size - before.length + 1)
        after = Buffer.alloc(Math.max(before.length, Math.min(end, file.size)))
        before.copy(after)
        for (const [from, to] of file.dirty) file.bytes.copy(after, from, from, Math.min(to, after.length))
        if (end < file.size) this.count("torn by power")
      }
    }
    file.bytes = Buffer.from(after)
    file.size = after.length
    file.durable = Buffer.from(after)
    file.dirty = []
  }

  // -------------------------------------------------------------------------
  // looking at it from outside
  // -------------------------------------------------------------------------

  list(): ReadonlyArray<string> {
    return [...this.names.keys()].sort()
  }

  contentOf(path: string): Buffer {
    const file = this.files.get(this.names.get(path)!)!
    return Buffer.from(file.bytes.subarray(0, file.size))
  }

  /** Changes what stands on the disk, as decay does. */
  put(path: string, bytes: Buffer): void {
    const file = this.files.get(this.names.get(path)!)!
    file.bytes = Buffer.from(bytes)
    file.size = bytes.length
    file.durable = Buffer.from(bytes)
    file.dirty = []
  }

  get used(): number {
    let used = 0
    for (const { links, size } of this.files.values()) if (links > 0) used += size
    return used
  }

  // -------------------------------------------------------------------------
  // the disk of one process
  // -------------------------------------------------------------------------

  disk(): Disk {
    const { life } = this
    const alive = () => {
      if (this.life !== life) throw new Dead()
    }
    const die = () => {
      this.count("died")
      this.kill()
      this.onDeath()
    }
    /** Whether this call is the last one. */
    const step = (): boolean => {
      alive()
      return ++this.calls === this.dieAt
    }
    const fault = (call: Name, path: string): void => {
      for (const one of this.planned) {
        if (one.fault.call !== call || (one.fault.path !== undefined && !path.includes(one.fault.path))) continue
        one.seen++
        if (one.seen < one.fault.nth || one.seen > one.fault.nth + (one.fault.more ?? 0)) continue
        this.count(`${call} ${one.fault.code}`)
        throw failure(one.fault.code)
      }
    }
    const last = () => {
      die()
      throw new Dead()
    }
    const find = (path: string): File => {
      const file = this.files.get(this.names.get(path) ?? -1)
      if (file === undefined) throw failure("ENOENT")
      return file
    }
    const open = (path: string): number => {
      const descriptor = this.nextId++
      this.opened.set(descriptor, { file: find(path), path })
      return descriptor
    }
    const of = (descriptor: number) => {
      const found = this.opened.get(descriptor)
      if (found === undefined) throw failure("EBADF")
      return found
    }
    const rename = (change: (names: Map<string, number>) => void) => {
      change(this.names)
      this.namesSince.push(change)
    }
    const make = (path: string, kind: File["kind"], permissions: number): File => {
      if (this.names.has(path)) throw failure("EEXIST")
      const file: File = {
        id: this.nextId++,
        kind,
        permissions,
        links: 1,
        bytes: Buffer.alloc(0),
        size: 0,
        durable: Buffer.alloc(0),
        dirty: []
      }
      this.files.set(file.id, file)
      rename((names) => names.set(path, file.id))
      return file
    }
    const write = (file: File, from: Uint8Array): void => {
      const size = file.size + from.length
      if (size > file.bytes.length) {
        const larger = Buffer.alloc(2 * size)
        file.bytes.copy(larger, 0, 0, file.size)
        file.bytes = larger
      }
      file.bytes.set(from, file.size)
      file.dirty.push([file.size, size])
      file.size = size
    }
    const truncate = (file: File, size: number): void => {
      if (size > file.size) throw failure("EINVAL")
      file.size = size
      file.dirty = file.dirty.filter(([from]) => from < size).map(([from, to]) => [from, Math.min(to, size)])
    }
    /** What is dirty becomes durable; when that fails, the system forgets that it was dirty. */
    const sync = (descriptor: number, call: "sync" | "syncLater"): void => {
      const { file, path } = of(descriptor)
      let failed: unknown
      try {
        fault(call, path)
      } catch (cause) {
        failed = cause
      }
      if (file.kind === "directory") {
        if (failed === undefined) {
          for (const change of this.namesSince) change(this.durableNames)
          this.namesSince = []
        }
      } else {
        if (failed === undefined) {
          const durable = Buffer.alloc(file.size)
          file.durable.copy(durable)
          for (const [from, to] of file.dirty) file.bytes.copy(durable, from, from, to)
          file.durable = durable
        }
        file.dirty = []
      }
      if (failed !== undefined) throw failed
    }
    const remove = (path: string): void => {
      const file = find(path)
      rename((names) => names.delete(path))
      file.links--
    }
    const statusOf = (file: File): FileStatus => ({
      kind: file.kind,
      size: file.size,
      identity: `1:${file.id}`,
      links: file.links,
      owner: 1_000,
      permissions: file.permissions,
      made: 0
    })
    return {
      user: 1_000,
      openToRead: (path) => (alive(), open(path)),
      openToAppend: (path) => (alive(), open(path)),
      create: (path, permissions) => {
        if (step()) last()
        fault("create", path)
        make(path, "file", permissions)
        return open(path)
      },
      openDirectory: (path) => (alive(), open(path)),
      close: (descriptor) => {
        alive()
        of(descriptor)
        this.opened.delete(descriptor)
      },
      read: (descriptor, into, offset, length, position) => {
        alive()
        const { file, path } = of(descriptor)
        fault("read", path)
        const end = Math.min(file.size, position + length)
        if (end <= position) return 0
        into.set(file.bytes.subarray(position, end), offset)
        return end - position
      },
      append: (descriptor, from, offset, length) => {
        const isLast = step()
        const { file, path } = of(descriptor)
        const bytes = from.subarray(offset, offset + length)
        if (isLast) {
          // A process may be killed in the middle of a write.
          write(file, bytes.subarray(0, this.dice.below(bytes.length + 1)))
          last()
        }
        fault("append", path)
        const room = this.capacity - this.used
        if (room <= 0 && length > 0) {
          this.count("full")
          throw failure("ENOSPC")
        }
        const written = Math.min(length, room)
        if (written < length) this.count("short write")
        write(file, bytes.subarray(0, written))
        return written
      },
      sync: (descriptor) => {
        if (step()) last()
        sync(descriptor, "sync")
      },
      syncLater: (descriptor, done) => {
        if (step()) last()
        of(descriptor)
        setImmediate(() => {
          if (this.life !== life) return
          if (++this.calls === this.dieAt) return die()
          let failed: unknown
          try {
            sync(descriptor, "syncLater")
          } catch (cause) {
            failed = cause
          }
          done(failed)
        })
      },
      truncate: (descriptor, size) => {
        if (step()) last()
        const { file, path } = of(descriptor)
        fault("truncate", path)
        truncate(file, size)
      },
      lock: (path) => {
        alive()
        if (this.locks.has(path)) return undefined
        this.locks.add(path)
        return { release: () => void this.locks.delete(path) }
      },
      settle: () => {},
      statusOf: (descriptor) => statusOf(of(descriptor).file),
      status: (path) => {
        alive()
        const id = this.names.get(path)
        return id === undefined ? undefined : statusOf(this.files.get(id)!)
      },
      list: (directory) => {
        alive()
        return [...this.names.keys()]
          .filter((path) => path.startsWith(`${directory}/`))
          .map((path) => path.slice(directory.length + 1))
          .sort(() => this.dice.next() - 0.5)
      },
      makeDirectory: (path, permissions) => {
        if (step()) last()
        make(path, "directory", permissions)
      },
      link: (existing, path) => {
        if (step()) last()
        const file = find(existing)
        if (this.names.has(path)) throw failure("EEXIST")
        file.links++
        rename((names) => names.set(path, file.id))
      },
      linkSymbolic: () => {
        throw failure("ENOTSUP")
      },
      readLink: () => undefined,
      rename: (from, to) => {
        if (step()) last()
        fault("rename", from)
        const { id } = find(from)
        const replaced = this.files.get(this.names.get(to) ?? -1)
        if (replaced !== undefined) replaced.links--
        rename((names) => {
          names.delete(from)
          names.set(to, id)
        })
      },
      unlink: (path) => {
        if (step()) last()
        find(path)
        fault("unlink", path)
        remove(path)
      },
      watch: () => {
        throw failure("ENOTSUP")
      }
    }
  }
}
