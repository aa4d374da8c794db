/**
 * What kinds of objects a cluster has.
 */
import type { BackendError } from "@tidings/core/BackendError"
import * as Effect from "effect/Effect"
import type { KubernetesConnection } from "../KubernetesConnection.ts"
import * as answer from "./answer.ts"

type Fields = { readonly [key: string]: unknown }

const isFields = (value: unknown): value is Fields =>
  typeof value === "object" && value !== null && !Array.isArray(value)

const fieldsOf = (value: unknown): Fields => (isFields(value) ? value : {})
const listOf = (value: unknown): ReadonlyArray<Fields> => (Array.isArray(value) ? value.filter(isFields) : [])
const textOf = (value: unknown): string => (typeof value === "string" ? value : "")

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
  /** Whether the server would have this version of the group used. */
  readonly isPreferred: boolean
}

/** The kinds of all groups and versions, from an aggregated discovery, in its order. */
const kindsOf = (list: unknown): ReadonlyArray<DiscoveredKind> =>
  listOf(fieldsOf(list)["items"]).flatMap((item) => {
    const group = textOf(fieldsOf(item["metadata"])["name"])
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
                    singular: textOf(singularResource),
                    shortNames: Array.isArray(shortNames) ? shortNames.filter((one) => typeof one === "string") : [],
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
 * The kinds of a cluster, those of the core group first; nothing where a server does not tell all of them at once, as
 * those before Kubernetes 1.30.
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
        response.status === 200
          ? answer.objectIn(response, "APIGroupDiscoveryList", "apidiscovery.k8s.io/v2")
          : undefined
      )
      return lists.every((list) => Array.isArray(list?.["items"])) ? lists.flatMap(kindsOf) : undefined
    }
  )
