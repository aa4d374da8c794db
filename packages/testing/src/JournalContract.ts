/**
 * The contract suite of journals: what every `Journal` promises to a recorder, as tests.
 *
 * An implementation of a journal runs it with vitest. In `test/MyJournal.test.ts`:
 *
 * `JournalContract.suite("my journal", MyJournal.layerTest)`
 *
 * The suite builds the layer anew for each test and expects an empty journal of it each time. What a journal survives, and
 * what it does when it is full, is checked where the options say how to get such a journal.
 *
 * @since 0.1.0
 */
import { describe, it } from "@effect/vitest"
import type { Occurrence, Write } from "@tidings/core/Event"
import type { Json } from "@tidings/core/EventData"
import type { EventId } from "@tidings/core/EventId"
import * as Journal from "@tidings/core/Journal"
import * as Arbitrary from "effect/Arbitrary"
import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as References from "effect/References"
import * as Result from "effect/Result"
import type * as Scope from "effect/Scope"
import * as Arbitraries from "./Arbitraries.ts"
import { ContractViolation } from "./ContractViolation.ts"
import { ensure, ensureSame, Finding, found } from "./internal/contractWorld.ts"

// ---------------------------------------------------------------------------
// models
// ---------------------------------------------------------------------------

type JournalLayer = Layer.Layer<Journal.Journal, unknown>

/**
 * What the suite cannot know about a journal. All of it may be left out; what it would give is then not checked.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
  /**
   * For journals that outlive their process: makes a new, empty one, and gives the layer that opens it. The suite builds that
   * layer several times, one after the other, and once while it is open.
   */
  readonly reopenable?: Effect.Effect<JournalLayer, unknown, Scope.Scope> | undefined
  /**
   * Small journals, each new and empty, by what they do when they are full. They have room for at least 8 of the events of
   * the suite, and for fewer than `events` of them.
   */
  readonly small?:
    | {
        readonly events: number
        readonly fail?: JournalLayer | undefined
        readonly block?: JournalLayer | undefined
        readonly dropOldest?: JournalLayer | undefined
      }
    | undefined
  /** How many random inputs each property gets; 20 unless given. */
  readonly runs?: number | undefined
  /** How long a test may take; 30 seconds unless given. */
  readonly timeout?: Duration.Input | undefined
}

/**
 * One check of the suite: fails when the journal does not keep this part of its contract.
 *
 * @category models
 * @since 0.1.0
 */
export interface Check {
  readonly name: string
  readonly effect: Effect.Effect<void, ContractViolation>
}

interface Definition {
  readonly name: string
  readonly run: Effect.Effect<void, unknown, Scope.Scope>
}

// ---------------------------------------------------------------------------
// parts of checks
// ---------------------------------------------------------------------------

type Service = Journal.Journal["Service"]

const open = (layer: JournalLayer): Effect.Effect<Service, unknown, Scope.Scope> =>
  Effect.map(Layer.build(Layer.fresh(layer)), (context) => Context.get(context, Journal.Journal))

/** One life of a journal. */
const life = <A>(
  layer: JournalLayer,
  use: (journal: Service) => Effect.Effect<A, unknown>
): Effect.Effect<A, unknown> => Effect.scoped(Effect.flatMap(open(layer), use))

const check = (
  name: string,
  layer: JournalLayer,
  run: (journal: Service) => Effect.Effect<void, unknown>
): Definition => ({
  name,
  run: life(layer, run)
})

const occurrence = (n: number): Occurrence => ({
  at: 1_900_000_000_000_000 + n,
  involvedObject: { apiVersion: "v1", kind: "Pod", name: `pod-${n}`, namespace: "default" },
  reason: "Started",
  type: "Normal",
  action: "Start",
  message: `it is number ${n}`,
  data: { name: `pod-${n}`, namespace: "default" },
  source: { component: "contract" },
  reportingController: "contract",
  reportingInstance: "contract-0"
})

const occurrences = (from: number, to: number): ReadonlyArray<Occurrence> =>
  Array.from({ length: to - from + 1 }, (_, index) => occurrence(from + index))

