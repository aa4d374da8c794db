import { assert, describe, it } from "@effect/vitest"
import type * as Backend from "@tidings/core/Backend"
import type { BackendError } from "@tidings/core/BackendError"
import type { Cursor, EventFilter, WatchFrom, WatchItem } from "@tidings/core/EventQuery"
import * as Position from "@tidings/core/Position"
import * as Target from "@tidings/core/Target"
import * as ApiServer from "@tidings/testing-k8s/ApiServer"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Logger from "effect/Logger"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { TestClock } from "effect/testing"
import * as KubernetesBackend from "@tidings/backend-k8s/KubernetesBackend"
import { failure } from "../../../packages/backend-k8s/test/answers.ts"
import { type InterceptedServer, makeServer, refused } from "./InterceptedServer.ts"
import { bump, write } from "../../../packages/backend-k8s/test/writes.ts"

const make = Effect.fnUntraced(function* () {
  const cluster = yield* makeServer
  const backend = yield* KubernetesBackend.make({ pageSize: 2 }).pipe(Effect.provide(cluster.layer))
  return { cluster, backend }
})

interface Watching {
  readonly items: Array<WatchItem>
  readonly fiber: Fiber.Fiber<void, BackendError>
}

/** Lets everything run that can, and lets so many milliseconds pass. */
const pass = (millis = 0) => Effect.andThen(Effect.andThen(settle, TestClock.adjust(millis)), settle)

const settle = Effect.repeat(Effect.yieldNow, { times: 40 })

const watch = (
  backend: Backend.Service,
  from: WatchFrom,
  filter: EventFilter = {}
): Effect.Effect<Watching, never, Scope.Scope> =>
  Effect.gen(function* () {
    const items: Array<WatchItem> = []
    const fiber = yield* Effect.forkScoped(
      Stream.runForEach(backend.watch(filter, from), (item) =>
        Effect.sync(() => {
          items.push(item)
        })
      ),
      { startImmediately: true }
    )
    yield* pass()
    return { items, fiber }
  })

/** `1:3` is the series that began with 1, with a count of 3. */
const show = ({ items }: Watching) =>
  items.map((item) => (item._tag === "Event" ? `${item.event.id.seq}:${item.event.count}` : item._tag))

const put = (backend: Backend.Service, ...writes: ReadonlyArray<Parameters<Backend.Service["write"]>[0][number]>) =>
  Effect.andThen(
    Effect.forEach(writes, (one) => backend.write([one])),
    pass()
  )

/** The page of a gateway, in place of a watch. */
const pageOf = (body: string) => ApiServer.answer({ status: 200, headers: { "content-type": "text/html" }, body })

const cursorOf = (watching: Watching): Cursor => watching.items.at(-1)!.cursor

/** Where a cursor stands. */
const positionOf = (cluster: InterceptedServer, cursor: Cursor, filter: EventFilter = {}) =>
  Effect.map(cluster.service.target, (target): string => {
    const decoded = Position.decodeCursor({ mode: "kubernetes", target, filter }, cursor)
    if (decoded._tag === "Failure") throw decoded.failure
    return decoded.success
  })

describe("the beginning of a watch", () => {
  it.effect("is every event in the order of change, the last of them, or none, and then Live", () =>
    Effect.gen(function* () {
      const { backend } = yield* make()
      yield* put(backend, write(1), write(2), write(3), bump(write(1)))
      assert.deepStrictEqual(show(yield* watch(backend, "beginning")), ["2:1", "3:1", "1:2", "Live"])
      assert.deepStrictEqual(show(yield* watch(backend, { last: 2 })), ["3:1", "1:2", "Live"])
      assert.deepStrictEqual(show(yield* watch(backend, { last: 0 })), ["Live"])
      assert.deepStrictEqual(show(yield* watch(backend, "now")), ["Live"])
    })
  )

  it.effect("is followed by what changes, each change once", () =>
    Effect.gen(function* () {
      const { backend, cluster } = yield* make()
      yield* put(backend, write(1))
      const watching = yield* watch(backend, "beginning")
      yield* put(backend, write(2), bump(write(1)), bump(write(1), 4))
      cluster.remove("web.0123456789abcdef.2")
      yield* pass()
      assert.deepStrictEqual(show(watching), ["1:1", "Live", "2:1", "1:2", "1:5"])
    })
  )

  it.effect("succeeds after a short refusal of the server, and fails after a longer one", () =>
    Effect.gen(function* () {
      const { backend, cluster } = yield* make()
      let refusals = 2
      cluster.before = ({ method }) =>
        method === "GET" && refusals-- > 0 ? failure(403, "Forbidden", "not loaded") : undefined
      const watching = yield* watch(backend, "now")
      assert.deepStrictEqual(show(watching), [])
      yield* pass(1_000)
      assert.deepStrictEqual(show(watching), ["Live"])
      cluster.before = () => failure(403, "Forbidden", 'User "u" cannot list resource "events"')
      const refusedWatch = yield* watch(backend, "now")
      yield* pass(10_000)
      const error = yield* Effect.flip(Fiber.join(refusedWatch.fiber))
      assert.strictEqual(error.reason._tag, "Unauthorized")
    })
  )
})

