/**
 * The promise API: `EventManager` and the catalogues over a runtime that `close` ends.
 *
 * @internal
 */
import { Backend } from "@tidings/core/Backend"
import type * as Core from "@tidings/core/Event"
import type { Kinds } from "@tidings/core/EventCatalogue"
import { EventGenerator } from "@tidings/core/EventGenerator"
import * as EventId from "@tidings/core/EventId"
import * as EventManager from "@tidings/core/EventManager"
import type { PageToken, WatchFrom, WatchItem } from "@tidings/core/EventQuery"
import { EventReader } from "@tidings/core/EventReader"
import type { Issue } from "@tidings/core/InvalidEvent"
import type { ObjectInput } from "@tidings/core/ObjectReference"
import * as Recorder from "@tidings/core/Recorder"
import * as Templates from "@tidings/core/Templates"
import * as Timestamp from "@tidings/core/Timestamp"
import * as EventTools from "@tidings/mcp/EventTools"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as ManagedRuntime from "effect/ManagedRuntime"
import * as Stream from "effect/Stream"
import type * as Promised from "../../Promised.ts"
import { InvalidOptions } from "../../Rejection.ts"
import { DefaultNamespace, FALLBACK } from "../defaultNamespace.ts"
import * as catalogue from "../cli/catalogue.ts"
import * as kindNames from "../cli/kindNames.ts"
import * as locator from "../locator.ts"
import * as calls from "./calls.ts"
import { catalogueName } from "./catalogueName.ts"
import * as defaults from "./defaults.ts"
import * as logging from "./logging.ts"
import * as options from "../options.ts"
import * as readings from "./readings.ts"
import { Watches } from "./watching.ts"

/**
 * What the layer of everything provides.
 *
 * @category models
 * @since 0.2.0
 */
export type Services = Backend | EventGenerator | EventManager.EventManager | Recorder.Recorder | Templates.Templates

// ---------------------------------------------------------------------------
// options
// ---------------------------------------------------------------------------

/** What every class of `EventCatalogue.Service` has. */
interface AnyCatalogue extends Context.Key<never, object> {
  readonly kinds: Kinds
  readonly layer: Layer.Layer<never, Templates.CatalogueError, Templates.Templates | Recorder.Recorder | Backend>
}

interface Named {
  readonly name: string
  readonly catalogue: AnyCatalogue
}

/** @internal */
export interface Read {
  readonly options: options.Options
  readonly drainTimeout: Duration.Duration
  readonly namespace: string | undefined
  readonly logger: Promised.Logger | false | undefined
  readonly allowRecord: boolean
  readonly catalogues: ReadonlyArray<Named>
}

const MEMBERS: ReadonlySet<string> = new Set<Extract<keyof Promised.Tidings, string>>([
  "createEvent",
  "createEventForCRD",
  "createEventWithData",
  "queryEvents",
  "watchEvents",
  "isKubernetesMode",
  "generator",
  "tools",
  "executeTool",
  "setTemplate",
  "getTemplate",
  "flush",
  "status",
  "close"
])

const isCatalogue = (given: unknown): given is AnyCatalogue =>
  typeof given === "function" &&
  "key" in given &&
  typeof given.key === "string" &&
  "kinds" in given &&
  "layer" in given &&
  Layer.isLayer(given.layer)

const readCatalogues = (given: ReadonlyArray<unknown>, issues: Array<Issue>): ReadonlyArray<Named> => {
  const named: Array<Named> = []
  for (const [index, catalogue] of given.entries()) {
    const field = `catalogues[${index}]`
    if (!isCatalogue(catalogue)) {
      issues.push({ field, found: options.show(catalogue), expected: "a class of EventCatalogue.Service" })
      continue
    }
    const name = catalogueName(catalogue.key)
    if (name === "then" || MEMBERS.has(name) || named.some((other) => other.name === name)) {
      const expected = `an id whose last part is a name of its own: ${name} is taken`
      issues.push({ field, found: options.show(catalogue.key), expected })
    } else named.push({ name, catalogue })
  }
  return named
}

/**
 * Reads the options of `create`. Throws `InvalidOptions`, which the promise around it turns into its rejection.
 *
 * @internal
 */
