/**
 * Ends a program together with what it has started. Node can only signal one process, and a program that shares the
 * terminal with its host, as a login must, has no process group of its own.
 */
import { spawnSync } from "node:child_process"
import * as fs from "node:fs"
import { setTimeout as sleep } from "node:timers/promises"

interface Process {
  readonly pid: number
  readonly parent: number
  /** Tells a process from a later one of the same number; empty where the system does not say. */
  readonly startedAt: string
}

/** How long a program has to end by itself. */
const GRACE_MILLIS = 2_000

const POLL_MILLIS = 50

const fromProc = (): ReadonlyArray<Process> =>
  fs.readdirSync("/proc").flatMap((name) => {
    if (!/^\d+$/.test(name)) return []
    try {
      const stat = fs.readFileSync(`/proc/${name}/stat`, "utf8")
      // The name of the program stands in parentheses and may hold anything; after it come state, parent and 17 more.
      const rest = stat.slice(stat.lastIndexOf(")") + 2).split(" ")
      // One that has ended and waits for its parent to notice is not there any more.
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

/** A process and all that descend from it, from the outside in, so that nothing is started anew in between. */
const treeOf = (pid: number): ReadonlyArray<Process> => {
  const all = processes()
  const tree = all.filter((one) => one.pid === pid)
  // The list grows while it is walked.
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
 * Asks a child of this process and its descendants to end, at once; for the end of this process.
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
 * Ends a child of this process and its descendants: with SIGTERM, and after two seconds with SIGKILL. Those of them are found whose
 * parents were still there when this began.
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
