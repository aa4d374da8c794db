/**
 * What the command `tidings` is beside the verbs that every command has: its backend and the flags that choose it.
 *
 * @internal
 */
import * as FileBackend from "@tidings/backend-fs/FileBackend"
import type { Backend } from "@tidings/core/Backend"
import type { BackendError } from "@tidings/core/BackendError"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { readdirSync } from "node:fs"
import { resolve } from "node:path"
import * as Cli from "../../Cli.ts"
import { Absent } from "./failure.ts"

/** The file that gives a log its identity: where it is missing, no log has begun. */
const IDENTITY = ".meta.json"

const hasBegun = (directory: string): boolean => {
  try {
    return readdirSync(directory).includes(IDENTITY)
  } catch (error) {
    // A directory that is there and cannot be read is a failure, and not an empty log.
    return !(error instanceof Error && "code" in error && error.code === "ENOENT")
  }
}

const log = (directory: string | undefined, { create }: Cli.BackendUse) => {
  const layer = FileBackend.layer({ directory, create, console: false })
  if (create) return layer
  return Layer.catchCause(layer, (cause): Layer.Layer<Backend, Absent | BackendError> =>
    Layer.unwrap(
      Effect.gen(function* () {
        const path =
          directory === undefined
            ? yield* Effect.catch(FileBackend.directory, () => Effect.failCause(cause))
            : resolve(directory)
        if (hasBegun(path)) return yield* Effect.failCause(cause)
        return yield* new Absent({
          detail: `there is no event log in ${path} yet`,
          hint: "record an event first, or name the directory of another log with --directory"
        })
      })
    )
  )
}

/**
 * Each backend has its flags in this one record, and the function decides between the backends.
 *
 * @internal
 */
export const backend = Cli.withFlags(
  {
    directory: {
      value: "DIRECTORY",
      description: "The event log (default TIDINGS_DIRECTORY, else .tidings in the current directory)"
    }
  },
  ({ directory }, use) => log(directory, use)
)
