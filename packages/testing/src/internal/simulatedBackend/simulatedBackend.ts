import * as Backend from "@tidings/core/Backend"
import * as BackendError from "@tidings/core/BackendError"
import { type Event, namespaceOf, type Write } from "@tidings/core/Event"
import * as EventId from "@tidings/core/EventId"
import * as EventQuery from "@tidings/core/EventQuery"
import * as Position from "@tidings/core/Position"
import * as Target from "@tidings/core/Target"
import type { Micros } from "@tidings/core/Timestamp"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as Stream from "effect/Stream"
import type { Simulation } from "../../Simulation.ts"
import type { Faults, NamespaceTrouble, Options, Outage, SimulatedBackend, StoredSeries } from "./model.ts"

interface Stored {
  /** What a reader sees. */
  write: Write
  /** The highest that was ever seen. */
  highest: Write
  exists: boolean
  creations: number
  expiresAt: Micros
  position: number
}

type Answer = Result.Result<ReadonlyArray<Backend.Outcome>, BackendError.BackendError>

const broken = BackendError.make(
  new BackendError.Transient({ applied: "unknown", detail: "the connection broke before the answer" })
)
const timedOut = BackendError.make(new BackendError.Transient({ applied: "unknown", detail: "504 Timeout" }))
const failed = BackendError.make(new BackendError.Transient({ applied: "no", detail: "the server is overloaded" }))
const refused = BackendError.make(new BackendError.Transient({ applied: "no", detail: "connection refused" }))
const namespaceMissing = BackendError.make(
  new BackendError.Transient({ applied: "no", detail: "the namespace does not exist" })
)
const namespaceFailing = BackendError.make(
  new BackendError.Transient({ applied: "no", detail: "the namespace is in trouble" })
)
const strange = BackendError.make(
  new BackendError.Transient({ applied: "unknown", detail: "200 text/html: no API server answers" })
)
const cut = BackendError.make(new BackendError.Transient({ applied: "no", detail: "the watch broke off" }))

const outages: Record<Exclude<Outage, "silent">, BackendError.BackendError> = {
  refused,
  unauthorized: BackendError.make(new BackendError.Unauthorized({ detail: "401 Unauthorized" })),
  unavailable: BackendError.make(new BackendError.Unavailable({ detail: "404 page not found" }))
}

