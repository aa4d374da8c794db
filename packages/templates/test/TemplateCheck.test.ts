import { assert, describe, expect, expectTypeOf, it } from "@effect/vitest"
import { Result } from "effect"
import { MessageTemplate, type TemplateCheck } from "../src/index.ts"
import { message, type Names } from "./message.ts"
import { fields, vectors } from "./support.ts"

type Analyse<T extends string> = TemplateCheck.Analyse<T, Names>
type Mistake<M extends string> = TemplateCheck.Mistake<M>
type Nearest<X extends string> = TemplateCheck.Nearest<X, keyof Names>

describe("Analyse: what is printed outside every if", () => {
  it("gives the data keys of the fields that are printed", () => {
    expectTypeOf<Analyse<"">>().toEqualTypeOf<never>()
    expectTypeOf<Analyse<"plain {text} }}">>().toEqualTypeOf<never>()
    expectTypeOf<Analyse<"{{.Error}}">>().toEqualTypeOf<"error">()
    expectTypeOf<Analyse<"{{.StepID}} {{ .StepTool }}{{- .Error -}}">>().toEqualTypeOf<
      "stepId" | "stepTool" | "error"
    >()
    expectTypeOf<Analyse<"{{\n.Error\t}}">>().toEqualTypeOf<"error">()
  })

  it("gives nothing for a field whose value is not given by calls", () => {
    expectTypeOf<Analyse<"{{.Name}} in {{.Namespace}}">>().toEqualTypeOf<never>()
    expectTypeOf<Analyse<"{{.Arguments.region}}">>().toEqualTypeOf<never>()
  })

  it("gives nothing for fields inside an if or in arguments of a function", () => {
    expectTypeOf<Analyse<"{{if .Error}}{{.Error}}{{else}}{{.StepID}}{{end}}">>().toEqualTypeOf<never>()
    expectTypeOf<Analyse<"{{if .Name}}{{if .Error}}{{.StepID}}{{end}}{{.StepTool}}{{end}}">>().toEqualTypeOf<never>()
    expectTypeOf<Analyse<'{{or .Error "none"}}'>>().toEqualTypeOf<never>()
  })

  it("continues after an if, a comment and a text", () => {
    expectTypeOf<Analyse<"{{if .Name}}a{{else}}b{{end}}{{.Error}}">>().toEqualTypeOf<"error">()
    expectTypeOf<Analyse<"{{if .Name}}a{{else if .StepID}}b{{end}}{{.Error}}">>().toEqualTypeOf<"error">()
    expectTypeOf<Analyse<"{{if .Name}}{{if .StepID}}a{{end}}{{end}}{{.Error}}">>().toEqualTypeOf<"error">()
    expectTypeOf<Analyse<"{{/* .Nope */}}{{.Error}}">>().toEqualTypeOf<"error">()
    expectTypeOf<Analyse<"{{- /* .Nope */ -}}{{.Error}}">>().toEqualTypeOf<"error">()
    expectTypeOf<Analyse<'{{"a b .Nope"}}{{.Error}}'>>().toEqualTypeOf<"error">()
    expectTypeOf<Analyse<"{{`a b .Nope`}}{{.Error}}">>().toEqualTypeOf<"error">()
    expectTypeOf<Analyse<'{{eq "`" `"`}}{{.Error}}'>>().toEqualTypeOf<never>()
  })

  it("gives nothing for a string that is not a literal", () => {
    expectTypeOf<Analyse<string>>().toEqualTypeOf<never>()
    // oxlint-disable-next-line no-explicit-any -- what hosts without types pass on
    expectTypeOf<Analyse<any>>().toEqualTypeOf<never>()
  })

  it("gives the data keys of each member of a union", () => {
    expectTypeOf<Analyse<"{{.Error}}" | "{{.StepID}}">>().toEqualTypeOf<"error" | "stepId">()
    expectTypeOf<Analyse<"{{.Error}}" | "{{end}}">>().toEqualTypeOf<
      "error" | Mistake<"this {{end}} belongs to no {{if}}">
    >()
  })

  it("reports no mistake where an action may continue after its first braces", () => {
    expectTypeOf<Analyse<'{{.Error}}{{"}}"}}{{.StepID}}'>>().toEqualTypeOf<"error">()
    expectTypeOf<Analyse<"{{.Error}}{{`}}`}}{{.StepID}}">>().toEqualTypeOf<"error">()
    expectTypeOf<Analyse<"{{.Error}}{{/* }} */}}{{.StepID}}">>().toEqualTypeOf<"error">()
    expectTypeOf<Analyse<'{{if eq .Name "}}"}}{{.Error}}{{end}}'>>().toEqualTypeOf<never>()
    expectTypeOf<Analyse<'{{"{{"}}{{.Error}}'>>().toEqualTypeOf<"error">()
    expectTypeOf<Analyse<'{{eq "\\"" .Nope}}{{.Error}}'>>().toEqualTypeOf<never>()
    expectTypeOf<Analyse<'{{eq `a" .Nope` .Nope}}{{.Error}}'>>().toEqualTypeOf<never>()
  })
})

