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
import * as text from "./internal/text.ts"
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
  /** How many series, groups of similar events and budgets are remembered; the longest unused are given up first. */
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

// ---------------------------------------------------------------------------
// machine
// ---------------------------------------------------------------------------

const COMBINED = "(combined from similar events): "
const MAXIMUM_MESSAGE = 1_024

interface Series {
  readonly key: string
  readonly bucket: string
  readonly id: EventId
  upTo: number
  count: number
  first: Micros
  last: Micros
  body: EventBody
  /** Occurrences that no write has carried yet. */
  held: number
  /** The first of them. */
  heldFrom: number
  heldSince: Micros
}

interface Group {
  readonly messages: Set<string>
  lastAt: Micros
}

/**
 * What is left of a budget, as the moment at which it would be whole again: a single number, so nothing is lost between
 * two refills and nothing must be counted up while time passes.
 */
type Bucket = Micros

const bodyOf = ({ at: _, ...body }: Occurrence): EventBody => body

const objectParts = (body: EventBody): ReadonlyArray<string | undefined> => {
  const { apiVersion, fieldPath, kind, name, namespace, uid } = body.involvedObject
  return [apiVersion, kind, namespace, name, uid, fieldPath]
}

// JSON keeps the parts apart, whatever characters they hold.
const groupKeyOf = (body: EventBody): string =>
  JSON.stringify([
    body.source.component,
    body.source.host,
    body.reportingController,
    body.reportingInstance,
    ...objectParts(body),
    body.type,
    body.reason,
    body.action,
    body.related === undefined
      ? undefined
      : [body.related.kind, body.related.namespace, body.related.name, body.related.uid]
  ])

const bucketKeyOf = (body: EventBody): string =>
  JSON.stringify([body.source.component, body.source.host, ...objectParts(body), body.type])

/** Puts an entry at the end of a Map, which is its order of use. */
const touch = <A>(map: Map<string, A>, key: string, value: A): void => {
  map.delete(key)
  map.set(key, value)
}

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

