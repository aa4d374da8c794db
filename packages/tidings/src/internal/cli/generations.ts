/**
 * Which generations of muster know a reason: the first one, 0.1, knows all that are built in, the later one, 1.7, a part.
 *
 * @internal
 */
import type { Kinds } from "@tidings/core/EventCatalogue"
import { EventGenerator, reasonsKept } from "@tidings/core/EventGenerator"

const kinds: Kinds = EventGenerator.kinds

const builtIn: ReadonlySet<string> = new Set(Object.values(kinds).flatMap(({ reasons }) => Object.keys(reasons)))

/**
 * The generations that know a reason; `undefined` for a reason of a host's own catalogue.
 *
 * @internal
 */
export const of = (reason: string): string | undefined =>
  !builtIn.has(reason) ? undefined : reasonsKept.has(reason) ? "in 0.1 and 1.7" : "in 0.1, no longer in 1.7"
