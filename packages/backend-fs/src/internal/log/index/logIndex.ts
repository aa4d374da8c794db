import type { BackendError } from "@tidings/core/BackendError"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as Semaphore from "effect/Semaphore"
import { unavailable } from "../../diskError.ts"
import type { LogDirectory } from "../directory.ts"
import { LineDecoder } from "../lineDecoder.ts"
import { type DamageLedger, sourceOf } from "../segment.ts"
import type { OnProgress } from "../progress.ts"
import { repeat, type SegmentStatus, settledSegments } from "../view.ts"
import * as Block from "./block.ts"
import { History } from "./history.ts"
import { type Before, beforeOf, Comparison, follows, predecessorOf } from "./comparison.ts"
import { BuilderParts, SegmentBuilder, Step } from "./segmentBuilder.ts"
import { SegmentOrigins } from "./segmentOrigins.ts"
import { EarlierOrigins, FewOrigins } from "./earlierOrigins.ts"
import { type Effort, Extension } from "./extension.ts"
import { KnownSegment } from "./knownSegment.ts"
import { IndexDamaged, type IndexedSegment, Scratch, topOf } from "./segmentIndex.ts"
import { fileOf, SideFiles, TemporaryDirectory } from "./sideFiles.ts"
import type { Snapshot } from "./snapshot.ts"

/** Segments that are compared before other fibers get a turn. */
const COMPARED_AT_ONCE = 256

/** Lines of a page that `tidings list` shows, which is all that a short process reads. */
const DECODED_FIRST = 64

/** Blocks of lines of the newest segment that are little to index. */
const LITTLE = 4

/** The smallest block that a question makes covers this part of the bytes that have blocks, so that small blocks do not become too many. */
const PART = 512

/** How often side files are made again for one question, beside once for each segment. */
const MOST_TRIES = 4

/**
 * The side files of a log, kept in step with its segments.
 *
 * @internal
 */
export class LogIndex {
  readonly scratch = new Scratch()
  /** It knows what lines repeat from one question to the next. */
  readonly decoder = new LineDecoder(DECODED_FIRST)
  private readonly comparison: Comparison
  private readonly directory: LogDirectory
  private readonly ledger: DamageLedger
  /** Bytes that a block covers, and the least that is kept of the newest segment where it is long, and where it is short. */
  readonly step: number
  readonly leastStep: number
  private readonly shortStep: number
  private readonly mutex = Semaphore.makeUnsafe(1)
  private readonly known = new Map<string, KnownSegment>()
  private readonly files: SideFiles
  private history: History | undefined
  private readonly earlierOrigins: EarlierOrigins
  /** Called while a query or a watch waits for the index. */
  private readonly onProgress: OnProgress | undefined
  /** Bytes of the log that had no block when the index was last brought up to its end. */
  behind = 0
  /** What the builder of the segment before has used. */
  private spare: BuilderParts | undefined

  /** The index of a log, until the scope closes. */
  static make(
    directory: LogDirectory,
    ledger: DamageLedger,
    onProgress: OnProgress | undefined
  ): Effect.Effect<LogIndex, never, Scope.Scope> {
    return Effect.gen(function* () {
      const step = yield* Step
      const temporary = yield* TemporaryDirectory
      const few = yield* FewOrigins
      return yield* Effect.acquireRelease(
        Effect.sync(() => new LogIndex(directory, ledger, onProgress, step, temporary, few)),
        (index) => Effect.sync(() => index.close())
      )
    })
  }

  private constructor(
    directory: LogDirectory,
    ledger: DamageLedger,
    onProgress: OnProgress | undefined,
    step: number,
    temporary: string,
    fewOrigins: number
  ) {
    this.directory = directory
    this.comparison = new Comparison(directory, this.scratch)
    this.files = new SideFiles(directory, temporary)
    this.step = step
    this.leastStep = step / 8
    this.shortStep = step / 64
    this.ledger = ledger
    this.onProgress = onProgress
    this.earlierOrigins = new EarlierOrigins((segment) => this.readOrigins(segment), this.scratch, fewOrigins)
  }

