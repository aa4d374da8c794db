import { entriesOf, type Entry, isUnwritten, type Line } from "./lines.ts"

/** Maximum length of what is before the JSON of an entry. */
const LONGEST_HEAD = 64

/**
 * Finds the last accepted entry of a segment, given the seq before it, and the offset after which everything was never accepted.
 *
 * What a process or a power failure left unfinished has no line end, lacks entries of its batch, or has bytes that were never
 * written. Anything else that cannot be read was complete and has changed since: it was accepted and may have been delivered, so
 * its seqs are not given again.
 *
 * @internal
 */
export const findEnd = (
  lines: Iterable<Line>,
  size: number,
  before: number
): { readonly head: number; readonly end: number } => {
  let head = before
  /** The end of the last complete batch. */
  let complete = { offset: 0, head }
  /** The last entry of a batch that is not complete, and how many entries of that batch there are. */
  let open: Entry | undefined
  let count = 0
  let damaged = 0
  /** Offset of the first bytes that were never written. */
  let unwritten: number | undefined
  for (const line of lines) {
    const found = entriesOf(line)
    const isEntry = line.ended && found.length === 1 && line.bytes.length <= found[0]!.json.length + LONGEST_HEAD
    if (!isEntry) {
      if (isUnwritten(line.bytes) || (!line.ended && found.length === 0)) unwritten ??= line.start
      else if (found.length === 0 && unwritten === undefined) damaged++
    }
    for (const entry of found) {
      count = open?.first === entry.first ? count + 1 : 1
      open = entry
      if (entry.seq < entry.last) continue
      head = entry.last
      const isHollow = unwritten !== undefined && count <= entry.last - entry.first
      if (!isHollow) complete = { offset: line.end, head }
      open = undefined
      damaged = 0
      unwritten = undefined
    }
  }
  return damaged === 0
    ? { head: complete.head, end: complete.offset }
    : { head: Math.max(open?.last ?? 0, head + damaged), end: unwritten ?? size }
}
