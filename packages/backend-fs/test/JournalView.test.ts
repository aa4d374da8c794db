import { assert, describe, it } from "@effect/vitest"
import * as Correlation from "@tidings/core/Correlation"
import { Correlator } from "@tidings/core/Correlator"
import * as EventId from "@tidings/core/EventId"
import { Effect } from "effect"
import { spawn } from "node:child_process"
import { once } from "node:events"
import * as fs from "node:fs"
import * as path from "node:path"
import * as FileJournal from "../src/FileJournal.ts"
import { Disk } from "../src/internal/disk.ts"
import * as Lines from "../src/internal/journal/lines.ts"
import * as JournalView from "../src/JournalView.ts"
import { Journal } from "@tidings/core/Journal"
import { nodeOfRepository } from "./nodeOfRepository.ts"
import { node, occurrences, open, run } from "./openJournal.ts"
import * as TestDirectory from "./TestDirectory.ts"
import { again, first, origin } from "./writes.ts"

const view = (directory: string) => Effect.map(JournalView.read(directory), (found) => found!)

const sinkOf = (seen: JournalView.JournalView, name: string): JournalView.Sink =>
  seen.sinks.find((sink) => sink.name === name)!

/** Every file, with its bytes and when it was changed. */
const contents = (directory: string) =>
  fs.readdirSync(directory).map((file) => {
    const { mtimeMs, size } = fs.statSync(path.join(directory, file))
    return [file, size, mtimeMs] as const
  })

const held = (n: number) => {
  const correlator = new Correlator({ ...Correlation.defaults, burst: 1 })
  for (let seq = 1; seq <= n + 1; seq++) {
    correlator.step({ origin, seq }, { ...first(1).event, at: 1_000_000 * seq }, 1_000_000 * seq)
  }
  return correlator
}

