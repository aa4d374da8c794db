/**
 * A gateway in front of an API server, such as a login proxy. It passes everything on, or answers everything itself with a
 * page for people and the status 200, or cuts every connection.
 */
import { readFileSync, writeFileSync } from "node:fs"
import * as https from "node:https"
import type { AddressInfo } from "node:net"
import { dirname, join } from "node:path"
import type { Cluster } from "../../tools/cluster/Cluster.ts"

const PAGE = "<!doctype html><title>Sign in</title><p>Your session has expired. Please sign in again."

export type Mode = "pass" | "page" | "cut"

export interface Gateway extends AsyncDisposable {
  /** A copy of the cluster's kubeconfig that leads here. */
  readonly kubeconfig: string
  readonly set: (mode: Mode) => void
}

export const start = async (cluster: Cluster, folder: string): Promise<Gateway> => {
  const certificates = dirname(cluster.certificateAuthority)
  const cert = readFileSync(cluster.certificateAuthority)
  const key = readFileSync(join(certificates, "apiserver.key"))
  const agent = new https.Agent({ keepAlive: true })
  let mode: Mode = "pass"
  const server = https.createServer({ cert, key }, (request, response) => {
    if (mode === "page") {
      request.resume().once("end", () => response.writeHead(200, { "content-type": "text/html" }).end(PAGE))
      return
    }
    const { headers, method, url } = request
    const onward = https.request(`${cluster.server}${url ?? "/"}`, { agent, ca: cert, headers, method }, (answer) => {
      response.writeHead(answer.statusCode ?? 502, answer.headers)
      answer.pipe(response)
    })
    onward.once("error", () => response.destroy())
    request.pipe(onward)
  })
  server.on("connection", (socket) => {
    if (mode === "cut") socket.destroy()
  })
  await new Promise<void>((done) => server.listen(0, "127.0.0.1", done))
  const { port } = server.address() as AddressInfo
  const kubeconfig = join(folder, "gateway.kubeconfig")
  const text = readFileSync(cluster.kubeconfig, "utf8").replaceAll(cluster.server, `https://127.0.0.1:${port}`)
  writeFileSync(kubeconfig, text, { mode: 0o600 })
  return {
    kubeconfig,
    set: (next) => {
      mode = next
      if (mode === "cut") server.closeAllConnections()
    },
    [Symbol.asyncDispose]: () =>
      new Promise((done) => {
        agent.destroy()
        server.close(() => done())
        server.closeAllConnections()
      })
  }
}
