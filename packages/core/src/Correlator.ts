/**
 * The state machine that folds the occurrences of one sink into series.
 *
 * **When to use**
 *
 * Sinks use it. Use it directly to see what a configuration would do with given events, or to read how much a checkpoint
 * holds.
 *
 * **Details**
 *
 * It does no I/O and reads no clock: the same occurrences at the same times give the same writes. Which series an occurrence
 * belongs to does not depend on when it is taken in, only on what came before it.
 *
 * - Every occurrence that is taken in is released exactly once, or held. `held` counts the latter; a checkpoint has them.
 * - The count of a series is absolute and only grows, so a write that is repeated adds nothing.
 * - Memory is bounded: at most `capacity` series, and three mebibytes of event bodies that are held. What is beyond it is
 *   released early, never dropped.
 *
 * **Example** (Three equal events are one series)
 *
 * ```ts
 * import * as Correlation from "@tidings/core/Correlation"
 * import { Correlator } from "@tidings/core/Correlator"
 * import assert from "node:assert/strict"
 *
 * const correlator = new Correlator({ ...Correlation.defaults, burst: 1 })
 * const occurrence = {
 *   at: 0,
 *   involvedObject: { kind: "Pod", name: "web" },
 *   reason: "Restarted",
 *   type: "Normal",
 *   action: "Restarted",
 *   message: "It runs again",
 *   data: {},
 *   source: { component: "example" },
 *   reportingController: "example",
 *   reportingInstance: "example"
 * } as const
 * for (const seq of [1, 2, 3]) correlator.step({ origin: "a", seq }, occurrence, 0)
 * assert.equal(correlator.held, 2)
 * assert.deepEqual(correlator.drain().map(({ write }) => write.count), [3])
 * ```
 *
 * @since 0.2.0
 */
import * as Duration from "effect/Duration"
import { defaults, normalize, off, type Options } from "./Correlation.ts"
import type { EventBody, Occurrence, Write } from "./Event.ts"
import type { Json } from "./EventData.ts"
import type { EventId } from "./EventId.ts"
import * as dataSize from "./internal/dataSize.ts"
import { bodyOf } from "./internal/eventBody.ts"
import { identityOf, keyOf, keyOfBudget, keyOfGroup, sameBudget, sameGroup } from "./internal/correlation/identity.ts"
import { type Bucket, ByUse, type Group, newBucket, newGroup, type Series } from "./internal/correlation/series.ts"
import { readSnapshot, type Snapshot } from "./internal/correlation/snapshot.ts"
import * as json from "./internal/json.ts"
import * as text from "./internal/text.ts"
import type { Micros } from "./Timestamp.ts"

const COMBINED = "(combined from similar events): "
const MAXIMUM_MESSAGE = 1_024
/**
 * Approximate maximum size of the bodies of what is held: those of 4,096 series, the default capacity, with 256 bytes of message and
 * data each. Beyond it, some are released early.
 */
const HELD_BYTES = 3_145_728

/**
 * A write to be sent, and how many of its occurrences no earlier write contained.
 *
 * @category models
 * @since 0.1.0
 */
export interface Released {
  readonly write: Write
  readonly occurrences: number
  /** The sequence number of the first of them. */
  readonly from: number
  /** When the first of them happened. */
  readonly since: Micros
}

/**
 * The result of adding one occurrence.
 *
 * @category models
 * @since 0.1.0
 */
export interface Step {
  /** The series that it was folded into. */
  readonly series: EventId
  readonly released: ReadonlyArray<Released>
}

const NOTHING: ReadonlyArray<Released> = []

/**
 * The correlator of one sink.
 *
 * @category models
 * @since 0.1.0
 */
export class Correlator {
  readonly options: Options
  private readonly capacity: number
  private readonly aggregateAt: number
  private readonly aggregateWindow: Micros
  private readonly burst: number
  private readonly refill: Micros
  private readonly byFieldPath: boolean
  // Groups are looked up by the name of their object and then compared: that takes a fraction of the time of building one
  // key of all that distinguishes them, and needs no escaping.
  private groups = new Map<string, Array<Group>>()
  /** Restored from a checkpoint: groups whose identity is not known yet, and budgets, by their fingerprints. */
  private restoredGroups = new Map<string, Group>()
  private restoredBuckets = new Map<string, Bucket>()
  /** The origin of the opening of the journal whose occurrences are added. */
  private opening = ""
  private readonly byUse = new ByUse<Series>()
  private readonly holding = new Set<Bucket>()
  private heldOccurrences = 0
  private heldBytes = 0
  /** How many series were evicted because the capacity was reached, and how many of them had something held. */
  readonly evictions = { total: 0, flushed: 0 }

