#!/usr/bin/env bash
# effect 4.1.0, effect/eventlog: the entries of an EventJournal are dated and ordered by the real time, not by the Clock service.
#
# The guess, from the rest of Effect: what is written under a test clock has its time, so that a test can write an entry of 2020
# and another one an hour later. Seen: `createdAt`, which is in the id of the entry, is the time of the machine in both. The same
# module does ask the Clock service, for its warning about entries from the future.
#
# Why it matters: a test or a simulation that moves the clock by hand cannot say what an entry's time will be, nor how two journals
# whose clocks disagree order their entries; and a run with the same seed does not give the same entries.
set -euo pipefail
folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
cd "$folder"
npm init -y >/dev/null
npm install --silent --no-fund --no-audit node@24.21.0 effect@4.1.0
cat >run.mjs <<'PROGRAM'
import { Clock, Effect } from "effect"
import { EventJournal } from "effect/eventlog"
import { TestClock } from "effect/testing"

const begun = Date.now()
await Effect.runPromise(
  Effect.gen(function* () {
    const journal = yield* EventJournal.makeMemory
    const write = (event) =>
      journal.write({ event, primaryKey: "deploy", payload: new Uint8Array(), effect: () => Effect.void })
    yield* TestClock.setTime(Date.UTC(2020, 0, 1))
    yield* write("started")
    yield* TestClock.adjust("1 hour")
    yield* write("completed")
    const entries = yield* journal.entries
    const clock = new Date(yield* Clock.currentTimeMillis).toISOString()
    const real = entries.filter((entry) => entry.createdAtMillis >= begun && entry.createdAtMillis <= Date.now())
    console.log(`clock ${clock}, ${real.length} of ${entries.length} entries have the time of the machine`)
  }).pipe(Effect.provide(TestClock.layer()))
)
PROGRAM
seen="$(./node_modules/.bin/node run.mjs)"
expected="clock 2020-01-01T01:00:00.000Z, 2 of 2 entries have the time of the machine"
echo "effect 4.1.0: $seen"
[ "$seen" = "$expected" ] || { echo "changed; it was $expected" >&2; exit 1; }
