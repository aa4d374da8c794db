import type { Event } from "@tidings/core/Event"
import * as EventId from "@tidings/core/EventId"
import type { EventFilter } from "@tidings/core/EventQuery"
import * as LogLine from "../src/internal/log/line.ts"
import { first } from "./writes.ts"

/** Numbers that depend on a seed only. */
export const diceOf = (seed: number) => {
  let state = seed * 2_654_435_761
  const next = (): number => {
    state = (state + 0x6d2b79f5) | 0
    let t = Math.imul(state ^ (state >>> 15), 1 | state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296
  }
  const integer = (least: number, most: number): number => least + Math.floor(next() * (most - least + 1))
  const pick = <A>(list: ReadonlyArray<A>): A => list[integer(0, list.length - 1)]!
  return { next, integer, pick, chance: (p: number) => next() < p }
}

export type Dice = ReturnType<typeof diceOf>

export const ORIGINS = ["0".repeat(31) + "1", "0".repeat(31) + "2", "f".repeat(32)]
const REASONS = ["Started", "Failed", 'Odd "one"', "Ünïcode"]
const NAMES = ["web", "db", "cache-1", "with space", "brace}", "ü"]
const NAMESPACES = ["default", "team-a", undefined]
const SOURCES = ["agent", "server"]

/** An event of which each field has one of a few values. */
export const eventOf = (dice: Dice, id: EventId.EventId, upTo: number, count: number): Event => {
  const namespace = dice.pick(NAMESPACES)
  const write = first(id.seq, {
    reason: dice.pick(REASONS),
    type: dice.pick(["Normal", "Warning", "Error"]),
    involvedObject: {
      kind: dice.pick(["Pod", "Node"]),
      name: dice.pick(NAMES),
      ...(namespace === undefined ? undefined : { namespace }),
      ...(dice.chance(0.3) ? { apiVersion: "apps/v1" } : undefined)
    },
    message: `message ${dice.integer(0, 20)} ${"x".repeat(dice.integer(0, 60))}`,
    source: { component: dice.pick(SOURCES) },
    ...(dice.chance(0.2) ? { labels: { app: dice.pick(NAMES) } } : undefined)
  })
  const event = LogLine.eventOf({
    ...write,
    id,
    upTo,
    count,
    last: write.first + dice.integer(-50, 50) + (dice.chance(0.01) ? 1_000_000 : 0),
    ...(dice.chance(0.1) ? { namespace: "elsewhere" } : undefined),
    ...(dice.chance(0.1) ? { cluster: { id: "c1", name: "one" } } : undefined)
  })
  return dice.chance(0.1) ? { ...event, name: `${event.event.involvedObject.name}.own` } : event
}

/** A filter of some of the fields, so that in most cases some events match. */
export const filterOf = (dice: Dice, ids: ReadonlyArray<EventId.EventId>): EventFilter => {
  const filter: Record<string, unknown> = {}
  const maybe = (p: number, field: string, value: () => unknown) => {
    if (dice.chance(p)) filter[field] = value()
  }
  if (dice.chance(0.2)) return {}
  maybe(0.2, "reason", () => (dice.chance(0.3) ? [dice.pick(REASONS), dice.pick(REASONS)] : dice.pick(REASONS)))
  maybe(0.2, "eventType", () => dice.pick(["Normal", "Warning", "Error"]))
  maybe(0.2, "resourceName", () => dice.pick(NAMES))
  maybe(0.1, "resourceType", () => dice.pick(["Pod", "Node"]))
  maybe(0.1, "object", () => [
    { kind: "Pod", name: dice.pick(NAMES) },
    { kind: "Node", name: dice.pick(NAMES), apiGroup: "apps" }
  ])
  maybe(0.2, "namespace", () => dice.pick(["default", "team-a", "elsewhere"]))
  maybe(0.1, "objectNamespace", () => dice.pick(["default", "team-a", ""]))
  maybe(0.05, "apiGroup", () => dice.pick(["apps", ""]))
  maybe(0.1, "source", () => dice.pick(SOURCES))
  maybe(0.1, "cluster", () => dice.pick(["c1", "one", "two"]))
  maybe(0.1, "labels", () => ({ app: dice.pick(NAMES) }))
  maybe(0.1, "match", () => `MESSAGE ${dice.integer(0, 20)}`)
  maybe(0.1, "since", () => first(dice.integer(1, 300)).last)
  maybe(0.1, "until", () => first(dice.integer(1, 300)).last)
  if (ids.length > 0) maybe(0.1, "id", () => [EventId.format(dice.pick(ids)), EventId.format(dice.pick(ids))])
  maybe(0.05, "name", () => `${dice.pick(NAMES)}.own`)
  if (ids.length > 0) maybe(0.05, "name", () => EventId.objectName(dice.pick(ids), dice.pick(NAMES)))
  return filter
}
