/**
 * Makes what was appended to an event log durable: with `fdatasync`, once for all that was appended meanwhile.
 *
 * - Bytes that are not known to be durable are kept, because a sync that fails may have lost them, and a later sync of the same file
 *   would report success all the same. So the segment is left, they are appended anew to the next one, and that is synced.
 * - A segment stays open until it is synced. The name of a segment is made durable before the first answer.
 * - When the second attempt fails too, everybody who waits is told; what is not durable is appended anew with the next attempt.
 */
import type { BackendError } from "@tidings/core/BackendError"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as path from "node:path"
import type { Disk } from "../disk.ts"
import { fromDisk } from "../diskError.ts"
import { cannotSync } from "../fileOperations.ts"
import type { OpenSegment } from "./directory.ts"

/**
 * What a stored event survives.
 *
 * @internal
 */
export type Durability = "process" | "interval" | "disk"

/** With `interval`, so many bytes may wait for their sync; a write beyond them waits too. */
const MOST_WAITING = 8 * 1_048_576

/** How often what is not durable is appended anew before those who wait are told. */
const MOST_ATTEMPTS = 2

const NOTHING = new Uint8Array(0)

/** @internal */
export interface SyncOptions {
  readonly disk: Disk
  /** Of the log. */
  readonly directory: string
  readonly durability: "interval" | "disk"
  readonly interval: Duration.Duration
  /** Of the layer: background syncs are interrupted when it closes. */
  readonly scope: Scope.Scope
}

/** Bytes that were appended to a segment, and are not known to be durable. */
interface Appended {
  /** Its number among the appends. */
  readonly at: number
  readonly segment: OpenSegment
  /** Empty for what was there when the segment was opened, which may not be durable either. */
  readonly bytes: Uint8Array
}

interface Waiter {
  /** Number of appends that have to be durable. */
  readonly upTo: number
  readonly done: (error: BackendError | undefined) => void
}

/** @internal */
export class LogSync {
  private readonly options: SyncOptions
  /** In the order in which they were appended. */
  private waiting: Array<Appended> = []
  private waitingBytes = 0
  /** Number of appends so far. */
  private appends = 0
  private waiters: Array<Waiter> = []
  private isRunning = false
  private isScheduled = false
  /** Segments whose sync failed: nothing more is appended to them. */
  private readonly failed = new WeakSet<OpenSegment>()
  /** Segments whose name is durable. */
  private readonly named = new WeakSet<OpenSegment>()
  /** Segments that are closed when they are synced. */
  private readonly left = new Set<OpenSegment>()
  /** Leaves a segment that cannot be synced, so that the next append goes to the one after it. */
  leave: (segment: OpenSegment) => void = () => {}
  /** Appends bytes that may be lost to the newest segment. */
  appendAnew: (bytes: Uint8Array) => void = () => {}

  constructor(options: SyncOptions) {
    this.options = options
  }

  // -------------------------------------------------------------------------
  // what is appended
  // -------------------------------------------------------------------------

  /** Notes that bytes were appended to a segment, or that it was opened. */
  appended(segment: OpenSegment, bytes: Uint8Array = NOTHING): void {
    this.appends += 1
    this.waitingBytes += bytes.length
    this.waiting.push({ at: this.appends, segment, bytes: bytes.length === 0 ? bytes : new Uint8Array(bytes) })
  }

  /** Closes a segment, now or when it is synced. */
  close(segment: OpenSegment): void {
    this.left.add(segment)
    this.closeSynced()
  }

  private closeSynced(): void {
    for (const segment of this.left) {
      if (!this.failed.has(segment) && this.waiting.some((one) => one.segment === segment)) continue
      this.left.delete(segment)
      this.closeQuietly(segment.opened)
    }
  }

  /** What was to be synced is synced or kept, so a failure changes nothing. */
  private closeQuietly(opened: number): void {
    try {
      this.options.disk.close(opened)
    } catch {
      // It is closed all the same.
    }
  }

  private forget(isDone: (one: Appended) => boolean): void {
    this.waiting = this.waiting.filter((one) => !isDone(one))
    this.waitingBytes = this.waiting.reduce((sum, { bytes }) => sum + bytes.length, 0)
    this.closeSynced()
  }

  // -------------------------------------------------------------------------
  // what waits
  // -------------------------------------------------------------------------

