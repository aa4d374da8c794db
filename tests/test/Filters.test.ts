/**
 * Filters mean the same in every store: what each backend answers is what `EventQuery.matches` picks from all that it has.
 */
import { assert, describe, it } from "@effect/vitest"
import * as FileBackend from "@tidings/backend-fs/FileBackend"
import * as KubernetesBackend from "@tidings/backend-k8s/KubernetesBackend"
import * as Backend from "@tidings/core/Backend"
import type { Event } from "@tidings/core/Event"
import * as EventId from "@tidings/core/EventId"
import * as EventJson from "@tidings/core/EventJson"
import * as EventQuery from "@tidings/core/EventQuery"
import * as ApiServer from "@tidings/testing-k8s/ApiServer"
import * as Arbitrary from "effect/Arbitrary"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"

const integer = (minimum: number, maximum: number) =>
  Arbitrary.schema(Schema.Int.check(Schema.isBetween({ minimum, maximum })))

const anyOf = <A>(values: ReadonlyArray<A>): Arbitrary.Arbitrary<A> =>
  Arbitrary.map(integer(0, values.length - 1), (index) => values[index]!)

const origin = "0123456789abcdef0123456789abcdef"

const kinds = ["Pod", "pod", "Workflow", ""]
const names = ["web", "web-0", "", 'a","kind":"Pod', "back\\slash"]
const namespaces = ["", "default", "team-a", "team-b"]
const apiVersions = ["", "/", "/v1", "v1", "apps/", "apps/v1", "a/b/c", 'q"/v1']
const reasons = ["Failed", "failed", 'say "hi"', "Fail"]
const components = ["kubelet", "Kubelet", "", "kubelet-2"]
const types = ["Normal", "Warning", "Error", ""]
const messages = [
  "",
  "ΟΔΟΣ 12",
  "οδος",
  "οδοσήμανση",
  "İstanbul",
  "ISTANBUL",
  "ıstanbul",
  "ſtraße",
  "STRASSE",
  "Kelvin",
  "😀",
  '"\\',
  "%_"
]
const texts = [...messages, "Σ", "ς", "i", "S", "k", "\ud83d", "\ude00", '"', "\\"]
const labels: ReadonlyArray<Readonly<Record<string, string>>> = [
  {},
  { a: "1" },
  { a: "1", b: "2" },
  { 'a":"1","b': "2" },
  { a: "}" },
  { a: '1","b":"2' },
  JSON.parse('{"__proto__":"1"}') as Record<string, string>
]
const clusters = [undefined, { id: "c1" }, { id: "c1", name: "production" }, { id: "", name: "" }, { id: "production" }]
const groups = ["", "/", "apps", "a", "v1", "a/b", 'q"']

const seldom = <A>(values: ReadonlyArray<A>): Arbitrary.Arbitrary<A | undefined> =>
  Arbitrary.flatMap(integer(0, 3), (one) => (one === 0 ? anyOf(values) : Arbitrary.Constant(undefined)))

const without = <A extends object>(value: A): { [K in keyof A]: Exclude<A[K], undefined> } =>
  Object.fromEntries(Object.entries(value).filter(([, field]) => field !== undefined)) as never

/** One value three times out of four, else a set, which may be empty. */
const some = <A>(values: ReadonlyArray<A>): Arbitrary.Arbitrary<EventQuery.OneOrMore<A> | undefined> =>
  Arbitrary.flatMap(integer(0, 7), (one) =>
    one > 1
      ? Arbitrary.Constant(undefined)
      : one === 0
        ? anyOf<EventQuery.OneOrMore<A>>(values)
        : Arbitrary.array(anyOf(values), { maxLength: 3 })
  )

const filters: Arbitrary.Arbitrary<EventQuery.EventFilter> = Arbitrary.map(
  Arbitrary.all({
    resourceType: some(kinds),
    resourceName: some(names),
    object: some([
      { kind: "Pod", name: "web" },
      { kind: "Pod", name: "web", apiGroup: "" },
      { kind: "", name: "", apiGroup: "apps" }
    ]),
    namespace: some(namespaces),
    objectNamespace: some(namespaces),
    apiGroup: some(groups),
    cluster: some(["c1", "production", ""]),
    eventType: some(types),
    reason: some(reasons),
    source: some(components),
    name: some(["", "event-1", "event-2", EventId.objectName({ origin, seq: 1 }, "web-0")]),
    labels: seldom(labels),
    match: seldom(texts)
  }),
  without
)

/** Every value of the pools, each with values of the others beside it. */
const stock: ReadonlyArray<Event> = Array.from({ length: 120 }, (_, index): Event => {
  const of = <A>(values: ReadonlyArray<A>, step: number): A => values[Math.floor(index / step) % values.length]!
  const involvedObject = without({
    kind: of(kinds, 1),
    name: of(names, 1),
    namespace: index % 7 === 0 ? undefined : of(namespaces, 3),
    apiVersion: index % 5 === 0 ? undefined : of(apiVersions, 1)
  })
  return {
    id: { origin, seq: index + 1 },
    upTo: index + 1,
    count: 1,
    first: 1_800_000_000_000_000 + index,
    last: 1_800_000_000_000_000 + index,
    name: `event-${index + 1}`,
    namespace: index % 3 === 0 ? "" : of(namespaces, 1),
    ...without({ cluster: of(clusters, 1) }),
    event: {
      involvedObject,
      reason: of(reasons, 1),
      type: of(types, 5),
      action: "Act",
      message: of(messages, 1),
      data: {},
      source: { component: of(components, 7) },
      reportingController: "example.com/controller",
      reportingInstance: "controller-0",
      labels: of(labels, 1)
    }
  }
})

