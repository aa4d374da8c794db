/** The objects of the server: which resources there are, what is stored, which uid a new object gets. */
import { builtInResources } from "./builtInResources.ts"
import { customResources } from "./customResources.ts"
import { apiVersions, eventText } from "./eventSchema.ts"
import { asText, at, type JsonObject, nameOf } from "./json.ts"
import type { Roles } from "./rbac.ts"
import { eventTable, eventVersionOf, groupVersionOf, keyOf, type ResourceType, tableOf } from "./resourceType.ts"
import { uuid } from "./seed.ts"
import type { Answer } from "./statuses.ts"
import type { Store } from "./store.ts"
import { formatSeconds } from "./time.ts"

/** @internal */
export interface ObjectsOptions {
  readonly store: Store
  readonly now: () => number
  /** What uids and drawn names come from: another one in another cluster. */
  readonly seed: () => number
  readonly eventTtlSeconds: number
}

const nameAlphabet = "bcdfghjklmnpqrstvwxz2456789"
const nameSuffixLength = 5

/** The JSON of an object. Items of a list carry no kind and apiVersion. @internal */
export const objectText = (resource: ResourceType, object: JsonObject, isItem = false): string => {
  const version = eventVersionOf(resource)
  if (version !== undefined) {
    return eventText(version, object, isItem)
  }
  // Those of custom resources do carry them.
  return JSON.stringify(
    isItem && !resource.isCustom ? object : { kind: resource.kind, apiVersion: groupVersionOf(resource), ...object }
  )
}

/** @internal */
export const objectAnswer = (
  status: number,
  resource: ResourceType,
  object: JsonObject,
  headers?: Answer["headers"]
): Answer => ({
  status,
  contentType: "application/json",
  body: `${objectText(resource, object)}\n`,
  headers
})

/** @internal */
export class Objects {
  readonly store: Store
  readonly #options: ObjectsOptions
  /** How often each object was created: a name that is used again after a deletion is another object. */
  readonly #lives = new Map<string, number>()
  #drawn = 0

  constructor(options: ObjectsOptions) {
    this.store = options.store
    this.#options = options
  }

  /** RFC 3339. */
  now(): string {
    return formatSeconds(this.#options.now())
  }

  resources(): ReadonlyArray<ResourceType> {
    const versionOf = (object: JsonObject): number => Number(at(object, "metadata", "resourceVersion"))
    return [
      ...builtInResources,
      ...this.store
        .all("customresourcedefinitions.apiextensions.k8s.io")
        .toSorted((left, right) => versionOf(left) - versionOf(right))
        .flatMap(customResources)
    ]
  }

  resourceOf(apiVersion: string, kind: string): ResourceType | undefined {
    return this.resources().find((resource) => resource.kind === kind && groupVersionOf(resource) === apiVersion)
  }

  roles(): Roles {
    return {
      clusterRoles: this.store.all("clusterroles.rbac.authorization.k8s.io"),
      roles: this.store.all("roles.rbac.authorization.k8s.io"),
      clusterRoleBindings: this.store.all("clusterrolebindings.rbac.authorization.k8s.io"),
      roleBindings: this.store.all("rolebindings.rbac.authorization.k8s.io")
    }
  }

  events(): ReadonlyArray<JsonObject> {
    return this.store.all(eventTable).map((event) => ({ kind: "Event", apiVersion: apiVersions.core, ...event }))
  }

  namespace(name: string): JsonObject | undefined {
    return this.store.get("namespaces.", name)
  }

  get(resource: ResourceType, namespace: string, name: string): JsonObject | undefined {
    return this.store.get(tableOf(resource), keyOf(resource, namespace, name))
  }

  /** Creates or replaces it. Returns it with its new resourceVersion. */
  write(resource: ResourceType, object: JsonObject): JsonObject {
    const table = tableOf(resource)
    const key = keyOf(resource, asText(at(object, "metadata", "namespace")), nameOf(object))
    if (this.store.get(table, key) === undefined) {
      const id = `${table} ${key}`
      this.#lives.set(id, (this.#lives.get(id) ?? 0) + 1)
    }
    return this.store.put(table, key, object, table === eventTable ? this.#options.eventTtlSeconds : undefined)
  }

  remove(resource: ResourceType, namespace: string, name: string): JsonObject | undefined {
    return this.store.remove(tableOf(resource), keyOf(resource, namespace, name))
  }

  /** For an object that is about to be created. */
  drawUid(resource: ResourceType, namespace: string, name: string): string {
    const id = `${tableOf(resource)} ${keyOf(resource, namespace, name)}`
    return uuid(this.#options.seed(), `uid ${id} ${this.#lives.get(id) ?? 0}`)
  }

  /** What follows `generateName`. */
  drawNameSuffix(): string {
    this.#drawn += 1
    const digits = uuid(this.#options.seed(), `name ${this.#drawn}`).replaceAll("-", "")
    return Array.from(
      { length: nameSuffixLength },
      (_, index) =>
        nameAlphabet[Number.parseInt(digits.slice(index * 4, index * 4 + 4), 16) % nameAlphabet.length] ?? "b"
    ).join("")
  }
}
