import { assert, describe, it } from "@effect/vitest"
import type { BackendError } from "@tidings/core/BackendError"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Stream from "effect/Stream"
import { TestClock } from "effect/testing"
import * as fs from "node:fs"
import * as http from "node:http"
import * as https from "node:https"
import * as net from "node:net"
import * as os from "node:os"
import * as path from "node:path"
import { setTimeout as sleep } from "node:timers/promises"
import type * as tls from "node:tls"
import * as KubernetesConnection from "../src/KubernetesConnection.ts"
import { type Identity, selfSigned } from "./certificates.ts"

type Handler = (request: http.IncomingMessage, response: http.ServerResponse) => void

const directory = Effect.acquireRelease(
  Effect.sync(() => fs.mkdtempSync(path.join(os.tmpdir(), "tidings-connection-"))),
  (directory) => Effect.sync(() => fs.rmSync(directory, { recursive: true, force: true }))
)

interface Server {
  readonly port: number
  readonly identity: Identity
  /** How many connections were made, and how many are open. */
  readonly connections: { made: number; open: number }
  readonly requests: Array<http.IncomingMessage>
  handle: Handler
}

const ok: Handler = (_, response) => {
  response.setHeader("content-type", "application/json")
  response.end('{"kind":"Thing"}')
}

const listen = (server: net.Server): Effect.Effect<number> =>
  Effect.callback((resume) => {
    server.listen(0, "127.0.0.1", () => resume(Effect.succeed((server.address() as net.AddressInfo).port)))
  })

const serve = Effect.fnUntraced(function* (
  options: { readonly identity?: Identity; readonly tls?: tls.TlsOptions; readonly plain?: boolean } = {}
) {
  const identity = options.identity ?? selfSigned("127.0.0.1")
  const requests: Array<http.IncomingMessage> = []
  const connections = { made: 0, open: 0 }
  const result: { handle: Handler } = { handle: ok }
  const listener: Handler = (request, response) => {
    requests.push(request)
    request.resume()
    result.handle(request, response)
  }
  const server = yield* Effect.acquireRelease(
    Effect.sync(() =>
      options.plain === true
        ? http.createServer(listener)
        : https.createServer({ ...identity, ALPNProtocols: ["h2", "http/1.1"], ...options.tls }, listener)
    ),
    (server) =>
      Effect.sync(() => {
        server.closeAllConnections()
        server.close()
      })
  )
  server.on(options.plain === true ? "connection" : "secureConnection", (socket: net.Socket) => {
    connections.made++
    connections.open++
    socket.on("close", () => connections.open--)
    socket.on("error", () => {})
  })
  const port = yield* listen(server)
  return Object.assign(result, { port, identity, connections, requests }) satisfies Server
})

interface Setup {
  readonly server?: string | undefined
  readonly cluster?: Record<string, unknown> | undefined
  readonly user?: Record<string, unknown> | undefined
  readonly options?: KubernetesConnection.Options | undefined
  readonly environment?: Record<string, string> | undefined
}

/** A kubeconfig for the server, as JSON, which is YAML too. */
const connect = Effect.fnUntraced(function* (server: Server, setup: Setup = {}) {
  const at = yield* directory
  const file = path.join(at, "kubeconfig")
  fs.writeFileSync(
    file,
    JSON.stringify({
      "current-context": "c",
      clusters: [
        {
          name: "c",
          cluster: {
            server: setup.server ?? `https://127.0.0.1:${server.port}`,
            "certificate-authority-data": Buffer.from(server.identity.cert).toString("base64"),
            ...setup.cluster
          }
        }
      ],
      users: [{ name: "u", user: { token: "secret", ...setup.user } }],
      contexts: [{ name: "c", context: { cluster: "c", user: "u" } }]
    })
  )
  return yield* KubernetesConnection.make({ kubeconfig: file, ...setup.options }).pipe(
    Effect.provideService(
      ConfigProvider.ConfigProvider,
      ConfigProvider.fromEnv({ env: { HOME: at, ...setup.environment } })
    )
  )
})

const get = (connection: KubernetesConnection.KubernetesConnection["Service"], path = "/version") =>
  connection.request({ method: "GET", path })

