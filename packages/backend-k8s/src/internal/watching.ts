/**
 * Watches of events: each change once, also when connections break, the server drops its history, or the caller resumes
 * with a cursor.
 *
 * The API server sends no bookmarks for events and keeps history for five minutes only, so the position of a quiet watch
 * becomes too old. A position that may be too old is not tried: a list gives a newer one. Where the server says that
 * history is gone, a list gives the events that still exist, and a `Gap` tells the caller.
 */
import * as BackendError from "@tidings/core/BackendError"
import type { ClusterRef } from "@tidings/core/Event"
import * as EventId from "@tidings/core/EventId"
import * as EventQuery from "@tidings/core/EventQuery"
import * as Position from "@tidings/core/Position"
import * as Target from "@tidings/core/Target"
import type * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Random from "effect/Random"
import * as Result from "effect/Result"
import * as Schedule from "effect/Schedule"
import * as Stream from "effect/Stream"
import type { KubernetesConnection } from "../KubernetesConnection.ts"
import * as KubernetesEvent from "../KubernetesEvent.ts"
import { versionNumber } from "../KubernetesEvent.ts"
import * as json from "./json.ts"
import type { Listing } from "./listing.ts"
import { Lru } from "./lru.ts"
import * as ownCluster from "./ownCluster.ts"
import { notKubernetes, readErrorOf } from "./requestErrors.ts"
import { isExpired, statusOf } from "./response.ts"
import * as selection from "./selection.ts"

/** How long the server keeps history at least: it compacts every five minutes what is older than five minutes. */
const HISTORY_MILLIS = 240_000

/**
 * Each watch request asks the server to end it after a random time between these. A watch that is open for longer than that
 * is on a dead connection, which is found so within 45 seconds, also behind a load balancer that answers TCP keepalives
 * for a server that is gone. A watch that ends in time continues over the same connection with one small request.
 */
const MINIMUM_WATCH_SECONDS = 25
const MAXIMUM_WATCH_SECONDS = 36
const OVERDUE_MILLIS = 8_000

/** A watch that ends sooner, without an event, may mean that history is gone: old servers say it so. */
const SHORT_MILLIS = 1_000

const FIRST_PAUSE_MILLIS = 400
const LONGEST_PAUSE_MILLIS = 10_000

/** How long `Unauthorized` and `Unavailable` are retried: a server that starts answers so for a while. */
const REFUSED_MILLIS = 300_000

/** Delays of 150, 500 and 1,500 milliseconds or thereabouts. */
const START_RETRIES = { schedule: Schedule.exponential("150 millis", 3.2), times: 3 }

/**
 * Age of the position of a copy of everything after which it is brought up to date by a list, also where nothing changes: a cluster
 * keeps five minutes of history by default, and a copy that is started again has to find its position in it.
 */
const COPY_POSITION_MILLIS = 60_000
/** Events of a list from which on it is asked for less often, and that age then. */
const LONG_LIST = 1_000
const COPY_POSITION_OF_LONG_LISTS_MILLIS = 200_000
/** The same after a copy was resumed, because the age of its position is not known. */
const RESUMED_MILLIS = 20_000

/** Number of series whose last state is kept, to tell a count that grew from a label that changed. */
const REMEMBERED = 4_096

/** @internal */
export interface Options {
  readonly connection: KubernetesConnection["Service"]
  readonly listing: Listing
  readonly clusterOf: (target: Target.Target) => ClusterRef
  readonly clock: Clock.Clock
  readonly random: Random.Random
}

