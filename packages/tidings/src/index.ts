/**
 * Which store a host reads and writes.
 */
export * as BackendChoice from "./BackendChoice.ts"

/**
 * The command as a library, for a backend of one's own.
 */
export * as Cli from "./Cli.ts"

/**
 * How a verb of the command fails.
 */
export * as CommandError from "./CommandError.ts"

/**
 * The event manager of this process, for code that it cannot be passed to.
 */
export * as Locator from "./Locator.ts"

/**
 * Everything a host needs, in one layer, and as promises.
 */
export * as Tidings from "./Tidings.ts"
