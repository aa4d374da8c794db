import * as Timestamp from "@tidings/core/Timestamp"

/**
 * The name of a segment, `events-00000042-20261122.ndjson`: its number, and the date (UTC) on which it was created.
 *
 * @internal
 */
export interface SegmentName {
  readonly number: number
  /** `20261122`. */
  readonly date: string
  /** `00000042-20261122`: how cursors name it. */
  readonly key: string
  readonly file: string
}

/**
 * The highest number of a segment. A higher one, which only a person can have given, is not that of a segment: after it there would
 * soon be no number for the next one.
 *
 * @internal
 */
export const HIGHEST = 999_999_999_999

/**
 * How the name of a plain segment ends, and what is added to it for a compressed one.
 *
 * @internal
 */
export const PLAIN = ".ndjson"
const COMPRESSED = ".zst"

const FILE = /^events-((\d{8,15})-(\d{8}))\.ndjson$/
const KEY = /^(\d{8,15})-(\d{8})$/

const ofKey = (key: string, digits: string, date: string): SegmentName => ({
  number: Number(digits),
  date,
  key,
  file: `events-${key}.ndjson`
})

/** @internal */
export const make = (number: number, date: string): SegmentName => {
  const digits = String(number).padStart(8, "0")
  return ofKey(`${digits}-${date}`, digits, date)
}

/**
 * Parses a file name; undefined unless it is that of a segment.
 *
 * @internal
 */
export const parse = (file: string): SegmentName | undefined => {
  const match = FILE.exec(file)
  if (match === null) return undefined
  const name = ofKey(match[1]!, match[2]!, match[3]!)
  return name.number > HIGHEST ? undefined : name
}

/**
 * The file of a segment when it is compressed.
 *
 * @internal
 */
export const compressedFileOf = (file: string): string => `${file}${COMPRESSED}`

/**
 * Whether a file belongs to a segment and holds no lines of it, so that nothing is lost when it is removed.
 *
 * @internal
 */
export const isSideFile = (file: string): boolean => BESIDE.test(file) && ofStored(file) === undefined

const BESIDE = /^events-\d{8,15}-\d{8}\./

const HIDDEN = /^\.(events-\d{8,15}-\d{8}\.ndjson)\.compressed$/

/**
 * The name of a plain segment from when the compressed one has its place until it is known that nothing was appended meanwhile.
 *
 * @internal
 */
export const hiddenFileOf = (file: string): string => `.${file}.compressed`

/**
 * The file of the segment that has such a name; absent where a name is another one.
 *
 * @internal
 */
export const ofHidden = (file: string): string | undefined => HIDDEN.exec(file)?.[1]

const plainFileOf = (file: string): string => (file.endsWith(COMPRESSED) ? file.slice(0, -COMPRESSED.length) : file)

/**
 * The segment that a file holds, plain or compressed; undefined where it holds none.
 *
 * @internal
 */
export const ofStored = (file: string): SegmentName | undefined => parse(plainFileOf(file))

/**
 * Why a file is not read although its name ends like that of a segment; absent where it is one, or is not named like one.
 *
 * @internal
 */
export const problemOf = (stored: string): string | undefined => {
  const file = plainFileOf(stored)
  if (!file.endsWith(PLAIN) || file.startsWith(".") || parse(file) !== undefined) return undefined
  return FILE.test(file)
    ? `its number is above ${HIGHEST}, the highest of a segment`
    : "its name is not that of a segment, such as events-00000001-20261122.ndjson"
}

/**
 * Whether there is a segment among the files of a directory.
 *
 * @internal
 */
export const areIn = (files: ReadonlyArray<string>): boolean => files.some((file) => FILE.test(plainFileOf(file)))

/** @internal */
export const parseKey = (key: string): SegmentName | undefined => {
  const match = KEY.exec(key)
  return match === null ? undefined : ofKey(key, match[1]!, match[2]!)
}

/**
 * Oldest first. Two processes that create a segment on either side of midnight give it one number and two dates.
 *
 * @internal
 */
export const order = (a: SegmentName, b: SegmentName): number =>
  a.number - b.number || (a.key < b.key ? -1 : a.key > b.key ? 1 : 0)

const DAY = 86_400_000_000

/**
 * When the day ends (UTC) on which a segment was begun, in microseconds since 1970; never for a date that is in no calendar.
 *
 * @internal
 */
export const endOfDay = ({ date }: SegmentName): Timestamp.Micros =>
  (Timestamp.parse(`${date.slice(0, 4)}-${date.slice(4, 6)}-${date.slice(6)}T00:00:00Z`) ?? Number.POSITIVE_INFINITY) +
  DAY

/**
 * What is missing between a segment and the first gap after it, in words. Segments are numbered without gaps, so a number
 * that is missing is a segment that was deleted. `names` is in order.
 *
 * @internal
 */
export const missingAfter = (
  segment: SegmentName | undefined,
  names: ReadonlyArray<SegmentName>
): string | undefined => {
  let number = segment?.number ?? 0
  for (const name of names) {
    if (segment !== undefined && order(name, segment) <= 0) continue
    const missing = missingBetween(number, name.number)
    if (missing !== undefined) return missing
    number = Math.max(number, name.number)
  }
  return undefined
}

/**
 * The segments that are missing between two numbers, in words; absent where none are.
 *
 * @internal
 */
export const missingBetween = (number: number, next: number): string | undefined =>
  next <= number + 1
    ? undefined
    : `${range(number + 1, next - 1)} of the log ${next === number + 2 ? "is" : "are"} gone`

/**
 * What is told of a segment that was cut to nothing, in words.
 *
 * @internal
 */
export const isEmpty = ({ file }: SegmentName): string => `${file} is empty: its lines are gone`

/**
 * Some segments, in words.
 *
 * @internal
 */
export const range = (from: number, to: number): string =>
  from === to ? `segment ${from}` : `segments ${from} to ${to}`
