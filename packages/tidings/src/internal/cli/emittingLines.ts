/**
 * `emit -`: records an event for each line of standard input. Loaded by it alone.
 *
 * - Lines are read, recorded and acknowledged in pieces as they arrive, so a pipe that stays open is recorded at once, and memory
 *   does not grow with the number of lines.
 * - A line that is wrong is told with its number, and the others are recorded.
 * - Where the store refuses or does not answer, the lines that it does not have are told, and no more are read.
 */
import { Backend } from "@tidings/core/Backend"
import { InvalidEvent } from "@tidings/core/InvalidEvent"
import { InvalidRecorderOptions } from "@tidings/core/Recorder"
import * as Timestamp from "@tidings/core/Timestamp"
import * as Clock from "effect/Clock"
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as Stream from "effect/Stream"
import { CommandError } from "../../CommandError.ts"
import * as age from "./age.ts"
import * as draftLines from "./draftLines.ts"
import * as drafting from "./drafting.ts"
import * as emitting from "./emitting.ts"
import * as failure from "./failure.ts"
import * as importItems from "./importItems.ts"
import * as kindNames from "./kindNames.ts"
import * as process from "./process.ts"
import * as progresses from "./progress.ts"
import * as session from "./session.ts"
import * as standardInput from "./standardInput.ts"
import * as words from "./words.ts"

/** What is recorded at the same time: a log and a database store it together, and a cluster takes a request for each. */
const TOGETHER = 256
const TOGETHER_IN_CLUSTER = 16

/** What is wrong with the first of them tells what is wrong with the rest. */
const MOST_TOLD = 100

/** The line is wrong, and the next one may be right. */
class Refused extends Data.TaggedError("Refused")<{ readonly problem: string }> {}

/** A time in the future, and what is now. */
type Ahead = readonly [at: Timestamp.Micros, now: Timestamp.Micros]

type Outcome = { readonly line: number } & (
  | { readonly _tag: "Recorded"; readonly id: string; readonly ahead: Ahead | undefined }
  | { readonly _tag: "Refused"; readonly problem: string }
  | { readonly _tag: "Failed"; readonly error: unknown }
)

/** The kinds of the store, each asked for once. */
const resolver = (): ((name: kindNames.KindName) => Effect.Effect<kindNames.KindName>) => {
  const known = new Map<string, kindNames.KindName>()
  return (name) => {
    const key = JSON.stringify([name.written, name.apiVersion])
    const found = known.get(key)
    return found === undefined
      ? Effect.tap(kindNames.resolve(name), (resolved) => Effect.sync(() => void known.set(key, resolved)))
      : Effect.succeed(found)
  }
}

const orRefuse = <A>(result: Result.Result<A, string>): Effect.Effect<A, Refused> =>
  Result.isSuccess(result) ? Effect.succeed(result.success) : Effect.fail(new Refused({ problem: result.failure }))

/** Tells what became of the lines, and counts. */
class Tally {
  recorded = 0
  refused = 0
  failed = 0
  /** How many are in the future, and the first of them. */
  ahead = 0
  private firstAhead: { readonly line: number; readonly ahead: Ahead } | undefined
  /** Lines up to this one are read. */
  line = 0
  error: unknown = undefined
  private readonly progress: progresses.Progress

  constructor(progress: progresses.Progress) {
    this.progress = progress
  }

  get summary(): string {
    return `${words.counted(this.recorded, "event")} recorded`
  }

  /** One note for all of them. */
  get notes(): ReadonlyArray<string> {
    if (this.firstAhead === undefined) return []
    const { ahead, line } = this.firstAhead
    const all = this.ahead === 1 ? "" : `${this.ahead} events are in the future; `
    return [`note: ${all}the time of line ${line} is ${age.inFuture(...ahead, (time) => `"at":"${time}"`)}`]
  }

  private problem(line: number, problem: string): Effect.Effect<void> {
    return this.refused + this.failed > MOST_TOLD
      ? Effect.void
      : Effect.andThen(this.progress.clear, words.say(`stdin: line ${line}: ${problem}`))
  }

