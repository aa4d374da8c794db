/**
 * Checks whether events can be recorded and read in a cluster, and advises what to do where they cannot: what
 * `tidings doctor` prints.
 *
 * @since 0.1.0
 */
import type { Check } from "@tidings/core/BackendCheck"
import type { BackendError } from "@tidings/core/BackendError"
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import { type Fields, fieldsOf, listOf, parse, textOf, textsOf } from "./internal/json.ts"
import { ruleFor, subjectOf } from "./internal/permissions.ts"
import { describe, objectIn } from "./internal/response.ts"
import * as utf8 from "./internal/utf8.ts"
import * as KubernetesConnection from "./KubernetesConnection.ts"
import type { KubernetesRequest, KubernetesResponse } from "./KubernetesHttp.ts"

// ---------------------------------------------------------------------------
// options
// ---------------------------------------------------------------------------

/**
 * What to check.
 *
 * @category models
 * @since 0.1.0
 */
export interface Place {
  /** The namespace whose permissions and events are checked. Default: that of the context. */
  readonly namespace?: string | undefined
  /** Checks all namespaces instead of one. Default: `false`. */
  readonly allNamespaces?: boolean | undefined
}

/**
 * Which cluster, and what to check there. Default of `timeout`: 10 seconds.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options extends KubernetesConnection.Options, Place {}

// ---------------------------------------------------------------------------
// requests
// ---------------------------------------------------------------------------

type Connection = KubernetesConnection.KubernetesConnection["Service"]

interface Answered {
  readonly response: KubernetesResponse
  readonly body: Fields
  /** Times of the request and of the response by the local clock, in milliseconds since 1970. */
  readonly asked: number
  readonly answered: number
}

const ask = (connection: Connection, request: KubernetesRequest): Effect.Effect<Answered, BackendError> =>
  Effect.gen(function* () {
    const asked = yield* Clock.currentTimeMillis
    const response = yield* connection.request(request)
    return {
      response,
      body: fieldsOf(parse(response.body)),
      asked,
      answered: yield* Clock.currentTimeMillis
    }
  })

const review = (connection: Connection, group: string, kind: string, spec?: Fields) =>
  ask(connection, {
    method: "POST",
    path: `/apis/${group}/v1/${kind.toLowerCase()}s`,
    body: JSON.stringify({ apiVersion: `${group}/v1`, kind, ...(spec === undefined ? undefined : { spec }) })
  })

/** What an unexpected response says. */
const saidBy = ({ body, response }: Answered): string => {
  const message = textOf(body["message"])
  if (message !== undefined) return `HTTP ${response.status}: ${utf8.cut(message, 300)}`
  return response.status < 400 ? describe(response) : `HTTP ${response.status}`
}

/** The object in a response, empty where it is of another kind. */
const objectOf = ({ response }: Answered, kind: string, apiVersion: string): Fields =>
  objectIn(response, kind, apiVersion) ?? {}

// ---------------------------------------------------------------------------
// identity
// ---------------------------------------------------------------------------

interface Identity {
  readonly check: Check
  /** The end of the advice to bind a role: `to User jane`. */
  readonly subject: string
}

const identityOf = (connection: Connection): Effect.Effect<Identity, BackendError> =>
  Effect.map(review(connection, "authentication.k8s.io", "SelfSubjectReview"), (answered): Identity => {
    const reviewed = objectOf(answered, "SelfSubjectReview", "authentication.k8s.io/v1")
    const user = fieldsOf(fieldsOf(reviewed["status"])["userInfo"])
    const name = textOf(user["username"])
    const groups = textsOf(user["groups"])
    if (answered.response.status === 401) {
      return {
        subject: "",
        check: {
          name: "identity",
          state: "broken",
          found: `the API server does not accept the credentials (${saidBy(answered)})`,
          advice: "renew the token, the certificate or the login that the kubeconfig names"
        }
      }
    }
    if (name === undefined) {
      const found =
        answered.response.status === 404
          ? "this server is too old to report the user: Kubernetes does since version 1.28"
          : `the server does not report the user (${saidBy(answered)})`
      return { subject: "", check: { name: "identity", state: "note", found } }
    }
    const isAnonymous = name === "system:anonymous"
    return {
      subject: subjectOf(name),
      check: {
        name: "identity",
        state: isAnonymous ? "broken" : "ok",
        found: groups.length === 0 ? name : `${name}, of ${groups.join(", ")}`,
        ...(isAnonymous
          ? { advice: `give context ${connection.context} a user with credentials in the kubeconfig` }
          : undefined),
        facts: { user: name, groups }
      }
    }
  })

