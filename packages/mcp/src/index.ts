/**
 * The server of the Model Context Protocol.
 */
export * as EventServer from "./EventServer.ts"

/**
 * The tools, for hosts that call them.
 */
export * as EventTools from "./EventTools.ts"

/**
 * Tools in plain types.
 */
export * as Tool from "./Tool.ts"
