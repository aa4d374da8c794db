import { assert } from "@effect/vitest"
import type { Outcome } from "@tidings/core/Backend"
import type { BackendError } from "@tidings/core/BackendError"
import type { Event, Write } from "@tidings/core/Event"
import * as EventId from "@tidings/core/EventId"
import * as EventJson from "@tidings/core/EventJson"
import * as EventQuery from "@tidings/core/EventQuery"
import { Cause, Effect, Exit, References, Scope } from "effect"
import { TestClock } from "effect/testing"
import {
  appendFileSync,
  copyFileSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  truncateSync,
  utimesSync,
  writeFileSync
} from "node:fs"
import { tmpdir } from "node:os"
import * as path from "node:path"
import { Step } from "../src/internal/log/index/segmentBuilder.ts"
import * as LogLine from "../src/internal/log/line.ts"
import { aged, openAged } from "./compressing.ts"
import { BEGINNING, type Line, NaiveLog, type Place } from "./NaiveLog.ts"
import { type Log, newestOf, open, segmentsOf, type Watcher, watch } from "./openLog.ts"
import { type Dice, diceOf, eventOf, filterOf } from "./RandomEvents.ts"

/** How often each thing is done, among all operations. */
const WEIGHTS = {
  write: 34,
  writeAtOnce: 5,
  copyEvents: 4,
  query: 22,
  queryWhileWriting: 4,
  pagesWhileWriting: 4,
  follow: 7,
  followWhileWriting: 3,
  look: 7,
  stopFollowing: 3,
  restart: 6,
  tear: 3,
  garbage: 2,
  copySegment: 2,
  damageLine: 1,
  removeOldest: 3,
  prune: 3,
  compress: 3,
  removeAll: 0.3,
  nextDay: 2,
  sideFile: 14,
  countDamage: 2
}

type Kind = keyof typeof WEIGHTS

/** One operation. What it does beside its kind depends on the log and on numbers of its own, so that others can be left out. */
export interface Operation {
  readonly kind: Kind
  readonly seed: number
}

export const operationsOf = (seed: number, count: number): ReadonlyArray<Operation> => {
  const dice = diceOf(seed)
  const kinds = Object.entries(WEIGHTS) as Array<[Kind, number]>
  const sum = kinds.reduce((sum, [, weight]) => sum + weight, 0)
  return Array.from({ length: count }, () => {
    let at = dice.next() * sum
    const kind = kinds.find(([, weight]) => (at -= weight) < 0)!
    return { kind: kind[0], seed: dice.integer(1, 1_000_000_000) }
  })
}

/** Number of programs that use the log at once. */
const PROGRAMS = 3

const MOST_FOLLOWERS = 4

const MOST_PAGES = 12

interface Program {
  readonly log: Log
  readonly scope: Scope.Closeable
}

interface Follower {
  readonly watcher: Watcher
  readonly scope: Scope.Closeable
  readonly filter: EventQuery.EventFilter
  readonly program: number
  place: Place
  readonly seen: Map<string, number>
  /** Segments that it had not read to their end were removed. */
  mayHaveGap: boolean
}

interface Bookmark {
  readonly cursor: EventQuery.Cursor
  readonly filter: EventQuery.EventFilter
  readonly place: Place
}

const turn = Effect.promise(() => new Promise((resolve) => setImmediate(resolve)))

/**
 * Lets the time pass after which a writer looks for a newer segment. A reader that begins waits until that is over by the clock of
 * the system, which is not the one that is turned here.
 */
const settle = TestClock.adjust("25 millis")

const show = ({ id, upTo }: Event): string => `${EventId.format(id).slice(-9)} up to ${upTo}`

/** Programs on one log and what they should see of it. */
class World {
  readonly model: NaiveLog
  readonly trace: Array<string> = []
  private readonly directory: string
  private readonly step: number
  private readonly programs: Array<Program | undefined> = Array.from({ length: PROGRAMS })
  private readonly seqs = Array.from({ length: PROGRAMS }, () => 0)
  /** What each program wrote of late. */
  private readonly written: Array<Array<Write>> = Array.from({ length: PROGRAMS }, () => [])
  private followers: Array<Follower> = []
  private bookmarks: Array<Bookmark> = []
  private modified = 2_000_000_000

  constructor(directory: string, step: number) {
    this.directory = directory
    this.step = step
    this.model = new NaiveLog(directory)
  }

  private say(text: string): void {
    this.trace.push(text)
  }

  // -------------------------------------------------------------------------
  // programs
  // -------------------------------------------------------------------------

