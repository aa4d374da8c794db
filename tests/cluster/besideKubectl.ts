/**
 * kubectl and a connection of ours with the same kubeconfig, and what a server sees of both.
 */
import * as ConfigProvider from "effect/ConfigProvider"
import * as Effect from "effect/Effect"
import { spawn } from "node:child_process"
import * as fs from "node:fs"
import * as http from "node:http"
import * as https from "node:https"
import * as net from "node:net"
import * as os from "node:os"
import * as path from "node:path"
import type * as tls from "node:tls"
import * as KubernetesConnection from "@tidings/backend-k8s/KubernetesConnection"
import { type Identity, selfSigned } from "../../packages/backend-k8s/test/certificates.ts"

export interface Ran {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
  /** Milliseconds between the first text on standard error and the end. */
  readonly saidBeforeEnd: number
}

/** Runs a program to its end. */
export const run = (
  command: string,
  args: ReadonlyArray<string>,
  options: { readonly cwd: string; readonly env: Readonly<Record<string, string>> }
): Promise<Ran> =>
  new Promise((resolve, reject) => {
    const child = spawn(command, args, { ...options, stdio: ["ignore", "pipe", "pipe"] })
    let stdout = ""
    let stderr = ""
    let saidAt: number | undefined
    child.stdout.setEncoding("utf8").on("data", (chunk: string) => (stdout += chunk))
    child.stderr.setEncoding("utf8").on("data", (chunk: string) => {
      saidAt ??= Date.now()
      stderr += chunk
    })
    child.on("error", reject)
    child.on("close", (code) => resolve({ code, stdout, stderr, saidBeforeEnd: Date.now() - (saidAt ?? Date.now()) }))
  })

export interface Entry {
  readonly cluster?: Record<string, unknown> | undefined
  readonly user?: Record<string, unknown> | undefined
  readonly context?: Record<string, unknown> | undefined
}

/** One context of one user of one cluster, as JSON, which is YAML too. */
export const kubeconfig = ({ cluster, context, user }: Entry): string =>
  JSON.stringify({
    apiVersion: "v1",
    kind: "Config",
    clusters: [{ name: "c", cluster: { ...cluster } }],
    users: [{ name: "u", user: { ...user } }],
    contexts: [{ name: "x", context: { cluster: "c", user: "u", ...context } }],
    "current-context": "x"
  })

export class Folder implements Disposable {
  readonly at = fs.realpathSync(fs.mkdtempSync(path.join(os.tmpdir(), "tidings-beside-kubectl-")))

  file(name: string, text: string, mode = 0o600): string {
    const file = path.join(this.at, name)
    fs.mkdirSync(path.dirname(file), { recursive: true })
    fs.writeFileSync(file, text, { mode })
    return file
  }

  [Symbol.dispose](): void {
    fs.rmSync(this.at, { recursive: true, force: true })
  }
}

/** What kubectl and we make of one kubeconfig. */
export interface Both {
  readonly kubectl: Ran
  /** The body of the answer, or why there is none. */
  readonly ours: { readonly body?: string | undefined; readonly error?: string | undefined }
}

const ask = (
  request: KubernetesConnection.KubernetesRequest,
  env: Readonly<Record<string, string>>,
  options?: KubernetesConnection.Options
): Promise<Both["ours"]> =>
  Effect.runPromise(
    Effect.scoped(Effect.flatMap(KubernetesConnection.make(options), (connection) => connection.request(request))).pipe(
      Effect.match({
        onSuccess: ({ body, status }) => (status < 300 ? { body } : { error: `${status} ${body}` }),
        onFailure: (error) => ({ error: error.message })
      }),
      Effect.provideService(ConfigProvider.ConfigProvider, ConfigProvider.fromEnv({ env }))
    )
  )

const environment = (at: string, more: Readonly<Record<string, string>>): Readonly<Record<string, string>> => ({
  PATH: process.env["PATH"] ?? "",
  HOME: at,
  ...more
})

/** `kubectl get --raw /version`. */
export const kubectlVersion = (
  kubectl: string,
  at: string,
  KUBECONFIG: string,
  more: Readonly<Record<string, string>> = {}
): Promise<Ran> =>
  run(kubectl, ["get", "--raw", "/version"], {
    cwd: "/",
    env: environment(at, { ...more, KUBECONFIG })
  })

/** The same of ours. */
export const ourVersion = (
  at: string,
  KUBECONFIG: string,
  more: Readonly<Record<string, string>> = {}
): Promise<Both["ours"]> => ask({ method: "GET", path: "/version" }, environment(at, { ...more, KUBECONFIG }))

export const version = async (...[kubectl, at, ...given]: Parameters<typeof kubectlVersion>): Promise<Both> => ({
  kubectl: await kubectlVersion(kubectl, at, ...given),
  ours: await ourVersion(at, ...given)
})

