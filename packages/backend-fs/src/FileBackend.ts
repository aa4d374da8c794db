/**
 * The event log on disk.
 *
 * A directory with numbered segments of JSON Lines, one state of a series per line, as `tidings -o ndjson` prints it: `cat`, `jq`,
 * `grep` and `tail -F` read it. Several processes can append to one log at once, and follow what the others append.
 *
 * ```text
 * .tidings/                         0700
 *   events-00000001-20261122.ndjson 0600; number, and date of creation (UTC)
 *   events-00000001-20261122.index  0600; where its lines are, made when it is needed
 *   events.log                      symbolic link to the newest segment
 *   events-…ndjson.zst              in the place of an old segment, where compression is asked for
 *   .meta.json                      the identity of the log
 * ```
 *
 * @since 0.1.0
 */
import * as Backend from "@tidings/core/Backend"
import { BackendError, Unavailable } from "@tidings/core/BackendError"
import * as Config from "effect/Config"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import type * as Timestamp from "@tidings/core/Timestamp"
import type * as Metric from "effect/Metric"
import * as path from "node:path"
import type { Compressed } from "./internal/log/compression/compressor.ts"
import * as internal from "./internal/log/fileBackend.ts"
import type * as Limits from "./internal/log/limits.ts"
import * as SegmentName from "./internal/log/segmentName.ts"
import * as reports from "./internal/log/reports.ts"

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
 * What an event survives when its write is answered.
 *
 * - `process`: any end of the process, but not a power failure. The system writes back what was written within half a minute.
 * - `interval`: after a power failure, at most the events of the last interval are missing. A sync that fails is logged as an error.
 * - `disk`: a power failure too. A write is answered when `fdatasync` has returned, once for all that is written meanwhile.
 *
 * A sync that fails may have lost what it should have kept, and the next one of the same file would report success all the same. So
 * what is not known to be durable is appended anew to another segment, and synced there, before anything is answered.
 *
 * @category models
 * @since 0.2.0
 */
export type Durability = "process" | "interval" | "disk"

/**
 * The default durability of the log: `TIDINGS_DURABILITY`, else `process`. Library and command use it.
 *
 * @category configuration
 * @since 0.2.0
 */
export const durability: Config.Config<Durability> = Config.withDefault(
  Config.Literals(["process", "interval", "disk"], "TIDINGS_DURABILITY"),
  "process"
)

/**
 * Limits of a log, beyond which whole segments are removed, the oldest first. A log has at least its newest segment.
 *
 * @category models
 * @since 0.2.0
 */
export interface Retention {
  /** In seconds, since an event was last seen; absent where age is no limit. */
  readonly maxAgeSeconds?: number | undefined
  /** Of all segments and their side files; absent where size is no limit. */
  readonly maxBytes?: number | undefined
  /** Lines of all segments: events, and one more for each time that a count grew. Absent where their number is no limit. */
  readonly maxEvents?: number | undefined
}

/**
 * Changes to the limits of a log. What is absent stays as it is, or as it is for a new log: 90 days, 10 GiB or a quarter of the file
 * system where that is less, and 100,000,000 events. `"none"` removes a limit.
 *
 * @category models
 * @since 0.2.0
 */
export interface RetentionOptions {
  /** Since an event was last seen. A number is in milliseconds. */
  readonly maxAge?: Duration.Input | "none" | undefined
  /** Of all segments and their side files. */
  readonly maxBytes?: number | "none" | undefined
  /** Lines of all segments: events, and one more for each time that a count grew. */
  readonly maxEvents?: number | "none" | undefined
}

/**
 * What retention removed, or would remove.
 *
 * @category models
 * @since 0.2.0
 */
export interface Pruned {
  /** Oldest first. */
  readonly segments: ReadonlyArray<{
    readonly file: string
    /** With its side files. */
    readonly bytes: number
    readonly lines: number
    /** When its newest event was last seen; absent where it has none that can be read. */
    readonly until: Timestamp.Micros | undefined
    /** Which limit it is beyond, in words. */
    readonly why: string
  }>
  /**
   * Why less is removed for its age than one would expect, in words: the clock seems to have jumped, or an event from the future keeps
   * its segment and all later ones. Absent where neither is so.
   */
  readonly doubt: string | undefined
  /** Which limit the newest segment is beyond by itself, in words; it always stays. Absent where it is within the limits. */
  readonly stays: string | undefined
}

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
  /**
   * Size of a segment in bytes after which the next one is begun. 256 MiB unless given.
   *
   * The next one is also begun with the first event of each day (UTC). Retention removes whole segments.
   */
  readonly segmentSize?: number | undefined
  /** What a stored event survives. {@link durability} unless given: `process`. */
  readonly durability?: Durability | undefined
  /** With durability `interval`: after which time what was written is synced at the latest. 1 second unless given. */
  readonly syncInterval?: Duration.Input | undefined
  /**
   * How long after the next segment was begun a segment is compressed with zstd; never unless given, and at least a second.
   *
   * A compressed segment, `events-N-DATE.ndjson.zst`, takes about a tenth of the space, and is read by `zstdcat` and `zstdgrep`.
   * Queries, watches and cursors do not see a difference. It is made by one process at a time, in a background fiber that takes
   * about 4 seconds of CPU per million events; of what fails there a warning is logged.
   */
  readonly compressAfter?: Duration.Input | undefined
  /**
   * Limits of the log, beyond which whole segments are removed. They are written into the log with the first event, and hold for
   * everybody who appends to it. A new log has limits also where none are given.
   */
  readonly retention?: RetentionOptions | undefined
  /**
   * Is told how far the log is with long work that a query, a watch, `prune` or `compress` waits for, after each slice of some
   * milliseconds; the work goes on when its effect is done. Nothing is told unless given.
   *
   * **Example** (A first query of a log without side files)
   *
   * ```ts
   * import * as FileBackend from "@tidings/backend-fs/FileBackend"
   * import * as Console from "effect/Console"
   *
   * export const Events = FileBackend.layer({
   *   directory: "/var/log/my-host",
   *   onProgress: ({ bytes, task, totalBytes }) => Console.error(`${task}: ${bytes} of ${totalBytes} bytes`)
   * })
   * ```
   */
  readonly onProgress?: ((progress: Progress) => Effect.Effect<void>) | undefined
}