  private program(dice: Dice, at: number): Effect.Effect<Program, BackendError> {
    return Effect.gen({ self: this }, function* () {
      const running = this.programs[at]
      if (running !== undefined) return running
      const scope = yield* Scope.make()
      const segmentSize = dice.pick([3_000, 8_000, 30_000, 1_000_000])
      const durability = dice.pick(["process", "process", "interval", "disk"] as const)
      const log = yield* open({ directory: this.directory, segmentSize, durability }).pipe(
        Effect.provideService(Scope.Scope, scope),
        Effect.provideService(Step, this.step)
      )
      this.say(`program ${at} starts, with segments of ${segmentSize} bytes and durability ${durability}`)
      return (this.programs[at] = { log, scope })
    })
  }

  private stop(at: number): Effect.Effect<void> {
    return Effect.gen({ self: this }, function* () {
      const program = this.programs[at]
      if (program === undefined) return
      for (const follower of this.followers.filter((one) => one.program === at)) yield* this.leave(follower)
      this.programs[at] = undefined
      yield* Scope.close(program.scope, Exit.void)
      this.say(`program ${at} ends`)
    })
  }

  private leave(follower: Follower): Effect.Effect<void> {
    this.followers = this.followers.filter((one) => one !== follower)
    return Scope.close(follower.scope, Exit.void)
  }

  readonly close: Effect.Effect<void> = Effect.suspend(() =>
    Effect.forEach(this.programs, (_, at) => this.stop(at), { discard: true })
  )

  // -------------------------------------------------------------------------
  // writing
  // -------------------------------------------------------------------------

  /** What a program wants to store: new series, counts that grew, and what it has stored before. */
  private batchOf(dice: Dice, program: number): Array<Write> {
    const origin = `${program + 1}`.repeat(32)
    const written = this.written[program]!
    const batch = new Map<string, Write>()
    for (let count = dice.chance(0.6) ? 1 : dice.integer(2, 9); count > 0; count--) {
      const write = (): Write => {
        const before = written.length === 0 || dice.chance(0.5) ? undefined : dice.pick(written)
        if (before !== undefined && dice.chance(0.25)) return before
        if (before !== undefined) {
          const { name: _, ...write } = eventOf(
            dice,
            before.id,
            before.upTo + dice.integer(1, 4),
            before.count + dice.integer(1, 3)
          )
          return write
        }
        const isImported = dice.chance(0.15)
        const seq = isImported ? 0 : (this.seqs[program]! += dice.chance(0.1) ? dice.integer(2, 9) : 1)
        const id = isImported ? { origin: `uid-${program}-${dice.integer(1, 40)}`, seq } : { origin, seq }
        const { name: _, ...write } = eventOf(dice, id, isImported ? dice.integer(1, 1_000) : seq, 1)
        return write
      }
      const one = write()
      // A recorder writes no series twice in one batch.
      if (batch.has(EventId.format(one.id))) continue
      batch.set(EventId.format(one.id), one)
    }
    written.push(...batch.values())
    written.splice(0, written.length - 60)
    return [...batch.values()]
  }

  /** What has to be answered for a batch: one of these for each write. */
  private answersOf(batch: ReadonlyArray<Write>): Array<ReadonlyArray<string>> {
    const states = this.model.states()
    const stored = new Map<string, number>()
    return batch.map(({ id, upTo }) => {
      const key = EventId.format(id)
      const before = stored.get(key) ?? states.get(key)?.event.upTo
      const forgotten = this.model.forgotten.get(key)
      if (before !== undefined && before >= upTo) return ["present"]
      stored.set(key, upTo)
      if (forgotten === undefined) return [before === undefined ? "created" : "updated"]
      // A program that has stored it need not find out that it is gone.
      return forgotten >= upTo ? ["created", "updated", "present"] : ["created", "updated"]
    })
  }

  private check(batch: ReadonlyArray<Write>, outcomes: ReadonlyArray<Outcome>): Array<Event> {
    const answers = this.answersOf(batch)
    const hows = outcomes.map((outcome) => (outcome._tag === "Settled" ? outcome.how : outcome._tag))
    for (const [at, how] of hows.entries()) assert.include(answers[at]!, how, show(LogLine.eventOf(batch[at]!)))
    return batch.flatMap((write, at) => (hows[at] === "present" ? [] : LogLine.eventOf(write)))
  }

  private write(dice: Dice, program: number, isBesideReaders = true): Effect.Effect<void, BackendError> {
    return Effect.gen({ self: this }, function* () {
      if (isBesideReaders) yield* settle
      const { log } = yield* this.program(dice, program)
      const batch = this.batchOf(dice, program)
      this.say(`program ${program} writes ${batch.map((write) => show(LogLine.eventOf(write))).join(", ")}`)
      const outcomes = yield* log.backend.write(batch)
      this.model.absorb(this.check(batch, outcomes))
    })
  }

