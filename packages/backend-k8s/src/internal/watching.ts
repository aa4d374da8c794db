/**
 * Watches that neither lose nor repeat a change, over connections that break, servers that forget, and restarts.
 *
 * The API server sends no bookmarks for events, so the position of a quiet watch grows old, and history is kept for five
 * minutes only. A position that may be too old by now is not tried: a list brings it up to date. When the server says
 * that history is gone, a list brings what survived, and a `Gap` says so.
 */
import * as BackendError from "@tidings/core/BackendError"
import * as EventId from "@tidings/core/EventId"
import * as EventQuery from "@tidings/core/EventQuery"
import * as Position from "@tidings/core/Position"
import * as Target from "@tidings/core/Target"
import type * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Random from "effect/Random"
import * as Result from "effect/Result"
import * as Stream from "effect/Stream"
import type { KubernetesConnection } from "../KubernetesConnection.ts"
import * as KubernetesEvent from "../KubernetesEvent.ts"
import { versionNumber } from "../KubernetesEvent.ts"
import * as answer from "./answer.ts"
import type { Listing } from "./listing.ts"
import { Lru } from "./lru.ts"
import * as ownCluster from "./ownCluster.ts"
import * as selection from "./selection.ts"

/** How long the server keeps history at least: it compacts every five minutes what is older than five minutes. */
const HISTORY_MILLIS = 240_000

/**
 * The server is asked to end a watch after a time between these, and one that did not end in a few seconds more has lost
 * its other side: so a connection that only seems to live is found within 45 seconds, also behind a load balancer that
 * answers the system's own questions for a server that is gone. A watch that ends in order goes on over the same
 * connection, which costs one small request.
 */
const MINIMUM_WATCH_SECONDS = 25
const MAXIMUM_WATCH_SECONDS = 36
const OVERDUE_MILLIS = 8_000

/** A watch that ends sooner than this without an event may be a refusal: old servers answer so for history that is gone. */
const SHORT_MILLIS = 1_000

const FIRST_PAUSE_MILLIS = 400
const LONGEST_PAUSE_MILLIS = 10_000

/** How long a refusal may last that a server also gives while it starts. */
const PATIENCE_MILLIS = 300_000

/** The pauses before a watch that has not begun yet gives up. */
const BEGINNING_PAUSES_MILLIS = [150, 500, 1_500]

/** How many series are remembered, to tell a count that grew from a label that changed. */
const REMEMBERED = 4_096

/** @internal */
export interface Options {
  readonly connection: KubernetesConnection["Service"]
  readonly listing: Listing
  readonly clock: Clock.Clock
  readonly random: Random.Random
}

/** Where a watch stands. */
interface State {
  /** Everything up to here has left, or is in the snapshot. */
  position: string
  /** When the position was the newest there was; `undefined` when nobody knows. */
  freshAt: number | undefined
  /** What is to be seen before the snapshot is over: the version of each event that changed while nobody watched. */
  catchingUp: Map<string, number> | undefined
  /** What to do next: go on from the position, or read what changed since. */
  next: "watch" | "relist"
  /** Why history before the next list is gone, where it is. */
  gap: string | undefined
  /** Since when the connection of this watch is open. */
  openedAt: number | undefined
  shortWatches: number
  failures: number
  failingSince: number | undefined
  pauseMillis: number
  verify: boolean
  /** The epoch of the connection in which the cluster was the one that is watched. */
  confirmedAt: number
}

interface Batch {
  readonly items: ReadonlyArray<EventQuery.WatchItem>
  /** How many changes it told of, also of those that are no news. */
  readonly changes: number
  readonly isLast: boolean
  /** What is no change of an API server, where it is none. */
  readonly foreign: string | undefined
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
        const target = yield* patiently(options.connection.target)
        const scope: Position.Scope = { mode: "kubernetes", target, filter }
        const follower = new Follower(options, scope, epoch)
        const snapshot = yield* patiently(follower.begin(from))
        return Stream.concat(Stream.fromIterable(snapshot), follower.follow)
      })
    )

