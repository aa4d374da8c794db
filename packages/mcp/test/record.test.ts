import { assert, describe, it } from "@effect/vitest"
import * as Backend from "@tidings/core/Backend"
import * as EventManager from "@tidings/core/EventManager"
import * as EventTools from "@tidings/mcp/EventTools"
import { Effect, Layer } from "effect"
import { call, events, layer, textOf } from "./support.ts"

const recording = EventTools.layerRecording().pipe(
  Layer.provideMerge(Backend.layerReader),
  Layer.provideMerge(EventManager.layerDirect({ component: "agent" })),
  Layer.provide(Backend.layerMemory())
)

describe("the tool record_event", () => {
  it.effect("is there only where the host asks for it", () =>
    Effect.gen(function* () {
      const { tools } = yield* EventTools.EventTools
      assert.deepStrictEqual(
        tools.map(({ name }) => name),
        ["events", "event_summary"]
      )
      assert.isTrue((yield* call("record_event", {})).isError)
    }).pipe(Effect.provide(layer()))
  )

  it.effect("records with the message of the catalogue, from data, and with one of its own", () =>
    Effect.gen(function* () {
      const deploy = { resourceType: "Workflow", resourceName: "deploy", namespace: "team-a" }
      const one = yield* call("record_event", {
        ...deploy,
        reason: "WorkflowStepFailed",
        data: { stepId: "build", error: "disk full" }
      })
      assert.strictEqual(one.structuredContent?.["outcome"], "recorded")
      yield* call("record_event", { ...deploy, reason: "Checked", message: "all is well", eventType: "Normal" })
      const found = yield* events({ namespace: "team-a" })
      assert.deepStrictEqual(found.events.map(({ message, source, type }) => [type, message, source]).toSorted(), [
        ["Normal", "all is well", "agent"],
        ["Warning", "Step build of workflow deploy failed: disk full", "agent"]
      ])
    }).pipe(Effect.provide(recording))
  )

  it.effect("refuses what the recorder refuses, under the names of its arguments", () =>
    Effect.gen(function* () {
      for (const [args, expected] of [
        [{ resourceType: "Pod", resourceName: "web" }, /reason is missing, for example/],
        [{ resourceType: "Pod", resourceName: "web", reason: "Checked", data: "x" }, /data is "x", expected an object/],
        [
          { resourceType: "Pod", resourceName: "web", reason: "Checked", eventType: "Error" },
          /eventType is "Error", expected Normal or Warning/
        ],
        [{ resourceType: "Pod", resourceName: "web", reason: "not a word" }, /reason is "not a word", expected a word/],
        [
          { resourceType: "Pod", resourceName: "web", namespace: "A B", reason: "Checked" },
          /; namespace is "A B"|: namespace is "A B"/
        ],
        [
          { resourceType: "Pod", resourceName: "web", reason: "Checked", data: { duration: "long" } },
          /data.duration is "long"/
        ],
        [{ resourceType: "Pod", resourceName: "web", reason: "Checked", namespce: "x" }, /did you mean namespace\?/]
      ] as const) {
        const result = yield* call("record_event", args)
        assert.isTrue(result.isError)
        assert.match(textOf(result), expected)
      }
      assert.strictEqual((yield* events()).totalCount, 0)
    }).pipe(Effect.provide(recording))
  )
})
