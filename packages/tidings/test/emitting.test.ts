// emit with all that it takes, emit of many lines, and a catalogue of the host in what the command says.
import * as Backend from "@tidings/core/Backend"
import * as BackendError from "@tidings/core/BackendError"
import * as EventCatalogue from "@tidings/core/EventCatalogue"
import * as EventId from "@tidings/core/EventId"
import * as Timestamp from "@tidings/core/Timestamp"
import { assert, describe, it } from "@effect/vitest"
import * as Arbitrary from "effect/Arbitrary"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import { TestClock } from "effect/testing"
import { memory, run } from "./harness.ts"

const only = (backend: Backend.Service) =>
  Effect.map(backend.query({}), ({ events, totalCount }) => {
    assert.strictEqual(totalCount, 1)
    return events[0]!
  })

const workflow = { involvedObject: "Workflow/deploy", reason: "WorkflowExecuted" }

const lines = (values: ReadonlyArray<unknown>): string => values.map((value) => `${JSON.stringify(value)}\n`).join("")

describe("emit", () => {
  it.effect("takes the time, the source, labels and a related object", () =>
    Effect.gen(function* () {
      yield* TestClock.setTime(Date.parse("2026-08-22T10:00:01Z"))
      const { layer, service } = yield* memory()
      const ran = yield* run(layer, [
        ...["emit", "Workflow/deploy", "WorkflowExecuted", "-n", "team-a", "--at", "2026-08-22T10:00:00Z"],
        ...["--source", "ci", "--label", "team=web,build=7", "-l", "tier=1", "--related", "pod/web"]
      ])
      assert.deepStrictEqual([ran.code, ran.err], [0, []])
      const { event, first, last } = yield* only(service)
      assert.strictEqual(Timestamp.format(last), "2026-08-22T10:00:00.000000Z")
      assert.strictEqual(first, last)
      assert.strictEqual(event.source.component, "ci")
      assert.strictEqual(event.reportingController, "ci")
      assert.deepStrictEqual(event.labels, { team: "web", build: "7", tier: "1" })
      assert.deepStrictEqual(event.related, { apiVersion: "v1", kind: "Pod", name: "web", namespace: "team-a" })
    })
  )

  it.effect("takes a time that lies back, as --since does", () =>
    Effect.gen(function* () {
      yield* TestClock.setTime(3_600_000)
      const { layer, service } = yield* memory()
      yield* run(layer, ["emit", "Workflow/deploy", "WorkflowExecuted", "--at", "-10m"])
      assert.strictEqual((yield* only(service)).last, 3_000_000_000)
    })
  )

  it.effect(
    "keeps an event whose time is in the future, and says so in one note, with how an earlier day is given",
    () =>
      Effect.gen(function* () {
        const now = new Date(2026, 7, 22, 9, 0, 0).getTime()
        yield* TestClock.setTime(now)
        const note =
          /^note: the time of this event is in the future \(in 90m\): 2026-08-22 10:30:00 \S+; for an earlier day give the date: --at "2026-08-21 10:30:00"$/
        const { layer, service } = yield* memory()
        const ran = yield* run(layer, ["emit", "Workflow/deploy", "WorkflowExecuted", "--at", "10:30"])
        assert.strictEqual(ran.code, 0)
        assert.strictEqual(ran.err.length, 1)
        assert.match(ran.err[0]!, note)
        assert.strictEqual((yield* only(service)).last, (now + 90 * 60_000) * 1_000)

        const earlier = yield* run(layer, [
          "emit",
          "Workflow/deploy",
          "WorkflowExecuted",
          "--at",
          "2026-08-21 10:30:00"
        ])
        // Clocks of two machines differ.
        const soon = yield* run(layer, ["emit", "Workflow/deploy", "WorkflowExecuted", "--at", "+1s"])
        for (const { err } of [earlier, soon]) assert.deepStrictEqual(err, [])

        const stdin = lines([workflow, { ...workflow, at: "10:30" }, { ...workflow, at: "23:00" }])
        const many = yield* run(layer, ["emit", "-"], { stdin })
        assert.strictEqual(many.err.length, 2)
        assert.match(
          many.err[1]!,
          /^note: 2 events are in the future; the time of line 2 is in the future \(in 90m\): .*"at":"2026-08-21 10:30:00"$/
        )
        const all = yield* run(layer, ["emit", "-", "--at", "10:30"], { stdin: lines([workflow]) })
        assert.match(all.err[1]!, /^note: the time of line 1 is in the future/)
      })
  )

  it.effect.each([
    [["Workflow/deploy", "Started", "--source", "a b"], `--source is "a b", expected a qualified name such as`],
    [["Workflow/deploy", "Started", "--source", ""], "--source is empty: leave it out"],
    [["Workflow/deploy", "Started", "--label", "team"], `--label is "team", expected key=value`],
    [["Workflow/deploy", "Started", "--label", "team=we b"], `labels.team is "we b", expected at most 63`],
    [["Workflow/deploy", "Started", "--related", "pod"], `--related "pod" names no object, expected KIND/NAME`],
    [["Workflow/deploy", "Started", "--at", "5"], `--at is "5", expected a time such as`],
    [["Workflow/deploy"], "REASON is missing"],
    [["-", "Started"], `unexpected "Started": with -, the lines of stdin have the reasons`]
  ] as const)("refuses %j and says what would be right", ([argv, expected]) =>
    Effect.gen(function* () {
      const { layer, service } = yield* memory()
      const ran = yield* run(layer, ["emit", ...argv], { stdin: lines([workflow]) })
      assert.strictEqual(ran.code, 2)
      assert.include(ran.err[0]!, expected)
      assert.strictEqual((yield* service.query({})).totalCount, 0)
    })
  )
})

