/**
 * What a simulated disk stores under its names: the content that processes see, the content that is durable, and the
 * changes between them, which a power cut may lose or tear.
 *
 * @internal
 */
import type { Dice } from "../../Simulation.ts"

/** What is written reaches the disk by sectors, in any order. Smaller ones than real ones tear more often. */
const SECTORS = [64, 512, 4_096]

/** @internal */
export interface Inode {
  readonly id: number
  readonly kind: "file" | "directory" | "link"
  readonly permissions: number
  readonly made: number
  /** When it was last changed, in milliseconds since 1970. */
  modified: number
  readonly target: string
  /** What a process sees. */
  bytes: Uint8Array
  size: number
  /** Content that a power cut does not affect. */
  durable: Uint8Array
  /** Written and not synced, the oldest first. */
  dirty: Array<{ readonly from: number; readonly to: number; readonly at: number }>
  /** How many syncs failed. */
  failures: number
  /** Truncated and not synced, the oldest first. */
  cuts: Array<{ readonly size: number; readonly at: number }>
}

/** @internal */
export const make = (
  id: number,
  kind: Inode["kind"],
  permissions: number,
  target: string,
  madeMillis: number
): Inode => ({
  id,
  kind,
  permissions,
  made: madeMillis,
  modified: madeMillis,
  target,
  bytes: new Uint8Array(0),
  size: 0,
  durable: new Uint8Array(0),
  dirty: [],
  failures: 0,
  cuts: []
})

/** The bytes, extended with zeros to at least this size. */
const extended = (bytes: Uint8Array, size: number): Uint8Array => {
  const larger = new Uint8Array(Math.max(bytes.length, size))
  larger.set(bytes)
  return larger
}

/** @internal */
export const write = (node: Inode, bytes: Uint8Array, at: number): void => {
  const size = node.size + bytes.length
  if (size > node.bytes.length) node.bytes = extended(node.bytes.subarray(0, node.size), 2 * size)
  node.bytes.set(bytes, node.size)
  node.dirty.push({ from: node.size, to: size, at })
  node.size = size
}

/** @internal */
export const truncate = (node: Inode, size: number, at: number): void => {
  node.size = size
  node.dirty = node.dirty
    .filter(({ from }) => from < size)
    .map(({ at, from, to }) => ({ from, to: Math.min(to, size), at }))
  node.cuts.push({ size, at })
}

/** What is durable, after some of the cuts. */
const cutBy = (node: Inode, cuts: Inode["cuts"]): Uint8Array =>
  node.durable.slice(0, Math.min(node.durable.length, ...cuts.map(({ size }) => size)))

/**
 * Makes durable what was changed up to a moment. When that fails, the system takes it for durable all the same, and the
 * next sync passes it over.
 *
 * @internal
 */
export const sync = (node: Inode, upTo: number, fails: boolean, dice: Dice): void => {
  const covered = node.dirty.filter(({ at }) => at <= upTo)
  const later = node.dirty.filter(({ at }) => at > upTo)
  const end = later.length === 0 ? node.size : Math.max(0, ...covered.map(({ to }) => to))
  node.dirty = later
  if (fails) {
    // The length is kept elsewhere than the bytes, and may have got there.
    if (dice.chance(0.5)) node.durable = extended(node.durable, end)
    return
  }
  const base = cutBy(
    node,
    node.cuts.filter(({ at }) => at <= upTo)
  )
  node.durable = extended(base, end)
  for (const { from, to } of covered) node.durable.set(node.bytes.subarray(from, to), from)
  node.cuts = node.cuts.filter(({ at }) => at > upTo)
}

/** The length, and some of the sectors: the others were never written. */
const withHoles = (node: Inode, before: Uint8Array, dice: Dice, count: (what: "hole") => void): Uint8Array => {
  const after = extended(before, node.size)
  const size = dice.pick(SECTORS)
  const sectors = new Set<number>()
  for (const { from, to } of node.dirty) {
    for (let at = from - (from % size); at < to; at += size) sectors.add(at)
  }
  for (const at of sectors) {
    if (dice.chance(0.5)) count("hole")
    else after.set(node.bytes.subarray(at, Math.min(node.size, at + size)), at)
  }
  return after
}

/** All of it, up to somewhere. */
const upTo = (node: Inode, before: Uint8Array, end: number): Uint8Array => {
  const after = extended(before, end)
  for (const { from, to } of node.dirty) {
    if (from < end) after.set(node.bytes.subarray(from, Math.min(to, end)), from)
  }
  return after
}

/**
 * Applies a power cut: unsynced changes are kept, lost, torn or have holes.
 *
 * @internal
 */
export const losePower = (
  node: Inode,
  dice: Dice,
  count: (what: "forgotten" | "hole" | "torn" | "whole") => void
): void => {
  const before = cutBy(node, node.cuts.slice(0, dice.integer(0, node.cuts.length)))
  let after = before
  if (node.dirty.length > 0) {
    const how = dice.integer(0, 3)
    if (how === 0) count("forgotten")
    else if (how === 1) after = withHoles(node, before, dice, count)
    else {
      const end = how === 2 ? node.size : dice.integer(Math.min(before.length, node.size), node.size)
      after = upTo(node, before, end)
      count(end < node.size ? "torn" : "whole")
    }
  }
  node.durable = after
  node.bytes = after.slice()
  node.size = after.length
  node.dirty = []
  node.cuts = []
}
