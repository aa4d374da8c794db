/**
 * The output formats: what `-o` takes, and how events become text.
 *
 * @internal
 */
import { type ClusterRef, type Event, type EventBody, namespaceOf } from "@tidings/core/Event"
import * as EventJson from "@tidings/core/EventJson"
import type { Coverage, Cursor, Incomplete } from "@tidings/core/EventQuery"
import * as EventSummary from "@tidings/core/EventSummary"
import * as Timestamp from "@tidings/core/Timestamp"
import type { Micros } from "@tidings/core/Timestamp"
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

const timeOf = (time: Micros | "now" | "unknown"): string => (typeof time === "number" ? Timestamp.format(time) : time)

/**
 * For which time the history of each store is complete, in a document.
 *
 * @internal
 */
export const coverage = (all: ReadonlyArray<Coverage>): ReadonlyArray<unknown> =>
  all.map(({ gaps, name, since, store, until }) => ({
    store,
    ...(name === undefined ? undefined : { name }),
    since: timeOf(since),
    until: timeOf(until),
    gaps: gaps.map(({ from, reason, to }) => ({
      ...(from === undefined ? undefined : { from: Timestamp.format(from) }),
      ...(to === undefined ? undefined : { to: Timestamp.format(to) }),
      reason
    }))
  }))

/**
 * The answer of `list` as one document: a Kubernetes `EventList` with fields of our own beside its `metadata`: how many match,
 * where the answer ends, from when to when each store's history is complete, and what did not answer.
 *
 * @internal
 */
export const document = (page: {
  readonly events: ReadonlyArray<Event>
  readonly total: number
  readonly searched?: { readonly events: number; readonly of: number } | undefined
  readonly cursor?: Cursor | undefined
  readonly coverage?: ReadonlyArray<Coverage> | undefined
  readonly incomplete?: ReadonlyArray<Incomplete> | undefined
}): unknown => {
  const { searched } = page
  const remaining = page.total - page.events.length
  return {
    apiVersion: "v1",
    kind: "EventList",
    metadata: remaining > 0 ? { remainingItemCount: remaining } : {},
    // Of a search that ended early it is not known how many match.
    total: searched !== undefined && searched.events < searched.of ? undefined : page.total,
    searched,
    cursor: page.cursor,
    coverage: page.coverage === undefined ? undefined : coverage(page.coverage),
    incomplete: page.incomplete?.map(({ reason, store }) => ({ store, reason })),
    items: page.events.map(EventJson.toStoredObject)
  }
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
  readonly time: "age" | "clock" | "utc"
  /** Left out where every row would say the same. */
  readonly namespace: boolean
  /** Whether the events are of several clusters. */
  readonly cluster: boolean
  /** Whether there is a line with the titles; yes unless given. */
  readonly titles?: boolean | undefined
  readonly colours: Colours
  /** The columns of the terminal; absent where the output is no terminal. */
  readonly room?: number | undefined | (() => number | undefined)
}

/** @internal */
export const objectOf = (event: Event): string =>
  escape.line(`${event.event.involvedObject.kind}/${event.event.involvedObject.name}`)

/**
 * The cluster of an event by its name, else its id; nothing of one that was copied from none.
 *
 * @internal
 */
export const clusterOf = ({ cluster }: Pick<Event, "cluster">): string =>
  escape.line(cluster === undefined ? "" : (cluster.name ?? cluster.id))

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

/**
 * The same events of several series as one each, with the sum of their counts, for a table. What was last seen longest ago
 * comes first.
 *
 * @internal
 */
export const grouped = (events: ReadonlyArray<Event>): ReadonlyArray<Event> => {
  const rows = EventSummary.rows(events)
  if (rows.length === events.length) return events
  return rows.map(({ count, first, last, newest, series }) => {
    if (series === 1) return newest
    const { object: _, ...rest } = newest
    return { ...rest, count, first, last }
  })
}

