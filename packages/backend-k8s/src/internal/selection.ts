/**
 * Filters as the API server takes them.
 */
import type { EventFilter } from "@tidings/core/EventQuery"
import type { Permission } from "./answer.ts"
import * as syntax from "./syntax.ts"

const escapeValue = (value: string): string => value.replace(/[\\,=]/g, "\\$&")

/**
 * The part of a filter that the server can apply. Times, API groups and identities are not in it, and are compared here.
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
  // Nothing is in a namespace that cannot be one; see collectionOf.
  if (filter.namespace !== undefined && !syntax.isNamespaceName(filter.namespace)) {
    equal("metadata.namespace", filter.namespace)
  }
  return terms.join(",")
}

/**
 * The collection to read for a filter: one namespace, or all. In a namespace of a name that none can have there are no
 * events, wherever one looks.
 *
 * @internal
 */
export const collectionOf = (
  filter: EventFilter
): { readonly path: string; readonly namespace: string | undefined } => {
  if (filter.namespace === undefined) return { path: "/api/v1/events", namespace: undefined }
  const namespace = syntax.isNamespaceName(filter.namespace) ? filter.namespace : "default"
  return { path: `/api/v1/namespaces/${namespace}/events`, namespace }
}

/** @internal */
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
