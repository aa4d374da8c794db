/**
 * The uids of objects of which many are looked up at once, from one list instead of a request for each.
 */
import type { BackendError } from "@tidings/core/BackendError"
import * as Cache from "effect/Cache"
import type * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import type { KubernetesConnection } from "../KubernetesConnection.ts"
import * as json from "./json.ts"
import { Lru } from "./lru.ts"
import { objectIn } from "./response.ts"

/** So many look-ups in one collection within `BURST_MILLIS` are answered by one list. */
const LOOKUPS_BEFORE_LIST = 4
const BURST_MILLIS = 1_000

/** A longer list costs more than the look-ups that it saves. */
const LONGEST_LIST = 10_000
const PAGE_SIZE = 500

const LISTED_MILLIS = 8_000
const TOO_LONG_MILLIS = 600_000
/** Newly granted permissions are noticed within that time. */
const FORBIDDEN_MILLIS = 30_000
const FAILED_MILLIS = 5_000

const COLLECTIONS = 64

const ONLY_METADATA = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"

interface List {
  /** By name; `undefined` where the collection cannot be listed. */
  readonly uids: ReadonlyMap<string, string> | undefined
  readonly until: number
}

/**
 * What a list says of an object. Without a uid, the object does not exist.
 *
 * @internal
 */
export interface ListedObject {
  readonly uid: string | undefined
  readonly until: number
}

/**
 * Finds an object of a collection in its list; `undefined` where there is no list, so that it has to be looked up.
 *
 * @internal
 */
export type FindListed = (collection: string, name: string) => Effect.Effect<ListedObject | undefined>

/** @internal */
export const make = Effect.fnUntraced(function* (connection: KubernetesConnection["Service"], clock: Clock.Clock) {
  const now = () => clock.currentTimeMillisUnsafe()
  const notListed = (millis: number): List => ({ uids: undefined, until: now() + millis })

  const read = Effect.fnUntraced(function* (collection: string): Effect.fn.Return<List, BackendError> {
    const uids = new Map<string, string>()
    let next: string | undefined
    do {
      const query = next === undefined ? "" : `&continue=${encodeURIComponent(next)}`
      const response = yield* connection.request({
        method: "GET",
        path: `${collection}?limit=${PAGE_SIZE}${query}`,
        accept: ONLY_METADATA
      })
      const page = objectIn(response, "PartialObjectMetadataList", "meta.k8s.io/v1")
      const items = page?.["items"]
      if (response.status !== 200 || page === undefined || !(Array.isArray(items) || items === null)) {
        return notListed(response.status === 403 ? FORBIDDEN_MILLIS : FAILED_MILLIS)
      }
      for (const item of json.listOf(items)) {
        const { name, uid } = json.fieldsOf(item["metadata"])
        if (typeof name === "string" && typeof uid === "string") uids.set(name, uid)
      }
      next = json.textOf(json.fieldsOf(page["metadata"])["continue"])
      if (next !== undefined && uids.size >= LONGEST_LIST) return notListed(TOO_LONG_MILLIS)
    } while (next !== undefined)
    return { uids, until: now() + LISTED_MILLIS }
  })

  const lists = yield* Cache.makeWith(
    (collection: string) => Effect.orElseSucceed(read(collection), () => notListed(FAILED_MILLIS)),
    { capacity: COLLECTIONS, timeToLive: (exit) => (Exit.isSuccess(exit) ? Math.max(0, exit.value.until - now()) : 0) }
  )

  /** By collection: when the last look-ups were that no list answered. */
  const lookups = new Lru<ReadonlyArray<number>>(COLLECTIONS)

  /** Counts a look-up, and tells whether there are so many that a list pays. */
  const isBurst = (collection: string): boolean => {
    const at = now()
    const recent = [...(lookups.get(collection) ?? []).filter((time) => at - time < BURST_MILLIS), at]
    lookups.set(collection, recent)
    return recent.length >= LOOKUPS_BEFORE_LIST
  }

  const find: FindListed = Effect.fnUntraced(function* (collection, name): Effect.fn.Return<ListedObject | undefined> {
    const cached = Option.getOrUndefined(yield* Cache.getSuccess(lists, collection))
    const uid = cached?.uids?.get(name)
    if (cached !== undefined && uid !== undefined) return { uid, until: cached.until }
    const cannotList = cached !== undefined && cached.uids === undefined
    if (!isBurst(collection) || cannotList) return undefined
    // The objects may be newer than the list.
    if (cached !== undefined) yield* Cache.invalidate(lists, collection)
    const { uids, until } = yield* Cache.get(lists, collection)
    return uids === undefined ? undefined : { uid: uids.get(name), until }
  })
  return find
})
