/** The connections that clients have, with or without a socket. */

/** How a connection ends from this side. @internal */
export interface Link {
  /** Loses what is on its way. */
  readonly reset: () => void
  readonly close: () => void
}

/** @internal */
export interface Connection {
  /** From 1, in the order of opening. */
  readonly ordinal: number
  readonly link: Link
  /** How many requests on it have no answer yet, open watches among them. */
  active: number
}

/** @internal */
export class Connections {
  readonly #open = new Set<Connection>()
  #opened = 0
  /** Whether connections end when nothing is under way on them any more. */
  #isStopping = false

  get opened(): number {
    return this.#opened
  }

  get open(): number {
    return this.#open.size
  }

  add(link: Link): Connection {
    this.#opened += 1
    const connection: Connection = { ordinal: this.#opened, link, active: 0 }
    this.#open.add(connection)
    return connection
  }

  /** It has ended. */
  remove(connection: Connection): void {
    this.#open.delete(connection)
  }

  /** Returns how to say that the request has its answer. */
  begin(connection: Connection): () => void {
    connection.active += 1
    return () => {
      connection.active -= 1
      if (this.#isStopping && connection.active === 0) connection.link.close()
    }
  }

  /** Ends those on which nothing is under way, and the others when that is done. Returns all of them. */
  stop(): ReadonlyArray<Connection> {
    this.#isStopping = true
    const all = [...this.#open]
    for (const { active, link } of all) if (active === 0) link.close()
    return all
  }

  start(): void {
    this.#isStopping = false
  }

  resetAll(): void {
    for (const { link } of [...this.#open]) link.reset()
  }
}
