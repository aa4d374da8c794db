/**
 * Appending to the event log, against `fs.writeSync` of the same bytes in the same batches.
 */
import * as FileBackend from "@tidings/backend-fs/FileBackend"
import { Backend } from "@tidings/core/Backend"
import type { Write } from "@tidings/core/Event"
import * as EventId from "@tidings/core/EventId"
import * as EventJson from "@tidings/core/EventJson"
import * as Effect from "effect/Effect"
import { closeSync, mkdtempSync, openSync, rmSync, writeSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { compare, type Group, measure } from "./Measurement.ts"

const BATCHES = [1, 64] as const
/**
 * One object that says the same again and again is what the bar is about. The others show the price of variety: making a
 * line of JSON that is not like one before it costs several times as much as its share of a large write.
 */
const OBJECTS = [1, 10, 1_000] as const

const nameOf = (objects: number): string => `Tidings, events of ${objects === 1 ? "one object" : `${objects} objects`}`

export const run = (): Promise<ReadonlyArray<Group>> => {
  const folder = mkdtempSync(join(tmpdir(), "tidings-bench-"))
  const bare = openSync(join(folder, "bare.ndjson"), "a", 0o600)
  return Effect.gen(function* () {
    const backend = yield* Backend
    const origin = yield* EventId.makeOrigin
    let seq = 0
    const next = (objects: number): Write => {
      seq++
      const name = `deploy-${seq % objects}`
      const stepId = `step-${objects === 1 ? 0 : seq % (2 * objects)}`
      return {
        id: { origin, seq },
        upTo: seq,
        count: 1,
        first: 1_790_000_000_000_000 + seq,
        last: 1_790_000_000_000_000 + seq,
        event: {
          involvedObject: { apiVersion: "muster.giantswarm.io/v1alpha1", kind: "Workflow", name, namespace: "default" },
          reason: "WorkflowStepFailed",
          type: "Warning",
          action: "WorkflowStepFailed",
          message: `Step ${stepId} of workflow ${name} failed in tool x_docker_run: connection refused`,
          data: { name, namespace: "default", stepId, stepTool: "x_docker_run", error: "connection refused" },
          source: { component: "bench" },
          reportingController: "bench",
          reportingInstance: "bench-0"
        }
      }
    }
    const line = Buffer.from(`${EventJson.encode({ ...next(1), name: "deploy.0000000000000000.1" })}\n`)
    const context = yield* Effect.context()
    const runPromise = Effect.runPromiseWith(context)
    const groups: Array<Group> = []
    for (const size of BATCHES) {
      const block = Buffer.concat(Array.from({ length: size }, () => line))
      const costs = yield* Effect.promise(() =>
        measure([
          {
            name: "fs.writeSync",
            operations: 20_480,
            run: (operations) => {
              for (let n = 0; n < operations; n += size) writeSync(bare, block)
            }
          },
          // Lines repeat what they can: the more objects, the less of a line is as in one before it.
          ...OBJECTS.map((objects) => {
            let batches: ReadonlyArray<ReadonlyArray<Write>> = []
            return {
              name: nameOf(objects),
              operations: 20_480,
              prepare: (operations: number) => {
                batches = Array.from({ length: operations / size }, () =>
                  Array.from({ length: size }, () => next(objects))
                )
              },
              run: () =>
                runPromise(
                  Effect.gen(function* () {
                    for (const batch of batches) yield* backend.write(batch)
                  }).pipe(Effect.orDie)
                )
            }
          })
        ])
      )
      groups.push({
        title: `Append to the event log, ${size} in flight (${line.length} bytes a line)`,
        rows: compare(costs, "fs.writeSync", { [nameOf(OBJECTS[0])]: { atLeast: 0.3 } })
      })
    }
    return groups
  }).pipe(
    Effect.provide(FileBackend.layer({ directory: join(folder, "log"), console: false })),
    Effect.ensuring(
      Effect.sync(() => {
        closeSync(bare)
        rmSync(folder, { recursive: true, force: true })
      })
    ),
    Effect.runPromise
  )
}
