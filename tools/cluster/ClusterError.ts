/** What can go wrong with a cluster on this machine. */
export type Reason =
  /** Go is missing or too old: nothing can be built. */
  | "NoGo"
  /** Go was there and did not build the tools. */
  | "Build"
  /** A server ended, or did not get ready in time. */
  | "Start"
  /** The call makes no sense in this state, such as starting what runs. */
  | "State"
  /** There is no cluster (any more) to talk to. */
  | "NotRunning"
  /** kubectl refused or failed. */
  | "Kubectl"
  /** An option has a value that cannot be used. */
  | "Option"
  /** The caller's signal was aborted. */
  | "Interrupted"

/** The one error of this tool; its message is meant to be read by people and stands alone, without a stack. */
export class ClusterError extends Error {
  override readonly name = "ClusterError"
  readonly reason: Reason
  constructor(reason: Reason, message: string) {
    super(message)
    this.reason = reason
  }
}

/** The message of anything that was thrown. */
export const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error))

/** Throws `Interrupted` when the signal was aborted. */
export const throwIfAborted = (signal: AbortSignal | undefined): void => {
  if (signal?.aborted === true) {
    throw new ClusterError("Interrupted", "interrupted")
  }
}
