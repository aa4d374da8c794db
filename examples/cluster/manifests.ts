/**
 * What the example puts into the cluster: three kinds of custom resources, one object of each, and the rights that a
 * recorder needs. A ServiceInstance is no resource at all, and still gets its events.
 */
const GROUP = "muster.giantswarm.io"

const definition = (kind: string, plural: string) => ({
  apiVersion: "apiextensions.k8s.io/v1",
  kind: "CustomResourceDefinition",
  metadata: { name: `${plural}.${GROUP}` },
  spec: {
    group: GROUP,
    scope: "Namespaced",
    names: { kind, plural, singular: kind.toLowerCase() },
    versions: [
      {
        name: "v1alpha1",
        served: true,
        storage: true,
        schema: { openAPIV3Schema: { type: "object", "x-kubernetes-preserve-unknown-fields": true } }
      }
    ]
  }
})

export const definitions = [
  definition("MCPServer", "mcpservers"),
  definition("ServiceClass", "serviceclasses"),
  definition("Workflow", "workflows")
]

export const objectsIn = (namespace: string) =>
  [
    ["MCPServer", "search"],
    ["ServiceClass", "web-app"],
    ["Workflow", "deploy"]
  ].map(([kind, name]) => ({ apiVersion: `${GROUP}/v1alpha1`, kind, metadata: { name, namespace } }))

/** To write events, to tell which cluster it is, and to look up the uid of what the events are about. */
export const rightsOf = (user: string) => [
  {
    apiVersion: "rbac.authorization.k8s.io/v1",
    kind: "ClusterRole",
    metadata: { name: "tidings-example" },
    rules: [
      { apiGroups: [""], resources: ["events"], verbs: ["create", "patch", "list", "watch"] },
      { apiGroups: [""], resources: ["namespaces"], resourceNames: ["kube-system"], verbs: ["get"] },
      { apiGroups: [GROUP], resources: ["mcpservers", "serviceclasses", "workflows"], verbs: ["get"] }
    ]
  },
  {
    apiVersion: "rbac.authorization.k8s.io/v1",
    kind: "ClusterRoleBinding",
    metadata: { name: "tidings-example" },
    roleRef: { apiGroup: "rbac.authorization.k8s.io", kind: "ClusterRole", name: "tidings-example" },
    subjects: [{ apiGroup: "rbac.authorization.k8s.io", kind: "User", name: user }]
  }
]
