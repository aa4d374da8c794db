/**
 * An API server that only answers, in a process of its own, so that what is measured is the client: it takes events over
 * TLS, and streams events to watches. Prints where it is and how to reach it, and counts connections.
 */
import { randomUUID } from "node:crypto"
import { mkdtempSync, writeFileSync } from "node:fs"
import { createServer } from "node:https"
import type { AddressInfo } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { authority, serverCertificate, serverKey } from "../../packages/testing-k8s/src/internal/certificates.ts"

let connections = 0
let resourceVersion = 1

const kubeSystem = JSON.stringify({
  apiVersion: "v1",
  kind: "Namespace",
  metadata: { name: "kube-system", uid: "00000000-0000-4000-8000-000000000000", resourceVersion: "1" }
})

const watched = (n: number): string =>
  `${JSON.stringify({
    type: "ADDED",
    object: {
      kind: "Event",
      apiVersion: "v1",
      metadata: {
        name: `object-${n}.0`,
        namespace: "default",
        uid: `00000000-0000-4000-8000-${String(n).padStart(12, "0")}`,
        resourceVersion: String(n + 1),
        creationTimestamp: "2026-01-01T00:00:00Z"
      },
      involvedObject: { kind: "Thing", namespace: "default", name: `object-${n}`, apiVersion: "example.com/v1" },
      reason: "Measured",
      message: "it was measured",
      source: { component: "bench" },
      firstTimestamp: "2026-01-01T00:00:00Z",
      lastTimestamp: "2026-01-01T00:00:00Z",
      count: 1,
      type: "Normal",
      eventTime: "2026-01-01T00:00:00.000000Z",
      reportingComponent: "bench",
      reportingInstance: "bench-0",
      action: "Measure"
    }
  })}\n`

const server = createServer({ cert: serverCertificate, key: serverKey }, (request, response) => {
  const url = new URL(request.url!, "https://localhost")
  const answer = (status: number, body: string) => {
    response.writeHead(status, { "content-type": "application/json", "content-length": Buffer.byteLength(body) })
    response.end(body)
  }
  if (request.method === "POST") {
    const chunks: Array<Buffer> = []
    request.on("data", (chunk: Buffer) => chunks.push(chunk))
    request.on("end", () => {
      const { apiVersion, kind, metadata, ...fields } = JSON.parse(Buffer.concat(chunks).toString()) as {
        readonly [field: string]: unknown
        readonly metadata?: { readonly [field: string]: unknown }
      }
      const { name, namespace, ...rest } = metadata ?? {}
      // In the order of an API server.
      const stored = {
        kind,
        apiVersion,
        metadata: {
          name,
          namespace,
          uid: randomUUID(),
          resourceVersion: String(++resourceVersion),
          creationTimestamp: "2026-01-01T00:00:00Z",
          ...rest
        },
        ...fields
      }
      answer(201, `${JSON.stringify(stored)}\n`)
    })
    return
  }
  request.resume()
  if (url.pathname === "/connections") return answer(200, JSON.stringify(connections))
  if (url.pathname === "/api/v1/namespaces/kube-system") return answer(200, kubeSystem)
  if (url.searchParams.get("watch") === "true") {
    response.writeHead(200, { "content-type": "application/json", "transfer-encoding": "chunked" })
    const total = Number(process.argv[2])
    let n = 0
    const send = () => {
      while (n < total) if (!response.write(watched(++n))) return response.once("drain", send)
    }
    send()
    return
  }
  if (url.pathname.endsWith("/events")) {
    return answer(
      200,
      JSON.stringify({ kind: "EventList", apiVersion: "v1", metadata: { resourceVersion: "1" }, items: [] })
    )
  }
  answer(404, JSON.stringify({ kind: "Status", apiVersion: "v1", status: "Failure", reason: "NotFound", code: 404 }))
})
server.on("secureConnection", () => connections++)
server.listen(0, "127.0.0.1", () => {
  const { port } = server.address() as AddressInfo
  const address = `https://127.0.0.1:${port}`
  const kubeconfig = join(mkdtempSync(join(tmpdir(), "tidings-bench-")), "kubeconfig")
  writeFileSync(
    kubeconfig,
    JSON.stringify({
      apiVersion: "v1",
      kind: "Config",
      clusters: [
        {
          name: "bench",
          cluster: { server: address, "certificate-authority-data": Buffer.from(authority).toString("base64") }
        }
      ],
      users: [{ name: "bench", user: { token: "token" } }],
      contexts: [{ name: "user", context: { cluster: "bench", user: "bench" } }],
      "current-context": "user"
    }),
    { mode: 0o600 }
  )
  console.log(JSON.stringify({ address, kubeconfig }))
})
process.on("disconnect", () => process.exit(0))
