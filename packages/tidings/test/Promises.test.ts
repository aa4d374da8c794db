import { FileBackend } from "@tidings/backend-fs"
import * as Backend from "@tidings/core/Backend"
import * as BackendError from "@tidings/core/BackendError"
import * as Correlation from "@tidings/core/Correlation"
import * as EventCatalogue from "@tidings/core/EventCatalogue"
import * as Journal from "@tidings/core/Journal"
import * as Policy from "@tidings/core/Policy"
import * as Recorder from "@tidings/core/Recorder"
import * as ApiServer from "@tidings/testing-k8s/ApiServer"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Scope from "effect/Scope"
import * as Exit from "effect/Exit"
import * as Stream from "effect/Stream"
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import type * as Promised from "tidings/Promised"
import * as Rejection from "tidings/Rejection"
import * as Tidings from "tidings/Tidings"
import { afterAll, assert, beforeAll, describe, it } from "vitest"

let home: string
beforeAll(() => {
  home = mkdtempSync(join(tmpdir(), "tidings-promises-"))
})
afterAll(() => rmSync(home, { recursive: true, force: true }))

const quiet = { logger: false } as const

const rejected = async (call: Promise<unknown>): Promise<Rejection.Rejection> => {
  const outcome = await call.then(
    (value) => ({ value }),
    (thrown: unknown) => ({ thrown })
  )
  if ("value" in outcome) assert.fail("expected a rejection")
  const { thrown } = outcome
  assert.instanceOf(thrown, Error)
  assert.isTrue(Rejection.is(thrown), String(thrown))
  assert.notEqual(thrown.message, "")
  return thrown as Rejection.Rejection
}

const tagOf = async (call: Promise<unknown>): Promise<string> => (await rejected(call))._tag

const firstOf = <A>(items: AsyncIterable<A>): Promise<IteratorResult<A>> => items[Symbol.asyncIterator]().next()

const pod = { kind: "Pod", name: "web", namespace: "default" }

class Orders extends EventCatalogue.Service<Orders>()("shop/Orders", {
  Order: {
    apiVersion: "shop.example.com/v1",
    fields: { took: "duration", items: "count" },
    reasons: {
      OrderShipped: { meaning: "It is on its way.", message: "Order {{.Name}} was shipped after {{.Took}}" },
      OrderLost: { meaning: "It is lost.", type: "Warning", message: "Order {{.Name}} is lost" }
    }
  }
}) {}

const scopeOfServers = Scope.makeUnsafe()
afterAll(() => Effect.runPromise(Scope.close(scopeOfServers, Exit.void)))

/** A cluster, and a kubeconfig for it. */
const cluster = async (namespace?: string) => {
  const context = await Effect.runPromise(
    Layer.buildWithScope(ApiServer.layer({ namespaces: ["team-b"] }), scopeOfServers)
  )
  const server = Context.get(context, ApiServer.ApiServer)
  const token = await Effect.runPromise(server.token("writer"))
  const kubeconfig = join(mkdtempSync(join(home, "cluster-")), "config")
  const certificate = Buffer.from(server.certificateAuthority).toString("base64")
  writeFileSync(
    kubeconfig,
    JSON.stringify({
      apiVersion: "v1",
      kind: "Config",
      clusters: [{ name: "test", cluster: { server: server.url, "certificate-authority-data": certificate } }],
      users: [{ name: "test", user: { token } }],
      contexts: [{ name: "test", context: { cluster: "test", user: "test", ...(namespace && { namespace }) } }],
      "current-context": "test"
    })
  )
  return { kubeconfig, server }
}