// ---------------------------------------------------------------------------
// models
// ---------------------------------------------------------------------------

/**
 * How far a log is with long work that a caller waits for.
 *
 * @category models
 * @since 0.2.0
 */
export interface Progress {
  /**
   * `index`: side files are made that are missing, old or damaged. `retention`: segments are read that may be beyond the limits, which
   * ends with the first one that is not. `compress`: segments are compressed, and compared with what was written.
   */
  readonly task: "index" | "retention" | "compress"
  /** How much of the segments is done. It is `totalBytes` when nothing is left to do. */
  readonly bytes: number
  /** How much is to be done at the most. */
  readonly totalBytes: number
}

/**
 * What retention has removed from a log.
 *
 * @category models
 * @since 0.2.0
 */
export interface Removed {
  /** Number of the newest segment that was removed. */
  readonly upTo: number
  /** When the newest event in them was last seen. */
  readonly until: Timestamp.Micros
  /** When they were removed. */
  readonly at: Timestamp.Micros
  /** Which limit they were beyond, in words. */
  readonly why: string
}

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
  /** Oldest first. Of a compressed one, `bytes` is the size of its file, and `uncompressedBytes` that of its lines. */
  readonly segments: ReadonlyArray<{
    readonly file: string
    readonly bytes: number
    readonly uncompressedBytes?: number
  }>
  /**
   * Of all segments with their side files: what `maxBytes` of the limits is compared with.
   *
   * @since 0.2.0
   */
  readonly bytes: number
  /**
   * Damage that this layer has found by reading, each line once: partial lines, whose writer was killed or ran out of space, and
   * lines that are no events. Readers skip them.
   */
  readonly damaged: { readonly lines: number; readonly bytes: number }
  /**
   * What is in the directory in the place of a segment and is neither read nor written, and why: a symbolic link, a directory, a
   * file whose name ends in `.ndjson` and is not that of a segment.
   */
  readonly passedOver: ReadonlyArray<{ readonly file: string; readonly reason: string }>
  /** The limits of the log. Without any in logs of the first release, until they are set. */
  readonly retention: Retention
  /** Absent where retention has removed nothing yet. */
  readonly removed: Removed | undefined
}

/**
 * A segment that was compressed.
 *
 * @category models
 * @since 0.2.0
 */
export interface CompressedSegment {
  /** The file that it has now. */
  readonly file: string
  /** Size of the file in bytes. */
  readonly bytes: number
  /** Size of its lines in bytes: that of the plain file. */
  readonly uncompressedBytes: number
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
export const damaged: Metric.Counter<number> = reports.damaged

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
    /** What is in the log, found without reading its events. */
    readonly status: Effect.Effect<Status, BackendError>
    /**
     * Compresses all segments that were sealed for so long, a second unless given, and answers those that it compressed; none
     * while another process does. Fails with `Full` where there is no room, and with `Unavailable` where the file system has no
     * locks.
     */
    readonly compress: (sealedFor?: Duration.Input) => Effect.Effect<ReadonlyArray<CompressedSegment>, BackendError>
    /**
     * The segments that `compress` would compress now, oldest first, with the size of each in bytes. Nothing is changed.
     *
     * @since 0.2.0
     */
    readonly compressible: (
      sealedFor?: Duration.Input
    ) => Effect.Effect<ReadonlyArray<{ readonly file: string; readonly bytes: number }>, BackendError>
    /**
     * Changes the limits of the log, and answers all of them. The next process that appends applies them. Fails with `Transient`
     * while another process changes them.
     */
    readonly setRetention: (changes: RetentionOptions) => Effect.Effect<Retention, BackendError>
    /** Removes the segments that are beyond the limits, or with `dryRun` only says which ones. */
    readonly prune: (options?: { readonly dryRun?: boolean | undefined }) => Effect.Effect<Pruned, BackendError>
  }
