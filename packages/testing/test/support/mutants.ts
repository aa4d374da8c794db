import type * as Backend from "@tidings/core/Backend"
import * as BackendError from "@tidings/core/BackendError"
import type { Json } from "@tidings/core/EventData"
import * as EventId from "@tidings/core/EventId"
import type * as Journal from "@tidings/core/Journal"
import { Effect } from "effect"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import { pathToFileURL } from "node:url"
import { product, type Subject } from "./delivery.ts"

/** A bug that somebody could write, planted to see that the campaign finds it. */
export interface Mutant {
  readonly name: string
  /** Where it is planted: in a copy of the sources, or in what stands around the recorder. */
  readonly patches?: ReadonlyArray<Patch>
  readonly around?: Partial<Subject>
  /** Which scenario finds it; `delivery` unless given. */
  readonly scenario?: "delivery" | "stuckNamespace" | "copies" | "replaced"
  /** A seed that found it once, and is tried first. */
  readonly hint?: number
}

/** The text to find stands in the file exactly once. */
interface Patch {
  readonly file: string
  readonly find: string
  readonly replace: string
}

// ---------------------------------------------------------------------------
// copies of the sources
// ---------------------------------------------------------------------------

const SOURCES = path.resolve(import.meta.dirname, "../../../core/src")
const NODE_MODULES = path.resolve(import.meta.dirname, "../../../../node_modules")

/** What is copied for a mutant; everything else is the product's own. */
const COPIED = [
  "Recorder.ts",
  "Correlator.ts",
  "internal/backendWrite.ts",
  "internal/outcomes.ts",
  ...["internal/journal", "internal/sink"].flatMap((directory) =>
    fs.readdirSync(path.join(SOURCES, directory)).map((file) => `${directory}/${file}`)
  )
]

const copyOf = (file: string, patches: ReadonlyArray<Patch>): string => {
  let source = fs.readFileSync(path.join(SOURCES, file), "utf8")
  for (const { find, replace } of patches.filter((patch) => patch.file === file)) {
    const parts = source.split(find)
    if (parts.length !== 2) throw new Error(`${file}: found ${parts.length - 1} times, expected once: ${find}`)
    source = parts.join(replace)
  }
  return source.replace(/ from "(\.[^"]*)"/g, (all, specifier: string) => {
    const found = path.join(path.dirname(file), specifier)
    return COPIED.includes(found) ? all : ` from "${path.join(SOURCES, found)}"`
  })
}

/** Plants bugs; `remove` deletes the copy. */
export const plant = async ({
  around,
  name,
  patches
}: Mutant): Promise<{ readonly subject: Subject; readonly remove: () => void }> => {
  if (patches === undefined) return { subject: { ...product, ...around }, remove: () => {} }
  const unknown = patches.find(({ file }) => !COPIED.includes(file))
  if (unknown !== undefined) throw new Error(`${name}: ${unknown.file} is not copied`)
  const directory = fs.mkdtempSync(path.join(os.tmpdir(), "tidings-mutant-"))
  fs.symlinkSync(NODE_MODULES, path.join(directory, "node_modules"))
  for (const file of COPIED) fs.mkdirSync(path.dirname(path.join(directory, file)), { recursive: true })
  fs.writeFileSync(path.join(directory, "package.json"), '{ "type": "module" }')
  for (const file of COPIED) fs.writeFileSync(path.join(directory, file), copyOf(file, patches))
  const load = (file: string) => import(/* @vite-ignore */ pathToFileURL(path.join(directory, file)).href)
  const recorder = (await load("Recorder.ts")) as typeof import("@tidings/core/Recorder")
  return {
    subject: { ...product, layer: recorder.layer, sink: recorder.sink, ...around },
    remove: () => fs.rmSync(directory, { recursive: true })
  }
}

// ---------------------------------------------------------------------------
// the bugs
// ---------------------------------------------------------------------------

const SINK = "internal/sink/sink.ts"
const AVAILABILITY = "internal/sink/availability.ts"
const CHECKPOINTS = "internal/sink/checkpoints.ts"
const DISPATCH = "internal/sink/dispatch.ts"
const PARKING = "internal/sink/parking.ts"
const READING = "internal/sink/reading.ts"
const SETTLEMENTS = "internal/sink/settlements.ts"
const STATE = "internal/sink/state.ts"
const TIME = "internal/sink/time.ts"
const BACKEND_WRITE = "internal/backendWrite.ts"
const OUTCOMES = "internal/outcomes.ts"
const APPENDS = "internal/journal/appends.ts"
const CORRELATOR = "Correlator.ts"

