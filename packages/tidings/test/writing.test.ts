// emit
import * as Backend from "@tidings/core/Backend"
import * as BackendError from "@tidings/core/BackendError"
import * as EventCatalogue from "@tidings/core/EventCatalogue"
import * as EventId from "@tidings/core/EventId"
import * as EventJson from "@tidings/core/EventJson"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import { TestClock, TestConsole } from "effect/testing"
import { memory, run } from "./harness.ts"

const only = (backend: Backend.Service) =>
  Effect.map(backend.query({}), ({ events, totalCount }) => {
    assert.strictEqual(totalCount, 1)
    return events[0]!
  })

describe("emit", () => {
  it.effect("waits until the backend has the event and prints its id", () =>
    Effect.gen(function* () {
      yield* TestClock.setTime(1_000)
      const { layer, service } = yield* memory()
      const ran = yield* run(layer, [
        "emit",
        "workflow/deploy",
        "WorkflowStepFailed",
        "--data",
        "stepId=build",
        "--data",
        "error=boom"
      ])
      const event = yield* only(service)
      assert.deepStrictEqual(ran, { code: 0, out: [EventId.format(event.id)], err: [] })
      const object = EventJson.toObject(event)
      assert.deepStrictEqual(object.involvedObject, {
        apiVersion: "muster.giantswarm.io/v1alpha1",
        kind: "Workflow",
        name: "deploy",
        namespace: "default"
      })
      assert.strictEqual(object.type, "Warning")
      assert.strictEqual(object.firstTimestamp, "1970-01-01T00:00:01.000000Z")
      assert.match(object.message, /build.*boom/)
      assert.strictEqual(object.source.component, "tidings")
      assert.strictEqual(object.reportingComponent, "tidings")
    })
  )

  it.effect("three times with the same event is a row with a count in tables, and three series elsewhere", () =>
    Effect.gen(function* () {
      const { layer, service } = yield* memory()
      const ids: Array<string> = []
      for (let minute = 0; minute < 3; minute++) {
        yield* TestClock.setTime(minute * 60_000)
        const { out } = yield* run(layer, ["emit", "Workflow/deploy", "WorkflowStepFailed", "it failed"])
        ids.push(...out)
      }
      yield* run(layer, ["emit", "Workflow/deploy", "WorkflowStepFailed", "it failed again"])
      assert.strictEqual((yield* service.query({})).totalCount, 4)
      const table = yield* run(layer, ["list"])
      assert.deepStrictEqual(
        table.out.slice(1).map((line) => line.split(/ {2,}/)),
        [
          ["default", "0s (×3 over 2m)", "Warning", "WorkflowStepFailed", "Workflow/deploy", "it failed"],
          ["default", "0s", "Warning", "WorkflowStepFailed", "Workflow/deploy", "it failed again"]
        ]
      )
      assert.deepStrictEqual(table.err, [])
      const wide = yield* run(layer, ["list", "-o", "wide"])
      assert.deepStrictEqual(
        wide.out.slice(1).map((line) => line.split(/ {2,}/).slice(1, 4)),
        [
          ["0s", "2m", "3"],
          ["0s", "0s", "1"]
        ]
      )
      const lines = yield* run(layer, ["list", "-o", "ndjson"])
      assert.deepStrictEqual(lines.out.map((line) => (JSON.parse(line) as { id: string }).id).slice(0, 3), ids)
      const json = JSON.parse((yield* run(layer, ["list", "-o", "json"])).out.join("\n")) as Record<string, unknown>
      assert.strictEqual(json["total"], 4)
      // The limit counts series, as the total does.
      const limited = yield* run(layer, ["list", "--limit", "2"])
      assert.deepStrictEqual(limited.err, ["2 of 4 events, the newest; show all with --limit all"])
    })
  )

  it.effect("takes message, type and namespace as given", () =>
    Effect.gen(function* () {
      const { layer, service } = yield* memory()
      const message = "{{.Name}} is no template here: 100% done"
      const ran = yield* run(layer, ["emit", "Deployment/web", "RolloutStarted", message, "--type=warning", "-nteam-a"])
      assert.strictEqual(ran.code, 0)
      const { event } = yield* only(service)
      assert.deepStrictEqual(event.involvedObject, {
        apiVersion: "apps/v1",
        kind: "Deployment",
        name: "web",
        namespace: "team-a"
      })
      assert.strictEqual(event.message, message)
      assert.strictEqual(event.type, "Warning")
    })
  )

  it.effect("records an object without a namespace", () =>
    Effect.gen(function* () {
      const { layer, service } = yield* memory()
      yield* run(layer, ["emit", "Gateway/east", "GatewayReady", "-n", ""])
      assert.deepStrictEqual((yield* only(service)).event.involvedObject, { kind: "Gateway", name: "east" })
    })
  )

  it.effect("knows the built-in kinds of Kubernetes, and which of them are cluster-scoped", () =>
    Effect.gen(function* () {
      const recorded = (argv: ReadonlyArray<string>) =>
        Effect.gen(function* () {
          const { layer, service } = yield* memory()
          assert.strictEqual((yield* run(layer, ["emit", ...argv])).code, 0)
          return (yield* only(service)).event.involvedObject
        })
      const node = { apiVersion: "v1", kind: "Node", name: "worker-1" }
      assert.deepStrictEqual(yield* recorded(["node/worker-1", "NodeReady"]), node)
      assert.deepStrictEqual(yield* recorded(["no/worker-1", "NodeReady"]), node)
      // kubectl describe looks for the events of a Node in no namespace, whatever -n says.
      assert.deepStrictEqual(yield* recorded(["Node/worker-1", "NodeReady", "-n", "team-a"]), node)
      const web = { apiVersion: "apps/v1", kind: "Deployment", name: "web", namespace: "default" }
      assert.deepStrictEqual(yield* recorded(["deploy/web", "Scaled"]), web)
      assert.deepStrictEqual(yield* recorded(["deployments/web", "Scaled"]), web)
      const own = yield* recorded(["gadget/web", "Scaled"])
      assert.deepStrictEqual(own, { kind: "gadget", name: "web", namespace: "default" })
    })
  )

  it.effect("says that it waits, and fails where the outcome stays unknown", () =>
    Effect.gen(function* () {
      const { service } = yield* memory()
      const unknown = BackendError.make(new BackendError.Transient({ applied: "unknown", detail: "reset" }))
      let writes = 0
      const failing = Layer.succeed(Backend.Backend, {
        ...service,
        write: () =>
          Effect.suspend(() => {
            writes++
            return Effect.fail(unknown)
          })
      })
      const running = yield* Effect.forkChild(run(failing, ["emit", "Workflow/deploy", "Started"]), {
        startImmediately: true
      })
      yield* TestClock.adjust("4 seconds")
      assert.deepStrictEqual(yield* TestConsole.errorLines, [])
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(yield* TestConsole.errorLines, ["-- no definite answer from the store yet; retrying --"])
      yield* TestClock.adjust("114 seconds")
      assert.isUndefined(running.pollUnsafe())
      yield* TestClock.adjust("1 second")
      const ran = yield* Fiber.join(running)
      assert.strictEqual(ran.code, 4)
      assert.deepStrictEqual(ran.out, [])
      assert.deepStrictEqual(ran.err.slice(1), [
        "error: it is unknown whether the event was recorded: no definite answer from the store within 2 minutes",
        "check with list before recording it again"
      ])
      assert.isAbove(writes, 5)
    })
  )

  it.effect("reads data as each field is declared", () =>
    Effect.gen(function* () {
      const { layer, service } = yield* memory()
      const pairs = [
        "operation=7",
        "serviceClass=true",
        "error=",
        "duration=1m30.5s",
        "stepCount=3",
        "StepID=build=1",
        "stepTool=x_run",
        "conditionResult=false",
        "executionId=e-1",
        `toolNames=["a, b","c"]`,
        "allowFailure=true",
        "arguments.version=1.10",
        "arguments.count=3",
        "arguments.list=[1,2]",
        "arguments.text=plain text",
        "arguments.yes=true",
        `Arguments.quoted="3"`,
        `arguments={"region":"eu","count":4}`
      ]
      const ran = yield* run(layer, [
        "emit",
        "Workflow/deploy",
        "Started",
        ...pairs.flatMap((pair) => ["--data", pair])
      ])
      assert.deepStrictEqual([ran.code, ran.err], [0, []])
      assert.deepStrictEqual((yield* only(service)).event.data, {
        name: "deploy",
        namespace: "default",
        operation: "7",
        serviceClass: "true",
        error: "",
        duration: 90_500_000_000,
        stepCount: 3,
        stepId: "build=1",
        stepTool: "x_run",
        conditionResult: "false",
        executionId: "e-1",
        toolNames: ["a, b", "c"],
        allowFailure: true,
        arguments: { version: "1.10", count: 4, list: [1, 2], text: "plain text", yes: true, quoted: "3", region: "eu" }
      })
    })
  )

  it.effect.each([
    ["duration=1500ms", { duration: 1_500_000_000 }],
    ["duration=-2s", { duration: -2_000_000_000 }],
    ["toolNames=a, b,c", { toolNames: ["a", "b", "c"] }],
    ["toolNames=", { toolNames: [] }],
    ["stepCount=-1", { stepCount: -1 }],
    ["arguments.a.b=1", { arguments: { "a.b": 1 } }],
    ["arguments.__proto__=1", { arguments: Object.fromEntries([["__proto__", 1]]) }]
  ] as const)("reads --data %s", ([pair, expected]) =>
    Effect.gen(function* () {
      const { layer, service } = yield* memory()
      yield* run(layer, ["emit", "Workflow/deploy", "Started", "--data", pair])
      const { name: _, namespace: __, ...data } = (yield* only(service)).event.data
      assert.deepStrictEqual(data, expected)
    })
  )

  it.effect("masks values under keys that name secrets", () =>
    Effect.gen(function* () {
      const { layer, service } = yield* memory()
      yield* run(layer, ["emit", "Workflow/deploy", "Started", "--data", "arguments.password=hunter2"])
      assert.isFalse(JSON.stringify((yield* only(service)).event).includes("hunter2"))
    })
  )

  it.effect.each([
    [
      "stepCont=3",
      /^error: --data "stepCont" is not a field; did you mean stepCount\? Anything of your own goes under arguments: arguments.stepCont$/
    ],
    [
      "customer=3",
      /^error: --data "customer" is not a field\. Anything of your own goes under arguments: arguments.customer$/
    ],
    ["stepCount=three", /^error: --data stepCount is "three", expected a whole number$/],
    ["stepCount=99999999999999999999", /expected a whole number from -9007199254740991 to 9007199254740991$/],
    ["allowFailure=yes", /^error: --data allowFailure is "yes", expected true or false$/],
    ["duration=5 minutes", /^error: --data duration is "5 minutes", expected a duration such as 1m30.5s$/],
    ["duration=10", /^error: --data duration is "10", expected a unit after each number, such as 10s or 10ms$/],
    ["duration=1m30", /^error: --data duration is "1m30", expected a unit after each number, such as 1m30s or 1m30ms$/],
    ["duration=9999999h", /expected a duration up to 2562047h \(292 years\)$/],
    ["duration=", /^error: --data duration is "", expected a duration such as 1m30.5s$/],
    ["toolNames=[1]", /^error: --data toolNames is "\[1\]", expected a list such as a,b/],
    ["arguments=[1]", /^error: --data arguments is "\[1\]", expected a JSON object/],
    ["arguments={", /expected a JSON object/],
    ["name=other", /^error: --data name: the object is named by KIND\/NAME/],
    ["Namespace=other", /^error: --data Namespace: the object is named by KIND\/NAME/],
    ["nothing", /^error: --data is "nothing", expected key=value$/],
    ["=x", /expected key=value$/]
  ] as const)("refuses --data %s", ([pair, expected]) =>
    Effect.gen(function* () {
      const { layer, service } = yield* memory()
      const ran = yield* run(layer, ["emit", "Workflow/deploy", "Started", "--data", pair])
      assert.strictEqual(ran.code, 2)
      assert.match(ran.err[0]!, expected)
      assert.strictEqual(ran.err.length, 2)
      assert.strictEqual((yield* service.query({})).totalCount, 0)
    })
  )

  it.effect.each([
    [["Workflow", "Started"], /^error: "Workflow" names no object, expected KIND\/NAME such as Workflow\/deploy$/],
    [["/x", "Started"], /^error: "\/x" is neither an object/],
    [["Workflow/a\tb", "Started"], /^error: involvedObject.name is "a\\tb", expected /],
    [["Workflow/ a", "Started"], /^error: involvedObject.name is " a", expected /],
    [["Workflow/a/", "Started"], /^error: "Workflow\/a\/" is neither an object/],
    [
      ["gadget.example.com/a", "Started"],
      /^error: gadget.example.com names a group without a version.*write gadget.v1.example.com\/a/
    ],
    [["Work flow/a", "Started"], /^error: involvedObject.kind is "Work flow", expected /],
    [["Workflow/a", ""], /^error: reason is "", expected /],
    [["Workflow/a", "not a reason"], /^error: reason is "not a reason", expected /],
    [
      ["Workflow/a", "Started", "-n", "Not_A_Namespace"],
      /^error: involvedObject.namespace is "Not_A_Namespace", expected /
    ],
    [["Workflow/a", "MCPServerStarted"], /^error: MCPServerStarted is a reason of MCPServer, not of Workflow$/],
    [["Workflow/a"], /^error: REASON is missing$/],
    [[], /^error: KIND\/NAME is missing$/],
    [["Workflow/a", "Started", "two", "words"], /^error: unexpected "words": quote a text that has spaces/]
  ] as const)("refuses emit %j", ([argv, expected]) =>
    Effect.gen(function* () {
      const { layer, service } = yield* memory()
      const ran = yield* run(layer, ["emit", ...argv])
      assert.strictEqual(ran.code, 2)
      assert.match(ran.err[0]!, expected)
      assert.strictEqual(
        ran.err[1],
        "usage: tidings emit KIND/NAME REASON [MESSAGE] [flags] (more: tidings emit --help)"
      )
      assert.strictEqual((yield* service.query({})).totalCount, 0)
    })
  )

  it.effect("records a value that looks like a mistake, and prints a hint", () =>
    Effect.gen(function* () {
      const { layer } = yield* memory()
      const typo = yield* run(layer, ["emit", "Workflow/deploy", "WorkflowExecutd"])
      assert.strictEqual(typo.code, 0)
      assert.deepStrictEqual(typo.err, [
        "note: the catalogue has no reason WorkflowExecutd; did you mean WorkflowExecuted?"
      ])
      const two = yield* run(layer, ["emit", "Pod/a,Pod/b", "Started"])
      assert.deepStrictEqual(
        [two.code, ...two.err],
        [0, 'note: an event is about one object, and this one is named "a,Pod/b": emit one for each']
      )
      assert.deepStrictEqual((yield* run(layer, ["emit", "Pod/a,b (c/d)", "Started"])).err.join(""), "")
    })
  )

  it.effect.each([
    [["Workflow/d", "WorkflowStepFailed"], "--data stepId=…"],
    [["Workflow/d", "WorkflowStepFailed", "--data", "error=boom"], "--data stepId=…"],
    [["Workflow/d", "WorkflowStepFailed", "--data", "stepId="], "--data stepId=…"],
    [["Deployment/web", "WorkflowStepFailed"], "--data stepId=…"]
  ] as const)("refuses emit %j, whose message cannot do without %s", ([argv, missing]) =>
    Effect.gen(function* () {
      const { layer, service } = yield* memory()
      const ran = yield* run(layer, ["emit", ...argv])
      assert.strictEqual(ran.code, 2)
      assert.strictEqual(
        ran.err[0],
        `error: the message of WorkflowStepFailed needs ${missing}, or give a MESSAGE of your own`
      )
      assert.strictEqual((yield* service.query({})).totalCount, 0)
    })
  )

  it.effect("needs no data for a message of the caller's own", () =>
    Effect.gen(function* () {
      const { layer, service } = yield* memory()
      const ran = yield* run(layer, ["emit", "Workflow/deploy", "WorkflowStepStarted", "in my own words"])
      assert.strictEqual(ran.code, 0)
      assert.deepStrictEqual(ran.err, [])
      assert.strictEqual((yield* only(service)).event.message, "in my own words")
    })
  )

  it.effect.each([
    [new BackendError.Unavailable({ detail: "gone" }), 4, /the event was not recorded: .*gone/],
    [new BackendError.Unauthorized({ detail: "no" }), 4, /the event was not recorded: not allowed: no/],
    [new BackendError.Transient({ applied: "no", detail: "refused" }), 4, /the event was not recorded: refused$/],
    [new BackendError.Full({ detail: "the disk is full" }), 1, /the event was not recorded: .*the disk is full/]
  ] as const)("tells why nothing was recorded: %s", ([reason, code, expected]) =>
    Effect.gen(function* () {
      const { service } = yield* memory()
      const failing = Layer.succeed(Backend.Backend, {
        ...service,
        write: () => Effect.fail(BackendError.make(reason))
      })
      const ran = yield* run(failing, ["emit", "Workflow/deploy", "Started"])
      assert.strictEqual(ran.code, code)
      assert.deepStrictEqual(ran.out, [])
      assert.match(ran.err[0]!, expected)
    })
  )

  it.effect("fails when the backend rejects or drops the event", () =>
    Effect.gen(function* () {
      const { service } = yield* memory()
      const answering = (outcome: Backend.Outcome) =>
        Layer.succeed(Backend.Backend, { ...service, write: () => Effect.succeed([outcome]) })
      const rejected = yield* run(answering({ _tag: "Rejected", reason: "too large" }), [
        "emit",
        "Workflow/deploy",
        "Started"
      ])
      assert.strictEqual(rejected.code, 1)
      assert.match(rejected.err[0]!, /rejected it: too large/)
      const dropped = yield* run(answering({ _tag: "Dropped", reason: "quota" }), [
        "emit",
        "Workflow/deploy",
        "Started"
      ])
      assert.deepStrictEqual(dropped, { code: 1, out: [], err: ["error: the backend did not store the event: quota"] })
    })
  )
})

