import * as Backend from "@tidings/core/Backend"
import { BackendError } from "@tidings/core/BackendError"
import type { Event, EventBody, Write } from "@tidings/core/Event"
import * as EventId from "@tidings/core/EventId"
import type { Cursor, EventFilter, EventPage, EventQuery, Gap, WatchFrom, WatchItem } from "@tidings/core/EventQuery"
import * as ObjectReference from "@tidings/core/ObjectReference"
import type { Micros } from "@tidings/core/Timestamp"
import * as Arbitrary from "effect/Arbitrary"
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Queue from "effect/Queue"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"

// ---------------------------------------------------------------------------
// settings
// ---------------------------------------------------------------------------

/** @internal */
export type Namespaces = readonly [string, string, string]

/** @internal */
export interface Forgetful {
  readonly layer: Layer.Layer<Backend.Backend, unknown>
  readonly series: number
}

/** @internal */
export interface Settings {
  readonly layer: Layer.Layer<Backend.Backend, unknown>
  readonly namespaces: Namespaces
  readonly shared: boolean
  readonly unit: number
  readonly maximumData: number
  readonly runs: number
  readonly seed: string | number
  readonly reopenable: Effect.Effect<Layer.Layer<Backend.Backend, unknown>, unknown, Scope.Scope> | undefined
  readonly other: Layer.Layer<Backend.Backend, unknown> | undefined
  readonly forgetful: Forgetful | undefined
}

/**
 * What a check may use. `waitingFor` says what it is doing, for the message when it does not end.
 *
 * @internal
 */
export interface CheckContext extends Settings {
  readonly progress: { waitingFor: string }
}

/** @internal */
export interface CheckDefinition {
  readonly name: string
  readonly run: (context: CheckContext) => Effect.Effect<void, unknown, Scope.Scope>
}

// ---------------------------------------------------------------------------
// findings
// ---------------------------------------------------------------------------

/** @internal */
export class Finding extends Data.TaggedError("Finding")<{ readonly detail: string }> {
  override get message(): string {
    return this.detail
  }
}

/** @internal */
export const found = (detail: string): Effect.Effect<never, Finding> => Effect.fail(new Finding({ detail }))

/** @internal */
export const ensure = (condition: boolean, detail: () => string): Effect.Effect<void, Finding> =>
  condition ? Effect.void : Effect.suspend(() => found(detail()))

const isObject = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === "object" && value !== null

const show = (value: unknown): string => {
  const text = value === undefined ? "nothing" : JSON.stringify(value)
  return text.length > 200 ? `${text.slice(0, 200)}… (${text.length} characters)` : text
}

/**
 * Where two JSON-like values differ, or `undefined` when they do not. A property that is `undefined` counts as absent.
 */
const difference = (expected: unknown, actual: unknown, path: string): string | undefined => {
  if (Object.is(expected, actual)) return undefined
  if (isObject(expected) && isObject(actual) && Array.isArray(expected) === Array.isArray(actual)) {
    for (const key of new Set([...Object.keys(expected), ...Object.keys(actual)])) {
      const inside = difference(
        Object.hasOwn(expected, key) ? expected[key] : undefined,
        Object.hasOwn(actual, key) ? actual[key] : undefined,
        Array.isArray(expected) ? `${path}[${key}]` : `${path}.${key}`
      )
      if (inside !== undefined) return inside
    }
    return undefined
  }
  return `${path} is ${show(actual)}, expected ${show(expected)}`
}

/** @internal */
export const ensureSame = (expected: unknown, actual: unknown, path: string): Effect.Effect<void, Finding> =>
  Effect.suspend(() => {
    const differs = difference(expected, actual, path)
    return differs === undefined ? Effect.void : found(differs)
  })

/** @internal */
export const describe = (write: Write): string =>
  `${write.event.reason} of ${ObjectReference.format(write.event.involvedObject)} (${write.id.seq}, up to ${write.upTo})`

/** @internal */
export const describeAll = (writes: ReadonlyArray<Write>): string =>
  writes.length === 0 ? "nothing" : writes.map(describe).join("; ")

/**
 * What a store may add to a reference that left it out.
 */
const filledIn = (
  expected: ObjectReference.ObjectReference,
  actual: ObjectReference.ObjectReference | undefined
): ObjectReference.ObjectReference => ({
  ...(actual?.uid === undefined ? undefined : { uid: actual.uid }),
  ...(actual?.apiVersion === undefined ? undefined : { apiVersion: actual.apiVersion }),
  ...expected
})

