/**
 * The output formats: what `-o` takes, and how events become text.
 *
 * @internal
 */
import { type Event, type EventBody, namespaceOf } from "@tidings/core/Event"
import * as EventJson from "@tidings/core/EventJson"
import type { Coverage, Cursor, Incomplete } from "@tidings/core/EventQuery"
import * as Timestamp from "@tidings/core/Timestamp"
import type { Micros } from "@tidings/core/Timestamp"
import { Document, visit } from "yaml"
import * as age from "./age.ts"
import type { Colours } from "./colour.ts"
import * as escape from "./escape.ts"
import * as table from "./table.ts"

/** @internal */
export const FORMATS = ["table", "wide", "json", "ndjson", "yaml"] as const

/** @internal */
export type Format = (typeof FORMATS)[number]

// ---------------------------------------------------------------------------
// documents
// ---------------------------------------------------------------------------

/** @internal */
export const json = (value: unknown): string => escape.block(JSON.stringify(value, undefined, 2))

/**
 * One event as its store has it, on a line.
 *
 * @internal
 */
export const jsonLine = (event: Event): string => escape.line(JSON.stringify(EventJson.toStoredObject(event)))

/** @internal */
export const yaml = (value: unknown): string => {
  // Readers of YAML 1.1 take a bare `no` for false; `compat` quotes what they would misread.
  const document = new Document(value, { compat: "yaml-1.1", aliasDuplicateObjects: false })
  visit(document, {
    Scalar: (_, node) => {
      // Only between double quotes can a control character be written out and still be the same text.
      if (typeof node.value === "string" && escape.block(node.value) !== node.value) node.type = "QUOTE_DOUBLE"
    }
  })
  return escape.block(document.toString({ lineWidth: 0 }).trimEnd())
}

/**
 * One event, alone.
 *
 * @internal
 */
export const one = (format: "json" | "ndjson" | "yaml", event: Event): string => {
  switch (format) {
    case "json":
      return json(EventJson.toStoredObject(event))
    case "ndjson":
      return EventJson.encode(event)
    case "yaml":
      return yaml(EventJson.toStoredObject(event))
  }
}

const timeOf = (time: Micros | "now" | "unknown"): string => (typeof time === "number" ? Timestamp.format(time) : time)

/**
 * The answer of `list` as one document: a Kubernetes `EventList` with fields of our own beside its `metadata`: how many match,
 * where the answer ends, from when to when each store's history is complete, and what did not answer.
 *
 * @internal
 */
export const list = (
  format: "json" | "yaml",
  page: {
    readonly events: ReadonlyArray<Event>
    readonly total: number
    readonly cursor?: Cursor | undefined
    readonly coverage?: ReadonlyArray<Coverage> | undefined
    readonly incomplete?: ReadonlyArray<Incomplete> | undefined
  }
): string => {
  const remaining = page.total - page.events.length
  const value = {
    apiVersion: "v1",
    kind: "EventList",
    metadata: remaining > 0 ? { remainingItemCount: remaining } : {},
    total: page.total,
    cursor: page.cursor,
    coverage: page.coverage?.map(({ gaps, since, store, until }) => ({
      store,
      since: timeOf(since),
      until: timeOf(until),
      gaps: gaps.map(({ from, reason, to }) => ({
        ...(from === undefined ? undefined : { from: Timestamp.format(from) }),
        ...(to === undefined ? undefined : { to: Timestamp.format(to) }),
        reason
      }))
    })),
    incomplete: page.incomplete?.map(({ reason, store }) => ({ store, reason })),
    items: page.events.map(EventJson.toStoredObject)
  }
  return format === "json" ? json(value) : yaml(value)
}

// ---------------------------------------------------------------------------
// tables
// ---------------------------------------------------------------------------

/** @internal */
export interface TableOptions {
  readonly format: "table" | "wide"
  /** Ages count from it; a function where lines come in over time. */
  readonly now: Micros | (() => Micros)
  /** Ages of a line that stands still grow wrong, so what is followed gets the time of day. */
  readonly time: "age" | "clock"
  /** Left out where every row would say the same. */
  readonly namespace: boolean
  readonly colours: Colours
  /** The columns of the terminal; absent where the output is no terminal. */
  readonly room?: number | undefined
}

/** @internal */
export const objectOf = (event: Event): string =>
  escape.line(`${event.event.involvedObject.kind}/${event.event.involvedObject.name}`)

/** As kubectl counts: from the `eventTime`, where there is one, until now. */
const beginningOf = ({ first, object }: Event): Micros => {
  const eventTime = object?.["eventTime"]
  return (typeof eventTime === "string" ? Timestamp.parse(eventTime) : undefined) ?? first
}

/** As kubectl has it: each half falls back by itself. */
const sourceOf = ({ reportingController, reportingInstance, source }: EventBody): string => {
  const component = source.component === "" ? reportingController : source.component
  const instance = source.host === undefined || source.host === "" ? reportingInstance : source.host
  return escape.line(instance === "" ? component : `${component}, ${instance}`)
}

