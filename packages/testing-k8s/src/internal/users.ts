/** Who is known to the server, and the tokens by which it knows them. */
import { hexDigits } from "./seed.ts"
import { type Identity, mastersGroup } from "./rbac.ts"

/**
 * What a user may do, as in a Role of RBAC.
 *
 * @category models
 * @since 0.1.0
 */
export interface Rule {
  /** `""` is the group of `v1`; `"*"` stands for all. */
  readonly apiGroups: ReadonlyArray<string>
  /** Plurals; `"*"` stands for all. */
  readonly resources: ReadonlyArray<string>
  /** `create`, `patch`, `get`, `list`, `watch`, …; `"*"` stands for all. */
  readonly verbs: ReadonlyArray<string>
  /** The namespaces in which it holds. Everywhere unless given. */
  readonly namespaces?: ReadonlyArray<string> | undefined
}

/**
 * A user with a token, and with a context of that name in the kubeconfig.
 *
 * @category models
 * @since 0.1.0
 */
export interface User {
  readonly name: string
  /**
   * `["system:serviceaccounts"]` unless given: an ordinary user, who meets priority and fairness. `system:masters` may do
   * everything and never meets it. `system:authenticated` is always added.
   */
  readonly groups?: ReadonlyArray<string> | undefined
  /** Stored as roles and bindings, as `kubectl` would. None unless given. */
  readonly rules?: ReadonlyArray<Rule> | undefined
}

const ordinaryGroups = ["system:serviceaccounts"]
const authenticatedGroup = "system:authenticated"

const eventGroups = ["", "events.k8s.io"]
const writeRule: Rule = { apiGroups: [""], resources: ["events"], verbs: ["create", "patch"] }
const readRule: Rule = { apiGroups: eventGroups, resources: ["events"], verbs: ["get", "list", "watch"] }
const lookUpRule: Rule = { apiGroups: ["*"], resources: ["*"], verbs: ["get"] }

const defaultUsers: ReadonlyArray<User> = [
  { name: "admin", groups: [mastersGroup] },
  { name: "writer", rules: [writeRule] },
  { name: "reader", rules: [readRule] },
  { name: "user", rules: [writeRule, readRule, lookUpRule] },
  { name: "nobody" }
]

/** The users that are there beside, and instead of, the ones that are always there. @internal */
export const allUsers = (given: ReadonlyArray<User>): ReadonlyArray<User> => [
  ...defaultUsers.filter(({ name }) => !given.some((user) => user.name === name)),
  ...given
]

const rbacGroup = "rbac.authorization.k8s.io"

/** The roles and bindings that grant a user its rules. @internal */
export const roleObjects = ({ name: user, rules = [] }: User) =>
  rules.flatMap(({ namespaces, ...rule }, index) => {
    const apiVersion = `${rbacGroup}/v1`
    const name = `tidings:${user}:${index}`
    const subjects = [{ kind: "User", apiGroup: rbacGroup, name: user }]
    const roleRef = { apiGroup: rbacGroup, kind: "ClusterRole", name }
    const bindings =
      namespaces === undefined
        ? [{ apiVersion, kind: "ClusterRoleBinding", metadata: { name }, subjects, roleRef }]
        : namespaces.map((namespace) => ({
            apiVersion,
            kind: "RoleBinding",
            metadata: { name, namespace },
            subjects,
            roleRef
          }))
    return [{ apiVersion, kind: "ClusterRole", metadata: { name }, rules: [rule] }, ...bindings]
  })

/** The tokens that are valid now. @internal */
export class Tokens {
  readonly #seed: number
  readonly #identities: ReadonlyMap<string, Identity>
  readonly #tokens: Map<string, string>
  readonly #rotations = new Map<string, number>()

  constructor(seed: number, users: ReadonlyArray<User>) {
    this.#seed = seed
    this.#identities = new Map(
      users.map(({ groups = ordinaryGroups, name }) => [
        name,
        { name, uid: name, groups: [...groups, authenticatedGroup] }
      ])
    )
    this.#tokens = new Map(users.map(({ name }) => [name, hexDigits(seed, `token ${name} 0`)]))
  }

  /** By the names of the users. */
  get all(): ReadonlyMap<string, string> {
    return this.#tokens
  }

  identify(token: string): Identity | undefined {
    const found = [...this.#tokens].find(([, valid]) => valid === token)
    return found === undefined ? undefined : this.#identities.get(found[0])
  }

  /** Gives a known user a new one. */
  rotate(user: string): string {
    const turn = (this.#rotations.get(user) ?? 0) + 1
    const token = hexDigits(this.#seed, `token ${user} ${turn}`)
    this.#rotations.set(user, turn)
    this.#tokens.set(user, token)
    return token
  }
}
