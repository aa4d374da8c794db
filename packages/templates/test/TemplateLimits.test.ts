import { assert, describe, it } from "@effect/vitest"
import { TemplateLimits } from "../src/index.ts"
import { compile, issues, refusal } from "./support.ts"

const nested = (depth: number): string => "{{if .Name}}".repeat(depth) + "{{end}}".repeat(depth)
const chained = (count: number): string => `{{if .Name}}${"{{else if .Error}}".repeat(count)}{{end}}`
const parenthesised = (depth: number): string => `{{${"(".repeat(depth)}.Name${")".repeat(depth)}}}`
const called = (count: number): string => `{{or${" .Name".repeat(count)}}}`

describe("make", () => {
  it("returns the documented defaults", () => {
    assert.deepStrictEqual(TemplateLimits.make(), {
      length: 4096,
      parts: 256,
      ifDepth: 16,
      elseIfs: 32,
      expressionDepth: 8,
      arguments: 16,
      issues: 20,
      text: 2048
    })
    assert.strictEqual(TemplateLimits.make(), TemplateLimits.defaults)
    assert.isTrue(Object.isFrozen(TemplateLimits.defaults))
  })

  it("replaces the given limits, up to their maximum", () => {
    assert.strictEqual(TemplateLimits.make({ ifDepth: 20 }).ifDepth, 20)
    assert.strictEqual(TemplateLimits.make({ ifDepth: 20 }).length, 4096)
    assert.strictEqual(TemplateLimits.make({ ifDepth: 2.9 }).ifDepth, 2)
    const all = { length: 1e99, parts: Infinity, ifDepth: 1e99, elseIfs: 1e99, expressionDepth: 1e99 }
    assert.deepStrictEqual(
      TemplateLimits.make({ ...all, arguments: 1e99, issues: 1e99, text: 1e99 }),
      TemplateLimits.ceilings
    )
  })

  it.each([0, -1, Number.NaN, undefined])("uses the default for %s", (value) => {
    assert.strictEqual(TemplateLimits.make({ text: value }).text, 2048)
  })
})

describe("a template is refused beyond a limit, and accepted at the limit", () => {
  it("of the length", () => {
    compile("x".repeat(4096))
    assert.deepStrictEqual(issues("x".repeat(4097)), ["1:1 too-long the template has 4097 characters (at most 4096)"])
    compile("x".repeat(4097), { limits: { length: 5000 } })
    assert.lengthOf(issues("{{.Nope}}", { limits: { length: 8 } }), 1)
  })

  it("of the number of parts", () => {
    compile("{{.Name}} ".repeat(128))
    assert.deepStrictEqual(issues(`${"{{.Name}} ".repeat(128)}{{.Name}}`), [
      "1:1281 too-many-parts the template has more than 256 parts"
    ])
    // An if counts once; what it holds counts for itself.
    compile("{{if .Name}}a{{else}}b{{end}}".repeat(85))
    assert.lengthOf(issues("{{if .Name}}a{{else}}b{{end}}".repeat(86)), 1)
    // What stands behind the limit is not looked at: the open if is no further mistake.
    assert.lengthOf(issues(`{{if .Name}}${"{{.Name}} ".repeat(200)}`), 1)
    compile(`${"{{.Name}} ".repeat(128)}{{.Name}}`, { limits: { parts: 257 } })
  })

  it("of the depth of ifs", () => {
    compile(nested(16))
    assert.deepStrictEqual(issues(nested(17)), ["1:193 too-deep more than 16 ifs inside each other"])
    assert.lengthOf(issues(nested(60)), 1)
    compile(nested(17), { limits: { ifDepth: 17 } })
  })

  it("of the number of else ifs", () => {
    compile(chained(32))
    assert.deepStrictEqual(issues(chained(33)), ["1:589 too-many-branches this if has more than 32 else if"])
    assert.lengthOf(issues(chained(60)), 1)
    compile(chained(33), { limits: { elseIfs: 33 } })
  })

  it("of the depth of parentheses", () => {
    compile(parenthesised(8))
    assert.deepStrictEqual(issues(parenthesised(9)), ["1:11 too-deep more than 8 parentheses inside each other"])
    compile(parenthesised(9), { limits: { expressionDepth: 9 } })
  })

  it("of the number of arguments", () => {
    compile(called(16))
    assert.deepStrictEqual(issues(called(17)), ["1:102 too-many-arguments or has more than 16 arguments"])
    compile(called(17), { limits: { arguments: 17 } })
  })

  it("of the number of issues", () => {
    assert.lengthOf(issues("{{.Nope}}".repeat(20)), 20)
    assert.lengthOf(issues("{{.Nope}}".repeat(50)), 20)
    assert.lengthOf(issues("{{.Nope}}".repeat(50), { limits: { issues: 3 } }), 3)
    assert.lengthOf(issues("{{if .Nope}}".repeat(15)), 20)
    assert.lengthOf(issues(`{{and ${".Nope ".repeat(16)}}}`, { limits: { issues: 3 } }), 3)
  })
})

describe("ceilings", () => {
  it("are reached without a stack overflow", () => {
    const limits = {
      length: Infinity,
      parts: Infinity,
      ifDepth: Infinity,
      elseIfs: Infinity,
      expressionDepth: Infinity
    }
    const { elseIfs, expressionDepth, ifDepth } = TemplateLimits.ceilings
    assert.strictEqual(compile(nested(ifDepth), { limits }).render({ name: "a" }), "")
    assert.strictEqual(compile(chained(elseIfs), { limits }).render({ name: "a" }), "")
    assert.strictEqual(compile(parenthesised(expressionDepth), { limits }).render({ name: "a" }), "a")
    const calls = `{{${"not (".repeat(expressionDepth)}.Name${")".repeat(expressionDepth)}}}`
    assert.strictEqual(compile(calls, { limits }).render({ name: "a" }), "true")
    assert.strictEqual(refusal(nested(ifDepth + 1), { limits }).issues[0]?.code, "too-deep")
    const branches = `{{if .Name}}a${"{{else if .Error}}b".repeat(elseIfs)}{{else}}c{{end}}`
    assert.strictEqual(compile(branches, { limits }).render({}), "c")
  })
})
