/**
 * Reads one action of a template (`{{ … }}`) into tokens.
 *
 * @internal
 */
import * as Display from "./display.ts"
import type { Problem } from "./issues.ts"

/** What of a string the reader uses. A test counts the work through it. */
export interface Source {
  readonly length: number
  readonly charCodeAt: (index: number) => number
  readonly codePointAt: (index: number) => number | undefined
  readonly indexOf: (search: string, from: number) => number
  readonly slice: (start: number, end: number) => string
}

interface Place {
  readonly offset: number
  readonly end: number
}

export type Token =
  | (Place & { readonly kind: "field"; readonly path: readonly [string, ...ReadonlyArray<string>] })
  | (Place & { readonly kind: "word"; readonly text: string })
  | (Place & { readonly kind: "literal"; readonly value: string | number })
  | (Place & { readonly kind: "(" })
  | (Place & { readonly kind: ")" })

export interface Action {
  /** What was read before the first problem. */
  readonly tokens: ReadonlyArray<Token>
  /** The first problem in it: what follows in the same action would only repeat it. */
  readonly problem: Problem | undefined
  /** Where reading goes on. */
  readonly end: number
  /** Whether `}}` was found. */
  readonly isClosed: boolean
  /** Whether it closes with ` -}}`. */
  readonly trimsAfter: boolean
}

const tab = 0x09
const lineFeed = 0x0a
const carriageReturn = 0x0d
const space = 0x20
const doubleQuote = 0x22
const dot = 0x2e
const minus = 0x2d
const backslash = 0x5c
const backquote = 0x60
const openBrace = 0x7b
const closeBrace = 0x7d

/** The white space of Go's templates: neither U+00A0 nor vertical tab nor form feed. */
export const isSpace = (code: number): boolean =>
  code === space || code === tab || code === lineFeed || code === carriageReturn

const isDigit = (code: number): boolean => code >= 0x30 && code <= 0x39

const letter = /^\p{L}$/u
const decimal = /^\p{Nd}$/u

const isNameStart = (code: number): boolean =>
  code < 0x80
    ? (code >= 0x61 && code <= 0x7a) || (code >= 0x41 && code <= 0x5a) || code === 0x5f
    : letter.test(String.fromCodePoint(code))

const isNamePart = (code: number): boolean =>
  isNameStart(code) || (code < 0x80 ? isDigit(code) : decimal.test(String.fromCodePoint(code)))

/** Whether a text can stand behind a dot as a field. */
export const isName = (text: string): boolean => {
  let first = true
  for (const point of text) {
    const code = point.codePointAt(0) ?? 0
    if (first ? !isNameStart(code) : !isNamePart(code)) return false
    first = false
  }
  return !first
}

const codePointAt = (source: Source, at: number): number => source.codePointAt(at) ?? -1

/** The end of the name that begins at `at`, or `at` itself. */
const nameEnd = (source: Source, at: number): number => {
  let end = at
  let code = codePointAt(source, end)
  if (!isNameStart(code)) return at
  do {
    end += code > 0xffff ? 2 : 1
    code = codePointAt(source, end)
  } while (code >= 0 && isNamePart(code))
  return end
}

const simpleEscapes: ReadonlyMap<string, string> = new Map([
  ["a", "\u0007"],
  ["b", "\b"],
  ["f", "\f"],
  ["n", "\n"],
  ["r", "\r"],
  ["t", "\t"],
  ["v", "\v"],
  ["\\", "\\"],
  ['"', '"']
])

interface Quoted {
  readonly value: string
  /** After the closing quote, or -1 where there is none. */
  readonly end: number
  readonly problem: Problem | undefined
}

