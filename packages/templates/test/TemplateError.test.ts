import { assert, describe, it } from "@effect/vitest"
import { Result } from "effect"
import { MessageTemplate, TemplateFields } from "../src/index.ts"
import { issues, refusal, vectors } from "./support.ts"

describe("each mistake has a code, a position, a message and a hint", () => {
  it.each([
    // Fields.
    ["{{.StepId}}", "1:3 unknown-field unknown field .StepId (did you mean .StepID?)"],
    ["x {{if .Eror}}{{end}}", "1:8 unknown-field unknown field .Eror (did you mean .Error?)"],
    ["{{.Customer}}", "1:3 unknown-field unknown field .Customer"],
    ["{{.Name.First}}", "1:3 unknown-field .Name has no fields inside (write .Name)"],
    ["{{.Arguments}}", "1:3 unknown-field .Arguments alone cannot be shown (name a key: .Arguments.key)"],
    ["{{.Arguments.a.b}}", "1:3 unknown-field .Arguments.a.b names more than one key (only .Arguments.a is possible)"],
    ["{{.Argument.zone}}", "1:3 unknown-field unknown field .Argument.zone (did you mean .Arguments.zone?)"],
    // Words.
    ["{{Name}}", '1:3 unknown-word unknown word "Name" (did you mean .Name?)'],
    ["{{nto .Name}}", '1:3 unknown-word unknown word "nto" (did you mean not?)'],
    ["{{eqq .Name .Error}}", '1:3 unknown-word unknown word "eqq" (did you mean eq?)'],
    ["{{frobnicate .Name}}", '1:3 unknown-word unknown word "frobnicate"'],
    ["{{not TRUE}}", '1:7 unknown-word unknown word "TRUE" (did you mean true?)'],
    ["{{and .Name if}}", "1:13 misplaced-keyword if can only begin an action"],
    ["{{(end)}}", "1:4 misplaced-keyword end can only begin an action"],
    ["{{printf .Name}}", "1:3 unsupported printf is not supported (write texts and fields side by side)"],
    ["{{not (printf .Name)}}", "1:8 unsupported printf is not supported (write texts and fields side by side)"],
    ["{{nil}}", "1:3 unsupported nil is not supported (an if tells whether a field has a value)"],
    ['{{template "x" .}}', "1:3 unsupported template is not supported"],
    // Structure.
    ["{{if .Name}}x", "1:1 missing-end this if is never closed (add {{end}})"],
    ["x{{end}}", "1:2 unexpected-end this end belongs to no if"],
    ["x{{else}}y", "1:2 unexpected-else this else belongs to no if"],
    ["{{else if .Name}}y", "1:1 unexpected-else this else belongs to no if"],
    ["{{if .Name}}{{else}}{{else}}{{end}}", "1:21 duplicate-else this if already has an else"],
    [
      "{{if .Name}}{{else}}{{else if .Error}}{{end}}",
      "1:21 duplicate-else this if already has an else (write else if before else)"
    ],
    ["{{if .Name}}{{else with .Error}}{{end}}", "1:20 unsupported else with is not supported (use else if)"],
    ["{{}}", "1:1 empty-action this action is empty"],
    ["a{{- -}}", '1:6 bad-character unexpected "-" (a trim marker has white space on its inner side: {{- .Name -}})'],
    ["{{ -}}", "1:1 empty-action this action is empty"],
    ["{{if}}x{{end}}", "1:1 missing-value if needs a value ({{if .Name}})"],
    ["{{if .Name}}{{else if}}{{end}}", "1:13 missing-value else if needs a value ({{else if .Name}})"],
    ["{{not ()}}", "1:7 missing-value these parentheses are empty"],
    ["{{end .Name}}", "1:1 unexpected-end this end belongs to no if"],
    ["{{if .Name}}{{end .Name}}", "1:19 unexpected-argument end takes nothing after it"],
    ["{{if .Name}}{{else .Name}}{{end}}", "1:20 unexpected-argument else takes nothing after it"],
    ["{{.Name .Error}}", "1:9 unexpected-argument .Name takes nothing after it"],
    ['{{"a" 3}}', '1:7 unexpected-argument "a" takes nothing after it'],
    ["{{(not .Name) .Error}}", "1:15 unexpected-argument (…) takes nothing after it"],
    // Braces, comments, texts, parentheses.
    ["{{.Name", "1:1 unclosed-action this {{ has no }}"],
    ["a {{.Name and {{.Error}}", "1:3 unclosed-action this {{ has no }} before the next {{"],
    ["{{.Name} x", '1:8 unclosed-action expected "}}", found a single "}"'],
    ["{{{.Name}}}", '1:3 bad-character unexpected "{" (write two braces: {{.Name}})'],
    ["{{/* a", "1:3 unclosed-comment this comment has no */"],
    [
      "{{/* a */ .Name}}",
      "1:3 bad-comment a comment must be alone in its action (the braces follow */ at once: */}} or */ -}})"
    ],
    ["{{ /* a */}}", '1:4 bad-character unexpected "/" (a comment follows {{ at once: {{/* … */}})'],
    ['{{"a}}', '1:3 unclosed-text this " is not closed on its line'],
    ['{{"a\nb"}}', '1:3 unclosed-text this " is not closed on its line'],
    ["{{`a}}", "1:3 unclosed-text this ` is not closed"],
    ["{{not (.Name}}", '1:7 unclosed-parenthesis this "(" has no ")"'],
    ["{{not (}}", '1:7 unclosed-parenthesis this "(" has no ")"'],
    ["{{not .Name)}}", '1:12 unexpected-parenthesis this ")" has no "("'],
    ["{{) .Name}}", '1:3 unexpected-parenthesis this ")" has no "("'],
    // Characters, numbers, escapes, spaces.
    ["{{.Name && .Error}}", '1:9 bad-character unexpected "&" (use and)'],
    ["{{.Name || .Error}}", '1:9 bad-character unexpected "|" (use or)'],
    ["{{.Name == 3}}", '1:9 bad-character unexpected "=" (use eq)'],
    ["{{.Name | len}}", "1:9 unsupported pipes (|) are not supported"],
    ["{{$x}}", "1:3 unsupported variables ($) are not supported"],
    ["{{.}}", "1:3 unsupported a bare dot is not supported (write a field: .Name)"],
    ["{{. Name}}", "1:3 unsupported a bare dot is not supported (write a field: .Name)"],
    ["{{.Name.}}", '1:8 bad-character unexpected "."'],
    ["{{.Step-ID}}", '1:8 bad-character unexpected "-" (a name has letters, digits and _ only)'],
    ["{{.StepCount - 1}}", '1:14 bad-character unexpected "-" (there is no arithmetic in templates)'],
    ["{{-.Name}}", '1:3 bad-character unexpected "-" (a trim marker has white space on its inner side: {{- .Name -}})'],
    ["{{.Name-}}", '1:8 bad-character unexpected "-" (a trim marker has white space on its inner side: {{- .Name -}})'],
    ["{{\u00a0.Name}}", "1:3 bad-character unexpected U+00A0 (use a plain space)"],
    ["{{eq .Name “a”}}", "1:12 bad-character unexpected U+201C (write texts in straight double quotes)"],
    ["{{eq .Name 'a'}}", '1:12 bad-character unexpected "\'" (write texts in double quotes)'],
    ["{{\u001b}}", "1:3 bad-character unexpected U+001B"],
    ["{{1.5}}", '1:3 bad-number "1.5" is not a decimal whole number'],
    ["{{007}}", '1:3 bad-number "007" is not a decimal whole number'],
    ["{{0x10}}", '1:3 bad-number "0x10" is not a decimal whole number'],
    ["{{9007199254740992}}", '1:3 bad-number "9007199254740992" is too large (at most 9007199254740991)'],
    [
      '{{"a\\q"}}',
      '1:5 bad-escape unknown escape \\q in a text (use \\\\ \\" \\n \\t \\r \\a \\b \\f \\v, \\u with four or \\U with eight hexadecimal digits)'
    ],
    ["{{and (.Name).Error}}", '1:14 missing-space expected a space before ".Error"'],
    ['{{eq "a".Name}}', '1:9 missing-space expected a space before ".Name"'],
    ["{{if(.Name)}}{{end}}", '1:5 missing-space expected a space before "("'],
    // Arguments and types.
    ["{{or}}", "1:3 argument-count or takes at least 1 argument, got 0"],
    ["{{eq .Name}}", "1:3 argument-count eq takes at least 2 arguments, got 1"],
    ["{{ne .Name .Error .StepID}}", "1:3 argument-count ne takes 2 arguments, got 3"],
    ["{{lt 1}}", "1:3 argument-count lt takes 2 arguments, got 1"],
    ["{{not .Name .Error}}", "1:3 argument-count not takes 1 argument, got 2"],
    ["{{len}}", "1:3 argument-count len takes 1 argument, got 0"],
    ["{{and .Name not}}", "1:13 argument-count not takes 1 argument, got 0 (put not and its arguments in parentheses)"],
    ["{{eq .Name 3}}", "1:12 incompatible-types eq compares values of one type, got a text and a number"],
    [
      "{{eq .Name .Error true}}",
      "1:19 incompatible-types eq compares values of one type, got a text and true or false"
    ],
    [
      "{{ne .AllowFailure .StepCount}}",
      "1:20 incompatible-types ne compares values of one type, got true or false and a number"
    ],
    ["{{eq .ToolNames .ToolNames}}", "1:6 incompatible-types eq cannot compare a list"],
    ["{{eq .Arguments.a 3}}", "1:6 incompatible-types eq cannot compare an argument of any type"],
    ["{{eq 3 (or .StepCount .Name)}}", "1:9 incompatible-types eq cannot compare values of several types"],
    ['{{lt .Name "a"}}', "1:6 incompatible-types lt compares numbers, got a text"],
    ["{{ge 1 .AllowFailure}}", "1:8 incompatible-types ge compares numbers, got true or false"],
    ["{{le .ToolNames 1}}", "1:6 incompatible-types le compares numbers, got a list"],
    ["{{gt .Arguments.a 1}}", "1:6 incompatible-types gt compares numbers, got an argument of any type"],
    ["{{len .Name}}", "1:7 incompatible-types len counts the items of a list, got a text"],
    ["{{len (len .ToolNames)}}", "1:8 incompatible-types len counts the items of a list, got a number"]
  ])("%j", (source, issue) => {
    assert.deepStrictEqual(issues(source), [issue])
  })
})

