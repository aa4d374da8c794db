/**
 * The command as completion sees it: its verbs and flags, and the values that flags take.
 *
 * @internal
 */
import type * as Command from "effect/cli/Command"
import * as Completions from "effect/cli/Completions"
import type { Catalogue } from "./catalogue.ts"
import * as colour from "./colour.ts"
import * as options from "./flags.ts"
import * as format from "./format.ts"

/** The values that completion offers, by flag. Most come from the catalogue, which the parser does not require. */
const valuesOf = (catalogue: Catalogue): { readonly [flag: string]: ReadonlyArray<string> | undefined } => ({
  output: [...format.FORMATS, "name"],
  color: colour.MODES,
  type: ["Normal", "Warning"],
  kind: catalogue.kinds.map(({ kind }) => kind),
  reason: catalogue.kinds.flatMap(({ reasons }) => reasons.map(({ reason }) => reason))
})

const withValues = (
  descriptor: Completions.CommandDescriptor,
  values: { readonly [flag: string]: ReadonlyArray<string> | undefined }
): Completions.CommandDescriptor => ({
  ...descriptor,
  flags: descriptor.flags.map((flag) => {
    const known =
      options.choicesOf(flag.name, flag.description ?? "") ??
      (Object.hasOwn(values, flag.name) ? values[flag.name] : undefined)
    return known === undefined ? flag : { ...flag, type: { _tag: "Choice", values: known } }
  }),
  arguments: descriptor.arguments.map((argument) =>
    argument.name === "[REASON]" ? { ...argument, type: { _tag: "Choice", values: values["reason"] ?? [] } } : argument
  ),
  subcommands: descriptor.subcommands.map((one) => withValues(one, values))
})

/**
 * The command as completion sees it.
 *
 * @internal
 */
export const described = (command: Command.Command.Any, catalogue: Catalogue): Completions.CommandDescriptor =>
  withValues(Completions.fromCommand(command), valuesOf(catalogue))
