import { assert, describe, it } from "@effect/vitest"
import type { BackendError } from "@tidings/core/BackendError"
import * as Target from "@tidings/core/Target"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { TestClock } from "effect/testing"
import { spawn } from "node:child_process"
import { createHash } from "node:crypto"
import { once } from "node:events"
import * as fs from "node:fs"
import * as http from "node:http"
import * as https from "node:https"
import * as net from "node:net"
import * as os from "node:os"
import * as path from "node:path"
import { setTimeout as sleep } from "node:timers/promises"
import type * as tls from "node:tls"
import { fileURLToPath } from "node:url"
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
  /** Closes the connections that nobody uses. */
  readonly closeIdle: () => void
  readonly close: Effect.Effect<void>
  handle: Handler
}

type Connection = KubernetesConnection.KubernetesConnection["Service"]

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
  const closeIdle = () => server.closeIdleConnections()
  const close = Effect.sync(() => {
    server.close()
    server.closeAllConnections()
  })
  return Object.assign(result, { port, identity, connections, requests, closeIdle, close }) satisfies Server
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

const get = (connection: Connection, path = "/version") => connection.request({ method: "GET", path })

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

describe("credentials that are rotated", () => {
  /** A server that sees who asks, and a connection whose certificate is in a file. */
  const rotating = Effect.fnUntraced(function* (options?: KubernetesConnection.Options, scope?: Scope.Scope) {
    const server = yield* serve({ tls: { requestCert: true, rejectUnauthorized: false } })
    const at = yield* directory
    const files = { "client-certificate": path.join(at, "client.crt"), "client-key": path.join(at, "client.key") }
    const rotate = (name: string) => {
      const { cert, key } = selfSigned(name)
      fs.writeFileSync(files["client-certificate"], cert)
      fs.writeFileSync(files["client-key"], key)
    }
    rotate("client-0")
    const seen: Array<string> = []
    server.handle = (request, response) => {
      seen.push(String((request.socket as tls.TLSSocket).getPeerCertificate().subject.CN))
      ok(request, response)
    }
    const connecting = connect(server, { user: { token: undefined, ...files }, options })
    const connection = yield* scope === undefined ? connecting : Effect.provideService(connecting, Scope.Scope, scope)
    /** Until the files are looked at again. */
    const later = TestClock.adjust("11 seconds")
    return { server, connection, rotate, later, seen }
  })

  it.effect("close the connections that were made with the ones before, and no caller sees it", () =>
    Effect.gen(function* () {
      const { connection, later, rotate, seen, server } = yield* rotating({ connections: 4 })
      for (let n = 0; n < 20; n++) {
        rotate(`client-${n}`)
        yield* later
        const answers = yield* Effect.forEach([1, 2, 3, 4, 5, 6], () => get(connection), { concurrency: 6 })
        assert.isTrue(answers.every(({ status }) => status === 200))
        assert.strictEqual(seen.at(-1), `client-${n}`)
        yield* eventually(() => server.connections.open <= 4)
      }
      assert.isAtLeast(server.connections.made, 20)
    })
  )

  it.effect("let requests and watches that are under way come to their end, and close their connections then", () =>
    Effect.gen(function* () {
      const { connection, later, rotate, seen, server } = yield* rotating()
      const held: Array<http.ServerResponse> = []
      server.handle = (_, response) => {
        held.push(response)
        if (held.length === 2) response.write("{}\n")
      }
      const request = yield* Effect.forkChild(get(connection))
      yield* eventually(() => held.length === 1)
      const stream = yield* connection.open("/watch")
      const watching = yield* Effect.forkChild(Stream.runCount(stream.bytes))
      server.handle = (request, response) => {
        seen.push(String((request.socket as tls.TLSSocket).getPeerCertificate().subject.CN))
        ok(request, response)
      }
      rotate("client-1")
      yield* later
      assert.strictEqual((yield* get(connection)).status, 200)
      assert.deepStrictEqual(seen, ["client-1"])
      assert.strictEqual(server.connections.open, 3)
      for (const response of held) response.end("{}")
      assert.strictEqual((yield* Fiber.join(request)).status, 200)
      assert.isAtLeast(yield* Fiber.join(watching), 1)
      yield* eventually(() => server.connections.open === 1)
    })
  )

  it.effect("leave no connection behind when the scope closes, whatever is still under way on old ones", () =>
    Effect.gen(function* () {
      const scope = yield* Scope.make()
      const { connection, later, rotate, server } = yield* rotating({ timeout: "1 hour" }, scope)
      server.handle = () => {}
      for (let n = 1; n <= 3; n++) {
        yield* Effect.forkDetach(Effect.ignore(get(connection)), { startImmediately: true })
        yield* eventually(() => server.requests.length === n)
        rotate(`client-${n}`)
        yield* later
      }
      server.handle = (_, response) => void response.write("{}\n")
      const stream = yield* connection.open("/watch")
      const watching = yield* Effect.forkDetach(Effect.exit(Stream.runDrain(stream.bytes)), { startImmediately: true })
      rotate("client-4")
      yield* later
      server.handle = ok
      assert.strictEqual((yield* get(connection)).status, 200)
      assert.strictEqual(server.connections.open, 5)
      yield* Scope.close(scope, Exit.void)
      assert.isTrue(Exit.isFailure(yield* Fiber.join(watching)))
      yield* eventually(() => server.connections.open === 0)
    })
  )
})

