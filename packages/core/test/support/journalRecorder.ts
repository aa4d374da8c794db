/** A recorder on a journal, and backends that answer as the test says. */
import { assert } from "@effect/vitest"
import * as Backend from "@tidings/core/Backend"
import * as Correlation from "@tidings/core/Correlation"
import type { Write } from "@tidings/core/Event"
import * as Journal from "@tidings/core/Journal"
import * as Recorder from "@tidings/core/Recorder"
import * as Target from "@tidings/core/Target"
import * as Templates from "@tidings/core/Templates"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as Scope from "effect/Scope"
import * as TestClock from "effect/testing/TestClock"
import { type Answer, created } from "./scripted.ts"

export class Second extends Context.Service<Second, Backend.Service>()("test/Second") {}

export const draft = (name: string, more?: Partial<Recorder.EventDraft>): Recorder.EventDraft => ({
  involvedObject: { kind: "Pod", name, namespace: "default" },
  reason: "Started",
  message: "It runs",
  ...more
})

export interface Call {
  readonly batch: ReadonlyArray<Write>
  /** In seconds since the test began. */
  readonly at: number
}

export interface Scripted {
  readonly backend: Backend.Service
  readonly calls: Array<Call>
}

export const scripted = (answer: Answer, id = "cluster"): Effect.Effect<Scripted> =>
  Effect.gen(function* () {
    const clock = yield* Clock.Clock
    const memory = yield* Effect.provide(Backend.Backend, Backend.layerMemory())
    const calls: Array<Call> = []
    return {
      calls,
      backend: {
        ...memory,
        target: Effect.succeed(Target.make(id)),
        write: (batch) =>
          Effect.suspend(() => {
            calls.push({ batch, at: clock.currentTimeMillisUnsafe() / 1_000 })
            return answer(batch, calls.length)
          })
      }
    }
  })

export const always: Answer = (batch) => Effect.succeed(created(batch))
export const never: Answer = () => Effect.never

/** As a journal on a disk: it outlives recorders. */
export const durable = (journal: Journal.Journal["Service"]): Journal.Journal["Service"] => ({
  ...journal,
  durability: "process"
})

export const memoryJournal = (options?: Parameters<typeof Journal.layerMemory>[0]) =>
  Effect.provide(Journal.Journal, Journal.layerMemory(options))

export interface Started {
  readonly recorder: Recorder.Recorder["Service"]
  readonly close: Effect.Effect<void>
  readonly logs: ReadonlyArray<string>
}

export type SinkOptions = Omit<Parameters<typeof Recorder.sink<Backend.Backend>>[0], "backend" | "name">

export const start = (options: {
  readonly journal?: Journal.Journal["Service"]
  readonly backend: Backend.Service
  readonly second?: Backend.Service
  readonly sink?: SinkOptions
  readonly recorder?: Omit<Recorder.RecorderOptions, "writeTimeout">
}): Effect.Effect<Started, Recorder.InvalidRecorderOptions | Journal.JournalError> =>
  Effect.gen(function* () {
    const logs: Array<string> = []
    const scope = yield* Scope.make()
    const journal = options.journal ?? (yield* memoryJournal())
    const sinks: Array<Recorder.Sink<Backend.Backend | Second>> = [
      Recorder.sink({ name: "first", backend: Backend.Backend, ...options.sink })
    ]
    if (options.second !== undefined) sinks.push(Recorder.sink({ name: "second", backend: Second, ...options.sink }))
    const logger = Logger.make<unknown, void>(
      ({ logLevel, message }) => void logs.push(`${logLevel} ${String(message)}`)
    )
    const context = yield* Layer.buildWithScope(
      Recorder.layer({ ...options.recorder, sinks }).pipe(
        Layer.provide(
          Layer.mergeAll(
            Templates.layer,
            Layer.succeed(Journal.Journal, journal),
            Layer.succeed(Backend.Backend, options.backend),
            Layer.succeed(Second, options.second ?? options.backend),
            Logger.layer([logger])
          )
        )
      ),
      scope
    )
    return { recorder: Context.get(context, Recorder.Recorder), close: Scope.close(scope, Exit.void), logs }
  })

/** A recorder without a journal. */
export const direct = (
  backend: Backend.Service,
  options?: Recorder.RecorderOptions
): Effect.Effect<Omit<Started, "logs">, Recorder.InvalidRecorderOptions> =>
  Effect.gen(function* () {
    const scope = yield* Scope.make()
    const context = yield* Layer.buildWithScope(
      Recorder.layerDirect(options).pipe(
        Layer.provide(Layer.merge(Templates.layer, Layer.succeed(Backend.Backend, backend)))
      ),
      scope
    )
    return { recorder: Context.get(context, Recorder.Recorder), close: Scope.close(scope, Exit.void) }
  })

/** Lets everything happen that is due now. */
export const settle = TestClock.adjust(0)

export const statusOf = (recorder: Recorder.Recorder["Service"], sink = "first") =>
  Effect.map(recorder.status, (status) => status.sinks[sink]!)

export const assertLaw = (status: Recorder.RecorderStatus) => {
  for (const [name, sink] of Object.entries(status.sinks)) {
    const dropped = Object.values(sink.dropped).reduce((sum, n) => sum + n, 0)
    assert.strictEqual(status.accepted + sink.recovered, sink.settled + sink.parked + dropped + sink.pending, name)
  }
}

export const namesOf = (calls: ReadonlyArray<Call>) =>
  calls.map(({ batch }) => batch.map(({ event }) => event.involvedObject.name))

export const off: SinkOptions = { correlation: Correlation.off }

export const draftIn = (namespace: string, name: string) =>
  draft(name, { involvedObject: { kind: "Pod", name, namespace } })

export const namespaceOf = ({ event }: Write) => event.involvedObject.namespace

export const each =
  (outcome: (write: Write) => Backend.Outcome): Answer =>
  (batch) =>
    Effect.succeed(batch.map(outcome))

export const rejecting =
  (rejects: (write: Write) => boolean): Answer =>
  (batch) =>
    Effect.succeed(
      batch.map((write) => (rejects(write) ? { _tag: "Rejected", reason: "the namespace is gone" } : Backend.created))
    )
