/**
 * What both recorders do with a call before anything is stored: they read its timeout, prepare the event, and refuse or
 * filter it.
 */
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import { Closed, InvalidTimeout, type RecordError, RecorderError } from "../Delivery.ts"
import type { Occurrence } from "../Event.ts"
import type { EventDraft } from "../EventDraft.ts"
import type * as acceptance from "./acceptance.ts"
import type { Fairness } from "./fairness.ts"
import type { Ledger } from "./ledger.ts"
import * as text from "./text.ts"
import * as timeout from "../Timeout.ts"
import type { TransitionGate } from "./transitionGate.ts"

/** @internal */
export interface Filtered {
  readonly _tag: "Filtered"
  readonly by: string
}

/**
 * How a recorder prepares events, and which of them it holds back because they report nothing new.
 *
 * @internal
 */
export interface Preparation {
  readonly prepare: (draft: EventDraft) => acceptance.Prepared
  readonly transitions: TransitionGate | undefined
}

/** What becomes of a call before anything is written. */
type Taken =
  | Extract<acceptance.Prepared, { readonly _tag: "Accepted" }>
  | { readonly _tag: "Answered"; readonly answer: Effect.Effect<Filtered, RecordError> }

const answered = (answer: Effect.Effect<Filtered, RecordError>): Taken => ({ _tag: "Answered", answer })

/** @internal */
export class Intake {
  isClosed = false
  private readonly prepare: (draft: EventDraft) => acceptance.Prepared
  private readonly ledger: Ledger
  private readonly fairness: Fairness
  private readonly transitions: TransitionGate | undefined

  constructor(preparation: Preparation, ledger: Ledger, fairness: Fairness) {
    this.prepare = preparation.prepare
    this.transitions = preparation.transitions
    this.ledger = ledger
    this.fairness = fairness
  }

  /** Counts a refusal and fails with it. */
  refuse<E>(reason: string, error: E): Effect.Effect<never, E> {
    this.ledger.refuse(1, reason)
    return Effect.fail(error)
  }

  /** The event; or the answer to its caller, where it is refused or filtered. */
  take(draft: EventDraft, caller: Fiber.Fiber<unknown, unknown>): Taken {
    if (this.isClosed) return answered(this.refuse("closed", new RecorderError({ reason: new Closed() })))
    const prepared = this.prepare(draft)
    switch (prepared._tag) {
      case "Accepted": {
        const by = this.transitions?.hold(prepared.occurrence)
        return by === undefined ? prepared : answered(this.filtered(by, caller))
      }
      case "Invalid":
        return answered(this.fairness.answer(caller, this.refuse("invalid", prepared.error)))
      case "Filtered":
        return answered(this.filtered(prepared.by, caller))
    }
  }

  /** Calls `use` with the event, where it is valid and no transform left it out. */
  record<A>(
    draft: EventDraft,
    use: (occurrence: Occurrence, caller: Fiber.Fiber<unknown, unknown>) => Effect.Effect<A, RecordError>
  ): Effect.Effect<A | Filtered, RecordError> {
    return Effect.withFiber((caller): Effect.Effect<A | Filtered, RecordError> => {
      const taken = this.take(draft, caller)
      return taken._tag === "Accepted" ? use(taken.occurrence, caller) : taken.answer
    })
  }

  private filtered(by: string, caller: Fiber.Fiber<unknown, unknown>): Effect.Effect<Filtered> {
    this.ledger.filter(by)
    return this.fairness.answer(caller, Effect.succeed<Filtered>({ _tag: "Filtered", by }))
  }

  /** For an event that was used and is then not recorded. */
  retract(occurrence: Occurrence): void {
    this.transitions?.retract(occurrence)
  }

  /** For `recordNow`: the event; `undefined` where it is refused or filtered, or the queue is full. */
  recordNow(draft: EventDraft, isFull: boolean): Occurrence | undefined {
    const { ledger } = this
    if (this.isClosed) ledger.refuse(1, "closed")
    else if (isFull) ledger.refuse(1, "full")
    else {
      const prepared = this.prepare(draft)
      if (prepared._tag === "Accepted") {
        const by = this.transitions?.hold(prepared.occurrence)
        if (by === undefined) return prepared.occurrence
        ledger.filter(by)
      } else if (prepared._tag === "Invalid") ledger.refuse(1, "invalid")
      else ledger.filter(prepared.by)
    }
    return undefined
  }

  /** Reads the timeout of `recordSettled`: infinite unless given. */
  timeout<A, E>(
    given: Duration.Input | undefined,
    use: (timeout: Duration.Duration) => Effect.Effect<A, E>
  ): Effect.Effect<A, E | InvalidTimeout> {
    return Effect.suspend((): Effect.Effect<A, E | InvalidTimeout> => {
      const read = timeout.read(given ?? Number.POSITIVE_INFINITY)
      if (read !== undefined) return use(read)
      return this.refuse("invalid", new InvalidTimeout({ field: "timeout", found: text.show(given) }))
    })
  }
}

/**
 * Reads the deadline of `flush`.
 *
 * @internal
 */
export const withDeadline = <A>(
  given: Duration.Input,
  use: (deadline: Duration.Duration) => Effect.Effect<A>
): Effect.Effect<A, InvalidTimeout> =>
  Effect.suspend((): Effect.Effect<A, InvalidTimeout> => {
    const read = timeout.read(given)
    return read === undefined
      ? Effect.fail(new InvalidTimeout({ field: "deadline", found: text.show(given) }))
      : use(read)
  })
