// story: what happened to an object, and to which objects something happened
import type { Write } from "@tidings/core/Event"
import * as Timestamp from "@tidings/core/Timestamp"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { TestClock } from "effect/testing"
import * as yaml from "yaml"
import { memory, run, write } from "./harness.ts"

process.env["TZ"] = "UTC"

const now = Timestamp.parse("2026-08-22T10:30:00Z")!

const naming = (one: Write, kind: string, name: string): Write => ({
  ...one,
  event: { ...one.event, related: { kind, name } }
})

/** An object that failed and recovered, one that fails, one that never failed, and one of the day before. */
const told = Effect.gen(function* () {
  yield* TestClock.setTime(now / 1_000)
  const backend = yield* memory()
  const web = { kind: "Pod", name: "web" }
  const api = { kind: "Pod", name: "api", namespace: "team-a" }
  yield* backend.service.write([
    naming(write(1, { ...web, at: "2026-08-22T10:00:00Z", reason: "Scheduled", message: "placed" }), "Node", "n1"),
    write(2, {
      ...web,
      at: "2026-08-22T10:19:00Z",
      first: "2026-08-22T10:10:00Z",
      count: 12,
      upTo: 13,
      type: "Warning",
      reason: "BackOff",
      message: "restarting failed container"
    }),
    write(14, { ...web, at: "2026-08-22T10:12:00Z", type: "Warning", reason: "Unhealthy", message: "probe failed" }),
    write(15, { ...web, at: "2026-08-22T10:20:00Z", reason: "Started", message: "it runs again" }),
    naming(write(16, { ...web, at: "2026-08-22T10:21:00Z", reason: "Bound", message: "bound" }), "Node", "n1"),
    write(20, { ...api, at: "2026-08-22T10:00:00Z", reason: "Started" }),
    write(21, { ...api, at: "2026-08-22T10:25:00Z", type: "Warning", reason: "Killing", message: "out of memory" }),
    write(30, { at: "2026-08-22T10:29:00Z", name: "fine" }),
    write(40, { at: "2026-08-21T09:00:00Z", name: "old", type: "Warning" })
  ])
  return backend
})

