/**
 * Several namespaces of a cluster, read one by one by somebody who may not read all of them: on the API server double, over
 * real sockets.
 */
import { assert, describe, it } from "@effect/vitest"
import * as KubernetesBackend from "@tidings/backend-k8s/KubernetesBackend"
import * as Backend from "@tidings/core/Backend"
import type { Write } from "@tidings/core/Event"
import type { EventFilter, EventPage, PageToken, WatchItem } from "@tidings/core/EventQuery"
import * as ApiServer from "@tidings/testing-k8s/ApiServer"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Queue from "effect/Queue"
import * as Stream from "effect/Stream"

const origin = "0123456789abcdef0123456789abcdef"

const write = (seq: number, namespace: string, body: Partial<Write["event"]> = {}): Write => ({
  id: { origin, seq },
  upTo: seq,
  count: 1,
  first: 1_800_000_000_000_000 + seq * 1_000,
  last: 1_800_000_000_000_000 + seq * 1_000,
  event: {
    involvedObject: { apiVersion: "v1", kind: "ConfigMap", name: "settings", namespace },
    reason: "Changed",
    type: "Normal",
    action: "Change",
    message: `change ${seq}`,
    data: {},
    source: { component: "host" },
    reportingController: "example.com/host",
    reportingInstance: "host-0",
    ...body
  }
})

const reading = (...namespaces: ReadonlyArray<string>) => ({
  verbs: ["get", "list", "watch"],
  resources: ["events"],
  apiGroups: [""],
  namespaces
})

const open = Effect.gen(function* () {
  const server = yield* ApiServer.make({
    namespaces: ["team-a", "team-b", "team-c"],
    users: [
      { name: "two", rules: [reading("team-a", "team-b")] },
      { name: "none", rules: [] }
    ]
  })
  const as = (context: string) =>
    Effect.map(
      Layer.build(KubernetesBackend.layer({ kubeconfig: server.kubeconfigFile, context, uidWait: 0 })),
      (built) => Context.get(built, Backend.Backend)
    )
  return { server, writer: yield* as("writer"), two: yield* as("two"), none: yield* as("none") }
})

const seqs = ({ events }: EventPage): ReadonlyArray<number> => events.map(({ id }) => id.seq)

const told = (item: WatchItem): string | number => (item._tag === "Event" ? item.event.id.seq : item._tag)

describe("a filter that names several namespaces", () => {
  it.live("is answered by who may read these and not all, page by page, and its cursor leads on", () =>
    Effect.gen(function* () {
      const { two, writer } = yield* open
      yield* writer.write([1, 2, 3, 4, 5, 6].map((seq) => write(seq, ["team-a", "team-b", "team-c"][seq % 3]!)))
      const filter = { namespace: ["team-b", "team-a"] }
      assert.strictEqual((yield* Effect.flip(two.query({}))).reason._tag, "Unauthorized")
      const all = yield* two.query(filter)
      assert.deepStrictEqual(seqs(all), [6, 4, 3, 1])
      assert.strictEqual(all.totalCount, 4)
      assert.isUndefined(all.incomplete)
      assert.strictEqual(all.coverage.length, 1)
      assert.strictEqual(all.coverage[0]!.since, "unknown")

      const paged: Array<number> = []
      let page: PageToken | undefined
      do {
        const found: EventPage = yield* two.query({ ...filter, limit: 1, ...(page === undefined ? {} : { page }) })
        assert.strictEqual(found.totalCount, 4)
        paged.push(...seqs(found))
        page = found.next
      } while (page !== undefined)
      assert.deepStrictEqual(paged, [6, 4, 3, 1])

      const items = yield* Stream.toQueue(two.watch({ namespace: ["team-a", "team-b"] }, all.cursor), {
        capacity: "unbounded"
      })
      assert.strictEqual(told(yield* Queue.take(items)), "Live")
      yield* writer.write([write(7, "team-c"), write(8, "team-a")])
      const eighth = yield* Queue.take(items)
      assert.strictEqual(told(eighth), 8)
      yield* writer.write([write(9, "team-b")])
      assert.strictEqual(told(yield* Queue.take(items)), 9)
      const again = yield* Stream.runCollect(Stream.take(two.watch(filter, eighth.cursor), 2))
      assert.sameMembers(again.map(told), [9, "Live"])
    }).pipe(Effect.scoped)
  )

  it.live("is answered without those that may not be read, and says which", () =>
    Effect.gen(function* () {
      const { none, two, writer } = yield* open
      yield* writer.write([write(1, "team-a"), write(2, "team-c")])
      const filter = { namespace: ["team-a", "team-c"] }
      const page = yield* two.query(filter)
      assert.deepStrictEqual(seqs(page), [1])
      assert.strictEqual(page.totalCount, 1)
      assert.strictEqual(page.incomplete?.length, 1)
      assert.include(page.incomplete![0]!.reason, "team-c")
      assert.strictEqual(page.incomplete![0]!.store, page.coverage[0]!.store)

      const refused = yield* Effect.flip(Stream.runDrain(two.watch(filter, "now")))
      assert.strictEqual(refused.reason._tag, "Unauthorized")
      assert.include(refused.reason.detail, "team-c")
      assert.strictEqual((yield* Effect.flip(none.query(filter))).reason._tag, "Unauthorized")
    }).pipe(Effect.scoped)
  )
})

