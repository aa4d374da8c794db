/**
 * Who may use the directory of a log or a journal, and the permissions of files that are created in it.
 *
 * Every user who may create and delete files in the directory of a log can change what the log says. So the directory has to
 * belong to this user or to root, and other users may not write to it. Members of its group may: a Kubernetes volume with
 * `fsGroup` belongs to root, is group-writable and setgid, and kubelet sets this on everything in it at each mount.
 */
import * as Context from "effect/Context"
import * as fs from "node:fs"
import * as path from "node:path"
import type { Disk, FileStatus } from "./disk.ts"
import { ADVICE } from "./diskError.ts"

/** @internal */
export type Use = "read" | "write"

const ROOT = 0
const SETGID = 0o2000
const STICKY = 0o1000
const WORLD_WRITABLE = 0o002

const isOfGroup = (disk: Disk, { group }: FileStatus): boolean => disk.groups.includes(group)

/**
 * Whether other users may replace files: the directory is world-writable without the sticky bit. A world-writable directory of
 * root in a pod is accepted: an `emptyDir` is one, and only the containers of its pod can reach it.
 */
const isOpen = (disk: Disk, { owner, permissions }: FileStatus): boolean =>
  (permissions & WORLD_WRITABLE) !== 0 && (permissions & STICKY) === 0 && !(owner === ROOT && disk.isInPod)

/**
 * Why a directory must not be used, and what to do; absent where it may be used.
 *
 * To write, it has to belong to this user or to root. Root and members of its group may also read that of another user.
 *
 * @internal
 */
export const problemOf = (
  disk: Disk,
  directory: string,
  status: FileStatus,
  use: Use,
  kind: "log" | "journal"
): string | undefined => {
  const { user } = disk
  if (user === undefined) return undefined
  const { owner, permissions } = status
  if (owner !== user && owner !== ROOT) {
    const mayRead = user === ROOT || isOfGroup(disk, status)
    if (!(use === "read" && mayRead)) {
      return (
        `${directory} belongs to user ${owner}, and this process runs as user ${user}: its owner ` +
        `can change the ${kind}${mayRead ? ", so this process may only read it" : ""}; run as its owner, ` +
        `chown ${user} ${directory}${ADVICE[kind]}`
      )
    }
  }
  return isOpen(disk, status)
    ? `${directory} is writable by everybody (mode ${octal(permissions)}), who could change the ${kind}: ` +
        `chmod o-w ${directory}, or choose a directory inside it${ADVICE[kind]}`
    : undefined
}

/**
 * Asks the system whether this process may use a file in a mode of `fs.constants`; answers with the code of the error where it may
 * not. Tests replace it, because the administrator, as whom they may run, may use everything.
 *
 * @internal
 */
export const Ask: Context.Reference<(file: string, mode: number) => string | undefined> = Context.Reference(
  "@tidings/backend-fs/access/Ask",
  {
    defaultValue: () => (file: string, mode: number) => {
      try {
        fs.accessSync(file, mode)
        return undefined
      } catch (cause) {
        return cause instanceof Error && "code" in cause ? String(cause.code) : "unknown"
      }
    }
  }
)

/** @internal */
export const octal = (permissions: number): string => permissions.toString(8).padStart(3, "0")

/**
 * Whether a directory is shared with its group: setgid gives everything in it the same group.
 *
 * @internal
 */
export const isShared = ({ permissions }: FileStatus): boolean => (permissions & SETGID) !== 0

const groupOf = (directory: FileStatus | undefined): number =>
  directory !== undefined && isShared(directory) ? directory.permissions & 0o070 : 0

/**
 * The permissions of a new file in a directory, before the umask: for its owner, and for the group where the directory is shared.
 *
 * @internal
 */
export const fileMode = (directory: FileStatus | undefined): number => 0o600 | (groupOf(directory) & 0o060)

/**
 * The nearest ancestor of a path that exists, with its status.
 *
 * @internal
 */
export const nearestAncestor = (
  disk: Disk,
  file: string
): { readonly path: string; readonly status: FileStatus | undefined } => {
  const parent = path.dirname(file)
  const status = disk.status(parent)
  return status === undefined && parent !== file ? nearestAncestor(disk, parent) : { path: parent, status }
}

/**
 * What is wrong with a path that does not exist, where a part of it is a symbolic link to what does not exist: no directory can be
 * created there.
 *
 * @internal
 */
export const lostLink = (disk: Disk, file: string): string | undefined => {
  const target = disk.readLink(file)
  if (target !== undefined) return `${file} is a symbolic link to ${target}, which does not exist`
  const parent = path.dirname(file)
  return parent === file || disk.status(parent) !== undefined ? undefined : lostLink(disk, parent)
}

/**
 * The permissions of a new directory, before the umask, from those of its nearest existing ancestor.
 *
 * @internal
 */
export const directoryMode = (parent: FileStatus | undefined): number => 0o700 | groupOf(parent)
