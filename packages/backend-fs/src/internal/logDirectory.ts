import { BackendError, Unauthorized } from "@tidings/core/BackendError"
import * as EventId from "@tidings/core/EventId"
import * as Timestamp from "@tidings/core/Timestamp"
import type * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as path from "node:path"
import * as access from "./access.ts"
import type { Disk, FileStatus } from "./disk.ts"
import { ADVICE, codeOf, fromDisk, pathOf, unavailable } from "./diskError.ts"
import * as journalPlace from "./journalPlace.ts"
import * as SegmentName from "./segmentName.ts"

const META = ".meta.json"
const NEWEST = "events.log"

/**
 * What a directory holds. Of a journal format 2 means that each opening accepts under an origin of its own: the first
 * release must not read that, and refuses the number.
 *
 * @internal
 */
export type Kind = "log" | "journal"

const FORMATS = { log: [1], journal: [1, 2] } as const
const NEWEST_FORMAT = { log: 1, journal: 2 } as const
const NAMES = { log: "event log", journal: "journal" } as const
const WITH_ARTICLE = { log: "an event log", journal: "a journal" } as const

/** Who the directory belongs to, and in which format. */
interface Identity {
  readonly id: string
  readonly format: number
  /** Whether it says what it is of; the first release did not. */
  readonly isMarked: boolean
}

/** A meta file is some hundred bytes; of what is larger the rest is not read, and then it is no JSON. */
const LARGEST_META = 4_096

/** What the nearest directory above that is there is like. */
const statusAbove = (disk: Disk, directory: string): FileStatus | undefined => {
  const parent = path.dirname(directory)
  return disk.status(parent) ?? (parent === directory ? undefined : statusAbove(disk, parent))
}

/**
 * The directory of a log: who it is, which segments it has, and making what is missing.
 *
 * @internal
 */
export class LogDirectory {
  readonly path: string
  readonly disk: Disk
  private readonly kind: Kind
  private readonly clock: Clock.Clock
  /** Makes the names of temporary files unlike those of every other process. */
  private readonly tag: string
  /** The identity of which it is known that it is of this kind. */
  private known: string | undefined

  constructor(options: {
    readonly path: string
    readonly disk: Disk
    readonly clock: Clock.Clock
    readonly tag: string
    /** `log` unless given. */
    readonly kind?: Kind | undefined
  }) {
    this.path = options.path
    this.disk = options.disk
    this.kind = options.kind ?? "log"
    this.clock = options.clock
    this.tag = options.tag
  }

  pathOf(file: string): string {
    return path.join(this.path, file)
  }

  /**
   * Makes sure that the directory is there, ours and safe, and that the log in it has an identity, which it answers.
   * Of several processes that begin a log at once exactly one gives it its identity.
   */
  prepare(create: boolean, use: access.Use): Effect.Effect<string, BackendError> {
    return Effect.gen({ self: this }, function* () {
      const existing = yield* this.attempt(() => {
        this.checkDirectory(create, use)
        const existing = this.readIdentity()
        if (existing !== undefined && existing !== this.known) this.checkKind()
        this.known = existing
        return existing
      })
      if (existing !== undefined) return existing
      if (!create) return yield* Effect.fail(this.missing())
      const id = yield* EventId.makeOrigin
      return yield* this.attempt(() => {
        this.writeIdentity(id)
        const winner = this.readIdentity()
        if (winner === undefined) throw unavailable(`${this.pathOf(META)} vanished as soon as it was made: try again`)
        return winner
      })
    })
  }

  /** Runs what uses the disk; what the disk throws becomes an error that says what to do. */
  attempt<A>(use: () => A, file?: string): Effect.Effect<A, BackendError> {
    return Effect.try({
      try: use,
      catch: (cause) => fromDisk(cause, file === undefined ? this.path : this.pathOf(file), this.kind)
    })
  }

  missing(): BackendError {
    return unavailable(
      `there is no event log in ${this.path}: record an event first, or name the right directory (TIDINGS_DIRECTORY)`
    )
  }

