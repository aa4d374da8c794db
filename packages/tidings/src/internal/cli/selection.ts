/**
 * Which events a verb is about: the arguments and flags that `list`, `follow`, `export` and others share, and the filter that
 * they make.
 *
 * @internal
 */
import type { StoredEventType } from "@tidings/core/Event"
import { BackendError } from "@tidings/core/BackendError"
import { type Cursor, type EventFilter, type ObjectSelector, type OneOrMore, valuesOf } from "@tidings/core/EventQuery"
import { groupOf } from "@tidings/core/ObjectReference"
import type * as Timestamp from "@tidings/core/Timestamp"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as Argument from "effect/cli/Argument"
import * as Flag from "effect/cli/Flag"
import type { Catalogue } from "./catalogue.ts"
import * as flags from "./flags.ts"
import * as kindNames from "./kindNames.ts"
import { DefaultNamespace } from "./session.ts"
import * as words from "./words.ts"

// ---------------------------------------------------------------------------
// lists with commas
// ---------------------------------------------------------------------------

/**
 * The values of a list with commas between; `\,` is a comma that belongs to a value.
 *
 * @internal
 */
export const split = (written: string): ReadonlyArray<string> =>
  written.includes(",") ? written.split(/(?<!\\),/).map((one) => one.replaceAll("\\,", ",").trim()) : [written]

/** The values of a flag that may be repeated; `undefined` where it is not given. */
const valuesIn = (written: ReadonlyArray<string>): ReadonlyArray<string> | undefined =>
  written.length === 0 ? undefined : [...new Set(written.flatMap(split))]

const oneOrMore = <A>(values: ReadonlyArray<A>): OneOrMore<A> => (values.length === 1 ? values[0]! : values)

// ---------------------------------------------------------------------------
// flags
// ---------------------------------------------------------------------------

/** As kubectl has it: one type, or several with commas between. A type that another writer made up is spelled as it is. */
const types: Flag.Flag<ReadonlyArray<StoredEventType>> = Flag.map(
  Flag.mapEffect(
    Flag.withAlias(
      flags.texts("type", { value: "Normal|Warning", description: "Only events of this type, or of these: A,B" }),
      "types"
    ),
    (given) =>
      Effect.forEach(given, (written) => {
        const found = split(written).map(
          (one) => flags.TYPES.find((type) => type.toLowerCase() === one.trim().toLowerCase()) ?? one.trim()
        )
        return found.includes("")
          ? Effect.fail(
              flags.invalid(
                "type",
                written,
                `one or more of ${flags.TYPES.join(", ")}, or a type that another writer uses`
              )
            )
          : Effect.succeed(found)
      })
  ),
  (all) => [...new Set(all.flat())]
)

const objects = ({ samples }: Catalogue) =>
  Argument.String("[KIND[/NAME]]").pipe(
    Argument.withDescription(
      `The object, or all objects of a kind: ${samples.object}, ${samples.lower}; several: ${samples.several}`
    ),
    Argument.variadic()
  )

const several = (name: string, value: string, description: string, alias?: string) =>
  flags.texts(name, { alias, value, description })

const flagsOfFilters = {
  for: several("for", "KIND[/NAME]", "The same as the argument, as in kubectl events"),
  kind: several("kind", "KIND", "Only events about objects of this kind, or of these: A,B"),
  name: several("name", "NAME", "Only events about objects of this name, or of these"),
  apiGroup: several("api-group", "GROUP", 'Only events about objects of this API group: apps; "" for the core group'),
  namespace: several(
    "namespace",
    "NAMESPACE",
    "Only events in this namespace, or in these (default: that of the context on a cluster, else all)",
    "n"
  ),
  allNamespaces: flags.placement.allNamespaces,
  objectNamespace: several(
    "object-namespace",
    "NAMESPACE",
    'Only events about objects in this namespace, wherever the event is; "" for cluster-scoped objects'
  ),
  cluster: several(
    "cluster",
    "CLUSTER",
    "Only events of this cluster, by its name or id, or of these; for a database with several"
  ),
  type: types,
  reason: several("reason", "REASON", "Only events with this reason, or with these"),
  source: several("source", "COMPONENT", "Only events reported by this component, or by these"),
  label: several("label", "KEY=VALUE", "Only events with this label; of several all: a=1,b=2", "l"),
  grep: several("grep", "REGEX", "Only events with a message that matches (RE2; small letters match both cases)"),
  exclude: several("exclude", "REGEX", "Only events with a message that does not match")
}

