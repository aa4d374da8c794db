import { Effect, type Scope } from "effect"
import { type ChildProcess, spawn } from "node:child_process"
import { once } from "node:events"
import * as path from "node:path"
import { nodeOfRepository } from "./nodeOfRepository.ts"

/** A process beside the test, such as `fixtures/writer.ts`. */
export interface Writer {
  readonly process: ChildProcess
  /** What it said so far, in whole lines. It may have said more: what is in its pipe comes when the test waits. */
  readonly said: () => ReadonlyArray<string>
  /** Waits until it has said so many lines. */
  readonly saidAtLeast: (lines: number) => Effect.Effect<void>
  /** Waits until something is so that changes with what it says. */
  readonly saidThat: (condition: () => boolean) => Effect.Effect<void>
  readonly go: () => void
  /** When it has ended, and all that it said has come: its exit code, or null after a signal. */
  readonly ended: Effect.Effect<number | null>
}

/** Starts a process with the parameters of `fixtures/writer.ts`; it ends with the scope. */
export const writer = (...parameters: ReadonlyArray<string | number>): Effect.Effect<Writer, never, Scope.Scope> =>
  start("writer.ts", ...parameters)

/** Starts a process of a file in `fixtures`; it ends with the scope. */
export const start = (
  fixture: string,
  ...parameters: ReadonlyArray<string | number>
): Effect.Effect<Writer, never, Scope.Scope> => launch([], fixture, parameters)

/** The same, where the process may have so many files open. */
export const startWithin = (
  files: number,
  fixture: string,
  ...parameters: ReadonlyArray<string | number>
): Effect.Effect<Writer, never, Scope.Scope> =>
  launch(["sh", "-c", `ulimit -n ${files} && exec "$0" "$@"`], fixture, parameters)

const launch = (
  by: ReadonlyArray<string>,
  fixture: string,
  parameters: ReadonlyArray<string | number>
): Effect.Effect<Writer, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.sync((): Writer => {
      const [program, ...others] = [
        ...by,
        nodeOfRepository,
        "--conditions=@tidings/source",
        "--disable-warning=ExperimentalWarning",
        path.join(import.meta.dirname, "fixtures", fixture),
        ...parameters.map(String)
      ]
      const child = spawn(program!, others, { stdio: ["pipe", "pipe", "inherit"] })
      child.stdin.on("error", () => {})
      const lines: Array<string> = []
      let rest = ""
      const waiting = new Set<() => void>()
      const wake = (): void => {
        for (const one of waiting) one()
      }
      child.stdout.setEncoding("utf8").on("data", (chunk: string) => {
        const parts = (rest + chunk).split("\n")
        rest = parts.pop()!
        for (const part of parts) lines.push(part)
        wake()
      })
      let isClosed = false
      const closed = once(child, "close").then(() => {
        isClosed = true
        wake()
      })
      // It waits for the process and does not look again and again, which would take the processor from it.
      const saidThat = (condition: () => boolean): Effect.Effect<void> =>
        Effect.callback((resume) => {
          const look = (): void => {
            if (condition()) resume(Effect.void)
            else if (isClosed) {
              resume(
                Effect.die(new Error(`${fixture} ended with ${child.exitCode} after: ${lines.slice(-3).join("; ")}`))
              )
            } else return
            waiting.delete(look)
          }
          waiting.add(look)
          look()
          return Effect.sync(() => waiting.delete(look))
        })
      return {
        process: child,
        said: () => lines,
        saidAtLeast: (count) => saidThat(() => lines.length >= count),
        saidThat,
        go: () => child.stdin.write("go\n"),
        ended: Effect.map(
          Effect.promise(() => closed),
          () => child.exitCode
        )
      }
    }),
    ({ process }) => Effect.sync(() => process.kill("SIGKILL"))
  )
