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
 * Where neither a context nor an option names one.
 *
 * @internal
 */
export const FALLBACK = "default"
