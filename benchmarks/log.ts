/**
 * The event log: writing and reading at one and at twenty million events, beside the first release and what people use instead.
 *
 * Each measurement is a process of its own, and what is told is CPU time as a ratio, because that holds on a busy machine too. In a new
 * process most of a short query is JavaScript that runs for the first time, so what it costs afterwards is told too.
 * `--events N` and `--large N` make smaller logs, `--baseline DIR` names a build of the first release. `--only writing` measures
 * only what writing costs, in two minutes and without a large log; `--only reading` only what reading costs. `--logs DIR` keeps the logs
 * that are read, beside the database, in a directory: the next run with it does not fill them again, and takes about a minute.
 */
import { spawnSync } from "node:child_process"
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  lstatSync,
  readdirSync,
  readFileSync,
  rmSync,
  statfsSync,
  statSync,
  writeFileSync
} from "node:fs"
import { tmpdir } from "node:os"
import { join, resolve } from "node:path"
import * as Builds from "./log/Builds.ts"
import type { Job, Measured } from "./log/worker.ts"
import { compare, type Group, median, type Row } from "./Measurement.ts"

export interface Options {
  /** Events of the log that the first release reads too. */
  readonly events: number
  readonly large: number
  readonly baseline: string | undefined
  /** Measures this part alone. */
  readonly only: Part | undefined
  /** Where the logs of `events` events are kept. */
  readonly logs: string | undefined
}

/** The parts that can be measured alone. */
export const PARTS = ["writing", "reading"] as const

export type Part = (typeof PARTS)[number]

const ROUNDS = 3
const IN_FLIGHT = 64
const WRITTEN = 20_480

interface Log {
  readonly directory: string
  readonly events: number
  /** When the last event happened, in microseconds. */
  readonly end: number
}

const say = (text: string): void => console.error(text)

/** Bytes of the files of a directory whose names `counts` takes. */
const bytesIn = (directory: string, counts: (file: string) => boolean = () => true): number =>
  readdirSync(directory)
    .filter(counts)
    .reduce((sum, file) => sum + lstatSync(join(directory, file)).size, 0)

const isSideFile = (file: string): boolean => file.endsWith(".index")

/** Several runs, of which the median counts: of CPU and blocking; of memory the largest. */
const repeat = async (times: number, run: () => Promise<Measured>): Promise<Measured> => {
  const all: Array<Measured> = []
  for (let n = 0; n < times; n++) all.push(await run())
  return {
    ...all[0]!,
    cpu: median(all.map(({ cpu }) => cpu)),
    rss: Math.max(...all.map(({ rss }) => rss)),
    opening: median(all.map(({ opening = 0 }) => opening)),
    ...(all[0]!.again === undefined ? undefined : { again: median(all.map(({ again = 0 }) => again)) }),
    blocked: median(all.map(({ blocked }) => blocked))
  }
}

const row = (
  name: string,
  cost: number,
  unit: Row["unit"],
  bar?: { readonly limit: number; readonly says: string }
): Row => (bar === undefined ? { name, cost, unit } : { name, cost, unit, bar: bar.says, met: cost <= bar.limit })

