/**
 * The clocks of a sink, and its delays after failures. All times are in microseconds.
 */
import type * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import type * as Effect from "effect/Effect"
import * as Timestamp from "../../Timestamp.ts"
import * as backoff from "../backoff.ts"

/** @internal */
export const SECOND = 1_000_000
const FIRST_DELAY = SECOND / 2
/** Maximum delay after temporary failures. */
const MAXIMUM_DELAY = 30 * SECOND

/** @internal */
export class SinkTime {
  /** Set while the recorder drains: delays stay short, because only its deadline is left. */
  isClosing = false
  private readonly clock: Clock.Clock
  private readonly random: backoff.RandomService

  constructor(clock: Clock.Clock, random: backoff.RandomService) {
    this.clock = clock
    this.random = random
  }

  /** For waiting and retrying, because a wall clock may be set back. */
  monotonic(): number {
    return Number(this.clock.monotonicTimeNanosUnsafe()) / 1_000
  }

  /** For what is reported: when something happened, and how old it is. */
  wall(): Timestamp.Micros {
    return Timestamp.now(this.clock)
  }

  sleep(micros: number): Effect.Effect<void> {
    return this.clock.sleep(Duration.millis(Math.max(1, Math.ceil(micros / 1_000))))
  }

  /** The delay after so many consecutive failures. */
  backoff(failures: number, maximum = MAXIMUM_DELAY): number {
    return backoff.delay(failures, { first: FIRST_DELAY, maximum: this.isClosing ? FIRST_DELAY : maximum }, this.random)
  }
}
