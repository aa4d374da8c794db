/**
 * The reading half of a store of events: all that a program needs that only shows events.
 *
 * Every `Backend` is an `EventReader` too. A store that is not written through Tidings, such as an archive that is opened with
 * the rights of a reader, implements this half alone.
 *
 * @since 0.2.0
 */
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import type * as Stream from "effect/Stream"
import type { BackendError } from "./BackendError.ts"
import type { Cursor, EventFilter, EventPage, EventQuery, WatchFrom, WatchItem } from "./EventQuery.ts"
import type { Target } from "./Target.ts"

/**
 * Which kind of store: what `isKubernetesMode` asks.
 *
 * @category models
 * @since 0.1.0
 */
export type Mode = "kubernetes" | "filesystem" | "postgres" | "memory" | (string & {})

/**
 * A store of events, as readers see it.
 *
 * `query` answers the state of series, newest first by last seen, with the exact `totalCount`, and says for which time its
 * history is complete (`coverage`). `watch` begins with a snapshot, then `Live`, then what changes, in the order of change,
 * without a gap that it does not name.
 *
 * **Example** (A program that only reads)
 *
 * ```ts
 * import * as Backend from "@tidings/core/Backend"
 * import { EventReader } from "@tidings/core/EventReader"
 * import * as Effect from "effect/Effect"
 * import * as Layer from "effect/Layer"
 * import assert from "node:assert/strict"
 *
 * const warnings = EventReader.use((reader) => reader.query({ eventType: "Warning", limit: 10 }))
 *
 * const Reader = Layer.provide(Backend.layerReader, Backend.layerMemory())
 * const page = await Effect.runPromise(Effect.provide(warnings, Reader))
 * assert.equal(page.totalCount, 0)
 * assert.equal(page.coverage[0]?.until, "now")
 * ```
 *
 * @category services
 * @since 0.2.0
 */
export class EventReader extends Context.Service<
  EventReader,
  {
    readonly mode: Mode
    /**
     * Which store this is: the uid of the cluster, the id of the log. A cursor or journal of another one is refused, one
     * of an alias goes on under the id. A backend whose store may be replaced while it runs looks again, and fails
     * writes with `TargetMismatch` while it is another one.
     */
    readonly target: Effect.Effect<Target, BackendError>
    readonly query: (query: EventQuery) => Effect.Effect<EventPage, BackendError>
    readonly watch: (filter: EventFilter, from: WatchFrom) => Stream.Stream<WatchItem, BackendError>
    /**
     * A watch for those who copy a whole store, such as an archive; for a store whose `watch` would need memory for all that
     * it begins with. Absent: `watch` does it.
     *
     * It differs from `watch` in this:
     *
     * - What there is at the beginning, and what is left after a `Gap`, comes page by page in no order. Meanwhile the cursor of
     *   each item is the one from before, so that resuming there yields all of it once more. `Live` comes when it is complete,
     *   with a cursor after it.
     * - `Live` comes again and again, at least once a minute: everything that changed before it was yielded. Who hears
     *   nothing for longer has a watch that is dead.
     * - Each state of a series is yielded, apart from what a `Gap` names.
     */
    readonly copy?: (filter: EventFilter, from: "beginning" | Cursor) => Stream.Stream<WatchItem, BackendError>
  }
>()("@tidings/core/EventReader") {}

/**
 * The shape of a reader, for those who implement one.
 *
 * @category models
 * @since 0.2.0
 */
export type Service = EventReader["Service"]
