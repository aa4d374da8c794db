/**
 * Sizes and ages, as options take them and answers show them.
 *
 * @internal
 */
import * as Effect from "effect/Effect"
import type { Usage } from "./failure.ts"
import * as session from "./session.ts"

const UNITS: Readonly<Record<string, number>> = {
  B: 1,
  K: 1_024,
  KIB: 1_024,
  KB: 1_000,
  M: 1_024 ** 2,
  MIB: 1_024 ** 2,
  MB: 1_000 ** 2,
  G: 1_024 ** 3,
  GIB: 1_024 ** 3,
  GB: 1_000 ** 3,
  T: 1_024 ** 4,
  TIB: 1_024 ** 4,
  TB: 1_000 ** 4
}

/**
 * A size such as `500MB`, `10GiB` or `10G` in bytes; absent where it is none. A number without a unit is none: `50` may be meant
 * as GiB, and what is beyond 50 bytes would be removed.
 *
 * @internal
 */
export const readSize = (text: string): number | undefined => {
  const match = /^(\d+(?:\.\d+)?)\s*([A-Za-z]*)$/.exec(text.trim())
  const unit = match === null ? undefined : UNITS[match[2]!.toUpperCase()]
  return match === null || unit === undefined ? undefined : Math.floor(Number(match[1]) * unit)
}

const SECONDS: Readonly<Record<string, number>> = { s: 1, m: 60, h: 3_600, d: 86_400, w: 604_800 }

/**
 * An age such as `90d`, `12h` or `2w` in seconds; absent where it is none.
 *
 * @internal
 */
export const readAge = (text: string): number | undefined => {
  const match = /^(\d+(?:\.\d+)?)\s*([smhdw])$/.exec(text.trim())
  return match === null ? undefined : Number(match[1]) * SECONDS[match[2]!]!
}

const DAY = 86_400

/**
 * The age beyond which a database removes what it has, in seconds: it does so by whole days.
 *
 * @internal
 */
export const readDays = (text: string | undefined): Effect.Effect<number | undefined, Usage> => {
  if (text === undefined) return Effect.undefined
  const seconds = readAge(text)
  return seconds === undefined || seconds < DAY
    ? session.refuse(`--max-age is ${JSON.stringify(text)}, expected an age of at least a day, such as 90d`)
    : Effect.succeed(seconds)
}

const SIZES = ["bytes", "KiB", "MiB", "GiB", "TiB"]

/** @internal */
export const size = (bytes: number): string => {
  let value = bytes
  let unit = 0
  while (value >= 1_024 && unit < SIZES.length - 1) {
    value /= 1_024
    unit++
  }
  return `${Math.round(value * 10) / 10} ${SIZES[unit]}`
}

/** @internal */
export const age = (seconds: number): string => {
  for (const [unit, name] of [
    [86_400, "d"],
    [3_600, "h"],
    [60, "m"]
  ] as const) {
    if (seconds >= unit && seconds % unit === 0) return `${seconds / unit}${name}`
  }
  return `${seconds}s`
}
