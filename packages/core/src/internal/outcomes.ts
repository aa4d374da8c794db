/**
 * The outcomes that a recorder supplies where a backend gave none.
 */
import * as Cause from "effect/Cause"
import * as Duration from "effect/Duration"
import type * as Exit from "effect/Exit"
import type * as Backend from "../Backend.ts"
import { BackendError, Transient } from "../BackendError.ts"

/**
 * What a missing answer counts as.
 *
 * @internal
 */
export const missing: Backend.Outcome = {
  _tag: "Retry",
  error: new BackendError({ reason: new Transient({ applied: "unknown", detail: "the backend gave no answer" }) })
}

/**
 * For a write that has not answered in time.
 *
 * @internal
 */
export const timedOutAfter = (timeout: Duration.Duration): BackendError =>
  new BackendError({
    reason: new Transient({ applied: "unknown", detail: `no answer within ${Duration.format(timeout)}` })
  })

/**
 * What a write that failed as a whole means for each of its series.
 *
 * @internal
 */
export const ofFailure = ({ cause }: Exit.Failure<unknown, BackendError>): Backend.Outcome => {
  const failure = Cause.findErrorOption(cause)
  if (failure._tag === "Some") return { _tag: "Retry", error: failure.value }
  const error = new BackendError({
    reason: new Transient({ applied: "unknown", detail: "the backend died" }),
    cause: Cause.squash(cause)
  })
  return { _tag: "Retry", error }
}
