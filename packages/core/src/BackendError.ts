/**
 * The errors that backends speak in.
 *
 * @since 0.1.0
 */
import * as Data from "effect/Data"
import * as Duration from "effect/Duration"

/**
 * A passing fault.
 *
 * `applied` says whether the write may have taken effect: `"no"` when it certainly has not, `"unknown"` when that
 * cannot be told, for example because the connection broke before the answer came. Repeating is safe either way.
 *
 * @category errors
 * @since 0.1.0
 */
export class Transient extends Data.TaggedClass("Transient")<{
  readonly applied: "no" | "unknown"
  readonly detail: string
}> {}

/**
 * The store asks for less.
 *
 * `scope` says for what: everything (`"backend"`), the events of one namespace, those about one object, or one series. A
 * recorder finds out at which pace a namespace or an object is taken, and lets the others go on meanwhile.
 *
 * @category errors
 * @since 0.1.0
 */
export class Throttled extends Data.TaggedClass("Throttled")<{
  readonly scope: "backend" | "namespace" | "object" | "series"
  readonly retryAfter?: Duration.Duration
  readonly detail: string
}> {
  /** The same in milliseconds. */
  get retryAfterMillis(): number | undefined {
    return this.retryAfter === undefined ? undefined : Duration.toMillis(this.retryAfter)
  }
}

/**
 * The credentials are missing, expired or not enough. Not permanent: tokens rotate and rights are granted.
 *
 * @category errors
 * @since 0.1.0
 */
export class Unauthorized extends Data.TaggedClass("Unauthorized")<{
  readonly detail: string
}> {}

/**
 * The store cannot be reached or used as it is configured.
 *
 * @category errors
 * @since 0.1.0
 */
export class Unavailable extends Data.TaggedClass("Unavailable")<{
  readonly detail: string
}> {}

/**
 * The store has no room: a full disk, a quota.
 *
 * @category errors
 * @since 0.1.0
 */
export class Full extends Data.TaggedClass("Full")<{
  readonly detail: string
}> {}

/**
 * A cursor or page token of another store, cluster, log or filter, or a text that is not a token.
 *
 * @category errors
 * @since 0.1.0
 */
export class CursorMismatch extends Data.TaggedClass("CursorMismatch")<{
  readonly detail: string
}> {}

/**
 * Another store answers than the one that a journal or a process is bound to, or one of which that cannot be told. What is
 * meant for the one must not reach the other.
 *
 * `expected` and `found` are the ids of the two. Not permanent: an address may lead back to the right store.
 *
 * @category errors
 * @since 0.2.0
 */
export class TargetMismatch extends Data.TaggedClass("TargetMismatch")<{
  readonly expected: string
  readonly found: string
  readonly detail: string
}> {}

/**
 * Why a backend failed.
 *
 * @category errors
 * @since 0.1.0
 */
export type BackendErrorReason =
  | Transient
  | Throttled
  | Unauthorized
  | Unavailable
  | Full
  | CursorMismatch
  | TargetMismatch

const describe = (reason: BackendErrorReason): string => {
  switch (reason._tag) {
    case "Transient":
      // Also a query or a watch fails with it, so it does not speak of writing.
      return reason.applied === "no"
        ? `temporary failure: ${reason.detail}`
        : `it is unknown whether it was written (retrying is safe): ${reason.detail}`
    case "Throttled":
      return reason.retryAfter === undefined
        ? `the store throttles requests (${reason.scope}): ${reason.detail}`
        : `the store throttles requests (${reason.scope}), retry in ${Duration.format(reason.retryAfter)}: ${reason.detail}`
    case "Unauthorized":
      return `not allowed: ${reason.detail}`
    case "Unavailable":
      return `the store cannot be used: ${reason.detail}`
    case "Full":
      return `the store is full: ${reason.detail}`
    case "CursorMismatch":
      return `the cursor is not valid here: ${reason.detail}`
    case "TargetMismatch":
      return `another store answers, ${reason.found} instead of ${reason.expected}: ${reason.detail}`
  }
}

/**
 * The one error of backends, with a tagged `reason`.
 *
 * **Example** (Acting on one reason)
 *
 * ```ts
 * import * as BackendError from "@tidings/core/BackendError"
 * import * as Effect from "effect/Effect"
 * import assert from "node:assert/strict"
 *
 * const write = Effect.fail(BackendError.make(new BackendError.Full({ detail: "the disk is full" })))
 * const advice = await Effect.runPromise(
 *   write.pipe(Effect.catchReason("BackendError", "Full", () => Effect.succeed("free some space")))
 * )
 * assert.equal(advice, "free some space")
 * ```
 *
 * @category errors
 * @since 0.1.0
 */
export class BackendError extends Data.TaggedError("BackendError")<{
  readonly reason: BackendErrorReason
  readonly cause?: unknown
}> {
  override get message(): string {
    return describe(this.reason)
  }
}

/**
 * Makes a `BackendError`.
 *
 * @category errors
 * @since 0.1.0
 */
export const make = (reason: BackendErrorReason, cause?: unknown): BackendError =>
  new BackendError(cause === undefined ? { reason } : { reason, cause })

/**
 * Whether a failure may pass without an operator: the store is away, or asks for less. Every other reason needs an
 * operator, or another request.
 *
 * @category predicates
 * @since 0.2.0
 */
export const isTemporary = ({ reason }: BackendError): boolean =>
  reason._tag === "Transient" || reason._tag === "Throttled"