const writeOf = (journal: Service, seq: number, upTo: number): Write => {
  const { at, ...event } = occurrence(seq)
  return { id: { origin: journal.origin, seq }, upTo, count: upTo - seq + 1, first: at, last: at + upTo - seq, event }
}

const stateOf = (n: number): Json => ({ n, text: 'ä \u2028 " \\ 😀', nothing: null, list: [1, [2, { three: 3.5 }]] })

const sizes = (ids: ReadonlyArray<EventId>): ReadonlyArray<number> => ids.map(({ seq }) => seq)

const originsOf = (ids: ReadonlyArray<EventId>): ReadonlyArray<string> => ids.map(({ origin }) => origin)

/** Reads page by page, and sees that the pages fit together. */
const readAll = (
  journal: Service,
  sink: string,
  after = 0,
  max = 3
): Effect.Effect<
  { readonly entries: ReadonlyArray<Journal.JournalEntry>; readonly lost: ReadonlyArray<number> },
  unknown
> =>
  Effect.gen(function* () {
    const entries: Array<Journal.JournalEntry> = []
    const lost: Array<number> = []
    const head = yield* journal.head
    let reached = after
    while (reached < head) {
      const page = yield* journal.read(sink, reached, max)
      yield* ensure(
        page.reached > reached,
        () => `read after ${reached} of ${head} reaches ${page.reached}: it does not go on`
      )
      const seqs = page.entries.map(({ id }) => id.seq)
      for (const { from, to } of page.lost) for (let seq = from; seq <= to; seq++) seqs.push(seq)
      seqs.sort((a, b) => a - b)
      const expected = Array.from({ length: page.reached - reached }, (_, index) => reached + 1 + index)
      yield* ensureSame(expected, seqs, `what read after ${reached} covers`)
      entries.push(...page.entries)
      for (const { from, to } of page.lost) for (let seq = from; seq <= to; seq++) lost.push(seq)
      reached = page.reached
    }
    return { entries, lost }
  })

const isFull = (exit: Exit.Exit<unknown, Journal.JournalError>): boolean => {
  const failure = Exit.isFailure(exit) ? Cause.findErrorOption(exit.cause) : undefined
  return failure?._tag === "Some" && failure.value.reason._tag === "JournalFull"
}

/** Appends one by one until it is refused, or `most` are in; answers how many are. */
const fill = (journal: Service, most: number): Effect.Effect<number, unknown> =>
  Effect.gen(function* () {
    for (let n = 1; n <= most; n++) {
      const exit = yield* Effect.exit(journal.append([occurrence(n)]))
      if (isFull(exit)) return n - 1
      yield* exit
    }
    return most
  })

// ---------------------------------------------------------------------------
// checks
// ---------------------------------------------------------------------------

