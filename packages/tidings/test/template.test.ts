// template render | check | test, explain
import { EventGenerator, reasonsKept } from "@tidings/core/EventGenerator"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { mkdtemp, rm, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { memory, run } from "./harness.ts"

const runs = (argv: ReadonlyArray<string>, stdin?: string) =>
  Effect.flatMap(memory(), ({ layer }) => run(layer, argv, { stdin }))

describe("template render", () => {
  it.effect("renders with data under either name", () =>
    Effect.gen(function* () {
      const template =
        "{{.Name}}: {{.StepID}}{{if .Duration}} in {{.Duration}}{{end}} {{.ToolNames}} {{.Arguments.region}}"
      const data = ["name=deploy", "stepId=build", "Duration=1m30.5s", "toolNames=a,b", "arguments.region=eu"]
      const ran = yield* runs(["template", "render", template, ...data.flatMap((pair) => ["--data", pair])])
      assert.deepStrictEqual(ran, { code: 0, out: ["deploy: build in 1m30.5s a, b eu"], err: [] })
      const nothing = yield* runs(["template", "render", template])
      assert.deepStrictEqual(nothing.out, [":   "])
    })
  )

  it.effect("never reads data as a template, and escapes what would drive the terminal", () =>
    Effect.gen(function* () {
      const ran = yield* runs([
        "template",
        "render",
        "{{.Error}}",
        "--data",
        "error={{.Name}}\u001b[31m",
        "--data",
        "name=x"
      ])
      assert.deepStrictEqual(ran.out, ["{{.Name}}\\u001b[31m"])
    })
  )

  it.effect("reads a template from standard input", () =>
    Effect.gen(function* () {
      const ran = yield* runs(["template", "render", "-", "--data", "name=x"], "Hello {{.Name}}\n")
      assert.deepStrictEqual(ran.out, ["Hello x"])
    })
  )

  it.effect("refuses data that no template names", () =>
    Effect.gen(function* () {
      const ran = yield* runs(["template", "render", "{{.Name}}", "--data", "Nmae=x"])
      assert.strictEqual(ran.code, 2)
      assert.match(ran.err[0]!, /^error: --data "Nmae" is not a field; did you mean name\?/)
      assert.match(ran.err[1]!, /^usage: tidings template render TEMPLATE/)
    })
  )
})

describe("template check", () => {
  it.effect("tells what a valid template uses", () =>
    Effect.gen(function* () {
      const ran = yield* runs(["template", "check", "{{.Name}}{{if .Error}}: {{.Error}}{{end}}"])
      assert.deepStrictEqual(ran, {
        code: 0,
        out: ["valid: it uses .Name, .Error", "required (printed outside every if): name"],
        err: []
      })
      assert.deepStrictEqual((yield* runs(["template", "check", "plain"])).out, ["valid: it uses no fields"])
    })
  )

  it.effect("shows every mistake with its place, on stderr", () =>
    Effect.gen(function* () {
      const ran = yield* runs(["template", "check", "-"], "{{.StepId}}\n{{range .ToolNames}}{{end}}\n")
      assert.strictEqual(ran.code, 1)
      assert.deepStrictEqual(ran.out, [])
      assert.match(ran.err[0]!, /^error: the template has \d mistakes$/)
      assert.strictEqual(ran.err[1], "1:3 unknown field .StepId (did you mean .StepID?)")
      assert.isTrue(ran.err.some((line) => line.startsWith("2:3 ")))
      assert.strictEqual(ran.err[2], "  {{.StepId}}")
      assert.strictEqual(ran.err[3], "    ^^^^^^^")
    })
  )
})

describe("template test", () => {
  const withFile = <A, E, R>(text: string, use: (file: string) => Effect.Effect<A, E, R>) =>
    Effect.acquireUseRelease(
      Effect.promise(() => mkdtemp(join(tmpdir(), "tidings-templates-"))),
      (directory) => {
        const file = join(directory, "cases.jsonl")
        return Effect.andThen(
          Effect.promise(() => writeFile(file, text)),
          use(file)
        )
      },
      (directory) => Effect.promise(() => rm(directory, { recursive: true }))
    )

  const cases = (...all: ReadonlyArray<unknown>): string =>
    all.map((one) => (typeof one === "string" ? one : JSON.stringify(one))).join("\n")

  it.effect("passes what is as expected", () =>
    Effect.gen(function* () {
      const text = cases(
        { template: "{{.Name}}", data: { Name: "x" }, expected: "x" },
        { template: "{{.Name}}", data: { name: "x" }, expected: "x" },
        { template: "{{.StepID}} {{.Duration}}", data: { stepId: "s", duration: "1m30.5s" }, expected: "s 1m30.5s" },
        { template: "{{.Duration}}", data: { Duration: 90_500_000_000 }, expected: "1m30.5s" },
        `{ "template": "{{.Duration}}", "data": { "Duration": 9223372036854775807 }, "expected": "2562047h47m16.854775807s" }`,
        {
          template: "{{.ToolNames}}{{.StepCount}}{{.AllowFailure}}",
          data: { toolNames: ["a", "b"], stepCount: 2, allowFailure: false },
          expected: "a, b2false"
        },
        { template: "{{.Arguments.region}}", data: { arguments: { region: "eu" } }, expected: "eu" },
        { template: "{{.Error}}", data: { error: null }, expected: "" },
        { template: "no data", expected: "no data" },
        { template: "{{.Nope}}", rejected: true },
        "",
        { template: "{{if .Name}}", rejected: true, "note": "other keys are ignored" }
      )
      const ran = yield* withFile(`\ufeff${text.replaceAll("\n", "\r\n")}\r\n`, (file) =>
        runs(["template", "test", file])
      )
      assert.deepStrictEqual(ran, { code: 0, out: ["11 passed, 0 failed"], err: [] })
    })
  )

  it.effect("shows the first place of a difference, not the whole of long texts", () =>
    Effect.gen(function* () {
      const long = "word ".repeat(100)
      const text = cases({ template: `first\nsecond ${long}x${long}`, expected: `first\nsecond ${long}y${long}` })
      const { code, out } = yield* runs(["template", "test", "-"], text)
      assert.strictEqual(code, 1)
      assert.match(out.join("\n"), /^ {2}differs from line 2, column 508 on:$/m)
      const [expected, rendered, caret] = out.slice(2, 5) as [string, string, string]
      assert.isBelow(Math.max(expected.length, rendered.length), 120)
      assert.match(expected, /^ {2}expected …"/)
      assert.strictEqual(expected[caret.indexOf("^")], "y")
      assert.strictEqual(rendered[caret.indexOf("^")], "x")
    })
  )

  it.effect("shows the difference of each line that fails, and ends with the sum alone", () =>
    Effect.gen(function* () {
      const text = cases(
        { template: "{{.Name}} failed", data: { name: "x" }, expected: "x ended" },
        { template: "fine", expected: "fine" },
        "{ no json",
        "[]",
        { data: {} },
        { template: "x" },
        { template: "x", expected: "x", rejected: true },
        { template: "x", rejected: false },
        { template: "x", rejected: true },
        { template: "{{.StepId}}", expected: "" },
        { template: "x", data: { Customer: "y" }, expected: "x" },
        { template: "x", data: { StepCount: "3" }, expected: "x" },
        { template: "x", data: [], expected: "x" },
        `{"template":"x","data":{"stepCount":9007199254740992},"expected":"x"}`
      )
      const { code, err, out } = yield* runs(["template", "test", "-"], text)
      assert.strictEqual(code, 1)
      assert.deepStrictEqual(err, [])
      assert.strictEqual(out.at(-1), "1 passed, 13 failed")
      const of = (line: number): ReadonlyArray<string> => {
        const start = out.findIndex((one) => one.startsWith(`line ${line}: `))
        const rest = out.slice(start + 1)
        const end = rest.findIndex((one) => !one.startsWith("  "))
        return rest.slice(0, end)
      }
      assert.strictEqual(out[0], `line 1: {"template":"{{.Name}} failed","data":{"name":"x"},"expected":"x ended"}`)
      assert.deepStrictEqual(of(1), [
        "  differs from line 1, column 3 on:",
        `  expected "x ended"`,
        `  rendered "x failed"`,
        "              ^"
      ])
      assert.match(of(3)[0]!, /^ {2}it is not JSON: /)
      assert.deepStrictEqual(of(4), ["  it is not a JSON object"])
      assert.deepStrictEqual(of(5), [`  it has no "template"`])
      assert.deepStrictEqual(of(6), [`  it has neither "expected" (a text) nor "rejected": true`])
      assert.deepStrictEqual(of(7), [`  it has both "expected" and "rejected"`])
      assert.deepStrictEqual(of(8), [`  "rejected" can only be true`])
      assert.deepStrictEqual(of(9), ["  expected to be rejected", `  rendered "x"`])
      assert.deepStrictEqual(of(10).slice(0, 3), [
        `  expected ""`,
        "  the template is rejected:",
        "  1:3 unknown field .StepId (did you mean .StepID?)"
      ])
      assert.match(of(11)[0]!, /^ {2}data: "Customer" is not a field\. Anything of your own goes under arguments/)
      assert.deepStrictEqual(of(12), [`  data.StepCount is "3", expected a whole number`])
      assert.deepStrictEqual(of(13), [`  data is [], expected an object such as {"stepId":"build"}`])
      assert.deepStrictEqual(of(14), [
        '  data.stepCount is "9007199254740992", expected a whole number from -9007199254740991 to 9007199254740991'
      ])
    })
  )

  it.effect("says what is wrong with a file that cannot be read", () =>
    Effect.gen(function* () {
      for (const text of ["", "\n \n"]) {
        const empty = yield* runs(["template", "test", "-"], text)
        assert.deepStrictEqual([empty.code, empty.err], [1, ["error: standard input has no cases"]])
      }
      const missing = yield* runs(["template", "test", "/nowhere/cases.jsonl"])
      assert.deepStrictEqual(missing, {
        code: 1,
        out: [],
        err: [
          `error: cannot read "/nowhere/cases.jsonl": there is no such file`,
          "give the path of a file with one test per line, or - for standard input"
        ]
      })
      const directory = yield* runs(["template", "test", tmpdir()])
      assert.strictEqual(directory.code, 1)
      assert.match(directory.err[0]!, /^error: cannot read ".*": it is a directory$/)
      assert.strictEqual(directory.err.length, 2)
    })
  )
})

describe("explain", () => {
  it.effect("lists all 69 reasons under their kinds", () =>
    Effect.gen(function* () {
      const { code, err, out } = yield* runs(["explain"])
      assert.deepStrictEqual([code, err], [0, []])
      const kinds = out.filter((line) => /^\w/.test(line))
      assert.deepStrictEqual(
        kinds,
        ["MCPServer", "ServiceClass", "Workflow", "ServiceInstance"].map(
          (kind) => `${kind} muster.giantswarm.io/v1alpha1`
        )
      )
      assert.strictEqual(out.filter((line) => /^ {2}\w+ +(?:Normal|Warning) +\S/.test(line)).length, 69)
    })
  )

  it.effect("explains one reason, however it is written, and one kind", () =>
    Effect.gen(function* () {
      const { out } = yield* runs(["explain", "workflowstepSKIPPED"])
      assert.deepStrictEqual(out.slice(0, 3), [
        "Reason:   WorkflowStepSkipped",
        "Kind:     Workflow (muster.giantswarm.io/v1alpha1)",
        "Type:     Normal"
      ])
      assert.match(out[3]!, /^Meaning: {2}\S/)
      assert.match(out[4]!, /^Message: {2}.*\{\{\.StepID\}\}/)
      assert.strictEqual(out[5], "Data:     stepId (text, needed), conditionResult (text, needed), stepTool (text)")
      assert.strictEqual(
        out[6],
        "Record:   tidings emit Workflow/NAME WorkflowStepSkipped --data stepId=… --data conditionResult=…"
      )
      const kind = yield* runs(["explain", "serviceclass"])
      assert.strictEqual(kind.out.length, 11)
    })
  )

  it.effect("marks the 36 reasons that the later generation of muster has kept", () =>
    Effect.gen(function* () {
      const { out } = yield* runs(["explain"])
      const marked = out.filter((line) => /^ {2}\w+ +(?:Normal|Warning) +\* {2}\S/.test(line))
      const ofKind = (kind: string) => marked.filter((line) => line.startsWith(`  ${kind}`)).length
      assert.deepStrictEqual([marked.length, ofKind("MCPServer"), ofKind("Workflow")], [36, 19, 17])
      assert.strictEqual(out.at(-1), "* also a reason of muster 1.7; the others are of muster 0.1 alone")
      const reasons = Object.values(EventGenerator.kinds).flatMap(({ reasons }) => Object.keys(reasons))
      assert.includeMembers(reasons, [...reasonsKept])

      const last = (reason: string) => Effect.map(runs(["explain", reason]), ({ out }) => out.at(-1))
      assert.strictEqual(yield* last("MCPServerStarted"), "Muster:   in 0.1 and 1.7")
      assert.strictEqual(yield* last("MCPServerReconnected"), "Muster:   in 0.1, no longer in 1.7")
    })
  )

  it.effect("suggests what was meant", () =>
    Effect.gen(function* () {
      const { code, err } = yield* runs(["explain", "WorkflowExecutd"])
      assert.strictEqual(code, 2)
      assert.deepStrictEqual(err, [
        `error: the catalogue has no reason "WorkflowExecutd"; did you mean WorkflowExecuted?`,
        "usage: tidings explain [REASON] [flags] (more: tidings explain --help)"
      ])
      assert.strictEqual(
        (yield* runs(["explain", "Zzzzzzzzzzz"])).err[0],
        `error: the catalogue has no reason "Zzzzzzzzzzz"`
      )
    })
  )
})
