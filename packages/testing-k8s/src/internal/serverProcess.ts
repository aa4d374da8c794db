/**
 * The process of the API server: takes requests, wherever they come from, meets faults, and can be stopped, paused and
 * cut off from etcd.
 */
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type { Fault } from "../Fault.ts"
import { Answering, type Fork } from "./answering.ts"
import { type Connection, Connections } from "./connections.ts"
import { EtcdOutage } from "./etcdOutage.ts"
import type { Arrival, Exchange, Reply } from "./exchange.ts"
import type { FaultRules } from "./faultRules.ts"
import { injectFault, type Serving } from "./injecting.ts"
import { OpenWatches } from "./openWatches.ts"
import { anonymous, type Identity, mastersGroup } from "./rbac.ts"
import { objectName, requestInfo } from "./request.ts"
import type { RequestLog } from "./requestLog.ts"
import { answered, type Api, authorize, handle, type Outcome } from "./routing.ts"
import * as Status from "./statuses.ts"
import type { Answer } from "./statuses.ts"

/** @internal */
export interface ProcessOptions {
  readonly api: Api
  readonly faults: FaultRules
  readonly log: RequestLog
  readonly seed: number
  readonly now: () => number
  readonly fork: Fork
  readonly identify: (token: string) => Identity | undefined
  readonly requestTimeout: Duration.Duration
}

const bearerToken = (header: string | undefined): string | undefined =>
  /^bearer +(\S+)$/i.exec(header?.trim() ?? "")?.[1]

const refusal = ({ identity, info }: Exchange): Answer =>
  info.isResource ? Status.forbidden(identity.name, info) : Status.forbiddenPath(identity.name, info.verb, info.path)

/** @internal */
export class ServerProcess {
  readonly connections = new Connections()
  readonly watches: OpenWatches
  readonly etcd: EtcdOutage
  readonly #options: ProcessOptions
  readonly #answering: Answering
  readonly #serving: Serving
  #isListening = false
  #isPaused = false
  /** Requests that came in while it was paused. */
  #deferred: Array<() => void> = []
  #forbiddenUntil = Number.NEGATIVE_INFINITY

