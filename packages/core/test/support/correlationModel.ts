import type { Correlation } from "@tidings/core/Correlation"
import type { Released, Step } from "@tidings/core/Correlator"
import type { Occurrence } from "@tidings/core/Event"
import type { Json } from "@tidings/core/EventData"
import type { EventId } from "@tidings/core/EventId"
import type { Micros } from "@tidings/core/Timestamp"
import { assert } from "@effect/vitest"

/** What the tests use of the correlator, so that copies of it with a planted bug fit too. */
export interface Machine {
  readonly held: number
  readonly size: number
  step(id: EventId, occurrence: Occurrence, now: Micros): Step
  tick(now: Micros): ReadonlyArray<Released>
  drain(): ReadonlyArray<Released>
  nextTick(now: Micros): Micros | undefined
  oldest(): { readonly from: number; readonly since: Micros } | undefined
  snapshot(): Json
}

export interface Machines {
  readonly make: (options: Correlation) => Machine
  readonly restore: (snapshot: Json) => Machine
}

export const SECOND = 1_000_000
export const REFILL = 30 * SECOND
export const WINDOW = 600 * SECOND

export const optionsOf = (numbers: {
  readonly capacity: number
  readonly aggregateAt: number
  readonly burst: number
}): Correlation => ({ ...numbers, aggregateWindow: "600 seconds", refill: "30 seconds" })

/** Something that happens to a correlator. */
export type Operation =
  | {
      readonly do: "occur"
      readonly object: number
      readonly reason: number
      readonly message: number
      readonly warning: boolean
      readonly late: boolean
    }
  | { readonly do: "wait"; readonly micros: Micros }
  | { readonly do: "tick" }
  | { readonly do: "restart" }
  /** A restart, after which occurrences have another origin. */
  | { readonly do: "reopen" }

export const occurrenceOf = (operation: Operation & { readonly do: "occur" }, at: Micros): Occurrence => ({
  at: operation.late ? at - 1_000 * SECOND : at,
  involvedObject: { kind: "Pod", name: `pod-${operation.object % 3}`, namespace: operation.object > 2 ? "b" : "a" },
  reason: `Reason${operation.reason}`,
  type: operation.warning ? "Warning" : "Normal",
  action: "Act",
  message: `message ${operation.message}`,
  data: {},
  source: { component: "test" },
  reportingController: "test",
  reportingInstance: "test-0"
})

const groupOf = (occurrence: Occurrence): string =>
  JSON.stringify([occurrence.involvedObject, occurrence.reason, occurrence.type])

const budgetOf = (occurrence: Occurrence): string => JSON.stringify([occurrence.involvedObject, occurrence.type])

interface Series {
  readonly id: number
  readonly group: string
  readonly budget: string
  /** Nothing for the aggregate. */
  readonly message: string | undefined
  upTo: number
  count: number
  first: Micros
  last: Micros
  held: number
  heldFrom: number
  heldSince: Micros
  /** The message of its latest occurrence. */
  latest: string
  /** Of an earlier opening: it takes no more occurrences. */
  closed: boolean
}

interface Group {
  lastAt: Micros
  /** Different messages since the last pause, those of series that were given up since counted again. */
  different: number
  /** The series whose messages are counted. */
  readonly counted: Set<Series>
}

interface Budget {
  /** What is left, as time: a write costs a refill. */
  left: Micros
  at: Micros
  /** Who waits, the longest waiting first. */
  waiting: Array<Series>
}

/** Which series an occurrence belongs to, and what may leave, in the plainest way. */
class Model {
  private readonly options: Correlation
  private readonly groups = new Map<string, Group>()
  private readonly budgets = new Map<string, Budget>()
  /** In the order of use. */
  series: Array<Series> = []
  evicted = 0
  /** Whether budgets began anew with an opening. */
  isReopened = false

  constructor(options: Correlation) {
    this.options = options
  }

  private spend(budget: Budget, now: Micros): boolean {
    const { burst } = this.options
    if (burst <= 0) return true
    budget.left = Math.min(burst * REFILL, budget.left + now - budget.at)
    budget.at = now
    if (budget.left < REFILL) return false
    budget.left -= REFILL
    return true
  }