describe("close", () => {
  // However busy the machine is that serves and writes at once.
  const drainTimeout = "5 minutes"
  const open: Readonly<Record<string, () => Promise<Tidings.Tidings>>> = {
    memory: () => Tidings.create({ ...quiet, backend: "memory" }),
    "the event log": () =>
      Tidings.create({ ...quiet, backend: "filesystem", console: false, directory: mkdtempSync(join(home, "log-")) }),
    "a cluster": async () =>
      Tidings.create({ ...quiet, drainTimeout, backend: "kubernetes", kubeconfig: (await cluster()).kubeconfig }),
    "a cluster with a journal on disk": async () =>
      Tidings.create({
        ...quiet,
        drainTimeout,
        backend: "kubernetes",
        kubeconfig: (await cluster()).kubeconfig,
        journal: mkdtempSync(join(home, "journal-"))
      })
  }
  for (const [name, make] of Object.entries(open)) {
    // Each is a request to the double of an API server.
    const count = name.includes("cluster") ? 500 : 2_000
    it(`keeps ${count} calls that were not awaited before it, in ${name}`, async () => {
      const tidings = await make()
      const calls = Array.from({ length: count }, (_, n) =>
        tidings.createEvent({ ...pod, name: `pod-${n}` }, "Started", "it runs", "Normal")
      )
      await tidings.close()
      const answers = await Promise.all(calls)
      assert.isTrue(answers.every(({ _tag }) => _tag === "Accepted"))
      const { accepted, sinks } = await tidings.status()
      assert.strictEqual(accepted, count)
      assert.strictEqual(sinks["default"]?.settled, count)
    })

    it(`is preceded by a flush that counts ${count} calls that were not awaited, in ${name}`, async () => {
      await using tidings = await make()
      const calls = Array.from({ length: count }, (_, n) =>
        tidings.generator.workflowEvent({ metadata: { name: `workflow-${n}` } }, "WorkflowExecutionStarted")
      )
      const report = await tidings.flush(drainTimeout)
      assert.isTrue(report.complete)
      assert.strictEqual(report.waiting, 0)
      assert.strictEqual((await tidings.status()).sinks["default"]?.settled, count)
      await Promise.all(calls)
    })
  }

  it("waits for a query that was made before it, and refuses one that is made after it", async () => {
    const { promise, resolve } = Promise.withResolvers<void>()
    const backend = Backend.layerMemory().pipe(
      Policy.make((backend) =>
        Effect.succeed({
          ...backend,
          query: (query) =>
            Effect.andThen(
              Effect.promise(() => promise),
              backend.query(query)
            )
        })
      )
    )
    const tidings = await Tidings.createWith({ backend }, quiet)
    await tidings.createEvent(pod, "Started", "it runs", "Normal")
    const query = tidings.queryEvents()
    const closing = tidings.close()
    const late = tidings.queryEvents()
    assert.strictEqual(await tagOf(late), "BackendError")
    resolve()
    assert.strictEqual((await query).totalCount, 1)
    await closing
  })

  it("ends a query, and a flush without a deadline, after the drain timeout", async () => {
    const backend = Backend.layerMemory().pipe(
      Policy.make((backend) => Effect.succeed({ ...backend, query: () => Effect.never, write: () => Effect.never }))
    )
    const tidings = await Tidings.createWith({ backend }, { ...quiet, drainTimeout: 50 })
    const query = tidings.queryEvents()
    const call = tidings.createEvent(pod, "Started", "it runs", "Normal")
    const flush = tidings.flush("Infinity")
    await tidings.close()
    const error = await rejected(query)
    assert.strictEqual(error._tag === "BackendError" && error.reason._tag, "Unavailable")
    assert.include(["RecorderError", "Interrupted"], await tagOf(call))
    const report = await Promise.race([flush, new Promise((resolve) => setTimeout(resolve, 5_000, "no answer"))])
    assert.notStrictEqual(report, "no answer")
  })

  it("can be called twice, and later calls are refused with typed errors", async () => {
    const tidings = await Tidings.create({ ...quiet, backend: "memory", catalogues: [Orders] })
    await Promise.all([tidings.close(), tidings.close()])
    await tidings.close()
    for (const call of [
      tidings.createEvent(pod, "Started", "it runs", "Normal"),
      tidings.createEventForCRD("Workflow", "deploy", "default", "Started", "it runs", "Normal"),
      tidings.createEventWithData(pod, "Started", {}),
      tidings.generator.emit({ metadata: { name: "search" } }, "MCPServerStopped"),
      tidings.generator.crdEvent("Workflow", "deploy", "default", "WorkflowExecuted"),
      tidings.orders.orderEvent({ metadata: { name: "o-1" } }, "OrderLost")
    ]) {
      const error = await rejected(call)
      assert.strictEqual(error._tag === "RecorderError" && error.reason._tag, "Closed")
      assert.include(error.message, "closed")
    }
    for (const call of [tidings.queryEvents(), firstOf(tidings.watchEvents())]) {
      const error = await rejected(call)
      assert.strictEqual(error._tag === "BackendError" && error.reason._tag, "Unavailable")
    }
    assert.isTrue((await tidings.flush(0)).complete)
    assert.strictEqual((await tidings.status()).accepted, 0)
    await tidings.setTemplate("OrderLost", "gone")
  })
})