  /** Many events of another store, each of an origin of its own; some of them come again, some with a later state. */
  private copyEvents(dice: Dice, program: number): Effect.Effect<void, BackendError> {
    return Effect.gen({ self: this }, function* () {
      yield* settle
      const { log } = yield* this.program(dice, program)
      const from = dice.integer(1, 150)
      const batch = Array.from({ length: dice.integer(10, 60) }, (_, index) => {
        const digits = String(from + index).padStart(12, "0")
        const origin = dice.chance(0.9) ? `${program}0000000-0000-4000-8000-${digits}` : `copy-${program}-${digits}`
        const { name: __, ...write } = eventOf(dice, { origin, seq: 0 }, dice.integer(1, 6), dice.integer(1, 3))
        return write
      })
      this.say(`program ${program} copies ${batch.map((write) => show(LogLine.eventOf(write))).join(", ")}`)
      const outcomes = yield* log.backend.write(batch)
      this.model.absorb(this.check(batch, outcomes))
    })
  }

  private writeAtOnce(dice: Dice): Effect.Effect<void, BackendError> {
    return Effect.gen({ self: this }, function* () {
      const batches: Array<ReadonlyArray<Write>> = []
      const running: Array<Program> = []
      for (let at = 0; at < PROGRAMS; at++) {
        running.push(yield* this.program(dice, at))
        batches.push(this.batchOf(dice, at))
      }
      this.say(`all write: ${batches.map((batch) => batch.map(({ id }) => id.seq).join(" ")).join("; ")}`)
      const outcomes = yield* Effect.all(
        batches.map((batch, at) => running[at]!.log.backend.write(batch)),
        { concurrency: "unbounded" }
      )
      this.model.absorb(...batches.map((batch, at) => this.check(batch, outcomes[at]!)))
    })
  }

  // -------------------------------------------------------------------------
  // queries
  // -------------------------------------------------------------------------

  private filter(dice: Dice): EventQuery.EventFilter {
    return filterOf(
      dice,
      this.model.lines().map(({ event }) => event.id)
    )
  }

  private compare(page: EventQuery.EventPage, expected: ReadonlyArray<Line>, limit = Number.POSITIVE_INFINITY): void {
    const events = expected.slice(0, limit).map(({ event }) => event)
    assert.deepStrictEqual(page.events.map(show), events.map(show))
    assert.deepStrictEqual(page.events, events)
  }

  private bookmark(filter: EventQuery.EventFilter, cursor: EventQuery.Cursor, place: Place): void {
    this.bookmarks.push({ filter, cursor, place })
    if (this.bookmarks.length > 12) this.bookmarks.splice(3, 1)
  }

  /** Reads pages, some of them at most; between them, others may write. */
  private query(dice: Dice, isWriting: boolean): Effect.Effect<void, BackendError> {
    return Effect.gen({ self: this }, function* () {
      const at = dice.integer(0, PROGRAMS - 1)
      const { log } = yield* this.program(dice, at)
      const filter = this.filter(dice)
      const limit = dice.chance(0.3) ? undefined : dice.integer(isWriting ? 1 : 0, 9)
      this.say(`program ${at} asks for ${JSON.stringify(filter)}, ${limit ?? "no"} limit`)
      let after: Line | undefined
      let token: EventQuery.PageToken | undefined
      let pages = 0
      do {
        const all = this.model.answer(filter)
        const page = yield* log.backend.query({
          ...filter,
          ...(limit === undefined ? undefined : { limit }),
          ...(token === undefined ? undefined : { page: token })
        })
        const rest = after === undefined ? all : all.filter((line) => isOlder(line, after!))
        this.compare(page, rest, limit)
        assert.strictEqual(page.totalCount, all.length)
        if (limit === undefined || limit === 0 || rest.length <= limit)
          assert.isUndefined(limit === 0 ? undefined : page.next)
        else assert.isDefined(page.next)
        this.bookmark(filter, page.cursor, this.model.end())
        token = limit === 0 ? undefined : page.next
        after = limit === undefined ? undefined : rest[Math.min(limit, rest.length) - 1]
        if (isWriting && token !== undefined) yield* this.write(dice, dice.integer(0, PROGRAMS - 1))
      } while (token !== undefined && ++pages < MOST_PAGES)
    })
  }

