/**
 * Recording to memory, end to end through catalogue, template and recorder, against a bare bounded queue.
 */
import * as EventManager from "@tidings/core/EventManager"
import * as Effect from "effect/Effect"
import * as Queue from "effect/Queue"
import { compare, type Group, measure } from "./Measurement.ts"

export const run = (): Promise<ReadonlyArray<Group>> =>
  Effect.gen(function* () {
    const manager = yield* EventManager.EventManager
    const queue = yield* Queue.bounded<number>(1_024)
    const context = yield* Effect.context()
    const runPromise = Effect.runPromiseWith(context)
    const workflow = { metadata: { name: "deploy", namespace: "default" } }
    const reference = { apiVersion: "v1", kind: "Workflow", name: "deploy", namespace: "default" }
    const repeat = (one: (n: number) => Effect.Effect<unknown, unknown>) => (operations: number) =>
      runPromise(
        Effect.gen(function* () {
          for (let n = 0; n < operations; n++) yield* one(n)
        }).pipe(Effect.orDie)
      )
    const costs = yield* Effect.promise(() =>
      measure([
        {
          name: "bare bounded queue",
          operations: 100_000,
          run: repeat((n) => Effect.andThen(Queue.offer(queue, n), Queue.take(queue)))
        },
        {
          name: "record, message rendered",
          operations: 50_000,
          run: repeat(() =>
            manager.generator.workflowEvent(workflow, "WorkflowStepFailed", {
              stepId: "build",
              stepTool: "x_docker_run",
              error: "connection refused"
            })
          )
        },
        {
          name: "record, message given",
          operations: 50_000,
          run: repeat(() => manager.createEvent(reference, "WorkflowStepFailed", "Step build failed", "Warning"))
        }
      ])
    )
    return [
      {
        title: "Record to memory, one fiber",
        rows: compare(costs, "bare bounded queue", { "record, message rendered": { atLeast: 0.15 } })
      }
    ]
  }).pipe(Effect.provide(EventManager.layerMemory()), Effect.runPromise)
