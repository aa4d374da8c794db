/**
 * A disk for simulated worlds that tears what was not synced, forgets what it was not told to keep, fills up and fails.
 *
 * A kill of the process leaves all that it wrote, as a system does; a loss of power leaves what was synced, and of the rest
 * a part that the seed chooses: nothing, all of it, a beginning, or pieces with holes between them. Names of files are kept
 * apart from their contents, as on a real disk: a new name, a rename and an unlink survive when their directory was synced.
 * A sync that fails loses what it should have kept, and the next one reports success.
 *
 * What happened is counted by the simulation (`disk.torn`, `disk.shortWrite`, …).
 *
 * **Example** (What a loss of power leaves)
 *
 * ```ts
 * import * as SimulatedDisk from "@tidings/testing/SimulatedDisk"
 * import * as Simulation from "@tidings/testing/Simulation"
 * import * as Effect from "effect/Effect"
 * import * as Exit from "effect/Exit"
 * import assert from "node:assert/strict"
 *
 * const run = Simulation.run({ seed: 1 }, (simulation) =>
 *   Effect.gen(function* () {
 *     const machine = SimulatedDisk.make(simulation)
 *     machine.makeDirectory("/data")
 *     const host = simulation.process("host")
 *     yield* host.start(
 *       Effect.sync(() => {
 *         const disk = machine.diskOf(host)
 *         const file = disk.create("/data/log", 0o600)
 *         disk.append(file, Buffer.from("kept\n"), 0, 5)
 *         disk.sync(file)
 *         disk.sync(disk.openDirectory("/data"))
 *         disk.append(file, Buffer.from("perhaps\n"), 0, 8)
 *       }).pipe(Effect.andThen(Effect.never))
 *     )
 *     yield* Effect.sleep("1 second")
 *     machine.cutPower()
 *     return Buffer.from(machine.contentOf("/data/log")).toString().slice(0, 5)
 *   })
 * )
 * assert.deepEqual(run.exit, Exit.succeed("kept\n"))
 * ```
 *
 * @since 0.1.0
 */
import type * as Duration from "effect/Duration"
import * as simulatedDisk from "./internal/simulatedDisk.ts"
import type { Process, Simulation } from "./Simulation.ts"

// ---------------------------------------------------------------------------
// models
// ---------------------------------------------------------------------------

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
  /** The permission bits. */
  readonly permissions: number
  /** When it was made, in milliseconds since 1970. */
  readonly made: number
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
  readonly openToRead: (path: string) => number
  readonly openToAppend: (path: string) => number
  /** Makes the file, and fails with `EEXIST` when there is one. */
  readonly create: (path: string, permissions: number) => number
  readonly openDirectory: (path: string) => number
  readonly close: (file: number) => void
  readonly read: (file: number, into: Uint8Array, offset: number, length: number, position: number) => number
  /** At the end of the file. May write less than it was given. */
  readonly append: (file: number, from: Uint8Array, offset: number, length: number) => number
  readonly sync: (file: number) => void
  /** The same without stopping the process meanwhile. */
  readonly syncLater: (file: number, done: (cause: unknown) => void) => void
  /** Cuts the file to this many bytes. */
  readonly truncate: (file: number, size: number) => void
  /** Absent when another one holds the lock; it ends with the process. */
  readonly lock: (path: string) => { readonly release: () => void } | undefined
  /** Waits until no write to the file is under way: here there never is. */
  readonly settle: (file: number) => void
  readonly statusOf: (file: number) => FileStatus
  /** Of what the path leads to; absent when there is nothing. */
  readonly status: (path: string) => FileStatus | undefined
  readonly list: (directory: string) => ReadonlyArray<string>
  readonly makeDirectory: (path: string, permissions: number) => void
  readonly link: (existing: string, path: string) => void
  readonly linkSymbolic: (target: string, path: string) => void
  /** The target of a symbolic link; absent when the path is none. */
  readonly readLink: (path: string) => string | undefined
  readonly rename: (from: string, to: string) => void
  readonly unlink: (path: string) => void
  /** Calls when something in the directory may have changed. */
  readonly watch: (directory: string, changed: () => void, failed: () => void) => { readonly close: () => void }
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
  /** The process dies in the call: before it, or in the middle of a write. */
  readonly death?: number | undefined
}

/**
 * The machine: what is on its disk, and what it loses.
 *
 * @category models
 * @since 0.1.0
 */
export interface SimulatedDisk {
  /** The disk as the life of a process sees it that runs now. After its death every call throws and changes nothing. */
  readonly diskOf: (process: Process) => Disk
  readonly setFaults: (faults: Faults) => void
  /** How many bytes fit; what is beyond fails with `ENOSPC`. */
  readonly setCapacity: (bytes: number) => void
  /** Kills every process that has the disk, and loses what was not synced. */
  readonly cutPower: () => void
  /** Changes one bit somewhere in a file; false when it is empty. */
  readonly rot: (path: string) => boolean
  /** Makes a directory that is durable at once. */
  readonly makeDirectory: (path: string) => void
  /** Every path, in order. */
  readonly paths: () => ReadonlyArray<string>
  readonly contentOf: (path: string) => Uint8Array
  /** In bytes, of all files that have a name. */
  readonly used: () => number
}

// ---------------------------------------------------------------------------
// constructors
// ---------------------------------------------------------------------------

/**
 * Makes a simulated disk, empty but for its root.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (
  simulation: Simulation,
  options?: {
    /** What is counted is counted under it; `disk` unless given. */
    readonly name?: string | undefined
    readonly faults?: Faults | undefined
    /** In bytes; without limit unless given. */
    readonly capacity?: number | undefined
    /** How long a sync that is not waited for takes at the most; 5 milliseconds unless given. */
    readonly latency?: Duration.Input | undefined
  }
): SimulatedDisk => simulatedDisk.make(simulation, options ?? {})