describe("one mistake does not cause others", () => {
  it.each([
    // An if that could not be read still has its end.
    ["{{if .Name && .Error}}a{{else}}b{{end}}"],
    ["{{if .Nope}}a{{else if .Error}}b{{end}}"],
    ["{{if}}a{{else}}b{{end}}"],
    ["{{if .Name}a{{end}}"],
    ["{{if .Name a{{end}}"],
    ['{{if eq .Name "x}}a{{else}}b{{end}}'],
    ["{{If .Name}}a{{end}}"],
    ["{{if .Name}}a{{End}}"],
    ["{{if .Name}}a{{ELSE}}b{{end}}"],
    ["{{iff .Name}}a{{end}}"],
    ["{{!if .Name}}a{{end}}"],
    ["{{if .Name}}a{{ned}}"],
    ["{{if .Name}}a{{endif}}"],
    // What stands inside range or with has another meaning there.
    ["{{range .ToolNames}}{{.}}, {{.Nope}} {{$x}}{{else}}none{{end}}"],
    ["{{range $i, $t := .ToolNames}}{{if $i}}, {{end}}{{$t}}{{end}}"],
    ["{{with .Error}}: {{.}}{{end}}"],
    ["{{with .Error}}: {{.}}"],
    ["{{if .Name}}{{with .Error}}{{else with .Name}}{{.}}{{end}}{{end}}"],
    // The end of an action or comment is missing: what it swallowed is not missed.
    ["{{if .Name}}a{{ end"],
    ["{{if .Name}}a{{/* b {{end}}"],
    ["{{if .Name}}a{{/* b */ c"],
    ["{{else}}a{{end}}"],
    // One wrong word, and no complaint about what follows it.
    ["{{frobnicate .Nope what}}"],
    // A wrong operand does not make the comparison wrong as well.
    ["{{eq .Nope 3 4}}"],
    ["{{eq (or .Nope 3) 4}}"],
    ["{{if lt (len .Nope) 3}}{{end}}"]
  ])("%j", (source) => {
    assert.lengthOf(issues(source), 1)
  })
})

