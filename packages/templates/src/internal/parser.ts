/**
 * Parses a template into its tree, with an explicit stack of open ifs.
 *
 * @internal
 */
import { nearest } from "../Suggestion.ts"
import type { TemplateLimits } from "../TemplateLimits.ts"
import type { Branch, Expression, Part, Span } from "./syntaxTree.ts"
import * as Display from "./display.ts"
import type { Issues, Problem } from "./issues.ts"
import { type Action, isSpace, scanAction, type Source, type Token } from "./scanner.ts"
import * as Words from "./words.ts"

const span = (token: Span | Token): Span =>
  "end" in token ? { offset: token.offset, length: token.end - token.offset } : token

const minus = 0x2d
const slash = 0x2f
const asterisk = 0x2a
const closeBrace = 0x7d

const isLiteralWord = (text: string): boolean => text === "true" || text === "false"

/** A token as errors show it: `.Name`, `"a text"`, `eq`. */
const shown = (token: Token): string => {
  switch (token.kind) {
    case "field":
      return Display.name(`.${token.path.join(".")}`)
    case "word":
      return Display.name(token.text)
    case "literal":
      return typeof token.value === "string" ? Display.quote(token.value) : String(token.value)
    default:
      return "(…)"
  }
}

/** Reads one expression from the tokens of an action, up to its first mistake, after which nothing is certain. */
class ExpressionReader {
  readonly #tokens: ReadonlyArray<Token>
  readonly #limits: TemplateLimits
  readonly #report: (problem: Problem) => void
  #at: number

  constructor(tokens: ReadonlyArray<Token>, from: number, limits: TemplateLimits, report: (problem: Problem) => void) {
    this.#tokens = tokens
    this.#at = from
    this.#limits = limits
    this.#report = report
  }

  read(): Expression | undefined {
    const isSurplus = this.#tokens[this.#at]?.kind === ")"
    const expression = this.#values(0)
    const rest = this.#tokens[this.#at]
    if ((expression === undefined && !isSurplus) || rest === undefined) return expression
    return this.#refuse("unexpected-parenthesis", 'this ")" has no "("', rest)
  }

  #refuse(code: Problem["code"], message: string, at: Span | Token, hint?: string): undefined {
    this.#report({ code, message, hint, ...span(at) })
    return undefined
  }

  /** A value, or a function with its arguments, up to a `)` or the end. */
  #values(depth: number): Expression | undefined {
    const head = this.#tokens[this.#at]
    if (head === undefined || head.kind === ")") return undefined
    const isCall = head.kind === "word" && !isLiteralWord(head.text) && !Words.keywords.has(head.text)
    if (!isCall) {
      const value = this.#value(depth)
      const next = this.#tokens[this.#at]
      if (value === undefined || next === undefined || next.kind === ")") return value
      return this.#refuse("unexpected-argument", `${shown(head)} takes nothing after it`, next)
    }
    this.#at += 1
    const values: Array<Expression> = []
    let end = head.end
    for (;;) {
      const next = this.#tokens[this.#at]
      if (next === undefined || next.kind === ")") {
        return { _tag: "Call", name: head.text, arguments: values, offset: head.offset, length: end - head.offset }
      }
      if (values.length === this.#limits.arguments) {
        return this.#refuse(
          "too-many-arguments",
          `${shown(head)} has more than ${this.#limits.arguments} arguments`,
          next
        )
      }
      const value = this.#value(depth)
      if (value === undefined) return undefined
      values.push(value)
      end = this.#tokens[this.#at - 1]?.end ?? end
    }
  }

  #value(depth: number): Expression | undefined {
    const token = this.#tokens[this.#at]
    if (token === undefined || token.kind === ")") return undefined
    this.#at += 1
    switch (token.kind) {
      case "field":
        return { _tag: "Field", path: token.path, ...span(token) }
      case "literal":
        return { _tag: "Literal", value: token.value, ...span(token) }
      case "word": {
        if (isLiteralWord(token.text)) return { _tag: "Literal", value: token.text === "true", ...span(token) }
        if (Words.keywords.has(token.text)) {
          return this.#refuse("misplaced-keyword", `${token.text} can only begin an action`, token)
        }
        return { _tag: "Call", name: token.text, arguments: [], ...span(token) }
      }
      default: {
        if (depth === this.#limits.expressionDepth) {
          return this.#refuse("too-deep", `more than ${depth} parentheses inside each other`, token)
        }
        const next = this.#tokens[this.#at]
        if (next?.kind === ")") {
          return this.#refuse("missing-value", "these parentheses are empty", {
            offset: token.offset,
            length: next.end - token.offset
          })
        }
        const inner = next === undefined ? undefined : this.#values(depth + 1)
        if (next !== undefined && inner === undefined) return undefined
        if (this.#tokens[this.#at] === undefined) {
          return this.#refuse("unclosed-parenthesis", 'this "(" has no ")"', token)
        }
        this.#at += 1
        return inner
      }
    }
  }
}

