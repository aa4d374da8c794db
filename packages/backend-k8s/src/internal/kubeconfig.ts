/**
 * Finds and reads the configuration of a cluster as kubectl does.
 */
import type { Cluster, Context, KubeConfig, User } from "@kubernetes/client-node"
import * as BackendError from "@tidings/core/BackendError"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Effect from "effect/Effect"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"

/**
 * Where the configuration of a cluster is.
 *
 * @internal
 */
export type Source =
  | { readonly _tag: "Files"; readonly files: ReadonlyArray<string> }
  | { readonly _tag: "ServiceAccount"; readonly directory: string; readonly server: string }

/** @internal */
export const describe = (source: Source): string =>
  source._tag === "Files" ? source.files.join(path.delimiter) : `the service account in ${source.directory}`

/** @internal */
export interface Options {
  readonly kubeconfig?: string | undefined
  readonly context?: string | undefined
  readonly serviceAccountDirectory?: string | undefined
}

const SERVICE_ACCOUNT_DIRECTORY = "/var/run/secrets/kubernetes.io/serviceaccount"

const unavailable = (detail: string, cause?: unknown) =>
  BackendError.make(new BackendError.Unavailable({ detail }), cause)

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error))

/**
 * The value of an environment variable; empty counts as absent. Read from the provider itself, because `Config` would
 * bring `Schema` with it.
 *
 * @internal
 */
export const variable = (name: string): Effect.Effect<string | undefined> =>
  Effect.flatMap(ConfigProvider.ConfigProvider, (provider) =>
    Effect.match(provider.load([name]), {
      onFailure: () => undefined,
      onSuccess: (node) =>
        node !== undefined && "value" in node && node.value !== undefined && node.value !== "" ? node.value : undefined
    })
  )

const isFile = (file: string): boolean => fs.statSync(file, { throwIfNoEntry: false })?.isFile() === true

/**
 * The first of: the option, `$KUBECONFIG`, `~/.kube/config`, the service account of a pod. `undefined` when there is
 * none of them.
 *
 * @internal
 */
export const find = (options: Options): Effect.Effect<Source | undefined> =>
  Effect.gen(function* () {
    const named = options.kubeconfig ?? (yield* variable("KUBECONFIG"))
    if (named !== undefined) {
      const files = named.split(path.delimiter).filter((file) => file !== "")
      // kubectl passes over files of the list that do not exist, as long as there is one.
      const existing = files.filter(isFile)
      return { _tag: "Files", files: existing.length === 0 ? files : existing }
    }
    const home = (yield* variable("HOME")) ?? (yield* variable("USERPROFILE")) ?? os.homedir()
    const ordinary = path.join(home, ".kube", "config")
    if (isFile(ordinary)) return { _tag: "Files", files: [ordinary] }
    const directory = options.serviceAccountDirectory ?? SERVICE_ACCOUNT_DIRECTORY
    const host = yield* variable("KUBERNETES_SERVICE_HOST")
    const port = (yield* variable("KUBERNETES_SERVICE_PORT")) ?? "443"
    if (host === undefined || !isFile(path.join(directory, "token"))) return undefined
    return { _tag: "ServiceAccount", directory, server: `https://${host.includes(":") ? `[${host}]` : host}:${port}` }
  })

// ---------------------------------------------------------------------------
// loading
// ---------------------------------------------------------------------------

/**
 * The configuration of one cluster and user. Loading it again forgets every token that its plugins have cached.
 *
 * @internal
 */
export interface Loaded {
  readonly kubeConfig: KubeConfig
  readonly cluster: Cluster
  /** Read by us, because it is replaced while we run. */
  readonly tokenFile: string | undefined
  readonly context: string
  readonly namespace: string
  /** Whether the credentials come from a program or a login that may take its time. */
  readonly plugin: string | undefined
}

