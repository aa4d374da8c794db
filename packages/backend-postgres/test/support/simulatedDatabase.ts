/**
 * The database of an archive for simulated worlds: it stands outside of every process, loses connections before and after a
 * commit, and is away for a while. It does what the SQL of `archiving.ts` does; bugs can be planted in it.
 */
import type { ArchiveStore, Commit, Opening, Span } from "@tidings/backend-postgres/ArchiveStore"
import { BackendError, Transient } from "@tidings/core/BackendError"
import type { Event } from "@tidings/core/Event"
import type { Cursor } from "@tidings/core/EventQuery"
import type { Micros } from "@tidings/core/Timestamp"
import type { Simulation } from "@tidings/testing/Simulation"
import * as Effect from "effect/Effect"
import * as spans from "../../src/internal/spans.ts"

export type Bug =
  /** The position is committed before the rows that it covers. */
  | "position before rows"
  /** That a span ended is not noted. */
  | "a gap that is not told"
  /** What is older than the current state counts as stored. */
  | "a replica that skips"
  /** A state is known by its series and number alone, also after the store was put back. */
  | "no epochs"

interface Replica {
  readonly name: string
  epoch: number
  cursor: Cursor | undefined
  span: Span | undefined
  until: Micros | undefined
  isRunning: boolean
  seen: Micros
}

interface StateRow {
  readonly position: number
  readonly epoch: number
  readonly event: Event
}

const GONE = 60_000_000

const lost = (applied: "no" | "unknown"): BackendError =>
  new BackendError({ reason: new Transient({ applied, detail: "the connection was lost" }) })

const contentOf = ({ cluster: _, ...event }: Event): string => JSON.stringify(event)

export class SimulatedDatabase {
  readonly simulation: Simulation
  readonly faults = { before: 0, after: 0 }
  isAway = false
  readonly bug: Bug | undefined
  private readonly dice: Simulation["dice"]
  private epoch = 0
  private position = 0
  readonly states: Array<StateRow> = []
  private readonly newest = new Map<string, { readonly epoch: number; readonly upTo: number }>()
  private readonly replicas = new Map<string, Replica>()
  private readonly ended: Array<Span> = []
  readonly gaps: Array<spans.Hole & { readonly position: number }> = []

  constructor(simulation: Simulation, bug?: Bug) {
    this.simulation = simulation
    this.bug = bug
    this.dice = simulation.dice.fork("database")
  }

  /** The furthest version of the store that is committed. */
  reached(): number {
    return Math.max(0, ...[...this.replicas.values()].map(({ cursor }) => Number(cursor ?? 0)))
  }

  /** What all replicas together covered. */
  covered(): spans.Covered | undefined {
    return spans.covered([...this.ended, ...[...this.replicas.values()].flatMap(({ span }) => span ?? [])])
  }

  /** A transaction: all of it or nothing, and whether it was is not always known. */
  private transact<A>(run: () => A, early?: () => void): Effect.Effect<A, BackendError> {
    const pause = Effect.suspend(() => Effect.sleep(this.dice.integer(0, 60)))
    return Effect.gen({ self: this }, function* () {
      yield* pause
      if (this.isAway) {
        this.simulation.count("database.away")
        return yield* Effect.fail(lost("no"))
      }
      early?.()
      if (early !== undefined) yield* pause
      if (this.dice.chance(this.faults.before)) {
        this.simulation.count("database.lostBefore")
        return yield* Effect.fail(lost("unknown"))
      }
      const answer = run()
      yield* pause
      if (this.dice.chance(this.faults.after)) {
        this.simulation.count("database.lostAfter")
        return yield* Effect.fail(lost("unknown"))
      }
      return answer
    })
  }

  private isStored(event: Event, epoch: number, series: string): boolean {
    const newest = this.newest.get(series)
    if (newest === undefined) return false
    if (this.bug === "no epochs") return event.upTo <= newest.upTo
    if (epoch === newest.epoch && event.upTo > newest.upTo) return false
    if (this.bug === "a replica that skips" && epoch === newest.epoch) return true
    return this.states.some(
      (row) =>
        row.event.upTo === event.upTo &&
        row.event.id.origin === event.id.origin &&
        row.event.id.seq === event.id.seq &&
        (row.epoch === epoch || contentOf(row.event) === contentOf(event))
    )
  }

