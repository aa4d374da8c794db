/** The resources that every server here has. */
import { changeVerbs, type ResourceType, statusOf as status, type Subresource } from "./resourceType.ts"

const allVerbs = ["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"]

interface BuiltIn {
  readonly plural: string
  readonly singular: string
  readonly kind: string
  readonly namespaced?: false
  readonly verbs?: ReadonlyArray<string>
  readonly shortNames?: ReadonlyArray<string>
  readonly categories?: ReadonlyArray<string>
  readonly subresources?: ReadonlyArray<Subresource>
}

const scale: Subresource = { name: "scale", kind: "Scale", verbs: changeVerbs, groupVersion: ["autoscaling", "v1"] }

const builtIns: ReadonlyArray<readonly [group: string, version: string, resources: ReadonlyArray<BuiltIn>]> = [
  [
    "",
    "v1",
    [
      { plural: "bindings", singular: "binding", kind: "Binding", verbs: ["create"] },
      { plural: "configmaps", singular: "configmap", kind: "ConfigMap", shortNames: ["cm"] },
      { plural: "endpoints", singular: "endpoints", kind: "Endpoints", shortNames: ["ep"] },
      { plural: "events", singular: "event", kind: "Event", shortNames: ["ev"] },
      { plural: "limitranges", singular: "limitrange", kind: "LimitRange", shortNames: ["limits"] },
      {
        plural: "namespaces",
        singular: "namespace",
        kind: "Namespace",
        namespaced: false,
        verbs: allVerbs.filter((verb) => verb !== "deletecollection"),
        shortNames: ["ns"],
        subresources: [{ name: "finalize", kind: "Namespace", verbs: ["update"] }, status("Namespace")]
      },
      {
        plural: "nodes",
        singular: "node",
        kind: "Node",
        namespaced: false,
        shortNames: ["no"],
        subresources: [
          { name: "proxy", kind: "NodeProxyOptions", verbs: ["create", "delete", "get", "patch", "update"] },
          status("Node")
        ]
      },
      {
        plural: "persistentvolumeclaims",
        singular: "persistentvolumeclaim",
        kind: "PersistentVolumeClaim",
        shortNames: ["pvc"],
        subresources: [status("PersistentVolumeClaim")]
      },
      {
        plural: "persistentvolumes",
        singular: "persistentvolume",
        kind: "PersistentVolume",
        namespaced: false,
        shortNames: ["pv"],
        subresources: [status("PersistentVolume")]
      },
      {
        plural: "pods",
        singular: "pod",
        kind: "Pod",
        shortNames: ["po"],
        categories: ["all"],
        subresources: [
          { name: "attach", kind: "PodAttachOptions", verbs: ["create", "get"] },
          { name: "binding", kind: "Binding", verbs: ["create"] },
          { name: "eviction", kind: "Eviction", verbs: ["create"], groupVersion: ["policy", "v1"] },
          { name: "exec", kind: "PodExecOptions", verbs: ["create", "get"] },
          { name: "log", kind: "Pod", verbs: ["get"] },
          status("Pod")
        ]
      },
      {
        plural: "replicationcontrollers",
        singular: "replicationcontroller",
        kind: "ReplicationController",
        shortNames: ["rc"],
        categories: ["all"],
        subresources: [scale, status("ReplicationController")]
      },
      { plural: "resourcequotas", singular: "resourcequota", kind: "ResourceQuota", shortNames: ["quota"] },
      { plural: "secrets", singular: "secret", kind: "Secret" },
      { plural: "serviceaccounts", singular: "serviceaccount", kind: "ServiceAccount", shortNames: ["sa"] },
      {
        plural: "services",
        singular: "service",
        kind: "Service",
        shortNames: ["svc"],
        categories: ["all"],
        subresources: [status("Service")]
      }
    ]
  ],
  [
    "apps",
    "v1",
    [
      {
        plural: "daemonsets",
        singular: "daemonset",
        kind: "DaemonSet",
        shortNames: ["ds"],
        categories: ["all"],
        subresources: [status("DaemonSet")]
      },
      {
        plural: "deployments",
        singular: "deployment",
        kind: "Deployment",
        shortNames: ["deploy"],
        categories: ["all"],
        subresources: [scale, status("Deployment")]
      },
      {
        plural: "replicasets",
        singular: "replicaset",
        kind: "ReplicaSet",
        shortNames: ["rs"],
        categories: ["all"],
        subresources: [scale, status("ReplicaSet")]
      },
      {
        plural: "statefulsets",
        singular: "statefulset",
        kind: "StatefulSet",
        shortNames: ["sts"],
        categories: ["all"],
        subresources: [scale, status("StatefulSet")]
      }
    ]
  ],
  ["events.k8s.io", "v1", [{ plural: "events", singular: "event", kind: "Event", shortNames: ["ev"] }]],
  [
    "authentication.k8s.io",
    "v1",
    [
      {
        plural: "selfsubjectreviews",
        singular: "selfsubjectreview",
        kind: "SelfSubjectReview",
        namespaced: false,
        verbs: ["create"]
      }
    ]
  ],
  [
    "authorization.k8s.io",
    "v1",
    [
      {
        plural: "selfsubjectaccessreviews",
        singular: "selfsubjectaccessreview",
        kind: "SelfSubjectAccessReview",
        namespaced: false,
        verbs: ["create"]
      },
      {
        plural: "selfsubjectrulesreviews",
        singular: "selfsubjectrulesreview",
        kind: "SelfSubjectRulesReview",
        namespaced: false,
        verbs: ["create"]
      }
    ]
  ],
  [
    "batch",
    "v1",
    [
      {
        plural: "cronjobs",
        singular: "cronjob",
        kind: "CronJob",
        shortNames: ["cj"],
        categories: ["all"],
        subresources: [status("CronJob")]
      },
      { plural: "jobs", singular: "job", kind: "Job", categories: ["all"], subresources: [status("Job")] }
    ]
  ],
  [
    "rbac.authorization.k8s.io",
    "v1",
    [
      {
        plural: "clusterrolebindings",
        singular: "clusterrolebinding",
        kind: "ClusterRoleBinding",
        namespaced: false
      },
      { plural: "clusterroles", singular: "clusterrole", kind: "ClusterRole", namespaced: false },
      { plural: "rolebindings", singular: "rolebinding", kind: "RoleBinding" },
      { plural: "roles", singular: "role", kind: "Role" }
    ]
  ],
  [
    "apiextensions.k8s.io",
    "v1",
    [
      {
        plural: "customresourcedefinitions",
        singular: "customresourcedefinition",
        kind: "CustomResourceDefinition",
        namespaced: false,
        shortNames: ["crd", "crds"],
        categories: ["api-extensions"],
        subresources: [status("CustomResourceDefinition")]
      }
    ]
  ],
  ["coordination.k8s.io", "v1", [{ plural: "leases", singular: "lease", kind: "Lease" }]]
]

/** @internal */
export const builtInResources: ReadonlyArray<ResourceType> = builtIns.flatMap(([group, version, resources]) =>
  resources.map((resource) => ({
    group,
    version,
    plural: resource.plural,
    singular: resource.singular,
    kind: resource.kind,
    listKind: `${resource.kind}List`,
    namespaced: resource.namespaced ?? true,
    verbs: resource.verbs ?? allVerbs,
    shortNames: resource.shortNames ?? [],
    categories: resource.categories ?? [],
    subresources: resource.subresources ?? [],
    isCustom: false
  }))
)
