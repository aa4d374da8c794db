/**
 * What a shell may offer for the word under the cursor: verbs, flags and their values, and what the store holds. Loaded by shells
 * that ask, and by nothing else.
 *
 * It never fails and never says anything on stderr: a person who presses a key has asked for no error.
 */
import { layerReader } from "@tidings/core/Backend"
import { type Event, namespaceOf } from "@tidings/core/Event"
import * as EventId from "@tidings/core/EventId"
import type { EventFilter } from "@tidings/core/EventQuery"
import { EventReader } from "@tidings/core/EventReader"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import type * as Completions from "effect/cli/Completions"
import type { Backend } from "@tidings/core/Backend"
import type * as Command from "effect/cli/Command"
import type { Catalogue } from "./catalogue.ts"
import { described } from "./described.ts"
import * as escape from "./escape.ts"
import * as kindNames from "./kindNames.ts"
import * as session from "./session.ts"
import * as words from "./words.ts"

/** Longer than a person waits. */
const PATIENCE = Duration.seconds(3)

/** The newest events, whose values are offered. */
const SAMPLE = 2_000

/** More than a screen has. */
const MOST = 200

/** What a command is, as far as completion has to know. @internal */
export interface Subject {
  readonly command: Command.Command.Any
  readonly catalogue: Catalogue
  /** What the flags of the backend take: a place on disk, or what is found out. */
  readonly values: {
    readonly [flag: string]: {
      readonly path?: "file" | "directory" | undefined
      readonly complete?:
        | ((given: {
            readonly [flag: string]: string | undefined
          }) => Effect.Effect<ReadonlyArray<string>, unknown, Command.Environment>)
        | undefined
    }
  }
  readonly store: (given: {
    readonly [flag: string]: string | undefined
  }) => Layer.Layer<Backend, unknown, Command.Environment>
}

type Shell = "bash" | "zsh" | "fish"

interface Candidate {
  readonly value: string
  readonly description?: string | undefined
}

type Answer =
  | { readonly how: "files" | "directories" }
  | {
      readonly how: "values"
      readonly candidates: ReadonlyArray<Candidate>
      /** What of the word stands before that which is completed. */
      readonly before: string
    }

// ---------------------------------------------------------------------------
// the line
// ---------------------------------------------------------------------------

