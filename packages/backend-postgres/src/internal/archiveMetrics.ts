/**
 * The metrics of an archive, by store.
 */
import * as Effect from "effect/Effect"
import * as Metric from "effect/Metric"

export const states = Metric.counter("tidings_archive_states_total", {
  description: "States that were read from a store: written, or present because another replica had written them",
  incremental: true
})

export const gaps = Metric.counter("tidings_archive_gaps_total", {
  description: "Gaps that were told: times of which no replica could have everything",
  incremental: true
})

export const restarts = Metric.counter("tidings_archive_restarts_total", {
  description: "How often the watch of a store was begun anew, by reason",
  incremental: true
})

export const lag = Metric.gauge("tidings_archive_lag_seconds", {
  description: "How old the oldest change is that was read and is not committed"
})

interface Of {
  readonly name: string | undefined
  readonly store: string | undefined
}

const attributesOf = ({ name, store }: Of): { readonly store: string } => ({ store: name ?? store ?? "unknown" })

export const committed = (
  of: Of,
  counts: { readonly written: number; readonly present: number; readonly gaps: number }
): Effect.Effect<void> =>
  Effect.gen(function* () {
    const attributes = attributesOf(of)
    if (counts.written > 0) {
      yield* Metric.update(Metric.withAttributes(states, { ...attributes, how: "written" }), counts.written)
    }
    if (counts.present > 0) {
      yield* Metric.update(Metric.withAttributes(states, { ...attributes, how: "present" }), counts.present)
    }
    if (counts.gaps > 0) yield* Metric.update(Metric.withAttributes(gaps, attributes), counts.gaps)
  })

export const restarted = (of: Of, why: string): Effect.Effect<void> =>
  Metric.update(Metric.withAttributes(restarts, { ...attributesOf(of), why }), 1)

export const lagged = (of: Of, seconds: number): Effect.Effect<void> =>
  Metric.update(Metric.withAttributes(lag, attributesOf(of)), seconds)