describe("emit -", () => {
  it.effect("records 10,000 lines in their order and prints an id for each of them", () =>
    Effect.gen(function* () {
      const { layer, service } = yield* memory({ capacity: 20_000 })
      const stdin = lines(Array.from({ length: 10_000 }, (_, index) => ({ ...workflow, message: `message ${index}` })))
      const ran = yield* run(layer, ["emit", "-"], { stdin })
      assert.deepStrictEqual([ran.code, ran.err], [0, ["10000 events recorded"]])
      const { events } = yield* service.query({ limit: 20_000 })
      const stored = new Map(events.map(({ event, id }) => [EventId.format(id), event.message]))
      assert.deepStrictEqual(
        ran.out.map((id) => stored.get(id)),
        Array.from({ length: 10_000 }, (_, index) => `message ${index}`)
      )
    })
  )

  it.effect("takes a line as it says, and else as the command line says", () =>
    Effect.gen(function* () {
      yield* TestClock.setTime(Date.parse("2026-08-22T10:00:01Z"))
      const { layer, service } = yield* memory()
      const stdin = lines([
        { ...workflow, data: { stepCount: 3 }, labels: { team: "web" }, at: "2026-08-22T10:00:00Z", source: "ci" },
        {
          involvedObject: {
            kind: "pods",
            name: "web",
            namespace: "team-a",
            uid: "4f1c",
            fieldPath: "spec.containers{app}"
          },
          related: { kind: "Thing", name: "t", apiVersion: "example.com/v1" },
          reason: "Started",
          type: "warning",
          message: "it started",
          action: "Start",
          source: { component: "kubelet", host: "worker-1" }
        }
      ])
      const ran = yield* run(layer, ["emit", "-", "-n", "team-b", "--label", "build=7,team=all", "--source", "jobs"], {
        stdin
      })
      assert.deepStrictEqual([ran.code, ran.err], [0, ["2 events recorded"]])
      const { events } = yield* service.query({})
      const byReason = (reason: string) => events.find(({ event }) => event.reason === reason)!
      assert.strictEqual(byReason("WorkflowExecuted").event.message, "Workflow deploy completed 3 steps")
      assert.strictEqual(byReason("WorkflowExecuted").event.involvedObject.namespace, "team-b")
      assert.deepStrictEqual(byReason("WorkflowExecuted").event.labels, { build: "7", team: "web" })
      assert.strictEqual(byReason("WorkflowExecuted").event.source.component, "ci")
      assert.strictEqual(Timestamp.format(byReason("WorkflowExecuted").last), "2026-08-22T10:00:00.000000Z")
      const { event } = byReason("Started")
      assert.deepStrictEqual(event.involvedObject, {
        apiVersion: "v1",
        kind: "Pod",
        name: "web",
        namespace: "team-a",
        uid: "4f1c",
        fieldPath: "spec.containers{app}"
      })
      assert.deepStrictEqual(event.related, {
        apiVersion: "example.com/v1",
        kind: "Thing",
        name: "t",
        namespace: "team-b"
      })
      assert.deepStrictEqual(event.labels, { build: "7", team: "all" })
      assert.deepStrictEqual([event.type, event.message, event.action], ["Warning", "it started", "Start"])
      assert.deepStrictEqual(event.source, { component: "kubelet", host: "worker-1" })
    })
  )

  it.effect.each([
    [`{"involvedObject":"Workflow/deploy",`, "it is not JSON"],
    ["[]  17", "it is not JSON"],
    ["17", "it is no JSON object, expected one with involvedObject and reason"],
    [{ ...workflow, constructor: 1 }, `"constructor" is no field of an event, which has involvedObject, reason, `],
    [
      `{"involvedObject":"Workflow/deploy","reason":"A","__proto__":1}`,
      `"__proto__" is no field of an event, which has`
    ],
    [{ object: "Workflow/deploy", reason: "A" }, `"object" is no field of an event; did you mean involvedObject?`],
    [{ reason: "A" }, "involvedObject is missing, expected KIND/NAME such as Workflow/deploy"],
    [{ ...workflow, involvedObject: "Workflow" }, `involvedObject is "Workflow", expected KIND/NAME`],
    [
      { ...workflow, involvedObject: { kind: "Pod" } },
      "involvedObject.name is missing, expected the name of the object"
    ],
    [
      { ...workflow, involvedObject: { name: "a" } },
      "involvedObject.kind is missing, expected a kind such as Workflow"
    ],
    [
      { ...workflow, involvedObject: { kind: "Pod", nmae: "a" } },
      `involvedObject."nmae" is no field of an event; did you`
    ],
    [{ involvedObject: "Workflow/a" }, "reason is missing, expected a word such as WorkflowExecuted"],
    [{ ...workflow, reason: "not a word" }, `reason is "not a word", expected a word that begins with a letter`],
    [{ ...workflow, reason: "MCPServerFailed" }, "MCPServerFailed is a reason of MCPServer, not of Workflow"],
    [{ ...workflow, reason: "WorkflowStepFailed" }, "the message of WorkflowStepFailed needs data.stepId"],
    [{ ...workflow, data: { stepCount: "three" } }, `data.stepCount is "three", expected a whole number`],
    [{ ...workflow, data: { stepCuont: 3 } }, `data: "stepCuont" is not a field; did you mean stepCount?`],
    [{ ...workflow, type: "Error" }, `type is "Error", expected Normal or Warning`],
    [{ ...workflow, at: "soon" }, `at is "soon", expected a time such as`],
    [{ ...workflow, at: true }, "at is true, expected a time such as 2026-08-22T10:00:00Z"],
    [{ ...workflow, labels: { team: 1 } }, "labels.team is 1, expected a text"],
    [{ ...workflow, labels: { team: "we b" } }, `labels.team is "we b", expected at most 63`],
    [{ ...workflow, source: "a b" }, `source is "a b", expected a qualified name`],
    [{ ...workflow, message: 1 }, "message is 1, expected a text"],
    [
      { ...workflow, id: "a.1", lastTimestamp: "2026-08-22T10:00:00.000000Z" },
      "an event that is stored already, which import"
    ]
  ] as const)("tells the line of %j with what would be right, and records the others", ([bad, expected]) =>
    Effect.gen(function* () {
      const { layer, service } = yield* memory()
      const line = typeof bad === "string" ? `${bad}\n` : lines([bad])
      const stdin = `${lines([workflow])}\n${line}${lines([{ ...workflow, reason: "WorkflowFailed", message: "no" }])}`
      const ran = yield* run(layer, ["emit", "-"], { stdin })
      assert.strictEqual(ran.code, 1)
      assert.strictEqual(ran.out.length, 2)
      assert.isTrue(ran.err[0]!.startsWith("stdin: line 3: "), ran.err[0])
      assert.include(ran.err[0]!, expected)
      assert.deepStrictEqual(ran.err.slice(1), ["2 events recorded", "error: 1 line was not recorded; the others are"])
      assert.strictEqual((yield* service.query({})).totalCount, 2)
    })
  )

  it.effect("tells a hundred of the lines that are wrong, and how many more there are", () =>
    Effect.gen(function* () {
      const { layer, service } = yield* memory()
      const stdin = lines(Array.from({ length: 1_000 }, (_, index) => (index % 2 === 0 ? workflow : { reason: "A" })))
      const ran = yield* run(layer, ["emit", "-"], { stdin })
      assert.strictEqual(ran.err.filter((line) => line.startsWith("stdin: line ")).length, 100)
      assert.deepStrictEqual(ran.err.slice(100), [
        "500 events recorded",
        "and 400 more lines that were not recorded",
        "error: 500 lines were not recorded; the others are"
      ])
      assert.strictEqual((yield* service.query({})).totalCount, 500)
    })
  )

  it.effect("stops where the store fails, and says which lines it does not have", () =>
    Effect.gen(function* () {
      const { service } = yield* memory()
      let left = 300
      const failing: Backend.Service = {
        ...service,
        write: (batch) =>
          Effect.suspend(() => {
            left -= batch.length
            return left >= 0
              ? service.write(batch)
              : Effect.fail(
                  new BackendError.BackendError({
                    reason: new BackendError.Unavailable({ detail: "the disk is gone" })
                  })
                )
          })
      }
      const stdin = lines(Array.from({ length: 2_000 }, () => workflow))
      const ran = yield* run(Layer.succeed(Backend.Backend, failing), ["emit", "-"], { stdin })
      assert.strictEqual(ran.code, 4)
      const { totalCount } = yield* service.query({})
      assert.strictEqual(ran.out.length, totalCount)
      const named = ran.err.filter((line) => /^stdin: line \d+: not recorded: .*the disk is gone/.test(line))
      assert.isAbove(named.length, 0)
      assert.include(ran.err.at(-2)!, "the disk is gone")
      // Of 2,000 lines each is recorded, named, or behind the last one that was read.
      const [, recorded, notNamed, last] =
        /^(\d+) events recorded; the (\d+) lines that are not, and those after line (\d+), are still to be recorded$/.exec(
          ran.err.at(-1)!
        )!
      assert.strictEqual(Number(recorded), totalCount)
      assert.strictEqual(Number(recorded) + Number(notNamed), Number(last))
      assert.strictEqual(totalCount, 300)
    })
  )

  it.effect.prop(
    "records every line that is right, whatever stands between, and names every other one",
    {
      all: Arbitrary.array(Arbitrary.schema(Schema.Struct({ isRight: Schema.Boolean, text: Schema.String })), {
        maxLength: 60
      })
    },
    ({ all }) =>
      Effect.gen(function* () {
        const { layer, service } = yield* memory()
        const stdin = all
          .map(({ isRight, text }) => `${JSON.stringify(isRight ? { ...workflow, message: text } : { text })}\n`)
          .join("")
        const ran = yield* run(layer, ["emit", "-"], { stdin })
        const wrong = all.flatMap(({ isRight }, index) => (isRight ? [] : [index + 1]))
        assert.strictEqual(ran.code, wrong.length === 0 ? 0 : 1)
        assert.deepStrictEqual(
          ran.err.flatMap((line) => /^stdin: line (\d+):/.exec(line)?.[1] ?? []).map(Number),
          wrong
        )
        assert.strictEqual((yield* service.query({})).totalCount, all.length - wrong.length)
      }),
    { arbitrary: { runs: 30, size: 60 } }
  )
})

