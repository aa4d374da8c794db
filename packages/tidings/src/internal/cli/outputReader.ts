/**
 * Who reads what the command prints. A reader that has seen enough (`| head`) has to be noticed also where nothing is printed for
 * a long time, and Node tells of it only at the next write.
 *
 * @internal
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import { fstatSync } from "node:fs"

const isPipe = (): boolean => {
  try {
    return fstatSync(1).isFIFO()
  } catch {
    return false
  }
}

/**
 * Ends when the reader of a pipe has left. GNU's `tail` waits for that with poll(2), which Node has no function for. Where there is no
 * such `tail`, this never ends, and the next write tells.
 *
 * @internal
 */
export const Left = Context.Reference<Effect.Effect<void>>("tidings/internal/cli/Left", {
  defaultValue: () =>
    Effect.suspend(() => {
      if (process.platform !== "linux" || !isPipe()) return Effect.never
      return Effect.flatMap(
        Effect.promise(() => import("node:child_process")),
        ({ spawn }) =>
          Effect.callback<void>((resume) => {
            const watch = spawn("tail", ["-f", `--pid=${process.pid}`, "/dev/null"], { stdio: ["ignore", 1, "ignore"] })
            const end = () => watch.kill()
            process.on("exit", end)
            watch.on("error", () => {})
            watch.on("exit", (_, signal) => {
              process.off("exit", end)
              if (signal === "SIGPIPE") resume(Effect.void)
            })
            return Effect.sync(end)
          })
      )
    })
})

/**
 * Whether all that was printed so far was taken by the terminal, the file or the pipe.
 *
 * @internal
 */
export const Taken = Context.Reference<Effect.Effect<boolean>>("tidings/internal/cli/Taken", {
  defaultValue: () =>
    Effect.callback<boolean>((resume) => {
      if (!process.stdout.writable) return resume(Effect.succeed(false))
      process.stdout.write("", (error) => resume(Effect.succeed(error === undefined || error === null)))
    })
})
