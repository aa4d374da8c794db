/**
 * Delivery: writes what `sinkDispatch.ts` chooses to the backend, bounds how long an answer is awaited, and takes every
 * outcome to where it belongs: the books, the callers who wait, parking, or the outbox once more.
 */
import * as Cause from "effect/Cause"
import type * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import type * as Scope from "effect/Scope"
import type * as Backend from "../Backend.ts"
import { BackendError, Transient } from "../BackendError.ts"
import type { Write } from "../Event.ts"
import type { Settlement } from "../Recorder.ts"
import type { SinkLedger } from "./ledger.ts"
import { missing } from "./retryPolicy.ts"
import type { Batch, Dispatch } from "./sinkDispatch.ts"
import type { Expectations } from "./sinkExpectations.ts"
import { type Failures, isBehindGate } from "./sinkFailures.ts"
import type { Health } from "./sinkHealth.ts"
import type { Outgoing, Parcel } from "./sinkOutbox.ts"
import type { Parking } from "./sinkParking.ts"
import type { RunFork, Signal } from "./sinkSignal.ts"
import type { SinkState } from "./sinkState.ts"
import type { SinkTime } from "./sinkTime.ts"

type Answer = Exit.Exit<ReadonlyArray<Backend.Outcome>, BackendError>

/** What a batch came to, in occurrences. */
interface Tally {
  occurrences: number
  created: number
  updated: number
  present: number
}

/**
 * What nobody answers in time.
 *
 * @internal
 */
export const timedOutAfter = (timeout: Duration.Duration): BackendError =>
  new BackendError({
    reason: new Transient({ applied: "unknown", detail: `no answer within ${Duration.format(timeout)}` })
  })

const diedOf = (cause: Cause.Cause<BackendError>): BackendError =>
  new BackendError({
    reason: new Transient({ applied: "unknown", detail: "the backend died" }),
    cause: Cause.squash(cause)
  })

/** What a write that failed as a whole means for each of its series. */
const retryOf = ({ cause }: Exit.Failure<unknown, BackendError>): Backend.Outcome => {
  const failure = Cause.findErrorOption(cause)
  return { _tag: "Retry", error: failure._tag === "Some" ? failure.value : diedOf(cause) }
}

/** @internal */
export interface Delivery {
  /** Begins the writes that may begin now. */
  readonly begin: () => void
  /** For the end: cuts off the writes that have not answered. */
  readonly cutOff: Effect.Effect<void>
}

