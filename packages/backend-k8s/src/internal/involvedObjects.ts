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
import * as discovery from "./discovery.ts"
import * as json from "./json.ts"
import { Lru } from "./lru.ts"
import { isPathSegment } from "./names.ts"
import { forbidden as forbiddenError } from "./requestErrors.ts"
import { isNotFound, objectIn, statusIn } from "./response.ts"

/** An object that is made anew under its name has another uid; the old one is used for less than ten seconds. */
const FOUND_MILLIS = 8_000

/** An object that was not there may be just being made. */
const NOT_FOUND_MILLIS = 8_000

/** So many look-ups of one kind in one namespace within a second are answered by one list. */
const LOOKUPS_BEFORE_LIST = 4
const BURST_MILLIS = 1_000

/** A list that is longer costs more than the look-ups that it saves. */
const LONGEST_LIST = 10_000
const LIST_PAGE = 500
const NO_LIST_MILLIS = 600_000

/** A definition of a kind may be just being installed. */
const NO_KIND_MILLIS = 30_000

const KINDS_MILLIS = 600_000
/** A right that is granted is noticed within that time. */
const FORBIDDEN_MILLIS = 30_000
const FAILED_MILLIS = 5_000

const CAPACITY = 4_096
const COLLECTIONS = 64

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
  for (const { kind, name, namespaced } of json.listOf(json.fieldsOf(list)["resources"])) {
    if (typeof kind !== "string" || typeof name !== "string" || name.includes("/") || byKind.has(kind)) continue
    byKind.set(kind, { apiVersion, plural: name, namespaced: namespaced === true })
  }
  return byKind
}

const ONLY_METADATA = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1,application/json"
const ONLY_METADATA_OF_ALL = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"

