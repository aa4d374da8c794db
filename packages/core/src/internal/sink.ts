/**
 * One sink of a recorder: what it is made of, how it starts, the loop it lives in, and how it ends.
 *
 * Everything is done by one fiber, the pump, in turns: read a page and fold it, let go of what may leave, begin writes, make
 * room, make a checkpoint, sleep until something changes or is due. What ends outside of a turn (a write, a request of a
 * person) changes the state at once and wakes the pump.
 *
 * - `sinkState.ts`: what is read and not through, and its place in a checkpoint; `sinkOutbox.ts`: the series to deliver
 * - `sinkReading.ts`: reading and folding; `sinkCheckpoints.ts`: checkpoints, and a journal that fails
 * - `sinkDispatch.ts`: which series go next; `sinkDelivery.ts`: writing them, and what comes of it
 * - `sinkFailures.ts`: what failures mean (away, stuck, throttled); `sinkParking.ts`: what is kept aside
 * - `sinkExpectations.ts`: callers who wait; `sinkHealth.ts`: the state that is told; `ledger.ts`: the books
 * - `sinkSignal.ts` and `sinkTime.ts`: waiting, clocks, pauses
 */
import * as Cause from "effect/Cause"
import type * as Clock from "effect/Clock"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Random from "effect/Random"
import * as Scope from "effect/Scope"
import type * as Backend from "../Backend.ts"
import * as Correlation from "../Correlation.ts"
import type * as EventId from "../EventId.ts"
import { type Journal, JournalDamaged, JournalError, type Parked } from "../Journal.ts"
import type { Settlement, SinkStatus } from "../Recorder.ts"
import * as Target from "../Target.ts"
import type * as Timestamp from "../Timestamp.ts"
import { SinkLedger } from "./ledger.ts"
import * as sinkCheckpoints from "./sinkCheckpoints.ts"
import * as sinkDelivery from "./sinkDelivery.ts"
import { Dispatch } from "./sinkDispatch.ts"
import { Expectations } from "./sinkExpectations.ts"
import { Failures, isSlow } from "./sinkFailures.ts"
import { Health } from "./sinkHealth.ts"
import * as sinkParking from "./sinkParking.ts"
import * as sinkReading from "./sinkReading.ts"
import { Signal } from "./sinkSignal.ts"
import { SinkState } from "./sinkState.ts"
import { LAST_DELAY, SinkTime } from "./sinkTime.ts"

/** @internal */
export interface Options {
  readonly name: string
  readonly correlation: Correlation.Options
  /** Writes under way at once. */
  readonly concurrency: number
  /** Items in one write. */
  readonly batch: number
  /** Series that wait for delivery at the most; what is beyond it stays in the journal. */
  readonly capacity: number
  readonly writeTimeout: Duration.Duration
}

/**
 * What the sinks of one recorder have in common.
 *
 * @internal
 */
export interface Shared {
  readonly journal: Journal["Service"]
  readonly clock: Clock.Clock
  readonly random: Effect.Success<typeof Random.Random>
  /** The last seq that is accepted; nothing beyond it is read, though the journal may already have it. */
  head: number
  /** What each sink writes to, by its name. */
  readonly targets: Map<string, Target.Target>
}

/** @internal */
export interface Sink {
  readonly name: string
  readonly ledger: SinkLedger
  readonly status: () => SinkStatus
  /** Tells that there is something new to read, and when the first of it happened. */
  readonly arrived: (since: Timestamp.Micros) => void
  /** Tells to look again. */
  readonly wake: () => void
  /** Asks for a checkpoint soon, because the journal needs room. */
  readonly relieve: () => void
  /** Resolves when the sink is through with the occurrence; called before the sink can have read it. */
  readonly expect: (seq: number) => Effect.Effect<Settlement>
  /** Resolves when everything up to `seq` is through; what is held leaves at once. */
  readonly through: (seq: number) => Effect.Effect<void>
  readonly isThrough: (seq: number) => boolean
  readonly parked: Effect.Effect<ReadonlyArray<Parked>, JournalError>
  readonly retryParked: (series: ReadonlyArray<EventId.EventId>) => Effect.Effect<number, JournalError>
  readonly dropParked: (series: ReadonlyArray<EventId.EventId>) => Effect.Effect<number, JournalError>
  /** For the closing scope: lets go of what is held and waits until everything accepted is through and `complete`. */
  readonly drain: (complete: () => boolean) => Effect.Effect<void>
  /** After the drain: a last checkpoint where the journal outlives this process, else the rest is dropped. */
  readonly stop: Effect.Effect<void>
}

