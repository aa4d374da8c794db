/**
 * What of an event stands in columns, so that filters find it by an index.
 */
import { type Event, namespaceOf, type Write } from "@tidings/core/Event"
import * as EventId from "@tidings/core/EventId"
import * as EventJson from "@tidings/core/EventJson"
import * as EventQuery from "@tidings/core/EventQuery"
import * as ObjectReference from "@tidings/core/ObjectReference"
import type { PgClient } from "@effect/sql-pg/PgClient"
import type { Fragment } from "effect/sql/Statement"
import { createHash } from "node:crypto"

/** The longest text of a column in characters: an entry of an index has at most 2,704 bytes, and some have two texts. */
const LONGEST = 250

/** PostgreSQL has no text with the character NUL, and none that is no Unicode. */
const storable = (text: string): string =>
  /[\0\ud800-\udfff]/.test(text) ? text.toWellFormed().replaceAll("\0", "\ufffd") : text

/**
 * The text that stands for a value in a column and in a filter: itself, or, where it is too long for an index, how it begins and
 * its SHA-256. The event itself has the value whole.
 */
export const keyOf = (value: string): string => {
  const text = storable(value)
  if (text.length <= LONGEST) return text
  return `${text.slice(0, 150).toWellFormed()} sha256:${createHash("sha256").update(text).digest("hex")}`
}

/** Between the labels of an event in a parameter: no label that is written has it. */
const SEPARATOR = "\u0001"

/** A label as one text. */
export const labelOf = (key: string, value: string): string => keyOf(`${key}=${value}`).replaceAll(SEPARATOR, "\ufffd")

/** What is searched for a text. */
export const searchable = (message: string): string => EventQuery.foldCase(storable(message))

/** The event as a store answers it. */
const eventOf = (write: Write): Event => ({
  ...write,
  name: EventId.objectName(write.id, write.event.involvedObject.name),
  namespace: namespaceOf(write)
})

/** One array for each column, as `unnest` takes them. */
export interface Columns {
  readonly cluster: Array<string>
  readonly clusterName: Array<string>
  readonly origin: Array<string>
  readonly seq: Array<bigint>
  readonly upTo: Array<bigint>
  readonly last: Array<bigint>
  readonly kind: Array<string>
  readonly objectName: Array<string>
  readonly objectNamespace: Array<string>
  readonly apiGroup: Array<string>
  readonly namespace: Array<string>
  readonly name: Array<string>
  readonly reason: Array<string>
  readonly type: Array<string>
  readonly source: Array<string>
  readonly labels: Array<string>
  readonly message: Array<string>
  readonly event: Array<string>
}

/** What `write` needs of an event, as it goes over the wire. What is copied has the name that its store gave it. */
export const columnsOf = (
  batch: ReadonlyArray<Write & { readonly name?: string }>,
  lines: ReadonlyArray<string>
): Columns => {
  const columns: Columns = {
    cluster: [],
    clusterName: [],
    origin: [],
    seq: [],
    upTo: [],
    last: [],
    kind: [],
    objectName: [],
    objectNamespace: [],
    apiGroup: [],
    namespace: [],
    name: [],
    reason: [],
    type: [],
    source: [],
    labels: [],
    message: [],
    event: []
  }
  for (const [index, write] of batch.entries()) {
    const { cluster, event, id, last, upTo } = write
    const { involvedObject, labels } = event
    columns.cluster.push(keyOf(cluster?.id ?? ""))
    columns.clusterName.push(keyOf(cluster?.name ?? ""))
    columns.origin.push(keyOf(id.origin))
    columns.seq.push(BigInt(id.seq))
    columns.upTo.push(BigInt(upTo))
    columns.last.push(BigInt(last))
    columns.kind.push(keyOf(involvedObject.kind))
    columns.objectName.push(keyOf(involvedObject.name))
    columns.objectNamespace.push(keyOf(involvedObject.namespace ?? ""))
    columns.apiGroup.push(keyOf(ObjectReference.groupOf(involvedObject)))
    columns.namespace.push(keyOf(namespaceOf(write)))
    columns.name.push(keyOf(write.name ?? EventId.objectName(id, involvedObject.name)))
    columns.reason.push(keyOf(event.reason))
    columns.type.push(keyOf(event.type))
    columns.source.push(keyOf(event.source.component))
    columns.labels.push(
      labels === undefined
        ? ""
        : Object.entries(labels)
            .map(([key, value]) => labelOf(key, value))
            .join(SEPARATOR)
    )
    columns.message.push(searchable(event.message))
    columns.event.push(lines[index]!)
  }
  return columns
}

/** The event as it is stored: the line that an event log has of it. */
export const lineOf = (write: Write): string => EventJson.encode(eventOf(write))

/** Tells series apart. */
export const seriesOf = ({ cluster, id }: Write): string => `${id.origin} ${id.seq} ${cluster?.id ?? ""}`

// ---------------------------------------------------------------------------
// statements
// ---------------------------------------------------------------------------

/** The columns of a batch as arguments of `unnest`, in the order of `UNNESTED`. */
export const argumentsOf = (sql: PgClient, c: Columns): Fragment => sql`
  ${c.cluster}::text[], ${c.clusterName}::text[], ${c.origin}::text[], ${c.seq}::bigint[], ${c.upTo}::bigint[],
  ${c.last}::bigint[], ${c.kind}::text[], ${c.objectName}::text[], ${c.objectNamespace}::text[], ${c.apiGroup}::text[],
  ${c.namespace}::text[], ${c.name}::text[], ${c.reason}::text[], ${c.type}::text[], ${c.source}::text[],
  ${c.labels}::text[], ${c.message}::text[], ${c.event}::text[]`

/** The names of these columns in a statement. */
export const UNNESTED =
  "cluster, cluster_name, origin, seq, up_to, last, kind, object_name, object_namespace, api_group, namespace, name, " +
  "reason, type, source, labels, message, event"

/** What tells series apart in `current`. */
const KEY = ["origin", "seq", "cluster"]

/** The columns of `current` that change with each state of a series. */
const CHANGING = (
  "cluster_name up_to position day last kind object_name object_namespace api_group namespace name reason type source labels " +
  "message"
).split(" ")

/** Values that are not spelled in a parameter as they are stored. */
const VALUES: ReadonlyMap<string, string> = new Map([
  ["cluster_name", "nullif(cluster_name, '')"],
  ["labels", "string_to_array(nullif(labels, ''), chr(1))"]
])

/**
 * The parts of a statement that puts unnested rows, which have a `position` and a `day`, into `current`; `more` are changing columns
 * beside those of each state.
 */
export const intoCurrent = (sql: PgClient, more: ReadonlyArray<string> = []) => {
  const changing = [...CHANGING, ...more]
  const names = [...KEY, ...changing]
  return {
    key: sql.literal(KEY.join(", ")),
    names: sql.literal(names.join(", ")),
    values: sql.literal(names.map((name) => VALUES.get(name) ?? name).join(", ")),
    assignments: sql.literal(changing.map((name) => `${name} = excluded.${name}`).join(", "))
  }
}
