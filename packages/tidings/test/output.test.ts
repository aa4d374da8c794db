// What is printed, and how: outputs, order, times, widths, colours
import * as Timestamp from "@tidings/core/Timestamp"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Result from "effect/Result"
import { TestClock, TestConsole } from "effect/testing"
import { stripVTControlCharacters } from "node:util"
import * as jsonPath from "../src/internal/cli/jsonPath.ts"
import * as table from "../src/internal/cli/table.ts"
import { memory, run, write } from "./harness.ts"

const now = Timestamp.parse("2026-08-22T10:30:00Z")!

const three = Effect.gen(function* () {
  yield* TestClock.setTime(now / 1_000)
  const backend = yield* memory()
  yield* backend.service.write([
    write(1, { at: "2026-08-22T10:00:00Z", name: "b", reason: "Two", type: "Warning", message: "a\nb" }),
    write(2, {
      at: "2026-08-22T10:10:00Z",
      first: "2026-08-22T10:05:00Z",
      count: 7,
      upTo: 8,
      name: "c",
      reason: "One"
    }),
    write(3, { at: "2026-08-22T10:20:00Z", name: "a", reason: "Three", namespace: "team-a" })
  ])
  return backend
})

describe("outputs", () => {
  it.effect("that are described print what kubectl prints for them", () =>
    Effect.gen(function* () {
      const { layer } = yield* three
      const printed = (output: string) => Effect.map(run(layer, ["list", "-o", output]), ({ out }) => out)
      assert.deepStrictEqual(yield* printed("name"), [
        "event/b.0123456789abcdef.1",
        "event/c.0123456789abcdef.2",
        "event/a.0123456789abcdef.3"
      ])
      assert.deepStrictEqual(yield* printed("jsonpath={.items[*].reason}"), ["Two One Three"])
      assert.deepStrictEqual(
        yield* printed(String.raw`jsonpath={range .items[*]}{.involvedObject.name}{"\t"}{.count}{"\n"}{end}`),
        ["b\t1", "c\t7", "a\t1"]
      )
      assert.deepStrictEqual(yield* printed(`jsonpath={.items[?(@.type=="Warning")].message}`), [String.raw`a\nb`])
      assert.deepStrictEqual(yield* printed("custom-columns=REASON:.reason,WHO:involvedObject.name,NO:{.missing}"), [
        "REASON  WHO  NO",
        "Two     b    <none>",
        "One     c    <none>",
        "Three   a    <none>"
      ])
    })
  )

  it.effect("that are described are printed event by event by follow and wait", () =>
    Effect.gen(function* () {
      const { layer } = yield* three
      const fiber = yield* Effect.forkChild(run(layer, ["follow", "-o", "jsonpath={.reason}/{.count}"]))
      while ((yield* TestConsole.logLines).length === 0) {
        yield* Effect.promise(() => new Promise((resolve) => setImmediate(resolve)))
      }
      assert.deepStrictEqual((yield* TestConsole.logLines).join("\n"), "Two/1\nOne/7\nThree/1")
      yield* Fiber.interrupt(fiber)
      const waited = yield* run(layer, ["wait", "--reason", "One", "--since", "1h", "-o", "jsonpath={.count}"])
      assert.deepStrictEqual(waited, { code: 0, out: ["7"], err: [] })
      const named = yield* run(layer, ["wait", "--reason", "One", "--since", "1h", "-o", "custom-columns=N:.count"])
      assert.deepStrictEqual(named.out, ["N", "7"])
    })
  )

  it.effect.each([
    ["jsonpath={.items[*]", /-o jsonpath: "\{" is not closed/],
    ["jsonpath={range .items[*]}x", /-o jsonpath: \{range\} without \{end\}/],
    ["jsonpath={end}", /-o jsonpath: \{end\} without \{range\}/],
    ["jsonpath=", /-o jsonpath= has no template/],
    ["custom-columns=REASON", /"REASON" is not TITLE:PATH, such as REASON:.reason/],
    ["custom-columns=A:.b[x]", /\[x\] is neither an index, a name, a range nor a filter/]
  ] as const)("that cannot be read are refused: %s", ([output, expected]) =>
    Effect.gen(function* () {
      const { layer } = yield* three
      const { code, err } = yield* run(layer, ["list", "-o", output])
      assert.strictEqual(code, 2)
      assert.match(err[0]!, expected)
    })
  )

  it.effect("have no titles with --no-headers", () =>
    Effect.gen(function* () {
      const { layer } = yield* three
      assert.deepStrictEqual((yield* run(layer, ["list", "--no-headers", "-n", "team-a"])).out, [
        "10m  Normal  Three  Workflow/a  message 3"
      ])
      const columns = yield* run(layer, ["list", "--no-headers", "-o", "custom-columns=A_LONG_TITLE:.reason,B:.count"])
      assert.deepStrictEqual(columns.out, ["Two    1", "One    7", "Three  1"])
    })
  )
})