  constructor(options: Options) {
    this.options = normalize(options)
    const { aggregateAt, aggregateWindow, burst, capacity, refill } = this.options === off ? defaults : this.options
    this.capacity = capacity
    this.byFieldPath = this.options === off || this.options.byFieldPath !== false
    this.aggregateAt = aggregateAt
    this.aggregateWindow = Duration.toMillis(aggregateWindow) * 1_000
    this.burst = burst
    this.refill = Math.max(1, Duration.toMillis(refill) * 1_000)
  }

  /** Occurrences that wait for their rate limit. */
  get held(): number {
    return this.heldOccurrences
  }

  /** Number of series in memory. */
  get size(): number {
    return this.byUse.size
  }

  /** Adds one occurrence; returns what is to be written now. */
  step(id: EventId, occurrence: Occurrence, now: Micros): Step {
    const { at } = occurrence
    if (this.options === off) {
      const { message } = occurrence
      const write = { id, upTo: id.seq, count: 1, first: at, last: at, event: bodyOf(occurrence, message) }
      return { series: id, released: [{ write, occurrences: 1, from: id.seq, since: at }] }
    }
    if (id.origin !== this.opening) this.beginOpening(id.origin)
    const group = this.groupOf(occurrence, at)
    if (at - group.lastAt > this.aggregateWindow) {
      group.window++
      group.distinct = 0
    }
    if (at > group.lastAt) group.lastAt = at

    const message = this.messageOf(occurrence)
    const own = group.byMessage.get(message) ?? this.findRestored(group, message)
    let series = own
    let isCombined = false
    if (own === undefined || own.window !== group.window) {
      if (this.aggregateAt > 0 && group.distinct + 1 >= this.aggregateAt) {
        isCombined = true
        series = group.combined
      } else {
        group.distinct++
        if (own !== undefined) own.window = group.window
      }
    }

    let released: Array<Released> | undefined
    if (series === undefined) {
      series = this.begin(group, isCombined, id, message, at)
      const flushed = this.byUse.size > this.capacity ? this.evictOldest() : undefined
      if (flushed !== undefined) released = [flushed]
    } else {
      series.upTo = id.seq
      series.count++
      if (at < series.first) series.first = at
      if (at > series.last) series.last = at
      this.byUse.touch(series)
    }
    series.latest = occurrence
    if (series.held === 0) {
      series.heldFrom = id.seq
      series.heldSince = at
    }
    series.held++
    this.heldOccurrences++

    // A series that waits keeps its place, and none overtakes those that wait for the same budget.
    const { bucket } = group
    if (bucket.waiting.size === 0 && this.tryAcquire(bucket, now)) {
      const one = this.release(series)
      if (released === undefined) released = [one]
      else released.push(one)
    } else {
      if (bucket.waiting.size === 0) this.holding.add(bucket)
      bucket.waiting.add(series)
      const bytes = dataSize.estimate(occurrence)
      this.heldBytes += bytes - series.heldBytes
      series.heldBytes = bytes
      if (this.heldBytes > HELD_BYTES) released = [...(released ?? []), ...this.releaseEarly()]
    }
    return { series: series.id, released: released ?? NOTHING }
  }

  /**
   * Releases series until a sixteenth of the memory is free, so that this does not happen for every event: those with the fewest
   * occurrences, of these the newest first. If the oldest were released first, series that take turns would each be released just
   * before their next occurrence, and nothing would be folded.
   */
  private releaseEarly(): ReadonlyArray<Released> {
    const waiting: Array<Series> = []
    /** Size of the series by their number of occurrences. */
    const sizes = new Map<number, number>()
    for (const bucket of this.holding) {
      for (const series of bucket.waiting) {
        waiting.push(series)
        sizes.set(series.held, (sizes.get(series.held) ?? 0) + series.heldBytes)
      }
    }
    // Chosen by counting: to sort thousands of series would block the host for milliseconds.
    let left = this.heldBytes - (15 / 16) * HELD_BYTES
    let most = 0
    for (const held of [...sizes.keys()].sort((a, b) => a - b)) {
      most = held
      if (sizes.get(held)! >= left) break
      left -= sizes.get(held)!
    }
    const released: Array<Released> = []
    for (const series of waiting.reverse()) {
      if (series.held > most || (series.held === most && left <= 0)) continue
      if (series.held === most) left -= series.heldBytes
      released.push(this.release(series))
    }
    return released
  }

