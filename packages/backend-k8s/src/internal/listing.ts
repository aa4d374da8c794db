/**
 * Lists of events, page by page.
 */
import * as BackendError from "@tidings/core/BackendError"
import type { ClusterRef } from "@tidings/core/Event"
import { onlyOf } from "@tidings/core/EventQuery"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import * as Stream from "effect/Stream"
import type { KubernetesConnection } from "../KubernetesConnection.ts"
import * as KubernetesEvent from "../KubernetesEvent.ts"
import type { KubernetesResponse } from "../KubernetesHttp.ts"
import * as json from "./json.ts"
import * as names from "./names.ts"
import { notKubernetes, readErrorOf } from "./requestErrors.ts"
import { isExpired, isNotFound, objectIn, statusIn } from "./response.ts"
import * as selection from "./selection.ts"

/** How often an expired list is started again with pages, before it is requested without a limit: then it cannot expire. */
const RESTARTS = 2

interface Page {
  readonly items: ReadonlyArray<KubernetesEvent.StoredEvent>
  readonly resourceVersion: string
  readonly next: string | undefined
}

const pageOf = (response: KubernetesResponse, cluster: ClusterRef): Page | undefined => {
  const list = objectIn(response, "EventList", "v1")
  if (list === undefined) return undefined
  const metadata = json.fieldsOf(list["metadata"])
  const resourceVersion = json.textOf(metadata["resourceVersion"])
  // Go writes an empty list as null.
  const resources = list["items"] === null ? [] : list["items"]
  if (resourceVersion === undefined || !Array.isArray(resources)) return undefined
  const items: Array<KubernetesEvent.StoredEvent> = []
  for (const resource of resources) {
    const stored = KubernetesEvent.fromResource(resource, cluster)
    // No API server writes a list of events with something else in it.
    if (Result.isFailure(stored)) return undefined
    items.push(stored.success)
  }
  return { items, resourceVersion, next: json.textOf(metadata["continue"]) }
}

const brokenOff = BackendError.make(
  new BackendError.Transient({ applied: "no", detail: "the list of events was cut off" })
)

/**
 * The result of looking up one event. `TakesList`: the filter does not name one event, or `get` is not allowed; then
 * `otherwise` is the error for a caller who may not list either.
 *
 * @internal
 */
export type One =
  | { readonly _tag: "Found"; readonly stored: KubernetesEvent.StoredEvent | undefined }
  | { readonly _tag: "TakesList"; readonly otherwise: BackendError.BackendError | undefined }

const takesList: One = { _tag: "TakesList", otherwise: undefined }

/** @internal */
export interface ListedPage {
  readonly items: ReadonlyArray<KubernetesEvent.StoredEvent>
  readonly resourceVersion: string
  readonly isFirst: boolean
  readonly isLast: boolean
}

/** @internal */
export interface Listing {
  /**
   * Every event that the server selects for a filter, in the order of names, each added to the collector that `begin`
   * makes. A list that expires between two pages is started again with a new collector: the server would continue with a
   * newer state, and an event could be missing from both parts.
   */
  readonly all: <C>(
    selected: selection.Selection,
    begin: () => C,
    add: (collector: C, stored: KubernetesEvent.StoredEvent) => void
  ) => Effect.Effect<{ readonly resourceVersion: string; readonly collector: C }, BackendError.BackendError>
  /**
   * The same page by page, each as soon as it is read. `isFirst`: a list begins, once more where the one before expired. All
   * pages of a list are of one resourceVersion.
   */
  readonly pages: (selected: selection.Selection) => Stream.Stream<ListedPage, BackendError.BackendError>
  /** The one event that a name in a namespace means, by one request, which needs the verb `get` alone. */
  readonly one: (selected: selection.Selection) => Effect.Effect<One, BackendError.BackendError>
  /** The resourceVersion that the server is at. */
  readonly version: (selected: selection.Selection) => Effect.Effect<string, BackendError.BackendError>
}