  private checkDirectory(create: boolean, use: access.Use): void {
    let status = this.disk.status(this.path)
    if (status === undefined) {
      if (!create) throw this.missing()
      try {
        this.disk.makeDirectory(this.path, access.directoryMode(statusAbove(this.disk, this.path)))
      } catch (cause) {
        throw fromDisk(cause, pathOf(cause) ?? this.path, this.kind === "log" ? "log" : "newJournal")
      }
      status = this.disk.status(this.path)
      if (status === undefined) throw unavailable(`${this.path} vanished as soon as it was made: try again`)
    }
    if (status.kind !== "directory") {
      throw unavailable(
        `${this.path} is a file where the directory of the ${this.kind} should be: move it away${ADVICE[this.kind]}`
      )
    }
    const problem = access.problemOf(this.disk, this.path, status, use, this.kind)
    if (problem !== undefined) throw new BackendError({ reason: new Unauthorized({ detail: problem }) })
  }

  /** The first release did not note which of the two a directory is: its files tell. */
  private checkKind(): void {
    const files = this.disk.list(this.path)
    if (this.kind === "log") {
      if (!journalPlace.hasJournal(files) || journalPlace.hasLog(files)) return
      throw unavailable(`${this.path} holds the journal of a recorder, not an event log: choose another directory`)
    }
    if (journalPlace.hasJournal(files) || this.readMeta()?.isMarked === true) return
    throw unavailable(`${this.path} holds an event log: give the journal a directory of its own`)
  }

  /** Begins it with the identity of another directory. */
  adopt(id: string): void {
    this.writeIdentity(id)
  }

  /** Who this log or journal is; absent when it has not begun. */
  readIdentity(): string | undefined {
    return this.readMeta()?.id
  }

  private fileMode(): number {
    return access.fileMode(this.disk.status(this.path))
  }

  private readMeta(): Identity | undefined {
    const file = this.pathOf(META)
    let text: string
    try {
      text = this.readSmall(file)
    } catch (cause) {
      if (codeOf(cause) === "ENOENT") return undefined
      throw fromDisk(cause, file)
    }
    const damaged = (what: string) =>
      unavailable(
        `${file} ${what}: restore it from a copy; or remove it, then the ${NAMES[this.kind]} gets a new identity, and cursors of before no longer fit`
      )
    let meta: unknown
    try {
      meta = JSON.parse(text)
    } catch {
      throw damaged("is no JSON")
    }
    if (typeof meta !== "object" || meta === null || !("format" in meta) || !("id" in meta)) {
      throw damaged("lacks format or id")
    }
    const kind = "kind" in meta ? meta.kind : undefined
    if (kind !== undefined && kind !== this.kind) {
      const found = kind === "journal" ? "the journal of a recorder" : "something of another kind"
      throw unavailable(`${this.path} holds ${found}, not ${WITH_ARTICLE[this.kind]}: choose another directory`)
    }
    const formats: ReadonlyArray<unknown> = FORMATS[this.kind]
    if (!formats.includes(meta.format)) {
      throw unavailable(
        `the ${NAMES[this.kind]} in ${this.path} has format ${String(meta.format)}, this version reads format ${formats.join(" and ")}: use the version that wrote it`
      )
    }
    if (typeof meta.id !== "string" || meta.id === "") throw damaged("has no text as id")
    return { id: meta.id, format: Number(meta.format), isMarked: kind !== undefined }
  }

  /** Notes the newest format, so that versions that do not know it refuse what is written from now on. */
  upgrade(): void {
    const meta = this.readMeta()
    if (meta === undefined || meta.format === NEWEST_FORMAT[this.kind]) return
    const temporary = this.writeTemporary(meta.id)
    try {
      this.disk.rename(temporary, this.pathOf(META))
      this.syncDirectory()
    } finally {
      this.removeQuietly(temporary)
    }
  }

  private readSmall(file: string): string {
    const opened = this.disk.openToRead(file)
    try {
      const buffer = Buffer.allocUnsafe(LARGEST_META)
      return buffer.toString("utf8", 0, this.disk.read(opened, buffer, 0, buffer.length, 0))
    } finally {
      this.disk.close(opened)
    }
  }

