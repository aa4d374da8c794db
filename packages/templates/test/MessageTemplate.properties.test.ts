import { assert, describe, it } from "@effect/vitest"
import { Arbitrary, Result, Schema } from "effect"
import { MessageTemplate, TemplateError, TemplateSyntax } from "../src/index.ts"
import { interpret } from "./interpreter.ts"
import {
  compile,
  damaged,
  data,
  fields,
  fieldsWithGetters,
  hostileData,
  type Piece,
  refusal,
  sourceOf,
  templates,
  tokenSoup
} from "./support.ts"

const many = { arbitrary: { runs: 500, size: 160 } }
const wide = { limits: { length: 65_536, parts: 65_536 } }

const piecesOf = (pieces: ReadonlyArray<Piece>): ReadonlyArray<Piece & { readonly offset: number }> => {
  let offset = 0
  return pieces.map((piece) => {
    const placed = { ...piece, offset }
    offset += piece.source.length
    return placed
  })
}

describe("compile", () => {
  const readsOrRefuses = (source: string): void => {
    const result = MessageTemplate.compile(source, fields)
    if (Result.isSuccess(result)) {
      assert.strictEqual(typeof result.success.render({}), "string")
      return
    }
    const error = result.failure
    assert.instanceOf(error, TemplateError.TemplateError)
    assert.isAtLeast(error.issues.length, 1)
    assert.isAtMost(error.issues.length, 20)
    assert.isAbove(error.message.length, 0)
    let last = 0
    for (const issue of error.issues) {
      assert.isAtLeast(issue.offset, last)
      assert.isAtLeast(issue.length, 1)
      assert.isAtMost(issue.offset + issue.length, source.length)
      last = issue.offset
    }
  }

  it.prop(
    "accepts or refuses any words of the language in any order, and never throws",
    [tokenSoup],
    ([source]) => {
      readsOrRefuses(source)
    },
    { arbitrary: { runs: 3000, size: 60 } }
  )

  it.prop(
    "accepts or refuses any damaged template, and never throws",
    [damaged],
    ([source]) => {
      readsOrRefuses(source)
    },
    { arbitrary: { runs: 2000, size: 120 } }
  )

  it.prop(
    "accepts or refuses any text, and never throws",
    [Schema.String],
    ([source]) => {
      readsOrRefuses(source)
      readsOrRefuses(`{{${source}}}`)
      readsOrRefuses(`{{if .Name}}${source}`)
      readsOrRefuses(`{{"${source}"}}`)
    },
    { arbitrary: { runs: 1000, size: 60 } }
  )

  it.prop(
    "accepts every valid template",
    [templates],
    ([pieces]) => {
      compile(sourceOf(pieces), wide)
    },
    many
  )

  it.prop(
    "refuses a template without one of its ends, at an if around it",
    [templates, Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 50 }))],
    ([pieces, which]) => {
      const placed = piecesOf(pieces)
      const ends = placed.flatMap((piece, index) => (piece.kind === "end" ? [index] : []))
      const lost = ends[which % Math.max(1, ends.length)]
      if (lost === undefined) return
      // The ifs that are open where the end was taken out, and the branches that then belong to another of them.
      const open: Array<number> = []
      for (const piece of placed.slice(0, lost)) {
        if (piece.kind === "if") open.push(piece.offset)
        else if (piece.kind === "end") open.pop()
      }
      const gap = placed[lost]?.source.length ?? 0
      const branches = new Set(
        placed.slice(lost).flatMap((piece) => (piece.kind.startsWith("else") ? [piece.offset - gap] : []))
      )
      const { issues } = refusal(sourceOf(pieces.filter((_, index) => index !== lost)), wide)
      assert.isTrue(issues.some((issue) => issue.code === "missing-end" && open.includes(issue.offset)))
      for (const issue of issues) {
        assert.isTrue(issue.code === "missing-end" ? open.includes(issue.offset) : branches.has(issue.offset))
      }
    },
    many
  )

  it.prop(
    "refuses a template with a changed letter in a field, at a position inside that action",
    [templates, Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 999 }))],
    ([pieces, which]) => {
      const placed = piecesOf(pieces).filter(
        (piece) => /\.[A-Z]/.test(piece.source) && piece.kind !== "comment" && piece.kind !== "text"
      )
      const changed = placed[which % Math.max(1, placed.length)]
      if (changed === undefined) return
      const letters = [...changed.source.matchAll(/(?<=\.)[A-Z]\w*/g)]
      const letter = letters[which % letters.length]
      if (letter === undefined) return
      const at = letter.index + (which % letter[0].length)
      const wrong = `${changed.source.slice(0, at)}q${changed.source.slice(at + 1)}`
      const whole = sourceOf(pieces)
      const { issues } = refusal(
        whole.slice(0, changed.offset) + wrong + whole.slice(changed.offset + changed.source.length),
        wide
      )
      assert.lengthOf(issues, 1)
      const [issue] = issues
      assert.strictEqual(issue?.code, "unknown-field")
      assert.isAtLeast(issue?.offset ?? -1, changed.offset)
      assert.isAtMost((issue?.offset ?? 0) + (issue?.length ?? 0), changed.offset + wrong.length)
    },
    many
  )

  it.prop(
    "compiles to the same template with any white space inside braces",
    [templates, Schema.Literals([" ", "\n", "\t \r\n"])],
    ([pieces, space]) => {
      const spaced = pieces.map((piece) =>
        piece.kind === "text" || piece.kind === "comment"
          ? piece.source
          : piece.source.replace(/^\{\{(-\s)?/, (left) => left + space).replace(/(\s-)?\}\}$/, (right) => space + right)
      )
      const strip = (source: string): string =>
        TemplateSyntax.print(Result.getOrThrow(TemplateSyntax.parse(source, wide)))
      assert.strictEqual(strip(spaced.join("")), strip(sourceOf(pieces)))
    },
    many
  )
})