  private insert({ epoch, rows }: Commit): number {
    let written = 0
    for (const { event } of rows) {
      const own = event.id.seq === 0 ? epoch : 0
      const series = `${event.id.origin} ${event.id.seq}`
      if (this.isStored(event, own, series)) {
        this.simulation.count("database.present")
        continue
      }
      this.states.push({ position: ++this.position, epoch: own, event })
      const newest = this.newest.get(series)
      if (newest === undefined || newest.epoch < own || (newest.epoch === own && newest.upTo < event.upTo)) {
        this.newest.set(series, { epoch: own, upTo: event.upTo })
      } else this.simulation.count("database.late")
      written++
    }
    return written
  }

  private note({
    cursor,
    epoch,
    replica,
    span,
    until
  }: Pick<Commit, "cursor" | "epoch" | "replica" | "span" | "until">): void {
    this.replicas.set(replica, {
      name: replica,
      epoch,
      cursor,
      span,
      until,
      isRunning: true,
      seen: this.simulation.now()
    })
  }

  private isPreceded({ epoch, replica }: Commit): boolean {
    return [...this.replicas.values()].some(
      (other) =>
        other.name !== replica && other.epoch === epoch && other.cursor !== undefined && other.until !== undefined
    )
  }

  private isRunning({ isRunning, seen }: Replica): boolean {
    return isRunning && this.simulation.now() - seen < GONE
  }

  private tell() {
    const holes = (this.covered()?.holes ?? []).filter((hole) => !spans.isTold(hole, this.gaps))
    const mayBeCovered = ({ from }: spans.Hole): boolean =>
      [...this.replicas.values()].some(
        (replica) => this.isRunning(replica) && replica.span !== undefined && replica.span.until <= from
      )
    let gaps = 0
    let isPending = false
    for (const hole of holes) {
      if (mayBeCovered(hole)) {
        this.simulation.count("database.pending")
        isPending = true
        continue
      }
      this.gaps.push({ ...hole, position: ++this.position })
      gaps++
    }
    return { gaps, isPending }
  }

  private open(replica: string): Opening {
    const own = this.replicas.get(replica)
    const furthest = [...this.replicas.values()]
      .filter(({ cursor, epoch }) => cursor !== undefined && epoch === this.epoch)
      .sort((a, b) => (b.until ?? 0) - (a.until ?? 0))[0]
    let span = furthest?.span
    if (furthest !== own && span !== undefined) span = { since: span.until, until: span.until }
    if (furthest !== own && furthest !== undefined) this.simulation.count("database.adopted")
    if (own?.span !== undefined && furthest !== own) this.ended.push(own.span)
    this.note({ replica, epoch: this.epoch, cursor: furthest?.cursor, span, until: furthest?.until })
    return {
      key: 1,
      cluster: { id: "cluster-1", name: "context" },
      epoch: this.epoch,
      cursor: furthest?.cursor,
      span,
      until: furthest?.until
    }
  }

  get store(): ArchiveStore["Service"] {
    return {
      open: ({ replica }) => this.transact(() => this.open(replica)),
      commit: (commit) =>
        this.transact(
          () => {
            const written = this.insert(commit)
            if (commit.ended !== undefined && this.bug !== "a gap that is not told") this.ended.push(commit.ended)
            if (commit.isFirst && this.isPreceded(commit)) {
              this.simulation.count("database.preceded")
              this.note({ ...commit, cursor: undefined, span: undefined, until: undefined })
              return { written, isOvertaken: true, gaps: 0, isPending: false }
            }
            if (this.bug === "a gap that is not told" && commit.span?.why !== undefined) {
              const since = this.covered()?.since ?? commit.span.since
              this.note({ ...commit, span: { since, until: commit.span.until } })
            } else this.note(commit)
            const told = commit.tell ? this.tell() : { gaps: 0, isPending: false }
            return { ...told, written, isOvertaken: this.epoch > commit.epoch }
          },
          this.bug === "position before rows" ? () => this.note(commit) : undefined
        ),
      newEpoch: ({ ended, epoch, replica }) =>
        this.transact(() => {
          if (ended !== undefined) this.ended.push(ended)
          if (this.epoch === epoch && this.bug !== "no epochs") {
            this.epoch++
            this.simulation.count("database.epoch")
          }
          const row = this.replicas.get(replica)
          if (row !== undefined) {
            row.cursor = undefined
            row.span = undefined
            row.until = undefined
          }
        }),
      leave: ({ problem, replica }) =>
        this.transact(() => {
          const row = this.replicas.get(replica)
          if (row !== undefined) row.isRunning = problem !== undefined
        }),
      stores: Effect.succeed([])
    }
  }
}
