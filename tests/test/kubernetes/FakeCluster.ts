/**
 * An API server in memory, as a `KubernetesConnection`: events only, without sockets, for tests of what is asked and of
 * what the answers mean. What it answers is what a real server was seen to answer.
 */
import * as BackendError from "@tidings/core/BackendError"
import * as Target from "@tidings/core/Target"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Queue from "effect/Queue"
import * as Stream from "effect/Stream"
import {
  KubernetesConnection,
  type KubernetesRequest,
  type KubernetesResponse,
  type KubernetesStream
} from "@tidings/backend-k8s/KubernetesConnection"
import { answer, failure } from "../../../packages/backend-k8s/test/answers.ts"

type Json = { [key: string]: any }

interface Change {
  readonly version: number
  readonly type: "ADDED" | "MODIFIED" | "DELETED"
  readonly object: Json
}

type Connection = Queue.Queue<Uint8Array, BackendError.BackendError | Cause.Done>

interface Watcher {
  readonly matches: (object: Json) => boolean
  readonly connection: Connection
}

export const reset = BackendError.make(
  new BackendError.Transient({ applied: "unknown", detail: "read ECONNRESET" }),
  new Error("read ECONNRESET")
)

export const refused = BackendError.make(
  new BackendError.Transient({ applied: "no", detail: "connect ECONNREFUSED" }),
  new Error("connect ECONNREFUSED")
)

const merge = (target: Json, patch: Json): Json => {
  const merged: Json = { ...target }
  for (const [key, value] of Object.entries(patch)) {
    if (value === null) delete merged[key]
    else if (typeof value === "object" && !Array.isArray(value)) merged[key] = merge(merged[key] ?? {}, value)
    else merged[key] = value
  }
  return merged
}

const at = (object: Json, path: string): string => {
  if (path === "source") return object["source"]?.component ?? object["reportingComponent"] ?? ""
  return String(path.split(".").reduce<any>((value, key) => value?.[key], object) ?? "")
}

const selectorOf = (text: string | null): ((object: Json) => boolean) => {
  const terms = (text ?? "").split(/(?<!\\),/).filter((term) => term !== "")
  return (object) =>
    terms.every((term) => {
      const [, field = "", operator, value = ""] = /^([A-Za-z.]+)(!=|=)(.*)$/.exec(term)!
      return (at(object, field) === value.replace(/\\(.)/g, "$1")) === (operator === "=")
    })
}

export class FakeCluster {
  uid = "00000000-0000-4000-8000-000000000001"
  version = 100
  /** History up to here is gone. */
  compactedAt = 0
  readonly objects = new Map<string, Json>()
  readonly history: Array<Change> = []
  readonly watchers = new Set<Watcher>()
  readonly requests: Array<KubernetesRequest> = []
  readonly opened: Array<string> = []
  /** Answers in place of the server, where it has an answer; before it, or after the server has done its work. */
  before: (request: KubernetesRequest) => KubernetesResponse | BackendError.BackendError | undefined = () => undefined
  after: (request: KubernetesRequest, response: KubernetesResponse) => KubernetesResponse | BackendError.BackendError =
    (_, response) => response
  beforeOpen: (
    path: string
  ) => KubernetesResponse | BackendError.BackendError | "closed" | { readonly page: string } | undefined = () =>
    undefined
  /** Waits before each answer. */
  delay: Effect.Effect<void> = Effect.void
  /** What answers in place of the uid. */
  found: Target.Target | undefined
  targetsAsked = 0
  targetDelay: Effect.Effect<void> = Effect.void
  targetFails: BackendError.BackendError | undefined
  epoch = 0
  inFlight = 0
  mostInFlight = 0