const writing = async (
  builds: { readonly now: Builds.Build; readonly first: Builds.Build },
  folder: string
): Promise<Group> => {
  const directory = (name: string): string => {
    const path = join(folder, name)
    mkdirSync(path, { mode: 0o700 })
    return path
  }
  const one = { events: WRITTEN, rounds: 7 }
  const sampleLog = directory("sample")
  await Builds.measure(builds.now, { _tag: "Fill", directory: sampleLog, from: 0, to: 4_096, end: Date.now() * 1_000 })
  const sample = join(folder, "sample.ndjson")
  copyFileSync(
    join(
      sampleLog,
      readdirSync(sampleLog).find((file) => file.endsWith(".ndjson"))!
    ),
    sample
  )
  const bytes = Math.round(statSync(sample).size / 4_096)

  // Each turn has a log of its own: what is in one already would not be written again.
  let logs = 0
  const fresh = (): string => join(folder, `written-${++logs}`)
  const turns: ReadonlyArray<readonly [string, () => Promise<{ readonly cpu: number }>]> = [
    [
      "fs.writeSync of the same bytes",
      () => Builds.measure(builds.now, { _tag: "BareWrite", directory: folder, bytes, batch: IN_FLIGHT, ...one })
    ],
    [
      "backend.write",
      () => Builds.measure(builds.now, { _tag: "Write", directory: fresh(), batch: IN_FLIGHT, ...one })
    ],
    [
      "backend.write of the first release",
      () =>
        Builds.measure(builds.first, {
          _tag: "Write",
          directory: fresh(),
          batch: IN_FLIGHT,
          ...one
        })
    ],
    ["JSON.stringify alone", () => Builds.measurePeer({ _tag: "Stringify", sample, ...one })],
    ["record", () => Builds.measure(builds.now, { _tag: "Record", directory: fresh(), batched: false, ...one })],
    [
      "record with Policy.batch",
      () => Builds.measure(builds.now, { _tag: "Record", directory: fresh(), batched: true, ...one })
    ],
    ["record by Tidings.create", () => Builds.measure(builds.now, { _tag: "Facade", directory: fresh(), ...one })],
    [
      "record of the first release",
      () =>
        Builds.measure(builds.first, {
          _tag: "Record",
          directory: fresh(),
          batched: false,
          ...one
        })
    ],
    [
      "record by Tidings.create of the first release",
      () => Builds.measure(builds.first, { _tag: "Facade", directory: fresh(), ...one })
    ],
    ["pino, synchronous", () => Builds.measurePeer({ _tag: "Pino", sync: true, directory: folder, sample, ...one })],
    ["pino, asynchronous", () => Builds.measurePeer({ _tag: "Pino", sync: false, directory: folder, sample, ...one })],
    ["SQLite, the key alone", () => Builds.measurePeer({ _tag: "Sqlite", indexes: false, directory: folder, ...one })],
    ["SQLite, four indexes", () => Builds.measurePeer({ _tag: "Sqlite", indexes: true, directory: folder, ...one })]
  ]
  const costs = new Map<string, Array<number>>(turns.map(([name]) => [name, []]))
  for (let round = 0; round < ROUNDS; round++) {
    for (const [name, run] of turns) costs.get(name)!.push((await run()).cpu * 1_000)
  }
  const cost = (name: string): number => median(costs.get(name)!)
  const against = (name: string, other: string, atMost?: number): Row => {
    const ratio = cost(name) / cost(other)
    const base: Row = { name, cost: cost(name), unit: "ns", against: other, ratio }
    return atMost === undefined ? base : { ...base, bar: `at most ${atMost} x`, met: ratio <= atMost }
  }
  const bare = "fs.writeSync of the same bytes"
  return {
    title: `Write, ${IN_FLIGHT} in flight, 5,000 objects, ${bytes} bytes a line (CPU per event)`,
    rows: [
      row(bare, cost(bare), "ns"),
      against("backend.write", bare, 6),
      against("backend.write of the first release", bare),
      against("JSON.stringify alone", bare),
      against("record", "pino, synchronous", 0.9),
      against("record", "record of the first release", 0.5),
      against("record with Policy.batch", "record", 1.05),
      against("record by Tidings.create", "record by Tidings.create of the first release"),
      against("record of the first release", "pino, synchronous"),
      ...["pino, synchronous", "pino, asynchronous", "SQLite, the key alone", "SQLite, four indexes"].map((name) =>
        against(name, bare)
      )
    ]
  }
}

const filled = async (
  build: Builds.Build,
  directory: string,
  events: number
): Promise<Log & { readonly filling: Measured }> => {
  const end = Date.now() * 1_000
  const filling = await Builds.measure(build, { _tag: "Fill", directory, from: 0, to: events, end })
  return { directory, events, end, filling }
}

interface Question {
  readonly name: string
  readonly query: Extract<Job, { _tag: "Query" }>["query"]
  readonly where: string
  readonly parameters: ReadonlyArray<string | number>
}

const questions = ({ end }: Log): ReadonlyArray<Question> => {
  const since = end - 3_600_000_000
  return [
    {
      name: "kind and name",
      query: { resourceType: "Workflow", resourceName: "deploy-service-0217", limit: 50 },
      where: "kind = ? AND name = ?",
      parameters: ["Workflow", "deploy-service-0217"]
    },
    {
      name: "reason",
      query: { reason: "WorkflowStepReason07", limit: 50 },
      where: "reason = ?",
      parameters: ["WorkflowStepReason07"]
    },
    {
      name: "warnings of an hour",
      query: { eventType: "Warning", since, limit: 50 },
      where: "type = ? AND last >= ?",
      parameters: ["Warning", since]
    }
  ]
}

