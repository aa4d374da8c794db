/**
 * A host that records until it is killed, and says each event that was accepted, one line each: its key and its id.
 * With `drain` it records one more, so that a reader knows how far the journal goes, delivers what is left, says
 * whether that is everything, and ends.
 */
import * as FileJournal from "@tidings/backend-fs/FileJournal"
import * as KubernetesBackend from "@tidings/backend-k8s/KubernetesBackend"
import * as Backend from "@tidings/core/Backend"
import * as EventId from "@tidings/core/EventId"
import * as Recorder from "@tidings/core/Recorder"
import * as Templates from "@tidings/core/Templates"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import { writeSync } from "node:fs"
import { flushCompileCache } from "node:module"
// The port to the disk is no part of the package's interface; here it is where a process can be killed on the spot.
import { Disk, node } from "../../packages/backend-fs/src/internal/disk.ts"
import { fastClock } from "../soak/fastClock.ts"

/** How a sink writes: each occurrence as an object of its own, or, as is the default, one object per series. */
export type Manner = "plain" | "folded"

/** Where a sink finds its API server. */
export interface Access {
  readonly kubeconfig?: string | undefined
  readonly context?: string | undefined
}

export interface Options {
  readonly directory: string
  readonly namespace: string
  readonly sinks: Readonly<Partial<Record<Manner, Access>>>
  readonly durability: "process" | "disk"
  readonly segmentSize: number
  readonly drain: boolean
  /** The call of the disk that kills the process: its kind and its number among those. */
  readonly die?: { readonly call: keyof Disk; readonly nth: number } | undefined
}

const options = JSON.parse(process.argv[2]!) as Options

/** What takes seconds, such as repeating what failed, shall happen within a short life. */
const SPEED = 5

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

const sink = (manner: Manner, access: Access) =>
  Effect.map(Layer.build(KubernetesBackend.layer(access)), (context) =>
    Recorder.sink({
      name: manner,
      backend: Effect.succeed(Context.get(context, Backend.Backend)),
      // Little, so that checkpoints are made all the time, and one write that is held up does not hold up all.
      capacity: 16,
      batch: 4,
      writeTimeout: "10 seconds",
      ...(manner === "plain" ? { correlation: "off" } : undefined)
    })
  )

const runtime = Layer.unwrap(
  Effect.map(
    Effect.forEach(Object.entries(options.sinks), ([manner, access]) => sink(manner as Manner, access)),
    (sinks) => Recorder.layer({ component: "crash", drainTimeout: 0, sinks })
  )
).pipe(
  Layer.provide(
    Layer.merge(
      Templates.layer,
      FileJournal.layer({
        directory: options.directory,
        durability: options.durability,
        segmentSize: options.segmentSize
      })
    )
  )
)

/** Records something that happened to an object, and says so. */
const record = Effect.fnUntraced(function* (name: string, kind: number) {
  const recorder = yield* Recorder.Recorder
  const recorded = yield* recorder.record({
    involvedObject: {
      apiVersion: "crash.example.com/v1",
      kind: "Thing",
      namespace: options.namespace,
      name,
      uid: name
    },
    reason: "Happened",
    message: `something happened, kind ${kind}`
  })
  if (recorded._tag === "Accepted") say(`${name}/${kind} ${EventId.format(recorded.id)}`)
})

/** One of many producers: each its own objects and messages, so that the other end can count. */
const producer = Effect.fnUntraced(function* (index: number) {
  for (let n = 0; ; n++) {
    yield* record(`object-${index}-${n % 3}`, n % 2)
    yield* n % 2 === 0 ? Effect.sleep(1) : Effect.yieldNow
  }
})

const program = Effect.gen(function* () {
  const recorder = yield* Recorder.Recorder
  // Otherwise only who ends in order keeps what it compiled.
  flushCompileCache()
  if (!options.drain) {
    say("ready")
    return yield* Effect.forEach([0, 1, 2, 3], producer, { concurrency: "unbounded", discard: true })
  }
  yield* record("last", 0)
  const report = yield* recorder.flush("5 minutes")
  const status = yield* recorder.status
  say(JSON.stringify({ complete: report.complete, sinks: status.sinks }))
})

await Effect.runPromise(
  program.pipe(
    Effect.provide(runtime),
    Effect.provide(Logger.layer([])),
    Effect.provideService(Disk, deadly()),
    Effect.provideService(Clock.Clock, fastClock(SPEED))
  )
)
process.exit(0)
