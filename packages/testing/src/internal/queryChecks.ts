import { namespaceOf, type Write } from "@tidings/core/Event"
import * as EventId from "@tidings/core/EventId"
import * as EventQuery from "@tidings/core/EventQuery"
import * as Position from "@tidings/core/Position"
import * as Arbitrary from "effect/Arbitrary"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import {
  apply,
  check,
  type CheckDefinition,
  create,
  describe,
  describeAll,
  ensure,
  ensureEvents,
  ensureGap,
  ensureQuery,
  ensureSame,
  ensureWatch,
  eventsOf,
  folded,
  integer,
  keyOf,
  pages,
  propertyCheck,
  query,
  refusesPage,
  several,
  script,
  settle,
  type Step,
  watch,
  type World
} from "./contractWorld.ts"
import { filterCases, makeStock, nearMisses, stockKeys } from "./filterCases.ts"
import { garbage } from "./garbage.ts"

const writeStock = (world: World) => {
  const stock = makeStock(world)
  return Effect.as(create(world, ...stockKeys.map((key) => stock[key])), stock)
}

/** Each of these exactly once over all pages, and nothing else. */
const ensureOnce = (expected: ReadonlyArray<Write>, found: ReadonlyArray<EventQuery.EventPage>, what: string) =>
  Effect.gen(function* () {
    const events = found.flatMap((page) => page.events)
    const times = new Map<string, number>()
    for (const event of events) times.set(keyOf(event), (times.get(keyOf(event)) ?? 0) + 1)
    const missing = expected.filter((one) => !times.has(keyOf(one)))
    const repeated = expected.filter((one) => (times.get(keyOf(one)) ?? 0) > 1)
    yield* ensure(missing.length === 0, () => `${what}: no page has ${describeAll(missing)}`)
    yield* ensure(repeated.length === 0, () => `${what}: two pages have ${describeAll(repeated)}`)
    yield* ensure(
      events.length === expected.length,
      () => `${what}: the pages have ${events.length} events, expected ${expected.length}`
    )
  })

const isTime = (value: unknown): value is number => typeof value === "number" && Number.isFinite(value)

/** For each store once from when to when, and gaps that say what is missing. */
const ensureCoverage = ({ coverage }: EventQuery.EventPage) =>
  Effect.gen(function* () {
    yield* ensure(coverage.length > 0, () => "the page says of no store for which time its history is complete")
    const stores = coverage.map(({ store }) => store)
    yield* ensure(new Set(stores).size === stores.length, () => `a store is covered twice: ${stores.join(", ")}`)
    for (const { gaps, since, store, until } of coverage) {
      yield* ensure(typeof store === "string" && store !== "", () => "the coverage names no store")
      yield* ensure(isTime(since) || since === "unknown", () => `coverage.since is ${String(since)}`)
      yield* ensure(isTime(until) || until === "now" || until === "unknown", () => `coverage.until is ${String(until)}`)
      yield* ensure(!isTime(since) || !isTime(until) || since <= until, () => "the coverage ends before it begins")
      for (const gap of gaps) yield* ensureGap(gap)
    }
  })

interface Plan {
  readonly steps: ReadonlyArray<Step>
  readonly limit: number
  readonly reason: boolean
  readonly warning: boolean
  readonly since: number
}

const plan: Arbitrary.Arbitrary<Plan> = Arbitrary.all({
  steps: Arbitrary.array(Arbitrary.all({ series: integer(0, 7), at: integer(0, 9) }), { minLength: 1, maxLength: 20 }),
  limit: integer(1, 7),
  reason: Arbitrary.schema(Schema.Boolean),
  warning: Arbitrary.schema(Schema.Boolean),
  since: integer(0, 4)
})

