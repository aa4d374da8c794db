// What people call objects and kinds: as kubectl prints and takes them, and as registries and titles have them.
import { assert, describe, it } from "@effect/vitest"
import type * as Backend from "@tidings/core/Backend"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Cli from "../src/Cli.ts"
import { memory, run, write } from "./harness.ts"

const stored = Effect.gen(function* () {
  const { layer, service } = yield* memory()
  const at = "2026-08-22T07:30:00Z"
  const about = (seq: number, kind: string, apiVersion: string, name: string, namespace = "default") => {
    const one = write(seq, { at, kind, name, namespace })
    return { ...one, event: { ...one.event, involvedObject: { ...one.event.involvedObject, apiVersion } } }
  }
  yield* service.write([
    about(1, "Deployment", "apps/v1", "web"),
    about(2, "Deployment", "legacy.example.com/v1", "web"),
    about(3, "Pod", "v1", "web"),
    about(4, "MCPServer", "tidings.dev/v1", "io.github.acme/search"),
    about(5, "MCPServer", "tidings.dev/v1", "Weather (staging)"),
    about(6, "ClusterPlugin", "configuration.example.dev/v1", "prom")
  ])
  return { layer, service }
})

const seqs = (out: ReadonlyArray<string>): ReadonlyArray<number> =>
  out.filter((line) => line !== "").map((line) => Number(JSON.parse(line).upTo))

describe("an object is found by each way of writing its kind and name", () => {
  const cases: ReadonlyArray<readonly [argv: ReadonlyArray<string>, seqs: ReadonlyArray<number>]> = [
    [["deployment/web"], [1, 2]],
    [["deploy/web"], [1, 2]],
    [["deployment.apps/web"], [1]],
    [["deployments.apps/web"], [1]],
    [["deployments.v1.apps/web"], [1]],
    [["Deployment.apps"], [1]],
    [["Deployment.legacy.example.com/web"], [2]],
    [["--for", "deployment.apps/web"], [1]],
    [["--kind", "deployments", "--api-group", "apps"], [1]],
    [["--api-group", ""], [3]],
    [
      ["--api-group", "tidings.dev"],
      [4, 5]
    ],
    [["pod/web"], [3]],
    [["MCPServer/io.github.acme/search"], [4]],
    [["mcpserver/Weather (staging)"], [5]],
    [["--name", "io.github.acme/search"], [4]],
    [["ClusterPlugin.configuration.example.dev/prom"], [6]]
  ]
  for (const [argv, expected] of cases) {
    it.effect(argv.join(" "), () =>
      Effect.gen(function* () {
        const { layer } = yield* stored
        const { err, out } = yield* run(layer, ["list", "-ondjson", ...argv])
        assert.deepStrictEqual([seqs(out), err.filter((line) => line.startsWith("error"))], [expected, []])
      })
    )
  }

  it.effect("a group in the name that contradicts --api-group is refused", () =>
    Effect.gen(function* () {
      const { layer } = yield* stored
      const { code, err } = yield* run(layer, ["list", "deployment.apps/web", "--api-group", "batch"])
      assert.strictEqual(code, 2)
      assert.match(err[0]!, /--api-group batch contradicts apps before it/)
    })
  )
})

describe("a kind that only the store knows", () => {
  const discovering = (layer: Layer.Layer<Backend.Backend>) =>
    Layer.merge(
      layer,
      Layer.succeed(Cli.FindKind, (name: string) =>
        Effect.succeed(
          ["clusterplugin", "clusterplugins", "cp", "clusterplugins.configuration.example.dev"].includes(
            name.toLowerCase()
          )
            ? { kind: "ClusterPlugin", apiVersion: "configuration.example.dev/v1", namespaced: false }
            : undefined
        )
      )
    )

  for (const name of ["cp/prom", "clusterplugin/prom", "clusterplugins.configuration.example.dev/prom"]) {
    it.effect(`is found by ${name}`, () =>
      Effect.gen(function* () {
        const { layer } = yield* stored
        const { out } = yield* run(discovering(layer), ["list", "-ondjson", name])
        assert.deepStrictEqual(seqs(out), [6])
      })
    )
  }

  it.effect("has no namespace in what emit records, where the store says that it is in none", () =>
    Effect.gen(function* () {
      const { layer, service } = yield* stored
      const { code, err } = yield* run(discovering(layer), ["emit", "clusterplugin/other", "ApplyFailed", "it failed"])
      assert.deepStrictEqual([code, err], [0, []])
      const [event] = (yield* service.query({ resourceName: "other" })).events
      assert.deepStrictEqual(event?.event.involvedObject, {
        apiVersion: "configuration.example.dev/v1",
        kind: "ClusterPlugin",
        name: "other"
      })
    })
  )

  it.effect("is refused by emit where its version cannot be known", () =>
    Effect.gen(function* () {
      const { layer } = yield* stored
      const { code, err } = yield* run(layer, ["emit", "Plugin.example.dev/x", "ApplyFailed", "it failed"])
      assert.strictEqual(code, 2)
      assert.match(
        err[0]!,
        /Plugin\.example\.dev names a group without a version, .*: write Plugin\.v1\.example\.dev\/x/
      )
      const ran = yield* run(layer, ["emit", "Plugin.v1.example.dev/x", "ApplyFailed", "it failed"])
      assert.strictEqual(ran.code, 0)
    })
  )
})

describe("names of emit", () => {
  for (const [object, kind, name] of [
    ["MCPServer/io.github.acme/search", "MCPServer", "io.github.acme/search"],
    ["MCPServer/Weather (staging)", "MCPServer", "Weather (staging)"],
    ["deployment.apps/web", "Deployment", "web"]
  ] as const) {
    it.effect(object, () =>
      Effect.gen(function* () {
        const { layer, service } = yield* memory()
        const ran = yield* run(layer, ["emit", object, "Probed", "it was probed"])
        assert.deepStrictEqual([ran.code, ran.err], [0, []])
        const [event] = (yield* service.query({})).events
        assert.include(event?.event.involvedObject, { kind, name })
      })
    )
  }
})
