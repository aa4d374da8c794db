import * as Cause from "effect/Cause"
import type * as Clock from "effect/Clock"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Random from "effect/Random"
import type * as Scope from "effect/Scope"
import * as Semaphore from "effect/Semaphore"
import type * as Backend from "../Backend.ts"
import { BackendError, Transient } from "../BackendError.ts"
import * as Correlation from "../Correlation.ts"
import type { Write } from "../Event.ts"
import type { Json } from "../EventData.ts"
import * as EventId from "../EventId.ts"
import { type Checkpoint, type Journal, JournalDamaged, JournalError, type Parked } from "../Journal.ts"
import type { Settlement, SinkStatus } from "../Recorder.ts"
import * as Timestamp from "../Timestamp.ts"
import { SinkLedger } from "./ledger.ts"
import { missing } from "./retryPolicy.ts"

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

type RandomService = Effect.Success<typeof Random.Random>

/**
 * What the sinks of one recorder have in common.
 *
 * @internal
 */
export interface Shared {
  readonly journal: Journal["Service"]
  readonly clock: Clock.Clock
  readonly random: RandomService
  /** The last seq that is accepted; nothing beyond it is read, though the journal may already have it. */
  head: number
  /** Which sink writes to which target. */
  readonly targets: Map<string, string>
}

const PAGE = 256
const CHECKPOINT_ENTRIES = 4_096
const CHECKPOINT_INTERVAL = 60_000_000
const CHECKPOINT_IDLE = 1_000_000
const FIRST_DELAY = 500_000
const LAST_DELAY = 30_000_000
const LAST_SLOW_DELAY = 300_000_000
/** How long a series must have failed, while others got through, before it may be parked to make room. */
const STUCK_AFTER = 30_000_000

interface Underway {
  readonly write: Write
  readonly occurrences: number
}

/** One series with something to deliver. */
interface Outgoing {
  readonly key: string
  /** Its latest state. */
  write: Write
  /** Occurrences that `write` carries beyond what is under way. */
  occurrences: number
  from: number
  since: Timestamp.Micros
  underway: Underway | undefined
  failures: number
  firstFailureAt: Timestamp.Micros | undefined
  lastError: BackendError | undefined
  nextAt: Timestamp.Micros
}

interface State {
  readonly correlator: Json
  readonly outbox: ReadonlyArray<readonly [write: Write, occurrences: number, from: number, since: Timestamp.Micros]>
}

/** @internal */
export interface Sink {
  readonly name: string
  readonly ledger: SinkLedger
  readonly status: () => SinkStatus
  /** Tells that there is something new to read. */
  readonly wake: () => void
  /** Resolves when the sink is through with the occurrence; called before the sink can have read it. */
  readonly expect: (seq: number) => Effect.Effect<Settlement>
  /** Resolves when everything up to `seq` is through; what is held leaves at once. */
  readonly through: (seq: number) => Effect.Effect<void>
  readonly isThrough: (seq: number) => boolean
  readonly parked: Effect.Effect<ReadonlyArray<Parked>, JournalError>
  readonly retryParked: (series: ReadonlyArray<EventId.EventId>) => Effect.Effect<number, JournalError>
  readonly dropParked: (series: ReadonlyArray<EventId.EventId>) => Effect.Effect<number, JournalError>
  /** For the closing scope: lets go of what is held, then waits for `through` as long as the caller does. */
  readonly drain: Effect.Effect<void>
  /** After the drain: a last checkpoint where the journal outlives this process, else the rest is dropped. */
  readonly stop: Effect.Effect<void>
}

const isSlow = ({ reason }: BackendError): boolean => reason._tag !== "Transient" && reason._tag !== "Throttled"

