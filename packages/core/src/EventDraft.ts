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
 * An event before acceptance: what a caller said, and nothing worked out yet.
 *
 * @category models
 * @since 0.1.0
 */
export interface EventDraft {
  readonly involvedObject: ObjectReference
  readonly related?: ObjectReference | undefined
  readonly reason: string
  /** The catalogue's type of the reason when absent, `Normal` for a reason outside it. */
  readonly type?: EventType | undefined
  /** `data.operation` when absent, else the reason. */
  readonly action?: string | undefined
  /** Taken as it is, never as a template. Rendered from the template of the reason when absent. */
  readonly message?: string | undefined
  readonly data?: EventDataInput | undefined
  readonly labels?: Readonly<Record<string, string>> | undefined
  /** When it happened; now when absent. */
  readonly at?: Micros | undefined
}
