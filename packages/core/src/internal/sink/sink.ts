/**
 * One sink of a recorder: it reads the journal, folds occurrences into series, and writes them to one backend.
 *
 * One fiber, the pump, does everything in turns: it reads a page and folds it, releases what is due, begins writes, makes
 * room, writes a checkpoint, and sleeps until something changes or is due. What ends outside of a turn (a write, a request
 * of an operator) changes the state at once and wakes the pump.
 *
 * Invariants:
 *
 * - Conservation: `accepted + recovered = settled + parked + dropped + pending`, at every moment (`ledger.ts`).
 * - Every occurrence that was read is in exactly one place until it is settled (`state.ts`), and a checkpoint has all of
 *   them.
 * - Counts of a series are absolute, and a write that is retried has the same id, so a repetition after a crash adds
 *   nothing.
 * - Nothing is written before the target is in a checkpoint, and nothing while another store answers.
 *
 * How it fails: a backend that fails is retried without end, a series that can never be written is parked, a journal that
 * fails is retried while delivery goes on. A target that two sinks share, or a defect, halts the sink until an operator
 * restarts the recorder; what is accepted stays in the journal.
 *
 * - `state.ts`: what is read and not settled, with the outbox of series to deliver, and its form in a checkpoint
 * - `reading.ts`: reading the journal and folding occurrences into series
 * - `dispatch.ts`: which series are written next, the writes and their outcomes
 * - `settlements.ts`: the callers who wait for an outcome
 * - `availability.ts` and `rateLimits.ts`: what failures mean, and what is reported about them
 * - `parking.ts` and `operatorRequests.ts`: series that are kept for an operator, and what operators ask for
 * - `checkpoints.ts`: when checkpoints are written, and a journal that fails
 * - `signal.ts` and `time.ts`: waiting, clocks, delays
 */
import * as Cause from "effect/Cause"
import type * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Scope from "effect/Scope"
import type * as Backend from "../../Backend.ts"
import { isTemporary } from "../../BackendError.ts"
import * as Correlation from "../../Correlation.ts"
import type { Settlement, SinkStatus } from "../../Delivery.ts"
import type * as EventId from "../../EventId.ts"
import { type Journal, JournalDamaged, JournalError, type Parked } from "../../Journal.ts"
import * as Target from "../../Target.ts"
import type * as Timestamp from "../../Timestamp.ts"
import type { RandomService } from "../backoff.ts"
import { SinkLedger } from "../ledger.ts"
import * as outcomes from "../outcomes.ts"
import { Availability, Health } from "./availability.ts"
import * as checkpointing from "./checkpoints.ts"
import type { Options, SinkContext } from "./context.ts"
import * as dispatching from "./dispatch.ts"
import * as operatorRequests from "./operatorRequests.ts"
import * as parkings from "./parking.ts"
import * as readings from "./reading.ts"
import { Settlements } from "./settlements.ts"
import { Signal } from "./signal.ts"
import { SinkState } from "./state.ts"
import { SinkTime } from "./time.ts"

/**
 * What the sinks of one recorder have in common.
 *
 * @internal
 */
export interface Shared {
  readonly journal: Journal["Service"]
  readonly clock: Clock.Clock
  readonly random: RandomService
  /** The last sequence number that is accepted; nothing beyond it is read, though the journal may already have it. */
  head: number
  /** What each sink writes to, by the name of the sink. */
  readonly targets: Map<string, Target.Target>
}

/** @internal */
export interface Sink {
  readonly name: string
  readonly ledger: SinkLedger
  readonly status: () => SinkStatus
  /** There is something new to read; `since` is when the first of it happened. */
  readonly arrived: (since: Timestamp.Micros) => void
  readonly wake: () => void
  /** Makes the next checkpoint due soon, because the journal needs room. */
  readonly requestCheckpoint: () => void
  /** Resolves when the occurrence has an outcome. To be called before the sink can read it. */
  readonly awaitSettlement: (seq: number) => Effect.Effect<Settlement>
  /** Resolves when everything up to `seq` is settled, parked or dropped; what is held is released at once. */
  readonly awaitSettled: (seq: number) => Effect.Effect<void>
  readonly isSettled: (seq: number) => boolean
  readonly parked: Effect.Effect<ReadonlyArray<Parked>, JournalError>
  readonly retryParked: (series: ReadonlyArray<EventId.EventId>) => Effect.Effect<number, JournalError>
  readonly dropParked: (series: ReadonlyArray<EventId.EventId>) => Effect.Effect<number, JournalError>
  /**
   * For the closing scope: releases what is held, and waits until everything accepted has an outcome and `complete` is
   * true.
   */
  readonly drain: (complete: () => boolean) => Effect.Effect<void>
  /** After the drain: writes a last checkpoint where the journal is durable; otherwise drops the rest. */
  readonly stop: Effect.Effect<void>
}

