/**
 * Ends a program together with its descendants. Node can signal one process only, and a program that shares the terminal
 * with its host, as a login must, has no process group of its own.
 */
import { spawnSync } from "node:child_process"
import * as fs from "node:fs"
import { setTimeout as sleep } from "node:timers/promises"

interface Process {
  readonly pid: number
  readonly parent: number
  /** Distinguishes a process from a later one with the same pid; empty where the system does not give it. */
  readonly startedAt: string
}

/** Time between SIGTERM and SIGKILL. */
const GRACE_MILLIS = 2_000

const POLL_MILLIS = 50

const fromProc = (): ReadonlyArray<Process> =>
  fs.readdirSync("/proc").flatMap((name) => {
    if (!/^\d+$/.test(name)) return []
    try {
      const stat = fs.readFileSync(`/proc/${name}/stat`, "utf8")
      // The name of the program is in parentheses and may contain any character. State and parent follow it.
      const rest = stat.slice(stat.lastIndexOf(")") + 2).split(" ")
      // A zombie has ended already.
      return rest[0] === "Z" ? [] : [{ pid: Number(name), parent: Number(rest[1]), startedAt: rest[19] ?? "" }]
    } catch {
      return []
    }
  })

const fromPs = (): ReadonlyArray<Process> =>
  spawnSync("ps", ["-A", "-o", "pid=,ppid=,state="], { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] })
    .stdout.split("\n")
    .flatMap((line) => {
      const found = /^\s*(\d+)\s+(\d+)\s+(\S)/.exec(line)
      return found === null || found[3] === "Z"
        ? []
        : [{ pid: Number(found[1]), parent: Number(found[2]), startedAt: "" }]
    })

const processes = (): ReadonlyArray<Process> => {
  try {
    return process.platform === "linux" ? fromProc() : fromPs()
  } catch {
    return []
  }
}

/** A process and its descendants, parents first, so that no parent replaces a child that was ended. */
const treeOf = (pid: number): ReadonlyArray<Process> => {
  const all = processes()
  const tree = all.filter((one) => one.pid === pid)
  // The list grows during the iteration.
  for (const { pid: parent } of tree) tree.push(...all.filter((one) => one.parent === parent))
  return tree
}

const signal = (pid: number, name: NodeJS.Signals): void => {
  try {
    process.kill(pid, name)
  } catch {
    // It has ended in the meantime.
  }
}

const isSame = (a: Process, b: Process): boolean => a.pid === b.pid && a.startedAt === b.startedAt

/**
 * Sends SIGTERM to a child of this process and its descendants. Synchronous, for the exit of this process.
 *
 * @internal
 */
export const terminate = (pid: number): ReadonlyArray<{ readonly pid: number; readonly startedAt: string }> => {
  if (process.platform === "win32") {
    spawnSync("taskkill", ["/pid", String(pid), "/T", "/F"], { stdio: "ignore" })
    return []
  }
  const tree = treeOf(pid)
  for (const one of tree) signal(one.pid, "SIGTERM")
  return tree
}

/**
 * Ends a child of this process and its descendants: with SIGTERM, and after two seconds with SIGKILL. Descendants whose parent
 * had ended before are not found.
 *
 * @internal
 */
export const end = async (pid: number): Promise<void> => {
  let left = terminate(pid)
  for (let waited = 0; left.length > 0 && waited < GRACE_MILLIS; waited += POLL_MILLIS) {
    await sleep(POLL_MILLIS)
    const all = processes()
    left = left.filter((one) => all.some((other) => isSame({ parent: 0, ...one }, other)))
  }
  for (const one of left.flatMap(({ pid: survivor }) => treeOf(survivor))) signal(one.pid, "SIGKILL")
}
