/**
 * A file that is deleted when the disk is full, to make room for checkpoints: what is settled has to be written down before any
 * segment can be freed.
 */
import type { JournalError } from "@tidings/core/Journal"
import * as Effect from "effect/Effect"
import type { Disk } from "../disk.ts"
import type { DirectoryEntries } from "./directoryEntries.ts"
import { RESERVE } from "./fileNames.ts"

/** Enough for a checkpoint of a recorder at its memory limits. */
const DEFAULT_BYTES = 4 * 1024 * 1024

/** Incompressible bytes: a file system that compresses would otherwise reserve nothing. */
function* incompressible(size: number): Generator<Uint8Array, void> {
  const chunk = new Uint32Array(16_384)
  let state = 0x9e3779b9
  for (let left = size; left > 0; left -= chunk.byteLength) {
    for (let index = 0; index < chunk.length; index++) {
      state ^= state << 13
      state ^= state >>> 17
      state ^= state << 5
      chunk[index] = state
    }
    yield new Uint8Array(chunk.buffer, 0, Math.min(left, chunk.byteLength))
  }
}

/** @internal */
export interface Reserve {
  /** Writes the file where it is missing and there is room. */
  readonly restore: () => void
  /** Runs what a full disk must not stop: deletes the file and runs it again where the disk is full. */
  readonly use: <A>(effect: Effect.Effect<A, JournalError>) => Effect.Effect<A, JournalError>
}

/** @internal */
export const make = (disk: Disk, entries: DirectoryEntries, bytes = DEFAULT_BYTES): Reserve => {
  const exists = (): boolean => disk.status(entries.pathOf(RESERVE)) !== undefined
  return {
    restore: () => {
      if (!exists()) entries.writeOptional(RESERVE, incompressible(bytes))
    },
    use: (effect) =>
      Effect.catch(effect, (error) => {
        if (error.reason._tag !== "JournalFull" || !exists()) return Effect.fail(error)
        entries.removeQuietly(RESERVE)
        return effect
      })
  }
}
