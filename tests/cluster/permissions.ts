/**
 * The roles that the documentation gives, and who has them here.
 */
interface Rule {
  readonly apiGroups: ReadonlyArray<string>
  readonly resources: ReadonlyArray<string>
  readonly resourceNames?: ReadonlyArray<string>
  readonly verbs: ReadonlyArray<string>
}

const clusterRole = (name: string, rules: ReadonlyArray<Rule>) => ({
  apiVersion: "rbac.authorization.k8s.io/v1",
  kind: "ClusterRole",
  metadata: { name },
  rules
})

const binding = (role: string, users: ReadonlyArray<string>) => ({
  apiVersion: "rbac.authorization.k8s.io/v1",
  kind: "ClusterRoleBinding",
  metadata: { name: role },
  roleRef: { apiGroup: "rbac.authorization.k8s.io", kind: "ClusterRole", name: role },
  subjects: users.map((name) => ({ apiGroup: "rbac.authorization.k8s.io", kind: "User", name }))
})

export const roles = [
  clusterRole("tidings-writer", [{ apiGroups: [""], resources: ["events"], verbs: ["create", "patch"] }]),
  clusterRole("tidings-reader", [{ apiGroups: [""], resources: ["events"], verbs: ["get", "list", "watch"] }]),
  clusterRole("tidings-cluster-id", [
    { apiGroups: [""], resources: ["namespaces"], resourceNames: ["kube-system"], verbs: ["get"] }
  ]),
  clusterRole("tidings-involved-objects", [{ apiGroups: [""], resources: ["configmaps", "nodes"], verbs: ["get"] }])
]

export const bindings = [
  binding("tidings-writer", ["writer", "user"]),
  binding("tidings-reader", ["reader", "user"]),
  binding("tidings-cluster-id", ["user"]),
  binding("tidings-involved-objects", ["user"])
]
