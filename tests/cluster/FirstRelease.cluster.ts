import { afterAll, assert, describe, it } from "@effect/vitest"
import * as Backend from "@tidings/core/Backend"
import type { Event } from "@tidings/core/Event"
import * as EventId from "@tidings/core/EventId"
import * as EventJson from "@tidings/core/EventJson"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import { readFileSync } from "node:fs"
import { join } from "node:path"
import * as KubernetesBackend from "@tidings/backend-k8s/KubernetesBackend"
import * as KubernetesEvent from "@tidings/backend-k8s/KubernetesEvent"
import * as TestCluster from "./TestCluster.ts"

interface Stored {
  readonly metadata: { readonly name: string; readonly namespace: string }
}

const folder = join(import.meta.dirname, "../fixtures/first-release")
const objects = ["objects.json", "objects-more.json"].flatMap(
  (file) => JSON.parse(readFileSync(join(folder, file), "utf8")) as ReadonlyArray<Stored>
)

const cluster = await TestCluster.start()
afterAll(() => cluster[Symbol.asyncDispose]())

/** Of these namespaces each stands for one of the fixtures, whose own may not exist. */
const places = new Map(
  [...new Set(objects.map(({ metadata }) => metadata.namespace))].map((name, at) => [name, cluster.namespaces[at]!])
)

/** The object as an administrator restores it: without what a server gives. */
const restored = (one: Stored) => {
  const {
    creationTimestamp: _c,
    managedFields: _m,
    resourceVersion: _r,
    uid: _u,
    ...metadata
  } = one.metadata as Stored["metadata"] & Readonly<Record<string, unknown>>
  const namespace = places.get(metadata.namespace)!
  const { involvedObject } = one as Stored & { readonly involvedObject: { readonly namespace?: string } }
  return {
    ...one,
    metadata: { ...metadata, namespace },
    involvedObject: involvedObject.namespace === undefined ? involvedObject : { ...involvedObject, namespace }
  }
}

/** Without what the server gives to each object that it makes, and without the cluster that it is in. */
const asRestored = (event: Event) => {
  const { cluster: _, metadata, ...rest } = EventJson.toObject(event)
  const { creationTimestamp: _c, resourceVersion: _r, ...kept } = metadata
  return { ...rest, metadata: kept }
}

const stored = async (namespace: string, name: string): Promise<Readonly<Record<string, unknown>>> => {
  const { body } = await cluster.request({ method: "GET", path: `/api/v1/namespaces/${namespace}/events/${name}` })
  return JSON.parse(body!) as Readonly<Record<string, unknown>>
}

describe("the objects that the first release stored, on a real API server", () => {
  it.live("are read as they were, and counted up with everything else as it was", () =>
    Effect.gen(function* () {
      assert.isAtMost(places.size, cluster.namespaces.length)
      const backend = yield* Backend.Backend
      for (const one of objects.map(restored)) {
        const { name, namespace } = one.metadata
        const made = yield* Effect.promise(() =>
          cluster.request({ method: "POST", path: `/api/v1/namespaces/${namespace}/events`, body: JSON.stringify(one) })
        )
        assert.strictEqual(made.status, 201, made.body)
        const { event } = Result.getOrThrow(
          KubernetesEvent.fromResource({ ...one, metadata: { ...one.metadata, resourceVersion: "1" } })
        )
        const { events } = yield* backend.query({})
        const read = events.find(({ id }) => EventId.format(id) === EventId.format(event.id))!
        const { uid: _u, ...expected } = event
        const { uid: _v, ...found } = read
        assert.deepStrictEqual(asRestored(found), asRestored(expected))

        const before = yield* Effect.promise(() => stored(namespace, name))
        const { annotations: _a, name: _n, ...write } = expected
        assert.deepStrictEqual(yield* backend.write([write]), [Backend.present], name)
        const more = { ...write, upTo: write.upTo + 3, count: write.count + 3, last: write.last + 5_000_000 }
        assert.deepStrictEqual(yield* backend.write([more]), [Backend.updated], name)
        const after = yield* Effect.promise(() => stored(namespace, name))
        assert.strictEqual(after["count"], more.count)
        for (const field of [
          "involvedObject",
          "related",
          "reason",
          "message",
          "type",
          "action",
          "source",
          "firstTimestamp",
          "eventTime"
        ]) {
          assert.deepStrictEqual(after[field], before[field], `${name} ${field}`)
        }
        assert.deepStrictEqual(yield* backend.write([more]), [Backend.present], name)
      }
    }).pipe(
      Effect.provide(KubernetesBackend.layer({ ...cluster.connectionOptions("admin"), uidWait: 0 })),
      Effect.scoped
    )
  )
})
