/** Free ports of this machine. */
import * as crypto from "node:crypto"
import * as net from "node:net"
import { ClusterError } from "./ClusterError.ts"

// Below what systems hand out to outgoing connections (Linux from 32768, macOS from 49152): otherwise a client that
// calls a stopped server on loopback can be given that very port, be connected with itself and keep the server out.
const firstPort = 20_000
const portCount = 10_000

const isFree = (port: number): Promise<boolean> =>
  new Promise((resolve) => {
    const server = net.createServer()
    server.once("error", () => resolve(false))
    server.listen(port, "127.0.0.1", () => server.close(() => resolve(true)))
  })

/** The ports that are wanted, and free ones where none is. Fails with the reason `Start` where one is in use. */
export const choosePorts = async (wanted: ReadonlyArray<number | undefined>): Promise<ReadonlyArray<number>> => {
  const chosen: Array<number> = []
  for (const port of wanted) {
    if (port !== undefined) {
      if (!(await isFree(port))) {
        throw new ClusterError("Start", `port ${port} is in use`)
      }
      chosen.push(port)
      continue
    }
    let candidate = 0
    do {
      candidate = firstPort + crypto.randomInt(portCount)
    } while (chosen.includes(candidate) || wanted.includes(candidate) || !(await isFree(candidate)))
    chosen.push(candidate)
  }
  return chosen
}
