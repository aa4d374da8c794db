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
 * The file journal of a recorder.
 */
export * as FileJournal from "./FileJournal.ts"