describe("a catalogue of the host", () => {
  class Orders extends EventCatalogue.Service<Orders>()("shop/Orders", {
    Order: {
      apiVersion: "shop.example.com/v1",
      fields: { podCount: "count", took: "duration", payment: ["card", "cash"] },
      reasons: {
        OrderScaled: {
          meaning: "More or fewer pods work on it.",
          type: "Warning",
          message: "Order {{.Name}} has {{.PodCount}} pods{{if .Took}} after {{.Took}}{{end}}"
        }
      }
    }
  }) {}
  const options = { catalogues: [Orders] }

  it.effect("is known to every verb", () =>
    Effect.gen(function* () {
      const { layer, service } = yield* memory()
      const emitted = yield* run(
        layer,
        ["emit", "order/o-17", "OrderScaled", "--data", "podCount=3", "--data", "took=2s", "--data", "payment=cash"],
        { options }
      )
      assert.deepStrictEqual([emitted.code, emitted.err], [0, []])
      const { event } = yield* only(service)
      assert.strictEqual(event.involvedObject.apiVersion, "shop.example.com/v1")
      assert.strictEqual(event.message, "Order o-17 has 3 pods after 2s")
      assert.strictEqual(event.type, "Warning")
      assert.strictEqual((yield* run(layer, ["list", "ORDER/o-17", "-ondjson"], { options })).out.length, 1)
      const explained = yield* run(layer, ["explain", "orderscaled"], { options })
      assert.include(explained.out, "Data:     podCount (count, needed), took (duration)")
      const rendered = yield* run(layer, ["template", "render", "{{.PodCount}} {{.Payment}}", "--data", "podCount=2"], {
        options
      })
      assert.deepStrictEqual(rendered.out, ["2 "])
      const refused = yield* run(layer, ["emit", "Order/o", "OrderScaled", "--data", "payment=gold"], { options })
      assert.strictEqual(refused.err[0], `error: --data payment is "gold", expected one of card, cash`)
    })
  )
})