/** Where a stored event differs from what was written, or `undefined` when it does not. */
const eventDifference = (expected: Write, actual: Event): string | undefined => {
  const body: EventBody = actual.event
  const wanted: EventBody = {
    ...expected.event,
    involvedObject: filledIn(expected.event.involvedObject, body.involvedObject),
    ...(expected.event.related === undefined ? undefined : { related: filledIn(expected.event.related, body.related) })
  }
  const { count, first, id, last, upTo } = expected
  const differs = difference(
    { id, upTo, count, first, last, event: wanted },
    { id: actual.id, upTo: actual.upTo, count: actual.count, first: actual.first, last: actual.last, event: body },
    "event"
  )
  if (differs !== undefined) return `${describe(expected)}: ${differs}`
  if (typeof actual.name !== "string" || actual.name === "") return `${describe(expected)}: the event has no name`
  return undefined
}

/** @internal */
export const ensureEvent = (expected: Write, actual: Event | undefined): Effect.Effect<void, Finding> =>
  Effect.suspend(() => {
    if (actual === undefined) return found(`${describe(expected)} was not found`)
    const differs = eventDifference(expected, actual)
    return differs === undefined ? Effect.void : found(differs)
  })

/**
 * The events must be these, in this order.
 *
 * @internal
 */
export const ensureEvents = (
  expected: ReadonlyArray<Write>,
  actual: ReadonlyArray<Event>,
  what: string
): Effect.Effect<void, Finding> =>
  Effect.gen(function* () {
    const keys = (events: ReadonlyArray<Write>) => events.map(keyOf).join(" ")
    if (keys(expected) !== keys(actual)) {
      return yield* found(`${what}: found ${describeAll(actual)}; expected ${describeAll(expected)}`)
    }
    for (const [index, write] of expected.entries()) yield* ensureEvent(write, actual[index])
  })

/**
 * A gap names its store, says what is missing, and does not end before it begins.
 *
 * @internal
 */
export const ensureGap = ({ from, reason, store, to }: Gap): Effect.Effect<void, Finding> =>
  Effect.gen(function* () {
    yield* ensure(typeof store === "string" && store !== "", () => "a gap names no store")
    yield* ensure(typeof reason === "string" && reason !== "", () => "a gap does not say what is missing")
    yield* ensure(from === undefined || to === undefined || from <= to, () => "a gap ends before it begins")
  })

/** @internal */
export const keyOf = (write: Write): string => EventId.format(write.id)

/**
 * The last state of each series, in order of its last change.
 *
 * @internal
 */
export const folded = (changes: ReadonlyArray<Write>): ReadonlyArray<Write> => {
  const states = new Map<string, Write>()
  for (const change of changes) {
    states.delete(keyOf(change))
    states.set(keyOf(change), change)
  }
  return [...states.values()]
}

// ---------------------------------------------------------------------------
// world
// ---------------------------------------------------------------------------

/** @internal */
export interface SeriesOptions {
  readonly kind?: "Workflow" | "Order" | "Node" | undefined
  /** The object's name before the tag that makes it unique. */
  readonly name?: string | undefined
  /** Which of the namespaces. */
  readonly namespace?: 0 | 1 | 2 | undefined
  /** When, in the finest unit of the store; one later than the one before unless given. */
  readonly at?: number | undefined
  readonly body?: Partial<EventBody> | undefined
}

/**
 * A backend under test and what the writes of one check have in common: an origin, a tag in all names, a component as
 * source, a time to begin with.
 *
 * @internal
 */
export interface World {
  readonly context: CheckContext
  readonly backend: Backend.Service
  readonly origin: string
  readonly source: string
  /** A filter that keeps the events of other checks out, where the store is shared; empty elsewhere. */
  readonly only: EventFilter
  readonly at: (tick: number) => Micros
  readonly nameOf: (label: string) => string
  /** A new series. */
  readonly series: (options?: SeriesOptions) => Write
  /** The next state of a series. */
  readonly again: (write: Write, at?: number, body?: Partial<EventBody>) => Write
  /** Origins that belong to this check beside its own. */
  readonly alsoMine: Set<string>
  readonly isMine: (event: Write) => boolean
  /** The same world over another backend, or over the same store opened again. */
  readonly over: (backend: Backend.Service) => World
}

const apiVersions = {
  Workflow: "muster.giantswarm.io/v1alpha1",
  Order: "shop.example.com/v1",
  Node: "v1"
} as const