/** A server that has just started refuses for a moment; and nobody wants to begin a watch twice. */
const patiently = <A>(
  effect: Effect.Effect<A, BackendError.BackendError>
): Effect.Effect<A, BackendError.BackendError> => {
  const attempt = (tries: number): Effect.Effect<A, BackendError.BackendError> =>
    Effect.catch(effect, (error) => {
      const pause = BEGINNING_PAUSES_MILLIS[tries]
      const { _tag } = error.reason
      const isPassing = _tag === "Transient" || _tag === "Throttled" || _tag === "Unauthorized"
      return pause !== undefined && isPassing
        ? Effect.andThen(Effect.sleep(pause), attempt(tries + 1))
        : Effect.fail(error)
    })
  return attempt(0)
}

class Follower {
  private readonly options: Options
  private readonly scope: Position.Scope
  private readonly cursorAt: (position: string) => EventQuery.Cursor
  /** What each series was when it left last. */
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
    confirmedAt: 0
  }

  constructor(options: Options, scope: Position.Scope, epoch: number) {
    this.state.confirmedAt = epoch
    this.options = options
    this.scope = scope
    this.cursorAt = Position.cursorEncoder(scope)
  }

  private ageOf(time: number | undefined): number {
    return time === undefined ? 0 : this.now() - time
  }

  private now(): number {
    return this.options.clock.currentTimeMillisUnsafe()
  }

  // -------------------------------------------------------------------------
  // the beginning
  // -------------------------------------------------------------------------

  begin(from: EventQuery.WatchFrom): Effect.Effect<ReadonlyArray<EventQuery.WatchItem>, BackendError.BackendError> {
    const { listing } = this.options
    const { filter } = this.scope
    if (from === "now") {
      return Effect.map(listing.version(filter), (version) => {
        this.moveTo(version)
        return [this.live()]
      })
    }
    if (typeof from === "string" && from !== "beginning") return this.resume(from)
    const last = typeof from === "string" ? Number.POSITIVE_INFINITY : Math.max(0, from.last)
    const all: Array<KubernetesEvent.StoredEvent> = []
    return Effect.map(
      listing.all(
        filter,
        () => {
          all.length = 0
        },
        (_, stored) => {
          if (!EventQuery.matches(filter, stored.event)) return
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
    const decoded = Position.decodeCursor(this.scope, cursor)
    if (Result.isFailure(decoded)) return Effect.fail(decoded.failure)
    const position = decoded.success
    if (!/^\d{1,16}$/.test(position)) return Effect.fail(mismatch("its position is no number; begin anew without it"))
    return Effect.flatMap(this.changedSince(position), ({ changed, resourceVersion }) =>
      Effect.suspend(() => {
        const refused = this.checkVersion(position, resourceVersion)
        if (refused !== undefined) return Effect.fail(refused)
        this.state.position = position
        if (changed.length === 0) {
          // Whatever was written and deleted again meanwhile still comes, before anything newer.
          return Effect.succeed([this.live()])
        }
        this.state.catchingUp = new Map(
          changed.map((stored) => [keyOf(stored), versionNumber(stored.resourceVersion)] as const)
        )
        return Effect.succeed([])
      })
    )
  }

  private checkVersion(position: string, current: string): BackendError.BackendError | undefined {
    return versionNumber(current) < versionNumber(position)
      ? mismatch(
          `it is at ${position} and the cluster only at ${current}: the cluster was set back to an earlier state; begin ` +
            `anew without it`
        )
      : undefined
  }

  // -------------------------------------------------------------------------
  // what leaves
  // -------------------------------------------------------------------------

  private live(): EventQuery.WatchItem {
    return { _tag: "Live", cursor: this.cursorAt(this.state.position) }
  }

  private moveTo(version: string): void {
    this.state.position = version
    this.state.freshAt = this.now()
  }

  /** The event as news, unless it is none: nothing that counts has changed, or it does not match. Moves on either way. */
  private itemsOf(stored: KubernetesEvent.StoredEvent): ReadonlyArray<EventQuery.WatchItem> {
    this.moveTo(stored.resourceVersion)
    const { event } = stored
    if (!EventQuery.matches(this.scope.filter, event)) return []
    const id = EventId.format(event.id)
    const state = stored.own ? String(event.upTo) : `${event.count} ${event.last} ${event.event.message}`
    if (this.seen.get(id) === state) return []
    this.seen.set(id, state)
    return [{ _tag: "Event", event, cursor: this.cursorAt(stored.resourceVersion) }]
  }

  /** Takes an event off what is to be caught up with; `Live` when that was the last. */
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
  // going on
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
      if (state.next === "relist") return Effect.map(this.relist, Stream.fromIterable)
      // Only while nothing was missed: after a failure it is for the server to say what it still has.
      const isStale = state.failingSince === undefined && this.ageOf(state.freshAt) > HISTORY_MILLIS
      return isStale ? Effect.map(this.relist, Stream.fromIterable) : Effect.succeed(this.watchOnce)
    })
  }

  /** After a failure: whether it is still the same cluster. One that was set up anew would never say. */
  private get verify(): Effect.Effect<void, BackendError.BackendError> {
    const { connection, listing } = this.options
    return Effect.gen({ self: this }, function* () {
      const epoch = connection.epoch()
      const found = yield* connection.target
      const { target } = this.scope
      if (!Target.isContinued(target, found)) {
        return yield* ownCluster.mismatch(target, found)
      }
      const refused = this.checkVersion(this.state.position, yield* listing.version(this.scope.filter))
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
        this.scope.filter,
        (): Array<KubernetesEvent.StoredEvent> => [],
        (changed, stored) => {
          if (versionNumber(stored.resourceVersion) > since) changed.push(stored)
        }
      ),
      ({ collector, resourceVersion }) => ({ changed: collector.sort(oldestFirst), resourceVersion })
    )
  }

  /** What changed since the position, from a list: nothing that has left already leaves again. */
  private get relist(): Effect.Effect<ReadonlyArray<EventQuery.WatchItem>, BackendError.BackendError> {
    const { state } = this
    return Effect.flatMap(this.changedSince(state.position), ({ changed, resourceVersion }) =>
      Effect.suspend(() => {
        const refused = this.checkVersion(state.position, resourceVersion)
        if (refused !== undefined) return Effect.fail(refused)
        const items: Array<EventQuery.WatchItem> = []
        if (state.gap !== undefined) {
          // Whoever resumes from the gap still gets all that survived it.
          const first = changed[0]
          const before = first === undefined ? resourceVersion : String(versionNumber(first.resourceVersion) - 1)
          items.push({ _tag: "Gap", reason: state.gap, cursor: this.cursorAt(before) })
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
            fieldSelector: selection.fieldSelectorOf(this.scope.filter)
          })
        )
        if (response.status !== 200) {
          const body = yield* response.text
          const status = answer.statusOf(answer.parseBody(body))
          if (answer.isExpired(response.status, status)) {
            this.expired(goneBy(state.position, status?.message))
            return Stream.empty
          }
          return yield* answer.readErrorOf(
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
          if (batch.foreign === undefined) return items
          const body = batch.foreign
          const error = answer.foreign({ status: 200, headers: response.headers, body }, "changes of events", "no")
          return Stream.concat(items, Stream.fail(error))
        }
        return response.bytes.pipe(
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
          Stream.concat(Stream.fromEffectDrain(Effect.sync(() => this.closed(count, this.now() - openedAt))))
        )
      })
    )
  )

  /** A watch ended without an error. */
  private closed(count: number, millis: number): void {
    const { state } = this
    state.openedAt = undefined
    if (state.next !== "watch" || state.pauseMillis > 0) return
    if (count > 0 || millis >= SHORT_MILLIS) {
      this.recovered()
      // A cursor that came from elsewhere: nobody knows how old it is, only that it was good until now.
      if (state.freshAt === undefined) state.next = "relist"
      return
    }
    state.shortWatches++
    state.pauseMillis = FIRST_PAUSE_MILLIS
    if (state.shortWatches < 2) return
    const isOld = state.freshAt === undefined || this.now() - state.freshAt > HISTORY_MILLIS
    this.expired(isOld ? goneBy(state.position, "the server ended the watch at once, twice") : undefined)
    // A proxy that ends every watch must not make us read everything again and again at full speed.
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

  /** What a failure means for the watch: it ends, or tries again after a while. */
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
      if (isLasting && now - state.failingSince > PATIENCE_MILLIS) return Effect.fail(error)
      const asked =
        reason._tag === "Throttled" && reason.retryAfter !== undefined ? Duration.toMillis(reason.retryAfter) : 0
      state.pauseMillis = Math.max(asked, this.nextPause())
      state.failures++
      state.verify = true
      return isFirst
        ? Effect.logWarning(`the watch of events was interrupted and goes on from where it was: ${reason.detail}`)
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
      if (change === undefined) return { items, changes, isLast: true, foreign: line }
      const { object, type } = change
      switch (type) {
        case "ADDED":
        case "MODIFIED":
        case "DELETED": {
          const stored = Result.getOrUndefined(KubernetesEvent.fromResource(object))
          if (stored === undefined) return { items, changes, isLast: true, foreign: line }
          changes++
          const version = versionNumber(stored.resourceVersion)
          if (version <= versionNumber(this.state.position)) continue
          // What is deleted has expired, or somebody tidied up: it has happened all the same.
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
          const status = answer.statusOf(object)
          if (answer.isExpired(codeIn(object), status)) this.expired(goneBy(this.state.position, status?.message))
          else {
            this.state.failures++
            this.state.verify = true
            this.state.pauseMillis = Math.max((status?.retryAfterSeconds ?? 0) * 1_000, this.nextPause())
          }
          return { items, changes, isLast: true, foreign: undefined }
        }
      }
    }
    return { items, changes, isLast: false, foreign: undefined }
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