/** The words of a line of bash up to the cursor; the last one is that under the cursor, and may be empty. */
const splitLine = (line: string): ReadonlyArray<string> => {
  const found: Array<string> = []
  let word = ""
  let isWord = true
  let quote = ""
  for (let at = 0; at < line.length; at++) {
    const character = line[at]!
    if (quote !== "") {
      if (character === quote) quote = ""
      else if (character === "\\" && quote === '"' && /["\\$`]/.test(line[at + 1] ?? "")) word += line[++at]!
      else word += character
    } else if (character === "\\") word += line[++at] ?? ""
    else if (character === "'" || character === '"') quote = character
    else if (/\s/.test(character)) {
      if (isWord) found.push(word)
      word = ""
      isWord = false
      continue
    } else word += character
    isWord = true
  }
  return [...found, word]
}

interface Parsed {
  readonly verb: Completions.CommandDescriptor
  readonly flags: ReadonlyArray<Completions.FlagDescriptor>
  readonly arguments: ReadonlyArray<string>
  /** Values of flags, each as it was written. */
  readonly given: ReadonlyMap<string, ReadonlyArray<string>>
  /** The flag whose value is under the cursor. */
  readonly pending: Completions.FlagDescriptor | undefined
  readonly onlyArguments: boolean
}

const flagCalled = (written: string, flags: ReadonlyArray<Completions.FlagDescriptor>) =>
  flags.find(({ aliases, name }) =>
    written.startsWith("--")
      ? `--${name}` === written || aliases.some((alias) => alias === written || `--${alias}` === written)
      : aliases.some((alias) => alias === written || `-${alias}` === written)
  )

const parse = (root: Completions.CommandDescriptor, before: ReadonlyArray<string>): Parsed => {
  let verb = root
  let flags = root.flags
  let pending: Completions.FlagDescriptor | undefined
  let onlyArguments = false
  const found: Array<string> = []
  const given = new Map<string, Array<string>>()
  const give = (flag: Completions.FlagDescriptor, value: string) => {
    given.set(flag.name, [...(given.get(flag.name) ?? []), value])
  }
  for (const word of before) {
    if (pending !== undefined) {
      give(pending, word)
      pending = undefined
    } else if (onlyArguments || !word.startsWith("-") || word === "-") {
      const inner = onlyArguments ? undefined : verb.subcommands.find(({ name }) => name === word)
      if (inner !== undefined && found.length === 0) {
        verb = inner
        // Those that all verbs share are among those of each.
        flags = [...inner.flags, ...flags.filter(({ name }) => inner.flags.every((one) => one.name !== name))]
      } else found.push(word)
    } else if (word === "--") onlyArguments = true
    else {
      const equals = word.indexOf("=")
      const attached = /^-([A-Za-z])(.+)$/.exec(word)
      const name = equals > 0 ? word.slice(0, equals) : word
      const flag = flagCalled(name, flags) ?? (attached === null ? undefined : flagCalled(`-${attached[1]!}`, flags))
      if (flag === undefined) continue
      if (flag.type._tag === "Boolean") give(flag, "true")
      else if (equals > 0) give(flag, word.slice(equals + 1))
      else if (flagCalled(word, flags) === undefined) give(flag, attached![2]!)
      else pending = flag
    }
  }
  return { verb, flags, arguments: found, given, pending, onlyArguments }
}

// ---------------------------------------------------------------------------
// the store
// ---------------------------------------------------------------------------

type Sample = (filter: EventFilter) => Effect.Effect<ReadonlyArray<Event>>

const counted = (values: ReadonlyArray<string>): ReadonlyArray<Candidate> => {
  const counts = new Map<string, number>()
  for (const value of values) if (value !== "") counts.set(value, (counts.get(value) ?? 0) + 1)
  return [...counts]
    .sort(([a, x], [b, y]) => y - x || (a < b ? -1 : 1))
    .map(([value, count]) => ({ value, description: words.counted(count, "event") }))
}

const valuesOf = (sample: Sample, filter: EventFilter, of: (event: Event) => string | ReadonlyArray<string>) =>
  Effect.map(sample(filter), (events) => counted(events.flatMap(of)))

const reasonsOf = (catalogue: Catalogue, kind: string | undefined): ReadonlyArray<Candidate> =>
  catalogue.kinds
    .filter((known) => kind === undefined || known.kind === kind)
    .flatMap(({ reasons }) => reasons.map(({ meaning, reason }) => ({ value: reason, description: meaning })))

const kindsOf = (catalogue: Catalogue): ReadonlyArray<Candidate> =>
  catalogue.kinds.map(({ apiVersion, kind }) => ({ value: kind, description: apiVersion }))

/** Of candidates of the same value the first one counts. */
const merged = (...all: ReadonlyArray<ReadonlyArray<Candidate>>): ReadonlyArray<Candidate> =>
  [
    ...new Map(
      all
        .flat()
        .toReversed()
        .map((one) => [one.value, one])
    ).values()
  ].toReversed()

interface Asked {
  readonly subject: Subject
  readonly parsed: Parsed
  readonly sample: Sample
  /** What of the value is written, without earlier values of a list. */
  readonly written: string
}

const isRecording = ({ parsed }: Asked): boolean => parsed.verb.name === "emit"

/** Kinds, and the objects of a kind that is written. */
const objects = Effect.fnUntraced(function* (asked: Asked) {
  const { sample, subject, written } = asked
  const slash = written.indexOf("/")
  const kind = kindNames.read(slash === -1 ? written : written.slice(0, slash), subject.catalogue)?.kind
  if (slash !== -1) {
    const spelled = written.slice(0, slash)
    const filter: EventFilter = kind === undefined ? {} : { resourceType: kind }
    const found = yield* valuesOf(sample, filter, ({ event }) => event.involvedObject.name)
    return found.map(({ description, value }) => ({ value: `${spelled}/${value}`, description }))
  }
  const seen = yield* valuesOf(sample, {}, ({ event }) => event.involvedObject.kind)
  const kinds = isRecording(asked) || seen.length === 0 ? merged(seen, kindsOf(subject.catalogue)) : seen
  // An object goes on behind the slash; a kind alone is enough where events are looked for.
  const open = kinds.map(({ description, value }) => ({ value: `${value}/`, description }))
  return isRecording(asked) ? open : kinds.flatMap((one, index) => [one, open[index]!])
})

const kindIn = ({ parsed, subject }: Asked): string | undefined => {
  const [object] = [...parsed.arguments, ...(parsed.given.get("for") ?? []), ...(parsed.given.get("kind") ?? [])]
  return object === undefined || object.includes(",")
    ? undefined
    : kindNames.read(object.split("/")[0]!, subject.catalogue)?.kind
}

const reasons = Effect.fnUntraced(function* (asked: Asked) {
  const { parsed, sample, subject } = asked
  const { catalogue } = subject
  if (parsed.verb.name === "explain") return [...reasonsOf(catalogue, undefined), ...kindsOf(catalogue)]
  const kind = kindIn(asked)
  const seen = yield* valuesOf(sample, kind === undefined ? {} : { resourceType: kind }, ({ event }) => event.reason)
  return isRecording(asked) || seen.length === 0 ? merged(reasonsOf(catalogue, kind), seen) : seen
})

/** What the store has for a flag, by its name. */
const OF_STORE: { readonly [flag: string]: ((asked: Asked) => Effect.Effect<ReadonlyArray<Candidate>>) | undefined } = {
  for: objects,
  related: objects,
  kind: ({ sample, subject }) =>
    Effect.map(
      valuesOf(sample, {}, ({ event }) => event.involvedObject.kind),
      (seen) => (seen.length === 0 ? kindsOf(subject.catalogue) : seen)
    ),
  name: (asked) => {
    const kind = kindIn(asked)
    return valuesOf(
      asked.sample,
      kind === undefined ? {} : { resourceType: kind },
      ({ event }) => event.involvedObject.name
    )
  },
  reason: reasons,
  namespace: ({ sample }) => valuesOf(sample, {}, namespaceOf),
  "object-namespace": ({ sample }) => valuesOf(sample, {}, ({ event }) => event.involvedObject.namespace ?? ""),
  source: ({ sample }) => valuesOf(sample, {}, ({ event }) => event.source.component),
  cluster: ({ sample }) => valuesOf(sample, {}, ({ cluster }) => cluster?.name ?? cluster?.id ?? ""),
  label: ({ sample }) =>
    valuesOf(sample, {}, ({ event }) => Object.entries(event.labels ?? {}).map(([key, value]) => `${key}=${value}`))
}

/** Flags that take several values with commas between. */
const LISTS = new Set([
  "for",
  "kind",
  "name",
  "reason",
  "type",
  "namespace",
  "object-namespace",
  "source",
  "cluster",
  "label"
])

/** Flags of verbs that take a file. */
const FILES = new Set(["cursor-file", "file"])

const OF_ARGUMENTS: typeof OF_STORE = {
  "[KIND[/NAME]]": objects,
  "KIND/NAME": objects,
  REASON: reasons,
  "[REASON]": reasons,
  ID: ({ sample }) =>
    Effect.map(sample({}), (events) =>
      events.map((one) => ({
        value: EventId.format(one.id),
        description: `${one.event.reason} ${one.event.involvedObject.kind}/${one.event.involvedObject.name}`
      }))
    )
}

// ---------------------------------------------------------------------------
// the answer
// ---------------------------------------------------------------------------

const choices = (type: Completions.FlagType | Completions.ArgumentType): ReadonlyArray<Candidate> =>
  type._tag === "Choice" ? type.values.map((value) => ({ value })) : []

/** The last value of a list, and what stands before it. */
const lastOf = (written: string): readonly [before: string, last: string] => {
  const comma = written.lastIndexOf(",") + 1
  return [written.slice(0, comma), written.slice(comma)]
}

const ofFlag = Effect.fnUntraced(function* (
  flag: Completions.FlagDescriptor,
  written: string,
  before: string,
  asked: Omit<Asked, "written">,
  given: { readonly [flag: string]: string | undefined }
): Effect.fn.Return<Answer, unknown, Command.Environment> {
  const own = asked.subject.values[flag.name]
  if (own?.path !== undefined) return { how: own.path === "file" ? "files" : "directories" }
  if (own?.complete !== undefined) {
    const candidates = (yield* own.complete(given)).map((value) => ({ value }))
    return { how: "values", candidates, before }
  }
  if (FILES.has(flag.name)) return { how: "files" }
  const isList = LISTS.has(flag.name) && asked.parsed.verb.name !== "emit"
  const [earlier, last] = isList || flag.name === "label" ? lastOf(written) : ["", written]
  const ofStore = OF_STORE[flag.name]
  const candidates =
    ofStore === undefined || own !== undefined ? choices(flag.type) : yield* ofStore({ ...asked, written: last })
  return { how: "values", candidates, before: before + earlier }
})

const flagCandidates = ({ flags, given }: Parsed): ReadonlyArray<Candidate> =>
  flags
    // A flag that takes one value is offered once.
    .filter(({ name }) => !given.has(name) || LISTS.has(name) || name === "data")
    .map(({ description, name }) => ({
      value: `--${name}`,
      description: description?.replace(/ \(choices: [^)]*\)$/, "")
    }))

const answerTo = Effect.fnUntraced(function* (
  current: string,
  asked: Omit<Asked, "written">,
  given: { readonly [flag: string]: string | undefined }
): Effect.fn.Return<Answer, unknown, Command.Environment> {
  const { parsed } = asked
  const { flags, onlyArguments, pending, verb } = parsed
  if (pending !== undefined) return yield* ofFlag(pending, current, "", asked, given)
  if (!onlyArguments && current.startsWith("-")) {
    const equals = current.indexOf("=")
    const flag = equals === -1 ? undefined : flagCalled(current.slice(0, equals), flags)
    if (flag !== undefined)
      return yield* ofFlag(flag, current.slice(equals + 1), current.slice(0, equals + 1), asked, given)
    return { how: "values", candidates: flagCandidates(parsed), before: "" }
  }
  if (verb.subcommands.length > 0) {
    const verbs = verb.subcommands.map(({ description, name }) => ({ value: name, description }))
    return { how: "values", candidates: verbs, before: "" }
  }
  const argument = verb.arguments[parsed.arguments.length] ?? verb.arguments.findLast(({ variadic }) => variadic)
  if (argument === undefined) return { how: "values", candidates: [], before: "" }
  if (argument.name.includes("FILE")) return { how: "files" }
  const ofStore = OF_ARGUMENTS[argument.name]
  const [before, last] = argument.name === "[KIND[/NAME]]" ? lastOf(current) : ["", current]
  const candidates = ofStore === undefined ? choices(argument.type) : yield* ofStore({ ...asked, written: last })
  return { how: "values", candidates, before }
})

/** For bash, what begins behind the last character at which it breaks the word, since it keeps what stands before. */
const brokenAt = (current: string, breaks: string): number =>
  Math.max(-1, ...[...breaks].filter((one) => one === "=" || one === ":").map((one) => current.lastIndexOf(one))) + 1

const quoted = (value: string): string => value.replace(/[^\w./:=,@%+-]/g, "\\$&")

const lineOf = (shell: Shell, { description, value }: Candidate, current: string, breaks: string): string => {
  const safe = escape.line(value)
  if (shell === "bash") return quoted(safe.slice(brokenAt(current, breaks)))
  const text = description?.split(/(?<=\.) /)[0]?.trim()
  return text === undefined || text === "" ? safe : `${safe}\t${escape.line(text)}`
}

/** The last of each flag, as the parser takes it. */
const lastValues = ({ given }: Parsed): { readonly [flag: string]: string | undefined } =>
  Object.fromEntries([...given].map(([flag, values]) => [flag, values.at(-1)]))

/**
 * Prints what may stand in the place of the last word. `asked` is what the script of the shell has passed.
 *
 * @internal
 */
export const run = Effect.fnUntraced(
  function* (subject: Subject, asked: ReadonlyArray<string>) {
    const [given = "bash", ...rest] = asked
    const shell: Shell = given === "zsh" || given === "fish" ? given : "bash"
    const [line = "", breaks = ""] = rest
    const typed = shell === "bash" ? splitLine(line.trimStart()).slice(1) : rest
    const current = typed.at(-1) ?? ""
    const parsed = parse(described(subject.command, subject.catalogue), typed.slice(0, -1))
    const values = lastValues(parsed)
    const sample: Sample = (filter) =>
      Effect.gen(function* () {
        const reader = yield* EventReader
        const meant = yield* session.DefaultNamespace
        const isEverywhere =
          parsed.given.has("all-namespaces") ||
          /^(-n|--namespace)\b/.test(current) ||
          parsed.pending?.name === "namespace"
        const namespace = isEverywhere ? undefined : (values["namespace"] ?? meant)
        return (yield* reader.query({
          ...filter,
          ...(namespace === undefined || namespace === "" ? undefined : { namespace: namespace.split(",") }),
          limit: SAMPLE
        })).events
      }).pipe(
        Effect.provide(Layer.provideMerge(layerReader, subject.store(values))),
        Effect.catchCause(() => Effect.succeed([])),
        Effect.provideContext(services)
      )
    const services = yield* Effect.context<Command.Environment>()
    const answer = yield* answerTo(current, { subject, parsed, sample }, values).pipe(
      Effect.timeoutOption(PATIENCE),
      Effect.map((found): Answer =>
        found._tag === "Some" ? found.value : { how: "values", candidates: [], before: "" }
      ),
      Effect.catchCause(() => Effect.succeed<Answer>({ how: "values", candidates: [], before: "" }))
    )
    if (answer.how !== "values") return yield* words.lines([answer.how])
    const { before, candidates } = answer
    const fitting = candidates
      .map((one) => ({ ...one, value: `${before}${one.value}` }))
      .filter(({ value }) => value.toLowerCase().startsWith(current.toLowerCase()))
      .slice(0, MOST)
    const isOpen = fitting.length > 0 && fitting.every(({ value }) => value.endsWith("/"))
    yield* words.lines([isOpen ? "open" : "values", ...fitting.map((one) => lineOf(shell, one, current, breaks))])
  },
  Effect.provide(Logger.layer([]))
)
