import { assert, it } from "@effect/vitest"
import { Effect } from "effect"
import * as fs from "node:fs"
import * as path from "node:path"
import * as ApiServer from "../src/ApiServer.ts"
import { type Json, play, type Step } from "./fixtures/transcript.ts"

const recorded: ReadonlyArray<Step> = fs
  .readFileSync(path.join(import.meta.dirname, "fixtures/transcript.ndjson"), "utf8")
  .trim()
  .split("\n")
  .map((line): Step => JSON.parse(line) as Step)

/** An object that is quoted in a message, with its fields in order. */
const sortQuoted = (message: string): string =>
  message.replace(/(?<=Invalid value: )"\{(?:[^"\\]|\\.)*"/g, (quoted) =>
    JSON.stringify(JSON.stringify(sorted(JSON.parse(JSON.parse(quoted) as string) as Json)))
  )

const sorted = (value: Json): Json => {
  if (Array.isArray(value)) return value.map(sorted)
  if (typeof value === "string") return sortQuoted(value)
  if (typeof value !== "object" || value === null) return value
  const entries = Object.entries(value).sort(([left], [right]) => (left < right ? -1 : 1))
  return Object.fromEntries(entries.map(([key, member]) => [key, sorted(member)]))
}

/** By content: the order of fields and the printing are Go's, and mean nothing. */
const contentOf = ({ body, headers, name, status }: Step) => ({ name, status, headers, body: sorted(body) })

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
        assert.deepStrictEqual(contentOf(step), contentOf(recorded[index]!), step.name)
      }
    }).pipe(Effect.scoped),
  60_000
)
