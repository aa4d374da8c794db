/**
 * Time as a sink uses it: which clock is for what, and how long a pause after failures is. All in microseconds.
 */
import type * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import type * as Effect from "effect/Effect"
import type * as Random from "effect/Random"
import * as Timestamp from "../Timestamp.ts"

type RandomService = Effect.Success<typeof Random.Random>

/** @internal */
export const SECOND = 1_000_000
const FIRST_DELAY = SECOND / 2
/** @internal */
export const LAST_DELAY = 30 * SECOND

/** @internal */
export class SinkTime {
  /** While the scope closes, only its deadline is left: pauses stay short. */
  isShort = false
  private readonly clock: Clock.Clock
  private readonly random: RandomService

  constructor(clock: Clock.Clock, random: RandomService) {
    this.clock = clock
    this.random = random
  }

  /** For waiting and retrying; a wall clock may be set back. */
  monotonic(): number {
    return Number(this.clock.monotonicTimeNanosUnsafe()) / 1_000
  }

  /** For what is told: when something happened, and how old it is. */
  wall(): Timestamp.Micros {
    return Timestamp.now(this.clock)
  }

  sleep(micros: number): Effect.Effect<void> {
    return this.clock.sleep(Duration.millis(Math.max(1, Math.ceil(micros / 1_000))))
  }

  /** How long to wait after so many failures: twice as long each time up to `last`, and by chance up to half less. */
  backoff(failures: number, last: number): number {
    const most = this.isShort ? FIRST_DELAY : last
    return Math.min(most, FIRST_DELAY * 2 ** Math.min(20, failures - 1)) * (0.5 + 0.5 * this.random.nextDoubleUnsafe())
  }
}
