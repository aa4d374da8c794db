/**
 * The cluster that these tests run on: a fresh one on this machine, or, where `TIDINGS_TEST_CLUSTER=kubeconfig` says so,
 * the one of `$KUBECONFIG`, in namespaces of their own that are removed afterwards.
 */
import type { Backend } from "@tidings/core/Backend"
import * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import * as crypto from "node:crypto"
import * as Cluster from "../../tools/cluster/Cluster.ts"
import * as KubernetesBackend from "@tidings/backend-k8s/KubernetesBackend"
import * as KubernetesConnection from "@tidings/backend-k8s/KubernetesConnection"
import { bindings, roles } from "./permissions.ts"

export interface TestCluster extends AsyncDisposable {
  /** Three namespaces that exist; the first is `default`. */
  readonly namespaces: readonly [string, string, string]
  /** Absent on a cluster of somebody else: what breaks it is not tried there. */
  readonly own: Cluster.Cluster | undefined
  /** The backend as somebody with these rights: an ordinary user, whose requests meet priority and fairness. */
  readonly layer: (user: User, options?: KubernetesBackend.LayerOptions) => Layer.Layer<Backend, unknown>
  readonly connectionOptions: (user: User) => KubernetesConnection.Options
  /** A request as the administrator. */
  readonly request: (
    request: KubernetesConnection.KubernetesRequest
  ) => Promise<KubernetesConnection.KubernetesResponse>
}

/** Who may write; read; both, and see involved objects; nothing. */
export type User = "writer" | "reader" | "user" | "nobody" | "admin"

const unique = (): string => crypto.randomBytes(4).toString("hex")

export const start = async (options?: Cluster.StartOptions): Promise<TestCluster> =>
  process.env["TIDINGS_TEST_CLUSTER"] === "kubeconfig" ? theirs() : ours(options)

const requester =
  (options: KubernetesConnection.Options): TestCluster["request"] =>
  (request) =>
    Effect.runPromise(
      KubernetesConnection.KubernetesConnection.use((connection) => connection.request(request)).pipe(
        Effect.provide(KubernetesConnection.layer(options))
      )
    )

const makeNamespace = async (request: TestCluster["request"], name: string): Promise<void> => {
  const response = await request({
    method: "POST",
    path: "/api/v1/namespaces",
    body: JSON.stringify({ apiVersion: "v1", kind: "Namespace", metadata: { name } })
  })
  if (response.status !== 201) throw new Error(`cannot make namespace ${name}: ${response.status} ${response.body}`)
}

const ours = async (options: Cluster.StartOptions | undefined): Promise<TestCluster> => {
  const own = await Cluster.start(options)
  const connectionOptions = (user: User) => ({ kubeconfig: own.kubeconfig, context: user })
  const request = requester(connectionOptions("admin"))
  await own.apply([...roles, ...bindings])
  const namespaces = ["default", `team-a-${unique()}`, `team-b-${unique()}`] as const
  for (const name of namespaces.slice(1)) await makeNamespace(request, name)
  return {
    namespaces,
    own,
    connectionOptions,
    layer: (user, more) => KubernetesBackend.layer({ ...connectionOptions(user), ...more }),
    request,
    [Symbol.asyncDispose]: () => own.stop()
  }
}

const theirs = async (): Promise<TestCluster> => {
  const request = requester({})
  const namespaces = ["default", `tidings-test-a-${unique()}`, `tidings-test-b-${unique()}`] as const
  for (const name of namespaces.slice(1)) await makeNamespace(request, name)
  return {
    namespaces,
    own: undefined,
    connectionOptions: () => ({}),
    layer: (_, more) => KubernetesBackend.layer(more),
    request,
    [Symbol.asyncDispose]: async () => {
      for (const name of namespaces.slice(1)) await request({ method: "DELETE", path: `/api/v1/namespaces/${name}` })
    }
  }
}
