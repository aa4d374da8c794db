/**
 * The outputs that a command line describes, `-o jsonpath=…` and `-o custom-columns=…`, and the order of `--sort-by`. Loaded
 * where one of them is given.
 *
 * @internal
 */
import type { Event } from "@tidings/core/Event"
import * as EventJson from "@tidings/core/EventJson"
import * as Result from "effect/Result"
import * as escape from "./escape.ts"
import * as jsonPath from "./jsonPath.ts"
import type * as table from "./table.ts"

/** What the store has of an event, and what a line of the event log would fill in. */
const objectOf = (event: Event): unknown => EventJson.toStoredObject(event)

/**
 * A template, for documents.
 *
 * @internal
 */
export const template = (written: string): Result.Result<(document: unknown) => string, string> => {
  if (written.trim() === "") return Result.fail("-o jsonpath= has no template, such as {.items[*].metadata.name}")
  return Result.mapBoth(jsonPath.parse(written), {
    onFailure: (detail) => `-o jsonpath: ${detail}`,
    onSuccess: (parsed) => (document) => jsonPath.render(parsed, document, escape.line).replace(/\n$/, "")
  })
}

/**
 * Columns: `REASON:.reason,OBJECT:.involvedObject.name`.
 *
 * @internal
 */
export const columns = (written: string): Result.Result<ReadonlyArray<table.Column<Event>>, string> => {
  const all: Array<table.Column<Event>> = []
  for (const one of written.split(/,(?![^[]*\])/)) {
    const colon = one.indexOf(":")
    const title = one.slice(0, colon).trim()
    if (colon < 1 || title === "") {
      return Result.fail(`-o custom-columns: ${JSON.stringify(one)} is not TITLE:PATH, such as REASON:.reason`)
    }
    const path = jsonPath.parsePath(one.slice(colon + 1))
    if (Result.isFailure(path)) return Result.fail(`-o custom-columns: ${path.failure}`)
    all.push({
      title,
      cell: (event) => {
        const found = jsonPath.select(path.success, objectOf(event)).map(jsonPath.textOf).join(",")
        return found === "" ? "<none>" : escape.line(found)
      }
    })
  }
  return Result.succeed(all)
}

const compare = (a: unknown, b: unknown): number => {
  if (typeof a === "number" && typeof b === "number") return a - b
  if (a === undefined || b === undefined) return Number(a !== undefined) - Number(b !== undefined)
  const [left, right] = [jsonPath.textOf(a), jsonPath.textOf(b)]
  return left < right ? -1 : left > right ? 1 : 0
}

/** @internal */
export interface Order {
  readonly sort: (events: ReadonlyArray<Event>) => ReadonlyArray<Event>
  /** Whether one of them has the field. */
  readonly hasField: (events: ReadonlyArray<Event>) => boolean
}

/**
 * Sorts by a path, as `kubectl get --sort-by` has it; what has no such field comes first. Fields that a writer left out and the
 * event log has, such as `lastTimestamp`, count as the event log has them.
 *
 * @internal
 */
export const sorter = (written: string): Result.Result<Order, string> =>
  Result.mapBoth(jsonPath.parsePath(written), {
    onFailure: (detail) => `--sort-by: ${detail}`,
    onSuccess: (path) => {
      const first = (object: unknown) => jsonPath.select(path, object).find((value) => value !== null)
      const keyOf = (event: Event) => first(objectOf(event)) ?? first(EventJson.toObject(event))
      return {
        sort: (events) =>
          events
            .map((event) => ({ event, key: keyOf(event) }))
            .sort((a, b) => compare(a.key, b.key))
            .map(({ event }) => event),
        hasField: (events) => events.some((event) => keyOf(event) !== undefined)
      }
    }
  })