  /** A query beside a write shows the log before it or after it. */
  private queryWhileWriting(dice: Dice): Effect.Effect<void, BackendError> {
    return Effect.gen({ self: this }, function* () {
      const at = dice.integer(0, PROGRAMS - 1)
      const { log } = yield* this.program(dice, at)
      const filter = this.filter(dice)
      const before = this.model.answer(filter)
      this.say(`program ${at} asks for ${JSON.stringify(filter)} meanwhile`)
      const [page] = yield* Effect.all([log.backend.query(filter), this.write(dice, dice.integer(0, PROGRAMS - 1))], {
        concurrency: "unbounded"
      })
      const shown = page.events.map(show)
      const after = this.model.answer(filter)
      const expected = [before, after].map((lines) => lines.map(({ event }) => show(event)))
      assert.isTrue(
        expected.some((one) => one.join() === shown.join()),
        `${shown.join(", ")}; before ${expected[0]!.join(", ")}; after ${expected[1]!.join(", ")}`
      )
      assert.strictEqual(page.totalCount, shown.length)
    })
  }

  // -------------------------------------------------------------------------
  // followers
  // -------------------------------------------------------------------------

  private begin(
    at: number,
    log: Log,
    filter: EventQuery.EventFilter,
    from: EventQuery.WatchFrom
  ): Effect.Effect<Follower> {
    return Effect.gen({ self: this }, function* () {
      const scope = yield* Scope.make()
      const watcher = yield* Effect.provideService(watch(log.backend, from, filter), Scope.Scope, scope)
      const seen = new Map<string, number>()
      // Where all segments were removed before, the next one tells that there were some.
      const mayHaveGap = this.model.files.length === 0
      const follower = { watcher, scope, filter, program: at, place: BEGINNING, seen, mayHaveGap }
      this.followers.push(follower)
      return follower
    })
  }

  /** What a watch shows until it says that it is live. */
  private snapshot({ watcher }: Follower): Effect.Effect<Array<EventQuery.WatchItem>, BackendError> {
    return Effect.gen(function* () {
      const items: Array<EventQuery.WatchItem> = []
      for (let turns = 0; turns < 500; turns++) {
        while ((yield* watcher.left) > 0) {
          const item = yield* watcher.next
          items.push(item)
          if (item._tag === "Live") return items
        }
        yield* turns % 10 === 9 ? TestClock.adjust("260 millis") : Effect.yieldNow
        yield* turn
      }
      yield* Effect.raceFirst(watcher.next, turn)
      return assert.fail(`the watch is not live after ${items.length} items`)
    })
  }

  /** What a watch shows is known from here on. */
  private isAtEnd(follower: Follower): void {
    follower.place = this.model.end()
    follower.seen.clear()
    for (const [id, { event }] of this.model.states()) follower.seen.set(id, event.upTo)
  }

  private follow(dice: Dice): Effect.Effect<void, BackendError> {
    return Effect.gen({ self: this }, function* () {
      if (this.followers.length >= MOST_FOLLOWERS) yield* this.leave(dice.pick(this.followers))
      const at = dice.integer(0, PROGRAMS - 1)
      const { log } = yield* this.program(dice, at)
      const bookmark = this.bookmarks.length > 0 && dice.chance(0.6) ? dice.pick(this.bookmarks) : undefined
      const last = dice.integer(1, 6)
      const from = bookmark?.cursor ?? dice.pick(["beginning", "now", { last }] as const)
      const filter = bookmark?.filter ?? this.filter(dice)
      const where = bookmark === undefined ? JSON.stringify(from) : `${bookmark.place.segment} ${bookmark.place.count}`
      this.say(`program ${at} follows ${JSON.stringify(filter)} from ${where}`)
      const isGap = bookmark !== undefined && this.model.isMissingAfter(bookmark.place)
      const changes = this.model.changes(filter, bookmark?.place)
      const expected = from === "now" ? [] : typeof from === "object" ? changes.slice(-last) : changes
      const follower = yield* this.begin(at, log, filter, from)
      const items = yield* this.snapshot(follower)
      if (isGap) assert.strictEqual(items.shift()?._tag, "Gap")
      const live = items.pop()!
      const events = items.flatMap((item) => (item._tag === "Event" ? item.event : []))
      assert.deepStrictEqual(
        events.map(show),
        expected.map(({ event }) => show(event))
      )
      assert.strictEqual(events.length, items.length, "a gap where nothing is gone")
      assert.deepStrictEqual(
        events,
        expected.map(({ event }) => event)
      )
      for (const [index, { cursor }] of items.entries()) {
        if (dice.chance(0.3)) this.bookmark(filter, cursor, expected[index]!)
      }
      this.bookmark(filter, live.cursor, this.model.end())
      this.isAtEnd(follower)
    })
  }