describe("all mistakes are collected", () => {
  it("are reported in the order of the source", () => {
    assert.deepStrictEqual(
      issues("{{if .Eror}}\n{{.StepId}} {{eq 1 true}}\n\n  {{else}}{{else}}{{Nmae}}\né👩‍👩‍👧{{.Nope.x}}{{if 1}}"),
      [
        "1:1 missing-end this if is never closed (add {{end}})",
        "1:6 unknown-field unknown field .Eror (did you mean .Error?)",
        "2:3 unknown-field unknown field .StepId (did you mean .StepID?)",
        "2:20 incompatible-types eq compares values of one type, got a number and true or false",
        "4:11 duplicate-else this if already has an else",
        '4:21 unknown-word unknown word "Nmae" (did you mean .Name?)',
        "5:9 unknown-field unknown field .Nope.x (did you mean .Name.x?)",
        "5:18 missing-end this if is never closed (add {{end}})"
      ]
    )
  })

  it("include several of one expression", () => {
    assert.deepStrictEqual(
      issues("{{or .Eror (not .Nmae .Name)}}").map((issue) => issue.split(" ")[0]),
      ["1:6", "1:13", "1:17"]
    )
  })

  it("include one for each missing end", () => {
    assert.lengthOf(issues("{{if .Name}}{{if .Error}}{{if .StepID}}{{end}}"), 2)
  })
})

