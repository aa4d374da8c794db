import type { Write } from "../Event.ts"

/**
 * A write as it came; the event is made of it when it is read, which is much rarer.
 *
 * @internal
 */
export interface Entry {
  readonly write: Write
  /** Which change this was, counted from 1. */
  readonly position: number
  /** Whether the series has changed since, or was evicted. */
  superseded: boolean
}

/**
 * The series of the in-memory backend, in order of change: a list to which a series is appended at each change, so that a
 * watcher finds its position by binary search. Superseded entries are skipped, and removed when they are the larger part.
 *
 * @internal
 */
export class Store {
  /** By origin, then by seq: two look-ups of what is there cost less than making one key of both. */
  private readonly byOrigin = new Map<string, Map<number, Entry>>()
  private changes: Array<Entry> = []
  private start = 0
  size = 0
  position = 0
  evictedUpTo = 0
  /** When the latest of what was evicted was last seen. */
  evictedLast = Number.NEGATIVE_INFINITY
  readonly capacity: number

  constructor(capacity: number) {
    this.capacity = capacity
  }

  /** Length of the list, superseded entries included: it bounds the memory beside the series themselves. */
  get length(): number {
    return this.changes.length
  }

  write(write: Write): "created" | "updated" | "present" {
    const { origin, seq } = write.id
    let bySeq = this.byOrigin.get(origin)
    if (bySeq === undefined) {
      bySeq = new Map()
      this.byOrigin.set(origin, bySeq)
    }
    const existing = bySeq.get(seq)
    if (existing === undefined) this.size++
    else {
      if (existing.write.upTo >= write.upTo) return "present"
      existing.superseded = true
    }
    const entry: Entry = { write, position: ++this.position, superseded: false }
    bySeq.set(seq, entry)
    this.changes.push(entry)
    if (this.size > this.capacity) this.evict()
    if (this.changes.length - this.start > 2 * this.size + 64) this.compact()
    return existing === undefined ? "created" : "updated"
  }

  private evict(): void {
    while (this.changes[this.start]!.superseded) this.start++
    const oldest = this.changes[this.start]!
    oldest.superseded = true
    this.start++
    this.size--
    this.evictedUpTo = oldest.position
    this.evictedLast = Math.max(this.evictedLast, oldest.write.last)
    const { origin, seq } = oldest.write.id
    const bySeq = this.byOrigin.get(origin)!
    bySeq.delete(seq)
    if (bySeq.size === 0) this.byOrigin.delete(origin)
    if (this.start > 1_024 && this.start * 2 > this.changes.length) {
      this.changes = this.changes.slice(this.start)
      this.start = 0
    }
  }

  private compact(): void {
    this.changes = this.entries()
    this.start = 0
  }

  /** The entries whose last change came after `position`, in order of change, at most `max` list entries of them. */
  after(position: number, max: number): { readonly entries: ReadonlyArray<Entry>; readonly reached: number } {
    let low = this.start
    let high = this.changes.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if (this.changes[middle]!.position <= position) low = middle + 1
      else high = middle
    }
    const end = Math.min(this.changes.length, low + max)
    const entries: Array<Entry> = []
    for (let index = low; index < end; index++) {
      const entry = this.changes[index]!
      if (!entry.superseded) entries.push(entry)
    }
    return { entries, reached: end > low ? this.changes[end - 1]!.position : position }
  }

  /** All entries, in order of change. */
  entries(): Array<Entry> {
    const entries: Array<Entry> = []
    for (let index = this.start; index < this.changes.length; index++) {
      const entry = this.changes[index]!
      if (!entry.superseded) entries.push(entry)
    }
    return entries
  }
}