/** @internal */
export const make = Effect.fnUntraced(function* (
  options: Options,
  backend: Backend.Service,
  shared: Shared
): Effect.fn.Return<Sink, JournalError, Scope.Scope> {
  const context = yield* makeContext(options, backend, shared)
  const { health, isDurable, ledger, scope, signal, state, time } = context
  const settlements = new Settlements(state.keyOf, isDurable)
  const checkpoints = checkpointing.make(context)
  const reading = readings.make(context, checkpoints, settlements)
  const parking = parkings.make(context, checkpoints, settlements)
  const dispatch = dispatching.make(context, parking, settlements)
  yield* Scope.addFinalizer(scope, dispatch.interruptWrites)

  yield* restore(context, checkpoints, reading)

  const closing = { isRequested: false }
  const bind = binding(context, shared, { checkpoints, settlements, closing })
  const pump = pumping(context, { bind, checkpoints, closing, dispatch, parking, reading })
  // No part of it should die. If one does, an operator must know; what is accepted stays in the journal.
  const watchedPump = Effect.tapCause(pump, (cause) =>
    Effect.suspend(() => {
      if (Cause.hasInterruptsOnly(cause)) return Effect.void
      health.halt(`it failed: ${String(Cause.squash(cause))}`)
      settlements.endAll("halted")
      context.publish()
      return Effect.logError(`The sink "${options.name}" failed`, cause)
    })
  )
  yield* Effect.forkIn(watchedPump, scope)
  if (isDurable) yield* Effect.forkIn(operatorRequests.poll(context, parking), scope)

  /**
   * Releases what is held of the occurrences up to a sequence number, whatever its rate limit. Only once all of them are
   * read: a series that is released earlier is held again from its next occurrence on, and would be written once for each
   * page.
   */
  const flushHeld = (upTo: number): boolean => {
    if (state.position < upTo) return false
    if (state.correlator.held > 0) {
      state.release(state.correlator.drain(upTo))
      signal.notify()
    }
    return true
  }

  return {
    name: options.name,
    ledger,
    status: () => {
      ledger.state = health.now()
      const since = state.oldest()?.since ?? state.unreadSince
      return ledger.status(since === undefined ? 0 : time.wall() - since)
    },
    arrived: (since) => {
      state.unreadSince ??= since
      signal.notify()
    },
    wake: () => signal.notify(),
    requestCheckpoint: () => {
      checkpoints.requestCheckpoint()
      signal.notify()
    },
    awaitSettlement: (seq) =>
      health.isStopped || health.isHalted
        ? Effect.succeed(settlements.unsettled(health.isStopped ? "shutdown" : "halted"))
        : settlements.await(seq),
    isSettled: (seq) => state.isSettled(seq),
    awaitSettled: (seq) => {
      let flushed = false
      return signal.until(() => {
        if (health.isStopped || health.haltedFor === "repair") return true
        flushed ||= flushHeld(seq)
        return flushed && state.isSettled(seq)
      })
    },
    parked: parking.list,
    retryParked: parking.retry,
    dropParked: parking.drop,
    drain: (complete) =>
      Effect.suspend(() => {
        closing.isRequested = true
        time.isClosing = true
        context.availability.retryNow()
        signal.notify()
        let flushed = false
        return signal.until(() => {
          if (health.isHalted) return true
          if (!complete()) return false
          flushed ||= flushHeld(shared.head)
          return flushed && state.isSettled(shared.head)
        })
      }),
    stop: Effect.suspend(() => {
      health.isStopped = true
      ledger.state = "down"
      settlements.endAll("shutdown")
      health.reportEnd(ledger.pending, isDurable)
      // Callers of `awaitSettled` must not wait on.
      signal.notify()
      return isDurable ? saveAtEnd(context, checkpoints) : dropAtEnd(context, checkpoints)
    })
  }
})

