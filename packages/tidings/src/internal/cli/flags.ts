/**
 * The flags that several verbs share.
 *
 * @internal
 */
import type { EventType, StoredEventType } from "@tidings/core/Event"
import { BackendError } from "@tidings/core/BackendError"
import { type Cursor, type EventFilter, type OneOrMore, valuesOf } from "@tidings/core/EventQuery"
import { groupOf } from "@tidings/core/ObjectReference"
import * as TimeExpression from "@tidings/core/TimeExpression"
import * as Timestamp from "@tidings/core/Timestamp"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import * as Argument from "effect/cli/Argument"
import * as CliError from "effect/cli/CliError"
import * as Flag from "effect/cli/Flag"
import type { Catalogue } from "./catalogue.ts"
import * as colour from "./colour.ts"
import * as format from "./format.ts"
import * as kindNames from "./kindNames.ts"
import { DefaultNamespace } from "./session.ts"
import * as words from "./words.ts"

// ---------------------------------------------------------------------------
// kinds of flags
// ---------------------------------------------------------------------------

interface Description {
  readonly alias?: string | undefined
  /** What stands for the value in help. */
  readonly value: string
  readonly description: string
}

// A flag given twice is no error, the last one counts: aliases and scripts append to what is there.
const last = <A>(flag: Flag.Flag<A>): Flag.Flag<A | undefined> =>
  flag.pipe(
    Flag.atLeast(0),
    Flag.map((values) => values.at(-1))
  )

const described = ({ alias, description, value }: Description, name: string): Flag.Flag<string> => {
  const flag = Flag.String(name).pipe(Flag.withMetavar(value), Flag.withDescription(description))
  return alias === undefined ? flag : Flag.withAlias(flag, alias)
}

const invalid = (option: string, value: string, expected: string): CliError.InvalidValue =>
  new CliError.InvalidValue({ option, value, expected, kind: "flag" })

/** @internal */
export const text = (name: string, description: Description): Flag.Flag<string | undefined> =>
  last(described(description, name))

/** @internal */
export const texts = (name: string, description: Description): Flag.Flag<ReadonlyArray<string>> =>
  Flag.atLeast(described(description, name), 0)

/** @internal */
export const choice = <const Choices extends ReadonlyArray<string>>(
  name: string,
  choices: Choices,
  description: Description
): Flag.Flag<Choices[number] | undefined> =>
  last(
    Flag.mapEffect(described(description, name), (value) => {
      const found = choices.find((one) => one.toLowerCase() === value.trim().toLowerCase())
      return found === undefined
        ? Effect.fail(invalid(name, value, `one of ${choices.join(", ")}`))
        : Effect.succeed<Choices[number]>(found)
    })
  )

const time = (name: string, description: Description): Flag.Flag<Timestamp.Micros | undefined> =>
  last(
    Flag.mapEffect(described(description, name), (value) =>
      Effect.flatMap(
        Clock.clockWith((clock) => Effect.sync(() => TimeExpression.parse(value, Timestamp.now(clock)))),
        (parsed) =>
          Result.isSuccess(parsed) ? Effect.succeed(parsed.success) : Effect.fail(invalid(name, value, parsed.failure))
      )
    )
  )

const count = (name: string, description: Description): Flag.Flag<number | "all" | undefined> =>
  last(
    Flag.mapEffect(described(description, name), (value) => {
      if (value.toLowerCase() === "all") return Effect.succeed<number | "all">("all")
      const number = /^\d{1,15}$/.test(value) ? Number(value) : undefined
      return number === undefined
        ? Effect.fail(invalid(name, value, "a whole number, or all"))
        : Effect.succeed<number | "all">(number)
    })
  )

// ---------------------------------------------------------------------------
// output
// ---------------------------------------------------------------------------

/** @internal */
export const output = <const Formats extends ReadonlyArray<string>>(
  formats: Formats
): Flag.Flag<Formats[number] | undefined> =>
  choice("output", formats, {
    alias: "o",
    value: formats.join("|"),
    description: `Output format (default ${formats[0]})`
  })

/** @internal */
export const color: Flag.Flag<colour.Mode | undefined> = choice("color", colour.MODES, {
  value: colour.MODES.join("|"),
  description: "Colour the output (default auto: on a terminal, unless NO_COLOR is set)"
})

/** @internal */
export const eventFormat = output(format.FORMATS)

/** @internal */
export const showCursor = Flag.Boolean("show-cursor").pipe(
  Flag.withDescription("Print the cursor of the end of the answer on stderr, for --after"),
  Flag.withoutNegation,
  Flag.atLeast(0),
  Flag.map((values) => values.at(-1) ?? false)
)

