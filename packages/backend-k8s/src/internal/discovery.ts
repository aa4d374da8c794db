/**
 * The kinds of objects of a cluster.
 */
import type { BackendError } from "@tidings/core/BackendError"
import * as Effect from "effect/Effect"
import type { KubernetesConnection } from "../KubernetesConnection.ts"
import { fieldsOf, listOf, textOf, textsOf } from "./json.ts"
import { objectIn } from "./response.ts"

/**
 * A kind of one group and version.
 *
 * @internal
 */
export interface DiscoveredKind {
  readonly kind: string
  readonly apiVersion: string
  readonly group: string
  readonly version: string
  readonly plural: string
  readonly singular: string
  readonly shortNames: ReadonlyArray<string>
  readonly namespaced: boolean
  /** Whether this version is the one that the server prefers for its group. */
  readonly isPreferred: boolean
}

/** The kinds in an aggregated discovery, in its order. */
const kindsOf = (list: unknown): ReadonlyArray<DiscoveredKind> =>
  listOf(fieldsOf(list)["items"]).flatMap((item) => {
    const group = textOf(fieldsOf(item["metadata"])["name"]) ?? ""
    return listOf(item["versions"]).flatMap(({ resources, version }, index) =>
      typeof version !== "string"
        ? []
        : listOf(resources).flatMap(({ resource, responseKind, scope, shortNames, singularResource }) => {
            const { kind } = fieldsOf(responseKind)
            return typeof kind === "string" && typeof resource === "string"
              ? [
                  {
                    kind,
                    apiVersion: group === "" ? version : `${group}/${version}`,
                    group,
                    version,
                    plural: resource,
                    singular: textOf(singularResource) ?? "",
                    shortNames: textsOf(shortNames),
                    namespaced: scope === "Namespaced",
                    isPreferred: index === 0
                  }
                ]
              : []
          })
    )
  })

const AGGREGATED = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"

/**
 * The kinds of a cluster, those of the core group first. `undefined` for a server without aggregated discovery, as before
 * Kubernetes 1.30.
 *
 * @internal
 */
export const readAll = (
  connection: KubernetesConnection["Service"]
): Effect.Effect<ReadonlyArray<DiscoveredKind> | undefined, BackendError> =>
  Effect.map(
    Effect.forEach(["/api", "/apis"], (path) => connection.request({ method: "GET", path, accept: AGGREGATED })),
    (responses) => {
      const lists = responses.map((response) =>
        response.status === 200 ? objectIn(response, "APIGroupDiscoveryList", "apidiscovery.k8s.io/v2") : undefined
      )
      return lists.every((list) => Array.isArray(list?.["items"])) ? lists.flatMap(kindsOf) : undefined
    }
  )
