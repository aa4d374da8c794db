import * as Backend from "@tidings/core/Backend"
import type { Write } from "@tidings/core/Event"
import type { Cursor } from "@tidings/core/EventQuery"
import * as Target from "@tidings/core/Target"
import * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import {
  apply,
  check,
  type CheckDefinition,
  create,
  ensure,
  ensureEvents,
  ensureFollowed,
  ensureGap,
  ensureQuery,
  ensureSame,
  ensureWatch,
  eventsOf,
  folded,
  type Forgetful,
  found,
  keyOf,
  open,
  openLayer,
  query,
  refusesCursor,
  refusesPage,
  type Seen,
  settle,
  watch,
  type World
} from "./contractWorld.ts"

// ---------------------------------------------------------------------------
// another store
// ---------------------------------------------------------------------------

/**
 * Needs nothing of the backend under test: the other store is one in memory.
 *
 * @internal
 */
export const foreignChecks: ReadonlyArray<CheckDefinition> = [
  check("cursors and page tokens of a store in memory elsewhere are refused", (world) =>
    refusesThoseOf(world, Backend.layerMemory())
  )
]

/** @internal */
export const otherChecks = (other: Layer.Layer<Backend.Backend, unknown>): ReadonlyArray<CheckDefinition> => [
  check("cursors and page tokens of another store of this kind are refused", (world) => refusesThoseOf(world, other)),

  check("two stores have two targets and do not see each other's events", (world) =>
    Effect.gen(function* () {
      const elsewhere = world.over(yield* openLayer(other))
      const [here, there] = [yield* world.backend.target, yield* elsewhere.backend.target]
      yield* ensure(!Target.isSame(here, there), () => `both stores have the target ${here.id}`)
      const first = world.series()
      const second = world.series()
      yield* create(world, first)
      yield* create(elsewhere, second)
      yield* ensureQuery(world, world.only, [first], "the store")
      yield* ensureQuery(elsewhere, world.only, [second], "the other store")
    })
  )
]

const refusesThoseOf = (world: World, other: Layer.Layer<Backend.Backend, unknown>) =>
  Effect.gen(function* () {
    const elsewhere = world.over(yield* openLayer(other))
    // As much in both, so that a position of the one is also a place in the other.
    for (const each of [world, elsewhere]) {
      const batch = [world.series(), world.series(), world.series()]
      yield* apply(each, batch)
    }
    const page = yield* query(elsewhere, { ...world.only, limit: 1 })
    const watcher = yield* watch(elsewhere, world.only, "beginning")
    const { live, seen } = yield* watcher.untilLive
    for (const cursor of [page.cursor, live, ...seen.map(({ cursor }) => cursor)]) {
      yield* refusesCursor(world, world.only, cursor, "the cursor of another store")
    }
    yield* ensure(page.next !== undefined, () => "the other store gave no page token")
    yield* refusesPage(world, { ...world.only, limit: 1, page: page.next! }, "the page token of another store")
  })

// ---------------------------------------------------------------------------
// a restart
// ---------------------------------------------------------------------------

const restartCheck = (
  reopenable: Effect.Effect<Layer.Layer<Backend.Backend, unknown>, unknown, Scope.Scope>,
  name: string,
  /** Called once per life of the backend, with the world of the first life over the store opened again. */
  lives: (first: World) => ReadonlyArray<(world: World) => Effect.Effect<void, unknown, Scope.Scope>>
): CheckDefinition => ({
  name,
  run: (context) =>
    Effect.gen(function* () {
      const layer = yield* reopenable
      const steps = yield* Effect.scoped(
        Effect.gen(function* () {
          const world = yield* open(context, layer)
          const [begin, ...rest] = lives(world)
          if (begin !== undefined) yield* begin(world)
          return rest.map((step) => (backend: Backend.Service) => step(world.over(backend)))
        })
      )
      for (const step of steps) {
        context.progress.waitingFor = "opening the store again"
        yield* Effect.scoped(Effect.flatMap(openLayer(layer), step))
      }
    })
})

