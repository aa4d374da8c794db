/**
 * Reads events from texts and stores them. Only the verb `import` loads it.
 *
 * @internal
 */
import { Backend } from "@tidings/core/Backend"
import type { Service as BackendService } from "@tidings/core/Backend"
import { type BackendError, isTemporary } from "@tidings/core/BackendError"
import type { ClusterRef, Write } from "@tidings/core/Event"
import * as EventId from "@tidings/core/EventId"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as Stream from "effect/Stream"
import { CommandError } from "../../CommandError.ts"
import * as failure from "./failure.ts"
import * as importedEvent from "./importedEvent.ts"
import * as importItems from "./importItems.ts"
import * as progresses from "./progress.ts"
import * as session from "./session.ts"
import * as words from "./words.ts"

/** Series in one write: a log looks once for what it has of all of them. */
const LARGEST_BATCH = 4_096
/** What is wrong with the first of them tells what is wrong with the rest. */
const MOST_TOLD = 100
const TRIES = 5
const FIRST_DELAY = 200

/** @internal */
export interface Source {
  readonly name: string
  readonly text: Stream.Stream<string, failure.Failure>
}

interface Pending {
  readonly write: Write
  readonly where: string
}

/** Counts what becomes of each event, and stores them in batches. */
class Import {
  stored = 0
  present = 0
  /** States that were read together with a later one of the same series. */
  earlier = 0
  bad = 0
  /** Something was read that is an event. */
  hasBegun = false
  private pending = new Map<string, Pending>()
  private readonly backend: BackendService
  private readonly progress: progresses.Progress

  constructor(backend: BackendService, progress: progresses.Progress) {
    this.backend = backend
    this.progress = progress
  }

  get summary(): string {
    const parts = [`${words.counted(this.stored, "event")} imported`]
    if (this.present > 0) parts.push(`${this.present} already there`)
    if (this.earlier > 0) parts.push(`${words.counted(this.earlier, "earlier state")} of them left out`)
    return parts.join(", ")
  }

  refuse(where: string, problem: string): Effect.Effect<void> {
    this.bad++
    if (this.bad > MOST_TOLD) return Effect.void
    return Effect.andThen(this.progress.clear, words.say(`${where}: ${problem}`))
  }

  /** Of a series that occurs several times in a batch the latest state counts. */
  add(write: Write, where: string): Effect.Effect<void, BackendError> {
    this.hasBegun = true
    const key = EventId.format(write.id)
    const before = this.pending.get(key)
    if (before === undefined || before.write.upTo < write.upTo) this.pending.set(key, { write, where })
    if (before !== undefined) this.earlier++
    return this.pending.size >= LARGEST_BATCH ? this.flush : Effect.void
  }

  readonly flush: Effect.Effect<void, BackendError> = Effect.suspend(() => {
    if (this.pending.size === 0) return Effect.void
    const batch = [...this.pending.values()]
    this.pending = new Map()
    return Effect.andThen(
      this.store(batch, 1),
      this.progress.step(() => this.summary)
    )
  })

  private store(batch: ReadonlyArray<Pending>, tries: number): Effect.Effect<void, BackendError> {
    const again = (error: BackendError, rest: ReadonlyArray<Pending>): Effect.Effect<void, BackendError> =>
      tries < TRIES && isTemporary(error)
        ? Effect.andThen(Effect.sleep(FIRST_DELAY * 2 ** tries), this.store(rest, tries + 1))
        : Effect.fail(error)
    return Effect.matchEffect(this.backend.write(batch.map(({ write }) => write)), {
      onFailure: (error) => again(error, batch),
      onSuccess: (outcomes) => {
        const rest: Array<Pending> = []
        const refusals: Array<Effect.Effect<void>> = []
        let error: BackendError | undefined
        for (const [index, one] of batch.entries()) {
          const outcome = outcomes[index]
          if (outcome === undefined || outcome._tag === "Retry") {
            rest.push(one)
            error = outcome?.error ?? error
          } else if (outcome._tag !== "Settled") {
            refusals.push(this.refuse(one.where, `the store does not take it: ${outcome.reason}`))
          } else if (outcome.how === "present") this.present++
          else this.stored++
        }
        const told = Effect.all(refusals, { discard: true })
        if (rest.length === 0) return told
        return Effect.andThen(told, error === undefined ? this.store(rest, tries + 1) : again(error, rest))
      }
    })
  }
}

const loadYaml = Effect.map(
  Effect.promise(() => import("yaml")),
  ({ parse }) =>
    (text: string): unknown =>
      parse(text, { logLevel: "error" })
)

const notYaml = (): unknown => undefined

/** Everything in one source. */
const readSource = Effect.fnUntraced(function* (source: Source, into: Import, cluster: ClusterRef | undefined) {
  let beginning = ""
  let items: importItems.Items | undefined

  const takeItems = Effect.fnUntraced(function* (found: ReadonlyArray<importItems.Item>) {
    for (const item of found) {
      const where = `${source.name}: line ${item.line}${item.path === undefined ? "" : `, ${item.path}`}`
      if ("problem" in item) yield* into.refuse(where, item.problem)
      else {
        const write = importedEvent.read(item.value, cluster)
        if (Result.isFailure(write)) yield* into.refuse(where, write.failure)
        else yield* into.add(write.success, where)
      }
    }
  })

  /** Begins to read once the form is known. */
  const take = Effect.fnUntraced(function* (piece: string, isLast: boolean) {
    if (items !== undefined) return yield* takeItems(items.push(piece))
    beginning += piece
    const form = importItems.formOf(beginning, isLast)
    if (form === undefined) return
    const decompressor = importItems.decompressorOf(beginning)
    if (decompressor !== undefined) {
      const { command } = yield* session.Session
      return yield* new failure.Failure({
        detail: `${source.name} is compressed`,
        hint: `decompress it: ${decompressor} FILE | ${command} import -`
      })
    }
    items = importItems.make(form, form === "yaml" ? yield* loadYaml : notYaml)
    const text = beginning
    beginning = ""
    yield* takeItems(items.push(text))
  })

  yield* Stream.runForEach(source.text, (piece) => take(piece, false))
  yield* take("", true)
  if (items !== undefined) yield* takeItems(items.end())
})

/**
 * Imports what the sources have, in order.
 *
 * @internal
 */
export const run = Effect.fnUntraced(function* (sources: ReadonlyArray<Source>, cluster: ClusterRef | undefined) {
  const backend = yield* Backend
  if (backend.mode === "kubernetes") {
    return yield* new failure.Failure({
      detail: "a cluster takes no events of the past: its API server would give them other names and delete them soon",
      hint: "import into an event log with --backend filesystem, or --directory DIRECTORY"
    })
  }
  const progress = yield* progresses.make(false)
  const into = new Import(backend, progress)
  yield* Effect.forEach(sources, (source) => readSource(source, into, cluster), { discard: true }).pipe(
    Effect.andThen(into.flush),
    Effect.onExit(() => progress.clear),
    Effect.onError(() =>
      into.hasBegun ? words.say(`${into.summary} before this; what is imported again is stored once`) : Effect.void
    )
  )
  yield* words.say(into.summary)
  if (into.bad > MOST_TOLD) yield* words.say(`and ${into.bad - MOST_TOLD} more that could not be imported`)
  if (into.bad > 0) {
    const what = into.bad === 1 ? "1 item could not be imported" : `${into.bad} items could not be imported`
    return yield* new CommandError({
      lines: [`${what}; the rest of what was read is stored`],
      exit: failure.EXIT.failed
    })
  }
})
