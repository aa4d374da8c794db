import type { Simulation } from "../../Simulation.ts"
import { DiskOfLife } from "./diskOfLife.ts"
import { failure } from "./failure.ts"
import { Machine } from "./machine.ts"
import type { Options, SimulatedDisk } from "./model.ts"
import { prefixesOf } from "./names.ts"

/** @internal */
export const make = (simulation: Simulation, options: Options): SimulatedDisk => {
  const machine = new Machine(simulation, options)
  const { faults, names } = machine
  return {
    diskOf: (process) => new DiskOfLife(machine, process),
    setFaults: (given) => {
      faults.shares = given
    },
    plan: (plan) => faults.plan(plan),
    calls: () => faults.calls,
    setCapacity: (bytes) => {
      machine.capacity = bytes
    },
    cutPower: () => machine.cutPower(),
    rot: (path) => machine.rot(path),
    makeDirectory: (given) => {
      for (const path of prefixesOf(given)) {
        if (!names.has(path)) names.addDurable(path, machine.newNode("directory", 0o700))
      }
    },
    removeTree: (given) => machine.moveTree(given, undefined),
    renameTree: (from, to) => machine.moveTree(from, to),
    paths: () => [...names.paths()].sort(),
    contentOf: (path) => {
      const node = names.get(path)
      if (node === undefined) throw failure("ENOENT", path)
      return node.bytes.slice(0, node.size)
    },
    used: () => machine.used()
  }
}
