import { assert, describe, it } from "@effect/vitest"
import * as Backend from "@tidings/core/Backend"
import * as Correlation from "@tidings/core/Correlation"
import * as Journal from "@tidings/core/Journal"
import * as Policy from "@tidings/core/Policy"
import * as Recorder from "@tidings/core/Recorder"
import * as Templates from "@tidings/core/Templates"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"

/** None of them is a duration that can be waited for. */
const INVALID: ReadonlyArray<readonly [given: Duration.Input, shown: string]> = [
  [-1, "-1"],
  ["-5 seconds", '"-5 seconds"'],
  [Number.NaN, "NaN"],
  ["5s" as Duration.Input, '"5s"'],
  [{ secnds: 5 } as Duration.Input, "{"]
]

const VALID: ReadonlyArray<Duration.Input> = [0, 5, "5 seconds", Number.POSITIVE_INFINITY, { seconds: 5 }]

const parts = Layer.mergeAll(Templates.layer, Backend.layerMemory(), Journal.layerMemory())

const options: Readonly<
  Record<string, (given: Duration.Input) => Layer.Layer<Recorder.Recorder, { readonly message: string }>>
> = {
  "drainTimeout of a direct recorder": (drainTimeout) =>
    Recorder.layerDirect({ drainTimeout }).pipe(Layer.provide(parts)),
  "writeTimeout of a direct recorder": (writeTimeout) =>
    Recorder.layerDirect({ writeTimeout }).pipe(Layer.provide(parts)),
  drainTimeout: (drainTimeout) => Recorder.layer({ drainTimeout }).pipe(Layer.provide(parts)),
  "writeTimeout of a sink": (writeTimeout) =>
    Recorder.layer({ sinks: [Recorder.sink({ name: "a", backend: Backend.Backend, writeTimeout })] }).pipe(
      Layer.provide(parts)
    ),
  "correlation.aggregateWindow": (aggregateWindow) =>
    Recorder.layer({
      sinks: [
        Recorder.sink({
          name: "a",
          backend: Backend.Backend,
          correlation: { ...Correlation.defaults, aggregateWindow }
        })
      ]
    }).pipe(Layer.provide(parts)),
  "correlation.refill": (refill) =>
    Recorder.layer({
      sinks: [Recorder.sink({ name: "a", backend: Backend.Backend, correlation: { ...Correlation.defaults, refill } })]
    }).pipe(Layer.provide(parts))
}

describe("an option that is a duration", () => {
  for (const [name, layer] of Object.entries(options)) {
    it.live(`is refused with what was found where it is negative or none: ${name}`, () =>
      Effect.gen(function* () {
        for (const [given, shown] of INVALID) {
          const error = yield* Effect.flip(Effect.scoped(Layer.build(layer(given))))
          assert.include(error.message, `${name.split(" ")[0]} is ${shown}`)
          assert.include(error.message, 'expected a duration from 0 on, such as "10 seconds", or Infinity')
        }
      })
    )
    it.live(`is taken as milliseconds, text, object and without end: ${name}`, () =>
      Effect.forEach(VALID, (given) => Effect.scoped(Layer.build(layer(given))), { discard: true })
    )
  }

  for (const field of ["baseDelay", "maximumDelay"] as const) {
    it.live(`of Policy.retry ends the layer where it is negative or none: ${field}`, () =>
      Effect.gen(function* () {
        for (const [given, shown] of INVALID) {
          const layer = Backend.layerMemory().pipe(Policy.retry({ [field]: given }))
          const defect = yield* Effect.catchDefect(Effect.as(Effect.scoped(Layer.build(layer)), undefined), (defect) =>
            Effect.succeed(defect as { readonly message: string })
          )
          assert.include(defect?.message, `${field} of the policy is ${shown}`)
        }
      })
    )
  }
})