describe("a cursor", () => {
  it.effect("of each item covers that item and all before it", () =>
    Effect.gen(function* () {
      const { backend } = yield* make()
      yield* put(backend, write(1), write(2))
      const watching = yield* watch(backend, "beginning")
      yield* put(backend, write(3), bump(write(1)), bump(write(1), 2))
      assert.deepStrictEqual(show(watching), ["1:1", "2:1", "Live", "3:1", "1:2", "1:3"])
      const expected = [
        ["2:1", "3:1", "1:2", "1:3", "Live"],
        ["3:1", "1:2", "1:3", "Live"],
        ["3:1", "1:2", "1:3", "Live"],
        ["1:2", "1:3", "Live"],
        ["1:3", "Live"],
        ["Live"]
      ]
      for (const [index, item] of watching.items.entries()) {
        assert.deepStrictEqual(show(yield* watch(backend, item.cursor)), expected[index], String(index))
      }
    })
  )

  it.effect("resumes after deletions too, and then Live is yielded again", () =>
    Effect.gen(function* () {
      const { backend, cluster } = yield* make()
      yield* put(backend, write(1))
      const watching = yield* watch(backend, "beginning")
      yield* Fiber.interrupt(watching.fiber)
      yield* put(backend, write(2), write(3))
      cluster.remove("web.0123456789abcdef.2")
      const again = yield* watch(backend, cursorOf(watching))
      assert.deepStrictEqual(show(again), ["2:1", "3:1", "Live"])
      yield* put(backend, write(4))
      assert.deepStrictEqual(show(again), ["2:1", "3:1", "Live", "4:1"])
    })
  )

  it.effect("from before what the server still knows yields Gap, then what survived, then Live", () =>
    Effect.gen(function* () {
      const { backend, cluster } = yield* make()
      yield* put(backend, write(1))
      const watching = yield* watch(backend, "beginning")
      yield* Fiber.interrupt(watching.fiber)
      yield* put(backend, write(2), write(3), bump(write(1)))
      cluster.remove("web.0123456789abcdef.2")
      const uncompacted = yield* cluster.double.backup
      cluster.compact()
      const again = yield* watch(backend, cursorOf(watching))
      yield* pass(1_000)
      assert.deepStrictEqual(show(again), ["Gap", "3:1", "1:2", "Live"])
      // Whoever saved the cursor of the gap and fell over still gets all that survived.
      yield* cluster.double.startApiServer({ etcd: uncompacted, rolesAfter: 0 })
      assert.deepStrictEqual(show(yield* watch(backend, again.items[0]!.cursor)), ["3:1", "1:2", "Live"])
    })
  )

  it.effect("of another cluster, another filter, or the future of this one is refused", () =>
    Effect.gen(function* () {
      const { backend, cluster } = yield* make()
      yield* put(backend, write(1))
      const cursor = cursorOf(yield* watch(backend, "beginning"))
      const refusal = (from: WatchFrom, filter: EventFilter = {}) =>
        Effect.map(
          Effect.flip(Stream.runCollect(Stream.take(backend.watch(filter, from), 1))),
          ({ reason }) => reason._tag
        )
      assert.strictEqual(yield* refusal(cursor, { reason: "Started" }), "CursorMismatch")
      const encode = Position.cursorEncoder({ mode: "kubernetes", target: yield* cluster.service.target, filter: {} })
      assert.strictEqual(yield* refusal(encode("x")), "CursorMismatch")
      assert.strictEqual(yield* refusal(encode("999999")), "CursorMismatch")
      cluster.found = Target.make("another")
      assert.strictEqual(yield* refusal(cursor), "CursorMismatch")
      assert.deepStrictEqual(
        cluster.opened.filter((path) => path.includes("999999")),
        []
      )
    })
  )
})

