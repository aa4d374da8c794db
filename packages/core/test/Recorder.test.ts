import * as Backend from "@tidings/core/Backend"
import { BackendError, Full } from "@tidings/core/BackendError"
import * as EventManager from "@tidings/core/EventManager"
import type { EventDataInput } from "@tidings/core/EventData"
import * as Journal from "@tidings/core/Journal"
import * as Recorder from "@tidings/core/Recorder"
import * as RecorderMetrics from "@tidings/core/RecorderMetrics"
import * as Templates from "@tidings/core/Templates"
import * as Transform from "@tidings/core/Transform"
import { assert, describe, it } from "@effect/vitest"
import * as Arbitrary from "effect/Arbitrary"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Metric from "effect/Metric"
import * as Schema from "effect/Schema"
import * as TestClock from "effect/testing/TestClock"
import { type Answer, created, refused, retry, scripted, unknown } from "./support/scripted.ts"

const web: Recorder.EventDraft["involvedObject"] = { kind: "Pod", name: "web", namespace: "default" }
const draft = (reason = "Started", more?: Partial<Recorder.EventDraft>): Recorder.EventDraft => ({
  involvedObject: web,
  reason,
  message: "It runs",
  ...more
})

const over = (answer: Answer, options?: Recorder.RecorderOptions) => {
  const backend = scripted(answer)
  return {
    calls: backend.calls,
    layer: Layer.provideMerge(Recorder.layerDirect(options), Layer.merge(Templates.layer, backend.layer))
  }
}

/** The law, for every sink; `status` is what a host sees. */
const assertLaw = (status: Recorder.RecorderStatus) => {
  for (const [name, sink] of Object.entries(status.sinks)) {
    const dropped = Object.values(sink.dropped).reduce((sum, n) => sum + n, 0)
    assert.strictEqual(status.accepted + sink.recovered, sink.settled + sink.parked + dropped + sink.pending, name)
  }
}

const memory = Layer.provideMerge(Recorder.layerDirect(), Layer.merge(Templates.layer, Backend.layerMemory()))

