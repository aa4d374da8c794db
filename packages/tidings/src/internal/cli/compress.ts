/**
 * `compress`: old segments of the event log.
 *
 * @internal
 */
import type * as FileBackend from "@tidings/backend-fs/FileBackend"
import * as Timestamp from "@tidings/core/Timestamp"
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Command from "effect/cli/Command"
import * as documents from "./documents.ts"
import * as eventLog from "./eventLog.ts"
import { examples } from "./examples.ts"
import * as flags from "./flags.ts"
import * as quantities from "./quantities.ts"
import * as session from "./session.ts"
import * as table from "./table.ts"
import * as words from "./words.ts"

type Segment = FileBackend.CompressedSegment

const columns: ReadonlyArray<table.Column<Segment>> = [
  { title: "FILE", cell: ({ file }) => file },
  { title: "BYTES", cell: ({ bytes }) => String(bytes) },
  { title: "BEFORE", cell: ({ uncompressedBytes }) => String(uncompressedBytes) }
]

const plainColumns: ReadonlyArray<table.Column<{ readonly file: string; readonly bytes: number }>> = [
  { title: "FILE", cell: ({ file }) => file },
  { title: "BYTES", cell: ({ bytes }) => String(bytes) }
]

const sizeOf = (segments: ReadonlyArray<{ readonly bytes: number }>): number =>
  segments.reduce((sum, { bytes }) => sum + bytes, 0)

const sumOf = (segments: ReadonlyArray<Segment>): string => {
  const before = segments.reduce((sum, { uncompressedBytes }) => sum + uncompressedBytes, 0)
  const share = Math.max(1, Math.round((100 * sizeOf(segments)) / before))
  return `${segments.length} ${segments.length === 1 ? "segment is" : "segments are"} compressed, to ${share}% of the size`
}

/** How long a segment has been sealed that had a successor at a time. */
const sealedSince = Effect.fnUntraced(function* (before: Timestamp.Micros | undefined) {
  const now = Timestamp.now(yield* Clock.Clock)
  return before === undefined ? undefined : Duration.millis(Math.max(0, (now - before) / 1_000))
})

const run = Effect.fnUntraced(function* (log: eventLog.Log, before: Timestamp.Micros | undefined) {
  return { directory: log.directory, segments: yield* log.compress(yield* sealedSince(before)) }
})

const dryRun = Effect.fnUntraced(function* (log: eventLog.Log, before: Timestamp.Micros | undefined) {
  return { directory: log.directory, segments: yield* log.compressible(yield* sealedSince(before)) }
})

const nothing = (directory: string): string => `there is no segment to compress in ${directory}`

/** @internal */
export const compress = () =>
  Command.make(
    "compress",
    {
      before: flags.time("before", {
        value: "TIME",
        description: "Only segments that had a successor at this time: 1h30m, yesterday, 2026-08-22 (default now)"
      }),
      isDryRun: flags.given("dry-run", "Only show what would be compressed"),
      output: flags.output(["table", "json", "yaml"])
    },
    Effect.fnUntraced(function* ({ before, isDryRun, output = "table" }) {
      const { strong } = yield* session.colours
      if (isDryRun) {
        const { directory, segments } = yield* eventLog.use("compress", (log) => dryRun(log, before))
        if (output !== "table") return yield* documents.print(output, { directory, dryRun: true, segments })
        if (segments.length === 0) return yield* words.say(nothing(directory))
        yield* words.lines(table.make(plainColumns, { room: yield* words.room, paintTitle: strong }).print(segments))
        const what = words.counted(segments.length, "segment")
        const bytes = sizeOf(segments)
        const they = segments.length === 1 ? "it is" : "they are"
        return yield* words.say(
          `would compress ${what} (${quantities.size(bytes)}); without --dry-run ${they} compressed`
        )
      }
      const { directory, segments } = yield* eventLog.use("compress", (log) => run(log, before))
      if (output !== "table") return yield* documents.print(output, { directory, segments })
      if (segments.length === 0) return yield* words.say(nothing(directory))
      yield* words.lines(table.make(columns, { room: yield* words.room, paintTitle: strong }).print(segments))
      yield* words.say(sumOf(segments))
    }, session.verb("compress"))
  ).pipe(
    Command.withDescription(
      "Compress the segments of the event log with zstd, all but the newest, to about a tenth of their size. " +
        "Everything is listed, followed and resumed as before, by this version and later ones; zstdcat and zstdgrep " +
        "read the files. A host may write and read meanwhile."
    ),
    Command.withShortDescription("Compress old segments of the event log"),
    examples("", "--dry-run", "--before 7d", "--directory /var/log/my-host -o json")
  )
