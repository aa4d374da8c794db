import * as EventId from "@tidings/core/EventId"
import type { ParkedRequest } from "@tidings/core/Journal"
import * as fs from "node:fs"
import { dirname } from "node:path"
import * as access from "./access.ts"
import type { Disk } from "./disk.ts"
import { codeOf } from "./diskError.ts"
import { appendAll, type Names } from "./journalFiles.ts"
import * as Lines from "./journalLines.ts"

/**
 * What is asked of the owner of a journal about what is parked: one line for each request, appended by whoever asks. The
 * owner takes the file away as a whole, so that the next request begins another one.
 *
 * A request is carried out at the most once. What is lost with a process is still parked, and can be asked for again;
 * while what is given up twice might be something that was parked in between.
 */
const LF = 0x0a

/** How often a request is appended to a file that was taken away meanwhile. */
const TRIES = 5

const encode = ({ action, series }: ParkedRequest): Buffer =>
  Lines.lineOf(JSON.stringify({ action, series: series.map(EventId.format) }))

const decode = (body: Buffer): ParkedRequest | undefined => {
  const request: unknown = JSON.parse(body.toString())
  if (typeof request !== "object" || request === null || !("action" in request) || !("series" in request))
    return undefined
  const { action, series } = request
  if ((action !== "retry" && action !== "drop") || !Array.isArray(series)) return undefined
  return { action, series: series.flatMap((text) => (typeof text === "string" ? (EventId.parse(text) ?? []) : [])) }
}

/**
 * The requests in a file. A line that is damaged, or that its writer has not finished, is passed over: whoever asked can
 * ask again.
 *
 * @internal
 */
export const read = (disk: Disk, path: string): ReadonlyArray<ParkedRequest> => {
  const size = disk.status(path)?.size ?? 0
  const requests: Array<ParkedRequest> = []
  if (size === 0) return requests
  for (const { bytes } of Lines.linesOf(disk, path, 0, size)) {
    const body = Lines.bodyIn(bytes)
    const request = body === undefined ? undefined : decode(body)
    if (request !== undefined) requests.push(request)
  }
  return requests
}

/**
 * For the owner: takes what is asked for.
 *
 * @internal
 */
export const take = (disk: Disk, names: Names, file: string): ReadonlyArray<ParkedRequest> => {
  if (disk.status(names.pathOf(file)) === undefined) return []
  // A name that the next start clears away.
  const taken = `${file}.new`
  names.rename(file, taken)
  try {
    return read(disk, names.pathOf(taken))
  } finally {
    names.remove(taken)
  }
}

const openOrCreate = (disk: Disk, path: string): number => {
  try {
    return disk.openToAppend(path)
  } catch (cause) {
    if (codeOf(cause) !== "ENOENT") throw cause
  }
  try {
    return disk.create(path, access.fileMode(disk.status(dirname(path))))
  } catch (cause) {
    // Somebody else was first.
    if (codeOf(cause) === "EEXIST") return disk.openToAppend(path)
    throw cause
  }
}

/** The administrator may ask, and the owner has to be able to read it. */
const giveTo = (disk: Disk, file: number, owner: number): void => {
  if (disk.user === 0 && owner !== 0) fs.fchownSync(file, owner, -1)
}

/** What a writer before did not finish must not spoil this line. */
const isCutOff = (disk: Disk, file: number, size: number): boolean => {
  if (size === 0) return false
  const last = Buffer.alloc(1)
  return disk.read(file, last, 0, 1, size - 1) === 1 && last[0] !== LF
}

/**
 * For everybody else: asks for something.
 *
 * @internal
 */
export const add = (disk: Disk, path: string, owner: number, request: ParkedRequest): void => {
  const line = encode(request)
  for (let attempt = 0; attempt < TRIES; attempt++) {
    const file = openOrCreate(disk, path)
    try {
      giveTo(disk, file, owner)
      const { identity, size } = disk.statusOf(file)
      // One write: of two at once neither ends up in the middle of the other.
      appendAll(disk, file, isCutOff(disk, file, size) ? Buffer.concat([Buffer.of(LF), line]) : line)
      // What was taken away before it was whole may not have been read. To ask twice for the same does nothing.
      if (disk.status(path)?.identity === identity) return
    } finally {
      disk.close(file)
    }
  }
  throw Object.assign(new Error(`${path} is taken away all the time`), { code: "EBUSY" })
}
