/**
 * Middleware between the recorder and a backend: functions from one layer of `Backend` to another.
 *
 * Policies are composed with `pipe`, the last one outermost, and provided with `Layer.provide`:
 *
 * ```ts
 * import * as Backend from "@tidings/core/Backend"
 * import * as Policy from "@tidings/core/Policy"
 *
 * export const Store = Backend.layerMemory().pipe(Policy.retry({ times: 3 }), Policy.batch())
 * ```
 *
 * For a write that a policy leaves out on purpose it returns `Dropped` with a reason, so that the write is counted.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import * as Backend from "./Backend.ts"
import type { Write } from "./Event.ts"
import * as batchPolicy from "./internal/batchPolicy.ts"
import { overlay } from "./internal/overlay.ts"
import { missing } from "./internal/outcomes.ts"
import * as retryPolicy from "./internal/retryPolicy.ts"
import * as routePolicy from "./internal/routePolicy.ts"

/**
 * From one layer of `Backend` to another; `E2` and `R2` are what the policy itself can fail with and needs.
 *
 * @category models
 * @since 0.1.0
 */
export type Policy<E2 = never, R2 = never> = <E, R>(
  self: Layer.Layer<Backend.Backend, E, R>
) => Layer.Layer<Backend.Backend, E | E2, R | R2>

/**
 * Makes a policy of a function from one backend to another.
 *
 * The function runs once, when the layer is built, and may acquire resources in the scope of the layer. A policy that needs
 * the outcome of each write overrides `write` and leaves the other methods as they are.
 *
 * **Example** (Leaving out a namespace, in ten lines)
 *
 * ```ts
 * import * as Backend from "@tidings/core/Backend"
 * import * as Policy from "@tidings/core/Policy"
 * import * as Effect from "effect/Effect"
 *
 * export const withoutNamespace = (namespace: string) =>
 *   Policy.make((backend) =>
 *     Effect.succeed(
 *       Policy.split(backend, (write) =>
 *         write.event.involvedObject.namespace === namespace
 *           ? { _tag: "Dropped", reason: `namespace ${namespace}` }
 *           : undefined
 *       )
 *     )
 *   )
 *
 * export const Store = Backend.layerMemory().pipe(withoutNamespace("kube-system"))
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const make =
  <E2 = never, R2 = never>(
    wrap: (backend: Backend.Service) => Effect.Effect<Backend.Service, E2, R2>
  ): Policy<E2, Exclude<R2, Scope.Scope>> =>
  (self) =>
    Layer.provide(Layer.effect(Backend.Backend, Effect.flatMap(Backend.Backend, wrap)), self)

/**
 * A backend that answers some writes itself and passes the others on, with the outcomes in the order of the batch. Where the
 * other backend fails, the outcomes that are known stay, and the others are `Retry` with that failure.
 *
 * `make` has an example.
 *
 * @category combinators
 * @since 0.1.0
 */
export const split = (
  backend: Backend.Service,
  decide: (write: Write) => Backend.Outcome | undefined
): Backend.Service =>
  overlay(backend, {
    write: (batch) =>
      Effect.suspend(() => {
        const decided = batch.map((write) => decide(write))
        const rest = batch.filter((_, index) => decided[index] === undefined)
        if (rest.length === batch.length) return backend.write(batch)
        const merge = (outcomeOf: (place: number) => Backend.Outcome): ReadonlyArray<Backend.Outcome> => {
          let place = 0
          return decided.map((outcome) => outcome ?? outcomeOf(place++))
        }
        if (rest.length === 0) return Effect.succeed(merge(() => missing))
        return Effect.match(backend.write(rest), {
          onFailure: (error) => merge(() => ({ _tag: "Retry", error })),
          onSuccess: (outcomes) => merge((place) => outcomes[place] ?? missing)
        })
      })
  })

/**
 * Retries temporary failures (`Transient`, `Throttled`) a limited number of times: for short interruptions.
 *
 * Of a batch, only the items without a final outcome are written again. Queries are retried too, and a watch continues after
 * the last item that was received. Longer failures are left to the recorder, which retries without end.
 *
 * Waits `baseDelay` (50 milliseconds), doubled each time up to `maximumDelay` (2 seconds), times a random factor between
 * 0.5 and 1; never less than the `retryAfter` of the backend.
 *
 * **Example** (Five tries, the first pause a second)
 *
 * ```ts
 * import * as Backend from "@tidings/core/Backend"
 * import * as Policy from "@tidings/core/Policy"
 *
 * export const Store = Backend.layerMemory().pipe(Policy.retry({ times: 4, baseDelay: "1 second" }))
 * ```
 *
 * A delay that is negative or not a duration is a mistake in the program: the layer dies with `InvalidPolicyOption`.
 *
 * @category policies
 * @since 0.1.0
 */
