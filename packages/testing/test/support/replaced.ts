import * as Backend from "@tidings/core/Backend"
import * as Correlation from "@tidings/core/Correlation"
import * as Journal from "@tidings/core/Journal"
import * as Recorder from "@tidings/core/Recorder"
import * as SimulatedBackend from "@tidings/testing/SimulatedBackend"
import * as SimulatedJournal from "@tidings/testing/SimulatedJournal"
import type { Simulation } from "@tidings/testing/Simulation"
import { Cause, Duration, Effect, Layer } from "effect"
import { check, checkConservation, type Subject, templates } from "./delivery.ts"

/**
 * Another server answers for a while at the address of the one that a host writes to, and a gateway answers for it now and
 * then. Nothing of the one reaches the other, and when the right one is back everything that was accepted arrives there.
 */
export const replaced =
  (subject: Subject) =>
  (simulation: Simulation): Effect.Effect<void> =>
    Effect.gen(function* () {
      const { dice } = simulation
      const intensity = dice.pick([0, 0.5, 1])
      const share = (most: number) => (dice.chance(0.5) ? dice.next() * most * intensity : 0)
      const server = SimulatedBackend.make(simulation, {
        name: "server",
        latency: dice.pick(["1 millis", "200 millis"]),
        faults: { strange: share(0.3), resetBefore: share(0.1), resetAfter: share(0.1), late: share(0.1) }
      })
      const journal = SimulatedJournal.make(simulation, { durability: "process", latency: dice.pick([0, 20]) })
      const host = simulation.process("host")
      const correlation: Correlation.Options = dice.chance(0.5)
        ? Correlation.off
        : { capacity: 4_096, aggregateAt: 10, aggregateWindow: "600 seconds", burst: 3, refill: "5 seconds" }
      let recorder: Recorder.Recorder["Service"] | undefined

      const layer = Layer.suspend(() =>
        subject
          .layer({
            component: "test",
            sinks: [subject.sink({ name: "server", backend: Backend.Backend, correlation, writeTimeout: "5 seconds" })],
            drainTimeout: "1 second"
          })
          .pipe(
            Layer.provide([
              Layer.effect(Journal.Journal, Effect.map(Journal.Journal, subject.journal)).pipe(
                Layer.provide(journal.layer(host))
              ),
              templates,
              Layer.succeed(Backend.Backend, subject.backend(server.backend, server))
            ])
          )
      )
      const begin: Effect.Effect<void> = Effect.suspend(() =>
        Effect.asVoid(
          host.start(
            Effect.gen(function* () {
              recorder = yield* Recorder.Recorder
              return yield* Effect.never
            }).pipe(
              Effect.provide(layer),
              Effect.tapCause((cause) => Effect.sync(() => simulation.fail(Cause.squash(cause)))),
              Effect.orDie
            )
          )
        )
      )

      // ---------------------------------------------------------------------
      // recording
      // ---------------------------------------------------------------------

      let recorded = 0
      const objectOf = (n: number) => `order-${n % 5}`

      const isVisible = (name: string, seq: number, origin: string): boolean =>
        server
          .series()
          .some(
            ({ write: { event, id, upTo } }) =>
              event.involvedObject.name === name && id.origin === origin && id.seq <= seq && seq <= upTo
          )

      const recordOne = Effect.suspend(() => {
        const name = objectOf(++recorded)
        if (recorder === undefined) return Effect.void
        const settled = recorder.recordSettled({
          involvedObject: { kind: "Order", name, namespace: "shop" },
          reason: "Shipped",
          data: { stepCount: recorded }
        })
        return Effect.matchEffect(settled, {
          onFailure: () => Effect.void,
          onSuccess: (answer) => {
            if (answer._tag !== "Accepted") return Effect.void
            simulation.count("acknowledged")
            const how = answer.sinks["server"]!._tag
            simulation.count(`settlement${how}`)
            if (how === "Settled" && !isVisible(name, answer.id.seq, answer.id.origin)) {
              simulation.fail(new Error(`recordSettled says that ${answer.id.seq} is settled, and it is not visible`))
            }
            return Effect.void
          }
        })
      })

      const look = Effect.suspend(() => {
        check(server.strays().length === 0, () => "what was meant for one server was written to another")
        return recorder === undefined ? Effect.void : Effect.map(recorder.status, (status) => checkConservation(status))
      })

      const restart = Effect.gen(function* () {
        recorder = undefined
        yield* host.kill
        yield* Effect.sleep(Duration.seconds(dice.integer(0, 10)))
        yield* begin
      })

      // The journal is bound to the right server before another one answers.
      yield* begin
      yield* Effect.sleep("1 second")
      yield* Effect.forkDetach(recordOne)
      for (
        let waited = 0;
        journal.head() === 0 || recorder === undefined || (yield* recorder.status).sinks["server"]!.pending > 0;
        waited++
      ) {
        check(waited < 600, () => "the first event is not delivered within ten minutes")
        yield* Effect.sleep("1 second")
      }

      // ---------------------------------------------------------------------
      // what happens
      // ---------------------------------------------------------------------

      for (let round = dice.integer(1, 5); round > 0; round--) {
        const meanwhile = Effect.gen(function* () {
          for (let n = dice.integer(1, 10); n > 0; n--) {
            yield* Effect.forkDetach(recordOne)
            yield* Effect.sleep(Duration.millis(dice.next() * dice.pick([1, 100, 3_000])))
            yield* look
          }
        })
        yield* meanwhile
        if (dice.chance(0.8)) {
          server.replaceBy(`other-${round}`)
          yield* meanwhile
          if (dice.chance(0.3)) {
            simulation.count("restartedMeanwhile")
            yield* restart
          }
          yield* Effect.sleep(Duration.seconds(dice.pick([0, 1, 60])))
          yield* meanwhile
          server.replaceBy(undefined)
        } else if (dice.chance(0.5)) yield* restart
        yield* look
      }

      // ---------------------------------------------------------------------
      // everything is well again
      // ---------------------------------------------------------------------

      server.heal()
      for (let waited = 0; recorder === undefined || (yield* recorder.status).sinks["server"]!.pending > 0; waited++) {
        check(waited < 600, () => "ten minutes after the right server is back, something is pending")
        yield* Effect.sleep("1 second")
      }
      yield* look
      const ids = journal.ids()
      const occurrences = journal.occurrences()
      for (const [index, { origin, seq }] of ids.entries()) {
        const { name } = occurrences[index]!.involvedObject
        check(isVisible(name, seq, origin), () => `${seq} was accepted, and is not visible`)
      }
      const counted = server.series().reduce((total, { write }) => total + write.count, 0)
      check(counted === ids.length, () => `${ids.length} were accepted, and ${counted} are counted`)
    })
