/**
 * Queries: counts every event that matches, and keeps those of the page.
 */
import * as BackendError from "@tidings/core/BackendError"
import type { ClusterRef } from "@tidings/core/Event"
import * as EventId from "@tidings/core/EventId"
import * as EventQuery from "@tidings/core/EventQuery"
import * as Position from "@tidings/core/Position"
import type { Target } from "@tidings/core/Target"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import type * as KubernetesEvent from "../KubernetesEvent.ts"
import { versionNumber } from "../KubernetesEvent.ts"
import type { Listing } from "./listing.ts"

interface Place {
  readonly last: number
  readonly version: number
}

const newestFirst = (a: Place, b: Place): number => b.last - a.last || b.version - a.version

interface Kept extends Place {
  readonly stored: KubernetesEvent.StoredEvent
}

/** The newest `limit` events after a place, of any number added in any order. */
class Newest {
  /** By identity, so that an event and its copy under another name count once. */
  readonly ids = new Set<string>()
  /** Number of events after the place. */
  following = 0
  private kept: Array<Kept> = []
  private readonly limit: number
  private readonly after: Place | undefined

  constructor(limit: number, after: Place | undefined) {
    this.limit = limit
    this.after = after
  }

  add(stored: KubernetesEvent.StoredEvent): void {
    const id = EventId.format(stored.event.id)
    const isCopy = this.ids.has(id)
    this.ids.add(id)
    const kept: Kept = { last: stored.event.last, version: versionNumber(stored.resourceVersion), stored }
    if (this.after !== undefined && newestFirst(this.after, kept) >= 0) return
    if (!isCopy) this.following++
    this.kept.push(kept)
    if (this.kept.length > 2 * this.limit + 64) this.trim()
  }

  private trim(): void {
    this.kept.sort(newestFirst)
    this.kept.length = Math.min(this.kept.length, this.limit)
  }

  take(): ReadonlyArray<Kept> {
    this.kept.sort(newestFirst)
    const best = new Map<string, Kept>()
    for (const kept of this.kept) {
      const id = EventId.format(kept.stored.event.id)
      const other = best.get(id)
      if (other === undefined || other.stored.event.upTo < kept.stored.event.upTo) best.set(id, kept)
    }
    return this.kept.filter((kept) => best.get(EventId.format(kept.stored.event.id)) === kept).slice(0, this.limit)
  }
}

const placeOf = (text: string): Result.Result<Place, BackendError.BackendError> => {
  const match = /^(-?\d{1,16}) (\d{1,16})$/.exec(text)
  return match !== null
    ? Result.succeed({ last: Number(match[1]), version: Number(match[2]) })
    : Result.fail(
        BackendError.make(
          new BackendError.CursorMismatch({ detail: "its position is not a time and a number; start over without it" })
        )
      )
}

/**
 * The cluster keeps an event for as long as its API server is told to (`--event-ttl`), which no client can read, and any
 * client may delete events: since when history is complete is not known.
 *
 * @internal
 */
export const coverageOf = ({ id }: Target): EventQuery.Coverage => ({
  store: id,
  since: "unknown",
  until: "now",
  gaps: []
})

/** @internal */
export const make =
  (options: {
    readonly listing: Listing
    readonly clusterOf: (target: Target) => ClusterRef
    readonly scopeOf: (filter: EventQuery.EventFilter) => Effect.Effect<Position.Scope, BackendError.BackendError>
  }) =>
  (query: EventQuery.EventQuery): Effect.Effect<EventQuery.EventPage, BackendError.BackendError> =>
    Effect.gen(function* () {
      const filter = EventQuery.filterOf(query)
      const scope = yield* options.scopeOf(filter)
      const after =
        query.page === undefined
          ? undefined
          : yield* Effect.fromResult(Result.flatMap(Position.decodePageToken(scope, query.page), placeOf))
      const limit = Math.max(0, query.limit ?? Number.POSITIVE_INFINITY)
      const matches = EventQuery.matcher(filter)
      const add = (newest: Newest, stored: KubernetesEvent.StoredEvent): void => {
        if (matches(stored.event)) newest.add(stored)
      }
      const selected = { filter, cluster: options.clusterOf(scope.target) }
      const one = yield* options.listing.one(selected)
      let found: { readonly collector: Newest; readonly resourceVersion: string }
      if (one._tag === "Found") {
        const { stored } = one
        const collector = new Newest(limit, after)
        if (stored !== undefined) add(collector, stored)
        // Without the event, the cursor is before all versions.
        found = { collector, resourceVersion: stored?.resourceVersion ?? "0" }
      } else {
        found = yield* Effect.mapError(
          options.listing.all(selected, () => new Newest(limit, after), add),
          (error) => (error.reason._tag === "Unauthorized" ? (one.otherwise ?? error) : error)
        )
      }
      const { collector, resourceVersion } = found
      const kept = collector.take()
      const oldest = kept.at(-1)
      const page = {
        events: kept.map(({ stored }) => stored.event),
        totalCount: collector.ids.size,
        cursor: Position.cursorEncoder(scope)(resourceVersion),
        coverage: [coverageOf(scope.target)]
      }
      return oldest !== undefined && collector.following > kept.length
        ? { ...page, next: Position.pageTokenEncoder(scope)(`${oldest.last} ${oldest.version}`) }
        : page
    })