  constructor(options: ProcessOptions) {
    this.#options = options
    this.#answering = new Answering(options)
    this.etcd = new EtcdOutage(options.requestTimeout)
    this.watches = new OpenWatches({
      ...options,
      store: options.api.objects.store,
      answering: this.#answering,
      isPaused: () => this.#isPaused,
      isHalted: () => this.#isPaused || !this.etcd.isOver,
      advance: () => this.advance()
    })
    this.#serving = {
      answering: this.#answering,
      fork: options.fork,
      perform: (exchange) => this.#perform(exchange),
      deliver: (exchange, outcome, fault) => this.#deliver(exchange, outcome, fault),
      refusal
    }
  }

  /** Whether it takes new connections. */
  get isListening(): boolean {
    return this.#isListening
  }

  get isPaused(): boolean {
    return this.#isPaused
  }

  /** Does what is due by now. */
  advance(): void {
    if (this.etcd.isOver) this.#options.api.objects.store.advance(this.#options.now())
  }

  /** SIGSTOP. */
  pause(): void {
    this.#isPaused = true
  }

  resume(): void {
    this.#isPaused = false
    const deferred = this.#deferred
    this.#deferred = []
    for (const receive of deferred) receive()
    this.watches.pump()
  }

  /** SIGKILL. */
  kill(): void {
    this.#isListening = false
    this.#isPaused = false
    this.#deferred = []
    this.connections.resetAll()
  }

  /** SIGTERM. */
  stop(grace: Duration.Duration): void {
    this.#isListening = false
    const old = this.connections.stop()
    this.#options.fork(
      Effect.andThen(
        Effect.sleep(grace),
        Effect.sync(() => {
          for (const { link } of old) link.reset()
        })
      )
    )
  }

  /** Ordinary users are refused until then, by the clock. */
  start(forbiddenUntil: number): void {
    this.#isListening = true
    this.#forbiddenUntil = forbiddenUntil
    this.connections.start()
  }

  pauseEtcd(): void {
    this.etcd.begin()
  }

  resumeEtcd(): void {
    this.etcd.end()
    this.advance()
    this.watches.pump()
  }

  receive(arrival: Arrival, connection: Connection, reply: Reply): void {
    if (this.#isPaused) {
      this.#deferred.push(() => this.receive(arrival, connection, reply))
      return
    }
    if (reply.isGone()) return
    this.advance()
    const token = bearerToken(arrival.authorization)
    const identity = token === undefined ? (arrival.certified ?? anonymous) : this.#options.identify(token)
    const exchange = this.#exchangeOf(arrival, connection, reply, identity)
    reply.onClose(this.connections.begin(connection))
    if (identity === undefined) return this.#answering.send(exchange, Status.unauthorized)
    const fault = this.#options.faults.choose({
      info: exchange.info,
      user: identity.name,
      groups: identity.groups,
      name: exchange.entry.name,
      query: exchange.entry.query,
      body: arrival.body
    })
    if (fault === undefined) this.#serve(exchange)
    else injectFault(this.#serving, exchange, fault)
  }

  #exchangeOf(arrival: Arrival, connection: Connection, reply: Reply, identity: Identity | undefined): Exchange {
    const { body, method } = arrival
    const [path = "/", search = ""] = arrival.url.split(/\?(.*)/s)
    const query = new URLSearchParams(search)
    const info = requestInfo(method, path, query)
    const entry = this.#options.log.add({
      at: this.#options.now(),
      connection: connection.ordinal,
      method,
      path,
      query: search,
      user: identity?.name,
      verb: info.verb,
      group: info.group,
      resource: info.resource,
      subresource: info.subresource,
      namespace: info.namespace,
      name: objectName(info, body),
      userAgent: arrival.userAgent,
      bytes: Buffer.byteLength(body)
    })
    return {
      reply,
      request: {
        method,
        path,
        query,
        accept: arrival.accept,
        contentType: arrival.contentType,
        userAgent: arrival.userAgent,
        body
      },
      info,
      identity: identity ?? anonymous,
      acceptsGzip: /\bgzip\b/.test(arrival.acceptEncoding ?? ""),
      isTooLarge: arrival.isTooLarge,
      entry
    }
  }

  #serve(exchange: Exchange): void {
    const { info } = exchange
    if (!this.etcd.holdsUp(info) || this.#refused(exchange) !== undefined) {
      this.#deliver(exchange, this.#perform(exchange))
      return
    }
    this.#answering.forkWhileOpen(
      exchange,
      Effect.map(this.etcd.wait(info), (late) =>
        this.#deliver(exchange, late === undefined ? this.#perform(exchange) : answered(late))
      )
    )
  }

  /** Why the request is not looked at, if it is not. */
  #refused(exchange: Exchange): Answer | undefined {
    const { identity, info } = exchange
    const rolesAreMissing = this.#options.now() < this.#forbiddenUntil && !identity.groups.includes(mastersGroup)
    if (rolesAreMissing || !authorize(this.#options.api, identity, info).allowed) return refusal(exchange)
    return exchange.isTooLarge ? Status.entityTooLarge : undefined
  }

  /** What comes of the request when nothing goes wrong. */
  #perform(exchange: Exchange): Outcome {
    const refused = this.#refused(exchange)
    if (refused !== undefined) return answered(refused)
    const outcome = handle(this.#options.api, exchange.identity, exchange.info, exchange.request)
    this.watches.watchLeases()
    return outcome
  }

  #deliver(exchange: Exchange, outcome: Outcome, fault?: Fault): void {
    if (outcome._tag === "Watch") this.watches.start(exchange, outcome.plan, fault)
    else this.#answering.send(exchange, outcome.answer, fault)
  }
}
