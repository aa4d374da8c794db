/**
 * Where an answer goes on that an earlier one ended: `--cursor-file` and `--show-cursor`.
 *
 * @internal
 */
import * as Effect from "effect/Effect"
import type { CursorFile } from "./cursorFile.ts"
import type { Failure, Usage } from "./failure.ts"
import * as options from "./flags.ts"
import type { Selection } from "./selection.ts"
import * as session from "./session.ts"

/** @internal */
export const flags = {
  cursorFile: options.text("cursor-file", {
    value: "FILE",
    description: "Go on after the cursor in FILE, and write there where the output ended, for the next run"
  }),
  showCursor: options.showCursor
}

/** What a verb knows of its file. @internal */
export interface Resumed {
  readonly given: Selection
  readonly file: CursorFile | undefined
  /** Says of a cursor that the store does not take where it came from. */
  readonly explaining: <A, E, R>(self: Effect.Effect<A, E, R>) => Effect.Effect<A, E | Failure, R>
}

/**
 * What was given, with the cursor of the file as the one after which to go on. Then `--limit` is one of the first run: everything
 * since the cursor is shown.
 *
 * @internal
 */
export const resume = Effect.fnUntraced(function* (
  path: string | undefined,
  given: Selection
): Effect.fn.Return<Resumed, Failure | Usage> {
  if (path === undefined) return { given, file: undefined, explaining: (self) => self }
  if (path === "") return yield* session.refuse("--cursor-file is empty: leave it out")
  if (given.after !== undefined) {
    return yield* session.refuse("--after and --cursor-file both say where to go on: leave one out")
  }
  const files = yield* Effect.promise(() => import("./cursorFile.ts"))
  const file = yield* files.open(path)
  return {
    given: file.cursor === undefined ? given : { ...given, limit: undefined, after: file.cursor },
    file,
    explaining: files.explaining(file)
  }
})
