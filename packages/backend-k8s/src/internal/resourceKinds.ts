/**
 * The resource of a kind: under which path its objects are, and whether they are in namespaces.
 */
import type { BackendError } from "@tidings/core/BackendError"
import * as Cache from "effect/Cache"
import type * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type { KubernetesConnection } from "../KubernetesConnection.ts"
import * as discovery from "./discovery.ts"
import * as json from "./json.ts"
import { isNotFound, objectIn } from "./response.ts"

/** @internal */
export interface Resource {
  readonly apiVersion: string
  readonly group: string
  /** Of the group and version. */
  readonly path: string
  readonly plural: string
  readonly namespaced: boolean
}

/** Definitions of kinds change rarely. */
const KINDS_MILLIS = 600_000

/** A kind that does not exist may be about to be defined. */
const NO_KIND_MILLIS = 30_000

const CAPACITY = 4_096

/** Stands for a reference without apiVersion. */
const ANY = ""

type ByKind = ReadonlyMap<string, Resource>

interface Kinds {
  readonly byKind: ByKind
  readonly readAt: number
}

/** The path of a group and version; `undefined` for a text that cannot be one. */
const pathOf = (apiVersion: string): { readonly group: string; readonly path: string } | undefined => {
  const match = /^(?:([a-z0-9](?:[-a-z0-9.]*[a-z0-9])?)\/)?(v[a-z0-9]+)$/.exec(apiVersion)
  if (match === null || apiVersion.includes("..")) return undefined
  const [, group = "", version] = match
  return { group, path: group === "" ? `/api/${version}` : `/apis/${group}/${version}` }
}

/** The kinds of one group and version, from its list of resources. */
const kindsIn = (list: unknown, apiVersion: string, group: string, path: string): ByKind => {
  const byKind = new Map<string, Resource>()
  for (const { kind, name, namespaced } of json.listOf(json.fieldsOf(list)["resources"])) {
    if (typeof kind !== "string" || typeof name !== "string" || name.includes("/") || byKind.has(kind)) continue
    byKind.set(kind, { apiVersion, group, path, plural: name, namespaced: namespaced === true })
  }
  return byKind
}

/** The kinds that only one group has, and those of the core group, whose kinds come before all others. */
const unambiguous = (all: ReadonlyArray<discovery.DiscoveredKind>): ByKind => {
  const byKind = new Map<string, Resource>()
  const ambiguous = new Set<string>()
  const core: Array<Resource & { readonly kind: string }> = []
  for (const { apiVersion, group, isPreferred, kind, namespaced, plural } of all) {
    const path = pathOf(apiVersion)?.path
    if (!isPreferred || path === undefined) continue
    const resource = { kind, apiVersion, group, path, plural, namespaced }
    if (group === "") {
      core.push(resource)
      continue
    }
    if (byKind.has(kind)) ambiguous.add(kind)
    byKind.set(kind, resource)
  }
  for (const kind of ambiguous) byKind.delete(kind)
  for (const resource of core) byKind.set(resource.kind, resource)
  return byKind
}

/** @internal */
export interface ResourceKinds {
  /**
   * The resource of a kind; `"none"` where there is no such kind, or several where no apiVersion is given; `"unknown"` where
   * the server does not say.
   */
  readonly find: (
    apiVersion: string | undefined,
    kind: string
  ) => Effect.Effect<Resource | "none" | "unknown", BackendError>
}

/** @internal */
export const make = Effect.fnUntraced(function* (connection: KubernetesConnection["Service"], clock: Clock.Clock) {
  const now = () => clock.currentTimeMillisUnsafe()

  const readGroup = Effect.fnUntraced(function* (apiVersion: string) {
    const place = pathOf(apiVersion)
    if (place === undefined) return new Map<string, Resource>()
    const response = yield* connection.request({ method: "GET", path: place.path })
    if (isNotFound(response)) return new Map<string, Resource>()
    const list = objectIn(response, "APIResourceList")
    return response.status === 200 && Array.isArray(list?.["resources"])
      ? kindsIn(list, apiVersion, place.group, place.path)
      : undefined
  })

  const readAll = Effect.map(discovery.readAll(connection), (all) => (all === undefined ? undefined : unambiguous(all)))

  const cache = yield* Cache.makeWith(
    (apiVersion: string): Effect.Effect<Kinds | undefined, BackendError> =>
      Effect.map(apiVersion === ANY ? readAll : readGroup(apiVersion), (byKind) =>
        byKind === undefined ? undefined : { byKind, readAt: now() }
      ),
    {
      capacity: CAPACITY,
      timeToLive: (exit) => (Exit.isSuccess(exit) && exit.value !== undefined ? KINDS_MILLIS : 0)
    }
  )

  const kinds: ResourceKinds = {
    find: Effect.fnUntraced(function* (apiVersion = ANY, kind) {
      const isOutdated = (known: Kinds | undefined): boolean =>
        known !== undefined && !known.byKind.has(kind) && now() - known.readAt >= NO_KIND_MILLIS
      yield* Cache.invalidateWhen(cache, apiVersion, isOutdated)
      const known = yield* Cache.get(cache, apiVersion)
      return known === undefined ? "unknown" : (known.byKind.get(kind) ?? "none")
    })
  }
  return kinds
})
