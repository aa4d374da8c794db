/**
 * A store that outlives the processes that write to it: backends in memory, served over a socket. Its network is bad:
 * answers come late, and connections break before a write arrives or after it was applied.
 */
import type * as Backend from "@tidings/core/Backend"
import { BackendError, Transient, Unavailable } from "@tidings/core/BackendError"
import type { Write } from "@tidings/core/Event"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import { once } from "node:events"
import { connect, createServer, type Server, type Socket } from "node:net"
import { createInterface } from "node:readline"

interface Request {
  readonly n: number
  readonly store: string
  /** Absent when it asks for the target. */
  readonly batch?: ReadonlyArray<Write>
}

interface Answer {
  readonly n: number
  readonly target?: string
  readonly outcomes?: ReadonlyArray<Backend.Outcome>
}

const linesOf = (socket: Socket, use: (line: string) => void): void => {
  createInterface({ input: socket })
    .on("line", use)
    .on("error", () => {})
}

// ---------------------------------------------------------------------------
// the server
// ---------------------------------------------------------------------------

export interface Remote {
  /** From now on the network is good. */
  readonly mend: () => void
  readonly close: () => Promise<void>
  readonly brokenBefore: () => number
  readonly brokenAfter: () => number
}

export const serve = async (
  path: string,
  stores: Readonly<Record<string, Backend.Service>>,
  random: () => number
): Promise<Remote> => {
  let before = 0
  let after = 0
  let bad = true
  const sockets = new Set<Socket>()
  const answer = async (socket: Socket, request: Request): Promise<void> => {
    const store = stores[request.store]!
    if (bad && random() < 0.02) {
      before++
      socket.destroy()
      return
    }
    if (bad && random() < 0.3) await new Promise((resume) => setTimeout(resume, random() * 5))
    const result: Answer =
      request.batch === undefined
        ? { n: request.n, target: await Effect.runPromise(store.target) }
        : { n: request.n, outcomes: await Effect.runPromise(store.write(request.batch)) }
    if (bad && random() < 0.02) {
      after++
      socket.destroy()
      return
    }
    if (socket.writable) socket.write(`${JSON.stringify(result)}\n`)
  }
  const server: Server = createServer((socket) => {
    sockets.add(socket)
    socket.on("error", () => {})
    socket.on("close", () => sockets.delete(socket))
    linesOf(socket, (line) => {
      try {
        void answer(socket, JSON.parse(line) as Request)
      } catch {
        // Its writer was killed in the middle.
        socket.destroy()
      }
    })
  })
  server.listen(path)
  await once(server, "listening")
  return {
    mend: () => {
      bad = false
    },
    brokenBefore: () => before,
    brokenAfter: () => after,
    close: async () => {
      for (const socket of sockets) socket.destroy()
      server.close()
      await once(server, "close")
    }
  }
}

// ---------------------------------------------------------------------------
// the client
// ---------------------------------------------------------------------------

const unavailable = new BackendError({ reason: new Unavailable({ detail: "only writes are served" }) })

/** Backends over one connection, made anew whenever it broke. */
export const client = (path: string): ((store: string) => Backend.Service) => {
  const waiting = new Map<number, (answer: Answer | undefined) => void>()
  let socket: Socket | undefined
  let n = 0
  const open = (): Socket => {
    if (socket !== undefined) return socket
    const opened = connect(path)
    socket = opened
    opened.on("error", () => {})
    opened.on("close", () => {
      if (socket === opened) socket = undefined
      for (const resume of [...waiting.values()]) resume(undefined)
      waiting.clear()
    })
    linesOf(opened, (line) => {
      const answer = JSON.parse(line) as Answer
      waiting.get(answer.n)?.(answer)
      waiting.delete(answer.n)
    })
    return opened
  }
  const ask = (request: Omit<Request, "n">): Effect.Effect<Answer, BackendError> =>
    Effect.callback((resume) => {
      const number = ++n
      waiting.set(number, (answer) =>
        resume(
          answer === undefined
            ? Effect.fail(
                new BackendError({ reason: new Transient({ applied: "unknown", detail: "the connection broke" }) })
              )
            : Effect.succeed(answer)
        )
      )
      open().write(`${JSON.stringify({ n: number, ...request })}\n`)
    })
  return (store) => ({
    mode: "remote",
    target: Effect.map(ask({ store }), ({ target }) => target!),
    write: (batch) => Effect.map(ask({ store, batch }), ({ outcomes }) => outcomes!),
    query: () => Effect.fail(unavailable),
    watch: () => Stream.fail(unavailable)
  })
}
