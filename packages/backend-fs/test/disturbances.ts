/**
 * What happens to files of a log on a machine, done by the programs that do it, while processes write to the log and watch it; and
 * the accounts afterwards: each event that was answered is there, or its loss is told.
 */
import { assert } from "@effect/vitest"
import { Effect, References, type Scope } from "effect"
import { spawnSync } from "node:child_process"
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmdirSync,
  rmSync,
  symlinkSync,
  writeFileSync
} from "node:fs"
import * as path from "node:path"
import { newestOf, run, segmentsOf } from "./openLog.ts"
import * as TestDirectory from "./TestDirectory.ts"
import { start, type Writer } from "./writerProcess.ts"

/** Where a log is that is disturbed. */
export interface Place {
  readonly root: string
  /** Where a volume is mounted, or a symbolic link to what stands for it. */
  readonly volume: string
  /** The directory of the log, in the volume. */
  readonly directory: string
  /** The directories that are mounted there, the last one in sight. */
  readonly mounted: Array<string>
  /** All that were. */
  readonly volumes: Array<string>
  readonly isMounted: boolean
  moves: number
}

export interface Disturbance {
  readonly name: string
  /** Whether events that were answered before may be gone; then that is told. What is answered later is always there. */
  readonly loses: "nothing" | "earlier"
  readonly make: (place: Place) => void
}

/** Runs a program; false where it fails, or does not exist. */
const runs = (program: string, ...parameters: ReadonlyArray<string>): boolean =>
  spawnSync(program, parameters, { stdio: "ignore" }).status === 0

const must = (program: string, ...parameters: ReadonlyArray<string>): void => {
  const { error, status, stderr } = spawnSync(program, parameters, { encoding: "utf8" })
  if (status !== 0) throw new Error(`${program} ${parameters.join(" ")}: ${error?.message ?? stderr}`)
}

const hasLogrotate = runs("logrotate", "--version")

/** What logrotate does to one file, by itself where it is there, and else by the same operations on files. */
const logrotate = (place: Place, file: string, how: "create" | "copytruncate"): void => {
  const rotated = `${file}.${++place.moves}`
  if (!hasLogrotate) {
    if (how === "create") must("sh", "-c", 'mv "$0" "$1" && umask 077 && : > "$0"', file, rotated)
    else must("sh", "-c", 'cp -p "$0" "$1" && truncate -s 0 "$0"', file, rotated)
    return
  }
  const settings = path.join(place.root, "logrotate.conf")
  const mode = how === "create" ? "create 0600" : "copytruncate"
  writeFileSync(settings, `"${file}" {\n rotate 1000\n ${mode}\n}\n`, { mode: 0o600 })
  must("logrotate", "--force", "--state", path.join(place.root, "logrotate.state"), settings)
}

/** A name in the volume for a log that is moved away. */
const asideIn = (place: Place): string => path.join(place.volume, `log-${++place.moves}`)

const mount = ({ isMounted, mounted, volume }: Place): void => {
  if (isMounted) must("mount", "--bind", mounted.at(-1)!, volume)
  else must("ln", "--symbolic", "--force", "--no-dereference", mounted.at(-1)!, volume)
}

const logsIn = (volume: string): ReadonlyArray<string> =>
  readdirSync(volume)
    .map((name) => path.join(volume, name))
    .filter((directory) => existsSync(path.join(directory, ".meta.json")))

export const disturbances: ReadonlyArray<Disturbance> = [
  {
    name: "logrotate with copytruncate takes the newest segment",
    loses: "earlier",
    make: (place) => logrotate(place, newestOf(place.directory), "copytruncate")
  },
  {
    name: "logrotate with create takes the newest segment",
    loses: "earlier",
    make: (place) => logrotate(place, newestOf(place.directory), "create")
  },
  {
    name: "logrotate takes an older segment",
    loses: "earlier",
    make: (place) => logrotate(place, path.join(place.directory, segmentsOf(place.directory)[0]!), "copytruncate")
  },
  {
    name: "gzip takes the newest segment",
    loses: "earlier",
    make: ({ directory }) => must("gzip", "--force", newestOf(directory))
  },
  {
    name: "gzip takes all older segments",
    loses: "earlier",
    make: ({ directory }) => {
      for (const file of segmentsOf(directory).slice(0, -1)) must("gzip", "--force", path.join(directory, file))
    }
  },
  {
    name: "side files and events.log are deleted",
    loses: "nothing",
    make: ({ directory }) => {
      for (const file of readdirSync(directory)) {
        if (file.endsWith(".index") || file === "events.log") rmSync(path.join(directory, file), { force: true })
      }
    }
  },
  {
    name: "mv moves the directory away",
    loses: "nothing",
    make: (place) => {
      must("mv", place.directory, asideIn(place))
    }
  },
  {
    name: "mv moves the directory away, and an earlier one into its place",
    loses: "nothing",
    make: (place) => {
      const back = logsIn(place.volume).find((one) => one !== place.directory)
      if (back === undefined) return
      for (let isBack = false; !isBack;) {
        if (existsSync(place.directory)) must("mv", "--no-target-directory", place.directory, asideIn(place))
        try {
          // Fails where a writer has begun the next log meanwhile.
          renameSync(back, place.directory)
          isBack = true
        } catch (cause) {
          if (!(cause instanceof Error && "code" in cause && cause.code === "ENOTEMPTY")) throw cause
        }
      }
    }
  },
  {
    name: "another volume is mounted over that of the log",
    loses: "nothing",
    make: (place) => {
      const other = path.join(place.root, `volume-${place.volumes.length}`)
      mkdirSync(other)
      place.volumes.push(other)
      place.mounted.push(other)
      mount(place)
    }
  },
  {
    name: "the volume of the log is unmounted, and the one below it is there again",
    loses: "nothing",
    make: (place) => {
      if (place.mounted.length === 1) return
      place.mounted.pop()
      if (place.isMounted) must("umount", "--lazy", place.volume)
      else mount(place)
    }
  },
  {
    name: "the directory is copied, and deleted, as mv does to another volume",
    loses: "earlier",
    make: (place) => {
      // Either fails where files come and go meanwhile.
      runs("cp", "--archive", place.directory, asideIn(place))
      runs("rm", "-rf", place.directory)
    }
  },
  {
    name: "rm -rf deletes the directory",
    loses: "earlier",
    // It fails where a writer has begun the next log in it meanwhile.
    make: ({ directory }) => void runs("rm", "-rf", directory)
  }
]

