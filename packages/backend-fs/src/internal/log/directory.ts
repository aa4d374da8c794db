import * as path from "node:path"
import * as Timestamp from "@tidings/core/Timestamp"
import type { Disk, FileStatus } from "../disk.ts"
import { codeOf, fromDisk, NOT_A_FILE, unlessCode } from "../diskError.ts"
import { readStart } from "../fileOperations.ts"
import * as SegmentDisk from "./compression/segmentDisk.ts"
import * as Limits from "./limits.ts"
import * as LogMeta from "./logMeta.ts"
import type { Lost } from "./logMeta.ts"
import * as SegmentName from "./segmentName.ts"
import { type Meta, StoreDirectory, type StoreOptions } from "../storeDirectory.ts"

const NEWEST = "events.log"

/** The lock that processes take to change `.meta.json`; appending takes none. */
const LOCK = ".meta.lock"

/** Bytes at the start of a segment in which its first time is looked for: also where the first line is damaged. */
const FIRST_LINE = 65_536

const FIRST_TIME = /\{"lastTimestamp":"([^"]{27})"/

/**
 * How long the time of the last change of a directory has to stay the same before it is relied on, in nanoseconds. File systems
 * record it in steps of up to two seconds, and what changes within one step cannot be told apart.
 */
const STEADY = 2_500_000_000n

/**
 * A segment that is open, for reading or appending.
 *
 * @internal
 */
export interface OpenSegment {
  readonly name: SegmentName.SegmentName
  readonly opened: number
  /** Status of the file when it was opened. */
  readonly status: FileStatus
}

/**
 * Something that looks like a segment and is not one, and why. It is neither read nor written.
 *
 * @internal
 */
export interface PassedOver {
  readonly file: string
  readonly reason: string
}

interface Listed {
  readonly identity: string
  readonly modified: number
  /** Since when the directory is known to be unchanged, in nanoseconds of the monotonic clock. */
  readonly since: bigint
  readonly isSteady: boolean
  readonly names: ReadonlyArray<SegmentName.SegmentName>
}

/**
 * The directory of an event log, and the segments in it.
 *
 * @internal
 */
export class LogDirectory extends StoreDirectory {
  private listed: Listed | undefined
  private readonly notSegments = new Map<string, string>()

  declare readonly disk: SegmentDisk.SegmentDisk
  /** The files as they are; on `disk` compressed segments are read as plain ones. */
  readonly files: Disk
  /** What its host wants of the limits of the log. */
  private readonly limits: Limits.Changes
  /** Whether there were segments and nothing that tells their limits when an identity was made. */
  hasUnknownLimits = false

  /** Segments of which lines are gone, as this process has found out and could not note in `.meta.json`. */
  readonly unnoted: Array<Lost & { readonly log: string | undefined }> = []

  constructor(options: StoreOptions & { readonly limits?: Limits.Changes | undefined }) {
    super({ ...options, disk: SegmentDisk.make(options.disk) }, "log")
    this.files = options.disk
    this.limits = options.limits ?? {}
  }

  /**
   * The segments, oldest first; none when the directory does not exist. The directory is listed again unless its last change is so
   * long ago that any later one would show in its status.
   */
  segments(): ReadonlyArray<SegmentName.SegmentName> {
    const status = this.find(this.path, () => this.disk.status(this.path))
    if (status === undefined) {
      this.listed = undefined
      return []
    }
    const { identity, modified } = status
    const last = this.listed?.identity === identity && this.listed.modified === modified ? this.listed : undefined
    if (last?.isSteady === true) return last.names
    const now = this.clock.monotonicTimeNanosUnsafe()
    const since = last?.since ?? now
    const names = this.list()
    this.listed = { identity, modified, since, isSteady: now - since >= STEADY, names }
    return names
  }

  private list(): ReadonlyArray<SegmentName.SegmentName> {
    const files = this.find(this.path, () => this.disk.list(this.path)) ?? []
    const names = new Map<string, SegmentName.SegmentName>()
    const before = new Map(this.notSegments)
    this.notSegments.clear()
    for (const file of files) {
      const name = SegmentName.ofStored(file)
      const reason = name === undefined ? SegmentName.problemOf(file) : before.get(name.file)
      if (reason !== undefined && (name === undefined || !this.isFile(name.file))) {
        this.notSegments.set(name?.file ?? file, reason)
      } else if (name !== undefined) names.set(name.key, name)
    }
    return [...names.values()].sort(SegmentName.order)
  }