describe("reading a journal from outside", () => {
  it.effect("there is no journal where no host ever ran", () =>
    Effect.gen(function* () {
      const directory = yield* TestDirectory.make
      assert.isUndefined(yield* JournalView.read(directory))
      assert.isUndefined(yield* JournalView.read(path.join(directory, "missing")))
      fs.writeFileSync(path.join(directory, "file"), "")
      assert.isUndefined(yield* JournalView.read(path.join(directory, "file")))
    })
  )

  it.effect("the view shows what waits and what is parked for each sink, also after the owner has ended", () =>
    Effect.gen(function* () {
      const directory = path.join(yield* TestDirectory.make, "journal")
      const names = ["cluster", "Archive 2/ü_x", `${"long-name-".repeat(20)}end`]
      const correlator = held(4)
      assert.strictEqual(correlator.held, 4)
      yield* run({ directory }, (journal) =>
        Effect.gen(function* () {
          yield* journal.append(occurrences(1, 30))
          const [cluster, archive, long] = names as [string, string, string]
          yield* journal.park(cluster, first(2), 1, "too large")
          yield* journal.park(cluster, again(first(2), 9), 2, "still too large")
          yield* journal.park(cluster, first(3), 1, "a bad name")
          yield* journal.unpark(cluster, [first(3).id])
          // Parked after the checkpoint: two of the ten that are behind it wait no longer.
          yield* journal.park(cluster, again(first(24), 25), 2, "invalid")
          yield* journal.checkpoint(cluster, {
            upTo: 20,
            target: "uid-1",
            state: {
              correlator: correlator.snapshot(),
              outbox: [[JSON.parse(JSON.stringify(first(20))), 3, 18, 0]],
              parked: [[origin, 2, 9, 2]]
            }
          })
          yield* journal.checkpoint(archive, { upTo: 30, state: null })
          yield* journal.checkpoint(long, { upTo: 0, state: null })
        })
      )
      const before = contents(directory)
      const seen = yield* view(directory)
      assert.strictEqual(seen.directory, directory)
      assert.strictEqual(seen.head, 30)
      assert.isAbove(seen.bytes, 1_000)
      assert.isUndefined(seen.owner)
      assert.sameMembers(
        seen.sinks.map(({ name }) => name),
        ["cluster", "Archive 2/ü_x", seen.sinks.find(({ name }) => name.startsWith("long-name-"))!.name]
      )
      assert.match(seen.sinks.find(({ name }) => name.startsWith("long"))!.name, /^(long-name-)+…$/)

      const cluster = sinkOf(seen, "cluster")
      assert.deepStrictEqual([cluster.target, cluster.pending, cluster.requests], ["uid-1", 8 + 3 + 4, []])
      assert.deepStrictEqual(
        cluster.parked.map(({ isRetried, occurrences, reason, write }) => [write.upTo, occurrences, reason, isRetried]),
        [
          [9, 2, "still too large", false],
          [25, 2, "invalid", false]
        ]
      )
      const archive = sinkOf(seen, "Archive 2/ü_x")
      assert.deepStrictEqual([archive.target, archive.pending, archive.parked], [undefined, 0, []])
      assert.deepStrictEqual(contents(directory), before)
    })
  )

  it.live("the view names the owner, and does not keep another process from opening the journal", () =>
    Effect.gen(function* () {
      const directory = path.join(yield* TestDirectory.make, "journal")
      yield* run(
        { directory },
        () =>
          Effect.map(view(directory), ({ owner }) => assert.match(owner!, new RegExp(`^process ${process.pid} on `))),
        node
      )
      assert.isUndefined((yield* view(directory)).owner)
      yield* run({ directory }, () => Effect.map(view(directory), ({ owner }) => assert.isDefined(owner)), node)
    })
  )

  it.effect("a parked event that is no longer in the checkpoint is shown as retried", () =>
    Effect.gen(function* () {
      const directory = path.join(yield* TestDirectory.make, "journal")
      const state = (parked: ReadonlyArray<number>) => ({
        correlator: new Correlator(Correlation.off).snapshot(),
        outbox: [],
        parked: parked.map((seq) => [origin, seq, seq, 1] as const)
      })
      yield* run({ directory }, (journal) =>
        Effect.gen(function* () {
          yield* journal.append(occurrences(1, 3))
          yield* journal.park("a", first(1), 1, "x")
          yield* journal.park("a", first(2), 1, "x")
          yield* journal.checkpoint("a", { upTo: 3, state: state([2]) })
        })
      )
      const isRetried = (seen: JournalView.JournalView) => seen.sinks[0]!.parked.map((one) => one.isRetried)
      assert.deepStrictEqual(isRetried(yield* view(directory)), [true, false])
    })
  )

  it.effect("the view tells that a checkpoint cannot be read, and still shows what is parked", () =>
    Effect.gen(function* () {
      const directory = path.join(yield* TestDirectory.make, "journal")
      yield* run({ directory }, (journal) =>
        Effect.andThen(journal.park("a", first(1), 1, "x"), journal.checkpoint("a", { upTo: 0, state: null }))
      )
      fs.writeFileSync(path.join(directory, "sink-a.checkpoint"), "nonsense")
      const { damage, parked } = sinkOf(yield* view(directory), "a")
      assert.include(damage!, "sink-a.checkpoint is damaged")
      assert.strictEqual(parked.length, 1)
    })
  )

  it.effect("the view does not count a batch that was not finished", () =>
    Effect.gen(function* () {
      const directory = path.join(yield* TestDirectory.make, "journal")
      yield* run({ directory, segmentSize: 100_000 }, (journal) =>
        Effect.andThen(journal.append(occurrences(1, 3)), journal.append(occurrences(4, 6)))
      )
      const segment = path.join(
        directory,
        fs.readdirSync(directory).find((file) => file.startsWith("entries-"))!
      )
      fs.truncateSync(segment, fs.statSync(segment).size - 5)
      assert.strictEqual((yield* view(directory)).head, 3)
    })
  )
})

