// The service as a process: a signal lets it answer, record and deliver what is under way, and then ends it.
import { make } from "./app.ts"

const app = await make()
await app.listen({ host: "127.0.0.1", port: Number(process.env["PORT"] ?? 8080) })
console.log(JSON.stringify(app.server.address()))

let ending: Promise<unknown> | undefined
const end = (signal: NodeJS.Signals) => {
  ending ??= app.close().finally(() => process.kill(process.pid, signal))
}
for (const signal of ["SIGHUP", "SIGINT", "SIGTERM"] as const) process.once(signal, () => end(signal))
