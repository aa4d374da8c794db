// Supervises real MCP server processes, runs workflows of real tool calls, and records what happens to each.
import * as NodeServices from "@effect/platform-node/NodeServices"
import * as FileBackend from "@tidings/backend-fs/FileBackend"
import { Backend } from "@tidings/core/Backend"
import * as EventGenerator from "@tidings/core/EventGenerator"
import * as EventManager from "@tidings/core/EventManager"
import * as Policy from "@tidings/core/Policy"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import { mkdtempSync, realpathSync, rmSync } from "node:fs"
import { createRequire } from "node:module"
import { tmpdir } from "node:os"
import { dirname, join } from "node:path"
import * as Cli from "tidings/Cli"
import { runMain } from "../gracefulEnd.ts"
import * as Agents from "./Agents.ts"
import { objectOf, Supervisor, layer as supervisorLayer } from "./Supervisor.ts"
import * as Workflow from "./Workflow.ts"

// The servers are packages of the registry, started as their users start them: `node <package>/<bin> <arguments>`.
const require = createRequire(import.meta.url)
const server = (name: string, ...args: ReadonlyArray<string>) => {
  const manifest = require.resolve(`${name}/package.json`)
  const { bin } = require(manifest) as { readonly bin: Readonly<Record<string, string>> }
  return { command: process.execPath, args: [join(dirname(manifest), Object.values(bin)[0]!), ...args] }
}

const scratchFolder = Effect.acquireRelease(
  // The server answers with resolved paths, so it is told a resolved one.
  Effect.sync(() => realpathSync(mkdtempSync(join(tmpdir(), "tidings-example-")))),
  (folder) => Effect.sync(() => rmSync(folder, { recursive: true, force: true }))
)

const say = (text: string) => Effect.sync(() => console.error(text))

/** A folder that a service class promises: made, used and removed by tools of the file system server. */
const serviceInstance = Effect.fnUntraced(function* (folder: string) {
  const events = yield* EventGenerator.EventGenerator
  const supervisor = yield* Supervisor
  const serviceClass = "scratch-folder"
  const needed = ["create_directory", "list_directory"]
  yield* events.serviceClassEvent(objectOf(serviceClass), "ServiceClassCreated")
  yield* events.serviceClassEvent(objectOf(serviceClass), "ServiceClassValidated")
  const present = yield* supervisor.tools
  const missing = needed.filter((tool) => !present.has(tool))
  if (missing.length > 0) {
    yield* events.serviceClassEvent(objectOf(serviceClass), "ServiceClassUnavailable", { toolNames: missing })
    return
  }
  yield* events.serviceClassEvent(objectOf(serviceClass), "ServiceClassAvailable", { toolNames: needed })

  const instance = objectOf("reports")
  const tool = (stepTool: string, operation: string, args: Record<string, unknown>) =>
    Effect.gen(function* () {
      yield* events.serviceInstanceEvent(instance, "ServiceInstanceToolExecutionStarted", { operation, stepTool })
      const answer = yield* Effect.result(supervisor.call(stepTool, args))
      if (answer._tag === "Success") {
        yield* events.serviceInstanceEvent(instance, "ServiceInstanceToolExecutionCompleted", { operation, stepTool })
        return true
      }
      const error = answer.failure.message
      yield* events.serviceInstanceEvent(instance, "ServiceInstanceToolExecutionFailed", { operation, stepTool, error })
      return false
    })
  yield* events.serviceInstanceEvent(instance, "ServiceInstanceCreated", { serviceClass })
  yield* events.serviceInstanceEvent(instance, "ServiceInstanceStarting", { stepTool: "create_directory" })
  const path = join(folder, "reports")
  if (!(yield* tool("create_directory", "start", { path }))) {
    yield* events.serviceInstanceEvent(instance, "ServiceInstanceFailed", { error: "its folder could not be made" })
    return
  }
  yield* events.serviceInstanceEvent(instance, "ServiceInstanceStarted")
  const checked = yield* Clock.currentTimeMillis
  if (yield* tool("list_directory", "health check", { path })) {
    const duration = (yield* Clock.currentTimeMillis) - checked
    yield* events.serviceInstanceEvent(instance, "ServiceInstanceHealthy", { duration })
  }
})

const stopInstance = Effect.fnUntraced(function* (folder: string) {
  const events = yield* EventGenerator.EventGenerator
  const instance = objectOf("reports")
  yield* events.serviceInstanceEvent(instance, "ServiceInstanceStopping")
  rmSync(join(folder, "reports"), { recursive: true, force: true })
  yield* events.serviceInstanceEvent(instance, "ServiceInstanceStopped")
  yield* events.serviceInstanceEvent(instance, "ServiceInstanceDeleted")
})

const report = (folder: string): Workflow.Workflow => ({
  name: "report",
  steps: [
    { id: "sum", tool: "get-sum", args: { a: 40, b: 2 } },
    { id: "write", tool: "write_file", args: { path: join(folder, "reports", "sum.txt"), content: "42\n" } },
    {
      id: "archive",
      tool: "create_directory",
      args: { path: join(folder, "archive") },
      condition: { tool: "list_directory", args: { path: folder }, contains: "old-report" }
    },
    { id: "compare", tool: "read_text_file", args: { path: join(folder, "last-week.txt") }, allowFailure: true },
    { id: "read", tool: "read_text_file", args: { path: join(folder, "reports", "sum.txt") } }
  ]
})

