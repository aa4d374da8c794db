/**
 * The watches of the store with which calls wait: one for all calls that name a namespace, and one for all that name none,
 * however many they are. The first call opens it, and it ends with the last.
 *
 * A call that waits learns from it only that there is something for it. What that is, it reads after its own cursor, so it
 * does not matter whether the shared watch is behind the call's cursor or ahead of it: nothing is lost, and nothing comes twice.
 *
 * Calls that name a namespace watch that one alone: an account may be allowed to read no other, and a cluster is large.
 *
 * @internal
 */
import type { BackendError } from "@tidings/core/BackendError"
import * as EventQuery from "@tidings/core/EventQuery"
import type * as EventReader from "@tidings/core/EventReader"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"

/** @internal */
export interface Listener {
  /** Forgets what was heard: what comes from now on wakes. */
  readonly reset: () => void
  /** Waits for something that came since the last reset and matches, or for a gap. Fails when the watch does. */
  readonly heard: Effect.Effect<void, BackendError>
}

/** @internal */
export interface SharedWatch {
  /** Nothing that changes from now on and matches is missed. */
  readonly listen: (filter: EventQuery.EventFilter) => Effect.Effect<Listener, BackendError, Scope.Scope>
}

class Listening implements Listener {
  readonly matches: ReturnType<typeof EventQuery.matcher>
  private readonly watch: Watch
  private news = Deferred.makeUnsafe<void, BackendError>()

  constructor(watch: Watch, filter: EventQuery.EventFilter) {
    this.watch = watch
    this.matches = EventQuery.matcher(filter)
  }

  reset(): void {
    this.news = Deferred.makeUnsafe<void, BackendError>()
  }

  wake(exit: Exit.Exit<void, BackendError>): void {
    Deferred.doneUnsafe(this.news, exit)
  }

  readonly heard: Effect.Effect<void, BackendError> = Effect.suspend(
    () => this.watch.failed ?? Deferred.await(this.news)
  )
}

class Watch {
  readonly live = Deferred.makeUnsafe<void, BackendError>()
  readonly listeners = new Set<Listening>()
  failed: Exit.Exit<void, BackendError> | undefined
  fiber: Fiber.Fiber<void, BackendError> | undefined

  take(items: ReadonlyArray<EventQuery.WatchItem>): void {
    for (const item of items) {
      if (item._tag === "Live") Deferred.doneUnsafe(this.live, Exit.void)
      else {
        for (const listener of this.listeners) {
          if (item._tag === "Gap" || listener.matches(item.event)) listener.wake(Exit.void)
        }
      }
    }
  }

  ended(exit: Exit.Exit<void, BackendError>): void {
    if (Exit.isFailure(exit)) this.failed = exit
    Deferred.doneUnsafe(this.live, exit)
    for (const listener of this.listeners) listener.wake(exit)
  }
}

/** @internal */
export const make = (reader: EventReader.Service): SharedWatch => {
  const watches = new Map<string | undefined, Watch>()

  const open = (namespace: string | undefined): Effect.Effect<Watch> =>
    Effect.suspend(() => {
      const watch = new Watch()
      watches.set(namespace, watch)
      const run = Stream.runForEachArray(reader.watch(namespace === undefined ? {} : { namespace }, "now"), (items) =>
        Effect.sync(() => watch.take(items))
      ).pipe(
        Effect.onExit((exit) =>
          Effect.sync(() => {
            if (watches.get(namespace) === watch) watches.delete(namespace)
            watch.ended(exit)
          })
        )
      )
      // It outlives the call that opened it.
      return Effect.map(Effect.forkDetach(run), (fiber) => {
        watch.fiber = fiber
        return watch
      })
    })

  const join = (namespace: string | undefined, filter: EventQuery.EventFilter) =>
    Effect.suspend(() => {
      const opened = watches.get(namespace)
      return Effect.map(opened === undefined ? open(namespace) : Effect.succeed(opened), (watch) => {
        const listener = new Listening(watch, filter)
        watch.listeners.add(listener)
        return { watch, listener }
      })
    })

  const leave = (namespace: string | undefined, watch: Watch, listener: Listening): Effect.Effect<void> =>
    Effect.suspend(() => {
      watch.listeners.delete(listener)
      if (watch.listeners.size > 0 || watch.fiber === undefined) return Effect.void
      if (watches.get(namespace) === watch) watches.delete(namespace)
      return Fiber.interrupt(watch.fiber)
    })

  return {
    listen: (filter) =>
      Effect.suspend(() => {
        const namespace = filter.namespace === undefined ? undefined : EventQuery.onlyOf(filter.namespace)
        return Effect.acquireRelease(join(namespace, filter), ({ listener, watch }) =>
          leave(namespace, watch, listener)
        ).pipe(Effect.flatMap(({ listener, watch }) => Effect.as(Deferred.await(watch.live), listener)))
      })
  }
}
