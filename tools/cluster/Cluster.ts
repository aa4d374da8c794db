/**
 * A real kube-apiserver with its etcd, on this machine, for as long as this process lives: fresh data, free ports,
 * ordinary users beside the administrator, and the faults that a client has to survive.
 *
 * ```ts
 * await using cluster = await Cluster.start({ eventTtl: "20s" })
 * await cluster.apply({ apiVersion: "v1", kind: "Namespace", metadata: { name: "shop" } })
 * await cluster.killApiServer()
 * await cluster.startApiServer()
 * ```
 */
import { spawn } from "node:child_process"
import * as crypto from "node:crypto"
import * as fs from "node:fs"
import * as http from "node:http"
import * as https from "node:https"
import * as net from "node:net"
import * as os from "node:os"
import * as path from "node:path"
import { setTimeout as sleep } from "node:timers/promises"
import { promisify } from "node:util"
import { type BuildOptions, build, formatElapsed, tail, type Tools } from "./Build.ts"
import { ClusterError, messageOf, throwIfAborted } from "./ClusterError.ts"
import * as Control from "./Control.ts"
import * as Keeper from "./Keeper.ts"

export { build, type BuildOptions, type Tools } from "./Build.ts"
export { ClusterError, type Reason } from "./ClusterError.ts"

/** The two servers. */
export type Part = "kube-apiserver" | "etcd"

/** A bucket of the admission plugin EventRateLimit: beyond it, writing an Event is answered 429 without Retry-After. */
export interface EventRateLimit {
  /** What has a bucket of its own. Default: `Namespace`. */
  readonly type?: "Server" | "Namespace" | "User" | "SourceAndObject" | undefined
  /** Events per second, a whole number from 1. */
  readonly qps: number
  /** Size of the bucket. Default: `qps`. */
  readonly burst?: number | undefined
}

/** What can be different each time the API server starts. Durations are in Go's notation: `20s`, `1m30s`. */
export interface ApiServerOptions {
  /** How long the server keeps an Event after its last write. Default: the server's own, 1h. */
  readonly eventTtl?: string | undefined
  /** How often the server discards etcd's history; what is older answers 410. Default: the server's own, 5m. */
  readonly compactionInterval?: string | undefined
  /** Default: the plugin is off. */
  readonly eventRateLimit?: EventRateLimit | ReadonlyArray<EventRateLimit> | undefined
  /** Time after which the server answers a request with 504. Default: the server's own, 1m. */
  readonly requestTimeout?: string | undefined
  /** Further flags of kube-apiserver, each as `--name=value`; they win over the ones this tool sets. */
  readonly apiServerArguments?: ReadonlyArray<string> | undefined
}

/** Somebody with a token, and a context in the kubeconfig named like them. */
export interface User {
  readonly name: string
  /** Default: `system:serviceaccounts`, whose requests meet priority and fairness. */
  readonly groups?: ReadonlyArray<string> | undefined
}

/** How to start a cluster. */
export interface StartOptions extends ApiServerOptions, BuildOptions {
  /** Port of the API server. Default: a free one. */
  readonly port?: number | undefined
  /** Port of etcd for clients. Default: a free one. */
  readonly etcdPort?: number | undefined
  /** Further flags of etcd, each as `--name=value`. */
  readonly etcdArguments?: ReadonlyArray<string> | undefined
  /** Further users; `admin`, `writer`, `reader`, `user` and `nobody` are always there. */
  readonly users?: ReadonlyArray<User> | undefined
  /** Leave the directory with logs and data behind. Default: false. */
  readonly keepDirectory?: boolean | undefined
  /** Milliseconds that the servers have to get ready. Default: 60,000. */
  readonly startTimeout?: number | undefined
  /** Called when a server ended without having been asked to. */
  readonly onUnexpectedEnd?: ((part: Part, ending: Keeper.Ending) => void) | undefined
}

/** Whether a server runs. */
export interface PartStatus {
  readonly running: boolean
  readonly paused: boolean
  readonly pid?: number | undefined
  readonly port: number
}

