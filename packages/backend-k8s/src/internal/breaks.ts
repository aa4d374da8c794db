import type * as Clock from "effect/Clock"

/** After so long without an answer all connections that nobody used have been closed, and it is a new one that comes. */
const SILENCE_MILLIS = 60_000

/**
 * Counts the times at which another server may have taken the place of the one that answered before.
 *
 * An unused connection that is closed here says nothing. One that the other side closes does, though most of them mean
 * nothing either: a server that is replaced while nobody asks it anything gives no other sign.
 *
 * @internal
 */
export class Breaks {
  private count = 0
  private answeredAt: number
  private readonly clock: Clock.Clock

  constructor(clock: Clock.Clock) {
    this.clock = clock
    this.answeredAt = clock.currentTimeMillisUnsafe()
  }

  readonly epoch = (): number => {
    const now = this.clock.currentTimeMillisUnsafe()
    if (now - this.answeredAt > SILENCE_MILLIS) {
      this.answeredAt = now
      this.count++
    }
    return this.count
  }

  readonly noAnswer = (): void => {
    this.count++
  }

  /** A server that cannot reach its data, or a gateway that cannot reach its server, may reach another one next. */
  readonly answered = (status: number): void => {
    this.answeredAt = this.clock.currentTimeMillisUnsafe()
    if (status >= 500) this.count++
  }
}
