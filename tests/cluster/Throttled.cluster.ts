import { assert, describe, it } from "@effect/vitest"
import * as Backend from "@tidings/core/Backend"
import * as Journal from "@tidings/core/Journal"
import * as Recorder from "@tidings/core/Recorder"
import * as Templates from "@tidings/core/Templates"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import { afterAll, beforeAll } from "vitest"
import { start, type TestCluster } from "./TestCluster.ts"

let cluster: TestCluster
beforeAll(async () => {
  cluster = await start()
})
afterAll(async () => {
  await cluster[Symbol.asyncDispose]()
})

const host = Layer.unwrap(
  Effect.sync(() =>
    Recorder.layer({
      component: "throttled",
      // Otherwise the recorder itself limits what is said of one object.
      sinks: [Recorder.sink({ name: "cluster", backend: Backend.Backend, correlation: "off" })]
    }).pipe(Layer.provide([Journal.layerMemory(), Templates.layer, cluster.layer("user"), Logger.layer([])]))
  )
)

/** Seconds until all are delivered. */
const deliver = (recorder: Recorder.Recorder["Service"], drafts: ReadonlyArray<Recorder.EventDraft>) =>
  Effect.gen(function* () {
    const begun = Date.now()
    const answers = yield* Effect.forEach(drafts, (draft) => recorder.recordSettled(draft), {
      concurrency: "unbounded"
    })
    for (const answer of answers) {
      assert.strictEqual(answer._tag === "Accepted" ? answer.sinks["cluster"]!._tag : answer._tag, "Settled")
    }
    return (Date.now() - begun) / 1_000
  })

const draft = (namespace: string, name: string, n: number): Recorder.EventDraft => ({
  involvedObject: {
    apiVersion: "v1",
    kind: "Pod",
    name,
    namespace,
    uid: `uid-of-${name}`
  },
  reason: `Changed${n}`,
  message: `The pod was changed for the ${n}th time`
})

const RATE = 10
const BURST = 20
const LIMITED = 200
/** Of the time that the limit allows. */
const MARGIN = 1.25

describe("a server that limits events", () => {
  it.live(
    "of a namespace gets as many as it takes, and no other namespace waits for that",
    () =>
      Effect.gen(function* () {
        const { own } = cluster
        // A cluster of somebody else is not limited; there the events only have to arrive.
        if (own !== undefined) {
          yield* Effect.promise(async () => {
            await own.killApiServer()
            await own.startApiServer({ eventRateLimit: { type: "Namespace", qps: RATE, burst: BURST } })
          })
        }
        const [, limited, other] = cluster.namespaces
        yield* Effect.gen(function* () {
          const recorder = yield* Recorder.Recorder
          const [seconds, otherSeconds] = yield* Effect.all(
            [
              deliver(
                recorder,
                Array.from({ length: LIMITED }, (_, n) => draft(limited, `limited-${n}`, 1))
              ),
              Effect.andThen(
                Effect.sleep("3 seconds"),
                deliver(
                  recorder,
                  Array.from({ length: BURST - 5 }, (_, n) => draft(other, `other-${n}`, 1))
                )
              )
            ],
            { concurrency: "unbounded" }
          )
          assert.isBelow(seconds, ((LIMITED - BURST) / RATE) * MARGIN)
          assert.isBelow(otherSeconds, 2)
        }).pipe(Effect.provide(host))
      }),
    120_000
  )

  it.live(
    "of one object gets as many as it takes, and no other object waits for that",
    () =>
      Effect.gen(function* () {
        const { own } = cluster
        if (own !== undefined) {
          yield* Effect.promise(async () => {
            await own.killApiServer()
            await own.startApiServer({ eventRateLimit: { type: "SourceAndObject", qps: RATE, burst: BURST } })
          })
        }
        const [, namespace] = cluster.namespaces
        yield* Effect.gen(function* () {
          const recorder = yield* Recorder.Recorder
          const [seconds, otherSeconds] = yield* Effect.all(
            [
              deliver(
                recorder,
                Array.from({ length: LIMITED / 2 }, (_, n) => draft(namespace, "busy", n))
              ),
              Effect.andThen(
                Effect.sleep("3 seconds"),
                deliver(
                  recorder,
                  Array.from({ length: LIMITED }, (_, n) => draft(namespace, `idle-${n}`, 1))
                )
              )
            ],
            { concurrency: "unbounded" }
          )
          assert.isBelow(seconds, ((LIMITED / 2 - BURST) / RATE) * MARGIN)
          assert.isBelow(otherSeconds, 3)
        }).pipe(Effect.provide(host))
      }),
    120_000
  )
})
