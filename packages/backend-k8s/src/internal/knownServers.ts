import type { Socket } from "node:net"
import { TLSSocket } from "node:tls"

const MAXIMUM_SERVERS = 64

/**
 * The servers that connections have led to. A name may come to lead to another cluster while the old one still runs: then
 * no connection breaks, and the old ones go on leading to the old cluster.
 *
 * @internal
 */
export class KnownServers {
  private readonly known = new Set<string>()

  /** Whether a new connection leads to a server that no earlier one led to. */
  isAnother(socket: Socket): boolean {
    const tls = socket instanceof TLSSocket ? socket : undefined
    // A server that resumes a session has its keys, so it is the same one. It does not show its certificate then.
    if (tls?.isSessionReused() === true) return false
    const server = `${socket.remoteAddress} ${tls?.getPeerX509Certificate()?.fingerprint256}`
    if (this.known.has(server)) return false
    const [oldest] = this.known
    if (this.known.size >= MAXIMUM_SERVERS) this.known.delete(oldest!)
    this.known.add(server)
    return oldest !== undefined
  }
}
