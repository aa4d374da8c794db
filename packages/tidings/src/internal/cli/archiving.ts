/**
 * An archive that runs: what it says, and what it answers to probes. Loaded by `archive` alone.
 *
 * @internal
 */
import * as Archive from "@tidings/backend-postgres/Archive"
import { ArchiveStore } from "@tidings/backend-postgres/ArchiveStore"
import * as Timestamp from "@tidings/core/Timestamp"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as PrometheusMetrics from "effect/observability/PrometheusMetrics"
import type * as Scope from "effect/Scope"
import type { ServerResponse } from "node:http"
import type { AddressInfo } from "node:net"
import { setFlagsFromString } from "node:v8"
import type { Plan } from "./archivePlan.ts"
import { Failure } from "./failure.ts"
import * as missing from "./missing.ts"
import * as process from "./process.ts"
import * as progresses from "./progress.ts"
import * as words from "./words.ts"

/** @internal */
export interface How {
  readonly replica: string | undefined
  /** Of the probes; absent: none are answered. */
  readonly port: number | undefined
  readonly maxAgeSeconds: number | undefined
}

// ---------------------------------------------------------------------------
// probes
// ---------------------------------------------------------------------------

/** Up to date, or on the way to it. */
const isReady = ({ phase }: Archive.SourceStatus): boolean => phase === "copying" || phase === "live"

const documentOf = ({ replica, sources }: Archive.Status) => ({
  replica,
  ready: sources.every(isReady),
  sources: sources.map(({ failingSince, lag, until, ...rest }) => ({
    ...rest,
    rate: Math.round(rest.rate * 10) / 10,
    lagSeconds: Duration.toSeconds(lag),
    ...(until === undefined ? undefined : { until: Timestamp.format(until) }),
    ...(failingSince === undefined ? undefined : { failingSince: Timestamp.format(failingSince) })
  }))
})

const JSON_TYPE = "application/json"

/** Answers what probes ask, on all addresses: they come from outside of the pod. */
const serve = (port: number, status: Effect.Effect<Archive.Status>): Effect.Effect<number, Failure, Scope.Scope> =>
  Effect.gen(function* () {
    const context = yield* Effect.context()
    const answer = (response: ServerResponse, code: number, type: string, body: string): void => {
      response.writeHead(code, { "content-type": type, "cache-control": "no-store" })
      response.end(body)
    }
    const respond = Effect.fnUntraced(function* (path: string, response: ServerResponse) {
      switch (path) {
        case "/healthz":
          return answer(response, 200, "text/plain", "ok\n")
        case "/readyz": {
          const { sources } = yield* status
          const waiting = sources.filter((source) => !isReady(source))
          if (waiting.length === 0) return answer(response, 200, "text/plain", "ok\n")
          const lines = waiting.map(
            ({ name, phase, problem, store }) =>
              `${name ?? store ?? "a store"}: ${phase}${problem === undefined ? "" : `: ${problem}`}\n`
          )
          return answer(response, 503, "text/plain", lines.join(""))
        }
        case "/status":
          return answer(response, 200, JSON_TYPE, `${JSON.stringify(documentOf(yield* status))}\n`)
        case "/metrics":
          return answer(response, 200, "text/plain; version=0.0.4", yield* PrometheusMetrics.format())
        default:
          return answer(response, 404, "text/plain", "there are /healthz, /readyz, /status and /metrics\n")
      }
    })
    // An import of it at the start reads all its exports, one of which loads a whole client.
    const { createServer } = yield* Effect.promise(() => import("node:http"))
    const server = createServer((request, response) => {
      if (request.method !== "GET" && request.method !== "HEAD")
        return answer(response, 405, "text/plain", "GET only\n")
      Effect.runForkWith(context)(respond(URL.parse(request.url ?? "/", "http://probe")?.pathname ?? "/", response))
    })
    yield* Effect.acquireRelease(
      Effect.callback<void, Failure>((resume) => {
        server.once("error", (error) =>
          resume(
            Effect.fail(
              new Failure({
                detail: `cannot answer probes at port ${port}: ${error.message}`,
                hint: "take another port, or --health 0 for a free one"
              })
            )
          )
        )
        server.listen(port, () => resume(Effect.void))
      }),
      () =>
        Effect.sync(() => {
          server.close()
          server.closeAllConnections()
        })
    )
    return (server.address() as AddressInfo).port
  })

// ---------------------------------------------------------------------------
// words
// ---------------------------------------------------------------------------

