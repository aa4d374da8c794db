/**
 * The disk as one life of a process sees it. After its death every call throws and changes nothing.
 *
 * @internal
 */
import type { Process } from "../../Simulation.ts"
import { failure } from "./failure.ts"
import * as inode from "./inode.ts"
import type { Machine } from "./machine.ts"
import type { Call, Disk, FileStatus } from "./model.ts"
import { parentOf, prefixesOf, tidy } from "./names.ts"

const USER = 1_000

interface Opened {
  readonly node: inode.Inode
  readonly path: string
  /** Of the syncs of the file that failed, how many it was told. */
  told: number
}

/** @internal */
export class DiskOfLife implements Disk {
  readonly user = USER
  readonly groups = [USER]
  readonly isInPod = false
  private readonly machine: Machine
  private readonly process: Process
  private readonly life: number
  private readonly opened = new Map<number, Opened>()

  constructor(machine: Machine, process: Process) {
    this.machine = machine
    this.process = process
    this.life = process.life
    machine.processes.add(process)
  }

  // -------------------------------------------------------------------------
  // open files
  // -------------------------------------------------------------------------

  readonly openToRead = (path: string): number => this.open(path, "file")

  readonly openToAppend = (path: string): number => this.open(path, "file")

  readonly openDirectory = (path: string): number => this.open(path, "directory")

  readonly create = (given: string, permissions: number): number => {
    const { machine } = this
    const path = tidy(given)
    this.beginChange("create", path)
    machine.names.assertFree(path)
    machine.changeNames({ path, node: machine.newNode("file", permissions) })
    return this.open(path, "file")
  }

  readonly close = (descriptor: number): void => {
    this.openedAs(descriptor)
    this.opened.delete(descriptor)
  }

  readonly closeLater = (descriptor: number): void => this.close(descriptor)

  readonly read = (descriptor: number, into: Uint8Array, offset: number, length: number, position: number): number => {
    const { node, path } = this.openedAs(descriptor)
    this.mayFail("read", path)
    const end = Math.min(node.size, position + length)
    if (end <= position) return 0
    into.set(node.bytes.subarray(position, end), offset)
    return end - position
  }

  readonly append = (descriptor: number, from: Uint8Array, offset: number, length: number): number => {
    const { machine } = this
    const { node, path } = this.openedAs(descriptor)
    const bytes = from.subarray(offset, offset + length)
    if (machine.faults.isLastCall()) {
      // A process may be killed in the middle of a write.
      inode.write(node, bytes.subarray(0, machine.dice.integer(0, bytes.length)), machine.change(node))
      this.die(path)
    }
    this.mayFail("append", path)
    const room = machine.capacity - machine.used()
    if (room <= 0 && length > 0) {
      machine.count("full")
      throw failure("ENOSPC", path)
    }
    const taken = machine.faults.taken(Math.min(length, room))
    if (taken < length) machine.count("shortWrite")
    inode.write(node, bytes.subarray(0, taken), machine.change(node))
    machine.tellWatchers(parentOf(path))
    return taken
  }

  readonly sync = (descriptor: number): void => {
    const { machine } = this
    const found = this.openedAs(descriptor)
    if (machine.faults.isLastCall()) this.die(found.path)
    const failed = this.syncUpTo(found, "sync", machine.moment)
    if (failed !== undefined) throw failed
  }

  readonly syncLater = (descriptor: number, done: (cause: unknown) => void): void => {
    const { machine } = this
    const found = this.openedAs(descriptor)
    if (machine.faults.isLastCall()) this.die(found.path)
    const { moment, outages } = machine
    machine.simulation.after(machine.dice.next() * machine.latency, () => {
      if (outages !== machine.outages) return
      // Of a process that is dead, the system carries it out, or has not begun to.
      if (!this.isAlive() && machine.dice.chance(0.5)) return
      if (this.isAlive() && machine.faults.isLastCall()) return this.end()
      // A sync may cover what was changed after it was asked for, and need not.
      const failed = this.syncUpTo(found, "syncLater", machine.dice.chance(0.5) ? machine.moment : moment)
      if (this.isAlive()) done(failed)
    })
  }

  readonly truncate = (descriptor: number, size: number): void => {
    const { machine } = this
    const { node, path } = this.openedAs(descriptor)
    this.beginChange("truncate", path)
    if (size > node.size) throw failure("EINVAL", path)
    inode.truncate(node, size, machine.change(node))
    machine.tellWatchers(parentOf(path))
  }

  readonly setModified = (descriptor: number, modified: number): void => {
    this.openedAs(descriptor).node.modified = modified
  }

  readonly settle = (descriptor: number): void => {
    this.openedAs(descriptor)
  }

  readonly statusOf = (descriptor: number): FileStatus => this.statusOfNode(this.openedAs(descriptor).node)

  readonly isUnlinked = (descriptor: number): boolean =>
    this.machine.names.linksTo(this.openedAs(descriptor).node) === 0

  // -------------------------------------------------------------------------
  // names
  // -------------------------------------------------------------------------

  readonly lock = (path: string): { readonly release: () => void } | undefined => {
    const { locks, names } = this.machine
    this.assertAlive(path)
    if (!names.has(path)) this.machine.changeNames({ path, node: this.machine.newNode("file", 0o600) })
    const { id } = names.get(path)!
    if (locks.get(id)?.() === true) return undefined
    let released = false
    locks.set(id, () => !released && this.isAlive())
    return {
      release: () => {
        released = true
      }
    }
  }