// ---------------------------------------------------------------------------
// permissions
// ---------------------------------------------------------------------------

const VERBS = ["create", "patch", "list", "watch", "get"] as const

type Verb = (typeof VERBS)[number]

/** What the verb is needed for, and which verbs that needs together. */
const pairs: { readonly [V in Verb]: { readonly purpose: string; readonly pair: ReadonlyArray<Verb> } } = {
  create: { purpose: "recording", pair: ["create", "patch"] },
  patch: { purpose: "recording: counts grow by it", pair: ["create", "patch"] },
  list: { purpose: "reading", pair: ["list", "watch"] },
  watch: { purpose: "following", pair: ["list", "watch"] },
  get: { purpose: "looking up one event by its name where list is not allowed", pair: [] }
}

/** `undefined` where the server does not say. */
type Allowed = boolean | undefined

const isAllowed = (connection: Connection, resourceAttributes: Fields): Effect.Effect<Allowed, BackendError> =>
  Effect.map(
    review(connection, "authorization.k8s.io", "SelfSubjectAccessReview", { resourceAttributes }),
    (answered) => {
      const reviewed = objectOf(answered, "SelfSubjectAccessReview", "authorization.k8s.io/v1")
      const { allowed } = fieldsOf(reviewed["status"])
      return answered.response.status === 201 && typeof allowed === "boolean" ? allowed : undefined
    }
  )

const eventChecks = (
  allowed: ReadonlyMap<Verb, Allowed>,
  namespace: string | undefined,
  subject: string
): ReadonlyArray<Check> => {
  const where = namespace === undefined ? "in all namespaces" : `in namespace ${namespace}`
  const mayAll = (verbs: ReadonlyArray<Verb>) => verbs.every((verb) => allowed.get(verb) === true)
  const mayAny = (verbs: ReadonlyArray<Verb>) => verbs.some((verb) => allowed.get(verb) === true)
  return VERBS.map((verb): Check => {
    const { pair, purpose } = pairs[verb]
    const right = allowed.get(verb)
    const common = { name: `${verb} events`, facts: { verb, allowed: right ?? null, namespace: namespace ?? null } }
    if (right === true) return { ...common, state: "ok", found: `allowed ${where}` }
    if (right === undefined)
      return { ...common, state: "note", found: `the server does not say whether it is allowed ${where}` }
    if (pair.length === 0) return { ...common, state: "ok", found: `not allowed ${where}; needed for ${purpose}` }
    // To read only or to write only is what the documentation recommends. One verb of a pair is of no use.
    const other = pair.includes("create") ? pairs.list.pair : pairs.create.pair
    const isOnPurpose = !mayAny(pair) && mayAll(other)
    const missing = pair.filter((one) => allowed.get(one) === false)
    return {
      ...common,
      state: isOnPurpose ? "note" : "broken",
      found: `not allowed ${where}; needed for ${purpose}`,
      // One rule for the missing verbs of a pair, with the first of them.
      ...(missing[0] === verb
        ? { advice: `${ruleFor({ verbs: missing, group: "", resource: "events", namespace })}${subject}` }
        : undefined)
    }
  })
}

const clusterIdCheck = (allowed: Allowed, subject: string): Check => {
  const common = { name: "get namespace kube-system", facts: { verb: "get", allowed: allowed ?? null } }
  if (allowed === true) return { ...common, state: "ok", found: "allowed: its uid tells this cluster from all others" }
  const permission = { verbs: ["get"], group: "", resource: "namespaces", resourceNames: ["kube-system"] }
  return {
    ...common,
    state: "note",
    found:
      (allowed === false ? "not allowed" : "the server does not say whether it is allowed") +
      ": cursors and journals are bound to the uid of the service account, or for other users to the address of the server",
    ...(allowed === false ? { advice: `${ruleFor({ ...permission, namespace: "kube-system" })}${subject}` } : undefined)
  }
}