/** A text in double quotes. Where it does not end in its line, `value` has no meaning. */
const scanQuoted = (source: Source, start: number): Quoted => {
  let value = ""
  let problem: Problem | undefined
  let chunk = start + 1
  let at = chunk
  while (at < source.length) {
    const code = source.charCodeAt(at)
    if (code === lineFeed) break
    if (code === doubleQuote) return { value: value + source.slice(chunk, at), end: at + 1, problem }
    if (code !== backslash) {
      at += 1
      continue
    }
    value += source.slice(chunk, at)
    const escape = source.slice(at + 1, at + 2)
    if (escape === "\n" || escape === "") break
    const digits = escape === "u" ? 4 : escape === "U" ? 8 : 0
    const hex = source.slice(at + 2, at + 2 + digits)
    const point = hex.length === digits && /^[0-9a-fA-F]+$/.test(hex) ? Number.parseInt(hex, 16) : -1
    if (point >= 0 && point <= 0x10ffff && (point < 0xd800 || point > 0xdfff)) {
      value += String.fromCodePoint(point)
      at += 2 + digits
    } else {
      const simple = simpleEscapes.get(escape)
      value += simple ?? ""
      if (simple === undefined) {
        problem ??= {
          code: "bad-escape",
          message: `unknown escape \\${Display.name(escape)} in a text`,
          hint: 'use \\\\ \\" \\n \\t \\r \\a \\b \\f \\v, \\u with four or \\U with eight hexadecimal digits',
          offset: at,
          length: 2
        }
      }
      at += 2
    }
    chunk = at
  }
  return { value, end: -1, problem }
}

/** What somebody who writes this character most likely wants. */
const characterHints: { readonly [character: string]: string } = {
  "&": "use and",
  "=": "use eq",
  "!": "use not or ne",
  "<": "use lt or le",
  ">": "use gt or ge",
  ",": "separate values with spaces",
  "/": "a comment follows {{ at once: {{/* … */}}",
  "#": "a comment is {{/* … */}}",
  "'": "write texts in double quotes",
  "\u2018": "write texts in straight double quotes",
  "\u2019": "write texts in straight double quotes",
  "\u201c": "write texts in straight double quotes",
  "\u201d": "write texts in straight double quotes",
  "{": "write two braces: {{.Name}}"
}

const badCharacter = (source: Source, at: number): Problem => {
  const code = codePointAt(source, at)
  const text = String.fromCodePoint(code)
  const length = text.length
  if (text === "|") {
    return source.charCodeAt(at + 1) === code
      ? { code: "bad-character", message: 'unexpected "|"', hint: "use or", offset: at, length: 2 }
      : { code: "unsupported", message: "pipes (|) are not supported", offset: at, length }
  }
  if (text === "$") return { code: "unsupported", message: "variables ($) are not supported", offset: at, length }
  if (text === "}") {
    return { code: "unclosed-action", message: 'expected "}}", found a single "}"', offset: at, length }
  }
  const printable = code > space && code < 0x7f
  const shown = printable ? `"${text}"` : `U+${code.toString(16).toUpperCase().padStart(4, "0")}`
  const hint = /\s/.test(text) ? "use a plain space" : characterHints[text]
  return { code: "bad-character", message: `unexpected ${shown}`, hint, offset: at, length }
}

const largest = Number.MAX_SAFE_INTEGER

/**
 * Reads the action whose content begins at `start` and whose `{{` stands at `open`.
 *
 * After a problem it reads on, to find the end of the action with its texts skipped, so that one mistake has no others
 * in its wake. An action that meets another `{{` ends there.
 */