  /** A watch that begins while others write shows the last state of each series, and no state twice or after a later one. */
  private followWhileWriting(dice: Dice): Effect.Effect<void, BackendError> {
    return Effect.gen({ self: this }, function* () {
      if (this.followers.length >= MOST_FOLLOWERS) yield* this.leave(dice.pick(this.followers))
      const at = dice.integer(0, PROGRAMS - 1)
      const { log } = yield* this.program(dice, at)
      const filter = this.filter(dice)
      this.say(`program ${at} follows ${JSON.stringify(filter)} from the beginning, meanwhile`)
      const follower = yield* this.begin(at, log, filter, "beginning")
      for (let writes = dice.integer(1, 4); writes > 0; writes--) {
        yield* this.write(dice, dice.integer(0, PROGRAMS - 1))
        for (let turns = dice.integer(0, 3); turns > 0; turns--) yield* Effect.yieldNow
      }
      const items = yield* this.snapshot(follower)
      const expected = this.model.changes(filter).map(({ event }) => event)
      const last = new Map<string, Event>()
      const take = (item: EventQuery.WatchItem): void => {
        if (item._tag === "Live") return
        if (item._tag === "Gap" && follower.mayHaveGap) return
        if (item._tag === "Gap") assert.fail(`a gap where nothing is gone: ${item.reason}`)
        const id = EventId.format(item.event.id)
        const before = last.get(id)
        if (before !== undefined) assert.isAbove(item.event.upTo, before.upTo, `${show(item.event)} is shown again`)
        last.set(id, item.event)
      }
      const isComplete = (): boolean =>
        expected.every((event) => last.get(EventId.format(event.id))?.upTo === event.upTo)
      for (const item of items) take(item)
      for (let turns = 0; turns < 60 && !(isComplete() && turns > 5); turns++) {
        yield* TestClock.adjust("260 millis")
        yield* turn
        while ((yield* follower.watcher.left) > 0) take(yield* follower.watcher.next)
      }
      for (const event of expected) assert.deepStrictEqual(last.get(EventId.format(event.id)), event)
      this.isAtEnd(follower)
    })
  }

  /** Compares what a follower has shown with the lines that came since. */
  private look(follower: Follower): Effect.Effect<void, BackendError> {
    return Effect.gen({ self: this }, function* () {
      const { filter, seen, watcher } = follower
      /** Whether a watch may know this state from a line that is gone, or not know it any more. */
      const isOptional = ({ event }: Line): boolean =>
        event.upTo <= (this.model.forgotten.get(EventId.format(event.id)) ?? -1)
      // What was removed may have been read before.
      const gone = this.model.removedAfter(follower.place).filter(({ event }) => EventQuery.matches(filter, event))
      const present = this.model.linesAfter(follower.place).filter((line) => {
        const { event } = line
        const id = EventId.format(event.id)
        if (event.upTo <= (seen.get(id) ?? -1)) return isOptional(line) && EventQuery.matches(filter, event)
        seen.set(id, event.upTo)
        return EventQuery.matches(filter, event)
      })
      let expected = [...gone, ...present]
      const describe = () => expected.map(({ event }) => show(event)).join(", ")
      for (let turns = 0, quiet = 0; quiet < 4 && turns < 60; turns++) {
        yield* TestClock.adjust("260 millis")
        yield* turn
        while ((yield* watcher.left) > 0) {
          const item = yield* watcher.next
          if (item._tag === "Live") assert.fail("it was live already")
          if (item._tag === "Gap") {
            if (!follower.mayHaveGap) assert.fail(`a gap where nothing is gone: ${item.reason}`)
            continue
          }
          const shown = EventJson.encode(item.event)
          const at = expected.findIndex((line) => EventJson.encode(line.event) === shown)
          if (at === -1 || expected.slice(0, at).some((line) => !isOptional(line)))
            assert.fail(`the watch of program ${follower.program} shows ${show(item.event)} before: ${describe()}`)
          const line = expected[at]!
          assert.deepStrictEqual(item.event, line.event)
          // The same may have been written again since.
          if (!gone.includes(line)) this.bookmark(filter, item.cursor, line)
          expected = expected.slice(at + 1)
        }
        if (expected.every(isOptional)) quiet += 1
      }
      // A watch that failed says why.
      if (!expected.every(isOptional)) yield* Effect.raceFirst(watcher.next, turn)
      if (!expected.every(isOptional))
        assert.fail(`the watch of program ${follower.program} does not show: ${describe()}`)
      follower.place = this.model.end()
      // Where all segments are gone, the next one tells.
      follower.mayHaveGap &&= this.model.files.length === 0
    })
  }

