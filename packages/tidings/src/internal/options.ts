/**
 * The options of the layer and of `create`, which `Tidings` exports, and the rule of each: what a host without the
 * compiler's help may give is read here, and an error says of each field what would be right.
 *
 * @internal
 */
import type * as EventCatalogue from "@tidings/core/EventCatalogue"
import type { EventGenerator } from "@tidings/core/EventGenerator"
import type { Issue } from "@tidings/core/InvalidEvent"
import type * as Recorder from "@tidings/core/Recorder"
import * as Timeout from "@tidings/core/Timeout"
import type * as Transition from "@tidings/core/Transition"
import * as GoDuration from "@tidings/templates/GoDuration"
import * as Suggestion from "@tidings/templates/Suggestion"
import type { Mistake } from "@tidings/templates/TemplateCheck"
import * as Duration from "effect/Duration"
import * as Result from "effect/Result"
import { inspect } from "node:util"
import type * as Promised from "../Promised.ts"
import * as backendChoice from "./backendChoice.ts"

/**
 * How events are recorded, and where.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options extends Omit<Recorder.RecorderOptions, "writeTimeout">, backendChoice.Options {
  /**
   * A directory that keeps accepted events until the cluster has them, across restarts. `TIDINGS_JOURNAL` unless given;
   * in memory when neither is. The event log needs none: what is recorded is in it.
   */
  readonly journal?: string | undefined
}

/**
 * How `create` records, and where.
 *
 * @category models
 * @since 0.2.0
 */
export interface CreateOptions<Cs extends ReadonlyArray<Promised.Catalogue> = readonly []> extends Omit<
  Options,
  "patience" | "loginTimeout" | "drainTimeout" | "onlyTransitions"
> {
  /**
   * Whether events that report a state again and again, such as failed health checks, are recorded only when the state
   * changes: `true` for the transitions of the built-in reasons (`Transition.builtIn`), or a list of transitions. What is
   * held back is counted in `status()`, as `filtered`. `false` unless given: every occurrence is recorded.
   */
  readonly onlyTransitions?: boolean | ReadonlyArray<Transition.Transition<Promised.Timespan>> | undefined
  /** How long a cluster has to answer before `auto` takes the event log. 3 seconds unless given. */
  readonly patience?: Promised.Timespan | undefined
  /** How long a credential plugin may take. 15 minutes at a terminal and 1 minute elsewhere unless given. */
  readonly loginTimeout?: Promised.Timespan | undefined
  /** How long `close` waits for what is under way and not delivered. 10 seconds unless given. */
  readonly drainTimeout?: Promised.Timespan | undefined
  /**
   * The namespace of objects that name none. That of the context on a cluster, else `default`, unless given.
   */
  readonly namespace?: string | undefined
  /**
   * Catalogues of the host's own, each found at the last part of its id with a small letter: `"shop/Orders"` at `orders`.
   */
  readonly catalogues?:
    | (Cs & EventCatalogue.DistinctReasons<readonly [typeof EventGenerator, ...Cs]> & FreeNames<Cs>)
    | undefined
  /** Whether the tool `record_event` is among the tools, so that agents may record. They only read unless given. */
  readonly allowRecord?: boolean | undefined
  /** Where what the library says goes: a logger such as `console`, or `false` for nowhere. stderr unless given. */
  readonly logger?: Promised.Logger | false | undefined
}

type FreeNames<Cs extends ReadonlyArray<Promised.Catalogue>> =
  TakenName<Cs, keyof Promised.Tidings> extends infer Name
    ? [Name] extends [never]
      ? unknown
      : ReadonlyArray<Mistake<`two things would have the name ${Name & string}`>>
    : never

type TakenName<Cs, Seen, Found = never> = Cs extends readonly [infer C, ...infer Rest]
  ? TakenName<Rest, Seen | Promised.CatalogueName<C>, Found | Extract<Promised.CatalogueName<C>, Seen>>
  : Found

const EXPECTED_TIMESPAN = `milliseconds, or a text such as "10 seconds" or "1m30s"`

/** @internal */
export const show = (found: unknown): string =>
  inspect(found, { depth: 1, breakLength: Number.POSITIVE_INFINITY, maxStringLength: 100, maxArrayLength: 10 })

/**
 * Milliseconds, a text of Go's (`1m30s`) or of Effect's (`10 seconds`), or what Effect reads as a duration; `undefined` where
 * it is none from zero on.
 *
 * @internal
 */
export const readTimespan = (given: unknown): Duration.Duration | undefined => {
  if (typeof given === "string") {
    const parsed = GoDuration.parse(given)
    if (Result.isSuccess(parsed)) {
      return Number(parsed.success) < 0 ? undefined : Duration.nanos(BigInt(parsed.success))
    }
  }
  return Timeout.read(given)
}

/**
 * The durations in transitions are read too; what is none is left for the recorder to refuse.
 *
 * @internal
 */
export const readTransitions = (
  given: CreateOptions["onlyTransitions"]
): boolean | ReadonlyArray<Transition.Transition> | undefined => {
  if (!Array.isArray(given)) return given as boolean | undefined
  const read = (time: unknown) => readTimespan(time) ?? (time as Duration.Input | undefined)
  const readOne = (transition: Transition.Transition<unknown>) => ({
    ...transition,
    quietAfter: read(transition.quietAfter),
    remindAfter: read(transition.remindAfter)
  })
  try {
    return (given as ReadonlyArray<Transition.Transition<unknown>>).map(readOne)
  } catch {
    // What is no transition, or cannot be read.
    return given as ReadonlyArray<Transition.Transition>
  }
}

