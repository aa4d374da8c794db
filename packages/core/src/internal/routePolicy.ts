import * as Effect from "effect/Effect"
import type * as Backend from "../Backend.ts"
import type { BackendError } from "../BackendError.ts"
import type { EventBody, StoredEventType, Write } from "../Event.ts"
import type { OneOrMore } from "../EventQuery.ts"
import * as MergedReader from "../MergedReader.ts"
import * as Target from "../Target.ts"
import { missing } from "./outcomes.ts"

/**
 * Which events go to the other backend: all that is named must hold, and of a list any one.
 *
 * @internal
 */
export interface Condition {
  readonly resourceType?: OneOrMore<string> | undefined
  readonly namespace?: OneOrMore<string> | undefined
  readonly eventType?: OneOrMore<StoredEventType> | undefined
}

const holds = (wanted: string | ReadonlyArray<string> | undefined, found: string | undefined): boolean =>
  wanted === undefined ||
  (typeof wanted === "string" ? wanted === found : found !== undefined && wanted.includes(found))

const applies = (when: Condition, { involvedObject, type }: EventBody): boolean =>
  holds(when.resourceType, involvedObject.kind) &&
  holds(when.namespace, involvedObject.namespace) &&
  holds(when.eventType, type)

/** Known under every pair of names of the two. */
const both = (primary: Target.Target, other: Target.Target): Target.Target => {
  const names = [primary.id, ...primary.aliases].flatMap((one) =>
    [other.id, ...other.aliases].map((another) => `${one} and ${another}`)
  )
  return Target.make(names[0]!, {
    aliases: names.slice(1),
    isUncertain: primary.isUncertain === true || other.isUncertain === true,
    // Only where each of them may be begun anew, may both.
    place: primary.place === undefined || other.place === undefined ? undefined : `${primary.place} and ${other.place}`
  })
}

/** @internal */
export const make = (primary: Backend.Service, other: Backend.Service, when: Condition): Backend.Service => {
  const target = Effect.zipWith(primary.target, other.target, both)
  const mode = `${primary.mode} and ${other.mode}`
  const { query, watch } = MergedReader.make({ mode, target, readers: () => [primary, other] })

  const write = (batch: ReadonlyArray<Write>): Effect.Effect<ReadonlyArray<Backend.Outcome>, BackendError> => {
    const toOther = batch.map(({ event }) => applies(when, event))
    if (!toOther.includes(true)) return primary.write(batch)
    if (!toOther.includes(false)) return other.write(batch)
    // What one side answers is known even when the other fails, so a failure becomes the outcome of its items.
    const part = (backend: Backend.Service, side: boolean) => {
      const items = batch.filter((_, index) => toOther[index] === side)
      return Effect.catch(backend.write(items), (error) =>
        Effect.succeed(items.map((): Backend.Outcome => ({ _tag: "Retry", error })))
      )
    }
    return Effect.map(Effect.all([part(primary, false), part(other, true)], { concurrency: 2 }), ([first, second]) => {
      let nextFirst = 0
      let nextSecond = 0
      return toOther.map((routed) => (routed ? second[nextSecond++] : first[nextFirst++]) ?? missing)
    })
  }

  return { mode: primary.mode, target, write, query, watch }
}