/** The arguments and flags that say which objects and events are meant, without times. @internal */
export const filters = (catalogue: Catalogue) => ({ objects: objects(catalogue), ...flagsOfFilters })

/** @internal */
export const times = {
  since: flags.time("since", {
    value: "TIME",
    description: "Only events last seen at this time or later: 1h30m, yesterday, 2026-08-22, 10:30"
  }),
  until: flags.time("until", { value: "TIME", description: "Only events last seen at this time or earlier" })
}

/** @internal */
export const selection = (catalogue: Catalogue, limit: string) => ({
  ...filters(catalogue),
  ...times,
  limit: flags.count("limit", {
    value: "NUMBER|all",
    description: `Show at most this many events, the newest (default ${limit})`
  }),
  after: flags.text("after", { value: "CURSOR", description: "Only what came after this cursor; excludes --limit" })
})

// ---------------------------------------------------------------------------
// models
// ---------------------------------------------------------------------------

/** What the command line says. @internal */
export interface Selection {
  readonly objects: ReadonlyArray<string>
  readonly for: ReadonlyArray<string>
  readonly kind: ReadonlyArray<string>
  readonly name: ReadonlyArray<string>
  readonly apiGroup: ReadonlyArray<string>
  readonly namespace: ReadonlyArray<string>
  readonly allNamespaces: boolean
  readonly objectNamespace: ReadonlyArray<string>
  readonly cluster: ReadonlyArray<string>
  readonly type: ReadonlyArray<StoredEventType>
  readonly reason: ReadonlyArray<string>
  readonly source: ReadonlyArray<string>
  readonly label: ReadonlyArray<string>
  readonly grep: ReadonlyArray<string>
  readonly exclude: ReadonlyArray<string>
  readonly since: Timestamp.Micros | undefined
  readonly until: Timestamp.Micros | undefined
  readonly limit?: number | "all" | undefined
  readonly after?: string | undefined
}

/** A kind, or an object by kind and name. @internal */
export interface Meant {
  readonly kind: kindNames.KindName
  readonly name?: string | undefined
}

/** Expressions as they were written. @internal */
export interface Patterns {
  readonly grep: ReadonlyArray<string>
  readonly exclude: ReadonlyArray<string>
}

interface Parts {
  /** Either kinds or objects; empty where none is named. */
  readonly meant: ReadonlyArray<Meant>
  /** The filter without `meant` and without times. */
  readonly rest: EventFilter
  readonly times: Pick<EventFilter, "since" | "until"> | undefined
  readonly limit: number | undefined
  readonly after: Cursor | undefined
  /** Whether it is settled in which namespace; otherwise in the one that is meant where none is named. */
  readonly isPlaced: boolean
  /** What the command itself looks for in messages; absent where it looks for nothing. */
  readonly patterns: Patterns | undefined
}

/** @internal */
export interface Selected extends Parts {
  readonly filter: EventFilter
  /** The filter without its times: what a cursor is bound to, so that `--since 1h` means the same tomorrow. */
  readonly timeless: EventFilter
  /**
   * The namespace that is meant where none is named, of what is in none itself: its events may be in any, and are looked for
   * here where that is not allowed.
   */
  readonly nearer?: Selected | undefined
}

// ---------------------------------------------------------------------------
// objects
// ---------------------------------------------------------------------------

/**
 * `KIND` or `KIND/NAME`. The kind as people have it; what follows the first slash is the name, which may have more of them.
 *
 * @internal
 */
export const readObject = (
  given: string,
  catalogue: Catalogue
): Result.Result<{ readonly kind: kindNames.KindName; readonly name: string | undefined }, string> => {
  const slash = given.indexOf("/")
  const kind = kindNames.read(slash === -1 ? given : given.slice(0, slash), catalogue)
  const name = slash === -1 ? undefined : given.slice(slash + 1)
  if (kind === undefined || (name !== undefined && (name === "" || name.startsWith("/") || name.endsWith("/")))) {
    return Result.fail(`${JSON.stringify(given)} is neither an object such as ${catalogue.samples.object} nor a kind`)
  }
  return Result.succeed({ kind, name })
}

