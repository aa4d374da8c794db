#!/usr/bin/env bash
# effect 4.1.0, effect/observability: after one batch that the collector refuses, the OTLP exporter discards what is recorded
# in the next 60 seconds too, and says so at the level of debug only.
#
# The guess, from the protocol: an answer of 400 is about this batch, so the batch is dropped and the next one is sent. Seen: the
# exporter is switched off for a minute. A log record of that minute is not kept for later; where the program ends within it, the
# last flush sends nothing. Only what is recorded after the minute arrives.
#
# Why it matters: one record that a collector does not like, or one bad answer of a gateway, hides a minute of logs, spans or
# metrics of the whole program, in which everything was in order. Events that must arrive need a delivery of their own.
set -euo pipefail
folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
cd "$folder"
npm init -y >/dev/null
npm install --silent --no-fund --no-audit node@24.21.0 effect@4.1.0
cat >run.mjs <<'PROGRAM'
import { Effect, Layer } from "effect"
import { FetchHttpClient } from "effect/http"
import { OtlpExporter, OtlpLogger, OtlpSerialization } from "effect/observability"
import { TestClock } from "effect/testing"
import { createServer } from "node:http"

let status = 200
const arrived = []
const collector = createServer((request, response) => {
  let body = ""
  request.on("data", (chunk) => (body += chunk))
  request.on("end", () => {
    for (const [, name] of body.matchAll(/"stringValue":"record (\w+)"/g)) arrived.push(`${name}: ${status}`)
    response.statusCode = status
    response.end("{}")
  })
})
await new Promise((listening) => collector.listen(0, "127.0.0.1", listening))

const exporter = OtlpLogger.layer({
  url: `http://127.0.0.1:${collector.address().port}/v1/logs`,
  resource: { serviceName: "controller" },
  exportInterval: "1 second",
  mergeWithExisting: false
}).pipe(
  Layer.provide([OtlpSerialization.layerJson, OtlpExporter.layerFlusher, FetchHttpClient.layer])
)
// The clock is moved by hand; the request itself takes real time.
const pass = (duration) =>
  Effect.andThen(TestClock.adjust(duration), Effect.promise(() => new Promise((done) => setTimeout(done, 300))))

await Effect.runPromise(
  Effect.gen(function* () {
    yield* Effect.logInfo("record one")
    yield* pass("2 seconds")
    status = 400
    yield* Effect.logInfo("record two")
    yield* pass("2 seconds")
    status = 200
    yield* Effect.logInfo("record three")
    yield* pass("29 seconds")
    yield* Effect.logInfo("record four")
    yield* pass("29 seconds")
    yield* pass("5 seconds")
    yield* Effect.logInfo("record five")
    yield* pass("2 seconds")
  }).pipe(Effect.provide(exporter), Effect.provide(TestClock.layer()))
)
console.log(arrived.join(", "))
collector.close()
PROGRAM
seen="$(./node_modules/.bin/node run.mjs)"
expected="one: 200, two: 400, five: 200"
echo "effect 4.1.0, records that reached the collector, of five recorded within 65 seconds: $seen"
[ "$seen" = "$expected" ] || { echo "changed; it was $expected" >&2; exit 1; }
