/**
 * Folding of occurrences into series before they are written, so that a flood of events reaches the API server as a few
 * writes with counts that are right.
 *
 * Three steps, with the numbers of client-go:
 *
 * 1. Equal events (same source, object, type, reason, message) are one series with a count.
 * 2. When a reason has brought 10 different messages on one object, with no pause of 600 seconds between them, further
 *    messages are one series, `(combined from similar events)`.
 * 3. Each source, object and type may write 25 times at once; after that once per `refill`.
 *
 * A series has occurrences of one opening of the journal only: after a restart a repeated event begins a new series, as with
 * client-go, and what is held from before leaves under its old name.
 *
 * Where client-go drops at the third step, counts are held here: they grow, and leave all in one write when their turn
 * comes. That is also why a refill of 30 seconds costs the API server no more than client-go's 300: see the decision
 * record on correlation.
 *
 * @since 0.1.0
 */
import * as Duration from "effect/Duration"
import type { EventBody, Occurrence, Write } from "./Event.ts"
import type { Json } from "./EventData.ts"
import type { EventId } from "./EventId.ts"
import { bodyOf } from "./internal/eventBody.ts"
import * as dataSize from "./internal/dataSize.ts"
import * as fingerprint from "./internal/fingerprint.ts"
import * as json from "./internal/json.ts"
import * as text from "./internal/text.ts"
import type { ObjectReference } from "./ObjectReference.ts"
import type { Micros } from "./Timestamp.ts"

// ---------------------------------------------------------------------------
// options
// ---------------------------------------------------------------------------

/**
 * How a sink correlates. See `defaults`, `clientGo` and `off`.
 *
 * @category options
 * @since 0.1.0
 */
export interface Correlation {
  /**
   * How many series are remembered, each with its budget and what it has in common with similar ones. The longest unused is
   * given up first, and what it holds leaves at once.
   */
  readonly capacity: number
  /** Number of distinct messages of a reason on one object after which aggregation starts. 0 turns aggregation off. */
  readonly aggregateAt: number
  /** A pause of this length ends a group of similar events. */
  readonly aggregateWindow: Duration.Input
  /** How many writes a source may make about one object and type at once. 0 turns the limit off. */
  readonly burst: number
  /** After the burst, one write in this time. */
  readonly refill: Duration.Input
  /**
   * Whether parts of an object (`fieldPath`, such as a container of a pod) have aggregates and budgets of their own. `true`
   * unless given; client-go has one of each for the whole object. Equal events of different parts are different series either
   * way.
   */
  readonly byFieldPath?: boolean | undefined
}

/**
 * The default: client-go's numbers, but one write in 30 seconds after the burst, and parts of an object told apart:
 *
 * | step | what is alike |
 * | --- | --- |
 * | equal events | source, object with its `fieldPath`, type, reason, action, related object, reporter, message |
 * | aggregate | the same, whatever the message |
 * | budget | source, object with its `fieldPath`, type |
 *
 * The object is kind, namespace, name, uid and apiVersion; the source is component and host; the reporter is controller and
 * instance. Neither a resourceVersion nor the data of an event tells events apart.
 *
 * @category options
 * @since 0.1.0
 */
export const defaults: Correlation = {
  capacity: 4_096,
  aggregateAt: 10,
  aggregateWindow: "600 seconds",
  burst: 25,
  refill: "30 seconds"
}

/**
 * client-go's numbers and keys (`tools/record`: LRU 4096, 10 messages in 600 seconds, burst 25, one per 300 seconds):
 *
 * | step | what is alike |
 * | --- | --- |
 * | equal events | source, object with its `fieldPath`, type, reason, message |
 * | aggregate | source, object without its `fieldPath`, type, reason, reporting controller and instance |
 * | budget | source, object without its `fieldPath`, type |
 *
 * The object is kind, namespace, name, uid and apiVersion; the source is component and host. Two things differ. What is
 * written shows `action`, `related` and the reporter too, so events that differ there are never one series or one aggregate
 * here. And equal messages of several parts count as several towards the aggregate, where client-go counts one.
 *
 * @category options
 * @since 0.1.0
 */
export const clientGo: Correlation = { ...defaults, refill: "300 seconds", byFieldPath: false }

/**
 * No correlation: every occurrence is an event of its own and leaves at once.
 *
 * @category options
 * @since 0.1.0
 */