  /** Uses a snapshot of the log. Where a side file turns out to be damaged it is made again, and `use` is called again. */
  use<A>(use: (snapshot: Snapshot) => Effect.Effect<A, BackendError>, tries = 1): Effect.Effect<A, BackendError> {
    return Effect.suspend(() =>
      Effect.catchDefect(
        Effect.flatMap(this.bring({ blocks: Number.POSITIVE_INFINITY, spent: 0n }, this.onProgress), use),
        (defect): Effect.Effect<A, BackendError> => {
          if (!(defect instanceof IndexDamaged)) return Effect.die(defect)
          this.reset(defect)
          if (tries >= MOST_TRIES + this.known.size) {
            return Effect.fail(
              unavailable(`the segments in ${this.directory.path} were changed while they were read: ask again`)
            )
          }
          return this.use(use, tries + 1)
        }
      )
    )
  }

  /** Brings the index up to the end of the log, and answers it. One fiber does so at a time. */
  private bring(effort: Effort, onProgress?: OnProgress): Effect.Effect<Snapshot, BackendError> {
    return this.mutex.withPermit(
      Effect.flatMap(settledSegments(this.directory), (segments) =>
        Effect.flatMap(this.compare(segments), () => this.extend(segments, effort, onProgress))
      )
    )
  }

  /** What later rows say of earlier ones; that of the last snapshot is kept, for the next page. */
  historyOf(snapshot: Snapshot): History {
    if (this.history?.isOf(snapshot) !== true) this.history = new History(snapshot)
    return this.history
  }

  /** Removes what is of this process only. */
  close(): void {
    this.files.close()
  }

  /** Indexes some blocks at most, where there are lines for one. True when there may be more. */
  readonly advance = (effort: Effort): Effect.Effect<boolean, BackendError> => {
    const advanced = Effect.as(this.bring(effort), false)
    return Effect.catchDefect(advanced, (defect): Effect.Effect<boolean, BackendError> => {
      if (!(defect instanceof IndexDamaged)) return Effect.die(defect)
      this.reset(defect)
      return Effect.succeed(true)
    }).pipe(Effect.map((isAgain) => isAgain || effort.blocks <= 0))
  }

  /**
   * Leaves the side file of a segment to be made again. Not where this was done already, and where another process has put one in
   * its place, that one is used: otherwise processes would replace each other's without end.
   */
  reset({ index, isOfLine, key }: IndexDamaged): void {
    const known = this.known.get(key)
    // A builder looks up series in the indexes that there were when it began.
    for (const one of this.known.values()) one.builder = undefined
    if (known === undefined || (index !== undefined && index !== known.index)) return
    if (known.isReplaced()) {
      known.reopen()
      return
    }
    known.renew()
    if (isOfLine) known.isStrict = true
  }

  /** The segments before a place. */
  private *earlierThan(segments: ReadonlyArray<SegmentStatus>, at: number): Generator<KnownSegment> {
    for (let earlier = 0; earlier < at; earlier++) yield this.known.get(segments[earlier]!.name.key)!
  }

  /** Opens the side files of segments that are new here, and leaves out what does not agree with its segment. */
  private compare(segments: ReadonlyArray<SegmentStatus>): Effect.Effect<void, BackendError> {
    return Effect.suspend(() => {
      const { directory, known } = this
      const keys = new Set(segments.map(({ name }) => name.key))
      for (const key of known.keys()) if (!keys.has(key)) known.delete(key)
      let at = 0
      let isDoubtful = false
      const some = repeat(directory, () => {
        isDoubtful = false
        const end = Math.min(segments.length, at + COMPARED_AT_ONCE)
        for (; at < end; at++) {
          const segment = segments[at]!
          const { key } = segment.name
          let one = known.get(key)
          if (one === undefined) {
            one = new KnownSegment(directory.disk, key, directory.pathOf(fileOf(key)))
            known.set(key, one)
          }
          isDoubtful = !this.comparison.settle(one, segment, at === segments.length - 1, undefined, [])
          if (isDoubtful) return false
        }
        return at < segments.length
      })
      const all: Effect.Effect<void, BackendError> = Effect.flatMap(some, () => {
        if (!isDoubtful) return Effect.void
        const segment = segments[at]!
        const one = known.get(segment.name.key)!
        return Effect.andThen(this.comparison.compareContent(one, segment, at === segments.length - 1), all)
      })
      return all
    })
  }

