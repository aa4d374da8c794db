import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import type * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Random from "effect/Random"
import type * as Scope from "effect/Scope"
import type * as Backend from "../Backend.ts"
import { BackendError, Transient } from "../BackendError.ts"
import type { Occurrence, Write } from "../Event.ts"
import * as EventId from "../EventId.ts"
import type { Delivered, EventDraft, FlushReport, Recorded, RecordError, Recorder, Settlement } from "../Recorder.ts"
import * as Timestamp from "../Timestamp.ts"
import type * as acceptance from "./acceptance.ts"
import { bodyOf } from "./eventBody.ts"
import { Ledger, SinkLedger } from "./ledger.ts"
import { Fairness } from "./fairness.ts"
import { Closed, InvalidTimeout, RecorderError, Rejected, Unknown } from "./recorderError.ts"
import { missing } from "./retryPolicy.ts"
import * as text from "./text.ts"
import * as timeout from "./timeout.ts"

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
const FIRST_DELAY = 100
const LAST_DELAY = 30_000
/** How long a write that is under way is waited for at the end, however short the drain timeout is. */
const LEAST_WAIT_FOR_WRITE = Duration.seconds(1)

const writeOf = (id: EventId.EventId, occurrence: Occurrence): Write => {
  const { at, message } = occurrence
  return { id, upTo: id.seq, count: 1, first: at, last: at, event: bodyOf(occurrence, message) }
}

/** What the caller is told, once the write is through. */
interface Answers<A> {
  readonly filtered: (by: string) => A
  readonly accepted: (id: EventId.EventId, settlement: Settlement) => A
}

const filtered = (by: string): { readonly _tag: "Filtered"; readonly by: string } => ({ _tag: "Filtered", by })
const recorded: Answers<Recorded> = { filtered, accepted: (id) => ({ _tag: "Accepted", id }) }
const delivered: Answers<Delivered> = {
  filtered,
  accepted: (id, settlement) => ({ _tag: "Accepted", id, sinks: { [SINK]: settlement } })
}

type Exits = Exit.Exit<ReadonlyArray<Backend.Outcome>, BackendError>

const outcomesOf = (exit: Exits, batch: ReadonlyArray<Write>): ReadonlyArray<Backend.Outcome> => {
  if (Exit.isSuccess(exit)) {
    return exit.value.length >= batch.length ? exit.value : batch.map((_, index) => exit.value[index] ?? missing)
  }
  const failure = Cause.findErrorOption(exit.cause)
  const error =
    failure._tag === "Some"
      ? failure.value
      : new BackendError({
          reason: new Transient({ applied: "unknown", detail: "the backend died" }),
          cause: Cause.squash(exit.cause)
        })
  const outcome: Backend.Outcome = { _tag: "Retry", error }
  return batch.map(() => outcome)
}

type Through = Extract<Backend.Outcome, { readonly _tag: "Settled" | "Dropped" }>

const isThrough = (outcome: Backend.Outcome): outcome is Through =>
  outcome._tag === "Settled" || outcome._tag === "Dropped"

const isOutcomes = (
  started: ReadonlyArray<Backend.Outcome> | Effect.Effect<ReadonlyArray<Backend.Outcome>>
): started is ReadonlyArray<Backend.Outcome> => Array.isArray(started)

const isUnknown = (error: BackendError): boolean =>
  error.reason._tag === "Transient" && error.reason.applied === "unknown"

