import { assert, it } from "@effect/vitest"
import { Effect } from "effect"
import * as fs from "node:fs"
import * as path from "node:path"
import * as ApiServer from "../src/ApiServer.ts"
import { play, type Step } from "./fixtures/transcript.ts"

const recorded: ReadonlyArray<Step> = fs
  .readFileSync(path.join(import.meta.dirname, "fixtures/transcript.ndjson"), "utf8")
  .trim()
  .split("\n")
  .map((line): Step => JSON.parse(line) as Step)

it.live(
  "answers what a real API server answered",
  () =>
    Effect.gen(function* () {
      const server = yield* ApiServer.make({ users: [{ name: "sa" }] })
      const tokens = new Map<string, string>()
      for (const user of ["admin", "nobody", "sa"]) {
        tokens.set(user, yield* server.token(user))
      }
      const played = yield* Effect.promise(() =>
        play({
          url: server.url,
          certificateAuthority: server.certificateAuthority,
          token: (user) => tokens.get(user) ?? "",
          compact: () => Effect.runPromise(server.compact)
        })
      )
      assert.isAbove(recorded.length, 380)
      assert.strictEqual(played.length, recorded.length)
      for (const [index, step] of played.entries()) {
        const real = recorded[index]
        assert.strictEqual(JSON.stringify(step, undefined, 1), JSON.stringify(real, undefined, 1), step.name)
      }
    }).pipe(Effect.scoped),
  60_000
)
