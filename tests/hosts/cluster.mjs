// A host that records into a cluster, reads it back and follows it.
import assert from "node:assert/strict"
import * as Tidings from "tidings/Tidings"

const [kubeconfig, component] = process.argv.slice(2)
const tidings = await Tidings.create({ backend: "kubernetes", kubeconfig, component, logger: false })
const record = (name, reason) => tidings.createEvent({ kind: "Pod", name }, reason, "it runs", "Normal")

for (let n = 0; n < 200; n++) void record(`pod-${n}`, "Started")
const report = await tidings.flush("20 seconds")
assert.ok(report.complete)
const mine = { source: component }
assert.equal((await tidings.queryEvents(mine)).totalCount, 200)

let stored = 0
for await (const item of tidings.watchEvents(mine, "beginning")) {
  if (item._tag === "Live") break
  stored++
}
assert.equal(stored, 200)
for await (const item of tidings.watchEvents(mine, "now")) {
  if (item._tag === "Live") void record("late", "Late")
  else {
    assert.equal(item.event.event.reason, "Late")
    break
  }
}
await tidings.close()
console.log("done")
