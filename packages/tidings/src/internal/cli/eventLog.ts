/**
 * The event log that is meant, for verbs that only an event log has.
 *
 * @internal
 */
import * as FileBackend from "@tidings/backend-fs/FileBackend"
import { Backend } from "@tidings/core/Backend"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { Failure } from "./failure.ts"
import * as session from "./session.ts"

const STORES: Readonly<Record<string, string>> = { kubernetes: "a cluster", postgres: "a database" }

/** @internal */
export type Log = FileBackend.EventLog["Service"]

/**
 * Uses the event log; fails where the store is another one, unless the verb has an answer of its own in a database.
 *
 * @internal
 */
export const use = <A, E, R, E2 = never, R2 = never>(
  verb: string,
  use: (log: Log) => Effect.Effect<A, E, R>,
  inDatabase?: Effect.Effect<A, E2, R2>
) =>
  Effect.gen(function* () {
    const { mode } = yield* Backend
    if (mode === "postgres" && inDatabase !== undefined) return yield* inDatabase
    const log = yield* Effect.serviceOption(FileBackend.EventLog)
    if (Option.isNone(log)) {
      const { command } = yield* session.Session
      return yield* new Failure({
        detail: `${verb} is for an event log, and this is ${STORES[mode] ?? `a store of mode ${mode}`}`,
        hint: `name the log: ${command} ${verb} --directory DIRECTORY`
      })
    }
    return yield* use(log.value)
  }).pipe(session.withBackend({ create: false }))
