/**
 * Hosts with a file journal that are killed while they deliver to a real API server; read back with `kubectl`.
 */
import { afterAll, assert, it } from "@effect/vitest"
import type { Manner } from "../crash/host.ts"
import { run } from "../crash/harness.ts"
import * as TestCluster from "./TestCluster.ts"

const KILLS = 30

const cluster = await TestCluster.start()
afterAll(() => cluster[Symbol.asyncDispose]())

const eventsOf = async (namespace: string): Promise<string> =>
  cluster.own === undefined
    ? ((await cluster.request({ method: "GET", path: `/api/v1/namespaces/${namespace}/events` })).body ?? "")
    : (await cluster.own.kubectl(["-n", namespace, "get", "events", "-o", "json"])).stdout

it("hosts that are killed at random moments deliver each accepted event once, as an object each or as one per series", async () => {
  const report = await run({
    kills: KILLS,
    seed: 1,
    // Two journals, and each has one sink: two sinks of one journal would need two clusters.
    target: async (_, index) => {
      const [, ...namespaces] = cluster.namespaces
      const namespace = namespaces[index]!
      const manner: Manner = index === 0 ? "plain" : "folded"
      return {
        namespace,
        sinks: { [manner]: cluster.connectionOptions("user") },
        events: async () => (JSON.parse(await eventsOf(namespace)) as { readonly items: ReadonlyArray<unknown> }).items
      }
    }
  })
  assert.deepStrictEqual(report.problems, [])
  assert.isAbove(report.accepted, 200)
  assert.isAtLeast(report.delivered, report.accepted)
  for (const manner of ["plain", "folded"]) {
    assert.isAbove(report.found[`${manner}: counted before the last life`] ?? 0, 0)
  }
}, 180_000)
