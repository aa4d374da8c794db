/**
 * A host's own logic: rolls a version out to replicas one by one, retries each with a pause, and records what happens.
 */
import * as EventCatalogue from "@tidings/core/EventCatalogue"
import * as Clock from "effect/Clock"
import * as Data from "effect/Data"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"

export class RolloutEvents extends EventCatalogue.Service<RolloutEvents>()("example/RolloutEvents", {
  Deployment: {
    apiVersion: "apps/v1",
    fields: { version: "text", replica: "count", error: "text", took: "duration" },
    reasons: {
      RolloutStarted: { meaning: "A rollout started.", message: "Version {{.Version}} is being rolled out" },
      ReplicaFailed: {
        type: "Warning",
        meaning: "A replica did not take the version, after all tries.",
        message: "Replica {{.Replica}} did not take version {{.Version}}{{if .Error}}: {{.Error}}{{end}}"
      },
      RolloutCompleted: {
        meaning: "Every replica runs the version.",
        message: "Version {{.Version}} is rolled out{{if .Took}} in {{.Took}}{{end}}"
      },
      RolloutStopped: {
        type: "Warning",
        meaning: "A rollout ended early because a replica failed.",
        message: "The rollout of version {{.Version}} stopped"
      }
    }
  }
}) {}

export class ReplicaError extends Data.TaggedError("ReplicaError")<{ readonly message: string }> {}

export interface Rollout {
  readonly name: string
  readonly version: string
  readonly replicas: number
  readonly update: (replica: number) => Effect.Effect<void, ReplicaError>
}

const threeTries = Schedule.spaced("10 seconds").pipe(Schedule.upTo({ times: 2 }))

/** Answers whether every replica runs the version. */
export const rollOut = Effect.fnUntraced(function* ({ name, replicas, update, version }: Rollout) {
  const events = yield* RolloutEvents
  const deployment = { metadata: { name, namespace: "default" } }
  const begun = yield* Clock.currentTimeMillis
  yield* events.deploymentEvent(deployment, "RolloutStarted", { version })
  for (let replica = 1; replica <= replicas; replica++) {
    const result = yield* Effect.result(Effect.retry(update(replica), threeTries))
    if (result._tag === "Failure") {
      yield* events.deploymentEvent(deployment, "ReplicaFailed", { version, replica, error: result.failure.message })
      yield* events.deploymentEvent(deployment, "RolloutStopped", { version })
      return false
    }
  }
  const took = Duration.millis((yield* Clock.currentTimeMillis) - begun)
  yield* events.deploymentEvent(deployment, "RolloutCompleted", { version, took })
  return true
})