const appendChecks = (layer: JournalLayer, runs: number): ReadonlyArray<Definition> => [
  check(
    "seqs follow one another from 1, in the order of the batch, under the origin of the opening",
    layer,
    (journal) =>
      Effect.gen(function* () {
        yield* ensure(
          /^[0-9a-f]{32}$/.test(journal.origin),
          () => `the origin is "${journal.origin}", expected 32 hex digits`
        )
        yield* ensureSame(0, yield* journal.head, "the head of an empty journal")
        const ids = [
          ...(yield* journal.append([occurrence(1)])),
          ...(yield* journal.append(occurrences(2, 5))),
          ...(yield* journal.append([occurrence(6)]))
        ]
        yield* ensureSame([1, 2, 3, 4, 5, 6], sizes(ids), "the seqs")
        yield* ensure(
          ids.every(({ origin }) => origin === journal.origin),
          () => "an id has another origin than the journal"
        )
        yield* ensureSame(6, yield* journal.head, "the head")
      })
  ),
  check("what is read is what was appended, page by page", layer, (journal) =>
    Effect.gen(function* () {
      yield* journal.restore("a")
      const batch = occurrences(1, 10)
      yield* journal.append(batch)
      const { entries, lost } = yield* readAll(journal, "a")
      yield* ensureSame([], lost, "what is lost")
      yield* ensureSame(
        batch.map((occurrence, index) => ({ id: { origin: journal.origin, seq: index + 1 }, occurrence })),
        entries,
        "the entries"
      )
      const page = yield* journal.read("a", 4, 2)
      yield* ensureSame([5, 6], sizes(page.entries.map(({ id }) => id)), "the seqs after 4, two of them")
    })
  ),
  check("there is nothing to read after the head", layer, (journal) =>
    Effect.gen(function* () {
      yield* journal.restore("a")
      yield* ensureSame(
        { entries: [], lost: [], reached: 0 },
        yield* journal.read("a", 0, 5),
        "a page of an empty journal"
      )
      yield* journal.append(occurrences(1, 2))
      yield* ensureSame({ entries: [], lost: [], reached: 2 }, yield* journal.read("a", 2, 5), "a page after the head")
    })
  ),
  {
    name: "every occurrence comes back as it was",
    run: Effect.gen(function* () {
      const property = Arbitrary.array(Arbitraries.occurrence, { minLength: 1, maxLength: 5 })
      const result = yield* Arbitrary.checkEffect(
        property,
        (batch) =>
          life(layer, (journal) =>
            Effect.gen(function* () {
              yield* journal.restore("a")
              yield* journal.append(batch)
              const { entries } = yield* readAll(journal, "a")
              yield* ensureSame(
                batch,
                entries.map(({ occurrence }) => occurrence),
                "the occurrences"
              )
            })
          ).pipe(Effect.as(true)),
        { runs, seed: "tidings" }
      )
      const failure = Arbitrary.formatCheckFailure(result)
      if (failure !== undefined) return yield* found(failure)
    })
  }
]

const checkpointChecks = (layer: JournalLayer): ReadonlyArray<Definition> => [
  check("a sink that has made no checkpoint has none", layer, (journal) =>
    Effect.gen(function* () {
      yield* ensureSame(undefined, yield* journal.restore("a"), "the checkpoint")
    })
  ),
  check("the last checkpoint of each sink is the one that is restored", layer, (journal) =>
    Effect.gen(function* () {
      yield* journal.restore("a")
      yield* journal.restore("b")
      yield* journal.append(occurrences(1, 5))
      yield* journal.checkpoint("a", { upTo: 2, state: stateOf(1) })
      yield* journal.checkpoint("b", { upTo: 1, state: stateOf(2), target: "cluster ä" })
      const known = { target: "other", aliases: ["another", "ä"], isUncertain: true, place: "/data" }
      yield* journal.checkpoint("a", { upTo: 4, state: stateOf(3), ...known })
      yield* ensureSame({ upTo: 4, state: stateOf(3), ...known }, yield* journal.restore("a"), "the checkpoint of a")
      yield* ensureSame(
        { upTo: 1, state: stateOf(2), target: "cluster ä" },
        yield* journal.restore("b"),
        "the checkpoint of b"
      )
    })
  ),
  check("what one sink has behind its checkpoint, another can still read", layer, (journal) =>
    Effect.gen(function* () {
      yield* journal.restore("a")
      yield* journal.restore("b")
      yield* journal.append(occurrences(1, 6))
      yield* readAll(journal, "a")
      yield* journal.checkpoint("a", { upTo: 6, state: null })
      yield* journal.checkpoint("b", { upTo: 2, state: null })
      const { entries, lost } = yield* readAll(journal, "b", 2)
      yield* ensureSame([], lost, "what is lost to b")
      yield* ensureSame([3, 4, 5, 6], sizes(entries.map(({ id }) => id)), "what b reads")
    })
  )
]

