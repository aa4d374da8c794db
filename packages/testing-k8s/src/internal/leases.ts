/** Leases of etcd: what is attached to one is deleted when it ends. */

/** Where an object is. @internal */
export interface Place {
  readonly resource: string
  readonly key: string
}

/** @internal */
export interface Lease {
  readonly expiry: number
  readonly places: Map<string, Place>
  /** How many objects were ever attached. */
  attached: number
}

// kube-apiserver lets writes share a lease, which therefore lives longer by this share of the TTL, at most a minute.
const reuseShare = 0.05
const reuseMaxSeconds = 60
const maxAttached = 1_000

const idOf = ({ key, resource }: Place): string => `${resource} ${key}`

/** In the order in which they end. @internal */
export class Leases {
  #leases: Array<Lease> = []
  /** The one that writes share now. */
  #shared: Lease | undefined
  readonly #byPlace = new Map<string, Lease>()

  nextExpiry(): number | undefined {
    return this.#leases[0]?.expiry
  }

  expiryOf(place: Place): number | undefined {
    return this.#byPlace.get(idOf(place))?.expiry
  }

  attach(place: Place, ttlSeconds: number, now: number): void {
    this.detach(place)
    this.#add(place, this.#leaseFor(ttlSeconds, now))
  }

  detach(place: Place): void {
    const id = idOf(place)
    this.#byPlace.get(id)?.places.delete(id)
    this.#byPlace.delete(id)
  }

  /** Ends the first lease. Returns what was attached to it. */
  endFirst(): ReadonlyArray<Place> {
    return [...(this.#leases.shift()?.places.values() ?? [])]
  }

  load(attached: ReadonlyArray<Place & { readonly expiry: number }>): void {
    this.#shared = undefined
    this.#byPlace.clear()
    const byExpiry = new Map<number, Lease>()
    for (const { expiry, key, resource } of attached) {
      const lease = byExpiry.get(expiry) ?? { expiry, places: new Map(), attached: 0 }
      byExpiry.set(expiry, lease)
      this.#add({ resource, key }, lease)
    }
    this.#leases = [...byExpiry.values()].sort((a, b) => a.expiry - b.expiry)
  }

  #add(place: Place, lease: Lease): void {
    lease.places.set(idOf(place), place)
    lease.attached += 1
    this.#byPlace.set(idOf(place), lease)
  }

  #leaseFor(ttlSeconds: number, now: number): Lease {
    const reuse = Math.min(Math.floor(reuseShare * ttlSeconds), reuseMaxSeconds) * 1_000
    const least = now + ttlSeconds * 1_000
    const shared = this.#shared
    if (
      shared !== undefined &&
      shared.expiry > least &&
      shared.expiry <= least + reuse &&
      shared.attached < maxAttached
    ) {
      return shared
    }
    const lease: Lease = { expiry: least + reuse, places: new Map(), attached: 0 }
    this.#shared = lease
    this.#leases.push(lease)
    return lease
  }
}