  /** Answers the series of the occurrence, what is given up for it, and whether it may leave at once. */
  step(
    seq: number,
    occurrence: Occurrence,
    now: Micros
  ): { readonly series: Series; readonly evicted: Series | undefined; readonly leaves: boolean } {
    const { aggregateAt, burst, capacity } = this.options
    const { at, message } = occurrence
    const key = groupOf(occurrence)
    const group = this.groups.get(key) ?? { lastAt: at, different: 0, counted: new Set<Series>() }
    this.groups.set(key, group)
    if (at - group.lastAt > WINDOW) {
      group.different = 0
      group.counted.clear()
    }
    group.lastAt = Math.max(group.lastAt, at)
    const open = this.series.filter((one) => one.group === key && !one.closed)
    const own = open.find((one) => one.message === message)
    const isCounted = own !== undefined && group.counted.has(own)
    const combined = aggregateAt > 0 && !isCounted && group.different + 1 >= aggregateAt
    let series = combined ? open.find((one) => one.message === undefined) : own
    if (series === undefined) {
      series = {
        id: seq,
        group: key,
        budget: budgetOf(occurrence),
        message: combined ? undefined : message,
        upTo: seq,
        count: 0,
        first: at,
        last: at,
        held: 0,
        heldFrom: seq,
        heldSince: at,
        latest: message,
        closed: false
      }
    }
    if (!combined && !isCounted) {
      group.different++
      group.counted.add(series)
    }
    series.upTo = seq
    series.count++
    series.first = Math.min(series.first, at)
    series.last = Math.max(series.last, at)
    series.latest = message
    if (series.held === 0) {
      series.heldFrom = seq
      series.heldSince = at
    }
    series.held++
    const budget = this.budgets.get(series.budget) ?? { left: burst * REFILL, at: now, waiting: [] }
    this.budgets.set(series.budget, budget)
    this.series = [...this.series.filter((one) => one !== series), series]
    const evicted = this.series.length > capacity ? this.series.shift() : undefined
    if (evicted !== undefined) {
      this.evicted++
      this.forget(evicted)
    }
    const leaves = budget.waiting.length === 0 && this.spend(budget, now)
    if (!leaves && !budget.waiting.includes(series)) budget.waiting.push(series)
    return { series, evicted, leaves }
  }

  /** With the last series of a group what was known of the group is gone, and so with a budget. */
  private forget(series: Series): void {
    this.groups.get(series.group)?.counted.delete(series)
    if (!this.series.some(({ group }) => group === series.group)) this.groups.delete(series.group)
    const budget = this.budgets.get(series.budget)
    if (budget !== undefined) budget.waiting = budget.waiting.filter((one) => one !== series)
    if (!this.series.some(({ budget }) => budget === series.budget)) this.budgets.delete(series.budget)
  }

  /** From now on occurrences are of another origin: nothing of before takes any of them. */
  reopen(): void {
    this.isReopened = true
    const forgotten = this.series.filter(({ held }) => held === 0)
    this.series = this.series.filter(({ held }) => held > 0)
    for (const one of forgotten) this.forget(one)
    for (const one of this.series) {
      one.closed = true
      const group = this.groups.get(one.group)!
      group.different = 0
      group.counted.clear()
    }
  }

  /** A write has carried the series. */
  left(series: Series): void {
    series.held = 0
    if (!series.closed) return
    this.series = this.series.filter((one) => one !== series)
    this.forget(series)
  }

  /** Who may leave by now, by budget. */
  tick(now: Micros): ReadonlyMap<string, ReadonlyArray<number>> {
    const leaving = new Map<string, Array<number>>()
    for (const [key, budget] of this.budgets) {
      while (budget.waiting.length > 0 && this.spend(budget, now)) {
        leaving.set(key, [...(leaving.get(key) ?? []), budget.waiting.shift()!.id])
      }
    }
    return leaving
  }
}

/** What a run of a machine came to, for those who count. */
export interface Played {
  readonly accepted: number
  readonly writes: number
  readonly evicted: number
}

/**
 * Lets a machine live through some operations beside the model, and checks at every step what must always hold.
 */
