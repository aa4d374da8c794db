/**
 * Looks up what an event leaves open about its involved object: the uid, by which `kubectl describe` finds events, and the
 * apiVersion of its kind.
 *
 * - A write waits for a look-up no longer than `wait`. The look-up goes on, and its result serves the next write.
 * - Writes about the same object share one look-up, and many look-ups of one kind in one namespace become a list.
 * - A uid is used for less than ten seconds, because an object that is created again under its name has another one. Where
 *   a newer one cannot be found, the last one is used: an object that was just deleted is still what its last events are
 *   about.
 * - A look-up never fails: what cannot be found out is left out, and missing permissions are logged once.
 */
import type { BackendError } from "@tidings/core/BackendError"
import type { ObjectReference } from "@tidings/core/ObjectReference"
import * as Cache from "effect/Cache"
import type * as Clock from "effect/Clock"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import * as Semaphore from "effect/Semaphore"
import type { KubernetesConnection } from "../KubernetesConnection.ts"
import type { ShapeOptions } from "../KubernetesEvent.ts"
import type { KubernetesResponse } from "../KubernetesHttp.ts"
import * as json from "./json.ts"
import { Lru } from "./lru.ts"
import { isPathSegment } from "./names.ts"
import * as objectLists from "./objectLists.ts"
import { forbidden } from "./requestErrors.ts"
import * as resourceKinds from "./resourceKinds.ts"
import { isNotFound, statusIn } from "./response.ts"

const FOUND_MILLIS = 8_000

/** An object that does not exist may be about to be created. */
const NOT_FOUND_MILLIS = 8_000

/** A kind that does not exist may be about to be defined. */
const NO_KIND_MILLIS = 30_000

const KIND_MILLIS = 600_000
/** Newly granted permissions are noticed within that time. */
const FORBIDDEN_MILLIS = 30_000
const FAILED_MILLIS = 5_000

const CAPACITY = 4_096

/** So that look-ups leave most of the connections to writes. */
const CONCURRENT_LOOKUPS = 4

const ONLY_METADATA = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1,application/json"

interface Found {
  readonly shape: ShapeOptions
  /** For how long it is used before it is looked up again. */
  readonly millis: number
}

const nothing: ShapeOptions = {}

/**
 * What is looked up, as the key of the cache. A text, because a cache compares objects field by field, which costs more than
 * the rest of a hit.
 */
type Wanted = readonly [
  apiVersion: string | null,
  kind: string,
  /** Empty for a cluster-scoped object. */
  namespace: string,
  /** Null where the uid is given: then only the kind has to be looked up. */
  name: string | null
]

const keyOf = ({ apiVersion, kind, name, namespace = "", uid }: ObjectReference): string => {
  const wanted: Wanted =
    uid === undefined
      ? [apiVersion ?? null, kind, namespace, name]
      : [apiVersion ?? null, kind, namespace === "" ? "" : "any", null]
  return JSON.stringify(wanted)
}

/** @internal */
export type LookUp = (involvedObject: ObjectReference) => Effect.Effect<ShapeOptions>

