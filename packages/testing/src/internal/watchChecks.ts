import type { Write } from "@tidings/core/Event"
import * as EventQuery from "@tidings/core/EventQuery"
import * as Position from "@tidings/core/Position"
import * as Target from "@tidings/core/Target"
import * as Arbitrary from "effect/Arbitrary"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as Stream from "effect/Stream"
import {
  apply,
  check,
  type CheckDefinition,
  create,
  describe,
  doing,
  ensure,
  ensureEvents,
  ensureFollowed,
  ensureSame,
  ensureWatch,
  eventsOf,
  folded,
  integer,
  keyOf,
  propertyCheck,
  query,
  refusesCursor,
  script,
  type Seen,
  several,
  type Step,
  update,
  watch,
  watchLive,
  type World,
  write
} from "./contractWorld.ts"
import { filterCases, makeStock, stockKeys } from "./filterCases.ts"
import { garbage } from "./garbage.ts"

interface Plan {
  readonly before: ReadonlyArray<Step>
  readonly after: ReadonlyArray<Step>
  readonly filter: number
  readonly from: number
}

const step = Arbitrary.all({ series: integer(0, 4), at: integer(0, 9) })

const plan: Arbitrary.Arbitrary<Plan> = Arbitrary.all({
  before: Arbitrary.array(step, { maxLength: 8 }),
  after: Arbitrary.array(step, { maxLength: 8 }),
  filter: integer(0, 3),
  from: integer(0, 4)
})

const planFilter = (world: World, index: number): EventQuery.EventFilter => {
  const filters: ReadonlyArray<EventQuery.EventFilter> = [
    {},
    { reason: "Step" },
    { eventType: "Warning" },
    { namespace: world.context.namespaces[0] }
  ]
  return { ...world.only, ...filters[index] }
}

/** A series that each of the filters of a plan matches: what comes up to it is all that came. */
const endOf = (world: World): Write => world.series({ body: { reason: "Step", type: "Warning" } })