describe("a connection that", () => {
  it.effect("breaks is made again, and nothing is lost or repeated", () =>
    Effect.gen(function* () {
      const { backend, cluster } = yield* make()
      yield* put(backend, write(1))
      const watching = yield* watch(backend, "beginning")
      yield* put(backend, write(2))
      cluster.cut()
      yield* put(backend, write(3), bump(write(1)))
      yield* pass(1_000)
      assert.deepStrictEqual(show(watching), ["1:1", "Live", "2:1", "3:1", "1:2"])
    })
  )

  it.effect("the server ends in order is made again at once", () =>
    Effect.gen(function* () {
      const { backend, cluster } = yield* make()
      const watching = yield* watch(backend, "now")
      yield* pass(2_000)
      cluster.end()
      yield* put(backend, write(1))
      yield* pass()
      assert.deepStrictEqual(show(watching), ["Live", "1:1"])
      assert.strictEqual(cluster.opened.length, 2)
    })
  )

  it.effect("breaks in the middle of a line loses nothing", () =>
    Effect.gen(function* () {
      const { backend, cluster } = yield* make()
      const watching = yield* watch(backend, "now")
      cluster.sendToAll('{"type":"ADDED","object":{"metadata":{"name":"half')
      cluster.cut()
      yield* put(backend, write(1))
      yield* pass(1_000)
      assert.deepStrictEqual(show(watching), ["Live", "1:1"])
    })
  )

  it.effect("delivers lines in pieces, several at once, with any text, is read correctly", () =>
    Effect.gen(function* () {
      const { backend, cluster } = yield* make()
      const watching = yield* watch(backend, "now")
      const line = (version: number, message: string) =>
        `${JSON.stringify({ type: "ADDED", object: { metadata: { name: `e${version}`, namespace: "default", uid: `u${version}`, resourceVersion: String(version) }, message } })}\n`
      const text = line(201, "a\u2028b\u0085c") + line(202, "😀") + "\n" + line(203, "z")
      const bytes = new TextEncoder().encode(text)
      for (const byte of bytes) cluster.sendToAll(Uint8Array.of(byte))
      yield* Effect.repeat(pass(), { times: 20 })
      assert.deepStrictEqual(
        watching.items.slice(1).map((item) => (item._tag === "Event" ? item.event.event.message : item._tag)),
        ["a\u2028b\u0085c", "😀", "z"]
      )
    })
  )

  it.effect("cannot be made is retried at growing intervals until it can", () =>
    Effect.gen(function* () {
      const { backend, cluster } = yield* make()
      const watching = yield* watch(backend, "now")
      cluster.before = () => refused
      yield* cluster.double.killApiServer
      yield* pass(60_000)
      const tries = cluster.targetsAsked
      assert.isAbove(tries, 5)
      assert.isBelow(tries, 25)
      cluster.before = () => undefined
      yield* cluster.double.startApiServer({ rolesAfter: 0 })
      yield* put(backend, write(1))
      yield* pass(11_000)
      assert.deepStrictEqual(show(watching), ["Live", "1:1"])
    })
  )

  it.effect("is refused for minutes ends the watch and names the missing permission", () =>
    Effect.gen(function* () {
      const { backend, cluster } = yield* make()
      const watching = yield* watch(backend, "now")
      cluster.before = ({ method }) =>
        method === "GET" ? failure(403, "Forbidden", 'User "u" cannot list resource "events"') : undefined
      cluster.cut()
      yield* pass(240_000)
      assert.isUndefined(watching.fiber.pollUnsafe())
      yield* pass(120_000)
      const error = yield* Effect.flip(Fiber.join(watching.fiber))
      assert.strictEqual(error.reason._tag, "Unauthorized")
      assert.include(error.message, 'verbs: ["list", "watch"]')
    })
  )

  it.effect("leads to another cluster after it broke ends the watch", () =>
    Effect.gen(function* () {
      const { backend, cluster } = yield* make()
      const watching = yield* watch(backend, "now")
      const own = (yield* cluster.service.target).id
      cluster.found = Target.make("another")
      cluster.cut()
      yield* pass(1_000)
      const { message, reason } = yield* Effect.flip(Fiber.join(watching.fiber))
      assert.strictEqual(reason._tag, "TargetMismatch")
      assert.include(message, `another instead of ${own}`)
    })
  )

  it.effect("ended in order while another one broke does not continue in another cluster", () =>
    Effect.gen(function* () {
      const { backend, cluster } = yield* make()
      const watching = yield* watch(backend, "now")
      cluster.found = Target.make("another")
      cluster.breaks++
      // What is shown until then is of the watch that is open.
      yield* pass(1_000)
      assert.deepStrictEqual(show(watching), ["Live"])
      const opened = cluster.opened.length
      cluster.end()
      yield* pass(1_000)
      assert.strictEqual((yield* Effect.flip(Fiber.join(watching.fiber))).reason._tag, "TargetMismatch")
      assert.strictEqual(cluster.opened.length, opened)
    })
  )

  it.effect("is made again continues when the same cluster is identified by a better name", () =>
    Effect.gen(function* () {
      const { backend, cluster } = yield* make()
      cluster.found = Target.make("server", { aliases: ["authority-1"], isUncertain: true })
      const watching = yield* watch(backend, "now")
      for (const found of [
        Target.make("server", { aliases: ["authority-2"], isUncertain: true }),
        Target.make("uid", { aliases: ["account", "server", "authority-2"] })
      ]) {
        cluster.found = found
        cluster.cut()
        yield* pass(11_000)
      }
      yield* put(backend, write(1))
      assert.deepStrictEqual(show(watching), ["Live", "1:1"])
      // And its cursors are good under the better name.
      assert.deepStrictEqual(show(yield* watch(backend, cursorOf(watching))), ["Live"])
    })
  )

  it.effect("cannot be verified to lead to the same cluster waits for the permission to verify it", () =>
    Effect.gen(function* () {
      const { backend, cluster } = yield* make()
      const own = Target.make("uid", { aliases: ["server"] })
      cluster.found = own
      const watching = yield* watch(backend, "now")
      cluster.found = Target.make("server", { isUncertain: true })
      cluster.cut()
      yield* pass(60_000)
      assert.isUndefined(watching.fiber.pollUnsafe())
      cluster.found = own
      yield* put(backend, write(1))
      yield* pass(11_000)
      assert.deepStrictEqual(show(watching), ["Live", "1:1"])
    })
  )

  it.effect("leads to an earlier state of the cluster after it broke ends the watch", () =>
    Effect.gen(function* () {
      const { backend, cluster } = yield* make()
      yield* put(backend, write(1))
      const before = yield* cluster.double.backup
      yield* put(backend, write(2))
      const watching = yield* watch(backend, "now")
      yield* cluster.double.startApiServer({ etcd: before, rolesAfter: 0 })
      yield* pass(1_000)
      const error = yield* Effect.flip(Fiber.join(watching.fiber))
      assert.strictEqual(error.reason._tag, "CursorMismatch")
      assert.include(error.message, "restored to an earlier state")
    })
  )

  it.effect("is silent for longer than the server keeps it open is replaced", () =>
    Effect.gen(function* () {
      const { backend, cluster } = yield* make()
      // The other side is gone, and nobody says so.
      cluster.failWatches(ApiServer.watchSilence(), 1)
      const watching = yield* watch(backend, "now")
      yield* put(backend, write(1))
      assert.deepStrictEqual(show(watching), ["Live"])
      yield* pass(45_000)
      assert.deepStrictEqual(show(watching), ["Live", "1:1"])
    })
  )
})

