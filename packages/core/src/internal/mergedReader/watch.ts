/**
 * Puts the items of several watches into one: `Live` comes when all of them are live. A watch that ends has nothing more to
 * say, so it counts as live.
 *
 * Where a watch begins with the last n events or with none, a cursor that holds the beginning of one reader would lead back
 * before that. So items are held until every reader has a position.
 */
import type * as EventQuery from "../../EventQuery.ts"
import * as order from "./order.ts"
import type { Position } from "./positions.ts"

const lastOf = (item: EventQuery.WatchItem): number =>
  item._tag === "Event" ? item.event.last : Number.NEGATIVE_INFINITY

/** @internal */
export class MergedWatch {
  private readonly encode: (positions: ReadonlyArray<Position<EventQuery.Cursor>>) => EventQuery.Cursor
  private readonly positions: Array<Position<EventQuery.Cursor>>
  private readonly isLive: Array<boolean>
  /** The position of each reader at the end of its snapshot. */
  private readonly liveAt: Array<Position<EventQuery.Cursor>>
  private readonly snapshots: Array<Array<EventQuery.WatchItem>>
  private readonly held: Array<readonly [number, EventQuery.WatchItem]> = []
  /** How many events of the snapshots are shown, where they are held. */
  private readonly last: number | undefined

  constructor(
    start: ReadonlyArray<Position<EventQuery.Cursor>>,
    encode: (positions: ReadonlyArray<Position<EventQuery.Cursor>>) => EventQuery.Cursor,
    from: EventQuery.WatchFrom
  ) {
    this.encode = encode
    this.positions = [...start]
    this.isLive = start.map(() => false)
    this.liveAt = start.map(() => null)
    this.snapshots = start.map(() => [])
    this.last = from === "now" ? 0 : typeof from === "object" ? from.last : undefined
  }

  /** What follows from an item of one reader. */
  take(reader: number, item: EventQuery.WatchItem): ReadonlyArray<EventQuery.WatchItem> {
    if (item._tag === "Live") {
      if (this.last === undefined) this.positions[reader] = item.cursor
      else this.liveAt[reader] = item.cursor
      return this.becomeLive(reader)
    }
    if (this.last === undefined || this.areLive()) return [this.emit(reader, item)]
    if (this.isLive[reader]) this.held.push([reader, item])
    else this.snapshots[reader]!.push(item)
    return []
  }

  /** What follows from the end of one reader's watch. */
  end(reader: number): ReadonlyArray<EventQuery.WatchItem> {
    if (this.isLive[reader]) return []
    this.liveAt[reader] = this.snapshots[reader]!.at(-1)?.cursor ?? null
    return this.becomeLive(reader)
  }

  live(): EventQuery.WatchItem {
    return { _tag: "Live", cursor: this.encode(this.positions) }
  }

  private areLive(): boolean {
    return this.isLive.every(Boolean)
  }

  private becomeLive(reader: number): ReadonlyArray<EventQuery.WatchItem> {
    const wereLive = this.areLive()
    this.isLive[reader] = true
    if (wereLive || !this.areLive()) return []
    return this.last === undefined ? [this.live()] : this.showHeld(this.last)
  }

  private emit(reader: number, item: EventQuery.WatchItem): EventQuery.WatchItem {
    this.positions[reader] = item.cursor
    return { ...item, cursor: this.encode(this.positions) }
  }

  /** The last n of all snapshots, then what came meanwhile; a cursor leads back to before what is shown of each reader. */
  private showHeld(last: number): ReadonlyArray<EventQuery.WatchItem> {
    const merged = order.merge(this.snapshots, (one, other) => lastOf(one) < lastOf(other))
    const hidden = merged.slice(0, Math.max(0, merged.length - last))
    for (const { reader, value } of hidden) this.positions[reader] = value.cursor
    const shown = merged.slice(hidden.length).map(({ reader, value }) => this.emit(reader, value))
    for (const [reader, at] of this.liveAt.entries()) this.positions[reader] = at ?? this.positions[reader]!
    return [...shown, this.live(), ...this.held.map(([reader, item]) => this.emit(reader, item))]
  }
}
