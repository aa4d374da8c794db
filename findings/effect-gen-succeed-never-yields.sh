#!/usr/bin/env bash
# effect 4.1.0: a loop in `Effect.gen` that yields values already there gives the event loop no turn, however long it runs.
#
# Effect's fibers yield after a number of operations (2,048 by default), so a long loop is expected to leave timers and I/O
# their turn. Seen: `yield* Effect.succeed(x)` and `yield* Effect.void` inside `Effect.gen` are not counted as operations:
# a timer of 5 ms does not fire once in a loop of 20 million, while it fires all the time beside the same loop over
# `Effect.sync`, over `Ref.update`, or in `Effect.whileLoop` and `Effect.forEach` over `Effect.succeed`.
#
# Why it matters: a loop over validation or lookups that mostly answer from memory (`cached ? Effect.succeed(cached) : …`)
# stops the host's heartbeats, timeouts and sockets for as long as it runs; no fiber timeout can end it either.
# `yield* Effect.yieldNow` in the loop, or `Effect.forEach`, mends it.
set -euo pipefail
folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
cd "$folder"
npm init -y >/dev/null
npm install --silent --no-fund --no-audit node@24.21.0 effect@4.1.0
cat >run.mjs <<'PROGRAM'
import * as Effect from "effect/Effect"
import * as Ref from "effect/Ref"

const loop = (effect) =>
  Effect.gen(function* () {
    const until = performance.now() + 500
    while (performance.now() < until) for (let n = 0; n < 1_000; n++) yield* effect
  })
const turns = async (program) => {
  let ticks = 0
  const timer = setInterval(() => ticks++, 5)
  await Effect.runPromise(program)
  clearInterval(timer)
  return ticks === 0 ? "none" : ticks >= 10 ? "many" : `${ticks}`
}
const seen = {
  succeed: await turns(loop(Effect.succeed(1))),
  void: await turns(loop(Effect.void)),
  sync: await turns(loop(Effect.sync(() => 1))),
  ref: await turns(loop(Ref.update(Ref.makeUnsafe(0), (n) => n + 1))),
  forEach: await turns(Effect.forEach(Array.from({ length: 3_000_000 }), () => Effect.succeed(1), { discard: true }))
}
let timedOut = "no"
await Effect.runPromise(
  Effect.matchCause(Effect.timeout(loop(Effect.succeed(1)), "50 millis"), {
    onFailure: () => { timedOut = "yes" },
    onSuccess: () => {}
  })
)
console.log(JSON.stringify({ ...seen, timedOut }))
PROGRAM
seen="$(./node_modules/.bin/node run.mjs)"
expected='{"succeed":"none","void":"none","sync":"many","ref":"many","forEach":"many","timedOut":"no"}'
echo "effect 4.1.0, turns of a 5 ms timer: $seen"
[ "$seen" = "$expected" ] || { echo "changed; it was $expected" >&2; exit 1; }