/** @internal */
export const make = Effect.fnUntraced(function* (
  options: Options,
  backend: Backend.Service,
  shared: Shared
): Effect.fn.Return<Sink, JournalError, Scope.Scope> {
  const { clock, journal, random } = shared
  const { name } = options
  const context = yield* Effect.context<never>()
  const scope = yield* Effect.scope
  const ledger = new SinkLedger(name, context)

  // -------------------------------------------------------------------------
  // state
  // -------------------------------------------------------------------------

  const outbox = new Map<string, Outgoing>()
  const parkedOf = new Map<string, number>()
  const settlements = new Map<number, Deferred.Deferred<Settlement>>()
  const settlementsOf = new Map<string, Array<{ readonly seq: number; readonly done: Deferred.Deferred<Settlement> }>>()
  const delivered: Array<EventId.EventId> = []
  let correlator = new Correlation.Correlator(options.correlation)
  let position = 0
  let target: string | undefined
  let underway = 0
  let failuresInARow = 0
  let lastSuccessAt = Number.NEGATIVE_INFINITY
  let gateUntil = Number.NEGATIVE_INFINITY
  let checkpointedPosition = -1
  let checkpointedAt = Number.NEGATIVE_INFINITY
  let changedSinceCheckpoint = true
  let stopped = false
  let halted = false

  const now = () => Timestamp.now(clock)

  // Level-triggered: whoever waits looks again when it registers, and at every change.
  const waiting = new Set<() => void>()
  const changed = () => {
    if (waiting.size === 0) return
    const woken = [...waiting]
    waiting.clear()
    for (const wake of woken) wake()
  }
  const until = (condition: () => boolean): Effect.Effect<void> =>
    Effect.callback<void>((resume) => {
      const look = () => {
        if (condition()) resume(Effect.void)
        else waiting.add(look)
      }
      look()
      return Effect.sync(() => waiting.delete(look))
    })

  const enqueue = ({ from, occurrences, since, write }: Correlation.Released): void => {
    const key = EventId.format(write.id)
    const known = outbox.get(key)
    if (known === undefined) {
      outbox.set(key, {
        key,
        write,
        occurrences,
        from,
        since,
        underway: undefined,
        failures: 0,
        firstFailureAt: undefined,
        lastError: undefined,
        nextAt: Number.NEGATIVE_INFINITY
      })
    } else {
      if (write.upTo >= known.write.upTo) known.write = write
      known.occurrences += occurrences
      known.from = Math.min(known.from, from)
      known.since = Math.min(known.since, since)
    }
  }

  const snapshot = (): Checkpoint => {
    const state: State = {
      correlator: correlator.snapshot(),
      outbox: [...outbox.values()].map((one) => [
        one.write,
        one.occurrences + (one.underway?.occurrences ?? 0),
        one.from,
        one.since
      ])
    }
    const checkpoint = { upTo: position, state: state as unknown as Json }
    return target === undefined ? checkpoint : { ...checkpoint, target }
  }

  const restored = yield* journal.restore(name)
  const headAtStart = shared.head
  if (restored !== undefined) {
    position = restored.upTo
    checkpointedPosition = restored.upTo
    target = restored.target
    const state = restored.state as unknown as State
    try {
      correlator = Correlation.Correlator.restore(state.correlator)
      for (const [write, occurrences, from, since] of state.outbox) enqueue({ write, occurrences, from, since })
    } catch (cause) {
      return yield* new JournalError({
        reason: new JournalDamaged({ detail: `the checkpoint of the sink "${name}" holds no state of a sink` }),
        cause
      })
    }
  }
  let parkedAtStart = 0
  for (const { occurrences, write } of yield* journal.parked(name)) {
    parkedOf.set(EventId.format(write.id), occurrences)
    parkedAtStart += occurrences
  }
  let pendingAtStart = correlator.held + Math.max(0, headAtStart - position)
  for (const { occurrences } of outbox.values()) pendingAtStart += occurrences
  ledger.recover(pendingAtStart, parkedAtStart)
  ledger.held = correlator.held

  // -------------------------------------------------------------------------
  // state of the sink, told once per change
  // -------------------------------------------------------------------------

  const say = (state: SinkStatus["state"], error: string | undefined): Effect.Effect<void> =>
    Effect.suspend(() => {
      if (error !== undefined) ledger.lastError = error
      if (ledger.state === state) return Effect.void
      ledger.state = state
      return state === "up"
        ? Effect.logInfo(`Events reach the sink "${name}" again`)
        : Effect.logWarning(`Events wait for the sink "${name}" (${state}): ${error ?? "closed"}`)
    })

  const patiently = <A>(effect: Effect.Effect<A, JournalError>): Effect.Effect<A> => {
    const attempt = (failures: number): Effect.Effect<A> =>
      Effect.catch(effect, (error) =>
        Effect.andThen(say("blocked", error.message), Effect.andThen(sleep(backoff(failures, LAST_DELAY)), attempt(failures + 1)))
      )
    return attempt(1)
  }

  const sleep = (micros: number): Effect.Effect<void> => clock.sleep(Duration.millis(Math.max(1, Math.ceil(micros / 1_000))))

  const backoff = (failures: number, last: number): number =>
    Math.min(last, FIRST_DELAY * 2 ** Math.min(20, failures - 1)) * (0.5 + 0.5 * random.nextDoubleUnsafe())

  // -------------------------------------------------------------------------
  // settling
  // -------------------------------------------------------------------------

  const resolve = (write: Write, settlement: Settlement): void => {
    const key = EventId.format(write.id)
    const waitingFor = settlementsOf.get(key)
    if (waitingFor === undefined) return
    const left = waitingFor.filter(({ done, seq }) => {
      if (seq > write.upTo) return true
      Deferred.doneUnsafe(done, Effect.succeed(settlement))
      return false
    })
    if (left.length === 0) settlementsOf.delete(key)
    else settlementsOf.set(key, left)
  }

  const settled = ({ occurrences, write }: Underway, settlement: Settlement): void => {
    changedSinceCheckpoint = true
    ledger.addPending(-occurrences)
    switch (settlement._tag) {
      case "Settled": {
        ledger.settle(occurrences, settlement.how)
        const key = EventId.format(write.id)
        const parked = parkedOf.get(key)
        if (parked !== undefined) {
          // Counts are absolute: what was parked of this series is now visible with the rest.
          parkedOf.delete(key)
          ledger.park(-parked)
          ledger.settle(parked, settlement.how)
          delivered.push(write.id)
        }
        break
      }
      case "Dropped":
        ledger.drop(occurrences, settlement.reason)
        break
      case "Parked": {
        const key = EventId.format(write.id)
        parkedOf.set(key, (parkedOf.get(key) ?? 0) + occurrences)
        ledger.park(occurrences)
      }
    }
    resolve(write, settlement)
  }

  const landed = (one: Outgoing, { write }: Underway): void => {
    one.underway = undefined
    if (one.occurrences === 0) outbox.delete(one.key)
    else one.from = write.upTo + 1
  }

  const park = (one: Outgoing, parcel: Underway, reason: string): Effect.Effect<void> =>
    Effect.matchEffect(journal.park(name, parcel.write, parcel.occurrences, reason), {
      onFailure: (error) =>
        Effect.suspend(() => {
          // What cannot be put aside safely is kept where it is, and tried again.
          failed(one, parcel, new BackendError({ reason: new Transient({ applied: "no", detail: error.message }) }), undefined)
          return say("blocked", error.message)
        }),
      onSuccess: () =>
        Effect.sync(() => {
          settled(parcel, { _tag: "Parked", reason })
          landed(one, parcel)
        })
    })

  const failed = (
    one: Outgoing,
    parcel: Underway,
    error: BackendError,
    retryAfter: Duration.Duration | undefined
  ): void => {
    const at = now()
    one.underway = undefined
    one.occurrences += parcel.occurrences
    one.failures++
    one.firstFailureAt ??= at
    one.lastError = error
    const delay = backoff(one.failures, isSlow(error) ? LAST_SLOW_DELAY : LAST_DELAY)
    one.nextAt = at + (retryAfter === undefined ? delay : Math.max(delay, Duration.toMillis(retryAfter) * 1_000))
  }

  // -------------------------------------------------------------------------
  // delivery
  // -------------------------------------------------------------------------

  const timedOut = new BackendError({
    reason: new Transient({ applied: "unknown", detail: `no answer within ${Duration.format(options.writeTimeout)}` })
  })

  const deliver = (batch: ReadonlyArray<Outgoing>): Effect.Effect<void> =>
    Effect.suspend(() => {
      const parcels = batch.map((one) => one.underway!)
      return backend.write(parcels.map(({ write }) => write)).pipe(
        Effect.timeoutOrElse({ duration: options.writeTimeout, orElse: () => Effect.fail(timedOut) }),
        Effect.exit,
        Effect.flatMap((exit) => conclude(batch, parcels, exit))
      )
    })

  const conclude = (
    batch: ReadonlyArray<Outgoing>,
    parcels: ReadonlyArray<Underway>,
    exit: Exit.Exit<ReadonlyArray<Backend.Outcome>, BackendError>
  ): Effect.Effect<void> =>
    Effect.suspend(() => {
      underway--
      if (stopped) return Effect.void
      const parking: Array<Effect.Effect<void>> = []
      let succeeded = false
      let error: BackendError | undefined
      for (const [index, one] of batch.entries()) {
        const parcel = parcels[index]!
        const outcome = Exit.isSuccess(exit) ? (exit.value[index] ?? missing) : retryOf(exit)
        switch (outcome._tag) {
          case "Settled":
          case "Dropped":
            succeeded = true
            settled(parcel, outcome)
            one.failures = 0
            one.firstFailureAt = undefined
            one.nextAt = Number.NEGATIVE_INFINITY
            landed(one, parcel)
            break
          case "Rejected":
            succeeded = true
            parking.push(park(one, parcel, outcome.reason))
            break
          case "Retry": {
            error = outcome.error
            const { reason } = outcome.error
            const firstFailureAt = one.firstFailureAt ?? now()
            const patience =
              outcome.parkAfter === undefined ? Number.POSITIVE_INFINITY : Duration.toMillis(outcome.parkAfter) * 1_000
            if (now() - firstFailureAt >= patience) {
              parking.push(park(one, parcel, outcome.error.message))
              break
            }
            failed(one, parcel, outcome.error, reason._tag === "Throttled" ? reason.retryAfter : undefined)
            if (reason._tag === "Throttled" && reason.scope === "backend") {
              gateUntil = Math.max(gateUntil, one.nextAt)
            }
          }
        }
      }
      if (succeeded) {
        lastSuccessAt = now()
        if (failuresInARow > 0) {
          // The backend is back: what waited only because it was away need not wait on.
          for (const one of outbox.values()) {
            if (one.lastError?.reason._tag === "Transient") one.nextAt = Number.NEGATIVE_INFINITY
          }
        }
        failuresInARow = 0
      } else if (error !== undefined) {
        failuresInARow++
        if (failuresInARow >= options.concurrency || isSlow(error)) {
          const last = isSlow(error) ? LAST_SLOW_DELAY : LAST_DELAY
          gateUntil = Math.max(gateUntil, now() + backoff(failuresInARow - (isSlow(error) ? 0 : options.concurrency - 1), last))
        }
      }
      const told =
        error === undefined
          ? anyFailing()
            ? Effect.void
            : say("up", undefined)
          : say(!succeeded && isSlow(error) ? "blocked" : "degraded", error.message)
      return Effect.andThen(Effect.forEach(parking, (one) => one, { discard: true }), Effect.andThen(told, Effect.sync(notify)))
    })

  const retryOf = (exit: Exit.Failure<ReadonlyArray<Backend.Outcome>, BackendError>): Backend.Outcome => {
    const failure = Cause.findErrorOption(exit.cause)
    return failure._tag === "Some"
      ? { _tag: "Retry", error: failure.value }
      : {
          _tag: "Retry",
          error: new BackendError({
            reason: new Transient({ applied: "unknown", detail: "the backend died" }),
            cause: Cause.squash(exit.cause)
          })
        }
  }

  const anyFailing = (): boolean => {
    for (const { failures } of outbox.values()) if (failures > 0) return true
    return false
  }

  /** Starts what is ready. What has failed before goes alone, so that it can hold up nobody but itself. */
  const dispatch = Effect.suspend((): Effect.Effect<void> => {
    const at = now()
    if (at < gateUntil) return Effect.void
    const probing = failuresInARow >= options.concurrency
    const slots = probing ? (underway > 0 ? 0 : 1) : options.concurrency - underway
    if (slots <= 0) return Effect.void
    const fresh: Array<Outgoing> = []
    const batches: Array<Array<Outgoing>> = []
    for (const one of outbox.values()) {
      if (one.underway !== undefined || one.occurrences === 0 || one.nextAt > at) continue
      if (one.failures > 0) batches.push([one])
      else fresh.push(one)
      if (batches.length >= slots && fresh.length >= slots * options.batch) break
    }
    // Failing series get at most half of the places while there is something fresh.
    const retries = fresh.length === 0 ? slots : Math.max(1, slots >> 1)
    batches.length = Math.min(batches.length, retries)
    const size = Math.max(1, Math.min(options.batch, Math.ceil(fresh.length / Math.max(1, slots - batches.length))))
    for (let from = 0; from < fresh.length && batches.length < slots; from += size) {
      batches.push(fresh.slice(from, from + size))
    }
    if (batches.length === 0) return Effect.void
    for (const batch of batches) {
      underway++
      for (const one of batch) {
        one.underway = { write: one.write, occurrences: one.occurrences }
        one.occurrences = 0
      }
    }
    return Effect.forEach(batches, (batch) => Effect.forkIn(deliver(batch), scope), { discard: true })
  })

  /**
   * When the outbox is full of series that fail while others get through, the longest stuck make room: they are parked,
   * which keeps and counts them.
   */
  const makeRoom = Effect.suspend((): Effect.Effect<void> => {
    if (outbox.size < options.capacity) return Effect.void
    const at = now()
    const stuck = [...outbox.values()]
      .filter(
        ({ firstFailureAt, underway: busy }) =>
          busy === undefined &&
          firstFailureAt !== undefined &&
          at - firstFailureAt >= STUCK_AFTER &&
          lastSuccessAt > firstFailureAt
      )
      .sort((a, b) => a.firstFailureAt! - b.firstFailureAt!)
    if (stuck.length * 2 < options.capacity) return Effect.void
    return Effect.forEach(
      stuck.slice(0, Math.ceil(stuck.length / 2)),
      (one) => {
        const parcel = { write: one.write, occurrences: one.occurrences }
        one.occurrences = 0
        one.underway = parcel
        return park(one, parcel, `stuck: ${one.lastError?.message ?? "no answer"}`)
      },
      { discard: true }
    )
  })

  // -------------------------------------------------------------------------
  // reading and checkpoints
  // -------------------------------------------------------------------------

  const fold = Effect.fnUntraced(function* (upTo: number) {
    const page = yield* patiently(journal.read(name, position, Math.min(PAGE, upTo - position)))
    const at = now()
    for (const { from, reason = "quota", to } of page.lost) {
      const n = to - from + 1
      ledger.addPending(-n)
      ledger.drop(n, reason)
      for (let seq = from; seq <= to; seq++) abandon(seq, reason)
    }
    for (const { id, occurrence } of page.entries) {
      const { released, series } = correlator.step(id, occurrence, at)
      const done = settlements.get(id.seq)
      if (done !== undefined) {
        settlements.delete(id.seq)
        const key = EventId.format(series)
        const waitingFor = settlementsOf.get(key)
        if (waitingFor === undefined) settlementsOf.set(key, [{ seq: id.seq, done }])
        else waitingFor.push({ seq: id.seq, done })
      }
      for (const one of released) enqueue(one)
    }
    position = page.reached
    ledger.held = correlator.held
    changedSinceCheckpoint = true
  })

  const abandon = (seq: number, reason: string): void => {
    const done = settlements.get(seq)
    if (done === undefined) return
    settlements.delete(seq)
    Deferred.doneUnsafe(done, Effect.succeed({ _tag: "Dropped", reason }))
  }

  // One at a time, or an older state could overwrite a newer one.
  const checkpointing = Semaphore.makeUnsafe(1)
  const checkpoint: Effect.Effect<void, JournalError> = checkpointing.withPermit(Effect.suspend(() => {
    const made = snapshot()
    changedSinceCheckpoint = false
    const forgotten = delivered.splice(0)
    return Effect.andThen(
      journal.checkpoint(name, made),
      Effect.suspend(() => {
        checkpointedPosition = made.upTo
        checkpointedAt = now()
        return forgotten.length === 0 ? Effect.void : journal.unpark(name, forgotten)
      })
    )
  }))

  const checkpointDueAt = (): number => {
    if (!changedSinceCheckpoint) return Number.POSITIVE_INFINITY
    if (position - checkpointedPosition >= CHECKPOINT_ENTRIES) return Number.NEGATIVE_INFINITY
    const idle = outbox.size === 0 && correlator.held === 0 && position === shared.head
    return checkpointedAt + (idle ? CHECKPOINT_IDLE : CHECKPOINT_INTERVAL)
  }

  const release = (released: ReadonlyArray<Correlation.Released>): void => {
    if (released.length === 0) return
    for (const one of released) enqueue(one)
    ledger.held = correlator.held
    changedSinceCheckpoint = true
  }

  const nextWake = (): number => {
    let next = Math.min(checkpointDueAt(), correlator.nextTick() ?? Number.POSITIVE_INFINITY)
    if (gateUntil > now()) return Math.min(next, gateUntil)
    if (underway >= options.concurrency) return next
    if (failuresInARow >= options.concurrency && underway > 0) return next
    for (const one of outbox.values()) {
      if (one.underway === undefined && one.occurrences > 0 && one.nextAt < next) next = one.nextAt
    }
    return next
  }

  // -------------------------------------------------------------------------
  // life
  // -------------------------------------------------------------------------

  /** Nothing is written before it is known where to: the target is bound in the first checkpoint. */
  const bind = Effect.gen(function* () {
    let failures = 0
    let found: string | undefined
    while (found === undefined) {
      const answer = yield* Effect.result(
        Effect.timeoutOrElse(backend.target, { duration: options.writeTimeout, orElse: () => Effect.fail(timedOut) })
      )
      if (answer._tag === "Success") found = answer.success
      else {
        failures++
        yield* say(isSlow(answer.failure) ? "blocked" : "degraded", answer.failure.message)
        yield* sleep(backoff(failures, LAST_DELAY))
      }
    }
    if (target !== undefined && target !== found) {
      halted = true
      return yield* say(
        "blocked",
        `its journal belongs to ${target}, the backend is ${found}: point it back, or give this backend a journal of its own`
      )
    }
    const other = shared.targets.get(found)
    if (other !== undefined && other !== name) {
      halted = true
      return yield* say("blocked", `the sink "${other}" writes to the same target, ${found}: two sinks need two targets`)
    }
    shared.targets.set(found, name)
    const first = target === undefined
    target = found
    if (first) yield* patiently(checkpoint)
    if (ledger.state !== "up") yield* say("up", undefined)
  })

  /**
   * What was found at the start is folded with the configuration that its correlator had, or a count could be begun
   * twice. Only then, and with a checkpoint in between, may a new configuration take over.
   */
  const catchUp = Effect.gen(function* () {
    const configured = new Correlation.Correlator(options.correlation)
    if (JSON.stringify(correlator.options) === JSON.stringify(configured.options)) return
    while (position < headAtStart) yield* fold(headAtStart)
    release(correlator.drain())
    correlator = configured
    ledger.held = 0
    yield* patiently(checkpoint)
  })

  const pump = Effect.gen(function* () {
    yield* bind
    if (halted) return
    yield* catchUp
    while (true) {
      if (position < shared.head && outbox.size < options.capacity) yield* fold(shared.head)
      release(correlator.tick(now()))
      yield* dispatch
      yield* makeRoom
      if (checkpointDueAt() <= now()) {
        const exit = yield* Effect.exit(checkpoint)
        if (Exit.isFailure(exit)) {
          changedSinceCheckpoint = true
          checkpointedAt = now()
          checkpointedPosition = position
        }
      }
      if (position < shared.head && outbox.size < options.capacity) continue
      const seen = version()
      const wakeAt = nextWake()
      const moved = until(() => version() !== seen)
      if (wakeAt <= now()) yield* Effect.yieldNow
      else if (wakeAt === Number.POSITIVE_INFINITY) yield* moved
      else yield* Effect.raceFirst(moved, sleep(wakeAt - now()))
    }
  })

  // Changes that the pump has not looked at yet, as a number, so that none between a look and a wait is lost.
  let changes = 0
  const version = () => changes
  const notify = () => {
    changes++
    changed()
  }

  /** What is held leaves at once, whatever its budget says. */
  const letGo = () => {
    if (correlator.held === 0) return
    release(correlator.drain())
    notify()
  }

  const oldest = (): { readonly from: number; readonly since: Timestamp.Micros } | undefined => {
    let oldest = correlator.oldest()
    for (const { from, since } of outbox.values()) if (oldest === undefined || from < oldest.from) oldest = { from, since }
    return oldest
  }

  const isThrough = (seq: number): boolean => {
    if (position < seq) return false
    const first = oldest()
    return first === undefined || first.from > seq
  }

  yield* Effect.forkIn(pump, scope)

  const readParked = journal.parked(name)
  const chosen = (parked: ReadonlyArray<Parked>, series: ReadonlyArray<EventId.EventId>): ReadonlyArray<Parked> => {
    const keys = new Set(series.map(EventId.format))
    return parked.filter(({ write }) => keys.has(EventId.format(write.id)))
  }

  return {
    name,
    ledger,
    status: () => {
      const first = oldest()
      return ledger.status(first === undefined ? 0 : now() - first.since)
    },
    wake: notify,
    expect: (seq) => {
      const done = Deferred.makeUnsafe<Settlement>()
      settlements.set(seq, done)
      return Deferred.await(done)
    },
    isThrough,
    through: (seq) =>
      Effect.suspend(() => {
        notify()
        return until(() => {
          letGo()
          return isThrough(seq)
        })
      }),
    parked: readParked,
    retryParked: (series) =>
      Effect.flatMap(readParked, (parked) =>
        Effect.suspend(() => {
          let n = 0
          const again = chosen(parked, series)
          for (const { occurrences, write } of again) {
            const key = EventId.format(write.id)
            if (!parkedOf.delete(key)) continue
            n += occurrences
            ledger.park(-occurrences)
            ledger.addPending(occurrences)
            enqueue({ write, occurrences, from: write.upTo, since: write.last })
          }
          changedSinceCheckpoint = true
          notify()
          // First the checkpoint that holds them, then the parked record goes: a crash in between repeats, never loses.
          return Effect.as(
            Effect.andThen(checkpoint, journal.unpark(name, again.map(({ write }) => write.id))),
            n
          )
        })
      ),
    dropParked: (series) =>
      Effect.flatMap(readParked, (parked) =>
        Effect.suspend(() => {
          const given = chosen(parked, series)
          return Effect.map(journal.unpark(name, given.map(({ write }) => write.id)), () => {
            let n = 0
            for (const { occurrences, write } of given) {
              if (!parkedOf.delete(EventId.format(write.id))) continue
              n += occurrences
              ledger.park(-occurrences)
              ledger.drop(occurrences, "parked")
            }
            return n
          })
        })
      ),
    drain: Effect.suspend(() => {
      // Whatever waits for its next try has only the deadline left.
      for (const one of outbox.values()) one.nextAt = Number.NEGATIVE_INFINITY
      gateUntil = Number.NEGATIVE_INFINITY
      notify()
      const target = shared.head
      return until(() => {
        letGo()
        return halted || isThrough(target)
      })
    }),
    stop: Effect.suspend(() => {
      stopped = true
      if (journal.durability !== "memory") return Effect.ignore(target === undefined ? Effect.void : checkpoint)
      const left = ledger.pending
      if (left > 0) {
        ledger.addPending(-left)
        ledger.drop(left, "shutdown")
      }
      for (const seq of [...settlements.keys()]) abandon(seq, "shutdown")
      for (const waitingFor of settlementsOf.values()) {
        for (const { done } of waitingFor) Deferred.doneUnsafe(done, Effect.succeed({ _tag: "Dropped", reason: "shutdown" }))
      }
      return Effect.void
    })
  }
})