  /** Releases what the rate limits allow by now; of each budget what is held longest first. */
  tick(now: Micros): ReadonlyArray<Released> {
    if (this.holding.size === 0) return NOTHING
    const released: Array<Released> = []
    for (const bucket of this.holding) {
      for (const series of bucket.waiting) {
        if (!this.tryAcquire(bucket, now)) break
        released.push(this.release(series))
      }
    }
    return released
  }

  /**
   * Releases every series that holds an occurrence up to this sequence number, whatever its rate limit: for a flush and at
   * the end.
   */
  drain(upTo = Number.POSITIVE_INFINITY): ReadonlyArray<Released> {
    const released: Array<Released> = []
    for (const bucket of this.holding) {
      for (const series of bucket.waiting) if (series.heldFrom <= upTo) released.push(this.release(series))
    }
    return released
  }

  /** When the next held series may be released; `undefined` when nothing is held. */
  nextTick(now: Micros): Micros | undefined {
    let next: Micros | undefined
    for (const bucket of this.holding) {
      const at = this.fullAt(bucket, now) - (this.burst - 1) * this.refill
      if (next === undefined || at < next) next = at
    }
    return next
  }

  /** The first sequence number of what is held, and when it happened; `undefined` when nothing is held. */
  oldest(): { readonly from: number; readonly since: Micros } | undefined {
    let oldest: { readonly from: number; readonly since: Micros } | undefined
    for (const { waiting } of this.holding) {
      for (const { heldFrom: from, heldSince: since } of waiting) {
        if (oldest === undefined || from < oldest.from) oldest = { from, since }
      }
    }
    return oldest
  }

  // -------------------------------------------------------------------------
  // groups and budgets
  // -------------------------------------------------------------------------

  private groupOf(occurrence: EventBody, at: Micros): Group {
    const { name } = occurrence.involvedObject
    const alike = this.groups.get(name)
    if (alike !== undefined) {
      const last = alike.length - 1
      for (let index = last; index >= 0; index--) {
        const group = alike[index]!
        if (!sameGroup(group.identity!, occurrence, this.byFieldPath)) continue
        // The last used one is found first.
        alike[index] = alike[last]!
        alike[last] = group
        return group
      }
    }
    const restored =
      this.restoredGroups.size === 0
        ? undefined
        : this.restoredGroups.get(keyOfGroup(this.opening, occurrence, this.byFieldPath))
    if (restored !== undefined) {
      this.restoredGroups.delete(restored.key!)
      restored.identity = identityOf(occurrence)
      this.addNamed(name, restored)
      return restored
    }
    const bucket =
      alike?.find(({ identity }) => sameBudget(identity!, occurrence, this.byFieldPath))?.bucket ??
      (this.restoredBuckets.size === 0
        ? undefined
        : this.restoredBuckets.get(keyOfBudget(this.opening, occurrence, this.byFieldPath))) ??
      newBucket(0)
    const group = newGroup(identityOf(occurrence), bucket, at)
    this.addNamed(name, group)
    return group
  }

  /** What distinguishes equal events in a group. A message contains no line feed, so the two parts are unambiguous. */
  private messageOf({ involvedObject: { fieldPath }, message }: EventBody): string {
    return this.byFieldPath || fieldPath === undefined ? message : `${message}\n${fieldPath}`
  }

  private addNamed(name: string, group: Group): void {
    const alike = this.groups.get(name)
    if (alike === undefined) this.groups.set(name, [group])
    else alike.push(group)
  }

  /** Finds a series of a checkpoint by the fingerprint of its message. */
  private findRestored(group: Group, message: string): Series | undefined {
    if (group.byKey === undefined) return undefined
    const key = keyOf(this.opening, message)
    const series = group.byKey.get(key)
    if (series === undefined) return undefined
    group.byKey.delete(key)
    if (group.byKey.size === 0) group.byKey = undefined
    series.message = message
    group.byMessage.set(message, series)
    return series
  }

  private dropGroup(group: Group): void {
    const { bucket, identity, key } = group
    bucket.groups--
    if (bucket.groups === 0 && bucket.key !== undefined) this.restoredBuckets.delete(bucket.key)
    if (identity === undefined) {
      this.restoredGroups.delete(key!)
      return
    }
    const { name } = identity.involvedObject
    const left = this.groups.get(name)!.filter((other) => other !== group)
    if (left.length === 0) this.groups.delete(name)
    else this.groups.set(name, left)
  }

