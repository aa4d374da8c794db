/**
 * The directory of an event log or a journal, and the identity of what is in it.
 *
 * The identity stands in `.meta.json`. It is drawn once, when the log or journal is created, and cursors and sinks are bound
 * to it. Of several processes that create one at once, exactly one gives it its identity.
 *
 * A directory is used only by this user or root, with the right kind and a format that this version knows; otherwise it is an
 * error that says what to do.
 */
import { BackendError, Unauthorized } from "@tidings/core/BackendError"
import * as EventId from "@tidings/core/EventId"
import * as Timestamp from "@tidings/core/Timestamp"
import type * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as path from "node:path"
import * as access from "./access.ts"
import type { Disk } from "./disk.ts"
import { ADVICE, codeOf, fromDisk, pathOf, unavailable, unlessCode } from "./diskError.ts"
import { appendAll, closing, readStart, syncDirectory } from "./fileOperations.ts"
import { hasJournal, isSegment } from "./journal/fileNames.ts"
import * as SegmentName from "./log/segmentName.ts"

/** @internal */
export const META = ".meta.json"

/**
 * The error where a journal is to be in the directory of an event log.
 *
 * @internal
 */
export const holdsLog = (directory: string): string =>
  `${directory} holds an event log: give the journal a directory of its own`

/**
 * What a directory holds.
 *
 * @internal
 */
export type Kind = "log" | "journal"

/**
 * Since format 2 of a journal, each opening accepts under an origin of its own. Since format 2 of a log, lines may have checksums.
 * The first release refuses format 2 of both.
 */
const FORMATS = { log: [1, 2], journal: [1, 2] } as const
const NEWEST_FORMAT = { log: 2, journal: 2 } as const
const NAMES = { log: "event log", journal: "journal" } as const
const WITH_NEW_IDENTITY = {
  log: "no limits until some are set (tidings retention), and earlier cursors become invalid",
  journal: "and what the first release accepted into it may be delivered twice"
} as const
const WITH_ARTICLE = { log: "an event log", journal: "a journal" } as const

type Fields = Readonly<Record<string, unknown>>

/**
 * What a meta file says.
 *
 * @internal
 */
export interface Meta {
  readonly id: string
  readonly format: number
  /** Whether the file names its kind; the first release did not. */
  readonly isMarked: boolean
  /** All that it says, also what this version does not know. */
  readonly fields: Fields
}

/** Bytes of a meta file that are read; it has a few hundred. */
const LARGEST_META = 65_536

/** @internal */
export interface StoreOptions {
  readonly path: string
  readonly disk: Disk
  readonly clock: Clock.Clock
  /** Part of the names of temporary files, unique to this process. Asked for by what writes: most readers need no randomness. */
  readonly tag: () => string
}

/** @internal */
export class StoreDirectory {
  readonly path: string
  readonly disk: Disk
  protected readonly kind: Kind
  readonly clock: Clock.Clock
  protected readonly tag: () => string
  /** Whether it was created here. */
  isNew = false
  /** The identity of which it is known that it is of this kind. */
  private known: string | undefined

  constructor({ clock, disk, path, tag }: StoreOptions, kind: Kind) {
    this.path = path
    this.disk = disk
    this.kind = kind
    this.clock = clock
    this.tag = tag
  }

  pathOf(file: string): string {
    return path.join(this.path, file)
  }

  /**
   * Makes sure that the directory exists and may be used, and that what is in it has an identity, which it answers. With
   * `create` it creates what is missing.
   */
  prepare(create: boolean, use: access.Use): Effect.Effect<string, BackendError> {
    return Effect.gen({ self: this }, function* () {
      const existing = yield* this.attempt(() => {
        this.checkDirectory(create, use)
        const existing = this.readIdentity()
        if (existing === undefined) this.checkUnnamed()
        else if (existing !== this.known) this.checkKind()
        this.known = existing
        return existing
      })
      if (existing !== undefined) return existing
      if (!create) return yield* Effect.fail(this.missing())
      const id = yield* EventId.makeOrigin
      return yield* this.attempt(() => {
        this.writeIdentity(id)
        const winner = this.readIdentity()
        this.isNew ||= winner === id
        if (winner === undefined) throw this.vanished(this.pathOf(META))
        // Another process was first, perhaps with something of the other kind.
        if (winner !== id) this.checkKind()
        return winner
      })
    })
  }

