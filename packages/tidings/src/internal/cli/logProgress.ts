/**
 * Says how far an event log is with work that a verb waits for.
 *
 * @internal
 */
import type * as FileBackend from "@tidings/backend-fs/FileBackend"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as progress from "./progress.ts"
import { size } from "./quantities.ts"
import * as words from "./words.ts"

const TEXTS: Readonly<Record<FileBackend.Progress["task"], (bytes: string, total: string) => string>> = {
  index: (bytes, total) => `indexing the event log: ${bytes} of ${total}`,
  compress: (bytes, total) => `compressing segments: ${bytes} of ${total}`,
  retention: (bytes, total) => `reading old segments: ${bytes} of ${total} at most`
}

/**
 * What the layer of a log takes as `onProgress`. When the scope closes, nothing of it stays on the terminal.
 *
 * @internal
 */
export const make: Effect.Effect<NonNullable<FileBackend.Options["onProgress"]>, never, Scope.Scope> = Effect.gen(
  function* () {
    let shown: progress.Progress | undefined
    yield* Effect.addFinalizer(() => words.clear)
    return ({ bytes, task, totalBytes }) =>
      Effect.gen(function* () {
        if (bytes >= totalBytes) {
          shown = undefined
          return yield* words.clear
        }
        shown ??= yield* progress.make(false)
        yield* shown.step(() => TEXTS[task](size(bytes), size(totalBytes)))
      })
  }
)