  readonly status = (path: string): FileStatus | undefined => {
    this.assertAlive(path)
    const node = this.found(path)
    return node === undefined ? undefined : this.statusOfNode(node)
  }

  readonly leadsTo = (path: string, identity: string): boolean => {
    this.assertAlive(path)
    const node = this.found(path)
    return node !== undefined && this.identityOf(node) === identity
  }

  readonly capacity = (): number | undefined => {
    const { capacity } = this.machine
    return Number.isFinite(capacity) ? capacity : undefined
  }

  readonly list = (given: string): ReadonlyArray<string> => {
    const { dice, names } = this.machine
    this.assertAlive(given)
    const found = names.list(given)
    for (let left = found.length; left > 1; left--) found.push(...found.splice(dice.integer(0, left - 1), 1))
    return found
  }

  readonly makeDirectory = (given: string, permissions: number): void => {
    const { machine } = this
    this.beginChange("makeDirectory", given)
    for (const path of prefixesOf(given)) {
      const there = machine.names.get(path)
      if (there === undefined) machine.changeNames({ path, node: machine.newNode("directory", permissions) })
      else if (there.kind !== "directory") throw failure("ENOTDIR", path)
    }
  }

  readonly link = (existing: string, path: string): void => {
    const { names } = this.machine
    this.beginChange("link", path)
    const node = names.find(existing)
    names.assertFree(path)
    this.machine.changeNames({ path, node })
  }

  readonly linkSymbolic = (target: string, path: string): void => {
    const { machine } = this
    this.beginChange("linkSymbolic", path)
    machine.names.assertFree(path)
    machine.changeNames({ path, node: machine.newNode("link", 0o777, target) })
  }

  readonly readLink = (path: string): string | undefined => {
    this.assertAlive(path)
    const node = this.machine.names.get(tidy(path))
    return node?.kind === "link" ? node.target : undefined
  }

  readonly rename = (from: string, to: string): void => {
    this.beginChange("rename", from)
    const node = this.machine.names.get(from)
    if (node === undefined) throw failure("ENOENT", from)
    this.machine.changeNames({ path: to, node }, { path: from, node: undefined })
  }

  readonly unlink = (path: string): void => {
    this.beginChange("unlink", path)
    if (!this.machine.names.has(path)) throw failure("ENOENT", path)
    this.machine.changeNames({ path, node: undefined })
  }

  readonly watch = (directory: string, changed: () => void): { readonly close: () => void } => {
    const { names, watchers } = this.machine
    this.assertAlive(directory)
    const watcher = { directory: names.follow(directory), changed: () => this.isAlive() && changed() }
    watchers.add(watcher)
    return { close: () => void watchers.delete(watcher) }
  }

  // -------------------------------------------------------------------------
  // life and death
  // -------------------------------------------------------------------------

  private isAlive(): boolean {
    return this.process.alive && this.process.life === this.life
  }

  private assertAlive(path: string): void {
    if (!this.isAlive()) throw failure("ESRCH", path)
  }

  private end(): void {
    this.machine.count("died")
    this.process.killUnsafe()
  }

  private die(path: string): never {
    this.end()
    throw failure("ESRCH", path)
  }

  private mayFail(call: Call, path: string): void {
    const failed = this.machine.faults.failureOf(call, path)
    if (failed !== undefined) throw failed
  }

  /** In every call that changes something the process may die, and every such call may fail. */
  private beginChange(call: Call, path: string): void {
    this.assertAlive(path)
    if (this.machine.faults.isLastCall()) this.die(path)
    this.mayFail(call, path)
  }

  // -------------------------------------------------------------------------
  // what is found
  // -------------------------------------------------------------------------

  private open(path: string, kind: "file" | "directory"): number {
    const { machine } = this
    this.assertAlive(path)
    const node = machine.names.find(path)
    if (node.kind !== kind) throw failure(kind === "file" ? "EISDIR" : "ENOTDIR", path)
    const descriptor = machine.nextDescriptor()
    this.opened.set(descriptor, { node, path: machine.names.follow(path), told: node.failures })
    return descriptor
  }

  private openedAs(descriptor: number): Opened {
    const found = this.opened.get(descriptor)
    this.assertAlive(found?.path ?? String(descriptor))
    if (found === undefined) throw failure("EBADF", String(descriptor))
    return found
  }

  private found(path: string): inode.Inode | undefined {
    const { names } = this.machine
    return names.get(names.follow(path))
  }

  private identityOf(node: inode.Inode): string {
    return `${this.machine.name}:${node.id}`
  }

  private statusOfNode(node: inode.Inode): FileStatus {
    return {
      kind: node.kind,
      size: node.size,
      identity: this.identityOf(node),
      links: this.machine.names.linksTo(node),
      owner: USER,
      group: USER,
      permissions: node.permissions,
      made: node.made,
      modified: node.modified
    }
  }

  private syncUpTo(opened: Opened, call: "sync" | "syncLater", upTo: number): Error | undefined {
    const { dice, faults, names } = this.machine
    const { node, path } = opened
    const failed = faults.failureOf(call, path)
    if (failed === undefined) this.machine.count("synced")
    if (node.kind !== "directory") inode.sync(node, upTo, failed !== undefined, dice)
    else if (failed === undefined) names.sync(path, upTo)
    if (failed !== undefined) node.failures += 1
    const isNew = opened.told < node.failures
    opened.told = node.failures
    return failed ?? (isNew ? failure("EIO", path) : undefined)
  }
}
