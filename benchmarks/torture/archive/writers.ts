/**
 * Three writers of events, as clusters have them: one of core/v1 as the kubelet writes, one of events.k8s.io/v1, and Tidings.
 * Every fourth event happens again, so that its count grows.
 */
import * as KubernetesBackend from "@tidings/backend-k8s/KubernetesBackend"
import * as KubernetesConnection from "@tidings/backend-k8s/KubernetesConnection"
import type { Write } from "@tidings/core/Event"
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"

const NAMESPACE = "torture"

class NotYet extends Error {}

const core = (n: number) => ({
  apiVersion: "v1",
  kind: "Event",
  metadata: { name: `core-${n}`, namespace: NAMESPACE },
  involvedObject: { apiVersion: "v1", kind: "Pod", name: `pod-${n % 500}`, namespace: NAMESPACE },
  reason: "BackOff",
  message: `Back-off restarting failed container ${n}`,
  type: "Warning",
  source: { component: "kubelet", host: "node-1" },
  firstTimestamp: new Date().toISOString().replace(/\.\d+/, ""),
  lastTimestamp: new Date().toISOString().replace(/\.\d+/, ""),
  count: 1
})

const series = (n: number) => ({
  apiVersion: "events.k8s.io/v1",
  kind: "Event",
  metadata: { name: `series-${n}`, namespace: NAMESPACE },
  regarding: { apiVersion: "v1", kind: "Pod", name: `pod-${n % 500}`, namespace: NAMESPACE },
  reason: "FailedScheduling",
  action: "Scheduling",
  note: `0/5 nodes are available ${n}`,
  type: "Warning",
  reportingController: "scheduler.example.com/scheduler",
  reportingInstance: "scheduler-0",
  eventTime: `${new Date().toISOString().slice(0, -1)}000Z`
})

const write = (n: number): Write => ({
  id: { origin: "0123456789abcdef0123456789abcdef", seq: n },
  upTo: n,
  count: 1,
  first: Date.now() * 1_000,
  last: Date.now() * 1_000,
  event: {
    involvedObject: {
      apiVersion: "torture.tidings.dev/v1",
      kind: "Thing",
      name: `thing-${n % 500}`,
      namespace: NAMESPACE,
      uid: `00000000-0000-4000-8000-${String(n % 500).padStart(12, "0")}`
    },
    reason: "Tortured",
    type: "Normal",
    action: "Torture",
    message: `it happened ${n}`,
    data: {},
    source: { component: "torture" },
    reportingController: "torture",
    reportingInstance: "torture-0"
  }
})

const forever = Schedule.spaced("200 millis")

/** Writes so many events in all, evenly over a time; whatever is in the way, each of them in the end. */
export const run = (options: { readonly kubeconfig: string; readonly events: number; readonly millis: number }) =>
  Effect.gen(function* () {
    const connection = yield* KubernetesConnection.make({ kubeconfig: options.kubeconfig, context: "admin" })
    const backend = yield* KubernetesBackend.make({ uidWait: 0 }).pipe(
      Effect.provideService(KubernetesConnection.KubernetesConnection, connection)
    )
    const send = (method: "POST" | "PATCH", path: string, body: object) =>
      Effect.flatMap(
        connection.request({
          method,
          path,
          body: JSON.stringify(body),
          contentType: method === "POST" ? "application/json" : "application/merge-patch+json"
        }),
        ({ status }) =>
          status < 300 || status === 409 || status === 404 ? Effect.void : Effect.fail(new NotYet(String(status)))
      ).pipe(Effect.retry(forever))
    const put = (one: Write) =>
      Effect.flatMap(backend.write([one]), ([outcome]) =>
        outcome?._tag === "Settled" ? Effect.void : Effect.fail(new NotYet(outcome?._tag))
      ).pipe(Effect.retry(forever))

    const startedAt = Date.now()
    const one = (n: number) =>
      Effect.gen(function* () {
        const early = startedAt + (n / options.events) * options.millis - Date.now()
        if (early > 0) yield* Effect.sleep(early)
        const again = n % 4 === 0
        if (n % 4 < 2) {
          yield* send("POST", `/api/v1/namespaces/${NAMESPACE}/events`, core(n))
          if (!again) return
          for (const count of [2, 3]) {
            const { lastTimestamp } = core(n)
            yield* send("PATCH", `/api/v1/namespaces/${NAMESPACE}/events/core-${n}`, { count, lastTimestamp })
          }
        } else if (n % 4 === 2) {
          yield* send("POST", `/apis/events.k8s.io/v1/namespaces/${NAMESPACE}/events`, series(n))
          if (n % 8 !== 2) return
          yield* send("PATCH", `/apis/events.k8s.io/v1/namespaces/${NAMESPACE}/events/series-${n}`, {
            series: { count: 2, lastObservedTime: `${new Date().toISOString().slice(0, -1)}000Z` }
          })
        } else {
          const first = write(n)
          yield* put(first)
          if (n % 8 === 3) yield* put({ ...first, upTo: n + 1, count: 2, last: Date.now() * 1_000 })
        }
      })
    yield* Effect.forEach(
      Array.from({ length: options.events }, (_, n) => n),
      one,
      { concurrency: 24, discard: true }
    )
  })
