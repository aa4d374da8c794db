import * as MessageTemplate from "@tidings/templates/MessageTemplate"
import * as TemplateFields from "@tidings/templates/TemplateFields"
import { assert, describe, expectTypeOf, it } from "@effect/vitest"
import { Arbitrary, Effect, Layer, Result, Schema } from "effect"
import * as Backend from "../src/Backend.ts"
import * as EventData from "../src/EventData.ts"
import { EventGenerator } from "../src/EventGenerator.ts"
import type { NeedsOf } from "../src/internal/catalogueCheck.ts"
import { type EventDraft, Recorder } from "../src/Recorder.ts"
import * as Templates from "../src/Templates.ts"

/** Kind, reason, type, and what the message draws on: `?` where only when it is there. */
const table = `
MCPServer MCPServerCreated Normal Name Namespace
MCPServer MCPServerUpdated Normal Name Namespace
MCPServer MCPServerDeleted Normal Name Namespace
MCPServer MCPServerStarting Normal Name
MCPServer MCPServerStarted Normal Name
MCPServer MCPServerStopped Normal Name
MCPServer MCPServerRestarting Normal Name
MCPServer MCPServerFailed Warning Name Error?
MCPServer MCPServerToolsDiscovered Normal Name ToolNames?
MCPServer MCPServerToolsUnavailable Warning Name ToolNames? Error?
MCPServer MCPServerReconnected Normal Name
MCPServer MCPServerHealthCheckFailed Warning Name Error?
MCPServer MCPServerRecoveryStarted Normal Name
MCPServer MCPServerRecoverySucceeded Normal Name
MCPServer MCPServerRecoveryFailed Warning Name Error?
MCPServer MCPServerAuthRequired Normal Name
MCPServer MCPServerTokenForwarded Normal Name
MCPServer MCPServerTokenForwardingFailed Warning Name Error?
MCPServer MCPServerTokenExchanged Normal Name
MCPServer MCPServerTokenExchangeFailed Warning Name Error?
ServiceClass ServiceClassCreated Normal Name Namespace
ServiceClass ServiceClassUpdated Normal Name Namespace
ServiceClass ServiceClassDeleted Normal Name Namespace
ServiceClass ServiceClassValidated Normal Name
ServiceClass ServiceClassValidationFailed Warning Name Error?
ServiceClass ServiceClassAvailable Normal Name ToolNames?
ServiceClass ServiceClassUnavailable Warning Name ToolNames? Error?
ServiceClass ServiceClassToolsDiscovered Normal Name ToolNames?
ServiceClass ServiceClassToolsMissing Warning Name ToolNames? Error?
ServiceClass ServiceClassToolsRestored Normal Name ToolNames?
Workflow WorkflowCreated Normal Name Namespace StepCount?
Workflow WorkflowUpdated Normal Name Namespace StepCount?
Workflow WorkflowDeleted Normal Name Namespace
Workflow WorkflowValidationFailed Warning Name Error?
Workflow WorkflowValidationSucceeded Normal Name
Workflow WorkflowExecutionStarted Normal Name ExecutionID?
Workflow WorkflowExecutionCompleted Normal Name ExecutionID? StepCount? Duration?
Workflow WorkflowExecutionFailed Warning Name ExecutionID? StepID? Error?
Workflow WorkflowExecutionTracked Normal Name ExecutionID?
Workflow WorkflowStepStarted Normal Name StepID StepTool?
Workflow WorkflowStepCompleted Normal Name StepID StepTool?
Workflow WorkflowStepFailed Warning Name StepID StepTool? AllowFailure? Error?
Workflow WorkflowStepSkipped Normal Name StepID StepTool? ConditionResult
Workflow WorkflowStepConditionEvaluated Normal Name StepID StepTool? ConditionResult
Workflow WorkflowAvailable Normal Name ToolNames?
Workflow WorkflowUnavailable Warning Name ToolNames? Error?
Workflow WorkflowToolsDiscovered Normal Name ToolNames?
Workflow WorkflowToolsMissing Warning Name ToolNames? Error?
Workflow WorkflowToolRegistered Normal Name
Workflow WorkflowToolUnregistered Normal Name
Workflow WorkflowCapabilitiesRefreshed Normal Name
Workflow WorkflowExecuted Normal Name StepCount? Duration?
ServiceInstance ServiceInstanceCreated Normal Name Namespace ServiceClass
ServiceInstance ServiceInstanceStarting Normal Name StepTool?
ServiceInstance ServiceInstanceStarted Normal Name
ServiceInstance ServiceInstanceStopping Normal Name StepTool?
ServiceInstance ServiceInstanceStopped Normal Name
ServiceInstance ServiceInstanceRestarting Normal Name StepTool?
ServiceInstance ServiceInstanceRestarted Normal Name StepCount? Duration?
ServiceInstance ServiceInstanceDeleted Normal Name Namespace
ServiceInstance ServiceInstanceFailed Warning Name Error?
ServiceInstance ServiceInstanceHealthy Normal Name StepCount? Duration?
ServiceInstance ServiceInstanceUnhealthy Warning Name StepCount? Duration? Error?
ServiceInstance ServiceInstanceHealthCheckFailed Warning Name Error?
ServiceInstance ServiceInstanceHealthCheckRecovered Normal Name StepCount? Duration?
ServiceInstance ServiceInstanceStateChanged Normal Name ConditionResult
ServiceInstance ServiceInstanceToolExecutionStarted Normal Name Operation StepTool
ServiceInstance ServiceInstanceToolExecutionCompleted Normal Name Operation StepTool
ServiceInstance ServiceInstanceToolExecutionFailed Warning Name Operation StepTool Error?
`