interface Rule {
  readonly holds: (given: unknown) => boolean
  readonly expected: string
}

/** A rule for each option, so that a new one cannot be forgotten here and then be refused. */
type Rules<Name extends string> = Readonly<Record<Name, Rule>>

const text: Rule = { holds: (given) => typeof given === "string", expected: "a text" }
const word: Rule = { holds: (given) => typeof given === "string" && given !== "", expected: "a text that is not empty" }
const flag: Rule = { holds: (given) => typeof given === "boolean", expected: "true or false" }
const timespan: Rule = { holds: (given) => readTimespan(given) !== undefined, expected: EXPECTED_TIMESPAN }

const isObject = (given: unknown): given is Readonly<Record<string, unknown>> =>
  typeof given === "object" && given !== null

const ofChoice: Rules<keyof backendChoice.Options> = {
  backend: {
    holds: (given) => backendChoice.choices.some((choice) => choice === given),
    expected: backendChoice.choices.join(", ")
  },
  directory: word,
  console: flag,
  kubeconfig: { holds: (given) => typeof given === "string", expected: "the path of a kubeconfig" },
  kubeConfig: {
    holds: (given) => isObject(given) && typeof given["applyToHTTPSOptions"] === "function",
    expected: "a KubeConfig of @kubernetes/client-node"
  },
  context: text,
  loginTimeout: timespan,
  interactive: flag,
  patience: timespan,
  clusterScopedNamespace: {
    holds: (given) => given === "default" || given === "kube-system",
    expected: "default or kube-system, the two that the API server accepts"
  }
}

const ofLayers: Rules<keyof Options> = {
  ...ofChoice,
  journal: text,
  component: word,
  host: text,
  reportingController: text,
  reportingInstance: text,
  transforms: {
    holds: (given) => Array.isArray(given) && given.every((one) => isObject(one) && typeof one["apply"] === "function"),
    expected: "a list of transforms"
  },
  maskSecrets: flag,
  onlyTransitions: {
    holds: (given) => typeof given === "boolean" || Array.isArray(given),
    expected: "true, false, or a list of transitions"
  },
  queueCapacity: {
    holds: (given) => Number.isSafeInteger(given) && (given as number) >= 1,
    expected: "a whole number from 1"
  },
  drainTimeout: timespan
}

const ofHosts: Rules<keyof CreateOptions> = {
  ...ofLayers,
  namespace: {
    holds: (given) => typeof given === "string" && /^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/.test(given),
    expected: "a namespace: 1 to 63 lower-case letters, digits and -"
  },
  allowRecord: flag,
  catalogues: { holds: (given) => Array.isArray(given), expected: "a list of classes of EventCatalogue.Service" },
  logger: {
    holds: (given) =>
      given === false ||
      (isObject(given) && ["info", "warn", "error"].every((level) => typeof given[level] === "function")),
    expected: "an object with the methods info, warn and error, such as console, or false"
  }
}

/** What stands where a layer of the host does, and would be without effect beside it. */
const REPLACED = {
  backend: Object.keys(ofChoice),
  recorder: Object.keys(ofLayers).filter((key) => !Object.hasOwn(ofChoice, key) && key !== "drainTimeout")
}

const check = (
  known: Readonly<Record<string, Rule>>,
  options: unknown,
  layers: { readonly backend?: unknown; readonly recorder?: unknown }
): ReadonlyArray<Issue> => {
  if (!isObject(options) || Array.isArray(options)) {
    return [
      { field: "options", found: show(options), expected: `an object with any of ${Object.keys(known).join(", ")}` }
    ]
  }
  const issues: Array<Issue> = []
  for (const [key, given] of Object.entries(options)) {
    const rule = Object.hasOwn(known, key) ? known[key] : undefined
    const layer = (["backend", "recorder"] as const).find(
      (one) => layers[one] !== undefined && REPLACED[one].includes(key)
    )
    if (given === undefined) continue
    if (rule === undefined) {
      const meant = Suggestion.nearest(key, Object.keys(known))
      const hint = meant === undefined ? "" : ` (did you mean ${meant}?)`
      issues.push({ field: key, found: show(given), expected: `an option: ${Object.keys(known).join(", ")}${hint}` })
    } else if (layer !== undefined) {
      issues.push({ field: key, found: show(given), expected: `nothing, because the ${layer} is a layer of the host` })
    } else if (!rule.holds(given)) issues.push({ field: key, found: show(given), expected: rule.expected })
  }
  return issues
}

const guarded =
  (known: Readonly<Record<string, Rule>>) =>
  (
    options: unknown,
    layers: { readonly backend?: unknown; readonly recorder?: unknown } = {}
  ): ReadonlyArray<Issue> => {
    try {
      return check(known, options, layers)
    } catch (thrown) {
      // A getter of the caller threw.
      return [{ field: "options", found: show(thrown), expected: "plain data, whose fields can be read" }]
    }
  }

/**
 * Of `BackendChoice.layer`. Other options are checked by the caller.
 *
 * @internal
 */
export const issuesOfChoice = (options: object): ReadonlyArray<Issue> =>
  guarded(ofChoice)(Object.fromEntries(Object.entries(options).filter(([key]) => Object.hasOwn(ofChoice, key))))

/**
 * Of `Tidings.layer`.
 *
 * @internal
 */
export const issuesOfLayer = guarded(ofLayers)

/**
 * Of `Tidings.create`.
 *
 * @internal
 */
export const issuesOfHost = guarded(ofHosts)