/** A place for a log, on a volume that is mounted where this machine allows that. */
export const place: Effect.Effect<Place, never, Scope.Scope> = Effect.gen(function* () {
  const root = yield* TestDirectory.make
  const volume = path.join(root, "mounted")
  const first = path.join(root, "volume-0")
  mkdirSync(volume)
  mkdirSync(first)
  const isMounted = yield* Effect.acquireRelease(
    Effect.sync(() => runs("mount", "--bind", first, volume)),
    (isMounted) =>
      Effect.sync(() => {
        while (isMounted && runs("umount", "--lazy", volume));
      })
  )
  if (!isMounted) {
    console.error("*** REMOUNTS ARE SIMULATED BY A SYMBOLIC LINK: this machine allows no mount (run as root) ***")
    rmdirSync(volume)
    symlinkSync(first, volume)
  }
  const directory = path.join(volume, "log")
  return { root, volume, directory, mounted: [first], volumes: [first], isMounted, moves: 0 }
})

interface Batch {
  readonly from: number
  readonly to: number
  readonly started: bigint
}

/** Reads what a process says, each line once, however often it is asked. */
const reading = <A>({ said }: Writer, take: (line: string) => A | undefined): (() => ReadonlyArray<A>) => {
  const taken: Array<A> = []
  let lines = 0
  return () => {
    for (; lines < said().length; lines++) {
      const one = take(said()[lines]!)
      if (one !== undefined) taken.push(one)
    }
    return taken
  }
}

const batchOf = (line: string): Batch | undefined => {
  const match = /^(\d+) (\d+) (\d+)$/.exec(line)
  return match === null ? undefined : { from: Number(match[1]), to: Number(match[2]), started: BigInt(match[3]!) }
}

const startingWith = (beginning: string) => (line: string) => (line.startsWith(beginning) ? line : undefined)

/** The events of all logs of a place, each as its origin and seq, and what the one in its directory says of losses. */
const readAll = (place: Place) =>
  Effect.gen(function* () {
    const found = new Set<string>()
    const read = (directory: string) =>
      Effect.map(
        // It is refused where the segments are changed again and again while they are read.
        Effect.retry(
          run(directory, ({ backend }) => backend.query({})),
          { times: 3, while: ({ message }) => message.includes("ask again") }
        ),
        ({ coverage: [coverage], events }): ReadonlyArray<string> => {
          for (const { event, id } of events) {
            assert.strictEqual(event.message, `Step ${id.seq} of workflow deploy was completed`)
            found.add(`${id.origin} ${id.seq}`)
          }
          return [coverage!.store, ...coverage!.gaps.map(({ reason }) => reason)]
        }
      )
    const told = yield* read(place.directory)
    for (const directory of place.volumes.flatMap(logsIn)) yield* read(directory)
    return { found, told }
  })

const originOf = (index: number): string => String(index).padStart(32, "0")

export interface Campaign {
  readonly place: Place
  readonly writers: number
  readonly followers: number
  readonly disturbances: ReadonlyArray<Disturbance>
  /** Whether a writer is killed during each disturbance, and another one started. */
  readonly kills: boolean
}

/** A process that writes, and one that watches. */
interface Appending extends Writer {
  readonly origin: string
  readonly batches: () => ReadonlyArray<Batch>
  readonly errors: () => ReadonlyArray<string>
}

interface Watching extends Writer {
  readonly events: ReadonlySet<string>
  /** Takes in what it said since. */
  readonly look: () => void
  readonly gaps: () => number
  /** What was answered and it did not show. */
  readonly missed: Set<string>
}

