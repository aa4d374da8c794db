/**
 * `--cursor-file`: the file that holds where an answer ended, so that the next run goes on there.
 *
 * - It is replaced as a whole, so that a run that is killed leaves the old cursor or the new one.
 * - It is written only after the output before it was taken, so that an event may be shown twice, and none is missed.
 *
 * @internal
 */
import type { Cursor } from "@tidings/core/EventQuery"
import * as Effect from "effect/Effect"
import {
  accessSync,
  closeSync,
  constants,
  fsyncSync,
  openSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
  statSync,
  writeSync
} from "node:fs"
import { dirname } from "node:path"
import { BackendError } from "@tidings/core/BackendError"
import { Failure } from "./failure.ts"
import * as outputReader from "./outputReader.ts"

/** @internal */
export interface CursorFile {
  readonly path: string
  /** That of the run before; absent in the first one. */
  readonly cursor: string | undefined
  readonly save: (cursor: Cursor) => Effect.Effect<void, Failure>
}

/** More than any cursor has. */
const LONGEST = 65_536

const codeOf = (error: unknown): unknown => (error instanceof Error && "code" in error ? error.code : undefined)

const whyOf = (error: unknown): string => (error instanceof Error ? error.message : String(error))

/** Without a cursor where there is no file yet, or an empty one. */
const read = (path: string): string | undefined => {
  let isFile: boolean
  let size: number
  try {
    const found = statSync(path)
    isFile = found.isFile()
    size = found.size
  } catch (error) {
    if (codeOf(error) === "ENOENT") return undefined
    throw error
  }
  // To replace a device by a file would damage the machine.
  if (!isFile) throw new Error("it is no regular file")
  if (size > LONGEST) throw new Error(`it is longer than ${LONGEST} bytes, so it holds no cursor`)
  const text = readFileSync(path, "utf8").trim()
  return text === "" ? undefined : text
}

const replace = (path: string, text: string): void => {
  let target = path
  let mode = 0o666
  try {
    // A symbolic link goes on to be one.
    target = realpathSync(path)
    mode = statSync(target).mode & 0o777
  } catch (error) {
    if (codeOf(error) !== "ENOENT") throw error
  }
  const beside = `${target}.${process.pid}.tmp`
  try {
    const file = openSync(beside, "w", mode)
    try {
      writeSync(file, text)
      fsyncSync(file)
    } finally {
      closeSync(file)
    }
    renameSync(beside, target)
  } catch (error) {
    rmSync(beside, { force: true })
    throw error
  }
}

/** Why no cursor can be written: found before there is output, which the next run would show again. */
const whyUnwritable = (path: string): string | undefined => {
  let directory = dirname(path)
  try {
    directory = dirname(realpathSync(path))
  } catch (error) {
    if (codeOf(error) !== "ENOENT") return whyOf(error)
  }
  try {
    accessSync(directory, constants.W_OK | constants.X_OK)
    return undefined
  } catch (error) {
    return codeOf(error) === "ENOENT"
      ? `there is no directory ${directory}: make it`
      : `this user may not write in ${directory}, where it is replaced as a whole`
  }
}

/** @internal */
export const open = (path: string): Effect.Effect<CursorFile, Failure> =>
  Effect.try({
    try: () => read(path),
    catch: (error) => new Failure({ detail: `cannot read the cursor file ${JSON.stringify(path)}: ${whyOf(error)}` })
  }).pipe(
    Effect.tap(() => {
      const why = whyUnwritable(path)
      return why === undefined
        ? Effect.void
        : Effect.fail(new Failure({ detail: `cannot write the cursor file ${JSON.stringify(path)}: ${why}` }))
    }),
    Effect.map((cursor) => ({
      path,
      cursor,
      save: (cursor) =>
        Effect.flatMap(outputReader.Taken, (taken) =>
          Effect.flatMap(taken, (isTaken) =>
            isTaken
              ? Effect.try({
                  try: () => replace(path, `${cursor}\n`),
                  catch: (error) =>
                    new Failure({ detail: `cannot write the cursor file ${JSON.stringify(path)}: ${whyOf(error)}` })
                })
              : Effect.void
          )
        )
    }))
  )

/** Says of a cursor that the store does not take where it came from. @internal */
export const explaining =
  (file: CursorFile | undefined) =>
  <A, E, R>(self: Effect.Effect<A, E, R>): Effect.Effect<A, E | Failure, R> =>
    file?.cursor === undefined
      ? self
      : Effect.mapError(self, (error) =>
          error instanceof BackendError && error.reason._tag === "CursorMismatch"
            ? new Failure({
                detail: `the cursor in ${JSON.stringify(file.path)} is not one of this store and this filter: ${error.reason.detail}`,
                hint: "use a file for each filter; to start over, remove it"
              })
            : error
        )
