import * as Backend from "@tidings/core/Backend"
import { BackendError, Transient, Unavailable } from "@tidings/core/BackendError"
import type { Write } from "@tidings/core/Event"
import * as Target from "@tidings/core/Target"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"

export interface Store {
  readonly service: Backend.Service
  readonly setAway: (away: boolean) => void
  /** Occurrences that can be seen. */
  readonly visible: () => number
  readonly series: () => number
}

const unavailable = new BackendError({ reason: new Unavailable({ detail: "only writes are taken" }) })
const away = new BackendError({ reason: new Transient({ applied: "no", detail: "nobody answers" }) })

const store = (
  target: string,
  take: (write: Write) => Backend.Outcome
): { readonly service: Backend.Service; readonly setAway: (away: boolean) => void } => {
  let isAway = false
  return {
    service: {
      mode: "memory",
      target: Effect.suspend(() => (isAway ? Effect.fail(away) : Effect.succeed(Target.make(target)))),
      write: (batch) => Effect.suspend(() => (isAway ? Effect.fail(away) : Effect.succeed(batch.map(take)))),
      query: () => Effect.fail(unavailable),
      watch: () => Stream.fail(unavailable)
    },
    setAway: (value) => {
      isAway = value
    }
  }
}

/** So many openings of a journal may still have something under way. */
const OPENINGS = 4

/**
 * Keeps the count of each series. Each opening of a journal begins series of its own, so of those that ended long ago only
 * the sums are kept: what the store holds would hide what the recorder does.
 */
export const counting = (): Store => {
  const openings = new Map<string, Map<number, { readonly upTo: number; readonly count: number }>>()
  const ended = new Set<string>()
  let visible = 0
  let series = 0
  return {
    ...store("counting", ({ count, id: { origin, seq }, upTo }) => {
      if (ended.has(origin)) throw new Error(`${origin} ended ${OPENINGS} openings ago, and has something under way`)
      let opening = openings.get(origin)
      if (opening === undefined) openings.set(origin, (opening = new Map()))
      if (openings.size > OPENINGS) {
        const [oldest] = openings.keys()
        openings.delete(oldest!)
        ended.add(oldest!)
      }
      const known = opening.get(seq)
      if (known !== undefined && known.upTo >= upTo) return Backend.present
      opening.set(seq, { upTo, count })
      visible += count - (known?.count ?? 0)
      if (known !== undefined) return Backend.updated
      series++
      return Backend.created
    }),
    visible: () => visible,
    series: () => series
  }
}

/** A set of numbers below a bound. */
export const bits = (bound: number) => {
  const bytes = new Uint8Array((bound >> 3) + 1)
  return {
    size: 0,
    /** Answers whether it is new. */
    add(n: number): boolean {
      const bit = 1 << (n & 7)
      if ((bytes[n >> 3]! & bit) !== 0) return false
      bytes[n >> 3]! |= bit
      this.size++
      return true
    }
  }
}

/** Of series that are one occurrence each, one bit. */
export const noting = (most: number): Store => {
  const seqs = bits(most)
  return {
    ...store("noting", ({ id }) => (seqs.add(id.seq) ? Backend.created : Backend.present)),
    visible: () => seqs.size,
    series: () => seqs.size
  }
}
