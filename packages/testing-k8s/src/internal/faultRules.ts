/** Which fault a request meets. */
import * as Record from "effect/Record"
import type { Chaos, Fault, Injected, InjectOptions, Match } from "../Fault.ts"
import { mastersGroup } from "./rbac.ts"
import type { RequestInfo } from "./request.ts"
import { fraction } from "./seed.ts"

/** What decides which fault a request meets. @internal */
export interface Candidate {
  readonly info: RequestInfo
  readonly user: string
  readonly groups: ReadonlyArray<string>
  /** Name of the object, also where only the body has it. */
  readonly name: string
  /** What follows the question mark. */
  readonly query: string
  readonly body: string
}

/** @internal */
export interface FaultRules {
  readonly choose: (candidate: Candidate) => Fault | undefined
  readonly inject: (fault: Fault, options: InjectOptions) => void
  readonly setChaos: (chaos: Chaos | undefined) => void
  readonly clear: () => void
  readonly injected: () => Injected
  /** Faults that were injected for a number of times and have not been met as often. */
  readonly remaining: () => number
}

const bodyVerbs = new Set(["create", "update", "patch"])

type Applies = (candidate: Candidate) => boolean

const always: Applies = () => true
const toAnswers: Applies = ({ info }) => info.verb !== "watch"
const toWatches: Applies = ({ info }) => info.verb === "watch"
const toResources: Applies = ({ info }) => info.isResource
const toAnswersOfResources: Applies = ({ info }) => info.isResource && info.verb !== "watch"
const toBodies: Applies = ({ info }) => info.isResource && bodyVerbs.has(info.verb)
const toOrdinaryUsers: Applies = ({ groups, info }) => info.isResource && !groups.includes(mastersGroup)

/** A real server gives each fault only to some requests. */
const applies: Readonly<Record<Fault["_tag"], Applies>> = {
  Answer: always,
  Reset: always,
  Close: always,
  Hang: always,
  Timeout: toAnswersOfResources,
  EtcdUnavailable: toAnswersOfResources,
  EtcdTooLarge: toBodies,
  ServiceUnavailable: toResources,
  TooManyRequests: toOrdinaryUsers,
  EventRateLimit: ({ info }) => info.resource === "events" && info.group === "" && bodyVerbs.has(info.verb),
  Forbidden: toOrdinaryUsers,
  NamespaceTerminating: ({ info }) => info.isResource && info.verb === "create" && info.namespace !== "",
  Unauthorized: always,
  EntityTooLarge: toBodies,
  Truncate: toAnswers,
  Slow: toAnswers,
  WatchCut: toWatches,
  WatchEmpty: toWatches,
  WatchSilence: toWatches,
  WatchExpired: toWatches
}

const isOneOf = (wanted: string | ReadonlyArray<string> | undefined, value: string): boolean =>
  wanted === undefined || (typeof wanted === "string" ? wanted === value : wanted.includes(value))

const isLike = (wanted: string | RegExp | undefined, value: string): boolean =>
  wanted === undefined || (typeof wanted === "string" ? wanted === value : wanted.test(value))

const isMeant = (match: Match, { body, info, name, query, user }: Candidate): boolean =>
  isOneOf(match.verb, info.verb) &&
  isOneOf(match.resource, info.resource) &&
  isOneOf(match.namespace, info.namespace) &&
  isOneOf(match.user, user) &&
  isLike(match.name, name) &&
  isLike(match.query, query) &&
  isLike(match.body, body)

interface Rule {
  readonly fault: Fault
  readonly match: Match
  skip: number
  times: number
}

/** @internal */
export const make = (seed: number): FaultRules => {
  let rules: Array<Rule> = []
  let chaos: Chaos | undefined
  const asked = new Map<string, number>()
  const counts = new Map<Fault["_tag"], number>()

  const byRule = (candidate: Candidate): Fault | undefined => {
    for (const rule of rules) {
      if (rule.times <= 0 || !applies[rule.fault._tag](candidate) || !isMeant(rule.match, candidate)) {
        continue
      }
      if (rule.skip > 0) {
        rule.skip -= 1
        continue
      }
      rule.times -= 1
      return rule.fault
    }
    return undefined
  }

  const byChaos = (candidate: Candidate): Fault | undefined => {
    if (chaos === undefined) {
      return undefined
    }
    const { info, name, user } = candidate
    // Depends on what is asked for and how often it was, not on what others ask for meanwhile.
    const key = [chaos.seed ?? seed, user, info.verb, info.group, info.resource, info.namespace, name].join(" ")
    const turn = asked.get(key) ?? 0
    asked.set(key, turn + 1)
    return chaos.faults.find(
      ({ fault, match, rate }, index) =>
        applies[fault._tag](candidate) &&
        isMeant(match ?? {}, candidate) &&
        fraction(seed, `${key} ${turn} ${index}`) < rate
    )?.fault
  }

  return {
    choose: (candidate) => {
      const fault = byRule(candidate) ?? byChaos(candidate)
      if (fault !== undefined) {
        counts.set(fault._tag, (counts.get(fault._tag) ?? 0) + 1)
      }
      return fault
    },
    inject: (fault, { skip = 0, times = 1, ...match }) => {
      rules = rules.filter((rule) => rule.times > 0)
      rules.push({ fault, match, skip, times })
    },
    setChaos: (next) => {
      chaos = next
      asked.clear()
    },
    clear: () => {
      rules = []
      chaos = undefined
      asked.clear()
    },
    injected: () => Record.map(applies, (_, tag) => counts.get(tag) ?? 0),
    remaining: () => rules.reduce((sum, rule) => sum + (Number.isFinite(rule.times) ? Math.max(0, rule.times) : 0), 0)
  }
}