/** Where a watch stands. */
interface State {
  /** The resourceVersion up to which everything was emitted or is in the snapshot. */
  position: string
  /** When the position was the newest one; `undefined` for a position from a cursor. */
  freshAt: number | undefined
  /** Before `Live` is emitted: the version to reach of each event that changed since the cursor. */
  catchingUp: Map<string, number> | undefined
  /** The next request: watch from the position, or list what changed since. */
  next: "watch" | "relist"
  /** The reason of the `Gap` to emit with the next list; `undefined` where there is none. */
  gap: string | undefined
  /** Start of the open watch request. */
  openedAt: number | undefined
  shortWatches: number
  failures: number
  failingSince: number | undefined
  pauseMillis: number
  verify: boolean
  /** The epoch of the connection in which the cluster was last verified. */
  confirmedAt: number
  /**
   * While everything is copied: the version that the position becomes when the watch that was opened after it ends without a
   * change, and a list has nothing that is newer.
   */
  promised: { readonly version: string; readonly isListed: boolean } | undefined
  /** While everything is copied: when the last watch ended as it should, up to which everything was yielded. */
  completeAt: number | undefined
  /** Number of events in the last list, and when it began. */
  listed: number
  listedAt: number | undefined
}

/** Of one who copies everything, before the first list is complete. */
const BEGINNING = "0"

interface Batch {
  readonly items: ReadonlyArray<EventQuery.WatchItem>
  /** Number of changes, including those without an item. */
  readonly changes: number
  readonly isLast: boolean
  /** A line that is no change of an API server. */
  readonly unexpected: string | undefined
}

const mismatch = (detail: string) => BackendError.make(new BackendError.CursorMismatch({ detail }))

const keyOf = (stored: KubernetesEvent.StoredEvent): string => `${stored.namespace}/${stored.event.name}`

/** @internal */
export const make =
  (options: Options) =>
  (
    filter: EventQuery.EventFilter,
    from: EventQuery.WatchFrom
  ): Stream.Stream<EventQuery.WatchItem, BackendError.BackendError> =>
    Stream.unwrap(
      Effect.gen(function* () {
        const epoch = options.connection.epoch()
        const target = yield* retryStart(options.connection.target)
        const scope: Position.Scope = { mode: "kubernetes", target, filter }
        const follower = new Follower(options, scope, epoch)
        const snapshot = yield* retryStart(follower.begin(from))
        return Stream.concat(Stream.fromIterable(snapshot), follower.follow)
      })
    )

/**
 * The watch of one who copies everything (`EventReader.copy`): what there is comes page by page.
 *
 * @internal
 */
export const copying =
  (options: Options) =>
  (
    filter: EventQuery.EventFilter,
    from: "beginning" | EventQuery.Cursor
  ): Stream.Stream<EventQuery.WatchItem, BackendError.BackendError> =>
    Stream.unwrap(
      Effect.gen(function* () {
        const epoch = options.connection.epoch()
        const target = yield* retryStart(options.connection.target)
        const follower = new Follower(options, { mode: "kubernetes", target, filter }, epoch, true)
        yield* retryStart(follower.beginCopy(from))
        return follower.follow
      })
    )

/** Retries for two seconds: a server that has just started refuses requests for a moment. */
const retryStart = <A>(
  effect: Effect.Effect<A, BackendError.BackendError>
): Effect.Effect<A, BackendError.BackendError> =>
  Effect.retry(effect, {
    ...START_RETRIES,
    while: ({ reason: { _tag } }) => _tag === "Transient" || _tag === "Throttled" || _tag === "Unauthorized"
  })

class Follower {
  private readonly options: Options
  private readonly scope: Position.Scope
  private readonly matches: ReturnType<typeof EventQuery.matcher>
  private readonly selected: selection.Selection
  private readonly cursorAt: (position: string) => EventQuery.Cursor
  /** The state of each series when it was last emitted. */
  private readonly seen = new Lru<string>(REMEMBERED)
  private readonly state: State = {
    position: "0",
    freshAt: undefined,
    catchingUp: undefined,
    next: "watch",
    gap: undefined,
    openedAt: undefined,
    shortWatches: 0,
    failures: 0,
    failingSince: undefined,
    pauseMillis: 0,
    verify: false,
    confirmedAt: 0,
    promised: undefined,
    completeAt: undefined,
    listed: 0,
    listedAt: undefined
  }
  /** Whether everything is copied (`EventReader.copy`). */
  private readonly isCopying: boolean

