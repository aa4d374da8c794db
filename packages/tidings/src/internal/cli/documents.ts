/**
 * Documents: what `-o json` and `-o yaml` print.
 *
 * @internal
 */
import * as Effect from "effect/Effect"
import * as format from "./format.ts"
import * as words from "./words.ts"

/** @internal */
export type DocumentFormat = "json" | "yaml"

/** @internal */
export const encoder = (output: DocumentFormat): Effect.Effect<(value: unknown) => string> =>
  output === "json"
    ? Effect.succeed(format.json)
    : Effect.map(
        Effect.promise(() => import("./yaml.ts")),
        ({ encode }) => encode
      )

/** @internal */
export const print = (output: DocumentFormat, value: unknown): Effect.Effect<void> =>
  Effect.flatMap(encoder(output), (encode) => words.data(encode(value)))
