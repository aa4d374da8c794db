import { assert, describe, it } from "@effect/vitest"
import { connectionError, readErrorOf } from "../src/internal/requestErrors.ts"
import { isExpired, statusOf } from "../src/internal/response.ts"
import { answer as reply, failure } from "./answers.ts"
import { reasonOf, short, type Verb, verdict } from "./verdicts.ts"

const detailOf = (verb: Verb, response: ReturnType<typeof reply>): string => {
  const found = verdict(verb, response)
  if (found._tag !== "Final" || found.outcome._tag !== "Retry") throw new Error("not to be repeated")
  return found.outcome.error.message
}

const events = { kind: "events", name: "web.1" }
const stored = { kind: "Event", apiVersion: "v1", metadata: { name: "order-1.1", resourceVersion: "7" } }

/** As kube-apiserver 1.37 answers a create. */
const plain =
  '{"kind":"Event","apiVersion":"v1","metadata":{"name":"order-1.1","namespace":"shop","uid":"edf86ac1-354c-476a-a756-8c9c8572b005",' +
  '"resourceVersion":"20245","creationTimestamp":"2026-11-28T07:42:35Z","annotations":{"tidings.dev/seq":"1",' +
  '"tidings.dev/series":"6c6d306782b3b3db4c73be3fe0dd5ebe.1"},"managedFields":[{"manager":"tidings","operation":"Update",' +
  '"apiVersion":"v1","time":"2026-11-28T07:42:35Z","fieldsType":"FieldsV1","fieldsV1":{"f:reason":{}}}]},"involvedObject":' +
  '{"kind":"Order","namespace":"shop","name":"order-1"},"reason":"Paid","message":"\\"resourceVersion\\":\\"1\\"","source":{},' +
  '"firstTimestamp":null,"lastTimestamp":null,"count":1,"type":"Normal","eventTime":null,"reportingComponent":"","reportingInstance":""}\n'

describe("the event in an answer", () => {
  const isApplied = (body: string) =>
    verdict("create", { status: 201, headers: { "content-type": "application/json" }, body })._tag === "Applied"

  it("is known whether it is written as API servers do or in another way", () => {
    for (const body of [plain, plain.trimEnd(), JSON.stringify(JSON.parse(plain), null, 2)]) {
      assert.isTrue(isApplied(body), body)
    }
  })

  it("is not taken from an answer that is cut off anywhere", () => {
    for (let length = 0; length < plain.trimEnd().length; length++) {
      assert.isFalse(isApplied(plain.slice(0, length)), String(length))
      assert.isFalse(isApplied(`${plain.slice(0, length)}\n`), String(length))
    }
  })

  it("is not another one, nor another kind of object", () => {
    for (const [from, to] of [
      ['"kind":"Event"', '"kind":"EventList"'],
      ['"kind":"Event"', '"kind":"Status"'],
      ['"apiVersion":"v1"', '"apiVersion":"events.k8s.io/v1"'],
      ['"name":"order-1.1"', '"name":"order-1.10"'],
      ['"name":"order-1.1"', '"name":"order-1"'],
      ['"name":"order-1.1"', '"name":"another"'],
      ['"resourceVersion":"20245"', '"resourceVersion":""'],
      ['"metadata":{', '"metadata":[{']
    ] as const) {
      assert.include(plain, from)
      assert.isFalse(isApplied(plain.replace(from, to)), to)
    }
  })
})

