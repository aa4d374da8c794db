import type * as Backend from "@tidings/core/Backend"
import type { Write } from "@tidings/core/Event"
import * as EventId from "@tidings/core/EventId"
import type { EventFilter, WatchFrom, WatchItem } from "@tidings/core/EventQuery"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import { body } from "../../packages/backend-k8s/test/writes.ts"

const origin = await Effect.runPromise(EventId.makeOrigin)
let seq = 0

export const makeWrite = (namespace: string, name: string): Write => {
  const at = Date.now() * 1_000
  seq++
  return {
    id: { origin, seq },
    upTo: seq,
    count: 1,
    first: at,
    last: at,
    event: body({ involvedObject: { apiVersion: "v1", kind: "ConfigMap", name, namespace, uid: "u" }, data: {} })
  }
}

/** Writes until it is settled. */
export const settle = (backend: Backend.Service, one: Write): Effect.Effect<void, unknown> =>
  Effect.flatMap(backend.write([one]), ([outcome]) =>
    outcome?._tag === "Settled" ? Effect.void : Effect.andThen(Effect.sleep("100 millis"), settle(backend, one))
  )

/** A watch, and what it has yielded so far. */
export const watch = Effect.fnUntraced(function* (backend: Backend.Service, filter: EventFilter, from: WatchFrom) {
  const items: Array<WatchItem> = []
  const fiber = yield* Effect.forkScoped(
    Stream.runForEach(backend.watch(filter, from), (item) => Effect.sync(() => items.push(item)))
  )
  const until = (condition: () => boolean): Effect.Effect<void> =>
    Effect.suspend(() => (condition() ? Effect.void : Effect.andThen(Effect.sleep("20 millis"), until(condition))))
  return {
    items,
    fiber,
    until,
    shown: () => items.map((item) => (item._tag === "Event" ? item.event.id.seq : item._tag)),
    waitFor: (tag: WatchItem["_tag"]) => until(() => items.some((item) => item._tag === tag))
  }
})
