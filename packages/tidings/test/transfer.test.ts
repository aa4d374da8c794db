// export, import
import * as Backend from "@tidings/core/Backend"
import { BackendError, Full, Transient } from "@tidings/core/BackendError"
import type { Event, Write } from "@tidings/core/Event"
import * as EventId from "@tidings/core/EventId"
import * as EventJson from "@tidings/core/EventJson"
import * as FileBackend from "@tidings/backend-fs/FileBackend"
import * as Arbitraries from "@tidings/testing/Arbitraries"
import { assert, describe, it } from "@effect/vitest"
import * as Arbitrary from "effect/Arbitrary"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import { TestClock, TestConsole } from "effect/testing"
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { gzipSync, zstdCompressSync } from "node:zlib"
import * as Stream from "effect/Stream"
import { parse, stringify } from "yaml"
import * as importItems from "../src/internal/cli/importItems.ts"
import * as logProgress from "../src/internal/cli/logProgress.ts"
import * as progress from "../src/internal/cli/progress.ts"
import * as words from "../src/internal/cli/words.ts"
import { eventually, memory, run, write } from "./harness.ts"

const at = "2026-08-22T10:30:00Z"

const directory = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "tidings-transfer-"))),
  (path) => Effect.sync(() => rmSync(path, { recursive: true, force: true }))
)

const all = (backend: Backend.Service) => Effect.map(backend.query({}), ({ events }) => events)

/** What any store has of an event. */
const stateOf = ({ cluster, count, event, first, id, last, namespace, upTo }: Event) => ({
  cluster,
  count,
  event,
  first,
  id: EventId.format(id),
  last,
  namespace,
  upTo
})

const byId = (events: ReadonlyArray<Event>) =>
  events.map(stateOf).sort((a, b) => (a.id < b.id ? -1 : a.id > b.id ? 1 : 0))

/** An Event as the API server has it, of another writer. */
const foreign = (n: number, more?: object) => ({
  apiVersion: "v1",
  count: 3,
  eventTime: null,
  firstTimestamp: "2026-11-28T10:00:00Z",
  involvedObject: { apiVersion: "v1", kind: "Pod", name: `web-${n}`, namespace: "team-a", uid: `pod-${n}` },
  kind: "Event",
  lastTimestamp: "2026-11-28T11:00:00Z",
  message: `Back-off: "restarting" {failed} container ]},\n- apiVersion: v1\n\nitems:\n  [${n}]`,
  metadata: {
    creationTimestamp: "2026-11-28T10:00:00Z",
    name: `web-${n}.17c`,
    namespace: "team-a",
    resourceVersion: String(100 + n),
    uid: `0b3c8f8e-0000-4000-8000-00000000000${n}`
  },
  reason: "BackOff",
  reportingComponent: "kubelet",
  reportingInstance: "node-1",
  source: { component: "kubelet", host: "node-1" },
  type: "Warning",
  ...more
})

const listOf = (items: ReadonlyArray<unknown>) => ({
  apiVersion: "v1",
  items,
  kind: "List",
  metadata: { resourceVersion: "" }
})

