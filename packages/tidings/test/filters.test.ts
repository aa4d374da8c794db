// Which events: lists, pairs, spellings, labels and expressions
import type * as Backend from "@tidings/core/Backend"
import type { Write } from "@tidings/core/Event"
import * as Timestamp from "@tidings/core/Timestamp"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import { TestClock, TestConsole } from "effect/testing"
import * as Cli from "../src/Cli.ts"
import { eventually, memory, run, write } from "./harness.ts"

const now = Timestamp.parse("2026-08-22T10:30:00Z")!

const labelled = (one: Write, labels: Readonly<Record<string, string>>): Write => ({
  ...one,
  event: { ...one.event, labels }
})

/** Eight events of three kinds, two of which no catalogue knows. */
const eight = Effect.gen(function* () {
  yield* TestClock.setTime(now / 1_000)
  const backend = yield* memory()
  const at = (seconds: number) => ({ at: `2026-08-22T10:00:0${seconds}Z` })
  yield* backend.service.write([
    write(1, { ...at(1), kind: "Workflow", name: "a", reason: "WorkflowFailed", type: "Warning", source: "runner" }),
    write(2, { ...at(2), kind: "Workflow", name: "b", message: "Connection REFUSED by 10.0.0.7" }),
    write(3, { ...at(3), kind: "MCPServer", name: "a", reason: "MCPServerFailed", type: "Warning", source: "proxy" }),
    write(4, { ...at(4), kind: "MCPServer", name: "b", reason: "MCPServerFailed", namespace: "team-a" }),
    labelled(write(5, { ...at(5), kind: "NightlyRun", name: "one", reason: "RunBegan", source: "Nightly" }), {
      app: "shop",
      tier: "web"
    }),
    labelled(write(6, { ...at(6), kind: "NightlyRun", name: "one,two", reason: "RunEnded" }), { app: "shop" }),
    write(7, { ...at(7), kind: "Policy", name: "Strict", reason: "PolicyApplied", message: "timeout after 30s" }),
    write(8, { ...at(8), kind: "Policy", name: "loose", reason: "PolicyApplied", message: "Timeout, connection reset" })
  ])
  return backend
})

const seqsOf = (out: ReadonlyArray<string>): ReadonlyArray<number> =>
  out.filter((line) => line.startsWith("{")).map((line) => Number(JSON.parse(line).upTo))

/** The seqs that are listed, and what is said beside them. */
const listing = (layer: Layer.Layer<Backend.Backend>, ...argv: ReadonlyArray<string>) =>
  Effect.map(run(layer, ["list", "-o", "ndjson", ...argv]), ({ code, err, out }) => {
    assert.strictEqual(code, 0, err.join("\n"))
    return { seqs: seqsOf(out), said: err.filter((line) => line !== "") }
  })

describe("lists of values", () => {
  it.effect.each([
    [
      ["--kind", "workflow,MCPServer"],
      [1, 2, 3, 4]
    ],
    [
      ["--kind", "workflow", "--kind=mcpservers"],
      [1, 2, 3, 4]
    ],
    [["Workflow,NightlyRun"], [1, 2, 5, 6]],
    [
      ["--name", "a,loose"],
      [1, 3, 8]
    ],
    [["--name", "one\\,two"], [6]],
    [
      ["--name", "one\\,two,one"],
      [5, 6]
    ],
    [
      ["--reason", "workflowfailed, RunBegan", "--reason", "RunEnded"],
      [1, 5, 6]
    ],
    [
      ["--source", "runner,proxy"],
      [1, 3]
    ],
    [
      ["-n", "team-a,default", "--name", "b"],
      [2, 4]
    ],
    [["-n", "team-a", "-n", "other"], [4]],
    [
      ["--type", "Warning", "--type", "Error"],
      [1, 3]
    ],
    [
      ["--types", "warning,normal", "--reason", "MCPServerFailed"],
      [3, 4]
    ],
    [
      ["--object-namespace", "team-a,default", "--name", "a"],
      [1, 3]
    ]
  ] as const)("%j", ([argv, expected]) =>
    Effect.gen(function* () {
      const { layer } = yield* eight
      assert.deepStrictEqual((yield* listing(layer, ...argv)).seqs, expected)
    })
  )
})

