/**
 * What readers and writers of an event log say of what they found in it, each once.
 *
 * @internal
 */
import * as ControlCharacters from "@tidings/core/ControlCharacters"
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Metric from "effect/Metric"
import type { LogDirectory } from "./directory.ts"
import type { DamageLedger } from "./segment.ts"

/** @internal */
export const damaged = Metric.counter("tidings_log_damaged_total", {
  description: "Damaged lines of the event log that were skipped",
  incremental: true
})

/** @internal */
export const make = (
  directory: LogDirectory,
  ledger: DamageLedger,
  context: Context.Context<never>
): { readonly damage: Effect.Effect<void>; readonly passedOver: Effect.Effect<void> } => {
  const reported = { lines: 0, bytes: 0 }
  const told = new Set<string>()
  const passedOver = Effect.suspend(() => {
    const unknown = directory.passedOver().filter(({ file }) => !told.has(file))
    if (unknown.length === 0) return Effect.void
    for (const { file } of unknown) told.add(file)
    const names = unknown.map(({ file, reason }) => `${file} (${reason})`).join(", ")
    return Effect.logWarning(
      ControlCharacters.escape(`not read as segments of the event log in ${directory.path}: ${names}; move them away`)
    )
  })
  const damage = Effect.suspend(() => {
    const lines = ledger.lines - reported.lines
    const bytes = ledger.bytes - reported.bytes
    if (lines === 0) return Effect.void
    reported.lines = ledger.lines
    reported.bytes = ledger.bytes
    damaged.updateUnsafe(lines, context)
    return Effect.logWarning(
      `${lines === 1 ? "1 damaged line was" : `${lines} damaged lines were`} skipped in the event log in ` +
        `${directory.path} (${bytes} bytes): a process was stopped while it wrote, or the file was changed`
    )
  })
  return { damage, passedOver }
}
