/** Who may do what: RBAC over the stored roles and bindings. */
import { asObject, asText, at, isArray, type Json, type JsonObject, nameOf } from "./json.ts"

/** An authenticated user. @internal */
export interface Identity {
  readonly name: string
  readonly uid: string
  readonly groups: ReadonlyArray<string>
}

/** What a request asks for: with a resource, or at a path. @internal */
export type Wish =
  | {
      readonly _tag: "Resource"
      readonly verb: string
      readonly group: string
      readonly resource: string
      readonly subresource: string
      readonly namespace: string
      readonly name: string
    }
  | { readonly _tag: "Path"; readonly verb: string; readonly path: string }

/** @internal */
export interface Decision {
  readonly allowed: boolean
  readonly reason: string | undefined
}

interface Rule {
  readonly verbs: ReadonlyArray<string>
  readonly apiGroups: ReadonlyArray<string>
  readonly resources: ReadonlyArray<string>
  readonly resourceNames: ReadonlyArray<string>
  readonly nonResourceURLs: ReadonlyArray<string>
}

interface Grant {
  /** Empty: everywhere. */
  readonly namespace: string
  readonly rules: ReadonlyArray<Rule>
  readonly subjects: ReadonlyArray<Json>
  /** Without the subject. */
  readonly reason: string
}

/** @internal */
export const mastersGroup = "system:masters"

/** @internal */
export const anonymous: Identity = { name: "system:anonymous", uid: "", groups: ["system:unauthenticated"] }

const texts = (value: Json | undefined): ReadonlyArray<string> => (isArray(value) ? value.map(asText) : [])

const ruleOf = (value: Json): Rule => ({
  verbs: texts(at(value, "verbs")),
  apiGroups: texts(at(value, "apiGroups")),
  resources: texts(at(value, "resources")),
  resourceNames: texts(at(value, "resourceNames")),
  nonResourceURLs: texts(at(value, "nonResourceURLs"))
})

const rulesOf = (role: JsonObject | undefined): ReadonlyArray<Rule> => {
  const rules = role?.["rules"]
  return isArray(rules) ? rules.map(ruleOf) : []
}

const bootstrap = (name: string, groups: ReadonlyArray<string>, rules: ReadonlyArray<Json>): Grant => ({
  namespace: "",
  rules: rules.map(ruleOf),
  subjects: groups.map((group) => ({ kind: "Group", name: group })),
  reason: `ClusterRoleBinding "${name}" of ClusterRole "${name}"`
})

const readyPaths = ["/healthz", "/livez", "/readyz", "/version", "/version/"]

const issuerPaths = [
  "/.well-known/openid-configuration",
  "/.well-known/openid-configuration/",
  "/openid/v1/jwks",
  "/openid/v1/jwks/"
]

// What every cluster has from the start, as far as a user without a grant meets it.
const bootstrapGrants: ReadonlyArray<Grant> = [
  bootstrap(
    "system:basic-user",
    ["system:authenticated"],
    [
      {
        verbs: ["create"],
        apiGroups: ["authorization.k8s.io"],
        resources: ["selfsubjectaccessreviews", "selfsubjectrulesreviews"]
      },
      { verbs: ["create"], apiGroups: ["authentication.k8s.io"], resources: ["selfsubjectreviews"] }
    ]
  ),
  bootstrap(
    "system:discovery",
    ["system:authenticated"],
    [
      {
        verbs: ["get"],
        nonResourceURLs: [
          "/api",
          "/api/*",
          "/apis",
          "/apis/*",
          "/healthz",
          "/livez",
          "/openapi",
          "/openapi/*",
          "/readyz",
          "/version",
          "/version/"
        ]
      }
    ]
  ),
  bootstrap(
    "system:public-info-viewer",
    ["system:authenticated", "system:unauthenticated"],
    [{ verbs: ["get"], nonResourceURLs: readyPaths }]
  ),
  bootstrap(
    "system:cluster-trust-bundle-discovery",
    ["system:serviceaccounts"],
    [{ verbs: ["get", "list", "watch"], apiGroups: ["certificates.k8s.io"], resources: ["clustertrustbundles"] }]
  ),
  bootstrap(
    "system:service-account-issuer-discovery",
    ["system:serviceaccounts"],
    [{ verbs: ["get"], nonResourceURLs: issuerPaths }]
  )
]

const includes = (list: ReadonlyArray<string>, value: string): boolean => list.includes("*") || list.includes(value)