export const scanAction = (source: Source, open: number, start: number): Action => {
  const tokens: Array<Token> = []
  let problem: Problem | undefined
  // Up to here it is known that a double quote has no partner.
  let unpaired = start
  let at = start

  const push = (token: Token, spaced: boolean): void => {
    at = token.end
    if (problem !== undefined) return
    const before = tokens.at(-1)
    if (!spaced && before !== undefined && before.kind !== "(" && token.kind !== ")") {
      problem = {
        code: "missing-space",
        message: `expected a space before ${Display.quote(source.slice(token.offset, token.end))}`,
        offset: token.offset,
        length: token.end - token.offset
      }
    } else {
      tokens.push(token)
    }
  }

  while (at < source.length) {
    const from = at
    while (isSpace(source.charCodeAt(at))) at += 1
    const spaced = at > from
    const code = source.charCodeAt(at)
    const next = source.charCodeAt(at + 1)

    if (code === closeBrace && next === closeBrace) {
      return { tokens, problem, end: at + 2, isClosed: true, trimsAfter: false }
    }
    if (spaced && code === minus && next === closeBrace && source.charCodeAt(at + 2) === closeBrace) {
      return { tokens, problem, end: at + 3, isClosed: true, trimsAfter: true }
    }
    if (code === openBrace && next === openBrace) {
      problem ??= {
        code: "unclosed-action",
        message: "this {{ has no }} before the next {{",
        offset: open,
        length: 2
      }
      return { tokens, problem, end: at, isClosed: false, trimsAfter: false }
    }
    if (at >= source.length) break

    if (code === doubleQuote) {
      const quoted: Quoted = at < unpaired ? { value: "", end: -1, problem: undefined } : scanQuoted(source, at)
      problem ??= quoted.problem
      if (quoted.end !== -1) {
        push({ kind: "literal", value: quoted.value, offset: at, end: quoted.end }, spaced)
        continue
      }
      problem ??= { code: "unclosed-text", message: 'this " has no partner in its line', offset: at, length: 1 }
      if (at >= unpaired) {
        const lineEnd = source.indexOf("\n", at)
        unpaired = lineEnd === -1 ? source.length : lineEnd
      }
      at += 1
    } else if (code === backquote) {
      const close = source.indexOf("`", at + 1)
      if (close === -1) {
        problem ??= { code: "unclosed-text", message: "this ` has no partner", offset: at, length: 1 }
        at += 1
      } else {
        // Go drops carriage returns from raw texts.
        const value = source.slice(at + 1, close).replaceAll("\r", "")
        push({ kind: "literal", value, offset: at, end: close + 1 }, spaced)
      }
    } else if (code === dot && !isDigit(next)) {
      const offset = at
      let end = nameEnd(source, at + 1)
      if (end === at + 1) {
        problem ??=
          spaced || tokens.length === 0
            ? {
                code: "unsupported",
                message: "a bare dot is not supported",
                hint: "write a field: .Name",
                offset,
                length: 1
              }
            : { code: "bad-character", message: 'unexpected "."', offset, length: 1 }
        at += 1
        continue
      }
      const path: [string, ...Array<string>] = [source.slice(at + 1, end)]
      while (source.charCodeAt(end) === dot) {
        const further = nameEnd(source, end + 1)
        if (further === end + 1) break
        path.push(source.slice(end + 1, further))
        end = further
      }
      push({ kind: "field", path, offset, end }, spaced)
    } else if (isNameStart(codePointAt(source, at))) {
      const end = nameEnd(source, at)
      push({ kind: "word", text: source.slice(at, end), offset: at, end }, spaced)
    } else if (code === 0x28) {
      push({ kind: "(", offset: at, end: at + 1 }, spaced)
    } else if (code === 0x29) {
      push({ kind: ")", offset: at, end: at + 1 }, spaced)
    } else if (isDigit(code) || code === dot || code === minus || code === 0x2b) {
      const offset = at
      let end = at + 1
      while (end < source.length) {
        const part = codePointAt(source, end)
        if (!isNamePart(part) && part !== dot) break
        end += part > 0xffff ? 2 : 1
      }
      const text = source.slice(offset, end)
      const length = end - offset
      const before = tokens.at(-1)
      const isSign = !isDigit(code) && code !== dot
      const isMarker = code === minus && (at === open + 2 || next === closeBrace)
      const markerHint = "a trim marker has white space on its inner side: {{- .Name -}}"
      if (isSign && isMarker && !isDigit(next)) {
        problem ??= { code: "bad-character", message: 'unexpected "-"', hint: markerHint, offset, length: 1 }
      } else if (isSign && !spaced && (before?.kind === "field" || before?.kind === "word")) {
        problem ??= {
          code: "bad-character",
          message: `unexpected "${text.slice(0, 1)}"`,
          hint: "a name has letters, digits and _ only",
          offset,
          length: 1
        }
      } else if (isSign && length === 1) {
        problem ??= {
          code: "bad-character",
          message: `unexpected "${text}"`,
          hint: "there is no arithmetic in templates",
          offset,
          length
        }
      } else if (!/^[+-]?(0|[1-9][0-9]*)$/.test(text)) {
        problem ??= {
          code: "bad-number",
          message: `${Display.quote(text)} is not a decimal whole number`,
          offset,
          length
        }
      } else if (Math.abs(Number(text)) > largest) {
        problem ??= {
          code: "bad-number",
          message: `${Display.quote(text)} is too large`,
          hint: `at most ${largest}`,
          offset,
          length
        }
      } else {
        // Adding zero turns a negative zero into zero.
        push({ kind: "literal", value: Number(text) + 0, offset, end }, spaced)
        continue
      }
      at = end
    } else {
      problem ??= badCharacter(source, at)
      at += codePointAt(source, at) > 0xffff ? 2 : 1
    }
  }
  problem ??= { code: "unclosed-action", message: "this {{ has no }}", offset: open, length: 2 }
  return { tokens, problem, end: source.length, isClosed: false, trimsAfter: false }
}
