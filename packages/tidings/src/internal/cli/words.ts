/**
 * What the command says: data on stdout, words on stderr.
 *
 * @internal
 */
import * as Cause from "effect/Cause"
import * as Console from "effect/Console"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Logger from "effect/Logger"
import * as escape from "./escape.ts"
import * as wrapping from "./wrapping.ts"

/** So many lines leave in one write: one by one would be slow, all in one would need a text as long as the answer. */
const LINES_PER_WRITE = 1_000

/** @internal */
export const data = (text: string): Effect.Effect<void> => Console.log(text)

/** @internal */
export const lines = (all: ReadonlyArray<string>): Effect.Effect<void> =>
  Console.consoleWith((console) =>
    Effect.sync(() => {
      for (let from = 0; from < all.length; from += LINES_PER_WRITE) {
        console.log(all.slice(from, from + LINES_PER_WRITE).join("\n"))
      }
    })
  )

/**
 * A number of things: `1 event`, `2 events`.
 *
 * @internal
 */
export const counted = (count: number, what: string): string => `${count} ${what}${count === 1 ? "" : "s"}`

/**
 * Writes to the terminal without a line end.
 *
 * @internal
 */
export const Overwrite = Context.Reference<(text: string) => void>("tidings/internal/cli/Overwrite", {
  defaultValue: () => (text) => void process.stderr.write(text)
})

const CLEAR = "\r\u001b[2K"

/** Writes to the terminal that shows a progress line; absent while none is shown. A process has one terminal. */
let overwriting: ((text: string) => void) | undefined

const clearNow = (): void => {
  overwriting?.(CLEAR)
  overwriting = undefined
}

/**
 * Shows a line that the next one, or what else is said, takes the place of.
 *
 * @internal
 */
export const overwrite = (text: string): Effect.Effect<void> =>
  Overwrite.useSync((write) => {
    overwriting = write
    write(`${CLEAR}${text}`)
  })

/**
 * Takes the line away that is written over.
 *
 * @internal
 */
export const clear: Effect.Effect<void> = Effect.sync(clearNow)

/** @internal */
export const say = (text: string): Effect.Effect<void> => Effect.andThen(clear, Console.error(escape.line(text)))

/**
 * What a backend logs, as a sentence for the person at the terminal.
 *
 * @internal
 */
export const logger: Logger.Logger<unknown, void> = Logger.make(({ cause, fiber, logLevel, message }) => {
  const said = (Array.isArray(message) ? message : [message]).map(String).join(" ")
  // A cause that is logged alone comes beside an empty message.
  const text = said.trim() === "" ? Cause.pretty(cause).split("\n", 1)[0]! : said
  const kind = logLevel === "Error" || logLevel === "Fatal" ? "error" : "warning"
  clearNow()
  fiber.getRef(Console.Console).error(escape.line(`${kind}: ${text}`))
})

/**
 * The columns of the terminal that shows the data; absent where it goes into a pipe or a file, which cut nothing.
 *
 * @internal
 */
export const Columns = Context.Reference<() => number | undefined>("tidings/internal/cli/Columns", {
  defaultValue: () => () => (process.stdout.isTTY && process.stdout.columns > 0 ? process.stdout.columns : undefined)
})

/**
 * The rows of the same terminal.
 *
 * @internal
 */
export const Rows = Context.Reference<() => number | undefined>("tidings/internal/cli/Rows", {
  defaultValue: () => () => (process.stdout.isTTY && process.stdout.rows > 0 ? process.stdout.rows : undefined)
})

/**
 * Whether messages beside the data are shown at a terminal.
 *
 * @internal
 */
export const Attended = Context.Reference<() => boolean>("tidings/internal/cli/Attended", {
  defaultValue: () => () => process.stderr.isTTY
})

/** @internal */
export const room: Effect.Effect<number | undefined> = Columns.useSync((columns) => columns())

/**
 * Lines for people, no wider than the terminal: what is broken goes on under so many blanks.
 *
 * @internal
 */
export const prose = (all: ReadonlyArray<string>, hanging: number): Effect.Effect<void> =>
  Effect.flatMap(room, (room) => lines(all.map((line) => wrapping.fit(line, room, hanging))))
