/**
 * The part of a filter that the API server applies: a collection and a field selector.
 */
import type { EventFilter } from "@tidings/core/EventQuery"
import * as names from "./names.ts"
import type { Permission } from "./permissions.ts"

const escapeValue = (value: string): string => value.replace(/[\\,=]/g, "\\$&")

/**
 * The field selector of a filter. Times, API groups and identities have no field to select by, so they are compared here.
 *
 * @internal
 */
export const fieldSelectorOf = (filter: EventFilter): string => {
  const terms: Array<string> = []
  const equal = (field: string, value: string | undefined) => {
    if (value !== undefined) terms.push(`${field}=${escapeValue(value)}`)
  }
  equal("involvedObject.kind", filter.resourceType)
  equal("involvedObject.name", filter.resourceName)
  equal("involvedObject.namespace", filter.objectNamespace)
  equal("reason", filter.reason)
  equal("source", filter.source)
  equal("type", filter.eventType)
  equal("metadata.name", filter.name)
  // Selects nothing, as no namespace can have this name; see collectionOf.
  if (filter.namespace !== undefined && !names.isNamespaceName(filter.namespace)) {
    equal("metadata.namespace", filter.namespace)
  }
  return terms.join(",")
}

/**
 * The collection to read for a filter: one namespace, or all. Where no namespace can have the name, `default` with a field
 * selector that selects nothing.
 *
 * @internal
 */
export const collectionOf = (
  filter: EventFilter
): { readonly path: string; readonly namespace: string | undefined } => {
  if (filter.namespace === undefined) return { path: "/api/v1/events", namespace: undefined }
  const namespace = names.isNamespaceName(filter.namespace) ? filter.namespace : "default"
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