// A log that keeps events for a time must not find these too old, and those of a test clock begin in 1970.
const EARLIEST = 1_767_225_600_000

const makeWorld = (context: CheckContext, backend: Backend.Service): Effect.Effect<World> =>
  Effect.gen(function* () {
    const origin = yield* EventId.makeOrigin
    const tag = origin.slice(0, 8)
    const source = `contract-${tag}`
    const now = yield* Clock.currentTimeMillis
    const base = Math.floor(Math.max(now, EARLIEST) / 1_000) * 1_000_000 - 3_600_000_000
    const alsoMine = new Set<string>()
    let seq = 0
    let tick = 1_000

    const at = (ticks: number): Micros => base + ticks * context.unit
    const nameOf = (label: string): string => `${label}-${tag}`

    const series = (options: SeriesOptions = {}): Write => {
      const kind = options.kind ?? "Workflow"
      const ticks = options.at ?? tick++
      const id = { origin, seq: ++seq }
      const involvedObject: ObjectReference.ObjectReference = {
        apiVersion: apiVersions[kind],
        kind,
        name: nameOf(options.name ?? "deploy"),
        ...(kind === "Node" ? undefined : { namespace: context.namespaces[options.namespace ?? 0] })
      }
      return {
        id,
        upTo: id.seq,
        count: 1,
        first: at(ticks),
        last: at(ticks),
        event: {
          involvedObject,
          reason: "StepStarted",
          type: "Normal",
          action: "Run",
          message: `step ${id.seq} has started`,
          data: { stepId: `step-${id.seq}` },
          source: { component: source },
          reportingController: "tidings.dev/contract",
          reportingInstance: "contract-0",
          ...options.body
        }
      }
    }

    const again = (write: Write, ticks?: number, body?: Partial<EventBody>): Write => ({
      ...write,
      upTo: ++seq,
      count: write.count + 1,
      last: at(ticks ?? tick++),
      event: { ...write.event, ...body }
    })

    const over = (backend: Backend.Service): World => ({
      context,
      backend,
      origin,
      source,
      only: context.shared ? { source } : {},
      at,
      nameOf,
      series,
      again,
      alsoMine,
      isMine: (event) => event.id.origin === origin || alsoMine.has(event.id.origin),
      over
    })
    return over(backend)
  })

/** @internal */
export const several = (
  world: World,
  length: number,
  options?: (index: number) => SeriesOptions
): ReadonlyArray<Write> => Array.from({ length }, (_, index) => world.series(options?.(index)))

/** @internal */
export const integer = (minimum: number, maximum: number): Arbitrary.Arbitrary<number> =>
  Arbitrary.schema(Schema.Int.check(Schema.isBetween({ minimum, maximum })))

/**
 * A change of the series of that number, at that time.
 *
 * @internal
 */
export interface Step {
  readonly series: number
  readonly at: number
}

/**
 * Turns steps into changes: the first of a series makes it, the others raise its count.
 *
 * @internal
 */
export const script = (world: World): ((steps: ReadonlyArray<Step>) => ReadonlyArray<Write>) => {
  const states = new Map<number, Write>()
  return (steps) =>
    steps.map(({ at, series }) => {
      const state = states.get(series)
      const change =
        state === undefined
          ? world.series({
              at,
              namespace: (series % 3) as 0 | 1 | 2,
              body: { reason: series % 2 === 0 ? "Step" : "StepFailed", type: series % 3 === 0 ? "Warning" : "Normal" }
            })
          : world.again(state, at)
      states.set(series, change)
      return change
    })
}

/** @internal */
export const openLayer = (
  layer: Layer.Layer<Backend.Backend, unknown>
): Effect.Effect<Backend.Service, unknown, Scope.Scope> =>
  Effect.map(Layer.build(Layer.fresh(layer)), (context) => Context.get(context, Backend.Backend))

/** @internal */
export const open = (
  context: CheckContext,
  layer: Layer.Layer<Backend.Backend, unknown> = context.layer
): Effect.Effect<World, unknown, Scope.Scope> =>
  Effect.gen(function* () {
    context.progress.waitingFor = "building the layer"
    return yield* makeWorld(context, yield* openLayer(layer))
  })

/** @internal */
export const check = (
  name: string,
  run: (world: World) => Effect.Effect<void, unknown, Scope.Scope>
): CheckDefinition => ({ name, run: (context) => Effect.flatMap(open(context), run) })

/**
 * A check of many random inputs, each on a backend of its own.
 *
 * @internal
 */
