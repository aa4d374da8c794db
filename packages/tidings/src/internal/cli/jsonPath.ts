/**
 * JSONPath templates as kubectl has them: `{range .items[*]}{.reason}{"\n"}{end}`. Loaded where one is given.
 *
 * @internal
 */
import * as Predicate from "effect/Predicate"
import * as Result from "effect/Result"

type Step =
  | { readonly _tag: "Field"; readonly name: string }
  | { readonly _tag: "Each" }
  | { readonly _tag: "Descend" }
  | { readonly _tag: "Slice"; readonly from: number | undefined; readonly to: number | undefined; readonly by: number }
  | { readonly _tag: "Index"; readonly index: number }
  | { readonly _tag: "Union"; readonly steps: ReadonlyArray<Step> }
  | { readonly _tag: "Filter"; readonly test: (value: unknown) => boolean }

/** @internal */
export type Path = ReadonlyArray<Step>

type Node =
  | { readonly _tag: "Text"; readonly text: string }
  | { readonly _tag: "Value"; readonly path: Path; readonly isRoot: boolean }
  | { readonly _tag: "Range"; readonly path: Path; readonly isRoot: boolean; readonly nodes: ReadonlyArray<Node> }

/** @internal */
export type Template = ReadonlyArray<Node>

class Wrong extends Error {}

const wrong = (text: string): never => {
  throw new Wrong(text)
}

// ---------------------------------------------------------------------------
// paths
// ---------------------------------------------------------------------------

const children = (value: unknown): ReadonlyArray<unknown> =>
  Array.isArray(value) ? value : Predicate.isReadonlyObject(value) ? Object.values(value) : []

const descendants = (value: unknown): ReadonlyArray<unknown> => [value, ...children(value).flatMap(descendants)]

const take = (value: unknown, step: Step): ReadonlyArray<unknown> => {
  switch (step._tag) {
    case "Field":
      return Predicate.isReadonlyObject(value) && Object.hasOwn(value, step.name) ? [value[step.name]] : []
    case "Each":
      return children(value)
    case "Descend":
      return descendants(value)
    case "Index":
      return Array.isArray(value) && value.at(step.index) !== undefined ? [value.at(step.index)] : []
    case "Slice":
      return Array.isArray(value) ? value.slice(step.from, step.to).filter((_, index) => index % step.by === 0) : []
    case "Union":
      return step.steps.flatMap((one) => take(value, one))
    case "Filter":
      return children(value).filter(step.test)
  }
}

/**
 * The values that a path leads to.
 *
 * @internal
 */
export const select = (path: Path, value: unknown): ReadonlyArray<unknown> => {
  let found: ReadonlyArray<unknown> = [value]
  for (const step of path) found = found.flatMap((one) => take(one, step))
  return found
}

const literalOf = (text: string): unknown => {
  const quoted = /^'((?:[^'\\]|\\.)*)'$|^"((?:[^"\\]|\\.)*)"$/su.exec(text)
  if (quoted !== null) return unescaped(quoted[1] ?? quoted[2] ?? "")
  if (text === "true" || text === "false") return text === "true"
  return text !== "" && Number.isFinite(Number(text)) ? Number(text) : wrong(`${JSON.stringify(text)} is no value`)
}

const compare = (left: unknown, operator: string, right: unknown): boolean => {
  if (operator === "==") return left === right
  if (operator === "!=") return left !== right
  if (
    (typeof left !== "number" || typeof right !== "number") &&
    (typeof left !== "string" || typeof right !== "string")
  ) {
    return false
  }
  switch (operator) {
    case "<":
      return left < right
    case "<=":
      return left <= right
    case ">":
      return left > right
    default:
      return left >= right
  }
}

