// An HTTP service on Effect: `POST /deployments/NAME/rollouts/VERSION` rolls out, and records how that went.
import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import * as EventCatalogue from "@tidings/core/EventCatalogue"
import * as Clock from "effect/Clock"
import * as Config from "effect/Config"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import * as HttpRouter from "effect/http/HttpRouter"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import { createServer } from "node:http"
import * as Tidings from "tidings/Tidings"
import { runMain } from "../gracefulEnd.ts"

class RolloutEvents extends EventCatalogue.Service<RolloutEvents>()("example/Rollouts", {
  Deployment: {
    apiVersion: "apps/v1",
    fields: { version: "text", took: "duration", error: "text" },
    reasons: {
      RolloutStarted: { meaning: "Pods are replaced.", message: "Rolling out {{.Version}}" },
      RolloutFinished: { meaning: "All pods are new.", message: "{{.Version}} runs, after {{.Took}}" },
      RolloutFailed: {
        type: "Warning",
        meaning: "The old pods stay.",
        message: "{{.Version}} does not run: {{.Error}}"
      }
    }
  }
}) {}

/** What would talk to a cluster. */
const replacePods = (version: string) =>
  version.includes("broken") ? Effect.fail("its image cannot be pulled") : Effect.sleep("20 millis")

const Rollout = HttpRouter.schemaPathParams(Schema.Struct({ name: Schema.String, version: Schema.String }))

const routes = HttpRouter.use((router) =>
  Effect.gen(function* () {
    const events = yield* RolloutEvents
    const rollOut = Effect.gen(function* () {
      const { name, version } = yield* Rollout
      const deployment = { metadata: { name, namespace: "default" } }
      const begun = yield* Clock.currentTimeMillis
      yield* events.deploymentEvent(deployment, "RolloutStarted", { version })
      const replaced = yield* Effect.result(replacePods(version))
      if (replaced._tag === "Failure") {
        yield* events.deploymentEvent(deployment, "RolloutFailed", { version, error: replaced.failure })
        return HttpServerResponse.text(`${name} stays as it was: ${replaced.failure}\n`, { status: 409 })
      }
      const took = (yield* Clock.currentTimeMillis) - begun
      yield* events.deploymentEvent(deployment, "RolloutFinished", { version, took })
      return HttpServerResponse.text(`${name} runs ${version}\n`)
    })
    yield* router.add("POST", "/deployments/:name/rollouts/:version", rollOut)
  })
)

const service = HttpRouter.serve(routes).pipe(
  Layer.provide(
    NodeHttpServer.layerConfig(createServer, {
      host: Config.succeed("127.0.0.1"),
      port: Config.Int("PORT").pipe(Config.withDefault(8080))
    })
  ),
  // The log is that of TIDINGS_DIRECTORY, else .tidings; `tidings mcp` beside the service finds it there.
  Layer.provide(RolloutEvents.layer),
  Layer.provide(Tidings.layer({ component: "rollouts", backend: "filesystem", console: false }))
)

runMain(Layer.launch(service))