  constructor(options: Options, scope: Position.Scope, epoch: number, isCopying = false) {
    this.isCopying = isCopying
    this.state.confirmedAt = epoch
    this.options = options
    this.scope = scope
    this.matches = EventQuery.matcher(scope.filter)
    this.selected = { filter: scope.filter, cluster: options.clusterOf(scope.target) }
    this.cursorAt = Position.cursorEncoder(scope)
  }

  private ageOf(time: number | undefined): number {
    return time === undefined ? 0 : this.now() - time
  }

  private now(): number {
    return this.options.clock.currentTimeMillisUnsafe()
  }

  // -------------------------------------------------------------------------
  // start
  // -------------------------------------------------------------------------

  begin(from: EventQuery.WatchFrom): Effect.Effect<ReadonlyArray<EventQuery.WatchItem>, BackendError.BackendError> {
    const { listing } = this.options
    if (from === "now") {
      return Effect.map(listing.version(this.selected), (version) => {
        this.moveTo(version)
        return [this.live()]
      })
    }
    if (typeof from === "string" && from !== "beginning") return this.resume(from)
    const last = typeof from === "string" ? Number.POSITIVE_INFINITY : Math.max(0, from.last)
    const all: Array<KubernetesEvent.StoredEvent> = []
    return Effect.map(
      listing.all(
        this.selected,
        () => {
          all.length = 0
        },
        (_, stored) => {
          if (!this.matches(stored.event)) return
          all.push(stored)
          if (all.length > 2 * last + 64) keepLast(all, last)
        }
      ),
      ({ resourceVersion }) => {
        keepLast(all, last)
        const items = all.flatMap((stored) => this.itemsOf(stored))
        this.moveTo(resourceVersion)
        return [...items, this.live()]
      }
    )
  }

  private resume(
    cursor: EventQuery.Cursor
  ): Effect.Effect<ReadonlyArray<EventQuery.WatchItem>, BackendError.BackendError> {
    const decoded = this.positionOf(cursor)
    if (Result.isFailure(decoded)) return Effect.fail(decoded.failure)
    const position = decoded.success
    return Effect.flatMap(this.versionsSince(position), ({ resourceVersion, versions }) =>
      Effect.suspend(() => {
        const refused = this.checkVersion(position, resourceVersion)
        if (refused !== undefined) return Effect.fail(refused)
        this.state.position = position
        if (versions.size === 0) {
          // Events that were written and deleted since still follow, before anything newer.
          return Effect.succeed([this.live()])
        }
        this.state.catchingUp = versions
        return Effect.succeed([])
      })
    )
  }

  /** The version at which a cursor is. */
  private positionOf(cursor: EventQuery.Cursor): Result.Result<string, BackendError.BackendError> {
    return Result.flatMap(Position.decodeCursor(this.scope, cursor), (position) =>
      /^\d{1,16}$/.test(position)
        ? Result.succeed(position)
        : Result.fail(mismatch("its position is not a number; start over without it"))
    )
  }

  /** Begins to copy everything, or what came after a cursor. */
  beginCopy(from: "beginning" | EventQuery.Cursor): Effect.Effect<void, BackendError.BackendError> {
    const decoded = from === "beginning" ? Result.succeed(BEGINNING) : this.positionOf(from)
    if (Result.isFailure(decoded)) return Effect.fail(decoded.failure)
    const position = decoded.success
    // Asked first, so that one who may not read is told at once. No list: the watch itself yields what was missed.
    return Effect.flatMap(this.options.listing.version(this.selected), (version) => {
      const refused = this.checkVersion(position, version)
      if (refused !== undefined) return Effect.fail(refused)
      this.state.position = position
      this.state.listedAt = this.now()
      if (position === BEGINNING) this.state.next = "relist"
      else this.state.promised = { version, isListed: false }
      return Effect.void
    })
  }

