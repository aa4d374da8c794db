// Loaded into a server before its program: counts how often it looks at the file system, and says so, with its memory, to the
// process that started it.
import fs from "node:fs"
import { syncBuiltinESMExports } from "node:module"

const LOOKING = [
  "openSync",
  "readSync",
  "readFileSync",
  "readdirSync",
  "statSync",
  "lstatSync",
  "fstatSync",
  "existsSync"
]

let reads = 0
for (const name of LOOKING) {
  const look = fs[name]
  fs[name] = (...args) => {
    reads++
    return look(...args)
  }
}
syncBuiltinESMExports()

process.on("message", () => process.send({ reads, bytes: process.memoryUsage.rss() }))
process.channel.unref()
