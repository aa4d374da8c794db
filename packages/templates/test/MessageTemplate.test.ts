import { assert, describe, it } from "@effect/vitest"
import { Result } from "effect"
import { MessageTemplate, TemplateFields } from "../src/index.ts"
import { compile, dataOf, fields, fieldsWithGetters, issues, render, vectors } from "./support.ts"

describe("vectors: the output of Go's text/template", () => {
  const wide = { limits: { length: 65_536, parts: 65_536, ifDepth: 1024, elseIfs: 1024 } }

  it("include every file of vectors", () => {
    assert.lengthOf(vectors, 402)
    assert.lengthOf(
      vectors.filter((vector) => vector.recommended === "render"),
      256
    )
  })

  it.each(vectors.filter((vector) => vector.recommended === "render").map((vector) => [vector.id, vector] as const))(
    "%s renders as Go does",
    (_, vector) => {
      for (const known of [fields, fieldsWithGetters]) {
        const template = Result.getOrThrow(MessageTemplate.compile(vector.template, known, wide))
        assert.strictEqual(template.render(dataOf(vector)), vector.expected)
      }
    }
  )

  it.each(vectors.filter((vector) => vector.recommended === "reject").map((vector) => [vector.id, vector] as const))(
    "%s is refused",
    (_, vector) => {
      assert.isTrue(Result.isFailure(MessageTemplate.compile(vector.template, fields, wide)))
    }
  )
})

describe("marks", () => {
  const mark = (key: string): string | undefined => (key === "namespace" ? undefined : `<no ${key}>`)
  const marked = (source: string, data: object): ReadonlyArray<string> =>
    [fields, fieldsWithGetters].map((known) =>
      Result.getOrThrow(MessageTemplate.compile(source, known, { mark })).render(data)
    )
  const both = (text: string): ReadonlyArray<string> => [text, text]

  it.each([
    ["{{.StepID}}", "stepId", ["", undefined, null], ["a", " ", "false", 5, {}]],
    ["{{.StepCount}}", "stepCount", [undefined, null], [0, -1, 3, "3", 1.5, Number.NaN]],
    ["{{.Duration}}", "duration", [undefined, null], [0, -1, 1.5, 5n, "1s", "0s", "soon", {}]],
    ["{{.ToolNames}}", "toolNames", [undefined, null, []], [["a"], ["a", "b"], "a", [""]]],
    ["{{.AllowFailure}}", "allowFailure", [undefined, null], [true, false, "true"]]
  ] as const)("stand where %s has no value", (source, key, missing, given) => {
    for (const value of missing)
      assert.deepStrictEqual(marked(`a ${source} b`, { [key]: value }), both(`a <no ${key}> b`))
    for (const value of given) {
      const data = { [key]: value }
      assert.deepStrictEqual(marked(`a ${source} b`, data), both(render(`a ${source} b`, data)))
    }
  })

  it("are printed for a key of an open field without a value", () => {
    const source = "to {{.Arguments.region}}"
    for (const data of [{}, { arguments: {} }, { arguments: { region: "" } }, { arguments: { region: null } }]) {
      assert.deepStrictEqual(marked(source, data), both("to <no arguments.region>"))
    }
    for (const [region, text] of [
      ["eu", "eu"],
      [0, "0"],
      [false, "false"]
    ] as const) {
      assert.deepStrictEqual(marked(source, { arguments: { region } }), both(`to ${text}`))
    }
  })

  it("are not printed inside an if, for the result of a function, or where the mark is undefined", () => {
    const source =
      "{{if .Name}}{{.Error}}{{else}}{{.StepID}}{{end}}{{or .Error .StepID}}{{.Namespace}}{{if .Error}}{{.Error}}{{end}}"
    assert.deepStrictEqual(marked(source, {}), both(""))
    assert.deepStrictEqual(marked(source, { name: "a" }), both(""))
  })

  it("are printed for a value that throws when it is read", () => {
    const data = Object.defineProperty({ name: "a" }, "error", {
      enumerable: true,
      get: () => {
        throw new Error("no")
      }
    })
    assert.deepStrictEqual(marked("{{.Name}}: {{.Error}}", data), both("a: <no error>"))
  })
})

