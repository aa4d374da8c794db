/**
 * What the modules of one sink share. Each module is made of the context alone, plus the modules that it calls.
 */
import type * as Clock from "effect/Clock"
import type * as Duration from "effect/Duration"
import type * as Scope from "effect/Scope"
import type * as Backend from "../../Backend.ts"
import type * as Correlation from "../../Correlation.ts"
import type { Journal } from "../../Journal.ts"
import type { RunFork } from "../backendWrite.ts"
import type { SinkLedger } from "../ledger.ts"
import type { Availability, Health } from "./availability.ts"
import type { Signal } from "./signal.ts"
import type { SinkState } from "./state.ts"
import type { SinkTime } from "./time.ts"

/** @internal */
export interface Options {
  readonly name: string
  readonly correlation: Correlation.Options
  /** Maximum number of writes in flight. */
  readonly concurrency: number
  /** Maximum number of series in one write. */
  readonly batch: number
  /** Maximum number of series that wait for delivery in memory; what is beyond it stays in the journal. */
  readonly capacity: number
  readonly writeTimeout: Duration.Duration
}

/** @internal */
export interface SinkContext {
  readonly options: Options
  readonly backend: Backend.Service
  readonly journal: Journal["Service"]
  /** Whether the journal survives a restart. */
  readonly isDurable: boolean
  /** The last sequence number that is accepted; nothing beyond it is read, though the journal may already have it. */
  readonly head: () => number
  readonly clock: Clock.Clock
  readonly runFork: RunFork
  /** Fibers that must go on while the recorder drains are forked into it. */
  readonly scope: Scope.Scope
  readonly time: SinkTime
  readonly signal: Signal
  readonly ledger: SinkLedger
  readonly state: SinkState
  readonly availability: Availability
  readonly health: Health
  /** Call it after every change outside of a turn of the pump: reports the health, and wakes the pump. */
  readonly publish: () => void
}