  private checkVersion(position: string, current: string): BackendError.BackendError | undefined {
    return versionNumber(current) < versionNumber(position)
      ? mismatch(
          `it is at ${position} and the cluster only at ${current}: the cluster was restored to an earlier state; start ` +
            `over without it`
        )
      : undefined
  }

  // -------------------------------------------------------------------------
  // items
  // -------------------------------------------------------------------------

  private live(): EventQuery.WatchItem {
    return { _tag: "Live", cursor: this.cursorAt(this.state.position) }
  }

  private moveTo(version: string): void {
    this.state.position = version
    this.state.freshAt = this.now()
  }

  /** The item of an event; none when its state is the one last emitted or it does not match. Moves the position either way. */
  private itemsOf(stored: KubernetesEvent.StoredEvent): ReadonlyArray<EventQuery.WatchItem> {
    this.moveTo(stored.resourceVersion)
    return this.stateOf(stored, stored.resourceVersion)
  }

  /** The same with a cursor at a position, which stays where it is. */
  private stateOf(stored: KubernetesEvent.StoredEvent, position: string): ReadonlyArray<EventQuery.WatchItem> {
    const { event } = stored
    if (!this.matches(event)) return []
    const id = EventId.format(event.id)
    const state = stored.own ? String(event.upTo) : `${event.count} ${event.last} ${event.event.message}`
    if (this.seen.get(id) === state) return []
    this.seen.set(id, state)
    return [{ _tag: "Event", event, cursor: this.cursorAt(position) }]
  }

  /** Notes that an event reached a version; `Live` when it was the last one to wait for. */
  private caughtUp(key: string, version: number): ReadonlyArray<EventQuery.WatchItem> {
    const { catchingUp } = this.state
    if (catchingUp === undefined) return []
    const awaited = catchingUp.get(key)
    if (awaited !== undefined && awaited <= version) catchingUp.delete(key)
    if (catchingUp.size > 0) return []
    this.state.catchingUp = undefined
    return [this.live()]
  }

  // -------------------------------------------------------------------------
  // requests
  // -------------------------------------------------------------------------

  get follow(): Stream.Stream<EventQuery.WatchItem, BackendError.BackendError> {
    return Stream.flatMap(Stream.fromEffectRepeat(this.pause), () => this.attempt)
  }

  private readonly pause: Effect.Effect<void> = Effect.suspend(() => {
    const { pauseMillis } = this.state
    this.state.pauseMillis = 0
    return pauseMillis > 0 ? Effect.sleep(pauseMillis) : Effect.void
  })

  private readonly attempt: Stream.Stream<EventQuery.WatchItem, BackendError.BackendError> = Stream.suspend(() =>
    Stream.catchTag(Stream.unwrap(this.step), "BackendError", (error) => Stream.fromEffectDrain(this.failed(error)))
  )

  private get step(): Effect.Effect<
    Stream.Stream<EventQuery.WatchItem, BackendError.BackendError>,
    BackendError.BackendError
  > {
    const { state } = this
    return Effect.suspend(() => {
      if (state.verify || state.confirmedAt !== this.options.connection.epoch())
        return Effect.as(this.verify, Stream.empty)
      if (this.isCopying) return state.next === "relist" ? Effect.succeed(this.copyList) : this.watchToCopy
      if (state.next === "relist") return Effect.map(this.relist, Stream.fromIterable)
      // Not after a failure: then the server has to say whether history is gone, so that a gap is told.
      const isStale = state.failingSince === undefined && this.ageOf(state.freshAt) > HISTORY_MILLIS
      return isStale ? Effect.map(this.relist, Stream.fromIterable) : Effect.succeed(this.watchOnce)
    })
  }

