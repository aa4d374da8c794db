/**
 * Regular expressions for messages, in RE2's syntax: the time that one takes grows with the length of the message, whatever the
 * expression, so that none can hang the command. Loaded where one is given.
 *
 * @internal
 */
import * as Result from "effect/Result"
import { RE2JS } from "re2js"
import type { Patterns } from "./selection.ts"

/** Longer ones are made by programs, and are lists of texts that a filter has flags for. */
const LONGEST = 1_000
/** Instructions of the compiled expression: each may be looked at for each character of a message. */
const LARGEST = 5_000

/** As journalctl has it: an expression in small letters is about large ones too. What follows a backslash is no letter. */
const isInSmallLetters = (expression: string): boolean => {
  const letters = expression.replace(/\\./gsu, "")
  return letters === letters.toLowerCase()
}

const compileOne = (flag: string, expression: string): Result.Result<RE2JS, string> => {
  const refused = (why: string) => Result.fail(`--${flag} ${JSON.stringify(expression.slice(0, 80))}: ${why}`)
  if (expression.length > LONGEST) {
    return refused(`the expression has ${expression.length} characters, at most ${LONGEST} are read`)
  }
  try {
    const compiled = RE2JS.compile(expression, isInSmallLetters(expression) ? RE2JS.CASE_INSENSITIVE : 0)
    return compiled.programSize() > LARGEST
      ? refused("the expression is too large: use smaller numbers of repeats")
      : Result.succeed(compiled)
  } catch (error) {
    // What the flag for both cases puts before the expression is nothing that was written.
    const said =
      error instanceof Error
        ? error.message.replace(/^error parsing regexp: /, "").replace("`(?i)", "`")
        : String(error)
    return refused(
      /Perl syntax|escape sequence/.test(said)
        ? `${said}; this is RE2's syntax, which has no lookahead, lookbehind and no backreferences`
        : said
    )
  }
}

const compileAll = (flag: string, expressions: ReadonlyArray<string>): Result.Result<ReadonlyArray<RE2JS>, string> => {
  const all: Array<RE2JS> = []
  for (const expression of expressions) {
    const compiled = compileOne(flag, expression)
    if (Result.isFailure(compiled)) return Result.fail(compiled.failure)
    all.push(compiled.success)
  }
  return Result.succeed(all)
}

/**
 * The test of a message: one of `grep` matches, where there is one, and none of `exclude`. The failure says what is wrong with an
 * expression.
 *
 * @internal
 */
export const compile = (patterns: Patterns): Result.Result<(message: string) => boolean, string> => {
  const wanted = compileAll("grep", patterns.grep)
  if (Result.isFailure(wanted)) return Result.fail(wanted.failure)
  const unwanted = compileAll("exclude", patterns.exclude)
  if (Result.isFailure(unwanted)) return Result.fail(unwanted.failure)
  return Result.succeed(
    (message) =>
      (wanted.success.length === 0 || wanted.success.some((one) => one.test(message))) &&
      !unwanted.success.some((one) => one.test(message))
  )
}
