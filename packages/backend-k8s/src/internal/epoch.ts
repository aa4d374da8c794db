/**
 * Notices that another cluster may have taken the place of the one that answered before.
 */
import type * as Clock from "effect/Clock"

/** After so long without a response all idle connections have been closed, and the next one is new. */
const SILENCE_MILLIS = 60_000

/**
 * Grows whenever another cluster may have taken the place.
 *
 * An idle connection that is closed on this side says nothing. One that the other side closes counts, though most of them
 * mean nothing either: a server that is replaced while no request is sent gives no other sign.
 *
 * @internal
 */
export class Epoch {
  private count = 0
  private respondedAt: number
  private readonly clock: Clock.Clock

  constructor(clock: Clock.Clock) {
    this.clock = clock
    this.respondedAt = clock.currentTimeMillisUnsafe()
  }

  readonly current = (): number => {
    const now = this.clock.currentTimeMillisUnsafe()
    if (now - this.respondedAt > SILENCE_MILLIS) {
      this.respondedAt = now
      this.count++
    }
    return this.count
  }

  readonly advance = (): void => {
    this.count++
  }

  /** A server that cannot reach etcd, or a gateway that cannot reach its server, may reach another one next. */
  readonly responded = (status: number): void => {
    this.respondedAt = this.clock.currentTimeMillisUnsafe()
    if (status >= 500) this.count++
  }
}
