/**
 * Children and a directory that never outlive the process that asked for them, also when that one is killed: a small
 * process of their own (keeperProcess.ts) holds them, and ends them when its channel to this process closes.
 */
import { type ChildProcess, spawn } from "node:child_process"
import * as fs from "node:fs"
import { fileURLToPath } from "node:url"

/** What the keeper is told. */
export type Command =
  | { readonly _tag: "MakeDirectory"; readonly prefix: string; readonly keep: boolean }
  | {
      readonly _tag: "Run"
      readonly id: number
      readonly command: string
      readonly arguments: ReadonlyArray<string>
      readonly cwd: string
      readonly environment: Readonly<Record<string, string>>
      readonly log: string
    }
  | { readonly _tag: "Signal"; readonly id: number; readonly signal: NodeJS.Signals }
  | { readonly _tag: "Adopt"; readonly pid: number; readonly group: boolean }
  | { readonly _tag: "Release"; readonly pid: number }

/** What the keeper says. */
export type Report =
  | { readonly _tag: "Directory"; readonly directory: string }
  | { readonly _tag: "NoDirectory"; readonly message: string }
  | { readonly _tag: "Running"; readonly id: number; readonly pid: number }
  | { readonly _tag: "Failed"; readonly id: number; readonly message: string }
  | { readonly _tag: "Ended"; readonly id: number; readonly code: number | null; readonly signal: string | null }

/** How a child ended. */
export interface Ending {
  readonly code: number | null
  readonly signal: string | null
}

/** A child that the keeper runs. */
export interface Child {
  readonly pid: number
  /** Resolves when it has ended; never rejects. */
  readonly ended: Promise<Ending>
  /** How it ended, once it has. */
  readonly ending: () => Ending | undefined
  /** Sends a signal to it and to everything it started; nothing happens when it has ended. */
  readonly signal: (signal: NodeJS.Signals) => void
}

/** What to run. */
export interface RunOptions {
  readonly command: string
  readonly arguments: ReadonlyArray<string>
  readonly cwd: string
  /** Added to this process's environment. */
  readonly environment?: Readonly<Record<string, string>> | undefined
  /** File to append both output streams to. */
  readonly log: string
}

/** The owner of children and of a directory. */
export interface Keeper {
  /** Makes a fresh directory, mode 0700, that goes when the keeper ends, unless it is to be kept. */
  readonly makeDirectory: (prefix: string, keep: boolean) => Promise<string>
  readonly run: (options: RunOptions) => Promise<Child>
  /** Has a process that was started elsewhere (or its group) killed too, if this process vanishes. */
  readonly adopt: (pid: number, group: boolean) => void
  readonly release: (pid: number) => void
  /** Kills what still runs, removes the directory and ends the keeper. */
  readonly end: () => Promise<void>
  /** Resolves when the keeper has ended, asked for or not. */
  readonly ended: Promise<void>
  /** Whether it can still be told something. */
  readonly isConnected: () => boolean
}

interface Entry {
  readonly running: (child: Child) => void
  readonly failed: (error: Error) => void
  pid?: number
  ended?: (ending: Ending) => void
}

/** Starts a keeper. */
export const start = (): Keeper => {
  const { NODE_OPTIONS: _, ...environment } = process.env
  const keeper: ChildProcess = spawn(process.execPath, [fileURLToPath(new URL("keeperProcess.ts", import.meta.url))], {
    detached: true,
    env: environment,
    stdio: ["ignore", "ignore", "ignore", "ipc"]
  })
  const entries = new Map<number, Entry>()
  let nextId = 0
  let directory: string | undefined
  let keepDirectory = false
  let onDirectory:
    | { readonly resolve: (directory: string) => void; readonly reject: (error: Error) => void }
    | undefined

  const send = (command: Command): void => {
    if (keeper.connected) {
      keeper.send(command, undefined, undefined, () => {})
    }
  }

  const settle = (id: number, ending: Ending): void => {
    const entry = entries.get(id)
    entries.delete(id)
    entry?.ended?.(ending)
  }

  keeper.on("message", (report: Report) => {
    switch (report._tag) {
      case "Directory": {
        directory = report.directory
        onDirectory?.resolve(report.directory)
        return
      }
      case "NoDirectory": {
        onDirectory?.reject(new Error(report.message))
        return
      }
      case "Running": {
        const entry = entries.get(report.id)
        if (entry === undefined) {
          return
        }
        let ending: Ending | undefined
        const ended = new Promise<Ending>((resolve) => {
          entry.ended = (how) => {
            ending = how
            resolve(how)
          }
        })
        entry.pid = report.pid
        entry.running({
          pid: report.pid,
          ended,
          ending: () => ending,
          signal: (signal) => send({ _tag: "Signal", id: report.id, signal })
        })
        return
      }
      case "Failed": {
        entries.get(report.id)?.failed(new Error(report.message))
        entries.delete(report.id)
        return
      }
      case "Ended": {
        settle(report.id, { code: report.code, signal: report.signal })
      }
    }
  })

  const gone = new Promise<void>((resolve) => {
    const finish = (): void => {
      // In order, nothing is left here. A keeper that was itself killed leaves its work to this process.
      for (const [id, entry] of entries) {
        if (entry.pid === undefined) {
          entry.failed(new Error("the process that keeps the cluster's children was killed"))
        } else {
          try {
            process.kill(-entry.pid, "SIGKILL")
          } catch {
            // Already gone.
          }
        }
        settle(id, { code: null, signal: "SIGKILL" })
      }
      onDirectory?.reject(new Error("the process that keeps the cluster's children did not start"))
      if (directory !== undefined && !keepDirectory) {
        fs.rmSync(directory, { recursive: true, force: true, maxRetries: 5 })
      }
      resolve()
    }
    keeper.once("exit", finish)
    keeper.once("error", finish)
  })

  return {
    makeDirectory: (prefix, keep) =>
      new Promise((resolve, reject) => {
        keepDirectory = keep
        onDirectory = { resolve, reject }
        send({ _tag: "MakeDirectory", prefix, keep })
      }),
    run: (options) =>
      new Promise((resolve, reject) => {
        if (!keeper.connected) {
          reject(new Error("the process that keeps the cluster's children is gone"))
          return
        }
        const id = nextId++
        entries.set(id, { running: resolve, failed: reject })
        send({
          _tag: "Run",
          id,
          command: options.command,
          arguments: options.arguments,
          cwd: options.cwd,
          environment: options.environment ?? {},
          log: options.log
        })
      }),
    adopt: (pid, group) => send({ _tag: "Adopt", pid, group }),
    release: (pid) => send({ _tag: "Release", pid }),
    end: () => {
      if (keeper.connected) {
        keeper.disconnect()
      }
      return gone
    },
    ended: gone,
    isConnected: () => keeper.connected
  }
}
