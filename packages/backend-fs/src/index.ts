/**
 * The event log on disk.
 *
 * @since 0.1.0
 */

/**
 * A backend over a directory of JSON Lines, which `cat`, `jq` and `grep` can read.
 *
 * @since 0.1.0
 */
export * as FileBackend from "./FileBackend.ts"

/**
 * Checks whether events can be recorded and read in a directory.
 *
 * @since 0.1.0
 */
export * as FileCheck from "./FileCheck.ts"

/**
 * Where a recorder keeps what it has accepted across the end of the process and power failures.
 *
 * @since 0.1.0
 */
export * as FileJournal from "./FileJournal.ts"

/**
 * Reads a file journal from outside the process that owns it.
 *
 * @since 0.1.0
 */
export * as JournalView from "./JournalView.ts"
