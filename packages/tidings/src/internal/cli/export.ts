/**
 * `export`: everything that is stored, line by line.
 *
 * @internal
 */
import type { BackendError } from "@tidings/core/BackendError"
import type { Event } from "@tidings/core/Event"
import * as EventJson from "@tidings/core/EventJson"
import * as EventQuery from "@tidings/core/EventQuery"
import { EventReader } from "@tidings/core/EventReader"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as Command from "effect/cli/Command"
import { closeSync, fsyncSync, openSync, writeSync } from "node:fs"
import type { Catalogue } from "./catalogue.ts"
import { examples } from "./examples.ts"
import * as forgiving from "./forgiving.ts"
import { Failure } from "./failure.ts"
import * as flags from "./flags.ts"
import * as missing from "./missing.ts"
import * as progresses from "./progress.ts"
import * as reconnecting from "./reconnecting.ts"
import * as searching from "./searching.ts"
import * as selection from "./selection.ts"
import * as session from "./session.ts"
import * as words from "./words.ts"

type Print = (lines: ReadonlyArray<string>) => Effect.Effect<void, Failure>

interface How {
  readonly file: string | undefined
  readonly isFollowing: boolean
  readonly showCursor: boolean
  readonly search: searching.Search | undefined
}

const failed = (path: string) => (cause: unknown) =>
  new Failure({
    detail: `cannot write ${JSON.stringify(path)}: ${cause instanceof Error ? cause.message : String(cause)}`
  })

/** A file for its owner alone, as the event log is. */
const printTo = (path: string, isMore: boolean): Effect.Effect<Print, Failure, Scope.Scope> =>
  Effect.map(
    Effect.acquireRelease(
      Effect.try({ try: () => openSync(path, isMore ? "a" : "w", 0o600), catch: failed(path) }),
      (file) => Effect.sync(() => closeSync(file))
    ),
    (file) => (lines) =>
      Effect.try({
        try: () => {
          const bytes = Buffer.from(`${lines.join("\n")}\n`)
          for (let written = 0; written < bytes.length;) written += writeSync(file, bytes, written)
        },
        catch: failed(path)
      })
  )

/** A regular file is complete on the disk before the command says so. */
const sync = (path: string): Effect.Effect<void> =>
  Effect.sync(() => {
    try {
      const file = openSync(path, "r")
      fsyncSync(file)
      closeSync(file)
    } catch {
      // A pipe or a device has nothing to sync.
    }
  })

/** So many events of an answer tell which values of a filter the store has, as in `list`. */
const LOOKED_AT = 50

const isOfAnotherFilter = (error: BackendError | Failure): boolean =>
  error._tag === "BackendError" && error.reason._tag === "CursorMismatch"

/** Exports what is meant where a value of the filter is spelled otherwise than in the store. */
const exportMeant = Effect.fnUntraced(function* (given: selection.Selected, how: How) {
  if (given.after !== undefined) {
    return yield* Effect.catchIf(
      exportEvents(given, how),
      isOfAnotherFilter,
      // The cursor was made with what was meant then.
      Effect.fnUntraced(function* (error) {
        const { corrected } = yield* forgiving.nearest(given, [])
        return yield* corrected === undefined ? Effect.fail(error) : exportEvents(corrected, how)
      })
    )
  }
  if (Object.keys(given.timeless).length === 0) return yield* exportEvents(given, how)
  const reader = yield* EventReader
  const { events, totalCount } = yield* reader.query({ ...given.filter, limit: LOOKED_AT })
  const nearest = yield* forgiving.nearest(given, totalCount === 0 ? [] : events)
  yield* exportEvents(nearest.corrected ?? given, how)
  for (const hint of nearest.hints) yield* words.say(hint)
})

