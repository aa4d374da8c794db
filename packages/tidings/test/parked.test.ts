// parked, beside a host in this process.
import * as FileJournal from "@tidings/backend-fs/FileJournal"
import * as JournalView from "@tidings/backend-fs/JournalView"
import * as Backend from "@tidings/core/Backend"
import * as EventId from "@tidings/core/EventId"
import * as Recorder from "@tidings/core/Recorder"
import * as Target from "@tidings/core/Target"
import * as Templates from "@tidings/core/Templates"
import { assert, describe, it } from "@effect/vitest"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as Scope from "effect/Scope"
import { TestClock } from "effect/testing"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { backend } from "../src/internal/cli/tidings.ts"
import { run } from "./harness.ts"

/** A host whose backends refuse everything until they are mended, and the command beside it. */
const world = Effect.gen(function* () {
  const home = yield* Effect.acquireRelease(
    Effect.sync(() => mkdtempSync(join(tmpdir(), "tidings-parked-"))),
    (made) => Effect.sync(() => rmSync(made, { recursive: true, force: true }))
  )
  const journal = join(home, "log", "journal")
  // Ahead of the time at which files are made here, as it is where what is parked was parked after the last checkpoint.
  yield* TestClock.setTime(Date.now() + 3_600_000)
  const state = { refusing: true, stored: [] as Array<string> }
  const picky = (name: string): Effect.Effect<Backend.Service> =>
    Effect.map(Effect.provide(Backend.Backend, Backend.layerMemory()), (memory) => ({
      ...memory,
      target: Effect.succeed(Target.make(name)),
      write: (batch) =>
        Effect.sync(() =>
          batch.map((write) => {
            if (state.refusing) return { _tag: "Rejected", reason: "invalid: \u001b[31m422" }
            state.stored.push(`${name} ${EventId.format(write.id)}`)
            return Backend.created
          })
        )
    }))
  const start = (scope: Scope.Scope, ...names: ReadonlyArray<string>) =>
    Effect.gen(function* () {
      const backends = yield* Effect.forEach(names.length === 0 ? ["default"] : names, (name) =>
        Effect.map(picky(name), (service) => [name, service] as const)
      )
      const sinks = backends.map(([name, service]) => Recorder.sink({ name, backend: Effect.succeed(service) }))
      const context = yield* Layer.buildWithScope(
        Recorder.layer({ component: "host", drainTimeout: 0, sinks }).pipe(
          Layer.provide(Templates.layer),
          Layer.provide(FileJournal.layer({ directory: journal, durability: "process" })),
          Layer.provide(Logger.layer([]))
        ),
        scope
      )
      return Context.get(context, Recorder.Recorder)
    })
  const environment = ConfigProvider.fromUnknown({ HOME: home, TIDINGS_DIRECTORY: join(home, "log") })
  const tidings = (...argv: ReadonlyArray<string>) =>
    Effect.provideService(run(backend, argv), ConfigProvider.ConfigProvider, environment)
  return { home, journal, start, state, tidings }
})

const record = (recorder: Recorder.Recorder["Service"], name: string, times = 1) =>
  Effect.gen(function* () {
    let id = ""
    for (let n = 0; n < times; n++) {
      const involvedObject = { kind: "Workflow", name, namespace: "default" }
      const delivered = yield* recorder.recordSettled({ involvedObject, reason: "WorkflowExecuted", message: "done" })
      if (delivered._tag === "Accepted" && n === 0) id = EventId.format(delivered.id)
    }
    return id
  })

/** Whatever the disk still has to do. */
const settled = <E>(condition: Effect.Effect<boolean, E>): Effect.Effect<void, E> =>
  Effect.flatMap(condition, (isSo) =>
    isSo
      ? Effect.void
      : Effect.andThen(
          Effect.promise(() => new Promise(setImmediate)),
          settled(condition)
        )
  )

