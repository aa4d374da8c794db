/**
 * The backend over the events of a cluster.
 */
export * as KubernetesBackend from "./KubernetesBackend.ts"

/**
 * Whether events can be recorded and read in a cluster.
 */
export * as KubernetesCheck from "./KubernetesCheck.ts"

/**
 * The connection to the API server.
 */
export * as KubernetesConnection from "./KubernetesConnection.ts"

/**
 * Events as objects of the API server.
 */
export * as KubernetesEvent from "./KubernetesEvent.ts"

/**
 * Requests to the API server and its answers.
 */
export * as KubernetesHttp from "./KubernetesHttp.ts"

/**
 * The kinds of objects that a cluster has.
 */
export * as KubernetesKinds from "./KubernetesKinds.ts"
