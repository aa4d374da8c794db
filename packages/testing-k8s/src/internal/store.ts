/**
 * What etcd does for an API server: one counter of revisions over all objects, old states until they are compacted,
 * leases that delete what they hold, a log that watches read.
 */
import { asObject, at, type JsonObject } from "./json.ts"

/** @internal */
export interface Change {
  readonly revision: number
  readonly resource: string
  readonly key: string
  readonly before: JsonObject | undefined
  readonly after: JsonObject | undefined
}

interface Version {
  readonly revision: number
  readonly object: JsonObject | undefined
}

interface Lease {
  readonly expiry: number
  readonly keys: Map<string, { readonly resource: string; readonly key: string }>
  /** How many keys were ever attached. */
  attached: number
}

interface Entry {
  /** Oldest first; never empty. */
  versions: Array<Version>
  lease: Lease | undefined
}

interface Table {
  readonly entries: Map<string, Entry>
  /** Keys in order; undefined when one was added or removed since. */
  order: ReadonlyArray<string> | undefined
}

/** @internal */
export interface Page {
  readonly objects: ReadonlyArray<JsonObject>
  /** Key of the last object, when more follow. */
  readonly last: string | undefined
  /** How many follow, counted only without a filter. */
  readonly remaining: number | undefined
}

/** @internal */
export interface ListOptions {
  /** Keys begin with it. */
  readonly prefix: string
  /** Keys come at or after it. */
  readonly start: string
  /** Undefined: the newest state. */
  readonly revision: number | undefined
  /** 0: all. */
  readonly limit: number
  readonly matches: ((object: JsonObject) => boolean) | undefined
}

/**
 * The data of a store, as it was when it was saved.
 *
 * @internal
 */
export interface Saved {
  readonly revision: number
  readonly compacted: number
  readonly log: ReadonlyArray<Change>
  readonly dropped: number
  readonly entries: ReadonlyArray<{
    readonly resource: string
    readonly key: string
    readonly versions: ReadonlyArray<Version>
    /** When its lease ends. */
    readonly expiry: number | undefined
  }>
}

/** @internal */
export interface Store {
  /** Of the last change. */
  readonly revision: () => number
  /** States before it are gone. */
  readonly compacted: () => number
  /** Does what is due until now. Calls must not go back in time. */
  readonly advance: (now: number) => void
  /** When the next lease ends. */
  readonly nextExpiry: () => number | undefined
  readonly get: (resource: string, key: string) => JsonObject | undefined
  readonly list: (resource: string, options: ListOptions) => Page
  readonly all: (resource: string) => ReadonlyArray<JsonObject>
  /** Returns the object with its new resourceVersion. */
  readonly put: (resource: string, key: string, object: JsonObject, ttlSeconds?: number) => JsonObject
  /** Returns the object as it was, with the resourceVersion of its end. */
  readonly remove: (resource: string, key: string) => JsonObject | undefined
  /** Forgets all states but the newest ones. */
  readonly compact: () => void
  /** The change at a position; undefined at the end, and where it is gone. */
  readonly changeAt: (position: number) => Change | undefined
  /** Position of the oldest change that is left. */
  readonly begin: () => number
  /** Position behind the last change. */
  readonly end: () => number
  /** Position of the first change after a revision; undefined when it is gone. */
  readonly positionAfter: (revision: number) => number | undefined
  /** Called after each change. Returns how to stop it. */
  readonly subscribe: (listener: () => void) => () => void
  readonly save: () => Saved
  /** Has what was saved in place of what there is; nothing when it is left out. */
  readonly load: (saved?: Saved) => void
}

// kube-apiserver lets writes share a lease, which therefore lives longer by this share of the TTL, at most a minute.
const leaseReuseShare = 0.05
const leaseReuseMaxSeconds = 60
const leaseMaxKeys = 1_000

const withVersion = (object: JsonObject, revision: number): JsonObject => {
  const { metadata, ...rest } = object
  const { name, generateName, namespace, uid, resourceVersion: _old, ...others } = asObject(metadata)
  return {
    metadata: {
      ...(name === undefined ? {} : { name }),
      ...(generateName === undefined ? {} : { generateName }),
      ...(namespace === undefined ? {} : { namespace }),
      ...(uid === undefined ? {} : { uid }),
      resourceVersion: String(revision),
      ...others
    },
    ...rest
  }
}

/** Index of the first element for which the test holds; the elements before it fail it. */
const lowerBound = <A>(elements: ReadonlyArray<A>, isAtOrAfter: (element: A) => boolean): number => {
  let low = 0
  let high = elements.length
  while (low < high) {
    const middle = (low + high) >>> 1
    const element = elements[middle]
    if (element !== undefined && isAtOrAfter(element)) {
      high = middle
    } else {
      low = middle + 1
    }
  }
  return low
}

