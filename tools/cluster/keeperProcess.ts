/**
 * The process that owns what a cluster runs. It makes the directory, starts the children, and when the channel to the
 * process that asked for them closes, for whatever reason, it ends all of them and removes the directory.
 *
 * It starts the children itself, so that there is no moment in which a child could outlive it.
 * Started by Keeper.ts, never by hand.
 */
import { type ChildProcess, spawn } from "node:child_process"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import type { Command, Report } from "./Keeper.ts"

const children = new Map<number, ChildProcess>()
const adopted = new Map<number, boolean>()
let directory: string | undefined
let keepDirectory = false
let ending = false

const report = (message: Report): void => {
  if (process.connected) {
    // The channel may close while this is on its way; "disconnect" takes care of that.
    process.send?.(message, undefined, {}, () => {})
  }
}

const signalProcess = (pid: number, group: boolean, signal: NodeJS.Signals): void => {
  try {
    process.kill(group ? -pid : pid, signal)
  } catch {
    // It ended by itself in between.
  }
}

const start = (command: Extract<Command, { readonly _tag: "Run" }>): void => {
  const log = fs.openSync(command.log, "a", 0o600)
  // A session of its own: a Ctrl-C in the terminal must not reach the servers before they are asked to end in order.
  const child = spawn(command.command, command.arguments, {
    cwd: command.cwd,
    detached: true,
    env: { ...process.env, ...command.environment },
    stdio: ["ignore", log, log]
  })
  fs.closeSync(log)
  child.once("error", (error) => {
    if (child.pid === undefined) {
      report({ _tag: "Failed", id: command.id, message: error.message })
    }
  })
  if (child.pid === undefined) {
    return
  }
  children.set(command.id, child)
  report({ _tag: "Running", id: command.id, pid: child.pid })
  child.once("exit", (code, signal) => {
    children.delete(command.id)
    report({ _tag: "Ended", id: command.id, code, signal })
  })
}

const end = async (): Promise<void> => {
  if (ending) {
    return
  }
  ending = true
  for (const [pid, group] of adopted) {
    signalProcess(pid, group, "SIGKILL")
  }
  await Promise.all(
    Array.from(children.values(), (child) => {
      const ended = new Promise((resolve) => child.once("exit", resolve))
      if (child.pid !== undefined) {
        signalProcess(child.pid, true, "SIGKILL")
      }
      return ended
    })
  )
  if (directory !== undefined && !keepDirectory) {
    fs.rmSync(directory, { recursive: true, force: true, maxRetries: 5 })
  }
  process.exit(0)
}

process.on("message", (command: Command) => {
  if (ending) {
    return
  }
  switch (command._tag) {
    case "MakeDirectory": {
      keepDirectory = command.keep
      try {
        directory = fs.mkdtempSync(path.join(os.tmpdir(), command.prefix))
        report({ _tag: "Directory", directory })
      } catch (error) {
        report({ _tag: "NoDirectory", message: error instanceof Error ? error.message : String(error) })
      }
      return
    }
    case "Run": {
      try {
        start(command)
      } catch (error) {
        report({ _tag: "Failed", id: command.id, message: error instanceof Error ? error.message : String(error) })
      }
      return
    }
    case "Signal": {
      const pid = children.get(command.id)?.pid
      if (pid !== undefined) {
        signalProcess(pid, true, command.signal)
      }
      return
    }
    case "Adopt": {
      adopted.set(command.pid, command.group)
      return
    }
    case "Release": {
      adopted.delete(command.pid)
    }
  }
})

process.on("disconnect", () => void end())
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
  process.on(signal, () => void end())
}
// Nobody is at the other end any more if the channel closed before this file was loaded.
if (!process.connected) {
  void end()
}
