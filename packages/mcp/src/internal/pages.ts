/**
 * Page tokens as answers give them: with the times of the query, because `since: "1h"` is another time at the next call, and
 * a token of a store is good only for the filter that it was made with.
 *
 * @internal
 */
import type { EventFilter, PageToken } from "@tidings/core/EventQuery"
import type { Micros } from "@tidings/core/Timestamp"

const SHAPE = /^(-?\d{1,18})?\.(-?\d{1,18})?\.(.+)$/s

/** @internal */
export const encode = ({ since, until }: EventFilter, token: PageToken): string =>
  `${since ?? ""}.${until ?? ""}.${token}`

/** @internal */
export const decode = (
  page: string
): { readonly since?: Micros; readonly until?: Micros; readonly token: PageToken } | undefined => {
  const match = SHAPE.exec(page)
  if (match === null) return undefined
  return {
    ...(match[1] === undefined ? undefined : { since: Number(match[1]) }),
    ...(match[2] === undefined ? undefined : { until: Number(match[2]) }),
    token: match[3] as PageToken
  }
}
