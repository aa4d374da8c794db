/**
 * The file journal: where a recorder keeps what it has accepted across the end of the process and, with durability `disk`, across a
 * power failure.
 *
 * One process at a time has a journal open; another one fails with `JournalLocked`. When the owner ends, in whatever way, the next
 * one can open it at once.
 *
 * What survives depends on the directory: an `emptyDir` volume survives the end of a container, not that of its pod. Each replica
 * needs a directory of its own.
 *
 * ```text
 * .tidings-journal/                  0700
 *   entries-0000000000000001-….log   0600; events from the number in its name up to that of the next file; the 32 digits are the
 *                                    origin of their ids, which each opening of the journal draws anew
 *   sink-default.checkpoint          how far a sink is, and what it has not settled
 *   sink-default.parked              events that its backend rejected for good
 *   reserve                          deleted when the disk is full, so that checkpoints can still be written
 *   lock, owner                      the process that has it open
 *   .meta.json                       its identity and format
 * ```
 *
 * The files are not for other programs, though `less` can show them: lines of JSON, each after its checksum and its number. A copy of
 * the directory, or one restored from a backup, is a journal of its own: what both hold is delivered once, and what either accepts
 * from then on has other ids. An append that was not finished is cut off when the journal is opened next. A damaged line is skipped
 * and counted. A damaged checkpoint fails the layer with `JournalDamaged`, because what it holds would otherwise be lost.
 *
 * Metrics: `tidings_journal_bytes`, `tidings_journal_segments`, `tidings_journal_sync_duration`,
 * `tidings_journal_damaged_total`, `tidings_journal_torn_tails_total`.
 *
 * @since 0.1.0
 */
import { Journal, type JournalError, type OnFull } from "@tidings/core/Journal"
import * as Config from "effect/Config"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as path from "node:path"
import * as FileBackend from "./FileBackend.ts"
import { Disk } from "./internal/disk.ts"
import * as internal from "./internal/journal/fileJournal.ts"
import * as place from "./internal/journal/place.ts"

/**
 * How a journal is kept.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
  /**
   * The directory; created when it is missing, for its owner alone. `TIDINGS_JOURNAL`, else beside the event log, unless given:
   * `.tidings-journal` beside `.tidings`. A journal that the first release created inside the log is moved there. Where the directory
   * of the log is a volume, what is beside it is on another one, so a new journal has to be named.
   */
  readonly directory?: string | undefined
  /**
   * What an accepted event survives: `disk` a power failure, `process` any end of the process. `disk` unless given.
   *
   * `disk` syncs once for all events that arrive meanwhile. `process` syncs only before an event is delivered, so that after a power
   * failure no id is given twice.
   */
  readonly durability?: "process" | "disk" | undefined
  /**
   * Maximum size of its events in bytes. 256 MiB unless given.
   *
   * Checkpoints, parked events and the reserve of 4 MiB are not counted.
   */
  readonly quota?: number | undefined
  /**
   * What happens to a new event when the quota is reached. `fail` unless given.
   *
   * `dropOldest` deletes whole files, and only those that each sink has either settled or not begun to read; when there is none,
   * the event is refused.
   */
  readonly onFull?: OnFull | undefined
  /**
   * Size of a file in bytes after which the next one is begun. 4 MiB unless given; at most an eighth of the quota.
   *
   * Space is freed in whole files, and opening the journal reads the newest one.
   */
  readonly segmentSize?: number | undefined
}

/**
 * The default directory of the journal: `TIDINGS_JOURNAL`, else beside the event log (`.tidings-journal` beside `.tidings`), or
 * inside it, where the first release had it and no later one has moved it yet. An absolute path. For programs that read a journal,
 * such as the command.
 *
 * **Example**
 *
 * ```ts
 * import * as FileJournal from "@tidings/backend-fs/FileJournal"
 * import * as ConfigProvider from "effect/ConfigProvider"
 * import * as Effect from "effect/Effect"
 * import assert from "node:assert/strict"
 *
 * const found = (environment: Record<string, string>) =>
 *   Effect.runPromise(
 *     Effect.provideService(
 *       FileJournal.directory,
 *       ConfigProvider.ConfigProvider,
 *       ConfigProvider.fromUnknown(environment)
 *     )
 *   )
 * assert.equal(await found({ TIDINGS_DIRECTORY: "/var/log/deploy" }), "/var/log/deploy-journal")
 * assert.equal(await found({ TIDINGS_JOURNAL: "/var/lib/deploy" }), "/var/lib/deploy")
 * ```
 *
 * @category configuration
 * @since 0.2.0
 */
