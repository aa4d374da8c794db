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
import type { Journal } from "../Journal.ts"
import { JournalError, JournalFailed } from "./journalError.ts"
import type { Delivered, EventDraft, FlushReport, Recorded, RecordError, Recorder, Settlement } from "../Recorder.ts"
import { Closed, RecorderError } from "./recorderError.ts"
import * as Timestamp from "../Timestamp.ts"
import type * as acceptance from "./acceptance.ts"
import { Ledger } from "./ledger.ts"
import * as sinks from "./sink.ts"

/** @internal */
export interface Options {
  readonly prepare: (draft: EventDraft) => acceptance.Prepared
  readonly journal: Journal["Service"]
  readonly sinks: ReadonlyArray<{ readonly options: sinks.Options; readonly backend: Backend.Service }>
  readonly queueCapacity: number
  readonly drainTimeout: Duration.Duration
}

interface Waiting {
  readonly occurrence: Occurrence
  /** Runs in the turn in which the event is accepted, before any sink can read it; answers what tells its caller. */
  readonly accepted: (id: EventId.EventId) => () => void
  readonly refused: (error: RecorderError) => void
}

const MAXIMUM_APPEND = 1_024
const PATIENCE = Duration.millis(100)

const nothing = () => {}
const unheard = () => nothing

