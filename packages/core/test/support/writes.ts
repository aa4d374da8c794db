import * as Backend from "@tidings/core/Backend"
import type { BackendError } from "@tidings/core/BackendError"
import type { EventBody, Write } from "@tidings/core/Event"
import type { WatchItem } from "@tidings/core/EventQuery"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"

export const origin = "00000000000000000000000000000001"

export const body = (more?: Partial<EventBody>): EventBody => ({
  involvedObject: { kind: "Pod", name: "web", namespace: "default" },
  reason: "Started",
  type: "Normal",
  action: "Started",
  message: "It runs",
  data: {},
  source: { component: "test" },
  reportingController: "test",
  reportingInstance: "test-0",
  ...more
})

export const write = (seq: number, more?: Partial<Write>): Write => ({
  id: { origin, seq },
  upTo: seq,
  count: 1,
  first: seq,
  last: seq,
  event: body(),
  ...more
})

export const seqs = (batch: ReadonlyArray<Write>): ReadonlyArray<number> => batch.map(({ id }) => id.seq)

/** A memory backend that counts how often it is built. */
export const counted = (): { readonly layer: Layer.Layer<Backend.Backend>; readonly builds: () => number } => {
  let builds = 0
  const layer = Layer.effect(
    Backend.Backend,
    Effect.suspend(() => {
      builds++
      return Effect.provide(Backend.Backend, Backend.layerMemory())
    })
  )
  return { layer, builds: () => builds }
}

/** Lets everything run that can run without time passing. */
export const settle: Effect.Effect<void> = Effect.gen(function* () {
  for (let turn = 0; turn < 25; turn++) yield* Effect.yieldNow
})

/** The items of a watch so far, growing. */
export const collect = Effect.fnUntraced(function* (watch: Stream.Stream<WatchItem, BackendError>) {
  const items: Array<WatchItem> = []
  const fiber = yield* Effect.forkChild(
    Stream.runForEach(watch, (item) => Effect.sync(() => items.push(item))),
    { startImmediately: true }
  )
  yield* settle
  return { items, stop: Fiber.interrupt(fiber), fiber }
})

/** What a watch shows until nothing more comes of its own accord. */
export const shown = Effect.fnUntraced(function* (watch: Stream.Stream<WatchItem, BackendError>) {
  const { items, stop } = yield* collect(watch)
  yield* stop
  return items
})

export const told = (item: WatchItem): string =>
  item._tag === "Event" ? `${item.event.id.seq}@${item.event.upTo}` : item._tag
