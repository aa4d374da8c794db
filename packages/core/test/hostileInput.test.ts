import { assert, describe, it } from "@effect/vitest"
import * as EventManager from "@tidings/core/EventManager"
import * as Recorder from "@tidings/core/Recorder"
import * as Templates from "@tidings/core/Templates"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Stream from "effect/Stream"

const cyclic: { [key: string]: unknown } = {}
cyclic["itself"] = cyclic
const nested = (depth: number): unknown => {
  let value: unknown = "the end"
  for (let n = 0; n < depth; n++) value = { deeper: value }
  return value
}
const throwing = new Proxy(
  {},
  {
    get: () => {
      throw new Error("nothing can be read")
    },
    ownKeys: () => {
      throw new Error("nothing can be listed")
    },
    getPrototypeOf: () => {
      throw new Error("nothing is known")
    }
  }
)

/** What a program in plain JavaScript may hand over by mistake. */
const bad: Readonly<Record<string, unknown>> = {
  undefined: undefined,
  null: null,
  "a number": 7,
  "a BigInt": 7n,
  "a symbol": Symbol("s"),
  "a function": () => "x",
  "an empty object": {},
  "a list": [1, 2],
  "a cycle": cyclic,
  "a getter that throws": Object.defineProperty({}, "name", {
    enumerable: true,
    get: () => {
      throw new Error("no name")
    }
  }),
  "a proxy that throws": throwing,
  "an object without a prototype": Object.assign(Object.create(null) as object, { kind: 1 }),
  "deeply nested data": nested(10_000),
  "a huge text": "x".repeat(300_000),
  "an object whose text throws": {
    toString: () => {
      throw new Error("no text")
    }
  },
  "an invalid date": new Date(Number.NaN)
}

const reference = { kind: "Pod", name: "web", namespace: "default" }
const object = { metadata: { name: "deploy" } }

interface TypedError {
  readonly _tag: string
  readonly message: string
}

/** Each takes one bad thing in one place. `any` stands for what the compiler would have refused. */
const entryPoints: Readonly<
  Record<
    string,
    (
      services: {
        readonly manager: EventManager.EventManager["Service"]
        readonly recorder: Recorder.Recorder["Service"]
        readonly templates: Templates.Templates["Service"]
      },
      thing: never
    ) => Effect.Effect<unknown, TypedError>
  >
