/**
 * `wait`: until an event comes, for scripts.
 *
 * @internal
 */
import * as GoDuration from "@tidings/templates/GoDuration"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as Command from "effect/cli/Command"
import type { Catalogue } from "./catalogue.ts"
import { examples } from "./examples.ts"
import * as flags from "./flags.ts"
import * as numbers from "./numbers.ts"
import * as printing from "./printing.ts"
import * as searching from "./searching.ts"
import * as selection from "./selection.ts"
import * as session from "./session.ts"

const DEFAULT_TIMEOUT = "5m"

/** In milliseconds; `undefined` for no end. */
const readTimeout = (written: string): Result.Result<number | undefined, string> => {
  if (written.toLowerCase() === "none") return Result.succeed(undefined)
  const parsed = GoDuration.parse(written)
  if (Result.isSuccess(parsed) && parsed.success >= 0) return Result.succeed(Number(parsed.success) / 1_000_000)
  const isTooLong = Result.isFailure(parsed) && parsed.failure.reason === "OutOfRange"
  const expected = isTooLong ? numbers.LONGEST_DURATION : "a duration such as 5m or 1h30m"
  return Result.fail(`--timeout is ${JSON.stringify(written)}, expected ${expected}, or none`)
}

/** @internal */
export const wait = (catalogue: Catalogue) =>
  Command.make(
    "wait",
    {
      ...selection.filters(catalogue),
      since: flags.time("since", {
        value: "TIME",
        description: "Also an event last seen at this time or later counts, at once: 5m, 10:30 (default the start)"
      }),
      timeout: flags.text("timeout", {
        value: "DURATION|none",
        description: `Exit with code 124 when no event came in this time (default ${DEFAULT_TIMEOUT})`
      }),
      ...flags.printed
    },
    Effect.fnUntraced(function* ({ noHeaders, output, utc, timeout = DEFAULT_TIMEOUT, ...given }) {
      const selected = yield* session.check(selection.select({ ...given, until: undefined }, catalogue, 1))
      const limit = yield* session.check(readTimeout(timeout))
      if (Object.keys(selected.timeless).length === 0 && selected.patterns === undefined) {
        return yield* session.refuse("say what to wait for: KIND/NAME, --reason, --type or another filter")
      }
      const printer = yield* printing.make({ noHeaders, output, utc })
      const search = yield* searching.make(selected.patterns)
      const { until } = yield* Effect.promise(() => import("./waiting.ts"))
      yield* selection.place(selected).pipe(
        Effect.flatMap(selection.inPlace((placed) => until(placed, { printer, search, timeout, limit }))),
        // The first event may be still to come, also the first of all.
        session.withReader({ create: true })
      )
    }, session.verb("wait"))
  ).pipe(
    Command.withDescription(
      "Wait for an event, print it and exit with code 0; exit with code 124 when none came in time. What was last seen " +
        "before the start counts only with --since."
    ),
    Command.withShortDescription("Wait for an event, for scripts"),
    examples(
      `${catalogue.samples.object} --reason ${catalogue.samples.outcomes}`,
      `${catalogue.samples.other.object} --type Warning --timeout 90s`,
      "pod/web --reason Started --since 1m -o json"
    )
  )
