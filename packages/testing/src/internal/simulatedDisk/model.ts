/**
 * The types of a simulated disk. `SimulatedDisk` exports them.
 *
 * @internal
 */
import type * as Duration from "effect/Duration"
import type { Process } from "../../Simulation.ts"

/**
 * What is known of a path or an open file.
 *
 * @category models
 * @since 0.1.0
 */
export interface FileStatus {
  readonly kind: "file" | "directory" | "link" | "other"
  /** In bytes. */
  readonly size: number
  /** The same for the same file, whatever it is called. */
  readonly identity: string
  /** How many names lead to it. */
  readonly links: number
  readonly owner: number
  readonly group: number
  /** The permission bits. */
  readonly permissions: number
  /** When it was made, in milliseconds since 1970. */
  readonly made: number
  /** When its content, or the names in a directory, were last changed, in milliseconds since 1970. */
  readonly modified: number
}

/**
 * A disk as a program sees it: files that grow at their end, and their names. Failures are thrown and carry the `code` of an
 * operating system, such as `ENOSPC`.
 *
 * @category models
 * @since 0.1.0
 */
export interface Disk {
  readonly user: number | undefined
  readonly groups: ReadonlyArray<number>
  readonly isInPod: boolean
  readonly openToRead: (path: string) => number
  readonly openToAppend: (path: string) => number
  /** Makes the file, and fails with `EEXIST` when there is one. */
  readonly create: (path: string, permissions: number) => number
  readonly openDirectory: (path: string) => number
  readonly close: (file: number) => void
  /** The same without stopping the process meanwhile. */
  readonly closeLater: (file: number) => void
  readonly read: (file: number, into: Uint8Array, offset: number, length: number, position: number) => number
  /** At the end of the file. May write less than it was given. */
  readonly append: (file: number, from: Uint8Array, offset: number, length: number) => number
  readonly sync: (file: number) => void
  /** The same without stopping the process meanwhile. */
  readonly syncLater: (file: number, done: (cause: unknown) => void) => void
  /** Shortens the file to this size in bytes. */
  readonly truncate: (file: number, size: number) => void
  /** Absent while another process holds the lock, which ends with its process. `of` says in errors what the lock is for. */
  readonly lock: (path: string, permissions: number, of?: string) => { readonly release: () => void } | undefined
  /** Sets when the content of the file was last changed, in milliseconds since 1970. */
  readonly setModified: (file: number, modified: number) => void
  /** Waits until no write to the file is under way: here there never is. */
  readonly settle: (file: number) => void
  readonly statusOf: (file: number) => FileStatus
  /** Status of what the path leads to; absent where nothing exists. */
  readonly status: (path: string) => FileStatus | undefined
  /** Whether the path leads to the file with this identity. */
  readonly leadsTo: (path: string, identity: string) => boolean
  /** Whether an open file has no name any more. */
  readonly isUnlinked: (file: number) => boolean
  /** Size of the file system in bytes; absent where it is not limited. */
  readonly capacity: (path: string) => number | undefined
  /** Names in the directory, in any order. */
  readonly list: (directory: string) => ReadonlyArray<string>
  readonly makeDirectory: (path: string, permissions: number) => void
  readonly link: (existing: string, path: string) => void
  readonly linkSymbolic: (target: string, path: string) => void
  /** The target of a symbolic link; absent when the path is not a link. */
  readonly readLink: (path: string) => string | undefined
  readonly rename: (from: string, to: string) => void
  readonly unlink: (path: string) => void
  /** Calls when something in the directory may have changed. */
  readonly watch: (directory: string, changed: () => void, failed: () => void) => { readonly close: () => void }
}

/**
 * A call that may be made to fail.
 *
 * @category models
 * @since 0.1.0
 */
export type Call =
  | "append"
  | "create"
  | "link"
  | "linkSymbolic"
  | "makeDirectory"
  | "read"
  | "rename"
  | "sync"
  | "syncLater"
  | "truncate"
  | "unlink"

/**
 * A planned failure of a call.
 *
 * @category models
 * @since 0.1.0
 */
export interface PlannedFault {
  readonly call: Call
  /** Number of the call that fails, from 1, among the matching calls since the plan. */
  readonly nth: number
  /** How many in a row fail; 1 unless given. */
  readonly times?: number | undefined
  /** What it fails with; `EIO` unless given. */
  readonly code?: string | undefined
  /** Matches only calls whose path contains this. */
  readonly path?: string | undefined
}

