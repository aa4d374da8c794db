// A backend over SQLite: what a host gets for one small interface.
import * as EventManager from "@tidings/core/EventManager"
import * as Policy from "@tidings/core/Policy"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { runMain } from "../gracefulEnd.ts"
import * as SqliteBackend from "./SqliteBackend.ts"

const program = Effect.gen(function* () {
  const manager = yield* EventManager.EventManager
  const workflow = { metadata: { name: "deploy", namespace: "default" } }
  yield* manager.generator.workflowEvent(workflow, "WorkflowExecutionStarted", { executionId: "exec-1" })
  // Many at once become few transactions, because of the policy below.
  yield* Effect.forEach(
    Array.from({ length: 100 }, (_, step) => `step-${step + 1}`),
    (stepId) => manager.generator.workflowEvent(workflow, "WorkflowStepCompleted", { stepId }),
    { concurrency: "unbounded", discard: true }
  )
  yield* manager.generator.workflowEvent(workflow, "WorkflowExecutionCompleted", {
    executionId: "exec-1",
    stepCount: 100
  })
  const page = yield* manager.queryEvents({ limit: 3 })
  console.log(`${page.totalCount} events, the newest:`)
  for (const { event } of page.events) console.log(`  ${event.reason}: ${event.message}`)
  console.log(`\nThe command over the same kind of store: node examples/custom-backend/command.ts list`)
})

const folder = mkdtempSync(join(tmpdir(), "tidings-sqlite-"))
const runtime = EventManager.layerDirect({ component: "example" }).pipe(
  Layer.provide(SqliteBackend.layer(join(folder, "events.db")).pipe(Policy.batch()))
)

program.pipe(
  Effect.provide(runtime),
  Effect.ensuring(Effect.sync(() => rmSync(folder, { recursive: true, force: true }))),
  runMain
)