/**
 * The state machine of one sink. It does no I/O and reads no clock: the same occurrences at the same times give the same
 * writes.
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
  private readonly series = new Map<string, Series>()
  private readonly groups = new Map<string, Group>()
  private readonly buckets = new Map<string, Bucket>()
  /** By bucket, the series with something held, the longest holding first. */
  private readonly holding = new Map<string, Map<string, Series>>()
  private heldOccurrences = 0
  /** How many series were given up because the memory was full, and how many of them had something held. */
  readonly evictions = { total: 0, flushed: 0 }

  constructor(options: Options) {
    const correlation = options === off ? defaults : options
    const aggregateWindow = Duration.toMillis(correlation.aggregateWindow)
    const refill = Duration.toMillis(correlation.refill)
    // Numbers only, because the options go into the snapshot.
    this.options = options === off ? off : { ...options, aggregateWindow, refill }
    this.capacity = Math.max(1, correlation.capacity)
    this.aggregateAt = correlation.aggregateAt
    this.aggregateWindow = aggregateWindow * 1_000
    this.burst = correlation.burst
    this.refill = Math.max(1, refill * 1_000)
  }

  /** Occurrences that wait for their turn. */
  get held(): number {
    return this.heldOccurrences
  }

  /** Series that are remembered. */
  get size(): number {
    return this.series.size
  }

  /** Takes in one occurrence; answers what leaves now. */
  step(id: EventId, occurrence: Occurrence, now: Micros): Step {
    const body = bodyOf(occurrence)
    if (this.options === off) {
      const write = { id, upTo: id.seq, count: 1, first: occurrence.at, last: occurrence.at, event: body }
      return { series: id, released: [{ write, occurrences: 1, from: id.seq, since: occurrence.at }] }
    }
    const released: Array<Released> = []
    const groupKey = groupKeyOf(body)
    const aggregated = this.isAggregated(groupKey, body.message, occurrence.at)
    const key = aggregated ? `${groupKey}*` : `${groupKey}=${body.message}`
    const event = aggregated ? { ...body, message: text.cut(`${COMBINED}${body.message}`, MAXIMUM_MESSAGE) } : body
    let series = this.series.get(key)
    if (series === undefined) {
      series = {
        key,
        bucket: bucketKeyOf(body),
        id,
        upTo: id.seq,
        count: 1,
        first: occurrence.at,
        last: occurrence.at,
        body: event,
        held: 0,
        heldFrom: id.seq,
        heldSince: occurrence.at
      }
    } else {
      series.upTo = id.seq
      series.count++
      series.first = Math.min(series.first, occurrence.at)
      series.last = Math.max(series.last, occurrence.at)
      series.body = event
    }
    if (series.held === 0) {
      series.heldFrom = id.seq
      series.heldSince = occurrence.at
    }
    series.held++
    this.heldOccurrences++
    touch(this.series, key, series)
    if (this.series.size > this.capacity) this.evict(released)
    // Who is already waiting keeps its place, and nobody overtakes those who wait for the same budget.
    const line = this.holding.get(series.bucket)
    if (line === undefined) {
      if (this.spend(series.bucket, now)) released.push(this.release(series))
      else this.holding.set(series.bucket, new Map([[key, series]]))
    } else if (!line.has(key)) line.set(key, series)
    return { series: series.id, released }
  }

  /** What may leave by now of what is held, of each budget the longest holding first. */
  tick(now: Micros): ReadonlyArray<Released> {
    const released: Array<Released> = []
    for (const [bucket, line] of this.holding) {
      for (const series of line.values()) {
        if (!this.spend(bucket, now)) break
        released.push(this.release(series))
      }
    }
    return released
  }

  /** Everything that is held, at once: for the end of a sink. */
  drain(): ReadonlyArray<Released> {
    return [...this.holding.values()].flatMap((line) => [...line.values()]).map((series) => this.release(series))
  }

  /** When the next held series may leave; `undefined` when nothing is held. */
  nextTick(): Micros | undefined {
    let next: Micros | undefined
    for (const bucket of this.holding.keys()) {
      const at = (this.buckets.get(bucket) ?? 0) - (this.burst - 1) * this.refill
      if (next === undefined || at < next) next = at
    }
    return next
  }

  /** The first seq of what is held, and when it happened; `undefined` when nothing is. */
  oldest(): { readonly from: number; readonly since: Micros } | undefined {
    let oldest: { readonly from: number; readonly since: Micros } | undefined
    for (const line of this.holding.values()) {
      for (const { heldFrom: from, heldSince: since } of line.values()) {
        if (oldest === undefined || from < oldest.from) oldest = { from, since }
      }
    }
    return oldest
  }

  private isAggregated(groupKey: string, message: string, at: Micros): boolean {
    if (this.aggregateAt <= 0) return false
    let group = this.groups.get(groupKey)
    if (group === undefined || at - group.lastAt > this.aggregateWindow) group = { messages: new Set(), lastAt: at }
    group.lastAt = Math.max(group.lastAt, at)
    touch(this.groups, groupKey, group)
    if (this.groups.size > this.capacity) this.groups.delete(this.groups.keys().next().value!)
    if (group.messages.has(message)) return false
    if (group.messages.size + 1 >= this.aggregateAt) return true
    group.messages.add(message)
    return false
  }

  private spend(bucket: string, now: Micros): boolean {
    if (this.burst <= 0) return true
    const whole = this.buckets.get(bucket) ?? 0
    if (whole - (this.burst - 1) * this.refill > now) return false
    touch(this.buckets, bucket, Math.max(whole, now) + this.refill)
    if (this.buckets.size > this.capacity) this.buckets.delete(this.buckets.keys().next().value!)
    return true
  }

  private release(series: Series): Released {
    const line = this.holding.get(series.bucket)
    if (line?.delete(series.key) === true && line.size === 0) this.holding.delete(series.bucket)
    const occurrences = series.held
    this.heldOccurrences -= occurrences
    series.held = 0
    const { body: event, count, first, heldFrom: from, heldSince: since, id, last, upTo } = series
    return { write: { id, upTo, count, first, last, event }, occurrences, from, since }
  }

  private evict(released: Array<Released>): void {
    const oldest = this.series.values().next().value
    if (oldest === undefined) return
    this.series.delete(oldest.key)
    this.evictions.total++
    if (oldest.held > 0) {
      this.evictions.flushed++
      released.push(this.release(oldest))
    }
  }

  /** The whole state as JSON, for a checkpoint. */
  snapshot(): Json {
    return {
      options: this.options as Json,
      series: [...this.series.values()].map((one) => [
        one.key,
        one.bucket,
        one.id.origin,
        one.id.seq,
        one.upTo,
        one.count,
        one.first,
        one.last,
        one.held,
        one.heldFrom,
        one.heldSince,
        one.body as unknown as Json
      ]),
      // The order of a line is the order of its waiting, which the order of use does not tell.
      holding: [...this.holding.values()].flatMap((line) => [...line.keys()]),
      groups: [...this.groups].map(([key, { lastAt, messages }]) => [key, lastAt, [...messages]]),
      buckets: [...this.buckets]
    }
  }

  /**
   * The machine of a snapshot, with the configuration that it was made with. Throws when the value is no snapshot: state
   * that cannot be read must stop a sink, never start it empty.
   */
  static restore(snapshot: Json): Correlator {
    const state = snapshot as unknown as {
      readonly options: Options
      readonly series: ReadonlyArray<
        readonly [string, string, string, number, number, number, number, number, number, number, number, EventBody]
      >
      readonly holding: ReadonlyArray<string>
      readonly groups: ReadonlyArray<readonly [string, Micros, ReadonlyArray<string>]>
      readonly buckets: ReadonlyArray<readonly [string, Bucket]>
    }
    const correlator = new Correlator(state.options)
    for (const [key, bucket, origin, seq, upTo, count, first, last, held, heldFrom, heldSince, body] of state.series) {
      const id = { origin, seq }
      correlator.series.set(key, { key, bucket, id, upTo, count, first, last, held, heldFrom, heldSince, body })
      correlator.heldOccurrences += held
    }
    for (const key of state.holding) {
      const series = correlator.series.get(key)
      if (series === undefined) throw new Error(`the snapshot holds back a series that it does not have: ${key}`)
      const line = correlator.holding.get(series.bucket)
      if (line === undefined) correlator.holding.set(series.bucket, new Map([[key, series]]))
      else line.set(key, series)
    }
    for (const [key, lastAt, messages] of state.groups) {
      correlator.groups.set(key, { lastAt, messages: new Set(messages) })
    }
    for (const [key, whole] of state.buckets) correlator.buckets.set(key, whole)
    return correlator
  }
}