/** What runs and what does not. */
export interface Status {
  /** Such as `https://127.0.0.1:21876`. */
  readonly server: string
  readonly directory: string
  readonly apiServer: PartStatus
  readonly etcd: PartStatus
}

/** How to end a server. */
export interface StopOptions {
  /** Milliseconds between SIGTERM and SIGKILL. Default: 5,000. */
  readonly grace?: number | undefined
}

/** How to start the API server again. */
export interface StartApiServerOptions extends ApiServerOptions {
  /**
   * Resolve when `/readyz` is ok; otherwise as soon as the process runs, to see what clients see meanwhile.
   * Default: true.
   */
  readonly waitUntilReady?: boolean | undefined
}

/** How to start etcd again. */
export interface StartEtcdOptions {
  /**
   * Without the data it had: with an API server that starts after it, another cluster at the same address, with the same
   * certificate and tokens. Default: false.
   */
  readonly empty?: boolean | undefined
}

/** Signals that end a server. */
export const killSignals = ["SIGKILL", "SIGTERM", "SIGINT", "SIGQUIT", "SIGABRT"] as const
export type KillSignal = (typeof killSignals)[number]

/** The faults. Ports, certificate, tokens and data stay the same over all of them. */
export interface Faults {
  /** SIGTERM, and SIGKILL after the grace period. New connections are refused at once, open watches go on for a while. */
  readonly stopApiServer: (options?: StopOptions) => Promise<void>
  /** Starts it again, with what it had before and these changes, which stay. */
  readonly startApiServer: (options?: StartApiServerOptions) => Promise<void>
  /** Resolves when it has ended. Default: SIGKILL. */
  readonly killApiServer: (signal?: KillSignal) => Promise<void>
  /** SIGSTOP: connections stay open and nothing is answered on them. */
  readonly pauseApiServer: () => Promise<void>
  readonly resumeApiServer: () => Promise<void>
  /** SIGTERM, and SIGKILL after the grace period. */
  readonly stopEtcd: (options?: StopOptions) => Promise<void>
  /** Starts it again on the same data; resolves when it serves. The API server finds it within some ten seconds. */
  readonly startEtcd: (options?: StartEtcdOptions) => Promise<void>
  /** Resolves when it has ended. Default: SIGKILL. */
  readonly killEtcd: (signal?: KillSignal) => Promise<void>
  /** SIGSTOP: requests hang, and writes are answered 504 after half a minute. */
  readonly pauseEtcd: () => Promise<void>
  readonly resumeEtcd: () => Promise<void>
  readonly status: () => Promise<Status>
}

/** What a program said. */
export interface KubectlResult {
  /** Exit code; 128 + n when signal n ended it. */
  readonly code: number
  readonly stdout: string
  readonly stderr: string
}

/** How to call kubectl. */
export interface KubectlOptions {
  /** Name of a user. Default: `admin`. */
  readonly user?: string | undefined
  /** Given on standard input. */
  readonly input?: string | undefined
}

/** A request to the API server. */
export interface RequestOptions {
  /** Default: GET. */
  readonly method?: string | undefined
  /** Name of a user. Default: `admin`. */
  readonly user?: string | undefined
  /** Text goes as it is, anything else as JSON. */
  readonly body?: unknown
  /** Default: `application/json`. */
  readonly contentType?: string | undefined
  readonly headers?: Readonly<Record<string, string>> | undefined
  /** Ends the request. */
  readonly signal?: AbortSignal | undefined
}

/** The answer of the API server. */
export interface Response {
  readonly status: number
  readonly headers: http.IncomingHttpHeaders
  readonly text: string
  /** The body parsed; throws where it is no JSON. */
  readonly json: () => unknown
}

