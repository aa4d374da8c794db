import { assert } from "@effect/vitest"
import * as Backend from "@tidings/core/Backend"
import type { Write } from "@tidings/core/Event"
import type { BackendError } from "@tidings/core/BackendError"
import type { WatchFrom, WatchItem } from "@tidings/core/EventQuery"
import { EventReader } from "@tidings/core/EventReader"
import * as EventTools from "@tidings/mcp/EventTools"
import type { JsonSchema, ToolResult } from "@tidings/mcp/Tool"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"

/** Microseconds of 2026-11-28T03:00:00Z. */
export const START = Date.UTC(2026, 10, 28, 3) * 1_000

export interface Given {
  readonly kind?: string
  readonly name?: string
  readonly namespace?: string
  readonly reason?: string
  readonly type?: string
  readonly message?: string
  readonly count?: number
  readonly at?: number
  readonly source?: string
}

/** The state of a series, a second after the one of the number before. */
export const write = (seq: number, given: Given = {}): Write => {
  const {
    at = START + seq * 1_000_000,
    count = 1,
    kind = "Workflow",
    message = `message ${seq}`,
    name = "deploy",
    namespace = "default",
    reason = "WorkflowFailed",
    source = "test",
    type = "Warning"
  } = given
  return {
    id: { origin: "00000000000000000000000000000001", seq },
    upTo: seq,
    count,
    first: at,
    last: at,
    event: {
      involvedObject: { kind, name, namespace },
      reason,
      type,
      action: reason,
      message,
      data: {},
      source: { component: source },
      reportingController: source,
      reportingInstance: `${source}-0`
    }
  }
}

/** Tools over a backend in memory, and the backend. */
export const layer = (
  options?: EventTools.Options
): Layer.Layer<EventTools.EventTools | Backend.Backend | EventReader> =>
  EventTools.layer(options).pipe(Layer.provideMerge(Backend.layerReader), Layer.provideMerge(Backend.layerMemory()))

type Items = Stream.Stream<WatchItem, BackendError>

/** Tools over a backend in memory whose watches are counted, and changed by a test. */
export const observed = (change: (items: Items, from: WatchFrom) => Items = (items) => items) => {
  const seen = { queries: 0, opened: 0, open: 0 }
  const reader = Layer.effect(
    EventReader,
    Effect.map(Backend.Backend, (backend) => ({
      ...backend,
      query: (query) => {
        seen.queries++
        return backend.query(query)
      },
      watch: (filter, from) =>
        Stream.suspend(() => {
          seen.opened++
          seen.open++
          return Stream.ensuring(
            change(backend.watch(filter, from), from),
            Effect.sync(() => seen.open--)
          )
        })
    }))
  )
  const tools = EventTools.layer().pipe(Layer.provideMerge(reader), Layer.provideMerge(Backend.layerMemory()))
  return { seen, layer: tools }
}

export const store = (...writes: ReadonlyArray<Write>) => Backend.Backend.use((backend) => backend.write(writes))

/** What a value has that its schema does not allow; of JSON Schema, what the tools use. */
export const violations = (schema: JsonSchema, value: unknown, path = "$"): ReadonlyArray<string> => {
  const {
    enum: values,
    items,
    properties = {},
    required = [],
    type
  } = schema as {
    readonly enum?: ReadonlyArray<unknown>
    readonly items?: JsonSchema
    readonly properties?: { readonly [name: string]: JsonSchema }
    readonly required?: ReadonlyArray<string>
    readonly type: string
  }
  if (values !== undefined && !values.includes(value)) return [`${path} is none of ${values.join()}`]
  switch (type) {
    case "string":
      return typeof value === "string" ? [] : [`${path} is no text`]
    case "integer":
      return Number.isSafeInteger(value) ? [] : [`${path} is no whole number`]
    case "array":
      if (!Array.isArray(value)) return [`${path} is no array`]
      return value.flatMap((one, index) => violations(items ?? {}, one, `${path}[${index}]`))
    default: {
      if (typeof value !== "object" || value === null) return [`${path} is no object`]
      const missing = required.filter((name) => !Object.hasOwn(value, name)).map((name) => `${path}.${name} is missing`)
      const found = Object.entries(value).flatMap(([name, one]) =>
        properties[name] === undefined
          ? [`${path}.${name} is not declared`]
          : violations(properties[name], one, `${path}.${name}`)
      )
      return [...missing, ...found]
    }
  }
}

/** Calls a tool, and holds its answer to the schema that it declares. */
export const call = (name: string, args?: unknown) =>
  EventTools.EventTools.use(({ executeTool, tools }) =>
    Effect.map(executeTool(name, args), (result) => {
      const schema = tools.find((tool) => tool.name === name)?.outputSchema
      if (result.isError !== true && schema !== undefined) {
        assert.deepStrictEqual(violations(schema, result.structuredContent), [])
      }
      return result
    })
  )

export interface Answer {
  readonly events: ReadonlyArray<{ readonly [field: string]: unknown }>
  readonly totalCount: number
  readonly cursor?: string
  readonly next?: string
  readonly coverage?: ReadonlyArray<unknown>
  readonly gaps?: ReadonlyArray<unknown>
  readonly notes: ReadonlyArray<string>
}

/** The structured answer of a call that went well. */
export const answer = (result: ToolResult): Answer => {
  if (result.isError === true || result.structuredContent === undefined) throw new Error(textOf(result))
  return result.structuredContent as unknown as Answer
}

export const events = (args?: unknown) => Effect.map(call("events", args), answer)

export const textOf = ({ content }: ToolResult): string => content.map(({ text }) => text).join("\n")

export const messages = ({ events }: Answer): ReadonlyArray<unknown> => events.map(({ message }) => message)

export const bytes = (result: ToolResult): number => Buffer.byteLength(JSON.stringify(result))