> = {
  "createEvent, reference": ({ manager }, thing) => manager.createEvent(thing, "Started", "it runs", "Normal"),
  "createEvent, reason": ({ manager }, thing) => manager.createEvent(reference, thing, "it runs", "Normal"),
  "createEvent, message": ({ manager }, thing) => manager.createEvent(reference, "Started", thing, "Normal"),
  "createEvent, type": ({ manager }, thing) => manager.createEvent(reference, "Started", "it runs", thing),
  "createEvent, name": ({ manager }, thing) =>
    manager.createEvent({ ...reference, name: thing }, "Started", "it runs", "Normal"),
  "createEventForCRD, kind": ({ manager }, thing) =>
    manager.createEventForCRD(thing, "a", "default", "Started", "it runs", "Normal"),
  "createEventForCRD, name": ({ manager }, thing) =>
    manager.createEventForCRD("Workflow", thing, "default", "Started", "it runs", "Normal"),
  "createEventForCRD, namespace": ({ manager }, thing) =>
    manager.createEventForCRD("Workflow", "a", thing, "Started", "it runs", "Normal"),
  "createEventWithData, reference": ({ manager }, thing) => manager.createEventWithData(thing, "Started", {}),
  "createEventWithData, data": ({ manager }, thing) => manager.createEventWithData(reference, "Started", thing),
  "createEventWithData, a field of data": ({ manager }, thing) =>
    manager.createEventWithData({ kind: "Workflow", name: "a" }, "WorkflowStepFailed", { stepId: thing }),
  "createEventWithData, arguments": ({ manager }, thing) =>
    manager.createEventWithData(reference, "Started", { arguments: { thing } }),
  "createEventWithData, options": ({ manager }, thing) => manager.createEventWithData(reference, "Started", {}, thing),
  "createEventWithData, at": ({ manager }, thing) =>
    manager.createEventWithData(reference, "Started", {}, { at: thing }),
  "workflowEvent, object": ({ manager }, thing) =>
    manager.generator.workflowEvent(thing, "WorkflowStepFailed", { stepId: "a", error: "b" }),
  "workflowEvent, name": ({ manager }, thing) =>
    manager.generator.workflowEvent({ metadata: { name: thing } }, "WorkflowStepFailed", { stepId: "a", error: "b" }),
  "workflowEvent, reason": ({ manager }, thing) => manager.generator.workflowEvent(object, thing, thing),
  "workflowEvent, data": ({ manager }, thing) => manager.generator.workflowEvent(object, "WorkflowStepFailed", thing),
  "emit, object": ({ manager }, thing) =>
    manager.generator.emit(thing, "WorkflowStepFailed", { stepId: "a", error: "b" }),
  "emit, reason": ({ manager }, thing) => manager.generator.emit(object, thing, thing),
  "crdEvent, kind": ({ manager }, thing) =>
    manager.generator.crdEvent(thing, "a", "default", "WorkflowStepFailed" as never, thing),
  "crdEvent, name": ({ manager }, thing) =>
    manager.generator.crdEvent("Workflow", thing, "default", "WorkflowStepFailed", { stepId: "a", error: "b" }),
  "record, draft": ({ recorder }, thing) => recorder.record(thing),
  "record, labels": ({ recorder }, thing) => recorder.record({ involvedObject: reference, reason: "A", labels: thing }),
  "record, related": ({ recorder }, thing) =>
    recorder.record({ involvedObject: reference, reason: "A", related: thing }),
  "record, at": ({ recorder }, thing) => recorder.record({ involvedObject: reference, reason: "A", at: thing }),
  "recordSettled, draft": ({ recorder }, thing) => recorder.recordSettled(thing),
  "recordNow, draft": ({ recorder }, thing) => recorder.recordNow(thing),
  "flush, deadline": ({ recorder }, thing) => recorder.flush(typeof thing === "number" ? -1 : thing),
  "queryEvents, query": ({ manager }, thing) => manager.queryEvents(thing),
  "queryEvents, since": ({ manager }, thing) => manager.queryEvents({ since: thing }),
  "queryEvents, limit": ({ manager }, thing) => manager.queryEvents({ limit: thing }),
  "queryEvents, page": ({ manager }, thing) => manager.queryEvents({ page: thing }),
  "watchEvents, filter": ({ manager }, thing) =>
    Stream.runHead(Stream.take(manager.watchEvents(thing, "beginning"), 1)),
  "watchEvents, from": ({ manager }, thing) => Stream.runHead(Stream.take(manager.watchEvents({}, thing), 1)),
  "templates.set, reason": ({ templates }, thing) => templates.set(thing, "x"),
  "templates.set, template": ({ templates }, thing) => templates.set("Started", thing),
  "templates.register, definition": ({ templates }, thing) => templates.register(thing),
  "templates.register, a kind": ({ templates }, thing) => templates.register({ Order: thing }),
  "templates.register, messages": ({ templates }, thing) => templates.register({}, thing),
  "templates.render, reason": ({ templates }, thing) =>
    Effect.sync(() => assert.isString(templates.render(thing, { name: "a" }))),
  "templates.render, data": ({ templates }, thing) =>
    Effect.sync(() => {
      for (const reason of ["WorkflowStepFailed", "Started"]) assert.isString(templates.render(reason, thing))
    }),
  "templates.get, reason": ({ templates }, thing) => Effect.sync(() => templates.get(thing))
}

const TYPED = new Set([
  "InvalidEvent",
  "InvalidQuery",
  "InvalidTimeout",
  "TemplateError",
  "CatalogueError",
  "BackendError"
])

describe("every entry point fails with a typed error for invalid input, and never with a defect", () => {
  for (const [place, call] of Object.entries(entryPoints)) {
    for (const traced of [false, true]) {
      it.effect(`${place}${traced ? ", inside a span" : ""}`, () =>
        Effect.gen(function* () {
          const services = {
            manager: yield* EventManager.EventManager,
            recorder: yield* Recorder.Recorder,
            templates: yield* Templates.Templates
          }
          for (const [name, thing] of Object.entries(bad)) {
            let effect: Effect.Effect<unknown, TypedError>
            try {
              effect = call(services, thing as never)
            } catch (thrown) {
              assert.fail(`${place} with ${name} throws at once: ${String(thrown)}`)
            }
            const exit = yield* Effect.exit(traced ? Effect.withSpan(effect, "host") : effect)
            if (Exit.isSuccess(exit)) continue
            const found = Cause.findErrorOption(exit.cause)
            assert.strictEqual(found._tag, "Some", `${place} with ${name} dies: ${Cause.pretty(exit.cause)}`)
            const error = found._tag === "Some" ? found.value : undefined
            assert.isTrue(TYPED.has(error!._tag), `${place} with ${name} fails with ${error!._tag}`)
            assert.isAbove(error!.message.length, 10)
            assert.isBelow(error!.message.length, 5_000, `${place} with ${name}: the message is long`)
          }
        }).pipe(Effect.provide(EventManager.layerMemory()))
      )
    }
  }

  it.effect("refuses every value that is not a draft", () =>
    Effect.gen(function* () {
      const manager = yield* EventManager.EventManager
      for (const name of ["undefined", "null", "a number", "a proxy that throws", "an empty object", "a cycle"]) {
        const error = yield* Effect.flip(manager.createEvent(bad[name] as never, "Started", "it runs", "Normal"))
        assert.strictEqual(error._tag, "InvalidEvent", name)
      }
    }).pipe(Effect.provide(EventManager.layerMemory()))
  )
})
