/**
 * What the command `tidings` is beside the verbs that every command has: its backends and the flags that choose one.
 *
 * @internal
 */
import * as FileBackend from "@tidings/backend-fs/FileBackend"
import * as KubernetesConnection from "@tidings/backend-k8s/KubernetesConnection"
import { Backend } from "@tidings/core/Backend"
import type { Check } from "@tidings/core/BackendCheck"
import { BackendError, Unavailable } from "@tidings/core/BackendError"
import * as Policy from "@tidings/core/Policy"
import type * as Config from "effect/Config"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Result from "effect/Result"
import type * as Scope from "effect/Scope"
import { existsSync, lstatSync, readdirSync } from "node:fs"
import { resolve } from "node:path"
import * as Cli from "../../Cli.ts"
import * as backendChoice from "../backendChoice.ts"
import type { Planning, Source } from "./archivePlan.ts"
import { Absent, Usage } from "./failure.ts"
import * as logProgress from "./logProgress.ts"
import * as words from "./words.ts"

// ---------------------------------------------------------------------------
// which one
// ---------------------------------------------------------------------------

interface Values {
  readonly backend: string | undefined
  readonly database: string | undefined
  readonly directory: string | undefined
  readonly context: string | undefined
  readonly kubeconfig: string | undefined
  readonly "cluster-scoped-namespace": string | undefined
}

/** Memory ends with its process, so a command has nothing to read there. */
const CHOICES = ["auto", "kubernetes", "filesystem", "postgres"] as const

/** The namespaces that the API server accepts for events about objects that are in none. */
const CLUSTER_SCOPED_NAMESPACES = ["default", "kube-system"] as const

const wrong = (detail: string): Result.Result<never, Usage> => Result.fail(new Usage({ detail }))

/** The flags that name a store, and which kind of store that is. */
const NAMING = {
  database: ["postgres", "a database"],
  directory: ["filesystem", "an event log"],
  context: ["kubernetes", "a cluster"],
  kubeconfig: ["kubernetes", "a cluster"]
} as const

const KINDS = { kubernetes: "a cluster", filesystem: "the event log", postgres: "a database" } as const

/** The store that the flags name: `--database` means a database, `--directory` an event log, and flags of a cluster that cluster. */
const asked = (values: Values): Result.Result<backendChoice.Options, Usage> => {
  const { backend, context, database, directory, kubeconfig } = values
  const within = values["cluster-scoped-namespace"]
  const given = CHOICES.find((one) => one === backend)
  let meant: backendChoice.Choice | undefined
  let named = ""
  for (const [flag, [choice, kind]] of Object.entries(NAMING)) {
    const value = values[flag as keyof typeof NAMING]
    if (value === undefined) continue
    if (value === "") return wrong(`--${flag} is empty: leave it out`)
    if (meant !== undefined && meant !== choice) return wrong(`${named} and --${flag} ${kind}: leave one out`)
    if (given !== undefined && given !== "auto" && given !== choice) {
      return wrong(`--${flag} names ${kind}, and --backend ${given} is ${KINDS[given]}: leave one out`)
    }
    if (meant === undefined) named = `--${flag} names ${kind}`
    meant = choice
  }
  meant ??= given
  if (within !== undefined && (meant === "filesystem" || meant === "postgres")) {
    return wrong(`--cluster-scoped-namespace is about a cluster, and ${KINDS[meant]} is meant: leave it out`)
  }
  const clusterScopedNamespace = CLUSTER_SCOPED_NAMESPACES.find((one) => one === within)
  return Result.succeed({ backend: meant, database, directory, context, kubeconfig, clusterScopedNamespace })
}

// ---------------------------------------------------------------------------
// the event log
// ---------------------------------------------------------------------------

/** The file that gives a log its identity: where it is missing, no log has begun. */
const IDENTITY = ".meta.json"

const SEGMENT = /^events-\d{8,15}-\d{8}\.ndjson(\.zst)?$/

const hasBegun = (directory: string): boolean => {
  try {
    return readdirSync(directory).includes(IDENTITY)
  } catch (error) {
    // A directory that is there and cannot be read is a failure, and not an empty log.
    return !(error instanceof Error && "code" in error && error.code === "ENOENT")
  }
}

/** Whether nothing was recorded there. A link to nowhere, and segments whose identity is missing, are failures. */
const isAbsent = (directory: string): boolean =>
  !hasBegun(directory) &&
  lstatSync(directory, { throwIfNoEntry: false })?.isSymbolicLink() !== true &&
  !(existsSync(directory) && readdirSync(directory).some((file) => SEGMENT.test(file)))

