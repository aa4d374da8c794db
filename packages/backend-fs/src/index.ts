/**
 * The event log on disk.
 *
 * @since 0.1.0
 */

/**
 * A backend over a directory of JSON Lines that `cat`, `jq` and `grep` read.
 *
 * @since 0.1.0
 */
export * as FileBackend from "./FileBackend.ts"

/**
 * Whether events can be recorded and read in a directory.
 *
 * @since 0.1.0
 */
export * as FileCheck from "./FileCheck.ts"

/**
 * Where a recorder keeps what it has accepted, across the end of the process and the loss of power.
 *
 * @since 0.1.0
 */
export * as FileJournal from "./FileJournal.ts"

/**
 * A file journal as seen from beside its owner.
 *
 * @since 0.1.0
 */
export * as JournalView from "./JournalView.ts"
