import { assert, describe, it } from "@effect/vitest"
import * as Backend from "@tidings/core/Backend"
import * as Journal from "@tidings/core/Journal"
import * as Policy from "@tidings/core/Policy"
import * as Recorder from "@tidings/core/Recorder"
import * as Templates from "@tidings/core/Templates"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Tracer from "effect/Tracer"
import { refused } from "./support/scripted.ts"

const draft = { involvedObject: { kind: "Pod", name: "web" }, reason: "Started", message: "It runs" }

/** The spans of a program, in the order in which they began. */
const spansOf = <A, E>(program: Effect.Effect<A, E>) =>
  Effect.gen(function* () {
    const spans: Array<Tracer.Span> = []
    const tracer = Tracer.make({
      span: (options) => {
        const span = Tracer.nativeTracer.span(options)
        spans.push(span)
        return span
      }
    })
    yield* Effect.withTracer(program, tracer)
    return spans
  })

const journalled = (backend: Layer.Layer<Backend.Backend>) =>
  Layer.provideMerge(Recorder.layer(), Layer.mergeAll(Templates.layer, Journal.layerMemory(), backend))

/** Fails once, so that a delivery surely comes after its record. */
const late = Policy.make((backend) =>
  Effect.sync(() => {
    let calls = 0
    return { ...backend, write: (batch) => (calls++ === 0 ? Effect.fail(refused) : backend.write(batch)) }
  })
)

describe("tracing", () => {
  it.live("makes a span for a record of a traced caller, and links the delivery to it", () =>
    Effect.gen(function* () {
      const spans = yield* spansOf(
        Effect.gen(function* () {
          const recorder = yield* Recorder.Recorder
          yield* Effect.withSpan(recorder.record(draft), "reconcile")
          yield* recorder.flush("10 seconds")
        }).pipe(Effect.provide(journalled(late(Backend.layerMemory()))))
      )
      const named = (name: string) => spans.filter((span) => span.name === name)
      const [record] = named("event.record")
      assert.isDefined(record)
      assert.strictEqual(record.kind, "producer")
      assert.strictEqual(record.parent._tag === "Some" && (record.parent.value as Tracer.Span).name, "reconcile")
      assert.deepInclude(Object.fromEntries(record.attributes), {
        "event.reason": "Started",
        "event.outcome": "Accepted"
      })
      const deliveries = named("event.deliver")
      const last = deliveries.at(-1)
      assert.strictEqual(last!.kind, "consumer")
      assert.strictEqual(last!.parent._tag, "None")
      assert.deepStrictEqual(
        last!.links.map(({ span }) => span.spanId),
        [record.spanId]
      )
    })
  )

  it.live("makes no span for a caller that is not traced", () =>
    Effect.gen(function* () {
      const spans = yield* spansOf(
        Effect.gen(function* () {
          const recorder = yield* Recorder.Recorder
          yield* recorder.recordSettled(draft)
        }).pipe(Effect.provide(journalled(Backend.layerMemory())))
      )
      assert.deepStrictEqual(spans, [])
    })
  )
})