interface Row {
  readonly kind: string
  readonly reason: string
  readonly type: string
  readonly always: ReadonlyArray<string>
  readonly maybe: ReadonlyArray<string>
}

const rows: ReadonlyArray<Row> = table
  .trim()
  .split("\n")
  .map((line) => {
    const [kind, reason, type, ...uses] = line.split(" ") as [string, string, string, ...Array<string>]
    return {
      kind,
      reason,
      type,
      always: uses.filter((name) => !name.endsWith("?")),
      maybe: uses.filter((name) => name.endsWith("?")).map((name) => name.slice(0, -1))
    }
  })

const fields = Result.getOrThrow(
  TemplateFields.make<EventData.EventData>({ name: "text", namespace: "text", ...EventData.fields })
)
const keyOf = (templateName: string): string => fields[templateName]!.key

// Each value prints as one that no other does, so that a message shows whose value it has.
const full: EventData.EventData = {
  name: "the-name",
  namespace: "the-namespace",
  operation: "the-operation",
  serviceClass: "the-class",
  error: "the error",
  duration: 90_500_000_000,
  stepCount: 4711,
  stepId: "the-step",
  stepTool: "the_tool",
  conditionResult: "the result",
  executionId: "the-execution",
  toolNames: ["x_one", "x_two"],
  allowFailure: true
}
const printed: { readonly [templateName: string]: string } = {
  Name: "the-name",
  Namespace: "the-namespace",
  Operation: "the-operation",
  ServiceClass: "the-class",
  Error: "the error",
  Duration: "1m30.5s",
  StepCount: "4711",
  StepID: "the-step",
  StepTool: "the_tool",
  ConditionResult: "the result",
  ExecutionID: "the-execution",
  ToolNames: "x_one, x_two",
  AllowFailure: "execution continues"
}

const pick = (names: ReadonlyArray<string>): EventData.EventData =>
  Object.fromEntries(names.map((name) => [keyOf(name), full[keyOf(name)]]))

const backend = Backend.layerMemory()

const recording = () => {
  const drafts: Array<EventDraft> = []
  const recorder = Layer.mock(Recorder)({
    record: (draft) =>
      Effect.sync(() => {
        drafts.push(draft)
        return { _tag: "Accepted", id: { origin: "0".repeat(32), seq: drafts.length } }
      })
  })
  const layer = Layer.provideMerge(EventGenerator.layer, Layer.mergeAll(Templates.layer, recorder, backend))
  return { drafts, layer }
}

/** The message of every row, for some data of it. */
const withMessages = <A>(use: (render: (row: Row, data: EventData.EventData) => string) => A) =>
  Effect.gen(function* () {
    const templates = yield* Templates.Templates
    return use((row, data) => templates.render(row.reason, data))
  }).pipe(Effect.provide(recording().layer))

const assertSentence = (row: Row, message: string): void => {
  assert.notMatch(message, /\{\{|\}\}|\(\)| {2}/, row.reason)
  assert.notMatch(message, /^\s|\s$|\s[,:.;)]|\(\s|[,:;]$|undefined|NaN/, `${row.reason}: ${message}`)
  assert.match(message, /^[A-Z]/, row.reason)
  assert.notMatch(message, /\.$/, row.reason)
}

