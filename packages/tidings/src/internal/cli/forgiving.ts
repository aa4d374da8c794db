/**
 * Answers where a value of the filter is spelled otherwise than in the store.
 *
 * @internal
 */
import type { Event } from "@tidings/core/Event"
import type { EventReader } from "@tidings/core/EventReader"
import * as Data from "effect/Data"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import type { Nearest } from "./nearMisses.ts"
import type { Selected } from "./selection.ts"

const nothing: Nearest = { hints: [] }

/** Of one value something is seen where anything is; of several each may be missed. */
const mayMiss = ({ timeless }: Selected, seen: ReadonlyArray<Event>): boolean =>
  seen.length === 0 ? Object.keys(timeless).length > 0 : Object.values(timeless).some(Array.isArray)

/**
 * What is meant by a selection of which this is the answer. A store that refuses to say more is no failure of the answer.
 *
 * @internal
 */
export const nearest = (selected: Selected, seen: ReadonlyArray<Event>): Effect.Effect<Nearest, never, EventReader> =>
  mayMiss(selected, seen)
    ? Effect.promise(() => import("./nearMisses.ts")).pipe(
        Effect.flatMap(({ find }) => find(selected, seen)),
        Effect.orElseSucceed(() => nothing)
      )
    : Effect.succeed(nothing)

/** A value of the selection is spelled otherwise in the store. @internal */
export class Corrected extends Data.TaggedError("Corrected")<{
  /** What is meant. */
  readonly selected: Selected
}> {}

/**
 * Runs with a selection, and anew with what is meant as often as that is found out: `run` hands on what it was told of values that
 * the store does not have, so that an event which comes later can show what is meant by them.
 *
 * @internal
 */
export const asMeant = <A, E, R>(
  selected: Selected,
  run: (selected: Selected, missing: (nearest: Nearest) => Effect.Effect<void>) => Effect.Effect<A, E | Corrected, R>
): Effect.Effect<A, E, R> =>
  Effect.gen(function* () {
    const missing = yield* Deferred.make<Nearest>()
    const found = Deferred.await(missing).pipe(
      // Where that cannot be watched, the rest goes on without it.
      Effect.flatMap(({ later = Effect.never }) => Effect.catch(later, () => Effect.never)),
      Effect.flatMap((selected) => Effect.fail(new Corrected({ selected })))
    )
    return yield* Effect.raceFirst(
      run(selected, (nearest) => Effect.asVoid(Deferred.succeed(missing, nearest))),
      found
    )
  }).pipe(Effect.catch((error) => (error instanceof Corrected ? asMeant(error.selected, run) : Effect.fail(error))))
