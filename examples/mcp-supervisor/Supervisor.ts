/**
 * Keeps MCP server processes running, and records what happens to each of them.
 */
import * as EventGenerator from "@tidings/core/EventGenerator"
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Schedule from "effect/Schedule"
import * as Scope from "effect/Scope"
import * as Semaphore from "effect/Semaphore"
import { McpError } from "./McpClient.ts"
import * as McpProcess from "./McpProcess.ts"

export interface ServerSpec extends McpProcess.McpCommand {
  readonly name: string
}

interface Running {
  readonly process: McpProcess.McpProcess
  readonly scope: Scope.Closeable
}

const NAMESPACE = "default"
const HEALTH_CHECK_INTERVAL = "250 millis"
const RECOVERY_ATTEMPTS = 2

export const objectOf = (name: string) => ({ metadata: { name, namespace: NAMESPACE } })

export class Supervisor extends Context.Service<
  Supervisor,
  {
    /** Starts the server and watches over it from now on; answers whether it runs. */
    readonly supervise: (spec: ServerSpec) => Effect.Effect<boolean>
    readonly call: (tool: string, args: Record<string, unknown>) => Effect.Effect<string, McpError>
    /** The tools of all servers that run. */
    readonly tools: Effect.Effect<ReadonlySet<string>>
    readonly pid: (server: string) => Effect.Effect<number | undefined>
    /** Resolves when the server is back after the next failure, or given up. */
    readonly recovered: (server: string) => Effect.Effect<void>
    readonly stopAll: Effect.Effect<void>
  }
>()("example/Supervisor") {}

export const layer: Layer.Layer<Supervisor, never, EventGenerator.EventGenerator> = Layer.effect(
  Supervisor,
  Effect.gen(function* () {
    const events = yield* EventGenerator.EventGenerator
    const layerScope = yield* Effect.scope
    const running = new Map<string, Running>()
    const toolsOf = new Map<string, ReadonlyArray<string>>()
    const recoveries = new Map<string, Deferred.Deferred<void>>()
    const oneAtATime = yield* Semaphore.make(1)

    const stop = (name: string): Effect.Effect<void> =>
      Effect.suspend(() => {
        const server = running.get(name)
        running.delete(name)
        toolsOf.delete(name)
        return server === undefined ? Effect.void : Scope.close(server.scope, Exit.void)
      })

    const start = Effect.fnUntraced(function* (spec: ServerSpec) {
      const server = objectOf(spec.name)
      yield* events.mcpServerEvent(server, "MCPServerStarting", {
        arguments: { command: spec.command, args: spec.args.map(shorten) }
      })
      const scope = yield* Scope.fork(layerScope)
      const process = yield* McpProcess.start(spec).pipe(
        Scope.provide(scope),
        Effect.tapError(() => Scope.close(scope, Exit.void))
      )
      running.set(spec.name, { process, scope })
      yield* events.mcpServerEvent(server, "MCPServerStarted", { arguments: { pid: process.pid } })
      const tools = yield* process.tools
      toolsOf.set(spec.name, tools)
      yield* events.mcpServerEvent(server, "MCPServerToolsDiscovered", { toolNames: tools })
      return process
    })

    const recover = Effect.fnUntraced(function* (spec: ServerSpec) {
      const server = objectOf(spec.name)
      const lost = toolsOf.get(spec.name) ?? []
      yield* stop(spec.name)
      if (lost.length > 0) yield* events.mcpServerEvent(server, "MCPServerToolsUnavailable", { toolNames: lost })
      yield* events.mcpServerEvent(server, "MCPServerRecoveryStarted")
      yield* events.mcpServerEvent(server, "MCPServerRestarting")
      const restarted = yield* Effect.exit(
        start(spec).pipe(Effect.retry({ times: RECOVERY_ATTEMPTS - 1, schedule: Schedule.exponential("100 millis") }))
      )
      if (Exit.isSuccess(restarted)) {
        yield* events.mcpServerEvent(server, "MCPServerReconnected")
        yield* events.mcpServerEvent(server, "MCPServerRecoverySucceeded")
      } else {
        yield* events.mcpServerEvent(server, "MCPServerRecoveryFailed", { error: messageOf(restarted) })
      }
      const waiting = recoveries.get(spec.name)
      recoveries.delete(spec.name)
      if (waiting !== undefined) yield* Deferred.succeed(waiting, undefined)
      return Exit.isSuccess(restarted)
    })

    const watchOver = (spec: ServerSpec): Effect.Effect<void> =>
      Effect.gen(function* () {
        while (true) {
          yield* Effect.sleep(HEALTH_CHECK_INTERVAL)
          const server = running.get(spec.name)
          if (server === undefined) return
          const health = yield* Effect.exit(server.process.probe)
          // Stopped on purpose while the probe was under way is no failure.
          if (Exit.isSuccess(health) || running.get(spec.name) !== server) continue
          yield* events.mcpServerEvent(objectOf(spec.name), "MCPServerHealthCheckFailed", { error: messageOf(health) })
          if (!(yield* recover(spec))) return
        }
      }).pipe(Effect.orDie)

    const supervise = Effect.fnUntraced(function* (spec: ServerSpec) {
      const server = objectOf(spec.name)
      yield* events.mcpServerEvent(server, "MCPServerCreated")
      const started = yield* Effect.exit(start(spec))
      if (Exit.isFailure(started)) {
        yield* events.mcpServerEvent(server, "MCPServerFailed", { operation: "start", error: messageOf(started) })
        return yield* recover(spec)
      }
      yield* Effect.forkIn(watchOver(spec), layerScope)
      return true
    })

    const call = (tool: string, args: Record<string, unknown>) =>
      Effect.suspend(() => {
        for (const [name, tools] of toolsOf) {
          const server = running.get(name)
          if (server !== undefined && tools.includes(tool)) return server.process.call(tool, args)
        }
        return Effect.fail(new McpError({ message: `${tool}: no running server has this tool` }))
      })

    return Supervisor.of({
      supervise: (spec) => Effect.orDie(oneAtATime.withPermit(supervise(spec))),
      call,
      tools: Effect.sync(() => new Set([...toolsOf.values()].flat())),
      pid: (server) => Effect.sync(() => running.get(server)?.process.pid),
      recovered: (server) =>
        Effect.suspend(() => {
          const waiting = Deferred.makeUnsafe<void>()
          recoveries.set(server, waiting)
          return Deferred.await(waiting)
        }),
      stopAll: Effect.suspend(() =>
        Effect.forEach(
          [...running.keys()],
          (name) => Effect.andThen(stop(name), events.mcpServerEvent(objectOf(name), "MCPServerStopped")),
          { discard: true }
        )
      ).pipe(Effect.orDie)
    })
  })
)

const messageOf = (exit: Exit.Exit<unknown, unknown>): string =>
  Exit.isFailure(exit)
    ? exit.cause.reasons
        .map((reason) => (reason._tag === "Fail" && reason.error instanceof Error ? reason.error.message : reason._tag))
        .join(", ")
    : ""

/** The last part of a path says enough, and does not spread the layout of a machine into its events. */
const shorten = (argument: string): string => argument.split("/").slice(-3).join("/")
