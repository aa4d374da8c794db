/** A server without a socket, as a connection of the backend. */
import { assert, describe, it } from "@effect/vitest"
import * as KubernetesConnection from "@tidings/backend-k8s/KubernetesConnection"
import type { KubernetesResponse } from "@tidings/backend-k8s/KubernetesHttp"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Result from "effect/Result"
import * as Stream from "effect/Stream"
import { TestClock } from "effect/testing"
import * as ApiServer from "../src/ApiServer.ts"

const EVENTS = "/api/v1/namespaces/default/events"

const eventBody = (name: string) =>
  JSON.stringify({ metadata: { name }, involvedObject: { namespace: "default" }, reason: "R" })

const setUp = Effect.fnUntraced(function* (options: ApiServer.Options = {}, user?: string) {
  const server = yield* ApiServer.make({ ...options, listen: false })
  const connection = yield* server.connection(user)
  const create = (name: string) => connection.request({ method: "POST", path: EVENTS, body: eventBody(name) })
  return { server, connection, create }
})

type Connection = KubernetesConnection.KubernetesConnection["Service"]

/** The lines of a watch as they come, and how it ends. */
const watch = Effect.fnUntraced(function* (connection: Connection, path = `${EVENTS}?watch=1`) {
  const response = yield* connection.open(path)
  const chunks: Array<string> = []
  const fiber = yield* Effect.forkScoped(
    Effect.result(
      Stream.runForEach(Stream.decodeText(response.bytes), (text) => Effect.sync(() => void chunks.push(text)))
    ),
    { startImmediately: true }
  )
  return {
    names: () =>
      chunks
        .join("")
        .split("\n")
        .filter((line) => line !== "")
        .map((line) => (JSON.parse(line) as { object: { metadata: { name: string } } }).object.metadata.name),
    text: () => chunks.join(""),
    ended: Effect.map(Fiber.join(fiber), (result) => (Result.isSuccess(result) ? "ended" : result.failure.message))
  }
})

const settle = Effect.repeat(Effect.yieldNow, { times: 20 })

/** In one line, what became of a request. */
const shown = (response: Effect.Effect<KubernetesResponse, { readonly reason: { readonly _tag: string } }>) =>
  Effect.match(response, {
    onFailure: ({ reason }) => ("applied" in reason ? `${reason._tag} ${String(reason.applied)}` : reason._tag),
    onSuccess: ({ body, status }) => `${status} ${body === undefined ? "broken off" : "whole"}`
  })