/** @internal */
export const make = Effect.fnUntraced(function* (
  options: Options
): Effect.fn.Return<Recorder["Service"], never, Scope.Scope> {
  const { backend, drainTimeout, prepare, queueCapacity, writeTimeout } = options
  const clock = yield* Clock.Clock
  const random = yield* Random.Random
  const context = yield* Effect.context()
  const origin = yield* EventId.makeOrigin
  const ledger = new Ledger(context)
  const sink = new SinkLedger(SINK, context)
  const fairness = new Fairness(clock)
  let seq = 0
  /** Calls of `record` that have begun a write and have no answer yet. */
  const underway = new Set<EventId.EventId>()
  /** Nothing new is taken. */
  let closed = false
  /** Nothing is repeated any more, and what is left has been counted. */
  let stopped = false

  // -------------------------------------------------------------------------
  // one write
  // -------------------------------------------------------------------------

  const timedOut = new BackendError({
    reason: new Transient({
      applied: "unknown",
      detail: `no answer within ${Duration.format(writeTimeout)}`
    })
  })

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
          return Effect.succeed<Exits>(Exit.fail(timedOut))
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
    const exponential = Math.min(LAST_DELAY, FIRST_DELAY * 2 ** Math.min(20, failures - 1))
    const jittered = exponential * (0.5 + 0.5 * random.nextDoubleUnsafe())
    const asked = error.reason._tag === "Throttled" ? error.reason.retryAfter : undefined
    return asked === undefined ? jittered : Math.max(jittered, Duration.toMillis(asked))
  }

  // -------------------------------------------------------------------------
  // record: the backend's answer is the acceptance
  // -------------------------------------------------------------------------

  const countInterrupted = () => ledger.refuse(1, "interrupted")

  const refuse = (reason: string, error: RecordError): Effect.Effect<never, RecordError> => {
    ledger.refuse(1, reason)
    return Effect.fail(error)
  }

  /** Books what is through. */
  const book = (outcome: Through): Settlement => {
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
    outcome: Exclude<Backend.Outcome, Through>,
    failures: number,
    unclear: BackendError | undefined
  ): Effect.Effect<Settlement, RecordError> => {
    if (outcome._tag === "Rejected") {
      return refuse("rejected", new RecorderError({ reason: new Rejected({ detail: outcome.reason }) }))
    }
    sink.lastError = outcome.error.message
    // What certainly was not written is the caller's to repeat; what may have been written, by this try or by one before
    // it, is repeated here, with the same id, until somebody knows: a caller who repeated it would count it twice. Nobody
    // repeats for a recorder that is gone.
    const doubt = isUnknown(outcome.error) ? outcome.error : unclear
    if (outcome.error.reason._tag === "TargetMismatch") {
      sink.state = "blocked"
      if (doubt !== undefined) {
        // The right store may never be back to tell.
        const detail = `${doubt.message}; and now ${outcome.error.message}`
        return refuse("unknown", new RecorderError({ reason: new Unknown({ detail }) }))
      }
    }
    if (doubt === undefined) return refuse("failed", new RecorderError({ reason: outcome.error }))
    if (closed) {
      const detail = `the recorder was closed before the backend could tell: ${doubt.message}`
      return refuse("unknown", new RecorderError({ reason: new Unknown({ detail }) }))
    }
    sink.state = "degraded"
    const pause = Effect.raceFirst(
      clock.sleep(Duration.millis(delayOf(failures, outcome.error))),
      // Closing cuts the wait short, for a last try.
      until(() => closed)
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
    isThrough(outcome) ? Effect.succeed(book(outcome)) : goOn(write, outcome, failures, unclear)

  const deliver = <A>(draft: EventDraft, answers: Answers<A>): Effect.Effect<A, RecordError> =>
    Effect.withFiber((fiber): Effect.Effect<A, RecordError> => {
      if (closed) return refuse("closed", new RecorderError({ reason: new Closed() }))
      const prepared = prepare(draft)
      if (prepared._tag === "Invalid") return fairness.answer(fiber, refuse("invalid", prepared.error))
      if (prepared._tag === "Filtered") {
        ledger.filter(prepared.by)
        return fairness.answer(fiber, Effect.succeed(answers.filtered(prepared.by)))
      }
      const id = { origin, seq: ++seq }
      const write = writeOf(id, prepared.occurrence)
      const started = start([write], fiber.context, countInterrupted)
      if (isOutcomes(started) && isThrough(started[0]!)) {
        return fairness.answer(fiber, Effect.succeed(answers.accepted(id, book(started[0]))))
      }
      const outcomes = isOutcomes(started) ? Effect.succeed(started) : started
      underway.add(id)
      return Effect.ensuring(
        Effect.map(
          Effect.flatMap(outcomes, ([outcome]) => conclude(write, outcome!, 1, undefined)),
          (settlement) => answers.accepted(id, settlement)
        ),
        Effect.sync(() => {
          underway.delete(id)
          wakeAll()
        })
      )
    })

  const record = (draft: EventDraft): Effect.Effect<Recorded, RecordError> => deliver(draft, recorded)
  const recordSettled: Recorder["Service"]["recordSettled"] = (draft, options) =>
    Effect.suspend((): Effect.Effect<Delivered, RecordError | InvalidTimeout> => {
      const patience = timeout.read(options?.timeout ?? Number.POSITIVE_INFINITY)
      if (patience === undefined) {
        ledger.refuse(1, "invalid")
        return Effect.fail(new InvalidTimeout({ field: "timeout", found: text.show(options?.timeout) }))
      }
      const delivering = deliver(draft, delivered)
      return Duration.isFinite(patience) ? within(patience, delivering) : delivering
    })

  /** The write goes on after the timeout: a caller that repeated it would count it twice. */
  const within = (
    patience: Duration.Duration,
    delivering: Effect.Effect<Delivered, RecordError>
  ): Effect.Effect<Delivered, RecordError> =>
    Effect.flatMap(Effect.forkDetach(delivering, { startImmediately: true }), (fiber) =>
      Effect.timeoutOrElse(Fiber.join(fiber), {
        duration: patience,
        orElse: () => {
          const detail = `the backend has not answered within ${Duration.format(patience)}, and its write goes on`
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
  const waiting = new Set<() => void>()

  const wakeAll = () => {
    if (waiting.size === 0) return
    const woken = [...waiting]
    waiting.clear()
    for (const wake of woken) wake()
  }
  /** Level-triggered: looks again when it registers. */
  const until = (condition: () => boolean): Effect.Effect<void> =>
    Effect.callback<void>((resume) => {
      const look = () => {
        if (condition()) resume(Effect.void)
        else waiting.add(look)
      }
      look()
      return Effect.sync(() => waiting.delete(look))
    })
  const oldest = (): Queued | undefined => queue[head]
  const waitingCount = (): number => queue.length - head

  const recordNow = (draft: EventDraft): Effect.Effect<void> =>
    Effect.sync(() => {
      if (closed) return ledger.refuse(1, "closed")
      if (waitingCount() >= queueCapacity) return ledger.refuse(1, "full")
      const prepared = prepare(draft)
      if (prepared._tag === "Invalid") return ledger.refuse(1, "invalid")
      if (prepared._tag === "Filtered") return ledger.filter(prepared.by)
      queue.push({
        write: writeOf({ origin, seq: ++seq }, prepared.occurrence),
        acceptedAt: Timestamp.now(clock),
        ordinal: ++ordinal
      })
      ledger.accept(1)
      sink.addPending(1)
      wakeAll()
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
          wakeAll()
          return Effect.void
        }
        queue = [...again, ...queue.slice(head)]
        head = 0
        failures++
        sink.lastError = error.message
        sink.state =
          error.reason._tag === "Unauthorized" || error.reason._tag === "TargetMismatch" ? "blocked" : "degraded"
        wakeAll()
        // Closing cuts the wait short: what is left of the deadline is for trying.
        const wasClosed = closed
        return Effect.raceFirst(
          clock.sleep(Duration.millis(delayOf(failures, error))),
          wasClosed ? Effect.never : until(() => closed)
        )
      }
    )
  })

  yield* Effect.forkScoped(
    Effect.forever(
      Effect.andThen(
        until(() => waitingCount() > 0),
        deliverQueued
      )
    )
  )

  const flush = (deadline: Duration.Input): Effect.Effect<FlushReport, InvalidTimeout> =>
    Effect.suspend(() => {
      const patience = timeout.read(deadline)
      return patience === undefined
        ? Effect.fail(new InvalidTimeout({ field: "deadline", found: text.show(deadline) }))
        : flushFor(patience)
    })

  const flushFor = (patience: Duration.Duration): Effect.Effect<FlushReport> =>
    Effect.suspend(() => {
      const last = ordinal
      const calls = [...underway]
      const left = () => calls.filter((id) => underway.has(id)).length
      const through = () => (oldest()?.ordinal ?? Number.POSITIVE_INFINITY) > last && left() === 0
      return until(through).pipe(
        Effect.timeoutOption(patience),
        Effect.map(() => ({ complete: through(), waiting: left(), pending: { [SINK]: sink.pending } }))
      )
    })

  yield* Effect.addFinalizer(() =>
    Effect.suspend(() => {
      closed = true
      wakeAll()
      const end = Effect.andThen(
        flushFor(drainTimeout),
        Effect.suspend(() => {
          stopped = true
          const left = waitingCount()
          if (left > 0) {
            sink.addPending(-left)
            sink.drop(left, "shutdown")
            take(left)
          }
          wakeAll()
          // A call that is told to repeat nothing any more has its answer soon; a write without an answer is cut off.
          return Effect.timeoutOption(
            until(() => underway.size === 0),
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
