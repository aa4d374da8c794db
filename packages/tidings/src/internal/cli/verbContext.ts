import type { Planning } from "./archivePlan.ts"
import type { Catalogue } from "./catalogue.ts"

/** What verbs are made from. @internal */
export interface Context {
  readonly catalogue: Catalogue
  /** The names of the flags of the backend. */
  readonly flags: ReadonlySet<string>
  readonly archive: ((given: Readonly<Record<string, ReadonlyArray<string>>>) => Planning) | undefined
}