const nameOf = ({ name, store }: Archive.SourceStatus): string => name ?? store ?? "a store"

const lineOf = (source: Archive.SourceStatus): string => {
  const { gaps, lag, phase, rate, written } = source
  const late = Duration.toSeconds(lag)
  return [
    `${nameOf(source)} ${phase}`,
    words.counted(written, "state"),
    `${Math.round(rate)}/s`,
    ...(late >= 1 ? [`${Math.round(late)}s behind`] : []),
    ...(gaps > 0 ? [words.counted(gaps, "gap")] : [])
  ].join(", ")
}

const progressOf = ({ sources }: Archive.Status): string => sources.map(lineOf).join("; ")

/** How often it is looked whether there is something to say. */
const LOOK = "250 millis"

/** Says what changes while it runs: that a store is copied again, a gap, how far it is. @internal */
export const narrate = Effect.fnUntraced(function* (
  status: Effect.Effect<Archive.Status>,
  stores: ArchiveStore["Service"]["stores"]
) {
  const progress = yield* progresses.make(false)
  const failing = new Set<number>()
  const gaps = new Map<number, number>()
  const said = new Set<string>()

  const tell = (line: string) => Effect.andThen(progress.clear, words.say(line))
  const tellGaps = Effect.gen(function* () {
    // What was told is in the database, of this replica and of the others.
    const all = yield* Effect.orElseSucceed(stores, () => [])
    for (const { cluster, coverage } of all) {
      for (const gap of coverage.gaps) {
        const key = `${cluster.id} ${gap.from} ${gap.to}`
        if (said.has(key)) continue
        said.add(key)
        yield* tell(missing.gapLine({ ...gap, store: cluster.name ?? cluster.id }))
      }
    }
  })
  const look = Effect.gen(function* () {
    const now = yield* status
    let isNew = false
    for (const [index, source] of now.sources.entries()) {
      if (source.phase === "failing") failing.add(index)
      else if (failing.delete(index)) yield* tell(`-- ${nameOf(source)} is copied again --`)
      isNew ||= source.gaps > (gaps.get(index) ?? 0)
      gaps.set(index, source.gaps)
    }
    if (isNew) yield* tellGaps
    yield* progress.step(() => progressOf(now))
  })
  yield* Effect.addFinalizer(() => progress.clear)
  return yield* Effect.forever(Effect.andThen(look, Effect.sleep(LOOK)))
})

// ---------------------------------------------------------------------------
// running
// ---------------------------------------------------------------------------

/**
 * Keeps the heap near to what is alive in it. Every event lives as long as its commit takes, which V8 answers with large spaces
 * for objects that are soon dead and a heap that grows to many times what is alive: 340 MB at 7,260 events a second, of which 25
 * MB are alive. It costs about a tenth of the CPU.
 */
const keepHeapSmall: Effect.Effect<void> = Effect.sync(() => {
  try {
    setFlagsFromString("--heap-growing-percent=100")
    setFlagsFromString("--semi-space-growth-factor=1")
  } catch {
    // Runtimes without V8 have no such flags.
  }
})

/** Runs until it is interrupted. @internal */
export const run = ({ database, sources }: Plan, { maxAgeSeconds, port, replica }: How) =>
  Effect.gen(function* () {
    yield* keepHeapSmall
    const { PostgresBackend, place, url } = database
    const context = yield* Layer.build(
      PostgresBackend.layer({
        url,
        ...(maxAgeSeconds === undefined ? undefined : { maxAge: Duration.seconds(maxAgeSeconds) })
      })
    )
    const store = Context.get(context, ArchiveStore)
    const { status } = yield* Effect.provideService(
      Archive.make({ sources: sources.map(({ name, reader }) => ({ name, reader })), replica }),
      ArchiveStore,
      store
    )
    yield* words.say(`archiving ${sources.map(({ description }) => description).join(", ")} into ${place.description}`)
    if (port !== undefined) yield* words.say(`answering probes at port ${yield* serve(port, status)}`)
    const ending = yield* process.Ending
    yield* Effect.addFinalizer(() =>
      Effect.flatMap(status, (last) => {
        // SIGTERM is how services are stopped, so it is no failure.
        ending.terminated = 0
        const written = last.sources.reduce((sum, one) => sum + one.written, 0)
        return words.say(`ended; ${words.counted(written, "state")} written, and it goes on from here`)
      })
    )
    return yield* narrate(status, store.stores)
  }).pipe(Effect.scoped)
