/**
 * The part of a filter that the API server applies: a collection, a field selector and a label selector.
 */
import type { ClusterRef } from "@tidings/core/Event"
import { type EventFilter, isNothing, type ObjectSelector, onlyOf, valuesOf } from "@tidings/core/EventQuery"
import * as names from "./names.ts"
import type { Permission } from "./permissions.ts"

/**
 * What is read: the events of one namespace or of all that match a filter, and the cluster that they are in.
 *
 * @internal
 */
export interface Selection {
  /** Names one namespace or none. */
  readonly filter: EventFilter
  readonly cluster: ClusterRef
}

/** Selects nothing: no event can have this name. A text with a lone surrogate is in no event either, and no URL can hold it. */
const NOTHING = "metadata.name=-"

const escapeValue = (value: string): string => value.replace(/[\\,=]/g, "\\$&")

const objectsOf = (filter: EventFilter): ReadonlyArray<ObjectSelector> =>
  filter.object === undefined ? [] : valuesOf(filter.object)

/**
 * The field selector of a filter: fields with a single value. Sets of values, times, API groups, identities and texts in the
 * message have no selector, so they are compared here.
 *
 * @internal
 */
export const fieldSelectorOf = (filter: EventFilter): string => {
  if (isNothing(filter)) return NOTHING
  const terms: Array<string> = []
  const equal = (field: string, ...values: ReadonlyArray<string | undefined>) => {
    for (const value of new Set(values))
      if (value !== undefined) terms.push(value.isWellFormed() ? `${field}=${escapeValue(value)}` : NOTHING)
  }
  const objects = objectsOf(filter)
  equal("involvedObject.kind", onlyOf(filter.resourceType), onlyOf(objects.map(({ kind }) => kind)))
  equal("involvedObject.name", onlyOf(filter.resourceName), onlyOf(objects.map(({ name }) => name)))
  equal("involvedObject.namespace", onlyOf(filter.objectNamespace))
  equal("reason", onlyOf(filter.reason))
  equal("source", onlyOf(filter.source))
  equal("type", onlyOf(filter.eventType))
  equal("metadata.name", onlyOf(filter.name))
  const namespace = onlyOf(filter.namespace)
  // Selects nothing, as no namespace can have this name; see collectionOf.
  if (namespace !== undefined && !names.isNamespaceName(namespace)) equal("metadata.namespace", namespace)
  return terms.join(",")
}

/**
 * The label selector of a filter. Labels that Kubernetes does not accept are stored in an annotation, so they are compared here.
 *
 * @internal
 */
export const labelSelectorOf = (filter: EventFilter): string =>
  Object.entries(filter.labels ?? {})
    .filter(([key, value]) => names.isQualifiedName(key) && names.isLabelValue(value))
    .map(([key, value]) => `${key}=${value}`)
    .join(",")

/**
 * A filter without the namespaces that there cannot be: no event is in them, and asking for one would be refused.
 *
 * @internal
 */
export const withPossibleNamespaces = <A extends EventFilter>(filter: A): A => {
  if (filter.namespace === undefined) return filter
  const named = valuesOf(filter.namespace)
  return named.every(names.isNamespaceName) ? filter : { ...filter, namespace: named.filter(names.isNamespaceName) }
}

/**
 * The namespaces that a filter names, each once; none where it is about all.
 *
 * @internal
 */
export const namespacesOf = (filter: EventFilter): ReadonlyArray<string> =>
  filter.namespace === undefined ? [] : [...new Set(valuesOf(filter.namespace))].sort()

/**
 * The collection to read for a filter: one namespace, or all. Where no namespace can have the name, `default` with a field
 * selector that selects nothing.
 *
 * @internal
 */
export const collectionOf = (
  filter: EventFilter
): { readonly path: string; readonly namespace: string | undefined } => {
  const wanted = onlyOf(filter.namespace)
  if (wanted === undefined) return { path: "/api/v1/events", namespace: undefined }
  const namespace = names.isNamespaceName(wanted) ? wanted : "default"
  return { path: `/api/v1/namespaces/${namespace}/events`, namespace }
}

/**
 * A path with a query of the parameters that have a value.
 *
 * @internal
 */
export const pathOf = (path: string, parameters: Readonly<Record<string, string | undefined>>): string => {
  const query = Object.entries(parameters).flatMap(([name, value]) =>
    value === undefined || value === "" ? [] : [`${name}=${encodeURIComponent(value)}`]
  )
  return query.length === 0 ? path : `${path}?${query.join("&")}`
}

/** @internal */
export const readingPermission = (namespace: string | undefined): Permission => ({
  verbs: ["list", "watch"],
  group: "",
  resource: "events",
  namespace
})
