import { assert, describe, it } from "@effect/vitest"
import type { Event } from "@tidings/core/Event"
import * as EventId from "@tidings/core/EventId"
import type { Backend } from "@tidings/core/Backend"
import type { EventFilter, PageToken, WatchFrom, WatchItem } from "@tidings/core/EventQuery"
import { Effect, Stream } from "effect"
import { appendFileSync, readdirSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync } from "node:fs"
import * as path from "node:path"
import * as LogLine from "../src/internal/log/line.ts"
import { FewOrigins } from "../src/internal/log/index/earlierOrigins.ts"
import { Step } from "../src/internal/log/index/segmentBuilder.ts"
import { answerOf, changesOf } from "./LogModel.ts"
import { newestOf, open, segmentsOf } from "./openLog.ts"
import { type Dice, diceOf, eventOf, filterOf, ORIGINS } from "./RandomEvents.ts"
import * as TestDirectory from "./TestDirectory.ts"

/** What happens to a log beside its queries. */
const disturb = (
  dice: Dice,
  directory: string,
  series: Map<string, { id: EventId.EventId; upTo: number; count: number }>,
  seqs: Array<number>
): string => {
  const file = (name: string) => path.join(directory, name)
  const segments = segmentsOf(directory)
  const indexes = readdirSync(directory).filter((name) => name.endsWith(".index"))
  const lines = (count: number): string => {
    let text = ""
    for (let index = 0; index < count; index++) {
      const known = [...series.values()]
      if (known.length > 0 && dice.chance(0.4)) {
        // A count that grew, a line that was written twice, or an older one.
        const one = dice.pick(known)
        const upTo = one.upTo + dice.integer(-2, 4)
        if (upTo > one.upTo) {
          one.upTo = upTo
          one.count += 1
        }
        text += LogLine.encode(eventOf(dice, one.id, Math.max(0, upTo), Math.max(1, one.count)))
        continue
      }
      const imported = dice.chance(0.1)
      const origin = dice.integer(0, ORIGINS.length - 1)
      const id = imported
        ? { origin: `uid-${dice.integer(0, 40)}`, seq: 0 }
        : { origin: ORIGINS[origin]!, seq: dice.chance(0.1) ? dice.integer(0, 400) : (seqs[origin]! += 1) }
      const one = series.get(EventId.format(id)) ?? { id, upTo: id.seq, count: 1 }
      series.set(EventId.format(id), one)
      text += LogLine.encode(eventOf(dice, id, one.upTo, one.count))
    }
    return text
  }
  const how = dice.integer(0, 99)
  if (segments.length === 0 || how < 8) {
    const number = segments.length === 0 ? 1 : Number(segments.at(-1)!.slice(7, 15)) + 1
    const name = `events-${String(number).padStart(8, "0")}-20260101.ndjson`
    writeFileSync(file(name), lines(dice.integer(0, 5)), { mode: 0o600 })
    return `begin ${name}`
  }
  if (how < 60) {
    appendFileSync(newestOf(directory), lines(dice.integer(1, 12)))
    return "append"
  }
  if (how < 65) {
    const name = dice.pick(segments)
    appendFileSync(file(name), lines(1))
    return `late line in ${name}`
  }
  if (how < 70) {
    appendFileSync(
      newestOf(directory),
      dice.pick(["\n", "garbage\n", "half a line", "\0\0\0\n", lines(1).slice(0, 150)])
    )
    return "damage"
  }
  if (how < 74 && segments.length > 2) {
    rmSync(file(segments[0]!))
    return `remove ${segments[0]!}`
  }
  if (how < 76 && segments.length > 3) {
    const name = dice.pick(segments.slice(1, -1))
    rmSync(file(name))
    return `remove ${name} from the middle`
  }
  if (how < 78) {
    const name = dice.pick(segments)
    truncateSync(file(name), dice.integer(0, statSync(file(name)).size))
    return `cut ${name}`
  }
  if (indexes.length === 0) return "nothing"
  const name = dice.pick(indexes)
  if (how < 83) {
    rmSync(file(name))
    return `delete ${name}`
  }
  if (how < 93) {
    const bytes = readFileSync(file(name))
    const at = dice.integer(0, bytes.length - 1)
    bytes[at]! ^= 1 << dice.integer(0, 7)
    writeFileSync(file(name), bytes)
    return `flip a bit of ${name} at ${at}`
  }
  if (how < 96) {
    truncateSync(file(name), dice.integer(0, statSync(file(name)).size))
    return `cut ${name}`
  }
  if (how < 98) {
    writeFileSync(file(name), readFileSync(file(dice.pick(indexes))))
    return `put another side file in place of ${name}`
  }
  appendFileSync(file(name), "garbage".repeat(dice.integer(1, 30)))
  return `append to ${name}`
}