export const play = (machines: Machines, options: Correlation, operations: ReadonlyArray<Operation>): Played => {
  let machine = machines.make(options)
  const model = new Model(options)
  let now = 1_900_000_000 * SECOND
  let seq = 0
  let origin = "test"
  let isReopened = false
  let writes = 0
  /** By series, the count that its last write carried. */
  const carried = new Map<number, { count: number; upTo: number }>()
  /** By budget, when writes were let through; not those of a series that was given up. */
  const admitted = new Map<string, Array<Micros>>()
  const known = new Map<number, Series>()

  const check = (released: Released, from: "budget" | "eviction"): void => {
    writes++
    const { write } = released
    const series = known.get(write.id.seq)
    assert.isDefined(series, `a write of the series ${write.id.seq}, which nobody knows`)
    const before = carried.get(write.id.seq) ?? { count: 0, upTo: 0 }
    assert.isAbove(write.count, before.count, "a count does not grow")
    assert.isAbove(write.upTo, before.upTo, "an upTo does not grow")
    const message = series.message ?? `(combined from similar events): ${series.latest}`
    assert.deepStrictEqual(
      {
        count: write.count,
        upTo: write.upTo,
        first: write.first,
        last: write.last,
        occurrences: released.occurrences,
        from: released.from,
        since: released.since,
        message: write.event.message,
        keys: "at" in write.event
      },
      {
        count: series.count,
        upTo: series.upTo,
        first: series.first,
        last: series.last,
        occurrences: series.held,
        from: series.heldFrom,
        since: series.heldSince,
        message,
        keys: false
      },
      `the write of the series ${write.id.seq}`
    )
    assert.strictEqual(released.occurrences, write.count - before.count, "occurrences that no earlier write carried")
    carried.set(write.id.seq, { count: write.count, upTo: write.upTo })
    if (from === "budget") {
      const times = admitted.get(series.budget) ?? []
      times.push(now)
      admitted.set(series.budget, times)
      if (options.burst > 0 && model.evicted === 0 && !model.isReopened) {
        for (let first = 0; first < times.length; first++) {
          const allowed = options.burst + Math.floor((now - times[first]!) / REFILL)
          assert.isAtMost(times.length - first, allowed, "writes of one budget")
        }
      }
    }
    model.left(series)
  }

  const tick = (): void => {
    const expected = model.tick(now)
    const left = new Map<string, Array<number>>()
    for (const released of machine.tick(now)) {
      const { budget, id } = known.get(released.write.id.seq) ?? { budget: "", id: 0 }
      left.set(budget, [...(left.get(budget) ?? []), id])
      check(released, "budget")
    }
    assert.deepStrictEqual([...left].sort(), [...expected].sort(), "what leaves by now, by budget")
  }

  const checkBooks = (): void => {
    const held = model.series.filter((one) => one.held > 0)
    assert.strictEqual(
      machine.held,
      held.reduce((sum, one) => sum + one.held, 0),
      "what is held"
    )
    assert.strictEqual(machine.size, model.series.length, "how many series are remembered")
    assert.isAtMost(machine.size, options.capacity)
    const oldest = held.reduce<Series | undefined>(
      (first, one) => (first === undefined || one.heldFrom < first.heldFrom ? one : first),
      undefined
    )
    assert.deepStrictEqual(
      machine.oldest(),
      oldest === undefined ? undefined : { from: oldest.heldFrom, since: oldest.heldSince },
      "the oldest that is held"
    )
    const next = machine.nextTick(now)
    if (held.length === 0) assert.isUndefined(next)
    else assert.isAtMost(next! - now, REFILL, "nobody waits for longer than a refill for the next write")
  }

  for (const operation of operations) {
    switch (operation.do) {
      case "occur": {
        seq++
        if (isReopened) {
          isReopened = false
          origin = `test-${seq}`
          model.reopen()
        }
        const occurrence = occurrenceOf(operation, now)
        const expected = model.step(seq, occurrence, now)
        known.set(expected.series.id, expected.series)
        const { released, series } = machine.step({ origin, seq }, occurrence, now)
        assert.deepStrictEqual(series, { origin, seq: expected.series.id }, `the series of ${seq}`)
        const rest = [...released]
        if (expected.evicted !== undefined && expected.evicted.held > 0) {
          const flushed = rest.shift()
          assert.strictEqual(flushed?.write.id.seq, expected.evicted.id, "what was given up leaves")
          check(flushed!, "eviction")
        }
        assert.deepStrictEqual(
          rest.map(({ write }) => write.id.seq),
          expected.leaves ? [expected.series.id] : [],
          `what leaves with ${seq}`
        )
        for (const one of rest) check(one, "budget")
        break
      }
      case "wait":
        now += operation.micros
        break
      case "tick":
        tick()
        break
      case "reopen":
      case "restart": {
        if (operation.do === "reopen") isReopened = true
        const snapshot = JSON.parse(JSON.stringify(machine.snapshot())) as Json
        machine = machines.restore(snapshot)
        assert.deepStrictEqual(
          JSON.parse(JSON.stringify(machine.snapshot())),
          snapshot,
          "a snapshot of what was restored"
        )
      }
    }
    checkBooks()
  }

  // What is held leaves within a refill for each that waits for the same budget.
  const lines = new Map<string, number>()
  for (const { budget, held } of model.series) if (held > 0) lines.set(budget, (lines.get(budget) ?? 0) + 1)
  const longest = Math.max(0, ...lines.values())
  const begun = now
  while (machine.held > 0) {
    const next = machine.nextTick(now)
    assert.isDefined(next, "something is held, and never leaves")
    now = Math.max(now, next)
    const before = machine.held
    tick()
    assert.isBelow(machine.held, before, "nothing leaves when it is time")
    assert.isAtMost(now - begun, longest * REFILL, "what is held waits for too long")
  }
  let total = 0
  for (const { count } of carried.values()) total += count
  assert.strictEqual(total, seq, "every occurrence is counted")
  return { accepted: seq, writes, evicted: model.evicted }
}