/** @internal */
export const make = (simulation: Simulation, options: Options): Omit<SimulatedBackend, "layer"> => {
  const name = options.name ?? "backend"
  const home = Target.make(options.target ?? name)
  const dice = simulation.dice.fork(name)
  const latency = Duration.toMillis(options.latency ?? "20 millis")
  const lateness = Duration.toMillis(options.lateness ?? "30 seconds")
  const retryAfter = Duration.toMillis(options.retryAfter ?? "10 seconds")
  const parkAfter = options.parkAfter ?? "60 seconds"
  const timeToLive =
    options.timeToLive === undefined ? Number.POSITIVE_INFINITY : Duration.toMillis(options.timeToLive) * 1_000

  let faults: Faults = options.faults ?? {}
  let outage: Outage | undefined
  const troubles = new Map<string, NamespaceTrouble>()
  const observers: Array<(write: Write, before: Write | undefined) => void> = []
  /** In order of change. */
  const stored = new Map<string, Stored>()
  let position = 0
  let forgottenUpTo = 0
  const waiting = new Set<() => void>()
  /** The server that answers in the place of this one. */
  let replacement: Target.Target | undefined
  const strays: Array<Write> = []
  /** Which server the host knows that it talks to. */
  let told = home

  const target = (): Target.Target => replacement ?? home

  const wake = (): void => {
    const woken = [...waiting]
    waiting.clear()
    for (const one of woken) one()
  }

  const count = (what: string) => simulation.count(`${name}.${what}`)

  // -------------------------------------------------------------------------
  // the store
  // -------------------------------------------------------------------------

  const expire = (one: Stored): void => {
    if (!one.exists || one.expiresAt > simulation.now()) return
    one.exists = false
    count("expired")
  }

  const apply = (write: Write): Backend.Outcome => {
    const key = EventId.format(write.id)
    const known = stored.get(key)
    if (known !== undefined) expire(known)
    if (known?.exists === true && known.write.upTo >= write.upTo) {
      if (known.write.upTo > write.upTo) count("overtaken")
      return Backend.present
    }
    const created = known?.exists !== true
    if (created && known !== undefined) count("createdAgain")
    for (const observe of observers) observe(write, created ? undefined : known?.write)
    simulation.trace(`${name}: ${created ? "creates" : "updates"} ${key} up to ${write.upTo}, count ${write.count}`)
    stored.delete(key)
    stored.set(key, {
      write,
      highest: known !== undefined && known.highest.upTo > write.upTo ? known.highest : write,
      exists: true,
      creations: (known?.creations ?? 0) + (created ? 1 : 0),
      expiresAt: simulation.now() + timeToLive,
      position: ++position
    })
    wake()
    return created ? Backend.created : Backend.updated
  }

  const answerOne = (write: Write): Backend.Outcome => {
    switch (troubles.get(write.event.involvedObject.namespace ?? "")) {
      case "gone":
        count("rejected")
        return { _tag: "Rejected", reason: "the namespace is gone" }
      case "missing":
        count("namespaceMissing")
        return { _tag: "Retry", error: namespaceMissing, parkAfter }
      case "failing":
        count("namespaceFailing")
        return { _tag: "Retry", error: namespaceFailing }
      default:
        return apply(write)
    }
  }

  const isSilent = (write: Write): boolean => troubles.get(write.event.involvedObject.namespace ?? "") === "silent"

  // -------------------------------------------------------------------------
  // requests
  // -------------------------------------------------------------------------

  const delay = (): number => dice.next() * latency

  const draw = (): keyof Faults | undefined => {
    let left = dice.next()
    for (const [fault, share] of Object.entries(faults) as ReadonlyArray<[keyof Faults, number | undefined]>) {
      left -= share ?? 0
      if (left < 0) return fault
    }
    return undefined
  }

  const throttled = (detail: string, after: number | undefined): Answer =>
    Result.fail(
      BackendError.make(
        after === undefined
          ? new BackendError.Throttled({ scope: dice.chance(0.5) ? "backend" : "series", detail })
          : new BackendError.Throttled({ scope: "backend", detail, retryAfter: Duration.millis(after) })
      )
    )

  /** The request has arrived; undefined when it is never answered. */
  const serve = (batch: ReadonlyArray<Write>, fault: keyof Faults | undefined): Answer | undefined => {
    if (outage !== undefined) {
      count(outage)
      return outage === "silent" ? undefined : Result.fail(outages[outage])
    }
    if (fault !== undefined) count(fault)
    if (fault === "strange") return Result.fail(strange)
    const found = target()
    if (found.id !== told.id) {
      count("mismatch")
      const detail = "another server answers"
      return Result.fail(
        BackendError.make(new BackendError.TargetMismatch({ expected: told.id, found: found.id, detail }))
      )
    }
    if (replacement !== undefined) {
      count("stray")
      strays.push(...batch)
      return Result.succeed(batch.map(() => Backend.created))
    }
    switch (fault) {
      case "fail":
        return Result.fail(failed)
      case "throttle":
        return throttled("limit reached on type Namespace", undefined)
      case "throttleUntil":
        return throttled("too many requests", Math.ceil(dice.next() * retryAfter))
      case "late":
        simulation.after(dice.next() * lateness, () => {
          count("arrivedLate")
          for (const write of batch) if (!isSilent(write)) answerOne(write)
        })
        return Result.fail(timedOut)
      case "partial": {
        const left = new Set([dice.integer(0, batch.length - 1)])
        return Result.succeed(
          batch.map((write, index) =>
            left.has(index) || dice.chance(0.3) ? { _tag: "Retry", error: failed } : answerOne(write)
          )
        )
      }
    }
    const silent = batch.some(isSilent)
    const outcomes = batch.map((write): Backend.Outcome => (isSilent(write) ? Backend.present : answerOne(write)))
    if (silent) {
      count("namespaceSilent")
      return undefined
    }
    switch (fault) {
      case "resetAfter":
        return Result.fail(broken)
      case "hangAfter":
        return undefined
      case "missing":
        return Result.succeed(outcomes.slice(0, dice.integer(0, outcomes.length - 1)))
      default:
        return Result.succeed(outcomes)
    }
  }

  const write = (
    batch: ReadonlyArray<Write>
  ): Effect.Effect<ReadonlyArray<Backend.Outcome>, BackendError.BackendError> =>
    Effect.callback((resume) => {
      const reply = (answer: Answer) => simulation.after(delay(), () => resume(Effect.fromResult(answer)))
      if (batch.length === 0) return resume(Effect.succeed([]))
      const twice = batch.find(({ id }, index) =>
        batch.some((other, place) => place > index && other.id.seq === id.seq && other.id.origin === id.origin)
      )
      if (twice !== undefined) {
        simulation.fail(new Error(`${name}: the series ${EventId.format(twice.id)} stands twice in one batch`))
      }
      const fault = draw()
      if (fault === "hang") return count("hang")
      if (fault === "resetBefore") {
        count("resetBefore")
        reply(Result.fail(broken))
        return
      }
      simulation.after(delay(), () => {
        const answer = serve(batch, fault)
        if (answer !== undefined) reply(answer)
      })
    })

  /** For what only reads: the same outages, and of the faults those that concern it. */
  const read = <A>(
    answer: () => Result.Result<A, BackendError.BackendError>
  ): Effect.Effect<A, BackendError.BackendError> =>
    Effect.callback((resume) => {
      const fault = draw()
      if (fault === "hang" || fault === "hangAfter") return count("hang")
      simulation.after(delay() + delay(), () => {
        if (outage === "silent") return count("silent")
        const failure =
          outage !== undefined
            ? outages[outage]
            : fault === "strange"
              ? strange
              : fault === "resetBefore" || fault === "fail"
                ? failed
                : undefined
        if (outage !== undefined) count(outage)
        resume(failure === undefined ? Effect.fromResult(answer()) : Effect.fail(failure))
      })
    })

  // -------------------------------------------------------------------------
  // reading
  // -------------------------------------------------------------------------

  const eventOf = ({ write: state }: Stored): Event => ({
    ...state,
    name: EventId.objectName(state.id, state.event.involvedObject.name),
    namespace: namespaceOf(state)
  })

  const existing = (filter: EventQuery.EventFilter): Array<Stored> =>
    [...(replacement === undefined ? stored.values() : [])].filter((one) => {
      expire(one)
      return one.exists && EventQuery.matches(filter, one.write)
    })

  const mismatch = (detail: string) => BackendError.make(new BackendError.CursorMismatch({ detail }))

  const numberOf = (text: string): Result.Result<number, BackendError.BackendError> =>
    /^\d{1,16}$/.test(text) ? Result.succeed(Number(text)) : Result.fail(mismatch("its position is no number"))

  /** Where a page ended: by time, then by order of change. */
  const placeOf = (text: string): Result.Result<readonly [number, number], BackendError.BackendError> => {
    const match = /^(-?\d{1,16}) (\d{1,16})$/.exec(text)
    return match === null
      ? Result.fail(mismatch("its position is no place in a query"))
      : Result.succeed([Number(match[1]), Number(match[2])])
  }

  const query = (asked: EventQuery.EventQuery): Effect.Effect<EventQuery.EventPage, BackendError.BackendError> =>
    read(() => {
      const filter = EventQuery.filterOf(asked)
      const scope: Position.Scope = { mode: "simulated", target: target(), filter }
      const matching = existing(filter).sort((a, b) => b.write.last - a.write.last || b.position - a.position)
      const decoded =
        asked.page === undefined
          ? Result.succeed(undefined)
          : Result.flatMap(Position.decodePageToken(scope, asked.page), placeOf)
      return Result.map(decoded, (after) => {
        const older =
          after === undefined
            ? matching
            : matching.filter(
                (one) => one.write.last < after[0] || (one.write.last === after[0] && one.position < after[1])
              )
        const events = asked.limit === undefined ? older : older.slice(0, Math.max(0, asked.limit))
        const page = {
          events: events.map(eventOf),
          totalCount: matching.length,
          cursor: Position.cursorEncoder(scope)(String(position))
        }
        const end = events.at(-1)
        return events.length < older.length && end !== undefined
          ? { ...page, next: Position.pageTokenEncoder(scope)(`${end.write.last} ${end.position}`) }
          : page
      })
    })

  const watch = (
    filter: EventQuery.EventFilter,
    from: EventQuery.WatchFrom
  ): Stream.Stream<EventQuery.WatchItem, BackendError.BackendError> =>
    Stream.unwrap(
      read(() => {
        const scope: Position.Scope = { mode: "simulated", target: target(), filter }
        const cursorAt = (at: number) => Position.cursorEncoder(scope)(String(at))
        const itemsAfter = (after: number): Array<EventQuery.WatchItem> =>
          existing(filter)
            .filter((one) => one.position > after)
            .map((one) => ({ _tag: "Event", event: eventOf(one), cursor: cursorAt(one.position) }))
        const gap = (): EventQuery.WatchItem => ({
          _tag: "Gap",
          reason: "the server has lost its history",
          cursor: cursorAt(forgottenUpTo)
        })

        const watched = target()
        let reached = position
        let snapshot: Array<EventQuery.WatchItem> = []
        if (from === "beginning") snapshot = itemsAfter(0)
        else if (typeof from === "object") snapshot = from.last > 0 ? itemsAfter(0).slice(-from.last) : []
        else if (from !== "now") {
          const decoded = Result.flatMap(Position.decodeCursor(scope, from), numberOf)
          if (Result.isFailure(decoded)) return Result.fail(decoded.failure)
          snapshot = itemsAfter(decoded.success)
          if (decoded.success < forgottenUpTo) {
            count("gap")
            snapshot.unshift(gap())
          }
        }
        snapshot.push({ _tag: "Live", cursor: cursorAt(reached) })

        const changed = Effect.callback<void>((resume) => {
          if (reached !== position || target() !== watched) return resume(Effect.void)
          const awake = () => resume(Effect.void)
          waiting.add(awake)
          return Effect.sync(() => waiting.delete(awake))
        })
        const next: Effect.Effect<Array<EventQuery.WatchItem>, BackendError.BackendError> = Effect.suspend(() => {
          if (reached === position && target() === watched) return Effect.andThen(changed, next)
          if (target() !== watched || outage !== undefined || dice.chance(faults.resetAfter ?? 0)) {
            count("cut")
            return Effect.fail(cut)
          }
          const items = itemsAfter(reached)
          reached = position
          return items.length === 0 ? next : Effect.succeed(items)
        })
        return Result.succeed(
          Stream.concat(Stream.fromIterable(snapshot), Stream.flattenIterable(Stream.fromEffectRepeat(next)))
        )
      })
    )

  // -------------------------------------------------------------------------
  // the handle
  // -------------------------------------------------------------------------

  return {
    backend: {
      mode: "simulated",
      target: read(() => Result.succeed((told = target()))),
      write,
      query,
      watch
    },
    setFaults: (given) => {
      faults = given
    },
    fail: (kind) => {
      outage = kind
      simulation.trace(`${name}: an outage begins (${kind})`)
    },
    recover: () => {
      if (outage !== undefined) simulation.trace(`${name}: the outage ends`)
      outage = undefined
    },
    trouble: (namespace, trouble) => {
      simulation.trace(`${name}: the namespace ${namespace} is ${trouble ?? "well"}`)
      if (trouble === undefined) troubles.delete(namespace)
      else troubles.set(namespace, trouble)
    },
    replaceBy: (other) => {
      simulation.trace(`${name}: ${other ?? home.id} answers`)
      if (other !== undefined) count("replaced")
      replacement = other === undefined ? undefined : Target.make(other)
      wake()
    },
    strays: () => strays,
    heal: () => {
      simulation.trace(`${name}: is well from now on`)
      faults = {}
      replacement = undefined
      outage = undefined
      troubles.clear()
      wake()
    },
    forgetHistory: () => {
      forgottenUpTo = position
      count("historyLost")
      wake()
    },
    series: (): ReadonlyArray<StoredSeries> =>
      [...stored.values()].map((one) => {
        expire(one)
        return { write: one.highest, exists: one.exists, creations: one.creations }
      }),
    onWrite: (observe) => {
      observers.push(observe)
    }
  }
}
