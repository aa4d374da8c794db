/**
 * Kills hosts at random moments, and looks whether everything that was accepted is delivered, once.
 *
 * Kills come from outside at a random moment, and from inside in the middle of a chosen call of the disk: when a segment
 * is begun or deleted, a checkpoint replaced, an append half done.
 */
import * as Backend from "@tidings/core/Backend"
import type { Event } from "@tidings/core/Event"
import * as EventId from "@tidings/core/EventId"
import * as Effect from "effect/Effect"
import { spawn } from "node:child_process"
import { once } from "node:events"
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from "node:fs"
import { createRequire } from "node:module"
import { tmpdir } from "node:os"
import { dirname, join } from "node:path"
import { createInterface } from "node:readline"
import type { Options } from "./host.ts"
import { serve } from "./RemoteStore.ts"

const node = join(dirname(createRequire(import.meta.url).resolve("node/package.json")), "bin", "node")

const compileCache = join(tmpdir(), "tidings-crash-compiled")

/** The calls of the disk in which a host may be killed, and among how many of each. */
const deadlyCalls = [
  ["append", 40],
  ["append", 200],
  ["create", 12],
  ["rename", 5],
  ["unlink", 12],
  ["syncLater", 25],
  ["openToRead", 30]
] as const

/** Numbers that a seed fixes. */
const diceOf = (seed: number): (() => number) => {
  let state = Math.imul(seed, 0x9e3779b1) >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296
  }
}

export interface Report {
  readonly seed: number
  readonly kills: number
  readonly accepted: number
  readonly delivered: number
  /** What was found after kills: proof that they came where they hurt. */
  readonly found: Readonly<Record<string, number>>
  readonly problems: ReadonlyArray<string>
}

interface Life {
  readonly said: ReadonlyArray<string>
  readonly signal: NodeJS.Signals | null
  readonly code: number | null
  readonly errors: string
}

/** One life of a host; `killAfter` looks at what it has said so far. */
const live = async (options: Options, kill: { readonly lines: number; readonly delay: number } | undefined) => {
  const child = spawn(
    node,
    ["--conditions=@tidings/source", join(import.meta.dirname, "host.ts"), JSON.stringify(options)],
    // Most of a short life is compiling.
    { stdio: ["ignore", "pipe", "pipe"], env: { ...process.env, NODE_COMPILE_CACHE: compileCache } }
  )
  const said: Array<string> = []
  let errors = ""
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    errors += text
  })
  let killing = false
  const shoot = () => {
    if (kill === undefined || killing || said.length < kill.lines) return
    killing = true
    setTimeout(() => child.kill("SIGKILL"), kill.delay)
  }
  createInterface({ input: child.stdout }).on("line", (line) => {
    said.push(line)
    shoot()
  })
  shoot()
  const [code, signal] = (await once(child, "close")) as [number | null, NodeJS.Signals | null]
  return { said, code, signal, errors } satisfies Life
}

/** What the dead left in the directory. */
const lookAt = (directory: string, count: (what: string) => void): void => {
  if (!existsSync(directory)) return count("a start that had not begun")
  const files = readdirSync(directory)
  if (files.some((file) => file.endsWith(".new"))) count("a file that was not put in its place")
  const newest = files
    .filter((file) => file.startsWith("entries-"))
    .sort()
    .at(-1)
  if (newest === undefined) return
  const file = join(directory, newest)
  if (statSync(file).size === 0) count("a segment that was just begun")
  else if (readFileSync(file).at(-1) !== 0x0a) count("a torn append")
}

const eventsOf = (backend: Backend.Service): Promise<ReadonlyArray<Event>> =>
  Effect.runPromise(Effect.map(backend.query({ limit: 10_000_000 }), ({ events }) => events))

