/**
 * The limits beyond which a log removes its oldest segments, as its `.meta.json` has them.
 *
 * @internal
 */
import * as Duration from "effect/Duration"

/**
 * A limit that is absent is none.
 *
 * @internal
 */
export interface Limits {
  /** In seconds. */
  readonly maxAgeSeconds?: number | undefined
  readonly maxBytes?: number | undefined
  readonly maxEvents?: number | undefined
}

/**
 * Changes of limits: `none` removes one, and one that is absent stays.
 *
 * @internal
 */
export interface Changes {
  /** In seconds. */
  readonly maxAgeSeconds?: number | "none" | undefined
  readonly maxBytes?: number | "none" | undefined
  readonly maxEvents?: number | "none" | undefined
}

const DAY_SECONDS = 86_400

const DEFAULT_BYTES = 10 * 1024 * 1024 * 1024

/** A log is not to fill its file system: the default limit is at most this part of it. */
const PART_OF_FILE_SYSTEM = 4

/** Segments are removed as a whole, so a log has several within its limit. */
const LEAST_SEGMENTS = 8

/** A segment is not smaller than this because of a limit, in bytes. */
const SMALLEST_SEGMENT = 1_048_576

/**
 * The limits of a new log on a file system of this size in bytes.
 *
 * @internal
 */
export const defaults = (capacity: number | undefined): Limits => ({
  maxAgeSeconds: 90 * DAY_SECONDS,
  maxBytes: Math.min(DEFAULT_BYTES, Math.floor((capacity ?? Number.POSITIVE_INFINITY) / PART_OF_FILE_SYSTEM)),
  maxEvents: 100_000_000
})

const isLimit = (value: unknown): value is number => typeof value === "number" && Number.isFinite(value) && value >= 0

/** @internal */
export const of = (value: unknown): Limits => {
  if (typeof value !== "object" || value === null) return {}
  const found: { maxAgeSeconds?: number; maxBytes?: number; maxEvents?: number } = {}
  if ("maxAgeSeconds" in value && isLimit(value.maxAgeSeconds)) found.maxAgeSeconds = value.maxAgeSeconds
  if ("maxBytes" in value && isLimit(value.maxBytes)) found.maxBytes = value.maxBytes
  if ("maxEvents" in value && isLimit(value.maxEvents)) found.maxEvents = value.maxEvents
  return found
}

const changed = (before: number | undefined, change: number | "none" | undefined): number | undefined =>
  change === undefined ? before : change === "none" ? undefined : change

/** @internal */
export const change = (before: Limits, { maxAgeSeconds, maxBytes, maxEvents }: Changes): Limits =>
  of({
    maxAgeSeconds: changed(before.maxAgeSeconds, maxAgeSeconds),
    maxBytes: changed(before.maxBytes, maxBytes),
    maxEvents: changed(before.maxEvents, maxEvents)
  })

/** @internal */
export const isSame = (a: Limits, b: Limits): boolean =>
  a.maxAgeSeconds === b.maxAgeSeconds && a.maxBytes === b.maxBytes && a.maxEvents === b.maxEvents

/**
 * The size of a segment, of which several are within the limit.
 *
 * @internal
 */
export const segmentSize = ({ maxBytes }: Limits, wanted: number): number =>
  maxBytes === undefined ? wanted : Math.min(wanted, Math.max(SMALLEST_SEGMENT, Math.floor(maxBytes / LEAST_SEGMENTS)))

const UNITS = ["bytes", "KiB", "MiB", "GiB", "TiB"]

/** @internal */
export const size = (bytes: number): string => {
  let value = bytes
  let unit = 0
  while (value >= 1_024 && unit < UNITS.length - 1) {
    value /= 1_024
    unit++
  }
  const rounded = Math.round(value * 10) / 10
  return unit === 0 && bytes === 1 ? "1 byte" : `${rounded} ${UNITS[unit]}`
}

/** @internal */
export const count = (events: number): string =>
  `${String(events).replace(/\B(?=(\d{3})+$)/g, ",")} ${events === 1 ? "event" : "events"}`

/** @internal */
export const age = (seconds: number): string => {
  const days = seconds / DAY_SECONDS
  return Number.isInteger(days) && days > 0
    ? `${days} ${days === 1 ? "day" : "days"}`
    : Duration.format(Duration.seconds(seconds))
}

/**
 * Limits in words: `for 90 days, up to 10 GiB and 100,000,000 events`.
 *
 * @internal
 */
export const words = ({ maxAgeSeconds, maxBytes, maxEvents }: Limits): string => {
  const most = [
    ...(maxBytes === undefined ? [] : [size(maxBytes)]),
    ...(maxEvents === undefined ? [] : [count(maxEvents)])
  ]
  const parts = [
    ...(maxAgeSeconds === undefined ? [] : [`for ${age(maxAgeSeconds)}`]),
    ...(most.length === 0 ? [] : [`up to ${most.join(" and ")}`])
  ]
  return parts.length === 0 ? "without limit" : parts.join(", ")
}
