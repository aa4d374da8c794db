import { assert, describe, it } from "@effect/vitest"
import * as Backend from "@tidings/core/Backend"
import * as BackendError from "@tidings/core/BackendError"
import { EventReader } from "@tidings/core/EventReader"
import * as EventTools from "@tidings/mcp/EventTools"
import * as FaultyBackend from "@tidings/testing/FaultyBackend"
import { Effect, Layer } from "effect"
import { call, events, layer, store, textOf, write } from "./support.ts"

const refusal = (args: unknown) =>
  Effect.map(call("events", args), (result) => {
    assert.isTrue(result.isError, JSON.stringify(args))
    return textOf(result)
  })

describe("bad arguments", () => {
  it.effect("are named, with what was found and an example that is right", () =>
    Effect.gen(function* () {
      for (const [args, ...expected] of [
        [{ limit: "5" }, 'limit is "5", expected a whole number from 0 to 1000, for example {"limit":50}'],
        [{ limit: -1 }, "limit is -1, expected a whole number"],
        [{ limit: 1.5 }, "limit is 1.5, expected a whole number"],
        [{ waitSeconds: 51, after: "x" }, "waitSeconds is 51, expected a whole number from 0 to 50"],
        [{ maxBytes: 10 }, "maxBytes is 10, expected a whole number from 4096"],
        [{ since: "5" }, 'since is "5", expected a time such as 1h30m', '{"since":"1h30m"}'],
        [{ until: 12 }, "until is 12, expected a time"],
        [{ eventType: "Waring" }, 'eventType is "Waring", expected Normal, Warning', "did you mean Warning?"],
        [{ follow: "yes" }, 'follow is "yes", expected true or false'],
        [{ namespace: ["a"] }, 'namespace is ["a"], expected a text'],
        [{ match: "x".repeat(10_000) }, "match is", "expected a text of at most 512 characters"],
        [
          { resource_type: "Pod" },
          'resource_type is no argument of this tool (did you mean resourceType?), for example {"resourceType":"Workflow"}'
        ],
        [{ kind: "Pod" }, "kind is no argument of this tool, expected any of resourceType, resourceName, namespace"],
        [[1], "the arguments are [1], expected an object"],
        ["Pod", 'the arguments are "Pod", expected an object'],
        [{ waitSeconds: 5 }, "waitSeconds is given without after"],
        [{ page: "a", after: "b" }, "page and after are both given"],
        [{ since: "1h", until: "2h" }, "since lies after until"]
      ] as const) {
        const text = yield* refusal(args)
        for (const part of expected) assert.include(text, part)
        assert.isBelow(text.length, 1_000)
      }
    }).pipe(Effect.provide(layer()))
  )

  it.effect("are all named at once", () =>
    Effect.gen(function* () {
      const text = yield* refusal({ limit: "5", follow: 1 })
      assert.include(text, "limit is")
      assert.include(text, "follow is")
    }).pipe(Effect.provide(layer()))
  )

  it.effect("do not include what clients send for nothing: null and the empty text", () =>
    Effect.gen(function* () {
      yield* store(write(1))
      assert.strictEqual((yield* events({ namespace: "", reason: null, limit: undefined })).totalCount, 1)
      assert.strictEqual((yield* events(null)).totalCount, 1)
    }).pipe(Effect.provide(layer()))
  )

  it.effect("of a cursor are told apart from an empty answer", () =>
    Effect.gen(function* () {
      const { cursor } = yield* events()
      for (const args of [{ after: "nonsense" }, { page: "nonsense" }, { after: cursor, reason: "Other" }]) {
        assert.match(yield* refusal(args), /repeat those, or begin anew without after and page/)
      }
    }).pipe(Effect.provide(layer()))
  )

  it.effect("name the tool that was meant where there is none of that name", () =>
    Effect.gen(function* () {
      const result = yield* call("event", {})
      assert.isTrue(result.isError)
      assert.match(textOf(result), /^There is no tool "event" \(did you mean events\?\)/)
    }).pipe(Effect.provide(layer()))
  )
})

describe("a store that is away", () => {
  const failing = (reason: BackendError.BackendErrorReason, mode = "memory") =>
    EventTools.layer().pipe(
      Layer.provide(
        Layer.effect(
          EventReader,
          EventReader.useSync((reader) => ({ ...reader, mode }))
        )
      ),
      Layer.provide(Backend.layerReader),
      Layer.provide(
        Backend.layerMemory().pipe(
          FaultyBackend.layer({ script: { query: [FaultyBackend.failBefore(BackendError.make(reason))] } })
        )
      )
    )

  it.effect("is an error that says what to do", () =>
    Effect.gen(function* () {
      for (const [reason, expected, mode] of [
        [new BackendError.Unavailable({ detail: "connection refused" }), /connection refused.*call again later/s],
        [new BackendError.Transient({ applied: "no", detail: "502" }), /502.*in a few seconds/s],
        [
          new BackendError.Unauthorized({ detail: "password authentication failed" }),
          /password authentication failed\. This server may not read its store, .* `tidings doctor`/s
        ],
        [
          new BackendError.Unauthorized({ detail: "cannot list events" }),
          /cannot list events.*\{"namespace":"default"\}/s,
          "kubernetes"
        ]
      ] as const) {
        const result = yield* Effect.provide(call("events"), failing(reason, mode))
        assert.isTrue(result.isError)
        assert.isUndefined(result.structuredContent)
        assert.match(textOf(result), expected)
      }
    })
  )

  it.effect("cannot answer with more than a few lines, or drive a terminal", () =>
    Effect.gen(function* () {
      const page = `\u001b[2J<html>${"x".repeat(1_000_000)}`
      const result = yield* Effect.provide(call("events"), failing(new BackendError.Unavailable({ detail: page })))
      assert.isBelow(textOf(result).length, 1_500)
      assert.notInclude(textOf(result), "\u001b")
    })
  )
})