describe("a connection without a socket", () => {
  it.effect("reaches the same server as one with a socket", () =>
    Effect.gen(function* () {
      const server = yield* ApiServer.make()
      const here = yield* server.connection("writer")
      assert.strictEqual((yield* here.request({ method: "POST", path: EVENTS, body: eventBody("a") })).status, 201)
      const there = yield* KubernetesConnection.make({ kubeconfig: server.kubeconfigFile, context: "reader" })
      const list = yield* there.request({ method: "GET", path: EVENTS })
      const { items } = JSON.parse(list.body!) as { items: ReadonlyArray<{ metadata: { name: string } }> }
      assert.deepStrictEqual(
        items.map(({ metadata }) => metadata.name),
        ["a"]
      )
      const reader = yield* server.connection("reader")
      assert.strictEqual((yield* reader.target).id, (yield* there.target).id)
      assert.deepStrictEqual(
        (yield* server.requests).slice(0, 2).map(({ user, verb }) => `${user} ${verb}`),
        ["writer create", "reader list"]
      )
    })
  )

  const faults: ReadonlyArray<readonly [name: string, fault: ApiServer.Fault, met: string, stored: number]> = [
    ["a reset", ApiServer.reset(), "Transient unknown", 0],
    ["a reset after it is done", ApiServer.reset({ applied: true }), "Transient unknown", 1],
    ["a close after it is done", ApiServer.close({ applied: true }), "Transient unknown", 1],
    ["an answer that breaks off", ApiServer.truncate(10), "201 broken off", 1],
    ["etcd going away", ApiServer.etcdUnavailable(), "500 whole", 0],
    ["priority and fairness", ApiServer.tooManyRequests(), "429 whole", 0],
    ["a token that is refused once", ApiServer.unauthorized, "201 whole", 1],
    ["the page of a gateway", ApiServer.answer({ status: 200, body: "<html>" }), "200 whole", 0],
    [
      "the page of a gateway after it is done",
      ApiServer.answer({ status: 302, body: "", applied: true }),
      "302 whole",
      1
    ]
  ]
  it.effect.each(faults)("meets %s as one with a socket does", ([, fault, met, stored]) =>
    Effect.gen(function* () {
      const { create, server } = yield* setUp()
      yield* server.inject(fault, { verb: "create" })
      assert.strictEqual(yield* shown(create("a")), met)
      assert.strictEqual((yield* server.events).length, stored)
      const beside = yield* ApiServer.make()
      yield* beside.inject(fault, { verb: "create" })
      const socket = yield* KubernetesConnection.make({ kubeconfig: beside.kubeconfigFile, context: "user" })
      assert.strictEqual(yield* shown(socket.request({ method: "POST", path: EVENTS, body: eventBody("a") })), met)
    })
  )

  it.effect("is refused while nobody listens, and notices that it was broken", () =>
    Effect.gen(function* () {
      const { connection, create, server } = yield* setUp()
      yield* create("a")
      const before = connection.epoch()
      yield* server.killApiServer
      assert.isAbove(connection.epoch(), before)
      const error = yield* Effect.flip(create("b"))
      assert.isTrue(error.reason._tag === "Transient" && error.reason.applied === "no")
      assert.include(error.message, "ECONNREFUSED")
      yield* server.startApiServer({ rolesAfter: 0 })
      assert.strictEqual((yield* create("b")).status, 201)
      assert.strictEqual((yield* server.connections).open, 1)
    })
  )

  it.effect("loses what is under way when the server is killed", () =>
    Effect.gen(function* () {
      const { connection, create, server } = yield* setUp()
      const watching = yield* watch(connection)
      yield* server.inject(ApiServer.hang({ applied: true }), { verb: "create" })
      const fiber = yield* Effect.forkChild(create("a"), { startImmediately: true })
      yield* server.killApiServer
      assert.include((yield* Effect.flip(Fiber.join(fiber))).message, "ECONNRESET")
      assert.include(yield* watching.ended, "ECONNRESET")
      assert.strictEqual((yield* server.events).length, 1)
    })
  )

  it.effect("gives up an answer that does not come in time, and one that is not wanted any more", () =>
    Effect.gen(function* () {
      const { create, server } = yield* setUp()
      yield* server.pauseApiServer
      const late = yield* Effect.forkChild(Effect.flip(create("a")), { startImmediately: true })
      yield* TestClock.adjust("30 seconds")
      assert.include((yield* Fiber.join(late)).message, "no answer within 30s")
      const unwanted = yield* Effect.forkChild(create("b"), { startImmediately: true })
      yield* Fiber.interrupt(unwanted)
      yield* server.resumeApiServer
      assert.deepStrictEqual(yield* server.events, [])
    })
  )

  it.effect("has the rights of its user, under the token that is valid now", () =>
    Effect.gen(function* () {
      const { create, server } = yield* setUp({}, "reader")
      assert.strictEqual((yield* create("a")).status, 403)
      yield* server.rotateToken("reader")
      assert.strictEqual((yield* create("a")).status, 403)
      const unknown = yield* Effect.flip(server.connection("nobody-knows"))
      assert.strictEqual(unknown.reason, "UnknownUser")
    })
  )

  it.effect("comes with the layer, for a user", () =>
    Effect.gen(function* () {
      const connection = yield* KubernetesConnection.KubernetesConnection
      assert.strictEqual(
        (yield* connection.request({ method: "POST", path: EVENTS, body: eventBody("a") })).status,
        403
      )
      assert.strictEqual(connection.context, "reader")
      assert.strictEqual((yield* ApiServer.ApiServer).kubeconfigFile, "")
    }).pipe(Effect.provide(ApiServer.layerConnection({ user: "reader" })))
  )
})

