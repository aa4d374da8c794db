import * as Clock from "effect/Clock"
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type { Occurrence } from "../Event.ts"
import * as EventId from "../EventId.ts"
import type * as Journal from "../Journal.ts"
import * as dataSize from "./dataSize.ts"
import { JournalError, JournalFull } from "./journalError.ts"
import * as Timestamp from "../Timestamp.ts"

const DEFAULT_CAPACITY = 100_000
/** As that of the file journal. */
const DEFAULT_QUOTA = 256 * 1024 * 1024

interface Options {
  readonly capacity?: number | undefined
  readonly quota?: number | undefined
  readonly onFull?: Journal.OnFull | undefined
}

const bytesOf = (batch: ReadonlyArray<Occurrence>): number => {
  let bytes = 0
  for (const occurrence of batch) bytes += dataSize.estimate(occurrence)
  return bytes
}

/** @internal */
export const make = (origin: string, clock: Clock.Clock, options?: Options): Journal.Journal["Service"] => {
  const quota = Math.max(1, options?.quota ?? DEFAULT_QUOTA)
  const capacity = Math.max(1, options?.capacity ?? DEFAULT_CAPACITY)
  const onFull = options?.onFull ?? "fail"
  /** The occurrences with the seqs from `first` on, the first of them at `start`. */
  let kept: Array<Occurrence | undefined> = []
  let start = 0
  let first = 1
  let head = 0
  /** Of what is kept, about. */
  let bytes = 0
  const checkpoints = new Map<string, Journal.Checkpoint>()
  const reading = new Map<string, number>()
  const parked = new Map<string, Map<string, Journal.Parked>>()
  const waiting = new Set<() => void>()

  const discard = (n: number): void => {
    for (let index = start; index < start + n; index++) {
      bytes -= dataSize.estimate(kept[index]!)
      // The list is shortened now and then only; what is settled must not live until then.
      kept[index] = undefined
    }
    start += n
    first += n
    if (start > 1_024 && start * 2 > kept.length) {
      kept = kept.slice(start)
      start = 0
    }
  }

  /** Up to where every sink's checkpoint stands. */
  const free = (): void => {
    let upTo = Number.POSITIVE_INFINITY
    for (const sink of reading.keys()) upTo = Math.min(upTo, checkpoints.get(sink)?.upTo ?? 0)
    if (upTo === Number.POSITIVE_INFINITY || upTo < first) return
    discard(Math.min(upTo, head) - first + 1)
    const woken = [...waiting]
    waiting.clear()
    for (const wake of woken) wake()
  }

  const room = (): number => capacity - (head - first + 1)

  const take = (batch: ReadonlyArray<Occurrence>, size: number): ReadonlyArray<EventId.EventId> => {
    bytes += size
    return batch.map((occurrence) => {
      kept.push(occurrence)
      return { origin, seq: ++head }
    })
  }

  /** Also what is larger than the quota alone, once nothing else is kept. */
  const fits = (count: number, size: number): boolean => count <= room() && (bytes + size <= quota || head < first)

  const full = (wanted: number) =>
    new JournalError({
      reason: new JournalFull({
        detail:
          `${capacity - room()} of ${capacity} events with ${bytes} of ${quota} bytes wait for the backend, ` +
          `${wanted} more do not fit`
      })
    })

  const append = (batch: ReadonlyArray<Occurrence>): Effect.Effect<ReadonlyArray<EventId.EventId>, JournalError> =>
    Effect.suspend(() => {
      const size = bytesOf(batch)
      if (fits(batch.length, size)) return Effect.succeed(take(batch, size))
      if (batch.length > capacity) return Effect.fail(full(batch.length))
      switch (onFull) {
        case "fail":
          return Effect.fail(full(batch.length))
        case "dropOldest":
          while (!fits(batch.length, size)) discard(1)
          return Effect.succeed(take(batch, size))
        case "block":
          return Effect.andThen(
            Effect.interruptible(
              Effect.callback<void>((resume) => {
                if (fits(batch.length, size)) return resume(Effect.void)
                const wake = () => resume(Effect.void)
                waiting.add(wake)
                return Effect.sync(() => waiting.delete(wake))
              })
            ),
            append(batch)
          )
      }
    })

  return {
    origin,
    durability: "memory",
    head: Effect.sync(() => head),
    append,
    read: (_sink, after, max) =>
      Effect.sync(() => {
        const from = Math.max(after + 1, first)
        const to = Math.min(head, from + max - 1)
        const entries: Array<Journal.JournalEntry> = []
        for (let seq = from; seq <= to; seq++) {
          entries.push({ id: { origin, seq }, occurrence: kept[start + seq - first]! })
        }
        return {
          entries,
          lost: from > after + 1 ? [{ from: after + 1, to: from - 1 }] : [],
          reached: Math.max(after, Math.max(to, from - 1))
        }
      }),
    checkpoint: (sink, checkpoint) =>
      Effect.sync(() => {
        checkpoints.set(sink, checkpoint)
        reading.set(sink, checkpoint.upTo)
        free()
      }),
    restore: (sink) =>
      Effect.sync(() => {
        const checkpoint = checkpoints.get(sink)
        reading.set(sink, checkpoint?.upTo ?? 0)
        return checkpoint
      }),
    park: (sink, write, occurrences, reason) =>
      Effect.sync(() => {
        const bySeries = parked.get(sink) ?? new Map<string, Journal.Parked>()
        parked.set(sink, bySeries)
        const key = EventId.format(write.id)
        const known = bySeries.get(key)
        if (known !== undefined && known.write.upTo > write.upTo) return
        bySeries.set(key, { write, occurrences, reason, at: Timestamp.now(clock) })
      }),
    parked: (sink) => Effect.sync(() => [...(parked.get(sink)?.values() ?? [])]),
    unpark: (sink, series) =>
      Effect.sync(() => {
        for (const id of series) parked.get(sink)?.delete(EventId.format(id))
      }),
    requests: () => Effect.succeed([])
  }
}

/** @internal */
export const layer = <Self>(
  service: Context.Service<Self, Journal.Journal["Service"]>,
  options?: Options
): Layer.Layer<Self> =>
  Layer.effect(
    service,
    Effect.gen(function* () {
      return make(yield* EventId.makeOrigin, yield* Clock.Clock, options)
    })
  )
