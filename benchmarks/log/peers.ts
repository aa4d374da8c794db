/**
 * What else people write events with, one measurement in a process of its own: `node peers.ts JSON`.
 */
import { readFileSync, rmSync } from "node:fs"
import { join } from "node:path"
import { DatabaseSync } from "node:sqlite"
import { pino } from "pino"
import { writeAt } from "./events.ts"
import { cpuNow, rounds } from "./rounds.ts"

export type PeerJob =
  | {
      readonly _tag: "Pino"
      readonly sync: boolean
      readonly directory: string
      readonly sample: string
      readonly events: number
      readonly rounds: number
    }
  | { readonly _tag: "Stringify"; readonly sample: string; readonly events: number; readonly rounds: number }
  | {
      readonly _tag: "Sqlite"
      readonly indexes: boolean
      readonly directory: string
      readonly events: number
      readonly rounds: number
    }
  /** Fills a database with the events of a log, and answers the size of it. */
  | { readonly _tag: "SqliteFill"; readonly directory: string; readonly events: number; readonly end: number }
  | {
      readonly _tag: "SqliteQuery"
      readonly directory: string
      readonly where: string
      readonly parameters: ReadonlyArray<string | number>
    }

export interface PeerMeasured {
  /** Microseconds of CPU, per event or for the whole. */
  readonly cpu: number
  readonly found: number
  readonly rss: number
}

/** The lines of a log as objects: what a logger is given to write the same bytes. */
const objectsOf = (sample: string): ReadonlyArray<object> =>
  readFileSync(sample, "utf8")
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => JSON.parse(line) as object)

const withPino = async ({
  directory,
  events,
  rounds: count,
  sample,
  sync
}: Extract<PeerJob, { _tag: "Pino" }>): Promise<number> => {
  const objects = objectsOf(sample)
  const file = join(directory, "pino.ndjson")
  const destination = pino.destination({ dest: file, sync })
  const logger = pino({ base: null, timestamp: false, formatters: { level: () => ({}) } }, destination)
  const cpu = await rounds(count, events, () => async () => {
    for (let n = 0; n < events; n++) {
      logger.info(objects[n % objects.length]!)
      // What an asynchronous logger has not written yet does not pile up.
      if (!sync && n % 64 === 63) await new Promise((resolve) => setImmediate(resolve))
    }
    if (!sync) await new Promise<void>((resolve) => destination.flush(() => resolve()))
  })
  rmSync(file)
  return cpu
}

const stringify = ({ events, rounds: count, sample }: Extract<PeerJob, { _tag: "Stringify" }>): Promise<number> => {
  const objects = objectsOf(sample)
  let length = 0
  return rounds(count, events, () => () => {
    for (let n = 0; n < events; n++) length += JSON.stringify(objects[n % objects.length]).length
    if (length === 0) throw new Error("nothing was encoded")
  })
}

const open = (file: string, indexes: boolean): DatabaseSync => {
  const database = new DatabaseSync(file)
  database.exec("PRAGMA journal_mode = WAL")
  database.exec("PRAGMA synchronous = NORMAL")
  database.exec(`CREATE TABLE events (origin TEXT, seq INTEGER, up_to INTEGER, last INTEGER, kind TEXT, name TEXT,
    reason TEXT, type TEXT, body TEXT, PRIMARY KEY (origin, seq)) WITHOUT ROWID`)
  if (indexes) {
    database.exec("CREATE INDEX by_last ON events (last)")
    database.exec("CREATE INDEX by_object ON events (kind, name, last)")
    database.exec("CREATE INDEX by_reason ON events (reason, last)")
    database.exec("CREATE INDEX by_type ON events (type, last)")
  }
  return database
}

const insertInto = (database: DatabaseSync) => {
  const statement = database.prepare(`INSERT INTO events VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
    ON CONFLICT (origin, seq) DO UPDATE SET up_to = excluded.up_to, last = excluded.last, body = excluded.body
    WHERE excluded.up_to > up_to`)
  return (index: number, end: number, total: number): void => {
    const { event, id, last, upTo } = writeAt(index, end, total)
    const { kind, name } = event.involvedObject
    statement.run(id.origin, id.seq, upTo, last, kind, name, event.reason, event.type, JSON.stringify(event))
  }
}

const insert = async ({
  directory,
  events,
  indexes,
  rounds: count
}: Extract<PeerJob, { _tag: "Sqlite" }>): Promise<number> => {
  const file = join(directory, `peer-${indexes}.sqlite`)
  const database = open(file, indexes)
  const add = insertInto(database)
  const cpu = await rounds(count, events, (round) => () => {
    for (let n = 0; n < events; n += 64) {
      database.exec("BEGIN")
      for (let one = n; one < n + 64; one++) add(round * events + one, 1_790_000_000_000_000, 0)
      database.exec("COMMIT")
    }
  })
  database.close()
  for (const suffix of ["", "-wal", "-shm"]) rmSync(`${file}${suffix}`, { force: true })
  return cpu
}

const run = async (job: PeerJob): Promise<PeerMeasured> => {
  const answer = (cpu: number, found = 0): PeerMeasured => ({ cpu, found, rss: process.resourceUsage().maxRSS / 1_024 })
  switch (job._tag) {
    case "Pino":
      return answer(await withPino(job))
    case "Stringify":
      return answer(await stringify(job))
    case "Sqlite":
      return answer(await insert(job))
    case "SqliteFill": {
      const database = open(join(job.directory, "events.sqlite"), true)
      const add = insertInto(database)
      const before = cpuNow()
      for (let n = 0; n < job.events; n += 1_024) {
        database.exec("BEGIN")
        for (let one = n; one < Math.min(job.events, n + 1_024); one++) add(one, job.end, job.events)
        database.exec("COMMIT")
      }
      const cpu = cpuNow() - before
      database.close()
      return answer(cpu, job.events)
    }
    case "SqliteQuery": {
      const before = cpuNow()
      const database = new DatabaseSync(join(job.directory, "events.sqlite"), { readOnly: true })
      const { total } = database
        .prepare(`SELECT count(*) AS total FROM events WHERE ${job.where}`)
        .get(...job.parameters) as { total: number }
      database.prepare(`SELECT body FROM events WHERE ${job.where} ORDER BY last DESC LIMIT 50`).all(...job.parameters)
      const cpu = cpuNow() - before
      database.close()
      return answer(cpu, total)
    }
  }
}

if (process.argv[2] !== undefined && import.meta.main)
  console.log(JSON.stringify(await run(JSON.parse(process.argv[2]) as PeerJob)))