describe("a rejection", () => {
  it("of create names each option that is wrong, what was found and what would be right", async () => {
    const wrong = {
      backend: "etcd",
      directory: "",
      console: "no",
      kubeconfig: 7,
      kubeConfig: {},
      context: 7,
      loginTimeout: "soon",
      interactive: "no",
      patience: "soon",
      journal: 7,
      correlation: { capacity: 0 },
      component: "",
      host: 7,
      reportingController: 7,
      reportingInstance: 7,
      transforms: [7],
      maskSecrets: "yes",
      queueCapacity: Number.NaN,
      drainTimeout: "10",
      namespace: "Team A",
      catalogues: {},
      logger: {},
      drainTimout: 1
    }
    for (const [field, found] of Object.entries(wrong)) {
      const error = await rejected(Tidings.create({ [field]: found }))
      assert.strictEqual(error._tag, "InvalidOptions", field)
      const { issues } = error as Rejection.InvalidOptions
      assert.deepStrictEqual(
        issues.map((issue) => issue.field),
        [field]
      )
      assert.include(error.message, field)
    }
    const all = (await rejected(Tidings.create(wrong as never))) as Rejection.InvalidOptions
    assert.deepStrictEqual(
      all.issues.map(({ field }) => field),
      Object.keys(wrong)
    )
    assert.include(all.message, "backend is 'etcd', expected auto, kubernetes, filesystem, postgres, memory")
    assert.include(all.message, "did you mean drainTimeout?")
    for (const none of [null, 7, "memory", []]) {
      assert.strictEqual(await tagOf(Tidings.create(none as never)), "InvalidOptions")
    }
    const throwing = Object.defineProperty({}, "backend", {
      enumerable: true,
      get: () => {
        throw new Error("nothing can be read")
      }
    })
    assert.strictEqual(await tagOf(Tidings.create(throwing)), "InvalidOptions")
  })

  it("of create refuse a place where the memory backend would keep nothing", async () => {
    for (const field of ["journal", "directory"]) {
      const error = await rejected(Tidings.create({ ...quiet, backend: "memory", [field]: "/nowhere/events" }))
      assert.strictEqual(error._tag, "InvalidOptions", field)
      const [issue] = (error as Rejection.InvalidOptions).issues
      assert.strictEqual(issue?.field, field)
      assert.include(issue?.expected, "nothing beside the backend memory")
      const layer = Tidings.layer({ backend: "memory", [field]: "/nowhere/events" })
      const exit = await Effect.runPromiseExit(Effect.scoped(Layer.build(layer)))
      assert.isTrue(Exit.isFailure(exit), field)
    }
    const created = await Tidings.create({ ...quiet, backend: "memory", journal: undefined })
    await created.close()
  })

  it("of create names a wrong variable of the environment", async () => {
    process.env["TIDINGS_BACKEND"] = "etcd"
    try {
      const error = await rejected(Tidings.create(quiet))
      assert.strictEqual(error._tag, "InvalidOptions")
      const [issue] = (error as Rejection.InvalidOptions).issues
      assert.strictEqual(issue?.field, "TIDINGS_BACKEND")
      assert.include(issue?.found, "etcd")
      assert.include(issue?.expected, "filesystem")
    } finally {
      delete process.env["TIDINGS_BACKEND"]
    }
  })

  it("of create names options that a layer of the host makes useless", async () => {
    const error = await rejected(
      Tidings.createWith({ backend: Backend.layerMemory() }, { ...quiet, directory: "./events" })
    )
    assert.include(
      error.message,
      "directory is './events', expected nothing, because the backend is a layer of the host"
    )
    const recorder = Recorder.layerDirect()
    assert.strictEqual(
      await tagOf(Tidings.createWith({ recorder, backend: Backend.layerMemory() }, { ...quiet, component: "x" })),
      "InvalidOptions"
    )
  })

  it("of create names a store, a journal, a catalogue or a reporter that cannot be used", async () => {
    class Wrong extends EventCatalogue.Service<Wrong>()("shop/Wrong", {
      Parcel: { apiVersion: "not a version", reasons: { ParcelSent: { meaning: "It is sent.", message: "sent" } } }
    }) {}
    assert.strictEqual(
      await tagOf(Tidings.create({ ...quiet, backend: "filesystem", directory: "/dev/null/log" })),
      "BackendError"
    )
    assert.strictEqual(
      await tagOf(Tidings.create({ ...quiet, backend: "memory", catalogues: [Wrong] })),
      "CatalogueError"
    )
    assert.strictEqual(
      await tagOf(Tidings.create({ ...quiet, backend: "memory", reportingController: "not a name" })),
      "InvalidRecorderOptions"
    )
    const { kubeconfig } = await cluster()
    assert.strictEqual(
      await tagOf(Tidings.create({ ...quiet, backend: "kubernetes", kubeconfig, journal: "/dev/null/journal" })),
      "JournalError"
    )
  })

  it("of a call tells what was wrong with it", async () => {
    await using tidings = await Tidings.create({ ...quiet, backend: "memory", catalogues: [Orders] })
    const cases: ReadonlyArray<readonly [tag: string, call: () => Promise<unknown>]> = [
      ["InvalidEvent", () => tidings.createEvent(pod, "", "it runs", "Normal")],
      ["InvalidEvent", () => tidings.createEventForCRD("Nothing", "a", "default", "Started", "it runs", "Normal")],
      ["InvalidEvent", () => tidings.orders.orderEvent({ metadata: { name: "o" } }, "OrderShipped", { took: "soon" })],
      ["InvalidQuery", () => tidings.queryEvents({ limit: -1 })],
      ["InvalidQuery", () => tidings.queryEvents({}, { signal: {} as AbortSignal })],
      ["InvalidQuery", () => firstOf(tidings.watchEvents({ since: "yesterday" }))],
      ["InvalidQuery", () => firstOf(tidings.watchEvents({}, ""))],
      ["InvalidQuery", () => firstOf(tidings.watchEvents({}, "now", { signal: {} as AbortSignal }))],
      ["BackendError", () => firstOf(tidings.watchEvents({}, "no cursor"))],
      ["BackendError", () => tidings.queryEvents({ page: "no page" })],
      ["InvalidTimeout", () => tidings.flush(-1)],
      ["InvalidTimeout", () => tidings.flush("soon")],
      ["TemplateError", () => tidings.setTemplate("OrderShipped", "{{.Tok}}")],
      ["TemplateError", () => tidings.orders.setTemplate("OrderShipped", "{{")],
      ["CatalogueError", () => tidings.setTemplate("no reason", "x")],
      ["CatalogueError", () => tidings.setTemplate(7 as never, "x")]
    ]
    for (const [tag, call] of cases) assert.strictEqual(await tagOf(call()), tag, String(call))
  })

  it("of a call that is interrupted says so, with the reason of its signal", async () => {
    const backend = Backend.layerMemory().pipe(
      Policy.make((backend) =>
        Effect.succeed({ ...backend, query: () => Effect.never, write: () => Effect.interrupt as never })
      )
    )
    await using tidings = await Tidings.createWith({ backend }, { ...quiet, drainTimeout: 50 })
    const controller = new AbortController()
    const query = tidings.queryEvents({}, { signal: controller.signal })
    controller.abort("enough")
    const error = await rejected(query)
    assert.strictEqual(error._tag, "Interrupted")
    assert.deepInclude(error, { call: "queryEvents", cause: "enough" })
    assert.strictEqual(await tagOf(tidings.queryEvents({}, { signal: AbortSignal.abort() })), "Interrupted")
  })

  it("of a defect is an error too, whatever was thrown", async () => {
    for (const thrown of ["a text", undefined, new TypeError("from inside"), { not: "an error" }, Symbol("s")]) {
      const backend = Backend.layerMemory().pipe(
        Policy.make((backend) =>
          Effect.succeed({
            ...backend,
            query: () => Effect.die(thrown),
            watch: () => Stream.die(thrown)
          })
        )
      )
      await using tidings = await Tidings.createWith({ backend }, quiet)
      const error = await rejected(tidings.queryEvents())
      assert.strictEqual(error._tag, "Unexpected")
      assert.deepInclude(error, { call: "queryEvents", cause: thrown })
      assert.strictEqual(await tagOf(firstOf(tidings.watchEvents())), "Unexpected")

      const dead = Layer.effect(Backend.Backend, Effect.die(thrown))
      assert.strictEqual(await tagOf(Tidings.createWith({ backend: dead }, quiet)), "Unexpected")
    }
    const foreign = Layer.effect(Backend.Backend, Effect.fail("a text of the host"))
    assert.strictEqual(await tagOf(Tidings.createWith({ backend: foreign }, quiet)), "Unexpected")
  })

  it("of a store that never takes an event names why", async () => {
    const refusing = (outcome: Backend.Outcome) =>
      Backend.layerMemory().pipe(
        Policy.make((backend) =>
          Effect.succeed({ ...backend, write: (batch) => Effect.succeed(batch.map(() => outcome)) })
        )
      )
    const retryAfter = { scope: "backend", detail: "slow down" } as const
    for (const [reason, outcome] of [
      ["Rejected", { _tag: "Rejected", reason: "no such kind" }],
      ["BackendError", { _tag: "Retry", error: BackendError.make(new BackendError.Throttled(retryAfter)) }]
    ] as const) {
      await using tidings = await Tidings.createWith({ backend: refusing(outcome) }, quiet)
      const error = await rejected(tidings.createEvent(pod, "Started", "it runs", "Normal"))
      assert.strictEqual(error._tag === "RecorderError" && error.reason._tag, reason)
    }
  })
})

