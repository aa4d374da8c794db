/**
 * The interface that a store of events implements, and the in-memory one.
 */
export * as Backend from "./Backend.ts"

/**
 * Self-checks of backends.
 */
export * as BackendCheck from "./BackendCheck.ts"

/**
 * The errors of backends.
 */
export * as BackendError from "./BackendError.ts"

/**
 * A cache of a bounded number of values.
 */
export * as BoundedCache from "./BoundedCache.ts"

/**
 * The definition of a catalogue.
 */
export * as Catalogue from "./Catalogue.ts"

/**
 * What the coverage of an archive says, in words.
 */
export * as CoverageText from "./CoverageText.ts"

/**
 * The life of an event in types.
 */
export * as Event from "./Event.ts"

/**
 * The data of an event.
 */
export * as EventData from "./EventData.ts"

/**
 * The identity of an event.
 */
export * as EventId from "./EventId.ts"

/**
 * Control characters made visible.
 */
export * as ControlCharacters from "./ControlCharacters.ts"

/**
 * Events as JSON.
 */
export * as EventJson from "./EventJson.ts"

/**
 * Filters, queries, pages, cursors, watches.
 */
export * as EventQuery from "./EventQuery.ts"

/**
 * The reading half of a backend.
 */
export * as EventReader from "./EventReader.ts"

/**
 * Many events at a glance.
 */
export * as EventSummary from "./EventSummary.ts"

/**
 * The error of an event that is not valid.
 */
export * as InvalidEvent from "./InvalidEvent.ts"

/**
 * References to objects.
 */
export * as ObjectReference from "./ObjectReference.ts"

/**
 * The inside of cursors, for those who implement a backend.
 */
export * as Position from "./Position.ts"

/**
 * The identity of a store.
 */
export * as Target from "./Target.ts"

/**
 * Points in time as people write them.
 */
export * as TimeExpression from "./TimeExpression.ts"

/**
 * Points in time.
 */
export * as Timestamp from "./Timestamp.ts"

/**
 * Options that are timeouts or delays.
 */
export * as Timeout from "./Timeout.ts"

/**
 * Typed catalogues of events.
 */
export * as EventCatalogue from "./EventCatalogue.ts"

/**
 * The built-in catalogue: MCP servers, service classes, workflows, service instances.
 */
export * as EventGenerator from "./EventGenerator.ts"

/**
 * The handle that a host keeps.
 */
export * as EventManager from "./EventManager.ts"

/**
 * Middleware between the recorder and a backend.
 */
export * as Policy from "./Policy.ts"

/**
 * The recorder service and its results.
 */
export * as Delivery from "./Delivery.ts"

/**
 * An event as a caller gives it.
 */
export * as EventDraft from "./EventDraft.ts"

/**
 * How a sink folds occurrences into series.
 */
export * as Correlation from "./Correlation.ts"

/**
 * The state machine of correlation.
 */
export * as Correlator from "./Correlator.ts"

/**
 * The interface that the storage of accepted events implements, and the in-memory one.
 */
export * as Journal from "./Journal.ts"

/**
 * The layers of recorders, which accept events and deliver them.
 */
export * as Recorder from "./Recorder.ts"

/**
 * The metrics of recorders.
 */
export * as RecorderMetrics from "./RecorderMetrics.ts"

/**
 * Message templates by reason.
 */
export * as Templates from "./Templates.ts"

/**
 * Transforms of events before acceptance.
 */
export * as Transform from "./Transform.ts"

/**
 * Events that report a state, recorded only when it changes.
 */
export * as Transition from "./Transition.ts"