describe("order and times", () => {
  it.effect("are as usual where no event has the field, which is said", () =>
    Effect.gen(function* () {
      const { layer } = yield* three
      for (const path of [".nope", ".count,.reason"]) {
        const { code, err } = yield* run(layer, ["list", "--sort-by", path])
        assert.deepStrictEqual(
          [code, ...err],
          [0, `note: no event here has the field ${path}, so --sort-by changes nothing`]
        )
      }
      assert.deepStrictEqual((yield* run(layer, ["list", "--sort-by", ".count"])).err.join(""), "")
    })
  )

  it.effect.each([
    [["--reverse"], ["Three", "One", "Two"]],
    [
      ["--sort-by", ".reason"],
      ["One", "Three", "Two"]
    ],
    [
      ["--sort-by", "{.involvedObject.name}"],
      ["Three", "Two", "One"]
    ],
    [
      ["--sort-by", "count", "--reverse"],
      ["One", "Three", "Two"]
    ],
    [
      ["--sort-by", ".lastTimestamp"],
      ["Two", "One", "Three"]
    ]
  ] as const)("is what is asked for in every output: %j", ([argv, reasons]) =>
    Effect.gen(function* () {
      const { layer } = yield* three
      const rows = yield* run(layer, ["list", "--no-headers", "-A", ...argv])
      assert.deepStrictEqual(
        rows.out.map((line) => /(One|Two|Three)/.exec(line)![0]),
        [...reasons]
      )
      const document = JSON.parse((yield* run(layer, ["list", "-o", "json", ...argv])).out.join("\n"))
      assert.deepStrictEqual(
        document.items.map(({ reason }: { readonly reason: string }) => reason),
        [...reasons]
      )
    })
  )

  it.effect("are dates in UTC with --utc", () =>
    Effect.gen(function* () {
      const { layer } = yield* three
      assert.deepStrictEqual((yield* run(layer, ["list", "--utc", "--no-headers", "-n", "default"])).out, [
        String.raw`2026-08-22T10:00:00Z                Warning  Two  Workflow/b  a\nb`,
        "2026-08-22T10:10:00Z (×7 over 25m)  Normal   One  Workflow/c  message 2"
      ])
    })
  )
})