describe("history that is gone", () => {
  it.effect("in the stream yields Gap, then what survived, once", () =>
    Effect.gen(function* () {
      const { backend, cluster } = yield* make()
      yield* put(backend, write(1))
      const watching = yield* watch(backend, "beginning")
      yield* put(backend, write(2))
      cluster.cut()
      yield* put(backend, write(3), bump(write(1)), write(4))
      cluster.remove("web.0123456789abcdef.4")
      cluster.compact()
      yield* pass(1_000)
      assert.deepStrictEqual(show(watching), ["1:1", "Live", "2:1", "Gap", "3:1", "1:2"])
      yield* put(backend, write(5))
      assert.deepStrictEqual(show(watching).at(-1), "5:1")
      const gap = watching.items[3]!
      assert.isTrue(gap._tag === "Gap" && gap.reason.includes("no longer has the changes"))
    })
  )

  it.effect("when the connection is made yields the same", () =>
    Effect.gen(function* () {
      const { backend, cluster } = yield* make()
      const watching = yield* watch(backend, "now")
      cluster.cut()
      yield* put(backend, write(1))
      cluster.failWatches(ApiServer.watchExpired({ where: "connect" }), 1)
      yield* pass(1_000)
      assert.deepStrictEqual(show(watching), ["Live", "Gap", "1:1"])
    })
  )

  it.effect("as a watch that ends at once, twice: read anew, and Gap when nobody knows how old the position is", () =>
    Effect.gen(function* () {
      const { backend, cluster } = yield* make()
      yield* put(backend, write(1))
      const watching = yield* watch(backend, "beginning")
      yield* Fiber.interrupt(watching.fiber)
      yield* put(backend, write(2))
      cluster.failWatches(ApiServer.watchEmpty, 2)
      const again = yield* watch(backend, cursorOf(watching))
      yield* pass(3_000)
      assert.deepStrictEqual(show(again), ["Gap", "2:1", "Live"])
      yield* put(backend, write(3))
      assert.deepStrictEqual(show(again).at(-1), "3:1")
    })
  )

  it.effect("does not affect a watch without events for long, because its position is refreshed in time", () =>
    Effect.gen(function* () {
      const { backend, cluster } = yield* make()
      const watching = yield* watch(backend, "now", { reason: "Rare" })
      for (let round = 0; round < 60; round++) {
        // The rest of the cluster is busy, and the server forgets what is older than five minutes.
        cluster.put(`noise-${round}`, { reason: "Noise" })
        yield* pass(30_000)
        cluster.end()
        yield* pass()
      }
      cluster.put("rare", { reason: "Rare", type: "Normal" })
      yield* pass(1_000)
      assert.deepStrictEqual(
        watching.items.map(({ _tag }) => _tag),
        ["Live", "Event"]
      )
    })
  )

  it.effect.each([
    ["ends every watch at once", ApiServer.watchEmpty],
    ["answers every watch with a page of its own", pageOf("<html>\n<body>Welcome</body>\n</html>\n")]
  ] as const)("is not read again and again at full speed when a proxy %s", ([, fault]) =>
    Effect.gen(function* () {
      const { backend, cluster } = yield* make()
      const watching = yield* watch(backend, "now")
      cluster.failWatches(fault)
      cluster.end()
      yield* pass(60_000)
      assert.isBelow(cluster.opened.length, 40)
      assert.deepStrictEqual(show(watching), ["Live"])
      cluster.healWatches()
      yield* put(backend, write(1))
      yield* pass(11_000)
      assert.deepStrictEqual(show(watching), ["Live", "1:1"])
    })
  )
})