/** @internal */
export const make = Effect.fnUntraced(function* (
  options: Options
): Effect.fn.Return<Recorder["Service"], JournalError, Scope.Scope> {
  const { drainTimeout, journal, prepare, queueCapacity } = options
  const clock = yield* Clock.Clock
  const context = yield* Effect.context()
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
  let closed = false

  // -------------------------------------------------------------------------
  // acceptance: what comes while an append is under way leaves with the next
  // -------------------------------------------------------------------------

  let waiting: Array<Waiting> = []
  /** What did not fit together, to be tried one by one. */
  let singly: Array<Waiting> = []
  let appending: Fiber.Fiber<ReadonlyArray<EventId.EventId>, JournalError> | true | undefined

  const runFork = Effect.runForkWith(context)

  /**
   * Head, books and expectations move in one turn, before anybody else can run: callers go on at once when they are told,
   * and sinks read at once when they are woken.
   */
  const accept = (batch: ReadonlyArray<Waiting>, ids: ReadonlyArray<EventId.EventId>): void => {
    shared.head = ids[ids.length - 1]!.seq
    ledger.accept(batch.length)
    for (const sink of delivering) sink.ledger.addPending(batch.length)
    if (batch.length === 1) {
      const [one] = batch as [Waiting]
      const tell = one.accepted(ids[0]!)
      for (const sink of delivering) sink.arrived(one.occurrence.at)
      tell()
      return
    }
    const tell = batch.map((one, index) => one.accepted(ids[index]!))
    for (const sink of delivering) sink.arrived(batch[0]!.occurrence.at)
    for (const one of tell) one()
  }

  const refuse = (batch: ReadonlyArray<Waiting>, exit: Exit.Failure<unknown, JournalError>): void => {
    const found = Cause.findErrorOption(exit.cause)
    if (found._tag === "None" && Cause.hasInterruptsOnly(exit.cause)) return refuseClosed(batch)
    const error =
      found._tag === "Some"
        ? found.value
        : new JournalError({ reason: new JournalFailed({ detail: "it died" }), cause: Cause.squash(exit.cause) })
    if (error.reason._tag === "JournalFull") {
      for (const sink of delivering) sink.relieve()
      if (batch.length > 1) {
        // There may be room for some of them.
        singly = [...batch, ...singly]
        return
      }
    }
    ledger.refuse(batch.length, error.reason._tag === "JournalFull" ? "full" : "failed")
    const refusal = new RecorderError({ reason: error })
    for (const one of batch) one.refused(refusal)
  }

  const refuseClosed = (batch: ReadonlyArray<Waiting>): void => {
    ledger.refuse(batch.length, "closed")
    const refusal = new RecorderError({ reason: new Closed() })
    for (const one of batch) one.refused(refusal)
  }

  const conclude = (
    batch: ReadonlyArray<Waiting>,
    exit: Exit.Exit<ReadonlyArray<EventId.EventId>, JournalError>
  ): void => (Exit.isSuccess(exit) ? accept(batch, exit.value) : refuse(batch, exit))

  /** A journal that takes its time may be waiting for room, which sinks can give it. */
  const askForRoom: Effect.Effect<never> = Effect.forever(
    Effect.andThen(
      clock.sleep(PATIENCE),
      Effect.sync(() => {
        for (const sink of delivering) sink.relieve()
      })
    )
  )

  /** Appends one batch after the other; a journal that answers at once needs no fiber of its own. */
  const appendAll = (first: ReadonlyArray<Waiting>): void => {
    let batch = first
    while (true) {
      const current = batch
      const fiber = runFork(Effect.suspend(() => journal.append(current.map(({ occurrence }) => occurrence))))
      const exit = fiber.pollUnsafe()
      if (exit === undefined) {
        appending = fiber
        const patience = runFork(askForRoom)
        fiber.addObserver((exit) => {
          patience.interruptUnsafe()
          appending = true
          conclude(current, exit)
          const next = nextBatch()
          if (next !== undefined) appendAll(next)
        })
        return
      }
      appending = true
      conclude(current, exit)
      const next = nextBatch()
      if (next === undefined) return
      batch = next
    }
  }

  const nextBatch = (): ReadonlyArray<Waiting> | undefined => {
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
    if (closed) for (const sink of delivering) sink.wake()
    return undefined
  }

  const submit = (one: Waiting): void => {
    if (appending === undefined) appendAll([one])
    else waiting.push(one)
  }

  const occurrenceOf = ({ at, body }: acceptance.Prepared & { readonly _tag: "Body" }): Occurrence => ({
    ...body,
    at: at ?? Timestamp.now(clock)
  })

  const failure = (reason: string, error: RecordError): Effect.Effect<never, RecordError> => {
    ledger.refuse(1, reason)
    return Effect.fail(error)
  }

  const deliver = <A>(
    draft: EventDraft,
    filtered: (by: string) => A,
    answer: (id: EventId.EventId) => Effect.Effect<A>
  ): Effect.Effect<A, RecordError> =>
    Effect.suspend((): Effect.Effect<A, RecordError> => {
      if (closed) return failure("closed", new RecorderError({ reason: new Closed() }))
      const prepared = prepare(draft)
      if (prepared._tag === "Invalid") return failure("invalid", prepared.error)
      if (prepared._tag === "Filtered") {
        ledger.filter(prepared.by)
        return Effect.succeed(filtered(prepared.by))
      }
      let result: Effect.Effect<A, RecordError> | undefined
      let resume: ((effect: Effect.Effect<A, RecordError>) => void) | undefined
      const tell = () => resume?.(result!)
      submit({
        occurrence: occurrenceOf(prepared),
        accepted: (id) => {
          result = answer(id)
          return tell
        },
        refused: (error) => {
          result = Effect.fail(error)
          tell()
        }
      })
      // A caller who is interrupted from here on has still recorded its event.
      return (
        result ??
        Effect.callback<A, RecordError>((callback) => {
          if (result === undefined) resume = callback
          else callback(result)
        })
      )
    })

  const filtered = (by: string): { readonly _tag: "Filtered"; readonly by: string } => ({ _tag: "Filtered", by })
  const accepted = (id: EventId.EventId): Effect.Effect<Recorded> => Effect.succeed({ _tag: "Accepted", id })

  const settled = (id: EventId.EventId): Effect.Effect<Delivered> => {
    const expected = delivering.map((sink) => [sink.name, sink.expect(id.seq)] as const)
    return Effect.map(
      Effect.forEach(expected, ([name, settlement]) =>
        Effect.map(settlement, (one): [string, Settlement] => [name, one])
      ),
      (sinks) => ({ _tag: "Accepted", id, sinks: Object.fromEntries(sinks) })
    )
  }

  const flush = (deadline: Duration.Input): Effect.Effect<FlushReport> =>
    Effect.suspend(() => {
      const seq = shared.head
      return Effect.forEach(delivering, (sink) => sink.through(seq), { concurrency: "unbounded", discard: true }).pipe(
        Effect.timeoutOption(deadline),
        Effect.map(() => ({
          complete: delivering.every((sink) => sink.isThrough(seq)),
          pending: Object.fromEntries(delivering.map(({ ledger, name }) => [name, ledger.pending]))
        }))
      )
    })

  /** What is still waiting for the journal when the deadline has passed is refused; what the journal has begun is not. */
  const giveUpWaiting = Effect.suspend(() => {
    const left = [...singly, ...waiting]
    singly = []
    waiting = []
    if (left.length > 0) refuseClosed(left)
    return appending === undefined || appending === true ? Effect.void : Fiber.interrupt(appending)
  })

  yield* Effect.addFinalizer(() =>
    Effect.suspend(() => {
      closed = true
      const complete = () => appending === undefined
      return Effect.forEach(delivering, ({ drain }) => drain(complete), {
        concurrency: "unbounded",
        discard: true
      }).pipe(
        Effect.timeoutOption(drainTimeout),
        Effect.andThen(giveUpWaiting),
        Effect.andThen(Effect.forEach(delivering, ({ stop }) => stop, { discard: true }))
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
    record: (draft) => deliver<Recorded>(draft, filtered, accepted),
    recordSettled: (draft) => deliver<Delivered>(draft, filtered, settled),
    recordNow: (draft) =>
      Effect.sync(() => {
        if (closed) return ledger.refuse(1, "closed")
        if (waiting.length >= queueCapacity) return ledger.refuse(1, "full")
        const prepared = prepare(draft)
        if (prepared._tag === "Invalid") return ledger.refuse(1, "invalid")
        if (prepared._tag === "Filtered") return ledger.filter(prepared.by)
        submit({ occurrence: occurrenceOf(prepared), accepted: unheard, refused: nothing })
      }),
    flush,
    status: Effect.sync(() => ledger.status(Object.fromEntries(delivering.map((sink) => [sink.name, sink.status()])))),
    parked: Effect.map(parked, (lists) => lists.flat()),
    retryParked: (name, series) => sinkNamed(name, (sink) => sink.retryParked(series)),
    dropParked: (name, series) => sinkNamed(name, (sink) => sink.dropParked(series))
  }
})
