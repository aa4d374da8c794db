/**
 * Events in PostgreSQL.
 *
 * @since 0.2.0
 */

/**
 * A backend over the tables of a database, for any number of programs at once.
 *
 * @since 0.2.0
 */
export * as PostgresBackend from "./PostgresBackend.ts"

/**
 * Checks of a database, which `tidings doctor` prints.
 *
 * @since 0.2.0
 */
export * as PostgresCheck from "./PostgresCheck.ts"

/**
 * Copies clusters and event logs into a database, without a gap that is not told.
 *
 * @since 0.2.0
 */
export * as Archive from "./Archive.ts"

/**
 * What an archive needs of the database that it fills.
 *
 * @since 0.2.0
 */
export * as ArchiveStore from "./ArchiveStore.ts"
