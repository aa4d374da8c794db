import * as Backend from "@tidings/core/Backend"
import { namespaceOf, type Write } from "@tidings/core/Event"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as FaultyBackend from "../FaultyBackend.ts"
import {
  apply,
  check,
  type CheckDefinition,
  create,
  describe,
  ensure,
  ensureEvents,
  ensureQuery,
  ensureSame,
  eventsOf,
  found,
  keyOf,
  query,
  settle,
  update,
  watchLive,
  type World,
  write
} from "./contractWorld.ts"

/** Writes until each is settled, as a recorder does, and counts how often each series was created. */
const deliver = (world: World, batch: ReadonlyArray<Write>, backend: Backend.Service = world.backend) =>
  Effect.gen(function* () {
    let pending = batch
    let created = 0
    for (let attempt = 0; pending.length > 0; attempt++) {
      if (attempt === 50) return yield* found(`50 attempts did not settle ${describe(pending[0]!)}`)
      const outcomes = yield* Effect.orElseSucceed(
        write({ ...world, backend }, pending),
        (): ReadonlyArray<Backend.Outcome> => []
      )
      const rest: Array<Write> = []
      for (const [index, one] of pending.entries()) {
        const outcome = outcomes[index]
        if (outcome?._tag === "Rejected" || outcome?._tag === "Dropped") {
          return yield* found(`${describe(one)} was not taken: ${outcome.reason}`)
        }
        if (outcome?._tag !== "Settled") rest.push(one)
        else if (outcome.how === "created") created++
      }
      pending = rest
    }
    return created
  })

