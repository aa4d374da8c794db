/**
 * Puts compressed segments in the place of plain ones.
 *
 * A segment is compressed into a temporary file, which is synced, read back, compared with the segment, and renamed to its final name.
 * Only then the plain file is removed. It is renamed first, so that writers that still append to it detect that, and append to the
 * newest segment instead. If it has grown since it was compressed, its name is restored, and it is compressed again later.
 *
 * A lock lets one process compress at a time; writers and readers do not take it. If a process is killed, the next one to compress
 * completes what it began.
 */
import type { BackendError } from "@tidings/core/BackendError"
import type * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import { unavailable, unlessCode } from "../../diskError.ts"
import { appendAll, cannotSync, readFully, syncDirectory, syncNow } from "../../fileOperations.ts"
import type { LogDirectory } from "../directory.ts"
import type { OnProgress } from "../progress.ts"
import * as SegmentName from "../segmentName.ts"
import * as Frames from "./frames.ts"

const LOCK = ".compress.lock"

/** How long a segment has to be sealed at least, in milliseconds: readers leave it `GRACE` after the next one was begun. */
const SEALED = 1_000

const TEMPORARY = /^\.events-\d{8,15}-\d{8}\.ndjson\.zst\./

/**
 * A segment that was compressed, or would be.
 *
 * @internal
 */
export interface Candidate {
  readonly name: SegmentName.SegmentName
  /** Size of the plain file. */
  readonly bytes: number
}

/** @internal */
export interface Compressed extends Candidate {
  /** Size of the compressed file. */
  readonly compressedBytes: number
}

/** @internal */
export interface Options {
  /** How long a segment has to be sealed, in milliseconds. */
  readonly age: number
  /** Bytes of a segment in one frame, at most. */
  readonly frameSize: number
  readonly onProgress?: OnProgress | undefined
}

/**
 * The plain segments that were sealed at least so long ago, in milliseconds; oldest first.
 *
 * @internal
 */
export const candidates = (directory: LogDirectory, clock: Clock.Clock, age: number): ReadonlyArray<Candidate> => {
  const { files } = directory
  const names = directory.segments()
  const now = clock.currentTimeMillisUnsafe()
  return names.slice(0, -1).flatMap((name, index): ReadonlyArray<Candidate> => {
    const plain = files.status(directory.pathOf(name.file))
    if (plain?.kind !== "file" || plain.size === 0) return []
    const next = directory.disk.status(directory.pathOf(names[index + 1]!.file))
    return next !== undefined && now - next.made >= Math.max(SEALED, age) ? [{ name, bytes: plain.size }] : []
  })
}

/**
 * Compresses the plain segments that were sealed at least so long ago, in milliseconds, and answers them. None where another process
 * is at it.
 *
 * @internal
 */
export const run = (
  directory: LogDirectory,
  clock: Clock.Clock,
  options: Options
): Effect.Effect<ReadonlyArray<Compressed>, BackendError> =>
  Effect.suspend(() => {
    if (!Frames.isAvailable()) {
      return Effect.fail(
        unavailable("segments cannot be compressed: this version of Node has no zstd, use 22.15 or later")
      )
    }
    return Effect.flatMap(
      directory.attempt(() => candidates(directory, clock, options.age).length > 0 || leftBehind(directory).length > 0),
      (isNeeded) => (isNeeded ? locked(directory, all(directory, clock, options)) : Effect.succeed([]))
    )
  })

const locked = <A>(
  directory: LogDirectory,
  use: Effect.Effect<ReadonlyArray<A>, BackendError>
): Effect.Effect<ReadonlyArray<A>, BackendError> =>
  Effect.acquireUseRelease(
    directory.attempt(
      () => directory.files.lock(directory.pathOf(LOCK), directory.modeOfFiles(), "the compression of an event log"),
      LOCK
    ),
    (lock) => (lock === undefined ? Effect.succeed([]) : use),
    (lock) => Effect.sync(() => lock?.release())
  )