const log = (directory: string, use: Cli.BackendUse): Layer.Layer<Backend, Absent | BackendError> => {
  // One that has begun is also followed by who may read it and not write to it.
  const create = use.create && !hasBegun(directory)
  const layer = Layer.unwrap(
    Effect.map(logProgress.make, (onProgress) => FileBackend.layer({ directory, create, console: false, onProgress }))
  )
  if (create) return layer
  return Layer.catchCause(layer, (cause): Layer.Layer<Backend, Absent | BackendError> =>
    Layer.unwrap(
      Effect.suspend((): Effect.Effect<never, Absent | BackendError> =>
        isAbsent(directory)
          ? Effect.fail(
              new Absent({
                detail: `there is no event log in ${directory} yet`,
                hint: "record an event first, or name the directory of another log with --directory"
              })
            )
          : Effect.failCause(cause)
      )
    )
  )
}

// ---------------------------------------------------------------------------
// the database
// ---------------------------------------------------------------------------

const warnOfPassword = (
  given: Pick<Values, "database">,
  { hasPassword }: backendChoice.Database["place"]
): Effect.Effect<void> =>
  given.database !== undefined && hasPassword
    ? words.say("warning: others see the password of --database in ps: use PGPASSWORD or ~/.pgpass instead")
    : Effect.void

/** Nothing was recorded there yet: a verb that only shows what is stored makes no tables. */
const absentIn = ({ description }: backendChoice.Database["place"]): Absent =>
  new Absent({
    detail: `there are no events in ${description} yet`,
    hint: "record an event first, or name another database with --database"
  })

const databaseLayer = (
  { PostgresBackend, place, url }: backendChoice.Database,
  use: Cli.BackendUse
): Layer.Layer<Backend, Absent | BackendError> => {
  const layer = PostgresBackend.layer({ url, migrate: use.create, maxConnections: 4 })
  if (use.create) return layer
  return Layer.tap(layer, (context) =>
    Effect.mapError(Context.get(context, Backend).target, (error) =>
      PostgresBackend.hasNoTables(error) ? absentIn(place) : error
    )
  )
}

// ---------------------------------------------------------------------------
// the choice
// ---------------------------------------------------------------------------

/**
 * What is not what a user may expect is said, on stderr: that a cluster does not answer always, and which of two stores
 * is shown only at a terminal.
 */
const remark = (chosen: backendChoice.Chosen, given: Values): Effect.Effect<void, Config.ConfigError> => {
  switch (chosen._tag) {
    case "Memory":
      return Effect.void
    case "Database":
      return warnOfPassword(given, chosen.place)
    case "EventLog": {
      const { directory, insteadOf } = chosen
      return insteadOf === undefined
        ? Effect.void
        : words.say(
            `note: ${insteadOf}, so this is the event log in ${directory}; --backend filesystem skips the cluster`
          )
    }
    case "Cluster":
      return Effect.flatMap(words.Attended, (isAttended) => {
        if (chosen.isAsked || !isAttended()) return Effect.void
        return Effect.flatMap(backendChoice.directoryOf(given.directory), (directory) =>
          hasBegun(directory)
            ? words.say(
                `note: this is the cluster of context ${chosen.connection.context}; the event log in ${directory} is ` +
                  "shown by --backend filesystem"
              )
            : Effect.void
        )
      })
  }
}

const inMemory = new BackendError({
  reason: new Unavailable({
    detail:
      "TIDINGS_BACKEND=memory keeps events in the memory of another process; choose with --backend kubernetes, " +
      "--backend filesystem or --database"
  })
})

type ChoiceError = BackendError | Config.ConfigError | Usage

const choose = (given: Values): Effect.Effect<backendChoice.Chosen, ChoiceError, Scope.Scope> =>
  Effect.flatMap(
    Effect.suspend(() => Effect.fromResult(asked(given))),
    backendChoice.choose
  )

/** What cannot be found out is no reason to refuse: then a kind is taken as it is written. */
const findKindIn =
  (connection: KubernetesConnection.KubernetesConnection["Service"]) =>
  (name: string): Effect.Effect<Cli.FoundKind | undefined> =>
    Effect.promise(() => import("@tidings/backend-k8s/KubernetesKinds")).pipe(
      Effect.flatMap(({ find }) => find(name)),
      Effect.provideService(KubernetesConnection.KubernetesConnection, connection),
      Effect.orElseSucceed(() => undefined)
    )

