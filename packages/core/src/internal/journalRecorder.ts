import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Random from "effect/Random"
import type * as Scope from "effect/Scope"
import type * as Backend from "../Backend.ts"
import type { Occurrence } from "../Event.ts"
import type * as EventId from "../EventId.ts"
import { type Journal, JournalError, JournalFailed } from "../Journal.ts"
import {
  Closed,
  type Delivered,
  type FlushReport,
  type InvalidTimeout,
  type Recorded,
  type RecordError,
  type Recorder,
  RecorderError,
  type Settlement,
  Unknown
} from "../Delivery.ts"
import type { EventDraft } from "../EventDraft.ts"
import type * as acceptance from "./acceptance.ts"
import { Fairness } from "./fairness.ts"
import * as intakes from "./intake.ts"
import { Ledger } from "./ledger.ts"
import { Notifier } from "./notifier.ts"
import type { Options as SinkOptions } from "./sink/context.ts"
import * as sinks from "./sink/sink.ts"

/** @internal */
export interface Options {
  readonly prepare: (draft: EventDraft) => acceptance.Prepared
  readonly journal: Journal["Service"]
  readonly sinks: ReadonlyArray<{ readonly options: SinkOptions; readonly backend: Backend.Service }>
  readonly queueCapacity: number
  readonly drainTimeout: Duration.Duration
}

type Answer<A> = (id: EventId.EventId) => Effect.Effect<A>

/**
 * One event on its way into the journal, and the caller who waits for it. One object with no closure of its own: it is made
 * for every event.
 */
class Submission<out A = unknown> {
  readonly occurrence: Occurrence
  private readonly answer: Answer<A> | undefined
  /** What the caller is told, once it is known. */
  result: Effect.Effect<A, RecordError> | undefined
  private resume: ((result: Effect.Effect<any, RecordError>) => void) | undefined

  constructor(occurrence: Occurrence, answer: Answer<A> | undefined) {
    this.occurrence = occurrence
    this.answer = answer
    this.result = undefined
    this.resume = undefined
  }

  /** Runs in the turn in which the event is accepted, before any sink can read it. */
  accept(id: EventId.EventId): void {
    if (this.answer !== undefined) this.result = this.answer(id)
  }

  refuse(error: RecorderError): void {
    this.result = Effect.fail(error)
    this.tell()
  }

  tell(): void {
    this.resume?.(this.result!)
  }

  wait(): Effect.Effect<A, RecordError> {
    return Effect.callback((resume) => {
      if (this.result === undefined) this.resume = resume
      else resume(this.result)
    })
  }
}

const MAXIMUM_APPEND = 1_024
/** After so long an append may be waiting for room, which the checkpoints of sinks make. */
const SLOW_APPEND = Duration.millis(100)
/** How long an append in flight is waited for at the end, however short the drain timeout is. */
const LEAST_WAIT_FOR_APPEND = Duration.seconds(1)