describe("objects", () => {
  it.effect.each([
    [["Workflow/a,MCPServer/b"], [1, 4]],
    [
      ["Workflow/a", "MCPServer/b"],
      [1, 4]
    ],
    [
      ["--for", "workflow/a", "--for", "mcpserver/b"],
      [1, 4]
    ],
    [["Workflow/a,MCPServer/b", "--type", "Warning"], [1]],
    [
      ["Workflow/a,Workflow/b", "--kind", "workflow"],
      [1, 2]
    ],
    [["Workflow/a,workflows/a"], [1]],
    [["NightlyRun/one\\,two,Workflow/a"], [1, 6]]
  ] as const)("are matched as pairs of kind and name: %j", ([argv, expected]) =>
    Effect.gen(function* () {
      const { layer } = yield* eight
      assert.deepStrictEqual((yield* listing(layer, ...argv)).seqs, expected)
    })
  )

  it.effect("are counted as pairs where the limit hides some", () =>
    Effect.gen(function* () {
      const { layer } = yield* eight
      assert.deepStrictEqual(yield* listing(layer, "Workflow/a,MCPServer/b", "--limit", "1"), {
        seqs: [4],
        said: ["1 of 2 events, the newest; show all with --limit all"]
      })
    })
  )

  it.effect.each([
    [["Workflow/a,b"], /"b" names a kind beside an object: .* a comma that belongs to a name is written \\,/],
    [["Workflow/a,MCPServer/b", "--kind", "Workflow"], /--kind Workflow contradicts Workflow,MCPServer before it/],
    [["Workflow/a", "(staging)"], /unexpected "\(staging\)": quote a text that has spaces/],
    [["deployments.apps,pods"], /deployments.apps and pods differ in their API group/],
    [["--reason", "a,,b"], /--reason is "a,,b": a value between commas is empty/],
    [["--label", "app"], /--label is "app", expected key=value/],
    [["--label", "app!=shop"], /--label is "app!=shop", expected key=value/],
    [["--label", "app=a,app=b"], /--label app is both "a" and "b": no event has both/]
  ] as const)("that contradict each other are refused: %j", ([argv, expected]) =>
    Effect.gen(function* () {
      const { layer } = yield* eight
      const { code, err } = yield* run(layer, ["list", ...argv])
      assert.strictEqual(code, 2)
      assert.match(err[0]!, expected)
    })
  )
})

describe("labels", () => {
  it.effect.each([
    [
      ["--label", "app=shop"],
      [5, 6]
    ],
    [["-l", "app=shop,tier=web"], [5]],
    [["-lapp=shop", "--label", "tier=web"], [5]],
    [
      ["-l", "app==shop"],
      [5, 6]
    ],
    [["--label", "app=other"], []]
  ] as const)("have to be there, all of them: %j", ([argv, expected]) =>
    Effect.gen(function* () {
      const { layer } = yield* eight
      assert.deepStrictEqual((yield* listing(layer, ...argv)).seqs, expected)
    })
  )
})