/** What arguments, or repeats of `--for`, name together. */
const readObjects = (
  written: ReadonlyArray<string>,
  catalogue: Catalogue
): Result.Result<ReadonlyArray<Meant>, string> => {
  const stray = written.slice(1).find((one) => !one.includes("/"))
  if (stray !== undefined) {
    const [first = ""] = written
    return Result.fail(
      `unexpected ${JSON.stringify(stray)}: ` +
        (first.includes("/")
          ? "quote a text that has spaces, and put flags before --"
          : `an object is ${first}/${stray}, two kinds are ${first},${stray}`)
    )
  }
  const gap = written.find((one) => one !== "" && split(one).includes(""))
  if (gap !== undefined) return Result.fail(`${JSON.stringify(gap)}: a value between commas is empty`)
  const meant: Array<Meant> = []
  const all = written.flatMap(split)
  for (const one of all) {
    const read = readObject(one, catalogue)
    if (Result.isFailure(read)) return Result.fail(read.failure)
    meant.push(read.success)
  }
  const kind = meant.findIndex(({ name }) => name === undefined)
  if (kind !== -1 && meant.some(({ name }) => name !== undefined)) {
    return Result.fail(
      `${JSON.stringify(all[kind])} names a kind beside an object: name either kinds or objects; a comma that belongs to a ` +
        "name is written \\,"
    )
  }
  return Result.succeed(meant)
}

const agree = (
  flag: string,
  fromObject: ReadonlyArray<string> | undefined,
  fromFlag: ReadonlyArray<string> | undefined
): Result.Result<ReadonlyArray<string> | undefined, string> => {
  if (fromObject === undefined || fromFlag === undefined) return Result.succeed(fromObject ?? fromFlag)
  const object = new Set(fromObject)
  return object.size === new Set(fromFlag).size && fromFlag.every((one) => object.has(one))
    ? Result.succeed(fromObject)
    : Result.fail(`--${flag} ${fromFlag.join(",")} contradicts ${fromObject.join(",")} before it: leave one out`)
}

/** `undefined` where nothing is named. */
const distinct = <A>(values: ReadonlyArray<A | undefined>): ReadonlyArray<A> | undefined => {
  const found = values.filter((value) => value !== undefined)
  return found.length === 0 ? undefined : [...new Set(found)]
}

interface FromFlags {
  readonly names: ReadonlyArray<string> | undefined
  readonly groups: ReadonlyArray<string> | undefined
}

/** Kinds and objects of the arguments and of the flags, which have to agree; names and groups that flags alone name. */
const readMeant = (
  given: Selection,
  catalogue: Catalogue
): Result.Result<{ readonly meant: ReadonlyArray<Meant>; readonly fromFlags: FromFlags }, string> => {
  const object = given.objects.length === 0 ? undefined : given.objects
  const written = agree("for", object, given.for.length === 0 ? undefined : given.for)
  if (Result.isFailure(written)) return Result.fail(written.failure)
  const read = readObjects(written.success ?? [], catalogue)
  if (Result.isFailure(read)) return Result.fail(read.failure)
  const fromObject = read.success
  const kinds: Array<Meant> = []
  for (const one of valuesIn(given.kind) ?? []) {
    const kind = kindNames.read(one, catalogue)
    if (kind === undefined)
      return Result.fail(`--kind ${JSON.stringify(one)} is not a kind such as ${catalogue.samples.kind}`)
    kinds.push({ kind })
  }
  const named = (all: ReadonlyArray<Meant>) => distinct(all.map(({ kind }) => kind.kind))
  const agreed = agree("kind", named(fromObject), named(kinds))
  if (Result.isFailure(agreed)) return Result.fail(agreed.failure)
  const meant = fromObject.length === 0 ? kinds : fromObject
  const names = agree("name", distinct(fromObject.map(({ name }) => name)), valuesIn(given.name))
  if (Result.isFailure(names)) return Result.fail(names.failure)
  const groupsOf = (all: ReadonlyArray<Meant>) => distinct(all.map(({ kind }) => kind.group))
  const groups = agree("api-group", groupsOf(fromObject) ?? groupsOf(kinds), valuesIn(given.apiGroup))
  if (Result.isFailure(groups)) return Result.fail(groups.failure)
  const mixed = fromObject.some(({ name }) => name !== undefined)
    ? undefined
    : meant.find(({ kind }) => kind.group !== meant[0]!.kind.group)
  if (mixed !== undefined) {
    return Result.fail(
      `${meant[0]!.kind.written} and ${mixed.kind.written} differ in their API group: ask for one of them at a time`
    )
  }
  return Result.succeed({
    meant: distinctly(meant),
    fromFlags: {
      names:
        names.success === undefined || fromObject.some(({ name }) => name !== undefined) ? undefined : names.success,
      groups: meant.some(({ kind }) => kind.group !== undefined) ? undefined : groups.success
    }
  })
}

