/**
 * `retention`: how long an event log keeps its events.
 *
 * @internal
 */
import type * as FileBackend from "@tidings/backend-fs/FileBackend"
import * as Timestamp from "@tidings/core/Timestamp"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as Command from "effect/cli/Command"
import * as eventLog from "./eventLog.ts"
import * as documents from "./documents.ts"
import { examples } from "./examples.ts"
import { Failure } from "./failure.ts"
import * as flags from "./flags.ts"
import * as numbers from "./numbers.ts"
import * as quantities from "./quantities.ts"
import * as session from "./session.ts"
import * as words from "./words.ts"

const given = {
  maxAge: flags.text("max-age", {
    value: "AGE",
    description: "Remove events last seen longer ago than this, such as 90d or 12h; none for no limit"
  }),
  maxSize: flags.text("max-size", {
    value: "SIZE",
    description: "Remove the oldest events beyond this size, such as 10GiB; none for no limit"
  }),
  maxEvents: flags.text("max-events", {
    value: "N",
    description: "Remove the oldest events beyond this number; none for no limit"
  }),
  output: flags.output(["text", "json", "yaml"])
}

const read = (
  flag: string,
  text: string | undefined,
  parse: (text: string) => Result.Result<number, string>,
  example: string
): Effect.Effect<number | "none" | undefined, unknown> => {
  if (text === undefined || text === "none") return Effect.succeed(text)
  const value = parse(text)
  if (Result.isFailure(value)) {
    return session.refuse(`--${flag} is ${JSON.stringify(text)}, expected ${value.failure}, or none`)
  }
  // Elsewhere 0 often means no limit; here it would remove all that can be removed.
  return value.success === 0
    ? session.refuse(`--${flag} ${JSON.stringify(text)} would keep nothing: give ${example}, or none for no limit`)
    : Effect.succeed(value.success)
}

const objectOf = ({ removed, retention }: FileBackend.Status) => ({
  maxAgeSeconds: retention.maxAgeSeconds ?? null,
  maxBytes: retention.maxBytes ?? null,
  maxEvents: retention.maxEvents ?? null,
  removed:
    removed === undefined
      ? null
      : { ...removed, until: Timestamp.format(removed.until), at: Timestamp.format(removed.at) }
})

const linesOf = ({ bytes, removed, retention, segments }: FileBackend.Status): ReadonlyArray<string> => {
  const { maxAgeSeconds, maxBytes, maxEvents } = retention
  return [
    `max age:     ${maxAgeSeconds === undefined ? "none" : quantities.age(maxAgeSeconds)}`,
    `max size:    ${maxBytes === undefined ? "none" : quantities.size(maxBytes)}`,
    `max events:  ${maxEvents === undefined ? "none" : maxEvents}`,
    `now:         ${quantities.size(bytes)} in ${words.counted(segments.length, "segment")}`,
    ...(removed === undefined
      ? []
      : [
          `removed:     events up to ${Timestamp.format(removed.until)}, at ${Timestamp.format(removed.at)}: ${removed.why}`
        ])
  ]
}

const inDatabase = session.Session.use(({ command }) =>
  Effect.fail(
    new Failure({
      detail: "retention is for an event log, and this is a database",
      hint:
        `a database keeps everything until it is removed: ${command} prune --max-age 90d does it once, ` +
        `${command} archive --max-age 90d every hour`
    })
  )
)

/** @internal */
export const retention = () =>
  Command.make(
    "retention",
    given,
    Effect.fnUntraced(function* ({ maxAge, maxEvents, maxSize, output = "text" }) {
      const seconds = yield* read("max-age", maxAge, quantities.readAge, quantities.AN_AGE)
      const changes: FileBackend.RetentionOptions = {
        maxAge: typeof seconds === "number" ? Duration.seconds(seconds) : seconds,
        maxBytes: yield* read("max-size", maxSize, quantities.readSize, quantities.A_SIZE),
        maxEvents: yield* read("max-events", maxEvents, numbers.readWhole, "a whole number")
      }
      const inLog = (log: eventLog.Log) =>
        Effect.gen(function* () {
          const isSet = Object.values(changes).some((change) => change !== undefined)
          if (isSet) yield* log.setRetention(changes)
          const status = yield* log.status
          if (output === "text") yield* words.prose(linesOf(status), "max events:  ".length)
          else yield* documents.print(output, objectOf(status))
          const { command } = yield* session.Session
          if (isSet) yield* words.say(`applied by the process that records next, or now by ${command} prune`)
        })
      yield* eventLog.use("retention", inLog, inDatabase)
    }, session.verb("retention"))
  ).pipe(
    Command.withDescription(
      "Show and set how long an event log keeps its events. The limits are those of the log: the process that records next applies " +
        "them. Whole segments are removed, the oldest first; prune shows which and removes them now."
    ),
    Command.withShortDescription("Show and set how long an event log keeps its events"),
    examples("", "--max-age 90d --max-size 10GiB", "--max-events none")
  )