describe("the story of an object", () => {
  it.effect("has its phases, its failures, what recovered it and what its events name, in order", () =>
    Effect.gen(function* () {
      const { layer } = yield* told
      assert.deepStrictEqual(yield* run(layer, ["story", "pod/web"]), {
        code: 0,
        out: [
          "Pod/web in default: 5 events with 16 occurrences over 21m, recovered 10m ago",
          "TIME      TYPE     REASON     REPEATS      MESSAGE",
          "-- normal for 10m --",
          "10:00:00  Normal   Scheduled               placed",
          "-- failing for 10m --",
          "10:10:00  Warning  BackOff    ×12 over 9m  restarting failed container",
          "10:12:00  Warning  Unhealthy               probe failed",
          "-- recovered, normal for 60s --",
          "10:20:00  Normal   Started                 it runs again",
          "10:21:00  Normal   Bound                   bound",
          "",
          "first failure  10:10:00  BackOff: restarting failed container",
          "last failure   10:19:00  BackOff: restarting failed container",
          "recovered by   10:20:00  Started: it runs again, after 10m",
          "names          Node/n1 (×2)"
        ],
        err: []
      })
    })
  )

  it.effect("says that it still fails, and since when", () =>
    Effect.gen(function* () {
      const { layer } = yield* told
      const { out } = yield* run(layer, ["story", "pod/api"])
      assert.deepStrictEqual(out, [
        "Pod/api in team-a: 2 events with 2 occurrences over 25m, failing for 5m",
        "TIME      TYPE     REASON   MESSAGE",
        "-- normal for 25m --",
        "10:00:00  Normal   Started  message 20",
        "-- failing for 5m until now --",
        "10:25:00  Warning  Killing  out of memory",
        "",
        "first failure  10:25:00  Killing: out of memory",
        "last failure   10:25:00  Killing: out of memory",
        "recovered by   nothing yet"
      ])
    })
  )

  it.effect("is told of several objects, with the newest rows where there are many", () =>
    Effect.gen(function* () {
      const { layer } = yield* told
      const both = yield* run(layer, ["story", "pod/web,pod/api", "--limit", "2"])
      assert.deepStrictEqual(
        both.out.filter((line) => /^Pod|^--/.test(line)),
        [
          "Pod/api in team-a: 2 events with 2 occurrences over 25m, failing for 5m",
          "-- normal for 25m --",
          "-- failing for 5m until now --",
          "Pod/web in default: 5 events with 16 occurrences over 21m, recovered 10m ago",
          "-- recovered, normal for 60s --"
        ]
      )
      assert.deepStrictEqual(both.err, ["the newest 2 of 5 rows of Pod/web in default; show all with --limit all"])
    })
  )

  it.effect("is one document with -o json, the same with -o yaml", () =>
    Effect.gen(function* () {
      const { layer } = yield* told
      const { coverage, items, ...document } = JSON.parse(
        (yield* run(layer, ["story", "pod/web", "-o", "json"])).out.join("\n")
      )
      const event = { firstSeen: "2026-08-22T10:10:00.000000Z", lastSeen: "2026-08-22T10:19:00.000000Z" }
      const backOff = {
        type: "Warning",
        reason: "BackOff",
        message: "restarting failed container",
        count: 12,
        ...event
      }
      assert.deepStrictEqual(document, {
        object: { kind: "Pod", name: "web", namespace: "default", apiGroup: "example.com" },
        state: "recovered",
        since: "2026-08-22T10:20:00.000000Z",
        events: 5,
        count: 16,
        warnings: 13,
        firstSeen: "2026-08-22T10:00:00.000000Z",
        lastSeen: "2026-08-22T10:21:00.000000Z",
        phases: [
          { state: "normal", from: "2026-08-22T10:00:00.000000Z", to: "2026-08-22T10:10:00.000000Z", seconds: 600 },
          { state: "failing", from: "2026-08-22T10:10:00.000000Z", to: "2026-08-22T10:20:00.000000Z", seconds: 600 },
          { state: "normal", from: "2026-08-22T10:20:00.000000Z", to: "2026-08-22T10:21:00.000000Z", seconds: 60 }
        ],
        firstFailure: backOff,
        lastFailure: backOff,
        recovered: {
          type: "Normal",
          reason: "Started",
          message: "it runs again",
          count: 1,
          firstSeen: "2026-08-22T10:20:00.000000Z",
          lastSeen: "2026-08-22T10:20:00.000000Z",
          afterSeconds: 600
        },
        names: [{ object: "Node/n1", count: 2 }]
      })
      assert.deepStrictEqual(
        items.map(({ reason }: { readonly reason: string }) => reason),
        ["Scheduled", "Unhealthy", "BackOff", "Started", "Bound"]
      )
      const asYaml = yaml.parse((yield* run(layer, ["story", "pod/web", "-o", "yaml"])).out.join("\n"))
      assert.deepStrictEqual(asYaml, { ...document, coverage, items })
      const list = JSON.parse((yield* run(layer, ["list", "-o", "json"])).out.join("\n"))
      assert.deepStrictEqual(coverage, list.coverage)
    })
  )

  it.effect("names its owner, and the owner of that, where a controller tells of them", () =>
    Effect.gen(function* () {
      yield* TestClock.setTime(now / 1_000)
      const { layer, service } = yield* memory()
      const at = "2026-08-22T10:00:00Z"
      const controller = (seq: number, kind: string, name: string, message: string, namespace = "default") =>
        write(seq, { at, kind, name, message, namespace, reason: "SuccessfulCreate" })
      yield* service.write([
        write(1, { at, kind: "Pod", name: "web-7d4-x", reason: "Started" }),
        controller(2, "ReplicaSet", "web-7d4", "Created pod: web-7d4-x"),
        controller(3, "Deployment", "web", "Scaled up replica set web-7d4 to 3 from 0"),
        // Others, whose names begin with the same, and the same in another namespace.
        controller(4, "ReplicaSet", "other", "Created pod: web-7d4-xyz"),
        controller(5, "ReplicaSet", "elsewhere", "Created pod: web-7d4-x", "team-a"),
        write(6, { at, kind: "Pod", name: "db-0", reason: "Started" }),
        controller(7, "StatefulSet", "db", "create Pod db-0 in StatefulSet db successful"),
        write(8, { at, kind: "Job", name: "backup-1", reason: "Completed" }),
        controller(9, "CronJob", "backup", "Created job backup-1"),
        write(10, { at, kind: "Workflow", name: "w", reason: "Ran" }),
        write(12, { at, kind: "constructor", name: "w", reason: "Ran" }),
        controller(11, "ReplicaSet", "liar", "Created pod: w")
      ])
      const ownersOf = (object: string) =>
        Effect.map(run(layer, ["story", object, "-o", "json"]), ({ out }) => JSON.parse(out.join("\n"))["owners"])
      const { out } = yield* run(layer, ["story", "pod/web-7d4-x"])
      assert.strictEqual(out.at(-1), "owner  ReplicaSet/web-7d4, Deployment/web")
      assert.deepStrictEqual(yield* ownersOf("pod/web-7d4-x"), [
        { kind: "ReplicaSet", name: "web-7d4" },
        { kind: "Deployment", name: "web" }
      ])
      assert.deepStrictEqual(yield* ownersOf("rs/web-7d4"), [{ kind: "Deployment", name: "web" }])
      assert.deepStrictEqual(yield* ownersOf("pod/db-0"), [{ kind: "StatefulSet", name: "db" }])
      assert.deepStrictEqual(yield* ownersOf("job/backup-1"), [{ kind: "CronJob", name: "backup" }])
      assert.isUndefined(yield* ownersOf("Workflow/w"))
      assert.isUndefined(yield* ownersOf("constructor/w"))
    })
  )

  it.effect("fits the terminal", () =>
    Effect.gen(function* () {
      const { layer } = yield* told
      for (const columns of [60, 80, 200]) {
        for (const argv of [["story", "pod/web"], ["story"]]) {
          const { out } = yield* run(layer, argv, { columns })
          assert.isTrue(Math.max(...out.map((line) => line.length)) <= columns, out.join("\n"))
        }
      }
    })
  )

  it.effect("names what is near to an object that there is not", () =>
    Effect.gen(function* () {
      const { layer } = yield* told
      assert.deepStrictEqual(yield* run(layer, ["story", "pod/wbe"]), {
        code: 0,
        out: [],
        err: ["no Pod/wbe here; Pod/web has 5 events"]
      })
    })
  )
})