const distinctly = (meant: ReadonlyArray<Meant>): ReadonlyArray<Meant> => [
  ...new Map(meant.map((one) => [JSON.stringify([one.kind.kind, one.kind.group, one.name]), one])).values()
]

// ---------------------------------------------------------------------------
// the filter
// ---------------------------------------------------------------------------

const selectorOf = ({ kind, name }: Meant): ObjectSelector => ({
  kind: kind.kind,
  name: name!,
  ...(kind.group === undefined ? undefined : { apiGroup: kind.group })
})

const filterOf = (meant: ReadonlyArray<Meant>): EventFilter => {
  if (meant.length === 0) return {}
  const [{ kind, name }, ...others] = meant as readonly [Meant, ...ReadonlyArray<Meant>]
  if (name !== undefined && others.length > 0) return { object: meant.map(selectorOf) }
  return {
    resourceType: oneOrMore([...new Set(meant.map(({ kind }) => kind.kind))]),
    ...(name === undefined ? undefined : { resourceName: name }),
    ...(kind.group === undefined ? undefined : { apiGroup: kind.group })
  }
}

/** The whole of a selection, of its parts. @internal */
export const make = (parts: Parts): Selected => {
  const { after, isPlaced, limit, meant, patterns, rest, times } = parts
  const timeless = { ...filterOf(meant), ...rest }
  const filter = times === undefined ? timeless : { ...timeless, ...times }
  return { meant, rest, times, limit, after, isPlaced, patterns, timeless, filter }
}

/** `k=v[,k=v]`, all of which have to be there. @internal */
export const readLabels = (written: ReadonlyArray<string>): Result.Result<Readonly<Record<string, string>>, string> => {
  const labels = new Map<string, string>()
  for (const pair of written) {
    const equals = pair.indexOf("=")
    const key = pair.slice(0, equals).trim()
    // What kubectl takes as well.
    const value = pair
      .slice(equals + 1)
      .replace(/^=/, "")
      .trim()
    if (equals < 1 || key === "" || key.endsWith("!")) {
      return Result.fail(`--label is ${JSON.stringify(pair)}, expected key=value`)
    }
    const known = labels.get(key)
    if (known !== undefined && known !== value) {
      return Result.fail(
        `--label ${key} is both ${JSON.stringify(known)} and ${JSON.stringify(value)}: no event has both`
      )
    }
    labels.set(key, value)
  }
  return Result.succeed(Object.fromEntries(labels))
}

const filledIn = [
  "for",
  "kind",
  "name",
  "namespace",
  "cluster",
  "reason",
  "source",
  "label",
  "grep",
  "exclude"
] as const

const isEmpty = (flag: (typeof filledIn)[number], written: string): boolean =>
  flag === "grep" || flag === "exclude" ? written === "" : split(written).includes("")

