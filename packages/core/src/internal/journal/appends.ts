/**
 * Acceptance into the journal: what is submitted while an append is under way leaves together with the next one (group
 * commit).
 *
 * Invariants:
 *
 * - One append is under way at most, so events are accepted in the order in which they were submitted.
 * - Every submission is concluded exactly once: accepted, refused, or answered as unknown.
 * - When it is accepted, the head, the ledgers and the settlements change in one turn, before other code can run: a caller
 *   goes on at once when it is told, and a sink reads at once when it is woken.
 *
 * How it fails: a journal that is full refuses a batch as a whole, so its events are appended again one by one, for some of
 * which there may be room; meanwhile the sinks are asked for checkpoints, which make room. Where it is not known whether an
 * append took place, its callers fail with `Unknown`.
 */
import * as Cause from "effect/Cause"
import type * as Clock from "effect/Clock"
import type * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import { Closed, type RecordError, RecorderError, Unknown } from "../../Delivery.ts"
import type { Occurrence } from "../../Event.ts"
import type * as EventId from "../../EventId.ts"
import { type Journal, JournalError, JournalFailed } from "../../Journal.ts"
import type { Intake } from "../intake.ts"
import type { Ledger } from "../ledger.ts"
import { Notifier } from "../notifier.ts"
import type * as sinks from "../sink/sink.ts"

const MAXIMUM_APPEND = 1_024
/** After so long an append may be waiting for room, which the checkpoints of sinks make. */
const SLOW_APPEND = Duration.millis(100)
/** How long an append in flight is waited for at the end, however short the drain timeout is. */
const LEAST_WAIT_FOR_APPEND = Duration.seconds(1)

/** @internal */
export type Answer<A> = (id: EventId.EventId) => Effect.Effect<A>

/**
 * One event on its way into the journal, and the caller that waits for it. An object without closures, because it is
 * allocated for every event.
 *
 * @internal
 */
export class Submission<out A = unknown> {
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

  /** Called in the turn in which the event is accepted, before any sink can read it. */
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

/**
 * How many submissions were begun, and how many of them are concluded. They end in the order in which they came.
 *
 * @internal
 */
export class Progress {
  begun = 0
  private concluded = 0
  private readonly changed = new Notifier()

  conclude(n: number): void {
    this.concluded += n
    this.changed.notify()
  }

  /** Resolves when so many submissions are concluded. */
  until(submissions: number): Effect.Effect<void> {
    return this.changed.until(() => this.concluded >= submissions)
  }

