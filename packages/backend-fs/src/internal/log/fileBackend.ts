import type * as Backend from "@tidings/core/Backend"
import type { BackendError } from "@tidings/core/BackendError"
import type { Write } from "@tidings/core/Event"
import * as EventId from "@tidings/core/EventId"
import * as Target from "@tidings/core/Target"
import * as Stream from "effect/Stream"
import type * as Duration from "effect/Duration"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as path from "node:path"
import { Disk } from "../disk.ts"
import * as Compression from "./compression/compression.ts"
import { LogChanges } from "./changes.ts"
import { LogDirectory, type PassedOver } from "./directory.ts"
import { LogFollower } from "./follower.ts"
import { LogIndexer } from "./index/indexer.ts"
import { LogIndex } from "./index/logIndex.ts"
import * as LogQuery from "./query.ts"
import { storeAndLog } from "./logger.ts"
import type * as Limits from "./limits.ts"
import type { Removed } from "./logMeta.ts"
import type { OnProgress } from "./progress.ts"
import * as Retention from "./retention.ts"
import * as reports from "./reports.ts"
import { type Pruned, Upkeep } from "./upkeep.ts"
import { type Durability, LogSync } from "./logSync.ts"
import { DamageLedger } from "./segment.ts"
import { LogWriter } from "./writer.ts"

/** @internal */
export interface Options {
  readonly directory: string
  readonly create: boolean
  readonly console: boolean
  readonly segmentSize: number
  readonly durability: Durability
  readonly syncInterval: Duration.Duration
  /** How long after it was sealed a segment is compressed; never unless given. */
  readonly compressAfter: Duration.Duration | undefined
  readonly retention: Limits.Changes | undefined
  readonly onProgress: OnProgress | undefined
}

/** @internal */
export interface StoredSegment {
  readonly file: string
  readonly bytes: number
  readonly uncompressedBytes?: number
}

/** @internal */
export interface Status {
  readonly directory: string
  readonly target: string
  readonly segments: ReadonlyArray<StoredSegment>
  readonly bytes: number
  readonly damaged: { readonly lines: number; readonly bytes: number }
  readonly passedOver: ReadonlyArray<PassedOver>
  readonly retention: Limits.Limits
  readonly removed: Removed | undefined
}

const statusOf = (
  directory: LogDirectory,
  prepare: Effect.Effect<string, BackendError>,
  damaged: DamageLedger
): Effect.Effect<Status, BackendError> =>
  Effect.gen(function* () {
    const target = yield* prepare
    const { limits, removed } = yield* directory.attempt(() => directory.logMeta())
    return {
      directory: directory.path,
      target,
      segments: yield* directory.attempt(() => directory.segments().flatMap((name) => directory.storedAs(name) ?? [])),
      bytes: yield* directory.attempt(() => Retention.sizeOf(directory)),
      damaged: { lines: damaged.lines, bytes: damaged.bytes },
      passedOver: yield* directory.attempt(() => directory.passedOver(true)),
      retention: limits,
      removed
    }
  })

/** @internal */
export const make = (
  options: Options
): Effect.Effect<
  {
    readonly backend: Backend.Service
    readonly status: Effect.Effect<Status, BackendError>
    readonly directory: string
    readonly compress: Compression.Compress
    readonly compressible: Compression.Compressible
    readonly setRetention: (changes: Limits.Changes) => Effect.Effect<Limits.Limits, BackendError>
    readonly prune: (isDryRun: boolean) => Effect.Effect<Pruned, BackendError>
  },
  BackendError,
  Scope.Scope
> =>
  Effect.gen(function* () {
    const disk = yield* Disk
    const clock = yield* Clock.Clock
    const context = yield* Effect.context()
    let tag: string | undefined
    const directory = new LogDirectory({
      path: path.resolve(options.directory),
      disk,
      clock,
      limits: options.retention,
      tag: () => (tag ??= Effect.runSyncWith(context)(EventId.makeOrigin))
    })
    const prepare = directory.prepare(options.create, "read")
    const prepareToWrite = directory.prepare(options.create, "write")
    yield* options.create ? prepareToWrite : prepare
    const changes = new LogChanges(directory)
    const ledger = new DamageLedger()
    const index = yield* LogIndex.make(directory, ledger, options.onProgress)
    const indexer = yield* LogIndexer.make(index)
    const scope = yield* Effect.scope
    const { damage: reportDamage, passedOver: reportPassedOver } = reports.make(directory, ledger, context)
    const report = Effect.andThen(reportPassedOver, reportDamage)
    const upkeep = new Upkeep({ directory, clock, scope, context, retention: options.retention })
    yield* upkeep.sayOfNew

    const { durability } = options
    const sync =
      durability === "process"
        ? undefined
        : new LogSync({
            disk: directory.disk,
            directory: directory.path,
            durability,
            interval: options.syncInterval,
            scope
          })
    const writer = yield* Effect.acquireRelease(
      Effect.sync(
        () =>
          new LogWriter({
            directory,
            changes,
            index,
            wrote: (bytes) => {
              indexer.wrote(bytes)
              upkeep.wrote()
            },
            clock,
            segmentSize: Math.max(1, options.segmentSize),
            sync,
            prepare: prepareToWrite,
            report: Effect.andThen(
              reportPassedOver,
              Effect.sync(() => upkeep.opened())
            )
          })
      ),
      (writer) =>
        Effect.andThen(
          sync?.finish ?? Effect.void,
          Effect.sync(() => writer.close())
        )
    )

    const store = (batch: ReadonlyArray<Write>, stored: (write: Write) => void) =>
      sync === undefined ? writer.write(batch, stored) : Effect.tap(writer.write(batch, stored), () => sync.settled)

    const storeBatch = options.console ? storeAndLog(store) : (batch: ReadonlyArray<Write>) => store(batch, ignore)

    const backend: Backend.Service = {
      mode: "filesystem",
      target: Effect.map(prepare, (id) => Target.make(id, { place: directory.path })),
      write: (batch) => (batch.length === 0 ? Effect.succeed([]) : storeBatch(batch)),
      query: (query) =>
        Effect.flatMap(prepare, (target) =>
          Effect.tap(LogQuery.query(directory, index, ledger, target, query), () => report)
        ),
      watch: (filter, from) =>
        Stream.unwrap(
          Effect.gen(function* () {
            const target = yield* prepare
            const options = { directory, changes, index, ledger, report, clock, filter, target }
            const follower = yield* LogFollower.make(options, from)
            return Stream.fromPull(Effect.succeed(follower.pull))
          })
        )
    }

    const status = statusOf(directory, prepare, ledger)
    const { compress, compressible } = yield* Compression.make({
      directory,
      clock,
      prepare,
      prepareToWrite,
      after: options.compressAfter,
      onProgress: options.onProgress
    })

    return {
      backend,
      status,
      directory: directory.path,
      compress,
      compressible,
      setRetention: (changes) => Effect.andThen(prepareToWrite, upkeep.setRetention(changes)),
      prune: (isDryRun) =>
        isDryRun
          ? Effect.andThen(prepare, upkeep.dryRun(options.onProgress))
          : Effect.andThen(prepareToWrite, upkeep.prune(options.onProgress))
    }
  })

const ignore = (): void => {}
