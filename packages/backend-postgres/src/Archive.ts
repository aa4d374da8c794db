/**
 * An archive: copies every state of every event of clusters and event logs into PostgreSQL, once, and says for which time its
 * history is complete.
 *
 * Several replicas may run at once, without a leader. Each reads the stores by itself, and commits rows together with its
 * position; a state that another one has stored is not stored again. What none of them could have is a gap, which answers
 * (`EventPage.coverage`) and watches (`Gap`) tell.
 *
 * @since 0.2.0
 */
import * as Backend from "@tidings/core/Backend"
import { BackendError, Unavailable } from "@tidings/core/BackendError"
import * as EventReader from "@tidings/core/EventReader"
import * as Timestamp from "@tidings/core/Timestamp"
import type { Micros } from "@tidings/core/Timestamp"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import { hostname } from "node:os"
import { ArchiveStore } from "./ArchiveStore.ts"
import * as metrics from "./internal/archiveMetrics.ts"
import * as copying from "./internal/copying.ts"

// ---------------------------------------------------------------------------
// models
// ---------------------------------------------------------------------------

/**
 * A store that is archived.
 *
 * @category models
 * @since 0.2.0
 */
export interface Source {
  /**
   * What people call it, such as the context of a cluster: `cluster.name` of its events, and one of the values that the filter
   * `cluster` takes. Give the same one in all replicas. Unless given, the name that its events have.
   */
  readonly name?: string | undefined
  /**
   * The store itself: a layer of a backend, such as `KubernetesBackend.layer({ context: "production" })`, or of a reader. It is
   * built for as long as the archive runs; where that fails, so does the archive.
   */
  readonly reader: Layer.Layer<Backend.Backend, BackendError> | Layer.Layer<EventReader.EventReader, BackendError>
}

/**
 * What is archived, and how.
 *
 * @category models
 * @since 0.2.0
 */
export interface Options {
  /** At least one. A store that is given twice is copied once more than is needed, and stored once. */
  readonly sources: ReadonlyArray<Source>
  /**
   * What tells this replica from the others that fill the same archive: two that run at once never have the same one, and warn
   * where they have. The name of the host unless given, which in a cluster is that of the pod.
   */
  readonly replica?: string | undefined
  /** How many states are committed at once at the most. 1,000 unless given, which is also the most. */
  readonly batchSize?: number | undefined
  /** After so long without anything from a store its watch is taken for dead, and begun anew. 2 minutes unless given. */
  readonly silence?: Duration.Input | undefined
}

/**
 * How one store is copied by this replica.
 *
 * @category models
 * @since 0.2.0
 */
export interface SourceStatus {
  readonly name?: string | undefined
  /** The id of the store in the archive (`Coverage.store`), once it is known. */
  readonly store?: string | undefined
  /**
   * - `starting`: neither the store nor the archive has answered yet
   * - `copying`: what there is, or what was missed, is being copied
   * - `live`: up to date
   * - `failing`: the store or the archive does not answer, or refuses; `problem` says why. It is tried again. One that hangs is
   *   found by time: a cluster from which nothing was heard for 75 seconds, a commit that was not answered for 60
   */
  readonly phase: "starting" | "copying" | "live" | "failing"
  readonly problem?: string | undefined
  readonly failingSince?: Micros | undefined
  /** Up to when everything is in the archive. */
  readonly until?: Micros | undefined
  /** How long the oldest change that was read has waited to be committed; 0 where none does. */
  readonly lag: Duration.Duration
  /** States a second that this replica has written in the last minute. */
  readonly rate: number
  /** States that this replica has written. */
  readonly written: number
  /** States that it has read, and another one had written. */
  readonly present: number
  /** Gaps that it has told. */
  readonly gaps: number
  /** How often the watch was begun anew. */
  readonly restarts: number
}

/**
 * How an archive is doing, as far as this replica knows.
 *
 * @category models
 * @since 0.2.0
 */
export interface Status {
  readonly replica: string
  readonly sources: ReadonlyArray<SourceStatus>
}

// ---------------------------------------------------------------------------
// service
// ---------------------------------------------------------------------------

/**
 * A replica of an archive that runs.
 *
 * @category services
 * @since 0.2.0
 */
export class Archive extends Context.Service<
  Archive,
  {
    /** Asks neither the stores nor the database. */
    readonly status: Effect.Effect<Status>
  }
>()("@tidings/backend-postgres/Archive") {}

// ---------------------------------------------------------------------------
// metrics
// ---------------------------------------------------------------------------

/**
 * `tidings_archive_states_total{store, how}`: states that were read; `written`, or `present` where another replica had written
 * them.
 *
 * @category metrics
 * @since 0.2.0
 */
export const states = metrics.states

/**
 * `tidings_archive_gaps_total{store}`: gaps that this replica told.
 *
 * @category metrics
 * @since 0.2.0
 */
export const gaps = metrics.gaps

/**
 * `tidings_archive_restarts_total{store, why}`: how often the watch of a store was begun anew.
 *
 * @category metrics
 * @since 0.2.0
 */
export const restarts = metrics.restarts

/**
 * `tidings_archive_lag_seconds{store}`: how long the oldest change that was read has waited to be committed.
 *
 * @category metrics
 * @since 0.2.0
 */
export const lag = metrics.lag

// ---------------------------------------------------------------------------
// running
// ---------------------------------------------------------------------------

const DEFAULT_BATCH = 1_000

