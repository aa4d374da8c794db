#!/usr/bin/env bash
# effect 4.1.0: a timeout around `Cache.get` interrupts the lookup, so a slow value never gets into the cache.
#
# Callers that can do without a value wait for it for a bounded time: `Effect.timeout(Cache.get(cache, key), …)`. The guess: the
# lookup goes on in the background, and the next caller finds its result. Seen: the lookup runs only as long as somebody waits;
# when the last waiter is interrupted, so is the lookup, its entry is removed, and the next caller starts again. Where every
# caller waits for less time than a lookup takes, the value is looked up again and again and never there.
#
# Why it matters: the bound that keeps a slow server from holding up its callers also keeps the cache from ever helping, and
# each caller costs the server a request that is given up. A fiber that outlives the callers has to wait as well.
set -euo pipefail
folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
cd "$folder"
npm init -y >/dev/null
npm install --silent --no-fund --no-audit node@24.21.0 effect@4.1.0
cat >run.mjs <<'PROGRAM'
import { Cache, Effect } from "effect"

const program = Effect.gen(function* () {
  const seen = { started: 0, interrupted: 0, ended: 0 }
  const cache = yield* Cache.make({
    capacity: 10,
    lookup: () =>
      Effect.suspend(() => {
        seen.started++
        return Effect.sleep(60)
      }).pipe(
        Effect.tap(() => Effect.sync(() => seen.ended++)),
        Effect.onInterrupt(() => Effect.sync(() => seen.interrupted++))
      )
  })
  const get = Effect.timeoutOption(Cache.get(cache, "key"), 20)
  for (let caller = 0; caller < 3; caller++) {
    yield* get
    yield* Effect.sleep(100)
  }
  const alone = { ...seen }
  // The same with one fiber that waits without a bound.
  yield* Effect.forkChild(Cache.get(cache, "key"))
  yield* get
  yield* Effect.sleep(100)
  return { alone, together: { ended: seen.ended, found: (yield* get)._tag } }
})
console.log(JSON.stringify(await Effect.runPromise(program)))
PROGRAM
seen="$(./node_modules/.bin/node run.mjs)"
expected='{"alone":{"started":3,"interrupted":3,"ended":0},"together":{"ended":1,"found":"Some"}}'
echo "effect 4.1.0: $seen"
[ "$seen" = "$expected" ] || { echo "changed; it was $expected" >&2; exit 1; }