/** Replaces a condition that could not be read. The template is refused, and only the pairs of its ifs are still checked. */
const unreadable: Expression = { _tag: "Literal", value: true, offset: 0, length: 0 }

interface OpenIf {
  readonly opened: Span
  readonly branches: Array<Branch>
  otherwise: Array<Part> | undefined
  /** Whether it is `range` or another action of Go that is not supported: what is inside of it is not checked. */
  readonly isForeign: boolean
  /** The parts that contain this if. */
  readonly outside: Array<Part>
}

const trimmedEnd = (source: Source, from: number, end: number): number => {
  let at = end
  while (at > from && isSpace(source.charCodeAt(at - 1))) at -= 1
  return at
}

/**
 * Parses a whole template. `visit` is called with each expression as it is read, so that its mistakes are in the order of
 * the source and count towards the same limit. The tree is valid only when there are no issues.
 */
export const parseParts = (
  source: Source,
  limits: TemplateLimits,
  issues: Issues,
  visit: (expression: Expression) => void = () => {}
): ReadonlyArray<Part> => {
  if (source.length <= limits.length) return new TemplateParser(source, limits, issues, visit).parse()
  issues.add({
    code: "too-long",
    message: `the template has ${source.length} characters`,
    hint: `at most ${limits.length}`,
    offset: 0,
    length: 1
  })
  return []
}

/** Where reading goes on after an action or a comment. */
interface End {
  readonly at: number
  /** Whether white space is skipped there. */
  readonly trimsAfter: boolean
}

class TemplateParser {
  readonly #source: Source
  readonly #limits: TemplateLimits
  readonly #issues: Issues
  readonly #visit: (expression: Expression) => void
  readonly #root: Array<Part> = []
  readonly #open: Array<OpenIf> = []
  /** The list to which parts are added: the root, or the innermost branch. */
  #parts = this.#root
  #count = 0
  /** Number of open actions that are foreign. */
  #foreign = 0
  #isTooDeep = false
  /** Set when nothing after this point can be parsed. */
  #isTruncated = false
  // Actions that were not understood may be a misspelt if or end. Each of them accounts for one surplus or missing end,
  // which is then not reported.
  #maybeOpened = 0
  #maybeClosed = 0

  constructor(source: Source, limits: TemplateLimits, issues: Issues, visit: (expression: Expression) => void) {
    this.#source = source
    this.#limits = limits
    this.#issues = issues
    this.#visit = visit
  }

  parse(): ReadonlyArray<Part> {
    const source = this.#source
    let at = 0
    while (!this.#isOver) {
      const found = source.indexOf("{{", at)
      const offset = found === -1 ? source.length : found
      const inner = offset + 2
      const trimsBefore = source.charCodeAt(inner) === minus && isSpace(source.charCodeAt(inner + 1))
      this.#text(at, trimsBefore ? trimmedEnd(source, at, offset) : offset)
      if (found === -1 || this.#isTruncated) break

      const start = trimsBefore ? inner + 2 : inner
      const isComment = source.charCodeAt(start) === slash && source.charCodeAt(start + 1) === asterisk
      const end = isComment ? this.#comment(offset, start) : this.#action(offset, start)
      at = end.at
      if (end.trimsAfter) while (isSpace(source.charCodeAt(at))) at += 1
    }
    if (!this.#isOver) this.#reportMissingEnds()
    return this.#root
  }

  get #isOver(): boolean {
    return this.#isTruncated || this.#issues.isFull
  }

  /** Mistakes inside of a foreign action are not reported, except for a missing end of an action, text or comment. */
  #report(problem: Problem): void {
    if (this.#foreign === 0 || problem.code.startsWith("unclosed")) this.#issues.add(problem)
  }

  /** Counts one more part; returns whether the limit allows it. */
  #counted(at: Span): boolean {
    this.#count += 1
    const { parts } = this.#limits
    if (this.#count <= parts) return true
    this.#issues.add({ code: "too-many-parts", message: `the template has more than ${parts} parts`, ...at })
    this.#isTruncated = true
    return false
  }

  #text(from: number, end: number): void {
    if (from >= end) return
    const parts = this.#parts
    const text = this.#source.slice(from, end)
    const last = parts.at(-1)
    if (last?._tag === "Text") {
      parts[parts.length - 1] = { _tag: "Text", text: last.text + text }
    } else if (this.#counted({ offset: from, length: 1 })) {
      parts.push({ _tag: "Text", text })
    }
  }

