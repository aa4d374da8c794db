/**
 * The state of a sink that is told: at once in the status, at intervals in the log, so that a backend that goes up and down
 * does not flood it.
 */
import * as Effect from "effect/Effect"
import type { JournalError } from "../Journal.ts"
import type { SinkStatus } from "../Recorder.ts"
import type { SinkLedger } from "./ledger.ts"
import type { Failures } from "./sinkFailures.ts"
import type { Outbox } from "./sinkOutbox.ts"
import type { RunFork } from "./sinkSignal.ts"
import { SECOND, type SinkTime } from "./sinkTime.ts"

const LOG_INTERVAL = 30 * SECOND

/** @internal */
export class Health {
  /** Set while the target cannot be told. */
  unreachable: "degraded" | "blocked" | undefined
  /**
   * Why nothing is read or written: for something that a person must mend before the recorder starts again, or because
   * another store answers, until the right one does.
   */
  haltedFor: "repair" | "target" | undefined
  /** How often another store answered since something was delivered. */
  mismatches = 0
  /** The scope is closed. */
  isStopped = false
  private journalFailures = 0
  private loggedState: SinkStatus["state"] = "up"
  private loggedAt = Number.NEGATIVE_INFINITY

  private readonly name: string
  private readonly ledger: SinkLedger
  private readonly outbox: Outbox
  private readonly failures: Failures
  private readonly time: SinkTime
  private readonly runFork: RunFork

  constructor(
    name: string,
    parts: {
      readonly ledger: SinkLedger
      readonly outbox: Outbox
      readonly failures: Failures
      readonly time: SinkTime
      readonly runFork: RunFork
    }
  ) {
    this.name = name
    this.ledger = parts.ledger
    this.outbox = parts.outbox
    this.failures = parts.failures
    this.time = parts.time
    this.runFork = parts.runFork
  }

  get isHalted(): boolean {
    return this.haltedFor !== undefined
  }

  halt(why: string): void {
    this.haltedFor = "repair"
    this.ledger.lastError = why
  }

  /** Another store answers. */
  mismatched(why: string): void {
    this.haltedFor ??= "target"
    this.mismatches++
    this.ledger.lastError = why
  }

  /** The store answers that the sink is bound to. */
  matched(): void {
    if (this.haltedFor === "target") this.haltedFor = undefined
  }

  /** Answers how often in a row. */
  journalFailed({ message }: JournalError): number {
    this.ledger.lastError = message
    return ++this.journalFailures
  }

  journalWorks(): void {
    this.journalFailures = 0
  }

  now(): SinkStatus["state"] {
    const { failures, journalFailures, unreachable } = this
    if (this.isStopped) return "down"
    if (this.isHalted || journalFailures > 0 || failures.isBlocked) return "blocked"
    if (unreachable !== undefined) return unreachable
    return this.outbox.failing > 0 || failures.isFailing ? "degraded" : "up"
  }

  /** Called after every change. */
  tell(): void {
    const { ledger, name } = this
    ledger.state = this.now()
    // What the end leaves behind is said once, by `tellEnd`.
    if (this.isStopped) return
    if (ledger.state === this.loggedState || this.time.monotonic() - this.loggedAt < LOG_INTERVAL) return
    this.loggedState = ledger.state
    this.loggedAt = this.time.monotonic()
    this.runFork(
      ledger.state === "up"
        ? Effect.logInfo(`Events reach the sink "${name}" again`)
        : Effect.logWarning(
            `Events wait for the sink "${name}" (${ledger.state}): ${ledger.lastError ?? "it has not said why"}`
          )
    )
  }

  /** Called once, when nothing more is delivered: what is left behind is said, and where nothing is, that it has arrived. */
  tellEnd(left: number, isKept: boolean): void {
    const { ledger, name } = this
    if (left > 0) {
      const fate = isKept ? "left in the journal for the next start" : "dropped with the journal in memory"
      const why = ledger.lastError === undefined ? "" : `: ${ledger.lastError}`
      this.runFork(
        Effect.logWarning(`The recorder is closed; undelivered for the sink "${name}": ${left}, ${fate}${why}`)
      )
    } else if (this.loggedState !== "up") {
      this.runFork(Effect.logInfo(`Events reach the sink "${name}" again`))
    }
  }

  /** When what could not be logged yet may be. */
  logDueAt(): number {
    return this.ledger.state === this.loggedState ? Number.POSITIVE_INFINITY : this.loggedAt + LOG_INTERVAL
  }
}