describe("the answer to a write", () => {
  const rows: ReadonlyArray<readonly [string, Verb, ReturnType<typeof reply>, string]> = [
    ["created", "create", reply(201, stored), "Applied"],
    ["patched, or nothing to change", "patch", reply(200, stored), "Applied"],
    [
      "created, but the answer broke off",
      "create",
      { status: 201, headers: {}, body: undefined },
      "Retry Transient unknown"
    ],
    ["created, but the answer is no JSON", "create", reply(201, "<html>"), "Retry Transient unknown"],
    ["the name is taken", "create", failure(409, "AlreadyExists", "already exists", events), "Exists"],
    ["another version", "patch", failure(409, "Conflict", "the object has been modified", events), "Conflict"],
    ["a conflict that nobody knows", "create", failure(409, "", "hm"), "Retry Transient no"],
    ["no such event", "patch", failure(404, "NotFound", 'events "web.1" not found', events), "Missing"],
    [
      "no such namespace",
      "create",
      failure(404, "NotFound", 'namespaces "shop" not found', { kind: "namespaces", name: "shop" }),
      "Retry Transient no, park after 1m"
    ],
    [
      "no such namespace, on a patch",
      "patch",
      failure(404, "NotFound", 'namespaces "shop" not found', { kind: "namespaces" }),
      "Retry Transient no, park after 1m"
    ],
    ["no such path", "create", reply(404, "404 page not found\n"), "Retry Unavailable"],
    [
      "the namespace is being deleted",
      "create",
      failure(403, "Forbidden", "because it is being terminated", {
        ...events,
        causes: [
          { reason: "NamespaceTerminating", message: "namespace shop is being terminated", field: "metadata.namespace" }
        ]
      }),
      "Rejected namespace-terminating"
    ],
    [
      "no permission",
      "create",
      failure(403, "Forbidden", 'User "u" cannot create resource "events"', events),
      "Retry Unauthorized"
    ],
    [
      "no permission to patch",
      "patch",
      failure(403, "Forbidden", 'User "u" cannot patch resource "events"', events),
      "Retry Unauthorized"
    ],
    [
      "admission is not ready",
      "create",
      failure(403, "Forbidden", "not yet ready to handle request", events),
      "Retry Transient no"
    ],
    [
      "quota",
      "create",
      failure(403, "Forbidden", 'events "web.1" is forbidden: exceeded quota: q', events),
      "Retry Full"
    ],
    [
      "a webhook says no",
      "create",
      failure(403, "Forbidden", 'admission webhook "w.dev" denied the request: no', {}),
      "Retry Transient no, park after 10m"
    ],
    [
      "a webhook says no with 400",
      "create",
      failure(400, "", 'admission webhook "w.dev" denied the request: no', {}),
      "Retry Transient no, park after 10m"
    ],
    [
      "a policy says no",
      "create",
      failure(422, "Invalid", "ValidatingAdmissionPolicy 'p' with binding 'b' denied request: no", {}),
      "Retry Transient no, park after 10m"
    ],
    ["unknown credentials", "create", failure(401, "Unauthorized", "Unauthorized"), "Retry Unauthorized"],
    [
      "malformed",
      "create",
      failure(400, "BadRequest", "Event in version v1 cannot be handled"),
      "Rejected bad-request"
    ],
    [
      "malformed, says something else",
      "create",
      reply(400, "Client sent an HTTP request to an HTTPS server.\n"),
      "Retry Unavailable"
    ],
    [
      "not acceptable",
      "create",
      failure(406, "NotAcceptable", "only the following media types are accepted"),
      "Retry Unavailable"
    ],
    [
      "method not allowed",
      "patch",
      failure(405, "MethodNotAllowed", "the server does not allow this method"),
      "Retry Unavailable"
    ],
    [
      "media type",
      "patch",
      failure(415, "UnsupportedMediaType", "the body of the request was in an unknown format"),
      "Retry Unavailable"
    ],
    ["a redirect", "create", reply(307, ""), "Retry Transient unknown"],
    ["a page of a gateway", "create", reply(200, "<html>"), "Retry Transient unknown"],
    ["a page of a gateway that refuses", "create", reply(403, "<html>"), "Retry Unavailable"],
    [
      "a mutating policy that fails",
      "create",
      failure(403, "Invalid", "policy 'p' with binding 'b' denied request: no such key", {}),
      "Retry Transient no, park after 10m"
    ],
    [
      "something that judges it, with a reason of its own",
      "patch",
      failure(403, "SomethingElse", "not on a Sunday", {}),
      "Retry Transient no, park after 10m"
    ],
    ["gave up waiting for us", "create", reply(408, ""), "Retry Transient unknown"],
    ["too large for the server", "create", failure(413, "RequestEntityTooLarge", "limit is 3145728"), "TooLarge"],
    ["too large for etcd", "create", failure(500, "", "etcdserver: request is too large"), "TooLarge"],
    [
      "too large for the way to etcd",
      "create",
      failure(500, "", "rpc error: trying to send message larger than max (2097388 vs. 2097152)"),
      "TooLarge"
    ],
    [
      "invalid",
      "create",
      failure(422, "Invalid", "message: can have at most 1024 characters", {
        ...events,
        causes: [{ field: "message" }]
      }),
      "Invalid"
    ],
    [
      "priority and fairness",
      "create",
      failure(429, "TooManyRequests", "please try again later", { retryAfterSeconds: 3 }, { "retry-after": "2" }),
      "Retry Throttled backend 2s"
    ],
    [
      "a time in the body alone",
      "create",
      failure(429, "TooManyRequests", "later", { retryAfterSeconds: 3 }),
      "Retry Throttled backend 3s"
    ],
    [
      "EventRateLimit on a namespace",
      "create",
      failure(429, "TooManyRequests", "limit reached on type Namespace for key shop"),
      "Retry Throttled namespace"
    ],
    [
      "EventRateLimit on an object",
      "patch",
      failure(429, "TooManyRequests", "limit reached on type SourceAndObject for key x"),
      "Retry Throttled object"
    ],
    [
      "EventRateLimit on a user",
      "create",
      failure(429, "TooManyRequests", "limit reached on type User for key u"),
      "Retry Throttled backend"
    ],
    [
      "EventRateLimit on the server",
      "create",
      failure(429, "TooManyRequests", "limit reached on type Server for key "),
      "Retry Throttled backend"
    ],
    [
      "a webhook that does not answer",
      "create",
      failure(500, "InternalError", 'failed calling webhook "w.dev"'),
      "Retry Transient unknown"
    ],
    [
      "etcd is gone",
      "create",
      failure(500, "", "rpc error: code = Unavailable desc = error reading from server: EOF"),
      "Retry Transient unknown"
    ],
    [
      "the server is late itself",
      "create",
      failure(500, "ServerTimeout", "try again", { retryAfterSeconds: 1 }),
      "Retry Transient unknown"
    ],
    ["bad gateway", "create", reply(502, "<html>"), "Retry Transient unknown"],
    [
      "shutting down",
      "patch",
      failure(503, "ServiceUnavailable", "apiserver is shutting down"),
      "Retry Transient unknown"
    ],
    [
      "timeout, and it may be applied yet",
      "patch",
      failure(504, "Timeout", "request did not complete within requested timeout"),
      "Retry Transient unknown"
    ]
  ]
  for (const [name, verb, response, expected] of rows) {
    it(`${response.status} ${name}: ${expected}`, () => assert.strictEqual(short(verb, response), expected))
  }

  it("a refusal says which rule to add, where, and for whom", () => {
    const refusal = failure(
      403,
      "Forbidden",
      'events is forbidden: User "system:serviceaccount:shop:controller" cannot create resource "events" in API group "" in the namespace "shop"',
      events
    )
    const text = detailOf("create", refusal)
    assert.include(text, '{apiGroups: [""], resources: ["events"], verbs: ["create", "patch"]}')
    assert.include(text, "a Role in namespace shop")
    assert.include(text, "ServiceAccount shop/controller")
  })

  it("what the server said is in the message, and not endless", () => {
    assert.include(detailOf("create", reply(502, "no healthy upstream")), "HTTP 502: no healthy upstream")
    assert.isAtMost(detailOf("create", reply(502, "x".repeat(100_000))).length, 800)
  })
})

