import * as Clock from "effect/Clock"
import type * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Random from "effect/Random"
import type * as Scope from "effect/Scope"
import type * as Backend from "../Backend.ts"
import type { BackendError } from "../BackendError.ts"
import type {
  Delivered,
  FlushReport,
  InvalidTimeout,
  Recorded,
  Recorder,
  RecordError,
  Settlement
} from "../Delivery.ts"
import { RecorderError, Rejected, Unknown } from "../Delivery.ts"
import type { Occurrence, Write } from "../Event.ts"
import type { EventDraft } from "../EventDraft.ts"
import * as EventId from "../EventId.ts"
import * as Timestamp from "../Timestamp.ts"
import type * as acceptance from "./acceptance.ts"
import * as backoff from "./backoff.ts"
import { bodyOf } from "./eventBody.ts"
import { Fairness } from "./fairness.ts"
import * as intakes from "./intake.ts"
import { Ledger, SinkLedger } from "./ledger.ts"
import { Notifier } from "./notifier.ts"
import * as outcomes from "./outcomes.ts"

/** @internal */
export const SINK = "default"

/** @internal */
export interface Options {
  readonly prepare: (draft: EventDraft) => acceptance.Prepared
  readonly backend: Backend.Service
  readonly queueCapacity: number
  readonly drainTimeout: Duration.Duration
  readonly writeTimeout: Duration.Duration
}

interface Queued {
  readonly write: Write
  readonly acceptedAt: Timestamp.Micros
  /** Counts what was queued before it, for `flush`. */
  readonly ordinal: number
}

const MAXIMUM_BATCH = 256
/** The calls in flight when a flush began, up to a sequence number, that have not ended. */
interface CallsBefore {
  readonly seq: number
  left: number
}

const DELAYS = { first: 100, maximum: 30_000 }
/** How long a write that is under way is waited for at the end, however short the drain timeout is. */
const LEAST_WAIT_FOR_WRITE = Duration.seconds(1)

const writeOf = (id: EventId.EventId, occurrence: Occurrence): Write => {
  const { at, message } = occurrence
  return { id, upTo: id.seq, count: 1, first: at, last: at, event: bodyOf(occurrence, message) }
}

/** The answer to the caller, once the write has a final outcome. */
type Answer<A> = (id: EventId.EventId, settlement: Settlement) => A

const recorded: Answer<Recorded> = (id) => ({ _tag: "Accepted", id })
const delivered: Answer<Delivered> = (id, settlement) => ({ _tag: "Accepted", id, sinks: { [SINK]: settlement } })

type WriteExit = Exit.Exit<ReadonlyArray<Backend.Outcome>, BackendError>

const outcomesOf = (exit: WriteExit, batch: ReadonlyArray<Write>): ReadonlyArray<Backend.Outcome> => {
  if (Exit.isSuccess(exit)) {
    return exit.value.length >= batch.length
      ? exit.value
      : batch.map((_, index) => exit.value[index] ?? outcomes.missing)
  }
  const outcome = outcomes.ofFailure(exit)
  return batch.map(() => outcome)
}

type Final = Extract<Backend.Outcome, { readonly _tag: "Settled" | "Dropped" }>

const isFinal = (outcome: Backend.Outcome): outcome is Final => outcome._tag === "Settled" || outcome._tag === "Dropped"

const isOutcomes = (
  started: ReadonlyArray<Backend.Outcome> | Effect.Effect<ReadonlyArray<Backend.Outcome>>
): started is ReadonlyArray<Backend.Outcome> => Array.isArray(started)

const isUnknown = (error: BackendError): boolean =>
  error.reason._tag === "Transient" && error.reason.applied === "unknown"

