import { assert, describe, it } from "@effect/vitest"
import * as fs from "node:fs"
import * as path from "node:path"
import * as Cluster from "../../tools/cluster/Cluster.ts"
import { provoke, type Refusal, startOptions } from "../../packages/backend-k8s/test/fixtures/refusals.ts"

const recorded = JSON.parse(
  fs.readFileSync(path.join(import.meta.dirname, "../../packages/backend-k8s/test/fixtures/refusals.json"), "utf8")
) as ReadonlyArray<Refusal>

if (process.env["TIDINGS_TEST_CLUSTER"] === "kubeconfig") {
  it("refusals are tested only on a cluster that the test may break", () => {})
} else {
  describe("an API server", () => {
    it("refuses events as it was recorded to", { timeout: 180_000 }, async () => {
      await using cluster = await Cluster.start(startOptions)
      const refusals = await provoke(cluster)
      for (const [index, refusal] of refusals.entries()) assert.deepStrictEqual(refusal, recorded[index], refusal.name)
      assert.lengthOf(refusals, recorded.length)
    })
  })
}
