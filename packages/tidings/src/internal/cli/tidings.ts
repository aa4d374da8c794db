/**
 * What the command `tidings` is beside the verbs that every command has: its backend and the flags that choose it.
 *
 * @internal
 */
import * as FileBackend from "@tidings/backend-fs/FileBackend"
import * as Cli from "../../Cli.ts"

/**
 * Each backend has its flags in this one record, and `layer` decides between the backends.
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
  ({ directory }) => FileBackend.layer({ directory, console: false })
)
