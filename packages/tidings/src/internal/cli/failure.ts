/**
 * How the command fails: one or two lines that say what to do, and an exit code.
 *
 * @internal
 */
import type { BackendError } from "@tidings/core/BackendError"
import * as Cause from "effect/Cause"
import * as Data from "effect/Data"
import type { PlatformError } from "effect/PlatformError"
import * as CliError from "effect/cli/CliError"
import { CommandError } from "../../CommandError.ts"
import * as escape from "./escape.ts"

/**
 * - `usage`: the command line is wrong
 * - `failed`: it was right, and something went wrong
 * - `unreachable`: the backend cannot be reached, or does not let us in
 * - `timedOut`: what was waited for did not come, as `timeout` of the coreutils has it
 * - `hungUp`, `interrupted`, `terminated`: by SIGHUP, SIGINT, SIGTERM
 *
 * @internal
 */
export const EXIT = {
  ok: 0,
  failed: 1,
  usage: 2,
  unreachable: 4,
  timedOut: 124,
  hungUp: 129,
  interrupted: 130,
  terminated: 143
} as const

/**
 * A failure at run time, in words. `detail` says what went wrong; `hint`, on a line of its own, what to do.
 *
 * @internal
 */
export class Failure extends Data.TaggedError("Failure")<{
  readonly detail: string
  readonly hint?: string | undefined
}> {
  override get message(): string {
    return this.detail
  }
}

/**
 * The store did not say what became of something.
 *
 * @internal
 */
export class Unanswered extends Data.TaggedError("Unanswered")<{ readonly detail: string; readonly hint: string }> {
  override get message(): string {
    return this.detail
  }
}

/**
 * There is no store yet where one was looked for: listing it shows nothing, and creates nothing.
 *
 * @internal
 */
export class Absent extends Data.TaggedError("Absent")<{ readonly detail: string; readonly hint: string }> {
  override get message(): string {
    return this.detail
  }
}

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

