/**
 * `emit`: record an event.
 *
 * @internal
 */
import * as EventId from "@tidings/core/EventId"
import { InvalidEvent } from "@tidings/core/InvalidEvent"
import type { ObjectReference } from "@tidings/core/ObjectReference"
import * as Recorder from "@tidings/core/Recorder"
import * as Templates from "@tidings/core/Templates"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as References from "effect/References"
import * as Argument from "effect/cli/Argument"
import * as Command from "effect/cli/Command"
import type { FieldTypes } from "./catalogue.ts"
import * as data from "./data.ts"
import { examples } from "./examples.ts"
import * as failure from "./failure.ts"
import * as defaultNamespace from "../defaultNamespace.ts"
import * as flags from "./flags.ts"
import * as kindNames from "./kindNames.ts"
import * as session from "./session.ts"
import * as templateUses from "./templateUses.ts"
import * as words from "./words.ts"

const DEFAULT_NAMESPACE = defaultNamespace.FALLBACK

/** After this time without an outcome a person at a terminal is told what the command waits for. */
const QUIET = "5 seconds"

/** After this time without an outcome the command fails, so that a script does not hang with its server. */
const OUTCOME_TIMEOUT = "2 minutes"

/** The registry with what the command knows, so that messages and types are those of the catalogue. */
const templates: Layer.Layer<Templates.Templates, Templates.CatalogueError, session.Session> = Layer.effect(
  Templates.Templates,
  Effect.gen(function* () {
    const { catalogue } = yield* session.Session
    const registry = yield* Templates.make
    for (const kinds of catalogue.definitions) yield* registry.register(kinds)
    return registry
  })
)

const recorder = Layer.unwrap(
  Effect.map(session.Session, ({ component, host }) => Recorder.layerDirect({ component, host }))
)

const settle = Effect.fnUntraced(function* (delivered: Recorder.Delivered) {
  if (delivered._tag === "Filtered") {
    return yield* new failure.Failure({ detail: `the event was filtered out by the transform ${delivered.by}` })
  }
  for (const settlement of Object.values(delivered.sinks)) {
    if (settlement._tag !== "Settled") {
      const why = "reason" in settlement ? settlement.reason : "the command ended first"
      return yield* new failure.Failure({ detail: `the backend did not store the event: ${why}` })
    }
  }
  yield* words.data(EventId.format(delivered.id))
})

/** Says that it waits, and gives up in the end. */
const patiently = <A, E, R>(self: Effect.Effect<A, E, R>): Effect.Effect<A, E | failure.Unanswered, R> =>
  Effect.raceFirst(
    self,
    Effect.sleep(QUIET).pipe(
      Effect.andThen(words.say("-- no definite answer from the store yet; retrying --")),
      Effect.andThen(Effect.never)
    )
  ).pipe(
    Effect.timeoutOrElse({
      duration: OUTCOME_TIMEOUT,
      orElse: () =>
        Effect.fail(
          new failure.Unanswered({
            detail: `it is unknown whether the event was recorded: no definite answer from the store within ${OUTCOME_TIMEOUT}`,
            hint: "check with list before recording it again"
          })
        )
    })
  )

/** What a careful reader of the command line would have asked, said after the event is recorded. */
const remarks = Effect.fnUntraced(function* (
  kind: string,
  reason: string
): Effect.fn.Return<void, never, session.Session> {
  const { catalogue } = yield* session.Session
  if (catalogue.reason(reason)?.reason === reason || catalogue.kind(kind) === undefined) return
  const meant = catalogue.nearestReason(reason)
  if (meant !== undefined) yield* words.say(`note: the catalogue has no reason ${reason}; did you mean ${meant}?`)
})

/**
 * What the message of the catalogue cannot do without. An empty text is missing too: on a command line it is a variable that
 * is not set.
 */
const missingData = (message: string, fields: FieldTypes, given: data.Data): ReadonlyArray<string> =>
  templateUses.of(message, fields).required.filter((key) => given[key] === undefined || given[key] === "")

/**
 * The object as kubectl looks for it: with its API version, and in no namespace where its kind is in none, whatever the
 * command line and the context say.
 */
