// A service that is not on Effect, ended by SIGTERM while it works: what it has recorded is in the log.
import assert from "node:assert/strict"
import { spawn } from "node:child_process"
import { once } from "node:events"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import * as Tidings from "tidings/Tidings"

const directory = mkdtempSync(join(tmpdir(), "tidings-example-"))
const service = spawn(process.execPath, ["--conditions=@tidings/source", join(import.meta.dirname, "service.ts")], {
  env: { ...process.env, TIDINGS_DIRECTORY: directory },
  stdio: ["ignore", "pipe", "inherit"]
})
try {
  const [line] = (await once(service.stdout, "data")) as [Buffer]
  const { port } = JSON.parse(line.toString()) as { readonly port: number }
  for (const order of ["order-1", "order-2", "order-3"]) {
    const response = await fetch(`http://127.0.0.1:${port}/${order}`, { headers: { connection: "close" } })
    console.log((await response.text()).trim())
  }
  service.kill("SIGTERM")
  const [, signal] = (await once(service, "close")) as [number | null, string | null]
  console.log(`the service was ended by ${signal}`)

  const tidings = await Tidings.create({ backend: "filesystem", directory, logger: false })
  const { events } = await tidings.queryEvents({ namespace: "shop" })
  await tidings.close()
  for (const event of events.toReversed()) {
    console.log(`${event.lastTimestamp.toISOString()} ${event.event.reason} ${event.event.message}`)
  }
  assert.equal(events.length, 3)
} finally {
  service.kill("SIGKILL")
  rmSync(directory, { recursive: true, force: true })
}
