import { Arbitrary, Result, Schema } from "effect"
import { readFileSync } from "node:fs"
import { MessageTemplate, type TemplateError, TemplateFields, type TemplateSyntax } from "../src/index.ts"

/** The data of the vectors, under the keys of the data, and one open field. */
export const types = {
  name: "text",
  namespace: "text",
  operation: "text",
  serviceClass: "text",
  error: "text",
  stepId: "text",
  stepTool: "text",
  conditionResult: "text",
  executionId: "text",
  duration: "duration",
  stepCount: "count",
  toolNames: "list",
  allowFailure: "flag",
  arguments: "open"
} as const satisfies { readonly [key: string]: TemplateFields.FieldType }

export const fields = Result.getOrThrow(TemplateFields.make(types))

/** The same fields, each with a reading function of its own. */
export const fieldsWithGetters = Result.getOrThrow(
  TemplateFields.make(types, {
    get: Object.fromEntries(
      Object.keys(types).map((key) => [
        key,
        (data: object) => (Object.hasOwn(data, key) ? (data as Record<string, unknown>)[key] : undefined)
      ])
    )
  })
)

export const compile = (source: string, options?: MessageTemplate.CompileOptions): MessageTemplate.MessageTemplate =>
  Result.getOrThrow(MessageTemplate.compile(source, fields, options))

export const render = (source: string, data: object): string => compile(source).render(data)

export const refusal = (source: string, options?: MessageTemplate.CompileOptions): TemplateError.TemplateError =>
  Result.getOrThrow(Result.flip(MessageTemplate.compile(source, fields, options)))

/** Each issue as `line:column code message (hint)`. */
export const issues = (source: string, options?: MessageTemplate.CompileOptions): ReadonlyArray<string> =>
  refusal(source, options).issues.map(
    (issue) =>
      `${issue.line}:${issue.column} ${issue.code} ${issue.message}${issue.hint === undefined ? "" : ` (${issue.hint})`}`
  )

/** The lines of a fixture in JSON Lines. */
export const fixture = (name: string): ReadonlyArray<unknown> =>
  readFileSync(new URL(`fixtures/${name}`, import.meta.url), "utf8")
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line) as unknown)

export interface Vector {
  readonly id: string
  readonly kind: string
  readonly template: string
  readonly data: { readonly [name: string]: unknown }
  readonly expected: string | null
  readonly recommended: "render" | "reject"
}

export const vectors = fixture("templates.jsonl") as ReadonlyArray<Vector>

/** The data of a vector under the keys of the data. */
export const dataOf = (vector: Vector): { readonly [key: string]: unknown } =>
  Object.fromEntries(Object.entries(vector.data).map(([name, value]) => [fields[name]?.key ?? name, value]))

// ---- random templates -----------------------------------------------------------------------------------------------

/** Numbers that decide, one after another, what a template becomes. Fewer and smaller numbers make a simpler one. */
class Choices {
  readonly #numbers: ReadonlyArray<number>
  #at = 0

  constructor(numbers: ReadonlyArray<number>) {
    this.#numbers = numbers
  }

  get isSpent(): boolean {
    return this.#at >= this.#numbers.length
  }

  below(limit: number): number {
    const number = this.#numbers[this.#at] ?? 0
    this.#at += 1
    return number % limit
  }

  one<A>(options: readonly [A, ...ReadonlyArray<A>]): A {
    return options[this.below(options.length)] ?? options[0]
  }
}

const numbers = (maxLength: number): Arbitrary.Arbitrary<Array<number>> =>
  Arbitrary.array(Arbitrary.schema(Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 9999 }))), { maxLength })

/** A piece of a template: whole actions, and the text between them. */
export interface Piece {
  readonly kind: "text" | "print" | "if" | "else if" | "else" | "end" | "comment"
  readonly source: string
}

const texts = [
  ".Name",
  ".Error",
  ".StepID",
  ".ConditionResult",
  '"a b"',
  '""',
  '"}}"',
  "`{{`",
  '"\\n\\"é\\u00e9"'
] as const
const wholes = [".StepCount", ".Duration", "3", "0", "-1", "(len .ToolNames)", "1500000000"] as const
const flags = [".AllowFailure", "true", "false"] as const

const group = (expression: string): string => (/\s/.test(expression) ? `(${expression})` : expression)

const comparison = (choices: Choices): string => {
  switch (choices.below(3)) {
    case 0:
      return `${choices.one(["eq", "ne"])} ${choices.one(texts)} ${choices.one(texts)}`
    case 1:
      return `${choices.one(["eq", "ne", "lt", "le", "gt", "ge"])} ${choices.one(wholes)} ${choices.one(wholes)}`
    default:
      return `eq ${choices.one(flags)} ${choices.one(flags)} ${choices.one(flags)}`
  }
}

