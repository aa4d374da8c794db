/**
 * Where the journal of a host is.
 *
 * @internal
 */
import * as FileBackend from "@tidings/backend-fs/FileBackend"
import * as Config from "effect/Config"
import * as Effect from "effect/Effect"
import { join, resolve } from "node:path"

/** As `Tidings.layer` and `FileJournal.layer` have it: `TIDINGS_JOURNAL`, else `journal` in the directory of the event log. @internal */
export const directory: Effect.Effect<string, Config.ConfigError> = Effect.gen(function* () {
  const given = yield* Config.withDefault(Config.String("TIDINGS_JOURNAL"), "")
  return given === "" ? join(yield* FileBackend.directory, "journal") : resolve(given)
})
