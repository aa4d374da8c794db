/**
 * Which store a host reads and writes: the cluster where one is configured and answers, else the event log on disk; in a
 * pod always the cluster. A database where one is named.
 *
 * @since 0.1.0
 */
import * as FileBackend from "@tidings/backend-fs/FileBackend"
import * as Backend from "@tidings/core/Backend"
import type { BackendError } from "@tidings/core/BackendError"
import type * as Config from "effect/Config"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as internal from "./internal/backendChoice.ts"
import { DefaultNamespace } from "./internal/defaultNamespace.ts"
import { issuesOfChoice } from "./internal/options.ts"
import { InvalidOptions } from "./Rejection.ts"

export type { Choice, Options } from "./internal/backendChoice.ts"

/**
 * `TIDINGS_BACKEND`; `auto` when it is not set.
 *
 * @category configuration
 * @since 0.1.0
 */
export const choice: Config.Config<internal.Choice> = internal.choice

const sentence = (chosen: internal.Chosen): string => {
  switch (chosen._tag) {
    case "Memory":
      return "Events stay in memory, as configured"
    case "EventLog": {
      const { directory, insteadOf, isAsked } = chosen
      const where = `Events go to the log in ${directory}`
      return isAsked ? `${where}, as configured` : `${where}, because ${insteadOf ?? "no cluster is configured"}`
    }
    case "Database":
      return `Events go to ${chosen.place.description}, as configured`
    case "Cluster": {
      const where = `Events go to the cluster of ${chosen.connection.source}`
      return chosen.isAsked ? `${where}, as configured` : where
    }
  }
}

/**
 * The chosen backend. Says in one line of the log which one it is, and why.
 *
 * **Example** (Forced by the environment)
 *
 * ```ts
 * import * as Backend from "@tidings/core/Backend"
 * import * as ConfigProvider from "effect/ConfigProvider"
 * import * as Effect from "effect/Effect"
 * import * as BackendChoice from "tidings/BackendChoice"
 * import assert from "node:assert/strict"
 *
 * const mode = await Effect.runPromise(
 *   Effect.map(Backend.Backend, ({ mode }) => mode).pipe(
 *     Effect.provide(BackendChoice.layer()),
 *     Effect.provide(ConfigProvider.layer(ConfigProvider.fromUnknown({ TIDINGS_BACKEND: "memory" })))
 *   )
 * )
 * assert.equal(mode, "memory")
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (
  options: internal.Options = {}
): Layer.Layer<Backend.Backend, BackendError | Config.ConfigError | InvalidOptions> =>
  Layer.unwrap(
    Effect.gen(function* () {
      const issues = issuesOfChoice(options)
      if (issues.length > 0) return yield* new InvalidOptions({ issues })
      const chosen = yield* internal.choose(options)
      yield* Effect.logInfo(sentence(chosen))
      switch (chosen._tag) {
        case "Memory":
          return Backend.layerMemory()
        case "EventLog":
          return FileBackend.layer({
            directory: chosen.directory,
            console: options.console,
            durability: options.durability,
            compressAfter: options.compressAfter,
            retention: options.retention
          })
        case "Database":
          return chosen.PostgresBackend.layer({ url: chosen.url })
        case "Cluster":
          return Layer.merge(
            Layer.succeed(Backend.Backend, chosen.backend),
            Layer.succeed(DefaultNamespace, chosen.connection.namespace)
          )
      }
    })
  )