  /** A comment whose `/*` is at `start`, in the action that begins at `offset`. */
  #comment(offset: number, start: number): End {
    const source = this.#source
    const close = source.indexOf("*/", start + 2)
    if (close === -1) {
      this.#issues.add({ code: "unclosed-comment", message: "this comment has no */", offset: start, length: 2 })
      this.#isTruncated = true
      return { at: source.length, trimsAfter: false }
    }
    const after = close + 2
    const trimsAfter = isSpace(source.charCodeAt(after)) && source.charCodeAt(after + 1) === minus
    const braces = trimsAfter ? after + 2 : after
    if (source.charCodeAt(braces) === closeBrace && source.charCodeAt(braces + 1) === closeBrace) {
      return { at: braces + 2, trimsAfter }
    }
    this.#report({
      code: "bad-comment",
      message: "a comment must be alone in its action",
      hint: "the braces follow */ at once: */}} or */ -}}",
      offset: start,
      length: after - start
    })
    const rest = scanAction(source, offset, after)
    this.#isTruncated = !rest.isClosed && rest.end >= source.length
    return { at: rest.end, trimsAfter: rest.trimsAfter }
  }

  #action(offset: number, start: number): End {
    const action = scanAction(this.#source, offset, start)
    this.#interpret(action, { offset, length: action.end - offset })
    if (!action.isClosed && action.end >= this.#source.length) this.#isTruncated = true
    return { at: action.end, trimsAfter: action.trimsAfter }
  }

  #interpret(action: Action, whole: Span): void {
    const head = action.tokens[0]
    const word = head?.kind === "word" ? head.text : undefined
    this.#reportProblem(action, head, word)
    const lower = word?.toLowerCase()
    if (word !== undefined && lower !== undefined && Words.keywords.has(lower)) {
      if (word !== lower) {
        this.#report({
          code: "unknown-word",
          message: `unknown word ${Display.quote(word)}`,
          hint: `did you mean ${lower}?`,
          ...span(head ?? whole)
        })
      }
      if (lower === "if") this.#if(action, whole)
      else if (lower === "else") this.#else(action, whole)
      else this.#end(action, whole)
    } else if (word !== undefined && Words.unsupportedOpeners.has(word)) this.#openIf(whole, true)
    else this.#print(action, head, word, whole)
  }

  /** What the scanner found, unless the action is refused as a whole because of its first word. */
  #reportProblem({ problem }: Action, head: Token | undefined, word: string | undefined): void {
    const isRefused = head !== undefined && word !== undefined && Words.unsupported.has(word)
    if (problem !== undefined && !(isRefused && !problem.code.startsWith("unclosed"))) this.#report(problem)
    else if (isRefused && (problem !== undefined || Words.unsupportedOpeners.has(word))) {
      this.#report({ ...Words.refusal(word), ...span(head) })
    }
  }

  #if(action: Action, whole: Span): void {
    const condition = this.#condition(action, 1, "if", whole)
    if (!this.#counted(whole)) return
    this.#openIf(whole, false)
    this.#open.at(-1)?.branches.push({ condition, parts: this.#parts })
  }

  #openIf(opened: Span, isForeign: boolean): void {
    this.#open.push({ opened, branches: [], otherwise: undefined, isForeign, outside: this.#parts })
    this.#parts = []
    if (isForeign) this.#foreign += 1
    const { ifDepth } = this.#limits
    if (this.#open.length > ifDepth && !this.#isTooDeep) {
      this.#isTooDeep = true
      this.#issues.add({ code: "too-deep", message: `more than ${ifDepth} ifs inside each other`, ...opened })
    }
  }

  #else(action: Action, whole: Span): void {
    const current = this.#open.at(-1)
    const second = action.tokens[1]
    const isElseIf = second?.kind === "word" && second.text === "if"
    if (current === undefined) {
      if (this.#maybeOpened === 0) {
        this.#report({ code: "unexpected-else", message: "this else belongs to no if", ...whole })
        this.#maybeOpened = 1
      }
      return
    }
    if (current.isForeign) return
    if (current.otherwise !== undefined) {
      this.#report({
        code: "duplicate-else",
        message: "this if already has an else",
        hint: isElseIf ? "write else if before else" : undefined,
        ...whole
      })
      if (isElseIf) this.#condition(action, 2, "else if", whole)
      return
    }
    this.#parts = []
    if (isElseIf) this.#elseIf(action, whole, current)
    else {
      if (second?.kind === "word" && second.text === "with") {
        this.#report({
          code: "unsupported",
          message: "else with is not supported",
          hint: "use else if",
          ...span(second)
        })
      } else this.#takesNothing("else", second)
      current.otherwise = this.#parts
    }
  }

  #elseIf(action: Action, whole: Span, current: OpenIf): void {
    const condition = this.#condition(action, 2, "else if", whole)
    const { elseIfs } = this.#limits
    if (current.branches.length === elseIfs + 1) {
      this.#issues.add({ code: "too-many-branches", message: `this if has more than ${elseIfs} else if`, ...whole })
    }
    current.branches.push({ condition, parts: this.#parts })
  }

  #end(action: Action, whole: Span): void {
    const current = this.#open.pop()
    if (current === undefined) {
      if (this.#maybeOpened > 0) this.#maybeOpened -= 1
      else this.#report({ code: "unexpected-end", message: "this end belongs to no if", ...whole })
      return
    }
    this.#takesNothing("end", action.tokens[1])
    this.#parts = current.outside
    if (current.isForeign) {
      this.#foreign -= 1
      return
    }
    const { branches, otherwise } = current
    this.#parts.push(otherwise === undefined ? { _tag: "If", branches } : { _tag: "If", branches, otherwise })
  }

  #print(action: Action, head: Token | undefined, word: string | undefined, whole: Span): void {
    const isNotUnderstood =
      word === undefined
        ? head === undefined && action.problem !== undefined
        : !Words.unsupported.has(word) && !Words.functions.has(word) && !isLiteralWord(word)
    if (isNotUnderstood) {
      if (word !== undefined && nearest(word, ["end"]) !== undefined) this.#maybeClosed += 1
      else if (action.tokens.length !== 1) this.#maybeOpened += 1
    }
    const expression = this.#expression(action, 0, { code: "empty-action", message: "this action is empty", ...whole })
    if (expression !== undefined && this.#counted(whole)) this.#parts.push({ _tag: "Print", expression })
  }

  #expression(action: Action, from: number, empty: Problem): Expression | undefined {
    if (action.problem !== undefined) return undefined
    if (action.tokens.length === from) {
      this.#report(empty)
      return undefined
    }
    const report = (problem: Problem) => this.#report(problem)
    const expression = new ExpressionReader(action.tokens, from, this.#limits, report).read()
    if (expression !== undefined && this.#foreign === 0) this.#visit(expression)
    return expression
  }

  #condition(action: Action, from: number, word: string, at: Span): Expression {
    const empty = { code: "missing-value", message: `${word} needs a value`, hint: `{{${word} .Name}}`, ...at } as const
    return this.#expression(action, from, empty) ?? unreadable
  }

  #takesNothing(word: string, rest: Token | undefined): void {
    if (rest === undefined) return
    this.#report({ code: "unexpected-argument", message: `${word} takes nothing after it`, ...span(rest) })
  }

  #reportMissingEnds(): void {
    for (const { isForeign, opened } of this.#open) {
      if (isForeign) continue
      if (this.#maybeClosed > 0) this.#maybeClosed -= 1
      else this.#issues.add({ code: "missing-end", message: "this if is never closed", hint: "add {{end}}", ...opened })
    }
  }
}
