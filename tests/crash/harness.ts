/**
 * Kills hosts at random moments, and looks whether everything that was accepted is delivered, once.
 *
 * Kills come from outside at a random moment, and from inside in the middle of a chosen call of the disk: when a segment
 * is begun or deleted, a checkpoint replaced, an append half done.
 */
import { spawn } from "node:child_process"
import { once } from "node:events"
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from "node:fs"
import { createRequire } from "node:module"
import { tmpdir } from "node:os"
import { dirname, join } from "node:path"
import { createInterface } from "node:readline"
import { rolldown } from "rolldown"
import type { Manner, Options } from "./host.ts"

const { resolve } = createRequire(import.meta.url)

const node = join(dirname(resolve("node/package.json")), "bin", "node")

/** Makes the host one file with everything it imports: most of a short life is loading. */
const bundleHost = async (directory: string): Promise<string> => {
  const bundle = await rolldown({
    input: join(import.meta.dirname, "host.ts"),
    platform: "node",
    resolve: {
      conditionNames: ["@tidings/source", "import", "node", "default"]
    },
    // Only old logins of a kubeconfig need it.
    external: ["@kubernetes/client-node"],
    logLevel: "silent"
  })
  const files = { dir: directory, entryFileNames: "[name].mjs", chunkFileNames: "[name]-[hash].mjs" }
  const { output } = await bundle.write(files)
  await bundle.close()
  return join(directory, output[0].fileName)
}

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

/** Where the hosts of one journal deliver to. Two sinks of a recorder need two API servers; one alone has one sink. */
export interface Target extends Pick<Options, "namespace" | "sinks"> {
  /** The event objects of `v1` in that namespace, read past what wrote them. */
  readonly events: (manner: Manner) => Promise<ReadonlyArray<unknown>>
  /** Ends it, and says what was found there. */
  readonly end?: (count: Count) => Promise<void>
}

type Count = (what: string, n?: number) => void

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
  /** Whether it was killed from outside. */
  readonly shot: boolean
}

/** One life of a host, killed so long after it has said so many lines. */
const live = async (
  host: string,
  options: Options,
  kill: { readonly lines: number; readonly delay: number } | undefined
) => {
  const child = spawn(node, [host, JSON.stringify(options)], {
    stdio: ["ignore", "pipe", "pipe"],
    env: { ...process.env, NODE_COMPILE_CACHE: join(dirname(host), "compiled") }
  })
  const said: Array<string> = []
  let errors = ""
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    errors += text
  })
  let killing = false
  let shot = false
  const shoot = () => {
    if (kill === undefined || killing || said.length < kill.lines) return
    killing = true
    setTimeout(() => {
      shot = child.kill("SIGKILL")
    }, kill.delay)
  }
  createInterface({ input: child.stdout }).on("line", (line) => {
    said.push(line)
    shoot()
  })
  shoot()
  const [code, signal] = (await once(child, "close")) as [number | null, NodeJS.Signals | null]
  return { said, code, signal, errors, shot } satisfies Life
}

