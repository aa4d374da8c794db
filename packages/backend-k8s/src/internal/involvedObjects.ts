/**
 * The uids of involved objects, because `kubectl describe` finds events by uid.
 */
import type { ObjectReference } from "@tidings/core/ObjectReference"
import type * as Clock from "effect/Clock"
import * as Deferred from "effect/Deferred"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import * as Semaphore from "effect/Semaphore"
import type { KubernetesConnection } from "../KubernetesConnection.ts"
import type { ShapeOptions } from "../KubernetesEvent.ts"
import * as answer from "./answer.ts"
import { Lru } from "./lru.ts"

/** An object that is made anew under its name has another uid; the old one is used for so long at the most. */
const FOUND_MILLIS = 60_000

/** An object that was not there may be just being made. */
const NOT_FOUND_MILLIS = 10_000

/** A definition of a kind may be just being installed. */
const NO_KIND_MILLIS = 60_000

const KINDS_MILLIS = 600_000
const FORBIDDEN_MILLIS = 300_000
const FAILED_MILLIS = 5_000

const CAPACITY = 4_096

/** Not to crowd out what matters more. */
const CONCURRENT_LOOKUPS = 4

interface Resource {
  readonly apiVersion: string
  readonly plural: string
  readonly namespaced: boolean
}

interface Kinds {
  readonly byKind: ReadonlyMap<string, Resource>
  readonly readAt: number
}

interface Found {
  readonly shape: ShapeOptions
  readonly until: number
}

const nothing: ShapeOptions = {}

type Fields = { readonly [key: string]: unknown }

const isFields = (value: unknown): value is Fields =>
  typeof value === "object" && value !== null && !Array.isArray(value)

const fieldsOf = (value: unknown): Fields => (isFields(value) ? value : {})
const listOf = (value: unknown): ReadonlyArray<Fields> => (Array.isArray(value) ? value.filter(isFields) : [])

/** The path of a group and version; `undefined` for what cannot be one. */
const pathOf = (apiVersion: string): string | undefined => {
  const match = /^(?:([a-z0-9](?:[-a-z0-9.]*[a-z0-9])?)\/)?(v[a-z0-9]+)$/.exec(apiVersion)
  if (match === null || apiVersion.includes("..")) return undefined
  return match[1] === undefined ? `/api/${match[2]}` : `/apis/${match[1]}/${match[2]}`
}

const groupOf = (apiVersion: string): string =>
  apiVersion.includes("/") ? apiVersion.slice(0, apiVersion.indexOf("/")) : ""

/** The kinds of one group and version, from its list of resources. */
const kindsIn = (list: unknown, apiVersion: string): ReadonlyMap<string, Resource> => {
  const byKind = new Map<string, Resource>()
  for (const { kind, name, namespaced } of listOf(fieldsOf(list)["resources"])) {
    if (typeof kind !== "string" || typeof name !== "string" || name.includes("/") || byKind.has(kind)) continue
    byKind.set(kind, { apiVersion, plural: name, namespaced: namespaced === true })
  }
  return byKind
}

/** The kinds of all groups, each in its preferred version, from an aggregated discovery. */
const kindsOfGroups = (list: unknown): ReadonlyArray<Resource & { readonly kind: string }> =>
  listOf(fieldsOf(list)["items"]).flatMap((group) => {
    const name = fieldsOf(group["metadata"])["name"]
    const preferred = fieldsOf(listOf(group["versions"])[0])
    const { version } = preferred
    if (typeof version !== "string") return []
    const apiVersion = typeof name === "string" && name !== "" ? `${name}/${version}` : version
    return listOf(preferred["resources"]).flatMap(({ resource, responseKind, scope }) => {
      const { kind } = fieldsOf(responseKind)
      return typeof kind === "string" && typeof resource === "string"
        ? [{ kind, apiVersion, plural: resource, namespaced: scope === "Namespaced" }]
        : []
    })
  })

const isSegment = (text: string): boolean => text !== "" && text !== "." && text !== ".." && !/[/%]/.test(text)

const AGGREGATED = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
const ONLY_METADATA = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1,application/json"