export const propertyCheck = <A>(
  name: string,
  arbitrary: (context: CheckContext) => Arbitrary.Arbitrary<A>,
  run: (world: World, input: A) => Effect.Effect<void, unknown, Scope.Scope>
): CheckDefinition => ({
  name,
  run: (context) =>
    Arbitrary.checkEffect(
      arbitrary(context),
      (input) =>
        open(context).pipe(
          Effect.flatMap((world) => run(world, input)),
          Effect.as(true),
          Effect.scoped
        ),
      { runs: context.runs, seed: context.seed, size: 30, maxShrinks: 100 }
    ).pipe(
      Effect.flatMap((result) => {
        if (result._tag === "Falsified" && result.failure._tag === "PropertyError") {
          const error: unknown = result.failure.error
          return found(
            `${error instanceof Error ? error.message : String(error)}\n  with the input ${show(result.shrunkInput)}`
          )
        }
        const failure = Arbitrary.formatCheckFailure(result)
        return failure === undefined ? Effect.void : found(failure)
      })
    )
})

// ---------------------------------------------------------------------------
// calls
// ---------------------------------------------------------------------------

/** @internal */
export const doing = (world: World, what: string): Effect.Effect<void> =>
  Effect.sync(() => {
    world.context.progress.waitingFor = what
  })

/** @internal */
export const write = (
  world: World,
  batch: ReadonlyArray<Write>
): Effect.Effect<ReadonlyArray<Backend.Outcome>, BackendError> =>
  Effect.suspend(() => {
    world.context.progress.waitingFor = `the answer to a write of ${describeAll(batch.slice(0, 3))}`
    return world.backend.write(batch)
  })

const showOutcome = (outcome: Backend.Outcome | undefined): string => {
  if (outcome === undefined) return "no answer"
  switch (outcome._tag) {
    case "Settled":
      return outcome.how
    case "Retry":
      return `Retry (${outcome.error.message})`
    default:
      return `${outcome.reason} (${outcome._tag})`
  }
}

/**
 * Writes a batch whose outcomes are known.
 *
 * @internal
 */
export const settle = (
  world: World,
  batch: ReadonlyArray<Write>,
  expected: ReadonlyArray<"created" | "updated" | "present">
): Effect.Effect<void, Finding | BackendError> =>
  Effect.flatMap(write(world, batch), (outcomes) => {
    const answers = Array.from({ length: Math.max(outcomes.length, batch.length) }, (_, index) => outcomes[index])
    const text = answers.map(showOutcome).join(", ")
    return ensure(
      text === expected.join(", "),
      () => `the outcomes are ${text}, expected ${expected.join(", ")}, for ${describeAll(batch)}`
    )
  })

const settleAll = <const Batch extends ReadonlyArray<Write>>(
  world: World,
  batch: Batch,
  how: "created" | "updated"
): Effect.Effect<Batch, Finding | BackendError> =>
  Effect.as(
    settle(
      world,
      batch,
      batch.map(() => how)
    ),
    batch
  )

/**
 * Writes new series, and answers them.
 *
 * @internal
 */
export const create = <const Batch extends ReadonlyArray<Write>>(
  world: World,
  ...batch: Batch
): Effect.Effect<Batch, Finding | BackendError> => settleAll(world, batch, "created")

/**
 * Writes later states of series, and answers them.
 *
 * @internal
 */
export const update = <const Batch extends ReadonlyArray<Write>>(
  world: World,
  ...batch: Batch
): Effect.Effect<Batch, Finding | BackendError> => settleAll(world, batch, "updated")

/**
 * Writes changes one at a time, so that their order is known, and answers them.
 *
 * @internal
 */
export const apply = (
  world: World,
  changes: ReadonlyArray<Write>,
  earlier: ReadonlyArray<Write> = []
): Effect.Effect<ReadonlyArray<Write>, Finding | BackendError> =>
  Effect.suspend(() => {
    const seen = new Set(earlier.map(keyOf))
    return Effect.as(
      Effect.forEach(changes, (change) => {
        const known = seen.has(keyOf(change))
        seen.add(keyOf(change))
        return known ? update(world, change) : create(world, change)
      }),
      changes
    )
  })

/**
 * A query as it is asked: whatever of other checks a shared store puts into the answer is there.
 *
 * @internal
 */
export const query = (world: World, query: EventQuery): Effect.Effect<EventPage, BackendError> =>
  Effect.suspend(() => {
    world.context.progress.waitingFor = `the answer to the query ${JSON.stringify(query)}`
    return world.backend.query(query)
  })