describe("the story of all objects", () => {
  it.effect("has the objects of the last 24 hours, those that fail first", () =>
    Effect.gen(function* () {
      const { layer } = yield* told
      assert.deepStrictEqual(yield* run(layer, ["story"]), {
        code: 0,
        out: [
          "STATE      FOR  OBJECT         NAMESPACE  COUNT  WARNINGS  LAST REASON       MESSAGE",
          "failing    5m   Pod/api        team-a     2      1         Killing           out of memory",
          "recovered  10m  Pod/web        default    16     13        Bound             bound",
          "normal     60s  Workflow/fine  default    1      0         WorkflowExecuted  message 30"
        ],
        err: []
      })
      const longer = yield* run(layer, ["story", "--since", "7d", "--limit", "1"])
      assert.match(longer.out[1]!, /^failing +5m +Pod\/api/)
      assert.deepStrictEqual(longer.err, ["1 of 4 objects, those that fail first; show all with --limit all"])
    })
  )

  it.effect("is a document of all with -o json", () =>
    Effect.gen(function* () {
      const { layer } = yield* told
      const { objects, total } = JSON.parse((yield* run(layer, ["story", "pod", "-o", "json"])).out.join("\n"))
      assert.strictEqual(total, 2)
      assert.deepStrictEqual(
        objects.map((one: any) => [one.object.name, one.state]),
        [
          ["api", "failing"],
          ["web", "recovered"]
        ]
      )
    })
  )

  it.effect("says where to look when there is no news", () =>
    Effect.gen(function* () {
      const { layer } = yield* memory()
      assert.deepStrictEqual((yield* run(layer, ["story"])).err, [
        "no events in the last 24 hours; look further back with --since"
      ])
    })
  )
})
