/**
 * Accepting through a journal, end to end through catalogue, template and recorder, with delivery to a store in memory
 * going on behind it; against what a program would do at the least to be as sure: a bare queue, a bare loop of writes, a
 * bare group commit.
 */
import * as FileJournal from "@tidings/backend-fs/FileJournal"
import * as Backend from "@tidings/core/Backend"
import * as EventGenerator from "@tidings/core/EventGenerator"
import * as Journal from "@tidings/core/Journal"
import * as Recorder from "@tidings/core/Recorder"
import * as Templates from "@tidings/core/Templates"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as Queue from "effect/Queue"
import { spawnSync } from "node:child_process"
import { closeSync, fdatasync, mkdtempSync, openSync, readFileSync, readdirSync, rmSync, writeSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { compare, type Contender, type Group, measure, type Row } from "./Measurement.ts"

const IN_FLIGHT = [1, 64, 4_096] as const
const PENDING = 1_000_000
const MEGABYTE = 1_048_576

const workflow = { metadata: { name: "deploy", namespace: "default" } }

const runtimeOf = (journal: Layer.Layer<Journal.Journal>) =>
  EventGenerator.layer.pipe(
    Layer.provideMerge(Recorder.layer({ component: "bench", drainTimeout: 0 })),
    Layer.provideMerge(Layer.mergeAll(Templates.layer, Backend.layerMemory(), journal)),
    Layer.provideMerge(Logger.layer([]))
  )

/** Runs so many operations in as many fibers as are to be in flight. */
const inFlight = (fibers: number, operations: number, one: Effect.Effect<unknown, unknown>) => {
  const each = Effect.gen(function* () {
    for (let n = 0; n < operations / fibers; n++) yield* one
  })
  return fibers === 1
    ? Effect.orDie(each)
    : Effect.orDie(
        Effect.forEach(Array.from({ length: fibers }), () => each, { concurrency: "unbounded", discard: true })
      )
}

const recordTo = (name: string, fibers: number, operations: number, journal: Layer.Layer<Journal.Journal>) =>
  Effect.gen(function* () {
    const generator = yield* EventGenerator.EventGenerator
    const context = yield* Effect.context()
    const runPromise = Effect.runPromiseWith(context)
    const one = Effect.suspend(() =>
      generator.workflowEvent(workflow, "WorkflowStepFailed", {
        stepId: "build",
        stepTool: "x_docker_run",
        error: "connection refused"
      })
    )
    const contender: Contender = {
      name,
      operations,
      run: (operations) => runPromise(inFlight(fibers, operations, one))
    }
    return contender
  }).pipe(Effect.provideContext, Layer.build(runtimeOf(journal)) as never)