describe("Analyse: mistakes", () => {
  it("report an unknown field, with a suggestion", () => {
    type Few = { readonly PodCount: "podCount"; readonly Error: "error" }
    expectTypeOf<TemplateCheck.Analyse<"{{.PodCnt}}", Few>>().toEqualTypeOf<
      Mistake<"unknown field .PodCnt - did you mean .PodCount?">
    >()
    expectTypeOf<Analyse<"{{.StepId}}">>().toEqualTypeOf<Mistake<"unknown field .StepId - did you mean .StepID?">>()
    expectTypeOf<Analyse<"{{.Eror}}">>().toEqualTypeOf<Mistake<"unknown field .Eror - did you mean .Error?">>()
    expectTypeOf<Analyse<"{{.Customer}}">>().toEqualTypeOf<Mistake<"unknown field .Customer">>()
    expectTypeOf<Analyse<"{{if .Name}}{{if .Eror}}a{{end}}{{end}}">>().toEqualTypeOf<
      Mistake<"unknown field .Eror - did you mean .Error?">
    >()
    expectTypeOf<Analyse<"{{if .Name}}{{else if .Eror}}{{end}}">>().toEqualTypeOf<
      Mistake<"unknown field .Eror - did you mean .Error?">
    >()
    expectTypeOf<Analyse<"{{if and .Name (not\n.Eror)}}{{end}}">>().toEqualTypeOf<
      Mistake<"unknown field .Eror - did you mean .Error?">
    >()
    expectTypeOf<Analyse<'{{eq "a" .Eror}}'>>().toEqualTypeOf<Mistake<"unknown field .Eror - did you mean .Error?">>()
    expectTypeOf<Analyse<"{{eq `a b` .Eror}}">>().toEqualTypeOf<Mistake<"unknown field .Eror - did you mean .Error?">>()
  })

  it("report a field inside a field", () => {
    expectTypeOf<Analyse<"{{.Name.First}}">>().toEqualTypeOf<Mistake<".Name has no fields inside">>()
    expectTypeOf<Analyse<"{{.Arguments}}">>().toEqualTypeOf<Mistake<"name a key: .Arguments.key">>()
    expectTypeOf<Analyse<"{{.Arguments.a.b}}">>().toEqualTypeOf<Mistake<".Arguments.a.b names more than one key">>()
    expectTypeOf<Analyse<"{{.}}">>().toEqualTypeOf<Mistake<"a bare dot is not supported">>()
  })

  it("report a missing or surplus end or else", () => {
    expectTypeOf<Analyse<"{{if .Name}}a">>().toEqualTypeOf<Mistake<"an {{if}} is never closed - add {{end}}">>()
    expectTypeOf<Analyse<"{{if .Name}}{{if .Error}}a{{end}}">>().toEqualTypeOf<
      Mistake<"an {{if}} is never closed - add {{end}}">
    >()
    expectTypeOf<Analyse<"{{if .Name}}a{{else}}b">>().toEqualTypeOf<
      Mistake<"an {{if}} is never closed - add {{end}}">
    >()
    expectTypeOf<Analyse<"a{{end}}">>().toEqualTypeOf<Mistake<"this {{end}} belongs to no {{if}}">>()
    expectTypeOf<Analyse<"{{if .Name}}a{{end}}{{end}}">>().toEqualTypeOf<Mistake<"this {{end}} belongs to no {{if}}">>()
    expectTypeOf<Analyse<"a{{else}}">>().toEqualTypeOf<Mistake<"this {{else}} belongs to no {{if}}">>()
    expectTypeOf<Analyse<"a{{else if .Name}}">>().toEqualTypeOf<Mistake<"this {{else}} belongs to no {{if}}">>()
    expectTypeOf<Analyse<"{{if .Name}}{{else}}{{else}}{{end}}">>().toEqualTypeOf<
      Mistake<"this {{if}} already has an {{else}}">
    >()
    expectTypeOf<Analyse<"{{if .Name}}{{else}}{{else if .Error}}{{end}}">>().toEqualTypeOf<
      Mistake<"this {{if}} already has an {{else}}">
    >()
    expectTypeOf<Analyse<"{{if .Name}}{{else .Error}}{{end}}">>().toEqualTypeOf<
      Mistake<'only "else" or "else if" is possible here'>
    >()
  })

  it("report a missing value", () => {
    expectTypeOf<Analyse<"{{}}">>().toEqualTypeOf<Mistake<"an action {{}} is empty">>()
    expectTypeOf<Analyse<"{{- -}}">>().toEqualTypeOf<Mistake<'unknown word "-"'>>()
    expectTypeOf<Analyse<"{{if}}{{end}}">>().toEqualTypeOf<Mistake<"if needs a value">>()
    expectTypeOf<Analyse<"{{if -}}{{end}}">>().toEqualTypeOf<Mistake<"if needs a value">>()
    expectTypeOf<Analyse<"{{if .Name}}{{else if}}{{end}}">>().toEqualTypeOf<Mistake<"else if needs a value">>()
  })

  it("report braces without a partner", () => {
    expectTypeOf<Analyse<"{{.Name">>().toEqualTypeOf<Mistake<"a {{ has no }}">>()
    expectTypeOf<Analyse<"{{.Name and {{.Error}}">>().toEqualTypeOf<Mistake<"a {{ has no }} before the next {{">>()
    expectTypeOf<Analyse<"{{{.Name}}}">>().toEqualTypeOf<Mistake<'unknown word "{.Name" - did you mean .Name?'>>()
  })

  it("report words that are unsupported or unknown", () => {
    expectTypeOf<Analyse<"{{range .ToolNames}}{{end}}">>().toEqualTypeOf<Mistake<"range is not supported">>()
    expectTypeOf<Analyse<"{{with .Error}}{{end}}">>().toEqualTypeOf<Mistake<"with is not supported">>()
    expectTypeOf<Analyse<'{{printf "%s" .Name}}'>>().toEqualTypeOf<Mistake<"printf is not supported">>()
    expectTypeOf<Analyse<"{{nil}}">>().toEqualTypeOf<Mistake<"nil is not supported">>()
    expectTypeOf<Analyse<"{{.Name | len}}">>().toEqualTypeOf<Mistake<"pipes (|) are not supported">>()
    expectTypeOf<Analyse<"{{$x}}">>().toEqualTypeOf<Mistake<"variables ($) are not supported">>()
    expectTypeOf<Analyse<"{{if .Name && .Error}}{{end}}">>().toEqualTypeOf<Mistake<'"&&" is not supported - use and'>>()
    expectTypeOf<Analyse<"{{if .Name == 3}}{{end}}">>().toEqualTypeOf<Mistake<'"==" is not supported - use eq'>>()
    expectTypeOf<Analyse<"{{not end}}">>().toEqualTypeOf<Mistake<"end can only begin an action">>()
    expectTypeOf<Analyse<"{{Name}}">>().toEqualTypeOf<Mistake<'unknown word "Name" - did you mean .Name?'>>()
    expectTypeOf<Analyse<"{{ende}}">>().toEqualTypeOf<Mistake<'unknown word "ende" - did you mean end?'>>()
    expectTypeOf<Analyse<"{{If .Name}}{{end}}">>().toEqualTypeOf<Mistake<'unknown word "If" - did you mean if?'>>()
    expectTypeOf<Analyse<"{{frobnicate .Name}}">>().toEqualTypeOf<Mistake<'unknown word "frobnicate"'>>()
  })
})