describe("requests", () => {
  const retry = (...seqs: ReadonlyArray<number>) => ({
    action: "retry" as const,
    series: seqs.map((seq) => ({ origin, seq }))
  })
  const drop = (...seqs: ReadonlyArray<number>) => ({ ...retry(...seqs), action: "drop" as const })

  const withSink = Effect.gen(function* () {
    const directory = path.join(yield* TestDirectory.make, "journal")
    const journal = yield* open({ directory })
    yield* journal.checkpoint("Sink 1", { upTo: 0, state: null })
    const seen = yield* view(directory)
    const file = path.join(directory, `${seen.sinks[0]!.file}.requests`)
    return { directory, journal, seen, sink: seen.sinks[0]!, file }
  })

  it.effect("a journal is read whose owner removes, replaces and begins files between two steps of the reader", () =>
    Effect.gen(function* () {
      const { directory, file, journal, seen, sink } = yield* withSink
      yield* journal.append(occurrences(1, 3))
      yield* JournalView.request(seen, sink, retry(1))
      const checkpoint = path.join(directory, `${sink.file}.checkpoint`)
      const segment = path.join(
        directory,
        fs.readdirSync(directory).find((name) => name.startsWith("entries-"))!
      )
      const longer = Lines.lineOf(JSON.stringify({ upTo: 2, state: { more: "x".repeat(1_000) } }))
      const meanwhile = new Map<string, () => void>([
        [file, () => fs.rmSync(file)],
        [checkpoint, () => fs.writeFileSync(checkpoint, longer)],
        [segment, () => fs.renameSync(segment, segment.replace(/(?<=entries-\d*)1(?=-)/, "2"))]
      ])
      const disk: Disk = {
        ...node,
        openToRead: (path) => {
          meanwhile.get(path)?.()
          meanwhile.delete(path)
          return node.openToRead(path)
        }
      }
      const found = (yield* Effect.provideService(JournalView.read(directory), Disk, disk))!
      assert.strictEqual(meanwhile.size, 0)
      assert.deepStrictEqual(
        [found.sinks[0]!.requests, found.sinks[0]!.damage, found.sinks[0]!.pending],
        [[], undefined, 1]
      )
    })
  )

  it.effect("requests reach the owner once and in order, and are shown until then", () =>
    Effect.gen(function* () {
      const { directory, file, journal, seen, sink } = yield* withSink
      assert.deepStrictEqual(yield* journal.requests("Sink 1"), [])
      yield* JournalView.request(seen, sink, retry(1, 2))
      yield* JournalView.request(seen, sink, drop(3))
      assert.strictEqual(fs.statSync(file).mode & 0o777, 0o600)
      assert.deepStrictEqual((yield* view(directory)).sinks[0]!.requests, [retry(1, 2), drop(3)])
      assert.deepStrictEqual(yield* journal.requests("other"), [])
      assert.deepStrictEqual(yield* journal.requests("Sink 1"), [retry(1, 2), drop(3)])
      assert.deepStrictEqual(yield* journal.requests("Sink 1"), [])
      assert.deepStrictEqual((yield* view(directory)).sinks[0]!.requests, [])
      yield* JournalView.request(seen, sink, drop(4))
      assert.deepStrictEqual(yield* journal.requests("Sink 1"), [drop(4)])
      assert.deepStrictEqual(
        fs.readdirSync(directory).filter((name) => name.includes("requests")),
        []
      )
    })
  )

  it.effect("requests wait for the next owner", () =>
    Effect.gen(function* () {
      const directory = path.join(yield* TestDirectory.make, "journal")
      yield* run({ directory }, (journal) => journal.checkpoint("a", { upTo: 0, state: null }))
      const seen = yield* view(directory)
      yield* JournalView.request(seen, seen.sinks[0]!, retry(7))
      assert.deepStrictEqual(yield* run({ directory }, (journal) => journal.requests("a")), [retry(7)])
    })
  )

  it.effect("a request for many series is written as several lines", () =>
    Effect.gen(function* () {
      const { journal, seen, sink } = yield* withSink
      const many = Array.from({ length: 2_500 }, (_, index) => index + 1)
      yield* JournalView.request(seen, sink, drop(...many))
      const taken = yield* journal.requests("Sink 1")
      assert.deepStrictEqual(
        taken.map(({ series }) => series.length),
        [1_000, 1_000, 500]
      )
      assert.deepStrictEqual(
        taken.flatMap(({ series }) => series.map(({ seq }) => seq)),
        many
      )
      yield* JournalView.request(seen, sink, drop())
      assert.deepStrictEqual(yield* journal.requests("Sink 1"), [])
    })
  )

  it.effect("damaged, partial and invalid requests are skipped, and do not affect others", () =>
    Effect.gen(function* () {
      const { file, journal, seen, sink } = yield* withSink
      yield* JournalView.request(seen, sink, retry(1))
      fs.appendFileSync(file, "00000000\tnonsense\n")
      const whole = fs.readFileSync(file)
      fs.appendFileSync(file, whole.subarray(0, 30))
      yield* JournalView.request(seen, sink, retry(2))
      assert.deepStrictEqual(yield* journal.requests("Sink 1"), [retry(1), retry(2)])

      const lines = linesOf([
        { action: "forget", series: [EventId.format(first(1).id)] },
        { action: "drop" },
        null,
        { action: "drop", series: ["nonsense", 7, EventId.format(first(5).id)] }
      ])
      fs.writeFileSync(file, lines, { mode: 0o600 })
      assert.deepStrictEqual(yield* journal.requests("Sink 1"), [drop(5)])
    })
  )

  it.effect("a file of requests that root creates belongs to the owner of the journal", () =>
    Effect.gen(function* () {
      const { directory, file, seen, sink } = yield* withSink
      if (process.geteuid?.() !== 0) return
      fs.chownSync(directory, 12_345, 12_345)
      yield* JournalView.request(seen, sink, retry(1))
      assert.strictEqual(fs.statSync(file).uid, 12_345)
    })
  )

  it.live(
    "requests of several processes are neither lost nor joined while the owner takes them",
    () =>
      Effect.gen(function* () {
        const directory = path.join(yield* TestDirectory.make, "journal")
        const each = 150
        const taken = yield* Effect.gen(function* () {
          const journal = yield* Journal
          yield* journal.checkpoint("a", { upTo: 0, state: null })
          const askers = [0, 1, 2].map((index) =>
            spawn(
              nodeOfRepository,
              [
                "--conditions=@tidings/source",
                "--disable-warning=ExperimentalWarning",
                path.join(import.meta.dirname, "fixtures", "asker.ts"),
                directory,
                String(index * each + 1),
                String((index + 1) * each)
              ],
              { stdio: "inherit" }
            )
          )
          let running = askers.length
          const ended = askers.map((asker) => once(asker, "close").finally(() => running--))
          const all: Array<number> = []
          const takeAll = Effect.map(journal.requests("a"), (requests) => {
            for (const { action, series } of requests) {
              assert.strictEqual(action, "retry")
              all.push(...series.map(({ seq }) => seq))
            }
          })
          while (running > 0) {
            yield* takeAll
            yield* Effect.sleep(1)
          }
          yield* takeAll
          for (const [code] of yield* Effect.promise(() => Promise.all(ended))) assert.strictEqual(code, 0)
          return all
        }).pipe(Effect.provide(FileJournal.layer({ directory, durability: "process" })))
        // What was taken just while it was appended may come twice, and never not at all.
        assert.deepStrictEqual(
          [...new Set(taken)].sort((a, b) => a - b),
          Array.from({ length: 3 * each }, (_, index) => index + 1)
        )
        assert.isBelow(taken.length, 3 * each * 1.5)
      }),
    60_000
  )
})

function linesOf(values: ReadonlyArray<unknown>): Buffer {
  return Buffer.concat(values.map((value) => Lines.lineOf(JSON.stringify(value))))
}
