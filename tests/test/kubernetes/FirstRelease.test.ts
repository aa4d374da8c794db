import { assert, describe, it } from "@effect/vitest"
import * as Backend from "@tidings/core/Backend"
import * as EventJson from "@tidings/core/EventJson"
import type { EventFilter } from "@tidings/core/EventQuery"
import * as Position from "@tidings/core/Position"
import * as Target from "@tidings/core/Target"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import { readFileSync } from "node:fs"
import { join } from "node:path"
import * as KubernetesBackend from "@tidings/backend-k8s/KubernetesBackend"
import * as KubernetesEvent from "@tidings/backend-k8s/KubernetesEvent"
import { serverWith } from "./InterceptedServer.ts"

const folder = join(import.meta.dirname, "../../fixtures/first-release")
const readJson = (file: string): unknown => JSON.parse(readFileSync(join(folder, file), "utf8"))

type Resource = {
  readonly metadata: {
    readonly name: string
    readonly namespace: string
    readonly annotations?: Readonly<Record<string, string>>
  }
}
/** Of calls that need no correlation, and of a recorder that counted up, combined, and cut what was too large. */
const more = readJson("cluster-more.json") as {
  readonly target: string
  readonly limited: string
  readonly answers: ReadonlyArray<{
    readonly filter: EventFilter
    readonly events: ReadonlyArray<{ readonly id: string }>
    readonly cursorOfQuery: string
    readonly cursorAfterOne: string
    readonly next?: string
  }>
}
const objects = [
  ...(readJson("objects.json") as ReadonlyArray<Resource>),
  ...(readJson("objects-more.json") as ReadonlyArray<Resource>)
]
const answered = readJson("cluster.json") as {
  readonly target: string
  readonly events: ReadonlyArray<{ readonly id: string }>
  readonly cursorOfQuery: string
  readonly cursorAfterTwo: string
  readonly next: string
}

const stored = objects.map((one) => Result.getOrThrow(KubernetesEvent.fromResource(one)))

describe("the objects that the first release stored in a cluster", () => {
  it("are read as before", () => {
    const read = stored.map(({ event, resourceVersion }, index) => {
      // What came later is told too, as the object has it.
      const { eventTime, series, ...before } = JSON.parse(JSON.stringify(EventJson.toObject(event))) as {
        readonly id: string
        readonly eventTime?: string
        readonly series?: object
        readonly involvedObject: { readonly namespace?: string }
        readonly metadata: Record<string, unknown>
      }
      const { creationTimestamp, ...metadata } = before.metadata
      assert.strictEqual(metadata["resourceVersion"], resourceVersion)
      delete metadata["resourceVersion"]
      assert.strictEqual(metadata["namespace"], objects[index]!.metadata.namespace)
      if (before.involvedObject.namespace === undefined) delete metadata["namespace"]
      const object = objects[index] as { readonly eventTime?: string; readonly series?: object }
      assert.deepStrictEqual([eventTime, series], [object.eventTime ?? undefined, object.series ?? undefined])
      assert.strictEqual(
        creationTimestamp,
        (objects[index]!.metadata as { creationTimestamp?: string }).creationTimestamp?.replace("Z", ".000000Z")
      )
      return { ...before, metadata }
    })
    const byId = (a: { readonly id: string }, b: { readonly id: string }) => (a.id < b.id ? -1 : 1)
    assert.deepStrictEqual(read.sort(byId), [...answered.events, ...more.answers[0]!.events].sort(byId))
    assert.isTrue(stored.every(({ own }) => own))
  })

  it.effect("are counted up", () =>
    Effect.gen(function* () {
      for (const [index, { event }] of stored.entries()) {
        const { name, namespace } = objects[index]!.metadata
        const cluster = yield* serverWith({ namespaces: namespace === "default" ? [] : [namespace] })
        cluster.put(name, objects[index]!, namespace)
        const backend = yield* KubernetesBackend.make({ uidWait: 0 }).pipe(Effect.provide(cluster.layer))
        const { annotations: _a, name: _n, uid: _u, ...write } = event
        assert.deepStrictEqual(yield* backend.write([write]), [Backend.present], name)
        const isCut = objects[index]!.metadata.annotations?.[KubernetesEvent.annotations.dataCut] !== undefined
        // A journal has the data as it was given, which is cut with each write.
        const whole = isCut ? { ...write.event.data, error: "ä".repeat(40_000) } : write.event.data
        const more = {
          ...write,
          event: { ...write.event, data: whole },
          upTo: write.upTo + 3,
          count: write.count + 3,
          last: write.last + 5_000_000
        }
        assert.deepStrictEqual(yield* backend.write([more]), [Backend.updated], name)
        assert.strictEqual(cluster.objects.length, 1)
        const cut = KubernetesEvent.annotations.dataCut
        const grownObject = cluster.objects[0] as Resource
        assert.strictEqual(grownObject.metadata.annotations?.[cut], objects[index]!.metadata.annotations?.[cut])
        const grown = Result.getOrThrow(KubernetesEvent.fromResource(grownObject))
        assert.deepInclude(grown.event, { count: more.count, first: more.first, last: more.last, upTo: more.upTo })
        assert.deepStrictEqual(grown.event.event.data, write.event.data)
      }
    })
  )

  it("have the counts of combined and repeated events, and show where data was cut", () => {
    const of = (name: string) =>
      stored.filter(({ event }) => event.event.involvedObject.name === name).map(({ event }) => event)
    assert.strictEqual(
      of("many").reduce((sum, { count }) => sum + count, 0),
      5
    )
    assert.isTrue(
      of("many").some(({ count, event }) => count === 3 && event.message.startsWith("(combined from similar events)"))
    )
    assert.isTrue(of("large").every(({ event }) => String(event.data?.["error"]).endsWith("…")))
    assert.isTrue(of("web").some(({ count }) => count === 4))
  })

  it("have cursors and page tokens that are still valid, each with its filter and with no other", () => {
    for (const target of [Target.make(more.target), Target.make("a better name", { aliases: [more.target] })]) {
      for (const { cursorAfterOne, cursorOfQuery, filter, next } of more.answers) {
        const scope = { mode: "kubernetes", target, filter }
        const other = { ...scope, filter: { reason: "Other" } }
        for (const cursor of [cursorAfterOne, cursorOfQuery]) {
          assert.isTrue(Result.isSuccess(Position.decodeCursor(scope, cursor as never)))
          assert.isTrue(Result.isFailure(Position.decodeCursor(other, cursor as never)))
        }
        if (next === undefined) continue
        assert.isTrue(Result.isSuccess(Position.decodePageToken(scope, next as never)))
        assert.isTrue(Result.isFailure(Position.decodePageToken(other, next as never)))
      }
    }
  })

  it("have cursors and page tokens that are still valid, also where more is known of the cluster", () => {
    const scope = { mode: "kubernetes", target: Target.make(answered.target), filter: {} }
    const alias = { ...scope, target: Target.make("a better name", { aliases: [answered.target] }) }
    for (const one of [scope, alias]) {
      assert.isTrue(Result.isSuccess(Position.decodeCursor(one, answered.cursorOfQuery as never)))
      assert.isTrue(Result.isSuccess(Position.decodeCursor(one, answered.cursorAfterTwo as never)))
      assert.isTrue(Result.isSuccess(Position.decodePageToken(one, answered.next as never)))
    }
    const other = { ...scope, target: Target.make("another cluster") }
    assert.isTrue(Result.isFailure(Position.decodeCursor(other, answered.cursorOfQuery as never)))
  })
})