export const off = "off"

/**
 * What a sink takes as its correlation.
 *
 * @category options
 * @since 0.1.0
 */
export type Options = Correlation | typeof off

/** Numbers only, in one order of fields, because it goes into the snapshot. Times in milliseconds. */
interface Numbers {
  readonly capacity: number
  readonly aggregateAt: number
  readonly aggregateWindow: number
  readonly burst: number
  readonly refill: number
  /** Absent where it is not so. */
  readonly byFieldPath?: false
}

const numbersOf = (options: Options): Numbers | typeof off =>
  options === off
    ? off
    : {
        capacity: Math.max(1, Math.floor(options.capacity)),
        aggregateAt: options.aggregateAt,
        aggregateWindow: Duration.toMillis(options.aggregateWindow),
        burst: options.burst,
        refill: Duration.toMillis(options.refill),
        ...(options.byFieldPath === false ? { byFieldPath: false } : undefined)
      }

/**
 * Whether two configurations are the same, however they are written.
 *
 * @category options
 * @since 0.1.0
 */
export const equals = (one: Options, other: Options): boolean =>
  JSON.stringify(numbersOf(one)) === JSON.stringify(numbersOf(other))

// ---------------------------------------------------------------------------
// machine
// ---------------------------------------------------------------------------

const COMBINED = "(combined from similar events): "
const MAXIMUM_MESSAGE = 1_024
/** The bodies of what is held take about so many bytes at the most; beyond it, what holds longest leaves early. */
const HELD_BYTES = 2_097_152

/**
 * What is left of the budget of a source, object and type, as the moment at which it would be whole again: a single number,
 * so nothing is lost between two refills and nothing must be counted up while time passes.
 */
interface Bucket {
  whole: Micros
  /** The series with something held, the longest holding first. */
  readonly line: Set<Series>
  /** How many groups share it. */
  groups: number
  /** The fingerprint of what it belongs to, once a checkpoint needed it. */
  key: string | undefined
}

type Identity = Pick<
  EventBody,
  "involvedObject" | "related" | "reason" | "type" | "action" | "source" | "reportingController" | "reportingInstance"
>

/** What is alike except for the message. */
interface Group {
  /** Absent after a restart, until an occurrence with the same fingerprint tells it. */
  identity: Identity | undefined
  readonly bucket: Bucket
  readonly byMessage: Map<string, Series>
  /** Series of a checkpoint whose message is not known yet, by its fingerprint. */
  byKey: Map<string, Series> | undefined
  combined: Series | undefined
  /** Its series that take no more occurrences and still have something held. */
  closed: number
  /** The fingerprint of its identity, once a checkpoint needed it. */
  key: string | undefined
  lastAt: Micros
  /** Counts the pauses that have ended a group of similar events. */
  window: number
  /** Different messages since then. */
  distinct: number
}

interface Series {
  readonly group: Group
  readonly isCombined: boolean
  readonly id: EventId
  upTo: number
  count: number
  first: Micros
  last: Micros
  /** What its occurrences have in common, unless it combines several; absent after a restart until it is met again. */
  message: string | undefined
  /** The fingerprint of its message, once a checkpoint needed it. */
  key: string | undefined
  /** The latest occurrence, as long as a write has to carry it: what has left keeps no body. */
  latest: EventBody | undefined
  /** It was accepted by an earlier opening of the journal: it takes no more occurrences, and goes when it has left. */
  isClosed: boolean
  /** The window in which its message was last counted as a different one. */
  window: number
  /** Occurrences that no write has carried yet. */
  held: number
  /** What its body takes while something is held, about. */
  heldBytes: number
  /** The first of them. */
  heldFrom: number
  heldSince: Micros
  /** Its neighbours in the order of use. */
  older: Series | undefined
  newer: Series | undefined
}

const identityOf = ({
  action,
  involvedObject,
  reason,
  related,
  reportingController,
  reportingInstance,
  source,
  type
}: EventBody): Identity => {
  const identity = { involvedObject, reason, type, action, source, reportingController, reportingInstance }
  return related === undefined ? identity : { ...identity, related }
}

