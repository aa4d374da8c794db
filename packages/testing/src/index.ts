/**
 * Arbitraries of events, drafts, writes and queries.
 */
export * as Arbitraries from "./Arbitraries.ts"

/**
 * The contract suite of backends.
 */
export * as Contract from "./Contract.ts"

/**
 * The error of a backend that does not keep its contract.
 */
export * as ContractViolation from "./ContractViolation.ts"

/**
 * A backend that fails on purpose.
 */
export * as FaultyBackend from "./FaultyBackend.ts"

/**
 * The contract suite of journals.
 */
export * as JournalContract from "./JournalContract.ts"

/**
 * An API server for simulated worlds.
 */
export * as SimulatedBackend from "./SimulatedBackend.ts"

/**
 * A disk for simulated worlds.
 */
export * as SimulatedDisk from "./SimulatedDisk.ts"

/**
 * A durable journal for simulated worlds.
 */
export * as SimulatedJournal from "./SimulatedJournal.ts"

/**
 * Whole runs of a program in a world where a seed decides everything.
 */
export * as Simulation from "./Simulation.ts"
