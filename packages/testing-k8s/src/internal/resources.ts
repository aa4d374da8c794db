/** Which resources there are, and what discovery says of them. */
import { asObject, asText, at, isArray, type Json, type JsonObject, type MutableJsonObject } from "./json.ts"

/** @internal */
export interface ResourceType {
  readonly group: string
  readonly version: string
  readonly plural: string
  readonly singular: string
  readonly kind: string
  readonly listKind: string
  readonly namespaced: boolean
  readonly verbs: ReadonlyArray<string>
  readonly shortNames: ReadonlyArray<string>
  readonly categories: ReadonlyArray<string>
  readonly subresources: ReadonlyArray<Subresource>
  /** From a CustomResourceDefinition. */
  readonly isCustom: boolean
}

interface Subresource {
  readonly name: string
  readonly kind: string
  readonly verbs: ReadonlyArray<string>
  /** Where the kind is of another group. */
  readonly groupVersion?: readonly [group: string, version: string] | undefined
}

const allVerbs = ["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"]
// In the order in which the real server lists them.
const customVerbs = ["delete", "deletecollection", "get", "list", "patch", "create", "update", "watch"]
const changeVerbs = ["get", "patch", "update"]

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

const status = (kind: string): Subresource => ({ name: "status", kind, verbs: changeVerbs })
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

/** The resources that a CustomResourceDefinition declares, one per served version. @internal */
export const customResources = (definition: JsonObject): ReadonlyArray<ResourceType> => {
  const spec = asObject(definition["spec"])
  const names = asObject(spec["names"])
  const versions = spec["versions"]
  const kind = asText(names["kind"])
  const texts = (value: Json | undefined): ReadonlyArray<string> => (isArray(value) ? value.map(asText) : [])
  return (isArray(versions) ? versions : [])
    .filter((version) => at(version, "served") === true)
    .map((version) => ({
      group: asText(spec["group"]),
      version: asText(at(version, "name")),
      plural: asText(names["plural"]),
      singular: asText(names["singular"]) || kind.toLowerCase(),
      kind,
      listKind: asText(names["listKind"]) || `${kind}List`,
      namespaced: spec["scope"] === "Namespaced",
      verbs: customVerbs,
      shortNames: texts(names["shortNames"]),
      categories: texts(names["categories"]),
      subresources: at(version, "subresources", "status") === undefined ? [] : [status(kind)],
      isCustom: true
    }))
}

/** @internal */
export const groupVersionOf = (resource: { readonly group: string; readonly version: string }): string =>
  resource.group === "" ? resource.version : `${resource.group}/${resource.version}`

const resourceEntry = (resource: ResourceType): Json => ({
  name: resource.plural,
  singularName: resource.singular,
  namespaced: resource.namespaced,
  kind: resource.kind,
  verbs: resource.verbs,
  ...(resource.shortNames.length === 0 ? {} : { shortNames: resource.shortNames }),
  ...(resource.categories.length === 0 ? {} : { categories: resource.categories })
})

const subresourceEntry = (resource: ResourceType, { groupVersion, kind, name, verbs }: Subresource): Json => ({
  name: `${resource.plural}/${name}`,
  singularName: "",
  namespaced: resource.namespaced,
  ...(groupVersion === undefined ? {} : { group: groupVersion[0], version: groupVersion[1] }),
  kind,
  verbs
})

/** The body of `/api/v1` and `/apis/GROUP/VERSION`. @internal */
export const resourceList = (
  resources: ReadonlyArray<ResourceType>,
  group: string,
  version: string
): JsonObject | undefined => {
  const members = resources.filter((resource) => resource.group === group && resource.version === version)
  if (members.length === 0) {
    return undefined
  }
  const list: MutableJsonObject = { kind: "APIResourceList" }
  if (group !== "") {
    list["apiVersion"] = "v1"
  }
  list["groupVersion"] = groupVersionOf({ group, version })
  list["resources"] = members.flatMap((resource) => [
    resourceEntry(resource),
    ...resource.subresources.map((subresource) => subresourceEntry(resource, subresource))
  ])
  return list
}

const groupEntry = (resources: ReadonlyArray<ResourceType>, group: string): MutableJsonObject => {
  const versions = [...new Set(resources.filter((one) => one.group === group).map((one) => one.version))].map(
    (version): Json => ({ groupVersion: `${group}/${version}`, version })
  )
  return { name: group, versions, preferredVersion: versions[0] ?? null }
}

/** The body of `/apis`. @internal */
export const groupList = (resources: ReadonlyArray<ResourceType>): Json => ({
  kind: "APIGroupList",
  apiVersion: "v1",
  groups: [...new Set(resources.map((resource) => resource.group))]
    .filter((group) => group !== "")
    .map((group) => groupEntry(resources, group))
})

const discoveryEntry = (resource: ResourceType): Json => ({
  resource: resource.plural,
  responseKind: { group: resource.group, version: resource.version, kind: resource.kind },
  scope: resource.namespaced ? "Namespaced" : "Cluster",
  singularResource: resource.singular,
  verbs: resource.verbs,
  ...(resource.shortNames.length === 0 ? {} : { shortNames: resource.shortNames }),
  ...(resource.categories.length === 0 ? {} : { categories: resource.categories })
})

/** The body of `/api` and `/apis` for who asks for all kinds at once; without subresources. @internal */
export const discoveryList = (resources: ReadonlyArray<ResourceType>, isCore: boolean): Json => {
  const groups = [...new Set(resources.map(({ group }) => group))].filter((group) => (group === "") === isCore)
  return {
    kind: "APIGroupDiscoveryList",
    apiVersion: "apidiscovery.k8s.io/v2",
    metadata: {},
    items: groups.map((group) => {
      const members = resources.filter((one) => one.group === group)
      return {
        metadata: { ...(isCore ? {} : { name: group }), creationTimestamp: null },
        versions: [...new Set(members.map(({ version }) => version))].map((version) => ({
          version,
          resources: members.filter((one) => one.version === version).map(discoveryEntry),
          freshness: "Current"
        }))
      }
    })
  }
}

/** The body of `/apis/GROUP`. @internal */
export const groupOf = (resources: ReadonlyArray<ResourceType>, group: string): Json | undefined =>
  resources.some((resource) => resource.group === group)
    ? { kind: "APIGroup", apiVersion: "v1", ...groupEntry(resources, group) }
    : undefined

/** The body of `/version`, indented as the real server does it. @internal */
export const versionInfo: Json = {
  major: "1",
  minor: "37",
  emulationMajor: "1",
  emulationMinor: "37",
  minCompatibilityMajor: "1",
  minCompatibilityMinor: "36",
  gitVersion: "v1.37.2",
  gitCommit: "$Format:%H$",
  gitTreeState: "clean",
  buildDate: "1970-01-01T00:00:00Z",
  goVersion: "go1.26.8",
  compiler: "gc",
  platform: "linux/amd64"
}
