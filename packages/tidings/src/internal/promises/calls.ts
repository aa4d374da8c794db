/**
 * Runs effects as promises that reject with an `Error` that has a `_tag`, whatever went wrong.
 *
 * @internal
 */
import { RecorderError, Unknown } from "@tidings/core/Recorder"
import * as Cause from "effect/Cause"
import * as Config from "effect/Config"
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import * as Rejection from "../../Rejection.ts"
import * as options from "../options.ts"

/** Of a variable of the environment Effect says what it expected and the path of the variable, in one text. */
const ofConfig = ({ message }: Config.ConfigError): Rejection.InvalidOptions => {
  const variable = /\bat \["([^"]+)"\]/.exec(message)?.[1]
  const expected = /\bExpected ([^\n]*?)(?:, got [^\n]*)?(?:\n|$)/.exec(message)?.[1]
  return new Rejection.InvalidOptions({
    issues: [
      {
        field: variable ?? "the environment",
        found: variable === undefined ? "wrong" : options.show(process.env[variable]),
        expected: expected?.replaceAll(" | ", ", ") ?? message
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

/** The error of a recording call without an answer when everything is closed. */
const unknown = (): RecorderError =>
  new RecorderError({
    reason: new Unknown({ detail: "everything was closed before the store answered" })
  })

/**
 * Runs calls as promises. Every call begins in the turn in which it is made, so that what is closed afterwards knows of it.
 *
 * @internal
 */
export class Calls {
  private readonly underway = new Set<Fiber.Fiber<unknown, unknown>>()
  private readonly fork: ReturnType<typeof Effect.runForkWith<never>>
  private closed = false

  constructor(context: Context.Context<never>) {
    this.fork = Effect.runForkWith(context)
  }

  readonly record = <A>(call: string, effect: () => Effect.Effect<A, unknown>): Promise<A> =>
    this.start(effect, undefined, (cause) =>
      this.closed && Cause.hasInterruptsOnly(cause) ? unknown() : rejectionOf(call, cause, undefined)
    )

  readonly run = <A>(call: string, effect: () => Effect.Effect<A, unknown>, signal?: AbortSignal): Promise<A> =>
    this.start(effect, signal, (cause) => rejectionOf(call, cause, signal?.reason))

  /** Rejects the calls that have no answer when everything is closed: a store that never answers must not block a caller. */
  close(): void {
    this.closed = true
    for (const fiber of this.underway) fiber.interruptUnsafe()
  }

  private start<A>(
    effect: () => Effect.Effect<A, unknown>,
    signal: AbortSignal | undefined,
    rejectionOf: (cause: Cause.Cause<unknown>) => Rejection.Rejection
  ): Promise<A> {
    return new Promise((resolve, reject) => {
      const fiber = this.fork(Effect.suspend(effect), signal === undefined ? undefined : { signal })
      this.underway.add(fiber)
      fiber.addObserver((exit) => {
        this.underway.delete(fiber)
        if (Exit.isSuccess(exit)) resolve(exit.value)
        else reject(rejectionOf(exit.cause))
      })
    })
  }
}

const rejectionOf = (call: string, cause: Cause.Cause<unknown>, reason: unknown): Rejection.Rejection =>
  Cause.hasInterruptsOnly(cause)
    ? new Rejection.Interrupted(reason === undefined ? { call } : { call, cause: reason })
    : rejection(call, Cause.squash(cause))
