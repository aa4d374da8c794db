/**
 * The interface that a store of events implements, and the in-memory one.
 */
export * as Backend from "./Backend.ts"

/**
 * The errors of backends.
 */
export * as BackendError from "./BackendError.ts"

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
 * Points in time.
 */
export * as Timestamp from "./Timestamp.ts"
