/**
 * The API server double without a socket, and a place between it and its client where a test sees every request and may
 * answer in its place.
 */
import * as KubernetesConnection from "@tidings/backend-k8s/KubernetesConnection"
import type { KubernetesRequest, KubernetesResponse } from "@tidings/backend-k8s/KubernetesHttp"
import * as BackendError from "@tidings/core/BackendError"
import type * as Target from "@tidings/core/Target"
import * as ApiServer from "@tidings/testing-k8s/ApiServer"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"

type Json = { [key: string]: any }

type Answer = KubernetesResponse | BackendError.BackendError

export const reset = BackendError.make(
  new BackendError.Transient({ applied: "unknown", detail: "read ECONNRESET" }),
  new Error("read ECONNRESET")
)

export const refused = BackendError.make(
  new BackendError.Transient({ applied: "no", detail: "connect ECONNREFUSED" }),
  new Error("connect ECONNREFUSED")
)

export class InterceptedServer {
  /** What runs behind. */
  readonly double: ApiServer.ApiServer["Service"]
  readonly service: KubernetesConnection.KubernetesConnection["Service"]
  private readonly behind: KubernetesConnection.KubernetesConnection["Service"]
  readonly requests: Array<KubernetesRequest> = []
  /** Answers in place of the server, where it has an answer; before it, or after the server has done its work. */
  before: (request: KubernetesRequest) => Answer | undefined = () => undefined
  after: (request: KubernetesRequest, response: KubernetesResponse) => Answer = (_, response) => response
  /** Waits before each answer. */
  delay: Effect.Effect<void> = Effect.void
  /** The paths of watches. */
  readonly opened: Array<string> = []
  /** What answers in place of the cluster when it is asked which one it is. */
  found: Target.Target | undefined
  targetsAsked = 0
  targetDelay: Effect.Effect<void> = Effect.void
  targetFails: BackendError.BackendError | undefined
  /** How often another cluster may have taken the place of the one before, beside what the connection noticed itself. */
  breaks = 0
  /** The uids of objects that were created by requests, with the order of their creation. */
  private readonly created = new Map<string, number>()
  inFlight = 0
  mostInFlight = 0

  constructor(
    double: ApiServer.ApiServer["Service"],
    connection: KubernetesConnection.KubernetesConnection["Service"]
  ) {
    this.double = double
    this.behind = connection
    this.service = KubernetesConnection.KubernetesConnection.of({
      ...connection,
      request: (request) =>
        Effect.suspend(() => {
          this.requests.push(request)
          this.inFlight++
          this.mostInFlight = Math.max(this.mostInFlight, this.inFlight)
          return Effect.ensuring(
            Effect.andThen(this.delay, this.answer(connection, request)),
            Effect.sync(() => {
              this.inFlight--
            })
          )
        }),
      open: (path) =>
        Effect.suspend(() => {
          this.opened.push(path)
          return connection.open(path)
        }),
      target: Effect.suspend(() => {
        this.targetsAsked++
        return Effect.andThen(
          this.targetDelay,
          Effect.suspend(() => {
            if (this.targetFails !== undefined) return Effect.fail(this.targetFails)
            return this.found === undefined ? connection.target : Effect.succeed(this.found)
          })
        )
      }),
      epoch: () => connection.epoch() + this.breaks
    })
  }

  get layer(): Layer.Layer<KubernetesConnection.KubernetesConnection> {
    return Layer.succeed(KubernetesConnection.KubernetesConnection, this.service)
  }

  /** The events that are there, in the order of their creation. */
  get objects(): ReadonlyArray<Json> {
    const orderOf = (object: Json): number => this.created.get(object["metadata"].uid) ?? this.created.size
    return Effect.runSync(this.double.events).toSorted((left, right) => orderOf(left) - orderOf(right))
  }

  object(name: string, namespace = "default"): Json | undefined {
    return this.objects.find(({ metadata }) => metadata.name === name && metadata.namespace === namespace)
  }

  /** The resource version of the last change. */
  get version(): number {
    return Effect.runSync(this.double.resourceVersion)
  }

  /** Every change of an event so far, as a watch from the beginning of history sees it. */
  get changes(): Effect.Effect<
    ReadonlyArray<{ readonly type: string; readonly object: Json }>,
    BackendError.BackendError
  > {
    return Effect.gen({ self: this }, function* () {
      const { text } = yield* this.behind.open("/api/v1/events?watch=1&resourceVersion=1")
      yield* this.double.endWatches()
      const lines = (yield* text) ?? ""
      return lines
        .trim()
        .split("\n")
        .map((line) => JSON.parse(line))
    })
  }

  /** An event of somebody else. */
  put(name: string, object: Json, namespace = "default"): void {
    const metadata = { uid: `uid-of-${name}`, ...object["metadata"], name, namespace }
    Effect.runSync(this.double.put({ ...object, apiVersion: "v1", kind: "Event", metadata }))
  }

  remove(name: string): void {
    Effect.runSync(this.double.remove({ apiVersion: "v1", kind: "Event", metadata: { name, namespace: "default" } }))
  }

  compact(): void {
    Effect.runSync(this.double.compact)
  }

  /** Breaks every watch. */
  cut(): void {
    Effect.runSync(this.double.endWatches("reset"))
  }

  /** Ends every watch as the server does after its time. */
  end(): void {
    Effect.runSync(this.double.endWatches("end"))
  }

  sendToAll(chunk: string | Uint8Array): void {
    Effect.runSync(this.double.writeToWatches(chunk))
  }

  /** Every watch meets the fault, until it is healed. */
  failWatches(fault: ApiServer.Fault, times = Number.POSITIVE_INFINITY): void {
    Effect.runSync(this.double.inject(fault, { verb: "watch", times }))
  }

  healWatches(): void {
    Effect.runSync(this.double.heal)
  }

  private noticed(response: KubernetesResponse): KubernetesResponse {
    if (response.status === 201 && response.body !== undefined) {
      this.created.set((JSON.parse(response.body) as Json)["metadata"].uid as string, this.created.size)
    }
    return response
  }

  private answer(
    connection: KubernetesConnection.KubernetesConnection["Service"],
    request: KubernetesRequest
  ): Effect.Effect<KubernetesResponse, BackendError.BackendError> {
    return Effect.gen({ self: this }, function* () {
      const early = this.before(request)
      const result = early ?? this.after(request, this.noticed(yield* connection.request(request)))
      const isError = result instanceof BackendError.BackendError
      if (isError || result.status >= 500) this.breaks++
      return isError ? yield* result : result
    })
  }
}

/** A server for the user `admin`, with the namespaces `shop`, `team` and `other`. */
export const serverWith = Effect.fnUntraced(function* (options: ApiServer.Options) {
  const double = yield* ApiServer.make({ namespaces: ["shop", "team", "other"], ...options, listen: false })
  return new InterceptedServer(double, yield* double.connection("admin"))
})

export const makeServer = serverWith({})