interface Parts {
  readonly clusters: Array<Cluster>
  readonly users: Array<User>
  readonly contexts: Array<Context>
  readonly tokenFiles: Map<string, string>
  currentContext: string | undefined
}

const takeNew = <A extends { readonly name: string }>(into: Array<A>, from: ReadonlyArray<A>): void => {
  for (const one of from) if (!into.some(({ name }) => name === one.name)) into.push(one)
}

// client-node does not know `tokenFile`, so it is read beside it. Only few kubeconfigs have one.
const tokenFilesIn = (text: string, directory: string): Effect.Effect<ReadonlyArray<readonly [string, string]>> =>
  text.includes("tokenFile")
    ? Effect.map(
        Effect.promise(() => import("effect/encoding/Yaml")),
        (Yaml) => {
          const users = fieldsOf(Yaml.parse(text))["users"]
          return (Array.isArray(users) ? users : []).flatMap((entry): Array<readonly [string, string]> => {
            const { name, user } = fieldsOf(entry)
            const file = fieldsOf(user)["tokenFile"]
            return typeof name === "string" && typeof file === "string" ? [[name, path.resolve(directory, file)]] : []
          })
        }
      )
    : Effect.succeed([])

const fieldsOf = (value: unknown): { readonly [key: string]: unknown } =>
  typeof value === "object" && value !== null ? { ...value } : {}

const readFiles = Effect.fnUntraced(function* (
  files: ReadonlyArray<string>,
  make: () => KubeConfig
): Effect.fn.Return<Parts, BackendError.BackendError> {
  const parts: Parts = { clusters: [], users: [], contexts: [], tokenFiles: new Map(), currentContext: undefined }
  for (const file of files) {
    const kubeConfig = make()
    const text = yield* Effect.try({
      try: () => {
        kubeConfig.loadFromFile(file, { onInvalidEntry: "filter" })
        return fs.readFileSync(file, "utf8")
      },
      catch: (cause) => unavailable(`the kubeconfig ${file} cannot be read: ${messageOf(cause)}`, cause)
    })
    // As kubectl has it: what several files name counts as in the first of them.
    takeNew(parts.clusters, kubeConfig.clusters)
    takeNew(parts.users, kubeConfig.users)
    takeNew(parts.contexts, kubeConfig.contexts)
    const current: string | undefined = kubeConfig.currentContext
    if (parts.currentContext === undefined && current !== undefined && current !== "") parts.currentContext = current
    for (const [user, tokenFile] of yield* tokenFilesIn(text, path.dirname(path.resolve(file)))) {
      if (!parts.tokenFiles.has(user)) parts.tokenFiles.set(user, tokenFile)
    }
  }
  return parts
})

const serviceAccountParts = (source: Extract<Source, { readonly _tag: "ServiceAccount" }>): Parts => {
  const namespaceFile = path.join(source.directory, "namespace")
  const certificate = path.join(source.directory, "ca.crt")
  const namespace = isFile(namespaceFile) ? fs.readFileSync(namespaceFile, "utf8").trim() : "default"
  return {
    clusters: [
      {
        name: "service-account",
        server: source.server,
        skipTLSVerify: false,
        ...(isFile(certificate) ? { caFile: certificate } : undefined)
      }
    ],
    users: [{ name: "service-account" }],
    contexts: [{ name: "service-account", cluster: "service-account", user: "service-account", namespace }],
    tokenFiles: new Map([["service-account", path.join(source.directory, "token")]]),
    currentContext: "service-account"
  }
}

/** What a credential plugin is told; without it some refuse to work, and others guess a version. */
const executionInfo = (user: User, cluster: Cluster): string => {
  const settings = fieldsOf(user.exec)
  return JSON.stringify({
    apiVersion: settings["apiVersion"] ?? "client.authentication.k8s.io/v1",
    kind: "ExecCredential",
    spec: {
      interactive: false,
      ...(settings["provideClusterInfo"] === true
        ? {
            cluster: {
              server: cluster.server,
              ...(cluster.caData === undefined ? undefined : { "certificate-authority-data": cluster.caData }),
              ...(cluster.tlsServerName === undefined ? undefined : { "tls-server-name": cluster.tlsServerName }),
              ...(cluster.skipTLSVerify ? { "insecure-skip-tls-verify": true } : undefined)
            }
          }
        : undefined)
    }
  })
}

