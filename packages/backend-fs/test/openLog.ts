import { FileBackend } from "@tidings/backend-fs"
import { Backend } from "@tidings/core/Backend"
import type { BackendError } from "@tidings/core/BackendError"
import type { EventFilter, WatchFrom, WatchItem } from "@tidings/core/EventQuery"
import { Cause, Context, Effect, Layer, Queue, type Scope, Stream } from "effect"
import { readdirSync, readFileSync } from "node:fs"
import * as path from "node:path"
import { Disk, node } from "../src/internal/disk.ts"
import * as LogLine from "../src/internal/log/line.ts"
import { first } from "./writes.ts"

export interface Log {
  readonly backend: Backend["Service"]
  readonly log: FileBackend.EventLog["Service"]
}

/** Opens the log anew, as another run of a program does; closed with the scope. */
export const open = (options: FileBackend.Options, disk: Disk = node): Effect.Effect<Log, BackendError, Scope.Scope> =>
  Layer.build(Layer.fresh(FileBackend.layer({ console: false, ...options }))).pipe(
    Effect.map((context) => ({
      backend: Context.get(context, Backend),
      log: Context.get(context, FileBackend.EventLog)
    })),
    Effect.provideService(Disk, disk)
  )

/** One run of a program. */
export const run = <A, E>(directory: string, use: (log: Log) => Effect.Effect<A, E, Scope.Scope>) =>
  Effect.scoped(Effect.flatMap(open({ directory }), use))

export const segmentsOf = (directory: string): Array<string> =>
  readdirSync(directory)
    .filter((file) => file.endsWith(".ndjson"))
    .sort()

export const newestOf = (directory: string): string => path.join(directory, segmentsOf(directory).at(-1)!)

/** All that is in the segments. */
export const bytesOf = (directory: string): Buffer =>
  Buffer.concat(segmentsOf(directory).map((file) => readFileSync(path.join(directory, file))))

/** The line of the first occurrence of a series. */
export const line = (seq: number): string => LogLine.encode(LogLine.eventOf(first(seq)))

/** The same lines as the first release wrote them, which is also how the command prints them. */
export const withoutChecksums = (lines: string): string =>
  lines.replaceAll(/^(\{"lastTimestamp":"[^"]{27}",)"checksum":"[0-9a-f]{8}",/gm, "$1")

export interface Watcher {
  readonly next: Effect.Effect<WatchItem, BackendError>
  /** The next so many items: seqs of events, tags of the others. */
  readonly take: (count: number) => Effect.Effect<ReadonlyArray<number | string>, BackendError>
  /** What came and was not taken. */
  readonly left: Effect.Effect<number>
}

export const shown = (item: WatchItem): number | string => (item._tag === "Event" ? item.event.id.seq : item._tag)

/** A watch that runs beside the test, until its scope closes. */
export const watch = (
  backend: Backend["Service"],
  from: WatchFrom,
  filter: EventFilter = {}
): Effect.Effect<Watcher, never, Scope.Scope> =>
  Effect.map(Stream.toQueue(backend.watch(filter, from), { capacity: "unbounded" }), (queue) => {
    const next = Effect.catch(Queue.take(queue), (error): Effect.Effect<never, BackendError> =>
      Cause.isDone(error) ? Effect.die(new Error("the watch ended by itself")) : Effect.fail(error)
    )
    return {
      next,
      take: (count) => Effect.map(Effect.all(Array.from({ length: count }, () => next)), (items) => items.map(shown)),
      left: Queue.size(queue)
    }
  })

/** A disk that counts how often each thing is asked of it. */
export const counting = (): { readonly disk: Disk; readonly calls: (name: keyof Disk) => number } => {
  const counts = new Map<string, number>()
  const disk = new Proxy(node, {
    get: (target, name, receiver) => {
      const member: unknown = Reflect.get(target, name, receiver)
      if (typeof member !== "function") return member
      return (...parameters: Array<unknown>): unknown => {
        counts.set(String(name), (counts.get(String(name)) ?? 0) + 1)
        return member.apply(target, parameters)
      }
    }
  })
  return { disk, calls: (name) => counts.get(name) ?? 0 }
}

/** Lets everything else run until something is so. */
export const eventually = (condition: () => boolean): Effect.Effect<void> =>
  Effect.suspend(() => (condition() ? Effect.void : Effect.andThen(Effect.yieldNow, eventually(condition))))

/** Lets everything else run until it is noted what the newest segment begins with, which is done beside the first write to it. */
export const noted = (directory: string): Effect.Effect<void> =>
  eventually(() => {
    const { begun } = JSON.parse(readFileSync(path.join(directory, ".meta.json"), "utf8")) as { begun?: Array<string> }
    const newest = path.basename(newestOf(directory), ".ndjson")
    return begun?.some((one) => newest === `events-${one.slice(0, one.indexOf(":"))}`) === true
  })

/** Lets everything else run until something has been asked of the disk again, so many times. */
export const until = (log: ReturnType<typeof counting>, name: keyof Disk, times = 1): Effect.Effect<void> =>
  Effect.suspend(() => {
    const before = log.calls(name)
    return eventually(() => log.calls(name) >= before + times)
  })
