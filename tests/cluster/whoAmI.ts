/** A host of one question: asks the API server of the environment's kubeconfig who it is, and prints the answer. */
import * as Effect from "effect/Effect"
import * as KubernetesConnection from "@tidings/backend-k8s/KubernetesConnection"

const asked = Effect.scoped(
  Effect.flatMap(KubernetesConnection.make(), (connection) =>
    connection.request({
      method: "POST",
      path: "/apis/authentication.k8s.io/v1/selfsubjectreviews",
      body: JSON.stringify({ apiVersion: "authentication.k8s.io/v1", kind: "SelfSubjectReview" })
    })
  )
)

await Effect.runPromise(
  Effect.match(asked, {
    onSuccess: ({ body }) => console.log(body),
    onFailure: (error) => {
      console.error(`error: ${error.message}`)
      process.exitCode = 1
    }
  })
)