const all = (
  directory: LogDirectory,
  clock: Clock.Clock,
  { age, frameSize, onProgress = () => Effect.void }: Options
): Effect.Effect<ReadonlyArray<Compressed>, BackendError> =>
  Effect.gen(function* () {
    yield* directory.attempt(() => cleanUp(directory))
    const done: Array<Compressed> = []
    // Another process may have compressed some since.
    const found = yield* directory.attempt(() => candidates(directory, clock, age))
    // The first release does not know of compressed segments, and would read the log without them.
    if (found.length > 0) yield* directory.attempt(() => directory.upgradeLog())
    const totalBytes = found.reduce((sum, { bytes }) => sum + bytes, 0)
    let before = 0
    for (const candidate of found) {
      const start = before
      // Each byte is read twice: to compress it, and to compare it with what was written.
      let read = 0
      const onRead: OnRead = (bytes) => {
        read += bytes
        // A segment that grows meanwhile is left as it is.
        const ofThis = Math.min(candidate.bytes, Math.floor(read / 2))
        return onProgress({ task: "compress", bytes: start + ofThis, totalBytes })
      }
      const compressed = yield* compressOne(directory, candidate, { frameSize, onRead })
      if (compressed !== undefined) done.push(compressed)
      before += candidate.bytes
    }
    if (found.length > 0) yield* onProgress({ task: "compress", bytes: totalBytes, totalBytes })
    return done
  })

// -------------------------------------------------------------------------
// what was left behind
// -------------------------------------------------------------------------

const leftBehind = ({ files, path }: LogDirectory): ReadonlyArray<string> =>
  files.list(path).filter((file) => TEMPORARY.test(file) || SegmentName.ofHidden(file) !== undefined)

const cleanUp = (directory: LogDirectory): void => {
  for (const file of leftBehind(directory)) {
    const plain = SegmentName.ofHidden(file)
    if (plain === undefined) directory.discard(directory.pathOf(file))
    else settle(directory, SegmentName.parse(plain)!)
  }
}

/** Removes the plain file under its hidden name, or puts it back where the compressed one does not have all of it. */
const settle = (directory: LogDirectory, name: SegmentName.SegmentName): void => {
  const { disk, files } = directory
  const hidden = directory.pathOf(SegmentName.hiddenFileOf(name.file))
  const plain = directory.pathOf(name.file)
  const compressed = directory.pathOf(SegmentName.compressedFileOf(name.file))
  const status = files.status(hidden)
  if (status === undefined) return
  const isThere = files.status(compressed) !== undefined
  const isComplete = isThere && files.status(plain) === undefined && disk.compressed(plain)?.size === status.size
  // Retention removed the compressed one meanwhile.
  const isRemoved = !isThere && name.number <= (directory.logMeta().removed?.upTo ?? 0)
  if (!isComplete && !isRemoved) {
    // Both names, and not a rename: at each moment one of the files has its name.
    unlessCode(["EEXIST"], () => files.link(hidden, plain))
    unlessCode(["ENOENT"], () => files.unlink(compressed))
  }
  files.unlink(hidden)
}

// -------------------------------------------------------------------------
// one segment
// -------------------------------------------------------------------------

/** Is told how many bytes of the segment were read. */
type OnRead = (bytes: number) => Effect.Effect<void>

interface How {
  readonly frameSize: number
  readonly onRead: OnRead
}

const compressOne = (
  directory: LogDirectory,
  { name }: Candidate,
  how: How
): Effect.Effect<Compressed | undefined, BackendError> => {
  const { files } = directory
  const path = directory.pathOf(name.file)
  const temporary = directory.temporaryOf(directory.pathOf(SegmentName.compressedFileOf(name.file)))
  return Effect.acquireUseRelease(
    directory.attempt(() => unlessCode(["ENOENT"], () => files.openToRead(path)), name.file),
    (plain) =>
      plain === undefined
        ? Effect.succeed(undefined)
        : Effect.acquireUseRelease(
            directory.attempt(() => files.create(temporary, directory.modeOfFiles()), name.file),
            (file) =>
              Effect.gen(function* () {
                const bytes = yield* writeFrames(directory, name, { plain, file }, how)
                yield* compare(directory, name, { plain, file, bytes }, how)
                return yield* directory.attempt(
                  () => replace(directory, name, { plain, file, bytes, temporary }),
                  name.file
                )
              }),
            (file) =>
              Effect.sync(() => {
                files.close(file)
                directory.discard(temporary)
              })
          ),
    // It has no name any more, and its bytes are freed when it is closed: of 256 MiB in 50 ms and more.
    (plain) => Effect.sync(() => (plain === undefined ? undefined : files.closeLater(plain)))
  )
}

const syncLater = (directory: LogDirectory, file: number, what: string): Effect.Effect<void, BackendError> =>
  Effect.flatMap(
    Effect.callback<unknown>((resume) => {
      directory.files.syncLater(file, (cause) => resume(Effect.succeed(cause)))
    }),
    (cause) =>
      directory.attempt(() => {
        if (cause !== null && cause !== undefined && !cannotSync(cause)) throw cause
      }, what)
  )