/** A running cluster. Disposing of it stops it. */
export interface Cluster extends Faults, AsyncDisposable {
  /** Such as `https://127.0.0.1:21876`. */
  readonly server: string
  readonly port: number
  readonly etcdPort: number
  /** Holds everything of this cluster; goes with it. */
  readonly directory: string
  /** A file, mode 0600, with one context per user; `admin` is the current one. */
  readonly kubeconfig: string
  /** File of the certificate to trust. */
  readonly certificateAuthority: string
  /** By name of the user. */
  readonly tokens: Readonly<Record<string, string>>
  readonly tools: Tools
  /** What a program needs to reach this cluster: KUBECONFIG, KUBECACHEDIR, and a PATH with kubectl. */
  readonly environment: Readonly<Record<string, string>>
  /** Files of the servers' logs. */
  readonly logs: Readonly<Record<Part, string>>
  /** Runs kubectl; a failure is a code, not an error. */
  readonly kubectl: (args: ReadonlyArray<string>, options?: KubectlOptions) => Promise<KubectlResult>
  /** `kubectl apply`: YAML or JSON text, an object, or a list of objects. Returns what kubectl printed. */
  readonly apply: (manifests: string | object, options?: { readonly user?: string | undefined }) => Promise<string>
  /** One request on a connection of its own. */
  readonly request: (path: string, options?: RequestOptions) => Promise<Response>
  /** Has a process (or its group) killed together with the cluster if this process vanishes. */
  readonly adopt: (pid: number, group: boolean) => void
  readonly release: (pid: number) => void
  /** Ends the API server, then etcd, and removes the directory. Can be called at any time, and again. */
  readonly stop: (options?: StopOptions) => Promise<void>
  /** Resolves when all of it is gone: after `stop`, or when somebody killed the process that holds the servers. */
  readonly ended: Promise<void>
}

const defaultUsers: ReadonlyArray<User> = [
  { name: "admin", groups: ["system:masters"] },
  { name: "writer" },
  { name: "reader" },
  { name: "user" },
  { name: "nobody" }
]
const ordinaryGroups = ["system:serviceaccounts"]
const defaultGraceMillis = 5_000
const defaultStartTimeoutMillis = 60_000
const headLines = 3
const tailLines = 20
// Below what systems hand out to outgoing connections (Linux from 32768, macOS from 49152): otherwise a client that
// calls a stopped server on loopback can be given that very port, be connected with itself and keep the server out.
const firstPort = 20_000
const portCount = 10_000

/** Builds what is missing and starts a cluster; resolves when it is ready. */
export const start = async (options: StartOptions = {}): Promise<Cluster> => {
  checkStartOptions(options)
  const tools = await build(options)
  for (let attempt = 1; ; attempt++) {
    try {
      return await startOnce(tools, options)
    } catch (error) {
      // Between finding a port free and using it, somebody else may take it.
      const isPortTaken = error instanceof ClusterError && error.message.includes("address already in use")
      const areOurs = options.port === undefined && options.etcdPort === undefined
      if (!isPortTaken || !areOurs || attempt === 3) {
        throw error
      }
    }
  }
}

/** The faults of a cluster that another process runs, found through its kubeconfig. Default: `$KUBECONFIG`. */
export const attach = (kubeconfig: string | undefined = process.env["KUBECONFIG"]): Faults => {
  if (kubeconfig === undefined || kubeconfig === "") {
    throw new ClusterError("NotRunning", "which cluster? KUBECONFIG is not set")
  }
  return Control.client(path.dirname(kubeconfig))
}

const startOnce = async (tools: Tools, options: StartOptions): Promise<Cluster> => {
  throwIfAborted(options.signal)
  const keeper = Keeper.start()
  try {
    return await make(tools, options, keeper)
  } catch (error) {
    await keeper.end()
    throw error instanceof ClusterError
      ? error
      : new ClusterError("Start", `cannot start the cluster: ${messageOf(error)}`)
  }
}

interface Server {
  readonly part: Part
  readonly log: string
  child: Keeper.Child | undefined
  paused: boolean
  /** Whether its end was asked for. */
  ending: boolean
}

