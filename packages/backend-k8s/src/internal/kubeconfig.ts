/**
 * Finds and reads the configuration of a cluster as kubectl does.
 */
import * as BackendError from "@tidings/core/BackendError"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Effect from "effect/Effect"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import type { KubeConfig } from "./givenKubeConfig.ts"
import type { Cluster, Context, Kubeconfig, User } from "./kubeconfigFile.ts"

interface ServiceAccount {
  readonly _tag: "ServiceAccount"
  readonly directory: string
  readonly server: string
}

/**
 * Where the configuration of a cluster is.
 *
 * @internal
 */
export type Source =
  | {
      readonly _tag: "Files"
      readonly files: ReadonlyArray<string>
      /** Used where the files name no context. */
      readonly otherwise: ServiceAccount | undefined
    }
  | ServiceAccount
  | { readonly _tag: "Given"; readonly kubeConfig: KubeConfig }

/** @internal */
export const describe = (source: Source): string => {
  switch (source._tag) {
    case "Files":
      return source.files.join(path.delimiter)
    case "ServiceAccount":
      return `the service account in ${source.directory}`
    case "Given":
      return "the KubeConfig of the host"
  }
}

/** @internal */
export interface Options {
  readonly kubeconfig?: string | undefined
  readonly kubeConfig?: KubeConfig | undefined
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

const isThere = (file: string): boolean => {
  try {
    fs.statSync(file)
    return true
  } catch (error) {
    return (error as NodeJS.ErrnoException).code !== "ENOENT"
  }
}

const serviceAccount = (options: Options): Effect.Effect<ServiceAccount | undefined> =>
  Effect.gen(function* () {
    const directory = options.serviceAccountDirectory ?? SERVICE_ACCOUNT_DIRECTORY
    const host = yield* variable("KUBERNETES_SERVICE_HOST")
    const port = yield* variable("KUBERNETES_SERVICE_PORT")
    if (host === undefined || port === undefined || !isFile(path.join(directory, "token"))) return undefined
    return { _tag: "ServiceAccount", directory, server: `https://${host.includes(":") ? `[${host}]` : host}:${port}` }
  })

/**
 * The first of: the options, `$KUBECONFIG`, `~/.kube/config`, the service account of a pod. `undefined` when there is
 * none of them. The service account also counts where the files of the environment are missing or name no context.
 *
 * @internal
 */
export const find = (options: Options): Effect.Effect<Source | undefined> =>
  Effect.gen(function* () {
    if (options.kubeConfig !== undefined) return { _tag: "Given", kubeConfig: options.kubeConfig }
    const list = (files: string): ReadonlyArray<string> => [
      ...new Set(files.split(path.delimiter).filter((file) => file !== ""))
    ]
    if (options.kubeconfig !== undefined) {
      return { _tag: "Files", files: present(list(options.kubeconfig)), otherwise: undefined }
    }
    const otherwise = yield* serviceAccount(options)
    const named = yield* variable("KUBECONFIG")
    if (named !== undefined) {
      const files = list(named)
      if (otherwise !== undefined && !files.some(isThere)) return otherwise
      return { _tag: "Files", files: present(files), otherwise }
    }
    const home = (yield* variable("HOME")) ?? (yield* variable("USERPROFILE")) ?? os.homedir()
    const ordinary = path.join(home, ".kube", "config")
    return isThere(ordinary) ? { _tag: "Files", files: [ordinary], otherwise } : otherwise
  })

/** The files that exist, as kubectl ignores the others; all of them where none exists, so that the error names them. */
const present = (files: ReadonlyArray<string>): ReadonlyArray<string> => {
  const existing = files.filter(isThere)
  return existing.length === 0 ? files : existing
}

// ---------------------------------------------------------------------------
// loading
// ---------------------------------------------------------------------------

/**
 * The user and the cluster of a context.
 *
 * @internal
 */
export type Identity =
  | { readonly _tag: "User"; readonly user: User; readonly cluster: Cluster }
  | { readonly _tag: "Given"; readonly kubeConfig: KubeConfig }

/**
 * The configuration of one cluster and user.
 *
 * @internal
 */
export interface Loaded {
  readonly source: Source
  /** An address with its scheme, without a query. */
  readonly server: string
  /** Whether credentials may be sent there: never without TLS. */
  readonly isSecure: boolean
  readonly proxyUrl: string | undefined
  readonly disableCompression: boolean
  readonly context: string
  readonly namespace: string
  readonly identity: Identity
}

interface Parts {
  readonly clusters: Map<string, Cluster>
  readonly users: Map<string, User>
  readonly contexts: Map<string, Context>
  currentContext: string | undefined
}

const nothing = (): Parts => ({ clusters: new Map(), users: new Map(), contexts: new Map(), currentContext: undefined })

/** Paths are relative to the kubeconfig, also those of programs, unless they are to be found in the PATH. */
const resolved = (kubeconfig: Kubeconfig, file: string): Kubeconfig => {
  const directory = path.dirname(path.resolve(file))
  const absolute = (name: string | undefined) => (name === undefined ? undefined : path.resolve(directory, name))
  return {
    ...kubeconfig,
    clusters: kubeconfig.clusters.map((cluster) => ({
      ...cluster,
      certificateAuthority: absolute(cluster.certificateAuthority)
    })),
    users: kubeconfig.users.map((user) => ({
      ...user,
      clientCertificate: absolute(user.clientCertificate),
      clientKey: absolute(user.clientKey),
      tokenFile: absolute(user.tokenFile),
      plugin: user.plugin?.command.includes(path.sep)
        ? { ...user.plugin, command: path.resolve(directory, user.plugin.command) }
        : user.plugin
    }))
  }
}

/** As in kubectl, of entries with the same name in several files the first one counts. */
const takeNew = <A extends { readonly name: string }>(into: Map<string, A>, from: ReadonlyArray<A>): void => {
  for (const one of from) if (!into.has(one.name)) into.set(one.name, one)
}

/**
 * The cause of a failure where no cluster is chosen: there are no files, or no context is chosen in them.
 *
 * @internal
 */
export class ChoosesNoCluster extends Error {}

const readFiles = Effect.fnUntraced(function* (
  files: ReadonlyArray<string>
): Effect.fn.Return<Parts, BackendError.BackendError> {
  const { parse } = yield* Effect.promise(() => import("./kubeconfigFile.ts"))
  if (!files.some(isThere)) {
    const detail = `the kubeconfig ${files.join(path.delimiter)} cannot be read: it does not exist`
    return yield* unavailable(detail, new ChoosesNoCluster(detail))
  }
  const parts = nothing()
  for (const file of files) {
    const read = yield* Effect.try({
      try: () => resolved(parse(fs.readFileSync(file, "utf8")), file),
      catch: (cause) => unavailable(`the kubeconfig ${file} cannot be read: ${messageOf(cause)}`, cause)
    })
    takeNew(parts.clusters, read.clusters)
    takeNew(parts.users, read.users)
    takeNew(parts.contexts, read.contexts)
    parts.currentContext ??= read.currentContext
  }
  return parts
})

/**
 * The names of the contexts of a source.
 *
 * @internal
 */
export const contextNames = (source: Source): Effect.Effect<ReadonlyArray<string>, BackendError.BackendError> =>
  source._tag === "Files"
    ? Effect.map(readFiles(source.files), ({ contexts }) => [...contexts.keys()])
    : Effect.succeed([])

const NOBODY: User = {
  name: "",
  clientCertificate: undefined,
  clientKey: undefined,
  tokenFile: undefined,
  clientCertificateData: undefined,
  clientKeyData: undefined,
  token: undefined,
  username: undefined,
  password: undefined,
  impersonate: undefined,
  impersonateUid: undefined,
  impersonateGroups: [],
  impersonateExtra: {},
  plugin: undefined,
  authProvider: undefined
}

const namespaceOf = (source: ServiceAccount): Effect.Effect<string> =>
  Effect.map(variable("POD_NAMESPACE"), (given) => {
    if (given !== undefined) return given
    const file = path.join(source.directory, "namespace")
    const text = isFile(file) ? fs.readFileSync(file, "utf8").trim() : ""
    return text === "" ? "default" : text
  })

const loadServiceAccount = (source: ServiceAccount): Effect.Effect<Loaded> =>
  Effect.map(namespaceOf(source), (namespace) => {
    const certificate = path.join(source.directory, "ca.crt")
    const name = "service-account"
    return {
      source,
      server: source.server,
      isSecure: true,
      proxyUrl: undefined,
      disableCompression: false,
      context: name,
      namespace,
      identity: {
        _tag: "User",
        user: { ...NOBODY, name, tokenFile: path.join(source.directory, "token") },
        cluster: {
          name,
          server: source.server,
          tlsServerName: undefined,
          insecureSkipTlsVerify: false,
          certificateAuthority: isFile(certificate) ? certificate : undefined,
          certificateAuthorityData: undefined,
          proxyUrl: undefined,
          disableCompression: false,
          pluginConfig: undefined
        }
      }
    }
  })

/** As in kubectl, an address without a scheme is one without TLS. */
const addressOf = (server: string): string | undefined => {
  const address = /^[a-z][a-z0-9+.-]*:\/\/[^/]/i.test(server) ? server : `http://${server}`
  if (address !== server && /\/./.test(server)) return undefined
  if (!URL.canParse(address) || !/^https?:$/.test(new URL(address).protocol)) return undefined
  return address.replace(/[?#].*$/s, "")
}

const PROXY_SCHEMES = new Set(["http:", "https:", "socks5:"])

/** The problems that there are, of all that there can be. */
const problemsAmong = (problems: ReadonlyArray<readonly [isWrong: boolean, problem: string]>): ReadonlyArray<string> =>
  problems.flatMap(([isWrong, problem]) => (isWrong ? [problem] : []))

const problemsOfCluster = ({
  certificateAuthority,
  certificateAuthorityData,
  insecureSkipTlsVerify,
  name,
  proxyUrl,
  server
}: Cluster): ReadonlyArray<string> => {
  const at = `cluster "${name}"`
  const hasCa = certificateAuthority !== undefined || certificateAuthorityData !== undefined
  const proxyScheme = proxyUrl !== undefined && URL.canParse(proxyUrl) ? new URL(proxyUrl).protocol : ""
  return problemsAmong([
    [server === undefined, `${at} has no server`],
    [
      server !== undefined && addressOf(server) === undefined,
      `"${server}" of ${at} is not the address of a server; write it as https://HOST:PORT`
    ],
    [
      certificateAuthority !== undefined && certificateAuthorityData !== undefined,
      `${at} has both certificate-authority and certificate-authority-data; leave one out`
    ],
    [
      hasCa && insecureSkipTlsVerify,
      `${at} has a certificate authority, and insecure-skip-tls-verify too; leave one out`
    ],
    [
      proxyUrl !== undefined && !PROXY_SCHEMES.has(proxyScheme),
      `the proxy ${proxyUrl?.replace(/\/\/[^@/]*@/, "//")} of ${at} cannot be used; use one of http://, https://, socks5://`
    ]
  ])
}

const problemsOfUser = (user: User): ReadonlyArray<string> => {
  const at = `user "${user.name}"`
  const hasCertificate = user.clientCertificate !== undefined || user.clientCertificateData !== undefined
  const hasPassword = user.username !== undefined || user.password !== undefined
  const isMore =
    user.impersonateUid !== undefined ||
    user.impersonateGroups.length > 0 ||
    Object.keys(user.impersonateExtra).length > 0
  return problemsAmong([
    [user.token !== undefined && hasPassword, `${at} has both a token and a name with a password; leave one out`],
    [
      user.clientCertificate !== undefined && user.clientCertificateData !== undefined,
      `${at} has both client-certificate and client-certificate-data; leave one out`
    ],
    [
      hasCertificate && user.clientKey !== undefined && user.clientKeyData !== undefined,
      `${at} has both client-key and client-key-data; leave one out`
    ],
    [
      hasCertificate && user.clientKey === undefined && user.clientKeyData === undefined,
      `${at} has a client certificate without client-key or client-key-data`
    ],
    [
      user.plugin !== undefined && user.authProvider !== undefined,
      `${at} has both exec and auth-provider; leave one out`
    ],
    [
      isMore && user.impersonate === undefined,
      `${at} has as-uid, as-groups or as-user-extra without as, which names the user to impersonate`
    ]
  ])
}

const loadGiven = (
  source: Extract<Source, { readonly _tag: "Given" }>,
  wantedContext: string | undefined
): Effect.Effect<Loaded, BackendError.BackendError> =>
  Effect.flatMap(
    Effect.promise(() => import("./givenKubeConfig.ts")),
    (given) =>
      Effect.try({
        try: () => {
          const { cluster, context, kubeConfig, namespace } = given.chosen(source.kubeConfig, wantedContext)
          const server = addressOf(cluster.server)
          if (server === undefined) throw new Error(`"${cluster.server}" is not the address of a server`)
          return {
            source,
            server,
            isSecure: server.startsWith("https:"),
            proxyUrl: cluster.proxyUrl,
            disableCompression: false,
            context,
            namespace: namespace ?? "default",
            identity: { _tag: "Given" as const, kubeConfig }
          }
        },
        catch: (cause) => unavailable(`${describe(source)} cannot be used: ${messageOf(cause)}`, cause)
      })
  )

/**
 * Reads the configuration of a source.
 *
 * @internal
 */
export const load = Effect.fnUntraced(function* (
  source: Source,
  wantedContext: string | undefined
): Effect.fn.Return<Loaded, BackendError.BackendError> {
  if (source._tag === "ServiceAccount") return yield* loadServiceAccount(source)
  if (source._tag === "Given") return yield* loadGiven(source, wantedContext)
  const parts = yield* readFiles(source.files)
  const where = describe(source)

  const contextName = wantedContext ?? parts.currentContext
  if (contextName === undefined) {
    if (source.otherwise !== undefined) return yield* loadServiceAccount(source.otherwise)
    const detail =
      parts.contexts.size === 0
        ? `${where} has no contexts; name another file`
        : `${where} has no current-context; name one of: ${namesOf(parts)}`
    return yield* unavailable(detail, new ChoosesNoCluster(detail))
  }
  const context = parts.contexts.get(contextName)
  if (context === undefined) {
    return yield* unavailable(`${where} has no context "${contextName}"; there are: ${namesOf(parts)}`)
  }
  const cluster = parts.clusters.get(context.cluster ?? "")
  if (cluster === undefined) {
    return yield* unavailable(
      context.cluster === undefined
        ? `${where}: context "${contextName}" names no cluster`
        : `${where}: context "${contextName}" names cluster "${context.cluster}", which does not exist`
    )
  }
  const user = context.user === undefined ? NOBODY : parts.users.get(context.user)
  if (user === undefined) {
    return yield* unavailable(`${where}: context "${contextName}" names user "${context.user}", which does not exist`)
  }
  const problems = [...problemsOfCluster(cluster), ...problemsOfUser(user)]
  if (user.plugin !== undefined) {
    const { problemsOf } = yield* Effect.promise(() => import("./credentialPlugin.ts"))
    problems.push(...problemsOf(user.plugin, `exec of user "${user.name}"`))
  }
  if (problems.length > 0) return yield* unavailable(`${where}: ${problems.join("; ")}`)
  const server = addressOf(cluster.server!)!
  return {
    source,
    server,
    isSecure: server.toLowerCase().startsWith("https:"),
    proxyUrl: cluster.proxyUrl,
    disableCompression: cluster.disableCompression,
    context: contextName,
    namespace: context.namespace ?? (source.otherwise === undefined ? "default" : yield* namespaceOf(source.otherwise)),
    identity: { _tag: "User", user, cluster }
  }
})

const namesOf = ({ contexts }: Parts): string => (contexts.size === 0 ? "none" : [...contexts.keys()].join(", "))
