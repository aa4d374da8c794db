import * as Cause from "effect/Cause"
import type * as Clock from "effect/Clock"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import type * as Random from "effect/Random"
import * as Scope from "effect/Scope"
import * as Semaphore from "effect/Semaphore"
import type * as Backend from "../Backend.ts"
import { BackendError, Transient } from "../BackendError.ts"
import * as Correlation from "../Correlation.ts"
import type { Write } from "../Event.ts"
import type { Json } from "../EventData.ts"
import * as EventId from "../EventId.ts"
import {
  type Checkpoint,
  type Journal,
  JournalDamaged,
  JournalError,
  type Parked,
  type ParkedRequest,
  READ_AHEAD
} from "../Journal.ts"
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

// Times are in microseconds.
const SECOND = 1_000_000
const MAXIMUM_PAGE = 256
/** Entries between two checkpoints at the most; half of what a sink may read ahead, so that one may fail. */
const MAXIMUM_CHECKPOINT_ENTRIES = READ_AHEAD / 2
const CHECKPOINT_INTERVAL = 5 * SECOND
const CHECKPOINT_IDLE = SECOND
const FIRST_DELAY = SECOND / 2
const LAST_DELAY = 30 * SECOND
/** For what a person must mend: credentials, configuration, space. */
const LAST_SLOW_DELAY = 300 * SECOND
/** How long a series must have failed, while others got through, before it may be parked to make room. */
const STUCK_AFTER = 30 * SECOND
const STUCK_FAILURES = 3
const LOG_INTERVAL = 30 * SECOND
/** How often it is looked what somebody beside this process asks for. */
const REQUESTS_INTERVAL = 5 * SECOND
const MAXIMUM_NAMESPACES = 1_024

/** The state of a series, and which of its occurrences no earlier write has carried. */
type Parcel = Correlation.Released

/** Names a series: its seq alone where the journal at hand gave it, which is nearly always. */
type Key = number | string

/** One series with something to deliver. */
interface Outgoing {
  readonly key: Key
  /** What is not under way. */
  next: Parcel | undefined
  underway: Parcel | undefined
  failures: number
  firstFailureAt: number | undefined
  lastError: BackendError | undefined
  nextAt: number
}

interface ParkedState {
  readonly upTo: number
  readonly occurrences: number
}

interface State {
  readonly correlator: Json
  readonly outbox: ReadonlyArray<readonly [write: Write, occurrences: number, from: number, since: Timestamp.Micros]>
  /** What the books count as parked; what the journal has kept aside beyond it is pending here. */
  readonly parked: ReadonlyArray<readonly [origin: string, seq: number, upTo: number, occurrences: number]>
}

