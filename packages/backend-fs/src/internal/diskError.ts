import { BackendError, Full, Transient, Unauthorized, Unavailable } from "@tidings/core/BackendError"
import type { BackendErrorReason } from "@tidings/core/BackendError"

/**
 * The `code` that the operating system gave, such as `ENOSPC`.
 *
 * @internal
 */
export const codeOf = (cause: unknown): string | undefined =>
  cause instanceof Error && "code" in cause && typeof cause.code === "string" ? cause.code : undefined

/**
 * The path that an operation failed on, where the operating system names it.
 *
 * @internal
 */
export const pathOf = (cause: unknown): string | undefined =>
  cause instanceof Error && "path" in cause && typeof cause.path === "string" ? cause.path : undefined

/**
 * What `use` returns; absent where it fails with one of these codes.
 *
 * @internal
 */
export const unlessCode = <A>(codes: ReadonlyArray<string>, use: () => A): A | undefined => {
  try {
    return use()
  } catch (cause) {
    if (codes.includes(codeOf(cause) ?? "")) return undefined
    throw cause
  }
}

/**
 * The codes with which opening a file fails where there is something else in its place: a symbolic link, a directory, a socket.
 *
 * @internal
 */
export const NOT_A_FILE: ReadonlySet<string> = new Set(["ELOOP", "EISDIR", "ENXIO"])

/**
 * Whether a failure says that there is no room, which there is when files are removed.
 *
 * @internal
 */
export const isFull = (cause: unknown): boolean => ["ENOSPC", "EDQUOT"].includes(codeOf(cause) ?? "")

/** @internal */
export const messageOf = (cause: unknown): string => (cause instanceof Error ? cause.message : String(cause))

/**
 * A failure with a `code`, as the operating system reports them.
 *
 * @internal
 */
export const diskFailure = (code: string, message: string, path?: string): Error =>
  Object.assign(new Error(message), { code }, path === undefined ? undefined : { path })

/**
 * Advice to use another directory. There is none for a journal that exists: in another directory it would not find what it has
 * not delivered.
 *
 * @internal
 */
export const ADVICE = {
  log: ", or choose another directory (TIDINGS_DIRECTORY)",
  journal: "",
  newJournal: ", or choose another directory for the journal (TIDINGS_JOURNAL)"
} as const

const reasonOf = (cause: unknown, path: string, owner: keyof typeof ADVICE): BackendErrorReason => {
  const code = codeOf(cause)
  const elsewhere = ADVICE[owner]
  switch (code) {
    case "ENOSPC":
      return new Full({ detail: `the disk of ${path} is full: free some space${elsewhere}` })
    case "EDQUOT":
      return new Full({ detail: `the disk quota of this user is used up at ${path}: free some space${elsewhere}` })
    case "EFBIG":
      return new Full({
        detail: `${path} has reached the maximum file size of this process: raise the limit (ulimit -f)${elsewhere}`
      })
    case "EACCES":
    case "EPERM":
      return new Unauthorized({
        detail: `${path} is not accessible to the user of this process: grant that user read and write permission${elsewhere}`
      })
    case "EROFS":
      return new Unavailable({
        detail: `${path} is on a read-only file system: mount it writable${elsewhere}`
      })
    case "ENOTDIR":
    case "EEXIST":
      return new Unavailable({
        detail: `${path} cannot be created: a part of its path is not a directory; move that away${elsewhere}`
      })
    case "ELOOP":
      return new Unavailable({
        detail: `${path} is a symbolic link, which the ${owner} never follows: put the file itself there`
      })
    case "EISDIR":
      return new Unavailable({ detail: `${path} is a directory where a file of the ${owner} should be: move it away` })
    case "EMFILE":
    case "ENFILE":
      return new Transient({
        applied: "no",
        detail: `too many files are open to open ${path}: close some, or raise the limit (ulimit -n)`
      })
    case "EIO":
      return new Transient({ applied: "unknown", detail: `the disk of ${path} reports an input/output error` })
    case "ENOLCK":
      return new Unavailable({
        detail: `the file system of ${path} does not support locks (ENOLCK), without which two processes could use one journal: choose a directory on a local disk`
      })
    case "ENOTSUP":
      return new Unavailable({
        detail: `the file system of ${path} refuses locks, without which two processes could use one journal: choose a directory on a local disk`
      })
    default:
      return new Unavailable({
        detail: `${path}: ${messageOf(cause)}`
      })
  }
}

/**
 * The error for what a disk threw, in words that say what to do. What has no `code` is a defect, and is thrown again.
 *
 * @internal
 */
export const fromDisk = (cause: unknown, path: string, owner: keyof typeof ADVICE = "log"): BackendError => {
  if (cause instanceof BackendError) return cause
  if (codeOf(cause) === undefined) throw cause
  return new BackendError({ reason: reasonOf(cause, path, owner), cause })
}

/** @internal */
export const unavailable = (detail: string): BackendError => new BackendError({ reason: new Unavailable({ detail }) })
