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
import * as crypto from "node:crypto"
import * as fs from "node:fs"
import * as http from "node:http"
import * as https from "node:https"
import * as path from "node:path"
import { promisify } from "node:util"
import { build, type Tools } from "./Build.ts"
import { ClusterError, messageOf, throwIfAborted } from "./ClusterError.ts"
import * as Control from "./Control.ts"
import { kubeconfigText, tokenLine } from "./Credentials.ts"
import type { Faults, StartEtcdOptions, StopOptions } from "./Faults.ts"
import * as Keeper from "./Keeper.ts"
import * as Kubectl from "./Kubectl.ts"
import {
  type ApiServerOptions,
  checkApiServerOptions,
  checkStartOptions,
  defaultUsers,
  type EventRateLimit,
  eventRateLimits,
  type Part,
  type StartOptions
} from "./Options.ts"
import { choosePorts } from "./Ports.ts"
import { exchange, type RequestOptions, type Response } from "./Request.ts"
import { Server, type Surroundings } from "./Server.ts"

export { build, type BuildOptions, type Tools } from "./Build.ts"
export { ClusterError, type Reason } from "./ClusterError.ts"
export {
  type Faults,
  type KillSignal,
  killSignals,
  type PartStatus,
  type StartApiServerOptions,
  type StartEtcdOptions,
  type Status,
  type StopOptions
} from "./Faults.ts"
export { exitCode, type KubectlOptions, type KubectlResult } from "./Kubectl.ts"
export type { ApiServerOptions, EventRateLimit, Part, StartOptions, User } from "./Options.ts"
export type { RequestOptions, Response } from "./Request.ts"
export { describeEnding } from "./Server.ts"

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
  readonly kubectl: (args: ReadonlyArray<string>, options?: Kubectl.KubectlOptions) => Promise<Kubectl.KubectlResult>
  /** `kubectl apply`: YAML or JSON text, an object, or a list of objects. Returns what kubectl printed. */
  readonly apply: (manifests: string | object, options?: { readonly user?: string | undefined }) => Promise<string>
  /** One request on a connection of its own. */
  readonly request: (path: string, options?: RequestOptions) => Promise<Response>
  /** Has a process (or its group) killed together with the cluster if this process vanishes. */
  readonly adopt: (pid: number, group: boolean) => void
  readonly release: (pid: number) => void
  /** Ends the API server, then etcd, and removes the directory. Can be called at any time, and again. */
  readonly stop: (options?: StopOptions) => Promise<void>
  /** Resolves when all of it is gone: after `stop`, or when the process that holds the servers was killed. */
  readonly ended: Promise<void>
}

const defaultGraceMillis = 5_000

