/**
 * Rendering of messages, against a hand-written function for the same message and against two template libraries.
 */
import * as EventData from "@tidings/core/EventData"
import * as EventGenerator from "@tidings/core/EventGenerator"
import * as MessageTemplate from "@tidings/templates/MessageTemplate"
import * as TemplateFields from "@tidings/templates/TemplateFields"
import * as Result from "effect/Result"
import Handlebars from "handlebars"
import Mustache from "mustache"
import { compare, type Group, measure } from "./Measurement.ts"

interface Data {
  readonly name: string
  readonly namespace: string
  readonly stepId: string
  readonly stepTool: string
  readonly error: string
  readonly executionId: string
  readonly toolNames: ReadonlyArray<string>
  readonly stepCount: number
  readonly allowFailure: boolean
}

const samples: ReadonlyArray<Data> = ["deploy-app", "nightly", "report", "publish"].map((name, index) => ({
  name,
  namespace: "team-a",
  stepId: `step-${index}`,
  stepTool: "x_docker_run",
  error: index % 2 === 0 ? "connection refused" : "",
  executionId: "exec-0f3a",
  toolNames: ["a", "b"],
  stepCount: index,
  allowFailure: index === 3
}))

const ONE =
  "Workflow {{.Name}} step {{.StepID}} failed{{if .AllowFailure}} (ignored){{end}}{{if .Error}}: {{.Error}}{{end}}"
const byHand = (data: Data): string =>
  `Workflow ${data.name} step ${data.stepId} failed${data.allowFailure ? " (ignored)" : ""}${data.error === "" ? "" : `: ${data.error}`}`
const HANDLEBARS =
  "Workflow {{name}} step {{stepId}} failed{{#if allowFailure}} (ignored){{/if}}{{#if error}}: {{error}}{{/if}}"
const MUSTACHE =
  "Workflow {{name}} step {{stepId}} failed{{#allowFailure}} (ignored){{/allowFailure}}{{#error}}: {{error}}{{/error}}"

// V8 builds texts lazily; looking at the last unit makes it do the work.
let sink = 0
const look = (text: string): void => {
  sink += text.charCodeAt(text.length - 1)
}

export const run = async (): Promise<ReadonlyArray<Group>> => {
  const fields = Result.getOrThrow(
    TemplateFields.make({ name: "text", namespace: "text", ...EventData.fields, arguments: "open" })
  )
  const compile = (source: string) => Result.getOrThrow(MessageTemplate.compile(source, fields))
  const one = compile(ONE)
  const handlebars = Handlebars.compile<Data>(HANDLEBARS, { knownHelpersOnly: true, noEscape: true })
  const each = (render: (data: Data) => string) => (operations: number) => {
    for (let n = 0; n < operations; n++) look(render(samples[n & 3]!))
  }
  const oneCosts = await measure([
    { name: "hand-written function", operations: 300_000, run: each(byHand) },
    { name: "Tidings", operations: 300_000, run: each((data) => one.render(data)) },
    { name: "Handlebars, compiled", operations: 30_000, run: each((data) => handlebars(data)) },
    { name: "Mustache, parsed", operations: 30_000, run: each((data) => Mustache.render(MUSTACHE, data)) }
  ])

  // The workflow messages of the built-in catalogue, each against a function written by hand.
  const { reasons } = EventGenerator.EventGenerator.kinds.Workflow
  const mix = [
    [
      reasons.WorkflowStepStarted.message,
      (d: Data) => `Workflow ${d.name} started step ${d.stepId}${d.stepTool === "" ? "" : ` (tool ${d.stepTool})`}`
    ],
    [
      reasons.WorkflowStepFailed.message,
      (d: Data) =>
        `Step ${d.stepId} of workflow ${d.name} failed${d.stepTool === "" ? "" : ` (tool ${d.stepTool})`}${d.allowFailure ? ", execution continues" : ""}${d.error === "" ? "" : `: ${d.error}`}`
    ],
    [
      reasons.WorkflowExecutionStarted.message,
      (d: Data) => `Workflow ${d.name} started${d.executionId === "" ? "" : ` (execution ${d.executionId})`}`
    ],
    [
      reasons.WorkflowAvailable.message,
      (d: Data) =>
        `Workflow ${d.name} is available${d.toolNames.length === 0 ? "" : ` (tools ${d.toolNames.join(", ")})`}`
    ],
    [
      reasons.WorkflowValidationFailed.message,
      (d: Data) => `Workflow ${d.name} is invalid${d.error === "" ? "" : `: ${d.error}`}`
    ]
  ] as const
  const compiled = mix.map(([source]) => compile(source))
  for (const [index, [source, write]] of mix.entries()) {
    for (const data of samples) {
      if (compiled[index]!.render(data) !== write(data)) throw new Error(`the two differ: ${source}`)
    }
  }
  const mixed = (render: (index: number, data: Data) => string) => (operations: number) => {
    for (let n = 0; n < operations; n++) look(render(n % mix.length, samples[n & 3]!))
  }
  const mixCosts = await measure([
    { name: "hand-written functions", operations: 300_000, run: mixed((index, data) => mix[index]![1](data)) },
    { name: "Tidings", operations: 300_000, run: mixed((index, data) => compiled[index]!.render(data)) }
  ])
  if (sink === 0) throw new Error("nothing was rendered")
  return [
    { title: "Render one message", rows: compare(oneCosts, "hand-written function", { Tidings: { atMost: 1.6 } }) },
    {
      title: "Render messages of the built-in catalogue",
      rows: compare(mixCosts, "hand-written functions", { Tidings: { atMost: 1.6 } })
    }
  ]
}