const layer = (given: Values, use: Cli.BackendUse): Layer.Layer<Backend, Absent | ChoiceError> =>
  Layer.unwrap(
    Effect.gen(function* () {
      const chosen = yield* choose(given)
      yield* remark(chosen, given)
      switch (chosen._tag) {
        case "Memory":
          return Layer.effect(Backend, Effect.fail(inMemory))
        case "EventLog":
          return log(chosen.directory, use)
        case "Database":
          return databaseLayer(chosen, use)
        case "Cluster":
          return Layer.merge(
            // A server that has too much to do says so, and has time a moment later.
            Policy.retry()(Layer.succeed(Backend, chosen.backend)),
            Layer.merge(
              Layer.succeed(Cli.DefaultNamespace, chosen.connection.namespace),
              Layer.succeed(Cli.FindKind, findKindIn(chosen.connection))
            )
          )
      }
    })
  )

// ---------------------------------------------------------------------------
// doctor
// ---------------------------------------------------------------------------

const journalOf = ({ directory }: Values): Effect.Effect<string, Config.ConfigError> =>
  Effect.flatMap(
    Effect.promise(() => import("@tidings/backend-fs/FileJournal")),
    (FileJournal) => (directory === undefined ? FileJournal.directory : FileJournal.directoryBeside(directory))
  )

const checks = (given: Values, place: Cli.Place): Effect.Effect<ReadonlyArray<Check>, ChoiceError> =>
  Effect.scoped(
    Effect.gen(function* () {
      const options = yield* Effect.fromResult(asked(given))
      const wanted = yield* backendChoice.meant(options)
      // Where a cluster is meant, its error is shown, and not an event log instead.
      const isInPod = wanted === "auto" && (yield* KubernetesConnection.isInPod)
      const chosen =
        wanted === "kubernetes" || isInPod
          ? ({ _tag: "Cluster", isAsked: true } as const)
          : yield* backendChoice.choose(options)
      // That of a host, whatever it delivers to.
      const FileCheck = yield* Effect.promise(() => import("@tidings/backend-fs/FileCheck"))
      const journal = yield* FileCheck.runJournal(yield* journalOf(given))
      switch (chosen._tag) {
        case "Memory":
          return [{ name: "store", state: "broken", found: inMemory.reason.detail }] satisfies ReadonlyArray<Check>
        case "EventLog": {
          const { directory, insteadOf, isAsked } = chosen
          const why = isAsked ? "it was chosen explicitly" : "no cluster is configured"
          const store: Check =
            insteadOf === undefined
              ? { name: "store", state: "ok", found: `the event log in ${directory}, because ${why}` }
              : {
                  name: "store",
                  state: "broken",
                  found: `the event log in ${directory}, because ${insteadOf}`,
                  advice: "find out why with: doctor --backend kubernetes; or choose with TIDINGS_BACKEND=filesystem"
                }
          const checks = yield* Effect.scoped(
            Effect.flatMap(logProgress.make, (onProgress) => FileCheck.run({ directory, onProgress }))
          )
          return [{ ...store, facts: { mode: "filesystem" } }, ...checks, ...journal]
        }
        case "Database": {
          const { url } = chosen
          yield* warnOfPassword(given, chosen.place)
          const PostgresCheck = yield* Effect.promise(() => import("@tidings/backend-postgres/PostgresCheck"))
          const why = given.database === undefined ? "TIDINGS_DATABASE names it" : "it was chosen explicitly"
          const found = `${chosen.place.description}, because ${why}`
          const store: Check = { name: "store", state: "ok", found, facts: { mode: "postgres" } }
          return [store, ...(yield* PostgresCheck.run({ url })), ...journal]
        }
        case "Cluster": {
          const KubernetesCheck = yield* Effect.promise(() => import("@tidings/backend-k8s/KubernetesCheck"))
          const { context, kubeconfig } = given
          const why = isInPod ? "this is a pod" : chosen.isAsked ? "it was chosen explicitly" : "it is configured"
          const store: Check = {
            name: "store",
            state: "ok",
            found: `the cluster, because ${why}`,
            facts: { mode: "kubernetes" }
          }
          return [store, ...(yield* KubernetesCheck.run({ ...place, context, kubeconfig })), ...journal]
        }
      }
    })
  )

// ---------------------------------------------------------------------------
// the archive
// ---------------------------------------------------------------------------