export const run = async (options: {
  readonly seed: number
  readonly kills: number
  readonly progress?: ((line: string) => void) | undefined
}): Promise<Report> => {
  const { kills, seed } = options
  const random = diceOf(seed)
  const found: Record<string, number> = {}
  const count = (what: string, n = 1) => {
    found[what] = (found[what] ?? 0) + n
  }
  const problems: Array<string> = []
  const scratch = mkdtempSync(join(tmpdir(), "tidings-crash-"))
  let accepted = 0
  let delivered = 0
  try {
    const directories = Math.max(2, Math.round(kills / 50))
    for (let index = 0; index < directories; index++) {
      const directory = join(scratch, `journal-${index}`)
      const socket = join(scratch, `store-${index}`)
      const make = Effect.runPromise(Effect.provide(Backend.Backend, Backend.layerMemory({ capacity: 10_000_000 })))
      const folded = await make
      const plain = await Effect.runPromise(
        Effect.provide(Backend.Backend, Backend.layerMemory({ capacity: 10_000_000 }))
      )
      // Dice of its own: how often it is asked is up to chance.
      const remote = await serve(socket, { folded, plain }, diceOf(seed + 7_919 * (index + 1)))
      const base = {
        directory,
        socket,
        durability: index % 3 === 2 ? "disk" : "process",
        // Small ones, so that segments are begun and deleted all the time; and one as it is used.
        segmentSize: [2_000, 600, 4_194_304][index % 3]!
      } as const
      const said = new Map<string, Set<string>>()
      const ids = new Set<string>()
      const attemptOf = Math.ceil((kills * (index + 1)) / directories) - Math.ceil((kills * index) / directories)
      for (let kill = 0; kill < attemptOf; kill++) {
        const inside = random() < 0.5
        const [call, most] = deadlyCalls[Math.floor(random() * deadlyCalls.length)]!
        const life = await live(
          {
            ...base,
            drain: false,
            ...(inside ? { die: { call, nth: 1 + Math.floor(random() * most) } } : undefined)
          },
          inside
            ? { lines: 500, delay: 100 }
            : random() < 0.15
              ? { lines: 0, delay: 50 + random() * 400 }
              : { lines: 1 + Math.floor(random() * 400), delay: random() * 20 }
        )
        if (life.signal !== "SIGKILL") {
          problems.push(`a host ended by itself (${life.code}): ${life.errors.slice(-1_000)}`)
          break
        }
        count(inside ? "killed inside of a call of the disk" : "killed from outside")
        for (const line of life.said) {
          if (line === "ready") continue
          const [key, id] = line.split(" ") as [string, string]
          if (ids.has(id)) problems.push(`the id ${id} was given twice`)
          ids.add(id)
          const known = said.get(key)
          if (known === undefined) said.set(key, new Set([id]))
          else known.add(id)
        }
        if (life.said.length === 0) count("killed before it was ready")
        lookAt(directory, count)
      }
      remote.mend()
      const last = await live({ ...base, drain: true }, undefined)
      const books = last.said.at(-1) ?? ""
      if (last.code !== 0 || !books.startsWith('{"complete":true')) {
        problems.push(`the last life did not deliver everything: ${books} ${last.errors.slice(-1_000)}`)
      }
      // A last look: everything is delivered, so nothing but the newest segment is kept.
      await live({ ...base, drain: true }, undefined)
      const kept = readdirSync(directory).filter((file) => file.startsWith("entries-"))
      if (kept.length > 1) problems.push(`${kept.length} segments are kept after everything was delivered`)
      accepted += ids.size
      count("connections broken before a write", remote.brokenBefore())
      count("connections broken after a write", remote.brokenAfter())
      await remote.close()
      problems.push(...judge(await eventsOf(plain), await eventsOf(folded), said, ids))
      delivered += (await eventsOf(plain)).length
      options.progress?.(`journal ${index + 1} of ${directories}: ${attemptOf} kills, ${ids.size} accepted`)
    }
  } finally {
    rmSync(scratch, { recursive: true, force: true })
  }
  return { seed, kills, accepted, delivered, found, problems }
}

/** What must be so about what was delivered. */
const judge = (
  plain: ReadonlyArray<Event>,
  folded: ReadonlyArray<Event>,
  said: ReadonlyMap<string, ReadonlySet<string>>,
  ids: ReadonlySet<string>
): ReadonlyArray<string> => {
  const problems: Array<string> = []
  const keyOf = ({ event }: Event) => `${event.involvedObject.name}/${event.message.at(-1)!}`
  // One by one: each accepted id is there once, and the seqs have no gap and no second use.
  const plainIds = new Set(plain.map(({ id }) => EventId.format(id)))
  if (plainIds.size !== plain.length) problems.push(`${plain.length - plainIds.size} ids are there twice`)
  if (new Set(plain.map(({ name }) => name)).size !== plain.length) problems.push("an object is there twice")
  for (const id of ids) if (!plainIds.has(id)) problems.push(`${id} was accepted and is not delivered`)
  const highest = Math.max(0, ...plain.map(({ id }) => id.seq))
  if (highest !== plain.length) problems.push(`${plain.length} of ${highest} seqs were delivered`)
  const plainOf = new Map<string, number>()
  for (const event of plain) {
    if (event.count !== 1) problems.push(`${EventId.format(event.id)} is counted ${event.count} times`)
    plainOf.set(keyOf(event), (plainOf.get(keyOf(event)) ?? 0) + 1)
  }
  // Folded: one series for each key, and its count is what the other sink has of it one by one.
  const seen = new Set<string>()
  for (const event of folded) {
    const key = keyOf(event)
    if (seen.has(key)) problems.push(`${key} has two series`)
    seen.add(key)
    if (event.count !== plainOf.get(key)) problems.push(`${key} is counted ${event.count}, and was ${plainOf.get(key)}`)
    if (event.count < (said.get(key)?.size ?? 0)) problems.push(`${key} is counted ${event.count}, fewer than accepted`)
  }
  for (const key of plainOf.keys()) if (!seen.has(key)) problems.push(`${key} has no series`)
  return problems.slice(0, 20)
}
