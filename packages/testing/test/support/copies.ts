import * as Backend from "@tidings/core/Backend"
import * as Correlation from "@tidings/core/Correlation"
import * as EventId from "@tidings/core/EventId"
import * as Journal from "@tidings/core/Journal"
import * as Recorder from "@tidings/core/Recorder"
import * as SimulatedBackend from "@tidings/testing/SimulatedBackend"
import * as SimulatedJournal from "@tidings/testing/SimulatedJournal"
import type { Simulation } from "@tidings/testing/Simulation"
import { Cause, Duration, Effect, Layer } from "effect"
import { check, checkConservation, type Subject, templates } from "./delivery.ts"

/**
 * Hosts deliver from one journal, from backups of it that are put back, and from copies of it, some of them at the same time.
 * Every identity belongs to one occurrence, what is in a journal at the end is visible, and nothing is counted twice.
 */
export const copies =
  (subject: Subject) =>
  (simulation: Simulation): Effect.Effect<void> =>
    Effect.gen(function* () {
      const { dice } = simulation
      const intensity = dice.pick([0, 0.5, 1])
      const share = (most: number) => (dice.chance(0.5) ? dice.next() * most * intensity : 0)
      const server = SimulatedBackend.make(simulation, {
        name: "server",
        latency: dice.pick(["1 millis", "200 millis"]),
        faults: { resetBefore: share(0.1), resetAfter: share(0.1), late: share(0.1), fail: share(0.1) }
      })
      const correlation: Correlation.Options = dice.chance(0.3)
        ? Correlation.off
        : {
            capacity: dice.pick([2, 4_096]),
            aggregateAt: dice.pick([0, 3, 10]),
            aggregateWindow: "600 seconds",
            burst: dice.pick([1, 3, 25]),
            refill: dice.pick(["2 seconds", "30 seconds"])
          }
      const objects = dice.integer(1, 3)

      // ---------------------------------------------------------------------
      // what is accepted, by its identity
      // ---------------------------------------------------------------------

      let recorded = 0
      /** By identity, the number of the occurrence that has it. */
      const numberOf = new Map<string, number>()

      /** The identities that journals gave, whoever heard of them. */
      const takeNote = (journal: SimulatedJournal.SimulatedJournal): void => {
        const occurrences = journal.occurrences()
        for (const [index, id] of journal.ids().entries()) {
          const key = EventId.format(id)
          const n = Number(occurrences[index]!.data["stepCount"])
          check(
            (numberOf.get(key) ?? n) === n,
            () => `${key} is the identity of the occurrences ${numberOf.get(key)} and ${n}`
          )
          numberOf.set(key, n)
        }
      }

      // ---------------------------------------------------------------------
      // hosts
      // ---------------------------------------------------------------------

      interface Host {
        readonly journal: SimulatedJournal.SimulatedJournal
        readonly process: ReturnType<Simulation["process"]>
        recorder: Recorder.Recorder["Service"] | undefined
      }

      const hostOf = (name: string): Host => ({
        journal: SimulatedJournal.make(simulation, { name, durability: "process", latency: dice.pick([0, 20]) }),
        process: simulation.process(name),
        recorder: undefined
      })

      const begin = (host: Host): Effect.Effect<void> => {
        const { journal, process } = host
        const journals = Layer.effect(Journal.Journal, Effect.map(Journal.Journal, subject.journal)).pipe(
          Layer.provide(journal.layer(process))
        )
        const layer = subject
          .layer({
            component: "test",
            sinks: [subject.sink({ name: "server", backend: Backend.Backend, correlation, writeTimeout: "5 seconds" })],
            drainTimeout: "1 second"
          })
          .pipe(Layer.provide([journals, templates, Layer.succeed(Backend.Backend, server.backend)]))
        const program = Effect.gen(function* () {
          host.recorder = yield* Recorder.Recorder
          return yield* Effect.never
        })
        return Effect.asVoid(
          process.start(
            program.pipe(
              Effect.provide(layer),
              Effect.tapCause((cause) => Effect.sync(() => simulation.fail(Cause.squash(cause)))),
              Effect.orDie
            )
          )
        )
      }

      const kill = (host: Host): Effect.Effect<void> =>
        Effect.suspend(() => {
          host.recorder = undefined
          takeNote(host.journal)
          return Effect.asVoid(host.process.kill)
        })

      /** Some events of one host. */
      const record = (host: Host) =>
        Effect.gen(function* () {
          for (let n = dice.integer(1, 12); n > 0; n--) {
            const object = dice.integer(1, objects)
            const draft: Recorder.EventDraft = {
              involvedObject: { kind: "Order", name: `order-${object}`, namespace: "shop" },
              reason: "Shipped",
              message: `message ${dice.integer(1, 4)}`,
              data: { stepCount: ++recorded }
            }
            if (host.recorder !== undefined) yield* Effect.forkDetach(Effect.ignore(host.recorder.record(draft)))
            yield* Effect.sleep(Duration.millis(dice.next() * dice.pick([1, 100, 3_000])))
          }
        })

      // ---------------------------------------------------------------------
      // what happens
      // ---------------------------------------------------------------------

      const hosts = [hostOf("original")]
      yield* begin(hosts[0]!)
      yield* Effect.sleep("1 second")
      const backups: Array<SimulatedJournal.Backup> = []
      for (let round = dice.integer(2, 8); round > 0; round--) {
        const host = dice.pick(hosts)
        yield* record(host)
        for (const { recorder } of hosts) if (recorder !== undefined) checkConservation(yield* recorder.status)
        switch (dice.integer(0, 4)) {
          case 0:
            backups.push(host.journal.backup())
            break
          case 1:
            if (backups.length === 0) break
            yield* kill(host)
            host.journal.putBack(dice.pick(backups))
            simulation.count("putBack")
            yield* begin(host)
            break
          case 2: {
            if (hosts.length === 3) break
            const copy = hostOf(`copy-${hosts.length}`)
            copy.journal.putBack(host.journal.backup())
            hosts.push(copy)
            simulation.count("copied")
            yield* begin(copy)
            break
          }
          case 3:
            yield* kill(host)
            yield* Effect.sleep(Duration.seconds(dice.integer(0, 10)))
            yield* begin(host)
            break
          case 4:
            yield* Effect.sleep(Duration.seconds(dice.integer(0, 60)))
        }
        yield* Effect.sleep("100 millis")
      }

      // ---------------------------------------------------------------------
      // everything is well again
      // ---------------------------------------------------------------------

      server.heal()
      for (let waited = 0; ; waited += 5) {
        const pending: Array<number> = []
        for (const { recorder } of hosts) pending.push((yield* recorder!.status).sinks["server"]!.pending)
        if (pending.every((n) => n === 0)) break
        check(waited < 1_800, () => `after ${waited} s, ${pending.join(" and ")} are pending`)
        yield* Effect.sleep("5 seconds")
      }
      for (const { journal, recorder } of hosts) {
        takeNote(journal)
        const { sinks } = yield* recorder!.status
        check(sinks["server"]!.parked === 0, () => "something is parked, and nothing can be")
      }

      const series = server.series().map(({ write }) => write)
      const accepted = new Map<string, number>()
      for (const key of numberOf.keys()) {
        const { origin } = EventId.parse(key)!
        accepted.set(origin, (accepted.get(origin) ?? 0) + 1)
      }
      for (const [origin, most] of accepted) {
        const counted = series.filter(({ id }) => id.origin === origin).reduce((total, { count }) => total + count, 0)
        check(counted <= most, () => `${origin} accepted ${most} occurrences, and ${counted} are counted`)
      }
      for (const { journal } of hosts) {
        const there = new Map<string, number>()
        for (const { origin } of journal.ids()) there.set(origin, (there.get(origin) ?? 0) + 1)
        const occurrences = journal.occurrences()
        for (const [index, id] of journal.ids().entries()) {
          const { involvedObject } = occurrences[index]!
          const visible = series.some(
            ({ event, id: first, upTo }) =>
              first.origin === id.origin &&
              first.seq <= id.seq &&
              id.seq <= upTo &&
              event.involvedObject.name === involvedObject.name
          )
          check(visible, () => `${EventId.format(id)} is in a journal, was delivered, and is not visible`)
        }
        for (const [origin, n] of there) {
          const counted = series.filter(({ id }) => id.origin === origin).reduce((total, { count }) => total + count, 0)
          check(counted >= n, () => `a journal has ${n} occurrences of ${origin}, and ${counted} are counted`)
        }
      }
      simulation.count("accepted", numberOf.size)
    })
