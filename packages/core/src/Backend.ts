/**
 * The small interface that a store of events implements.
 *
 * Whoever has a store (a database, a message bus) implements these five members, runs the contract suite of
 * `@tidings/testing` on them, and gets the recorder, the policies, the command and the MCP tool for it.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import type * as Duration from "effect/Duration"
import type * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import type * as Stream from "effect/Stream"
import type { BackendError } from "./BackendError.ts"
import type { Write } from "./Event.ts"
import type { EventFilter, EventPage, EventQuery, WatchFrom, WatchItem } from "./EventQuery.ts"
import * as memoryBackend from "./internal/memoryBackend.ts"
import type { Target } from "./Target.ts"

// ---------------------------------------------------------------------------
// outcomes
// ---------------------------------------------------------------------------

/**
 * What became of one write.
 *
 * - `Settled`: it is stored; `present` means that it already was, with this `upTo` or a later one
 * - `Retry`: not this time; `parkAfter` bounds how long repeating makes sense, counted from its first failure
 * - `Rejected`: it will never be taken
 * - `Dropped`: a policy left it out on purpose
 *
 * @category models
 * @since 0.1.0
 */
export type Outcome =
  | { readonly _tag: "Settled"; readonly how: "created" | "updated" | "present" }
  | { readonly _tag: "Retry"; readonly error: BackendError; readonly parkAfter?: Duration.Input }
  | { readonly _tag: "Rejected"; readonly reason: string }
  | { readonly _tag: "Dropped"; readonly reason: string }

/**
 * The outcome of a write that made a new object.
 *
 * @category constructors
 * @since 0.1.0
 */
export const created: Outcome = { _tag: "Settled", how: "created" }

/**
 * The outcome of a write that raised a count.
 *
 * @category constructors
 * @since 0.1.0
 */
export const updated: Outcome = { _tag: "Settled", how: "updated" }

/**
 * The outcome of a write that the store already had.
 *
 * @category constructors
 * @since 0.1.0
 */
export const present: Outcome = { _tag: "Settled", how: "present" }

// ---------------------------------------------------------------------------
// service
// ---------------------------------------------------------------------------

/**
 * Which kind of store: what `isKubernetesMode` asks.
 *
 * @category models
 * @since 0.1.0
 */
export type Mode = "kubernetes" | "filesystem" | "memory" | (string & {})

/**
 * A store of events.
 *
 * **Writing.** `write` answers in the order of its batch, in which a series stands at most once; a missing answer counts
 * as `Retry`. Who knows the outcome of one item answers with outcomes and does not fail; a failure means that nothing is
 * known of any of them. Repeating is always safe: a write whose `upTo` is not beyond what is stored is `present`.
 *
 * **Reading.** `query` answers the state of series, newest first by last seen, with the exact `totalCount`. `watch`
 * begins with a snapshot, then `Live`, then what changes, in the order of change.
 *
 * @category services
 * @since 0.1.0
 */
export class Backend extends Context.Service<
  Backend,
  {
    readonly mode: Mode
    /**
     * Which store this is: the uid of the cluster, the id of the log. A cursor or journal of another one is refused, one
     * of an alias goes on under the id. A backend whose store may be replaced while it runs looks again, and fails
     * writes with `TargetMismatch` while it is another one.
     */
    readonly target: Effect.Effect<Target, BackendError>
    readonly write: (batch: ReadonlyArray<Write>) => Effect.Effect<ReadonlyArray<Outcome>, BackendError>
    readonly query: (query: EventQuery) => Effect.Effect<EventPage, BackendError>
    readonly watch: (filter: EventFilter, from: WatchFrom) => Stream.Stream<WatchItem, BackendError>
  }
>()("@tidings/core/Backend") {}

/**
 * The shape of a backend, for those who implement one.
 *
 * @category models
 * @since 0.1.0
 */
export type Service = Backend["Service"]

// ---------------------------------------------------------------------------
// layers
// ---------------------------------------------------------------------------

/**
 * A backend in the memory of this process, for tests and short-lived programs.
 *
 * Keeps the series that changed last, 10,000 of them unless `capacity` says otherwise. What is evicted is gone: a watch
 * that resumes from before it yields a `Gap`.
 *
 * **Example**
 *
 * ```ts
 * import * as Backend from "@tidings/core/Backend"
 * import * as Effect from "effect/Effect"
 * import assert from "node:assert/strict"
 *
 * const page = await Effect.runPromise(
 *   Backend.Backend.use((backend) => backend.query({})).pipe(Effect.provide(Backend.layerMemory()))
 * )
 * assert.equal(page.totalCount, 0)
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const layerMemory = (options?: { readonly capacity?: number | undefined }): Layer.Layer<Backend> =>
  memoryBackend.layer(Backend, options)