  /** After a failure: fails when another cluster answers. A cluster set up again would accept the old position. */
  private get verify(): Effect.Effect<void, BackendError.BackendError> {
    const { connection, listing } = this.options
    return Effect.gen({ self: this }, function* () {
      const epoch = connection.epoch()
      const found = yield* connection.target
      const { target } = this.scope
      if (!Target.isContinued(target, found)) {
        return yield* ownCluster.mismatch(target, found)
      }
      const refused = this.checkVersion(this.state.position, yield* listing.version(this.selected))
      if (refused !== undefined) return yield* refused
      this.state.verify = false
      this.state.confirmedAt = epoch
    })
  }

  private changedSince(
    position: string
  ): Effect.Effect<
    { readonly changed: ReadonlyArray<KubernetesEvent.StoredEvent>; readonly resourceVersion: string },
    BackendError.BackendError
  > {
    const since = versionNumber(position)
    return Effect.map(
      this.options.listing.all(
        this.selected,
        (): Array<KubernetesEvent.StoredEvent> => [],
        (changed, stored) => {
          if (versionNumber(stored.resourceVersion) > since) changed.push(stored)
        }
      ),
      ({ collector, resourceVersion }) => ({ changed: collector.sort(oldestFirst), resourceVersion })
    )
  }

  /** The version of each event that changed since a position, without the events themselves: there may be very many. */
  private versionsSince(
    position: string
  ): Effect.Effect<
    { readonly versions: Map<string, number>; readonly resourceVersion: string },
    BackendError.BackendError
  > {
    const since = versionNumber(position)
    return Effect.map(
      this.options.listing.all(
        this.selected,
        () => {
          this.state.listed = 0
          return new Map<string, number>()
        },
        (versions, stored) => {
          this.state.listed++
          const version = versionNumber(stored.resourceVersion)
          if (version > since) versions.set(keyOf(stored), version)
        }
      ),
      ({ collector, resourceVersion }) => ({ versions: collector, resourceVersion })
    )
  }

  // -------------------------------------------------------------------------
  // copying everything
  // -------------------------------------------------------------------------

  /** What changed since the position, page by page; until the last one the position stays. */
  private readonly copyList: Stream.Stream<EventQuery.WatchItem, BackendError.BackendError> = Stream.suspend(() =>
    Stream.flatMap(this.options.listing.pages(this.selected), (page) => {
      const { state } = this
      const since = versionNumber(state.position)
      const items: Array<EventQuery.WatchItem> = []
      if (page.isFirst) {
        state.listed = 0
        state.listedAt = this.now()
        const refused = this.checkVersion(state.position, page.resourceVersion)
        if (refused !== undefined) return Stream.fail(refused)
        if (state.gap !== undefined) {
          // What changes after this list is read by the watch that follows: the gap ends here.
          const from = Math.max(state.freshAt ?? 0, state.completeAt ?? 0)
          items.push({
            _tag: "Gap",
            store: this.scope.target.id,
            ...(from === 0 ? undefined : { from: from * 1_000 }),
            to: this.now() * 1_000,
            reason: state.gap,
            cursor: this.cursorAt(state.position)
          })
        }
      }
      state.listed += page.items.length
      for (const stored of page.items) {
        if (versionNumber(stored.resourceVersion) > since) items.push(...this.stateOf(stored, state.position))
      }
      if (page.isLast) {
        this.moveTo(page.resourceVersion)
        state.freshAt = state.listedAt
        this.recovered()
        state.catchingUp = undefined
        state.gap = undefined
        state.next = "watch"
        items.push(this.live())
      }
      return Stream.fromIterable(items)
    })
  )