/** Who the API server takes them for: `kubectl auth whoami` and the same of ours. */
export const whoAmI = async (
  kubectl: string,
  at: string,
  KUBECONFIG: string,
  options?: KubernetesConnection.Options
): Promise<{ readonly kubectl: unknown; readonly ours: unknown }> => {
  const env = environment(at, { KUBECONFIG })
  const ran = await run(kubectl, ["auth", "whoami", "-o", "json"], { cwd: "/", env })
  const ours = await ask(
    {
      method: "POST",
      path: "/apis/authentication.k8s.io/v1/selfsubjectreviews",
      body: JSON.stringify({ apiVersion: "authentication.k8s.io/v1", kind: "SelfSubjectReview" })
    },
    env,
    options
  )
  const userIn = (text: string): unknown => JSON.parse(text).status.userInfo
  return {
    kubectl: ran.code === 0 ? userIn(ran.stdout) : ran.stderr,
    ours: ours.body === undefined ? ours.error : userIn(ours.body)
  }
}

/** What a server saw of one request. */
export interface Seen {
  readonly url: string
  /** Those that say who asks and what may come back, in order of their names. */
  readonly headers: ReadonlyArray<readonly [string, string]>
  readonly certificate: string | undefined
  readonly serverName: string | undefined
}

const TELLING = /^(?:authorization|impersonate-.*|accept-encoding)$/

const headersIn = ({ rawHeaders }: http.IncomingMessage): Seen["headers"] => {
  const headers: Array<readonly [string, string]> = []
  for (let index = 0; index < rawHeaders.length; index += 2) {
    const name = rawHeaders[index]!.toLowerCase()
    if (TELLING.test(name)) headers.push([name, rawHeaders[index + 1]!])
  }
  return headers.sort(([a, x], [b, y]) => (a < b ? -1 : a > b ? 1 : x < y ? -1 : 1))
}

export interface Recording extends Disposable {
  readonly url: string
  readonly port: number
  readonly identity: Identity
  /** `cluster` of a kubeconfig. */
  readonly cluster: Record<string, unknown>
  readonly seen: Array<Seen>
}

/** A server that answers everything with a version, and remembers what it was asked. */
export const recording = async (
  options: { readonly plain?: boolean; readonly name?: string } = {}
): Promise<Recording> => {
  const identity = selfSigned(options.name ?? "127.0.0.1")
  const seen: Array<Seen> = []
  const listener: http.RequestListener = (request, response) => {
    const socket = request.socket as Partial<tls.TLSSocket>
    const serverName: unknown = socket.servername
    seen.push({
      url: request.url ?? "",
      headers: headersIn(request),
      certificate: socket.getPeerCertificate?.().subject?.CN?.toString(),
      serverName: typeof serverName === "string" ? serverName : undefined
    })
    response.setHeader("content-type", "application/json")
    response.end('{"major":"1"}')
  }
  const server =
    options.plain === true
      ? http.createServer(listener)
      : https.createServer({ ...identity, requestCert: true, rejectUnauthorized: false }, listener)
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))
  const { port } = server.address() as net.AddressInfo
  const url = `${options.plain === true ? "http" : "https"}://127.0.0.1:${port}`
  return {
    url,
    port,
    identity,
    cluster: {
      server: url,
      ...(options.plain === true
        ? undefined
        : { "certificate-authority-data": Buffer.from(identity.cert).toString("base64") })
    },
    seen,
    [Symbol.dispose]: () => {
      server.closeAllConnections()
      server.close()
    }
  }
}

export interface ProxyServer extends Disposable {
  readonly url: string
  /** What it was asked to connect to. */
  readonly asked: Array<string>
}

/** A proxy that takes everybody to the one server, by CONNECT or by SOCKS 5. */
export const proxyTo = async (kind: "http" | "socks5", port: number): Promise<ProxyServer> => {
  const asked: Array<string> = []
  const sockets = new Set<net.Socket>()
  const join = (socket: net.Socket, greeting: string | Uint8Array): void => {
    const target = net.connect(port, "127.0.0.1", () => {
      socket.write(greeting)
      socket.pipe(target).pipe(socket)
    })
    target.on("error", () => socket.destroy())
    socket.on("close", () => target.destroy())
  }
  const server =
    kind === "http"
      ? http.createServer().on("connect", (request, socket: net.Socket) => {
          asked.push(request.url ?? "")
          join(socket, "HTTP/1.1 200 OK\r\n\r\n")
        })
      : net.createServer((socket) => {
          socket.once("data", () => {
            socket.write(Uint8Array.of(5, 0))
            socket.once("data", (request: Buffer) => {
              const length = request[4]!
              const name =
                request[3] === 3
                  ? request.subarray(5, 5 + length).toString()
                  : [...request.subarray(4, 8)].map(String).join(".")
              asked.push(`${name}:${request.readUInt16BE(request.length - 2)}`)
              join(socket, Uint8Array.of(5, 0, 0, 1, 127, 0, 0, 1, 0, 0))
            })
          })
        })
  server.on("connection", (socket: net.Socket) => {
    sockets.add(socket)
    socket.on("error", () => undefined)
  })
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))
  return {
    url: `${kind}://127.0.0.1:${(server.address() as net.AddressInfo).port}`,
    asked,
    [Symbol.dispose]: () => {
      for (const socket of sockets) socket.destroy()
      server.close()
    }
  }
}