describe("watchEvents", () => {
  const reasons = async (items: AsyncIterable<Promised.WatchItem>): Promise<ReadonlyArray<string>> => {
    const seen: Array<string> = []
    for await (const item of items) seen.push(item._tag === "Event" ? item.event.event.reason : item._tag)
    return seen
  }
  const soon = () => new Promise((resolve) => setTimeout(resolve, 20))

  it("ends when its signal is aborted, also while it waits for the next item", async () => {
    await using tidings = await Tidings.create({ ...quiet, backend: "memory" })
    await tidings.createEvent(pod, "Started", "it runs", "Normal")
    const controller = new AbortController()
    const watching = reasons(tidings.watchEvents({}, "beginning", { signal: controller.signal }))
    await soon()
    controller.abort()
    assert.deepStrictEqual(await watching, ["Started", "Live"])
    assert.deepStrictEqual(await reasons(tidings.watchEvents({}, "beginning", { signal: controller.signal })), [])
  })

  it("ends every loop when Tidings is closed", async () => {
    const tidings = await Tidings.create({ ...quiet, backend: "memory" })
    const watching = Array.from({ length: 10 }, () => reasons(tidings.watchEvents()))
    await soon()
    const justNow = reasons(tidings.watchEvents())
    await tidings.close()
    assert.deepStrictEqual(
      await Promise.all(watching),
      Array.from({ length: 10 }, () => ["Live"])
    )
    assert.deepStrictEqual(await justNow, [])
  })

  it("stops watching the store when its loop ends", async () => {
    let watching = 0
    const backend = Backend.layerMemory().pipe(
      Policy.make((backend) =>
        Effect.succeed({
          ...backend,
          watch: (filter, from) =>
            Stream.unwrap(
              Effect.acquireRelease(
                Effect.sync(() => watching++),
                () => Effect.sync(() => watching--)
              ).pipe(Effect.as(backend.watch(filter, from)))
            )
        })
      )
    )
    await using tidings = await Tidings.createWith({ backend }, quiet)
    for await (const item of tidings.watchEvents()) {
      assert.strictEqual(item._tag, "Live")
      assert.strictEqual(watching, 1)
      break
    }
    assert.strictEqual(watching, 0)
    const iterator = tidings.watchEvents()[Symbol.asyncIterator]()
    await iterator.next()
    const pending = [iterator.next(), iterator.next()]
    await iterator.return?.()
    assert.deepStrictEqual(
      (await Promise.all(pending)).map(({ done }) => done),
      [true, true]
    )
    assert.strictEqual(watching, 0)
    assert.isTrue((await iterator.next()).done)
  })

  it("gives items in order when several are requested at once", async () => {
    await using tidings = await Tidings.create({ ...quiet, backend: "memory" })
    for (const reason of ["One", "Two", "Three"]) await tidings.createEvent(pod, reason, "it runs", "Normal")
    const iterator = tidings.watchEvents({}, "beginning")[Symbol.asyncIterator]()
    const items = await Promise.all([1, 2, 3].map(() => iterator.next()))
    assert.deepStrictEqual(
      items.map(({ value }) => (value as { event: Promised.Event }).event.event.reason),
      ["One", "Two", "Three"]
    )
    await iterator.return?.()
  })

  it("resumes after the cursor of an item", async () => {
    await using tidings = await Tidings.create({ ...quiet, backend: "memory" })
    for (const reason of ["One", "Two"]) await tidings.createEvent(pod, reason, "it runs", "Normal")
    let cursor = ""
    for await (const item of tidings.watchEvents({}, "beginning")) {
      cursor = item.cursor
      break
    }
    for await (const item of tidings.watchEvents({}, cursor)) {
      assert.strictEqual(item._tag === "Event" && item.event.event.reason, "Two")
      break
    }
  })
})

