/**
 * The arguments that say which events are meant, which `events` and `event_summary` share.
 *
 * @internal
 */
import type { EventFilter } from "@tidings/core/EventQuery"
import type { Micros } from "@tidings/core/Timestamp"
import * as Data from "effect/Data"
import type * as Effect from "effect/Effect"
import * as field from "./fields.ts"

/** Arguments that are right one by one and not together. @internal */
export class Wrong extends Data.TaggedError("Wrong")<{ readonly wrong: ReadonlyArray<string> }> {}

/** @internal */
export interface Defaults {
  /** The namespace of calls that name none; all unless given. */
  readonly namespace?: string | undefined
  /** A kind as its type spells it, of what was written: `Pod` of `pods`. */
  readonly kindOf: (written: string) => string
  /** Resolves when the host is about to end. */
  readonly closing: Effect.Effect<void>
}

/** @internal */
export const DEFAULT_BYTES = 16_384

/** @internal */
export const maxBytes = field.whole(
  "The answer has at the most so many bytes: messages are cut, then events left out",
  {
    least: 4_096,
    most: 1_048_576,
    normal: DEFAULT_BYTES
  }
)

/** @internal */
export const fields = {
  resourceType: field.word("The kind of the object, as its type spells it: Pod, Workflow", "Workflow"),
  resourceName: field.word("The name of the object", "deploy"),
  namespace: field.word("The namespace of the events; all unless given", "default"),
  cluster: field.word("The cluster of the events, by its name or id, where the store has several", "production"),
  eventType: field.eventType("Normal or Warning"),
  reason: field.word("The reason, as the event spells it: BackOff", "BackOff"),
  source: field.word("The component that reported: kubelet", "kubelet"),
  match: field.word("A plain text in the message; upper and lower case are the same", "connection refused"),
  since: field.time(
    "Last seen then or later: 1h30m (ago), yesterday, 2026-08-22T10:00:00Z. UTC where no zone is named",
    "1h30m"
  ),
  until: field.time("Last seen then or earlier, in the same forms", "30m")
}

/** @internal */
export const timelessOf = (given: field.Arguments<typeof fields>, defaults: Defaults): EventFilter => {
  const { cluster, eventType, match, reason, resourceName, resourceType, source } = given
  const namespace = given.namespace ?? defaults.namespace
  return {
    ...(resourceType === undefined ? undefined : { resourceType: defaults.kindOf(resourceType) }),
    ...(resourceName === undefined ? undefined : { resourceName }),
    ...(namespace === undefined ? undefined : { namespace }),
    ...(cluster === undefined ? undefined : { cluster }),
    ...(eventType === undefined ? undefined : { eventType }),
    ...(reason === undefined ? undefined : { reason }),
    ...(source === undefined ? undefined : { source }),
    ...(match === undefined ? undefined : { match })
  }
}

/** @internal */
export const withTimes = (
  timeless: EventFilter,
  { since, until }: { readonly since?: Micros | undefined; readonly until?: Micros | undefined }
): EventFilter =>
  since === undefined && until === undefined
    ? timeless
    : {
        ...timeless,
        ...(since === undefined ? undefined : { since }),
        ...(until === undefined ? undefined : { until })
      }

/** Times that contradict each other. @internal */
export const contradictions = ({ since, until }: field.Arguments<typeof fields>): ReadonlyArray<string> =>
  since !== undefined && until !== undefined && since > until
    ? ['since lies after until, so nothing can match, for example {"since":"2h","until":"1h"}']
    : []
