/**
 * What the command `tidings` is beside the verbs that every command has: its backends and the flags that choose one.
 *
 * @internal
 */
import * as FileBackend from "@tidings/backend-fs/FileBackend"
import * as FileJournal from "@tidings/backend-fs/FileJournal"
import * as FileCheck from "@tidings/backend-fs/FileCheck"
import * as KubernetesConnection from "@tidings/backend-k8s/KubernetesConnection"
import { Backend } from "@tidings/core/Backend"
import type { Check } from "@tidings/core/BackendCheck"
import { BackendError, Unavailable } from "@tidings/core/BackendError"
import * as Policy from "@tidings/core/Policy"
import type * as Config from "effect/Config"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Result from "effect/Result"
import type * as Scope from "effect/Scope"
import { readdirSync } from "node:fs"
import * as Cli from "../../Cli.ts"
import * as backendChoice from "../backendChoice.ts"
import { Absent, Usage } from "./failure.ts"
import * as words from "./words.ts"

// ---------------------------------------------------------------------------
// which one
// ---------------------------------------------------------------------------

interface Values {
  readonly backend: string | undefined
  readonly directory: string | undefined
  readonly context: string | undefined
  readonly kubeconfig: string | undefined
}

/** Memory ends with its process, so a command has none that anybody has written to. */
const CHOICES = ["auto", "kubernetes", "filesystem"] as const

const wrong = (detail: string): Result.Result<never, Usage> => Result.fail(new Usage({ detail }))

/** The store that the flags name: `--directory` means the event log, and flags of a cluster mean that cluster. */
const asked = ({ backend, context, directory, kubeconfig }: Values): Result.Result<backendChoice.Options, Usage> => {
  const given = CHOICES.find((one) => one === backend)
  const cluster = context !== undefined ? "--context" : kubeconfig !== undefined ? "--kubeconfig" : undefined
  for (const [flag, value] of Object.entries({ directory, context, kubeconfig })) {
    if (value === "") return wrong(`--${flag} is empty: leave it out`)
  }
  if (directory !== undefined && cluster !== undefined) {
    return wrong(`--directory names an event log and ${cluster} a cluster: leave one out`)
  }
  if (directory !== undefined && given === "kubernetes") {
    return wrong("--directory names an event log, and --backend kubernetes is a cluster: leave one out")
  }
  if (cluster !== undefined && given === "filesystem") {
    return wrong(`${cluster} names a cluster, and --backend filesystem is the event log: leave one out`)
  }
  const meant = directory !== undefined ? "filesystem" : cluster !== undefined ? "kubernetes" : given
  return Result.succeed({ backend: meant, directory, context, kubeconfig })
}

// ---------------------------------------------------------------------------
// the event log
// ---------------------------------------------------------------------------

/** The file that gives a log its identity: where it is missing, no log has begun. */
const IDENTITY = ".meta.json"

const hasBegun = (directory: string): boolean => {
  try {
    return readdirSync(directory).includes(IDENTITY)
  } catch (error) {
    // A directory that is there and cannot be read is a failure, and not an empty log.
    return !(error instanceof Error && "code" in error && error.code === "ENOENT")
  }
}

const log = (directory: string, use: Cli.BackendUse): Layer.Layer<Backend, Absent | BackendError> => {
  // One that has begun is also followed by who may read it and not write to it.
  const create = use.create && !hasBegun(directory)
  const layer = FileBackend.layer({ directory, create, console: false })
  if (create) return layer
  return Layer.catchCause(layer, (cause): Layer.Layer<Backend, Absent | BackendError> =>
    Layer.unwrap(
      Effect.suspend((): Effect.Effect<never, Absent | BackendError> =>
        hasBegun(directory)
          ? Effect.failCause(cause)
          : Effect.fail(
              new Absent({
                detail: `there is no event log in ${directory} yet`,
                hint: "record an event first, or name the directory of another log with --directory"
              })
            )
      )
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
      "TIDINGS_BACKEND=memory keeps events in the memory of another process; choose with --backend kubernetes or " +
      "--backend filesystem"
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
  directory === undefined ? FileJournal.directory : FileJournal.directoryBeside(directory)

const checks = (given: Values, place: Cli.Place): Effect.Effect<ReadonlyArray<Check>, ChoiceError> =>
  Effect.scoped(
    Effect.gen(function* () {
      const options = yield* Effect.fromResult(asked(given))
      const wanted = options.backend ?? (yield* backendChoice.choice)
      // Where a cluster is meant, its error is shown, and not an event log instead.
      const isInPod = wanted === "auto" && (yield* KubernetesConnection.isInPod)
      const chosen =
        wanted === "kubernetes" || isInPod
          ? ({ _tag: "Cluster", isAsked: true } as const)
          : yield* backendChoice.choose(options)
      // That of a host, whatever it delivers to.
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
          return [{ ...store, facts: { mode: "filesystem" } }, ...(yield* FileCheck.run({ directory })), ...journal]
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

/**
 * Each backend has its flags in this one record, and the functions decide between the backends.
 *
 * @internal
 */
export const backend = Cli.withFlags(
  {
    backend: {
      value: CHOICES.join("|"),
      choices: CHOICES,
      description:
        "Where the events are (default TIDINGS_BACKEND, else auto: the cluster if it answers, else the event log)"
    },
    directory: {
      value: "DIRECTORY",
      description: "The event log (default TIDINGS_DIRECTORY, else .tidings in the current directory)"
    },
    context: { value: "CONTEXT", description: "The cluster of this context (default the current one)" },
    kubeconfig: {
      value: "FILE",
      description: "The cluster of this kubeconfig (default KUBECONFIG, else ~/.kube/config)"
    }
  },
  layer,
  { checks, journal: journalOf }
)