const invalid = (detail: string): BackendError => new BackendError({ reason: new Unavailable({ detail }) })

const readerOf = ({ reader }: Source): Effect.Effect<EventReader.Service, BackendError, Scope.Scope> =>
  Effect.flatMap(
    Layer.build(reader as Layer.Layer<Backend.Backend | EventReader.EventReader, BackendError>),
    (context): Effect.Effect<EventReader.Service, BackendError> => {
      const found = Option.orElse(Context.getOption(context, Backend.Backend), () =>
        Context.getOption(context, EventReader.EventReader)
      )
      return Option.isSome(found)
        ? Effect.succeed(found.value)
        : Effect.fail(invalid("the layer of a source has neither a Backend nor an EventReader"))
    }
  )

const statusOf = (progress: copying.Progress, now: Micros): SourceStatus => {
  const { failingSince, gaps, name, phase, present, problem, rates, restarts, store, until, waitingSince, written } =
    progress
  const seconds = Math.max(1, rates.length) * (copying.BEAT_MILLIS / 1_000)
  return {
    ...(name === undefined ? undefined : { name }),
    ...(store === undefined ? undefined : { store }),
    phase,
    ...(problem === undefined ? undefined : { problem }),
    ...(failingSince === undefined ? undefined : { failingSince }),
    ...(until === undefined ? undefined : { until }),
    lag: Duration.millis(waitingSince === undefined ? 0 : Math.max(0, (now - waitingSince) / 1_000)),
    rate: rates.reduce((sum, one) => sum + one, 0) / seconds,
    written,
    present,
    gaps,
    restarts
  }
}

/**
 * Begins to copy, for as long as the scope is open. Fails only where the options are wrong, or the layer of a source fails: it
 * waits for stores and for the database.
 *
 * @category constructors
 * @since 0.2.0
 */
export const make = (options: Options): Effect.Effect<Archive["Service"], BackendError, ArchiveStore | Scope.Scope> =>
  Effect.gen(function* () {
    const store = yield* ArchiveStore
    const clock = yield* Clock.Clock
    const silence = Duration.fromInput(options.silence ?? "2 minutes")
    if (Option.isNone(silence) || !(Duration.toSeconds(silence.value) >= 1)) {
      return yield* Effect.fail(
        invalid(`silence is ${JSON.stringify(options.silence)}: give at least a second, such as "2 minutes"`)
      )
    }
    const replica = options.replica ?? hostname()
    if (replica === "") return yield* Effect.fail(invalid("the name of the replica is empty"))
    if (options.sources.length === 0) return yield* Effect.fail(invalid("there is no source to archive"))
    const settings: copying.Settings = {
      replica,
      batchSize: Math.min(DEFAULT_BATCH, Math.max(1, Math.floor(options.batchSize ?? DEFAULT_BATCH))),
      silenceMillis: Duration.toMillis(silence.value)
    }
    const all: Array<copying.Progress> = []
    for (const source of options.sources) {
      const reader = yield* readerOf(source)
      const progress = copying.begin(source.name)
      all.push(progress)
      yield* Effect.forkScoped(copying.run(store, { name: source.name, reader }, settings, progress))
    }
    const status = Effect.sync((): Status => {
      const now = Timestamp.now(clock)
      return { replica, sources: all.map((progress) => statusOf(progress, now)) }
    })
    const measure = Effect.flatMap(status, ({ sources }) =>
      Effect.forEach(sources, ({ lag, name, store }) => metrics.lagged({ name, store }, Duration.toSeconds(lag)), {
        discard: true
      })
    )
    yield* Effect.forkScoped(Effect.forever(Effect.andThen(measure, Effect.sleep(copying.BEAT_MILLIS))))
    return Archive.of({ status })
  })

/**
 * A replica of an archive, over the database of `PostgresBackend.layer`.
 *
 * **Example** (Two clusters in one database)
 *
 * ```ts
 * import * as KubernetesBackend from "@tidings/backend-k8s/KubernetesBackend"
 * import * as Archive from "@tidings/backend-postgres/Archive"
 * import * as PostgresBackend from "@tidings/backend-postgres/PostgresBackend"
 * import * as Effect from "effect/Effect"
 * import * as Layer from "effect/Layer"
 *
 * const Events = Archive.layer({
 *   sources: ["production", "staging"].map((context) => ({
 *     name: context,
 *     reader: KubernetesBackend.layer({ context })
 *   }))
 * }).pipe(Layer.provide(PostgresBackend.layer({ url: "postgres://archiver@db.example.com/events?sslmode=verify-full" })))
 *
 * const program = Effect.gen(function* () {
 *   const archive = yield* Archive.Archive
 *   yield* Effect.sleep("1 minute")
 *   for (const { lag, name, phase } of (yield* archive.status).sources) yield* Effect.log(name, phase, lag)
 * })
 * export const main = Effect.provide(program, Events)
 * ```
 *
 * @category layers
 * @since 0.2.0
 */
export const layer = (options: Options): Layer.Layer<Archive, BackendError, ArchiveStore> =>
  Layer.effect(Archive, make(options))

/**
 * Runs a replica until it is interrupted: the whole of a program that does nothing else.
 *
 * @category running
 * @since 0.2.0
 */
export const run = (options: Options): Effect.Effect<never, BackendError, ArchiveStore> =>
  Effect.scoped(Effect.andThen(make(options), Effect.never))
