// docs/guides/migrating.md: the expression in each row is run here, and what it does is looked at. `npm run docs` checks its
// types.
import * as Backend from "@tidings/core/Backend"
import * as Correlation from "@tidings/core/Correlation"
import { EventGenerator } from "@tidings/core/EventGenerator"
import * as Recorder from "@tidings/core/Recorder"
import * as Templates from "@tidings/core/Templates"
import * as Transform from "@tidings/core/Transform"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import { readFileSync } from "node:fs"
import { join } from "node:path"
import * as Locator from "tidings/Locator"
import type * as Promised from "tidings/Promised"
import * as Tidings from "tidings/Tidings"
import { afterEach, assert, beforeEach, describe, it, vi } from "vitest"

const guide = readFileSync(join(import.meta.dirname, "../../../docs/guides/migrating.md"), "utf8")

interface Row {
  /** The code of the first cell, without its backticks. */
  readonly from: string
  readonly code: string
}

/** Cells may have a `|` in code. */
const cellsOf = (line: string): ReadonlyArray<string> =>
  [...line.matchAll(/\|((?:[^`|]|`[^`]*`)*)(?=\|)/g)].map(([, cell]) => cell!.trim())

const tables = new Map<string, ReadonlyArray<Row>>(
  [...guide.matchAll(/<!-- rows: (.*) -->\n\n((?:\|.*\n)+)/g)].map(([, name, table]) => {
    const [, , ...lines] = table!.trimEnd().split("\n")
    const rows = lines.map((line): Row => {
      const [from, here] = cellsOf(line)
      return { from: from!.replaceAll("`", ""), code: /^`([^`]*)`$/.exec(here!)?.[1] ?? assert.fail(line) }
    })
    return [name!, rows]
  })
)

const reference = { kind: "MCPServer", name: "search", namespace: "default" }
const server = { metadata: { name: "search", namespace: "default" } }

let tidings: Tidings.Tidings
let templates: Templates.Templates["Service"]

beforeEach(async () => {
  // The rows open what a host would, which is in memory here.
  vi.stubEnv("TIDINGS_BACKEND", "memory")
  vi.spyOn(console, "error").mockReturnValue(undefined)
  tidings = await Tidings.create({ component: "muster", logger: false })
  templates = Context.get(Tidings.contextOf(tidings), Templates.Templates)
})
afterEach(async () => {
  await tidings.close()
  vi.unstubAllEnvs()
  vi.restoreAllMocks()
})

const AsyncFunction = Object.getPrototypeOf(async () => {}).constructor as new (
  ...source: ReadonlyArray<string>
) => (...values: ReadonlyArray<unknown>) => Promise<unknown>

const run = (code: string): Promise<unknown> => {
  const scope = {
    Backend,
    Correlation,
    Effect,
    EventGenerator,
    Recorder,
    Templates,
    Tidings,
    Transform,
    ...Locator,
    reference,
    server,
    templates,
    tidings
  }
  return new AsyncFunction(...Object.keys(scope), `return (${code})`)(...Object.values(scope))
}

type Check = (answer: any) => Promise<void> | void

/** The newest event as it is stored. */
const newest = async () => (await tidings.queryEvents({ limit: 1 })).events[0]!

/** The row records an event that is stored with these values. */
const records =
  (expected: { readonly [field: string]: unknown }): Check =>
  async (answer: Promised.Recorded) => {
    assert.strictEqual(answer._tag, "Accepted")
    const { event, idText } = await newest()
    assert.strictEqual(idText, answer._tag === "Accepted" ? answer.idText : "")
    assert.deepInclude(event, expected)
  }

/** The row opens a manager, which is looked at and closed. */
const opens =
  (look: (opened: Tidings.Tidings) => Promise<void> | void): Check =>
  async (opened: Tidings.Tidings) => {
    try {
      await look(opened)
    } finally {
      await opened.close()
    }
  }

const recordsBy = (source: object) =>
  opens(async (opened) => {
    await opened.createEvent(reference, "Started", "it runs", "Normal")
    assert.deepInclude((await opened.queryEvents()).events[0]!.event, source)
  })

const inAgents = opens(async (opened) => {
  await opened.createEvent({ kind: "MCPServer", name: "search" }, "Started", "it runs", "Normal")
  assert.strictEqual((await opened.queryEvents()).events[0]!.event.involvedObject.namespace, "agents")
})

const registers: Check = (registration: Locator.Registration) => {
  assert.strictEqual(Locator.getEventManager(), tidings)
  registration.remove()
}

const isMemory: Check = (isKubernetesMode) => assert.strictEqual(isKubernetesMode, false)

/** What the row gives as data is what the stored event has. */
const stores =
  (stored?: object): Check =>
  async (data) => {
    await tidings.createEventWithData(reference, "MCPServerUpdated", data)
    assert.deepInclude((await newest()).event.data, stored ?? data)
  }

/** What the row gives as a part of a reference is what the involved object of the stored event has. */
const refersTo: Check = async (part) => {
  await tidings.createEvent({ ...reference, ...part }, "Started", "it runs", "Normal")
  assert.deepInclude((await newest()).event.involvedObject, part)
}

const oneOfEach = async () => {
  await tidings.createEvent({ kind: "Workflow", name: "deploy", namespace: "jobs" }, "Failed", "m", "Warning")
  await tidings.createEvent(reference, "Started", "m", "Normal")
}

const found =
  (...names: ReadonlyArray<string>): Check =>
  ({ events }: Promised.Page) =>
    assert.deepStrictEqual(
      events.map(({ event }) => event.involvedObject.name),
      names
    )

interface Case {
  readonly before?: () => Promise<void>
  readonly check: Check
}
type Cases = { readonly [from: string]: Check | Case }

const failed = { reason: "MCPServerFailed", type: "Warning", message: "it does not answer" }

const cases: { readonly [table: string]: Cases } = {
  "muster adapter": {
    "NewAdapter(client)": recordsBy({ source: { component: "muster" } }),
    "NewAdapter(client, namespace) (1.7)": inAgents,
    "Register()": registers,
    "api.RegisterEventManager(handler)": {
      check: (replaced) => {
        assert.isUndefined(replaced)
        assert.strictEqual(Locator.getEventManager(), tidings)
      }
    },
    "api.GetEventManager()": {
      before: async () => void Locator.registerEventManager(tidings),
      check: (found) => assert.strictEqual(found, tidings)
    },
    "CreateEvent(ctx, ref, reason, message, eventType)": records(failed),
    "CreateEventForCRD(ctx, crdType, name, namespace, reason, message, eventType)": records({
      reason: "ServiceInstanceStarted",
      message: "it runs",
      involvedObject: {
        apiVersion: "muster.giantswarm.io/v1alpha1",
        kind: "ServiceInstance",
        name: "web-1",
        namespace: "default"
      }
    }),
    "CreateEventWithData(ctx, ref, reason, data) (1.7)": records({
      type: "Warning",
      message: "Operation on MCP server search failed: exit code 2",
      data: { name: "search", namespace: "default", error: "exit code 2" }
    }),
    "DefaultNamespace() (1.7)": inAgents,
    "QueryEvents(ctx, options)": {
      before: async () => {
        await oneOfEach()
        await tidings.createEvent(reference, "Failed", "m", "Warning")
      },
      check: (page: Promised.Page) => {
        assert.strictEqual(page.totalCount, 1)
        return found("search")(page)
      }
    },
    "WatchEvents(ctx, options) (1.7)": {
      before: oneOfEach,
      check: async (items: AsyncIterable<Promised.WatchItem>) => {
        const seen: Array<string> = []
        for await (const item of items) {
          if (item._tag !== "Event") break
          seen.push(item.event.event.involvedObject.name)
        }
        assert.deepStrictEqual(seen, ["search"])
      }
    },
    "IsKubernetesMode()": isMemory,
    "GetGenerator()": async (generator: Tidings.Tidings["generator"]) => {
      assert.strictEqual((await generator.mcpServerEvent(server, "MCPServerStarted"))._tag, "Accepted")
    },
    "GetTools()": (tools: Tidings.Tidings["tools"]) => {
      assert.includeMembers(
        tools.map(({ name }) => name),
        ["events", "event_summary"]
      )
    },
    "ExecuteTool(ctx, toolName, args)": {
      before: oneOfEach,
      check: ({ isError, structuredContent }) => {
        assert.notStrictEqual(isError, true)
        assert.strictEqual(structuredContent.totalCount, 1)
      }
    }
  },
  "muster generator": {
    "NewEventGenerator(client)": (generator) => assert.isFunction(generator.mcpServerEvent),
    "MCPServerEvent(server, reason, data)": records({
      reason: "MCPServerFailed",
      type: "Warning",
      message: "Operation on MCP server search failed: exit code 2"
    }),
    "ServiceClassEvent(serviceClass, reason, data)": records({
      reason: "ServiceClassAvailable",
      message: "Service class web is available"
    }),
    "WorkflowEvent(workflow, reason, data)": records({
      reason: "WorkflowStepFailed",
      type: "Warning",
      message: "Step build of workflow deploy failed"
    }),
    "ServiceInstanceEvent(name, serviceClass, namespace, reason, data)": records({
      reason: "ServiceInstanceCreated",
      message: "Created service instance web-1 from service class web in namespace default"
    }),
    "CRDEvent(crdType, name, namespace, reason, data)": records({
      reason: "WorkflowCreated",
      message: "Created workflow deploy in namespace default (3 steps)"
    }),
    "SetTemplate(reason, template)": () =>
      assert.strictEqual(tidings.getTemplate("MCPServerStopped"), "{{.Name}} is gone"),
    "GetTemplate(reason)": (template) => assert.strictEqual(template, "MCP server {{.Name}} started"),
    "IsKubernetesMode()": isMemory
  },
  "muster templates": {
    "NewMessageTemplateEngine()": (engine: Templates.Templates["Service"]) => {
      Effect.runSync(engine.register(EventGenerator.kinds))
      assert.strictEqual(engine.render("MCPServerStarted", { name: "search" }), "MCP server search started")
    },
    "Render(reason, data)": (message) =>
      assert.strictEqual(message, "Operation on MCP server search failed: exit {{.Name}}"),
    "SetTemplate(reason, template)": () => {
      assert.strictEqual(templates.render("MCPServerFailed", { name: "search" }), "search failed")
    },
    "GetTemplate(reason)": (template) =>
      assert.strictEqual(template, "Operation on MCP server {{.Name}} failed{{if .Error}}: {{.Error}}{{end}}")
  },
  "muster types": {
    "EventReason, ReasonMCPServerStarted": ({ type }) => {
      assert.strictEqual(type, "Normal")
      const counts = Object.values(EventGenerator.kinds).map(({ reasons }) => Object.keys(reasons).length)
      assert.deepStrictEqual(counts, [20, 10, 22, 17])
    },
    "EventType, EventTypeNormal": records({ type: "Normal" }),
    EventTypeWarning: records({ type: "Warning" }),
    "ObjectReference.APIVersion": refersTo,
    "ObjectReference.Kind": refersTo,
    "ObjectReference.Name": refersTo,
    "ObjectReference.Namespace": refersTo,
    "ObjectReference.UID": refersTo
  },
  "muster data": {
    "EventData.Name": stores(),
    "EventData.Namespace": stores(),
    "EventData.Operation": async (data) => {
      await stores()(data)
      assert.strictEqual((await newest()).event.action, data.operation)
    },
    "EventData.ServiceClass": stores(),
    "EventData.Arguments": stores(),
    "EventData.Error": stores(),
    "EventData.Duration": stores({ duration: 90_000_000_000 }),
    "EventData.StepCount": stores(),
    "EventData.StepID": stores(),
    "EventData.StepTool": stores(),
    "EventData.ConditionResult": stores(),
    "EventData.ExecutionID": stores(),
    "EventData.ToolNames": stores(),
    "EventData.AllowFailure": stores()
  },
  "muster queries": {
    "EventQueryOptions.ResourceType": { before: oneOfEach, check: found("search", "deploy") },
    "EventQueryOptions.ResourceName": { before: oneOfEach, check: found("search") },
    "EventQueryOptions.Namespace": { before: oneOfEach, check: found("search") },
    "EventQueryOptions.EventType": { before: oneOfEach, check: found("deploy") },
    "EventQueryOptions.Since": { before: oneOfEach, check: found("search", "deploy") },
    "EventQueryOptions.Until": { before: oneOfEach, check: found("search", "deploy") },
    "EventQueryOptions.Limit": { before: oneOfEach, check: found("search") },
    "EventQueryResult.Events": { before: oneOfEach, check: (events) => found("search", "deploy")({ events }) },
    "EventQueryResult.TotalCount": { before: oneOfEach, check: (count) => assert.strictEqual(count, 2) },
    "EventResult.Timestamp": {
      before: oneOfEach,
      check: (time: Date) => assert.approximately(time.getTime(), Date.now(), 60_000)
    },
    "EventResult.Count": { before: oneOfEach, check: (count) => assert.strictEqual(count, 1) },
    "notifications/muster/event (1.7)": {
      before: oneOfEach,
      check: async ({ structuredContent }) => {
        assert.strictEqual(structuredContent.events.length, 0)
        await tidings.createEvent(reference, "Failed", "m", "Warning")
        const next = await tidings.executeTool("events", { after: structuredContent.cursor, waitSeconds: 1 })
        assert.deepInclude((next.structuredContent as { events: [object] }).events[0], { reason: "Failed" })
      }
    }
  },
  "client-go": {
    "record.NewBroadcaster(), StartRecordingToSink(sink)": recordsBy({ reportingController: "my-controller" }),
    "broadcaster.NewRecorder(scheme, source)": recordsBy({ source: { component: "my-controller", host: "node-1" } }),
    "recorder.Event(object, eventtype, reason, message)": records({ reason: "Failed", message: "it does not answer" }),
    "recorder.Eventf(object, eventtype, reason, format, args...)": records({
      message: "Operation on MCP server search failed: exit code 2"
    }),
    "recorder.AnnotatedEventf(object, annotations, …)": records({
      data: { name: "search", namespace: "default", arguments: { region: "eu" } },
      labels: { team: "search" }
    }),
    "events.EventRecorder.Eventf(regarding, related, eventtype, reason, action, note, …)": records({
      related: { kind: "Pod", name: "web" },
      type: "Warning",
      action: "Restart"
    }),
    "broadcaster.StartEventWatcher(handler)": async (items: AsyncIterable<Promised.WatchItem>) => {
      const seen: Array<string> = []
      for await (const item of items) {
        seen.push(item._tag)
        if (item._tag === "Live") await tidings.createEvent(reference, "Started", "m", "Normal")
        else break
      }
      assert.deepStrictEqual(seen, ["Live", "Event"])
    },
    "broadcaster.StartLogging(logf)": {
      before: async () => void vi.spyOn(console, "info").mockReturnValue(undefined),
      check: opens(() => {
        assert.deepStrictEqual(vi.mocked(console.info).mock.lastCall, ["Events stay in memory, as configured"])
      })
    },
    "record.CorrelatorOptions": (sink: Recorder.Sink<unknown>) => {
      assert.strictEqual(sink.options.correlation, Correlation.clientGo)
    },
    "broadcaster.Shutdown()": async () => {
      assert.strictEqual((await tidings.status()).sinks["default"]?.state, "down")
    },
    "record.NewFakeRecorder(size)": opens((opened) => assert.strictEqual(opened.isKubernetesMode, false))
  },
  "kube-rs": {
    "Reporter { controller, instance }": recordsBy({
      reportingController: "example.com/search",
      reportingInstance: "search-0"
    }),
    "Recorder::new(client, reporter)": recordsBy({ reportingController: "search" }),
    "recorder.publish(&Event { type_, reason, note, action, secondary }, &reference)": records({
      type: "Warning",
      action: "Restart",
      related: { kind: "Pod", name: "web" }
    }),
    "EventType::Normal": records({ type: "Normal" }),
    "EventType::Warning": records({ type: "Warning" })
  },
  kopf: {
    "kopf.event(body, type=…, reason=…, message=…)": records({ type: "Warning", message: "it does not answer" }),
    "kopf.info(body, reason=…, message=…)": records({ type: "Normal", message: "it runs" }),
    "kopf.warn(body, reason=…, message=…)": records({ type: "Warning", message: "it does not answer" }),
    "kopf.exception(body, reason=…, message=…, exc=…)": records({
      type: "Warning",
      data: { name: "search", namespace: "default", error: "Error: exit code 2" }
    }),
    "settings.posting.enabled = False": opens(async (opened) => {
      const answer = await opened.createEvent(reference, "Started", "m", "Normal")
      assert.deepStrictEqual(answer, { _tag: "Filtered", by: "none" })
    }),
    "settings.posting.level": opens(async (opened) => {
      assert.strictEqual((await opened.createEvent(reference, "Started", "m", "Normal"))._tag, "Filtered")
      assert.strictEqual((await opened.createEvent(reference, "Failed", "m", "Warning"))._tag, "Accepted")
    }),
    "settings.posting.reporting_component": recordsBy({ reportingController: "example.com/search" })
  }
}

describe("the guide to migrating", () => {
  it("has a case here for every row, and no case without one", () => {
    assert.deepStrictEqual([...tables.keys()], Object.keys(cases))
    for (const [name, rows] of tables) {
      assert.sameMembers(
        rows.map(({ from }) => from),
        Object.keys(cases[name]!),
        name
      )
    }
  })

  it("names everything that the Go package exports", () => {
    for (const name of [
      "NewAdapter",
      "CreateEvent",
      "CreateEventForCRD",
      "CreateEventWithData",
      "ExecuteTool",
      "GetGenerator",
      "GetTools",
      "IsKubernetesMode",
      "QueryEvents",
      "Register",
      "NewEventGenerator",
      "MCPServerEvent",
      "ServiceClassEvent",
      "WorkflowEvent",
      "ServiceInstanceEvent",
      "CRDEvent",
      "NewMessageTemplateEngine",
      "Render",
      "SetTemplate",
      "GetTemplate",
      "EventReason",
      "EventType"
    ]) {
      const rows = [...tables.values()].flat()
      assert.isTrue(
        rows.some(({ from }) => from.split(/[^A-Za-z.]/).includes(name)),
        name
      )
    }
  })

  for (const [name, rows] of tables) {
    describe(`from ${name}`, () => {
      for (const { code, from } of rows) {
        it(`${from} is ${code}`, async () => {
          const one = cases[name]?.[from]
          if (one === undefined) assert.fail("there is no case")
          const { before, check }: Case = typeof one === "function" ? { check: one } : one
          await before?.()
          await check(await run(code))
        })
      }
    })
  }
})