describe("render", () => {
  it.prop(
    "prints the same as a simple interpreter",
    [templates, data],
    ([pieces, some]) => {
      const source = sourceOf(pieces)
      const expected = interpret(Result.getOrThrow(TemplateSyntax.parse(source, wide)), some)
      assert.strictEqual(compile(source, wide).render(some), expected)
      const withGetters = Result.getOrThrow(MessageTemplate.compile(source, fieldsWithGetters, wide))
      assert.strictEqual(withGetters.render(some), expected)
      // Data that inherits takes the careful way.
      assert.strictEqual(
        compile(source, wide).render(Object.assign(Object.create({ name: "no" }) as object, some)),
        expected
      )
    },
    { arbitrary: { runs: 2000, size: 160 } }
  )

  it.prop(
    "never throws for any data",
    [templates, hostileData],
    ([pieces, some]) => {
      const source = sourceOf(pieces)
      assert.strictEqual(typeof compile(source, wide).render(some()), "string")
      const withGetters = Result.getOrThrow(MessageTemplate.compile(source, fieldsWithGetters, wide))
      assert.strictEqual(typeof withGetters.render(some()), "string")
    },
    { arbitrary: { runs: 1000, size: 120 } }
  )

  it.prop(
    "is pure: the same data gives the same message, and is not changed",
    [templates, data],
    ([pieces, some]) => {
      const template = compile(sourceOf(pieces), wide)
      const before = structuredClone(some)
      assert.strictEqual(template.render(some), template.render(some))
      assert.deepStrictEqual(some, before)
    },
    many
  )

  it.prop(
    "does not interpret template syntax in data",
    [templates, data],
    ([pieces, some]) => {
      const marks = { name: "\u{e000}", error: "\u{e001}", stepId: "\u{e002}", conditionResult: "\u{e003}" }
      const syntax = { name: "{{.Error}}", error: "{{end}}{{if .Name}}", stepId: "{{", conditionResult: "}}{{/*" }
      const template = compile(sourceOf(pieces), wide)
      const marked = template.render({ ...some, ...marks })
      const expected = Object.entries(marks).reduce(
        (message, [key, mark]) => message.replaceAll(mark, () => syntax[key as keyof typeof syntax]),
        marked
      )
      // A comparison with a text sees other data: it must come out the same for both.
      if (/eq|ne/.test(sourceOf(pieces))) return
      assert.strictEqual(template.render({ ...some, ...syntax }), expected)
    },
    many
  )

  it.prop(
    "prints a field outside every if unchanged",
    [templates, Schema.String],
    ([pieces, value]) => {
      const template = compile(`${sourceOf(pieces)}[{{.Error}}]`, wide)
      assert.isTrue(template.render({ error: value }).endsWith(`[${value}]`))
    },
    { arbitrary: { runs: 500, size: 60 } }
  )

  it.prop(
    "reads only the fields that the template reports",
    [templates, data],
    ([pieces, some]) => {
      const template = compile(sourceOf(pieces), wide)
      const allowed = new Set([...template.fields].map((name) => fields[name]?.key))
      const read = new Set<string | symbol>()
      const watched = new Proxy(some, {
        get: (target, key) => {
          read.add(key)
          return Reflect.get(target, key) as unknown
        }
      })
      assert.strictEqual(template.render(watched), template.render(some))
      for (const key of read) assert.isTrue(allowed.has(String(key)), String(key))
    },
    many
  )

  it.prop(
    "reports what it prints outside every if",
    [templates, data],
    ([pieces, some]) => {
      const template = compile(sourceOf(pieces), wide)
      for (const key of template.required) {
        const name = Object.keys(fields).find((candidate) => fields[candidate]?.key === key) ?? ""
        assert.isTrue(template.fields.has(name))
        const alone = compile(`{{.${name}}}`).render(some)
        assert.include(template.render(some), alone)
      }
    },
    many
  )

  it.prop(
    "is no longer than its text and the values it prints",
    [templates, data],
    ([pieces, some]) => {
      const source = sourceOf(pieces)
      const longest = Math.max(
        ...Object.keys(fields).map((name) => (name === "Arguments" ? 10 : compile(`{{.${name}}}`).render(some).length)),
        5
      )
      const actions = source.split("{{").length
      assert.isAtMost(compile(source, wide).render(some).length, source.length + actions * longest)
    },
    many
  )

  const text = Arbitrary.map(Arbitrary.schema(Schema.String), (value) => value.replaceAll("{{", "{ {"))
  it.prop(
    "returns a text without actions unchanged",
    [text],
    ([source]) => {
      assert.strictEqual(compile(source).render({ name: "x" }), source)
    },
    { arbitrary: { runs: 500, size: 60 } }
  )

  const condition = Arbitrary.map(templates, (pieces) =>
    (pieces.find((piece) => piece.kind === "if")?.source ?? "{{if .Name}}")
      .replace(/^\{\{(-\s)?\s*if /, "")
      .replace(/\s*-?\}\}$/, "")
  )
  it.prop(
    "renders one branch of an if, and the other one when the condition is negated",
    [condition, templates, templates, data],
    ([test, left, right, values]) => {
      const print = (source: string): string => compile(source, wide).render(values)
      // Trim markers at the edges reach beyond a branch: actions that print nothing keep them in.
      const [a, b] = [left, right].map((pieces) => `{{""}}${sourceOf(pieces).replace(/\{$/, "")}{{""}}`) as [
        string,
        string
      ]
      const chosen = print(`{{if ${test}}}${a}{{else}}${b}{{end}}`)
      assert.include([print(a), print(b)], chosen)
      const negated = /\s/.test(test) ? `not (${test})` : `not ${test}`
      assert.strictEqual(print(`{{if ${negated}}}${b}{{else}}${a}{{end}}`), chosen)
      assert.strictEqual(
        print(`{{if ${test}}}${a}{{end}}{{if ${test}}}${a}{{end}}`),
        print(`{{if ${test}}}${a}{{end}}`).repeat(2)
      )
    },
    { arbitrary: { runs: 500, size: 80 } }
  )
})
