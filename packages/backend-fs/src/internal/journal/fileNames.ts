/**
 * The names of the files in a journal's directory.
 *
 * ```text
 * entries-<first seq>-<origin>.log   a segment; the first release wrote no origin
 * taken-<first seq>-<origin>.log     a segment that the quota evicted: empty, only its name counts
 * sink-<name>.checkpoint             the checkpoint of a sink
 * sink-<name>.parked                 its log of parked events
 * sink-<name>.requests               what operators asked for about them
 * lock, owner, reserve               see `ownership.ts` and `reserve.ts`
 * <file>.new                         a file that is being written, and then replaces `<file>`
 * ```
 */
import { createHash } from "node:crypto"

/** @internal */
export const LOCK = "lock"
/** @internal */
export const OWNER = "owner"
/** @internal */
export const RESERVE = "reserve"

/** @internal */
export const temporaryOf = (file: string): string => `${file}.new`

/** @internal */
export const isTemporary = (file: string): boolean => file.endsWith(".new")

// ---------------------------------------------------------------------------
// segments
// ---------------------------------------------------------------------------

const SEGMENT = /^(entries|taken)-(\d{16})(?:-([0-9a-f]{32}))?\.log$/

/** @internal */
export interface SegmentName {
  readonly file: string
  /** The first seq of the segment. */
  readonly first: number
  /** The origin of its entries; absent in the names of the first release. */
  readonly origin: string | undefined
  /** Whether the quota evicted it before every sink had read it. */
  readonly isEvicted: boolean
}

/**
 * Parses a file name; undefined unless it is that of a segment.
 *
 * @internal
 */
export const parseSegment = (file: string): SegmentName | undefined => {
  const match = SEGMENT.exec(file)
  return match === null
    ? undefined
    : { file, first: Number(match[2]), origin: match[3], isEvicted: match[1] === "taken" }
}

/** @internal */
export const isSegment = (file: string): boolean => SEGMENT.test(file)

/** @internal */
export const segmentFile = (first: number, origin: string, isEvicted: boolean): string =>
  `${isEvicted ? "taken" : "entries"}-${String(first).padStart(16, "0")}-${origin}.log`

// ---------------------------------------------------------------------------
// sinks
// ---------------------------------------------------------------------------

const LONGEST_NAME = 160
const LONG = /^sink-(.*)__[0-9a-f]{32}$/
const CHECKPOINT = /^(sink-.*)\.checkpoint$/

/**
 * The files of a sink, without extension. Characters that file systems treat differently are escaped; a long name is cut, and
 * a hash appended.
 *
 * @internal
 */
export const sinkFile = (sink: string): string => {
  const name = sink.replace(/[^-a-z0-9]/g, (character) =>
    Array.from(Buffer.from(character), (byte) => `_${byte.toString(16).padStart(2, "0")}`).join("")
  )
  return name.length <= LONGEST_NAME
    ? `sink-${name}`
    : `sink-${name.slice(0, LONGEST_NAME)}__${createHash("sha256").update(sink).digest("hex").slice(0, 32)}`
}

/**
 * The name of the sink that files belong to; of a long one only its start is known.
 *
 * @internal
 */
export const sinkOf = (file: string): string => {
  const long = LONG.exec(file)
  const escaped = long?.[1] ?? file.slice("sink-".length)
  const name = Buffer.from(
    escaped.replace(/(?:_[0-9a-f]{2})+|[^_]/g, (part) =>
      part.startsWith("_") ? part.replaceAll("_", "") : Buffer.from(part).toString("hex")
    ),
    "hex"
  ).toString()
  return long === null ? name : `${name}…`
}

/** @internal */
export const checkpointFile = (file: string): string => `${file}.checkpoint`
/** @internal */
export const parkedFile = (file: string): string => `${file}.parked`
/** @internal */
export const requestsFile = (file: string): string => `${file}.requests`

/**
 * The sinks, without extension, that have a checkpoint among the files of a directory.
 *
 * @internal
 */
export const sinksIn = (files: ReadonlyArray<string>): ReadonlyArray<string> =>
  files.flatMap((file) => CHECKPOINT.exec(file)?.[1] ?? [])

// ---------------------------------------------------------------------------
// the directory
// ---------------------------------------------------------------------------

/**
 * Whether a directory with these files has a journal of any version: an event log has no lock.
 *
 * @internal
 */
export const hasJournal = (files: ReadonlyArray<string>): boolean =>
  files.some((file) => file === LOCK || isSegment(file))

/**
 * Whether a file holds entries, or the state of a sink.
 *
 * @internal
 */
export const isKept = (file: string): boolean => isSegment(file) || file.startsWith("sink-")

/**
 * Whether a file is created by each opening where it is missing.
 *
 * @internal
 */
export const isRecreated = (file: string): boolean => file === LOCK || file === OWNER || file === RESERVE
