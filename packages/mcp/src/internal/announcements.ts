/**
 * Tells subscribers which resources have new events: one watch for all of them, which begins when a client may subscribe.
 *
 * @internal
 */
import type * as EventQuery from "@tidings/core/EventQuery"
import type * as EventReader from "@tidings/core/EventReader"
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import type * as McpServer from "effect/ai/McpServer"
import * as uris from "./uris.ts"

/** However fast events come, a resource is named once in this time: subscribers have a queue of 64. */
const INTERVAL = "100 millis"
const FIRST_DELAY = 500
const LAST_DELAY = 30_000
/** A subscription does not wait longer for a store that does not answer. */
const PATIENCE = "5 seconds"

/**
 * Where there is one, its transport reports subscriptions, and announcements wait for that.
 *
 * @internal
 */
export class OnDemand extends Context.Service<
  OnDemand,
  {
    /** A client may subscribe: resolves when no event that comes from now on is missed. */
    readonly demand: Effect.Effect<void>
    readonly demanded: Effect.Effect<void>
    readonly live: Effect.Effect<void>
  }
>()("@tidings/mcp/internal/OnDemand") {}

/** @internal */
export const onDemand: Effect.Effect<OnDemand["Service"]> = Effect.sync(() => {
  const demanded = Deferred.makeUnsafe<void>()
  const live = Deferred.makeUnsafe<void>()
  return {
    demand: Effect.andThen(
      Effect.sync(() => Deferred.doneUnsafe(demanded, Effect.void)),
      Effect.timeoutOption(Deferred.await(live), PATIENCE)
    ),
    demanded: Deferred.await(demanded),
    live: Effect.sync(() => Deferred.doneUnsafe(live, Effect.void))
  }
})

/** @internal */
export const announce = Effect.fnUntraced(function* (
  server: McpServer.McpServer["Service"],
  reader: EventReader.Service,
  { demanded, live }: Pick<OnDemand["Service"], "demanded" | "live">
): Effect.fn.Return<void, never, Scope.Scope> {
  const pending = new Set<string>()
  let wake = Deferred.makeUnsafe<void>()
  let from: EventQuery.WatchFrom = "now"
  let failures = 0

  const take = (items: ReadonlyArray<EventQuery.WatchItem>): Effect.Effect<void> =>
    Effect.suspend(() => {
      let isLive = false
      for (const item of items) {
        from = item.cursor
        if (item._tag === "Event") for (const uri of uris.of(item.event)) pending.add(uri)
        else if (item._tag === "Live") isLive = true
      }
      failures = 0
      if (pending.size > 0) Deferred.doneUnsafe(wake, Effect.void)
      return isLive ? live : Effect.void
    })

  const watch: Effect.Effect<never> = Effect.suspend(() => Stream.runForEachArray(reader.watch({}, from), take)).pipe(
    Effect.catchTag("BackendError", ({ message, reason }) => {
      failures++
      // What is gone from the store is announced with the next event of its object.
      if (reason._tag === "CursorMismatch" || reason._tag === "TargetMismatch") from = "now"
      const delay = Math.min(LAST_DELAY, FIRST_DELAY * 2 ** Math.min(10, failures))
      const told = failures === 1 ? Effect.logWarning(`subscribers are not told of events: ${message}`) : Effect.void
      return Effect.andThen(told, Effect.sleep(delay))
    }),
    Effect.forever
  )

  const tell: Effect.Effect<never> = Effect.suspend(() => Deferred.await(wake)).pipe(
    Effect.andThen(
      Effect.suspend(() => {
        const changed = [...pending]
        pending.clear()
        wake = Deferred.makeUnsafe<void>()
        return Effect.forEach(changed, (uri) => server.notifications["notifications/resources/updated"]({ uri }), {
          discard: true
        })
      })
    ),
    Effect.andThen(Effect.sleep(INTERVAL)),
    Effect.forever
  )

  yield* Effect.forkScoped(Effect.andThen(demanded, Effect.all([watch, tell], { concurrency: 2, discard: true })))
})