describe("values", () => {
  const printed = (name: string, value: unknown): readonly [string, string] => {
    const key = fields[name]?.key ?? name
    return [render(`{{.${name}}}`, { [key]: value }), render(`{{if .${name}}}yes{{else}}no{{end}}`, { [key]: value })]
  }

  it.each([
    ["a", "a", "yes"],
    ["", "", "no"],
    [" ", " ", "yes"],
    ["false", "false", "yes"],
    ["{{.Name}}", "{{.Name}}", "yes"],
    [undefined, "", "no"],
    [null, "", "no"],
    [5, "", "no"],
    [true, "", "no"],
    [["a"], "", "no"],
    [{ toString: () => "a" }, "", "no"],
    [Object("a"), "", "no"]
  ])("text: %s", (value, text, truth) => {
    assert.deepStrictEqual(printed("Error", value), [text, truth])
  })

  it.each([
    [1, "1", "yes"],
    [1234567, "1234567", "yes"],
    [Number.MAX_SAFE_INTEGER, "9007199254740991", "yes"],
    [0, "", "no"],
    [-1, "", "no"],
    [undefined, "", "no"],
    [null, "", "no"],
    [2.5, "", "no"],
    [1e21, "", "no"],
    [Number.NaN, "", "no"],
    [Number.POSITIVE_INFINITY, "", "no"],
    ["3", "", "no"],
    [3n, "", "no"],
    [true, "", "no"]
  ])("count: %s", (value, text, truth) => {
    assert.deepStrictEqual(printed("StepCount", value), [text, truth])
  })

  it.each([
    [1, "1ns", "yes"],
    [1_500_000_000, "1.5s", "yes"],
    [1.1 * 1e6, "1.1ms", "yes"],
    [1_500_000_000n, "1.5s", "yes"],
    [2n ** 62n, "1281023h53m38.427387904s", "yes"],
    [2 ** 62, "1281023h53m38.427387904s", "yes"],
    ["1m30.5s", "1m30.5s", "yes"],
    ["90s", "1m30s", "yes"],
    ["2562047h47m16.854775807s", "2562047h47m16.854775807s", "yes"],
    [0, "", "no"],
    [0.2, "", "no"],
    [-1, "", "no"],
    [0n, "", "no"],
    [-5n, "", "no"],
    ["0s", "", "no"],
    ["-5s", "", "no"],
    ["", "", "no"],
    ["5", "", "no"],
    ["soon", "", "no"],
    [undefined, "", "no"],
    [null, "", "no"],
    [Number.NaN, "", "no"],
    [Number.POSITIVE_INFINITY, "", "no"],
    [true, "", "no"],
    [[5], "", "no"]
  ])("duration: %s", (value, text, truth) => {
    assert.deepStrictEqual(printed("Duration", value), [text, truth])
  })

  it.each([
    [true, "true", "yes"],
    [false, "false", "no"],
    [undefined, "false", "no"],
    [null, "false", "no"],
    ["true", "", "no"],
    [1, "", "no"],
    [[], "", "no"]
  ])("flag: %s", (value, text, truth) => {
    assert.deepStrictEqual(printed("AllowFailure", value), [text, truth])
  })

  it.each([
    [["a", "b"], "a, b", "yes"],
    [["a, b", ""], "a, b, ", "yes"],
    [[""], "", "yes"],
    [["a", 5, null, "b"], "a, , , b", "yes"],
    [[], "", "no"],
    [undefined, "", "no"],
    [null, "", "no"],
    ["a", "", "no"],
    [{ length: 2, 0: "a", 1: "b" }, "", "no"],
    [new Set(["a"]), "", "no"]
  ])("list: %s", (value, text, truth) => {
    assert.deepStrictEqual(printed("ToolNames", value), [text, truth])
  })

  it.each([
    ["eu", "eu", "yes"],
    ["", "", "no"],
    [3, "3", "yes"],
    [-3, "-3", "yes"],
    [0, "0", "no"],
    [true, "true", "yes"],
    [false, "false", "no"],
    [undefined, "", "no"],
    [null, "", "no"],
    [2.5, "", "no"],
    [1e21, "", "no"],
    [Number.NaN, "", "no"],
    [3n, "", "no"],
    [["a"], "", "no"],
    [{ a: 1 }, "", "no"]
  ])("argument: %s", (value, text, truth) => {
    const data = { arguments: { region: value } }
    assert.strictEqual(render("{{.Arguments.region}}", data), text)
    assert.strictEqual(render("{{if .Arguments.region}}yes{{else}}no{{end}}", data), truth)
    assert.strictEqual(
      render("{{if .Arguments.region}}[{{.Arguments.region}}]{{end}}", data),
      truth === "yes" ? `[${text}]` : ""
    )
  })

  it("of arguments have any name as their key, and must be in an object", () => {
    assert.strictEqual(render("{{.Arguments.größe_2}}", { arguments: { größe_2: 4 } }), "4")
    assert.strictEqual(render('{{or .Arguments.region .Arguments.zone "nowhere"}}', { arguments: { zone: "b" } }), "b")
    for (const value of [undefined, null, "length", 5, ["a"], () => 1]) {
      assert.strictEqual(render("[{{.Arguments.length}}{{.Arguments.name}}]", { arguments: value }), "[]")
    }
    assert.deepStrictEqual(issues("{{.Arguments.dry-run}}").length, 1)
  })

  it("of a list of allowed texts are texts", () => {
    const chosen = Result.getOrThrow(TemplateFields.make({ pay: ["card", "cash"] }))
    const template = Result.getOrThrow(
      MessageTemplate.compile('{{.Pay}}{{if eq .Pay "cash"}}!{{end}}{{if .Pay}} by {{.Pay}}{{end}}', chosen)
    )
    assert.strictEqual(template.render({ pay: "cash" }), "cash! by cash")
    assert.strictEqual(template.render({}), "")
  })
})

