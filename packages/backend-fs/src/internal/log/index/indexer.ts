import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Queue from "effect/Queue"
import type * as Scope from "effect/Scope"
import type { LogIndex } from "./logIndex.ts"

/** Part of the time that is spent with indexing while a writer writes more than that is enough for. */
const PART = 1 / 20

/** Time between two blocks, in which the writer has the processor for itself, in milliseconds: at least, and at most. */
const LEAST_PAUSE = 50
const MOST_PAUSE = 250

/** Blocks that are made at most when a log is closed. */
const MOST_AT_CLOSE = 16

/**
 * Indexes in the background what a writer appends, block by block, so that no reader has to read much of it.
 *
 * @internal
 */
export class LogIndexer {
  private readonly index: LogIndex
  private readonly wanted: Queue.Queue<void>
  private bytes = 0
  /** How long the last block took, in milliseconds. */
  private took = 0

  private constructor(index: LogIndex, wanted: Queue.Queue<void>) {
    this.index = index
    this.wanted = wanted
  }

  /** An indexer that works until the scope closes, and then once more. */
  static make(index: LogIndex): Effect.Effect<LogIndexer, never, Scope.Scope> {
    return Effect.gen(function* () {
      const wanted = yield* Queue.sliding<void>(1)
      const indexer = yield* Effect.acquireRelease(
        Effect.sync(() => new LogIndexer(index, wanted)),
        (indexer) => indexer.finish
      )
      yield* Effect.forkScoped(Effect.forever(Effect.andThen(Queue.take(wanted), indexer.work)))
      return indexer
    })
  }

  /** Notes that so many bytes were appended. */
  wrote(bytes: number): void {
    this.bytes += bytes
    if (this.bytes < this.index.step) return
    this.bytes = 0
    Queue.offerUnsafe(this.wanted, undefined)
  }

  private readonly work: Effect.Effect<void> = Effect.suspend(() =>
    Effect.andThen(
      Effect.sleep(Duration.millis(Math.min(MOST_PAUSE, Math.max(LEAST_PAUSE, this.took / PART)))),
      Effect.flatMap(this.block, (more) => (more ? this.work : Effect.void))
    )
  )

  /** Makes a block. True when there may be another one. */
  private readonly block: Effect.Effect<boolean> = Effect.clockWith((clock) => {
    const begun = clock.monotonicTimeNanosUnsafe()
    return Effect.map(
      // What fails here fails for readers too, who say so.
      Effect.orElseSucceed(this.index.advance({ blocks: 1, least: this.index.step }), () => false),
      (more) => {
        this.took = Number(clock.monotonicTimeNanosUnsafe() - begun) / 1_000_000
        return more
      }
    )
  })

  private readonly finish: Effect.Effect<void> = Effect.suspend(() =>
    this.bytes < this.index.leastStep
      ? Effect.void
      : Effect.ignore(this.index.advance({ blocks: MOST_AT_CLOSE, least: this.index.leastStep }))
  )
}