describe("parked", () => {
  it.effect("shows what is parked, why, and what to do", () =>
    Effect.gen(function* () {
      const { journal, start, tidings } = yield* world
      const recorder = yield* start(yield* Effect.scope)
      assert.deepStrictEqual(yield* tidings("parked"), { code: 0, out: [], err: [`nothing is parked in ${journal}`] })
      const one = yield* record(recorder, "one", 3)
      yield* TestClock.adjust("90 seconds")
      const two = yield* record(recorder, "two")
      const shown = yield* tidings("parked")
      assert.deepStrictEqual(shown, {
        code: 0,
        out: [
          `PARKED  STATE   COUNT  REASON            OBJECT        ${"ID".padEnd(one.length)}  WHY`,
          `90s     parked  3      WorkflowExecuted  Workflow/one  ${one}  invalid: \\u001b[31m422`,
          `0s      parked  1      WorkflowExecuted  Workflow/two  ${two}  invalid: \\u001b[31m422`
        ],
        err: [
          "2 events, 4 occurrences; after fixing the cause: tidings parked retry ID; to drop them: tidings parked drop ID"
        ]
      })
      assert.deepStrictEqual(yield* tidings("parked", "list"), shown)
      assert.deepStrictEqual(yield* tidings("parked", "--journal", journal, "list", "--sink", "default"), shown)
      const document = JSON.parse((yield* tidings("parked", "-o", "json")).out.join("\n"))
      assert.strictEqual(document.journal, journal)
      assert.match(document.owner, /^process \d+ on /)
      assert.deepInclude(document.items[0], {
        sink: "default",
        state: "parked",
        occurrences: 3,
        why: "invalid: \u001b[31m422",
        id: one,
        count: 3,
        reason: "WorkflowExecuted"
      })
      assert.strictEqual(document.items[0].involvedObject.name, "one")
      const lines = (yield* tidings("parked", "list", "-ondjson")).out.map((line) => JSON.parse(line).id)
      assert.deepStrictEqual(lines, [one, two])
    }).pipe(Effect.scoped)
  )

  it.effect("requests delivery or removal of the named events only", () =>
    Effect.gen(function* () {
      const { start, state, tidings } = yield* world
      const recorder = yield* start(yield* Effect.scope)
      const [one, two, three] = [
        yield* record(recorder, "one", 2),
        yield* record(recorder, "two"),
        yield* record(recorder, "three")
      ]
      const refused: ReadonlyArray<readonly [ReadonlyArray<string>, number, RegExp]> = [
        [["retry"], 2, /^error: name what to retry by id, or everything with --all$/],
        [["drop"], 2, /^error: name what to drop by id, or everything with --all$/],
        [["drop", one, "--all"], 2, /^error: --all selects everything: leave out the ids$/],
        [["retry", "nonsense"], 2, /^error: "nonsense" is not an event id$/],
        [["retry", one, `${"f".repeat(32)}.1`], 1, /^error: f+\.1 is not parked$/],
        [["retry", one, "--sink", "other"], 1, /^error: the host has no sink "other", only default$/],
        [["retry", "--all", "--journal", "/nowhere"], 4, /^error: there is no journal in \/nowhere$/],
        [["retry", "--all", "--journal", ""], 2, /^error: --journal is empty/]
      ]
      for (const [argv, code, said] of refused) {
        const ran = yield* tidings("parked", ...argv)
        assert.deepStrictEqual([ran.code, ran.out], [code, []], argv.join(" "))
        assert.match(ran.err[0]!, said)
      }
      yield* TestClock.adjust("10 seconds")
      assert.strictEqual((yield* recorder.parked).length, 3)

      state.refusing = false
      const retried = yield* tidings("parked", "retry", one)
      assert.deepStrictEqual([retried.code, retried.out], [0, [one]])
      assert.match(
        retried.err[0]!,
        /^asked process \d+ on .* to retry 1 event \(2 occurrences\); it will within seconds$/
      )
      const dropped = yield* tidings("parked", "drop", two)
      assert.match(dropped.err[0]!, / to drop 1 event \(1 occurrence\); /)
      const states = (yield* tidings("parked", "-ondjson")).out.map((line) => JSON.parse(line).state)
      assert.deepStrictEqual(states, ["retry asked", "drop asked", "parked"])
      // To ask again changes nothing.
      assert.deepStrictEqual(yield* tidings("parked", "retry", one), {
        code: 0,
        out: [],
        err: ["1 event of them: requested already"]
      })
      yield* TestClock.adjust("5 seconds")
      yield* settled(Effect.map(recorder.parked, (parked) => parked.length === 1))
      yield* settled(Effect.sync(() => state.stored.length === 1))
      assert.deepStrictEqual(state.stored, [`default ${one}`])
      const { sinks } = yield* recorder.status
      const { dropped: lost, parked, pending, settled: done } = sinks["default"]!
      assert.deepStrictEqual([done, parked, pending, lost], [2, 1, 0, { parked: 1 }])
      yield* TestClock.adjust("5 seconds")
      yield* settled(Effect.map(tidings("parked", "-ondjson"), ({ out }) => out.length === 1))
      const left = (yield* tidings("parked", "-ondjson")).out.map((line) => JSON.parse(line).id)
      assert.deepStrictEqual(left, [three])
    }).pipe(Effect.scoped)
  )

  it.effect("leaves its request for the next host where none runs", () =>
    Effect.gen(function* () {
      const { journal, start, state, tidings } = yield* world
      const scope = yield* Scope.make()
      const recorder = yield* start(scope)
      const one = yield* record(recorder, "one")
      const two = yield* record(recorder, "two")
      yield* Scope.close(scope, Exit.void)
      const asked = yield* tidings("parked", "drop", "--all")
      assert.deepStrictEqual([asked.code, asked.out.toSorted()], [0, [one, two].toSorted()])
      assert.deepStrictEqual(asked.err, [
        `no host uses ${journal} now: the next one will be asked to drop 2 events (2 occurrences) when it starts`
      ])
      // The last word counts.
      state.refusing = false
      assert.deepStrictEqual((yield* tidings("parked", "retry", two)).out, [two])
      const states = (yield* tidings("parked", "-ondjson")).out.map((line) => JSON.parse(line).state)
      assert.deepStrictEqual(states, ["drop asked", "retry asked"])
      const again = yield* start(yield* Effect.scope)
      yield* TestClock.adjust("1 second")
      yield* settled(Effect.map(again.parked, (parked) => parked.length === 0))
      yield* settled(Effect.sync(() => state.stored.length === 1))
      const { sinks } = yield* again.status
      assert.deepStrictEqual(sinks["default"]!.dropped, { parked: 1 })
      assert.deepStrictEqual(state.stored, [`default ${two}`])
    }).pipe(Effect.scoped)
  )

  it.effect("distinguishes the sinks of a host", () =>
    Effect.gen(function* () {
      const { journal, start, state, tidings } = yield* world
      const recorder = yield* start(yield* Effect.scope, "archive", "cluster")
      const one = yield* record(recorder, "one")
      const both = yield* tidings("parked")
      assert.match(both.out[0]!, /^SINK /)
      assert.deepStrictEqual(
        both.out
          .slice(1)
          .map((line) => line.split(" ")[0])
          .toSorted(),
        ["archive", "cluster"]
      )
      state.refusing = false
      assert.deepStrictEqual((yield* tidings("parked", "retry", "--all", "--sink", "cluster")).out, [one])
      yield* TestClock.adjust("5 seconds")
      yield* settled(Effect.map(recorder.parked, (parked) => parked.length === 1))
      yield* settled(Effect.sync(() => state.stored.length === 1))
      assert.deepStrictEqual(state.stored, [`cluster ${one}`])
      assert.deepStrictEqual(
        (yield* recorder.parked).map(({ sink }) => sink),
        ["archive"]
      )
      state.refusing = true
      const two = yield* record(recorder, "two")
      yield* tidings("parked", "drop", "--all")
      const asked = (yield* JournalView.read(journal))!.sinks.map(({ name, requests }) => [
        name,
        requests.flatMap(({ series }) => series.map(EventId.format))
      ])
      assert.deepStrictEqual(asked, [
        ["archive", [one, two]],
        ["cluster", [two]]
      ])
    }).pipe(Effect.scoped)
  )
})

