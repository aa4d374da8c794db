// How every example on Effect ends: the lines of docs/guides/graceful-end.md.
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import type * as Effect from "effect/Effect"
import * as Runtime from "effect/Runtime"

const codes = { SIGHUP: 129, SIGINT: 130, SIGTERM: 143 }

export const runMain = <A, E>(program: Effect.Effect<A, E>): void => {
  let code: number | undefined
  for (const signal of ["SIGHUP", "SIGINT", "SIGTERM"] as const) process.once(signal, () => (code ??= codes[signal]))
  // runMain interrupts the program on SIGINT and SIGTERM, and leaves SIGHUP to Node, which ends the process at once.
  process.once("SIGHUP", () => process.emit("SIGTERM", "SIGTERM"))
  NodeRuntime.runMain(program, {
    teardown: (exit, end) => (code === undefined ? Runtime.defaultTeardown(exit, end) : end(code))
  })
}
