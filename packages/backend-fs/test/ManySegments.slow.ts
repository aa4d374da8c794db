import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { spawnSync } from "node:child_process"
import { writeFileSync } from "node:fs"
import * as path from "node:path"
import * as LogLine from "../src/internal/log/line.ts"
import { nodeOfRepository } from "./nodeOfRepository.ts"
import { open, segmentsOf } from "./openLog.ts"
import * as TestDirectory from "./TestDirectory.ts"
import { first } from "./writes.ts"

const segment = (directory: string, number: number, text: string): void =>
  writeFileSync(path.join(directory, `events-${String(number).padStart(8, "0")}-20260101.ndjson`), text, {
    mode: 0o600
  })

const line = (seq: number): string => LogLine.encode(LogLine.eventOf(first(seq)))

describe("a log with many segments", () => {
  it.effect(
    "10,000 segments are read, followed and written with 256 open files",
    () =>
      Effect.gen(function* () {
        const directory = path.join(yield* TestDirectory.make, "log")
        yield* Effect.scoped(Effect.flatMap(open({ directory }), ({ backend }) => backend.target))
        for (let number = 1; number <= 10_000; number++) segment(directory, number, line(number))
        const limited = ["prlimit", "--nofile=256:256"] as const
        const { stderr, stdout } = spawnSync(
          limited[0],
          [
            limited[1],
            nodeOfRepository,
            "--conditions=@tidings/source",
            "--disable-warning=ExperimentalWarning",
            path.join(import.meta.dirname, "fixtures", "manySegments.ts"),
            directory
          ],
          { encoding: "utf8" }
        )
        assert.deepStrictEqual(
          JSON.parse(stdout === "" ? "null" : stdout),
          {
            total: 10_000,
            newest: [10_000, 9_999],
            followed: 10_000,
            written: "created"
          },
          stderr
        )
        assert.strictEqual(segmentsOf(directory).length >= 10_000, true)
      }),
    120_000
  )
})
