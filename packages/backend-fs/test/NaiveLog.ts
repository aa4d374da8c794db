import { assert } from "@effect/vitest"
import type { Event } from "@tidings/core/Event"
import * as EventId from "@tidings/core/EventId"
import * as EventJson from "@tidings/core/EventJson"
import * as EventQuery from "@tidings/core/EventQuery"
import { existsSync, readFileSync } from "node:fs"
import * as path from "node:path"
import { crc32 } from "node:zlib"
import { segmentsOf } from "./openLog.ts"

/** After so many events of a segment. */
export interface Place {
  /** The name of its file; empty before the first one. */
  readonly segment: string
  readonly count: number
}

export const BEGINNING: Place = { segment: "", count: 0 }

/** A line of a series, and where it is. */
export interface Line extends Place {
  readonly event: Event
  /** Where it is in the file, in bytes. */
  readonly start: number
  readonly end: number
}

interface Segment {
  readonly lines: Array<Line>
  /** Lines that are no events. */
  damaged: number
  /** Bytes that were read, all of them whole lines. */
  read: number
  /** Bytes that there were. */
  size: number
}

const isAfter = (line: Line, { count, segment }: Place): boolean =>
  line.segment === segment ? line.count > count : line.segment > segment

const keyOf = ({ id, upTo }: Event): string => `${EventId.format(id)} ${upTo}`

/** What a line says, without its checksum; absent where the checksum is not that of the line. */
const valueOf = (text: string): { readonly id: string; readonly upTo: number } | undefined => {
  const checksum = /"checksum":"([0-9a-f]{8})",/.exec(text)
  if (checksum === null) return undefined
  const plain = text.replace(checksum[0], "")
  if (crc32(plain).toString(16).padStart(8, "0") !== checksum[1]) return undefined
  return JSON.parse(plain) as { readonly id: string; readonly upTo: number }
}

const numberOf = (file: string): number => Number(/\d+/.exec(file)![0])

/**
 * What an event log should have and answer: the events that were stored, in the order of their lines. It knows nothing of offsets,
 * side files and processes, and compares each line that appears in a segment with what was answered.
 */
export class NaiveLog {
  readonly directory: string
  private readonly segments = new Map<string, Segment>()
  /** The highest `upTo` of each series of which a line was removed or damaged. */
  readonly forgotten = new Map<string, number>()
  /** The lines of segments that were removed, in their order. */
  private readonly removed: Array<Line> = []

  constructor(directory: string) {
    this.directory = directory
  }

  get files(): Array<string> {
    return [...this.segments.keys()].sort()
  }

  lines(): Array<Line> {
    return this.files.flatMap((file) => this.segments.get(file)!.lines)
  }

  linesOf(file: string): ReadonlyArray<Line> {
    return this.segments.get(file)?.lines ?? []
  }

  factsOf(file: string): { readonly lines: number; readonly damaged: number; readonly size: number } {
    const { damaged, lines, size } = this.segments.get(file)!
    return { lines: lines.length, damaged, size }
  }

  linesAfter(place: Place): Array<Line> {
    return this.lines().filter((line) => isAfter(line, place))
  }

  /** The lines that were after a place and are gone. */
  removedAfter(place: Place): Array<Line> {
    return this.removed.filter((line) => isAfter(line, place))
  }

  /** After all lines. */
  end(): Place {
    const newest = this.files.at(-1)
    return newest === undefined ? BEGINNING : { segment: newest, count: this.segments.get(newest)!.lines.length }
  }

  /** The state of each series: the first of its lines with the highest `upTo`. */
  states(): Map<string, Line> {
    const states = new Map<string, Line>()
    for (const line of this.lines()) {
      const id = EventId.format(line.event.id)
      const before = states.get(id)
      if (before === undefined || line.event.upTo > before.event.upTo) states.set(id, line)
    }
    return states
  }

  /** The states that match, in the order of their last change. */
  changes(filter: EventQuery.EventFilter, after: Place = BEGINNING): Array<Line> {
    const states = new Set(this.states().values())
    return this.linesAfter(after).filter((line) => states.has(line) && EventQuery.matches(filter, line.event))
  }

  /** The states that match, newest first. */
  answer(filter: EventQuery.EventFilter): Array<Line> {
    return this.changes(filter)
      .reverse()
      .sort((a, b) => b.event.last - a.event.last)
  }

  /** Whether segments after a place, or that of the place itself, are gone. */
  isMissingAfter({ segment }: Place): boolean {
    if (segment !== "" && !this.segments.has(segment)) return true
    let number = segment === "" ? 0 : numberOf(segment)
    for (const file of this.files) {
      if (file <= segment) continue
      if (numberOf(file) > number + 1) return true
      number = numberOf(file)
    }
    return false
  }

  /** Lines that readers count as damaged. A partial line at the end of the newest segment may still be written. */
  damagedLines(): number {
    let count = 0
    for (const file of this.files) {
      const { damaged, read, size } = this.segments.get(file)!
      count += damaged
      if (file !== this.files.at(-1) && size > read) count += 1
    }
    return count
  }

  /**
   * Reads what was appended since, and compares it with what was stored since: each of these is there once, and nothing else. The
   * events that one writer stored are in the order in which it did.
   */
  absorb(...stored: ReadonlyArray<ReadonlyArray<Event>>): void {
    const rest = stored.map((events) => [...events])
    for (const file of existsSync(this.directory) ? segmentsOf(this.directory) : []) {
      const bytes = readFileSync(path.join(this.directory, file))
      let segment = this.segments.get(file)
      if (segment === undefined) this.segments.set(file, (segment = { lines: [], damaged: 0, read: 0, size: 0 }))
      assert.isAtLeast(bytes.length, segment.read, `${file} is shorter than it was`)
      segment.size = bytes.length
      for (let end = bytes.indexOf(10, segment.read); end !== -1; end = bytes.indexOf(10, segment.read)) {
        const start = segment.read
        const text = bytes.toString("utf8", start, end)
        segment.read = end + 1
        if (text === "") continue
        const value = valueOf(text)
        if (value === undefined) {
          segment.damaged += 1
          continue
        }
        const from = rest.find(([event]) => event !== undefined && keyOf(event) === `${value.id} ${value.upTo}`)
        const event = from?.shift()
        if (event === undefined) assert.fail(`${file} has a line that nobody was to write now: ${text}`)
        assert.deepStrictEqual(value, JSON.parse(EventJson.encode(event)), file)
        segment.lines.push({ event, segment: file, count: segment.lines.length + 1, start, end })
      }
    }
    assert.deepStrictEqual(rest.flat().map(keyOf), [], "what was stored has no line")
  }

  /** A segment was removed. */
  remove(file: string): void {
    for (const line of this.segments.get(file)?.lines ?? []) {
      this.forget(line)
      this.removed.push(line)
    }
    this.segments.delete(file)
  }

  /** A line was damaged. Places in its segment are others afterwards. */
  damage(line: Line): void {
    const segment = this.segments.get(line.segment)!
    segment.damaged += 1
    this.forget(line)
    const left = segment.lines.filter((one) => one !== line)
    segment.lines.splice(0, Number.POSITIVE_INFINITY, ...left.map((one, index) => ({ ...one, count: index + 1 })))
  }

  private forget({ event }: Line): void {
    const id = EventId.format(event.id)
    this.forgotten.set(id, Math.max(this.forgotten.get(id) ?? 0, event.upTo))
  }
}