const publish = (folder: string): Workflow.Workflow => ({
  name: "publish",
  steps: [
    { id: "read", tool: "read_text_file", args: { path: join(folder, "reports", "sum.txt") } },
    { id: "upload", tool: "write_file", args: { path: "/outside/of/the/allowed/folder.txt", content: "42\n" } },
    { id: "announce", tool: "echo", args: { message: "published" } }
  ]
})

/** The server that is killed, in this run. */
const about = (begun: number) => ({
  resourceType: "MCPServer",
  resourceName: "everything",
  since: new Date(begun).toISOString()
})

const main = Effect.fnUntraced(function* (begun: number) {
  const supervisor = yield* Supervisor
  const folder = yield* scratchFolder

  // Three servers: two that run, and one whose command does not exist.
  yield* supervisor.supervise({ name: "everything", ...server("@modelcontextprotocol/server-everything") })
  yield* supervisor.supervise({ name: "filesystem", ...server("@modelcontextprotocol/server-filesystem", folder) })
  yield* supervisor.supervise({ name: "ghost", command: "mcp-server-that-nobody-installed", args: [] })

  yield* serviceInstance(folder)

  // One workflow that skips a step and survives another one's failure, one that fails, one that never could run.
  if (yield* Workflow.create(report(folder))) yield* Workflow.execute(report(folder), "exec-1")
  if (yield* Workflow.create(publish(folder))) yield* Workflow.execute(publish(folder), "exec-2")
  yield* Workflow.create({ name: "dream", steps: [{ id: "fly", tool: "fly_to_the_moon", args: {} }] })

  // A server is killed. The health check detects it, and the supervisor restarts it.
  const pid = yield* supervisor.pid("everything")
  if (pid !== undefined) {
    const back = yield* Effect.forkChild(supervisor.recovered("everything"), { startImmediately: true })
    yield* say(`\n-- now process ${pid}, the server "everything", is killed --\n`)
    process.kill(pid, "SIGKILL")
    yield* Effect.raceFirst(Fiber.join(back), Effect.sleep("20 seconds"))
    yield* Workflow.check(report(folder))
    yield* Workflow.execute(report(folder), "exec-3")
  }

  // An agent asks the supervisor itself, which goes on meanwhile.
  const answer = yield* Agents.askOverHttp("event_summary", about(begun))

  yield* stopInstance(folder)
  yield* supervisor.stopAll
  return answer
})

const tellAnswers = Effect.fnUntraced(function* (fromSupervisor: string, directory: string, begun: number) {
  const { url } = yield* Agents.Endpoint
  yield* say(`When the server was back, an agent, the official MCP client, asked at ${url} what had happened to it:

  event_summary ${JSON.stringify(about(begun))}
`)
  console.log(fromSupervisor)

  const warnings = { ...about(begun), eventType: "Warning" }
  yield* say(`
Now it looks closer over stdio, where it has started \`npx tidings mcp\` on the log:

  events ${JSON.stringify(warnings)}
`)
  const tidings = server("tidings", "mcp", "--backend", "filesystem", "--directory", directory)
  console.log(yield* Agents.askOverStdio(tidings, "events", warnings))
})

const command = { name: "tidings", version: "0.1.0" }

const program = Effect.gen(function* () {
  const manager = yield* EventManager.EventManager
  const backend = yield* Backend
  const directory = yield* FileBackend.directory
  const { url } = yield* Agents.Endpoint
  yield* say(`This starts two real MCP servers and one whose command does not exist, runs workflows of real tool calls on
them, kills a server, and lets it come back. Every event goes to the log in ${directory}, and agents may ask
about it at ${url} meanwhile. Here is what the log gets:
`)
  const begun = yield* Clock.currentTimeMillis
  const before = (yield* manager.queryEvents({ limit: 0 })).totalCount
  // The table is the command's own, `tidings follow`, run in this process over the same backend.
  const follow = Cli.runWith(Layer.succeed(Backend, backend), command)(["follow", "--limit", "0"])
  const table = yield* Effect.forkChild(Effect.provide(follow, NodeServices.layer), { startImmediately: true })

  const answer = yield* Effect.scoped(main(begun))

  yield* Effect.sleep("500 millis")
  yield* Fiber.interrupt(table)
  const { totalCount } = yield* manager.queryEvents({ limit: 0 })
  const warnings = yield* manager.queryEvents({ eventType: "Warning", since: new Date(begun), limit: 0 })
  const seconds = ((yield* Clock.currentTimeMillis) - begun) / 1_000
  yield* say(`
${totalCount - before} events in ${seconds.toFixed(1)} seconds, ${warnings.totalCount} of them warnings. They stay in the log.
`)
  yield* tellAnswers(answer, directory, begun)
  yield* say(`
Next, type:

  npx tidings list --type warning                 what went wrong
  npx tidings story Workflow/report               the story of one workflow
  npx tidings list MCPServer/everything -o wide   the story of the server that was killed
  npx tidings explain WorkflowStepFailed          what a reason means
  npx tidings follow                              the live table; in a second terminal: npm start
  npx tidings mcp                                 the events for your agents; docs/guides/mcp.md says how
`)
})

const runtime = Layer.merge(supervisorLayer, Agents.layer).pipe(
  Layer.provideMerge(EventManager.layerDirect({ component: "mcp-supervisor" })),
  // Without the console: the table shows each event already.
  Layer.provideMerge(FileBackend.layer({ console: false }).pipe(Policy.batch()))
)

program.pipe(Effect.provide(runtime), runMain)
