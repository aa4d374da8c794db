/**
 * Finds the events in a text that arrives in pieces: lines of JSON, a JSON document as `kubectl get -o json` prints it, or
 * YAML as `-o yaml` does.
 *
 * - An item is read as soon as its end has arrived, so memory does not grow with the number of items.
 * - What stands in the place of an item and is none (a line that is no JSON, a number in a list, an item that is too long) is
 *   an item with a problem or with that value, and what comes after it is read. Only of a JSON document whose brackets do not
 *   match nothing more can be told apart, so that is the last item.
 * - An item of a list has its place in it beside its line, because `jq -c` prints a whole list in one line.
 */

import * as Predicate from "effect/Predicate"
import { crc32 } from "node:zlib"

/** @internal */
export interface Place {
  readonly line: number
  /** Where in a list it is, as jq and JSONPath name it: `items[2]`, or `[2]` in a list without an object around it. */
  readonly path?: string
}

/** @internal */
export type Item = Place & ({ readonly value: unknown } | { readonly problem: string })

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

const within = (place: Place, list: string, index: number): Place => ({
  line: place.line,
  path: `${place.path ?? ""}${place.path === undefined || list === "" ? "" : "."}${list}[${index}]`
})

/** A list stands for its items, also in a list: `jq -s` makes one of several. */
const spread = (place: Place, value: unknown): ReadonlyArray<Item> => {
  if (Predicate.isReadonlyObject(value) && Array.isArray(value["items"])) {
    return value["items"].flatMap((item: unknown, index) => spread(within(place, "items", index), item))
  }
  return Array.isArray(value)
    ? value.flatMap((item: unknown, index) => spread(within(place, "", index), item))
    : [{ ...place, value }]
}

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
  isDamaged(text)
    ? [{ line, problem: "it is damaged: its checksum is not that of its bytes" }]
    : parseJson({ line }, text)

