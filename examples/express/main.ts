// An Express service on the promise API, ended by SIGTERM while it works: it answers, records, and then ends.
import assert from "node:assert/strict"
import { spawn } from "node:child_process"
import { once } from "node:events"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { createInterface } from "node:readline/promises"
import * as Tidings from "tidings/Tidings"

const directory = mkdtempSync(join(tmpdir(), "tidings-example-"))
const service = spawn(process.execPath, ["--conditions=@tidings/source", join(import.meta.dirname, "service.ts")], {
  env: { ...process.env, PORT: "0", TIDINGS_DIRECTORY: directory },
  stdio: ["ignore", "pipe", "inherit"]
})
try {
  const lines = createInterface(service.stdout)[Symbol.asyncIterator]()
  const { port } = JSON.parse((await lines.next()).value as string) as { readonly port: number }
  const pay = async (order: string) => {
    const response = await fetch(`http://127.0.0.1:${port}/orders/${order}/payment`, { method: "POST" })
    return `${response.status} ${await response.text()}`
  }

  console.log(await pay("order-1"))
  console.log(await pay("order-2-unpaid"))

  // The third is under way when the service is ended.
  const third = pay("order-3")
  for (let line = await lines.next(); line.value !== "paying order-3"; line = await lines.next()) {
    assert.ok(line.done !== true, "the service ended early")
  }
  service.kill("SIGTERM")
  console.log(await third)
  const [, signal] = (await once(service, "close")) as [number | null, string | null]
  console.log(`the service was ended by ${signal}`)
  assert.equal(signal, "SIGTERM")

  await using tidings = await Tidings.create({ backend: "filesystem", directory, logger: false })
  const { events } = await tidings.queryEvents({ namespace: "shop" })
  const log = events.toReversed().map(({ event }) => `${event.type} ${event.involvedObject.name} ${event.message}`)
  console.log(log.join("\n"))
  assert.deepEqual(log, [
    "Normal order-1 It is paid",
    "Warning order-2-unpaid POST /orders/order-2-unpaid/payment: card expired",
    "Normal order-3 It is paid"
  ])
} finally {
  service.kill("SIGKILL")
  rmSync(directory, { recursive: true, force: true })
}