describe("expressions", () => {
  const data = { name: "web", stepCount: 3, duration: 1_500_000_000, toolNames: ["a", "b"], allowFailure: true }

  it.each([
    // and, or: the value that decides.
    ["{{and .Name .StepCount}}", "3"],
    ["{{and .Error .Name}}", ""],
    ["{{or .Error .Name}}", "web"],
    ["{{or .Error .StepID}}", ""],
    ['{{or .Error "none"}}', "none"],
    ["{{or .Error .ToolNames}}", "a, b"],
    ["{{or .Error .Duration}}", "1.5s"],
    ["{{or .Error 0 false}}", "false"],
    ["{{and .Name 0 true}}", "0"],
    ["{{or (and .Error .Name) (not .Error)}}", "true"],
    ["{{or .Name}}", "web"],
    // not.
    ["{{not .Name}}", "false"],
    ["{{not .Error}}", "true"],
    ["{{not 0}}", "true"],
    ['{{not ""}}', "true"],
    // eq and ne, on one type.
    ['{{eq .Name "web"}}', "true"],
    ['{{ne .Name "web"}}', "false"],
    ['{{eq .Name "a" "web" "b"}}', "true"],
    ['{{eq .Name "a" "b"}}', "false"],
    ["{{eq .StepCount 3}}", "true"],
    ["{{eq .Duration 1500000000}}", "true"],
    ["{{eq .StepCount .Duration}}", "false"],
    ["{{eq .AllowFailure true}}", "true"],
    ["{{eq (not .Error) .AllowFailure}}", "true"],
    ["{{ne (eq 1 1) true}}", "false"],
    ['{{eq (or .Error .Name) "web"}}', "true"],
    ["{{eq (or 0 .StepCount) 3}}", "true"],
    ["{{eq (and .AllowFailure false) false}}", "true"],
    // The order of numbers.
    ["{{lt 2 .StepCount}}{{lt 3 .StepCount}}{{lt 4 .StepCount}}", "truefalsefalse"],
    ["{{le 2 .StepCount}}{{le 3 .StepCount}}{{le 4 .StepCount}}", "truetruefalse"],
    ["{{gt 2 .StepCount}}{{gt 3 .StepCount}}{{gt 4 .StepCount}}", "falsefalsetrue"],
    ["{{ge 2 .StepCount}}{{ge 3 .StepCount}}{{ge 4 .StepCount}}", "falsetruetrue"],
    ["{{gt .Duration 1000000000}}", "true"],
    ["{{lt -1 0}}", "true"],
    // len.
    ["{{len .ToolNames}}", "2"],
    ["{{eq (len .ToolNames) 2}}", "true"],
    ["{{if len .ToolNames}}yes{{end}}", "yes"],
    ["{{len (or .ToolNames .ToolNames)}}", "2"],
    // Literals.
    ['{{"a\\t\\"b\\"\\\\ \\u00e9\\U0001F600"}}', 'a\t"b"\\ é😀'],
    ['{{"\\a\\b\\f\\n\\r\\v"}}', "\u0007\b\f\n\r\v"],
    ['{{`a\\n"b"`}}', 'a\\n"b"'],
    ["{{`a\r\nb`}}", "a\nb"],
    ["{{3}}{{-3}}{{+3}}{{0}}{{-0}}", "3-3300"],
    ["{{9007199254740991}}", "9007199254740991"],
    ["{{true}}{{false}}", "truefalse"],
    ['{{"{{"}}{{"}}"}}', "{{}}"],
    // A paired text before one that is not, in one line and over two.
    ['{{"a"}} "\n{{"b"}}', 'a "\nb']
  ])("%s prints %j", (source, text) => {
    assert.strictEqual(render(source, data), text)
  })

  it("compares counts and durations as they are printed: negative ones are zero", () => {
    const negative = { stepCount: -2, duration: -5 }
    assert.strictEqual(render("{{lt .StepCount 0}}{{eq .StepCount 0}}{{le .Duration 0}}", negative), "falsetruetrue")
    assert.strictEqual(render("{{eq .Duration -5}}", negative), "false")
  })

  it("compares durations beyond 2^53 exactly", () => {
    const source = "{{gt .Duration 9007199254740991}}"
    assert.strictEqual(render(source, { duration: 9_007_199_254_740_992n }), "true")
    assert.strictEqual(render(source, { duration: "9007199254740992ns" }), "true")
    assert.strictEqual(render(source, { duration: 9_007_199_254_740_991n }), "false")
    assert.strictEqual(render("{{eq .Duration 9007199254740991}}", { duration: 9_007_199_254_740_991n }), "true")
    assert.strictEqual(render("{{eq .Duration .Duration}}", { duration: 2n ** 60n }), "true")
  })

  it("compares whole texts, not what is printed of them", () => {
    const long = "x".repeat(5000)
    assert.strictEqual(render(`{{eq .Name .Error}}`, { name: long, error: `${long}!` }), "false")
  })
})

