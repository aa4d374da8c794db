/**
 * Series whose involved object was deleted and created again under its name.
 *
 * `kubectl describe` finds events by uid, so the event of the old object keeps what it has counted and is closed, and what
 * happens to the new object gets a series of its own. Its identity follows from that of the first series and from the uid,
 * so that every repetition of the write meets the same event.
 */
import type { Write } from "@tidings/core/Event"
import * as EventId from "@tidings/core/EventId"

/**
 * Where a series continues after its involved object was replaced, once or several times.
 *
 * @internal
 */
export interface Continuation {
  readonly id: EventId.EventId
  /** What the events of the earlier objects have counted, and up to which seq. */
  readonly counted: number
  readonly upTo: number
  /** Of the present object, and of the one before it. */
  readonly uid: string
  readonly previousUid: string | undefined
}

/**
 * The continuation after an event about the object `closed.uid`, which `uid` has replaced.
 *
 * @internal
 */
export const continuationOf = (
  uid: string,
  id: EventId.EventId,
  closed: { readonly count: number; readonly upTo: number; readonly uid: string | undefined },
  /** What the events before that one have counted. */
  counted: number
): Continuation => ({
  id: { origin: EventId.derivedOrigin(id.origin, uid), seq: id.seq },
  counted: counted + closed.count,
  upTo: closed.upTo,
  uid,
  previousUid: closed.uid
})

/**
 * The part of a write that is about the present object.
 *
 * @internal
 */
export const partOf = (write: Write, { counted, id }: Continuation): Write => ({
  ...write,
  id,
  count: Math.max(1, write.count - counted),
  // The time of the first of them is not known here.
  first: write.last
})

/**
 * Whether the involved object has another uid than when the event was last written.
 *
 * @internal
 */
export const isReplaced = (before: string | undefined, now: string | undefined): boolean =>
  before !== undefined && now !== undefined && before !== now
