/**
 * Reads one action of a template (`{{ … }}`) into tokens.
 *
 * @internal
 */
import * as Display from "./display.ts"
import type { Problem } from "./issues.ts"

/** The part of the interface of strings that is used. A test implements it to count the calls. */
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
  /** The tokens before the first problem. */
  readonly tokens: ReadonlyArray<Token>
  /** The first problem in it. Others in the same action are not reported, because they are often its consequences. */
  readonly problem: Problem | undefined
  /** The offset after it. */
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
const openParenthesis = 0x28
const closeParenthesis = 0x29
const plus = 0x2b
const minus = 0x2d
const dot = 0x2e
const backslash = 0x5c
const backquote = 0x60
const openBrace = 0x7b
const closeBrace = 0x7d

/** The white space of Go's templates, without U+00A0, vertical tab and form feed. */
export const isSpace = (code: number): boolean =>
  code === space || code === tab || code === lineFeed || code === carriageReturn

const isDigit = (code: number): boolean => code >= 0x30 && code <= 0x39

// Inside functions, because V8 takes as long to read such a pattern as to start a hundred modules, and few names are not in ASCII.
const isLetter = (code: number): boolean => /^\p{L}$/u.test(String.fromCodePoint(code))
const isDecimal = (code: number): boolean => /^\p{Nd}$/u.test(String.fromCodePoint(code))

const isNameStart = (code: number): boolean =>
  code < 0x80 ? (code >= 0x61 && code <= 0x7a) || (code >= 0x41 && code <= 0x5a) || code === 0x5f : isLetter(code)

const isNamePart = (code: number): boolean => isNameStart(code) || (code < 0x80 ? isDigit(code) : isDecimal(code))

/** Whether a text is the name of a field. */
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

/** A text in double quotes. Where it does not end in its line, `value` is meaningless. */
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

/** What is most likely meant by a character that is not allowed. */
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
 * Scans the action whose content begins at `start` and whose `{{` is at `open`.
 *
 * After a problem it continues to the end of the action and skips texts, so that one mistake does not cause others. An
 * action ends before another `{{`.
 */
export const scanAction = (source: Source, open: number, start: number): Action =>
  new ActionScanner(source, open, start).scan()

const decimalInteger = /^[+-]?(0|[1-9][0-9]*)$/

class ActionScanner {
  readonly #source: Source
  readonly #open: number
  readonly #tokens: Array<Token> = []
  #problem: Problem | undefined
  /** Double quotes up to here are known to be unclosed. */
  #unpaired: number
  #at: number

  constructor(source: Source, open: number, start: number) {
    this.#source = source
    this.#open = open
    this.#unpaired = start
    this.#at = start
  }

  scan(): Action {
    const source = this.#source
    while (this.#at < source.length) {
      const from = this.#at
      while (isSpace(source.charCodeAt(this.#at))) this.#at += 1
      const isSpaced = this.#at > from
      const end = this.#endOfAction(isSpaced)
      if (end !== undefined) return end
      if (this.#at < source.length) this.#token(isSpaced)
    }
    this.#report({ code: "unclosed-action", message: "this {{ has no }}", offset: this.#open, length: 2 })
    return this.#action(source.length, false, false)
  }

  #action(end: number, isClosed: boolean, trimsAfter: boolean): Action {
    return { tokens: this.#tokens, problem: this.#problem, end, isClosed, trimsAfter }
  }

  /** The action, if it ends here: at `}}`, ` -}}` or the next `{{`. */
  #endOfAction(isSpaced: boolean): Action | undefined {
    const source = this.#source
    const at = this.#at
    const code = source.charCodeAt(at)
    const next = source.charCodeAt(at + 1)
    if (code === closeBrace && next === closeBrace) return this.#action(at + 2, true, false)
    if (isSpaced && code === minus && next === closeBrace && source.charCodeAt(at + 2) === closeBrace) {
      return this.#action(at + 3, true, true)
    }
    if (code !== openBrace || next !== openBrace) return undefined
    this.#report({
      code: "unclosed-action",
      message: "this {{ has no }} before the next {{",
      offset: this.#open,
      length: 2
    })
    return this.#action(at, false, false)
  }

  #token(isSpaced: boolean): void {
    const source = this.#source
    const at = this.#at
    const code = source.charCodeAt(at)
    if (code === doubleQuote) this.#quotedText(isSpaced)
    else if (code === backquote) this.#rawText(isSpaced)
    else if (code === dot && !isDigit(source.charCodeAt(at + 1))) this.#field(isSpaced)
    else if (isNameStart(codePointAt(source, at))) {
      const end = nameEnd(source, at)
      this.#push({ kind: "word", text: source.slice(at, end), offset: at, end }, isSpaced)
    } else if (code === openParenthesis) this.#push({ kind: "(", offset: at, end: at + 1 }, isSpaced)
    else if (code === closeParenthesis) this.#push({ kind: ")", offset: at, end: at + 1 }, isSpaced)
    else if (isDigit(code) || code === dot || code === minus || code === plus) this.#number(isSpaced)
    else {
      this.#report(badCharacter(source, at))
      this.#at += codePointAt(source, at) > 0xffff ? 2 : 1
    }
  }

