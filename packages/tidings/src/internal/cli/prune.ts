/**
 * `prune`: removes what an event log has beyond its limits, or what a database has from longer ago than is given.
 *
 * @internal
 */
import type * as FileBackend from "@tidings/backend-fs/FileBackend"
import * as Timestamp from "@tidings/core/Timestamp"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as eventLog from "./eventLog.ts"
import { examples } from "./examples.ts"
import * as flags from "./flags.ts"
import * as progress from "./progress.ts"
import * as quantities from "./quantities.ts"
import * as session from "./session.ts"
import * as words from "./words.ts"

const dryRun = Flag.Boolean("dry-run").pipe(
  Flag.withDescription("Only show what would be removed"),
  Flag.withoutNegation,
  Flag.atLeast(0),
  Flag.map((values) => values.at(-1) ?? false)
)

/** The day of a partition. */
const dayOf = (partition: string): string => partition.replace(/^.*_(\d{4})(\d\d)(\d\d)$/, "$1-$2-$3")

/** Removes whole days from a database, which has no limits of its own. */
const inDatabase = (age: string | undefined, seconds: number | undefined, dryRun: boolean) =>
  Effect.gen(function* () {
    if (seconds === undefined) {
      return yield* session.refuse("a database has no limits of its own: say with --max-age what is to be removed")
    }
    const { EventDatabase } = yield* Effect.promise(() => import("@tidings/backend-postgres/PostgresBackend"))
    const database = Option.getOrThrow(yield* Effect.serviceOption(EventDatabase))
    const work = database.prune(Duration.seconds(seconds), { dryRun })
    const told = Effect.flatMap(database.status, (before) =>
      progress.alongside(
        work,
        Effect.map(
          database.status,
          ({ forgotten }) => `${words.counted(forgotten - before.forgotten, "state")} removed from what queries answer`
        )
      )
    )
    const { partitions, states } = yield* dryRun ? work : told
    yield* words.prose(partitions.map(dayOf), 2)
    const what = `${words.counted(partitions.length, "day")} (${words.counted(states, "state")})`
    yield* words.say(
      partitions.length === 0
        ? `nothing was written to the database on days (UTC) that ended ${age} ago`
        : dryRun
          ? `would remove ${what}; without --dry-run they are removed`
          : `removed ${what}`
    )
  })

/** @internal */
export const prune = () =>
  Command.make(
    "prune",
    {
      dryRun,
      maxAge: flags.text("max-age", {
        value: "AGE",
        description: "Of a database: remove what was written on days (UTC) that ended longer ago: 90d"
      })
    },
    Effect.fnUntraced(function* ({ dryRun, maxAge }) {
      const seconds = yield* quantities.readDays(maxAge)
      const inLog = (log: FileBackend.EventLog["Service"]) =>
        Effect.gen(function* () {
          if (maxAge !== undefined) {
            return yield* session.refuse(
              "--max-age is about a database: an event log has limits of its own, which retention sets"
            )
          }
          const { doubt, segments, stays } = yield* log.prune({ dryRun })
          yield* words.prose(
            segments.map(
              ({ bytes, file, lines, until, why }) =>
                `${file}  ${quantities.size(bytes)}, ${words.counted(lines, "line")}` +
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
          const what = `${words.counted(segments.length, "segment")} (${quantities.size(bytes)})`
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
      yield* eventLog.use("prune", inLog, inDatabase(maxAge, seconds, dryRun))
    }, session.verb("prune"))
  ).pipe(
    Command.withDescription(
      "Remove the oldest segments of an event log that are beyond its limits (see retention). A process that records does the same " +
        "with each new segment. The newest segment always stays. Of a database, remove what was written on days (UTC) that " +
        "ended longer ago than --max-age, which takes the owner of its tables; archive --max-age does so every hour."
    ),
    Command.withShortDescription("Remove what an event log or a database has beyond its limits"),
    examples("--dry-run", "", "--database postgres://db.example.com/events --max-age 90d")
  )
