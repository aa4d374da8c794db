/**
 * An API server in the process of a test, with the faults of a real one.
 */
export * as ApiServer from "./ApiServer.ts"

/**
 * What can go wrong between a client and an API server.
 */
export * as Fault from "./Fault.ts"