  /** Writes who the directory belongs to under a name that nothing else has; answers its path. */
  private writeTemporary(id: string): string {
    const { disk, kind } = this
    const temporary = this.pathOf(`${META}.${this.tag}`)
    const createdAt = Timestamp.format(Timestamp.now(this.clock))
    const format = NEWEST_FORMAT[kind]
    const meta = kind === "log" ? { format, id, createdAt } : { format, kind, id, createdAt }
    const bytes = Buffer.from(`${JSON.stringify(meta)}\n`)
    const opened = disk.create(temporary, this.fileMode())
    try {
      if (disk.append(opened, bytes, 0, bytes.length) !== bytes.length) {
        throw Object.assign(new Error("the disk is full"), { code: "ENOSPC" })
      }
      disk.sync(opened)
    } catch (cause) {
      this.removeQuietly(temporary)
      throw cause
    } finally {
      disk.close(opened)
    }
    return temporary
  }

  private writeIdentity(id: string): void {
    const { disk } = this
    const temporary = this.writeTemporary(id)
    try {
      // A link and not a rename: of two processes the second fails here instead of taking the first one's place.
      try {
        disk.link(temporary, this.pathOf(META))
      } catch (cause) {
        const code = codeOf(cause)
        if (code === "EEXIST") return
        // A file system without hard links has no better way, and there the last of two at once wins.
        if (code !== "EPERM" && code !== "ENOTSUP" && code !== "ENOSYS" && code !== "EMLINK") throw cause
        if (disk.status(this.pathOf(META)) === undefined) disk.rename(temporary, this.pathOf(META))
      }
      this.syncDirectory()
    } finally {
      this.removeQuietly(temporary)
    }
  }

  /** Makes names durable. Some systems cannot, and there nothing better is to be had. */
  private syncDirectory(): void {
    try {
      const opened = this.disk.openDirectory(this.path)
      try {
        this.disk.sync(opened)
      } finally {
        this.disk.close(opened)
      }
    } catch {
      // Names are then as durable as the system makes them by itself.
    }
  }

  private removeQuietly(file: string): void {
    try {
      this.disk.unlink(file)
    } catch {
      // It is not there, or can't be removed; it bears a name that nobody reads.
    }
  }

  /** The segments there are, oldest first; none when the directory is gone. */
  segments(): Array<SegmentName.SegmentName> {
    let files: ReadonlyArray<string>
    try {
      files = this.disk.list(this.path)
    } catch (cause) {
      if (codeOf(cause) === "ENOENT") return []
      throw fromDisk(cause, this.path)
    }
    const names: Array<SegmentName.SegmentName> = []
    for (const file of files) {
      const name = SegmentName.parse(file)
      if (name !== undefined) names.push(name)
    }
    return names.sort(SegmentName.order)
  }

  /**
   * Begins a segment and answers it open for appending; absent when another process was first with that very name.
   */
  createSegment(number: number): { readonly name: SegmentName.SegmentName; readonly opened: number } | undefined {
    const date = Timestamp.format(Timestamp.now(this.clock)).slice(0, 10).replaceAll("-", "")
    const name = SegmentName.make(number, date)
    let opened: number
    try {
      opened = this.disk.create(this.pathOf(name.file), this.fileMode())
    } catch (cause) {
      if (codeOf(cause) === "EEXIST") return undefined
      throw cause
    }
    this.syncDirectory()
    this.leadTo(name)
    return { name, opened }
  }

  /**
   * Lets `events.log` lead to a segment. It is for people, with `tail -F` or `jq`, and the log itself never opens it:
   * whatever goes wrong here hurts nobody.
   */
  private leadTo(name: SegmentName.SegmentName): void {
    const link = this.pathOf(NEWEST)
    const temporary = this.pathOf(`.${NEWEST}.${this.tag}`)
    try {
      const target = this.disk.readLink(link)
      if (target === name.file) return
      // A file of that name that is no link belongs to somebody else.
      if (target === undefined && this.disk.status(link) !== undefined) return
      this.disk.linkSymbolic(name.file, temporary)
      this.disk.rename(temporary, link)
    } catch {
      this.removeQuietly(temporary)
    }
  }
}
