import * as Backend from "@tidings/core/Backend"
import type { Write } from "@tidings/core/Event"
import * as Arbitraries from "@tidings/testing/Arbitraries"
import * as Contract from "@tidings/testing/Contract"
import { Arbitrary, Effect, Layer } from "effect"
import * as LogBackend from "./fixtures/LogBackend.ts"

Contract.suite("a log of lines", LogBackend.layer(), {
  reopenable: LogBackend.reopenable(),
  other: LogBackend.layer(),
  forgetful: { layer: LogBackend.layer({ keep: 10 }), series: 10 }
})

// One store for all tests, with events of others in it from the start.
const sharedLog = new LogBackend.Log("shared")
const populate = Effect.gen(function* () {
  const backend = LogBackend.make(sharedLog)
  if (sharedLog.end === 0) {
    yield* backend.write(yield* Arbitrary.sampleEffect(Arbitraries.write, { count: 50, seed: 1, size: 20 }))
  }
  return backend
})
const shared = Layer.effect(Backend.Backend, populate)

Contract.suite("a log of lines that all tests share", shared, {
  shared: true,
  namespaces: ["team-b", "team-c", "team-d"],
  reopenable: Effect.succeed(shared),
  other: LogBackend.layer(),
  runs: 5
})

const wholeSeconds = (write: Write): Write => ({
  ...write,
  first: Math.floor(write.first / 1_000_000) * 1_000_000,
  last: Math.floor(write.last / 1_000_000) * 1_000_000
})

Contract.suite(
  "a log of lines that keeps whole seconds",
  Layer.effect(
    Backend.Backend,
    Effect.map(Backend.Backend, (backend) => ({
      ...backend,
      write: (batch: ReadonlyArray<Write>) => backend.write(batch.map(wholeSeconds))
    }))
  ).pipe(Layer.provide(LogBackend.layer())),
  { precision: "seconds", runs: 5 }
)
