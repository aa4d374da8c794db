// Metrics, traces and logs of a recorder: scraped by Prometheus, sent by OTLP, with the conservation law checked from outside.
import { NodeHttpServer } from "@effect/platform-node"
import * as Backend from "@tidings/core/Backend"
import { BackendError, Transient } from "@tidings/core/BackendError"
import * as EventGenerator from "@tidings/core/EventGenerator"
import * as EventManager from "@tidings/core/EventManager"
import * as Journal from "@tidings/core/Journal"
import * as Policy from "@tidings/core/Policy"
import * as Recorder from "@tidings/core/Recorder"
import * as Templates from "@tidings/core/Templates"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as FetchHttpClient from "effect/http/FetchHttpClient"
import * as HttpRouter from "effect/http/HttpRouter"
import * as HttpServer from "effect/http/HttpServer"
import * as Otlp from "effect/observability/Otlp"
import * as PrometheusMetrics from "effect/observability/PrometheusMetrics"
import assert from "node:assert/strict"
import { createServer, type IncomingMessage } from "node:http"
import type { AddressInfo } from "node:net"
import { runMain } from "../gracefulEnd.ts"

// ---------------------------------------------------------------------------
// a collector, such as the OpenTelemetry Collector would be: it takes what comes and tells what it was
// ---------------------------------------------------------------------------

interface Span {
  readonly name: string
  readonly links?: ReadonlyArray<unknown>
}
const spans: Array<Span> = []
const metrics = new Set<string>()
let logs = 0

const bodyOf = async (request: IncomingMessage): Promise<unknown> => {
  const chunks: Array<Buffer> = []
  for await (const chunk of request) chunks.push(chunk as Buffer)
  return JSON.parse(Buffer.concat(chunks).toString() || "{}")
}

const collector = createServer((request, response) => {
  void bodyOf(request).then((body) => {
    for (const { scopeSpans } of (
      body as { resourceSpans?: ReadonlyArray<{ scopeSpans: ReadonlyArray<{ spans: ReadonlyArray<Span> }> }> }
    ).resourceSpans ?? []) {
      for (const scope of scopeSpans) spans.push(...scope.spans)
    }
    for (const { scopeMetrics } of (
      body as {
        resourceMetrics?: ReadonlyArray<{ scopeMetrics: ReadonlyArray<{ metrics: ReadonlyArray<{ name: string }> }> }>
      }
    ).resourceMetrics ?? []) {
      for (const scope of scopeMetrics) for (const { name } of scope.metrics) metrics.add(name)
    }
    for (const { scopeLogs } of (
      body as { resourceLogs?: ReadonlyArray<{ scopeLogs: ReadonlyArray<{ logRecords: ReadonlyArray<unknown> }> }> }
    ).resourceLogs ?? []) {
      for (const scope of scopeLogs) logs += scope.logRecords.length
    }
    response.writeHead(200, { "content-type": "application/json" }).end("{}")
  })
})
await new Promise<void>((listening) => collector.listen(0, "127.0.0.1", listening))
const collectorUrl = `http://127.0.0.1:${(collector.address() as AddressInfo).port}`

// ---------------------------------------------------------------------------
// the host: a recorder over a store that is away for a moment, /metrics, and an exporter
// ---------------------------------------------------------------------------

const awayForAMoment = Policy.make((backend) =>
  Effect.sync(() => {
    let calls = 0
    return {
      ...backend,
      write: (batch) =>
        ++calls <= 3
          ? Effect.fail(new BackendError({ reason: new Transient({ applied: "no", detail: "connection refused" }) }))
          : backend.write(batch)
    }
  })
)

const runtime = EventManager.layer.pipe(
  Layer.provideMerge(EventGenerator.EventGenerator.layer),
  Layer.provideMerge(Recorder.layer({ component: "observed" })),
  Layer.provideMerge(Layer.mergeAll(Templates.layer, Journal.layerMemory(), Backend.layerMemory().pipe(awayForAMoment)))
)