  /** Nobody follows meanwhile: a watch looks four times a second. */
  private readonly nextDay: Effect.Effect<void> = Effect.suspend(() => {
    this.say("the next day")
    return Effect.andThen(
      Effect.forEach(this.followers, (follower) => this.leave(follower)),
      TestClock.adjust("1 day")
    )
  })

  private readonly lookAll: Effect.Effect<void, BackendError> = Effect.suspend(() =>
    Effect.forEach(this.followers, (follower) => this.look(follower), { discard: true })
  )

  // -------------------------------------------------------------------------
  // disturbances
  // -------------------------------------------------------------------------

  /** Where a segment is, compressed or not; and other files. */
  private pathOf(file: string): string {
    const plain = path.join(this.directory, file)
    return existsSync(`${plain}.zst`) ? `${plain}.zst` : plain
  }

  /** Removes segments, as retention does, and as people do. */
  private remove(files: ReadonlyArray<string>): void {
    for (const file of files) rmSync(this.pathOf(file))
    this.noteRemoved(files)
  }

  private noteRemoved(files: ReadonlyArray<string>): void {
    this.say(`${files.join(" ")} removed`)
    for (const file of files) {
      for (const follower of this.followers) follower.mayHaveGap ||= file >= follower.place.segment
      this.model.remove(file)
    }
  }

  /** Bytes of a segment on disk, with what belongs to it. */
  private bytesOf(file: string): number {
    const files = readdirSync(this.directory).filter((name) => name.startsWith(file.replace(/ndjson$/, "")))
    return files.reduce((sum, name) => sum + statSync(path.join(this.directory, name)).size, 0)
  }

  /** The log gets a limit for a moment. */
  private prune(dice: Dice): Effect.Effect<void, BackendError> {
    return Effect.gen({ self: this }, function* () {
      const { log } = (yield* this.program(dice, dice.integer(0, PROGRAMS - 1))).log
      const { files } = this.model
      if (files.length === 0) return
      if (dice.chance(0.7)) yield* this.lookAll
      const isBySize = dice.chance(0.5)
      const facts = files.map((file) => {
        const { damaged, lines, size } = this.model.factsOf(file)
        const bytes = this.bytesOf(file)
        // What is damaged may count as an event, and the part of one at the end of a segment.
        return isBySize ? { least: bytes, most: bytes, size } : { least: lines, most: lines + damaged + 1, size }
      })
      const sumOf = (of: "least" | "most" | "size", from: number): number =>
        facts.slice(from).reduce((sum, one) => sum + one[of], 0)
      const limit = dice.integer(0, sumOf("least", 0))
      yield* log.setRetention(isBySize ? { maxBytes: limit } : { maxEvents: limit })
      const planned = yield* log.prune({ dryRun: true })
      const pruned = yield* log.prune()
      yield* log.setRetention({ maxBytes: "none", maxEvents: "none" })
      assert.deepStrictEqual(pruned, planned)
      const removed = pruned.segments.map(({ file }) => file)
      assert.deepStrictEqual(removed, files.slice(0, removed.length))
      assert.isBelow(removed.length, files.length, "the newest segment stays")
      for (const at of removed.keys()) assert.isAbove(sumOf("most", at), limit, `${files[at]!} was within the limit`)
      // Where there cannot be so many events they are not counted.
      const isCounted = isBySize || sumOf("size", 0) > 250 * limit
      if (isCounted && removed.length < files.length - 1) assert.isAtMost(sumOf("least", removed.length), limit)
      for (const file of removed) assert.isFalse(existsSync(this.pathOf(file)), file)
      this.say(`a limit of ${limit} ${isBySize ? "bytes" : "events"}`)
      this.noteRemoved(removed)
    })
  }

  /** All segments but the newest are compressed. */
  private compress(dice: Dice): Effect.Effect<void, BackendError> {
    return Effect.gen({ self: this }, function* () {
      const { files } = this.model
      if (files.length === 0) return
      const frame = dice.pick([500, 2_000, 200_000])
      const { log } = yield* openAged({ directory: this.directory }, aged, frame)
      const compressed = yield* log.compress("0 seconds")
      this.say(`${compressed.length} segments compressed in frames of ${frame} bytes`)
      for (const file of files.slice(0, -1)) assert.match(this.pathOf(file), /zst$/)
    }).pipe(Effect.scoped)
  }

