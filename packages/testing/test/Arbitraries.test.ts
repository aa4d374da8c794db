import { assert, describe, it } from "@effect/vitest"
import * as Backend from "@tidings/core/Backend"
import type { Write } from "@tidings/core/Event"
import type { EventData } from "@tidings/core/EventData"
import * as EventJson from "@tidings/core/EventJson"
import * as EventQuery from "@tidings/core/EventQuery"
import * as Recorder from "@tidings/core/Recorder"
import * as Templates from "@tidings/core/Templates"
import * as Arbitraries from "@tidings/testing/Arbitraries"
import { Effect, Layer, Result } from "effect"
import * as Arbitrary from "effect/Arbitrary"

const sample = <A>(arbitrary: Arbitrary.Arbitrary<A>, count = 400) =>
  Arbitrary.sampleEffect(arbitrary, { count, size: 20, seed: "coverage" })

const bytes = (text: string) => new TextEncoder().encode(text).length

/** Each of the keys is there sometimes and missing sometimes. */
const assertComesAndGoes = (values: ReadonlyArray<object>, keys: ReadonlyArray<string>) => {
  for (const key of keys) {
    const present = values.filter((value) => Object.hasOwn(value, key)).length
    assert.isAbove(present, values.length / 10, `${key} is there too seldom`)
    assert.isBelow(present, values.length * 0.9, `${key} is missing too seldom`)
  }
}

const assertNoUndefined = (value: unknown): void => {
  if (typeof value !== "object" || value === null) return
  for (const [key, inside] of Object.entries(value)) {
    assert.notStrictEqual(inside, undefined, `${key} is there as undefined`)
    assertNoUndefined(inside)
  }
}

const dataFields = [
  "name",
  "namespace",
  "operation",
  "serviceClass",
  "arguments",
  "error",
  "duration",
  "stepCount",
  "stepId",
  "stepTool",
  "conditionResult",
  "executionId",
  "toolNames",
  "allowFailure"
]

const label = /^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/
const subdomain = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/

