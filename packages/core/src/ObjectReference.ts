/**
 * What an event is about: a reference to a Kubernetes object, or to an object outside of any cluster that has a kind and a
 * name.
 *
 * @since 0.1.0
 */

/**
 * Kubernetes' `ObjectReference`, with the fields that events use.
 *
 * `apiVersion` and `uid` may be missing when an event is recorded: a catalogue fills in the apiVersion of its kinds, and
 * the Kubernetes backend looks up the uid, because `kubectl describe` finds events by it.
 *
 * @category models
 * @since 0.1.0
 */
export interface ObjectReference {
  /** `v1`, or group and version: `apps/v1`. */
  readonly apiVersion?: string
  /** The kind as its type spells it: `Deployment`. */
  readonly kind: string
  readonly name: string
  /** Absent for cluster-scoped objects. */
  readonly namespace?: string
  readonly uid?: string
  /** A part of the object: `spec.containers{web}`. */
  readonly fieldPath?: string
}

/**
 * The API group of a reference: `apps` for `apps/v1`, the empty text for the core group (`v1`) and where no apiVersion is
 * known, as Kubernetes reads it.
 *
 * @category getters
 * @since 0.2.0
 */
export const groupOf = ({ apiVersion }: { readonly apiVersion?: string | undefined }): string => {
  const slash = apiVersion === undefined ? -1 : apiVersion.indexOf("/")
  return slash === -1 ? "" : apiVersion!.slice(0, slash)
}

/**
 * A name of a kind in its parts.
 *
 * @category models
 * @since 0.2.0
 */
export interface KindName {
  readonly name: string
  /** Absent where the text names no version: any matches. */
  readonly version?: string
  /** The empty text for the core group. Absent where the text names no group: any matches. */
  readonly group?: string
}

const VERSION = /^v\d+(?:(?:alpha|beta)\d+)?$/

/**
 * Reads `NAME[.VERSION][.GROUP]`, as people write a kind to kubectl and as `kubectl get -o name` prints it.
 *
 * **Example**
 *
 * ```ts
 * import * as ObjectReference from "@tidings/core/ObjectReference"
 * import assert from "node:assert/strict"
 *
 * assert.deepEqual(ObjectReference.parseKindName("deployment.apps"), { name: "deployment", group: "apps" })
 * assert.deepEqual(ObjectReference.parseKindName("cronjobs.v1.batch"), { name: "cronjobs", version: "v1", group: "batch" })
 * assert.deepEqual(ObjectReference.parseKindName("po"), { name: "po" })
 * ```
 *
 * @category conversions
 * @since 0.2.0
 */
export const parseKindName = (text: string): KindName => {
  const [name = "", ...rest] = text.split(".")
  const [version] = rest
  if (version === undefined) return { name }
  if (!VERSION.test(version)) return { name, group: rest.join(".") }
  return rest.length === 1 ? { name, version } : { name, version, group: rest.slice(1).join(".") }
}

/**
 * An object as a host has it: anything with `metadata`, such as the types of `@kubernetes/client-node`.
 *
 * @category models
 * @since 0.1.0
 */
export interface ObjectInput {
  readonly apiVersion?: string | undefined
  readonly kind?: string | undefined
  readonly metadata?:
    | {
        readonly name?: string | undefined
        readonly namespace?: string | undefined
        readonly uid?: string | undefined
      }
    | undefined
}

/**
 * The reference as people write it: `Workflow default/deploy`, or `Node worker-1` where there is no namespace.
 *
 * @category formatting
 * @since 0.1.0
 */
export const format = (reference: ObjectReference): string =>
  reference.namespace === undefined
    ? `${reference.kind} ${reference.name}`
    : `${reference.kind} ${reference.namespace}/${reference.name}`
