/**
 * Acceptance into the journal: what is submitted while an append is under way leaves together with the next one (group
 * commit).
 *
 * Invariants:
 *
 * - One append is under way at most, so events are accepted in the order in which they were submitted.
 * - Every submission is concluded exactly once: accepted, refused, or answered as unknown.
 * - When it is accepted, the head, the ledgers and the settlements change in one turn, before anybody else can run: a caller
 *   goes on at once when it is told, and a sink reads at once when it is woken.
 *
 * What fails: a journal that is full refuses a batch as a whole, so its events are tried again one by one, for which there may
 * be room; meanwhile the sinks are asked for checkpoints, which make room. Where nobody can tell whether an append took
 * place, its callers are told so.
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
 * One event on its way into the journal, and the caller who waits for it. One object with no closure of its own: it is made
 * for every event.
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
   * For the end: refuses what waits. Of an append in flight the answer is awaited a little longer; where none comes, nobody
   * knows what became of it.
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
  const { delivering, ledger, progress, shared } = context

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
    for (const one of batch) one.refuse(error)
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
        : new JournalError({ reason: new JournalFailed({ detail: "it died" }), cause: Cause.squash(cause) })
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
  /** What did not fit together, to be tried one by one. */
  let singly: Batch = []
  /** Set while an append is under way, or will begin in a later turn; the fiber, where it has not answered at once. */
  let appending: Fiber.Fiber<void> | true | undefined
  /** What the append under way carries, where it has not answered at once. */
  let inFlight: Batch = []

  const conclusions = concluding(context, (batch) => {
    singly = [...batch, ...singly]
  })

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
  const append = (batch: Batch): void => {
    const appended = Effect.suspend(() => journal.append(batch.map(({ occurrence }) => occurrence)))
    // Not to be cut short in the middle, and its own answer counts, also for a fiber that is interrupted meanwhile: what is
    // stored and what its caller is told must be the same.
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

  // A write costs the same for one event and for many. A caller that comes while another one is at work, in the same turn, is
  // not alone: what comes until the turn ends leaves together. One caller after the other never waits, nor does anybody for a
  // journal in memory, which writes nothing; where a sync has to be waited for, what comes meanwhile leaves together anyway.
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
    // One that waits for room ends by this, and has stored nothing.
    fiber.interruptUnsafe()
    return Effect.map(Effect.timeoutOption(Fiber.await(fiber), LEAST_WAIT_FOR_APPEND), () => {
      const batch = inFlight
      if (batch.length === 0) return
      inFlight = []
      conclusions.refuseUnknown(
        batch,
        "the recorder was closed while the journal stored it, and the disk has not answered yet; if it is there, the next start delivers it"
      )
    })
  })

  return { submit, waiting: () => waiting.length, isIdle: () => appending === undefined, giveUp }
})
