import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Queue from "effect/Queue"
import type * as Scope from "effect/Scope"
import type { Effort } from "./extension.ts"
import type { LogIndex } from "./logIndex.ts"

/**
 * When more bytes than this are not indexed, a writer spends more of its time with indexing. To index so many takes half a second, by
 * which the first query after it is slower. Tests use fewer.
 *
 * @internal
 */
export const MostBehind: Context.Reference<number> = Context.Reference<number>("@tidings/backend-fs/MostBehind", {
  defaultValue: () => 268_435_456
})

/** Part of the time that is spent with indexing while less than `MostBehind` is left, and while more is. */
const PART = 1 / 20
const PART_BEHIND = 1 / 2

/** While more than `MostBehind` is left, how long it indexes in one turn of the event loop, in nanoseconds. */
const TURN_BEHIND = 3_000_000n

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
  private readonly mostBehind: number
  private bytes = 0
  /** How long the last block took, and how much of that was spent with it, in milliseconds. */
  private took = 0
  private spent = 0

  private constructor(index: LogIndex, wanted: Queue.Queue<void>, mostBehind: number) {
    this.index = index
    this.wanted = wanted
    this.mostBehind = mostBehind
  }

  /** An indexer that works until the scope closes, and then once more. */
  static make(index: LogIndex): Effect.Effect<LogIndexer, never, Scope.Scope> {
    return Effect.gen(function* () {
      const wanted = yield* Queue.sliding<void>(1)
      const mostBehind = yield* MostBehind
      const indexer = yield* Effect.acquireRelease(
        Effect.sync(() => new LogIndexer(index, wanted, mostBehind)),
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
      Effect.sleep(Duration.millis(this.pause())),
      Effect.flatMap(this.block, (more) => (more ? this.work : Effect.void))
    )
  )

  /** In milliseconds. */
  private pause(): number {
    const { spent, took } = this
    if (this.isBehind()) return Math.max(1, spent / PART_BEHIND - took)
    return Math.min(MOST_PAUSE, Math.max(LEAST_PAUSE, took / PART))
  }

  private isBehind(): boolean {
    return this.index.behind > this.mostBehind
  }

  /** Makes a block. True when there may be another one. */
  private readonly block: Effect.Effect<boolean> = Effect.clockWith((clock) => {
    const begun = clock.monotonicTimeNanosUnsafe()
    const effort: Effort = {
      blocks: 1,
      least: this.index.step,
      spent: 0n,
      ...(this.isBehind() ? { turn: TURN_BEHIND } : undefined)
    }
    return Effect.map(
      // What fails here fails for readers too, who say so.
      Effect.orElseSucceed(this.index.advance(effort), () => false),
      (more) => {
        this.took = Number(clock.monotonicTimeNanosUnsafe() - begun) / 1_000_000
        this.spent = Number(effort.spent) / 1_000_000
        return more
      }
    )
  })

  private readonly finish: Effect.Effect<void> = Effect.suspend(() =>
    this.bytes < this.index.leastStep
      ? Effect.void
      : Effect.ignore(this.index.advance({ blocks: MOST_AT_CLOSE, least: this.index.leastStep, spent: 0n }))
  )
}
