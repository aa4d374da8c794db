import { assert, describe, it } from "@effect/vitest"
import { Result } from "effect"
import { TemplateSyntax } from "../src/index.ts"
import { templates, sourceOf, vectors, withoutPlaces } from "./support.ts"

const parse = (source: string): ReadonlyArray<TemplateSyntax.Part> => Result.getOrThrow(TemplateSyntax.parse(source))

describe("parse", () => {
  it("parses a template to a tree with positions", () => {
    assert.deepStrictEqual(
      parse('a {{- /* b */ -}} c{{if and .A (not (.B.c))}}{{"x"}}{{else if true}}{{- 3}}{{else}}{{end}}'),
      [
        { _tag: "Text", text: "ac" },
        {
          _tag: "If",
          branches: [
            {
              condition: {
                _tag: "Call",
                name: "and",
                arguments: [
                  { _tag: "Field", path: ["A"], offset: 28, length: 2 },
                  {
                    _tag: "Call",
                    name: "not",
                    arguments: [{ _tag: "Field", path: ["B", "c"], offset: 37, length: 4 }],
                    offset: 32,
                    length: 10
                  }
                ],
                offset: 24,
                length: 19
              },
              parts: [{ _tag: "Print", expression: { _tag: "Literal", value: "x", offset: 47, length: 3 } }]
            },
            {
              condition: { _tag: "Literal", value: true, offset: 62, length: 4 },
              parts: [{ _tag: "Print", expression: { _tag: "Literal", value: 3, offset: 72, length: 1 } }]
            }
          ],
          otherwise: []
        }
      ]
    )
  })

  it("checks the syntax, and no fields or functions", () => {
    assert.deepStrictEqual(withoutPlaces(parse("{{frobnicate .Anything}}")), [
      {
        _tag: "Print",
        expression: { _tag: "Call", name: "frobnicate", arguments: [{ _tag: "Field", path: ["Anything"] }] }
      }
    ])
    const error = Result.getOrThrow(Result.flip(TemplateSyntax.parse("{{if .A}}{{.B .C}}")))
    assert.deepStrictEqual(
      error.issues.map((issue) => issue.code),
      ["missing-end", "unexpected-argument"]
    )
  })

  it("applies the limits of templates", () => {
    assert.isTrue(Result.isFailure(TemplateSyntax.parse("{{.A}}{{.B}}", { limits: { parts: 1 } })))
  })
})

describe("print", () => {
  it.each([
    ["", ""],
    ["plain text }} {", "plain text }} {"],
    ["{{ .Name }}", "{{.Name}}"],
    ["a {{- .Name -}} b", "a{{.Name}}b"],
    ["{{if  (.A)}}x{{ else }}y{{ end }}", "{{if .A}}x{{else}}y{{end}}"],
    ["{{if .A}}{{else if .B}}{{else}}{{end}}", "{{if .A}}{{else if .B}}{{else}}{{end}}"],
    ["{{and ((not .A)) true +3 -0}}", "{{and (not .A) true 3 0}}"],
    ['{{`a"\\`}}{{"\\u00e9\\n\\t"}}', '{{"a\\"\\\\"}}{{"é\\n\t"}}'],
    ["{{/* gone */}}", ""],
    ['{{"{{"}}', '{{"{{"}}'],
    // A brace before an action, and braces that only a trim marker brought together.
    ["{ {{- .A}}", "{ {{- .A}}"],
    ["{ {{- if .A}}{ {{- end}}", "{ {{- if .A}}{ {{- end}}"],
    ["{ {{- /**/}}{ {{- /**/}}{", "{ {{- /**/}}{ {{- /**/}}{"]
  ])("writes %j as %j", (source, written) => {
    assert.strictEqual(TemplateSyntax.print(parse(source)), written)
  })

  it("separates braces of adjacent texts", () => {
    const tree: ReadonlyArray<TemplateSyntax.Part> = [
      { _tag: "Text", text: "{" },
      { _tag: "Text", text: "{" }
    ]
    assert.deepStrictEqual(parse(TemplateSyntax.print(tree)), [{ _tag: "Text", text: "{{" }])
  })

  it("gives a template with the same tree for every vector", () => {
    for (const { recommended, template } of vectors) {
      if (recommended === "reject") continue
      const tree = parse(template)
      const written = TemplateSyntax.print(tree)
      assert.deepStrictEqual(withoutPlaces(parse(written)), withoutPlaces(tree))
      assert.strictEqual(TemplateSyntax.print(parse(written)), written)
    }
  })

  it.prop(
    "gives a template with the same tree for every template",
    [templates],
    ([pieces]) => {
      const tree = parse(sourceOf(pieces))
      const written = TemplateSyntax.print(tree)
      assert.deepStrictEqual(withoutPlaces(parse(written)), withoutPlaces(tree))
    },
    { arbitrary: { runs: 500, size: 160 } }
  )
})
