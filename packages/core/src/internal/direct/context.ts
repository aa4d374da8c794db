/**
 * What the parts of a recorder without a journal share.
 */
import type * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import type { BackendError } from "../../BackendError.ts"
import type { Occurrence, Write } from "../../Event.ts"
import type * as EventId from "../../EventId.ts"
import type { BackendWriter } from "../backendWrite.ts"
import * as backoff from "../backoff.ts"
import { bodyOf } from "../eventBody.ts"
import type { Fairness } from "../fairness.ts"
import type { Intake } from "../intake.ts"
import type { Ledger, SinkLedger } from "../ledger.ts"
import type { Notifier } from "../notifier.ts"
import type { Repeats, Series } from "./repeats.ts"

/**
 * The name of the only sink, in the status and in metrics.
 *
 * @internal
 */
export const SINK = "default"

/** @internal */
export interface DirectContext {
  readonly clock: Clock.Clock
  readonly random: backoff.RandomService
  readonly writer: BackendWriter
  readonly intake: Intake
  readonly fairness: Fairness
  readonly ledger: Ledger
  readonly sink: SinkLedger
  /** Notified when a call ends, when the queue changes, and when the recorder begins to close. */
  readonly changed: Notifier
  readonly ids: Ids
  /** None where each occurrence is a series of its own. */
  readonly repeats: Repeats | undefined
}

/**
 * The identities that this recorder gives.
 *
 * @internal
 */
export class Ids {
  private last = 0
  private readonly origin: string

  constructor(origin: string) {
    this.origin = origin
  }

  next(): EventId.EventId {
    return { origin: this.origin, seq: ++this.last }
  }
}

/**
 * Begins the write of an occurrence. Identities are given here and not earlier, so that they grow in the order in which the
 * occurrences of a series are written.
 *
 * @internal
 */
export const beginWrite = (ids: Ids, series: Series | undefined, occurrence: Occurrence): Write => {
  const id = ids.next()
  if (series !== undefined) return series.begin(id, occurrence)
  const { at, message } = occurrence
  return { id, upTo: id.seq, count: 1, first: at, last: at, event: bodyOf(occurrence, message) }
}

const DELAYS = { first: 100, maximum: 30_000 }

/**
 * The delay before a write is retried: at least as long as the backend asks for.
 *
 * @internal
 */
export const retryDelay = (failures: number, error: BackendError, random: backoff.RandomService): Duration.Duration => {
  const jittered = backoff.delay(failures, DELAYS, random)
  const retryAfter = error.reason._tag === "Throttled" ? error.reason.retryAfter : undefined
  return Duration.millis(retryAfter === undefined ? jittered : Math.max(jittered, Duration.toMillis(retryAfter)))
}
