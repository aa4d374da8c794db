import type { Event } from "@tidings/core/Event"
import * as EventId from "@tidings/core/EventId"
import * as EventQuery from "@tidings/core/EventQuery"
import { readFileSync } from "node:fs"
import * as path from "node:path"
import * as LogLine from "../src/internal/log/line.ts"
import * as SegmentName from "../src/internal/log/segmentName.ts"
import { segmentsOf } from "./openLog.ts"

export interface State {
  readonly event: Event
  readonly segment: number
  readonly start: number
  readonly end: number
}

/** The records of all lines of a log, in order; what is after the last line end of the newest segment is no line yet. */
export const recordsOf = (directory: string): Array<State> => {
  const found: Array<State> = []
  const names = segmentsOf(directory)
    .flatMap((file) => SegmentName.parse(file) ?? [])
    .sort(SegmentName.order)
  for (const [segment, { file }] of names.entries()) {
    const bytes = readFileSync(path.join(directory, file))
    const format = LogLine.formatOf(bytes) ?? "checked"
    let start = 0
    while (start < bytes.length) {
      const at = bytes.indexOf(0x0a, start)
      if (at === -1 && segment === names.length - 1) break
      const end = at === -1 ? bytes.length : at
      const next = Math.min(end + 1, bytes.length)
      LogLine.readLine(bytes, start, end, 0, next, format, (record) => {
        found.push({ event: record.event, segment, start: record.start, end: record.end })
      })
      start = next
    }
  }
  return found
}

/** The state of every series: the first of its lines with the highest `upTo`. */
export const statesOf = (directory: string): Array<State> => {
  const states = new Map<string, State>()
  for (const state of recordsOf(directory)) {
    const id = EventId.format(state.event.id)
    const before = states.get(id)
    if (before === undefined || state.event.upTo > before.event.upTo) states.set(id, state)
  }
  return [...states.values()]
}

/** What a query without a limit answers. */
export const answerOf = (directory: string, filter: EventQuery.EventFilter): Array<Event> =>
  statesOf(directory)
    .filter(({ event }) => EventQuery.matches(filter, event))
    .sort((a, b) => b.event.last - a.event.last || b.segment - a.segment || b.start - a.start)
    .map(({ event }) => event)

/** What a watch shows of a log: the states that match in the order of their last change. */
export const changesOf = (directory: string, filter: EventQuery.EventFilter): Array<State> =>
  statesOf(directory)
    .filter(({ event }) => EventQuery.matches(filter, event))
    .sort((a, b) => a.segment - b.segment || a.start - b.start)
