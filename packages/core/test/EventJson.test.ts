import type { Event } from "@tidings/core/Event"
import * as EventJson from "@tidings/core/EventJson"
import { assert, describe, it } from "@effect/vitest"
import * as Result from "effect/Result"
import { event, json } from "./support/arbitraries.ts"

const sample: Event = {
  id: { origin: "00000000000000000000000000000001", seq: 7 },
  upTo: 9,
  count: 3,
  first: 1_000_000,
  last: 2_000_001,
  name: "deploy.0000000000000000.7",
  uid: "u-1",
  annotations: { note: "n" },
  event: {
    involvedObject: {
      apiVersion: "v1",
      kind: "Workflow",
      name: "deploy",
      namespace: "default",
      uid: "u-2",
      fieldPath: "spec"
    },
    related: { kind: "Pod", name: "web" },
    reason: "Failed",
    type: "Warning",
    action: "Run",
    message: "It failed",
    data: { name: "deploy", namespace: "default", duration: 90_500_000_000, toolNames: ["a"], stepCount: 2 },
    source: { component: "c", host: "h" },
    reportingController: "example.com/c",
    reportingInstance: "c-0",
    labels: { team: "a" }
  }
}

const read = (line: string): Event => Result.getOrThrow(EventJson.decode(line))

describe("encode and decode", () => {
  it.prop(
    "lead there and back for every event, on one line that drives no terminal",
    { event },
    ({ event }) => {
      const line = EventJson.encode(event)
      const namespace = event.namespace ?? event.event.involvedObject.namespace
      assert.deepStrictEqual(read(line), namespace === undefined || namespace === "" ? event : { ...event, namespace })
      // oxlint-disable-next-line no-control-regex
      assert.notMatch(line, /[\u0000-\u001f\u007f-\u009f\u2028-\u202e\u2066-\u2069\u200e\u200f\u061c\ufeff]/)
      assert.isTrue(line.isWellFormed())
      assert.deepStrictEqual(Object.keys(JSON.parse(line))[0], "lastTimestamp")
    },
    { arbitrary: { runs: 400, size: 100 } }
  )

  it("write the names of a Kubernetes Event", () => {
    assert.deepStrictEqual(JSON.parse(EventJson.encode(sample)), {
      lastTimestamp: "1970-01-01T00:00:02.000001Z",
      firstTimestamp: "1970-01-01T00:00:01.000000Z",
      count: 3,
      type: "Warning",
      reason: "Failed",
      action: "Run",
      message: "It failed",
      involvedObject: sample.event.involvedObject,
      related: { kind: "Pod", name: "web" },
      source: { component: "c", host: "h" },
      reportingComponent: "example.com/c",
      reportingInstance: "c-0",
      metadata: {
        name: "deploy.0000000000000000.7",
        namespace: "default",
        uid: "u-1",
        labels: { team: "a" },
        annotations: { note: "n" }
      },
      data: { name: "deploy", namespace: "default", duration: "1m30.5s", toolNames: ["a"], stepCount: 2 },
      id: "00000000000000000000000000000001.7",
      upTo: 9,
      apiVersion: "v1",
      kind: "Event"
    })
  })

  it("write what a terminal would obey as escapes that JSON reads back", () => {
    const message = "\u001b[2J\u009b\u007f\u2028\u202e\ufeff\u061c\ud800"
    const line = EventJson.encode({ ...sample, event: { ...sample.event, message } })
    assert.include(line, String.raw`"\u001b[2J\u009b\u007f\u2028\u202e\ufeff\u061c\ud800"`)
    assert.strictEqual(read(line).event.message, message)
  })

  it("keep a duration of another writer as exactly as a number can", () => {
    const line = EventJson.encode(sample).replace("1m30.5s", "2562047h47m16.854775807s")
    const event = read(line)
    assert.strictEqual(event.event.data.duration, 2 ** 63)
    assert.deepStrictEqual(read(EventJson.encode(event)), event)
  })
})