const parkChecks = (layer: JournalLayer): ReadonlyArray<Definition> => [
  check("what is parked is kept as it is, per sink", layer, (journal) =>
    Effect.gen(function* () {
      const write = writeOf(journal, 1, 3)
      yield* journal.park("a", write, 3, "never \u2028 taken")
      const [parked, ...others] = yield* journal.parked("a")
      yield* ensureSame([], others, "what else is parked")
      yield* ensureSame(
        { write, occurrences: 3, reason: "never \u2028 taken" },
        parked === undefined
          ? undefined
          : { write: parked.write, occurrences: parked.occurrences, reason: parked.reason },
        "what is parked"
      )
      yield* ensureSame([], yield* journal.parked("b"), "what is parked of another sink")
    })
  ),
  check("of a series the highest upTo is kept, of equal ones the later", layer, (journal) =>
    Effect.gen(function* () {
      const state = (expected: readonly [upTo: number, occurrences: number, reason: string]) =>
        Effect.flatMap(journal.parked("a"), (parked) =>
          ensureSame(
            [expected],
            parked.map(({ occurrences, reason, write }) => [write.upTo, occurrences, reason]),
            "what is parked"
          )
        )
      yield* journal.park("a", writeOf(journal, 1, 5), 2, "first")
      yield* journal.park("a", writeOf(journal, 1, 5), 2, "repeated")
      yield* state([5, 2, "repeated"])
      yield* journal.park("a", writeOf(journal, 1, 3), 1, "older")
      yield* state([5, 2, "repeated"])
      yield* journal.park("a", writeOf(journal, 1, 9), 6, "newer")
      yield* state([9, 6, "newer"])
    })
  ),
  check("what is parked can be forgotten", layer, (journal) =>
    Effect.gen(function* () {
      const [one, two, three] = [1, 2, 3].map((seq) => writeOf(journal, seq, seq)) as [Write, Write, Write]
      for (const write of [one, two, three]) yield* journal.park("a", write, 1, "never")
      yield* journal.unpark("a", [one.id, three.id, { origin: journal.origin, seq: 77 }])
      yield* ensureSame(
        [2],
        (yield* journal.parked("a")).map(({ write }) => write.id.seq),
        "what is parked"
      )
      yield* journal.unpark("a", [two.id])
      yield* ensureSame([], yield* journal.parked("a"), "what is parked")
    })
  ),
  check("nobody has asked for anything", layer, (journal) =>
    Effect.flatMap(journal.requests("a"), (requests) => ensureSame([], requests, "the requests"))
  )
]

const reopenChecks = (reopenable: NonNullable<Options["reopenable"]>): ReadonlyArray<Definition> => {
  const reopening = (
    name: string,
    run: (
      next: <A>(use: (journal: Service) => Effect.Effect<A, unknown>) => Effect.Effect<A, unknown>
    ) => Effect.Effect<void, unknown>
  ): Definition => ({ name, run: Effect.flatMap(reopenable, (layer) => run((use) => life(layer, use))) })
  return [
    reopening("a journal that is opened again goes on where it was, under an origin of its own", (next) =>
      Effect.gen(function* () {
        const first = yield* next((journal) => Effect.as(journal.append(occurrences(1, 3)), journal.origin))
        const second = yield* next((journal) =>
          Effect.gen(function* () {
            yield* ensure(
              journal.origin !== first,
              () => `the origin is "${first}" once more: a copy of the journal would give the same identities`
            )
            yield* ensureSame(3, yield* journal.head, "the head")
            const ids = yield* journal.append(occurrences(4, 5))
            yield* ensureSame([4, 5], sizes(ids), "the next seqs")
            yield* ensureSame([journal.origin, journal.origin], originsOf(ids), "their origins")
            return journal.origin
          })
        )
        yield* next((journal) =>
          Effect.gen(function* () {
            yield* ensureSame(undefined, yield* journal.restore("a"), "the checkpoint")
            const { entries, lost } = yield* readAll(journal, "a")
            yield* ensureSame([], lost, "what is lost")
            yield* ensureSame(
              occurrences(1, 5),
              entries.map(({ occurrence }) => occurrence),
              "the occurrences"
            )
            yield* ensureSame(
              [first, first, first, second, second],
              originsOf(entries.map(({ id }) => id)),
              "the origins of what earlier openings accepted"
            )
          })
        )
      })
    ),
    reopening("checkpoints and what is parked survive", (next) =>
      Effect.gen(function* () {
        const checkpoint = { upTo: 2, state: stateOf(7), target: "cluster", aliases: ["authority"], isUncertain: true }
        yield* next((journal) =>
          Effect.gen(function* () {
            yield* journal.restore("a")
            yield* journal.append(occurrences(1, 4))
            yield* readAll(journal, "a")
            yield* journal.checkpoint("a", { upTo: 1, state: stateOf(1), target: "cluster" })
            yield* journal.checkpoint("a", checkpoint)
            yield* journal.park("a", writeOf(journal, 1, 2), 2, "never")
            yield* journal.park("a", writeOf(journal, 3, 3), 1, "never")
            yield* journal.unpark("a", [{ origin: journal.origin, seq: 3 }])
          })
        )
        yield* next((journal) =>
          Effect.gen(function* () {
            yield* ensureSame(checkpoint, yield* journal.restore("a"), "the checkpoint")
            yield* ensureSame(
              [[1, 2, 2]],
              (yield* journal.parked("a")).map(({ occurrences, write }) => [write.id.seq, write.upTo, occurrences]),
              "what is parked"
            )
            const { entries, lost } = yield* readAll(journal, "a", 2)
            yield* ensureSame([], lost, "what is lost")
            yield* ensureSame([3, 4], sizes(entries.map(({ id }) => id)), "what is read after the checkpoint")
          })
        )
      })
    ),
    {
      name: "a journal that is open cannot be opened a second time",
      run: Effect.gen(function* () {
        const layer = yield* reopenable
        yield* life(layer, () =>
          Effect.flatMap(Effect.result(life(layer, () => Effect.void)), (second) => {
            const error = Result.isFailure(second) ? second.failure : undefined
            return ensure(
              error instanceof Journal.JournalError && error.reason._tag === "JournalLocked",
              () =>
                `a second opening gives ${Result.isSuccess(second) ? "a journal" : String(error)}, expected JournalLocked`
            )
          })
        )
        yield* life(layer, (journal) => journal.head)
      })
    }
  ]
}