/** @internal */
export const make = (
  options: { readonly writeTimeout: Duration.Duration },
  parts: {
    readonly backend: Backend.Service
    readonly state: SinkState
    readonly dispatch: Dispatch
    readonly failures: Failures
    readonly parking: Parking
    readonly expectations: Expectations
    readonly ledger: SinkLedger
    readonly health: Health
    readonly signal: Signal
    readonly time: SinkTime
    readonly clock: Clock.Clock
    readonly runFork: RunFork
    /** Of what is parked after a write. */
    readonly scope: Scope.Scope
  }
): Delivery => {
  const { writeTimeout } = options
  const { backend, clock, dispatch, expectations, failures, health, ledger, parking, runFork } = parts
  const { scope, signal, state, time } = parts
  const { outbox } = state
  const timedOut = timedOutAfter(writeTimeout)

  /** Writes that have not answered yet. */
  const writing = new Set<Fiber.Fiber<unknown, unknown>>()

  // -------------------------------------------------------------------------
  // writing
  // -------------------------------------------------------------------------

  /** A backend that answers at once costs no more than its answer; of any other the answer is awaited for its time. */
  const write = (batch: Batch): void => {
    const parcels = batch.series.map((one) => one.underway!)
    const fiber = runFork(Effect.suspend(() => backend.write(parcels.map(({ write }) => write))))
    const exit = fiber.pollUnsafe()
    if (exit !== undefined) return conclude(batch, parcels, exit)
    writing.add(fiber)
    let answered = false
    const answer = (exit: Answer) => {
      if (answered) return
      answered = true
      conclude(batch, parcels, exit)
    }
    const timeout = runFork(
      Effect.andThen(
        clock.sleep(writeTimeout),
        Effect.sync(() => {
          answer(Exit.fail(timedOut))
          fiber.interruptUnsafe()
        })
      )
    )
    fiber.addObserver((exit) => {
      timeout.interruptUnsafe()
      writing.delete(fiber)
      answer(exit)
    })
  }

  const begin = (): void => {
    for (const batch of dispatch.next()) write(batch)
  }

  // -------------------------------------------------------------------------
  // outcomes
  // -------------------------------------------------------------------------

  const conclude = (batch: Batch, parcels: ReadonlyArray<Parcel>, exit: Answer): void => {
    dispatch.ended(batch)
    if (health.isStopped) return
    const at = time.monotonic()
    const parks: Array<Effect.Effect<void>> = []
    const final: Array<readonly [Write, Settlement]> = []
    const tally: Tally = { occurrences: 0, created: 0, updated: 0, present: 0 }
    let succeeded = false
    let failed: BackendError | undefined
    let mismatch: BackendError | undefined
    const whole = Exit.isSuccess(exit) ? undefined : retryOf(exit)
    for (let index = 0; index < parcels.length; index++) {
      const one = batch.series[index]!
      const parcel = parcels[index]!
      const outcome = whole ?? (exit as Exit.Success<ReadonlyArray<Backend.Outcome>>).value[index] ?? missing
      switch (outcome._tag) {
        case "Settled":
        case "Dropped":
          succeeded = true
          settle(one, parcel, outcome, tally)
          if (!expectations.noneOfSeries) final.push([parcel.write, outcome])
          break
        case "Rejected":
          succeeded = true
          parks.push(parking.park(one, parcel, outcome.reason))
          break
        case "Retry": {
          const { error } = outcome
          ledger.lastError = error.message
          const { reason } = error
          if (reason._tag === "TargetMismatch") {
            // Said of where it would have gone, not of the write: it has neither failed nor been tried.
            mismatch = error
            outbox.giveBack(one, parcel)
            break
          }
          const patience =
            outcome.parkAfter === undefined ? Number.POSITIVE_INFINITY : Duration.toMillis(outcome.parkAfter) * 1_000
          if (at - (one.firstFailureAt ?? at) >= patience) {
            parks.push(parking.park(one, parcel, error.message))
            break
          }
          // A limit is an answer: the backend is there, and takes other writes.
          if (!isBehindGate(error)) failed = error
          failures.failed(one, parcel, error)
          if (reason._tag === "Throttled" && reason.scope === "backend") failures.throttle(one.nextAt)
        }
      }
    }
    if (tally.occurrences > 0) {
      state.isChanged = true
      ledger.addPending(-tally.occurrences)
      for (const how of ["created", "updated", "present"] as const) if (tally[how] > 0) ledger.settle(tally[how], how)
    }
    // Only now: whoever is told goes on at once, and may look at the books.
    for (const [write, settlement] of final) expectations.resolve(write, settlement)
    if (succeeded) failures.hasSucceeded(at)
    else if (failed !== undefined) failures.hasFailed(at, parcels, failed)
    if (mismatch !== undefined) {
      // Of the writes of one round, the first has said it.
      if (!health.isHalted) {
        health.mismatched(mismatch.message)
        expectations.giveUp("halted")
      }
    } else if (succeeded && !health.isHalted) health.mismatches = 0
    if (parks.length > 0) runFork(Effect.forkIn(parkAll(parks), scope))
    health.tell()
    signal.notify()
  }

  /** What is delivered or dropped; the books follow for the whole batch. */
  const settle = (one: Outgoing, { occurrences, write }: Parcel, outcome: Backend.Outcome, tally: Tally): void => {
    tally.occurrences += occurrences
    if (outcome._tag === "Dropped") ledger.drop(occurrences, outcome.reason)
    else if (outcome._tag === "Settled") tally[outcome.how] += occurrences + parking.delivered(one.key)
    outbox.landed(one)
    failures.reached(one, write)
  }

  const parkAll = (parks: ReadonlyArray<Effect.Effect<void>>): Effect.Effect<void> =>
    Effect.andThen(
      Effect.forEach(parks, (one) => one, { discard: true }),
      Effect.sync(() => {
        health.tell()
        signal.notify()
      })
    )

  return { begin, cutOff: Effect.suspend(() => Fiber.interruptAll(writing)) }
}
