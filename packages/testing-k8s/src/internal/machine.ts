/** Sockets, faults and time around the handlers. */
import * as crypto from "node:crypto"
import type * as http from "node:http"
import * as https from "node:https"
import * as net from "node:net"
import * as tls from "node:tls"
import * as zlib from "node:zlib"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import * as Latch from "effect/Latch"
import type { Fault, LoggedRequest, WatchCut } from "../ApiServer.ts"
import { anonymous, type Identity, mastersGroup } from "./access.ts"
import * as certificates from "./certificates.ts"
import type { Faults } from "./faults.ts"
import { isWrite } from "./faults.ts"
import type { Handlers, Outcome, WatchPlan } from "./handlers.ts"
import { asText, at, type Json, parse, stringify } from "./json.ts"
import { type IncomingRequest, requestInfo, type RequestInfo } from "./request.ts"
import { fraction, uuid } from "./seed.ts"
import * as Status from "./status.ts"
import type { Answer } from "./status.ts"
import type { Store } from "./store.ts"
import { formatHttpDate } from "./time.ts"

/** @internal */
export interface MachineOptions {
  readonly store: Store
  readonly handlers: Handlers
  readonly faults: Faults
  readonly seed: number
  readonly now: () => number
  /** Runs in the background, with the clock of whoever made the server. */
  readonly fork: (effect: Effect.Effect<void>) => Fiber.Fiber<void>
  readonly identify: (token: string) => Identity | undefined
  readonly requestTimeout: Duration.Duration
  readonly requestLogSize: number
}

/** @internal */
export interface Machine {
  /** Resolves with the port. */
  readonly listen: (port: number) => Effect.Effect<number, Error>
  /** Refuses new connections, ends the idle ones, and the others after the grace period. */
  readonly stop: (grace: Duration.Duration) => void
  /** Ends everything at once, as SIGKILL does. */
  readonly kill: () => void
  readonly isListening: () => boolean
  readonly pause: () => void
  readonly resume: () => void
  readonly setEtcd: (running: boolean) => void
  /** Ordinary users are refused until then, by the clock. */
  readonly forbidUntil: (millis: number) => void
  readonly requests: () => ReadonlyArray<LoggedRequest>
  readonly requestCount: () => number
  readonly connections: () => { readonly opened: number; readonly open: number }
  /** Does what is due by now. */
  readonly advance: () => void
}

interface Connection {
  readonly ordinal: number
  readonly raw: net.Socket
  active: number
}

interface Exchange {
  readonly response: http.ServerResponse
  readonly request: IncomingRequest
  readonly info: RequestInfo
  readonly identity: Identity
  readonly connection: Connection
  readonly acceptsGzip: boolean
  readonly isTooLarge: boolean
  readonly entry: { -readonly [Key in keyof LoggedRequest]: LoggedRequest[Key] }
}

interface OpenWatch {
  readonly pump: () => void
}

const bodyLimit = 3_145_728
// Go's HTTP server gives the length of what fits its buffer, and sends the rest in chunks.
const goBufferSize = 2_048
const gzipThreshold = 128 * 1_024
const writeTimeout = Duration.seconds(34)
const listTimeout = Duration.seconds(40)
const readyzTimeout = Duration.seconds(4)
const minimumWatchSeconds = 1_800
const batchSize = 64 * 1_024

const flowUids = (seed: number, identity: Identity): Readonly<Record<string, string>> => {
  const level = identity.groups.includes(mastersGroup) ? "exempt" : "service-accounts"
  return {
    "X-Kubernetes-Pf-Flowschema-Uid": uuid(seed, `flowschema ${level}`),
    "X-Kubernetes-Pf-Prioritylevel-Uid": uuid(seed, `prioritylevel ${level}`)
  }
}

const bearerToken = (header: string | undefined): string | undefined =>
  /^bearer +(\S+)$/i.exec(header?.trim() ?? "")?.[1]