const smallChecks = (small: NonNullable<Options["small"]>): ReadonlyArray<Definition> => {
  const { block, dropOldest, events, fail } = small
  return [
    ...(fail === undefined
      ? []
      : [
          check("a full journal refuses, takes nothing of what it refuses, and has room again", fail, (journal) =>
            Effect.gen(function* () {
              yield* journal.restore("a")
              const kept = yield* fill(journal, events)
              yield* ensure(kept >= 8 && kept < events, () => `it has room for ${kept}, expected 8 to ${events - 1}`)
              const batch = yield* Effect.exit(journal.append(occurrences(1, events)))
              yield* ensure(
                isFull(batch),
                () => `more than has room is answered with ${String(batch)}, expected JournalFull`
              )
              yield* ensureSame(kept, yield* journal.head, "the head after it refused")
              const { entries } = yield* readAll(journal, "a")
              yield* ensureSame(kept, entries.length, "how many are there")
              yield* journal.checkpoint("a", { upTo: kept, state: null })
              const part = yield* Effect.exit(journal.append(occurrences(1, events)))
              yield* ensure(
                isFull(part),
                () => `more than it can hold is answered with ${String(part)}, expected JournalFull`
              )
              yield* ensureSame(
                [kept + 1],
                sizes(yield* journal.append([occurrence(1)])),
                "the seq after there is room"
              )
            })
          )
        ]),
    ...(block === undefined
      ? []
      : [
          check("a full journal waits for room; whoever gives up waiting has accepted nothing", block, (journal) =>
            Effect.gen(function* () {
              yield* journal.restore("a")
              // Until one waits: of a journal that blocks nothing else tells how much fits.
              let kept = 0
              let waiting: Fiber.Fiber<ReadonlyArray<EventId>, Journal.JournalError> | undefined
              while (waiting === undefined && kept < events) {
                const fiber = yield* Effect.forkChild(journal.append([occurrence(kept + 1)]), {
                  startImmediately: true
                })
                const answer = yield* Effect.timeoutOption(Fiber.join(fiber), "500 millis")
                if (answer._tag === "Some") kept++
                else waiting = fiber
              }
              if (waiting === undefined) return yield* found(`it took ${events} events and never waited`)
              yield* Fiber.interrupt(waiting)
              yield* ensureSame(kept, yield* journal.head, "the head after the wait was given up")
              const next = yield* Effect.forkChild(journal.append([occurrence(kept + 1)]), { startImmediately: true })
              yield* readAll(journal, "a")
              yield* journal.checkpoint("a", { upTo: kept, state: null })
              yield* ensureSame([kept + 1], sizes(yield* Fiber.join(next)), "the seq of who waited")
            })
          )
        ]),
    ...(dropOldest === undefined
      ? []
      : [
          check("a full journal takes what no sink has read, and says so", dropOldest, (journal) =>
            Effect.gen(function* () {
              yield* journal.restore("a")
              const kept = yield* fill(journal, 2 * events)
              yield* ensureSame(2 * events, kept, "how many it accepted")
              const { entries, lost } = yield* readAll(journal, "a")
              yield* ensure(lost.length > 0, () => "nothing is lost, and more was appended than has room")
              yield* ensure(
                entries.length > 0 && entries.at(-1)!.id.seq === kept,
                () => "the newest is lost, where the oldest should be"
              )
            })
          ),
          check("a full journal leaves alone what a sink has read and not behind a checkpoint", dropOldest, (journal) =>
            Effect.gen(function* () {
              // In memory nothing comes after this life: what was read is in the hands of the sink.
              if (journal.durability === "memory") return
              yield* journal.restore("a")
              yield* fill(journal, 4)
              yield* readAll(journal, "a")
              yield* fill(journal, 2 * events)
              const { entries } = yield* readAll(journal, "a")
              yield* ensureSame([1, 2, 3, 4], sizes(entries.map(({ id }) => id)).slice(0, 4), "what the sink had read")
            })
          )
        ])
  ]
}

