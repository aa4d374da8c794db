/**
 * The faults of a cluster, for other processes than the one that runs it: a socket in its directory that takes one
 * call per connection, a line of JSON each way. Every user who can read the kubeconfig beside it can use it.
 */
import * as net from "node:net"
import * as path from "node:path"
import { ClusterError, messageOf, type Reason } from "./ClusterError.ts"
import type { Faults } from "./Faults.ts"

const fileName = "control.sock"

interface Call {
  readonly name: string
  readonly argument?: unknown
}

type Answer =
  | { readonly _tag: "Done"; readonly value?: unknown }
  | { readonly _tag: "Failed"; readonly reason: Reason; readonly message: string }

const readLine = (socket: net.Socket): Promise<string> =>
  new Promise((resolve, reject) => {
    let text = ""
    socket.setEncoding("utf8")
    socket.on("data", (chunk: string) => {
      text += chunk
      const end = text.indexOf("\n")
      if (end >= 0) {
        resolve(text.slice(0, end))
      }
    })
    socket.once("error", reject)
    socket.once("close", () => reject(new ClusterError("NotRunning", "the cluster was ended meanwhile")))
  })

const perform = async (faults: Faults, line: string): Promise<Answer> => {
  try {
    const call = JSON.parse(line) as Call
    const fault = Object.hasOwn(faults, call.name) ? faults[call.name as keyof Faults] : undefined
    if (fault === undefined) {
      throw new ClusterError("Option", `there is no "${call.name}" to do`)
    }
    const value = await (fault as (argument: unknown) => Promise<unknown>)(call.argument)
    return { _tag: "Done", value }
  } catch (error) {
    return {
      _tag: "Failed",
      reason: error instanceof ClusterError ? error.reason : "Start",
      message: messageOf(error)
    }
  }
}

/** Takes calls until it is closed. */
export const serve = (directory: string, faults: Faults): Promise<{ readonly close: () => void }> =>
  new Promise((resolve, reject) => {
    const sockets = new Set<net.Socket>()
    const server = net.createServer((socket) => {
      sockets.add(socket)
      socket.once("close", () => sockets.delete(socket))
      readLine(socket)
        .then((line) => perform(faults, line))
        .then((answer) => socket.end(`${JSON.stringify(answer)}\n`))
        .catch(() => socket.destroy())
    })
    server.once("error", reject)
    server.listen(path.join(directory, fileName), () =>
      resolve({
        close: () => {
          server.close()
          for (const socket of sockets) {
            socket.destroy()
          }
        }
      })
    )
  })

const call = async (directory: string, message: Call): Promise<unknown> => {
  const file = path.join(directory, fileName)
  const socket = net.connect(file)
  try {
    await new Promise<void>((resolve, reject) => {
      socket.once("connect", resolve)
      socket.once("error", () =>
        reject(
          new ClusterError("NotRunning", `no cluster of this tool runs at ${directory}: nobody listens on ${fileName}`)
        )
      )
    })
    socket.write(`${JSON.stringify(message)}\n`)
    const answer = JSON.parse(await readLine(socket)) as Answer
    if (answer._tag === "Failed") {
      throw new ClusterError(answer.reason, answer.message)
    }
    return answer.value
  } finally {
    socket.destroy()
  }
}

/** Calls what another process serves. */
export const client = (directory: string): Faults => {
  const fault =
    (name: keyof Faults) =>
    async (argument?: unknown): Promise<void> => {
      await call(directory, { name, argument })
    }
  return {
    stopApiServer: fault("stopApiServer"),
    startApiServer: fault("startApiServer"),
    killApiServer: fault("killApiServer"),
    pauseApiServer: fault("pauseApiServer"),
    resumeApiServer: fault("resumeApiServer"),
    stopEtcd: fault("stopEtcd"),
    startEtcd: fault("startEtcd"),
    killEtcd: fault("killEtcd"),
    pauseEtcd: fault("pauseEtcd"),
    resumeEtcd: fault("resumeEtcd"),
    status: async () => (await call(directory, { name: "status" })) as Awaited<ReturnType<Faults["status"]>>
  }
}
