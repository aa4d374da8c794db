/**
 * Each event that is stored, as a line of Effect's logger.
 *
 * @internal
 */
import type * as Backend from "@tidings/core/Backend"
import type { BackendError } from "@tidings/core/BackendError"
import * as ControlCharacters from "@tidings/core/ControlCharacters"
import type { Write } from "@tidings/core/Event"
import * as EventId from "@tidings/core/EventId"
import * as Effect from "effect/Effect"
import * as LogLevel from "effect/LogLevel"
import * as References from "effect/References"

const logWrite = ({ count, event, id }: Write): Effect.Effect<void> => {
  const { kind, name, namespace } = event.involvedObject
  const object = namespace === undefined ? name : `${namespace}/${name}`
  return Effect.annotateLogs(
    Effect.logWithLevel(event.type === "Warning" ? "Warn" : "Info")(
      ControlCharacters.escape(`${kind} ${object} ${event.reason}: ${event.message}`)
    ),
    count === 1 ? { event: EventId.format(id) } : { event: EventId.format(id), count }
  )
}

type Store = (
  batch: ReadonlyArray<Write>,
  stored: (write: Write) => void
) => Effect.Effect<ReadonlyArray<Backend.Outcome>, BackendError>

/**
 * Stores a batch and logs what was stored: `Warn` for events of type `Warning`, `Info` for others. What the logger would leave
 * out is not collected.
 *
 * @internal
 */
export const storeAndLog =
  (store: Store) =>
  (batch: ReadonlyArray<Write>): Effect.Effect<ReadonlyArray<Backend.Outcome>, BackendError> =>
    Effect.withFiber((fiber) => {
      const minimum = fiber.getRef(References.MinimumLogLevel)
      const isSilent = LogLevel.isGreaterThan(minimum, "Warn")
      const quiet = LogLevel.isGreaterThan(minimum, "Info")
      const toLog: Array<Write> = []
      const stored = store(batch, (one) => {
        if (!isSilent && (!quiet || one.event.type === "Warning")) toLog.push(one)
      })
      return isSilent
        ? stored
        : Effect.tap(stored, () =>
            toLog.length === 0 ? Effect.void : Effect.forEach(toLog, logWrite, { discard: true })
          )
    })
