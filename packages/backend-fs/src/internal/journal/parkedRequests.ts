/**
 * What operators ask the owner of a journal to do with parked events: one line for each request, appended by the process that asks. The
 * owner takes the whole file away, so that the next request starts another one.
 *
 * A request is carried out at most once. What a process that ends has not carried out is still parked, and can be asked for
 * again; a request to drop that is carried out twice could drop what was parked in between.
 */
import * as EventId from "@tidings/core/EventId"
import type { ParkedRequest } from "@tidings/core/Journal"
import * as fs from "node:fs"
import { dirname } from "node:path"
import * as access from "../access.ts"
import type { Disk } from "../disk.ts"
import { unlessCode, diskFailure } from "../diskError.ts"
import { appendAll, endsInLine } from "../fileOperations.ts"
import type { DirectoryEntries } from "./directoryEntries.ts"
import { temporaryOf } from "./fileNames.ts"
import { bodiesOf, lineOf } from "./lines.ts"

const LINE_END = Buffer.from("\n")

/** How often a request is appended when the owner takes the file away meanwhile. */
const MOST_TRIES = 16

const encode = ({ action, series }: ParkedRequest): Buffer =>
  lineOf(JSON.stringify({ action, series: series.map(EventId.format) }))

const decode = (body: Buffer): ParkedRequest | undefined => {
  const request: unknown = JSON.parse(body.toString())
  if (typeof request !== "object" || request === null || !("action" in request) || !("series" in request))
    return undefined
  const { action, series } = request
  if ((action !== "retry" && action !== "drop") || !Array.isArray(series)) return undefined
  return { action, series: series.flatMap((text) => (typeof text === "string" ? (EventId.parse(text) ?? []) : [])) }
}

/**
 * The requests in a file. Lines that are damaged or not finished are skipped: the operator can ask again.
 *
 * @internal
 */
export const read = (disk: Disk, path: string): ReadonlyArray<ParkedRequest> =>
  Array.from(bodiesOf(disk, path)).flatMap((body) => decode(body) ?? [])

/**
 * Reads the requests and takes them away; for the owner.
 *
 * @internal
 */
export const take = (disk: Disk, entries: DirectoryEntries, file: string): ReadonlyArray<ParkedRequest> => {
  if (disk.status(entries.pathOf(file)) === undefined) return []
  // Opening the journal removes temporary files.
  const taken = temporaryOf(file)
  entries.rename(file, taken)
  try {
    return read(disk, entries.pathOf(taken))
  } finally {
    entries.remove(taken)
  }
}

const openOrCreate = (disk: Disk, path: string): number => {
  const create = () => disk.create(path, access.fileMode(disk.status(dirname(path))))
  return (
    unlessCode(["ENOENT"], () => disk.openToAppend(path)) ??
    unlessCode(["EEXIST"], create) ??
    // Another process created it.
    disk.openToAppend(path)
  )
}

/** Lets the owner of the journal read a request of root. */
const giveTo = (disk: Disk, file: number, owner: number): void => {
  if (disk.user === 0 && owner !== 0) fs.fchownSync(file, owner, -1)
}

/**
 * Appends a request, from a process that does not own the journal.
 *
 * @internal
 */
export const add = (disk: Disk, path: string, owner: number, request: ParkedRequest): void => {
  const line = encode(request)
  for (let attempt = 0; attempt < MOST_TRIES; attempt++) {
    const file = openOrCreate(disk, path)
    try {
      giveTo(disk, file, owner)
      const { identity, size } = disk.statusOf(file)
      // One write, so that two requests at once do not mix. A line that was not finished must not spoil it.
      appendAll(disk, file, endsInLine(disk, file, size) ? Buffer.concat([LINE_END, line]) : line)
      // If the owner took the file meanwhile, it may have missed the request. Asking twice for the same does nothing.
      if (disk.status(path)?.identity === identity) return
    } finally {
      disk.close(file)
    }
  }
  throw diskFailure("EBUSY", `${path} is removed again and again`)
}