const make = async (tools: Tools, options: StartOptions, keeper: Keeper.Keeper): Promise<Cluster> => {
  const directory = await keeper.makeDirectory("tidings-cluster-", options.keepDirectory === true)
  const file = (name: string): string => path.join(directory, name)
  const writePrivate = (name: string, text: string): void => fs.writeFileSync(file(name), text, { mode: 0o600 })

  const [port = 0, etcdPort = 0, peerPort = 0] = await choosePorts([options.port, options.etcdPort, undefined])
  const url = `https://127.0.0.1:${port}`
  const etcdUrl = `http://127.0.0.1:${etcdPort}`
  const peerUrl = `http://127.0.0.1:${peerPort}`

  const users = [...defaultUsers, ...(options.users ?? [])]
  const tokens: Readonly<Record<string, string>> = Object.fromEntries(
    users.map((user) => [user.name, crypto.randomBytes(24).toString("base64url")])
  )
  const certificateAuthority = file("certificates/apiserver.crt")
  const environment = {
    KUBECONFIG: file("kubeconfig"),
    // kubectl keeps what it discovered by address, and an address of today is another cluster's of yesterday.
    KUBECACHEDIR: file("kubectl-cache"),
    PATH: `${tools.directory}${path.delimiter}${process.env["PATH"] ?? ""}`
  }

  const etcd: Server = { part: "etcd", log: file("etcd.log"), child: undefined, paused: false, ending: false }
  const apiServer: Server = {
    part: "kube-apiserver",
    log: file("kube-apiserver.log"),
    child: undefined,
    paused: false,
    ending: false
  }
  const serverName = (server: Server): string => (server === etcd ? "etcd" : "the API server")
  let apiServerOptions: ApiServerOptions = options
  let isUp = false
  let stopped: Promise<void> | undefined

  const token = (user: string): string => {
    const found = tokens[user]
    if (found === undefined) {
      throw new ClusterError("Option", `there is no user "${user}", only ${Object.keys(tokens).join(", ")}`)
    }
    return found
  }

  const request: Cluster["request"] = async (target, requestOptions = {}) => {
    const { body, headers, contentType = "application/json" } = requestOptions
    const text = typeof body === "string" || body === undefined ? body : JSON.stringify(body)
    return exchange(
      https.request(`${url}${target}`, {
        agent: false,
        ca: fs.readFileSync(certificateAuthority),
        method: requestOptions.method ?? "GET",
        headers: {
          authorization: `Bearer ${token(requestOptions.user ?? "admin")}`,
          ...(text === undefined ? {} : { "content-type": contentType, "content-length": Buffer.byteLength(text) }),
          ...headers
        },
        ...(requestOptions.signal === undefined ? {} : { signal: requestOptions.signal })
      }),
      text
    )
  }

  const run = async (server: Server, command: string, args: ReadonlyArray<string>): Promise<Keeper.Child> => {
    if (stopped !== undefined) {
      throw new ClusterError("NotRunning", "the cluster was stopped")
    }
    if (server.child !== undefined) {
      throw new ClusterError("State", `${serverName(server)} runs already`)
    }
    const child = await keeper.run({ command, arguments: args, cwd: directory, log: server.log })
    server.child = child
    server.paused = false
    server.ending = false
    void watch(server, child)
    return child
  }

  const watch = async (server: Server, child: Keeper.Child): Promise<void> => {
    const ending = await child.ended
    server.child = undefined
    if (isUp && !server.ending && stopped === undefined && keeper.isConnected()) {
      options.onUnexpectedEnd?.(server.part, ending)
    }
  }

  const waitFor = async (server: Server, child: Keeper.Child, isReady: () => Promise<boolean>): Promise<void> => {
    const timeout = options.startTimeout ?? defaultStartTimeoutMillis
    const deadline = performance.now() + timeout
    for (;;) {
      throwIfAborted(options.signal)
      const ending = child.ending()
      if (ending !== undefined) {
        throw new ClusterError(
          server.ending ? "State" : "Start",
          server.ending
            ? `${serverName(server)} was ended while it started`
            : `${server.part} ended while it started (${describeEnding(ending)})${lastWords([server])}`
        )
      }
      try {
        if (await isReady()) {
          return
        }
      } catch {
        // Not there yet.
      }
      if (performance.now() > deadline) {
        throw new ClusterError(
          "Start",
          `${server.part} was not ready within ${formatElapsed(timeout)}${lastWords([server, server === etcd ? apiServer : etcd])}`
        )
      }
      await sleep(40)
    }
  }

  const startEtcd = async ({ empty = false }: StartEtcdOptions = {}): Promise<void> => {
    if (empty && etcd.child === undefined) fs.rmSync(file("etcd"), { recursive: true, force: true })
    const child = await run(etcd, tools.etcd, [
      "--name=default",
      `--data-dir=${file("etcd")}`,
      `--listen-client-urls=${etcdUrl}`,
      `--advertise-client-urls=${etcdUrl}`,
      `--listen-peer-urls=${peerUrl}`,
      `--initial-advertise-peer-urls=${peerUrl}`,
      `--initial-cluster=default=${peerUrl}`,
      // The data does not outlive this process, let alone the machine; a killed etcd loses nothing by this.
      "--unsafe-no-fsync",
      ...(options.etcdArguments ?? [])
    ])
    await waitFor(etcd, child, async () => {
      const answer = await exchange(
        http.request(`${etcdUrl}/health`, { agent: false, signal: AbortSignal.timeout(2_000) }),
        undefined
      )
      return answer.status === 200
    })
  }

  const startApiServer: Cluster["startApiServer"] = async (changes = {}) => {
    const { waitUntilReady = true, ...settings } = changes
    checkApiServerOptions(settings)
    const next = { ...apiServerOptions, ...settings }
    const limits = eventRateLimits(next)
    if (apiServer.child === undefined && limits.length > 0) {
      writePrivate("admission.json", JSON.stringify(admissionConfiguration(limits), undefined, 2))
    }
    const child = await run(apiServer, tools.kubeApiServer, [
      `--etcd-servers=${etcdUrl}`,
      "--bind-address=127.0.0.1",
      `--secure-port=${port}`,
      // On a machine without a network there is no other address to advertise, and nobody asks for it here.
      "--advertise-address=127.0.0.1",
      "--endpoint-reconciler-type=none",
      `--cert-dir=${path.dirname(certificateAuthority)}`,
      "--service-account-issuer=https://kubernetes.default.svc",
      `--service-account-key-file=${file("service-account.key")}`,
      `--service-account-signing-key-file=${file("service-account.key")}`,
      `--token-auth-file=${file("tokens.csv")}`,
      "--authorization-mode=RBAC",
      "--service-cluster-ip-range=10.0.0.0/24",
      // No controller makes the service accounts that this plugin would wait for.
      "--disable-admission-plugins=ServiceAccount",
      ...(limits.length === 0
        ? []
        : ["--enable-admission-plugins=EventRateLimit", `--admission-control-config-file=${file("admission.json")}`]),
      ...(next.eventTtl === undefined ? [] : [`--event-ttl=${next.eventTtl}`]),
      ...(next.compactionInterval === undefined ? [] : [`--etcd-compaction-interval=${next.compactionInterval}`]),
      ...(next.requestTimeout === undefined ? [] : [`--request-timeout=${next.requestTimeout}`]),
      ...(next.apiServerArguments ?? [])
    ])
    apiServerOptions = next
    if (waitUntilReady) {
      await waitFor(apiServer, child, async () => {
        const answer = await request("/readyz", { signal: AbortSignal.timeout(2_000) })
        return answer.status === 200
      })
    }
  }

  const running = (server: Server): Keeper.Child => {
    if (server.child === undefined) {
      throw new ClusterError("State", `${serverName(server)} does not run`)
    }
    return server.child
  }
  const kill = async (server: Server, signal: KillSignal): Promise<void> => {
    if (!killSignals.includes(signal)) {
      refuse(`${signal} does not end a server; one of ${killSignals.join(", ")} does`)
    }
    const child = running(server)
    server.ending = true
    child.signal(signal)
    await child.ended
  }
  const terminate = async (server: Server, grace: number): Promise<void> => {
    const child = running(server)
    server.ending = true
    child.signal("SIGTERM")
    // What is stopped does not see a SIGTERM until it goes on.
    child.signal("SIGCONT")
    const timer = setTimeout(() => child.signal("SIGKILL"), grace)
    await child.ended
    clearTimeout(timer)
  }
  const pause = async (server: Server): Promise<void> => {
    running(server).signal("SIGSTOP")
    server.paused = true
  }
  const resume = async (server: Server): Promise<void> => {
    running(server).signal("SIGCONT")
    server.paused = false
  }
  const statusOf = (server: Server, ofPort: number): PartStatus => ({
    running: server.child !== undefined,
    paused: server.child !== undefined && server.paused,
    ...(server.child === undefined ? {} : { pid: server.child.pid }),
    port: ofPort
  })

  const faults: Faults = {
    stopApiServer: (stopOptions) => terminate(apiServer, stopOptions?.grace ?? defaultGraceMillis),
    startApiServer,
    killApiServer: (signal = "SIGKILL") => kill(apiServer, signal),
    pauseApiServer: () => pause(apiServer),
    resumeApiServer: () => resume(apiServer),
    stopEtcd: (stopOptions) => terminate(etcd, stopOptions?.grace ?? defaultGraceMillis),
    startEtcd,
    killEtcd: (signal = "SIGKILL") => kill(etcd, signal),
    pauseEtcd: () => pause(etcd),
    resumeEtcd: () => resume(etcd),
    status: async () => ({
      server: url,
      directory,
      apiServer: statusOf(apiServer, port),
      etcd: statusOf(etcd, etcdPort)
    })
  }

  const kubectl: Cluster["kubectl"] = (args, kubectlOptions = {}) =>
    new Promise((resolve, reject) => {
      const { user, input = "" } = kubectlOptions
      // kubectl takes no flag in front of a plugin's name, so there is none where none is needed.
      const context = user === undefined || user === "admin" ? [] : [`--context=${user}`]
      const child = spawn(tools.kubectl, [...context, ...args], { env: { ...process.env, ...environment } })
      const stdout: Array<Buffer> = []
      const stderr: Array<Buffer> = []
      child.stdout.on("data", (chunk: Buffer) => stdout.push(chunk))
      child.stderr.on("data", (chunk: Buffer) => stderr.push(chunk))
      child.once("error", (error) => reject(new ClusterError("Kubectl", `cannot run kubectl: ${error.message}`)))
      child.once("close", (code, signal) =>
        resolve({
          code: exitCode(code, signal),
          stdout: Buffer.concat(stdout).toString(),
          stderr: Buffer.concat(stderr).toString()
        })
      )
      // A kubectl that does not read its input closes it early.
      child.stdin.on("error", () => {})
      child.stdin.end(input)
    })

  const apply: Cluster["apply"] = async (manifests, applyOptions) => {
    const input =
      typeof manifests === "string"
        ? manifests
        : JSON.stringify(Array.isArray(manifests) ? { apiVersion: "v1", kind: "List", items: manifests } : manifests)
    const result = await kubectl(["apply", "-f", "-"], { user: applyOptions?.user, input })
    if (result.code !== 0) {
      throw new ClusterError("Kubectl", `kubectl apply failed: ${result.stderr.trim()}`)
    }
    return result.stdout
  }

  writePrivate("tokens.csv", users.map((user) => tokenLine(user, token(user.name))).join(""))
  const [keys] = await Promise.all([promisify(crypto.generateKeyPair)("rsa", { modulusLength: 2048 }), startEtcd()])
  writePrivate("service-account.key", keys.privateKey.export({ type: "pkcs1", format: "pem" }).toString())
  await startApiServer()
  writePrivate("kubeconfig", kubeconfigText(url, fs.readFileSync(certificateAuthority), tokens))
  const control = await Control.serve(directory, faults)
  isUp = true

  const stop: Cluster["stop"] = (stopOptions) => {
    stopped ??= (async () => {
      control.close()
      if (apiServer.child !== undefined) {
        // Without its etcd an API server does not end on SIGTERM.
        const canEnd = etcd.child !== undefined && !etcd.paused
        await terminate(apiServer, canEnd ? (stopOptions?.grace ?? defaultGraceMillis) : 0)
      }
      if (etcd.child !== undefined) {
        await terminate(etcd, stopOptions?.grace ?? defaultGraceMillis)
      }
      await keeper.end()
    })()
    return stopped
  }

  return {
    ...faults,
    server: url,
    port,
    etcdPort,
    directory,
    kubeconfig: environment.KUBECONFIG,
    certificateAuthority,
    tokens,
    tools,
    environment,
    logs: { "kube-apiserver": apiServer.log, etcd: etcd.log },
    kubectl,
    apply,
    request,
    adopt: keeper.adopt,
    release: keeper.release,
    stop,
    ended: keeper.ended,
    [Symbol.asyncDispose]: () => stop()
  }
}