describe("a watch without a socket", () => {
  it.effect("has what is there and what changes, until the server ends it", () =>
    Effect.gen(function* () {
      const { connection, create, server } = yield* setUp()
      yield* create("a")
      const watching = yield* watch(connection)
      yield* create("b")
      yield* settle
      assert.deepStrictEqual(watching.names(), ["a", "b"])
      yield* server.endWatches()
      assert.strictEqual(yield* watching.ended, "ended")
      assert.strictEqual((yield* server.connections).open, 1)
    })
  )

  it.effect("ends after its time, by the clock of the test", () =>
    Effect.gen(function* () {
      const { connection } = yield* setUp()
      const watching = yield* watch(connection, `${EVENTS}?watch=1&timeoutSeconds=10`)
      yield* TestClock.adjust("10 seconds")
      assert.strictEqual(yield* watching.ended, "ended")
    })
  )

  it.effect("carries what is none of the server's, and then breaks", () =>
    Effect.gen(function* () {
      const { connection, server } = yield* setUp()
      const watching = yield* watch(connection)
      yield* server.writeToWatches('{"half":')
      yield* server.endWatches("reset")
      assert.include(yield* watching.ended, "ECONNRESET")
      assert.strictEqual(watching.text(), '{"half":')
    })
  )

  it.effect("of somebody who does not read on is over for the server", () =>
    Effect.gen(function* () {
      const { connection, create, server } = yield* setUp()
      yield* create("a")
      const { bytes } = yield* connection.open(`${EVENTS}?watch=1`)
      yield* Stream.runDrain(Stream.take(bytes, 1))
      yield* server.stopApiServer()
      assert.strictEqual((yield* server.connections).open, 0)
    })
  )

  it.effect("that is refused has the text of the answer", () =>
    Effect.gen(function* () {
      const { connection } = yield* setUp({}, "nobody")
      const { status, text } = yield* connection.open(`${EVENTS}?watch=1`)
      assert.strictEqual(status, 403)
      assert.include(yield* text, "cannot watch")
    })
  )
})

describe("faults that look at the request", () => {
  it.effect("meet only those whose query or body is meant", () =>
    Effect.gen(function* () {
      const { connection, create, server } = yield* setUp({}, "admin")
      const fault = ApiServer.answer({ status: 503, body: "later" })
      yield* server.inject(fault, { verb: "list", query: /(?:^|&)limit=/, times: 10 })
      yield* server.inject(fault, { body: /"name":"b"/, times: 10 })
      const statusOf = (path: string) => Effect.map(connection.request({ method: "GET", path }), ({ status }) => status)
      assert.deepStrictEqual([yield* statusOf(EVENTS), yield* statusOf(`${EVENTS}?limit=1`)], [200, 503])
      assert.deepStrictEqual([(yield* create("a")).status, (yield* create("b")).status], [201, 503])
    })
  )
})

it.effect("a webhook has its say in what is created and changed, and not in what is put without a request", () =>
  Effect.gen(function* () {
    const webhook = (object: ApiServer.KubernetesObject) => ({
      ...object,
      metadata: { ...object.metadata, annotations: { seen: "yes" } }
    })
    const { connection, create, server } = yield* setUp({ webhook })
    yield* server.put({ apiVersion: "v1", kind: "Event", metadata: { name: "put" }, involvedObject: {} })
    yield* create("a")
    yield* connection.request({
      method: "PATCH",
      path: `${EVENTS}/a`,
      body: JSON.stringify({ metadata: { annotations: { seen: "no" } } }),
      contentType: "application/merge-patch+json"
    })
    assert.deepStrictEqual(
      (yield* server.events).map(({ metadata }) => metadata["annotations"]),
      [{ seen: "yes" }, undefined]
    )
  })
)

it.effect("metadata alone is answered to who asks for it", () =>
  Effect.gen(function* () {
    const { connection, create } = yield* setUp()
    yield* create("a")
    const ask = (path: string, kind: string) =>
      Effect.map(
        connection.request({ method: "GET", path, accept: `application/json;as=${kind};g=meta.k8s.io;v=v1` }),
        ({ body }) => JSON.parse(body!) as Record<string, unknown>
      )
    const one = yield* ask(`${EVENTS}/a`, "PartialObjectMetadata")
    assert.deepStrictEqual(Object.keys(one).sort(), ["apiVersion", "kind", "metadata"])
    const list = yield* ask(EVENTS, "PartialObjectMetadataList")
    assert.strictEqual(list["kind"], "PartialObjectMetadataList")
    assert.deepStrictEqual(list["items"], [one])
  })
)
