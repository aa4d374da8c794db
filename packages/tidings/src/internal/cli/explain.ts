/**
 * `explain`: what the reasons mean.
 *
 * @internal
 */
import { reasonsKept } from "@tidings/core/EventGenerator"
import type { FieldType } from "@tidings/templates/TemplateFields"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Argument from "effect/cli/Argument"
import * as Command from "effect/cli/Command"
import type { Catalogue, KnownKind, KnownReason } from "./catalogue.ts"
import type { Colours } from "./colour.ts"
import { examples } from "./examples.ts"
import * as flags from "./flags.ts"
import * as documents from "./documents.ts"
import * as generations from "./generations.ts"
import * as session from "./session.ts"
import * as table from "./table.ts"
import * as templateUses from "./templateUses.ts"
import * as words from "./words.ts"
import * as wrapping from "./wrapping.ts"

const nameOfType = (type: FieldType): string => (typeof type === "string" ? type : type.join(" or "))

const warn =
  (colours: Colours) =>
  (text: string, { type }: KnownReason) =>
    type === "Warning" ? colours.warning(text) : text

const overview = (
  kinds: ReadonlyArray<KnownKind>,
  colours: Colours,
  room: number | undefined
): ReadonlyArray<string> => {
  const isMarked = ({ reason }: KnownReason) => reasonsKept.has(reason)
  const hasMarks = kinds.some(({ reasons }) => reasons.some(isMarked))
  const marks: ReadonlyArray<table.Column<KnownReason>> = hasMarks
    ? [{ title: "", cell: (reason) => (isMarked(reason) ? "*" : "") }]
    : []
  const rows = table.make<KnownReason>(
    [
      { title: "REASON", cell: ({ reason }) => `  ${reason}`, paint: warn(colours) },
      { title: "TYPE", cell: ({ type }) => type, paint: warn(colours) },
      ...marks,
      { title: "MEANING", cell: ({ meaning }) => meaning }
    ],
    { room }
  )
  // One table, so that the columns of all kinds line up; its titles would only repeat what everybody sees.
  const [, ...lines] = rows.print(kinds.flatMap(({ reasons }) => reasons))
  const title = ({ apiVersion, kind }: KnownKind): ReadonlyArray<string> =>
    room === undefined || table.width(`${kind} ${apiVersion}`) <= room
      ? [`${colours.strong(kind)} ${colours.faint(apiVersion)}`]
      : [colours.strong(table.truncate(kind, room)), colours.faint(table.truncate(apiVersion, room))]
  let next = 0
  const sections = kinds.flatMap((kind, index) => {
    const own = lines.slice(next, next + kind.reasons.length)
    next += kind.reasons.length
    return [...(index === 0 ? [] : [""]), ...title(kind), ...own]
  })
  return hasMarks
    ? [...sections, "", wrapping.fit("* also a reason of muster 1.7; the others are of muster 0.1 alone", room, 2)]
    : sections
}

const card = (
  command: string,
  { kind, meaning, message, reason, type }: KnownReason,
  of: KnownKind,
  colours: Colours
) => {
  const uses = templateUses.of(message, of.fields)
  const data = [
    ...uses.required.map((field) => `${field} (${nameOfType(of.fields[field]!)}, needed)`),
    ...uses.optional.map((field) => `${field} (${nameOfType(of.fields[field]!)})`)
  ]
  const known = generations.of(reason)
  const rows: ReadonlyArray<readonly [string, string]> = [
    ["Reason:", reason],
    ["Kind:", `${kind} (${of.apiVersion})`],
    ["Type:", type === "Warning" ? colours.warning(type) : type],
    ["Meaning:", meaning],
    ["Message:", message],
    ["Data:", data.length === 0 ? "none" : data.join(", ")],
    [
      "Record:",
      [`${command} emit ${kind}/NAME ${reason}`, ...uses.required.map((field) => `--data ${field}=…`)].join(" ")
    ],
    ...(known === undefined ? [] : [["Muster:", known] as const])
  ]
  return rows.map(([label, text]) => `${colours.strong(label)}${" ".repeat(10 - label.length)}${text}`)
}

/** A reason as an object: what `explain REASON -o json` prints, and one of `items` where there are several. */
const objectOf = ({ meaning, message, reason, type }: KnownReason, of: KnownKind) => {
  const { optional, required } = templateUses.of(message, of.fields)
  const known = generations.of(reason)
  return {
    reason,
    kind: of.kind,
    apiVersion: of.apiVersion,
    type,
    meaning,
    message,
    data: [...required, ...optional].map((field) => ({
      field,
      type: of.fields[field]!,
      needed: required.includes(field)
    })),
    ...(known === undefined ? undefined : { muster: known })
  }
}

const documentOf = (kinds: ReadonlyArray<KnownKind>) => ({
  items: kinds.flatMap((kind) => kind.reasons.map((reason) => objectOf(reason, kind)))
})

const FORMATS = ["text", "json", "yaml"] as const

/** @internal */
export const explain = ({ samples }: Catalogue) =>
  Command.make(
    "explain",
    {
      what: Argument.String("[REASON]").pipe(
        Argument.withDescription("A reason, or a kind to see its reasons (default: all of them)"),
        Argument.optional,
        Argument.map(Option.getOrUndefined)
      ),
      output: flags.output(FORMATS)
    },
    Effect.fnUntraced(function* ({ output = "text", what }) {
      const { catalogue, command } = yield* session.Session
      const colours = yield* session.colours
      const encode = output === "text" ? undefined : yield* documents.encoder(output)
      const show = (kinds: ReadonlyArray<KnownKind>) =>
        encode === undefined
          ? Effect.flatMap(words.room, (room) => words.lines(overview(kinds, colours, room)))
          : words.data(encode(documentOf(kinds)))
      if (what === undefined) return yield* show(catalogue.kinds)
      const reason = catalogue.reason(what)
      if (reason !== undefined) {
        const kind = catalogue.kind(reason.kind)!
        return yield* encode === undefined
          ? words.prose(card(command, reason, kind, colours), "Meaning:  ".length)
          : words.data(encode(objectOf(reason, kind)))
      }
      const kind = catalogue.kind(what)
      if (kind !== undefined) return yield* show([kind])
      const meant = catalogue.nearestReason(what) ?? catalogue.nearestKind(what)
      return yield* session.refuse(
        `the catalogue has no reason ${JSON.stringify(what)}${meant === undefined ? "" : `; did you mean ${meant}?`}`
      )
    }, session.verb("explain"))
  ).pipe(
    Command.withDescription("Explain what a reason means, and which data its message uses."),
    Command.withShortDescription("Explain the reasons of events"),
    examples("", samples.explained, samples.other.kind.toLowerCase(), `${samples.reason} -o json`)
  )
