/** Which cluster answers: its data, and what its uids come from. */
import { seedOf, uuid } from "./seed.ts"
import type { Saved, Store } from "./store.ts"

/** @internal */
export interface SavedCluster {
  readonly data: Saved
  /** In which history the cluster was made. */
  readonly origin: number
}

/** @internal */
export class Cluster {
  readonly #store: Store
  readonly #seed: number
  /** How many histories there were: what is made in one has other uids than what is made in another. */
  #histories = 0
  /** In which of them the cluster was made: service accounts are of a cluster. */
  #origin = 0

  constructor(store: Store, seed: number) {
    this.#store = store
    this.#seed = seed
  }

  /** For what is made now. */
  get seed(): number {
    return this.#seedOf(this.#histories)
  }

  /** The uid of a service account. */
  accountUid(name: string): string {
    return uuid(this.#seedOf(this.#origin), `account ${name}`)
  }

  save(): SavedCluster {
    return { data: this.#store.save(), origin: this.#origin }
  }

  /** This cluster as it was saved, in place of what there is; an empty one, which is another cluster, where none is given. */
  replace(saved: SavedCluster | undefined): void {
    this.#histories++
    this.#origin = saved?.origin ?? this.#histories
    this.#store.load(saved?.data)
  }

  #seedOf(history: number): number {
    return history === 0 ? this.#seed : seedOf(`${this.#seed} ${history}`)
  }
}
