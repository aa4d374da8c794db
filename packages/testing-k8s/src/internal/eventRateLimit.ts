/** Admission plugin EventRateLimit: token buckets over events. */
import { asText, at, type JsonObject } from "./json.ts"

/**
 * A bucket of the admission plugin EventRateLimit: beyond it, writing an event is answered 429 without Retry-After. Looks
 * at `v1` alone, and also at patches that change nothing.
 *
 * @category models
 * @since 0.1.0
 */
export interface EventRateLimit {
  /** What has a bucket of its own. `Namespace` unless given. */
  readonly type?: "Server" | "Namespace" | "User" | "SourceAndObject" | undefined
  /** Events per second. */
  readonly qps: number
  /** Size of the bucket. `qps` unless given. */
  readonly burst?: number | undefined
}

interface Bucket {
  tokens: number
  at: number
}

const keyOf = (type: NonNullable<EventRateLimit["type"]>, user: string, event: JsonObject): string => {
  const text = (...path: ReadonlyArray<string>): string => asText(at(event, ...path))
  switch (type) {
    case "Server":
      return ""
    case "Namespace":
      return text("metadata", "namespace")
    case "User":
      return user
    case "SourceAndObject":
      return [
        text("source", "component"),
        text("source", "host"),
        text("involvedObject", "kind"),
        text("involvedObject", "namespace"),
        text("involvedObject", "name"),
        text("involvedObject", "uid"),
        text("involvedObject", "apiVersion")
      ].join("")
  }
}

/** Takes a token of every bucket that the event belongs to; says which one is empty, if one is. @internal */
export const make = (
  limits: ReadonlyArray<EventRateLimit>,
  now: () => number
): ((user: string, event: JsonObject) => { readonly type: string; readonly key: string } | undefined) => {
  const buckets = new Map<string, Bucket>()
  return (user, event) => {
    let empty: { readonly type: string; readonly key: string } | undefined
    for (const { burst, qps, type = "Namespace" } of limits) {
      const size = burst ?? qps
      const key = keyOf(type, user, event)
      const id = `${type} ${key}`
      const bucket = buckets.get(id) ?? { tokens: size, at: now() }
      buckets.set(id, bucket)
      bucket.tokens = Math.min(size, bucket.tokens + ((now() - bucket.at) / 1_000) * qps)
      bucket.at = now()
      if (bucket.tokens < 1) {
        empty ??= { type, key }
      } else {
        bucket.tokens -= 1
      }
    }
    return empty
  }
}