/** @internal */
export const make = (options: { readonly now: number; readonly compactionMillis: number | undefined }): Store => {
  const tables = new Map<string, Table>()
  const listeners = new Set<() => void>()
  let revision = 1
  let compacted = 0
  let log: Array<Change> = []
  // Changes that were taken from the front of the log.
  let dropped = 0
  let leases: Array<Lease> = []
  let currentLease: Lease | undefined
  let nextCompaction = options.compactionMillis === undefined ? undefined : options.now + options.compactionMillis
  let compactNextTo: number | undefined
  let now = options.now

  const table = (resource: string): Table => {
    let found = tables.get(resource)
    if (found === undefined) {
      found = { entries: new Map(), order: [] }
      tables.set(resource, found)
    }
    return found
  }

  const newest = (entry: Entry | undefined): JsonObject | undefined => entry?.versions.at(-1)?.object

  const stateAt = (entry: Entry, wanted: number | undefined): JsonObject | undefined =>
    wanted === undefined
      ? newest(entry)
      : entry.versions[lowerBound(entry.versions, (version) => version.revision > wanted) - 1]?.object

  const notify = (): void => {
    for (const listener of [...listeners]) {
      listener()
    }
  }

  const detach = (entry: Entry, resource: string, key: string): void => {
    entry.lease?.keys.delete(`${resource} ${key}`)
    entry.lease = undefined
  }

  const leaseFor = (ttlSeconds: number): Lease => {
    const reuse = Math.min(Math.floor(leaseReuseShare * ttlSeconds), leaseReuseMaxSeconds) * 1_000
    const least = now + ttlSeconds * 1_000
    const canShare =
      currentLease !== undefined &&
      currentLease.expiry > least &&
      currentLease.expiry <= least + reuse &&
      currentLease.attached < leaseMaxKeys
    if (currentLease === undefined || !canShare) {
      currentLease = { expiry: least + reuse, keys: new Map(), attached: 0 }
      leases.push(currentLease)
    }
    return currentLease
  }

  const record = (at: number, resource: string, key: string, after: JsonObject | undefined): void => {
    const owner = table(resource)
    let entry = owner.entries.get(key)
    const before = newest(entry)
    if (entry === undefined) {
      entry = { versions: [], lease: undefined }
      owner.entries.set(key, entry)
      owner.order = undefined
    }
    entry.versions.push({ revision: at, object: after })
    log.push({ revision: at, resource, key, before, after })
  }

  const put: Store["put"] = (resource, key, object, ttlSeconds) => {
    revision += 1
    const stored = withVersion(object, revision)
    record(revision, resource, key, stored)
    const entry = table(resource).entries.get(key)
    if (entry !== undefined) {
      detach(entry, resource, key)
      if (ttlSeconds !== undefined) {
        const lease = leaseFor(ttlSeconds)
        lease.keys.set(`${resource} ${key}`, { resource, key })
        lease.attached += 1
        entry.lease = lease
      }
    }
    notify()
    return stored
  }

  const removeAt = (at: number, resource: string, key: string): JsonObject | undefined => {
    const entry = table(resource).entries.get(key)
    const before = newest(entry)
    if (entry === undefined || before === undefined) {
      return undefined
    }
    detach(entry, resource, key)
    record(at, resource, key, undefined)
    return withVersion(before, at)
  }

  const compactTo = (target: number): void => {
    if (target <= compacted) {
      return
    }
    compacted = target
    const index = lowerBound(log, (change) => change.revision >= target)
    dropped += index
    log = log.slice(index)
    for (const owner of tables.values()) {
      for (const [key, entry] of owner.entries) {
        const first = lowerBound(entry.versions, (version) => version.revision > target) - 1
        if (first > 0) {
          entry.versions = entry.versions.slice(first)
        }
        if (
          entry.versions.length === 1 &&
          newest(entry) === undefined &&
          (entry.versions[0]?.revision ?? 0) <= target
        ) {
          owner.entries.delete(key)
          owner.order = undefined
        }
      }
    }
  }

  const expire = (lease: Lease): void => {
    if (lease.keys.size === 0) {
      return
    }
    revision += 1
    for (const { key, resource } of [...lease.keys.values()]) {
      removeAt(revision, resource, key)
    }
    notify()
  }

  const advance: Store["advance"] = (until) => {
    for (;;) {
      const lease = leases[0]
      const leaseDue = lease !== undefined && lease.expiry <= until ? lease.expiry : Number.POSITIVE_INFINITY
      const compactionDue =
        nextCompaction !== undefined && nextCompaction <= until ? nextCompaction : Number.POSITIVE_INFINITY
      if (lease !== undefined && leaseDue !== Number.POSITIVE_INFINITY && leaseDue <= compactionDue) {
        now = Math.max(now, leaseDue)
        leases.shift()
        expire(lease)
      } else if (nextCompaction !== undefined && compactionDue !== Number.POSITIVE_INFINITY) {
        now = Math.max(now, compactionDue)
        // One interval back, so that every state lives at least that long.
        if (compactNextTo !== undefined) {
          compactTo(compactNextTo)
        }
        compactNextTo = revision
        nextCompaction += options.compactionMillis ?? 0
      } else {
        now = Math.max(now, until)
        return
      }
    }
  }

  const order = (owner: Table): ReadonlyArray<string> => (owner.order ??= [...owner.entries.keys()].sort())

  return {
    revision: () => revision,
    compacted: () => compacted,
    advance,
    nextExpiry: () => leases[0]?.expiry,
    get: (resource, key) => newest(table(resource).entries.get(key)),
    list: (resource, { limit, matches, prefix, revision: wanted, start }) => {
      const owner = table(resource)
      const keys = order(owner)
      const objects: Array<JsonObject> = []
      let last: string | undefined
      let index = lowerBound(keys, (key) => key >= (start > prefix ? start : prefix))
      for (; index < keys.length; index++) {
        const key = keys[index] ?? ""
        if (!key.startsWith(prefix)) {
          break
        }
        const entry = owner.entries.get(key)
        const object = entry === undefined ? undefined : stateAt(entry, wanted)
        if (object === undefined || (matches !== undefined && !matches(object))) {
          continue
        }
        if (limit > 0 && objects.length === limit) {
          let remaining: number | undefined
          if (matches === undefined) {
            remaining = 0
            for (; index < keys.length && (keys[index] ?? "").startsWith(prefix); index++) {
              const rest = owner.entries.get(keys[index] ?? "")
              remaining += rest !== undefined && stateAt(rest, wanted) !== undefined ? 1 : 0
            }
          }
          return { objects, last, remaining }
        }
        objects.push(object)
        last = key
      }
      return { objects, last: undefined, remaining: undefined }
    },
    all: (resource) => {
      const owner = table(resource)
      return order(owner).flatMap((key) => {
        const object = newest(owner.entries.get(key))
        return object === undefined ? [] : [object]
      })
    },
    put,
    remove: (resource, key) => {
      if (newest(table(resource).entries.get(key)) === undefined) {
        return undefined
      }
      revision += 1
      const removed = removeAt(revision, resource, key)
      notify()
      return removed
    },
    compact: () => compactTo(revision),
    changeAt: (position) => log[position - dropped],
    begin: () => dropped,
    end: () => dropped + log.length,
    positionAfter: (wanted) =>
      wanted + 1 < compacted ? undefined : dropped + lowerBound(log, (change) => change.revision > wanted),
    subscribe: (listener) => {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
    save: () => ({
      revision,
      compacted,
      log: [...log],
      dropped,
      entries: [...tables].flatMap(([resource, { entries }]) =>
        Array.from(entries, ([key, { lease, versions }]) => ({
          resource,
          key,
          versions: [...versions],
          expiry: lease?.expiry
        }))
      )
    }),
    load: (saved = { revision: 1, compacted: 0, log: [], dropped: 0, entries: [] }) => {
      tables.clear()
      revision = saved.revision
      compacted = saved.compacted
      log = [...saved.log]
      dropped = saved.dropped
      currentLease = undefined
      compactNextTo = undefined
      const byExpiry = new Map<number, Lease>()
      for (const { expiry, key, resource, versions } of saved.entries) {
        const entry: Entry = { versions: [...versions], lease: undefined }
        const owner = table(resource)
        owner.entries.set(key, entry)
        owner.order = undefined
        if (expiry === undefined) continue
        entry.lease = byExpiry.get(expiry) ?? { expiry, keys: new Map(), attached: 0 }
        byExpiry.set(expiry, entry.lease)
        entry.lease.keys.set(`${resource} ${key}`, { resource, key })
        entry.lease.attached += 1
      }
      leases = [...byExpiry.values()].sort((a, b) => a.expiry - b.expiry)
    }
  }
}

/** The name of a stored object. @internal */
export const nameOf = (object: JsonObject): string => {
  const name = at(object, "metadata", "name")
  return typeof name === "string" ? name : ""
}
