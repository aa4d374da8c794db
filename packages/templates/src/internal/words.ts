/**
 * The words of the template language, and those of Go's language that are not supported.
 *
 * @internal
 */

/** The minimum and maximum number of arguments of a function. */
export interface Arity {
  readonly least: number
  readonly most: number
}

const many = Number.POSITIVE_INFINITY

export const functions: ReadonlyMap<string, Arity> = new Map([
  ["and", { least: 1, most: many }],
  ["or", { least: 1, most: many }],
  ["not", { least: 1, most: 1 }],
  ["eq", { least: 2, most: many }],
  ["ne", { least: 2, most: 2 }],
  ["lt", { least: 2, most: 2 }],
  ["le", { least: 2, most: 2 }],
  ["gt", { least: 2, most: 2 }],
  ["ge", { least: 2, most: 2 }],
  ["len", { least: 1, most: 1 }]
])

/** Words that are allowed only at the beginning of an action. */
export const keywords: ReadonlySet<string> = new Set(["if", "else", "end"])

/** Words of Go that are refused, each with a hint what to write instead, where there is one. */
export const unsupported: ReadonlyMap<string, string | undefined> = new Map([
  ["range", "a list field prints its items joined with commas"],
  ["with", "use if"],
  ["block", undefined],
  ["define", undefined],
  ["template", undefined],
  ["break", undefined],
  ["continue", undefined],
  ["nil", "an if tells whether a field has a value"],
  ["printf", "write texts and fields side by side"],
  ["print", "write texts and fields side by side"],
  ["println", "write texts and fields side by side"],
  ["html", undefined],
  ["js", undefined],
  ["urlquery", undefined],
  ["index", "a list field prints its items joined with commas"],
  ["slice", undefined],
  ["call", undefined]
])

/** The issue of such a word. */
export const refusal = (word: string) =>
  ({ code: "unsupported", message: `${word} is not supported`, hint: unsupported.get(word) }) as const

/** Unsupported words whose actions have an `{{end}}`. */
export const unsupportedOpeners: ReadonlySet<string> = new Set(["range", "with", "block", "define"])
