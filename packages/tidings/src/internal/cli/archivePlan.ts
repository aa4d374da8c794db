/**
 * What an archive copies, and where to.
 *
 * @internal
 */
import type { Backend } from "@tidings/core/Backend"
import type { BackendError } from "@tidings/core/BackendError"
import type * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import type * as Command from "effect/cli/Command"
import type { Database } from "../backendChoice.ts"

/** A store that is archived. @internal */
export interface Source {
  /** What it is called in the archive; absent: as its events say. */
  readonly name: string | undefined
  /** In words, for the person who has started it. */
  readonly description: string
  readonly reader: Layer.Layer<Backend, BackendError>
}

/** What is archived, and where. @internal */
export interface Plan {
  readonly sources: ReadonlyArray<Source>
  readonly database: Database
}

/** Reads what the flags of the command say; `cluster` is what the only source is called. @internal */
export type Planning = (cluster: string | undefined) => Effect.Effect<Plan, unknown, Command.Environment>
