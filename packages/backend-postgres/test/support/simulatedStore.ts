/**
 * A store of events for simulated worlds that has a history of changes: a cluster, whose etcd forgets its history and may be
 * restored, or an event log, which keeps the last states of everything and removes the oldest changes.
 *
 * Like a cluster it is read page by page at the beginning and after a gap (`copy`), like a log in the order of change.
 */
import { BackendError, CursorMismatch, Transient } from "@tidings/core/BackendError"
import type { Event } from "@tidings/core/Event"
import type { Cursor, WatchItem } from "@tidings/core/EventQuery"
import type * as EventReader from "@tidings/core/EventReader"
import * as Target from "@tidings/core/Target"
import type { Simulation } from "@tidings/testing/Simulation"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"

export interface Stored {
  readonly event: Event
  readonly version: number
}

interface Change extends Stored {
  readonly isRemoved: boolean
}

export interface Faults {
  /** The chance that a request fails, or a watch breaks at an item. */
  broken: number
  /** The chance that a watch says nothing more. */
  silent: number
}

const STORE = "cluster-1"
const PAGE = 3
const PAUSE_MILLIS = 400
/** A watch that says nothing for so long ends, as those of a cluster do. */
const WATCH_MILLIS = 30_000

const broken = new BackendError({ reason: new Transient({ applied: "no", detail: "the connection broke" }) })

export class SimulatedStore {
  readonly simulation: Simulation
  readonly kind: "cluster" | "log"
  readonly faults: Faults = { broken: 0, silent: 0 }
  private readonly dice: Simulation["dice"]
  private version = 10
  private current = new Map<string, Stored>()
  private changes: Array<Change> = []
  /** Changes up to here are no longer kept. */
  private forgotten = 0
  /** How often it was restored: a watch of before breaks. */
  private restores = 0
  private number = 0
  /** Every state that there ever was. */
  readonly states: Array<Event> = []
  /** How often a reader was told of a gap. */
  gaps = 0

  constructor(simulation: Simulation, kind: "cluster" | "log") {
    this.simulation = simulation
    this.kind = kind
    this.dice = simulation.dice.fork("store")
  }

  // -------------------------------------------------------------------------
  // what happens
  // -------------------------------------------------------------------------

  private put(uid: string, count: number, first: number): void {
    this.version++
    const now = this.simulation.now()
    const event: Event = {
      id: { origin: uid, seq: 0 },
      upTo: this.version,
      count,
      first,
      last: now,
      name: uid,
      namespace: "default",
      cluster: { id: STORE, name: "context" },
      resourceVersion: String(this.version),
      event: {
        involvedObject: { kind: "Pod", name: uid, namespace: "default" },
        reason: "BackOff",
        type: "Warning",
        action: "BackOff",
        // Tells states apart that have the same number.
        message: `state ${++this.number}`,
        data: {},
        source: { component: "kubelet" },
        reportingController: "kubelet",
        reportingInstance: "node-1"
      }
    }
    const stored = { event, version: this.version }
    this.current.set(uid, stored)
    this.changes.push({ ...stored, isRemoved: false })
    this.states.push(event)
  }

  create(): void {
    this.put(`uid-${this.number + 1}`, 1, this.simulation.now())
  }

  bump(): void {
    const all = [...this.current.values()]
    if (all.length === 0) return this.create()
    const { event } = this.dice.pick(all)
    this.put(event.id.origin, event.count + 1, event.first)
  }

  remove(): void {
    const all = [...this.current.values()]
    if (this.kind === "log" || all.length < 4) return
    const stored = this.dice.pick(all)
    this.version++
    this.current.delete(stored.event.id.origin)
    this.changes.push({ event: stored.event, version: this.version, isRemoved: true })
  }

  /** An event that only history shows: it is removed at once. */
  comeAndGo(): void {
    this.create()
    if (this.kind === "log") return
    const newest = [...this.current.values()].at(-1)!
    this.version++
    this.current.delete(newest.event.id.origin)
    this.changes.push({ event: newest.event, version: this.version, isRemoved: true })
  }