describe("an event that a cluster has", () => {
  const object = {
    apiVersion: "v1",
    kind: "Event",
    metadata: { name: "node-a.17", namespace: "kube-system", uid: "u-1", generateName: "x" },
    involvedObject: { kind: "Node", name: "node-a" },
    type: "Error",
    eventTime: "1970-01-01T00:00:01.000001Z",
    series: { count: 3, lastObservedTime: "1970-01-01T00:00:02.000001Z" },
    lastTimestamp: null
  }
  const stored: Event = {
    ...sample,
    name: "node-a.17",
    namespace: "kube-system",
    creationTimestamp: 1_000_000,
    resourceVersion: "4711",
    object,
    event: { ...sample.event, type: "Error", involvedObject: { kind: "Node", name: "node-a" } }
  }

  it("is printed as the object itself, with data, id and upTo beside its fields", () => {
    const { data, id, upTo, ...rest } = EventJson.toStoredObject(stored)
    assert.deepStrictEqual(rest, object)
    assert.deepStrictEqual([data, id, upTo], [EventJson.dataToObject(sample.event.data), `${sample.id.origin}.7`, 9])
  })

  it("is a line with all that a line needs, its own namespace, eventTime and series, and is read back but for the object", () => {
    const line = JSON.parse(EventJson.encode(stored)) as Record<string, unknown>
    assert.strictEqual(line["lastTimestamp"], "1970-01-01T00:00:02.000001Z")
    assert.strictEqual(line["eventTime"], object.eventTime)
    assert.deepStrictEqual(line["series"], object.series)
    assert.deepInclude(line["metadata"], {
      namespace: "kube-system",
      creationTimestamp: "1970-01-01T00:00:01.000000Z",
      resourceVersion: "4711"
    })
    const { object: _, ...without } = stored
    assert.deepStrictEqual(read(EventJson.encode(stored)), without)
  })

  it("is the same as a line where the store keeps no such objects", () => {
    assert.deepStrictEqual(EventJson.toStoredObject(sample), EventJson.toObject(sample))
  })
})

