/**
 * The messages of the catalogue, for verbs that record.
 *
 * @internal
 */
import * as Templates from "@tidings/core/Templates"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as session from "./session.ts"

/** The registry with what the command knows, so that messages and types are those of the catalogue. @internal */
export const layer: Layer.Layer<Templates.Templates, Templates.CatalogueError, session.Session> = Layer.effect(
  Templates.Templates,
  Effect.gen(function* () {
    const { catalogue } = yield* session.Session
    const registry = yield* Templates.make
    for (const kinds of catalogue.definitions) yield* registry.register(kinds)
    return registry
  })
)
