/**
 * The names of a simulated disk: those that processes see, those that are durable, and the changes between them, which
 * become durable when their directory is synced.
 *
 * @internal
 */
import { failure } from "./failure.ts"
import type { Inode } from "./inode.ts"

const MAXIMUM_LINKS_FOLLOWED = 8

/** What happens to names in one go, in one directory. */
interface NameChange {
  readonly directory: string
  readonly names: ReadonlyArray<{ readonly path: string; readonly node: Inode | undefined }>
  readonly at: number
}

/** @internal */
export const parentOf = (path: string): string => path.slice(0, Math.max(1, path.lastIndexOf("/")))

/** @internal */
export const tidy = (path: string): string => (path.length > 1 && path.endsWith("/") ? path.slice(0, -1) : path)

/**
 * The path and each directory above it, from the root on.
 *
 * @internal
 */
export const prefixesOf = (given: string): ReadonlyArray<string> => {
  const found: Array<string> = []
  for (const part of tidy(given).split("/").slice(1)) found.push(`${found.at(-1) ?? ""}/${part}`)
  return found
}

const apply = (to: Map<string, Inode>, change: NameChange): void => {
  for (const { node, path } of change.names) {
    if (node === undefined) to.delete(path)
    else to.set(path, node)
  }
}

/** @internal */
export class Names {
  private readonly seen: Map<string, Inode>
  private readonly durable: Map<string, Inode>
  /** Changes that no sync of their directory has made durable, in order. */
  private unsynced: Array<NameChange> = []

  constructor(root: Inode) {
    this.seen = new Map([["/", root]])
    this.durable = new Map(this.seen)
  }

  get(path: string): Inode | undefined {
    return this.seen.get(path)
  }

  has(path: string): boolean {
    return this.seen.has(path)
  }

  paths(): ReadonlyArray<string> {
    return [...this.seen.keys()]
  }

  /** Everything that has a name, once. */
  nodes(): ReadonlySet<Inode> {
    return new Set(this.seen.values())
  }

  /** How many names lead to it. */
  linksTo(node: Inode): number {
    return [...this.seen.values()].filter((other) => other === node).length
  }

  /** Where a path leads when symbolic links are followed. */
  follow(given: string): string {
    let path = tidy(given)
    for (let followed = 0; followed < MAXIMUM_LINKS_FOLLOWED; followed++) {
      const node = this.seen.get(path)
      if (node?.kind !== "link") return path
      path = node.target.startsWith("/") ? node.target : `${parentOf(path)}/${node.target}`
    }
    throw failure("ELOOP", given)
  }

  find(path: string): Inode {
    const node = this.seen.get(this.follow(path))
    if (node === undefined) throw failure("ENOENT", path)
    return node
  }

  /** Throws where something has the name, or its directory is missing. */
  assertFree(path: string): void {
    if (this.seen.has(path)) throw failure("EEXIST", path)
    if (this.seen.get(parentOf(path))?.kind !== "directory") throw failure("ENOENT", parentOf(path))
  }

  list(given: string): Array<string> {
    const directory = this.follow(given)
    if (this.seen.get(directory)?.kind !== "directory") throw failure("ENOENT", given)
    const prefix = directory === "/" ? "/" : `${directory}/`
    return [...this.seen.keys()]
      .filter((path) => path !== directory && path.startsWith(prefix) && !path.slice(prefix.length).includes("/"))
      .map((path) => path.slice(prefix.length))
  }

  /** Changes names of one directory, that of the first name, and returns it. */
  change(changed: NameChange["names"], at: number): string {
    const change: NameChange = { directory: parentOf(changed[0]!.path), names: changed, at }
    apply(this.seen, change)
    this.unsynced.push(change)
    return change.directory
  }

  /** A name that is durable at once. */
  addDurable(path: string, node: Inode): void {
    this.seen.set(path, node)
    this.durable.set(path, node)
  }

  /** Makes durable what was changed in a directory up to a moment. */
  sync(path: string, upTo: number): void {
    const isCovered = ({ at, directory }: NameChange) => directory === path && at <= upTo
    for (const change of this.unsynced) if (isCovered(change)) apply(this.durable, change)
    this.unsynced = this.unsynced.filter((change) => !isCovered(change))
  }

  /** Moves a directory, or removes it where no new name is given; durable at once. */
  moveTree(from: string, to: string | undefined): void {
    for (const path of [...this.seen.keys()]) {
      if (path !== from && !path.startsWith(`${from}/`)) continue
      const node = this.seen.get(path)!
      for (const known of [this.seen, this.durable]) {
        known.delete(path)
        if (to !== undefined) known.set(`${to}${path.slice(from.length)}`, node)
      }
    }
    this.unsynced = this.unsynced.filter(({ directory }) => directory !== from && !directory.startsWith(`${from}/`))
  }

  /** How many changes are not durable. */
  unsyncedCount(): number {
    return this.unsynced.length
  }

  /** A power cut, which the first unsynced changes survive. Returns the number of names lost with their directory. */
  losePower(survivors: number): number {
    for (const change of this.unsynced.slice(0, survivors)) apply(this.durable, change)
    this.unsynced = []
    let unreachable = 0
    // The contents of a lost directory are lost with it.
    for (const path of [...this.durable.keys()].sort()) {
      if (this.durable.get(parentOf(path))?.kind === "directory") continue
      this.durable.delete(path)
      unreachable++
    }
    this.seen.clear()
    for (const [path, node] of this.durable) this.seen.set(path, node)
    return unreachable
  }
}