describe("record without a journal", () => {
  it.effect("accepts an event when the backend has it, each occurrence as a series of its own", () =>
    Effect.gen(function* () {
      const recorder = yield* Recorder.Recorder
      yield* TestClock.setTime(1_000)
      const first = yield* recorder.record(draft())
      const second = yield* recorder.record(draft())
      assert.deepStrictEqual([first._tag, second._tag], ["Accepted", "Accepted"])
      const page = yield* (yield* Backend.Backend).query({})
      assert.deepStrictEqual(
        page.events.map(({ count, id, last, upTo }) => [id.seq, count, upTo, last]),
        [
          [2, 1, 2, 1_000_000],
          [1, 1, 1, 1_000_000]
        ]
      )
      const status = yield* recorder.status
      assertLaw(status)
      assert.deepInclude(status, { accepted: 2, refused: {}, filtered: {} })
    }).pipe(Effect.provide(memory))
  )

  it.effect("keeps the time that the caller gives", () =>
    Effect.gen(function* () {
      yield* (yield* Recorder.Recorder).record(draft("Started", { at: 42 }))
      const page = yield* (yield* Backend.Backend).query({})
      assert.strictEqual(page.events[0]?.last, 42)
    }).pipe(Effect.provide(memory))
  )

  it.effect("fails when the event certainly was not written", () => {
    const full = new BackendError({ reason: new Full({ detail: "the disk is full" }) })
    const { calls, layer } = over((_, call) => (call === 1 ? Effect.fail(full) : Effect.succeed([retry(refused)])))
    return Effect.gen(function* () {
      const recorder = yield* Recorder.Recorder
      const first = yield* Effect.flip(recorder.record(draft()))
      assert.deepStrictEqual(first, new Recorder.RecorderError({ reason: full }))
      assert.include(first.message, "the disk is full")
      const second = yield* Effect.flip(recorder.record(draft()))
      assert.deepStrictEqual(second, new Recorder.RecorderError({ reason: refused }))
      assert.strictEqual(calls.length, 2)
      const status = yield* recorder.status
      assertLaw(status)
      assert.deepStrictEqual([status.accepted, status.refused], [0, { failed: 2 }])
    }).pipe(Effect.provide(layer))
  })

  it.effect("retries with the same id what may have been written, until the outcome is known", () => {
    const { calls, layer } = over((batch, call) => {
      if (call === 1) return Effect.fail(unknown)
      if (call === 2) return Effect.succeed([])
      if (call === 3) return Effect.die("a bug of the backend")
      return Effect.succeed(batch.map(() => Backend.present))
    })
    return Effect.gen(function* () {
      const recorder = yield* Recorder.Recorder
      const fiber = yield* Effect.forkChild(recorder.recordSettled(draft()))
      yield* TestClock.adjust("1 minute")
      const answer = yield* Fiber.join(fiber)
      assert.deepInclude(answer, { _tag: "Accepted", sinks: { default: { _tag: "Settled", how: "present" } } })
      assert.strictEqual(calls.length, 4)
      assert.strictEqual(new Set(calls.map(([write]) => write!.id.seq)).size, 1)
      assertLaw(yield* recorder.status)
    }).pipe(Effect.provide(layer))
  })

  it.effect("treats a write without an answer as unknown after the timeout", () => {
    const { calls, layer } = over((batch, call) => (call === 1 ? Effect.never : Effect.succeed(created(batch))), {
      writeTimeout: "5 seconds"
    })
    return Effect.gen(function* () {
      const recorder = yield* Recorder.Recorder
      const fiber = yield* Effect.forkChild(recorder.record(draft()))
      yield* TestClock.adjust("4 seconds")
      assert.strictEqual(calls.length, 1)
      assert.strictEqual(fiber.pollUnsafe(), undefined)
      yield* TestClock.adjust("2 seconds")
      assert.strictEqual((yield* Fiber.join(fiber))._tag, "Accepted")
      assert.strictEqual(calls.length, 2)
    }).pipe(Effect.provide(layer))
  })

  it.effect("distinguishes what a backend rejects, a policy drops and a transform leaves out", () => {
    const { layer } = over(
      ([write]) =>
        Effect.succeed([
          write!.event.reason === "Bad"
            ? { _tag: "Rejected", reason: "the namespace is gone" }
            : { _tag: "Dropped", reason: "sampled" }
        ]),
      { transforms: [Transform.filter("quiet", ({ reason }) => reason !== "Noise")] }
    )
    return Effect.gen(function* () {
      const recorder = yield* Recorder.Recorder
      const rejected = yield* Effect.flip(recorder.record(draft("Bad")))
      assert.deepStrictEqual(
        rejected,
        new Recorder.RecorderError({ reason: new Recorder.Rejected({ detail: "the namespace is gone" }) })
      )
      const dropped = yield* recorder.recordSettled(draft("Any"))
      assert.deepInclude(dropped, { sinks: { default: { _tag: "Dropped", reason: "sampled" } } })
      assert.deepStrictEqual(yield* recorder.record(draft("Noise")), { _tag: "Filtered", by: "quiet" })
      const status = yield* recorder.status
      assertLaw(status)
      assert.deepStrictEqual(
        [status.accepted, status.refused, status.filtered, status.sinks["default"]?.dropped],
        [1, { rejected: 1 }, { quiet: 1 }, { sampled: 1 }]
      )
    }).pipe(Effect.provide(layer))
  })

  it.effect("counts an interrupted call separately, and interrupts its write", () => {
    const { layer } = over(() => Effect.never)
    return Effect.gen(function* () {
      const recorder = yield* Recorder.Recorder
      const fiber = yield* Effect.forkChild(recorder.record(draft()), { startImmediately: true })
      yield* Fiber.interrupt(fiber)
      const status = yield* recorder.status
      assertLaw(status)
      assert.deepStrictEqual([status.accepted, status.refused], [0, { interrupted: 1 }])
    }).pipe(Effect.provide(layer))
  })

  it.effect("refuses options that are not valid in an event", () =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(
        Effect.provide(
          Recorder.Recorder,
          Layer.provide(
            Recorder.layerDirect({ reportingController: "two words", reportingInstance: "x".repeat(129) }),
            Layer.merge(Templates.layer, Backend.layerMemory())
          )
        )
      )
      assert.instanceOf(error, Recorder.InvalidRecorderOptions)
      assert.deepStrictEqual(
        error.issues.map(({ field }) => field),
        ["reportingController", "reportingInstance"]
      )
    })
  )

  it.effect("refuses invalid options of other types", () =>
    Effect.gen(function* () {
      for (const [field, found] of [
        ["component", 7],
        ["component", ""],
        ["host", 7],
        ["reportingController", 7],
        ["reportingInstance", 7],
        ["drainTimeout", "soon"],
        ["drainTimeout", -1],
        ["writeTimeout", {}],
        ["queueCapacity", Number.NaN],
        ["queueCapacity", "10"]
      ] as const) {
        const withJournal = (options: Recorder.RecorderOptions) => Recorder.layer(options)
        for (const layer of [Recorder.layerDirect, withJournal]) {
          // Where there is a journal, each sink has a write timeout of its own.
          if (field === "writeTimeout" && layer === withJournal) continue
          const journal = Journal.layerMemory()
          const error = yield* Effect.flip(
            Effect.provide(
              Recorder.Recorder,
              Layer.provide(layer({ [field]: found }), Layer.mergeAll(Templates.layer, Backend.layerMemory(), journal))
            )
          )
          assert.strictEqual(error._tag, "InvalidRecorderOptions")
          assert.include(error.message, `${field} is`)
        }
      }
    })
  )
})