/** @internal */
export const events = (options: TableOptions): table.Table<Event> => {
  const { colours, format, now, time } = options
  const nowOf = typeof now === "number" ? () => now : now
  const at = (micros: Micros): string => (time === "age" ? age.ago(micros, nowOf()) : age.clock(micros, nowOf()))
  const warn = (text: string, event: Event): string => (event.event.type === "Warning" ? colours.warning(text) : text)
  const wide = format === "wide"
  const columns: Array<table.Column<Event>> = []
  if (options.namespace || wide) {
    columns.push({
      title: "NAMESPACE",
      cell: (event) => escape.line(namespaceOf(event)),
      paint: (text) => colours.faint(text)
    })
  }
  columns.push({
    title: time === "age" ? "LAST SEEN" : "TIME",
    cell: (event) =>
      wide || event.count === 1
        ? at(event.last)
        : `${at(event.last)} (x${event.count} over ${age.length(nowOf() - beginningOf(event))})`
  })
  if (wide) {
    columns.push(
      { title: "FIRST SEEN", cell: (event) => at(event.first) },
      { title: "COUNT", cell: (event) => String(event.count) }
    )
  }
  columns.push(
    { title: "TYPE", cell: ({ event }) => escape.line(event.type), paint: warn },
    { title: "REASON", cell: ({ event }) => escape.line(event.reason), paint: warn },
    { title: "OBJECT", cell: objectOf }
  )
  if (wide) {
    columns.push(
      { title: "SUBOBJECT", cell: ({ event }) => escape.line(event.involvedObject.fieldPath ?? "") },
      { title: "SOURCE", cell: ({ event }) => sourceOf(event) },
      { title: "NAME", cell: ({ name }) => escape.line(name) }
    )
  }
  columns.push({ title: "MESSAGE", cell: ({ event }) => escape.message(event.message) })
  return table.make(columns, { room: wide ? undefined : options.room, paintTitle: colours.strong })
}

// ---------------------------------------------------------------------------
// one event in full
// ---------------------------------------------------------------------------

const dataLine = (key: string, value: unknown): string =>
  `  ${escape.line(key)}: ${escape.line(typeof value === "string" ? value : JSON.stringify(value))}`

/** @internal */
export const card = (event: Event, options: { readonly now: Micros; readonly colours: Colours }): string => {
  const { colours, now } = options
  const body = event.event
  const object = EventJson.toObject(event)
  // Name and namespace are the object's, which stands above.
  const { arguments: argumentsOf, name: _, namespace: __, ...data } = object.data
  const seen = (at: Micros): string => `${age.local(at)} (${at > now ? age.ago(at, now) : `${age.ago(at, now)} ago`})`
  const rows: Array<readonly [string, string]> = [
    ["Name", event.name],
    ["Id", object.id],
    ["Namespace", namespaceOf(event)],
    ["Object", objectOf(event)]
  ]
  const { apiVersion, fieldPath, namespace, uid } = body.involvedObject
  if (namespace !== undefined && namespace !== namespaceOf(event)) rows.push(["Object namespace", namespace])
  if (apiVersion !== undefined) rows.push(["API version", apiVersion])
  if (uid !== undefined) rows.push(["Object uid", uid])
  if (fieldPath !== undefined) rows.push(["Field path", fieldPath])
  if (body.related !== undefined) rows.push(["Related", `${body.related.kind}/${body.related.name}`])
  rows.push(["Type", body.type], ["Reason", body.reason], ["Action", body.action], ["Message", body.message.trim()])
  if (event.count > 1) rows.push(["Count", String(event.count)], ["First seen", seen(event.first)])
  rows.push(
    ["Last seen", seen(event.last)],
    [
      "Source",
      body.source.host === undefined ? body.source.component : `${body.source.component}, ${body.source.host}`
    ],
    ["Reported by", `${body.reportingController}, ${body.reportingInstance}`]
  )
  for (const [key, value] of Object.entries(body.labels ?? {})) rows.push(["Label", `${key}=${value}`])
  for (const [key, value] of Object.entries(event.annotations ?? {})) rows.push(["Annotation", `${key}=${value}`])
  const label = Math.max(...rows.map(([name]) => name.length)) + 1
  const lines = rows.map(([name, value]) => {
    const text = escape.line(value)
    const painted = name === "Type" && body.type === "Warning" ? colours.warning(text) : text
    return `${colours.strong(`${name}:`)}${" ".repeat(label - name.length)}${painted}`
  })
  const extra = Object.entries((argumentsOf ?? {}) as object).map(([key, value]) => dataLine(`arguments.${key}`, value))
  const fields = [...Object.entries(data).map(([key, value]) => dataLine(key, value)), ...extra]
  if (fields.length > 0) lines.push(colours.strong("Data:"), ...fields)
  return lines.join("\n")
}
