/**
 * The flags that several verbs share.
 *
 * @internal
 */
import type { EventType } from "@tidings/core/Event"
import * as TimeExpression from "@tidings/core/TimeExpression"
import * as Timestamp from "@tidings/core/Timestamp"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as CliError from "effect/cli/CliError"
import * as Flag from "effect/cli/Flag"
import * as colour from "./colour.ts"
import * as format from "./format.ts"
import * as numbers from "./numbers.ts"

// ---------------------------------------------------------------------------
// kinds of flags
// ---------------------------------------------------------------------------

interface Description {
  readonly alias?: string | undefined
  /** What stands for the value in help. */
  readonly value: string
  readonly description: string
}

// A flag given twice is no error, the last one counts: aliases and scripts append to what is there.
const last = <A>(flag: Flag.Flag<A>): Flag.Flag<A | undefined> =>
  flag.pipe(
    Flag.atLeast(0),
    Flag.map((values) => values.at(-1))
  )

const described = ({ alias, description, value }: Description, name: string): Flag.Flag<string> => {
  const flag = Flag.String(name).pipe(Flag.withMetavar(value), Flag.withDescription(description))
  return alias === undefined ? flag : Flag.withAlias(flag, alias)
}

/** @internal */
export const invalid = (option: string, value: string, expected: string): CliError.InvalidValue =>
  new CliError.InvalidValue({ option, value, expected, kind: "flag" })

/** @internal */
export const text = (name: string, description: Description): Flag.Flag<string | undefined> =>
  last(described(description, name))

/** @internal */
export const texts = (name: string, description: Description): Flag.Flag<ReadonlyArray<string>> =>
  Flag.atLeast(described(description, name), 0)

const choicesByFlag = new Map<string, ReadonlyArray<string>>()

/**
 * The choices of a flag that was made by `choice`, for completion: the parser keeps of a flag only its name and its description.
 *
 * @internal
 */
export const choicesOf = (name: string, description: string): ReadonlyArray<string> | undefined =>
  choicesByFlag.get(`${name}: ${description}`)

/** @internal */
export const choice = <const Choices extends ReadonlyArray<string>>(
  name: string,
  choices: Choices,
  description: Description
): Flag.Flag<Choices[number] | undefined> => {
  choicesByFlag.set(`${name}: ${description.description}`, choices)
  return last(
    Flag.mapEffect(described(description, name), (value) => {
      const found = choices.find((one) => one.toLowerCase() === value.trim().toLowerCase())
      return found === undefined
        ? Effect.fail(invalid(name, value, `one of ${choices.join(", ")}`))
        : Effect.succeed<Choices[number]>(found)
    })
  )
}

/** @internal */
export const time = (name: string, description: Description): Flag.Flag<Timestamp.Micros | undefined> =>
  last(
    Flag.mapEffect(described(description, name), (value) =>
      Effect.flatMap(
        Clock.clockWith((clock) => Effect.sync(() => TimeExpression.parse(value, Timestamp.now(clock)))),
        (parsed) =>
          Result.isSuccess(parsed) ? Effect.succeed(parsed.success) : Effect.fail(invalid(name, value, parsed.failure))
      )
    )
  )

/**
 * A flag without a value.
 *
 * @internal
 */
export const given = (name: string, description: string, alias?: string): Flag.Flag<boolean> => {
  const flag = Flag.Boolean(name).pipe(Flag.withDescription(description), Flag.withoutNegation)
  return (alias === undefined ? flag : Flag.withAlias(flag, alias)).pipe(
    Flag.atLeast(0),
    Flag.map((values) => values.at(-1) ?? false)
  )
}

/** @internal */
export const count = (name: string, description: Description): Flag.Flag<number | "all" | undefined> =>
  last(
    Flag.mapEffect(described(description, name), (value) => {
      if (value.toLowerCase() === "all") return Effect.succeed<number | "all">("all")
      const number = numbers.readWhole(value)
      return Result.isFailure(number)
        ? Effect.fail(invalid(name, value, `${number.failure}, or all`))
        : Effect.succeed<number | "all">(number.success)
    })
  )

/** @internal */
export const port = (name: string, description: string): Flag.Flag<number | undefined> =>
  last(
    Flag.mapEffect(described({ value: "PORT", description }, name), (value) => {
      const found = /^\d{1,5}$/.test(value) ? Number(value) : Number.NaN
      return found <= 65_535
        ? Effect.succeed(found)
        : Effect.fail(invalid(name, value, "a port from 0 to 65535 (0 chooses a free port)"))
    })
  )

// ---------------------------------------------------------------------------
// output
// ---------------------------------------------------------------------------

/** @internal */
export const output = <const Formats extends ReadonlyArray<string>>(
  formats: Formats
): Flag.Flag<Formats[number] | undefined> =>
  choice("output", formats, {
    alias: "o",
    value: formats.join("|"),
    description: `Output format (default ${formats[0]})`
  })

/** @internal */
export const color: Flag.Flag<colour.Mode | undefined> = choice("color", colour.MODES, {
  value: colour.MODES.join("|"),
  description: "Colour the output (default auto: on a terminal, unless NO_COLOR is set)"
})

/** An output that the command line describes: a template, or columns. @internal */
export interface Described {
  readonly _tag: "jsonpath" | "custom-columns"
  readonly written: string
}

/** @internal */
export type EventOutput = format.Format | "name" | Described

const EVENT_FORMATS = [...format.FORMATS, "name"] as const

/** @internal */
export const eventFormat: Flag.Flag<EventOutput | undefined> = last(
  Flag.mapEffect(
    described(
      {
        alias: "o",
        value: "FORMAT",
        description: `${format.FORMATS.join(", ")}, name, jsonpath=TEMPLATE or custom-columns=TITLE:PATH,… (default table)`
      },
      "output"
    ),
    (value) => {
      const shaped = /^(jsonpath|custom-columns)=(.*)$/is.exec(value.trim())
      if (shaped !== null) {
        return Effect.succeed<EventOutput>({
          _tag: shaped[1]!.toLowerCase() as Described["_tag"],
          written: shaped[2]!
        })
      }
      const found = EVENT_FORMATS.find((one) => one === value.trim().toLowerCase())
      return found === undefined
        ? Effect.fail(
            invalid("output", value, `one of ${EVENT_FORMATS.join(", ")}, jsonpath=TEMPLATE, custom-columns=TITLE:PATH`)
          )
        : Effect.succeed<EventOutput>(found)
    }
  )
)

/** How events are printed. @internal */
export const printed = {
  output: eventFormat,
  noHeaders: given("no-headers", "Print tables without their titles"),
  utc: given("utc", "Show times as dates in UTC, and not as ages or in the local time")
}

/** @internal */
export const showCursor = given("show-cursor", "Print the cursor of the end of the answer on stderr, for --after")

// ---------------------------------------------------------------------------
// types and namespaces
// ---------------------------------------------------------------------------

/** @internal */
export const TYPES = ["Normal", "Warning"] as const

/** @internal */
export const eventType = (description: string): Flag.Flag<EventType | undefined> =>
  choice("type", TYPES, { value: "Normal|Warning", description })

/** @internal */
export const placement = {
  namespace: text("namespace", {
    alias: "n",
    value: "NAMESPACE",
    description: "Only events in this namespace (default: that of the context on a cluster, else all)"
  }),
  allNamespaces: given("all-namespaces", "Events in all namespaces, overrides --namespace", "A")
}
