/**
 * Durations in the text form of Go (`1m30.5s`), in which Kubernetes shows them, message templates print them, and events
 * store them.
 *
 * **When to use**
 *
 * Use `format` to show or store a duration, and `parse` to read one from a request, a file or a command line.
 *
 * **Details**
 *
 * A duration is a whole number of nanoseconds. A JavaScript `number` is exact up to 2^53 - 1 of them, which is 104 days. Use
 * `bigint` for longer ones, up to the limit of Go: 64 bits, about 292 years.
 *
 * @since 0.1.0
 */
import * as Data from "effect/Data"
import * as Result from "effect/Result"
import * as Display from "./internal/display.ts"
import * as Internal from "./internal/goDuration.ts"

/**
 * Why a text is not a duration.
 *
 * - `Empty`: the text is empty, or only a sign.
 * - `Syntax`: at `offset` there is something else than a number.
 * - `MissingUnit`: the number that ends at `offset` has no unit.
 * - `UnknownUnit`: the unit at `offset` is none of `h`, `m`, `s`, `ms`, `us`, `µs`, `ns`.
 * - `OutOfRange`: the duration does not fit into 64 bits of nanoseconds (about 292 years).
 *
 * @category errors
 * @since 0.1.0
 */
export type GoDurationErrorReason = Internal.ErrorReason

const explanations: { readonly [R in GoDurationErrorReason]: string } = {
  Empty: "there is no number in it",
  Syntax: "expected a number",
  MissingUnit: "a number has no unit: write h, m, s, ms, us or ns after it",
  UnknownUnit: "unknown unit: use h, m, s, ms, us or ns",
  OutOfRange: "it is longer than 64 bits of nanoseconds can say (about 292 years)"
}

/**
 * A text that is not a Go duration. `offset` counts UTF-16 code units from 0.
 *
 * @category errors
 * @since 0.1.0
 */
export class GoDurationError extends Data.TaggedError("GoDurationError")<{
  readonly text: string
  readonly reason: GoDurationErrorReason
  readonly offset: number
}> {
  override get message(): string {
    const place = this.reason === "Empty" || this.reason === "OutOfRange" ? "" : ` at column ${this.offset + 1}`
    return `${Display.quote(this.text)} is not a duration${place}: ${explanations[this.reason]} (an example: 1h2m3.5s)`
  }
}

/**
 * Formats a duration as Go's `Duration.String()` does: no days, no padding, no rounding.
 *
 * **Details**
 *
 * `0` is `0s`. Below a second the unit is `ns`, `µs` (U+00B5) or `ms`, with as many fraction digits as there are; from a
 * second on `1h2m3.5s`. A number with a fraction is rounded to whole nanoseconds, what does not fit in 64 bits is clamped to
 * the longest duration of Go (`2562047h47m16.854775807s`), and `NaN` is `0s`.
 *
 * **Example** (Writing durations)
 *
 * ```ts
 * import assert from "node:assert/strict"
 * import { GoDuration } from "@tidings/templates"
 *
 * assert.equal(GoDuration.format(90_500_000_000), "1m30.5s")
 * assert.equal(GoDuration.format(1_500), "1.5µs")
 * assert.equal(GoDuration.format(9_223_372_036_854_775_807n), "2562047h47m16.854775807s")
 * ```
 *
 * @category formatting
 * @since 0.1.0
 */
export const format: (nanoseconds: number | bigint) => string = Internal.format

/**
 * Reads the text of a Go duration as whole nanoseconds: a `number` where that is exact (up to 2^53 - 1 in either direction),
 * else a `bigint`. `format` accepts both.
 *
 * **Details**
 *
 * The grammar and the results of Go's `ParseDuration`: an optional sign, then numbers with a unit each (`h`, `m`, `s`,
 * `ms`, `us` or `µs` or `μs`, `ns`), each with an optional fraction; or just `0`. Fractions of a nanosecond are truncated
 * with the same floating-point arithmetic as in Go, so both get the same number.
 *
 * Fails with `GoDurationError`.
 *
 * **Example** (Reading durations)
 *
 * ```ts
 * import assert from "node:assert/strict"
 * import * as Result from "effect/Result"
 * import { GoDuration } from "@tidings/templates"
 *
 * assert.equal(Result.getOrThrow(GoDuration.parse("1m30.5s")), 90_500_000_000)
 * assert.match(Result.getOrThrow(Result.flip(GoDuration.parse("5 minutes"))).message, /unknown unit/)
 * ```
 *
 * @category parsing
 * @since 0.1.0
 */
export const parse = (text: string): Result.Result<number | bigint, GoDurationError> => {
  const parsed = Internal.parse(text)
  return typeof parsed === "object" ? Result.fail(new GoDurationError({ text, ...parsed })) : Result.succeed(parsed)
}

/**
 * Reads the text of a Go duration as `parse` does; `undefined` for any other text.
 *
 * For texts that may well be something else: it makes no error, which with its stack costs more than the rest.
 *
 * **Example** (One of two forms)
 *
 * ```ts
 * import assert from "node:assert/strict"
 * import { GoDuration } from "@tidings/templates"
 *
 * assert.equal(GoDuration.read("1m30.5s"), 90_500_000_000)
 * assert.equal(GoDuration.read("90 seconds"), undefined)
 * ```
 *
 * @category parsing
 * @since 0.2.0
 */
export const read = (text: string): number | bigint | undefined => {
  const parsed = Internal.parse(text)
  return typeof parsed === "object" ? undefined : parsed
}