describe("positions", () => {
  it("count code points in columns and UTF-16 code units in offsets", () => {
    const [issue] = refusal("👍 \r\n\t👩‍👩‍👧é{{ .StepId }}").issues
    assert.deepStrictEqual(issue, {
      code: "unknown-field",
      message: "unknown field .StepId",
      hint: "did you mean .StepID?",
      offset: 18,
      length: 7,
      line: 2,
      column: 11
    })
  })

  it("stay inside the source", () => {
    for (const vector of vectors) {
      if (vector.recommended === "render") continue
      for (const issue of refusal(vector.template).issues) {
        assert.isAtLeast(issue.offset, 0)
        assert.isAtLeast(issue.length, 1)
        assert.isAtMost(issue.offset + issue.length, vector.template.length)
        const before = vector.template.slice(0, issue.offset)
        assert.strictEqual(issue.line, before.split("\n").length)
        assert.strictEqual(issue.column, [...(before.split("\n").at(-1) ?? "")].length + 1)
      }
    }
  })
})

describe("suggestions", () => {
  const hintOf = (source: string, types: { readonly [key: string]: TemplateFields.FieldType }): string | undefined => {
    const fields = Result.getOrThrow(TemplateFields.make(types))
    return Result.getOrThrow(Result.flip(MessageTemplate.compile(source, fields))).issues[0]?.hint
  }

  it("are chosen from the fields of the template", () => {
    assert.strictEqual(hintOf("{{.PodCnt}}", { podCount: "count", error: "text" }), "did you mean .PodCount?")
    assert.strictEqual(hintOf("{{.podcount}}", { podCount: "count" }), "did you mean .PodCount?")
    assert.isUndefined(hintOf("{{.StepId}}", { podCount: "count" }))
    assert.isUndefined(hintOf("{{.Name}}", {}))
  })

  it("are functions where the word is nearer to one than to a field", () => {
    assert.strictEqual(hintOf("{{nt .Note}}", { note: "text" }), "did you mean not?")
    assert.strictEqual(hintOf("{{note}}", { note: "text" }), "did you mean .Note?")
  })
})