describe("plain types", () => {
  it("take durations as milliseconds and texts, and give times as Date and ids as texts", async () => {
    await using tidings = await Tidings.create({
      ...quiet,
      backend: "memory",
      correlation: "off",
      catalogues: [Orders],
      drainTimeout: "5s"
    })
    const before = new Date(Date.now() - 1_000)
    const order = { metadata: { name: "o-17" } }
    const at = new Date("2030-01-31T12:00:00Z")
    for (const took of [90_000, "1m30s", "90 seconds"]) {
      const recorded = await tidings.orders.orderEvent(order, "OrderShipped", { took }, { at })
      assert.strictEqual(
        recorded._tag === "Accepted" && recorded.idText,
        recorded._tag === "Accepted" && `${recorded.id.origin}.${recorded.id.seq}`
      )
    }
    const { cursor, events } = await tidings.queryEvents({ since: before })
    assert.deepStrictEqual(
      events.map(({ event }) => event.message),
      Array(3).fill("Order o-17 was shipped after 1m30s")
    )
    assert.deepStrictEqual(events[0]?.firstTimestamp, at)
    assert.deepStrictEqual(events[0]?.lastTimestamp, at)
    assert.strictEqual(events[0]?.first, at.getTime() * 1_000)
    assert.match(events[0]!.idText, /^[0-9a-f]{32}\.3$/)
    assert.isString(cursor)
    const status = await tidings.status()
    assert.strictEqual(status.sinks["default"]?.oldestAgeMillis, 0)
    // What is answered is plain data: a host prints it as JSON.
    assert.deepStrictEqual(JSON.parse(JSON.stringify(status)), status)
    assert.isTrue((await tidings.flush(1_000)).complete)
    assert.isTrue((await tidings.flush("1m30s")).complete)
  })
})