describe("recordNow without a journal", () => {
  it.effect("never waits and never fails: it queues, and a worker delivers through an outage", () => {
    let down = true
    const { calls, layer } = over((batch) => (down ? Effect.fail(refused) : Effect.succeed(created(batch))))
    return Effect.gen(function* () {
      const recorder = yield* Recorder.Recorder
      for (let n = 0; n < 1_000; n++) yield* recorder.recordNow(draft())
      assertLaw(yield* recorder.status)
      yield* TestClock.adjust("10 minutes")
      const during = yield* recorder.status
      assertLaw(during)
      assert.deepInclude(during.sinks["default"], { pending: 1_000, state: "degraded" })
      assert.isAtLeast(Duration.toMillis(during.sinks["default"]!.oldestAge), 600_000)
      down = false
      yield* TestClock.adjust("1 minute")
      const after = yield* recorder.status
      assertLaw(after)
      assert.deepInclude(after.sinks["default"], { pending: 0, settled: 1_000, state: "up" })
      const delivered = calls.slice(-4).flat()
      assert.deepStrictEqual(
        delivered.map(({ id }) => id.seq),
        Array.from({ length: 1_000 }, (_, n) => n + 1)
      )
    }).pipe(Effect.provide(layer))
  })

  it.effect("queues a limited number of events and counts those it refuses", () => {
    const { layer } = over(() => Effect.never, { queueCapacity: 3, drainTimeout: 0 })
    return Effect.gen(function* () {
      const recorder = yield* Recorder.Recorder
      for (let n = 0; n < 5; n++) yield* recorder.recordNow(draft())
      yield* recorder.recordNow(draft("not well formed"))
      const status = yield* recorder.status
      assertLaw(status)
      assert.deepStrictEqual([status.accepted, status.refused], [3, { full: 3 }])
    }).pipe(Effect.provide(layer))
  })

  it.effect("retries of a batch only what has no final outcome, and drops what is rejected", () => {
    const { calls, layer } = over((batch, call) =>
      Effect.succeed(
        batch.map(({ id }) =>
          call === 1 && id.seq === 2
            ? retry(unknown)
            : id.seq === 3
              ? { _tag: "Rejected", reason: "no" }
              : Backend.created
        )
      )
    )
    return Effect.gen(function* () {
      const recorder = yield* Recorder.Recorder
      for (let n = 0; n < 4; n++) yield* recorder.recordNow(draft())
      const flushed = yield* Effect.forkChild(recorder.flush("1 minute"))
      yield* TestClock.adjust("30 seconds")
      assert.deepStrictEqual(yield* Fiber.join(flushed), { complete: true, waiting: 0, pending: { default: 0 } })
      assert.deepStrictEqual(
        calls.map((batch) => batch.map(({ id }) => id.seq)),
        [[1, 2, 3, 4], [2]]
      )
      const status = yield* recorder.status
      assertLaw(status)
      assert.deepInclude(status.sinks["default"], { settled: 3, dropped: { rejected: 1 } })
    }).pipe(Effect.provide(layer))
  })

  it.effect("reports what is left when a flush reaches its deadline", () => {
    const { layer } = over(() => Effect.fail(refused), { drainTimeout: 0 })
    return Effect.gen(function* () {
      const recorder = yield* Recorder.Recorder
      yield* recorder.recordNow(draft())
      const flushed = yield* Effect.forkChild(recorder.flush("2 seconds"))
      yield* TestClock.adjust("2 seconds")
      assert.deepStrictEqual(yield* Fiber.join(flushed), { complete: false, waiting: 0, pending: { default: 1 } })
    }).pipe(Effect.provide(layer))
  })

  it.effect("drains its queue when the scope closes, and drops the rest with a reason at the deadline", () => {
    const registry = new Map()
    const settledThenDown = over((batch, call) => (call <= 2 ? Effect.succeed(created(batch)) : Effect.fail(refused)), {
      drainTimeout: "10 seconds"
    })
    return Effect.gen(function* () {
      const closing = yield* Deferred.make<void>()
      const life = yield* Effect.forkChild(
        Effect.gen(function* () {
          const recorder = yield* Recorder.Recorder
          for (let n = 0; n < 600; n++) yield* recorder.recordNow(draft())
          yield* Deferred.await(closing)
        }).pipe(Effect.provide(settledThenDown.layer))
      )
      yield* TestClock.adjust("1 milli")
      yield* Deferred.succeed(closing, undefined)
      yield* TestClock.adjust("9 seconds")
      assert.strictEqual(life.pollUnsafe(), undefined)
      yield* TestClock.adjust("2 seconds")
      yield* Fiber.join(life)
      const value = (metric: Metric.Counter<number>, attributes: Record<string, string>) =>
        Effect.map(Metric.value(Metric.withAttributes(metric, attributes)), ({ count }) => count)
      assert.strictEqual(yield* Metric.value(RecorderMetrics.accepted).pipe(Effect.map(({ count }) => count)), 600)
      assert.strictEqual(yield* value(RecorderMetrics.settled, { sink: "default", how: "created" }), 512)
      assert.strictEqual(yield* value(RecorderMetrics.dropped, { sink: "default", reason: "shutdown" }), 88)
      const pending = yield* Metric.value(Metric.withAttributes(RecorderMetrics.pending, { sink: "default" }))
      assert.strictEqual(pending.value, 0)
    }).pipe(Effect.provideService(Metric.MetricRegistry, registry))
  })

  it.effect("refuses and counts events when the recorder is closed", () =>
    Effect.gen(function* () {
      const recorder = yield* Effect.provide(Recorder.Recorder, memory)
      const error = yield* Effect.flip(recorder.record(draft()))
      assert.deepStrictEqual(error, new Recorder.RecorderError({ reason: new Recorder.Closed() }))
      yield* recorder.recordNow(draft())
      assert.deepStrictEqual((yield* recorder.status).refused, { closed: 2 })
    })
  )
})

