import type * as Backend from "@tidings/core/Backend"
import type { BackendError } from "@tidings/core/BackendError"
import type { Write } from "@tidings/core/Event"
import * as ControlCharacters from "@tidings/core/ControlCharacters"
import * as EventId from "@tidings/core/EventId"
import * as Target from "@tidings/core/Target"
import * as Stream from "effect/Stream"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as LogLevel from "effect/LogLevel"
import * as Metric from "effect/Metric"
import * as References from "effect/References"
import type * as Scope from "effect/Scope"
import * as path from "node:path"
import { Disk } from "../disk.ts"
import { LogChanges } from "./changes.ts"
import { LogDirectory } from "./directory.ts"
import { LogFollower } from "./follower.ts"
import * as LogQuery from "./query.ts"
import { DamageLedger } from "./segment.ts"
import { LogWriter } from "./writer.ts"

/** @internal */
export interface Options {
  readonly directory: string
  readonly create: boolean
  readonly console: boolean
}

/** @internal */
export interface Status {
  readonly directory: string
  readonly target: string
  readonly segments: ReadonlyArray<{ readonly file: string; readonly bytes: number }>
  readonly damaged: { readonly lines: number; readonly bytes: number }
}

/** @internal */
export const damaged = Metric.counter("tidings_log_damaged_total", {
  description: "Damaged lines of the event log that were skipped",
  incremental: true
})

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

/** @internal */
export const make = (
  options: Options
): Effect.Effect<
  {
    readonly backend: Backend.Service
    readonly status: Effect.Effect<Status, BackendError>
    readonly directory: string
  },
  BackendError,
  Scope.Scope
> =>
  Effect.gen(function* () {
    const disk = yield* Disk
    const clock = yield* Clock.Clock
    const context = yield* Effect.context()
    const directory = new LogDirectory({
      path: path.resolve(options.directory),
      disk,
      clock,
      tag: yield* EventId.makeOrigin
    })
    const prepare = directory.prepare(options.create, "read")
    const prepareToWrite = directory.prepare(options.create, "write")
    yield* options.create ? prepareToWrite : prepare

    const changes = new LogChanges(directory)
    const ledger = new DamageLedger()
    const writer = yield* Effect.acquireRelease(
      Effect.sync(() => new LogWriter({ directory, changes, ledger, clock, prepare: prepareToWrite })),
      (writer) => Effect.sync(() => writer.close())
    )

    const reported = { lines: 0, bytes: 0 }
    const report: Effect.Effect<void> = Effect.suspend(() => {
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

    const write = (batch: ReadonlyArray<Write>): Effect.Effect<ReadonlyArray<Backend.Outcome>, BackendError> =>
      batch.length === 0 ? Effect.succeed([]) : writer.write(batch, ignore)

    const writeAndLog = (batch: ReadonlyArray<Write>): Effect.Effect<ReadonlyArray<Backend.Outcome>, BackendError> =>
      Effect.withFiber((fiber) => {
        const minimum = fiber.getRef(References.MinimumLogLevel)
        if (LogLevel.isGreaterThan(minimum, "Warn")) return write(batch)
        const quiet = LogLevel.isGreaterThan(minimum, "Info")
        const toLog: Array<Write> = []
        return Effect.tap(
          writer.write(batch, (one) => {
            if (!quiet || one.event.type === "Warning") toLog.push(one)
          }),
          () => (toLog.length === 0 ? Effect.void : Effect.forEach(toLog, logWrite, { discard: true }))
        )
      })

    const backend: Backend.Service = {
      mode: "filesystem",
      target: Effect.map(prepare, (id) => Target.make(id, { place: directory.path })),
      write: options.console ? writeAndLog : write,
      query: (query) =>
        Effect.flatMap(prepare, (target) => Effect.tap(LogQuery.query(directory, ledger, target, query), () => report)),
      watch: (filter, from) =>
        Stream.unwrap(
          Effect.gen(function* () {
            const target = yield* prepare
            const options = { directory, changes, ledger, report, clock, filter, target }
            const follower = yield* LogFollower.make(options, from)
            return Stream.flattenIterable(Stream.fromEffectRepeat(Effect.suspend(() => follower.next)))
          })
        )
    }

    const status = Effect.gen(function* () {
      const target = yield* prepare
      const segments = yield* directory.attempt(() =>
        directory.segments().flatMap(({ file }) => {
          const found = disk.status(directory.pathOf(file))
          return found === undefined ? [] : [{ file, bytes: found.size }]
        })
      )
      return {
        directory: directory.path,
        target,
        segments,
        damaged: { lines: ledger.lines, bytes: ledger.bytes }
      }
    })

    return { backend, status, directory: directory.path }
  })

const ignore = (): void => {}