const withExecutionInfo = (user: User, cluster: Cluster): User => {
  if (user.exec === undefined || user.exec === null) return user
  const settings = fieldsOf(user.exec)
  const environment: ReadonlyArray<unknown> = Array.isArray(settings["env"]) ? settings["env"] : []
  return {
    ...user,
    exec: {
      ...settings,
      env: [...environment, { name: "KUBERNETES_EXEC_INFO", value: executionInfo(user, cluster) }]
    }
  }
}

const pluginOf = (user: User): string | undefined => {
  const command = fieldsOf(user.exec)["command"]
  if (typeof command === "string") return command
  const provider = fieldsOf(user.authProvider)["name"]
  return typeof provider === "string" ? provider : undefined
}

/**
 * Reads the configuration of a source.
 *
 * @internal
 */
export const load = Effect.fnUntraced(function* (
  source: Source,
  wantedContext: string | undefined
): Effect.fn.Return<Loaded, BackendError.BackendError> {
  // Some 90 MB of memory and a third of a second: only who has a cluster pays for it.
  const client = yield* Effect.tryPromise({
    try: () => import("@kubernetes/client-node"),
    catch: (cause) => unavailable(`@kubernetes/client-node cannot be loaded: ${messageOf(cause)}`, cause)
  })
  const parts =
    source._tag === "Files"
      ? yield* readFiles(source.files, () => new client.KubeConfig())
      : serviceAccountParts(source)
  const where = describe(source)

  const contextName = wantedContext ?? parts.currentContext
  if (contextName === undefined) {
    return yield* unavailable(`${where} has no current-context; name one of: ${namesOf(parts.contexts)}`)
  }
  const context = parts.contexts.find(({ name }) => name === contextName)
  if (context === undefined) {
    return yield* unavailable(`${where} has no context "${contextName}"; there are: ${namesOf(parts.contexts)}`)
  }
  const cluster = parts.clusters.find(({ name }) => name === context.cluster)
  if (cluster === undefined) {
    return yield* unavailable(
      `${where}: context "${contextName}" names cluster "${context.cluster}", which is not there`
    )
  }
  if (!URL.canParse(cluster.server)) {
    return yield* unavailable(`${where}: "${cluster.server}" of cluster "${cluster.name}" is no address of a server`)
  }
  const wantedUser: string | undefined = context.user
  const user = parts.users.find(({ name }) => name === wantedUser)
  if (user === undefined && wantedUser !== undefined && wantedUser !== "") {
    return yield* unavailable(`${where}: context "${contextName}" names user "${wantedUser}", who is not there`)
  }

  const someone: User = user === undefined ? { name: "anonymous" } : withExecutionInfo(user, cluster)
  // client-node refuses plain HTTP, which kubectl proxy speaks, unless certificates are not to be checked.
  const served = cluster.server.startsWith("http:") ? { ...cluster, skipTLSVerify: true } : cluster
  const kubeConfig = new client.KubeConfig()
  kubeConfig.loadFromOptions({
    clusters: [served],
    users: [someone],
    contexts: [{ ...context, user: someone.name }],
    currentContext: contextName
  })
  return {
    kubeConfig,
    cluster: served,
    tokenFile: parts.tokenFiles.get(someone.name),
    context: contextName,
    namespace: context.namespace ?? "default",
    plugin: pluginOf(someone)
  }
})

const namesOf = (contexts: ReadonlyArray<Context>): string =>
  contexts.length === 0 ? "none" : contexts.map(({ name }) => name).join(", ")