describe("the conservation law", () => {
  it.effect.prop(
    "holds after every step, for all outcomes of the backend",
    {
      answers: Arbitrary.array(
        Arbitrary.schema(Schema.Literals(["created", "unknown", "refused", "missing", "rejected", "dropped"])),
        {
          maxLength: 40
        }
      ),
      calls: Arbitrary.array(Arbitrary.schema(Schema.Literals(["record", "recordNow", "wait", "invalid"])), {
        maxLength: 40
      })
    },
    ({ answers, calls }) => {
      const { layer } = over(
        (batch, call) => {
          const answer = answers[(call - 1) % Math.max(1, answers.length)] ?? "created"
          switch (answer) {
            case "created":
              return Effect.succeed(created(batch))
            case "unknown":
              return call > 60 ? Effect.succeed(created(batch)) : Effect.fail(unknown)
            case "refused":
              return Effect.fail(refused)
            case "missing":
              return call > 60 ? Effect.succeed(created(batch)) : Effect.succeed([])
            case "rejected":
              return Effect.succeed(batch.map(() => ({ _tag: "Rejected", reason: "no" })))
            case "dropped":
              return Effect.succeed(batch.map(() => ({ _tag: "Dropped", reason: "sampled" })))
          }
        },
        { queueCapacity: 5, drainTimeout: "1 second" }
      )
      return Effect.gen(function* () {
        const recorder = yield* Recorder.Recorder
        for (const call of calls) {
          switch (call) {
            case "record":
              yield* Effect.forkChild(Effect.ignore(recorder.record(draft())), { startImmediately: true })
              break
            case "recordNow":
              yield* recorder.recordNow(draft())
              break
            case "wait":
              yield* TestClock.adjust("1 second")
              break
            case "invalid":
              yield* Effect.ignore(recorder.record(draft("")))
          }
          assertLaw(yield* recorder.status)
        }
      }).pipe(Effect.provide(layer), (life) =>
        Effect.gen(function* () {
          const fiber = yield* Effect.forkChild(life)
          while (fiber.pollUnsafe() === undefined) yield* TestClock.adjust("1 minute")
          yield* Fiber.join(fiber)
        })
      )
    },
    { arbitrary: { runs: 100, size: 40 } }
  )
})

