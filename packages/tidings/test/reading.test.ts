// list, follow, get
import * as Backend from "@tidings/core/Backend"
import * as BackendError from "@tidings/core/BackendError"
import * as EventId from "@tidings/core/EventId"
import * as EventJson from "@tidings/core/EventJson"
import type { Coverage, EventFilter, WatchFrom, WatchItem } from "@tidings/core/EventQuery"
import * as Timestamp from "@tidings/core/Timestamp"
import { afterAll, assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import { TestClock, TestConsole } from "effect/testing"
import * as yaml from "yaml"
import { eventually, memory, origin, run, write } from "./harness.ts"

const zone = process.env["TZ"]
process.env["TZ"] = "Europe/Berlin"
// The process goes on with other files.
afterAll(() => {
  if (zone === undefined) delete process.env["TZ"]
  else process.env["TZ"] = zone
})

const now = Timestamp.parse("2026-08-22T10:30:00Z")!

/** A backend with five events, and the clock at half past ten. */
const five = Effect.gen(function* () {
  yield* TestClock.setTime(now / 1_000)
  const backend = yield* memory()
  yield* backend.service.write([
    write(1, { at: "2026-08-22T07:30:00Z", type: "Warning", reason: "WorkflowStepFailed", source: "runner" }),
    write(2, { at: "2026-08-22T10:29:30Z", first: "2026-08-22T10:09:30Z", count: 5, upTo: 9 }),
    write(3, { at: "2026-08-22T10:00:00Z", kind: "MCPServer", name: "search", reason: "MCPServerStarted" }),
    write(4, { at: "2026-08-20T10:30:00Z", kind: "Deployment", name: "web", namespace: "team-a", reason: "Scaled" }),
    write(5, { at: "2026-08-22T10:30:00Z", name: "other" })
  ])
  return backend
})

// oxlint-disable-next-line no-control-regex
const CONTROL = /[\u0000-\u001f\u007f-\u009f\u2028\u2029\u202a-\u202e]/

const ids = (out: ReadonlyArray<string>): ReadonlyArray<number> =>
  out.filter((line) => line !== "").map((line) => Number(/^[0-9a-f]+\.(\d+)$/.exec(JSON.parse(line).id)![1]))

/** The seqs that a list with these arguments shows. */
const listed = (backend: Backend.Service, ...argv: ReadonlyArray<string>) =>
  Effect.map(run(Layer.succeed(Backend.Backend, backend), ["list", "-o", "ndjson", ...argv]), ({ code, out }) => {
    assert.strictEqual(code, 0)
    return ids(out)
  })

describe("list", () => {
  it.effect("prints a table, the oldest first, with ages and counts", () =>
    Effect.gen(function* () {
      const { layer } = yield* five
      const ran = yield* run(layer, ["list"])
      assert.deepStrictEqual(ran, {
        code: 0,
        out: [
          "NAMESPACE  LAST SEEN          TYPE     REASON              OBJECT            MESSAGE",
          "team-a     2d                 Normal   Scaled              Deployment/web    message 4",
          "default    3h                 Warning  WorkflowStepFailed  Workflow/deploy   message 1",
          "default    30m                Normal   MCPServerStarted    MCPServer/search  message 3",
          "default    30s (×5 over 20m)  Normal   WorkflowExecuted    Workflow/deploy   message 2",
          "default    0s                 Normal   WorkflowExecuted    Workflow/other    message 5"
        ],
        err: []
      })
    })
  )

  it.effect("prints more with -o wide, and no namespace where every row has the same", () =>
    Effect.gen(function* () {
      const { layer } = yield* five
      const wide = yield* run(layer, ["list", "-o", "wide", "--name", "search"])
      assert.deepStrictEqual(wide.out, [
        "NAMESPACE  LAST SEEN  FIRST SEEN  COUNT  TYPE    REASON            OBJECT            SUBOBJECT  SOURCE        NAME                       MESSAGE",
        "default    30m        30m         1      Normal  MCPServerStarted  MCPServer/search             test, test-0  search.0123456789abcdef.3  message 3"
      ])
      const narrow = yield* run(layer, ["list", "-n", "team-a"])
      assert.deepStrictEqual(narrow.out, [
        "LAST SEEN  TYPE    REASON  OBJECT          MESSAGE",
        "2d         Normal  Scaled  Deployment/web  message 4"
      ])
    })
  )

  it.effect("filters by each part of an event", () =>
    Effect.gen(function* () {
      const { service } = yield* five
      assert.deepStrictEqual(yield* listed(service), [4, 1, 3, 2, 5])
      assert.deepStrictEqual(yield* listed(service, "Workflow"), [1, 2, 5])
      assert.deepStrictEqual(yield* listed(service, "workflow/deploy"), [1, 2])
      assert.deepStrictEqual(yield* listed(service, "mcpserver/search"), [3])
      assert.deepStrictEqual(yield* listed(service, "--kind", "WORKFLOW", "--name", "other"), [5])
      assert.deepStrictEqual(yield* listed(service, "workflow", "--kind", "Workflow", "--name", "other"), [5])
      // A kind that no catalogue knows is taken as it stands.
      assert.deepStrictEqual(yield* listed(service, "workflowrun"), [])
      // What every cluster has is found as kubectl finds it.
      for (const kind of ["Deployment", "deployment", "deployments", "deploy"]) {
        assert.deepStrictEqual(yield* listed(service, kind), [4])
      }
      assert.deepStrictEqual(yield* listed(service, "--for", "deploy/web"), [4])
      assert.deepStrictEqual(yield* listed(service, "--for=workflow"), [1, 2, 5])
      assert.deepStrictEqual(yield* listed(service, "workflow/deploy", "--for", "workflow/deploy"), [1, 2])
      assert.deepStrictEqual(yield* listed(service, "--types", "Warning"), [1])
      assert.deepStrictEqual(yield* listed(service, "--types=normal,WARNING"), [4, 1, 3, 2, 5])
      assert.deepStrictEqual(yield* listed(service, "--type", "Normal,Normal"), [4, 3, 2, 5])
      assert.deepStrictEqual(yield* listed(service, "--types", "Error,warning"), [1])
      assert.deepStrictEqual(yield* listed(service, "-A"), [4, 1, 3, 2, 5])
      assert.deepStrictEqual(yield* listed(service, "-n", "team-a", "--all-namespaces"), [4, 1, 3, 2, 5])
      assert.deepStrictEqual(yield* listed(service, "-n", "team-a"), [4])
      assert.deepStrictEqual(yield* listed(service, "--namespace=default", "--type", "warning"), [1])
      assert.deepStrictEqual(yield* listed(service, "--reason", "mcpserverSTARTED"), [3])
      assert.deepStrictEqual(yield* listed(service, "--reason", "Scaled"), [4])
      assert.deepStrictEqual(yield* listed(service, "--source", "runner"), [1])
      assert.deepStrictEqual(yield* listed(service, "--since", "30m"), [3, 2, 5])
      assert.deepStrictEqual(yield* listed(service, "--since", "-30m"), [3, 2, 5])
      assert.deepStrictEqual(yield* listed(service, "--since", "yesterday", "--until", "2026-08-22T09:30"), [1])
      assert.deepStrictEqual(yield* listed(service, "--until", "2026-08-22T07:30:00Z"), [4, 1])
      assert.deepStrictEqual(yield* listed(service, "--limit", "2"), [2, 5])
      assert.deepStrictEqual(yield* listed(service, "--limit", "0"), [])
      assert.deepStrictEqual(yield* listed(service, "--limit", "all"), [4, 1, 3, 2, 5])
      // A flag that is given again counts for more than the one before it.
      assert.deepStrictEqual(
        yield* listed(service, "--limit", "1", "-n", "team-a", "-n", "default", "--limit", "3"),
        [3, 2, 5]
      )
    })
  )

  it.effect("shows the newest fifty and says how many there are", () =>
    Effect.gen(function* () {
      const { layer, service } = yield* memory()
      const at = (seq: number) => Timestamp.format(now + seq * 1_000_000)
      yield* service.write(Array.from({ length: 60 }, (_, index) => write(index + 1, { at: at(index) })))
      const cut = yield* run(layer, ["list", "-ondjson"])
      assert.deepStrictEqual(
        ids(cut.out),
        Array.from({ length: 50 }, (_, index) => index + 11)
      )
      assert.deepStrictEqual(cut.err, ["50 of 60 events, the newest; show all with --limit all"])
      const all = yield* run(layer, ["list", "-ondjson", "--limit", "all"])
      assert.strictEqual(all.out.length, 60)
      assert.deepStrictEqual(all.err, [])
      const document = JSON.parse((yield* run(layer, ["list", "-ojson"])).out.join("\n"))
      assert.deepStrictEqual(document.metadata, { remainingItemCount: 10 })
    })
  )

  it.effect("prints one document of Kubernetes' names with -o json, the same with -o yaml", () =>
    Effect.gen(function* () {
      const { layer, service } = yield* five
      const page = yield* service.query({ resourceType: "MCPServer" })
      const expected = {
        apiVersion: "v1",
        kind: "EventList",
        metadata: {},
        total: 1,
        cursor: page.cursor,
        coverage: [
          {
            store: (yield* service.target).id,
            since: Timestamp.format(page.coverage[0]!.since as number),
            until: "now",
            gaps: []
          }
        ],
        items: [EventJson.toObject(page.events[0]!)]
      }
      const json = yield* run(layer, ["list", "MCPServer", "-o", "json"])
      assert.deepStrictEqual(JSON.parse(json.out.join("\n")), JSON.parse(JSON.stringify(expected)))
      assert.strictEqual(json.out[1], `  "apiVersion": "v1",`)
      const asYaml = yield* run(layer, ["list", "MCPServer", "-o", "yaml"])
      assert.deepStrictEqual(yaml.parse(asYaml.out.join("\n")), JSON.parse(JSON.stringify(expected)))
      const lines = yield* run(layer, ["list", "MCPServer", "-o", "ndjson"])
      assert.deepStrictEqual(lines.out, [EventJson.encode(page.events[0]!)])
    })
  )

  it.effect("prints an empty result on stdout and the explanation on stderr where no event matches", () =>
    Effect.gen(function* () {
      const empty = yield* memory()
      const nothing = yield* run(empty.layer, ["list"])
      assert.deepStrictEqual(nothing, {
        code: 0,
        out: [],
        err: ["no events yet; record one with: tidings emit Workflow/deploy WorkflowExecuted"]
      })
      const asJson = yield* run(empty.layer, ["list", "-o", "json"])
      assert.deepStrictEqual(JSON.parse(asJson.out.join("\n")).items, [])
      const { layer } = yield* five
      assert.deepStrictEqual(yield* run(layer, ["list", "workflow/dploy"]), {
        code: 0,
        out: [],
        err: ["no Workflow/dploy here; Workflow/deploy has 2 events"]
      })
    })
  )

  it.effect("continues where a cursor says, also when the times of the filter are relative", () =>
    Effect.gen(function* () {
      const { layer, service } = yield* five
      const cursorOf = (out: ReadonlyArray<string>): string => JSON.parse(out.join("\n")).cursor
      const first = yield* run(layer, ["list", "workflow", "--since", "1h", "-o", "json"])
      const cursor = cursorOf(first.out)
      yield* TestClock.adjust("1 hour")
      yield* service.write([
        write(6, { at: "2026-08-22T11:30:00Z" }),
        write(7, { at: "2026-08-22T11:29:00Z", kind: "MCPServer" }),
        write(2, { at: "2026-08-22T11:20:00Z", count: 6, upTo: 10 })
      ])
      const second = yield* run(layer, ["list", "workflow", "--since", "1h", "--after", cursor, "-o", "json"])
      const document = JSON.parse(second.out.join("\n"))
      assert.deepStrictEqual(
        document.items.map(({ id, count }: { id: string; count: number }) => [id, count]),
        [
          [`${origin}.2`, 6],
          [`${origin}.6`, 1]
        ]
      )
      assert.strictEqual(document.total, 2)
      const third = yield* run(layer, ["list", "workflow", "--after", cursorOf(second.out), "--show-cursor"])
      assert.deepStrictEqual(third.out, [])
      assert.strictEqual(third.err[0], "no events after this cursor")
      assert.match(third.err[1]!, /^cursor: \S+$/)

      const foreign = yield* run(layer, ["list", "mcpserver", "--after", cursor])
      assert.strictEqual(foreign.code, 1)
      assert.match(foreign.err[0]!, /^error: the cursor is not valid here: .*another filter/)
      assert.match(foreign.err[1]!, /leave out --after/)
    })
  )

  it.effect("shows a series once, as it is now, whatever a watch repeats", () =>
    Effect.gen(function* () {
      const { service } = yield* five
      const { cursor, events } = yield* service.query({ limit: 1 })
      const state = (count: number): WatchItem => ({
        _tag: "Event",
        cursor,
        event: { ...events[0]!, count, upTo: 100 + count }
      })
      const items: ReadonlyArray<WatchItem> = [state(1), state(3), state(2), { _tag: "Live", cursor }]
      const repeating = Layer.succeed(Backend.Backend, { ...service, watch: () => Stream.fromIterable(items) })
      const { out } = yield* run(repeating, ["list", "--after", cursor, "-ondjson"])
      assert.deepStrictEqual(
        out.map((line) => JSON.parse(line).count),
        [3]
      )
    })
  )

  it.effect("says in every format which gaps the history of a store has, except those of another time", () =>
    Effect.gen(function* () {
      const { service } = yield* five
      const at = (text: string) => Timestamp.parse(text)!
      const coverage: ReadonlyArray<Coverage> = [
        {
          store: "log-1",
          since: "unknown",
          until: "now",
          gaps: [
            { store: "log-1", reason: "segment 3 is missing" },
            {
              store: "log-1",
              from: at("2026-08-22T08:00:00Z"),
              to: at("2026-08-22T09:00:00Z"),
              reason: "removed\u001b[2J"
            }
          ]
        },
        {
          store: "log-2",
          since: at("2026-08-01T00:00:00Z"),
          until: "now",
          gaps: [{ store: "log-2", from: at("2026-08-22T10:10:00Z"), reason: "not copied" }]
        }
      ]
      const backend = Backend.Backend.of({
        ...service,
        query: (query) => Effect.map(service.query(query), (page) => ({ ...page, coverage }))
      })
      const layer = Layer.succeed(Backend.Backend, backend)
      const unknown = "note: the history of log-1 has a gap: segment 3 is missing"
      const removed =
        "note: the history of log-1 has a gap from 2026-08-22T08:00:00.000000Z to 2026-08-22T09:00:00.000000Z: " +
        "removed\\u001b[2J"
      const copied = "note: the history of log-2 has a gap from 2026-08-22T10:10:00.000000Z: not copied"
      for (const format of ["table", "wide", "json", "yaml", "ndjson"]) {
        const ran = yield* run(layer, ["list", "-o", format])
        assert.strictEqual(ran.code, 0)
        assert.deepStrictEqual(ran.err, [unknown, removed, copied], format)
      }
      const document = JSON.parse((yield* run(layer, ["list", "-o", "json"])).out.join("\n"))
      assert.deepStrictEqual(document.coverage[1].gaps, [{ from: "2026-08-22T10:10:00.000000Z", reason: "not copied" }])
      assert.strictEqual(document.items.length, 5)
      const late = yield* run(layer, ["list", "--since", "2026-08-22T09:30:00Z"])
      assert.deepStrictEqual(late.err, [unknown, copied])
      const early = yield* run(layer, ["list", "--until", "2026-08-22T10:00:00Z"])
      assert.deepStrictEqual(early.err, [unknown, removed])
      const nothing = yield* run(layer, ["list", "--reason", "Never"])
      assert.deepStrictEqual(nothing.err.slice(0, 3), [unknown, removed, copied])
    })
  )

  it.effect("says where the history has a gap", () =>
    Effect.gen(function* () {
      const { layer, service } = yield* memory({ capacity: 2 })
      const { cursor } = yield* service.query({})
      const at = "2026-08-22T10:00:00Z"
      yield* service.write([1, 2, 3].map((seq) => write(seq, { at })))
      const ran = yield* run(layer, ["list", "--after", cursor, "-o", "ndjson"])
      assert.deepStrictEqual(ids(ran.out), [2, 3])
      assert.match(ran.err.join("\n"), /^-- gap: changes up to number 1 are no longer kept in memory --$/)
    })
  )

  it.effect("colours a terminal only, unless told otherwise", () =>
    Effect.gen(function* () {
      const { layer } = yield* five
      const argv = ["list", "--type", "Warning"]
      const coloured = (ran: { readonly out: ReadonlyArray<string> }) =>
        ran.out.join("\n").includes("\u001b[33mWarning\u001b[39m")
      assert.isFalse(coloured(yield* run(layer, argv)))
      assert.isTrue(coloured(yield* run(layer, argv, { canColor: true })))
      assert.isFalse(coloured(yield* run(layer, [...argv, "--color", "never"], { canColor: true })))
      assert.isTrue(coloured(yield* run(layer, ["--color=always", ...argv])))
      const documents = yield* run(layer, [...argv, "-o", "ndjson", "--color", "always"])
      assert.isFalse(documents.out.join("\n").includes("\u001b"))
    })
  )

  it.effect("cuts messages to the terminal, and never in a pipe or with -o wide", () =>
    Effect.gen(function* () {
      yield* TestClock.setTime(now / 1_000)
      const { layer, service } = yield* memory()
      const message = "a message that goes on and on, far beyond the right edge of the terminal"
      yield* service.write([write(1, { at: "2026-08-22T10:00:00Z", message })])
      const cut = yield* run(layer, ["list"], { columns: 90 })
      assert.strictEqual(cut.out[1]!.length, 90)
      assert.match(cut.out[1]!, /a message that goes on a…$/)
      assert.isTrue((yield* run(layer, ["list"])).out[1]!.endsWith(message))
      assert.isTrue((yield* run(layer, ["list", "-o", "wide"], { columns: 90 })).out[1]!.endsWith(message))
    })
  )

  it.effect("escapes control characters of events, in every format", () =>
    Effect.gen(function* () {
      const { layer, service } = yield* memory()
      const evil = "\u001b]0;owned\u0007\u009b31m\u202e\nforged\u2028line"
      yield* service.write([
        write(1, { at: "2026-08-22T10:00:00Z", message: evil, data: { error: evil, arguments: { [evil]: evil } } })
      ])
      for (const output of ["table", "wide", "json", "ndjson", "yaml"]) {
        const { out } = yield* run(layer, ["list", "-o", output])
        assert.isFalse(CONTROL.test(out.join("")), output)
      }
      const table = yield* run(layer, ["list"])
      assert.strictEqual(table.out.length, 2)
      const asJson = yield* run(layer, ["list", "-o", "json"])
      assert.strictEqual(JSON.parse(asJson.out.join("\n")).items[0].message, evil)
      const asYaml = yield* run(layer, ["list", "-o", "yaml"])
      assert.strictEqual(yaml.parse(asYaml.out.join("\n")).items[0].message, evil)
      // Characters that YAML would not have quoted of its own accord, and a text that a reader of YAML 1.1 takes for false.
      yield* service.write([write(2, { at: "2026-08-22T10:00:00Z", message: "a \u202eb", data: { error: "no" } })])
      const quoted = (yield* run(layer, ["list", "-o", "yaml"])).out
      assert.isFalse(CONTROL.test(quoted.join("")))
      assert.include(
        quoted.map((line) => line.trim()),
        `message: "a \\u202eb"`
      )
      assert.include(
        quoted.map((line) => line.trim()),
        `error: "no"`
      )
      const card = yield* run(layer, ["get", `${origin}.1`])
      assert.isFalse(CONTROL.test(card.out.join("")))
    })
  )

  it.effect.each([
    [["list", "a//c"], `error: "a//c" is neither an object such as Workflow/deploy nor a kind`],
    [["list", "Workflow/"], `error: "Workflow/" is neither an object such as Workflow/deploy nor a kind`],
    [
      ["list", "Workflow", "--kind", "MCPServer"],
      "error: --kind MCPServer contradicts Workflow before it: leave one out"
    ],
    [["list", "Workflow/a", "--name", "b"], "error: --name b contradicts a before it: leave one out"],
    [["list", "-n", ""], "error: --namespace is empty: leave it out to see all"],
    [["list", "--for", ""], "error: --for is empty: leave it out to see all"],
    [
      ["list", "Workflow/a", "--for", "Workflow/b"],
      "error: --for Workflow/b contradicts Workflow/a before it: leave one out"
    ],
    [
      ["list", "--types", "Normal,"],
      `error: --type is "Normal,", expected one or more of Normal, Warning, or a type that another writer uses`
    ],
    [["list", "--since", "1h", "--until", "2h"], "error: --since is later than --until, so nothing can match"],
    [["list", "--after", "x", "--limit", "3"], "error: --after shows everything since the cursor: leave out --limit"],
    [["list", "--limit", "-1"], `error: --limit is "-1", expected a whole number, or all`],
    [
      ["list", "--limit", "9007199254740992"],
      `error: --limit is "9007199254740992", expected a whole number up to 9007199254740991, or all`
    ],
    [["list", "--limit", "many"], `error: --limit is "many", expected a whole number, or all`],
    [
      ["list", "--type", ","],
      `error: --type is ",", expected one or more of Normal, Warning, or a type that another writer uses`
    ],
    [
      ["list", "-o", "xml"],
      `error: --output is "xml", expected one of table, wide, json, ndjson, yaml, name, jsonpath=TEMPLATE, custom-columns=TITLE:PATH`
    ],
    [["list", "--lmit", "3"], "error: unknown flag --lmit; did you mean --limit?"],
    [["list", "--kind"], "error: --kind has no value, expected KIND"],
    [["list", "-x"], "error: unknown flag -x"],
    [["list", "--by=reason"], "error: unknown flag --by"],
    [["list", "-a"], "error: unknown flag -a; did you mean -A?"],
    [["list", "pod/a,"], `error: "pod/a,": a value between commas is empty`],
    [["list", "a", "b"], `error: unexpected "b": an object is a/b, two kinds are a,b`],
    [["list", "a/b", "c"], `error: unexpected "c": quote a text that has spaces, and put flags before --`]
  ] as const)("refuses %j", ([argv, expected]) =>
    Effect.gen(function* () {
      const { layer } = yield* memory()
      assert.deepStrictEqual(yield* run(layer, argv), {
        code: 2,
        out: [],
        err: [expected, "usage: tidings list [KIND[/NAME]] [flags] (more: tidings list --help)"]
      })
    })
  )
})

describe("failing backends", () => {
  const failing = (reason: BackendError.BackendErrorReason) => {
    const error = BackendError.make(reason)
    return Layer.succeed(Backend.Backend, {
      mode: "test",
      target: Effect.fail(error),
      write: () => Effect.fail(error),
      query: () => Effect.fail(error),
      watch: () => Stream.fail(error)
    })
  }

  it.effect.each([
    [
      new BackendError.Unavailable({ detail: "nobody answers at 10.0.0.1" }),
      4,
      /^error: the store cannot be used: nobody/
    ],
    [new BackendError.Unauthorized({ detail: "may not list events" }), 4, /^error: not allowed: may not list events$/],
    [new BackendError.Full({ detail: "the disk is full" }), 1, /^error: .*full: the disk is full$/],
    [new BackendError.Throttled({ scope: "backend", detail: "slow down" }), 1, /^error: .*slow down$/],
    [
      new BackendError.Transient({ applied: "no", detail: "reset\nstack\nstack\nstack" }),
      4,
      /^error: the store did not answer as it should: reset$/
    ]
  ] as const)("%s", ([reason, code, expected]) =>
    Effect.gen(function* () {
      for (const argv of [["list"], ["follow"], ["get", "x"], ["list", "--after", "x"]]) {
        const ran = yield* run(failing(reason), argv)
        assert.strictEqual(ran.code, code)
        assert.deepStrictEqual(ran.out, [])
        assert.match(ran.err[0]!, expected)
        assert.isAtMost(ran.err.length, 2)
      }
    })
  )

  it.effect("print one line for a layer that cannot be built, and for a defect", () =>
    Effect.gen(function* () {
      const unbuilt = Layer.effect(
        Backend.Backend,
        Effect.fail(BackendError.make(new BackendError.Unavailable({ detail: "/data is a file" })))
      )
      const ran = yield* run(unbuilt, ["list"])
      assert.deepStrictEqual(ran, { code: 4, out: [], err: ["error: the store cannot be used: /data is a file"] })
      const defect = Layer.effect(Backend.Backend, Effect.die(new Error("a bug\n    at somewhere (file.js:1:1)")))
      assert.deepStrictEqual((yield* run(defect, ["list"])).code, 1)
      // What needs no backend does not build one.
      assert.strictEqual((yield* run(unbuilt, ["explain", "WorkflowExecuted"])).code, 0)
    })
  )
})

describe("follow", () => {
  /** Follows in the background; `until` waits for a line of stdout or stderr. */
  const following = Effect.fnUntraced(function* (backend: Backend.Service, ...argv: ReadonlyArray<string>) {
    const fiber = yield* Effect.forkScoped(run(Layer.succeed(Backend.Backend, backend), ["follow", ...argv]), {
      startImmediately: true
    })
    const all = Effect.map(Effect.all([TestConsole.logLines, TestConsole.errorLines]), (lines) =>
      lines.flat().flatMap((text) => String(text).split("\n"))
    )
    const until = (expected: RegExp) =>
      Effect.andThen(
        eventually(
          String(expected),
          Effect.map(all, (lines) => lines.some((line) => expected.test(line))),
          Effect.map(all, (lines) => lines.join("\n"))
        ),
        all
      )
    return { fiber, until }
  })

  it.effect("prints the latest ten events, then new ones, in columns that keep their widths", () =>
    Effect.gen(function* () {
      yield* TestClock.setTime(now / 1_000)
      const { service } = yield* memory()
      const at = "2026-08-22T10:30:00Z"
      yield* service.write(Array.from({ length: 12 }, (_, index) => write(index + 1, { at })))
      const { fiber, until } = yield* following(service)
      const snapshot = yield* until(/message 12/)
      assert.strictEqual(snapshot[0], "NAMESPACE  TIME      TYPE    REASON            OBJECT           MESSAGE")
      assert.deepStrictEqual(
        snapshot.slice(1).map((line) => /message \d+$/.exec(line)![0]),
        Array.from({ length: 10 }, (_, index) => `message ${index + 3}`)
      )
      yield* service.write([write(13, { at, kind: "MCPServer", name: "a-longer-name" })])
      yield* service.write([write(14, { at })])
      const lines = yield* until(/message 14/)
      assert.strictEqual(
        lines[11],
        "default    12:30:00  Normal  WorkflowExecuted  MCPServer/a-longer-name  message 13"
      )
      assert.strictEqual(
        lines[12],
        "default    12:30:00  Normal  WorkflowExecuted  Workflow/deploy          message 14"
      )
      assert.isUndefined(fiber.pollUnsafe())
      yield* Fiber.interrupt(fiber)
    })
  )

  it.effect("prints an event per line with -o json and ndjson, a document with -o yaml", () =>
    Effect.gen(function* () {
      const { service } = yield* memory()
      const at = "2026-08-22T10:30:00Z"
      yield* service.write([write(1, { at })])
      const json = yield* following(service, "-o", "json", "--limit", "all")
      const lines = yield* json.until(/"id"/)
      assert.strictEqual(EventId.format({ origin, seq: 1 }), JSON.parse(lines[0]!).id)
      yield* Fiber.interrupt(json.fiber)
      const asYaml = yield* following(service, "-o", "yaml")
      const documents = yield* asYaml.until(/^---$/)
      const text = documents.slice(documents.indexOf("---")).join("\n")
      assert.strictEqual(yaml.parse(text).id, `${origin}.1`)
    })
  )

  it.effect("filters new events", () =>
    Effect.gen(function* () {
      const { service } = yield* five
      const { until } = yield* following(service, "workflow/deploy", "--since", "1h", "-o", "ndjson")
      yield* until(/"message 2"/)
      const at = "2026-08-22T10:31:00Z"
      yield* service.write([write(6, { at, name: "other" }), write(7, { at })])
      assert.deepStrictEqual(ids(yield* until(/"message 7"/)), [2, 7])
    })
  )

  it.effect("continues after a cursor, and prints its cursor when it is ended", () =>
    Effect.gen(function* () {
      const { service } = yield* five
      const { cursor } = yield* service.query({})
      yield* service.write([write(6, { at: "2026-08-22T10:31:00Z" })])
      // A time that is relative does not make the cursor one of another filter.
      const first = yield* following(service, "--after", cursor, "--since", "1h", "-ondjson", "--show-cursor")
      assert.deepStrictEqual(ids(yield* first.until(/"message 6"/)), [6])
      yield* Fiber.interrupt(first.fiber)
      const told = (yield* first.until(/^cursor: /))
        .find((line) => line.startsWith("cursor: "))!
        .slice("cursor: ".length)
      yield* service.write([write(7, { at: "2026-08-22T10:32:00Z" })])
      const second = yield* following(service, "--after", told, "-o", "ndjson")
      const lines = (yield* second.until(/"message 7"/)).filter((line) => line.startsWith("{"))
      assert.deepStrictEqual(ids(lines), [6, 7])
    })
  )

  it.effect("waits where there are no events yet, and marks a gap", () =>
    Effect.gen(function* () {
      const { service } = yield* memory({ capacity: 1 })
      const { cursor } = yield* service.query({})
      const waiting = yield* following(service)
      yield* waiting.until(/^no events yet; waiting$/)
      yield* Fiber.interrupt(waiting.fiber)
      yield* service.write([write(1, { at: "2026-08-22T10:31:00Z" })])
      yield* service.write([write(2, { at: "2026-08-22T10:31:00Z" })])
      const resumed = yield* following(service, "--after", cursor)
      yield* resumed.until(/^-- gap: changes up to number 1 are no longer kept in memory --$/)
      yield* resumed.until(/message 2$/)
    })
  )

  it.effect("reconnects after a fault without missing or repeating anything", () =>
    Effect.gen(function* () {
      const { service } = yield* memory()
      const at = "2026-08-22T10:30:00Z"
      yield* service.write([write(1, { at })])
      let watches = 0
      const flaky: Backend.Service = {
        ...service,
        // Breaks after each event, the third time for good.
        watch: (filter: EventFilter, from: WatchFrom) => {
          watches++
          const reason =
            watches < 4
              ? new BackendError.Transient({ applied: "no", detail: `broken ${watches}` })
              : new BackendError.Unauthorized({ detail: "the token expired" })
          return service
            .watch(filter, from)
            .pipe(
              Stream.flatMap((item: WatchItem) =>
                item._tag === "Event" && item.event.id.seq > 1
                  ? Stream.concat(Stream.succeed(item), Stream.fail(BackendError.make(reason)))
                  : Stream.succeed(item)
              )
            )
        }
      }
      const { fiber, until } = yield* following(flaky, "-o", "ndjson")
      yield* until(/"message 1"/)
      for (const seq of [2, 3, 4, 5]) {
        yield* service.write([write(seq, { at })])
        yield* until(new RegExp(`"message ${seq}"`))
        yield* TestClock.adjust("1 second")
      }
      const { code } = yield* Fiber.join(fiber)
      const lines = yield* until(/expired/)
      assert.deepStrictEqual(ids(lines.filter((line) => line.startsWith("{"))), [1, 2, 3, 4, 5])
      assert.deepStrictEqual(
        lines.filter((line) => !line.startsWith("{")),
        [1, 2, 3]
          .map((n) => `-- interrupted: the store did not answer as it should: broken ${n}; retrying --`)
          .concat("error: not allowed: the token expired")
      )
      assert.strictEqual(code, 4)
    })
  )

  it.effect("fails when a watch ends", () =>
    Effect.gen(function* () {
      const { service } = yield* memory()
      const ending = { ...service, watch: () => Stream.empty }
      const ran = yield* run(Layer.succeed(Backend.Backend, ending), ["follow"])
      assert.strictEqual(ran.code, 1)
      assert.match(ran.err[0]!, /^error: the backend ended the watch/)
    })
  )

  it.effect("does not end while its backend works", () =>
    Effect.gen(function* () {
      const { service } = yield* five
      const { fiber, until } = yield* following(service)
      yield* until(/message 5/)
      yield* TestClock.adjust("100 days")
      assert.isUndefined(fiber.pollUnsafe())
      yield* Fiber.interrupt(fiber)
      assert.isTrue(Exit.hasInterrupts(yield* Fiber.await(fiber)))
    })
  )
})

describe("a --since that lies ahead", () => {
  it.effect("is told, because nothing can match it", () =>
    Effect.gen(function* () {
      const { layer } = yield* five
      for (const argv of [["list"], ["top"], ["story"]]) {
        const told = (since: string) => Effect.map(run(layer, [...argv, "--since", since]), ({ err }) => err.join("\n"))
        // It is 12:30 there.
        assert.include(
          yield* told("13:00"),
          'note: --since is in the future (in 30m): 2026-08-22 13:00:00 +02:00; for an earlier day give the date: --since "2026-08-21 13:00:00"'
        )
        assert.notInclude(yield* told("12:00"), "future")
      }
    })
  )
})

describe("get", () => {
  it.effect("shows one event in full, by its id or its name", () =>
    Effect.gen(function* () {
      const { layer, service } = yield* five
      yield* service.write([
        write(6, {
          at: "2026-08-22T10:25:00Z",
          first: "2026-08-22T10:20:00Z",
          count: 3,
          type: "Warning",
          reason: "WorkflowStepFailed",
          message: "Step build failed",
          data: {
            stepId: "build",
            duration: 90_500_000_000,
            toolNames: ["a", "b"],
            arguments: { region: "eu", retries: 3 }
          }
        })
      ])
      const byId = yield* run(layer, ["get", `${origin}.6`])
      assert.deepStrictEqual(byId, {
        code: 0,
        out: [
          "Name:        deploy.0123456789abcdef.6",
          "Id:          0123456789abcdef0123456789abcdef.6",
          "Namespace:   default",
          "Object:      Workflow/deploy",
          "API version: example.com/v1",
          "Type:        Warning",
          "Reason:      WorkflowStepFailed",
          "Action:      WorkflowStepFailed",
          "Message:     Step build failed",
          "Count:       3",
          "First seen:  2026-08-22 12:20:00 +02:00 (10m ago)",
          "Last seen:   2026-08-22 12:25:00 +02:00 (5m ago)",
          "Source:      test",
          "Reported by: test, test-0",
          "Data:",
          "  stepId: build",
          "  duration: 1m30.5s",
          `  toolNames: ["a","b"]`,
          "  arguments.region: eu",
          "  arguments.retries: 3"
        ],
        err: []
      })
      assert.deepStrictEqual(yield* run(layer, ["get", "deploy.0123456789abcdef.6"]), byId)
      assert.deepStrictEqual(yield* run(layer, ["get", "event/deploy.0123456789abcdef.6"]), byId)
      const event = (yield* service.query({ reason: "WorkflowStepFailed", limit: 1 })).events[0]!
      const json = yield* run(layer, ["get", `${origin}.6`, "-o", "json"])
      assert.deepStrictEqual(JSON.parse(json.out.join("\n")), JSON.parse(EventJson.encode(event)))
      const asYaml = yield* run(layer, ["get", `${origin}.6`, "-oyaml"])
      assert.deepStrictEqual(yaml.parse(asYaml.out.join("\n")), JSON.parse(EventJson.encode(event)))
      const line = yield* run(layer, ["get", `${origin}.6`, "-ondjson"])
      assert.deepStrictEqual(line.out, [EventJson.encode(event)])
    })
  )

  it.effect("searches all pages, and says where ids are printed when it finds nothing", () =>
    Effect.gen(function* () {
      const { layer, service } = yield* memory()
      yield* service.write(
        Array.from({ length: 2_500 }, (_, index) => write(index + 1, { at: Timestamp.format(now + index) }))
      )
      assert.strictEqual((yield* run(layer, ["get", `${origin}.1`])).code, 0)
      assert.deepStrictEqual(yield* run(layer, ["get", `${origin}.9999`]), {
        code: 1,
        out: [],
        err: [`error: there is no event "${origin}.9999"`, "take an id or a name from: tidings list -o wide"]
      })
      const missing = yield* run(layer, ["get"])
      assert.deepStrictEqual(missing.err, [
        "error: ID is missing",
        "usage: tidings get ID [flags] (more: tidings get --help)"
      ])
      assert.strictEqual(missing.code, 2)
    })
  )
})
