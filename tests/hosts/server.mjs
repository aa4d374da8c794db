// A cluster for the hosts of this folder: an API server in this process, and a kubeconfig for it.
import * as ApiServer from "@tidings/testing-k8s/ApiServer"
import * as Effect from "effect/Effect"
import { writeFileSync } from "node:fs"

const program = Effect.gen(function* () {
  const server = yield* ApiServer.ApiServer
  const token = yield* server.token("user")
  const authority = Buffer.from(server.certificateAuthority).toString("base64")
  const cluster = { server: server.url, "certificate-authority-data": authority }
  writeFileSync(
    process.argv[2],
    JSON.stringify({
      clusters: [{ name: "test", cluster }],
      users: [{ name: "test", user: { token } }],
      contexts: [{ name: "test", context: { cluster: "test", user: "test" } }],
      "current-context": "test"
    })
  )
  console.log("ready")
  yield* Effect.never
})
await Effect.runPromise(Effect.provide(program, ApiServer.layer()))
