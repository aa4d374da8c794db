/**
 * The command `tidings`, the entry of the bundle.
 *
 * @internal
 */
import { basename } from "node:path"
import * as Cli from "../../Cli.ts"
import { backend } from "./tidings.ts"

/** The version of the package, filled in when the bundle is made. */
declare const TIDINGS_VERSION: string

// As a plugin of kubectl it is one of kubectl's verbs.
const name = basename(process.argv[1] ?? "").startsWith("kubectl-tidings") ? "kubectl tidings" : "tidings"

Cli.run(backend, { name, version: TIDINGS_VERSION })