// ---------------------------------------------------------------------------
// which events
// ---------------------------------------------------------------------------

const TYPES = ["Normal", "Warning"] as const

/** @internal */
export const eventType = (description: string): Flag.Flag<EventType | undefined> =>
  choice("type", TYPES, { value: "Normal|Warning", description })

/** As kubectl has it: one type, or several with commas between. A type that another writer made up is spelled as it is. */
const types: Flag.Flag<OneOrMore<StoredEventType> | undefined> = last(
  Flag.mapEffect(
    Flag.withAlias(
      described({ value: "Normal|Warning", description: "Only events of this type, or of these: A,B" }, "type"),
      "types"
    ),
    (value) => {
      const found = value
        .split(",")
        .map((one) => TYPES.find((type) => type.toLowerCase() === one.trim().toLowerCase()) ?? one.trim())
      if (found.includes("")) {
        return Effect.fail(
          invalid("type", value, `one or more of ${TYPES.join(", ")}, or a type that another writer uses`)
        )
      }
      return Effect.succeed(found.length === 1 ? found[0]! : found)
    }
  )
)

/** @internal */
export const placement = {
  namespace: text("namespace", {
    alias: "n",
    value: "NAMESPACE",
    description: "Only events in this namespace (default: that of the context on a cluster, else all)"
  }),
  allNamespaces: Flag.Boolean("all-namespaces").pipe(
    Flag.withAlias("A"),
    Flag.withDescription("Events in all namespaces, overrides --namespace"),
    Flag.withoutNegation,
    Flag.atLeast(0),
    Flag.map((values) => values.at(-1) ?? false)
  )
}

/** @internal */
export const object = Argument.String("[KIND[/NAME]]").pipe(
  Argument.withDescription("The object, or all objects of a kind: Workflow/deploy, workflow"),
  Argument.optional,
  Argument.map(Option.getOrUndefined)
)

/** @internal */
export const selection = (limit: string) => ({
  object,
  for: text("for", { value: "KIND[/NAME]", description: "The same as the argument, as in kubectl events" }),
  kind: text("kind", { value: "KIND", description: "Only events about objects of this kind" }),
  name: text("name", { value: "NAME", description: "Only events about objects of this name" }),
  apiGroup: text("api-group", {
    value: "GROUP",
    description: 'Only events about objects of this API group: apps; "" for the core group'
  }),
  ...placement,
  objectNamespace: text("object-namespace", {
    value: "NAMESPACE",
    description: 'Only events about objects in this namespace, wherever the event is; "" for cluster-scoped objects'
  }),
  type: types,
  reason: text("reason", { value: "REASON", description: "Only events with this reason" }),
  source: text("source", { value: "COMPONENT", description: "Only events reported by this component" }),
  since: time("since", {
    value: "TIME",
    description: "Only events last seen at this time or later: 1h30m, yesterday, 2026-08-22, 10:30"
  }),
  until: time("until", { value: "TIME", description: "Only events last seen at this time or earlier" }),
  limit: count("limit", {
    value: "NUMBER|all",
    description: `Show at most this many events, the newest (default ${limit})`
  }),
  after: text("after", { value: "CURSOR", description: "Only what came after this cursor; excludes --limit" })
})

/** @internal */
export interface Selection {
  readonly object: string | undefined
  readonly for: string | undefined
  readonly kind: string | undefined
  readonly name: string | undefined
  readonly apiGroup: string | undefined
  readonly namespace: string | undefined
  readonly allNamespaces: boolean
  readonly objectNamespace: string | undefined
  readonly type: OneOrMore<StoredEventType> | undefined
  readonly reason: string | undefined
  readonly source: string | undefined
  readonly since: Timestamp.Micros | undefined
  readonly until: Timestamp.Micros | undefined
  readonly limit: number | "all" | undefined
  readonly after: string | undefined
}

/** @internal */
export interface Selected {
  readonly filter: EventFilter
  /** The filter without its times: what a cursor is bound to, so that `--since 1h` means the same tomorrow. */
  readonly timeless: EventFilter
  readonly limit: number | undefined
  readonly after: Cursor | undefined
  /** Whether it is settled in which namespace; otherwise in the one that is meant where none is named. */
  readonly isPlaced: boolean
  /**
   * The namespace that is meant where none is named, of what is in none itself: its events may be in any, and are looked for
   * here where that is not allowed.
   */
  readonly nearer?: Selected | undefined
  /** The kind that is in the filter. */
  readonly kind: kindNames.KindName | undefined
}

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
    return Result.fail(`${JSON.stringify(given)} is neither an object such as Workflow/deploy nor a kind`)
  }
  return Result.succeed({ kind, name })
}

