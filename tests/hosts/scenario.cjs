// What a host without Effect does with the promise API, whatever it runs on and however it loads the packages. It writes one
// word to stdout, at the end; whoever runs it looks for any other.
"use strict"
const assert = require("node:assert/strict")
const { mkdtempSync, readFileSync, rmSync } = require("node:fs")
const { tmpdir } = require("node:os")
const path = require("node:path")

const rejected = async (Rejection, tag, call) => {
  try {
    await call()
  } catch (error) {
    assert.ok(error instanceof Error, `${tag} is no Error`)
    assert.ok(Rejection.is(error), `${tag} is no rejection`)
    assert.equal(error._tag, tag)
    assert.notEqual(error.message, "")
    return error
  }
  return assert.fail(`expected ${tag}`)
}

module.exports.run = async ({ EventCatalogue, Rejection, Tidings }) => {
  const directory = mkdtempSync(path.join(tmpdir(), "tidings-host-"))
  const Orders = class extends EventCatalogue.Service()("shop/Orders", {
    Order: {
      apiVersion: "shop.example.com/v1",
      fields: { took: "duration" },
      reasons: { OrderShipped: { meaning: "It is on its way.", message: "{{.Name}} was shipped after {{.Took}}" } }
    }
  }) {}
  try {
    for (const backend of ["memory", "filesystem"]) {
      const tidings = await Tidings.create({
        backend,
        ...(backend === "filesystem" ? { directory } : undefined),
        component: "host",
        catalogues: [Orders],
        console: false
      })
      const pod = { kind: "Pod", name: "web" }
      await tidings.createEvent(pod, "Started", "it runs", "Normal")
      await tidings.orders.orderEvent({ metadata: { name: "o-1" } }, "OrderShipped", { took: 90_000 })
      await tidings.generator.workflowEvent({ metadata: { name: "deploy" } }, "WorkflowStepFailed", { stepId: "build" })

      const page = await tidings.queryEvents({ since: new Date(Date.now() - 60_000) })
      assert.equal(page.totalCount, 3)
      const shipped = page.events.find(({ event }) => event.reason === "OrderShipped")
      assert.equal(shipped.event.message, "o-1 was shipped after 1m30s")
      assert.ok(shipped.lastTimestamp instanceof Date)
      assert.match(shipped.idText, /^[0-9a-f]{32}\.\d+$/)
      const first = page.events.find(({ event }) => event.reason === "Started")
      assert.deepEqual(
        { ...first.event.involvedObject },
        { apiVersion: "v1", kind: "Pod", name: "web", namespace: "default" }
      )

      await rejected(Rejection, "InvalidEvent", () => tidings.createEvent(pod, "", "no reason", "Normal"))
      await rejected(Rejection, "InvalidQuery", () => tidings.queryEvents({ limit: -1 }))
      await rejected(Rejection, "TemplateError", () => tidings.setTemplate("OrderShipped", "{{.Tok}}"))

      const seen = []
      for await (const item of tidings.watchEvents({}, "beginning")) {
        if (item._tag === "Live") break
        seen.push(item.event.event.reason)
      }
      assert.deepEqual(seen, ["Started", "OrderShipped", "WorkflowStepFailed"])
      const controller = new AbortController()
      const watching = (async () => {
        const items = []
        for await (const item of tidings.watchEvents({}, "now", { signal: controller.signal })) items.push(item._tag)
        return items
      })()
      await tidings.createEvent(pod, "Stopped", "it runs no more", "Warning")
      setTimeout(() => controller.abort(), 50)
      assert.equal((await watching).at(0), "Live")

      const left = (async () => {
        for await (const item of tidings.watchEvents()) assert.ok(item)
        return "ended"
      })()
      const calls = Array.from({ length: 2_000 }, (_, n) =>
        tidings.createEvent({ kind: "Pod", name: `pod-${n}` }, "Started", "it runs", "Normal")
      )
      await tidings.close()
      assert.equal((await Promise.all(calls)).length, 2_000)
      assert.equal((await tidings.status()).accepted, 2_004)
      assert.equal(await left, "ended")
      const closed = await rejected(Rejection, "RecorderError", () => tidings.createEvent(pod, "A", "b", "Normal"))
      assert.equal(closed.reason._tag, "Closed")
      await rejected(Rejection, "BackendError", () => tidings.queryEvents())
    }
    assert.equal(readFileSync(path.join(directory, "events.log"), "utf8").trim().split("\n").length, 2_004)
    const error = await rejected(Rejection, "InvalidOptions", () => Tidings.create({ backend: "etcd" }))
    assert.equal(error.issues[0].field, "backend")
  } finally {
    rmSync(directory, { recursive: true, force: true })
  }
  console.log("done")
}