  /**
   * A watch, at whose end the position moves also where nothing changed. A list says that nothing has changed up to its version;
   * what came and went meanwhile is in the watch that is opened after it.
   */
  private get watchToCopy(): Effect.Effect<
    Stream.Stream<EventQuery.WatchItem, BackendError.BackendError>,
    BackendError.BackendError
  > {
    const { state } = this
    return Effect.gen({ self: this }, function* () {
      const limit = state.listed > LONG_LIST ? COPY_POSITION_OF_LONG_LISTS_MILLIS : COPY_POSITION_MILLIS
      // The age of a position that a watch was resumed from is not known.
      const isOld =
        state.freshAt === undefined ? this.ageOf(state.listedAt) > RESUMED_MILLIS : this.ageOf(state.freshAt) > limit
      if (isOld && state.failingSince === undefined && state.catchingUp === undefined) {
        const { resourceVersion, versions } = yield* this.versionsSince(state.position)
        const refused = this.checkVersion(state.position, resourceVersion)
        if (refused !== undefined) return yield* refused
        if (versions.size === 0) {
          if (state.promised !== undefined) this.moveTo(state.promised.version)
          state.promised = { version: resourceVersion, isListed: true }
        } else {
          state.promised = undefined
          state.catchingUp = versions
        }
      }
      return this.watchOnce
    })
  }

  /** The items of what changed since the position, from a list. */
  private get relist(): Effect.Effect<ReadonlyArray<EventQuery.WatchItem>, BackendError.BackendError> {
    const { state } = this
    return Effect.flatMap(this.changedSince(state.position), ({ changed, resourceVersion }) =>
      Effect.suspend(() => {
        const refused = this.checkVersion(state.position, resourceVersion)
        if (refused !== undefined) return Effect.fail(refused)
        const items: Array<EventQuery.WatchItem> = []
        if (state.gap !== undefined) {
          // Resuming from the cursor of the gap gives all events that still exist.
          const first = changed[0]
          const before = first === undefined ? resourceVersion : String(versionNumber(first.resourceVersion) - 1)
          items.push({
            _tag: "Gap",
            store: this.scope.target.id,
            ...(state.freshAt === undefined ? undefined : { from: state.freshAt * 1_000 }),
            to: this.now() * 1_000,
            reason: state.gap,
            cursor: this.cursorAt(before)
          })
        }
        for (const stored of changed) items.push(...this.itemsOf(stored))
        this.moveTo(resourceVersion)
        if (state.catchingUp !== undefined) {
          state.catchingUp = undefined
          items.push(this.live())
        }
        state.gap = undefined
        state.next = "watch"
        return Effect.succeed(items)
      })
    )
  }

  private expired(reason: string | undefined): void {
    this.state.promised = undefined
    this.state.next = "relist"
    this.state.gap = reason
    this.state.shortWatches = 0
  }

  private readonly watchOnce: Stream.Stream<EventQuery.WatchItem, BackendError.BackendError> = Stream.suspend(() =>
    Stream.unwrap(
      Effect.gen({ self: this }, function* () {
        const { clock, connection, random } = this.options
        const { state } = this
        const { namespace, path } = selection.collectionOf(this.scope.filter)
        const seconds = Math.floor(
          MINIMUM_WATCH_SECONDS + random.nextDoubleUnsafe() * (MAXIMUM_WATCH_SECONDS - MINIMUM_WATCH_SECONDS)
        )
        const response = yield* connection.open(
          selection.pathOf(path, {
            watch: "true",
            resourceVersion: state.position,
            timeoutSeconds: String(seconds),
            fieldSelector: selection.fieldSelectorOf(this.scope.filter),
            labelSelector: selection.labelSelectorOf(this.scope.filter)
          })
        )
        if (response.status !== 200) {
          const body = yield* response.text
          const status = statusOf(json.parse(body))
          if (isExpired(response.status, status)) {
            this.expired(goneBy(state.position, status?.message))
            return Stream.empty
          }
          return yield* readErrorOf(
            { status: response.status, headers: response.headers, body },
            selection.readingPermission(namespace)
          )
        }
        const openedAt = this.now()
        state.openedAt = openedAt
        let count = 0
        const lines = new Lines()
        const itemsOf = (batch: Batch): Stream.Stream<EventQuery.WatchItem, BackendError.BackendError> => {
          const items = Stream.fromIterable(batch.items)
          if (batch.unexpected === undefined) return items
          const body = batch.unexpected
          const error = notKubernetes({ status: 200, headers: response.headers, body }, "changes of events", "no")
          return Stream.concat(items, Stream.fail(error))
        }
        return response.bytes.pipe(
          // One at a time: what is read moves the position, and nothing is to be read after the last batch.
          Stream.rechunk(1),
          Stream.interruptWhen(clock.sleep(Duration.millis(seconds * 1_000 + OVERDUE_MILLIS))),
          Stream.map((chunk) => {
            const batch = this.read(lines.take(chunk))
            count += batch.changes
            if (batch.changes > 0) this.recovered()
            return batch
          }),
          Stream.takeUntil((batch) => batch.isLast),
          Stream.flatMap(itemsOf),
          Stream.concat(Stream.suspend(() => itemsOf(this.read(lines.end())))),
          Stream.concat(
            Stream.suspend(() => {
              this.closed(count, this.now() - openedAt)
              return this.isCopying ? Stream.fromIterable(this.endOfCopyWatch(count)) : Stream.empty
            })
          )
        )
      })
    )
  )