const sameObject = (one: ObjectReference, other: ObjectReference, byFieldPath: boolean): boolean =>
  one === other ||
  (one.name === other.name &&
    one.namespace === other.namespace &&
    one.uid === other.uid &&
    one.kind === other.kind &&
    one.apiVersion === other.apiVersion &&
    (!byFieldPath || one.fieldPath === other.fieldPath))

const sameBudget = (one: Identity, other: Identity, byFieldPath: boolean): boolean =>
  one.type === other.type &&
  one.source.component === other.source.component &&
  one.source.host === other.source.host &&
  sameObject(one.involvedObject, other.involvedObject, byFieldPath)

const sameGroup = (one: Identity, other: Identity, byFieldPath: boolean): boolean =>
  one.reason === other.reason &&
  sameBudget(one, other, byFieldPath) &&
  one.action === other.action &&
  one.reportingController === other.reportingController &&
  one.reportingInstance === other.reportingInstance &&
  (one.related === other.related ||
    (one.related !== undefined && other.related !== undefined && sameObject(one.related, other.related, true)))

/**
 * A write that leaves, and how many occurrences no earlier one has carried.
 *
 * @category models
 * @since 0.1.0
 */
export interface Released {
  readonly write: Write
  readonly occurrences: number
  /** The seq of the first of them. */
  readonly from: number
  /** When the first of them happened. */
  readonly since: Micros
}

