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
import type * as Completions from "effect/cli/Completions"
import * as Flag from "effect/cli/Flag"
import * as GlobalFlag from "effect/cli/GlobalFlag"
import type { ArgDoc, FlagDoc, HelpDoc } from "effect/cli/HelpDoc"
import type { Catalogue } from "./catalogue.ts"
import type { Colours } from "./colour.ts"
import * as colour from "./colour.ts"
import * as escape from "./escape.ts"
import * as failure from "./failure.ts"
import * as table from "./table.ts"
import * as words from "./words.ts"
import { wrap } from "./wrapping.ts"

/** Longer lines are hard to read, however wide the terminal is. */
const WIDEST = 100

// ---------------------------------------------------------------------------
// help
// ---------------------------------------------------------------------------

/** Where less is left beside the names, what is said of them stands below. */
const LEAST_BESIDE = 28
const BELOW = " ".repeat(10)

const section = (
  title: string,
  rows: ReadonlyArray<readonly [left: string, right: string]>,
  colours: Colours,
  widest: number
): ReadonlyArray<string> => {
  if (rows.length === 0) return []
  const left = Math.max(...rows.map(([name]) => table.width(name)))
  const room = widest - left - 4
  const lines = rows.flatMap(([name, text]) =>
    room < LEAST_BESIDE
      ? [
          ...wrap(name.trim(), widest - 2).map((line) => `  ${line}`),
          ...(text === "" ? [] : wrap(text, widest - BELOW.length).map((line) => `${BELOW}${line}`))
        ]
      : wrap(text, room).map((line, index) =>
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

const render = (doc: HelpDoc, colours: Colours, widest: number): string => {
  const path = doc.commandPath ?? []
  const commands = (doc.subcommands ?? []).flatMap(({ commands }) => commands)
  const usage = path.length === 0 ? doc.usage : usageOf(doc, path)
  return [
    ...(doc.description === "" ? [] : [...wrap(doc.description, widest), ""]),
    ...wrap(`Usage: ${usage}`, widest).map((line, index) =>
      index === 0 ? line.replace("Usage:", colours.strong("Usage:")) : `  ${line}`
    ),
    ...section(
      "Commands:",
      commands.map(({ description, name, shortDescription }) => [name, shortDescription ?? description] as const),
      colours,
      widest
    ),
    ...section("Arguments:", (doc.args ?? []).map(argumentRow), colours, widest),
    ...section("Flags:", doc.flags.map(flagRow), colours, widest),
    ...section(
      "Flags of every command:",
      [...(doc.inheritedFlags ?? []), ...(doc.globalFlags ?? [])].map(flagRow),
      colours,
      widest
    ),
    ...(doc.examples === undefined || doc.examples.length === 0
      ? []
      : [
          "",
          colours.strong("Examples:"),
          ...doc.examples.flatMap(({ command }) =>
            wrap(command, widest - 4).map((line, index) => `${index === 0 ? "  " : "    "}${line}`)
          )
        ])
  ].join("\n")
}

// ---------------------------------------------------------------------------
// built-in flags
// ---------------------------------------------------------------------------

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
        : Effect.flatMap(
            Effect.promise(() => import("./completionScripts.ts")),
            ({ script }) => words.data(script(shell.value, command, catalogue))
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
        return yield* words.data(
          render(event.helpDoc, yield* colour.coloursOf("auto"), Math.min(WIDEST, (yield* words.room) ?? WIDEST))
        )
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
