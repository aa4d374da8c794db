/**
 * Which store a host reads and writes: the cluster where one is configured and answers, else the event log on disk.
 *
 * @since 0.1.0
 */
import * as FileBackend from "@tidings/backend-fs/FileBackend"
import * as Backend from "@tidings/core/Backend"
import { BackendError, Unavailable } from "@tidings/core/BackendError"
import * as Config from "effect/Config"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"

/**
 * The stores to choose from. `auto` is the cluster where one is configured and answers, else the event log.
 *
 * @category models
 * @since 0.1.0
 */
export type Choice = "auto" | "kubernetes" | "filesystem" | "memory"

const choices: ReadonlyArray<Choice> = ["auto", "kubernetes", "filesystem", "memory"]

/**
 * `TIDINGS_BACKEND`; `auto` when it is not set.
 *
 * @category configuration
 * @since 0.1.0
 */
export const choice: Config.Config<Choice> = Config.withDefault(Config.Literals(choices, "TIDINGS_BACKEND"), "auto")

/**
 * Where the stores are.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
  /** `TIDINGS_BACKEND` unless given. */
  readonly backend?: Choice | undefined
  /** Of the event log: `TIDINGS_DIRECTORY`, else `.tidings` in the current directory, unless given. */
  readonly directory?: string | undefined
  /** Whether the event log also prints each event through the logger. `true` unless given. */
  readonly console?: boolean | undefined
  /** `KUBECONFIG`, else `~/.kube/config`, else the service account of the pod, unless given. */
  readonly kubeconfig?: string | undefined
  /** The current context unless given. */
  readonly context?: string | undefined
  /** How long a cluster has to answer before `auto` takes the event log. 3 seconds unless given. */
  readonly patience?: Duration.Input | undefined
}

// Loaded only where a cluster is meant: its client takes longer to load than all the rest together.
const kubernetes = Effect.promise(async () => ({
  KubernetesBackend: await import("@tidings/backend-k8s/KubernetesBackend"),
  KubernetesConnection: await import("@tidings/backend-k8s/KubernetesConnection")
}))

const filesystem = (options: Options): Layer.Layer<Backend.Backend, BackendError> =>
  FileBackend.layer({ directory: options.directory, console: options.console })

const chosen = (log: string): Effect.Effect<void> => Effect.logInfo(log)

/** Whether somebody is there; that it refuses us is an answer too, and says more than an event log would. */
const answers = (backend: Backend.Service, patience: Duration.Input): Effect.Effect<string | undefined> =>
  backend.target.pipe(
    Effect.timeoutOrElse({
      duration: patience,
      orElse: () =>
        Effect.fail(
          new BackendError({
            reason: new Unavailable({ detail: `no answer within ${Duration.format(Duration.fromInputUnsafe(patience))}` })
          })
        )
    }),
    Effect.match({
      onFailure: (error) => (error.reason._tag === "Unauthorized" ? undefined : error.message),
      onSuccess: () => undefined
    })
  )

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
export const layer = (options: Options = {}): Layer.Layer<Backend.Backend, BackendError | Config.ConfigError> =>
  Layer.unwrap(
    Effect.gen(function* () {
      const wanted = options.backend ?? (yield* choice)
      const directory = options.directory ?? (yield* FileBackend.directory)
      switch (wanted) {
        case "memory":
          yield* chosen("Events stay in memory, because that is what was asked for")
          return Backend.layerMemory()
        case "filesystem":
          yield* chosen(`Events go to the log in ${directory}, because that is what was asked for`)
          return filesystem(options)
        case "kubernetes": {
          const { KubernetesBackend } = yield* kubernetes
          yield* chosen("Events go to the cluster, because that is what was asked for")
          return KubernetesBackend.layer({ kubeconfig: options.kubeconfig, context: options.context })
        }
        case "auto": {
          const { KubernetesBackend, KubernetesConnection } = yield* kubernetes
          const cluster = { kubeconfig: options.kubeconfig, context: options.context }
          const configured = yield* KubernetesConnection.configured(cluster)
          if (configured === undefined) {
            yield* chosen(`Events go to the log in ${directory}, because no cluster is configured`)
            return filesystem(options)
          }
          const built = yield* Effect.result(Layer.build(KubernetesBackend.layer(cluster)))
          const why =
            built._tag === "Failure"
              ? built.failure.message
              : yield* answers(Context.get(built.success, Backend.Backend), options.patience ?? "3 seconds")
          if (built._tag === "Success" && why === undefined) {
            yield* chosen(`Events go to the cluster of ${configured}`)
            return Layer.succeed(Backend.Backend, Context.get(built.success, Backend.Backend))
          }
          yield* chosen(`Events go to the log in ${directory}, because the cluster of ${configured} does not answer: ${why}`)
          return filesystem(options)
        }
      }
    })
  )