describe("spellings", () => {
  it.effect.each([
    [["nightlyrun"], [5, 6]],
    [["nightlyruns/ONE"], [5]],
    [["policies"], [7, 8]],
    [
      ["--kind", "policies,workflow", "--name", "strict,a"],
      [1, 7]
    ],
    [
      ["--reason", "runbegan,RunEnded"],
      [5, 6]
    ],
    [["--source", "NIGHTLY"], [5]],
    [
      ["--type", "warnings"],
      [1, 3]
    ],
    [
      ["--type", "WARNINGS,Unheard"],
      [1, 3]
    ],
    [["-n", "Team-A"], [4]],
    [["-n", "Team-A", "--reason", "mcpserverfailed"], [4]]
  ] as const)("that only the store knows are forgiven in case and number: %j", ([argv, expected]) =>
    Effect.gen(function* () {
      const { layer } = yield* eight
      assert.deepStrictEqual(yield* listing(layer, ...argv), { seqs: expected, said: [] })
    })
  )

  it.effect.each([
    [["--reason", "MCPServerFaild"], [], "no reason MCPServerFaild here; MCPServerFailed has 2 events"],
    [["--reason", "RunBegan,PolicyAplied"], [5], "no reason PolicyAplied here; PolicyApplied has 2 events"],
    [["NightlyRn"], [], "no kind NightlyRn here; NightlyRun has 2 events"],
    [["policy/lose"], [], "no policy/lose here; Policy/loose has 1 event"],
    [["--source", "runer"], [], "no source runer here; runner has 1 event"],
    [["--type", "Warnin"], [], "no type Warnin here; Warning has 2 events"],
    [["-n", "tem-a"], [], "no namespace tem-a here; team-a has 1 event"],
    [["-n", "team-a", "--reason", "MCPServerFaild"], [], "no reason MCPServerFaild here; MCPServerFailed has 1 event"]
  ] as const)("that the store does not have are answered with the nearest that it has: %j", ([argv, seqs, said]) =>
    Effect.gen(function* () {
      const { layer } = yield* eight
      assert.deepStrictEqual(yield* listing(layer, ...argv), { seqs, said: [said] })
    })
  )

  it.effect("of a type are forgiven too where the store has none of it yet, and another writer's is what it is", () =>
    Effect.gen(function* () {
      const { layer, service } = yield* memory()
      yield* service.write([write(1, { at: "2026-08-22T10:20:00Z" })])
      const listed = (...argv: ReadonlyArray<string>) => listing(layer, ...argv)
      assert.deepStrictEqual((yield* listed("--type", "normals")).seqs, [1])
      assert.deepStrictEqual((yield* listed("--type", "warnings")).seqs, [])
      assert.deepStrictEqual((yield* listed("--type", "Warnin")).said, ["no type Warnin here; Warning has 0 events"])
      yield* service.write([write(2, { at: "2026-08-22T10:20:00Z", type: "Warnings" })])
      assert.deepStrictEqual((yield* listed("--type", "Warnings")).seqs, [2])
    })
  )

  it.effect("are not questioned where another filter hides the events", () =>
    Effect.gen(function* () {
      const { layer } = yield* eight
      const { said } = yield* listing(layer, "--reason", "RunBegan,RunEnded", "--name", "one")
      assert.deepStrictEqual(said, [])
    })
  )

  it.effect("that were forgiven are forgiven with the cursor too", () =>
    Effect.gen(function* () {
      const { layer, service } = yield* eight
      const first = yield* run(layer, ["list", "--reason", "runbegan", "-o", "json"])
      const { cursor } = JSON.parse(first.out.join("\n"))
      yield* service.write([write(9, { at: "2026-08-22T10:20:00Z", kind: "NightlyRun", reason: "RunBegan" })])
      assert.deepStrictEqual((yield* listing(layer, "--reason", "runbegan", "--after", cursor)).seqs, [9])
    })
  )

  it.effect("are forgiven by follow, which goes on with what is meant", () =>
    Effect.gen(function* () {
      const { layer, service } = yield* eight
      const fiber = yield* Effect.forkChild(run(layer, ["follow", "nightlyruns", "-o", "ndjson"]))
      const shown = Effect.map(TestConsole.logLines, (lines) =>
        seqsOf(lines.flatMap((line) => String(line).split("\n")))
      )
      yield* eventually(
        "what is shown",
        Effect.map(shown, ({ length }) => length >= 2)
      )
      yield* service.write([write(9, { at: "2026-08-22T10:31:00Z", kind: "NightlyRun" })])
      yield* eventually(
        "what is shown",
        Effect.map(shown, ({ length }) => length >= 3)
      )
      assert.deepStrictEqual(yield* shown, [5, 6, 9])
      yield* Fiber.interrupt(fiber)
    })
  )

  it.effect.each([[[]], [["--limit", "0"]]] as const)(
    "are forgiven by follow %j also where the store knows nothing of them when it begins",
    ([more]) =>
      Effect.gen(function* () {
        const { layer, service } = yield* eight
        const fiber = yield* Effect.forkChild(run(layer, ["follow", "--reason", "brandnew", "-o", "ndjson", ...more]))
        yield* eventually(
          "that it waits",
          Effect.map(TestConsole.errorLines, (lines) => lines.some((line) => String(line).endsWith("; waiting")))
        )
        yield* service.write([write(9, { at: "2026-08-22T10:31:00Z", reason: "BrandNew" })])
        const shown = Effect.map(TestConsole.logLines, (lines) =>
          seqsOf(lines.flatMap((line) => String(line).split("\n")))
        )
        yield* eventually(
          "the first",
          Effect.map(shown, ({ length }) => length >= 1)
        )
        yield* service.write([write(10, { at: "2026-08-22T10:32:00Z", reason: "BrandNew" })])
        yield* eventually(
          "the second",
          Effect.map(shown, ({ length }) => length >= 2)
        )
        assert.deepStrictEqual(yield* shown, [9, 10])
        yield* Fiber.interrupt(fiber)
      })
  )

  it.effect("are answered by follow, which waits", () =>
    Effect.gen(function* () {
      const { layer } = yield* eight
      const fiber = yield* Effect.forkChild(run(layer, ["follow", "--reason", "RunBegn"]))
      const said = Effect.map(TestConsole.errorLines, (lines) => lines.map(String))
      yield* eventually(
        "what is shown",
        Effect.map(said, ({ length }) => length >= 2)
      )
      assert.deepStrictEqual(yield* said, ["no reason RunBegn here; RunBegan has 1 event", "no events yet; waiting"])
      yield* Fiber.interrupt(fiber)
    })
  )
})