/**
 * The events of this check that a query finds, and the exact number of all that match where nobody else's can be among
 * them.
 *
 * @internal
 */
export const ensureQuery = (
  world: World,
  filter: EventQuery,
  expected: ReadonlyArray<Write>,
  what: string
): Effect.Effect<EventPage, Finding | BackendError> =>
  Effect.gen(function* () {
    const page = yield* query(world, filter)
    const mine = world.context.shared ? page.events.filter(world.isMine) : page.events
    yield* ensureEvents(expected, mine, what)
    if (!world.context.shared || filter.source !== undefined) {
      yield* ensure(
        page.totalCount === expected.length,
        () => `${what}: totalCount is ${page.totalCount}, expected ${expected.length}`
      )
    }
    return page
  })

/**
 * All pages of a query, each at most `limit` long.
 *
 * @internal
 */
export const pages = (
  world: World,
  filter: EventFilter,
  limit: number,
  between: (page: number) => Effect.Effect<unknown, Finding | BackendError> = () => Effect.void
): Effect.Effect<ReadonlyArray<EventPage>, Finding | BackendError> =>
  Effect.gen(function* () {
    const all: Array<EventPage> = []
    let page = yield* query(world, { ...filter, limit })
    while (true) {
      const { events, next } = page
      all.push(page)
      yield* ensure(
        events.length <= limit,
        () => `page ${all.length} has ${events.length} events, the limit is ${limit}`
      )
      if (next === undefined) return all
      yield* ensure(events.length > 0, () => `page ${all.length} is empty and yet leads to a next one`)
      yield* ensure(all.length < 200, () => "paging does not end: 200 pages were read")
      yield* between(all.length)
      page = yield* query(world, { ...filter, limit, page: next })
    }
  })

const reasonOf = (cause: Cause.Cause<unknown>): string => {
  const error = Result.getOrUndefined(Cause.findError(cause))
  if (error instanceof BackendError) return `${error.reason._tag}: ${error.message}`
  return Cause.pretty(cause)
}

const ensureMismatch = (exit: Exit.Exit<string, unknown>, what: string): Effect.Effect<void, Finding> => {
  if (Exit.isSuccess(exit)) return found(`${what} was not refused: ${exit.value}; expected CursorMismatch`)
  const error = Result.getOrUndefined(Cause.findError(exit.cause))
  return ensure(
    error instanceof BackendError && error.reason._tag === "CursorMismatch",
    () => `${what} was refused with ${reasonOf(exit.cause)}; expected CursorMismatch`
  )
}

/** @internal */
export const refusesPage = (world: World, asked: EventQuery, what: string): Effect.Effect<void, Finding> =>
  query(world, asked).pipe(
    Effect.map((page) => `it answered with ${page.events.length} events`),
    Effect.exit,
    Effect.flatMap((exit) => ensureMismatch(exit, what))
  )

/** @internal */
export const refusesCursor = (
  world: World,
  filter: EventFilter,
  cursor: Cursor,
  what: string
): Effect.Effect<void, Finding> =>
  Effect.suspend(() => {
    world.context.progress.waitingFor = `a watch to refuse ${what}`
    return Stream.runCollect(Stream.take(world.backend.watch(filter, cursor), 1))
  }).pipe(
    Effect.map((items) => `it began with ${items[0]?._tag ?? "nothing and ended"}`),
    Effect.exit,
    Effect.flatMap((exit) => ensureMismatch(exit, what))
  )

// ---------------------------------------------------------------------------
// watching
// ---------------------------------------------------------------------------

/** @internal */
export interface Seen {
  readonly event: Event
  readonly cursor: Cursor
}

/** @internal */
export interface Watcher {
  readonly next: (expecting: string) => Effect.Effect<WatchItem, Finding | BackendError>
  /** The snapshot: what comes up to `Live`. */
  readonly untilLive: Effect.Effect<
    { readonly seen: ReadonlyArray<Seen>; readonly live: Cursor },
    Finding | BackendError
  >
  /** What comes up to this state of a series, and it too. */
  readonly until: (last: Write) => Effect.Effect<ReadonlyArray<Seen>, Finding | BackendError>
  /** Interrupts the watch and waits until it has ended. */
  readonly stop: Effect.Effect<void>
}

/**
 * Starts a watch that runs beside the check; ends with its scope.
 *
 * @internal
 */
