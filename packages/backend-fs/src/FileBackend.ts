/**
 * The event log on disk.
 *
 * A directory with numbered segments of JSON Lines, one state of a series per line, as `tidings -o ndjson` prints it: `cat`, `jq`,
 * `grep` and `tail -F` read it. Several processes can append to one log at once, and follow what the others append.
 *
 * ```text
 * .tidings/                         0700
 *   events-00000001-20261122.ndjson 0600; number, and date of creation (UTC)
 *   events.log                      symbolic link to the newest segment
 *   .meta.json                      the identity of the log
 * ```
 *
 * @since 0.1.0
 */
import * as Backend from "@tidings/core/Backend"
import { BackendError, Unavailable } from "@tidings/core/BackendError"
import * as Config from "effect/Config"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Metric from "effect/Metric"
import * as path from "node:path"
import * as internal from "./internal/log/fileBackend.ts"

// ---------------------------------------------------------------------------
// directory
// ---------------------------------------------------------------------------

/**
 * The default directory of the log: `TIDINGS_DIRECTORY`, else `.tidings` in the current directory. An absolute path.
 *
 * Library, command and examples all use it, so that they find each other's events.
 *
 * **Example**
 *
 * ```ts
 * import * as FileBackend from "@tidings/backend-fs/FileBackend"
 * import * as ConfigProvider from "effect/ConfigProvider"
 * import * as Effect from "effect/Effect"
 * import assert from "node:assert/strict"
 * import * as path from "node:path"
 *
 * const environment = ConfigProvider.fromUnknown({ TIDINGS_DIRECTORY: "/var/log/deploy" })
 * assert.equal(await Effect.runPromise(FileBackend.directory.parse(environment)), "/var/log/deploy")
 * assert.equal(
 *   await Effect.runPromise(FileBackend.directory.parse(ConfigProvider.fromUnknown({}))),
 *   path.resolve(".tidings")
 * )
 * ```
 *
 * @category configuration
 * @since 0.1.0
 */
export const directory: Config.Config<string> = Config.map(
  Config.withDefault(Config.String("TIDINGS_DIRECTORY"), ""),
  (given) => path.resolve(given === "" ? ".tidings" : given)
)

/**
 * How the log is used.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
  /** The directory of the log, relative to the current one. {@link directory} unless given. */
  readonly directory?: string | undefined
  /**
   * Whether to create the directory, or a log in it, when there is none; otherwise the layer fails then. True unless given.
   * False suits a program that only reads: a mistyped path then fails, and leaves no empty log behind.
   */
  readonly create?: boolean | undefined
  /**
   * Whether each stored event is also logged by Effect's logger, in one line: `Info`, or `Warn` for those of type `Warning`. True
   * unless given.
   */
  readonly console?: boolean | undefined
}

// ---------------------------------------------------------------------------
// models
// ---------------------------------------------------------------------------

/**
 * The status of a log.
 *
 * @category models
 * @since 0.1.0
 */
export interface Status {
  /** An absolute path. */
  readonly directory: string
  /** The identity of the log, which cursors are bound to. */
  readonly target: string
  /** Oldest first. */
  readonly segments: ReadonlyArray<{ readonly file: string; readonly bytes: number }>
  /**
   * Damage that this layer has found by reading, each line once: partial lines, whose writer was killed or ran out of space, and
   * lines that are no events. Readers skip them.
   */
  readonly damaged: { readonly lines: number; readonly bytes: number }
}

// ---------------------------------------------------------------------------
// metrics
// ---------------------------------------------------------------------------

/**
 * `tidings_log_damaged_total`: damaged lines that were skipped, each counted once.
 *
 * @category metrics
 * @since 0.1.0
 */
export const damaged: Metric.Counter<number> = internal.damaged

// ---------------------------------------------------------------------------
// service
// ---------------------------------------------------------------------------

/**
 * What an event log on disk offers beside its backend.
 *
 * @category services
 * @since 0.1.0
 */
export class EventLog extends Context.Service<
  EventLog,
  {
    /** An absolute path. */
    readonly directory: string
    readonly status: Effect.Effect<Status, BackendError>
  }
>()("@tidings/backend-fs/FileBackend/EventLog") {}

// ---------------------------------------------------------------------------
// layers
// ---------------------------------------------------------------------------

