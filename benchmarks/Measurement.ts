/**
 * Measuring side by side: contenders take turns in one process, so that what slows the machine slows all of them, and what
 * is told is a ratio.
 */

/** Runs `rounds` operations (in turn awaiting what it gives back). */
export interface Contender {
  readonly name: string
  /** What is not measured, before each round. */
  readonly prepare?: (operations: number) => void
  readonly run: (operations: number) => void | Promise<void>
  readonly operations: number
}

export interface Row {
  readonly name: string
  /** In `unit`; in `ns` that of an operation. */
  readonly cost: number
  readonly unit: "ns" | "ms" | "MB" | "B" | "%" | ""
  /** What it is compared with; absent for the comparison itself. */
  readonly against?: string
  /** Rate of this over the rate of the comparison: 0.5 is half as fast. In other units than ns: cost over cost. */
  readonly ratio?: number
  readonly bar?: string
  readonly met?: boolean
}

export interface Group {
  readonly title: string
  readonly rows: ReadonlyArray<Row>
}

export const median = (values: ReadonlyArray<number>): number => {
  const sorted = [...values].sort((a, b) => a - b)
  return sorted[sorted.length >> 1]!
}

const ROUNDS = 9

/** Nanoseconds an operation of each contender: the medians of rounds in which all take turns. */
export const measure = async (contenders: ReadonlyArray<Contender>): Promise<ReadonlyMap<string, number>> => {
  const costs = new Map<string, Array<number>>(contenders.map(({ name }) => [name, []]))
  for (let round = -2; round < ROUNDS; round++) {
    for (const { name, operations, prepare, run } of contenders) {
      prepare?.(operations)
      globalThis.gc?.()
      const begun = process.hrtime.bigint()
      await run(operations)
      // The first two rounds warm the compiler up.
      if (round >= 0) costs.get(name)!.push(Number(process.hrtime.bigint() - begun) / operations)
    }
  }
  return new Map([...costs].map(([name, list]) => [name, median(list)]))
}

export interface Bar {
  /** The rate must be at least this many times that of the comparison. */
  readonly atLeast?: number
  /** The cost must be at most this many times that of the comparison. */
  readonly atMost?: number
}

export const compare = (
  costs: ReadonlyMap<string, number>,
  against: string,
  bars: { readonly [name: string]: Bar } = {},
  unit: Row["unit"] = "ns"
): ReadonlyArray<Row> => {
  const base = costs.get(against)!
  return [...costs].map(([name, cost]) => {
    if (name === against) return { name, cost, unit }
    const bar = bars[name]
    const slowdown = cost / base
    const ratio = unit === "ns" && bar?.atMost === undefined ? base / cost : slowdown
    const row: Row = { name, cost, unit, against, ratio }
    if (bar?.atLeast !== undefined) return { ...row, bar: `at least ${bar.atLeast} x`, met: ratio >= bar.atLeast }
    if (bar?.atMost !== undefined) return { ...row, bar: `at most ${bar.atMost} x`, met: ratio <= bar.atMost }
    return row
  })
}

export const table = ({ rows, title }: Group): string => {
  const lines = rows.map(({ against, bar, cost, met, name, ratio, unit }) => [
    name,
    `${cost < 100 ? cost.toFixed(1) : Math.round(cost)} ${unit}`,
    ratio === undefined ? "" : `${ratio.toFixed(ratio < 10 ? 2 : 0)} x ${against}`,
    bar === undefined ? "" : `${met === true ? "met" : "MISSED"}: ${bar}`
  ])
  const widths = [0, 1, 2, 3].map((column) => Math.max(...lines.map((line) => line[column]!.length)))
  return [
    title,
    ...lines.map(
      (line) =>
        `  ${line
          .map((cell, column) => cell.padEnd(widths[column]!))
          .join("  ")
          .trimEnd()}`
    )
  ].join("\n")
}
