/** What an injected fault does to a request. */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type { Fault } from "../Fault.ts"
import type { Answering, Fork } from "./answering.ts"
import type { Exchange } from "./exchange.ts"
import type { Outcome } from "./routing.ts"
import * as Status from "./statuses.ts"

/** How requests go on. @internal */
export interface Serving {
  readonly answering: Answering
  readonly fork: Fork
  /** Carries the request out. */
  readonly perform: (exchange: Exchange) => Outcome
  readonly deliver: (exchange: Exchange, outcome: Outcome, fault: Fault) => void
  /** The answer of RBAC to a user who may not do it. */
  readonly refusal: (exchange: Exchange) => Status.Answer
}

/** Faults after which the request may have been carried out all the same. */
const isApplied = (fault: Fault): boolean => "applied" in fault && fault.applied

const timeOut = ({ answering, fork, perform }: Serving, exchange: Exchange, fault: Fault & { _tag: "Timeout" }) => {
  if (fault.lateBy !== undefined) {
    // Goes on whether or not the client is still there.
    fork(
      Effect.andThen(
        Effect.sleep(Duration.sum(fault.after, fault.lateBy)),
        Effect.sync(() => void perform(exchange))
      )
    )
  }
  answering.sendLater(exchange, fault.after, fault.by === "storage" ? Status.storageTimeout : Status.requestTimeout)
}

/** @internal */
export const injectFault = (serving: Serving, exchange: Exchange, fault: Fault): void => {
  const { answering, deliver, perform, refusal } = serving
  const { entry, info, reply } = exchange
  entry.fault = fault._tag
  const send = (answer: Status.Answer): void => answering.send(exchange, answer)
  if (isApplied(fault)) perform(exchange)
  switch (fault._tag) {
    case "Answer":
      return answering.sendInPlace(exchange, fault.status, fault.headers, fault.body)
    case "Reset":
      return reply.reset()
    case "Close":
      return reply.close()
    case "Hang":
      return
    case "Timeout":
      return timeOut(serving, exchange, fault)
    case "EtcdUnavailable":
      return send(Status.etcdUnavailable)
    case "EtcdTooLarge":
      return send(Status.etcdTooLarge)
    case "ServiceUnavailable":
      return send(Status.serviceUnavailable)
    case "TooManyRequests":
      return send(Status.tooManyRequests(fault.retryAfter))
    case "EventRateLimit":
      return send(Status.eventRateLimited("Namespace", info.namespace))
    case "Forbidden":
      return send(refusal(exchange))
    case "NamespaceTerminating":
      return send(
        Status.namespaceTerminating({ group: info.group, resource: info.resource }, entry.name, info.namespace)
      )
    case "Unauthorized":
      return send(Status.unauthorized)
    case "EntityTooLarge":
      return send(Status.entityTooLarge)
    case "WatchExpired":
      return fault.where === "connect" ? send(Status.expired) : deliver(exchange, perform(exchange), fault)
    case "Truncate":
    case "Slow":
    case "WatchCut":
    case "WatchEmpty":
    case "WatchSilence":
      return deliver(exchange, perform(exchange), fault)
  }
}