const parseJson = (place: Place, text: string): ReadonlyArray<Item> => {
  try {
    return spread(place, JSON.parse(text))
  } catch (cause) {
    return [{ ...place, problem: `it is not JSON: ${problemOf(cause)}` }]
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
  if (/^(---|[%#])/.test(text)) return "yaml"
  // One of the first two lines is whole also where the other one is damaged.
  const lines = text.split("\n", 3)
  if (lines.length < 3 && !isWhole && text.length < MOST_TO_TELL) return undefined
  const whole = isWhole ? lines : lines.slice(0, -1)
  if (whole.length === 0) return text[0] === "{" || text[0] === "[" ? "json" : "yaml"
  if (whole.slice(0, 2).some((line) => line.trim() !== "" && line.trim()[0] === "{" && isJson(line))) return "lines"
  if (text[0] !== "{" && text[0] !== "[") return "yaml"
  // A line of a log that is torn begins like one: a document for people has its brace alone.
  return whole[0]!.startsWith('{"lastTimestamp":') ? "lines" : "json"
}

/**
 * The program that decompresses a source which begins like this; absent where it is not compressed. Bytes that are no UTF-8 have been
 * replaced.
 *
 * @internal
 */
export const decompressorOf = (beginning: string): string | undefined =>
  beginning.startsWith("\u001f\ufffd") ? "gzip -dc" : beginning.startsWith("(\ufffd/\ufffd") ? "zstd -dc" : undefined

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
 * is looked for in what comes after the items. What stands between items without brackets, such as `null`, is an item too,
 * which ends before a comma or a bracket, and outside of lists with its line.
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
  private isBare = false
  private isTooLong = false
  /** Items of the list before this one. */
  private index = 0
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
      if (this.isBare && this.endsBare(unit)) items.push(...this.close(piece.slice(itemStart, at)))
      if (unit <= SPACE) {
        if (unit === LINE_FEED) this.line++
        continue
      }
      if (unit === COMMA || unit === COLON || unit === BYTE_ORDER_MARK) continue
      if (unit === OPEN_OBJECT || unit === OPEN_LIST) {
        if (this.open(unit === OPEN_LIST)) itemStart = at
        continue
      }
      if (unit === CLOSE_OBJECT || unit === CLOSE_LIST) {
        this.depth--
        if (this.item !== undefined && this.depth === this.itemDepth) {
          items.push(...this.close(piece.slice(itemStart, at + 1)))
        } else if (this.depth < 0) this.fail(items)
        else if (this.depth < this.itemDepth) this.itemDepth = this.depth === 0 ? 0 : Number.POSITIVE_INFINITY
        if (this.depth === 0) {
          this.itemDepth = 0
          this.key = ""
        }
        continue
      }
      if (this.depth === this.itemDepth && this.item === undefined) {
        this.begin()
        this.isBare = true
        itemStart = at
      }
      if (unit === QUOTE) {
        this.inText = true
        this.text = ""
      }
    }
    if (this.item !== undefined) this.keep(piece.slice(itemStart))
    return items
  }

  /** Whether an item without brackets ends before this. */
  private endsBare(unit: number): boolean {
    switch (unit) {
      case OPEN_OBJECT:
      case OPEN_LIST:
      case CLOSE_OBJECT:
      case CLOSE_LIST:
      case COMMA:
        return true
      default:
        return unit === LINE_FEED && this.itemDepth === 0
    }
  }

  private begin(): void {
    this.item = ""
    this.itemLine = this.line
  }

  /** Adds what has arrived of the item. Of one that is too long only its end is looked for. */
  private keep(text: string): void {
    this.isTooLong ||= this.item!.length + text.length > LONGEST
    this.item = this.isTooLong ? "" : this.item! + text
  }

  /** Ends the item with the rest of its text. */
  private close(text: string): ReadonlyArray<Item> {
    this.keep(text)
    const whole = this.item!
    const place: Place =
      this.itemDepth === 0
        ? { line: this.itemLine }
        : within({ line: this.itemLine }, this.itemDepth === 1 ? "" : "items", this.index++)
    const isTooLong = this.isTooLong
    this.item = undefined
    this.isBare = false
    this.isTooLong = false
    return isTooLong ? [{ ...place, problem: TOO_LONG }] : parseJson(place, whole.trimEnd())
  }

  /** Opens a bracket; answers whether an item begins with it. */
  private open(isList: boolean): boolean {
    const depth = this.depth++
    if (depth === 0 && isList) {
      this.itemDepth = 1
      this.index = 0
    } else if (depth === 1 && this.itemDepth === 0 && isList && this.key === "items") {
      // What stood before the items is no event.
      this.item = undefined
      this.isTooLong = false
      this.itemDepth = 2
      this.index = 0
    } else if (depth === this.itemDepth) {
      this.begin()
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
    if (this.isBroken) return []
    if (this.depth > 0 || this.inText) return [{ line: this.line, problem: "the JSON ends in the middle" }]
    return this.isBare ? this.close("") : []
  }

  private fail(items: Array<Item>): void {
    this.isBroken = true
    items.push({ line: this.line, problem: "it closes a bracket that is not open; what comes after it is not read" })
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
  /** Items of the list before this one. */
  let index = 0

  const flush = (): ReadonlyArray<Item> => {
    const text = part.join("\n")
    const isItem = state === "items"
    const line = begunAt
    part = []
    const isTooLong = length > LONGEST
    length = 0
    const nextPlace = (): Place => (isItem ? within({ line }, "items", index++) : { line })
    if (isTooLong) return [{ ...nextPlace(), problem: TOO_LONG }]
    if (text.trim() === "") return []
    try {
      const value = parse(text)
      if (value === null || value === undefined) return []
      return isItem
        ? (value as ReadonlyArray<unknown>).flatMap((one) => spread(nextPlace(), one))
        : spread({ line }, value)
    } catch (cause) {
      return [{ ...nextPlace(), problem: `it is not YAML: ${problemOf(cause)}` }]
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
      index = 0
      state = "items"
      return []
    }
    if (state === "document") {
      add(line, text)
      return []
    }
    // A line that looks like a field of the list and is none, such as a warning, does not end the items.
    if (state === "after") {
      if (indent === undefined || !text.startsWith(`${indent}- `)) return []
      state = "items"
    }
    indent ??= /^( *)- /.exec(text)?.[1]
    if (indent !== undefined && text.startsWith(`${indent}- `)) {
      const items = flush()
      add(line, text)
      return items
    }
    if (/^[^\s#-]/.test(text)) {
      const items = flush()
      if (!/^("[^"]*"|'[^']*'|\S+)\s*:(\s|$)/.test(text)) {
        return [...items, { line, problem: "it is neither an item of the list nor a field of it" }]
      }
      state = "after"
      return items
    }
    if (part.length > 0) add(line, text)
    return []
  }

  return lineByLine(use, { isEachAnItem: false, finish: () => (state === "after" ? [] : flush()) })
}
