import type { Micros } from "@tidings/core/Timestamp"
import type { LogRecord } from "./line.ts"
import { SeriesIndex } from "./seriesIndex.ts"

/**
 * The current state of every series of a log, as far as it was read: the first of its lines with the highest `upTo`. Keeps
 * the position of that line and not its text: about 100 bytes per series.
 *
 * @internal
 */
export class FoldTable {
  /** The row of an origin with a single series, or its rows by seq. */
  private readonly origins = new Map<string, number | Map<number, number>>()
  private readonly seq: Array<number> = []
  private readonly upTo: Array<number> = []
  private readonly last: Array<number> = []
  private readonly segment: Array<number> = []
  private readonly start: Array<number> = []
  private readonly end: Array<number> = []
  private readonly matched: Array<boolean> = []

  /** Adds a record; `matches` is called only when it is the new state of its series. */
  add(record: LogRecord, segment: number, matches: (record: LogRecord) => boolean): void {
    const { origin, seq, upTo } = record
    const row = this.rowOf(origin, seq)
    if (row < this.seq.length && this.upTo[row]! >= upTo) return
    this.seq[row] = seq
    this.upTo[row] = upTo
    this.last[row] = record.last
    this.segment[row] = segment
    this.start[row] = record.start
    this.end[row] = record.end
    this.matched[row] = matches(record)
  }

  /** The row of a series; a new one for a series that has none. */
  private rowOf(origin: string, seq: number): number {
    const fresh = this.seq.length
    const found = this.origins.get(origin)
    if (found === undefined) {
      // A copy: a slice would keep its whole line in memory.
      this.origins.set(Buffer.from(origin).toString(), fresh)
      return fresh
    }
    if (typeof found === "number") {
      if (this.seq[found] === seq) return found
      this.origins.set(
        origin,
        new Map([
          [this.seq[found]!, found],
          [seq, fresh]
        ])
      )
      return fresh
    }
    const row = found.get(seq)
    if (row !== undefined) return row
    found.set(seq, fresh)
    return fresh
  }

  /** The rows that match. */
  matching(): Array<number> {
    const rows: Array<number> = []
    for (let row = 0; row < this.matched.length; row++) if (this.matched[row]!) rows.push(row)
    return rows
  }

  at(row: number): {
    readonly last: Micros
    readonly segment: number
    readonly start: number
    readonly end: number
  } {
    return { last: this.last[row]!, segment: this.segment[row]!, start: this.start[row]!, end: this.end[row]! }
  }

  /** Orders rows by their last change, oldest first. */
  readonly byChange = (a: number, b: number): number =>
    this.segment[a]! - this.segment[b]! || this.start[a]! - this.start[b]!

  /** Orders rows by the time last seen, newest first; where that is equal, by their last change, newest first. */
  readonly newestFirst = (a: number, b: number): number => this.last[b]! - this.last[a]! || this.byChange(b, a)

  /** What is stored of every series. */
  toIndex(): SeriesIndex {
    const index = new SeriesIndex()
    for (const [origin, rows] of this.origins) {
      if (typeof rows === "number") index.raise(origin, this.seq[rows]!, this.upTo[rows]!)
      else {
        for (const seq of [...rows.keys()].sort((a, b) => a - b)) index.raise(origin, seq, this.upTo[rows.get(seq)!]!)
      }
    }
    return index
  }
}