export const read = (
  given: options.CreateOptions<ReadonlyArray<Promised.Catalogue>>,
  layers: { readonly backend?: unknown; readonly recorder?: unknown }
): Read => {
  const issues = [...options.issuesOfHost(given, layers)]
  if (issues.length > 0) throw new InvalidOptions({ issues })
  const {
    allowRecord = false,
    catalogues,
    correlation,
    compressAfter,
    drainTimeout,
    logger,
    loginTimeout,
    namespace,
    onlyTransitions,
    patience,
    retention,
    ...rest
  } = given
  const named = readCatalogues(catalogues ?? [], issues)
  if (issues.length > 0) throw new InvalidOptions({ issues })
  const drain = options.readTimespan(drainTimeout ?? "10 seconds")!
  return {
    options: {
      ...rest,
      drainTimeout: drain,
      correlation: options.readCorrelation(correlation),
      onlyTransitions: options.readTransitions(onlyTransitions),
      retention: options.readRetention(retention),
      patience: patience === undefined ? undefined : options.readTimespan(patience),
      loginTimeout: loginTimeout === undefined ? undefined : options.readTimespan(loginTimeout),
      compressAfter: compressAfter === undefined ? undefined : options.readTimespan(compressAfter)
    },
    drainTimeout: drain,
    namespace,
    logger,
    allowRecord,
    catalogues: named
  }
}

// ---------------------------------------------------------------------------
// answers
// ---------------------------------------------------------------------------

const recorded = (answer: Recorder.Recorded): Promised.Recorded =>
  answer._tag === "Accepted" ? { ...answer, idText: EventId.format(answer.id) } : answer

const eventOf = (event: Core.Event): Promised.Event => ({
  ...event,
  idText: EventId.format(event.id),
  firstTimestamp: Timestamp.toDate(event.first),
  lastTimestamp: Timestamp.toDate(event.last)
})

const itemOf = (item: WatchItem): Promised.WatchItem =>
  item._tag === "Event" ? { _tag: "Event", event: eventOf(item.event), cursor: item.cursor } : item

const statusOf = (status: Recorder.RecorderStatus): Promised.Status => ({
  ...status,
  sinks: Object.fromEntries(
    Object.entries(status.sinks).map(([name, { oldestAge, ...sink }]) => [
      name,
      { ...sink, oldestAgeMillis: Duration.toMillis(oldestAge) }
    ])
  )
})

/** What is no signal is refused like any other field of a query. */
const signalOf = (ending: Promised.Ending | undefined): AbortSignal | undefined => {
  const signal = ending?.signal
  if (signal === undefined || signal instanceof AbortSignal) return signal
  throw new EventManager.InvalidQuery({
    issues: [{ field: "options.signal", found: options.show(signal), expected: "an AbortSignal" }]
  })
}

// ---------------------------------------------------------------------------
// methods
// ---------------------------------------------------------------------------

type Method = (...call: ReadonlyArray<unknown>) => Effect.Effect<Recorder.Recorded, Recorder.RecordError>

/** The methods of a catalogue that record, with what a call leaves out filled in. */
const methodsOf = (
  catalogue: object,
  record: calls.Calls["record"],
  fill: defaults.Defaults,
  messages: Promised.Messages
): Record<string, unknown> => {
  const methods: Record<string, unknown> = { ...messages }
  const fillObject = defaults.readably<ObjectInput>(fill.object)
  for (const [name, method] of Object.entries(catalogue) as ReadonlyArray<[string, unknown]>) {
    if (typeof method !== "function" || !(name.endsWith("Event") || name === "emit")) continue
    methods[name] = (...call: ReadonlyArray<unknown>) =>
      record(name, () => {
        const filled = [...call]
        if (name === "crdEvent") filled[2] = fill.namespace(call[2] as string | undefined)
        else filled[0] = fillObject(call[0] as ObjectInput)
        return Effect.map((method as Method)(...filled), recorded)
      })
  }
  return methods
}

const GENERATOR_METHODS = [
  "mcpServerEvent",
  "serviceClassEvent",
  "workflowEvent",
  "serviceInstanceEvent",
  "crdEvent",
  "emit"
] as const satisfies ReadonlyArray<keyof EventGenerator["Service"]>

const isGenerator = (methods: object): methods is Promised.Generator<typeof EventGenerator.kinds> =>
  GENERATOR_METHODS.every((name) => name in methods)

const generatorOf = (methods: object): Promised.Generator<typeof EventGenerator.kinds> => {
  if (isGenerator(methods)) return methods
  throw new Error("the service in the place of EventGenerator lacks methods of the built-in catalogue")
}

/** The tools for agents, which know the kinds that the host's catalogues declare. */
const toolsOf = (
  backend: Backend["Service"],
  catalogues: ReadonlyArray<Named>,
  options: Pick<EventTools.Options, "closing" | "record">
): EventTools.Service => {
  const known = catalogue.make(
    EventGenerator,
    catalogues.map(({ catalogue }) => catalogue)
  )
  const kindOf = (written: string): string => kindNames.read(written, known)?.kind ?? written
  return Effect.runSync(Effect.provideService(EventTools.make({ ...options, kindOf }), EventReader, backend))
}

const contexts = new WeakMap<Promised.Tidings, Context.Context<Services>>()

/** @internal */
export const contextOf = (tidings: Promised.Tidings): Context.Context<Services> => {
  const context = contexts.get(tidings)
  if (context !== undefined) return context
  throw new InvalidOptions({
    issues: [{ field: "tidings", found: options.show(tidings), expected: "the object that Tidings.create returned" }]
  })
}

