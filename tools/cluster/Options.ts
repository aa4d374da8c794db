/** How a cluster is started, and the options that are refused. */
import type { BuildOptions } from "./Build.ts"
import { ClusterError } from "./ClusterError.ts"
import type * as Keeper from "./Keeper.ts"

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

/** A user with a token, and a context of that name in the kubeconfig. */
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

/** The users that every cluster has. */
export const defaultUsers: ReadonlyArray<User> = [
  { name: "admin", groups: ["system:masters"] },
  { name: "writer" },
  { name: "reader" },
  { name: "user" },
  { name: "nobody" }
]

/** The event rate limits of the API server as a list. */
export const eventRateLimits = (options: ApiServerOptions): ReadonlyArray<EventRateLimit> =>
  options.eventRateLimit === undefined ? [] : [options.eventRateLimit].flat()

/** Fails with the reason `Option`. */
export const refuse = (message: string): never => {
  throw new ClusterError("Option", message)
}

const checkDuration = (name: string, value: string | undefined): void => {
  if (value !== undefined && !/^(?:\d+(?:\.\d+)?(?:ns|us|µs|ms|s|m|h))+$/.test(value)) {
    refuse(`${name} is not a duration: "${value}"; write it like 20s or 1m30s`)
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

/** Throws `ClusterError` where the API server cannot be started with these. */
export const checkApiServerOptions = (options: ApiServerOptions): void => {
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

/** Throws `ClusterError` where a cluster cannot be started with these. */
export const checkStartOptions = (options: StartOptions): void => {
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