const tagOf = (error: BackendError): string =>
  error.reason._tag === "Transient" ? `Transient ${error.reason.applied}` : error.reason._tag

/** Waits in real time, also where the clock of the test stands still. */
const eventually = (condition: () => boolean): Effect.Effect<void> =>
  Effect.suspend(() =>
    condition()
      ? Effect.void
      : Effect.andThen(
          Effect.promise(() => sleep(5)),
          eventually(condition)
        )
  )

describe("requests", () => {
  it.live("share few connections, however many there are", () =>
    Effect.gen(function* () {
      const server = yield* serve()
      const connection = yield* connect(server, { options: { connections: 3 } })
      yield* Effect.forEach(Array.from({ length: 100 }), () => get(connection), { concurrency: 20 })
      assert.strictEqual(server.requests.length, 100)
      assert.isAtMost(server.connections.made, 3)
      assert.isTrue(server.requests.every(({ httpVersion }) => httpVersion === "1.1"))
    })
  )

  it.live("say who they are and what they send", () =>
    Effect.gen(function* () {
      const server = yield* serve()
      const connection = yield* connect(server, { user: { as: "somebody" } })
      let received = ""
      server.handle = (request, response) => {
        request.on("data", (chunk) => (received += String(chunk)))
        request.on("end", () => ok(request, response))
      }
      const response = yield* connection.request({
        method: "PATCH",
        path: "/api/v1/x?y=z",
        body: '{"a":"ä"}',
        contentType: "application/merge-patch+json"
      })
      assert.strictEqual(response.status, 200)
      assert.strictEqual(response.body, '{"kind":"Thing"}')
      assert.strictEqual(response.headers["content-type"], "application/json")
      const { headers, method, url } = server.requests[0]!
      assert.deepStrictEqual([method, url, received], ["PATCH", "/api/v1/x?y=z", '{"a":"ä"}'])
      assert.strictEqual(headers.authorization, "Bearer secret")
      assert.strictEqual(headers["impersonate-user"], "somebody")
      assert.strictEqual(headers["content-type"], "application/merge-patch+json")
      assert.match(headers["user-agent"]!, /^tidings\//)
    })
  )

  it.live("go below the path of a server that has one, and to a server without TLS", () =>
    Effect.gen(function* () {
      const server = yield* serve({ plain: true })
      const connection = yield* connect(server, { server: `http://127.0.0.1:${server.port}/k8s/clusters/c-1/` })
      yield* get(connection)
      const stream = yield* connection.open("/watch")
      yield* stream.text
      assert.deepStrictEqual(
        server.requests.map(({ url }) => url),
        ["/k8s/clusters/c-1/version", "/k8s/clusters/c-1/watch"]
      )
    })
  )

  it.live("use a name and a password", () =>
    Effect.gen(function* () {
      const server = yield* serve()
      const connection = yield* connect(server, { user: { token: undefined, username: "me", password: "pä" } })
      yield* get(connection)
      assert.strictEqual(server.requests[0]!.headers.authorization, `Basic ${Buffer.from("me:pä").toString("base64")}`)
    })
  )

  it.live("leave no connection behind when the scope closes", () =>
    Effect.gen(function* () {
      const server = yield* serve()
      yield* Effect.scoped(
        Effect.gen(function* () {
          const connection = yield* connect(server)
          yield* get(connection)
          server.handle = (_, response) => void response.write("{")
          const stream = yield* connection.open("/watch")
          yield* Stream.runDrain(Stream.take(stream.bytes, 1))
          assert.isAtLeast(server.connections.open, 1)
        })
      )
      yield* eventually(() => server.connections.open === 0)
    })
  )
})

describe("answers that do not come", () => {
  it.effect("in time: unknown, and the connection is not used again", () =>
    Effect.gen(function* () {
      const server = yield* serve()
      const connection = yield* connect(server, { options: { timeout: "7 seconds", connections: 1 } })
      server.handle = () => {}
      const fiber = yield* Effect.forkChild(get(connection))
      yield* eventually(() => server.requests.length === 1)
      yield* TestClock.adjust("7 seconds")
      const error = yield* Effect.flip(Fiber.join(fiber))
      assert.strictEqual(tagOf(error), "Transient unknown")
      assert.include(error.message, "no answer within 7s")
      server.handle = ok
      assert.strictEqual((yield* get(connection)).status, 200)
      assert.strictEqual(server.connections.made, 2)
    })
  )

  it.effect("makes other connections suspect, that are idle and may be just as dead", () =>
    Effect.gen(function* () {
      const server = yield* serve()
      const connection = yield* connect(server, { options: { connections: 4 } })
      const waiting: Array<http.ServerResponse> = []
      server.handle = (_, response) => {
        waiting.push(response)
        if (waiting.length === 4) for (const one of waiting) one.end("{}")
      }
      yield* Effect.forEach([1, 2, 3, 4], () => get(connection), { concurrency: 4 })
      assert.strictEqual(server.connections.made, 4)
      server.handle = () => {}
      const fiber = yield* Effect.forkChild(get(connection))
      yield* eventually(() => server.requests.length === 5)
      yield* TestClock.adjust("30 seconds")
      yield* Effect.flip(Fiber.join(fiber))
      server.handle = ok
      assert.strictEqual((yield* get(connection)).status, 200)
      assert.strictEqual(server.connections.made, 5)
      yield* eventually(() => server.connections.open === 1)
    })
  )

  it.live("because the connection was reset: unknown", () =>
    Effect.gen(function* () {
      const server = yield* serve()
      const connection = yield* connect(server)
      server.handle = (request) => void request.socket.destroy()
      assert.strictEqual(tagOf(yield* Effect.flip(get(connection))), "Transient unknown")
    })
  )

  it.live("because nobody is there: nothing was written", () =>
    Effect.gen(function* () {
      const server = yield* serve()
      const connection = yield* connect(server, { server: "https://127.0.0.1:1" })
      const error = yield* Effect.flip(get(connection))
      assert.strictEqual(tagOf(error), "Transient no")
      assert.include(error.message, "ECONNREFUSED")
    })
  )

  it.live("to their end, after the status line: the status counts", () =>
    Effect.gen(function* () {
      const server = yield* serve()
      const connection = yield* connect(server)
      server.handle = (request, response) => {
        response.writeHead(201, { "content-length": "1000" })
        response.write('{"kind":', () => request.socket.destroy())
      }
      assert.deepInclude(yield* get(connection), { status: 201, body: undefined })
    })
  )

  it.live("because nobody waits any more: the request is given up", () =>
    Effect.gen(function* () {
      const server = yield* serve()
      const connection = yield* connect(server)
      server.handle = () => {}
      const fiber = yield* Effect.forkChild(get(connection))
      yield* eventually(() => server.requests.length === 1)
      yield* Fiber.interrupt(fiber)
      yield* eventually(() => server.connections.open === 0)
    })
  )
})

describe("certificates", () => {
  const attempt = (setup: Setup, identity?: Identity, tlsOptions?: tls.TlsOptions) =>
    Effect.gen(function* () {
      const server = yield* serve({
        ...(identity === undefined ? undefined : { identity }),
        ...(tlsOptions === undefined ? undefined : { tls: tlsOptions })
      })
      const connection = yield* connect(server, setup)
      return yield* Effect.match(get(connection), { onFailure: tagOf, onSuccess: ({ status }) => String(status) })
    })
  const other = Buffer.from(selfSigned("127.0.0.1").cert).toString("base64")

  it.live("of somebody else are not trusted, unless told so", () =>
    Effect.gen(function* () {
      assert.strictEqual(yield* attempt({ cluster: { "certificate-authority-data": other } }), "Unavailable")
      assert.strictEqual(
        yield* attempt({ cluster: { "certificate-authority-data": undefined, "insecure-skip-tls-verify": true } }),
        "200"
      )
    })
  )

  it.live("of another name need tls-server-name", () =>
    Effect.gen(function* () {
      const identity = selfSigned("k8s.example")
      assert.strictEqual(yield* attempt({}, identity), "Unavailable")
      assert.strictEqual(yield* attempt({ cluster: { "tls-server-name": "k8s.example" } }, identity), "200")
    })
  )

  it.live("that expired, or are not valid yet, are named", () =>
    Effect.gen(function* () {
      const day = 86_400_000
      const now = Date.now()
      assert.strictEqual(yield* attempt({}, selfSigned("127.0.0.1", { until: new Date(now - day / 2) })), "Unavailable")
      assert.strictEqual(
        yield* attempt({}, selfSigned("127.0.0.1", { from: new Date(now + day), until: new Date(now + 2 * day) })),
        "Unavailable"
      )
    })
  )

  it.live("of the client are sent", () =>
    Effect.gen(function* () {
      const client = selfSigned("client.example")
      const user = {
        token: undefined,
        "client-certificate-data": Buffer.from(client.cert).toString("base64"),
        "client-key-data": Buffer.from(client.key).toString("base64")
      }
      const required = { requestCert: true, rejectUnauthorized: true, ca: client.cert }
      assert.strictEqual(yield* attempt({ user }, undefined, required), "200")
      assert.notStrictEqual(yield* attempt({}, undefined, required), "200")
    })
  )

  it.live("are read again from their file after a handshake failed", () =>
    Effect.gen(function* () {
      const server = yield* serve()
      const at = yield* directory
      const file = path.join(at, "ca.crt")
      fs.writeFileSync(file, selfSigned("127.0.0.1").cert)
      const connection = yield* connect(server, {
        cluster: { "certificate-authority-data": undefined, "certificate-authority": file }
      })
      assert.strictEqual(tagOf(yield* Effect.flip(get(connection))), "Unavailable")
      fs.writeFileSync(file, server.identity.cert)
      assert.strictEqual((yield* get(connection)).status, 200)
    })
  )
})

describe("tokens", () => {
  /** Takes one token and refuses all others. */
  const only =
    (token: () => string): Handler =>
    (request, response) => {
      if (request.headers.authorization === `Bearer ${token()}`) return ok(request, response)
      response.statusCode = 401
      response.end('{"kind":"Status","reason":"Unauthorized","code":401}')
    }

  it.live("from a file are read again when the server refuses them, once", () =>
    Effect.gen(function* () {
      const at = yield* directory
      const file = path.join(at, "token")
      fs.writeFileSync(file, "first\n")
      const server = yield* serve()
      let valid = "first"
      server.handle = only(() => valid)
      const connection = yield* connect(server, { user: { token: undefined, tokenFile: file } })
      assert.strictEqual((yield* get(connection)).status, 200)
      valid = "second"
      fs.writeFileSync(file, "second\n")
      const statuses = yield* Effect.forEach(Array.from({ length: 20 }), () => get(connection), { concurrency: 20 })
      assert.isTrue(statuses.every(({ status }) => status === 200))
      assert.strictEqual((yield* get(connection)).status, 200)
    })
  )

  it.live("that stay refused are answered as they are, and not asked for again and again", () =>
    Effect.gen(function* () {
      const server = yield* serve()
      server.handle = only(() => "another")
      const connection = yield* connect(server)
      assert.strictEqual((yield* get(connection)).status, 401)
      assert.strictEqual(server.requests.length, 2)
      assert.strictEqual((yield* get(connection)).status, 401)
      assert.strictEqual(server.requests.length, 3)
    })
  )

  it.live("of a plugin: it runs once, however many wait for it, and again when its token is refused", () =>
    Effect.gen(function* () {
      const at = yield* directory
      const runs = path.join(at, "runs")
      const plugin = path.join(at, "plugin.mjs")
      fs.writeFileSync(
        plugin,
        `import fs from "node:fs"
fs.appendFileSync(${JSON.stringify(runs)}, "x")
const run = fs.readFileSync(${JSON.stringify(runs)}, "utf8").length
setTimeout(() => console.log(JSON.stringify({ kind: "ExecCredential", status: { token: "token-" + run } })), 50)`
      )
      const server = yield* serve()
      let valid = "token-1"
      server.handle = only(() => valid)
      const connection = yield* connect(server, {
        user: {
          token: undefined,
          exec: { apiVersion: "client.authentication.k8s.io/v1", command: process.execPath, args: [plugin] }
        }
      })
      yield* Effect.forEach(Array.from({ length: 32 }), () => get(connection), { concurrency: 32 })
      assert.strictEqual(fs.readFileSync(runs, "utf8"), "x")
      valid = "token-2"
      const statuses = yield* Effect.forEach(Array.from({ length: 32 }), () => get(connection), { concurrency: 32 })
      assert.isTrue(statuses.every(({ status }) => status === 200))
      assert.strictEqual(fs.readFileSync(runs, "utf8"), "xx")
    })
  )

  it.live("that cannot be had are an error that names the plugin or the file", () =>
    Effect.gen(function* () {
      const server = yield* serve()
      const failing = yield* connect(server, {
        user: {
          token: undefined,
          exec: { command: process.execPath, args: ["-e", "console.error('log in first'); process.exit(1)"] }
        }
      })
      const error = yield* Effect.flip(get(failing))
      assert.strictEqual(tagOf(error), "Unauthorized")
      assert.include(error.message, "log in first")
      const missing = yield* connect(server, { user: { token: undefined, tokenFile: "/nowhere/token" } })
      assert.include((yield* Effect.flip(get(missing))).message, "/nowhere/token")
    })
  )
})

describe("proxies", () => {
  /** A proxy that takes every name to the one server. */
  const proxyTo = Effect.fnUntraced(function* (server: Server, refuse = false) {
    const asked: Array<string> = []
    const proxy = yield* Effect.acquireRelease(
      Effect.sync(() => http.createServer()),
      (proxy) =>
        Effect.sync(() => {
          proxy.closeAllConnections()
          proxy.close()
        })
    )
    proxy.on("connect", (request, socket) => {
      asked.push(request.url ?? "")
      if (refuse) return socket.end("HTTP/1.1 403 Forbidden\r\n\r\n")
      const target = net.connect(server.port, "127.0.0.1", () => {
        socket.write("HTTP/1.1 200 OK\r\n\r\n")
        target.pipe(socket)
        socket.pipe(target)
      })
      target.on("error", () => socket.destroy())
      socket.on("error", () => target.destroy())
      socket.on("close", () => target.destroy())
      return undefined
    })
    return { asked, url: `http://127.0.0.1:${yield* listen(proxy)}` }
  })

  it.live("of the kubeconfig and of the environment are used, for requests and for watches", () =>
    Effect.gen(function* () {
      const server = yield* serve({ identity: selfSigned("k8s.example") })
      const proxy = yield* proxyTo(server)
      const address = { server: "https://k8s.example:6443" }
      const named = yield* connect(server, { ...address, cluster: { "proxy-url": proxy.url } })
      assert.strictEqual((yield* get(named)).status, 200)
      assert.strictEqual((yield* (yield* named.open("/watch")).text) !== undefined, true)
      assert.deepStrictEqual(proxy.asked, ["k8s.example:6443", "k8s.example:6443"])
      const found = yield* connect(server, { ...address, environment: { https_proxy: proxy.url } })
      assert.strictEqual((yield* get(found)).status, 200)
      assert.strictEqual(proxy.asked.length, 3)
    })
  )

  it.live("that refuse are named, and ones of an unknown kind too", () =>
    Effect.gen(function* () {
      const server = yield* serve({ identity: selfSigned("k8s.example") })
      const proxy = yield* proxyTo(server, true)
      const address = { server: "https://k8s.example:6443" }
      const refused = yield* connect(server, { ...address, cluster: { "proxy-url": proxy.url } })
      const error = yield* Effect.flip(get(refused))
      assert.strictEqual(tagOf(error), "Unavailable")
      assert.include(error.message, "proxy refused")
      const unknown = yield* Effect.flip(
        connect(server, { ...address, cluster: { "proxy-url": "gopher://me:secret@x" } })
      )
      assert.include(unknown.message, "gopher://x cannot be used")
      assert.notInclude(unknown.message, "secret")
    })
  )
})

describe("answers that go on", () => {
  it.live("hold no connection that requests could need, and end with the stream", () =>
    Effect.gen(function* () {
      const server = yield* serve()
      const connection = yield* connect(server, { options: { connections: 1 } })
      server.handle = (request, response) => {
        if (request.url !== "/watch") return ok(request, response)
        response.write("one\n")
        return undefined
      }
      const streams = yield* Effect.forEach([1, 2, 3], () => connection.open("/watch"))
      assert.strictEqual((yield* get(connection)).status, 200)
      const chunks = yield* Effect.forEach(streams, (stream) => Stream.runCollect(Stream.take(stream.bytes, 1)))
      assert.deepStrictEqual(
        chunks.map(([chunk]) => Buffer.from(chunk!).toString()),
        ["one\n", "one\n", "one\n"]
      )
      yield* eventually(() => server.connections.open <= 1)
    })
  )

  it.live("that break off are errors", () =>
    Effect.gen(function* () {
      const server = yield* serve()
      const connection = yield* connect(server)
      server.handle = (request, response) => {
        response.write("one\n", () => request.socket.destroy())
      }
      const stream = yield* connection.open("/watch")
      const error = yield* Effect.flip(Stream.runDrain(stream.bytes))
      assert.strictEqual(tagOf(error), "Transient unknown")
    })
  )

  it.effect("that do not begin in time are given up", () =>
    Effect.gen(function* () {
      const server = yield* serve()
      const connection = yield* connect(server)
      server.handle = () => {}
      const fiber = yield* Effect.forkChild(connection.open("/watch"))
      yield* eventually(() => server.requests.length === 1)
      yield* TestClock.adjust("30 seconds")
      assert.strictEqual(tagOf(yield* Effect.flip(Fiber.join(fiber))), "Transient unknown")
    })
  )
})

describe("the identity of the cluster", () => {
  const reply = (response: http.ServerResponse, status: number, body: unknown) => {
    response.statusCode = status
    response.end(JSON.stringify(body))
  }
  const forbidden = { kind: "Status", reason: "Forbidden", message: 'User "writer" cannot get resource "namespaces"' }

  it.live("is the uid of kube-system", () =>
    Effect.gen(function* () {
      const server = yield* serve()
      server.handle = (_, response) => reply(response, 200, { metadata: { uid: "the-uid" } })
      assert.strictEqual((yield* (yield* connect(server)).target).id, "the-uid")
      assert.strictEqual(server.requests[0]!.url, "/api/v1/namespaces/kube-system")
    })
  )

  it.live("is a digest of the certificate authority for who may not read it, the same each time", () =>
    Effect.gen(function* () {
      const server = yield* serve()
      server.handle = (request, response) =>
        request.method === "GET"
          ? reply(response, 403, forbidden)
          : reply(response, 201, { status: { allowed: false } })
      const { id: first } = yield* (yield* connect(server)).target
      assert.match(first, /^authority-[0-9a-f]{32}$/)
      assert.strictEqual((yield* (yield* connect(server)).target).id, first)
      const other = yield* serve()
      other.handle = server.handle
      assert.notStrictEqual((yield* (yield* connect(other)).target).id, first)
    })
  )

  it.live("is not taken from a server that refuses everything because it has just started", () =>
    Effect.gen(function* () {
      const server = yield* serve()
      const connection = yield* connect(server)
      server.handle = (_, response) => reply(response, 403, forbidden)
      assert.strictEqual(tagOf(yield* Effect.flip(connection.target)), "Unauthorized")
      server.handle = (request, response) =>
        request.method === "GET" ? reply(response, 403, forbidden) : reply(response, 201, { status: { allowed: true } })
      const error = yield* Effect.flip(connection.target)
      assert.strictEqual(tagOf(error), "Unauthorized")
      assert.include(error.message, 'resourceNames: ["kube-system"]')
      server.handle = (_, response) => reply(response, 503, {})
      assert.strictEqual(tagOf(yield* Effect.flip(connection.target)), "Transient no")
      server.handle = (_, response) => reply(response, 200, { metadata: { uid: "the-uid" } })
      assert.strictEqual((yield* connection.target).id, "the-uid")
    })
  )
})
