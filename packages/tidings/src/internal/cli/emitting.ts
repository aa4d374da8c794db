/**
 * Records what `emit` was given: one event, or one for each line of standard input. Loaded by `emit` alone.
 *
 * @internal
 */
import type * as Backend from "@tidings/core/Backend"
import * as EventId from "@tidings/core/EventId"
import { InvalidEvent, type Issue } from "@tidings/core/InvalidEvent"
import * as Recorder from "@tidings/core/Recorder"
import type * as Templates from "@tidings/core/Templates"
import * as Timestamp from "@tidings/core/Timestamp"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as References from "effect/References"
import * as Scope from "effect/Scope"
import * as age from "./age.ts"
import * as catalogueTemplates from "./catalogueTemplates.ts"
import * as drafting from "./drafting.ts"
import * as failure from "./failure.ts"
import * as kindNames from "./kindNames.ts"
import * as session from "./session.ts"
import * as words from "./words.ts"

/** After this time without an outcome a person at a terminal is told what the command waits for. */
const QUIET = "5 seconds"

/** After this time without an outcome the command fails, so that a script does not hang with its server. */
const OUTCOME_TIMEOUT = "2 minutes"

/** Who reports an event, where it is not the command itself. @internal */
export interface Reporter {
  readonly component?: string | undefined
  readonly host?: string | undefined
}

/**
 * What is wrong with an event. `source` is what the source is called where it was given.
 *
 * @internal
 */
export const told = (issues: ReadonlyArray<Issue>, source: string): string =>
  issues
    .map(({ expected, field, found }) =>
      // A recorder has other names for what it reports as, and more choices.
      field === "component"
        ? `${source} is ${found}, expected ${expected.replace(/, or a reportingController.*$/, "")}`
        : `${field} is ${found}, expected ${expected}`
    )
    .join("; ")

/** The recorder of each reporter, made when it is first needed. @internal */
export type Recorders = (
  reporter: Reporter
) => Effect.Effect<Recorder.Recorder["Service"], Recorder.InvalidRecorderOptions>

/** @internal */
export const recorders: Effect.Effect<
  Recorders,
  Templates.CatalogueError,
  Backend.Backend | Scope.Scope | session.Session
> = Effect.gen(function* () {
  const { component, host } = yield* session.Session
  const scope = yield* Scope.Scope
  const services = Context.merge(yield* Layer.build(catalogueTemplates.layer), yield* Effect.context<Backend.Backend>())
  const made = new Map<string, Recorder.Recorder["Service"]>()
  return Effect.fnUntraced(function* (reporter: Reporter) {
    const options = { component: reporter.component ?? component, host: reporter.host ?? host }
    const key = JSON.stringify([options.component, options.host])
    const known = made.get(key)
    if (known !== undefined) return known
    const layer = Layer.provide(Recorder.layerDirect(options), Layer.succeedContext(services))
    const recorder = Context.get(yield* Layer.buildWithScope(layer, scope), Recorder.Recorder)
    made.set(key, recorder)
    return recorder
  })
})

