import * as Target from "@tidings/core/Target"
import * as Result from "effect/Result"
import type { Simulation } from "../../Simulation.ts"
import type { Options, SimulatedBackend } from "./model.ts"
import * as reading from "./reading.ts"
import * as requests from "./requests.ts"
import { Server } from "./server.ts"

/** @internal */
export const make = (simulation: Simulation, options: Options): Omit<SimulatedBackend, "layer"> => {
  const server = new Server(simulation, options)
  const { name, store } = server
  return {
    backend: {
      mode: "simulated",
      target: requests.read(server, () => Result.succeed((server.told = server.target()))),
      write: (batch) => requests.write(server, batch),
      query: (asked) => reading.query(server, asked),
      watch: (filter, from) => reading.watch(server, filter, from)
    },
    setFaults: (given) => {
      server.faults = given
    },
    fail: (kind) => {
      server.outage = kind
      simulation.trace(`${name}: an outage begins (${kind})`)
    },
    recover: () => {
      if (server.outage !== undefined) simulation.trace(`${name}: the outage ends`)
      server.outage = undefined
    },
    trouble: (namespace, trouble) => {
      simulation.trace(`${name}: the namespace ${namespace} is ${trouble ?? "working"}`)
      if (trouble === undefined) server.troubles.delete(namespace)
      else server.troubles.set(namespace, trouble)
    },
    replaceBy: (other) => {
      simulation.trace(`${name}: ${other ?? server.home.id} answers`)
      if (other !== undefined) server.count("replaced")
      server.replacement = other === undefined ? undefined : Target.make(other)
      store.wake()
    },
    strays: () => server.strays,
    heal: () => {
      simulation.trace(`${name}: all faults end`)
      server.faults = {}
      server.replacement = undefined
      server.outage = undefined
      server.troubles.clear()
      store.wake()
    },
    forgetHistory: () => {
      store.forgottenUpTo = store.position
      server.count("historyLost")
      store.wake()
    },
    series: () => store.series(),
    onWrite: (observe) => {
      store.observers.push(observe)
    }
  }
}