export const retry = (options?: {
  /** Maximum number of retries after the first try. 3 unless given. */
  readonly times?: number | undefined
  /** The delay after the first failure; it doubles with each further one. 50 milliseconds unless given. */
  readonly baseDelay?: Duration.Input | undefined
  /** 2 seconds unless given. */
  readonly maximumDelay?: Duration.Input | undefined
}): Policy => make((backend) => retryPolicy.make(backend, options))

/**
 * Merges concurrent writes into one: each caller still gets the outcomes of its own items.
 *
 * Nothing is delayed in order to be merged: a write that finds the backend idle is sent in the same turn of the event loop,
 * together with what else was written in that turn; what is written while it is in flight is sent with the next one. A write
 * contains each series at most once.
 *
 * A failure of the merged write is a failure of each. Where a caller is interrupted while it waits, its items are removed; a
 * write in flight goes on. When the layer closes, callers without an answer fail with `Transient` and `applied: "unknown"`.
 *
 * A store that merges writes by itself, as the event log does, gets them as they come (`Backend.MergedWrite`), so in front of it
 * this policy costs nothing. Such a store has limits of its own, so where a `maximum` is given, this policy merges in front of it
 * too, and keeps to that.
 *
 * **Example** (64 writes at once)
 *
 * ```ts
 * import * as Backend from "@tidings/core/Backend"
 * import * as EventManager from "@tidings/core/EventManager"
 * import * as Policy from "@tidings/core/Policy"
 * import * as Effect from "effect/Effect"
 * import * as Layer from "effect/Layer"
 * import assert from "node:assert/strict"
 *
 * const writes: Array<number> = []
 * const counting = Policy.make((backend) =>
 *   Effect.succeed({
 *     ...backend,
 *     write: (batch) => Effect.andThen(Effect.sync(() => writes.push(batch.length)), backend.write(batch))
 *   })
 * )
 * const Store = Backend.layerMemory().pipe(counting, Policy.batch())
 *
 * await Effect.runPromise(
 *   Effect.gen(function* () {
 *     const manager = yield* EventManager.EventManager
 *     const one = (n: number) => manager.createEvent({ kind: "Pod", name: `web-${n}` }, "Started", "It runs", "Normal")
 *     yield* Effect.all(Array.from({ length: 64 }, (_, n) => one(n)), { concurrency: "unbounded" })
 *   }).pipe(Effect.provide(EventManager.layerDirect().pipe(Layer.provide(Store))))
 * )
 * assert.deepEqual(writes, [64])
 * ```
 *
 * @category policies
 * @since 0.1.0
 */
export const batch = (options?: {
  /** Maximum number of items in one write, except for those of one caller, which stay together. 256 unless given. */
  readonly maximum?: number | undefined
}): Policy => make((backend) => batchPolicy.make(backend, options))

/**
 * Which events a route matches: every field that is given must match, and of a list one value.
 *
 * @category models
 * @since 0.1.0
 */
export type Condition = routePolicy.Condition

/**
 * Sends some events to another backend, by the kind, the namespace or the type that a filter names.
 *
 * For readers it is one store: queries, pages and watches merge both, newest first, and each in its own order of change.
 *
 * **Example** (Warnings to a backend of their own)
 *
 * ```ts
 * import * as Backend from "@tidings/core/Backend"
 * import * as Policy from "@tidings/core/Policy"
 *
 * export const Store = Backend.layerMemory().pipe(
 *   Policy.route({ when: { eventType: "Warning" }, to: Backend.layerMemory({ capacity: 100_000 }) })
 * )
 * ```
 *
 * @category policies
 * @since 0.1.0
 */
export const route = <E2, R2>(options: {
  readonly when: Condition
  readonly to: Layer.Layer<Backend.Backend, E2, R2>
}): Policy<E2, R2> =>
  make((backend) =>
    Effect.map(Layer.build(Layer.fresh(options.to)), (context) =>
      routePolicy.make(backend, Context.get(context, Backend.Backend), options.when)
    )
  )
