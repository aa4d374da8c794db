import { assert, describe, it } from "@effect/vitest"
import * as KubernetesBackend from "@tidings/backend-k8s/KubernetesBackend"
import * as KubernetesConnection from "@tidings/backend-k8s/KubernetesConnection"
import type { BackendError } from "@tidings/core/BackendError"
import { type Duration, Effect, Layer, type Scope } from "effect"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import * as path from "node:path"

const INVALID: ReadonlyArray<Duration.Input & (string | number)> = [-1, "-5 seconds", Number.NaN]

const kubeconfig = Effect.acquireRelease(
  Effect.sync(() => {
    const directory = mkdtempSync(path.join(tmpdir(), "tidings-durations-"))
    const file = path.join(directory, "kubeconfig")
    const cluster = { server: "https://127.0.0.1:1" }
    const text = {
      clusters: [{ name: "one", cluster }],
      users: [{ name: "one", user: {} }],
      contexts: [{ name: "one", context: { cluster: "one", user: "one" } }],
      "current-context": "one"
    }
    writeFileSync(file, JSON.stringify(text), { mode: 0o600 })
    return file
  }),
  (file) => Effect.sync(() => rmSync(path.dirname(file), { recursive: true }))
)

describe("an option that is a duration", () => {
  it.live("is refused where it is negative or none, before anything is asked of the server", () =>
    Effect.gen(function* () {
      const file = yield* kubeconfig
      const connection = (options: KubernetesConnection.Options) =>
        KubernetesConnection.layer({ ...options, kubeconfig: file })
      const build = <A>(layer: Layer.Layer<A, BackendError>): Effect.Effect<unknown, BackendError, Scope.Scope> =>
        Layer.build(layer)
      for (const given of INVALID) {
        for (const [field, built] of [
          ["timeout", build(connection({ timeout: given }))],
          ["loginTimeout", build(connection({ loginTimeout: given }))],
          ["uidWait", build(KubernetesBackend.layerConnection({ uidWait: given }).pipe(Layer.provide(connection({}))))]
        ] as const) {
          const error = yield* Effect.flip(Effect.scoped(built))
          assert.strictEqual(error.reason._tag, "Unavailable")
          assert.include(
            error.message,
            `${field} is ${typeof given === "string" ? JSON.stringify(given) : given}, expected a duration from 0 on`
          )
        }
      }
    }).pipe(Effect.scoped)
  )
})