describe("export", () => {
  it.effect("prints each series in its latest state, oldest first, and says how many", () =>
    Effect.gen(function* () {
      const { layer, service } = yield* memory()
      yield* service.write([write(1, { at }), write(2, { at }), write(3, { at, namespace: "team-b" })])
      yield* service.write([write(1, { at, upTo: 4, count: 2 })])
      const ran = yield* run(layer, ["export"])
      assert.deepStrictEqual(ran.err, ["3 events exported"])
      assert.deepStrictEqual(
        ran.out.map((line) => {
          const { count, id } = JSON.parse(line) as { id: string; count: number }
          return [id.split(".")[1], count]
        }),
        [
          ["2", 1],
          ["3", 1],
          ["1", 2]
        ]
      )
      const filtered = yield* run(layer, ["export", "-n", "team-b", "--since", "2026-01-01"])
      assert.lengthOf(filtered.out, 1)
    })
  )

  it.effect("exports what is meant by a filter, in another case too, and says what is near", () =>
    Effect.gen(function* () {
      const { layer, service } = yield* memory()
      yield* service.write([
        write(1, { at, reason: "Failed", name: "Weather" }),
        write(2, { at, reason: "Started" }),
        write(3, { at, reason: "Failed", namespace: "team-b" })
      ])
      const exported = (...argv: ReadonlyArray<string>) => run(layer, ["export", ...argv])
      assert.deepStrictEqual((yield* exported("--reason", "failed")).err, ["2 events exported"])
      assert.deepStrictEqual((yield* exported("--reason", "failed,Started")).err, ["3 events exported"])
      assert.deepStrictEqual((yield* exported("--name", "weather", "-n", "DEFAULT")).err, ["1 event exported"])
      assert.deepStrictEqual((yield* exported("--reason", "Faild")).err, [
        "0 events exported",
        "no reason Faild here; Failed has 2 events"
      ])
      // The cursor is bound to what was meant, and the next run means the same.
      const { err } = yield* exported("--reason", "failed", "--show-cursor")
      const cursor = err.at(-1)!.slice("cursor: ".length)
      yield* service.write([write(4, { at, reason: "Failed" })])
      assert.deepStrictEqual((yield* exported("--reason", "failed", "--after", cursor)).err, ["1 event exported"])
      const wrong = yield* exported("--reason", "Started", "--after", cursor)
      assert.deepStrictEqual([wrong.code, wrong.out.join("")], [1, ""])
      assert.match(wrong.err[0]!, /^error: the cursor is not valid here/)
    })
  )

  it.effect("goes on from a cursor, at the end of its file, without a gap or a repeat", () =>
    Effect.gen(function* () {
      const file = join(yield* directory, "backup.ndjson")
      const { layer, service } = yield* memory()
      yield* service.write([write(1, { at }), write(2, { at })])
      const first = yield* run(layer, ["export", "--file", file, "--show-cursor"])
      assert.deepStrictEqual([first.code, first.out.join("")], [0, ""])
      assert.strictEqual(statSync(file).mode & 0o777, 0o600)
      const cursor = first.err.find((line) => line.startsWith("cursor: "))!.slice("cursor: ".length)
      yield* service.write([write(3, { at })])
      yield* run(layer, ["export", "--file", file, "--after", cursor])
      const lines = readFileSync(file, "utf8").trimEnd().split("\n")
      assert.deepStrictEqual(
        lines.map((line) => (JSON.parse(line) as { upTo: number }).upTo),
        [1, 2, 3]
      )
      // Without a cursor it begins anew.
      yield* run(layer, ["export", "--file", file])
      assert.lengthOf(readFileSync(file, "utf8").trimEnd().split("\n"), 3)
      const absent = yield* run(layer, ["export", "--file", join(file, "below")])
      assert.deepStrictEqual([absent.code, absent.err.length], [1, 1])
      assert.match(absent.err[0]!, /^error: cannot write ".*below": ENOTDIR/)
    })
  )

  it.effect("goes on with what happens, also after an outage, with --follow", () =>
    Effect.gen(function* () {
      const { service } = yield* memory()
      yield* service.write([write(1, { at })])
      let outages = 0
      const broken: Backend.Service = {
        ...service,
        watch: (filter, from) => {
          const watching = service.watch(filter, from)
          if (outages++ > 0) return watching
          const gone = new BackendError({ reason: new Transient({ applied: "no", detail: "gone" }) })
          return Stream.concat(Stream.take(watching, 2), Stream.fail(gone))
        }
      }
      const fiber = yield* Effect.forkScoped(run(Layer.succeed(Backend.Backend, broken), ["export", "--follow"]), {
        startImmediately: true
      })
      const until = (count: number) =>
        Effect.gen(function* () {
          const lines = Effect.map(TestConsole.logLines, (all) => all.flatMap((text) => String(text).split("\n")))
          const isThere = Effect.map(lines, ({ length }) => length >= count)
          yield* eventually(`${count} lines`, Effect.andThen(TestClock.adjust("1 second"), isThere))
          return yield* lines
        })
      yield* until(1)
      yield* service.write([write(2, { at })])
      const lines = yield* until(2)
      assert.deepStrictEqual(
        lines.map((line) => (JSON.parse(line) as { upTo: number }).upTo),
        [1, 2]
      )
      yield* Fiber.interrupt(fiber)
    })
  )

  it.effect.prop(
    "and import together give equal events, of any events, in memory and in a log",
    { events: Arbitrary.array(Arbitraries.event, { maxLength: 12 }) },
    ({ events }) =>
      Effect.gen(function* () {
        const given = [...new Map(events.map((event) => [EventId.format(event.id), event])).values()].filter(
          ({ event }) => event.reason !== ""
        )
        const { layer, service } = yield* memory()
        yield* service.write(given.map((event): Write => event))
        const source = yield* all(service)
        const exported = yield* run(layer, ["export"])
        const stdin = exported.out.join("\n")
        const other = yield* memory()
        const imported = yield* run(other.layer, ["import"], { stdin })
        assert.deepStrictEqual([imported.code, imported.out.join("")], [0, ""])
        assert.deepStrictEqual(byId(yield* all(other.service)), byId(source))
        // A store that is not memory, and what it exports in turn.
        const path = yield* directory
        const log = FileBackend.layer({ directory: path, console: false })
        yield* run(log, ["import", "-"], { stdin })
        const back = yield* run(log, ["export"])
        const decoded = back.out.filter((line) => line !== "").map((line) => EventJson.decode(line))
        assert.deepStrictEqual(
          byId(decoded.map((one) => (one._tag === "Success" ? one.success : assert.fail(one.failure)))),
          byId(source)
        )
      }).pipe(Effect.scoped),
    { arbitrary: { runs: 15, size: 12 } }
  )
})