  private removeOldest(dice: Dice): Effect.Effect<void, BackendError> {
    return Effect.gen({ self: this }, function* () {
      const { files } = this.model
      if (files.length < 2) return
      if (dice.chance(0.7)) yield* this.lookAll
      this.remove(files.slice(0, dice.integer(1, Math.min(4, files.length - 1))))
    })
  }

  /** A segment that a tool has written anew, such as one that copies a directory. */
  private copySegment(dice: Dice): void {
    if (this.model.files.length === 0) return
    const file = dice.pick(this.model.files)
    const { atime, mtime } = statSync(this.pathOf(file))
    const copy = path.join(this.directory, "copy")
    copyFileSync(this.pathOf(file), copy)
    if (dice.chance(0.5)) utimesSync(copy, atime, mtime)
    renameSync(copy, this.pathOf(file))
    this.say(`${file} copied`)
  }

  /** A bit of a line is flipped. Whoever follows would be told of a gap: nobody does. */
  private damageLine(dice: Dice): Effect.Effect<void, BackendError> {
    return Effect.gen({ self: this }, function* () {
      const newest = this.model.files.at(-1)
      // That the newest segment was changed is found out when the line is read.
      const lines = this.model
        .lines()
        .filter(({ segment }) => segment !== newest && existsSync(path.join(this.directory, segment)))
      if (lines.length === 0) return
      for (const follower of this.followers) yield* this.leave(follower)
      this.bookmarks = []
      const line = dice.pick(lines)
      const file = this.pathOf(line.segment)
      const bytes = readFileSync(file)
      let at: number
      let flipped: number
      do {
        at = dice.integer(line.start, line.end - 1)
        flipped = bytes[at]! ^ (1 << dice.integer(0, 7))
      } while (flipped === 10)
      bytes[at] = flipped
      writeFileSync(file, bytes)
      utimesSync(file, this.modified, (this.modified += 1))
      this.model.damage(line)
      this.say(`a bit of ${show(line.event)} flipped in ${line.segment} at ${at - line.start} of its line`)
    })
  }

  private disturbSideFile(dice: Dice): void {
    if (!existsSync(this.directory)) return
    const files = readdirSync(this.directory).filter((name) => name.endsWith(".index"))
    if (files.length === 0) return
    const name = dice.pick(files)
    const file = this.pathOf(name)
    const how = dice.pick(["delete", "cut", "flip", "flip", "swap", "extend", "empty"] as const)
    if (how === "delete") rmSync(file)
    if (how === "cut") truncateSync(file, dice.integer(0, statSync(file).size))
    if (how === "swap") writeFileSync(file, readFileSync(this.pathOf(dice.pick(files))))
    if (how === "extend") appendFileSync(file, "garbage".repeat(dice.integer(1, 30)))
    if (how === "empty") truncateSync(file, 0)
    const bytes = readFileSync(how === "delete" ? "/dev/null" : file)
    const at = dice.integer(0, Math.max(0, bytes.length - 1))
    if (how === "flip" && bytes.length > 0) {
      bytes[at]! ^= 1 << dice.integer(0, 7)
      writeFileSync(file, bytes)
    }
    this.say(`${how} ${name}${how === "flip" ? ` at ${at}` : ""}`)
  }

  private countDamage(): Effect.Effect<void, BackendError> {
    return Effect.gen({ self: this }, function* () {
      const { backend, log } = yield* Effect.provideService(open({ directory: this.directory }), Step, this.step)
      const { totalCount } = yield* backend.query({ limit: 0 })
      assert.strictEqual(totalCount, this.model.states().size)
      assert.strictEqual((yield* log.status).damaged.lines, this.model.damagedLines(), "damaged lines")
    }).pipe(Effect.scoped)
  }