  private isFile(file: string): boolean {
    const path = this.pathOf(file)
    return this.disk.status(path)?.kind === "file" && this.disk.readLink(path) === undefined
  }

  /** Whether a segment is compressed, or there is something in the place of the compressed one: nothing is appended to it. */
  isCompressed(name: SegmentName.SegmentName): boolean {
    const { files } = this
    const compressed = this.pathOf(SegmentName.compressedFileOf(name.file))
    if (files.status(this.pathOf(name.file)) !== undefined) return false
    return files.status(compressed) !== undefined || files.readLink(compressed) !== undefined
  }

  /** The file of a segment, its size, and, where it is compressed, that of its lines; absent where there is none. */
  storedAs(
    name: SegmentName.SegmentName
  ): { readonly file: string; readonly bytes: number; readonly uncompressedBytes?: number } | undefined {
    const status = this.disk.status(this.pathOf(name.file))
    if (status === undefined) return undefined
    return status.stored === undefined
      ? { file: name.file, bytes: status.size }
      : { file: SegmentName.compressedFileOf(name.file), bytes: status.stored, uncompressedBytes: status.size }
  }

  /**
   * What was found that looks like a segment and is not one: by its name when the directory was listed last, by its kind when it
   * was opened. With `all`, each segment is looked at.
   */
  passedOver(all = false): ReadonlyArray<PassedOver> {
    if (all) {
      for (const { file } of this.segments()) if (!this.isFile(file)) this.passOver(file)
    }
    return [...this.notSegments].map(([file, reason]) => ({ file, reason }))
  }

  private passOver(file: string, problem = "it is not a regular file, as a segment is"): void {
    this.notSegments.set(file, problem)
    this.listed = undefined
  }

  /** Opens a segment; absent when it does not exist, or is not a regular file. */
  openSegment(name: SegmentName.SegmentName, use: "read" | "append"): OpenSegment | undefined {
    const { disk } = this
    const path = this.pathOf(name.file)
    let opened: number | undefined
    let problem: string | undefined
    try {
      opened = this.find(path, () => (use === "read" ? disk.openToRead(path) : disk.openToAppend(path)))
      if (opened === undefined) return undefined
      const status = disk.statusOf(opened)
      if (status.kind === "file") return { name, opened, status }
      problem = status.problem
      disk.close(opened)
    } catch (cause) {
      if (opened !== undefined) disk.close(opened)
      const code = codeOf(cause) ?? (cause instanceof Error ? codeOf(cause.cause) : undefined)
      if (!NOT_A_FILE.has(code ?? "")) throw fromDisk(cause, path)
    }
    this.passOver(name.file, problem)
    return undefined
  }

  /** A name for a file that is renamed when it is complete. */
  temporaryOf(file: string): string {
    return path.join(path.dirname(file), `.${path.basename(file)}.${this.tag()}`)
  }

  modeOfFiles(): number {
    return this.fileMode()
  }

  /** Removes a file that nothing needs, where that is possible. */
  discard(file: string): void {
    this.removeQuietly(file)
  }

  /** The day (UTC), as it stands in the name of a segment. */
  today(): string {
    return Timestamp.format(Timestamp.now(this.clock)).slice(0, 10).replaceAll("-", "")
  }

  /**
   * Creates a segment, open for appending; absent when there is something of that name: the segment of another process, or what is
   * not a segment.
   */
  createSegment(number: number): OpenSegment | undefined {
    const name = SegmentName.make(number, this.today())
    const opened = unlessCode(["EEXIST"], () => this.disk.create(this.pathOf(name.file), this.fileMode()))
    if (opened === undefined) {
      if (!this.isFile(name.file)) this.passOver(name.file)
      return undefined
    }
    this.syncNames()
    this.linkNewest(name)
    return { name, opened, status: this.disk.statusOf(opened) }
  }

  /** Whether something that is not a segment has the name of the next one. */
  isTaken(number: number): boolean {
    return this.notSegments.has(SegmentName.make(number, this.today()).file)
  }