/** @internal */
export const make = Effect.fnUntraced(function* (
  options: Options,
  backend: Backend.Service,
  shared: Shared
): Effect.fn.Return<Sink, JournalError, Scope.Scope> {
  const { clock, journal, random } = shared
  const { correlation, name } = options
  const context = yield* Effect.context()
  // Of its own: what is forked into a scope that is closing is interrupted, and the drain is a part of the closing.
  const scope = yield* Effect.acquireRelease(Scope.make(), (scope) => Scope.close(scope, Exit.void))
  const isDurable = journal.durability !== "memory"

  // -------------------------------------------------------------------------
  // parts
  // -------------------------------------------------------------------------

  const runFork = Effect.runForkWith(context)
  const head = () => shared.head
  const time = new SinkTime(clock, random)
  const signal = new Signal(time, runFork)
  yield* Effect.addFinalizer(() => Effect.sync(() => signal.cancel()))

  const ledger = new SinkLedger(name, context)
  const state = new SinkState({ correlation, isDurable, origin: journal.origin }, ledger)
  const { outbox } = state
  const expectations = new Expectations(state.keyOf, isDurable)
  const failures = new Failures(outbox, time, options.concurrency)
  const health = new Health(name, { ledger, outbox, failures, time, runFork })
  const dispatch = new Dispatch(outbox, failures, time, options)

  const common = { journal, state, ledger, expectations, failures, health, signal, time, head }
  const checkpoints = sinkCheckpoints.make(options, common)
  const reading = sinkReading.make(options, { ...common, checkpoints })
  const parking = sinkParking.make(options, { ...common, checkpoints })
  const delivery = sinkDelivery.make(options, { ...common, backend, dispatch, parking, clock, runFork, scope })
  yield* Scope.addFinalizer(scope, delivery.cutOff)

  // -------------------------------------------------------------------------
  // start
  // -------------------------------------------------------------------------

  const restored = yield* journal.restore(name)
  // A sink that has no checkpoint was never there before: it gets what is accepted from now on.
  state.position = restored?.upTo ?? shared.head
  state.savedUpTo = state.position
  if (restored?.target !== undefined) state.target = Target.make(restored.target, restored)
  const unread = Math.max(0, shared.head - state.position)
  if (restored !== undefined && restored.state !== null) {
    const damaged = new JournalDamaged({ detail: `the checkpoint of the sink "${name}" cannot be read` })
    yield* Effect.try({
      try: () => state.restore(restored.state),
      catch: (cause) => new JournalError({ reason: damaged, cause })
    })
    if (!Correlation.equals(state.correlator.options, correlation)) reading.foldAsBefore()
  }
  state.restoreKept((yield* journal.parked(name)).map(({ write }) => write.id))
  ledger.recover(unread + state.pending, state.parkedOccurrences)
  ledger.held = state.correlator.held
  if (unread > 0) {
    const first = yield* Effect.option(journal.read(name, state.position, 1))
    if (first._tag === "Some") state.unreadSince = first.value.entries[0]?.occurrence.at
  }
  // Before the first event is accepted, so that no later start takes this sink for a new one.
  if (restored === undefined) yield* checkpoints.make

  // -------------------------------------------------------------------------
  // life
  // -------------------------------------------------------------------------

  const timedOut = sinkDelivery.timedOutAfter(options.writeTimeout)
  let draining = false

  /** Waits for a time of the monotonic clock, or until the closing scope asks for haste. */
  const pauseUntil = Effect.fnUntraced(function* (again: number) {
    const wasDraining = draining
    while (time.monotonic() < again && draining === wasDraining) {
      // Each time anew: a timer may ring a little early, and for an earlier alarm than this one.
      const { changes } = signal
      signal.notifyAt(again)
      yield* signal.until(() => signal.changes !== changes)
    }
  })

  const askTarget: Effect.Effect<Target.Target> = Effect.gen(function* () {
    let failures = 0
    while (true) {
      const answer = yield* Effect.result(
        Effect.timeoutOrElse(backend.target, { duration: options.writeTimeout, orElse: () => Effect.fail(timedOut) })
      )
      if (answer._tag === "Success") return answer.success
      failures++
      health.unreachable = isSlow(answer.failure) ? "blocked" : "degraded"
      ledger.lastError = answer.failure.message
      health.tell()
      yield* pauseUntil(time.monotonic() + time.backoff(failures, LAST_DELAY))
    }
  })

  const halt = (why: string): void => {
    health.halt(why)
    expectations.giveUp("halted")
  }

  /** A journal that is lost can note nothing, and no later start finds in it what is delivered without. */
  const noteTarget: Effect.Effect<void> = Effect.suspend(() => {
    let lost: JournalError | undefined
    const make = Effect.catch(checkpoints.make, (error) => {
      if (error.reason._tag !== "JournalLost") return Effect.fail(error)
      lost = error
      return Effect.void
    })
    return Effect.map(checkpoints.insist(make), () => {
      if (lost !== undefined) health.journalFailed(lost)
    })
  })

  /**
   * Nothing is written before it is known where to: the target is in a checkpoint before the first write, and before the
   * first one under a better name. While another store answers than the journal belongs to, everything waits: the address
   * may lead back to the right one.
   */
  const bind = Effect.gen(function* () {
    while (true) {
      const found = yield* askTarget
      health.unreachable = undefined
      const bound = state.target
      if (bound === undefined || Target.isContinued(bound, found)) {
        const target = bound === undefined ? found : Target.learned(bound, found)
        const other = Array.from(shared.targets).find(([sink, used]) => sink !== name && Target.isSame(used, target))
        if (other !== undefined) {
          halt(`the sink "${other[0]}" writes to the same target, ${found.id}: two sinks need two targets`)
        } else {
          health.matched()
          shared.targets.set(name, target)
          if (bound === undefined || !Target.equals(bound, target)) {
            state.target = target
            yield* noteTarget
          }
        }
        health.tell()
        return signal.notify()
      }
      // It may take long, so callers are not kept waiting for it.
      expectations.giveUp("halted")
      health.mismatched(
        found.isUncertain === true && bound.isUncertain !== true
          ? `its journal belongs to ${bound.id}, and of the backend only ${found.id} can be found out, which other stores may ` +
              `be as well: grant the right to find out more, or give this backend a journal of its own`
          : `its journal belongs to ${bound.id}, the backend is ${found.id}: point it back, or give this backend a journal of ` +
              `its own`
      )
      health.tell()
      signal.notify()
      yield* pauseUntil(time.monotonic() + time.backoff(health.mismatches, LAST_DELAY))
    }
  })

  /** When the pump has something to do though nothing changes. */
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

  const pump = Effect.gen(function* () {
    yield* bind
    while (!health.isStopped) {
      if (health.isHalted) {
        if (health.haltedFor === "repair") return
        // What is settled must not wait for the right store to come back.
        yield* Effect.ignore(checkpoints.make)
        yield* pauseUntil(time.monotonic() + time.backoff(health.mismatches, LAST_DELAY))
        yield* bind
        continue
      }
      const seen = signal.changes
      yield* reading.next
      yield* reading.changeConfiguration
      state.release(state.correlator.tick(time.wall()))
      delivery.begin()
      yield* parking.makeRoom
      yield* checkpoints.makeIfDue
      health.tell()
      if (reading.upTo() > state.position) continue
      const due = dueAt()
      if (due > time.monotonic()) {
        signal.notifyAt(due)
        yield* signal.until(() => signal.changes !== seen)
      }
      // Whoever woke it goes on first, and brings more with it.
      yield* Effect.yieldNow
    }
  })

  // Nothing here should die. If it does, a person has to know, and what is accepted waits in the journal.
  const watchedPump = Effect.tapCause(pump, (cause) =>
    Effect.suspend(() => {
      if (Cause.hasInterruptsOnly(cause)) return Effect.void
      halt(`it broke down: ${String(Cause.squash(cause))}`)
      health.tell()
      signal.notify()
      return Effect.logError(`The sink "${name}" broke down`, cause)
    })
  )
  yield* Effect.forkIn(watchedPump, scope)
  if (isDurable) yield* Effect.forkIn(parking.attend, scope)

  // -------------------------------------------------------------------------
  // end
  // -------------------------------------------------------------------------

  /**
   * What is held of the occurrences up to a place leaves, whatever its budget says. Only once all of them are read: what is
   * let go earlier is held anew with the next of its occurrences, and would leave once for each page.
   */
  const flushHeld = (upTo: number): boolean => {
    if (state.position < upTo) return false
    if (state.correlator.held > 0) {
      state.release(state.correlator.drain(upTo))
      signal.notify()
    }
    return true
  }

  const drain = (complete: () => boolean): Effect.Effect<void> =>
    Effect.suspend(() => {
      draining = true
      time.isShort = true
      failures.hurry()
      signal.notify()
      let flushed = false
      return signal.until(() => {
        if (health.isHalted) return true
        if (!complete()) return false
        flushed ||= flushHeld(shared.head)
        return flushed && state.isThrough(shared.head)
      })
    })

  const stop: Effect.Effect<void> = Effect.suspend(() => {
    health.isStopped = true
    ledger.state = "down"
    expectations.giveUp("shutdown")
    health.tellEnd(ledger.pending, isDurable)
    // Nothing more comes for those who flush.
    signal.notify()
    // One that is under way must not be cut short, so this waits for it.
    if (isDurable) {
      const unsaved = () => state.isChanged || state.position !== state.savedUpTo
      const last = Effect.catch(checkpoints.makeAlone, ({ message }) =>
        Effect.logWarning(
          `The sink "${name}" ends without a last checkpoint, with ${ledger.pending} occurrences that are not delivered: ${message}`
        )
      )
      return checkpoints.alone(Effect.suspend(() => (unsaved() ? last : Effect.void)))
    }
    if (ledger.pending > 0) ledger.drop(ledger.pending, "shutdown")
    ledger.addPending(-ledger.pending)
    state.position = shared.head
    return Effect.ignore(checkpoints.make)
  })

  return {
    name,
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
    relieve: () => {
      checkpoints.relieve()
      signal.notify()
    },
    expect: (seq) =>
      health.isStopped || health.isHalted
        ? Effect.succeed(expectations.unsettled(health.isStopped ? "shutdown" : "halted"))
        : expectations.expect(seq),
    isThrough: (seq) => state.isThrough(seq),
    through: (seq) => {
      let flushed = false
      return signal.until(() => {
        if (health.isStopped || health.haltedFor === "repair") return true
        flushed ||= flushHeld(seq)
        return flushed && state.isThrough(seq)
      })
    },
    parked: parking.list,
    retryParked: parking.retry,
    dropParked: parking.drop,
    drain,
    stop
  }
})
