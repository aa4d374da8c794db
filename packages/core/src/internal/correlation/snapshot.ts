/**
 * The form of a correlator in a checkpoint, and how it is read. The form of the first release is read too.
 */
import { type Normalized, type Options, off } from "../../Correlation.ts"
import type { EventBody } from "../../Event.ts"
import type { Json } from "../../EventData.ts"
import type { Micros } from "../../Timestamp.ts"
import { keyOf, keyOfBudget, keyOfGroup } from "./identity.ts"

/**
 * The state of a correlator in a checkpoint. Places are indices into the lists of this snapshot.
 *
 * @internal
 */
export interface Snapshot {
  readonly options: Options
  /** The origin of its series, unless a row names another. */
  readonly opening: string
  readonly budgets: ReadonlyArray<readonly [fullAt: Micros, key: string]>
  readonly groups: ReadonlyArray<
    readonly [budget: number, lastAt: Micros, window: number, distinct: number, key: string]
  >
  readonly series: ReadonlyArray<
    readonly [
      group: number,
      /** 0 of a series that combines several messages. */
      message: string | 0,
      seq: number,
      upTo: number,
      count: number,
      first: Micros,
      last: Micros,
      window: number,
      /** Of a series that takes no more occurrences. */
      origin?: string
    ]
  >
  readonly holding: ReadonlyArray<
    readonly [series: number, held: number, heldFrom: number, heldSince: Micros, latest: EventBody]
  >
}

const optionNames: ReadonlyArray<keyof Normalized> = ["capacity", "aggregateAt", "aggregateWindow", "burst", "refill"]

const isPlaceIn = (list: ReadonlyArray<unknown>, place: unknown): boolean =>
  typeof place === "number" && Number.isSafeInteger(place) && place >= 0 && place < list.length

const areNumbers = (values: ReadonlyArray<unknown>): boolean => values.every((value) => Number.isFinite(value))

const areOptions = (options: unknown): boolean =>
  options === off ||
  (typeof options === "object" &&
    options !== null &&
    optionNames.every((name) => typeof (options as Normalized)[name] === "number"))

const isBody = (body: EventBody | undefined): boolean =>
  typeof body?.involvedObject?.name === "string" && typeof body.message === "string"

const isSnapshot = (value: object): value is Snapshot => {
  const state = value as Snapshot
  return (
    typeof state.opening === "string" &&
    areOptions(state.options) &&
    [state.budgets, state.groups, state.series, state.holding].every(Array.isArray) &&
    state.budgets.every((row) => Array.isArray(row) && areNumbers(row.slice(0, 1)) && typeof row[1] === "string") &&
    state.groups.every(
      (row) =>
        Array.isArray(row) &&
        isPlaceIn(state.budgets, row[0]) &&
        areNumbers(row.slice(1, 4)) &&
        typeof row[4] === "string"
    ) &&
    state.series.every(
      (row) =>
        Array.isArray(row) &&
        isPlaceIn(state.groups, row[0]) &&
        (row[1] === 0 || typeof row[1] === "string") &&
        (row.length === 8 || (row.length === 9 && typeof row[8] === "string")) &&
        areNumbers(row.slice(2, 8))
    ) &&
    state.holding.every(
      (row) => Array.isArray(row) && isPlaceIn(state.series, row[0]) && areNumbers(row.slice(1, 4)) && isBody(row[4])
    )
  )
}

/**
 * Reads a snapshot of this release or of the first one. Throws where it is neither.
 *
 * @internal
 */
export const readSnapshot = (given: Json): Snapshot => {
  if (typeof given === "object" && given !== null) {
    if (isSnapshot(given)) return given
    if (!("opening" in given) && isFirstSnapshot(given)) return upgraded(given)
  }
  throw new Error("this is not a snapshot of a correlator")
}

// ---------------------------------------------------------------------------
// snapshots of the first release
// ---------------------------------------------------------------------------

/** Here all series have one origin, and each has its latest body. */
interface FirstSnapshot {
  readonly options: Options
  readonly budgets: ReadonlyArray<Micros>
  readonly groups: ReadonlyArray<readonly [budget: number, lastAt: Micros, window: number, distinct: number]>
  readonly series: ReadonlyArray<
    readonly [
      group: number,
      isCombined: boolean,
      origin: string,
      seq: number,
      upTo: number,
      count: number,
      first: Micros,
      last: Micros,
      window: number,
      held: number,
      heldFrom: number,
      heldSince: Micros,
      latest: EventBody
    ]
  >
  /** Places in `series`. */
  readonly holding: ReadonlyArray<number>
}

const isFirstSnapshot = (value: object): value is FirstSnapshot => {
  const state = value as FirstSnapshot
  return (
    areOptions(state.options) &&
    [state.budgets, state.groups, state.series, state.holding].every(Array.isArray) &&
    areNumbers(state.budgets) &&
    state.groups.every((group) => Array.isArray(group) && isPlaceIn(state.budgets, group[0]) && areNumbers(group)) &&
    state.series.every(
      (row) =>
        Array.isArray(row) &&
        isPlaceIn(state.groups, row[0]) &&
        typeof row[1] === "boolean" &&
        typeof row[2] === "string" &&
        row.length === 13 &&
        areNumbers(row.slice(3, 12)) &&
        isBody(row[12])
    ) &&
    state.holding.every((place) => isPlaceIn(state.series, place)) &&
    // Every budget and every group belongs to a series.
    new Set(state.groups.map(([budget]) => budget)).size === state.budgets.length &&
    new Set(state.series.map(([group]) => group)).size === state.groups.length
  )
}

const upgraded = (state: FirstSnapshot): Snapshot => {
  const opening = state.series.at(-1)?.[2] ?? ""
  const bodies = new Map(state.series.map((row) => [row[0], row[12]]))
  const budgets = new Map(state.groups.map(([budget], group) => [budget, bodies.get(group)]))
  return {
    options: state.options,
    opening,
    budgets: state.budgets.map((fullAt, budget) => [fullAt, keyOfBudget(opening, budgets.get(budget)!, true)]),
    groups: state.groups.map((row, group) => [...row, keyOfGroup(opening, bodies.get(group)!, true)]),
    series: state.series.map(([group, isCombined, , seq, upTo, count, first, last, window, , , , latest]) => [
      group,
      isCombined ? 0 : keyOf(opening, latest.message),
      seq,
      upTo,
      count,
      first,
      last,
      window
    ]),
    holding: state.holding.map((place) => {
      const [, , , , , , , , , held, heldFrom, heldSince, latest] = state.series[place]!
      return [place, held, heldFrom, heldSince, latest]
    })
  }
}
