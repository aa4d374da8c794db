import * as Backend from "@tidings/core/Backend"
import { BackendError, Transient } from "@tidings/core/BackendError"
import type { Write } from "@tidings/core/Event"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"

/** A failure of which nobody knows whether the write took effect. */
export const unknown = new BackendError({
  reason: new Transient({ applied: "unknown", detail: "the connection broke" })
})

/** A failure before the write took effect. */
export const refused = new BackendError({ reason: new Transient({ applied: "no", detail: "connection refused" }) })

export type Answer = (
  batch: ReadonlyArray<Write>,
  call: number
) => Effect.Effect<ReadonlyArray<Backend.Outcome>, BackendError>

export interface Scripted {
  readonly layer: Layer.Layer<Backend.Backend>
  /** The batches of every call, in order. */
  readonly calls: Array<ReadonlyArray<Write>>
}

/** A backend whose `write` answers as the test says; the n-th call is number n, from 1. */
export const scripted = (answer: Answer): Scripted => {
  const calls: Array<ReadonlyArray<Write>> = []
  const layer = Layer.effect(
    Backend.Backend,
    Effect.map(Effect.provide(Backend.Backend, Backend.layerMemory()), (memory) => ({
      ...memory,
      write: (batch: ReadonlyArray<Write>) =>
        Effect.suspend(() => {
          calls.push(batch)
          return answer(batch, calls.length)
        })
    }))
  )
  return { layer, calls }
}

export const created = (batch: ReadonlyArray<Write>): ReadonlyArray<Backend.Outcome> => batch.map(() => Backend.created)

export const retry = (error: BackendError): Backend.Outcome => ({ _tag: "Retry", error })
