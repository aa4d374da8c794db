import type { Occurrence } from "@tidings/core/Event"
import type { Journal, JournalEntry, JournalError, JournalPage } from "@tidings/core/Journal"
import { Effect, type Scope } from "effect"
import { readdirSync } from "node:fs"
import { Disk, node } from "../src/internal/disk.ts"
import * as fileJournal from "../src/internal/journal/fileJournal.ts"
import { unsynced } from "./JournalWorld.ts"
import { at, first } from "./writes.ts"

export type Service = Journal["Service"]

export const occurrence = (n: number, length = 0): Occurrence => ({
  ...first(n, { message: `It is number ${n}${"!".repeat(length)}` }).event,
  at: at(n)
})

export const occurrences = (from: number, to: number, length = 0): ReadonlyArray<Occurrence> =>
  Array.from({ length: to - from + 1 }, (_, index) => occurrence(from + index, length))

/** Opens a journal as another run of a program does; closed with the scope. */
export const open = (
  options: Partial<fileJournal.Options> & { readonly directory: string },
  disk: Disk = unsynced
): Effect.Effect<Service, JournalError, Scope.Scope> =>
  fileJournal
    .make({
      durability: "disk",
      quota: 1_000_000,
      onFull: "fail",
      segmentSize: 1_000,
      reserve: 4_096,
      ...options
    })
    .pipe(Effect.provideService(Disk, disk))

/** One run of a program. */
export const run = <A, E>(
  options: Partial<fileJournal.Options> & { readonly directory: string },
  use: (journal: Service) => Effect.Effect<A, E, Scope.Scope>,
  disk?: Disk
): Effect.Effect<A, E | JournalError> => Effect.scoped(Effect.flatMap(open(options, disk), use))

/** Everything that a sink can read. */
export const readAll = (journal: Service, sink = "a", after = 0): Effect.Effect<JournalPage, JournalError> =>
  Effect.gen(function* () {
    const head = yield* journal.head
    const entries: Array<JournalEntry> = []
    const lost: Array<JournalPage["lost"][number]> = []
    let reached = after
    while (reached < head) {
      const page = yield* journal.read(sink, reached, 7)
      entries.push(...page.entries)
      lost.push(...page.lost)
      reached = page.reached
    }
    return { entries, lost, reached }
  })

export const seqsOf = (page: JournalPage): ReadonlyArray<number> => page.entries.map(({ id }) => id.seq)

export const lostSeqs = (page: JournalPage, reason?: "quota" | "damaged"): ReadonlyArray<number> =>
  page.lost
    .filter((one) => reason === undefined || one.reason === reason)
    .flatMap(({ from, to }) => Array.from({ length: to - from + 1 }, (_, index) => from + index))

export const segmentsOf = (directory: string): ReadonlyArray<string> =>
  readdirSync(directory)
    .filter((file) => /^(?:entries|taken)-/.test(file))
    .sort()

/** A disk of which some things are otherwise. */
export const disk = (changes: Partial<Disk>): Disk => ({ ...unsynced, ...changes })

export { node }