describe("Nearest", () => {
  it("finds a word that is equal, one edit away, or has the same beginning", () => {
    expectTypeOf<Nearest<"stepid">>().toEqualTypeOf<"StepID">()
    expectTypeOf<Nearest<"eror">>().toEqualTypeOf<"Error">()
    expectTypeOf<Nearest<"errror">>().toEqualTypeOf<"Error">()
    expectTypeOf<Nearest<"errar">>().toEqualTypeOf<"Error">()
    expectTypeOf<Nearest<"erorr">>().toEqualTypeOf<"Error">()
    expectTypeOf<Nearest<"durations">>().toEqualTypeOf<"Duration">()
    expectTypeOf<Nearest<"durashun">>().toEqualTypeOf<"Duration">()
    expectTypeOf<Nearest<"stepcnt">>().toEqualTypeOf<"StepCount">()
    expectTypeOf<Nearest<"customer">>().toEqualTypeOf<never>()
    expectTypeOf<Nearest<"x">>().toEqualTypeOf<never>()
    expectTypeOf<TemplateCheck.Nearest<"orderplacd", "OrderPlaced" | "OrderPaid">>().toEqualTypeOf<"OrderPlaced">()
  })

  it("finds only one of several equally near words", () => {
    expectTypeOf<TemplateCheck.Nearest<"cat", "Bat" | "Hat">>().toExtend<"Bat" | "Hat">()
    // @ts-expect-error it is not both
    expectTypeOf<TemplateCheck.Nearest<"cat", "Bat" | "Hat">>().toEqualTypeOf<"Bat" | "Hat">()
  })
})

