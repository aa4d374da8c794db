/**
 * Help, and what a wrong command line gets to read.
 *
 * @internal
 */
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as CliConfig from "effect/cli/CliConfig"
import * as CliOutput from "effect/cli/CliOutput"
import * as Completions from "effect/cli/Completions"
import * as Flag from "effect/cli/Flag"
import * as GlobalFlag from "effect/cli/GlobalFlag"
import type { ArgDoc, FlagDoc, HelpDoc } from "effect/cli/HelpDoc"
import type { Catalogue } from "./catalogue.ts"
import type { Colours } from "./colour.ts"
import * as colour from "./colour.ts"
import * as escape from "./escape.ts"
import * as failure from "./failure.ts"
import * as format from "./format.ts"
import * as table from "./table.ts"
import * as words from "./words.ts"

/** Longer lines are hard to read, however wide the terminal is. */
const WIDEST = 100

// ---------------------------------------------------------------------------
// help
// ---------------------------------------------------------------------------

const wrap = (text: string, room: number): ReadonlyArray<string> => {
  const lines: Array<string> = []
  let current = ""
  for (const word of text.split(/\s+/)) {
    if (current !== "" && table.width(current) + 1 + table.width(word) > room) {
      lines.push(current)
      current = word
    } else current = current === "" ? word : `${current} ${word}`
  }
  return [...lines, current]
}

const section = (
  title: string,
  rows: ReadonlyArray<readonly [left: string, right: string]>,
  colours: Colours
): ReadonlyArray<string> => {
  if (rows.length === 0) return []
  const left = Math.max(...rows.map(([name]) => table.width(name)))
  const lines = rows.flatMap(([name, text]) =>
    wrap(text, WIDEST - left - 4).map((line, index) =>
      `  ${index === 0 ? name.padEnd(left) : " ".repeat(left)}  ${line}`.trimEnd()
    )
  )
  return ["", colours.strong(title), ...lines]
}

const usageOf = ({ args = [], subcommands }: HelpDoc, path: ReadonlyArray<string>): string =>
  [...path, ...(subcommands === undefined ? [] : ["<command>"]), ...args.map(({ name }) => name), "[flags]"].join(" ")

const argumentRow = ({ description, name }: ArgDoc): readonly [string, string] => [
  name,
  Option.getOrElse(description, () => "")
]

const flagRow = ({ aliases, description, name, type }: FlagDoc): readonly [string, string] => {
  const short = aliases.find((alias) => /^-[^-]$/.test(alias))
  const value = type === "boolean" ? "" : ` ${type}`
  // The choices stand for the value already.
  const text = Option.getOrElse(description, () => "").replace(/ \(choices: [^)]*\)$/, "")
  return [`${short === undefined ? "    " : `${short}, `}--${name}${value}`, text]
}

const render = (doc: HelpDoc, colours: Colours): string => {
  const path = doc.commandPath ?? []
  const commands = (doc.subcommands ?? []).flatMap(({ commands }) => commands)
  const usage = path.length === 0 ? doc.usage : usageOf(doc, path)
  return [
    ...(doc.description === "" ? [] : [...wrap(doc.description, WIDEST), ""]),
    `${colours.strong("Usage:")} ${usage}`,
    ...section(
      "Commands:",
      commands.map(({ description, name, shortDescription }) => [name, shortDescription ?? description] as const),
      colours
    ),
    ...section("Arguments:", (doc.args ?? []).map(argumentRow), colours),
    ...section("Flags:", doc.flags.map(flagRow), colours),
    ...section(
      "Flags of every command:",
      [...(doc.inheritedFlags ?? []), ...(doc.globalFlags ?? [])].map(flagRow),
      colours
    ),
    ...(doc.examples === undefined || doc.examples.length === 0
      ? []
      : ["", colours.strong("Examples:"), ...doc.examples.map(({ command }) => `  ${command}`)])
  ].join("\n")
}

// ---------------------------------------------------------------------------
// built-in flags
// ---------------------------------------------------------------------------

/** The values that completion offers, by flag. Most come from the catalogue, which the parser does not require. */
const valuesOf = (catalogue: Catalogue): { readonly [flag: string]: ReadonlyArray<string> | undefined } => ({
  output: format.FORMATS,
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
    const known = Object.hasOwn(values, flag.name) ? values[flag.name] : undefined
    return known === undefined ? flag : { ...flag, type: { _tag: "Choice", values: known } }
  }),
  arguments: descriptor.arguments.map((argument) =>
    argument.name === "[REASON]" ? { ...argument, type: { _tag: "Choice", values: values["reason"] ?? [] } } : argument
  ),
  subcommands: descriptor.subcommands.map((one) => withValues(one, values))
})

const completions = (catalogue: Catalogue): GlobalFlag.Action<Option.Option<Completions.Shell>> =>
  GlobalFlag.Action({
    flag: Flag.ChoiceWithValue("completions", [
      ["bash", "bash"],
      ["zsh", "zsh"],
      ["fish", "fish"],
      ["powershell", "powershell"]
    ] as const).pipe(
      Flag.optional,
      Flag.withMetavar("bash|zsh|fish|powershell"),
      Flag.withDescription("Print a completion script")
    ),
    run: (shell, { command }) =>
      Option.isNone(shell)
        ? Effect.void
        : words.data(
            Completions.generate(
              command.name,
              shell.value,
              withValues(Completions.fromCommand(command), valuesOf(catalogue))
            )
          )
  })

/** @internal */
export const config = (catalogue: Catalogue): CliConfig.CliConfig.Service =>
  CliConfig.make({ builtIns: [GlobalFlag.Help, GlobalFlag.Version, completions(catalogue)] })

// ---------------------------------------------------------------------------
// where it goes
// ---------------------------------------------------------------------------

/**
 * How the command words what goes wrong.
 *
 * @internal
 */
export const formatter: CliOutput.Formatter = {
  ...CliOutput.defaultFormatter({ colors: false }),
  formatError: ({ message }) => `error: ${escape.block(message)}`
}

/**
 * Help that was asked for is the answer and goes to stdout; a wrong command line is two lines on stderr.
 *
 * @internal
 */
export const presenter: CliOutput.Presenter = {
  present: Effect.fnUntraced(function* (event) {
    switch (event._tag) {
      case "Help":
        return yield* words.data(render(event.helpDoc, yield* colour.coloursOf("auto")))
      case "Version":
        return yield* words.data(`${event.name} ${event.version}`)
      case "InvalidInvocation": {
        const clauses = [...new Set(event.errors.map(failure.describe))]
        yield* words.say(`error: ${clauses.join("; ")}`)
        const command = event.commandPath.join(" ")
        return yield* Console.error(`usage: ${usageOf(event.helpDoc, event.commandPath)} (more: ${command} --help)`)
      }
    }
  })
}