/** What a batch came to, in occurrences. */
interface Tally {
  occurrences: number
  created: number
  updated: number
  present: number
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

const isSlow = ({ reason }: BackendError): boolean => reason._tag !== "Transient" && reason._tag !== "Throttled"

const namespaceOf = ({ event }: Write): string => event.involvedObject.namespace ?? ""

const merge = (parcel: Parcel, later: Parcel): Parcel => ({
  write: later.write.upTo >= parcel.write.upTo ? later.write : parcel.write,
  occurrences: parcel.occurrences + later.occurrences,
  from: Math.min(parcel.from, later.from),
  since: Math.min(parcel.since, later.since)
})

const readState = (json: Json): State => {
  const state = json as unknown as State
  const sound =
    typeof state === "object" &&
    state !== null &&
    Array.isArray(state.outbox) &&
    state.outbox.every(
      (one) =>
        Array.isArray(one) &&
        typeof one[0] === "object" &&
        typeof one[0]?.id?.origin === "string" &&
        [one[0].id.seq, one[0].upTo, one[0].count, one[1], one[2], one[3]].every(Number.isSafeInteger) &&
        typeof one[0].event === "object"
    ) &&
    Array.isArray(state.parked) &&
    state.parked.every(
      (one) => Array.isArray(one) && typeof one[0] === "string" && one.slice(1).every(Number.isSafeInteger)
    )
  if (!sound) throw new Error("it holds no state of a sink")
  return state
}

/** @internal */
export const make = Effect.fnUntraced(function* (
  options: Options,
  backend: Backend.Service,
  shared: Shared
): Effect.fn.Return<Sink, JournalError, Scope.Scope> {
  const { clock, journal, random } = shared
  const { capacity, concurrency, name } = options
  const context = yield* Effect.context()
  // Of its own: what is forked into a scope that is closing is interrupted, and the drain is a part of the closing.
  const scope = yield* Effect.acquireRelease(Scope.make(), (scope) => Scope.close(scope, Exit.void))
  const ledger = new SinkLedger(name, context)
  const durable = journal.durability !== "memory"
  // A small sink keeps little of everything.
  const maximumPage = Math.min(MAXIMUM_PAGE, capacity)
  const checkpointEntries = Math.min(MAXIMUM_CHECKPOINT_ENTRIES, 4 * capacity)
  const readAhead = 2 * checkpointEntries
  // When all that it has fails, only what gets through tells an outage from stuck series: it reads some more to find out.
  const utmostCapacity = 2 * capacity
  const probes = Math.max(1, capacity >> 2)

  // -------------------------------------------------------------------------
  // state
  // -------------------------------------------------------------------------

  const keyOf = (id: EventId.EventId): Key => (id.origin === journal.origin ? id.seq : EventId.format(id))

  const outbox = new Map<Key, Outgoing>()
  /** How many in the outbox have failed and not got through since. */
  let failing = 0
  const parkedOf = new Map<Key, ParkedState>()
  /** The series that the journal has kept aside, also those whose occurrences are pending again. */
  const kept = new Map<Key, EventId.EventId>()
  const settlements = new Map<number, Deferred.Deferred<Settlement>>()
  const settlementsOf = new Map<Key, Array<{ readonly seq: number; readonly done: Deferred.Deferred<Settlement> }>>()
  let correlator = new Correlation.Correlator(options.correlation)
  let position = 0
  /** When the first of what is accepted and not read happened. */
  let unreadSince: Timestamp.Micros | undefined
  let target: string | undefined
  /** While it is set, what was found at the start is folded as before: up to here, then the configuration changes. */
  let foldAsBeforeUpTo: number | undefined

  let underway = 0
  let retriesUnderway = 0
  let retriedLast = false
  let probedNamespace: string | undefined
  let failuresInARow = 0
  let failingSince = Number.POSITIVE_INFINITY
  let lastFailureIsSlow = false
  let lastSuccessAt = Number.NEGATIVE_INFINITY
  /** By namespace, since when nothing for it has got through. */
  const failingNamespaces = new Map<string, number>()
  let throttledUntil = Number.NEGATIVE_INFINITY
  let awayUntil = Number.NEGATIVE_INFINITY

  let checkpointedPosition = 0
  let checkpointedAt = Number.NEGATIVE_INFINITY
  let nextCheckpointAt = Number.NEGATIVE_INFINITY
  let changedSinceCheckpoint = false
  let relief = false
  let journalFailures = 0

  let unreachable: "degraded" | "blocked" | undefined
  let halted = false
  let draining = false
  let stopped = false

  /** For waiting and retrying; a wall clock may be set back. */
  const monotonic = (): number => Number(clock.monotonicTimeNanosUnsafe()) / 1_000
  const wall = (): Timestamp.Micros => Timestamp.now(clock)

  // -------------------------------------------------------------------------
  // waiting
  // -------------------------------------------------------------------------

  // Level-triggered: whoever waits looks when it registers, and again at every change.
  const waiting = new Set<() => void>()
  let changes = 0
  const lookAgain = (): void => {
    if (waiting.size === 0) return
    const woken = [...waiting]
    waiting.clear()
    for (const wake of woken) wake()
  }
  /** Something has changed that the pump has not looked at. */
  const notify = (): void => {
    changes++
    lookAgain()
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

  const sleep = (micros: number): Effect.Effect<void> =>
    clock.sleep(Duration.millis(Math.max(1, Math.ceil(micros / 1_000))))

  const runFork = Effect.runForkWith(context)
  let alarm: { readonly at: number; readonly fiber: Fiber.Fiber<void> } | undefined
  /** Notifies at a time; the earliest that was asked for counts. */
  const notifyAt = (at: number): void => {
    if (at === Number.POSITIVE_INFINITY || (alarm !== undefined && alarm.at <= at)) return
    alarm?.fiber.interruptUnsafe()
    const ring = Effect.sync(() => {
      alarm = undefined
      notify()
    })
    alarm = { at, fiber: runFork(Effect.andThen(sleep(at - monotonic()), ring)) }
  }
  yield* Effect.addFinalizer(() => Effect.sync(() => alarm?.fiber.interruptUnsafe()))

  const backoff = (failures: number, last: number): number => {
    // While the scope closes, only the deadline is left.
    const most = draining ? FIRST_DELAY : last
    return Math.min(most, FIRST_DELAY * 2 ** Math.min(20, failures - 1)) * (0.5 + 0.5 * random.nextDoubleUnsafe())
  }

  // -------------------------------------------------------------------------
  // the state that is told: at once in the status, at intervals in the log
  // -------------------------------------------------------------------------

  let loggedState: SinkStatus["state"] = "up"
  let loggedAt = Number.NEGATIVE_INFINITY

  const stateNow = (): SinkStatus["state"] => {
    if (stopped) return "down"
    if (halted || journalFailures > 0 || (failuresInARow > 0 && lastFailureIsSlow)) return "blocked"
    if (unreachable !== undefined) return unreachable
    return failing > 0 || failuresInARow > 0 ? "degraded" : "up"
  }

  const tell = (): void => {
    ledger.state = stateNow()
    if (ledger.state === loggedState || monotonic() - loggedAt < LOG_INTERVAL) return
    loggedState = ledger.state
    loggedAt = monotonic()
    runFork(
      loggedState === "up"
        ? Effect.logInfo(`Events reach the sink "${name}" again`)
        : Effect.logWarning(`Events wait for the sink "${name}" (${loggedState}): ${ledger.lastError ?? "closed"}`)
    )
  }

  const logDueAt = (): number => (ledger.state === loggedState ? Number.POSITIVE_INFINITY : loggedAt + LOG_INTERVAL)

  // -------------------------------------------------------------------------
  // outbox
  // -------------------------------------------------------------------------

  const enqueue = (parcel: Parcel): void => {
    const key = keyOf(parcel.write.id)
    const known = outbox.get(key)
    if (known === undefined) {
      outbox.set(key, {
        key,
        next: parcel,
        underway: undefined,
        failures: 0,
        firstFailureAt: undefined,
        lastError: undefined,
        nextAt: Number.NEGATIVE_INFINITY
      })
    } else known.next = known.next === undefined ? parcel : merge(known.next, parcel)
  }

  /** Takes something for delivery. */
  const take = (one: Outgoing): Parcel => {
    const parcel = one.next!
    one.next = undefined
    one.underway = parcel
    return parcel
  }

  const hasNotFailed = (one: Outgoing): void => {
    if (one.firstFailureAt !== undefined) failing--
    one.failures = 0
    one.firstFailureAt = undefined
    one.lastError = undefined
    one.nextAt = Number.NEGATIVE_INFINITY
  }

  /** The end of what was under way: delivered, dropped or parked. */
  const landed = (one: Outgoing): void => {
    one.underway = undefined
    hasNotFailed(one)
    if (one.next === undefined) outbox.delete(one.key)
  }

  const failed = (one: Outgoing, parcel: Parcel, error: BackendError): void => {
    const at = monotonic()
    const retryAfter = error.reason._tag === "Throttled" ? error.reason.retryAfter : undefined
    one.underway = undefined
    one.next = one.next === undefined ? parcel : merge(parcel, one.next)
    one.lastError = error
    if (one.firstFailureAt === undefined) {
      one.firstFailureAt = at
      failing++
    }
    const namespace = namespaceOf(parcel.write)
    // Who asks for less is not stuck.
    const isThrottled = error.reason._tag === "Throttled"
    if (!isThrottled && !failingNamespaces.has(namespace) && failingNamespaces.size < MAXIMUM_NAMESPACES) {
      failingNamespaces.set(namespace, at)
    }
    // Being asked to come at a certain time is no failure of the series.
    if (retryAfter === undefined) one.failures++
    const isLong = isSlow(error) || isForStuckNamespace(parcel)
    const delay = backoff(Math.max(1, one.failures), isLong ? LAST_SLOW_DELAY : LAST_DELAY)
    one.nextAt = at + (retryAfter === undefined ? delay : Math.max(delay, Duration.toMillis(retryAfter) * 1_000))
  }

  const release = (released: ReadonlyArray<Parcel>): void => {
    if (released.length === 0) return
    for (const one of released) enqueue(one)
    ledger.held = correlator.held
    changedSinceCheckpoint = true
  }

  // -------------------------------------------------------------------------
  // checkpoints, and what is kept aside
  // -------------------------------------------------------------------------

  const snapshot = (): Checkpoint => {
    // A journal in memory ends with this process, so nobody would read a state.
    const state: State | null = durable
      ? {
          correlator: correlator.snapshot(),
          outbox: [...outbox.values()].map(({ next, underway }) => {
            const { from, occurrences, since, write } =
              underway === undefined ? next! : next === undefined ? underway : merge(underway, next)
            return [write, occurrences, from, since]
          }),
          parked: [...parkedOf].map(([key, { occurrences, upTo }]) => {
            const { origin, seq } = kept.get(key)!
            return [origin, seq, upTo, occurrences]
          })
        }
      : null
    const checkpoint = { upTo: position, state: state as unknown as Json }
    return target === undefined ? checkpoint : { ...checkpoint, target }
  }

  // Checkpoints and what is kept aside speak of the same occurrences: one change at a time.
  const recording = Semaphore.makeUnsafe(1)

  /** One record with all that is not settled; then what it no longer needs is forgotten. */
  const checkpointNow: Effect.Effect<void, JournalError> = Effect.suspend(() => {
    const made = snapshot()
    changedSinceCheckpoint = false
    relief = false
    return Effect.matchEffect(journal.checkpoint(name, made), {
      onFailure: (error) => {
        changedSinceCheckpoint = true
        return Effect.fail(error)
      },
      onSuccess: () => {
        checkpointedPosition = made.upTo
        checkpointedAt = monotonic()
        const stale: Array<EventId.EventId> = []
        for (const [key, id] of kept) if (!parkedOf.has(key) && !outbox.has(key)) stale.push(id)
        if (stale.length === 0) return Effect.void
        return Effect.andThen(
          journal.unpark(name, stale),
          Effect.sync(() => {
            for (const id of stale) kept.delete(keyOf(id))
          })
        )
      }
    })
  })

  const checkpoint: Effect.Effect<void, JournalError> = recording.withPermit(checkpointNow)

  /** Tries again until it works: what follows must not happen without it. */
  const insist = <A>(effect: Effect.Effect<A, JournalError>): Effect.Effect<A> =>
    Effect.matchEffect(effect, {
      onFailure: (error) => {
        journalFailures++
        ledger.lastError = error.message
        tell()
        return Effect.andThen(sleep(backoff(journalFailures, LAST_DELAY)), insist(effect))
      },
      onSuccess: (value) => {
        journalFailures = 0
        return Effect.succeed(value)
      }
    })

  const checkpointDueAt = (): number => {
    const unsaved = position - checkpointedPosition
    if (unsaved === 0 && !changedSinceCheckpoint) return Number.POSITIVE_INFINITY
    if (!durable) return unsaved === 0 ? Number.POSITIVE_INFINITY : Number.NEGATIVE_INFINITY
    if (unsaved >= checkpointEntries || (relief && unsaved > 0)) return nextCheckpointAt
    const idle = outbox.size === 0 && correlator.held === 0 && position === shared.head
    return Math.max(nextCheckpointAt, checkpointedAt + (idle ? CHECKPOINT_IDLE : CHECKPOINT_INTERVAL))
  }

  const checkpointIfDue: Effect.Effect<void> = Effect.suspend(() => {
    if (checkpointDueAt() > monotonic()) return Effect.void
    return Effect.match(checkpoint, {
      onFailure: (error) => {
        journalFailures++
        ledger.lastError = error.message
        nextCheckpointAt = monotonic() + backoff(journalFailures, LAST_DELAY)
      },
      onSuccess: () => {
        journalFailures = 0
        nextCheckpointAt = Number.NEGATIVE_INFINITY
      }
    })
  })

  // -------------------------------------------------------------------------
  // settling
  // -------------------------------------------------------------------------

  const resolve = (write: Write, settlement: Settlement): void => {
    const key = keyOf(write.id)
    const expecting = settlementsOf.get(key)
    if (expecting === undefined) return
    const left = expecting.filter(({ seq }) => seq > write.upTo)
    if (left.length === 0) settlementsOf.delete(key)
    else settlementsOf.set(key, left)
    for (const { done, seq } of expecting) {
      if (seq <= write.upTo) Deferred.doneUnsafe(done, Effect.succeed(settlement))
    }
  }

  /** What has failed only since the backend, or its namespace, did need not wait on, nor go alone. */
  const tryAgain = (since: number, namespace?: string): void => {
    for (const one of outbox.values()) {
      if (one.failures === 0 || one.firstFailureAt! < since || one.lastError!.reason._tag === "Throttled") continue
      if (namespace !== undefined && namespaceOf((one.next ?? one.underway)!.write) !== namespace) continue
      one.failures = 0
      one.nextAt = Number.NEGATIVE_INFINITY
    }
  }

  /** What is delivered or dropped; the books follow for the whole batch. */
  const settle = (one: Outgoing, { occurrences, write }: Parcel, outcome: Backend.Outcome, tally: Tally): void => {
    tally.occurrences += occurrences
    if (outcome._tag === "Dropped") ledger.drop(occurrences, outcome.reason)
    else if (outcome._tag === "Settled") {
      tally[outcome.how] += occurrences
      const parked = parkedOf.size === 0 ? undefined : parkedOf.get(one.key)
      if (parked !== undefined) {
        // Counts are absolute: what was parked of this series is now visible with the rest.
        parkedOf.delete(one.key)
        ledger.park(-parked.occurrences)
        tally[outcome.how] += parked.occurrences
      }
    }
    landed(one)
    if (failingNamespaces.size === 0) return
    const namespace = namespaceOf(write)
    const since = failingNamespaces.get(namespace)
    if (since !== undefined) {
      failingNamespaces.delete(namespace)
      tryAgain(since, namespace)
    }
  }

  const park = (one: Outgoing, parcel: Parcel, reason: string): Effect.Effect<void> =>
    recording.withPermit(
      Effect.suspend(() => {
        const { write } = parcel
        // All that is parked of the series, so that repeating it after a crash adds nothing.
        const occurrences = (parkedOf.get(one.key)?.occurrences ?? 0) + parcel.occurrences
        return Effect.match(journal.park(name, write, occurrences, reason), {
          onFailure: (error) => {
            // What cannot be kept aside safely stays where it is.
            ledger.lastError = error.message
            failed(one, parcel, new BackendError({ reason: new Transient({ applied: "no", detail: error.message }) }))
          },
          onSuccess: () => {
            changedSinceCheckpoint = true
            kept.set(one.key, write.id)
            parkedOf.set(one.key, { upTo: write.upTo, occurrences })
            ledger.addPending(-parcel.occurrences)
            ledger.park(parcel.occurrences)
            landed(one)
            resolve(write, { _tag: "Parked", reason })
          }
        })
      })
    )

  // -------------------------------------------------------------------------
  // delivery
  // -------------------------------------------------------------------------

  const timedOut = new BackendError({
    reason: new Transient({ applied: "unknown", detail: `no answer within ${Duration.format(options.writeTimeout)}` })
  })

  /** Writes that have not answered yet. */
  const writing = new Set<Fiber.Fiber<unknown, unknown>>()
  yield* Scope.addFinalizer(
    scope,
    Effect.suspend(() => Fiber.interruptAll(writing))
  )

  /** A backend that answers at once costs no more than its answer; of any other the answer is awaited for its time. */
  const deliver = (batch: ReadonlyArray<Outgoing>, isRetry: boolean): void => {
    const parcels = batch.map((one) => one.underway!)
    const fiber = runFork(Effect.suspend(() => backend.write(parcels.map(({ write }) => write))))
    const exit = fiber.pollUnsafe()
    if (exit !== undefined) return conclude(batch, parcels, isRetry, exit)
    writing.add(fiber)
    let answered = false
    const answer = (exit: Exit.Exit<ReadonlyArray<Backend.Outcome>, BackendError>) => {
      if (answered) return
      answered = true
      conclude(batch, parcels, isRetry, exit)
    }
    const timeout = runFork(
      Effect.andThen(
        clock.sleep(options.writeTimeout),
        Effect.sync(() => {
          answer(Exit.fail(timedOut))
          fiber.interruptUnsafe()
        })
      )
    )
    fiber.addObserver((exit) => {
      timeout.interruptUnsafe()
      writing.delete(fiber)
      answer(exit)
    })
  }

  const conclude = (
    batch: ReadonlyArray<Outgoing>,
    parcels: ReadonlyArray<Parcel>,
    isRetry: boolean,
    exit: Exit.Exit<ReadonlyArray<Backend.Outcome>, BackendError>
  ): void => {
    underway--
    if (isRetry) retriesUnderway--
    if (stopped) return
    const at = monotonic()
    const parking: Array<Effect.Effect<void>> = []
    const final: Array<readonly [Write, Settlement]> = []
    const tally: Tally = { occurrences: 0, created: 0, updated: 0, present: 0 }
    let succeeded = false
    let error: BackendError | undefined
    const whole = Exit.isSuccess(exit) ? undefined : retryOf(exit)
    for (let index = 0; index < batch.length; index++) {
      const one = batch[index]!
      const parcel = parcels[index]!
      const outcome = whole ?? (exit as Exit.Success<ReadonlyArray<Backend.Outcome>>).value[index] ?? missing
      switch (outcome._tag) {
        case "Settled":
        case "Dropped":
          succeeded = true
          settle(one, parcel, outcome, tally)
          if (settlementsOf.size > 0) final.push([parcel.write, outcome])
          break
        case "Rejected":
          succeeded = true
          parking.push(park(one, parcel, outcome.reason))
          break
        case "Retry": {
          error = outcome.error
          ledger.lastError = error.message
          const { reason } = error
          const patience =
            outcome.parkAfter === undefined ? Number.POSITIVE_INFINITY : Duration.toMillis(outcome.parkAfter) * 1_000
          if (at - (one.firstFailureAt ?? at) >= patience) {
            parking.push(park(one, parcel, error.message))
            break
          }
          failed(one, parcel, error)
          if (reason._tag === "Throttled" && reason.scope === "backend") {
            throttledUntil = Math.max(throttledUntil, one.nextAt)
          }
        }
      }
    }
    if (tally.occurrences > 0) {
      changedSinceCheckpoint = true
      ledger.addPending(-tally.occurrences)
      for (const how of ["created", "updated", "present"] as const) if (tally[how] > 0) ledger.settle(tally[how], how)
    }
    // Only now: whoever is told goes on at once, and may look at the books.
    for (const [write, settlement] of final) resolve(write, settlement)
    if (succeeded) hasSucceeded(at)
    else if (error !== undefined && !parcels.every(isForStuckNamespace)) hasFailed(at, error)
    if (parking.length > 0) runFork(Effect.forkIn(parkAll(parking), scope))
    tell()
    notify()
  }

  const parkAll = (parking: ReadonlyArray<Effect.Effect<void>>): Effect.Effect<void> =>
    Effect.andThen(
      Effect.forEach(parking, (one) => one, { discard: true }),
      Effect.sync(() => {
        tell()
        notify()
      })
    )

  const hasSucceeded = (at: number): void => {
    lastSuccessAt = at
    awayUntil = Number.NEGATIVE_INFINITY
    if (failuresInARow === 0) return
    tryAgain(failingSince)
    failuresInARow = 0
    failingSince = Number.POSITIVE_INFINITY
  }

  /** Nothing for it gets through while others do: its failures say nothing of the backend. */
  const isForStuckNamespace = (parcel: Parcel): boolean =>
    lastSuccessAt > (failingNamespaces.get(namespaceOf(parcel.write)) ?? Number.POSITIVE_INFINITY)

  const hasFailed = (at: number, error: BackendError): void => {
    if (failuresInARow === 0) failingSince = at
    failuresInARow++
    lastFailureIsSlow = isSlow(error)
    if (isAway()) awayUntil = at + backoff(failuresInARow - concurrency + 1, LAST_DELAY)
  }

  /** When so many writes in a row have failed, one at a time finds out whether the backend is back. */
  const isAway = (): boolean => failuresInARow >= concurrency

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

  const gateUntil = (): number => Math.max(throttledUntil, awayUntil)

  const freeSlots = (): number => (isAway() ? (underway > 0 ? 0 : 1) : concurrency - underway)

  /**
   * How many of them what has failed before may take: at most half of all, so that the fresh always find one. Of a single
   * one they take turns.
   */
  const slotsForRetries = (slots: number, hasFresh: boolean): number => {
    if (hasFresh && concurrency === 1) return retriedLast ? 0 : 1
    return Math.max(0, Math.min(slots, Math.max(1, concurrency >> 1) - retriesUnderway))
  }

  /** What finds out whether the backend is back: something fresh before what has failed, and of one namespace after the other. */
  const probeOf = (fresh: ReadonlyArray<Outgoing>, retries: ReadonlyArray<Outgoing>): ReadonlyArray<Outgoing> => {
    const [from, size] = fresh.length > 0 ? [fresh, options.batch] : [retries, 1]
    const first = from.find(({ next }) => namespaceOf(next!.write) !== probedNamespace) ?? from[0]
    if (first === undefined) return []
    const namespace = namespaceOf(first.next!.write)
    probedNamespace = namespace
    return from.filter(({ next }) => namespaceOf(next!.write) === namespace).slice(0, size)
  }

  /** Starts what is ready. What has failed before goes alone, so that it can hold up nobody but itself. */
  const dispatch = (): void => {
    const at = monotonic()
    const slots = freeSlots()
    if (slots <= 0 || at < gateUntil()) return
    const away = isAway()
    const fresh: Array<Outgoing> = []
    const retries: Array<Outgoing> = []
    for (const one of outbox.values()) {
      if (one.underway !== undefined || one.next === undefined || one.nextAt > at) continue
      if (one.failures > 0) retries.push(one)
      else if (away || fresh.length < slots * options.batch) fresh.push(one)
    }
    const forRetries = Math.min(retries.length, slotsForRetries(slots, fresh.length > 0))
    if (away || forRetries < retries.length) retries.sort((a, b) => a.failures - b.failures)
    if (away) {
      const probe = probeOf(fresh, retries)
      if (probe.length > 0) start([probe], probe[0]!.failures > 0 ? 1 : 0)
      return
    }
    const batches: Array<ReadonlyArray<Outgoing>> = []
    for (let index = 0; index < forRetries; index++) batches.push([retries[index]!])
    const size = Math.min(options.batch, Math.ceil(fresh.length / Math.max(1, slots - forRetries)))
    for (let from = 0; from < fresh.length && batches.length < slots; from += size) {
      batches.push(fresh.slice(from, from + size))
    }
    if (batches.length > 0) start(batches, forRetries)
  }

  const start = (batches: ReadonlyArray<ReadonlyArray<Outgoing>>, retries: number): void => {
    retriedLast = retries > 0
    underway += batches.length
    retriesUnderway += retries
    for (const batch of batches) for (const one of batch) take(one)
    for (const [index, batch] of batches.entries()) deliver(batch, index < retries)
  }

  /** When there may be something to dispatch again; what lands notifies by itself. */
  const dispatchDueAt = (): number => {
    const slots = freeSlots()
    if (slots <= 0) return Number.POSITIVE_INFINITY
    const noRetries = !isAway() && slotsForRetries(slots, false) <= 0
    let next = Number.POSITIVE_INFINITY
    for (const one of outbox.values()) {
      if (one.underway !== undefined || one.next === undefined || (noRetries && one.failures > 0)) continue
      if (one.nextAt < next) next = one.nextAt
    }
    return Math.max(next, gateUntil())
  }

  const allFail = (): boolean => failing > 0 && failing === outbox.size

  /**
   * When the outbox is full of series that fail while others get through, the longest stuck make room: they are parked,
   * which keeps and counts them.
   */
  const makeRoom: Effect.Effect<void> = Effect.suspend(() => {
    if (outbox.size < capacity || position === shared.head) return Effect.void
    const at = monotonic()
    const stuck: Array<Outgoing> = []
    for (const one of outbox.values()) {
      const since = one.firstFailureAt
      if (since === undefined || one.underway !== undefined || one.failures < STUCK_FAILURES) continue
      if (one.lastError?.reason._tag === "Throttled") continue
      // Others got through since it began to fail, or since everything for its namespace did.
      const begun = Math.min(since, failingNamespaces.get(namespaceOf(one.next!.write)) ?? since)
      if (at - since >= STUCK_AFTER && lastSuccessAt > begun) stuck.push(one)
    }
    if (stuck.length === 0 || (stuck.length * 2 < capacity && !allFail())) return Effect.void
    stuck.sort((a, b) => a.firstFailureAt! - b.firstFailureAt!)
    return Effect.forEach(
      stuck.slice(0, Math.ceil(stuck.length / 2)),
      (one) => {
        const why = one.lastError?.message ?? "no answer"
        return park(one, take(one), `stuck: ${why}`)
      },
      { discard: true }
    )
  })

  // -------------------------------------------------------------------------
  // reading
  // -------------------------------------------------------------------------

  /** Up to where may be read now. */
  const readableUpTo = (): number => {
    const room = outbox.size < capacity || (outbox.size < utmostCapacity && allFail())
    if (!room) return position
    const upTo = Math.min(shared.head, position + (outbox.size < capacity ? maximumPage : probes))
    const saved = durable ? Math.min(upTo, checkpointedPosition + readAhead) : upTo
    return foldAsBeforeUpTo === undefined ? saved : Math.min(saved, foldAsBeforeUpTo)
  }

  const fold: Effect.Effect<void> = Effect.suspend(() => {
    const upTo = readableUpTo()
    if (upTo <= position) return Effect.void
    const page = insist(Effect.suspend(() => journal.read(name, position, upTo - position)))
    return Effect.map(page, (page) => {
      const at = wall()
      for (const { from, reason = "quota", to } of page.lost) {
        const n = to - from + 1
        ledger.addPending(-n)
        ledger.drop(n, reason)
        if (settlements.size > 0) for (let seq = from; seq <= to; seq++) abandon(seq, reason)
      }
      for (const { id, occurrence } of page.entries) {
        const { released, series } = correlator.step(id, occurrence, at)
        const done = settlements.get(id.seq)
        if (done !== undefined) {
          settlements.delete(id.seq)
          const key = keyOf(series)
          const expecting = settlementsOf.get(key)
          if (expecting === undefined) settlementsOf.set(key, [{ seq: id.seq, done }])
          else expecting.push({ seq: id.seq, done })
        }
        for (const one of released) enqueue(one)
      }
      position = page.reached
      unreadSince = position < shared.head ? (page.entries.at(-1)?.occurrence.at ?? unreadSince) : undefined
      ledger.held = correlator.held
      changedSinceCheckpoint = true
      lookAgain()
    })
  })

  const abandon = (seq: number, reason: string): void => {
    const done = settlements.get(seq)
    if (done === undefined) return
    settlements.delete(seq)
    Deferred.doneUnsafe(done, Effect.succeed({ _tag: "Dropped", reason }))
  }

  /**
   * What an earlier life may have read is folded with the configuration that its correlator had, or a count could be begun
   * twice. Only then, and with a checkpoint before anything else is read, the new configuration takes over.
   */
  const changeConfiguration: Effect.Effect<void> = Effect.suspend(() => {
    if (foldAsBeforeUpTo === undefined || position < foldAsBeforeUpTo) return Effect.void
    release(correlator.drain())
    correlator = new Correlation.Correlator(options.correlation)
    ledger.held = 0
    foldAsBeforeUpTo = undefined
    return insist(checkpoint)
  })

  // -------------------------------------------------------------------------
  // start
  // -------------------------------------------------------------------------

  const restored = yield* journal.restore(name)
  const headAtStart = shared.head
  // A sink that has no checkpoint was never there before: it gets what is accepted from now on.
  position = restored?.upTo ?? headAtStart
  checkpointedPosition = position
  target = restored?.target
  let pending = Math.max(0, headAtStart - position)
  const damaged = (cause: unknown) =>
    new JournalError({
      reason: new JournalDamaged({ detail: `the checkpoint of the sink "${name}" cannot be read` }),
      cause
    })
  if (restored !== undefined && restored.state !== null) {
    const state = yield* Effect.try({ try: () => readState(restored.state), catch: damaged })
    correlator = yield* Effect.try({ try: () => Correlation.Correlator.restore(state.correlator), catch: damaged })
    pending += correlator.held
    for (const [write, occurrences, from, since] of state.outbox) {
      enqueue({ write, occurrences, from, since })
      pending += occurrences
    }
    for (const [origin, seq, upTo, occurrences] of state.parked) {
      parkedOf.set(keyOf({ origin, seq }), { upTo, occurrences })
    }
    if (!Correlation.equals(correlator.options, options.correlation)) {
      foldAsBeforeUpTo = Math.min(headAtStart, position + READ_AHEAD)
    }
  }
  for (const { write } of yield* journal.parked(name)) kept.set(keyOf(write.id), write.id)
  // What the journal no longer keeps aside was given up.
  for (const key of [...parkedOf.keys()]) if (!kept.has(key)) parkedOf.delete(key)
  let parkedAtStart = 0
  for (const { occurrences } of parkedOf.values()) parkedAtStart += occurrences
  ledger.recover(pending, parkedAtStart)
  ledger.held = correlator.held
  if (position < headAtStart) {
    const first = yield* Effect.option(journal.read(name, position, 1))
    if (first._tag === "Some") unreadSince = first.value.entries[0]?.occurrence.at
  }
  // Before the first event is accepted, so that no later start takes this sink for a new one.
  if (restored === undefined) yield* checkpoint

  // -------------------------------------------------------------------------
  // life
  // -------------------------------------------------------------------------

  /** Nothing is written before it is known where to: the target is in a checkpoint before the first write. */
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
        unreachable = isSlow(answer.failure) ? "blocked" : "degraded"
        ledger.lastError = answer.failure.message
        tell()
        const wasDraining = draining
        const again = monotonic() + backoff(failures, LAST_DELAY)
        notifyAt(again)
        yield* until(() => monotonic() >= again || draining !== wasDraining)
      }
    }
    unreachable = undefined
    const other = shared.targets.get(found)
    if (target !== undefined && target !== found) {
      halted = true
      ledger.lastError = `its journal belongs to ${target}, the backend is ${found}: point it back, or give this backend a journal of its own`
    } else if (other !== undefined && other !== name) {
      halted = true
      ledger.lastError = `the sink "${other}" writes to the same target, ${found}: two sinks need two targets`
    } else {
      shared.targets.set(found, name)
      if (target === undefined) {
        target = found
        yield* insist(checkpoint)
      }
    }
    tell()
    notify()
  })

  const wakeAt = (): number => {
    const nextTick = correlator.nextTick(wall())
    return Math.min(
      checkpointDueAt(),
      dispatchDueAt(),
      logDueAt(),
      nextTick === undefined ? Number.POSITIVE_INFINITY : monotonic() + Math.max(0, nextTick - wall())
    )
  }

  const pump = Effect.gen(function* () {
    yield* bind
    if (halted) return
    while (!stopped) {
      const seen = changes
      yield* fold
      yield* changeConfiguration
      release(correlator.tick(wall()))
      dispatch()
      yield* makeRoom
      yield* checkpointIfDue
      tell()
      if (readableUpTo() > position) continue
      const next = wakeAt()
      if (next > monotonic()) {
        notifyAt(next)
        yield* until(() => changes !== seen)
      }
      // Whoever woke it goes on first, and brings more with it.
      yield* Effect.yieldNow
    }
  })

  /** What is held leaves at once, whatever its budget says. */
  const letGo = () => {
    if (correlator.held === 0) return
    release(correlator.drain())
    notify()
  }

  /** Of what is read. */
  const oldest = (): { readonly from: number; readonly since: Timestamp.Micros } | undefined => {
    let oldest = correlator.oldest()
    for (const { next, underway } of outbox.values()) {
      const first = underway ?? next!
      if (oldest === undefined || first.from < oldest.from) oldest = first
    }
    return oldest
  }

  const isThrough = (seq: number): boolean => {
    if (position < seq) return false
    const first = oldest()
    return first === undefined || first.from > seq
  }

  // Nothing here should die. If it does, a person has to know, and what is accepted waits in the journal.
  const watchedPump = Effect.tapCause(pump, (cause) =>
    Effect.suspend(() => {
      if (Cause.hasInterruptsOnly(cause)) return Effect.void
      halted = true
      ledger.lastError = `it broke down: ${String(Cause.squash(cause))}`
      tell()
      notify()
      return Effect.logError(`The sink "${name}" broke down`, cause)
    })
  )
  yield* Effect.forkIn(watchedPump, scope)

  const readParked = journal.parked(name)
  const chosen = (parked: ReadonlyArray<Parked>, series: ReadonlyArray<EventId.EventId>): ReadonlyArray<Parked> => {
    const keys = new Set(series.map(keyOf))
    return parked.filter(({ write }) => keys.has(keyOf(write.id)))
  }

  const sink: Sink = {
    name,
    ledger,
    status: () => {
      ledger.state = stateNow()
      const since = oldest()?.since ?? unreadSince
      return ledger.status(since === undefined ? 0 : wall() - since)
    },
    arrived: (since) => {
      unreadSince ??= since
      notify()
    },
    wake: notify,
    relieve: () => {
      relief = true
      notify()
    },
    expect: (seq) => {
      const done = Deferred.makeUnsafe<Settlement>()
      settlements.set(seq, done)
      return Deferred.await(done)
    },
    isThrough,
    through: (seq) =>
      until(() => {
        letGo()
        return isThrough(seq)
      }),
    parked: Effect.map(readParked, (parked) =>
      parked.flatMap((one) => {
        const state = parkedOf.get(keyOf(one.write.id))
        return state === undefined ? [] : [{ ...one, occurrences: state.occurrences }]
      })
    ),
    retryParked: (series) =>
      recording.withPermit(
        Effect.flatMap(readParked, (parked) => {
          let n = 0
          for (const { write } of chosen(parked, series)) {
            const key = keyOf(write.id)
            const occurrences = parkedOf.get(key)?.occurrences
            // What is not in the books is pending already.
            if (occurrences === undefined) continue
            parkedOf.delete(key)
            n += occurrences
            ledger.park(-occurrences)
            ledger.addPending(occurrences)
            enqueue({ write, occurrences, from: write.upTo, since: write.last })
          }
          if (n === 0) return Effect.succeed(0)
          changedSinceCheckpoint = true
          notify()
          // Kept aside until it is delivered: a crash before then repeats, and loses nothing.
          return Effect.as(checkpointNow, n)
        })
      ),
    dropParked: (series) =>
      recording.withPermit(
        Effect.flatMap(readParked, (parked) => {
          const given = chosen(parked, series).filter(({ write }) => parkedOf.has(keyOf(write.id)))
          if (given.length === 0) return Effect.succeed(0)
          return Effect.map(
            journal.unpark(
              name,
              given.map(({ write }) => write.id)
            ),
            () => {
              let n = 0
              for (const { write } of given) {
                const key = keyOf(write.id)
                const { occurrences } = parkedOf.get(key)!
                parkedOf.delete(key)
                kept.delete(key)
                n += occurrences
                ledger.park(-occurrences)
                ledger.drop(occurrences, "parked")
              }
              changedSinceCheckpoint = true
              return n
            }
          )
        })
      ),
    drain: (complete) =>
      Effect.suspend(() => {
        draining = true
        // Whatever waits for its next try has only the deadline left.
        for (const one of outbox.values()) one.nextAt = Number.NEGATIVE_INFINITY
        awayUntil = Number.NEGATIVE_INFINITY
        notify()
        return until(() => {
          letGo()
          return halted || (complete() && isThrough(shared.head))
        })
      }),
    stop: Effect.suspend(() => {
      stopped = true
      ledger.state = "down"
      const left: Settlement = durable ? { _tag: "Kept" } : { _tag: "Dropped", reason: "shutdown" }
      for (const done of settlements.values()) Deferred.doneUnsafe(done, Effect.succeed(left))
      for (const expecting of settlementsOf.values()) {
        for (const { done } of expecting) Deferred.doneUnsafe(done, Effect.succeed(left))
      }
      settlements.clear()
      settlementsOf.clear()
      // One that is under way must not be cut short, so this waits for it.
      if (durable) {
        const unsaved = () => changedSinceCheckpoint || position !== checkpointedPosition
        return recording.withPermit(Effect.suspend(() => (unsaved() ? Effect.ignore(checkpointNow) : Effect.void)))
      }
      if (ledger.pending > 0) ledger.drop(ledger.pending, "shutdown")
      ledger.addPending(-ledger.pending)
      position = shared.head
      return Effect.ignore(checkpoint)
    })
  }

  let requestsProblem: string | undefined

  const carryOut = Effect.suspend(() => {
    if (stopped) return Effect.void
    return Effect.flatMap(journal.requests(name), (requests) => {
      // Of a series the last word counts, so that somebody can think better of it.
      const wanted = new Map<Key, { readonly id: EventId.EventId; readonly action: ParkedRequest["action"] }>()
      for (const { action, series } of requests) for (const id of series) wanted.set(keyOf(id), { id, action })
      const carry = (action: ParkedRequest["action"], use: Sink["retryParked"]) => {
        const series = [...wanted.values()].flatMap((one) => (one.action === action ? [one.id] : []))
        if (series.length === 0) return Effect.void
        return Effect.flatMap(use(series), (n) =>
          n === 0
            ? Effect.void
            : Effect.logInfo(
                `Somebody asked the sink "${name}" to ${action} what is parked: ${n} ${n === 1 ? "occurrence" : "occurrences"}`
              )
        )
      }
      return Effect.andThen(carry("retry", sink.retryParked), carry("drop", sink.dropParked))
    })
  }).pipe(
    Effect.map(() => {
      requestsProblem = undefined
    }),
    Effect.catch(({ message }) => {
      if (message === requestsProblem) return Effect.void
      requestsProblem = message
      return Effect.logWarning(`What is asked for about parked events of the sink "${name}" cannot be done: ${message}`)
    })
  )

  /** What is taken is carried out, because nobody else will. While nothing is parked there is nothing to ask for. */
  const attend = Effect.gen(function* () {
    while (!stopped) {
      yield* until(() => kept.size > 0)
      yield* Effect.uninterruptible(carryOut)
      yield* sleep(REQUESTS_INTERVAL)
    }
  })

  if (durable) yield* Effect.forkIn(attend, scope)
  return sink
})
