/**
 * The command as a library, for a backend of one's own.
 */
export * as Cli from "./Cli.ts"

/**
 * How a verb of the command fails.
 */
export * as CommandError from "./CommandError.ts"
