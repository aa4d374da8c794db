import type { BackendError } from "@tidings/core/BackendError"
import * as Effect from "effect/Effect"
import { crc32 } from "node:zlib"
import type { LogDirectory } from "../directory.ts"
import { type SegmentSource, sourceOf } from "../segment.ts"
import * as SegmentMark from "../segmentMark.ts"
import { repeat, type SegmentStatus } from "../view.ts"
import * as Block from "./block.ts"
import type { KnownSegment } from "./knownSegment.ts"
import { checkBefore } from "./segmentBuilder.ts"
import { IndexDamaged, type IndexReader, type Scratch } from "./segmentIndex.ts"

/**
 * The segment before one, with all that is indexed of it.
 *
 * @internal
 */
export interface Before {
  readonly key: string
  readonly size: number
  readonly content: number
  readonly isStrict: boolean
  /** `Block.historyOf` its own predecessor. */
  readonly history: number
  /** There is none before it, so what it says of its own predecessor is not compared. */
  readonly isOldest: boolean
}

/**
 * What is to be known of a segment that is indexed to its end by those after it.
 *
 * @internal
 */
export const beforeOf = (known: KnownSegment, { size }: SegmentStatus, isOldest: boolean): Before => {
  const top = known.tail?.block ?? known.index.tip
  return {
    key: known.key,
    size,
    content: top?.contentCheck ?? 0,
    isStrict: top !== undefined && (top.flags & Block.STRICT) !== 0,
    history: known.history,
    isOldest
  }
}

/**
 * The predecessor that new blocks of a segment have to name.
 *
 * @internal
 */
export const predecessorOf = (known: KnownSegment, before: Before | undefined): Block.Predecessor | undefined => {
  if (known.index.tip !== undefined) return known.predecessor
  if (before === undefined) return undefined
  const { content, history, isStrict, key, size } = before
  return { key, size, content, isStrict, before: history }
}

/**
 * Whether a side file was made beside the segments that are before it.
 *
 * @internal
 */
export const follows = (known: KnownSegment, before: Before | undefined): boolean => {
  // The segments before the oldest may have been removed.
  if (before === undefined || known.index.tip === undefined) return true
  const { predecessor } = known
  return (
    predecessor !== undefined &&
    predecessor.key === before.key &&
    predecessor.size === before.size &&
    predecessor.content === before.content &&
    predecessor.isStrict === before.isStrict &&
    (before.isOldest || predecessor.before === before.history)
  )
}

/** `doubtful`: all bytes of the segment have to be compared, which takes a while. */
type Verdict = "same" | "other" | "doubtful"

/**
 * Compares segments with what is indexed of them.
 *
 * @internal
 */
export class Comparison {
  private readonly directory: LogDirectory
  private readonly scratch: Scratch

  constructor(directory: LogDirectory, scratch: Scratch) {
    this.directory = directory
    this.scratch = scratch
  }

  /**
   * Leaves nothing indexed of a segment but what agrees with it and with the segments before it. Where another process has put
   * another side file in the place of the one that does not agree, that one is used: otherwise processes would replace each
   * other's without end. False where all bytes have to be compared first.
   */
  settle(
    known: KnownSegment,
    segment: SegmentStatus,
    isNewest: boolean,
    before: Before | undefined,
    earlier: Iterable<KnownSegment>
  ): boolean {
    for (;;) {
      const verdict = this.judge(known, segment, isNewest)
      if (verdict === "same" && follows(known, before)) {
        known.compared = segment
        return true
      }
      if (known.isReplaced()) {
        known.reopen()
        continue
      }
      if (verdict === "doubtful") return false
      if (verdict === "same") {
        // It may agree with a side file of an earlier segment that another process has made since.
        for (const one of earlier) {
          if (one.index.tip !== undefined && one.isReplaced()) throw new IndexDamaged(one.key, false, one.index)
        }
      }
      known.renew()
    }
  }

  /** Whether what is indexed of a segment is what the segment has. */
  private judge(known: KnownSegment, segment: SegmentStatus, isNewest: boolean): Verdict {
    const { compared, index } = known
    const { tip } = index
    const isChanged = compared !== undefined && !isOnlyGrown(compared, segment)
    // Nothing is read of it, but it has to be a regular file.
    if (compared === undefined && segment.size === 0) this.open(segment, () => undefined)
    if (isChanged || (!isNewest && known.isContentOf(segment) === undefined)) known.forgetMemory()
    if (tip === undefined) return "same"
    try {
      if (!known.isOpened && !this.takeNotes(known, segment)) return "other"
      const isContent = known.isContentOf(segment)
      if (isContent !== undefined) return isContent ? "same" : "other"
      if (tip.to > segment.size) {
        if (!isNewest) this.noteShorter(segment, tip.to)
        return "other"
      }
      if (this.open(segment, (source) => checkBefore(source, tip.to)) !== tip.endCheck) return "other"
    } catch (cause) {
      if (cause instanceof IndexDamaged) return "other"
      throw cause
    }
    return isNewest && !isChanged ? "same" : "doubtful"
  }

