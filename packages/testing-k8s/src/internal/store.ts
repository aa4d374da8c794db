/**
 * What etcd does for an API server: one counter of revisions over all objects, old states until they are compacted,
 * leases that delete what they hold, a log that watches read.
 */
import { type Change, ChangeLog, type SavedLog } from "./changeLog.ts"
import { asObject, type JsonObject } from "./json.ts"
import { Leases } from "./leases.ts"
import { type ListOptions, type Page, type SavedEntry, Tables } from "./tables.ts"

/** The data of a store, as it was when it was saved. @internal */
export interface Saved {
  readonly revision: number
  readonly compacted: number
  readonly log: SavedLog
  readonly entries: ReadonlyArray<SavedEntry & { readonly expiry: number | undefined }>
}

const nothing: Saved = { revision: 1, compacted: 0, log: { changes: [], dropped: 0 }, entries: [] }

const withVersion = (object: JsonObject, revision: number): JsonObject => ({
  ...object,
  metadata: { ...asObject(object["metadata"]), resourceVersion: String(revision) }
})

/** @internal */
export class Store {
  readonly log = new ChangeLog()
  readonly #tables = new Tables()
  readonly #leases = new Leases()
  readonly #listeners = new Set<() => void>()
  readonly #compactionMillis: number | undefined
  #revision = 1
  #compacted = 0
  #now: number
  #nextCompaction: number
  /** The revision of the compaction before, up to which the next one goes. */
  #compactNextTo: number | undefined

  constructor(options: { readonly now: number; readonly compactionMillis: number | undefined }) {
    this.#now = options.now
    this.#compactionMillis = options.compactionMillis
    this.#nextCompaction = options.now + (options.compactionMillis ?? Number.POSITIVE_INFINITY)
  }

  /** Of the last change. */
  get revision(): number {
    return this.#revision
  }

  /** States before it are gone. */
  get compacted(): number {
    return this.#compacted
  }

  /** When the next lease ends. */
  nextExpiry(): number | undefined {
    return this.#leases.nextExpiry()
  }

  get(resource: string, key: string): JsonObject | undefined {
    return this.#tables.get(resource, key)
  }

  list(resource: string, options: ListOptions): Page {
    return this.#tables.list(resource, options)
  }

  all(resource: string): ReadonlyArray<JsonObject> {
    return this.#tables.all(resource)
  }

  /** Returns the object with its new resourceVersion. */
  put(resource: string, key: string, object: JsonObject, ttlSeconds?: number): JsonObject {
    this.#revision += 1
    const stored = withVersion(object, this.#revision)
    this.#record(resource, key, stored)
    if (ttlSeconds === undefined) this.#leases.detach({ resource, key })
    else this.#leases.attach({ resource, key }, ttlSeconds, this.#now)
    this.#notify()
    return stored
  }

  /** Returns the object as it was, with the resourceVersion of its end. */
  remove(resource: string, key: string): JsonObject | undefined {
    const before = this.get(resource, key)
    if (before === undefined) return undefined
    this.#revision += 1
    this.#leases.detach({ resource, key })
    this.#record(resource, key, undefined)
    this.#notify()
    return withVersion(before, this.#revision)
  }

  /** Position of the first change after a revision; undefined when it is gone. */
  positionAfter(revision: number): number | undefined {
    return revision + 1 < this.#compacted ? undefined : this.log.positionAfter(revision)
  }

  /** Forgets all states but the newest ones. */
  compact(): void {
    this.#compactTo(this.#revision)
  }

  /** Does what is due until now. Calls must not go back in time. */
  advance(until: number): void {
    for (;;) {
      const expiry = this.#leases.nextExpiry() ?? Number.POSITIVE_INFINITY
      const due = Math.min(expiry, this.#nextCompaction)
      this.#now = Math.max(this.#now, Math.min(due, until))
      if (due > until) return
      if (expiry === due) this.#expire()
      else this.#compactInTurn()
    }
  }

  /** Called after each change. Returns how to stop it. */
  subscribe(listener: () => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  save(): Saved {
    const entries = this.#tables.save().map((entry) => ({ ...entry, expiry: this.#leases.expiryOf(entry) }))
    return { revision: this.#revision, compacted: this.#compacted, log: this.log.save(), entries }
  }

  /** Has what was saved in place of what there is; nothing when it is left out. */
  load(saved: Saved = nothing): void {
    this.#revision = saved.revision
    this.#compacted = saved.compacted
    this.#compactNextTo = undefined
    this.log.load(saved.log)
    this.#tables.load(saved.entries)
    this.#leases.load(
      saved.entries.flatMap(({ expiry, key, resource }) => (expiry === undefined ? [] : [{ expiry, key, resource }]))
    )
  }

  #record(resource: string, key: string, after: JsonObject | undefined): void {
    const before = this.get(resource, key)
    const revision = this.#revision
    this.#tables.append(resource, key, { revision, object: after })
    const change: Change = { revision, resource, key, before, after }
    this.log.append(change)
  }

  /** All that is attached to a lease goes at one revision. */
  #expire(): void {
    const places = this.#leases.endFirst()
    if (places.length === 0) return
    this.#revision += 1
    for (const place of places) {
      this.#leases.detach(place)
      this.#record(place.resource, place.key, undefined)
    }
    this.#notify()
  }

  /** One interval back, so that every state lives at least that long. */
  #compactInTurn(): void {
    if (this.#compactNextTo !== undefined) this.#compactTo(this.#compactNextTo)
    this.#compactNextTo = this.#revision
    this.#nextCompaction += this.#compactionMillis ?? Number.POSITIVE_INFINITY
  }

  #compactTo(revision: number): void {
    if (revision <= this.#compacted) return
    this.#compacted = revision
    this.log.compact(revision)
    this.#tables.compact(revision)
  }

  #notify(): void {
    for (const listener of [...this.#listeners]) listener()
  }
}