const appending = (directory: string, index: number) =>
  Effect.gen(function* (): Effect.fn.Return<Appending, never, Scope.Scope> {
    const origin = originOf(index)
    const one = yield* start("patientWriter.ts", directory, origin, 8, 15, 40_000 + 10_000 * index)
    yield* one.saidAtLeast(1)
    return { ...one, origin, batches: reading(one, batchOf), errors: reading(one, startingWith("error ")) }
  })

const watching = (directory: string) =>
  Effect.gen(function* (): Effect.fn.Return<Watching, never, Scope.Scope> {
    const one = yield* start("watcher.ts", directory)
    yield* one.saidThat(() => one.said().includes("Live"))
    const events = new Set<string>()
    /** What it showed of this log. Of another one in its place it shows all, also where that is the one before. */
    const shown = new Set<string>()
    const read = reading(one, (line) => {
      if (line.includes("another one was created in its place")) shown.clear()
      if (!/^\d+ \d+$/.test(line)) return
      if (shown.has(line)) {
        const around = one.said().flatMap((said, at) => (said === line || !/^\d/.test(said) ? [`${at}: ${said}`] : []))
        assert.fail(`a watch showed ${line} twice: ${around.join("; ")}`)
      }
      shown.add(line)
      events.add(line)
    })
    const gaps = reading(one, startingWith("Gap "))
    return { ...one, events, look: () => void read(), gaps: () => gaps().length, missed: new Set() }
  })

/** Starts processes, disturbs them, and holds the accounts after each disturbance. */
export const campaign = ({ disturbances, followers, kills, place, writers: count }: Campaign) =>
  Effect.gen(function* () {
    const { directory } = place
    const writers: Array<Appending> = []
    const startWriter = Effect.suspend(() =>
      Effect.map(appending(directory, writers.length), (one) => void writers.push(one))
    )
    yield* Effect.repeat(startWriter, { times: count - 1 })
    const watchers = yield* Effect.replicateEffect(watching(directory), followers)
    let alive = 0

    /** What was answered, and is not in the log any more. */
    const lost = new Set<string>()
    let { told } = yield* readAll(place)
    for (const { loses, make, name } of disturbances) {
      const gapsBefore = watchers.map(({ gaps }) => gaps())
      const victim = kills ? writers[alive++] : undefined
      victim?.process.kill("SIGKILL")
      make(place)
      const ended = process.hrtime.bigint()
      if (victim !== undefined) {
        yield* victim.ended
        yield* startWriter
      }
      for (const { batches, saidThat } of writers.slice(alive)) {
        yield* saidThat(() => (batches().at(-4)?.started ?? 0n) > ended)
      }
      const answered = writers.flatMap(({ batches, origin }) => batches().map((batch) => ({ origin, ...batch })))

      /** Adds what is answered and not there, and answers how many events that are. */
      const account = (there: ReadonlySet<string>, known: Set<string>, where: string): number => {
        const before = known.size
        for (const { from, origin, started, to } of answered) {
          for (let seq = from; seq <= to; seq++) {
            const event = `${origin} ${seq}`
            if (there.has(event) || known.has(event)) continue
            assert.isTrue(started < ended, `${event} was answered after this, and is not ${where}: ${name}`)
            known.add(event)
          }
        }
        return known.size - before
      }
      const log = yield* readAll(place)
      const count = account(log.found, lost, "in the log")
      if (loses === "nothing") assert.strictEqual(count, 0, `events are gone: ${name}`)
      const isTold = log.told.some((reason) => !told.includes(reason))
      if (count > 0) {
        const meta = existsSync(path.join(directory, ".meta.json"))
          ? readFileSync(path.join(directory, ".meta.json"), "utf8")
          : ""
        assert.isTrue(
          isTold,
          `${count} events are gone, and coverage does not say so: ${name}; ${[...lost].slice(-count).join(", ")}; ${log.told.join("; ")}; ${meta}`
        )
      }
      told = log.told

      const last = writers.slice(alive).map(({ batches, origin }) => `${origin} ${batches().at(-1)!.to}`)
      for (const [index, { events, gaps, look, missed, saidThat }] of watchers.entries()) {
        yield* saidThat(() => {
          look()
          return last.every((event) => events.has(event))
        })
        const count = account(events, missed, "shown by a watch")
        if (count > 0)
          assert.isAbove(gaps(), gapsBefore[index]!, `a watch misses ${count} events without a gap: ${name}`)
      }
    }
    for (const one of writers.slice(alive)) {
      one.process.stdin!.end()
      assert.strictEqual(yield* one.ended, 0)
    }
    const errors = writers.flatMap(({ errors }) => errors())
    for (const error of errors) assert.match(error, /^error (?:Transient|Unavailable) /)
    return { batches: writers.flatMap(({ batches }) => batches()).length, errors }
  }).pipe(Effect.provideService(References.MinimumLogLevel, "None"))
