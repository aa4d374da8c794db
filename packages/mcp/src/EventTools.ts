/**
 * The tools: `event_summary` and `events`, which agents call to find out what happened, and where the host asks for it `record_event`. For hosts that call tools themselves, and for the
 * server of this package.
 *
 * **When to use**
 *
 * Use `EventTools` in a program that aggregates the tools of several sources. Use `EventServer` to serve them over the Model
 * Context Protocol.
 *
 * **Details**
 *
 * A call never fails: bad arguments, and a store that is away, are results with `isError` and a text that says what to do.
 * Texts of events are escaped, bounded, and named as data in every description and answer. Interrupting a call ends it, also
 * while it waits.
 *
 * @since 0.2.0
 */
import type { BackendError } from "@tidings/core/BackendError"
import type { EventDraft } from "@tidings/core/EventDraft"
import { EventReader } from "@tidings/core/EventReader"
import { type Recorded, type RecordError, Recorder } from "@tidings/core/Recorder"
import * as Timestamp from "@tidings/core/Timestamp"
import * as Suggestion from "@tidings/templates/Suggestion"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Result from "effect/Result"
import { Wrong } from "./internal/filters.ts"
import * as recordTool from "./internal/recordTool.ts"
import * as eventsTool from "./internal/eventsTool.ts"
import * as failures from "./internal/failures.ts"
import * as fields from "./internal/fields.ts"
import * as sharedWatch from "./internal/sharedWatch.ts"
import * as summaryTool from "./internal/summaryTool.ts"
import * as text from "./internal/text.ts"
import type { Definition, ToolResult } from "./Tool.ts"

/**
 * What calls mean where they leave something out.
 *
 * @category models
 * @since 0.2.0
 */
export interface Options {
  /** The namespace of calls that name none. All namespaces unless given. */
  readonly namespace?: string | undefined
  /** Turns a kind as a client wrote it (`pods`) into the one that is meant (`Pod`). Taken as written unless given. */
  readonly kindOf?: ((written: string) => string) | undefined
  /** Resolves when the host is about to end: calls that wait are answered then, and lose nothing. */
  readonly closing?: Effect.Effect<void> | undefined
  /** Records what the tool `record_event` is given. Without it there is no such tool: agents only read. */
  readonly record?: ((draft: EventDraft) => Effect.Effect<Recorded, RecordError>) | undefined
}

/**
 * The tools and how to call one.
 *
 * **Example** (An agent asks)
 *
 * ```ts
 * import * as Backend from "@tidings/core/Backend"
 * import { EventManager, layerDirect } from "@tidings/core/EventManager"
 * import * as EventTools from "@tidings/mcp/EventTools"
 * import * as Effect from "effect/Effect"
 * import * as Layer from "effect/Layer"
 * import assert from "node:assert/strict"
 *
 * const program = Effect.gen(function* () {
 *   const manager = yield* EventManager
 *   yield* manager.createEvent({ kind: "Pod", name: "web" }, "BackOff", "restarting failed container", "Warning")
 *   const { executeTool } = yield* EventTools.EventTools
 *   const answer = yield* executeTool("events", { eventType: "Warning", since: "1h" })
 *   assert.equal(answer.structuredContent?.["totalCount"], 1)
 * })
 *
 * const Store = Layer.merge(layerDirect(), Backend.layerReader).pipe(Layer.provide(Backend.layerMemory()))
 * await Effect.runPromise(Effect.provide(program, Layer.provideMerge(EventTools.layer(), Store)))
 * ```
 *
 * @category services
 * @since 0.2.0
 */
export class EventTools extends Context.Service<
  EventTools,
  {
    readonly tools: ReadonlyArray<Definition>
    /** Never fails: what goes wrong is a result with `isError`. An unknown name is answered with those that are known. */
    readonly executeTool: (name: string, args?: unknown) => Effect.Effect<ToolResult>
  }
>()("@tidings/mcp/EventTools") {}

/**
 * The shape of the service.
 *
 * @category models
 * @since 0.2.0
 */
export type Service = EventTools["Service"]

const kindAsWritten = (written: string): string => written

interface Called {
  readonly tool: Definition
  readonly call: (args: unknown, now: Timestamp.Micros) => Effect.Effect<ToolResult, BackendError | Wrong>
}

const reading = <A, E>(
  read: Result.Result<A, ReadonlyArray<string>>,
  run: (given: A) => Effect.Effect<ToolResult, E>
): Effect.Effect<ToolResult, E | Wrong> =>
  Result.isSuccess(read) ? run(read.success) : Effect.fail(new Wrong({ wrong: read.failure }))

const unknown = (name: unknown, names: ReadonlyArray<string>): ToolResult => {
  const meant = typeof name === "string" ? Suggestion.nearest(name, names) : undefined
  const hint = meant === undefined ? "" : ` (did you mean ${meant}?)`
  return failures.result(`There is no tool ${text.show(name)}${hint}, expected one of ${names.join(", ")}`)
}

/**
 * The tools over the reader of a store.
 *
 * @category constructors
 * @since 0.2.0
 */
export const make = (options: Options = {}): Effect.Effect<Service, never, EventReader> =>
  EventReader.useSync((reader) => {
    const { closing = Effect.never, kindOf = kindAsWritten, namespace, record } = options
    const defaults = { namespace, kindOf, closing }
    const watch = sharedWatch.make(reader)

    const called = new Map<string, Called>()
    const add = (tool: Definition, call: Called["call"]) => called.set(tool.name, { tool, call })
    add(eventsTool.definition, (args, now) =>
      reading(fields.read(eventsTool.argumentsOf, args, now), (given) => eventsTool.run(reader, watch, given, defaults))
    )
    add(summaryTool.definition, (args, now) =>
      reading(fields.read(summaryTool.argumentsOf, args, now), (given) => summaryTool.run(reader, given, defaults))
    )
    if (record !== undefined) {
      add(recordTool.definition, (args, now) =>
        reading(fields.read(recordTool.argumentsOf, args, now, recordTool.REQUIRED), (given) =>
          recordTool.run(record, given, kindOf)
        )
      )
    }

    return EventTools.of({
      tools: [...called.values()].map(({ tool }) => tool),
      executeTool: (name, args) =>
        Clock.clockWith((clock) => {
          const tool = called.get(name)
          if (tool === undefined) return Effect.succeed(unknown(name, [...called.keys()]))
          return tool.call(args, Timestamp.now(clock)).pipe(
            Effect.catchTags({
              Wrong: ({ wrong }) => Effect.succeed(failures.ofArguments(name, wrong)),
              BackendError: (error) => Effect.succeed(failures.ofBackend(error, reader.mode))
            })
          )
        })
    })
  })

/**
 * The tools as a layer over the reader of a store (`Backend.layerReader` makes it of any backend).
 *
 * @category layers
 * @since 0.2.0
 */
export const layer = (options?: Options): Layer.Layer<EventTools, never, EventReader> =>
  Layer.effect(EventTools, make(options))

/**
 * The same with the tool `record_event`, over the recorder of the host, which checks what it is given.
 *
 * @category layers
 * @since 0.2.0
 */
export const layerRecording = (
  options?: Omit<Options, "record">
): Layer.Layer<EventTools, never, EventReader | Recorder> =>
  Layer.effect(
    EventTools,
    Recorder.use(({ record }) => make({ ...options, record }))
  )