/** @internal */
export const make = Effect.fnUntraced(function* (
  options: Options
): Effect.fn.Return<Recorder["Service"], JournalError, Scope.Scope> {
  const { drainTimeout, journal, queueCapacity } = options
  const clock = yield* Clock.Clock
  const context = yield* Effect.context()
  let dispatcher = yield* Effect.withFiber((fiber) => Effect.succeed(fiber.currentDispatcher))
  const ledger = new Ledger(context)
  const shared: sinks.Shared = {
    journal,
    clock,
    random: yield* Random.Random,
    head: yield* journal.head,
    targets: new Map()
  }
  const delivering: Array<sinks.Sink> = []
  for (const { backend, options: sinkOptions } of options.sinks) {
    delivering.push(yield* sinks.make(sinkOptions, backend, shared))
  }
  const fairness = new Fairness(clock)
  const intake = new intakes.Intake(options.prepare, ledger, fairness)

  // -------------------------------------------------------------------------
  // acceptance: what comes while an append is under way leaves with the next
  // -------------------------------------------------------------------------

  let waiting: Array<Submission> = []
  /** What did not fit together, to be tried one by one. */
  let singly: Array<Submission> = []
  let appending: Fiber.Fiber<void> | true | undefined
  /** What the append under way carries, where it has not answered at once. */
  let inFlight: ReadonlyArray<Submission> = []
  /** How many submissions were begun, and how many of them are accepted or refused. They end in the order in which they came. */
  let begun = 0
  let concluded = 0
  const changed = new Notifier()

  const runFork = Effect.runForkWith(context)

  /**
   * Head, ledger and settlements change in one turn, before anybody else can run: callers go on at once when they are told,
   * and sinks read at once when they are woken.
   */
  const accept = (batch: ReadonlyArray<Submission>, ids: ReadonlyArray<EventId.EventId>): void => {
    shared.head = ids[ids.length - 1]!.seq
    ledger.accept(batch.length)
    for (const sink of delivering) sink.ledger.addPending(batch.length)
    for (let index = 0; index < batch.length; index++) batch[index]!.accept(ids[index]!)
    for (const sink of delivering) sink.arrived(batch[0]!.occurrence.at)
    for (const one of batch) one.tell()
    count(batch.length)
  }

  const count = (n: number): void => {
    concluded += n
    changed.notify()
  }

  const refuse = (batch: ReadonlyArray<Submission>, exit: Exit.Failure<unknown, JournalError>): void => {
    const found = Cause.findErrorOption(exit.cause)
    if (found._tag === "None" && Cause.hasInterruptsOnly(exit.cause)) return refuseClosed(batch)
    const error =
      found._tag === "Some"
        ? found.value
        : new JournalError({ reason: new JournalFailed({ detail: "it died" }), cause: Cause.squash(exit.cause) })
    if (error.reason._tag === "JournalFull") {
      for (const sink of delivering) sink.requestCheckpoint()
      if (batch.length > 1) {
        // There may be room for some of them.
        singly = [...batch, ...singly]
        return
      }
    }
    if (error.reason._tag === "JournalLost" && error.reason.applied === "unknown") {
      ledger.refuse(batch.length, "unknown")
      return refuseAll(batch, new RecorderError({ reason: new Unknown({ detail: error.message }) }))
    }
    ledger.refuse(batch.length, error.reason._tag === "JournalFull" ? "full" : "failed")
    refuseAll(batch, new RecorderError({ reason: error }))
  }

  const refuseAll = (batch: ReadonlyArray<Submission>, refusal: RecorderError): void => {
    for (const one of batch) one.refuse(refusal)
    count(batch.length)
  }

  const refuseClosed = (batch: ReadonlyArray<Submission>): void => {
    ledger.refuse(batch.length, "closed")
    refuseAll(batch, new RecorderError({ reason: new Closed() }))
  }

  const conclude = (
    batch: ReadonlyArray<Submission>,
    exit: Exit.Exit<ReadonlyArray<EventId.EventId>, JournalError>
  ): void => (Exit.isSuccess(exit) ? accept(batch, exit.value) : refuse(batch, exit))

  /** A journal that takes its time may be waiting for room, which sinks can give it. */
  const askForRoom: Effect.Effect<never> = Effect.forever(
    Effect.andThen(
      clock.sleep(SLOW_APPEND),
      Effect.sync(() => {
        for (const sink of delivering) sink.requestCheckpoint()
      })
    )
  )

  /**
   * Appends a batch; a journal that answers at once needs no fiber of its own. What came meanwhile leaves in a later turn of
   * the event loop: callers who are told go on at once and bring more, which would otherwise never end.
   */
  const appendAll = (batch: ReadonlyArray<Submission>): void => {
    const append = Effect.suspend(() => journal.append(batch.map(({ occurrence }) => occurrence)))
    // Not to be cut short in the middle, and its own answer counts, also for a fiber that is interrupted meanwhile: what is
    // stored and what its caller is told must be the same.
    let answer: Exit.Exit<ReadonlyArray<EventId.EventId>, JournalError> | undefined
    const noted = Effect.map(Effect.exit(append), (exit) => {
      answer = exit
    })
    const fiber = runFork(Effect.uninterruptible(noted))
    appending = true
    if (answer !== undefined) {
      conclude(batch, answer)
      appendLater()
      return
    }
    appending = fiber
    inFlight = batch
    const room = runFork(askForRoom)
    fiber.addObserver((exit) => {
      room.interruptUnsafe()
      // It was answered as unknown before.
      if (inFlight !== batch) return
      inFlight = []
      appending = true
      conclude(
        batch,
        answer ?? Exit.failCause(Exit.isFailure(exit) ? exit.cause : Cause.die("the append has no answer"))
      )
      appendNext()
    })
  }

  const appendNext = (): void => {
    const batch = nextBatch()
    if (batch !== undefined) appendAll(batch)
  }

  const appendLater = (): void => {
    if (singly.length === 0 && waiting.length === 0) return appendNext()
    dispatcher.scheduleTask(appendNext, 0)
  }

  const nextBatch = (): ReadonlyArray<Submission> | undefined => {
    if (singly.length > 0) {
      const batch = [singly[0]!]
      singly = singly.slice(1)
      return batch
    }
    if (waiting.length > 0) {
      const batch = waiting.length <= MAXIMUM_APPEND ? waiting : waiting.slice(0, MAXIMUM_APPEND)
      waiting = waiting.length <= MAXIMUM_APPEND ? [] : waiting.slice(MAXIMUM_APPEND)
      return batch
    }
    appending = undefined
    if (intake.isClosed) for (const sink of delivering) sink.wake()
    return undefined
  }

  /**
   * A write costs the same for one event and for many. Whoever comes while another caller is at work, in the same turn, is
   * not alone: what comes until the turn ends leaves together. One caller after the other never waits, nor does anybody for a
   * journal in memory, which writes nothing; where a sync has to be waited for, what comes meanwhile leaves together anyway.
   */
  const isCollected = journal.durability === "process"
  let latest: number | undefined
  const submit = (one: Submission, caller: Fiber.Fiber<unknown, unknown>): void => {
    begun++
    dispatcher = caller.currentDispatcher
    if (appending !== undefined) {
      waiting.push(one)
      return
    }
    const isAlone = latest === caller.id || latest === undefined
    latest = caller.id
    if (isAlone || !isCollected) return appendAll([one])
    appending = true
    waiting.push(one)
    dispatcher.scheduleTask(appendNext, 0)
  }

  const deliver = <A>(draft: EventDraft, answer: Answer<A>): Effect.Effect<A | intakes.Filtered, RecordError> =>
    intake.record(draft, (occurrence, caller) => {
      const submission = new Submission(occurrence, answer)
      submit(submission, caller)
      // A caller who is interrupted from here on has still recorded its event.
      return submission.result === undefined ? submission.wait() : fairness.answer(caller, submission.result)
    })

  const accepted = (id: EventId.EventId): Effect.Effect<Recorded> => Effect.succeed({ _tag: "Accepted", id })

  const settled =
    (timeout: Duration.Duration) =>
    (id: EventId.EventId): Effect.Effect<Delivered> => {
      const settlements = delivering.map((sink) => [sink.name, sink.awaitSettlement(id.seq)] as const)
      return Effect.map(
        Effect.forEach(
          settlements,
          ([name, settlement]) =>
            Effect.map(
              Duration.isFinite(timeout) ? within(timeout, settlement) : settlement,
              (one) => [name, one] as const
            ),
          { concurrency: "unbounded" }
        ),
        (sinks) => ({ _tag: "Accepted", id, sinks: Object.fromEntries(sinks) })
      )
    }

  const within = (timeout: Duration.Duration, settlement: Effect.Effect<Settlement>): Effect.Effect<Settlement> =>
    Effect.timeoutOrElse(settlement, {
      duration: timeout,
      orElse: () => Effect.succeed<Settlement>({ _tag: "Pending" })
    })

  const flush = (given: Duration.Input): Effect.Effect<FlushReport, InvalidTimeout> =>
    intakes.withDeadline(given, (deadline) => {
      const upTo = begun
      let seq: number | undefined
      const everything = Effect.andThen(
        changed.until(() => concluded >= upTo),
        Effect.suspend(() => {
          const accepted = shared.head
          seq = accepted
          return Effect.forEach(delivering, (sink) => sink.awaitSettled(accepted), {
            concurrency: "unbounded",
            discard: true
          })
        })
      )
      return Effect.map(Effect.timeoutOption(everything, deadline), () => ({
        complete: seq !== undefined && delivering.every((sink) => sink.isSettled(seq!)),
        waiting: Math.max(0, upTo - concluded),
        pending: Object.fromEntries(delivering.map(({ ledger, name }) => [name, ledger.pending]))
      }))
    })

  /**
   * What is still waiting for the journal when the deadline has passed is refused. Of an append in flight the answer is
   * awaited a little longer; where none comes, nobody knows what became of it.
   */
  const giveUpWaiting = Effect.suspend(() => {
    const left = [...singly, ...waiting]
    singly = []
    waiting = []
    if (left.length > 0) refuseClosed(left)
    if (appending === undefined || appending === true) return Effect.void
    const fiber = appending
    // One that waits for room ends by this, and has stored nothing.
    fiber.interruptUnsafe()
    return Effect.map(Effect.timeoutOption(Fiber.await(fiber), LEAST_WAIT_FOR_APPEND), () => {
      const batch = inFlight
      if (batch.length === 0) return
      inFlight = []
      ledger.refuse(batch.length, "unknown")
      const detail =
        "the recorder was closed while the journal stored it, and the disk has not answered yet; if it is there, the next start delivers it"
      refuseAll(batch, new RecorderError({ reason: new Unknown({ detail }) }))
    })
  })

  yield* Effect.addFinalizer(() =>
    Effect.suspend(() => {
      intake.isClosed = true
      const complete = () => appending === undefined
      return Effect.forEach(delivering, ({ drain }) => drain(complete), {
        concurrency: "unbounded",
        discard: true
      }).pipe(
        Effect.timeoutOption(drainTimeout),
        Effect.andThen(giveUpWaiting),
        Effect.andThen(
          Effect.forEach(
            delivering,
            ({ ledger, stop }) =>
              Effect.ensuring(
                stop,
                Effect.sync(() => ledger.close())
              ),
            { discard: true }
          )
        )
      )
    })
  )

  const parked = Effect.forEach(delivering, ({ name, parked }) =>
    Effect.map(parked, (list) => list.map((one) => ({ sink: name, ...one })))
  )

  const sinkNamed = (name: string, use: (sink: sinks.Sink) => Effect.Effect<number, JournalError>) => {
    const sink = delivering.find((one) => one.name === name)
    return sink === undefined ? Effect.succeed(0) : use(sink)
  }

  return {
    record: (draft) => deliver<Recorded>(draft, accepted),
    recordSettled: (draft, options) =>
      intake.timeout(options?.timeout, (timeout) => deliver<Delivered>(draft, settled(timeout))),
    recordNow: (draft) =>
      Effect.withFiber((caller) => {
        const occurrence = intake.recordNow(draft, waiting.length >= queueCapacity)
        if (occurrence !== undefined) submit(new Submission(occurrence, undefined), caller)
        return Effect.void
      }),
    flush,
    status: Effect.sync(() => ledger.status(Object.fromEntries(delivering.map((sink) => [sink.name, sink.status()])))),
    parked: Effect.map(parked, (lists) => lists.flat()),
    retryParked: (name, series) => sinkNamed(name, (sink) => sink.retryParked(series)),
    dropParked: (name, series) => sinkNamed(name, (sink) => sink.dropParked(series))
  }
})
