import * as Effect from "effect/Effect"
import { rmSync } from "node:fs"
import { makeDirectory, Server } from "../../../tools/postgres/server.ts"

const bin = process.env["TIDINGS_TEST_POSTGRES"] ?? ""

/** A server of its own, to be stopped and killed. */
export const server = Effect.acquireRelease(
  Effect.promise(async () => {
    const directory = makeDirectory()
    return { directory, server: await Server.make(bin, directory) }
  }),
  ({ directory, server }) =>
    Effect.promise(async () => {
      await server.remove()
      rmSync(directory, { recursive: true, force: true })
    })
).pipe(Effect.map(({ server }) => server))
