/**
 * Finds the events in a text that arrives in pieces: lines of JSON, a JSON document as `kubectl get -o json` prints it, or
 * YAML as `-o yaml` does.
 *
 * - An item is read as soon as its end has arrived, so memory does not grow with the number of items.
 * - A line that is no JSON, or an item of a YAML list that is no YAML, is an item with a problem, and what comes after it is
 *   read. Of a JSON document that is broken nothing more can be told apart, so that is the last item.
 */

import * as Predicate from "effect/Predicate"
import { crc32 } from "node:zlib"

/** @internal */
export type Item = { readonly line: number } & ({ readonly value: unknown } | { readonly problem: string })

/** @internal */
export interface Items {
  /** Items that this piece of text ends. */
  readonly push: (text: string) => ReadonlyArray<Item>
  readonly end: () => ReadonlyArray<Item>
}

/** @internal */
export type Form = "lines" | "json" | "yaml"

/** Of one item. An Event in a cluster has at most 1.5 MiB. */
const LONGEST = 16_777_216

const TOO_LONG = `it is longer than ${LONGEST} characters`

/** A list of Kubernetes stands for its items. */
const spread = (line: number, value: unknown): ReadonlyArray<Item> =>
  Predicate.isReadonlyObject(value) && Array.isArray(value["items"])
    ? value["items"].map((item: unknown) => ({ line, value: item }))
    : Array.isArray(value)
      ? value.map((item: unknown) => ({ line, value: item }))
      : [{ line, value }]

/** Without the place in the part that was parsed, which is another one than that in the whole. */
const problemOf = (cause: unknown): string =>
  (cause instanceof Error ? cause.message.split("\n")[0]! : String(cause)).replace(/ at line \d+, column \d+:?$/, "")

