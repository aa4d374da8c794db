/**
 * How requests meet the faults and outages of a simulated API server.
 *
 * @internal
 */
import * as Backend from "@tidings/core/Backend"
import * as BackendError from "@tidings/core/BackendError"
import type { Write } from "@tidings/core/Event"
import * as EventId from "@tidings/core/EventId"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import type { Faults, Outage } from "./model.ts"
import type { Server } from "./server.ts"

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
/** @internal */
export const cut = BackendError.make(new BackendError.Transient({ applied: "no", detail: "the watch broke off" }))

const outages: Record<Exclude<Outage, "silent">, BackendError.BackendError> = {
  refused,
  unauthorized: BackendError.make(new BackendError.Unauthorized({ detail: "401 Unauthorized" })),
  unavailable: BackendError.make(new BackendError.Unavailable({ detail: "404 page not found" }))
}

// ---------------------------------------------------------------------------
// chance
// ---------------------------------------------------------------------------

/** How long a request or an answer takes, in milliseconds. */
const delay = ({ dice, latency }: Server): number => dice.next() * latency

/** Which fault a request meets. */
const draw = ({ dice, faults }: Server): keyof Faults | undefined => {
  let left = dice.next()
  for (const [fault, share] of Object.entries(faults) as ReadonlyArray<[keyof Faults, number | undefined]>) {
    left -= share ?? 0
    if (left < 0) return fault
  }
  return undefined
}

// ---------------------------------------------------------------------------
// writing
// ---------------------------------------------------------------------------

const answerOne = (server: Server, write: Write): Backend.Outcome => {
  switch (server.troubles.get(write.event.involvedObject.namespace ?? "")) {
    case "gone":
      server.count("rejected")
      return { _tag: "Rejected", reason: "the namespace is gone" }
    case "missing":
      server.count("namespaceMissing")
      return { _tag: "Retry", error: namespaceMissing, parkAfter: server.parkAfter }
    case "failing":
      server.count("namespaceFailing")
      return { _tag: "Retry", error: namespaceFailing }
    default:
      return server.store.apply(write)
  }
}

const isSilent = (server: Server, write: Write): boolean =>
  server.troubles.get(write.event.involvedObject.namespace ?? "") === "silent"

const throttled = ({ dice }: Server, detail: string, after: number | undefined): Answer =>
  Result.fail(
    BackendError.make(
      after === undefined
        ? new BackendError.Throttled({ scope: dice.chance(0.5) ? "backend" : "series", detail })
        : new BackendError.Throttled({ scope: "backend", detail, retryAfter: Duration.millis(after) })
    )
  )

/** The request has arrived; undefined when it is never answered. */
const serve = (server: Server, batch: ReadonlyArray<Write>, fault: keyof Faults | undefined): Answer | undefined => {
  const { dice, simulation } = server
  if (server.outage !== undefined) {
    server.count(server.outage)
    return server.outage === "silent" ? undefined : Result.fail(outages[server.outage])
  }
  if (fault !== undefined) server.count(fault)
  if (fault === "strange") return Result.fail(strange)
  const found = server.target()
  if (found.id !== server.told.id) {
    server.count("mismatch")
    const detail = "another server answers"
    return Result.fail(
      BackendError.make(new BackendError.TargetMismatch({ expected: server.told.id, found: found.id, detail }))
    )
  }
  if (server.replacement !== undefined) {
    server.count("stray")
    server.strays.push(...batch)
    return Result.succeed(batch.map(() => Backend.created))
  }
  switch (fault) {
    case "fail":
      return Result.fail(failed)
    case "throttle":
      return throttled(server, "limit reached on type Namespace", undefined)
    case "throttleUntil":
      return throttled(server, "too many requests", Math.ceil(dice.next() * server.retryAfter))
    case "late":
      simulation.after(dice.next() * server.lateness, () => {
        server.count("arrivedLate")
        for (const write of batch) if (!isSilent(server, write)) answerOne(server, write)
      })
      return Result.fail(timedOut)
    case "partial": {
      const left = new Set([dice.integer(0, batch.length - 1)])
      return Result.succeed(
        batch.map((write, index) =>
          left.has(index) || dice.chance(0.3) ? { _tag: "Retry", error: failed } : answerOne(server, write)
        )
      )
    }
  }
  const silent = batch.some((write) => isSilent(server, write))
  const outcomes = batch.map((write): Backend.Outcome =>
    isSilent(server, write) ? Backend.present : answerOne(server, write)
  )
  if (silent) {
    server.count("namespaceSilent")
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

/**
 * Writes a batch, unless its request or its answer gets lost.
 *
 * @internal
 */
export const write = (
  server: Server,
  batch: ReadonlyArray<Write>
): Effect.Effect<ReadonlyArray<Backend.Outcome>, BackendError.BackendError> =>
  Effect.callback((resume) => {
    const { name, simulation } = server
    const reply = (answer: Answer) => simulation.after(delay(server), () => resume(Effect.fromResult(answer)))
    if (batch.length === 0) return resume(Effect.succeed([]))
    const twice = batch.find(({ id }, index) =>
      batch.some((other, place) => place > index && other.id.seq === id.seq && other.id.origin === id.origin)
    )
    if (twice !== undefined) {
      simulation.fail(new Error(`${name}: the series ${EventId.format(twice.id)} stands twice in one batch`))
    }
    const fault = draw(server)
    if (fault === "hang") return server.count("hang")
    if (fault === "resetBefore") {
      server.count("resetBefore")
      reply(Result.fail(broken))
      return
    }
    simulation.after(delay(server), () => {
      const answer = serve(server, batch, fault)
      if (answer !== undefined) reply(answer)
    })
  })

// ---------------------------------------------------------------------------
// reading
// ---------------------------------------------------------------------------

/**
 * For what only reads: the same outages, and of the faults those that concern it.
 *
 * @internal
 */
export const read = <A>(
  server: Server,
  answer: () => Result.Result<A, BackendError.BackendError>
): Effect.Effect<A, BackendError.BackendError> =>
  Effect.callback((resume) => {
    const fault = draw(server)
    if (fault === "hang" || fault === "hangAfter") return server.count("hang")
    server.simulation.after(delay(server) + delay(server), () => {
      if (server.outage === "silent") return server.count("silent")
      const failure =
        server.outage !== undefined
          ? outages[server.outage]
          : fault === "strange"
            ? strange
            : fault === "resetBefore" || fault === "fail"
              ? failed
              : undefined
      if (server.outage !== undefined) server.count(server.outage)
      resume(failure === undefined ? Effect.fromResult(answer()) : Effect.fail(failure))
    })
  })