/** @internal */
export const writeChecks: ReadonlyArray<CheckDefinition> = [
  check("the mode and the names of the target are texts that do not change", (world) =>
    Effect.gen(function* () {
      const target = yield* world.backend.target
      yield* create(world, world.series())
      yield* ensure(world.backend.mode !== "", () => "the mode is empty")
      const names = [target.id, ...target.aliases]
      yield* ensure(
        names.every((name) => typeof name === "string" && name !== ""),
        () => `a name of the target is empty: ${JSON.stringify(names)}`
      )
      yield* ensure(
        new Set(names).size === names.length,
        () => `a name of the target repeats: ${JSON.stringify(names)}`
      )
      yield* ensureSame(target, yield* world.backend.target, "the target after a write")
    })
  ),

  check("a write creates a series, a later one updates it, a repeated one is present", (world) =>
    Effect.gen(function* () {
      const first = world.series()
      const second = world.again(first)
      yield* settle(world, [first], ["created"])
      yield* settle(world, [first], ["present"])
      yield* settle(world, [second], ["updated"])
      yield* settle(world, [second], ["present"])
      yield* ensureQuery(world, world.only, [second], "the store")
    })
  ),

  check("a repeated write changes nothing, in the store or for those who watch", (world) =>
    Effect.gen(function* () {
      const first = world.series()
      const same: Write = {
        ...first,
        count: 9,
        last: world.at(2_000),
        event: { ...first.event, message: "the same state told differently" }
      }
      yield* create(world, first)
      const watcher = yield* watchLive(world, world.only)
      yield* settle(world, [first], ["present"])
      yield* settle(world, [same], ["present"])
      const [end] = yield* create(world, world.series())
      yield* ensureEvents([end], eventsOf(yield* watcher.until(end)), "the watch after repeated writes")
      yield* ensureQuery(
        world,
        { ...world.only, reason: "StepStarted" },
        [end, first],
        "the store after repeated writes"
      )
    })
  ),

  check("an older write never lowers a count", (world) =>
    Effect.gen(function* () {
      const first = world.series()
      const second = world.again(first)
      const third = world.again(second)
      yield* create(world, first)
      yield* update(world, third)
      yield* settle(world, [second], ["present"])
      yield* settle(world, [first], ["present"])
      yield* ensureQuery(world, world.only, [third], "the store after older writes")
    })
  ),

  check("a growing count is stored as it is given, with the message and data of the latest occurrence", (world) =>
    Effect.gen(function* () {
      let state = world.series({ body: { data: { stepId: "build", stepCount: 1, error: "none yet" } } })
      yield* create(world, state)
      for (const count of [2, 3, 40, 1_000]) {
        state = {
          ...world.again(state, undefined, {
            message: `step build has started ${count} times`,
            data: { stepId: "build", stepCount: count }
          }),
          count
        }
        yield* update(world, state)
        yield* ensureQuery(world, world.only, [state], `the store at count ${count}`)
      }
    })
  ),

  check("a first write may stand for many occurrences", (world) =>
    Effect.gen(function* () {
      const folded = { ...world.again(world.again(world.series())), count: 3 }
      yield* create(world, folded)
      yield* ensureQuery(world, world.only, [folded], "the store")
    })
  ),

  check("an empty batch has no outcomes", (world) =>
    Effect.gen(function* () {
      yield* settle(world, [], [])
      yield* ensureQuery(world, world.only, [], "the store")
    })
  ),

  check("outcomes stand in the order of the batch", (world) =>
    Effect.gen(function* () {
      const a = world.series()
      const b = world.series()
      const c = world.series()
      yield* create(world, a, b, c)
      const d = world.series()
      const e = world.series()
      const laterA = world.again(a)
      yield* settle(world, [d, world.again(c), b, e, laterA], ["created", "updated", "present", "created", "updated"])
      yield* settle(world, [a, world.again(e), world.series()], ["present", "updated", "created"])
    })
  ),

  check("a batch of many series stores each of them", (world) =>
    Effect.gen(function* () {
      const batch = yield* create(
        world,
        ...Array.from({ length: 100 }, (_, index) =>
          world.series({
            name: `many-${index}`,
            namespace: (index % 3) as 0 | 1 | 2,
            kind: index % 2 === 0 ? "Workflow" : "Order"
          })
        )
      )
      yield* ensureQuery(world, world.only, batch.toReversed(), "the store")
      const later = yield* update(world, ...batch.map((one) => world.again(one)))
      yield* ensureQuery(world, world.only, later.toReversed(), "the store after all were updated")
    })
  ),

  check("two batches at the same time are both stored", (world) =>
    Effect.gen(function* () {
      const left = Array.from({ length: 20 }, () => world.series({ name: "left" }))
      const right = Array.from({ length: 20 }, () => world.series({ name: "right" }))
      yield* Effect.all([create(world, ...left), create(world, ...right)], { concurrency: 2 })
      yield* ensureQuery(world, world.only, [...left, ...right].toReversed(), "the store")
    })
  ),

  check("writes of one series at the same time end with the latest state", (world) =>
    Effect.gen(function* () {
      const states = [world.series()]
      while (states.length < 8) states.push(world.again(states.at(-1)!))
      const scattered = [5, 0, 7, 2, 6, 1, 4, 3].map((index) => states[index]!)
      const created = yield* Effect.forEach(scattered, (state) => deliver(world, [state]), { concurrency: 8 })
      const sum = created.reduce((total, one) => total + one, 0)
      yield* ensure(sum === 1, () => `${sum} of 8 writes of one series are said to have created it`)
      yield* ensureQuery(world, world.only, [states.at(-1)!], "the store")
    })
  ),

  check("a write that was interrupted can be repeated", (world) =>
    Effect.gen(function* () {
      const batch = [world.series(), world.series(), world.series()]
      const fiber = yield* Effect.forkChild(write(world, batch), { startImmediately: true })
      yield* Fiber.interrupt(fiber)
      yield* deliver(world, batch)
      yield* ensureQuery(world, world.only, batch.toReversed(), "the store")
    })
  ),

  check("what was refused, applied in part or lost its answer is stored once when it is repeated", (world) =>
    Effect.gen(function* () {
      const context = yield* Layer.build(
        Layer.succeed(Backend.Backend, world.backend).pipe(
          FaultyBackend.layer({
            script: {
              write: [
                FaultyBackend.failBefore(),
                FaultyBackend.partial({ applies: (_, index) => index % 3 === 1, rest: "retry" }),
                FaultyBackend.partial({ applies: (_, index) => index !== 2, rest: "missing" }),
                FaultyBackend.failAfter(),
                FaultyBackend.pass,
                FaultyBackend.failAfter(),
                FaultyBackend.partial({ applies: 4, rest: "missing" }),
                FaultyBackend.failAfter()
              ]
            }
          })
        )
      )
      const backend = Context.get(context, Backend.Backend)
      const faulty = Context.get(context, FaultyBackend.FaultyBackend)
      const batch = Array.from({ length: 9 }, () => world.series())
      yield* deliver(world, batch, backend)
      yield* ensureQuery(world, world.only, batch.toReversed(), "the store after the batch was repeated")
      const later = batch.map((one) => world.again(one))
      yield* deliver(world, later, backend)
      const { FailAfter, FailBefore, Partial } = yield* faulty.injected
      yield* ensureSame([1, 3, 3], [FailBefore, FailAfter, Partial], "the faults that were met")
      yield* ensureQuery(world, world.only, later.toReversed(), "the store after the later batch was repeated")
    })
  ),

  check("the name of an event is its own and stays", (world) =>
    Effect.gen(function* () {
      const batch = yield* create(
        world,
        ...Array.from({ length: 12 }, (_, index) =>
          world.series({
            name: index < 6 ? "deploy" : "build",
            kind: index % 3 === 0 ? "Node" : "Workflow",
            namespace: (index % 3) as 0 | 1 | 2
          })
        )
      )
      const stored = (yield* query(world, world.only)).events.filter(world.isMine)
      const before = new Map(stored.map((event) => [keyOf(event), event.name]))
      const names = new Set(stored.map((event) => `${namespaceOf(event)}/${event.name}`))
      yield* ensure(names.size === batch.length, () => `${batch.length} series have ${names.size} names`)
      yield* apply(
        world,
        batch.map((one) => world.again(one)),
        batch
      )
      for (const event of (yield* query(world, world.only)).events.filter(world.isMine)) {
        yield* ensureSame(before.get(keyOf(event)), event.name, `the name of ${describe(event)} after an update`)
      }
    })
  )
]
