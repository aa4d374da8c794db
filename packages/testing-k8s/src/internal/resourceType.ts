/** What a resource is, and where its objects are stored. */
import type { EventVersion } from "./eventSchema.ts"
import type { GroupResource } from "./statuses.ts"

/** @internal */
export interface ResourceType {
  readonly group: string
  readonly version: string
  readonly plural: string
  readonly singular: string
  readonly kind: string
  readonly listKind: string
  readonly namespaced: boolean
  readonly verbs: ReadonlyArray<string>
  readonly shortNames: ReadonlyArray<string>
  readonly categories: ReadonlyArray<string>
  readonly subresources: ReadonlyArray<Subresource>
  /** From a CustomResourceDefinition. */
  readonly isCustom: boolean
}

/** @internal */
export interface Subresource {
  readonly name: string
  readonly kind: string
  readonly verbs: ReadonlyArray<string>
  /** Where the kind is of another group. */
  readonly groupVersion?: readonly [group: string, version: string] | undefined
}

/** @internal */
export const changeVerbs = ["get", "patch", "update"]

/** @internal */
export const statusOf = (kind: string): Subresource => ({ name: "status", kind, verbs: changeVerbs })

/** @internal */
export const groupVersionOf = (resource: { readonly group: string; readonly version: string }): string =>
  resource.group === "" ? resource.version : `${resource.group}/${resource.version}`

/** Where events are stored; both groups lead there. @internal */
export const eventTable = "events"

/** @internal */
export const tableOf = (resource: ResourceType): string =>
  resource.plural === "events" && (resource.group === "" || resource.group === "events.k8s.io")
    ? eventTable
    : `${resource.plural}.${resource.group}`

/** Undefined where the resource is not events. @internal */
export const eventVersionOf = (resource: ResourceType): EventVersion | undefined =>
  tableOf(resource) === eventTable ? (resource.group === "" ? "core" : "events") : undefined

/** @internal */
export const keyOf = (resource: ResourceType, namespace: string, name: string): string =>
  resource.namespaced ? `${namespace}/${name}` : name

/** @internal */
export const groupResource = (resource: ResourceType): GroupResource => ({
  group: resource.group,
  resource: resource.plural
})

/** The kind as errors of validation name it. @internal */
export const groupKind = (resource: ResourceType): { readonly group: string; readonly kind: string } => ({
  // Events are validated under their internal name, which has no group.
  group: eventVersionOf(resource) === undefined ? resource.group : "",
  kind: resource.kind
})