  /** Runs an operation on the disk; what the disk throws becomes an error that says what to do. */
  attempt<A>(use: () => A, file?: string): Effect.Effect<A, BackendError> {
    return Effect.try({
      try: use,
      catch: (cause) => fromDisk(cause, file === undefined ? this.path : this.pathOf(file), this.kind)
    })
  }

  /** What `use` returns; absent where nothing is at the path. */
  protected find<A>(path: string, use: () => A): A | undefined {
    try {
      return unlessCode(["ENOENT"], use)
    } catch (cause) {
      throw fromDisk(cause, path, this.kind)
    }
  }

  private missing(): BackendError {
    if (this.kind === "log" && this.hasSegments()) {
      return unavailable(
        `${this.pathOf(META)} is missing beside the segments of an event log: restore it from a copy; or record an event, ` +
          `then the event log gets a new identity, ${WITH_NEW_IDENTITY.log}`
      )
    }
    return unavailable(
      `there is no event log in ${this.path}: record an event first, or name the right directory (TIDINGS_DIRECTORY)`
    )
  }

  private vanished(path: string): BackendError {
    return unavailable(`${path} disappeared right after it was created: try again`)
  }

  private checkDirectory(create: boolean, use: access.Use): void {
    let status = this.disk.status(this.path)
    if (status === undefined) {
      const ancestor = access.nearestAncestor(this.disk, this.path)
      if (ancestor.status !== undefined && ancestor.status.kind !== "directory") {
        throw unavailable(
          `${this.path} cannot be there: ${ancestor.path} is a file where a directory should be; move it away${ADVICE[this.kind]}`
        )
      }
      const lost = access.lostLink(this.disk, this.path)
      if (lost !== undefined) {
        throw unavailable(`${lost}: create that directory, or correct the link${ADVICE[this.kind]}`)
      }
      if (!create) throw this.missing()
      try {
        const { status } = ancestor
        this.disk.makeDirectory(this.path, access.directoryMode(status))
      } catch (cause) {
        throw fromDisk(cause, pathOf(cause) ?? this.path, this.kind === "log" ? "log" : "newJournal")
      }
      status = this.disk.status(this.path)
      if (status === undefined) throw this.vanished(this.path)
    }
    if (status.kind !== "directory") {
      throw unavailable(
        `${this.path} is a file where the directory of the ${this.kind} should be: move it away${ADVICE[this.kind]}`
      )
    }
    const problem = access.problemOf(this.disk, this.path, status, use, this.kind)
    if (problem !== undefined) throw new BackendError({ reason: new Unauthorized({ detail: problem }) })
  }

  /** Looks for the files of the other kind: the first release did not note the kind. */
  private checkKind(): void {
    const files = this.disk.list(this.path)
    const isJournal = hasJournal(files)
    if (this.kind === "log") {
      if (!isJournal || SegmentName.areIn(files)) return
      throw unavailable(`${this.path} holds the journal of a recorder, not an event log: choose another directory`)
    }
    if (isJournal || this.readMeta()?.isMarked === true) return
    throw unavailable(holdsLog(this.path))
  }

  /** A log does not begin among the entries of a journal whose identity is gone: the journal could not be opened again. */
  private checkUnnamed(): void {
    if (this.kind === "log" && this.disk.list(this.path).some(isSegment)) this.checkKind()
  }

  /** Whether there are segments of a log, also where nothing names it: a copy with `*` leaves hidden files out. */
  private hasSegments(): boolean {
    return SegmentName.areIn(this.find(this.path, () => this.disk.list(this.path)) ?? [])
  }