describe("an answer of success that is no watch", () => {
  const event = { metadata: { name: "other", resourceVersion: "9999" } }
  const strange: ReadonlyArray<readonly [name: string, text: string]> = [
    ["a page of HTML", "<html>\n<body>Welcome</body>\n</html>\n"],
    ["a page of HTML in one piece", "<html>Welcome</html>"],
    ["an empty object", "{}"],
    ["null", "null\n"],
    ["an array", "[]\n"],
    [
      "a list",
      JSON.stringify({ kind: "EventList", apiVersion: "v1", metadata: { resourceVersion: "9999" }, items: [] })
    ],
    ["a change of nothing", `${JSON.stringify({ type: "ADDED", object: {} })}\n`],
    ["a change without a type", `${JSON.stringify({ object: event })}\n`]
  ]
  for (const [name, text] of strange) {
    it.effect(`(${name}) moves nothing, is said once, and is tried again ever more slowly`, () =>
      Effect.gen(function* () {
        const lines: Array<string> = []
        const logger = Logger.make<unknown, void>(({ message }) => void lines.push(String(message)))
        const { backend, cluster } = yield* make()
        yield* put(backend, write(1))
        const watching = yield* watch(backend, "beginning").pipe(Effect.provide(Logger.layer([logger])))
        cluster.failWatches(pageOf(text))
        cluster.end()
        yield* put(backend, write(2))
        yield* pass(60_000)
        assert.deepStrictEqual(show(watching), ["1:1", "Live"])
        assert.isBelow(cluster.opened.length, 30)
        assert.lengthOf(lines, 1)
        assert.include(lines[0], "HTTP 200 text/html")
        cluster.healWatches()
        yield* pass(11_000)
        assert.deepStrictEqual(show(watching), ["1:1", "Live", "2:1"])
      })
    )
  }

  it.effect("in the middle of a watch follows the events before it, and nothing is lost or repeated", () =>
    Effect.gen(function* () {
      const { backend, cluster } = yield* make()
      const watching = yield* watch(backend, "now")
      yield* put(backend, write(1))
      cluster.sendToAll("<html>\n")
      yield* put(backend, write(2))
      yield* pass(1_000)
      assert.deepStrictEqual(show(watching), ["Live", "1:1", "2:1"])
    })
  )
})