export const watch = (world: World, filter: EventFilter, from: WatchFrom): Effect.Effect<Watcher, never, Scope.Scope> =>
  Effect.gen(function* () {
    const scope = yield* Scope.fork(yield* Effect.scope)
    const queue = yield* Stream.toQueue(world.backend.watch(filter, from), { capacity: "unbounded" }).pipe(
      Scope.provide(scope)
    )
    const take = Effect.catch(Queue.take(queue), (error): Effect.Effect<never, Finding | BackendError> =>
      Cause.isDone(error) ? found("the watch ended by itself") : Effect.fail(error)
    )
    const next = (expecting: string): Effect.Effect<WatchItem, Finding | BackendError> =>
      Effect.gen(function* () {
        world.context.progress.waitingFor = `a watch to yield ${expecting}`
        while (true) {
          const item = yield* take
          if (item._tag !== "Event" || world.isMine(item.event)) return item
          if (!world.context.shared) {
            return yield* found(`the watch yielded an event that nobody wrote: ${describe(item.event)}`)
          }
        }
      })
    const nextWithoutGap = (expecting: string) =>
      Effect.flatMap(next(expecting), (item) =>
        item._tag === "Gap"
          ? found(`the watch yielded a gap where nothing was lost: ${item.reason}`)
          : Effect.succeed(item)
      )
    const untilLive = Effect.gen(function* () {
      const seen: Array<Seen> = []
      while (true) {
        const item = yield* nextWithoutGap("Live")
        if (item._tag === "Live") return { seen, live: item.cursor }
        seen.push(item)
      }
    })
    const until = (last: Write) =>
      Effect.gen(function* () {
        const seen: Array<Seen> = []
        while (true) {
          const item = yield* nextWithoutGap(describe(last))
          if (item._tag === "Live") return yield* found("the watch yielded Live a second time")
          seen.push(item)
          if (keyOf(item.event) === keyOf(last) && item.event.upTo >= last.upTo) return seen
        }
      })
    return { next, untilLive, until, stop: Scope.close(scope, Exit.void) }
  })

/**
 * Starts a watch from now, and waits until it follows.
 *
 * @internal
 */
export const watchLive = (
  world: World,
  filter: EventFilter
): Effect.Effect<Watcher, Finding | BackendError, Scope.Scope> =>
  Effect.tap(watch(world, filter, "now"), ({ untilLive }) => untilLive)

/**
 * Starts a watch, whose events up to `Live` must be these, in this order.
 *
 * @internal
 */
export const ensureWatch = (
  world: World,
  filter: EventFilter,
  from: WatchFrom,
  expected: ReadonlyArray<Write>,
  what: string
): Effect.Effect<Watcher, Finding | BackendError, Scope.Scope> =>
  Effect.tap(watch(world, filter, from), ({ untilLive }) =>
    Effect.flatMap(untilLive, ({ seen }) => ensureEvents(expected, eventsOf(seen), what))
  )

/**
 * A watch from a cursor must yield exactly what came after it: each change at most once and in the order of change, the
 * last state of each series that changed and matches for certain. States between may be left out.
 *
 * @internal
 */
export const ensureFollowed = (options: {
  readonly history: ReadonlyArray<Write>
  /** How many of the history's changes the cursor covers. */
  readonly after: number
  readonly seen: ReadonlyArray<Seen>
  readonly matches: (state: Write) => boolean
  readonly what: string
}): Effect.Effect<void, Finding> =>
  Effect.gen(function* () {
    const { after, history, matches, seen, what } = options
    let position = after
    for (const { event } of seen) {
      const at = history.findIndex((change) => keyOf(change) === keyOf(event) && change.upTo === event.upTo)
      if (at === -1) return yield* found(`${what}: ${describe(event)} was never written`)
      if (at < after) return yield* found(`${what}: ${describe(event)} was yielded again, the cursor covers it`)
      if (at < position) return yield* found(`${what}: ${describe(event)} was yielded twice or out of order`)
      yield* ensureEvent(history[at]!, event)
      if (!matches(event)) return yield* found(`${what}: ${describe(event)} does not match the filter`)
      position = at + 1
    }
    const yielded = new Set(seen.map(({ event }) => `${keyOf(event)} ${event.upTo}`))
    const missing = folded(history.slice(after)).filter(
      (state) => matches(state) && !yielded.has(`${keyOf(state)} ${state.upTo}`)
    )
    if (missing.length > 0) return yield* found(`${what}: missing ${describeAll(missing)}`)
  })

/** @internal */
export const eventsOf = (seen: ReadonlyArray<Seen>): ReadonlyArray<Event> => seen.map(({ event }) => event)
