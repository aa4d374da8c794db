import type * as Clock from "effect/Clock"
import type { SegmentStatus } from "../view.ts"
import * as Block from "./block.ts"
import type { KnownSegment } from "./knownSegment.ts"
import type { SegmentBuilder } from "./segmentBuilder.ts"
import type { SideFiles } from "./sideFiles.ts"

/**
 * How many times as many bytes a block of a complete segment covers: a query that looks at all blocks takes less time with fewer. So
 * many blocks of a process are smaller first, because code that is not compiled yet would block the event loop for long.
 */
const COMPLETE = 4

/**
 * How much is done at once.
 *
 * @internal
 */
export interface Effort {
  /** Blocks that may still be made; counted down. */
  blocks: number
  /** Bytes that a block of the newest segment covers at least. Absent: as few as are worth a block. */
  readonly least?: number
  /** How long slices are read in one turn of the event loop, in nanoseconds. Absent: one slice. */
  readonly turn?: bigint
  /** Time that was spent so far, in nanoseconds. */
  spent: bigint
}

interface Options {
  readonly files: SideFiles
  readonly segment: SegmentStatus
  readonly known: KnownSegment
  readonly builder: SegmentBuilder
  /** Bytes that a block of the newest segment covers. */
  readonly step: number
  readonly least: number
  /** What is read goes into the side file; else it is kept in memory. */
  readonly isKept: boolean
  readonly isNewest: boolean
  readonly effort: Effort
}

/**
 * Indexes what is missing of one segment, slice by slice.
 *
 * @internal
 */
export class Extension {
  /** What is in no side file. */
  tail: Block.Block | undefined
  readonly builder: SegmentBuilder
  private readonly options: Options

  constructor(options: Options) {
    this.options = options
    this.builder = options.builder
    if (options.isKept) options.builder.loadEntries()
  }

  /** Indexes for one turn of the event loop. */
  turn(clock: Clock.Clock): "more" | "done" | "raced" {
    const { effort } = this.options
    const begun = clock.monotonicTimeNanosUnsafe()
    for (;;) {
      const done = this.step()
      const spent = clock.monotonicTimeNanosUnsafe() - begun
      if (done === "more" && effort.blocks > 0 && spent < (effort.turn ?? 0n)) continue
      effort.spent += spent
      return done
    }
  }

  /** Reads a slice, or makes a block of those that were read. */
  private step(): "more" | "done" | "raced" {
    const { builder, isKept, isNewest, least, segment } = this.options
    if (isKept && builder.pending >= this.bytesOfBlock()) return this.keep() ? "more" : "raced"
    const { size } = segment
    // Blocks that are kept end with a line.
    if (builder.readSlice(size, !isNewest && !isKept)) return "more"
    if (isKept && !isNewest) {
      if (builder.pending > 0 && !this.keep()) return "raced"
      builder.readSlice(size, true)
      if (!this.note()) return "raced"
    } else if (isKept && builder.pending >= least && !this.keep()) return "raced"
    if (builder.pending > 0) this.tail = builder.make(false)
    return "done"
  }

  private bytesOfBlock(): number {
    const { builder, isNewest, step } = this.options
    return isNewest || builder.parts.made < COMPLETE ? step : COMPLETE * step
  }

  private keep(): boolean {
    return this.place(this.builder.make(true))
  }

  private note(): boolean {
    const { builder, known, segment } = this.options
    const { tip } = known.index
    if (tip === undefined || builder.pending > 0 || tip.memory !== undefined) return true
    if (tip.kind === Block.KIND.note && !known.needsNote) return true
    const sealed = { size: segment.size, modified: segment.modified }
    if (!this.place(builder.takeNote(sealed))) return false
    known.sealed = sealed
    return true
  }

  private place(block: Block.Block): boolean {
    const { builder, effort, files, known } = this.options
    if (!files.append(known.index, block)) return false
    effort.blocks -= 1
    builder.placed(known.index.tip!)
    return true
  }
}
