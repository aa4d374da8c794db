import type * as Effect from "effect/Effect"

/**
 * How far the log is with work that a caller waits for.
 *
 * @internal
 */
export interface Progress {
  readonly task: "index" | "retention" | "compress"
  readonly bytes: number
  readonly totalBytes: number
}

/** @internal */
export type OnProgress = (progress: Progress) => Effect.Effect<void>