describe("the built-in catalogue", () => {
  it.effect("has the 69 reasons with their kinds and types, each with a meaning", () =>
    Effect.gen(function* () {
      const templates = yield* Templates.Templates
      const order = (left: ReadonlyArray<string>, right: ReadonlyArray<string>) => (left[1]! < right[1]! ? -1 : 1)
      assert.deepStrictEqual(
        templates
          .reasons()
          .map(({ kind, reason, type }) => [kind, reason, type])
          .sort(order),
        rows.map(({ kind, reason, type }) => [kind, reason, type]).sort(order)
      )
      assert.strictEqual(rows.length, 69)
      const counts = (kind: string) => templates.reasons().filter((entry) => entry.kind === kind).length
      assert.deepStrictEqual(["MCPServer", "ServiceClass", "Workflow", "ServiceInstance"].map(counts), [20, 10, 22, 17])
      for (const { meaning, reason } of templates.reasons()) assert.match(meaning, /^[A-Z].*[^.]\.$/, reason)
      for (const { apiVersion } of templates.kinds()) assert.strictEqual(apiVersion, "muster.giantswarm.io/v1alpha1")
    }).pipe(Effect.provide(recording().layer))
  )

  it.effect("prints in each message exactly the data of its reason", () =>
    Effect.gen(function* () {
      const templates = yield* Templates.Templates
      for (const { always, maybe, reason } of rows) {
        const template = Result.getOrThrow(MessageTemplate.compile(templates.get(reason)!, fields))
        assert.sameMembers([...template.fields], [...always, ...maybe], reason)
        // A cluster-scoped object has no namespace, so its message must do without.
        const required = always.filter((name) => name !== "Namespace").map(keyOf)
        assert.sameMembers([...template.required], required, reason)
      }
    }).pipe(Effect.provide(recording().layer))
  )

  it.effect("prints every value that is given, and no other", () =>
    withMessages((render) => {
      for (const row of rows) {
        const message = render(row, full)
        for (const [name, text] of Object.entries(printed)) {
          const times = message.split(text).length - 1
          const uses = row.always.includes(name) || row.maybe.includes(name)
          // The tool of a workflow is named after it, so its name may stand there twice.
          if (uses && name === "Name") assert.isAtLeast(times, 1, row.reason)
          else assert.strictEqual(times, uses ? 1 : 0, `${row.reason} ${name}`)
        }
        assert.strictEqual(message, render(row, pick([...row.always, ...row.maybe])), row.reason)
      }
    })
  )

  it.effect("makes a sentence with all data, with only the required data, and with counts and durations of zero", () =>
    withMessages((render) => {
      const zero = { duration: 0, stepCount: 0, toolNames: [], error: "", allowFailure: false }
      for (const row of rows) {
        assertSentence(row, render(row, full))
        assertSentence(row, render(row, pick(row.always)))
        assertSentence(row, render(row, pick(row.always.filter((name) => name !== "Namespace"))))
        assertSentence(row, render(row, { ...pick(row.always), ...zero }))
        assert.strictEqual(render(row, { ...pick(row.always), ...zero }), render(row, pick(row.always)), row.reason)
      }
    })
  )

  it.effect.prop(
    "makes a sentence with any subset of the optional data",
    [Arbitrary.array(Arbitrary.schema(Schema.Boolean), { minLength: 5, maxLength: 5 })],
    ([given]) =>
      withMessages((render) => {
        for (const row of rows) {
          const message = render(row, pick([...row.always, ...row.maybe.filter((_, index) => given[index])]))
          assertSentence(row, message)
          row.maybe.forEach((name, index) => {
            assert.strictEqual(message.includes(printed[name]!), given[index], `${row.reason} ${name}`)
          })
        }
      }),
    { arbitrary: { runs: 40 } }
  )

  it.effect("uses the singular for a count of one", () =>
    withMessages((render) => {
      for (const row of rows.filter(({ maybe }) => maybe.includes("StepCount"))) {
        const one = render(row, { name: "x", stepCount: 1 })
        const two = render(row, { name: "x", stepCount: 2 })
        assert.match(one, /[ (]1 (?:step|check|failure)\b/, row.reason)
        assert.match(two, /[ (]2 (?:steps|checks|failures)\b/, row.reason)
      }
    })
  )
})

describe("EventGenerator", () => {
  it.effect("records each reason with the method of its kind and with emit", () => {
    const { drafts, layer } = recording()
    return Effect.gen(function* () {
      const generator = yield* EventGenerator
      // The reason is known only at run time here.
      const methods = generator as unknown as {
        readonly [method: string]: (
          object: object,
          reason: string,
          data: object
        ) => ReturnType<Recorder["Service"]["record"]>
      }
      const object = { metadata: { name: "x", namespace: "default" } }
      for (const { kind, reason } of rows) {
        const method = {
          MCPServer: "mcpServer",
          ServiceClass: "serviceClass",
          Workflow: "workflow",
          ServiceInstance: "serviceInstance"
        }[kind]!
        yield* methods[`${method}Event`]!(object, reason, full)
        yield* methods["emit"]!(object, reason, full)
      }
      assert.strictEqual(drafts.length, 138)
      drafts.forEach((draft, index) => {
        const row = rows[Math.floor(index / 2)]!
        assert.deepStrictEqual(draft.involvedObject, {
          apiVersion: "muster.giantswarm.io/v1alpha1",
          kind: row.kind,
          name: "x",
          namespace: "default"
        })
        assert.strictEqual(draft.reason, row.reason)
        assert.strictEqual(draft.data, full)
      })
    }).pipe(Effect.provide(layer))
  })

  it.effect("records events of a service instance, which is not a resource, by name and namespace", () => {
    const { drafts, layer } = recording()
    return Effect.gen(function* () {
      const generator = yield* EventGenerator
      const instance = { metadata: { name: "web-1", namespace: "default" } }
      yield* generator.serviceInstanceEvent(instance, "ServiceInstanceCreated", { serviceClass: "web" })
      yield* generator.crdEvent("ServiceInstance", "web-1", "default", "ServiceInstanceCreated", {
        serviceClass: "web"
      })
      const expected = {
        involvedObject: {
          apiVersion: "muster.giantswarm.io/v1alpha1",
          kind: "ServiceInstance",
          name: "web-1",
          namespace: "default"
        },
        reason: "ServiceInstanceCreated",
        data: { serviceClass: "web" },
        type: undefined,
        action: undefined,
        related: undefined,
        labels: undefined,
        at: undefined
      }
      assert.deepStrictEqual(drafts, [expected, expected])
    }).pipe(Effect.provide(layer))
  })
})

describe("types of EventGenerator", () => {
  type Kinds = typeof EventGenerator.kinds

  it("require the data that a message prints outside every if", () => {
    type Needs = NeedsOf<Kinds["Workflow"]> & NeedsOf<Kinds["ServiceInstance"]>
    type NeedsNothing = { [R in keyof Needs]: [Needs[R]] extends [never] ? R : never }[keyof Needs]
    expectTypeOf<Omit<{ [R in keyof Needs]: Needs[R] }, NeedsNothing>>().toEqualTypeOf<{
      readonly WorkflowStepStarted: "stepId"
      readonly WorkflowStepCompleted: "stepId"
      readonly WorkflowStepFailed: "stepId"
      readonly WorkflowStepSkipped: "stepId" | "conditionResult"
      readonly WorkflowStepConditionEvaluated: "stepId" | "conditionResult"
      readonly ServiceInstanceCreated: "serviceClass"
      readonly ServiceInstanceStateChanged: "conditionResult"
      readonly ServiceInstanceToolExecutionStarted: "operation" | "stepTool"
      readonly ServiceInstanceToolExecutionCompleted: "operation" | "stepTool"
      readonly ServiceInstanceToolExecutionFailed: "operation" | "stepTool"
    }>()
    type Others = NeedsOf<Kinds["MCPServer"]> & NeedsOf<Kinds["ServiceClass"]>
    expectTypeOf<Others[keyof Others]>().toEqualTypeOf<never>()
  })

  it("know every reason, its type and its kind", () => {
    expectTypeOf<keyof Kinds>().toEqualTypeOf<"MCPServer" | "ServiceClass" | "Workflow" | "ServiceInstance">()
    expectTypeOf<Kinds["MCPServer"]["reasons"]["MCPServerAuthRequired"]["type"]>().toEqualTypeOf<"Normal">()
    expectTypeOf<Kinds["MCPServer"]["reasons"]["MCPServerTokenExchangeFailed"]["type"]>().toEqualTypeOf<"Warning">()
  })

  it("refuse calls that lack data or mix up kinds", () => {
    const object = { metadata: { name: "x" } }
    const calls = (generator: EventGenerator["Service"]) => [
      generator.mcpServerEvent(object, "MCPServerStarted"),
      generator.workflowEvent(object, "WorkflowStepFailed", { stepId: "s", error: "boom" }),
      // @ts-expect-error a step has an id
      generator.workflowEvent(object, "WorkflowStepFailed", { error: "boom" }),
      // @ts-expect-error no data at all
      generator.workflowEvent(object, "WorkflowStepFailed"),
      // @ts-expect-error a reason of another kind
      generator.workflowEvent(object, "MCPServerStarted"),
      // @ts-expect-error a reason of no kind
      generator.emit(object, "MCPServerStartd")
    ]
    expectTypeOf(calls).toBeFunction()
  })
})