  readonly service = KubernetesConnection.of({
    server: "https://fake",
    context: "fake",
    namespace: "default",
    source: "fake",
    isLoggingIn: () => false,
    request: (request) =>
      Effect.suspend(() => {
        this.requests.push(request)
        this.inFlight++
        this.mostInFlight = Math.max(this.mostInFlight, this.inFlight)
        return Effect.ensuring(
          Effect.andThen(
            this.delay,
            Effect.suspend((): Effect.Effect<KubernetesResponse, BackendError.BackendError> => {
              const early = this.before(request)
              const result = early ?? this.after(request, this.serve(request))
              if (result instanceof BackendError.BackendError || result.status >= 500) this.epoch++
              return result instanceof BackendError.BackendError ? Effect.fail(result) : Effect.succeed(result)
            })
          ),
          Effect.sync(() => {
            this.inFlight--
          })
        )
      }),
    open: (path) =>
      Effect.suspend((): Effect.Effect<KubernetesStream, BackendError.BackendError> => {
        this.opened.push(path)
        const early = this.beforeOpen(path)
        if (early instanceof BackendError.BackendError) {
          this.epoch++
          return Effect.fail(early)
        }
        if (early === "closed")
          return Effect.succeed({ status: 200, headers: {}, text: Effect.succeed(""), bytes: Stream.empty })
        if (early !== undefined && "page" in early) {
          const bytes = Stream.succeed(new TextEncoder().encode(early.page))
          const headers = { "content-type": "text/html" }
          return Effect.succeed({ status: 200, headers, text: Effect.succeed(early.page), bytes })
        }
        if (early !== undefined) {
          return Effect.succeed({ ...early, text: Effect.succeed(early.body), bytes: Stream.empty })
        }
        return this.watch(path)
      }),
    target: Effect.suspend(() => {
      this.targetsAsked++
      return Effect.andThen(
        this.targetDelay,
        Effect.suspend(() =>
          this.targetFails === undefined
            ? Effect.succeed(this.found ?? Target.make(this.uid))
            : Effect.fail(this.targetFails)
        )
      )
    }),
    epoch: () => this.epoch
  })

  get layer(): Layer.Layer<KubernetesConnection> {
    return Layer.succeed(KubernetesConnection, this.service)
  }

  // -------------------------------------------------------------------------

  private commit(type: Change["type"], key: string, object: Json): Json {
    const stored: Json = { ...object, metadata: { ...object["metadata"], resourceVersion: String(++this.version) } }
    if (type === "DELETED") this.objects.delete(key)
    else this.objects.set(key, stored)
    const change: Change = { version: this.version, type, object: stored }
    this.history.push(change)
    for (const watcher of this.watchers) {
      if (watcher.matches(stored)) this.send(watcher.connection, change.type, stored)
    }
    return stored
  }

  private send(connection: Connection, type: string, object: Json): void {
    Queue.offerUnsafe(connection, new TextEncoder().encode(`${JSON.stringify({ type, object })}\n`))
  }

  /** An event of somebody else. */
  put(name: string, object: Json, namespace = "default"): Json {
    const key = `${namespace}/${name}`
    const old = this.objects.get(key)
    const metadata = {
      uid: `uid-of-${name}`,
      creationTimestamp: "2026-01-01T00:00:00Z",
      ...object["metadata"],
      name,
      namespace
    }
    return this.commit(old === undefined ? "ADDED" : "MODIFIED", key, { ...object, metadata })
  }

  remove(key: string): void {
    const object = this.objects.get(key)
    if (object !== undefined) this.commit("DELETED", key, object)
  }

  compact(): void {
    this.compactedAt = this.version
  }

  /** Breaks every watch. */
  cut(error: BackendError.BackendError = reset): void {
    this.epoch++
    for (const { connection } of this.takeWatchers()) Queue.failCauseUnsafe(connection, Cause.fail(error))
  }

  /** Ends every watch as the server does after its time. */
  end(): void {
    for (const { connection } of this.takeWatchers()) Queue.endUnsafe(connection)
  }

  /** What ends may begin anew at once, and must not end with the others. */
  private takeWatchers(): ReadonlyArray<Watcher> {
    const watchers = [...this.watchers]
    this.watchers.clear()
    return watchers
  }

  sendToAll(line: string): void {
    for (const { connection } of this.watchers) Queue.offerUnsafe(connection, new TextEncoder().encode(line))
  }

  // -------------------------------------------------------------------------

