/**
 * The file journal: where a recorder keeps what it has accepted across the end of the process, and across the loss of
 * power where it is told to.
 *
 * A directory belongs to one process at a time. Another one that wants it gets `JournalLocked`; when the owner ends, in
 * whatever way, the next one takes over at once.
 *
 * What survives depends on the directory: a `emptyDir` volume survives the end of a container, not that of its pod. A
 * recorder of a replica needs a directory of that replica.
 *
 * @since 0.1.0
 */
import { Journal, type JournalError, type OnFull } from "@tidings/core/Journal"
import * as Config from "effect/Config"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as FileBackend from "./FileBackend.ts"
import * as internal from "./internal/fileJournal.ts"

/**
 * How the journal is kept.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
  /** Made when it is missing, for its owner alone. `journal` in the directory of the event log unless given. */
  readonly directory?: string | undefined
  /**
   * What an accepted event survives: `disk` the loss of power, `process` any end of the process. `disk` unless given.
   *
   * `disk` waits for the disk once for all events that come meanwhile; `process` costs little more than memory.
   */
  readonly durability?: "process" | "disk" | undefined
  /** How many bytes the journal may take. 256 MiB unless given. */
  readonly quota?: number | undefined
  /** What happens to a new event when the quota is reached. `fail` unless given. */
  readonly onFull?: OnFull | undefined
  /** How many bytes a file of it has before the next one is begun. 4 MiB unless given. */
  readonly segmentSize?: number | undefined
}

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
      return yield* internal.make({
        directory: options.directory ?? internal.inside(yield* FileBackend.directory),
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
