/**
 * Archives in the database of `npm run test:postgres`, and what they copy.
 */
import * as KubernetesBackend from "@tidings/backend-k8s/KubernetesBackend"
import * as KubernetesConnection from "@tidings/backend-k8s/KubernetesConnection"
import { Archive, ArchiveStore, PostgresBackend } from "@tidings/backend-postgres"
import * as Backend from "@tidings/core/Backend"
import type { Event } from "@tidings/core/Event"
import type { EventFilter, WatchItem } from "@tidings/core/EventQuery"
import * as ApiServer from "@tidings/testing-k8s/ApiServer"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { url } from "./testDatabase.ts"

/** A store to copy, which the test writes to. */
export const memory = Effect.map(Layer.build(Layer.fresh(Backend.layerMemory())), (context) =>
  Context.get(context, Backend.Backend)
)

/** The double of an API server without a socket, and its events as a backend. */
export const cluster = Effect.gen(function* () {
  const context = yield* Layer.build(Layer.fresh(ApiServer.layer({ listen: false })))
  const server = Context.get(context, ApiServer.ApiServer)
  const connection = yield* server.connection("admin")
  const backend = yield* KubernetesBackend.make({ pageSize: 50 }).pipe(
    Effect.provideService(KubernetesConnection.KubernetesConnection, connection)
  )
  let number = 0
  /** An event of another writer, or another state of it. */
  const put = (name: string, count = 1) =>
    server.put({
      apiVersion: "v1",
      kind: "Event",
      metadata: { name, namespace: "default" },
      involvedObject: { apiVersion: "v1", kind: "Pod", name: "web-0", namespace: "default" },
      reason: "BackOff",
      type: "Warning",
      message: `Back-off ${name}, message ${++number}`,
      source: { component: "kubelet" },
      firstTimestamp: new Date(Date.now() - 1_000).toISOString(),
      lastTimestamp: new Date().toISOString(),
      count
    })
  return { server, backend, put }
})

/** A database with an archive in it, as a reader sees it. */
export const openArchive = (options: PostgresBackend.Options) =>
  Effect.map(Layer.build(PostgresBackend.layer({ url, ...options })), (context) => ({
    context,
    backend: Context.get(context, Backend.Backend),
    database: Context.get(context, PostgresBackend.EventDatabase),
    store: Context.get(context, ArchiveStore.ArchiveStore)
  }))

export type Sources = Readonly<Record<string, Backend.Service>>

/** Begins a replica; what it returns says how it is doing, and ends it. */
export const replica = (
  name: string,
  sources: Sources,
  options: PostgresBackend.Options & Pick<Archive.Options, "batchSize" | "silence">
) =>
  Effect.gen(function* () {
    const scope = yield* Scope.make()
    yield* Effect.addFinalizer(() => Scope.close(scope, Exit.void))
    const { batchSize, silence, ...database } = options
    const { context } = yield* openArchive(database).pipe(Scope.provide(scope))
    const archive = yield* Archive.make({
      replica: name,
      batchSize,
      silence,
      sources: Object.entries(sources).map(([name, backend]) => ({
        name,
        reader: Layer.succeed(Backend.Backend, backend)
      }))
    }).pipe(Effect.provide(context), Scope.provide(scope))
    return {
      status: Effect.map(archive.status, ({ sources }) => sources[0]!),
      end: Scope.close(scope, Exit.void)
    }
  })

/** Waits until something holds. */
export const eventually = <A, E>(effect: Effect.Effect<A, E>, holds: (value: A) => boolean) =>
  Effect.gen(function* () {
    while (true) {
      const value = yield* effect
      if (holds(value)) return value
      yield* Effect.sleep("20 millis")
    }
  }).pipe(Effect.timeout("30 seconds"))

/** What a watch has yielded so far, from the beginning of the archive. */
export const follow = (backend: Backend.Service, filter: EventFilter = {}) =>
  Effect.gen(function* () {
    const items: Array<WatchItem> = []
    const { cursor } = yield* backend.query({ ...filter, limit: 0 })
    yield* Effect.forkScoped(
      Stream.runForEach(backend.watch(filter, cursor), (item) => Effect.sync(() => void items.push(item)))
    )
    return items
  })

export const stateOf = ({ count, event }: Pick<Event, "count" | "event">): string => `${event.message} ×${count}`

export const statesIn = (items: ReadonlyArray<WatchItem>): ReadonlyArray<string> =>
  items.flatMap((item) => (item._tag === "Event" ? [stateOf(item.event)] : []))