describe("doctor on a journal", () => {
  it.effect("shows which process has it open, what is pending and what is parked", () =>
    Effect.gen(function* () {
      const { journal, start, state, tidings } = yield* world
      const checks = Effect.map(tidings("doctor", "-ojson", "--backend", "filesystem"), ({ out }) =>
        JSON.parse(out.join("\n")).checks.filter(({ name }: { readonly name: string }) => /^(journal|sink)/.test(name))
      )
      assert.deepStrictEqual(yield* checks, [])
      const scope = yield* Scope.make()
      const recorder = yield* start(scope)
      yield* record(recorder, "one", 2)
      const [owned, sink] = yield* checks
      assert.include(owned.found, journal)
      assert.match(owned.found, /process \d+ on .* uses it$/)
      assert.deepStrictEqual(
        [sink.name, sink.state, sink.facts.parked, sink.facts.parkedSeries],
        ["sink default", "note", 2, 1]
      )
      assert.include(sink.advice, "tidings parked")
      state.refusing = false
      yield* tidings("parked", "retry", "--all")
      assert.include((yield* checks)[1].found, "requested retries and drops are pending")
      yield* TestClock.adjust("5 seconds")
      yield* settled(Effect.map(recorder.parked, (parked) => parked.length === 0))
      yield* Scope.close(scope, Exit.void)
      const [free, idle] = yield* checks
      assert.include(free.found, "no host uses it")
      assert.deepStrictEqual([idle.state, idle.facts.pending, idle.facts.parked], ["ok", 0, 0])
    }).pipe(Effect.scoped)
  )
})
