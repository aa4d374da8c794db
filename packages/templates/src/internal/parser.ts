/**
 * Reads a template into its tree, with an explicit stack of open ifs.
 *
 * @internal
 */
import { nearest } from "../Suggestion.ts"
import type { TemplateLimits } from "../TemplateLimits.ts"
import type { Branch, Expression, If, Part, Span } from "./syntaxTree.ts"
import * as Display from "./display.ts"
import type { Issues, Problem } from "./issues.ts"
import { type Action, isSpace, scanAction, type Source, type Token } from "./scanner.ts"
import * as Words from "./words.ts"

const span = (token: Span | Token): Span =>
  "end" in token ? { offset: token.offset, length: token.end - token.offset } : token

const isLiteralWord = (text: string): boolean => text === "true" || text === "false"

/** As an error names a token: `.Name`, `"a text"`, `eq`. */
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

/** One expression out of the tokens of an action. Stops at the first mistake: the rest would be guesswork. */
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

/** Stands for a condition that could not be read: the template is refused, only its ifs must still pair up. */
const unreadable: Expression = { _tag: "Literal", value: true, offset: 0, length: 0 }

interface OpenIf {
  readonly opened: Span
  readonly branches: Array<Branch>
  otherwise: Array<Part> | undefined
  /** Of `range` and the like: what stands inside has another meaning there and is not judged. */
  readonly isForeign: boolean
  /** Where the enclosing parts go on. */
  readonly outside: Array<Part>
}

const trimmedEnd = (source: Source, from: number, end: number): number => {
  let at = end
  while (at > from && isSpace(source.charCodeAt(at - 1))) at -= 1
  return at
}

/**
 * Reads a whole template. `visit` gets each expression as it is read, so that its mistakes stand in the order of the
 * source and count towards the same limit. The tree has meaning only when there were no issues.
 */
