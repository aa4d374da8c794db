/**
 * A recorder with a journal: an event is accepted when the journal has it (`appends.ts`), and each sink delivers it from
 * there (`sink/sink.ts`).
 *
 * When the scope closes, new events are refused, and the sinks have until `drainTimeout` to deliver what is accepted; then
 * what still waits for the journal is refused, and each sink stops, with a last checkpoint where the journal is durable.
 */
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Random from "effect/Random"
import type * as Scope from "effect/Scope"
import type * as Backend from "../../Backend.ts"
import type {
  Delivered,
  FlushReport,
  InvalidTimeout,
  Recorded,
  RecordError,
  Recorder,
  Settlement
} from "../../Delivery.ts"
import type { EventDraft } from "../../EventDraft.ts"
import type { Journal, JournalError } from "../../Journal.ts"
import { Fairness } from "../fairness.ts"
import * as intakes from "../intake.ts"
import { Ledger } from "../ledger.ts"
import type { Options as SinkOptions } from "../sink/context.ts"
import * as sinks from "../sink/sink.ts"
import { type Answer, type AppendContext, make as makeAppends, Progress, Submission } from "./appends.ts"

/** @internal */
export interface Options {
  readonly preparation: intakes.Preparation
  readonly journal: Journal["Service"]
  readonly sinks: ReadonlyArray<{ readonly options: SinkOptions; readonly backend: Backend.Service }>
  readonly queueCapacity: number
  readonly drainTimeout: Duration.Duration
}

/** @internal */
export const make = Effect.fnUntraced(function* (
  options: Options
): Effect.fn.Return<Recorder["Service"], JournalError, Scope.Scope> {
  const { drainTimeout, queueCapacity } = options
  const context = yield* makeContext(options)
  const { delivering, fairness, intake, ledger, progress, shared } = context
  const appends = yield* makeAppends(context)

  const deliver = <A>(draft: EventDraft, answer: Answer<A>): Effect.Effect<A | intakes.Filtered, RecordError> =>
    intake.record(draft, (occurrence, caller) => {
      const submission = new Submission(occurrence, answer)
      appends.submit(submission, caller)
      // A caller who is interrupted from here on has still recorded its event.
      return submission.result === undefined ? submission.wait() : fairness.answer(caller, submission.result)
    })

  const flush = (given: Duration.Input): Effect.Effect<FlushReport, InvalidTimeout> =>
    intakes.withDeadline(given, (deadline) => {
      const { begun } = progress
      let seq: number | undefined
      const everything = Effect.andThen(
        progress.until(begun),
        Effect.suspend(() => {
          const accepted = shared.head
          seq = accepted
          return Effect.forEach(delivering, (sink) => sink.awaitSettled(accepted), {
            concurrency: "unbounded",
            discard: true
          })
        })
      )
      return Effect.map(Effect.timeoutOption(everything, deadline), () => ({
        complete: seq !== undefined && delivering.every((sink) => sink.isSettled(seq!)),
        waiting: progress.waiting(begun),
        pending: Object.fromEntries(delivering.map(({ ledger, name }) => [name, ledger.pending]))
      }))
    })

  yield* Effect.addFinalizer(() =>
    Effect.suspend(() => {
      intake.isClosed = true
      return Effect.forEach(delivering, ({ drain }) => drain(appends.isIdle), {
        concurrency: "unbounded",
        discard: true
      }).pipe(
        Effect.timeoutOption(drainTimeout),
        Effect.andThen(appends.giveUp),
        Effect.andThen(Effect.forEach(delivering, stopSink, { discard: true }))
      )
    })
  )

  const parked = Effect.forEach(delivering, ({ name, parked }) =>
    Effect.map(parked, (list) => list.map((one) => ({ sink: name, ...one })))
  )

  const sinkNamed = (name: string, use: (sink: sinks.Sink) => Effect.Effect<number, JournalError>) => {
    const sink = delivering.find((one) => one.name === name)
    return sink === undefined ? Effect.succeed(0) : use(sink)
  }

  return {
    record: (draft) => deliver(draft, accepted),
    recordSettled: (draft, options) =>
      intake.timeout(options?.timeout, (timeout) => deliver(draft, settled(delivering, timeout))),
    recordNow: (draft) =>
      Effect.withFiber((caller) => {
        const occurrence = intake.recordNow(draft, appends.waiting() >= queueCapacity)
        if (occurrence !== undefined) appends.submit(new Submission(occurrence, undefined), caller)
        return Effect.void
      }),
    flush,
    status: Effect.sync(() => ledger.status(Object.fromEntries(delivering.map((sink) => [sink.name, sink.status()])))),
    parked: Effect.map(parked, (lists) => lists.flat()),
    retryParked: (name, series) => sinkNamed(name, (sink) => sink.retryParked(series)),
    dropParked: (name, series) => sinkNamed(name, (sink) => sink.dropParked(series))
  }
})

/** Makes the sinks, which begin to deliver what the journal has from before, and what else the parts share. */
const makeContext = Effect.fnUntraced(function* (
  options: Options
): Effect.fn.Return<AppendContext & { readonly fairness: Fairness }, JournalError, Scope.Scope> {
  const { journal } = options
  const clock = yield* Clock.Clock
  const services = yield* Effect.context()
  const ledger = new Ledger(services)
  const shared: sinks.Shared = {
    journal,
    clock,
    random: yield* Random.Random,
    head: yield* journal.head,
    targets: new Map()
  }
  const delivering: Array<sinks.Sink> = []
  for (const { backend, options: sinkOptions } of options.sinks) {
    delivering.push(yield* sinks.make(sinkOptions, backend, shared))
  }
  const fairness = new Fairness(clock)
  const intake = new intakes.Intake(options.preparation, ledger, fairness)
  return { journal, clock, services, ledger, intake, fairness, shared, delivering, progress: new Progress() }
})

// ---------------------------------------------------------------------------
// answers to callers
// ---------------------------------------------------------------------------

const accepted: Answer<Recorded> = (id) => Effect.succeed({ _tag: "Accepted", id })

const settled = (delivering: ReadonlyArray<sinks.Sink>, timeout: Duration.Duration): Answer<Delivered> => {
  const within = (settlement: Effect.Effect<Settlement>): Effect.Effect<Settlement> =>
    Duration.isFinite(timeout)
      ? Effect.timeoutOrElse(settlement, {
          duration: timeout,
          orElse: () => Effect.succeed<Settlement>({ _tag: "Pending" })
        })
      : settlement
  return (id) => {
    // Registered now: after this turn the sinks may have read the event.
    const settlements = delivering.map((sink) => [sink.name, sink.awaitSettlement(id.seq)] as const)
    return Effect.map(
      Effect.forEach(
        settlements,
        ([name, settlement]) => Effect.map(within(settlement), (one) => [name, one] as const),
        {
          concurrency: "unbounded"
        }
      ),
      (sinks) => ({ _tag: "Accepted", id, sinks: Object.fromEntries(sinks) })
    )
  }
}

const stopSink = ({ ledger, stop }: sinks.Sink): Effect.Effect<void> =>
  Effect.ensuring(
    stop,
    Effect.sync(() => ledger.close())
  )
