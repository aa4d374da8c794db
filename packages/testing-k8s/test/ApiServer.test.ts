import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Fiber, Random, Scope } from "effect"
import { TestClock } from "effect/testing"
import * as fs from "node:fs"
import type { IncomingHttpHeaders } from "node:http"
import * as https from "node:https"
import * as tls from "node:tls"
import * as ApiServer from "../src/ApiServer.ts"

type Server = ApiServer.ApiServer["Service"]

interface Asked {
  readonly method?: string
  readonly path?: string
  readonly user?: string
  readonly token?: string
  readonly body?: unknown
  readonly type?: string
  readonly headers?: Readonly<Record<string, string>>
  readonly agent?: https.Agent
}

interface Answered {
  /** 0 where there was none. */
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly body: string
  /** Of the connection. */
  readonly error: string | undefined
  readonly message: string | undefined
}

const events = "/api/v1/namespaces/default/events"
const merge = "application/merge-patch+json"

const event = (name: string, more: object = {}) => ({
  metadata: { name },
  involvedObject: { kind: "Widget", namespace: "default", name: "w" },
  reason: "R",
  message: "m",
  type: "Normal",
  ...more
})

const send = (server: Server, asked: Asked, token: string) => {
  const body = asked.body === undefined ? undefined : JSON.stringify(asked.body)
  const request = https.request(`${server.url}${asked.path ?? events}`, {
    method: asked.method ?? "GET",
    agent: asked.agent ?? false,
    ca: server.certificateAuthority,
    headers: {
      authorization: `Bearer ${token}`,
      ...(body === undefined ? {} : { "content-type": asked.type ?? "application/json" }),
      ...asked.headers
    }
  })
  request.end(body)
  return request
}

const tokenOf = (server: Server, asked: Asked) =>
  asked.token === undefined ? server.token(asked.user ?? "user") : Effect.succeed(asked.token)

const ask = Effect.fnUntraced(function* (server: Server, asked: Asked) {
  const token = yield* tokenOf(server, asked)
  return yield* Effect.callback<Answered>((resume) => {
    const request = send(server, asked, token)
    let status = 0
    let headers: IncomingHttpHeaders = {}
    let body = ""
    const finish = (error?: NodeJS.ErrnoException) =>
      resume(Effect.succeed({ status, headers, body, error: error?.code, message: error?.message }))
    request.on("error", finish)
    request.on("response", (response) => {
      status = response.statusCode ?? 0
      headers = response.headers
      response.setEncoding("utf8")
      response.on("data", (chunk: string) => (body += chunk))
      response.on("end", () => finish())
      response.on("error", finish)
    })
    return Effect.sync(() => request.destroy())
  })
})

const create = (server: Server, name: string, more: Asked = {}) =>
  ask(server, { method: "POST", body: event(name), ...more })
const patch = (server: Server, name: string, body: object, more: Asked = {}) =>
  ask(server, { method: "PATCH", path: `${events}/${name}`, body, type: merge, ...more })

interface Watched {
  readonly status: () => number
  readonly lines: () => ReadonlyArray<{ readonly type: string; readonly object: any }>
  /** `end`, or the code of the error. */
  readonly ending: () => string | undefined
}

/** Opens a watch that the scope ends. */
const watch = Effect.fnUntraced(function* (server: Server, query: string, asked: Asked = {}) {
  const token = yield* tokenOf(server, asked)
  return yield* Effect.acquireRelease(
    Effect.sync(() => {
      const request = send(server, { path: `${events}?watch=1&${query}`, ...asked }, token)
      let status = 0
      let text = ""
      let ending: string | undefined
      const end = (error?: NodeJS.ErrnoException) => (ending ??= error?.code ?? "end")
      request.on("error", end)
      request.on("response", (response) => {
        status = response.statusCode ?? 0
        response.setEncoding("utf8")
        response.on("data", (chunk: string) => (text += chunk))
        response.on("end", () => end())
        response.on("error", end)
      })
      const watched: Watched & { readonly request: typeof request } = {
        request,
        status: () => status,
        lines: () =>
          text
            .split("\n")
            .slice(0, -1)
            .map((line) => JSON.parse(line)),
        ending: () => ending
      }
      return watched
    }),
    ({ request }) => Effect.sync(() => request.destroy())
  )
})

const turn = Effect.promise(() => new Promise<void>((resolve) => setImmediate(resolve)))

/** Waits for something that the network brings, not the clock. */
const until = (condition: () => boolean): Effect.Effect<void> =>
  Effect.suspend(() => (condition() ? Effect.void : Effect.andThen(turn, until(condition))))

const untilReceived = (server: Server, count: number): Effect.Effect<void> =>
  Effect.flatMap(server.requestCount, (received) =>
    received >= count ? Effect.void : Effect.andThen(turn, untilReceived(server, count))
  )

const untilOpened = (server: Server, count: number): Effect.Effect<void> =>
  Effect.flatMap(server.connections, ({ opened }) =>
    opened >= count ? Effect.void : Effect.andThen(turn, untilOpened(server, count))
  )

/** By now, everything that was sent before has come in. */
const roundTrip = (server: Server) => ask(server, { path: "/version" })

const names = (server: Server) => Effect.map(server.events, (stored) => stored.map((object) => object.metadata.name))

const find = (server: Server, name: string) =>
  Effect.map(server.events, (stored) => {
    const found = stored.find((object) => object.metadata.name === name)
    if (found === undefined) {
      throw new Error(`there is no event ${name}`)
    }
    return found
  })

const statusOf = (answer: Answered) => JSON.parse(answer.body)

