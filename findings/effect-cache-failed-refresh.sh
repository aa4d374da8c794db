#!/usr/bin/env bash
# effect 4.1.0: `Cache.refresh` that fails replaces the value that was there by the failure.
#
# A program keeps a value that is expensive to look up and refreshes it from time to time. While the refresh runs, readers get
# the value of before. The guess: where the refresh fails, because a server is away for a moment, they go on getting it. Seen:
# from then on every `get` fails with the error of the refresh, without a further lookup, for as long as the time to live
# says, which is without end unless one is given.
#
# Why it matters: a refresh that was meant to hide an outage turns a moment of it into a permanent one. Who wants the old value
# has to look the new one up outside and `Cache.set` it, or give failures a short time to live, after which the old value is
# gone all the same.
set -euo pipefail
folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
cd "$folder"
npm init -y >/dev/null
npm install --silent --no-fund --no-audit node@24.21.0 effect@4.1.0
cat >run.mjs <<'PROGRAM'
import { Cache, Effect } from "effect"

const program = Effect.gen(function* () {
  let lookups = 0
  const cache = yield* Cache.make({
    capacity: 10,
    lookup: () => {
      lookups++
      return lookups === 1 ? Effect.succeed("value") : Effect.delay(Effect.fail("away"), 50)
    }
  })
  const get = Effect.result(Cache.get(cache, "key"))
  yield* get
  const refresh = yield* Effect.forkChild(Effect.exit(Cache.refresh(cache, "key")))
  yield* Effect.sleep(10)
  const during = (yield* get)._tag
  yield* Effect.sleep(100)
  const after = [(yield* get)._tag, (yield* get)._tag]
  return { during, after, lookups, refresh: refresh.pollUnsafe() === undefined ? "pending" : "done" }
})
console.log(JSON.stringify(await Effect.runPromise(program)))
PROGRAM
seen="$(./node_modules/.bin/node run.mjs)"
expected='{"during":"Success","after":["Failure","Failure"],"lookups":2,"refresh":"done"}'
echo "effect 4.1.0: $seen"
[ "$seen" = "$expected" ] || { echo "changed; it was $expected" >&2; exit 1; }