/** Exit code of a process, as a shell gives it. */
export const exitCode = (code: number | null, signal: string | null): number =>
  code ?? 128 + (os.constants.signals[signal as NodeJS.Signals] ?? 0)

/** `exit code 1`, `SIGKILL`. */
export const describeEnding = (ending: Keeper.Ending): string => ending.signal ?? `exit code ${ending.code}`

// The end says why a server gave up; what it was started with and did not understand stands at the beginning.
const excerpt = (log: string): string => {
  const lines = tail(log, Number.MAX_SAFE_INTEGER).split("\n")
  return lines.length <= headLines + tailLines
    ? lines.join("\n")
    : [...lines.slice(0, headLines), "[…]", ...lines.slice(-tailLines)].join("\n")
}

const lastWords = (servers: ReadonlyArray<Server>): string =>
  servers
    .map((server) => ({ part: server.part, text: excerpt(server.log) }))
    .filter(({ text }) => text !== "")
    .map(({ part, text }) => `\n${part} wrote:\n${text}`)
    .join("")

const exchange = (request: http.ClientRequest, body: string | undefined): Promise<Response> =>
  new Promise((resolve, reject) => {
    request.once("error", reject)
    request.once("response", (response) => {
      const chunks: Array<Buffer> = []
      response.on("data", (chunk: Buffer) => chunks.push(chunk))
      response.once("error", reject)
      response.once("end", () => {
        const text = Buffer.concat(chunks).toString()
        resolve({
          status: response.statusCode ?? 0,
          headers: response.headers,
          text,
          json: () => {
            const parsed: unknown = JSON.parse(text)
            return parsed
          }
        })
      })
    })
    request.end(body)
  })