/**
 * What taking in one occurrence led to.
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
 * The state machine of one sink. It does no I/O and reads no clock: the same occurrences at the same times give the same
 * writes. Which series an occurrence belongs to does not depend on when it is taken in, only on what came before it.
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
  // Groups are found by the name of their object and then compared: that takes a fraction of the time of making one text
  // of all that tells them apart, and no text can be made to look like another.
  private groups = new Map<string, Array<Group>>()
  /** Of a checkpoint: groups whose identity is not known yet, and budgets, by their fingerprints. */
  private unidentified = new Map<string, Group>()
  private restoredBuckets = new Map<string, Bucket>()
  /** The origin of the opening whose occurrences are taken in. */
  private opening = ""
  private oldestUsed: Series | undefined
  private newestUsed: Series | undefined
  private remembered = 0
  private readonly holding = new Set<Bucket>()
  private heldOccurrences = 0
  private heldBytes = 0
  /** How many series were given up because the memory was full, and how many of them had something held. */
  readonly evictions = { total: 0, flushed: 0 }

  constructor(options: Options) {
    this.options = numbersOf(options)
    const { aggregateAt, aggregateWindow, burst, capacity, refill } = this.options === off ? defaults : this.options
    this.capacity = capacity
    this.byFieldPath = this.options === off || this.options.byFieldPath !== false
    this.aggregateAt = aggregateAt
    this.aggregateWindow = Duration.toMillis(aggregateWindow) * 1_000
    this.burst = burst
    this.refill = Math.max(1, Duration.toMillis(refill) * 1_000)
  }

  /** Occurrences that wait for their turn. */
  get held(): number {
    return this.heldOccurrences
  }

  /** Series that are remembered. */
  get size(): number {
    return this.remembered
  }

  /** Takes in one occurrence; answers what leaves now. */
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
    const own = group.byMessage.get(message) ?? this.recognise(group, message)
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
      const flushed = this.remembered > this.capacity ? this.evict() : undefined
      if (flushed !== undefined) released = [flushed]
    } else {
      series.upTo = id.seq
      series.count++
      if (at < series.first) series.first = at
      if (at > series.last) series.last = at
      this.use(series)
    }
    series.latest = occurrence
    if (series.held === 0) {
      series.heldFrom = id.seq
      series.heldSince = at
    }
    series.held++
    this.heldOccurrences++

    // Who is already waiting keeps its place, and nobody overtakes those who wait for the same budget.
    const { bucket } = group
    if (bucket.line.size === 0 && this.spend(bucket, now)) {
      const one = this.release(series)
      if (released === undefined) released = [one]
      else released.push(one)
    } else {
      if (bucket.line.size === 0) this.holding.add(bucket)
      bucket.line.add(series)
      const bytes = dataSize.estimate(occurrence)
      this.heldBytes += bytes - series.heldBytes
      series.heldBytes = bytes
      if (this.heldBytes > HELD_BYTES) released = [...(released ?? []), ...this.releaseLongest()]
    }
    return { series: series.id, released: released ?? NOTHING }
  }

  /** Releases what holds longest, a quarter of all, so that it does not happen for every event. */
  private releaseLongest(): ReadonlyArray<Released> {
    const released: Array<Released> = []
    for (const bucket of this.holding) {
      for (const series of bucket.line) {
        if (this.heldBytes <= 0.75 * HELD_BYTES) return released
        released.push(this.release(series))
      }
    }
    return released
  }

  /** What may leave by now of what is held, of each budget the longest holding first. */
  tick(now: Micros): ReadonlyArray<Released> {
    if (this.holding.size === 0) return NOTHING
    const released: Array<Released> = []
    for (const bucket of this.holding) {
      for (const series of bucket.line) {
        if (!this.spend(bucket, now)) break
        released.push(this.release(series))
      }
    }
    return released
  }

  /** All series that hold an occurrence up to this seq, with all that they hold, at once: for a flush, and for the end. */
  drain(upTo = Number.POSITIVE_INFINITY): ReadonlyArray<Released> {
    const released: Array<Released> = []
    for (const bucket of this.holding) {
      for (const series of bucket.line) if (series.heldFrom <= upTo) released.push(this.release(series))
    }
    return released
  }

  /** When the next held series may leave; `undefined` when nothing is held. */
  nextTick(now: Micros): Micros | undefined {
    let next: Micros | undefined
    for (const bucket of this.holding) {
      const at = this.wholeAt(bucket, now) - (this.burst - 1) * this.refill
      if (next === undefined || at < next) next = at
    }
    return next
  }

  /** The first seq of what is held, and when it happened; `undefined` when nothing is. */
  oldest(): { readonly from: number; readonly since: Micros } | undefined {
    let oldest: { readonly from: number; readonly since: Micros } | undefined
    for (const { line } of this.holding) {
      for (const { heldFrom: from, heldSince: since } of line) {
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
        // What was used last is found first.
        alike[index] = alike[last]!
        alike[last] = group
        return group
      }
    }
    const restored =
      this.unidentified.size === 0
        ? undefined
        : this.unidentified.get(keyOfGroup(this.opening, occurrence, this.byFieldPath))
    if (restored !== undefined) {
      this.unidentified.delete(restored.key!)
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

  /** What tells equal events of a group from others. A message has no line end, so the two parts cannot be mistaken. */
  private messageOf({ involvedObject: { fieldPath }, message }: EventBody): string {
    return this.byFieldPath || fieldPath === undefined ? message : `${message}\n${fieldPath}`
  }

  private addNamed(name: string, group: Group): void {
    const alike = this.groups.get(name)
    if (alike === undefined) this.groups.set(name, [group])
    else alike.push(group)
  }

  /** Finds a series of a checkpoint by the fingerprint of its message. */
  private recognise(group: Group, message: string): Series | undefined {
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
      this.unidentified.delete(key!)
      return
    }
    const { name } = identity.involvedObject
    const left = this.groups.get(name)!.filter((other) => other !== group)
    if (left.length === 0) this.groups.delete(name)
    else this.groups.set(name, left)
  }

  /**
   * A new occurrence never joins a series of an earlier opening of the journal, or two copies of a journal would count
   * different occurrences under one identity. What is held of earlier openings leaves as it is, in its turn.
   */
  private beginOpening(origin: string): void {
    this.opening = origin
    this.groups = new Map()
    this.unidentified.clear()
    this.restoredBuckets.clear()
    const kept = new Set<Group>()
    const buckets = new Set<Bucket>()
    for (let series = this.oldestUsed; series !== undefined; series = series.newer) {
      const { group } = series
      if (series.held === 0) {
        this.unlink(series)
        this.remembered--
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

  /** A clock that was set back must not stretch a wait: nothing is ever further away than a whole budget. */
  private wholeAt(bucket: Bucket, now: Micros): Micros {
    return Math.min(bucket.whole, now + this.burst * this.refill)
  }

  private spend(bucket: Bucket, now: Micros): boolean {
    if (this.burst <= 0) return true
    // Kept, or the wait would begin anew at each look.
    bucket.whole = this.wholeAt(bucket, now)
    if (bucket.whole - (this.burst - 1) * this.refill > now) return false
    bucket.whole = Math.max(bucket.whole, now) + this.refill
    return true
  }

  private release(series: Series): Released {
    const { bucket } = series.group
    if (bucket.line.delete(series) && bucket.line.size === 0) this.holding.delete(bucket)
    const { count, first, held: occurrences, heldFrom: from, heldSince: since, id, last, upTo } = series
    const latest = series.latest!
    this.heldOccurrences -= occurrences
    this.heldBytes -= series.heldBytes
    series.heldBytes = 0
    series.held = 0
    series.latest = undefined
    if (series.isClosed) this.forget(series)
    const message = series.isCombined ? text.cut(`${COMBINED}${latest.message}`, MAXIMUM_MESSAGE) : latest.message
    return { write: { id, upTo, count, first, last, event: bodyOf(latest, message) }, occurrences, from, since }
  }

  // -------------------------------------------------------------------------
  // series in the order of use
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
    this.remember(series)
    return series
  }

  private remember(series: Series): void {
    const { group } = series
    if (series.isClosed) group.closed++
    else if (series.isCombined) group.combined = series
    else if (series.message !== undefined) group.byMessage.set(series.message, series)
    else {
      group.byKey ??= new Map()
      group.byKey.set(series.key!, series)
    }
    this.remembered++
    this.append(series)
  }

  private append(series: Series): void {
    series.older = this.newestUsed
    series.newer = undefined
    if (this.newestUsed === undefined) this.oldestUsed = series
    else this.newestUsed.newer = series
    this.newestUsed = series
  }

  private unlink(series: Series): void {
    if (series.older === undefined) this.oldestUsed = series.newer
    else series.older.newer = series.newer
    if (series.newer === undefined) this.newestUsed = series.older
    else series.newer.older = series.older
  }

  private use(series: Series): void {
    if (series === this.newestUsed) return
    this.unlink(series)
    this.append(series)
  }

  /** Gives up the longest unused series; answers what it held. */
  private evict(): Released | undefined {
    const series = this.oldestUsed!
    this.evictions.total++
    if (series.held === 0) {
      this.forget(series)
      return undefined
    }
    this.evictions.flushed++
    const flushed = this.release(series)
    if (!series.isClosed) this.forget(series)
    return flushed
  }

  private forget(series: Series): void {
    const { group } = series
    this.unlink(series)
    this.remembered--
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
   * Works out ahead what a snapshot needs of the series that were used last, so many of them, and changes nothing else. Called
   * after each page of events, it spares the host the pause that it would be for all of them at once.
   */
  prepareSnapshot(most: number): void {
    let left = most
    for (let one = this.newestUsed; one !== undefined && left > 0; one = one.older, left--) this.prepare(one)
  }

  private prepare(one: Series): void {
    const { group } = one
    const { bucket } = group
    bucket.key ??= keyOfBudget(this.opening, group.identity!, this.byFieldPath)
    group.key ??= keyOfGroup(this.opening, group.identity!, this.byFieldPath)
    if (!one.isCombined && !one.isClosed) one.key ??= keyOf(this.opening, one.message!)
  }

  /**
   * The whole state as JSON, for a checkpoint. Of what has left, a series costs at most 240 bytes whatever its events are:
   * fingerprints stand for its texts. What is held is there with the body that its write has to carry.
   */
  snapshot(): Json {
    const { opening } = this
    const buckets = new Map<Bucket, number>()
    const groups = new Map<Group, number>()
    const series = new Map<Series, number>()
    for (let one = this.oldestUsed; one !== undefined; one = one.newer) {
      this.prepare(one)
      if (!groups.has(one.group)) groups.set(one.group, groups.size)
      if (!buckets.has(one.group.bucket)) buckets.set(one.group.bucket, buckets.size)
      series.set(one, series.size)
    }
    const state: Snapshot = {
      options: this.options,
      opening,
      budgets: Array.from(buckets.keys(), ({ key, whole }) => [whole, key!]),
      groups: Array.from(groups.keys(), (group) => {
        const { bucket, distinct, key, lastAt, window } = group
        return [buckets.get(bucket)!, lastAt, window, distinct, key!]
      }),
      series: Array.from(series.keys(), (one) => {
        const { count, first, group, id, isClosed, isCombined, last, upTo, window } = one
        // Nothing is looked up among the closed.
        const key = isCombined ? 0 : isClosed ? "" : one.key!
        const row = [groups.get(group)!, key, id.seq, upTo, count, first, last, window] as const
        return isClosed ? [...row, id.origin] : row
      }),
      // The order of a line is the order of its waiting, which the order of use does not tell.
      holding: [...this.holding].flatMap(({ line }) =>
        Array.from(line, (one) => [
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
   * The machine of a snapshot, with the configuration that it was made with. Throws when the value is no snapshot: state
   * that cannot be read must stop a sink, never start it empty.
   */
  static restore(snapshot: Json): Correlator {
    const state = readSnapshot(snapshot)
    const correlator = new Correlator(state.options)
    correlator.opening = state.opening
    const budgets = state.budgets.map(([whole, key]): Bucket => {
      const bucket = { ...newBucket(whole), key }
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
      correlator.remember(one)
      correlator.heldOccurrences += occurrences
      correlator.heldBytes += one.heldBytes
      return one
    })
    for (const group of groups) {
      if (group.identity === undefined) correlator.unidentified.set(group.key, group)
      else correlator.addNamed(group.identity.involvedObject.name, group)
    }
    for (const [place] of state.holding) {
      const one = series[place]!
      one.group.bucket.line.add(one)
      correlator.holding.add(one.group.bucket)
    }
    return correlator
  }
}

/** Texts of hosts cannot be made to look alike: the origin that they are mixed with was drawn at random. */
const keyOf = (opening: string, text: string): string => fingerprint.short(`${opening} ${text}`)

const keyOfBudget = (opening: string, { involvedObject, source, type }: Identity, byFieldPath: boolean): string =>
  keyOf(opening, JSON.stringify([type, source.component, source.host ?? 0, objectKey(involvedObject, byFieldPath)]))

const keyOfGroup = (opening: string, identity: Identity, byFieldPath: boolean): string => {
  const { action, involvedObject, reason, related, reportingController, reportingInstance, source, type } = identity
  return keyOf(
    opening,
    JSON.stringify([
      [reason, type, action, source.component, source.host ?? 0, reportingController, reportingInstance],
      objectKey(involvedObject, byFieldPath),
      related === undefined ? 0 : objectKey(related, true)
    ])
  )
}

const objectKey = (
  { apiVersion, fieldPath, kind, name, namespace, uid }: ObjectReference,
  byFieldPath: boolean
): ReadonlyArray<string | 0> => [
  apiVersion ?? 0,
  kind,
  namespace ?? 0,
  name,
  uid ?? 0,
  byFieldPath ? (fieldPath ?? 0) : 0
]

const newBucket = (whole: Micros): Bucket => ({ whole, line: new Set(), groups: 0, key: undefined })

const newGroup = (identity: Identity | undefined, bucket: Bucket, at: Micros): Group => {
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

interface Snapshot {
  readonly options: Options
  /** The origin of its series, unless a row names another. */
  readonly opening: string
  readonly budgets: ReadonlyArray<readonly [whole: Micros, key: string]>
  readonly groups: ReadonlyArray<
    readonly [budget: number, lastAt: Micros, window: number, distinct: number, key: string]
  >
  readonly series: ReadonlyArray<
    readonly [
      group: number,
      /** 0 of a series that combines several messages. */
      message: string | 0,
      seq: number,
      upTo: number,
      count: number,
      first: Micros,
      last: Micros,
      window: number,
      /** Of a series that takes no more occurrences. */
      origin?: string
    ]
  >
  readonly holding: ReadonlyArray<
    readonly [series: number, held: number, heldFrom: number, heldSince: Micros, latest: EventBody]
  >
}

const optionNames: ReadonlyArray<keyof Numbers> = ["capacity", "aggregateAt", "aggregateWindow", "burst", "refill"]

const isPlaceIn = (list: ReadonlyArray<unknown>, place: unknown): boolean =>
  typeof place === "number" && Number.isSafeInteger(place) && place >= 0 && place < list.length

const areNumbers = (values: ReadonlyArray<unknown>): boolean => values.every((value) => Number.isFinite(value))

const areOptions = (options: unknown): boolean =>
  options === off ||
  (typeof options === "object" &&
    options !== null &&
    optionNames.every((name) => typeof (options as Numbers)[name] === "number"))

const isBody = (body: EventBody | undefined): boolean =>
  typeof body?.involvedObject?.name === "string" && typeof body.message === "string"

const isSnapshot = (value: object): value is Snapshot => {
  const state = value as Snapshot
  return (
    typeof state.opening === "string" &&
    areOptions(state.options) &&
    [state.budgets, state.groups, state.series, state.holding].every(Array.isArray) &&
    state.budgets.every((row) => Array.isArray(row) && areNumbers(row.slice(0, 1)) && typeof row[1] === "string") &&
    state.groups.every(
      (row) =>
        Array.isArray(row) &&
        isPlaceIn(state.budgets, row[0]) &&
        areNumbers(row.slice(1, 4)) &&
        typeof row[4] === "string"
    ) &&
    state.series.every(
      (row) =>
        Array.isArray(row) &&
        isPlaceIn(state.groups, row[0]) &&
        (row[1] === 0 || typeof row[1] === "string") &&
        (row.length === 8 || (row.length === 9 && typeof row[8] === "string")) &&
        areNumbers(row.slice(2, 8))
    ) &&
    state.holding.every(
      (row) => Array.isArray(row) && isPlaceIn(state.series, row[0]) && areNumbers(row.slice(1, 4)) && isBody(row[4])
    )
  )
}

const readSnapshot = (given: Json): Snapshot => {
  if (typeof given === "object" && given !== null) {
    if (isSnapshot(given)) return given
    if (!("opening" in given) && isFirstSnapshot(given)) return renewed(given)
  }
  throw new Error("this is no snapshot of a correlator")
}

// ---------------------------------------------------------------------------
// snapshots of the first release
// ---------------------------------------------------------------------------

/** All series were of one origin, and each had its latest body. */
interface FirstSnapshot {
  readonly options: Options
  readonly budgets: ReadonlyArray<Micros>
  readonly groups: ReadonlyArray<readonly [budget: number, lastAt: Micros, window: number, distinct: number]>
  readonly series: ReadonlyArray<
    readonly [
      group: number,
      isCombined: boolean,
      origin: string,
      seq: number,
      upTo: number,
      count: number,
      first: Micros,
      last: Micros,
      window: number,
      held: number,
      heldFrom: number,
      heldSince: Micros,
      latest: EventBody
    ]
  >
  /** Places in `series`. */
  readonly holding: ReadonlyArray<number>
}

const isFirstSnapshot = (value: object): value is FirstSnapshot => {
  const state = value as FirstSnapshot
  return (
    areOptions(state.options) &&
    [state.budgets, state.groups, state.series, state.holding].every(Array.isArray) &&
    areNumbers(state.budgets) &&
    state.groups.every((group) => Array.isArray(group) && isPlaceIn(state.budgets, group[0]) && areNumbers(group)) &&
    state.series.every(
      (row) =>
        Array.isArray(row) &&
        isPlaceIn(state.groups, row[0]) &&
        typeof row[1] === "boolean" &&
        typeof row[2] === "string" &&
        row.length === 13 &&
        areNumbers(row.slice(3, 12)) &&
        isBody(row[12])
    ) &&
    state.holding.every((place) => isPlaceIn(state.series, place)) &&
    // Every budget and group was there for a series.
    new Set(state.groups.map(([budget]) => budget)).size === state.budgets.length &&
    new Set(state.series.map(([group]) => group)).size === state.groups.length
  )
}

const renewed = (state: FirstSnapshot): Snapshot => {
  const opening = state.series.at(-1)?.[2] ?? ""
  const bodies = new Map(state.series.map((row) => [row[0], row[12]]))
  const budgets = new Map(state.groups.map(([budget], group) => [budget, bodies.get(group)]))
  return {
    options: state.options,
    opening,
    budgets: state.budgets.map((whole, budget) => [whole, keyOfBudget(opening, budgets.get(budget)!, true)]),
    groups: state.groups.map((row, group) => [...row, keyOfGroup(opening, bodies.get(group)!, true)]),
    series: state.series.map(([group, isCombined, , seq, upTo, count, first, last, window, , , , latest]) => [
      group,
      isCombined ? 0 : keyOf(opening, latest.message),
      seq,
      upTo,
      count,
      first,
      last,
      window
    ]),
    holding: state.holding.map((place) => {
      const [, , , , , , , , , held, heldFrom, heldSince, latest] = state.series[place]!
      return [place, held, heldFrom, heldSince, latest]
    })
  }
}