describe("white space and braces", () => {
  it.each([
    ["a {{- .Name -}} b", "awebb"],
    ["a \n\t\r{{-\n.Name\t-}}\r\n b", "awebb"],
    // Neither U+00A0 nor vertical tab nor form feed is white space.
    ["a\u00a0{{- .Name -}}\u00a0b", "a\u00a0web\u00a0b"],
    ["a\v\f{{- .Name -}}\v\fb", "a\v\fweb\v\fb"],
    ["{{ .Name }}{{\n.Name\r\n}}{{\t.Name}}", "webwebweb"],
    ["a {{- /* c */ -}} b", "ab"],
    ["a{{/* }} {{.Nope}} */}}b", "ab"],
    ["a{{/**/}}b", "ab"],
    ["{{.Name}}}", "web}"],
    ["{{.Name}}}}", "web}}"],
    ["{ {{.Name}} {", "{ web {"],
    ["}} a {{/* */}}", "}} a "],
    ["a {{- 3}}", "a3"],
    ["{{- .Name -}}", "web"],
    ["{{if .Name -}} \n x {{- end}}|", "x|"],
    ["\ufeff{{.Name}}", "\ufeffweb"],
    ["", ""]
  ])("%j prints %j", (source, text) => {
    assert.strictEqual(render(source, { name: "web" }), text)
  })
})

