/**
 * What the promises of `Tidings.create` take and give, in plain types: a duration is a number of milliseconds or a text, a
 * time is a `Date`, an identity is a text, each beside what the stores have.
 *
 * **Example** (The newest event, as a host without Effect reads it)
 *
 * ```ts
 * import type * as Promised from "tidings/Promised"
 * import * as Tidings from "tidings/Tidings"
 * import assert from "node:assert/strict"
 *
 * const age = (event: Promised.Event): number => Date.now() - event.lastTimestamp.getTime()
 *
 * await using tidings = await Tidings.create({ backend: "memory" })
 * await tidings.createEvent({ kind: "Pod", name: "web" }, "Started", "it runs", "Normal")
 * const { events } = await tidings.queryEvents({ since: new Date(Date.now() - 60_000) })
 * assert.ok(age(events[0]!) < 60_000)
 * ```
 *
 * @since 0.2.0
 */
import type * as Core from "@tidings/core/Event"
import type * as EventCatalogue from "@tidings/core/EventCatalogue"
import type { EventDataInput } from "@tidings/core/EventData"
import type { EventGenerator } from "@tidings/core/EventGenerator"
import type { EventId } from "@tidings/core/EventId"
import type { EventFilterInput } from "@tidings/core/EventManager"
import type * as EventQuery from "@tidings/core/EventQuery"
import type { ObjectReference } from "@tidings/core/ObjectReference"
import type * as Recorder from "@tidings/core/Recorder"
import type * as Tool from "@tidings/mcp/Tool"

// ---------------------------------------------------------------------------
// units
// ---------------------------------------------------------------------------

/**
 * A duration: a number of milliseconds, or a text with a unit such as `"10 seconds"`, `"1m30s"` or `"500ms"`.
 *
 * @category models
 * @since 0.2.0
 */
export type Timespan = number | string

/**
 * A point in time: a `Date`, or RFC 3339 text such as `"2026-01-31T12:00:00Z"`.
 *
 * @category models
 * @since 0.2.0
 */
export type Time = Date | string

/**
 * How the methods of catalogues take durations and times.
 *
 * @category type-level
 * @since 0.2.0
 */
export interface Units {
  readonly duration: Timespan
  readonly time: Time
}

// ---------------------------------------------------------------------------
// recording
// ---------------------------------------------------------------------------

/**
 * What came of recording: accepted, or left out by a transform of the host, or because it reports nothing new
 * (`onlyTransitions`).
 *
 * @category models
 * @since 0.2.0
 */
export type Recorded =
  | {
      readonly _tag: "Accepted"
      readonly id: EventId
      /** The identity as a text, `<origin>.<seq>`: what the command prints. */
      readonly idText: string
    }
  | { readonly _tag: "Filtered"; readonly by: string }

/**
 * What a call can say about an event beside its data.
 *
 * @category models
 * @since 0.2.0
 */
export type CallOptions = EventCatalogue.CallOptions<Time>

/**
 * The data of an event as a caller gives it.
 *
 * @category models
 * @since 0.2.0
 */
export type EventData = EventDataInput<Timespan>

/**
 * What a call takes that can be ended before its answer.
 *
 * @category models
 * @since 0.2.0
 */
export interface Ending {
  /** Ends the call when it is aborted. */
  readonly signal?: AbortSignal | undefined
}

/**
 * The messages of reasons, for every catalogue.
 *
 * @category models
 * @since 0.2.0
 */
export interface Messages {
  /**
   * Replaces the message of a reason from now on. A bad template is refused with line, column and a hint, and the former
   * one stays.
   */
  readonly setTemplate: (reason: string, template: string) => Promise<void>
  /** The template of a reason's message, `undefined` where it has none. */
  readonly getTemplate: (reason: string) => string | undefined
}

/**
 * The methods of a catalogue with the kinds `Ks`, as promises.
 *
 * @category models
 * @since 0.2.0
 */
export type Generator<Ks> = EventCatalogue.Generator<Ks, Promise<Recorded>, Units> & Messages

/**
 * A class that `EventCatalogue.Service` made.
 *
 * @category models
 * @since 0.2.0
 */
export interface Catalogue {
  readonly key: string
  readonly kinds: object
}