const expression = (choices: Choices, depth: number): string => {
  const kind = depth === 0 ? choices.below(4) : choices.below(8)
  switch (kind) {
    case 0:
      return choices.one(texts)
    case 1:
      return choices.one([".StepCount", ".Duration", "len .ToolNames", "7"])
    case 2:
      return choices.one([".ToolNames", ".AllowFailure", "true", "false"])
    case 3:
      return choices.one([".Name", ".Arguments.region", ".Arguments.retries", ".Error"])
    case 4:
      return `not ${group(expression(choices, depth - 1))}`
    case 5:
      return comparison(choices)
    default: {
      const values = Array.from({ length: 1 + choices.below(3) }, () => group(expression(choices, depth - 1)))
      return [kind === 6 ? "and" : "or", ...values].join(" ")
    }
  }
}

const text = (choices: Choices): string =>
  choices.one(["step ", " ", "a", "\n  ", "}", "é👩‍👩‍👧", " {", "{ ", "}}", "\t", "$1 \\ %s", "__proto__"])

const pieces = (choices: Choices, depth: number): ReadonlyArray<Piece> => {
  const left = (): string => choices.one(["{{", "{{", "{{", "{{ ", "{{- ", "{{-\n"])
  const right = (): string => choices.one(["}}", "}}", "}}", " }}", " -}}", "\t\n-}}"])
  const action = (kind: Piece["kind"], body: string): Piece => ({ kind, source: left() + body + right() })
  const made: Array<Piece> = []
  const count = 1 + choices.below(4)
  for (let index = 0; index < count && !(index > 0 && choices.isSpent); index++) {
    const kind = choices.below(depth === 0 ? 5 : 9)
    if (kind < 2) {
      made.push({ kind: "text", source: text(choices) })
    } else if (kind < 4) {
      made.push(action("print", expression(choices, 2)))
    } else if (kind === 4) {
      made.push({ kind: "comment", source: choices.one(["{{/* c */}}", "{{- /* }} {{.No}} */ -}}", "{{/**/}}"]) })
    } else {
      made.push(action("if", `if ${expression(choices, 1)}`), ...pieces(choices, depth - 1))
      while (choices.below(4) === 1) {
        made.push(action("else if", `else if ${expression(choices, 1)}`), ...pieces(choices, depth - 1))
      }
      if (choices.below(2) === 1) made.push(action("else", "else"), ...pieces(choices, depth - 1))
      made.push(action("end", "end"))
    }
  }
  return made
}

/** A text that ends in `{` would lend its brace to the next action. */
const joined = (all: ReadonlyArray<Piece>): ReadonlyArray<Piece> =>
  all.filter((piece, index) => !(piece.source.endsWith("{") && all[index + 1]?.source.startsWith("{")))

/** Valid templates, in pieces. */
export const templates: Arbitrary.Arbitrary<ReadonlyArray<Piece>> = Arbitrary.map(numbers(160), (some) => {
  let all = pieces(new Choices(some), 3)
  for (;;) {
    const next = joined(all)
    if (next.length === all.length) return all
    all = next
  }
})

export const sourceOf = (all: ReadonlyArray<Piece>): string => all.map((piece) => piece.source).join("")

const soup = [
  ..."{{ }} {{ }} {{- -}} if else end range with and or not eq lt len true nil . .Name .StepCount .Nope Name ( )".split(
    " "
  ),
  ...' |\n|\t|\u00a0|"|`|"a"|`b`|"\\q"|"\\u12"|\'c\'|$x|:=|,|!|/*|*/|{{/* c */}}|{|}|é|日本|👩‍👩‍👧|-|+|\\|1.5|0x1'.split(
    "|"
  ),
  " |",
  " ",
  ".Arguments",
  ".Arguments.a.b",
  "9007199254740993",
  "\u001b[31m",
  "\ud800"
] as const

/** Words and signs of the language in any order: mostly wrong, always worth reading to the end. */
export const tokenSoup: Arbitrary.Arbitrary<string> = Arbitrary.map(
  Arbitrary.array(Arbitrary.schema(Schema.Literals(soup)), { maxLength: 60 }),
  (tokens) => tokens.join("")
)

/** Valid templates with some characters taken out, doubled or swapped. */
export const damaged: Arbitrary.Arbitrary<string> = Arbitrary.map(
  Arbitrary.all([templates, numbers(6)]),
  ([all, some]) => {
    const choices = new Choices(some)
    const characters = [...sourceOf(all)]
    while (!choices.isSpent) {
      const at = choices.below(characters.length + 1)
      const how = choices.below(3)
      if (how === 0) characters.splice(at, 1)
      else if (how === 1) characters.splice(at, 0, choices.one(soup as unknown as readonly [string]))
      else characters.splice(at, 1, ...characters.slice(0, 1))
    }
    return characters.join("")
  }
)