/** Bytes in any pieces as whole lines. Only a line feed ends one: other line ends may stand in a text. */
class Lines {
  private readonly decoder = new TextDecoder()
  private rest = ""

  take(chunk: Uint8Array): ReadonlyArray<string> {
    const text = this.rest + this.decoder.decode(chunk, { stream: true })
    const lines = text.split("\n")
    this.rest = lines.pop() ?? ""
    return lines
  }

  /** What is left when the answer is over, unless it is a change that was broken off. */
  end(): ReadonlyArray<string> {
    const rest = this.rest.trim()
    this.rest = ""
    return rest.startsWith('{"type"') && parseChange(rest) === undefined ? [] : [rest]
  }
}

const parseChange = (line: string): { readonly type: unknown; readonly object: unknown } | undefined => {
  const change = answer.parseBody(line)
  return typeof change === "object" && change !== null && "type" in change && "object" in change
    ? { type: change.type, object: change.object }
    : undefined
}

const codeIn = (object: unknown): number =>
  typeof object === "object" && object !== null && "code" in object && typeof object.code === "number" ? object.code : 0

const versionIn = (object: unknown): string | undefined => {
  if (typeof object !== "object" || object === null || !("metadata" in object)) return undefined
  const { metadata } = object
  return typeof metadata === "object" &&
    metadata !== null &&
    "resourceVersion" in metadata &&
    typeof metadata.resourceVersion === "string" &&
    metadata.resourceVersion !== ""
    ? metadata.resourceVersion
    : undefined
}
