/** `tidings list` of an archive of millions beside that of a small event log: what the command itself costs. */
import { spawnSync } from "node:child_process"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { cpuTurns } from "../cpuTurns.ts"
import { installCommand } from "../installed.ts"
import { compare, type Group } from "../Measurement.ts"

const EVENTS = 100
const LOG = `tidings list of an event log of ${EVENTS}`
const DATABASE = "tidings list --database"

export const run = (url: string, events: number): Group => {
  const folder = mkdtempSync(join(tmpdir(), "tidings-bench-"))
  try {
    const command = installCommand(folder)
    const place = new URL(url)
    const env = {
      ...process.env,
      TIDINGS_DIRECTORY: join(folder, "log"),
      NODE_OPTIONS: "",
      PGPASSWORD: decodeURIComponent(place.password)
    }
    place.password = ""
    const lines = Array.from({ length: EVENTS }, (_, n) =>
      JSON.stringify({
        involvedObject: { apiVersion: "v1", kind: "Pod", name: `web-${n}`, namespace: "default" },
        reason: "BackOff",
        type: "Warning",
        message: `Back-off restarting failed container app in pod web-${n}`
      })
    )
    const emitted = spawnSync(process.execPath, [command, "emit", "-"], {
      env,
      input: lines.join("\n"),
      encoding: "utf8"
    })
    if (emitted.status !== 0) throw new Error(`tidings emit ended with ${emitted.status}: ${emitted.stderr}`)
    const costs = cpuTurns(
      { [LOG]: [command, "list"], [DATABASE]: [command, "list", "--database", place.href] },
      env,
      folder
    )
    return {
      title: `tidings list of ${events} series in a database (CPU of the command)`,
      rows: compare(costs, LOG, { [DATABASE]: { atMost: 1.5 } }, "ms")
    }
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}
