/**
 * `recordNow` of a recorder without a journal: a bounded queue in memory, and one worker that writes it in batches.
 *
 * The worker retries what fails without end, ahead of what came later. What is left when the recorder has closed is counted
 * as dropped, by `giveUp`; the outcome of a write that ends after that is not counted again.
 */
import * as Effect from "effect/Effect"
import type { BackendError } from "../../BackendError.ts"
import type { Recorder } from "../../Delivery.ts"
import type { Write } from "../../Event.ts"
import * as Timestamp from "../../Timestamp.ts"
import type { Outcomes } from "../backendWrite.ts"
import { type DirectContext, retryDelay, writeOf } from "./context.ts"

const MAXIMUM_BATCH = 256

interface Queued {
  readonly write: Write
  readonly acceptedAt: Timestamp.Micros
  /** Counts what was queued before it, for `flush`. */
  readonly ordinal: number
}

/** @internal */
export interface Queue {
  readonly recordNow: Recorder["Service"]["recordNow"]
  /** Writes what is queued, without end. */
  readonly work: Effect.Effect<never>
  /** The ordinal of the last event that was queued. */
  readonly lastOrdinal: () => number
  /** The first event that waits; none where the queue is empty. */
  readonly oldest: () => Pick<Queued, "acceptedAt" | "ordinal"> | undefined
  /** Drops what waits. */
  readonly giveUp: () => void
}

/** @internal */
export const make = (context: DirectContext, capacity: number): Queue => {
  const { changed, clock, ids, intake, ledger, random, sink, writer } = context
  let queue: Array<Queued> = []
  /** Where the queue begins: taking from the front of a long array one by one would move all of it each time. */
  let head = 0
  let ordinal = 0
  let failures = 0
  let isGivenUp = false

  const waiting = (): number => queue.length - head

  const recordNow: Queue["recordNow"] = (draft) =>
    Effect.sync(() => {
      const occurrence = intake.recordNow(draft, waiting() >= capacity)
      if (occurrence === undefined) return
      queue.push({
        write: writeOf(ids.next(), occurrence),
        acceptedAt: Timestamp.now(clock),
        ordinal: ++ordinal
      })
      ledger.accept(1)
      sink.addPending(1)
      changed.notify()
    })

  const remove = (n: number): void => {
    head += n
    if (head > 1_024 && head * 2 > queue.length) {
      queue = queue.slice(head)
      head = 0
    }
  }

  const writeBatch = Effect.suspend(() => {
    const batch = queue.slice(head, head + MAXIMUM_BATCH)
    return Effect.flatMap(writer.write(batch.map(({ write }) => write)), (outcomes) => {
      if (isGivenUp) return Effect.void
      remove(batch.length)
      const { error, again } = conclude(batch, outcomes)
      if (error === undefined) {
        failures = 0
        sink.state = "up"
        changed.notify()
        return Effect.void
      }
      queue = [...again, ...queue.slice(head)]
      head = 0
      failures++
      sink.failed(error.message)
      const needsOperator = error.reason._tag === "Unauthorized" || error.reason._tag === "TargetMismatch"
      sink.state = needsOperator ? "blocked" : "degraded"
      changed.notify()
      return pause(error)
    })
  })

  /** Counts the outcomes of a batch; returns what is to be written again. */
  const conclude = (batch: ReadonlyArray<Queued>, outcomes: Outcomes) => {
    const again: Array<Queued> = []
    let error: BackendError | undefined
    for (const [index, one] of batch.entries()) {
      const outcome = outcomes[index]!
      if (outcome._tag === "Retry") {
        again.push(one)
        error = outcome.error
        continue
      }
      sink.addPending(-1)
      if (outcome._tag === "Settled") sink.settle(1, outcome.how)
      else if (outcome._tag === "Dropped") sink.drop(1, outcome.reason)
      else {
        sink.drop(1, "rejected")
        sink.failed(outcome.reason)
      }
    }
    return { again, error }
  }

  /** Closing cuts the wait short: what is left of the deadline is for trying. */
  const pause = (error: BackendError): Effect.Effect<void> => {
    const wasClosed = intake.isClosed
    return Effect.raceFirst(
      clock.sleep(retryDelay(failures, error, random)),
      wasClosed ? Effect.never : changed.until(() => intake.isClosed)
    )
  }

  return {
    recordNow,
    work: Effect.forever(
      Effect.andThen(
        changed.until(() => waiting() > 0),
        writeBatch
      )
    ),
    lastOrdinal: () => ordinal,
    oldest: () => queue[head],
    giveUp: () => {
      isGivenUp = true
      const left = waiting()
      if (left > 0) {
        sink.addPending(-left)
        sink.drop(left, "shutdown")
        remove(left)
      }
      changed.notify()
    }
  }
}
