/** The states of all objects by resource and key, old ones until they are compacted. */
import type { JsonObject } from "./json.ts"
import { lowerBound } from "./search.ts"

/** @internal */
export interface Version {
  readonly revision: number
  /** Undefined: deleted. */
  readonly object: JsonObject | undefined
}

interface Table {
  /** Versions are never empty, oldest first. */
  readonly entries: Map<string, Array<Version>>
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

/** @internal */
export interface SavedEntry {
  readonly resource: string
  readonly key: string
  readonly versions: ReadonlyArray<Version>
}

const newest = (versions: ReadonlyArray<Version> | undefined): JsonObject | undefined => versions?.at(-1)?.object

const stateAt = (versions: ReadonlyArray<Version>, revision: number | undefined): JsonObject | undefined =>
  revision === undefined
    ? newest(versions)
    : versions[lowerBound(versions, (version) => version.revision > revision) - 1]?.object

const order = (table: Table): ReadonlyArray<string> => (table.order ??= [...table.entries.keys()].sort())

/** @internal */
export class Tables {
  readonly #tables = new Map<string, Table>()

  get(resource: string, key: string): JsonObject | undefined {
    return newest(this.#table(resource).entries.get(key))
  }

  all(resource: string): ReadonlyArray<JsonObject> {
    const table = this.#table(resource)
    return order(table).flatMap((key) => {
      const object = newest(table.entries.get(key))
      return object === undefined ? [] : [object]
    })
  }

  list(resource: string, { limit, matches, prefix, revision, start }: ListOptions): Page {
    const table = this.#table(resource)
    const keys = order(table)
    const objects: Array<JsonObject> = []
    const stateOf = (key: string | undefined): JsonObject | undefined =>
      stateAt(table.entries.get(key ?? "") ?? [], revision)
    let last: string | undefined
    let index = lowerBound(keys, (key) => key >= (start > prefix ? start : prefix))
    for (; index < keys.length; index++) {
      const key = keys[index] ?? ""
      if (!key.startsWith(prefix)) break
      const object = stateOf(key)
      if (object === undefined || (matches !== undefined && !matches(object))) continue
      if (limit > 0 && objects.length === limit) {
        if (matches !== undefined) return { objects, last, remaining: undefined }
        const rest = keys.slice(index).filter((one) => one.startsWith(prefix) && stateOf(one) !== undefined)
        return { objects, last, remaining: rest.length }
      }
      objects.push(object)
      last = key
    }
    return { objects, last: undefined, remaining: undefined }
  }

  append(resource: string, key: string, version: Version): void {
    const table = this.#table(resource)
    const versions = table.entries.get(key)
    if (versions === undefined) {
      table.entries.set(key, [version])
      table.order = undefined
    } else {
      versions.push(version)
    }
  }

  /** Forgets the states before a revision. */
  compact(revision: number): void {
    for (const table of this.#tables.values()) {
      for (const [key, versions] of table.entries) {
        const first = lowerBound(versions, (version) => version.revision > revision) - 1
        if (first > 0) versions.splice(0, first)
        if (versions.length === 1 && newest(versions) === undefined && (versions[0]?.revision ?? 0) <= revision) {
          table.entries.delete(key)
          table.order = undefined
        }
      }
    }
  }

  save(): ReadonlyArray<SavedEntry> {
    return [...this.#tables].flatMap(([resource, { entries }]) =>
      Array.from(entries, ([key, versions]) => ({ resource, key, versions: [...versions] }))
    )
  }

  load(saved: ReadonlyArray<SavedEntry>): void {
    this.#tables.clear()
    for (const { key, resource, versions } of saved) {
      this.#table(resource).entries.set(key, [...versions])
      this.#table(resource).order = undefined
    }
  }

  #table(resource: string): Table {
    let found = this.#tables.get(resource)
    if (found === undefined) {
      found = { entries: new Map(), order: [] }
      this.#tables.set(resource, found)
    }
    return found
  }
}