/** Everything, the last so many, and what comes after a cursor. */
const compareWatch = (
  dice: Dice,
  directory: string,
  backend: Backend["Service"],
  filter: EventFilter,
  explain: () => string
) =>
  Effect.gen(function* () {
    const until = (from: WatchFrom) =>
      Effect.map(
        Stream.runCollect(Stream.takeUntil(backend.watch(filter, from), ({ _tag }) => _tag === "Live")),
        (items) => items.slice(0, -1)
      )
    const eventsOf = (items: ReadonlyArray<WatchItem>) =>
      items.flatMap((item) => (item._tag === "Event" ? item.event : []))
    const expected = changesOf(directory, filter).map(({ event }) => event)
    const all = yield* until("beginning")
    assert.deepStrictEqual(eventsOf(all), expected, explain())
    const last = dice.integer(1, 5)
    assert.deepStrictEqual(eventsOf(yield* until({ last })), expected.slice(-last), explain())
    if (all.length === 0) return
    const at = dice.integer(0, all.length - 1)
    assert.deepStrictEqual(eventsOf(yield* until(all[at]!.cursor)), expected.slice(at + 1), explain())
  })

const scenario = (seed: number, operations: number) =>
  Effect.gen(function* () {
    const dice = diceOf(seed)
    const directory = path.join(yield* TestDirectory.make, "log")
    const step = dice.pick([1_500, 4_000, 20_000, 1_000_000])
    const few = dice.pick([0, 65_536])
    const start = open({ directory }).pipe(Effect.provideService(Step, step), Effect.provideService(FewOrigins, few))
    let logs = [yield* start, yield* start]
    const series = new Map<string, { id: EventId.EventId; upTo: number; count: number }>()
    const seqs = ORIGINS.map(() => 0)
    const trace: Array<string> = [`seed ${seed}, step ${step}, few ${few}`]
    for (let operation = 0; operation < operations; operation++) {
      trace.push(disturb(dice, directory, series, seqs))
      if (dice.chance(0.1)) {
        trace.push("restart")
        logs = [yield* start, yield* start]
      }
      if (dice.chance(0.3)) continue
      const filter = filterOf(
        dice,
        [...series.values()].map(({ id }) => id)
      )
      const expected = answerOf(directory, filter)
      const { backend } = dice.pick(logs)
      if (dice.chance(0.3)) {
        trace.push(`watch ${JSON.stringify(filter)}`)
        yield* compareWatch(dice, directory, backend, filter, () => trace.slice(-30).join("\n"))
        continue
      }
      trace.push(JSON.stringify(filter))
      const explain = () => trace.slice(-30).join("\n")
      if (dice.chance(0.3)) {
        const page = yield* backend.query(filter)
        assert.deepStrictEqual(page.events, expected, explain())
        assert.strictEqual(page.totalCount, expected.length, explain())
        continue
      }
      const limit = dice.integer(0, 7)
      const found: Array<Event> = []
      let page: PageToken | undefined
      do {
        const answer: { events: ReadonlyArray<Event>; totalCount: number; next?: PageToken } = yield* backend.query({
          ...filter,
          limit,
          ...(page === undefined ? undefined : { page })
        })
        assert.strictEqual(answer.totalCount, expected.length, explain())
        assert.isAtMost(answer.events.length, limit)
        found.push(...answer.events)
        page = answer.next
      } while (page !== undefined)
      assert.deepStrictEqual(found, limit === 0 ? [] : expected, explain())
    }
  }).pipe(Effect.scoped)

/** `npm run test:slow` takes them all. */
const SEEDS = process.env["TIDINGS_TESTS"] === "slow" ? 12 : 3

describe("a log whose side files are deleted and damaged at random", () => {
  for (let seed = 1; seed <= SEEDS; seed++) {
    it.effect(`answers every query as a pass over its lines does (${seed})`, () => scenario(seed, 80))
  }
})
