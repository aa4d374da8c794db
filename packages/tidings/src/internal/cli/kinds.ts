/**
 * The kinds that every cluster has and that have events, so that they are found as kubectl finds them: `pod`, `po`,
 * `deployments`. Any other kind is taken as it stands, as its type spells it.
 *
 * @internal
 */

/** @internal */
export interface BuiltInKind {
  readonly kind: string
  readonly apiVersion: string
  readonly namespaced: boolean
}

/** Kind, API version, and what else kubectl calls it. */
const NAMESPACED: ReadonlyArray<readonly [kind: string, apiVersion: string, ...names: ReadonlyArray<string>]> = [
  ["Pod", "v1", "pods", "po"],
  ["Service", "v1", "services", "svc"],
  ["ConfigMap", "v1", "configmaps", "cm"],
  ["Secret", "v1", "secrets"],
  ["ServiceAccount", "v1", "serviceaccounts", "sa"],
  ["Endpoints", "v1", "ep"],
  ["PersistentVolumeClaim", "v1", "persistentvolumeclaims", "pvc"],
  ["ReplicationController", "v1", "replicationcontrollers", "rc"],
  ["ResourceQuota", "v1", "resourcequotas", "quota"],
  ["Deployment", "apps/v1", "deployments", "deploy"],
  ["ReplicaSet", "apps/v1", "replicasets", "rs"],
  ["StatefulSet", "apps/v1", "statefulsets", "sts"],
  ["DaemonSet", "apps/v1", "daemonsets", "ds"],
  ["Job", "batch/v1", "jobs"],
  ["CronJob", "batch/v1", "cronjobs", "cj"],
  ["HorizontalPodAutoscaler", "autoscaling/v2", "horizontalpodautoscalers", "hpa"],
  ["PodDisruptionBudget", "policy/v1", "poddisruptionbudgets", "pdb"],
  ["Ingress", "networking.k8s.io/v1", "ingresses", "ing"],
  ["NetworkPolicy", "networking.k8s.io/v1", "networkpolicies", "netpol"],
  ["EndpointSlice", "discovery.k8s.io/v1", "endpointslices"],
  ["Lease", "coordination.k8s.io/v1", "leases"]
]

const CLUSTER_SCOPED: typeof NAMESPACED = [
  ["Node", "v1", "nodes", "no"],
  ["Namespace", "v1", "namespaces", "ns"],
  ["PersistentVolume", "v1", "persistentvolumes", "pv"],
  ["StorageClass", "storage.k8s.io/v1", "storageclasses", "sc"],
  ["VolumeAttachment", "storage.k8s.io/v1", "volumeattachments"],
  ["IngressClass", "networking.k8s.io/v1", "ingressclasses"],
  ["PriorityClass", "scheduling.k8s.io/v1", "priorityclasses", "pc"],
  ["ClusterRole", "rbac.authorization.k8s.io/v1", "clusterroles"],
  ["CertificateSigningRequest", "certificates.k8s.io/v1", "certificatesigningrequests", "csr"],
  ["CustomResourceDefinition", "apiextensions.k8s.io/v1", "customresourcedefinitions", "crd", "crds"]
]

const byName = new Map<string, BuiltInKind>()
for (const [list, namespaced] of [
  [NAMESPACED, true],
  [CLUSTER_SCOPED, false]
] as const) {
  for (const [kind, apiVersion, ...names] of list) {
    for (const name of [kind.toLowerCase(), ...names]) byName.set(name, { kind, apiVersion, namespaced })
  }
}

/**
 * Upper and lower case do not matter.
 *
 * @internal
 */
export const find = (name: string): BuiltInKind | undefined => byName.get(name.toLowerCase())
