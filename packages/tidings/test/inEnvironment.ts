import * as ConfigProvider from "effect/ConfigProvider"
import * as Effect from "effect/Effect"
import { TestConsole } from "effect/testing"
import { backend } from "../src/internal/cli/tidings.ts"
import { run } from "./harness.ts"

/** Runs the command over the stores that it has itself, with an environment and nothing else around it. */
export const tidings = (argv: ReadonlyArray<string>, environment: Readonly<Record<string, string>> = {}) =>
  run(backend, argv).pipe(
    Effect.provideService(
      ConfigProvider.ConfigProvider,
      ConfigProvider.fromUnknown({
        HOME: "/nowhere",
        TIDINGS_DIRECTORY: "/nowhere/log",
        KUBECONFIG: "",
        ...environment
      })
    ),
    Effect.provide(TestConsole.layer)
  )
