import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Scope from "effect/Scope"
import type * as Backend from "../Backend.ts"
import { BackendError, Transient } from "../BackendError.ts"
import type { Write } from "../Event.ts"
import { overlay } from "./overlay.ts"
import { missing } from "./outcomes.ts"

type Answer = Effect.Effect<ReadonlyArray<Backend.Outcome>, BackendError>

interface Waiting {
  readonly batch: ReadonlyArray<Write>
  readonly resume: (answer: Answer) => void
}

const keyOf = ({ id }: Write): string => `${id.seq} ${id.origin}`

/** @internal */
export const make = (
  backend: Backend.Service,
  options?: { readonly maximum?: number | undefined }
): Effect.Effect<Backend.Service, never, Scope.Scope> =>
  Effect.gen(function* () {
    const maximum = Math.max(1, options?.maximum ?? 256)
    const context = yield* Effect.context<Scope.Scope>()
    const scope = yield* Effect.scope
    let waiting: Array<Waiting> = []
    let inFlight: ReadonlyArray<Waiting> = []
    let busy = false
    let closed = false

    /**
     * The first waiting callers whose items fit together and contain no series twice. The batch of a caller is never split.
     */
    const takeNext = (): ReadonlyArray<Waiting> => {
      const series = new Set<string>()
      let items = 0
      let taken = 0
      for (const { batch } of waiting) {
        if (taken > 0 && items + batch.length > maximum) break
        if (batch.some((write) => series.has(keyOf(write)))) break
        for (const write of batch) series.add(keyOf(write))
        items += batch.length
        taken++
      }
      const next = waiting.slice(0, taken)
      waiting = waiting.slice(taken)
      return next
    }

    const answer = (exit: Exit.Exit<ReadonlyArray<Backend.Outcome>, BackendError>): void => {
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

    const deliver: Effect.Effect<void> = Effect.suspend(() => {
      inFlight = takeNext()
      if (inFlight.length === 0) {
        busy = false
        return Effect.void
      }
      const items = inFlight.flatMap(({ batch }) => batch)
      return Effect.flatMap(Effect.exit(Effect.suspend(() => backend.write(items))), (exit) => {
        answer(exit)
        return deliver
      })
    })

    const interrupted: Answer = Effect.fail(
      new BackendError({ reason: new Transient({ applied: "unknown", detail: "the backend was closed meanwhile" }) })
    )
    yield* Effect.addFinalizer(() =>
      Effect.sync(() => {
        closed = true
        const left = [...inFlight, ...waiting]
        inFlight = []
        waiting = []
        for (const { resume } of left) resume(interrupted)
      })
    )

    const write = (batch: ReadonlyArray<Write>): Answer =>
      Effect.callback<ReadonlyArray<Backend.Outcome>, BackendError>((resume) => {
        if (closed) return resume(interrupted)
        if (batch.length === 0) return resume(Effect.succeed([]))
        const entry: Waiting = { batch, resume }
        waiting.push(entry)
        if (!busy) {
          busy = true
          // Forked, so that fibers that run in this turn can add their writes first.
          Effect.runForkWith(context)(Effect.forkIn(deliver, scope))
        }
        return Effect.sync(() => {
          waiting = waiting.filter((one) => one !== entry)
        })
      })

    return overlay(backend, { write })
  })