/** Without a namespace of their own, as the first release wrote lines about objects that are in none. */
const firstRelease = (event: Event): string => {
  const { namespace: _, ...metadata } = EventJson.toObject(event).metadata
  return JSON.stringify({ ...EventJson.toObject(event), metadata })
}

const openLog = Effect.gen(function* () {
  const directory = yield* Effect.acquireRelease(
    Effect.sync(() => fs.mkdtempSync(path.join(os.tmpdir(), "tidings-filters-"))),
    (made) => Effect.sync(() => fs.rmSync(made, { recursive: true, force: true }))
  )
  const context = yield* Layer.build(FileBackend.layer({ directory, console: false }))
  const backend = Context.get(context, Backend.Backend)
  yield* backend.write(stock.slice(0, 60).map(({ name: _, ...write }) => write))
  const segment = fs.readdirSync(directory).find((file) => file.endsWith(".ndjson"))!
  const lines = stock.slice(60).map((event, index) => (index % 2 === 0 ? EventJson.encode(event) : firstRelease(event)))
  // Lines without checksums, in a segment of their own.
  fs.writeFileSync(path.join(directory, segment.replace("events-00000001", "events-00000002")), `${lines.join("\n")}\n`)
  return backend
})

const openMemory = Effect.gen(function* () {
  const backend = Context.get(yield* Layer.build(Layer.fresh(Backend.layerMemory())), Backend.Backend)
  yield* backend.write(stock.map(({ name: _, ...write }) => write))
  return backend
})

/** As other writers may have stored them. */
const stored = (event: Event): ApiServer.KubernetesObject => {
  const { involvedObject, labels: _, reportingController, reportingInstance, source, ...body } = event.event
  return {
    apiVersion: "v1",
    kind: "Event",
    metadata: { name: event.name, namespace: involvedObject.namespace || "default" },
    involvedObject: { ...involvedObject },
    reason: body.reason,
    message: body.message,
    type: body.type,
    action: body.action,
    source: { ...source },
    reportingComponent: reportingController,
    reportingInstance,
    firstTimestamp: "2026-11-28T00:00:00Z",
    lastTimestamp: new Date(Date.UTC(2026, 10, 28) + event.id.seq * 1_000).toISOString().replace(".000", ""),
    count: 1
  }
}

const openCluster = Effect.gen(function* () {
  const server = yield* ApiServer.make({ namespaces: ["team-a", "team-b"], objects: stock.map(stored) })
  const context = yield* Layer.build(KubernetesBackend.layer({ kubeconfig: server.kubeconfigFile, uidWait: 0 }))
  return Context.get(context, Backend.Backend)
})

describe("a filter", () => {
  for (const [store, open] of [
    ["in memory", openMemory],
    ["in the event log", openLog],
    ["in a cluster", openCluster]
  ] as const) {
    it.live(
      `finds ${store} what EventQuery.matches picks, whatever the values are`,
      () =>
        Effect.gen(function* () {
          const backend = yield* open
          const all = yield* backend.query({})
          assert.strictEqual(all.totalCount, stock.length)
          const single = texts.map((match): EventQuery.EventFilter => ({ match }))
          const fields: ReadonlyArray<EventQuery.EventFilter> = [
            ...namespaces.flatMap((one) => [
              { namespace: one },
              { objectNamespace: one },
              { namespace: [one, "team-a"] }
            ]),
            ...groups.map((apiGroup) => ({ apiGroup })),
            ...labels.map((one) => ({ labels: one })),
            { namespace: [] }
          ]
          const drawn = yield* Arbitrary.sampleEffect(filters, { count: 250 })
          let found = 0
          for (const filter of [...single, ...fields, ...drawn]) {
            const expected = all.events
              .filter((event) => EventQuery.matches(filter, event))
              .map(({ id }) => EventId.format(id))
            found += expected.length
            const page = yield* backend.query(filter)
            assert.deepStrictEqual(
              page.events.map(({ id }) => EventId.format(id)),
              expected,
              JSON.stringify(filter)
            )
            const watched = yield* backend.watch(filter, "beginning").pipe(
              Stream.takeUntil(({ _tag }) => _tag === "Live"),
              Stream.runCollect
            )
            assert.sameMembers(
              Array.from(watched).flatMap((item) => (item._tag === "Event" ? [EventId.format(item.event.id)] : [])),
              expected,
              `watch ${JSON.stringify(filter)}`
            )
          }
          assert.isAbove(found, 500)
        }).pipe(Effect.scoped),
      60_000
    )
  }
})
