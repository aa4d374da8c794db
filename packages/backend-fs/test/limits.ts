import type { Backend } from "@tidings/core/Backend"
import { Effect, Exit } from "effect"
import { first } from "./writes.ts"

export interface Filled {
  /** The reason of the failure, and its words. */
  readonly tag: string
  readonly message: string
  /** The seqs of the writes that were answered as stored. */
  readonly stored: ReadonlyArray<number>
  /** The seqs that a query finds. */
  readonly found: ReadonlyArray<number>
}

/**
 * Writes until there is no room, makes room when it is told how, writes on, and reads.
 */
export const fill = (backend: Backend["Service"], makeRoom?: () => void) =>
  Effect.gen(function* () {
    const stored: Array<number> = []
    let failure: { readonly tag: string; readonly message: string } | undefined
    let seq = 0
    const write = Effect.gen(function* () {
      const batch = Array.from({ length: 7 }, () => first(++seq, { data: { error: "x".repeat(seq % 3000) } }))
      const exit = yield* Effect.result(backend.write(batch))
      if (exit._tag === "Failure") {
        failure = { tag: exit.failure.reason._tag, message: exit.failure.message }
        return
      }
      for (const [index, outcome] of exit.success.entries()) {
        if (outcome._tag === "Settled") stored.push(batch[index]!.id.seq)
        else if (outcome._tag === "Retry") failure = { tag: outcome.error.reason._tag, message: outcome.error.message }
      }
    })
    while (failure === undefined && seq < 20_000) yield* write
    // Without room it stays so, and does no harm.
    for (let times = 0; times < 3; times++) yield* write
    makeRoom?.()
    if (makeRoom !== undefined) for (let times = 0; times < 5; times++) yield* write
    const page = yield* backend.query({})
    const answer: Filled = {
      tag: failure?.tag ?? "none",
      message: failure?.message ?? "",
      stored,
      found: page.events.map(({ id }) => id.seq).reverse()
    }
    return answer
  })

/** What can be done with a log that can only be read. */
export const readOnly = (backend: Backend["Service"]) =>
  Effect.gen(function* () {
    const page = yield* backend.query({})
    const exit = yield* Effect.exit(backend.write([first(100)]))
    const error = yield* Effect.flip(backend.write([first(100)]))
    return {
      found: page.totalCount,
      refused: Exit.isFailure(exit),
      tag: error.reason._tag,
      message: error.message
    }
  })