/** Makes the parts that run no fiber. */
const makeContext = Effect.fnUntraced(function* (
  options: Options,
  backend: Backend.Service,
  shared: Shared
): Effect.fn.Return<SinkContext, never, Scope.Scope> {
  const { clock, journal, random } = shared
  const services = yield* Effect.context()
  // A scope of its own: the recorder drains while its scope closes, and fibers in a scope that closes are interrupted.
  const scope = yield* Effect.acquireRelease(Scope.make(), (scope) => Scope.close(scope, Exit.void))
  const isDurable = journal.durability !== "memory"
  const runFork = Effect.runForkWith(services)
  const time = new SinkTime(clock, random)
  const signal = new Signal(time, runFork)
  yield* Effect.addFinalizer(() => Effect.sync(() => signal.cancelAlarm()))
  const ledger = new SinkLedger(options.name, services)
  const state = new SinkState({ correlation: options.correlation, isDurable, origin: journal.origin }, ledger)
  const availability = new Availability(state.outbox, time, options.concurrency)
  const health = new Health({ name: options.name, ledger, outbox: state.outbox, availability, time, runFork })
  return {
    options,
    backend,
    journal,
    isDurable,
    head: () => shared.head,
    clock,
    runFork,
    scope,
    time,
    signal,
    ledger,
    state,
    availability,
    health,
    publish: () => {
      health.report()
      signal.notify()
    }
  }
})

/** Restores the last checkpoint of an earlier opening; a new sink begins at the head and writes its first checkpoint. */
const restore = Effect.fnUntraced(function* (
  { head, journal, ledger, options, state }: SinkContext,
  checkpoints: checkpointing.Checkpoints,
  reading: readings.Reading
): Effect.fn.Return<void, JournalError> {
  const { correlation, name } = options
  const restored = yield* journal.restore(name)
  // A sink without a checkpoint is new: it delivers what is accepted from now on.
  state.position = restored?.upTo ?? head()
  state.savedUpTo = state.position
  if (restored?.target !== undefined) state.target = Target.make(restored.target, restored)
  const unread = Math.max(0, head() - state.position)
  if (restored !== undefined && restored.state !== null) {
    const damaged = new JournalDamaged({ detail: `the checkpoint of the sink "${name}" cannot be read` })
    yield* Effect.try({
      try: () => state.restore(restored.state),
      catch: (cause) => new JournalError({ reason: damaged, cause })
    })
    if (!Correlation.equals(state.correlator.options, correlation)) reading.keepRestoredOptions()
  }
  state.restoreKept((yield* journal.parked(name)).map(({ write }) => write.id))
  ledger.recover(unread + state.pending, state.parkedOccurrences)
  ledger.held = state.correlator.held
  if (unread > 0) {
    const first = yield* Effect.option(journal.read(name, state.position, 1))
    if (first._tag === "Some") state.unreadSince = first.value.entries[0]?.occurrence.at
  }
  // Before the first event is accepted, so that a later start does not take this sink for a new one.
  if (restored === undefined) yield* checkpoints.make
})

/** Set once the recorder drains. */
interface Closing {
  isRequested: boolean
}

/** Waits for a time of the monotonic clock, or until the drain begins. */
const pauseUntil = Effect.fnUntraced(function* ({ signal, time }: SinkContext, closing: Closing, at: number) {
  const wasRequested = closing.isRequested
  while (time.monotonic() < at && closing.isRequested === wasRequested) {
    // Requested each time: an alarm may be early, or was set for an earlier time than this one.
    const { changes } = signal
    signal.notifyAt(at)
    yield* signal.until(() => signal.changes !== changes)
  }
})

/**
 * Binds the sink to its target. Nothing is written before the target is known, and saved in a checkpoint; and a better name
 * of it is saved before it is used. While another store answers than the one that the journal belongs to, everything waits,
 * because the address may lead to the right one again.
 */
