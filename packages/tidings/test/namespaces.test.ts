// What is meant where a command line names no namespace.
import * as Backend from "@tidings/core/Backend"
import type { EventFilter } from "@tidings/core/EventQuery"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import { TestConsole } from "effect/testing"
import * as Cli from "../src/Cli.ts"
import { eventually, memory, origin, run, write } from "./harness.ts"

/** A backend that means team-a, and the filters that it was asked with. */
const ofTeam = Effect.gen(function* () {
  const { service } = yield* memory()
  yield* service.write([
    write(1, { at: "2026-08-22T07:30:00Z", namespace: "team-a" }),
    write(2, { at: "2026-08-22T08:30:00Z", namespace: "team-b" }),
    write(3, { at: "2026-08-22T09:30:00Z", kind: "Node", name: "worker", namespace: "" })
  ])
  const asked: Array<EventFilter> = []
  const layer = Layer.merge(
    Layer.succeed(Backend.Backend, {
      ...service,
      query: (query) => {
        asked.push(query)
        return service.query(query)
      }
    }),
    Layer.succeed(Cli.DefaultNamespace, "team-a")
  )
  return { service, layer, asked }
})

const seqs = (out: ReadonlyArray<string>): ReadonlyArray<number> =>
  out.filter((line) => line !== "").map((line) => Number(JSON.parse(line).upTo))