const ms = (measured: { readonly cpu: number }): number => measured.cpu / 1_000

/** A query without opening the log, which a process does once; that has a row of its own. */
const itself = (measured: Measured): Measured => ({ ...measured, cpu: measured.cpu - (measured.opening ?? 0) })

const openingRow = ({ opening = 0 }: Measured): Row => row("open the log", opening / 1_000, "ms")

const onceMore = (name: string): string => `${name}, in a process that has asked it before`

/** A row of this build and one of the first release, with the bar between them. */
const besideFirst = (
  name: string,
  now: Measured,
  first: Measured,
  part: number,
  memory?: number
): ReadonlyArray<Row> => {
  const ratio = now.cpu / first.cpu
  const rows: Array<Row> = [
    { name: `${name}, first release`, cost: ms(first), unit: "ms" },
    {
      name,
      cost: ms(now),
      unit: "ms",
      against: "first release",
      ratio,
      bar: `at most 1/${part}`,
      met: ratio <= 1 / part
    }
  ]
  if (now.again !== undefined) {
    // The first release reads all lines each time.
    const again = now.again / first.cpu
    rows.push({ name: onceMore(name), cost: now.again / 1_000, unit: "ms", against: "first release", ratio: again })
  }
  if (memory !== undefined) {
    rows.push(row(`${name}: memory`, now.rss, "MB", { limit: memory, says: `under ${memory} MB` }))
  }
  return rows
}

const reading = async (
  builds: { readonly now: Builds.Build; readonly first: Builds.Build },
  log: Log,
  old: Log,
  folder: string
): Promise<Group> => {
  const now = (job: Job): Promise<Measured> => repeat(ROUNDS, () => Builds.measure(builds.now, job))
  const first = (job: Job): Promise<Measured> => Builds.measure(builds.first, job)
  const rows: Array<Row> = []

  const newest = { _tag: "Query", query: { limit: 50 } } as const
  const again = true
  // What the writer left to be indexed costs the first query; that is measured for itself, as making side files.
  await Builds.measure(builds.now, { ...newest, directory: log.directory })
  const newestNow = await now({ ...newest, again, directory: log.directory })
  const newestFirst = itself(await first({ ...newest, directory: old.directory }))
  rows.push(openingRow(newestNow), ...besideFirst("newest 50", itself(newestNow), newestFirst, 400, 120))
  const oldQuestions = questions(old)
  for (const [index, { name, parameters, query, where }] of questions(log).entries()) {
    const found = itself(await now({ _tag: "Query", again, directory: log.directory, query }))
    const before = itself(await first({ _tag: "Query", directory: old.directory, query: oldQuestions[index]!.query }))
    if (found.found !== before.found)
      throw new Error(`${name}: ${found.found} events, and ${before.found} in the first release`)
    rows.push(...besideFirst(`${name} (${found.found})`, found, before, 100, 120))
    const sqlite = await Builds.measurePeer({ _tag: "SqliteQuery", directory: folder, where, parameters })
    rows.push(row(`${name}, SQLite with an index`, ms(sqlite), "ms"))
  }
  rows.push(
    ...besideFirst(
      "resume from a cursor 10 events old",
      await now({ _tag: "Resume", directory: log.directory }),
      await first({ _tag: "Resume", directory: old.directory }),
      50
    ),
    ...besideFirst(
      "everything, by pages of 1,000",
      await Builds.measure(builds.now, { _tag: "Everything", directory: log.directory, limit: 1_000 }),
      // Each page is a scan there, so everything is one query.
      await first({ _tag: "Everything", directory: old.directory, limit: old.events }),
      5,
      150
    ),
    ...besideFirst(
      "watch from the beginning",
      await Builds.measure(builds.now, { _tag: "WatchBeginning", directory: log.directory }),
      await first({ _tag: "WatchBeginning", directory: old.directory }),
      5,
      150
    ),
    ...besideFirst(
      "first append of a process",
      await now({ _tag: "FirstAppend", directory: log.directory, end: log.end }),
      await first({ _tag: "FirstAppend", directory: old.directory, end: old.end }),
      50
    )
  )
  return { title: `Read a log of ${log.events.toLocaleString("en")} events (CPU, a new process each)`, rows }
}

