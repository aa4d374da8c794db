/**
 * The options of the layer and of `create`, which `Tidings` exports, and the rule of each: what a host without the
 * compiler's help may give is read here, and an error says of each field what would be right.
 *
 * @internal
 */
import * as Correlation from "@tidings/core/Correlation"
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
import * as Redacted from "effect/Redacted"
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
   * A directory that keeps accepted events until the cluster or the database has them, across restarts. `TIDINGS_JOURNAL` unless
   * given; in memory when neither is. The event log needs none: what is recorded is in it. Refused beside the backend `memory`.
   */
  readonly journal?: string | undefined
  /**
   * How the same event again becomes a count. `Correlation.defaults` unless given, in a database without aggregates and rate
   * limits, which protect an API server. On a cluster and in a database all of it applies. In the event log and in memory the first
   * step alone does: equal events are one event with a count, as long as this process lives, and each occurrence is still stored
   * before the call resolves. `"off"`: each occurrence is an event of its own.
   */
  readonly correlation?: Correlation.Options | undefined
}

/**
 * How `create` records, and where.
 *
 * @category models
 * @since 0.2.0
 */
export interface CreateOptions<Cs extends ReadonlyArray<Promised.Catalogue> = readonly []> extends Omit<
  Options,
  | "database"
  | "patience"
  | "loginTimeout"
  | "drainTimeout"
  | "compressAfter"
  | "onlyTransitions"
  | "correlation"
  | "retention"
> {
  /**
   * The URL of a PostgreSQL database, as `libpq` writes it: `postgres://user@host/database?sslmode=verify-full`. Of the backend
   * `postgres`, and refused beside another one. `TIDINGS_DATABASE` unless given. A password that it does not have is that of
   * `PGPASSWORD`, else of the password file.
   */
  readonly database?: string | undefined
  /**
   * Whether events that report a state again and again, such as failed health checks, are recorded only when the state
   * changes: `true` for the transitions of the built-in reasons (`Transition.builtIn`), or a list of transitions. What is
   * held back is counted in `status()`, as `filtered`. `false` unless given: every occurrence is recorded.
   */
  readonly onlyTransitions?: boolean | ReadonlyArray<Transition.Transition<Promised.Timespan>> | undefined
  /**
   * How the same event again becomes a count. `Correlation.defaults` unless given, in a database without aggregates and rate
   * limits, which protect an API server. On a cluster and in a database all of it applies. In the event log and in memory the first
   * step alone does: equal events are one event with a count, as long as this process lives, and each occurrence is still stored
   * before the call resolves. `"off"`: each occurrence is an event of its own.
   */
  readonly correlation?: Correlation.Options<Promised.Timespan> | undefined
  /**
   * Limits of the event log, beyond which its oldest events are removed. A new log has limits also where none are given: 90 days,
   * 10 GiB or a quarter of the file system, 100,000,000 events. What is absent stays as it is, `"none"` removes a limit.
   */
  readonly retention?:
    | {
        readonly maxAge?: Promised.Timespan | undefined
        readonly maxBytes?: number | "none" | undefined
        readonly maxEvents?: number | "none" | undefined
      }
    | undefined
  /** How long a cluster has to answer before `auto` takes the event log. 3 seconds unless given. */
  readonly patience?: Promised.Timespan | undefined
  /** How long a credential plugin may take. 15 minutes at a terminal and 1 minute elsewhere unless given. */
  readonly loginTimeout?: Promised.Timespan | undefined
  /**
   * How long after the next segment of the event log was begun a segment is compressed with zstd, to about a tenth of its size;
   * never unless given. Everything is read as before; `zstdcat` and `zstdgrep` read it too.
   */
  readonly compressAfter?: Promised.Timespan | undefined
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

/**
 * A value in an error, without the password of a URL.
 *
 * @internal
 */
export const show = (found: unknown): string =>
  inspect(found, { depth: 1, breakLength: Number.POSITIVE_INFINITY, maxStringLength: 100, maxArrayLength: 10 }).replace(
    /(:\/\/[^\s:@/]*:)\S*@/g,
    "$1…@"
  )

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
 * The durations in transitions are read too; the recorder refuses what is not a duration.
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

/**
 * The durations in it are read too.
 *
 * @internal
 */
export const readCorrelation = (given: CreateOptions["correlation"]): Correlation.Options | undefined =>
  given === undefined || given === Correlation.off
    ? given
    : {
        ...given,
        aggregateWindow: readTimespan(given.aggregateWindow)!,
        refill: readTimespan(given.refill)!
      }

/** All of what `Correlation.defaults` has, because a part of it would mean something else on a cluster. */
const isCorrelation = (given: unknown): boolean => {
  if (given === Correlation.off) return true
  if (!isObject(given)) return false
  const { aggregateAt, aggregateWindow, burst, byFieldPath = true, capacity, refill } = given
  return (
    [aggregateAt, burst].every((number) => Number.isSafeInteger(number) && (number as number) >= 0) &&
    Number.isSafeInteger(capacity) &&
    (capacity as number) >= 1 &&
    [aggregateWindow, refill].every((time) => readTimespan(time) !== undefined) &&
    typeof byFieldPath === "boolean"
  )
}

/** @internal */
export const readRetention = (given: CreateOptions["retention"]): Options["retention"] => {
  if (given === undefined) return undefined
  const { maxAge } = given
  return { ...given, maxAge: maxAge === "none" ? maxAge : readTimespan(maxAge) }
}

interface Rule {
  readonly holds: (given: unknown) => boolean
  readonly expected: string
  /** Whether what was given may have a password in it, and is not shown. */
  readonly isSecret?: boolean
}

/** A rule for each option, so that a new one cannot be forgotten here and then be refused. */
type Rules<Name extends string> = Readonly<Record<Name, Rule>>

const text: Rule = { holds: (given) => typeof given === "string", expected: "a text" }
const word: Rule = { holds: (given) => typeof given === "string" && given !== "", expected: "a text that is not empty" }
const flag: Rule = { holds: (given) => typeof given === "boolean", expected: "true or false" }
const timespan: Rule = { holds: (given) => readTimespan(given) !== undefined, expected: EXPECTED_TIMESPAN }

const isObject = (given: unknown): given is Readonly<Record<string, unknown>> =>
  typeof given === "object" && given !== null

/** The one that can be read; the database says what is wrong with another one. */
const isUrl = (given: unknown): boolean =>
  /^postgres(?:ql)?:\/\//.test(
    typeof given === "string" ? given : Redacted.isRedacted(given) ? String(Redacted.value(given)) : ""
  )

