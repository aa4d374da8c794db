/** A server as a child of the keeper: started, waited for, ended, paused. */
import { setTimeout as sleep } from "node:timers/promises"
import { formatElapsed, tail } from "./Build.ts"
import { ClusterError, throwIfAborted } from "./ClusterError.ts"
import type { KillSignal, PartStatus } from "./Faults.ts"
import { killSignals } from "./Faults.ts"
import type * as Keeper from "./Keeper.ts"
import { type Part, refuse, type StartOptions } from "./Options.ts"

const defaultStartTimeoutMillis = 60_000

const headLines = 3
const tailLines = 20

/** `exit code 1`, `SIGKILL`. */
export const describeEnding = (ending: Keeper.Ending): string => ending.signal ?? `exit code ${ending.code}`

// The end says why a server gave up; what it was started with and did not understand stands at the beginning.
const excerpt = (log: string): string => {
  const lines = tail(log, Number.MAX_SAFE_INTEGER).split("\n")
  return lines.length <= headLines + tailLines
    ? lines.join("\n")
    : [...lines.slice(0, headLines), "[…]", ...lines.slice(-tailLines)].join("\n")
}

const lastWords = (servers: ReadonlyArray<Server>): string =>
  servers
    .map((server) => ({ part: server.part, text: excerpt(server.log) }))
    .filter(({ text }) => text !== "")
    .map(({ part, text }) => `\n${part} wrote:\n${text}`)
    .join("")

/** What the servers of a cluster have in common. */
export interface Surroundings {
  readonly keeper: Keeper.Keeper
  readonly directory: string
  readonly options: StartOptions
  /** Unexpected ends of servers are reported while the cluster is up. */
  state: "starting" | "up" | "stopped"
}

/** One of the two servers. */
export class Server {
  readonly part: Part
  readonly log: string
  child: Keeper.Child | undefined
  paused = false
  private readonly surroundings: Surroundings
  /** Whether its end was asked for. */
  private ending = false

  constructor(surroundings: Surroundings, part: Part, log: string) {
    this.surroundings = surroundings
    this.part = part
    this.log = log
  }

  private get title(): string {
    return this.part === "etcd" ? "etcd" : "the API server"
  }

  async run(command: string, args: ReadonlyArray<string>): Promise<Keeper.Child> {
    const { directory, keeper, state } = this.surroundings
    if (state === "stopped") {
      throw new ClusterError("NotRunning", "the cluster was stopped")
    }
    if (this.child !== undefined) {
      throw new ClusterError("State", `${this.title} runs already`)
    }
    const child = await keeper.run({ command, arguments: args, cwd: directory, log: this.log })
    this.child = child
    this.paused = false
    this.ending = false
    void this.watch(child)
    return child
  }

  private async watch(child: Keeper.Child): Promise<void> {
    const { keeper, options } = this.surroundings
    const ending = await child.ended
    this.child = undefined
    if (!this.ending && this.surroundings.state === "up" && keeper.isConnected()) {
      options.onUnexpectedEnd?.(this.part, ending)
    }
  }

  /** Waits until a child of `run` is ready. An error shows the last lines of the log of this server and of the other. */
  async waitFor(child: Keeper.Child, other: Server, isReady: () => Promise<boolean>): Promise<void> {
    const { options } = this.surroundings
    const timeout = options.startTimeout ?? defaultStartTimeoutMillis
    const deadline = performance.now() + timeout
    for (;;) {
      throwIfAborted(options.signal)
      const ending = child.ending()
      if (ending !== undefined) {
        throw new ClusterError(
          this.ending ? "State" : "Start",
          this.ending
            ? `${this.title} was ended while it started`
            : `${this.part} ended while it started (${describeEnding(ending)})${lastWords([this])}`
        )
      }
      try {
        if (await isReady()) {
          return
        }
      } catch {
        // Not there yet.
      }
      if (performance.now() > deadline) {
        throw new ClusterError(
          "Start",
          `${this.part} was not ready within ${formatElapsed(timeout)}${lastWords([this, other])}`
        )
      }
      await sleep(40)
    }
  }

  private running(): Keeper.Child {
    if (this.child === undefined) {
      throw new ClusterError("State", `${this.title} does not run`)
    }
    return this.child
  }

  async kill(signal: KillSignal): Promise<void> {
    if (!killSignals.includes(signal)) {
      refuse(`${signal} does not end a server; one of ${killSignals.join(", ")} does`)
    }
    const child = this.running()
    this.ending = true
    child.signal(signal)
    await child.ended
  }

  /** SIGTERM, and SIGKILL after the grace period in milliseconds. */
  async terminate(grace: number): Promise<void> {
    const child = this.running()
    this.ending = true
    child.signal("SIGTERM")
    // What is stopped does not see a SIGTERM until it goes on.
    child.signal("SIGCONT")
    const timer = setTimeout(() => child.signal("SIGKILL"), grace)
    await child.ended
    clearTimeout(timer)
  }

  async pause(): Promise<void> {
    this.running().signal("SIGSTOP")
    this.paused = true
  }

  async resume(): Promise<void> {
    this.running().signal("SIGCONT")
    this.paused = false
  }

  status(port: number): PartStatus {
    return {
      running: this.child !== undefined,
      paused: this.child !== undefined && this.paused,
      ...(this.child === undefined ? {} : { pid: this.child.pid }),
      port
    }
  }
}