/**
 * A backend over the log in a directory, which it creates when there is none.
 *
 * **Writing.** A batch is one `write(2)` (several above 1 MiB), answered when the kernel has it: it survives any end of the process,
 * but not a power failure. No lock is taken. Readers skip what a writer left in part, because it was killed or the disk was full;
 * no later line is lost by it. A line is at most 1 MiB long, a longer one is `Rejected`.
 *
 * To tell whether a write is `present`, the first write of an origin reads what the log has of that origin. That takes about
 * 2 seconds per million events, in slices between which other fibers run. It keeps two numbers in memory while seqs follow one
 * another, and 50 bytes for each series whose count grew, for the last 65,536 of them.
 *
 * **Reading.** A query reads the whole log, some 2 seconds per million events, and needs 100 bytes of memory per series
 * while it runs, beside its answer. A watch needs 16 bytes per series that stands alone among the seqs of its origin, 50
 * per series whose count grew and 200 per origin; it sees what any process appends, at once where the system reports
 * changes, within 250 milliseconds where it does not.
 *
 * A cursor holds an offset in a segment and a checksum of the bytes before it. A segment that was changed is the error
 * `CursorMismatch` when a watch begins, and a `Gap` while it runs; one that was deleted is a `Gap`.
 *
 * **Failing.** The layer fails, and says what to do, when the directory cannot be used: it is a file, belongs to another user, may
 * be written by other users, or cannot be read or created. While it is used, a full disk is `Full`, missing permissions are
 * `Unauthorized`, a read-only file system is `Unavailable`. When the directory is deleted, a new log is begun in its place.
 *
 * **Example** (Record, and read in a later run)
 *
 * ```ts
 * import * as FileBackend from "@tidings/backend-fs/FileBackend"
 * import * as Backend from "@tidings/core/Backend"
 * import * as Effect from "effect/Effect"
 * import assert from "node:assert/strict"
 * import { mkdtempSync, rmSync } from "node:fs"
 * import { tmpdir } from "node:os"
 * import * as path from "node:path"
 *
 * const directory = mkdtempSync(path.join(tmpdir(), "tidings-"))
 * const write = Backend.Backend.use((backend) =>
 *   backend.write([
 *     {
 *       id: { origin: "0123456789abcdef0123456789abcdef", seq: 1 },
 *       upTo: 1,
 *       count: 1,
 *       first: 0,
 *       last: 0,
 *       event: {
 *         involvedObject: { kind: "Workflow", name: "deploy", namespace: "default" },
 *         reason: "WorkflowStepFailed",
 *         type: "Warning",
 *         action: "WorkflowStepFailed",
 *         message: "Step build of workflow deploy failed",
 *         data: { stepId: "build" },
 *         source: { component: "example" },
 *         reportingController: "example",
 *         reportingInstance: "example-0"
 *       }
 *     }
 *   ])
 * )
 * await Effect.runPromise(Effect.provide(write, FileBackend.layer({ directory, console: false })))
 *
 * const read = Backend.Backend.use((backend) => backend.query({ eventType: "Warning" }))
 * const page = await Effect.runPromise(Effect.provide(read, FileBackend.layer({ directory, create: false })))
 * assert.equal(page.events[0]?.event.reason, "WorkflowStepFailed")
 * rmSync(directory, { recursive: true })
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (options: Options = {}): Layer.Layer<Backend.Backend | EventLog, BackendError> =>
  Layer.effectContext(
    Effect.gen(function* () {
      const given = options.directory ?? (yield* Effect.mapError(directory, notConfigured))
      const made = yield* internal.make({
        directory: given,
        create: options.create ?? true,
        console: options.console ?? true
      })
      return Context.make(Backend.Backend, made.backend).pipe(
        Context.add(EventLog, { directory: made.directory, status: made.status })
      )
    })
  )

const notConfigured = (error: Config.ConfigError): BackendError =>
  new BackendError({
    reason: new Unavailable({ detail: `the directory of the event log is not known: ${error.message}` }),
    cause: error
  })

/**
 * {@link layer} with options from `Config`; the directory is {@link directory} unless given.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerConfig = (
  options: Config.Wrap<Options> = {}
): Layer.Layer<Backend.Backend | EventLog, BackendError | Config.ConfigError> =>
  Layer.unwrap(Effect.map(Config.unwrap(options), layer))
