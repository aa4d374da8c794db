import * as Clock from "effect/Clock"
import type * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Metric from "effect/Metric"
import type * as Scope from "effect/Scope"

const bytes = Metric.gauge("tidings_journal_bytes", { description: "Bytes of the journal's segments" })
const segments = Metric.gauge("tidings_journal_segments", { description: "Segments of the journal" })
const damaged = Metric.counter("tidings_journal_damaged_total", {
  description: "Records of the journal that could not be read",
  incremental: true
})
const torn = Metric.counter("tidings_journal_torn_tails_total", {
  description: "Appends that were not finished when their process or the machine ended, cut off at the next start",
  incremental: true
})
const syncDuration = Metric.timer("tidings_journal_sync_duration", {
  description: "Milliseconds that the disk takes to make an append durable"
})

/** What the metrics of one journal are read from. */
interface Source {
  readonly bytes: () => number
  readonly segments: () => number
  readonly damaged: () => number
  readonly torn: () => number
}

/** @internal */
export interface Metrics {
  /** Adds to the counters what has been found since the last call. */
  readonly count: () => void
  /** Times a sync. */
  readonly timeSync: <A, E>(sync: Effect.Effect<A, E>) => Effect.Effect<A, E>
}

/** @internal */
export const make = (source: Source): Effect.Effect<Metrics, never, Scope.Scope> =>
  Effect.gen(function* () {
    const clock = yield* Clock.Clock
    const context = yield* Effect.context()
    yield* readOnDemand(bytes, source.bytes)
    yield* readOnDemand(segments, source.segments)
    const countedBy = (counter: Metric.Counter<number>, total: () => number) => {
      let counted = 0
      return () => {
        const now = total()
        if (now > counted) counter.updateUnsafe(now - counted, context)
        counted = Math.max(counted, now)
      }
    }
    const countDamaged = countedBy(damaged, source.damaged)
    const countTorn = countedBy(torn, source.torn)
    return {
      count: () => {
        countDamaged()
        countTorn()
      },
      timeSync: (sync) =>
        Effect.suspend(() => {
          const start = clock.monotonicTimeNanosUnsafe()
          return Effect.ensuring(
            sync,
            Effect.sync(() =>
              syncDuration.updateUnsafe(Duration.nanos(clock.monotonicTimeNanosUnsafe() - start), context)
            )
          )
        })
    }
  })

/** Registers a gauge whose value is read on demand while the journal is open. */
const readOnDemand = (gauge: Metric.Gauge<number>, value: () => number): Effect.Effect<void, never, Scope.Scope> =>
  Effect.asVoid(
    Effect.acquireRelease(
      Effect.contextWith((context: Context.Context<never>) =>
        Effect.sync(() =>
          Metric.registerUnsafe(gauge, context, { get: () => ({ value: value() }), update: ignore, modify: ignore })
        )
      ),
      (registration) => Effect.sync(() => registration.remove())
    )
  )

const ignore = () => {}