class Orders extends EventCatalogue.Service<Orders>()("shop/Orders", {
  Order: {
    apiVersion: "shop.example.com/v1",
    fields: { podCount: "count", payment: ["card", "cash"] },
    reasons: {
      OrderPlaced: {
        meaning: "It was paid.",
        message: "Order {{.Name}} is paid by {{.Payment}}{{if .PodCount}} on {{.PodCount}} pods{{end}}"
      },
      OrderLost: { meaning: "It is lost.", type: "Warning", message: "Order {{.Name}} is lost" }
    }
  }
}) {}

describe("explain -o json", () => {
  it.effect("prints one object for a reason, and items for several", () =>
    Effect.gen(function* () {
      const { layer } = yield* memory()
      const one = yield* run(layer, ["explain", "workflowstepfailed", "-o", "json"])
      const object = JSON.parse(one.out.join("\n")) as Record<string, unknown>
      assert.deepStrictEqual(Object.keys(object), [
        ...["reason", "kind", "apiVersion", "type", "meaning", "message", "data", "muster"]
      ])
      assert.deepStrictEqual(
        [object["reason"], object["kind"], object["type"]],
        ["WorkflowStepFailed", "Workflow", "Warning"]
      )
      assert.deepInclude(object["data"] as ReadonlyArray<unknown>, { field: "stepId", type: "text", needed: true })
      const kind = JSON.parse((yield* run(layer, ["explain", "mcpservers", "-ojson"])).out.join("\n")) as {
        readonly items: ReadonlyArray<{ readonly kind: string }>
      }
      assert.isAbove(kind.items.length, 5)
      assert.isTrue(kind.items.every((item) => item.kind === "MCPServer"))
      const all = JSON.parse((yield* run(layer, ["explain", "-ojson"])).out.join("\n")) as typeof kind
      assert.isAbove(all.items.length, kind.items.length)
      const yaml = yield* run(layer, ["explain", "WorkflowStepFailed", "-o", "yaml"])
      assert.include(yaml.out, "reason: WorkflowStepFailed")
      assert.strictEqual((yield* run(layer, ["explain", "Nothing", "-ojson"])).code, 2)
    })
  )

  it.effect("tells of a catalogue of the host, whose kinds come first", () =>
    Effect.gen(function* () {
      const { layer } = yield* memory()
      const options = { catalogues: [Orders] }
      const { out } = yield* run(layer, ["explain", "OrderPlaced", "-o", "json"], { options })
      assert.deepStrictEqual(JSON.parse(out.join("\n")), {
        reason: "OrderPlaced",
        kind: "Order",
        apiVersion: "shop.example.com/v1",
        type: "Normal",
        meaning: "It was paid.",
        message: "Order {{.Name}} is paid by {{.Payment}}{{if .PodCount}} on {{.PodCount}} pods{{end}}",
        data: [
          { field: "payment", type: ["card", "cash"], needed: true },
          { field: "podCount", type: "count", needed: false }
        ]
      })
      assert.strictEqual((yield* run(layer, ["explain"], { options })).out[0], "Order shop.example.com/v1")
    })
  )
})

