import type * as EventId from "@tidings/core/EventId"
import type { Journal, JournalError, Parked } from "@tidings/core/Journal"
import * as Timestamp from "@tidings/core/Timestamp"
import * as Effect from "effect/Effect"
import { messageOf } from "../diskError.ts"
import { appendAll } from "../fileOperations.ts"
import { failed } from "./errors.ts"
import { lineOf } from "./lines.ts"
import type { OpenJournal } from "./opening.ts"
import * as parkedRequests from "./parkedRequests.ts"
import type { Sink } from "./sinks.ts"
import * as sync from "./sync.ts"

/**
 * What a journal keeps for each sink: its checkpoint, its parked events, and the requests of operators about them.
 *
 * Every change is durable when it is answered, also with durability `process`. The state of one sink changes one step at a time,
 * and a step that has begun is not interrupted.
 *
 * @internal
 */
export const make = (
  journal: OpenJournal
): Pick<Journal["Service"], "checkpoint" | "restore" | "park" | "parked" | "unpark" | "requests"> => {
  const { clock, disk, entries, lifecycle, metrics, quota, reserve, sinks, writer } = journal
  const syncEntries = lifecycle.mapError(sync.directory(disk, entries))
  const syncAndClose = (file: number) => lifecycle.mapError(sync.andClose(disk, file))

  const change = <A>(
    name: string,
    use: (sink: Sink) => Effect.Effect<A, JournalError>
  ): Effect.Effect<A, JournalError> =>
    Effect.suspend(() => {
      const sink = sinks.get(name)
      return sink.semaphore.withPermit(lifecycle.complete(reserve.use(lifecycle.whileOwned(() => use(sink)))))
    })

  /** Replaces a file by one with these bytes. */
  const replace = (file: string, bytes: Buffer): Effect.Effect<void, JournalError> =>
    lifecycle.whileOwned(() => {
      const opened = entries.createTemporary(file)
      try {
        appendAll(disk, opened, bytes)
      } catch (cause) {
        disk.close(opened)
        throw cause
      }
      const place = lifecycle.attempt(() => {
        writer.keepOpen()
        entries.replace(file)
      })
      return Effect.andThen(Effect.andThen(syncAndClose(opened), place), syncEntries)
    })

  const changeParked = (
    name: string,
    parked: Parked | undefined,
    unparked: ReadonlyArray<EventId.EventId>
  ): Effect.Effect<void, JournalError> =>
    change(name, ({ files }) => {
      const written = files.writeParked(parked, unparked)
      return Effect.andThen(
        Effect.tapError(Effect.andThen(syncAndClose(written.file), syncEntries), () =>
          Effect.sync(() => files.revokeParked())
        ),
        lifecycle.attempt(() => files.acceptParked(written))
      )
    })

  return {
    checkpoint: (name, checkpoint) =>
      Effect.flatMap(
        Effect.try({
          try: () => lineOf(JSON.stringify(checkpoint)),
          // The last checkpoint stays valid, and the sink tries again later.
          catch: (cause) => failed(`the checkpoint of the sink "${name}" cannot be encoded: ${messageOf(cause)}`)
        }),
        (bytes) =>
          change(name, (sink) =>
            Effect.andThen(
              replace(sink.files.checkpointFile, bytes),
              lifecycle.attempt(() => {
                sink.upTo = checkpoint.upTo
                sink.readUpTo = Math.max(sink.readUpTo, checkpoint.upTo)
                // Entries may be freed only after the checkpoint is durable.
                quota.free()
                reserve.restore()
              })
            )
          )
      ),
    restore: (name) => lifecycle.whileOwned(() => Effect.succeed(sinks.restore(name, writer.head))),
    park: (name, write, occurrences, reason) =>
      Effect.suspend(() => changeParked(name, { write, occurrences, reason, at: Timestamp.now(clock) }, [])),
    parked: (name) =>
      change(name, ({ files }) => {
        const parked = files.loadParked()
        metrics.count()
        const opened = files.openToSync()
        if (opened === undefined) return Effect.as(syncEntries, parked)
        return Effect.as(Effect.andThen(syncAndClose(opened), syncEntries), parked).pipe(
          Effect.tap(() => Effect.sync(() => files.synced()))
        )
      }),
    unpark: (name, series) => (series.length === 0 ? Effect.void : changeParked(name, undefined, series)),
    requests: (name) =>
      lifecycle.whileOwned(() => Effect.succeed(parkedRequests.take(disk, entries, sinks.get(name).files.requestsFile)))
  }
}