const allows = (rule: Rule, wish: Wish): boolean => {
  if (!includes(rule.verbs, wish.verb)) {
    return false
  }
  if (wish._tag === "Path") {
    return rule.nonResourceURLs.some((url) =>
      url.endsWith("*") ? wish.path.startsWith(url.slice(0, -1)) : url === wish.path
    )
  }
  const resource = wish.subresource === "" ? wish.resource : `${wish.resource}/${wish.subresource}`
  return (
    includes(rule.apiGroups, wish.group) &&
    includes(rule.resources, resource) &&
    (rule.resourceNames.length === 0 || rule.resourceNames.includes(wish.name))
  )
}

const subjectText = (subject: Json): string => {
  const name = asText(at(subject, "name"))
  const kind = asText(at(subject, "kind"))
  return kind === "ServiceAccount"
    ? `ServiceAccount "${name}/${asText(at(subject, "namespace"))}"`
    : `${kind} "${name}"`
}

const isMeant = (subject: Json, identity: Identity): boolean => {
  const name = asText(at(subject, "name"))
  switch (at(subject, "kind")) {
    case "User":
      return name === identity.name
    case "Group":
      return identity.groups.includes(name)
    case "ServiceAccount":
      return identity.name === `system:serviceaccount:${asText(at(subject, "namespace"))}:${name}`
    default:
      return false
  }
}

/** The stored roles and bindings. @internal */
export interface Roles {
  readonly clusterRoles: ReadonlyArray<JsonObject>
  readonly roles: ReadonlyArray<JsonObject>
  readonly clusterRoleBindings: ReadonlyArray<JsonObject>
  readonly roleBindings: ReadonlyArray<JsonObject>
}

const grantsOf = (roles: Roles): ReadonlyArray<Grant> => {
  const namespaceOf = (object: JsonObject): string => asText(at(object, "metadata", "namespace"))
  const grant = (binding: JsonObject, bindingText: string): Grant => {
    const reference = asObject(binding["roleRef"])
    const name = asText(reference["name"])
    const isCluster = reference["kind"] === "ClusterRole"
    const role = isCluster
      ? roles.clusterRoles.find((candidate) => nameOf(candidate) === name)
      : roles.roles.find((candidate) => nameOf(candidate) === name && namespaceOf(candidate) === namespaceOf(binding))
    const subjects = binding["subjects"]
    return {
      namespace: namespaceOf(binding),
      rules: rulesOf(role),
      subjects: isArray(subjects) ? subjects : [],
      reason: `${bindingText} of ${isCluster ? "ClusterRole" : "Role"} "${name}"`
    }
  }
  return [
    ...bootstrapGrants,
    ...roles.clusterRoleBindings.map((binding) => grant(binding, `ClusterRoleBinding "${nameOf(binding)}"`)),
    ...roles.roleBindings.map((binding) => grant(binding, `RoleBinding "${nameOf(binding)}/${namespaceOf(binding)}"`))
  ]
}

const covers = (grant: Grant, wish: Wish): boolean =>
  grant.namespace === "" || (wish._tag === "Resource" && wish.namespace === grant.namespace)

/** @internal */
export const decide = (identity: Identity, wish: Wish, roles: Roles): Decision => {
  if (identity.groups.includes(mastersGroup)) {
    return { allowed: true, reason: undefined }
  }
  for (const grant of grantsOf(roles)) {
    const subject = grant.subjects.find((candidate) => isMeant(candidate, identity))
    if (subject !== undefined && covers(grant, wish) && grant.rules.some((rule) => allows(rule, wish))) {
      return { allowed: true, reason: `RBAC: allowed by ${grant.reason} to ${subjectText(subject)}` }
    }
  }
  return { allowed: false, reason: undefined }
}

/** The status of a SelfSubjectRulesReview. @internal */
export const rulesIn = (identity: Identity, namespace: string, roles: Roles): Json => {
  const everything: ReadonlyArray<Rule> = [
    { verbs: ["*"], apiGroups: ["*"], resources: ["*"], resourceNames: [], nonResourceURLs: [] },
    { verbs: ["*"], apiGroups: [], resources: [], resourceNames: [], nonResourceURLs: ["*"] }
  ]
  const rules = identity.groups.includes(mastersGroup)
    ? everything
    : grantsOf(roles)
        .filter((grant) => grant.namespace === "" || grant.namespace === namespace)
        .filter((grant) => grant.subjects.some((subject) => isMeant(subject, identity)))
        .flatMap((grant) => grant.rules)
  return {
    resourceRules: rules
      .filter((rule) => rule.resources.length > 0)
      .map(({ apiGroups, resourceNames, resources, verbs }) => ({
        verbs,
        apiGroups,
        resources,
        ...(resourceNames.length === 0 ? {} : { resourceNames })
      })),
    nonResourceRules: rules
      .filter((rule) => rule.nonResourceURLs.length > 0)
      .map(({ nonResourceURLs, verbs }) => ({ verbs, nonResourceURLs })),
    incomplete: false
  }
}
