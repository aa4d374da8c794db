/**
 * An API server in the process of a test, with the faults of a real one.
 */
export * as ApiServer from "./ApiServer.ts"
