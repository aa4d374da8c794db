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
 * Where a recorder keeps what it has accepted, across the end of the process and the loss of power.
 *
 * @since 0.1.0
 */
export * as FileJournal from "./FileJournal.ts"