type LastPart<Id extends string> = Id extends `${string}/${infer Rest}` ? LastPart<Rest> : Id

type WithoutEvent<Method extends string> = Method extends `${infer Name}Event` ? Name : never

/**
 * Where the methods of a catalogue are found: the last part of its id, with a small letter, `"shop/Orders"` → `orders`.
 *
 * @category type-level
 * @since 0.2.0
 */
export type CatalogueName<C> = C extends { readonly key: infer Id extends string }
  ? WithoutEvent<EventCatalogue.MethodName<LastPart<Id>>>
  : never

/**
 * The catalogues of a host by their names.
 *
 * @category type-level
 * @since 0.2.0
 */
export type Catalogues<Cs extends ReadonlyArray<Catalogue>> = {
  readonly [C in Cs[number] as CatalogueName<C>]: Generator<C["kinds"]>
}

// ---------------------------------------------------------------------------
// reading
// ---------------------------------------------------------------------------

/**
 * Which events are meant. Fields that are absent match everything; all that are present must match.
 *
 * @category models
 * @since 0.2.0
 */
export interface Filter extends Omit<EventFilterInput, "since" | "until"> {
  /** Last seen at this time or later. */
  readonly since?: Time | undefined
  /** Last seen at this time or earlier. */
  readonly until?: Time | undefined
}

/**
 * A page of a query: newest first by last seen.
 *
 * @category models
 * @since 0.2.0
 */
export interface Query extends Filter {
  /** How many events at the most; all of them when absent. */
  readonly limit?: number | undefined
  /** The `next` of an earlier page. */
  readonly page?: string | undefined
}

/**
 * An event as the store has it, with its times as `Date` and its identity as a text beside the numbers of the store
 * (`first` and `last` are microseconds, a duration in `event.data` nanoseconds).
 *
 * @category models
 * @since 0.2.0
 */
export interface Event extends Core.Event {
  /** The identity as a text, `<origin>.<seq>`: what the command prints. */
  readonly idText: string
  /** `first`, in whole milliseconds. */
  readonly firstTimestamp: Date
  /** `last`, in whole milliseconds. */
  readonly lastTimestamp: Date
}

/**
 * The answer to a query.
 *
 * @category models
 * @since 0.2.0
 */
export interface Page extends Omit<EventQuery.EventPage, "events" | "next" | "cursor"> {
  readonly events: ReadonlyArray<Event>
  /** Leads to older events, given as `page`. Absent when there is nothing older. */
  readonly next?: string
  /** Follows what comes after this answer, given to `watchEvents`. */
  readonly cursor: string
}

/**
 * Where a watch begins: with every stored event, with none, with the `last` n that changed last, or after a cursor.
 *
 * @category models
 * @since 0.2.0
 */
export type WatchFrom = "beginning" | "now" | { readonly last: number } | (string & {})

type Item<I> = I extends { readonly _tag: "Event" }
  ? { readonly _tag: "Event"; readonly event: Event; readonly cursor: string }
  : Omit<I, "cursor"> & { readonly cursor: string }

/**
 * What a watch yields: an `Event`, `Live` when the snapshot is over, a `Gap` where history is gone. The cursor of each item
 * covers all before it.
 *
 * @category models
 * @since 0.2.0
 */
export type WatchItem = Item<EventQuery.WatchItem>

// ---------------------------------------------------------------------------
// status
// ---------------------------------------------------------------------------

/**
 * How one sink does.
 *
 * @category models
 * @since 0.2.0
 */
export interface SinkStatus extends Omit<Recorder.SinkStatus, "oldestAge"> {
  /** How long the longest waiting occurrence has waited, in milliseconds. */
  readonly oldestAgeMillis: number
}

/**
 * What the recorder has taken and what became of it, in occurrences. At every moment and for every sink:
 * `accepted + recovered = settled + parked + dropped + pending`.
 *
 * @category models
 * @since 0.2.0
 */
export interface Status extends Omit<Recorder.RecorderStatus, "sinks"> {
  readonly sinks: Readonly<Record<string, SinkStatus>>
}

// ---------------------------------------------------------------------------
// logging
// ---------------------------------------------------------------------------

/**
 * Where what the library says goes: `console`, or a logger such as pino's or winston's.
 *
 * @category models
 * @since 0.2.0
 */
