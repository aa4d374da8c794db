#!/usr/bin/env bash
# effect 4.1.0, effect/observability: an attribute named `unit` is not among the labels for Prometheus, so that two series of a
# metric that differ in it are printed as one series twice.
#
# The guess: each attribute of a metric becomes a label. Seen: all do but `unit` and `time_unit`, which Effect gives to its own
# timers. Two counters of your own, one with unit=bytes and one with unit=events, are two lines with the same name and the same
# labels, and nothing is said.
#
# Why it matters: the text format wants a series at most once in an answer, and a server that scrapes this keeps one of the two
# values. The other count is gone, and which one it was depends on their order.
set -euo pipefail
folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
cd "$folder"
npm init -y >/dev/null
npm install --silent --no-fund --no-audit node@24.21.0 effect@4.1.0
cat >run.mjs <<'PROGRAM'
import { Effect, Metric } from "effect"
import { PrometheusMetrics } from "effect/observability"

const written = Metric.counter("written")
await Effect.runPromise(
  Effect.gen(function* () {
    yield* Metric.update(Metric.withAttributes(written, { sink: "disk", unit: "bytes" }), 4096)
    yield* Metric.update(Metric.withAttributes(written, { sink: "disk", unit: "events" }), 8)
    yield* Metric.update(Metric.withAttributes(written, { sink: "disk", kind: "events" }), 8)
    const lines = (yield* PrometheusMetrics.format()).split("\n")
    console.log(lines.filter((line) => line.startsWith("written")).join(" | "))
  })
)
PROGRAM
seen="$(./node_modules/.bin/node run.mjs)"
expected='written{sink="disk"} 4096 | written{sink="disk"} 8 | written{sink="disk",kind="events"} 8'
echo "effect 4.1.0: $seen"
[ "$seen" = "$expected" ] || { echo "changed; it was $expected" >&2; exit 1; }
