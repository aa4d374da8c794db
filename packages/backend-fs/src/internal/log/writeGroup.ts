/**
 * Collects what several callers write in one turn of the event loop, so that it leaves in one write(2).
 *
 * - A caller is answered in the turn after that in which it came, so timers, sockets and other fibers run in between, however many
 *   callers write without a pause.
 * - A caller that is alone gains nothing by that. So where two turns had a single caller, what it writes next in the turn in which it is
 *   answered is not collected, but for one of many writes, to see whether it still is alone.
 * - A caller that is interrupted while it waits has written nothing.
 */
import type { MergedWrite } from "@tidings/core/Backend"
import type { Write } from "@tidings/core/Event"
import type * as Fiber from "effect/Fiber"
import type * as Scheduler from "effect/Scheduler"

/** How many writes of a caller that was alone go at once before one is collected again. */
const ALONE = 32

/** Writes that are stored in one turn; what is more waits for the next one. */
const MOST_OF_A_TURN = 1_024

/** A batch of this size gains nothing by others. */
const LARGE = 16

type Resume = Parameters<MergedWrite["join"]>[1]
type Answer = Parameters<Resume>[0]

/** @internal */
export interface Waiting {
  readonly batch: ReadonlyArray<Write>
  readonly stored: (write: Write) => void
  readonly resume: Resume
}

/** @internal */
export class WriteGroup {
  /** Stores batches, and answers each caller. */
  private readonly store: (group: ReadonlyArray<Waiting>) => void
  private waiting: Array<Waiting> = []
  private isScheduled = false
  private left = 0
  /** The last group was a single caller, which may also be the last one of many. */
  private wasAlone = false

  constructor(store: (group: ReadonlyArray<Waiting>) => void) {
    this.store = store
  }

  /** Whether a batch is to be stored together with others, and not at once. */
  isJoined(batch: ReadonlyArray<Write>): boolean {
    if (batch.length >= LARGE) return false
    if (this.left === 0 || this.isScheduled) return true
    this.left -= 1
    return false
  }

  /** Adds a batch to those that are stored together. Call what it answers for a caller that does not wait any more. */
  join(one: Waiting, caller: Fiber.Fiber<unknown, unknown>): () => void {
    this.waiting.push(one)
    this.schedule(caller.currentDispatcher)
    return () => {
      this.waiting = this.waiting.filter((other) => other !== one)
    }
  }

  /** The scheduler of the caller decides when its next turn is, as for anything that a fiber waits for. */
  private schedule(dispatcher: Scheduler.SchedulerDispatcher): void {
    if (this.isScheduled) return
    this.isScheduled = true
    dispatcher.scheduleTask(() => this.run(dispatcher), 0)
  }

  private run(dispatcher: Scheduler.SchedulerDispatcher): void {
    this.isScheduled = false
    const group = this.take()
    if (group.length === 0) return
    if (this.waiting.length > 0) this.schedule(dispatcher)
    else if (group.length === 1 && this.wasAlone) {
      this.left = ALONE
      dispatcher.scheduleTask(this.endTurn, 0)
    }
    this.wasAlone = group.length === 1
    this.store(group)
  }

  private readonly endTurn = (): void => {
    this.left = 0
  }

  private take(): ReadonlyArray<Waiting> {
    const { waiting } = this
    let writes = 0
    let count = 0
    while (count < waiting.length && writes < MOST_OF_A_TURN) writes += waiting[count++]!.batch.length
    this.waiting = count === waiting.length ? [] : waiting.slice(count)
    return count === waiting.length ? waiting : waiting.slice(0, count)
  }

  /** Answers all that wait. */
  close(answer: Answer): void {
    const { waiting } = this
    this.waiting = []
    for (const { resume } of waiting) resume(answer)
  }
}