describe("render", () => {
  it("renders sequences of any length", () => {
    for (let count = 0; count <= 60; count++) {
      const source = Array.from({ length: count }, (_, index) => `${index}{{.Name}}`).join("")
      const expected = Array.from({ length: count }, (_, index) => `${index}x`).join("")
      assert.strictEqual(render(`${source}.`, { name: "x" }), `${expected}.`)
    }
  })

  it("evaluates branches in order", () => {
    const source = "{{if .Name}}A{{else if .Error}}B{{else if .StepID}}C{{else}}D{{end}}"
    assert.strictEqual(render(source, { name: "x", error: "x" }), "A")
    assert.strictEqual(render(source, { error: "x", stepId: "x" }), "B")
    assert.strictEqual(render(source, { stepId: "x" }), "C")
    assert.strictEqual(render(source, {}), "D")
  })

  it("prints an if that is compiled to a fast path like any other", () => {
    for (const [name, key, value] of [
      ["Error", "error", "boom"],
      ["StepCount", "stepCount", 3],
      ["Duration", "duration", 5],
      ["ToolNames", "toolNames", [""]],
      ["AllowFailure", "allowFailure", true],
      ["Arguments.a", "arguments", { a: "x" }]
    ] as const) {
      const short = compile(`{{if .${name}}}: {{.${name}}}!{{end}}`)
      const long = compile(`{{if .${name}}}: {{.${name}}}!{{else}}{{end}}`)
      assert.strictEqual(short.render({ [key]: value }), long.render({ [key]: value }))
      assert.strictEqual(short.render({}), "")
      assert.strictEqual(short.render({ [key]: Symbol.iterator }), "")
    }
    assert.strictEqual(render("{{if .Name}}{{.Name}}{{.Name}}{{end}}", { name: "x" }), "xx")
    assert.strictEqual(render("{{if .Name}}{{.Error}}{{end}}", { name: "x", error: "y" }), "y")
  })

  it("has the fields that the template reads, and those that it prints outside every if", () => {
    const template = compile(
      "{{.Name}} {{.StepID}}{{if .Error}}{{.ExecutionID}}{{else}}{{.Operation}}{{end}}{{or .StepTool .Namespace}}{{.Arguments.a}}"
    )
    assert.deepStrictEqual([...template.fields].toSorted(), [
      "Arguments",
      "Error",
      "ExecutionID",
      "Name",
      "Namespace",
      "Operation",
      "StepID",
      "StepTool"
    ])
    assert.deepStrictEqual([...template.required], ["name", "stepId"])
    assert.strictEqual(template.source.slice(0, 9), "{{.Name}}")
    assert.isTrue(Object.isFrozen(template))
  })

  it("works without this", () => {
    const { render: alone } = compile("{{.Name}}")
    assert.strictEqual(alone({ name: "x" }), "x")
  })

  it("supports fields with the names of built-in properties of objects", () => {
    const keys = ["constructor", "toString", "hasOwnProperty", "__proto__"]
    const types = Object.fromEntries(keys.map((key) => [key, "text" as const]))
    const odd = Result.getOrThrow(TemplateFields.make(types))
    const template = Result.getOrThrow(
      MessageTemplate.compile("[{{.Constructor}}{{.ToString}}{{.HasOwnProperty}}{{.__proto__}}]", odd)
    )
    // A flag shows the difference between a missing value and one of a wrong type.
    const flags = Result.getOrThrow(TemplateFields.make({ valueOf: "flag" } as { readonly [key: string]: "flag" }))
    assert.strictEqual(Result.getOrThrow(MessageTemplate.compile("{{.ValueOf}}", flags)).render({}), "false")
    assert.strictEqual(template.render({}), "[]")
    assert.strictEqual(
      template.render(JSON.parse('{"constructor":"a","toString":"b","hasOwnProperty":"c","__proto__":"d"}') as object),
      "[abcd]"
    )
  })
})

describe("a data string longer than the limit is cut between characters", () => {
  it.each([
    ["x".repeat(2048), "x".repeat(2048)],
    ["x".repeat(2049), `${"x".repeat(2047)}…`],
    [`${"x".repeat(2046)}👍👍`, `${"x".repeat(2046)}…`],
    [`${"x".repeat(2045)}👍👍`, `${"x".repeat(2045)}👍…`],
    [`${"x".repeat(2047)}👍`, `${"x".repeat(2047)}…`]
  ])("of text", (value, text) => {
    assert.strictEqual(render("{{.Name}}", { name: value }), text)
    assert.strictEqual(render("{{if .Name}}{{.Name}}{{end}}", { name: value }), text)
    assert.strictEqual(render("{{.Arguments.a}}", { arguments: { a: value } }), text)
    assert.strictEqual(render("{{.ToolNames}}", { toolNames: [value] }), text)
  })

  it("also in a list, which is cut as one text", () => {
    assert.strictEqual(
      render("{{.ToolNames}}", { toolNames: ["x".repeat(2000), "y".repeat(2000)] }),
      `${"x".repeat(2000)}, ${"y".repeat(45)}…`
    )
    const many = Array.from({ length: 1_000_000 }, () => "ab")
    assert.strictEqual(render("{{.ToolNames}}", { toolNames: many }).length, 2048)
    assert.strictEqual(render("{{len .ToolNames}}", { toolNames: many }), "1000000")
    assert.strictEqual(
      render("{{.ToolNames}}", { toolNames: Object.assign([], { length: 4_294_967_295 }) }).length,
      2048
    )
  })

  it("with a limit that can be set", () => {
    const cut = (text: number): string => compile("{{.Name}}", { limits: { text } }).render({ name: "a👍bcdef" })
    assert.strictEqual(cut(8), "a👍bcdef")
    assert.strictEqual(cut(7), "a👍bcd…")
    assert.strictEqual(cut(3), "a…")
    assert.strictEqual(cut(1), "…")
  })
})