const clusterSource = (
  context: string | undefined,
  kubeconfig: string | undefined,
  name: string | undefined
): Effect.Effect<Source, BackendError> =>
  Effect.gen(function* () {
    const KubernetesBackend = yield* Effect.promise(() => import("@tidings/backend-k8s/KubernetesBackend"))
    const source = yield* KubernetesConnection.configured({ context, kubeconfig })
    const isInPod = yield* KubernetesConnection.isInPod
    if (source === undefined) return yield* isInPod ? noToken : noCluster
    if (isInPod && context === undefined && kubeconfig === undefined && name === undefined) {
      yield* words.say(
        "note: the cluster of a pod has no name of its own: say with --cluster what the archive calls it"
      )
    }
    return {
      name: name ?? context,
      description: context === undefined ? `the cluster of ${source}` : `the cluster of context ${context}`,
      reader: KubernetesBackend.layer({ context, kubeconfig })
    }
  })

const logSource = (directory: string, name: string | undefined): Source => ({
  name: name ?? directory,
  description: `the event log in ${directory}`,
  reader: FileBackend.layer({ directory, create: false, console: false })
})

const noCluster = new BackendError({
  reason: new Unavailable({
    detail: "no cluster is configured to archive: name a --kubeconfig or a --context, or an event log with --directory"
  })
})

const noToken = new BackendError({
  reason: new Unavailable({
    detail:
      "this is a pod without a service account's token: mount one (automountServiceAccountToken), or name a --kubeconfig"
  })
})

/** Neither `TIDINGS_BACKEND` nor `TIDINGS_DATABASE` says what is copied: they say what others read. */
const plan = (given: Readonly<Record<string, ReadonlyArray<string>>>): Planning =>
  Effect.fnUntraced(function* (cluster) {
    const of = (flag: string) => [...new Set(given[flag] ?? [])]
    const [contexts, directories] = [of("context"), of("directory")]
    for (const flag of ["context", "directory", "kubeconfig", "database"]) {
      if (of(flag).includes("")) return yield* new Usage({ detail: `--${flag} is empty: leave it out` })
    }
    const backend = given["backend"]?.at(-1)
    if (backend === "postgres") {
      return yield* new Usage({ detail: "archive copies clusters and event logs into a database: leave out --backend" })
    }
    const isOfLog = directories.length > 0 || backend === "filesystem"
    const kubeconfig = given["kubeconfig"]?.at(-1)
    const hasCluster = contexts.length > 0 || kubeconfig !== undefined || backend === "kubernetes" || !isOfLog
    const logs = !isOfLog
      ? []
      : directories.length > 0
        ? directories.map((directory) => resolve(directory))
        : [yield* backendChoice.directoryOf(undefined)]
    const wanted = !hasCluster ? [] : contexts.length > 0 ? contexts : [undefined]
    if (cluster !== undefined && wanted.length + logs.length > 1) {
      return yield* new Usage({ detail: "--cluster names one cluster, and several are archived: leave it out" })
    }
    const database = yield* backendChoice.openDatabase(given["database"]?.at(-1))
    yield* warnOfPassword({ database: given["database"]?.at(-1) }, database.place)
    const clusters = yield* Effect.forEach(wanted, (context) => clusterSource(context, kubeconfig, cluster))
    return { sources: [...clusters, ...logs.map((directory) => logSource(directory, cluster))], database }
  })

const contexts = ({ kubeconfig }: { readonly [flag: string]: string | undefined }) =>
  KubernetesConnection.contextNames({ kubeconfig })

const choosing = Cli.withFlags(
  {
    backend: {
      value: CHOICES.join("|"),
      choices: CHOICES,
      description:
        "Where the events are (default TIDINGS_BACKEND, else auto: the cluster if it answers, else the event log)"
    },
    database: {
      value: "URL",
      description: "The PostgreSQL database (default TIDINGS_DATABASE, with --backend postgres)"
    },
    directory: {
      value: "DIRECTORY",
      path: "directory",
      description: "The event log (default TIDINGS_DIRECTORY, else .tidings in the current directory)"
    },
    context: {
      value: "CONTEXT",
      complete: contexts,
      description: "The cluster of this context (default the current one)"
    },
    kubeconfig: {
      value: "FILE",
      path: "file",
      description: "The cluster of this kubeconfig (default KUBECONFIG, else ~/.kube/config)"
    },
    "cluster-scoped-namespace": {
      value: "NAMESPACE",
      choices: CLUSTER_SCOPED_NAMESPACES,
      description:
        'For emit on a cluster, where events about a Node and its like go: "default" (default) or "kube-system"'
    }
  },
  layer,
  { checks, journal: journalOf }
)

/**
 * Each backend has its flags in this one record, and the functions decide between the backends.
 *
 * @internal
 */
export const backend: typeof choosing = { ...choosing, archive: plan }
