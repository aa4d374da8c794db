import * as Context from "effect/Context"

/**
 * The namespace that is meant where none is named: see `Cli.DefaultNamespace`.
 *
 * @internal
 */
export const DefaultNamespace = Context.Reference<string | undefined>("tidings/Cli/DefaultNamespace", {
  defaultValue: () => undefined
})

/**
 * Where neither a context nor anybody else says which.
 *
 * @internal
 */
export const FALLBACK = "default"