describe("expressions", () => {
  it.effect.each([
    [["--grep", "timeout"], [7, 8], "looked through 8 events, 2 match"],
    [["--grep", "Timeout"], [8], "looked through 8 events, 1 matches"],
    [["--grep", "connection (refused|reset)"], [2, 8], "looked through 8 events, 2 match"],
    [["--grep", "timeout", "--grep", String.raw`\b10\.0\.0\.\d+\b`], [2, 7, 8], "looked through 8 events, 3 match"],
    [["--exclude", "message|refused"], [7, 8], "looked through 8 events, 2 match"],
    [["--grep", "timeout", "--exclude", "reset$"], [7], "looked through 8 events, 1 matches"],
    [["Policy", "--grep", "nothing"], [], "looked through 2 events, 0 match"],
    [
      ["--grep", "timeout", "--limit", "1"],
      [8],
      "looked through the newest 1 of 8 events, 1 match; look through all with --limit all"
    ]
  ] as const)("are looked for in messages: %j", ([argv, seqs, said]) =>
    Effect.gen(function* () {
      const { layer } = yield* eight
      assert.deepStrictEqual(yield* listing(layer, ...argv), { seqs, said: [said] })
    })
  )

  it.effect("go back through all pages until enough is found", () =>
    Effect.gen(function* () {
      const { layer, service } = yield* memory()
      yield* service.write(
        Array.from({ length: 7_000 }, (_, index) =>
          write(index + 1, {
            at: Timestamp.format(now + index),
            message: index % 2_000 === 0 ? "needle" : `hay ${index}`
          })
        )
      )
      const found = yield* run(layer, ["list", "--grep", "needle", "--limit", "3", "-o", "json"])
      const document = JSON.parse(found.out.join("\n"))
      assert.deepStrictEqual(seqsOf(document.items.map((item: unknown) => JSON.stringify(item))), [2_001, 4_001, 6_001])
      assert.deepStrictEqual(document.searched, { events: 5_000, of: 7_000 })
      assert.notProperty(document, "total")
      const all = JSON.parse((yield* run(layer, ["list", "--grep", "needle", "-o", "json"])).out.join("\n"))
      assert.deepStrictEqual([all.total, all.searched], [4, { events: 7_000, of: 7_000 }])
    })
  )

  it.effect("are looked for in what follow shows, also far back, and in what export prints", () =>
    Effect.gen(function* () {
      const { layer, service } = yield* eight
      const fiber = yield* Effect.forkChild(
        run(layer, ["follow", "--grep", "refused|new", "--limit", "1", "-o", "ndjson"])
      )
      const shown = Effect.map(TestConsole.logLines, (lines) =>
        seqsOf(lines.flatMap((line) => String(line).split("\n")))
      )
      yield* eventually(
        "what is shown",
        Effect.map(shown, ({ length }) => length >= 1)
      )
      yield* service.write([
        write(9, { at: "2026-08-22T10:31:00Z", message: "old" }),
        write(10, { at: "2026-08-22T10:31:00Z", message: "something new" })
      ])
      yield* eventually(
        "what is shown",
        Effect.map(shown, ({ length }) => length >= 2)
      )
      assert.deepStrictEqual(yield* shown, [2, 10])
      yield* Fiber.interrupt(fiber)
      const exported = yield* run(layer, ["export", "--exclude", "message", "--kind", "Policy,Workflow"])
      assert.deepStrictEqual(seqsOf(exported.out), [2, 7, 8, 9, 10])
      assert.deepStrictEqual(exported.err, ["looked through 6 events, 5 match", "5 events exported"])
    })
  )

  it.effect.each([
    ["(", /--grep "\(": missing closing \): `\(`$/m],
    ["(?=a)b", /which has no lookahead, lookbehind and no backreferences/],
    [String.raw`(a)\1`, /which has no lookahead, lookbehind and no backreferences/],
    ["((a{1,100}){1,100}){1,100}", /invalid repeat count/],
    [String.raw`\pL{1000}`.repeat(50), /the expression is too large/],
    ["a".repeat(1_001), /has 1001 characters, at most 1000 are read/]
  ] as const)("that cannot be used are refused: %j", ([expression, expected]) =>
    Effect.gen(function* () {
      const { layer } = yield* eight
      const { code, err } = yield* run(layer, ["list", "--grep", expression])
      assert.strictEqual(code, 2)
      assert.match(err[0]!, expected)
    })
  )

  it.effect("that other engines take for ever with do not hang", () =>
    Effect.gen(function* () {
      const { layer, service } = yield* memory()
      yield* service.write(
        Array.from({ length: 20 }, (_, index) =>
          write(index + 1, { at: "2026-08-22T10:00:00Z", message: `${"a".repeat(5_000)}!` })
        )
      )
      const before = process.cpuUsage()
      for (const expression of ["^(a+)+$", "^(a|aa)+$", "(x+x+)+y", "(.*)(.*)(.*)(.*)[^!]$"]) {
        assert.strictEqual((yield* run(layer, ["list", "--grep", expression])).code, 0)
      }
      const { system, user } = process.cpuUsage(before)
      assert.isBelow((user + system) / 1_000_000, 20)
    })
  )
})

it.effect("a cluster-scoped kind beside another one is looked for where the other one is, with a note", () =>
  Effect.gen(function* () {
    const { layer } = yield* eight
    const placed = Layer.merge(layer, Layer.succeed(Cli.DefaultNamespace, "team-a"))
    const { err } = yield* run(placed, ["list", "Node/worker-1,MCPServer/b"])
    assert.include(err, "note: showing namespace team-a; events about a Node are usually in another one: add -A")
  })
)
