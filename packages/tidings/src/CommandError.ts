/**
 * How a verb of the command fails.
 *
 * @since 0.1.0
 */
import * as Data from "effect/Data"
import * as Runtime from "effect/Runtime"
import * as CliError from "effect/cli/CliError"

/**
 * A verb that failed, in words for the person at the terminal: `lines` says what was wrong and what to do, `exit` is the
 * exit code (see `Cli.runWith`). Without lines everything has been printed already. `cause` is what the backend failed
 * with.
 *
 * It carries the annotations with which `effect/cli` and `runMain` print the lines and exit with the code, also where the
 * verb is part of a larger command.
 *
 * **Example**
 *
 * ```ts
 * import { CommandError } from "tidings/CommandError"
 * import assert from "node:assert/strict"
 *
 * const error = new CommandError({ lines: ["there is no event \"x\"", "take an id from: tidings list -o wide"], exit: 1 })
 * assert.equal(error.message, "there is no event \"x\"\ntake an id from: tidings list -o wide")
 * ```
 *
 * @category errors
 * @since 0.1.0
 */
export class CommandError extends Data.TaggedError("CommandError")<{
  readonly lines: ReadonlyArray<string>
  readonly exit: number
  readonly cause?: unknown
}> {
  override readonly [Runtime.errorReported] = false
  override readonly [Runtime.errorExitCode] = this.exit
  override readonly [CliError.userMessage]?: string

  constructor(props: { readonly lines: ReadonlyArray<string>; readonly exit: number; readonly cause?: unknown }) {
    super(props)
    if (props.lines.length > 0) this[CliError.userMessage] = this.message
  }

  override get message(): string {
    return this.lines.join("\n")
  }
}
