/**
 * `npm run` puts itself, a shell and perhaps more between the terminal and the program, and none of them passes on that
 * it was killed; npm does not even pass on a SIGTERM to more than its shell. So a program that holds something big
 * has to look for itself.
 */
import * as fs from "node:fs"

const pollMillis = 500
// npm, its shell, a starter or two: more is not one npm run.
const maximumDistance = 6

interface Ancestor {
  readonly parent: number
  readonly command: string
}

const readAncestor = (pid: number): Ancestor | undefined => {
  try {
    // pid (command) state ppid …, where the command may itself contain parentheses.
    const text = fs.readFileSync(`/proc/${pid}/stat`, "utf8")
    const end = text.lastIndexOf(")")
    const parent = Number(text.slice(end + 2).split(" ")[1])
    return Number.isInteger(parent) ? { parent, command: text.slice(text.indexOf("(") + 1, end) } : undefined
  } catch {
    return undefined
  }
}

// From this process up to npm; without /proc, or without npm in sight, up to the parent alone.
const findLinks = (): ReadonlyMap<number, number> => {
  const links = new Map<number, number>()
  let pid = process.ppid
  for (let distance = 0; distance < maximumDistance; distance++) {
    const ancestor = readAncestor(pid)
    if (ancestor === undefined || pid <= 1) {
      break
    }
    if (ancestor.command.startsWith("npm")) {
      return links
    }
    links.set(pid, ancestor.parent)
    pid = ancestor.parent
  }
  return new Map()
}

/**
 * Calls back once when npm, or anything between npm and this process, has ended without ending this process. Does
 * nothing in a process that npm did not start: to outlive one's parent is a common wish there.
 */
export const onNpmGone = (callback: () => void): void => {
  if (process.env["npm_lifecycle_event"] === undefined) {
    return
  }
  const parent = process.ppid
  const links = findLinks()
  const timer = setInterval(() => {
    const isIntact =
      process.ppid === parent && Array.from(links).every(([pid, above]) => readAncestor(pid)?.parent === above)
    if (!isIntact) {
      clearInterval(timer)
      callback()
    }
  }, pollMillis)
  timer.unref()
}