/** Kinds that are named; of more only the number is said. */
const MOST_KINDS = 5

/** What Kubernetes lets every service account read (the role `system:cluster-trust-bundle-discovery`). */
const GRANTED_TO_ALL = "clustertrustbundles.certificates.k8s.io"

/** The kinds that may be read by name, as `deployments.apps`; `undefined` where the server does not say. */
const readableKinds = (
  connection: Connection,
  namespace: string | undefined
): Effect.Effect<ReadonlyArray<string> | undefined, BackendError> =>
  Effect.map(
    review(connection, "authorization.k8s.io", "SelfSubjectRulesReview", { namespace: namespace ?? "default" }),
    (answered) => {
      const { status } = objectOf(answered, "SelfSubjectRulesReview", "authorization.k8s.io/v1")
      if (answered.response.status !== 201 || status === undefined) return undefined
      const { incomplete, resourceRules } = fieldsOf(status)
      const kinds = listOf(resourceRules).flatMap((rule) => {
        const verbs = textsOf(rule["verbs"])
        if (!verbs.includes("get") && !verbs.includes("*")) return []
        if (textsOf(rule["resourceNames"]).length > 0) return []
        return textsOf(rule["apiGroups"]).flatMap((group) =>
          textsOf(rule["resources"])
            .filter((resource) => resource !== "events" && !resource.includes("/"))
            .map((resource) => (group === "" ? resource : `${resource}.${group}`))
        )
      })
      const own = [...new Set(kinds)].filter((kind) => kind !== GRANTED_TO_ALL).sort()
      return own.length === 0 && incomplete === true ? undefined : own
    }
  )

const involvedObjectsCheck = (
  kinds: ReadonlyArray<string> | undefined,
  namespace: string | undefined,
  subject: string
): Check => {
  const common = { name: "get involved objects", facts: { verb: "get", kinds: kinds ?? null } }
  const without = "events about other objects carry no uid, by which kubectl describe finds them"
  const where = namespace === undefined ? "" : ` in namespace ${namespace}`
  if (kinds === undefined) {
    return { ...common, state: "note", found: `the server does not say which kinds may be read${where}` }
  }
  if (kinds.length > 0) {
    const rest = kinds.length > MOST_KINDS ? ` and ${kinds.length - MOST_KINDS} more` : ""
    const named = kinds.includes("*.*") ? "all kinds" : `${kinds.slice(0, MOST_KINDS).join(", ")}${rest}`
    return { ...common, state: "ok", found: `allowed for ${named}${where}; ${without}` }
  }
  const example = ruleFor({ verbs: ["get"], group: "apps", resource: "deployments", namespace })
  return {
    ...common,
    state: "note",
    found: `not allowed for any kind${where}: events carry no uid, by which kubectl describe finds them`,
    advice: `for each kind that you report on: ${example}${subject}`
  }
}

const rightsOf = (
  connection: Connection,
  namespace: string | undefined,
  subject: string
): Effect.Effect<{ readonly checks: ReadonlyArray<Check>; readonly mayList: boolean }, BackendError> =>
  Effect.gen(function* () {
    const answers = yield* Effect.forEach(
      VERBS,
      (verb) =>
        Effect.map(
          isAllowed(connection, { verb, resource: "events", ...(namespace === undefined ? undefined : { namespace }) }),
          (allowed) => [verb, allowed] as const
        ),
      { concurrency: "unbounded" }
    )
    const mayIdentify = yield* isAllowed(connection, {
      verb: "get",
      resource: "namespaces",
      name: "kube-system",
      namespace: "kube-system"
    })
    const kinds = yield* readableKinds(connection, namespace)
    const allowed = new Map(answers)
    return {
      checks: [
        ...eventChecks(allowed, namespace, subject),
        clusterIdCheck(mayIdentify, subject),
        involvedObjectsCheck(kinds, namespace, subject)
      ],
      mayList: allowed.get("list") !== false
    }
  })

// ---------------------------------------------------------------------------
// clock
// ---------------------------------------------------------------------------

/** A smaller difference cannot be measured: the header has whole seconds. */
const NOTED_SKEW_MILLIS = 2_000

/** From this difference on, ages are misleading, and tokens and certificates may seem invalid. */
const BROKEN_SKEW_MILLIS = 60_000