describe("the namespace that is meant", () => {
  it.effect("is that of the backend, unless one is named, or all, or the kind is in none", () =>
    Effect.gen(function* () {
      const { layer } = yield* ofTeam
      const listed = (...argv: ReadonlyArray<string>) =>
        Effect.map(run(layer, ["list", "-ondjson", ...argv]), ({ out }) => seqs(out))
      assert.deepStrictEqual(yield* listed(), [1])
      assert.deepStrictEqual(yield* listed("-n", "team-b"), [2])
      assert.deepStrictEqual(yield* listed("-A"), [1, 2, 3])
      assert.deepStrictEqual(yield* listed("-A", "-n", "team-b"), [1, 2, 3])
      assert.deepStrictEqual(yield* listed("node/worker"), [3])
      assert.deepStrictEqual(yield* listed("--for", "nodes"), [3])
      assert.deepStrictEqual(yield* listed("workflow"), [1])
      assert.deepStrictEqual(yield* listed("--since", "2026-08-22T07:00:00Z"), [1])
      assert.deepStrictEqual(yield* listed("--since", "2026-08-22T08:00:00Z"), [])
    })
  )

  it.effect("has a column only where rows may differ in it", () =>
    Effect.gen(function* () {
      const { layer } = yield* ofTeam
      assert.match((yield* run(layer, ["list"])).out[0]!, /^LAST SEEN/)
      assert.match((yield* run(layer, ["list", "-A"])).out[0]!, /^NAMESPACE/)
    })
  )

  it.effect("is named where it has no events, without a request for other namespaces", () =>
    Effect.gen(function* () {
      const { asked, layer } = yield* ofTeam
      const said = (...argv: ReadonlyArray<string>) => Effect.map(run(layer, ["list", ...argv]), ({ err }) => err)
      assert.deepStrictEqual(yield* said("--reason", "Never"), [
        "no events match; without the filter there are 1 in namespace team-a"
      ])
      assert.deepStrictEqual(yield* said("-n", "team-c"), [
        "no events in namespace team-c; in all namespaces: tidings list -A"
      ])
      assert.deepStrictEqual(yield* said("-n", "team-c", "--reason", "Never"), [
        "no events in namespace team-c; in all namespaces: tidings list -A"
      ])
      assert.deepStrictEqual([...new Set(asked.map(({ namespace }) => namespace))], ["team-a", "team-c"])
      assert.deepStrictEqual(yield* said("-A", "--reason", "Never"), [
        "no events match; without the filter there are 3: tidings list -A"
      ])
    })
  )

  it.effect("is the one in which events are looked up and recorded", () =>
    Effect.gen(function* () {
      const { layer, service } = yield* ofTeam
      assert.strictEqual((yield* run(layer, ["get", `${origin}.1`])).code, 0)
      const elsewhere = yield* run(layer, ["get", `${origin}.2`])
      assert.strictEqual(elsewhere.code, 1)
      assert.deepStrictEqual(elsewhere.err, [
        `error: there is no event "${origin}.2" in namespace team-a`,
        "look in all namespaces with --all-namespaces, or take an id or a name from: tidings list -A -o wide"
      ])
      assert.strictEqual((yield* run(layer, ["get", `${origin}.2`, "-n", "team-b"])).code, 0)
      assert.strictEqual((yield* run(layer, ["get", "-A", `${origin}.3`])).code, 0)
      assert.strictEqual((yield* run(layer, ["get", `${origin}.1`, "-n", ""])).code, 2)

      yield* run(layer, ["emit", "Workflow/own", "WorkflowExecuted"])
      yield* run(layer, ["emit", "Workflow/own", "WorkflowExecuted", "-n", "team-b"])
      yield* run(layer, ["emit", "Workflow/own", "WorkflowExecuted", "-n", ""])
      yield* run(layer, ["emit", "Node/own", "NodeReady"])
      const { events } = yield* service.query({ resourceName: "own" })
      assert.sameDeepMembers(
        events.map(({ event: { involvedObject } }) => [involvedObject.kind, involvedObject.namespace]),
        [
          ["Workflow", "team-a"],
          ["Workflow", "team-b"],
          ["Workflow", undefined],
          ["Node", undefined]
        ]
      )
    })
  )

  it.effect("is the one that is followed, and its cursors can be resumed", () =>
    Effect.gen(function* () {
      const { layer } = yield* ofTeam
      const { cursor } = JSON.parse((yield* run(layer, ["list", "-o", "json", "--since", "2026-01-01"])).out.join("\n"))
      yield* run(layer, ["emit", "Workflow/b", "WorkflowExecuted", "-n", "team-b"])
      yield* run(layer, ["emit", "Workflow/a", "WorkflowExecuted"])
      const since = yield* run(layer, ["list", "-ondjson", "--after", cursor])
      assert.deepStrictEqual(
        since.out.map((line) => JSON.parse(line).involvedObject.name),
        ["a"]
      )
      const seen = (yield* TestConsole.logLines).length
      const following = yield* Effect.forkChild(run(layer, ["follow", "-ondjson"]), { startImmediately: true })
      const names = Effect.map(TestConsole.logLines, (lines) =>
        lines
          .slice(seen)
          .map(String)
          .flatMap((text) => text.split("\n"))
          .filter((line) => line.startsWith("{"))
          .map((line) => JSON.parse(line).involvedObject.name)
      )
      yield* eventually(
        "what is stored",
        Effect.map(names, ({ length }) => length >= 2)
      )
      yield* run(layer, ["emit", "Workflow/c", "WorkflowExecuted", "-n", "team-b"])
      yield* run(layer, ["emit", "Workflow/d", "WorkflowExecuted"])
      yield* eventually(
        "what is new",
        Effect.map(names, ({ length }) => length >= 3)
      )
      yield* Fiber.interrupt(following)
      assert.deepStrictEqual(yield* names, ["deploy", "a", "d"])
    })
  )

  it.effect("means all, and default for what is recorded, where the backend does not say", () =>
    Effect.gen(function* () {
      const { service } = yield* ofTeam
      const layer = Layer.succeed(Backend.Backend, service)
      assert.deepStrictEqual(seqs((yield* run(layer, ["list", "-ondjson"])).out), [1, 2, 3])
      yield* run(layer, ["emit", "Workflow/own", "WorkflowExecuted"])
      const { events } = yield* service.query({ resourceName: "own" })
      assert.strictEqual(events[0]!.event.involvedObject.namespace, "default")
    })
  )
})