describe("import", () => {
  it.effect("stores what kubectl prints as JSON or YAML under its identity, and twice is once", () =>
    Effect.gen(function* () {
      const list = listOf([foreign(1), foreign(2), foreign(3)])
      const forms = {
        "-o json": JSON.stringify(list, undefined, 4),
        "-o json | jq -c .": JSON.stringify(list),
        "-o json | jq -c .items[]": list.items.map((item) => JSON.stringify(item)).join("\n"),
        "-o json | jq .items[]": list.items.map((item) => JSON.stringify(item, undefined, 2)).join("\n"),
        "-o json | jq .items": JSON.stringify(list.items, undefined, 2),
        "-o yaml": stringify(list),
        "-o yaml, items indented": stringify(list, { indentSeq: true }),
        "-o yaml of one event": stringify(foreign(1)),
        "-o yaml of several": list.items.map((item) => `---\n${stringify(item)}`).join("")
      }
      for (const [form, stdin] of Object.entries(forms)) {
        const { layer, service } = yield* memory()
        const count = form.includes("one event") ? 1 : 3
        const ran = yield* run(layer, ["import", "--cluster", "production"], { stdin })
        assert.deepStrictEqual(
          [form, ran.code, ran.err],
          [form, 0, [`${count} event${count === 1 ? "" : "s"} imported`]]
        )
        const events = byId(yield* all(service))
        assert.lengthOf(events, count)
        const [first] = events
        assert.deepInclude(first, {
          id: "0b3c8f8e-0000-4000-8000-000000000001.0",
          upTo: 101,
          count: 3,
          namespace: "team-a",
          cluster: { id: "production" },
          first: Date.UTC(2026, 10, 28, 10) * 1_000,
          last: Date.UTC(2026, 10, 28, 11) * 1_000
        })
        assert.strictEqual(first!.event.message, foreign(1).message, form)
        assert.strictEqual(first!.event.involvedObject.uid, "pod-1")
        const again = yield* run(layer, ["import"], { stdin })
        assert.deepStrictEqual(again.err, [`0 events imported, ${count} already there`])
        assert.lengthOf(yield* all(service), count)
      }
    })
  )

  it.effect("takes the later state of an event, and never an earlier one", () =>
    Effect.gen(function* () {
      const { layer, service } = yield* memory()
      const state = (version: number, count: number) =>
        JSON.stringify(foreign(1, { count, metadata: { ...foreign(1).metadata, resourceVersion: String(version) } }))
      yield* run(layer, ["import"], { stdin: `${state(120, 5)}\n${state(130, 6)}\n${state(110, 4)}\n` })
      assert.deepStrictEqual(
        (yield* all(service)).map(({ count, upTo }) => [count, upTo]),
        [[6, 130]]
      )
      yield* run(layer, ["import"], { stdin: state(125, 7) })
      assert.strictEqual((yield* all(service))[0]!.count, 6)
    })
  )

  it.effect("says how to decompress what is compressed, and stores nothing of it", () =>
    Effect.gen(function* () {
      const text = JSON.stringify(foreign(1))
      for (const [bytes, program] of [
        [gzipSync(text), "gzip"],
        [zstdCompressSync(text), "zstd"]
      ] as const) {
        const { layer, service } = yield* memory()
        const { code, err } = yield* run(layer, ["import", "-"], { stdin: bytes })
        assert.strictEqual(code, 1)
        assert.deepStrictEqual(err, [
          "error: stdin is compressed",
          `decompress it: ${program} -dc FILE | tidings import -`
        ])
        assert.strictEqual((yield* service.query({})).totalCount, 0)
      }
    })
  )

  it.effect("tells of each bad item where it is and why, and stores the rest", () =>
    Effect.gen(function* () {
      const good = (n: number) => JSON.stringify(foreign(n))
      const lines = [
        good(1),
        "",
        '{"torn": ',
        JSON.stringify({ apiVersion: "v1", kind: "Pod", metadata: {} }),
        JSON.stringify(foreign(4, { apiVersion: "events.k8s.io/v1" })),
        JSON.stringify(foreign(4, { metadata: { ...foreign(4).metadata, uid: undefined } })),
        JSON.stringify(foreign(4, { metadata: { ...foreign(4).metadata, resourceVersion: "now" } })),
        "7",
        JSON.stringify({ involvedObject: "Pod/web", reason: "Started" }),
        JSON.stringify({ apiVersion: "v1", kind: "List" }),
        good(2)
      ]
      const { layer, service } = yield* memory()
      const ran = yield* run(layer, ["import"], { stdin: lines.join("\n") })
      assert.strictEqual(ran.code, 1)
      assert.lengthOf(yield* all(service), 2)
      const expected = [
        /^stdin: line 3: it is not JSON: /,
        /^stdin: line 4: kind is "Pod", expected "Event"$/,
        /^stdin: line 5: apiVersion is "events.k8s.io\/v1", expected "v1"/,
        /^stdin: line 6: metadata.uid is missing/,
        /^stdin: line 7: metadata.resourceVersion is "now", expected a whole number$/,
        /^stdin: line 8: it is not an object, expected an Event$/,
        /^stdin: line 9: it is no stored event, but what describes one: emit - records such lines$/,
        /^stdin: line 10: it is a List without items/,
        /^2 events imported$/,
        /^error: 8 items could not be imported; the rest of what was read is stored$/
      ]
      assert.lengthOf(ran.err, expected.length)
      for (const [index, pattern] of expected.entries()) assert.match(ran.err[index]!, pattern)

      const yaml = `items:\n- ${stringify(foreign(1)).trimEnd().replaceAll("\n", "\n  ")}\n- a: [\n- ${stringify(foreign(2)).trimEnd().replaceAll("\n", "\n  ")}\nkind: List\n`
      const other = yield* memory()
      const ofYaml = yield* run(other.layer, ["import"], { stdin: yaml })
      assert.lengthOf(yield* all(other.service), 2)
      assert.match(ofYaml.err[0]!, /^stdin: line \d+, items\[1\]: it is not YAML: /)

      const cut = JSON.stringify(listOf([foreign(1), foreign(2)]), undefined, 4).slice(0, -150)
      const third = yield* memory()
      const ofCut = yield* run(third.layer, ["import"], { stdin: cut })
      assert.lengthOf(yield* all(third.service), 1)
      assert.match(ofCut.err[0]!, /^stdin: line \d+: the JSON ends in the middle$/)
    })
  )

  it.effect("stores no event of another writer under a time or a count that it does not have", () =>
    Effect.gen(function* () {
      const metadata = foreign(1).metadata
      const noTimes = { firstTimestamp: null, lastTimestamp: undefined, eventTime: null }
      const { creationTimestamp: _, ...uncreated } = metadata
      const unset = "0001-01-01T00:00:00Z"
      const imported = Effect.fnUntraced(function* (more: object) {
        const { layer, service } = yield* memory()
        const ran = yield* run(layer, ["import"], { stdin: JSON.stringify(foreign(1, more)) })
        const [event] = yield* all(service)
        assert.strictEqual(ran.code, event === undefined ? 1 : 0)
        return event === undefined
          ? ran.err[0]
          : [event.first, event.last]
              .map((time) => new Date(time / 1_000).toISOString().slice(11, 16))
              .concat(`${event.count}`)
      })
      // What an API server can have is read as the tools of Kubernetes read it.
      assert.deepStrictEqual(yield* imported(noTimes), ["10:00", "10:00", "3"])
      assert.deepStrictEqual(yield* imported({ ...noTimes, lastTimestamp: unset, firstTimestamp: unset }), [
        "10:00",
        "10:00",
        "3"
      ])
      for (const count of [0, -2, null, undefined]) {
        assert.deepStrictEqual(yield* imported({ count }), ["10:00", "11:00", "1"])
      }
      const missing =
        'stdin: line 1: it has no time, expected an RFC 3339 time such as "2026-11-28T10:00:00Z" in lastTimestamp, ' +
        "eventTime, firstTimestamp or metadata.creationTimestamp"
      assert.strictEqual(yield* imported({ ...noTimes, metadata: uncreated }), missing)
      assert.strictEqual(
        yield* imported({ ...noTimes, lastTimestamp: unset, metadata: { ...metadata, creationTimestamp: unset } }),
        missing
      )
      const expected = 'expected an RFC 3339 time such as "2026-11-28T10:00:00Z"'
      const wrong: ReadonlyArray<readonly [object, string]> = [
        [{ lastTimestamp: "yesterday" }, `lastTimestamp is "yesterday", ${expected}`],
        [{ firstTimestamp: 1_764_000_000 }, `firstTimestamp is 1764000000, ${expected}`],
        [{ eventTime: "2026-02-30T10:00:00Z" }, `eventTime is "2026-02-30T10:00:00Z", ${expected}`],
        [{ series: { count: 2, lastObservedTime: "" } }, `series.lastObservedTime is "", ${expected}`],
        [{ metadata: { ...metadata, creationTimestamp: "now" } }, `metadata.creationTimestamp is "now", ${expected}`],
        [{ count: "3" }, 'count is "3", expected a whole number'],
        [{ count: 1.5 }, "count is 1.5, expected a whole number"],
        [{ series: { count: "many" } }, 'series.count is "many", expected a whole number'],
        [{ message: 7 }, "message is 7, expected a text"],
        [{ reason: ["BackOff"] }, 'reason is ["BackOff"], expected a text']
      ]
      for (const [more, problem] of wrong) assert.strictEqual(yield* imported(more), `stdin: line 1: ${problem}`)
    })
  )

  it.effect("goes on after what is no event in a list, tells where it is, and counts it, in every form", () =>
    Effect.gen(function* () {
      const items = [foreign(1), 7, foreign(2), null, "text", [true], foreign(3)]
      const list = listOf(items)
      // With the lines of each, and the paths where the items are in a list.
      const forms: Record<string, readonly [stdin: string, where: ReadonlyArray<RegExp>]> = {
        lines: [items.map((item) => JSON.stringify(item)).join("\n"), [/line 2/, /line 4/, /line 5/, /line 6, \[0\]/]],
        "a list in one line": [
          JSON.stringify(list),
          [/line 1, items\[1\]/, /line 1, items\[3\]/, /line 1, items\[4\]/, /line 1, items\[5\]\[0\]/]
        ],
        "a list in many lines": [
          JSON.stringify(list, undefined, 4),
          [/line \d+, items\[1\]/, /line \d+, items\[3\]/, /line \d+, items\[4\]/, /line \d+, items\[5\]\[0\]/]
        ],
        "a bare list": [
          JSON.stringify(items, undefined, 2),
          [/line \d+, \[1\]/, /line \d+, \[3\]/, /line \d+, \[4\]/, /line \d+, \[5\]\[0\]/]
        ],
        "documents one after the other": [
          items.map((item) => JSON.stringify(item, undefined, 2)).join("\n"),
          [/line \d+/, /line \d+/, /line \d+/, /line \d+, \[0\]/]
        ],
        YAML: [
          stringify(list),
          [/line \d+, items\[1\]/, /line \d+, items\[3\]/, /line \d+, items\[4\]/, /line \d+, items\[5\]\[0\]/]
        ]
      }
      for (const [form, [stdin, where]] of Object.entries(forms)) {
        const { layer, service } = yield* memory()
        const ran = yield* run(layer, ["import"], { stdin })
        assert.deepStrictEqual(
          [form, ran.code, ran.err.slice(-2)],
          [form, 1, ["3 events imported", "error: 4 items could not be imported; the rest of what was read is stored"]]
        )
        assert.lengthOf(yield* all(service), 3)
        for (const [index, pattern] of where.entries()) {
          const told = ran.err[index]!
          assert.match(told, new RegExp(`^stdin: (${pattern.source}): it is not an object, expected an Event$`))
          const number = Number(/line (\d+)/.exec(told)![1])
          const line = stdin.split("\n")[number - 1]!
          if (form !== "a list in one line")
            assert.match(line, [/7/, /null/, /text/, /\[|true/][index]!, `${form}: ${told}`)
        }
      }
    })
  )

  it.effect("goes on after what is no JSON, no YAML or too long in a list, and tells its place", () =>
    Effect.gen(function* () {
      const [one, two, three] = [1, 2, 3].map((n) => JSON.stringify(foreign(n), undefined, 2))
      const told = Effect.fnUntraced(function* (stdin: string, stored: number) {
        const { layer, service } = yield* memory()
        const ran = yield* run(layer, ["import"], { stdin })
        assert.strictEqual(ran.code, 1)
        assert.lengthOf(yield* all(service), stored, ran.err.join("\n"))
        return ran.err.slice(0, -2)
      })
      const json = yield* told(`{\n"items": [\n${one},\nnonsense, ${two}\n<error>\n${three},\n{"a": tru}\n]\n}`, 3)
      assert.lengthOf(json, 3)
      assert.match(json[0]!, /^stdin: line \d+, items\[1\]: it is not JSON: /)
      assert.match(json[1]!, /^stdin: line \d+, items\[3\]: it is not JSON: /)
      assert.match(json[2]!, /^stdin: line \d+, items\[5\]: it is not JSON: /)
      const between = yield* told(`${one}\nerror: connection lost\n${two}\ncut off`, 2)
      assert.match(between[0]!, /^stdin: line \d+: it is not JSON: /)
      assert.lengthOf(between, 2)
      // A line before those of the log is no document of YAML.
      const first = yield* told(`warning: old\n${JSON.stringify(foreign(1))}\n${JSON.stringify(foreign(2))}\n`, 2)
      assert.match(first.join("\n"), /^stdin: line 1: it is not JSON: .*$/)
      const long = JSON.stringify(foreign(4, { message: "a".repeat(16_777_216) }), undefined, 2)
      const tooLong = yield* told(`[\n${one},\n${long},\n${two}\n]`, 2)
      assert.match(tooLong.join("\n"), /^stdin: line \d+, \[1\]: it is longer than 16777216 characters$/)
      const yaml = stringify(listOf([foreign(1), foreign(2), foreign(3)])).split("\n  - ")
      const ofYaml = yield* told(
        `${yaml[0]}\n  - ${yaml[1]}\nno field\n  - ${yaml[2]}\nWarning: old\n  - ${yaml[3]}`,
        3
      ).pipe(Effect.map((lines) => lines.join("\n")))
      assert.match(ofYaml, /^stdin: line \d+: it is neither an item of the list nor a field of it$/)
      const closed = yield* told(`[\n${one}\n]\n}\n${two}`, 1)
      assert.deepStrictEqual(closed.length, 1)
      assert.match(closed[0]!, /it closes a bracket that is not open; what comes after it is not read$/)
    })
  )

  it.effect("takes the files of a log, and no line whose checksum is wrong", () =>
    Effect.gen(function* () {
      const path = yield* directory
      const log = FileBackend.layer({ directory: path, console: false })
      for (const reason of ["One", "Two"]) yield* run(log, ["emit", "Pod/web", reason, "m"])
      const bytes = readFileSync(join(path, "events.log"), "utf8")
      assert.match(bytes, /"checksum":"/)
      const file = join(path, "copy")
      writeFileSync(file, bytes.replace('"reason":"One"', '"reason":"Ome"'))
      const { layer, service } = yield* memory()
      const ran = yield* run(layer, ["import", file])
      assert.match(ran.err[0]!, /copy: line 1: it is damaged: its checksum is not that of its bytes$/)
      assert.deepStrictEqual(
        (yield* all(service)).map(({ event }) => event.reason),
        ["Two"]
      )
      const absent = yield* run(layer, ["import", join(path, "absent")])
      assert.match(absent.err.at(-1)!, /error: cannot read ".*absent": there is no such file/)
      const folder = yield* run(layer, ["import", tmpdir()])
      assert.match(folder.err.at(-1)!, /error: cannot read ".*": it is a directory$/)
    })
  )

  it.effect("says what a store does not take, tries again, and ends where it is full", () =>
    Effect.gen(function* () {
      const { service } = yield* memory()
      const over = (answer: (batch: ReadonlyArray<Write>, call: number) => ReturnType<Backend.Service["write"]>) => {
        let call = 0
        const backend = { ...service, write: (batch: ReadonlyArray<Write>) => answer(batch, ++call) }
        return Layer.succeed(Backend.Backend, backend)
      }
      const stdin = [1, 2].map((n) => JSON.stringify(foreign(n))).join("\n")
      const rejecting = over((batch) =>
        Effect.succeed(
          batch.map((_, index) => (index === 0 ? { _tag: "Rejected", reason: "too odd" } : Backend.created))
        )
      )
      const rejected = yield* run(rejecting, ["import"], { stdin })
      assert.deepStrictEqual(rejected.err, [
        "stdin: line 1: the store does not take it: too odd",
        "1 event imported",
        "error: 1 item could not be imported; the rest of what was read is stored"
      ])
      const full = new BackendError({ reason: new Full({ detail: "the disk is full" }) })
      const ended = yield* run(
        over(() => Effect.fail(full)),
        ["import"],
        { stdin }
      )
      assert.deepStrictEqual([ended.code, ended.err.length], [1, 2])
      assert.match(ended.err[0]!, /^0 events imported before this; what is imported again is stored once$/)
      const away = new BackendError({ reason: new Transient({ applied: "unknown", detail: "away" }) })
      const flaky = over((batch, call) => (call < 3 ? Effect.fail(away) : service.write(batch)))
      const fiber = yield* Effect.forkChild(run(flaky, ["import"], { stdin }), { startImmediately: true })
      while (fiber.pollUnsafe() === undefined) yield* TestClock.adjust("100 millis")
      assert.strictEqual((yield* Fiber.join(fiber)).code, 0)
      assert.lengthOf(yield* all(service), 2)
    })
  )

  it.effect("is refused by a cluster, which says where to import instead", () =>
    Effect.gen(function* () {
      const { service } = yield* memory()
      const cluster = Layer.succeed(Backend.Backend, { ...service, mode: "kubernetes" })
      const ran = yield* run(cluster, ["import"], { stdin: JSON.stringify(foreign(1)) })
      assert.strictEqual(ran.code, 1)
      assert.match(ran.err.join("\n"), /a cluster takes no events of the past.*\n.*--backend filesystem/)
      assert.lengthOf(yield* all(service), 0)
    })
  )
})

describe("the items of a text", () => {
  const list = listOf([foreign(1), foreign(2), foreign(3)])
  const texts = [
    list.items.map((item) => JSON.stringify(item)).join("\r\n"),
    `\uFEFF${JSON.stringify(list, undefined, 4)}`,
    JSON.stringify(list.items, undefined, 1),
    // What is no object is an item too.
    JSON.stringify([7, ...list.items, null, 'a "text", {with} [all]\\', true, -1.5], undefined, 1),
    stringify(list),
    `# a comment\n${stringify(list, { indentSeq: true })}---\n${stringify(foreign(1))}...\n`
  ]
  const itemsIn = (pieces: ReadonlyArray<string>) => {
    const text = pieces.join("")
    const form = importItems.formOf(text, true)!
    const items = importItems.make(form, (yaml) => parse(yaml))
    return [...pieces.flatMap((piece) => items.push(piece)), ...items.end()]
  }

  it("are the same where each character comes by itself", () => {
    for (const text of texts) assert.deepStrictEqual(itemsIn(Array.from(text)), itemsIn([text]))
  })

  it.prop(
    "are the same however it is cut into pieces",
    {
      text: Arbitrary.map(
        Arbitrary.schema(Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: texts.length - 1 }))),
        (index) => texts[index]!
      ),
      cuts: Arbitrary.array(Arbitrary.schema(Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 5_000 }))), {
        maxLength: 40
      })
    },
    ({ cuts, text }) => {
      const places = [...new Set([0, ...cuts.filter((cut) => cut < text.length).sort((a, b) => a - b), text.length])]
      const pieces = places.slice(1).map((to, index) => text.slice(places[index], to))
      const whole = itemsIn([text])
      assert.isAtLeast(whole.length, 3)
      assert.isTrue(whole.every((item) => "value" in item))
      assert.deepStrictEqual(itemsIn(pieces), whole)
    }
  )
})

