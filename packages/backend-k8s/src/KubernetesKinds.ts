/**
 * The kinds of objects of a cluster, by the names that `kubectl` takes for them.
 *
 * @since 0.2.0
 */
import type { BackendError } from "@tidings/core/BackendError"
import { parseKindName } from "@tidings/core/ObjectReference"
import * as Effect from "effect/Effect"
import * as discovery from "./internal/discovery.ts"
import { KubernetesConnection } from "./KubernetesConnection.ts"

/**
 * A kind of objects.
 *
 * @category models
 * @since 0.2.0
 */
export interface KubernetesKind {
  /** `Deployment`. */
  readonly kind: string
  /** Group and version, the named one or the one that the server prefers: `apps/v1`. */
  readonly apiVersion: string
  /** Whether its objects are in namespaces; those of others are cluster-scoped. */
  readonly namespaced: boolean
}

/**
 * The kind of a name (`NAME[.VERSION][.GROUP]`) in the cluster of the connection. `NAME` is a plural, singular, short name or
 * kind, in upper or lower case. Of several groups the core group counts, then the first one in the discovery. `undefined`
 * where there is none, and where the server has no aggregated discovery (before Kubernetes 1.30).
 *
 * Reads the whole discovery, with two requests that every authenticated user may send.
 *
 * **Example** (Whether objects are in namespaces)
 *
 * ```ts
 * import * as KubernetesKinds from "@tidings/backend-k8s/KubernetesKinds"
 * import * as Effect from "effect/Effect"
 *
 * export const isClusterScoped = (name: string) =>
 *   Effect.map(KubernetesKinds.find(name), (kind) => kind?.namespaced === false)
 * ```
 *
 * @category getters
 * @since 0.2.0
 */
export const find = (text: string): Effect.Effect<KubernetesKind | undefined, BackendError, KubernetesConnection> =>
  KubernetesConnection.use((connection) =>
    Effect.map(discovery.readAll(connection), (all) => {
      const { group, name, version } = parseKindName(text.toLowerCase())
      const named = (all ?? []).filter(
        ({ kind, plural, shortNames, singular, ...found }) =>
          (plural === name || singular === name || shortNames.includes(name) || kind.toLowerCase() === name) &&
          (version === undefined ? found.isPreferred : found.version === version)
      )
      // As in kubectl, the beginning of a group is enough, unless a group has that name.
      const found =
        named.find((one) => group === undefined || one.group === group) ??
        (group === undefined || group === "" ? undefined : named.find((one) => one.group.startsWith(group)))
      return found === undefined
        ? undefined
        : { kind: found.kind, apiVersion: found.apiVersion, namespaced: found.namespaced }
    })
  )