export const directory: Effect.Effect<string, Config.ConfigError> = Effect.gen(function* () {
  const given = yield* named
  return given === "" ? yield* directoryBeside(yield* FileBackend.directory) : path.resolve(given)
})

const named = Config.withDefault(Config.String("TIDINGS_JOURNAL"), "")

/**
 * The directory of the journal beside an event log, without `TIDINGS_JOURNAL`.
 *
 * @category configuration
 * @since 0.2.0
 */
export const directoryBeside = (logDirectory: string): Effect.Effect<string> =>
  Effect.map(Disk, (disk) => place.find(disk, path.resolve(logDirectory)))

/**
 * A journal in a directory.
 *
 * **Example** (Accepted before a restart, delivered after it)
 *
 * ```ts
 * import * as FileJournal from "@tidings/backend-fs/FileJournal"
 * import * as Backend from "@tidings/core/Backend"
 * import { BackendError, Unavailable } from "@tidings/core/BackendError"
 * import * as Recorder from "@tidings/core/Recorder"
 * import * as Templates from "@tidings/core/Templates"
 * import * as Effect from "effect/Effect"
 * import * as Layer from "effect/Layer"
 * import * as Logger from "effect/Logger"
 * import assert from "node:assert/strict"
 * import { mkdtempSync } from "node:fs"
 * import { tmpdir } from "node:os"
 * import { join } from "node:path"
 *
 * const directory = mkdtempSync(join(tmpdir(), "journal-"))
 * const runtime = (backend: Layer.Layer<Backend.Backend>) =>
 *   Recorder.layer({ component: "example", drainTimeout: 0 }).pipe(
 *     Layer.provideMerge(Layer.mergeAll(Templates.layer, backend, Layer.orDie(FileJournal.layer({ directory }))))
 *   )
 *
 * // The store cannot be reached, and the process ends.
 * const away = Layer.effect(
 *   Backend.Backend,
 *   Effect.map(Effect.provide(Backend.Backend, Backend.layerMemory()), (memory) => ({
 *     ...memory,
 *     target: Effect.fail(new BackendError({ reason: new Unavailable({ detail: "no route to host" }) }))
 *   }))
 * )
 * const draft = { involvedObject: { kind: "Pod", name: "web" }, reason: "Started", message: "It runs" }
 * await Effect.runPromise(
 *   Recorder.Recorder.use((recorder) => recorder.record(draft)).pipe(
 *     Effect.provide(runtime(away)),
 *     Effect.provide(Logger.layer([]))
 *   )
 * )
 *
 * // The next process delivers it.
 * const program = Effect.gen(function* () {
 *   yield* (yield* Recorder.Recorder).flush("10 seconds")
 *   return yield* (yield* Backend.Backend).query({})
 * })
 * const page = await Effect.runPromise(Effect.provide(program, runtime(Backend.layerMemory())))
 * assert.equal(page.totalCount, 1)
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (options: Options = {}): Layer.Layer<Journal, JournalError | Config.ConfigError> =>
  Layer.effect(
    Journal,
    Effect.gen(function* () {
      const given = options.directory ?? (yield* named)
      return yield* internal.make({
        directory: given === "" ? yield* place.settle(yield* Disk, yield* FileBackend.directory) : path.resolve(given),
        durability: options.durability ?? "disk",
        quota: options.quota ?? 256 * 1024 * 1024,
        onFull: options.onFull ?? "fail",
        segmentSize: options.segmentSize ?? 4 * 1024 * 1024
      })
    })
  )

/**
 * {@link layer} with options from `Config`.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerConfig = (options: Config.Wrap<Options>): Layer.Layer<Journal, JournalError | Config.ConfigError> =>
  Layer.unwrap(Effect.map(Config.unwrap(options), layer))