  /** Forgets the changes up to some of the last ones. */
  forget(): void {
    const kept = this.dice.integer(0, 1) * this.dice.integer(1, 3)
    this.forgotten = Math.max(this.forgotten, (this.changes.at(-1)?.version ?? 0) - kept)
    this.changes = this.changes.filter(({ version }) => version > this.forgotten)
  }

  /** What is in a backup now; and how it is restored. */
  backup(): () => void {
    const current = new Map(this.current)
    const changes = [...this.changes]
    const { forgotten, version } = this
    return () => {
      this.current = new Map(current)
      this.changes = [...changes]
      this.forgotten = forgotten
      this.version = version
      this.restores++
    }
  }

  /** Other objects than events change. */
  passVersions(by: number): void {
    this.version += by
  }

  // -------------------------------------------------------------------------
  // reading
  // -------------------------------------------------------------------------

  private cursorAt(version: number): Cursor {
    return String(version) as Cursor
  }

  private get request(): Effect.Effect<void, BackendError> {
    return Effect.andThen(
      Effect.suspend(() => Effect.sleep(this.dice.integer(1, 200))),
      Effect.suspend(() => {
        if (!this.dice.chance(this.faults.broken)) return Effect.void
        this.simulation.count("store.broken")
        return Effect.fail(broken)
      })
    )
  }

  private check(position: number): Effect.Effect<void, BackendError> {
    return Effect.suspend(() =>
      position > this.version
        ? Effect.fail(new BackendError({ reason: new CursorMismatch({ detail: "it is ahead of the store" }) }))
        : Effect.void
    )
  }

  private item({ event }: Stored, at: number): WatchItem {
    return { _tag: "Event", event, cursor: this.cursorAt(at) }
  }

  private gap(at: number, from: number | undefined): WatchItem {
    this.gaps++
    this.simulation.count("store.gap")
    const now = this.simulation.now()
    return {
      _tag: "Gap",
      store: STORE,
      ...(from === undefined ? undefined : { from }),
      to: now,
      reason: "history was forgotten",
      cursor: this.cursorAt(at)
    }
  }

  /** Everything that changed since a position, page by page, as it is at one moment. */
  private pages(since: number, before: () => ReadonlyArray<WatchItem>, reached: (version: number, at: number) => void) {
    return Stream.unwrap(
      Effect.map(Effect.andThen(this.request, this.check(since)), () => {
        const { version } = this
        const at = this.simulation.now()
        const first = before()
        const all = [...this.current.values()]
          .filter((stored) => stored.version > since)
          .sort((a, b) => (a.event.id.origin < b.event.id.origin ? -1 : 1))
        const pages: Array<ReadonlyArray<WatchItem>> = [first]
        for (let at = 0; at < all.length; at += PAGE) {
          pages.push(all.slice(at, at + PAGE).map((stored) => this.item(stored, since)))
        }
        return Stream.concat(
          Stream.fromIterable(pages).pipe(
            Stream.mapEffect((page) => Effect.as(this.request, page)),
            Stream.flattenIterable
          ),
          Stream.suspend(() => {
            reached(version, at)
            return Stream.succeed<WatchItem>({ _tag: "Live", cursor: this.cursorAt(version) })
          })
        )
      })
    )
  }