/** What a line of an event log has behind its first time, where the log has checksums. */
const CHECKSUM = /^(\{"lastTimestamp":"[^"]{27}"),"checksum":"([0-9a-f]{8})"/

/** A damaged line of a log must not become another event. */
const isDamaged = (text: string): boolean => {
  const found = CHECKSUM.exec(text)
  return found !== null && crc32(found[1]! + text.slice(found[0].length)) !== Number.parseInt(found[2]!, 16)
}

const parseLine = (line: number, text: string): ReadonlyArray<Item> =>
  isDamaged(text) ? [{ line, problem: "it is damaged: its checksum is not that of its bytes" }] : parseJson(line, text)

const parseJson = (line: number, text: string): ReadonlyArray<Item> => {
  try {
    return spread(line, JSON.parse(text))
  } catch (cause) {
    return [{ line, problem: `it is not JSON: ${problemOf(cause)}` }]
  }
}

/**
 * How much of the beginning has to be there to tell the form. More than a line of most logs.
 *
 * @internal
 */
export const MOST_TO_TELL = 1_048_576

const isJson = (text: string): boolean => {
  try {
    JSON.parse(text)
    return true
  } catch {
    return false
  }
}

/**
 * The form of a text by its beginning; `undefined` where more of it is needed.
 *
 * @internal
 */
export const formOf = (beginning: string, isWhole: boolean): Form | undefined => {
  const text = beginning.replace(/^\uFEFF/, "").trimStart()
  if (text === "") return isWhole ? "lines" : undefined
  if (text[0] !== "{" && text[0] !== "[") return "yaml"
  // One of the first two lines is whole also where the other one is damaged.
  const lines = text.split("\n", 3)
  if (lines.length < 3 && !isWhole && text.length < MOST_TO_TELL) return undefined
  const whole = isWhole ? lines : lines.slice(0, -1)
  if (whole.length === 0) return "json"
  if (whole.slice(0, 2).some((line) => line.trim() !== "" && line.trim()[0] === "{" && isJson(line))) return "lines"
  // A line of a log that is torn begins like one: a document for people has its brace alone.
  return whole[0]!.startsWith('{"lastTimestamp":') ? "lines" : "json"
}

/**
 * The items of a form. `parseYaml` is needed for YAML only.
 *
 * @internal
 */
export const make = (form: Form, parseYaml: (text: string) => unknown): Items => {
  switch (form) {
    case "lines":
      return lineByLine(parseLine)
    case "json":
      return new JsonItems()
    case "yaml":
      return yamlItems(parseYaml)
  }
}

// ---------------------------------------------------------------------------
// lines
// ---------------------------------------------------------------------------

/** Calls `use` for each line with its number; `finish` after the last one. */
const lineByLine = (
  use: (line: number, text: string) => ReadonlyArray<Item>,
  options: { readonly isEachAnItem: boolean; readonly finish: () => ReadonlyArray<Item> } = {
    isEachAnItem: true,
    finish: () => []
  }
): Items => {
  let line = 0
  let rest = ""
  let isTooLong = false
  const one = (text: string): ReadonlyArray<Item> => {
    line++
    if (isTooLong) {
      isTooLong = false
      return [{ line, problem: TOO_LONG }]
    }
    const withoutEnd = text.endsWith("\r") ? text.slice(0, -1) : text
    const bare = line === 1 ? withoutEnd.replace(/^\uFEFF/, "") : withoutEnd
    return options.isEachAnItem && bare.trim() === "" ? [] : use(line, bare)
  }
  return {
    push: (text) => {
      const lines = text.split("\n")
      if (lines.length === 1) rest += text
      else {
        lines[0] = rest + lines[0]!
        rest = lines.pop()!
      }
      const items = lines.length === 1 && !text.includes("\n") ? [] : lines.flatMap(one)
      if (rest.length > LONGEST) {
        rest = ""
        isTooLong = true
      }
      return items
    },
    end: () => [...(rest === "" && !isTooLong ? [] : one(rest)), ...options.finish()]
  }
}

// ---------------------------------------------------------------------------
// a JSON document
// ---------------------------------------------------------------------------

const QUOTE = 0x22
const BACKSLASH = 0x5c
const LINE_FEED = 0x0a
const SPACE = 0x20
const COMMA = 0x2c
const COLON = 0x3a
const OPEN_LIST = 0x5b
const CLOSE_LIST = 0x5d
const OPEN_OBJECT = 0x7b
const CLOSE_OBJECT = 0x7d
const BYTE_ORDER_MARK = 0xfeff

/**
 * Documents of JSON one after the other. Of a list (`{"items": […]}` or `[…]`) each item is read by itself.
 *
 * `itemDepth` is how many brackets are open around an item: none around a document, one in a bare list, two in `items`; none
 * is looked for in what comes after the items.
 */
class JsonItems implements Items {
  private depth = 0
  private itemDepth = 0
  private line = 1
  private inText = false
  /** Whether the last piece ended after the backslash of a text. */
  private isEscaped = false
  private isBroken = false
  /** The last text directly in the document: the key of what follows. */
  private key = ""
  /** What has arrived of the item, and of a text, in earlier pieces. */
  private item: string | undefined
  private itemLine = 1
  private text = ""

  push(piece: string): ReadonlyArray<Item> {
    const items: Array<Item> = []
    let itemStart = 0
    for (let at = 0; at < piece.length && !this.isBroken; at++) {
      if (this.inText) {
        at = this.skipText(piece, at)
        continue
      }
      const unit = piece.charCodeAt(at)
      if (unit <= SPACE) {
        if (unit === LINE_FEED) this.line++
        continue
      }
      if (unit === COMMA || unit === COLON || unit === BYTE_ORDER_MARK) continue
      const isBetweenItems = this.depth === this.itemDepth && this.item === undefined
      if (unit === OPEN_OBJECT || unit === OPEN_LIST) {
        if (this.open(unit === OPEN_LIST)) itemStart = at
      } else if (unit === CLOSE_OBJECT || unit === CLOSE_LIST) {
        this.depth--
        if (this.item !== undefined && this.depth === this.itemDepth) {
          const text = this.item + piece.slice(itemStart, at + 1)
          this.item = undefined
          items.push(...parseJson(this.itemLine, text))
        } else if (this.depth < 0) this.fail(items)
        else if (this.depth < this.itemDepth) this.itemDepth = this.depth === 0 ? 0 : Number.POSITIVE_INFINITY
        if (this.depth === 0) {
          this.itemDepth = 0
          this.key = ""
        }
      } else if (isBetweenItems) this.fail(items)
      else if (unit === QUOTE) {
        this.inText = true
        this.text = ""
      }
    }
    if (this.item !== undefined) {
      this.item += piece.slice(itemStart)
      if (this.item.length > LONGEST) this.fail(items, TOO_LONG)
    }
    return items
  }

  /** Opens a bracket; answers whether an item begins with it. */
  private open(isList: boolean): boolean {
    const depth = this.depth++
    if (depth === 0 && isList) this.itemDepth = 1
    else if (depth === 1 && this.itemDepth === 0 && isList && this.key === "items") {
      // What stood before the items is no event.
      this.item = undefined
      this.itemDepth = 2
    } else if (depth === this.itemDepth) {
      this.item = ""
      this.itemLine = this.line
      return true
    }
    return false
  }

  /** Answers the place of the quote that ends the text, or the end of the piece. */
  private skipText(piece: string, from: number): number {
    const isKey = this.depth === 1 && this.itemDepth === 0
    let at = from
    if (this.isEscaped) {
      this.isEscaped = false
      at++
    }
    for (;;) {
      const quote = piece.indexOf('"', at)
      const end = quote === -1 ? piece.length : quote
      let backslashes = 0
      while (end - backslashes > at && piece.charCodeAt(end - backslashes - 1) === BACKSLASH) backslashes++
      const isEscaped = backslashes % 2 === 1
      if (quote !== -1 && isEscaped) {
        at = quote + 1
        continue
      }
      if (isKey) this.text += piece.slice(from, end)
      if (quote === -1) {
        this.isEscaped = isEscaped
        return piece.length
      }
      this.inText = false
      if (isKey) this.key = this.text
      return quote
    }
  }

  end(): ReadonlyArray<Item> {
    return this.isBroken || (this.depth === 0 && !this.inText)
      ? []
      : [{ line: this.line, problem: "the JSON ends in the middle" }]
  }

  private fail(items: Array<Item>, problem = "it is not JSON that lists events"): void {
    this.isBroken = true
    items.push({ line: this.line, problem: `${problem}; what comes after it is not read` })
  }
}

// ---------------------------------------------------------------------------
// YAML
// ---------------------------------------------------------------------------

/**
 * YAML line by line: each item of `items:` by itself, and every document that has none as a whole.
 */
const yamlItems = (parse: (text: string) => unknown): Items => {
  let begunAt = 1
  let part: Array<string> = []
  let length = 0
  /** How far the items of the list are indented; absent outside of one. */
  let indent: string | undefined
  let state: "document" | "items" | "after" = "document"

  const flush = (): ReadonlyArray<Item> => {
    const text = part.join("\n")
    const isItem = state === "items"
    const line = begunAt
    part = []
    const isTooLong = length > LONGEST
    length = 0
    if (isTooLong) return [{ line, problem: TOO_LONG }]
    if (text.trim() === "") return []
    try {
      const value = parse(text)
      if (value === null || value === undefined) return []
      return isItem ? (value as ReadonlyArray<unknown>).map((one) => ({ line, value: one })) : spread(line, value)
    } catch (cause) {
      return [{ line, problem: `it is not YAML: ${problemOf(cause)}` }]
    }
  }

  const add = (line: number, text: string): void => {
    if (part.length === 0) begunAt = line
    length += text.length + 1
    if (length <= LONGEST) part.push(text)
  }

  const use = (line: number, text: string): ReadonlyArray<Item> => {
    if (/^(---|\.\.\.)(\s|$)/.test(text)) {
      const items = state === "after" ? [] : flush()
      state = "document"
      indent = undefined
      part = []
      length = 0
      const rest = text.slice(3)
      if (text.startsWith("---") && rest.trim() !== "") add(line, rest)
      return items
    }
    if (state === "document" && /^items:\s*(#.*)?$/.test(text)) {
      // What stands before the items tells of the list.
      part = []
      length = 0
      state = "items"
      return []
    }
    if (state !== "items") {
      if (state === "document") add(line, text)
      return []
    }
    indent ??= /^( *)- /.exec(text)?.[1]
    if (indent !== undefined && text.startsWith(`${indent}- `)) {
      const items = flush()
      add(line, text)
      return items
    }
    if (/^[^\s#-]/.test(text)) {
      const items = flush()
      state = "after"
      return items
    }
    if (part.length > 0) add(line, text)
    return []
  }

  return lineByLine(use, { isEachAnItem: false, finish: () => (state === "after" ? [] : flush()) })
}
