/**
 * A value of one of several readers.
 *
 * @internal
 */
export interface OfReader<A> {
  /** Which of the readers. */
  readonly reader: number
  readonly value: A
}

/**
 * Merges lists that are in order; of equal values those of the first reader come first.
 *
 * @internal
 */
export const merge = <A>(
  lists: ReadonlyArray<ReadonlyArray<A>>,
  isBefore: (one: A, other: A) => boolean
): ReadonlyArray<OfReader<A>> => {
  const merged: Array<OfReader<A>> = []
  const next = lists.map(() => 0)
  while (true) {
    let reader = -1
    for (let index = 0; index < lists.length; index++) {
      if (next[index]! >= lists[index]!.length) continue
      if (reader === -1 || isBefore(lists[index]![next[index]!]!, lists[reader]![next[reader]!]!)) reader = index
    }
    if (reader === -1) return merged
    merged.push({ reader, value: lists[reader]![next[reader]!]! })
    next[reader]!++
  }
}