  /** How many of the first submissions are not concluded. */
  waiting(submissions: number): number {
    return Math.max(0, submissions - this.concluded)
  }
}

/** @internal */
export interface AppendContext {
  readonly journal: Journal["Service"]
  readonly clock: Clock.Clock
  readonly services: Context.Context<never>
  readonly ledger: Ledger
  readonly intake: Intake
  readonly shared: sinks.Shared
  readonly delivering: ReadonlyArray<sinks.Sink>
  readonly progress: Progress
}

/** @internal */
export interface Appends {
  /** Begins the append of one event, or has it wait for the next one. */
  readonly submit: (submission: Submission, caller: Fiber.Fiber<unknown, unknown>) => void
  /** Number of submissions that wait for an append. */
  readonly waiting: () => number
  /** Whether no append is under way and none waits. */
  readonly isIdle: () => boolean
  /**
   * For the end: refuses what waits. The answer to an append in flight is awaited a little longer; without one, its callers
   * fail with `Unknown`.
   */
  readonly giveUp: Effect.Effect<void>
}

// ---------------------------------------------------------------------------
// what an answer of the journal means
// ---------------------------------------------------------------------------

type Batch = ReadonlyArray<Submission>
type AppendExit = Exit.Exit<ReadonlyArray<EventId.EventId>, JournalError>

interface Conclusions {
  /** Applies the answer of the journal. */
  readonly conclude: (batch: Batch, exit: AppendExit) => void
  readonly refuseClosed: (batch: Batch) => void
  readonly refuseUnknown: (batch: Batch, detail: string) => void
}

/** `appendSingly` is called with a batch for which the journal has no room as a whole. */
const concluding = (context: AppendContext, appendSingly: (batch: Batch) => void): Conclusions => {
  const { delivering, intake, ledger, progress, shared } = context

  const accept = (batch: Batch, ids: ReadonlyArray<EventId.EventId>): void => {
    shared.head = ids[ids.length - 1]!.seq
    ledger.accept(batch.length)
    for (const sink of delivering) sink.ledger.addPending(batch.length)
    for (let index = 0; index < batch.length; index++) batch[index]!.accept(ids[index]!)
    for (const sink of delivering) sink.arrived(batch[0]!.occurrence.at)
    for (const one of batch) one.tell()
    progress.conclude(batch.length)
  }

  const refuseAll = (batch: Batch, reason: string, error: RecorderError): void => {
    ledger.refuse(batch.length, reason)
    for (const one of batch) {
      intake.retract(one.occurrence)
      one.refuse(error)
    }
    progress.conclude(batch.length)
  }

  const refuseClosed: Conclusions["refuseClosed"] = (batch) =>
    refuseAll(batch, "closed", new RecorderError({ reason: new Closed() }))

  const refuseUnknown: Conclusions["refuseUnknown"] = (batch, detail) =>
    refuseAll(batch, "unknown", new RecorderError({ reason: new Unknown({ detail }) }))

  const refuse = (batch: Batch, { cause }: Exit.Failure<unknown, JournalError>): void => {
    const found = Cause.findErrorOption(cause)
    if (found._tag === "None" && Cause.hasInterruptsOnly(cause)) return refuseClosed(batch)
    const error =
      found._tag === "Some"
        ? found.value
        : new JournalError({ reason: new JournalFailed({ detail: "the append died" }), cause: Cause.squash(cause) })
    const { reason } = error
    if (reason._tag === "JournalFull") {
      for (const sink of delivering) sink.requestCheckpoint()
      if (batch.length > 1) return appendSingly(batch)
    }
    if (reason._tag === "JournalLost" && reason.applied === "unknown") return refuseUnknown(batch, error.message)
    refuseAll(batch, reason._tag === "JournalFull" ? "full" : "failed", new RecorderError({ reason: error }))
  }

  return {
    conclude: (batch, exit) => (Exit.isSuccess(exit) ? accept(batch, exit.value) : refuse(batch, exit)),
    refuseClosed,
    refuseUnknown
  }
}

// ---------------------------------------------------------------------------
// appends
// ---------------------------------------------------------------------------

/** @internal */
export const make = Effect.fnUntraced(function* (context: AppendContext): Effect.fn.Return<Appends> {
  const { clock, delivering, intake, journal, progress, services } = context
  let dispatcher = yield* Effect.withFiber((fiber) => Effect.succeed(fiber.currentDispatcher))
  const runFork = Effect.runForkWith(services)
  let waiting: Batch & Array<Submission> = []
  /** Events of a batch that did not fit as a whole, to be appended one by one. */
  let singly: Batch = []
  /** Set while an append is under way, or will begin in a later turn; the fiber, where it has not answered at once. */
  let appending: Fiber.Fiber<void> | true | undefined
  /** The batch of an append that has not answered at once. */
  let inFlight: Batch = []

  const conclusions = concluding(context, (batch) => {
    singly = [...batch, ...singly]
  })

  /** A journal that does not answer may be waiting for room, which checkpoints of sinks make. */
  const askForRoom: Effect.Effect<never> = Effect.forever(
    Effect.andThen(
      clock.sleep(SLOW_APPEND),
      Effect.sync(() => {
        for (const sink of delivering) sink.requestCheckpoint()
      })
    )
  )

  /**
   * Appends a batch. What was submitted meanwhile is appended in a later turn of the event loop: callers that are answered
   * continue at once and submit more, which would otherwise never end.
   */
  const append = (batch: Batch): void => {
    const appended = Effect.suspend(() => journal.append(batch.map(({ occurrence }) => occurrence)))
    // Uninterruptible, and its own answer counts even if the fiber is interrupted meanwhile: what is stored and what the
    // caller is told must be the same.
    let answer: AppendExit | undefined
    const noted = Effect.map(Effect.exit(appended), (exit) => {
      answer = exit
    })
    const fiber = runFork(Effect.uninterruptible(noted))
    appending = true
    if (answer !== undefined) {
      conclusions.conclude(batch, answer)
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
      const died = Exit.failCause(Exit.isFailure(exit) ? exit.cause : Cause.die("the append has no answer"))
      conclusions.conclude(batch, answer ?? died)
      appendNext()
    })
  }

  const appendNext = (): void => {
    const batch = nextBatch()
    if (batch !== undefined) append(batch)
  }

  const appendLater = (): void => {
    if (singly.length === 0 && waiting.length === 0) return appendNext()
    dispatcher.scheduleTask(appendNext, 0)
  }

  const nextBatch = (): Batch | undefined => {
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

  // A write to a file costs about the same for one event and for many. So where a second caller submits in the same turn,
  // what is submitted until the turn ends is appended together. A single caller never waits; nor does any for a journal in
  // memory, which writes no file, or one that syncs, where everything that is submitted during a sync is appended together
  // anyway.
  const isCollected = journal.durability === "process"
  let latest: number | undefined

  const submit: Appends["submit"] = (submission, caller) => {
    progress.begun++
    dispatcher = caller.currentDispatcher
    if (appending !== undefined) {
      waiting.push(submission)
      return
    }
    const isAlone = latest === caller.id || latest === undefined
    latest = caller.id
    if (isAlone || !isCollected) return append([submission])
    appending = true
    waiting.push(submission)
    dispatcher.scheduleTask(appendNext, 0)
  }

  const giveUp = Effect.suspend(() => {
    const left = [...singly, ...waiting]
    singly = []
    waiting = []
    if (left.length > 0) conclusions.refuseClosed(left)
    if (appending === undefined || appending === true) return Effect.void
    const fiber = appending
    // An append that waits for room ends by this, and has stored nothing.
    fiber.interruptUnsafe()
    return Effect.map(Effect.timeoutOption(Fiber.await(fiber), LEAST_WAIT_FOR_APPEND), () => {
      const batch = inFlight
      if (batch.length === 0) return
      inFlight = []
      conclusions.refuseUnknown(
        batch,
        "the recorder was closed during the append, before the disk answered; if the append succeeded, the next start delivers the event"
      )
    })
  })

  return { submit, waiting: () => waiting.length, isIdle: () => appending === undefined, giveUp }
})