  /** The identity of the log or journal; absent before there is one. */
  readIdentity(): string | undefined {
    return this.readMeta()?.id
  }

  protected fileMode(): number {
    return access.fileMode(this.disk.status(this.path))
  }

  /** What the meta file says; absent before there is one. */
  readMeta(): Meta | undefined {
    const file = this.pathOf(META)
    const text = this.find(file, () => readStart(this.disk, file, LARGEST_META))
    if (text === undefined) return undefined
    const damaged = (what: string) =>
      unavailable(
        `${file} ${what}: restore it from a copy; or remove it, then the ${NAMES[this.kind]} gets a new identity, ${WITH_NEW_IDENTITY[this.kind]}`
      )
    let meta: unknown
    try {
      meta = JSON.parse(text)
    } catch {
      throw damaged("is not JSON")
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
    if (typeof meta.id !== "string" || meta.id === "") throw damaged("has an id that is not text")
    return { id: meta.id, format: Number(meta.format), isMarked: kind !== undefined, fields: { ...meta } }
  }

  /** Whether what is there has an older format than this version writes. */
  isOld({ format }: Meta): boolean {
    return format !== NEWEST_FORMAT[this.kind]
  }

  /** Writes the newest format into the meta file, so that versions that do not know it refuse what is written from now on. */
  upgrade(): void {
    const meta = this.readMeta()
    if (meta !== undefined && this.isOld(meta)) this.changeMeta(meta, {})
  }

  /** Changes fields of the meta file, which has the newest format afterwards. Those that are `undefined` are removed. */
  protected changeMeta({ fields }: Meta, changed: Fields): void {
    const { id, createdAt, format: _, kind: __, ...others } = fields
    this.replaceMeta({ ...this.heading(), id, createdAt, ...others, ...changed }, (temporary) =>
      this.disk.rename(temporary, this.pathOf(META))
    )
  }

  private heading(): Fields {
    const format = NEWEST_FORMAT[this.kind]
    return this.kind === "log" ? { format } : { format, kind: this.kind }
  }

  /** What else the meta file says from the beginning. */
  protected firstFields(): Fields {
    return {}
  }

  /** Gives the directory an identity, unless it has one. */
  writeIdentity(id: string): void {
    const { disk } = this
    const meta = this.pathOf(META)
    const createdAt = Timestamp.format(Timestamp.now(this.clock))
    this.replaceMeta({ ...this.heading(), id, createdAt, ...this.firstFields() }, (temporary) => {
      // A link and not a rename: the second of two processes fails here and does not replace the identity.
      try {
        disk.link(temporary, meta)
      } catch (cause) {
        const code = codeOf(cause) ?? ""
        if (code === "EEXIST") return
        // Without hard links there is no such operation, and the last of two processes wins.
        if (!["EPERM", "ENOTSUP", "ENOSYS", "EMLINK"].includes(code)) throw cause
        if (disk.status(meta) === undefined) disk.rename(temporary, meta)
      }
    })
  }

  /** Writes a meta file under a temporary name, and lets `place` give it the right one. */
  private replaceMeta(meta: Fields, place: (temporary: string) => void): void {
    const { disk } = this
    const temporary = this.pathOf(`${META}.${this.tag()}`)
    const opened = disk.create(temporary, this.fileMode())
    try {
      closing(disk, opened, (file) => {
        appendAll(disk, file, Buffer.from(`${JSON.stringify(meta)}\n`))
        disk.sync(file)
      })
      place(temporary)
      this.syncNames()
    } finally {
      this.removeQuietly(temporary)
    }
  }

  /** Makes names durable as far as the file system can. */
  protected syncNames(): void {
    try {
      syncDirectory(this.disk, this.path)
    } catch {
      // Names are then as durable as the system makes them without a sync.
    }
  }

  protected removeQuietly(file: string): void {
    try {
      this.disk.unlink(file)
    } catch {
      // It does not exist, or cannot be removed; nothing reads a file of that name.
    }
  }
}