const isFree = (port: number): Promise<boolean> =>
  new Promise((resolve) => {
    const server = net.createServer()
    server.once("error", () => resolve(false))
    server.listen(port, "127.0.0.1", () => server.close(() => resolve(true)))
  })

const choosePorts = async (wanted: ReadonlyArray<number | undefined>): Promise<ReadonlyArray<number>> => {
  const chosen: Array<number> = []
  for (const port of wanted) {
    if (port !== undefined) {
      if (!(await isFree(port))) {
        throw new ClusterError("Start", `port ${port} is in use`)
      }
      chosen.push(port)
      continue
    }
    let candidate = 0
    do {
      candidate = firstPort + crypto.randomInt(portCount)
    } while (chosen.includes(candidate) || wanted.includes(candidate) || !(await isFree(candidate)))
    chosen.push(candidate)
  }
  return chosen
}

// token,user,uid,"groups": Go's CSV, where a quote inside quotes is doubled.
const tokenLine = (user: User, token: string): string =>
  [token, user.name, user.name, (user.groups ?? ordinaryGroups).join(",")]
    .map((field) => `"${field.replaceAll('"', '""')}"`)
    .join(",") + "\n"

const kubeconfigText = (server: string, authority: Buffer, tokens: Readonly<Record<string, string>>): string => {
  // A JSON string is a YAML string.
  const names = Object.entries(tokens).map(([name, token]) => ({ name: JSON.stringify(name), token }))
  return [
    "apiVersion: v1",
    "kind: Config",
    "current-context: admin",
    "clusters:",
    "- name: tidings",
    "  cluster:",
    `    server: ${server}`,
    `    certificate-authority-data: ${authority.toString("base64")}`,
    "contexts:",
    ...names.flatMap(({ name }) => [`- name: ${name}`, "  context:", "    cluster: tidings", `    user: ${name}`]),
    "users:",
    ...names.flatMap(({ name, token }) => [`- name: ${name}`, "  user:", `    token: ${JSON.stringify(token)}`]),
    ""
  ].join("\n")
}

