import type { BackendError } from "@tidings/core/BackendError"
import type { Event } from "@tidings/core/Event"
import * as EventQuery from "@tidings/core/EventQuery"
import * as Position from "@tidings/core/Position"
import * as Target from "@tidings/core/Target"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import type { Disk } from "../disk.ts"
import { unavailable } from "../diskError.ts"
import { FoldTable } from "./foldTable.ts"
import { coverageOf } from "./coverage.ts"
import type { LogDirectory, OpenSegment } from "./directory.ts"
import * as LogLine from "./line.ts"
import * as LineMatcher from "./lineMatcher.ts"
import * as LogPosition from "./position.ts"
import type { DamageLedger } from "./segment.ts"
import { LogView } from "./view.ts"

/** Events that are decoded before other fibers get a turn. */
const DECODED_AT_ONCE = 256

/** The last event of a page, after which the next page starts. */
interface PagePosition {
  readonly last: number
  readonly segment: string
  readonly start: number
}

const readPage = (scope: Position.Scope, token: EventQuery.PageToken): Result.Result<PagePosition, BackendError> =>
  Result.flatMap(Position.decodePageToken(scope, token), (text) => {
    const match = /^(-?\d+) ([\d-]+) (\d+)$/.exec(text)
    return match === null
      ? Result.fail(LogPosition.mismatch("its position is not one of an event log; start over without it"))
      : Result.succeed({ last: Number(match[1]), segment: match[2]!, start: Number(match[3]) })
  })

/**
 * Reads the event of a line.
 *
 * @internal
 */
export const eventAt = (
  disk: Disk,
  segment: OpenSegment,
  { end, start }: { readonly start: number; readonly end: number }
): Event => {
  const buffer = Buffer.allocUnsafe(end - start)
  const found = disk.read(segment.opened, buffer, 0, buffer.length, start)
  let event: Event | undefined
  const lineEnd = buffer[found - 1] === 0x0a ? found - 1 : found
  LogLine.readLine(buffer, 0, lineEnd, start, end, (record) => {
    event ??= record.event
  })
  if (event === undefined) throw unavailable(`${segment.name.file} was changed while it was read: ask again`)
  return event
}

/**
 * Finds the current state of every series in one pass over the log, and then decodes the events of the page.
 *
 * @internal
 */
export const query = (
  directory: LogDirectory,
  ledger: DamageLedger,
  target: string,
  query: EventQuery.EventQuery
): Effect.Effect<EventQuery.EventPage, BackendError> =>
  Effect.suspend(() => {
    const filter = EventQuery.filterOf(query)
    const scope: Position.Scope = { mode: "filesystem", target: Target.make(target), filter }
    const page = query.page === undefined ? undefined : readPage(scope, query.page)
    if (page !== undefined && Result.isFailure(page)) return Effect.fail(page.failure)
    const from = page?.success
    const matches = LineMatcher.make(filter)

    const read = (view: LogView): Effect.Effect<EventQuery.EventPage, BackendError> => {
      const table = new FoldTable()
      const scanned = view.scan(ledger, (record, segment) => table.add(record, segment, matches))
      return Effect.flatMap(scanned, (end) => {
        // The log is nearly in order of time: reversed, it is nearly sorted.
        const rows = table.matching().reverse().sort(table.newestFirst)
        const keyOf = (row: number): string => view.segments[table.at(row).segment]!.name.key
        let first = 0
        if (from !== undefined) {
          first = rows.findIndex((row) => {
            const at = table.at(row)
            if (at.last !== from.last) return at.last < from.last
            const key = keyOf(row)
            return key === from.segment ? at.start < from.start : key < from.segment
          })
          if (first === -1) first = rows.length
        }
        const limit = query.limit === undefined ? rows.length : Math.max(0, Math.floor(query.limit))
        const chosen = rows.slice(first, first + limit)
        const events: Array<Event> = []
        const decodeSome = (): boolean => {
          const until = Math.min(chosen.length, events.length + DECODED_AT_ONCE)
          for (let index = events.length; index < until; index++) {
            const at = table.at(chosen[index]!)
            events.push(eventAt(directory.disk, view.segments[at.segment]!, at))
          }
          return events.length < chosen.length
        }
        const decode: Effect.Effect<void, BackendError> = Effect.flatMap(directory.attempt(decodeSome), (more) =>
          more ? Effect.andThen(Effect.yieldNow, decode) : Effect.void
        )
        return Effect.map(decode, (): EventQuery.EventPage => {
          const cursor = Position.cursorEncoder(scope)(LogPosition.format(end))
          const coverage = [coverageOf({ store: target, view, damage: ledger, created: directory.created() })]
          const answer = { events, totalCount: rows.length, cursor, coverage }
          const oldest = chosen.at(-1)
          if (oldest === undefined || first + chosen.length >= rows.length) return answer
          const at = table.at(oldest)
          return { ...answer, next: Position.pageTokenEncoder(scope)(`${at.last} ${keyOf(oldest)} ${at.start}`) }
        })
      })
    }

    return LogView.use(directory, read)
  })