>()("@tidings/backend-fs/FileBackend/EventLog") {}

// ---------------------------------------------------------------------------
// layers
// ---------------------------------------------------------------------------

/**
 * A backend over the log in a directory, which it creates when there is none.
 *
 * **Writing.** A batch is one `write(2)` (several above 1 MiB), answered when the kernel has it: it survives any end of the process,
 * and a power failure where `durability` says so. No lock is taken. The next segment is begun when the newest one has its size, and
 * with each day (UTC); segments beyond the limits of the log (`retention`) are removed then, beside what is written. Readers skip
 * what a writer left in part, because it was killed or the disk was full; no later line is lost by it. A line is at most 1 MiB long,
 * a longer one is `Rejected`.
 *
 * To tell whether a write is `present`, the first write of an origin looks up in the side files what the log has of that origin. It
 * keeps two numbers in memory while seqs follow one another, and 50 bytes for each series whose count grew, for the last 65,536 of
 * them.
 *
 * **Reading.** A side file for each segment has its columns: they answer filters and exact totals, and only lines that are shown are
 * read. One that is missing, old or damaged is made first, some 2.5 seconds per million events, in slices between which other fibers
 * run. Beside its answer a query needs memory for the series whose count grew; without a limit the answer has all its events at once.
 * A watch sees what any process appends, at once where the system reports changes, within 250 milliseconds where it does not.
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
      const given = options.directory ?? (yield* Effect.mapError(directory, notConfigured("directory")))
      const survives = options.durability ?? (yield* Effect.mapError(durability, notConfigured("durability")))
      const made = yield* internal.make({
        directory: given,
        create: options.create ?? true,
        console: options.console ?? true,
        durability: survives,
        syncInterval: yield* durationOf("syncInterval", options.syncInterval ?? "1 second"),
        retention: options.retention === undefined ? undefined : yield* changesOf(options.retention),
        onProgress: options.onProgress,
        segmentSize: options.segmentSize ?? 256 * 1024 * 1024,
        compressAfter:
          options.compressAfter === undefined ? undefined : yield* durationOf("compressAfter", options.compressAfter)
      })
      return Context.make(Backend.Backend, made.backend).pipe(
        Context.add(EventLog, {
          directory: made.directory,
          status: made.status,
          compress: (sealedFor = "1 second") =>
            Effect.map(Effect.flatMap(durationOf("sealedFor", sealedFor), made.compress), storedAs),
          compressible: (sealedFor = "1 second") =>
            Effect.map(Effect.flatMap(durationOf("sealedFor", sealedFor), made.compressible), (segments) =>
              segments.map(({ bytes, name }) => ({ file: name.file, bytes }))
            ),
          setRetention: (changes) => Effect.flatMap(changesOf(changes), made.setRetention),
          prune: (options) =>
            Effect.map(made.prune(options?.dryRun ?? false), ({ doubt, removed, stays }) => ({
              segments: removed.map(({ name, ...segment }) => ({ file: name.file, ...segment })),
              doubt,
              stays
            }))
        })
      )
    })
  )

const refused = (detail: string): Effect.Effect<never, BackendError> =>
  Effect.fail(new BackendError({ reason: new Unavailable({ detail }) }))

const durationOf = (name: string, input: Duration.Input): Effect.Effect<Duration.Duration, BackendError> =>
  Option.match(Duration.fromInput(input), {
    onNone: () =>
      refused(
        `${name} is ${JSON.stringify(input)}, which is no duration: give milliseconds, or a text such as "1 day"`
      ),
    onSome: Effect.succeed
  })

/** What is no limit is refused: passed on, it would remove the one that the log has. */
const changesOf = ({ maxAge, maxBytes, maxEvents }: RetentionOptions): Effect.Effect<Limits.Changes, BackendError> =>
  Effect.gen(function* () {
    const maxAgeSeconds =
      maxAge === undefined || maxAge === "none" ? maxAge : Duration.toSeconds(yield* durationOf("maxAge", maxAge))
    const changes = { maxAgeSeconds, maxBytes, maxEvents }
    for (const [name, limit] of Object.entries(changes)) {
      if (typeof limit === "number" && !(limit >= 0)) {
        yield* refused(`${name} is ${limit}, which is no limit: give one that is not negative, or "none"`)
      }
    }
    return changes
  })

const storedAs = (compressed: ReadonlyArray<Compressed>): ReadonlyArray<CompressedSegment> =>
  compressed.map(({ bytes, compressedBytes, name }) => ({
    file: SegmentName.compressedFileOf(name.file),
    bytes: compressedBytes,
    uncompressedBytes: bytes
  }))

/** `SchemaError(Expected … at ["VARIABLE"])`, the variable first. */
const inWords = (message: string): string =>
  message.replace(/^SchemaError\(Expected (.*?)\s+at \["([^"]*)"\]\)$/s, "$2 is none of $1")

const notConfigured =
  (what: string) =>
  (error: Config.ConfigError): BackendError =>
    new BackendError({
      reason: new Unavailable({ detail: `the ${what} of the event log is not known: ${inWords(error.message)}` }),
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