  /** Leaves nothing indexed of a segment that does not agree with it or with the segments before it. */
  private settle(
    segments: ReadonlyArray<SegmentStatus>,
    at: number,
    before: Before | undefined
  ): Effect.Effect<void, BackendError> {
    const segment = segments[at]!
    const known = this.known.get(segment.name.key)!
    const isNewest = at === segments.length - 1
    return Effect.flatMap(
      this.directory.attempt(() =>
        this.comparison.settle(known, segment, isNewest, before, this.earlierThan(segments, at))
      ),
      (isSettled) =>
        isSettled
          ? Effect.void
          : Effect.andThen(this.comparison.compareContent(known, segment, isNewest), this.settle(segments, at, before))
    )
  }

  /** Indexes what is not indexed yet: in the side files, or, where it is little, in memory. */
  private extend(
    segments: ReadonlyArray<SegmentStatus>,
    effort: Effort,
    onProgress: OnProgress = () => Effect.void
  ): Effect.Effect<Snapshot, BackendError> {
    return Effect.gen({ self: this }, function* () {
      let missing = 0
      let indexed = 0
      for (const { name, size } of segments) missing += size - this.known.get(name.key)!.index.covered
      this.behind = missing
      const done: Array<IndexedSegment> = []
      let before: Before | undefined
      const newest = segments.at(-1)
      const least =
        effort.least ?? this.leastAfter(newest === undefined ? 0 : this.known.get(newest.name.key)!.index.covered)
      for (const [at, segment] of segments.entries()) {
        const known = this.known.get(segment.name.key)!
        if (!follows(known, before)) {
          const { covered } = known.index
          yield* this.settle(segments, at, before)
          missing += covered - known.index.covered
        }
        known.predecessor = predecessorOf(known, before)
        const isMissing = segment.size > known.index.covered
        const { tail } = known
        const hasTail =
          tail !== undefined &&
          tail.size === segment.size &&
          tail.tip === known.index.tip &&
          tail.history === known.history
        if ((isMissing && !hasTail) || known.needsNote) {
          const isKept = missing >= least || known.needsNote
          const indexedBefore = indexed
          const onSlice = (bytes: number): Effect.Effect<void> => {
            indexed = indexedBefore + bytes
            return onProgress({ task: "index", bytes: indexed, totalBytes: missing })
          }
          yield* this.extendOne(segments, at, done, { before, isKept, least, effort, onSlice })
          known.needsNote = false
          this.behind = missing - indexed
          if (effort.blocks <= 0) return { segments: done }
        } else if (!isMissing) known.tail = undefined
        done.push({
          name: segment.name,
          index: known.index,
          depth: known.index.length,
          tail: known.tail?.block,
          size: segment.size,
          identity: segment.identity,
          made: segment.made
        })
        before = beforeOf(known, segment, at === 0)
      }
      for (const one of done) {
        const top = topOf(one)
        if (top === undefined) continue
        this.ledger.note(one.name, one.identity, top.to, { lines: top.damagedLines, bytes: top.damagedBytes })
      }
      return { segments: done }
    })
  }

  /** Bytes that a question makes a block of, after so many that have blocks. */
  private leastAfter(covered: number): number {
    return Math.min(this.leastStep, Math.max(this.shortStep, covered / PART))
  }

