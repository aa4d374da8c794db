/**
 * Which cluster answers: by everything about it that the user may find out.
 *
 * | name             | from                                                        | who has the same               |
 * | ---------------- | ----------------------------------------------------------- | ------------------------------ |
 * | a uid            | namespace `kube-system`                                     | no other cluster               |
 * | `account-UID`    | a SelfSubjectReview of a service account                    | no other cluster, no other user |
 * | `server-DIGEST`  | the address of the API server                               | whatever is put there          |
 * | `authority-DIGEST` | the certificate authority, where there is one of its own  | whatever has a certificate of it |
 *
 * The first that is known is the id. The last two say where a cluster is, not which one it is, so a target of which no more
 * is known is uncertain.
 */
import type * as BackendError from "@tidings/core/BackendError"
import * as Target from "@tidings/core/Target"
import type * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import { createHash } from "node:crypto"
import type { KubernetesRequest, KubernetesResponse } from "../KubernetesHttp.ts"
import type { Tls } from "./credentials.ts"
import { type Fields, fieldsOf, textOf } from "./json.ts"
import { type Permission, ruleFor } from "./permissions.ts"
import { forbidden, readErrorOf } from "./requestErrors.ts"
import { objectIn, statusIn } from "./response.ts"

/** How long a refusal counts: a right that is granted is noticed within half a minute. */
const REFUSED_MILLIS = 20_000

/**
 * The right without which a cluster cannot be told for sure.
 *
 * @internal
 */
export const readKubeSystem: Permission = {
  verbs: ["get"],
  group: "",
  resource: "namespaces",
  resourceNames: ["kube-system"],
  namespace: "kube-system"
}

const digest = (text: string): string => createHash("sha256").update(text).digest("hex").slice(0, 32)

const isAllowed = (review: unknown): boolean => fieldsOf(fieldsOf(review)["status"])["allowed"] !== false

/** The names that need no question. The form of the second is that of the first release, whose journals hold it. */
const placeOf = (address: string, { ca }: Tls): Target.Target =>
  Target.make(`server-${digest(address)}`, {
    aliases: [`authority-${digest(ca === undefined || ca === null ? address : JSON.stringify(ca))}`],
    isUncertain: true
  })

/** @internal */
export const make = (options: {
  readonly address: string
  readonly tls: Effect.Effect<Tls, BackendError.BackendError>
  readonly request: (request: KubernetesRequest) => Effect.Effect<KubernetesResponse, BackendError.BackendError>
  /** Grows whenever another cluster may have taken the place. */
  readonly epoch: () => number
  readonly clock: Clock.Clock
}): Effect.Effect<Target.Target, BackendError.BackendError> => {
  const { address, clock, epoch, request } = options
  /** Who may not read the uid now may not a moment later. */
  let refused: { readonly target: Target.Target; readonly epoch: number; readonly until: number } | undefined
  let known: { readonly uid: string; readonly account: string | undefined } | undefined
  let isSaid = false

  const review = (group: string, kind: string, spec?: Fields) =>
    request({
      method: "POST",
      path: `/apis/${group}/v1/${kind.toLowerCase()}s`,
      body: JSON.stringify({ apiVersion: `${group}/v1`, kind, ...(spec === undefined ? undefined : { spec }) })
    })

  /**
   * The uid of the service account that asks: drawn by the cluster when the account is made. That of another kind of user
   * comes from whoever vouches for them, who may do so in several clusters.
   */
  const account: Effect.Effect<string | undefined, BackendError.BackendError> = Effect.flatMap(
    review("authentication.k8s.io", "SelfSubjectReview"),
    (response) => {
      const reviewed = objectIn(response, "SelfSubjectReview", "authentication.k8s.io/v1")
      if (response.status === 201 && reviewed !== undefined) {
        const user = fieldsOf(fieldsOf(reviewed["status"])["userInfo"])
        const uid = textOf(user["uid"])
        const isAccount = textOf(user["username"])?.startsWith("system:serviceaccount:") === true
        return Effect.succeed(isAccount && uid !== undefined ? `account-${uid}` : undefined)
      }
      // Servers before 1.28 have no such review, and who withdraws the right to it may. A page of a gateway is no
      return statusIn(response) !== undefined && (response.status === 404 || response.status === 403)
        ? Effect.succeed(undefined)
        : Effect.fail(readErrorOf(response, readKubeSystem))
    }
  )

  return Effect.gen(function* () {
    const now = clock.currentTimeMillisUnsafe()
    const asked = epoch()
    if (refused !== undefined && refused.epoch === asked && now < refused.until) return refused.target
    const place = placeOf(address, yield* options.tls)
    const response = yield* request({ method: "GET", path: "/api/v1/namespaces/kube-system" })
    if (response.status === 200) {
      const uid = textOf(fieldsOf(objectIn(response, "Namespace", "v1")?.["metadata"])["uid"])
      if (uid !== undefined) {
        refused = undefined
        // In one cluster it does not change while this process runs: whose account is made anew has no good token any more.
        if (known?.uid !== uid) known = { uid, account: yield* account }
        const name = known.account
        return Target.make(uid, { aliases: [...(name === undefined ? [] : [name]), place.id, ...place.aliases] })
      }
    }
    if (response.status !== 403 || statusIn(response) === undefined) return yield* readErrorOf(response, readKubeSystem)
    // A server that has just started refuses everything until it has read its rules. Who takes such a refusal for a rule
    // would take the cluster for another one: so ask for the rule itself, which is refused then as well.
    const rule = yield* review("authorization.k8s.io", "SelfSubjectAccessReview", {
      resourceAttributes: { verb: "get", resource: "namespaces", name: "kube-system", namespace: "kube-system" }
    })
    if (rule.status !== 201 || isAllowed(objectIn(rule, "SelfSubjectAccessReview", "authorization.k8s.io/v1"))) {
      return yield* forbidden(response, readKubeSystem)
    }
    const name = yield* account
    if (!isSaid) {
      isSaid = true
      yield* Effect.logInfo(
        "not allowed to read the uid of namespace kube-system, which identifies the cluster; " +
          (name === undefined
            ? "its address and certificate authority are used instead, so a cluster that replaces it is not detected"
            : "the uid of the service account is used instead, which changes when the account is recreated") +
          `. ${ruleFor(readKubeSystem)}`
      )
    }
    const target = name === undefined ? place : Target.make(name, { aliases: [place.id, ...place.aliases] })
    refused = { target, epoch: asked, until: now + REFUSED_MILLIS }
    return target
  })
}