/** @internal */
export const select = (
  given: Selection,
  catalogue: Catalogue,
  defaultLimit: number
): Result.Result<Selected, string> => {
  for (const name of filledIn) {
    const empty = given[name].find((written) => isEmpty(name, written))
    if (empty === "") return Result.fail(`--${name} is empty: leave it out to see all`)
    if (empty !== undefined)
      return Result.fail(`--${name} is ${JSON.stringify(empty)}: a value between commas is empty`)
  }
  if (given.after === "") return Result.fail("--after is empty: leave it out to see all")
  const read = readMeant(given, catalogue)
  if (Result.isFailure(read)) return Result.fail(read.failure)
  const labels = readLabels(valuesIn(given.label) ?? [])
  if (Result.isFailure(labels)) return Result.fail(labels.failure)
  const { after, limit, since, until } = given
  if (after !== undefined && limit !== undefined) {
    return Result.fail("--after shows everything since the cursor: leave out --limit")
  }
  if (since !== undefined && until !== undefined && since > until) {
    return Result.fail("--since is later than --until, so nothing can match")
  }
  const { meant } = read.success
  const { groups, names } = read.success.fromFlags
  const reasons = valuesIn(given.reason)?.map((written) => catalogue.reason(written)?.reason ?? written)
  const namespaces = given.allNamespaces ? undefined : valuesIn(given.namespace)
  const objectNamespaces = valuesIn(given.objectNamespace)
  const clusters = valuesIn(given.cluster)
  const sources = valuesIn(given.source)
  const rest: EventFilter = {
    ...(names === undefined ? undefined : { resourceName: oneOrMore(names) }),
    ...(namespaces === undefined ? undefined : { namespace: oneOrMore(namespaces) }),
    ...(objectNamespaces === undefined ? undefined : { objectNamespace: oneOrMore(objectNamespaces) }),
    ...(groups === undefined ? undefined : { apiGroup: oneOrMore(groups) }),
    ...(clusters === undefined ? undefined : { cluster: oneOrMore(clusters) }),
    ...(given.type.length === 0 ? undefined : { eventType: oneOrMore(given.type) }),
    ...(reasons === undefined ? undefined : { reason: oneOrMore([...new Set(reasons)]) }),
    ...(sources === undefined ? undefined : { source: oneOrMore(sources) }),
    ...(given.label.length === 0 ? undefined : { labels: labels.success })
  }
  return Result.succeed(
    make({
      meant,
      rest,
      times:
        since === undefined && until === undefined
          ? undefined
          : {
              ...(since === undefined ? undefined : { since }),
              ...(until === undefined ? undefined : { until })
            },
      limit: limit === "all" ? undefined : (limit ?? defaultLimit),
      // Opaque on both sides of this line: whether it is one, the backend that made it tells.
      after: after as Cursor | undefined,
      isPlaced: given.allNamespaces || namespaces !== undefined,
      patterns:
        given.grep.length === 0 && given.exclude.length === 0 ? undefined : { grep: given.grep, exclude: given.exclude }
    })
  )
}

// ---------------------------------------------------------------------------
// the place
// ---------------------------------------------------------------------------

/** Whether none of the kinds has objects in namespaces. @internal */
export const isClusterScoped = ({ meant }: Selected): boolean =>
  meant.length > 0 && meant.every(({ kind }) => kind.namespaced === false)

const resolved = ({ kind, name }: Meant): Effect.Effect<Meant> =>
  kind.knownBy === "nobody"
    ? Effect.map(kindNames.resolve(kind), (known) => ({
        name,
        kind:
          // Its group may have been shortened, as kubectl lets people do.
          known !== kind && kind.group !== undefined && known.apiVersion !== undefined
            ? { ...known, group: groupOf({ apiVersion: known.apiVersion }) }
            : known
      }))
    : Effect.succeed({ kind, name })

/**
 * What the store knows better than the command line: a kind that no catalogue knows, and, where no namespace was named, the
 * one that is meant then. Asked with the backend at hand.
 *
 * @internal
 */
export const place = Effect.fnUntraced(function* (selected: Selected): Effect.fn.Return<Selected> {
  const isKnown = selected.meant.every(({ kind }) => kind.knownBy !== "nobody")
  const placed = isKnown ? selected : make({ ...selected, meant: yield* Effect.forEach(selected.meant, resolved) })
  const namespace = yield* DefaultNamespace
  if (selected.isPlaced || namespace === undefined) return placed
  const nearer = make({ ...placed, rest: { ...placed.rest, namespace }, isPlaced: true })
  if (isClusterScoped(placed)) return { ...placed, nearer }
  const scoped = placed.meant.find(({ kind }) => kind.namespaced === false)
  if (scoped !== undefined) {
    yield* words.say(
      `note: showing namespace ${namespace}; events about a ${scoped.kind.kind} are usually in another one: add -A`
    )
  }
  return nearer
})

/**
 * Runs in the place that is meant, and in the nearer one where that is refused: who may read one namespace finds there what
 * kubectl finds.
 *
 * @internal
 */
export const inPlace =
  <A, E, R>(run: (selected: Selected) => Effect.Effect<A, E | BackendError, R>) =>
  (selected: Selected): Effect.Effect<A, E | BackendError, R> => {
    const { nearer } = selected
    return nearer === undefined
      ? run(selected)
      : Effect.catchIf(run(selected), isRefused, ({ reason }) =>
          Effect.andThen(
            // A cursor may have been made in the nearer place.
            reason._tag === "CursorMismatch"
              ? Effect.void
              : words.say(
                  `note: not allowed to list events in all namespaces; showing those in namespace ${valuesOf(nearer.filter.namespace ?? []).join(", ")}`
                ),
            run(nearer)
          )
        )
  }

const isRefused = (error: unknown): error is BackendError =>
  error instanceof BackendError && (error.reason._tag === "Unauthorized" || error.reason._tag === "CursorMismatch")
