/**
 * The metrics of recorders, in occurrences. The conservation law can be checked from outside at every scrape, for each
 * sink: `accepted + recovered = settled + parked + dropped + pending`, where `settled` and `dropped` are sums over their
 * labels.
 *
 * The number of label values is bounded: objects, namespaces and messages are never labels. Of values that a host chooses
 * (the names of its transforms, the reasons of its policies), the 65th and all after it are counted as `other`.
 *
 * **Example** (Reading one)
 *
 * ```ts
 * import * as EventManager from "@tidings/core/EventManager"
 * import * as RecorderMetrics from "@tidings/core/RecorderMetrics"
 * import * as Effect from "effect/Effect"
 * import * as Metric from "effect/Metric"
 * import assert from "node:assert/strict"
 *
 * const settled = Metric.withAttributes(RecorderMetrics.settled, { sink: "default", how: "created" })
 * const count = await Effect.runPromise(
 *   Effect.gen(function* () {
 *     const manager = yield* EventManager.EventManager
 *     yield* manager.createEvent({ kind: "Pod", name: "web" }, "Started", "It runs", "Normal")
 *     return (yield* Metric.value(settled)).count
 *   }).pipe(Effect.provide(EventManager.layerMemory()))
 * )
 * assert.equal(count, 1)
 * ```
 *
 * @since 0.1.0
 */
import * as Metric from "effect/Metric"

/**
 * `tidings_accepted_total`: accepted.
 *
 * @category metrics
 * @since 0.1.0
 */
export const accepted = Metric.counter("tidings_accepted_total", {
  description: "Occurrences that the recorder accepted",
  incremental: true
})

/**
 * `tidings_recovered_total{sink}`: found in the journal at the start.
 *
 * @category metrics
 * @since 0.1.0
 */
export const recovered = Metric.counter("tidings_recovered_total", {
  description: "Occurrences found in the journal at the start",
  incremental: true
})

/**
 * `tidings_refused_total{reason}`: refused before acceptance.
 *
 * @category metrics
 * @since 0.1.0
 */
export const refused = Metric.counter("tidings_refused_total", {
  description: "Events refused before acceptance, by reason",
  incremental: true
})

/**
 * `tidings_filtered_total{transform}`: left out before acceptance by a transform, or a transition (`onlyTransitions`), of that
 * name.
 *
 * @category metrics
 * @since 0.1.0
 */
export const filtered = Metric.counter("tidings_filtered_total", {
  description: "Events filtered out by transforms and transitions",
  incremental: true
})

/**
 * `tidings_settled_total{sink, how}`: stored in the backend.
 *
 * @category metrics
 * @since 0.1.0
 */
export const settled = Metric.counter("tidings_settled_total", {
  description: "Occurrences stored in the backend",
  incremental: true
})

/**
 * `tidings_dropped_total{sink, reason}`: not delivered and never will be, on purpose or because of a limit of the host.
 *
 * @category metrics
 * @since 0.1.0
 */
export const dropped = Metric.counter("tidings_dropped_total", {
  description: "Accepted occurrences that were dropped, by reason",
  incremental: true
})

/**
 * `tidings_parked{sink}`: kept aside because the backend will never take them.
 *
 * @category metrics
 * @since 0.1.0
 */
export const parked = Metric.gauge("tidings_parked", {
  description: "Occurrences parked because the backend rejected them"
})

/**
 * `tidings_pending{sink}`: accepted, and neither settled nor parked nor dropped.
 *
 * @category metrics
 * @since 0.1.0
 */
export const pending = Metric.gauge("tidings_pending", {
  description: "Accepted occurrences that are not settled, parked or dropped"
})