  /** The highest number of a segment that `events.log` leads to or `.meta.json` names, also where that is gone; 0 where there is none. */
  highestKnown({ begun, lost }: LogMeta.LogMeta = this.logMeta()): number {
    const target = this.disk.readLink(this.pathOf(NEWEST))
    const linked = target === undefined ? 0 : (SegmentName.parse(target)?.number ?? 0)
    return Math.max(linked, ...begun.map(({ segment }) => segment?.number ?? 0), ...lost.map(({ upTo }) => upTo))
  }

  /**
   * Points `events.log` to a segment, for `tail -F` and `jq`, unless it leads to a later one. The log itself never opens it, so
   * failures are ignored.
   */
  linkNewest(name: SegmentName.SegmentName): void {
    const link = this.pathOf(NEWEST)
    const temporary = this.pathOf(`.${NEWEST}.${this.tag()}`)
    try {
      const target = this.disk.readLink(link)
      if (target === name.file) return
      // A file of that name that is no symbolic link is not ours.
      if (target === undefined && this.disk.status(link) !== undefined) return
      const linked = target === undefined ? undefined : SegmentName.parse(target)
      if (linked !== undefined && SegmentName.order(linked, name) > 0 && this.isFile(linked.file)) return
      this.disk.linkSymbolic(name.file, temporary)
      this.disk.rename(temporary, link)
    } catch {
      this.removeQuietly(temporary)
    }
  }

  /** What `.meta.json` says of the log. */
  logMeta(): LogMeta.LogMeta {
    return LogMeta.of(this.readMeta())
  }

  /** What retention removed of the segments after a number; absent where it removed none of them, or that cannot be told. */
  removedAfter(number: number): LogMeta.Removed | undefined {
    try {
      const { removed } = this.logMeta()
      return removed !== undefined && number <= removed.upTo ? removed : undefined
    } catch {
      return undefined
    }
  }

  /** The time of the first event of a segment; absent where its start has none. */
  firstTimeOf(name: SegmentName.SegmentName): Timestamp.Micros | undefined {
    const path = this.pathOf(name.file)
    const start = this.find(path, () => readStart(this.disk, path, FIRST_LINE)) ?? ""
    const time = FIRST_TIME.exec(start)?.[1]
    return time === undefined ? undefined : Timestamp.parse(time)
  }

  /**
   * Makes sure that the log has the format of this version, and answers up to which number its segments are of the first release:
   * nothing is appended to those. A writer of the first release stops with an error when it sees the next segment.
   */
  upgradeLog(): LogMeta.LogMeta {
    const meta = this.readMeta()
    if (meta === undefined || !this.isOld(meta)) return LogMeta.of(meta)
    this.changeMeta(meta, { sealedUpTo: this.segments().at(-1)?.number ?? 0 })
    return this.logMeta()
  }

  /** A new log has limits from the beginning; segments without a meta file have none until some are set. */
  protected override firstFields(): Readonly<Record<string, unknown>> {
    // Segments that are there are a log whose limits are not known: those of a new log could remove what was to be kept.
    this.hasUnknownLimits = this.segments().some(({ file }) => this.isFile(file))
    const before = this.hasUnknownLimits ? {} : Limits.defaults(this.disk.capacity(this.path))
    return LogMeta.fieldsOf({ limits: Limits.change(before, this.limits) })
  }

  change(meta: Meta, changes: Parameters<typeof LogMeta.fieldsOf>[0]): void {
    this.changeMeta(meta, LogMeta.fieldsOf(changes))
  }

  /** Changes the meta file beside no other process; absent where another one does, or there is no log. */
  locked<A>(use: (meta: Meta) => A): A | undefined {
    let lock: { readonly release: () => void } | undefined
    try {
      lock = this.disk.lock(this.pathOf(LOCK), this.fileMode(), "the settings of an event log")
      if (lock === undefined) return undefined
    } catch (cause) {
      // Without locks two processes may change it at once, and the later one counts.
      if (codeOf(cause) !== "ENOLCK") throw cause
    }
    try {
      const meta = this.readMeta()
      return meta === undefined ? undefined : use(meta)
    } finally {
      lock?.release()
    }
  }
}
