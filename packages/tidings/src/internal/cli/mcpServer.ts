/**
 * The server of `tidings mcp`, which only that verb loads.
 *
 * @internal
 */
import { type Backend, layerReader } from "@tidings/core/Backend"
import * as Correlation from "@tidings/core/Correlation"
import type { EventDraft } from "@tidings/core/EventDraft"
import type { EventReader } from "@tidings/core/EventReader"
import type { ObjectReference } from "@tidings/core/ObjectReference"
import * as Recorder from "@tidings/core/Recorder"
import * as EventServer from "@tidings/mcp/EventServer"
import * as EventTools from "@tidings/mcp/EventTools"
import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as defaultNamespace from "../defaultNamespace.ts"
import type { Catalogue } from "./catalogue.ts"
import * as catalogueTemplates from "./catalogueTemplates.ts"
import * as kindNames from "./kindNames.ts"
import * as session from "./session.ts"

/** @internal */
export interface Options {
  readonly namespace: string | undefined
  readonly allowRecord: boolean
  /** Resolves when the server is about to end. */
  readonly closing?: Effect.Effect<void> | undefined
}

const recorder = Layer.unwrap(
  session.Session.useSync(({ component, host }) =>
    Recorder.layerDirect({ component, host, correlation: Correlation.defaults })
  )
).pipe(Layer.provide(catalogueTemplates.layer))

/** The object as kubectl looks for it: with its API version, and in no namespace where its kind is in none. */
const complete = Effect.fnUntraced(function* (
  given: ObjectReference,
  catalogue: Catalogue,
  namespace: string | undefined
): Effect.fn.Return<ObjectReference> {
  const named = kindNames.read(given.kind, catalogue)
  if (named === undefined) return given
  const { apiVersion, kind, namespaced } = yield* kindNames.resolve(named)
  const { namespace: own, ...rest } = given
  const within = namespaced === false ? undefined : (own ?? namespace ?? defaultNamespace.FALLBACK)
  return {
    ...rest,
    kind,
    ...(given.apiVersion !== undefined || apiVersion === undefined ? undefined : { apiVersion }),
    ...(within === undefined ? undefined : { namespace: within })
  }
})

/** What records for the tool `record_event`, with what the call leaves out filled in. Its templates take a tenth of a start. */
const recording = (namespace: string | undefined) =>
  Effect.gen(function* () {
    const { catalogue } = yield* session.Session
    const meant = namespace ?? (yield* session.DefaultNamespace)
    const findKind = yield* kindNames.FindKind
    const context = yield* Layer.build(recorder)
    const { record } = Context.get(context, Recorder.Recorder)
    return (draft: EventDraft) =>
      complete(draft.involvedObject, catalogue, meant).pipe(
        Effect.provideService(kindNames.FindKind, findKind),
        Effect.flatMap((involvedObject) => record({ ...draft, involvedObject }))
      )
  })

/**
 * The tools over the store of the command line.
 *
 * @internal
 */
export const tools = ({
  allowRecord,
  closing,
  namespace
}: Options): Layer.Layer<EventTools.EventTools, unknown, EventReader | Backend | session.Session> =>
  Layer.effect(
    EventTools.EventTools,
    Effect.gen(function* () {
      const { catalogue } = yield* session.Session
      const kindOf = (written: string): string => kindNames.read(written, catalogue)?.kind ?? written
      const record = allowRecord ? yield* recording(namespace) : undefined
      return yield* EventTools.make({ namespace, kindOf, closing, record })
    })
  )

/**
 * What a server needs of the store: to read, and to record where that is allowed.
 *
 * @internal
 */
export const withStore = <A, E, R>(self: Effect.Effect<A, E, R>) =>
  self.pipe(Effect.provide(layerReader), session.withBackend({ create: true }))

/**
 * Serves until stdin ends.
 *
 * @internal
 */
export const stdio = (options: Options) =>
  Effect.gen(function* () {
    const { command, version } = yield* session.Session
    const server = EventServer.layerStdio({ name: command, version }).pipe(Layer.provide(tools(options)))
    // The server interrupts the fiber that launched it when its input ends.
    const serving = yield* Effect.forkChild(Layer.launch(server))
    const exit = yield* Fiber.await(serving)
    if (Exit.isFailure(exit) && !Cause.hasInterruptsOnly(exit.cause)) return yield* Effect.failCause(exit.cause)
  }).pipe(withStore)
