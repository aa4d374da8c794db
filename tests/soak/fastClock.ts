import type * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"

/** A clock on which an hour takes seconds: outages and their back-off pass as fast as the events do. */
export const fastClock = (speed: number): Clock.Clock => {
  const begun = process.hrtime.bigint()
  const beganAt = BigInt(Date.now()) * 1_000_000n
  const passed = () => (process.hrtime.bigint() - begun) * BigInt(speed)
  const nanos = () => beganAt + passed()
  const millis = () => Number(nanos() / 1_000_000n)
  return {
    currentTimeMillisUnsafe: millis,
    currentTimeMillis: Effect.sync(millis),
    currentTimeNanosUnsafe: nanos,
    currentTimeNanos: Effect.sync(nanos),
    monotonicTimeNanosUnsafe: passed,
    monotonicTimeNanos: Effect.sync(passed),
    sleep: (duration) =>
      Effect.callback<void>((resume) => {
        const timer = setTimeout(() => resume(Effect.void), Duration.toMillis(duration) / speed)
        return Effect.sync(() => clearTimeout(timer))
      })
  }
}
