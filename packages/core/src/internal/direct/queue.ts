/**
 * `recordNow` of a recorder without a journal: a bounded queue in memory, and one worker that writes it in batches.
 *
 * The worker retries what fails without end, ahead of what came later and each with the same write, because the failure of a
 * batch does not always say which of it was stored. What is left when the recorder has closed is counted as dropped, by
 * `giveUp`; the outcome of a write that ends after that is not counted again.
 */
import * as Effect from "effect/Effect"
import type { BackendError } from "../../BackendError.ts"
import type { Recorder } from "../../Delivery.ts"
import type { Occurrence, Write } from "../../Event.ts"
import * as Timestamp from "../../Timestamp.ts"
import type { Outcomes } from "../backendWrite.ts"
import type { SinkLedger } from "../ledger.ts"
import { beginWrite, type DirectContext, retryDelay } from "./context.ts"
import type { Series } from "./repeats.ts"

const MAXIMUM_BATCH = 256

interface Queued {
  readonly occurrence: Occurrence
  /** Set with its write, where the recorder counts repeats. */
  series: Series | undefined
  /** From its first try on. */
  write: Write | undefined
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
  const { changed, clock, ids, intake, ledger, random, repeats, sink, writer } = context
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
        occurrence,
        series: undefined,
        write: undefined,
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

  const begin = (one: Queued, series: Series | undefined): Write => {
    one.series = series
    return (one.write = beginWrite(ids, series, one.occurrence))
  }

  /**
   * What is written next: of each series one occurrence, and what is retried before anything else, so that an outage divides
   * a series once at most. Empty where the first that is queued has to wait.
   */
  const nextBatch = (): ReadonlyArray<Write> => {
    const batch: Array<Write> = []
    const isRetry = failures > 0
    const end = Math.min(queue.length, head + MAXIMUM_BATCH)
    for (let index = head; index < end; index++) {
      const one = queue[index]!
      if (one.write === undefined) {
        if (isRetry) break
        const series = repeats?.of(one.occurrence)
        if (series?.isBusy === true) break
        begin(one, series)
      }
      batch.push(one.write!)
    }
    return batch
  }

  /** Waits for the write of the same event that is under way, and begins that of the first that is queued. */
  const turnOfFirst = Effect.callback<void>((resume) => {
    const one = queue[head]!
    const series = repeats!.of(one.occurrence)
    const turn = () => {
      if (isGivenUp) return
      begin(one, series)
      resume(Effect.void)
    }
    if (series.isBusy) series.wait(turn)
    else turn()
  })

  const writeNext = Effect.suspend(() => {
    const writes = nextBatch()
    if (writes.length === 0) return turnOfFirst
    const batch = queue.slice(head, head + writes.length)
    return Effect.flatMap(writer.write(writes), (outcomes) => {
      if (isGivenUp) return Effect.void
      remove(batch.length)
      const { error, again } = conclude(sink, batch, outcomes)
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
        writeNext
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

/** Counts the outcomes of a batch; returns what is to be written again. */
const conclude = (sink: SinkLedger, batch: ReadonlyArray<Queued>, outcomes: Outcomes) => {
  const again: Array<Queued> = []
  let error: BackendError | undefined
  for (const [index, one] of batch.entries()) {
    const outcome = outcomes[index]!
    const { series } = one
    if (outcome._tag === "Retry") {
      series?.abandon(one.write!)
      again.push(one)
      error = outcome.error
      continue
    }
    if (outcome._tag === "Settled") series?.settle(one.write!)
    else series?.refuse(one.write!)
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