const agree = (
  flag: string,
  fromObject: string | undefined,
  fromFlag: string | undefined
): Result.Result<string | undefined, string> =>
  fromObject !== undefined && fromFlag !== undefined && fromObject !== fromFlag
    ? Result.fail(`--${flag} ${fromFlag} contradicts ${fromObject} before it: leave one out`)
    : Result.succeed(fromObject ?? fromFlag)

/** @internal */
export const select = (
  given: Selection,
  catalogue: Catalogue,
  defaultLimit: number
): Result.Result<Selected, string> => {
  for (const name of ["for", "kind", "name", "namespace", "reason", "source", "after"] as const) {
    if (given[name] === "") return Result.fail(`--${name} is empty: leave it out to see all`)
  }
  const written = agree("for", given.object, given.for)
  if (Result.isFailure(written)) return Result.fail(written.failure)
  const object = written.success === undefined ? undefined : readObject(written.success, catalogue)
  if (object !== undefined && Result.isFailure(object)) return Result.fail(object.failure)
  const flagKind = given.kind === undefined ? undefined : kindNames.read(given.kind, catalogue)
  if (given.kind !== undefined && flagKind === undefined) {
    return Result.fail(`--kind ${JSON.stringify(given.kind)} is not a kind such as Workflow`)
  }
  const fromObject = object?.success.kind
  const kind = agree("kind", fromObject?.kind, flagKind?.kind)
  if (Result.isFailure(kind)) return Result.fail(kind.failure)
  const group = agree("api-group", fromObject?.group ?? flagKind?.group, given.apiGroup)
  if (Result.isFailure(group)) return Result.fail(group.failure)
  const name = agree("name", object?.success.name, given.name)
  if (Result.isFailure(name)) return Result.fail(name.failure)
  const { after, limit, since, until } = given
  if (after !== undefined && limit !== undefined) {
    return Result.fail("--after shows everything since the cursor: leave out --limit")
  }
  if (since !== undefined && until !== undefined && since > until) {
    return Result.fail("--since is later than --until, so nothing can match")
  }
  const reason = given.reason === undefined ? undefined : (catalogue.reason(given.reason)?.reason ?? given.reason)
  const namespace = given.allNamespaces ? undefined : given.namespace
  const timeless: EventFilter = {
    ...(kind.success === undefined ? undefined : { resourceType: kind.success }),
    ...(name.success === undefined ? undefined : { resourceName: name.success }),
    ...(namespace === undefined ? undefined : { namespace }),
    ...(given.objectNamespace === undefined ? undefined : { objectNamespace: given.objectNamespace }),
    ...(group.success === undefined ? undefined : { apiGroup: group.success }),
    ...(given.type === undefined ? undefined : { eventType: given.type }),
    ...(reason === undefined ? undefined : { reason }),
    ...(given.source === undefined ? undefined : { source: given.source })
  }
  return Result.succeed({
    timeless,
    filter:
      since === undefined && until === undefined
        ? timeless
        : {
            ...timeless,
            ...(since === undefined ? undefined : { since }),
            ...(until === undefined ? undefined : { until })
          },
    limit: limit === "all" ? undefined : (limit ?? defaultLimit),
    // Opaque on both sides of this line: whether it is one, the backend that made it tells.
    after: after as Cursor | undefined,
    isPlaced: given.allNamespaces || namespace !== undefined,
    kind: fromObject ?? flagKind
  })
}

/**
 * What the store knows better than the command line: a kind that nobody else knows, and, where no namespace was named, the
 * one that is meant then. Asked with the backend at hand.
 *
 * @internal
 */
export const place = Effect.fnUntraced(function* (selected: Selected): Effect.fn.Return<Selected> {
  const { kind } = selected
  let placed = selected
  if (kind?.knownBy === "nobody") {
    const resolved = yield* kindNames.resolve(kind)
    placed = { ...within(placed, { resourceType: resolved.kind }), kind: resolved }
    // Its group may have been shortened, as kubectl lets people do.
    if (resolved !== kind && kind.group !== undefined && resolved.apiVersion !== undefined) {
      placed = within(placed, { apiGroup: groupOf({ apiVersion: resolved.apiVersion }) })
    }
  }
  const namespace = yield* DefaultNamespace
  if (selected.isPlaced || namespace === undefined) return placed
  const nearer = { ...within(placed, { namespace }), isPlaced: true }
  return placed.kind?.namespaced === false ? { ...placed, nearer } : nearer
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

const within = (selected: Selected, more: EventFilter): Selected => {
  const timeless = { ...selected.timeless, ...more }
  return {
    ...selected,
    timeless,
    filter: selected.filter === selected.timeless ? timeless : { ...selected.filter, ...more }
  }
}
