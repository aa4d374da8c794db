/**
 * The machine of a simulated disk: what all processes share, and power cuts.
 *
 * @internal
 */
import * as Duration from "effect/Duration"
import type { Dice, Process, Simulation } from "../../Simulation.ts"
import { CallFaults } from "./faults.ts"
import * as inode from "./inode.ts"
import type { Options } from "./model.ts"
import { Names, tidy } from "./names.ts"

/** @internal */
export class Machine {
  readonly simulation: Simulation
  readonly name: string
  readonly dice: Dice
  /** How long a sync that is not waited for takes at the most, in milliseconds. */
  readonly latency: number
  readonly faults: CallFaults
  readonly names: Names
  readonly processes = new Set<Process>()
  /** By the id of the file: whether the lock is still held. */
  readonly locks = new Map<number, () => boolean>()
  readonly watchers = new Set<{ readonly directory: string; readonly changed: () => void }>()
  /** In bytes. */
  capacity: number
  /** Number of changes so far: a sync covers those up to a number. */
  moment = 0
  /** Number of power cuts. */
  outages = 0
  private nextId = 1
  private descriptors = 2

  constructor(simulation: Simulation, options: Options) {
    const name = options.name ?? "disk"
    this.simulation = simulation
    this.name = name
    this.dice = simulation.dice.fork(name)
    this.latency = Duration.toMillis(options.latency ?? "5 millis")
    this.capacity = options.capacity ?? Number.POSITIVE_INFINITY
    this.faults = new CallFaults(options.faults ?? {}, this.dice, (what) => this.count(what))
    this.names = new Names(this.newNode("directory", 0o755))
  }

  count(what: string): void {
    this.simulation.count(`${this.name}.${what}`)
  }

  newNode(kind: inode.Inode["kind"], permissions: number, target = ""): inode.Inode {
    return inode.make(this.nextId++, kind, permissions, target, this.millis())
  }

  private millis(): number {
    return Math.floor(this.simulation.now() / 1_000)
  }

  /** A change to the content of a file. */
  change(node: inode.Inode): number {
    node.modified = this.millis()
    return ++this.moment
  }

  nextDescriptor(): number {
    return ++this.descriptors
  }

  changeNames(...changed: Parameters<Names["change"]>[0]): void {
    const directory = this.names.change(changed, ++this.moment)
    const node = this.names.get(directory)
    if (node !== undefined) node.modified = this.millis()
    this.tellWatchers(directory)
  }

  tellWatchers(directory: string): void {
    for (const watcher of this.watchers) if (watcher.directory === directory) this.simulation.soon(watcher.changed)
  }

  /** In bytes, of all files that have a name. */
  used(): number {
    return [...this.names.nodes()].reduce((bytes, node) => bytes + node.size, 0)
  }

  cutPower(): void {
    const { dice, names, simulation } = this
    simulation.trace(`${this.name}: the power goes`)
    this.outages++
    for (const process of this.processes) process.killUnsafe()
    const unsynced = names.unsyncedCount()
    const survivors = dice.integer(0, unsynced)
    if (survivors < unsynced) this.count("namesLost")
    const unreachable = names.losePower(survivors)
    for (let counted = 0; counted < unreachable; counted++) this.count("unreachable")
    for (const node of names.nodes()) inode.losePower(node, dice, (what) => this.count(what))
  }

  /** Changes one bit somewhere in a file; false when it is empty. */
  rot(path: string): boolean {
    const { dice } = this
    const node = this.names.get(path)
    if (node === undefined || node.size === 0) return false
    const at = dice.integer(0, node.size - 1)
    const bit = 1 << dice.integer(0, 7)
    node.bytes[at]! ^= bit
    if (at < node.durable.length) node.durable[at]! ^= bit
    this.count("rotten")
    this.simulation.trace(`${this.name}: a bit of ${path} decays`)
    return true
  }

  /** Moves or removes a directory as another process would: durable at once, and open files stay open. */
  moveTree(given: string, to: string | undefined): void {
    const from = tidy(given)
    this.names.moveTree(from, to === undefined ? undefined : tidy(to))
    this.count(to === undefined ? "treeRemoved" : "treeMoved")
    this.simulation.trace(`${this.name}: ${from} is ${to === undefined ? "removed" : `moved to ${to}`}`)
  }
}
