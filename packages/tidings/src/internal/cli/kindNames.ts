/**
 * Kinds by the names that people have for them: `deployment.apps`, `deployments`, `po`, and what `kubectl get -o name` prints.
 *
 * @internal
 */
import { groupOf, parseKindName } from "@tidings/core/ObjectReference"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type { Catalogue } from "./catalogue.ts"
import * as kinds from "./kinds.ts"

/**
 * See `Cli.FoundKind`.
 *
 * @internal
 */
export interface FoundKind {
  readonly kind: string
  readonly apiVersion: string
  readonly namespaced: boolean
}

/**
 * See `Cli.FindKind`.
 *
 * @internal
 */
export const FindKind = Context.Reference<(name: string) => Effect.Effect<FoundKind | undefined>>(
  "tidings/Cli/FindKind",
  { defaultValue: () => () => Effect.succeed(undefined) }
)

/**
 * What is known of a kind without asking a store.
 *
 * @internal
 */
export interface KindName {
  /** As it was written. */
  readonly written: string
  /** As its type spells it where it is known, else as it was written. */
  readonly kind: string
  /** As it was written; the empty text for the core group. */
  readonly group: string | undefined
  /** Group and version, where they are known or were written. */
  readonly apiVersion: string | undefined
  /** Absent where only a store can know. */
  readonly namespaced: boolean | undefined
  readonly knownBy: "catalogue" | "every cluster" | "nobody"
}

/**
 * Reads the name of a kind; `undefined` for what cannot be one. Upper and lower case do not matter where the kind is known.
 *
 * @internal
 */
export const read = (written: string, catalogue: Catalogue): KindName | undefined => {
  const { group, name, version } = parseKindName(written)
  if (name === "") return undefined
  const isMeant = (apiVersion: string): boolean =>
    (group === undefined || group === groupOf({ apiVersion })) &&
    (version === undefined || apiVersion === version || apiVersion.endsWith(`/${version}`))
  const declared = catalogue.kind(name)
  if (declared !== undefined && isMeant(declared.apiVersion)) {
    const { apiVersion, kind } = declared
    return { written, kind, group, apiVersion, namespaced: undefined, knownBy: "catalogue" }
  }
  const builtIn = kinds.find(name)
  if (builtIn !== undefined && isMeant(builtIn.apiVersion)) {
    const { apiVersion, kind, namespaced } = builtIn
    return { written, kind, group, apiVersion, namespaced, knownBy: "every cluster" }
  }
  const named =
    version === undefined ? undefined : group === undefined || group === "" ? version : `${group}/${version}`
  // A known kind in another group or version is spelled the same there.
  const kind = declared?.kind ?? builtIn?.kind ?? name
  return { written, kind, group, apiVersion: named, namespaced: undefined, knownBy: "nobody" }
}

/**
 * The same, and what the store knows of it; asked with the backend at hand. What everybody has does not take asking, and a
 * catalogue knows all but whether its objects are in namespaces.
 *
 * @internal
 */
export const resolve = (name: KindName): Effect.Effect<KindName> => {
  const { apiVersion, kind, knownBy, written } = name
  switch (knownBy) {
    case "every cluster":
      return Effect.succeed(name)
    case "catalogue":
      return FindKind.use((find) =>
        Effect.map(find(`${kind}.${groupOf({ apiVersion: apiVersion ?? "" })}`), (found) =>
          found === undefined ? name : { ...name, namespaced: found.namespaced }
        )
      )
    case "nobody":
      return FindKind.use((find) =>
        Effect.map(find(written), (found) => (found === undefined ? name : { ...name, ...found }))
      )
  }
}