const exportEvents = Effect.fnUntraced(function* (selected: selection.Selected, how: How) {
  const reader = yield* EventReader
  const { after, filter, timeless } = selected
  const { file, isFollowing, search, showCursor } = how
  const isMatch = EventQuery.matcher(filter)
  const print: Print = file === undefined ? words.lines : yield* printTo(file, after !== undefined)
  const progress = yield* progresses.make(file === undefined && (yield* words.room) !== undefined)
  // A cursor is bound to its filter, and a relative time is another one at every start.
  const watched = after === undefined && !showCursor ? filter : timeless
  let cursor: EventQuery.Cursor | undefined = after
  let exported = 0
  let looked = 0

  const printFound = (events: ReadonlyArray<Event>): Effect.Effect<void, Failure> =>
    Effect.flatMap(
      search === undefined ? Effect.succeed(events) : Effect.map(search(events), (kept) => kept.events),
      (kept) => {
        exported += kept.length
        looked += events.length
        return kept.length === 0 ? Effect.void : print(kept.map(EventJson.encode))
      }
    )

  const take = (items: ReadonlyArray<EventQuery.WatchItem>): Effect.Effect<void, Failure> => {
    const steps: Array<Effect.Effect<void, Failure>> = []
    let events: Array<Event> = []
    const flush = () => {
      if (events.length > 0) steps.push(printFound(events))
      events = []
    }
    for (const item of items) {
      if (item._tag === "Event") {
        if (isMatch(item.event)) events.push(item.event)
      } else {
        flush()
        steps.push(progress.clear)
        if (item._tag === "Gap") steps.push(words.say(missing.gapLine(item)))
      }
    }
    flush()
    const last = items.at(-1)?.cursor
    steps.push(
      Effect.sync(() => void (cursor = last ?? cursor)),
      progress.step(() => told(exported))
    )
    return Effect.all(steps, { discard: true })
  }

  const watch = (from: EventQuery.WatchFrom): Stream.Stream<EventQuery.WatchItem, BackendError> => {
    const items = reader.watch(watched, from)
    return isFollowing ? items : Stream.takeUntil(items, (item) => item._tag === "Live")
  }
  const all = isFollowing
    ? reconnecting.run(watch, after ?? "beginning", take)
    : Stream.runForEachArray(watch(after ?? "beginning"), take)
  yield* Effect.onExit(all, (exit) =>
    Effect.gen(function* () {
      const failure = Exit.isFailure(exit) ? Cause.findErrorOption(exit.cause) : Option.none()
      if (Option.isSome(failure) && isOfAnotherFilter(failure.value)) return
      if (file !== undefined) yield* sync(file)
      yield* progress.clear
      if (search !== undefined) yield* words.say(searching.told(exported, looked))
      yield* words.say(told(exported))
      if (showCursor && cursor !== undefined) yield* words.say(`cursor: ${cursor}`)
    })
  )
})

const told = (exported: number): string => `${words.counted(exported, "event")} exported`

/** @internal */
export const exportVerb = (catalogue: Catalogue) => {
  const { limit: _, ...selectionFlags } = selection.selection(catalogue, "")
  return Command.make(
    "export",
    {
      ...selectionFlags,
      after: flags.text("after", { value: "CURSOR", description: "Only what came after this cursor" }),
      file: flags.text("file", {
        value: "FILE",
        description: "Write to this file instead of standard output; with --after at its end"
      }),
      follow: flags.given("follow", "Go on with what happens, until interrupted"),
      showCursor: flags.showCursor
    },
    Effect.fnUntraced(function* ({ file, follow, showCursor, ...given }) {
      const selected = yield* session.check(selection.select({ ...given, limit: undefined }, catalogue, 0))
      if (file === "") return yield* session.refuse("--file is empty: leave it out for standard output")
      if (showCursor && selected.after === undefined && selected.filter !== selected.timeless) {
        return yield* session.refuse("--show-cursor needs a filter without times: leave out --since and --until")
      }
      const search = yield* searching.make(selected.patterns)
      const how = { file, isFollowing: follow, showCursor, search }
      yield* selection
        .place(selected)
        .pipe(
          Effect.flatMap(selection.inPlace((placed) => Effect.scoped(exportMeant(placed, how)))),
          session.withReader({ create: follow })
        )
    }, session.verb("export"))
  ).pipe(
    Command.withDescription(
      "Print all events that match as lines of JSON, oldest first, each series in its latest state. import reads them. " +
        "With --follow it goes on with what happens; with --show-cursor it says where to go on later."
    ),
    Command.withShortDescription("Print all events as lines of JSON"),
    examples("-A --file backup.ndjson", "-n team-a --since yesterday", "--follow --after CURSOR --file backup.ndjson")
  )
}
