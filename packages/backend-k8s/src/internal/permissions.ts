/**
 * A permission that requests need.
 *
 * @internal
 */
export interface Permission {
  readonly verbs: ReadonlyArray<string>
  readonly group: string
  readonly resource: string
  readonly resourceNames?: ReadonlyArray<string> | undefined
  /** Absent: in all namespaces, or the resource is not namespaced. */
  readonly namespace: string | undefined
}

/**
 * The RBAC rule that grants a permission, and the role that it belongs in.
 *
 * @internal
 */
export const ruleFor = (permission: Permission): string => {
  const list = (items: ReadonlyArray<string>) => `[${items.map((item) => JSON.stringify(item)).join(", ")}]`
  const names = permission.resourceNames === undefined ? "" : `, resourceNames: ${list(permission.resourceNames)}`
  const where = permission.namespace === undefined ? "a ClusterRole" : `a Role in namespace ${permission.namespace}`
  return (
    `to allow it, add the rule {apiGroups: ${list([permission.group])}, resources: ${list([permission.resource])}${names}, ` +
    `verbs: ${list(permission.verbs)}} to ${where} and bind it`
  )
}

/**
 * The end of such a rule, for the user of this name: ` to User jane`.
 *
 * @internal
 */
export const subjectOf = (user: string): string => {
  const account = /^system:serviceaccount:([^:]+):(.+)$/.exec(user)
  return account === null ? ` to User ${user}` : ` to ServiceAccount ${account[1]}/${account[2]}`
}