/** Says once that it waits. @internal */
export const patiently = <A, E, R>(self: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  Effect.raceFirst(
    self,
    Effect.sleep(QUIET).pipe(
      Effect.andThen(words.say("-- no definite answer from the store yet; retrying --")),
      Effect.andThen(Effect.never)
    )
  )

/** Gives up in the end. */
const inTime = <A, E, R>(self: Effect.Effect<A, E, R>): Effect.Effect<A, E | failure.Unanswered, R> =>
  Effect.timeoutOrElse(self, {
    duration: OUTCOME_TIMEOUT,
    orElse: () =>
      Effect.fail(
        new failure.Unanswered({
          detail: `it is unknown whether the event was recorded: no definite answer from the store within ${OUTCOME_TIMEOUT}`,
          hint: "check with list before recording it again"
        })
      )
  })

const settled = (delivered: Recorder.Delivered): Effect.Effect<string, failure.Failure> => {
  if (delivered._tag === "Filtered") {
    return Effect.fail(new failure.Failure({ detail: `the event was filtered out by the transform ${delivered.by}` }))
  }
  for (const settlement of Object.values(delivered.sinks)) {
    if (settlement._tag !== "Settled") {
      const why = "reason" in settlement ? settlement.reason : "the command ended first"
      return Effect.fail(new failure.Failure({ detail: `the backend did not store the event: ${why}` }))
    }
  }
  return Effect.succeed(EventId.format(delivered.id))
}

/** Answers the id of the event, once the store has it. @internal */
export const record = (recorder: Recorder.Recorder["Service"], draft: Parameters<typeof recorder.recordSettled>[0]) =>
  Effect.flatMap(inTime(recorder.recordSettled(draft)), settled).pipe(
    // What goes wrong with the one event is the answer, and said once.
    Effect.provideService(References.MinimumLogLevel, "Error")
  )

/** What a careful reader of the command line would have asked, said after the event is recorded. @internal */
export const remarks = Effect.fnUntraced(function* (
  kind: string,
  reason: string
): Effect.fn.Return<void, never, session.Session> {
  const { catalogue } = yield* session.Session
  if (catalogue.reason(reason)?.reason === reason || catalogue.kind(kind) === undefined) return
  const meant = catalogue.nearestReason(reason)
  if (meant !== undefined) yield* words.say(`note: the catalogue has no reason ${reason}; did you mean ${meant}?`)
})

/** A time of day is one of today, and before it is there that of an earlier day was meant, most likely. */
const remarkOnTime = (at: Timestamp.Micros | undefined): Effect.Effect<void> =>
  Clock.clockWith((clock) => {
    const now = Timestamp.now(clock)
    return at !== undefined && age.isAhead(at, now)
      ? words.say(`note: the time of this event is ${age.inFuture(at, now, (time) => `--at "${time}"`)}`)
      : Effect.void
  })

/** Where other verbs take several objects, and this one has recorded one of a long name. */
const remarkOnName = ({ name }: drafting.Named): Effect.Effect<void> =>
  /,\s*[A-Za-z][\w.]*\//.test(name)
    ? words.say(`note: an event is about one object, and this one is named ${JSON.stringify(name)}: emit one for each`)
    : Effect.void

/** A kind that is cluster-scoped takes no namespace, and who gave one is told so. */
const remarkOnNamespace = (
  { kind, namespaced }: kindNames.KindName,
  { name, namespace }: drafting.Named
): Effect.Effect<void> =>
  namespaced === false && namespace !== undefined && namespace !== ""
    ? words.say(`note: a ${kind} is cluster-scoped, so the event is about ${kind} ${name}, without a namespace`)
    : Effect.void

/**
 * Records one event that stood on the command line.
 *
 * @internal
 */
export const one = Effect.fnUntraced(function* (said: drafting.Said, reporter: Reporter) {
  const { catalogue } = yield* session.Session
  yield* session.check(
    drafting.check(
      said,
      catalogue,
      (fields) => `${fields.map((key) => `--data ${key}=…`).join(" ")}, or give a MESSAGE of your own`
    )
  )
  const id = yield* Effect.gen(function* () {
    const recorder = yield* (yield* recorders)(reporter)
    yield* remarkOnName(said.object)
    yield* remarkOnNamespace(yield* kindNames.resolve(said.object.kind), said.object)
    const draft = yield* session.check(yield* drafting.draftOf(said, kindNames.resolve))
    return yield* patiently(record(recorder, draft))
  }).pipe(
    Effect.scoped,
    session.withBackend({ create: true }),
    // Whatever is wrong with the event stood on the command line.
    Effect.catchIf(
      (error) => error instanceof InvalidEvent || error instanceof Recorder.InvalidRecorderOptions,
      ({ issues }) => session.refuse(told(issues, "--source"))
    )
  )
  yield* words.data(id)
  yield* remarkOnTime(said.at)
  yield* remarks(said.object.kind.kind, said.reason)
})
