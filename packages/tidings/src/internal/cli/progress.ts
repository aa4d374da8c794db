/**
 * How far a command is that takes long: a line on stderr that is written over at a terminal, and a line a minute elsewhere.
 *
 * @internal
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as table from "./table.ts"
import * as words from "./words.ts"

/** In milliseconds. */
const AT_TERMINAL = 200
const ELSEWHERE = 60_000

/** @internal */
export interface Progress {
  /** Says how far it is, where it was last said long enough ago. */
  readonly step: (text: () => string) => Effect.Effect<void>
  /** Makes room for other words. */
  readonly clear: Effect.Effect<void>
}

/**
 * `isBesideData`: whether the data goes to the same terminal, which then shows by itself how far it is.
 *
 * @internal
 */
export const make = Effect.fnUntraced(function* (isBesideData: boolean): Effect.fn.Return<Progress> {
  const clock = yield* Clock.Clock
  const isAtTerminal = (yield* words.Attended)()
  const interval = isAtTerminal ? AT_TERMINAL : ELSEWHERE
  let saidAt = clock.currentTimeMillisUnsafe()
  return {
    clear: words.clear,
    step: (text) =>
      Effect.suspend(() => {
        const now = clock.currentTimeMillisUnsafe()
        if (isBesideData || now - saidAt < interval) return Effect.void
        saidAt = now
        if (!isAtTerminal) return words.say(text())
        const columns = process.stderr.columns > 0 ? process.stderr.columns : Number.POSITIVE_INFINITY
        return words.overwrite(table.truncate(text(), columns))
      })
  }
})

/**
 * Says how far work is that does not tell by itself: asks for it while the work goes on. Where that cannot be told, nothing is said.
 *
 * @internal
 */
export const alongside = <A, E, R, R2>(
  work: Effect.Effect<A, E, R>,
  ask: Effect.Effect<string, unknown, R2>
): Effect.Effect<A, E, R | R2> =>
  Effect.gen(function* () {
    const progress = yield* make(false)
    const interval = (yield* words.Attended)() ? AT_TERMINAL : ELSEWHERE
    const tell = Effect.ignore(Effect.flatMap(ask, (text) => progress.step(() => text)))
    const telling: Effect.Effect<never, never, R2> = Effect.forever(Effect.delay(tell, interval))
    return yield* Effect.ensuring(Effect.raceFirst(work, telling), progress.clear)
  })
