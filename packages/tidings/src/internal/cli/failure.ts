/**
 * How the command fails: one or two lines that say what to do, and an exit code.
 *
 * @internal
 */
import type { BackendError } from "@tidings/core/BackendError"
import * as Cause from "effect/Cause"
import * as Data from "effect/Data"
import * as CliError from "effect/cli/CliError"
import * as escape from "./escape.ts"

/**
 * - `usage`: the command line is wrong
 * - `failed`: it was right, and something went wrong
 * - `unreachable`: the backend cannot be reached, or does not let us in
 * - `hungUp`, `interrupted`, `terminated`: by SIGHUP, SIGINT, SIGTERM
 *
 * @internal
 */
export const EXIT = { ok: 0, failed: 1, usage: 2, unreachable: 4, hungUp: 129, interrupted: 130, terminated: 143 } as const

/**
 * A failure at run time, in words. `detail` says what went wrong; `hint`, on a line of its own, what to do.
 *
 * @internal
 */
export class Failure extends Data.TaggedError("Failure")<{
  readonly detail: string
  readonly hint?: string | undefined
  readonly exit?: number | undefined
}> {
  override get message(): string {
    return this.detail
  }
}

/**
 * A failure about which everything was printed already.
 *
 * @internal
 */
export class Told extends Data.TaggedError("Told")<{ readonly exit: number }> {}

/**
 * A wrong command line that only the verb could find out.
 *
 * @internal
 */
export class Usage extends Data.TaggedError("Usage")<{ readonly detail: string }> {
  override get message(): string {
    return this.detail
  }
}

/** @internal */
export const usage = (path: ReadonlyArray<string>, error: Usage): CliError.ShowHelp =>
  new CliError.ShowHelp({ commandPath: path, errors: [new CliError.ValidationError({ message: error.detail })] })

const suggested = (suggestions: ReadonlyArray<string>): string =>
  suggestions.length === 0 ? "" : `; did you mean ${suggestions.join(" or ")}?`

const flagOf = (name: string): string => (name.length === 1 ? `-${name}` : `--${name}`)

/**
 * What is wrong with a command line, in one clause.
 *
 * @internal
 */
export const describe = (error: CliError.CliError): string => {
  switch (error._tag) {
    case "UnrecognizedOption":
      return `unknown flag ${error.option}${suggested(error.suggestions)}`
    case "MissingOption":
      return `${flagOf(error.option)} is missing`
    case "MissingArgument":
      return `${error.argument} is missing`
    case "UnexpectedArgument": {
      const more = error.arguments.map((value) => JSON.stringify(value)).join(", ")
      return `unexpected ${more}: put a text with blanks in quotes, and flags before --`
    }
    case "InvalidValue": {
      const where = error.kind === "flag" ? flagOf(error.option) : error.option
      const found = error.value === "" && error.kind === "flag" ? "has no value" : `is ${JSON.stringify(error.value)}`
      return `${where} ${found}, expected ${error.expected}`
    }
    case "UnknownSubcommand":
      return `unknown command ${JSON.stringify(error.subcommand)}${suggested(error.suggestions)}`
    case "DuplicateOption":
    case "ValidationError":
    case "UserError":
    case "ShowHelp":
      return error.message
  }
}

// ---------------------------------------------------------------------------
// run-time failures
// ---------------------------------------------------------------------------

/** @internal */
export interface Report {
  readonly lines: ReadonlyArray<string>
  readonly exit: number
}

const report = (exit: number, detail: string, hint?: string): Report => ({
  lines: hint === undefined ? [detail] : [detail, hint],
  exit
})

const ofBackend = (error: BackendError): Report => {
  switch (error.reason._tag) {
    case "Unavailable":
    case "Unauthorized":
      return report(EXIT.unreachable, error.message)
    case "CursorMismatch":
      return report(EXIT.failed, error.message, "a cursor is good for the store and the filter it was made with; to begin anew leave out --after")
    case "Transient":
      return report(EXIT.failed, error.message, "it may pass: try again")
    case "Throttled":
    case "Full":
      return report(EXIT.failed, error.message)
  }
}

const isTagged = (value: unknown): value is { readonly _tag: string; readonly message?: unknown } =>
  typeof value === "object" && value !== null && "_tag" in value && typeof value._tag === "string"

/** The reasons of a BackendError: what has one of these tags inside is one, also of another copy of the package. */
const BACKEND_REASONS = new Set(["Transient", "Throttled", "Unauthorized", "Unavailable", "Full", "CursorMismatch"])

const isBackendError = (value: unknown): value is BackendError =>
  isTagged(value) &&
  value._tag === "BackendError" &&
  "reason" in value &&
  isTagged(value.reason) &&
  BACKEND_REASONS.has(value.reason._tag)

const ofError = (error: unknown): Report => {
  if (isBackendError(error)) return ofBackend(error)
  if (error instanceof Failure) return report(error.exit ?? EXIT.failed, error.detail, error.hint)
  if (error instanceof Told) return { lines: [], exit: error.exit }
  if (isTagged(error) && error._tag === "RecorderError" && "reason" in error && isBackendError(error.reason)) {
    return { ...ofBackend(error.reason), lines: [(error as { readonly message?: unknown }).message as string] }
  }
  if (error instanceof Error && error.message !== "") return report(EXIT.failed, error.message)
  return report(EXIT.failed, isTagged(error) ? error._tag : String(error))
}

/**
 * What to say on stderr, and with which code to exit.
 *
 * @internal
 */
export const reportOf = (cause: Cause.Cause<unknown>): Report => {
  if (Cause.hasInterruptsOnly(cause)) return { lines: [], exit: EXIT.interrupted }
  const error = Cause.squash(cause)
  // A bug, not a failure: the first line says what, nobody at a terminal wants the stack.
  if (CliError.isCliError(error)) {
    return { lines: [], exit: error._tag === "ShowHelp" && error.errors.length === 0 ? EXIT.ok : EXIT.usage }
  }
  const { exit, lines } = ofError(error)
  return {
    // Two lines at the most, whatever a message of somebody else holds.
    lines: lines.flatMap((text) => text.split(/\r?\n/).map(escape.line).filter((one) => one.trim() !== "")).slice(0, 2),
    exit
  }
}
