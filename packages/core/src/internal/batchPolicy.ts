/**
 * Merges the writes of several callers into one: those that come in one turn of the event loop, and those that come while another
 * write is under way.
 *
 * - One write is under way at most, and the next one begins in a later turn: callers that are answered continue at once and write
 *   more, which would otherwise never let timers and sockets have their turn.
 * - A caller that is alone gains nothing. So where two turns had a single caller, what it writes next in the turn in which it is answered
 *   is passed on as it comes, but for one of many writes, to see whether it still is alone. While one of them is under way, what
 *   comes is collected.
 */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import type * as Scope from "effect/Scope"
import type * as Backend from "../Backend.ts"
import { MergedWrite } from "../Backend.ts"
import { BackendError, Transient } from "../BackendError.ts"
import type { Write } from "../Event.ts"
import { overlay } from "./overlay.ts"
import { missing } from "./outcomes.ts"

type Answer = Effect.Effect<ReadonlyArray<Backend.Outcome>, BackendError>
type WriteExit = Exit.Exit<ReadonlyArray<Backend.Outcome>, BackendError>

interface Waiting {
  readonly batch: ReadonlyArray<Write>
  readonly resume: (answer: Answer) => void
}

/** How many writes of a caller that was alone are passed on before one is collected again. */
const ALONE = 32

/** The series of the callers that are taken. Their seqs nearly always ascend, and then none comes twice; else they are searched. */
class Series {
  private readonly taken: Array<Write> = []
  private readonly highest = new Map<string, number>()

  has(batch: ReadonlyArray<Write>): boolean {
    return batch.some(
      ({ id: { origin, seq } }) =>
        seq <= (this.highest.get(origin) ?? Number.NEGATIVE_INFINITY) &&
        this.taken.some(({ id }) => id.seq === seq && id.origin === origin)
    )
  }

  add(batch: ReadonlyArray<Write>): void {
    for (const write of batch) {
      const { origin, seq } = write.id
      this.taken.push(write)
      if (seq > (this.highest.get(origin) ?? Number.NEGATIVE_INFINITY)) this.highest.set(origin, seq)
    }
  }
}

/** @internal */
export const make = (
  backend: Backend.Service,
  options?: { readonly maximum?: number | undefined }
): Effect.Effect<Backend.Service, never, Scope.Scope> =>
  Effect.gen(function* () {
    const maximum = Math.max(1, options?.maximum ?? 256)
    const runFork = Effect.runForkWith(yield* Effect.context<Scope.Scope>())
    const dispatcher = yield* Effect.withFiber((fiber) => Effect.succeed(fiber.currentDispatcher))
    let waiting: Array<Waiting> = []
    let inFlight: ReadonlyArray<Waiting> = []
    let running: Fiber.Fiber<unknown, BackendError> | undefined
    /** A write of a caller that is alone is under way, without having been collected. */
    let passing = false
    let scheduled = false
    let closed = false
    /** How many writes are still passed on as they come. */
    let left = 0
    /** The last write was that of a single caller, which may also be the last one of many. */
    let wasAlone = false

    /**
     * The first waiting callers whose items fit together and contain no series twice. The batch of a caller is never split.
     */
    const takeNext = (): ReadonlyArray<Waiting> => {
      const series = new Series()
      let items = 0
      let taken = 0
      for (const { batch } of waiting) {
        if (taken > 0 && (items + batch.length > maximum || series.has(batch))) break
        series.add(batch)
        items += batch.length
        taken++
      }
      const next = waiting.slice(0, taken)
      waiting = waiting.slice(taken)
      return next
    }

    const answer = (exit: WriteExit): void => {
      const callers = inFlight
      inFlight = []
      if (Exit.isFailure(exit)) {
        for (const { resume } of callers) resume(exit)
        return
      }
      let from = 0
      for (const { batch, resume } of callers) {
        const start = from
        from += batch.length
        resume(Effect.succeed(batch.map((_, index) => exit.value[start + index] ?? missing)))
      }
    }

    const isBusy = (): boolean => scheduled || passing || running !== undefined

    const schedule = (): void => {
      if (isBusy() || waiting.length === 0) return
      scheduled = true
      dispatcher.scheduleTask(deliver, 0)
    }

    const endTurn = (): void => {
      left = 0
    }

    const deliver = (): void => {
      scheduled = false
      inFlight = takeNext()
      if (inFlight.length === 0) return
      const isAlone = inFlight.length === 1
      const items = isAlone ? inFlight[0]!.batch : inFlight.flatMap(({ batch }) => batch)
      const fiber = runFork(Effect.suspend(() => backend.write(items)))
      running = fiber
      fiber.addObserver((exit) => {
        running = undefined
        left = isAlone && wasAlone && waiting.length === 0 ? ALONE : 0
        wasAlone = isAlone
        if (left > 0) dispatcher.scheduleTask(endTurn, 0)
        answer(exit)
        schedule()
      })
    }

    const interrupted: Answer = Effect.fail(
      new BackendError({ reason: new Transient({ applied: "unknown", detail: "the backend was closed meanwhile" }) })
    )
    yield* Effect.addFinalizer(() =>
      Effect.suspend(() => {
        closed = true
        const callers = [...inFlight, ...waiting]
        inFlight = []
        waiting = []
        for (const { resume } of callers) resume(interrupted)
        return running === undefined ? Effect.void : Fiber.interrupt(running)
      })
    )

    const passOn = (batch: ReadonlyArray<Write>): Answer => {
      left -= 1
      passing = true
      return Effect.onExit(
        Effect.suspend(() => backend.write(batch)),
        () => {
          passing = false
          schedule()
          return Effect.void
        }
      )
    }

    const collect = (batch: ReadonlyArray<Write>): Answer =>
      Effect.callback<ReadonlyArray<Backend.Outcome>, BackendError>((resume) => {
        const entry: Waiting = { batch, resume }
        waiting.push(entry)
        schedule()
        return Effect.sync(() => {
          waiting = waiting.filter((one) => one !== entry)
        })
      })

    /** Whether the backend merges by itself what several callers write: what its first write is. It would not keep to a maximum. */
    let isMerging: boolean | undefined = options?.maximum === undefined ? undefined : false

    const mergedWrite = (batch: ReadonlyArray<Write>): MergedWrite | undefined => {
      if (isMerging === false || closed || batch.length === 0) return undefined
      try {
        const writing = backend.write(batch)
        isMerging = writing instanceof MergedWrite
        return writing instanceof MergedWrite ? writing : undefined
      } catch {
        // Where it throws again, the caller is told.
        return undefined
      }
    }

    const write = (batch: ReadonlyArray<Write>): Answer =>
      mergedWrite(batch) ??
      Effect.suspend(() => {
        if (closed) return interrupted
        if (batch.length === 0) return Effect.succeed([])
        return left > 0 && !isBusy() ? passOn(batch) : collect(batch)
      })

    return overlay(backend, { write })
  })
