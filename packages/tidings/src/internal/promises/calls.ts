/**
 * Runs effects as promises that reject with an `Error` that has a `_tag`, whatever went wrong.
 *
 * @internal
 */
import * as Cause from "effect/Cause"
import * as Config from "effect/Config"
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Rejection from "../../Rejection.ts"

/**
 * Of a variable of the environment, what Effect says in one text, taken apart: `Expected "a" | "b", got "c"` and the path of
 * the variable in a line of its own.
 */
const ofConfig = (error: Config.ConfigError): Rejection.InvalidOptions => {
  const [first = "", ...rest] = error.message.split("\n")
  const variable = /\bat \["([^"]+)"\]/.exec(rest.join("\n"))?.[1] ?? /\bat \["([^"]+)"\]/.exec(first)?.[1]
  const parts = /^(?:SchemaError[:(] ?)?Expected (.*), got (.*?)\)?$/s.exec(first)
  return new Rejection.InvalidOptions({
    issues: [
      {
        field: variable ?? "the environment",
        found: parts?.[2] ?? "wrong",
        expected: parts?.[1]?.replaceAll(" | ", ", ") ?? error.message
      }
    ]
  })
}

/**
 * What a promise rejects with, for what was thrown or failed with.
 *
 * @internal
 */
export const rejection = (call: string, thrown: unknown): Rejection.Rejection => {
  if (Rejection.is(thrown)) return thrown
  if (thrown instanceof Config.ConfigError) return ofConfig(thrown)
  return new Rejection.Unexpected({ call, cause: thrown })
}

/** @internal */
export const rejectionOf = (call: string, cause: Cause.Cause<unknown>, reason?: unknown): Rejection.Rejection =>
  Cause.hasInterruptsOnly(cause)
    ? new Rejection.Interrupted(reason === undefined ? { call } : { call, cause: reason })
    : rejection(call, Cause.squash(cause))

/** @internal */
export type Run = <A>(call: string, effect: () => Effect.Effect<A, unknown>, signal?: AbortSignal) => Promise<A>

/**
 * Every call begins in the turn in which it is made, so that what is closed afterwards knows of it.
 *
 * @internal
 */
export const runner = (context: Context.Context<never>): Run => {
  const run = Effect.runPromiseExitWith(context)
  return async (call, effect, signal) => {
    const exit = await run(Effect.suspend(effect), signal === undefined ? undefined : { signal })
    if (Exit.isSuccess(exit)) return exit.value
    throw rejectionOf(call, exit.cause, signal?.reason)
  }
}
