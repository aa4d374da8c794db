/**
 * What is missing from an answer, in words for stderr: parts that did not answer, and gaps in the history of a store.
 *
 * @internal
 */
import * as CoverageText from "@tidings/core/CoverageText"
import type { Coverage, EventFilter, Gap, Incomplete } from "@tidings/core/EventQuery"
import * as Timestamp from "@tidings/core/Timestamp"
import * as age from "./age.ts"

const timesOf = ({ from, to }: Gap): string =>
  [
    ...(from === undefined ? [] : [` from ${Timestamp.format(from)}`]),
    ...(to === undefined ? [] : [` to ${Timestamp.format(to)}`])
  ].join("")

/**
 * A gap in its place among events; of a store that is archived with its times.
 *
 * @internal
 */
export const gapLine = (gap: Gap): string =>
  gap.from === undefined || gap.to === undefined
    ? `-- gap: ${gap.reason} --`
    : `-- gap of ${gap.name ?? gap.store} from ${Timestamp.formatSeconds(gap.from)} to ${Timestamp.formatSeconds(gap.to)}: ${gap.reason} --`

/** Whether a gap may hold events that the filter asks for; of a gap without times it is not known. */
const mayConcern =
  ({ since, until }: EventFilter) =>
  ({ from, to }: Gap): boolean =>
    (since === undefined || to === undefined || to >= since) &&
    (until === undefined || from === undefined || from <= until)

/** Times as the rest of the output has them: of the day, and with the day where it is not today; or in UTC. */
const timeIn =
  (now: Timestamp.Micros, utc: boolean): CoverageText.WriteTime =>
  (at, beside) =>
    utc ? age.utc(at) : age.clock(at, beside ?? now)

/**
 * What to say of the answer to a query: that nothing can match it yet, one line for each thing that is missing from it, and of an archive for which time each of
 * its stores is complete.
 *
 * @internal
 */
export const notes = (answer: {
  readonly filter: EventFilter
  readonly now: Timestamp.Micros
  readonly utc?: boolean | undefined
  readonly coverage?: ReadonlyArray<Coverage> | undefined
  readonly incomplete?: ReadonlyArray<Incomplete> | undefined
}): ReadonlyArray<string> => {
  const { coverage = [], incomplete = [] } = answer
  const archived = CoverageText.sentences(coverage, timeIn(answer.now, answer.utc ?? false))
  const { since } = answer.filter
  return [
    ...(since !== undefined && age.isAhead(since, answer.now)
      ? [`note: --since is ${age.inFuture(since, answer.now, (time) => `--since "${time}"`)}`]
      : []),
    ...incomplete.map(({ reason }) => `note: these events are not all: ${reason}`),
    ...(archived.length > 0
      ? archived
      : coverage
          .flatMap(({ gaps }) => gaps)
          .filter(mayConcern(answer.filter))
          .map((gap) => `note: the history of ${gap.store} has a gap${timesOf(gap)}: ${gap.reason}`))
  ]
}