/** A flag of one letter is near to every other one: only the same letter is meant, in the other case or after one dash too many. */
const isMeant = (suggestion: string, option: string): boolean =>
  suggestion.startsWith("--") || suggestion.slice(1).toLowerCase() === option.replace(/^-+/, "").toLowerCase()

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
      return `unknown flag ${error.option}${suggested(error.suggestions.filter((one) => isMeant(one, error.option)))}`
    case "MissingOption":
      return `${flagOf(error.option)} is missing`
    case "MissingArgument":
      return `${error.argument} is missing`
    case "UnexpectedArgument": {
      const more = error.arguments.map((value) => JSON.stringify(value)).join(", ")
      return `unexpected ${more}: quote a text that has spaces, and put flags before --`
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

/** What the system calls what it refuses, in words. */
const REFUSALS: ReadonlyMap<unknown, string> = new Map([
  ["EISDIR", "it is a directory"],
  ["ENOTDIR", "a part of its path is no directory"],
  ["EACCES", "this user may not read it"],
  ["EPERM", "this user may not read it"]
])

/**
 * Why a file cannot be read.
 *
 * @internal
 */
export const whyOf = ({ message, reason }: PlatformError): string => {
  if (reason._tag === "NotFound") return "there is no such file"
  const { cause } = reason
  const code = typeof cause === "object" && cause !== null && "code" in cause ? cause.code : undefined
  return REFUSALS.get(code) ?? message
}

// ---------------------------------------------------------------------------
// run-time failures
// ---------------------------------------------------------------------------

interface Report {
  readonly exit: number
  readonly detail: string
  readonly hint?: string | undefined
}

/** What to do may be the last clause of a message. As long as what was refused, it gets a line of its own. */
const ADVICE = /; (?=to (?:allow it|find out why|give one|give another one|be let in), )/

/**
 * What went wrong with reading: whether something was written means nothing to who reads.
 *
 * @internal
 */
export const readingFailed = (error: BackendError): readonly [detail: string, hint: string | undefined] => {
  const { _tag, detail } = error.reason
  const [said = "", advice] = (_tag === "Transient" ? detail : error.message).split(ADVICE)
  // What comes with its own advice also says which store it is.
  return [
    _tag === "Transient" && advice === undefined ? `the store did not answer as it should: ${said}` : said,
    advice
  ]
}

const ofBackend = (error: BackendError): Report => {
  const detail = error.message
  switch (error.reason._tag) {
    case "Unavailable":
    case "Unauthorized":
      return { exit: EXIT.unreachable, detail }
    case "Transient": {
      // Who records is told by the recorder.
      const [detail, hint = "this may be temporary: try again"] = readingFailed(error)
      return { exit: EXIT.unreachable, detail, hint }
    }
    case "CursorMismatch":
      return {
        exit: EXIT.failed,
        detail,
        hint: "a cursor is valid for its store and its filter; to start over, leave out --after"
      }
    case "TargetMismatch":
      return { exit: EXIT.failed, detail, hint: "check the address and the context: they lead to another store now" }
    case "Throttled":
    case "Full":
      return { exit: EXIT.failed, detail }
  }
}

const isTagged = (value: unknown): value is { readonly _tag: string } =>
  typeof value === "object" && value !== null && "_tag" in value && typeof value._tag === "string"

/** What has one of these inside is a BackendError, also when it is of another copy of the package. */
const BACKEND_REASONS: ReadonlySet<string> = new Set<BackendError["reason"]["_tag"]>([
  "Transient",
  "Throttled",
  "Unauthorized",
  "Unavailable",
  "Full",
  "CursorMismatch",
  "TargetMismatch"
])

const isBackendError = (value: unknown): value is BackendError =>
  isTagged(value) &&
  value._tag === "BackendError" &&
  "reason" in value &&
  isTagged(value.reason) &&
  BACKEND_REASONS.has(value.reason._tag)

/** `SchemaError(Expected … at ["VARIABLE"])`, the variable first. */
const ofConfig = (message: string): string =>
  message.replace(/^SchemaError\(Expected (.*?)\s+at \["([^"]*)"\]\)$/s, "the environment variable $2 is none of $1")

const messageOf = (error: unknown): string => {
  if (typeof error === "object" && error !== null && "message" in error) {
    if (typeof error.message === "string" && error.message !== "") {
      return isTagged(error) && error._tag === "ConfigError" ? ofConfig(error.message) : error.message
    }
  }
  return isTagged(error) ? error._tag : String(error)
}

const reportOf = (error: unknown): Report => {
  if (isBackendError(error)) return ofBackend(error)
  if (error instanceof Unanswered || error instanceof Absent) {
    return { exit: EXIT.unreachable, detail: error.detail, hint: error.hint }
  }
  if (error instanceof Failure) return { exit: EXIT.failed, detail: error.detail, hint: error.hint }
  if (isTagged(error) && error._tag === "RecorderError" && "reason" in error && isBackendError(error.reason)) {
    const report = ofBackend(error.reason)
    const { reason } = error.reason
    return {
      ...report,
      detail: reason._tag === "Transient" ? `the event was not recorded: ${reason.detail}` : messageOf(error)
    }
  }
  return { exit: EXIT.failed, detail: messageOf(error) }
}

/** Of messages of others, such as a stack or a page of HTML, only the first lines are shown. */
const MOST_LINES = 2

/**
 * Any failure in one or two lines, with its exit code.
 *
 * @internal
 */
export const toCommandError = (error: unknown): CommandError => {
  if (error instanceof CommandError) return error
  const { detail, exit, hint } = reportOf(error)
  const lines = [detail, ...(hint === undefined ? [] : [hint])]
    .flatMap((text) => text.split(/\r?\n/).flatMap((line) => line.split(ADVICE)))
    .filter((line) => line.trim() !== "")
  return new CommandError({ lines: lines.slice(0, MOST_LINES).map(escape.line), exit, cause: error })
}

/**
 * What is printed for a failure that has not been printed yet, and the exit code.
 *
 * @internal
 */
export const outcomeOf = (
  cause: Cause.Cause<unknown>
): { readonly exit: number; readonly untold: ReadonlyArray<string> } => {
  if (Cause.hasInterruptsOnly(cause)) return { exit: EXIT.interrupted, untold: [] }
  const error = Cause.squash(cause)
  if (error instanceof CommandError) return { exit: error.exit, untold: [] }
  if (CliError.isCliError(error)) {
    return { exit: error._tag === "ShowHelp" && error.errors.length === 0 ? EXIT.ok : EXIT.usage, untold: [] }
  }
  const { exit, lines } = toCommandError(error)
  return { exit, untold: lines }
}
