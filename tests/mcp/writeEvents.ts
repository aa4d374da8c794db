// Appends so many events of an object, `event 1` and so on, to the log in a directory. Arguments: the directory, NAMESPACE/NAME,
// and how many.
import * as Backend from "@tidings/core/Backend"
import type { Write } from "@tidings/core/Event"
import * as FileBackend from "@tidings/backend-fs/FileBackend"
import * as Effect from "effect/Effect"
import { randomBytes } from "node:crypto"

const [directory = "", object = "", count = "0"] = process.argv.slice(2)
const [namespace = "", name = ""] = object.split("/")
const BATCH = 20
const origin = randomBytes(16).toString("hex")

const write = (seq: number): Write => {
  const now = Date.now() * 1_000
  return {
    id: { origin, seq },
    upTo: seq,
    count: 1,
    first: now,
    last: now,
    event: {
      involvedObject: { kind: "Pod", name, namespace },
      reason: "Counted",
      type: "Normal",
      action: "Counted",
      message: `event ${seq}`,
      data: {},
      source: { component: "test" },
      reportingController: "test",
      reportingInstance: "test-0"
    }
  }
}

const program = Effect.gen(function* () {
  const backend = yield* Backend.Backend
  for (let from = 1; from <= Number(count); from += BATCH) {
    const length = Math.min(BATCH, Number(count) + 1 - from)
    yield* backend.write(Array.from({ length }, (_, index) => write(from + index)))
    // Followers read while it is written, and not only afterwards.
    yield* Effect.sleep("2 millis")
  }
})
await Effect.runPromise(Effect.provide(program, FileBackend.layer({ directory, console: false })))