describe("catalogues of a host", () => {
  it("are found by the last part of their id, beside the built-in one", async () => {
    class HTTPRoutes extends EventCatalogue.Service<HTTPRoutes>()("HTTPRoutes", {
      HTTPRoute: {
        apiVersion: "gateway.networking.k8s.io/v1",
        reasons: { RouteAccepted: { meaning: "It is served.", message: "Route {{.Name}} is served" } }
      }
    }) {}
    await using tidings = await Tidings.create({ ...quiet, backend: "memory", catalogues: [Orders, HTTPRoutes] })
    const object = { metadata: { name: "a", namespace: "shop" } }
    await tidings.orders.orderEvent(object, "OrderLost")
    await tidings.orders.emit(object, "OrderShipped", { took: 1_000 })
    await tidings.httpRoutes.httpRouteEvent(object, "RouteAccepted")
    await tidings.createEventForCRD("Order", "b", "shop", "Custom", "by hand", "Normal")
    await tidings.generator.workflowEvent(object, "WorkflowExecuted", { stepCount: 3 })
    const { events } = await tidings.queryEvents({ namespace: "shop" })
    assert.deepStrictEqual(
      events.map(({ event }) => `${event.involvedObject.apiVersion} ${event.reason}: ${event.message}`).slice(1),
      [
        "shop.example.com/v1 Custom: by hand",
        "gateway.networking.k8s.io/v1 RouteAccepted: Route a is served",
        "shop.example.com/v1 OrderShipped: Order a was shipped after 1s",
        "shop.example.com/v1 OrderLost: Order a is lost"
      ]
    )
  })

  it("can have their messages replaced, and an invalid message is refused", async () => {
    await using tidings = await Tidings.create({ ...quiet, backend: "memory", catalogues: [Orders] })
    assert.strictEqual(tidings.getTemplate("OrderLost"), "Order {{.Name}} is lost")
    assert.strictEqual(tidings.getTemplate("Nothing"), undefined)
    await tidings.orders.setTemplate("OrderLost", "{{.Name}} is gone")
    const error = await rejected(tidings.setTemplate("OrderLost", "{{.Nam}} is gone"))
    assert.strictEqual(error._tag === "TemplateError" && error.issues[0]?.line, 1)
    assert.strictEqual(tidings.orders.getTemplate("OrderLost"), "{{.Name}} is gone")
    assert.strictEqual(tidings.generator.getTemplate("OrderLost"), "{{.Name}} is gone")
  })

  it("are refused where their name is taken, or where they are no catalogue", async () => {
    class Close extends EventCatalogue.Service<Close>()("shop/Close", {}) {}
    class Again extends EventCatalogue.Service<Again>()("other/Orders", {}) {}
    for (const catalogues of [[Close], [Orders, Again], [Orders, Orders], [{}], [undefined], [() => {}]]) {
      assert.strictEqual(
        await tagOf(Tidings.create({ ...quiet, backend: "memory", catalogues: catalogues as never })),
        "InvalidOptions"
      )
    }
  })

  it("are checked by the compiler as on Effect", () => {
    const typed = async () => {
      const tidings = await Tidings.create({ backend: "memory", catalogues: [Orders] })
      const order = { metadata: { name: "o-1" } }
      await tidings.orders.orderEvent(order, "OrderShipped", { took: "1m" })
      // @ts-expect-error: the reason is of no order
      await tidings.orders.orderEvent(order, "OrderSent")
      // @ts-expect-error: the message prints the field
      await tidings.orders.orderEvent(order, "OrderShipped")
      // @ts-expect-error: a duration is no list
      await tidings.orders.orderEvent(order, "OrderShipped", { took: ["1m"] })
      // @ts-expect-error: a wrong name of a field
      await tidings.orders.orderEvent(order, "OrderShipped", { took: 1, itms: 3 })
      // @ts-expect-error: there is no such catalogue
      await tidings.parcels.parcelEvent(order, "ParcelSent")
      // @ts-expect-error: the built-in catalogue knows what it needs, too
      await tidings.generator.workflowEvent(order, "WorkflowStepFailed")

      class Twice extends EventCatalogue.Service<Twice>()("shop/Twice", {
        Parcel: {
          apiVersion: "shop.example.com/v1",
          reasons: { OrderLost: { meaning: "It is lost.", message: "lost" } }
        }
      }) {}
      // @ts-expect-error: a reason that two catalogues have
      await Tidings.create({ catalogues: [Orders, Twice] })
      class Close extends EventCatalogue.Service<Close>()("shop/Close", {}) {}
      // @ts-expect-error: a name that is taken
      await Tidings.create({ catalogues: [Close] })
      class Again extends EventCatalogue.Service<Again>()("other/Orders", {}) {}
      // @ts-expect-error: a name that two catalogues would have
      await Tidings.create({ catalogues: [Orders, Again] })
      // @ts-expect-error: a wrong option
      await Tidings.create({ drainTimout: 1 })
      // @ts-expect-error: an unknown backend
      await Tidings.create({ backend: "etcd" })
    }
    assert.isFunction(typed)
  })
})

describe("layers of a host", () => {
  it("replace what the options choose, and can be reached through contextOf", async () => {
    const backend = FileBackend.layer({ directory: mkdtempSync(join(home, "log-")), console: false }).pipe(
      Policy.retry()
    )
    const recorder = Recorder.layer({ component: "by-hand" }).pipe(Layer.provide(Journal.layerMemory()))
    await using tidings = await Tidings.createWith({ backend, recorder }, quiet)
    await tidings.createEvent(pod, "Started", "it runs", "Normal")
    await tidings.flush("10 seconds")
    const { events } = await tidings.queryEvents()
    assert.strictEqual(events[0]?.event.source.component, "by-hand")
    const parked = await Effect.runPromiseWith(Tidings.contextOf(tidings))(
      Recorder.Recorder.use((recorder) => recorder.parked)
    )
    assert.deepStrictEqual(parked, [])
    assert.throws(() => Tidings.contextOf({} as Tidings.Tidings), Rejection.InvalidOptions)
  })
})

