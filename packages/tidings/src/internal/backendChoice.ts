/**
 * Which store is meant, found out once for library and command.
 *
 * @internal
 */
import * as FileBackend from "@tidings/backend-fs/FileBackend"
import * as KubernetesConnection from "@tidings/backend-k8s/KubernetesConnection"
import type * as Backend from "@tidings/core/Backend"
import { BackendError, Unavailable } from "@tidings/core/BackendError"
import * as Config from "effect/Config"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Scope from "effect/Scope"
import { resolve } from "node:path"

/** @internal */
export type Choice = "auto" | "kubernetes" | "filesystem" | "memory"

/** @internal */
export const choices: ReadonlyArray<Choice> = ["auto", "kubernetes", "filesystem", "memory"]

/** @internal */
export const choice: Config.Config<Choice> = Config.withDefault(Config.Literals(choices, "TIDINGS_BACKEND"), "auto")

/** @internal */
export interface Options {
  readonly backend?: Choice | undefined
  readonly directory?: string | undefined
  readonly kubeconfig?: string | undefined
  readonly kubeConfig?: KubernetesConnection.KubeConfig | undefined
  readonly context?: string | undefined
  readonly loginTimeout?: Duration.Input | undefined
  readonly interactive?: boolean | undefined
  readonly patience?: Duration.Input | undefined
  readonly clusterScopedNamespace?: "default" | "kube-system" | undefined
}

/** @internal */
export interface Cluster {
  readonly connection: KubernetesConnection.KubernetesConnection["Service"]
  readonly backend: Backend.Service
}

/**
 * What was chosen. `isAsked`: somebody said so; otherwise it is what `auto` found.
 *
 * @internal
 */
export type Chosen =
  | { readonly _tag: "Memory" }
  | {
      readonly _tag: "EventLog"
      readonly directory: string
      readonly isAsked: boolean
      /** Why it is not the cluster that is configured, as what stands after "because". */
      readonly insteadOf?: string | undefined
    }
  | (Cluster & { readonly _tag: "Cluster"; readonly isAsked: boolean })

/** @internal */
export const PATIENCE: Duration.Input = "3 seconds"

// Loaded only where there is a cluster: to speak to one takes longer to load than all the rest together.
const loadBackend = Effect.promise(() => import("@tidings/backend-k8s/KubernetesBackend"))

const open = Effect.fnUntraced(function* ({
  clusterScopedNamespace,
  context,
  interactive,
  kubeConfig,
  kubeconfig,
  loginTimeout
}: Options): Effect.fn.Return<Cluster, BackendError, Scope.Scope> {
  const KubernetesBackend = yield* loadBackend
  const connection = yield* KubernetesConnection.make({ kubeconfig, kubeConfig, context, loginTimeout, interactive })
  return {
    connection,
    backend: yield* Effect.provideService(
      KubernetesBackend.make({ clusterScopedNamespace }),
      KubernetesConnection.KubernetesConnection,
      connection
    )
  }
})

/** How exactly the time without a login is counted. */
const STEP_MILLIS = 50

/** Ends after so much time in which no login is under way: a person may need longer than a server. */
const timeWithoutLogin = (
  connection: Cluster["connection"],
  millis: number,
  left: number = millis
): Effect.Effect<void> =>
  left <= 0
    ? Effect.void
    : Effect.andThen(
        Effect.sleep(Math.min(STEP_MILLIS, left)),
        Effect.suspend(() => timeWithoutLogin(connection, millis, connection.isLoggingIn() ? left : left - STEP_MILLIS))
      )

/** Why the cluster does not answer; absent where it does. A refusal or a failed login is an answer too. */
const silence = ({ backend, connection }: Cluster, patience: Duration.Duration): Effect.Effect<string | undefined> =>
  Effect.raceFirst(
    Effect.match(backend.target, {
      onFailure: ({ reason }) =>
        reason._tag === "Unauthorized" || reason._tag === "Throttled" ? undefined : reason.detail,
      onSuccess: () => undefined
    }),
    Effect.as(
      timeWithoutLogin(connection, Duration.toMillis(patience)),
      `no answer within ${Duration.format(patience)}`
    )
  )

const noToken = new BackendError({
  reason: new Unavailable({
    detail:
      "this is a pod (KUBERNETES_SERVICE_HOST is set) without a service account's token: let one be mounted " +
      "(automountServiceAccountToken), name a KUBECONFIG, or choose the event log with TIDINGS_BACKEND=filesystem"
  })
})

/**
 * The directory of the event log, as everybody finds it.
 *
 * @internal
 */
export const directoryOf = (given: string | undefined): Effect.Effect<string, Config.ConfigError> =>
  Effect.suspend(() => (given === undefined ? FileBackend.directory : Effect.succeed(resolve(given))))

/**
 * Chooses. A cluster that was chosen is connected to until the scope closes.
 *
 * @internal
 */
export const choose = Effect.fnUntraced(function* (
  options: Options
): Effect.fn.Return<Chosen, BackendError | Config.ConfigError, Scope.Scope> {
  const wanted = options.backend ?? (yield* choice)
  switch (wanted) {
    case "memory":
      return { _tag: "Memory" }
    case "filesystem":
      return { _tag: "EventLog", directory: yield* directoryOf(options.directory), isAsked: true }
    case "kubernetes":
      return { _tag: "Cluster", ...(yield* open(options)), isAsked: true }
    case "auto": {
      const directory = yield* directoryOf(options.directory)
      const source = yield* KubernetesConnection.configured({
        kubeconfig: options.kubeconfig,
        kubeConfig: options.kubeConfig,
        context: options.context
      })
      // A log on the disk of a pod is lost with the pod, so events wait for the cluster instead.
      if (yield* KubernetesConnection.isInPod) {
        if (source === undefined) return yield* noToken
        return { _tag: "Cluster", ...(yield* open(options)), isAsked: false }
      }
      if (source === undefined) return { _tag: "EventLog", directory, isAsked: false }
      const scope = yield* Scope.fork(yield* Effect.scope)
      const opened = yield* Effect.result(Effect.provideService(open(options), Scope.Scope, scope))
      if (opened._tag === "Failure") {
        yield* Scope.close(scope, Exit.void)
        // A cluster was meant, and what was meant for it is not written to disk because of a mistake in a file.
        if (!KubernetesConnection.choosesNoCluster(opened.failure)) return yield* opened.failure
        const insteadOf = `no cluster is chosen: ${opened.failure.reason.detail}`
        return { _tag: "EventLog", directory, isAsked: false, insteadOf }
      }
      const why = yield* silence(opened.success, Duration.fromInputUnsafe(options.patience ?? PATIENCE))
      if (why === undefined) return { _tag: "Cluster", ...opened.success, isAsked: false }
      yield* Scope.close(scope, Exit.void)
      const insteadOf = `the cluster of ${source} does not answer (${why})`
      return { _tag: "EventLog", directory, isAsked: false, insteadOf }
    }
  }
})