/** Writes the compressed file, and answers the size of the plain one that is in it. */
const writeFrames = (
  directory: LogDirectory,
  name: SegmentName.SegmentName,
  { file, plain }: Omit<Files, "bytes">,
  { frameSize, onRead }: How
): Effect.Effect<number, BackendError> =>
  Effect.gen(function* () {
    const { files } = directory
    const frames: Array<{ readonly compressed: number; readonly bytes: number }> = []
    const buffer = Buffer.allocUnsafe(frameSize)
    let position = 0
    for (;;) {
      const found = yield* directory.attempt(() => readFully(directory.files, plain, buffer, position), name.file)
      if (found === 0) break
      const bytes = Frames.cut(buffer.subarray(0, found), found < buffer.length)
      yield* directory.attempt(() => {
        const frame = Frames.compress(buffer.subarray(0, bytes))
        appendAll(files, file, frame)
        frames.push({ compressed: frame.length, bytes })
      }, name.file)
      position += bytes
      yield* onRead(bytes)
      yield* Effect.yieldNow
    }
    yield* directory.attempt(() => {
      const { identity, made, modified } = files.statusOf(plain)
      appendAll(files, file, Frames.trailer(frames, { bytes: position, identity, made, modified }))
      // As zstd keeps it: it shows that the segment is the same.
      files.setModified(file, modified)
    }, name.file)
    // Most of it without blocking the process; then there is little left to sync.
    yield* syncLater(directory, file, name.file)
    yield* directory.attempt(() => syncNow(files, file), name.file)
    return position
  })

interface Files {
  readonly plain: number
  readonly file: number
  readonly bytes: number
}

/** Reads the compressed file back, and compares it with the plain one. */
const compare = (
  directory: LogDirectory,
  name: SegmentName.SegmentName,
  { bytes, file, plain }: Files,
  { onRead }: How
): Effect.Effect<void, BackendError> =>
  Effect.gen(function* () {
    const { files } = directory
    const stored = (position: number, length: number): Buffer => {
      const buffer = Buffer.allocUnsafe(length)
      return buffer.subarray(0, readFully(directory.files, file, buffer, position))
    }
    const layout = yield* directory.attempt(() => Frames.read(files.statusOf(file).size, stored), name.file)
    const isEqual = (index: number): boolean => {
      if (typeof layout === "string") return false
      const { lengths, offsets, starts } = layout
      const expected = Buffer.allocUnsafe(offsets[index + 1]! - offsets[index]!)
      const found = readFully(directory.files, plain, expected, offsets[index]!)
      const frame = Frames.decompress(stored(starts[index]!, lengths[index]!), expected.length)
      return found === expected.length && frame.equals(expected)
    }
    let isSame = typeof layout !== "string" && layout.offsets.at(-1) === bytes
    for (let index = 0; isSame && typeof layout !== "string" && index < layout.starts.length; index++) {
      isSame = yield* directory.attempt(() => isEqual(index), name.file)
      yield* onRead(layout.offsets[index + 1]! - layout.offsets[index]!)
      yield* Effect.yieldNow
    }
    if (isSame) return
    return yield* Effect.fail(
      unavailable(`${directory.pathOf(name.file)} stays as it is: its compressed file does not read back equal`)
    )
  })

/** Puts the compressed file in the place of the plain one. */
const replace = (
  directory: LogDirectory,
  name: SegmentName.SegmentName,
  { bytes, file, plain, temporary }: Files & { readonly temporary: string }
): Compressed | undefined => {
  const { files } = directory
  const path = directory.pathOf(name.file)
  const compressed = directory.pathOf(SegmentName.compressedFileOf(name.file))
  // It was written to meanwhile, or replaced: another time.
  if (files.statusOf(plain).size !== bytes || !files.leadsTo(path, files.statusOf(plain).identity)) return undefined
  // What is there beside the plain one was left by a process that was killed, and may not have all of it.
  files.rename(temporary, compressed)
  syncDirectory(files, directory.path)
  const isHidden = unlessCode(["ENOENT"], () => {
    files.rename(path, directory.pathOf(SegmentName.hiddenFileOf(name.file)))
    return true
  })
  if (isHidden === undefined) {
    // Retention removed it meanwhile.
    directory.discard(compressed)
    return undefined
  }
  settle(directory, name)
  return files.status(path) !== undefined ? undefined : { name, bytes, compressedBytes: files.statusOf(file).size }
}