describe("defaults", () => {
  const objects = async (tidings: Tidings.Tidings) => {
    await tidings.createEvent({ kind: "Deployment", name: "a" }, "Started", "it runs", "Normal")
    await tidings.createEvent({ kind: "Node", name: "b" }, "Started", "it runs", "Normal")
    await tidings.createEvent({ kind: "Pod", name: "c", namespace: "" }, "Started", "it runs", "Normal")
    await tidings.createEvent({ kind: "Unknown", name: "d", namespace: "own" }, "Started", "it runs", "Normal")
    await tidings.createEventWithData({ kind: "Workflow", name: "e" }, "Started", {})
    await tidings.generator.mcpServerEvent({ metadata: { name: "f" } }, "MCPServerStarted")
    await tidings.generator.crdEvent("Workflow", "g", undefined, "WorkflowExecuted", { stepCount: 1 })
    await tidings.createEventForCRD("Workflow", "h", undefined, "Started", "it runs", "Normal")
    await tidings.createEventForCRD("Workflow", "i", "", "Started", "it runs", "Normal")
    await tidings.flush("10 seconds")
    const { events } = await tidings.queryEvents()
    return events
      .map(
        ({
          event: {
            involvedObject: { apiVersion, kind, name, namespace }
          }
        }) => [name, apiVersion, kind, namespace]
      )
      .sort()
  }
  const expected = (namespace: string) => [
    ["a", "apps/v1", "Deployment", namespace],
    ["b", "v1", "Node", undefined],
    ["c", "v1", "Pod", undefined],
    ["d", undefined, "Unknown", "own"],
    ["e", "tidings.dev/v1", "Workflow", namespace],
    ["f", "tidings.dev/v1", "MCPServer", namespace],
    ["g", "tidings.dev/v1", "Workflow", namespace],
    ["h", "tidings.dev/v1", "Workflow", namespace],
    ["i", "tidings.dev/v1", "Workflow", undefined]
  ]

  it("of namespace and API version are those of the command", async () => {
    await using tidings = await Tidings.create({ ...quiet, backend: "memory" })
    const found = await objects(tidings)
    const version = found.find(([name]) => name === "e")?.[1]
    assert.deepStrictEqual(
      found,
      expected("default").map((row) => row.map((cell) => (cell === "tidings.dev/v1" ? version : cell)))
    )
    assert.isString(version)
  })

  it("of the namespace can be set by an option", async () => {
    await using tidings = await Tidings.create({ ...quiet, backend: "memory", namespace: "team-a" })
    assert.deepStrictEqual(
      (await objects(tidings)).map(([, , , namespace]) => namespace),
      expected("team-a").map((row) => row[3])
    )
  })

  it("on a cluster are the namespace of the context", async () => {
    const { kubeconfig, server } = await cluster("team-b")
    await using tidings = await Tidings.create({ ...quiet, backend: "kubernetes", kubeconfig })
    await tidings.createEvent({ kind: "Pod", name: "web" }, "Started", "it runs", "Normal")
    await tidings.flush("10 seconds")
    const [event] = await Effect.runPromise(server.events)
    assert.deepInclude(event?.["involvedObject"], { apiVersion: "v1", kind: "Pod", namespace: "team-b" })
  })
})

describe("the logger of a host", () => {
  const lines = (throws = false) => {
    const said: Array<string> = []
    const say = (level: string) => (line: string) => {
      said.push(`${level}: ${line}`)
      if (throws) throw new Error("a logger that throws")
    }
    return { said, logger: { info: say("info"), warn: say("warn"), error: say("error") } }
  }

  it("gets what the library says, also in the background, and may throw", async () => {
    for (const throws of [false, true]) {
      const { logger, said } = lines(throws)
      const kubeconfig = join(home, "dead")
      writeFileSync(
        kubeconfig,
        JSON.stringify({
          clusters: [{ name: "test", cluster: { server: "https://127.0.0.1:1" } }],
          contexts: [{ name: "test", context: { cluster: "test" } }],
          "current-context": "test"
        })
      )
      const tidings = await Tidings.create({ backend: "kubernetes", kubeconfig, logger, drainTimeout: 100 })
      await tidings.createEvent(pod, "Started", "it runs", "Normal")
      await tidings.close()
      assert.isTrue(
        said.some((line) => line.startsWith("info: Events go to the cluster of")),
        said.join("\n")
      )
      assert.isTrue(
        said.some((line) => line.startsWith("warn: The recorder is closed")),
        said.join("\n")
      )
    }
  })
})

describe("the tools", () => {
  it("answer as promises, and know kinds as people write them", async () => {
    await using tidings = await Tidings.create({ ...quiet, backend: "memory", catalogues: [Orders] })
    assert.deepEqual(
      tidings.tools.map(({ name }) => name),
      ["events", "event_summary"]
    )
    await tidings.createEvent(pod, "BackOff", "restarting", "Warning")
    for (const resourceType of ["Pod", "pods", "po"]) {
      const { structuredContent } = await tidings.executeTool("events", { resourceType })
      assert.equal(structuredContent?.["totalCount"], 1, resourceType)
    }
    const mistake = await tidings.executeTool("events", { resourcetype: "Pod" })
    assert.isTrue(mistake.isError)
    assert.match(mistake.content[0]!.text, /did you mean resourceType\?/)
  })

  it("record only where the host allows it, with what the call leaves out filled in", async () => {
    await using tidings = await Tidings.create({ ...quiet, backend: "memory", allowRecord: true })
    const refused = await tidings.executeTool("record_event", { resourceType: "Pod", resourceName: "web" })
    assert.match(refused.content[0]!.text, /reason is missing, for example \{"reason":"WorkflowExecuted"\}/)
    const { structuredContent } = await tidings.executeTool("record_event", {
      resourceType: "pod",
      resourceName: "web",
      reason: "Checked",
      message: "it runs"
    })
    const { events } = await tidings.queryEvents()
    assert.equal(events[0]?.idText, structuredContent?.["id"])
    assert.deepEqual(events[0]?.event.involvedObject, {
      apiVersion: "v1",
      kind: "Pod",
      name: "web",
      namespace: "default"
    })
  })

  it("answer a call that waits when everything is closed, and end with its signal", async () => {
    const tidings = await Tidings.create({ ...quiet, backend: "memory" })
    const { structuredContent } = await tidings.executeTool("events")
    const args = { after: structuredContent?.["cursor"], waitSeconds: 50 }
    const aborting = new AbortController()
    const aborted = tagOf(tidings.executeTool("events", args, { signal: aborting.signal }))
    const waiting = tidings.executeTool("events", args)
    await new Promise((resolve) => setTimeout(resolve, 50))
    aborting.abort()
    assert.equal(await aborted, "Interrupted")
    const before = performance.now()
    await tidings.close()
    assert.equal((await waiting).structuredContent?.["totalCount"], 0)
    assert.isBelow(performance.now() - before, 5_000)
    assert.equal(await tagOf(tidings.executeTool("events")), "BackendError")
  })
})