describe("a watch yields nothing for", () => {
  it.effect("a change of fields that are not part of the event, also by other writers", () =>
    Effect.gen(function* () {
      const { backend, cluster } = yield* make()
      const watching = yield* watch(backend, "now")
      yield* put(backend, write(1))
      const own = cluster.object("web.0123456789abcdef.1")!
      cluster.put("web.0123456789abcdef.1", { ...own, metadata: { ...own["metadata"], labels: { touched: "yes" } } })
      const foreign = { reason: "Pulled", count: 1, lastTimestamp: "2026-01-01T00:00:00Z", message: "m" }
      cluster.put("foreign", foreign)
      cluster.put("foreign", { ...foreign, metadata: { labels: { touched: "yes" } } })
      cluster.put("foreign", { ...foreign, count: 2 })
      yield* pass()
      assert.deepStrictEqual(show(watching), ["Live", "1:1", "0:1", "0:2"])
      assert.strictEqual(yield* positionOf(cluster, cursorOf(watching)), String(cluster.version))
    })
  )

  it.effect("a temporary error in the stream, after which it continues where it was", () =>
    Effect.gen(function* () {
      const { backend, cluster } = yield* make()
      const watching = yield* watch(backend, "now")
      yield* put(backend, write(1))
      cluster.sendToAll(
        `${JSON.stringify({ type: "ERROR", object: { kind: "Status", code: 500, reason: "InternalError", message: "etcd" } })}\n`
      )
      yield* put(backend, write(2))
      yield* pass(2_000)
      assert.deepStrictEqual(show(watching), ["Live", "1:1", "2:1"])
    })
  )

  it.effect("bookmarks, unknown changes, and empty lines", () =>
    Effect.gen(function* () {
      const { backend, cluster } = yield* make()
      const watching = yield* watch(backend, "now")
      const bookmark = `{"type":"BOOKMARK","object":{"metadata":{"resourceVersion":"${cluster.version}"}}}`
      cluster.sendToAll(`\n{"type":"NEW","object":{}}\n${bookmark}\n`)
      yield* put(backend, write(1))
      assert.deepStrictEqual(show(watching), ["Live", "1:1"])
      cluster.cut()
      yield* pass(1_000)
      assert.include(cluster.opened.at(-1), `resourceVersion=${cluster.version}`)
    })
  )
})

it.effect("what a filter leaves out by time does not leave, and moves the position all the same", () =>
  Effect.gen(function* () {
    const { backend, cluster } = yield* make()
    const filter = { since: 1_700_000_001_000_000 }
    const watching = yield* watch(backend, "now", filter)
    yield* put(backend, write(1), bump(write(2), 5))
    assert.deepStrictEqual(show(watching), ["Live", "2:6"])
    assert.strictEqual(yield* positionOf(cluster, cursorOf(watching), filter), String(cluster.version))
  })
)

it.effect("a watch that is interrupted ends", () =>
  Effect.gen(function* () {
    const { backend } = yield* make()
    const watching = yield* watch(backend, "now")
    yield* Fiber.interrupt(watching.fiber)
    assert.isTrue(Exit.hasInterrupts(yield* Fiber.await(watching.fiber)))
  })
)
