/**
 * What a call leaves out about its object, filled in as the command does: the API version of kinds that every cluster has,
 * and the namespace that is meant where none is named. The empty namespace stands for none.
 *
 * @internal
 */
import type { ObjectInput, ObjectReference } from "@tidings/core/ObjectReference"
import type { Templates } from "@tidings/core/Templates"
import * as kinds from "../cli/kinds.ts"

/** @internal */
export interface Defaults {
  readonly reference: (given: ObjectReference) => ObjectReference
  readonly namespace: (given: string | undefined) => string
  readonly object: (given: ObjectInput) => ObjectInput
}

/** @internal */
export const make = (templates: Templates["Service"], namespace: string): Defaults => ({
  reference: (given) => {
    const { apiVersion, kind } = given
    const found = templates.kind(kind) === undefined && typeof kind === "string" ? kinds.find(kind) : undefined
    const builtIn = found?.kind === kind ? found : undefined
    const version = apiVersion ?? builtIn?.apiVersion
    const within = given.namespace ?? (builtIn?.namespaced === false ? undefined : namespace)
    if (version === apiVersion && within === given.namespace) return given
    return {
      ...given,
      ...(version === undefined ? undefined : { apiVersion: version }),
      ...(within === undefined ? undefined : { namespace: within })
    }
  },
  namespace: (given) => given ?? namespace,
  object: (given) => {
    const { metadata } = given
    if (typeof metadata !== "object" || metadata === null) return given
    if (metadata.namespace !== undefined && metadata.namespace !== null) return given
    return { ...given, metadata: { ...metadata, namespace } }
  }
})

/**
 * What is no reference is left as it is, for the recorder to refuse.
 *
 * @internal
 */
export const readably =
  <A>(fill: (given: A) => A): ((given: A) => A) =>
  (given) => {
    if (typeof given !== "object" || given === null || Array.isArray(given)) return given
    try {
      return fill(given)
    } catch {
      return given
    }
  }
