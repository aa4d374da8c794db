/**
 * What an agent waits for: the start of `tidings mcp` on stdio to its first answer, and what a call of the tool `events` costs
 * the server beside the same query through the library.
 */
import { type ChildProcess, spawn } from "node:child_process"
import { once } from "node:events"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join, resolve } from "node:path"
import { buildPackage, installCommand } from "./installed.ts"
import { compare, type Group, median, type Row } from "./Measurement.ts"

const STARTS = 15
const ROUNDS = 9
const CALLS = 40
/** Calls before the first that counts: the compiler has seen then what it needs to see. */
const WARM_UP = 200
const EVENTS = 1_000
const MOST_MILLISECONDS = 5

// ---------------------------------------------------------------------------
// a client
// ---------------------------------------------------------------------------

interface Answer {
  readonly id?: number
  readonly error?: unknown
  readonly result?: { readonly isError?: boolean }
}

/** A client that writes and reads JSON lines, as clients of the protocol do over stdio. */
class Client {
  readonly child: ChildProcess
  private readonly waiting = new Map<number, (answer: Answer) => void>()
  private next = 1
  private rest = ""

  constructor(child: ChildProcess) {
    this.child = child
    child.stdout!.on("data", (chunk: Buffer) => {
      const lines = (this.rest + chunk.toString()).split("\n")
      this.rest = lines.pop()!
      for (const line of lines) {
        const answer = JSON.parse(line) as Answer
        if (answer.id !== undefined) this.waiting.get(answer.id)?.(answer)
      }
    })
  }

  send(message: object): void {
    this.child.stdin!.write(`${JSON.stringify({ jsonrpc: "2.0", ...message })}\n`)
  }

  async ask(method: string, params: object): Promise<void> {
    const id = this.next++
    const answer = await new Promise<Answer>((resolve) => {
      this.waiting.set(id, resolve)
      this.send({ id, method, params })
    })
    if (answer.error !== undefined || answer.result?.isError === true) {
      throw new Error(`${method} was answered with ${JSON.stringify(answer)}`)
    }
  }
}

const CALL = { name: "events", arguments: {} }

/** What a client has to ask before it has an answer of the tool, by revision. */
const FIRST_ANSWER: Readonly<Record<string, (client: Client) => Promise<void>>> = {
  "2025-11-25": async (client) => {
    await client.ask("initialize", {
      protocolVersion: "2025-11-25",
      capabilities: {},
      clientInfo: { name: "bench", version: "1.0.0" }
    })
    client.send({ method: "notifications/initialized" })
    await client.ask("tools/call", CALL)
  },
  "2026-07-28": (client) =>
    client.ask("tools/call", {
      ...CALL,
      _meta: {
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientInfo": { name: "bench", version: "1.0.0" },
        "io.modelcontextprotocol/clientCapabilities": {}
      }
    })
}

const ended = async (child: ChildProcess): Promise<void> => {
  const [code] = (await once(child, "close")) as [number | null]
  if (code !== 0) throw new Error(`${child.spawnargs.slice(1).join(" ")} ended with exit code ${code}`)
}

// ---------------------------------------------------------------------------
// start
// ---------------------------------------------------------------------------

const measureStart = async (command: string, env: NodeJS.ProcessEnv): Promise<Group> => {
  const millisecondsOf = async (args: ReadonlyArray<string>, answered?: (client: Client) => Promise<void>) => {
    const begun = process.hrtime.bigint()
    const child = spawn(process.execPath, args, { env, stdio: ["pipe", "pipe", "inherit"] })
    const closed = ended(child)
    if (answered === undefined) await closed
    else await answered(new Client(child))
    const time = Number(process.hrtime.bigint() - begun) / 1_000_000
    child.stdin.end()
    await closed
    return time
  }
  const contenders: Readonly<Record<string, () => Promise<number>>> = {
    "node -e 0": () => millisecondsOf(["-e", "0"]),
    ...Object.fromEntries(
      Object.entries(FIRST_ANSWER).map(([revision, ask]) => [
        `tidings mcp, ${revision}`,
        () => millisecondsOf([command, "mcp"], ask)
      ])
    )
  }
  const times = new Map<string, Array<number>>(Object.keys(contenders).map((name) => [name, []]))
  for (let round = -2; round < STARTS; round++) {
    for (const [name, time] of Object.entries(contenders)) {
      const milliseconds = await time()
      if (round >= 0) times.get(name)!.push(milliseconds)
    }
  }
  return {
    title: "Start tidings mcp on stdio, to the first answer of events",
    rows: compare(
      new Map([...times].map(([name, list]) => [name, median(list)])),
      "node -e 0",
      Object.fromEntries(Object.keys(FIRST_ANSWER).map((revision) => [`tidings mcp, ${revision}`, { atMost: 4 }])),
      "ms"
    )
  }
}

// ---------------------------------------------------------------------------
// calls
// ---------------------------------------------------------------------------

