/**
 * Values of a filter that nothing in the store has: what differs only in case, or in singular and plural, is taken for what the
 * store has, and for the others the nearest one is named. Loaded where a filter finds nothing.
 *
 * @internal
 */
import type { BackendError } from "@tidings/core/BackendError"
import { type Event, namespaceOf } from "@tidings/core/Event"
import { type Cursor, type EventFilter, type OneOrMore, valuesOf } from "@tidings/core/EventQuery"
import { EventReader } from "@tidings/core/EventReader"
import * as Suggestion from "@tidings/templates/Suggestion"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import * as flags from "./flags.ts"
import { DefaultNamespace } from "./session.ts"
import * as selection from "./selection.ts"
import * as words from "./words.ts"

/** The newest events, whose values are compared: reading all of a large store would take longer than a second look. */
const SAMPLE = 5_000

/** @internal */
export interface Nearest {
  /** What is meant, where a value differed only in case or number; absent where none did. */
  readonly corrected?: selection.Selected | undefined
  /** What to say of the others. */
  readonly hints: ReadonlyArray<string>
  /** What is meant, as soon as an event comes that shows it of one of the others; absent where there are none. */
  readonly later?: Effect.Effect<selection.Selected, BackendError> | undefined
}

interface Field {
  /** What messages call it. */
  readonly title: string
  readonly values: (selected: selection.Selected) => ReadonlyArray<string>
  readonly of: (event: Event) => string
  /** What there may be in any store, also where this one has none yet. */
  readonly usual?: ReadonlyArray<string>
  /** The filter for one value. */
  readonly only: (value: string) => EventFilter
  readonly replace: (selected: selection.Selected, from: string, to: string) => selection.Selected
}

const inRest = (
  title: string,
  key: "resourceName" | "namespace" | "cluster" | "eventType" | "reason" | "source",
  of: Field["of"],
  usual?: ReadonlyArray<string>
): Field => ({
  title,
  of,
  ...(usual === undefined ? undefined : { usual }),
  values: ({ rest }) => valuesOf<string>(rest[key] ?? []),
  only: (value) => ({ [key]: value }),
  replace: (selected, from, to) => {
    const values = valuesOf<string>(selected.rest[key] ?? []).map((value) => (value === from ? to : value))
    const only: OneOrMore<string> = values.length === 1 ? values[0]! : [...new Set(values)]
    return selection.make({ ...selected, rest: { ...selected.rest, [key]: only } })
  }
})

const objectOf = ({ event: { involvedObject } }: Event): string => `${involvedObject.kind}/${involvedObject.name}`

const renamed = (selected: selection.Selected, from: string, to: string): selection.Selected =>
  selection.make({
    ...selected,
    meant: selected.meant.map((one) => {
      if (textOf(one) !== from) return one
      const slash = one.name === undefined ? to.length : to.indexOf("/")
      return {
        kind: { ...one.kind, kind: to.slice(0, slash) },
        ...(one.name === undefined ? undefined : { name: to.slice(slash + 1) })
      }
    })
  })

const textOf = ({ kind, name }: selection.Meant): string => (name === undefined ? kind.kind : `${kind.kind}/${name}`)

const FIELDS: ReadonlyArray<Field> = [
  // First, because the others are looked for in the namespace that is meant.
  inRest("namespace", "namespace", namespaceOf),
  {
    title: "kind",
    values: ({ meant }) => meant.filter(({ name }) => name === undefined).map(textOf),
    of: ({ event }) => event.involvedObject.kind,
    only: (value) => ({ resourceType: value }),
    replace: renamed
  },
  {
    title: "object",
    values: ({ meant }) => meant.filter(({ name }) => name !== undefined).map(textOf),
    of: objectOf,
    only: (value) => {
      const slash = value.indexOf("/")
      return { resourceType: value.slice(0, slash), resourceName: value.slice(slash + 1) }
    },
    replace: renamed
  },
  inRest("name", "resourceName", ({ event }) => event.involvedObject.name),
  inRest("cluster", "cluster", ({ cluster }) => cluster?.name ?? cluster?.id ?? ""),
  inRest("type", "eventType", ({ event }) => event.type, flags.TYPES),
  inRest("reason", "reason", ({ event }) => event.reason),
  inRest("source", "source", ({ event }) => event.source.component)
]

/** The newest events within a filter, where they end, and which values none of them has. */
interface Sample {
  readonly events: ReadonlyArray<Event>
  readonly cursor: Cursor
  readonly unknown: Array<{ readonly field: Field; readonly value: string }>
}

/** Singular and small. */
const folded = (text: string): string =>
  text
    .toLowerCase()
    .replace(/ies$/, "y")
    .replace(/(?<=s|x|ch|sh)es$/, "")
    .replace(/(?<=[^s])s$/, "")