/** @internal */
export const watchChecks: ReadonlyArray<CheckDefinition> = [
  check("a watch from the beginning yields every stored series once, in the order of change, then Live", (world) =>
    Effect.gen(function* () {
      // Last seen long ago or lately: the order is that of change, not of these times.
      const batch = yield* apply(
        world,
        [5, 1, 9, 3].map((at) => world.series({ at }))
      )
      const changed = world.again(batch[1]!, 2)
      yield* apply(world, [changed], batch)
      yield* ensureWatch(world, world.only, "beginning", folded([...batch, changed]), "the snapshot")
    })
  ),

  check("a watch of an empty store begins with Live", (world) =>
    Effect.gen(function* () {
      for (const from of ["beginning", "now", { last: 3 }] as const) {
        yield* ensureWatch(world, world.only, from, [], `the snapshot from ${JSON.stringify(from)}`)
      }
    })
  ),

  check("a watch from now begins with Live and yields what comes after it", (world) =>
    Effect.gen(function* () {
      const stored = yield* create(world, ...several(world, 3))
      const watcher = yield* ensureWatch(world, world.only, "now", [], "the snapshot from now")
      const fresh = several(world, 2)
      const changed = world.again(stored[1]!)
      yield* apply(world, [fresh[0]!, changed, fresh[1]!], stored)
      yield* ensureEvents(
        [fresh[0]!, changed, fresh[1]!],
        eventsOf(yield* watcher.until(fresh[1]!)),
        "what came after Live"
      )
    })
  ),

  check("a watch from the last n yields the n that changed last, in the order of change", (world) =>
    Effect.gen(function* () {
      const batch = yield* apply(
        world,
        [9, 7, 5, 3, 1].map((at) => world.series({ at }))
      )
      const changed = world.again(batch[0]!, 2)
      yield* apply(world, [changed], batch)
      const inOrder = folded([...batch, changed])
      for (const last of [0, 1, 2, 4, 5, 6, 1_000]) {
        const watcher = yield* ensureWatch(
          world,
          world.only,
          { last },
          last === 0 ? [] : inOrder.slice(-last),
          `the snapshot of the last ${last}`
        )
        yield* watcher.stop
      }
    })
  ),

  check("a watch from the last n counts only what its filter matches", (world) =>
    Effect.gen(function* () {
      const batch = yield* apply(
        world,
        Array.from({ length: 8 }, (_, index) =>
          world.series({ body: { type: index % 2 === 0 ? "Warning" : "Normal" } })
        )
      )
      yield* ensureWatch(
        world,
        { ...world.only, eventType: "Warning" },
        { last: 3 },
        [batch[2]!, batch[4]!, batch[6]!],
        "the snapshot of the last 3 warnings"
      )
    })
  ),

  check("Live comes once per start", (world) =>
    Effect.gen(function* () {
      yield* create(world, ...several(world, 2))
      const watcher = yield* watch(world, world.only, "beginning")
      const { live } = yield* watcher.untilLive
      const fresh = yield* apply(world, several(world, 3))
      // A second Live among them is an error.
      yield* watcher.until(fresh[2]!)
      const resumed = yield* watch(world, world.only, live)
      yield* resumed.untilLive
      const [end] = yield* create(world, world.series())
      yield* resumed.until(end)
    })
  ),

  check("a count that grows is yielded again with the higher count", (world) =>
    Effect.gen(function* () {
      const [first] = yield* create(world, world.series())
      const watcher = yield* watch(world, world.only, "beginning")
      yield* watcher.untilLive
      let state = first
      for (let growth = 0; growth < 3; growth++) {
        state = world.again(state)
        yield* update(world, state)
        yield* ensureEvents([state], eventsOf(yield* watcher.until(state)), "the watch after a count grew")
      }
    })
  ),

  check("a query and a watch from its cursor have no gap and no duplicate", (world) =>
    Effect.gen(function* () {
      const batch = yield* create(world, ...several(world, 5))
      const page = yield* query(world, { ...world.only, limit: 2 })
      const between = [world.series(), world.again(batch[0]!), world.again(batch[4]!)]
      yield* apply(world, between, batch)
      const watcher = yield* watch(world, world.only, page.cursor)
      const { seen } = yield* watcher.untilLive
      yield* ensureFollowed({
        history: [...batch, ...between],
        after: batch.length,
        seen,
        matches: () => true,
        what: "the watch from the cursor of a query"
      })
      const fresh = yield* apply(world, several(world, 2))
      yield* ensureEvents(
        fresh,
        eventsOf(yield* watcher.until(fresh[1]!)),
        "the watch from the cursor of a query, later"
      )
    })
  ),

  check("a watch from the cursor of a query that nothing followed begins with Live", (world) =>
    Effect.gen(function* () {
      yield* create(world, ...several(world, 3))
      const { cursor } = yield* query(world, world.only)
      yield* ensureWatch(world, world.only, cursor, [], "the watch from a cursor that nothing followed")
    })
  ),

  propertyCheck(
    "a watch resumed from any item's cursor yields exactly what came after that item",
    () => plan,
    (world, input) =>
      Effect.gen(function* () {
        const changes = script(world)
        const before = changes(input.before)
        const after = [...changes(input.after), endOf(world)]
        const history = [...before, ...after]
        const filter = planFilter(world, input.filter)
        const matches = (state: Write) => EventQuery.matches(filter, state)
        yield* apply(world, before)

        const from = input.from === 0 ? "beginning" : input.from === 1 ? "now" : { last: input.from }
        const first = yield* watch(world, filter, from)
        const snapshot = yield* first.untilLive
        const inOrder = folded(before).filter(matches)
        yield* ensureEvents(
          from === "beginning" ? inOrder : from === "now" ? [] : inOrder.slice(-from.last),
          eventsOf(snapshot.seen),
          `the snapshot from ${JSON.stringify(from)}`
        )
        yield* apply(world, after, before)
        const later = yield* first.until(after.at(-1)!)
        yield* ensureFollowed({ history, after: before.length, seen: later, matches, what: "the watch after Live" })
        yield* first.stop

        const covers = (seen: Seen): number =>
          history.findIndex((change) => keyOf(change) === keyOf(seen.event) && change.upTo === seen.event.upTo) + 1
        const cursors = [
          ...[...snapshot.seen, ...later].map((seen) => ({
            cursor: seen.cursor,
            after: covers(seen),
            what: `the watch resumed after ${describe(seen.event)}`
          })),
          { cursor: snapshot.live, after: before.length, what: "the watch resumed after Live" }
        ]
        for (const { after, cursor, what } of cursors) {
          const resumed = yield* watch(world, filter, cursor)
          const { live, seen } = yield* resumed.untilLive
          yield* ensureFollowed({ history, after, seen, matches, what })
          yield* resumed.stop
          const again = yield* ensureWatch(world, filter, live, [], `${what}, and once more after its Live`)
          yield* again.stop
        }
      })
  ),

  ...filterCases
    .filter(({ expected }) => expected.length > 0)
    .map(({ expected, filter, name }) =>
      check(`a watch filters by ${name}, in the snapshot and live`, (world) =>
        Effect.gen(function* () {
          const stock = makeStock(world)
          const wanted = (keys: ReadonlyArray<(typeof stockKeys)[number]>) =>
            keys.filter((key) => expected.includes(key)).map((key) => stock[key])
          const [stored, later] = [stockKeys.slice(0, 4), stockKeys.slice(4)]
          yield* apply(
            world,
            stored.map((key) => stock[key])
          )
          const watcher = yield* ensureWatch(
            world,
            filter(world),
            "beginning",
            wanted(stored),
            `the snapshot by ${name}`
          )
          yield* apply(
            world,
            later.map((key) => stock[key])
          )
          // Ends with a series that matches, so that what came up to it is all that came. A new one: states between may
          // be left out, so a series that changes twice need not be yielded twice.
          const { id, upTo } = world.series()
          const end: Write = { ...stock[expected[0]!], id, upTo }
          yield* create(world, end)
          yield* ensureEvents([...wanted(later), end], eventsOf(yield* watcher.until(end)), `the changes by ${name}`)
        })
      )
    ),

  check("a watch yields what many write at the same time, each state at most once and the last for certain", (world) =>
    Effect.gen(function* () {
      const watcher = yield* watchLive(world, world.only)
      const writers = Array.from({ length: 4 }, () => several(world, 5))
      const last = new Map<string, Write>()
      yield* Effect.forEach(
        writers,
        (batch) =>
          Effect.gen(function* () {
            let states = batch
            yield* create(world, ...states)
            for (let growth = 0; growth < 3; growth++) {
              states = states.map((state) => world.again(state))
              yield* update(world, ...states)
            }
            for (const state of states) last.set(keyOf(state), state)
          }),
        { concurrency: 4, discard: true }
      )
      const [end] = yield* create(world, world.series())
      const reached = new Map<string, number>()
      for (const { event } of yield* watcher.until(end)) {
        const before = reached.get(keyOf(event)) ?? 0
        yield* ensure(before < event.upTo, () => `${describe(event)} was yielded after its state up to ${before}`)
        reached.set(keyOf(event), event.upTo)
      }
      for (const state of last.values()) {
        yield* ensureSame(state.upTo, reached.get(keyOf(state)), `what the watch yielded last of ${describe(state)}`)
      }
    })
  ),

  check("two watches at once each yield everything that their filters match", (world) =>
    Effect.gen(function* () {
      const all = yield* watch(world, world.only, "now")
      const warnings = yield* watch(world, { ...world.only, eventType: "Warning" }, "now")
      const more = yield* watch(world, world.only, "now")
      for (const watcher of [all, warnings, more]) yield* watcher.untilLive
      const batch = yield* apply(
        world,
        Array.from({ length: 6 }, (_, index) =>
          world.series({ body: { type: index % 2 === 0 ? "Normal" : "Warning" } })
        )
      )
      yield* ensureEvents(batch, eventsOf(yield* all.until(batch[5]!)), "the watch of all")
      yield* ensureEvents(batch, eventsOf(yield* more.until(batch[5]!)), "the second watch of all")
      yield* ensureEvents(
        batch.filter(({ event }) => event.type === "Warning"),
        eventsOf(yield* warnings.until(batch[5]!)),
        "the watch of warnings"
      )
    })
  ),

  check("a watch that is interrupted ends, and others go on", (world) =>
    Effect.gen(function* () {
      const staying = yield* watch(world, world.only, "now")
      const leaving = yield* watch(world, world.only, "now")
      yield* staying.untilLive
      const { live } = yield* leaving.untilLive
      const [first] = yield* create(world, world.series())
      yield* leaving.until(first)
      yield* doing(world, "an interrupted watch to end")
      yield* leaving.stop
      const [second] = yield* create(world, world.series())
      yield* ensureEvents([first, second], eventsOf(yield* staying.until(second)), "the watch that stays")
      const resumed = yield* watch(world, world.only, live)
      yield* ensureFollowed({
        history: [first, second],
        after: 0,
        seen: (yield* resumed.untilLive).seen,
        matches: () => true,
        what: "the watch resumed after the interruption"
      })
    })
  ),

  check("a watch of which only the beginning is taken ends", (world) =>
    Effect.gen(function* () {
      yield* apply(world, several(world, 5))
      yield* doing(world, "two items of a watch")
      const items = yield* Stream.runCollect(Stream.take(world.backend.watch(world.only, "beginning"), 2))
      yield* ensureSame(2, items.length, "the number of items")
    })
  ),

  check("a watch that is run twice yields the same twice", (world) =>
    Effect.gen(function* () {
      yield* apply(world, several(world, 2))
      const stream = Stream.take(world.backend.watch(world.only, "beginning"), 3)
      for (const run of ["first", "second"]) {
        yield* doing(world, `the ${run} run of a watch`)
        const tags = (yield* Stream.runCollect(stream)).map(({ _tag }) => _tag)
        yield* ensureSame(["Event", "Event", "Live"], tags, `the items of the ${run} run`)
      }
    })
  ),

  check("cursors are printable text without spaces", (world) =>
    Effect.gen(function* () {
      yield* apply(world, several(world, 3))
      const page = yield* query(world, { ...world.only, limit: 1 })
      const watcher = yield* watch(world, world.only, "beginning")
      const { live, seen } = yield* watcher.untilLive
      for (const text of [page.cursor, page.next!, live, ...seen.map(({ cursor }) => cursor)]) {
        yield* ensure(typeof text === "string" && /^[!-~]+$/.test(text), () => `"${text}" is not printable text`)
      }
    })
  ),

  check("a cursor of another filter is refused", (world) =>
    Effect.gen(function* () {
      yield* create(world, world.series())
      const { cursor } = yield* query(world, world.only)
      const watcher = yield* watch(world, world.only, "now")
      const { live } = yield* watcher.untilLive
      const filters: ReadonlyArray<EventQuery.EventFilter> = [
        { resourceType: "Workflow" },
        { resourceName: world.nameOf("deploy") },
        { namespace: world.context.namespaces[0] },
        { objectNamespace: world.context.namespaces[0] },
        { apiGroup: "muster.giantswarm.io" },
        { name: "deploy" },
        { id: `${world.origin}.1` },
        { eventType: "Normal" },
        { reason: "StepStarted" },
        { source: `${world.source}-2` },
        { object: { kind: "Workflow", name: world.nameOf("deploy") } },
        { cluster: "one" },
        { labels: { team: "payments" } },
        { match: "step" },
        { since: world.at(0) },
        { until: world.at(9_999) }
      ]
      for (const filter of filters) {
        for (const foreign of [cursor, live]) {
          yield* refusesCursor(
            world,
            { ...world.only, ...filter },
            foreign,
            `the cursor of another filter (${Object.keys(filter).join()} was not in it)`
          )
        }
        const filtered = yield* query(world, { ...world.only, ...filter })
        yield* refusesCursor(
          world,
          { ...world.only, reason: "Other" },
          filtered.cursor,
          `the cursor of the filter by ${Object.keys(filter).join()}`
        )
      }
    })
  ),

  check("a cursor of another kind of store, or of another store of this kind, is refused", (world) =>
    Effect.gen(function* () {
      yield* create(world, world.series())
      const { mode } = world.backend
      const target = yield* world.backend.target
      const filter = world.only
      for (const position of ["0", "1", ""]) {
        const elsewhere = Position.cursorEncoder({ mode: `${mode}-2`, target, filter })(position)
        yield* refusesCursor(world, filter, elsewhere, "the cursor of another mode")
        const another = Position.cursorEncoder({ mode, target: Target.make(`${target.id}-2`), filter })(position)
        yield* refusesCursor(world, filter, another, "the cursor of another target")
      }
    })
  ),

  check("a cursor that holds an alias of the target is read, and the ones after it hold the id", (world) =>
    Effect.gen(function* () {
      yield* create(world, world.series())
      const { mode } = world.backend
      const target = yield* world.backend.target
      const scope = { mode, target, filter: world.only }
      const { cursor } = yield* query(world, world.only)
      const position = yield* Effect.fromResult(Position.decodeCursor(scope, cursor))
      for (const alias of target.aliases) {
        const earlier = Position.cursorEncoder({ ...scope, target: Target.make(alias) })(position)
        const { live, seen } = yield* (yield* watch(world, world.only, earlier)).untilLive
        yield* ensureSame(
          [],
          seen.map(({ event }) => event.id),
          `what follows the cursor of ${alias}`
        )
        const held = Position.decodeCursor({ ...scope, target: Target.make(target.id) }, live)
        yield* ensure(Result.isSuccess(held), () => `the cursor after that of ${alias} does not hold ${target.id}`)
      }
    })
  ),

  check("what is not a cursor is refused", (world) =>
    Effect.gen(function* () {
      yield* create(world, world.series(), world.series())
      const target = yield* world.backend.target
      const encode = Position.cursorEncoder({ mode: world.backend.mode, target, filter: world.only })
      const { next } = yield* query(world, { ...world.only, limit: 1 })
      const texts = [...garbage, ...garbage.map(encode), next!]
      for (const text of texts) {
        yield* refusesCursor(world, world.only, text as EventQuery.Cursor, `the cursor "${text.slice(0, 80)}"`)
      }
    })
  ),

  check("a watch sees a batch as a whole", (world) =>
    Effect.gen(function* () {
      const watcher = yield* watchLive(world, world.only)
      const batch = several(world, 30)
      yield* write(world, batch)
      const [end] = yield* create(world, world.series())
      const seen = yield* watcher.until(end)
      const keys = (states: ReadonlyArray<Write>) => states.map(keyOf).sort()
      yield* ensureSame(keys([...batch, end]), keys(eventsOf(seen)), "the series that the watch yielded")
    })
  )
]
