/**
 * `record` and `recordSettled` of a recorder without a journal: the answer of the backend is the acceptance.
 *
 * What certainly was not written is the caller's to repeat. What may have been written, by the last try or by one before it,
 * is repeated here with the same id until the outcome is known: a caller who repeated it would have it counted twice. After
 * the recorder has begun to close, nothing is retried, and such a call fails with `Unknown`.
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import type * as Backend from "../../Backend.ts"
import type { BackendError } from "../../BackendError.ts"
import type { Delivered, Recorded, Recorder, RecordError, Settlement } from "../../Delivery.ts"
import { RecorderError, Rejected, Unknown } from "../../Delivery.ts"
import type { Write } from "../../Event.ts"
import type { EventDraft } from "../../EventDraft.ts"
import type * as EventId from "../../EventId.ts"
import { outcomesOf, RunningWrite } from "../backendWrite.ts"
import type * as intakes from "../intake.ts"
import { type DirectContext, retryDelay, SINK, writeOf } from "./context.ts"

/**
 * The calls that were open when a flush began, up to a sequence number, and have not ended.
 *
 * @internal
 */
export interface OpenCalls {
  readonly seq: number
  left: number
}

/** @internal */
export interface Calls {
  readonly record: Recorder["Service"]["record"]
  readonly recordSettled: Recorder["Service"]["recordSettled"]
  /** Whether no call waits for an outcome. */
  readonly isIdle: () => boolean
  /** Counts the calls that are open now down as they end, until `release`. */
  readonly track: () => OpenCalls
  readonly release: (calls: OpenCalls) => void
}

/** The answer to the caller, once the write has a final outcome. */
type Answer<A> = (id: EventId.EventId, settlement: Settlement) => A

const recorded: Answer<Recorded> = (id) => ({ _tag: "Accepted", id })
const delivered: Answer<Delivered> = (id, settlement) => ({ _tag: "Accepted", id, sinks: { [SINK]: settlement } })

type Final = Extract<Backend.Outcome, { readonly _tag: "Settled" | "Dropped" }>

const isFinal = (outcome: Backend.Outcome): outcome is Final => outcome._tag === "Settled" || outcome._tag === "Dropped"

const mayBeApplied = (error: BackendError): boolean =>
  error.reason._tag === "Transient" && error.reason.applied === "unknown"

/** @internal */
export const make = (context: DirectContext): Calls => {
  const { changed, fairness, ids, intake, ledger, writer } = context
  const conclude = concluding(context)
  const interrupted = () => ledger.refuse(1, "interrupted")
  /** Calls that have begun a write and have no answer yet. */
  const open = new Set<EventId.EventId>()
  /** Counted down as calls end, so that a flush costs the same for each call, however many there are. */
  const tracked = new Set<OpenCalls>()

  const deliver = <A>(draft: EventDraft, answer: Answer<A>): Effect.Effect<A | intakes.Filtered, RecordError> =>
    intake.record(draft, (occurrence, caller): Effect.Effect<A, RecordError> => {
      const id = ids.next()
      const write = writeOf(id, occurrence)
      const started = writer.start([write], Effect.runForkWith(caller.context))
      if (!(started instanceof RunningWrite) && isFinal(started[0]!)) {
        return fairness.answer(caller, Effect.succeed(answer(id, count(context, started[0]))))
      }
      open.add(id)
      return Effect.onExit(
        Effect.map(
          Effect.flatMap(outcomesOf(started, interrupted), ([outcome]) => conclude(write, outcome!, 1, undefined)),
          (settlement) => answer(id, settlement)
        ),
        (exit) =>
          Effect.sync(() => {
            if (Exit.isFailure(exit)) intake.retract(occurrence)
            open.delete(id)
            for (const calls of tracked) if (id.seq <= calls.seq) calls.left--
            changed.notify()
          })
      )
    })

  return {
    record: (draft) => deliver(draft, recorded),
    recordSettled: (draft, options) =>
      intake.timeout(options?.timeout, (timeout) => {
        const delivering = deliver(draft, delivered)
        return Duration.isFinite(timeout) ? within(timeout, delivering) : delivering
      }),
    isIdle: () => open.size === 0,
    track: () => {
      const calls: OpenCalls = { seq: ids.last, left: open.size }
      tracked.add(calls)
      return calls
    },
    release: (calls) => tracked.delete(calls)
  }
}

/** The write goes on after the timeout: a caller that repeated it would have it counted twice. */
const within = (
  timeout: Duration.Duration,
  delivering: Effect.Effect<Delivered, RecordError>
): Effect.Effect<Delivered, RecordError> =>
  Effect.flatMap(Effect.forkDetach(delivering, { startImmediately: true }), (fiber) =>
    Effect.timeoutOrElse(Fiber.join(fiber), {
      duration: timeout,
      orElse: () => {
        const detail = `the backend did not answer within ${Duration.format(timeout)}, and its write continues`
        return Effect.fail(new RecorderError({ reason: new Unknown({ detail }) }))
      }
    })
  )

/** Counts a final outcome. */
const count = ({ ledger, sink }: DirectContext, outcome: Final): Settlement => {
  ledger.accept(1)
  if (outcome._tag === "Dropped") sink.drop(1, outcome.reason)
  else {
    sink.settle(1, outcome.how)
    sink.state = "up"
  }
  return outcome
}

/**
 * Goes on with the outcome of one try: answers, fails, or tries once more. `unclear` is the failure of an earlier try that
 * may have been applied.
 */
type Conclude = (
  write: Write,
  outcome: Backend.Outcome,
  failures: number,
  unclear: BackendError | undefined
) => Effect.Effect<Settlement, RecordError>

const concluding = (context: DirectContext): Conclude => {
  const { changed, clock, intake, ledger, random, sink, writer } = context
  const interrupted = () => ledger.refuse(1, "interrupted")

  const failUnknown = (detail: string) =>
    intake.refuse("unknown", new RecorderError({ reason: new Unknown({ detail }) }))

  const conclude: Conclude = (write, outcome, failures, unclear) => {
    if (isFinal(outcome)) return Effect.succeed(count(context, outcome))
    if (outcome._tag === "Rejected") {
      return intake.refuse("rejected", new RecorderError({ reason: new Rejected({ detail: outcome.reason }) }))
    }
    const { error } = outcome
    const doubt = mayBeApplied(error) ? error : unclear
    sink.failed(error.message)
    if (error.reason._tag === "TargetMismatch") {
      sink.state = "blocked"
      // The right store may never answer again.
      if (doubt !== undefined) return failUnknown(`${doubt.message}; then ${error.message}`)
    }
    if (doubt === undefined) return intake.refuse("failed", new RecorderError({ reason: error }))
    if (intake.isClosed) {
      return failUnknown(`the recorder was closed before the backend answered: ${doubt.message}`)
    }
    sink.state = "degraded"
    return retry(write, error, failures, doubt)
  }

  const retry = (write: Write, error: BackendError, failures: number, doubt: BackendError) => {
    const pause = Effect.raceFirst(
      clock.sleep(retryDelay(failures, error, random)),
      // Closing cuts the wait short, for a last try.
      changed.until(() => intake.isClosed)
    )
    return Effect.andThen(
      Effect.onInterrupt(pause, () => Effect.sync(interrupted)),
      Effect.flatMap(writer.write([write], interrupted), ([outcome]) => conclude(write, outcome!, failures + 1, doubt))
    )
  }

  return conclude
}