const toCheck = ({ name, run }: Definition, timeout: Duration.Duration): Check => ({
  name,
  effect: run.pipe(
    Effect.scoped,
    Effect.timeoutOrElse({
      duration: timeout,
      orElse: () => found(`did not end within ${Duration.format(timeout)}`)
    }),
    Effect.mapError((error) =>
      error instanceof Finding
        ? new ContractViolation({ check: name, detail: error.detail })
        : new ContractViolation({ check: name, detail: String(error), cause: error })
    )
  )
})

/**
 * The checks of the suite as effects, for those who run them elsewhere than under vitest.
 *
 * **Example** (The checks against the journal in memory)
 *
 * ```ts
 * import * as Journal from "@tidings/core/Journal"
 * import * as JournalContract from "@tidings/testing/JournalContract"
 * import * as Effect from "effect/Effect"
 * import assert from "node:assert/strict"
 *
 * const checks = JournalContract.checks(Journal.layerMemory(), {
 *   small: { events: 16, fail: Journal.layerMemory({ capacity: 10 }) }
 * })
 * await Effect.runPromise(Effect.forEach(checks, (check) => check.effect, { discard: true }))
 * assert.ok(checks.some((check) => check.name === "what is parked can be forgotten"))
 * ```
 *
 * @category checks
 * @since 0.1.0
 */
export const checks = (layer: JournalLayer, options: Options = {}): ReadonlyArray<Check> => {
  const timeout = Duration.fromInputUnsafe(options.timeout ?? "30 seconds")
  return [
    ...appendChecks(layer, options.runs ?? 20),
    ...checkpointChecks(layer),
    ...parkChecks(layer),
    ...(options.reopenable === undefined ? [] : reopenChecks(options.reopenable)),
    ...(options.small === undefined ? [] : smallChecks(options.small))
  ].map((definition) => toCheck(definition, timeout))
}

/**
 * Registers each check as a test of its own, in a `describe` block of that name.
 *
 * @category suites
 * @since 0.1.0
 */
export const suite = (name: string, layer: JournalLayer, options: Options = {}): void => {
  const timeout = Duration.toMillis(Duration.fromInputUnsafe(options.timeout ?? "30 seconds")) + 5_000
  describe(`${name} keeps the contract of journals`, () => {
    for (const check of checks(layer, options)) {
      it.live(check.name, () => Effect.provideService(check.effect, References.MinimumLogLevel, "Error"), timeout)
    }
  })
}
