#!/usr/bin/env bash
# effect 4.1.0: when a stream fails, `Stream.groupedWithin` drops the elements of the group that is not full yet.
#
# Events are read from a watch and written in batches, by number or by time. The guess: what came before the failure is emitted as a
# last, smaller group, and the failure then, as `Stream.grouped` does with the same stream. Seen: the group that waits for its
# number or its time is gone, whether the failure comes at once or later. `Stream.aggregate` keeps it, and where the stream ends
# without a failure, the last group is there.
#
# Why it matters: to add a time to `grouped` looks like a matter of latency only. A watch ends with a failure several times an hour;
# each time up to a whole batch is lost that was read already, and whoever resumes from the position of the last element that was
# read never sees it again. The position has to come from what was written, or the failure must become an element of the stream.
set -euo pipefail
folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
cd "$folder"
npm init -y >/dev/null
npm install --silent --no-fund --no-audit node@24.21.0 effect@4.1.0
cat >run.mjs <<'PROGRAM'
import { Effect, Sink, Stream } from "effect"

const elements = Stream.make(1, 2, 3, 4, 5)
const lost = Stream.fromEffect(Effect.fail("the connection is lost"))
const lostLater = Stream.fromEffect(Effect.delay(Effect.fail("the connection is lost"), "50 millis"))

const batches = (stream) => {
  const seen = []
  return Effect.runPromise(
    Effect.as(Effect.exit(Stream.runForEach(stream, (batch) => Effect.sync(() => seen.push(batch)))), seen)
  )
}

const within = Stream.groupedWithin(2, "1 second")
console.log(
  JSON.stringify({
    grouped: await batches(Stream.grouped(Stream.concat(elements, lost), 2)),
    groupedWithin: await batches(within(Stream.concat(elements, lost))),
    groupedWithinLater: await batches(within(Stream.concat(elements, lostLater))),
    aggregate: await batches(Stream.aggregate(Stream.concat(elements, lost), Sink.take(2))),
    groupedWithinWithoutFailure: await batches(within(elements))
  })
)
PROGRAM
seen="$(./node_modules/.bin/node run.mjs)"
expected='{"grouped":[[1,2],[3,4],[5]],"groupedWithin":[[1,2],[3,4]],"groupedWithinLater":[[1,2],[3,4]],"aggregate":[[1,2],[3,4],[5]],"groupedWithinWithoutFailure":[[1,2],[3,4],[5]]}'
echo "batches of two, of five elements and a failure, effect 4.1.0: $seen"
[ "$seen" = "$expected" ] || { echo "changed; it was $expected" >&2; exit 1; }