/** @internal */
export const make = Effect.fnUntraced(function* (options: {
  readonly connection: KubernetesConnection["Service"]
  readonly clock: Clock.Clock
  readonly wait: Duration.Duration
  /** Look-ups that take longer than `wait` end with it. */
  readonly scope: Scope.Scope
}) {
  const { clock, connection, scope, wait } = options
  const now = () => clock.currentTimeMillisUnsafe()
  const kinds = yield* resourceKinds.make(connection, clock)
  const findListed = yield* objectLists.make(connection, clock)
  const permits = Semaphore.makeUnsafe(CONCURRENT_LOOKUPS)
  /** The last uid and apiVersion that were found, by key. */
  const lastFound = new Lru<ShapeOptions>(CAPACITY)
  /** By resource and namespace: until when objects are not requested. */
  const forbiddenUntil = new Lru<number>(CAPACITY)
  const loggedResources = new Lru<true>(CAPACITY)

  const onForbidden = Effect.fnUntraced(function* (
    response: KubernetesResponse,
    { group, path, plural }: resourceKinds.Resource,
    namespace: string | undefined
  ) {
    forbiddenUntil.set(`${path}/${plural} in ${namespace ?? ""}`, now() + FORBIDDEN_MILLIS)
    if (loggedResources.get(`${path}/${plural}`) !== undefined) return
    loggedResources.set(`${path}/${plural}`, true)
    const { message } = forbidden(response, { verbs: ["get"], group, resource: plural, namespace })
    yield* Effect.logInfo(
      `events about ${plural} go without the uid of their object, so kubectl describe does not show them: ${message}`
    )
  })

  /** The object by a request for it alone. */
  const readObject = Effect.fnUntraced(function* (
    resource: resourceKinds.Resource,
    collection: string,
    namespace: string | undefined,
    name: string
  ): Effect.fn.Return<objectLists.ListedObject | "forbidden" | "unknown", BackendError> {
    const response = yield* connection.request({
      method: "GET",
      path: `${collection}/${encodeURIComponent(name)}`,
      accept: ONLY_METADATA
    })
    if (isNotFound(response)) return { uid: undefined, until: now() + NOT_FOUND_MILLIS }
    if (response.status === 403 && statusIn(response) !== undefined) {
      yield* onForbidden(response, resource, namespace)
      return "forbidden"
    }
    const metadata = json.fieldsOf(json.fieldsOf(json.parse(response.body))["metadata"])
    const uid = json.textOf(metadata["uid"])
    return response.status === 200 && metadata["name"] === name && uid !== undefined
      ? { uid, until: now() + FOUND_MILLIS }
      : "unknown"
  })

  const lookUpObject = Effect.fnUntraced(function* (
    resource: resourceKinds.Resource,
    namespace: string | undefined,
    name: string,
    last: ShapeOptions | undefined
  ): Effect.fn.Return<Found, BackendError> {
    const { apiVersion, path, plural } = resource
    const kindAlone: ShapeOptions = { apiVersion }
    const denied = forbiddenUntil.get(`${path}/${plural} in ${namespace ?? ""}`) ?? 0
    if (now() < denied) return { shape: kindAlone, millis: denied - now() }
    const collection = `${path}${namespace === undefined ? "" : `/namespaces/${namespace}`}/${plural}`
    const object = (yield* findListed(collection, name)) ?? (yield* readObject(resource, collection, namespace, name))
    if (object === "forbidden") return { shape: kindAlone, millis: FORBIDDEN_MILLIS }
    if (object === "unknown") return { shape: last ?? kindAlone, millis: FAILED_MILLIS }
    const { uid, until } = object
    if (uid === undefined) return { shape: last ?? kindAlone, millis: NOT_FOUND_MILLIS }
    return { shape: { uid, apiVersion }, millis: until - now() }
  })

  const lookUpWanted = Effect.fnUntraced(function* (
    [apiVersion, kind, namespace, name]: Wanted,
    last: ShapeOptions | undefined
  ): Effect.fn.Return<Found, BackendError> {
    if (name !== null && !isPathSegment(name)) return { shape: nothing, millis: NO_KIND_MILLIS }
    const resource = yield* kinds.find(apiVersion ?? undefined, kind)
    if (resource === "unknown") return { shape: nothing, millis: FAILED_MILLIS }
    if (resource === "none" || resource.namespaced !== (namespace !== "")) {
      return { shape: nothing, millis: NO_KIND_MILLIS }
    }
    if (name === null) return { shape: { apiVersion: resource.apiVersion }, millis: KIND_MILLIS }
    if (!resource.namespaced) return yield* lookUpObject(resource, undefined, name, last)
    return isPathSegment(namespace)
      ? yield* lookUpObject(resource, namespace, name, last)
      : { shape: nothing, millis: NO_KIND_MILLIS }
  })

  const cache = yield* Cache.makeWith(
    (key: string): Effect.Effect<Found> => {
      const last = lastFound.get(key)
      return permits.withPermit(lookUpWanted(JSON.parse(key) as Wanted, last)).pipe(
        Effect.orElseSucceed((): Found => ({ shape: last ?? nothing, millis: FAILED_MILLIS })),
        Effect.tap(({ shape }) => Effect.sync(() => lastFound.set(key, shape)))
      )
    },
    { capacity: CAPACITY, timeToLive: (exit) => (Exit.isSuccess(exit) ? Math.max(0, exit.value.millis) : 0) }
  )

  /** Waits for a look-up, which goes on afterwards: a cache interrupts a look-up that no fiber waits for. */
  const awaitLookUp = (key: string): Effect.Effect<ShapeOptions> =>
    Effect.flatMap(Effect.forkIn(Cache.get(cache, key), scope), (fiber) =>
      Effect.map(Effect.timeoutOption(Fiber.await(fiber), wait), (exit) =>
        // Not a success when the scope was closed.
        Option.isSome(exit) && Exit.isSuccess(exit.value) ? exit.value.value.shape : (lastFound.get(key) ?? nothing)
      )
    )

  const lookUp: LookUp = (reference) => {
    if (reference.uid !== undefined && reference.apiVersion !== undefined) return Effect.succeed(nothing)
    const key = keyOf(reference)
    return Effect.flatMap(Cache.getSuccess(cache, key), (cached) =>
      Option.isSome(cached) ? Effect.succeed(cached.value.shape) : awaitLookUp(key)
    )
  }
  return lookUp
})