const building = async (now: Builds.Build, log: Log): Promise<Group> => {
  const files = readdirSync(log.directory).filter(isSideFile)
  for (const file of files) rmSync(join(log.directory, file))
  const built = await Builds.measure(now, { _tag: "Query", directory: log.directory, query: { limit: 50 } })
  const perMillion = (ms(built) / log.events) * 1_000_000
  const perRow = bytesIn(log.directory, isSideFile) / log.events
  return {
    title: "Make the side files anew",
    rows: [
      row("CPU per million events", perMillion, "ms", { limit: 2_000, says: "at most 2 s" }),
      row("longest time that the event loop did not run", built.blocked, "ms", { limit: 20, says: "at most 20 ms" }),
      row("memory", built.rss, "MB", { limit: 120, says: "under 120 MB" }),
      row("bytes a row", perRow, "B", { limit: 20, says: "at most 20" })
    ]
  }
}

/** What an event takes on disk, in bytes. At the end, because the log is compressed for it. */
const space = async (
  now: Builds.Build,
  log: Log,
  { perEvent, sqlite }: { readonly perEvent: number; readonly sqlite: number }
): Promise<Group> => {
  const compressing = await Builds.measure(now, { _tag: "Compress", ...log })
  const compressed = bytesIn(log.directory) / log.events
  const beside = (name: string, cost: number, most: number): Row => ({
    name: `${name}, bytes an event`,
    cost,
    unit: "B",
    against: "SQLite",
    ratio: cost / sqlite,
    bar: `at most ${most} x`,
    met: cost / sqlite <= most
  })
  const newest = await repeat(ROUNDS, () =>
    Builds.measure(now, { _tag: "Query", directory: log.directory, query: { limit: 50 } })
  )
  return {
    title: "Disk",
    rows: [
      row("SQLite with four indexes, bytes an event", sqlite, "B"),
      beside("the log with its side files", perEvent, 0.7),
      beside("compressed, with its side files", compressed, 0.15),
      row("compressing, CPU per million events", (ms(compressing) / log.events) * 1_000_000, "ms"),
      row("longest time that the event loop did not run", compressing.blocked, "ms", {
        limit: 20,
        says: "at most 20 ms"
      }),
      row("newest 50 of the compressed log", ms(newest), "ms")
    ]
  }
}

const large = async (now: Builds.Build, log: Log): Promise<Group> => {
  const ask = { _tag: "Query", directory: log.directory, query: { limit: 50 }, again: true } as const
  // As before reading: what the writer left to be indexed is measured for itself.
  await Builds.measure(now, ask)
  const newest = await repeat(ROUNDS, () => Builds.measure(now, ask))
  const rows: Array<Row> = [
    openingRow(newest),
    row("newest 50", ms(itself(newest)), "ms", { limit: 10, says: "under 10 ms" }),
    row(onceMore("newest 50"), (newest.again ?? 0) / 1_000, "ms"),
    row("newest 50: memory", newest.rss, "MB", { limit: 200, says: "under 200 MB" })
  ]
  for (const { name, query } of questions(log)) {
    const found = itself(
      await repeat(ROUNDS, () => Builds.measure(now, { _tag: "Query", directory: log.directory, query, again: true }))
    )
    rows.push(
      row(`${name} (${found.found})`, ms(found), "ms", { limit: 300, says: "under 300 ms" }),
      row(onceMore(name), (found.again ?? 0) / 1_000, "ms"),
      row(`${name}: memory`, found.rss, "MB", { limit: 200, says: "under 200 MB" })
    )
  }
  rows.push(
    row("side files, bytes a row", bytesIn(log.directory, isSideFile) / log.events, "B", {
      limit: 20,
      says: "at most 20"
    })
  )
  return { title: `Read a log of ${log.events.toLocaleString("en")} events (CPU, a new process each)`, rows }
}

const following = async (now: Builds.Build, log: Log): Promise<Group> => {
  const events = 300
  const follower = Builds.start(now, { _tag: "Follow", directory: log.directory, events })
  await new Promise((live) => follower.child.once("message", live))
  const writer = Builds.measure(now, { _tag: "Trickle", directory: log.directory, events, end: Date.now() * 1_000 })
  const [{ latencies = [] }] = await Promise.all([follower.done, writer])
  const [first, ...rest] = latencies
  const sorted = rest.sort((a, b) => a - b)
  const at = (part: number): number => sorted[Math.floor(part * sorted.length)]!
  return {
    title: "Follow what another process writes",
    rows: [
      row("the first event after now", first!, "ms", { limit: 50, says: "under 50 ms" }),
      row("half of the events within", at(0.5), "ms"),
      row("99 of 100 events within", at(0.99), "ms", { limit: 20, says: "under 20 ms" })
    ]
  }
}