/** @internal */
export const make = Effect.fnUntraced(function* (
  options: Options
): Effect.fn.Return<Recorder["Service"], never, Scope.Scope> {
  const { backend, drainTimeout, queueCapacity, writeTimeout } = options
  const clock = yield* Clock.Clock
  const random = yield* Random.Random
  const context = yield* Effect.context()
  const origin = yield* EventId.makeOrigin
  const ledger = new Ledger(context)
  const sink = new SinkLedger(SINK, context)
  const fairness = new Fairness(clock)
  const intake = new intakes.Intake(options.prepare, ledger, fairness)
  const changed = new Notifier()
  let seq = 0
  /** Calls of `record` that have begun a write and have no answer yet. */
  const inFlight = new Set<EventId.EventId>()
  /** Counted down as calls end, so that a flush costs the same for each, however many there are. */
  const flushes = new Set<CallsBefore>()
  /** Nothing is retried any more, and what is left has been counted. */
  let stopped = false

  // -------------------------------------------------------------------------
  // one write
  // -------------------------------------------------------------------------

  const timedOut = outcomes.timedOutAfter(writeTimeout)

  /**
   * Starts one write. A backend that answers in the same turn (memory, the event log) pays for neither a timer nor a
   * wake-up: that is most of what a write to memory would cost.
   */
  const start = (
    batch: ReadonlyArray<Write>,
    callers: Context.Context<never>,
    interrupted: () => void
  ): ReadonlyArray<Backend.Outcome> | Effect.Effect<ReadonlyArray<Backend.Outcome>> => {
    let writing: Effect.Effect<ReadonlyArray<Backend.Outcome>, BackendError>
    try {
      writing = backend.write(batch)
    } catch (thrown) {
      return outcomesOf(Exit.die(thrown), batch)
    }
    const fiber = Effect.runForkWith(callers)(writing)
    const exit = fiber.pollUnsafe()
    if (exit !== undefined) return outcomesOf(exit, batch)
    return Fiber.await(fiber).pipe(
      Effect.timeoutOrElse({
        duration: writeTimeout,
        orElse: () => {
          fiber.interruptUnsafe()
          return Effect.succeed<WriteExit>(Exit.fail(timedOut))
        }
      }),
      Effect.onInterrupt(() =>
        Effect.sync(() => {
          fiber.interruptUnsafe()
          interrupted()
        })
      ),
      Effect.map((exit) => outcomesOf(exit, batch))
    )
  }

  const attempt = (
    batch: ReadonlyArray<Write>,
    interrupted: () => void
  ): Effect.Effect<ReadonlyArray<Backend.Outcome>> =>
    Effect.contextWith((callers) => {
      const started = start(batch, callers, interrupted)
      return isOutcomes(started) ? Effect.succeed(started) : started
    })

  const delayOf = (failures: number, error: BackendError): number => {
    const jittered = backoff.delay(failures, DELAYS, random)
    const asked = error.reason._tag === "Throttled" ? error.reason.retryAfter : undefined
    return asked === undefined ? jittered : Math.max(jittered, Duration.toMillis(asked))
  }

  // -------------------------------------------------------------------------
  // record: the backend's answer is the acceptance
  // -------------------------------------------------------------------------

  const countInterrupted = () => ledger.refuse(1, "interrupted")

  /** Counts a final outcome. */
  const count = (outcome: Final): Settlement => {
    ledger.accept(1)
    if (outcome._tag === "Dropped") sink.drop(1, outcome.reason)
    else {
      sink.settle(1, outcome.how)
      sink.state = "up"
    }
    return outcome
  }

  /**
   * What becomes of a write that is not through. `unclear` is the failure of an earlier try that may have taken effect.
   */
  const goOn = (
    write: Write,
    outcome: Exclude<Backend.Outcome, Final>,
    failures: number,
    unclear: BackendError | undefined
  ): Effect.Effect<Settlement, RecordError> => {
    if (outcome._tag === "Rejected") {
      return intake.refuse("rejected", new RecorderError({ reason: new Rejected({ detail: outcome.reason }) }))
    }
    sink.lastError = outcome.error.message
    // What certainly was not written is the caller's to repeat; what may have been written, by this try or by one before
    // it, is repeated here, with the same id, until the outcome is known: a caller who repeated it would count it twice. No
    // retries after close.
    const doubt = isUnknown(outcome.error) ? outcome.error : unclear
    if (outcome.error.reason._tag === "TargetMismatch") {
      sink.state = "blocked"
      if (doubt !== undefined) {
        // The right store may never be back to tell.
        const detail = `${doubt.message}; and now ${outcome.error.message}`
        return intake.refuse("unknown", new RecorderError({ reason: new Unknown({ detail }) }))
      }
    }
    if (doubt === undefined) return intake.refuse("failed", new RecorderError({ reason: outcome.error }))
    if (intake.isClosed) {
      const detail = `the recorder was closed before the backend could tell: ${doubt.message}`
      return intake.refuse("unknown", new RecorderError({ reason: new Unknown({ detail }) }))
    }
    sink.state = "degraded"
    const pause = Effect.raceFirst(
      clock.sleep(Duration.millis(delayOf(failures, outcome.error))),
      // Closing cuts the wait short, for a last try.
      changed.until(() => intake.isClosed)
    )
    return Effect.andThen(
      Effect.onInterrupt(pause, () => Effect.sync(countInterrupted)),
      Effect.flatMap(attempt([write], countInterrupted), (outcomes) =>
        conclude(write, outcomes[0]!, failures + 1, doubt)
      )
    )
  }

  const conclude = (
    write: Write,
    outcome: Backend.Outcome,
    failures: number,
    unclear: BackendError | undefined
  ): Effect.Effect<Settlement, RecordError> =>
    isFinal(outcome) ? Effect.succeed(count(outcome)) : goOn(write, outcome, failures, unclear)

  const deliver = <A>(draft: EventDraft, answer: Answer<A>): Effect.Effect<A | intakes.Filtered, RecordError> =>
    intake.record(draft, (occurrence, caller): Effect.Effect<A, RecordError> => {
      const id = { origin, seq: ++seq }
      const write = writeOf(id, occurrence)
      const started = start([write], caller.context, countInterrupted)
      if (isOutcomes(started) && isFinal(started[0]!)) {
        return fairness.answer(caller, Effect.succeed(answer(id, count(started[0]))))
      }
      const outcomes = isOutcomes(started) ? Effect.succeed(started) : started
      inFlight.add(id)
      return Effect.ensuring(
        Effect.map(
          Effect.flatMap(outcomes, ([outcome]) => conclude(write, outcome!, 1, undefined)),
          (settlement) => answer(id, settlement)
        ),
        Effect.sync(() => {
          inFlight.delete(id)
          for (const calls of flushes) if (id.seq <= calls.seq) calls.left--
          changed.notify()
        })
      )
    })

  const record = (draft: EventDraft): Effect.Effect<Recorded, RecordError> => deliver(draft, recorded)
  const recordSettled: Recorder["Service"]["recordSettled"] = (draft, options) =>
    intake.timeout(options?.timeout, (timeout) => {
      const delivering = deliver<Delivered>(draft, delivered)
      return Duration.isFinite(timeout) ? within(timeout, delivering) : delivering
    })

  /** The write goes on after the timeout: a caller that repeated it would count it twice. */
  const within = (
    timeout: Duration.Duration,
    delivering: Effect.Effect<Delivered, RecordError>
  ): Effect.Effect<Delivered, RecordError> =>
    Effect.flatMap(Effect.forkDetach(delivering, { startImmediately: true }), (fiber) =>
      Effect.timeoutOrElse(Fiber.join(fiber), {
        duration: timeout,
        orElse: () => {
          const detail = `the backend has not answered within ${Duration.format(timeout)}, and its write goes on`
          return Effect.fail(new RecorderError({ reason: new Unknown({ detail }) }))
        }
      })
    )

  // -------------------------------------------------------------------------
  // recordNow: a bounded queue, one worker
  // -------------------------------------------------------------------------

  let queue: Array<Queued> = []
  /** Where the queue begins: taking from the front of a long array one by one would move all of it each time. */
  let head = 0
  let ordinal = 0

  const oldest = (): Queued | undefined => queue[head]
  const waitingCount = (): number => queue.length - head

  const recordNow = (draft: EventDraft): Effect.Effect<void> =>
    Effect.sync(() => {
      const occurrence = intake.recordNow(draft, waitingCount() >= queueCapacity)
      if (occurrence === undefined) return
      queue.push({
        write: writeOf({ origin, seq: ++seq }, occurrence),
        acceptedAt: Timestamp.now(clock),
        ordinal: ++ordinal
      })
      ledger.accept(1)
      sink.addPending(1)
      changed.notify()
    })

  const take = (n: number): void => {
    head += n
    if (head > 1_024 && head * 2 > queue.length) {
      queue = queue.slice(head)
      head = 0
    }
  }

  let failures = 0
  const ignored = () => {}
  const deliverQueued = Effect.suspend(() => {
    const batch = queue.slice(head, head + MAXIMUM_BATCH)
    return Effect.flatMap(
      attempt(
        batch.map(({ write }) => write),
        ignored
      ),
      (outcomes) => {
        // What the closing scope has counted as dropped is not counted again.
        if (stopped) return Effect.void
        const again: Array<Queued> = []
        let error: BackendError | undefined
        take(batch.length)
        for (const [index, one] of batch.entries()) {
          const outcome = outcomes[index]!
          switch (outcome._tag) {
            case "Settled":
              sink.addPending(-1)
              sink.settle(1, outcome.how)
              break
            case "Dropped":
              sink.addPending(-1)
              sink.drop(1, outcome.reason)
              break
            case "Rejected":
              sink.addPending(-1)
              sink.drop(1, "rejected")
              sink.lastError = outcome.reason
              break
            case "Retry":
              again.push(one)
              error = outcome.error
          }
        }
        if (error === undefined) {
          failures = 0
          sink.state = "up"
          changed.notify()
          return Effect.void
        }
        queue = [...again, ...queue.slice(head)]
        head = 0
        failures++
        sink.lastError = error.message
        sink.state =
          error.reason._tag === "Unauthorized" || error.reason._tag === "TargetMismatch" ? "blocked" : "degraded"
        changed.notify()
        // Closing cuts the wait short: what is left of the deadline is for trying.
        const wasClosed = intake.isClosed
        return Effect.raceFirst(
          clock.sleep(Duration.millis(delayOf(failures, error))),
          wasClosed ? Effect.never : changed.until(() => intake.isClosed)
        )
      }
    )
  })

  yield* Effect.forkScoped(
    Effect.forever(
      Effect.andThen(
        changed.until(() => waitingCount() > 0),
        deliverQueued
      )
    )
  )

  const flush = (given: Duration.Input): Effect.Effect<FlushReport, InvalidTimeout> =>
    intakes.withDeadline(given, flushWithin)

  const flushWithin = (deadline: Duration.Duration): Effect.Effect<FlushReport> =>
    Effect.suspend(() => {
      const last = ordinal
      const calls: CallsBefore = { seq, left: inFlight.size }
      flushes.add(calls)
      const isThrough = () => (oldest()?.ordinal ?? Number.POSITIVE_INFINITY) > last && calls.left === 0
      return changed.until(isThrough).pipe(
        Effect.timeoutOption(deadline),
        Effect.map(() => ({ complete: isThrough(), waiting: calls.left, pending: { [SINK]: sink.pending } })),
        Effect.ensuring(Effect.sync(() => flushes.delete(calls)))
      )
    })

  yield* Effect.addFinalizer(() =>
    Effect.suspend(() => {
      intake.isClosed = true
      changed.notify()
      const end = Effect.andThen(
        flushWithin(drainTimeout),
        Effect.suspend(() => {
          stopped = true
          const left = waitingCount()
          if (left > 0) {
            sink.addPending(-left)
            sink.drop(left, "shutdown")
            take(left)
          }
          changed.notify()
          // A call that is told to repeat nothing any more has its answer soon; a write without an answer is cut off.
          return Effect.timeoutOption(
            changed.until(() => inFlight.size === 0),
            LEAST_WAIT_FOR_WRITE
          )
        })
      )
      return Effect.ensuring(
        end,
        Effect.sync(() => sink.close())
      )
    })
  )

  return {
    record,
    recordSettled,
    recordNow,
    flush,
    parked: Effect.succeed([]),
    retryParked: () => Effect.succeed(0),
    dropParked: () => Effect.succeed(0),
    status: Effect.sync(() => {
      const first = oldest()
      return ledger.status({ [SINK]: sink.status(first === undefined ? 0 : Timestamp.now(clock) - first.acceptedAt) })
    })
  }
})