  /** After a watch ended as it should: everything that it could have was yielded. */
  private endOfCopyWatch(count: number): ReadonlyArray<EventQuery.WatchItem> {
    const { state } = this
    if (state.next !== "watch" || state.pauseMillis > 0 || state.catchingUp !== undefined) {
      state.promised = undefined
      return []
    }
    if (count === 0 && state.promised?.isListed === true) this.moveTo(state.promised.version)
    if (count > 0 || state.promised?.isListed === true) state.promised = undefined
    state.completeAt = this.now()
    return [this.live()]
  }

  /** A watch ended without an error. */
  private closed(count: number, millis: number): void {
    const { state } = this
    state.openedAt = undefined
    if (state.next !== "watch" || state.pauseMillis > 0) return
    if (count > 0 || millis >= SHORT_MILLIS) {
      this.recovered()
      // The age of a position from a cursor is unknown, so it is replaced by a new one.
      if (state.freshAt === undefined && !this.isCopying) state.next = "relist"
      return
    }
    state.shortWatches++
    state.pauseMillis = FIRST_PAUSE_MILLIS
    if (state.shortWatches < 2) return
    const isOld = state.freshAt === undefined || this.now() - state.freshAt > HISTORY_MILLIS
    // A list has the last states only: what was before them is a gap for one who copies all of them.
    this.expired(
      isOld || this.isCopying ? goneBy(state.position, "the server ended the watch at once, twice") : undefined
    )
    // A proxy that ends every watch must not cause one list after the other without a delay.
    state.failures++
    state.pauseMillis = this.nextPause()
  }

  private recovered(): void {
    this.state.failures = 0
    this.state.failingSince = undefined
    this.state.shortWatches = 0
  }

  private nextPause(): number {
    const longest = Math.min(LONGEST_PAUSE_MILLIS, FIRST_PAUSE_MILLIS * 2 ** Math.min(10, this.state.failures))
    return longest * (0.5 + 0.5 * this.options.random.nextDoubleUnsafe())
  }

  /** Ends the watch with the error, or schedules a retry. */
  private failed(error: BackendError.BackendError): Effect.Effect<void, BackendError.BackendError> {
    return Effect.suspend(() => {
      const { state } = this
      const { reason } = error
      if (reason._tag === "CursorMismatch" || reason._tag === "TargetMismatch") return Effect.fail(error)
      const now = this.now()
      if (state.openedAt !== undefined && now - state.openedAt >= SHORT_MILLIS) this.recovered()
      state.openedAt = undefined
      const isFirst = state.failingSince === undefined
      state.failingSince ??= now
      const isLasting = reason._tag === "Unauthorized" || reason._tag === "Unavailable"
      if (isLasting && now - state.failingSince > REFUSED_MILLIS) return Effect.fail(error)
      const asked =
        reason._tag === "Throttled" && reason.retryAfter !== undefined ? Duration.toMillis(reason.retryAfter) : 0
      state.pauseMillis = Math.max(asked, this.nextPause())
      state.failures++
      state.verify = true
      state.promised = undefined
      return isFirst
        ? Effect.logWarning(`the watch of events was interrupted and resumes where it was: ${reason.detail}`)
        : Effect.void
    })
  }

