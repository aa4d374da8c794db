import * as NodeServices from "@effect/platform-node/NodeServices"
import * as Backend from "@tidings/core/Backend"
import type { Event, Write } from "@tidings/core/Event"
import * as Timestamp from "@tidings/core/Timestamp"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Sink from "effect/Sink"
import * as Stdio from "effect/Stdio"
import * as Stream from "effect/Stream"
import * as TerminalCapabilities from "effect/cli/TerminalCapabilities"
import { TestConsole } from "effect/testing"
import * as Cli from "../src/Cli.ts"
import { Columns } from "../src/internal/cli/words.ts"

export interface Ran {
  readonly code: number
  /** The lines of stdout. */
  readonly out: ReadonlyArray<string>
  /** The lines of stderr. */
  readonly err: ReadonlyArray<string>
}

export interface Surroundings {
  /** Columns of the terminal; absent: the output is no terminal. */
  readonly columns?: number | undefined
  readonly canColor?: boolean | undefined
  readonly stdin?: string | Uint8Array | undefined
  readonly options?: Partial<Cli.Options> | undefined
}

const lines = (texts: ReadonlyArray<unknown>): ReadonlyArray<string> =>
  texts.flatMap((text) => String(text).split("\n"))

const surroundings = ({ canColor = false, columns, stdin = "" }: Surroundings) =>
  Layer.mergeAll(
    Stdio.layerTest({
      stdin: Stream.make(typeof stdin === "string" ? new TextEncoder().encode(stdin) : stdin),
      stdout: () => Sink.drain,
      stderr: () => Sink.drain
    }),
    Layer.succeed(Columns, () => columns),
    Layer.succeed(TerminalCapabilities.TerminalCapabilities, { canColor, canAnimate: false, canPrompt: false })
  )

/** Runs the command over a backend in this process. */
export const run = Effect.fnUntraced(function* (
  backend: Cli.BackendSource<unknown>,
  argv: ReadonlyArray<string>,
  given: Surroundings = {}
): Effect.fn.Return<Ran> {
  const seenOut = (yield* TestConsole.logLines).length
  const seenErr = (yield* TestConsole.errorLines).length
  const code = yield* Cli.runWith(backend, { name: "tidings", version: "1.2.3", ...given.options })(argv).pipe(
    Effect.provide(Layer.merge(NodeServices.layer, surroundings(given)))
  )
  return {
    code,
    out: lines((yield* TestConsole.logLines).slice(seenOut)),
    err: lines((yield* TestConsole.errorLines).slice(seenErr))
  }
})

/** A moment of real time, in which modules are loaded, files are read and other fibers go on. */
export const moment = Effect.promise(() => new Promise<void>((resolve) => setTimeout(resolve, 1)))

/** Milliseconds, less than a test may take. */
const PATIENCE = 25_000

/**
 * Waits until something holds. What ends it is time and not a number of turns, of which a busy machine needs more; `found` says what
 * there is instead.
 */
export const eventually = Effect.fnUntraced(function* (
  what: string,
  holds: Effect.Effect<boolean>,
  found: Effect.Effect<string> = Effect.succeed("")
) {
  const end = performance.now() + PATIENCE
  while (!(yield* holds)) {
    if (performance.now() > end) throw new Error(`never saw ${what}\n${yield* found}`)
    yield* moment
  }
})

/** One memory backend for several runs. */
export const memory = (options?: Parameters<typeof Backend.layerMemory>[0]) =>
  Effect.map(Effect.provide(Backend.Backend, Backend.layerMemory(options)), (service) => ({
    service,
    layer: Layer.succeed(Backend.Backend, service)
  }))

export const origin = "0123456789abcdef0123456789abcdef"

/** The state of a series, where most of it does not matter. */
export const write = (
  seq: number,
  given: {
    readonly at: string
    readonly first?: string | undefined
    readonly upTo?: number | undefined
    readonly count?: number | undefined
    readonly kind?: string | undefined
    readonly name?: string | undefined
    readonly namespace?: string | undefined
    readonly type?: Event["event"]["type"] | undefined
    readonly reason?: string | undefined
    readonly message?: string | undefined
    readonly data?: Event["event"]["data"] | undefined
    readonly source?: string | undefined
  }
): Write => {
  const name = given.name ?? "deploy"
  const namespace = given.namespace ?? "default"
  return {
    id: { origin, seq },
    upTo: given.upTo ?? seq,
    count: given.count ?? 1,
    first: Timestamp.parse(given.first ?? given.at)!,
    last: Timestamp.parse(given.at)!,
    event: {
      involvedObject: { apiVersion: "example.com/v1", kind: given.kind ?? "Workflow", name, namespace },
      reason: given.reason ?? "WorkflowExecuted",
      type: given.type ?? "Normal",
      action: given.reason ?? "WorkflowExecuted",
      message: given.message ?? `message ${seq}`,
      data: { name, namespace, ...given.data },
      source: { component: given.source ?? "test" },
      reportingController: "test",
      reportingInstance: "test-0"
    }
  }
}