const command = (log: Log, folder: string): Group => {
  const tidings = resolve("packages/tidings/bin/tidings.mjs")
  const list = (directory: string): number => {
    const begun = process.hrtime.bigint()
    const { status, stderr } = spawnSync(process.execPath, [tidings, "list", "--limit", "50"], {
      env: { ...process.env, TIDINGS_DIRECTORY: directory, NODE_OPTIONS: "" },
      encoding: "utf8"
    })
    if (status !== 0) throw new Error(`tidings list ended with ${status}: ${stderr}`)
    return Number(process.hrtime.bigint() - begun) / 1_000_000
  }
  const few = join(folder, "few")
  const times = { few: [] as Array<number>, many: [] as Array<number> }
  for (let round = -1; round < 11; round++) {
    const [one, other] = [list(few), list(log.directory)]
    if (round >= 0) {
      times.few.push(one)
      times.many.push(other)
    }
  }
  const many = `of ${log.events.toLocaleString("en")} events`
  return {
    title: "tidings list --limit 50, the whole command",
    rows: compare(
      new Map([
        ["of 100 events", median(times.few)],
        [many, median(times.many)]
      ]),
      "of 100 events",
      { [many]: { atMost: 1.5 } },
      "ms"
    )
  }
}

/** The logs that are read, and how much space the new one and the database take. */
interface Logs {
  readonly log: Log
  readonly old: Log
  /** Bytes an event, before anything was read. */
  readonly perEvent: number
  readonly sqlite: number
}

/** Fills the logs that are read, unless they are kept in the folder. */
const filledLogs = async (
  builds: { readonly now: Builds.Build; readonly first: Builds.Build },
  folder: string,
  events: number
): Promise<Logs> => {
  const note = join(folder, `logs-${events}.json`)
  if (existsSync(note)) return JSON.parse(readFileSync(note, "utf8")) as Logs
  say(`filling logs of ${events} events`)
  const log = await filled(builds.now, join(folder, "log"), events)
  const old = await filled(builds.first, join(folder, "log-first"), events)
  await filled(builds.now, join(folder, "few"), 100)
  await Builds.measurePeer({ _tag: "SqliteFill", directory: folder, events, end: log.end })
  const logs = {
    log,
    old,
    perEvent: bytesIn(log.directory) / events,
    sqlite: bytesIn(folder, (file) => file.startsWith("events.sqlite")) / events
  }
  writeFileSync(note, JSON.stringify(logs))
  return logs
}

const needed = ({ events, large, only }: Options): number => {
  if (only === "writing") return 2 ** 30
  return ((only === undefined ? large : 0) + 4 * events) * 1_000
}

export const run = async (options: Options): Promise<ReadonlyArray<Group>> => {
  const { events, only } = options
  const folder = mkdtempSync(join(tmpdir(), "tidings-bench-"))
  try {
    const logsFolder = options.logs === undefined ? folder : resolve(options.logs)
    mkdirSync(logsFolder, { recursive: true, mode: 0o700 })
    const { bavail, bsize } = statfsSync(logsFolder)
    if (bavail * bsize < needed(options)) {
      throw new Error(
        `${logsFolder} needs ${Math.ceil(needed(options) / 2 ** 30)} GiB of free space: make the logs smaller by --large and --events`
      )
    }
    say("building")
    const builds = { now: Builds.current(), first: Builds.firstRelease(options.baseline) }
    const groups: Array<Group> = []
    if (only !== "reading") {
      say("writing")
      groups.push(await writing(builds, folder))
      if (only === "writing") return groups
    }
    const { log, old, perEvent, sqlite } = await filledLogs(builds, logsFolder, events)
    say("reading")
    groups.push(await reading(builds, log, old, logsFolder))
    groups.push(command(log, logsFolder))
    groups.push(await following(builds.now, log))
    if (only === "reading") return groups
    groups.push(await building(builds.now, log))
    // Compressing changes the log.
    rmSync(join(logsFolder, `logs-${events}.json`))
    groups.push(await space(builds.now, log, { perEvent, sqlite }))
    rmSync(old.directory, { recursive: true })
    if (options.large > 0) {
      say(`filling a log of ${options.large} events`)
      const twenty = await filled(builds.now, join(folder, "large"), options.large)
      groups.push(await large(builds.now, twenty))
    }
    return groups
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}