  /** Only the first problem of an action is kept. */
  #report(problem: Problem): void {
    this.#problem ??= problem
  }

  #push(token: Token, isSpaced: boolean): void {
    this.#at = token.end
    if (this.#problem !== undefined) return
    const before = this.#tokens.at(-1)
    if (isSpaced || before === undefined || before.kind === "(" || token.kind === ")") {
      this.#tokens.push(token)
      return
    }
    const { end, offset } = token
    const message = `expected a space before ${Display.quote(this.#source.slice(offset, end))}`
    this.#report({ code: "missing-space", message, offset, length: end - offset })
  }

  #quotedText(isSpaced: boolean): void {
    const source = this.#source
    const at = this.#at
    const isUnpaired = at < this.#unpaired
    const quoted: Quoted = isUnpaired ? { value: "", end: -1, problem: undefined } : scanQuoted(source, at)
    if (quoted.problem !== undefined) this.#report(quoted.problem)
    if (quoted.end !== -1) {
      this.#push({ kind: "literal", value: quoted.value, offset: at, end: quoted.end }, isSpaced)
      return
    }
    this.#report({ code: "unclosed-text", message: 'this " is not closed on its line', offset: at, length: 1 })
    if (!isUnpaired) {
      const lineEnd = source.indexOf("\n", at)
      this.#unpaired = lineEnd === -1 ? source.length : lineEnd
    }
    this.#at += 1
  }

  #rawText(isSpaced: boolean): void {
    const at = this.#at
    const close = this.#source.indexOf("`", at + 1)
    if (close === -1) {
      this.#report({ code: "unclosed-text", message: "this ` is not closed", offset: at, length: 1 })
      this.#at += 1
      return
    }
    // Go removes carriage returns from raw texts.
    const value = this.#source.slice(at + 1, close).replaceAll("\r", "")
    this.#push({ kind: "literal", value, offset: at, end: close + 1 }, isSpaced)
  }

  #field(isSpaced: boolean): void {
    const source = this.#source
    const offset = this.#at
    let end = nameEnd(source, offset + 1)
    if (end === offset + 1) {
      this.#report(
        isSpaced || this.#tokens.length === 0
          ? {
              code: "unsupported",
              message: "a bare dot is not supported",
              hint: "write a field: .Name",
              offset,
              length: 1
            }
          : { code: "bad-character", message: 'unexpected "."', offset, length: 1 }
      )
      this.#at += 1
      return
    }
    const path: [string, ...Array<string>] = [source.slice(offset + 1, end)]
    while (source.charCodeAt(end) === dot) {
      const further = nameEnd(source, end + 1)
      if (further === end + 1) break
      path.push(source.slice(end + 1, further))
      end = further
    }
    this.#push({ kind: "field", path, offset, end }, isSpaced)
  }

  #number(isSpaced: boolean): void {
    const source = this.#source
    const offset = this.#at
    let end = offset + 1
    while (end < source.length) {
      const part = codePointAt(source, end)
      if (!isNamePart(part) && part !== dot) break
      end += part > 0xffff ? 2 : 1
    }
    const text = source.slice(offset, end)
    const problem = this.#problemOfSign(text, offset, isSpaced) ?? problemOfNumber(text, offset)
    if (problem === undefined) {
      // Adding zero turns a negative zero into zero.
      this.#push({ kind: "literal", value: Number(text) + 0, offset, end }, isSpaced)
      return
    }
    this.#report(problem)
    this.#at = end
  }

  /** A sign that does not begin a number: a misplaced trim marker, a part of a name, or arithmetic. */
  #problemOfSign(text: string, offset: number, isSpaced: boolean): Problem | undefined {
    const source = this.#source
    const code = source.charCodeAt(offset)
    if (code !== minus && code !== plus) return undefined
    const next = source.charCodeAt(offset + 1)
    const isMarker = code === minus && (offset === this.#open + 2 || next === closeBrace)
    const unexpected = (found: string, hint: string): Problem => ({
      code: "bad-character",
      message: `unexpected "${found}"`,
      hint,
      offset,
      length: 1
    })
    if (isMarker && !isDigit(next)) {
      return unexpected("-", "a trim marker has white space on its inner side: {{- .Name -}}")
    }
    const before = this.#tokens.at(-1)
    if (!isSpaced && (before?.kind === "field" || before?.kind === "word")) {
      return unexpected(text.slice(0, 1), "a name has letters, digits and _ only")
    }
    return text.length > 1 ? undefined : unexpected(text, "there is no arithmetic in templates")
  }
}

const problemOfNumber = (text: string, offset: number): Problem | undefined => {
  const { length } = text
  if (!decimalInteger.test(text)) {
    return { code: "bad-number", message: `${Display.quote(text)} is not a decimal whole number`, offset, length }
  }
  if (Math.abs(Number(text)) <= largest) return undefined
  return {
    code: "bad-number",
    message: `${Display.quote(text)} is too large`,
    hint: `at most ${largest}`,
    offset,
    length
  }
}