describe("a command with a catalogue of its own", () => {
  const options = { name: "shop-events", catalogues: [Orders] }

  it.effect("speaks of the kinds of the host in help, hints and errors", () =>
    Effect.gen(function* () {
      const { layer } = yield* memory()
      const examples = (verb: string) =>
        Effect.map(run(layer, [verb, "--help"], { options }), ({ out }) =>
          out.slice(out.indexOf("Examples:")).join("\n")
        )
      for (const verb of ["list", "follow", "wait", "story", "emit", "explain"]) {
        const shown = yield* examples(verb)
        assert.include(shown, "rder", verb)
        assert.notMatch(shown, /workflow|mcpserver/i, verb)
      }
      assert.include(yield* examples("wait"), "shop-events wait Order/order-1 --reason OrderPlaced,OrderLost")
      assert.deepStrictEqual((yield* run(layer, ["list"], { options })).err, [
        "no events yet; record one with: shop-events emit Order/order-1 OrderPlaced --data podCount=3 --data payment=card"
      ])
      const refused = yield* run(layer, ["list", "/a"], { options })
      assert.include(refused.err[0]!, "is neither an object such as Order/order-1 nor a kind")
      const none = yield* run(layer, ["emit", "Order", "OrderPlaced"], { options })
      assert.include(none.err[0]!, `"Order" names no object, expected KIND/NAME such as Order/order-1`)
    })
  )

  it.effect("has an example of emit that records what it says", () =>
    Effect.gen(function* () {
      const { layer, service } = yield* memory()
      const { err } = yield* run(layer, ["list"], { options })
      const argv = err[0]!.split("shop-events ")[1]!.split(" ")
      assert.strictEqual((yield* run(layer, argv, { options })).code, 0)
      assert.strictEqual((yield* only(service)).event.message, "Order order-1 is paid by card on 3 pods")
    })
  )
})