/** @internal */
export const queryChecks: ReadonlyArray<CheckDefinition> = [
  check("an empty store answers with nothing, and with a cursor", (world) =>
    Effect.gen(function* () {
      const page = yield* ensureQuery(world, world.only, [], "the empty store")
      yield* ensure(page.next === undefined, () => "the empty store has a next page")
      const [first] = yield* create(world, world.series())
      yield* ensureWatch(world, world.only, page.cursor, [first], "the watch from the cursor of an empty store")
    })
  ),

  check("a query answers newest first by last seen, whatever the order of writing", (world) =>
    Effect.gen(function* () {
      const at = [3, 9, 1, 7, 5, 2]
      const batch = yield* apply(
        world,
        at.map((tick) => world.series({ at: tick }))
      )
      const sorted = [...batch].sort((a, b) => b.last - a.last)
      yield* ensureQuery(world, world.only, sorted, "the store")
      const oldest = sorted.at(-1)!
      const seenAgain = world.again(oldest, 8)
      yield* apply(world, [seenAgain], batch)
      yield* ensureQuery(
        world,
        world.only,
        [...sorted.slice(0, -1), seenAgain].sort((a, b) => b.last - a.last),
        "the store after the oldest was seen again"
      )
    })
  ),

  ...filterCases.map(({ expected, filter, name }) =>
    check(`a query filters by ${name}`, (world) =>
      Effect.gen(function* () {
        const stock = yield* writeStock(world)
        yield* ensureQuery(
          world,
          filter(world),
          expected.map((key) => stock[key]),
          `the query by ${name}`
        )
      })
    )
  ),

  check("a filter matches whole values only", (world) =>
    Effect.gen(function* () {
      yield* writeStock(world)
      for (const { filter, name } of nearMisses) {
        const page = yield* ensureQuery(world, filter(world), [], `the query by ${name}`)
        if (!world.context.shared) yield* ensure(page.next === undefined, () => `the query by ${name} has a next page`)
      }
    })
  ),

  check("a query says of each store for which time its history is complete, whatever the filter", (world) =>
    Effect.gen(function* () {
      yield* create(world, ...several(world, 3))
      const page = yield* query(world, world.only)
      yield* ensureCoverage(page)
      yield* ensure(
        page.incomplete === undefined,
        () => "everything answered, and the page says that something did not"
      )
      for (const filter of [
        { reason: "StepStarted" },
        { match: "nothing says this" },
        { namespace: "nobody-is-here" }
      ]) {
        const narrower = yield* query(world, { ...world.only, ...filter, limit: 1 })
        const stores = (of: EventQuery.EventPage) => of.coverage.map(({ since, store }) => ({ since, store }))
        yield* ensureSame(stores(page), stores(narrower), `the coverage with the filter ${JSON.stringify(filter)}`)
      }
    })
  ),

  check("a page token of a filter that means the same is taken, however it is written", (world) =>
    Effect.gen(function* () {
      const batch = yield* create(world, ...several(world, 4))
      const { next } = yield* query(world, { ...world.only, reason: ["StepStarted", "Other"], labels: {}, limit: 2 })
      yield* ensure(next !== undefined, () => "the first page leads to no next one")
      const page = yield* query(world, {
        ...world.only,
        reason: ["Other", "StepStarted", "Other"],
        limit: 2,
        page: next!
      })
      yield* ensureEvents(batch.toReversed().slice(2), page.events, "the second page")
      yield* refusesPage(
        world,
        { ...world.only, reason: ["StepStarted"], limit: 2, page: next! },
        "the page token of a larger set"
      )
    })
  ),

  check("a query by the name or the identity of an event finds that one, in its namespace and in all", (world) =>
    Effect.gen(function* () {
      const stock = yield* writeStock(world)
      for (const key of ["b", "e", "g"] as const) {
        const one = stock[key]
        const page = yield* query(world, { ...world.only, id: EventId.format(one.id) })
        yield* ensureEvents([one], page.events, `the query by the identity of ${describe(one)}`)
        yield* ensureSame(1, page.totalCount, "totalCount of the query by identity")
        const [found] = page.events
        const { name } = found!
        const namespace = namespaceOf(found!)
        for (const filter of [{ name }, { name, namespace }, { name, namespace, id: EventId.format(one.id) }]) {
          const what = `the query by ${Object.keys(filter).join(" and ")}`
          const byName = yield* query(world, { ...world.only, ...filter })
          yield* ensureEvents([one], byName.events, what)
          yield* ensureSame(1, byName.totalCount, `totalCount of ${what}`)
          yield* ensure(byName.next === undefined, () => `${what} has a next page`)
        }
        for (const filter of [
          { name, namespace: "nobody-is-here" },
          { name, namespace, reason: "SomethingElse" },
          { name: `${name}x`, namespace },
          { name, id: `${world.origin}.${one.id.seq + 1_000}` }
        ]) {
          yield* ensureQuery(world, { ...world.only, ...filter }, [], `the query by ${JSON.stringify(filter)}`)
        }
        yield* ensureWatch(
          world,
          { ...world.only, name, namespace },
          "beginning",
          [one],
          "the watch by name and namespace"
        )
      }
    })
  ),

  check("what comes after a query by name is followed from its cursor", (world) =>
    Effect.gen(function* () {
      const [first] = yield* create(world, world.series())
      const found = (yield* query(world, { ...world.only, id: EventId.format(first.id) })).events[0]!
      const filter = { ...world.only, name: found.name, namespace: namespaceOf(found) }
      const { cursor } = yield* query(world, filter)
      const grown = world.again(first)
      yield* apply(world, [grown, world.series()], [first])
      const watcher = yield* watch(world, filter, cursor)
      yield* ensureEvents(
        [grown],
        eventsOf(yield* watcher.until(grown)),
        "the watch from the cursor of a query by name"
      )

      // Of an event that is not there yet: its name follows from its identity.
      const later = world.series({ namespace: 1 })
      const name = EventId.objectName(later.id, later.event.involvedObject.name)
      const missing = { ...world.only, name, namespace: world.context.namespaces[1] }
      const empty = yield* ensureQuery(world, missing, [], "the query by the name of an event that is not there")
      yield* create(world, later)
      const page = yield* query(world, { ...world.only, id: EventId.format(later.id) })
      if (page.events[0]?.name === name) {
        const waiting = yield* watch(world, missing, empty.cursor)
        yield* ensureEvents(
          [later],
          eventsOf(yield* waiting.until(later)),
          "the watch from the cursor of an empty query"
        )
      }
    })
  ),

  check("totalCount is exact and counts before the limit", (world) =>
    Effect.gen(function* () {
      const batch = yield* create(world, ...several(world, 25))
      for (const limit of [1, 24, 25, 100]) {
        const page = yield* query(world, { ...world.only, limit })
        yield* ensureSame(25, page.totalCount, `totalCount with the limit ${limit}`)
      }
      const filter = { ...world.only, since: batch[20]!.last }
      yield* ensureSame(
        5,
        (yield* query(world, { ...filter, limit: 2 })).totalCount,
        "totalCount with a filter and a limit"
      )
      yield* apply(world, [world.again(batch[0]!)], batch)
      yield* ensureSame(25, (yield* query(world, world.only)).totalCount, "totalCount after a count grew")
    })
  ),

  check("a limit of 0, of one, and of as many as there are", (world) =>
    Effect.gen(function* () {
      const batch = yield* create(world, ...several(world, 4))
      const newest = batch.toReversed()
      const none = yield* query(world, { ...world.only, limit: 0 })
      yield* ensureEvents([], none.events, "the limit 0")
      yield* ensureSame(4, none.totalCount, "totalCount with the limit 0")
      const one = yield* query(world, { ...world.only, limit: 1 })
      yield* ensureEvents(newest.slice(0, 1), one.events, "the limit 1")
      yield* ensure(one.next !== undefined, () => "the limit 1 has no next page, though there are 4 events")
      const three = yield* query(world, { ...world.only, limit: 3 })
      yield* ensureEvents(newest.slice(0, 3), three.events, "the limit 3")
      for (const limit of [4, 5]) {
        const all = yield* query(world, { ...world.only, limit })
        yield* ensureEvents(newest, all.events, `the limit ${limit}`)
        yield* ensure(
          all.next === undefined,
          () => `the limit ${limit} leads to a next page, though there are 4 events`
        )
      }
    })
  ),

  check("paging yields every series once, newest first", (world) =>
    Effect.gen(function* () {
      const batch = yield* create(world, ...several(world, 17))
      for (const limit of [1, 5, 16, 17]) {
        const found = yield* pages(world, world.only, limit)
        yield* ensureEvents(
          batch.toReversed(),
          found.flatMap((page) => page.events),
          `the pages of ${limit}`
        )
        for (const page of found) yield* ensureSame(17, page.totalCount, `totalCount of each page of ${limit}`)
      }
    })
  ),

  check("paging yields every series once, when many were last seen at the same time", (world) =>
    Effect.gen(function* () {
      const batch = yield* create(world, ...several(world, 12, (index) => ({ at: index < 2 ? 1 : index < 10 ? 2 : 3 })))
      for (const limit of [1, 3, 5]) {
        const found = yield* pages(world, world.only, limit)
        yield* ensureOnce(batch, found, `the pages of ${limit}`)
        const times = found.flatMap((page) => page.events.map(({ last }) => last))
        yield* ensureSame(
          [...times].sort((a, b) => b - a),
          times,
          `the times over the pages of ${limit}`
        )
      }
    })
  ),

  check("paging yields every series once, while new ones arrive", (world) =>
    Effect.gen(function* () {
      const batch = yield* create(world, ...several(world, 11))
      const found = yield* pages(world, world.only, 3, () => create(world, world.series(), world.series()))
      yield* ensureOnce(batch, found, "the pages")
    })
  ),

  check("pages, and a watch from the cursor of the first, together miss nothing", (world) =>
    Effect.gen(function* () {
      const batch = yield* create(world, ...several(world, 10))
      const history = [...batch]
      const found = yield* pages(world, world.only, 4, (page) => {
        // On the first pages or on the last, seen again or new, last seen now or long ago: paging may miss them.
        const changes = [
          world.again(batch[page % 10]!),
          world.again(batch[(19 - page) % 10]!, 1),
          world.series(),
          world.series({ at: 2 })
        ]
        const written = apply(world, changes, [...history])
        history.push(...changes)
        return written
      })
      const watcher = yield* watch(world, world.only, found[0]!.cursor)
      const { seen } = yield* watcher.untilLive
      const states = folded(
        [...found.flatMap((page) => page.events), ...eventsOf(seen)].sort((a, b) => a.upTo - b.upTo)
      )
      const byKey = new Map(states.map((state) => [keyOf(state), state.upTo]))
      const missed = folded(history).filter((state) => byKey.get(keyOf(state)) !== state.upTo)
      yield* ensure(missed.length === 0, () => `neither the pages nor the watch have ${describeAll(missed)}`)
    })
  ),

  check("paging goes through the matches of a filter only", (world) =>
    Effect.gen(function* () {
      const batch = yield* create(
        world,
        ...Array.from({ length: 16 }, (_, index) =>
          world.series({ body: { type: index % 3 === 0 ? "Warning" : "Normal" } })
        )
      )
      const warnings = batch.filter(({ event }) => event.type === "Warning")
      const found = yield* pages(world, { ...world.only, eventType: "Warning" }, 2)
      yield* ensureEvents(
        warnings.toReversed(),
        found.flatMap((page) => page.events),
        "the pages of warnings"
      )
      for (const page of found)
        yield* ensureSame(warnings.length, page.totalCount, "totalCount of each page of warnings")
    })
  ),

  check("a page token of another filter is refused", (world) =>
    Effect.gen(function* () {
      yield* create(world, ...several(world, 4))
      const { next } = yield* query(world, { ...world.only, limit: 1 })
      const page = next!
      yield* ensure(page !== undefined, () => "the first page leads to no next one")
      for (const filter of [
        { eventType: "Normal" },
        { reason: "StepStarted" },
        { since: world.at(0) },
        { until: world.at(9_999) },
        { namespace: world.context.namespaces[0] },
        { objectNamespace: world.context.namespaces[0] },
        { apiGroup: "muster.giantswarm.io" },
        { name: "deploy" },
        { id: `${world.origin}.1` },
        { resourceType: "Workflow" },
        { resourceName: world.nameOf("deploy") },
        { source: `${world.source}-2` },
        { object: { kind: "Workflow", name: world.nameOf("deploy") } },
        { cluster: "one" },
        { labels: { team: "payments" } },
        { match: "step" },
        { reason: ["StepStarted", "Other"] }
      ] satisfies ReadonlyArray<EventQuery.EventFilter>) {
        yield* refusesPage(
          world,
          { ...world.only, ...filter, limit: 1, page },
          `the page token of another filter (${Object.keys(filter).join()} was not in it)`
        )
      }
    })
  ),

  check("what is not a page token is refused", (world) =>
    Effect.gen(function* () {
      yield* create(world, ...several(world, 4))
      const target = yield* world.backend.target
      const encode = Position.pageTokenEncoder({ mode: world.backend.mode, target, filter: world.only })
      const { cursor } = yield* query(world, world.only)
      const texts = [...garbage, ...garbage.map(encode), cursor]
      for (const text of texts) {
        yield* refusesPage(
          world,
          { ...world.only, limit: 1, page: text as EventQuery.PageToken },
          `the page token "${text.slice(0, 80)}"`
        )
      }
    })
  ),

  propertyCheck(
    "queries answer what a model of the store does, whatever was written",
    () => plan,
    (world, { limit, reason, since, steps, warning }) =>
      Effect.gen(function* () {
        const history = script(world)(steps)
        for (const change of history) yield* world.backend.write([change])
        const filter: EventQuery.EventFilter = {
          ...world.only,
          ...(reason ? { reason: "Step" } : undefined),
          ...(warning ? { eventType: "Warning" as const } : undefined),
          since: world.at(since)
        }
        const expected = folded(history).filter((state) => EventQuery.matches(filter, state))
        const found = yield* pages(world, filter, limit)
        yield* ensureOnce(expected, found, "the pages")
        const events = found.flatMap((page) => page.events)
        yield* ensureEvents(
          events.map((event) => expected.find((state) => keyOf(state) === keyOf(event))!),
          events,
          "the pages"
        )
        for (const [index, event] of events.entries()) {
          const before = events[index - 1]
          yield* ensure(before === undefined || before.last >= event.last, () => "the pages are not newest first")
        }
        for (const page of found) yield* ensureSame(expected.length, page.totalCount, "totalCount")
        yield* settle(world, [history[0]!], ["present"])
      })
  )
]