describe("the answer to a read", () => {
  const permission = { verbs: ["list", "watch"], group: "", resource: "events", namespace: undefined }
  const rows: ReadonlyArray<readonly [ReturnType<typeof reply>, string]> = [
    [failure(401, "Unauthorized", "Unauthorized"), "Unauthorized"],
    [failure(403, "Forbidden", 'User "u" cannot list resource "events"'), "Unauthorized"],
    [failure(404, "NotFound", "not found"), "Unavailable"],
    [failure(400, "BadRequest", "field label not supported: x"), "Unavailable"],
    [failure(429, "TooManyRequests", "later", {}, { "retry-after": "1" }), "Throttled backend 1s"],
    [failure(500, "", "etcd"), "Transient no"],
    [failure(504, "Timeout", "late"), "Transient no"]
  ]
  for (const [response, expected] of rows) {
    it(`${response.status}: ${expected}`, () =>
      assert.strictEqual(reasonOf(readErrorOf(response, permission)), expected))
  }

  it("a refusal says which rule to add", () => {
    const { message } = readErrorOf(failure(403, "Forbidden", 'User "u" cannot list resource "events"'), permission)
    assert.include(message, '{apiGroups: [""], resources: ["events"], verbs: ["list", "watch"]} to a ClusterRole')
  })

  it("history that is gone is told from other errors", () => {
    assert.isTrue(isExpired(410, statusOf({ kind: "Status" })))
    assert.isFalse(isExpired(410, undefined))
    assert.isTrue(isExpired(0, statusOf({ kind: "Status", reason: "Expired" })))
    assert.isTrue(isExpired(0, statusOf({ kind: "Status", reason: "Gone" })))
    assert.isFalse(isExpired(500, statusOf({ kind: "Status", reason: "InternalError" })))
  })
})