  /**
   * A new occurrence never joins a series of an earlier opening of the journal; otherwise two copies of a journal would
   * count different occurrences under one identity. What is held of earlier openings is released unchanged, when its rate
   * limit allows it.
   */
  private beginOpening(origin: string): void {
    this.opening = origin
    this.groups = new Map()
    this.restoredGroups.clear()
    this.restoredBuckets.clear()
    const kept = new Set<Group>()
    const buckets = new Set<Bucket>()
    for (let series = this.byUse.oldest; series !== undefined; series = series.newer) {
      const { group } = series
      if (series.held === 0) {
        this.byUse.remove(series)
        continue
      }
      if (!kept.has(group)) {
        kept.add(group)
        group.byMessage.clear()
        group.byKey = undefined
        group.combined = undefined
        group.distinct = 0
        group.closed = 0
        group.key = undefined
        if (!buckets.has(group.bucket)) group.bucket.groups = 0
        buckets.add(group.bucket)
        group.bucket.groups++
        group.bucket.key = undefined
        group.identity ??= identityOf(series.latest!)
        this.addNamed(group.identity.involvedObject.name, group)
      }
      series.isClosed = true
      group.closed++
    }
  }

  /** Limited, so that a clock that was set back does not prolong a wait: an empty budget is full after `burst` refills. */
  private fullAt(bucket: Bucket, now: Micros): Micros {
    return Math.min(bucket.fullAt, now + this.burst * this.refill)
  }

  private tryAcquire(bucket: Bucket, now: Micros): boolean {
    if (this.burst <= 0) return true
    // Stored, or the wait would start again with each call.
    bucket.fullAt = this.fullAt(bucket, now)
    if (bucket.fullAt - (this.burst - 1) * this.refill > now) return false
    bucket.fullAt = Math.max(bucket.fullAt, now) + this.refill
    return true
  }

  private release(series: Series): Released {
    const { bucket } = series.group
    if (bucket.waiting.delete(series) && bucket.waiting.size === 0) this.holding.delete(bucket)
    const { count, first, held: occurrences, heldFrom: from, heldSince: since, id, last, upTo } = series
    const latest = series.latest!
    this.heldOccurrences -= occurrences
    this.heldBytes -= series.heldBytes
    series.heldBytes = 0
    series.held = 0
    series.latest = undefined
    if (series.isClosed) this.remove(series)
    const message = series.isCombined ? text.cut(`${COMBINED}${latest.message}`, MAXIMUM_MESSAGE) : latest.message
    return { write: { id, upTo, count, first, last, event: bodyOf(latest, message) }, occurrences, from, since }
  }

  // -------------------------------------------------------------------------
  // series
  // -------------------------------------------------------------------------

  private begin(group: Group, isCombined: boolean, id: EventId, message: string, at: Micros): Series {
    const series: Series = {
      group,
      isCombined,
      id,
      upTo: id.seq,
      count: 1,
      first: at,
      last: at,
      message: isCombined ? undefined : message,
      key: undefined,
      latest: undefined,
      isClosed: false,
      window: group.window,
      held: 0,
      heldBytes: 0,
      heldFrom: id.seq,
      heldSince: at,
      older: undefined,
      newer: undefined
    }
    this.add(series)
    return series
  }

  private add(series: Series): void {
    const { group } = series
    if (series.isClosed) group.closed++
    else if (series.isCombined) group.combined = series
    else if (series.message !== undefined) group.byMessage.set(series.message, series)
    else {
      group.byKey ??= new Map()
      group.byKey.set(series.key!, series)
    }
    this.byUse.add(series)
  }

  /** Evicts the least recently used series; returns what it held. */
  private evictOldest(): Released | undefined {
    const series = this.byUse.oldest!
    this.evictions.total++
    if (series.held === 0) {
      this.remove(series)
      return undefined
    }
    this.evictions.flushed++
    const flushed = this.release(series)
    if (!series.isClosed) this.remove(series)
    return flushed
  }

  private remove(series: Series): void {
    const { group } = series
    this.byUse.remove(series)
    if (series.isClosed) group.closed--
    else if (series.isCombined) group.combined = undefined
    else if (series.message !== undefined) group.byMessage.delete(series.message)
    else {
      group.byKey!.delete(series.key!)
      if (group.byKey!.size === 0) group.byKey = undefined
    }
    if (group.byMessage.size === 0 && group.byKey === undefined && group.combined === undefined && group.closed === 0) {
      this.dropGroup(group)
    }
  }

  // -------------------------------------------------------------------------
  // snapshot
  // -------------------------------------------------------------------------