/** @internal */
export const make = (options: {
  readonly connection: KubernetesConnection["Service"]
  readonly clock: Clock.Clock
  readonly wait: Duration.Duration
  /** Look-ups that took longer than anybody waits for end here. */
  readonly scope: Scope.Scope
}): ((involvedObject: ObjectReference) => Effect.Effect<ShapeOptions>) => {
  const { clock, connection, scope, wait } = options
  const now = () => clock.currentTimeMillisUnsafe()
  const kindsOf = new Lru<Kinds>(CAPACITY)
  const found = new Lru<Found>(CAPACITY)
  const forbidden = new Lru<number>(CAPACITY)
  const said = new Lru<true>(CAPACITY)
  const underWay = new Map<string, Deferred.Deferred<ShapeOptions>>()
  const permits = Semaphore.makeUnsafe(CONCURRENT_LOOKUPS)

  const cachedKinds = (path: string, kind: string): Kinds | undefined => {
    const cached = kindsOf.get(path)
    const isGood =
      cached !== undefined && now() - cached.readAt < (cached.byKind.has(kind) ? KINDS_MILLIS : NO_KIND_MILLIS)
    return isGood ? cached : undefined
  }

  const remember = (path: string, byKind: ReadonlyMap<string, Resource>): Kinds => {
    const kinds: Kinds = { byKind, readAt: now() }
    kindsOf.set(path, kinds)
    return kinds
  }

  /** The kinds of a group and version; `undefined` when they could not be found out. */
  const readKinds = Effect.fnUntraced(function* (apiVersion: string, path: string, kind: string) {
    const cached = cachedKinds(path, kind)
    if (cached !== undefined) return cached
    const response = yield* connection.request({ method: "GET", path })
    if (response.status === 404) return remember(path, new Map())
    return response.status === 200 ? remember(path, kindsIn(answer.parseBody(response.body), apiVersion)) : undefined
  })

  /** The kinds of which there is just one, the core group's before all others. */
  const readAllKinds = Effect.fnUntraced(function* (kind: string) {
    const cached = cachedKinds("/apis", kind)
    if (cached !== undefined) return cached
    const [core, others] = yield* Effect.forEach(["/api", "/apis"], (path) =>
      connection.request({ method: "GET", path, accept: AGGREGATED })
    )
    if (core?.status !== 200 || others?.status !== 200) return undefined
    const byKind = new Map<string, Resource>()
    const ambiguous = new Set<string>()
    for (const resource of kindsOfGroups(answer.parseBody(others.body))) {
      if (byKind.has(resource.kind)) ambiguous.add(resource.kind)
      byKind.set(resource.kind, resource)
    }
    for (const name of ambiguous) byKind.delete(name)
    for (const resource of kindsOfGroups(answer.parseBody(core.body))) byKind.set(resource.kind, resource)
    return remember("/apis", byKind)
  })

  const lookUp = Effect.fnUntraced(function* (reference: ObjectReference, key: string) {
    const { apiVersion, kind, namespace } = reference
    const knownPath = apiVersion === undefined ? undefined : pathOf(apiVersion)
    if ((apiVersion !== undefined && knownPath === undefined) || !isSegment(reference.name)) {
      return { shape: nothing, until: now() + NO_KIND_MILLIS }
    }
    const kinds = yield* apiVersion === undefined || knownPath === undefined
      ? readAllKinds(kind)
      : readKinds(apiVersion, knownPath, kind)
    if (kinds === undefined) return { shape: nothing, until: now() + FAILED_MILLIS }
    const resource = kinds.byKind.get(kind)
    const isNamespaced = namespace !== undefined && namespace !== ""
    if (resource === undefined || resource.namespaced !== isNamespaced || (isNamespaced && !isSegment(namespace))) {
      return { shape: nothing, until: now() + NO_KIND_MILLIS }
    }
    const path = pathOf(resource.apiVersion)
    const denial = `${path}/${resource.plural} in ${namespace ?? ""}`
    const deniedUntil = forbidden.get(denial)
    if (deniedUntil !== undefined && now() < deniedUntil) return { shape: nothing, until: deniedUntil }
    const place = resource.namespaced ? `${path}/namespaces/${namespace}` : path
    const response = yield* connection.request({
      method: "GET",
      path: `${place}/${resource.plural}/${encodeURIComponent(reference.name)}`,
      accept: ONLY_METADATA
    })
    switch (response.status) {
      case 200: {
        const uid = fieldsOf(fieldsOf(answer.parseBody(response.body))["metadata"])["uid"]
        const shape: ShapeOptions =
          typeof uid === "string" && uid !== "" ? { uid, apiVersion: resource.apiVersion } : nothing
        return { shape, until: now() + FOUND_MILLIS }
      }
      case 404:
        // What was just deleted is still what its last events are about.
        return { shape: found.get(key)?.shape ?? nothing, until: now() + NOT_FOUND_MILLIS }
      case 403: {
        if (said.get(`${path}/${resource.plural}`) === undefined) {
          said.set(`${path}/${resource.plural}`, true)
          const denied = answer.forbidden(response, {
            verbs: ["get"],
            group: groupOf(resource.apiVersion),
            resource: resource.plural,
            namespace: resource.namespaced ? namespace : undefined
          })
          yield* Effect.logInfo(
            `events about ${resource.plural} go without the uid of their object, so kubectl describe does not show ` +
              `them: ${denied.message}`
          )
        }
        const until = now() + FORBIDDEN_MILLIS
        forbidden.set(denial, until)
        return { shape: nothing, until }
      }
      default:
        return { shape: nothing, until: now() + FAILED_MILLIS }
    }
  })

  const start = (reference: ObjectReference, key: string): Effect.Effect<Deferred.Deferred<ShapeOptions>> =>
    Effect.suspend(() => {
      const running = underWay.get(key)
      if (running !== undefined) return Effect.succeed(running)
      const deferred = Deferred.makeUnsafe<ShapeOptions>()
      underWay.set(key, deferred)
      const work = permits.withPermit(lookUp(reference, key)).pipe(
        Effect.orElseSucceed((): Found => ({ shape: found.get(key)?.shape ?? nothing, until: now() + FAILED_MILLIS })),
        Effect.flatMap((result) => {
          found.set(key, result)
          return Deferred.succeed(deferred, result.shape)
        }),
        Effect.ensuring(
          Effect.suspend(() => {
            underWay.delete(key)
            return Deferred.succeed(deferred, nothing)
          })
        )
      )
      return Effect.as(Effect.forkIn(work, scope), deferred)
    })

  return (reference) =>
    Effect.suspend(() => {
      if (reference.uid !== undefined) return Effect.succeed(nothing)
      const key = JSON.stringify([reference.apiVersion, reference.kind, reference.namespace, reference.name])
      const cached = found.get(key)
      if (cached !== undefined && now() < cached.until) return Effect.succeed(cached.shape)
      return Effect.flatMap(start(reference, key), (deferred) =>
        Effect.map(Effect.timeoutOption(Deferred.await(deferred), wait), (shape) =>
          Option.getOrElse(shape, () => cached?.shape ?? nothing)
        )
      )
    })
}