const created: Backend.Outcome = { _tag: "Settled", how: "created" }

const gone = BackendError.make(new BackendError.Transient({ applied: "no", detail: "404 events not found" }))

/** Makes a checkpoint in two records, with a moment in between. */
const inTwo =
  (first: (before: Journal.Checkpoint, after: Journal.Checkpoint) => Journal.Checkpoint) =>
  (journal: Journal.Journal["Service"]): Journal.Journal["Service"] => {
    const last = new Map<string, Journal.Checkpoint>()
    return {
      ...journal,
      restore: (sink) =>
        Effect.tap(journal.restore(sink), (found) => Effect.sync(() => found !== undefined && last.set(sink, found))),
      checkpoint: (sink, made) => {
        const before = last.get(sink)
        last.set(sink, made)
        const second = journal.checkpoint(sink, made)
        return before === undefined ? second : Effect.andThen(journal.checkpoint(sink, first(before, made)), second)
      }
    }
  }

const without = (state: Json, field: string): Json => (state === null ? null : { ...(state as object), [field]: [] })

export const mutants: ReadonlyArray<Mutant> = [
  // What other shapes of the contracts did.
  {
    name: "the position of a checkpoint is durable before its state",
    hint: 121,
    around: { journal: inTwo((before, after) => ({ ...after, state: before.state })) }
  },
  {
    name: "the state of a checkpoint is durable before its position",
    hint: 35,
    around: { journal: inTwo((before, after) => ({ ...after, upTo: before.upTo })) }
  },
  {
    name: "a checkpoint without the series that wait for delivery",
    hint: 10,
    around: {
      journal: (journal) => ({
        ...journal,
        checkpoint: (sink, made) => journal.checkpoint(sink, { ...made, state: without(made.state, "outbox") })
      })
    }
  },
  {
    name: "a checkpoint without what is under way",
    hint: 10,
    patches: [
      {
        file: STATE,
        find: "inFlight === undefined ? next! : next === undefined ? inFlight : merge(inFlight, next)",
        replace: "next ?? { ...inFlight!, occurrences: 0, write: { ...inFlight!.write, count: 0, upTo: 0 } }"
      }
    ]
  },
  {
    name: "a checkpoint without what is held",
    hint: 54,
    patches: [{ file: CORRELATOR, find: "        one.held,\n", replace: "        0,\n" }]
  },
  {
    name: "reading begins at the checkpoint instead of the position",
    patches: [
      {
        file: READING,
        find: "journal.read(name, position, upTo - position)",
        replace: "journal.read(name, state.savedUpTo, upTo - state.savedUpTo)"
      }
    ]
  },
  {
    name: "what was found at the start is folded with the new configuration",
    hint: 71,
    patches: [
      {
        file: READING,
        find: "restoredOptionsUpTo = Math.min(head(), state.position + READ_AHEAD)",
        replace: "state.correlator = new Correlator(options.correlation)"
      }
    ]
  },
  {
    name: "a new configuration takes over without a checkpoint",
    hint: 477,
    patches: [
      {
        file: READING,
        find: "    return checkpoints.retryForever(checkpoints.make)",
        replace: "    return Effect.void"
      }
    ]
  },
  {
    name: "a new configuration forgets what is held",
    hint: 66,
    patches: [{ file: READING, find: "    state.release(state.correlator.drain())\n", replace: "" }]
  },
  {
    name: "parking ends the series",
    hint: 18,
    patches: [
      {
        file: PARKING,
        find: "            kept.set(entry.key, write.id)\n",
        replace:
          "            kept.set(entry.key, write.id)\n            state.correlator = new state.correlator.constructor(state.correlator.options)\n"
      }
    ]
  },
  {
    name: "two sinks may have one target",
    hint: 29,
    patches: [{ file: SINK, find: "sink !== name && Target.isSame", replace: "sink === name && Target.isSame" }]
  },
  {
    name: "what is stuck is never parked",
    scenario: "stuckNamespace",
    patches: [
      {
        file: PARKING,
        find: "    if (outbox.size < capacity || state.position === head()) return Effect.void\n",
        replace: "    if (outbox.size >= 0) return Effect.void\n"
      }
    ]
  },
  {
    name: "a sink reads nothing more when all that it has fails",
    hint: 61,
    scenario: "stuckNamespace",
    patches: [{ file: READING, find: "outbox.size < probingCapacity && outbox.allFail()", replace: "false" }]
  },
  {
    name: "callers are told one by one while the books move",
    hint: 3,
    patches: [
      {
        file: APPENDS,
        find: "    for (const sink of delivering) sink.ledger.addPending(batch.length)\n",
        replace: ""
      },
      {
        file: APPENDS,
        find: "    for (const one of batch) one.tell()\n",
        replace:
          "    for (const one of batch) {\n      for (const sink of delivering) sink.ledger.addPending(1)\n      one.tell()\n    }\n"
      }
    ]
  },
  {
    name: "a sink reads what is accepted before its caller is expected",
    hint: 2,
    patches: [
      {
        file: APPENDS,
        find: "    for (let index = 0; index < batch.length; index++) batch[index]!.accept(ids[index]!)\n    for (const sink of delivering) sink.arrived(batch[0]!.occurrence.at)\n",
        replace:
          "    for (const sink of delivering) sink.arrived(batch[0]!.occurrence.at)\n    for (let index = 0; index < batch.length; index++) batch[index]!.accept(ids[index]!)\n"
      },
      { file: SINK, find: "      yield* Effect.yieldNow\n", replace: "" }
    ]
  },

  {
    name: "a stuck namespace counts as an outage",
    scenario: "stuckNamespace",
    patches: [
      {
        file: AVAILABILITY,
        find: "    if (batch.every((pending) => this.isOfStuckNamespace(pending))) return\n",
        replace: ""
      }
    ]
  },
  {
    name: "what has failed never gets a place",
    patches: [
      {
        file: DISPATCH,
        find: "    return Math.max(0, Math.min(slots, Math.max(1, this.context.options.concurrency >> 1) - this.retriesInFlight))",
        replace: "    return 0"
      }
    ]
  },

  // Copies of a journal, and backups that are put back.
  {
    name: "every opening of a journal goes on under one origin",
    scenario: "copies",
    around: {
      journal: (journal) => {
        const origin = "0".repeat(32)
        return {
          ...journal,
          origin,
          append: (batch) => Effect.map(journal.append(batch), (ids) => ids.map(({ seq }) => ({ origin, seq }))),
          read: (sink, after, max) =>
            Effect.map(journal.read(sink, after, max), (page) => ({
              ...page,
              entries: page.entries.map(({ id, occurrence }) => ({ id: { origin, seq: id.seq }, occurrence }))
            }))
        }
      }
    }
  },
  {
    name: "entries of earlier openings are read under the origin of the latest",
    scenario: "copies",
    around: {
      journal: (journal) => ({
        ...journal,
        read: (sink, after, max) =>
          Effect.map(journal.read(sink, after, max), (page) => ({
            ...page,
            entries: page.entries.map(({ id, occurrence }) => ({
              id: { origin: journal.origin, seq: id.seq },
              occurrence
            }))
          }))
      })
    }
  },
  {
    name: "a new occurrence joins a series of an earlier opening",
    scenario: "copies",
    patches: [
      {
        file: CORRELATOR,
        find: "    if (id.origin !== this.opening) this.beginOpening(id.origin)\n",
        replace: "    this.opening = id.origin\n"
      }
    ]
  },
  {
    name: "what is held of an earlier opening is forgotten",
    scenario: "copies",
    patches: [
      {
        file: CORRELATOR,
        find: "      if (series.held === 0) {\n        this.byUse.remove",
        replace:
          "      if (series.held >= 0) {\n        this.heldOccurrences -= series.held\n        series.group.bucket.waiting.delete(series)\n        this.byUse.remove"
      }
    ]
  },

  // Another server at the address, and a gateway that answers for it.
  {
    name: "a page of a gateway is taken for an event that was created",
    scenario: "replaced",
    around: {
      backend: (backend) => ({
        ...backend,
        write: (batch) =>
          Effect.catch(backend.write(batch), (error) =>
            error.message.includes("text/html") ? Effect.succeed(batch.map(() => created)) : Effect.fail(error)
          )
      })
    }
  },
  {
    name: "what was meant for another server is taken for settled",
    scenario: "replaced",
    around: {
      backend: (backend) => ({
        ...backend,
        write: (batch) =>
          Effect.catch(backend.write(batch), (error) =>
            error.reason._tag === "TargetMismatch" ? Effect.succeed(batch.map(() => created)) : Effect.fail(error)
          )
      })
    }
  },
  {
    name: "a journal that belongs to one server is delivered to whichever answers",
    scenario: "replaced",
    patches: [
      {
        file: SINK,
        find: "if (bound === undefined || Target.isContinued(bound, found)) {",
        replace: "if (bound === undefined || true) {"
      }
    ]
  },
  {
    name: "the right server that is back is not noticed",
    scenario: "replaced",
    patches: [{ file: AVAILABILITY, find: 'if (this.haltedFor === "target") this.haltedFor = undefined', replace: "" }]
  },
  {
    name: "what was under way when another server answered is forgotten",
    scenario: "replaced",
    patches: [
      { file: DISPATCH, find: "return outbox.giveBack(entry, pending)\n", replace: "return outbox.complete(entry)\n" }
    ]
  },

  // Acceptance.
  {
    name: "an event is acknowledged before it is durable",
    hint: 2,
    around: {
      journal: (journal) => {
        let next: number | undefined
        return {
          ...journal,
          append: (batch) =>
            Effect.gen(function* () {
              next ??= yield* journal.head
              const ids = batch.map((_, index) => ({ origin: journal.origin, seq: next! + index + 1 }))
              next += batch.length
              yield* Effect.forkDetach(
                Effect.andThen(Effect.sleep("1 millis"), Effect.retry(journal.append(batch), { times: 9 }))
              )
              return ids
            })
        }
      }
    }
  },
  {
    name: "a refused event is accepted",
    hint: 14,
    patches: [
      {
        file: APPENDS,
        find: "(Exit.isSuccess(exit) ? accept(batch, exit.value) : refuse(batch, exit))",
        replace:
          "(Exit.isSuccess(exit) ? accept(batch, exit.value) : accept(batch, batch.map((_, n) => ({ origin: context.journal.origin, seq: shared.head + n + 1 }))))"
      }
    ]
  },
  {
    name: "what does not fit together is forgotten",
    hint: 26,
    patches: [{ file: APPENDS, find: "    singly = [...batch, ...singly]\n", replace: "" }]
  },
  {
    name: "what waits while an append is under way is forgotten",
    hint: 10,
    patches: [
      {
        file: APPENDS,
        find: "      // It was answered as unknown before.\n      if (inFlight !== batch) return\n      inFlight = []\n      appending = true\n",
        replace:
          "      if (inFlight !== batch) return\n      inFlight = []\n      appending = true\n      waiting = []\n"
      }
    ]
  },

  // Reading.
  {
    name: "a wake-up is lost while the sink is busy",
    hint: 38,
    patches: [
      { file: SINK, find: "      const seen = signal.changes\n", replace: "" },
      {
        file: SINK,
        find: "        yield* signal.until(() => signal.changes !== seen)",
        replace: "        const seen = signal.changes\n        yield* signal.until(() => signal.changes !== seen)"
      },
      { file: SINK, find: "      if (reading.limit() > state.position) continue\n", replace: "" }
    ]
  },
  {
    name: "a sink is not told of what arrives",
    hint: 2,
    patches: [
      {
        file: SINK,
        find: "      state.unreadSince ??= since\n      signal.notify()",
        replace: "      state.unreadSince ??= since"
      }
    ]
  },
  {
    name: "what a quota took is not noticed",
    hint: 38,
    patches: [{ file: READING, find: "      ledger.addPending(-n)\n      ledger.drop(n, reason)\n", replace: "" }]
  },
  {
    name: "whoever waits for what a quota took is never answered",
    hint: 38,
    patches: [{ file: READING, find: "      settlements.abandon(from, to, reason)\n", replace: "" }]
  },
  {
    name: "a quota takes what a sink has read",
    hint: 158,
    around: { readAhead: () => 0 }
  },
  {
    name: "a new sink is taken for one without a checkpoint, and the other way round",
    hint: 26,
    patches: [{ file: SINK, find: "  if (restored === undefined) yield* checkpoints.make\n", replace: "" }]
  },

  // Folding.
  {
    name: "a count grows by two",
    patches: [
      { file: CORRELATOR, find: "      series.count++\n", replace: "      series.count += series.held > 0 ? 2 : 1\n" }
    ]
  },
  {
    name: "what is given up forgets what it holds",
    hint: 7,
    patches: [
      {
        file: CORRELATOR,
        find: "      if (flushed !== undefined) released = [flushed]\n",
        replace: ""
      }
    ]
  },
  {
    name: "what is held leaves without its occurrences",
    patches: [
      {
        file: CORRELATOR,
        find: "    const { count, first, held: occurrences,",
        replace: "    const occurrences = 1\n    const { count, first,"
      }
    ]
  },
  {
    name: "a series of its own per life",
    hint: 23,
    patches: [
      {
        file: STATE,
        find: "    this.correlator = Correlator.restore(saved.correlator)",
        replace: "    this.correlator = new Correlator(Correlator.restore(saved.correlator).options)"
      }
    ]
  },
  {
    name: "held counts never leave by themselves",
    patches: [{ file: SINK, find: "      state.release(state.correlator.tick(time.wall()))\n", replace: "" }]
  },
  {
    name: "a clock that is set back stretches a wait",
    hint: 84,
    patches: [
      {
        file: CORRELATOR,
        find: "    return Math.min(bucket.fullAt, now + this.burst * this.refill)",
        replace: "    return now === 0 ? 0 : bucket.fullAt"
      }
    ]
  },

  // Delivery.
  {
    name: "a write that fails takes the place of what came since",
    hint: 18,
    patches: [
      {
        file: STATE,
        find: "entry.next = merge(pending, entry.next)",
        replace: "entry.next = pending"
      }
    ]
  },
  {
    name: "what came during a write is forgotten when it lands",
    hint: 7,
    patches: [
      {
        file: STATE,
        find: "    if (entry.next === undefined) {\n      this.series.delete(entry.key)\n",
        replace: "    this.series.delete(entry.key)\n    if (entry.next === undefined) {\n"
      }
    ]
  },
  {
    name: "a series is under way twice",
    hint: 29,
    patches: [
      {
        file: DISPATCH,
        find: "      if (entry.inFlight !== undefined || entry.next === undefined || entry.nextAt > at) continue\n",
        replace: "      if (entry.next === undefined || entry.nextAt > at) continue\n"
      }
    ]
  },
  {
    name: "a missing answer counts as settled",
    hint: 18,
    patches: [
      {
        file: OUTCOMES,
        find: "value[item] ?? missing",
        replace: 'value[item] ?? ({ _tag: "Settled", how: "present" } as const)'
      }
    ]
  },
  {
    name: "a write that nobody answers is waited for without end",
    patches: [
      {
        file: BACKEND_WRITE,
        find: "    this.answer(outcomes.ofExit(exit, this.count))\n    this.stop()\n",
        replace: ""
      }
    ]
  },
  {
    name: "callers are told of a batch before it is in the books",
    hint: 18,
    patches: [
      {
        file: DISPATCH,
        find: "    for (const [write, settlement] of answers) settlements.resolve(write, settlement)\n",
        replace: ""
      },
      {
        file: DISPATCH,
        find: "    if (occurrences > 0) {\n",
        replace:
          "    for (const [write, settlement] of answers) settlements.resolve(write, settlement)\n    if (occurrences > 0) {\n"
      }
    ]
  },
  {
    name: "what is read while the recorder closes is held back",
    hint: 64,
    patches: [{ file: READING, find: "    signal.notifyOthers()\n", replace: "" }]
  },
  {
    name: "after a read that failed nothing is read again",
    patches: [{ file: READING, find: "    dueAt: () => (notBefore !== undefined", replace: "    dueAt: () => (false" }]
  },
  {
    name: "after a failure nothing is tried again",
    patches: [{ file: DISPATCH, find: "      if (due < next) next = due\n", replace: "" }]
  },
  {
    name: "retries are spaced by the wall clock",
    hint: 355,
    patches: [
      {
        file: TIME,
        find: "    return Number(this.clock.monotonicTimeNanosUnsafe()) / 1_000",
        replace: "    return this.wall()"
      }
    ]
  },
  {
    name: "a sink that finds out whether its backend is back spins meanwhile",
    hint: 23,
    patches: [
      {
        file: DISPATCH,
        find: "    const slots = this.freeSlots()\n    if (slots <= 0) return Number.POSITIVE_INFINITY\n",
        replace:
          "    const slots = this.concurrency - this.inFlight\n    if (slots <= 0) return Number.POSITIVE_INFINITY\n"
      }
    ]
  },
  {
    name: "a sink spins while what has failed waits for a place",
    hint: 6,
    patches: [{ file: DISPATCH, find: " || (noRetries && entry.failures > 0)) continue", replace: ") continue" }]
  },
  {
    name: "a sink spins while its backend is not to be asked",
    hint: 8,
    patches: [
      { file: DISPATCH, find: "return Math.max(next, this.context.availability.notBefore)", replace: "return next" }
    ]
  },
  {
    name: "callers are told by a write that does not carry what is theirs",
    hint: 12,
    patches: [{ file: SETTLEMENTS, find: "      if (seq <= write.upTo) Deferred", replace: "      Deferred" }]
  },
  {
    name: "an object that is gone is never made again",
    hint: 8,
    around: {
      backend: (backend: Backend.Service, server) => ({
        ...backend,
        write: (batch) => {
          const missing = new Set(
            server
              .series()
              .flatMap(({ creations, exists, write }) => (creations > 0 && !exists ? [EventId.format(write.id)] : []))
          )
          const there = batch.filter(({ id }) => !missing.has(EventId.format(id)))
          return Effect.map(backend.write(there), (outcomes) => {
            const left = [...outcomes]
            return batch.map(({ id }): Backend.Outcome => {
              if (missing.has(EventId.format(id))) return { _tag: "Retry", error: gone }
              return left.shift() ?? { _tag: "Retry", error: gone }
            })
          })
        }
      })
    }
  },

  // Parking.
  {
    name: "what is parked of a series is counted from new",
    hint: 18,
    patches: [
      {
        file: PARKING,
        find: "const occurrences = (parked.get(entry.key)?.occurrences ?? 0) + pending.occurrences",
        replace: "const occurrences = pending.occurrences"
      }
    ]
  },
  {
    name: "what is parked stays in the books as parked when it is delivered",
    hint: 539,
    patches: [
      { file: DISPATCH, find: "pending.occurrences + parking.delivered(entry.key)", replace: "pending.occurrences" }
    ]
  },
  {
    name: "what is retried is forgotten before it is in a checkpoint",
    hint: 190,
    patches: [
      {
        file: PARKING,
        find: "        return Effect.as(checkpoints.makeExclusive, n)\n",
        replace: "        return Effect.as(journal.unpark(name, series), n)\n"
      }
    ]
  },
  {
    name: "a start counts as parked what is pending",
    hint: 66,
    patches: [
      {
        file: SINK,
        find: "  state.restoreKept((yield* journal.parked(name)).map(({ write }) => write.id))\n",
        replace:
          "  for (const { occurrences, write } of yield* journal.parked(name)) {\n    state.kept.set(state.keyOf(write.id), write.id)\n    state.parked.set(state.keyOf(write.id), { upTo: write.upTo, occurrences })\n  }\n"
      }
    ]
  },
  {
    name: "what is stuck is parked while it is under way",
    hint: 37,
    patches: [
      {
        file: AVAILABILITY,
        find: "since === undefined || entry.inFlight !== undefined ||",
        replace: "since === undefined ||"
      }
    ]
  },
  {
    name: "parking and checkpoints happen at once",
    hint: 418,
    patches: [
      { file: CHECKPOINTS, find: "= semaphore.withPermit(makeExclusive)", replace: "= makeExclusive" },
      {
        file: PARKING,
        find: "    checkpoints.exclusively(\n      Effect.suspend(() => {\n        const { write } = pending",
        replace: "    Effect.asVoid(\n      Effect.suspend(() => {\n        const { write } = pending"
      }
    ]
  },

  // Ends.
  {
    name: "an orderly end makes no checkpoint",
    hint: 3,
    patches: [{ file: SINK, find: "(isUnsaved() ? last : Effect.void)", replace: "Effect.void" }]
  },
  {
    name: "an orderly end saves only what was read since, not what was settled",
    hint: 10,
    patches: [
      {
        file: SINK,
        find: "state.isChanged || state.position !== state.savedUpTo",
        replace: "state.position !== state.savedUpTo"
      }
    ]
  },
  {
    name: "an orderly end does not wait",
    patches: [
      {
        file: SINK,
        find: "          return flushed && state.isSettled(shared.head)\n        })\n      }),",
        replace: "          return true\n        })\n      }),"
      }
    ]
  }
]
