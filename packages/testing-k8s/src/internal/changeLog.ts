/** The changes that watches read, until they are compacted. */
import type { JsonObject } from "./json.ts"
import { lowerBound } from "./search.ts"

/** @internal */
export interface Change {
  readonly revision: number
  readonly resource: string
  readonly key: string
  readonly before: JsonObject | undefined
  readonly after: JsonObject | undefined
}

/** @internal */
export interface SavedLog {
  readonly changes: ReadonlyArray<Change>
  readonly dropped: number
}

/** Positions count all changes that ever were. @internal */
export class ChangeLog {
  #changes: Array<Change> = []
  /** How many were taken from the front. */
  #dropped = 0

  append(change: Change): void {
    this.#changes.push(change)
  }

  /** The change at a position; undefined at the end, and where it is gone. */
  at(position: number): Change | undefined {
    return this.#changes[position - this.#dropped]
  }

  /** Position of the oldest change that is left. */
  begin(): number {
    return this.#dropped
  }

  /** Position behind the last change. */
  end(): number {
    return this.#dropped + this.#changes.length
  }

  /** Position of the first change after a revision. */
  positionAfter(revision: number): number {
    return this.#dropped + lowerBound(this.#changes, (change) => change.revision > revision)
  }

  /** Forgets the changes before a revision. */
  compact(revision: number): void {
    const index = lowerBound(this.#changes, (change) => change.revision >= revision)
    this.#dropped += index
    this.#changes = this.#changes.slice(index)
  }

  save(): SavedLog {
    return { changes: [...this.#changes], dropped: this.#dropped }
  }

  load({ changes, dropped }: SavedLog): void {
    this.#changes = [...changes]
    this.#dropped = dropped
  }
}