/** @internal */
export const restartChecks = (
  reopenable: Effect.Effect<Layer.Layer<Backend.Backend, unknown>, unknown, Scope.Scope>
): ReadonlyArray<CheckDefinition> => [
  restartCheck(reopenable, "events, their names and the target survive a restart", (first) => {
    const batch = [first.series(), first.series({ namespace: 1 }), first.series({ kind: "Node", name: "node" })]
    const later = first.again(batch[0]!)
    let before: { readonly target: Target.Target; readonly names: ReadonlyArray<string> }
    const look = (world: World) =>
      Effect.gen(function* () {
        const page = yield* ensureQuery(world, world.only, [later, ...batch.slice(1).reverse()], "the store")
        return {
          target: yield* world.backend.target,
          names: page.events.filter(world.isMine).map(({ name }) => name)
        }
      })
    return [
      (world) =>
        Effect.gen(function* () {
          yield* apply(world, [...batch, later])
          before = yield* look(world)
        }),
      (world) => Effect.flatMap(look(world), (after) => ensureSame(before, after, "the store after a restart"))
    ]
  }),

  restartCheck(reopenable, "a write that is repeated after a restart is present, a later one updates", (first) => {
    const state = first.series()
    const later = first.again(state)
    return [
      (world) => create(world, state),
      (world) => settle(world, [state], ["present"]),
      (world) => settle(world, [later], ["updated"]),
      (world) =>
        Effect.gen(function* () {
          yield* settle(world, [state], ["present"])
          yield* ensureQuery(world, world.only, [later], "the store")
        })
    ]
  }),

  restartCheck(reopenable, "cursors of queries and watches survive restarts", (first) => {
    const batch = [first.series(), first.series(), first.series()]
    const between = [first.again(batch[1]!), first.series()]
    const last = [first.series(), first.again(batch[0]!)]
    const history = [...batch, ...between, ...last]
    const cursors: Array<{ readonly cursor: Cursor; readonly after: number }> = []
    const resume = (world: World, history: ReadonlyArray<Write>) =>
      Effect.forEach(
        cursors,
        ({ after, cursor }) =>
          Effect.gen(function* () {
            const watcher = yield* watch(world, world.only, cursor)
            const { seen } = yield* watcher.untilLive
            yield* ensureFollowed({
              history,
              after,
              seen,
              matches: () => true,
              what: "the watch resumed after a restart"
            })
            yield* watcher.stop
          }),
        { discard: true }
      )
    return [
      (world) =>
        Effect.gen(function* () {
          yield* apply(world, batch)
          cursors.push({ cursor: (yield* query(world, world.only)).cursor, after: batch.length })
          const watcher = yield* watch(world, world.only, "beginning")
          const { live, seen } = yield* watcher.untilLive
          seen.forEach(({ cursor }, index) => cursors.push({ cursor, after: index + 1 }))
          cursors.push({ cursor: live, after: batch.length })
        }),
      (world) => resume(world, batch),
      (world) => apply(world, between, batch),
      (world) =>
        Effect.gen(function* () {
          yield* resume(world, [...batch, ...between])
          yield* apply(world, last, [...batch, ...between])
          yield* resume(world, history)
        })
    ]
  })
]

// ---------------------------------------------------------------------------
// a store that forgets
// ---------------------------------------------------------------------------

/** @internal */
export const forgetfulChecks = ({ layer, series }: Forgetful): ReadonlyArray<CheckDefinition> => [
  {
    name: "a cursor from before what was forgotten yields a gap, then the changes that survive",
    run: (context) =>
      Effect.gen(function* () {
        const world = yield* open(context, layer)
        const early = yield* apply(world, [world.series(), world.series()])
        const { cursor } = yield* query(world, world.only)
        const fillers = yield* apply(
          world,
          Array.from({ length: series + 2 }, () => world.series())
        )
        const history = [...early, ...fillers]
        const { events } = yield* query(world, world.only)
        const survivors = new Set(events.map(keyOf))
        yield* ensure(
          survivors.has(keyOf(fillers.at(-1)!)) && !survivors.has(keyOf(fillers[0]!)),
          () =>
            `after ${series} further series the store still has what came before; options.forgetful.series is too small`
        )

        const survivorsAfter = (from: Cursor, gapFirst: boolean) =>
          Effect.gen(function* () {
            const watcher = yield* watch(world, world.only, from)
            let gap: Cursor | undefined
            if (gapFirst) {
              const item = yield* watcher.next("Gap")
              if (item._tag !== "Gap")
                return yield* found(`the watch began with ${item._tag}, history is lost without a Gap`)
              yield* ensureGap(item)
              gap = item.cursor
            }
            const { live, seen } = yield* watcher.untilLive
            yield* ensureSurvivors(seen)
            yield* watcher.stop
            return { gap, live }
          })
        const ensureSurvivors = (seen: ReadonlyArray<Seen>) =>
          Effect.gen(function* () {
            yield* ensureFollowed({
              history,
              after: early.length,
              seen,
              matches: (state) => survivors.has(keyOf(state)),
              what: "the watch after the gap"
            })
          })

        const { gap, live } = yield* survivorsAfter(cursor, true)
        yield* survivorsAfter(gap!, false)
        const watcher = yield* ensureWatch(world, world.only, live, [], "the watch resumed after Live")
        const [end] = yield* create(world, world.series())
        yield* ensureEvents([end], eventsOf(yield* watcher.until(end)), "the watch resumed after Live, later")
      })
  },

  {
    name: "nothing that was forgotten is found or counted",
    run: (context) =>
      Effect.gen(function* () {
        const world = yield* open(context, layer)
        const batch = yield* apply(
          world,
          Array.from({ length: series + 2 }, () => world.series())
        )
        const page = yield* query(world, world.only)
        yield* ensureSame(page.events.length, page.totalCount, "totalCount")
        yield* ensureEvents(batch.slice(-page.events.length).reverse(), page.events, "the store")
        yield* ensureWatch(
          world,
          world.only,
          "beginning",
          folded(batch).slice(-page.events.length),
          "the watch from the beginning"
        )
      })
  }
]
