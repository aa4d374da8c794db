/**
 * What `.meta.json` says of an event log beside its identity. What it does not say, or what cannot be read, is absent.
 *
 * @internal
 */
import * as Timestamp from "@tidings/core/Timestamp"
import * as Result from "effect/Result"
import * as Limits from "./limits.ts"
import type { Meta } from "../storeDirectory.ts"
import * as LogPosition from "./position.ts"
import * as SegmentName from "./segmentName.ts"

/**
 * What retention removed.
 *
 * @internal
 */
export interface Removed {
  /** Number of the newest segment that was removed; all before it are gone too. */
  readonly upTo: number
  /** When the newest event in them was last seen. */
  readonly until: Timestamp.Micros
  /** When they were removed. */
  readonly at: Timestamp.Micros
  /** Which limit they were beyond, in words. */
  readonly why: string
}

/**
 * Segments of which lines are gone, because they were cut or replaced.
 *
 * @internal
 */
export interface Lost {
  /** Number of the oldest and of the newest of them. */
  readonly from: number
  readonly upTo: number
  /** When it was found out. */
  readonly at: Timestamp.Micros
}

/** @internal */
export interface LogMeta {
  /** When the log was created. */
  readonly created: Timestamp.Micros | undefined
  /** Number up to which segments are of the first release; nothing is appended to them. 0 where there are none. */
  readonly sealedUpTo: number
  readonly removed: Removed | undefined
  /** Absent fields are no limits. */
  readonly limits: Limits.Limits
  readonly time: Time | undefined
  /** What the newest segments begin with: a position in each, and the check of all that is before. */
  readonly begun: ReadonlyArray<LogPosition.LogPosition>
  readonly lost: ReadonlyArray<Lost>
}

/**
 * What retention notes of the time.
 *
 * @internal
 */
export interface Time {
  /** The time when retention last looked. */
  readonly believed: Timestamp.Micros
  /** Since when it is much later; it is believed when that has held for a while. */
  readonly doubted?: Timestamp.Micros | undefined
}

const timeFieldOf = (value: unknown): Time | undefined => {
  if (!isObject(value)) return undefined
  const believed = timeOf(value["believed"])
  const doubted = timeOf(value["doubted"])
  return believed === undefined ? undefined : { believed, ...(doubted === undefined ? undefined : { doubted }) }
}

const isObject = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === "object" && value !== null && !Array.isArray(value)

const timeOf = (value: unknown): Timestamp.Micros | undefined =>
  typeof value === "string" ? Timestamp.parse(value) : undefined

const numberOf = (value: unknown): number | undefined =>
  typeof value === "number" && Number.isSafeInteger(value) && value >= 0 ? value : undefined

const removedOf = (value: unknown): Removed | undefined => {
  if (!isObject(value)) return undefined
  const upTo = numberOf(value["upTo"])
  const until = timeOf(value["until"])
  const at = timeOf(value["at"])
  const { why } = value
  return upTo === undefined || until === undefined || at === undefined || typeof why !== "string"
    ? undefined
    : { upTo, until, at, why }
}

const begunOf = (value: unknown): ReadonlyArray<LogPosition.LogPosition> =>
  Array.isArray(value)
    ? value.flatMap((one: unknown) => {
        const position = typeof one === "string" ? Result.getOrUndefined(LogPosition.parse(one)) : undefined
        return position?.segment === undefined ? [] : [position]
      })
    : []

const lostOf = (value: unknown): ReadonlyArray<Lost> =>
  Array.isArray(value)
    ? value.flatMap((one: unknown): ReadonlyArray<Lost> => {
        if (!isObject(one)) return []
        const from = numberOf(one["from"])
        const upTo = numberOf(one["upTo"])
        const at = timeOf(one["at"])
        return from === undefined || upTo === undefined || at === undefined ? [] : [{ from, upTo, at }]
      })
    : []

/** @internal */
export const of = (meta: Meta | undefined): LogMeta => ({
  created: timeOf(meta?.fields["createdAt"]),
  sealedUpTo: numberOf(meta?.fields["sealedUpTo"]) ?? 0,
  removed: removedOf(meta?.fields["removed"]),
  limits: Limits.of(meta?.fields["retention"]),
  time: timeFieldOf(meta?.fields["time"]),
  begun: begunOf(meta?.fields["begun"]),
  lost: lostOf(meta?.fields["lost"])
})

/**
 * Fields of `.meta.json` for these changes.
 *
 * @internal
 */
export const fieldsOf = (
  changes: Partial<Pick<LogMeta, "sealedUpTo" | "removed" | "limits" | "time" | "begun" | "lost">>
): Readonly<Record<string, unknown>> => {
  const { begun, limits, lost, removed, sealedUpTo, time } = changes
  return {
    ...(sealedUpTo === undefined ? undefined : { sealedUpTo }),
    ...(limits === undefined ? undefined : { retention: limits }),
    ...(begun === undefined ? undefined : { begun: begun.map(LogPosition.format) }),
    ...(lost === undefined ? undefined : { lost: lost.map((one) => ({ ...one, at: Timestamp.format(one.at) })) }),
    ...(removed === undefined
      ? undefined
      : { removed: { ...removed, until: Timestamp.format(removed.until), at: Timestamp.format(removed.at) } }),
    ...(time === undefined
      ? undefined
      : {
          time: {
            believed: Timestamp.format(time.believed),
            ...(time.doubted === undefined ? undefined : { doubted: Timestamp.format(time.doubted) })
          }
        })
  }
}

/**
 * What retention removed, in words.
 *
 * @internal
 */
export const whatWasRemoved = ({ at, until, upTo, why }: Removed): string =>
  `${SegmentName.range(1, upTo)} with events up to ${Timestamp.format(until)} ${upTo === 1 ? "was" : "were"} removed by ` +
  `retention at ${Timestamp.format(at)}: ${why}`
