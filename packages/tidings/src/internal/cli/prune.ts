/**
 * `prune`: removes what an event log has beyond its limits.
 *
 * @internal
 */
import * as Timestamp from "@tidings/core/Timestamp"
import * as Effect from "effect/Effect"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as eventLog from "./eventLog.ts"
import { examples } from "./examples.ts"
import * as session from "./session.ts"
import * as words from "./words.ts"

const dryRun = Flag.Boolean("dry-run").pipe(
  Flag.withDescription("Only show what would be removed"),
  Flag.withoutNegation,
  Flag.atLeast(0),
  Flag.map((values) => values.at(-1) ?? false)
)

/** @internal */
export const prune = () =>
  Command.make(
    "prune",
    { dryRun },
    Effect.fnUntraced(function* ({ dryRun }) {
      yield* eventLog.use("prune", (log) =>
        Effect.gen(function* () {
          const { doubt, segments, stays } = yield* log.prune({ dryRun })
          yield* words.prose(
            segments.map(
              ({ bytes, file, lines, until, why }) =>
                `${file}  ${eventLog.size(bytes)}, ${lines} ${lines === 1 ? "line" : "lines"}` +
                `${until === undefined ? "" : `, until ${Timestamp.format(until)}`}: ${why}`
            ),
            2
          )
          if (doubt !== undefined) yield* words.say(`note: ${doubt}`)
          if (stays !== undefined) {
            yield* words.say(
              `note: the newest segment alone has ${stays}, and always stays: it goes when there are newer ones`
            )
          }
          const bytes = segments.reduce((sum, segment) => sum + segment.bytes, 0)
          const what = `${segments.length} ${segments.length === 1 ? "segment" : "segments"} (${eventLog.size(bytes)})`
          yield* words.say(
            segments.length === 0
              ? stays === undefined
                ? `nothing is beyond the limits of the event log in ${log.directory}`
                : `nothing can be removed from the event log in ${log.directory}`
              : dryRun
                ? `would remove ${what}; without --dry-run they are removed`
                : `removed ${what}`
          )
        })
      )
    }, session.verb("prune"))
  ).pipe(
    Command.withDescription(
      "Remove the oldest segments of an event log that are beyond its limits (see retention). A process that records does the same " +
        "with each new segment. The newest segment always stays."
    ),
    Command.withShortDescription("Remove what an event log has beyond its limits"),
    examples("--dry-run", "")
  )
