/**
 * The command `tidings`, the entry of the bundle.
 *
 * @internal
 */
import * as FileBackend from "@tidings/backend-fs/FileBackend"
import { basename } from "node:path"
import * as Cli from "../../Cli.ts"

/** The version of the package, filled in when the bundle is made. */
declare const TIDINGS_VERSION: string

/** Each backend adds its own flags here. */
const backend = Cli.withFlags(
  {
    directory: {
      value: "DIRECTORY",
      description: "The event log (default TIDINGS_DIRECTORY, else .tidings in the current directory)"
    }
  },
  ({ directory }) => FileBackend.layer({ directory, console: false })
)

// As a plugin of kubectl it is one of kubectl's verbs.
const name = basename(process.argv[1] ?? "").startsWith("kubectl-tidings") ? "kubectl tidings" : "tidings"

Cli.run(backend, { name, version: TIDINGS_VERSION })
