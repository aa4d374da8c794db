/**
 * The life of the process: signals, broken pipes, exit codes.
 *
 * @internal
 */
import * as Console from "effect/Console"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import { EXIT, outcomeOf, toCommandError } from "./failure.ts"
import * as wrapping from "./wrapping.ts"

const SIGNALS = { SIGINT: EXIT.interrupted, SIGTERM: EXIT.terminated, SIGHUP: EXIT.hungUp } as const

let goesOn = false

/**
 * For verbs that do more than print: what they do goes on where the reader of their output (`| head`) has gone.
 *
 * @internal
 */
export const goOnWithoutReader: Effect.Effect<void> = Effect.sync(() => {
  goesOn = true
})

/**
 * With which code the process ends after a signal.
 *
 * @internal
 */
export const Ending = Context.Reference<{ terminated: number }>("tidings/internal/cli/Ending", {
  defaultValue: () => ({ terminated: EXIT.terminated })
})

/**
 * Runs to the end of the process. A signal interrupts, so that what is open is closed; a second one ends at once. A
 * reader that has seen enough (`| head`) is no failure.
 *
 * @internal
 */
export const run = (program: Effect.Effect<number>): void => {
  // Nothing else keeps the process alive while a fiber waits for another one.
  const keepAlive = setInterval(() => {}, 2_147_483_647)
  let fiber: Fiber.Fiber<number> | undefined
  let forced: number | undefined
  const ending = { terminated: EXIT.terminated as number }

  const end = (code: number): void => {
    if (forced !== undefined) process.exit(forced)
    forced = code
    fiber?.interruptUnsafe()
  }
  for (const [signal, code] of Object.entries(SIGNALS)) process.on(signal, () => end(code))
  process.stdout.on("error", (error: NodeJS.ErrnoException) => {
    if (error.code === "EPIPE") return goesOn ? undefined : end(EXIT.ok)
    process.stderr.write(`error: cannot write the output: ${error.message}\n`)
    end(EXIT.failed)
  })
  // The reader of the messages is gone, so this cannot be reported.
  process.stderr.on("error", () => {})
  // A bug of a backend outside its effects. Its stack does not help the user of the command.
  process.on("uncaughtException", (error) => {
    process.stderr.write(`error: ${toCommandError(error).message}\n`)
    process.exit(EXIT.failed)
  })

  // Only now, because what runs may be through, or tell others to send signals, before this line is left.
  fiber = Effect.runFork(
    program.pipe(Effect.provideService(Console.Console, output), Effect.provideService(Ending, ending))
  )
  fiber.addObserver((exit) => {
    clearInterval(keepAlive)
    if (forced === EXIT.terminated) forced = ending.terminated
    const code = forced ?? (Exit.isSuccess(exit) ? exit.value : outcomeOf(exit.cause).exit)
    // What went wrong with the output is told in an event of its own, which comes before this.
    const leave = () => setImmediate(() => process.exit(forced ?? code))
    // Where pipes are asynchronous, what is still on its way would be lost.
    if (process.stdout.writable) process.stdout.write("", leave)
    else leave()
  })
}

/** Node's own console swallows what goes wrong, and a list that ends at a full disk would look like a whole one. */
const output: Console.Console = {
  ...console,
  log: (text: unknown) => {
    process.stdout.write(`${String(text)}\n`)
  },
  error: (text: unknown) => {
    const room = process.stderr.isTTY && process.stderr.columns > 0 ? process.stderr.columns : undefined
    process.stderr.write(`${wrapping.fit(String(text), room)}\n`)
  }
}
