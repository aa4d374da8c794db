/**
 * How occurrences are folded into series.
 *
 * A sink of a recorder with a journal does it before they are written, so that a flood of events reaches the API server as a
 * few writes with counts that are right. `Correlator` does it; here is what it can be told. A recorder without a journal
 * takes the first step alone (`RepeatOptions`).
 *
 * Three steps, with the numbers of client-go:
 *
 * 1. Equal events (same source, object, type, reason, message) are one series with a count.
 * 2. After 10 distinct messages of a reason on one object, with no pause of 600 seconds between them, further messages are
 *    one series, `(combined from similar events)`.
 * 3. A rate limit for each source, object and type: 25 writes at once, after that one per `refill`.
 *
 * A series has occurrences of one opening of the journal only: after a restart a repeated event begins a new series, as with
 * client-go, and what is held from before is written under its old identity.
 *
 * Where client-go drops events at the third step, occurrences are held here: they are counted, and all of them are written
 * in one write when the rate limit allows it. That is also why a refill of 30 seconds costs the API server no more than the
 * 300 of client-go: see the decision record on correlation.
 *
 * @since 0.1.0
 */
import * as Duration from "effect/Duration"

/**
 * How a sink correlates. See `defaults`, `clientGo` and `off`. `Time` is the type of durations.
 *
 * @category options
 * @since 0.1.0
 */
export interface Correlation<Time = Duration.Input> {
  /**
   * Maximum number of series in memory. The least recently used one is evicted first, and what it holds is written at once.
   */
  readonly capacity: number
  /** Number of distinct messages of a reason on one object after which aggregation starts. 0 turns aggregation off. */
  readonly aggregateAt: number
  /** A pause of this length ends a group of similar events. */
  readonly aggregateWindow: Time
  /** Maximum number of writes of a source about one object and type at once. 0 turns the limit off. */
  readonly burst: number
  /** After the burst, one write per this time. */
  readonly refill: Time
  /**
   * Whether parts of an object (`fieldPath`, such as a container of a pod) have separate aggregates and rate limits. `true`
   * unless given; client-go has one of each for the whole object. Equal events of different parts are different series in
   * either case.
   */
  readonly byFieldPath?: boolean | undefined
}

/**
 * The default: client-go's numbers, but one write per 30 seconds after the burst, and separate for each part of an object:
 *
 * | step | what is alike |
 * | --- | --- |
 * | equal events | source, object with its `fieldPath`, type, reason, action, related object, reporter, message |
 * | aggregate | the same, whatever the message |
 * | budget | source, object with its `fieldPath`, type |
 *
 * The object is kind, namespace, name, uid and apiVersion; the source is component and host; the reporter is controller and
 * instance. Neither a resourceVersion nor the data of an event distinguishes events.
 *
 * @category options
 * @since 0.1.0
 */
export const defaults: Correlation<`${number} seconds`> = {
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
 * The object is kind, namespace, name, uid and apiVersion; the source is component and host. There are two differences. A
 * stored event has `action`, `related` and the reporter too, so events that differ there are never one series or one
 * aggregate here. And equal messages of several parts count as several distinct messages, where client-go counts one.
 *
 * @category options
 * @since 0.1.0
 */
export const clientGo: Correlation<`${number} seconds`> = { ...defaults, refill: "300 seconds", byFieldPath: false }

/**
 * No correlation: every occurrence is a series of its own and is written at once.
 *
 * @category options
 * @since 0.1.0
 */
export const off = "off"

/**
 * The correlation of a sink.
 *
 * @category options
 * @since 0.1.0
 */
export type Options<Time = Duration.Input> = Correlation<Time> | typeof off

/**
 * How a recorder without a journal correlates (`Recorder.layerDirect`): equal events are one series with a count, and
 * nothing is held or combined, because each occurrence is written before its caller is answered. `Correlation.defaults` is
 * such an option too.
 *
 * @category options
 * @since 0.2.0
 */
export interface Repeats {
  /**
   * Maximum number of series in memory. The least recently used one is forgotten first; its event begins a new series when
   * it occurs again. 4,096 unless given.
   */
  readonly capacity?: number | undefined
}

/**
 * The correlation of a recorder without a journal.
 *
 * @category options
 * @since 0.2.0
 */
export type RepeatOptions = Repeats | typeof off

/**
 * Options as a checkpoint contains them: whole numbers, durations in milliseconds, and one order of fields.
 *
 * @category options
 * @since 0.2.0
 */
export interface Normalized {
  readonly capacity: number
  readonly aggregateAt: number
  readonly aggregateWindow: number
  readonly burst: number
  readonly refill: number
  /** Absent unless it is `false`. */
  readonly byFieldPath?: false
}

/**
 * The normal form of options: two that correlate alike have the same.
 *
 * @category options
 * @since 0.2.0
 */
export const normalize = (options: Options): Normalized | typeof off =>
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
 * Whether two options correlate alike, such as `"30 seconds"` and `Duration.seconds(30)`.
 *
 * @category options
 * @since 0.1.0
 */
export const equals = (one: Options, other: Options): boolean =>
  JSON.stringify(normalize(one)) === JSON.stringify(normalize(other))
