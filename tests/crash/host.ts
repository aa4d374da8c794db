/**
 * A host that records until it is killed, and says each event that was accepted, one line each: its key and its id.
 * With `drain` it records nothing, delivers what is left, says what its books are, and ends.
 */
import * as FileJournal from "@tidings/backend-fs/FileJournal"
import * as Backend from "@tidings/core/Backend"
import * as EventId from "@tidings/core/EventId"
import * as Recorder from "@tidings/core/Recorder"
import * as Templates from "@tidings/core/Templates"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import { writeSync } from "node:fs"
// The port to the disk is no part of the package's interface; here it is where a process can be killed on the spot.
import { Disk, node } from "../../packages/backend-fs/src/internal/disk.ts"
import { client } from "./RemoteStore.ts"

export interface Options {
  readonly directory: string
  readonly socket: string
  readonly durability: "process" | "disk"
  readonly segmentSize: number
  readonly drain: boolean
  /** Which call of the disk kills, and the how manieth of its kind. */
  readonly die?: { readonly call: keyof Disk; readonly nth: number } | undefined
}

const options = JSON.parse(process.argv[2]!) as Options

const say = (line: string): void => void writeSync(1, `${line}\n`)

/** Kills this process right in a call: before anything of it happened, or, of what is appended, after a part. */
const deadly = (): Disk => {
  const { die } = options
  if (die === undefined) return node
  let seen = 0
  const kill = () => process.kill(process.pid, "SIGKILL")
  return new Proxy(node, {
    get: (target, name, receiver) => {
      const member: unknown = Reflect.get(target, name, receiver)
      if (name !== die.call || typeof member !== "function") return member
      return (...parameters: Array<unknown>): unknown => {
        if (++seen === die.nth) {
          if (name === "append") {
            const [file, from, offset, length] = parameters as Parameters<Disk["append"]>
            node.append(file, from, offset, Math.floor(length * 0.6))
          }
          kill()
        }
        return Reflect.apply(member, target, parameters)
      }
    }
  })
}

class Plain extends Context.Service<Plain, Backend.Service>()("tests/crash/Plain") {}

const remote = client(options.socket)

const runtime = Recorder.layer<Backend.Backend | Plain>({
  component: "crash",
  drainTimeout: options.drain ? "20 seconds" : 0,
  sinks: [
    Recorder.sink({ name: "folded", backend: Backend.Backend, capacity: 32, writeTimeout: "2 seconds" }),
    Recorder.sink({ name: "plain", backend: Plain, correlation: "off", capacity: 32, writeTimeout: "2 seconds" })
  ]
}).pipe(
  Layer.provideMerge(
    Layer.mergeAll(
      Templates.layer,
      Layer.succeed(Backend.Backend, remote("folded")),
      Layer.succeed(Plain, remote("plain")),
      FileJournal.layer({
        directory: options.directory,
        durability: options.durability,
        segmentSize: options.segmentSize
      })
    )
  )
)

/** One of many producers: each its own objects and messages, so that the other end can count. */
const producer = (index: number) =>
  Effect.gen(function* () {
    const recorder = yield* Recorder.Recorder
    for (let n = 0; ; n++) {
      const name = `object-${index}-${n % 3}`
      const message = `something happened, kind ${n % 2}`
      const recorded = yield* recorder.record({ involvedObject: { kind: "Thing", name }, reason: "Happened", message })
      if (recorded._tag === "Accepted") say(`${name}/${n % 2} ${EventId.format(recorded.id)}`)
      yield* n % 8 === 0 ? Effect.sleep(1) : Effect.yieldNow
    }
  })

const program = Effect.gen(function* () {
  const recorder = yield* Recorder.Recorder
  say("ready")
  if (!options.drain) {
    return yield* Effect.forEach([0, 1, 2, 3], producer, { concurrency: "unbounded", discard: true })
  }
  const report = yield* recorder.flush("30 seconds")
  const status = yield* recorder.status
  say(JSON.stringify({ complete: report.complete, sinks: status.sinks }))
})

await Effect.runPromise(
  program.pipe(Effect.provide(runtime), Effect.provide(Logger.layer([])), Effect.provideService(Disk, deadly()))
)
process.exit(0)