/** @internal */
export const events = (options: TableOptions): table.Table<Event> => {
  const { colours, format, now, time } = options
  const nowOf = typeof now === "number" ? () => now : now
  const at = (micros: Micros): string =>
    time === "age" ? age.ago(micros, nowOf()) : time === "utc" ? age.utc(micros) : age.clock(micros, nowOf())
  const warn = (text: string, event: Event): string => (event.event.type === "Warning" ? colours.warning(text) : text)
  const wide = format === "wide"
  const columns: ReadonlyArray<table.Column<Event>> = [
    ...(options.cluster ? [{ title: "CLUSTER", cell: clusterOf, paint: colours.faint }] : []),
    ...(options.namespace || wide
      ? [{ title: "NAMESPACE", cell: (event: Event) => escape.line(namespaceOf(event)), paint: colours.faint }]
      : []),
    {
      title: time === "clock" ? "TIME" : "LAST SEEN",
      cell: (event) =>
        wide || event.count === 1
          ? at(event.last)
          : `${at(event.last)} (×${event.count} over ${age.length(nowOf() - beginningOf(event))})`
    },
    ...(wide
      ? [
          { title: "FIRST SEEN", cell: ({ first }: Event) => at(first) },
          { title: "COUNT", cell: ({ count }: Event) => String(count) }
        ]
      : []),
    { title: "TYPE", cell: ({ event }) => escape.line(event.type), paint: warn },
    { title: "REASON", cell: ({ event }) => escape.line(event.reason), paint: warn },
    { title: "OBJECT", cell: objectOf, paint: (text, event) => colours.own(objectOf(event), text) },
    ...(wide
      ? [
          { title: "SUBOBJECT", cell: ({ event }: Event) => escape.line(event.involvedObject.fieldPath ?? "") },
          { title: "SOURCE", cell: ({ event }: Event) => sourceOf(event) },
          { title: "NAME", cell: ({ name }: Event) => escape.line(name) }
        ]
      : []),
    { title: "MESSAGE", cell: ({ event }) => escape.message(event.message) }
  ]
  return table.make(columns, {
    room: wide ? undefined : options.room,
    paintTitle: colours.strong,
    titles: options.titles
  })
}

// ---------------------------------------------------------------------------
// one event in full
// ---------------------------------------------------------------------------

const clusterText = ({ id, name }: ClusterRef): string => (name === undefined ? id : `${name} (${id})`)

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
  const { apiVersion, fieldPath, namespace, uid } = body.involvedObject
  const isElsewhere = namespace !== namespaceOf(event)
  const optional = (name: string, value: string | undefined): ReadonlyArray<readonly [string, string]> =>
    value === undefined ? [] : [[name, value]]
  const each = (
    name: string,
    values: Readonly<Record<string, string>> = {}
  ): ReadonlyArray<readonly [string, string]> => Object.entries(values).map(([key, value]) => [name, `${key}=${value}`])
  const rows: ReadonlyArray<readonly [string, string]> = [
    ["Name", event.name],
    ["Id", object.id],
    ["Namespace", namespaceOf(event)],
    ...optional("Cluster", event.cluster === undefined ? undefined : clusterText(event.cluster)),
    ["Object", objectOf(event)],
    ...optional("Object namespace", isElsewhere ? namespace : undefined),
    ...optional("API version", apiVersion),
    ...optional("Object uid", uid),
    ...optional("Field path", fieldPath),
    ...optional("Related", body.related && `${body.related.kind}/${body.related.name}`),
    ["Type", body.type],
    ["Reason", body.reason],
    ["Action", body.action],
    ["Message", body.message.trim()],
    ...optional("Count", event.count > 1 ? String(event.count) : undefined),
    ...optional("First seen", event.count > 1 ? seen(event.first) : undefined),
    ["Last seen", seen(event.last)],
    [
      "Source",
      body.source.host === undefined ? body.source.component : `${body.source.component}, ${body.source.host}`
    ],
    ["Reported by", `${body.reportingController}, ${body.reportingInstance}`],
    ...each("Label", body.labels),
    ...each("Annotation", event.annotations)
  ]
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
