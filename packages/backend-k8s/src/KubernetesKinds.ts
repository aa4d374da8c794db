/**
 * The kinds that a cluster knows, found by the names that people use: `pods`, `po`, `deployment.apps`,
 * `deployments.v1.apps`, `ClusterPlugin`, and what `kubectl get -o name` prints.
 *
 * @since 0.2.0
 */
import type { BackendError } from "@tidings/core/BackendError"
import * as Effect from "effect/Effect"
import * as answer from "./internal/answer.ts"
import type { KubernetesConnection } from "./KubernetesConnection.ts"

/**
 * A kind as the cluster declares it.
 *
 * @category models
 * @since 0.2.0
 */
export interface Kind {
  /** As `involvedObject.kind` has it. */
  readonly kind: string
  /** Group and version, such as `apps/v1`; of several versions the one that the cluster prefers. */
  readonly apiVersion: string
  /** Whether its objects are in namespaces. */
  readonly namespaced: boolean
}

type Fields = { readonly [key: string]: unknown }

const isFields = (value: unknown): value is Fields =>
  typeof value === "object" && value !== null && !Array.isArray(value)
const fieldsOf = (value: unknown): Fields => (isFields(value) ? value : {})
const listOf = (value: unknown): ReadonlyArray<Fields> => (Array.isArray(value) ? value.filter(isFields) : [])
const textOf = (value: unknown): string | undefined => (typeof value === "string" && value !== "" ? value : undefined)

interface Named extends Kind {
  readonly group: string
  readonly version: string
  /** In small letters. */
  readonly names: ReadonlySet<string>
}

const namedIn = (group: string, versionOfGroup: Fields): ReadonlyArray<Named> => {
  const version = textOf(versionOfGroup["version"])
  if (version === undefined) return []
  return listOf(versionOfGroup["resources"]).flatMap(
    ({ resource, responseKind, scope, shortNames, singularResource }) => {
      const kind = textOf(fieldsOf(responseKind)["kind"])
      if (kind === undefined || typeof resource !== "string") return []
      const names = [
        kind,
        resource,
        singularResource,
        ...(Array.isArray(shortNames) ? (shortNames as Array<unknown>) : [])
      ]
      return [
        {
          kind,
          group,
          version,
          apiVersion: group === "" ? version : `${group}/${version}`,
          namespaced: scope === "Namespaced",
          names: new Set(names.flatMap((name) => (typeof name === "string" ? [name.toLowerCase()] : [])))
        }
      ]
    }
  )
}

/** Every kind of an aggregated discovery, the preferred versions first. */
const kindsOf = (list: unknown): ReadonlyArray<Named> =>
  listOf(fieldsOf(list)["items"]).flatMap((item) => {
    const group = textOf(fieldsOf(item["metadata"])["name"]) ?? ""
    return listOf(item["versions"]).flatMap((version) => namedIn(group, version))
  })

const AGGREGATED = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"

/**
 * Finds a kind as kubectl does: `NAME`, `NAME.GROUP` or `NAME.VERSION.GROUP`, where the name is a kind, a plural, a singular or
 * a short name, whatever its case. Of several the core group's comes first, then in the order of the cluster. Absent where the
 * cluster has none, and where it does not say (before Kubernetes 1.30).
 *
 * **Example**
 *
 * ```ts
 * import * as KubernetesConnection from "@tidings/backend-k8s/KubernetesConnection"
 * import * as KubernetesKinds from "@tidings/backend-k8s/KubernetesKinds"
 * import * as Effect from "effect/Effect"
 *
 * export const isClusterScoped = Effect.gen(function* () {
 *   const connection = yield* KubernetesConnection.KubernetesConnection
 *   const found = yield* KubernetesKinds.find(connection, "nodes")
 *   return found?.namespaced === false
 * })
 * ```
 *
 * @category discovery
 * @since 0.2.0
 */
export const find = (
  connection: KubernetesConnection["Service"],
  name: string
): Effect.Effect<Kind | undefined, BackendError> =>
  Effect.gen(function* () {
    const dot = name.indexOf(".")
    const word = (dot === -1 ? name : name.slice(0, dot)).toLowerCase()
    const place = dot === -1 ? undefined : name.slice(dot + 1)
    for (const path of ["/api", "/apis"]) {
      const response = yield* connection.request({ method: "GET", path, accept: AGGREGATED })
      const list =
        response.status === 200
          ? answer.objectIn(response, "APIGroupDiscoveryList", "apidiscovery.k8s.io/v2")
          : undefined
      const found = kindsOf(list).find(
        ({ group, names, version }) =>
          names.has(word) && (place === undefined || place === group || place === `${version}.${group}`)
      )
      if (found !== undefined) {
        const { apiVersion, kind, namespaced } = found
        return { kind, apiVersion, namespaced }
      }
    }
    return undefined
  })
