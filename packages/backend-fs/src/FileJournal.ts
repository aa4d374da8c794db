/**
 * The file journal: where a recorder keeps what it has accepted across the end of the process, and across the loss of
 * power where it is told to.
 *
 * A directory belongs to one journal at a time. Another one that wants it gets `JournalLocked`; when the owner ends, in
 * whatever way, the next one takes over at once.
 *
 * What survives depends on the directory: an `emptyDir` volume survives the end of a container, not that of its pod. Each
 * replica needs a directory of its own.
 *
 * ```text
 * .tidings-journal/                  0700
 *   entries-0000000000000001-….log   0600; from the event with the number in its name up to where the next file begins; the
 *                                    32 digits are the origin of its ids, which each opening of the journal draws anew
 *   sink-default.checkpoint          how far a sink is, and what it has not settled
 *   sink-default.parked              what its backend will never take
 *   reserve                          given up when the disk is full, so that what is settled can still be noted
 *   lock, owner                      whose it is
 *   .meta.json                       its format, which versions that do not know it refuse
 * ```
 *
 * Nothing of it is for other programs, though `less` shows what is in it: lines of JSON, each with its checksum and its
 * number before it. A copy of the directory, or one put back from a backup, is a journal of its own: what both have is
 * delivered once, and what either accepts from then on is told apart. An append that was not finished is cut off at the next start. A line that decayed is passed over and
 * counted. A checkpoint that decayed fails the layer with `JournalDamaged`: to start without one would lose what it holds.
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
 * How the journal is kept.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
  /**
   * Made when it is missing, for its owner alone. `TIDINGS_JOURNAL`, else beside the event log, unless given:
   * `.tidings-journal` beside `.tidings`. A journal that the first release made inside of the log is moved there. Where the
   * directory of the log is a volume, what is beside it is on another one, so a new journal has to be named.
   */
  readonly directory?: string | undefined
  /**
   * What an accepted event survives: `disk` the loss of power, `process` any end of the process. `disk` unless given.
   *
   * `disk` waits for the disk once for all events that come meanwhile. `process` waits for nothing; its disk is only asked
   * before an event is delivered, so that after a loss of power no id is given twice.
   */
  readonly durability?: "process" | "disk" | undefined
  /**
   * How many bytes of events it keeps. 256 MiB unless given.
   *
   * Beside them stand checkpoints, what is parked, and the reserve of 4 MiB.
   */
  readonly quota?: number | undefined
  /**
   * What happens to a new event when the quota is reached. `fail` unless given.
   *
   * `dropOldest` takes whole files, and only such that each sink has either settled or not begun to read; when there is
   * none, the event is refused.
   */
  readonly onFull?: OnFull | undefined
  /**
   * How many bytes a file of it has before the next one is begun. 4 MiB unless given; an eighth of the quota at the most.
   *
   * Space is freed by whole files, and at a start the newest one is read.
   */
  readonly segmentSize?: number | undefined
}

/**
 * Where the journal of a host is that names no directory: `TIDINGS_JOURNAL`, else beside the event log
 * (`.tidings-journal` beside `.tidings`), or inside of it, where the first release had it and no later one has moved it yet. An
 * absolute path. For programs that look into a journal, such as the command.
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
 * The same for the event log in a directory, without `TIDINGS_JOURNAL`.
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
 * // The store is away, and the process ends.
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
 * // The next process finds it.
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
 * The same with options from `Config`.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerConfig = (options: Config.Wrap<Options>): Layer.Layer<Journal, JournalError | Config.ConfigError> =>
  Layer.unwrap(Effect.map(Config.unwrap(options), layer))
