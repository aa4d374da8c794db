/**
 * What tells events apart: which belong to one group of similar events, which share a budget, and the texts and fingerprints
 * that stand for both, in a checkpoint and where stored events are read.
 */
import type { EventBody } from "../../Event.ts"
import * as fingerprint from "../fingerprint.ts"
import type { ObjectReference } from "../../ObjectReference.ts"

/** @internal */
export type Identity = Pick<
  EventBody,
  "involvedObject" | "related" | "reason" | "type" | "action" | "source" | "reportingController" | "reportingInstance"
>

/** @internal */
export const identityOf = ({
  action,
  involvedObject,
  reason,
  related,
  reportingController,
  reportingInstance,
  source,
  type
}: EventBody): Identity => {
  const identity = { involvedObject, reason, type, action, source, reportingController, reportingInstance }
  return related === undefined ? identity : { ...identity, related }
}

/** @internal */
export const sameObject = (one: ObjectReference, other: ObjectReference, byFieldPath: boolean): boolean =>
  one === other ||
  (one.name === other.name &&
    one.namespace === other.namespace &&
    one.uid === other.uid &&
    one.kind === other.kind &&
    one.apiVersion === other.apiVersion &&
    (!byFieldPath || one.fieldPath === other.fieldPath))

/** @internal */
export const sameBudget = (one: Identity, other: Identity, byFieldPath: boolean): boolean =>
  one.type === other.type &&
  one.source.component === other.source.component &&
  one.source.host === other.source.host &&
  sameObject(one.involvedObject, other.involvedObject, byFieldPath)

/** @internal */
export const sameGroup = (one: Identity, other: Identity, byFieldPath: boolean): boolean =>
  one.reason === other.reason &&
  sameBudget(one, other, byFieldPath) &&
  one.action === other.action &&
  one.reportingController === other.reportingController &&
  one.reportingInstance === other.reportingInstance &&
  (one.related === other.related ||
    (one.related !== undefined && other.related !== undefined && sameObject(one.related, other.related, true)))

/**
 * The fingerprint of a text in one opening of a journal. It includes the origin of the opening, which is random, so texts
 * with equal fingerprints cannot be prepared in advance.
 *
 * @internal
 */
export const keyOf = (opening: string, text: string): string => fingerprint.short(`${opening} ${text}`)

/** @internal */
export const keyOfBudget = (
  opening: string,
  { involvedObject, source, type }: Identity,
  byFieldPath: boolean
): string =>
  keyOf(opening, JSON.stringify([type, source.component, source.host ?? 0, objectKey(involvedObject, byFieldPath)]))

/** @internal */
export const keyOfGroup = (opening: string, identity: Identity, byFieldPath: boolean): string =>
  keyOf(opening, textOf(identity, byFieldPath))

/**
 * The same text for events of one group, and for no others, in every process. The fingerprints of checkpoints are made of
 * it, so it must not change.
 *
 * @internal
 */
export const textOf = (identity: Identity, byFieldPath: boolean): string => {
  const { action, involvedObject, reason, related, reportingController, reportingInstance, source, type } = identity
  return JSON.stringify([
    [reason, type, action, source.component, source.host ?? 0, reportingController, reportingInstance],
    objectKey(involvedObject, byFieldPath),
    related === undefined ? 0 : objectKey(related, true)
  ])
}

const objectKey = (
  { apiVersion, fieldPath, kind, name, namespace, uid }: ObjectReference,
  byFieldPath: boolean
): ReadonlyArray<string | 0> => [
  apiVersion ?? 0,
  kind,
  namespace ?? 0,
  name,
  uid ?? 0,
  byFieldPath ? (fieldPath ?? 0) : 0
]
