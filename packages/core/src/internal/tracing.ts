import * as Effect from "effect/Effect"
import type * as Tracer from "effect/Tracer"
import type { Service as BackendService } from "../Backend.ts"
import type { Write } from "../Event.ts"
import type { Recorder } from "../Delivery.ts"
import type { EventDraft } from "../EventDraft.ts"

/**
 * Spans of recorded events by sequence number, so that a delivery, perhaps hours later, can be linked to them. An event
 * that is not traced costs one look-up; events that were recorded before a restart have no links.
 */
const MAXIMUM_LINKS = 4_096
const MAXIMUM_LINKS_OF_A_SPAN = 32

/** @internal */
export class Links {
  private readonly spans = new Map<number, Tracer.AnySpan>()

  set(seq: number, span: Tracer.AnySpan): void {
    this.spans.set(seq, span)
    if (this.spans.size > MAXIMUM_LINKS) this.spans.delete(this.spans.keys().next().value!)
  }

  /** The links of a batch: of each series the first and the latest occurrence, whose sequence numbers the write has. */
  of(batch: ReadonlyArray<Write>): ReadonlyArray<Tracer.SpanLink> {
    if (this.spans.size === 0) return []
    const links: Array<Tracer.SpanLink> = []
    for (const { id, upTo } of batch) {
      for (const seq of id.seq === upTo ? [upTo] : [id.seq, upTo]) {
        const span = this.spans.get(seq)
        if (span !== undefined && links.length < MAXIMUM_LINKS_OF_A_SPAN) links.push({ span, attributes: { seq } })
      }
    }
    return links
  }
}

/** Must not throw: an invalid draft is refused by the recorder, inside of the span. */
const attributesOf = (draft: EventDraft): Readonly<Record<string, unknown>> => {
  try {
    return { "event.reason": draft.reason, "event.kind": draft.involvedObject.kind }
  } catch {
    return {}
  }
}

/**
 * A recorder whose calls are spans (`event.record`), where the caller is traced.
 *
 * @internal
 */
export const recorder = (self: Recorder["Service"], links?: Links): Recorder["Service"] => {
  const traced =
    <
      A extends { readonly _tag: "Accepted"; readonly id: { readonly seq: number } } | { readonly _tag: "Filtered" },
      E,
      Rest extends ReadonlyArray<unknown>
    >(
      record: (draft: EventDraft, ...rest: Rest) => Effect.Effect<A, E>
    ) =>
    (draft: EventDraft, ...rest: Rest): Effect.Effect<A, E> =>
      Effect.withFiber((caller) => {
        if (caller.cache.span === undefined) return record(draft, ...rest)
        return Effect.useSpan("event.record", { kind: "producer", attributes: attributesOf(draft) }, (span) =>
          Effect.map(record(draft, ...rest), (recorded) => {
            span.attribute("event.outcome", recorded._tag)
            if (recorded._tag === "Accepted") {
              span.attribute("event.seq", recorded.id.seq)
              links?.set(recorded.id.seq, span)
            }
            return recorded
          })
        )
      })
  return { ...self, record: traced(self.record), recordSettled: traced(self.recordSettled) }
}

/**
 * A backend whose writes are spans (`event.deliver`), linked to the spans of the events that they deliver.
 *
 * @internal
 */
export const backend = (self: BackendService, sink: string, links: Links): BackendService => ({
  ...self,
  write: (batch) => {
    const linked = links.of(batch)
    return linked.length === 0
      ? self.write(batch)
      : Effect.withSpan(self.write(batch), "event.deliver", {
          kind: "consumer",
          root: true,
          links: linked,
          attributes: { "event.sink": sink, "event.series": batch.length },
          captureStackTrace: false
        })
  }
})