describe("widths", () => {
  it.effect("are those of the terminal, with wide characters, in every table and in help", () =>
    Effect.gen(function* () {
      const { layer, service } = yield* three
      yield* service.write([
        write(20, {
          at: "2026-08-22T10:20:00Z",
          kind: "ClusterPluginConfiguration",
          name: "a-name-that-is-longer-than-most-terminals-have-room-for-日本語日本語日本語",
          reason: "ConfigurationOfPluginCouldNotBeRead",
          message: "日本語日本語日本語日本語日本語日本語日本語日本語日本語日本語 👩‍👩‍👧 ".repeat(5)
        })
      ])
      for (const columns of [20, 60, 80, 200]) {
        for (const argv of [
          ["list"],
          ["list", "--utc"],
          ["top"],
          ["top", "--by", "object"],
          ["story"],
          ["explain"],
          ["explain", "WorkflowStepFailed"]
        ]) {
          const { out } = yield* run(layer, argv, { columns })
          const widest = Math.max(...out.map(table.width))
          assert.isAtMost(widest, columns, out.join("\n"))
        }
      }
      const { id } = JSON.parse((yield* run(layer, ["list", "ClusterPluginConfiguration", "-o", "ndjson"])).out[0]!)
      for (const columns of [60, 80, 200]) {
        const got = yield* run(layer, ["get", id], { columns })
        assert.isAtMost(Math.max(...got.out.map(table.width)), columns, got.out.join("\n"))
        for (const argv of [["--help"], ["list", "--help"], ["wait", "--help"], ["mcp", "--help"]]) {
          const { out } = yield* run(layer, argv, { columns })
          assert.isAtMost(Math.max(...out.map(table.width)), columns, out.join("\n"))
        }
      }
    })
  )

  it.effect("are not changed by colours, which an object keeps", () =>
    Effect.gen(function* () {
      const { layer } = yield* three
      const plain = yield* run(layer, ["list"], { columns: 60 })
      const coloured = yield* run(layer, ["list", "--color", "always"], { columns: 60 })
      assert.deepStrictEqual(coloured.out.map(stripVTControlCharacters), plain.out)
      const wide = yield* run(layer, ["list", "--color", "always"], { columns: 200 })
      const colourOf = (lines: ReadonlyArray<string>, object: string) =>
        // oxlint-disable-next-line no-control-regex
        lines.flatMap((line) => new RegExp(`\\u001b\\[(\\d+)m${object}`).exec(line)?.[1] ?? [])
      assert.lengthOf(colourOf(wide.out, "Workflow/b"), 1)
      const again = yield* run(layer, ["list", "--name", "b", "--color", "always"])
      assert.deepStrictEqual(colourOf(again.out, "Workflow/b"), colourOf(wide.out, "Workflow/b"))
    })
  )
})

describe("JSONPath", () => {
  const document = {
    kind: "List",
    items: [
      { name: "a", count: 1, labels: { "app.kubernetes.io/name": "shop" }, tags: ["x", "y"] },
      { name: "b", count: 5, tags: [] },
      { name: "c", count: 9, nested: { name: "d" } }
    ]
  }

  // The examples of https://kubernetes.io/docs/reference/kubectl/jsonpath/, over this document.
  it.each([
    ["{.kind}", "List"],
    ["{@.kind}", "List"],
    ["{['kind']}", "List"],
    ["kind is {.kind}", "kind is List"],
    [".kind", "List"],
    ["{..name}", "a b c d"],
    ["{.items[*].name}", "a b c"],
    ["{.items[0]['name','count']}", "a 1"],
    ["{.items[-1].name}", "c"],
    ["{.items[0:2].name}", "a b"],
    ["{.items[1:].name}", "b c"],
    ["{.items[::2].name}", "a c"],
    ["{.items[0,2].name}", "a c"],
    ["{.items[?(@.count>1)].name}", "b c"],
    ["{.items[?(@.name=='b')].count}", "5"],
    ["{.items[?(@.name!='b')].count}", "1 9"],
    ["{.items[?(@.nested)].name}", "c"],
    [String.raw`{.items[0].labels.app\.kubernetes\.io/name}`, "shop"],
    ["{.items[0].labels['app.kubernetes.io/name']}", "shop"],
    ["{.items[0].tags}", '["x","y"]'],
    [`{range .items[*]}[{.name}, {.count}] {end}`, "[a, 1] [b, 5] [c, 9] "],
    [String.raw`{range .items[*]}{$.kind}{'\n'}{end}`, "List\nList\nList\n"],
    ["{.missing}", ""],
    ["{.items[7].name}", ""]
  ] as const)("%s", (template, expected) => {
    const parsed = jsonPath.parse(template)
    assert.isTrue(Result.isSuccess(parsed))
    if (Result.isSuccess(parsed)) {
      assert.strictEqual(
        jsonPath.render(parsed.success, document, (text) => text),
        expected
      )
    }
  })
})