const lengthOf = (millis: number): string => Duration.format(Duration.seconds(Math.round(millis / 1_000)))

/**
 * How far the clock of the server is ahead of this one, at least. The header was written between request and response, and
 * has no fraction of the second.
 */
const skewOf = ({ answered, asked, response }: Answered): number | undefined => {
  const date = Date.parse(response.headers["date"] ?? "")
  if (Number.isNaN(date)) return undefined
  const least = date - answered
  const most = date + 999 - asked
  return least > 0 ? least : most < 0 ? most : 0
}

const clockCheck = (skew: number | undefined): Check => {
  if (skew === undefined) return { name: "clock", state: "note", found: "the server does not report its time" }
  const size = Math.abs(skew)
  const facts = { aheadSeconds: Math.round(skew / 1_000) }
  if (size < NOTED_SKEW_MILLIS) return { name: "clock", state: "ok", found: "this machine and the server agree", facts }
  return {
    name: "clock",
    state: size < BROKEN_SKEW_MILLIS ? "note" : "broken",
    found: `the server is ${lengthOf(size)} ${skew > 0 ? "ahead of" : "behind"} this machine`,
    advice: "set both clocks by the same source (NTP): ages and --since are off by as much",
    facts
  }
}

// ---------------------------------------------------------------------------
// retention
// ---------------------------------------------------------------------------

const PAGE = 500

/** A sample of a cluster with more events. */
const PAGES = 4

/** When an event was last written. Only a write that changes it renews its time to live. */
const writtenAt = (event: unknown): number => {
  const metadata = fieldsOf(fieldsOf(event)["metadata"])
  const times = [metadata["creationTimestamp"], ...listOf(metadata["managedFields"]).map(({ time }) => time)]
  return Math.max(...times.map((time) => Date.parse(textOf(time) ?? "")).filter((time) => !Number.isNaN(time)))
}

const retentionCheck = (
  connection: Connection,
  namespace: string | undefined,
  skew: number
): Effect.Effect<Check, BackendError> =>
  Effect.gen(function* () {
    const path =
      namespace === undefined ? "/api/v1/events" : `/api/v1/namespaces/${encodeURIComponent(namespace)}/events`
    let oldest = Number.POSITIVE_INFINITY
    let seen = 0
    let more: string | undefined
    let rest = 0
    for (let page = 0; page < PAGES; page++) {
      const next = more === undefined ? "" : `&continue=${encodeURIComponent(more)}`
      const answered = yield* ask(connection, { method: "GET", path: `${path}?limit=${PAGE}${next}` })
      const list = objectOf(answered, "EventList", "v1")
      const items: unknown = list["items"]
      if (answered.response.status !== 200 || !(Array.isArray(items) || items === null)) {
        // The pages before hold.
        if (seen > 0) break
        return { name: "retention", state: "note", found: `the events cannot be listed (${saidBy(answered)})` }
      }
      const metadata = fieldsOf(list["metadata"])
      for (const item of items ?? []) {
        const at = writtenAt(item)
        if (Number.isFinite(at)) oldest = Math.min(oldest, at)
      }
      seen += items?.length ?? 0
      more = textOf(metadata["continue"])
      rest = typeof metadata["remainingItemCount"] === "number" ? metadata["remainingItemCount"] : 0
      if (more === undefined) break
    }
    const where = namespace === undefined ? "in the cluster" : `in namespace ${namespace}`
    if (seen === 0) {
      const found = `there are no events ${where} to estimate from; kube-apiserver keeps them for 1h unless --event-ttl says otherwise`
      return { name: "retention", state: "ok", found, facts: { events: 0, oldestSeconds: null } }
    }
    const age = Math.max(0, (yield* Clock.currentTimeMillis) + skew - oldest)
    const events = `${seen + rest} ${seen + rest === 1 ? "event" : "events"} ${where}`
    const sample = rest === 0 ? "the oldest" : `the oldest of the first ${seen}`
    return {
      name: "retention",
      state: "ok",
      found: `${events}; ${sample} was written ${lengthOf(age)} ago, so the cluster keeps them at least that long`,
      facts: { events: seen + rest, oldestSeconds: Math.round(age / 1_000) }
    }
  })

// ---------------------------------------------------------------------------
// checks
// ---------------------------------------------------------------------------

