/**
 * Several stores, or several parts of one, read as one: the two backends of `Policy.route`, the namespaces of a cluster that are
 * read one by one, several clusters.
 *
 * The events of the readers are disjoint, so `totalCount` is their sum. A page is the newest of all readers. A cursor holds one
 * of each reader; of one reader the items of a watch leave in the order of change, between two readers in the order in which
 * they come.
 *
 * @since 0.2.0
 */
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as Stream from "effect/Stream"
import type { BackendError } from "./BackendError.ts"
import type * as EventQuery from "./EventQuery.ts"
import type * as EventReader from "./EventReader.ts"
import * as pages from "./internal/mergedReader/pages.ts"
import * as positions from "./internal/mergedReader/positions.ts"
import { MergedWatch } from "./internal/mergedReader/watch.ts"
import * as Position from "./Position.ts"
import type * as Target from "./Target.ts"

/**
 * One of the readers that are read as one. A watch of it that ends has nothing more to say: the others go on without it.
 *
 * @category models
 * @since 0.2.0
 */
export interface Reader extends Pick<EventReader.Service, "query" | "watch"> {
  /**
   * What tells it from the others in cursors and page tokens, such as the name of a namespace. Where each reader has one of
   * its own, their order does not matter; else a cursor is good for the same readers in the same order.
   */
  readonly key?: string | undefined
}

/**
 * How stores are read as one.
 *
 * @category models
 * @since 0.2.0
 */
export interface Options {
  readonly mode: EventReader.Mode
  /** The identity of all of them together, to which cursors and page tokens are bound. */
  readonly target: Effect.Effect<Target.Target, BackendError>
  /** The readers that a filter is about; for the same filter always the same ones. There may be none. */
  readonly readers: (filter: EventQuery.EventFilter) => ReadonlyArray<Reader>
  /**
   * What an error means for a query when other readers answer: the part of the answer that is missing, or `undefined` where
   * the query fails. Unless given, every error fails the query. A watch fails in any case.
   */
  readonly incomplete?: ((error: BackendError) => EventQuery.Incomplete | undefined) | undefined
}

/**
 * Makes the reader.
 *
 * **Example** (Two stores)
 *
 * ```ts
 * import * as Backend from "@tidings/core/Backend"
 * import * as MergedReader from "@tidings/core/MergedReader"
 * import * as Target from "@tidings/core/Target"
 * import * as Effect from "effect/Effect"
 * import * as Layer from "effect/Layer"
 * import assert from "node:assert/strict"
 *
 * const program = Effect.scoped(
 *   Effect.gen(function* () {
 *     const one = yield* Backend.Backend.pipe(Effect.provide(Layer.fresh(Backend.layerMemory())))
 *     const other = yield* Backend.Backend.pipe(Effect.provide(Layer.fresh(Backend.layerMemory())))
 *     const both = MergedReader.make({
 *       mode: "memory and memory",
 *       target: Effect.succeed(Target.make("both")),
 *       readers: () => [one, other]
 *     })
 *     return yield* both.query({ limit: 10 })
 *   })
 * )
 * const page = await Effect.runPromise(program)
 * assert.equal(page.coverage.length, 2)
 * ```
 *
 * @category constructors
 * @since 0.2.0
 */
export const make = (options: Options): EventReader.Service => {
  const { incomplete = () => undefined, mode, target } = options
  const scopeOf = (filter: EventQuery.EventFilter): Effect.Effect<Position.Scope, BackendError> =>
    Effect.map(target, (target) => ({ mode, target, filter }))

  const query = Effect.fnUntraced(function* ({
    limit,
    page,
    ...filter
  }: EventQuery.EventQuery): Effect.fn.Return<EventQuery.EventPage, BackendError> {
    const readers = options.readers(filter)
    const scope = yield* scopeOf(filter)
    const reached =
      page === undefined
        ? undefined
        : yield* Effect.fromResult(
            Result.flatMap(Position.decodePageToken(scope, page), (text) => pages.decode(readers, text))
          )
    const { cursors, next, ...answer } = yield* pages.read({ readers, filter, limit, reached, incomplete })
    return {
      ...answer,
      cursor: Position.cursorEncoder(scope)(JSON.stringify(positions.toJson(readers, cursors))),
      ...(next === undefined ? undefined : { next: Position.pageTokenEncoder(scope)(pages.encode(readers, next)) })
    }
  })

  const watch = (
    filter: EventQuery.EventFilter,
    from: EventQuery.WatchFrom
  ): Stream.Stream<EventQuery.WatchItem, BackendError> =>
    Stream.unwrap(
      Effect.gen(function* () {
        const readers = options.readers(filter)
        const scope = yield* scopeOf(filter)
        const resumed =
          typeof from === "string" && from !== "beginning" && from !== "now"
            ? yield* Effect.fromResult(
                Result.flatMap(Position.decodeCursor(scope, from), (text) =>
                  positions.parse(text, (value) => positions.fromJson<EventQuery.Cursor>(readers, value))
                )
              )
            : undefined
        const encode = Position.cursorEncoder(scope)
        const merged = new MergedWatch(
          resumed ?? readers.map(() => null),
          (all) => encode(JSON.stringify(positions.toJson(readers, all))),
          from
        )
        if (readers.length === 0)
          return Stream.concat(
            Stream.sync(() => merged.live()),
            Stream.never
          )
        const streams = readers.map((reader, index) =>
          Stream.concat(
            Stream.map(
              reader.watch(filter, resumed === undefined ? from : (resumed[index] ?? "beginning")),
              (item) => () => merged.take(index, item)
            ),
            Stream.succeed(() => merged.end(index))
          )
        )
        return Stream.flattenIterable(
          Stream.map(Stream.mergeAll(streams, { concurrency: "unbounded" }), (next) => next())
        )
      })
    )

  return { mode, target, query, watch }
}
