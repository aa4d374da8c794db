/**
 * The command as a library, for a backend of one's own.
 */
export * as Cli from "./Cli.ts"