const ofChoice: Rules<keyof backendChoice.Options> = {
  backend: {
    holds: (given) => backendChoice.choices.some((choice) => choice === given),
    expected: backendChoice.choices.join(", ")
  },
  database: { holds: isUrl, expected: "a URL such as postgres://user@host/database", isSecret: true },
  directory: word,
  console: flag,
  retention: {
    holds: (given) =>
      isObject(given) &&
      Object.entries(given).every(([field, value]) =>
        field === "maxAge"
          ? value === undefined || value === "none" || readTimespan(value) !== undefined
          : (field === "maxBytes" || field === "maxEvents") &&
            (value === undefined || value === "none" || (typeof value === "number" && value >= 0))
      ),
    expected:
      'an object with any of maxAge (milliseconds, or a text such as "90 days"), maxBytes and maxEvents (numbers from 0), each also "none"'
  },
  durability: {
    holds: (given) => given === "process" || given === "interval" || given === "disk",
    expected: "process, interval or disk"
  },
  compressAfter: timespan,
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
  correlation: {
    holds: isCorrelation,
    expected: `"${Correlation.off}", or an object such as { ...Correlation.defaults, capacity: 100 }`
  },
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

/** Options that say where events are kept: a host that gives one beside `memory` would lose what it means to keep. */
const KEEPING: ReadonlySet<string> = new Set(["directory", "journal"])

/** Why an option has no place beside the backend that is named; absent where it has one. */
const besideBackend = (key: string, backend: unknown): string | undefined => {
  if (backend === "memory" && KEEPING.has(key)) {
    return "nothing beside the backend memory, which keeps events only as long as the process runs"
  }
  if (key === "database" && backend !== undefined && backend !== "postgres") {
    return `nothing beside the backend ${show(backend)}; a database is the backend postgres`
  }
  return key === "directory" && backend === "postgres"
    ? "nothing beside the backend postgres, which keeps events in a database"
    : undefined
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
    const found = rule?.isSecret === true ? "a value that is not shown" : show(given)
    if (rule === undefined) {
      const meant = Suggestion.nearest(key, Object.keys(known))
      const hint = meant === undefined ? "" : ` (did you mean ${meant}?)`
      issues.push({ field: key, found, expected: `an option: ${Object.keys(known).join(", ")}${hint}` })
    } else if (layer !== undefined) {
      issues.push({ field: key, found, expected: `nothing, because the ${layer} is a layer of the host` })
    } else if (!rule.holds(given)) {
      issues.push({ field: key, found, expected: rule.expected })
    } else {
      const expected = besideBackend(key, options["backend"])
      if (expected !== undefined) issues.push({ field: key, found, expected })
    }
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
