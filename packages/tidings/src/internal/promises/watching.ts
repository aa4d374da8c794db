/**
 * Watches as async iterables that end for good: when their loop does, when their signal is aborted, and when everything is
 * closed, also while they wait for the next item.
 *
 * @internal
 */
import { BackendError, Unavailable } from "@tidings/core/BackendError"
import type * as Context from "effect/Context"
import * as Stream from "effect/Stream"
import type * as Promised from "../../Promised.ts"
import * as calls from "./calls.ts"

/** @internal */
export class Watches {
  private readonly open = new Set<() => Promise<void>>()
  private closed = false
  private readonly context: Context.Context<never>

  constructor(context: Context.Context<never>) {
    this.context = context
  }

  /** Ends all that are under way; resolves when nothing of them is left. */
  async close(): Promise<void> {
    this.closed = true
    await Promise.all([...this.open].map((end) => end()))
  }

  iterable<A>(stream: Stream.Stream<A, unknown>, ending: Promised.Ending | undefined): AsyncIterable<A> {
    return {
      [Symbol.asyncIterator]: () => {
        // What is no signal is refused by the stream, when it is read.
        const signal = ending?.signal instanceof AbortSignal ? ending.signal : undefined
        return this.iterator(stream, signal)
      }
    }
  }

  private iterator<A>(stream: Stream.Stream<A, unknown>, signal: AbortSignal | undefined): AsyncIterator<A> {
    const done: IteratorReturnResult<undefined> = { done: true, value: undefined }
    const { promise: ended, resolve: tellEnd } = Promise.withResolvers<IteratorReturnResult<undefined>>()
    let inner: AsyncIterator<A> | undefined
    let ending: Promise<void> | undefined
    // One that was made before everything was closed ends like those that are under way.
    const tooLate = this.closed
    /** One item at a time, however many are asked for. */
    let last: Promise<unknown> = Promise.resolve()

    const end = (): Promise<void> => {
      ending ??= (async () => {
        signal?.removeEventListener("abort", onAbort)
        tellEnd(done)
        try {
          await inner?.return?.()
        } catch {
          // Its reader has already been given the end.
        } finally {
          this.open.delete(end)
        }
      })()
      return ending
    }
    const onAbort = () => void end()

    const begin = (): AsyncIterator<A> => {
      if (tooLate) throw new BackendError({ reason: new Unavailable({ detail: "it was closed" }) })
      this.open.add(end)
      signal?.addEventListener("abort", onAbort, { once: true })
      return Stream.toAsyncIterableWith(stream, this.context)[Symbol.asyncIterator]()
    }

    const next = async (): Promise<IteratorResult<A>> => {
      if (ending !== undefined || signal?.aborted === true || (this.closed && !tooLate)) return done
      try {
        inner ??= begin()
        const item = await Promise.race([inner.next(), ended])
        if (item.done === true) await end()
        return item
      } catch (thrown) {
        if (ending !== undefined) return done
        await end()
        throw calls.rejection("watchEvents", thrown)
      }
    }

    const after = async (before: Promise<unknown>): Promise<IteratorResult<A>> => {
      await before
      return next()
    }

    return {
      next: () => {
        const item = after(last)
        last = item.catch(() => {})
        return item
      },
      return: async () => {
        await end()
        return done
      },
      throw: async (thrown: unknown) => {
        await end()
        throw thrown
      }
    }
  }
}
