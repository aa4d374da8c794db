/**
 * The compression of the segments of one log: when it is asked for, and by itself.
 */
import type { BackendError } from "@tidings/core/BackendError"
import * as ControlCharacters from "@tidings/core/ControlCharacters"
import type * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type { LogDirectory } from "../directory.ts"
import type { OnProgress } from "../progress.ts"
import * as Compressor from "./compressor.ts"
import { FrameSize } from "./frames.ts"

/**
 * Compresses the segments that were sealed for so long, and answers them.
 *
 * @internal
 */
export type Compress = (age: Duration.Duration) => Effect.Effect<ReadonlyArray<Compressor.Compressed>, BackendError>

/**
 * Answers the segments that `Compress` would compress now.
 *
 * @internal
 */
export type Compressible = (age: Duration.Duration) => Effect.Effect<ReadonlyArray<Compressor.Candidate>, BackendError>

/** Compresses segments as they become old enough. What prevents it is logged once, and it is tried again. */
const inBackground = (compress: Compress, after: Duration.Duration): Effect.Effect<never> => {
  const interval = Duration.clamp(after, { minimum: Duration.seconds(1), maximum: Duration.minutes(1) })
  let told = ""
  const tell = ({ message }: BackendError): Effect.Effect<void> => {
    if (message === told) return Effect.void
    told = message
    return Effect.logWarning(ControlCharacters.escape(`segments of the event log are not compressed: ${message}`))
  }
  return Effect.forever(Effect.andThen(Effect.catch(compress(after), tell), Effect.sleep(interval)))
}

/**
 * With `after`, also compresses by itself, until the scope closes.
 *
 * @internal
 */
export const make = (options: {
  readonly directory: LogDirectory
  readonly clock: Clock.Clock
  /** Makes sure that the log can be read. */
  readonly prepare: Effect.Effect<string, BackendError>
  /** Makes sure that the log may be written to. */
  readonly prepareToWrite: Effect.Effect<string, BackendError>
  readonly after: Duration.Duration | undefined
  /** Is told how far it is where compression is asked for. */
  readonly onProgress: OnProgress | undefined
}): Effect.Effect<{ readonly compress: Compress; readonly compressible: Compressible }, never, Scope.Scope> =>
  Effect.gen(function* () {
    const { after, clock, directory, onProgress, prepare, prepareToWrite } = options
    const frameSize = yield* FrameSize
    const compressing =
      (onProgress?: OnProgress): Compress =>
      (age) =>
        Effect.andThen(
          prepareToWrite,
          Effect.suspend(() => Compressor.run(directory, clock, { age: Duration.toMillis(age), frameSize, onProgress }))
        )
    // Compression in the background reports no progress, because no caller waits for it.
    if (after !== undefined) yield* Effect.forkScoped(inBackground(compressing(), after))
    const compressible: Compressible = (age) =>
      Effect.andThen(
        prepare,
        directory.attempt(() => Compressor.candidates(directory, clock, Duration.toMillis(age)))
      )
    return { compress: compressing(onProgress), compressible }
  })
