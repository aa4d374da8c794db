import type { Disk } from "../../disk.ts"
import type { SegmentStatus } from "../view.ts"
import * as Block from "./block.ts"
import type { SegmentBuilder } from "./segmentBuilder.ts"
import { SegmentIndex } from "./segmentIndex.ts"
import type { SegmentOrigins } from "./segmentOrigins.ts"

/** What was read of a segment and is in no side file. */
interface Tail {
  readonly block: Block.Block | undefined
  readonly size: number
  readonly tip: Block.Block | undefined
  /** `Block.historyOf` the predecessor that it was made beside. */
  readonly history: number
}

/**
 * What a process knows of a segment from one question to the next.
 *
 * @internal
 */
export class KnownSegment {
  readonly key: string
  index: SegmentIndex
  /** What the side file tells was taken in. */
  isOpened = false
  /** Each line is decoded. */
  isStrict = false
  /** Status of the segment when the index was last compared with it. */
  compared: SegmentStatus | undefined
  /** What the side file says of the segment when it was complete. */
  sealed: Block.Notes["sealed"]
  /** All bytes that are indexed were read, or compared with what is indexed, when the segment had this status. */
  private content: { readonly status: SegmentStatus; readonly isSame: boolean } | undefined
  /** They were, and the side file does not say so yet. */
  needsNote = false
  tail: Tail | undefined
  /** What was read of the newest segment and is in no block. */
  builder: SegmentBuilder | undefined
  /** The origins of the index. */
  origins: SegmentOrigins | undefined
  private own: Block.Predecessor | undefined
  private ownHistory = 0

  constructor(disk: Disk, key: string, path: string) {
    this.key = key
    this.index = SegmentIndex.open(disk, key, path)
  }

  /** The predecessor that the blocks of the index, and what there is in memory, were made beside. */
  get predecessor(): Block.Predecessor | undefined {
    return this.own
  }

  set predecessor(predecessor: Block.Predecessor | undefined) {
    this.own = predecessor
    this.ownHistory = predecessor === undefined ? 0 : Block.historyOf(predecessor)
  }

  /** `Block.historyOf` the predecessor; 0 where there is none. */
  get history(): number {
    return this.ownHistory
  }

  /** Whether the bytes of the segment, which has this status, are those that were indexed; undefined where that is not known. */
  isContentOf(status: SegmentStatus): boolean | undefined {
    const { content } = this
    return content !== undefined && isSame(content.status, status) ? content.isSame : undefined
  }

  noteContent(status: SegmentStatus, isSame: boolean): void {
    this.content = { status, isSame }
  }

  /** Forgets what is in no side file. */
  forgetMemory(): void {
    this.tail = undefined
    this.builder = undefined
    this.origins = undefined
  }

  /** Leaves the side file to be made again. */
  renew(): void {
    const { disk, identity, path } = this.index
    this.replace(new SegmentIndex(disk, this.key, path))
    this.index.identity = identity
  }

  /** Whether the side file is another one by now, or has other blocks at its end. */
  isReplaced(): boolean {
    const { disk, identity, path, tip } = this.index
    const status = disk.status(path)
    if (status?.identity !== identity) return true
    return (
      status !== undefined && tip !== undefined && tip.memory === undefined && status.size !== tip.offset + tip.length
    )
  }

  /** Opens the side file that is there now. */
  reopen(): void {
    this.replace(SegmentIndex.open(this.index.disk, this.key, this.index.path))
  }

  private replace(index: SegmentIndex): void {
    this.index = index
    this.isOpened = false
    this.sealed = undefined
    this.content = undefined
    this.needsNote = false
    this.predecessor = undefined
    this.forgetMemory()
  }
}

const isSame = (a: SegmentStatus, b: SegmentStatus): boolean =>
  a.size === b.size && a.modified === b.modified && a.identity === b.identity