const eventRateLimits = (options: ApiServerOptions): ReadonlyArray<EventRateLimit> =>
  options.eventRateLimit === undefined ? [] : [options.eventRateLimit].flat()

const admissionConfiguration = (limits: ReadonlyArray<EventRateLimit>): object => ({
  apiVersion: "apiserver.config.k8s.io/v1",
  kind: "AdmissionConfiguration",
  plugins: [
    {
      name: "EventRateLimit",
      configuration: {
        apiVersion: "eventratelimit.admission.k8s.io/v1alpha1",
        kind: "Configuration",
        limits: limits.map(({ type = "Namespace", qps, burst = qps }) => ({ type, qps, burst }))
      }
    }
  ]
})

const refuse = (message: string): never => {
  throw new ClusterError("Option", message)
}

const checkDuration = (name: string, value: string | undefined): void => {
  if (value !== undefined && !/^(?:\d+(?:\.\d+)?(?:ns|us|µs|ms|s|m|h))+$/.test(value)) {
    refuse(`${name} is no duration: "${value}"; write it like 20s or 1m30s`)
  }
}

const checkPort = (name: string, value: number | undefined): void => {
  if (value !== undefined && !(Number.isInteger(value) && value >= 1 && value <= 65_535)) {
    refuse(`${name} is no port: ${value}; a port is a whole number from 1 to 65535`)
  }
}