/** @internal */
export const make = (connection: KubernetesConnection["Service"], pageSize: number): Listing => {
  const readPage = (
    { cluster, filter }: selection.Selection,
    parameters: Readonly<Record<string, string | undefined>>
  ): Effect.Effect<Page | "expired", BackendError.BackendError> => {
    const { namespace, path } = selection.collectionOf(filter)
    return Effect.flatMap(
      connection.request({ method: "GET", path: selection.pathOf(path, parameters) }),
      (response): Effect.Effect<Page | "expired", BackendError.BackendError> => {
        if (response.status === 200) {
          const page = pageOf(response, cluster)
          if (page !== undefined) return Effect.succeed(page)
          const isCut = response.body === undefined
          return Effect.fail(isCut ? brokenOff : notKubernetes(response, "a list of events", "no"))
        }
        if (isExpired(response.status, statusIn(response))) return Effect.succeed("expired")
        return Effect.fail(readErrorOf(response, selection.readingPermission(namespace)))
      }
    )
  }

  return {
    all: Effect.fnUntraced(function* (selected, begin, add) {
      const fieldSelector = selection.fieldSelectorOf(selected.filter)
      const labelSelector = selection.labelSelectorOf(selected.filter)
      for (let restart = 0; ; restart++) {
        const limit = restart < RESTARTS ? String(pageSize) : undefined
        const collector = begin()
        let resourceVersion: string | undefined
        let next: string | undefined
        do {
          const page: Page | "expired" = yield* readPage(selected, {
            fieldSelector,
            labelSelector,
            limit,
            continue: next
          })
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
    pages: (selected) => {
      const fieldSelector = selection.fieldSelectorOf(selected.filter)
      const labelSelector = selection.labelSelectorOf(selected.filter)
      interface Place {
        readonly restart: number
        readonly next: string | undefined
        readonly resourceVersion: string | undefined
      }
      const begin: Place = { restart: 0, next: undefined, resourceVersion: undefined }
      return Stream.paginate(begin, (place) =>
        Effect.flatMap(
          readPage(selected, {
            fieldSelector,
            labelSelector,
            limit: place.restart < RESTARTS ? String(pageSize) : undefined,
            continue: place.next
          }),
          (
            page
          ): Effect.Effect<readonly [ReadonlyArray<ListedPage>, Option.Option<Place>], BackendError.BackendError> => {
            if (page === "expired") {
              return place.restart > RESTARTS
                ? Effect.fail(brokenOff)
                : Effect.succeed([
                    [],
                    Option.some({ restart: place.restart + 1, next: undefined, resourceVersion: undefined })
                  ])
            }
            const resourceVersion = place.resourceVersion ?? page.resourceVersion
            const listed: ListedPage = {
              items: page.items,
              resourceVersion,
              isFirst: place.resourceVersion === undefined,
              isLast: page.next === undefined
            }
            const following = { restart: place.restart, next: page.next, resourceVersion }
            return Effect.succeed([[listed], page.next === undefined ? Option.none() : Option.some(following)])
          }
        )
      )
    },
    one: Effect.fnUntraced(function* ({ cluster, filter }): Effect.fn.Return<One, BackendError.BackendError> {
      const name = onlyOf(filter.name)
      const namespace = onlyOf(filter.namespace)
      if (
        name === undefined ||
        namespace === undefined ||
        !names.isNamespaceName(namespace) ||
        !names.isPathSegment(name)
      ) {
        return takesList
      }
      const path = `/api/v1/namespaces/${namespace}/events/${encodeURIComponent(name)}`
      const response = yield* connection.request({ method: "GET", path })
      if (response.status === 200) {
        const stored = KubernetesEvent.fromResource(objectIn(response, "Event", "v1"), cluster)
        if (Result.isSuccess(stored)) return { _tag: "Found", stored: stored.success }
        return yield* response.body === undefined ? brokenOff : notKubernetes(response, "an event", "no")
      }
      if (isNotFound(response)) {
        return { _tag: "Found", stored: undefined }
      }
      const error = readErrorOf(response, { verbs: ["get"], group: "", resource: "events", namespace })
      return response.status === 403 && error.reason._tag === "Unauthorized"
        ? { _tag: "TakesList", otherwise: error }
        : yield* error
    }),
    version: (selected) =>
      Effect.flatMap(readPage(selected, { limit: "1" }), (page) =>
        page === "expired" ? Effect.fail(brokenOff) : Effect.succeed(page.resourceVersion)
      )
  }
}