describe("a filter that names namespaces which there cannot be, or that nothing matches", () => {
  const impossible = ["", "Team A", "../nodes", "a/b", "-", "x".repeat(64), "\ud800"]

  it.live("needs no right of any namespace but those that can be", () =>
    Effect.gen(function* () {
      const { two, writer } = yield* open
      yield* writer.write([write(1, "team-a"), write(2, "team-b"), write(3, "team-c")])
      for (const name of impossible) {
        for (const [namespace, expected] of [
          [[name, "team-a"], [1]],
          [
            ["team-b", name, "team-a"],
            [2, 1]
          ]
        ] as const) {
          const page = yield* two.query({ namespace })
          assert.deepStrictEqual(seqs(page), expected, JSON.stringify(namespace))
          assert.isUndefined(page.incomplete)
          const items = yield* Stream.toQueue(two.watch({ namespace }, page.cursor), { capacity: "unbounded" })
          assert.strictEqual(told(yield* Queue.take(items)), "Live")
        }
        // Beside one that may not be read, it is no answer.
        const refused = yield* Effect.flip(two.query({ namespace: [name, "team-c"] }))
        assert.strictEqual(refused.reason._tag, "Unauthorized")
        assert.include(refused.reason.detail, "team-c")
      }
    }).pipe(Effect.scoped)
  )

  it.live("is answered without a right, and its cursor and its watch hold", () =>
    Effect.gen(function* () {
      const { none, server, writer } = yield* open
      yield* writer.write([write(1, "team-a")])
      const before = (yield* server.requests).length
      const filters: ReadonlyArray<EventFilter> = [
        { namespace: [] },
        { namespace: "Team A" },
        { namespace: impossible },
        { namespace: "team-c", reason: [] },
        { object: [] },
        { since: 2, until: 1 }
      ]
      for (const filter of filters) {
        const page = yield* none.query(filter)
        assert.deepStrictEqual([page.totalCount, page.events, page.next], [0, [], undefined], JSON.stringify(filter))
        assert.strictEqual(page.coverage[0]!.since, "unknown")
        for (const from of ["beginning", "now", { last: 3 }, page.cursor] as const) {
          const items = yield* Stream.toQueue(none.watch(filter, from), { capacity: "unbounded" })
          const live = yield* Queue.take(items)
          assert.strictEqual(told(live), "Live")
          const again = yield* Stream.runCollect(Stream.take(none.watch(filter, live.cursor), 1))
          assert.deepStrictEqual(again.map(told), ["Live"])
          assert.strictEqual(yield* Queue.size(items), 0)
        }
        const foreign = yield* Effect.flip(Stream.runDrain(none.watch({ ...filter, reason: ["x"] }, page.cursor)))
        assert.strictEqual(foreign.reason._tag, "CursorMismatch")
      }
      const asked = (yield* server.requests).slice(before).map(({ path }) => path)
      assert.deepStrictEqual(
        asked.filter((path) => path.includes("/events")),
        []
      )
    }).pipe(Effect.scoped)
  )
})

describe("a filter with a lone surrogate, which no URL can hold", () => {
  it.live("finds nothing, as in every other store", () =>
    Effect.gen(function* () {
      const { two, writer } = yield* open
      yield* writer.write([write(1, "team-a")])
      const bad = "\ud800"
      for (const filter of [
        { reason: bad },
        { resourceName: bad },
        { name: bad },
        { object: { kind: "ConfigMap", name: bad } }
      ]) {
        assert.strictEqual((yield* two.query({ namespace: "team-a", ...filter })).totalCount, 0)
        const [first] = yield* Stream.runCollect(
          Stream.take(two.watch({ namespace: "team-a", ...filter }, "beginning"), 1)
        )
        assert.strictEqual(told(first!), "Live")
      }
    }).pipe(Effect.scoped)
  )
})

describe("a filter by labels", () => {
  it.live(
    "is applied by the server where it can be, and here where an event has labels that Kubernetes does not take",
    () =>
      Effect.gen(function* () {
        const { server, two, writer } = yield* open
        yield* writer.write([
          write(1, "team-a", { labels: { team: "payments" } }),
          write(2, "team-a", { labels: { team: "payments", note: "not a label value!" } }),
          write(3, "team-a", { labels: { team: "orders", note: "not a label value!" } }),
          write(4, "team-a")
        ])
        const ask = (labels: Readonly<Record<string, string>>) => two.query({ namespace: "team-a", labels })
        assert.deepStrictEqual(seqs(yield* ask({ team: "payments" })), [2, 1])
        assert.deepStrictEqual(seqs(yield* ask({ note: "not a label value!" })), [3, 2])
        assert.deepStrictEqual(seqs(yield* ask({ note: "not a label value!", team: "orders" })), [3])
        const selectors = (yield* server.requests)
          .filter(({ user, verb }) => verb === "list" && user === "two")
          .flatMap(({ query }) => new URLSearchParams(query).get("labelSelector") ?? [])
        assert.deepStrictEqual(selectors, ["team=payments", "team=orders"])
      }).pipe(Effect.scoped)
  )
})
