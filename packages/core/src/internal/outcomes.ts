/**
 * What the answer to a write means for each of its series: the backend's outcomes, and one that the recorder supplies where
 * the backend gave none.
 */
import * as Cause from "effect/Cause"
import * as Duration from "effect/Duration"
import * as Exit from "effect/Exit"
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

/** What a write that failed as a whole means for each of its series. */
const ofFailure = ({ cause }: Exit.Failure<unknown, BackendError>): Backend.Outcome => {
  const failure = Cause.findErrorOption(cause)
  if (failure._tag === "Some") return { _tag: "Retry", error: failure.value }
  const error = new BackendError({
    reason: new Transient({ applied: "unknown", detail: "the backend died" }),
    cause: Cause.squash(cause)
  })
  return { _tag: "Retry", error }
}

/**
 * One outcome for each of the `count` items of a write.
 *
 * @internal
 */
export const ofExit = (
  exit: Exit.Exit<ReadonlyArray<Backend.Outcome>, BackendError>,
  count: number
): ReadonlyArray<Backend.Outcome> => {
  if (Exit.isFailure(exit)) {
    const outcome = ofFailure(exit)
    return Array.from({ length: count }, () => outcome)
  }
  const { value } = exit
  for (let index = 0; index < count; index++) {
    if (value[index] === undefined) return Array.from({ length: count }, (_, item) => value[item] ?? missing)
  }
  return value
}
