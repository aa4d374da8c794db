/**
 * What a caller says about an event, before a recorder has accepted it.
 *
 * @since 0.1.0
 */
import type { EventType } from "./Event.ts"
import type { EventDataInput } from "./EventData.ts"
import type { ObjectReference } from "./ObjectReference.ts"
import type { Micros } from "./Timestamp.ts"

/**
 * An event before acceptance, as the caller gives it: nothing is checked, filled in or rendered yet.
 *
 * @category models
 * @since 0.1.0
 */
export interface EventDraft {
  readonly involvedObject: ObjectReference
  readonly related?: ObjectReference | undefined
  readonly reason: string
  /** When absent, the type that the catalogue declares for the reason; `Normal` for a reason that no catalogue declares. */
  readonly type?: EventType | undefined
  /** `data.operation` when absent, else the reason. */
  readonly action?: string | undefined
  /** Plain text, not a template. When absent, the message is rendered from the template of the reason. */
  readonly message?: string | undefined
  readonly data?: EventDataInput | undefined
  readonly labels?: Readonly<Record<string, string>> | undefined
  /** When it happened; now when absent. */
  readonly at?: Micros | undefined
}
