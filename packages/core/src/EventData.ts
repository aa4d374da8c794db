/**
 * The data of an event: the values that its message is rendered from.
 *
 * @since 0.1.0
 */
import type * as Duration from "effect/Duration"

/**
 * A JSON value.
 *
 * @category models
 * @since 0.1.0
 */
export type Json = string | number | boolean | null | ReadonlyArray<Json> | { readonly [key: string]: Json }

/**
 * The data that travels with an event to the backend and back.
 *
 * Fourteen names are built in and have a meaning; a host's catalogue may declare more, which are stored as JSON. A duration
 * that a catalogue declares is stored as Go's text (`1m30.5s`), because a reader of the store does not have the catalogue.
 *
 * A message template names each field with a capital, and a trailing `Id` as `ID`: `.StepID`, `.ToolNames`,
 * `.Arguments.key`.
 *
 * @category models
 * @since 0.1.0
 */
export interface EventData {
  /** The name of the involved object. Set by the recorder; a caller that gives another name gets an error. */
  readonly name?: string
  /** The namespace of the involved object. Set by the recorder; a caller that gives another one gets an error. */
  readonly namespace?: string
  /** What was done: becomes the event's `action` unless the call gives one. */
  readonly operation?: string
  readonly serviceClass?: string
  /** Further values: any JSON, by key. */
  readonly arguments?: { readonly [key: string]: Json }
  readonly error?: string
  /** In nanoseconds, exact up to 104 days, at most 292 years (64 bits, as in Go). Stored as Go's text: `1m30.5s`. */
  readonly duration?: number
  readonly stepCount?: number
  readonly stepId?: string
  readonly stepTool?: string
  readonly conditionResult?: string
  readonly executionId?: string
  readonly toolNames?: ReadonlyArray<string>
  readonly allowFailure?: boolean
  /** The fields that a host's catalogue declares. */
  readonly [field: string]: Json | undefined
}

/**
 * The data as a caller gives it: a duration is any `Duration.Input` of Effect, and an absent field may be `undefined`.
 *
 * Go's text (`1m30.5s`) is read too.
 *
 * @category models
 * @since 0.1.0
 */
export interface EventDataInput<D = Duration.Input | (string & {})> {
  readonly name?: string | undefined
  readonly namespace?: string | undefined
  readonly operation?: string | undefined
  readonly serviceClass?: string | undefined
  readonly arguments?: { readonly [key: string]: unknown } | undefined
  readonly error?: string | undefined
  readonly duration?: D | undefined
  readonly stepCount?: number | undefined
  readonly stepId?: string | undefined
  readonly stepTool?: string | undefined
  readonly conditionResult?: string | undefined
  readonly executionId?: string | undefined
  readonly toolNames?: ReadonlyArray<string> | undefined
  readonly allowFailure?: boolean | undefined
  readonly [field: string]: unknown
}

/**
 * The built-in fields of event data and what each holds, in the vocabulary of `@tidings/templates`.
 *
 * `name` and `namespace` belong to the involved object and `arguments` to every event, so they are not listed: a
 * catalogue must not declare them again.
 *
 * @category models
 * @since 0.1.0
 */
export const fields = {
  operation: "text",
  serviceClass: "text",
  error: "text",
  duration: "duration",
  stepCount: "count",
  stepId: "text",
  stepTool: "text",
  conditionResult: "text",
  executionId: "text",
  toolNames: "list",
  allowFailure: "flag"
} as const