const COMPARISON = /^(@(?:"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|[^"'=!<>])*?)\s*(==|!=|<=|>=|<|>)\s*(.+)$/su

const filterOf = (text: string): Step => {
  const compared = COMPARISON.exec(text.trim())
  if (compared === null) {
    if (!text.trim().startsWith("@")) return wrong(`the filter ${JSON.stringify(text)} does not begin with @`)
    const path = pathOf(text.trim().slice(1))
    return { _tag: "Filter", test: (value) => select(path, value).length > 0 }
  }
  const path = pathOf(compared[1]!.trim().slice(1))
  const operator = compared[2]!
  const right = compared[3]!.trim()
  if (right.startsWith("@")) {
    const other = pathOf(right.slice(1))
    return { _tag: "Filter", test: (value) => compare(select(path, value)[0], operator, select(other, value)[0]) }
  }
  const literal = literalOf(right)
  return { _tag: "Filter", test: (value) => compare(select(path, value)[0], operator, literal) }
}

const inBrackets = (text: string): Step => {
  const inside = text.trim()
  if (inside === "*") return { _tag: "Each" }
  const filter = /^\?\s*\((.*)\)$/su.exec(inside)
  if (filter !== null) return filterOf(filter[1]!)
  const parts = inside.match(/'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"|[^,]+/gsu)?.map((part) => part.trim()) ?? []
  if (parts.length > 1) return { _tag: "Union", steps: parts.map(inBrackets) }
  if (/^['"]/.test(inside)) return { _tag: "Field", name: String(literalOf(inside)) }
  if (/^-?\d+$/.test(inside)) return { _tag: "Index", index: Number(inside) }
  const slice = /^(-?\d+)?\s*:\s*(-?\d+)?\s*(?::\s*([1-9]\d*))?$/.exec(inside)
  if (slice === null) return wrong(`[${inside}] is neither an index, a name, a range nor a filter`)
  const [, from, to, by = "1"] = slice
  return {
    _tag: "Slice",
    from: from === undefined ? undefined : Number(from),
    to: to === undefined ? undefined : Number(to),
    by: Number(by)
  }
}

/** Where the bracket that opens at `at` closes, quoted texts aside. */
const closing = (text: string, at: number): number => {
  let depth = 0
  for (let index = at; index < text.length; index++) {
    const character = text[index]!
    if (character === "'" || character === '"') {
      const end = endOfQuote(text, index)
      index = end
    } else if (character === "[") depth++
    else if (character === "]" && --depth === 0) return index
  }
  return wrong(`"[" is not closed in ${JSON.stringify(text)}`)
}

const endOfQuote = (text: string, at: number): number => {
  for (let index = at + 1; index < text.length; index++) {
    if (text[index] === "\\") index++
    else if (text[index] === text[at]) return index
  }
  return wrong(`a quotation is not closed in ${JSON.stringify(text)}`)
}

const NAME = /^(?:[^.[\]\\\s]|\\.)+/su

const pathOf = (text: string): Path => {
  const steps: Array<Step> = []
  let at = 0
  while (at < text.length) {
    if (text[at] === "[") {
      const end = closing(text, at)
      steps.push(inBrackets(text.slice(at + 1, end)))
      at = end + 1
      continue
    }
    if (text.startsWith("..", at)) {
      steps.push({ _tag: "Descend" })
      at += 2
    } else if (text[at] === ".") at++
    if (at >= text.length || text[at] === "[") continue
    const name = NAME.exec(text.slice(at))?.[0]
    if (name === undefined) return wrong(`${JSON.stringify(text.slice(at))} is no path`)
    steps.push(name === "*" ? { _tag: "Each" } : { _tag: "Field", name: name.replace(/\\(.)/gsu, "$1") })
    at += name.length
  }
  return steps
}

const ESCAPES: { readonly [character: string]: string } = { n: "\n", t: "\t", r: "\r" }

const unescaped = (text: string): string =>
  text.replace(/\\(.)/gsu, (_, character: string) => ESCAPES[character] ?? character)

// ---------------------------------------------------------------------------
// templates
// ---------------------------------------------------------------------------

/** Where the brace that opens at `at` closes, quoted texts aside. */
const closingBrace = (text: string, at: number): number => {
  for (let index = at + 1; index < text.length; index++) {
    if (text[index] === "'" || text[index] === '"') index = endOfQuote(text, index)
    else if (text[index] === "}") return index
  }
  return wrong(`"{" is not closed in ${JSON.stringify(text)}`)
}

const rooted = (written: string): { readonly path: Path; readonly isRoot: boolean } => {
  const isRoot = written.startsWith("$")
  return { isRoot, path: pathOf(/^[$@]/.test(written) ? written.slice(1) : written) }
}

const templateOf = (text: string): Template => {
  const root: Array<Node> = []
  const open: Array<{ readonly nodes: Array<Node>; readonly range: string }> = []
  let nodes = root
  for (let at = 0; at < text.length;) {
    if (text[at] !== "{") {
      const next = text.indexOf("{", at)
      const end = next === -1 ? text.length : next
      nodes.push({ _tag: "Text", text: text.slice(at, end) })
      at = end
      continue
    }
    const end = closingBrace(text, at)
    const inside = text.slice(at + 1, end).trim()
    at = end + 1
    if (inside === "end") {
      const range = open.pop() ?? wrong("{end} without {range}")
      const inner = nodes
      nodes = range.nodes
      nodes.push({ _tag: "Range", ...rooted(range.range), nodes: inner })
    } else if (/^range\s/.test(inside)) {
      open.push({ nodes, range: inside.slice("range".length).trim() })
      nodes = []
    } else if (/^['"]/.test(inside)) nodes.push({ _tag: "Text", text: String(literalOf(inside)) })
    else nodes.push({ _tag: "Value", ...rooted(inside) })
  }
  return open.length === 0 ? root : wrong("{range} without {end}")
}

const reading = <A>(read: () => A): Result.Result<A, string> => {
  try {
    return Result.succeed(read())
  } catch (error) {
    if (error instanceof Wrong) return Result.fail(error.message)
    throw error
  }
}

/**
 * Reads a template; the failure says what is wrong with it.
 *
 * @internal
 */
export const parse = (text: string): Result.Result<Template, string> =>
  reading(() => (text.includes("{") ? templateOf(text) : [{ _tag: "Value", ...rooted(text) }]))

/**
 * Reads a path as `custom-columns` and `--sort-by` take it: `.metadata.name`, `metadata.name` or `{.metadata.name}`.
 *
 * @internal
 */
export const parsePath = (text: string): Result.Result<Path, string> =>
  reading(() => {
    const bare = /^\{(.*)\}$/su.exec(text.trim())?.[1] ?? text.trim()
    return bare === "" ? wrong("a path is empty") : pathOf(bare.replace(/^[$@]/, ""))
  })

/**
 * A value as text: lists and objects as JSON.
 *
 * @internal
 */
export const textOf = (value: unknown): string =>
  typeof value === "string" ? value : value === null || value === undefined ? "" : JSON.stringify(value)

/**
 * The text that a template makes of a value. `show` makes the texts of values fit to be printed; what the template itself says is
 * printed as it is.
 *
 * @internal
 */
export const render = (template: Template, root: unknown, show: (text: string) => string): string => {
  const walk = (nodes: Template, current: unknown): string =>
    nodes
      .map((node) => {
        switch (node._tag) {
          case "Text":
            return node.text
          case "Value":
            return select(node.path, node.isRoot ? root : current)
              .map((value) => show(textOf(value)))
              .join(" ")
          case "Range":
            return select(node.path, node.isRoot ? root : current)
              .map((value) => walk(node.nodes, value))
              .join("")
        }
      })
      .join("")
  return walk(template, root)
}
