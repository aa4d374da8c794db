import type * as BackendError from "@tidings/core/BackendError"
import * as Duration from "effect/Duration"
import { verdictOf } from "../src/internal/writeVerdict.ts"
import type { KubernetesResponse } from "../src/KubernetesHttp.ts"

export type Verb = "create" | "patch"

export const verdict = (verb: Verb, response: KubernetesResponse) => verdictOf(verb, "shop", "order-1.1", response)

/** The verdict in one line, with what decides something. */
export const short = (verb: Verb, response: KubernetesResponse): string => {
  const found = verdict(verb, response)
  if (found._tag !== "Final") return found._tag
  const { outcome } = found
  switch (outcome._tag) {
    case "Settled":
      return outcome.how
    case "Dropped":
      return "Dropped"
    case "Rejected":
      return `Rejected ${outcome.reason.slice(0, outcome.reason.indexOf(":"))}`
    case "Retry":
      return `Retry ${reasonOf(outcome.error)}${outcome.parkAfter === undefined ? "" : `, park after ${Duration.format(Duration.fromInputUnsafe(outcome.parkAfter))}`}`
  }
}

export const reasonOf = ({ reason }: BackendError.BackendError): string => {
  switch (reason._tag) {
    case "Transient":
      return `Transient ${reason.applied}`
    case "Throttled":
      return `Throttled ${reason.scope}${reason.retryAfter === undefined ? "" : ` ${Duration.format(reason.retryAfter)}`}`
    default:
      return reason._tag
  }
}
