// A service that ends in order: what was recorded and not awaited is kept.
import * as Tidings from "tidings/Tidings"

const tidings = await Tidings.create({
  backend: "filesystem",
  directory: process.argv[2],
  console: false,
  logger: false
})

let ending
const end = (signal) => {
  ending ??= tidings.close().then(
    () => process.kill(process.pid, signal),
    (error) => {
      console.error(error)
      process.exit(1)
    }
  )
}
for (const signal of ["SIGTERM", "SIGHUP", "SIGINT"]) {
  process.once(signal, () => end(signal))
}

for (let n = 0; n < 500; n++)
  void tidings.createEvent({ kind: "Pod", name: `pod-${n}` }, "Started", "it runs", "Normal")
setInterval(() => {}, 1_000)
console.log("ready")
