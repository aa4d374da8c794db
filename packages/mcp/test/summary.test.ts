import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { bytes, call, layer, START, store, textOf, write } from "./support.ts"

const summary = (args?: unknown) =>
  Effect.map(call("event_summary", args), (result) => {
    assert.isUndefined(result.isError, textOf(result))
    return result.structuredContent as {
      readonly totalCount: number
      readonly occurrences: number
      readonly objects: number
      readonly groupCount: number
      readonly turned: ReadonlyArray<{ readonly [field: string]: unknown }>
      readonly reasons: ReadonlyArray<{ readonly [field: string]: unknown }>
      readonly groups: ReadonlyArray<{ readonly [field: string]: unknown }>
      readonly notes: ReadonlyArray<string>
    }
  })

describe("the tool event_summary", () => {
  it.effect("counts by object and reason, and names the objects that turned from Normal to Warning", () =>
    Effect.gen(function* () {
      yield* store(
        write(1, { kind: "Pod", name: "web", reason: "Started", type: "Normal", message: "it runs" }),
        write(2, { kind: "Pod", name: "web", reason: "BackOff", message: "restarting", count: 7 }),
        write(3, { kind: "Pod", name: "db", reason: "BackOff", message: "restarting", count: 2 })
      )
      const found = yield* summary()
      assert.deepInclude(found, { totalCount: 3, occurrences: 10, objects: 2, groupCount: 3, notes: [] })
      assert.deepStrictEqual(found.turned, [
        {
          resourceType: "Pod",
          resourceName: "web",
          namespace: "default",
          since: "2026-11-28T03:00:02Z",
          from: "Started",
          to: "BackOff",
          message: "restarting"
        }
      ])
      assert.deepStrictEqual(
        found.groups.map(({ count, reason, resourceName }) => [resourceName, reason, count]),
        [
          ["db", "BackOff", 2],
          ["web", "BackOff", 7],
          ["web", "Started", 1]
        ]
      )
      assert.deepInclude(found.reasons[0]!, { reason: "BackOff", type: "Warning", objects: 2, series: 2, count: 9 })
      const text = textOf(yield* call("event_summary"))
      assert.match(text, /^3 events with 10 occurrences about 2 objects\./)
      assert.match(
        text,
        /Turned from Normal to Warning:\n.*\n2026-11-28T03:00:02Z {2}Started {2}BackOff {2}default\/Pod\/web/
      )
    }).pipe(Effect.provide(layer()))
  )

  it.effect("keeps objects of the same name in two clusters apart, and takes a cluster by name or id", () =>
    Effect.gen(function* () {
      const clusters = [
        { id: "uid-1", name: "production" },
        { id: "uid-2", name: "staging" }
      ] as const
      yield* store({ ...write(1), cluster: clusters[0] }, { ...write(2, { count: 3 }), cluster: clusters[1] })
      const both = yield* summary()
      assert.deepStrictEqual(
        both.groups.map(({ cluster, count }) => [cluster, count]),
        [
          ["staging", 3],
          ["production", 1]
        ]
      )
      const text = textOf(yield* call("event_summary"))
      assert.match(text, /\nCLUSTER +FIRST SEEN \(UTC\).*\nstaging +2026.*\nproduction +2026/)
      for (const cluster of ["staging", "uid-2"]) {
        assert.deepInclude(yield* summary({ cluster }), { totalCount: 1, occurrences: 3 })
        const events = yield* call("events", { cluster })
        assert.strictEqual(events.structuredContent?.["totalCount"], 1)
        assert.notInclude(textOf(events), "CLUSTER")
      }
      assert.match(textOf(yield* call("events")), /\nCLUSTER +LAST SEEN \(UTC\).*\nstaging +2026.*\nproduction +2026/)
    }).pipe(Effect.provide(layer()))
  )

  it.effect("counts one as one", () =>
    Effect.gen(function* () {
      yield* store(write(1))
      assert.match(textOf(yield* call("event_summary")), /^1 event with 1 occurrence about 1 object\./)
      yield* store(write(2, { name: "other" }))
      assert.include(
        (yield* summary({ limit: 1 })).notes,
        "1 group is left out: a narrower filter or a larger limit shows more"
      )
    }).pipe(Effect.provide(layer()))
  )

  it.effect("takes the filter and the window of events", () =>
    Effect.gen(function* () {
      yield* store(write(1), write(2, { name: "other" }), write(3, { at: START + 3_600_000_000 }))
      assert.strictEqual((yield* summary({ resourceName: "other" })).totalCount, 1)
      assert.strictEqual((yield* summary({ until: "2026-11-28T03:30:00Z" })).totalCount, 2)
    }).pipe(Effect.provide(layer()))
  )

  it.effect("stays within maxBytes, counts what it leaves out, and says how to get it", () =>
    Effect.gen(function* () {
      yield* store(
        ...Array.from({ length: 400 }, (_, index) =>
          write(index + 1, { name: `object-${index}`, reason: `Reason${index}`, message: "é".repeat(3_000) })
        )
      )
      for (const maxBytes of [4_096, 16_384]) {
        const result = yield* call("event_summary", { limit: 400, maxBytes })
        assert.isAtMost(bytes(result), maxBytes)
        const found = yield* summary({ limit: 400, maxBytes })
        assert.deepInclude(found, { totalCount: 400, groupCount: 400 })
        assert.isAbove(found.groups.length, 2)
        assert.match(found.notes.join("\n"), new RegExp(`${400 - found.groups.length} groups are left out: .*maxBytes`))
      }
    }).pipe(Effect.provide(layer()))
  )

  it.effect("of no events is empty", () =>
    Effect.gen(function* () {
      assert.deepInclude(yield* summary(), { totalCount: 0, occurrences: 0, objects: 0, groups: [], turned: [] })
    }).pipe(Effect.provide(layer()))
  )
})