const failed = ({ reason }: BackendError, connection: Connection): Check =>
  reason._tag === "Unauthorized"
    ? {
        name: "identity",
        state: "broken",
        found: reason.detail,
        advice: `fix the source of the credentials of context ${connection.context}`
      }
    : {
        name: "reachable",
        state: "broken",
        found: reason.detail,
        advice: `check the address of context ${connection.context}, the network or VPN to it, and that the API server runs`
      }

/**
 * Checks a cluster over a connection. Only reads, and never fails: what goes wrong is in the result.
 *
 * @category checks
 * @since 0.1.0
 */
export const runWith = (connection: Connection, place?: Place): Effect.Effect<ReadonlyArray<Check>> =>
  Effect.gen(function* () {
    const namespace = place?.allNamespaces === true ? undefined : (place?.namespace ?? connection.namespace)
    const checks: Array<Check> = [
      {
        name: "configuration",
        state: "ok",
        found: `context ${connection.context} of ${connection.source}`,
        facts: {
          source: connection.source,
          context: connection.context,
          server: connection.server,
          namespace: namespace ?? null
        }
      }
    ]
    const looked = Effect.gen(function* () {
      const version = yield* ask(connection, { method: "GET", path: "/version" })
      const millis = version.answered - version.asked
      checks.push({
        name: "reachable",
        state: "ok",
        found: `${connection.server} answers in ${millis} ms`,
        facts: { millis }
      })
      const gitVersion = textOf(version.body["gitVersion"])
      if (gitVersion !== undefined) {
        checks.push({ name: "version", state: "ok", found: gitVersion, facts: { version: gitVersion } })
      } else if (version.response.status < 400) {
        checks.push({
          name: "version",
          state: "broken",
          found: `something other than an API server answers (${saidBy(version)})`,
          advice: `check the address of context ${connection.context}, and the gateways and proxies on the way to it`
        })
      } else if (version.response.status !== 401) {
        checks.push({
          name: "version",
          state: "note",
          found: `the server does not report its version (${saidBy(version)}): it may not be an API server, or a gateway may be in front of it`
        })
      }
      const identity = yield* identityOf(connection)
      checks.push(identity.check)
      const skew = skewOf(version)
      if (identity.check.state !== "broken" || identity.subject !== "") {
        const { checks: rights, mayList } = yield* rightsOf(connection, namespace, identity.subject)
        checks.push(...rights)
        if (mayList) checks.push(yield* retentionCheck(connection, namespace, skew ?? 0))
      }
      checks.push(clockCheck(skew))
    })
    yield* Effect.catch(looked, (error) => Effect.sync(() => checks.push(failed(error, connection))))
    return checks
  })

/**
 * Checks a cluster: whether it is configured and reachable, its version, the user it sees, which verbs on events are allowed,
 * the uid of which objects may be looked up, how long it keeps events, and whether its clock and the local one agree.
 *
 * **When to use**
 *
 * To find out why events do not arrive, or which permissions a service account still needs. Only reads.
 *
 * **Details**
 *
 * Where only recording (`create` and `patch`) or only reading (`list` and `watch`) is allowed, the rest is a `note`; one verb
 * of either, or none, is `broken`.
 *
 * **Example**
 *
 * ```ts
 * import * as KubernetesCheck from "@tidings/backend-k8s/KubernetesCheck"
 * import * as Effect from "effect/Effect"
 * import assert from "node:assert/strict"
 *
 * const [configuration] = await Effect.runPromise(KubernetesCheck.run({ kubeconfig: "/nowhere/kubeconfig" }))
 * assert.equal(configuration?.state, "broken")
 * ```
 *
 * @category checks
 * @since 0.1.0
 */
export const run = (options?: Options): Effect.Effect<ReadonlyArray<Check>> =>
  KubernetesConnection.make({ ...options, timeout: options?.timeout ?? "10 seconds" }).pipe(
    Effect.flatMap((connection) => runWith(connection, options)),
    Effect.catch((error) =>
      Effect.succeed<ReadonlyArray<Check>>([
        {
          name: "configuration",
          state: "broken",
          found: error.reason.detail,
          advice: "name a kubeconfig with --kubeconfig or KUBECONFIG, and a context of it with --context"
        }
      ])
    ),
    Effect.scoped
  )