  /** Tells that lines of a complete segment are gone. The newest one may have been copied before its side file, while it grew. */
  private noteShorter({ name, size }: SegmentStatus, indexed: number): void {
    const { directory } = this
    const now = directory.disk.status(directory.pathOf(name.file))
    // An empty segment has a gap of its own in the coverage. A segment that has grown since its size was read is not shorter.
    if (now !== undefined && size > 0 && now.size < indexed) SegmentMark.noteShorter(directory, directory.clock, name)
  }

  /** Takes in what the side file says. False where it is that of another segment. */
  private takeNotes(known: KnownSegment, segment: SegmentStatus): boolean {
    const { index } = known
    const tip = index.tip!
    const notes = index.use((reader) => reader.notesOf(tip, this.scratch))
    if (notes.segments[0] !== segment.name.key) return false
    known.predecessor = notes.predecessor
    known.sealed = notes.sealed
    known.isStrict = (tip.flags & Block.STRICT) !== 0
    known.isOpened = true
    if (isSealedAs(known, segment)) known.noteContent(segment, true)
    return true
  }

  private open<A>(segment: SegmentStatus, use: (source: SegmentSource) => A): A {
    const opened = this.directory.openSegment(segment.name, "read")
    // It was removed a moment ago.
    if (opened === undefined) throw new IndexDamaged(segment.name.key)
    try {
      return use(sourceOf(this.directory.disk, opened))
    } finally {
      this.directory.disk.close(opened.opened)
    }
  }

  /** Compares all bytes of a segment with what is indexed of it, block by block; other fibers get a turn between them. */
  compareContent(known: KnownSegment, segment: SegmentStatus, isNewest: boolean): Effect.Effect<void, BackendError> {
    const { directory } = this
    const { index } = known
    return Effect.acquireUseRelease(
      directory.attempt(() => directory.openSegment(segment.name, "read"), segment.name.file),
      (opened) => {
        if (opened === undefined) return Effect.die(new IndexDamaged(segment.name.key))
        const content = new ContentCheck(sourceOf(directory.disk, opened))
        let depth = 0
        const compared = repeat(directory, () => {
          index.use((reader) => content.compare(reader, depth))
          depth += 1
          return content.isSame && depth < index.length
        })
        return Effect.map(
          Effect.catchDefect(compared, (defect) => {
            content.isSame = false
            return defect instanceof IndexDamaged ? Effect.void : Effect.die(defect)
          }),
          () => {
            if (known.index !== index) return
            known.noteContent(segment, content.isSame)
            known.needsNote = content.isSame && !isNewest && !isSealedAs(known, segment)
          }
        )
      },
      (opened) => Effect.sync(() => (opened === undefined ? undefined : directory.disk.close(opened.opened)))
    )
  }
}

/** Whether a segment is what it was, or longer. */
const isOnlyGrown = (before: SegmentStatus, { identity, modified, size }: SegmentStatus): boolean =>
  before.identity === identity && (before.size < size || (before.size === size && before.modified === modified))

/** Whether a side file says that it was compared with all of the segment as it is now. */
const isSealedAs = ({ sealed }: KnownSegment, { modified, size }: SegmentStatus): boolean =>
  sealed !== undefined && sealed.size === size && sealed.modified === modified

const compared = Buffer.allocUnsafeSlow(262_144)

/** Compares a segment with one block after the other. */
class ContentCheck {
  isSame = true
  private readonly source: SegmentSource
  private offset = 0
  private check = 0

  constructor(source: SegmentSource) {
    this.source = source
  }

  compare(reader: IndexReader, depth: number): void {
    const { contentCheck, to } = reader.block(depth)
    while (this.offset < to) {
      const found = this.source.read(compared, 0, Math.min(compared.length, to - this.offset), this.offset)
      if (found === 0) break
      this.check = crc32(compared.subarray(0, found), this.check)
      this.offset += found
    }
    if (this.offset !== to || this.check !== contentCheck) this.isSame = false
  }
}
