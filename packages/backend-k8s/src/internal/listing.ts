/**
 * Lists of events, page by page.
 */
import * as BackendError from "@tidings/core/BackendError"
import type { EventFilter } from "@tidings/core/EventQuery"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import type { KubernetesConnection, KubernetesResponse } from "../KubernetesConnection.ts"
import * as KubernetesEvent from "../KubernetesEvent.ts"
import * as answer from "./answer.ts"
import * as selection from "./selection.ts"
import * as syntax from "./syntax.ts"

/** How often a list is begun anew, page by page, before it is asked for in one piece, which cannot expire. */
const RESTARTS = 2

interface Page {
  readonly items: ReadonlyArray<KubernetesEvent.StoredEvent>
  readonly resourceVersion: string
  readonly next: string | undefined
}

const pageOf = (response: KubernetesResponse): Page | undefined => {
  const list = answer.objectIn(response, "EventList", "v1")
  const metadata = list?.["metadata"]
  if (list === undefined || typeof metadata !== "object" || metadata === null) return undefined
  const resourceVersion = "resourceVersion" in metadata ? metadata.resourceVersion : undefined
  // Go writes an empty list as null.
  const resources = list["items"] ?? (list["items"] === null ? [] : undefined)
  if (typeof resourceVersion !== "string" || resourceVersion === "" || !Array.isArray(resources)) return undefined
  const items: Array<KubernetesEvent.StoredEvent> = []
  for (const resource of resources) {
    const stored = KubernetesEvent.fromResource(resource)
    // A list with something else in it is none that an API server has written.
    if (Result.isFailure(stored)) return undefined
    items.push(stored.success)
  }
  const next = "continue" in metadata ? metadata.continue : undefined
  return { items, resourceVersion, next: typeof next === "string" && next !== "" ? next : undefined }
}

const brokenOff = BackendError.make(
  new BackendError.Transient({ applied: "no", detail: "the list of events broke off before its end" })
)

/** Whether it can stand in a path as one segment, as the names of all objects can. */
const isSegment = (name: string): boolean => name !== "" && name !== "." && name !== ".." && !/[/%]/.test(name)

/**
 * What became of looking up one event: it takes a list where the filter names none, and where `get` is not allowed; why
 * is `otherwise`, for where the list is not allowed either.
 *
 * @internal
 */
export type One =
  | { readonly _tag: "Found"; readonly stored: KubernetesEvent.StoredEvent | undefined }
  | { readonly _tag: "TakesList"; readonly otherwise: BackendError.BackendError | undefined }

const takesList: One = { _tag: "TakesList", otherwise: undefined }

/** @internal */
export interface Listing {
  /**
   * Every event that a filter's part for the server selects, each given to the collector that `begin` makes, in the
   * order of names. A list that expires on the way is begun anew, with a new collector: what the server would go on with
   * is another state, in which an event may be missing from both halves.
   */
  readonly all: <C>(
    filter: EventFilter,
    begin: () => C,
    add: (collector: C, stored: KubernetesEvent.StoredEvent) => void
  ) => Effect.Effect<{ readonly resourceVersion: string; readonly collector: C }, BackendError.BackendError>
  /** The one event that a name in a namespace means, by one request, which needs the verb `get` alone. */
  readonly one: (filter: EventFilter) => Effect.Effect<One, BackendError.BackendError>
  /** The resourceVersion that the server is at. */
  readonly version: (filter: EventFilter) => Effect.Effect<string, BackendError.BackendError>
}

/** @internal */
export const make = (connection: KubernetesConnection["Service"], pageSize: number): Listing => {
  const readPage = (
    filter: EventFilter,
    parameters: Readonly<Record<string, string | undefined>>
  ): Effect.Effect<Page | "expired", BackendError.BackendError> => {
    const { namespace, path } = selection.collectionOf(filter)
    return Effect.flatMap(
      connection.request({ method: "GET", path: selection.pathOf(path, parameters) }),
      (response): Effect.Effect<Page | "expired", BackendError.BackendError> => {
        if (response.status === 200) {
          const page = pageOf(response)
          if (page !== undefined) return Effect.succeed(page)
          const isCut = response.body === undefined
          return Effect.fail(isCut ? brokenOff : answer.foreign(response, "a list of events", "no"))
        }
        if (answer.isExpired(response.status, answer.statusOf(answer.parseBody(response.body)))) {
          return Effect.succeed("expired")
        }
        return Effect.fail(answer.readErrorOf(response, selection.readingPermission(namespace)))
      }
    )
  }

  return {
    all: Effect.fnUntraced(function* (filter, begin, add) {
      const fieldSelector = selection.fieldSelectorOf(filter)
      for (let restart = 0; ; restart++) {
        const limit = restart < RESTARTS ? String(pageSize) : undefined
        const collector = begin()
        let resourceVersion: string | undefined
        let next: string | undefined
        do {
          const page: Page | "expired" = yield* readPage(filter, { fieldSelector, limit, continue: next })
          if (page === "expired") {
            if (restart > RESTARTS) return yield* brokenOff
            resourceVersion = undefined
            break
          }
          resourceVersion ??= page.resourceVersion
          next = page.next
          for (const stored of page.items) add(collector, stored)
        } while (next !== undefined)
        if (resourceVersion !== undefined) return { resourceVersion, collector }
      }
    }),
    one: Effect.fnUntraced(function* ({ name, namespace }): Effect.fn.Return<One, BackendError.BackendError> {
      if (name === undefined || namespace === undefined || !syntax.isNamespaceName(namespace) || !isSegment(name)) {
        return takesList
      }
      const path = `/api/v1/namespaces/${namespace}/events/${encodeURIComponent(name)}`
      const response = yield* connection.request({ method: "GET", path })
      if (response.status === 200) {
        const stored = KubernetesEvent.fromResource(answer.objectIn(response, "Event", "v1"))
        if (Result.isSuccess(stored)) return { _tag: "Found", stored: stored.success }
        return yield* response.body === undefined ? brokenOff : answer.foreign(response, "an event", "no")
      }
      if (response.status === 404 && answer.statusOf(answer.parseBody(response.body)) !== undefined) {
        return { _tag: "Found", stored: undefined }
      }
      const error = answer.readErrorOf(response, { verbs: ["get"], group: "", resource: "events", namespace })
      return response.status === 403 && error.reason._tag === "Unauthorized"
        ? { _tag: "TakesList", otherwise: error }
        : yield* error
    }),
    version: (filter) =>
      Effect.flatMap(readPage(filter, { limit: "1" }), (page) =>
        page === "expired" ? Effect.fail(brokenOff) : Effect.succeed(page.resourceVersion)
      )
  }
}
