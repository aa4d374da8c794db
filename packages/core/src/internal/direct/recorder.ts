/**
 * A recorder without a journal: what it accepts is in the backend already, or in a queue in memory.
 *
 * - `calls.ts`: `record` and `recordSettled`, which answer what the backend answers
 * - `queue.ts`: `recordNow`, which answers at once
 * - `repeats.ts`: the same event again as a count, where the host asks for it
 *
 * When the scope closes, new events are refused, and what is queued and what is being written has until `drainTimeout`; then
 * the queue is dropped, calls that wait for their turn are refused, and a write that has not answered is waited for a little
 * longer.
 */
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Random from "effect/Random"
import type * as Scope from "effect/Scope"
import type * as Backend from "../../Backend.ts"
import type { FlushReport, Recorder } from "../../Delivery.ts"
import * as EventId from "../../EventId.ts"
import * as Timestamp from "../../Timestamp.ts"
import { BackendWriter } from "../backendWrite.ts"
import { Fairness } from "../fairness.ts"
import * as intakes from "../intake.ts"
import { Ledger, SinkLedger } from "../ledger.ts"
import { Notifier } from "../notifier.ts"
import * as callsOf from "./calls.ts"
import { type DirectContext, Ids, SINK } from "./context.ts"
import * as queues from "./queue.ts"
import { Repeats } from "./repeats.ts"

/** @internal */
export interface Options {
  readonly preparation: intakes.Preparation
  readonly backend: Backend.Service
  readonly queueCapacity: number
  readonly drainTimeout: Duration.Duration
  readonly writeTimeout: Duration.Duration
  /** How many series are remembered, to count repeats; none where each occurrence is a series of its own. */
  readonly capacity: number | undefined
}

/** How long a write that is under way is waited for at the end, however short the drain timeout is. */
const LEAST_WAIT_FOR_WRITE = Duration.seconds(1)

/** @internal */
export const make = Effect.fnUntraced(function* (
  options: Options
): Effect.fn.Return<Recorder["Service"], never, Scope.Scope> {
  const context = yield* makeContext(options)
  const { changed, clock, intake, ledger, sink } = context
  const calls = callsOf.make(context)
  const queue = queues.make(context, options.queueCapacity)
  yield* Effect.forkScoped(queue.work)

  const flushWithin = (deadline: Duration.Duration): Effect.Effect<FlushReport> =>
    Effect.suspend(() => {
      const last = queue.lastOrdinal()
      const open = calls.track()
      const isComplete = () => (queue.oldest()?.ordinal ?? Number.POSITIVE_INFINITY) > last && open.left === 0
      return changed.until(isComplete).pipe(
        Effect.timeoutOption(deadline),
        Effect.map(() => ({ complete: isComplete(), waiting: open.left, pending: { [SINK]: sink.pending } })),
        Effect.ensuring(Effect.sync(() => calls.release(open)))
      )
    })

  yield* Effect.addFinalizer(() =>
    Effect.suspend(() => {
      intake.isClosed = true
      changed.notify()
      const end = Effect.andThen(
        flushWithin(options.drainTimeout),
        Effect.suspend(() => {
          queue.giveUp()
          calls.refuseWaiting()
          // A call that retries nothing any more has its answer soon; a write without an answer is cut off.
          return Effect.timeoutOption(changed.until(calls.isIdle), LEAST_WAIT_FOR_WRITE)
        })
      )
      return Effect.ensuring(
        end,
        Effect.sync(() => sink.close())
      )
    })
  )

  return {
    record: calls.record,
    recordSettled: calls.recordSettled,
    recordNow: queue.recordNow,
    flush: (deadline) => intakes.withDeadline(deadline, flushWithin),
    parked: Effect.succeed([]),
    retryParked: () => Effect.succeed(0),
    dropParked: () => Effect.succeed(0),
    status: Effect.sync(() => {
      const first = queue.oldest()
      return ledger.status({ [SINK]: sink.status(first === undefined ? 0 : Timestamp.now(clock) - first.acceptedAt) })
    })
  }
})

const makeContext = Effect.fnUntraced(function* (options: Options): Effect.fn.Return<DirectContext> {
  const clock = yield* Clock.Clock
  const random = yield* Random.Random
  const services = yield* Effect.context()
  const ids = new Ids(yield* EventId.makeOrigin)
  const ledger = new Ledger(services)
  const fairness = new Fairness(clock)
  return {
    clock,
    random,
    writer: new BackendWriter(options.backend, clock, options.writeTimeout),
    intake: new intakes.Intake(options.preparation, ledger, fairness),
    fairness,
    ledger,
    sink: new SinkLedger(SINK, services),
    changed: new Notifier(),
    ids,
    repeats: options.capacity === undefined ? undefined : new Repeats(options.capacity)
  }
})
