/**
 * The interface that a store of events implements, and the in-memory one.
 */
export * as Backend from "./Backend.ts"

/**
 * What was found when somebody looked whether a backend can do its work.
 */
export * as BackendCheck from "./BackendCheck.ts"

/**
 * The errors of backends.
 */
export * as BackendError from "./BackendError.ts"

/**
 * The definition of a catalogue.
 */
export * as Catalogue from "./Catalogue.ts"

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
 * The error of an event that cannot be taken.
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
 * Points in time.
 */
export * as Timestamp from "./Timestamp.ts"

/**
 * Options that are durations to wait for.
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
 * What stands between the recorder and a backend.
 */
export * as Policy from "./Policy.ts"

/**
 * What a recorder answers, and the service itself.
 */
export * as Delivery from "./Delivery.ts"

/**
 * What a caller says about an event.
 */
export * as EventDraft from "./EventDraft.ts"

/**
 * How a sink folds occurrences into series.
 */
export * as Correlation from "./Correlation.ts"

/**
 * The state machine that does it.
 */
export * as Correlator from "./Correlator.ts"

/**
 * The interface that the storage of accepted events implements, and the in-memory one.
 */
export * as Journal from "./Journal.ts"

/**
 * The layers of recorders: what takes events and delivers them.
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
 * What a host puts before acceptance.
 */
export * as Transform from "./Transform.ts"
