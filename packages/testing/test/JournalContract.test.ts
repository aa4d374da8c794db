import { assert, describe, it } from "@effect/vitest"
import * as Journal from "@tidings/core/Journal"
import * as JournalContract from "@tidings/testing/JournalContract"
import * as SimulatedJournal from "@tidings/testing/SimulatedJournal"
import * as Simulation from "@tidings/testing/Simulation"
import { Effect, Exit, Layer } from "effect"

const small = {
  events: 16,
  fail: Journal.layerMemory({ capacity: 10 }),
  block: Journal.layerMemory({ capacity: 10, onFull: "block" }),
  dropOldest: Journal.layerMemory({ capacity: 10, onFull: "dropOldest" })
}

JournalContract.suite("the journal in memory", Journal.layerMemory(), { small })

describe("the simulated journal keeps the contract of journals", () => {
  it("passes every check", () => {
    const run = Simulation.run({ seed: 1 }, (simulation) =>
      Effect.gen(function* () {
        const host = simulation.process("host")
        const fresh = (options?: Parameters<typeof SimulatedJournal.make>[1]) =>
          Layer.unwrap(Effect.sync(() => SimulatedJournal.make(simulation, options).layer(host)))
        const checks = JournalContract.checks(fresh(), {
          reopenable: Effect.sync(() => SimulatedJournal.make(simulation).layer(host)),
          small: {
            events: 16,
            fail: fresh({ capacity: 10 }),
            block: fresh({ capacity: 10, onFull: "block" }),
            dropOldest: fresh({ capacity: 10, onFull: "dropOldest" })
          }
        })
        const life = yield* host.start(Effect.forEach(checks, ({ effect }) => effect, { discard: true }))
        return yield* life.await
      })
    )
    assert.isTrue(Exit.isSuccess(run.exit), String(run.exit))
    if (Exit.isSuccess(run.exit)) {
      const ended = run.exit.value
      assert.isTrue(ended._tag === "Some" && Exit.isSuccess(ended.value), String(ended))
    }
  })
})

type Service = Journal.Journal["Service"]

/** Journals that do not keep the contract, and the check that finds it. */
const broken: ReadonlyArray<{
  readonly check: string
  readonly bug: string
  readonly layer?: Layer.Layer<Journal.Journal>
  readonly around: (journal: Service) => Service
}> = [
  {
    check: "seqs follow one another from 1, in the order of the batch, under the origin of the opening",
    bug: "seqs begin at 0",
    around: (journal) => ({
      ...journal,
      append: (batch) => Effect.map(journal.append(batch), (ids) => ids.map((id) => ({ ...id, seq: id.seq - 1 })))
    })
  },
  {
    check: "what is read is what was appended, page by page",
    bug: "reading leaves the first out",
    around: (journal) => ({
      ...journal,
      read: (sink, after, max) =>
        Effect.map(journal.read(sink, after, max), (page) => ({ ...page, entries: page.entries.slice(1) }))
    })
  },
  {
    check: "there is nothing to read after the head",
    bug: "a page after the head goes back",
    around: (journal) => ({
      ...journal,
      read: (sink, after, max) =>
        Effect.map(journal.read(sink, after, max), (page) =>
          page.entries.length === 0 ? { ...page, reached: 0 } : page
        )
    })
  },
  {
    check: "every occurrence comes back as it was",
    bug: "labels are forgotten",
    around: (journal) => ({
      ...journal,
      read: (sink, after, max) =>
        Effect.map(journal.read(sink, after, max), (page) => ({
          ...page,
          entries: page.entries.map(({ id, occurrence: { labels: _, ...occurrence } }) => ({ id, occurrence }))
        }))
    })
  },
  {
    check: "the last checkpoint of each sink is the one that is restored",
    bug: "sinks share a checkpoint",
    around: (journal) => ({
      ...journal,
      checkpoint: (_, checkpoint) => journal.checkpoint("a", checkpoint),
      restore: () => journal.restore("a")
    })
  },
  {
    check: "what one sink has behind its checkpoint, another can still read",
    bug: "entries are freed by the sink that is furthest ahead",
    around: (journal) => ({
      ...journal,
      read: (sink, after, max) =>
        sink === "b" ? journal.read(sink, Math.max(after, 5), max) : journal.read(sink, after, max)
    })
  },
  {
    check: "of a series the highest upTo is kept, of equal ones the later",
    bug: "parking again adds up",
    around: (journal) => {
      const counted = new Map<number, number>()
      return {
        ...journal,
        park: (sink, write, occurrences, reason) => {
          const total = (counted.get(write.id.seq) ?? 0) + occurrences
          counted.set(write.id.seq, total)
          return journal.park(sink, write, total, reason)
        }
      }
    }
  },
  {
    check: "what is parked can be forgotten",
    bug: "forgetting one forgets all",
    around: (journal) => ({
      ...journal,
      unpark: (sink) =>
        Effect.flatMap(journal.parked(sink), (parked) =>
          journal.unpark(
            sink,
            parked.map(({ write }) => write.id)
          )
        )
    })
  },
  {
    check: "a full journal refuses, takes nothing of what it refuses, and has room again",
    bug: "a part of a batch that does not fit is taken",
    layer: small.fail,
    around: (journal) => ({
      ...journal,
      append: (batch) => Effect.tapError(journal.append(batch), () => Effect.ignore(journal.append(batch.slice(0, 1))))
    })
  },
  {
    check: "a full journal waits for room; whoever gives up waiting has accepted nothing",
    bug: "it refuses instead of waiting",
    layer: small.fail,
    around: (journal) => journal
  },
  {
    check: "a full journal takes what no sink has read, and says so",
    bug: "what is lost is not said",
    layer: small.dropOldest,
    around: (journal) => ({
      ...journal,
      read: (sink, after, max) => Effect.map(journal.read(sink, after, max), (page) => ({ ...page, lost: [] }))
    })
  }
]

describe("journals that do not keep the contract", () => {
  for (const { around, bug, check, layer = Journal.layerMemory() } of broken) {
    it.live(bug, () =>
      Effect.gen(function* () {
        const wrapped = Layer.effect(Journal.Journal, Effect.map(Journal.Journal, around)).pipe(
          Layer.provide(Layer.fresh(layer))
        )
        const checks = JournalContract.checks(wrapped, {
          small: { events: 16, fail: wrapped, block: wrapped, dropOldest: wrapped }
        })
        const found = checks.find(({ name }) => name === check)
        assert.isDefined(found)
        const violation = yield* Effect.flip(found.effect)
        assert.strictEqual(violation.check, check)
      })
    )
  }
})
