/**
 * One replica of an archive, as a process that the torture run kills.
 */
import * as KubernetesBackend from "@tidings/backend-k8s/KubernetesBackend"
import * as Archive from "@tidings/backend-postgres/Archive"
import * as PostgresBackend from "@tidings/backend-postgres/PostgresBackend"
import * as Effect from "effect/Effect"
import * as Logger from "effect/Logger"
import { parseArgs } from "node:util"

const { values } = parseArgs({
  options: {
    kubeconfig: { type: "string" },
    context: { type: "string", default: "reader" },
    database: { type: "string" },
    replica: { type: "string" }
  }
})

await Effect.runPromise(
  Archive.run({
    replica: values.replica,
    sources: [
      {
        name: "torture",
        reader: KubernetesBackend.layer({ kubeconfig: values.kubeconfig, context: values.context })
      }
    ]
  }).pipe(
    Effect.provide(PostgresBackend.layer({ url: values.database })),
    Effect.provideService(Logger.LogToStderr, true)
  )
)
