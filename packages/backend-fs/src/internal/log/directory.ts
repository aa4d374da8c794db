import * as Timestamp from "@tidings/core/Timestamp"
import type { FileStatus } from "../disk.ts"
import { fromDisk, unavailable, unlessCode } from "../diskError.ts"
import * as SegmentName from "./segmentName.ts"
import { StoreDirectory, type StoreOptions } from "../storeDirectory.ts"

const NEWEST = "events.log"

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
 * The directory of an event log, and the segments in it.
 *
 * @internal
 */
export class LogDirectory extends StoreDirectory {
  constructor(options: StoreOptions) {
    super(options, "log")
  }

  /** The segments, oldest first; none when the directory does not exist. */
  segments(): Array<SegmentName.SegmentName> {
    const files = this.find(this.path, () => this.disk.list(this.path)) ?? []
    return files.flatMap((file) => SegmentName.parse(file) ?? []).sort(SegmentName.order)
  }

  /** Opens a segment; absent when it does not exist. */
  openSegment(name: SegmentName.SegmentName, use: "read" | "append"): OpenSegment | undefined {
    const { disk } = this
    const path = this.pathOf(name.file)
    const opened = this.find(path, () => (use === "read" ? disk.openToRead(path) : disk.openToAppend(path)))
    if (opened === undefined) return undefined
    try {
      const status = disk.statusOf(opened)
      if (status.kind !== "file")
        throw unavailable(`${path} is not a regular file, as a segment of the log must be: move it away`)
      return { name, opened, status }
    } catch (cause) {
      disk.close(opened)
      throw fromDisk(cause, path)
    }
  }

  /** Creates a segment, open for appending; absent when another process has created one of that name. */
  createSegment(number: number): OpenSegment | undefined {
    const date = Timestamp.format(Timestamp.now(this.clock)).slice(0, 10).replaceAll("-", "")
    const name = SegmentName.make(number, date)
    const opened = unlessCode(["EEXIST"], () => this.disk.create(this.pathOf(name.file), this.fileMode()))
    if (opened === undefined) return undefined
    this.syncNames()
    this.linkNewest(name)
    return { name, opened, status: this.disk.statusOf(opened) }
  }

  /** Points `events.log` to a segment, for `tail -F` and `jq`. The log itself never opens it, so failures are ignored. */
  private linkNewest(name: SegmentName.SegmentName): void {
    const link = this.pathOf(NEWEST)
    const temporary = this.pathOf(`.${NEWEST}.${this.tag}`)
    try {
      const target = this.disk.readLink(link)
      if (target === name.file) return
      // A file of that name that is no symbolic link is not ours.
      if (target === undefined && this.disk.status(link) !== undefined) return
      this.disk.linkSymbolic(name.file, temporary)
      this.disk.rename(temporary, link)
    } catch {
      this.removeQuietly(temporary)
    }
  }
}
