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
  /** The how-manieth different message of a reason on one object begins the aggregate. 0 turns aggregation off. */
  readonly aggregateAt: number
  /** A pause of this length ends a group of similar events. */
  readonly aggregateWindow: Duration.Input
  /** How many writes a source may make about one object and type at once. 0 turns the limit off. */
  readonly burst: number
  /** After the burst, one write in this time. */
  readonly refill: Duration.Input
}

/**
 * The default: client-go's numbers, but one write in 30 seconds after the burst.
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
 * Exactly client-go's numbers (`tools/record`: LRU 4096, 10 messages in 600 seconds, burst 25, one per 300 seconds).
 *
 * @category options
 * @since 0.1.0
 */
export const clientGo: Correlation = { ...defaults, refill: "300 seconds" }

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
}

const numbersOf = (options: Options): Numbers | typeof off =>
  options === off
    ? off
    : {
        capacity: Math.max(1, Math.floor(options.capacity)),
        aggregateAt: options.aggregateAt,
        aggregateWindow: Duration.toMillis(options.aggregateWindow),
        burst: options.burst,
        refill: Duration.toMillis(options.refill)
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

/**
 * What is left of the budget of a source, object and type, as the moment at which it would be whole again: a single number,
 * so nothing is lost between two refills and nothing must be counted up while time passes.
 */
interface Bucket {
  whole: Micros
  /** The series with something held, the longest holding first. */
  readonly line: Set<Series>
}

type Identity = Pick<
  EventBody,
  "involvedObject" | "related" | "reason" | "type" | "action" | "source" | "reportingController" | "reportingInstance"
>

/** What is alike except for the message. */
interface Group {
  readonly identity: Identity
  readonly bucket: Bucket
  readonly byMessage: Map<string, Series>
  combined: Series | undefined
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
  latest: EventBody
  /** The window in which its message was last counted as a different one. */
  window: number
  /** Occurrences that no write has carried yet. */
  held: number
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

const sameObject = (one: ObjectReference, other: ObjectReference): boolean =>
  one === other ||
  (one.name === other.name &&
    one.namespace === other.namespace &&
    one.uid === other.uid &&
    one.kind === other.kind &&
    one.apiVersion === other.apiVersion &&
    one.fieldPath === other.fieldPath)

const sameBudget = (one: Identity, other: Identity): boolean =>
  one.type === other.type &&
  one.source.component === other.source.component &&
  one.source.host === other.source.host &&
  sameObject(one.involvedObject, other.involvedObject)

const sameGroup = (one: Identity, other: Identity): boolean =>
  one.reason === other.reason &&
  sameBudget(one, other) &&
  one.action === other.action &&
  one.reportingController === other.reportingController &&
  one.reportingInstance === other.reportingInstance &&
  (one.related === other.related ||
    (one.related !== undefined && other.related !== undefined && sameObject(one.related, other.related)))

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
  // Groups are found by the name of their object and then compared: that takes a fraction of the time of making one text
  // of all that tells them apart, and no text can be made to look like another.
  private readonly groups = new Map<string, Array<Group>>()
  private oldestUsed: Series | undefined
  private newestUsed: Series | undefined
  private remembered = 0
  private readonly holding = new Set<Bucket>()
  private heldOccurrences = 0
  /** How many series were given up because the memory was full, and how many of them had something held. */
  readonly evictions = { total: 0, flushed: 0 }

  constructor(options: Options) {
    this.options = numbersOf(options)
    const { aggregateAt, aggregateWindow, burst, capacity, refill } = this.options === off ? defaults : this.options
    this.capacity = capacity
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
    const { at, message } = occurrence
    if (this.options === off) {
      const write = { id, upTo: id.seq, count: 1, first: at, last: at, event: bodyOf(occurrence, message) }
      return { series: id, released: [{ write, occurrences: 1, from: id.seq, since: at }] }
    }
    const group = this.groupOf(occurrence, at)
    if (at - group.lastAt > this.aggregateWindow) {
      group.window++
      group.distinct = 0
    }
    if (at > group.lastAt) group.lastAt = at

    const own = group.byMessage.get(message)
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
      series = this.begin(group, isCombined, id, occurrence, at)
      const flushed = this.remembered > this.capacity ? this.evict() : undefined
      if (flushed !== undefined) released = [flushed]
    } else {
      series.upTo = id.seq
      series.count++
      if (at < series.first) series.first = at
      if (at > series.last) series.last = at
      series.latest = occurrence
      this.use(series)
    }
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
    }
    return { series: series.id, released: released ?? NOTHING }
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

  /** Everything that is held, at once: for the end of a sink. */
  drain(): ReadonlyArray<Released> {
    const released: Array<Released> = []
    for (const bucket of this.holding) for (const series of bucket.line) released.push(this.release(series))
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
    if (alike === undefined) {
      const group = newGroup(occurrence, { whole: 0, line: new Set() }, at)
      this.groups.set(name, [group])
      return group
    }
    const last = alike.length - 1
    for (let index = last; index >= 0; index--) {
      const group = alike[index]!
      if (!sameGroup(group.identity, occurrence)) continue
      // What was used last is found first.
      alike[index] = alike[last]!
      alike[last] = group
      return group
    }
    const sharing = alike.find(({ identity }) => sameBudget(identity, occurrence))
    const group = newGroup(occurrence, sharing?.bucket ?? { whole: 0, line: new Set() }, at)
    alike.push(group)
    return group
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
    const { count, first, held: occurrences, heldFrom: from, heldSince: since, id, last, latest, upTo } = series
    this.heldOccurrences -= occurrences
    series.held = 0
    const message = series.isCombined ? text.cut(`${COMBINED}${latest.message}`, MAXIMUM_MESSAGE) : latest.message
    return { write: { id, upTo, count, first, last, event: bodyOf(latest, message) }, occurrences, from, since }
  }

  // -------------------------------------------------------------------------
  // series in the order of use
  // -------------------------------------------------------------------------

  private begin(group: Group, isCombined: boolean, id: EventId, occurrence: EventBody, at: Micros): Series {
    const series: Series = {
      group,
      isCombined,
      id,
      upTo: id.seq,
      count: 1,
      first: at,
      last: at,
      latest: occurrence,
      window: group.window,
      held: 0,
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
    if (series.isCombined) group.combined = series
    else group.byMessage.set(series.latest.message, series)
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
    const { group } = series
    this.evictions.total++
    const flushed = series.held > 0 ? this.release(series) : undefined
    if (flushed !== undefined) this.evictions.flushed++
    this.unlink(series)
    this.remembered--
    if (series.isCombined) group.combined = undefined
    else group.byMessage.delete(series.latest.message)
    if (group.byMessage.size === 0 && group.combined === undefined) {
      const { name } = group.identity.involvedObject
      const left = this.groups.get(name)!.filter((other) => other !== group)
      if (left.length === 0) this.groups.delete(name)
      else this.groups.set(name, left)
    }
    return flushed
  }

  // -------------------------------------------------------------------------
  // snapshot
  // -------------------------------------------------------------------------

  /** The whole state as JSON, for a checkpoint. */
  snapshot(): Json {
    const buckets = new Map<Bucket, number>()
    const groups = new Map<Group, number>()
    const series = new Map<Series, number>()
    for (let one = this.oldestUsed; one !== undefined; one = one.newer) {
      if (!groups.has(one.group)) groups.set(one.group, groups.size)
      if (!buckets.has(one.group.bucket)) buckets.set(one.group.bucket, buckets.size)
      series.set(one, series.size)
    }
    const state: Snapshot = {
      options: this.options,
      budgets: [...buckets.keys()].map(({ whole }) => whole),
      groups: [...groups.keys()].map(({ bucket, distinct, lastAt, window }) => [
        buckets.get(bucket)!,
        lastAt,
        window,
        distinct
      ]),
      series: [...series.keys()].map((one) => [
        groups.get(one.group)!,
        one.isCombined,
        one.id.origin,
        one.id.seq,
        one.upTo,
        one.count,
        one.first,
        one.last,
        one.window,
        one.held,
        one.heldFrom,
        one.heldSince,
        bodyOf(one.latest, one.latest.message)
      ]),
      // The order of a line is the order of its waiting, which the order of use does not tell.
      holding: [...this.holding].flatMap(({ line }) => [...line].map((one) => series.get(one)!))
    }
    return state as unknown as Json
  }

  /**
   * The machine of a snapshot, with the configuration that it was made with. Throws when the value is no snapshot: state
   * that cannot be read must stop a sink, never start it empty.
   */
  static restore(snapshot: Json): Correlator {
    const state = readSnapshot(snapshot)
    const correlator = new Correlator(state.options)
    const budgets = state.budgets.map((whole): Bucket => ({ whole, line: new Set() }))
    const groups: Array<Group> = []
    const series = state.series.map((row): Series => {
      const [place, isCombined, origin, seq, upTo, count, first, last, seen, held, heldFrom, heldSince, latest] = row
      let group = groups[place]
      if (group === undefined) {
        const [budget, lastAt, window, distinct] = state.groups[place]!
        group = { ...newGroup(latest, budgets[budget]!, lastAt), window, distinct }
        groups[place] = group
        const { name } = latest.involvedObject
        const alike = correlator.groups.get(name)
        if (alike === undefined) correlator.groups.set(name, [group])
        else alike.push(group)
      }
      const one = {
        group,
        isCombined,
        id: { origin, seq },
        upTo,
        count,
        first,
        last,
        latest,
        window: seen,
        held,
        heldFrom,
        heldSince,
        older: undefined,
        newer: undefined
      }
      correlator.remember(one)
      correlator.heldOccurrences += held
      return one
    })
    for (const place of state.holding) {
      const one = series[place]!
      one.group.bucket.line.add(one)
      correlator.holding.add(one.group.bucket)
    }
    return correlator
  }
}

const newGroup = (occurrence: EventBody, bucket: Bucket, at: Micros): Group => ({
  identity: identityOf(occurrence),
  bucket,
  byMessage: new Map(),
  combined: undefined,
  lastAt: at,
  window: 0,
  distinct: 0
})

interface Snapshot {
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

const optionNames: ReadonlyArray<keyof Numbers> = ["capacity", "aggregateAt", "aggregateWindow", "burst", "refill"]

const isPlaceIn = (list: ReadonlyArray<unknown>, place: unknown): boolean =>
  typeof place === "number" && Number.isSafeInteger(place) && place >= 0 && place < list.length

const areNumbers = (values: ReadonlyArray<unknown>): boolean => values.every((value) => Number.isFinite(value))

const readSnapshot = (json: Json): Snapshot => {
  const state = json as unknown as Snapshot
  const isSound =
    typeof state === "object" &&
    state !== null &&
    (state.options === off ||
      (typeof state.options === "object" &&
        state.options !== null &&
        optionNames.every((name) => typeof (state.options as Numbers)[name] === "number"))) &&
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
        typeof row[12]?.involvedObject?.name === "string" &&
        typeof row[12].message === "string"
    ) &&
    state.holding.every((place) => isPlaceIn(state.series, place))
  if (!isSound) throw new Error("this is no snapshot of a correlator")
  return state
}
