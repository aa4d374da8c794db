/**
 * Standard input as text.
 *
 * @internal
 */
import type * as Effect from "effect/Effect"
import * as Stdio from "effect/Stdio"
import * as Stream from "effect/Stream"
import { Failure } from "./failure.ts"

/** @internal */
export const text: Effect.Effect<Stream.Stream<string, Failure>, never, Stdio.Stdio> = Stdio.Stdio.useSync(
  ({ stdin }) =>
    Stream.mapError(
      Stream.decodeText(stdin),
      ({ message }) => new Failure({ detail: `cannot read standard input: ${message}` })
    )
)
