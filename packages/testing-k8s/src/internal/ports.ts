/** Ports on which servers listen. */
import * as Effect from "effect/Effect"

const firstPort = 20_000
const portCount = 10_000

// So that a server whose socket is closed for a while does not lose its port to one that starts meanwhile.
const reserved = new Set<number>()

/** @internal */
export const reserve = (port: number): void => {
  reserved.add(port)
}

/** @internal */
export const release = (port: number): void => {
  reserved.delete(port)
}

/** Listens on a free one; undefined when there is none. @internal */
export const listenOnFree = <E>(listen: (port: number) => Effect.Effect<void, E>): Effect.Effect<number | undefined> =>
  Effect.gen(function* () {
    const start = (process.pid * 31 + reserved.size) % portCount
    for (let step = 0; step < portCount; step++) {
      const port = firstPort + ((start + step * 7) % portCount)
      if (reserved.has(port)) continue
      const result = yield* Effect.result(listen(port))
      if (result._tag === "Success") return port
    }
    return undefined
  })
