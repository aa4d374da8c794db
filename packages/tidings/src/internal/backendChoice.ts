/**
 * Which store is meant, found out once for library and command.
 *
 * @internal
 */
import * as FileBackend from "@tidings/backend-fs/FileBackend"
import * as KubernetesConnection from "@tidings/backend-k8s/KubernetesConnection"
import type { Place } from "@tidings/backend-postgres/PostgresBackend"
import type * as Backend from "@tidings/core/Backend"
import { BackendError, Unavailable } from "@tidings/core/BackendError"
import * as Config from "effect/Config"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import type * as Redacted from "effect/Redacted"
import * as Scope from "effect/Scope"
import { resolve } from "node:path"

/**
 * The stores to choose from. `auto` is the cluster where one is configured and answers, else the event log. In a pod it
 * is the cluster, whether it answers or not, and an error where none is configured. It is never a database: `postgres` is
 * named, or a URL is given.
 *
 * @category models
 * @since 0.1.0
 */
export type Choice = "auto" | "kubernetes" | "filesystem" | "postgres" | "memory"

/** @internal */
export const choices: ReadonlyArray<Choice> = ["auto", "kubernetes", "filesystem", "postgres", "memory"]

/** @internal */
export const choice: Config.Config<Choice> = Config.withDefault(Config.Literals(choices, "TIDINGS_BACKEND"), "auto")

/**
 * Where the stores are.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
  /** `postgres` where a `database` is given, else `TIDINGS_BACKEND`, unless given. */
  readonly backend?: Choice | undefined
  /**
   * The URL of a PostgreSQL database, as `libpq` writes it: `postgres://user@host/database?sslmode=verify-full`. Of the backend
   * `postgres`, and refused beside another one. `TIDINGS_DATABASE` unless given. A password that it does not have is that of
   * `PGPASSWORD`, else of the password file.
   */
  readonly database?: string | Redacted.Redacted | undefined
  /**
   * Of the event log: `TIDINGS_DIRECTORY`, else `.tidings` in the current directory, unless given. Refused beside the backend
   * `memory`, which keeps nothing.
   */
  readonly directory?: string | undefined
  /** Whether the event log also prints each event through the logger. `true` unless given. */
  readonly console?: boolean | undefined
  /**
   * What an event in the event log survives: `process` any end of the process, `disk` also a power failure, `interval` a power
   * failure but for the last second. `TIDINGS_DURABILITY`, else `process`, unless given.
   */
  readonly durability?: FileBackend.Durability | undefined
  /**
   * How long after the next segment of the event log was begun a segment is compressed with zstd, to about a tenth of its size;
   * never unless given. See `compressAfter` of `FileBackend.Options`.
   */
  readonly compressAfter?: Duration.Input | undefined
  /**
   * Limits of the event log, beyond which its oldest events are removed. A new log has limits also where none are given: 90 days,
   * 10 GiB or a quarter of the file system, 100,000,000 events. What is absent stays as it is, `"none"` removes a limit.
   */
  readonly retention?: FileBackend.RetentionOptions | undefined
  /** `KUBECONFIG`, else `~/.kube/config`, else the service account of the pod, unless given. */
  readonly kubeconfig?: string | undefined
  /** A `KubeConfig` of `@kubernetes/client-node` that the host has loaded, taken as it is instead of any file. */
  readonly kubeConfig?: KubernetesConnection.KubeConfig | undefined
  /** The current context unless given. */
  readonly context?: string | undefined
  /** How long a credential plugin may take. 15 minutes at a terminal and 1 minute elsewhere unless given. */
  readonly loginTimeout?: Duration.Input | undefined
  /** Whether a credential plugin may have the standard input where it asks for it. `true` unless given. */
  readonly interactive?: boolean | undefined
  /**
   * How long a cluster has to answer before `auto` takes the event log. The time that a login takes does not count. 3
   * seconds unless given.
   */
  readonly patience?: Duration.Input | undefined
  /** In a cluster, the namespace of events about cluster-scoped objects, such as a Node. `default` unless given. */
  readonly clusterScopedNamespace?: "default" | "kube-system" | undefined
}

/** @internal */
export interface Cluster {
  readonly connection: KubernetesConnection.KubernetesConnection["Service"]
  readonly backend: Backend.Service
}

/** @internal */
export interface Database {
  readonly PostgresBackend: typeof import("@tidings/backend-postgres/PostgresBackend")
  readonly url: string | Redacted.Redacted
  readonly place: Place
}

/**
 * What was chosen. `isAsked`: an option or the environment names it; otherwise `auto` found it.
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
  | (Database & { readonly _tag: "Database" })

const DEFAULT_PATIENCE: Duration.Input = "3 seconds"

// Loaded only where there is a cluster: to speak to one takes longer to load than all the rest together.
const loadBackend = Effect.promise(() => import("@tidings/backend-k8s/KubernetesBackend"))

/**
 * The database that is named; it is not connected to yet.
 *
 * @internal
 */
export const openDatabase = Effect.fnUntraced(function* (
  given: Options["database"]
): Effect.fn.Return<Database, BackendError | Config.ConfigError> {
  const PostgresBackend = yield* Effect.promise(() => import("@tidings/backend-postgres/PostgresBackend"))
  const url = given ?? Option.getOrUndefined(yield* Config.option(PostgresBackend.url))
  if (url === undefined) return yield* noDatabase
  return { PostgresBackend, url, place: yield* Effect.fromResult(PostgresBackend.placeOf(url)) }
})

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

const noDatabase = new BackendError({
  reason: new Unavailable({
    detail: "no database is named: give its URL, such as postgres://user@host/database, or set TIDINGS_DATABASE to it"
  })
})

const noToken = new BackendError({
  reason: new Unavailable({
    detail:
      "this is a pod (KUBERNETES_SERVICE_HOST is set) without a service account's token: mount one " +
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
 * Which store is meant: the one that is named; a URL names a database.
 *
 * @internal
 */
export const meant = ({ backend, database }: Options): Effect.Effect<Choice, Config.ConfigError> =>
  Effect.suspend(() => {
    if (backend !== undefined) return Effect.succeed(backend)
    return database === undefined ? choice : Effect.succeed<Choice>("postgres")
  })

/**
 * Chooses. A cluster that was chosen is connected to until the scope closes.
 *
 * @internal
 */
export const choose = Effect.fnUntraced(function* (
  options: Options
): Effect.fn.Return<Chosen, BackendError | Config.ConfigError, Scope.Scope> {
  const wanted = yield* meant(options)
  switch (wanted) {
    case "memory":
      return { _tag: "Memory" }
    case "postgres":
      return { _tag: "Database", ...(yield* openDatabase(options.database)) }
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
      const why = yield* silence(opened.success, Duration.fromInputUnsafe(options.patience ?? DEFAULT_PATIENCE))
      if (why === undefined) return { _tag: "Cluster", ...opened.success, isAsked: false }
      yield* Scope.close(scope, Exit.void)
      const insteadOf = `the cluster of ${source} does not answer (${why})`
      return { _tag: "EventLog", directory, isAsked: false, insteadOf }
    }
  }
})
