import * as Command from "effect/cli/Command"

/**
 * Examples under the name that the command has where it is used.
 *
 * @internal
 */
export const examples = (...rest: ReadonlyArray<string>) =>
  Command.withExamples(({ commandPath }) => rest.map((one) => ({ command: [...commandPath, one].join(" ").trimEnd() })))
