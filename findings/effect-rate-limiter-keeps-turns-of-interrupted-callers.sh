#!/usr/bin/env bash
# effect 4.1.0, effect/persistence: callers of a RateLimiter that gave up waiting keep their turns, so that later ones wait longer.
#
# Callers that can do without an answer wait for their turn for a bounded time: `Effect.timeout(limited(call), …)`. The guess: who
# is interrupted while it waits gives its turn back, as a waiter of a Semaphore does. Seen: the turn was taken when the caller came
# and is never given back. With one call in 2 seconds, the caller after five that gave up waits until six windows are over, though
# nothing ran in them. Both algorithms, fixed-window and token-bucket, do so.
#
# Why it matters: under load most callers time out, each of them moves the next turn further away, and soon no wait ends in
# time: the limiter lets nothing through, at any rate, while the protected service is idle. Either the bound is put around the call
# alone, inside the limiter, or callers are refused at once (`onExceeded: "fail"`).
set -euo pipefail
folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
cd "$folder"
npm init -y >/dev/null
npm install --silent --no-fund --no-audit node@24.21.0 effect@4.1.0
cat >run.mjs <<'PROGRAM'
import { Effect, Fiber, Layer, Semaphore } from "effect"
import { RateLimiter } from "effect/persistence"
import { TestClock } from "effect/testing"

/** The second at which a call runs, after one that ran at 0 and five that gave up after half a second each. */
const turnAfterFive = (limited) =>
  Effect.gen(function* () {
    yield* limited(Effect.void)
    const fibers = []
    for (let n = 0; n < 5; n++) fibers.push(yield* Effect.forkChild(Effect.timeoutOption(limited(Effect.void), "500 millis")))
    yield* TestClock.adjust("1 second")
    for (const fiber of fibers) yield* Fiber.join(fiber)
    let turn
    const last = yield* Effect.forkChild(limited(Effect.void))
    for (let second = 1; turn === undefined && second < 60; second++) {
      if (last.pollUnsafe() !== undefined) turn = second
      else yield* TestClock.adjust("1 second")
    }
    return turn
  }).pipe(Effect.provide(TestClock.layer()))

const limiter = (algorithm) =>
  Effect.gen(function* () {
    const make = yield* RateLimiter.makeWithRateLimiter
    return yield* turnAfterFive(make({ algorithm, onExceeded: "delay", window: "2 seconds", limit: 1, key: algorithm }))
  }).pipe(Effect.provide(Layer.provide(RateLimiter.layer, RateLimiter.layerStoreMemory)))

// The same with a Semaphore of one permit that each call holds for 2 seconds.
const semaphore = Effect.suspend(() => {
  const permits = Semaphore.makeUnsafe(1)
  let isFirst = true
  return turnAfterFive((call) =>
    isFirst
      ? Effect.suspend(() => {
          isFirst = false
          return Effect.forkDetach(permits.withPermits(1)(Effect.sleep("2 seconds")), { startImmediately: true })
        })
      : permits.withPermits(1)(call)
  )
})

const seen = {
  fixedWindow: await Effect.runPromise(limiter("fixed-window")),
  tokenBucket: await Effect.runPromise(limiter("token-bucket")),
  semaphore: await Effect.runPromise(semaphore)
}
console.log(JSON.stringify(seen))
PROGRAM
seen="$(./node_modules/.bin/node run.mjs)"
expected='{"fixedWindow":12,"tokenBucket":12,"semaphore":2}'
echo "the second at which a call runs after five that gave up, one call in 2 seconds, effect 4.1.0: $seen"
[ "$seen" = "$expected" ] || { echo "changed; it was $expected" >&2; exit 1; }
