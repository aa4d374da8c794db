// A controller that is killed again and again in a simulated cluster, and the bug that this finds in it.
import { EventGenerator } from "@tidings/core/EventGenerator"
import * as Recorder from "@tidings/core/Recorder"
import * as Templates from "@tidings/core/Templates"
import * as SimulatedBackend from "@tidings/testing/SimulatedBackend"
import * as SimulatedJournal from "@tidings/testing/SimulatedJournal"
import * as Simulation from "@tidings/testing/Simulation"
import { Duration, Effect, Layer } from "effect"
import { runMain } from "../gracefulEnd.ts"

const WORKFLOWS = 20

/** What the controller keeps in its database, which outlives it. */
type Finished = Set<string>

/**
 * Executes workflows, one after the other, and records an event for each. Which of the two comes first, the note in the
 * database or the event, is the question.
 */
const controller = (finished: Finished, order: "note, then event" | "event, then note") =>
  Effect.gen(function* () {
    const events = yield* EventGenerator
    for (let n = 1; n <= WORKFLOWS; n++) {
      const name = `workflow-${n}`
      if (finished.has(name)) continue
      yield* Effect.sleep("2 seconds")
      const record = Effect.orDie(
        events.workflowEvent({ metadata: { name, namespace: "default" } }, "WorkflowExecuted")
      )
      const note = Effect.sync(() => finished.add(name))
      if (order === "note, then event") yield* Effect.andThen(note, record)
      else yield* Effect.andThen(record, note)
    }
    return yield* Effect.never
  })

/** One run: the controller works, is killed now and then, and in the end every finished workflow has its event. */
const scenario = (order: Parameters<typeof controller>[1]) => (simulation: Simulation.Simulation) =>
  Effect.gen(function* () {
    const { dice } = simulation
    const finished: Finished = new Set()
    const server = SimulatedBackend.make(simulation, {
      faults: { resetBefore: 0.1, resetAfter: 0.1, late: 0.05, hang: 0.05, throttleUntil: 0.1 }
    })
    // A slow disk: the moments in which a kill hurts are longer.
    const journal = SimulatedJournal.make(simulation, { latency: "200 millis" })
    const host = simulation.process("controller")
    const program = controller(finished, order).pipe(
      Effect.provide(
        EventGenerator.layer.pipe(
          Layer.provide(Recorder.layer({ component: "example" })),
          Layer.provide([Templates.layer, server.layer, journal.layer(host)])
        )
      ),
      Effect.orDie
    )

    while (finished.size < WORKFLOWS) {
      yield* host.start(program)
      yield* Effect.sleep(Duration.millis(dice.integer(0, 20_000)))
      if (yield* host.kill) simulation.count("killed")
    }

    // Everything is well again, and after a while everything has arrived.
    server.heal()
    yield* host.start(program)
    yield* Effect.sleep("10 minutes")
    for (const name of finished) {
      if (!server.series().some(({ write }) => write.event.involvedObject.name === name)) {
        return yield* Effect.die(new Error(`${name} is finished, and has no event`))
      }
    }
  })

const campaign = (order: Parameters<typeof controller>[1]) =>
  Simulation.campaign(
    {
      name: order,
      seeds: 200,
      command: "npm run example simulation",
      sometimes: ["killed", "backend.resetAfter", "backend.arrivedLate", "journal.restored"]
    },
    scenario(order)
  )

const main = Effect.gen(function* () {
  const bug = yield* Effect.flip(campaign("note, then event"))
  console.log(`Noted first, the event second:\n\n${bug.message.split("\n").slice(0, 2).join("\n")}\n`)

  const { counts, elapsed, seeds } = yield* campaign("event, then note")
  console.log("The event first, noted second:\n")
  console.log(
    `${seeds} runs of ${Duration.format(elapsed)} in all, ${counts["killed"]} kills, ` +
      `${counts["backend.resetAfter"]} lost answers: no event is missing.`
  )
})

runMain(main)