describe("acceptance", () => {
  const invalid: ReadonlyArray<readonly [string, Recorder.EventDraft, ReadonlyArray<string>]> = [
    ["an empty reason", draft(""), ["reason"]],
    ["a reason with blanks", draft("has blanks"), ["reason"]],
    ["an empty name", draft("Up", { involvedObject: { kind: "Pod", name: "" } }), ["involvedObject.name"]],
    [
      "a name that ends like a path",
      draft("Up", { involvedObject: { kind: "Pod", name: "a/" } }),
      ["involvedObject.name"]
    ],
    [
      "a name that begins with a blank",
      draft("Up", { involvedObject: { kind: "Pod", name: " a" } }),
      ["involvedObject.name"]
    ],
    ["a name with a line end", draft("Up", { involvedObject: { kind: "Pod", name: "a\nb" } }), ["involvedObject.name"]],
    [
      "a name that is too long",
      draft("Up", { involvedObject: { kind: "Pod", name: "ä".repeat(127) } }),
      ["involvedObject.name"]
    ],
    [
      "an invalid namespace",
      draft("Up", { involvedObject: { ...web, namespace: "Team A" } }),
      ["involvedObject.namespace"]
    ],
    ["no kind", draft("Up", { involvedObject: { kind: "", name: "web" } }), ["involvedObject.kind"]],
    [
      "an apiVersion that is none",
      draft("Up", { involvedObject: { ...web, apiVersion: "a/b/c" } }),
      ["involvedObject.apiVersion"]
    ],
    ["a type that is none", draft("Up", { type: "Error" as "Warning" }), ["type"]],
    [
      "data of another object",
      draft("Up", { data: { name: "other", namespace: "elsewhere" } }),
      ["data.name", "data.namespace"]
    ],
    [
      "wrong fields",
      draft("Up", { data: { stepCount: 1.5, toolNames: [1] as never, duration: "soon" } }),
      ["data.stepCount", "data.toolNames", "data.duration"]
    ],
    ["an endless duration", draft("Up", { data: { duration: Duration.infinity } }), ["data.duration"]],
    [
      "arguments that are no JSON",
      draft("Up", { data: { arguments: { a: [1, { b: () => 1 }], n: Number.NaN } } }),
      ["data.arguments.a[1].b", "data.arguments.n"]
    ],
    ["labels that are none", draft("Up", { labels: { "-bad-": "x", good: "two words" } }), ["labels", "labels.good"]],
    ["a related object without a name", draft("Up", { related: { kind: "Pod", name: "" } }), ["related.name"]]
  ]
  it.effect.each(invalid)("refuses %s and says what is expected", ([, given, fields]) =>
    Effect.gen(function* () {
      const recorder = yield* Recorder.Recorder
      const error = yield* Effect.flip(recorder.record(given))
      assert.strictEqual(error._tag, "InvalidEvent")
      if (error._tag !== "InvalidEvent") return
      assert.deepStrictEqual(
        error.issues.map(({ field }) => field),
        [...fields]
      )
      for (const { expected } of error.issues) assert.isAbove(expected.length, 3)
      assert.deepStrictEqual((yield* recorder.status).refused, { invalid: 1 })
    }).pipe(Effect.provide(memory))
  )

  it.effect("refuses an object in the place of a reference, and says how the reference is written", () =>
    Effect.gen(function* () {
      const pod = { kind: "Pod", metadata: { name: "web", namespace: "a", uid: "1" }, spec: {} } as never
      const recorder = yield* Recorder.Recorder
      const attempt = (given: Partial<Recorder.EventDraft>) =>
        Effect.map(Effect.flip(recorder.record(draft("Up", given))), ({ message }) => message)
      const told = (field: string) =>
        `the event was not recorded: ${field}.metadata is {"name":"web","namespace":"a"}, expected name and namespace beside ` +
        `kind, as a reference has them: {"kind":"Pod","name":"web","namespace":"a"}`
      assert.strictEqual(yield* attempt({ involvedObject: pod }), told("involvedObject"))
      assert.strictEqual(yield* attempt({ related: pod }), told("related"))
      const long = yield* attempt({ involvedObject: { kind: "Pod", metadata: { name: "x".repeat(100_000) } } as never })
      assert.isBelow(long.length, 400)
      for (const none of ["Pod/web", [pod]]) {
        assert.match(
          yield* attempt({ involvedObject: none as never }),
          /^the event was not recorded: involvedObject is .*, expected an object with kind and name$/
        )
      }
    }).pipe(Effect.provide(memory))
  )

  it.effect("refuses arguments that contain themselves", () =>
    Effect.gen(function* () {
      const loop: Record<string, unknown> = {}
      loop["self"] = loop
      const error = yield* Effect.flip((yield* Recorder.Recorder).record(draft("Up", { data: { arguments: loop } })))
      assert.strictEqual(error._tag, "InvalidEvent")
    }).pipe(Effect.provide(memory))
  )

  const bodyOf = (given: Recorder.EventDraft, layer: typeof memory = memory) =>
    Effect.gen(function* () {
      yield* (yield* Recorder.Recorder).record(given)
      return (yield* (yield* Backend.Backend).query({})).events[0]!.event
    }).pipe(Effect.provide(layer))

  it.effect("cuts what is too long to its limit in bytes, between characters, with a mark", () =>
    Effect.gen(function* () {
      const body = yield* bodyOf(draft("R".repeat(200), { message: "ä".repeat(600) + "💥", action: "é".repeat(100) }))
      const bytes = (text: string) => new TextEncoder().encode(text).length
      assert.strictEqual(body.reason, `${"R".repeat(125)}…`)
      assert.strictEqual(bytes(body.message), 1_023)
      assert.isTrue(body.message.endsWith("ä…"))
      assert.isAtMost(bytes(body.action), 128)
      assert.isTrue(body.action.endsWith("é…"))
    })
  )

  it.effect("escapes control characters, so that no event can forge a line or control a terminal", () =>
    Effect.gen(function* () {
      const body = yield* bodyOf(draft("Up", { message: "a\nb\u001b[2J\u009b\u202e\ud800c\t" }))
      assert.strictEqual(body.message, "a\\nb\\u001b[2J\\u009b\\u202e\ufffdc\\t")
    })
  )

  it.effect("removes trailing line ends of a message, which outputs of programs have", () =>
    Effect.gen(function* () {
      assert.strictEqual((yield* bodyOf(draft("Up", { message: "statuscode 503\r\n\n" }))).message, "statuscode 503")
      assert.strictEqual((yield* bodyOf(draft("Up", { message: "\n" }))).message, "")
      assert.strictEqual((yield* bodyOf(draft("Up", { message: "a\n b " }))).message, "a\\n b ")
    })
  )

  it.effect.each(["io.github.acme/search", "Weather (staging)", "50% off"])("accepts the name %s", (name) =>
    Effect.gen(function* () {
      const body = yield* bodyOf(draft("Up", { involvedObject: { kind: "MCPServer", name } }))
      assert.deepStrictEqual(body.involvedObject, { kind: "MCPServer", name })
      assert.strictEqual(body.data.name, name)
    })
  )

  it.effect("sets identity, type and action", () =>
    Effect.gen(function* () {
      const body = yield* bodyOf(draft("Scaled", { data: { operation: "scale" } }))
      assert.deepInclude(body, {
        action: "scale",
        type: "Normal",
        reportingController: "tidings",
        reportingInstance: "tidings",
        source: { component: "tidings" }
      })
      assert.deepStrictEqual(body.data, { name: "web", namespace: "default", operation: "scale" })
      assert.strictEqual((yield* bodyOf(draft("Scaled"))).action, "Scaled")
      assert.strictEqual(
        (yield* bodyOf(draft("Scaled", { action: "resize", data: { operation: "scale" } }))).action,
        "resize"
      )
    })
  )

  it.effect("never interprets data as a template", () =>
    Effect.gen(function* () {
      const body = yield* bodyOf({
        involvedObject: web,
        reason: "Odd",
        data: { error: "{{.Name}}{{if .Error}}", arguments: { "{{.Name}}": "{{end}}" } }
      })
      assert.notInclude(body.message, "{{")
      assert.strictEqual(body.data.error, "{{.Name}}{{if .Error}}")
    })
  )

  it.effect("does not share objects with the caller", () =>
    Effect.gen(function* () {
      const recorder = yield* Recorder.Recorder
      const data = { toolNames: ["a"], arguments: { list: [1] } }
      const labels = { team: "a" }
      yield* recorder.record(draft("Up", { data, labels }))
      data.toolNames.push("b")
      data.arguments.list.push(2)
      labels.team = "b"
      const body = (yield* (yield* Backend.Backend).query({})).events[0]!.event
      assert.deepInclude(body.data, { toolNames: ["a"], arguments: { list: [1] } })
      assert.deepStrictEqual(body.labels, { team: "a" })
    }).pipe(Effect.provide(memory))
  )

  it.effect("masks secrets before the message is rendered, unless that is turned off", () =>
    Effect.gen(function* () {
      const leaky: Recorder.EventDraft = {
        involvedObject: web,
        reason: "LoginFailed",
        data: { arguments: { password: "hunter2", user: "eva", nested: { apiToken: "x", list: [{ cookie: "y" }] } } },
        labels: { "session-token": "z" }
      }
      const withTemplate = (layer: typeof memory) =>
        Effect.gen(function* () {
          const templates = yield* Templates.Templates
          yield* templates.set("LoginFailed", "Login of {{.Arguments.user}} with {{.Arguments.password}} failed")
          yield* (yield* Recorder.Recorder).record(leaky)
          return (yield* (yield* Backend.Backend).query({})).events[0]!.event
        }).pipe(Effect.provide(layer))
      const masked = yield* withTemplate(memory)
      assert.strictEqual(masked.message, "Login of eva with [redacted] failed")
      assert.deepStrictEqual(masked.data.arguments, {
        password: "[redacted]",
        user: "eva",
        nested: { apiToken: "[redacted]", list: [{ cookie: "[redacted]" }] }
      })
      assert.deepStrictEqual(masked.labels, { "session-token": "redacted" })
      const open = yield* withTemplate(
        Layer.provideMerge(
          Recorder.layerDirect({ maskSecrets: false }),
          Layer.merge(Templates.layer, Backend.layerMemory())
        )
      )
      assert.strictEqual(open.message, "Login of eva with hunter2 failed")
    })
  )

  it.effect("refuses the event where a transform throws", () =>
    Effect.gen(function* () {
      const broken = Layer.provideMerge(
        Recorder.layerDirect({
          transforms: [
            Transform.make("broken", () => {
              throw new Error("oops")
            })
          ]
        }),
        Layer.merge(Templates.layer, Backend.layerMemory())
      )
      const error = yield* Effect.flip(
        Effect.provide(
          Recorder.Recorder.use((_) => _.record(draft())),
          broken
        )
      )
      assert.include(error.message, "transform broken")
      assert.include(error.message, "oops")
    })
  )
})