const checkArguments = (name: string, values: ReadonlyArray<string> | undefined): void => {
  for (const value of values ?? []) {
    if (!value.startsWith("--")) {
      refuse(`${name} takes whole flags like --name=value, not "${value}"`)
    }
  }
}

const checkApiServerOptions = (options: ApiServerOptions): void => {
  checkDuration("the event TTL", options.eventTtl)
  checkDuration("the compaction interval", options.compactionInterval)
  checkDuration("the request timeout", options.requestTimeout)
  checkArguments("the API server", options.apiServerArguments)
  for (const { qps, burst = qps } of eventRateLimits(options)) {
    if (!(Number.isInteger(qps) && qps >= 1 && Number.isInteger(burst) && burst >= 1)) {
      refuse(`an event rate limit needs whole numbers from 1, not ${qps} per second with a burst of ${burst}`)
    }
  }
}

const checkStartOptions = (options: StartOptions): void => {
  checkApiServerOptions(options)
  checkPort("the API server's port", options.port)
  checkPort("etcd's port", options.etcdPort)
  if (options.port !== undefined && options.port === options.etcdPort) {
    refuse(`both servers cannot have port ${options.port}`)
  }
  checkArguments("etcd", options.etcdArguments)
  const names = [...defaultUsers, ...(options.users ?? [])].map((user) => user.name)
  const twice = names.find((name, index) => names.indexOf(name) !== index)
  if (twice !== undefined) {
    refuse(`there are two users named "${twice}"`)
  }
}
