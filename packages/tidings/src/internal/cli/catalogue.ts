/**
 * The kinds and reasons that the command knows by name.
 *
 * @internal
 */
import type { EventType } from "@tidings/core/Event"
import type { Kinds } from "@tidings/core/EventCatalogue"
import * as EventData from "@tidings/core/EventData"
import * as samples from "./samples.ts"
import * as Suggestion from "@tidings/templates/Suggestion"
import type { FieldType } from "@tidings/templates/TemplateFields"

/** @internal */
export interface FieldTypes {
  readonly [field: string]: FieldType
}

/** @internal */
export interface KnownReason {
  readonly reason: string
  readonly kind: string
  readonly type: EventType
  readonly meaning: string
  readonly message: string
}

/** @internal */
export interface KnownKind {
  readonly kind: string
  readonly apiVersion: string
  readonly fields: FieldTypes
  readonly reasons: ReadonlyArray<KnownReason>
}

/** @internal */
export interface Catalogue {
  readonly definitions: ReadonlyArray<Kinds>
  readonly kinds: ReadonlyArray<KnownKind>
  /** Also by its plural. Upper and lower case do not matter. */
  readonly kind: (name: string) => KnownKind | undefined
  /** Upper and lower case do not matter. */
  readonly reason: (name: string) => KnownReason | undefined
  readonly nearestReason: (name: string) => string | undefined
  readonly nearestKind: (name: string) => string | undefined
  /** The data fields of a kind; of a kind that no catalogue has, those that every event may have. */
  readonly fieldsOf: (kind: string) => FieldTypes
  /** The data fields of all kinds together. */
  readonly fields: FieldTypes
  /** What help, hints and errors name as an example. */
  readonly samples: samples.Samples
}

/** As Kubernetes guesses it: `serviceclasses`, `workflows`, `policies`. */
const pluralOf = (singular: string): string =>
  singular.endsWith("s") ? `${singular}es` : singular.endsWith("y") ? `${singular.slice(0, -1)}ies` : `${singular}s`

/**
 * Of what is built in and of catalogues of a host, whose kinds come first.
 *
 * @internal
 */
export const make = (builtIn: { readonly kinds: Kinds }, own: ReadonlyArray<{ readonly kinds: Kinds }>): Catalogue => {
  const catalogues = [...own, builtIn]
  const kinds = catalogues.flatMap((catalogue) =>
    Object.entries(catalogue.kinds).map(([kind, definition]): KnownKind => ({
      kind,
      apiVersion: definition.apiVersion,
      fields: { ...EventData.fields, ...definition.fields },
      reasons: Object.entries(definition.reasons).map(([reason, { meaning, message, type }]) => ({
        reason,
        kind,
        type: type ?? "Normal",
        meaning,
        message
      }))
    }))
  )
  const reasons = kinds.flatMap((kind) => kind.reasons)
  // Of what is declared twice the first one counts: that of the host.
  const reversed = kinds.toReversed()
  const kindsByName = new Map([
    ...reversed.map((kind) => [pluralOf(kind.kind.toLowerCase()), kind] as const),
    ...reversed.map((kind) => [kind.kind.toLowerCase(), kind] as const)
  ])
  const reasonsByName = new Map(reasons.toReversed().map((reason) => [reason.reason.toLowerCase(), reason]))
  return {
    definitions: catalogues.map(({ kinds }) => kinds),
    kinds,
    kind: (name) => kindsByName.get(name.toLowerCase()),
    reason: (name) => reasonsByName.get(name.toLowerCase()),
    nearestReason: (name) =>
      Suggestion.nearest(
        name,
        reasons.map(({ reason }) => reason)
      ),
    nearestKind: (name) =>
      Suggestion.nearest(
        name,
        kinds.map(({ kind }) => kind)
      ),
    fieldsOf: (kind) => kindsByName.get(kind.toLowerCase())?.fields ?? EventData.fields,
    samples: samples.of(own),
    // What is built in has one meaning in every kind.
    fields: Object.assign({}, ...reversed.map(({ fields }) => fields), EventData.fields) as FieldTypes
  }
}
