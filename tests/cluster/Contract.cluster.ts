import { afterAll } from "@effect/vitest"
import * as Contract from "@tidings/testing/Contract"
import * as TestCluster from "./TestCluster.ts"

const cluster = await TestCluster.start()
const other = cluster.own === undefined ? undefined : await TestCluster.start()
afterAll(async () => {
  await cluster[Symbol.asyncDispose]()
  await other?.[Symbol.asyncDispose]()
})

Contract.suite("the Kubernetes backend", cluster.layer("user"), {
  namespaces: cluster.namespaces,
  shared: true,
  // A cluster of somebody else may hold many events, which each of many lists goes through.
  timeout: "2 minutes",
  other: other?.layer("user")
})
