import { assert, describe, it } from "@effect/vitest"
import { check } from "../src/internal/checker.ts"
import { Issues } from "../src/internal/issues.ts"
import { parseParts } from "../src/internal/parser.ts"
import type { Source } from "../src/internal/scanner.ts"
import { TemplateLimits } from "../src/index.ts"
import { fields } from "./support.ts"

const limits = TemplateLimits.make({ length: Infinity, parts: Infinity, ifDepth: Infinity, elseIfs: Infinity })

/** How many characters the reader looks at, and how often the fields are searched for a suggestion. */
const workOf = (
  source: string,
  limits: TemplateLimits.TemplateLimits
): { readonly length: number; readonly characters: number; readonly searches: number } => {
  let characters = 0
  let searches = 0
  const counted: Source = {
    length: source.length,
    charCodeAt: (index) => {
      characters += 1
      return source.charCodeAt(index)
    },
    codePointAt: (index) => {
      characters += 1
      return source.codePointAt(index)
    },
    indexOf: (search, from) => {
      const found = source.indexOf(search, from)
      characters += (found === -1 ? source.length : found) - from + 1
      return found
    },
    slice: (start, end) => {
      characters += Math.max(0, Math.min(end, source.length) - start)
      return source.slice(start, end)
    }
  }
  const watched = new Proxy(fields, {
    ownKeys: (target) => {
      searches += 1
      return Reflect.ownKeys(target)
    }
  })
  const issues = new Issues(limits.issues)
  parseParts(counted, limits, issues, (expression) => check(expression, watched, issues))
  return { length: source.length, characters, searches }
}

describe("parsing a template takes time in proportion to its length, whatever it contains", () => {
  it.each([
    ["x"],
    ["{"],
    ["}"],
    ["{{"],
    ["}}"],
    ["{{}}"],
    ["{{.Name}}"],
    ["{{.Nope}}"],
    ["{{ .Name -}}  "],
    ["  {{- .Name}}"],
    ["{{- "],
    ["{{-"],
    [" -}}"],
    ["{{if .Name}}"],
    ["{{if .Name}}{{end}}"],
    ["{{end}}"],
    ["{{else}}"],
    ["{{if .Name}}{{else}}{{end}}"],
    ["{{range .Name}}"],
    ["{{/*"],
    ["{{/* */}}"],
    ["*/"],
    ['{{"'],
    ['"'],
    ['"\\'],
    ['\\"'],
    ['{{"\\"'],
    ['{{"\\q"}}'],
    ["{{`"],
    ["`"],
    ["{{`}}`}}"],
    ["("],
    [")"],
    ["{{("],
    ["{{(.Name)}}"],
    [".Name"],
    [" .Name"],
    ["."],
    ["-"],
    ["1"],
    ["é"],
    ["👍"],
    ["\ud800"],
    ["\n"],
    [" "],
    ["\\u00e9"]
  ])("%j", (unit) => {
    // As it stands, inside an action, inside a text in an action, and after an if.
    for (const [before, after] of [
      ["", ""],
      ["{{", "}}"],
      ["{{not ", ""],
      ['{{"', '"}}'],
      ["{{if .Name}}", "{{end}}"]
    ] as const) {
      const works = [1000, 2000, 4000].map((count) => {
        const source = before + unit.repeat(count) + after
        return workOf(source, limits)
      })
      for (const [index, work] of works.entries()) {
        assert.isAtMost(work.characters, 40 * work.length + 1000)
        const half = works[index - 1]
        if (half !== undefined) assert.isAtMost(work.characters, 2.1 * half.characters + 1000)
        // Nobody sees more than twenty hints.
        assert.isAtMost(work.searches, 3 * limits.issues)
      }
    }
  })
})

describe("issues beyond the limit cost nothing", () => {
  it("because parsing stops after the last one", () => {
    const wrong = "{{.Nope}}".repeat(limits.issues)
    assert.isAtMost(workOf(wrong + "x{{.Name}}".repeat(10_000), limits).characters, 40 * wrong.length)
  })

  it("because no field is suggested after the last one", () => {
    const wide = { ...limits, arguments: 1000 }
    assert.isAtMost(workOf(`{{or ${".Nope ".repeat(1000)}}}`, wide).searches, limits.issues)
    assert.isAtMost(workOf(`{{or ${"nope ".repeat(1000)}}}`, wide).searches, limits.issues)
  })
})
