import * as Clock from "effect/Clock"
import * as Cause from "effect/Cause"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Random from "effect/Random"
import type * as Scope from "effect/Scope"
import type * as Backend from "../Backend.ts"
import type { Occurrence } from "../Event.ts"
import type * as EventId from "../EventId.ts"
import { type Journal, JournalError, JournalFailed } from "../Journal.ts"
import type { Delivered, EventDraft, FlushReport, Recorded, RecordError, Recorder, Settlement } from "../Recorder.ts"
import { Closed, RecorderError } from "../Recorder.ts"
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
  /** Runs in the turn in which the event is accepted, before any sink can read it. */
  readonly accepted: (id: EventId.EventId) => void
  readonly refused: (error: JournalError) => void
}

const MAXIMUM_APPEND = 1_024

/** @internal */
export const make = Effect.fnUntraced(function* (
  options: Options
): Effect.fn.Return<Recorder["Service"], JournalError, Scope.Scope> {
  const { drainTimeout, journal, prepare, queueCapacity } = options
  const clock = yield* Clock.Clock
  const context = yield* Effect.context<never>()
  const scope = yield* Effect.scope
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
  let appending = false
  const idle = new Set<() => void>()

  const runFork = Effect.runForkWith(context)

  /** Head, books and callers move in one turn: between them the law would not hold. */
  const accept = (batch: ReadonlyArray<Waiting>, ids: ReadonlyArray<EventId.EventId>): void => {
    shared.head = ids.at(-1)!.seq
    ledger.accept(batch.length)
    for (const sink of delivering) sink.ledger.addPending(batch.length)
    for (const [index, one] of batch.entries()) one.accepted(ids[index]!)
    for (const sink of delivering) sink.wake()
  }

  const errorOf = (exit: Exit.Failure<unknown, JournalError>): JournalError => {
    const failure = Cause.findErrorOption(exit.cause)
    return failure._tag === "Some"
      ? failure.value
      : new JournalError({ reason: new JournalFailed({ detail: "it died" }), cause: Cause.squash(exit.cause) })
  }

  const refuse = (batch: ReadonlyArray<Waiting>, error: JournalError): void => {
    ledger.refuse(batch.length, error.reason._tag === "JournalFull" ? "full" : "failed")
    for (const one of batch) one.refused(error)
  }

  const concluded = (
    batch: ReadonlyArray<Waiting>,
    exit: Exit.Exit<ReadonlyArray<EventId.EventId>, JournalError>
  ): void => {
    if (Exit.isSuccess(exit)) return accept(batch, exit.value)
    refuse(batch, errorOf(exit))
  }

  const append = (batch: ReadonlyArray<Waiting>) => journal.append(batch.map(({ occurrence }) => occurrence))

  const appendWaiting: Effect.Effect<void> = Effect.suspend(() => {
    if (waiting.length === 0) {
      appending = false
      for (const wake of [...idle]) wake()
      return Effect.void
    }
    const batch = waiting.slice(0, MAXIMUM_APPEND)
    waiting = waiting.slice(MAXIMUM_APPEND)
    return Effect.flatMap(Effect.exit(append(batch)), (exit) => {
      if (Exit.isFailure(exit) && batch.length > 1 && errorOf(exit).reason._tag === "JournalFull") {
        // There may be room for some of them.
        return Effect.andThen(
          Effect.forEach(batch, (one) => Effect.map(Effect.exit(append([one])), (exit) => concluded([one], exit)), {
            discard: true
          }),
          appendWaiting
        )
      }
      concluded(batch, exit)
      return appendWaiting
    })
  })

  /** Answers whether the event was accepted in this very turn. */
  const submit = (one: Waiting): void => {
    if (appending) {
      waiting.push(one)
      return
    }
    appending = true
    const batch = [one]
    const fiber = runFork(append(batch))
    const exit = fiber.pollUnsafe()
    if (exit !== undefined) {
      concluded(batch, exit)
      if (waiting.length === 0) appending = false
      else runFork(Effect.forkIn(appendWaiting, scope))
      return
    }
    fiber.addObserver((exit) => {
      concluded(batch, exit)
      runFork(appendWaiting)
    })
  }

  const occurrenceOf = (draft: EventDraft, body: acceptance.Prepared & { readonly _tag: "Body" }): Occurrence => ({
    ...body.body,
    at: draft.at ?? Timestamp.now(clock)
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
      const done = (effect: Effect.Effect<A, RecordError>) => {
        if (resume === undefined) result = effect
        else resume(effect)
      }
      submit({
        occurrence: occurrenceOf(draft, prepared),
        accepted: (id) => done(answer(id)),
        refused: (error) => done(Effect.fail(new RecorderError({ reason: error })))
      })
      // A caller who is interrupted from here on has still recorded its event.
      return result ?? Effect.callback<A, RecordError>((callback) => {
        if (result === undefined) resume = callback
        else callback(result)
      })
    })

  const filtered = (by: string): { readonly _tag: "Filtered"; readonly by: string } => ({ _tag: "Filtered", by })

  const settlementsOf = (seq: number): ReadonlyArray<readonly [string, Effect.Effect<Settlement>]> =>
    delivering.map((sink) => [sink.name, sink.expect(seq)])

  const through = (seq: number): boolean => delivering.every((sink) => sink.isThrough(seq))

  const flush = (deadline: Duration.Input): Effect.Effect<FlushReport> =>
    Effect.suspend(() => {
      const seq = shared.head
      return Effect.forEach(delivering, (sink) => sink.through(seq), { concurrency: "unbounded", discard: true }).pipe(
        Effect.timeoutOption(deadline),
        Effect.map(() => ({
          complete: through(seq),
          pending: Object.fromEntries(delivering.map(({ ledger, name }) => [name, ledger.pending]))
        }))
      )
    })

  const appended = Effect.callback<void>((resume) => {
    if (!appending) return resume(Effect.void)
    const wake = () => {
      idle.delete(wake)
      resume(Effect.void)
    }
    idle.add(wake)
    return Effect.sync(() => idle.delete(wake))
  })

  yield* Effect.addFinalizer(() =>
    Effect.suspend(() => {
      closed = true
      return appended.pipe(
        Effect.andThen(Effect.forEach(delivering, ({ drain }) => drain, { concurrency: "unbounded", discard: true })),
        Effect.timeoutOption(drainTimeout),
        Effect.andThen(Effect.forEach(delivering, ({ stop }) => stop, { discard: true })),
        Effect.andThen(
          Effect.sync(() => {
            for (const { ledger } of delivering) ledger.state = "down"
          })
        )
      )
    })
  )

  return {
    record: (draft) => deliver<Recorded>(draft, filtered, (id) => Effect.succeed({ _tag: "Accepted", id })),
    recordSettled: (draft) =>
      deliver<Delivered>(draft, filtered, (id) => {
        const expected = settlementsOf(id.seq)
        return Effect.map(
          Effect.forEach(expected, ([name, settlement]) => Effect.map(settlement, (one) => [name, one] as const), {
            concurrency: "unbounded"
          }),
          (settled) => ({ _tag: "Accepted", id, sinks: Object.fromEntries(settled) })
        )
      }),
    recordNow: (draft) =>
      Effect.sync(() => {
        if (closed) return ledger.refuse(1, "closed")
        if (waiting.length >= queueCapacity) return ledger.refuse(1, "full")
        const prepared = prepare(draft)
        if (prepared._tag === "Invalid") return ledger.refuse(1, "invalid")
        if (prepared._tag === "Filtered") return ledger.filter(prepared.by)
        submit({ occurrence: occurrenceOf(draft, prepared), accepted: () => {}, refused: () => {} })
      }),
    flush,
    status: Effect.sync(() =>
      ledger.status(Object.fromEntries(delivering.map((sink) => [sink.name, sink.status()])))
    ),
    parked: Effect.map(
      Effect.forEach(delivering, ({ name, parked }) => Effect.map(parked, (list) => list.map((one) => ({ sink: name, ...one })))),
      (lists) => lists.flat()
    ),
    retryParked: (sink, series) => one(sink, (found) => found.retryParked(series)),
    dropParked: (sink, series) => one(sink, (found) => found.dropParked(series))
  }

  function one(name: string, use: (sink: sinks.Sink) => Effect.Effect<number, JournalError>) {
    const sink = delivering.find((one) => one.name === name)
    return sink === undefined ? Effect.succeed(0) : use(sink)
  }
})