type Base = Layer.Layer<Services | readings.Readings, unknown>

/** @internal */
export const make = async (
  layerOf: (readings: Layer.Layer<readings.Readings>) => Layer.Layer<Services, unknown>,
  { allowRecord, catalogues, drainTimeout, logger, namespace }: Read
): Promise<Promised.Tidings> => {
  const base = layerOf(readings.layer(drainTimeout)) as Base
  const layer = catalogues.reduce<Base>((layer, { catalogue }) => Layer.provideMerge(catalogue.layer, layer), base)
  // The environment as it is now, and not as it was when the first configuration was read.
  const surroundings = Layer.merge(logging.layer(logger), ConfigProvider.layer(ConfigProvider.fromEnv()))
  const runtime = ManagedRuntime.make(Layer.provideMerge(layer, surroundings))
  const context = await runtime.context().catch(async (thrown: unknown) => {
    await runtime.dispose()
    throw calls.rejection("create", thrown)
  })
  const services = Effect.runSyncWith(context)(
    Effect.all({
      backend: Backend,
      manager: EventManager.EventManager,
      recorder: Recorder.Recorder,
      templates: Templates.Templates,
      reading: readings.Readings,
      meant: DefaultNamespace
    })
  )
  const { backend, manager, meant, reading, recorder, templates } = services
  // Not in the scope of the runtime, which would interrupt callers before the recorder can tell them what became of their
  // events.
  const underway = new calls.Calls(context)
  const { record, run } = underway
  const watches = new Watches(context)
  const fill = defaults.make(templates, namespace ?? meant ?? FALLBACK)
  const fillReference = defaults.readably(fill.reference)
  const messages: Promised.Messages = {
    setTemplate: (reason, template) => run("setTemplate", () => templates.set(reason, template)),
    getTemplate: templates.get
  }
  const methods = (catalogue: object) => methodsOf(catalogue, record, fill, messages)

  const isClosing = Deferred.makeUnsafe<void>()
  const { executeTool, tools } = toolsOf(backend, catalogues, {
    closing: Deferred.await(isClosing),
    record: allowRecord
      ? (draft) => recorder.record({ ...draft, involvedObject: fillReference(draft.involvedObject) })
      : undefined
  })

  let closing: Promise<void> | undefined
  const close = (): Promise<void> => {
    closing ??= (async () => {
      locator.closed(tidings)
      Effect.runSync(reading.close)
      Deferred.doneUnsafe(isClosing, Effect.void)
      const ended = watches.close()
      try {
        await runtime.dispose()
        underway.close()
        await ended
      } catch (thrown) {
        throw calls.rejection("close", thrown)
      }
    })()
    return closing
  }

  const tidings: Promised.Tidings = {
    createEvent: (reference, ...rest) =>
      record("createEvent", () => Effect.map(manager.createEvent(fillReference(reference), ...rest), recorded)),
    createEventForCRD: (kind, name, namespace, ...rest) =>
      record("createEventForCRD", () =>
        Effect.map(manager.createEventForCRD(kind, name, fill.namespace(namespace), ...rest), recorded)
      ),
    createEventWithData: (reference, ...rest) =>
      record("createEventWithData", () =>
        Effect.map(manager.createEventWithData(fillReference(reference), ...rest), recorded)
      ),
    queryEvents: async (query, ending) => {
      const asked = query as EventManager.EventQueryInput & { readonly page?: PageToken | undefined }
      const page = await run("queryEvents", () => reading.whileOpen(manager.queryEvents(asked)), signalOf(ending))
      return { ...page, events: page.events.map(eventOf) }
    },
    watchEvents: (filter, from, ending) => {
      const items = (): Stream.Stream<Promised.WatchItem, unknown> => {
        signalOf(ending)
        return Stream.map(manager.watchEvents(filter, from as WatchFrom | undefined), itemOf)
      }
      return watches.iterable(Stream.suspend(items), ending)
    },
    isKubernetesMode: manager.isKubernetesMode,
    generator: generatorOf(methods(manager.generator)),
    tools,
    executeTool: async (name, args, ending) =>
      run("executeTool", () => reading.whileOpen(executeTool(name, args)), signalOf(ending)),
    ...messages,
    flush: (deadline) => run("flush", () => recorder.flush(options.readTimespan(deadline) ?? (deadline as number))),
    status: () => run("status", () => Effect.map(recorder.status, statusOf)),
    close,
    [Symbol.asyncDispose]: close
  }
  for (const { catalogue, name } of catalogues) {
    Object.assign(tidings, { [name]: methods(Context.getUnsafe(context, catalogue)) })
  }
  contexts.set(tidings, context)
  return tidings
}