describe("progress", () => {
  it.effect("is a line that is written over at a terminal, and one line a minute elsewhere", () =>
    Effect.gen(function* () {
      const shown: Array<string> = []
      const count = Effect.fnUntraced(function* (isAttended: boolean, seconds: number) {
        const { clear, step } = yield* Effect.provideService(progress.make(false), words.Attended, () => isAttended)
        for (let second = 0; second < seconds; second++) {
          yield* TestClock.adjust("1 second")
          yield* step(() => `${second}`)
        }
        yield* clear
      })
      yield* Effect.provideService(count(true, 3), words.Overwrite, (text) => void shown.push(text))
      assert.deepStrictEqual(shown, ["\r\u001b[2K0", "\r\u001b[2K1", "\r\u001b[2K2", "\r\u001b[2K"])
      yield* count(false, 150)
      assert.deepStrictEqual(yield* TestConsole.errorLines, ["59", "119"])
    })
  )

  it.effect("of an event log is shown while a reader waits for it, and does not stay on the terminal", () =>
    Effect.gen(function* () {
      const shown: Array<string> = []
      const MEBIBYTE = 1_048_576
      const index = (mebibytes: number) =>
        ({ task: "index", bytes: mebibytes * MEBIBYTE, totalBytes: 4 * MEBIBYTE }) as const
      yield* Effect.scoped(
        Effect.gen(function* () {
          const onProgress = yield* logProgress.make
          for (let mebibytes = 0; mebibytes <= 4; mebibytes++) {
            yield* onProgress(index(mebibytes))
            yield* TestClock.adjust("150 millis")
          }
          yield* onProgress({ task: "retention", bytes: 100, totalBytes: 2_048 })
          yield* TestClock.adjust("1 second")
          yield* onProgress({ task: "retention", bytes: 1_024, totalBytes: 2_048 })
        })
      ).pipe(
        Effect.provideService(words.Attended, () => true),
        Effect.provideService(words.Overwrite, (text) => void shown.push(text))
      )
      const clear = "\r\u001b[2K"
      assert.deepStrictEqual(shown, [
        `${clear}indexing the event log: 2 MiB of 4 MiB`,
        clear,
        `${clear}reading old segments: 1 KiB of 2 KiB at most`,
        clear
      ])
    })
  )

  it.effect("makes room for what is said", () => {
    const shown: Array<string> = []
    return Effect.gen(function* () {
      const { step } = yield* progress.make(false)
      yield* TestClock.adjust("1 second")
      yield* step(() => "half")
      yield* words.say("0 events imported")
      assert.deepStrictEqual(shown, ["\r\u001b[2Khalf", "\r\u001b[2K"])
      assert.deepStrictEqual(yield* TestConsole.errorLines, ["0 events imported"])
    }).pipe(
      Effect.provideService(words.Attended, () => true),
      Effect.provideService(words.Overwrite, (text) => void shown.push(text))
    )
  })

  it.effect("is asked for while work goes on that does not tell by itself, and is no failure of it", () =>
    Effect.gen(function* () {
      const shown: Array<string> = []
      let asked = 0
      const ask = Effect.suspend(() => (++asked === 2 ? Effect.fail("unknown") : Effect.succeed(`${asked}`)))
      const work = Effect.andThen(Effect.sleep("900 millis"), Effect.succeed("done"))
      const fiber = yield* progress.alongside(work, ask).pipe(
        Effect.provideService(words.Attended, () => true),
        Effect.provideService(words.Overwrite, (text) => void shown.push(text)),
        Effect.forkChild
      )
      for (let tenth = 0; tenth < 10; tenth++) {
        yield* Effect.yieldNow
        yield* TestClock.adjust("100 millis")
      }
      assert.strictEqual(yield* Fiber.join(fiber), "done")
      assert.deepStrictEqual(shown, ["\r\u001b[2K1", "\r\u001b[2K3", "\r\u001b[2K4", "\r\u001b[2K"])
    })
  )
})