/**
 * Planned failures, and the call in which the process dies.
 *
 * **Example** (A program that is stopped at each of its calls)
 *
 * ```ts
 * import * as SimulatedDisk from "@tidings/testing/SimulatedDisk"
 * import * as Simulation from "@tidings/testing/Simulation"
 * import * as Effect from "effect/Effect"
 * import * as Exit from "effect/Exit"
 * import * as Option from "effect/Option"
 * import assert from "node:assert/strict"
 *
 * const replace = (disk: SimulatedDisk.Disk, text: string) => {
 *   if (disk.status("/data/new") !== undefined) disk.unlink("/data/new")
 *   const file = disk.create("/data/new", 0o600)
 *   disk.append(file, Buffer.from(text), 0, text.length)
 *   disk.sync(file)
 *   disk.close(file)
 *   disk.rename("/data/new", "/data/settings")
 *   disk.sync(disk.openDirectory("/data"))
 * }
 *
 * const found = new Set<string>()
 * for (let dieAt = 1, died = true; died; dieAt++) {
 *   const run = Simulation.run({ seed: dieAt }, (simulation) =>
 *     Effect.gen(function* () {
 *       const machine = SimulatedDisk.make(simulation)
 *       machine.makeDirectory("/data")
 *       const host = simulation.process("host")
 *       const program = (text: string) => Effect.sync(() => replace(machine.diskOf(host), text))
 *       const first = yield* host.start(program("old"))
 *       yield* first.await
 *
 *       machine.plan({ dieAt })
 *       const second = yield* host.start(program("new"))
 *       died = Option.isNone(yield* second.await)
 *       machine.cutPower()
 *       found.add(Buffer.from(machine.contentOf("/data/settings")).toString())
 *     })
 *   )
 *   assert.ok(Exit.isSuccess(run.exit))
 * }
 * // Never a part of it, and never nothing.
 * assert.deepEqual([...found].sort(), ["new", "old"])
 * ```
 *
 * @category models
 * @since 0.1.0
 */
export interface Plan {
  /**
   * The process dies in its call of this number, from 1, counted since it was planned: before the call, or in the middle of a
   * write. What counts are the calls that change something or sync it, and the ends of syncs that are not waited for.
   */
  readonly dieAt?: number | undefined
  readonly faults?: ReadonlyArray<PlannedFault> | undefined
}

/**
 * How often a call meets each fault: shares of 1.
 *
 * @category models
 * @since 0.1.0
 */
export interface Faults {
  /** A write that takes less than it was given. */
  readonly shortWrite?: number | undefined
  /** A write that fails with `EIO`. */
  readonly append?: number | undefined
  /** A sync that fails with `EIO`, and loses what it should have kept. */
  readonly sync?: number | undefined
  /** A read that fails with `EIO`. */
  readonly read?: number | undefined
  /** A call that changes names, and fails with `EIO`. */
  readonly names?: number | undefined
  /** The process dies in a call that counts for `Plan.dieAt`: before it, or in the middle of a write. */
  readonly death?: number | undefined
}

/**
 * The machine with the disk, and the faults that the scenario chooses.
 *
 * @category models
 * @since 0.1.0
 */
export interface SimulatedDisk {
  /** The disk for the current life of a process. After its death every call throws and changes nothing. */
  readonly diskOf: (process: Process) => Disk
  readonly setFaults: (faults: Faults) => void
  /** Replaces the former plan and restarts its counts of calls. Random faults continue. */
  readonly plan: (plan: Plan) => void
  /** Number of calls since the last `plan` in which the process could have died. */
  readonly calls: () => number
  /** Sets the capacity in bytes; writes beyond it fail with `ENOSPC`. */
  readonly setCapacity: (bytes: number) => void
  /** Kills every process that ever had the disk, and loses what was not synced. */
  readonly cutPower: () => void
  /** Changes one bit somewhere in a file; false when it is empty. */
  readonly rot: (path: string) => boolean
  /** Makes a directory that is durable at once. */
  readonly makeDirectory: (path: string) => void
  /** Removes a directory with its contents, as another process would: durable at once, and open files stay open. */
  readonly removeTree: (path: string) => void
  /** Renames a directory in the same way. */
  readonly renameTree: (from: string, to: string) => void
  /** Every path, in order. */
  readonly paths: () => ReadonlyArray<string>
  readonly contentOf: (path: string) => Uint8Array
  /** In bytes, of all files that have a name. */
  readonly used: () => number
}

/**
 * How a simulated disk is made.
 *
 * @category options
 * @since 0.2.0
 */
export interface Options {
  /** What is counted is counted under it; `disk` unless given. */
  readonly name?: string | undefined
  readonly faults?: Faults | undefined
  /** In bytes; without limit unless given. */
  readonly capacity?: number | undefined
  /** How long a sync that is not waited for takes at the most; 5 milliseconds unless given. */
  readonly latency?: Duration.Input | undefined
}