export const parseParts = (
  source: Source,
  limits: TemplateLimits,
  issues: Issues,
  visit: (expression: Expression) => void = () => {}
): ReadonlyArray<Part> => {
  if (source.length > limits.length) {
    issues.add({
      code: "too-long",
      message: `the template has ${source.length} characters`,
      hint: `at most ${limits.length}`,
      offset: 0,
      length: 1
    })
    return []
  }

  const root: Array<Part> = []
  const open: Array<OpenIf> = []
  let parts = root
  let count = 0
  let foreign = 0
  let tooDeep = false
  let truncated = false
  // Actions that nobody understood may have been meant as an if or an end: they explain one surplus or missing end each.
  let maybeOpened = 0
  let maybeClosed = 0

  const report = (problem: Problem): void => {
    if (foreign === 0 || problem.code.startsWith("unclosed")) issues.add(problem)
  }

  const counted = (at: Span): boolean => {
    count += 1
    if (count <= limits.parts) return true
    issues.add({ code: "too-many-parts", message: `the template has more than ${limits.parts} parts`, ...at })
    truncated = true
    return false
  }

  const addText = (from: number, end: number): void => {
    if (from >= end) return
    const text = source.slice(from, end)
    const last = parts.at(-1)
    if (last?._tag === "Text") {
      parts[parts.length - 1] = { _tag: "Text", text: last.text + text }
    } else if (counted({ offset: from, length: 1 })) {
      parts.push({ _tag: "Text", text })
    }
  }

  const readExpression = (action: Action, from: number, empty: Problem): Expression | undefined => {
    if (action.problem !== undefined) return undefined
    if (action.tokens.length === from) {
      report(empty)
      return undefined
    }
    const expression = new ExpressionReader(action.tokens, from, limits, report).read()
    if (expression !== undefined && foreign === 0) visit(expression)
    return expression
  }

  const readCondition = (action: Action, from: number, word: string, at: Span): Expression =>
    readExpression(action, from, {
      code: "missing-value",
      message: `${word} needs a value`,
      hint: `{{${word} .Name}}`,
      ...at
    }) ?? unreadable

  const takesNothing = (word: string, rest: Token | undefined): void => {
    if (rest !== undefined) {
      report({ code: "unexpected-argument", message: `${word} takes nothing after it`, ...span(rest) })
    }
  }

  const openIf = (opened: Span, isForeign: boolean): void => {
    const branch: Array<Part> = []
    open.push({ opened, branches: [], otherwise: undefined, isForeign, outside: parts })
    parts = branch
    if (isForeign) foreign += 1
    if (open.length > limits.ifDepth && !tooDeep) {
      tooDeep = true
      issues.add({ code: "too-deep", message: `more than ${limits.ifDepth} ifs inside each other`, ...opened })
    }
  }

  const onIf = (action: Action, opened: Span): void => {
    const condition = readCondition(action, 1, "if", opened)
    if (!counted(opened)) return
    openIf(opened, false)
    open.at(-1)?.branches.push({ condition, parts })
  }

  const onElse = (action: Action, opened: Span): void => {
    const current = open.at(-1)
    const second = action.tokens[1]
    const isElseIf = second?.kind === "word" && second.text === "if"
    if (current === undefined) {
      if (maybeOpened === 0) {
        report({ code: "unexpected-else", message: "this else belongs to no if", ...opened })
        maybeOpened = 1
      }
      return
    }
    if (current.isForeign) return
    if (current.otherwise !== undefined) {
      report({
        code: "duplicate-else",
        message: "this if already has an else",
        hint: isElseIf ? "else if stands before else" : undefined,
        ...opened
      })
      if (isElseIf) readCondition(action, 2, "else if", opened)
      return
    }
    parts = []
    if (!isElseIf) {
      if (second?.kind === "word" && second.text === "with") {
        report({ code: "unsupported", message: "else with is not supported", hint: "use else if", ...span(second) })
      } else {
        takesNothing("else", second)
      }
      current.otherwise = parts
      return
    }
    const condition = readCondition(action, 2, "else if", opened)
    if (current.branches.length === limits.elseIfs + 1) {
      issues.add({
        code: "too-many-branches",
        message: `this if has more than ${limits.elseIfs} else if`,
        ...opened
      })
    }
    current.branches.push({ condition, parts })
  }

  const onEnd = (action: Action, opened: Span): void => {
    const current = open.pop()
    if (current === undefined) {
      if (maybeOpened > 0) maybeOpened -= 1
      else report({ code: "unexpected-end", message: "this end belongs to no if", ...opened })
      return
    }
    takesNothing("end", action.tokens[1])
    parts = current.outside
    if (current.isForeign) {
      foreign -= 1
      return
    }
    const { branches, otherwise } = current
    const node: If = otherwise === undefined ? { _tag: "If", branches } : { _tag: "If", branches, otherwise }
    parts.push(node)
  }

  const onAction = (action: Action, offset: number): void => {
    const whole = { offset, length: action.end - offset }
    const head = action.tokens[0]
    const word = head?.kind === "word" ? head.text : undefined
    const refused = head !== undefined && word !== undefined && Words.unsupported.has(word)
    if (action.problem !== undefined && !(refused && !action.problem.code.startsWith("unclosed"))) {
      report(action.problem)
    } else if (refused && (action.problem !== undefined || Words.unsupportedOpeners.has(word))) {
      report({ ...Words.refusal(word), ...span(head) })
    }
    const lower = word?.toLowerCase()
    if (word !== undefined && lower !== undefined && Words.keywords.has(lower)) {
      if (word !== lower) {
        report({
          code: "unknown-word",
          message: `unknown word ${Display.quote(word)}`,
          hint: `did you mean ${lower}?`,
          ...span(head ?? whole)
        })
      }
      if (lower === "if") onIf(action, whole)
      else if (lower === "else") onElse(action, whole)
      else onEnd(action, whole)
      return
    }
    if (word !== undefined && Words.unsupportedOpeners.has(word)) {
      openIf(whole, true)
      return
    }
    const isPuzzling =
      word === undefined
        ? head === undefined && action.problem !== undefined
        : !refused && !Words.functions.has(word) && !isLiteralWord(word)
    if (isPuzzling) {
      if (word !== undefined && nearest(word, ["end"]) !== undefined) maybeClosed += 1
      else if (action.tokens.length !== 1) maybeOpened += 1
    }
    const expression = readExpression(action, 0, { code: "empty-action", message: "this action is empty", ...whole })
    if (expression !== undefined && counted(whole)) parts.push({ _tag: "Print", expression })
  }

  let at = 0
  while (!truncated && !issues.isFull) {
    const found = source.indexOf("{{", at)
    const offset = found === -1 ? source.length : found
    const inner = offset + 2
    const trimsBefore = source.charCodeAt(inner) === 0x2d && isSpace(source.charCodeAt(inner + 1))
    addText(at, trimsBefore ? trimmedEnd(source, at, offset) : offset)
    if (found === -1 || truncated) break

    const start = trimsBefore ? inner + 2 : inner
    let trimsAfter = false
    if (source.charCodeAt(start) === 0x2f && source.charCodeAt(start + 1) === 0x2a) {
      const close = source.indexOf("*/", start + 2)
      const after = close + 2
      trimsAfter = close !== -1 && isSpace(source.charCodeAt(after)) && source.charCodeAt(after + 1) === 0x2d
      const braces = trimsAfter ? after + 2 : after
      if (close === -1) {
        issues.add({ code: "unclosed-comment", message: "this comment has no */", offset: start, length: 2 })
        truncated = true
      } else if (source.charCodeAt(braces) === 0x7d && source.charCodeAt(braces + 1) === 0x7d) {
        at = braces + 2
      } else {
        report({
          code: "bad-comment",
          message: "a comment must be alone in its action",
          hint: "the braces follow */ at once: */}} or */ -}}",
          offset: start,
          length: after - start
        })
        const rest = scanAction(source, offset, after)
        at = rest.end
        trimsAfter = rest.trimsAfter
        truncated = !rest.isClosed && rest.end >= source.length
      }
    } else {
      const action = scanAction(source, offset, start)
      at = action.end
      trimsAfter = action.trimsAfter
      onAction(action, offset)
      if (!action.isClosed && action.end >= source.length) truncated = true
    }
    if (trimsAfter) while (isSpace(source.charCodeAt(at))) at += 1
  }

  if (!truncated && !issues.isFull) {
    for (const { opened, isForeign } of open) {
      if (isForeign) continue
      if (maybeClosed > 0) maybeClosed -= 1
      else issues.add({ code: "missing-end", message: "this if is never closed", hint: "add {{end}}", ...opened })
    }
  }
  return root
}
