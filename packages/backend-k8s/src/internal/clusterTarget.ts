/**
 * Identifies the cluster that answers, by everything about it that the user may read.
 *
 * | name             | from                                                        | also the name of               |
 * | ---------------- | ----------------------------------------------------------- | ------------------------------ |
 * | a uid            | namespace `kube-system`                                     | no other cluster               |
 * | `account-UID`    | a SelfSubjectReview of a service account                    | no other cluster, no other user |
 * | `server-DIGEST`  | the address of the API server                               | any cluster at that address    |
 * | `authority-DIGEST` | the certificate authority, where there is one of its own  | any cluster with a certificate of it |
 *
 * The first one that is known is the id, the others are aliases. The last two say where a cluster is and not which one it
 * is, so a target with no other name is uncertain.
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

/** How long a refusal counts: a newly granted permission is noticed within half a minute. */
const REFUSED_MILLIS = 20_000

/**
 * The permission that is needed to identify a cluster for certain.
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

/** The names that are known without a request. The form of the second is in journals of the first release. */
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
  /** The target after a refusal, so that not every caller sends the same requests again. */
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
   * The name by the service account of the caller, whose uid the cluster generates. The uid of any other user comes from an
   * identity provider, which may serve several clusters.
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
      // Servers before 1.28 have no such review, and the permission for it may be withdrawn. A page of a gateway says neither.
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
        // In one cluster it stays the same while this process runs: the token of an account that is created again is invalid.
        if (known?.uid !== uid) known = { uid, account: yield* account }
        const name = known.account
        return Target.make(uid, { aliases: [...(name === undefined ? [] : [name]), place.id, ...place.aliases] })
      }
    }
    if (response.status !== 403 || statusIn(response) === undefined) return yield* readErrorOf(response, readKubeSystem)
    // A server that has just started refuses everything until it has read its RBAC rules. Taken for a rule, such a refusal
    // would make it another cluster. The review of the rule itself is refused then, too.
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