const certificateIdentity = (socket: net.Socket): Identity | undefined => {
  if (!(socket instanceof tls.TLSSocket) || !socket.authorized) {
    return undefined
  }
  const subject = socket.getPeerCertificate().subject as Readonly<Record<string, string | Array<string>>> | undefined
  const name = subject?.["CN"]
  const groups = subject?.["O"] ?? []
  return typeof name === "string"
    ? { name, uid: "", groups: [...(typeof groups === "string" ? [groups] : groups), "system:authenticated"] }
    : undefined
}

/** Name of the object, which a create has only in its body. */
const objectName = (info: RequestInfo, body: string): string => {
  if (info.name !== "" || info.verb !== "create" || body === "") {
    return info.name
  }
  let parsed: Json
  try {
    parsed = parse(body)
  } catch {
    return ""
  }
  return asText(at(parsed, "metadata", "name"))
}

/** @internal */
export const make = (options: MachineOptions): Machine => {
  const { fork, handlers, seed, store } = options
  const connections = new Map<number, Connection>()
  const watches = new Set<OpenWatch>()
  const etcd = Latch.makeUnsafe(true)
  let isEtcdRunning = true
  let listener: net.Server | undefined
  let isPaused = false
  let isStopping = false
  let held: Array<net.Socket> = []
  let deferred: Array<() => void> = []
  let opened = 0
  let forbiddenUntil = Number.NEGATIVE_INFINITY
  let log: Array<LoggedRequest> = []
  let requestCount = 0
  let sleeper: Fiber.Fiber<void> | undefined

  const advance = (): void => {
    if (isEtcdRunning) {
      store.advance(options.now())
    }
  }

  // Only an open watch has to see at once that a lease ended; for the rest it is enough to look when asked.
  const watchLeases = (): void => {
    const expiry = store.nextExpiry()
    if (watches.size === 0 || expiry === undefined || sleeper !== undefined) {
      return
    }
    sleeper = fork(
      Effect.sleep(Duration.millis(Math.max(0, expiry - options.now()))).pipe(
        Effect.andThen(
          Effect.sync(() => {
            sleeper = undefined
            advance()
            watchLeases()
          })
        )
      )
    )
  }

  const stopSleeper = (): void => {
    if (watches.size === 0 && sleeper !== undefined) {
      sleeper.interruptUnsafe()
      sleeper = undefined
    }
  }

  const headersOf = (exchange: Exchange, answer: Pick<Answer, "contentType" | "headers" | "status">) => {
    const headers: Record<string, string | Array<string>> = {
      "Audit-Id": uuid(seed, `audit ${exchange.entry.ordinal}`),
      "Cache-Control": "no-cache, private",
      "Content-Type": answer.contentType
    }
    for (const [name, value] of Object.entries(answer.headers ?? {})) {
      headers[name] = typeof value === "string" ? value : [...value]
    }
    if (answer.status !== 401) {
      Object.assign(headers, flowUids(seed, exchange.identity))
    }
    headers["Date"] = formatHttpDate(options.now())
    return headers
  }

  const begin = (
    exchange: Exchange,
    answer: Pick<Answer, "contentType" | "headers" | "status">,
    length: number | undefined,
    isCompressed = false
  ): void => {
    const { response } = exchange
    exchange.entry.status = answer.status
    response.sendDate = false
    const headers = headersOf(exchange, answer)
    if (isCompressed) {
      headers["Content-Encoding"] = "gzip"
      headers["Vary"] = "Accept-Encoding"
    }
    if (length !== undefined) {
      headers["Content-Length"] = String(length)
    }
    // Go says nothing of a connection that it keeps.
    if (response.shouldKeepAlive && headers["Connection"] === undefined) {
      response.removeHeader("Connection")
    }
    response.writeHead(answer.status, headers)
  }

  const reset = (exchange: Exchange): void => {
    exchange.connection.raw.resetAndDestroy()
  }

  const close = (exchange: Exchange): void => {
    exchange.connection.raw.destroy()
  }

  const send = (exchange: Exchange, answer: Answer, fault?: Fault): void => {
    const { response } = exchange
    if (response.destroyed) {
      return
    }
    const plain = Buffer.from(answer.body)
    const isCompressed = exchange.acceptsGzip && plain.length > gzipThreshold && answer.status < 300
    const body = isCompressed ? zlib.gzipSync(plain, { level: 1 }) : plain
    begin(exchange, answer, body.length <= goBufferSize ? body.length : undefined, isCompressed)
    if (fault?._tag === "Truncate") {
      const part = body.subarray(0, Math.min(fault.afterBytes, Math.max(0, body.length - 1)))
      response.flushHeaders()
      response.write(part, () => close(exchange))
      return
    }
    if (fault?._tag === "Slow") {
      trickle(exchange, body, fault.bytes, fault.every)
      return
    }
    // A text goes out in one piece with the head.
    response.end(isCompressed ? body : answer.body)
  }

  /** Runs while the client is there. */
  const forkWhileOpen = (exchange: Exchange, effect: Effect.Effect<void>): void => {
    const fiber = fork(effect)
    exchange.response.once("close", () => fiber.interruptUnsafe())
  }

  const trickle = (exchange: Exchange, body: Buffer, bytes: number, every: Duration.Duration): void => {
    const { response } = exchange
    response.flushHeaders()
    forkWhileOpen(
      exchange,
      Effect.gen(function* () {
        for (let start = 0; start < body.length; start += bytes) {
          yield* Effect.sleep(every)
          response.write(body.subarray(start, start + bytes))
        }
        response.end()
      })
    )
  }

  const startWatch = (exchange: Exchange, plan: WatchPlan, fault: Fault | undefined): void => {
    const { response } = exchange
    begin(exchange, { status: 200, contentType: "application/json" }, undefined)
    response.flushHeaders()
    if (fault?._tag === "WatchEmpty") {
      response.end()
      return
    }
    if (fault?._tag === "WatchExpired") {
      response.end(`{"type":"ERROR","object":${stringify(Status.expiredWatch)}}\n`)
      return
    }
    const allowed =
      fault?._tag === "WatchCut" || fault?._tag === "WatchSilence" ? fault.afterEvents : Number.POSITIVE_INFINITY
    let sent = 0
    let position = plan.position
    let initial = plan.initial
    let isBlocked = false
    let isOver = false

    const finish = (): void => {
      isOver = true
      watches.delete(watch)
      unsubscribe()
      timer?.interruptUnsafe()
      stopSleeper()
    }
    const cut = ({ how }: WatchCut): void => {
      finish()
      if (how === "end") {
        response.end()
      } else {
        // What was written before has to arrive first.
        setImmediate(() => (how === "reset" ? reset(exchange) : close(exchange)))
      }
    }
    const nextChange = (): string | undefined => {
      for (;;) {
        const change = store.changeAt(position)
        if (change === undefined) {
          return undefined
        }
        position += 1
        const text = plan.line(change)
        if (text !== undefined) {
          return text
        }
      }
    }
    const flushInitial = (): ReadonlyArray<string> => {
      const room = allowed - sent
      const lines = initial.slice(0, room)
      initial = initial.slice(lines.length)
      sent += lines.length
      return lines
    }
    const pump = (): void => {
      if (isOver || isPaused || !isEtcdRunning) {
        return
      }
      while (!isBlocked && !isOver) {
        if (initial.length === 0 && position < store.begin()) {
          response.end(`{"type":"ERROR","object":${stringify(Status.expiredWatch)}}\n`)
          finish()
          return
        }
        const lines: Array<string> = [...flushInitial()]
        let size = 0
        while (sent < allowed && initial.length === 0 && size < batchSize) {
          const line = nextChange()
          if (line === undefined) {
            break
          }
          lines.push(line)
          size += line.length
          sent += 1
        }
        if (lines.length > 0) {
          isBlocked = !response.write(lines.join(""))
        }
        if (sent >= allowed) {
          if (fault?._tag === "WatchCut") {
            cut(fault)
          }
          return
        }
        if (initial.length === 0 && plan.endsAtOnce) {
          response.end()
          finish()
          return
        }
        if (size === 0) {
          return
        }
      }
    }
    const watch: OpenWatch = { pump }
    watches.add(watch)
    const unsubscribe = store.subscribe(pump)
    response.on("drain", () => {
      isBlocked = false
      pump()
    })
    response.once("close", finish)
    const seconds =
      plan.timeoutSeconds ?? Math.floor(minimumWatchSeconds * (1 + fraction(seed, `watch ${exchange.entry.ordinal}`)))
    const isSilent = fault?._tag === "WatchSilence"
    // A server that is gone does not keep its own time either.
    const timer = isSilent
      ? undefined
      : fork(
          Effect.sleep(Duration.seconds(seconds)).pipe(
            Effect.andThen(
              Effect.sync(() => {
                if (!isOver && !isPaused) {
                  finish()
                  response.end()
                }
              })
            )
          )
        )
    pump()
    watchLeases()
  }

  const deliver = (exchange: Exchange, outcome: Outcome, fault?: Fault): void => {
    if (outcome._tag === "Watch") {
      startWatch(exchange, outcome.plan, fault)
    } else {
      send(exchange, outcome.answer, fault)
    }
  }

  const answer = (value: Answer): Outcome => ({ _tag: "Answer", answer: value })

  const isOrdinary = (exchange: Exchange): boolean => !exchange.identity.groups.includes(mastersGroup)

  const refusal = (exchange: Exchange): Answer => {
    const { identity, info } = exchange
    return info.isResource
      ? Status.forbidden(identity.name, info)
      : Status.forbiddenPath(identity.name, info.verb, info.path)
  }

  /** Why the request gets no further than the door, if it does not. */
  const turnedAway = (exchange: Exchange): Answer | undefined => {
    const rolesAreMissing = options.now() < forbiddenUntil && isOrdinary(exchange)
    if (rolesAreMissing || !handlers.authorize(exchange.identity, exchange.info).allowed) {
      return refusal(exchange)
    }
    return exchange.isTooLarge ? Status.entityTooLarge : undefined
  }

  /** What comes of the request when nothing goes wrong. */
  const perform = (exchange: Exchange): Outcome => {
    const refused = turnedAway(exchange)
    if (refused !== undefined) {
      return answer(refused)
    }
    const outcome = handlers.handle(exchange.identity, exchange.info, exchange.request)
    watchLeases()
    return outcome
  }

  const answerLater = (exchange: Exchange, after: Duration.Duration, value: Answer): void => {
    forkWhileOpen(exchange, Effect.sleep(after).pipe(Effect.andThen(Effect.sync(() => send(exchange, value)))))
  }

  const storageLimit = (info: RequestInfo): readonly [Duration.Duration, Answer] => {
    const [limit, value]: readonly [Duration.Duration, Answer] = isWrite(info)
      ? [writeTimeout, Status.storageTimeout]
      : info.verb === "list"
        ? [listTimeout, Status.etcdSilent]
        : [options.requestTimeout, Status.requestTimeout]
    return Duration.isGreaterThanOrEqualTo(limit, options.requestTimeout)
      ? [options.requestTimeout, Status.requestTimeout]
      : [limit, value]
  }

  /** etcd does not answer: the request waits, and goes on if it comes back in time. */
  const waitForEtcd = (exchange: Exchange): void => {
    const { info } = exchange
    if (info.path === "/readyz") {
      answerLater(exchange, readyzTimeout, Status.notReady)
      return
    }
    const [limit, value] = storageLimit(info)
    forkWhileOpen(
      exchange,
      etcd.await.pipe(
        Effect.map(() => perform(exchange)),
        Effect.timeoutOrElse({ duration: limit, orElse: () => Effect.succeed(answer(value)) }),
        Effect.map((outcome) => deliver(exchange, outcome))
      )
    )
  }

  const needsEtcd = (info: RequestInfo): boolean =>
    info.path === "/readyz" || (info.isResource && !info.resource.startsWith("selfsubject") && info.verb !== "watch")

  const serve = (exchange: Exchange): void => {
    if (!isEtcdRunning && needsEtcd(exchange.info) && turnedAway(exchange) === undefined) {
      waitForEtcd(exchange)
    } else {
      deliver(exchange, perform(exchange))
    }
  }

  const play = (exchange: Exchange, fault: Fault): void => {
    exchange.entry.fault = fault._tag
    switch (fault._tag) {
      case "Reset":
        if (fault.applied) {
          perform(exchange)
        }
        return reset(exchange)
      case "Close":
        if (fault.applied) {
          perform(exchange)
        }
        return close(exchange)
      case "Hang":
        if (fault.applied) {
          perform(exchange)
        }
        return
      case "Timeout": {
        if (fault.lateBy !== undefined) {
          // Goes on whether or not the client is still there.
          fork(
            Effect.sleep(Duration.sum(fault.after, fault.lateBy)).pipe(
              Effect.andThen(Effect.sync(() => void perform(exchange)))
            )
          )
        }
        const value = fault.by === "storage" ? Status.storageTimeout : Status.requestTimeout
        return answerLater(exchange, fault.after, value)
      }
      case "EtcdUnavailable":
        if (fault.applied) {
          perform(exchange)
        }
        return send(exchange, Status.etcdUnavailable)
      case "EtcdTooLarge":
        return send(exchange, Status.etcdTooLarge)
      case "ServiceUnavailable":
        return send(exchange, Status.serviceUnavailable)
      case "TooManyRequests":
        return send(exchange, Status.tooManyRequests(fault.retryAfter))
      case "EventRateLimit":
        return send(exchange, Status.eventRateLimited("Namespace", exchange.info.namespace))
      case "Forbidden":
        return send(exchange, refusal(exchange))
      case "NamespaceTerminating": {
        const { group, namespace, resource } = exchange.info
        const name = objectName(exchange.info, exchange.request.body)
        return send(exchange, Status.namespaceTerminating({ group, resource }, name, namespace))
      }
      case "Unauthorized":
        return send(exchange, Status.unauthorized)
      case "EntityTooLarge":
        return send(exchange, Status.entityTooLarge)
      case "WatchExpired":
        return fault.where === "connect" ? send(exchange, Status.expired) : deliver(exchange, perform(exchange), fault)
      case "Truncate":
      case "Slow":
      case "WatchCut":
      case "WatchEmpty":
      case "WatchSilence":
        return deliver(exchange, perform(exchange), fault)
    }
  }

  const identify = (incoming: http.IncomingMessage): Identity | undefined => {
    const token = bearerToken(incoming.headers.authorization)
    return token === undefined ? (certificateIdentity(incoming.socket) ?? anonymous) : options.identify(token)
  }

  const receive = (
    incoming: http.IncomingMessage,
    response: http.ServerResponse,
    body: string,
    isTooLarge: boolean
  ): void => {
    if (isPaused) {
      deferred.push(() => receive(incoming, response, body, isTooLarge))
      return
    }
    const connection = connections.get(incoming.socket.remotePort ?? -1)
    if (connection === undefined || response.destroyed) {
      return
    }
    advance()
    const [path = "/", search = ""] = (incoming.url ?? "/").split(/\?(.*)/s)
    const method = incoming.method ?? "GET"
    const query = new URLSearchParams(search)
    const info = requestInfo(method, path, query)
    const identity = identify(incoming)
    const name = objectName(info, body)
    requestCount += 1
    const entry: Exchange["entry"] = {
      ordinal: requestCount,
      at: options.now(),
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
      name,
      userAgent: incoming.headers["user-agent"],
      bytes: Buffer.byteLength(body),
      fault: undefined,
      status: undefined
    }
    log.push(entry)
    if (log.length > options.requestLogSize * 2) {
      log = log.slice(-options.requestLogSize)
    }
    connection.active += 1
    response.once("close", () => {
      connection.active -= 1
      if (isStopping && connection.active === 0) {
        connection.raw.destroy()
      }
    })
    const exchange: Exchange = {
      response,
      request: {
        method,
        path,
        query,
        accept: incoming.headers.accept,
        contentType: incoming.headers["content-type"],
        userAgent: incoming.headers["user-agent"],
        body
      },
      info,
      identity: identity ?? anonymous,
      connection,
      acceptsGzip: /\bgzip\b/.test(incoming.headers["accept-encoding"] ?? ""),
      isTooLarge,
      entry
    }
    if (identity === undefined) {
      send(exchange, Status.unauthorized)
      return
    }
    const fault = options.faults.choose({ info, user: identity.name, groups: identity.groups, name })
    if (fault === undefined) {
      serve(exchange)
    } else {
      play(exchange, fault)
    }
  }

  const onRequest = (incoming: http.IncomingMessage, response: http.ServerResponse): void => {
    const chunks: Array<Buffer> = []
    let size = 0
    let isDone = false
    const done = (isTooLarge: boolean): void => {
      if (!isDone) {
        isDone = true
        receive(incoming, response, isTooLarge ? "" : Buffer.concat(chunks).toString(), isTooLarge)
      }
    }
    incoming.on("data", (chunk: Buffer) => {
      size += chunk.length
      if (size > bodyLimit) {
        done(true)
      } else {
        chunks.push(chunk)
      }
    })
    incoming.on("end", () => done(false))
    // A client that goes away before its request is whole.
    incoming.on("error", () => {})
    response.on("error", () => {})
  }

  const secure = https.createServer(
    {
      key: certificates.serverKey,
      cert: certificates.serverCertificate,
      ca: certificates.authority,
      requestCert: true,
      rejectUnauthorized: false,
      // Time passes by the clock of the test alone.
      keepAliveTimeout: 0,
      requestTimeout: 0,
      headersTimeout: 0,
      connectionsCheckingInterval: 2 ** 31 - 1,
      handshakeTimeout: 2 ** 31 - 1
    },
    onRequest
  )
  secure.on("clientError", (_error, socket) => socket.destroy())
  secure.on("tlsClientError", (_error, socket) => socket.destroy())

  const handshake = (raw: net.Socket): void => {
    if (!raw.destroyed) {
      secure.emit("connection", raw)
    }
  }

  const onConnection = (raw: net.Socket): void => {
    const port = raw.remotePort ?? -1
    opened += 1
    connections.set(port, { ordinal: opened, raw, active: 0 })
    raw.on("error", () => {})
    raw.once("close", () => {
      // The port may be somebody else's by now.
      if (connections.get(port)?.raw === raw) {
        connections.delete(port)
      }
    })
    if (isPaused) {
      held.push(raw)
    } else {
      handshake(raw)
    }
  }

  const closeListener = (): void => {
    listener?.close()
    listener = undefined
  }

  const cutAll = (): void => {
    for (const { raw } of [...connections.values()]) {
      raw.resetAndDestroy()
    }
    held = []
    deferred = []
  }

  return {
    listen: (port) =>
      Effect.callback<number, Error>((resume) => {
        const server = net.createServer({ noDelay: true }, onConnection)
        server.once("error", (error) => resume(Effect.fail(error)))
        server.listen(port, "127.0.0.1", () => {
          listener = server
          isStopping = false
          const address = server.address()
          resume(Effect.succeed(typeof address === "object" && address !== null ? address.port : port))
        })
      }),
    stop: (grace) => {
      closeListener()
      isStopping = true
      const old = [...connections.values()]
      for (const { active, raw } of old) {
        if (active === 0) {
          raw.destroy()
        }
      }
      fork(
        Effect.sleep(grace).pipe(
          Effect.andThen(
            Effect.sync(() => {
              for (const { raw } of old) {
                raw.resetAndDestroy()
              }
            })
          )
        )
      )
    },
    kill: () => {
      closeListener()
      isPaused = false
      cutAll()
    },
    isListening: () => listener !== undefined,
    pause: () => {
      isPaused = true
    },
    resume: () => {
      isPaused = false
      const sockets = held
      const waiting = deferred
      held = []
      deferred = []
      sockets.forEach(handshake)
      waiting.forEach((run) => run())
      for (const { pump } of [...watches]) {
        pump()
      }
    },
    setEtcd: (running) => {
      isEtcdRunning = running
      if (running) {
        advance()
        etcd.openUnsafe()
        for (const { pump } of [...watches]) {
          pump()
        }
      } else {
        etcd.closeUnsafe()
      }
    },
    forbidUntil: (millis) => {
      forbiddenUntil = millis
    },
    requests: () => log.slice(-options.requestLogSize),
    requestCount: () => requestCount,
    connections: () => ({ opened, open: connections.size }),
    advance
  }
}

/** A number between 0 and 2³² that a text leads to. @internal */
export const seedOf = (text: string): number => crypto.createHash("sha256").update(text).digest().readUInt32BE(0)