  run({ kind, seed }: Operation): Effect.Effect<void, BackendError> {
    const dice = diceOf(seed)
    const anyProgram = () => dice.integer(0, PROGRAMS - 1)
    const isEmpty = this.model.files.length === 0
    switch (kind) {
      case "write":
        return this.write(dice, anyProgram(), false)
      case "writeAtOnce":
        return this.writeAtOnce(dice)
      case "copyEvents":
        return this.copyEvents(dice, anyProgram())
      case "query":
        return this.query(dice, false)
      case "pagesWhileWriting":
        return this.query(dice, true)
      case "queryWhileWriting":
        return this.queryWhileWriting(dice)
      case "follow":
        return this.follow(dice)
      case "followWhileWriting":
        return this.followWhileWriting(dice)
      case "look":
        return this.lookAll
      case "stopFollowing":
        return this.followers.length === 0 ? Effect.void : this.leave(dice.pick(this.followers))
      case "restart":
        return this.stop(anyProgram())
      case "removeOldest":
        return this.removeOldest(dice)
      case "prune":
        return this.prune(dice)
      case "compress":
        return this.compress(dice)
      case "damageLine":
        return this.damageLine(dice)
      case "nextDay":
        return this.nextDay
      case "countDamage":
        return isEmpty ? Effect.void : this.countDamage()
      default:
        return Effect.sync(() => {
          if (kind === "sideFile") return this.disturbSideFile(dice)
          if (kind === "copySegment") return this.copySegment(dice)
          if (isEmpty) return
          if (kind === "removeAll") return this.remove(this.model.files)
          const text =
            kind === "garbage" ? dice.pick(["\n", "garbage\n", "{}\n", "x".repeat(3_000)]) : this.partOfLine(dice)
          appendFileSync(newestOf(this.directory), text)
          this.model.absorb()
          this.say(`${JSON.stringify(text.slice(0, 20))}… appended to ${segmentsOf(this.directory).at(-1)!}`)
        })
    }
  }

  private partOfLine(dice: Dice): string {
    const text = LogLine.encode(eventOf(dice, { origin: "9".repeat(32), seq: 1 }, 1, 1))
    return text.slice(0, dice.integer(1, text.length - 20))
  }

  /** At the end, all followers and a program that starts now see the same. */
  readonly finish: Effect.Effect<void, BackendError> = Effect.gen({ self: this }, function* () {
    yield* this.lookAll
    if (this.model.files.length === 0) return
    yield* this.countDamage()
    const { backend } = yield* open({ directory: this.directory })
    const page = yield* backend.query({})
    this.compare(page, this.model.answer({}))
  }).pipe(Effect.scoped)
}

const isOlder = (line: Line, than: Line): boolean =>
  line.event.last !== than.event.last
    ? line.event.last < than.event.last
    : line.segment !== than.segment
      ? line.segment < than.segment
      : line.count < than.count

/** What went wrong, and what was done before. */
interface Failed {
  readonly cause: Cause.Cause<unknown>
  readonly trace: ReadonlyArray<string>
}

const attempt = (seed: number, operations: ReadonlyArray<Operation>): Effect.Effect<Failed | undefined> =>
  Effect.gen(function* () {
    const parent = mkdtempSync(path.join(tmpdir(), "tidings-model-"))
    const world = new World(path.join(parent, "log"), [1_500, 4_000, 20_000, 1_000_000][seed % 4]!)
    // The first day ends while programs write and follow.
    yield* TestClock.setTime(86_395_000)
    const exit = yield* Effect.exit(
      Effect.ensuring(
        Effect.andThen(
          Effect.forEach(
            operations,
            (operation) => Effect.andThen(operation.kind === "write" ? Effect.void : settle, world.run(operation)),
            { discard: true }
          ),
          world.finish
        ),
        world.close
      )
    )
    rmSync(parent, { recursive: true, force: true })
    return Exit.isFailure(exit) ? { cause: exit.cause, trace: world.trace } : undefined
  }).pipe(
    Effect.provideService(References.MinimumLogLevel, "Error"),
    // Each attempt begins at the same time.
    Effect.provide(TestClock.layer())
  )

/** The shortest list of operations that still fails which is found in so many milliseconds. */
const shorten = (
  seed: number,
  operations: ReadonlyArray<Operation>,
  failed: Failed,
  milliseconds: number
): Effect.Effect<Failed> =>
  Effect.gen(function* () {
    const until = performance.now() + milliseconds
    let shortest = failed
    let rest = operations
    for (let size = Math.ceil(rest.length / 2); size >= 1; size = size === 1 ? 0 : Math.ceil(size / 2)) {
      for (let from = 0; from < rest.length && performance.now() < until;) {
        const without = [...rest.slice(0, from), ...rest.slice(from + size)]
        const result = yield* attempt(seed, without)
        if (result === undefined) from += size
        else {
          rest = without
          shortest = result
        }
      }
    }
    return shortest
  })

/** Runs random operations; fails with the seed, and as short a list of operations as is found in time. */
export const runOperations = (seed: number, count: number, milliseconds = 10_000): Effect.Effect<void> =>
  Effect.gen(function* () {
    const operations = operationsOf(seed, count)
    const failed = yield* attempt(seed, operations)
    if (failed === undefined) return
    const { cause, trace } = yield* shorten(seed, operations, failed, milliseconds)
    return yield* Effect.die(
      new Error(`seed ${seed}, ${count} operations, of which these fail:\n${trace.join("\n")}\n${Cause.pretty(cause)}`)
    )
  })
