/**
 * Requests of operators in other processes, such as `tidings parked retry`: the journal hands them over, and the sink
 * carries them out.
 *
 * The journal hands a request over once, and no other process can carry it out, so it is never interrupted.
 */
import * as Effect from "effect/Effect"
import type * as EventId from "../../EventId.ts"
import type { ParkedRequest } from "../../Journal.ts"
import type { SinkContext } from "./context.ts"
import type { Parking } from "./parking.ts"
import type { SeriesKey } from "./state.ts"
import { SECOND } from "./time.ts"

/** How often the journal is asked. */
const INTERVAL = 5 * SECOND

type Action = ParkedRequest["action"]

/**
 * Polls and carries out requests, until the scope closes; while the journal keeps nothing, it waits.
 *
 * @internal
 */
export const poll = (context: SinkContext, parking: Parking): Effect.Effect<void> => {
  const { health, journal, options, state, time } = context
  const { name } = options

  const carryOut = (action: Action, series: ReadonlyArray<EventId.EventId>) =>
    series.length === 0
      ? Effect.void
      : Effect.flatMap(parking[action](series), (n) =>
          n === 0
            ? Effect.void
            : Effect.logInfo(
                `An operator asked the sink "${name}" to ${action} parked events: ${n} ${n === 1 ? "occurrence" : "occurrences"}`
              )
        )

  let lastProblem: string | undefined
  const carryOutRequests = Effect.suspend(() => {
    if (health.isStopped) return Effect.void
    return Effect.flatMap(journal.requests(name), (requests) => {
      // The last request per series wins.
      const wanted = new Map<SeriesKey, { readonly id: EventId.EventId; readonly action: Action }>()
      for (const { action, series } of requests) for (const id of series) wanted.set(state.keyOf(id), { id, action })
      const of = (action: Action) => [...wanted.values()].flatMap((one) => (one.action === action ? [one.id] : []))
      return Effect.andThen(carryOut("retry", of("retry")), carryOut("drop", of("drop")))
    })
  }).pipe(
    Effect.map(() => {
      lastProblem = undefined
    }),
    Effect.catch(({ message }) => {
      if (message === lastProblem) return Effect.void
      lastProblem = message
      return Effect.logWarning(`Requests about parked events of the sink "${name}" fail: ${message}`)
    })
  )

  return Effect.gen(function* () {
    while (!health.isStopped) {
      yield* parking.untilKept
      yield* Effect.uninterruptible(carryOutRequests)
      yield* time.sleep(INTERVAL)
    }
  })
}