describe("texts", () => {
  it.effect("text is well-formed and hostile, anyText is hostile and not always well-formed", () =>
    Effect.gen(function* () {
      const texts = yield* sample(Arbitraries.text)
      for (const text of texts) assert.isTrue(text.isWellFormed())
      const any = yield* sample(Arbitraries.anyText)
      assert.isTrue(any.some((text) => !text.isWellFormed()))
      for (const values of [texts, any]) {
        for (const nasty of [
          "{{.Name}}",
          "\u001b[31m",
          "\n",
          "\u0000",
          "\u2028",
          "\u202e",
          '"',
          "\\",
          "漢字",
          "👩‍👩‍👧‍👦",
          "__proto__"
        ]) {
          assert.isTrue(
            values.some((text) => text.includes(nasty)),
            JSON.stringify(nasty)
          )
        }
        assert.isTrue(values.includes(""))
      }
    })
  )

  it.effect("names, reasons, labels and messages are valid for Kubernetes, and reach their limits", () =>
    Effect.gen(function* () {
      const names = yield* sample(Arbitraries.objectName)
      for (const name of names) assert.isTrue(subdomain.test(name) && name.length <= 253, name)
      assert.isTrue(names.some((name) => name.length > 200) && names.some((name) => name.length === 1))
      for (const namespace of yield* sample(Arbitraries.namespace)) assert.match(namespace, label)
      const reasons = yield* sample(Arbitraries.reason)
      for (const reason of reasons) assert.isTrue(/^[A-Z][A-Za-z0-9]*$/.test(reason) && bytes(reason) <= 128, reason)
      const messages = yield* sample(Arbitraries.message)
      for (const message of messages) {
        assert.isTrue(message.length > 0 && bytes(message) <= 1_024 && message.isWellFormed())
        assert.notMatch(message, /[\p{Cc}\u2028\u2029]/u)
      }
      assert.isTrue(messages.some((message) => bytes(message) > 900))
      for (const labels of yield* sample(Arbitraries.labels)) {
        for (const [key, value] of Object.entries(labels)) {
          assert.match(key, /^([a-z0-9.-]+\/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$/)
          assert.match(value, /^([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?$/)
        }
      }
    })
  )
})

describe("events", () => {
  it.effect("each field of the data is present in some samples and absent in others, a custom one too", () =>
    Effect.gen(function* () {
      const all = yield* sample(Arbitraries.eventData)
      assertComesAndGoes(all, [...dataFields, "ticket"])
      for (const data of all) assertNoUndefined(data)
      const lists = all.flatMap(({ toolNames }) => (toolNames === undefined ? [] : [toolNames.length]))
      assert.isTrue(lists.includes(0) && lists.some((length) => length > 1))
      const durations = all.flatMap(({ duration }) => (duration === undefined ? [] : [duration]))
      assert.isTrue(durations.includes(0) && durations.some((one) => one < 0) && durations.some((one) => one > 1e12))
      for (const duration of durations) assert.isTrue(Number.isSafeInteger(duration))
    })
  )

  it.effect("each optional field of an event is present in some samples and absent in others", () =>
    Effect.gen(function* () {
      const bodies = yield* sample(Arbitraries.eventBody)
      assertComesAndGoes(bodies, ["related", "labels"])
      assertComesAndGoes(
        bodies.map(({ source }) => source),
        ["host"]
      )
      assertComesAndGoes(
        bodies.map(({ involvedObject }) => involvedObject),
        ["namespace", "uid", "fieldPath"]
      )
      assert.deepStrictEqual([...new Set(bodies.map(({ type }) => type))].sort(), ["Normal", "Warning"])
      assert.deepStrictEqual([...new Set(bodies.map(({ involvedObject }) => involvedObject.kind))].sort(), [
        "Node",
        "Order",
        "Workflow"
      ])
      assertComesAndGoes(yield* sample(Arbitraries.event), ["uid", "annotations"])
    })
  )

  it.effect("the name and namespace in the data are those of the involved object or absent", () =>
    Effect.gen(function* () {
      const agrees = ({ data, involvedObject }: Pick<Write["event"], "data" | "involvedObject">) => {
        if (data.name !== undefined) assert.strictEqual(data.name, involvedObject.name)
        if (data.namespace !== undefined) assert.strictEqual(data.namespace, involvedObject.namespace)
      }
      const bodies = yield* sample(Arbitraries.eventBody)
      for (const body of bodies) agrees(body)
      assertComesAndGoes(
        bodies.map(({ data }) => data),
        ["name", "namespace"]
      )
      for (const { data, involvedObject } of yield* sample(Arbitraries.eventDraft)) {
        agrees({ involvedObject, data: { name: data?.name, namespace: data?.namespace } as EventData })
      }
    })
  )

  it.effect.prop(
    "an event is the same after JSON",
    { event: Arbitraries.event },
    ({ event }) =>
      Effect.sync(() => {
        assert.deepStrictEqual(JSON.parse(JSON.stringify(event)), event)
        assert.deepStrictEqual(Result.getOrThrow(EventJson.decode(EventJson.encode(event))), event)
      }),
    { arbitrary: { runs: 200, size: 30 } }
  )

  it.effect("drafts have what a caller may give: each field, any text, durations of every form", () =>
    Effect.gen(function* () {
      const drafts = yield* sample(Arbitraries.eventDraft)
      assertComesAndGoes(drafts, ["related", "type", "action", "message", "labels", "at"])
      const data = drafts.flatMap(({ data }) => (data === undefined ? [] : [data]))
      assertComesAndGoes(data, dataFields)
      assert.isTrue(drafts.some(({ message }) => message !== undefined && !message.isWellFormed()))
      const forms = new Set(data.map(({ duration }) => typeof duration))
      assert.deepStrictEqual([...forms].sort(), ["bigint", "number", "object", "string", "undefined"])
    })
  )

  it.effect.prop(
    "a recorder accepts every draft, and makes of it what Kubernetes takes",
    { draft: Arbitraries.eventDraft },
    ({ draft }) =>
      Effect.gen(function* () {
        const recorder = yield* Recorder.Recorder
        const backend = yield* Backend.Backend
        const recorded = yield* recorder.record(draft)
        assert.strictEqual(recorded._tag, "Accepted")
        const { events } = yield* backend.query({})
        const { action, message, reason } = events[0]!.event
        assert.isTrue(bytes(reason) <= 128 && bytes(action) <= 128 && action !== "" && bytes(message) <= 1_024)
        assert.notMatch(message, /\p{Cc}/u)
      }).pipe(
        Effect.provide(
          Recorder.layerDirect({ component: "shop" }).pipe(
            Layer.provideMerge(Layer.merge(Templates.layer, Backend.layerMemory()))
          ),
          { local: true }
        )
      ),
    { arbitrary: { runs: 150, size: 30 } }
  )

  it.effect("a write that counts one occurrence covers one sequence number and one time", () =>
    Effect.gen(function* () {
      const states = yield* sample(Arbitraries.write)
      for (const { count, first, id, last, upTo } of states) {
        assert.isTrue(count >= 1 && upTo >= id.seq && last >= first && Number.isSafeInteger(upTo))
        if (count === 1) assert.deepStrictEqual([upTo, last], [id.seq, first])
      }
      assert.isTrue(states.some(({ count }) => count === 1) && states.some(({ count }) => count > 1))
    })
  )

  it.effect("a script makes several series and lets them grow", () =>
    Effect.gen(function* () {
      const scripts = yield* sample(Arbitraries.writes({ series: 3, length: 12 }), 100)
      for (const script of scripts) {
        const states = new Map<number, Write>()
        let upTo = 0
        for (const write of script) {
          assert.isAbove(write.upTo, upTo)
          upTo = write.upTo
          const before = states.get(write.id.seq)
          assert.strictEqual(write.count, (before?.count ?? 0) + 1)
          if (before === undefined) assert.strictEqual(write.id.seq, write.upTo)
          else assert.deepStrictEqual(write.id, before.id)
          states.set(write.id.seq, write)
        }
        assert.isTrue(states.size <= 3 && script.length <= 12)
      }
      assert.isTrue(scripts.some((script) => new Set(script.map(({ id }) => id.seq)).size === 3))
      assert.isTrue(scripts.some((script) => script.some(({ count }) => count > 2)))
      assert.isTrue(
        scripts.some((script) => script.some((write, index) => write.last < (script[index - 1]?.last ?? 0)))
      )
    })
  )
})

describe("filters", () => {
  it.effect("each field of a filter is present in some samples and absent in others", () =>
    Effect.gen(function* () {
      const fields = ["resourceType", "resourceName", "namespace", "eventType", "reason", "source", "since", "until"]
      assertComesAndGoes(yield* sample(Arbitraries.eventFilter), fields)
      const queries = yield* sample(Arbitraries.eventQuery)
      assertComesAndGoes(queries, [...fields, "limit"])
      assert.isTrue(queries.some(({ limit }) => limit === 0) && queries.every(({ limit = 0 }) => limit >= 0))
    })
  )

  it.effect("a filter of events matches some of them and not others", () =>
    Effect.gen(function* () {
      const events = yield* sample(Arbitraries.write, 20)
      const filters = yield* sample(Arbitraries.eventFilterOf(events))
      const matched = filters.map((filter) => events.filter((event) => EventQuery.matches(filter, event)).length)
      assert.isTrue(matched.includes(0))
      assert.isAbove(matched.filter((count) => count > 0 && count < events.length).length, filters.length / 10)
      assert.deepStrictEqual(yield* sample(Arbitraries.eventFilterOf([])), yield* sample(Arbitraries.eventFilter))
    })
  )
})