describe("a connection that fails", () => {
  const error = (code: string, message = code) => Object.assign(new Error(message), { code })
  const rows: ReadonlyArray<readonly [unknown, string]> = [
    [error("ECONNREFUSED"), "Transient no"],
    [error("ENOTFOUND"), "Transient no"],
    [error("EAI_AGAIN"), "Transient no"],
    [error("EHOSTUNREACH"), "Transient no"],
    [error("UND_ERR_CONNECT_TIMEOUT"), "Transient no"],
    [new AggregateError([error("ECONNREFUSED"), error("ECONNREFUSED")]), "Transient no"],
    [new Error("fetch failed", { cause: error("ECONNREFUSED") }), "Transient no"],
    [error("ECONNRESET"), "Transient unknown"],
    [error("EPIPE"), "Transient unknown"],
    [error("UND_ERR_SOCKET", "other side closed"), "Transient unknown"],
    [error("HPE_INVALID_CONSTANT"), "Transient unknown"],
    ["thrown text", "Transient unknown"],
    [error("DEPTH_ZERO_SELF_SIGNED_CERT"), "Unavailable"],
    [error("UNABLE_TO_VERIFY_LEAF_SIGNATURE"), "Unavailable"],
    [error("ERR_TLS_CERT_ALTNAME_INVALID"), "Unavailable"],
    [error("CERT_HAS_EXPIRED"), "Unavailable"],
    [error("CERT_NOT_YET_VALID"), "Unavailable"],
    [error("ERR_SSL_WRONG_VERSION_NUMBER"), "Unavailable"],
    [error("UND_ERR_ABORTED", "Proxy response (403) !== 200 when HTTP Tunneling"), "Unavailable"]
  ]
  for (const [cause, expected] of rows) {
    const name = cause instanceof Error && "code" in cause ? String(cause.code) : String(cause)
    it(`${name}: ${expected}`, () => assert.strictEqual(reasonOf(connectionError(cause, "https://k8s")), expected))
  }

  it("the message names the server, the code, and what to look at", () => {
    assert.match(
      connectionError(error("ECONNREFUSED", "connect ECONNREFUSED ::1:6443"), "https://k8s").message,
      /https:\/\/k8s: connect ECONNREFUSED/
    )
    assert.include(
      connectionError(error("CERT_NOT_YET_VALID", "certificate is not yet valid"), "https://k8s").message,
      "clocks"
    )
    assert.include(
      connectionError(error("SELF_SIGNED_CERT_IN_CHAIN", "self-signed"), "https://k8s").message,
      "certificate-authority"
    )
  })

  it("a chain of causes that goes in a circle ends", () => {
    const one = error("ECONNRESET")
    one.cause = one
    assert.strictEqual(reasonOf(connectionError(one, "https://k8s")), "Transient unknown")
  })
})