const referenceTo = Effect.fnUntraced(function* (
  { apiVersion, group, kind, namespaced, written }: kindNames.KindName,
  name: string,
  namespace: string | undefined
): Effect.fn.Return<ObjectReference, failure.Usage> {
  if (apiVersion === undefined && group !== undefined && group !== "") {
    return yield* session.refuse(
      `${written} names a group without a version, and the kind is unknown: write ${kind}.v1.${group}/${name}, with its version`
    )
  }
  const identity = { ...(apiVersion === undefined ? undefined : { apiVersion }), kind, name }
  if (namespaced === false) {
    if (namespace !== undefined && namespace !== "") {
      yield* words.say(`note: a ${kind} is cluster-scoped, so the event is about ${kind} ${name}, without a namespace`)
    }
    return identity
  }
  const within = namespace ?? (yield* session.DefaultNamespace) ?? DEFAULT_NAMESPACE
  return within === "" ? identity : { ...identity, namespace: within }
})

/** @internal */
export const emit = Command.make(
  "emit",
  {
    object: Argument.String("KIND/NAME").pipe(Argument.withDescription("The object that the event is about")),
    reason: Argument.String("REASON").pipe(
      Argument.withDescription("What happened, in one word: WorkflowExecuted. See explain")
    ),
    message: Argument.String("[MESSAGE]").pipe(
      Argument.withDescription("The message, used verbatim (default: the catalogue's for this reason)"),
      Argument.optional,
      Argument.map(Option.getOrUndefined)
    ),
    data: flags.texts("data", {
      value: "KEY=VALUE",
      description: "Data of the event, one flag per key: stepId=build, duration=1m30s, arguments.region=eu"
    }),
    type: flags.eventType("The type (default: the catalogue's for this reason, else Normal)"),
    namespace: flags.text("namespace", {
      alias: "n",
      value: "NAMESPACE",
      description: `The namespace of the object (default: that of the context on a cluster, else "${DEFAULT_NAMESPACE}"); "" for a cluster-scoped object`
    })
  },
  Effect.fnUntraced(function* ({ data: pairs, message, namespace, object, reason, type }) {
    const { catalogue } = yield* session.Session
    const { kind: named, name } = yield* session.check(flags.readObject(object, catalogue))
    const { kind } = named
    if (name === undefined) {
      return yield* session.refuse(
        `${JSON.stringify(object)} names no object, expected KIND/NAME such as ${kind}/deploy`
      )
    }
    const known = catalogue.reason(reason)
    if (known?.reason === reason && known.kind !== kind && catalogue.kind(kind) !== undefined) {
      return yield* session.refuse(`${reason} is a reason of ${known.kind}, not of ${kind}`)
    }
    const given = yield* session.check(data.fromPairs(pairs, catalogue.fieldsOf(kind), "elsewhere"))
    if (message === undefined && known?.reason === reason) {
      const missing = missingData(known.message, catalogue.fieldsOf(kind), given)
      if (missing.length > 0) {
        return yield* session.refuse(
          `the message of ${reason} needs ${missing.map((key) => `--data ${key}=…`).join(" ")}, or give a MESSAGE of your own`
        )
      }
    }

    yield* Effect.gen(function* () {
      const recorder = yield* Recorder.Recorder
      const resolved = yield* kindNames.resolve(named)
      const involvedObject = yield* referenceTo(resolved, name, namespace)
      return yield* patiently(recorder.recordSettled({ involvedObject, reason, message, type, data: given }))
    }).pipe(
      // What goes wrong with the one event is the answer, and said once.
      Effect.provideService(References.MinimumLogLevel, "Error"),
      Effect.provide(Layer.provide(recorder, templates)),
      session.withBackend({ create: true }),
      // Whatever is wrong with the event stood on the command line.
      Effect.catchIf(
        (error) => error instanceof InvalidEvent,
        ({ issues }) =>
          session.refuse(
            issues.map(({ expected, field, found }) => `${field} is ${found}, expected ${expected}`).join("; ")
          )
      ),
      Effect.flatMap(settle)
    )
    yield* remarks(kind, reason)
  }, session.verb("emit"))
).pipe(
  Command.withDescription("Record an event. Waits until the backend has it, then prints its id."),
  Command.withShortDescription("Record an event"),
  examples(
    "Workflow/deploy WorkflowExecuted --data stepCount=3 --data duration=1m30s",
    'Deployment/web RolloutStarted "version 2 is rolling out" -n team-a'
  )
)