  /**
   * Computes the fingerprints that a snapshot needs for this number of the most recently used series, and changes nothing
   * else. Called after each page of events, it avoids a pause of the host for all of them at once.
   */
  prepareSnapshot(count: number): void {
    let left = count
    for (let one = this.byUse.newest; one !== undefined && left > 0; one = one.older, left--) this.prepare(one)
  }

  private prepare(one: Series): void {
    const { group } = one
    const { bucket } = group
    bucket.key ??= keyOfBudget(this.opening, group.identity!, this.byFieldPath)
    group.key ??= keyOfGroup(this.opening, group.identity!, this.byFieldPath)
    if (!one.isCombined && !one.isClosed) one.key ??= keyOf(this.opening, one.message!)
  }

  /**
   * The state as JSON, for a checkpoint. A series with nothing held takes at most 240 bytes, because fingerprints replace
   * its texts. One with something held also has the body of its next write.
   */
  snapshot(): Json {
    const { opening } = this
    const buckets = new Map<Bucket, number>()
    const groups = new Map<Group, number>()
    const series = new Map<Series, number>()
    for (let one = this.byUse.oldest; one !== undefined; one = one.newer) {
      this.prepare(one)
      if (!groups.has(one.group)) groups.set(one.group, groups.size)
      if (!buckets.has(one.group.bucket)) buckets.set(one.group.bucket, buckets.size)
      series.set(one, series.size)
    }
    const state: Snapshot = {
      options: this.options,
      opening,
      budgets: Array.from(buckets.keys(), ({ fullAt, key }) => [fullAt, key!]),
      groups: Array.from(groups.keys(), (group) => {
        const { bucket, distinct, key, lastAt, window } = group
        return [buckets.get(bucket)!, lastAt, window, distinct, key!]
      }),
      series: Array.from(series.keys(), (one) => {
        const { count, first, group, id, isClosed, isCombined, last, upTo, window } = one
        // Closed series are not looked up by their message.
        const key = isCombined ? 0 : isClosed ? "" : one.key!
        const row = [groups.get(group)!, key, id.seq, upTo, count, first, last, window] as const
        return isClosed ? [...row, id.origin] : row
      }),
      // The order of waiting differs from the order of use.
      holding: [...this.holding].flatMap(({ waiting }) =>
        Array.from(waiting, (one) => [
          series.get(one)!,
          one.held,
          one.heldFrom,
          one.heldSince,
          bodyOf(one.latest!, one.latest!.message)
        ])
      )
    }
    return json.ofPlain(state)
  }

  /**
   * The correlator of a snapshot, with the options that it was made with. Throws when the value is not a snapshot: a sink
   * with a state that cannot be read must stop, never start empty.
   */
  static restore(snapshot: Json): Correlator {
    const state = readSnapshot(snapshot)
    const correlator = new Correlator(state.options)
    correlator.opening = state.opening
    const budgets = state.budgets.map(([fullAt, key]): Bucket => {
      const bucket = { ...newBucket(fullAt), key }
      correlator.restoredBuckets.set(key, bucket)
      return bucket
    })
    const held = new Map(state.holding.map((row) => [row[0], row]))
    const groups = state.groups.map(([budget, lastAt, window, distinct, key]) => ({
      ...newGroup(undefined, budgets[budget]!, lastAt),
      window,
      distinct,
      key
    }))
    const series = state.series.map((row, place): Series => {
      const [groupPlace, key, seq, upTo, count, first, last, window, origin] = row
      const group = groups[groupPlace]!
      const [, occurrences = 0, heldFrom = seq, heldSince = first, latest] = held.get(place) ?? []
      if (latest !== undefined) group.identity ??= identityOf(latest)
      const one: Series = {
        group,
        isCombined: key === 0,
        id: { origin: origin ?? state.opening, seq },
        upTo,
        count,
        first,
        last,
        message: undefined,
        key: key === 0 ? undefined : key,
        latest,
        isClosed: origin !== undefined,
        window,
        held: occurrences,
        heldBytes: latest === undefined ? 0 : dataSize.estimate(latest),
        heldFrom,
        heldSince,
        older: undefined,
        newer: undefined
      }
      correlator.add(one)
      correlator.heldOccurrences += occurrences
      correlator.heldBytes += one.heldBytes
      return one
    })
    for (const group of groups) {
      if (group.identity === undefined) correlator.restoredGroups.set(group.key, group)
      else correlator.addNamed(group.identity.involvedObject.name, group)
    }
    for (const [place] of state.holding) {
      const one = series[place]!
      one.group.bucket.waiting.add(one)
      correlator.holding.add(one.group.bucket)
    }
    return correlator
  }
}