  // -------------------------------------------------------------------------
  // the stream of one connection
  // -------------------------------------------------------------------------

  private read(lines: ReadonlyArray<string>): Batch {
    const items: Array<EventQuery.WatchItem> = []
    let changes = 0
    for (const line of lines) {
      if (line.trim() === "") continue
      const change = parseChange(line)
      if (change === undefined) return { items, changes, isLast: true, unexpected: line }
      const { object, type } = change
      switch (type) {
        case "ADDED":
        case "MODIFIED":
        case "DELETED": {
          const stored = Result.getOrUndefined(KubernetesEvent.fromResource(object, this.selected.cluster))
          if (stored === undefined) return { items, changes, isLast: true, unexpected: line }
          changes++
          const version = versionNumber(stored.resourceVersion)
          if (version <= versionNumber(this.state.position)) continue
          // A deletion, mostly by the time to live, is no news about the event.
          if (type === "DELETED") this.moveTo(stored.resourceVersion)
          else items.push(...this.itemsOf(stored))
          items.push(...this.caughtUp(keyOf(stored), type === "DELETED" ? Number.POSITIVE_INFINITY : version))
          continue
        }
        case "BOOKMARK": {
          const version = versionIn(object)
          if (version === undefined) continue
          changes++
          this.moveTo(version)
          continue
        }
        case "ERROR": {
          const status = statusOf(object)
          if (isExpired(codeIn(object), status)) this.expired(goneBy(this.state.position, status?.message))
          else {
            this.state.failures++
            this.state.verify = true
            this.state.pauseMillis = Math.max((status?.retryAfterSeconds ?? 0) * 1_000, this.nextPause())
          }
          return { items, changes, isLast: true, unexpected: undefined }
        }
      }
    }
    return { items, changes, isLast: false, unexpected: undefined }
  }
}

const goneBy = (position: string, message: string | undefined): string =>
  `the API server no longer has the changes after ${position}${message === undefined || message === "" ? "" : ` (${message})`}; ` +
  `of events that were written and deleted since, nothing is left`

const oldestFirst = (a: KubernetesEvent.StoredEvent, b: KubernetesEvent.StoredEvent): number =>
  versionNumber(a.resourceVersion) - versionNumber(b.resourceVersion)

const keepLast = (all: Array<KubernetesEvent.StoredEvent>, last: number): void => {
  all.sort(oldestFirst)
  if (all.length > last) all.splice(0, all.length - last)
}

/** Splits chunks into lines. Only a line feed ends a line: other line separators may be in a text. */
class Lines {
  private readonly decoder = new TextDecoder()
  private rest = ""

  take(chunk: Uint8Array): ReadonlyArray<string> {
    const text = this.rest + this.decoder.decode(chunk, { stream: true })
    const lines = text.split("\n")
    this.rest = lines.pop() ?? ""
    return lines
  }

  /** The rest at the end of the response, unless it is a change that was cut off. */
  end(): ReadonlyArray<string> {
    const rest = this.rest.trim()
    this.rest = ""
    return rest.startsWith('{"type"') && parseChange(rest) === undefined ? [] : [rest]
  }
}

const parseChange = (line: string): { readonly type: unknown; readonly object: unknown } | undefined => {
  const change = json.parse(line)
  return json.isFields(change) && "type" in change && "object" in change
    ? { type: change["type"], object: change["object"] }
    : undefined
}

const codeIn = (object: unknown): number => {
  const { code } = json.fieldsOf(object)
  return typeof code === "number" ? code : 0
}

const versionIn = (object: unknown): string | undefined =>
  json.textOf(json.fieldsOf(json.fieldsOf(object)["metadata"])["resourceVersion"])