/** Builds what is missing and starts a cluster; resolves when it is ready. */
export const start = async (options: StartOptions = {}): Promise<Cluster> => {
  checkStartOptions(options)
  const tools = await build(options)
  for (let attempt = 1; ; attempt++) {
    try {
      return await startOnce(tools, options)
    } catch (error) {
      // Between finding a port free and using it, another process may take it.
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

// ---------------------------------------------------------------------------
// the place of a cluster: its directory, addresses and users
// ---------------------------------------------------------------------------

interface Place {
  readonly directory: string
  /** A file in the directory. */
  readonly file: (name: string) => string
  readonly writePrivate: (name: string, text: string) => void
  readonly port: number
  readonly etcdPort: number
  readonly url: string
  readonly etcdUrl: string
  readonly peerUrl: string
  readonly tokens: Readonly<Record<string, string>>
  readonly token: (user: string) => string
  readonly certificateAuthority: string
}

const makePlace = async (options: StartOptions, keeper: Keeper.Keeper): Promise<Place> => {
  const directory = await keeper.makeDirectory("tidings-cluster-", options.keepDirectory === true)
  const file = (name: string): string => path.join(directory, name)
  const writePrivate = (name: string, text: string): void => fs.writeFileSync(file(name), text, { mode: 0o600 })
  const [port = 0, etcdPort = 0, peerPort = 0] = await choosePorts([options.port, options.etcdPort, undefined])
  const users = [...defaultUsers, ...(options.users ?? [])]
  const tokens: Readonly<Record<string, string>> = Object.fromEntries(
    users.map((user) => [user.name, crypto.randomBytes(24).toString("base64url")])
  )
  const token = (user: string): string => {
    const found = tokens[user]
    if (found === undefined) {
      throw new ClusterError("Option", `there is no user "${user}", only ${Object.keys(tokens).join(", ")}`)
    }
    return found
  }
  writePrivate("tokens.csv", users.map((user) => tokenLine(user, token(user.name))).join(""))
  return {
    directory,
    file,
    writePrivate,
    port,
    etcdPort,
    url: `https://127.0.0.1:${port}`,
    etcdUrl: `http://127.0.0.1:${etcdPort}`,
    peerUrl: `http://127.0.0.1:${peerPort}`,
    tokens,
    token,
    certificateAuthority: file("certificates/apiserver.crt")
  }
}

const requestTo =
  ({ certificateAuthority, token, url }: Place): Cluster["request"] =>
  async (target, options = {}) => {
    const { body, headers, contentType = "application/json" } = options
    const text = typeof body === "string" || body === undefined ? body : JSON.stringify(body)
    return exchange(
      https.request(`${url}${target}`, {
        agent: false,
        ca: fs.readFileSync(certificateAuthority),
        method: options.method ?? "GET",
        headers: {
          authorization: `Bearer ${token(options.user ?? "admin")}`,
          ...(text === undefined ? {} : { "content-type": contentType, "content-length": Buffer.byteLength(text) }),
          ...headers
        },
        ...(options.signal === undefined ? {} : { signal: options.signal })
      }),
      text
    )
  }

// ---------------------------------------------------------------------------
// the two servers
// ---------------------------------------------------------------------------

const etcdArguments = ({ etcdUrl, file, peerUrl }: Place, options: StartOptions): ReadonlyArray<string> => [
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
]

const apiServerArguments = (
  { certificateAuthority, etcdUrl, file, port }: Place,
  options: ApiServerOptions
): ReadonlyArray<string> => [
  `--etcd-servers=${etcdUrl}`,
  "--bind-address=127.0.0.1",
  `--secure-port=${port}`,
  // On a machine without a network there is no other address to advertise, and no client reads it.
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
  ...(eventRateLimits(options).length === 0
    ? []
    : ["--enable-admission-plugins=EventRateLimit", `--admission-control-config-file=${file("admission.json")}`]),
  ...(options.eventTtl === undefined ? [] : [`--event-ttl=${options.eventTtl}`]),
  ...(options.compactionInterval === undefined ? [] : [`--etcd-compaction-interval=${options.compactionInterval}`]),
  ...(options.requestTimeout === undefined ? [] : [`--request-timeout=${options.requestTimeout}`]),
  ...(options.apiServerArguments ?? [])
]

const faultsOf = (
  tools: Tools,
  options: StartOptions,
  place: Place,
  { apiServer, etcd }: { readonly apiServer: Server; readonly etcd: Server },
  request: Cluster["request"]
): Faults => {
  let apiServerOptions: ApiServerOptions = options

  const startEtcd = async ({ empty = false }: StartEtcdOptions = {}): Promise<void> => {
    if (empty && etcd.child === undefined) fs.rmSync(place.file("etcd"), { recursive: true, force: true })
    const child = await etcd.run(tools.etcd, etcdArguments(place, options))
    await etcd.waitFor(child, apiServer, async () => {
      const answer = await exchange(
        http.request(`${place.etcdUrl}/health`, { agent: false, signal: AbortSignal.timeout(2_000) }),
        undefined
      )
      return answer.status === 200
    })
  }

  const startApiServer: Faults["startApiServer"] = async (changes = {}) => {
    const { waitUntilReady = true, ...settings } = changes
    checkApiServerOptions(settings)
    const next = { ...apiServerOptions, ...settings }
    const limits = eventRateLimits(next)
    if (apiServer.child === undefined && limits.length > 0) {
      place.writePrivate("admission.json", JSON.stringify(admissionConfiguration(limits), undefined, 2))
    }
    const child = await apiServer.run(tools.kubeApiServer, apiServerArguments(place, next))
    apiServerOptions = next
    if (waitUntilReady) {
      await apiServer.waitFor(child, etcd, async () => {
        const answer = await request("/readyz", { signal: AbortSignal.timeout(2_000) })
        return answer.status === 200
      })
    }
  }

  return {
    stopApiServer: (stopOptions) => apiServer.terminate(stopOptions?.grace ?? defaultGraceMillis),
    startApiServer,
    killApiServer: (signal = "SIGKILL") => apiServer.kill(signal),
    pauseApiServer: () => apiServer.pause(),
    resumeApiServer: () => apiServer.resume(),
    stopEtcd: (stopOptions) => etcd.terminate(stopOptions?.grace ?? defaultGraceMillis),
    startEtcd,
    killEtcd: (signal = "SIGKILL") => etcd.kill(signal),
    pauseEtcd: () => etcd.pause(),
    resumeEtcd: () => etcd.resume(),
    status: async () => ({
      server: place.url,
      directory: place.directory,
      apiServer: apiServer.status(place.port),
      etcd: etcd.status(place.etcdPort)
    })
  }
}

// ---------------------------------------------------------------------------
// the cluster
// ---------------------------------------------------------------------------

const make = async (tools: Tools, options: StartOptions, keeper: Keeper.Keeper): Promise<Cluster> => {
  const place = await makePlace(options, keeper)
  const { directory, file, port, tokens, url, writePrivate } = place
  const environment = {
    KUBECONFIG: file("kubeconfig"),
    // kubectl keeps what it discovered by address, and an address of today is another cluster's of yesterday.
    KUBECACHEDIR: file("kubectl-cache"),
    PATH: `${tools.directory}${path.delimiter}${process.env["PATH"] ?? ""}`
  }
  const surroundings: Surroundings = { keeper, directory, options, state: "starting" }
  const etcd = new Server(surroundings, "etcd", file("etcd.log"))
  const apiServer = new Server(surroundings, "kube-apiserver", file("kube-apiserver.log"))
  const request = requestTo(place)
  const faults = faultsOf(tools, options, place, { apiServer, etcd }, request)

  const [keys] = await Promise.all([
    promisify(crypto.generateKeyPair)("rsa", { modulusLength: 2048 }),
    faults.startEtcd()
  ])
  writePrivate("service-account.key", keys.privateKey.export({ type: "pkcs1", format: "pem" }).toString())
  await faults.startApiServer()
  writePrivate("kubeconfig", kubeconfigText(url, fs.readFileSync(place.certificateAuthority), tokens))
  const control = await Control.serve(directory, faults)
  surroundings.state = "up"

  const kubectl: Cluster["kubectl"] = (args, kubectlOptions) =>
    Kubectl.run(tools.kubectl, environment, args, kubectlOptions)

  let stopped: Promise<void> | undefined
  const stop: Cluster["stop"] = (stopOptions) => {
    surroundings.state = "stopped"
    stopped ??= (async () => {
      control.close()
      if (apiServer.child !== undefined) {
        // Without its etcd an API server does not end on SIGTERM.
        const canEnd = etcd.child !== undefined && !etcd.paused
        await apiServer.terminate(canEnd ? (stopOptions?.grace ?? defaultGraceMillis) : 0)
      }
      if (etcd.child !== undefined) {
        await etcd.terminate(stopOptions?.grace ?? defaultGraceMillis)
      }
      await keeper.end()
    })()
    return stopped
  }

  return {
    ...faults,
    server: url,
    port,
    etcdPort: place.etcdPort,
    directory,
    kubeconfig: environment.KUBECONFIG,
    certificateAuthority: place.certificateAuthority,
    tokens,
    tools,
    environment,
    logs: { "kube-apiserver": apiServer.log, etcd: etcd.log },
    kubectl,
    apply: (manifests, applyOptions) => Kubectl.apply(kubectl, manifests, applyOptions?.user),
    request,
    adopt: keeper.adopt,
    release: keeper.release,
    stop,
    ended: keeper.ended,
    [Symbol.asyncDispose]: () => stop()
  }
}