  readonly take = (outcomes: ReadonlyArray<Outcome>): Effect.Effect<void> =>
    Effect.suspend(() => {
      const ids: Array<string> = []
      const steps: Array<Effect.Effect<void>> = []
      for (const outcome of outcomes) {
        if (outcome._tag === "Recorded") {
          this.recorded++
          ids.push(outcome.id)
          if (outcome.ahead !== undefined) {
            this.ahead++
            this.firstAhead ??= { line: outcome.line, ahead: outcome.ahead }
          }
        } else if (outcome._tag === "Refused") {
          this.refused++
          steps.push(this.problem(outcome.line, outcome.problem))
        } else {
          this.failed++
          this.error ??= outcome.error
          steps.push(
            this.problem(outcome.line, `not recorded: ${failure.toCommandError(outcome.error).lines[0] ?? ""}`)
          )
        }
      }
      return Effect.andThen(ids.length === 0 ? Effect.void : words.lines(ids), Effect.all(steps, { discard: true }))
    }).pipe(Effect.andThen(this.progress.step(() => this.summary)))
}

const handler = Effect.fnUntraced(function* (defaults: draftLines.Defaults) {
  const { catalogue } = yield* session.Session
  const recorders = yield* emitting.recorders
  const clock = yield* Clock.Clock
  const resolve = resolver()
  const record = Effect.fnUntraced(function* (value: unknown) {
    const now = Timestamp.now(clock)
    const { reporter, said } = yield* orRefuse(draftLines.read(value, defaults, catalogue, now))
    yield* orRefuse(
      drafting.check(
        said,
        catalogue,
        (fields) => `${fields.map((key) => `data.${key}`).join(", ")}, or a message of its own`
      )
    )
    const draft = yield* orRefuse(yield* drafting.draftOf(said, resolve))
    const id = yield* emitting.record(yield* recorders(reporter), draft)
    const { at } = said
    return { id, ahead: at !== undefined && age.isAhead(at, now) ? ([at, now] as const) : undefined }
  })
  return (item: importItems.Item): Effect.Effect<Outcome> => {
    const { line } = item
    if ("problem" in item) return Effect.succeed({ _tag: "Refused", line, problem: item.problem })
    return Effect.match(record(item.value), {
      onSuccess: (recorded): Outcome => ({ _tag: "Recorded", line, ...recorded }),
      onFailure: (error): Outcome =>
        error instanceof Refused
          ? { _tag: "Refused", line, problem: error.problem }
          : error instanceof InvalidEvent || error instanceof InvalidRecorderOptions
            ? { _tag: "Refused", line, problem: emitting.told(error.issues, "source") }
            : { _tag: "Failed", line, error }
    })
  }
})

const failed = ({ error, failed, line, summary }: Tally): CommandError => {
  const { exit, lines } = failure.toCommandError(error)
  const which = failed === 1 ? "the line that is named above" : `the ${failed} lines that are not`
  return new CommandError({
    lines: [
      lines[0] ?? "the store failed",
      `${summary}; ${which}, and those after line ${line}, are still to be recorded`
    ],
    exit,
    cause: error
  })
}

/**
 * Records what standard input has.
 *
 * @internal
 */
export const run = (defaults: draftLines.Defaults) =>
  Effect.gen(function* () {
    yield* process.goOnWithoutReader
    const { mode } = yield* Backend
    const tally = new Tally(yield* progresses.make(false))
    const handle = yield* handler(defaults)
    const items = importItems.make("lines", () => undefined)
    const concurrency = mode === "kubernetes" ? TOGETHER_IN_CLUSTER : TOGETHER
    const take = Effect.fnUntraced(function* (all: ReadonlyArray<importItems.Item>) {
      for (let from = 0; from < all.length && tally.failed === 0; from += TOGETHER) {
        const some = all.slice(from, from + TOGETHER)
        const outcomes = yield* emitting.patiently(Effect.forEach(some, handle, { concurrency }))
        tally.line = some.at(-1)!.line
        yield* tally.take(outcomes)
      }
      if (tally.failed > 0) return yield* failed(tally)
    })
    yield* Stream.runForEach(yield* standardInput.text, (piece) => Effect.suspend(() => take(items.push(piece)))).pipe(
      Effect.andThen(Effect.suspend(() => take(items.end()))),
      Effect.onInterrupt(() => words.say(`${tally.summary}, up to line ${tally.line}`))
    )
    yield* words.say(tally.summary)
    for (const note of tally.notes) yield* words.say(note)
    if (tally.refused > MOST_TOLD)
      yield* words.say(`and ${tally.refused - MOST_TOLD} more lines that were not recorded`)
    if (tally.refused > 0) {
      const what = tally.refused === 1 ? "1 line was not recorded" : `${tally.refused} lines were not recorded`
      return yield* new CommandError({ lines: [`${what}; the others are`], exit: failure.EXIT.failed })
    }
  }).pipe(Effect.scoped, session.withBackend({ create: true }))
