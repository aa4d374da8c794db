import type { ObjectReference } from "@tidings/core/ObjectReference"

/**
 * Whether two references have the same fields, all that an encoder writes.
 *
 * @internal
 */
export const isSameObject = (a: ObjectReference, b: ObjectReference): boolean =>
  a.namespace === b.namespace &&
  a.kind === b.kind &&
  a.name === b.name &&
  a.uid === b.uid &&
  a.apiVersion === b.apiVersion &&
  a.fieldPath === b.fieldPath
