/**
 * Exponential backoff with jitter.
 */
import type * as Effect from "effect/Effect"
import type * as Random from "effect/Random"

/** @internal */
export type RandomService = Effect.Success<typeof Random.Random>

/**
 * The delay after a number of consecutive failures, counted from 1: it doubles with each failure up to `maximum`, and a
 * random part of up to one half is taken off, so that many callers do not return together. In the unit of `first` and
 * `maximum`.
 *
 * @internal
 */
export const delay = (
  failures: number,
  { first, maximum }: { readonly first: number; readonly maximum: number },
  random: RandomService
): number => Math.min(maximum, first * 2 ** Math.min(20, failures - 1)) * (0.5 + 0.5 * random.nextDoubleUnsafe())
