/**
 * The name of a segment, `events-00000042-20261122.ndjson`: the number orders, the date (UTC) is for people.
 *
 * @internal
 */
export interface SegmentName {
  readonly number: number
  /** `00000042-20261122`: what a cursor keeps of it. */
  readonly key: string
  readonly file: string
}

const FILE = /^events-((\d{8,15})-\d{8})\.ndjson$/
const KEY = /^(\d{8,15})-\d{8}$/

const ofKey = (key: string, digits: string): SegmentName => ({
  number: Number(digits),
  key,
  file: `events-${key}.ndjson`
})

/** @internal */
export const make = (number: number, date: string): SegmentName => {
  const digits = String(number).padStart(8, "0")
  return ofKey(`${digits}-${date}`, digits)
}

/**
 * The name of a file, when it is one of a segment.
 *
 * @internal
 */
export const parse = (file: string): SegmentName | undefined => {
  const match = FILE.exec(file)
  return match === null ? undefined : ofKey(match[1]!, match[2]!)
}

/** @internal */
export const parseKey = (key: string): SegmentName | undefined => {
  const match = KEY.exec(key)
  return match === null ? undefined : ofKey(key, match[1]!)
}

/**
 * Oldest first. Two of one number, made by two processes on either side of midnight, are told apart by their dates.
 *
 * @internal
 */
export const order = (a: SegmentName, b: SegmentName): number =>
  a.number - b.number || (a.key < b.key ? -1 : a.key > b.key ? 1 : 0)
