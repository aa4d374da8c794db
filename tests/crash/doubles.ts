/**
 * Doubles of the API server, which outlive the hosts that write to them, and what goes wrong on the way there: answers
 * come late, connections break before a write arrives or after it was applied, and there is too much to do.
 */
import * as ApiServer from "@tidings/testing-k8s/ApiServer"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Scope from "effect/Scope"
import type { Target } from "./harness.ts"
import type { Manner } from "./host.ts"

const NAMESPACE = "crash"

const faults: ApiServer.Chaos["faults"] = [
  { fault: ApiServer.reset(), rate: 0.02 },
  { fault: ApiServer.reset({ applied: true }), rate: 0.02 },
  { fault: ApiServer.close({ applied: true }), rate: 0.005 },
  { fault: ApiServer.truncate(20), rate: 0.005 },
  { fault: ApiServer.etcdUnavailable({ applied: true }), rate: 0.005 },
  // Carried out when its writer has long been told that it was not, and has repeated it.
  { fault: ApiServer.timeout({ after: "5 millis", lateBy: "40 millis" }), rate: 0.02 },
  { fault: ApiServer.hang({ applied: true }), rate: 0.001 },
  { fault: ApiServer.tooManyRequests(), rate: 0.001 },
  { fault: ApiServer.eventRateLimited, rate: 0.005 },
  // Of a server that has just started.
  { fault: ApiServer.forbidden, rate: 0.001 },
  { fault: ApiServer.slow({ bytes: 1_000_000, every: "5 millis" }), rate: 0.1 }
]

/** Two of them, one for each manner of writing. */
export const doubles = async (seed: number, index: number): Promise<Target> => {
  const scope = Effect.runSync(Scope.make())
  const make = (manner: Manner) =>
    Effect.runPromise(
      ApiServer.make({
        namespaces: [NAMESPACE],
        seed: `${seed} ${index} ${manner}`,
        chaos: { faults },
        requestLogSize: Infinity
      }).pipe(Scope.provide(scope))
    )
  const servers: Readonly<Record<Manner, ApiServer.ApiServer["Service"]>> = {
    plain: await make("plain"),
    folded: await make("folded")
  }
  const access = ({ kubeconfigFile }: ApiServer.ApiServer["Service"]) => ({
    kubeconfig: kubeconfigFile,
    context: "user"
  })
  return {
    namespace: NAMESPACE,
    sinks: { plain: access(servers.plain), folded: access(servers.folded) },
    events: (manner) => Effect.runPromise(servers[manner].events),
    end: async (count) => {
      for (const [manner, server] of Object.entries(servers)) {
        for (const [fault, times] of Object.entries(await Effect.runPromise(server.injected))) {
          if (times > 0) count(`requests that met the fault ${fault}`, times)
        }
        const requests = await Effect.runPromise(server.requests)
        const repeated = requests.filter(({ status, verb }) => verb === "create" && status === 409)
        count(`${manner}: created again after it was there`, repeated.length)
      }
      await Effect.runPromise(Scope.close(scope, Exit.void))
    }
  }
}
