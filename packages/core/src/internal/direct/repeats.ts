/**
 * The same event again as a count, in a recorder without a journal: its option `correlation`.
 *
 * Each occurrence is still a write of its own, which the backend answers before the caller is answered. The write has the id
 * of the first occurrence, the sequence number of this one as `upTo`, and the count of all that are stored, this one
 * included.
 *
 * - At most one write of a series has no outcome: the count of the next one depends on it. Occurrences that arrive meanwhile
 *   wait, and are written in the order in which they arrived.
 * - What certainly was not stored is not counted: the next occurrence gets its place.
 * - Where it is not known whether a write was stored, it is repeated as it is until its outcome is known. The next occurrence
 *   begins a new series meanwhile, so that it neither waits, nor counts the other one, nor hides it. Without one, the series
 *   goes on once the write is known to be stored.
 * - At most `capacity` series are remembered. An event that was forgotten begins a new series.
 * - What is remembered of a series is what tells it from others, and numbers: no data of its event.
 */
import type { EventBody, Occurrence, Write } from "../../Event.ts"
import type { EventId } from "../../EventId.ts"
import type { ObjectReference } from "../../ObjectReference.ts"
import type { Micros } from "../../Timestamp.ts"
import { sameObject } from "../correlation/identity.ts"
import { ByUse } from "../correlation/series.ts"
import { bodyOf } from "../eventBody.ts"

/** What begins the write of an occurrence that waited. */
type Turn = () => void

/** @internal */
export class Series {
  // What tells events of one recorder apart: they have one source and one reporter.
  readonly involvedObject: ObjectReference
  readonly related: ObjectReference | undefined
  readonly reason: string
  readonly type: string
  readonly action: string
  readonly message: string

  /** Of the first occurrence; none before that is stored. */
  private id: EventId | undefined = undefined
  private count = 0
  private first: Micros = 0
  private last: Micros = 0
  private writing: Write | undefined = undefined
  private waiting: Array<Turn> | undefined = undefined
  private isGivingTurns = false

  /** Another series with the same message about an object of the same name. */
  next: Series | undefined = undefined
  older: Series | undefined = undefined
  newer: Series | undefined = undefined

  constructor({ action, involvedObject, message, reason, related, type }: EventBody) {
    this.involvedObject = involvedObject
    this.related = related
    this.reason = reason
    this.type = type
    this.action = action
    this.message = message
  }

  has(event: EventBody): boolean {
    const { related } = this
    return (
      this.reason === event.reason &&
      this.type === event.type &&
      this.action === event.action &&
      sameObject(this.involvedObject, event.involvedObject, true) &&
      (related === event.related ||
        (related !== undefined && event.related !== undefined && sameObject(related, event.related, true)))
    )
  }

  /** Whether a write of it has no outcome. */
  get isBusy(): boolean {
    return this.writing !== undefined
  }

  /** The write that counts this occurrence. One of `settle`, `refuse` and `abandon` ends it. */
  begin(id: EventId, occurrence: Occurrence): Write {
    const { at, message } = occurrence
    const write: Write =
      this.id === undefined
        ? { id, upTo: id.seq, count: 1, first: at, last: at, event: bodyOf(occurrence, message) }
        : {
            id: this.id,
            upTo: id.seq,
            count: this.count + 1,
            first: Math.min(this.first, at),
            last: Math.max(this.last, at),
            event: bodyOf(occurrence, message)
          }
    this.writing = write
    return write
  }

  /** The write is stored. Of one that was abandoned before, the series goes on where no other was begun meanwhile. */
  settle(write: Write): void {
    const isOpen = this.writing === write
    if (!isOpen && (this.isBusy || this.id !== undefined)) return
    this.id = write.id
    this.count = write.count
    this.first = write.first
    this.last = write.last
    if (isOpen) this.end()
  }

  /** The write certainly is not stored, and will not be. */
  refuse(write: Write): void {
    if (this.writing === write) this.end()
  }

  /** It is not known whether the write is stored: the next occurrence begins a new series. */
  abandon(write: Write): void {
    if (this.writing !== write) return
    this.id = undefined
    this.end()
  }

  /** Calls `turn` once no write of the series is without an outcome: it begins the next one. */
  wait(turn: Turn): void {
    if (this.waiting === undefined) this.waiting = [turn]
    else this.waiting.push(turn)
  }

  /** For what does not wait any more. */
  leave(turn: Turn): void {
    const index = this.waiting?.indexOf(turn) ?? -1
    if (index >= 0) this.waiting!.splice(index, 1)
  }

  private end(): void {
    this.writing = undefined
    // Where the backend answers at once, the write of one turn ends in that turn, and calls this again.
    if (this.waiting === undefined || this.isGivingTurns) return
    this.isGivingTurns = true
    while (!this.isBusy && this.waiting.length > 0) this.waiting.shift()!()
    this.isGivingTurns = false
    if (this.waiting.length === 0) this.waiting = undefined
  }
}

/**
 * The series of a recorder, by what tells events apart.
 *
 * Looked up by their message, and where several objects have the same one, by the object too: most messages name what they
 * are about, and one look-up costs a fraction of making a key of everything.
 *
 * @internal
 */
export class Repeats {
  private readonly byMessage = new Map<string, Series | Map<string, Series>>()
  private readonly byUse = new ByUse<Series>()
  private readonly capacity: number

  constructor(capacity: number) {
    this.capacity = capacity
  }

  get size(): number {
    return this.byUse.size
  }

  /** The series that an event belongs to. */
  of(event: EventBody): Series {
    const { message } = event
    const found = this.byMessage.get(message)
    let first: Series | undefined
    if (found === undefined) first = undefined
    else if (!(found instanceof Series)) first = found.get(keyOf(event.involvedObject))
    else if (sameName(found.involvedObject, event.involvedObject)) first = found
    for (let series = first; series !== undefined; series = series.next) {
      if (!series.has(event)) continue
      this.byUse.touch(series)
      return series
    }
    const series = new Series(event)
    if (first === undefined) this.add(series, found)
    else {
      series.next = first.next
      first.next = series
    }
    this.byUse.add(series)
    if (this.byUse.size > this.capacity) this.forgetOldest()
    return series
  }

  private add(series: Series, found: Series | Map<string, Series> | undefined): void {
    if (found === undefined) this.byMessage.set(series.message, series)
    else if (!(found instanceof Series)) found.set(keyOf(series.involvedObject), series)
    else {
      const objects = new Map([
        [keyOf(found.involvedObject), found],
        [keyOf(series.involvedObject), series]
      ])
      this.byMessage.set(series.message, objects)
    }
  }

  private forgetOldest(): void {
    const series = this.byUse.oldest!
    this.byUse.remove(series)
    const { involvedObject, message } = series
    const found = this.byMessage.get(message)!
    const first = found instanceof Series ? found : found.get(keyOf(involvedObject))!
    if (first !== series) {
      let before = first
      while (before.next !== series) before = before.next!
      before.next = series.next
    } else if (series.next !== undefined) {
      if (found instanceof Series) this.byMessage.set(message, series.next)
      else found.set(keyOf(involvedObject), series.next)
    } else if (found instanceof Series) this.byMessage.delete(message)
    else {
      found.delete(keyOf(involvedObject))
      if (found.size === 0) this.byMessage.delete(message)
    }
  }
}

const sameName = (one: ObjectReference, other: ObjectReference): boolean =>
  one === other || (one.name === other.name && one.namespace === other.namespace)

/** Unambiguous, because a namespace contains no slash. */
const keyOf = ({ name, namespace = "" }: ObjectReference): string => `${namespace}/${name}`
