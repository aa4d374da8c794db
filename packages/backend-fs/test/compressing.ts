import { FileBackend } from "@tidings/backend-fs"
import { Backend } from "@tidings/core/Backend"
import { Effect, Layer } from "effect"
import { readdirSync } from "node:fs"
import { Disk, node } from "../src/internal/disk.ts"
import { FrameSize } from "../src/internal/log/compression/frames.ts"
import { open } from "./openLog.ts"

const HOUR = 3_600_000

/** A disk whose files were made an hour ago, or, with a clock that stands at 1970, long before. */
export const aged: Disk = {
  ...node,
  status: (path) => {
    const status = node.status(path)
    return status === undefined ? undefined : { ...status, made: -HOUR }
  },
  statusOf: (file) => ({ ...node.statusOf(file), made: -HOUR })
}

/** Opens a log whose frames hold few lines, and whose segments may be compressed at once. */
export const openAged = (options: FileBackend.Options, disk: Disk = aged, frame = 2_000) =>
  Effect.provideService(open(options, disk), FrameSize, frame)

export const compressedOf = (directory: string): Array<string> =>
  readdirSync(directory)
    .filter((file) => file.endsWith(".ndjson.zst"))
    .sort()

/** What a compression that was stopped leaves behind. */
export const leftOf = (directory: string): Array<string> =>
  readdirSync(directory).filter((file) => file.startsWith(".events"))

/** A log that compresses its segments, of a few lines each, after each write. */
export const compressing = (directory: string): Layer.Layer<Backend, unknown> => {
  const layer = Layer.effect(
    Backend,
    Effect.gen(function* () {
      const backend = yield* Backend
      const log = yield* FileBackend.EventLog
      return {
        ...backend,
        write: (batch) => Effect.tap(backend.write(batch), () => Effect.orDie(log.compress("0 seconds")))
      }
    })
  ).pipe(Layer.provide(FileBackend.layer({ directory, console: false, segmentSize: 2_000 })))
  return Layer.provide(layer, Layer.mergeAll(Layer.succeed(Disk, aged), Layer.succeed(FrameSize, 500)))
}
