/**
 * What a layer does beside the writes: it says the limits of a log that it creates, sets those that its host wants, removes what is
 * beyond them, and notes what the newest segment begins with.
 *
 * @internal
 */
import { BackendError, Transient } from "@tidings/core/BackendError"
import * as ControlCharacters from "@tidings/core/ControlCharacters"
import type * as Clock from "effect/Clock"
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import type * as Scope from "effect/Scope"
import type { LogDirectory } from "./directory.ts"
import * as Limits from "./limits.ts"
import { makingRoom } from "./makingRoom.ts"
import type { OnProgress } from "./progress.ts"
import * as Retention from "./retention.ts"
import * as SegmentMark from "./segmentMark.ts"
import * as SegmentName from "./segmentName.ts"

/** @internal */
export interface Pruned {
  readonly removed: ReadonlyArray<Retention.Expired>
  readonly doubt: string | undefined
  readonly stays: string | undefined
}

interface UpkeepOptions {
  readonly directory: LogDirectory
  readonly clock: Clock.Clock
  /** Of the layer. */
  readonly scope: Scope.Scope
  readonly context: Context.Context<never>
  /** What the host wants. */
  readonly retention: Limits.Changes | undefined
}

const say = (text: string): Effect.Effect<void> => Effect.logInfo(ControlCharacters.escape(text))
const warn = (text: string): Effect.Effect<void> => Effect.logWarning(ControlCharacters.escape(text))

/** @internal */
export class Upkeep {
  private readonly options: UpkeepOptions
  private isRunning = false
  private isDue = false
  /** The limits that the host wants and the log may not have yet. */
  private wanted: Limits.Changes | undefined

  constructor(options: UpkeepOptions) {
    this.options = options
    this.wanted = options.retention
  }

  /** Says the limits of a log that was created here. */
  readonly sayOfNew: Effect.Effect<void, BackendError> = Effect.suspend(() => {
    const { directory } = this.options
    if (!directory.isNew) return Effect.void
    return Effect.flatMap(
      directory.attempt(() => directory.logMeta()),
      ({ limits }) =>
        directory.hasUnknownLimits
          ? warn(
              `The event log in ${directory.path} had no .meta.json: it has a new identity, and keeps events ` +
                `${Limits.words(limits)} until other limits are set (tidings retention)`
            )
          : say(
              `A new event log in ${directory.path} keeps events ${Limits.words(limits)}` +
                (Limits.isSame(limits, {}) ? "" : "; what is beyond is removed, the oldest first (tidings retention)")
            )
    )
  })

  /** Changes limits, and answers all of them. */
  setRetention(changes: Limits.Changes): Effect.Effect<Limits.Limits, BackendError> {
    const { directory } = this.options
    return directory.attempt(() => {
      const before = directory.logMeta().limits
      const after = Limits.change(before, changes)
      if (Limits.isSame(before, after)) return after
      const done = directory.locked((meta) => {
        const sideFiles = directory.files.list(directory.path).filter(SegmentName.isSideFile).sort()
        makingRoom(
          sideFiles,
          (file) => directory.discard(directory.pathOf(file)),
          () => directory.change(meta, { limits: after })
        )
        return after
      })
      if (done !== undefined) return done
      const detail = `another process changes the limits of the event log in ${directory.path}: try again`
      throw new BackendError({ reason: new Transient({ applied: "no", detail }) })
    })
  }

  /** What {@link prune} would remove. */
  dryRun(onProgress?: OnProgress): Effect.Effect<Pruned, BackendError> {
    const { clock, directory } = this.options
    return Effect.map(Retention.plan(directory, clock, onProgress), ({ doubt, expired, stays }) => ({
      removed: expired,
      doubt,
      stays
    }))
  }

  prune(onProgress?: OnProgress): Effect.Effect<Pruned, BackendError> {
    const { clock, directory } = this.options
    return Effect.flatMap(Retention.plan(directory, clock, onProgress), (plan) =>
      Effect.map(Retention.apply(directory, clock, plan), (removed) => ({
        removed,
        doubt: plan.doubt,
        stays: plan.stays
      }))
    )
  }

  /** A segment was opened to append to: with the next write there is something to do. */
  opened(): void {
    this.isDue = true
  }

  /** What was opened has been written to. The limits are applied beside what is written next; the end of the layer waits for it. */
  wrote(): void {
    if (!this.isDue || this.isRunning) return
    this.isDue = false
    this.isRunning = true
    const { context, scope } = this.options
    const done = Effect.sync(() => {
      this.isRunning = false
    })
    const applied = Effect.andThen(Effect.yieldNow, Effect.ensuring(this.applyNow, done))
    // Not with `Effect.uninterruptible`, which counts from the first step on: the layer may end before that.
    Fiber.runIn(Effect.runForkWith(context)(applied, { uninterruptible: true }), scope)
  }

  private readonly applyNow: Effect.Effect<void> = Effect.gen({ self: this }, function* () {
    const { clock, directory } = this.options
    yield* Effect.catch(SegmentMark.note(directory, clock), ({ reason }) =>
      warn(
        `what the newest segment of the event log in ${directory.path} begins with cannot be noted: ${reason.detail}`
      )
    )
    if (this.wanted !== undefined) {
      const before = yield* directory.attempt(() => directory.logMeta().limits)
      const after = yield* this.setRetention(this.wanted)
      this.wanted = undefined
      if (!Limits.isSame(before, after)) {
        yield* say(
          `The event log in ${directory.path} keeps events ${Limits.words(after)} from now on, before: ${Limits.words(before)}`
        )
      }
    }
    const { removed } = yield* this.prune()
    if (removed.length === 0) return
    const bytes = removed.reduce((sum, one) => sum + one.bytes, 0)
    yield* say(
      `${removed.length === 1 ? "1 segment" : `${removed.length} segments`} of the event log in ${directory.path} ` +
        `removed (${Limits.size(bytes)}): ${removed.at(-1)!.why}`
    )
  }).pipe(
    Effect.catch(({ reason }) =>
      warn(`the limits of the event log in ${this.options.directory.path} cannot be applied: ${reason.detail}`)
    )
  )
}