/** Loaded by both processes: tells over the channel to this process how much CPU its own has used. */
const TELL_CPU = `process.on("message", (message) => {
  if (message === "cpu") process.send(process.cpuUsage())
})
process.channel.unref()`

/** Fills the event log, and then queries it as often as it is told. */
const libraryOf = (directory: string): string => `import * as FileBackend from "@tidings/backend-fs/FileBackend"
import { EventManager, layerDirect } from "@tidings/core/EventManager"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as ManagedRuntime from "effect/ManagedRuntime"
const backend = FileBackend.layer({ directory: ${JSON.stringify(directory)}, console: false })
const runtime = ManagedRuntime.make(Layer.provide(layerDirect(), backend))
const manager = await runtime.runPromise(EventManager)
const fill = Effect.gen(function* () {
  for (let index = 0; index < ${EVENTS}; index++) {
    const reference = { kind: "Pod", name: "web-" + (index % ${EVENTS / 2}), namespace: "team-" + (index % 4) }
    yield* manager.createEvent(reference, "Reason" + (index % 7), "restarting failed container " + index, "Warning")
  }
})
await runtime.runPromise(fill)
process.on("message", async (message) => {
  if (typeof message !== "number") return
  for (let call = 0; call < message; call++) await runtime.runPromise(manager.queryEvents({ limit: 50 }))
  process.send("done")
})
process.stdin.on("end", () => process.exit(0)).resume()
process.send("done")`

const heard = async (child: ChildProcess): Promise<unknown> => ((await once(child, "message")) as [unknown])[0]

const cpuOf = async (child: ChildProcess): Promise<number> => {
  child.send("cpu")
  const { system, user } = (await heard(child)) as NodeJS.CpuUsage
  return (system + user) / 1_000
}

const measureCalls = async (command: string, env: NodeJS.ProcessEnv, directory: string): Promise<Group> => {
  buildPackage("@tidings/backend-fs")
  // Beside the packages, whose imports it has.
  const library = resolve("benchmarks", ".query.mjs")
  const preload = resolve("benchmarks", ".cpu.mjs")
  writeFileSync(library, libraryOf(directory))
  writeFileSync(preload, TELL_CPU)
  const start = (args: ReadonlyArray<string>): ChildProcess =>
    spawn(process.execPath, ["--import", preload, ...args], { env, stdio: ["pipe", "pipe", "inherit", "ipc"] })
  try {
    const querying = start([library])
    await heard(querying)
    const serving = start([command, "mcp"])
    const client = new Client(serving)
    await FIRST_ANSWER["2025-11-25"]!(client)

    const contenders: Readonly<Record<string, { readonly child: ChildProcess; readonly call: () => Promise<void> }>> = {
      "the query through the library": {
        child: querying,
        call: async () => {
          querying.send(1)
          await heard(querying)
        }
      },
      "a call of events over stdio": { child: serving, call: () => client.ask("tools/call", CALL) }
    }
    const costs = new Map<string, Array<number>>(Object.keys(contenders).map((name) => [name, []]))
    for (const { call } of Object.values(contenders)) for (let index = 0; index < WARM_UP; index++) await call()
    for (let round = 0; round < ROUNDS; round++) {
      for (const [name, { call, child }] of Object.entries(contenders)) {
        const before = await cpuOf(child)
        for (let index = 0; index < CALLS; index++) await call()
        costs.get(name)!.push(((await cpuOf(child)) - before) / CALLS)
      }
    }
    for (const child of [querying, serving]) {
      const closed = ended(child)
      child.stdin!.end()
      await closed
    }
    const [library_, tool] = [...costs].map(([name, list]) => ({ name, cost: median(list) })) as [Cost, Cost]
    const more = tool.cost - library_.cost
    const rows: ReadonlyArray<Row> = [
      { ...library_, unit: "ms" },
      {
        ...tool,
        unit: "ms",
        against: library_.name,
        ratio: tool.cost / library_.cost,
        bar: `at most ${MOST_MILLISECONDS} ms more (${more.toFixed(2)} ms)`,
        met: more <= MOST_MILLISECONDS
      }
    ]
    return { title: `CPU of a call, 50 of ${EVENTS} events in an event log`, rows }
  } finally {
    rmSync(library, { force: true })
    rmSync(preload, { force: true })
  }
}

interface Cost {
  readonly name: string
  readonly cost: number
}

export const run = async (): Promise<ReadonlyArray<Group>> => {
  const folder = mkdtempSync(join(tmpdir(), "tidings-bench-"))
  try {
    const command = installCommand(folder)
    const directory = join(folder, "log")
    const env = { ...process.env, TIDINGS_DIRECTORY: directory, TIDINGS_BACKEND: "filesystem", NODE_OPTIONS: "" }
    const calls = await measureCalls(command, env, directory)
    return [calls, await measureStart(command, env)]
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}