  private extendOne(
    segments: ReadonlyArray<SegmentStatus>,
    at: number,
    earlier: ReadonlyArray<IndexedSegment>,
    options: {
      readonly before: Before | undefined
      readonly isKept: boolean
      readonly least: number
      readonly effort: Effort
      /** Is told how many bytes of the segment are indexed here. */
      readonly onSlice: (bytes: number) => Effect.Effect<void>
    }
  ): Effect.Effect<void, BackendError> {
    const { directory } = this
    const { before, effort, isKept, least, onSlice } = options
    const segment = segments[at]!
    const isNewest = at === segments.length - 1
    const { file, key } = segment.name
    const known = this.known.get(key)!
    const from = known.index.covered
    return Effect.acquireUseRelease(
      directory.attempt(() => directory.openSegment(segment.name, "read"), file),
      (opened) => {
        if (opened === undefined) return Effect.die(new IndexDamaged(key))
        const source = sourceOf(directory.disk, opened)
        const isLast = isNewest && segment.size - known.index.covered < LITTLE * this.step
        const find = (wanted: ReadonlyArray<readonly [string, number, number]>) =>
          this.earlierOrigins.find(earlier, wanted, isLast)
        const begin = (): Extension => {
          const { tip } = known.index
          // Lines that did not tell the format were read as lines of the other one.
          if (tip !== undefined && (source.format === "plain") !== ((tip.flags & Block.PLAIN) !== 0)) known.renew()
          known.predecessor = predecessorOf(known, before)
          const { predecessor } = known
          const surroundings = { source, earlier: { segments: earlier, originsOf: this.originsOf, find }, predecessor }
          const kept = known.builder
          known.builder = undefined
          const isGood =
            kept !== undefined &&
            kept.isAfter(known.index.tip) &&
            kept.offset <= segment.size &&
            kept.reopen(surroundings)
          if (!isGood && known.index.tip === undefined) known.noteContent(segment, true)
          const builder = isGood
            ? kept
            : new SegmentBuilder({
                ...surroundings,
                index: known.index,
                scratch: this.scratch,
                slice: this.step,
                isStrict: known.isStrict,
                parts: this.takeParts()
              })
          return new Extension({
            files: this.files,
            segment,
            known,
            builder,
            step: this.step,
            least,
            isKept,
            isNewest,
            effort
          })
        }
        let extension = begin()
        const loop: Effect.Effect<void, BackendError> = Effect.suspend(() =>
          Effect.flatMap(
            directory.attempt(() => extension.turn(directory.clock), file),
            (done) => {
              if (done === "raced") return Effect.andThen(adopt, loop)
              const isDone = done === "done" || effort.blocks <= 0
              const told = onSlice(extension.builder.offset - from)
              return isDone ? told : Effect.andThen(told, Effect.andThen(Effect.yieldNow, loop))
            }
          )
        )
        /** Continues with the side file that another process has made, where it is right. */
        const adopt: Effect.Effect<void, BackendError> = Effect.suspend(() => {
          known.reopen()
          return Effect.andThen(
            this.settle(segments, at, before),
            directory.attempt(() => {
              extension = begin()
            }, file)
          )
        })
        return Effect.map(loop, () => {
          const isNeeded = isNewest || effort.blocks <= 0
          known.builder = isNeeded ? extension.builder : undefined
          if (!isNeeded) this.spare = extension.builder.parts
          if (effort.blocks <= 0) return
          known.tail = { block: extension.tail, size: segment.size, tip: known.index.tip, history: known.history }
        })
      },
      (opened) => Effect.sync(() => (opened === undefined ? undefined : directory.disk.close(opened.opened)))
    )
  }

  private takeParts(): BuilderParts {
    const { spare } = this
    this.spare = undefined
    return spare ?? new BuilderParts()
  }

  /** The origins of a segment, until it is asked for another state of it. */
  readonly originsOf = (segment: IndexedSegment): SegmentOrigins => {
    const known = this.known.get(segment.name.key)
    const origins = this.readOrigins(segment)
    if (known?.index === segment.index) known.origins = origins
    return origins
  }

  private readonly readOrigins = ({ depth, index, name, tail }: IndexedSegment): SegmentOrigins => {
    const known = this.known.get(name.key)
    const origins = known?.index === index ? known.origins : undefined
    return index.use((reader) => {
      if (origins?.bring(reader, depth, tail, this.scratch) === true) return origins
      const read = SegmentOrigins.read(reader, depth, this.scratch)
      read.bring(reader, depth, tail, this.scratch)
      return read
    })
  }
}
