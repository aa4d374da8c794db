/**
 * What the command says: data on stdout, words on stderr.
 *
 * @internal
 */
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Stdio from "effect/Stdio"
import * as Terminal from "effect/Terminal"
import * as escape from "./escape.ts"

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

/** @internal */
export const say = (text: string): Effect.Effect<void> => Console.error(escape.line(text))

/**
 * The columns of the terminal that shows the data; absent where it goes into a pipe or a file, which cut nothing.
 *
 * @internal
 */
export const room: Effect.Effect<number | undefined, never, Stdio.Stdio | Terminal.Terminal> = Effect.gen(function* () {
  const stdio = yield* Stdio.Stdio
  if (!(yield* stdio.stdoutIsTerminal)) return undefined
  const columns = yield* (yield* Terminal.Terminal).columns
  return columns > 0 ? columns : undefined
})