/** The objects of a kind in a namespace, of which many were asked for at once. */
interface Collection {
  /** When the last look-ups began that no list answered. */
  begun: Array<number>
  /** What was listed, and until when it is good. */
  uids: ReadonlyMap<string, string>
  until: number
  /** Not to be listed before then: too long, or not allowed. */
  notBefore: number
  listing: Deferred.Deferred<boolean> | undefined
}

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
  const collections = new Lru<Collection>(COLLECTIONS)

  const collectionOf = (path: string): Collection => {
    const known = collections.get(path)
    if (known !== undefined) return known
    const made: Collection = { begun: [], uids: new Map(), until: 0, notBefore: 0, listing: undefined }
    collections.set(path, made)
    return made
  }

  /** Reads all objects of a collection; answers whether that worked. */
  const list = Effect.fnUntraced(function* (path: string, collection: Collection) {
    const uids = new Map<string, string>()
    let next: string | undefined
    do {
      const query = next === undefined ? "" : `&continue=${encodeURIComponent(next)}`
      const response = yield* connection.request({
        method: "GET",
        path: `${path}?limit=${LIST_PAGE}${query}`,
        accept: ONLY_METADATA_OF_ALL
      })
      const page = objectIn(response, "PartialObjectMetadataList", "meta.k8s.io/v1")
      const items = page?.["items"]
      if (response.status !== 200 || page === undefined || !(Array.isArray(items) || items === null)) {
        collection.notBefore = now() + (response.status === 403 ? FORBIDDEN_MILLIS : FAILED_MILLIS)
        return false
      }
      for (const item of json.listOf(items)) {
        const { name, uid } = json.fieldsOf(item["metadata"])
        if (typeof name === "string" && typeof uid === "string") uids.set(name, uid)
      }
      const remaining = json.fieldsOf(page["metadata"])["continue"]
      next = typeof remaining === "string" && remaining !== "" ? remaining : undefined
      if (next !== undefined && uids.size >= LONGEST_LIST) {
        collection.notBefore = now() + NO_LIST_MILLIS
        return false
      }
    } while (next !== undefined)
    collection.uids = uids
    collection.until = now() + FOUND_MILLIS
    return true
  })

  /** Lists once for all that ask meanwhile. */
  const listOnce = (path: string, collection: Collection): Effect.Effect<boolean> =>
    Effect.suspend(() => {
      const running = collection.listing
      if (running !== undefined) return Deferred.await(running)
      const deferred = Deferred.makeUnsafe<boolean>()
      collection.listing = deferred
      const work = Effect.orElseSucceed(list(path, collection), () => {
        collection.notBefore = now() + FAILED_MILLIS
        return false
      })
      return Effect.tap(
        Effect.ensuring(
          work,
          Effect.sync(() => (collection.listing = undefined))
        ),
        (worked) => Deferred.succeed(deferred, worked)
      ).pipe(Effect.onInterrupt(() => Deferred.succeed(deferred, false)))
    })

  /** The uid of an object that a list has; nothing where none has it, and the object has to be looked up. */
  const uidFromList = Effect.fnUntraced(function* (path: string, name: string) {
    const collection = collectionOf(path)
    const at = now()
    const uid = at < collection.until ? collection.uids.get(name) : undefined
    if (uid !== undefined) return uid
    collection.begun = collection.begun.filter((begun) => at - begun < BURST_MILLIS)
    collection.begun.push(at)
    if (collection.begun.length < LOOKUPS_BEFORE_LIST || at < collection.notBefore) return undefined
    return (yield* listOnce(path, collection)) ? (collection.uids.get(name) ?? "") : undefined
  })

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
    if (isNotFound(response)) return remember(path, new Map())
    const list = objectIn(response, "APIResourceList")
    return response.status === 200 && Array.isArray(list?.["resources"])
      ? remember(path, kindsIn(list, apiVersion))
      : undefined
  })

  /** The kinds of which there is just one, the core group's before all others. */
  const readAllKinds = Effect.fnUntraced(function* (kind: string) {
    const cached = cachedKinds("/apis", kind)
    if (cached !== undefined) return cached
    const all = yield* discovery.readAll(connection)
    if (all === undefined) return undefined
    const byKind = new Map<string, Resource>()
    const ambiguous = new Set<string>()
    const preferred = all.filter(({ isPreferred }) => isPreferred)
    for (const resource of preferred) {
      if (resource.group === "") continue
      if (byKind.has(resource.kind)) ambiguous.add(resource.kind)
      byKind.set(resource.kind, resource)
    }
    for (const name of ambiguous) byKind.delete(name)
    for (const resource of preferred) if (resource.group === "") byKind.set(resource.kind, resource)
    return remember("/apis", byKind)
  })

  const lookUp = Effect.fnUntraced(function* (reference: ObjectReference, key: string) {
    const { apiVersion, kind, namespace } = reference
    const knownPath = apiVersion === undefined ? undefined : pathOf(apiVersion)
    if ((apiVersion !== undefined && knownPath === undefined) || !isPathSegment(reference.name)) {
      return { shape: nothing, until: now() + NO_KIND_MILLIS }
    }
    const kinds = yield* apiVersion === undefined || knownPath === undefined
      ? readAllKinds(kind)
      : readKinds(apiVersion, knownPath, kind)
    if (kinds === undefined) return { shape: nothing, until: now() + FAILED_MILLIS }
    const resource = kinds.byKind.get(kind)
    const isNamespaced = namespace !== undefined && namespace !== ""
    if (resource === undefined || resource.namespaced !== isNamespaced || (isNamespaced && !isPathSegment(namespace))) {
      return { shape: nothing, until: now() + NO_KIND_MILLIS }
    }
    const path = pathOf(resource.apiVersion)
    // The kind is known, whatever can be found out about the object.
    const kindAlone: ShapeOptions = { apiVersion: resource.apiVersion }
    if (reference.uid !== undefined) return { shape: kindAlone, until: now() + KINDS_MILLIS }
    const denial = `${path}/${resource.plural} in ${namespace ?? ""}`
    const deniedUntil = forbidden.get(denial)
    if (deniedUntil !== undefined && now() < deniedUntil) return { shape: kindAlone, until: deniedUntil }
    const place = `${path}${resource.namespaced ? `/namespaces/${namespace}` : ""}/${resource.plural}`
    // What was just deleted is still what its last events are about.
    const notFound = (): Found => ({ shape: found.get(key)?.shape ?? kindAlone, until: now() + NOT_FOUND_MILLIS })
    const listed = yield* uidFromList(place, reference.name)
    if (listed === "") return notFound()
    if (listed !== undefined) {
      const { until } = collectionOf(place)
      return { shape: { uid: listed, apiVersion: resource.apiVersion }, until }
    }
    const response = yield* connection.request({
      method: "GET",
      path: `${place}/${encodeURIComponent(reference.name)}`,
      accept: ONLY_METADATA
    })
    if (isNotFound(response)) return notFound()
    switch (response.status) {
      case 200: {
        const { name, uid } = json.fieldsOf(json.fieldsOf(json.parse(response.body))["metadata"])
        if (name !== reference.name || typeof uid !== "string" || uid === "") break
        return { shape: { uid, apiVersion: resource.apiVersion }, until: now() + FOUND_MILLIS }
      }
      case 403: {
        if (statusIn(response) === undefined) break
        if (said.get(`${path}/${resource.plural}`) === undefined) {
          said.set(`${path}/${resource.plural}`, true)
          const denied = forbiddenError(response, {
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
        return { shape: kindAlone, until }
      }
    }
    return { shape: found.get(key)?.shape ?? kindAlone, until: now() + FAILED_MILLIS }
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
      const { apiVersion, kind, name, namespace, uid } = reference
      if (uid !== undefined && apiVersion !== undefined) return Effect.succeed(nothing)
      // Of an object whose uid is given only the kind has to be known.
      const key = JSON.stringify(
        uid === undefined ? [apiVersion, kind, namespace, name] : [kind, namespace !== undefined]
      )
      const cached = found.get(key)
      if (cached !== undefined && now() < cached.until) return Effect.succeed(cached.shape)
      return Effect.flatMap(start(reference, key), (deferred) =>
        Effect.map(Effect.timeoutOption(Deferred.await(deferred), wait), (shape) =>
          Option.getOrElse(shape, () => cached?.shape ?? nothing)
        )
      )
    })
}