describe("only own properties are data", () => {
  const template = compile(
    "[{{.Name}}{{.Error}}{{if .StepCount}}n{{end}}{{.Arguments.region}}{{.Arguments.constructor}}]"
  )

  it("and those of any prototype are not", () => {
    const inherited = { name: "a", error: "b", stepCount: 1, arguments: { region: "c" } }
    assert.strictEqual(template.render(Object.create(inherited) as object), "[]")
    assert.strictEqual(template.render(Object.assign(Object.create(inherited) as object, { error: "own" })), "[own]")
    class Data {
      readonly error = "own"
      get name(): string {
        return "inherited"
      }
    }
    assert.strictEqual(template.render(new Data()), "[own]")
    assert.strictEqual(template.render({ arguments: Object.create({ region: "c" }) as unknown }), "[]")
    const listed = Object.create(inherited, { toolNames: { value: Array.from({ length: 5000 }, () => "a") } }) as object
    assert.strictEqual(render("{{len .ToolNames}}", listed), "5000")
    assert.strictEqual(template.render(Object.assign(Object.create(null) as object, { name: "a" })), "[a]")
  })

  it("and those of a polluted Object.prototype are not", () => {
    const prototype = Object.prototype as { name?: string; region?: string; error?: string }
    try {
      prototype.name = "polluted"
      prototype.region = "polluted"
      prototype.error = "polluted"
      assert.strictEqual(template.render({}), "[]")
      assert.strictEqual(template.render({ arguments: {} }), "[]")
      assert.strictEqual(template.render({ name: "own" }), "[own]")
      assert.strictEqual(compile("{{.Error}}").render({}), "")
    } finally {
      delete prototype.name
      delete prototype.region
      delete prototype.error
    }
  })

  it("so no name in a template reads a property of Object.prototype", () => {
    for (const name of ["__proto__", "constructor", "toString", "hasOwnProperty", "valueOf", "prototype", "length"]) {
      assert.lengthOf(issues(`{{.${name}}}`), 1)
      assert.lengthOf(issues(`{{if .Nope}}{{.Name.${name}}}{{end}}`), 2)
      assert.strictEqual(render(`{{.Arguments.${name}}}`, { arguments: {} }), "")
    }
    assert.strictEqual(
      render("{{.Arguments.__proto__}}", { arguments: JSON.parse('{"__proto__":"own"}') as unknown }),
      "own"
    )
  })
})

describe("data that throws when it is read", () => {
  const trap = (): never => {
    throw new Error("a trap in the data")
  }

  it("prints everything except for the values that throw", () => {
    const data = Object.defineProperty({ name: "web", error: "boom", toolNames: ["a"] }, "error", { get: trap })
    assert.strictEqual(render("{{.Name}}: {{.Error}}{{.ToolNames}}", data), "web: a")
    assert.strictEqual(
      render("{{.Name}}{{.ToolNames}}{{len .ToolNames}}", { name: "web", toolNames: new Proxy(["a"], { get: trap }) }),
      "web0"
    )
    assert.strictEqual(
      render("{{.Name}}{{.Arguments.a}}{{.Arguments.b}}", {
        name: "web",
        arguments: Object.defineProperty({ a: "x" }, "b", { enumerable: true, get: trap })
      }),
      "web"
    )
  })

  it("prints the rest also where functions for reading fields throw", () => {
    const withTraps = Result.getOrThrow(
      TemplateFields.make(
        { name: "text", error: "text" },
        { get: { name: (data) => (data as { name: string }).name, error: trap } }
      )
    )
    const template = Result.getOrThrow(MessageTemplate.compile("{{.Name}}: {{.Error}}", withTraps))
    assert.strictEqual(template.render({ name: "web" }), "web: ")
  })

  it("renders as empty data when it is null or undefined", () => {
    for (const nothing of [undefined, null, 5, "name", Symbol("s")]) {
      assert.strictEqual(compile("[{{.Name}}]").render(nothing as unknown as object), "[]")
    }
  })

  it("renders as an empty text where no message is possible", () => {
    const long = compile("{{.Name}}".repeat(9000), {
      limits: { length: Infinity, parts: Infinity, text: Infinity }
    })
    assert.strictEqual(long.render({ name: "x".repeat(65_536) }), "")
  })
})