const server = HttpRouter.serve(PrometheusMetrics.layerHttp({ path: "/metrics" }), {
  disableLogger: true,
  disableListenLog: true
}).pipe(Layer.provideMerge(NodeHttpServer.layer(createServer, { port: 0, host: "127.0.0.1" })))

const exporter = Otlp.layerJson({
  baseUrl: collectorUrl,
  resource: { serviceName: "observed", serviceVersion: "1.0.0" },
  tracerExportInterval: "200 millis",
  metricsExportInterval: "200 millis",
  loggerExportInterval: "200 millis"
}).pipe(Layer.provide(FetchHttpClient.layer))

const scrape = (address: string) => Effect.promise(async () => (await fetch(`${address}/metrics`)).text())

/** The sum of a metric over its labels, from the text that Prometheus reads. */
const sumOf = (text: string, name: string): number =>
  [...text.matchAll(new RegExp(`^${name}(?:\\{[^}]*\\})? (\\S+)$`, "gm"))].reduce(
    (sum, [, value]) => sum + Number(value),
    0
  )

const assertLaw = (text: string): void => {
  const [accepted, recovered, settled, parked, dropped, pending] = [
    "tidings_accepted_total",
    "tidings_recovered_total",
    "tidings_settled_total",
    "tidings_parked",
    "tidings_dropped_total",
    "tidings_pending"
  ].map((name) => sumOf(text, name))
  assert.equal(accepted! + recovered!, settled! + parked! + dropped! + pending!)
}

const program = Effect.gen(function* () {
  const manager = yield* EventManager.EventManager
  const { generator } = manager
  const recorder = yield* Recorder.Recorder
  const address = yield* HttpServer.HttpServer.useSync(({ address }) => HttpServer.formatAddress(address))
  const deploy = { metadata: { name: "deploy", namespace: "default" } }

  yield* Effect.gen(function* () {
    for (let n = 1; n <= 5; n++) {
      yield* generator.workflowEvent(deploy, "WorkflowStepCompleted", { stepId: `step-${n}` })
    }
    // A mistake of the host is refused, with a typed error, and counted.
    yield* Effect.ignore(manager.createEvent({ kind: "Pod", name: "web" }, "", "no reason", "Normal"))
  }).pipe(Effect.withSpan("reconcile"))

  const during = yield* scrape(address)
  assertLaw(during)
  console.log(
    `while the store is away: ${sumOf(during, "tidings_pending")} pending of ${sumOf(during, "tidings_accepted_total")} accepted, ${sumOf(during, "tidings_refused_total")} refused`
  )

  yield* recorder.flush("30 seconds")
  const after = yield* scrape(address)
  assertLaw(after)
  assert.equal(sumOf(after, "tidings_pending"), 0)
  console.log(
    `afterwards: ${sumOf(after, "tidings_settled_total")} settled, ${sumOf(after, "tidings_pending")} pending\n`
  )
  console.log(
    after
      .split("\n")
      .filter((line) => line.startsWith("tidings_"))
      .join("\n")
  )
  yield* Effect.sleep("600 millis")
}).pipe(Effect.provide(Layer.mergeAll(runtime, server).pipe(Layer.provideMerge(exporter))))

const report = Effect.sync(() => {
  const named = (name: string) => spans.filter((span) => span.name === name)
  console.log(`\nThe collector got ${metrics.size} metrics, ${logs} log records and these spans:`)
  for (const name of new Set(spans.map((span) => span.name))) {
    const links = named(name).reduce((sum, span) => sum + (span.links?.length ?? 0), 0)
    console.log(`  ${named(name).length} x ${name}${links === 0 ? "" : `, linked to ${links} records`}`)
  }
  assert.equal(named("event.record").length, 6)
  assert.ok(named("event.deliver").some(({ links }) => (links?.length ?? 0) > 0))
  assert.ok(metrics.has("tidings_accepted_total"))
  assert.ok(logs > 0)
})

runMain(Effect.andThen(program, report).pipe(Effect.ensuring(Effect.sync(() => collector.close()))))
