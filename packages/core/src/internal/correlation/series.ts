/**
 * What a correlator remembers: series, the groups of similar events that they belong to, the budgets that groups share, and
 * the order in which series were used.
 */
import type { EventBody } from "../../Event.ts"
import type { EventId } from "../../EventId.ts"
import type { Micros } from "../../Timestamp.ts"
import type { Identity } from "./identity.ts"

/**
 * The budget of a source, object and type: a token bucket. What is left in it is kept as the time at which it will be full
 * again: a single number, so that nothing is lost between two refills and nothing must be updated while time passes.
 *
 * @internal
 */
export interface Bucket {
  fullAt: Micros
  /** The series with something held, the longest holding first. */
  readonly waiting: Set<Series>
  /** Number of groups that share it. */
  groups: number
  /** Its fingerprint, once a checkpoint needed it. */
  key: string | undefined
}

/**
 * Events that differ only in their message.
 *
 * @internal
 */
export interface Group {
  /** Absent after a restart, until an occurrence with the same fingerprint arrives. */
  identity: Identity | undefined
  readonly bucket: Bucket
  readonly byMessage: Map<string, Series>
  /** Restored series whose message is not known yet, by its fingerprint. */
  byKey: Map<string, Series> | undefined
  combined: Series | undefined
  /** Number of its series that accept no more occurrences and still have something held. */
  closed: number
  /** The fingerprint of its identity, once a checkpoint needed it. */
  key: string | undefined
  lastAt: Micros
  /** Counts the pauses that have ended a group of similar events. */
  window: number
  /** Distinct messages since then. */
  distinct: number
}

/** @internal */
export interface Series {
  readonly group: Group
  readonly isCombined: boolean
  readonly id: EventId
  upTo: number
  count: number
  first: Micros
  last: Micros
  /** The message of its occurrences, unless it combines several. Absent after a restart until the message occurs again. */
  message: string | undefined
  /** The fingerprint of its message, once a checkpoint needed it. */
  key: string | undefined
  /** The latest occurrence, as long as something is held: after a release no body is kept. */
  latest: EventBody | undefined
  /** It belongs to an earlier opening of the journal: it accepts no more occurrences, and is removed once it is released. */
  isClosed: boolean
  /** The window of the group in which its message was last counted as distinct. */
  window: number
  /** Occurrences that no write contains yet. */
  held: number
  /** Approximate size of its body while something is held. */
  heldBytes: number
  /** The first of them. */
  heldFrom: number
  heldSince: Micros
  /** Its neighbours in `ByUse`. */
  older: Series | undefined
  newer: Series | undefined
}

/** @internal */
export const newBucket = (fullAt: Micros): Bucket => ({ fullAt, waiting: new Set(), groups: 0, key: undefined })

/** @internal */
export const newGroup = (identity: Identity | undefined, bucket: Bucket, at: Micros): Group => {
  bucket.groups++
  return {
    identity,
    bucket,
    byMessage: new Map(),
    byKey: undefined,
    combined: undefined,
    closed: 0,
    key: undefined,
    lastAt: at,
    window: 0,
    distinct: 0
  }
}

/**
 * What `ByUse` has in order.
 *
 * @internal
 */
export interface Used<A> {
  older: A | undefined
  newer: A | undefined
}

/**
 * Series in the order in which they were last used: a doubly linked list, so that every operation takes constant time.
 *
 * @internal
 */
export class ByUse<A extends Used<A>> {
  oldest: A | undefined
  newest: A | undefined
  size = 0

  /** Adds a series as the newest. */
  add(series: A): void {
    this.size++
    this.append(series)
  }

  remove(series: A): void {
    this.size--
    this.unlink(series)
  }

  /** Makes a series the newest. */
  touch(series: A): void {
    if (series === this.newest) return
    this.unlink(series)
    this.append(series)
  }

  private append(series: A): void {
    series.older = this.newest
    series.newer = undefined
    if (this.newest === undefined) this.oldest = series
    else this.newest.newer = series
    this.newest = series
  }

  private unlink(series: A): void {
    if (series.older === undefined) this.oldest = series.newer
    else series.older.newer = series.newer
    if (series.newer === undefined) this.newest = series.older
    else series.newer.older = series.older
  }
}