// ---- random data ----------------------------------------------------------------------------------------------------

const words = [
  "",
  "a",
  "deploy app",
  "{{.Error}}",
  "{{end}}",
  "}}",
  "{{/*",
  "é👩‍👩‍👧",
  "false",
  "0",
  "$& \\",
  "\u001b[31m",
  "\n"
] as const

/** Data of the declared types, some of it missing. */
export const data: Arbitrary.Arbitrary<{ readonly [key: string]: unknown }> = Arbitrary.map(numbers(40), (some) => {
  const choices = new Choices(some)
  const made: Record<string, unknown> = {}
  for (const [key, type] of Object.entries(types)) {
    if (choices.below(3) === 1) continue
    switch (type) {
      case "duration":
        made[key] = choices.one([0, -5, 1, 1500, 90_500_000_000, 3n, 9007199254740993n, "1m30.5s", "-2s", "soon", 0.2])
        break
      case "count":
        made[key] = choices.one([0, -1, 1, 3, 1_234_567, 2.5, Number.NaN])
        break
      case "list":
        made[key] = choices.one([[], [""], ["a"], ["a", "b, c"], ["{{", "}}"], ["a", 5, "b"]])
        break
      case "flag":
        made[key] = choices.one([true, false, null, "true"])
        break
      case "open":
        made[key] = choices.one<unknown>([
          {},
          { region: "eu", retries: 3 },
          { region: false, retries: 0 },
          { region: [] },
          ["a"]
        ])
        break
      default:
        made[key] = choices.one(words)
    }
  }
  return made
})

const trap = (): never => {
  throw new Error("a trap in the data")
}
const revoked = (): unknown => {
  const { proxy, revoke } = Proxy.revocable({}, {})
  revoke()
  return proxy
}

/** Values that no type allows. */
export const hostileValues: ReadonlyArray<() => unknown> = [
  () => undefined,
  () => null,
  () => Number.NaN,
  () => Number.POSITIVE_INFINITY,
  () => -0,
  () => 1e300,
  () => 10n ** 400n,
  () => -1n,
  () => Symbol("s"),
  () => trap,
  () => ({ toString: trap, valueOf: trap, [Symbol.toPrimitive]: trap, length: 3 }),
  () => Object.create(null),
  () => [{ toString: trap }, undefined, 5, "a"],
  () => Array.from({ length: 65_536 }),
  () => Object.assign([], { length: 4_294_967_295 }),
  () => new Proxy([], { get: trap }),
  () => new Proxy({}, { get: trap, getOwnPropertyDescriptor: trap, ownKeys: trap, has: trap, getPrototypeOf: trap }),
  () => Object.defineProperty({}, "region", { enumerable: true, get: trap }),
  () => Object.defineProperty([], 0, { enumerable: true, get: trap }),
  revoked,
  () => "x".repeat(100_000),
  () => "\ud83d".repeat(3000),
  () => `${"9".repeat(50_000)}h`,
  () => `.${"0".repeat(50_000)}1s`,
  () => new Date(0),
  () => new Map([["region", "x"]])
]

/**
 * Data with hostile values, getters that throw, proxies, and no data at all. In a function, because whoever only looks at
 * it may step into a trap.
 */
export const hostileData: Arbitrary.Arbitrary<() => object> = Arbitrary.map(numbers(40), (some) => () => {
  const choices = new Choices(some)
  const made: Record<string, unknown> = {}
  for (const key of Object.keys(types)) {
    const value = hostileValues[choices.below(hostileValues.length)]
    const how = choices.below(6)
    if (how === 0) Object.defineProperty(made, key, { enumerable: true, get: trap })
    else if (how < 5) made[key] = value?.()
  }
  switch (choices.below(8)) {
    case 0:
      return new Proxy(made, { get: trap })
    case 1:
      return new Proxy(made, { getPrototypeOf: trap, getOwnPropertyDescriptor: trap })
    case 2:
      return Object.create({ name: "inherited" }, Object.getOwnPropertyDescriptors(made)) as object
    case 3:
      return hostileValues[choices.below(hostileValues.length)]?.() as object
    default:
      return made
  }
})

/** A tree without positions, to compare two of them. */
export const withoutPlaces = (parts: ReadonlyArray<TemplateSyntax.Part>): unknown =>
  JSON.parse(JSON.stringify(parts, (key, value: unknown) => (key === "offset" || key === "length" ? undefined : value)))
