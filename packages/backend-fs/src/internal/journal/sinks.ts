import { type Checkpoint, READ_AHEAD } from "@tidings/core/Journal"
import * as Semaphore from "effect/Semaphore"
import type { Disk } from "../disk.ts"
import type { DirectoryEntries } from "./directoryEntries.ts"
import { sinkFile, sinksIn } from "./fileNames.ts"
import { Damaged } from "./errors.ts"
import { loadCheckpoint, SinkFiles } from "./sinkFiles.ts"

/** @internal */
export interface Sink {
  readonly files: SinkFiles
  /** Its files change one at a time. */
  readonly semaphore: Semaphore.Semaphore
  /** The seq of its checkpoint; absent before it was restored or made in this opening. */
  upTo: number | undefined
  /** The last seq that it may have read, in this opening or an earlier one. */
  readUpTo: number
}

/**
 * The sinks of a journal, and what they still need of it.
 *
 * A sink that had a checkpoint when the journal was opened is expected to restore it. All sinks of a host do so before its first
 * append; until then nothing is freed that an expected sink needs.
 *
 * @internal
 */
export class Sinks {
  private readonly disk: Disk
  private readonly entries: DirectoryEntries
  private readonly sinks = new Map<string, Sink>()
  /** The checkpoints of expected sinks, by their files. */
  private readonly expected = new Map<string, number>()

  constructor(disk: Disk, entries: DirectoryEntries) {
    this.disk = disk
    this.entries = entries
  }

  /**
   * Expects the sinks with a checkpoint among the files of the directory, and answers the highest seq that one has read. A
   * checkpoint that cannot be read counts as 0; the sink fails when it restores it, if it still exists.
   */
  expect(files: ReadonlyArray<string>): number {
    let highest = 0
    for (const file of sinksIn(files)) {
      let upTo = 0
      try {
        upTo = loadCheckpoint(this.disk, this.entries, file)?.upTo ?? 0
      } catch (cause) {
        if (!(cause instanceof Damaged)) throw cause
      }
      this.expected.set(file, upTo)
      highest = Math.max(highest, upTo)
    }
    return highest
  }

  /** Expects no more sinks, because all of a host have restored their checkpoints. */
  expectNoMore(): void {
    if (this.expected.size > 0) this.expected.clear()
  }

  get(name: string): Sink {
    let sink = this.sinks.get(name)
    if (sink === undefined) {
      const files = new SinkFiles(this.disk, this.entries, sinkFile(name))
      sink = { files, semaphore: Semaphore.makeUnsafe(1), upTo: undefined, readUpTo: 0 }
      this.sinks.set(name, sink)
    }
    return sink
  }

  /** Loads the checkpoint of a sink. It may have read as far beyond it as sinks read ahead. */
  restore(name: string, head: number): Checkpoint | undefined {
    const sink = this.get(name)
    const checkpoint = sink.files.loadCheckpoint()
    this.expected.delete(sink.files.file)
    sink.upTo = checkpoint?.upTo ?? 0
    sink.readUpTo = Math.min(head, sink.upTo + READ_AHEAD)
    return checkpoint
  }

  get damagedLines(): number {
    return [...this.sinks.values()].reduce((lines, { files }) => lines + files.damagedLines, 0)
  }

  /** The last seq that no sink needs any more. */
  get settledUpTo(): number {
    let least = Math.min(...this.expected.values())
    for (const { upTo } of this.sinks.values()) if (upTo !== undefined && upTo < least) least = upTo
    return least === Number.POSITIVE_INFINITY ? 0 : least
  }

  /** Whether each sink either has a range behind its checkpoint, or has read nothing of it. */
  isEvictable(from: number, to: number): boolean {
    const known = [...this.sinks.values()].filter(({ upTo }) => upTo !== undefined)
    return known.length > 0 && known.every(({ readUpTo, upTo }) => to <= upTo! || from > readUpTo)
  }
}