describe("message", () => {
  it("shows each mistake with its line and a caret under it", () => {
    assert.strictEqual(
      refusal("Workflow {{.Name}}\n  failed{{if .Eror}}:\t{{Error}}{{end}}").message,
      [
        "2:14 unknown field .Eror (did you mean .Error?)",
        "    failed{{if .Eror}}: {{Error}}{{end}}",
        "               ^^^^^",
        '2:25 unknown word "Error" (did you mean .Error?)',
        "    failed{{if .Eror}}: {{Error}}{{end}}",
        "                          ^^^^^"
      ].join("\n")
    )
  })

  it("shows a part of a long line on both sides of the mistake", () => {
    const source = `${"a".repeat(100)}{{.Eror}}${"b".repeat(100)}`
    assert.strictEqual(
      refusal(source).message,
      [
        "1:103 unknown field .Eror (did you mean .Error?)",
        `  …${"a".repeat(38)}{{.Eror}}${"b".repeat(33)}…`,
        `   ${" ".repeat(40)}^^^^^`
      ].join("\n")
    )
    const [, end = ""] = refusal(`${"a".repeat(100)}{{.Eror}}`).message.split("\n")
    assert.strictEqual(end, `  …${"a".repeat(71)}{{.Eror}}`)
    const [, start = ""] = refusal(`{{.Eror}}${"b".repeat(100)}`).message.split("\n")
    assert.strictEqual(start, `  {{.Eror}}${"b".repeat(71)}…`)
  })

  it("underlines nothing beyond the line, and at least one column", () => {
    assert.strictEqual(refusal("{{if\n.Name\n}}").message, "1:1 this if is never closed (add {{end}})\n  {{if\n  ^^^^")
    assert.isTrue(refusal("\n\n{{.Eror}}").message.startsWith("3:3 "))
    assert.strictEqual(
      refusal(`\n${"x".repeat(4096)}`).message,
      "1:1 the template has 4097 characters (at most 4096)\n  \n  ^"
    )
  })

  it("underlines nothing beyond the part that is shown", () => {
    const [, line = "", carets = ""] = refusal(`${"a".repeat(60)}{{.${"B".repeat(200)}}}`).message.split("\n")
    assert.strictEqual(line, `  …${"a".repeat(38)}{{.${"B".repeat(39)}…`)
    assert.strictEqual(carets, `   ${" ".repeat(40)}${"^".repeat(40)}`)
  })

  it("has no control characters", () => {
    const source = `\u001b[2J\u009b\u202e\u200b{{\u001b[31m}}{{.\u202e}}{{"\u0007" 3}}{{Name\u0000}}{{.${"名".repeat(200)}}}`
    const { message } = refusal(source)
    // oxlint-disable-next-line no-control-regex -- control characters are the question
    assert.notMatch(message.replaceAll("\n", ""), /[\u0000-\u001f\u007f-\u009f\u200b-\u200f\u202a-\u202e\u2066-\u2069]/)
    assert.include(message, "␛[2J")
    assert.include(message, `unknown field .${"名".repeat(47)}…`)
  })

  it("belongs to a tagged error that has the source", () => {
    const error = refusal("{{.Eror}}")
    assert.strictEqual(error._tag, "TemplateError")
    assert.strictEqual(error.source, "{{.Eror}}")
    assert.instanceOf(error, Error)
    assert.include(String(error), "unknown field .Eror")
  })
})