export interface Logger {
  readonly debug?: ((line: string) => void) | undefined
  readonly info: (line: string) => void
  readonly warn: (line: string) => void
  readonly error: (line: string) => void
}

// ---------------------------------------------------------------------------
// tools
// ---------------------------------------------------------------------------

/**
 * A tool as `tools/list` describes it: name, description, schemas of what it takes and answers, annotations.
 *
 * @category models
 * @since 0.2.0
 */
export type ToolDefinition = Tool.Definition

/**
 * What a call of a tool answers, as `tools/call` has it.
 *
 * @category models
 * @since 0.2.0
 */
export type ToolResult = Tool.ToolResult

// ---------------------------------------------------------------------------
// everything together
// ---------------------------------------------------------------------------

/**
 * What `create` answers: `EventManager` as promises, without a type of Effect. Every rejection is an `Error` with a `_tag`:
 * see `Rejection`.
 *
 * What a call leaves out about its object is filled in as the command does: the namespace that is meant where none is named
 * (on a cluster that of the context, else `default`; the empty text stands for an object that has none), and the API version
 * of kinds that a catalogue declares or that every cluster has.
 *
 * @category models
 * @since 0.1.0
 */
export interface Tidings extends AsyncDisposable {
  /** Records with a message of the caller's own, which is taken as it is. */
  readonly createEvent: (
    reference: ObjectReference,
    reason: string,
    message: string,
    type: Core.EventType
  ) => Promise<Recorded>
  /** The same for an object of a kind that some catalogue declares, whose apiVersion it therefore knows. */
  readonly createEventForCRD: (
    kind: string,
    name: string,
    namespace: string | undefined,
    reason: string,
    message: string,
    type: Core.EventType
  ) => Promise<Recorded>
  /** Records with the message that the template of the reason makes of the data. For reasons known only at run time. */
  readonly createEventWithData: (
    reference: ObjectReference,
    reason: string,
    data: EventData,
    options?: CallOptions
  ) => Promise<Recorded>
  /** The events that match, newest first; all of them unless the query says otherwise. */
  readonly queryEvents: (query?: Query, options?: Ending) => Promise<Page>
  /**
   * A snapshot, `Live`, then what changes; from `"now"` unless told otherwise. It ends when the loop that reads it does, when
   * the signal is aborted, or when everything is closed, and then leaves nothing behind that would keep the process from
   * ending.
   */
  readonly watchEvents: (filter?: Filter, from?: WatchFrom, options?: Ending) => AsyncIterable<WatchItem>
  /** Whether the backend that is read is a cluster. */
  readonly isKubernetesMode: boolean
  /** The built-in catalogue's methods. */
  readonly generator: Generator<typeof EventGenerator.kinds>
  /** The tools for agents, as `tools/list` of the Model Context Protocol describes them: `events` and the others. */
  readonly tools: ReadonlyArray<ToolDefinition>
  /**
   * Calls a tool. What goes wrong with a call (bad arguments, a store that is away, an unknown name) is an answer with
   * `isError` and a text that says what to do, for the agent to read; it rejects only when it is aborted or everything is closed.
   */
  readonly executeTool: (name: string, args?: unknown, options?: Ending) => Promise<ToolResult>
  /** Replaces the message of a reason from now on; a bad template is refused, and the former one stays. */
  readonly setTemplate: (reason: string, template: string) => Promise<void>
  /** The template of a reason's message, `undefined` where it has none. */
  readonly getTemplate: (reason: string) => string | undefined
  /**
   * Waits until everything that was recorded before it, awaited or not, is delivered, or until the deadline, and tells what is
   * left.
   */
  readonly flush: (deadline: Timespan) => Promise<Recorder.FlushReport>
  readonly status: () => Promise<Status>
  /**
   * Waits for the calls that were made before it, awaited or not, and delivers what is accepted, until the drain timeout; then
   * releases everything. Calls that record are answered as the recorder answers them (`RecorderError` with the reason `Closed`
   * or `Unknown`, or accepted); later ones are refused, `Closed`. Queries that come later, or take longer, reject with
   * `BackendError`. Loops that watch end.
   */
  readonly close: () => Promise<void>
}