describe("callers that wait for a connection", () => {
  it.effect("and give up are forgotten: nothing is sent for them, and the next one has its turn", () =>
    Effect.gen(function* () {
      const server = yield* serve()
      const connection = yield* connect(server, { options: { connections: 1 } })
      const held: Array<http.ServerResponse> = []
      server.handle = (_, response) => void held.push(response)
      const first = yield* Effect.forkChild(get(connection, "/first"), { startImmediately: true })
      yield* eventually(() => held.length === 1)
      const waiting = yield* Effect.forEach(Array.from({ length: 200 }), () =>
        Effect.forkChild(get(connection, "/waiting"), { startImmediately: true })
      )
      const last = yield* Effect.forkChild(get(connection, "/last"), { startImmediately: true })
      for (const one of waiting) yield* Fiber.interrupt(one)
      server.handle = ok
      held[0]!.end("{}")
      assert.strictEqual((yield* Fiber.join(first)).status, 200)
      assert.strictEqual((yield* Fiber.join(last)).status, 200)
      assert.deepStrictEqual(
        server.requests.map(({ url }) => url),
        ["/first", "/last"]
      )
    })
  )

  it.effect("of a server that says nothing all come back in their time, and the connection serves on", () =>
    Effect.gen(function* () {
      const server = yield* serve()
      const connection = yield* connect(server, { options: { connections: 2 } })
      server.handle = () => {}
      const waiting = yield* Effect.forEach(Array.from({ length: 100 }), () =>
        Effect.forkChild(Effect.exit(get(connection)), { startImmediately: true })
      )
      yield* eventually(() => server.requests.length === 2)
      yield* TestClock.adjust("30 seconds")
      for (const one of waiting) assert.isTrue(Exit.isFailure(yield* Fiber.join(one)))
      server.handle = ok
      assert.strictEqual((yield* get(connection)).status, 200)
      yield* eventually(() => server.connections.open === 1)
      // None of those that had given up was sent late.
      assert.strictEqual(server.requests.length, 3)
    })
  )

  it.live("and for credentials are served when those come, also when the first of them has given up", () =>
    Effect.gen(function* () {
      const server = yield* serve()
      const at = yield* directory
      const script = path.join(at, "plugin.sh")
      const token = JSON.stringify({
        apiVersion: "client.authentication.k8s.io/v1",
        kind: "ExecCredential",
        status: { token: "of the plugin" }
      })
      fs.writeFileSync(script, `#!/bin/sh\nwhile [ ! -e ${at}/go ]; do sleep 0.02; done\necho '${token}'\n`, {
        mode: 0o755
      })
      const exec = { apiVersion: "client.authentication.k8s.io/v1", command: script, interactiveMode: "Never" }
      const connection = yield* connect(server, { user: { token: undefined, exec } })
      const waiting = yield* Effect.forEach(Array.from({ length: 20 }), () =>
        Effect.forkChild(get(connection), { startImmediately: true })
      )
      yield* Effect.sleep(50)
      fs.writeFileSync(path.join(at, "go"), "")
      for (const one of waiting.slice(0, 10)) yield* Fiber.interrupt(one)
      for (const one of waiting.slice(10)) assert.strictEqual((yield* Fiber.join(one)).status, 200)
      assert.strictEqual(server.requests.length, 10)
      assert.strictEqual(server.requests[0]!.headers.authorization, "Bearer of the plugin")
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
setTimeout(() => console.log(JSON.stringify({ apiVersion: "client.authentication.k8s.io/v1", kind: "ExecCredential", status: { token: "token-" + run } })), 50)`
      )
      const server = yield* serve()
      let valid = "token-1"
      server.handle = only(() => valid)
      const connection = yield* connect(server, {
        user: {
          token: undefined,
          exec: {
            apiVersion: "client.authentication.k8s.io/v1",
            interactiveMode: "Never",
            command: process.execPath,
            args: [plugin]
          }
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

  it.live("of a plugin are not used beyond their time: it runs again before the next request", () =>
    Effect.gen(function* () {
      const at = yield* directory
      const plugin = path.join(at, "plugin.sh")
      const credential = `{"apiVersion":"client.authentication.k8s.io/v1","kind":"ExecCredential","status":{"token":"'$n'","expirationTimestamp":"'$t'"}}`
      fs.writeFileSync(
        plugin,
        `#!/bin/sh\necho x >> ${at}/runs; n=$(wc -l < ${at}/runs | tr -d ' ')\nt=$(cat ${at}/until)\necho '${credential}'\n`,
        { mode: 0o755 }
      )
      const until = (millis: number) => fs.writeFileSync(path.join(at, "until"), new Date(millis).toISOString())
      const server = yield* serve()
      const exec = { apiVersion: "client.authentication.k8s.io/v1", command: plugin, interactiveMode: "Never" }
      until(Date.now() + 1_000)
      const connection = yield* connect(server, { user: { token: undefined, exec } })
      yield* get(connection)
      yield* get(connection)
      until(Date.now() + 3_600_000)
      yield* Effect.sleep("1100 millis")
      yield* get(connection)
      yield* get(connection)
      assert.deepStrictEqual(
        server.requests.map(({ headers }) => headers.authorization),
        ["Bearer 1", "Bearer 1", "Bearer 2", "Bearer 2"]
      )
      // When it does not give another one, the old one is not sent all the same.
      until(Date.now() + 300)
      const short = yield* connect(server, { user: { token: undefined, exec: { ...exec, args: ["short"] } } })
      yield* get(short)
      fs.writeFileSync(plugin, "#!/bin/sh\nexit 1\n")
      yield* Effect.sleep("400 millis")
      assert.strictEqual(tagOf(yield* Effect.flip(get(short))), "Unauthorized")
      assert.strictEqual(server.requests.length, 5)
    })
  )

  it.live("of a KubeConfig of the host: it is asked once for many requests, and again after it was refused", () =>
    Effect.gen(function* () {
      const server = yield* serve()
      let asked = 0
      let valid = "token-1"
      server.handle = only(() => valid)
      const kubeConfig: KubernetesConnection.KubeConfig = {
        getCurrentContext: () => "c",
        setCurrentContext: () => assert.fail(),
        getContextObject: () => ({ namespace: "shop" }),
        getCurrentCluster: () => ({ server: `https://127.0.0.1:${server.port}` }),
        applyToHTTPSOptions: async (options) => {
          asked++
          await sleep(50)
          Object.assign(options, { ca: server.identity.cert, headers: { Authorization: `Bearer token-${asked}` } })
        }
      }
      const connection = yield* KubernetesConnection.make({ kubeConfig, kubeconfig: "/nowhere" })
      assert.strictEqual(connection.namespace, "shop")
      const fibers = yield* Effect.forEach(Array.from({ length: 32 }), () =>
        Effect.forkChild(get(connection), { startImmediately: true })
      )
      assert.isTrue(connection.isLoggingIn())
      // Who asked first gives up; the question goes on for the others.
      yield* Fiber.interrupt(fibers[0]!)
      for (const one of fibers.slice(1)) assert.strictEqual((yield* Fiber.join(one)).status, 200)
      assert.strictEqual(asked, 1)
      assert.isFalse(connection.isLoggingIn())
      valid = "token-2"
      const again = yield* Effect.forEach(Array.from({ length: 8 }), () => get(connection), { concurrency: 8 })
      assert.isTrue(again.every(({ status }) => status === 200))
      assert.strictEqual(asked, 2)
    })
  )

  it.live("of a KubeConfig of the host are not sent without TLS", () =>
    Effect.gen(function* () {
      const server = yield* serve({ plain: true })
      const kubeConfig: KubernetesConnection.KubeConfig = {
        getCurrentContext: () => "c",
        setCurrentContext: () => undefined,
        getContextObject: () => ({}),
        getCurrentCluster: () => ({ server: `http://127.0.0.1:${server.port}` }),
        applyToHTTPSOptions: async (options) => {
          Object.assign(options, {
            auth: "me:secret",
            headers: { Authorization: "Bearer secret", "Impersonate-User": "x" }
          })
        }
      }
      yield* get(yield* KubernetesConnection.make({ kubeConfig }))
      const { headers } = server.requests[0]!
      assert.isUndefined(headers.authorization)
      assert.strictEqual(headers["impersonate-user"], "x")
    })
  )

  it.live("that cannot be had are an error that names the plugin or the file", () =>
    Effect.gen(function* () {
      const server = yield* serve()
      const failing = yield* connect(server, {
        user: {
          token: undefined,
          exec: {
            apiVersion: "client.authentication.k8s.io/v1",
            interactiveMode: "Never",
            command: process.execPath,
            args: ["-e", "console.error('log in first'); process.exit(1)"]
          }
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
      assert.include(unknown.message, 'the proxy gopher://x of cluster "c" cannot be used')
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

  const accessReview = (allowed: boolean) => ({
    kind: "SelfSubjectAccessReview",
    apiVersion: "authorization.k8s.io/v1",
    status: { allowed }
  })

  interface Cluster {
    /** Who asks. */
    readonly username?: string
    readonly uid?: string
    /** Absent: it may not be read. */
    readonly kubeSystem?: string | undefined
    /** How a SelfSubjectReview is answered. */
    readonly review?: number
  }

  const answering =
    ({ kubeSystem, review = 201, uid, username = "jane" }: Cluster): Handler =>
    (request, response) => {
      if (request.method === "GET") {
        return kubeSystem === undefined
          ? reply(response, 403, forbidden)
          : reply(response, 200, {
              kind: "Namespace",
              apiVersion: "v1",
              metadata: { name: "kube-system", uid: kubeSystem }
            })
      }
      return request.url!.endsWith("/selfsubjectreviews")
        ? reply(
            response,
            review,
            review === 201
              ? {
                  kind: "SelfSubjectReview",
                  apiVersion: "authentication.k8s.io/v1",
                  status: { userInfo: { username, uid } }
                }
              : forbidden
          )
        : reply(response, 201, accessReview(kubeSystem !== undefined))
    }

  const account = (uid: string) => ({ username: "system:serviceaccount:team:writer", uid })

  const targetOf = (server: Server, cluster: Cluster, more?: Parameters<typeof connect>[1]) =>
    Effect.gen(function* () {
      server.handle = answering(cluster)
      return yield* (yield* connect(server, more)).target
    })

  it.live("is the uid of kube-system, and has the names of who may not read that as aliases", () =>
    Effect.gen(function* () {
      const server = yield* serve()
      const best = yield* targetOf(server, { kubeSystem: "the-uid", ...account("sa") })
      assert.strictEqual(best.id, "the-uid")
      assert.isUndefined(best.isUncertain)
      assert.deepStrictEqual(
        server.requests.map(({ method, url }) => `${method} ${url}`),
        ["GET /api/v1/namespaces/kube-system", "POST /apis/authentication.k8s.io/v1/selfsubjectreviews"]
      )
      const second = yield* targetOf(server, account("sa"))
      assert.strictEqual(second.id, "account-sa")
      assert.isUndefined(second.isUncertain)
      const last = yield* targetOf(server, {})
      assert.match(last.id, /^server-[0-9a-f]{32}$/)
      assert.match(last.aliases.join(), /^authority-[0-9a-f]{32}$/)
      assert.isTrue(last.isUncertain)
      assert.deepStrictEqual(best.aliases, [second.id, last.id, ...last.aliases])
      assert.deepStrictEqual(second.aliases, [last.id, ...last.aliases])
      assert.deepStrictEqual(yield* targetOf(server, {}), last)
    })
  )

  it.live("goes on under each name that is learned, and is not taken for that of another cluster", () =>
    Effect.gen(function* () {
      const server = yield* serve()
      const places = yield* targetOf(server, {})
      const accounts = yield* targetOf(server, account("sa-1"))
      const uids = yield* targetOf(server, { kubeSystem: "uid-1", ...account("sa-1") })
      const replacedAccounts = yield* targetOf(server, account("sa-2"))
      const replacedUids = yield* targetOf(server, { kubeSystem: "uid-2", ...account("sa-2") })
      for (const [bound, found] of [
        [places, accounts],
        [places, uids],
        [accounts, uids],
        [uids, accounts]
      ] as const) {
        assert.isTrue(Target.isContinued(bound, found), `${bound.id} goes on as ${found.id}`)
      }
      for (const [bound, found] of [
        [uids, places],
        [accounts, places],
        [uids, replacedUids],
        [uids, replacedAccounts],
        [accounts, replacedAccounts],
        [accounts, replacedUids]
      ] as const) {
        assert.isFalse(Target.isContinued(bound, found), `${bound.id} does not go on as ${found.id}`)
      }
    })
  )

  it.live("holds the name that the first release gave to a cluster of the same certificate authority", () =>
    Effect.gen(function* () {
      const server = yield* serve()
      const { aliases } = yield* targetOf(server, {})
      const ca = Buffer.from(server.identity.cert)
      const digest = createHash("sha256").update(JSON.stringify(ca)).digest("hex").slice(0, 32)
      assert.deepStrictEqual(aliases, [`authority-${digest}`])
    })
  )

  it.live("goes on when the certificate authority is replaced, and when the address is", () =>
    Effect.gen(function* () {
      const one = yield* serve()
      const other = yield* serve()
      const sameAuthority = yield* serve({ identity: one.identity })
      const first = yield* targetOf(one, {})
      assert.isTrue(Target.isContinued(first, yield* targetOf(sameAuthority, {})))
      assert.isFalse(Target.isContinued(first, yield* targetOf(other, {})))
      const rotated = Target.make(first.id, { aliases: (yield* targetOf(other, {})).aliases, isUncertain: true })
      assert.isTrue(Target.isContinued(first, rotated))
    })
  )

  it.live("is not the uid of a user who is no service account: those are given by others", () =>
    Effect.gen(function* () {
      const server = yield* serve()
      for (const username of ["jane", "system:node:a", "system:serviceaccounts", ""]) {
        assert.match((yield* targetOf(server, { username, uid: "u" })).id, /^server-/)
      }
      assert.match((yield* targetOf(server, { ...account(""), review: 201 })).id, /^server-/)
    })
  )

  it.live("does without the review on servers that have none, and where the right to it was withdrawn", () =>
    Effect.gen(function* () {
      const server = yield* serve()
      for (const review of [403, 404]) {
        assert.match((yield* targetOf(server, { ...account("sa"), review })).id, /^server-/)
        assert.strictEqual((yield* targetOf(server, { ...account("sa"), review, kubeSystem: "the-uid" })).id, "the-uid")
      }
    })
  )

  it.live("is not told while the review fails: a journal may be bound to its answer", () =>
    Effect.gen(function* () {
      const server = yield* serve()
      for (const kubeSystem of [undefined, "the-uid"]) {
        for (const [review, tag] of [
          [500, "Transient no"],
          [503, "Transient no"],
          [429, "Throttled"],
          [200, "Unavailable"]
        ] as const) {
          assert.strictEqual(tagOf(yield* Effect.flip(targetOf(server, { ...account("sa"), review, kubeSystem }))), tag)
        }
      }
    })
  )

  it.live("is not taken from a server that refuses everything because it has just started", () =>
    Effect.gen(function* () {
      const server = yield* serve()
      const connection = yield* connect(server)
      server.handle = (_, response) => reply(response, 403, forbidden)
      assert.strictEqual(tagOf(yield* Effect.flip(connection.target)), "Unauthorized")
      server.handle = (request, response) =>
        request.method === "GET" ? reply(response, 403, forbidden) : reply(response, 201, accessReview(true))
      const error = yield* Effect.flip(connection.target)
      assert.strictEqual(tagOf(error), "Unauthorized")
      assert.include(error.message, 'resourceNames: ["kube-system"]')
      server.handle = (_, response) => reply(response, 503, {})
      assert.strictEqual(tagOf(yield* Effect.flip(connection.target)), "Transient no")
      server.handle = answering({ kubeSystem: "the-uid" })
      assert.strictEqual((yield* connection.target).id, "the-uid")
    })
  )

  it.live("is not taken from what something other than an API server answers, at any of the questions", () =>
    Effect.gen(function* () {
      const server = yield* serve()
      const pages = [
        "<html>Log in</html>",
        "",
        "{}",
        '{"metadata":{"uid":"u"}}',
        '{"kind":"Namespace","apiVersion":"v1"}'
      ]
      for (const cluster of [account("sa"), { kubeSystem: "the-uid", ...account("sa") }]) {
        const real = answering(cluster)
        for (let question = 0; question < ("kubeSystem" in cluster ? 2 : 3); question++) {
          for (const page of pages) {
            for (const status of [200, 201, 403, 404]) {
              let asked = 0
              server.handle = (request, response) => {
                if (asked++ !== question) return real(request, response)
                response.statusCode = status
                response.end(page)
              }
              yield* Effect.flip((yield* connect(server)).target)
            }
          }
        }
      }
    })
  )

  it.effect("is looked up anew within half a minute after it could not be read, and at once after a break", () =>
    Effect.gen(function* () {
      const server = yield* serve()
      server.handle = answering(account("sa"))
      const connection = yield* connect(server)
      assert.strictEqual((yield* connection.target).id, "account-sa")
      server.handle = answering({ kubeSystem: "the-uid", ...account("sa") })
      assert.strictEqual((yield* connection.target).id, "account-sa")
      yield* TestClock.adjust("21 seconds")
      assert.strictEqual((yield* connection.target).id, "the-uid")
      server.handle = answering(account("sa"))
      assert.strictEqual((yield* connection.target).id, "account-sa")
      server.handle = (request) => request.socket.destroy()
      yield* Effect.flip(connection.request({ method: "GET", path: "/" }))
      server.handle = answering({ kubeSystem: "the-uid", ...account("sa") })
      assert.strictEqual((yield* connection.target).id, "the-uid")
    })
  )
})

describe("the epoch of a connection", () => {
  it.live(
    "no request goes to a server that took the place of another one while the process had no turn to notice",
    () =>
      Effect.gen(function* () {
        const file = fileURLToPath(new URL("fixtures/replacedServer.ts", import.meta.url))
        const child = yield* Effect.acquireRelease(
          Effect.sync(() => spawn(process.execPath, [file], { stdio: ["pipe", "pipe", "inherit"] })),
          (child) => Effect.sync(() => child.kill())
        )
        const [port] = yield* Effect.promise(() => once(child.stdout, "data"))
        const server = yield* serve()
        const connection = yield* connect(server, { server: `http://127.0.0.1:${Number(String(port))}` })
        assert.strictEqual((yield* get(connection)).body, "first")
        const before = connection.epoch()
        child.stdin.write("replace\n")
        // As a process that is stopped, or gets no time on a busy machine.
        Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 700)
        const exits = yield* Effect.forEach(Array.from({ length: 6 }), () => Effect.exit(get(connection)), {
          concurrency: "unbounded"
        })
        assert.deepStrictEqual(
          exits.filter((exit) => Exit.isSuccess(exit)).map(({ value }) => value.body),
          []
        )
        assert.isAbove(connection.epoch(), before)
        assert.strictEqual((yield* get(connection)).body, "second")
      })
  )

  it.live("stays while requests are answered, whatever the answer, and when unused connections are closed here", () =>
    Effect.gen(function* () {
      const server = yield* serve()
      const connection = yield* connect(server)
      const before = connection.epoch()
      for (const status of [200, 201, 301, 400, 401, 403, 404, 409, 422, 429]) {
        server.handle = (_, response) => {
          response.statusCode = status
          response.end("{}")
        }
        yield* get(connection)
      }
      server.handle = (_, response) => {
        // What the server asks for, the client does by itself.
        response.setHeader("connection", "close")
        response.end("{}")
      }
      yield* get(connection)
      yield* eventually(() => server.connections.open === 0)
      server.handle = ok
      yield* get(connection)
      assert.strictEqual(connection.epoch(), before)
    })
  )

  const breaks: ReadonlyArray<
    readonly [string, (server: Server, connection: Connection) => Effect.Effect<unknown, unknown, Scope.Scope>]
  > = [
    [
      "a request is broken off",
      (server, connection) => {
        server.handle = (request) => request.socket.destroy()
        return Effect.flip(get(connection))
      }
    ],
    [
      "an answer is broken off in its middle",
      (server, connection) => {
        server.handle = (request, response) => {
          response.setHeader("content-length", "100")
          response.write("{", () => request.socket.destroy())
        }
        return get(connection)
      }
    ],
    [
      "the server cannot reach its data",
      (server, connection) => {
        server.handle = (_, response) => {
          response.statusCode = 500
          response.end("{}")
        }
        return get(connection)
      }
    ],
    [
      "the server closes a connection that nobody uses",
      (server, connection) =>
        Effect.andThen(
          Effect.andThen(
            get(connection),
            Effect.sync(() => server.closeIdle())
          ),
          eventually(() => server.connections.open === 0)
        )
    ],
    ["nobody listens", (server, connection) => Effect.andThen(server.close, Effect.flip(get(connection)))],
    [
      "a watch is broken off",
      (server, connection) => {
        server.handle = (request, response) => {
          response.write("one\n", () => request.socket.destroy())
        }
        return Effect.flatMap(connection.open("/watch"), ({ bytes }) => Effect.flip(Stream.runDrain(bytes)))
      }
    ],
    [
      "a watch does not begin",
      (server, connection) => {
        server.handle = (request) => request.socket.destroy()
        return Effect.flip(connection.open("/watch"))
      }
    ],
    [
      "a request is given up",
      (server, connection) => {
        server.handle = () => {}
        return Effect.timeoutOption(get(connection), "100 millis")
      }
    ]
  ]
  for (const [name, happen] of breaks) {
    it.live(`grows when ${name}`, () =>
      Effect.gen(function* () {
        const server = yield* serve()
        const connection = yield* connect(server)
        yield* get(connection)
        const before = connection.epoch()
        yield* happen(server, connection)
        yield* eventually(() => connection.epoch() > before)
      })
    )
  }

  it.live("grows when a certificate is not trusted any more", () =>
    Effect.gen(function* () {
      const server = yield* serve()
      const other = yield* serve()
      const connection = yield* connect(other, {
        cluster: { "certificate-authority-data": Buffer.from(server.identity.cert).toString("base64") }
      })
      const before = connection.epoch()
      assert.strictEqual(tagOf(yield* Effect.flip(get(connection))), "Unavailable")
      assert.isAbove(connection.epoch(), before)
    })
  )

  it.live("stays when more connections are made to the same server, at once and one after another", () =>
    Effect.gen(function* () {
      const server = yield* serve()
      const connection = yield* connect(server)
      const before = connection.epoch()
      for (let round = 0; round < 3; round++) {
        yield* Effect.forEach(Array.from({ length: 40 }), () => get(connection), { concurrency: "unbounded" })
        server.handle = (_, response) => {
          response.setHeader("connection", "close")
          response.end("{}")
        }
        yield* Effect.forEach(Array.from({ length: 16 }), () => get(connection), { concurrency: "unbounded" })
        server.handle = ok
      }
      assert.isAbove(server.connections.made, 30)
      assert.strictEqual(connection.epoch(), before)
    })
  )

  it.live(
    "grows when the address leads to another server while the old one goes on, which nothing is asked any more",
    () =>
      Effect.gen(function* () {
        const one = yield* serve()
        const other = yield* serve()
        let port = one.port
        const forwarder = yield* Effect.acquireRelease(
          Effect.sync(() =>
            net.createServer((socket) => {
              const onward = net.connect(port, "127.0.0.1")
              for (const end of [socket, onward]) end.on("error", () => end.destroy())
              socket.pipe(onward).pipe(socket)
            })
          ),
          (forwarder) => Effect.sync(() => forwarder.close())
        )
        const connection = yield* connect(one, {
          server: `https://127.0.0.1:${yield* listen(forwarder)}`,
          cluster: { "certificate-authority-data": undefined, "insecure-skip-tls-verify": true }
        })
        yield* get(connection)
        const before = connection.epoch()
        port = other.port
        // The connections that are open still lead to the first; several at once need more.
        yield* Effect.forEach([1, 2, 3, 4], () => get(connection), { concurrency: "unbounded" })
        assert.isAbove(other.requests.length, 0)
        assert.isAbove(connection.epoch(), before)
        const reached = other.requests.length
        const asked = one.requests.length
        const after = connection.epoch()
        for (let n = 0; n < 5; n++) yield* get(connection)
        assert.lengthOf(one.requests, asked)
        assert.lengthOf(other.requests, reached + 5)
        assert.strictEqual(connection.epoch(), after)
      })
  )

  it.effect("grows once after a minute without an answer, not by time alone", () =>
    Effect.gen(function* () {
      const server = yield* serve()
      const connection = yield* connect(server)
      const before = connection.epoch()
      for (let n = 0; n < 10; n++) {
        yield* get(connection)
        yield* TestClock.adjust("50 seconds")
      }
      assert.strictEqual(connection.epoch(), before)
      yield* TestClock.adjust("11 seconds")
      assert.strictEqual(connection.epoch(), before + 1)
      assert.strictEqual(connection.epoch(), before + 1)
    })
  )
})