describe("fromObject refuses", () => {
  const whole = JSON.parse(EventJson.encode(sample)) as Record<string, unknown>
  const metadata = whole["metadata"] as Record<string, unknown>
  const data = whole["data"] as Record<string, unknown>
  const refusal = (value: unknown): string => {
    const result = EventJson.fromObject(value)
    assert.isTrue(Result.isFailure(result), JSON.stringify(value))
    return Result.isFailure(result) ? result.failure : ""
  }

  const damaged: ReadonlyArray<readonly [string, ReadonlyArray<unknown>]> = [
    ["lastTimestamp", [undefined, 5, "", "yesterday", "2024-02-30T00:00:00Z", null]],
    ["firstTimestamp", [undefined, {}, "1970"]],
    ["id", [undefined, "", "7", 7, "a.-1", "a b.1"]],
    ["upTo", [undefined, 1.5, -1, "9", null, 2 ** 53]],
    ["count", [undefined, 0, -1, 1.5, "3", null]],
    ["type", [undefined, 1, null]],
    ["reason", [undefined, "", 5, null]],
    ["message", [undefined, 5, null]],
    ["action", [undefined, {}, null]],
    [
      "involvedObject",
      [undefined, null, "x", [], {}, { kind: "Pod" }, { kind: 1, name: "a" }, { kind: "Pod", name: "a", uid: 1 }]
    ],
    ["related", [null, "x", { kind: "Pod" }, { kind: "Pod", name: "a", namespace: 1 }]],
    ["source", [undefined, {}, { component: 1 }, { component: "c", host: 1 }, null]],
    ["reportingComponent", [undefined, 1]],
    ["reportingInstance", [undefined, null]]
  ]
  it.each(damaged)("an event whose %s is none, and names it", (field, values) => {
    for (const value of values) {
      const { [field]: _, ...rest } = whole
      assert.match(refusal(value === undefined ? rest : { ...rest, [field]: value }), new RegExp(`\\b${field}\\b`))
    }
  })

  const damagedMetadata: ReadonlyArray<readonly [string, ReadonlyArray<unknown>]> = [
    ["name", [undefined, 1]],
    ["uid", [1, null]],
    ["namespace", [1, null]],
    ["resourceVersion", [1, null]],
    ["creationTimestamp", [1, "yesterday", null]],
    ["labels", [[], "x", { a: 1 }, null]],
    ["annotations", [{ a: null }, 5]]
  ]
  it.each(damagedMetadata)("an event whose metadata.%s is none, and names it", (field, values) => {
    for (const value of values) {
      const changed: Record<string, unknown> = { ...metadata, [field]: value }
      if (value === undefined) delete changed[field]
      assert.include(refusal({ ...whole, metadata: changed }), `metadata.${field}`)
    }
    assert.include(refusal({ ...whole, metadata: null }), "metadata.name")
  })

  const damagedData: ReadonlyArray<readonly [string, unknown]> = [
    ["name", 1],
    ["namespace", null],
    ["operation", {}],
    ["serviceClass", 1],
    ["error", []],
    ["stepId", 1],
    ["stepTool", 1],
    ["conditionResult", true],
    ["executionId", 1],
    ["duration", 5],
    ["duration", "soon"],
    ["duration", ""],
    ["stepCount", "1"],
    ["stepCount", 1.5],
    ["allowFailure", "yes"],
    ["toolNames", "a"],
    ["toolNames", [1]],
    ["arguments", []],
    ["arguments", "x"]
  ]
  it.each(damagedData)("an event whose data.%s is %j, and names it", (field, value) => {
    assert.include(refusal({ ...whole, data: { ...data, [field]: value } }), `data.${field}`)
  })

  it("what is no object, and lines that are no JSON", () => {
    for (const value of [null, 5, "x", [], undefined]) assert.include(refusal(value), "JSON object")
    assert.include(refusal({ ...whole, data: [] }), "data")
    for (const line of [
      "",
      "{",
      "null",
      "[]",
      "nonsense",
      `${EventJson.encode(sample)}x`,
      EventJson.encode(sample).slice(0, -5)
    ]) {
      assert.isTrue(Result.isFailure(EventJson.decode(line)), line)
    }
  })

  it.prop(
    "or reads any JSON without throwing, and what it reads it can write",
    { json },
    ({ json }) => {
      for (const value of [
        json,
        { ...whole, data: json },
        { ...whole, metadata: json },
        { ...whole, involvedObject: json }
      ]) {
        const result = EventJson.fromObject(value)
        if (Result.isSuccess(result))
          assert.isTrue(Result.isSuccess(EventJson.decode(EventJson.encode(result.success))))
      }
    },
    { arbitrary: { runs: 300, size: 60 } }
  )

  it("nothing for the sake of absent data, or of fields that a later version adds", () => {
    const { data: _, ...rest } = whole
    assert.deepStrictEqual(Result.getOrThrow(EventJson.fromObject({ ...rest, added: { x: 1 } })).event.data, {})
  })
})

describe("names of Object.prototype", () => {
  it("in a line pollute nothing, stand in for nothing, and come back", () => {
    const line = EventJson.encode(sample)
      .replace(`"stepCount":2`, `"stepCount":2,"__proto__":{"polluted":true},"constructor":"c"`)
      .replace(`"metadata":{`, `"metadata":{"__proto__":{"uid":5},`)
    const event = read(line)
    assert.isUndefined(({} as { polluted?: unknown }).polluted)
    assert.strictEqual(Object.getPrototypeOf(event.event.data), Object.prototype)
    assert.isTrue(Object.hasOwn(event.event.data, "__proto__"))
    assert.include(EventJson.encode(event), `"__proto__":{"polluted":true},"constructor":"c"`)
    // A field that is missing is missing, also where its name is inherited.
    const without = `{"toString":1,${line.slice(1)}`.replace(`"reason":"Failed",`, "")
    assert.isTrue(Result.isFailure(EventJson.decode(without)))
  })
})