describe("the same event again", () => {
  const record = async (tidings: Promised.Tidings) => {
    for (let n = 0; n < 3; n++) await tidings.createEvent(pod, "Restarted", "It runs again", "Normal")
    await tidings.flush("10 seconds")
    const { events, totalCount } = await tidings.queryEvents({ namespace: pod.namespace })
    assert.strictEqual(totalCount, events.length)
    return events.map(({ count }) => count)
  }

  it("is one event with a count in the event log, where each occurrence is a line", async () => {
    const directory = mkdtempSync(join(home, "log-"))
    {
      await using tidings = await Tidings.create({ ...quiet, backend: "filesystem", directory })
      assert.deepStrictEqual(await record(tidings), [3])
    }
    const segment = readdirSync(directory).find((name) => name.endsWith(".ndjson"))
    assert.lengthOf(readFileSync(join(directory, segment!), "utf8").trimEnd().split("\n"), 3)
    // Another process begins anew.
    await using tidings = await Tidings.create({ ...quiet, backend: "filesystem", directory })
    assert.deepStrictEqual(await record(tidings), [3, 3])
  })

  it("is an event of its own where the option is off", async () => {
    await using tidings = await Tidings.create({ ...quiet, backend: "memory", correlation: "off" })
    assert.deepStrictEqual(await record(tidings), [1, 1, 1])
  })

  it("is correlated on a cluster as the option says, with durations of the promise API", async () => {
    const correlated = { ...Correlation.defaults, burst: 1, refill: "1h", aggregateWindow: 600_000 }
    for (const [correlation, counts] of [
      ["off", [1, 1, 1]],
      [correlated, [3]]
    ] as const) {
      const { kubeconfig, server } = await cluster()
      await using tidings = await Tidings.create({ ...quiet, backend: "kubernetes", kubeconfig, correlation })
      for (let n = 0; n < 3; n++) await tidings.createEvent({ ...pod, namespace: "team-b" }, "Up", "It runs", "Normal")
      await tidings.flush("10 seconds")
      const stored = (await Effect.runPromise(server.events)).map((event) => (event as { count?: number }).count)
      assert.deepStrictEqual<ReadonlyArray<unknown>>(stored, counts)
    }
  })
})

describe("onlyTransitions", () => {
  it("takes the texts and milliseconds of the promise API as durations", async () => {
    const queue = { name: "queue", states: ["QueueFull"], quietAfter: "1h30m", remindAfter: 86_400_000 }
    await using tidings = await Tidings.create({ ...quiet, backend: "memory", onlyTransitions: [queue] })
    const full = () => tidings.createEvent(pod, "QueueFull", "m", "Warning")
    assert.strictEqual((await full())._tag, "Accepted")
    assert.deepStrictEqual(await full(), { _tag: "Filtered", by: "queue" })
    assert.deepStrictEqual((await tidings.status()).filtered, { queue: 1 })
  })

  it("is that of the built-in reasons where it is true", async () => {
    await using tidings = await Tidings.create({ ...quiet, backend: "memory", onlyTransitions: true })
    const server = { metadata: { name: "search" } }
    const fail = () => tidings.generator.mcpServerEvent(server, "MCPServerHealthCheckFailed", { error: "timeout" })
    assert.strictEqual((await fail())._tag, "Accepted")
    assert.deepStrictEqual(await fail(), { _tag: "Filtered", by: "mcp-server-health" })
    await tidings.generator.mcpServerEvent(server, "MCPServerStarted")
    assert.strictEqual((await fail())._tag, "Accepted")
  })

  it.each([
    ["a text", "yes", "onlyTransitions"],
    ["a list of something else", [null], "onlyTransitions[0]"],
    ["a duration that is none", [{ name: "a", states: ["A"], quietAfter: "soon" }], "onlyTransitions[0].quietAfter"]
  ])("is refused where it is %s", async (_, given, field) => {
    const error = await rejected(Tidings.create({ ...quiet, backend: "memory", onlyTransitions: given as never }))
    assert.include(["InvalidOptions", "InvalidRecorderOptions"], error._tag)
    assert.strictEqual((error as Rejection.InvalidOptions).issues[0]?.field, field)
  })
})
