#!/usr/bin/env bash
# effect 4.1.0: an RcMap with `idleTimeToLive` keeps a failed lookup, and every caller that tries again makes it live longer.
#
# The guess: the time to live is for resources. A lookup that failed has made none, so the next `get` looks up again, as it does
# without the option. Seen: the failure is kept like a resource, and each `get` that fails with it begins the time anew. Callers
# that retry more often than the time to live get the first failure for ever, though the second lookup would succeed; after a pause
# in which nobody asks, it does. A LayerMap does the same with a layer that fails.
#
# Why it matters: a connection for each cluster or tenant, kept open for some minutes, that fails once is dead for as long as there
# is work for it; the more callers retry, the surer. Failures have to be invalidated by oneself: `RcMap.invalidate` of the key where
# `get` fails, before the retry.
set -euo pipefail
folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
cd "$folder"
npm init -y >/dev/null
npm install --silent --no-fund --no-audit node@24.21.0 effect@4.1.0
cat >run.mjs <<'PROGRAM'
import { Context, Effect, Layer, LayerMap, RcMap, Schedule } from "effect"
import { TestClock } from "effect/testing"

// Only the first lookup fails.
const makeLookup = () => {
  let lookups = 0
  return Effect.suspend(() => (++lookups === 1 ? Effect.fail("away") : Effect.succeed(`connection ${lookups}`)))
}
const outcome = (effect) => Effect.match(effect, { onFailure: (error) => error, onSuccess: (value) => value })

// A caller that tries once a minute for an hour, and one that comes after 11 minutes without any.
const callers = (get) =>
  Effect.gen(function* () {
    const retrying = get.pipe(Effect.retry({ schedule: Schedule.spaced("1 minute"), times: 60 }), outcome)
    const fiber = yield* Effect.forkScoped(retrying)
    yield* TestClock.adjust("2 hours")
    const seen = { afterAnHourOfRetries: fiber.pollUnsafe()?.value }
    yield* TestClock.adjust("11 minutes")
    return { ...seen, afterAPause: yield* outcome(get) }
  })

const ofMap = (options) =>
  Effect.gen(function* () {
    const lookup = makeLookup()
    const map = yield* RcMap.make({ lookup: () => lookup, ...options })
    return yield* callers(Effect.scoped(RcMap.get(map, "cluster")))
  })
const Connection = Context.Service("Connection")
const ofLayers = Effect.gen(function* () {
  const lookup = makeLookup()
  const map = yield* LayerMap.make(() => Layer.effect(Connection)(lookup), { idleTimeToLive: "10 minutes" })
  return yield* callers(Effect.provide(Connection, map.get("cluster")))
})

const run = (effect) => Effect.runPromise(effect.pipe(Effect.scoped, Effect.provide(TestClock.layer())))
console.log(`without a time to live: ${JSON.stringify(await run(ofMap({})))}`)
console.log(`10 minutes: ${JSON.stringify(await run(ofMap({ idleTimeToLive: "10 minutes" })))}`)
console.log(`LayerMap, 10 minutes: ${JSON.stringify(await run(ofLayers))}`)
PROGRAM
seen="$(./node_modules/.bin/node run.mjs)"
expected='without a time to live: {"afterAnHourOfRetries":"connection 2","afterAPause":"connection 3"}
10 minutes: {"afterAnHourOfRetries":"away","afterAPause":"connection 2"}
LayerMap, 10 minutes: {"afterAnHourOfRetries":"away","afterAPause":"connection 2"}'
echo "a lookup whose first run fails, effect 4.1.0:"
echo "$seen"
[ "$seen" = "$expected" ] || { echo "changed; it was $expected" >&2; exit 1; }