  private serve(request: KubernetesRequest): KubernetesResponse {
    const url = new URL(request.path, "https://fake")
    const match = /^\/api\/v1(?:\/namespaces\/([^/]+))?\/events(?:\/(.+))?$/.exec(url.pathname)
    if (match === null) return failure(404, "NotFound", "the server could not find the requested resource")
    const [, namespace, name] = match
    if (request.method === "GET" && name !== undefined) {
      const found = this.objects.get(`${namespace}/${decodeURIComponent(name)}`)
      return found === undefined
        ? failure(404, "NotFound", `events "${name}" not found`, { kind: "events", name })
        : answer(200, { apiVersion: "v1", kind: "Event", ...found })
    }
    if (request.method === "GET") return this.list(namespace, url.searchParams)
    const body: Json = JSON.parse(request.body ?? "{}")
    if (request.method === "POST") {
      const key = `${namespace}/${body["metadata"].name}`
      if (this.objects.has(key)) {
        return failure(409, "AlreadyExists", `events "${body["metadata"].name}" already exists`, { kind: "events" })
      }
      return answer(
        201,
        this.commit("ADDED", key, { ...body, metadata: { ...body["metadata"], uid: `uid-${this.version}` } })
      )
    }
    const key = `${namespace}/${name}`
    const old = this.objects.get(key)
    if (old === undefined) return failure(404, "NotFound", `events "${name}" not found`, { kind: "events", name })
    const wanted = body["metadata"]?.resourceVersion
    if (wanted !== undefined && wanted !== old["metadata"].resourceVersion) {
      return failure(409, "Conflict", "the object has been modified", { kind: "events", name })
    }
    const merged = merge(old, body)
    if (JSON.stringify(merged) === JSON.stringify(old)) return answer(200, old)
    return answer(200, this.commit("MODIFIED", key, merged))
  }

  private list(namespace: string | undefined, parameters: URLSearchParams): KubernetesResponse {
    const matches = selectorOf(parameters.get("fieldSelector"))
    const [version, after = ""] = (parameters.get("continue") ?? "").split(" ")
    if (version !== "" && Number(version) < this.compactedAt) {
      return failure(410, "Expired", "The provided continue parameter is too old")
    }
    const all = [...this.objects]
      .filter(
        ([key, object]) =>
          (namespace === undefined || key.startsWith(`${namespace}/`)) && key > after && matches(object)
      )
      .sort(([a], [b]) => (a < b ? -1 : 1))
    const limit = Number(parameters.get("limit") ?? Number.POSITIVE_INFINITY)
    const page = all.slice(0, limit)
    const last = page.at(-1)
    return answer(200, {
      kind: "EventList",
      apiVersion: "v1",
      metadata: {
        resourceVersion: version === "" || version === undefined ? String(this.version) : version,
        ...(page.length < all.length
          ? { continue: `${version === "" ? this.version : version} ${last![0]}` }
          : undefined)
      },
      items: page.map(([, object]) => object)
    })
  }

  private watch(path: string): Effect.Effect<KubernetesStream> {
    return Effect.gen({ self: this }, function* () {
      const url = new URL(path, "https://fake")
      const namespace = /\/namespaces\/([^/]+)\//.exec(url.pathname)?.[1]
      const selected = selectorOf(url.searchParams.get("fieldSelector"))
      const matches = (object: Json) =>
        (namespace === undefined || object["metadata"].namespace === namespace) && selected(object)
      const from = Number(url.searchParams.get("resourceVersion"))
      const connection: Connection = yield* Queue.make<Uint8Array, BackendError.BackendError | Cause.Done>()
      if (from < this.compactedAt) {
        this.send(connection, "ERROR", {
          kind: "Status",
          code: 410,
          reason: "Expired",
          message: "The resourceVersion for the provided watch is too old."
        })
        Queue.endUnsafe(connection)
      } else {
        for (const { object, type, version } of this.history) {
          if (version > from && matches(object)) this.send(connection, type, object)
        }
        this.watchers.add({ matches, connection })
      }
      return { status: 200, headers: {}, text: Effect.succeed(undefined), bytes: Stream.fromQueue(connection) }
    })
  }
}