  /** What comes before an answer: that all is durable, or with `interval` that it soon will be. */
  readonly settled: Effect.Effect<void, BackendError> = Effect.suspend(() => {
    if (this.waiting.length === 0) return Effect.void
    if (this.options.durability === "disk" || this.waitingBytes > MOST_WAITING) return this.durable
    if (this.isScheduled) return Effect.void
    this.isScheduled = true
    const { interval, scope } = this.options
    return Effect.asVoid(Effect.forkIn(Effect.delay(this.later, interval), scope))
  })

  private readonly later: Effect.Effect<void> = Effect.suspend(() => {
    this.isScheduled = false
    return Effect.andThen(
      this.finish,
      // After a failed sync, the next attempt is scheduled here, because there may be no further write to do so.
      Effect.suspend(() => (this.waiting.length === 0 ? Effect.void : Effect.ignore(this.settled)))
    )
  })

  /** Makes all durable. A failure is logged, because no caller waits for it. */
  readonly finish: Effect.Effect<void> = Effect.suspend(() =>
    this.waiting.length === 0
      ? Effect.void
      : Effect.catch(this.durable, ({ reason }) =>
          Effect.logError(
            `events in ${this.options.directory} may not survive a power failure, because they cannot be synced: ${reason.detail}`
          )
        )
  )

  /** Waits until all that was appended is durable. */
  private readonly durable: Effect.Effect<void, BackendError> = Effect.callback<void, BackendError>((resume) => {
    const waiter: Waiter = {
      upTo: this.appends,
      done: (error) => resume(error === undefined ? Effect.void : Effect.fail(error))
    }
    this.waiters.push(waiter)
    if (!this.isRunning) this.run(1)
    return Effect.sync(() => {
      this.waiters = this.waiters.filter((one) => one !== waiter)
    })
  })

  // -------------------------------------------------------------------------
  // syncs
  // -------------------------------------------------------------------------

  /** Syncs all that was appended so far. */
  private run(attempt: number): void {
    this.isRunning = true
    try {
      this.rescue()
    } catch (cause) {
      return this.end(this.appends, fromDisk(cause, this.options.directory))
    }
    const upTo = this.appends
    const segments = [...new Set(this.waiting.map(({ segment }) => segment))]
    let error: BackendError | undefined
    const next = (): void => {
      const segment = segments.shift()
      if (segment !== undefined) {
        return this.sync(segment, (cause) => {
          if (cause === undefined) this.forget((one) => one.segment === segment && one.at <= upTo)
          else {
            error = fromDisk(cause, path.join(this.options.directory, segment.name.file))
            this.failed.add(segment)
            this.leave(segment)
            this.closeSynced()
          }
          next()
        })
      }
      if (error !== undefined && attempt < MOST_ATTEMPTS) this.run(attempt + 1)
      else this.end(upTo, error)
    }
    next()
  }

  /** Appends anew what was appended to segments that could not be synced. */
  private rescue(): void {
    for (const one of this.waiting.filter(({ segment }) => this.failed.has(segment))) {
      if (one.bytes.length > 0) this.appendAnew(one.bytes)
      this.forget((other) => other === one)
    }
  }

  private end(upTo: number, error: BackendError | undefined): void {
    const done = this.waiters.filter((waiter) => waiter.upTo <= upTo)
    this.waiters = this.waiters.filter((waiter) => waiter.upTo > upTo)
    this.isRunning = false
    for (const waiter of done) waiter.done(error)
    if (!this.isRunning && this.waiters.length > 0) this.run(1)
  }

  private sync(segment: OpenSegment, done: (cause: unknown) => void): void {
    const { directory, disk } = this.options
    const onlyErrors = (next: () => void) => (cause: unknown) =>
      cause === undefined || cause === null || cannotSync(cause) ? next() : done(cause)
    this.syncLater(
      segment.opened,
      onlyErrors(() => {
        if (this.named.has(segment)) return done(undefined)
        const named = onlyErrors(() => {
          this.named.add(segment)
          done(undefined)
        })
        let opened: number
        try {
          opened = disk.openDirectory(directory)
        } catch (cause) {
          return named(cause)
        }
        this.syncLater(opened, (cause) => {
          this.closeQuietly(opened)
          named(cause)
        })
      })
    )
  }

  private syncLater(opened: number, done: (cause: unknown) => void): void {
    try {
      this.options.disk.syncLater(opened, done)
    } catch (cause) {
      done(cause)
    }
  }
}