describe("the public API", () => {
  const everyField = {
    operation: "deploy",
    serviceClass: "web-app",
    arguments: { region: "eu", replicas: 3, deep: { list: [1, null, "x", true] } },
    error: 'boom \u001b[31m {{.Name}} "quoted" \n second line',
    duration: "1m30.5s",
    stepCount: 7,
    stepId: "s1",
    stepTool: "x_docker_run",
    conditionResult: "false",
    executionId: "exec-1",
    toolNames: ["a", "b, c"],
    allowFailure: true
  } satisfies EventDataInput
  it.effect("stores and returns each of the 14 fields, with each way to record", () =>
    Effect.gen(function* () {
      const manager = yield* EventManager.EventManager
      const object = { metadata: { name: "deploy", namespace: "default" } }
      const reference = { kind: "Workflow", name: "deploy", namespace: "default" }
      yield* manager.createEventWithData(reference, "WorkflowStepFailed", everyField)
      yield* manager.generator.workflowEvent(object, "WorkflowStepFailed", everyField)
      yield* manager.generator.emit(object, "WorkflowStepFailed", everyField)
      yield* manager.generator.crdEvent("Workflow", "deploy", "default", "WorkflowStepFailed", everyField)
      const { events, totalCount } = yield* manager.queryEvents({ resourceName: "deploy" })
      assert.strictEqual(totalCount, 4)
      for (const { event } of events) {
        assert.deepStrictEqual(event.data, {
          ...everyField,
          name: "deploy",
          namespace: "default",
          duration: 90_500_000_000
        })
        assert.strictEqual(event.involvedObject.apiVersion, "muster.giantswarm.io/v1alpha1")
        assert.strictEqual(event.type, "Warning")
      }
    }).pipe(Effect.provide(EventManager.layerMemory()))
  )
})