const binding = (
  context: SinkContext,
  shared: Shared,
  parts: {
    readonly checkpoints: checkpointing.Checkpoints
    readonly settlements: Settlements
    readonly closing: Closing
  }
): Effect.Effect<void> => {
  const { backend, health, options, publish, state, time } = context
  const { checkpoints, closing, settlements } = parts
  const { name } = options
  const timedOut = outcomes.timedOutAfter(options.writeTimeout)

  const askTarget: Effect.Effect<Target.Target> = Effect.gen(function* () {
    let failures = 0
    while (true) {
      const answer = yield* Effect.result(
        Effect.timeoutOrElse(backend.target, { duration: options.writeTimeout, orElse: () => Effect.fail(timedOut) })
      )
      if (answer._tag === "Success") return answer.success
      failures++
      health.unreachable = isTemporary(answer.failure) ? "degraded" : "blocked"
      health.failed(answer.failure.message)
      health.report()
      yield* pauseUntil(context, closing, time.monotonic() + time.backoff(failures))
    }
  })

  /** A lost journal stores nothing, and no later start reads it, so delivery may go on without a checkpoint. */
  const saveTarget: Effect.Effect<void> = Effect.suspend(() => {
    let lost: JournalError | undefined
    const make = Effect.catch(checkpoints.make, (error) => {
      if (error.reason._tag !== "JournalLost") return Effect.fail(error)
      lost = error
      return Effect.void
    })
    return Effect.map(checkpoints.retryForever(make), () => {
      if (lost !== undefined) health.journalFailed(lost)
    })
  })

  const accept = (found: Target.Target): Effect.Effect<void> => {
    const bound = state.target
    const target = bound === undefined ? found : Target.learned(bound, found)
    const other = Array.from(shared.targets).find(([sink, used]) => sink !== name && Target.isSame(used, target))
    if (other !== undefined) {
      health.halt(`the sink "${other[0]}" writes to the same target, ${found.id}: two sinks need two targets`)
      settlements.endAll("halted")
      return Effect.void
    }
    health.matched()
    shared.targets.set(name, target)
    if (bound !== undefined && Target.equals(bound, target)) return Effect.void
    state.target = target
    return saveTarget
  }

  const mismatchOf = (bound: Target.Target, found: Target.Target): string =>
    found.isUncertain === true && bound.isUncertain !== true
      ? `its journal belongs to ${bound.id}, and of the backend only ${found.id} can be determined, which other stores may ` +
        `share: grant the permission to determine more, or give this backend a journal of its own`
      : `its journal belongs to ${bound.id}, the backend is ${found.id}: point it back, or give this backend a journal of ` +
        `its own`

  return Effect.gen(function* () {
    while (true) {
      const found = yield* askTarget
      health.unreachable = undefined
      const bound = state.target
      if (bound === undefined || Target.isContinued(bound, found)) {
        yield* accept(found)
        return publish()
      }
      // It may take long, so callers that wait are answered now.
      settlements.endAll("halted")
      health.mismatched(mismatchOf(bound, found))
      publish()
      yield* pauseUntil(context, closing, time.monotonic() + time.backoff(health.mismatches))
    }
  })
}

const pumping = (
  context: SinkContext,
  parts: {
    readonly bind: Effect.Effect<void>
    readonly checkpoints: checkpointing.Checkpoints
    readonly closing: Closing
    readonly dispatch: dispatching.Dispatch
    readonly parking: parkings.Parking
    readonly reading: readings.Reading
  }
): Effect.Effect<void> => {
  const { health, signal, state, time } = context
  const { bind, checkpoints, closing, dispatch, parking, reading } = parts

  /** When the pump has something to do without a notification. */
  const dueAt = (): number => {
    const now = time.wall()
    const nextTick = state.correlator.nextTick(now)
    return Math.min(
      checkpoints.dueAt(),
      reading.dueAt(),
      dispatch.dueAt(),
      health.logDueAt(),
      nextTick === undefined ? Number.POSITIVE_INFINITY : time.monotonic() + Math.max(0, nextTick - now)
    )
  }

  return Effect.gen(function* () {
    yield* bind
    while (!health.isStopped) {
      if (health.isHalted) {
        if (health.haltedFor === "repair") return
        // What is settled must be saved even if the right store never comes back.
        yield* Effect.ignore(checkpoints.make)
        yield* pauseUntil(context, closing, time.monotonic() + time.backoff(health.mismatches))
        yield* bind
        continue
      }
      const seen = signal.changes
      yield* reading.next
      yield* reading.applyConfiguredOptions
      state.release(state.correlator.tick(time.wall()))
      dispatch.begin()
      yield* parking.makeRoom
      yield* checkpoints.makeIfDue
      health.report()
      if (reading.limit() > state.position) continue
      const due = dueAt()
      if (due > time.monotonic()) {
        signal.notifyAt(due)
        yield* signal.until(() => signal.changes !== seen)
      }
      // Yield, so that producers can enqueue more before the next turn.
      yield* Effect.yieldNow
    }
  })
}

/** Writes the last checkpoint, after one that is being written, which must not be interrupted. */
const saveAtEnd = (
  { ledger, options, state }: SinkContext,
  checkpoints: checkpointing.Checkpoints
): Effect.Effect<void> => {
  const isUnsaved = () => state.isChanged || state.position !== state.savedUpTo
  const last = Effect.catch(checkpoints.makeExclusive, ({ message }) =>
    Effect.logWarning(
      `The sink "${options.name}" ends without a last checkpoint, with ${ledger.pending} occurrences that are not delivered: ${message}`
    )
  )
  return checkpoints.exclusively(Effect.suspend(() => (isUnsaved() ? last : Effect.void)))
}

const dropAtEnd = (
  { head, ledger, state }: SinkContext,
  checkpoints: checkpointing.Checkpoints
): Effect.Effect<void> => {
  if (ledger.pending > 0) ledger.drop(ledger.pending, "shutdown")
  ledger.addPending(-ledger.pending)
  state.position = head()
  return Effect.ignore(checkpoints.make)
}