describe("Check", () => {
  it("refuses wrong literals, and nothing else", () => {
    message("{{.Name}} failed{{if .Error}}: {{.Error}}{{end}}")
    const known: string = vectors[0]?.template ?? ""
    message(known)
    // @ts-expect-error unknown field .Eror - did you mean .Error?
    message("{{.Name}} failed: {{.Eror}}")
    // @ts-expect-error an {{if}} is never closed - add {{end}}
    message("{{if .Error}}: {{.Error}}")
    expectTypeOf<TemplateCheck.Check<"{{.Name}}", Names>>().toEqualTypeOf<unknown>()
    expectTypeOf<TemplateCheck.Check<"{{.Error}}", Names>>().toEqualTypeOf<unknown>()
    expectTypeOf<TemplateCheck.Check<"{{.Eror}}", Names>>().toEqualTypeOf<
      Mistake<"unknown field .Eror - did you mean .Error?">
    >()
  })

  it("accepts messages as large as compile does", () => {
    const large = `{{.Name}} {{.Name}} {{.Name}} {{.Name}} {{.Name}} {{.Name}} {{.Name}} {{.Name}} ` as const
    message(`${large}${large}${large}${large}${large}${large}${large}${large}`)
    message(
      `${large}${large}${large}${large}${large}${large}${large}${large}${large}${large}${large}${large}${large}${large}${large}${large}`
    )
  })
})

describe("the vectors", () => {
  // Mistakes that need more than a look at single words: the number and the types of arguments, numbers, escapes, spaces.
  const leftToRunTime = new Set(
    "1051 1126 1129 1172 1178 1207 1223 1234 1235 1240 1242 1244 1258 1260 1271 1279 1287 1580 1582 1586 1587 1658 1753".split(
      " "
    )
  )
  const different = vectors.filter(
    (vector, index) => vectors.findIndex((other) => other.template === vector.template) === index
  )
  const literal = (text: string): string =>
    JSON.stringify(text).replaceAll(
      /[\u007f-\uffff]/g,
      (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`
    )
  const moduleOf = (name: string, lines: ReadonlyArray<string>): string =>
    [
      "// Written by TemplateCheck.test.ts: after a change of the vectors run the tests with --update.",
      'import { message } from "../message.ts"',
      "",
      `export const ${name} = [`,
      ...lines,
      "]",
      ""
    ].join("\n")

  it("that render are accepted by the compiler (the module compiles)", async () => {
    const accepted = different.filter((vector) => vector.recommended === "render")
    assert.lengthOf(accepted, 190)
    const lines = accepted.map((vector) => `  message(${literal(vector.template)}),`)
    await expect(moduleOf("accepted", lines)).toMatchFileSnapshot("fixtures/accepted.ts")
  })

  it("that are refused are refused by the compiler too, except for a few (the module compiles)", async () => {
    const refused = different.filter((vector) => vector.recommended === "reject")
    assert.lengthOf(refused, 133)
    const found = refused.filter((vector) => !leftToRunTime.has(vector.id))
    assert.lengthOf(found, 110)
    const lines = found.flatMap((vector) => [
      `  // @ts-expect-error ${vector.id}`,
      `  message(${literal(vector.template)}),`
    ])
    await expect(moduleOf("refused", lines)).toMatchFileSnapshot("fixtures/refused.ts")
  })

  it("that the compiler does not check are refused at run time", () => {
    for (const vector of different) {
      if (!leftToRunTime.has(vector.id)) continue
      assert.isTrue(Result.isFailure(MessageTemplate.compile(vector.template, fields)))
    }
  })
})