const isSame = (title: string, a: string, b: string): boolean => {
  if (a.toLowerCase() === b.toLowerCase()) return true
  if (title === "kind" || title === "type") return folded(a) === folded(b)
  if (title !== "object") return false
  const [aSlash, bSlash] = [a.indexOf("/"), b.indexOf("/")]
  return (
    folded(a.slice(0, aSlash)) === folded(b.slice(0, bSlash)) &&
    a.slice(aSlash).toLowerCase() === b.slice(bSlash).toLowerCase()
  )
}

/** The nearest value; of objects one of the same kind. */
const nearestOf = (title: string, value: string, known: ReadonlyArray<string>): string | undefined => {
  if (title !== "object") return Suggestion.nearest(value, known)
  const slash = value.indexOf("/") + 1
  const ofKind = known.filter((one) => isSame("kind", one.slice(0, one.indexOf("/")), value.slice(0, slash - 1)))
  const names = ofKind.map((one) => one.slice(one.indexOf("/") + 1))
  const name = Suggestion.nearest(value.slice(slash), names)
  return name === undefined ? Suggestion.nearest(value, known) : ofKind[names.indexOf(name)]
}

const count = (filter: EventFilter): Effect.Effect<number, BackendError, EventReader> =>
  EventReader.use((reader) => Effect.map(reader.query({ ...filter, limit: 0 }), ({ totalCount }) => totalCount))

const hintOf = Effect.fnUntraced(function* (
  field: Field,
  value: string,
  known: ReadonlyArray<string>,
  within: EventFilter
): Effect.fn.Return<string | undefined, BackendError, EventReader> {
  const nearest = nearestOf(field.title, value, known)
  if (nearest === undefined) return undefined
  const found = yield* count({ ...within, ...field.only(nearest) })
  const missing = field.title === "object" ? value : `${field.title} ${value}`
  return `no ${missing} here; ${nearest} has ${words.counted(found, "event")}`
})

/**
 * Looks for the values of a filter of which nothing is `seen`, and for those that the store has instead.
 *
 * @internal
 */
export const find = Effect.fnUntraced(function* (
  selected: selection.Selected,
  seen: ReadonlyArray<Event>
): Effect.fn.Return<Nearest, BackendError, EventReader> {
  const reader = yield* EventReader
  const samples = new Map<EventFilter, Sample>()
  const nowhere: EventFilter = {}
  const hints: Array<string> = []
  let corrected: selection.Selected | undefined
  const insideOf = ({ rest: { namespace } }: selection.Selected): EventFilter =>
    namespace === undefined ? {} : { namespace }
  let inside = insideOf(selected)
  // A cluster has a namespace that is meant, and its other namespaces are not asked for unless they are named.
  const isOneOfMany = (yield* DefaultNamespace) !== undefined
  for (const field of FIELDS) {
    if (field.title === "namespace" && isOneOfMany) continue
    const seenValues = new Set(seen.map(field.of))
    const within = field.title === "namespace" ? nowhere : inside
    for (const value of field.values(selected)) {
      if (seenValues.has(value)) continue
      // Other filters may hide it.
      if ((yield* count({ ...within, ...field.only(value) })) > 0) continue
      let sample = samples.get(within)
      if (sample === undefined) {
        const { cursor, events } = yield* reader.query({ ...within, limit: SAMPLE })
        sample = { events, cursor, unknown: [] }
        samples.set(within, sample)
      }
      const known = [...new Set([...sample.events.map(field.of), ...(field.usual ?? [])])].filter(
        (one) => one !== "" && one !== value
      )
      const same = known.find((one) => isSame(field.title, one, value))
      if (same !== undefined) corrected = field.replace(corrected ?? selected, value, same)
      else {
        sample.unknown.push({ field, value })
        const hint = yield* hintOf(field, value, known, within)
        if (hint !== undefined) hints.push(hint)
      }
    }
    if (field.title === "namespace" && corrected !== undefined) inside = insideOf(corrected)
  }
  if (corrected !== undefined) return { corrected, hints }
  const open = [...samples].filter(([, { unknown }]) => unknown.length > 0)
  const later = Effect.raceAll(
    open.map(([within, { cursor, unknown }]) => {
      const meant = (event: Event): ReadonlyArray<selection.Selected> =>
        unknown.flatMap(({ field, value }) => {
          const shown = field.of(event)
          return shown !== value && isSame(field.title, shown, value) ? [field.replace(selected, value, shown)] : []
        })
      return reader.watch(within, cursor).pipe(
        Stream.flatMap((item) => Stream.fromIterable(item._tag === "Event" ? meant(item.event) : [])),
        Stream.runHead,
        Effect.flatMap(Option.match({ onNone: () => Effect.never, onSome: Effect.succeed }))
      )
    })
  )
  return { hints, later: open.length === 0 ? undefined : later }
})