  /** One who reads as a cluster is read, or a log. */
  private follow(from: "beginning" | Cursor): Stream.Stream<WatchItem, BackendError> {
    let position = from === "beginning" ? 0 : Number(from)
    const isPaged = this.kind === "cluster"
    const { restores } = this
    let freshAt: number | undefined
    const reached = (version: number, at = this.simulation.now()): void => {
      position = version
      freshAt = at
    }
    const list = (before: () => ReadonlyArray<WatchItem>) => this.pages(position, before, reached)

    const next: Effect.Effect<Stream.Stream<WatchItem, BackendError>, BackendError> = Effect.gen(
      { self: this },
      function* () {
        let waited = 0
        while (true) {
          if (this.restores !== restores) {
            yield* this.request
            yield* this.check(position)
            return yield* Effect.fail(broken)
          }
          if (this.dice.chance(this.faults.silent)) {
            this.simulation.count("store.silent")
            return yield* Effect.never
          }
          if (position < this.forgotten && position > 0) {
            if (isPaged) return list(() => [this.gap(position, freshAt)])
            const gap = this.gap(this.forgotten, undefined)
            position = this.forgotten
            return Stream.succeed(gap)
          }
          const changes = this.changes.filter(({ version }) => version > position)
          if (changes.length > 0) {
            const items: Array<WatchItem> = []
            for (const change of changes.slice(0, this.dice.integer(1, 4))) {
              if (this.dice.chance(this.faults.broken)) {
                this.simulation.count("store.cut")
                return Stream.concat(Stream.fromIterable(items), Stream.fail(broken))
              }
              position = change.version
              if (!change.isRemoved) items.push(this.item(change, change.version))
            }
            freshAt = this.simulation.now()
            if (items.length > 0) return Stream.fromIterable(items)
            continue
          }
          if (isPaged && waited > WATCH_MILLIS) {
            // Nothing has changed up to here.
            reached(this.version)
            return Stream.succeed<WatchItem>({ _tag: "Live", cursor: this.cursorAt(position) })
          }
          waited += PAUSE_MILLIS
          yield* Effect.sleep(PAUSE_MILLIS)
        }
      }
    )
    const tail = Stream.flatMap(Stream.fromEffectRepeat(next), (items) => items)
    // As of a cluster: the cursor of a copy that is not complete leads back to its beginning.
    if (isPaged && position === 0)
      return Stream.concat(
        list(() => []),
        tail
      )
    if (isPaged) {
      // As of a cluster: a list in which nothing is newer makes it live, before the watch finds out whether history is gone.
      const live = Effect.map(Effect.andThen(this.request, this.check(position)), (): ReadonlyArray<WatchItem> => {
        const isQuiet = ![...this.current.values()].some(({ version }) => version > position)
        return isQuiet ? [{ _tag: "Live", cursor: this.cursorAt(position) }] : []
      })
      return Stream.concat(Stream.flattenIterable(Stream.fromEffect(live)), tail)
    }
    const begin = Effect.gen({ self: this }, function* () {
      yield* this.request
      yield* this.check(position)
      const items: Array<WatchItem> = []
      if (from === "beginning") {
        const all = [...this.current.values()].sort((a, b) => a.version - b.version)
        items.push(...all.map((stored) => this.item(stored, stored.version)))
        reached(this.version)
      } else {
        if (position < this.forgotten) {
          items.push(this.gap(this.forgotten, undefined))
          position = this.forgotten
        }
        for (const change of this.changes) {
          if (change.version > position) items.push(this.item(change, change.version))
        }
        reached(this.version)
      }
      items.push({ _tag: "Live", cursor: this.cursorAt(position) })
      return items
    })
    return Stream.concat(Stream.flattenIterable(Stream.fromEffect(begin)), tail)
  }

  get reader(): EventReader.Service {
    const target = Effect.as(this.request, Target.make(STORE))
    // What an archive asks is since when the store is complete: this one does not know.
    const query = () =>
      Effect.as(this.request, {
        events: [],
        totalCount: 0,
        cursor: this.cursorAt(this.version),
        coverage: [{ store: STORE, since: "unknown" as const, until: "unknown" as const, gaps: [] }]
      })
    return this.kind === "cluster"
      ? {
          mode: "kubernetes",
          target,
          query,
          watch: () => Stream.die(new Error("a cluster is copied")),
          copy: (_, from) => Stream.suspend(() => this.follow(from))
        }
      : {
          mode: "filesystem",
          target,
          query,
          watch: (_, from) => Stream.suspend(() => this.follow(from as "beginning" | Cursor))
        }
  }
}