describe("ApiServer", () => {
  describe("life", () => {
    it.effect("is there as long as its scope", () =>
      Effect.gen(function* () {
        const scope = yield* Scope.make()
        const server = yield* ApiServer.make().pipe(Scope.provide(scope))
        assert.strictEqual((yield* ask(server, { path: "/readyz" })).body, "ok")
        assert.strictEqual(fs.readFileSync(server.certificateAuthorityFile, "utf8"), server.certificateAuthority)
        yield* Scope.close(scope, Exit.void)
        assert.strictEqual((yield* ask(server, { path: "/readyz" })).error, "ECONNREFUSED")
        assert.isFalse(fs.existsSync(server.kubeconfigFile))
      })
    )

    it.effect("fails where its port is in use", () =>
      Effect.gen(function* () {
        const { port } = yield* ApiServer.make()
        const error = yield* Effect.flip(ApiServer.make({ port }))
        assert.strictEqual(error.reason, "Listen")
        assert.include(error.message, String(port))
      })
    )

    it.effect("gives a kubeconfig with a context per user", () =>
      Effect.gen(function* () {
        const server = yield* ApiServer.make({ users: [{ name: "robot" }] })
        assert.strictEqual(fs.readFileSync(server.kubeconfigFile, "utf8"), server.kubeconfig)
        assert.include(server.kubeconfig, `server: ${server.url}`)
        assert.include(server.kubeconfig, Buffer.from(server.certificateAuthority).toString("base64"))
        for (const user of ["admin", "writer", "reader", "user", "nobody", "robot"]) {
          assert.include(server.kubeconfig, `- name: "${user}"\n  context:`)
          assert.include(server.kubeconfig, `token: "${yield* server.token(user)}"`)
        }
      })
    )

    it.effect("counts connections and remembers requests", () =>
      Effect.gen(function* () {
        const server = yield* ApiServer.make({ requestLogSize: 2 })
        const agent = new https.Agent({ keepAlive: true, maxSockets: 1, ca: server.certificateAuthority })
        yield* create(server, "a", { agent, headers: { "user-agent": "test" } })
        yield* ask(server, { path: `${events}?limit=1`, agent, user: "reader" })
        yield* ask(server, { path: "/version", agent, token: "wrong" })
        assert.deepStrictEqual(yield* server.connections, { opened: 1, open: 1 })
        yield* ask(server, {})
        assert.strictEqual((yield* server.connections).opened, 2)
        assert.strictEqual(yield* server.requestCount, 4)
        const log = yield* server.requests
        assert.deepStrictEqual(
          log.map(({ connection, status, user, verb }) => ({ connection, status, user, verb })),
          [
            { connection: 1, status: 401, user: undefined, verb: "get" },
            { connection: 2, status: 200, user: "user", verb: "list" }
          ]
        )
        agent.destroy()
      })
    )

    it.effect("logs who asked for what", () =>
      Effect.gen(function* () {
        const server = yield* ApiServer.make()
        yield* create(server, "a", { headers: { "user-agent": "test" } })
        const [request] = yield* server.requests
        assert.deepInclude(request, {
          ordinal: 1,
          at: 0,
          method: "POST",
          path: events,
          query: "",
          user: "user",
          verb: "create",
          group: "",
          resource: "events",
          namespace: "default",
          name: "a",
          userAgent: "test",
          bytes: JSON.stringify(event("a")).length,
          fault: undefined,
          status: 201
        })
      })
    )

    it.live("is reached by fetch", () =>
      Effect.gen(function* () {
        const server = yield* ApiServer.make()
        const token = yield* server.token("reader")
        const authorities = tls.getCACertificates()
        tls.setDefaultCACertificates([...authorities, server.certificateAuthority])
        yield* Effect.addFinalizer(() => Effect.sync(() => tls.setDefaultCACertificates(authorities)))
        const list = () => fetch(`${server.url}${events}`, { headers: { authorization: `Bearer ${token}` } })
        const response = yield* Effect.promise(list)
        const body = yield* Effect.promise(() => response.json())
        assert.strictEqual((body as { readonly kind: string }).kind, "EventList")
        yield* server.inject(ApiServer.close())
        const error = yield* Effect.promise(() => list().catch((cause: Error) => cause))
        assert.strictEqual((error as { readonly cause?: { readonly code?: string } }).cause?.code, "UND_ERR_SOCKET")
      })
    )
  })

  describe("users", () => {
    it.effect("may do what they were granted", () =>
      Effect.gen(function* () {
        const server = yield* ApiServer.make({
          namespaces: ["shop"],
          users: [
            {
              name: "local",
              rules: [{ apiGroups: [""], resources: ["events"], verbs: ["create"], namespaces: ["shop"] }]
            },
            { name: "writer" }
          ]
        })
        const statuses = Effect.fnUntraced(function* (user: string) {
          const shop = "/api/v1/namespaces/shop/events"
          const body = { metadata: { name: user }, involvedObject: { namespace: "shop" } }
          return [
            (yield* create(server, user, { user })).status,
            (yield* ask(server, { method: "POST", path: shop, body, user })).status,
            (yield* ask(server, { user })).status,
            (yield* ask(server, { path: "/api/v1/namespaces/shop", user })).status
          ]
        })
        assert.deepStrictEqual(yield* statuses("admin"), [201, 201, 200, 200])
        assert.deepStrictEqual(yield* statuses("user"), [201, 201, 200, 200])
        assert.deepStrictEqual(yield* statuses("reader"), [403, 403, 200, 403])
        assert.deepStrictEqual(yield* statuses("local"), [403, 201, 403, 403])
        // Given anew without rules.
        assert.deepStrictEqual(yield* statuses("writer"), [403, 403, 403, 403])
        assert.deepStrictEqual(yield* statuses("nobody"), [403, 403, 403, 403])
      })
    )

    it.effect("lose their token when it rotates", () =>
      Effect.gen(function* () {
        const server = yield* ApiServer.make()
        const old = yield* server.token("reader")
        const next = yield* server.rotateToken("reader")
        assert.notStrictEqual(next, old)
        assert.strictEqual(yield* server.token("reader"), next)
        assert.strictEqual((yield* ask(server, { token: old })).status, 401)
        assert.strictEqual((yield* ask(server, { token: next })).status, 200)
        const error = yield* Effect.flip(server.token("stranger"))
        assert.strictEqual(error.reason, "UnknownUser")
      })
    )

    it.effect("can come with a certificate", () =>
      Effect.gen(function* () {
        const server = yield* ApiServer.make()
        const { certificate, key } = server.clientCertificate
        const body = yield* Effect.callback<string>((resume) => {
          const request = https.request(`${server.url}/apis/authentication.k8s.io/v1/selfsubjectreviews`, {
            method: "POST",
            agent: false,
            ca: server.certificateAuthority,
            cert: certificate,
            key,
            headers: { "content-type": "application/json" }
          })
          request.on("response", (response) => {
            let text = ""
            response.on("data", (chunk: Buffer) => (text += chunk.toString()))
            response.on("end", () => resume(Effect.succeed(text)))
          })
          request.end("{}")
        })
        assert.deepStrictEqual(JSON.parse(body).status.userInfo, {
          username: "certificate",
          groups: ["system:serviceaccounts", "system:authenticated"]
        })
      })
    )
  })

  describe("objects", () => {
    it.effect("can be there from the start and come and go without a request", () =>
      Effect.gen(function* () {
        const server = yield* ApiServer.make({
          namespaces: ["shop"],
          objects: [
            {
              apiVersion: "apiextensions.k8s.io/v1",
              kind: "CustomResourceDefinition",
              metadata: { name: "orders.example.com" },
              spec: {
                group: "example.com",
                scope: "Namespaced",
                names: { plural: "orders", kind: "Order" },
                versions: [{ name: "v1", served: true, storage: true }]
              }
            },
            {
              apiVersion: "example.com/v1",
              kind: "Order",
              metadata: { name: "o1", namespace: "shop", uid: "u-1" },
              spec: { total: 5 }
            }
          ]
        })
        const path = "/apis/example.com/v1/namespaces/shop/orders/o1"
        const found = statusOf(yield* ask(server, { path }))
        assert.strictEqual(found.metadata.uid, "u-1")
        assert.deepStrictEqual(found.spec, { total: 5 })

        const pod = { apiVersion: "v1", kind: "Pod", metadata: { name: "p", namespace: "shop" } }
        const stored = yield* server.put(pod)
        assert.match(stored.metadata.uid ?? "", /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/)
        assert.strictEqual((yield* ask(server, { path: "/api/v1/namespaces/shop/pods/p" })).status, 200)
        assert.isTrue(yield* server.remove(pod))
        assert.isFalse(yield* server.remove(pod))
        assert.strictEqual((yield* ask(server, { path: "/api/v1/namespaces/shop/pods/p" })).status, 404)
      })
    )

    it.effect("are replaced under their uid", () =>
      Effect.gen(function* () {
        const server = yield* ApiServer.make()
        const first = yield* server.put({ apiVersion: "v1", kind: "Node", metadata: { name: "n" } })
        yield* TestClock.adjust("1 minute")
        const second = yield* server.put({ apiVersion: "v1", kind: "Node", metadata: { name: "n" }, spec: { a: 1 } })
        assert.deepInclude(second, { spec: { a: 1 } })
        assert.strictEqual(second.metadata.uid, first.metadata.uid)
        assert.strictEqual(second.metadata["creationTimestamp"], first.metadata["creationTimestamp"])
        assert.notStrictEqual(second.metadata["resourceVersion"], first.metadata["resourceVersion"])
      })
    )

    it.effect("can be in a namespace that is being deleted", () =>
      Effect.gen(function* () {
        const server = yield* ApiServer.make({ namespaces: ["shop"] })
        const namespace = { apiVersion: "v1", kind: "Namespace", metadata: { name: "shop" } }
        const path = "/api/v1/namespaces/shop/events"
        const body = (name: string) => ({ metadata: { name }, involvedObject: { namespace: "shop" } })
        assert.strictEqual((yield* ask(server, { method: "POST", path, body: body("a") })).status, 201)
        yield* server.put({ ...namespace, status: { phase: "Terminating" } })
        const refused = yield* ask(server, { method: "POST", path, body: body("b") })
        assert.strictEqual(statusOf(refused).details.causes[0].reason, "NamespaceTerminating")
        const patched = yield* ask(server, { method: "PATCH", path: `${path}/a`, body: { count: 2 }, type: merge })
        assert.strictEqual(patched.status, 200)
        assert.isTrue(yield* server.remove(namespace))
        assert.strictEqual((yield* ask(server, { method: "POST", path, body: body("b") })).status, 404)
      })
    )

    it.effect("are refused as the server would refuse them", () =>
      Effect.gen(function* () {
        const server = yield* ApiServer.make()
        const put = (object: ApiServer.KubernetesObject) => Effect.flip(server.put(object))
        const homeless = yield* put({ apiVersion: "v1", kind: "Pod", metadata: { name: "p", namespace: "none" } })
        assert.strictEqual(homeless.reason, "Refused")
        assert.include(homeless.message, `namespaces \\"none\\" not found`)
        const unknown = yield* put({ apiVersion: "example.com/v1", kind: "Order", metadata: { name: "o" } })
        assert.include(unknown.message, "the server could not find the requested resource")
        const invalid = yield* put({ apiVersion: "v1", kind: "Pod", metadata: { name: "P" } })
        assert.include(invalid.message, "RFC 1123")
      })
    )

    it.effect("are the same for the same seed, whatever the order", () =>
      Effect.gen(function* () {
        const run = (order: ReadonlyArray<string>, seed: number) =>
          Effect.gen(function* () {
            const server = yield* ApiServer.make()
            for (const name of order) {
              yield* create(server, name)
            }
            const stored = yield* server.events
            return {
              target: statusOf(yield* ask(server, { path: "/api/v1/namespaces/kube-system" })).metadata.uid,
              uids: stored.map((object) => object.metadata.uid),
              stored,
              token: yield* server.token("user")
            }
          }).pipe(Effect.scoped, Random.withSeed(seed))
        const first = yield* run(["a", "b", "c"], 1)
        assert.deepStrictEqual(yield* run(["a", "b", "c"], 1), first)
        assert.deepStrictEqual((yield* run(["c", "a", "b"], 1)).uids, first.uids)
        assert.strictEqual(new Set(first.uids).size, 3)
        const other = yield* run(["a", "b", "c"], 2)
        assert.notStrictEqual(other.target, first.target)
        assert.notStrictEqual(other.token, first.token)
        assert.notDeepEqual(other.uids, first.uids)
      })
    )

    it.effect("have another uid when they are made again", () =>
      Effect.gen(function* () {
        const server = yield* ApiServer.make()
        yield* create(server, "a")
        const first = yield* find(server, "a")
        yield* server.remove({ ...first })
        yield* create(server, "a")
        const second = yield* find(server, "a")
        assert.notStrictEqual(second.metadata.uid, first.metadata.uid)
      })
    )
  })

  describe("faults", () => {
    const cases: ReadonlyArray<{
      readonly name: string
      readonly fault: ApiServer.Fault
      readonly status: number
      readonly error?: string
      /** Nothing, or a part of what a real server said. */
      readonly body: string
      readonly applied: boolean
      readonly header?: readonly [name: string, value: string | undefined]
    }> = [
      {
        name: "reset",
        fault: ApiServer.reset(),
        status: 0,
        error: "ECONNRESET",
        body: "",
        applied: false
      },
      {
        name: "reset after",
        fault: ApiServer.reset({ applied: true }),
        status: 0,
        error: "ECONNRESET",
        body: "",
        applied: true
      },
      { name: "close", fault: ApiServer.close(), status: 0, error: "ECONNRESET", body: "", applied: false },
      {
        name: "close after",
        fault: ApiServer.close({ applied: true }),
        status: 0,
        error: "ECONNRESET",
        body: "",
        applied: true
      },
      {
        name: "etcd unavailable",
        fault: ApiServer.etcdUnavailable(),
        status: 500,
        body: `{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","message":"rpc error: code = Unavailable desc = error reading from server: EOF","code":500}\n`,
        applied: false
      },
      {
        name: "etcd unavailable after",
        fault: ApiServer.etcdUnavailable({ applied: true }),
        status: 500,
        body: "error reading from server: EOF",
        applied: true
      },
      {
        name: "etcd too large",
        fault: ApiServer.etcdTooLarge,
        status: 500,
        body: `{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","message":"etcdserver: request is too large","code":500}\n`,
        applied: false
      },
      {
        name: "service unavailable",
        fault: ApiServer.serviceUnavailable,
        status: 503,
        body: "service unavailable\n",
        applied: false,
        header: ["content-type", "text/plain; charset=utf-8"]
      },
      {
        name: "too many requests",
        fault: ApiServer.tooManyRequests(),
        status: 429,
        body: "Too many requests, please try again later.\n",
        applied: false,
        header: ["retry-after", "1"]
      },
      {
        name: "event rate limit",
        fault: ApiServer.eventRateLimited,
        status: 429,
        body: `{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","message":"Too many requests: limit reached on type Namespace for key default","reason":"TooManyRequests","code":429}\n`,
        applied: false,
        header: ["retry-after", undefined]
      },
      {
        name: "forbidden",
        fault: ApiServer.forbidden,
        status: 403,
        body: `{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","message":"events is forbidden: User \\"user\\" cannot create resource \\"events\\" in API group \\"\\" in the namespace \\"default\\"","reason":"Forbidden","details":{"kind":"events"},"code":403}\n`,
        applied: false
      },
      {
        name: "namespace terminating",
        fault: ApiServer.namespaceTerminating,
        status: 403,
        body: `{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","message":"events \\"a\\" is forbidden: unable to create new content in namespace default because it is being terminated","reason":"Forbidden","details":{"name":"a","kind":"events","causes":[{"reason":"NamespaceTerminating","message":"namespace default is being terminated","field":"metadata.namespace"}]},"code":403}\n`,
        applied: false
      },
      {
        name: "unauthorized",
        fault: ApiServer.unauthorized,
        status: 401,
        body: `{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","message":"Unauthorized","reason":"Unauthorized","code":401}\n`,
        applied: false
      },
      {
        name: "entity too large",
        fault: ApiServer.entityTooLarge,
        status: 413,
        body: `{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","message":"Request entity too large: limit is 3145728","reason":"RequestEntityTooLarge","code":413}\n`,
        applied: false,
        header: ["connection", "close"]
      },
      {
        name: "truncate",
        fault: ApiServer.truncate(20),
        status: 201,
        error: "ECONNRESET",
        body: `{"kind":"Event","api`,
        applied: true
      }
    ]

    it.effect.each(cases)("$name", ({ applied, body, error, fault, header, status }) =>
      Effect.gen(function* () {
        const server = yield* ApiServer.make()
        yield* server.inject(fault)
        assert.strictEqual(yield* server.remaining, 1)
        const answer = yield* create(server, "a")
        assert.strictEqual(answer.status, status)
        assert.strictEqual(answer.error, error)
        if (error !== undefined && status === 0) {
          // Node has one code for both.
          assert.strictEqual(answer.message === "socket hang up", fault._tag === "Close")
        }
        if (body === "") {
          assert.strictEqual(answer.body, "")
        } else {
          assert.include(answer.body, body)
        }
        if (header !== undefined) {
          assert.strictEqual(answer.headers[header[0]], header[1])
        }
        assert.deepStrictEqual(yield* names(server), applied ? ["a"] : [])
        assert.strictEqual((yield* server.injected)[fault._tag], 1)
        assert.strictEqual(yield* server.remaining, 0)
        assert.strictEqual((yield* server.requests)[0]?.fault, fault._tag)
        // Once, and then no more.
        assert.strictEqual((yield* create(server, "a")).status, applied ? 409 : 201)
      })
    )

    it.effect("a request that is never answered", () =>
      Effect.gen(function* () {
        const server = yield* ApiServer.make()
        for (const [name, applied] of [
          ["a", false],
          ["b", true]
        ] as const) {
          yield* server.inject(ApiServer.hang({ applied }), { name })
          const fiber = yield* Effect.forkChild(create(server, name))
          yield* untilReceived(server, (yield* server.requestCount) + 1)
          yield* TestClock.adjust("1 hour")
          yield* roundTrip(server)
          assert.isUndefined(fiber.pollUnsafe())
          yield* Fiber.interrupt(fiber)
        }
        assert.strictEqual((yield* server.injected).Hang, 2)
      })
    )

    it.effect("504 after a time, and never carried out", () =>
      Effect.gen(function* () {
        const server = yield* ApiServer.make()
        yield* server.inject(ApiServer.timeout())
        const fiber = yield* Effect.forkChild(create(server, "a"))
        yield* untilReceived(server, 1)
        yield* TestClock.adjust("33 seconds")
        yield* roundTrip(server)
        assert.isUndefined(fiber.pollUnsafe())
        yield* TestClock.adjust("1 second")
        const answer = yield* Fiber.join(fiber)
        assert.strictEqual(answer.status, 504)
        assert.strictEqual(
          answer.body,
          `{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","message":"Timeout: request did not complete within requested timeout - context deadline exceeded","reason":"Timeout","details":{},"code":504}\n`
        )
        yield* TestClock.adjust("1 hour")
        assert.deepStrictEqual(yield* names(server), [])
      })
    )

    it.effect("504 after a time, and carried out later", () =>
      Effect.gen(function* () {
        const server = yield* ApiServer.make()
        yield* server.inject(ApiServer.timeout({ after: "10 seconds", lateBy: "5 seconds", by: "request" }))
        const fiber = yield* Effect.forkChild(create(server, "a"))
        yield* untilReceived(server, 1)
        yield* TestClock.adjust("10 seconds")
        const answer = yield* Fiber.join(fiber)
        assert.strictEqual(answer.status, 504)
        assert.strictEqual(answer.headers["content-type"], "text/plain; charset=utf-8")
        assert.strictEqual(
          answer.body,
          `{"metadata":{},"status":"Failure","message":"Timeout: request did not complete within the allotted timeout","reason":"Timeout","details":{},"code":504}\n`
        )
        assert.deepStrictEqual(yield* names(server), [])
        yield* TestClock.adjust("5 seconds")
        assert.deepStrictEqual(yield* names(server), ["a"])
      })
    )

    it.effect("carried out later although the client has gone", () =>
      Effect.gen(function* () {
        const server = yield* ApiServer.make()
        yield* server.inject(ApiServer.timeout({ after: "10 seconds", lateBy: "5 seconds" }))
        const fiber = yield* Effect.forkChild(create(server, "a"))
        yield* untilReceived(server, 1)
        yield* Fiber.interrupt(fiber)
        yield* TestClock.adjust("15 seconds")
        assert.deepStrictEqual(yield* names(server), ["a"])
      })
    )

    it.effect("a body that comes bit by bit", () =>
      Effect.gen(function* () {
        const server = yield* ApiServer.make()
        yield* server.inject(ApiServer.slow({ bytes: 2, every: "10 seconds" }))
        const answer = { status: 0, text: "" }
        const token = yield* server.token("user")
        const request = send(server, { path: "/readyz" }, token)
        request.on("response", (response) => {
          answer.status = response.statusCode ?? 0
          response.on("data", (chunk: Buffer) => (answer.text += chunk.toString()))
        })
        yield* until(() => answer.status === 200)
        assert.strictEqual(answer.text, "")
        yield* TestClock.adjust("10 seconds")
        yield* until(() => answer.text === "ok")
        assert.strictEqual((yield* server.injected).Slow, 1)

        yield* server.inject(ApiServer.slow({ bytes: 100, every: "1 minute" }))
        const fiber = yield* Effect.forkChild(ask(server, {}))
        yield* untilReceived(server, 2)
        yield* TestClock.adjust("2 minutes")
        assert.strictEqual(statusOf(yield* Fiber.join(fiber)).kind, "EventList")
      })
    )

    it.effect("only where a real server gives them", () =>
      Effect.gen(function* () {
        const server = yield* ApiServer.make()
        const spared: ReadonlyArray<readonly [ApiServer.Fault, Asked]> = [
          [ApiServer.tooManyRequests(), { user: "admin" }],
          [ApiServer.forbidden, { user: "admin" }],
          [ApiServer.eventRateLimited, {}],
          [ApiServer.namespaceTerminating, {}],
          [ApiServer.entityTooLarge, {}],
          [ApiServer.etcdTooLarge, {}],
          [ApiServer.watchEmpty, {}],
          [ApiServer.watchCut(), {}],
          [ApiServer.serviceUnavailable, { path: "/readyz" }]
        ]
        for (const [fault, asked] of spared) {
          yield* server.inject(fault)
          assert.strictEqual((yield* ask(server, asked)).status, 200, fault._tag)
          assert.strictEqual(yield* server.remaining, 1, fault._tag)
          yield* server.heal
        }
      })
    )

    it.effect("for those who are meant, as often as told", () =>
      Effect.gen(function* () {
        const server = yield* ApiServer.make({
          faults: [
            { fault: ApiServer.serviceUnavailable, verb: "create", name: /^b/, times: 2, skip: 1 },
            { fault: ApiServer.etcdTooLarge, verb: ["patch", "update"], user: "writer", resource: "events" }
          ]
        })
        const statuses: Array<number> = []
        for (const name of ["a1", "b1", "b2", "a2", "b3", "b4"]) {
          statuses.push((yield* create(server, name)).status)
        }
        assert.deepStrictEqual(statuses, [201, 201, 503, 201, 503, 201])
        assert.strictEqual((yield* patch(server, "a1", {}, { user: "user" })).status, 200)
        assert.strictEqual((yield* patch(server, "a1", {}, { user: "writer" })).status, 500)
        assert.strictEqual((yield* patch(server, "a1", {}, { user: "writer" })).status, 200)
        const { EtcdTooLarge, Reset, ServiceUnavailable } = yield* server.injected
        assert.deepStrictEqual([ServiceUnavailable, EtcdTooLarge, Reset], [2, 1, 0])

        yield* server.inject(ApiServer.reset(), { times: Number.POSITIVE_INFINITY })
        assert.strictEqual(yield* server.remaining, 0)
        assert.strictEqual((yield* create(server, "c")).error, "ECONNRESET")
        assert.strictEqual((yield* create(server, "c")).error, "ECONNRESET")
        yield* server.heal
        assert.strictEqual((yield* create(server, "c")).status, 201)
        assert.strictEqual((yield* server.injected).Reset, 2)
      })
    )

    it.effect("by chance, the same for the same seed", () =>
      Effect.gen(function* () {
        const chaos: ApiServer.Chaos = {
          faults: [
            { fault: ApiServer.reset({ applied: true }), rate: 0.2 },
            { fault: ApiServer.serviceUnavailable, rate: 0.2, match: { verb: "create" } }
          ]
        }
        const run = (order: ReadonlyArray<string>, seed: string) =>
          Effect.gen(function* () {
            const server = yield* ApiServer.make({ seed, chaos })
            const met: Record<string, string> = {}
            for (const name of order) {
              for (let time = 0; time < 2; time++) {
                const { error, status } = yield* create(server, name)
                met[`${name} ${time}`] = error ?? String(status)
              }
            }
            return { met, injected: yield* server.injected }
          }).pipe(Effect.scoped)
        const order = Array.from({ length: 30 }, (_, index) => `e${index}`)
        const first = yield* run(order, "x")
        const second = yield* run(order.toReversed(), "x")
        const other = yield* run(order, "y")
        assert.deepStrictEqual(second.met, { ...first.met })
        assert.notDeepEqual(other.met, first.met)
        // 60 requests at 20 % each.
        for (const { Reset, ServiceUnavailable } of [first.injected, other.injected]) {
          assert.isAtLeast(Reset, 4)
          assert.isAtMost(Reset, 25)
          assert.isAtLeast(ServiceUnavailable, 3)
        }
      })
    )

    it.effect("by chance, begun and ended", () =>
      Effect.gen(function* () {
        const server = yield* ApiServer.make()
        yield* server.chaos({ faults: [{ fault: ApiServer.serviceUnavailable, rate: 1 }] })
        assert.strictEqual((yield* create(server, "a")).status, 503)
        yield* server.heal
        assert.strictEqual((yield* create(server, "a")).status, 201)
      })
    )
  })

  describe("watches", () => {
    it.effect("see what happens, from where they begin", () =>
      Effect.gen(function* () {
        const server = yield* ApiServer.make()
        yield* create(server, "a")
        const version = yield* server.resourceVersion
        const live = yield* watch(server, `resourceVersion=${version}`)
        yield* until(() => live.status() === 200)
        yield* create(server, "b")
        yield* patch(server, "a", { count: 2 })
        yield* patch(server, "a", { count: 2 })
        yield* server.remove({ apiVersion: "v1", kind: "Event", metadata: { name: "b" } })
        yield* until(() => live.lines().length === 3)
        assert.deepStrictEqual(
          live.lines().map(({ object, type }) => [type, object.metadata.name, object.metadata.resourceVersion]),
          [
            ["ADDED", "b", String(version + 1)],
            ["MODIFIED", "a", String(version + 2)],
            ["DELETED", "b", String(version + 3)]
          ]
        )
      })
    )

    it.effect("are cut", () =>
      Effect.gen(function* () {
        const server = yield* ApiServer.make()
        yield* create(server, "a")
        yield* create(server, "b")
        for (const [how, ending] of [
          ["reset", "ECONNRESET"],
          ["close", "ECONNRESET"],
          ["end", "end"]
        ] as const) {
          yield* server.inject(ApiServer.watchCut({ afterEvents: 1, how }))
          const cut = yield* watch(server, "")
          yield* until(() => cut.ending() !== undefined)
          assert.strictEqual(cut.ending(), ending)
          assert.strictEqual(cut.lines().length, 1)
        }
        yield* server.inject(ApiServer.watchCut({ afterEvents: 3, how: "end" }))
        const later = yield* watch(server, "")
        yield* until(() => later.lines().length === 2)
        assert.isUndefined(later.ending())
        yield* create(server, "c")
        yield* until(() => later.ending() === "end")
        assert.strictEqual(later.lines().length, 3)
        assert.strictEqual((yield* server.injected).WatchCut, 4)
      })
    )

    it.effect("end at once, without a word", () =>
      Effect.gen(function* () {
        const server = yield* ApiServer.make()
        yield* create(server, "a")
        yield* server.inject(ApiServer.watchEmpty)
        const empty = yield* watch(server, "")
        yield* until(() => empty.ending() === "end")
        assert.strictEqual(empty.status(), 200)
        assert.deepStrictEqual(empty.lines(), [])
      })
    )

    it.effect("go silent and forget the time", () =>
      Effect.gen(function* () {
        const server = yield* ApiServer.make()
        yield* create(server, "a")
        yield* server.inject(ApiServer.watchSilence({ afterEvents: 1 }))
        const silent = yield* watch(server, "timeoutSeconds=5")
        yield* until(() => silent.lines().length === 1)
        yield* create(server, "b")
        yield* TestClock.adjust("1 day")
        yield* roundTrip(server)
        assert.strictEqual(silent.lines().length, 1)
        assert.isUndefined(silent.ending())
      })
    )

    it.effect("are too old", () =>
      Effect.gen(function* () {
        const server = yield* ApiServer.make()
        yield* server.inject(ApiServer.watchExpired())
        const stream = yield* watch(server, "")
        yield* until(() => stream.ending() === "end")
        assert.strictEqual(stream.status(), 200)
        assert.deepStrictEqual(
          stream.lines().map(({ object, type }) => [type, object.code, object.reason]),
          [["ERROR", 410, "Expired"]]
        )
        yield* server.inject(ApiServer.watchExpired({ where: "connect" }))
        const connect = yield* watch(server, "")
        yield* until(() => connect.ending() === "end")
        assert.strictEqual(connect.status(), 410)
      })
    )

    it.effect("end at their time", () =>
      Effect.gen(function* () {
        const server = yield* ApiServer.make()
        const short = yield* watch(server, "timeoutSeconds=300")
        const long = yield* watch(server, "")
        yield* until(() => short.status() === 200 && long.status() === 200)
        yield* TestClock.adjust("299 seconds")
        yield* roundTrip(server)
        assert.isUndefined(short.ending())
        yield* TestClock.adjust("1 second")
        yield* until(() => short.ending() === "end")
        // Between half an hour and an hour.
        yield* TestClock.adjust("24 minutes")
        yield* roundTrip(server)
        assert.isUndefined(long.ending())
        yield* TestClock.adjust("31 minutes")
        yield* until(() => long.ending() === "end")
      })
    )

    it.effect("of a future version are silent until it is reached", () =>
      Effect.gen(function* () {
        const server = yield* ApiServer.make()
        const version = yield* server.resourceVersion
        const future = yield* watch(server, `resourceVersion=${version + 2}`)
        yield* until(() => future.status() === 200)
        for (const name of ["a", "b", "c"]) {
          yield* create(server, name)
        }
        yield* until(() => future.lines().length > 0)
        assert.deepStrictEqual(
          future.lines().map(({ object }) => object.metadata.name),
          ["c"]
        )
      })
    )

    it.effect("catch up with many events, in order", () =>
      Effect.gen(function* () {
        const server = yield* ApiServer.make()
        const version = yield* server.resourceVersion
        const total = 3_000
        for (let index = 0; index < total; index++) {
          yield* server.put({
            apiVersion: "v1",
            kind: "Event",
            metadata: { name: `e${index}` },
            involvedObject: { namespace: "default" },
            message: "x".repeat(200)
          })
        }
        const all = yield* watch(server, `resourceVersion=${version}`)
        yield* until(() => all.lines().length >= total)
        assert.deepStrictEqual(
          all.lines().map(({ object }) => Number(object.metadata.resourceVersion)),
          Array.from({ length: total }, (_, index) => version + 1 + index)
        )
      })
    )
  })

  describe("time", () => {
    it.effect("takes events away, those of one lease together", () =>
      Effect.gen(function* () {
        const server = yield* ApiServer.make({ eventTtl: "20 seconds" })
        yield* create(server, "a")
        yield* create(server, "b")
        const expiry = yield* watch(server, `resourceVersion=${yield* server.resourceVersion}`)
        yield* until(() => expiry.status() === 200)
        yield* TestClock.adjust("20 seconds")
        yield* roundTrip(server)
        assert.deepStrictEqual(expiry.lines(), [])
        yield* TestClock.adjust("1 second")
        yield* until(() => expiry.lines().length === 2)
        assert.deepStrictEqual(
          expiry.lines().map(({ object, type }) => [type, object.metadata.name]),
          [
            ["DELETED", "a"],
            ["DELETED", "b"]
          ]
        )
        const versions = expiry.lines().map(({ object }) => object.metadata.resourceVersion)
        assert.strictEqual(versions[0], versions[1])
        assert.deepStrictEqual(yield* names(server), [])
      })
    )

    it.effect("begins anew with a write that changes something", () =>
      Effect.gen(function* () {
        const server = yield* ApiServer.make({ eventTtl: "20 seconds" })
        yield* create(server, "bumped")
        yield* create(server, "touched")
        yield* TestClock.adjust("15 seconds")
        yield* patch(server, "bumped", { count: 2 })
        yield* patch(server, "touched", {})
        yield* TestClock.adjust("10 seconds")
        assert.deepStrictEqual(yield* names(server), ["bumped"])
        yield* TestClock.adjust("15 seconds")
        assert.deepStrictEqual(yield* names(server), [])
      })
    )

    it.effect("discards history, not before an interval has passed", () =>
      Effect.gen(function* () {
        const server = yield* ApiServer.make()
        const version = yield* server.resourceVersion
        yield* create(server, "a")
        yield* create(server, "b")
        yield* TestClock.adjust("9 minutes")
        const inTime = yield* watch(server, `resourceVersion=${version}`)
        yield* until(() => inTime.lines().length === 2)
        const recent = yield* server.resourceVersion
        yield* create(server, "c")
        yield* create(server, "d")
        yield* TestClock.adjust("1 minute")
        const since = yield* watch(server, `resourceVersion=${recent}`)
        yield* until(() => since.lines().length > 0)
        assert.strictEqual(since.lines()[0]?.type, "ADDED")
        const late = yield* watch(server, `resourceVersion=${version}`)
        yield* until(() => late.ending() === "end")
        assert.deepStrictEqual(
          late.lines().map(({ object, type }) => [type, object.code]),
          [["ERROR", 410]]
        )
        const exact = yield* ask(server, {
          path: `${events}?resourceVersion=${version}&resourceVersionMatch=Exact`
        })
        assert.strictEqual(exact.status, 410)
      })
    )

    it.effect("fills the buckets of EventRateLimit", () =>
      Effect.gen(function* () {
        const server = yield* ApiServer.make({ eventRateLimit: { type: "User", qps: 1, burst: 2 } })
        const statuses: Array<number> = []
        for (const name of ["a", "b", "c"]) {
          statuses.push((yield* create(server, name)).status)
        }
        const refused = yield* patch(server, "a", {})
        assert.strictEqual(statusOf(refused).message, "Too many requests: limit reached on type User for key user")
        assert.isUndefined(refused.headers["retry-after"])
        statuses.push((yield* create(server, "c", { user: "writer" })).status)
        yield* TestClock.adjust("1 second")
        statuses.push((yield* create(server, "d")).status, (yield* create(server, "e")).status)
        assert.deepStrictEqual(statuses, [201, 201, 429, 201, 201, 429])
      })
    )

    it.effect("is the clock's in what is stored", () =>
      Effect.gen(function* () {
        yield* TestClock.setTime(Date.UTC(2026, 0, 2, 3, 4, 5, 678))
        const server = yield* ApiServer.make()
        const answer = yield* create(server, "a")
        assert.strictEqual(statusOf(answer).metadata.creationTimestamp, "2026-01-02T03:04:05Z")
        assert.strictEqual(answer.headers.date, "Fri, 02 Jan 2026 03:04:05 GMT")
      })
    )
  })

  describe("outages", () => {
    it.effect("killed, and started again on the same port", () =>
      Effect.gen(function* () {
        const server = yield* ApiServer.make()
        yield* create(server, "a")
        yield* server.inject(ApiServer.hang(), { verb: "create" })
        const inFlight = yield* Effect.forkChild(create(server, "b"))
        const open = yield* watch(server, "")
        yield* until(() => open.lines().length === 1)
        yield* untilReceived(server, 3)

        yield* server.killApiServer
        assert.strictEqual((yield* Fiber.join(inFlight)).error, "ECONNRESET")
        yield* until(() => open.ending() === "ECONNRESET")
        assert.strictEqual((yield* create(server, "c")).error, "ECONNREFUSED")
        assert.strictEqual((yield* server.connections).open, 0)

        yield* server.startApiServer()
        assert.strictEqual((yield* create(server, "c")).status, 403)
        assert.strictEqual((yield* create(server, "d", { user: "admin" })).status, 201)
        yield* TestClock.adjust("120 millis")
        assert.strictEqual((yield* create(server, "c")).status, 201)
        assert.deepStrictEqual(yield* names(server), ["a", "c", "d"])
        // Again while it runs: nothing.
        yield* server.startApiServer()
        assert.strictEqual((yield* ask(server, {})).status, 200)
      })
    )

    it.effect("replaced by an empty one: other uids, the same users, and the numbers begin anew", () =>
      Effect.gen(function* () {
        const account = "system:serviceaccount:default:host"
        const server = yield* ApiServer.make({ users: [{ name: account }] })
        const look = Effect.gen(function* () {
          const reviewed = yield* ask(server, {
            method: "POST",
            path: "/apis/authentication.k8s.io/v1/selfsubjectreviews",
            body: { apiVersion: "authentication.k8s.io/v1", kind: "SelfSubjectReview" },
            user: account
          })
          return {
            cluster: statusOf(yield* ask(server, { path: "/api/v1/namespaces/kube-system" })).metadata.uid,
            account: (JSON.parse(reviewed.body) as { status: { userInfo: { uid: string } } }).status.userInfo.uid,
            names: yield* names(server),
            version: yield* server.resourceVersion
          }
        })
        const uidOfB = Effect.map(
          server.events,
          (stored) => stored.find(({ metadata }) => metadata.name === "b")?.metadata.uid
        )
        yield* create(server, "a")
        const before = yield* look
        const backup = yield* server.backup
        yield* create(server, "b")
        const later = yield* look
        const lost = yield* uidOfB
        assert.deepStrictEqual(later, { ...before, names: ["a", "b"], version: before.version + 1 })
        const open = yield* watch(server, "")
        yield* until(() => open.status() === 200)

        yield* server.startApiServer({ etcd: "empty", rolesAfter: 0 })
        yield* until(() => open.ending() === "ECONNRESET")
        const replaced = yield* look
        assert.deepStrictEqual(replaced.names, [])
        assert.notStrictEqual(replaced.cluster, before.cluster)
        assert.notStrictEqual(replaced.account, before.account)
        assert.isBelow(replaced.version, before.version)
        assert.strictEqual((yield* create(server, "c")).status, 201)

        // And back, as it was when the backup was made; what is made then is another object than what was lost.
        yield* server.startApiServer({ etcd: backup, rolesAfter: 0 })
        assert.deepStrictEqual(yield* look, before)
        yield* create(server, "b")
        assert.deepStrictEqual(yield* look, later)
        assert.notStrictEqual(yield* uidOfB, lost)
        yield* server.startApiServer({ etcd: backup, rolesAfter: 0 })
        assert.deepStrictEqual(yield* look, before)
      })
    )

    it.effect("set back to a backup: what has expired since expires again, and what is made then later", () =>
      Effect.gen(function* () {
        const server = yield* ApiServer.make({ eventTtl: "1 minute" })
        yield* create(server, "a")
        yield* TestClock.adjust("30 seconds")
        yield* create(server, "b")
        const backup = yield* server.backup
        yield* TestClock.adjust("2 minutes")
        assert.deepStrictEqual(yield* names(server), [])
        yield* server.startApiServer({ etcd: backup, rolesAfter: 0 })
        assert.deepStrictEqual(yield* names(server), [])
        yield* create(server, "c")
        assert.deepStrictEqual(yield* names(server), ["c"])
        yield* TestClock.adjust("2 minutes")
        assert.deepStrictEqual(yield* names(server), [])
      })
    )

    it.effect("away for a while", () =>
      Effect.gen(function* () {
        const server = yield* ApiServer.make()
        const outage = yield* Effect.forkChild(server.outage("1 minute"), { startImmediately: true })
        assert.strictEqual((yield* create(server, "a")).error, "ECONNREFUSED")
        yield* TestClock.adjust("1 minute")
        yield* Fiber.join(outage)
        yield* TestClock.adjust("1 second")
        assert.strictEqual((yield* create(server, "a")).status, 201)
      })
    )

    it.effect("stopped: an open watch goes on for a while", () =>
      Effect.gen(function* () {
        const server = yield* ApiServer.make()
        const agent = new https.Agent({ keepAlive: true, maxSockets: 1, ca: server.certificateAuthority })
        yield* ask(server, { agent })
        const open = yield* watch(server, "")
        yield* until(() => open.status() === 200)
        assert.strictEqual((yield* server.connections).open, 2)
        yield* server.stopApiServer({ grace: "30 seconds" })
        assert.strictEqual((yield* create(server, "a")).error, "ECONNREFUSED")
        assert.notStrictEqual((yield* ask(server, { agent })).error, undefined)
        assert.strictEqual((yield* server.connections).open, 1)
        yield* server.put({
          apiVersion: "v1",
          kind: "Event",
          metadata: { name: "b" },
          involvedObject: { namespace: "default" }
        })
        yield* until(() => open.lines().length === 1)
        yield* TestClock.adjust("30 seconds")
        yield* until(() => open.ending() === "ECONNRESET")
        agent.destroy()
      })
    )

    it.effect("paused: nothing is answered until it goes on", () =>
      Effect.gen(function* () {
        const server = yield* ApiServer.make()
        const agent = new https.Agent({ keepAlive: true, maxSockets: 1, ca: server.certificateAuthority })
        yield* ask(server, { agent })
        const open = yield* watch(server, "")
        yield* until(() => open.status() === 200)
        yield* server.pauseApiServer
        const old = yield* Effect.forkChild(create(server, "a", { agent }), { startImmediately: true })
        const fresh = yield* Effect.forkChild(create(server, "b"), { startImmediately: true })
        yield* untilOpened(server, 3)
        assert.isUndefined(old.pollUnsafe())
        assert.isUndefined(fresh.pollUnsafe())
        assert.deepStrictEqual(yield* names(server), [])
        yield* server.resumeApiServer
        assert.strictEqual((yield* Fiber.join(old)).status, 201)
        assert.strictEqual((yield* Fiber.join(fresh)).status, 201)
        yield* until(() => open.lines().length === 2)
        agent.destroy()
      })
    )

    it.effect("without etcd", () =>
      Effect.gen(function* () {
        const server = yield* ApiServer.make()
        yield* create(server, "a")
        const open = yield* watch(server, "")
        yield* until(() => open.lines().length === 1)
        yield* server.pauseEtcd
        const write = yield* Effect.forkChild(create(server, "b"))
        const list = yield* Effect.forkChild(ask(server, {}))
        const get = yield* Effect.forkChild(ask(server, { path: `${events}/a` }))
        const ready = yield* Effect.forkChild(ask(server, { path: "/readyz" }))
        yield* untilReceived(server, 6)
        assert.strictEqual((yield* create(server, "c", { user: "nobody" })).status, 403)
        yield* TestClock.adjust("4 seconds")
        const notReady = yield* Fiber.join(ready)
        assert.strictEqual(notReady.status, 500)
        assert.include(notReady.body, "[-]etcd failed: reason withheld")
        yield* TestClock.adjust("30 seconds")
        assert.strictEqual((yield* Fiber.join(write)).status, 504)
        assert.isUndefined(list.pollUnsafe())
        yield* TestClock.adjust("6 seconds")
        const listed = yield* Fiber.join(list)
        assert.strictEqual(listed.status, 500)
        assert.strictEqual(
          statusOf(listed).message,
          "rpc error: code = Unavailable desc = keepalive ping failed to receive ACK within timeout"
        )
        yield* TestClock.adjust("20 seconds")
        assert.strictEqual((yield* Fiber.join(get)).status, 504)
        yield* server.put({
          apiVersion: "v1",
          kind: "Event",
          metadata: { name: "d" },
          involvedObject: { namespace: "default" }
        })
        yield* roundTrip(server)
        assert.strictEqual(open.lines().length, 1)
        yield* server.resumeEtcd
        yield* until(() => open.lines().length === 2)
        assert.deepStrictEqual(yield* names(server), ["a", "d"])
      })
    )

    it.effect("without etcd for less than a request's time", () =>
      Effect.gen(function* () {
        const server = yield* ApiServer.make({ requestTimeout: "10 seconds" })
        yield* server.pauseEtcd
        const write = yield* Effect.forkChild(create(server, "a"))
        yield* untilReceived(server, 1)
        yield* TestClock.adjust("9 seconds")
        yield* server.resumeEtcd
        assert.strictEqual((yield* Fiber.join(write)).status, 201)

        yield* server.pauseEtcd
        const late = yield* Effect.forkChild(create(server, "b"))
        yield* untilReceived(server, 2)
        yield* TestClock.adjust("10 seconds")
        const answer = yield* Fiber.join(late)
        assert.strictEqual(answer.status, 504)
        assert.strictEqual(answer.headers["content-type"], "text/plain; charset=utf-8")
      })
    )
  })

  describe("layer", () => {
    it.effect("makes one server", () =>
      Effect.gen(function* () {
        const server = yield* ApiServer.ApiServer
        assert.strictEqual((yield* create(server, "a")).status, 201)
      }).pipe(Effect.provide(ApiServer.layer()))
    )
  })
})