/** What the dead left in the directory. */
const lookAt = (directory: string, count: Count): void => {
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

/** What is looked at of an event object. */
interface Stored {
  readonly metadata: { readonly annotations: Readonly<Record<string, string>> }
  readonly involvedObject: { readonly name: string }
  readonly message: string
  readonly count: number
}

/** As many journals at once as keep two processors busy. */
const LANES = 2

export const run = async (options: {
  readonly seed: number
  readonly kills: number
  /** Makes one for each journal, of which there are two at least. */
  readonly target: (seed: number, index: number) => Promise<Target>
  readonly progress?: ((line: string) => void) | undefined
}): Promise<Report> => {
  const { kills, seed } = options
  const found: Record<string, number> = {}
  const count: Count = (what, n = 1) => {
    found[what] = (found[what] ?? 0) + n
  }
  const problems: Array<string> = []
  const scratch = mkdtempSync(join(tmpdir(), "tidings-crash-"))
  const directories = Math.max(2, Math.round(kills / 50))
  let accepted = 0
  let delivered = 0

  const killAll = async (host: string, index: number): Promise<void> => {
    const random = diceOf(seed + 7_919 * index)
    const directory = join(scratch, `journal-${index}`)
    const target = await options.target(seed, index)
    const manners = Object.keys(target.sinks) as ReadonlyArray<Manner>
    const base = {
      directory,
      namespace: target.namespace,
      sinks: target.sinks,
      durability: index % 3 === 2 ? "disk" : "process",
      // Small ones, so that segments are begun and deleted all the time; and one as it is used.
      segmentSize: [2_000, 600, 4_194_304][index % 3]!
    } as const
    /** What was said to be accepted: the key of each id. */
    const said = new Map<string, string>()
    const note = (lines: ReadonlyArray<string>) => {
      for (const line of lines) {
        const [key, id] = line.split(" ")
        if (id === undefined) continue
        if (said.has(id)) problems.push(`the id ${id} was given twice`)
        said.set(id, key!)
      }
    }
    const storesNow = () =>
      Promise.all(
        manners.map(async (manner) => [manner, (await target.events(manner)) as ReadonlyArray<Stored>] as const)
      )
    const attempts = Math.ceil((kills * (index + 1)) / directories) - Math.ceil((kills * index) / directories)
    for (let kill = 0; kill < attempts; kill++) {
      const inside = random() < 0.5
      const [call, most] = deadlyCalls[Math.floor(random() * deadlyCalls.length)]!
      const life = await live(
        host,
        { ...base, drain: false, ...(inside ? { die: { call, nth: 1 + Math.floor(random() * most) } } : undefined) },
        inside
          ? { lines: 150, delay: 150 }
          : random() < 0.15
            ? { lines: 0, delay: 50 + random() * 400 }
            : { lines: 1 + Math.floor(random() * 100), delay: random() * 200 }
      )
      if (life.signal !== "SIGKILL") {
        problems.push(`a host ended by itself (${life.code}): ${life.errors.slice(-1_000)}`)
        break
      }
      count(life.shot ? "killed from outside" : "killed inside of a call of the disk")
      note(life.said)
      if (life.said.length === 0) count("killed before it was ready")
      lookAt(directory, count)
    }
    for (const [manner, events] of await storesNow()) {
      count(`${manner}: counted before the last life`, totalOf(events))
    }
    // The last, and another that finds everything delivered, so that nothing but the newest segment is kept.
    for (let n = 0; n < 2; n++) {
      const life = await live(host, { ...base, drain: true }, undefined)
      const books = life.said.at(-1) ?? ""
      if (life.code !== 0 || !books.startsWith('{"complete":true')) {
        problems.push(`the last life did not deliver everything: ${books} ${life.errors.slice(-1_000)}`)
      }
      note(life.said.slice(0, -1))
    }
    const kept = readdirSync(directory).filter((file) => file.startsWith("entries-"))
    if (kept.length > 1) problems.push(`${kept.length} segments are kept after everything was delivered`)
    const stores = await storesNow()
    problems.push(...judge(stores, said))
    accepted += said.size
    delivered += Math.min(...stores.map(([, events]) => totalOf(events)))
    await target.end?.(count)
    options.progress?.(`journal ${index + 1} of ${directories}: ${attempts} kills, ${said.size} accepted`)
  }

  try {
    const host = await bundleHost(join(scratch, "host"))
    await Promise.all(
      Array.from({ length: LANES }, async (_, lane) => {
        for (let index = lane; index < directories; index += LANES) await killAll(host, index)
      })
    )
  } finally {
    rmSync(scratch, { recursive: true, force: true })
  }
  return { seed, kills, accepted, delivered, found, problems }
}

const totalOf = (events: ReadonlyArray<Stored>): number => events.reduce((total, { count }) => total + count, 0)

/** What must be so about what was delivered. */
const judge = (
  stores: ReadonlyArray<readonly [Manner, ReadonlyArray<Stored>]>,
  said: ReadonlyMap<string, string>
): ReadonlyArray<string> => {
  const problems: Array<string> = []
  const seqOf = (id: string) => Number(id.split(".")[1])
  // The last life was the last to record, so this is all that was ever accepted, said or not.
  const head = Math.max(0, ...Array.from(said.keys(), seqOf))
  // The same numbers under two origins would be two events in one place of the journal.
  if (new Set(Array.from(said.keys(), seqOf)).size < said.size) problems.push("a place in the journal was given twice")
  const keyOf = ({ involvedObject, message }: Stored) => `${involvedObject.name}/${message.at(-1)!}`
  const originOf = (event: Stored) => idOf(event).split(".")[0]!
  const idOf = ({ metadata }: Stored) => metadata.annotations["tidings.dev/series"]!
  let others: ReadonlyMap<string, number> | undefined
  for (const [manner, events] of stores) {
    // One by one there is one object for each id, folded there is one for each key and opening of the journal.
    const plain = manner === "plain"
    const counts = new Map<string, number>()
    const countsOfKeys = new Map<string, number>()
    for (const event of events) {
      const what = plain ? idOf(event) : `${originOf(event)}/${keyOf(event)}`
      if (counts.has(what)) problems.push(`${manner}: ${what} has a second object`)
      counts.set(what, event.count)
      countsOfKeys.set(keyOf(event), (countsOfKeys.get(keyOf(event)) ?? 0) + event.count)
      if (plain && event.count !== 1) problems.push(`${manner}: ${what} is counted ${event.count} times`)
      if (seqOf(idOf(event)) > head) problems.push(`${manner}: nobody accepted ${idOf(event)}`)
    }
    const accepted = new Map<string, number>()
    for (const [id, key] of said) {
      const what = plain ? id : `${id.split(".")[0]!}/${key}`
      accepted.set(what, (accepted.get(what) ?? 0) + 1)
    }
    for (const [what, n] of accepted) {
      const counted = counts.get(what) ?? 0
      if (counted < n) problems.push(`${manner}: ${what} was accepted ${n} times and is counted ${counted} times`)
    }
    if (totalOf(events) !== head) problems.push(`${manner}: ${totalOf(events)} are counted, ${head} were accepted`)
    for (const [key, n] of others ?? []) {
      const counted = countsOfKeys.get(key) ?? 0
      if (counted !== n) problems.push(`${manner}: ${key} is counted ${counted} times, by the other sink ${n} times`)
    }
    others = countsOfKeys
  }
  return problems.slice(0, 20)
}
