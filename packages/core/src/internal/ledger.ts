/**
 * The counts of a recorder and of its sinks, in occurrences, for `status` and for the metrics.
 *
 * Invariant, for each sink and at every moment: `accepted + recovered = settled + parked + dropped + pending`. So everything
 * that moves occurrences from one count to another must call these methods in one turn of the event loop.
 *
 * It cannot fail. Metrics count up only, while the gauges read these counts when they are collected.
 */
import type * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Metric from "effect/Metric"
import type { RecorderStatus, SinkStatus } from "../Delivery.ts"
import * as RecorderMetrics from "../RecorderMetrics.ts"

type Counter = Metric.Counter<number>
type Attributes = Readonly<Record<string, string>>

// One metric object for each set of attributes is looked up in the registry once; `withAttributes` would compute the
// attributes at every update, which doubles its cost.
const counterOf = ({ description, id }: Counter, attributes: Attributes): Counter =>
  Metric.counter(id, { description, attributes, incremental: true })

/** A gauge whose value is read when it is collected, because updating it for every event would cost too much. */
class PullGauge {
  /** Keeps the last value readable without a reference to the ledger. */
  readonly close: () => void

  constructor(
    { description, id }: Metric.Gauge<number>,
    attributes: Attributes,
    context: Context.Context<never>,
    value: () => number
  ) {
    const gauge = Metric.gauge(id, { description, attributes })
    const registration = Metric.registerUnsafe(gauge, context, {
      get: () => ({ value: value() }),
      update: nothing,
      modify: nothing
    })
    this.close = () => {
      registration.remove()
      gauge.updateUnsafe(value(), context)
    }
  }
}

const nothing = () => {}

const MAXIMUM_LABELS = 64
const OTHERS = "other"

interface Entry {
  count: number
  readonly counter: Counter
}

/**
 * Counters by the value of a label. Hosts choose some of the values (names of transforms, reasons for which policies drop):
 * after `MAXIMUM_LABELS` of them all others share one counter, so that memory is bounded even where a host puts names of
 * objects in.
 */
class LabelledCounters {
  private readonly entries = new Map<string, Entry>()
  private readonly context: Context.Context<never>
  private readonly counterOf: (label: string) => Counter

  constructor(metric: Counter, label: string, context: Context.Context<never>, attributes: Attributes) {
    this.context = context
    this.counterOf = (value) => counterOf(metric, { ...attributes, [label]: value })
  }

  add(value: string, n: number): void {
    const entry = this.entries.get(value) ?? this.make(value)
    entry.count += n
    entry.counter.updateUnsafe(n, this.context)
  }

  private make(value: string): Entry {
    const label = this.entries.size < MAXIMUM_LABELS ? value : OTHERS
    let entry = this.entries.get(label)
    if (entry === undefined) {
      entry = { count: 0, counter: this.counterOf(label) }
      this.entries.set(label, entry)
    }
    return entry
  }

  get counts(): Record<string, number> {
    return Object.fromEntries(Array.from(this.entries, ([label, { count }]) => [label, count]))
  }
}

/**
 * The counts of one sink. Every method updates counts and metrics in one step, so that the conservation law holds at any
 * moment: `accepted + recovered = settled + parked + dropped + pending`.
 *
 * @internal
 */
export class SinkLedger {
  recovered = 0
  settled = 0
  parked = 0
  pending = 0
  held = 0
  state: SinkStatus["state"] = "up"
  private error: string | undefined
  private readonly settledBy: LabelledCounters
  private readonly droppedBy: LabelledCounters
  private readonly recoveredCounter: Metric.Counter<number>
  private readonly gauges: ReadonlyArray<PullGauge>
  private readonly context: Context.Context<never>

  constructor(sink: string, context: Context.Context<never>) {
    this.context = context
    this.settledBy = new LabelledCounters(RecorderMetrics.settled, "how", context, { sink })
    this.droppedBy = new LabelledCounters(RecorderMetrics.dropped, "reason", context, { sink })
    this.recoveredCounter = counterOf(RecorderMetrics.recovered, { sink })
    this.gauges = [
      new PullGauge(RecorderMetrics.pending, { sink }, context, () => this.pending),
      new PullGauge(RecorderMetrics.parked, { sink }, context, () => this.parked)
    ]
  }

  /** The message of the last failure, also after it is over. */
  get lastError(): string | undefined {
    return this.error
  }

  /** The one place where the last error of a sink is set. */
  failed(message: string): void {
    this.error = message
  }

  close(): void {
    this.state = "down"
    for (const one of this.gauges) one.close()
  }

  recover(pending: number, parked: number): void {
    this.recovered += pending + parked
    this.recoveredCounter.updateUnsafe(pending + parked, this.context)
    this.addPending(pending)
    this.park(parked)
  }

  addPending(n: number): void {
    this.pending += n
  }

  settle(n: number, how: string): void {
    this.settled += n
    this.settledBy.add(how, n)
  }

  drop(n: number, reason: string): void {
    this.droppedBy.add(reason, n)
  }

  park(n: number): void {
    this.parked += n
  }

  status(oldestAgeMicros: number): SinkStatus {
    return {
      state: this.state,
      recovered: this.recovered,
      settled: this.settled,
      parked: this.parked,
      dropped: this.droppedBy.counts,
      pending: this.pending,
      held: this.held,
      oldestAge: Duration.micros(BigInt(Math.max(0, Math.floor(oldestAgeMicros)))),
      ...(this.error === undefined ? undefined : { lastError: this.error })
    }
  }
}

/**
 * The counts of a recorder, in occurrences, for `status` and for the metrics alike.
 *
 * @internal
 */
export class Ledger {
  accepted = 0
  private readonly context: Context.Context<never>
  private readonly refusedBy: LabelledCounters
  private readonly filteredBy: LabelledCounters

  constructor(context: Context.Context<never>) {
    this.context = context
    this.refusedBy = new LabelledCounters(RecorderMetrics.refused, "reason", context, {})
    this.filteredBy = new LabelledCounters(RecorderMetrics.filtered, "transform", context, {})
  }

  accept(n: number): void {
    this.accepted += n
    RecorderMetrics.accepted.updateUnsafe(n, this.context)
  }

  refuse(n: number, reason: string): void {
    this.refusedBy.add(reason, n)
  }

  filter(transform: string): void {
    this.filteredBy.add(transform, 1)
  }

  status(sinks: Readonly<Record<string, SinkStatus>>): RecorderStatus {
    return {
      accepted: this.accepted,
      refused: this.refusedBy.counts,
      filtered: this.filteredBy.counts,
      sinks
    }
  }
}
