/**
 * What is stored of one origin: series of a single occurrence as ranges of seqs, since they mostly follow one another, and
 * the last counted seq of the series whose count grew.
 */
interface OriginState {
  /** Pairs of first and last seq, ascending, neither touching nor overlapping. */
  ranges: Array<number>
  counted: Map<number, number> | undefined
}

/**
 * Up to which seq each series is stored.
 *
 * A program that records each occurrence as a series of its own costs two numbers, however many there are. A series
 * that stands alone costs 16 bytes, one whose count grew about 50, and an origin about 200.
 *
 * @internal
 */
export class SeriesIndex {
  private origins = new Map<string, OriginState>()
  /**
   * With a limit, those that were used before the last half of it: they are dropped together, because the oldest entry of a map is
   * found slowly where many were deleted before it.
   */
  private earlier = new Map<string, OriginState>()
  private readonly limit: number
  private lastOrigin = ""
  private lastState: OriginState | undefined = undefined

  /** With a `limit`, about that many entries of each kind are kept, and the oldest are dropped. */
  constructor(limit?: number) {
    this.limit = limit ?? Number.POSITIVE_INFINITY
  }

  private stateOf(origin: string): OriginState | undefined {
    if (origin === this.lastOrigin && this.lastState !== undefined) return this.lastState
    let state = this.origins.get(origin)
    if (state === undefined && this.earlier.size > 0) {
      state = this.earlier.get(origin)
      if (state !== undefined) this.put(origin, state)
    }
    if (state !== undefined) {
      this.lastOrigin = origin
      this.lastState = state
    }
    return state
  }

  hasOrigin(origin: string): boolean {
    return this.stateOf(origin) !== undefined
  }

  addOrigin(origin: string): void {
    if (this.stateOf(origin) !== undefined) return
    // A copy: a slice would keep its whole line in memory.
    this.put(Buffer.from(origin).toString(), { ranges: [], counted: undefined })
  }

  private put(origin: string, state: OriginState): void {
    if (2 * this.origins.size >= this.limit) {
      this.earlier = this.origins
      this.origins = new Map()
    }
    this.origins.set(origin, state)
  }

  /** Moves all origins of another index into this one. */
  adopt(other: SeriesIndex): void {
    for (const map of [other.earlier, other.origins]) for (const [origin, state] of map) this.put(origin, state)
    this.lastState = undefined
    other.clear()
  }

  clear(): void {
    this.origins.clear()
    this.earlier.clear()
    this.lastState = undefined
  }

  /** The last seq that is counted in; absent when the series is not stored. */
  get(origin: string, seq: number): number | undefined {
    const state = this.stateOf(origin)
    if (state === undefined) return undefined
    return state.counted?.get(seq) ?? (inRanges(state.ranges, seq) ? seq : undefined)
  }

  /** Notes that a series is stored up to a seq; false when that was known. */
  raise(origin: string, seq: number, upTo: number): boolean {
    let state = this.stateOf(origin)
    if (state === undefined) {
      this.addOrigin(origin)
      state = this.stateOf(origin)!
    }
    if (upTo === seq && state.counted === undefined) return this.addTo(state, seq)
    const before = state.counted?.get(seq) ?? (inRanges(state.ranges, seq) ? seq : undefined)
    if (before !== undefined && before >= upTo) return false
    if (upTo === seq) return this.addTo(state, seq)
    const counted = (state.counted ??= new Map())
    counted.delete(seq)
    counted.set(seq, upTo)
    if (counted.size > this.limit) {
      const oldest = counted.keys().next().value
      if (oldest !== undefined) counted.delete(oldest)
    }
    return true
  }

  private addTo(state: OriginState, seq: number): boolean {
    if (!insert(state.ranges, seq)) return false
    if (state.ranges.length > 2 * this.limit) state.ranges = state.ranges.slice((state.ranges.length >> 2) << 1)
    return true
  }
}

/** The index of the first pair that ends at `seq` or later. */
const pairAt = (ranges: ReadonlyArray<number>, seq: number): number => {
  let low = 0
  let high = ranges.length >> 1
  while (low < high) {
    const middle = (low + high) >> 1
    if (ranges[2 * middle + 1]! < seq) low = middle + 1
    else high = middle
  }
  return low
}

const inRanges = (ranges: ReadonlyArray<number>, seq: number): boolean => {
  // New ones come after all others, in nearly all cases.
  if (ranges.length === 0 || ranges[ranges.length - 1]! < seq) return false
  const at = 2 * pairAt(ranges, seq)
  return at < ranges.length && ranges[at]! <= seq
}

const insert = (ranges: Array<number>, seq: number): boolean => {
  const { length } = ranges
  // The next seq in order, in nearly all cases.
  if (length > 0 && ranges[length - 1] === seq - 1) {
    ranges[length - 1] = seq
    return true
  }
  const at = 2 * pairAt(ranges, seq)
  if (at < length && ranges[at]! <= seq) return false
  const joinsBefore = at > 0 && ranges[at - 1] === seq - 1
  const joinsAfter = at < length && ranges[at] === seq + 1
  if (joinsBefore && joinsAfter) ranges.splice(at - 1, 2)
  else if (joinsBefore) ranges[at - 1] = seq
  else if (joinsAfter) ranges[at] = seq
  else ranges.splice(at, 0, seq, seq)
  return true
}
